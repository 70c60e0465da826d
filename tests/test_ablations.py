"""The table of ablations: paired differences, and their test."""

import pytest
from support.campaigns import make_campaign, make_record, results_of

from benchmarks.nb201 import cell
from harness.report import markup, readable
from harness.report.ablations import ablation_table, sentences
from harness.report.notes import Question


def record(label, seed, value, status="done", index=7):
    score = {"dataset": "d", "split": "test", "value": value, "epochs": 9, "trials": 3, "record": "d"}
    name = cell.to_string(cell.from_index(index))
    return make_record(label, seed, value, index=index, cell=name, status=status, trajectory=[],
                       scores=[score | {"without_none": False}])  # fmt: skip


ABOUT = make_campaign(dict.fromkeys(("s", "s-1", "s-2"), "one-shot"), [0])
ABOUT["space"] = {}
ABOUT["searchers"][1]["spec"], ABOUT["searchers"][2]["spec"] = "s[x=1]", "s[x=2]"
ABOUT["ablations"] = {"of": "s", "rows": {"s-1": "no x", "s-2": "much x"}}


def test_differences_are_of_the_same_seed():
    """no x: seeds 0 to 5 lose 1, 2, 3, 4, 5, 6 points; seed 6 has no default run, seed 7 failed."""
    records = [record("s", k, 90.0) for k in range(6)] + [record("s", 7, 90.0)]
    records += [record("s-1", k, 90.0 - (k + 1), index=7 + k) for k in range(6)] + [record("s-1", 6, 10.0)]
    records += [record("s-1", 7, 0.0, status="failed")]
    records += [record("s-2", k, 90.0 + (-1) ** k) for k in range(4)]
    frame = ablation_table(results_of(records, ABOUT))
    first, second = frame.to_dict("records")
    assert (first["ablation"], first["n"], first["difference"], first["mean_difference"]) == ("no x", 6, -3.5, -3.5)
    assert (first["same_answer"], second["same_answer"]) == (1, 4)
    assert (first["spec"], first["verdict"], first["endpoint"]) == ("s[x=1]", "untestable", "primary")
    assert (first["ci_low"], first["ci_high"], first["ci_level"]) == (-6, -1, 1 - 2**-5)
    assert first["p"] == pytest.approx(2 / 64)
    assert first["p_holm"] == pytest.approx(4 / 64)  # the smaller of two
    assert (second["n"], second["difference"], second["p"], second["p_holm"]) == (4, 0, 1, 1)
    text = markup.to_markdown(readable.readable_ablations(frame))
    headings = "| part | n | d median difference | d mean difference | d p | collapsed | p, collapse | same answer |"
    assert headings in text
    assert (
        "| no x ([x=1]) | 6 | −3.50 [−6.00, −1.00; 0.969] | −3.50 [−6.00, −1.00] | 0.062 | 0 of 6 | 1 | 1 of 6 |"
        in text
    )
    assert "Below 7 pairs no p can reach that" in text  # 2 / 2^7 x 2 tests = 0.031
    assert sentences(frame) == ["Too few pairs to say, below 7: no x; much x."]


def test_an_ablation_that_differs_is_said_in_words_and_in_bold():
    """Lower at 10 seeds of 10: p 2 / 1024, over two tests 0.0039; every interval has the level of n = 10."""
    records = [record("s", k, 90.0) for k in range(10)] + [record("s-1", k, 89.0 - k) for k in range(10)]
    records += [record("s-2", k, 90.0) for k in range(10)]
    frame = ablation_table(results_of(records, ABOUT))
    assert list(frame["verdict"]) == ["worse", "constant"]
    text = markup.to_markdown(readable.readable_ablations(frame))
    assert "| no x ([x=1]) | 10 | **−5.50 [−9.00, −2.00]** | −5.50 [−7." in text
    assert "] | **0.0039** | 0 of 10 | 1 | 10 of 10 |" in text
    assert "order-statistic interval of level 0.979" in text
    assert sentences(frame) == [
        "s, no x: its typical run is worse on d (median −5.50 points, mean −5.50, p = 0.0039, n = 10).",
        "The same accuracies as s on d: much x.",
    ]
    frame["dataset"] = "ImageNet16-120"  # a hyphen in a name is no minus
    assert sentences(frame)[0].startswith("s, no x: its typical run is worse on ImageNet16-120 (median −5.50 points")


def test_collapse_is_mcnemar_s_in_a_family_of_its_own():
    """8 of 10 collapsed against none, all at other seeds: 2 / 2^8, over two 0.0156. One of 10: p 1."""
    records = [record("s", k, 90.0 + k) for k in range(10)]
    records += [record("s-1", k, 90.0 + k + (-1) ** k) | {"collapsed": k < 8} for k in range(10)]
    records += [record("s-2", k, 90.0 + k - (-1) ** k) | {"collapsed": k < 1} for k in range(10)]
    frame = ablation_table(results_of(records, ABOUT))
    first, second = frame.to_dict("records")
    assert (first["collapsed"], first["collapsed_default"], first["collapse_verdict"]) == (8, 0, "worse")
    assert first["p_collapse_holm"] == pytest.approx(2 * 2 / 2**8)
    assert (second["p_collapse"], second["collapse_verdict"]) == (1, "unknown")
    assert sentences(frame) == [
        "Not shown to differ from s on d: no x; much x.",
        "s, no x: 8 of 10 collapsed, of the default 0: worse (McNemar, p = 0.016).",
        "Collapsed, of the default 0, and not shown to differ: much x 1 of 10 (McNemar, p = 1 before Holm, p = 1 "
        "after).",
    ]


def test_only_the_primary_endpoint_is_tested():
    campaign = make_campaign(dict.fromkeys(("s", "s-1"), "one-shot"), list(range(8)))
    campaign["ablations"] = {"of": "s", "rows": {"s-1": "no x"}}
    records = [make_record(k, s, v + s) for k, v in (("s", 80.0), ("s-1", 79.0)) for s in range(8)]
    frame = ablation_table(results_of(records, campaign), Question(margin=3))
    tested = frame.set_index(["dataset", "split"])["p"].dropna()
    assert dict(tested) == {("cifar10", "test"): pytest.approx(2 / 2**8)}
    row = frame.query("endpoint == 'primary'").iloc[0]
    assert (row["verdict"], row["belief_equal"]) == ("equivalent", 1.0)
    assert row["p_equivalence"] == pytest.approx(1 / 2**8)
    other = ablation_table(results_of(records, campaign | {"endpoint": "mean"}))
    assert list(other[other["endpoint"] == "primary"]["dataset"]) == ["mean"]


def test_cells_that_compute_the_same_are_the_same_answer():
    """What the convolution of the first cell makes goes nowhere: both are the identity."""
    one = cell.index(cell.from_string("|nor_conv_3x3~0|+|none~0|none~1|+|skip_connect~0|none~1|none~2|"))
    two = cell.index(cell.from_string("|none~0|+|none~0|none~1|+|skip_connect~0|none~1|none~2|"))
    records = [record("s", 0, 90.0, index=one), record("s-1", 0, 91.0, index=two)]
    assert ablation_table(results_of(records, ABOUT))["same_answer"].iloc[0] == 1
    records[1] = record("s-1", 0, 91.0)
    assert ablation_table(results_of(records, ABOUT))["same_answer"].iloc[0] == 0


def test_other_campaigns_have_no_ablations():
    assert ablation_table(
        results_of([record("s", 0, 90.0)], {k: v for k, v in ABOUT.items() if k != "ablations"})
    ).empty
