"""Scores of untrained networks: by hand on tiny ones, and beside NASLib's published values of real cells."""

from __future__ import annotations

import csv
import gzip
from itertools import pairwise

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr
from torch import nn

from benchmarks.base import NetworkSize
from benchmarks.nb201 import cost, space
from searchers import zero_cost
from searchers.zero_cost import SCORES

torch.manual_seed(0)
X, Y = torch.randn(5, 4), torch.tensor([0, 2, 1, 0, 2])
BATCH = (X, Y)


def linear(*sizes, relu=False):
    """Linear maps one after the other, with the weights that a seed gives."""
    with torch.random.fork_rng():
        torch.manual_seed(3)
        maps = [nn.Linear(a, b) for a, b in pairwise(sizes)]
    return nn.Sequential(*(part for m in maps for part in ((m, nn.ReLU()) if relu and m is not maps[-1] else (m,))))


def softmax_gradient(w, b, x, y):
    """Of mean cross-entropy of a linear map, by the textbook: (p − 1[y])ᵀ x / B."""
    logits = x @ w.T + b
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    p[np.arange(len(y)), y] -= 1
    return p.T @ x / len(y)


def arrays(net):
    return [(m.weight.detach().double().numpy(), m.bias.detach().double().numpy()) for m in net]


def test_naswot_counts_relus_that_agree():
    net, x = linear(4, 6, 3, relu=True), X.double().numpy()
    on = x @ net[0].weight.detach().double().numpy().T + net[0].bias.detach().double().numpy() > 0
    kernel = np.array([[(a == b).sum() for b in on] for a in on], dtype=float)
    assert zero_cost.naswot(net, [BATCH]) == pytest.approx(np.log(abs(np.linalg.det(kernel))), abs=1e-5)
    assert zero_cost.naswot(net, [(X[[0, 0]], Y[:2])]) == -np.inf  # two images that no ReLU separates


@pytest.mark.parametrize("relu", [torch.relu, nn.functional.relu, nn.ReLU(), torch.Tensor.relu])
def test_a_relu_is_found_however_it_is_written(relu):
    class Net(nn.Module):
        def forward(self, x):
            return relu(x)

    x = torch.tensor([[1.0, -1.0, 1.0], [-1.0, -1.0, 1.0]])
    assert zero_cost.naswot(Net(), [(x, Y[:2])]) == pytest.approx(np.log(3 * 3 - 2 * 2))


def test_jacov_of_a_linear_map_is_that_of_gradients_that_are_all_equal():
    """Eigenvalues 5, 0, 0, 0, 0."""
    k = 1e-5
    expected = -(np.log(5 + k) + 1 / (5 + k) + 4 * (np.log(k) + 1 / k))
    assert zero_cost.jacov(linear(4, 3), [BATCH]) == pytest.approx(expected, rel=1e-6)


def test_snip_grad_norm_and_zico_by_hand():
    ((w, b),) = arrays(linear(4, 3))
    x, y = X.double().numpy(), Y.numpy()
    g = softmax_gradient(w, b, x, y)
    assert zero_cost.grad_norm(linear(4, 3), [BATCH]) == pytest.approx(np.sqrt((g**2).sum()), rel=1e-5)
    assert zero_cost.snip(linear(4, 3), [BATCH]) == pytest.approx(np.abs(w * g).sum(), rel=1e-5)
    both = np.stack([softmax_gradient(w, b, x[part], y[part]) for part in (slice(0, 3), slice(3, 5))])
    expected = np.log((np.abs(both).mean(0) / both.std(0)).sum())
    halves = [(X[:3], Y[:3]), (X[3:], Y[3:])]
    assert zero_cost.zico(linear(4, 3), halves) == pytest.approx(expected, rel=1e-4)


def test_synflow_gives_every_layer_the_whole_flow():
    """Of maps without a bias each layer's sum is R (Tanaka et al., theorem 1); R by multiplying the absolute values."""
    net = nn.Sequential(*(nn.Linear(a, b, bias=False) for a, b in ((4, 6), (6, 5), (5, 3))))
    flow = np.ones(4)
    for layer in net:
        flow = np.abs(layer.weight.detach().double().numpy()) @ flow
    assert zero_cost.synflow(net, [BATCH]) == pytest.approx(3 * flow.sum(), rel=1e-12)


def test_zen_of_a_convolution_before_bn_by_hand():
    net = nn.Sequential(nn.Conv2d(2, 3, 1, bias=False), nn.BatchNorm2d(3), nn.AdaptiveAvgPool2d(1))
    with torch.random.fork_rng():
        torch.manual_seed(1)
        value = zero_cost.zen(net, [(torch.zeros(4, 2, 5, 5), Y[:4])])
        torch.manual_seed(1)
        weight = torch.empty(3, 2, 1, 1).normal_().double().numpy()[:, :, 0, 0]
        noise = torch.randn(2, 4, 2, 5, 5).double().numpy()
    maps = [np.einsum("oc,bchw->bohw", weight, z) for z in (noise[0], noise[0] + 0.01 * noise[1])]
    variances = [m.var((0, 2, 3), ddof=1) for m in maps]
    a, b = ((m - m.mean((0, 2, 3), keepdims=True)) / np.sqrt(m.var((0, 2, 3), keepdims=True) + 1e-5) for m in maps)
    change = np.sqrt(((a - b) ** 2).sum((1, 2, 3))).mean()
    assert value == pytest.approx(np.log(change) + np.log(variances[1].mean()) / 2, abs=1e-3)


def test_a_network_without_a_path_from_the_images_has_no_jacov():
    net = space.network((0,) * 6, NetworkSize(2, 1, 1, 10))
    batch = (torch.randn(4, 1, 8, 8), Y[:4])
    assert not np.isfinite(zero_cost.jacov(net, [batch]))


def test_parameters_and_multiply_adds_of_networks_are_those_of_all_cells():
    """Cells without `none`: what no path needs is not computed, and so not counted."""
    size, batch = NetworkSize(4, 2, 1, 10), (torch.randn(2, 1, 8, 8), Y[:2])
    parameters, multiply_adds = cost.parameters(size), cost.multiply_adds(size, 8)
    for number in (1462, 9930, 1835, 77):
        cell = tuple(op or 4 for op in space.parse(number))
        index = space.index(cell)
        assert zero_cost.params(space.network(cell, size), [batch]) == parameters[index]
        assert zero_cost.flops(space.network(cell, size), [batch]) == multiply_adds[index]


# ------------------------------------------------------------------------------------- NASLib's published values


def published(shared):
    with gzip.open(shared / "data/nb201/zero_cost_naslib.csv.gz", "rt") as file:
        return [row for row in csv.DictReader(file) if row["dataset"] == "cifar10"]


def test_parameters_and_multiply_adds_of_725_cells_are_naslib_s(shared):
    """NASLib counts 160,822 more in stem, residual blocks and head; a node has 143,360 numbers, and for each a
    convolution has 3 more (ReLU, BN), a pooling 9.
    """
    rows, size = published(shared), NetworkSize(16, 5, 3, 10)
    parameters, multiply_adds = cost.parameters(size), cost.multiply_adds(size, 32)
    assert len(rows) == 725
    for row in rows:
        index = int(row["index"])
        _, _, conv1, conv3, pool = space.operation_counts(space.parse(index))
        assert round(1e6 * float(row["params"])) == parameters[index]
        more = 160_822 + 143_360 * (3 * (conv1 + conv3) + 9 * pool)
        assert round(1e6 * float(row["flops"])) == multiply_adds[index] + more


@pytest.mark.parametrize(
    ("name", "theirs", "least"),
    [("synflow", "synflow", 0.95), ("naswot", "nwot", 0.9), ("snip", "snip", 0.9), ("grad_norm", "grad_norm", 0.9),
     ("jacov", "jacov", 0.8)],
)  # fmt: skip
def test_twelve_cells_rank_as_naslib_ranks_them(shared, name, theirs, least):
    """At C 8, N 5 on noise of 16×16; at full size on CIFAR-10: results/training-free."""
    torch.set_num_threads(1)
    rows = [row for row in published(shared)[:60:5] if row[theirs]]
    with torch.random.fork_rng():
        torch.manual_seed(0)
        batch = (torch.randn(16, 3, 16, 16), torch.randint(10, (16,)))
        ours = []
        for row in rows:
            torch.manual_seed(0)
            net = space.network(space.parse(int(row["index"])), NetworkSize(8, 5, 3, 10))
            ours.append(SCORES[name].compute(net, [batch, batch]))
    rho = spearmanr(ours, [float(row[theirs]) for row in rows]).statistic
    assert rho > least
