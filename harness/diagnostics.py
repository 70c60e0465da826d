"""What happens inside a search: architecture parameters, phases, queries, and how well the supernet ranks cells.

The runner computes these at every step and after the search; `report.frames.diagnostics` sums them up over seeds.
"""

from __future__ import annotations

import math
import time
from typing import Any

import numpy as np

from benchmarks.base import Benchmark, SearchSpace, identifier
from benchmarks.errors import UserError
from harness.schema import OneShot
from searchers.base import Searcher, SearchTask, diverged

SAMPLE = 200  # cells on which the supernet is compared with the table, the same in every run
IMAGES = 512  # validation images for that, the first ones, as one batch
GOOD = 0.5  # the share of the sample, best first, that counts as good cells
# A guess has loss ln(classes). Best loss of the sample in a supernet never trained: 0.99 of it; after 20 steps: 0.98.
GUESSED, WORSE_THAN_GUESSED = 0.99, 1.1
LUCK = 5.0  # standard errors by which the best of the sample may exceed chance: the cells share weights and images


def entropy(alphas: np.ndarray) -> float:
    """Mean over edges of the entropy of softmax(alphas), 1 is undecided, 0 decided; `alphas` (edges, operations)."""
    from scipy.special import log_softmax

    logs = log_softmax(np.asarray(alphas, dtype=np.float64), axis=1)
    return float(-(np.exp(logs) * logs).sum(axis=1).mean() / math.log(logs.shape[1]))


class TraceSummary:
    """What a record says about its trace, collected line by line."""

    def __init__(self) -> None:
        self.first: np.ndarray | None = None
        self.change: float | None = None  # largest distance of any alpha from where it was after the first step
        self.entropy: float | None = None
        self.phases: list[dict[str, Any]] = []
        self.diversity: list[list[float]] = []  # (steps so far, mean distance) after each generation
        self.queried: set[int | str] = set()

    def add(self, line: dict[str, Any]) -> None:
        """Take in the next line of the trace."""
        phase = line.get("phase")
        if phase is not None and (not self.phases or phase != self.phases[-1]["phase"]):
            self.phases.append({"phase": phase, "step": line["step"]})
        spreads = line.get("swarm_diversity", [])
        for k, spread in enumerate(spreads, 1):
            self.diversity.append([round(line["step"] + k / len(spreads), 4), round(spread, 5)])
        if "queried" in line:
            self.queried.add(line["queried"])
        if "alphas" in line:
            alphas = np.array(line["alphas"])
            self.first = alphas if self.first is None else self.first
            self.change = max(self.change or 0.0, float(np.abs(alphas - self.first).max()))
            self.entropy = line["alpha_entropy"]

    def fields(self, space: SearchSpace | None = None) -> dict[str, Any]:
        """The fields of a record. `space` is needed only where the trace has queried cells."""
        names = {space.canonical(space.parse(name)) for name in self.queried} if space else set()
        return {
            "phases": self.phases,
            "alpha_entropy": self.entropy,
            "alpha_change": self.change,
            "swarm_diversity": self.diversity,
            "queried_cells": len(self.queried) or None,
            "queried_canonical": len(names) or None,
        }


def one_shot(searcher: Searcher, benchmark: Benchmark, dataset: str) -> OneShot | None:
    """Spearman correlation of a search's scores with final accuracies, after it.

    The scores are one-shot validation losses (negated), or those of a training-free search. The correlation is over a
    fixed sample of cells, and over the half of it that has the best accuracies; `seconds` is the time of scoring it.
    None without such scores or such a sample. UserError where a loss is not finite, since the last weight step may have
    diverged.
    """
    known = benchmark.sample(dataset, SAMPLE)
    if known is None:
        return None
    sample, accuracy = known.cells, known.accuracies
    start = time.perf_counter()
    losses = searcher.one_shot_losses(sample, IMAGES)
    scores = searcher.training_free_scores(sample) if losses is None else -losses
    seconds = time.perf_counter() - start
    if scores is None:
        return None
    if count := int((~np.isfinite(scores)).sum()):
        if losses is None:
            raise UserError(f"training_free_scores() of {count} in {len(scores)} cells are not finite")
        raise UserError(
            f"one-shot losses of {count} in {len(losses)} cells are not finite after the last epoch: "
            + diverged(getattr(searcher, "config", None))
        )
    good = best(accuracy, GOOD)
    return OneShot(
        cells=[] if known.private else [identifier(benchmark.space, cell) for cell in sample],
        losses=[] if losses is None else [round(float(loss), 5) for loss in losses],
        scores=[float(score) for score in scores] if losses is None else [],
        accuracies=[] if known.private else [round(float(value), 4) for value in accuracy],
        ceiling=known.ceiling,
        pairs=known.pairs,
        others={name: spearman(figures, accuracy) for name, figures in known.others.items()},
        spearman=spearman(scores, accuracy),
        spearman_good=spearman(scores[good], accuracy[good]),
        seconds=seconds,
    )


def best(accuracy: np.ndarray, share: float) -> np.ndarray:
    """Where the best cells of a sample are, that share of it, best first."""
    return np.argsort(-accuracy, kind="stable")[: round(share * len(accuracy))]


def at_chance(searcher: Searcher, supernet: OneShot | None, train_loss: Any, task: SearchTask) -> bool:
    """Whether the supernet is no better than guessing after the search: it diverged, or was not trained.

    `supernet` is what `one_shot` returned. True where no cell of its sample is better than chance by loss and accuracy,
    and the last epoch's `train_loss`, where the trace has one, is not either; and where that loss is above a guess's.
    """
    guess, chance = math.log(task.size.num_classes), 1 / task.size.num_classes
    if isinstance(train_loss, float):
        if train_loss > WORSE_THAN_GUESSED * guess:
            return True
        if train_loss < GUESSED * guess:  # of a mixture that has learned single paths may do no better than guesses
            return False
    if supernet is None or not supernet.cells or min(supernet.losses) < GUESSED * guess:
        return False
    accuracies = searcher.one_shot_accuracies([task.space.parse(name) for name in supernet.cells], IMAGES)
    images = min(IMAGES, len(task.valid or ()))
    error = math.sqrt(chance * (1 - chance) / images)
    return accuracies is not None and float(np.max(accuracies)) <= 100 * (chance + LUCK * error)


def spearman(x: np.ndarray, y: np.ndarray) -> float | None:
    """Rank correlation; None where one side is constant or not a number."""
    from scipy.stats import spearmanr

    if not (np.isfinite(x).all() and np.ptp(x) > 0 and np.ptp(y) > 0):
        return None
    return float(spearmanr(x, y).statistic)
