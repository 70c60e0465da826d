"""REINFORCE: its first steps by hand, and what it learns."""

import numpy as np
from support.searching import searching, separable_task

from benchmarks.nb201 import space


def test_reinforce_s_first_steps_by_hand():
    """The first advantage is 0 (the baseline is that reward); the second Adam step has m/√v worked out here."""
    task = separable_task()
    searcher = searching("reinforce", task, init=0.0)
    searcher.learn(np.full((6, 5), 0.2), np.array([0, 1, 2, 3, 4, 0]), 50.0)
    np.testing.assert_array_equal(searcher.logits, 0.0)
    searcher.learn(np.full((6, 5), 0.2), np.array([3] * 6), 60.0)
    baseline = (0.9 * 0.1 * 50 + 0.1 * 60) / (1 - 0.81)  # 55.26…
    gradient = -(60 - baseline) * (np.eye(5)[3] - 0.2)
    m, v = 0.1 * gradient / (1 - 0.81), 0.001 * gradient**2 / (1 - 0.999**2)
    np.testing.assert_allclose(searcher.logits[2], -0.01 * m / np.sqrt(v), rtol=1e-6)
    assert searcher.logits[0, 3] > 0 > searcher.logits[0, 0]


def test_reinforce_learns_the_separable_optimum():
    searcher = searching("reinforce", separable_task(budget=1500.0), lr=0.05)
    while searcher.step() is not None:
        pass
    assert space.derive(searcher.logits) == (3,) * 6
