"""What scores like, by hand: five cells are a whole sample's better half and top fifth."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import spearmanr
from support.campaigns import make_campaign, make_record, results_of

from benchmarks.nb201 import cost, space
from harness.report import bias, frames

# Ten cells, best first; the better half is the first five, the top fifth the first two.
CELLS = [(3, 3, 3, 3, 3, 3), (3, 3, 3, 1, 3, 3), (2, 2, 2, 1, 3, 1), (2, 1, 2, 1, 1, 4), (1, 1, 1, 1, 1, 3),
         (4, 4, 4, 4, 4, 3), (0, 4, 4, 1, 4, 3), (0, 0, 0, 1, 2, 2), (0, 0, 0, 1, 0, 0), (0,) * 6]  # fmt: skip
ACCURACIES = [94.0, 93.5, 92.0, 91.0, 90.0, 88.0, 80.0, 70.0, 50.0, 10.0]
LOSSES = [1.5, 1.2, 1.1, 1.0, 0.9, 1.6, 1.7, 1.8, 2.0, 2.3]  # of the better half in reverse


def sample(**changes):
    return {"cells": [space.index(cell) for cell in CELLS], "accuracies": ACCURACIES, "losses": LOSSES,
            "spearman": 0.5, "spearman_good": -1.0} | changes  # fmt: skip


def rows(*one_shot, kind="one-shot"):
    records = [make_record("a", seed, 90.0, kind, one_shot=each) for seed, each in enumerate(one_shot)]
    (row,) = frames.diagnostics(results_of(records, make_campaign({"a": kind}, [0, 1]))).to_dict("records")
    return row


def test_scores_and_truth_against_operations_and_parameters_in_the_better_half():
    """The loss likes the reverse of the truth there: skips 0 1 2 3 5, so ρ is 1 with the scores and −1 with truth."""
    row = rows(sample())
    assert row["one_shot_spearman_top"] == pytest.approx(-1)
    assert (row["score_skip_connect"], row["truth_skip_connect"]) == pytest.approx((1, -1))
    conv3 = [6, 5, 1, 0, 1]
    expected = spearmanr(conv3, ACCURACIES[:5]).statistic
    assert (row["truth_nor_conv_3x3"], row["score_nor_conv_3x3"]) == pytest.approx((expected, -expected))
    parameters = cost.parameters(bias.NetworkSize(16, 5, 3, 10))[[space.index(cell) for cell in CELLS[:5]]]
    expected = spearmanr(parameters, ACCURACIES[:5]).statistic
    assert row["truth_parameters"] == pytest.approx(expected)
    assert np.isnan(row["score_none"])  # no cell of the better half has one


def test_seeds_are_averaged_and_scores_of_a_training_free_search_are_taken_as_they_are():
    both = rows(sample(), sample(losses=[-a for a in ACCURACIES]))
    assert (both["score_skip_connect"], both["truth_skip_connect"]) == pytest.approx((0, -1))
    free = rows(sample(losses=[], scores=ACCURACIES), kind="training-free")
    assert (free["score_skip_connect"], free["one_shot_spearman_top"]) == pytest.approx((-1, 1))


@pytest.mark.parametrize("wrong", [{"cells": []}, {"losses": LOSSES[:3]}, {"cells": ["?"] * 10}])
def test_a_sample_that_is_not_whole_says_nothing(wrong):
    assert np.isnan(rows(sample(**wrong))["truth_skip_connect"])
