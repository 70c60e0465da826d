"""DARTS (Liu, Simonyan and Yang, ICLR 2019), first and second order, in NAS-Bench-201's protocol.

Source of every default: AutoDL-Projects' NAS-Bench-201 scripts (DOC): 50 epochs; Adam 3e-4 with betas (0.5, 0.999) and
weight decay 1e-3; alphas start at 1e-3·N(0, 1); the answer is the last epoch's arg-max over all five operations. First
order steps w, then alpha; second order alpha, then w (DOC).

Methods that change an equation of DARTS are in files of their own; what they share with it is `GradientSearcher`.
"""

from __future__ import annotations

import weakref
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from torch import Tensor

from benchmarks.base import Choice
from searchers.base import SearchTask, Step
from searchers.one_shot import (
    ARG_MAX,
    AlphaDescent,
    AlphaSettings,
    OneShotSearcher,
    WeightTraining,
    initial_alphas,
    softmax_rows,
)


class DARTSSettings(AlphaSettings):
    order: Literal[1, 2] = 1


class GradientSearcher(OneShotSearcher):
    """First-order DARTS; methods that change an equation of it override `relax`, `penalty`, `frozen` or `answer`."""

    answer_rule = ARG_MAX
    Config: ClassVar[type[AlphaSettings]] = AlphaSettings
    state = ("training", "alpha")
    mixed_share: ClassVar[int] = 1  # of a mixture's channels 1 in `mixed_share` is mixed

    def __init__(self, task: SearchTask, config: Any):
        super().__init__(task, config)
        self.training = WeightTraining(task, config, mixed_share=self.mixed_share)
        proxy = weakref.proxy(self)  # a reference to self.relax would be a cycle that keeps the network in memory
        self.alpha = AlphaDescent(self.training, self.first_alphas(), config, lambda alphas: proxy.relax(alphas))

    def first_alphas(self) -> np.ndarray:
        return initial_alphas(self.task, self.config.alpha_init)

    def relax(self, alphas: Tensor) -> Choice:
        """The path or mixture for the supernet at these alphas."""
        return softmax_rows(alphas)

    def penalty(self, alphas: Tensor) -> Tensor | None:
        """A term that alpha steps add to the validation loss, or None."""
        return None

    def frozen(self) -> bool:
        """Whether alphas are not trained in this epoch."""
        return False

    def run_epoch(self, epoch: int) -> Step:
        return self.answer(self.train(epoch))

    def train(self, epoch: int) -> dict[str, float]:
        """Train w and α for one epoch; returns its metrics."""
        return self.alpha.alternate(epoch, self.penalty, self.frozen())  # (7) with ξ = 0

    def answer(self, metrics: dict[str, float]) -> Step:
        alphas = self.alpha.values()
        return Step(self.task.space.derive(alphas), alphas, metrics)


class DARTS(GradientSearcher):
    name = "darts"
    Config = DARTSSettings
    ablations: ClassVar[dict[str, dict[str, Any]]] = {"second order": {"order": 2}}
    reference_epochs = 50

    def train(self, epoch: int) -> dict[str, float]:
        return super().train(epoch) if self.config.order == 1 else self.second_order_epoch(epoch)

    def second_order_epoch(self, epoch: int) -> dict[str, float]:
        train, valid = [], []
        for x, y in self.training.batches(epoch):
            valid.append(unrolled_step(self.training, self.alpha, x, y))
            train.append(self.training.weight_step(x, y, self.alpha.choice()))
        return {
            "train_loss": self.training.mean_loss("training losses", train),
            "valid_loss": self.training.mean_loss("validation losses", valid),
        }


def unrolled_step(training: WeightTraining, alpha: AlphaDescent, x: Tensor, y: Tensor) -> Tensor:
    """One second-order step on alphas, eqs. (6) to (8) of the paper; the validation loss at w' before it.

    w' = w − ξ∇_w L_train is a step with the optimiser's momentum, decay and learning rate ξ; as in the reference code
    it is neither clipped nor Nesterov's, which the optimiser's own step is. The Hessian-vector product is a central
    difference with ε = 0.01 / |∇_w' L_valid|. Weights are put back bit by bit. Always in float32: bf16 would drown the
    difference.
    """
    weights = list(training.net.parameters())
    originals = [w.detach().clone() for w in weights]
    (group,) = training.sgd.param_groups
    xi = group["lr"]
    x_valid, y_valid = training.valid.next()

    def place(values: list[Tensor]) -> None:
        with torch.no_grad():
            for w, value in zip(weights, values, strict=True):
                w.copy_(value)

    def loss(x: Tensor, y: Tensor) -> Tensor:
        return training.loss(x, y, alpha.relax(alpha.alphas), precise=True)

    gradients = torch.autograd.grad(loss(x, y), weights)
    ahead = []
    for w, value, gradient in zip(weights, originals, gradients, strict=True):
        buffer = training.sgd.state[w].get("momentum_buffer") if w in training.sgd.state else None
        momentum = 0.0 if buffer is None else group["momentum"] * buffer
        ahead.append(value - xi * (momentum + gradient + group["weight_decay"] * value))
    place(ahead)
    value = loss(x_valid, y_valid)
    at_alpha, *at_weights = torch.autograd.grad(value, [alpha.alphas, *weights])
    epsilon = 0.01 / torch.sqrt(sum((g**2).sum() for g in at_weights))
    sides = []
    for sign in (1, -1):
        place([w + sign * epsilon * g for w, g in zip(originals, at_weights, strict=True)])
        sides.append(torch.autograd.grad(loss(x, y), [alpha.alphas])[0])
    place(originals)
    alpha.descend(at_alpha - xi * (sides[0] - sides[1]) / (2 * epsilon))  # (7), (8)
    training.task.count(train_images=len(y_valid) + 3 * len(y))
    return value.detach()
