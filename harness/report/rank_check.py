"""How the scores of searches rank cells whose full-length accuracies are known from elsewhere: a table.

Nothing reads those accuracies during a search, and records keep none of them, only correlations.
"""

from __future__ import annotations

import math

import numpy as np
from scipy.stats import norm

from harness.report.notes import Note
from harness.report.numbers import EMPTY, bracketed, number
from harness.report.readable import Cell, Group, ReadableTable, Row
from harness.results import Results

COLUMNS = ("ρ", "95 %", "ρ of the seeds", "ρ, better half", "95 %, better half")
NORMAL = float(norm.ppf(0.975))


def readable_rank_check(results: Results) -> ReadableTable | None:
    """A row for each searcher with scores, then for what needs no search; None without such a comparison."""
    groups: dict[str, Group] = {}
    samples = []
    for searcher in results.searchers:
        own = [r.one_shot for r in results.runs(searcher.label) if r.one_shot and r.one_shot.ceiling is not None]
        samples += own
        all_cells = [s.spearman for s in own if s.spearman is not None]
        better = [s.spearman_good for s in own if s.spearman_good is not None]
        if all_cells:
            count = len(own[0].liking)
            seeds = f"{number(min(all_cells))} to {number(max(all_cells))}" if len(all_cells) > 1 else EMPTY
            cells = [*_with_interval(all_cells, count), Cell(seeds), *_with_interval(better, count // 2)]
            row = Row(searcher.spec, "", [Cell(str(len(all_cells))), *cells])
            groups.setdefault(searcher.kind, Group(searcher.kind, [])).rows.append(row)
    if not groups:
        return None
    sample = samples[0]
    count, blank = len(sample.liking), [Cell(EMPTY)] * 3
    rows = [
        Row(name, "", [Cell(EMPTY), *_with_interval([value], count), *blank])
        for name, value in sample.others.items()
        if value is not None
    ]
    assert sample.ceiling is not None
    ceiling = [Cell(number(sample.ceiling)), Cell(_text(ceiling_interval(sample.ceiling, sample.pairs)))]
    rows.append(Row("a perfect score", "", [Cell(EMPTY), *ceiling, *blank]))
    groups["no search"] = Group("without a search", rows)
    text = (
        "Spearman's ρ of a search's scores, in its supernet after the search, with accuracies of {} cells trained at "
        "full length by others (test accuracies, read after the search only; no answer and no preset depends on them). "
        "95 %: of the mean ρ, for other cells of the same kind (Bonett and Wright). A perfect score would not reach 1, "
        "since those accuracies are of single trainings: its ρ is known from {} pairs of trainings of one cell."
    )
    return ReadableTable(
        f"How the scores of each search rank {count} cells that others trained at full length",
        [],
        list(groups.values()),
        counts=list(COLUMNS),
        costs=[],
        footnotes=[Note(text, count, sample.pairs)],
        title="What the supernets knew",
    )


def _with_interval(values: list[float], cells: int) -> list[Cell]:
    """The mean of correlations over that many cells, and its interval."""
    if not values:
        return [Cell(EMPTY)] * 2
    mean = float(np.mean(values))
    return [Cell(number(mean)), Cell(_text(interval(mean, cells)))]


def _text(ends: tuple[float, float] | None) -> str:
    return EMPTY if ends is None else bracketed(*ends)


def interval(rho: float, cells: int) -> tuple[float, float] | None:
    """95 % interval of Spearman's ρ (Bonett and Wright, Psychometrika 65, 2000, eq. 3); None for fewer than 4 cells."""
    if cells < 4 or abs(rho) == 1:
        return None
    return _back(rho, NORMAL * math.sqrt((1 + rho**2 / 2) / (cells - 3)))


def ceiling_interval(ceiling: float, pairs: int) -> tuple[float, float] | None:
    """95 % interval of the square root of a correlation (Pearson's, Fisher's z) known from so many pairs."""
    if pairs < 4:
        return None
    low, high = _back(ceiling**2, NORMAL / math.sqrt(pairs - 3))
    return math.sqrt(max(low, 0.0)), math.sqrt(high)


def _back(correlation: float, width: float) -> tuple[float, float]:
    """The ends of an interval that is symmetric in Fisher's z."""
    z = math.atanh(correlation)
    return math.tanh(z - width), math.tanh(z + width)
