"""The weight-sharing network of all 15,625 cells, built for speed.

What it computes is AutoDL-Projects' NAS-Bench-201 search network: all five operations on each edge, combined by
mixture weights or chosen one-hot; batch statistics; affine BN parameters outside the cells alone. Unlike there, the
normalisations of stem, reductions and head use the batch's statistics too.
How it computes it differs: per node, ReLU and pooling run once; the convolutions of one kernel size on all edges
leaving the node are one convolution; the mixture weights ride on the BN scale, so that weighting a convolution costs
nothing. `plain.py` is the same network written the obvious way, and its oracle.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from functools import reduce

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.base import Cell, Choice, NetworkSize, Sampled
from benchmarks.layers import average_pool, batch_norm, mean_accuracies, mean_losses, stacked_weight
from benchmarks.nb201.cell import CONV1, CONV3, EDGES, NONE, POOL, SKIP
from benchmarks.nb201.network import BatchStatisticsNorm, Skeleton

# Edges leaving each of the nodes 0, 1, 2, by the node that they enter.
LEAVING = tuple(tuple(e for e, (i, _) in enumerate(EDGES) if i == node) for node in range(3))


def edge_slices(edge: int, channels: int) -> tuple[int, slice]:
    """Where an edge's convolution weights are: (start node, rows of that node's stacked weight)."""
    node = EDGES[edge][0]
    k = LEAVING[node].index(edge)
    return node, slice(k * channels, (k + 1) * channels)


def needed_edges(cell: Cell, node: int = 3) -> tuple[int, ...]:
    """Edges on which a node's value depends, each after those that its start node needs; `none` leads nowhere.

    Depth first, since autograd adds up gradients in the reverse order, and sums of floats depend on theirs.
    """
    entering = [e for e, (_, j) in enumerate(EDGES) if j == node and cell[e] != NONE]
    return tuple(dict.fromkeys(k for e in entering for k in (*needed_edges(cell, EDGES[e][0]), e)))


class MixedCell(nn.Module):
    """A cell of the supernet. Weights of the edges leaving a node are stacked: (edges·C, C, k, k)."""

    def __init__(self, channels: int):
        super().__init__()
        self.channels = channels
        self.conv1 = nn.ParameterList(stacked_weight(len(e) * channels, channels, 1) for e in LEAVING)
        self.conv3 = nn.ParameterList(stacked_weight(len(e) * channels, channels, 3) for e in LEAVING)

    def forward(self, x: Tensor, choice: Choice, *memo: dict[Hashable, Tensor]) -> Tensor:
        if isinstance(choice, Tensor):
            return self.mixture(x, choice)
        if isinstance(choice, Sampled):
            return self.sampled(x, *choice)
        return self.path(x, choice, *memo)

    def mixture(self, x: Tensor, weights: Tensor) -> Tensor:
        """All operations on all edges, weighted by (6, 5)."""
        nodes: list[Tensor | None] = [x, None, None, None]
        for node in range(3):
            self.leave(node, nodes, weights)
        assert nodes[3] is not None
        return nodes[3]

    def leave(self, node: int, nodes: list[Tensor | None], weights: Tensor) -> None:
        """Add to later nodes what the edges leaving `node` bring them, all operations weighted by (6, 5)."""
        edges, c, h = LEAVING[node], self.channels, nodes[node]
        assert h is not None
        active, pooled = F.relu(h), average_pool(h)
        # One BN scale per channel; contiguous, since the CPU's batch norm reads its weight as if it were, and returns
        # wrong gradients otherwise.
        rows = torch.stack([weights[e] for e in edges]).repeat_interleave(c, 0).t().contiguous()
        # In place wherever autograd does not need what is overwritten: fresh memory costs more than arithmetic.
        y = batch_norm(F.conv2d(active, self.conv1[node]), rows[CONV1])
        y += batch_norm(F.conv2d(active, self.conv3[node], padding=1), rows[CONV3])
        for e, part in zip(edges, y.chunk(len(edges), 1), strict=True):
            w = weights[e].to(h.dtype)
            target = nodes[EDGES[e][1]]
            target = h * w[SKIP] if target is None else target.addcmul_(h, w[SKIP])
            # Copied first where a row of channels is narrow: bf16 sums of strided rows are not vectorised.
            target += part if h.dtype == torch.float32 else part.contiguous(memory_format=torch.channels_last)
            nodes[EDGES[e][1]] = target.addcmul_(pooled, w[POOL])

    def sampled(self, x: Tensor, cell: Cell, weights: Tensor) -> Tensor:
        """One path with gradients as in GDAS: the other operations add their weights, which are 0, to the sums."""
        nodes: list[Tensor] = [x]
        for node in range(1, 4):
            total = torch.zeros_like(x)
            for edge, (i, j) in enumerate(EDGES):
                if j != node:
                    continue
                w, op, h = weights[edge].to(x.dtype), cell[edge], nodes[i]
                total = total + (w.sum() - w[op])
                if op in (CONV1, CONV3):
                    total = total + self.convolve(F.relu(h), edge, op) * w[op]
                elif op != NONE:
                    total = total + (average_pool(h) if op == POOL else h) * w[op]
            nodes.append(total)
        return nodes[3]

    def path(self, x: Tensor, cell: Cell, memo: dict[Hashable, Tensor] | None = None) -> Tensor:
        """One operation an edge; what leads to no output is not computed.

        `memo` keeps what cells with the same first operations share: everything up to the edges leaving node 1.
        """
        shared: dict[Hashable, Tensor] = {} if memo is None else memo
        inputs: list[list[Tensor]] = [[x], [], [], []]  # of each node, in the edges' order
        for edge in needed_edges(cell):
            i, j = EDGES[edge]
            if inputs[i]:  # else no path leads here from the cell's input
                h = reduce(torch.add, inputs[i])  # once a node: an edge alone enters node 1, and one leaves node 2
                inputs[j].append(self.output(h, edge, cell, shared if i < 2 else {}))
        return reduce(torch.add, inputs[3]) if inputs[3] else torch.zeros_like(x)

    def output(self, h: Tensor, edge: int, cell: Cell, memo: dict[Hashable, Tensor]) -> Tensor:
        """What an edge of a path makes of its start node's value h, out of the memo where it is there."""
        i, op = EDGES[edge][0], cell[edge]
        if op == SKIP:
            return h
        before = cell[: i * (i + 1) // 2]  # the operations that h depends on
        key = ("pool", i, before) if op == POOL else ("conv", edge, op, before)
        if key not in memo:
            if op == POOL:
                memo[key] = average_pool(h)
            else:
                relu = ("relu", i, before)
                if relu not in memo:
                    memo[relu] = F.relu(h)
                memo[key] = self.convolve(memo[relu], edge, op)
        return memo[key]

    def convolve(self, active: Tensor, edge: int, op: int) -> Tensor:
        node, rows = edge_slices(edge, self.channels)
        weight = (self.conv1 if op == CONV1 else self.conv3)[node][rows]
        return batch_norm(F.conv2d(active, weight, padding=weight.shape[-1] // 2))


class PartialCell(MixedCell):
    """A cell whose mixed operations see the first 1/share of a node's channels; the others are passed on.

    Mixture weights are (6, 6): βα and, as the last column, β, the weight of an edge. After each node the channels are
    shuffled. Source: PC-DARTS (Xu et al., ICLR 2020).
    """

    def __init__(self, channels: int, share: int):
        super().__init__(max(channels // share, 1))
        self.groups = channels // self.channels

    def mixture(self, x: Tensor, weights: Tensor) -> Tensor:
        mixed, beta = weights[:, :5], weights[:, 5].to(x.dtype)
        parts: list[Tensor | None] = [
            x[:, : self.channels].contiguous(memory_format=torch.channels_last),
            None,
            None,
            None,
        ]
        rests: list[Tensor | None] = [x[:, self.channels :], None, None, None]
        for node in range(3):
            self.leave(node, parts, mixed)
            rest = rests[node]
            assert rest is not None
            for edge in LEAVING[node]:
                target = EDGES[edge][1]
                old = rests[target]
                rests[target] = rest * beta[edge] if old is None else old + rest * beta[edge]
            part, rest = parts[node + 1], rests[node + 1]  # complete now: no later edge enters this node
            assert part is not None
            assert rest is not None
            x = self.shuffle(torch.cat([part, rest], 1))
            parts[node + 1] = x[:, : self.channels].contiguous(memory_format=torch.channels_last)
            rests[node + 1] = x[:, self.channels :]
        return x

    def shuffle(self, x: Tensor) -> Tensor:
        """Interleave the channels of `groups` groups (ShuffleNet)."""
        batch, channels, height, width = x.shape
        transposed = x.view(batch, self.groups, channels // self.groups, height, width).transpose(1, 2)
        return transposed.reshape(batch, channels, height, width).contiguous(memory_format=torch.channels_last)


class Supernet(Skeleton):
    """All cells of the space in one network: call it with (images, cell) or (images, mixture weights (6, 5)).

    Architecture parameters are not part of it: `parameters()` are the weights w alone. With a `mixed_share` above 1
    only one in so many channels is mixed, and mixtures are (6, 6): see `PartialCell`.
    """

    def __init__(self, size: NetworkSize, seed: int, mixed_share: int = 1):
        def make_cell(channels: int) -> MixedCell:
            return MixedCell(channels) if mixed_share == 1 else PartialCell(channels, mixed_share)

        with torch.random.fork_rng(devices=[]):  # the global generator stays as it was
            torch.manual_seed(seed)
            super().__init__(size, make_cell, BatchStatisticsNorm)

    @torch.no_grad()
    def logits(self, choices: Sequence[Tensor | Cell], x: Tensor) -> list[Tensor]:
        """Logits (B, classes) of each cell or mixture for one batch, with the batch's statistics."""
        stem = self.stem(x)  # the same for every candidate, and so is the start of the first cell
        first, memo = self.stages[0][0], dict[Hashable, Tensor]()
        by_choice: dict[Hashable, Tensor] = {}
        for choice in choices:
            if choice not in by_choice:
                shared = () if isinstance(choice, Tensor) else (memo,)
                by_choice[choice] = self.after_first(first(stem, choice, *shared), choice)
        return [by_choice[choice] for choice in choices]

    def losses(self, choices: Sequence[Tensor | Cell], x: Tensor, y: Tensor) -> list[float]:
        """Mean cross-entropy of each choice on one batch."""
        return mean_losses(self.logits(choices, x), y)

    def accuracies(self, choices: Sequence[Tensor | Cell], x: Tensor, y: Tensor) -> list[float]:
        """Accuracy (percent) of each choice on one batch; NaN where its logits are not finite."""
        return mean_accuracies(self.logits(choices, x), y)
