"""What all multi-trial searchers share: the best cell queried so far is the answer."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.base import Cell, identifier
from searchers.base import SearchTask, Step

BEST_QUERIED = "the one with the best proxy accuracy of all that were queried"  # what BestSeen answers


class BestSeen:
    """The cell with the highest proxy accuracy so far (of equals the first), and the alphas that gave it, if any."""

    def __init__(self, task: SearchTask):
        self.space = task.space
        self.accuracy = float("-inf")
        self.cell: Cell | None = None
        self.alphas: np.ndarray | None = None

    def step(self, queried: Cell, accuracy: float, alphas: np.ndarray | None = None) -> Step:
        """Record a query (accuracy in percent; alphas (edges, operations) or None); returns the search's step."""
        if self.cell is None or accuracy > self.accuracy:
            self.accuracy, self.cell = accuracy, queried
            self.alphas = None if alphas is None else alphas.copy()
        return Step(self.cell, self.alphas, {"queried": identifier(self.space, queried), "accuracy": accuracy})

    def state_dict(self) -> dict[str, Any]:
        alphas = None if self.alphas is None else self.alphas.tolist()
        return {"accuracy": self.accuracy, "cell": self.cell and list(self.cell), "alphas": alphas}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.accuracy, self.cell = state["accuracy"], state["cell"] and tuple(state["cell"])
        self.alphas = None if state["alphas"] is None else np.array(state["alphas"])
