"""How answers improved during the searches, and how many runs got how far. Accuracies are test scores in percent.

Up to seven searchers are drawn over each other, each in a colour of its own. More are drawn one a panel, from the best
mean down, with the medians of all others in grey behind.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from harness.report.anytime import GRID, curves, outcomes, phase_changes, times
from harness.report.comparison import wilson
from harness.report.plot_style import (
    COLOURS,
    GREY,
    INK,
    Floats,
    best_possible,
    changes,
    colour,
    crowded,
    figure,
    handle,
    in_order,
    legend,
    make_panels,
    name_and_n,
    style,
)
from harness.report.plots_scores import accuracy_scale, scale_note
from harness.results import MEAN, Results, is_partial, space_held
from harness.schema import Entrant, Record

QUARTILES_FROM = 6  # below: the band is the range
PALE = "#CFCFCF"
Curve = tuple[Floats, Floats]  # x (k,), and foot, median, top (3, k), each held until the next x
Panels = list[tuple[Axes, str, list[tuple[int, Entrant]]]]  # with its data set, and the searchers that are coloured


def convergence(results: Results) -> Figure | None:
    """Test score of the answer a search would give if it stopped there; a panel per data set, or of the primary
    endpoint one per searcher.

    A line is the median over seeds, its band the range (below 6 seeds) or the quartiles; dotted lines in a searcher's
    colour are its changes of phase. None where no run has a trajectory, as imported cells have none.
    """
    if not any(r.trajectory for r in results.finished):
        return None

    @cache
    def curve(label: str, dataset: str) -> Curve | None:
        values = curves(results, results.runs(label), dataset)
        if values is None:
            return None
        start = int(np.argmax(~np.isnan(values).any(axis=0)))  # from where every run has an answer
        return GRID[start:], band(values[:, start:])

    datasets = [results.endpoint] if crowded(results) or results.endpoint == MEAN else results.datasets
    shown = in_order(results)
    fig, panels = _panels(results, shown, datasets)
    for ax, dataset, highlighted in panels:
        drawn = _draw(ax, results, shown, highlighted, lambda s, d=dataset: curve(s.label, d))  # type: ignore[misc]
        _mark_ends(ax, results, highlighted, [curve(s.label, dataset) for _, s in highlighted])
        for i, searcher in highlighted:
            for at in phase_changes(results.runs(searcher.label)):
                ax.axvline(at, color=_hue(results, i), lw=0.8, ls=":", alpha=0.8)
        optimum = best_possible(results, dataset)
        if optimum is not None:
            ax.axhline(optimum, color=INK, lw=0.8, ls=(0, (6, 2)))
        accuracy_scale(ax, "y", min(drawn, default=0.0), max(drawn, default=optimum or 0.0), optimum)
        ax.set_xlim(0, 1)
    fig.supylabel(f"test accuracy of the current answer, %{scale_note(fig, 'y')}", fontsize=9)
    _xlabel(panels, "fraction of the search (one-shot: epochs; multi-trial: queries; training-free: cells)")
    more = [Line2D([], [], color=INK, lw=0.8, ls=(0, (6, 2)), label=f"optimum of {space_held(results.campaign)}")]
    if any(r.phases for r in results.records):
        more.append(Line2D([], [], color=GREY, lw=0.8, ls=":", label="change of phase"))
    _legend(fig, results, shown, more)
    return fig


def regret(results: Results) -> Figure | None:
    """Regret of the current answer over seconds, both axes logarithmic; a panel per data set and clock, or of the
    primary endpoint one per searcher.

    Measured and simulated seconds are different clocks and never share an axis. A line is the median over seeds of what
    had been found by then, from where every seed has an answer; its band as in `convergence`. None without runs of
    more than one step or without a table.
    """
    clocks = {"one-shot": "search_seconds", "multi-trial": "simulated_seconds", "training-free": "search_seconds"}
    names = {
        "one-shot": "measured search seconds",
        "multi-trial": "simulated seconds",
        "training-free": "measured search seconds, no training",
    }
    kinds = [k for k in clocks if any(r.kind == k and len(r.trajectory) > 1 for r in results.finished)]
    datasets = [d for d in results.datasets if best_possible(results, d) is not None]
    if crowded(results) or results.endpoint == MEAN:
        datasets = [results.endpoint] if datasets else []
    if not kinds or not datasets:
        return None

    @cache
    def curve(label: str, dataset: str) -> Curve | None:
        runs = results.runs(label)
        return _regret_curve(results, runs, clocks[runs[0].kind], dataset) if runs else None

    shown = [entry for kind in kinds for entry in in_order(results, [kind])]
    if crowded(results):
        fig, panels = _panels(results, shown, datasets)
        of_kind = [[entry] for entry in shown]
    else:
        fig = figure(max(4.0 * len(datasets) + 0.4, 6.0), 2.9 * len(kinds) + 0.3)
        axes = iter(make_panels(fig, len(datasets), len(kinds)))
        of_kind = [in_order(results, [kind]) for kind in kinds for _ in datasets]
        panels = [(next(axes), d, own) for own, d in zip(of_kind, datasets * len(kinds), strict=True)]
    for (ax, dataset, highlighted), own in zip(panels, of_kind, strict=True):
        kind = own[0][1].kind
        rivals = in_order(results, [kind])
        _draw(ax, results, rivals, highlighted, lambda s, d=dataset: curve(s.label, d))  # type: ignore[misc]
        for axis, scale in ((ax.xaxis, ax.set_xscale), (ax.yaxis, ax.set_yscale)):
            scale("log")
            axis.set_major_locator(LogLocator(subs=(1,), numticks=6) if crowded(results) else
                                   LogLocator(subs=(1, 2, 5), numticks=8))  # fmt: skip
            axis.set_minor_locator(NullLocator())
            axis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:,g}"))
        if ax.xaxis.get_tick_params()["labelbottom"]:
            ax.set_xlabel(names[kind], fontsize=8)
    low, high = (pick(ax.get_ylim()[k] for ax, *_ in panels) for k, pick in enumerate((min, max)))
    for ax, *_ in panels:
        ax.set_ylim(low, high)
    against = f"\nagainst the best of {space_held(results.campaign)}" if is_partial(results.campaign) else ""
    fig.supylabel(f"regret, points{against}", fontsize=9)
    _legend(fig, results, shown, [])
    return fig


def _regret_curve(results: Results, runs: Sequence[Record], clock: str, dataset: str) -> Curve | None:
    runs, optimum = [r for r in runs if r.trajectory], best_possible(results, dataset) or 0.0
    scores = [s for run in runs if (s := outcomes(results, run, dataset)) is not None]
    if not runs or len(scores) < len(runs):
        return None
    at = [np.maximum(times(run, clock), 1e-3) for run in runs]
    start = max(t[0] for t in at)
    end = max(max(getattr(run, clock) or 0.0, t[-1]) for run, t in zip(runs, at, strict=True))
    grid = np.geomspace(start, max(end, start * 1.01), 200)
    held = [s[np.searchsorted(t, grid * (1 + 1e-12), side="right") - 1] for t, s in zip(at, scores, strict=True)]
    return grid, band(np.maximum(optimum - np.array(held), 1e-2))  # the optimum itself has a place on the axis


def profiles(results: Results) -> Figure | None:
    """Performance profiles: the share of runs whose answer has at least an accuracy, at the primary endpoint.

    The band is Wilson's 95 % interval at each accuracy. None where no searcher has two runs.
    """
    finals = {
        s.label: np.round(list(results.outcomes(s.label, results.endpoint).values()), 6) for s in results.searchers
    }
    values = np.concatenate([*finals.values(), []])
    if not len(values) or max(map(len, finals.values())) < 2:
        return None
    grid = np.unique(values)
    if len(grid) > 400:
        grid = np.quantile(values, np.linspace(0, 1, 400))

    @cache
    def curve(label: str) -> Curve | None:
        own = finals[label]
        if not len(own):
            return None
        # Steps hold from a grid's value on, and a run counts up to and with its own.
        shares = np.array([1.0, *((own > g).mean() for g in grid)])
        ends = np.array([wilson(float(share), len(own)) for share in shares]).T
        return np.array([grid[0] - 1e-3, *grid]), np.array([ends[0], shares, ends[1]])

    shown = in_order(results)
    fig, panels = _panels(results, shown, [results.endpoint])
    for ax, dataset, highlighted in panels:
        _draw(ax, results, shown, highlighted, lambda s: curve(s.label))
        accuracy_scale(ax, "x", float(values.min()), float(values.max()), best_possible(results, dataset))
        ax.set_ylim(-0.02, 1.02)
    fig.supylabel("share of the runs that end there or higher", fontsize=9)
    _xlabel(panels, f"test accuracy, %{scale_note(fig, 'x')}")
    _legend(fig, results, shown, [])
    return fig


def band(values: Floats) -> Floats:
    """Foot, median and top over runs, (runs, k) -> (3, k): range below QUARTILES_FROM runs, else quartiles."""
    ends = [25, 75] if len(values) >= QUARTILES_FROM else [0, 100]
    return np.asarray(np.percentile(values, [ends[0], 50, ends[1]], axis=0))


def _panels(results: Results, shown: list[tuple[int, Entrant]], datasets: list[str]) -> tuple[Figure, Panels]:
    """A figure and its panels."""
    if not crowded(results):
        fig = figure(max(4.0 * len(datasets) + 0.4, 6.0), 3.6)
        axes = make_panels(fig, len(datasets))
        for ax, dataset in zip(axes, datasets, strict=True):
            ax.set_title(dataset, fontsize=10)
        return fig, [(ax, dataset, shown) for ax, dataset in zip(axes, datasets, strict=True)]
    across = 5
    down = -(-len(shown) // across)
    fig = figure(2.1 * across, 1.75 * down + 0.5)
    axes = make_panels(fig, across, down)
    for ax in axes[len(shown) :]:
        ax.set_axis_off()
    for ax, (i, searcher) in zip(axes, shown, strict=False):
        ax.set_title(name_and_n(results, searcher), fontsize=8, fontweight="bold" if i == 0 else "normal")
        ax.tick_params(labelsize=7)
    for k, ax in enumerate(axes):  # panels share their scales
        ax.tick_params(labelleft=k % across == 0, labelbottom=k >= len(shown) - across)
    return fig, [(ax, datasets[0], [entry]) for ax, entry in zip(axes, shown, strict=False)]


def _hue(results: Results, i: int) -> str:
    return COLOURS[0] if crowded(results) else colour(i)


def _draw(
    ax: Axes,
    results: Results,
    shown: list[tuple[int, Entrant]],
    highlighted: list[tuple[int, Entrant]],
    curve: Callable[[Entrant], Curve | None],
) -> list[float]:
    """Medians and bands of the highlighted searchers, the others' medians in grey; the lowest and highest value of
    all, as panels share a scale."""
    drawn: list[float] = []
    for i, searcher in shown:
        found = curve(searcher)
        if found is None:
            continue
        x, edges = found
        at = changes(edges)
        drawn += [float(edges.min()), float(edges.max())]
        if (i, searcher) not in highlighted:
            middle = changes(edges[1:2])
            ax.step(x[middle], edges[1][middle], where="post", color=PALE, lw=0.8, zorder=1, rasterized=True)
            continue
        hue = _hue(results, i)
        alpha = 0.2 if len(highlighted) <= 4 else 0.09
        ax.fill_between(x[at], edges[0][at], edges[2][at], step="post", color=hue, alpha=alpha, lw=0)
        ax.step(x[at], edges[1][at], where="post", color=hue, ls=style(i) if len(highlighted) > 1 else "-", lw=1.6)
    return drawn


def _mark_ends(
    ax: Axes, results: Results, highlighted: list[tuple[int, Entrant]], ends: Sequence[Curve | None]
) -> None:
    """A dot at the last answer's median: all there is of a one-step search."""
    for (i, _), found in zip(highlighted, ends, strict=True):
        if found is not None:
            ax.plot(found[0][-1:], found[1][1][-1:], "o", ms=3.5, color=_hue(results, i), clip_on=False)


def _xlabel(panels: Panels, text: str) -> None:
    """One label for all panels, below the middle one of the last row."""
    row = [ax for ax, *_ in panels if ax.get_subplotspec().rowspan == panels[-1][0].get_subplotspec().rowspan]  # type: ignore[union-attr]
    row[len(row) // 2].set_xlabel(text, fontsize=9)


def _legend(fig: Figure, results: Results, shown: list[tuple[int, Entrant]], more: list[Line2D]) -> None:
    if not crowded(results):
        legend(fig, [*(handle(i, name_and_n(results, s)) for i, s in shown), *more])
        return
    own = Line2D([], [], color=COLOURS[0], lw=1.6, label="the searcher named")
    legend(fig, [own, Line2D([], [], color=PALE, lw=0.8, label="medians of the others"), *more])
