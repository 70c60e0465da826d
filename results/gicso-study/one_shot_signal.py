"""How informative is one-shot fitness? Supernets trained in several ways, 200 cells scored in several ways.

    python results/gicso-study/one_shot_signal.py --seeds 5 --out results/gicso-study/signal-digits201.csv
    python results/gicso-study/one_shot_signal.py --benchmark nb201 --table TABLE --data DATA …

A row of the CSV is one supernet x one way of scoring: the rank correlation with the table's validation accuracy over
all cells and over their better half (by the table), and the mean accuracy of the ten cells that the score likes best.
Nothing reads a test column. The same command again goes on where it was stopped.
"""

from __future__ import annotations

import argparse
import itertools
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from rows import appended
from scipy.stats import spearmanr

from benchmarks import registry
from benchmarks.base import Benchmark
from benchmarks.nb201 import cell as cells
from benchmarks.nb201 import space
from harness import campaign, options, runner
from harness.specs import parse_specs
from searchers.gicso import GICSOSettings
from searchers.one_shot import WeightTraining

SAMPLE, TOP, IMAGES = 200, 10, 1024


def path(training: WeightTraining, rng: np.random.Generator) -> Callable:
    return lambda: space.sample(rng)


def full_path(training: WeightTraining, rng: np.random.Generator) -> Callable:
    return lambda: space.sample(rng, none=False)


def mixture(training: WeightTraining, rng: np.random.Generator) -> Callable:
    return training.equal_weights


# Phases: share of the epochs, what w is trained on, steps a batch.
WAYS: dict[str, list[tuple[float, Callable, int]]] = {
    "mixture": [(1, mixture, 1)],
    "a path a batch": [(0.1, mixture, 1), (0.9, path, 1)],
    "a path without none a batch": [(0.1, mixture, 1), (0.9, full_path, 1)],
    "three paths without none a batch": [(0.1, mixture, 1), (0.9, full_path, 3)],
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
    places = tuple(options.places_for(asked.data))
    benchmark = registry.find(asked.benchmark).open(asked.table, places)
    preset = options.resolve_preset(benchmark, "small")
    setting = options.Setting(benchmark, asked.table, places, benchmark.datasets[0], preset, "fp32", "cpu", 1)
    columns = ("way", "seed", "score", "cells", "spearman", "spearman_good", "top_accuracy", "seconds")
    with appended(asked.out, columns, key=2) as (there, write):
        for seed, way in itertools.product(range(asked.seeds), asked.ways):
            if (way, str(seed)) in there:
                continue
            (plan,) = campaign.plans(setting, parse_specs("gicso"), [seed])
            training = WeightTraining(runner.build_task(plan, benchmark), GICSOSettings())
            write(*([way, seed, score, *result] for score, result in measured(training, WAYS[way], benchmark)))
            print(f"{way}, seed {seed}", flush=True)


def measured(training: WeightTraining, phases: list, benchmark: Benchmark) -> Iterator[tuple[str, list]]:
    """Train, then score; (name of the score, a row's remaining fields)."""
    task, start = training.task, time.perf_counter()
    rng, epoch = task.stream("paths"), 0
    for share, way, steps in phases:
        choose = way(training, rng)
        for _ in range(round(share * task.budget.epochs)):
            training.epoch(epoch, choose, steps_per_batch=steps)
            epoch += 1
    yield "trained", ["", "", "", "", round(time.perf_counter() - start, 1)]
    accuracy = benchmark.column(task.dataset, "valid").mean
    sample = np.random.default_rng(0).choice(np.flatnonzero(~np.isnan(accuracy)), SAMPLE, replace=False)
    choices, truth = [cells.from_index(int(k)) for k in sample], accuracy[sample]
    good = np.argsort(-truth, kind="stable")[: SAMPLE // 2]
    soft = [training.mixture(_wide(cell)) for cell in choices]
    x, y = training.first_images(IMAGES)  # the same for all scores of one supernet
    for name, score, candidates, batches, size in (
        ("loss", training.losses, choices, 2, 512),
        ("error", training.errors, choices, 2, 512),
        ("loss", training.losses, choices, 16, 64),
        ("loss", training.losses, choices, 1, 256),
        ("error", training.errors, choices, 1, 256),
        ("loss of a soft mixture", training.losses, soft, 1, 512),
    ):
        start, training.fitness_batch = time.perf_counter(), size
        found = -score(candidates, x[: batches * size], y[: batches * size])
        both = [spearmanr(found, truth).statistic, spearmanr(found[good], truth[good]).statistic]
        top = truth[np.argsort(-found, kind="stable")[:TOP]].mean()
        seconds = round(time.perf_counter() - start, 1)
        rounded = [*(round(float(v), 4) for v in both), round(float(top), 3)]
        yield f"{name}, {batches} x {size} images", [SAMPLE, *rounded, seconds]


def _wide(cell: cells.Cell) -> np.ndarray:
    """α whose softmax gives a cell's operations about half of the weight, as a wide particle's does."""
    alphas = np.zeros((6, 5))
    alphas[np.arange(6), list(cell)] = np.log(4)
    return alphas


if __name__ == "__main__":
    main()
