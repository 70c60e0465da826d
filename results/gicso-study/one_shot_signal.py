"""How informative is one-shot fitness? Supernets trained in several ways, 200 cells scored in several ways.

    python results/gicso-study/one_shot_signal.py --seeds 5 --out results/gicso-study/signal-digits201.csv
    python results/gicso-study/one_shot_signal.py --benchmark nb201 --table TABLE --data DATA …

A row of the CSV is one supernet x one way of scoring: the rank correlation with the table's validation accuracy over
all cells and over their better half (by the table), and the mean accuracy of the ten cells that the score likes best.
`tuned k` goes on alone, for k steps, with each of 40 cells of the better half; the rows `kept` compare within these.
Nothing reads a test column. The same command again goes on where it was stopped.
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

SAMPLE, KEPT, TOP, IMAGES = 200, 40, 10, 1024
DEPTH = "single path, other depth"  # three times as deep or flat as the preset, the same cost


def single(training: WeightTraining, rng: np.random.Generator) -> Callable:
    return lambda: cells.sample(rng)


def no_none(training: WeightTraining, rng: np.random.Generator) -> Callable:
    return lambda: tuple(int(k) for k in rng.integers(1, 5, size=6))


def mixture(training: WeightTraining, rng: np.random.Generator) -> Callable:
    return training.equal_weights


WAYS: dict[str, tuple[list, dict]] = {  # name: (phases as shares of the epochs, settings)
    "single path": ([(1, single)], {}),
    "mixture, then single path": ([(1 / 3, mixture), (2 / 3, single)], {}),
    "mixture": ([(1, mixture)], {}),
    "single path without none": ([(1, no_none)], {}),
    "mixture, then single path without none": ([(1 / 3, mixture), (2 / 3, no_none)], {}),
    "single path, lr 0.1": ([(1, single)], {"lr": 0.1}),
    DEPTH: ([(1, single)], {}),
}


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
    there = set()
    if asked.out.exists():
        with open(asked.out, newline="") as file:
            there = {(row["way"], int(row["seed"])) for row in csv.DictReader(file)}
    with open(asked.out, "a", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        if not there:
            rows.writerow(["way", "seed", "score", "cells", "spearman", "spearman_good", "top_accuracy", "seconds"])
        for seed in range(asked.seeds):
            for way in asked.ways:
                if (way, seed) in there:
                    continue
                phases, settings = WAYS[way]
                changed = preset
                if way == DEPTH:
                    deeper = preset["cells"] == 1
                    depth, epochs = (3, 2 * preset["epochs"] // 5) if deeper else (1, 5 * preset["epochs"] // 2)
                    changed = preset | {"cells": depth, "epochs": epochs}
                setting = campaign.Setting(
                    benchmark, asked.table, places, benchmark.datasets[0], changed, "fp32", "cpu", 1
                )
                (plan,) = campaign.plans(setting, parse_specs("gicso"), [seed])
                training = WeightTraining(runner.build_task(plan, benchmark), GICSOSettings(**settings))
                found = list(measured(training, phases, benchmark, way == "single path"))
                rows.writerows([way, seed, score, *result] for score, result in found)
                file.flush()
                print(f"{way}, seed {seed}", flush=True)


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

    x, y = training.stored(IMAGES)  # the same for all scores of one supernet

    def scored(score: Callable, candidates: list, among: np.ndarray, batches: int, size: int) -> list:
        start, training.fitness_batch = time.perf_counter(), size
        found = score(candidates, x[: batches * size], y[: batches * size])
        return result(-found, among, time.perf_counter() - start)

    everyone = np.arange(SAMPLE)
    yield "trained", ["", "", "", "", round(trained, 1)]
    for batches, size in ((1, 64), (1, 256), (1, 1024), (4, 256), (16, 64)):
        yield f"loss, {batches} x {size} images", scored(training.losses, choices, everyone, batches, size)
    for size in (256, 1024):
        yield f"error, 1 x {size} images", scored(training.errors, choices, everyone, 1, size)
    soft = [training.mixture(_wide(cell)) for cell in choices]
    for size in (256, 1024):
        yield f"loss of a soft mixture, 1 x {size} images", scored(training.losses, soft, everyone, 1, size)
    if not tune:
        return
    better = np.argsort(-truth)[: SAMPLE // 2]
    kept = np.sort(np.random.default_rng(1).choice(better, KEPT, replace=False))
    few = [choices[k] for k in kept]
    yield "kept: loss, 1 x 1024 images", scored(training.losses, few, kept, 1, IMAGES)
    for steps in (16, 64):
        start = time.perf_counter()
        found = -np.array([tuned_loss(training, cell, steps, (x, y)) for cell in few])
        yield f"kept: tuned {steps}", result(found, kept, time.perf_counter() - start)


def tuned_loss(training: WeightTraining, cell: cells.Cell, steps: int, batch: tuple, lr: float = 0.1) -> float:
    """Loss of one cell after it went on training alone, from the shared weights, which are put back."""
    before = [p.detach().clone() for p in training.net.parameters()]
    training.sgd.state.clear()
    for step in range(steps):
        training.sgd.param_groups[0]["lr"] = lr * (1 + np.cos(np.pi * step / steps)) / 2
        training.weight_step(*training.train.next(), cell)
    (loss,) = training.losses([cell], *batch)
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
