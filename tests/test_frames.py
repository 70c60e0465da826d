"""Tables as data frames from synthetic records: the contract's columns, numbers worked by hand."""

from __future__ import annotations

import csv
import io

import numpy as np
import pytest
from support.campaigns import failed, make_campaign, make_record, make_scores, results_of, two_searchers

from harness.report import frames, notes


@pytest.mark.case(26, 74)
def test_results_table_is_the_contract_with_hand_worked_numbers():
    records, campaign = two_searchers()
    frame = frames.results_table(results_of(records, campaign))
    assert ",".join(frame.columns) == (
        "searcher,label,kind,search_dataset,dataset,split,epochs,n,mean,std,median,ci_low,ci_high,ci_level,regret,"
        "mean_without_none,std_without_none,search_seconds,simulated_seconds,evaluations,"
        "iqm,iqm_low,iqm_high,relative_improvement,beaten,benchmark,table_sha256,table_cells,"
        "collapsed,collapsed_low,collapsed_high,training_std"
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
