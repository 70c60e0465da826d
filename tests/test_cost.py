"""Parameters and FLOPs of all cells, against the table's, the modules' and by hand."""

from __future__ import annotations

import csv
import gzip

import torch
from support.archives import NB201_SPACE

from benchmarks.base import NetworkSize
from benchmarks.layers import count_parameters
from benchmarks.nb201 import cell
from benchmarks.nb201 import cell as C
from benchmarks.nb201.cost import multiply_adds, parameters
from benchmarks.nb201.network import network


def of(classes):
    return NetworkSize(channels=16, cells=5, in_channels=3, num_classes=classes)


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


def test_parameters_by_hand() -> None:
    """All-none cell: stem, two residual blocks with 1x1 short cuts, last batch norm, classifier."""
    none = cell.index((0,) * 6)
    stem = 3 * 16 * 9 + 2 * 16
    blocks = sum(9 * c * 2 * c + 9 * 4 * c * c + 2 * 2 * 2 * c + c * 2 * c for c in (16, 32))
    rest = 2 * 64 + 64 * 10 + 10
    assert parameters(NB201_SPACE)[none] == stem + blocks + rest == 73_306
