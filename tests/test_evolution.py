"""Regularised evolution: whom it asks for, who lives, and who wins a tournament."""

import numpy as np
from support.searching import build, searching, separable_task

from benchmarks.nb201 import cell as C


def test_evolution_is_ten_random_cells_then_one_edge_children_of_the_living():
    _task, searcher = build("evolution")
    queried = []
    while (step := searcher.step()) is not None:
        queried.append(C.from_index(step.metrics["queried"]))
    assert len(queried) > 12
    for k in range(10, len(queried)):
        living = queried[k - 10 : k]  # the oldest dies: the last ten are alive
        assert any(sum(a != b for a, b in zip(queried[k], parent, strict=True)) == 1 for parent in living)
        assert len(searcher.population) == 10
    assert [cell for _, cell in searcher.population] == queried[-10:]


def test_tournament_draws_with_replacement():
    _, searcher = build("evolution")
    searcher.population.extend((float(k), C.from_index(k)) for k in range(10))
    winners = [C.index(searcher.tournament()) for _ in range(20_000)]
    # P(best of 3 draws with replacement = member k) = ((k+1)³ − k³)/1000: 0.1 % for the worst, never without
    share = np.bincount(winners, minlength=10) / 20_000
    expected = np.diff(np.arange(11) ** 3) / 1000
    assert np.abs(share - expected).max() < 0.013
    assert share[0] > 0


def test_it_looks_for_the_highest_accuracy_and_keeps_each_with_its_cell():
    """On a landscape with one optimum it ends above the best of as many random draws."""
    best = {}
    for name in ("evolution", "random"):
        searcher = searching(name, separable_task(budget=400.0))
        while (step := searcher.step()) is not None:
            best[name] = step.metrics["accuracy"]
            if name == "evolution":
                accuracy, cell = searcher.population[-1]
                assert accuracy == searcher.task.low_fidelity(cell)[0]
    assert best["evolution"] > best["random"]
