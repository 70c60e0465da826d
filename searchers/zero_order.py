"""Random perturbations instead of a swarm, a control: how much of G-ICSO-NAS's gain comes from the swarm?

Alphas follow a gradient estimated from one-shot errors at pairs of random perturbations; all else is as in `cso`: w on
the same single paths, two estimates an epoch, the error of the arg-max cell on shared images, as many candidates in an
epoch as a swarm of 24 scores with its re-scoring. There is no box and no g. The estimate is the antithetic one of
Salimans et al. (2017, arXiv 1703.03864) for the Gaussian-smoothed error; that derivative-free alpha updates escape
DARTS' all-skip cell is ReLIZO's observation (NeurIPS 2024, DOC). σ, the step and Adam are INFERRED.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import torch
from pydantic import Field

from searchers.base import SearchTask, Step
from searchers.one_shot import (
    ARG_MAX,
    PATH_ABLATIONS,
    AlphaDescent,
    AlphaSettings,
    OneShotSearcher,
    PathSettings,
    WeightTraining,
    initial_alphas,
    is_due,
)


class ZeroOrderSettings(AlphaSettings, PathSettings):
    alpha_lr: float = Field(0.1, gt=0)  # INFERRED
    alpha_weight_decay: float = Field(0.0, ge=0)  # INFERRED
    sigma: float = Field(1.0, gt=0)  # INFERRED, gicso's spread: standard deviation of the perturbations
    pairs: int = Field(12, ge=1)  # INFERRED: 48 candidates an epoch; a swarm of 24 scores 49
    estimates: int = Field(2, ge=1)  # INFERRED, gicso's generations: in an epoch
    fitness_batch: int = Field(512, ge=2)  # INFERRED, gicso's
    fitness_images: int = Field(512, ge=2)  # INFERRED, gicso's


class ZeroOrder(OneShotSearcher):
    name = "zero-order"
    answer_rule = ARG_MAX
    Config = ZeroOrderSettings
    ablations: ClassVar[dict[str, dict[str, Any]]] = PATH_ABLATIONS
    state = ("training", "alpha")
    reference_epochs = 50  # INFERRED: DARTS'

    def __init__(self, task: SearchTask, config: ZeroOrderSettings):
        super().__init__(task, config)
        self.training = WeightTraining(task, config, config.fitness_batch, config.fitness_images)
        self.alpha = AlphaDescent(self.training, initial_alphas(task, config.alpha_init), config)
        self.paths, self.noise = task.stream("paths"), task.stream("perturbations")

    def run_epoch(self, epoch: int) -> Step:
        metrics = self.training.path_epoch(epoch, self.paths, self.config, self.after_batch)
        alphas = self.alpha.values()
        return Step(self.task.space.derive(alphas), alphas, metrics)

    def after_batch(self, number: int) -> None:
        if is_due(number, len(self.training.train), self.config.estimates):
            self.alpha.descend(torch.tensor(self.estimate(), dtype=torch.float32, device=self.task.device))

    def estimate(self) -> np.ndarray:
        """Gradient (edges, operations) of the smoothed error: mean over pairs of (E(α + σu) − E(α − σu)) / 2σ · u."""
        alphas, sigma = self.alpha.values(), self.config.sigma
        u = self.noise.standard_normal((self.config.pairs, *alphas.shape))
        candidates = [self.task.space.derive(alphas + sign * sigma * d) for sign in (1, -1) for d in u]
        errors = self.training.errors(candidates, *self.training.fitness.next())
        plus, minus = np.split(errors, 2)
        return np.asarray(((plus - minus) / (2 * sigma))[:, None, None] * u).mean(axis=0)
