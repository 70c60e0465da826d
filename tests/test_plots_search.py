"""Plots of what happened in a search, and of ranks."""

from __future__ import annotations

import numpy as np
import pytest
from support.campaigns import make_campaign, make_record, results_of, two_searchers

from harness.report import omnibus, plots_search


@pytest.mark.case(91)
def test_bars_join_what_the_test_cannot_tell_apart():
    """Mean ranks 1, 2, 3 of which neighbours do not differ and the outer two do: two bars, {1, 2} and {2, 3}."""
    p = np.array([[1.0, 0.3, 0.01], [0.3, 1.0, 0.3], [0.01, 0.3, 1.0]])
    pairs = p[[2, 0, 1]][:, [2, 0, 1]]
    found = omnibus.Ranks(np.array([3.0, 1.0, 2.0]), [12] * 3, omnibus.FRIEDMAN, 0.001, pairs, 1.2)
    order = np.argsort(found.mean)
    assert plots_search._cliques(found, order) == [(0, 1), (1, 2)]
    same = found._replace(pairs=np.ones((3, 3)))
    assert plots_search._cliques(same, order) == [(0, 2)]
    apart = found._replace(pairs=np.zeros((3, 3)))
    assert plots_search._cliques(apart, order) == []


def test_layers_of_operations_are_those_of_the_answers():
    """Cell 17: 2 skips, 3 1×1 convolutions, 1 pool."""
    layers = plots_search.operations(results_of(*two_searchers())).axes[0].collections
    assert [layer.get_paths()[0].vertices[:, 1].max() for layer in layers] == np.cumsum([0, 2, 3, 0, 1]).tolist()


def test_the_final_answers_have_a_width_of_their_own():
    """A search that answers in its last step would else be shown as its start."""
    ax = plots_search.operations(results_of(*two_searchers())).axes[0]
    assert [bar.get_height() for bar in ax.patches] == [0, 2, 3, 0, 1]
    assert min(bar.get_x() for bar in ax.patches) > 1


def test_cells_and_scatters_are_of_the_median_run():
    """Of 90 to 94 the median is seed 2; of ρ 0.9, 0.5 and 0.7 seed 2 as well."""
    records, campaign = two_searchers()
    results = results_of(records, campaign)
    assert plots_search.median_run(results, results.runs("gicso")).seed == 2
    assert plots_search.median_run(results, results.runs("gicso")[:4]).seed == 1  # the lower of two
    assert plots_search.cells(results).axes[0].get_title() == "gicso\nmedian: seed 2, cell 295, 5 of 5"
    for k, rho in enumerate([0.9, 0.5, 0.7]):
        records[k]["one_shot"] = {
            "losses": [0.5, 2.0],
            "accuracies": [80.0, 60.0],
            "spearman": rho,
            "spearman_good": None,
        }
    assert plots_search.one_shot(results_of(records, campaign)).axes[0].get_title() == "gicso\nmedian: seed 2, ρ = 0.70"


def test_the_rank_diagram_names_its_test():
    records = [make_record(k, s, v + s / 100) for k, v in {"a": 94.0, "b": 93.0, "c": 92.0}.items() for s in range(6)]
    ax = plots_search.ranks(results_of(records, make_campaign(dict.fromkeys("abc", "one-shot"), list(range(6))))).axes[
        0
    ]
    assert ax.get_title() == "cifar10: Kruskal-Wallis, n = 6, p < 0.001; bars: not apart by Dunn with Holm"


def test_one_shot_scores_stand_against_the_table_s():
    records, campaign = two_searchers()
    records[0]["one_shot"] = {"cells": [1, 2], "losses": [0.5, 2.0], "accuracies": [80.0, 60.0]}
    records[0]["one_shot"] |= {"spearman": -0.25, "spearman_good": None}
    ax = plots_search.one_shot(results_of(records, campaign)).axes[0]
    assert ax.collections[0].get_offsets().tolist() == [[0.5, 80.0], [2.0, 60.0]]
    assert ax.get_title() == "gicso\nmedian: seed 0, ρ = −0.25"


def test_answers_lie_in_the_cloud_of_all_cells():
    """Answers of 90 to 94 on test images; on validation they are 2 lower."""
    records, campaign = two_searchers()
    campaign["cloud"] = {"width": 0.5, "bins": {"cifar10": [[160, 170, 3]]}}
    cloud, answers, _ = plots_search.space(results_of(records, campaign)).axes[0].collections
    assert cloud.get_offsets().tolist() == [[80.25, 85.25]]  # the middle of its bin
    assert answers.get_offsets().tolist() == [[88.0 + s, 90.0 + s] for s in range(5)]
