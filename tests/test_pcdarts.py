"""PC-DARTS: weights of operations and edges, and epochs in which α rests."""

import numpy as np
import torch
from support.searching import build, resting


def test_edge_weights_of_pcdarts_sum_to_one_at_each_node_and_alphas_rest_at_first():
    _, searcher = build("pcdarts")
    alphas = torch.randn(6, 6, generator=torch.Generator().manual_seed(0))
    weights = searcher.relax(alphas)
    beta = weights[:, 5]
    torch.testing.assert_close(torch.stack([beta[:1].sum(), beta[1:3].sum(), beta[3:].sum()]), torch.ones(3))
    torch.testing.assert_close(weights[:, :5].sum(1), beta)
    answers = [searcher.step().alphas for _ in range(4)]
    assert np.array_equal(answers[0], answers[2])  # 3 of 10 epochs
    assert not np.array_equal(answers[2], answers[3])


def test_epochs_without_alpha_steps_report_no_validation_loss():
    _, searcher = build("pcdarts")
    assert ["valid_loss" in searcher.step().metrics for _ in range(4)] == [False, False, False, True]


def test_pcdarts_weights_by_hand(monkeypatch):
    """Softmax of ln 6, 0, 0, 0, 0: 0.6 and four of 0.1. β's parameters 9 | 0, ln 3 | 0, 0, ln 2 give 1, 1/4, 3/4, …"""
    alphas = torch.zeros(6, 6)
    alphas[:, 0] = np.log(6)
    alphas[:, 5] = torch.tensor([9, 0, np.log(3), 0, 0, np.log(2)])
    for normalised, beta in ((True, [1, 0.25, 0.75, 0.25, 0.25, 0.5]), (False, [1] * 6)):
        _, searcher = build("pcdarts", edge_normalisation=normalised)
        of_w, of_alpha, _ = resting(searcher, monkeypatch)
        with torch.no_grad():
            searcher.alpha.alphas.copy_(alphas)
        searcher.epoch = 5  # alphas no longer rest
        searcher.step()
        expected = np.outer(beta, [0.6, 0.1, 0.1, 0.1, 0.1, 1.0])
        for choice in [*of_w, *of_alpha]:
            np.testing.assert_allclose(choice.detach(), expected, rtol=1e-5)
        assert (len(of_w), len(of_alpha)) == (4, 4)
