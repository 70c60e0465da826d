"""What of a spread is the final trainings."""

import pytest
from support.campaigns import make_campaign, make_record, results_of

from harness.report import frames
from harness.report.variance import training_variance


def test_of_different_cells_it_is_the_mean_variance_of_their_scores():
    """Single trainings scatter by 2 in the best tenth and by 5 below; scores are means of 3."""
    records = [make_record("a", s, v) for s, v in enumerate([94.0, 93.9, 50.0])]
    campaign = make_campaign({"a": "one-shot"}, [0, 1, 2])
    campaign["space"]["cifar10"]["test"]["trial_std"] = [5.0] * 9 + [2.0]
    results = results_of(records, campaign)
    table = results.table("cifar10")
    runs = results.runs("a")
    assert training_variance(runs, "cifar10", "test", table) == pytest.approx((4 / 3 + 4 / 3 + 25 / 3) / 3)
    row = frames.results_table(results).query("dataset == 'cifar10' and split == 'test'").iloc[0]
    assert row["training_std"] == pytest.approx((33 / 9) ** 0.5)
    assert training_variance(runs, "cifar100", "test", results.table("cifar100")) is None  # nothing is known
    assert training_variance(runs[:1], "cifar10", "test", table) is None


def test_runs_that_end_with_one_cell_share_its_trainings():
    records = [make_record("a", s, v) for s, v in enumerate([94.0, 94.0, 93.0])]
    campaign = make_campaign({"a": "one-shot"}, [0, 1, 2])
    campaign["space"]["cifar10"]["test"]["trial_std"] = [3.0]
    results = results_of(records, campaign)
    # of three pairs two differ, each by 9 / 3
    assert training_variance(results.runs("a"), "cifar10", "test", results.table("cifar10")) == pytest.approx(2.0)


def test_where_evaluations_are_ours_it_is_their_own_variance():
    records = [make_record("a", s, 90.0 + s) for s in range(2)]
    for record, each in zip(records, ([89.0, 91.0], [90.0, 92.0, 91.0]), strict=True):
        for score in record["scores"]:
            if (score["dataset"], score["split"]) == ("cifar10", "test"):
                score["each"] = each
    results = results_of(records, make_campaign({"a": "one-shot"}, [0, 1]))
    assert training_variance(results.runs("a"), "cifar10", "test", None) == pytest.approx((2 / 2 + 1 / 3) / 2)
