"""What was found, and what the searches did: cells, operations, ranks, what the supernet knew."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from benchmarks.base import Cell, Edge, SearchSpace
from harness.cells import named
from harness.report.frames import rank_tests
from harness.report.inference import ALPHA, Ranks
from harness.report.numbers import number, p_text
from harness.report.plot_style import (
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
    marker,
    name_and_n,
    short_name,
    style,
)
from harness.report.plots_scores import GRID, held_entries, phase_changes
from harness.results import SPLITS, Results, space_held
from harness.schema import Record

NONE_COLOUR = "#D9D9D9"
COLOURS = ("#E69F00", "#56B4E9", "#0072B2", "#009E73", "#CC79A7", "#D55E00", "#F0E442", "#000000")


def operation_colours(space: SearchSpace) -> dict[str, str]:
    """A colour for each operation of a space, grey for none."""
    others = [name for k, name in enumerate(space.operations) if k != space.none]
    colours = {space.operations[space.none]: NONE_COLOUR} | dict(zip(others, itertools.cycle(COLOURS), strict=False))
    return {name: colours[name] for name in space.operations}


def by_type(space: SearchSpace) -> Iterator[tuple[slice, tuple[Edge, ...]]]:
    """For each cell type of a space the slice of its operations in a cell, and its edges."""
    start = 0
    for _, edges in itertools.groupby(space.edges, key=lambda edge: edge.cell_type):
        group = tuple(edges)
        yield slice(start, start + len(group)), group
        start += len(group)


def bend(source: int, target: int) -> float:
    """The bend of an edge, so that edges do not cover each other; a negative one goes below the line of the nodes."""
    length = target - source
    if length == 1:
        return 0.0
    return (-1 if (source + length) % 2 == 0 else 1) * (0.25 + 0.1 * length)


def operations(results: Results) -> Figure:
    """Mean number of edges with each operation in the current answer; a panel per searcher."""
    space = results.space
    colours = operation_colours(space)
    searchers = results.searchers
    across = min(4, max(len(searchers), 2))
    down = -(-len(searchers) // across)
    fig = figure(2.6 * across, 2.1 * down + 0.3)
    panels = make_panels(fig, across, down)
    for ax, searcher in zip(panels, searchers, strict=False):
        runs = results.runs(searcher.label)
        moved = [r for r in runs if r.trajectory]
        if moved:
            counts = np.mean(
                [_operation_counts(run, space) for run in moved], axis=0
            )  # nan until every run has an answer
            counts, fractions = counts[~np.isnan(counts[:, 0])], GRID[~np.isnan(counts[:, 0])]
            counts, fractions = counts[changes(counts.T)], fractions[changes(counts.T)]
            # steps, as the answer changes from one epoch to the next
            x, y = np.repeat(fractions, 2)[1:], np.repeat(counts, 2, axis=0)[:-1]
            ax.stackplot(x, y.T, colors=list(colours.values()), lw=0)
            for at in phase_changes(moved):
                ax.axvline(at, color=INK, lw=0.8, ls=":")
        ax.set_xlim(0, 1)
        ax.set_ylim(0, len(space.edges))
        ax.set_title(name_and_n(results, searcher), fontsize=8)
    for ax in panels[len(searchers) :]:
        ax.set_axis_off()
    panels[min((down - 1) * across + across // 2, len(searchers) - 1)].set_xlabel("fraction of the search", fontsize=9)
    panels[(down - 1) // 2 * across].set_ylabel("edges of the answer", fontsize=9)
    handles = [Line2D([], [], color=c, lw=6, label=name) for name, c in colours.items()]
    if any(r.phases for r in results.records):
        handles.append(Line2D([], [], color=INK, lw=0.8, ls=":", label="change of phase"))
    legend(fig, handles)
    return fig


def diversity(results: Results) -> Figure | None:
    """How far apart a swarm's particles are after each generation: median over seeds, over the epochs.

    None where no searcher has a swarm.
    """
    drawn = []
    fig = figure(6.0, 2.8)
    (ax,) = make_panels(fig, 1)
    for i, searcher in enumerate(results.searchers):
        runs = [r for r in results.runs(searcher.label) if r.swarm_diversity]
        at: dict[float, list[float]] = {}
        for steps, spread in (pair for run in runs for pair in run.swarm_diversity):
            at.setdefault(steps, []).append(spread)
        if at:
            x = sorted(at)
            ax.plot(x, [float(np.median(at[steps])) for steps in x], color=colour(i), ls=style(i), lw=1.4)
            drawn.append(handle(i, name_and_n(results, searcher)))
    if not drawn:
        return None
    ax.set_ylim(bottom=0)
    ax.set_xlabel("epochs of the search", fontsize=9)
    ax.set_ylabel("swarm diversity", fontsize=9)
    legend(fig, drawn)
    return fig


def _operation_counts(run: Record, space: SearchSpace) -> Floats:
    """(len(GRID), operations) edges of the answer held at each fraction; nan before the first."""
    unknown = [np.nan] * len(space.operations)
    answers = [named(space, point.cell, point.index) for point in run.trajectory]
    counts = np.array([unknown if cell is None else space.operation_counts(cell) for cell in answers], dtype=np.float64)
    held = held_entries(run)
    return np.where((held >= 0)[:, None], counts[held], np.nan)


def space(results: Results) -> Figure | None:
    """Validation against test accuracy of the table's cells (grey) and of the answers; a panel per data set."""
    cloud = results.campaign.cloud
    if not cloud or not cloud.bins or not results.finished:
        return None
    fig = figure(3.6 * len(cloud.bins) + 0.4, 3.6)
    searchers = results.searchers
    for ax, (dataset, bins) in zip(make_panels(fig, len(cloud.bins)), cloud.bins.items(), strict=True):
        places = np.array(bins, dtype=np.float64)
        at = (places[:, :2] + 0.5) * cloud.width
        shade = 0.15 + 0.6 * np.log1p(places[:, 2]) / np.log1p(places[:, 2].max())
        ax.scatter(at[:, 0], at[:, 1], s=5, color=GREY, alpha=shade, lw=0, rasterized=True)
        for i, searcher in enumerate(searchers):
            values = [[r.final(dataset, split) for split in SPLITS] for r in results.runs(searcher.label)]
            points = np.array([v for v in values if None not in v], dtype=np.float64).reshape(-1, 2)
            size, raster = (22 if len(points) <= 30 else 8), len(points) > RASTER_FROM
            x, y = points.T
            ax.scatter(x, y, s=size, rasterized=raster, color=colour(i), marker=marker(i), alpha=0.7, lw=0, zorder=3)
        ax.set_title(dataset, fontsize=10)
        ax.set_xlabel("validation accuracy, %", fontsize=9)
    fig.axes[0].set_ylabel("test accuracy, %", fontsize=9)
    handles = [
        Line2D([], [], color=colour(i), marker=marker(i), ls="", ms=5, label=short_name(results, s))
        for i, s in enumerate(searchers)
    ]
    legend(fig, [*handles, Line2D([], [], color=GREY, marker="o", ls="", ms=3, label=space_held(results.campaign))])
    return fig


def cells(results: Results) -> Figure | None:
    """The commonest answer of each searcher, drawn: its nodes, an arrow an edge, `none` left out."""
    space = results.space
    shown = []
    for searcher in results.searchers:
        answers = Counter(named(space, r.cell, r.index) for r in results.runs(searcher.label))
        if answers:
            shown.append((searcher, *answers.most_common(1)[0], sum(answers.values())))
    if not shown:
        return None
    across = min(4, max(len(shown), 2))
    types = len(list(by_type(space)))
    fig = figure(3.0 * across, (0.6 + 1.25 * types) * -(-len(shown) // across))
    panels = make_panels(fig, across, -(-len(shown) // across))
    for ax, (searcher, cell, times, of) in zip(panels, shown, strict=False):
        if cell is not None:
            draw_cell(ax, space, cell)
        number = None if cell is None else space.index(cell)
        name = "" if number is None else f"cell {number}, "
        ax.set_title(f"{short_name(results, searcher)}\n{name}{times} of {of}", fontsize=8)
    for ax in panels:
        ax.set_axis_off()
    colours = operation_colours(space)
    names = [(name, colour) for name, colour in colours.items() if name != space.operations[space.none]]
    legend(fig, [Line2D([], [], color=c, lw=2, label=name) for name, c in names])
    return fig


def draw_cell(ax: Axes, space: SearchSpace, cell: Cell) -> None:
    """Draw a cell, a row per cell type: edges between neighbours are straight, longer ones bend above or below."""
    colours, last, y = operation_colours(space), 1, 0.0
    for rows, edges in by_type(space):
        for op, (_, i, j) in zip(cell[rows], edges, strict=True):
            if op != space.none:
                ax.annotate("", (j, y), (i, y), arrowprops={
                    "arrowstyle": "-|>", "lw": 1.8, "color": colours[space.operations[op]], "shrinkA": 7, "shrinkB": 7,
                    "connectionstyle": f"arc3,rad={bend(i, j)}"})  # fmt: skip
        nodes = sorted({node for _, *ends in edges for node in ends})
        for node in nodes:
            ax.plot(node, y, "o", ms=13, color="white", mec=INK, mew=1)
            ax.annotate(str(node), (node, y), ha="center", va="center", fontsize=7)
        last, y = max(last, nodes[-1]), y - 2.2
    ax.set_xlim(-0.3, last + 0.3)
    ax.set_ylim(y + 1.1, 1.0)


def ranks(results: Results) -> Figure | None:
    """Critical-difference diagram: mean ranks over seeds, bars over what Nemenyi's test cannot tell apart.

    None where no data set has a Friedman test.
    """
    searchers, by_dataset = rank_tests(results)
    tests = {d: r for d, r in by_dataset.items() if r.critical_difference is not None}
    if not tests:
        return None
    place_of = {s.label: i for i, s in enumerate(results.searchers)}
    colours = [colour(place_of[s.label]) for s in searchers]
    fig = figure(max(3.6 * len(tests) + 0.4, 6.0), 1.3 + 0.24 * len(searchers))
    for ax, (dataset, test) in zip(make_panels(fig, len(tests)), tests.items(), strict=True):
        order = np.argsort(test.mean, kind="stable")
        for place, i in enumerate(order):
            ax.plot([test.mean[i]] * 2, [0, place + 1], color=colours[i], lw=0.8)
            ax.plot(test.mean[i], 0, "o", color=colours[i], ms=5, clip_on=False, zorder=4)
            # on the left, where the lines of those above have ended
            name, at = short_name(results, searchers[i]), (test.mean[i], place + 1)
            ax.annotate(name, at, (-3, -2), textcoords="offset points", fontsize=7, ha="right")
        for height, (first, last) in enumerate(_cliques(test, order)):
            y = -0.35 - 0.3 * height
            ax.plot([test.mean[order[first]], test.mean[order[last]]], [y, y], color=INK, lw=2.5)
        critical = test.critical_difference or 0.0
        ax.plot([1, 1 + critical], [-1.6 - 0.2 * len(searchers) / 5] * 2, color=GREY, lw=1.5)
        ax.annotate(f"CD {critical:.2f}", (1, -1.6 - 0.2 * len(searchers) / 5), (0, -9), textcoords="offset points",
                    fontsize=7, color=GREY)  # fmt: skip
        ax.set_xlim(0.8, len(searchers) + 0.9)
        ax.set_ylim(len(searchers) + 0.8, -2.6 - 0.2 * len(searchers) / 5)
        ax.set_yticks([])
        ax.spines["left"].set_visible(False)
        ax.set_title(f"{dataset}: {test.blocks} seeds, Friedman {p_text(test.friedman_p or 0)}", fontsize=9)
        ax.set_xlabel("mean rank (1 is best)", fontsize=9)
    return fig


def _cliques(test: Ranks, order: NDArray[np.int64]) -> list[tuple[int, int]]:
    """Longest stretches (first, last) of the rank order in which no two differ by Nemenyi's test."""
    assert test.nemenyi_p is not None
    stretches: list[tuple[int, int]] = []
    for first in range(len(order)):
        last = first
        while last + 1 < len(order) and test.nemenyi_p[order[first], order[last + 1]] > ALPHA:
            last += 1
        if last > first and not any(last <= end for _, end in stretches):
            stretches.append((first, last))
    return stretches


def one_shot(results: Results) -> Figure | None:
    """One-shot loss against table accuracy of the sampled cells, first finished run of each supernet searcher."""
    shown = [
        (i, s, run.seed, run.one_shot)
        for i, s in enumerate(results.searchers)
        if (run := next((r for r in results.runs(s.label) if r.one_shot), None))
        and run.one_shot
        and run.one_shot.losses
        and run.one_shot.accuracies
    ]
    if not shown:
        return None
    across = min(4, max(len(shown), 2))
    down = -(-len(shown) // across)
    fig = figure(2.6 * across, 2.5 * down)
    panels = make_panels(fig, across, down)
    for ax, (i, searcher, seed, sample) in zip(panels, shown, strict=False):
        ax.scatter(sample.losses, sample.accuracies, s=8, color=colour(i), alpha=0.6, lw=0)
        rho = "–" if sample.spearman is None else number(sample.spearman)
        ax.set_title(f"{short_name(results, searcher)}\nseed {seed}: ρ = {rho}", fontsize=8)
        ax.set_xlabel("one-shot validation loss", fontsize=8)
    for ax in panels[len(shown) :]:
        ax.set_axis_off()
    panels[0].set_ylabel("table validation accuracy, %", fontsize=8)
    return fig
