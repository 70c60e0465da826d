"""G-ICSO-NAS: gradients and an Improved Competitive Swarm Optimizer in three phases (arXiv 2604.00703).

KNOWN, from the paper's abstract, and kept true by every setting's default:
  1. warm-up trains the weights w by gradient with the architecture parameters α frozen;
  2. exploration moves α with ICSO under a diversity-aware fitness while gradient descent trains w;
  3. stability refines α by gradient with early stopping.
The full text is not public to us. The equations, the phase lengths, the population, the diversity term, the
switching rule and all numbers below are therefore not from the paper; the rule of the swarm is in `swarm.py`.
Each setting carries its tag: DOC (read in a named relative's code or
paper) or INFERRED (our choice, from reduced-scale experiments on real tables: results/gicso-study).

Not settings, and INFERRED too: the swarm starts around the current α and is mirrored back into a box; g and all
particles are scored anew once an epoch, since w moves under them; the diversity of a particle is the mean
distance of its softmax rows to those of all others, divided by the swarm's largest, and its weight falls
linearly to 0 over the exploration; g is chosen by loss or error alone; before the hand-over the final swarm and
the best archived cells are scored again on more images; stability starts at g's own scale, so that gradients
refine the swarm's answer rather than erase it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field, field_validator
from torch import Tensor

from benchmarks.base import Cell
from searchers.alpha_swarm import AlphaSwarm, SwarmSettings
from searchers.base import SearchTask, Step
from searchers.one_shot import (
    ARG_MAX,
    PATH_ABLATIONS,
    AlphaDescent,
    AlphaSettings,
    OneShotSearcher,
    PathSettings,
    WeightTraining,
    initial_alphas,
)
from searchers.training_free import UntrainedScores, known_scores


class GICSOSettings(AlphaSettings, PathSettings, SwarmSettings):
    # Phases, as fractions of the epochs.
    warmup: float = Field(0.3, ge=0, le=1)  # INFERRED from PC-DARTS and EG-NAS (DOC: 15 of 50 epochs)
    exploration: float = Field(0.5, ge=0, le=1)  # INFERRED, at most
    stability: float = Field(0.2, ge=0, le=1)  # INFERRED, at most
    # Phase 1.
    mixture: float = Field(1 / 3, ge=0, le=1)  # INFERRED: share of warm-up at equal α; then single paths
    # Phase 2.
    swarm: Literal["icso", "cso", "random"] = "icso"  # L-ICSO's triplets: rule DOC, use here INFERRED
    population: int = Field(24, ge=6, multiple_of=3)  # INFERRED
    phi: float = Field(0.15, ge=0)  # DOC, L-ICSO
    diversity: float = Field(0.1, ge=0)  # λ at the start; a diversity term is KNOWN, its form and size INFERRED
    # Its form (`alpha_swarm.DIVERSE`): mean distance to all; DFDBCSO's, normalised, for which λ starts at 1; EG-NAS'.
    diversity_form: Literal["distance", "dfdb", "cosine"] = "distance"
    diversity_schedule: Literal["linear", "constant"] = "linear"  # to 0 over the exploration: DFDBCSO's (DOC)
    weights: Literal["paths", "best"] = "paths"  # INFERRED: w on single paths, or on g's mixture, a step a batch
    switch_diversity: float = Field(0.0, ge=0, le=1)  # INFERRED: switch below this share of the first diversity
    rescore: bool = True  # INFERRED: at the hand-over the swarm and the archive are scored again
    final_images: int = Field(5000, ge=2)  # INFERRED: on which the hand-over and the guard score
    archive: int = Field(50, ge=0)  # INFERRED: best cells kept for re-scoring
    # Phases 2 and 3. Training-free scores joined by +, whose ranks are added to that of the error: not in the abstract.
    prior: str = ""
    # Phase 3. First-order DARTS from g.
    alpha_lr: float = Field(1e-3, ge=0)  # INFERRED; DARTS' 3e-4 barely moves a wide α in the epochs left
    patience: int = Field(3, ge=0)  # early stopping KNOWN; unchanged for k epochs DOC (DARTS+), k INFERRED; 0: none
    guard: bool = True  # INFERRED: a new cell must score better than the old one to become the answer

    @field_validator("prior")
    @classmethod
    def _known(cls, value: str) -> str:
        return known_scores(value) if value else ""


LATER = {"diversity_form": "distance", "prior": ""}  # settings newer than the first records, and what was done before


class Prior:
    """Training-free scores of cells, each worked out once."""

    def __init__(self, task: SearchTask, names: str):
        self.task, self.score = task, UntrainedScores(task, names.split("+"))
        self.values: dict[Cell, list[float]] = {}

    def __call__(self, cells: Sequence[Cell]) -> np.ndarray:
        new = [cell for cell in dict.fromkeys(cells) if cell not in self.values]
        self.values |= dict(zip(new, self.score(new).tolist(), strict=True))
        self.task.count(eval_images=len(new) * self.score.images)
        return np.array([self.values[cell] for cell in cells])

    def state_dict(self) -> list[Any]:
        return [[list(cell), scores] for cell, scores in self.values.items()]

    def load_state_dict(self, state: list[Any]) -> None:
        self.values = {tuple(cell): scores for cell, scores in state}


class GICSO(OneShotSearcher):
    name = "gicso"
    answer_rule = ARG_MAX
    development = "24 settings on the embedded digits in three screens, 6 on CIFAR-10 in three campaigns, seeds 0 to 5"
    Config = GICSOSettings
    # fmt: off
    ablations: ClassVar[dict[str, dict[str, Any]]] = {
        "no diversity term": {"diversity": 0.0},
        "constant diversity": {"diversity_schedule": "constant"},
        "DFDBCSO's diversity": {"diversity": 1.0, "diversity_form": "dfdb"},
        "EG-NAS' diversity": {"diversity_form": "cosine"},
        "pairs (CSO) instead of triplets": {"swarm": "cso"},
        "random draws instead of the swarm": {"swarm": "random"},
        "loss instead of error": {"fitness": "loss"},
        **PATH_ABLATIONS,
        "no final re-scoring": {"rescore": False},
        "no warm-up, explores instead": {"warmup": 0.0, "exploration": 0.8},
        "no stability phase": {"stability": 0.0},
        "no early stop": {"patience": 0},
        "no early stop, no guard": {"patience": 0, "guard": False},
        "switch by diversity": {"switch_diversity": 0.6},
        "the literal reading": {
            "mixture": 1.0, "fitness": "mixture", "weights": "best", "rescore": False, "guard": False,
        },
    }
    # fmt: on
    reference_epochs = 50  # INFERRED: DARTS'

    def __init__(self, task: SearchTask, config: GICSOSettings):
        super().__init__(task, config)
        epochs = task.budget.epochs
        # Ends are rounded, not lengths: fractions that add up to 1 take all epochs.
        self.warmup_end = round(config.warmup * epochs)
        self.mixture_end = round(config.mixture * self.warmup_end)
        planned_end = round((config.warmup + config.exploration) * epochs)
        self.exploration_end = min(epochs, planned_end)
        self.stability_epochs = round((config.warmup + config.exploration + config.stability) * epochs) - planned_end
        self.paths = task.stream("paths")
        self.training = WeightTraining(task, config, config.fitness_batch, config.fitness_images)
        self.answer = initial_alphas(task, config.alpha_init)  # α of the current answer
        self.prior = Prior(task, config.prior) if config.prior else None
        self.swarm = AlphaSwarm(
            self.training,
            self.answer,
            config.swarm,
            config.phi,
            config,
            archive=config.archive,
            diverse=config.diversity_form,
            prior=self.prior,
        )
        self.first_diversity = self.swarm.diversity()
        self.descent: AlphaDescent | None = None
        self.unchanged = 0  # epochs of stability in a row that left the derived cell as it was
        self.phase, self.phase_start = "warm-up", 0
        self.derive = task.space.derive
        self.switch(0)

    @classmethod
    def key_settings(cls, config: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        return cls.name, {name: value for name, value in config.items() if name not in LATER or value != LATER[name]}

    def run_epoch(self, epoch: int) -> Step:
        phase = self.phase
        metrics = {"warm-up": self.warm_up, "exploration": self.explore, "stability": self.refine}[phase]()
        self.switch(epoch + 1)
        return Step(self.derive(self.answer), self.answer, {"phase": phase, **metrics})

    # Phase 1: w by gradient, α frozen.

    def warm_up(self) -> dict[str, float]:
        if self.epoch < self.mixture_end:
            return self.training.epoch(self.epoch, self.training.equal_weights)
        return self.train_paths()

    # Phase 2: α by the swarm, w by gradient, at the same time.

    def explore(self) -> dict[str, float]:
        train = self.train_paths if self.config.weights == "paths" else self.train_best
        metrics = self.swarm.epoch(train, self.diversity_weight())
        self.answer = self.swarm.best()
        return metrics

    def train_paths(self, after_batch: Callable[[int], None] = lambda batch: None) -> dict[str, float]:
        return self.training.path_epoch(self.epoch, self.paths, self.config, after_batch)

    def train_best(self, after_batch: Callable[[int], None]) -> dict[str, float]:
        def best() -> Tensor:
            return self.training.mixture(self.swarm.best() if self.swarm.has_scores else self.answer)

        return self.training.epoch(self.epoch, best, after_batch)

    def diversity_weight(self) -> float:
        """λ, linear from its start to 0 over the exploration (DFDBCSO's schedule, DOC; its use here INFERRED)."""
        if self.config.diversity_schedule == "constant":
            return self.config.diversity
        progress = (self.epoch - self.warmup_end) / max(self.exploration_end - self.warmup_end, 1)
        return self.config.diversity * max(0.0, 1 - progress)

    def choose_best(self) -> np.ndarray:
        """The best α of the final swarm, the archive and g, all scored once more on the same images."""
        candidates = [*self.swarm.particles, *self.swarm.archive_positions(), self.swarm.best()]
        choices = [self.derive(alphas) for alphas in candidates]
        scores = self.swarm.score(choices, *self.training.images(self.config.final_images))
        return candidates[int(np.argmin(self.swarm.liking(choices, scores)))]

    # Phase 3: α by gradient, with early stopping.

    def refine(self) -> dict[str, float]:
        descent = self.descent
        assert descent is not None
        before = self.derive(descent.values())
        metrics = descent.alternate(self.epoch)
        after = descent.values()
        self.unchanged = self.unchanged + 1 if self.derive(after) == before else 0
        self.answer = self.better(self.answer, after)
        return metrics

    def better(self, old: np.ndarray, new: np.ndarray) -> np.ndarray:
        """The α whose cell scores better on one path; the new one where both give the same cell."""
        pair = [self.derive(old), self.derive(new)]
        if pair[0] == pair[1] or not self.config.guard:
            return new
        scores = self.swarm.score(pair, *self.training.images(self.config.final_images))
        scores = self.swarm.liking(pair, scores)
        return new if scores[1] < scores[0] else old

    # Switching.

    def switch(self, epochs: int) -> None:
        """Enter the next phase if this one ends after so many epochs; entering stability may change the answer."""
        if self.phase == "warm-up" and epochs >= self.warmup_end:
            self.phase = "exploration"
        if self.phase == "exploration" and (epochs >= self.exploration_end or self.converged()):
            if self.swarm.has_scores and self.config.rescore:
                self.answer = self.choose_best()
            self.descent = AlphaDescent(self.training, self.answer, self.config)
            self.phase, self.phase_start = "stability", epochs

    def converged(self) -> bool:
        """Whether the swarm's diversity has fallen below its share `switch_diversity`."""
        share = self.swarm.diversity() / self.first_diversity
        return self.swarm.has_scores and share < self.config.switch_diversity

    def finished(self) -> bool:
        if super().finished():
            return True
        if self.phase != "stability":
            return False
        phase_over = self.epoch - self.phase_start >= self.stability_epochs
        return phase_over or 0 < self.config.patience <= self.unchanged

    def state_dict(self) -> dict[str, Any]:
        return {
            "training": self.training.state_dict(),
            "swarm": self.swarm.state_dict(),
            "prior": self.prior and self.prior.state_dict(),
            "descent": self.descent and self.descent.state_dict(),
            "answer": self.answer.tolist(),
            "phase": self.phase,
            "counts": [self.epoch, self.phase_start, self.unchanged],
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.training.load_state_dict(state["training"])
        self.swarm.load_state_dict(state["swarm"])
        if self.prior is not None:
            self.prior.load_state_dict(state["prior"])
        self.answer = np.array(state["answer"])
        if state["descent"] is not None:
            self.descent = AlphaDescent(self.training, self.answer, self.config)
            self.descent.load_state_dict(state["descent"])
        self.phase = state["phase"]
        self.epoch, self.phase_start, self.unchanged = state["counts"]
