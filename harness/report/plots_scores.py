"""Where each seed ended, and the scale that accuracies are drawn on. Accuracies are test scores in percent."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from harness.report.plot_style import (
    GREY,
    INK,
    RASTER_FROM,
    Floats,
    best_possible,
    figure,
    in_order,
    legend,
    make_panels,
    name_and_n,
    shade,
)
from harness.results import MEAN, Results, space_held

STRETCH_FROM = 8.0  # percent points between worst and optimum from which the scale is stretched
NEAR = 0.05  # of that distance within which some answer must lie


def primary(results: Results) -> Figure:
    """The primary endpoint of each seed as a dot over the box of their quartiles; rows from the best mean down."""
    return _dots(results, [results.endpoint])


def accuracy(results: Results) -> Figure | None:
    """As `primary`, a panel per data set; None where there is but that one."""
    return None if results.datasets in ([], [results.endpoint]) else _dots(results, results.datasets)


def _dots(results: Results, datasets: Sequence[str]) -> Figure:
    shown = in_order(results)
    across = [3.1 * len(datasets) + 2.2, 6.4][len(datasets) == 1]
    fig = figure(across, 1.4 + 0.38 * len(shown))
    for ax, dataset in zip(make_panels(fig, len(datasets)), datasets, strict=True):
        values: list[float] = []
        for row, (i, searcher) in enumerate(shown):
            finals = [(v, r.collapsed) for r in results.runs(searcher.label)
                      if (v := results.outcome(r, dataset)) is not None]  # fmt: skip
            _draw_dots(ax, finals, row, shade(results, i))
            values += [v for v, _ in finals]
        draw_space(ax, results, dataset)
        optimum = best_possible(results, dataset)
        accuracy_scale(ax, "x", min(values, default=0.0), max(values, default=optimum or 0.0), optimum)
        ax.set_ylim(len(shown) - 0.4, -0.6)
        ax.set_title(dataset, fontsize=10)
        ax.set_yticks(range(len(shown)), labels=[])
    labels = [name_and_n(results, s) for _, s in shown]
    fig.axes[0].set_yticks(range(len(shown)), labels=labels)
    for text, (i, _) in zip(fig.axes[0].get_yticklabels(), shown, strict=True):
        text.set_fontweight("bold" if i == 0 else "normal")
    middle = fig.axes[len(fig.axes) // 2]
    what = "mean of the data sets, normalised" if datasets == [MEAN] else "test accuracy of the cell found, %"
    middle.set_xlabel(f"{what}{scale_note(fig, 'x')}", fontsize=9)
    legend(fig, _accuracy_legend(space_held(results.campaign)))
    return fig


def _draw_dots(ax: Axes, finals: list[tuple[float, bool]], i: int, hue: str) -> None:
    """Each seed's accuracy and whether its cell collapsed, in row i."""
    if not finals:
        return
    values = np.array([v for v, _ in finals])
    collapsed = np.array([c for _, c in finals])
    # seeds spread over the row's height in a fixed order: equal values stay countable, and no random jitter
    height = min(0.26, 0.05 * len(values))
    offsets = np.linspace(-height, height, len(values)) if len(values) > 1 else np.zeros(1)
    size, raster = (26 if len(values) <= 30 else 7), len(values) > RASTER_FROM
    y = i + offsets
    ok = ~collapsed
    ax.scatter(values[ok], y[ok], s=size, color=hue, alpha=0.65, lw=0, rasterized=raster, zorder=3)
    ax.scatter(values[collapsed], y[collapsed], s=size, color=hue, marker="x", lw=1, rasterized=raster,
               zorder=3)  # fmt: skip
    low, high = np.percentile(values, [25, 75])
    ax.barh(i, high - low, 0.6, low, color="none", ec=GREY, lw=0.8, zorder=2)
    ax.plot([np.median(values)] * 2, [i - 0.36, i + 0.36], color=INK, lw=2, solid_capstyle="butt", zorder=4)


def draw_space(ax: Axes, results: Results, dataset: str) -> None:
    """Optimum and quartiles of the table's cells, as lines behind the dots."""
    column = results.table(dataset)
    if column is None:
        return
    ax.axvline(column.optimum.value, color=INK, lw=0.8, ls=(0, (6, 2)))
    for percent in (25, 50, 75):
        ax.axvline(column.quantiles[percent * (len(column.quantiles) - 1) // 100], color=GREY, lw=0.8, ls=":")


def _accuracy_legend(space: str) -> list[Line2D]:
    def mark(marker: str, label: str, size: float = 5) -> Line2D:
        return Line2D([], [], color=INK, marker=marker, ls="", ms=size, label=label)

    return [
        mark("o", "a seed"),
        mark("x", "a seed, collapsed"),
        mark("|", "median", 10),
        Line2D([], [], color=GREY, marker="s", mfc="none", ls="", ms=6, label="quartiles of the seeds"),
        Line2D([], [], color=INK, lw=0.8, ls=(0, (6, 2)), label=f"optimum of {space}"),
        Line2D([], [], color=GREY, lw=0.8, ls=":", label=f"quartiles of {space}"),
    ]


def accuracy_scale(ax: Axes, axis: str, low: float, best: float, optimum: float | None) -> None:
    """Set an axis' scale: stretched towards the optimum, but linear where that would not help.

    Linear: all values lie close together, or none comes near the optimum.

    Collapsed runs at 54 % would press the 0.1 points that matter near 94 % into one line. The stretched scale is the
    logarithm of the distance to the optimum and, added to it, how far the best answer is from there (at least 0.2
    points), so that what nobody reached takes little room. Ticks are plain accuracies.
    """
    set_scale = getattr(ax, f"set_{axis}scale")
    set_limits = getattr(ax, f"set_{axis}lim")
    high = max(best, optimum or 0.0)
    if optimum is None or high - low < STRETCH_FROM or optimum - best > NEAR * (optimum - low):
        margin = max(0.06 * (high - low), 0.05)
        set_limits(low - margin, high + margin)
        return
    forward, inverse = _stretch(optimum, max(optimum - best, 0.2))
    set_scale("function", functions=(forward, inverse))
    ends = forward(np.array([low, high]))
    bottom = max(float(inverse(ends[:1] - 0.06 * np.ptp(ends))[0]), 0.0)
    set_limits(bottom, float(inverse(ends[1:] + 0.03 * np.ptp(ends))[0]))
    near = [(0.2, 0.1), (1, 0.5), (3, 1), (10, 5), (30, 10), (60, 10)]  # distance, and what it is rounded to
    ticks = sorted({t for d, unit in near if bottom <= (t := round((optimum - d) / unit) * unit) < optimum})
    places = (forward(np.array(ticks)) - ends[0]) / np.ptp(ends)
    kept: list[tuple[float, float]] = []
    for tick, place in zip(ticks[::-1], places[::-1], strict=True):
        if not kept or kept[-1][1] - place > 0.08:  # no label on another
            kept.append((tick, place))
    which = ax.yaxis if axis == "y" else ax.xaxis
    which.set_major_locator(FixedLocator([tick for tick, _ in kept]))
    which.set_minor_locator(NullLocator())
    which.set_major_formatter(FuncFormatter(lambda v, _: f"{v:g}"))


def scale_note(fig: Figure, axis: str) -> str:
    stretched = any(getattr(ax, f"get_{axis}scale")() == "function" for ax in fig.axes)
    return "\n(scale stretched towards the optimum)" if stretched else ""


def _stretch(optimum: float, offset: float) -> tuple[Callable[[Floats], Floats], Callable[[Floats], Floats]]:
    top = optimum + offset

    def forward(value: Floats) -> Floats:
        return -np.log10(np.maximum(top - np.asarray(value), 1e-3))

    def inverse(value: Floats) -> Floats:
        return top - 10.0 ** -np.asarray(value)

    return forward, inverse
