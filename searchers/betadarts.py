"""β-DARTS (Ye et al., CVPR 2022): DARTS with Beta-Decay, which holds the softmax's inputs together.

An alpha step adds λ times the mean over edges of log Σ_o exp(α_o) (their smoothmax). Source of every default: the
authors' code for NAS-Bench-201 (DOC): 100 epochs, λ = 50 · epoch / epochs, with epochs counted from 0. What it shares
with DARTS follows DARTS' NAS-Bench-201 script, so that rows differ in the method alone; the authors' own script steps
alpha first and uses weight decay 3e-4 without Nesterov momentum.
"""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import Field
from torch import Tensor

from searchers.darts import GradientSearcher
from searchers.one_shot import AlphaSettings


class BetaDARTSSettings(AlphaSettings):
    weight: float = Field(50.0, ge=0)  # DOC: λ after the last epoch


class BetaDARTS(GradientSearcher):
    name = "betadarts"
    Config = BetaDARTSSettings
    ablations: ClassVar[dict[str, dict[str, Any]]] = {"no beta decay": {"weight": 0.0}}
    reference_epochs = 100

    def penalty(self, alphas: Tensor) -> Tensor:
        weight = self.config.weight * self.epoch / self.task.budget.epochs
        return weight * alphas.logsumexp(dim=1).mean()
