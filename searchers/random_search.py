"""Random search on the low-fidelity proxy: the smallest complete searcher, start here to write your own.

Protocol: NAS-Bench-201's RS (Dong and Yang, ICLR 2020): uniform cells with repeats, each pays its
12-epoch training time; the answer is the best 12-epoch validation accuracy of all queries. Where a benchmark has no
proxy, the answer is one uniform cell, as in Li and Talwalkar (UAI 2019) and Yang et al. (ICLR 2020).
"""

from __future__ import annotations

from typing import Any

from searchers.base import Searcher, SearchTask, Step
from searchers.multi_trial import BEST_QUERIED, BestSeen


class RandomSearch(Searcher):
    name = "random"
    kind = "multi-trial"
    answer_rule = f"{BEST_QUERIED}; without a proxy, one uniform cell"
    needs_proxy = False

    def __init__(self, task: SearchTask, config: Any):
        super().__init__(task, config)
        self.rng = task.stream("cells")
        self.best = BestSeen(task)

    def step(self) -> Step | None:
        if self.task.low_fidelity is None:
            return None if self.best.cell else self.best.step(self.task.space.sample(self.rng, none=False), 0.0)
        cell = self.task.space.sample(self.rng)
        result = self.task.proxy(cell)
        return None if result is None else self.best.step(cell, result[0])

    def state_dict(self) -> dict[str, Any]:
        return {"best": self.best.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.best.load_state_dict(state["best"])
