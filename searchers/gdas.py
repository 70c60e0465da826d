"""GDAS (Dong and Yang, CVPR 2019): one path a step, drawn with Gumbel noise, its gradient passed straight through.

Source of every default: AutoDL-Projects' NAS-Bench-201 script (DOC): 250 epochs, temperature τ from 10 to 0.1, linear
in the epochs; steps on w and on alpha each draw a path of their own; all else is DARTS'.
"""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from pydantic import Field
from torch import Tensor

from benchmarks.base import Choice, Sampled
from searchers.darts import GradientSearcher
from searchers.one_shot import AlphaSettings


class GDASSettings(AlphaSettings):
    tau_first: float = Field(10.0, gt=0)  # DOC
    tau_last: float = Field(0.1, gt=0)  # DOC


class GDAS(GradientSearcher):
    name = "gdas"
    Config = GDASSettings
    ablations: ClassVar[dict[str, dict[str, Any]]] = {"constant temperature": {"tau_first": 1.0, "tau_last": 1.0}}
    reference_epochs = 250

    def tau(self) -> float:
        """The temperature of the current epoch."""
        progress = self.epoch / max(self.task.budget.epochs - 1, 1)
        return self.config.tau_first + (self.config.tau_last - self.config.tau_first) * progress

    def relax(self, alphas: Tensor) -> Choice:
        noise = torch.empty_like(alphas).exponential_(generator=self.task.torch_stream("gumbel"))
        soft = ((alphas.log_softmax(dim=1) - noise.log()) / self.tau()).softmax(dim=1)  # (3)
        operations = soft.argmax(dim=1)
        cell = tuple(operations.tolist())
        if not torch.is_grad_enabled():  # a weight step: the path alone
            return cell
        hard = torch.zeros_like(soft).scatter_(1, operations[:, None], 1.0)
        return Sampled(cell, hard - soft.detach() + soft)  # (4): 1 and 0 forward, the soft weights' gradient backward
