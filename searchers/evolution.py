"""Regularised evolution (REA, Real et al., AAAI 2019) on the low-fidelity proxy.

Protocol: NAS-Bench-201's REA script (DOC): population 10, tournament of 3 drawn with replacement,
one-edge mutation to another operation (the script draws a node, then one of its edges; here every edge is as likely,
which changes nothing that 500 seeds show), the oldest member dies; a child that would overrun the budget is not
made; the answer is the best 12-epoch validation accuracy of all queries.
"""

from __future__ import annotations

from collections import deque
from typing import Any, ClassVar

from pydantic import Field

from benchmarks.base import Cell
from searchers.base import Searcher, SearchTask, Settings, Step
from searchers.multi_trial import BEST_QUERIED, BestSeen


class EvolutionSettings(Settings):
    population: int = Field(10, ge=1)  # DOC, NAS-Bench-201 scripts
    tournament: int = Field(3, ge=1)  # DOC, drawn with replacement


class Evolution(Searcher):
    name = "evolution"
    kind = "multi-trial"
    answer_rule = BEST_QUERIED
    Config = EvolutionSettings
    ablations: ClassVar[dict[str, dict[str, Any]]] = {"no selection": {"tournament": 1}}

    def __init__(self, task: SearchTask, config: EvolutionSettings):
        super().__init__(task, config)
        self.rng = task.stream("cells")
        self.population: deque[tuple[float, Cell]] = deque()
        self.best = BestSeen(task)

    def step(self) -> Step | None:
        full = len(self.population) >= self.config.population
        space = self.task.space
        child = space.mutate(self.tournament(), self.rng) if full else space.sample(self.rng)
        result = self.task.proxy(child)
        if result is None:
            return None
        if full:
            self.population.popleft()
        self.population.append((result[0], child))
        return self.best.step(child, result[0])

    def tournament(self) -> Cell:
        """The best of a few members drawn with replacement."""
        members = self.rng.integers(len(self.population), size=self.config.tournament).tolist()
        return max((self.population[k] for k in members), key=lambda member: member[0])[1]

    def state_dict(self) -> dict[str, Any]:
        return {
            "population": [[accuracy, list(cell)] for accuracy, cell in self.population],
            "best": self.best.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.population = deque((accuracy, tuple(cell)) for accuracy, cell in state["population"])
        self.best.load_state_dict(state["best"])
