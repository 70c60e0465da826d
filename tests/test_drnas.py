"""DrNAS: draws of a Dirichlet distribution, and the gradient through them."""

import numpy as np
import pytest
import torch
from support.searching import build, prefer, resting

from benchmarks.nb201 import cell as C


def test_drnas_draws_have_the_dirichlet_s_mean_and_variance():
    _, searcher = build("drnas")
    alphas = torch.tensor([[1.0, 0.0, -0.5, 2.0, 0.3]]).expand(6, 5).contiguous()
    draws = torch.cat([searcher.relax(alphas) for _ in range(2000)]).numpy()
    a = alphas[0].numpy()
    concentration = np.where(a > 0, a, np.expm1(a)) + 1
    total = concentration.sum()
    mean = concentration / total
    np.testing.assert_allclose(draws.sum(1), 1, rtol=1e-5)
    np.testing.assert_allclose(draws.mean(0), mean, atol=0.01)
    np.testing.assert_allclose(draws.var(0), mean * (1 - mean) / (total + 1), rtol=0.08)


def test_drnas_gradient_passes_through_the_draw():
    """The derivative of E[weight] is that of its mean c_k/Σc, averaged over many draws."""
    _, searcher = build("drnas")
    alphas = torch.full((6, 5), 0.5).requires_grad_()
    total = sum(searcher.relax(alphas)[:, 2].sum() for _ in range(3000)) / 3000
    total.backward()
    c = 1.5
    expected = np.full(5, -c / (5 * c) ** 2)
    expected[2] += 1 / (5 * c)
    np.testing.assert_allclose(alphas.grad.numpy().mean(0), expected, atol=0.004)


def test_it_trains_on_draws_of_the_alphas_there_are(monkeypatch):
    """Concentrations 31, 1, 1, 1, 1 on each edge: mean 31 / 35 for the first."""
    _, searcher = build("drnas")
    of_w, of_alpha, _ = resting(searcher, monkeypatch)
    prefer(searcher, 284)
    searcher.step()
    draws = torch.stack([c.detach() for c in [*of_w, *of_alpha]])
    torch.testing.assert_close(draws.sum(2), torch.ones(8, 6))
    assert len({tuple(d.flatten().tolist()) for d in draws}) == 8
    kept = draws[:, torch.arange(6), list(C.from_index(284))]
    assert kept.mean().item() == pytest.approx(31 / 35, abs=0.03)
