"""What of the spread between the runs of a searcher is not the searcher: the final trainings of its answers.

A table's accuracy is a mean over two or three trainings of a cell, and an answer trained by us one over evaluation
seeds. That mean's own variance is part of the variance between runs, unless runs end with the same cell.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from harness.report.inference import beaten
from harness.schema import Column, Record, Score


def training_variance(runs: Sequence[Record], dataset: str, split: str, table: Column | None) -> float | None:
    """The part, in squared points, of the variance between runs (ddof 1) that their answers' final trainings make.

    Where single trainings are known it is their variance over their number; of a table's means that of the table's
    trainings in the same tenth of all cells (`Column.trial_std`). Answers with one value are one training: their pairs
    count 0. None below two runs or where nothing is known of single trainings.
    """
    scores = [s for r in runs if (s := r.score(dataset, split)) is not None]
    own = [_variance(s, table) for s in scores]
    if len(own) < 2 or None in own:
        return None
    each, values = np.array(own, dtype=np.float64), np.array([s.value for s in scores])
    differ = values[:, None] != values[None, :]
    n = len(own)
    return float((differ * (each[:, None] + each[None, :]) / 2).sum() / (n * (n - 1)))


def _variance(score: Score, table: Column | None) -> float | None:
    """Variance of a score: that of the mean of its trainings, in squared points."""
    if len(score.each) > 1:
        return float(np.var(score.each, ddof=1)) / len(score.each)
    if table is None or not table.trial_std or not score.trials:
        return None
    tenth = int(beaten(score.value, table.quantiles) / 100 * len(table.trial_std))
    return table.trial_std[min(tenth, len(table.trial_std) - 1)] ** 2 / score.trials
