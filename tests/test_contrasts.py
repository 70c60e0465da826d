"""comparisons.csv and ranks.csv from synthetic records."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats
from support.campaigns import SPACE, failed, make_campaign, make_record, results_of, two_searchers
from support.tables import cells_of

from benchmarks.errors import UserError
from harness.report import contrasts, frames, headline, notes, omnibus, power, rank_sums, readable
from harness.report.comparison import BRUNNER_MUNZEL, PERMUTATION, TESTS
from harness.report.notes import Question


def test_the_family_is_the_other_searchers_at_one_endpoint():
    values = {"gicso": 94.0, "darts": 54.0, "random": 93.0}
    records = [make_record(k, s, v + s / 10) for k, v in values.items() for s in range(5)]
    frame = contrasts.comparisons(results_of(records, make_campaign(dict.fromkeys(values, "one-shot"), list(range(5)))))
    assert ",".join(frame.columns) == (
        "dataset,split,endpoint,a,b,n_a,n_b,test,p,p_holm,difference,difference_low,difference_high,"
        "effect,effect_low,effect_high,p_equivalence,margin,verdict,"
        "shift,shift_low,shift_high,p_mean,p_mean_holm,belief_worse,belief_equal,belief_better"
    )
    primary = frame[frame["endpoint"] == "primary"]
    assert list(zip(primary["a"], primary["b"], primary["dataset"], strict=True)) == [
        ("gicso", b, "cifar10") for b in ("darts", "random")
    ]
    assert primary["p"].to_numpy() == pytest.approx(np.full(2, 2 / 252))
    assert primary["p_holm"].to_numpy() == pytest.approx(np.full(2, 2 * 2 / 252))
    assert set(primary["verdict"]) == {"better"}
    assert primary["difference"].to_numpy() == pytest.approx([40.0, 1.0])
    assert (primary["difference_low"] < primary["difference"]).all()
    assert primary["p_mean"].to_numpy() == pytest.approx(np.full(2, 2 / 252))
    assert (primary["effect_low"] < 1).all()  # 5 seeds of 5 leave some doubt
    others = frame[frame["endpoint"] == "descriptive"]
    assert list(zip(others["b"], others["dataset"], strict=True)) == [
        (b, d) for d in list(SPACE)[1:] for b in ("darts", "random")
    ]
    assert set(others["verdict"]) == {""}
    assert others[["p", "p_holm", "p_mean"]].isna().all(axis=None)
    assert others[["difference", "difference_low", "shift_high", "effect_low"]].notna().all(axis=None)
    reverse = contrasts.comparisons(
        results_of(records, make_campaign({"darts": "one-shot", "gicso": "one-shot"}, list(range(5))))
    )
    assert list(reverse.query("b == 'gicso' and endpoint == 'primary'")["verdict"]) == ["worse"]


def test_the_mean_of_the_data_sets_may_be_the_endpoint():
    records = [make_record(k, s, v + s / 10) for k, v in (("a", 94.0), ("b", 93.0)) for s in range(5)]
    results = results_of(records, make_campaign(dict.fromkeys("ab", "one-shot"), list(range(5)), endpoint="mean"))
    frame = contrasts.comparisons(results)
    assert list(frame["endpoint"]) == ["primary", "collapse", *["descriptive"] * 3]
    assert frame["dataset"].iloc[0] == "mean"
    assert frame["difference"].iloc[0] == pytest.approx(100 * (1 / 7.31 + 1 / 12.1 + 1 / 13.72) / 3)
    own = frames.results_table(results).query("dataset == 'mean' and label == 'a'").iloc[0]
    assert own["mean"] == pytest.approx(
        100 * ((94.2 - 87.06) / 7.31 + (74.2 - 61.41) / 12.1 + (47.2 - 33.59) / 13.72) / 3
    )
    table = readable.readable_table(results)
    assert cells_of(table, "b")["mean test"].text.endswith(" ↓")
    assert cells_of(table, "optimum (of each column)")["mean test"].text == "100.00"


def test_another_endpoint_than_the_declared_one_is_said_to_be_chosen_afterwards():
    results = results_of(*two_searchers())
    other = results.with_endpoint("cifar100")
    assert contrasts.comparisons(other)["dataset"].iloc[0] == "cifar100"
    said = "The primary endpoint, cifar100, was chosen after the campaign; the default was cifar10."
    assert said in readable.readable_table(other).warnings
    assert results.with_endpoint("cifar10") is results
    with pytest.raises(UserError, match="cifar100"):
        results.with_endpoint("cifar1000")
    bare = results_of([make_record("a", 0, 93.0)], make_campaign({"a": "one-shot"}, [0], space={}))
    with pytest.raises(UserError, match="no table"):
        bare.with_endpoint("mean")


def test_collapse_is_an_endpoint_with_a_family_of_its_own():
    """None of 20, 9 of 20 and 2 of 20; Fisher, times two and times one."""
    fallen = {"a": 0, "b": 9, "c": 2}
    records = [make_record(k, s, 93.0 + s / 100, collapsed=s < n) for k, n in fallen.items() for s in range(20)]
    campaign = make_campaign(dict.fromkeys("abc", "one-shot"), list(range(20)))
    frame = contrasts.comparisons(results_of(records, campaign)).query("endpoint == 'collapse'").set_index("b")
    p = [stats.fisher_exact([[0, 20], [n, 20 - n]])[1] for n in (9, 2)]
    assert frame.loc[["b", "c"], "p_holm"].to_numpy() == pytest.approx([2 * p[0], p[1]])
    assert list(frame.loc[["b", "c"], "verdict"]) == ["better", "unknown"]
    assert frame.loc["b", "difference"] == pytest.approx(-45)
    assert set(frame["dataset"]) == {""}
    few = [r for r in records if r["seed"] < 3]
    frame = contrasts.comparisons(results_of(few, campaign)).query("endpoint == 'collapse'")
    assert set(frame["verdict"]) == {"untestable"}  # all against none of 3: p 0.1
    table = readable.readable_table(results_of(records, campaign))
    assert cells_of(table, "b")["collapsed"].text == "9 of 20 [23, 68 %] ↓"


def one_value(records, *labels):
    """The results of these runs at 20 seeds, in which params and flops use no seed; `labels` are in their order."""
    kinds = {label: "training-free" if label in ("params", "flops") else "one-shot" for label in labels}
    campaign = make_campaign(kinds, list(range(20)))
    for row in campaign["searchers"]:
        row["uses_seed"] = row["kind"] == "one-shot"
    return results_of([r for r in records if r["label"] in labels], campaign)


def test_a_searcher_that_uses_no_seed_has_one_value():
    """The others' runs against it as one sample, a binomial test; Mann-Whitney would take copies for 20 draws."""
    drawn = {"a": 92.0 + np.random.default_rng(0).normal(0.4, 1.0, 20), "b": np.linspace(90.0, 95.0, 20)}
    records = [make_record(k, s, float(v[s])) for k, v in drawn.items() for s in range(20)]
    records += [make_record("params", s, 92.0, "training-free", collapsed=True) for s in range(20)]
    records += [make_record("flops", 0, 91.0, "training-free")]
    above = int((drawn["a"] > 92).sum())
    p = stats.binomtest(above, 20).pvalue
    results = one_value(records, "a", "b", "params")
    primary = contrasts.comparisons(results).query("endpoint == 'primary'").set_index("b")
    own = primary.loc["params"]
    assert (own["test"], own["n_a"], own["n_b"]) == (rank_sums.SIGN, 20, 1)
    assert own["p"] == pytest.approx(p)
    assert own["effect"] == above / 20
    assert own["difference"] == pytest.approx(drawn["a"].mean() - 92)
    ordered = np.sort(drawn["a"]) - 92  # ranks 6 and 15 of 20: level 0.959
    assert own[["shift", "shift_low", "shift_high"]].tolist() == pytest.approx(
        [np.median(ordered), ordered[5], ordered[14]]
    )
    assert primary.loc["b", "test"] == rank_sums.EXACT
    collapses = contrasts.comparisons(results).query("endpoint == 'collapse'")
    assert list(collapses["b"]) == ["b"]  # of one run there is no rate
    assert [s.label for s in contrasts.rank_tests(results)[0]] == ["a", "b"]
    table = readable.readable_table(results)
    assert (cells_of(table, "params")["n"].text, cells_of(table, "params")["collapsed"].text) == ("1", "1 of 1")
    assert any(note.startswith("No seed is used by params: one run each") for note in table.footnotes)
    assert not any(note.startswith("n = 1") for note in table.footnotes)
    first = contrasts.comparisons(one_value(records, "params", "a")).iloc[0]
    assert (first["p"], first["effect"], first["n_a"], first["n_b"]) == (pytest.approx(p), 1 - own["effect"], 1, 20)
    both = contrasts.comparisons(one_value(records, "params", "flops")).iloc[0]
    assert (both["n_a"], both["n_b"], both["verdict"]) == (1, 1, "untestable")
    nothing = one_value(records, "params", "flops")
    assert notes.power(nothing) == notes.reach(nothing) == "no searcher uses a seed: nothing is tested"


def test_the_power_against_one_value_is_the_sign_test_s():
    few = [make_record("a", s, 93 + s / 10) for s in range(4)] + [make_record("params", 0, 80.0, "training-free")]
    for order in (("a", "params"), ("params", "a")):
        results = one_value(few, *order)
        text = "against the one value of params n = {} {} reach 0.05 after Holm (smallest p {}, sign test)"
        assert notes.power(results) == text.format(20, "can", "1.9e-06")
        assert notes.reach(results) == text.format(4, "cannot", "0.12")  # 2 / 2^4
        assert contrasts.comparisons(results)["verdict"].iloc[0] == "untestable"
    mixed = notes.power(one_value(few, "a", "b", "params"))
    assert mixed.startswith("n = 20 can reach")
    assert mixed.endswith(
        "; against the one value of params n = 20 can reach 0.05 after Holm (smallest p 3.8e-06, sign test)"
    )


def test_a_mean_is_called_higher_only_after_holm():
    """b lies below a by as much as one comparison shows and the first of four does not; c to e hardly differ."""
    values = {"a": np.arange(10.0), "b": np.arange(10.0) - 3.5} | {k: np.arange(10.0) - 0.1 for k in "cde"}
    records = [make_record(k, s, 90 + float(v[s])) for k, v in values.items() for s in range(10)]
    higher, not_shown = "its mean is higher (permutation p = 0.0", "its mean is not shown to differ (permutation p = 0."
    for others, said in (("b", higher), ("bcde", not_shown)):
        own = [r for r in records if r["label"] in f"a{others}"]
        results = results_of(own, make_campaign(dict.fromkeys(f"a{others}", "one-shot"), list(range(10))))
        row = contrasts.comparisons(results).iloc[0]
        p = stats.permutation_test(
            (values["a"], values["b"]), lambda x, y: x.mean() - y.mean(), n_resamples=np.inf, vectorized=False
        ).pvalue
        assert row["p_mean"] == pytest.approx(p, abs=0.01)
        assert row["p_mean_holm"] == pytest.approx(min(1, len(others) * row["p_mean"]))
        tables = readable.frames_of(results)
        assert said in headline.sentences(results, tables, contrasts.ranks_table(results))[0]


def test_what_no_p_could_have_shown_is_untestable():
    """Two searchers beside the first at three seeds each: the smallest p after Holm is 2 × 0.1."""
    records = [make_record(k, s, v + s) for k, v in {"a": 90.0, "b": 50.0, "c": 90.5}.items() for s in range(3)]
    frame = contrasts.comparisons(results_of(records, make_campaign(dict.fromkeys("abc", "one-shot"), [0, 1, 2])))
    primary = frame[frame["endpoint"] == "primary"]
    assert list(primary["verdict"]) == ["untestable"] * 2
    assert primary["p"].to_numpy() == pytest.approx([0.1, 0.7])


def test_the_test_may_be_of_the_means():
    """Two in ten collapsed: the ranks of a typical run do not see it, the permutation of means does."""
    values = {"a": [90 + s / 50 for s in range(20)], "b": [10.0 if s % 4 == 0 else 90 + s / 50 for s in range(20)]}
    records = [make_record(k, s, v) for k, own in values.items() for s, v in enumerate(own)]
    results = results_of(records, make_campaign(dict.fromkeys("ab", "one-shot"), list(range(20))))
    by = {test: contrasts.comparisons(results, Question(test=test)).iloc[0] for test in TESTS}
    assert [by[test]["verdict"] for test in TESTS] == ["unknown", "unknown", "better"]
    assert [by[test]["test"] for test in TESTS] == [rank_sums.EXACT, BRUNNER_MUNZEL, PERMUTATION]
    for question in ({"test": "t"}, {"paired": True, "test": "brunner-munzel"}):
        with pytest.raises(UserError, match="--test"):
            Question(**question)


def test_constant_single_and_missing_groups_have_no_zero_and_no_nan_words():
    records = [make_record("a", s, 54.3) for s in range(5)] + [make_record("b", s, 54.3) for s in range(5)]
    campaign = make_campaign({"a": "one-shot", "b": "one-shot", "c": "one-shot", "d": "one-shot"}, list(range(5)))
    records += [make_record("c", 0, 93.0)] + [failed("d", s, "boom") for s in range(5)]
    frame = (
        contrasts.comparisons(results_of(records, campaign)).query("endpoint == 'primary'").set_index(["b", "dataset"])
    )
    same = frame.loc[("b", "cifar10")]
    assert (same["p"], same["p_holm"], same["effect"], same["verdict"]) == (1.0, 1.0, 0.5, "constant")
    for other, n in (("c", 1), ("d", 0)):
        row = frame.loc[(other, "cifar10")]
        assert (row["n_b"], row["verdict"]) == (n, "untestable")
        assert np.isnan([row["p"], row["p_holm"], row["effect"]]).all()
    text = frames.to_csv(frame.reset_index()[contrasts.COMPARISON_COLUMNS])
    assert "nan" not in text.lower()
    assert "None" not in text


def test_margin_makes_equivalence_possible():
    records = [make_record(k, s, 93 + s / 100) for k in ("a", "b") for s in range(8)]
    campaign = make_campaign({"a": "one-shot", "b": "one-shot"}, list(range(8)))
    assert contrasts.comparisons(results_of(records, campaign))["verdict"].iloc[0] == "unknown"
    row = contrasts.comparisons(results_of(records, campaign), Question(margin=0.5)).iloc[0]
    assert row["verdict"] == "equivalent"
    assert row["p_equivalence"] == pytest.approx(1 / math.comb(16, 8))  # all apart, of ranks and of means
    table = readable.readable_table(results_of(records, campaign), question=Question(margin=0.5))
    said = (
        "≈ those equivalent within 0.5 points (two one-sided tests of ranks and of means, both p ≤ 0.05 after Holm in "
        "a family of their own)."
    )
    assert any(note.endswith(said) for note in table.footnotes)
    assert cells_of(table, "b")["cifar10 test"].text.endswith(" ≈")


def test_what_could_not_be_tested_is_not_called_alike():
    """No seed in common: no pair, no test."""
    records = [make_record("a", s, 93 + s / 10) for s in range(6)]
    records += [make_record("b", s, 93 + s / 10) for s in (6, 7, 8)]
    frame = contrasts.comparisons(
        results_of(records, make_campaign(dict.fromkeys("ab", "one-shot"), [0])), Question(True, 0.5)
    )
    frame = frame[frame["endpoint"] == "primary"]
    assert set(frame["verdict"]) == {"untestable"}
    assert frame[["p", "p_holm", "p_equivalence"]].isna().all(axis=None)


def test_paired_comparisons_meet_at_the_same_seed():
    """a is 0.1 above b at every seed but in no order of its own: seen in pairs, lost without."""
    base = [90.0, 93.0, 91.0, 94.0, 92.0, 90.5, 93.5]
    records = [make_record("a", s, v + 0.1) for s, v in enumerate(base)]
    records += [make_record("b", s, v) for s, v in enumerate(base)] + [make_record("b", 9, 10.0)]
    campaign = make_campaign(dict.fromkeys("ab", "one-shot"), list(range(7)))
    paired = contrasts.comparisons(results_of(records, campaign), Question(paired=True)).iloc[0]
    assert (paired["n_a"], paired["n_b"], paired["effect"], paired["test"]) == (7, 7, 1.0, rank_sums.PAIRED)
    assert paired["p"] == pytest.approx(2 / 2**7)
    assert (paired["p_holm"], paired["verdict"]) == (pytest.approx(2 / 2**7), "better")
    assert contrasts.comparisons(results_of(records, campaign)).iloc[0]["verdict"] == "unknown"
    within = contrasts.comparisons(results_of(records, campaign), Question(paired=True, margin=0.5)).iloc[0]
    assert within["verdict"] == "equivalent"
    assert np.isnan(within["belief_equal"])  # nothing but the seed's number is shared
    within = contrasts.comparisons(results_of(sharing(records), campaign), Question(paired=True, margin=0.5)).iloc[0]
    assert (within["belief_worse"], within["belief_equal"], within["belief_better"]) == (0, 1, 0)


def test_imported_cells_are_never_paired_and_were_planned_by_nobody():
    records, campaign = two_searchers()
    records += [make_record("mine", s, 93.0 + s / 10, "imported", trajectory=[]) for s in range(2)]
    frame = contrasts.comparisons(results_of(records, campaign), Question(paired=True)).query("endpoint == 'primary'")
    frame = frame.set_index(["b", "dataset"])
    assert frame.loc[("random", "cifar10"), "test"] == rank_sums.PAIRED
    assert frame.loc[("mine", "cifar10"), "test"] == rank_sums.EXACT
    assert tuple(frame.loc[("mine", "cifar10"), ["n_a", "n_b"]]) == (5, 2)
    texts = readable.readable_table(results_of(records, campaign)).footnotes
    assert f"Power: {power.power_note(5, 5, 2)}." in texts
    assert not any("With the runs there are" in note for note in texts)
    records = [r for r in records if (r["label"], r["seed"]) != ("random", 4)]
    texts = readable.readable_table(results_of(records, campaign)).footnotes
    assert f"With the runs there are (fewest: random): {power.power_note(5, 4, 2)}." in texts


def sharing(records):
    """The records with the supernet of their seed: its losses are the same in each."""
    return [
        r | {"one_shot": {"losses": [1.0 + r["seed"], 2.0], "spearman": None, "spearman_good": None}} for r in records
    ]


def test_seeds_are_blocks_only_where_the_runs_of_a_seed_share_something():
    searchers = dict.fromkeys("abc", "one-shot")
    records = [make_record(k, s, 90.0 + s + i) for i, k in enumerate(searchers) for s in range(5)]
    campaign = make_campaign(searchers, list(range(5)))
    groups = contrasts.ranks_table(results_of(records, campaign))
    assert (set(groups["test"]), set(groups["posthoc"])) == ({omnibus.KRUSKAL}, {omnibus.DUNN})
    blocks = contrasts.ranks_table(results_of(sharing(records), campaign))
    assert (set(blocks["test"]), set(blocks["posthoc"])) == ({omnibus.FRIEDMAN}, {omnibus.NEMENYI})
    campaign["ablations"] = {"of": "a", "rows": {"b": "no b", "c": "no c"}}
    assert set(contrasts.ranks_table(results_of(records, campaign))["test"]) == {omnibus.FRIEDMAN}


def test_imported_cells_are_no_blocks_of_the_ranks():
    """With the seeds of the runs they would be ranked as if paired, with others they would leave no common seed."""
    searchers = dict.fromkeys("abc", "one-shot")
    records = sharing([make_record(k, s, 90.0 + s + i) for i, k in enumerate(searchers) for s in range(5)])
    campaign = make_campaign(searchers, list(range(5)))
    alone = contrasts.ranks_table(results_of(records, campaign))
    assert len(alone) == 3
    for seeds in (range(5), range(777, 780)):
        imported = [make_record("mine", s, 99.0, "imported", trajectory=[]) for s in seeds]
        assert contrasts.ranks_table(results_of(records + imported, campaign)).equals(alone)


def test_ranks_over_blocks_are_over_the_seeds_that_all_have():
    values = {"a": [93.0, 94.0, 92.0], "b": [92.0, 93.0, 92.0], "c": [91.0, 94.0, 90.0]}
    records = [make_record(k, s, v) for k, found in values.items() for s, v in enumerate(found)]
    records.append(make_record("a", 7, 10.0))
    records = sharing(records) + [failed("d", s, "boom") for s in range(3)]  # who never finished is not ranked
    campaign = make_campaign(dict.fromkeys("abcd", "one-shot"), [0, 1, 2, 7])
    ranked, ranks = contrasts.rank_tests(results_of(records, campaign))
    assert ([s.label for s in ranked], ranks.sizes) == (["a", "b", "c"], [3] * 3)
    # seed 0: 1 2 3; seed 1: a and c share 1 and 2; seed 2: a and b share 1 and 2
    np.testing.assert_allclose(ranks.mean, [(1 + 1.5 + 1.5) / 3, (2 + 3 + 1.5) / 3, (3 + 1.5 + 3) / 3])
