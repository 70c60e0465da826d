"""Local search on the low-fidelity proxy (White, Nolen and Savani, UAI 2021; Ottelander et al., 2021).

From a random cell all its neighbours (24 on NAS-Bench-201) are queried, in random order, and the best of them is the
next centre if it is better than the centre; at a local optimum the search starts anew from another random cell. Cells
queried before cost nothing again. The answer is the best proxy accuracy of all queries. The rule is White et al.'s
Algorithm 1 (RECALLED); their code starts a climb from the best of ten random cells and takes the first better neighbour
(DOC).
"""

from __future__ import annotations

from typing import Any

from benchmarks.base import Cell
from searchers.base import Searcher, SearchTask, Step
from searchers.multi_trial import BEST_QUERIED, BestSeen


class LocalSearch(Searcher):
    name = "local"
    kind = "multi-trial"
    answer_rule = BEST_QUERIED

    def __init__(self, task: SearchTask, config: Any):
        super().__init__(task, config)
        self.rng = task.stream("cells")
        self.accuracies: dict[Cell, float] = {}
        self.centre: Cell | None = None
        self.best = BestSeen(task)

    def step(self) -> Step | None:
        if len(self.accuracies) == self.task.space.size:
            return None
        cell = self.next_cell()
        while cell is None:
            cell = self.next_cell()
        result = self.task.proxy(cell)
        if result is None:
            return None
        self.accuracies[cell] = result[0]
        return self.best.step(cell, result[0])

    def next_cell(self) -> Cell | None:
        """The next cell to query; None where the centre moved or was given up, so that the caller asks again."""
        if self.centre is None:
            self.centre = self.task.space.sample(self.rng)
            return None if self.centre in self.accuracies else self.centre
        neighbours = self.task.space.neighbours(self.centre)
        candidates = [cell for cell in neighbours if cell not in self.accuracies]
        if candidates:
            return candidates[int(self.rng.integers(len(candidates)))]
        leader = max(neighbours, key=self.accuracies.__getitem__)
        self.centre = leader if self.accuracies[leader] > self.accuracies[self.centre] else None
        return None

    def state_dict(self) -> dict[str, Any]:
        return {
            "known": [[list(cell), accuracy] for cell, accuracy in self.accuracies.items()],
            "centre": self.centre and list(self.centre),
            "best": self.best.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.accuracies = {tuple(cell): accuracy for cell, accuracy in state["known"]}
        self.centre = state["centre"] and tuple(state["centre"])
        self.best.load_state_dict(state["best"])
