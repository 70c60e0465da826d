"""Tables as data frames from synthetic records: the contract's columns, numbers worked by hand."""

from __future__ import annotations

import csv
import io
import math

import numpy as np
import pytest
from support.campaigns import SPACE, failed, make_campaign, make_record, make_scores, results_of, two_searchers
from support.tables import cells_of

from harness.report import frames, inference, markup, notes, power
from harness.report.notes import Question


@pytest.mark.case(26, 74)
def test_results_table_is_the_contract_with_hand_worked_numbers():
    records, campaign = two_searchers()
    frame = frames.results_table(results_of(records, campaign))
    assert ",".join(frame.columns) == (
        "searcher,label,kind,search_dataset,dataset,split,epochs,n,mean,std,median,ci_low,ci_high,ci_level,regret,"
        "mean_without_none,std_without_none,search_seconds,simulated_seconds,evaluations,"
        "iqm,iqm_low,iqm_high,relative_improvement,beaten,benchmark,table_sha256,table_cells"
    )
    assert len(frame) == 2 * 3 * 2
    row = frame.query("label == 'gicso' and dataset == 'cifar10' and split == 'test'").iloc[0]
    assert (row["n"], row["mean"], row["median"], row["ci_low"], row["ci_high"]) == (
        5,
        92.0,
        92.0,
        90.0,
        94.0,
    )
    assert row["std"] == pytest.approx(1.5811388)
    assert row["ci_level"] == 0.9375
    assert row["regret"] == pytest.approx(94.37 - 92)
    assert (row["iqm"], row["relative_improvement"]) == (92.0, pytest.approx(100 * (92 - 87.06) / 87.06))
    assert row["beaten"] == pytest.approx(100 * (92 - 10) / (94.37 - 10))  # of cells spread evenly from 10 to 94.37
    assert np.isnan(row["iqm_low"])  # five values: no bootstrap
    assert (row["search_dataset"], row["epochs"]) == ("cifar10", 200)
    assert (row["benchmark"], row["table_sha256"], row["table_cells"]) == ("nb201", "ab" * 32, 15625)
    assert (row["search_seconds"], row["simulated_seconds"], row["evaluations"]) == (302.0, 0.0, 1500)
    valid = frame.query("label == 'gicso' and dataset == 'ImageNet16-120' and split == 'valid'").iloc[0]
    assert valid["mean"] == pytest.approx(92 - 47 - 2)
    assert valid["search_dataset"] == "cifar10"  # searched there, scored here
    assert frame.query("label == 'random'")["simulated_seconds"].unique() == [12000]


def test_columns_without_none_are_apart():
    records = [make_record("gicso", s, 90.0, scores=make_scores(90.0, without=93.0 + s)) for s in range(2)]
    frame = frames.results_table(results_of(records, make_campaign({"gicso": "one-shot"}, [0, 1])))
    row = frame.query("dataset == 'cifar10' and split == 'test'").iloc[0]
    assert (row["mean"], row["std"], row["mean_without_none"]) == (90.0, 0.0, 93.5)
    assert row["std_without_none"] == pytest.approx(0.5**0.5)


def test_csv_leaves_empty_what_is_not_known():
    frame = frames.results_table(results_of([make_record("gicso", 0, 93.1)], make_campaign({"gicso": "one-shot"}, [0])))
    row = next(csv.DictReader(io.StringIO(frames.to_csv(frame))))
    assert (row["n"], row["epochs"], row["mean"]) == ("1", "200", "91.1")
    assert [row[c] for c in ("std", "ci_low", "ci_high", "ci_level", "std_without_none")] == [""] * 5
    assert "nan" not in frames.to_csv(frame).lower()


def test_comparisons_are_one_family_of_searchers_times_datasets():
    values = {"gicso": 94.0, "darts": 54.0, "random": 93.0}
    records = [make_record(k, s, v + s / 10) for k, v in values.items() for s in range(5)]
    frame = contrasts.comparisons(results_of(records, make_campaign(dict.fromkeys(values, "one-shot"), list(range(5)))))
    assert ",".join(frame.columns) == (
        "dataset,split,a,b,n_a,n_b,test,p,p_holm,effect,effect_low,effect_high,margin,p_equivalence,verdict"
    )
    assert list(zip(frame["a"], frame["b"], frame["dataset"], strict=True)) == [
        ("gicso", b, d) for b in ("darts", "random") for d in SPACE
    ]
    assert frame["p"].to_numpy() == pytest.approx(np.full(6, 2 / 252))
    assert frame["p_holm"].to_numpy() == pytest.approx(np.full(6, 6 * 2 / 252))  # 0.0476
    assert set(frame["verdict"]) == {"better"}
    assert set(frame["split"]) == {"test"}
    assert (frame["effect_low"] < 1).all()  # 5 seeds of 5 leave some doubt
    reverse = contrasts.comparisons(
        results_of(records, make_campaign({"darts": "one-shot", "gicso": "one-shot"}, list(range(5))))
    )
    assert list(reverse.query("b == 'gicso'")["verdict"]) == ["worse"] * 3


def test_constant_single_and_missing_groups_have_no_zero_and_no_nan_words():
    records = [make_record("a", s, 54.3) for s in range(5)] + [make_record("b", s, 54.3) for s in range(5)]
    campaign = make_campaign({"a": "one-shot", "b": "one-shot", "c": "one-shot", "d": "one-shot"}, list(range(5)))
    records += [make_record("c", 0, 93.0)] + [failed("d", s, "boom") for s in range(5)]
    frame = contrasts.comparisons(results_of(records, campaign)).set_index(["b", "dataset"])
    same = frame.loc[("b", "cifar10")]
    assert (same["p"], same["p_holm"], same["effect"], same["verdict"]) == (1.0, 1.0, 0.5, "constant")
    for other, n in (("c", 1), ("d", 0)):
        row = frame.loc[(other, "cifar10")]
        assert (row["n_b"], row["verdict"]) == (n, "not tested")
        assert np.isnan([row["p"], row["p_holm"], row["effect"]]).all()
    text = frames.to_csv(frame.reset_index()[contrasts.COMPARISON_COLUMNS])
    assert "nan" not in text.lower()
    assert "None" not in text


def test_margin_makes_equivalence_possible():
    records = [make_record(k, s, 93 + s / 100) for k in ("a", "b") for s in range(8)]
    campaign = make_campaign({"a": "one-shot", "b": "one-shot"}, list(range(8)))
    assert set(contrasts.comparisons(results_of(records, campaign))["verdict"]) == {"not distinguishable"}
    frame = contrasts.comparisons(results_of(records, campaign), Question(margin=0.5))
    assert set(frame["verdict"]) == {"equivalent"}
    assert frame["p_equivalence"].to_numpy() == pytest.approx(
        np.full(3, 3 / math.comb(16, 8))
    )  # all apart; Holm over 3
    table = readable.readable_table(results_of(records, campaign), question=Question(margin=0.5))
    said = "≈ those equivalent within 0.5 points (two one-sided tests, p ≤ 0.05 after Holm in a family of their own)."
    assert any(note.endswith(said) for note in table.footnotes)
    assert cells_of(table, "b")["cifar10 test"].text.endswith(" ≈")


def test_what_could_not_be_tested_is_not_called_alike():
    """No seed in common: no pair, no test."""
    records = [make_record("a", s, 93 + s / 10) for s in range(6)]
    records += [make_record("b", s, 93 + s / 10) for s in (6, 7, 8)]
    frame = contrasts.comparisons(
        results_of(records, make_campaign(dict.fromkeys("ab", "one-shot"), [0])), Question(True, 0.5)
    )
    assert set(frame["verdict"]) == {"not tested"}
    assert frame[["p", "p_holm", "p_equivalence"]].isna().all(axis=None)


def test_paired_comparisons_meet_at_the_same_seed():
    """a is 0.1 above b at every seed but in no order of its own: seen in pairs, lost without."""
    base = [90.0, 93.0, 91.0, 94.0, 92.0, 90.5, 93.5]
    records = [make_record("a", s, v + 0.1) for s, v in enumerate(base)]
    records += [make_record("b", s, v) for s, v in enumerate(base)] + [make_record("b", 9, 10.0)]
    campaign = make_campaign(dict.fromkeys("ab", "one-shot"), list(range(7)))
    paired = contrasts.comparisons(results_of(records, campaign), Question(paired=True)).iloc[0]
    assert (paired["n_a"], paired["n_b"], paired["effect"], paired["test"]) == (7, 7, 1.0, inference.PAIRED)
    assert paired["p"] == pytest.approx(2 / 2**7)
    assert (paired["p_holm"], paired["verdict"]) == (pytest.approx(6 / 2**7), "better")
    assert contrasts.comparisons(results_of(records, campaign)).iloc[0]["verdict"] == "not distinguishable"
    within = contrasts.comparisons(results_of(records, campaign), Question(paired=True, margin=0.5)).iloc[0]
    assert within["verdict"] == "equivalent"


def test_imported_cells_are_never_paired_and_were_planned_by_nobody():
    records, campaign = two_searchers()
    records += [make_record("mine", s, 93.0 + s / 10, "imported", trajectory=[]) for s in range(2)]
    frame = contrasts.comparisons(results_of(records, campaign), Question(paired=True)).set_index(["b", "dataset"])
    assert frame.loc[("random", "cifar10"), "test"] == inference.PAIRED
    assert frame.loc[("mine", "cifar10"), "test"] == inference.EXACT
    assert tuple(frame.loc[("mine", "cifar10"), ["n_a", "n_b"]]) == (5, 2)
    texts = readable.readable_table(results_of(records, campaign)).footnotes
    assert f"Power: {power.power_note(5, 5, 6)}." in texts
    assert not any("With the runs there are" in note for note in texts)
    records = [r for r in records if (r["label"], r["seed"]) != ("random", 4)]
    texts = readable.readable_table(results_of(records, campaign)).footnotes
    assert f"With the runs there are (fewest: random): {power.power_note(5, 4, 6)}." in texts


def test_imported_cells_are_no_blocks_of_the_ranks():
    """With the seeds of the runs they would be ranked as if paired, with others they would leave no common seed."""
    searchers = dict.fromkeys("abc", "one-shot")
    records = [make_record(k, s, 90.0 + s + i) for i, k in enumerate(searchers) for s in range(5)]
    campaign = make_campaign(searchers, list(range(5)))
    alone = contrasts.ranks_table(results_of(records, campaign))
    assert len(alone) == 9
    for seeds in (range(5), range(777, 780)):
        imported = [make_record("mine", s, 99.0, "imported", trajectory=[]) for s in seeds]
        assert contrasts.ranks_table(results_of(records + imported, campaign)).equals(alone)


def test_ranks_are_over_the_seeds_that_all_have():
    values = {"a": [93.0, 94.0, 92.0], "b": [92.0, 93.0, 92.0], "c": [91.0, 94.0, 90.0]}
    records = [make_record(k, s, v) for k, found in values.items() for s, v in enumerate(found)]
    records.append(make_record("a", 7, 10.0))
    records += [failed("d", s, "boom") for s in range(3)]  # who never finished is not ranked
    campaign = make_campaign(dict.fromkeys("abcd", "one-shot"), [0, 1, 2, 7])
    ranked, found = contrasts.rank_tests(results_of(records, campaign))
    ranks = found["cifar10"]
    assert ([s.label for s in ranked], ranks.blocks) == (["a", "b", "c"], 3)
    # seed 0: 1 2 3; seed 1: a and c share 1 and 2; seed 2: a and b share 1 and 2
    np.testing.assert_allclose(ranks.mean, [(1 + 1.5 + 1.5) / 3, (2 + 3 + 1.5) / 3, (3 + 1.5 + 3) / 3])


def test_runs_table_has_a_row_a_run():
    records = [make_record("a", 3, 93.0), failed("a", 4, "boom")]
    first, second = frames.to_csv(
        frames.runs_table(results_of(records, make_campaign({"a": "one-shot"}, [3, 4])))
    ).splitlines()[1:]
    assert first.startswith("a,a,a,one-shot,3,done,9930,|nor_conv_3x3~0|")
    assert first.endswith(",91,93,71,73,44,46")
    assert second.startswith("a,a,a,one-shot,4,failed,,")
    assert second.endswith(",,,,,,")


@pytest.mark.case(62)
def test_the_table_of_diagnostics_by_hand():
    skips = "|skip_connect~0|+|skip_connect~0|skip_connect~1|+|skip_connect~0|skip_connect~1|skip_connect~2|"
    one_shot = {"cells": [], "losses": [], "spearman": 0.5, "spearman_good": None}
    records = [make_record("a", s, 90.0, alpha_entropy=0.5, alpha_change=0.0 if s == 2 else 1.0) for s in range(3)]
    records[0]["one_shot"] = records[1]["one_shot"] = one_shot
    records[1]["one_shot"] = one_shot | {"spearman": 0.7, "spearman_good": 0.1}
    records[2] |= {"cell": skips, "collapsed": True}
    campaign = make_campaign({"a": "one-shot"}, [0, 1, 2])
    (row,) = frames.diagnostics(results_of(records, campaign)).to_dict("records")
    assert (row["n"], row["collapsed"], row["distinct_cells"], row["modal_share"]) == (3, 1, 2, pytest.approx(2 / 3))
    assert row["modal_cell"] == records[0]["cell"]
    # twice (2 none, 1 skip, 3 convolutions 3×3), once six skips
    assert (row["none"], row["skip_connect"], row["nor_conv_3x3"]) == (pytest.approx(4 / 3), pytest.approx(8 / 3), 2)
    assert (row["answer_changes"], row["alpha_entropy"], row["alpha_change"]) == (1, 0.5, pytest.approx(2 / 3))
    assert (row["one_shot_spearman"], row["one_shot_spearman_good"]) == (pytest.approx(0.6), pytest.approx(0.1))
    said = "\n".join(notes.warnings(results_of(records, campaign)))
    assert "The architecture parameters did not move: a 1 of 3 runs" in said
    of_queries = [r | {"kind": "multi-trial"} for r in records]  # α of the best cell seen
    assert "did not move" not in "\n".join(notes.warnings(results_of(of_queries, campaign)))
