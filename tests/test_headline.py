"""Results in words."""

from __future__ import annotations

import pytest
from scipy import stats
from support.campaigns import make_campaign, make_record, results_of, two_searchers
from support.tables import words_of

from harness.report import contrasts, headline, readable
from harness.report.notes import UNPAIRED, Question


def said(records, campaign, question=UNPAIRED):
    """The one sentence, and the others."""
    own = results_of(records, campaign)
    tables = readable.frames_of(own, question)
    return headline.lead(own, tables, question), headline.sentences(own, tables, contrasts.ranks_table(own))


@pytest.mark.case(86)
def test_the_lead_says_who_by_how_much_and_how_sure():
    lead, (sentence,) = said(*two_searchers())
    assert lead == (
        "gicso is 2nd of 2 by cifar10 test accuracy: mean 92.00 ± 1.58 (n = 5); best is random (multi-trial) with "
        "93.34. Against the other: not shown 1; n = 5 shows with 80 % power what is 2.3 standard deviations apart."
    )
    # gicso 90 91 92 93 94 against 92 93 93.5 94 94.2: pairs won 0+0+.5+1.5+3.5 = 5.5 of 25
    assert sentence.startswith(
        "gicso against random (one-shot against multi-trial) on cifar10: its typical run is not shown to be better or "
        "worse (Mann-Whitney U p = 0.19, A = 0.22 [0.06, 0.59], n = 5); its mean is not shown to differ (permutation "
        "p = 0.1"
    )
    assert "better:" not in sentence


def test_the_lead_names_the_best_of_the_first_s_kind():
    values = {"a": 92.0, "b": 93.0, "c": 91.0}
    records = [make_record(k, s, v + s / 10) for k, v in values.items() for s in range(6)]
    records += [make_record("random", s, 94.0 + s / 10, "multi-trial") for s in range(6)]
    campaign = make_campaign(dict.fromkeys("abc", "one-shot") | {"random": "multi-trial"}, list(range(6)))
    lead, _ = said(records, campaign)
    assert lead.startswith(
        "a is 3rd of 4 by cifar10 test accuracy: mean 92.25 ± 0.19 (n = 6); best is random (multi-trial)"
    )
    assert "; best one-shot one b with 93.25. Against the 3 others: better 1, worse 2; n = 6 shows" in lead
    few, _ = said([r for r in records if r["seed"] < 3], campaign)
    assert "Whether it differs from any other is not known; n = 3 could show no difference (smallest p" in few


def test_both_estimands_are_named_where_they_differ():
    values = {"a": [90 + s / 50 for s in range(20)], "b": [10.0 if s % 4 == 0 else 90 + s / 50 for s in range(20)]}
    records = [make_record(k, s, v, collapsed=v == 10) for k, own in values.items() for s, v in enumerate(own)]
    campaign = make_campaign(dict.fromkeys("ab", "one-shot"), list(range(20)))
    _, (sentence, fallen) = said(records, campaign)
    assert "its typical run is not shown to be better or worse (Mann-Whitney U p = 0.2" in sentence
    assert "; its mean is higher (permutation p = 0.027), +20.0" in sentence
    assert fallen == (
        "a collapsed in 0 of 20 [0, 17 %] runs; less often than b (5 of 20 [9, 49 %], p = 0.047) (Fisher, after Holm)."
    )
    _, (sentence, _) = said(records, campaign, Question(test="permutation"))
    assert "its mean is better (permutation of means p = 0.0" in sentence


def test_pairs_that_share_something_have_a_posterior():
    """The same supernet at each seed, and differences of 0.1 within half a point at all seven."""
    supernets = [{"losses": [1.0 + s, 2.0], "spearman": None, "spearman_good": None} for s in range(7)]
    records = [
        make_record(k, s, v + 10**-s, one_shot=supernets[s]) for k, v in (("a", 93.1), ("b", 93.0)) for s in range(7)
    ]
    campaign = make_campaign(dict.fromkeys("ab", "one-shot"), list(range(7)))
    _, (sentence, *_) = said(records, campaign, Question(paired=True, margin=0.5))
    beliefs = (
        "; probability of worse, equal within 0.5 points, better 0.00, 1.00, 0.00 (Bayesian signed ranks); its mean"
    )
    assert beliefs in sentence
    _, (sentence, *_) = said(records, campaign, Question(paired=True))
    assert "Bayesian" not in sentence


def test_equivalent_searchers_are_quoted_with_the_test_of_equivalence(tmp_path):
    """The same values at eight seeds: the test of a difference has p = 1; each of two one-sided ones 1 / C(16, 8)."""
    records = [make_record(k, s, 93 + s / 100) for k in ("a", "b") for s in range(8)]
    campaign, asked = make_campaign({"a": "one-shot", "b": "one-shot"}, list(range(8))), Question(margin=0.5)
    lead, (sentence,) = said(records, campaign, asked)
    assert "Against the other: equivalent 1;" in lead
    assert sentence.startswith(
        "a against b on cifar10: equivalent within 0.5 points (p < 0.001 after Holm, two one-sided tests of ranks and "
        "of means, n = 8); its mean is not shown to differ (permutation p = 1), +0.00 points [−0.0"
    )
    words = words_of(records, campaign, tmp_path, asked)
    assert "equivalent within 0.5 points: two one-sided tests of ranks and of means, both p ≤ 0.05 after Holm" in words
    assert "p of equivalence within 0.5 points, after Holm" in words


def test_constant_and_single_groups_in_words():
    records = [make_record(k, s, 70.0) for k in "ab" for s in range(5)] + [make_record("c", 0, 93.0)]
    _, sentences = said(records, make_campaign(dict.fromkeys("abc", "one-shot"), list(range(5))))
    assert sentences == [
        "a against b on cifar10: all values are one number (Mann-Whitney U p = 1, A = 0.50 [0.21, 0.79], n = 5).",
        "a against c on cifar10: untestable (n = 5 and 1).",
    ]


def test_three_and_more_are_tested_together():
    """a above b above c at each of 6 seeds: Kruskal and Wallis' H of three separated groups of 6."""
    records = [make_record(k, s, v + s / 100) for k, v in {"a": 94.0, "b": 93.0, "c": 92.0}.items() for s in range(6)]
    campaign = make_campaign(dict.fromkeys("abc", "one-shot"), list(range(6)))
    _, (*_, ranked) = said(records, campaign)
    h = 12 / (18 * 19) * (57**2 + 93**2 + 21**2) / 6 - 3 * 19
    assert ranked.startswith("All 3 together on cifar10: Kruskal-Wallis p < 0.001; Dunn with Holm: ")
    frame = contrasts.ranks_table(results_of(records, campaign))
    assert frame["p"].iloc[0] == pytest.approx(stats.chi2.sf(h, 2))
    rows = frame[["a", "b", "rank_a", "rank_b", "n_a"]].to_numpy().tolist()
    assert rows == [["a", "b", 3.5, 9.5, 6], ["a", "c", 3.5, 15.5, 6], ["b", "c", 9.5, 15.5, 6]]
