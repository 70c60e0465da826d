"""Random search with weight sharing (RSPS; Li and Talwalkar, UAI 2019), in NAS-Bench-201's protocol.

The weights are trained on uniform single paths; the answer is the best of 100 uniform cells by one-shot validation
accuracy. Source: AutoDL-Projects' NAS-Bench-201 script (DOC): 250 epochs, 100 cells after each epoch, each scored
on one validation batch. Here the cells of an epoch share one batch, and after the last epoch all of them are scored
on every validation image.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from pydantic import Field

from benchmarks.nb201 import cell as cells
from searchers.base import Step
from searchers.one_shot import OneShotSearcher, WeightSettings, WeightTraining


class RSWSSettings(WeightSettings):
    candidates: int = Field(100, ge=1)  # DOC
    fitness_batch: int = Field(256, ge=2)  # INFERRED


class RandomSearchWithWeightSharing(OneShotSearcher):
    name = "rsws"
    answer_rule = "the best by one-shot accuracy, on all validation images, of the cells drawn after the last epoch"
    Config = RSWSSettings
    reference_epochs = 250

    def __init__(self, task: Any, config: RSWSSettings):
        super().__init__(task, config)
        self.training = WeightTraining(task, config, config.fitness_batch)
        self.paths = task.stream("paths")
        self.epoch = 0

    def step(self) -> Step | None:
        if self.epoch == self.task.budget.epochs:
            return None
        metrics = self.training.epoch(self.epoch, lambda: cells.sample(self.paths))
        self.epoch += 1
        drawn = [cells.sample(self.paths) for _ in range(self.config.candidates)]
        if self.epoch < self.task.budget.epochs:
            accuracies = self.training.accuracies(drawn, *self.training.fitness.next())
        else:
            accuracies = self.training.accuracies(drawn, *self.training.images(len(self.training.fitness.images)))
        return Step(
            drawn[int(np.argmax(accuracies))], metrics={**metrics, "one_shot_accuracy": float(accuracies.max())}
        )

    def state_dict(self) -> dict[str, Any]:
        return {"training": self.training.state_dict(), "epoch": self.epoch}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.training.load_state_dict(state["training"])
        self.epoch = state["epoch"]
