"""Cells to scores, each with its provenance: the only place where test accuracies meet a search's answer."""

from __future__ import annotations

from benchmarks.base import Benchmark, Cell
from harness.schema import Cloud, Column, Optimum, Score


def scores(benchmark: Benchmark, cell: Cell, without_none: bool = False) -> list[Score]:
    """Final accuracies of one cell, per data set and split that has one; `without_none` marks how it was derived."""
    rows = []
    for dataset in benchmark.datasets:
        for split in benchmark.splits:
            score = benchmark.score(cell, dataset, split)
            if score is None:
                continue
            rows.append(
                Score(
                    dataset=dataset,
                    split=split,  # type: ignore[arg-type]  # checked
                    epochs=score.epochs,
                    value=score.value,
                    trials=score.trials,
                    record=score.record,
                    without_none=without_none,
                )
            )
    return rows


def space_summary(benchmark: Benchmark) -> dict[str, dict[str, Column]]:
    """Number, optimum, mean and quantiles of the cells in the table, per data set and split; empty without one."""
    space = benchmark.space
    columns: dict[str, dict[str, Column]] = {}
    for dataset in benchmark.datasets:
        for split in benchmark.splits:
            summary = benchmark.summary(dataset, split)
            if summary is None:
                continue
            best = summary.optimum
            columns.setdefault(dataset, {})[split] = Column(
                epochs=summary.epochs,
                cells=summary.cells,
                optimum=Optimum(index=space.index(best), cell=space.to_string(best), value=summary.value),
                mean=summary.mean,
                quantiles=summary.quantiles,
                trial_std=list(summary.trial_std),
            )
    return columns


def cloud(benchmark: Benchmark, width: float = 0.5) -> Cloud:
    """Where the table's cells lie: counts [validation bin, test bin, cells], bins of `width` points, per data set."""
    bins = {dataset: benchmark.histogram(dataset, width) for dataset in benchmark.datasets}
    return Cloud(width=width, bins={dataset: counts for dataset, counts in bins.items() if counts})
