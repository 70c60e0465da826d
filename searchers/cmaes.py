"""CMA-ES on the architecture parameters: CMANAS (Sinha and Chen, Evolutionary Computation 32(2), 2024).

The supernet is trained first, as gicso's (`PathSettings`), and stays as it is while the strategy searches; a sample
is scored through its derived cell by one-shot validation accuracy, and scores are remembered by cell; the answer is the
cell of the mean. Source: the paper's code (DOC): mean 0, σ = 1.3, population 4 + ⌊3 ln 30⌋ = 14 of the 30 parameters of
NAS-Bench-201. INFERRED: the paths, 100 generations (there 50), and 1,000 images for a score (there all, in batches of
1,024). The code as stored elsewhere trains its supernet on mixtures of random weights, and scores a cell as the softmax
of its one-hot code, a mixture in which the cell's operations weigh 0.4 and each other 0.15, with running statistics:
here the control has gicso's supernet and score. All generations follow the last epoch; until then the answer is
the cell of the initial alphas, an arbitrary one.

`cmaes-table` needs no supernet: the benchmark's low-fidelity proxy in simulated seconds is the fitness, a query a
step, and the answer is the best cell queried, as for all multi-trial searchers.
"""

from __future__ import annotations

from functools import partial
from math import prod
from typing import Any, ClassVar

import numpy as np
from cmaes import CMA
from pydantic import Field

from benchmarks.base import Cell
from searchers.base import Searcher, SearchTask, Settings, Step
from searchers.multi_trial import BEST_QUERIED, BestSeen
from searchers.one_shot import (
    ARG_MAX,
    PATH_ABLATIONS,
    OneShotSearcher,
    PathSettings,
    WeightSettings,
    WeightTraining,
    initial_alphas,
)


class StrategySettings(Settings):
    """The first step size and the samples of a generation."""

    sigma: float = Field(1.3, gt=0)  # DOC
    population: int = Field(14, ge=4)  # DOC


class CMAESSettings(StrategySettings, WeightSettings, PathSettings):
    generations: int = Field(100, ge=1)  # INFERRED
    fitness_batch: int = Field(256, ge=2)  # INFERRED
    fitness_images: int = Field(1000, ge=1)  # INFERRED: validation images on which a cell is scored


class Strategy:
    """CMA-ES of the package `cmaes`. Its state is kept as the errors told so far, from which `replay` rebuilds it."""

    def __init__(self, dimensions: int, sigma: float, population: int, seed: int):
        self.make = partial(CMA, np.zeros(dimensions), sigma, population_size=population, seed=seed % 2**32)
        self.cma = self.make()
        self.error_history: list[list[float]] = []  # a list for each finished generation

    def ask(self) -> list[np.ndarray]:
        return [self.cma.ask() for _ in range(self.cma.population_size)]

    def tell(self, samples: list[np.ndarray], errors: list[float]) -> None:
        self.cma.tell(list(zip(samples, errors, strict=True)))
        self.error_history.append(list(errors))

    def replay(self, error_history: list[list[float]]) -> None:
        """Return to the state after these generations."""
        self.cma, self.error_history = self.make(), []
        for errors in error_history:
            self.tell(self.ask(), errors)


class CMAES(OneShotSearcher):
    """A step is an epoch of weight training; the last one also runs all generations."""

    name = "cmaes"
    answer_rule = ARG_MAX
    Config = CMAESSettings
    ablations: ClassVar[dict[str, dict[str, Any]]] = PATH_ABLATIONS
    reference_epochs = 50  # INFERRED: DARTS'

    def __init__(self, task: SearchTask, config: CMAESSettings):
        super().__init__(task, config)
        self.training = WeightTraining(task, config, config.fitness_batch, config.fitness_images)
        self.paths = task.stream("paths")
        self.start = initial_alphas(task, 1e-3)

    def run_epoch(self, epoch: int) -> Step:
        metrics = self.training.path_epoch(epoch, self.paths, self.config)
        alphas = self.start
        if epoch + 1 == self.task.budget.epochs:
            alphas, search_metrics = self.evolve()
            metrics |= search_metrics
        return Step(self.task.space.derive(alphas), alphas, metrics)

    def evolve(self) -> tuple[np.ndarray, dict[str, float]]:
        """Run all generations; the alphas of the mean (edges, operations) and metrics."""
        config = self.config
        shape, derive = self.task.shape, self.task.space.derive
        strategy = Strategy(prod(shape), config.sigma, config.population, self.task.seed_of("cmaes"))
        images = self.training.fitness.next()
        error_of: dict[Cell, float] = {}  # percent
        for _ in range(config.generations):
            samples = strategy.ask()
            cells = [derive(sample.reshape(shape)) for sample in samples]
            new_cells = [cell for cell in dict.fromkeys(cells) if cell not in error_of]
            if new_cells:
                errors = 100 * self.training.errors(new_cells, *images)
                error_of |= dict(zip(new_cells, errors.tolist(), strict=True))
            strategy.tell(samples, [error_of[cell] for cell in cells])
        return strategy.cma.mean.reshape(shape), {
            "cells_scored": len(error_of),
            "best_one_shot": 100 - min(error_of.values()),
        }

    @classmethod
    def key_settings(cls, config: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        return "cmaes", config | {"oracle": "supernet"}


class TableCMAES(Searcher):
    """A step is a query; after each generation the strategy is told its errors."""

    name = "cmaes-table"
    kind = "multi-trial"
    answer_rule = BEST_QUERIED
    Config = StrategySettings

    def __init__(self, task: SearchTask, config: StrategySettings):
        super().__init__(task, config)
        self.strategy = Strategy(prod(task.shape), config.sigma, config.population, task.seed_of("cmaes"))
        self.samples = self.strategy.ask()
        self.errors: list[float] = []  # of this generation
        self.best = BestSeen(task)

    def step(self) -> Step | None:
        if len(self.errors) == len(self.samples):
            self.strategy.tell(self.samples, self.errors)
            self.samples, self.errors = self.strategy.ask(), []
        alphas = self.samples[len(self.errors)].reshape(self.task.shape)
        cell = self.task.space.derive(alphas)
        result = self.task.proxy(cell)
        if result is None:
            return None
        self.errors.append(100 - result[0])
        return self.best.step(cell, result[0], alphas)

    def state_dict(self) -> dict[str, Any]:
        return {"told": self.strategy.error_history, "errors": list(self.errors), "best": self.best.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.strategy.replay(state["told"])
        self.samples, self.errors = self.strategy.ask(), list(state["errors"])
        self.best.load_state_dict(state["best"])

    @classmethod
    def key_settings(cls, config: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        return "cmaes", CMAESSettings().model_dump(mode="json") | config | {"oracle": "table"}
