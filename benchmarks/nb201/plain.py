"""The supernet written the obvious way: one module per edge and operation, as AutoDL-Projects builds it.

It is the oracle of `supernet.py` and the other side of every ratio of `harness perf`; no searcher uses it.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.base import NetworkSize
from benchmarks.nb201.cell import CONV1, EDGES, NONE, POOL, SKIP, Cell
from benchmarks.nb201.network import (
    BatchStatisticsNorm,
    Skeleton,
    relu_conv_norm,
)


class PlainCell(nn.Module):
    """A cell holding a ReLU-Conv-BN module for each edge and kernel."""

    def __init__(self, channels: int):
        super().__init__()

        def convs(kernel: int) -> nn.ModuleList:
            return nn.ModuleList(
                relu_conv_norm(channels, channels, kernel, BatchStatisticsNorm(channels, affine=False)) for _ in EDGES
            )

        self.conv1, self.conv3 = convs(1), convs(3)

    def operation(self, edge: int, op: int, x: Tensor) -> Tensor:
        if op == NONE:
            return x * 0.0
        if op == SKIP:
            return x
        if op == POOL:
            return F.avg_pool2d(x, 3, stride=1, padding=1, count_include_pad=False)
        return (self.conv1 if op == CONV1 else self.conv3)[edge](x)

    def forward(self, x: Tensor, choice: Tensor | Cell) -> Tensor:
        """`choice` is a cell (each edge runs its one operation) or mixture weights (6, 5)."""
        nodes = [x]
        for node in range(1, 4):
            inputs = []
            for edge, (i, j) in enumerate(EDGES):
                if j != node:
                    continue
                if isinstance(choice, Tensor):
                    outputs = [choice[edge, op] * self.operation(edge, op, nodes[i]) for op in range(5)]
                    inputs.append(sum(outputs))
                else:
                    inputs.append(self.operation(edge, choice[edge], nodes[i]))
            nodes.append(sum(inputs))
        return nodes[3]


def plain_supernet(size: NetworkSize) -> Skeleton:
    """A weight-sharing network of all cells; call it with (images, cell or mixture weights)."""
    net = Skeleton(size, PlainCell, BatchStatisticsNorm)
    return net.to(memory_format=torch.contiguous_format)  # NCHW, as everybody's
