"""REINFORCE (Williams, 1992) on the low-fidelity proxy, with NATS-Bench's settings.

A categorical distribution over the operations of each edge; each step draws and queries one cell, its proxy accuracy is
the reward, and the logits follow the policy gradient by Adam. Source: AutoDL-Projects' scripts (DOC): learning rate
0.01 (NATS-Bench; NAS-Bench-201's example has 0.5), an exponential mean of rewards of decay 0.9 as baseline; logits
start at 1e-3·N(0, 1); the baseline takes in a reward before it is subtracted, and is corrected for its start; the
answer is the best proxy accuracy of all queries. A query that would overrun the budget is not made; NATS-Bench makes
it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from pydantic import Field
from scipy.special import softmax

from searchers.base import Searcher, SearchTask, Settings, Step
from searchers.multi_trial import BEST_QUERIED, BestSeen


class ReinforceSettings(Settings):
    lr: float = Field(0.01, gt=0)  # DOC
    baseline_decay: float = Field(0.9, ge=0, lt=1)  # DOC
    init: float = Field(1e-3, ge=0)  # DOC: standard deviation of the first logits


class Reinforce(Searcher):
    name = "reinforce"
    kind = "multi-trial"
    answer_rule = BEST_QUERIED
    Config = ReinforceSettings

    def __init__(self, task: SearchTask, config: ReinforceSettings):
        super().__init__(task, config)
        self.rng = task.stream("cells")
        self.logits = config.init * task.stream("logits").standard_normal(task.shape)
        self.m, self.v = np.zeros(task.shape), np.zeros(task.shape)  # Adam's moments
        self.mean_reward = 0.0  # exponential mean, not yet corrected for its start
        self.steps = 0
        self.best = BestSeen(task)

    def step(self) -> Step | None:
        p = softmax(self.logits, axis=1)
        operations = (p.cumsum(axis=1) < self.rng.random((len(p), 1))).sum(axis=1).clip(max=p.shape[1] - 1)
        cell = tuple(int(op) for op in operations)
        result = self.task.proxy(cell)
        if result is None:
            return None
        self.learn(p, operations, result[0])
        return self.best.step(cell, result[0])

    def learn(self, p: np.ndarray, operations: np.ndarray, reward: float) -> None:
        """One Adam step (betas 0.9 and 0.999) on −(reward − baseline)·log p(cell)."""
        decay = self.config.baseline_decay
        self.steps += 1
        self.mean_reward = decay * self.mean_reward + (1 - decay) * reward
        advantage = reward - self.mean_reward / (1 - decay**self.steps)
        gradient = -advantage * (np.eye(p.shape[1])[operations] - p)
        self.m = 0.9 * self.m + 0.1 * gradient
        self.v = 0.999 * self.v + 0.001 * gradient**2
        m, v = self.m / (1 - 0.9**self.steps), self.v / (1 - 0.999**self.steps)
        self.logits = self.logits - self.config.lr * m / (np.sqrt(v) + 1e-8)

    def state_dict(self) -> dict[str, Any]:
        arrays = {"logits": self.logits, "m": self.m, "v": self.v}
        return {
            **{name: value.tolist() for name, value in arrays.items()},
            "mean_reward": self.mean_reward,
            "steps": self.steps,
            "best": self.best.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.logits, self.m, self.v = (np.array(state[name]) for name in ("logits", "m", "v"))
        self.mean_reward, self.steps = state["mean_reward"], state["steps"]
        self.best.load_state_dict(state["best"])
