"""The report of one or several campaigns: tables, tests, plots, and a page that says what they show."""

from __future__ import annotations

import base64
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from markupsafe import Markup

from benchmarks import registry
from benchmarks.base import Cell, SearchSpace
from harness.cells import named, short_name
from harness.output import tell
from harness.report import (
    headline,
    markup,
    notes,
    numbers,
    plot_style,
    plots_anytime,
    plots_bias,
    plots_scores,
    plots_search,
    readable,
    trained,
)
from harness.report.anytime import anytime_table
from harness.report.contrasts import ranks_table
from harness.report.frames import diagnostics, runs_table, to_csv, with_specs
from harness.report.machines import hardware
from harness.report.notes import UNPAIRED, Question
from harness.report.numbers import p_number
from harness.report.tables import readable_tables
from harness.results import Results, load, scored_by, space_held, version_in_words
from harness.schema import Record

SOMETIMES = (  # files that not every report has; as plots
    *("ranks.csv", "ablations.csv", "anytime.csv", "trainings.csv", "published.bib"),
)
PLOTS = {
    "primary": plots_scores.primary,
    "accuracy": plots_scores.accuracy,
    "ranks": plots_search.ranks,
    "convergence": plots_anytime.convergence,
    "regret": plots_anytime.regret,
    "profiles": plots_anytime.profiles,
    "space": plots_search.space,
    "cells": plots_search.cells,
    "operations": plots_search.operations,
    "diversity": plots_search.diversity,
    "one-shot": plots_search.one_shot,
    "bias": plots_bias.liking,
}


def write_report(
    folders: Sequence[Path],
    out: Path | None = None,
    published: str | None = None,
    question: Question = UNPAIRED,
    endpoint: str | None = None,
) -> list[Path]:
    """Writes table.{csv,md,tex}, comparisons.csv, diagnostics.csv, runs.csv, the plots and report.html, and where there
    are some ranks.csv, anytime.csv, ablations.csv and trainings.csv; returns their paths.

    out: a folder, by default `report` in the first campaign folder. published: readable.ALL or names of rows.
    endpoint: another primary one than the campaign's. Reads nothing but the campaign folders.
    UserError where there are no runs, or where the campaigns cannot stand in one table.
    """
    folders = [Path(f) for f in folders]
    out = Path(out) if out is not None else folders[0] / "report"
    results = load(folders)
    return write_files(results if endpoint is None else results.with_endpoint(endpoint), out, published, question)


def show(results: Results, out: Path) -> None:
    """Print a campaign's notes, its table, and the path of its page in `out`; the end is what a terminal shows.

    On a terminal the table is made to fit, and of the notes only the warnings are printed.
    """
    shown = readable_tables(results)
    if sys.stdout.isatty():
        from rich.console import Console

        console = Console(file=sys.stdout, highlight=False)
        for warning in shown[0].warnings:
            tell(f"Warning: {warning}", "stdout")
        for table in shown:
            tell(f"\n{table.caption}", "stdout")
            console.print(markup.to_terminal(table, console.width))
    else:
        tell("\n".join(map(markup.markdown_notes, shown)), "stdout")
        tell("\n".join(map(markup.markdown_rows, shown)), "stdout")
    tell(f"report: {out / 'report.html'}")


def write_files(results: Results, out: Path, published: str | None = None, question: Question = UNPAIRED) -> list[Path]:
    """Write the files of a report into the folder `out`, which is created; returns their paths."""
    out.mkdir(parents=True, exist_ok=True)
    again = (out / "report.html").exists()
    tables = readable.frames_of(results, question)
    written = readable_tables(results, published, question, tables)
    behaviour, ranks, meanwhile = diagnostics(results), ranks_table(results), anytime_table(results)
    plots = {}
    for name, draw in PLOTS.items():
        figure = draw(results)
        if figure is not None:  # there may be nothing to show: no supernet, too few seeds for ranks
            plots[name] = plot_style.save(figure, out / name)

    def csv(frame: pd.DataFrame) -> str:
        return to_csv(with_specs(frame, results))

    drawn = {name: svg for name, (_, svg) in plots.items()}
    texts = {
        "table.csv": csv(tables.results),
        "table.md": "\n".join(map(markup.to_markdown, written)),
        "table.tex": "\n".join(map(markup.to_latex, written)),
        "comparisons.csv": csv(tables.tests),
        "runs.csv": csv(runs_table(results)),
        "diagnostics.csv": csv(behaviour),
        "report.html": to_html(results, question, written, tables, ranks, behaviour, meanwhile, drawn),
    }
    if len(meanwhile):
        texts["anytime.csv"] = csv(meanwhile)
    if len(ranks):
        texts["ranks.csv"] = csv(ranks)
    if len(tables.ablations):
        texts["ablations.csv"] = csv(tables.ablations)
    if results.campaign.evaluations:
        texts["trainings.csv"] = to_csv(trained.trainings_table(results))
    cited = registry.find(results.campaign.benchmark).bibliography()
    if cited and any(table.sources for table in written):
        texts["published.bib"] = cited
    for name, text in texts.items():
        (out / name).write_text(text, encoding="utf-8", newline="\n")
    if again:  # what that report had and this one has not, e.g. ranks, is not of these runs
        for name in {*SOMETIMES, *(f"{plot}.{end}" for plot in PLOTS.keys() - plots.keys() for end in ("png", "svg"))}:
            if name not in texts:
                (out / name).unlink(missing_ok=True)
    return [*(out / name for name in texts), *(path for pair in plots.values() for path in pair)]


def to_html(
    results: Results,
    question: Question,
    written: Sequence[readable.ReadableTable],
    tables: readable.Frames,
    ranks: pd.DataFrame,
    behaviour: pd.DataFrame,
    meanwhile: pd.DataFrame,
    plots: dict[str, Path],
) -> str:
    """The page as one file: style and plots are inside, nothing is fetched, all text is escaped."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(markup.TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    specs = results.specs
    place = {label: i for i, label in enumerate(specs)}
    runs = sorted(results.records, key=lambda r: (place[r.label], r.seed))
    return environment.get_template("report.html.j2").render(
        campaign=results.campaign,
        table=written[0],
        further=written[1:],
        ablated=len(tables.ablations) > 0,
        lead=headline.lead(results, tables, question),
        sentences=headline.sentences(results, tables, ranks),
        endpoint=results.endpoint,
        endpoint_words=notes.endpoint_in_words(results),
        margin=question.margin,
        equivalence=notes.EQUIVALENCE,
        ranked=None if ranks.empty else ranks.iloc[0].to_dict(),
        anytime=_anytime_rows(meanwhile, specs),
        scored_by=scored_by(results.campaign),
        version=version_in_words(results.campaign.table_sha256, 64),
        space=space_held(results.campaign),
        standing=_standing_rows(tables.results, specs),
        diagnostics=_diagnostic_rows(behaviour),
        tests=[_test_row(row, specs) for row in tables.tests.to_dict("records")],
        runs=[_run_row(r, results) for r in runs],
        plots={name: _data_uri(path) for name, path in plots.items()},
        hardware=hardware(results.records),
    )


def _number(value: float, digits: str = ".2f") -> str:
    return numbers.EMPTY if pd.isna(value) else numbers.number(value, digits)


def _interval(low: float, high: float, sign: str = "") -> str:
    return "" if pd.isna(low) else f" {numbers.bracketed(low, high, numbers.signed if sign else _number)}"


def _test_row(row: dict[Any, Any], specs: dict[str, str]) -> list[str]:
    def probability(value: float) -> str:
        return numbers.EMPTY if pd.isna(value) else p_number(value)

    def signed(name: str) -> str:
        if pd.isna(row[name]):
            return numbers.EMPTY
        return numbers.signed(row[name]) + _interval(row[f"{name}_low"], row[f"{name}_high"], "+")

    test = row["test"] if isinstance(row["test"], str) else numbers.EMPTY
    what = row["dataset"] or "collapse"
    names = [row["endpoint"], specs[row["a"]], specs[row["b"]], what, f"{row['n_a']}, {row['n_b']}", row["verdict"]]
    effect = _number(row["effect"]) + _interval(row["effect_low"], row["effect_high"])
    figures = [signed("difference"), signed("shift"), effect, test, probability(row["p"]), probability(row["p_holm"])]
    equal = [] if pd.isna(row["margin"]) else [probability(row["p_equivalence"])]
    return [*names, *figures, probability(row["p_mean"]), *equal]


def _anytime_rows(frame: pd.DataFrame, specs: dict[str, str]) -> list[list[str]]:
    return [
        [specs[row["label"]], row["kind"], row["clock"], str(row["n"]), _number(row["horizon"], ",.0f"),
         _number(row["median"], ".3f"), _interval(row["ci_low"], row["ci_high"]).strip() or numbers.EMPTY,
         _number(row["ci_level"], ".3f")]
        for row in frame.to_dict("records")
    ]  # fmt: skip


def _standing_rows(frame: pd.DataFrame, specs: dict[str, str]) -> list[list[str]]:
    """Test scores beside the table's cells, and what of the spread the final trainings are: a row per data set."""
    rows = []
    for label, spec in specs.items():
        part = frame[(frame["label"] == label) & (frame["split"] == "test")]
        for row in part.to_dict("records"):
            median = _number(row["median"]) + _interval(row["ci_low"], row["ci_high"])
            iqm = _number(row["iqm"]) + _interval(row["iqm_low"], row["iqm_high"])
            shares = [_number(row["regret"]), _number(row["relative_improvement"], "+.2f"), _number(row["beaten"])]
            parts = _spread_parts(row["std"], row["training_std"])
            rows.append(
                [spec, row["dataset"], str(row["n"]), median, _number(row["ci_level"], ".3f"), iqm, *shares, *parts]
            )
    return rows


def _spread_parts(std: float, training: float) -> list[str]:
    """Standard deviation between runs, what of its square the final trainings are, and the rest, percent."""
    if pd.isna(std) or pd.isna(training) or std == 0:
        return [_number(std), numbers.EMPTY, numbers.EMPTY]
    share = min(100.0, 100 * (training / std) ** 2)
    return [_number(std), f"{share:.0f}", f"{100 - share:.0f}"]


def cell_svg(space: SearchSpace, cell: Cell) -> str:
    """A small drawing of a cell: the nodes of each cell type in a row, a coloured edge for each operation but none."""
    colours, parts, width, height = plots_search.operation_colours(space), [], 0, 0
    for rows, edges in plots_search.by_type(space):
        y = height + 32
        for op, (_, i, j) in zip(cell[rows], edges, strict=True):
            if op != space.none:
                start, end = 12 + 50 * i, 12 + 50 * j
                name = space.operations[op]
                bend = f"{(start + end) / 2:g} {y + plots_search.bend(i, j) * 60:g}"
                path = f'<path d="M{start} {y}Q{bend} {end} {y}" stroke="{colours[name]}">'
                parts.append(f"{path}<title>{i}→{j} {name}</title></path>")
        nodes = sorted({node for _, *ends in edges for node in ends})
        parts += [f'<circle cx="{12 + 50 * k}" cy="{y}" r="5"/>' for k in nodes]
        width, height = max(width, 24 + 50 * nodes[-1]), height + 64
    return (
        f'<svg width="{width}" height="{height}" viewBox="0 0 {width} {height}" fill="none" stroke-width="2.5">'
        f"{''.join(parts)}</svg>"
    )


def _diagnostic_rows(frame: pd.DataFrame) -> tuple[list[str], list[list[str]]]:
    """Headings and rows of the page's table of diagnostics."""
    names = {"modal_share": "share of the commonest", "alpha_entropy": "α entropy",
             "alpha_change": "α moved by", "one_shot_spearman": "one-shot ρ",
             "one_shot_spearman_good": "ρ in the better half",
             "one_shot_spearman_top": "ρ in the top fifth"}  # fmt: skip
    hidden = ("label", "modal_cell")  # the commonest answer is drawn, and what scores like
    columns = [c for c in frame.columns if c not in hidden and not c.startswith(("score_", "truth_"))]
    columns = [c for c in columns if not frame[c].isna().all()]

    def text(value: Any) -> str:
        return str(value) if isinstance(value, str | int) else _number(value)

    rows = [[text(row[c]) for c in columns] for row in frame.to_dict("records")]
    return [names.get(c, c.replace("_", " ")) for c in columns], rows


def _run_row(record: Record, results: Results) -> dict[str, Any]:
    cell = named(results.space, record.cell, record.index)
    scores = [record.final(*column) for column in results.columns]
    return {
        "spec": record.spec,
        "seed": record.seed,
        "cell": record.cell or numbers.EMPTY,
        "index": numbers.EMPTY if record.index is None else record.index,
        "scores": [numbers.EMPTY if score is None else f"{score:.2f}" for score in scores],
        "search": numbers.quantity(record.search_seconds),
        "simulated": numbers.quantity(record.simulated_seconds),
        "collapsed": record.collapsed,
        "drawing": None if cell is None else Markup(cell_svg(results.space, cell)),
        "config": record.config,
        "answers": [(p.step, short_name(p.cell, p.index)) for p in record.trajectory],
        "environment": record.environment,
        "status": record.status,
        "error": record.error or "",
    }


def _data_uri(path: Path) -> str:
    # as an image, so that nothing inside the drawing can run or clash with the page
    return "data:image/svg+xml;base64," + base64.b64encode(path.read_bytes()).decode("ascii")
