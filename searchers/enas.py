"""ENAS (Pham et al., ICML 2018): an LSTM controller, trained by REINFORCE on one-shot validation accuracy.

In an epoch w is trained on cells that the controller draws, then the controller is updated; the answer is
the best of 100 of its cells on one validation batch. Source: AutoDL-Projects' NAS-Bench-201 script: 250 epochs, w at
a learning rate that goes from 0.05 to 5e-4 in 10 epochs and back in 10, weight decay 2.5e-4, 50 updates of 20 cells
each, baseline decay 0.99, entropy weight 1e-4, two layers of 32 units, temperature 5, tanh constant 2.5, Adam 1e-3 with
betas (0, 0.999) and eps 1e-3, weights uniform in ±0.1 where a new controller draws them (DOC). Otherwise than in the
script: its batch is 128, here it is the preset's; the 20 cells of an update share a batch; validation images are plain;
the entropy in the reward has no gradient; the baseline moves with every cell, as in the paper's code (RECALLED). The
script's is the first epoch's own accuracy, then moves once an epoch, so that it lags behind.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from benchmarks.base import Cell, SearchSpace
from searchers.base import SearchTask, Step
from searchers.one_shot import OneShotSearcher, WeightSettings, WeightTraining

BARRED = -1e9  # a logit that is never drawn; finite, so that 0 times its logarithm is 0 in the entropy


class ENASSettings(WeightSettings):
    lr: float = Field(0.05, gt=0)  # DOC
    lr_min: float = Field(5e-4, ge=0)  # DOC
    lr_epochs: int = Field(10, ge=1)  # DOC, T_max: epochs from lr to lr_min, about
    weight_decay: float = Field(2.5e-4, ge=0)  # DOC
    updates: int = Field(50, ge=1)  # DOC: of the controller, an epoch
    cells_an_update: int = Field(20, ge=1)  # DOC
    baseline_decay: float = Field(0.99, ge=0, lt=1)  # DOC
    entropy: float = Field(1e-4, ge=0)  # DOC: weight of the entropy in the reward
    controller_lr: float = Field(1e-3, gt=0)  # DOC
    temperature: float = Field(5.0, gt=0)  # DOC
    tanh: float = Field(2.5, gt=0)  # DOC: logits are tanh·tanh(logits / temperature)
    candidates: int = Field(100, ge=1)  # DOC
    fitness_batch: int = Field(256, ge=2)  # INFERRED

    def lr_at(self, epoch: int, epochs: float) -> float:
        """Halves of a cosine, down and up; so many of about `lr_epochs` (INFERRED) that the last one goes down.

        The script's 250 epochs are 25 halves of 10.
        """
        halves = 1 + 2 * max(0, round((epochs / self.lr_epochs - 1) / 2))
        return super().lr_at(epoch, epochs / halves)


class Controller(nn.Module):
    """Draws the operations of a cell edge by edge, each conditioned on those before it."""

    def __init__(self, space: SearchSpace, temperature: float, tanh: float, units: int = 32):
        super().__init__()
        self.edges, operations = len(space.edges), len(space.operations)
        self.allowed, self.temperature, self.tanh = space.allowed, temperature, tanh
        self.lstm = nn.LSTM(units, units, num_layers=2)
        self.start = nn.Parameter(torch.empty(units))
        self.embedding = nn.Embedding(operations, units)
        self.head = nn.Linear(units, operations)
        first = (self.lstm.weight_ih_l0, self.lstm.weight_hh_l0)
        for weight in (self.start, *first, self.embedding.weight, self.head.weight):
            nn.init.uniform_(weight, -0.1, 0.1)

    def forward(self, count: int, generator: torch.Generator) -> tuple[list[Cell], Tensor, Tensor]:
        """`count` cells, their log-probabilities and entropies, (count,) each."""
        x, memory = self.start.expand(1, count, -1), None
        operations: list[Tensor] = []
        log_p, entropy = [], []
        for _ in range(self.edges):
            y, memory = self.lstm(x, memory)
            logits = self.tanh * torch.tanh(self.head(y[0]) / self.temperature)
            logs = logits.masked_fill(self.barred(operations, logits), BARRED).log_softmax(1)
            choice = torch.multinomial(logs.exp(), 1, generator=generator)
            operations.append(choice[:, 0])
            log_p.append(logs.gather(1, choice)[:, 0])
            entropy.append(-(logs.exp() * logs).sum(1))
            x = self.embedding(choice[:, 0])[None]
        cells = [tuple(row) for row in torch.stack(operations, 1).tolist()]
        return cells, torch.stack(log_p).sum(0), torch.stack(entropy).sum(0)

    def barred(self, chosen: list[Tensor], logits: Tensor) -> Tensor:
        """Whether an operation of the next edge is not allowed after those chosen, (count, operations)."""
        barred = torch.ones_like(logits, dtype=torch.bool)
        prefixes = torch.stack(chosen, 1).tolist() if chosen else [[]] * len(logits)
        for row, prefix in enumerate(prefixes):
            barred[row, list(self.allowed(prefix))] = False
        return barred


class ENAS(OneShotSearcher):
    name = "enas"
    answer_rule = "the best by one-shot accuracy, on one validation batch, of the cells that the controller drew last"
    Config = ENASSettings
    ablations: ClassVar[dict[str, dict[str, Any]]] = {"no entropy in the reward": {"entropy": 0.0}}
    state = ("training", "controller", "adam")
    reference_epochs = 250

    def __init__(self, task: SearchTask, config: ENASSettings):
        super().__init__(task, config)
        self.training = WeightTraining(task, config, config.fitness_batch)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(task.seed_of("controller") % 2**32)
            self.controller = Controller(task.space, config.temperature, config.tanh).to(task.device)
        self.adam = torch.optim.Adam(self.controller.parameters(), config.controller_lr, betas=(0.0, 0.999), eps=1e-3)
        self.baseline = 0.0

    @torch.no_grad()
    def draw(self, count: int) -> list[Cell]:
        return self.controller(count, self.task.torch_stream("controller"))[0]

    def run_epoch(self, epoch: int) -> Step:
        paths = self.draw(len(self.training.train))  # one a batch
        metrics = self.training.epoch(epoch, paths.pop)
        rewards = [self.update() for _ in range(self.config.updates)]
        cells = self.draw(self.config.candidates)
        accuracies = self.training.accuracies(cells, *self.training.fitness.next())
        best = cells[int(np.argmax(accuracies))]
        metrics |= {"reward": float(np.mean(rewards)), "controller_cells": len(set(cells))}
        return Step(best, metrics={**metrics, "one_shot_accuracy": float(accuracies.max())})

    def update(self) -> float:
        """One policy-gradient step of the controller; returns the mean reward, where accuracy is a share of 1."""
        generator, config = self.task.torch_stream("controller"), self.config
        cells, log_p, entropy = self.controller(config.cells_an_update, generator)
        rewards = self.training.accuracies(cells, *self.training.fitness.next()) / 100
        rewards = rewards + config.entropy * entropy.detach().cpu().numpy()
        advantages = []
        for reward in rewards.tolist():
            self.baseline = reward if self.baseline == 0 else self.baseline
            self.baseline -= (1 - config.baseline_decay) * (self.baseline - reward)
            advantages.append(reward - self.baseline)
        loss = -(log_p * torch.tensor(advantages, dtype=log_p.dtype, device=log_p.device)).mean()
        self.adam.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.controller.parameters(), config.clip)
        self.adam.step()
        return float(rewards.mean())

    def state_dict(self) -> dict[str, Any]:
        return super().state_dict() | {"baseline": self.baseline}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        super().load_state_dict(state)
        self.baseline = state["baseline"]
