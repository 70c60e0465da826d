"""Random search on the low-fidelity proxy: the smallest complete searcher, start here to write your own.

Protocol: NAS-Bench-201's RS (Dong and Yang, ICLR 2020): uniform cells with repeats, each pays its
12-epoch training time; the answer is the best 12-epoch validation accuracy ever seen.
"""

from __future__ import annotations

from typing import Any

from benchmarks.nb201 import cell as cells
from searchers.base import Searcher, Step


class RandomSearch(Searcher):
    name = "random"
    kind = "multi-trial"

    def __init__(self, task: Any, config: Any):
        super().__init__(task, config)
        self.rng = task.stream("cells")
        self.best: tuple[float, cells.Cell] | None = None

    def step(self) -> Step | None:
        cell = cells.sample(self.rng)
        answer = self.task.proxy(cell)
        if answer is None:
            return None
        if self.best is None or answer[0] > self.best[0]:
            self.best = answer[0], cell
        return Step(self.best[1], metrics={"queried": cells.index(cell), "accuracy": answer[0]})

    def state_dict(self) -> dict[str, Any]:
        return {"best": self.best and [self.best[0], list(self.best[1])]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        best = state["best"]
        self.best = best and (best[0], tuple(best[1]))
