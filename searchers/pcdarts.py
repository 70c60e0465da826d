"""PC-DARTS (Xu et al., ICLR 2020): DARTS on a quarter of the channels, with edge normalisation.

Of a node's channels, 1/K pass through the mixed operations and the others go on as they are; the two parts are then
shuffled. Each edge has a weight β of its own, a softmax over the edges that enter a node. Source of every default: the
paper and its code (DOC): K = 4, alpha steps begin at epoch 15 of 50, Adam 6e-4. Space and network are NAS-Bench-201's,
and what it shares with DARTS follows DARTS' script: the authors' code steps alpha first, takes batches of 256, learning
rate 0.1 and weight decay 3e-4 without Nesterov momentum, and leaves `none` out when it derives a cell; here `none` may
win. β changes no arg-max, so the answer is read from α alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from benchmarks.nb201.cell import EDGES, Cell
from benchmarks.nb201.supernet import LEAVING, Choice, MixedCell
from searchers.darts import DARTS
from searchers.one_shot import AlphaSettings, initial_alphas

K = 4  # DOC: one channel in K is mixed


class PCDARTSSettings(AlphaSettings):
    alpha_lr: float = Field(6e-4, ge=0)  # DOC
    warmup: float = Field(0.3, ge=0, le=1)  # DOC: alpha rests for 15 of 50 epochs
    edge_normalisation: bool = True


class PartialCell(MixedCell):
    """A cell whose mixed operations see the first 1/K of a node's channels; called with (6, 6): βα and β."""

    def __init__(self, channels: int):
        super().__init__(max(channels // K, 1))
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
            x = self.shuffled(torch.cat([part, rest], 1))
            parts[node + 1] = x[:, : self.channels].contiguous(memory_format=torch.channels_last)
            rests[node + 1] = x[:, self.channels :]
        return x

    def shuffled(self, x: Tensor) -> Tensor:
        """Channels of `groups` groups dealt in turn (ShuffleNet)."""
        batch, channels, height, width = x.shape
        dealt = x.view(batch, self.groups, channels // self.groups, height, width).transpose(1, 2)
        return dealt.reshape(batch, channels, height, width).contiguous(memory_format=torch.channels_last)


class PCDARTS(DARTS):
    name = "pcdarts"
    Config = PCDARTSSettings
    ablations: ClassVar[dict[str, dict[str, Any]]] = {
        "no warm-up": {"warmup": 0.0},
        "no edge normalisation": {"edge_normalisation": False},
    }
    make_cell = PartialCell

    def first_alphas(self) -> np.ndarray:
        """α and, as a sixth column, β's parameters."""
        beta = self.config.alpha_init * self.task.stream("betas").standard_normal((len(EDGES), 1))
        return np.hstack([initial_alphas(self.task, self.config.alpha_init), beta])

    def relax(self, alphas: Tensor) -> Choice:
        beta = torch.ones_like(alphas[:, 5])
        if self.config.edge_normalisation:
            first, second, third = alphas[:1, 5], alphas[1:3, 5], alphas[3:, 5]  # the edges entering nodes 1, 2, 3
            beta = torch.cat([first.softmax(0), second.softmax(0), third.softmax(0)])
        return torch.cat([beta[:, None] * alphas[:, :5].softmax(dim=1), beta[:, None]], 1)

    def frozen(self) -> bool:
        return self.epoch < round(self.config.warmup * self.task.budget.epochs)

    def one_shot_losses(self, candidates: Sequence[Cell], images: int) -> None:
        """None: most channels pass by the operations, so that a cell alone says little."""

    def one_shot_accuracies(self, candidates: Sequence[Cell], images: int) -> None:
        """None, as `one_shot_losses`."""
