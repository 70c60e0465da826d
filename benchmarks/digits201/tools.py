"""The files of digits201 on this machine: described, checked, built."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from benchmarks.digits201 import benchmark, task
from benchmarks.digits201.benchmark import open_digits201
from benchmarks.errors import UserError
from benchmarks.nb201 import cell as cells
from benchmarks.nb201.benchmark import open_nb201
from benchmarks.nb201.table_file import kind_of


def info(path: Path | None) -> str | None:
    """What a build's file holds, finished or not, and how far it can be trusted; None for a file of another kind."""
    if path is not None and kind_of(path) != "counts":
        return None
    return describe_counts(path or benchmark.FILE)


def describe_counts(path: Path) -> str:
    counts = benchmark.load_counts(path)
    about = counts.about
    lines = [
        str(path),
        f"  source: {task.NAME}, trained by this project on {about['machine']['cpu']}, "
        f"torch {about['machine']['torch']}",
        f"  sha256 of the counts: {counts.sha256}",
        f"  distinct cells trained: {int(counts.is_trained.sum()):,} of {len(counts.is_trained):,}, "
        f"{len(task.SEEDS)} seeds each, standing for {int(counts.is_trained[counts.class_of].sum()):,} cells",
        f"  bytes: {path.stat().st_size:,}",
        f"  columns: {', '.join(f'{split} at {epochs} epochs' for split, epochs in task.COLUMNS)}; "
        f"{len(task.SEEDS)} trials each",
    ]
    if "seconds" in about:
        fits = ", ".join(f"{name} R² {about['seconds'][name]['r2']:.3f}" for name in ("train", "valid"))
        lines.append(f"  seconds: linear in the operation counts, {about['seconds']['cells']} cells timed, {fits}")
    if counts.is_trained.sum() > 2:
        cifar10 = open_nb201(None, ()).column("cifar10", "test").mean
        lines.append("  quality (Spearman correlations unless said otherwise):")
        lines += [f"    {name}: {value:.3f}" for name, value in benchmark.quality(counts, cifar10).items()]
    return "\n".join(lines)


def check(table: Path | None, places: Sequence[Path], data_named: bool) -> list[tuple[bool, str]]:
    """Three cells trained again: accuracies within 4 standard deviations over seeds of the stored ones.

    Never bit-equal: processors and torch versions differ.
    """
    import torch

    from benchmarks.digits201.build import count_right

    try:
        stored = open_digits201().table
    except UserError as error:
        return [(False, str(error))]
    column = stored.column(task.NAME, "test", task.FULL)
    assert column.per_trial is not None
    spread = float(np.sqrt(column.per_trial.var(1, ddof=1).mean()))
    lines = []
    torch.set_num_threads(1)  # as they were trained
    for index in (0, 11, 284):
        right = count_right(cells.from_index(index))[:, task.COLUMNS.index(("test", task.FULL))]
        stored_accuracy = column[index].value
        accuracy = 100 * float(right.mean()) / task.images_of("test")
        text = f"digits201 cell {index} trained again: {accuracy:.2f} %, stored {stored_accuracy:.2f} % (±{spread:.2f})"
        lines.append((abs(accuracy - stored_accuracy) <= 4 * spread, text))
    return lines


def build(path: Path, workers: int, report: Callable[[int, int, float], None]) -> None:
    """Train every distinct cell, or go on with that; `report(done, total, seconds left)` is called after each."""
    from benchmarks.digits201 import build as training

    training.build(path, workers, report)
