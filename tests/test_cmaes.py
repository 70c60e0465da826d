"""CMA-ES on a supernet and on the table, against the package driven by hand."""

import numpy as np
from cmaes import CMA
from support.searching import build, searching, separable_task

from benchmarks.nb201 import space
from searchers.cmaes import Strategy


def test_one_shot_cmaes_minimises_the_error_and_answers_its_mean(monkeypatch):
    """Against the package driven by hand; the error is the share of edges that are no 3x3 convolution."""
    task, searcher = build("cmaes", generations=30)

    def error(cell):
        return sum(op != 3 for op in cell) / 6

    monkeypatch.setattr(searcher.training, "errors", lambda cells, x, y: np.array([error(c) for c in cells]))
    alphas, found = searcher.evolve()
    cma = CMA(np.zeros(30), 1.3, population_size=14, seed=task.seed_of("cmaes") % 2**32)
    for _ in range(30):
        asked = [cma.ask() for _ in range(14)]
        cma.tell([(x, 100 * error(space.derive(x.reshape(6, 5)))) for x in asked])
    np.testing.assert_allclose(alphas, cma.mean.reshape(6, 5))
    assert space.derive(alphas) == (3,) * 6
    assert found["best_one_shot"] == 100.0


def test_cma_es_beats_random_search_on_the_separable_landscape_and_replays():
    """Over five seeds: rounding, which differs between processors, decides where a single search goes."""
    total = dict.fromkeys(("cmaes-table", "random"), 0.0)
    for name in total:
        for seed in range(5):
            task = separable_task(budget=280.0, seed=seed)
            searcher = searching(name, task)
            while (step := searcher.step()) is not None:
                answer = step.cell
            total[name] += task.low_fidelity(answer)[0]
    assert total["cmaes-table"] > total["random"]
    one = Strategy(30, 1.3, 14, 5)
    for _ in range(3):
        samples = one.ask()
        one.tell(samples, [float((s**2).sum()) for s in samples])
    two = Strategy(30, 1.3, 14, 5)
    two.replay(one.error_history)
    np.testing.assert_array_equal(one.ask(), two.ask())


def test_cmaes_answers_what_it_evolved(monkeypatch):
    _, searcher = build("cmaes")
    alphas = np.eye(6, 5)
    monkeypatch.setattr(searcher, "evolve", lambda: (alphas, {}))
    steps = [searcher.step() for _ in range(10)]
    assert steps[-1].alphas is alphas
    assert all(step.alphas is searcher.start for step in steps[:-1])
