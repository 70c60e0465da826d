"""DrNAS (Chen et al., ICLR 2021): mixture weights are drawn from a Dirichlet distribution that is learned.

The concentration is elu(α) + 1; both w and alpha steps draw afresh, and alpha's gradient passes through the draw (a
Dirichlet draw is a normalised draw of Gamma variables). The distance to the flat Dirichlet is the squared norm of α, as
Adam's weight decay of 1e-3. The answer is the operation with the largest mean on each edge, that is, the largest α.

Source of every default: the authors' `train_search.py` for NAS-Bench-201 (DOC), 100 epochs, of which the published row
is (the author, xiangning-chen/DrNAS issue 8). A third party got its 94.36 and 46.34 again, but 70.88 instead of 73.51
on CIFAR-100 (issue 10). Their README runs `train_search_progressive.py`, which is not done here. What it shares with
DARTS follows DARTS' NAS-Bench-201 script; the authors' steps alpha first and uses weight decay 3e-4 without Nesterov
momentum.
"""

from __future__ import annotations

from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.base import Choice
from searchers.darts import GradientSearcher
from searchers.one_shot import AlphaSettings


class DrNAS(GradientSearcher):
    name = "drnas"
    Config = AlphaSettings
    ablations: ClassVar[dict[str, dict[str, Any]]] = {"no distance to the flat Dirichlet": {"alpha_weight_decay": 0.0}}
    reference_epochs = 100

    def relax(self, alphas: Tensor) -> Choice:
        gamma = torch._standard_gamma(F.elu(alphas) + 1, generator=self.task.torch_stream("dirichlet"))
        gamma = gamma.clamp(min=torch.finfo(gamma.dtype).tiny)
        return gamma / gamma.sum(dim=1, keepdim=True)
