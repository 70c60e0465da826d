"""Plots of what happened in a search, and of ranks."""

from __future__ import annotations

import numpy as np
import pytest
from support.campaigns import results_of, two_searchers

from harness.report import inference, plots_search


@pytest.mark.case(91)
def test_bars_join_what_the_test_cannot_tell_apart():
    """Mean ranks 1, 2, 3 of which neighbours do not differ and the outer two do: two bars, {1, 2} and {2, 3}."""
    p = np.array([[1.0, 0.3, 0.01], [0.3, 1.0, 0.3], [0.01, 0.3, 1.0]])
    found = inference.Ranks(np.array([3.0, 1.0, 2.0]), 12, 0.001, 1.2, p[[2, 0, 1]][:, [2, 0, 1]])
    order = np.argsort(found.mean)
    assert plots_search._cliques(found, order) == [(0, 1), (1, 2)]
    same = found._replace(nemenyi_p=np.ones((3, 3)))
    assert plots_search._cliques(same, order) == [(0, 2)]
    apart = found._replace(nemenyi_p=np.zeros((3, 3)))
    assert plots_search._cliques(apart, order) == []


def test_layers_of_operations_are_those_of_the_answers():
    """Cell 17: 2 skips, 3 1×1 convolutions, 1 pool."""
    layers = plots_search.operations(results_of(*two_searchers())).axes[0].collections
    assert [layer.get_paths()[0].vertices[:, 1].max() for layer in layers] == np.cumsum([0, 2, 3, 0, 1]).tolist()


def test_one_shot_scores_stand_against_the_table_s():
    records, campaign = two_searchers()
    records[0]["one_shot"] = {"cells": [1, 2], "losses": [0.5, 2.0], "accuracies": [80.0, 60.0]}
    records[0]["one_shot"] |= {"spearman": -0.25, "spearman_good": None}
    ax = plots_search.one_shot(results_of(records, campaign)).axes[0]
    assert ax.collections[0].get_offsets().tolist() == [[0.5, 80.0], [2.0, 60.0]]
    assert ax.get_title() == "gicso\nseed 0: ρ = −0.25"


def test_answers_lie_in_the_cloud_of_all_cells():
    """Answers of 90 to 94 on test images; on validation they are 2 lower."""
    records, campaign = two_searchers()
    campaign["cloud"] = {"width": 0.5, "bins": {"cifar10": [[160, 170, 3]]}}
    cloud, answers, _ = plots_search.space(results_of(records, campaign)).axes[0].collections
    assert cloud.get_offsets().tolist() == [[80.25, 85.25]]  # the middle of its bin
    assert answers.get_offsets().tolist() == [[88.0 + s, 90.0 + s] for s in range(5)]
