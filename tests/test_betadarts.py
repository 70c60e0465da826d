"""β-DARTS: its penalty."""

import numpy as np
import torch
from support.searching import build


def test_beta_decay_by_hand():
    """The derivative of 50·k/K·mean over six edges of log Σ exp α is 50·k/K·softmax/6."""
    _, searcher = build("betadarts")
    searcher.epoch = 4  # of 10
    alphas = torch.randn(6, 5, generator=torch.Generator().manual_seed(0)).requires_grad_()
    searcher.penalty(alphas).backward()
    np.testing.assert_allclose(alphas.grad, 20 * alphas.detach().softmax(1) / 6, rtol=1e-5)
