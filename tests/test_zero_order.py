"""The zero-order gradient: its estimate, from errors that are given."""

import numpy as np
from support.searching import build, evaluations_an_epoch
from support.spy import spy

from benchmarks.nb201 import space


def test_zero_order_estimate_from_given_errors(monkeypatch):
    _, searcher = build("zero-order", pairs=3, sigma=0.5)
    state = searcher.noise.bit_generator.state
    u = searcher.noise.standard_normal((3, 6, 5))
    searcher.noise.bit_generator.state = state
    losses = np.array([1.0, 2.0, 3.0, 0.5, 2.5, 3.5])  # at the three α + σu, then at the three α − σu
    scored = spy(monkeypatch, searcher.training, "errors", lambda cells, x, y: cells, lambda cells, x, y: losses)
    expected = ((1.0 - 0.5) * u[0] + (2.0 - 2.5) * u[1] + (3.0 - 3.5) * u[2]) / 3  # 2σ = 1
    np.testing.assert_allclose(searcher.estimate(), expected)
    (cells,) = scored
    assert cells[4] == space.derive(searcher.alpha.values() - 0.5 * u[1])


def test_how_many_candidates_an_epoch_scores():
    """Two estimates of two pairs."""
    assert evaluations_an_epoch("zero-order", 2) == [8, 8]
