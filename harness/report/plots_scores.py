"""Where each seed ended, and how the answers improved on the way. Accuracies are table scores in percent."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullLocator
from numpy.typing import NDArray

from harness.report.plot_style import (
    COLOURS,
    GREY,
    INK,
    RASTER_FROM,
    Floats,
    changes,
    colour,
    figure,
    handle,
    legend,
    make_panels,
    name_and_n,
    short_name,
    style,
    table_optimum,
)
from harness.results import Results, is_partial, space_held
from harness.schema import Column, Point, Record

GRID = np.linspace(0, 1, 101)  # fractions of the search at which runs are compared
QUARTILES_FROM = 6  # below: the band is the range
STRETCH_FROM = 8.0  # percent points between worst and optimum from which the scale is stretched
NEAR = 0.05  # of that distance within which some answer must lie


def convergence(results: Results) -> Figure:
    """Table test score of the answer a search would give if it stopped there; a panel per data set.

    A line is the median over seeds, its band the range (below 6 seeds) or the quartiles, left out where there are more
    searchers than colours; dotted lines in a searcher's colour are its changes of phase.
    """
    datasets = results.datasets
    searchers = results.searchers
    fig = figure(max(4.0 * len(datasets) + 0.4, 6.0), 3.6)
    runs = [results.runs(s.label) for s in searchers]
    curves = [_curves(own) for own in runs]
    for ax, dataset in zip(make_panels(fig, len(datasets)), datasets, strict=True):
        drawn: list[float] = []
        for i, own in enumerate(runs):
            values = curves[i].get(dataset)
            if values is not None:
                drawn += _draw_curve(ax, values, i, len(searchers))
            for at in phase_changes(own):
                ax.axvline(at, color=colour(i), lw=0.8, ls=":", alpha=0.8)
        optimum = table_optimum(results, dataset)
        if optimum is not None:
            ax.axhline(optimum, color=INK, lw=0.8, ls=(0, (6, 2)))
        _accuracy_scale(ax, "y", min(drawn, default=0.0), max(drawn, default=optimum or 0.0), optimum)
        ax.set_xlim(0, 1)
        ax.set_title(dataset, fontsize=10)
    fig.axes[0].set_ylabel(f"test accuracy of the current answer, %{_scale_note(fig, 'y')}", fontsize=9)
    middle = fig.axes[len(fig.axes) // 2]
    steps = "one-shot: epochs; multi-trial: queries; training-free: cells"
    middle.set_xlabel(f"fraction of the search ({steps})", fontsize=9)
    handles = [handle(i, name_and_n(results, s)) for i, s in enumerate(searchers)]
    handles.append(
        Line2D([], [], color=INK, lw=0.8, ls=(0, (6, 2)), label=f"optimum of {space_held(results.campaign)}")
    )
    if any(r.phases for r in results.records):
        handles.append(Line2D([], [], color=GREY, lw=0.8, ls=":", label="change of phase"))
    legend(fig, handles)
    return fig


def _curves(runs: Sequence[Record]) -> dict[str, Floats]:
    """Data set -> (runs, len(GRID)) scores of the answer held at each fraction; nan before the first."""
    curves: dict[str, list[Floats]] = {}
    for run in runs:
        if not run.trajectory:
            continue
        held = held_entries(run)
        for dataset, values in _trajectory_scores(run.trajectory).items():
            curves.setdefault(dataset, []).append(np.where(held >= 0, values[held], np.nan))
    return {dataset: np.stack(rows) for dataset, rows in curves.items()}


def _trajectory_scores(entries: Sequence[Point]) -> dict[str, Floats]:
    """Data set -> test scores along a trajectory, those without `none` left out."""
    scores: dict[str, list[float]] = {}
    for entry in entries:
        for s in entry.scores:
            if s.split == "test" and not s.without_none:
                scores.setdefault(s.dataset, []).append(s.value)
    return {d: np.array(v) for d, v in scores.items() if len(v) == len(entries)}


def _draw_curve(ax: Axes, values: Floats, i: int, of: int) -> tuple[float, float]:
    """Median and band of (runs, len(GRID)), from where every run has an answer; the lowest and highest value drawn."""
    start = int(np.argmax(~np.isnan(values).any(axis=0)))
    low, middle, high = _draw_steps(ax, GRID[start:], values[:, start:], i, of)
    # all there is of a one-step search
    ax.plot(GRID[-1:], middle[-1:], "o", ms=3.5, color=colour(i), clip_on=False)
    return float(low.min()), float(high.max())


def _draw_steps(ax: Axes, x: Floats, values: Floats, i: int, of: int) -> Floats:
    """Median and band of (runs, len(x)) values, each held until the next x; (3, len(x)): foot, median, top as drawn."""
    band = [25, 75] if len(values) >= QUARTILES_FROM else [0, 100]
    if of > len(COLOURS):  # two bands would share a colour, and all of them are a fog
        band = [50, 50]
    low, middle, high = edges = np.percentile(values, [band[0], 50, band[1]], axis=0)
    at = changes(edges)
    if of <= len(COLOURS):
        ax.fill_between(x[at], low[at], high[at], step="post", color=colour(i), alpha=0.2 if of <= 4 else 0.09, lw=0)
    ax.step(x[at], middle[at], where="post", color=colour(i), ls=style(i), lw=1.6)
    return edges


def held_entries(run: Record) -> NDArray[np.int64]:
    """Which entry of a run's trajectory is its answer at each fraction, (len(GRID),); -1 before the first."""
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


def regret(results: Results) -> Figure | None:
    """Regret of the current answer over seconds, both axes logarithmic; a column per data set, a row per clock.

    Measured and simulated seconds are different clocks and never share an axis. A line is the median over seeds of what
    had been found by then, from where every seed has an answer; its band as in `convergence`. None without runs.
    """
    clocks = {
        "one-shot": ("search_seconds", "measured search seconds"),
        "multi-trial": ("simulated_seconds", "simulated seconds"),
        "training-free": ("search_seconds", "measured search seconds, no training"),
    }
    searchers = list(enumerate(results.searchers))
    kinds = [k for k in clocks if any(r.kind == k and r.trajectory for r in results.finished)]
    datasets = [d for d in results.datasets if table_optimum(results, d) is not None]
    if not kinds or not datasets:
        return None
    fig = figure(max(4.0 * len(datasets) + 0.4, 6.0), 2.9 * len(kinds) + 0.3)
    panels = iter(make_panels(fig, len(datasets), len(kinds)))
    for kind in kinds:
        for dataset in datasets:
            ax = next(panels)
            for i, searcher in searchers:
                runs = [r for r in results.runs(searcher.label) if r.trajectory]
                if searcher.kind == kind and runs:
                    _draw_regret(
                        ax, runs, clocks[kind][0], dataset, table_optimum(results, dataset) or 0.0, i, len(searchers)
                    )
            for axis, scale in ((ax.xaxis, ax.set_xscale), (ax.yaxis, ax.set_yscale)):
                scale("log")
                axis.set_major_locator(LogLocator(subs=(1, 2, 5), numticks=8))
                axis.set_minor_locator(NullLocator())
                axis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:,g}"))
            ax.set_title(dataset, fontsize=10)
            ax.set_xlabel(clocks[kind][1], fontsize=9)
            against = f"\nagainst the best of {space_held(results.campaign)}" if is_partial(results.campaign) else ""
            ax.set_ylabel(f"regret, points{against}" if dataset == datasets[0] else "", fontsize=9)
    legend(fig, [handle(i, short_name(results, s)) for i, s in searchers if s.kind in kinds])
    return fig


def _draw_regret(ax: Axes, runs: Sequence[Record], clock: str, dataset: str, optimum: float, i: int, of: int) -> None:
    times = [np.maximum([getattr(e, clock) for e in run.trajectory], 1e-3) for run in runs]
    scores = [s for run in runs if (s := _trajectory_scores(run.trajectory).get(dataset)) is not None]
    ends = [max(getattr(run, clock), t[-1]) for run, t in zip(runs, times, strict=True)]
    start, end = max(t[0] for t in times), max(ends)
    if len(scores) < len(runs) or not end > 0:
        return
    grid = np.geomspace(start, max(end, start * 1.01), 200)
    held = [s[np.searchsorted(t, grid * (1 + 1e-12), side="right") - 1] for t, s in zip(times, scores, strict=True)]
    values = np.maximum(optimum - np.array(held), 1e-2)  # the optimum itself has a place on the axis
    _draw_steps(ax, grid, values, i, of)


def accuracy(results: Results) -> Figure:
    """Test score of each seed as a dot over the box of their quartiles; a panel per data set, a row per searcher."""
    datasets = results.datasets
    searchers = results.searchers
    runs = [results.runs(s.label) for s in searchers]
    fig = figure(3.1 * len(datasets) + 2.2, 1.4 + 0.38 * len(searchers))
    for ax, dataset in zip(make_panels(fig, len(datasets)), datasets, strict=True):
        values: list[float] = []
        for i, own in enumerate(runs):
            finals = [(v, r.collapsed) for r in own if (v := r.final(dataset, "test")) is not None]
            _draw_dots(ax, finals, i)
            values += [v for v, _ in finals]
        _draw_space(ax, results.table(dataset))
        optimum = table_optimum(results, dataset)
        _accuracy_scale(ax, "x", min(values, default=0.0), max(values, default=optimum or 0.0), optimum)
        ax.set_ylim(len(searchers) - 0.4, -0.6)
        ax.set_title(dataset, fontsize=10)
        ax.set_yticks(range(len(searchers)), labels=[])
    labels = [name_and_n(results, s) for s in searchers]
    fig.axes[0].set_yticks(range(len(searchers)), labels=labels)
    middle = fig.axes[len(fig.axes) // 2]
    middle.set_xlabel(f"test accuracy of the cell found, %{_scale_note(fig, 'x')}", fontsize=9)
    legend(fig, _accuracy_legend(space_held(results.campaign)))
    return fig


def _draw_dots(ax: Axes, finals: list[tuple[float, bool]], i: int) -> None:
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
    ax.scatter(values[ok], y[ok], s=size, color=colour(i), alpha=0.65, lw=0, rasterized=raster, zorder=3)
    ax.scatter(values[collapsed], y[collapsed], s=size, color=colour(i), marker="x", lw=1, rasterized=raster,
               zorder=3)  # fmt: skip
    low, high = np.percentile(values, [25, 75])
    ax.barh(i, high - low, 0.6, low, color="none", ec=GREY, lw=0.8, zorder=2)
    ax.plot([np.median(values)] * 2, [i - 0.36, i + 0.36], color=INK, lw=2, solid_capstyle="butt", zorder=4)


def _draw_space(ax: Axes, column: Column | None) -> None:
    """Optimum and quartiles of the table's cells, as lines behind the dots."""
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


def _accuracy_scale(ax: Axes, axis: str, low: float, best: float, optimum: float | None) -> None:
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


def _scale_note(fig: Figure, axis: str) -> str:
    stretched = any(getattr(ax, f"get_{axis}scale")() == "function" for ax in fig.axes)
    return "\n(scale stretched towards the optimum)" if stretched else ""


def _stretch(optimum: float, offset: float) -> tuple[Callable[[Floats], Floats], Callable[[Floats], Floats]]:
    top = optimum + offset

    def forward(value: Floats) -> Floats:
        return -np.log10(np.maximum(top - np.asarray(value), 1e-3))

    def inverse(value: Floats) -> Floats:
        return top - 10.0 ** -np.asarray(value)

    return forward, inverse
