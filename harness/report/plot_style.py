"""What all plots share: colours, marks, frames, legends, files.

Figures are built without pyplot, so no global state is touched and no display is needed. Colours are Okabe
and Ito's (colour-blind safe), doubled by line styles and marks for print.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from harness.results import MEAN, Results
from harness.schema import Entrant

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
MARKERS = ["o", "s", "^", "D", "v", "P", "X", "p"]  # one more than colours: 56 pairs before one comes twice
INK, GREY = "#222222", "#8A8A8A"
RASTER_FROM = 100  # seeds; above, dots are pixels in the svg too, or the file grows to megabytes

Floats = NDArray[np.float64]


def save(fig: Figure, stem: Path) -> list[Path]:
    """Write stem.png and stem.svg; the same figure gives the same bytes."""
    paths = [stem.with_suffix(".png"), stem.with_suffix(".svg")]
    fig.savefig(paths[0], dpi=160)
    fig.set_layout_engine("none")  # laid out once: with many panels that is most of the time
    with mpl.rc_context({"svg.hashsalt": "harness"}):  # otherwise ids, and so the file, differ in each process
        fig.savefig(paths[1], dpi=160, metadata={"Date": None})
    return paths


def changes(rows: Floats) -> NDArray[np.bool_]:
    """Where k step functions change: bool (n,), true at each point with a new value in one of the (k, n) rows.

    The first and last points are always included.
    Steps drawn through these points only look the same, in a fraction of the bytes.
    """
    changed = np.ones(rows.shape[1], dtype=bool)
    changed[1:-1] = (np.diff(rows) != 0).any(axis=0)[:-1]
    return changed


def figure(width: float, height: float) -> Figure:
    fig = Figure(figsize=(width, height), layout="constrained", facecolor="white")
    FigureCanvasAgg(fig)
    return fig


def legend(fig: Figure, handles: list[Line2D]) -> None:
    """A legend below the panels, in as many columns as fit; the figure grows by the legend's height."""
    widths = np.array([0.7 + 0.065 * len(str(h.get_label())) for h in handles])  # inches at 8 points

    def width(columns: int) -> float:  # entries run down the columns, each as wide as its widest
        return sum(float(part.max()) for part in np.array_split(widths, columns))

    columns = next((k for k in range(len(handles), 1, -1) if width(k) <= fig.get_figwidth()), 1)
    fig.set_figheight(fig.get_figheight() + 0.17 * -(-len(handles) // columns))
    fig.legend(handles=handles, loc="outside lower center", ncols=columns, fontsize=8, frameon=False)


def make_panels(fig: Figure, across: int, down: int = 1) -> list[Axes]:
    axes = list(fig.subplots(down, max(across, 1), squeeze=False).flat)
    for ax in axes:
        ax.grid(color="#E4E4E4", lw=0.6)
        ax.set_axisbelow(True)
        ax.tick_params(labelsize=8, length=2)
        for side in ("top", "right"):
            ax.spines[side].set_visible(False)
    return axes[: across * down]


def best_possible(results: Results, dataset: str) -> float | None:
    """The best test accuracy in the table, percent, of MEAN 100; None without a table."""
    if dataset == MEAN:
        return 100.0
    column = results.table(dataset)
    return None if column is None else column.optimum.value


def in_order(results: Results, kinds: Collection[str] = ()) -> list[tuple[int, Entrant]]:
    """The searchers (of some kinds) with their places in the campaign, from the best mean at the primary endpoint down.

    Those without runs come last.
    """
    places = [(i, s) for i, s in enumerate(results.searchers) if not kinds or s.kind in kinds]
    means = {s.label: np.mean(v) if (v := list(results.outcomes(s.label, results.endpoint).values())) else -np.inf
             for _, s in places}  # fmt: skip
    return sorted(places, key=lambda place: -means[place[1].label])


def crowded(results: Results) -> bool:
    """Whether there are more searchers than colours, so that one is shown at a time and the rest is grey."""
    return len(results.searchers) > len(COLOURS)


def shade(results: Results, i: int) -> str:
    """A searcher's colour; in a crowd only the first has one."""
    return colour(i) if not crowded(results) or i == 0 else INK


def short_name(results: Results, searcher: Entrant) -> str:
    """The spec or what an ablation takes away, short enough for a legend; a dollar would start mathematics."""
    spec = " ".join(results.ablations.get(searcher.label, searcher.spec).split())
    return (spec if len(spec) <= 34 else spec[:33] + "…").replace("$", r"\$")


def name_and_n(results: Results, searcher: Entrant) -> str:
    """The short name and the number of finished runs."""
    return f"{short_name(results, searcher)} (n = {len(results.runs(searcher.label))})"


def colour(i: int) -> str:
    return COLOURS[i % len(COLOURS)]


def style(i: int) -> str:
    return LINES[i // len(COLOURS) % len(LINES)]


def marker(i: int) -> str:
    return MARKERS[i % len(MARKERS)]


def handle(i: int, label: str) -> Line2D:
    return Line2D([], [], color=colour(i), ls=style(i), lw=1.6, label=label)
