"""Is the same seed under other kernels the same search? Variance over kernels within a seed, and over seeds.

    python results/processors/variance.py results/processors/answers.csv
    python results/processors/variance.py CAMPAIGN [CAMPAIGN…] > results/processors/answers.csv

The second form reads campaigns of one command, a folder for each choice of kernels, and prints their answers as CSV.
"""

from __future__ import annotations

import sys
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd

from harness import store

COLUMNS = ["kernels", "searcher", "seed", "cell", "valid", "test"]


def answers(folders: list[Path]) -> pd.DataFrame:
    rows = []
    for folder in folders:
        for record in store.load_records(folder)[0]:
            about = record.environment
            values = {s.split: s.value for s in record.scores if not s.without_none}
            kernels = f"ATen {about['cpu_capability']}, oneDNN {about['onednn_isa']}"
            rows.append([kernels, record.spec, record.seed, record.cell, values["valid"], values["test"]])
    return pd.DataFrame(rows, columns=COLUMNS)


def table(frame: pd.DataFrame) -> str:
    """One row a searcher, over the seeds that all kernels have."""
    lines = [
        "| searcher | seeds | mean ± std over seeds, by kernels | std over seeds | std over kernels, at a seed "
        "| correlation of two kernels' seeds | p | same cell |",
        "|---|---:|---|---:|---:|---:|---:|---:|",
    ]
    for searcher, part in frame.groupby("searcher", sort=False):
        values = part.pivot(index="seed", columns="kernels", values="test").dropna()[list(part["kernels"].unique())]
        cells = part.pivot(index="seed", columns="kernels", values="cell").loc[values.index]
        array, pairs = values.to_numpy(), list(combinations(range(values.shape[1]), 2))
        same = sum(cells.iloc[:, i].eq(cells.iloc[:, j]).sum() for i, j in pairs)
        by_kernels = "; ".join(f"{m:.2f} ± {s:.2f}" for m, s in zip(values.mean(), values.std(), strict=True))
        spread = [np.sqrt(array.var(axis, ddof=1).mean()) for axis in (0, 1)]
        correlation, p = agreement(array)
        lines.append(
            f"| {searcher} | {len(values)} | {by_kernels} | {spread[0]:.2f} | {spread[1]:.2f} | {correlation:.2f} "
            f"| {p:.2g} | {same} of {len(pairs) * len(values)} |"
        )
    return "\n".join(lines)


def agreement(values: np.ndarray, draws: int = 10_000) -> tuple[float, float]:
    """Mean Pearson correlation over pairs of columns (kernels) of (seeds, kernels); p of one as large if a seed meant
    nothing: each column's seeds are shuffled, `draws` times."""

    def mean_correlation(array: np.ndarray) -> float:
        upper = np.triu_indices(array.shape[1], 1)
        return float(np.corrcoef(array.T)[upper].mean())

    rng = np.random.default_rng(0)
    measured = mean_correlation(values)
    shuffled = [mean_correlation(rng.permuted(values, axis=0)) for _ in range(draws)]
    return measured, (1 + sum(value >= measured for value in shuffled)) / (1 + draws)


if __name__ == "__main__":
    paths = [Path(text) for text in sys.argv[1:]]
    if paths[0].suffix == ".csv":
        print(table(pd.read_csv(paths[0])))
    else:
        answers(paths).to_csv(sys.stdout, index=False, float_format="%.6g")
