"""The fast supernet against the plain one, and cells of it worked by hand."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from support.plain_weights import copy_weights
from support.searching import build

from benchmarks.base import NetworkSize, Sampled
from benchmarks.nb201 import cell as C
from benchmarks.nb201.plain import plain_supernet
from benchmarks.nb201.supernet import PartialCell, Supernet

SMALL = NetworkSize(channels=4, cells=2, in_channels=3, num_classes=10)


@pytest.mark.case(29)
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


@pytest.mark.case(56)
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


@pytest.mark.case(49, 50)  # always the batch's statistics, which every table's notes say
def test_batch_norm_of_the_supernet():
    """No affine parameters in cells, no running statistics anywhere; stem, residual blocks and head keep theirs."""
    net = Supernet(SMALL, 0)
    norms = {n: m for n, m in net.named_modules() if isinstance(m, torch.nn.BatchNorm2d)}
    assert all(m.running_mean is None for m in norms.values())
    assert {n for n, m in norms.items() if m.affine} == {
        n for n in norms if n.startswith(("stem", "reductions", "head"))
    }
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


def test_a_sampled_path_and_its_gradient_are_the_plain_formula_s():
    """Σ_e (w_e,op · op(x) + the other weights of the edge), as AutoDL-Projects' forward_gdas writes it."""
    space = NetworkSize(4, 1, 3, 10)
    fast, plain = Supernet(space, 1).double(), plain_supernet(space).double()
    copy_weights(fast, plain)
    x = torch.randn(8, 4, 6, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    for cell in ((3, 1, 2, 0, 4, 3), (0, 0, 3, 2, 1, 4), (1, 4, 0, 3, 2, 0)):
        hard = F.one_hot(torch.tensor(cell), 5).double()
        ours, theirs = hard.clone().requires_grad_(), hard.clone().requires_grad_()
        out = fast.stages[0][0](x, Sampled(cell, ours))
        nodes = [x]
        for node in (1, 2, 3):
            total = 0
            for edge, (i, j) in enumerate(C.EDGES):
                if j == node:
                    for op in range(5):
                        w = theirs[edge, op]
                        total = total + (
                            w * plain.stages[0][0].operation(edge, op, nodes[i]) if op == cell[edge] else w
                        )
            nodes.append(total)
        torch.testing.assert_close(out, nodes[3])
        torch.testing.assert_close(out, fast.stages[0][0](x, cell))
        (out**3).sum().backward()
        (nodes[3] ** 3).sum().backward()
        torch.testing.assert_close(ours.grad, theirs.grad)
        assert ours.grad.abs().min(dim=1).values.max() > 0


def test_a_partial_cell_is_the_plain_one_edge_by_edge():
    """Per edge: mix the first quarter, keep the rest, shuffle, weigh by β (the paper's fig. 1)."""
    channels, c = 8, 2
    torch.manual_seed(0)
    cell = PartialCell(channels, 4).double()
    x = torch.randn(6, channels, 5, 5, dtype=torch.float64)
    alpha, beta = torch.rand(6, 5, dtype=torch.float64), torch.rand(6, dtype=torch.float64)

    def norm(y):
        y = y - y.mean((0, 2, 3), keepdim=True)
        return y / torch.sqrt((y**2).mean((0, 2, 3), keepdim=True) + 1e-5)

    def edge_output(edge, h):
        i = C.EDGES[edge][0]
        k = [e for e, (source, _) in enumerate(C.EDGES) if source == i].index(edge)
        part, rows = h[:, :c], slice(k * c, (k + 1) * c)
        mixed = alpha[edge, 1] * part
        mixed = mixed + alpha[edge, 2] * norm(F.conv2d(F.relu(part), cell.conv1[i][rows]))
        mixed = mixed + alpha[edge, 3] * norm(F.conv2d(F.relu(part), cell.conv3[i][rows], padding=1))
        mixed = mixed + alpha[edge, 4] * F.avg_pool2d(part, 3, 1, 1, count_include_pad=False)
        order = [g * 2 + k for k in range(2) for g in range(4)]  # channel_shuffle with 4 groups of 2
        return beta[edge] * torch.cat([mixed, h[:, c:]], 1)[:, order]

    nodes = [x]
    for node in (1, 2, 3):
        nodes.append(sum(edge_output(e, nodes[i]) for e, (i, j) in enumerate(C.EDGES) if j == node))
    out = cell(x, torch.cat([beta[:, None] * alpha, beta[:, None]], 1))
    torch.testing.assert_close(out, nodes[3])


def test_one_broken_candidate_is_the_one_without_an_accuracy():
    """Convolutions of edge 0→1 alone are broken: cell 284 begins with one, six skip connections have none."""
    _, searcher = build("rsws")
    net, (x, y) = searcher.training.net, searcher.training.first_images(32)
    with torch.no_grad():
        for stage in net.stages:
            for part in stage:
                if hasattr(part, "conv3"):
                    part.conv3[0].fill_(torch.nan)
    broken, whole = net.accuracies([(C.CONV3,) * 6, (C.SKIP,) * 6], x, y)
    assert np.isnan(broken)
    assert 0 <= whole <= 100
