"""The supernet written the obvious way: one module per edge and operation, as DARTS' search network has them.

It is the oracle of `supernet.py` and the other side of every ratio of `harness perf`; no searcher uses it.
Source: quark0/darts, cnn/model_search.py, and for partial channels yuhuixu1993/PC-DARTS (DOC). Normalisation without
affine parameters in cells, also after poolings; unlike there, its statistics are always the batch's.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.base import NetworkSize
from benchmarks.darts.cell import CELL_EDGES, EDGES, NODES
from benchmarks.darts.genotype import AVG_POOL, MAX_POOL, NONE, OPERATIONS
from benchmarks.darts.network import FactorizedReduce, conv, operation, reductions, relu_conv_norm

NORMAL_EDGES = EDGES[:CELL_EDGES]  # a cell's edges; those of a reduction cell are the same


def mixed_operation(op: int, c: int, stride: int) -> nn.Module:
    """One operation of an edge, with a normalisation after pooling."""
    module = operation(OPERATIONS[op], c, stride, affine=False, layer=nn.Conv2d)
    return nn.Sequential(module, nn.BatchNorm2d(c, affine=False)) if op in (MAX_POOL, AVG_POOL) else module


class PlainCell(nn.Module):
    """All operations on all 14 edges; with `share` above 1 on the first 1/share of the channels (PC-DARTS)."""

    def __init__(self, before: int, previous: int, channels: int, reduction: bool, after_reduction: bool, share: int):
        super().__init__()
        self.share, self.reduction = share, reduction
        reduce = FactorizedReduce if after_reduction else relu_conv_norm
        self.preprocess = nn.ModuleList(
            [reduce(before, channels, affine=False), relu_conv_norm(previous, channels, affine=False)]
        )
        self.edges = nn.ModuleList(
            nn.ModuleList(
                mixed_operation(op, channels // share, self.stride(edge.source)) for op in range(1, len(OPERATIONS))
            )
            for edge in NORMAL_EDGES
        )

    def stride(self, source: int) -> int:
        return 2 if self.reduction and source < 2 else 1

    def forward(self, s0: Tensor, s1: Tensor, choice: Any) -> Tensor:
        """`choice`: the cell type's 14 operations, or its mixture weights (14, 8), with partial channels (14, 9)."""
        nodes = [module(x) for module, x in zip(self.preprocess, (s0, s1), strict=True)]
        for node in NODES:
            inputs = [
                self.output(number, nodes[edge.source], choice)
                for number, edge in enumerate(NORMAL_EDGES)
                if edge.target == node
            ]
            nodes.append(sum(inputs))
        return torch.cat(nodes[2:], 1)

    def output(self, edge: int, x: Tensor, choice: Any) -> Tensor:
        stride = self.stride(NORMAL_EDGES[edge].source)
        if not isinstance(choice, Tensor):
            return self.apply_one(edge, choice[edge], x)
        mixed, rest = x[:, : x.shape[1] // self.share], x[:, x.shape[1] // self.share :]
        y = sum(choice[edge, op] * self.apply_one(edge, op, mixed) for op in range(len(OPERATIONS)))
        if self.share == 1:
            return y
        rest = rest if stride == 1 else F.max_pool2d(rest, 2)
        return F.channel_shuffle(torch.cat([y, rest * choice[edge, -1]], 1), self.share)

    def apply_one(self, edge: int, op: int, x: Tensor) -> Tensor:
        if op == NONE:
            stride = self.stride(NORMAL_EDGES[edge].source)
            return x[:, :, ::stride, ::stride] * 0.0
        return self.edges[edge][op - 1](x)


class PlainSupernet(nn.Module):
    """All cells in one network: call it with (images, cell) or (images, mixture weights (28, 8))."""

    def __init__(self, size: NetworkSize, mixed_share: int = 1):
        super().__init__()
        c = size.channels
        self.stem = nn.Sequential(conv(size.in_channels, 3 * c, 3, padding=1), nn.BatchNorm2d(3 * c))
        before = previous = 3 * c
        self.cells, after_reduction = nn.ModuleList(), False
        for number in range(size.cells):
            reduction = number in reductions(size.cells)
            c *= 2 if reduction else 1
            self.cells.append(PlainCell(before, previous, c, reduction, after_reduction, mixed_share))
            before, previous, after_reduction = previous, 4 * c, reduction
        self.classifier = nn.Linear(previous, size.num_classes)
        for module in self.modules():
            if isinstance(module, nn.BatchNorm2d):  # as in a supernet: statistics are always the batch's
                module.track_running_stats, module.running_mean, module.running_var = False, None, None
                module.num_batches_tracked = None

    def forward(self, x: Tensor, choice: Any) -> Tensor:
        s0 = s1 = self.stem(x)
        for cell in self.cells:
            half = slice(CELL_EDGES, None) if cell.reduction else slice(CELL_EDGES)
            s0, s1 = s1, cell(s0, s1, choice[half])
        return self.classifier(s1.mean((2, 3)))
