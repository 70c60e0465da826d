"""What a search's scores like: their rank correlation with accuracy, with operations and with size, beside the truth's.

Scores may rank cells well as a whole and still prefer, among good ones, what the table does not. All is worked out from
the sample of cells in a record, so that older records have it too.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from benchmarks.base import Cell, NetworkSize, Preset, SearchSpace
from harness.cells import named
from harness.diagnostics import GOOD, best, spearman
from harness.results import Results
from harness.schema import OneShot, Record

TOP = 0.2  # the share of the sample, best first, that is the top fifth
PARAMETERS = "parameters"


def columns(space: SearchSpace) -> list[str]:
    """The columns of diagnostics.csv: scores and accuracies against what cells are made of, in the better half."""
    return ["one_shot_spearman_top", *(f"{of}_{what}" for what in features(space) for of in ("score", "truth"))]


def features(space: SearchSpace) -> list[str]:
    """What a cell is made of: how often it has each operation, and its parameters where all cells have a number."""
    return [*space.operations, *([] if space.size is None else [PARAMETERS])]


def row(results: Results, runs: Sequence[Record]) -> dict[str, float | None]:
    """The columns of one searcher: means over its runs; None where it has no scores, or nothing to correlate."""
    space = results.space
    means: dict[str, float | None] = dict.fromkeys(columns(space))
    samples = [(r.one_shot, cells) for r in runs if r.one_shot and (cells := _cells(r.one_shot, space))]
    rows = [of_sample(sample, cells, space, results.campaign.preset) for sample, cells in samples]
    for name in means:
        values = [value for each in rows if (value := each[name]) is not None]
        means[name] = float(np.mean(values)) if values else None
    return means


def _cells(sample: OneShot, space: SearchSpace) -> list[Cell]:
    """The cells of a sample; none where it is not whole, as records may come from other people."""
    cells = [cell for name in sample.cells if (cell := named(space, name)) is not None]
    return cells if len(cells) == len(sample.cells) == len(sample.accuracies) == len(sample.liking) else []


def of_sample(sample: OneShot, cells: Sequence[Cell], space: SearchSpace, preset: Preset) -> dict[str, float | None]:
    """The columns of one run; `cells` are those of the sample."""
    liking, accuracy = np.array(sample.liking), np.array(sample.accuracies)
    top, good = best(accuracy, TOP), best(accuracy, GOOD)
    values = {"one_shot_spearman_top": spearman(liking[top], accuracy[top])}
    for name, amount in zip(features(space), composition(cells, space, preset).T, strict=True):
        values[f"score_{name}"] = spearman(liking[good], amount[good])
        values[f"truth_{name}"] = spearman(accuracy[good], amount[good])
    return values


def composition(cells: Sequence[Cell], space: SearchSpace, preset: Preset) -> np.ndarray:
    """What each cell is made of, (cells, features)."""
    counts = np.array([space.operation_counts(cell) for cell in cells], dtype=np.float64)
    if space.size is None:
        return counts
    # Any images and classes give the same order: what sees them is the same in all networks.
    size = NetworkSize(max(preset.channels, 1), max(preset.cells, 1), in_channels=1, num_classes=1)
    parameters, _ = space.costs(size, 1)
    return np.column_stack([counts, parameters[[space.index(cell) or 0 for cell in cells]]])
