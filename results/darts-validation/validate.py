"""Does a short training rank DARTS cells as 600 epochs do? Cells with known accuracies, trained by a recipe.

    python results/darts-validation/validate.py --data DATA --preset small --cells 40 --seeds 2 --out small.csv
    python results/darts-validation/validate.py --data DATA --preset small --cells 0 --out small.csv
    python results/darts-validation/validate.py --data DATA --preset small --linear

DATA has cifar-10-batches-py and darts_real214.csv.gz (Yang et al., ICLR 2020: 214 cells, CIFAR-10 test accuracies). The
cells are drawn from the 214 at random, the same ones each time; `harness evaluate` trains each, and the same command
again goes on where it was stopped. A line of the CSV is a training; `row` counts the 214 from 0, and neither their
cells nor their accuracies are written anywhere. At the end, and with 0 cells only that, the correlations are printed.
`--linear` prints the test accuracy of a linear model of the same images instead.
"""

from __future__ import annotations

import argparse
import csv
import subprocess
import sys
from collections import Counter
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import spearmanr

from benchmarks.darts import space
from benchmarks.darts.benchmark import RECIPES, rank_check
from harness import store
from harness.report.rank_check import interval

FIELDS = ("row", "seed", "accuracy", "seconds", "threads", "cpu")
HERE = Path(__file__).parent


def train(row: int, cell: str, preset: str, seeds: int, data: Path, folder: Path) -> list[list[object]]:
    """The trainings of one cell, a line each."""
    command = [sys.executable, "-m", "harness", "evaluate", cell, "--benchmark", "darts", "--preset", preset]
    command += ["--seeds", str(seeds), "--data", str(data), "--out", str(folder)]
    subprocess.run(command, check=True)
    records = [e for e in store.load_evaluations(folder)[0] if (e.cell, e.recipe.name) == (cell, preset) and e.finished]
    return [
        [row, e.seed, f"{e.accuracy:.2f}", f"{e.seconds:.0f}", e.threads, e.environment["cpu"]]
        for e in sorted(records, key=lambda e: e.seed)
    ]


def table(trained: pd.DataFrame, truth: np.ndarray) -> pd.DataFrame:
    """ρ of every seed and of their mean with the real accuracies, and of each two seeds, with 95 % intervals."""
    wide = trained.pivot(index="row", columns="seed", values="accuracy").dropna()
    real = truth[wide.index]
    pairs = {f"seed {s} and real": (wide[s], real) for s in wide} | {"mean and real": (wide.mean(axis=1), real)}
    pairs |= {f"seeds {a} and {b}": (wide[a], wide[b]) for a, b in combinations(wide, 2)}
    rows = []
    for name, (x, y) in pairs.items():
        rho = float(spearmanr(x, y).statistic)
        low, high = interval(rho, len(wide)) or (np.nan, np.nan)
        rows.append({"of": name, "cells": len(wide), "ρ": rho, "from": low, "to": high})
    return pd.DataFrame(rows)


def linear(preset: str, data: Path) -> float:
    """Test accuracy in percent of multinomial logistic regression, its penalty chosen on a tenth of the images."""
    from sklearn.linear_model import LogisticRegression

    from benchmarks import evaluation_images

    def arrays(part):  # as its networks see them after training: no crop, no flip
        batches = [(x.flatten(1).numpy(), y.numpy()) for x, y in part.views(1000)]
        return tuple(np.concatenate(column) for column in zip(*batches, strict=True))

    (x, y), test = map(arrays, evaluation_images.load("cifar10", (data,), RECIPES[preset]))
    tenth = len(x) // 10
    best = max(
        (1e-4, 1e-3, 1e-2),
        key=lambda c: LogisticRegression(C=c, max_iter=200).fit(x[tenth:], y[tenth:]).score(x[:tenth], y[:tenth]),
    )
    print(f"C {best}, {len(x)} images")
    return 100 * LogisticRegression(C=best, max_iter=200).fit(x, y).score(*test)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--preset", choices=list(RECIPES), default="small")
    parser.add_argument("--cells", type=int, default=40)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--work", type=Path, default=Path("validation"), help="folder of the trainings")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--linear", action="store_true")
    given = parser.parse_args()
    if given.linear:
        print(f"linear model: {linear(given.preset, given.data):.2f} %")
        return
    sample = rank_check((given.data,))
    if sample is None:
        parser.error(f"no darts_real214.csv.gz in {given.data}")
    out = given.out or HERE / f"{given.preset}.csv"
    lines = list(csv.reader(out.open()))[1:] if out.exists() else []
    done = {row for row, trained in Counter(int(line[0]) for line in lines).items() if trained >= given.seeds}
    lines = [line for line in lines if int(line[0]) in done or not given.cells]
    for row in np.random.default_rng(0).permutation(len(sample.cells))[: given.cells]:
        if row not in done:
            cell = space.to_string(sample.cells[row])
            lines += train(int(row), cell, given.preset, given.seeds, given.data, given.work)
            with out.open("w", newline="") as file:
                csv.writer(file, lineterminator="\n").writerows([FIELDS, *lines])
    trained = pd.read_csv(out)
    accuracy = trained["accuracy"]
    print(f"{len(trained)} trainings, {trained['seconds'].mean():.0f} s each; accuracy {accuracy.mean():.2f} ± "
          f"{accuracy.std():.2f}, {accuracy.min():.2f} to {accuracy.max():.2f}")  # fmt: skip
    print(table(trained, sample.accuracies).to_string(index=False, float_format="{:.2f}".format))


if __name__ == "__main__":
    main()
