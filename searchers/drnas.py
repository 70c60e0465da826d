"""DrNAS (Chen et al., ICLR 2021): mixture weights are drawn from a Dirichlet distribution that is learned.

The concentration is elu(α) + 1; both w and alpha steps draw afresh, and alpha's gradient passes through the draw (a
Dirichlet draw is a normalised draw of Gamma variables). Source: the paper and the authors' code for NAS-Bench-201:
100 epochs (DOC), without its progressive partial channels, which that space does not use (RECALLED). The distance
to the flat Dirichlet enters as a Kullback-Leibler term of weight 1e-3 (RECALLED). The answer is the operation with
the largest mean on each edge, that is, the largest α. What it shares with DARTS follows DARTS' NAS-Bench-201 script.
"""

from __future__ import annotations

from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor
from torch.distributions import Dirichlet, kl_divergence

from benchmarks.nb201.supernet import Choice
from searchers.darts import DARTS
from searchers.one_shot import AlphaSettings


class DrNASSettings(AlphaSettings):
    regulariser: float = Field(1e-3, ge=0)  # RECALLED
    alpha_weight_decay: float = Field(0.0, ge=0)  # RECALLED: the Kullback-Leibler term takes its place


class DrNAS(DARTS):
    name = "drnas"
    Config = DrNASSettings
    ablations: ClassVar[dict[str, dict[str, Any]]] = {"no distance to the flat Dirichlet": {"regulariser": 0.0}}
    reference_epochs = 100

    def relax(self, alphas: Tensor) -> Choice:
        gamma = torch._standard_gamma(F.elu(alphas) + 1, generator=self.task.torch_stream("dirichlet"))
        gamma = gamma.clamp(min=torch.finfo(gamma.dtype).tiny)
        return gamma / gamma.sum(dim=1, keepdim=True)

    def penalty(self, alphas: Tensor) -> Tensor:
        concentration = F.elu(alphas) + 1
        flat = Dirichlet(torch.ones_like(concentration))
        return self.config.regulariser * kl_divergence(Dirichlet(concentration), flat).sum()
