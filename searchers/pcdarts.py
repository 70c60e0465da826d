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

from benchmarks.base import Cell, Choice
from searchers.base import Step
from searchers.darts import GradientSearcher
from searchers.one_shot import AlphaSettings, initial_alphas

K = 4  # DOC: one channel in K is mixed


class PCDARTSSettings(AlphaSettings):
    alpha_lr: float = Field(6e-4, ge=0)  # DOC
    warmup: float = Field(0.3, ge=0, le=1)  # DOC: alpha is not trained in the first 15 of 50 epochs
    edge_normalisation: bool = True


class PCDARTS(GradientSearcher):
    name = "pcdarts"
    Config = PCDARTSSettings
    ablations: ClassVar[dict[str, dict[str, Any]]] = {
        "no warm-up": {"warmup": 0.0},
        "no edge normalisation": {"edge_normalisation": False},
    }
    mixed_share = K

    def first_alphas(self) -> np.ndarray:
        """α and, as a last column, β's parameters."""
        beta = self.config.alpha_init * self.task.stream("betas").standard_normal((self.task.shape[0], 1))
        return np.hstack([initial_alphas(self.task, self.config.alpha_init), beta])

    def relax(self, alphas: Tensor) -> Choice:
        beta = self.edge_weights(alphas)
        return torch.cat([beta[:, None] * alphas[:, :-1].softmax(dim=1), beta[:, None]], 1)

    def edge_weights(self, alphas: Tensor) -> Tensor:
        """β, a softmax over the edges that enter a node; (edges,)."""
        if not self.config.edge_normalisation:
            return torch.ones_like(alphas[:, -1])
        return torch.cat([alphas[rows, -1].softmax(0) for rows in self.task.space.incoming])

    def answer(self, metrics: dict[str, float]) -> Step:
        alphas = self.alpha.values()[:, :-1]
        beta = self.edge_weights(self.alpha.alphas.detach()).cpu().double().numpy()
        return Step(self.task.space.derive(alphas, edge_weights=beta), alphas, metrics)

    def frozen(self) -> bool:
        return self.epoch < round(self.config.warmup * self.task.budget.epochs)

    def one_shot_losses(self, candidates: Sequence[Cell], images: int) -> None:
        """None: most channels pass by the operations, so that a cell alone says little."""

    def one_shot_accuracies(self, candidates: Sequence[Cell], images: int) -> None:
        """None, for the reason of `one_shot_losses`."""
