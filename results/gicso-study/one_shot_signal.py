"""How informative is one-shot fitness? Supernets trained in several ways, 200 cells scored in several ways.

    python results/gicso-study/one_shot_signal.py --seeds 5 --out results/gicso-study/signal-digits201.csv
    python results/gicso-study/one_shot_signal.py --benchmark nb201 --table TABLE --data DATA …

A row of the CSV is one supernet x one way of scoring: the rank correlation with the table's validation accuracy over
all cells and over their better half (by the table), and the mean accuracy of the ten cells that the score likes best.
`tuned k` goes on alone, for k steps, with each of 40 cells of the better half; the rows `kept` compare within these.
Nothing reads a test column.
"""

from __future__ import annotations

import argparse
import csv
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from scipy.stats import spearmanr

from benchmarks.nb201 import cell as cells
from benchmarks.nb201.benchmark import Benchmark, open_benchmark
from harness import campaign, runner
from harness.specs import parse_specs
from searchers.gicso import GICSOSettings
from searchers.one_shot import SHAPE, WeightTraining

SAMPLE, KEPT, TOP = 200, 40, 10


def single(training: WeightTraining, rng: np.random.Generator) -> Callable:
    return lambda: cells.sample(rng)


def no_none(training: WeightTraining, rng: np.random.Generator) -> Callable:
    return lambda: tuple(int(k) for k in rng.integers(1, 5, size=6))


def mixture(training: WeightTraining, rng: np.random.Generator) -> Callable:
    return training.equal_weights


def wide(training: WeightTraining, rng: np.random.Generator) -> Callable:
    return lambda: training.mixture(2 * rng.standard_normal(SHAPE))


WAYS: dict[str, tuple[list, dict, dict]] = {  # name: (phases as shares of the epochs, factors of the preset, settings)
    "single path": ([(1, single)], {}, {}),
    "mixture": ([(1, mixture)], {}, {}),
    "mixture 1/3, then single path": ([(1 / 3, mixture), (2 / 3, single)], {}, {}),
    "random wide mixtures": ([(1, wide)], {}, {}),
    "single path without none": ([(1, no_none)], {}, {}),
    "single path, lr 0.1": ([(1, single)], {}, {"lr": 0.1}),
    "single path, lr 0.2": ([(1, single)], {}, {"lr": 0.2}),
    "single path, N 3": ([(1, single)], {"cells": 3}, {}),
    "single path, N 3, 2/5 of the epochs": ([(1, single)], {"cells": 3, "epochs": 0.4}, {}),
    "single path, 3x epochs": ([(1, single)], {"epochs": 3}, {}),
}
FEW = ("single path",)  # tuned, too


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--benchmark", default="digits201")
    parser.add_argument("--table", type=Path)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--ways", nargs="*", default=list(WAYS))
    asked = parser.parse_args()
    torch.set_num_threads(1)
    places = tuple(campaign.places_for(asked.data))
    benchmark = open_benchmark(asked.benchmark, asked.table or "", places)
    preset = campaign.resolve_preset(benchmark, "small")
    done = 0
    with open(asked.out, "w", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(["way", "seed", "score", "cells", "spearman", "spearman_good", "top_accuracy", "seconds"])
        for seed in range(asked.seeds):
            for way in asked.ways:
                phases, changes, settings = WAYS[way]
                changed = preset | {name: round(value * preset[name]) for name, value in changes.items()}
                setting = campaign.Setting(
                    benchmark, asked.table, places, benchmark.datasets[0], changed, "fp32", "cpu", 1
                )
                (plan,) = campaign.plans(setting, parse_specs("gicso"), [seed])
                training = WeightTraining(runner.build_task(plan, benchmark), GICSOSettings(**settings))
                for score, result in measured(training, phases, benchmark, way in FEW):
                    rows.writerow([way, seed, score, *result])
                file.flush()
                done += 1
                print(f"{done}: {way}, seed {seed}", flush=True)


def measured(training: WeightTraining, phases: list, benchmark: Benchmark, tune: bool) -> Iterator[tuple[str, list]]:
    """Train, then score; (name of the score, a row's remaining fields)."""
    task, start = training.task, time.perf_counter()
    rng, epoch = task.stream("paths"), 0
    for share, way in phases:
        choose = way(training, rng)
        for _ in range(round(share * task.budget.epochs)):
            training.epoch(epoch, choose)
            epoch += 1
    trained = time.perf_counter() - start
    accuracy = benchmark.column(task.dataset, "valid").mean
    sample = np.random.default_rng(0).choice(np.flatnonzero(~np.isnan(accuracy)), SAMPLE, replace=False)
    choices, truth = [cells.from_index(int(k)) for k in sample], accuracy[sample]

    def result(scores: np.ndarray, among: np.ndarray, seconds: float) -> list:
        """Scores, higher is better, of the cells `among`."""
        values = truth[among]
        good = np.argsort(-values, kind="stable")[: len(among) // 2]
        both = [spearmanr(scores, values).statistic, spearmanr(scores[good], values[good]).statistic]
        top = values[np.argsort(-scores, kind="stable")[:TOP]].mean()
        return [len(among), *(round(float(v), 4) for v in both), round(float(top), 3), round(seconds, 1)]

    everyone = np.arange(SAMPLE)
    yield "trained", ["", "", "", "", round(trained, 1)]
    for size in (64, 256, 1024):
        training.fitness.batch_size = size
        start = time.perf_counter()
        found = -training.mean_scores(training.losses, choices, size)
        yield f"loss, {size} images", result(found, everyone, time.perf_counter() - start)
    soft = [training.mixture(_wide(cell)) for cell in choices]
    training.fitness.batch_size = 256
    start = time.perf_counter()
    found = -training.mean_scores(training.losses, soft, 256)
    yield "loss of a soft mixture, 256 images", result(found, everyone, time.perf_counter() - start)
    start = time.perf_counter()
    found = -training.mean_scores(training.losses, choices, 1024)
    yield "loss, 4 batches of 256", result(found, everyone, time.perf_counter() - start)
    start = time.perf_counter()
    right = np.mean([training.accuracies(choices, *training.fitness.next()) for _ in range(4)], axis=0)
    yield "accuracy, 4 batches of 256", result(right, everyone, time.perf_counter() - start)
    if not tune:
        return
    kept = np.argsort(-truth)[: SAMPLE // 2]  # the better half, a random part of it
    kept = np.sort(np.random.default_rng(1).choice(kept, KEPT, replace=False))
    training.fitness.batch_size = 256
    yield (
        "kept: loss, 1024 images",
        result(-training.mean_scores(training.losses, [choices[k] for k in kept], 1024), kept, 0),
    )
    for steps in (16, 64):
        start = time.perf_counter()
        found = -np.array([tuned_loss(training, choices[k], steps, 0.1) for k in kept])
        yield f"kept: tuned {steps}", result(found, kept, time.perf_counter() - start)


def tuned_loss(training: WeightTraining, cell: cells.Cell, steps: int, lr: float) -> float:
    """Loss of one cell after it went on training alone, from the shared weights, which are put back."""
    before = [p.detach().clone() for p in training.net.parameters()]
    training.sgd.state.clear()
    for step in range(steps):
        training.sgd.param_groups[0]["lr"] = lr * (1 + np.cos(np.pi * step / steps)) / 2
        training.weight_step(*training.train.next(), cell)
    (loss,) = training.mean_scores(training.losses, [cell], 1024)
    with torch.no_grad():
        for p, b in zip(training.net.parameters(), before, strict=True):
            p.copy_(b)
    return float(loss)


def _wide(cell: cells.Cell) -> np.ndarray:
    """α whose softmax gives a cell's operations about half of the weight, as a wide particle's does."""
    alphas = np.zeros(SHAPE)
    alphas[np.arange(6), list(cell)] = np.log(4)
    return alphas


if __name__ == "__main__":
    main()
