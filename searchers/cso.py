"""Pure competitive swarm: CSO (Cheng and Jin, 2015) moves alpha, gradients move only the weights w.

The baseline of G-ICSO-NAS without its gradient phases. The rule is DOC (PlatEMO's, φ = 0.1). How it
meets a supernet is INFERRED, and the same as in `gicso`: w is trained on uniform single paths, a generation every
40 weight steps, one-hot validation loss as fitness, everyone scored anew once an epoch since w moves.

`oracle=table` needs no supernet: fitness is the benchmark's low-fidelity proxy in simulated seconds, and the
searcher is multi-trial, a query a step.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from pydantic import Field

from benchmarks.nb201 import cell as cells
from benchmarks.nb201.cell import derive
from searchers.base import Searcher, Step
from searchers.one_shot import (
    DIMENSIONS,
    SHAPE,
    AlphaSwarm,
    WeightSettings,
    WeightTraining,
    distances,
    initial_alphas,
    mean,
)
from searchers.swarm import Swarm


class CSOSettings(WeightSettings):
    oracle: Literal["supernet", "table"] = "supernet"
    population: int = Field(24, ge=6)  # INFERRED, as gicso
    phi: float = Field(0.1, ge=0)  # DOC, PlatEMO
    spread: float = Field(1.0, gt=0)  # INFERRED: standard deviation of the first swarm
    box: float = Field(3.0, gt=0)  # INFERRED: alphas live in [−box, box]
    generation_steps: int = Field(40, ge=1)  # INFERRED: weight steps a generation
    fitness_batch: int = Field(256, ge=2)  # INFERRED


class CompetitiveSwarm(Searcher):
    name = "cso"
    kind = "one-shot"
    Config = CSOSettings
    reference_epochs = 50  # INFERRED: DARTS'

    @classmethod
    def kind_of(cls, config: CSOSettings) -> str:
        return "one-shot" if config.oracle == "supernet" else "multi-trial"

    def __init__(self, task: Any, config: CSOSettings):
        super().__init__(task, config)
        self.search = SupernetSwarm(task, config) if config.oracle == "supernet" else TableSwarm(task, config)

    def step(self) -> Step | None:
        return self.search.step()

    def state_dict(self) -> dict[str, Any]:
        return self.search.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.search.load_state_dict(state)


class SupernetSwarm:
    """An epoch a step: weights on uniform single paths, a generation every few weight steps."""

    def __init__(self, task: Any, config: CSOSettings):
        self.task, self.config = task, config
        self.training = WeightTraining(task, config, config.fitness_batch)
        self.paths = task.stream("paths")
        self.alphas = AlphaSwarm(
            self.training,
            initial_alphas(task, 0.0),
            "cso",
            config.population,
            config.spread,
            config.box,
            config.phi,
        )
        self.epoch, self.weight_steps = 0, 0

    def step(self) -> Step | None:
        if self.epoch == self.task.budget.epochs:
            return None
        train = []
        for x, y in self.training.epoch(self.epoch):
            train.append(self.training.weight_step(x, y, cells.sample(self.paths)))
            self.weight_steps += 1
            if self.weight_steps % self.config.generation_steps == 0:
                self.alphas.generation()
        if not self.alphas.swarm.told:  # an epoch shorter than a generation
            self.alphas.generation()
        self.alphas.rescore()
        self.epoch += 1
        best = self.alphas.best()
        metrics = {
            "train_loss": mean(train),
            "best_loss": self.alphas.swarm.best_value,
            "diversity": float(distances(self.alphas.swarm.x).mean()),
        }
        return Step(derive(best), best, metrics)

    def state_dict(self) -> dict[str, Any]:
        return {
            "training": self.training.state_dict(),
            "alphas": self.alphas.state_dict(),
            "counts": [self.epoch, self.weight_steps],
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.training.load_state_dict(state["training"])
        self.alphas.load_state_dict(state["alphas"])
        self.epoch, self.weight_steps = state["counts"]


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
        self.best: tuple[float, list[float]] | None = None

    def step(self) -> Step | None:
        if not self.waiting:
            if np.isfinite(self.errors).all():
                self.swarm.tell(self.errors)
            self.waiting = self.swarm.ask().tolist()
        particle = self.waiting[0]
        cell = derive(self.swarm.x[particle].reshape(SHAPE))
        answer = self.task.proxy(cell)
        if answer is None:
            return None
        self.waiting.pop(0)
        self.errors[particle] = 100 - answer[0]
        if self.best is None or self.errors[particle] < self.best[0]:
            self.best = float(self.errors[particle]), self.swarm.x[particle].tolist()
        alphas = np.array(self.best[1]).reshape(SHAPE)
        metrics = {"queried": cells.index(cell), "accuracy": answer[0]}
        return Step(derive(alphas), alphas, metrics)

    def state_dict(self) -> dict[str, Any]:
        return {
            "swarm": self.swarm.state_dict(),
            "errors": self.errors.tolist(),
            "waiting": list(self.waiting),
            "best": self.best and list(self.best),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.swarm.load_state_dict(state["swarm"])
        self.errors = np.array(state["errors"])
        self.waiting = list(state["waiting"])
        self.best = state["best"] and (state["best"][0], state["best"][1])
