"""The networks against the table's parameter and FLOP counts, and the fast supernet against the plain one."""

import csv
import gzip

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from support.plain_weights import copy_weights

from benchmarks.base import NetworkSize
from benchmarks.nb201 import cell as C
from benchmarks.nb201.cost import multiply_adds, parameters
from benchmarks.nb201.network import count_parameters, network
from benchmarks.nb201.plain import plain_supernet
from benchmarks.nb201.supernet import Supernet

TABULATED = NetworkSize(channels=16, cells=5, in_channels=3, num_classes=10)
SMALL = NetworkSize(channels=4, cells=2, in_channels=3, num_classes=10)


def of(classes):
    return NetworkSize(channels=16, cells=5, in_channels=3, num_classes=classes)


@pytest.mark.parametrize(("index", "parameters"), [(0, 129_306), (11, 802_426), (284, 101_306)])
def test_parameters_are_the_official_ones(index, parameters):
    cell = C.from_index(index)
    assert count_parameters(network(cell, of(10))) == parameters
    assert count_parameters(network(cell, of(100))) == parameters + 5850
    assert count_parameters(network(cell, of(120))) == parameters + 7150


def test_flops_of_all_cells_are_the_table_s(shared):
    with gzip.open(shared / "data/nb201/nb201.csv.gz", "rt") as file:
        rows = list(csv.DictReader(file))
    for classes, resolution, column in ((10, 32, "c10_flops_M"), (100, 32, "c100_flops_M"), (120, 16, "in16_flops_M")):
        theirs = [round(float(row[column]) * 1e6) for row in rows]
        assert multiply_adds(of(classes), resolution).tolist() == theirs


def test_counted_flops_are_those_of_the_modules():
    """Multiply-adds counted from the shapes that convolutions and the classifier really see."""
    space, cell, seen = NetworkSize(8, 1, 1, 10), C.from_index(11), []

    def count(module, inputs, output):
        if isinstance(module, torch.nn.Conv2d):
            k = module.kernel_size[0]
            seen.append(output.shape[2] * output.shape[3] * output.shape[1] * module.in_channels * k * k)
        elif isinstance(module, torch.nn.Linear):
            seen.append(module.weight.numel() + module.bias.numel())

    net = network(cell, space)
    for module in net.modules():
        module.register_forward_hook(count)
    net(torch.zeros(1, 1, 10, 10))  # 10, 5 and 3 pixels wide in the three stages
    # cell 11: edge 0→2 feeds node 2, all others but the `none` are on a path
    assert sum(seen) == multiply_adds(space, 10)[11]
    assert count_parameters(net) == parameters(space)[11]


def test_a_cell_by_hand():
    """0→1 skip, 0→2 pool, 1→2 none, 0→3 none, 1→3 skip, 2→3 skip: the cell computes x + pool(x)."""
    net = Supernet(NetworkSize(2, 1, 1, 2), 0)
    x = torch.arange(2 * 9, dtype=torch.float32).reshape(1, 2, 3, 3)
    out = net.stages[0][0](x, (1, 4, 0, 0, 1, 1))
    corner = (x[0, 0, 0, 0] + x[0, 0, 0, 1] + x[0, 0, 1, 0] + x[0, 0, 1, 1]) / 4  # padding is not counted
    assert out[0, 0, 0, 0] == x[0, 0, 0, 0] + corner
    assert out[0, 0, 1, 1] == x[0, 0, 1, 1] + x[0, 0].mean()


def pair(dtype, space=SMALL):
    fast = Supernet(space, 1).to(dtype)
    plain = plain_supernet(space).to(dtype)
    with torch.no_grad():
        for parameter in plain.parameters():
            parameter.fill_(float("nan"))  # whatever is not copied would show
    copy_weights(fast, plain)
    torch.manual_seed(2)
    x = torch.randn(24, space.in_channels, 8, 8, dtype=dtype)  # fewer leave BN ill-conditioned in float32
    return fast, plain, x, torch.randint(space.num_classes, (24,))


def gradients(net, x, y, choice, alphas):
    net.zero_grad()
    alphas.grad = None
    loss = F.cross_entropy(net(x, choice), y)
    loss.backward()
    return loss.detach(), alphas.grad, dict(net.named_parameters())


def plain_gradient(parameters, name):
    """The plain network's gradient of one stacked weight of the fast one."""
    stage_cell, kind, node = name.rsplit(".", 2)
    edges = [e for e, (i, _) in enumerate(C.EDGES) if i == int(node)]
    rows = [parameters[f"{stage_cell}.{kind}.{e}.1.weight"] for e in edges]
    return torch.cat([torch.zeros_like(p) if p.grad is None else p.grad for p in rows])


CHOICES = ["mixture", 0, 11, 284, 1651, 1835, 9930, 2631, 5]


@pytest.mark.parametrize("choice", CHOICES)
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-9), (torch.float32, 1e-3)])
def test_fast_supernet_equals_plain_one(dtype, tolerance, choice):
    fast, plain, x, y = pair(dtype)
    alphas = torch.randn(6, 5, dtype=dtype, requires_grad=True)
    results = [
        gradients(net, x, y, alphas.softmax(1) if choice == "mixture" else C.from_index(choice), alphas)
        for net in (fast, plain)
    ]
    torch.testing.assert_close(results[0][0], results[1][0], rtol=tolerance, atol=0)
    if choice == "mixture":
        torch.testing.assert_close(results[0][1], results[1][1], rtol=tolerance, atol=tolerance * 0.1)
    ours, theirs = results[0][2], results[1][2]
    compared = 0
    for name, parameter in ours.items():
        stacked = ".conv1." in name or ".conv3." in name
        expected = plain_gradient(theirs, name) if stacked else theirs[name].grad
        got = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
        expected = torch.zeros_like(parameter) if expected is None else expected
        torch.testing.assert_close(got, expected, rtol=tolerance, atol=tolerance * 0.1)
        compared += int(expected.abs().sum() > 0)
    assert compared >= (1 if choice == 1651 else 6)  # without a path only the classifier's bias learns


def test_one_channel_and_odd_sizes():
    space = NetworkSize(4, 1, 1, 10)
    fast, plain = Supernet(space, 1).double(), plain_supernet(space).double()
    copy_weights(fast, plain)
    x = torch.randn(5, 1, 9, 9, dtype=torch.float64)
    weights = torch.full((6, 5), 0.2, dtype=torch.float64)
    torch.testing.assert_close(fast(x, weights), plain(x, weights), rtol=1e-9, atol=1e-12)


def test_equal_alphas_weigh_every_operation_one_fifth():
    assert torch.equal(torch.zeros(6, 5).softmax(1), torch.full((6, 5), 0.2))


def test_losses_of_many_cells_equal_one_by_one():
    fast, plain, x, y = pair(torch.float64)
    chosen = [C.from_index(i) for i in (0, 11, 284, 1835, 1651, 0, 9930)]
    mixture = torch.rand(6, 5, dtype=torch.float64).softmax(1)
    found = fast.losses([*chosen, mixture], x, y)
    with torch.no_grad():
        expected = [F.cross_entropy(plain(x, c), y).item() for c in [*chosen, mixture]]
    np.testing.assert_allclose(found, expected, rtol=1e-9)


def test_batch_norm_of_the_supernet():
    """No affine parameters in cells and head, no running statistics anywhere; stem and residual blocks keep theirs."""
    net = Supernet(SMALL, 0)
    norms = {n: m for n, m in net.named_modules() if isinstance(m, torch.nn.BatchNorm2d)}
    assert all(m.running_mean is None for m in norms.values())
    assert {n for n, m in norms.items() if m.affine} == {n for n in norms if n.startswith(("stem", "reductions"))}
    assert not any(p.ndim == 1 for n, p in net.named_parameters() if n.startswith("stages"))


def test_building_leaves_the_global_generator_alone_and_depends_on_the_seed_only():
    torch.manual_seed(5)
    before = torch.get_rng_state()
    a = Supernet(SMALL, 7)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(6)
    b, c = Supernet(SMALL, 7), Supernet(SMALL, 8)
    assert all(torch.equal(p, q) for p, q in zip(a.parameters(), b.parameters(), strict=True))
    assert not torch.equal(a.stem[0].weight, c.stem[0].weight)


def test_initial_weights_have_the_reference_s_scale():
    """U(−1/√fan_in, 1/√fan_in), PyTorch's convolution default, for stacked weights too."""
    net = Supernet(NetworkSize(16, 1, 3, 10), 0)
    for weight, fan_in in ((net.stages[2][0].conv3[0], 64 * 9), (net.stages[2][0].conv1[0], 64)):
        bound = fan_in**-0.5
        assert weight.abs().max() <= bound
        assert abs(weight.std().item() / (bound / 3**0.5) - 1) < 0.02
