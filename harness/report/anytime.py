"""How good the answer was while a search went on, from the stored trajectories: described, never tested.

Normalised regret is 0 at the table's best cell and 1 at its mean cell, which is also what a search has before its first
answer. The area under it, over a clock from 0 to a common horizon and divided by that, is one number a run.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from harness.report import inference
from harness.report.frames import frame_of
from harness.report.inference import Floats
from harness.results import MEAN, Results
from harness.schema import Point, Record

GRID = np.linspace(0, 1, 101)  # fractions of the search at which runs are compared
CLOCKS = {  # of each kind: in a record and its points, and in words; `step` counts from 0
    "one-shot": {"step": "epochs", "search_seconds": "search s"},
    "multi-trial": {"step": "queries", "simulated_seconds": "simulated s"},
}
COLUMNS = [
    "label",
    "kind",
    "dataset",
    "clock",
    "n",
    "horizon",
    "mean",
    "std",
    "median",
    "ci_low",
    "ci_high",
    "ci_level",
]


def anytime_table(results: Results) -> pd.DataFrame:
    """anytime.csv: a row per searcher and clock, the area under the normalised regret at the primary endpoint.

    The horizon is the longest search of the kind; a search that ended sooner keeps its answer. `ci_*` is the interval
    of the median. Empty without a table or without trajectories.
    """
    rows = []
    for kind, clocks in CLOCKS.items():
        for clock, name in clocks.items():
            runs = [r for r in results.finished if r.kind == kind and r.trajectory]
            horizon = max((_end(r, clock) for r in runs), default=0.0)
            for searcher in results.searchers:
                areas = [area(results, r, clock, horizon) for r in runs if r.label == searcher.label]
                known = [a for a in areas if a is not None]
                if known and len(known) == len(areas):
                    about = {"label": searcher.label, "kind": kind, "dataset": results.endpoint, "clock": name}
                    rows.append(about | {"horizon": horizon} | inference.summary(known)._asdict())
    return frame_of(rows, COLUMNS)


def area(results: Results, run: Record, clock: str, horizon: float) -> float | None:
    """Area under a run's normalised regret over a clock up to a horizon, divided by that; None where unknown."""
    values = outcomes(results, run, results.endpoint)
    scaled = values if results.endpoint == MEAN or values is None else _normalised(results, values)
    if scaled is None or not horizon > 0:
        return None
    at = np.minimum(times(run, clock), horizon)
    held = np.diff([0.0, *at, horizon])
    return float((held * np.array([1.0, *(1 - scaled / 100)])).sum() / horizon)


def _normalised(results: Results, values: Floats) -> Floats | None:
    scaled = [results.normalised(v, results.endpoint) for v in values.tolist()]
    return None if None in scaled else np.array(scaled, dtype=np.float64)


def times(run: Record, clock: str) -> Floats:
    """When each answer of a trajectory was there; steps are counted as done."""
    return np.array([getattr(p, clock) for p in run.trajectory], dtype=np.float64) + (clock == "step")


def _end(run: Record, clock: str) -> float:
    total = run.steps if clock == "step" else getattr(run, clock) or 0.0
    return max(float(total), float(times(run, clock)[-1]))


def outcomes(results: Results, run: Record, dataset: str) -> Floats | None:
    """Test accuracy of each answer of a trajectory, percent, or of MEAN the mean of the data sets, normalised."""
    if dataset != MEAN:
        return scores_along(run.trajectory).get(dataset)
    each = [scores_along(run.trajectory).get(d) for d in results.datasets]
    rows = [None if v is None else [results.normalised(x, d) for x in v.tolist()]
            for v, d in zip(each, results.datasets, strict=True)]  # fmt: skip
    if not rows or any(row is None or None in row for row in rows):
        return None
    return np.array(rows, dtype=np.float64).mean(axis=0)


def scores_along(entries: Sequence[Point]) -> dict[str, Floats]:
    """Data set -> test scores along a trajectory, those without `none` left out."""
    scores: dict[str, list[float]] = {}
    for entry in entries:
        for s in entry.scores:
            if s.split == "test" and not s.without_none:
                scores.setdefault(s.dataset, []).append(s.value)
    return {d: np.array(v) for d, v in scores.items() if len(v) == len(entries)}


def curves(results: Results, runs: Sequence[Record], dataset: str) -> Floats | None:
    """(runs, len(GRID)) outcomes of the answer held at each fraction of the search; nan before the first."""
    rows = []
    for run in runs:
        values = outcomes(results, run, dataset) if run.trajectory else None
        if values is not None:
            held = held_entries(run)
            rows.append(np.where(held >= 0, values[held], np.nan))
    return np.stack(rows) if rows else None


def held_entries(run: Record) -> NDArray[np.int64]:
    """Which entry of a run's trajectory is its answer at each fraction, (len(GRID),); -1 before the first.

    A search of one step, whose answer comes when it is over, holds that over the whole width.
    """
    if run.steps <= 1:
        return np.full(len(GRID), len(run.trajectory) - 1)
    # steps count from 0, and an answer is there once its step is done
    at = (np.array([e.step for e in run.trajectory]) + 1) / max(run.steps, 1)
    return np.searchsorted(np.minimum(at, 1.0), GRID + 1e-12, side="right") - 1


def phase_changes(runs: Sequence[Record]) -> list[float]:
    """Mean fraction of the search at which each later phase begins, of the runs that reach it."""
    starts: dict[str, list[float]] = {}
    for run in runs:
        for phase in run.phases[1:]:
            starts.setdefault(phase.phase, []).append(phase.step / max(run.steps, 1))
    return [float(np.mean(fractions)) for fractions in starts.values()]
