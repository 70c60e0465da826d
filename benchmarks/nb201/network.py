"""The stand-alone network of a cell, and the skeleton that the supernets share with it.

Source: NAS-Bench-201 (Dong and Yang, ICLR 2020) and its reference code. Stem 3×3 convolution + BN; three
stages of N cells at C, 2C, 4C channels with a stride-2 residual block between them; head BN-ReLU-global
mean-linear. Convolution operations are ReLU-Conv-BN without bias; pooling has stride 1, neither ReLU nor BN,
and does not count padding; a node is the sum of its edges.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.base import Cell, NetworkSize
from benchmarks.layers import average_pool
from benchmarks.nb201.cell import CONV1, CONV3, EDGES, POOL, SKIP, edges_in_use

# Batch normalisation of a trained network, and of a supernet: there its statistics are always the batch's,
# since running averages over ever changing paths describe none of them.
TrackedBatchNorm = nn.BatchNorm2d
BatchStatisticsNorm = partial(nn.BatchNorm2d, track_running_stats=False)

Norm = Callable[..., nn.Module]


def conv(c_in: int, c_out: int, kernel: int, stride: int = 1, groups: int = 1) -> nn.Conv2d:
    return nn.Conv2d(c_in, c_out, kernel, stride, padding=kernel // 2, bias=False, groups=groups)


def relu_conv_norm(
    c_in: int, c_out: int, kernel: int, norm: nn.Module, stride: int = 1, groups: int = 1
) -> nn.Sequential:
    return nn.Sequential(nn.ReLU(), conv(c_in, c_out, kernel, stride, groups), norm)


class ResidualBlock(nn.Module):
    """Halves the resolution and doubles the channels between two stages."""

    def __init__(self, c_in: int, norm: Norm, groups: int = 1):
        super().__init__()
        c_out = 2 * c_in
        self.a = relu_conv_norm(c_in, c_out, 3, norm(c_out), stride=2, groups=groups)
        self.b = relu_conv_norm(c_out, c_out, 3, norm(c_out), groups=groups)
        self.shortcut = nn.Sequential(nn.AvgPool2d(2, stride=2), conv(c_in, c_out, 1, groups=groups))

    def forward(self, x: Tensor) -> Tensor:
        # The shortcut's pooling drops an odd last row, the stride-2 convolution keeps it: pad to even first.
        if x.shape[-1] % 2 or x.shape[-2] % 2:
            x = F.pad(x, (0, x.shape[-1] % 2, 0, x.shape[-2] % 2))
        return self.b(self.a(x)) + self.shortcut(x)


class StackedLinear(nn.Conv1d):
    """One linear classifier for each group of features: (B, copies·features) to (B, copies·classes)."""

    def __init__(self, features: int, classes: int, copies: int):
        super().__init__(features * copies, classes * copies, 1, groups=copies)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x[:, :, None])[:, :, 0]


class Skeleton(nn.Module):
    """Stem, three stages of cells, residual blocks and head around any kind of cell module.

    `make_cell(channels)` builds a cell module; `forward(x, *choice)` hands `choice` to every cell. With `copies`,
    that many networks lie side by side as groups of channels, and nothing flows from one to another.
    """

    def __init__(
        self,
        size: NetworkSize,
        make_cell: Callable[[int], nn.Module],
        norm: Norm,
        copies: int = 1,
    ):
        super().__init__()
        c = size.channels * copies
        self.stem = nn.Sequential(conv(size.in_channels * copies, c, 3, groups=copies), norm(c))
        self.stages = nn.ModuleList(
            nn.ModuleList(make_cell(c * 2**stage) for _ in range(size.cells)) for stage in range(3)
        )
        self.reductions = nn.ModuleList(ResidualBlock(c * 2**stage, norm, copies) for stage in range(2))
        self.head_norm = norm(4 * c)
        features, classes = 4 * size.channels, size.num_classes
        self.classifier = nn.Linear(features, classes) if copies == 1 else StackedLinear(features, classes, copies)
        self.to(memory_format=torch.channels_last)

    def forward(self, x: Tensor, *choice: Any) -> Tensor:
        """Logits (B, classes) of images (B, in_channels, H, W)."""
        return self.after_first(self.stages[0][0](self.stem(x), *choice), *choice)

    def after_first(self, x: Tensor, *choice: Any) -> Tensor:
        """Logits from the output of the first cell."""
        for stage, cells in enumerate(self.stages):
            for cell in cells[1:] if stage == 0 else cells:
                x = cell(x, *choice)
            if stage < 2:
                x = self.reductions[stage](x)
        return self.classifier(F.relu(self.head_norm(x)).mean((2, 3)))


class FixedCell(nn.Module):
    """One cell with its own operations, as it stands in the tabulated networks."""

    def __init__(self, cell: Cell, channels: int, norm: Norm, groups: int = 1):
        super().__init__()
        self.cell, self.used = cell, edges_in_use(cell)
        kernels = {CONV1: 1, CONV3: 3}
        self.convs = nn.ModuleDict(
            {
                str(edge): relu_conv_norm(channels, channels, kernels[op], norm(channels), groups=groups)
                for edge, op in enumerate(cell)
                if op in kernels
            }
        )

    def forward(self, x: Tensor) -> Tensor:
        nodes: list[Tensor | None] = [x, None, None, None]
        for edge, (op, (i, j)) in enumerate(zip(self.cell, EDGES, strict=True)):
            source = nodes[i]
            if not self.used[edge] or source is None:  # what no path needs is not computed
                continue
            if op == SKIP:
                out = source
            elif op == POOL:
                out = average_pool(source)
            else:
                out = self.convs[str(edge)](source)
            target = nodes[j]
            nodes[j] = out if target is None else target + out
        return torch.zeros_like(x) if nodes[3] is None else nodes[3]


def network(cell: Cell, size: NetworkSize, copies: int = 1) -> Skeleton:
    """The network that the benchmark trained for this cell (affine BN with running statistics)."""
    return Skeleton(size, lambda c: FixedCell(cell, c, TrackedBatchNorm, copies), TrackedBatchNorm, copies)
