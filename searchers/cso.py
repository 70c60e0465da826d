"""Pure competitive swarm: CSO (Cheng and Jin, 2015) moves alpha, gradients move only the weights w.

The baseline of G-ICSO-NAS without its gradient phases. The rule is DOC (PlatEMO's, φ = 0.1). How it
meets a supernet is INFERRED, and the same as in `gicso`: w is trained on single paths (`PathSettings`), two
generations an epoch, the arg-max path's validation error as fitness, everyone scored anew at its end since w moves.

`oracle=table` needs no supernet: fitness is the benchmark's low-fidelity proxy in simulated seconds, and the
searcher is multi-trial, a query a step.
"""

from __future__ import annotations

from functools import partial
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from benchmarks.nb201.cell import derive
from searchers.alpha_swarm import AlphaSwarm, SwarmSettings
from searchers.base import Step
from searchers.multi_trial import BestSeen
from searchers.one_shot import (
    DIMENSIONS,
    PATH_ABLATIONS,
    SHAPE,
    EitherOracle,
    PathSettings,
    WeightSettings,
    WeightTraining,
    initial_alphas,
)
from searchers.swarm import Swarm


class CSOSettings(WeightSettings, PathSettings, SwarmSettings):
    oracle: Literal["supernet", "table"] = "supernet"
    phi: float = Field(0.1, ge=0)  # DOC, PlatEMO


class SupernetSwarm:
    """An epoch a step: weights on single paths, two generations in each."""

    def __init__(self, task: Any, config: CSOSettings):
        self.task, self.config = task, config
        self.training = WeightTraining(task, config, config.fitness_batch, config.fitness_images)
        self.paths = task.stream("paths")
        self.alphas = AlphaSwarm(self.training, initial_alphas(task, 0.0), "cso", config.phi, config)
        self.epoch = 0

    def step(self) -> Step | None:
        if self.epoch == self.task.budget.epochs:
            return None
        metrics = self.alphas.epoch(partial(self.training.path_epoch, self.epoch, self.paths, self.config))
        self.epoch += 1
        best = self.alphas.best()
        return Step(derive(best), best, metrics)

    def state_dict(self) -> dict[str, Any]:
        return {"training": self.training.state_dict(), "alphas": self.alphas.state_dict(), "epoch": self.epoch}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.training.load_state_dict(state["training"])
        self.alphas.load_state_dict(state["alphas"])
        self.epoch = state["epoch"]


class TableSwarm:
    """A query a step: the moved particles of a generation are queried one by one, then the swarm is told."""

    def __init__(self, task: Any, config: CSOSettings):
        self.task = task

        def draw(n: int, rng: np.random.Generator) -> np.ndarray:
            return config.spread * rng.standard_normal((n, DIMENSIONS))

        rng, box = task.stream("swarm"), config.box
        self.swarm = Swarm(config.population, "cso", rng, -box, box, config.phi, draw)
        self.errors = np.full(config.population, np.inf)  # 100 − accuracy
        self.waiting: list[int] = []
        self.best = BestSeen()

    def step(self) -> Step | None:
        if not self.waiting:
            if np.isfinite(self.errors).all():
                self.swarm.tell(self.errors)
            self.waiting = self.swarm.ask().tolist()
        particle = self.waiting[0]
        position = self.swarm.x[particle]
        cell = derive(position.reshape(SHAPE))
        answer = self.task.proxy(cell)
        if answer is None:
            return None
        self.waiting.pop(0)
        self.errors[particle] = 100 - answer[0]
        return self.best.step(cell, answer[0], position.reshape(SHAPE))

    def state_dict(self) -> dict[str, Any]:
        return {
            "swarm": self.swarm.state_dict(),
            "errors": self.errors.tolist(),
            "waiting": list(self.waiting),
            "best": self.best.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.swarm.load_state_dict(state["swarm"])
        self.errors = np.array(state["errors"])
        self.waiting = list(state["waiting"])
        self.best.load_state_dict(state["best"])


class CompetitiveSwarm(EitherOracle):
    name = "cso"
    Config = CSOSettings
    ablations: ClassVar[dict[str, dict[str, Any]]] = {**PATH_ABLATIONS, "loss instead of error": {"fitness": "loss"}}
    reference_epochs = 50  # INFERRED: DARTS'
    on_supernet = SupernetSwarm
    on_table = TableSwarm
