"""GDAS: its draws, its temperature, and what it trains on."""

import numpy as np
import pytest
import torch
from support.searching import build, prefer, resting

from benchmarks.base import Sampled
from benchmarks.nb201 import cell as C


def test_gdas_draws_operations_in_the_softmax_s_shares_at_any_temperature():
    _, searcher = build("gdas")
    alphas = torch.tensor([[0.0, 1.0, 2.0, -1.0, 0.5]]).expand(6, 5)
    for searcher.epoch in (0, 9):
        with torch.no_grad():
            drawn = np.array([searcher.relax(alphas) for _ in range(2000)]).reshape(-1)
        share = np.bincount(drawn, minlength=5) / len(drawn)
        np.testing.assert_allclose(share, alphas[0].softmax(0).numpy(), atol=0.015)
    assert [searcher.tau() for searcher.epoch in (0, 9)] == pytest.approx([10.0, 0.1])


def test_gdas_temperature_divides_the_gradient(monkeypatch):
    """Equal α and equal noise: every soft weight is 1/5, d s₀/d α₀ = 0.2 · 0.8 / τ and the others' −0.2 · 0.2 / τ."""
    _, searcher = build("gdas")
    monkeypatch.setattr(torch.Tensor, "exponential_", lambda self, generator=None: self.fill_(1.0))
    for searcher.epoch, tau in ((0, 10.0), (9, 0.1)):
        alphas = torch.zeros((6, 5), requires_grad=True)
        searcher.relax(alphas).weights[:, 0].sum().backward()
        np.testing.assert_allclose(alphas.grad[:, 0], 0.16 / tau, rtol=1e-4)
        np.testing.assert_allclose(alphas.grad[:, 1:], -0.04 / tau, rtol=1e-4)


def test_it_trains_on_paths_of_the_alphas_there_are(monkeypatch):
    _, searcher = build("gdas")
    of_w, of_alpha, _ = resting(searcher, monkeypatch)
    prefer(searcher, 284)
    searcher.epoch = 9  # the lowest temperature
    searcher.step()
    assert of_w == [C.from_index(284)] * 4
    assert [(type(c), c.cell) for c in of_alpha] == [(Sampled, C.from_index(284))] * 4
