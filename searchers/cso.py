"""Pure competitive swarm: CSO (Cheng and Jin, 2015) moves alpha, gradients move only the weights w.

The baseline of G-ICSO-NAS without its gradient phases. The rule (`swarm.py`) is DOC (PlatEMO's, φ = 0.1). How it
meets a supernet is INFERRED, and the same as in `gicso`: w is trained on single paths (`PathSettings`), two
generations an epoch, the arg-max path's validation error as fitness, and all particles scored again at the epoch's end,
since w moves.

`cso-table` needs no supernet: fitness is the benchmark's low-fidelity proxy in simulated seconds, and the
searcher is multi-trial, a query a step.
"""

from __future__ import annotations

from functools import partial
from typing import Any, ClassVar

import numpy as np
from pydantic import Field

from searchers.alpha_swarm import AlphaSwarm, ParticleSettings, SwarmSettings
from searchers.base import Searcher, SearchTask, Step
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
from searchers.swarm import Swarm


class CSOSettings(WeightSettings, PathSettings, SwarmSettings):
    phi: float = Field(0.1, ge=0)  # DOC, PlatEMO


class CompetitiveSwarm(OneShotSearcher):
    """Weights on single paths, two generations in each epoch."""

    name = "cso"
    answer_rule = ARG_MAX
    Config = CSOSettings
    ablations: ClassVar[dict[str, dict[str, Any]]] = {**PATH_ABLATIONS, "loss instead of error": {"fitness": "loss"}}
    state = ("training", "alphas")
    reference_epochs = 50  # INFERRED: DARTS'

    def __init__(self, task: SearchTask, config: CSOSettings):
        super().__init__(task, config)
        self.training = WeightTraining(task, config, config.fitness_batch, config.fitness_images)
        self.paths = task.stream("paths")
        self.alphas = AlphaSwarm(self.training, initial_alphas(task, 0.0), "cso", config.phi, config)

    def run_epoch(self, epoch: int) -> Step:
        metrics = self.alphas.epoch(partial(self.training.path_epoch, epoch, self.paths, self.config))
        best = self.alphas.best()
        return Step(self.task.space.derive(best), best, metrics)

    @classmethod
    def key_settings(cls, config: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        return "cso", config | {"oracle": "supernet"}


class TableSettings(ParticleSettings):
    phi: float = Field(0.1, ge=0)  # DOC, PlatEMO


class TableSwarm(Searcher):
    """A step is a query. When all particles that moved have been queried, the swarm is told their errors."""

    name = "cso-table"
    kind = "multi-trial"
    answer_rule = BEST_QUERIED
    Config = TableSettings

    def __init__(self, task: SearchTask, config: TableSettings):
        super().__init__(task, config)

        def draw(n: int, rng: np.random.Generator) -> np.ndarray:
            return config.spread * rng.standard_normal((n, np.prod(task.shape)))

        rng, box = task.stream("swarm"), config.box
        self.swarm = Swarm(config.population, "cso", rng, -box, box, config.phi, draw)
        self.errors = np.full(config.population, np.inf)  # 100 − accuracy
        self.queue: list[int] = []  # particles to query
        self.best = BestSeen(task)

    def step(self) -> Step | None:
        if not self.queue:
            if np.isfinite(self.errors).all():
                self.swarm.tell(self.errors)
            self.queue = self.swarm.ask().tolist()
        particle = self.queue[0]
        alphas = self.swarm.x[particle].reshape(self.task.shape)
        cell = self.task.space.derive(alphas)
        result = self.task.proxy(cell)
        if result is None:
            return None
        self.queue.pop(0)
        self.errors[particle] = 100 - result[0]
        return self.best.step(cell, result[0], alphas)

    def state_dict(self) -> dict[str, Any]:
        return {
            "swarm": self.swarm.state_dict(),
            "errors": self.errors.tolist(),
            "waiting": list(self.queue),
            "best": self.best.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.swarm.load_state_dict(state["swarm"])
        self.errors = np.array(state["errors"])
        self.queue = list(state["waiting"])
        self.best.load_state_dict(state["best"])

    @classmethod
    def key_settings(cls, config: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        return "cso", CSOSettings().model_dump(mode="json") | config | {"oracle": "table"}
