"""DARTS: steps on α and on w, of first and second order, against the same worked out in another way."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from support.searching import build, choice_of, resting
from support.spy import spy

from searchers import darts


@pytest.mark.case(55)
def test_second_order_step_leaves_weights_and_momentum_bit_identical():
    _, searcher = build("darts[order=2]")
    training, alpha = searcher.training, searcher.alpha
    x, y = next(training.batches(0))
    training.weight_step(x, y, alpha.choice())  # so that there is momentum
    weights = [p.detach().clone() for p in training.net.parameters()]
    buffers = [training.sgd.state[p]["momentum_buffer"].clone() for p in training.net.parameters()]
    before = alpha.values()
    darts.unrolled_step(training, alpha, x, y)
    assert not np.array_equal(alpha.values(), before)
    for p, w, b in zip(training.net.parameters(), weights, buffers, strict=True):
        assert torch.equal(p, w)
        assert torch.equal(training.sgd.state[p]["momentum_buffer"], b)
    assert list(training.net.buffers()) == []  # batch statistics: BN keeps no state


@pytest.mark.case(54)
def test_second_order_gradient_is_the_exact_one_up_to_the_finite_difference(monkeypatch):
    """d/dα L_valid(w − ξ(μ·m + ∇_w L_train + λw), α), differentiated through exactly, in float64.

    With a smooth function in ReLU's place: at its kinks differences and derivatives are not the same thing.
    """
    monkeypatch.setattr(F, "relu", lambda x, inplace=False: F.softplus(x))
    _, searcher = build("darts[order=2]", alpha_init=0.3, lr=0.2, weight_decay=0.01)
    training, alpha = searcher.training, searcher.alpha
    batches = list(training.batches(0))[:2]
    training.weight_step(*batches[0], alpha.choice())
    training.net.double()
    training.net.zero_grad()
    alpha.alphas = alpha.alphas.detach().double().requires_grad_()
    for p in training.net.parameters():
        training.sgd.state[p]["momentum_buffer"] = training.sgd.state[p]["momentum_buffer"].double()
    x, y = batches[1][0].double(), batches[1][1]
    validation = training.valid.next()
    validation = validation[0].double(), validation[1]
    monkeypatch.setattr(training.valid, "next", lambda: validation)
    found = []
    monkeypatch.setattr(alpha, "descend", found.append)

    named = dict(training.net.named_parameters())

    def loss(weights, batch):
        logits = torch.func.functional_call(training.net, weights, (batch[0], alpha.alphas.softmax(1)))
        return F.cross_entropy(logits, batch[1])

    gradients = torch.autograd.grad(loss(named, (x, y)), list(named.values()), create_graph=True)
    ahead = {
        name: w - 0.2 * (0.9 * training.sgd.state[w]["momentum_buffer"] + g + 0.01 * w)
        for (name, w), g in zip(named.items(), gradients, strict=True)
    }
    exact = torch.autograd.grad(loss(ahead, validation), alpha.alphas)[0]
    # What the second-order term adds, so that a step without it would fail
    first_order = torch.autograd.grad(loss({n: w.detach() for n, w in ahead.items()}, validation), alpha.alphas)[0]
    darts.unrolled_step(training, alpha, x, y)
    assert (exact - first_order).norm() > 0.05 * exact.norm()
    assert (found[0] - exact).norm() < 0.1 * (exact - first_order).norm()


def test_alpha_steps_are_adam_s_by_hand():
    """β 0.5 and 0.999. First m̂ = v̂ = 1; then m̂ = −1.25 / 0.75, v̂ = 0.009999 / 0.001999. Decay is part of a gradient."""
    _, searcher = build("darts", alpha_init=0.0, alpha_lr=0.1, alpha_weight_decay=0.0)
    searcher.alpha.descend(torch.ones((6, 5)))
    np.testing.assert_allclose(searcher.alpha.values(), -0.1, rtol=1e-5)
    searcher.alpha.descend(torch.full((6, 5), -3.0))
    np.testing.assert_allclose(searcher.alpha.values(), -0.0254793, rtol=1e-4)
    _, searcher = build("darts", alpha_init=0.0, alpha_lr=0.1, alpha_weight_decay=1.0)
    with torch.no_grad():
        searcher.alpha.alphas.fill_(2.0)
    searcher.alpha.descend(torch.zeros((6, 5)))
    np.testing.assert_allclose(searcher.alpha.values(), 1.9, rtol=1e-5)


@pytest.mark.parametrize("name", ["darts", "betadarts"])
def test_alpha_descends_the_loss_of_validation_batches_and_the_penalty(name, monkeypatch):
    """Epoch 4 of 10: β-DARTS adds 20 · softmax(α) / 6 to the gradient, DARTS nothing."""
    _, searcher = build(name, alpha_init=0.5)
    _, _, gradients = resting(searcher, monkeypatch)
    searcher.epoch, valid = 4, searcher.training.valid
    before = valid.state_dict()
    searcher.step()
    valid.load_state_dict(before)
    alphas = torch.tensor(searcher.alpha.values(), dtype=torch.float32, requires_grad=True)
    assert len(gradients) == 4
    for found in gradients:
        x, y = valid.next()
        (expected,) = torch.autograd.grad(F.cross_entropy(searcher.training.net(x, alphas.softmax(1)), y), alphas)
        if name == "betadarts":
            expected = expected + 20 * alphas.detach().softmax(1) / 6
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", ["darts", "darts[order=2]", "betadarts"])
def test_steps_go_through_the_softmax_of_the_alphas_there_are(name, monkeypatch):
    _, searcher = build(name, alpha_init=1.0)
    of_w, of_alpha, _ = resting(searcher, monkeypatch)
    if name == "darts[order=2]":  # its own passes, not through `loss_for_alphas`
        of_alpha = spy(monkeypatch, searcher.training, "loss", choice_of)
    searcher.step()
    e = np.exp(searcher.alpha.values())
    for choice in [*of_w, *of_alpha]:
        np.testing.assert_allclose(choice.detach(), e / e.sum(1, keepdims=True), rtol=1e-5)
    assert (len(of_w), len(of_alpha)) == (4, 16 if name == "darts[order=2]" else 4)


@pytest.mark.case(53)
def test_weight_steps_leave_alphas_and_alpha_steps_leave_weights_bit_identical():
    _task, searcher = build("darts", weight_decay=1.0, alpha_weight_decay=1.0)
    for group in searcher.training.sgd.param_groups:
        group["lr"] = 1.0
    x, y = searcher.training.train.next()
    weights = [p.detach().clone() for p in searcher.training.net.parameters()]
    alphas = searcher.alpha.alphas.detach().clone()
    searcher.alpha.step()
    assert all(torch.equal(p, w) for p, w in zip(searcher.training.net.parameters(), weights, strict=True))
    moved = searcher.alpha.alphas.detach().clone()
    assert not torch.equal(moved, alphas)
    searcher.training.weight_step(x, y, searcher.alpha.choice())
    assert torch.equal(searcher.alpha.alphas, moved)
    assert not all(torch.equal(p, w) for p, w in zip(searcher.training.net.parameters(), weights, strict=True))
    ids = {id(p) for group in searcher.training.sgd.param_groups for p in group["params"]}
    assert id(searcher.alpha.alphas) not in ids


def test_first_alpha_step_is_adam_s():
    """Adam's first step moves each entry by lr against the sign of its gradient, whatever its size."""
    _, searcher = build("darts", alpha_weight_decay=0.0)
    before = searcher.alpha.values()
    searcher.alpha.step()
    moved = searcher.alpha.values() - before
    np.testing.assert_allclose(np.abs(moved), 3e-4, rtol=1e-3)
    assert 0 < (moved > 0).sum() < 30
