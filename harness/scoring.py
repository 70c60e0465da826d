"""Cells to scores, each with its provenance: the only place where test accuracies meet a search's answer."""

from __future__ import annotations

from typing import Any

from benchmarks.nb201 import cell as cells
from benchmarks.nb201.benchmark import Benchmark
from benchmarks.nb201.cell import Cell


def scores(benchmark: Benchmark, cell: Cell, without_none: bool = False) -> list[dict[str, Any]]:
    """Final accuracies of one cell on every data set and split; `without_none` marks how it was derived."""
    rows = []
    for dataset in benchmark.datasets:
        for split in benchmark.splits:
            value = benchmark.score(cell, dataset, split)
            rows.append(
                {
                    "dataset": dataset,
                    "split": split,
                    "epochs": value.epochs,
                    "value": value.value,
                    "trials": value.trials,
                    "record": value.record,
                    "without_none": without_none,
                }
            )
    return rows


def space_summary(benchmark: Benchmark) -> dict[str, dict[str, Any]]:
    """Number, optimum, mean and 1,001 quantiles (steps of 0.1 %) of the cells in the table, per data set and split."""
    import numpy as np

    summary: dict[str, dict[str, Any]] = {}
    for dataset in benchmark.datasets:
        for split in benchmark.splits:
            index, best = benchmark.optimum(dataset, split)
            values = benchmark.column(dataset, split).mean
            known = values[~np.isnan(values)]
            summary.setdefault(dataset, {})[split] = {
                "epochs": best.epochs,
                "cells": len(known),
                "optimum": {
                    "index": index,
                    "cell": cells.to_string(cells.from_index(index)),
                    "value": best.value,
                },
                "mean": float(known.mean()),
                "quantiles": [round(q, 4) for q in np.percentile(known, np.linspace(0, 100, 1001)).tolist()],
            }
    return summary


def cloud(benchmark: Benchmark, width: float = 0.5) -> dict[str, Any]:
    """Where the table's cells lie: counts [validation bin, test bin, cells], bins of `width` points, per data set."""
    import numpy as np

    bins: dict[str, Any] = {}
    for dataset in benchmark.datasets:
        pair = np.stack([benchmark.column(dataset, split).mean for split in ("valid", "test")], axis=1)
        places, counts = np.unique(np.floor(pair[~np.isnan(pair).any(1)] / width), axis=0, return_counts=True)
        bins[dataset] = np.column_stack([places, counts]).astype(int).tolist()
    return {"width": width, "bins": bins}
