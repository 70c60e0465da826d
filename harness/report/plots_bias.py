"""What each search's scores like, beside what the table says: one picture."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from harness.report import bias
from harness.report.numbers import EMPTY, number
from harness.report.plot_style import INK, Floats, figure, short_name
from harness.results import Results

RANKS = {"one_shot_spearman": "all", "one_shot_spearman_good": "better\nhalf", "one_shot_spearman_top": "top\nfifth"}


def liking(results: Results) -> Figure | None:
    """Rank correlations as coloured numbers: a row per searcher, the truth first.

    On the left of scores with accuracy, on the right of scores with what a cell is made of, in the better half. None
    where no searcher has scores.
    """
    made_of = bias.features(results.space)
    names, ranks, likes, truth = ["the table itself"], [[1.0] * len(RANKS)], [], {}
    for searcher in results.searchers:
        runs = [r for r in results.runs(searcher.label) if r.one_shot and r.one_shot.cells]
        values = bias.row(results, runs)
        if not runs or all(value is None for value in values.values()):
            continue
        for column in ("spearman", "spearman_good"):
            held = [v for r in runs if (v := getattr(r.one_shot, column)) is not None]
            values[f"one_shot_{column}"] = float(np.mean(held)) if held else None
        names.append(f"{short_name(results, searcher)} (n = {len(runs)})")
        ranks.append([_float(values[column]) for column in RANKS])
        likes.append([_float(values[f"score_{what}"]) for what in made_of])
        truth = values
    if not likes:
        return None
    likes = [[_float(truth[f"truth_{what}"]) for what in made_of], *likes]
    fig = figure(2.6 + 0.75 * (len(RANKS) + len(made_of)), 1.5 + 0.3 * len(names))
    left, right = fig.subplots(1, 2, width_ratios=[len(RANKS), len(made_of)])
    _draw(left, np.array(ranks), list(RANKS.values()))
    _draw(right, np.array(likes), [what.replace("_", "\n") for what in made_of])
    left.set_yticks(range(len(names)), labels=names, fontsize=8)
    right.set_yticks([])
    left.set_title("how its scores rank\nthe cells: ρ with accuracy", fontsize=9)
    text = "what its scores like in the better half:\nρ with the number of … in a cell (red more, blue fewer)"
    right.set_title(text, fontsize=9)
    return fig


def _float(value: float | None) -> float:
    return np.nan if value is None else value


def _draw(ax: Axes, values: Floats, labels: list[str]) -> None:
    ax.imshow(np.ma.masked_invalid(values), cmap="RdBu_r", vmin=-1, vmax=1, aspect="auto")
    for (i, j), value in np.ndenumerate(values):
        text = EMPTY if np.isnan(value) else number(round(value, 2) + 0.0)  # no minus before 0
        ax.annotate(text, (j, i), ha="center", va="center", fontsize=8, color="white" if abs(value) > 0.7 else INK)
    ax.axhline(0.5, color=INK, lw=1.5)
    ax.set_xticks(range(len(labels)), labels=labels, fontsize=8)
    ax.tick_params(length=0)
