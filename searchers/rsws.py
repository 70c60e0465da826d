"""Random search with weight sharing (RSPS; Li and Talwalkar, UAI 2019), in NAS-Bench-201's protocol.

The weights are trained on uniform single paths; the answer is the best of 100 uniform cells by one-shot validation
accuracy. Source: AutoDL-Projects' NAS-Bench-201 script (DOC): 250 epochs, 100 cells after each epoch, each scored
on one validation batch. Here the cells of an epoch share one batch, and after the last epoch all of them are scored
on every validation image.
"""

from __future__ import annotations

from functools import partial

import numpy as np
from pydantic import Field

from searchers.base import SearchTask, Step
from searchers.one_shot import OneShotSearcher, WeightSettings, WeightTraining


class RSWSSettings(WeightSettings):
    candidates: int = Field(100, ge=1)  # DOC
    fitness_batch: int = Field(256, ge=2)  # INFERRED


class RandomSearchWithWeightSharing(OneShotSearcher):
    name = "rsws"
    answer_rule = "the best by one-shot accuracy, on all validation images, of the cells drawn after the last epoch"
    Config = RSWSSettings
    reference_epochs = 250

    def __init__(self, task: SearchTask, config: RSWSSettings):
        super().__init__(task, config)
        self.training = WeightTraining(task, config, config.fitness_batch)
        self.paths = task.stream("paths")

    def run_epoch(self, epoch: int) -> Step:
        sample = partial(self.task.space.sample, self.paths)
        metrics = self.training.epoch(epoch, sample)
        cells = [sample() for _ in range(self.config.candidates)]
        if epoch + 1 < self.task.budget.epochs:
            accuracies = self.training.accuracies(cells, *self.training.fitness.next())
        else:
            accuracies = self.training.accuracies(cells, *self.training.images(len(self.training.fitness.images)))
        return Step(
            cells[int(np.argmax(accuracies))], metrics={**metrics, "one_shot_accuracy": float(accuracies.max())}
        )
