"""What was found, and what the searches did: cells, operations, ranks, what the supernet knew."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from benchmarks.base import Cell, Edge, SearchSpace
from harness.cells import named
from harness.report.anytime import GRID, held_entries, phase_changes
from harness.report.contrasts import rank_tests
from harness.report.inference import ALPHA
from harness.report.numbers import number, p_text
from harness.report.omnibus import FRIEDMAN, Ranks
from harness.report.plot_style import (
    GREY,
    INK,
    RASTER_FROM,
    Floats,
    changes,
    colour,
    crowded,
    figure,
    handle,
    in_order,
    legend,
    make_panels,
    marker,
    name_and_n,
    shade,
    short_name,
    style,
)
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


def operations(results: Results) -> Figure | None:
    """Mean number of edges with each operation in the current answer; a panel per searcher.

    Behind the end, set apart, the final answers: all that there is to see of a search that answers in its last step.
    None where no run has a trajectory.
    """
    if not any(r.trajectory for r in results.finished):
        return None
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
            ends = np.mean([_operation_counts(run, space)[-1] for run in moved], axis=0)
            ax.bar(1.09, ends, 0.1, np.cumsum(ends) - ends, color=list(colours.values()), lw=0)
        ax.set_xlim(0, 1.15)
        ax.set_xticks([0, 0.5, 1, 1.09], ["0", "½", "", "end"])
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
    """Validation against test accuracy of the table's cells (grey) and of the answers; a panel per data set.

    With more searchers than colours the first one and the best of each kind are drawn.
    """
    cloud = results.campaign.cloud
    if not cloud or not cloud.bins or not results.finished:
        return None
    fig = figure(3.6 * len(cloud.bins) + 0.4, 3.6)
    searchers = list(enumerate(results.searchers))
    if crowded(results):
        best = {in_order(results, [s.kind])[0][0] for s in results.searchers}
        searchers = [(i, s) for i, s in searchers if i == 0 or i in best]
    for ax, (dataset, bins) in zip(make_panels(fig, len(cloud.bins)), cloud.bins.items(), strict=True):
        places = np.array(bins, dtype=np.float64)
        at = (places[:, :2] + 0.5) * cloud.width
        density = 0.15 + 0.6 * np.log1p(places[:, 2]) / np.log1p(places[:, 2].max())
        ax.scatter(at[:, 0], at[:, 1], s=5, color=GREY, alpha=density, lw=0, rasterized=True)
        for k, (_, searcher) in enumerate(searchers):
            values = [[r.final(dataset, split) for split in SPLITS] for r in results.runs(searcher.label)]
            points = np.array([v for v in values if None not in v], dtype=np.float64).reshape(-1, 2)
            size, raster = (22 if len(points) <= 30 else 8), len(points) > RASTER_FROM
            x, y = points.T
            ax.scatter(x, y, s=size, rasterized=raster, color=colour(k), marker=marker(k), alpha=0.7, lw=0, zorder=3)
        ax.set_title(dataset, fontsize=10)
        ax.set_xlabel("validation accuracy, %", fontsize=9)
    fig.axes[0].set_ylabel("test accuracy, %", fontsize=9)
    handles = [
        Line2D([], [], color=colour(k), marker=marker(k), ls="", ms=5, label=short_name(results, s))
        for k, (_, s) in enumerate(searchers)
    ]
    legend(fig, [*handles, Line2D([], [], color=GREY, marker="o", ls="", ms=3, label=space_held(results.campaign))])
    return fig


def median_run(results: Results, runs: Sequence[Record]) -> Record | None:
    """The run whose primary outcome is the median (of an even number the lower one, of equals the first seed's)."""
    known = [(v, r.seed, r) for r in runs if (v := results.outcome(r, results.endpoint)) is not None]
    return sorted(known, key=lambda entry: entry[:2])[(len(known) - 1) // 2][2] if known else None


def cells(results: Results) -> Figure | None:
    """The answer of each searcher's median run, drawn: its nodes, an arrow an edge, `none` left out."""
    space = results.space
    shown = []
    for searcher in results.searchers:
        runs = results.runs(searcher.label)
        run = median_run(results, runs) or next(iter(runs), None)
        if run is not None:
            share = f"{sum(r.cell == run.cell for r in runs)} of {len(runs)}"
            shown.append((searcher, run, named(space, run.cell, run.index), share))
    if not shown:
        return None
    across = min(4, max(len(shown), 2))
    types = len(list(by_type(space)))
    fig = figure(3.0 * across, (0.6 + (1.25 if types == 1 else 1.7) * types) * -(-len(shown) // across))
    panels = make_panels(fig, across, -(-len(shown) // across))
    for ax, (searcher, run, cell, share) in zip(panels, shown, strict=False):
        if cell is not None:
            draw_cell(ax, space, cell)
        number = None if cell is None else space.index(cell)
        name = "" if number is None else f", cell {number}"
        ax.set_title(f"{short_name(results, searcher)}\nmedian: seed {run.seed}{name}, {share}", fontsize=8)
    for ax in panels:
        ax.set_axis_off()
    colours = operation_colours(space)
    names = [(name, colour) for name, colour in colours.items() if name != space.operations[space.none]]
    legend(fig, [Line2D([], [], color=c, lw=2, label=name) for name, c in names])
    return fig


def draw_cell(ax: Axes, space: SearchSpace, cell: Cell) -> None:
    """Draw a cell, a row per cell type: edges between neighbours are straight, longer ones bend above or below."""
    colours, last, y = operation_colours(space), 1, 0.0
    types = list(by_type(space))
    for rows, edges in types:
        if len(types) > 1:
            ax.text(-0.3, y + 0.85, f"{edges[0].cell_type} cell", fontsize=7, color=GREY)
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
    """Mean ranks at the primary endpoint, bars over what the test of pairs cannot tell apart; the title names the test.

    None where there is no test of all searchers.
    """
    searchers, test = rank_tests(results)
    if test.pairs is None or test.p is None:
        return None
    place_of = {s.label: i for i, s in enumerate(results.searchers)}
    fig = figure(7.0, 1.3 + 0.24 * len(searchers))
    (ax,) = make_panels(fig, 1)
    order = np.argsort(test.mean, kind="stable")
    first, last = float(test.mean.min()), float(test.mean.max())
    width = max(last - first, 1e-9)
    for place, i in enumerate(order):
        own = place_of[searchers[i].label]
        hue = shade(results, own)
        ax.plot([test.mean[i]] * 2, [0, place + 1], color=hue, lw=0.8)
        ax.plot(test.mean[i], 0, "o", color=hue, ms=5, clip_on=False, zorder=4)
        # on the left, where the lines of those above have ended
        name, at = short_name(results, searchers[i]), (test.mean[i], place + 1)
        ax.annotate(name, at, (-3, -2), textcoords="offset points", fontsize=7, ha="right",
                    fontweight="bold" if own == 0 else "normal")  # fmt: skip
    cliques = list(_cliques(test, order))
    for height, (low, high) in enumerate(cliques):
        y = -0.35 - 0.3 * height
        ax.plot([test.mean[order[low]], test.mean[order[high]]], [y, y], color=INK, lw=2.5)
    bottom = -1.0 - 0.3 * len(cliques)
    if test.critical is not None:
        ax.plot([first, first + test.critical], [bottom] * 2, color=GREY, lw=1.5)
        ax.annotate(f"critical difference {test.critical:.2f}", (first, bottom), (0, -9), textcoords="offset points",
                    fontsize=7, color=GREY)  # fmt: skip
    ax.set_xlim(first - 0.22 * width, max(last, first + (test.critical or 0)) + 0.05 * width)
    ax.set_ylim(len(searchers) + 0.8, bottom - 1.0)
    ax.set_yticks([])
    ax.spines["left"].set_visible(False)
    sizes = sorted(set(test.sizes))
    n = f"n = {sizes[0]}" if len(sizes) == 1 else f"n = {sizes[0]} to {sizes[-1]}"
    ax.set_title(
        f"{results.endpoint}: {test.test}, {n}, {p_text(test.p)}; bars: not apart by {test.posthoc}", fontsize=9
    )
    where = "within a seed" if test.test == FRIEDMAN else "among all runs"
    ax.set_xlabel(f"mean rank {where} (1 is best)", fontsize=9)
    return fig


def _cliques(test: Ranks, order: NDArray[np.int64]) -> list[tuple[int, int]]:
    """Longest stretches (first, last) of the rank order in which no two differ by the test of pairs."""
    assert test.pairs is not None
    stretches: list[tuple[int, int]] = []
    for first in range(len(order)):
        last = first
        while last + 1 < len(order) and (test.pairs[order[first : last + 1], order[last + 1]] > ALPHA).all():
            last += 1
        if last > first and not any(last <= end for _, end in stretches):
            stretches.append((first, last))
    return stretches


def one_shot(results: Results) -> Figure | None:
    """One-shot loss against table accuracy of the sampled cells, in each searcher's run of the median correlation."""
    shown = []
    for i, searcher in enumerate(results.searchers):
        known = [(r.one_shot.spearman or 0.0, r.seed, r.one_shot) for r in results.runs(searcher.label)
                 if r.one_shot and r.one_shot.losses and r.one_shot.accuracies]  # fmt: skip
        if known:
            _, seed, sample = sorted(known, key=lambda entry: entry[:2])[(len(known) - 1) // 2]
            shown.append((i, searcher, seed, sample))
    if not shown:
        return None
    across = min(4, max(len(shown), 2))
    down = -(-len(shown) // across)
    fig = figure(2.6 * across, 2.5 * down)
    panels = make_panels(fig, across, down)
    for ax, (i, searcher, seed, sample) in zip(panels, shown, strict=False):
        ax.scatter(sample.losses, sample.accuracies, s=8, color=shade(results, i), alpha=0.6, lw=0)
        rho = "–" if sample.spearman is None else number(sample.spearman)
        ax.set_title(f"{short_name(results, searcher)}\nmedian: seed {seed}, ρ = {rho}", fontsize=8)
        ax.set_xlabel("one-shot validation loss", fontsize=8)
    for ax in panels[len(shown) :]:
        ax.set_axis_off()
    panels[0].set_ylabel("table validation accuracy, %", fontsize=8)
    return fig
