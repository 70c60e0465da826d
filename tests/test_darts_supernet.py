"""The fast supernet of the DARTS space against the plain one."""

import numpy as np
import pytest
import torch
from support.darts_weights import pairs

from benchmarks.base import NetworkSize, Sampled
from benchmarks.darts import space
from benchmarks.darts.plain import PlainSupernet
from benchmarks.darts.supernet import Supernet

SIZE = NetworkSize(channels=8, cells=4, in_channels=3, num_classes=10)


def twins(share=1):
    """Both networks with the same weights, in double precision, and a batch."""
    torch.manual_seed(0)
    fast, plain = Supernet(SIZE, 0, share).double(), PlainSupernet(SIZE, share).double()
    copied = 0
    with torch.no_grad():
        for source, target, rows in pairs(plain, fast):
            source.copy_(target[rows].view_as(source))
            copied += source.numel()
    assert copied == sum(p.numel() for p in fast.parameters()) == sum(p.numel() for p in plain.parameters())
    return fast, plain, torch.randn(4, 3, 8, 8, dtype=torch.double)


def compare(fast, plain, x, choice, twin_choice):
    ours, theirs = fast(x, choice), plain(x, twin_choice)
    torch.testing.assert_close(ours, theirs)
    direction = torch.randn_like(ours)
    ours.backward(direction)
    theirs.backward(direction)
    for of_plain, of_fast, rows in pairs(plain, fast):
        wanted = torch.zeros_like(of_plain) if of_plain.grad is None else of_plain.grad
        got = torch.zeros_like(of_fast) if of_fast.grad is None else of_fast.grad
        torch.testing.assert_close(got[rows].view_as(wanted), wanted, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("share", [1, 2, 4])
def test_mixtures_have_the_plain_networks_outputs_and_gradients(share):
    fast, plain, x = twins(share)
    weights = torch.rand(28, 8 if share == 1 else 9, dtype=torch.double)
    one, other = weights.clone().requires_grad_(), weights.clone().requires_grad_()
    compare(fast, plain, x, one, other)
    torch.testing.assert_close(one.grad, other.grad)


@pytest.mark.parametrize("seed", range(3))
def test_paths_have_them_too(seed):
    fast, plain, x = twins()
    cell = space.sample(np.random.default_rng(seed))
    compare(fast, plain, x, cell, cell)


def test_a_path_may_have_any_number_of_inputs_at_a_node():
    """As GDAS draws them: an operation, or none, on every edge."""
    fast, plain, x = twins()
    drawn = tuple(np.random.default_rng(0).integers(0, 8, 28).tolist())
    compare(fast, plain, x, drawn, drawn)
    torch.testing.assert_close(fast(x, (0,) * 28), plain(x, (0,) * 28))


def test_a_sampled_path_is_the_path_and_the_drawn_weights_have_the_mixtures_gradient():
    fast, plain, x = twins()
    drawn = tuple(np.random.default_rng(1).integers(0, 8, 28).tolist())
    hard = torch.eye(8, dtype=torch.double)[list(drawn)]
    one, other = hard.clone().requires_grad_(), hard.clone().requires_grad_()
    ours, theirs = fast(x, Sampled(drawn, one)), plain(x, other)
    torch.testing.assert_close(ours, theirs)
    (got,) = torch.autograd.grad(ours.square().sum(), one)
    (wanted,) = torch.autograd.grad(theirs.square().sum(), other)
    torch.testing.assert_close(got[hard.bool()], wanted[hard.bool()])


def test_many_candidates_are_scored_as_each_alone_would_be():
    fast, _, x = twins()
    rng = np.random.default_rng(5)
    cells = [space.sample(rng) for _ in range(6)]
    y = torch.randint(10, (4,))
    together = fast.losses([*cells, cells[0]], x, y)
    with torch.no_grad():
        alone = [float(torch.nn.functional.cross_entropy(fast(x, cell), y)) for cell in cells]
    assert together == pytest.approx([*alone, alone[0]], rel=1e-9)
    right = [100 * float((fast(x, cell).argmax(1) == y).double().mean()) for cell in cells]
    assert fast.accuracies(cells, x, y) == pytest.approx(right)


def test_the_published_size_has_the_published_number_of_parameters():
    """quark0/darts' search network at C 16, 8 cells: 1,930,618 for 10 classes, 1,953,748 for 100."""
    for classes, count in ((10, 1_930_618), (100, 1_953_748)):
        assert sum(p.numel() for p in Supernet(NetworkSize(16, 8, 3, classes), 0).parameters()) == count


def test_a_seed_decides_the_weights_and_leaves_the_global_generator_alone():
    torch.manual_seed(1)
    before = torch.random.get_rng_state()
    one, same, other = (Supernet(SIZE, seed).classifier.weight for seed in (3, 3, 4))
    assert torch.equal(torch.random.get_rng_state(), before)
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


@pytest.mark.parametrize("channels", [4, 8])
def test_few_channels_are_mixed_without_a_crash(channels):
    """oneDNN's 1×1 convolution of stride 2 writes outside its memory below 8 channels; partial channels are so few."""
    net = Supernet(NetworkSize(channels, 3, 3, 10), 0, 4)
    weights = torch.full((28, 9), 0.1, requires_grad=True)
    for _ in range(3):
        net(torch.randn(32, 3, 16, 16), weights).square().mean().backward()
    assert torch.isfinite(weights.grad).all()
