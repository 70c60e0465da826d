"""CSO on a supernet and on the table."""

import numpy as np
from support.searching import build, evaluations_an_epoch, searching, separable_task


def test_the_answer_is_g():
    _, searcher = build("cso")
    swarm, leaders = searcher.alphas, set()
    for _ in range(10):
        step = searcher.step()
        np.testing.assert_array_equal(step.alphas, swarm.best())
        leaders |= {k for k, x in enumerate(swarm.swarm.x) if np.array_equal(x, step.alphas.reshape(-1))}
    assert len(leaders) > 1  # not always the same particle


def test_its_swarm_moves_by_pairs():
    assert build("cso")[1].alphas.swarm.rule == "cso"


def test_how_many_candidates_an_epoch_scores():
    """6 particles, then 3 losers a generation, and all 6 with g at the end."""
    assert evaluations_an_epoch("cso", 2) == [6 + 3 + 7, 3 + 3 + 7]


def test_on_the_table_it_looks_for_the_highest_accuracy():
    """On a landscape with one optimum it ends above the best of as many random draws."""
    best = {}
    for name, settings in (("cso-table", {"population": 10}), ("random", {})):
        searcher = searching(name, separable_task(budget=400.0), **settings)
        while (step := searcher.step()) is not None:
            best[name] = step.metrics["accuracy"]
    assert best["cso-table"] > best["random"]
