"""Plots of a campaign: how the answers improve during the search, what they are made of, where each seed ended.

Figures are built without pyplot, so no global state is touched and no display is needed. Colours are Okabe
and Ito's (colour-blind safe), doubled by line styles for print. Accuracies are table scores in percent.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator
from numpy.typing import NDArray

from benchmarks.nb201.cell import EDGES, OPERATIONS, from_index
from harness.remarks import Campaign, Record, done, score_columns, searchers_of

COLOURS = [
    "#0072B2",
    "#D55E00",
    "#009E73",
    "#CC79A7",
    "#E69F00",
    "#56B4E9",
    "#6E6E6E",
]  # Okabe-Ito, no yellow
LINES = ["-", "--", ":"]
OPERATION_COLOURS = dict(zip(OPERATIONS, ("#D9D9D9", "#E69F00", "#56B4E9", "#0072B2", "#009E73"), strict=True))
INK, GREY = "#222222", "#8A8A8A"
GRID = np.linspace(0, 1, 101)  # fractions of the search at which runs are compared
QUARTILES_FROM = 6  # below: the band is the range
RASTER_FROM = 100  # seeds; above, dots are pixels in the svg too, or the file grows to megabytes
STRETCH_FROM = 8.0  # percent points between worst and optimum from which the scale is stretched

Floats = NDArray[np.float64]


def convergence(records: Sequence[Record], campaign: Campaign) -> Figure:
    """Table test score of the answer a search would give if it stopped there; a panel per data set.

    A line is the median over seeds, its band the range (below 6 seeds) or the quartiles; dotted lines in a searcher's
    colour are its changes of phase.
    """
    datasets = _datasets(records, campaign)
    searchers = searchers_of(records, campaign)
    fig = _figure(max(4.0 * len(datasets) + 0.4, 6.0), 3.6)
    curves = {s["label"]: _curves([r for r in done(records) if r["label"] == s["label"]]) for s in searchers}
    for ax, dataset in zip(_panels(fig, len(datasets)), datasets, strict=True):
        lows = []
        for i, searcher in enumerate(searchers):
            values = curves[searcher["label"]].get(dataset)
            if values is not None:
                lows.append(_draw_curve(ax, values, i, len(searchers)))
            for at in _phase_changes([r for r in done(records) if r["label"] == searcher["label"]]):
                ax.axvline(at, color=_colour(i), lw=0.8, ls=":", alpha=0.8)
        optimum = _optimum(campaign, dataset)
        if optimum is not None:
            ax.axhline(optimum, color=INK, lw=0.8, ls=(0, (6, 2)))
        _accuracy_scale(ax, "y", min(lows, default=0.0), max([optimum or 0.0, *_limits(ax)]), optimum)
        ax.set_xlim(0, 1)
        ax.set_title(dataset, fontsize=10)
    fig.axes[0].set_ylabel(f"test accuracy of the current answer, %{_scale_note(fig, 'y')}", fontsize=9)
    middle = fig.axes[len(fig.axes) // 2]
    middle.set_xlabel("fraction of the search (one-shot: epochs; multi-trial: queries)", fontsize=9)
    handles = [_line(i, f"{_name(s)} (n = {_n(records, s)})") for i, s in enumerate(searchers)]
    handles.append(Line2D([], [], color=INK, lw=0.8, ls=(0, (6, 2)), label="optimum of the table"))
    if any(r.get("phases") for r in records):
        handles.append(Line2D([], [], color=GREY, lw=0.8, ls=":", label="change of phase"))
    _legend(fig, handles)
    return fig


def _curves(runs: Sequence[Record]) -> dict[str, Floats]:
    """Data set -> (runs, len(GRID)) scores of the answer held at each fraction; nan before the first."""
    curves: dict[str, list[Floats]] = {}
    for run in runs:
        entries = run["trajectory"]
        if not entries:
            continue
        held = _held(run)
        for dataset, values in _trajectory_scores(entries).items():
            curves.setdefault(dataset, []).append(np.where(held >= 0, values[held], np.nan))
    return {dataset: np.stack(rows) for dataset, rows in curves.items()}


def _trajectory_scores(entries: list[dict[str, Any]]) -> dict[str, Floats]:
    """Data set -> test scores along a trajectory, those without `none` left out."""
    scores: dict[str, list[float]] = {}
    for entry in entries:
        for s in entry["scores"]:
            if s["split"] == "test" and not s["without_none"]:
                scores.setdefault(s["dataset"], []).append(s["value"])
    return {d: np.array(v) for d, v in scores.items() if len(v) == len(entries)}


def _draw_curve(ax: Axes, values: Floats, i: int, of: int) -> float:
    """Median and band of (runs, len(GRID)), from where every run has an answer; returns the lowest value."""
    start = int(np.argmax(~np.isnan(values).any(axis=0)))
    x, values = GRID[start:], values[:, start:]
    band = [25, 75] if len(values) >= QUARTILES_FROM else [0, 100]
    low, middle, high = np.percentile(values, [band[0], 50, band[1]], axis=0)
    ax.fill_between(x, low, high, step="post", color=_colour(i), alpha=0.2 if of <= 4 else 0.09, lw=0)
    ax.step(x, middle, where="post", color=_colour(i), ls=_style(i), lw=1.6)
    ax.plot(x[-1:], middle[-1:], "o", ms=3.5, color=_colour(i), clip_on=False)  # all there is of a one-step search
    return float(low.min())


def operations(records: Sequence[Record], campaign: Campaign) -> Figure:
    """Mean number of edges with each operation in the current answer, out of six; a panel per searcher."""
    searchers = searchers_of(records, campaign)
    across = min(4, max(len(searchers), 2))
    down = -(-len(searchers) // across)
    fig = _figure(2.6 * across, 2.1 * down + 0.3)
    panels = _panels(fig, across, down)
    for ax, searcher in zip(panels, searchers, strict=False):
        runs = [r for r in done(records) if r["label"] == searcher["label"] and r["trajectory"]]
        if runs:
            counts = np.mean([_operation_counts(run) for run in runs], axis=0)  # nan until every run has an answer
            counts, fractions = counts[~np.isnan(counts[:, 0])], GRID[~np.isnan(counts[:, 0])]
            # steps, as the answer changes from one epoch to the next
            x, y = np.repeat(fractions, 2)[1:], np.repeat(counts, 2, axis=0)[:-1]
            ax.stackplot(x, y.T, colors=list(OPERATION_COLOURS.values()), lw=0)
            for at in _phase_changes(runs):
                ax.axvline(at, color=INK, lw=0.8, ls=":")
        ax.set_xlim(0, 1)
        ax.set_ylim(0, len(EDGES))
        ax.set_title(f"{_name(searcher)} (n = {_n(records, searcher)})", fontsize=8)
    for ax in panels[len(searchers) :]:
        ax.set_axis_off()
    panels[min((down - 1) * across + across // 2, len(searchers) - 1)].set_xlabel("fraction of the search", fontsize=9)
    panels[(down - 1) // 2 * across].set_ylabel("edges of the answer", fontsize=9)
    handles = [Line2D([], [], color=c, lw=6, label=name) for name, c in OPERATION_COLOURS.items()]
    if any(r.get("phases") for r in records):
        handles.append(Line2D([], [], color=INK, lw=0.8, ls=":", label="change of phase"))
    _legend(fig, handles)
    return fig


def _operation_counts(run: Record) -> Floats:
    """(len(GRID), 5) edges of the answer held at each fraction; nan before the first."""
    entries = run["trajectory"]
    cells = [from_index(e["index"]) for e in entries]
    counts = np.array([[cell.count(op) for op in range(len(OPERATIONS))] for cell in cells], dtype=np.float64)
    held = _held(run)
    return np.where((held >= 0)[:, None], counts[held], np.nan)


def _held(run: Record) -> NDArray[np.int64]:
    """Which entry of a run's trajectory is its answer at each fraction, (len(GRID),); -1 before the first."""
    # steps count from 0, and an answer is there once its step is done
    at = (np.array([e["step"] for e in run["trajectory"]]) + 1) / max(run["steps"], 1)
    return np.searchsorted(np.minimum(at, 1.0), GRID + 1e-12, side="right") - 1


def _phase_changes(runs: Sequence[Record]) -> list[float]:
    """Mean fraction of the search at which each later phase begins, of the runs that reach it."""
    starts: dict[str, list[float]] = {}
    for run in runs:
        for phase in run.get("phases", [])[1:]:
            starts.setdefault(phase["phase"], []).append(phase["step"] / max(run["steps"], 1))
    return [float(np.mean(found)) for found in starts.values()]


def accuracy(records: Sequence[Record], campaign: Campaign) -> Figure:
    """Test score of each seed as a dot, its median as a bar; a panel per data set, a row per searcher."""
    datasets = _datasets(records, campaign)
    searchers = searchers_of(records, campaign)
    fig = _figure(3.1 * len(datasets) + 2.2, 1.4 + 0.38 * len(searchers))
    for ax, dataset in zip(_panels(fig, len(datasets)), datasets, strict=True):
        values: list[float] = []
        for i, searcher in enumerate(searchers):
            runs = [r for r in done(records) if r["label"] == searcher["label"]]
            found = [(v, bool(r["collapsed"])) for r in runs if (v := _final(r, dataset)) is not None]
            _draw_dots(ax, found, i)
            values += [v for v, _ in found]
        _draw_space(ax, campaign, dataset)
        optimum = _optimum(campaign, dataset)
        _accuracy_scale(ax, "x", min(values, default=0.0), max([optimum or 0.0, *values]), optimum)
        ax.set_ylim(len(searchers) - 0.4, -0.6)
        ax.set_title(dataset, fontsize=10)
        ax.set_yticks(range(len(searchers)), labels=[])
    labels = [f"{_name(s)} (n = {_n(records, s)})" for s in searchers]
    fig.axes[0].set_yticks(range(len(searchers)), labels=labels)
    middle = fig.axes[len(fig.axes) // 2]
    middle.set_xlabel(f"test accuracy of the cell found, %{_scale_note(fig, 'x')}", fontsize=9)
    _legend(fig, _accuracy_legend())
    return fig


def _draw_dots(ax: Axes, found: list[tuple[float, bool]], i: int) -> None:
    if not found:
        return
    values = np.array([v for v, _ in found])
    collapsed = np.array([c for _, c in found])
    # seeds spread over the row's height in a fixed order: equal values stay countable, and no random jitter
    height = min(0.26, 0.05 * len(values))
    offsets = np.linspace(-height, height, len(values)) if len(values) > 1 else np.zeros(1)
    size, raster = (26 if len(values) <= 30 else 7), len(values) > RASTER_FROM
    y = i + offsets
    ok = ~collapsed
    ax.scatter(values[ok], y[ok], s=size, color=_colour(i), alpha=0.65, lw=0, rasterized=raster, zorder=3)
    ax.scatter(values[collapsed], y[collapsed], s=size, color=_colour(i), marker="x", lw=1, rasterized=raster,
               zorder=3)  # fmt: skip
    ax.plot([np.median(values)] * 2, [i - 0.36, i + 0.36], color=INK, lw=2, solid_capstyle="butt", zorder=4)


def _draw_space(ax: Axes, campaign: Campaign, dataset: str) -> None:
    """Optimum and quartiles of all cells, as lines behind the dots."""
    about = campaign["space"].get(dataset, {}).get("test")
    if about is None:
        return
    ax.axvline(about["optimum"]["value"], color=INK, lw=0.8, ls=(0, (6, 2)))
    for percent in (25, 50, 75):
        ax.axvline(about["quantiles"][percent], color=GREY, lw=0.8, ls=":")


def _accuracy_legend() -> list[Line2D]:
    def mark(marker: str, label: str, size: float = 5) -> Line2D:
        return Line2D([], [], color=INK, marker=marker, ls="", ms=size, label=label)

    return [
        mark("o", "a seed"),
        mark("x", "a seed, collapsed"),
        mark("|", "median", 10),
        Line2D([], [], color=INK, lw=0.8, ls=(0, (6, 2)), label="optimum"),
        Line2D([], [], color=GREY, lw=0.8, ls=":", label="quartiles of all cells"),
    ]


def _accuracy_scale(ax: Axes, axis: str, low: float, high: float, optimum: float | None) -> None:
    """Linear where all lies close together, else stretched towards the optimum.

    Collapsed runs at 54 % would press the 0.1 points that matter near 94 % into one line. The stretched scale
    is the logarithm of the distance to the optimum (0.2 points added, so the optimum itself has a place); its
    ticks are plain accuracies.
    """
    set_scale = getattr(ax, f"set_{axis}scale")
    set_limits = getattr(ax, f"set_{axis}lim")
    if optimum is None or high - low < STRETCH_FROM:
        margin = max(0.06 * (high - low), 0.05)
        set_limits(low - margin, high + margin)
        return
    forward, inverse = _stretch(optimum)
    set_scale("function", functions=(forward, inverse))
    ends = forward(np.array([low, high]))
    bottom = max(float(inverse(ends[:1] - 0.06 * np.ptp(ends))[0]), 0.0)
    set_limits(bottom, max(high, optimum) + 0.03)
    near = [(0.2, 0.1), (1, 0.5), (3, 1), (10, 5), (30, 10), (60, 10)]  # distance, and what it is rounded to
    ticks = [t for d, unit in near if bottom <= (t := round((optimum - d) / unit) * unit) < optimum]
    which = ax.yaxis if axis == "y" else ax.xaxis
    which.set_major_locator(FixedLocator(ticks))
    which.set_minor_locator(NullLocator())
    which.set_major_formatter(FuncFormatter(lambda v, _: f"{v:g}"))


def _scale_note(fig: Figure, axis: str) -> str:
    stretched = any(getattr(ax, f"get_{axis}scale")() == "function" for ax in fig.axes)
    return "\n(scale stretched towards the optimum)" if stretched else ""


def _stretch(optimum: float) -> tuple[Callable[[Floats], Floats], Callable[[Floats], Floats]]:
    top = optimum + 0.2

    def forward(value: Floats) -> Floats:
        return -np.log10(np.maximum(top - np.asarray(value), 1e-3))

    def inverse(value: Floats) -> Floats:
        return top - 10.0 ** -np.asarray(value)

    return forward, inverse


def save(fig: Figure, stem: Path) -> list[Path]:
    """Writes stem.png and stem.svg; the same figure gives the same bytes."""
    paths = [stem.with_suffix(".png"), stem.with_suffix(".svg")]
    fig.savefig(paths[0], dpi=160)
    with mpl.rc_context({"svg.hashsalt": "harness"}):  # otherwise ids, and so the file, differ in each process
        fig.savefig(paths[1], dpi=160, metadata={"Date": None})
    return paths


def _figure(width: float, height: float) -> Figure:
    fig = Figure(figsize=(width, height), layout="constrained", facecolor="white")
    FigureCanvasAgg(fig)
    return fig


def _legend(fig: Figure, handles: list[Line2D]) -> None:
    """Below the panels, in as many columns as fit; the figure grows by its rows."""
    widths = np.array([0.7 + 0.065 * len(str(h.get_label())) for h in handles])  # inches at 8 points

    def width(columns: int) -> float:  # entries run down the columns, each as wide as its widest
        return sum(float(part.max()) for part in np.array_split(widths, columns))

    columns = next((k for k in range(len(handles), 1, -1) if width(k) <= fig.get_figwidth()), 1)
    fig.set_figheight(fig.get_figheight() + 0.17 * -(-len(handles) // columns))
    fig.legend(handles=handles, loc="outside lower center", ncols=columns, fontsize=8, frameon=False)


def _panels(fig: Figure, across: int, down: int = 1) -> list[Axes]:
    axes = list(fig.subplots(down, max(across, 1), squeeze=False).flat)
    for ax in axes:
        ax.grid(color="#E4E4E4", lw=0.6)
        ax.set_axisbelow(True)
        ax.tick_params(labelsize=8, length=2)
        for side in ("top", "right"):
            ax.spines[side].set_visible(False)
    return axes[: across * down]


def _datasets(records: Sequence[Record], campaign: Campaign) -> list[str]:
    return [d for d, split in score_columns(records, campaign) if split == "test"]


def _final(record: Record, dataset: str) -> float | None:
    for s in record["scores"]:
        if s["dataset"] == dataset and s["split"] == "test" and not s["without_none"]:
            return float(s["value"])
    return None


def _optimum(campaign: Campaign, dataset: str) -> float | None:
    about = campaign["space"].get(dataset, {}).get("test")
    return None if about is None else float(about["optimum"]["value"])


def _limits(ax: Axes) -> list[float]:
    return [float(ax.dataLim.ymax)] if ax.has_data() else []


def _n(records: Sequence[Record], searcher: dict[str, Any]) -> int:
    return sum(r["label"] == searcher["label"] for r in done(records))


def _name(searcher: dict[str, Any]) -> str:
    """The spec, short enough for a legend; a dollar would start matplotlib's mathematics."""
    spec = " ".join(searcher["spec"].split())
    return (spec if len(spec) <= 34 else spec[:33] + "…").replace("$", r"\$")


def _colour(i: int) -> str:
    return COLOURS[i % len(COLOURS)]


def _style(i: int) -> str:
    return LINES[i // len(COLOURS) % len(LINES)]


def _line(i: int, label: str) -> Line2D:
    return Line2D([], [], color=_colour(i), ls=_style(i), lw=1.6, label=label)
