"""DARTS, first order (Liu, Simonyan and Yang, ICLR 2019), in NAS-Bench-201's protocol.

Source of every default: AutoDL-Projects' NAS-Bench-201 scripts (DOC): 50 epochs; in each step first
w, then alpha; Adam 3e-4 with betas (0.5, 0.999) and weight decay 1e-3; alphas start at 1e-3·N(0, 1); the answer is
the last epoch's arg-max over all five operations.
"""

from __future__ import annotations

from typing import Any

from benchmarks.nb201.cell import derive
from searchers.base import Searcher, Step
from searchers.one_shot import AlphaDescent, AlphaSettings, WeightTraining, initial_alphas, mean


class DARTS(Searcher):
    name = "darts"
    kind = "one-shot"
    Config = AlphaSettings
    reference_epochs = 50

    def __init__(self, task: Any, config: AlphaSettings):
        super().__init__(task, config)
        self.training = WeightTraining(task, config)
        self.alpha = AlphaDescent(self.training, initial_alphas(task, config.alpha_init), config)
        self.epoch = 0

    def step(self) -> Step | None:
        if self.epoch == self.task.budget.epochs:
            return None
        train, valid = [], []
        for x, y in self.training.epoch(self.epoch):
            train.append(self.training.weight_step(x, y, self.alpha.weights()))
            valid.append(self.alpha.step())  # (7) with ξ = 0
        self.epoch += 1
        alphas = self.alpha.values()
        return Step(derive(alphas), alphas, {"train_loss": mean(train), "valid_loss": mean(valid)})

    def state_dict(self) -> dict[str, Any]:
        return {
            "training": self.training.state_dict(),
            "alpha": self.alpha.state_dict(),
            "epoch": self.epoch,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.training.load_state_dict(state["training"])
        self.alpha.load_state_dict(state["alpha"])
        self.epoch = state["epoch"]
