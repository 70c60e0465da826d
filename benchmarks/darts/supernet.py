"""The weight-sharing network of all cells of the DARTS space, built for speed.

What it computes is DARTS' search network: all eight operations on each edge, combined by mixture weights or chosen
one-hot; no affine BN parameters in cells; normalisation also after poolings. Unlike there, statistics are always the
batch's. How it computes it differs: per node, ReLU, poolings and their normalisations run once; the convolutions of all
edges leaving the node lie side by side as groups of channels; the mixture weights ride on the last BN's scale.
`plain.py` is the same network written the obvious way, and its oracle.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from functools import reduce

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.base import Cell, Choice, NetworkSize, Sampled
from benchmarks.darts.cell import CELL_EDGES, EDGES, INCOMING, NODES
from benchmarks.darts.depthwise import depthwise
from benchmarks.darts.genotype import AVG_POOL, DIL3, DIL5, MAX_POOL, NONE, OPERATIONS, SEP3, SEP5, SKIP
from benchmarks.darts.network import halves, reductions
from benchmarks.layers import average_pool, batch_norm, mean_accuracies, mean_losses, stacked_weight

SOURCES = range(5)  # the nodes that edges leave
# Edges leaving each node, by the node that they enter; the numbers are those of a cell type's 14 edges.
LEAVING = tuple(tuple(e for e, edge in enumerate(EDGES[:CELL_EDGES]) if edge.source == node) for node in SOURCES)
CONVOLUTIONS = (SEP3, SEP5, DIL3, DIL5)  # the order in which they lie side by side
SEPARABLE = (SEP3, SEP5)
KERNEL = {SEP3: 3, SEP5: 5, DIL3: 3, DIL5: 5}


def dilation_of(op: int) -> int:
    return 2 if op in (DIL3, DIL5) else 1


class MixedCell(nn.Module):
    """A cell of the supernet.

    Weights of the edges leaving a node are stacked: depthwise ones (edges·C, 1, k, k) for each operation, 1×1 ones
    (operations·edges·C, C, 1, 1) for all. `first` of each pair is followed, in separable convolutions, by `second`.
    """

    def __init__(
        self, before: int, previous: int, channels: int, reduction: bool, after_reduction: bool, share: int = 1
    ):
        super().__init__()
        self.reduction, self.share, self.after_reduction = reduction, share, after_reduction
        self.channels = c = channels // share  # of what is mixed
        kernel_of_before = 2 if after_reduction else 1
        half = channels // 2 if after_reduction else channels
        self.before = nn.ParameterList(stacked_weight(half, before, 1) for _ in range(kernel_of_before))
        self.previous = stacked_weight(channels, previous, 1)

        def stacks(op: int) -> nn.ParameterList:
            return nn.ParameterList(stacked_weight(len(edges) * c, 1, KERNEL[op]) for edges in LEAVING)

        self.first = nn.ModuleDict({OPERATIONS[op]: stacks(op) for op in CONVOLUTIONS})
        self.second = nn.ModuleDict({OPERATIONS[op]: stacks(op) for op in SEPARABLE})
        self.first_1x1, self.second_1x1 = (
            nn.ParameterList(stacked_weight(len(ops) * len(edges) * c, c, 1) for edges in LEAVING)
            for ops in (CONVOLUTIONS, SEPARABLE)
        )
        # Skips that halve the resolution: the even pixels' half of each edge's channels, and the odd ones'.
        strided = LEAVING[:2] if reduction else ()
        self.skips = nn.ModuleList(
            nn.ParameterList(stacked_weight(len(edges) * (c // 2), c, 1) for _ in range(2)) for edges in strided
        )

    def stride(self, node: int) -> int:
        return 2 if self.reduction and node < 2 else 1

    def inputs(self, s0: Tensor, s1: Tensor) -> tuple[Tensor, Tensor]:
        """The outputs of the two cells before this one, brought to this one's channels and resolution."""
        if self.after_reduction:
            s0 = batch_norm(_reduced(F.relu(s0), *self.before))
        else:
            s0 = batch_norm(F.conv2d(F.relu(s0), self.before[0]))
        return s0, batch_norm(F.conv2d(F.relu(s1), self.previous))

    def forward(self, s0: Tensor, s1: Tensor, choice: Choice, *memo: dict[Hashable, Tensor]) -> Tensor:
        """`choice` is of all 28 edges: a cell, mixture weights, or a sampled path."""
        half = slice(CELL_EDGES, None) if self.reduction else slice(CELL_EDGES)
        if isinstance(choice, Tensor):
            return self.mixture(*self.inputs(s0, s1), choice[half])
        if isinstance(choice, Sampled):
            return self.sampled(*self.inputs(s0, s1), choice.cell[half], choice.weights[half])
        return self.path(s0, s1, choice[half], *memo)

    # Mixtures.

    def mixture(self, s0: Tensor, s1: Tensor, weights: Tensor) -> Tensor:
        """All operations on all edges, weighted by (14, 8); with partial channels by (14, 9)."""
        nodes: list[Tensor | None] = [s0, s1, None, None, None, None]
        for node in SOURCES:
            h = nodes[node]
            assert h is not None
            mixed = h if self.share == 1 else _part(h, 0, self.channels)
            sums = self.leave(node, mixed, weights)
            if self.share > 1:  # the other channels pass by, weighted by β; shuffled where a node is complete
                rest = h[:, self.channels :] if self.stride(node) == 1 else F.max_pool2d(h[:, self.channels :], 2)
                sums = [
                    torch.cat([y, rest * weights[e, -1].to(y.dtype)], 1)
                    for e, y in zip(LEAVING[node], sums, strict=True)
                ]
            for e, y in zip(LEAVING[node], sums, strict=True):
                target = EDGES[e].target
                old = nodes[target]
                nodes[target] = y if old is None else old + y
            complete = node + 1
            if self.share > 1 and complete >= 2:
                nodes[complete] = self.shuffle(nodes[complete])
        return torch.cat([h for h in nodes[2:] if h is not None], 1)

    def leave(self, node: int, h: Tensor, weights: Tensor) -> list[Tensor]:
        """What the edges leaving a node bring to later ones, all operations weighted."""
        edges, c, stride = LEAVING[node], self.channels, self.stride(node)
        rows = torch.stack([weights[e] for e in edges])  # (edges, operations)
        wide = F.relu(h).repeat(1, len(edges), 1, 1).contiguous(memory_format=torch.channels_last)
        parts = [depthwise(wide, self.first[OPERATIONS[op]][node], stride, dilation_of(op)) for op in CONVOLUTIONS]
        y = F.conv2d(torch.cat(parts, 1), self.first_1x1[node], groups=len(CONVOLUTIONS) * len(edges))
        separable = len(SEPARABLE) * len(edges) * c
        inner = F.relu(batch_norm(_part(y, 0, separable)))
        parts = [
            depthwise(part, self.second[OPERATIONS[op]][node])
            for op, part in zip(SEPARABLE, _split(inner, len(SEPARABLE)), strict=True)
        ]
        z = F.conv2d(torch.cat(parts, 1), self.second_1x1[node], groups=len(SEPARABLE) * len(edges))
        y = torch.cat([z, y[:, separable:]], 1)
        scale = rows[:, list(CONVOLUTIONS)].t().reshape(-1).repeat_interleave(c).contiguous()
        total = reduce(torch.add, batch_norm(y, scale).chunk(len(CONVOLUTIONS), 1))
        if stride == 2:
            even, odd = self.skips[node]
            skipped = batch_norm(
                _interleaved(F.relu(h), even, odd, len(edges)), rows[:, SKIP].repeat_interleave(c).contiguous()
            )
            total = total + skipped
        pooled = {op: self.pool(h, op, stride) for op in (MAX_POOL, AVG_POOL)}
        sums = []
        for k, part in enumerate(total.chunk(len(edges), 1)):
            w = rows[k].to(h.dtype)
            part = part.addcmul(pooled[MAX_POOL], w[MAX_POOL]).addcmul_(pooled[AVG_POOL], w[AVG_POOL])
            sums.append(part if stride == 2 else part.addcmul_(h, w[SKIP]))
        return sums

    def pool(self, h: Tensor, op: int, stride: int) -> Tensor:
        """A pooling of 3×3 and its normalisation."""
        if op == MAX_POOL:
            return batch_norm(F.max_pool2d(h, 3, stride, 1))
        pooled = average_pool(h)
        return batch_norm(
            pooled if stride == 1 else pooled[:, :, ::2, ::2].contiguous(memory_format=torch.channels_last)
        )

    def shuffle(self, x: Tensor | None) -> Tensor:
        """Interleave the channels of `share` groups (ShuffleNet)."""
        assert x is not None
        return F.channel_shuffle(x, self.share).contiguous(memory_format=torch.channels_last)

    # Single paths.

    def sampled(self, s0: Tensor, s1: Tensor, cell: Cell, weights: Tensor) -> Tensor:
        """One path with gradients as in GDAS: the other operations add their weights, which are 0, to the sums."""
        nodes = [s0, s1]
        for rows in INCOMING[: len(NODES)]:
            total: Tensor | None = None
            for edge in range(rows.start, rows.stop):
                h, w, op = nodes[EDGES[edge].source], weights[edge].to(s0.dtype), cell[edge]
                others = w.sum() - w[op]
                if op == NONE:
                    stride = self.stride(EDGES[edge].source)
                    y = torch.zeros_like(h[:, :, ::stride, ::stride]) + others
                else:
                    y = self.output(h, edge, op, {}) * w[op] + others
                total = y if total is None else total + y
            assert total is not None
            nodes.append(total)
        return torch.cat(nodes[2:], 1)

    def path(self, s0: Tensor, s1: Tensor, cell: Cell, memo: dict[Hashable, Tensor] | None = None) -> Tensor:
        """One operation an edge, none where it is `none`; a node without inputs is 0.

        `memo` keeps what all cells share of the same inputs: what the edges leaving these two can make of them.
        """
        shared: dict[Hashable, Tensor] = {} if memo is None else memo
        if "s0" not in shared:
            shared["s0"], shared["s1"] = self.inputs(s0, s1)
        nodes, own = [shared["s0"], shared["s1"]], dict[Hashable, Tensor]()
        for rows in INCOMING[: len(NODES)]:
            outputs = []
            for edge in range(rows.start, rows.stop):
                source, op = EDGES[edge].source, cell[edge]
                if op == NONE:
                    continue
                kept = shared if source < 2 else own
                if (edge, op) not in kept:
                    kept[edge, op] = self.output(nodes[source], edge, op, kept)
                outputs.append(kept[edge, op])
            if outputs:
                nodes.append(reduce(torch.add, outputs))
            else:
                stride = self.stride(0)
                nodes.append(torch.zeros_like(nodes[0][:, :, ::stride, ::stride]))
        return torch.cat(nodes[2:], 1)

    def output(self, h: Tensor, edge: int, op: int, memo: dict[Hashable, Tensor]) -> Tensor:
        """What one operation of an edge makes of its source's value h; `memo` keeps what other edges need of it too."""
        node = EDGES[edge].source
        stride, position = self.stride(node), LEAVING[node].index(edge)
        if op == SKIP and stride == 1:
            return h
        if op in (MAX_POOL, AVG_POOL):
            if ("pool", node, op) not in memo:
                memo["pool", node, op] = self.pool(h, op, stride)
            return memo["pool", node, op]
        if ("relu", node) not in memo:
            memo["relu", node] = F.relu(h)
        active, c = memo["relu", node], self.channels
        if op == SKIP:
            rows = slice(position * (c // 2), (position + 1) * (c // 2))
            even, odd = self.skips[node]
            return batch_norm(_reduced(active, even[rows], odd[rows]))

        def convolution(
            x: Tensor, spatial: nn.ModuleDict, pointwise: nn.ParameterList, ops: Sequence[int], stride: int
        ) -> Tensor:
            own = slice(position * c, (position + 1) * c)
            start = (ops.index(op) * len(LEAVING[node]) + position) * c
            x = depthwise(x, spatial[OPERATIONS[op]][node][own], stride, dilation_of(op))
            return batch_norm(F.conv2d(x, pointwise[node][start : start + c]))

        y = convolution(active, self.first, self.first_1x1, CONVOLUTIONS, stride)
        if op in SEPARABLE:
            y = convolution(F.relu(y), self.second, self.second_1x1, SEPARABLE, 1)
        return y


def _part(x: Tensor, start: int, stop: int) -> Tensor:
    return x[:, start:stop].contiguous(memory_format=torch.channels_last)


def _split(x: Tensor, parts: int) -> list[Tensor]:
    return [part.contiguous(memory_format=torch.channels_last) for part in x.chunk(parts, 1)]


def _reduced(active: Tensor, even: Tensor, odd: Tensor) -> Tensor:
    """Half the resolution by two 1×1 convolutions, of the even pixels and of the odd ones."""
    return torch.cat(_halves(active, even, odd), 1)


def _halves(active: Tensor, *weights: Tensor) -> list[Tensor]:
    return [F.conv2d(pixels, weight) for pixels, weight in zip(halves(active), weights, strict=True)]


def _interleaved(active: Tensor, even: Tensor, odd: Tensor, edges: int) -> Tensor:
    """`_reduced` for several edges, whose channels lie side by side."""
    parts = [half.unflatten(1, (edges, -1)) for half in _halves(active, even, odd)]
    return torch.cat(parts, 2).flatten(1, 2).contiguous(memory_format=torch.channels_last)


class Supernet(nn.Module):
    """All cells of the space in one network: call it with (images, cell) or (images, mixture weights (28, 8)).

    Architecture parameters are not part of it: `parameters()` are the weights w alone. With a `mixed_share` above 1
    only one in so many channels is mixed, and mixtures are (28, 9), the last column an edge's weight β (PC-DARTS).
    `size.cells` is L, the number of all cells.
    """

    def __init__(self, size: NetworkSize, seed: int, mixed_share: int = 1):
        super().__init__()
        with torch.random.fork_rng(devices=[]):  # the global generator stays as it was
            torch.manual_seed(seed)
            c = size.channels
            self.stem = nn.Conv2d(size.in_channels, 3 * c, 3, padding=1, bias=False)
            self.stem_norm = nn.BatchNorm2d(3 * c, track_running_stats=False)
            before = previous = 3 * c
            self.cells, after_reduction = nn.ModuleList(), False
            for number in range(size.cells):
                reduction = number in reductions(size.cells)
                c *= 2 if reduction else 1
                self.cells.append(MixedCell(before, previous, c, reduction, after_reduction, mixed_share))
                before, previous, after_reduction = previous, 4 * c, reduction
            self.classifier = nn.Linear(previous, size.num_classes)
        self.to(memory_format=torch.channels_last)

    def forward(self, x: Tensor, choice: Choice) -> Tensor:
        """Logits (B, classes) of images (B, in_channels, H, W)."""
        return self.after_stem(self.stem_norm(self.stem(x)), choice)

    def after_stem(self, x: Tensor, choice: Choice, *memo: dict[Hashable, Tensor]) -> Tensor:
        """Logits from the output of the stem; `memo` is of the first cell."""
        s0 = s1 = x
        for number, cell in enumerate(self.cells):
            s0, s1 = s1, cell(s0, s1, choice, *(memo if number == 0 else ()))
        return self.classifier(s1.mean((2, 3)))

    @torch.no_grad()
    def logits(self, choices: Sequence[Tensor | Cell], x: Tensor) -> list[Tensor]:
        """Logits (B, classes) of each cell or mixture for one batch, with the batch's statistics."""
        stem, memo = self.stem_norm(self.stem(x)), dict[Hashable, Tensor]()  # the same for every candidate
        by_choice: dict[Hashable, Tensor] = {}
        for choice in choices:
            if choice not in by_choice:
                by_choice[choice] = self.after_stem(stem, choice, *(() if isinstance(choice, Tensor) else (memo,)))
        return [by_choice[choice] for choice in choices]

    def losses(self, choices: Sequence[Tensor | Cell], x: Tensor, y: Tensor) -> list[float]:
        """Mean cross-entropy of each choice on one batch."""
        return mean_losses(self.logits(choices, x), y)

    def accuracies(self, choices: Sequence[Tensor | Cell], x: Tensor, y: Tensor) -> list[float]:
        """Accuracy (percent) of each choice on one batch; NaN where its logits are not finite."""
        return mean_accuracies(self.logits(choices, x), y)
