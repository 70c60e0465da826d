"""DrNAS: draws of a Dirichlet distribution, and the gradient through them."""

import numpy as np
import torch
from support.searching import build


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
