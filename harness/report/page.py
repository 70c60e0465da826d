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
    ablations,
    inference,
    markup,
    notes,
    numbers,
    plot_style,
    plots_bias,
    plots_scores,
    plots_search,
    trained,
)
from harness.report.frames import diagnostics, ranks_table, runs_table, to_csv, with_specs
from harness.report.notes import UNPAIRED, Question
from harness.report.numbers import p_number, p_text
from harness.results import Results, is_partial, load, scored_by, space_held
from harness.schema import Record

SOMETIMES = (
    "ranks.csv",
    "ablations.csv",
    "trainings.csv",
    "published.bib",
)  # files that not every report has; as plots
PLOTS = {
    "accuracy": plots_scores.accuracy,
    "ranks": plots_search.ranks,
    "convergence": plots_scores.convergence,
    "regret": plots_scores.regret,
    "space": plots_search.space,
    "cells": plots_search.cells,
    "operations": plots_search.operations,
    "diversity": plots_search.diversity,
    "one-shot": plots_search.one_shot,
    "bias": plots_bias.liking,
}


def write_report(
    folders: Sequence[Path], out: Path | None = None, published: bool = False, question: Question = UNPAIRED
) -> list[Path]:
    """Writes table.{csv,md,tex}, comparisons.csv, diagnostics.csv, runs.csv, ranks.csv, ablations.csv and trainings.csv
    where there are some, the plots and report.html; returns their paths.

    out: a folder, by default `report` in the first campaign folder. Reads nothing but the campaign folders.
    UserError where there are no runs, or where the campaigns cannot stand in one table.
    """
    folders = [Path(f) for f in folders]
    out = Path(out) if out is not None else folders[0] / "report"
    return write_files(load(folders), out, published, question)


def show(results: Results, out: Path) -> None:
    """Print a campaign's notes, its table, and the path of its page in `out`; the end is what a terminal shows.

    On a terminal the table is made to fit, and of the notes only the warnings are printed.
    """
    tables = markup.frames_of(results)
    shown = [markup.readable_table(results, frames=tables)]
    if len(tables.ablations):
        shown.append(markup.readable_ablations(tables.ablations))
    if results.campaign.evaluations:
        shown.append(markup.readable_trainings(results))
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


def write_files(results: Results, out: Path, published: bool = False, question: Question = UNPAIRED) -> list[Path]:
    """Write the files of a report into the folder `out`, which is created; returns their paths."""
    out.mkdir(parents=True, exist_ok=True)
    again = (out / "report.html").exists()
    tables = markup.frames_of(results, question)
    table = markup.readable_table(results, published, question, tables)
    behaviour, ranks = diagnostics(results), ranks_table(results)
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
        "table.md": markup.to_markdown(table),
        "table.tex": markup.to_latex(table),
        "comparisons.csv": csv(tables.tests),
        "runs.csv": csv(runs_table(results)),
        "diagnostics.csv": csv(behaviour),
        "report.html": to_html(results, question, table, tables, ranks, behaviour, drawn),
    }
    if len(ranks):
        texts["ranks.csv"] = csv(ranks)
    if len(tables.ablations):
        texts["ablations.csv"] = csv(tables.ablations)
        texts["table.md"] += "\n" + markup.to_markdown(markup.readable_ablations(tables.ablations))
        texts["table.tex"] += "\n" + markup.to_latex(markup.readable_ablations(tables.ablations))
    if results.campaign.evaluations:
        texts["trainings.csv"] = to_csv(trained.trainings_table(results))
        texts["table.md"] += "\n" + markup.to_markdown(markup.readable_trainings(results))
        texts["table.tex"] += "\n" + markup.to_latex(markup.readable_trainings(results))
    if table.sources:
        texts["published.bib"] = registry.find(results.campaign.benchmark).bibliography()
    for name, text in texts.items():
        (out / name).write_text(text, encoding="utf-8", newline="\n")
    if again:  # what that report had and this one has not, e.g. ranks, is not of these runs
        for name in {*SOMETIMES, *(f"{plot}.{end}" for plot in PLOTS.keys() - plots.keys() for end in ("png", "svg"))}:
            if name not in texts:
                (out / name).unlink(missing_ok=True)
    return [*(out / name for name in texts), *(path for pair in plots.values() for path in pair)]


def headline(results: Results, tables: markup.Frames, ranks: pd.DataFrame) -> list[str]:
    """The results in sentences: each comparison with the first searcher, the ablations, and all ranked together."""
    reference, *others = results.compared
    sentences = []
    for other in others:
        rows = tables.tests[tables.tests["b"] == other.label]
        verdicts = "; ".join(f"{v} on {_and(d)}" for v, d in _verdicts(rows).items())
        crossing = "" if other.kind == reference.kind else f" ({reference.kind} against {other.kind})"
        sentences.append(f"{reference.spec} against {other.spec}{crossing}: {verdicts}.")
    sentences += ablations.sentences(tables.ablations)
    if len(ranks):
        sentences.append(_ranked(ranks))
    if sentences:
        return sentences
    means = tables.results.query("split == 'test'")
    partial = f" against the best of {space_held(results.campaign)}" if is_partial(results.campaign) else ""
    figures = ", ".join(
        f"{m:.2f} on {d}" if pd.isna(g) else f"{m:.2f} on {d} (regret {g:.2f}{partial})"
        for d, m, g in zip(means["dataset"], means["mean"], means["regret"], strict=True)
        if not pd.isna(m)
    )
    if not figures:
        return [f"{reference.spec}: no finished run."]
    n = int(means["n"].max())
    return [f"{reference.spec} reaches {figures}, mean of n = {n}. One searcher: nothing to compare it with."]


def _ranked(ranks: pd.DataFrame) -> str:
    """The results of Friedman's and Nemenyi's tests of all searchers in a sentence."""
    parts = []
    for dataset, part in ranks.groupby("dataset", sort=False):
        apart = int((part["nemenyi_p"] <= inference.ALPHA).sum())
        parts.append(f"{dataset} {p_text(part['friedman_p'].iloc[0])}, {apart} of {len(part)} pairs apart")
    k = len({*ranks["a"], *ranks["b"]})
    return f"All {k} ranked together at each seed (Friedman, then Nemenyi at {inference.ALPHA}): {'; '.join(parts)}."


def _verdicts(rows: pd.DataFrame) -> dict[str, list[str]]:
    """Verdict -> data sets with their figures, from one searcher's rows of comparisons."""
    verdicts: dict[str, list[str]] = {}
    for row in rows.to_dict("records"):
        sizes = f"n = {row['n_a']}" if row["n_a"] == row["n_b"] else f"n = {row['n_a']} and {row['n_b']}"
        verdict, figures = row["verdict"], sizes
        if verdict == "equivalent":  # the test of this; that of a difference says nothing for it
            verdict = f"equivalent within {row['margin']:g} points"
            figures = f"{p_text(row['p_equivalence'])} after Holm, two one-sided tests, {sizes}"
        elif not pd.isna(row["p_holm"]):
            figures = f"{p_text(row['p_holm'])}, A = {row['effect']:.2f}, {sizes}"
        verdicts.setdefault(verdict, []).append(f"{row['dataset']} ({figures})")
    return verdicts


def _and(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else ", ".join(words[:-1]) + " and " + words[-1]


def to_html(
    results: Results,
    question: Question,
    table: markup.ReadableTable,
    tables: markup.Frames,
    ranks: pd.DataFrame,
    behaviour: pd.DataFrame,
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
        table=table,
        ablations=markup.readable_ablations(tables.ablations) if len(tables.ablations) else None,
        trainings=markup.readable_trainings(results) if results.campaign.evaluations else None,
        headline=headline(results, tables, ranks),
        power=notes.power(results, question),
        margin=question.margin,
        equivalence=notes.EQUIVALENCE,
        scored_by=scored_by(results.campaign),
        space=space_held(results.campaign),
        standing=_standing_rows(tables.results, specs),
        diagnostics=_diagnostic_rows(behaviour),
        tests=[_test_row(row, specs) for row in tables.tests.to_dict("records")],
        runs=[_run_row(r, results) for r in runs],
        plots={name: _data_uri(path) for name, path in plots.items()},
        hardware=notes.hardware(results.records),
    )


def _number(value: float, digits: str = ".2f") -> str:
    return numbers.EMPTY if pd.isna(value) else numbers.number(value, digits)


def _test_row(row: dict[Any, Any], specs: dict[str, str]) -> list[str]:
    def probability(value: float) -> str:
        return numbers.EMPTY if pd.isna(value) else p_number(value)

    interval = "" if pd.isna(row["effect_low"]) else f" [{row['effect_low']:.2f}, {row['effect_high']:.2f}]"
    test = row["test"] if isinstance(row["test"], str) else "none (under 2 runs)"
    names = [specs[row["a"]], specs[row["b"]], row["dataset"], f"{row['n_a']}, {row['n_b']}", test]
    figures = [probability(row["p"]), probability(row["p_holm"]), _number(row["effect"]) + interval]
    equal = [] if pd.isna(row["margin"]) else [probability(row["p_equivalence"])]
    return [*names, *figures, *equal, row["verdict"]]


def _standing_rows(frame: pd.DataFrame, specs: dict[str, str]) -> list[list[str]]:
    """Test scores beside the table's cells: a row per searcher and data set, then the mean over data sets."""

    def interval(low: float, high: float) -> str:
        return "" if pd.isna(low) else f" [{low:.2f}, {high:.2f}]"

    rows = []
    for label, spec in specs.items():
        part = frame[(frame["label"] == label) & (frame["split"] == "test")]
        for row in part.to_dict("records"):
            median = _number(row["median"]) + interval(row["ci_low"], row["ci_high"])
            iqm = _number(row["iqm"]) + interval(row["iqm_low"], row["iqm_high"])
            shares = [_number(row["regret"]), _number(row["relative_improvement"], "+.2f"), _number(row["beaten"])]
            rows.append([spec, row["dataset"], str(row["n"]), median, _number(row["ci_level"], ".3f"), iqm, *shares])
        if len(part) > 1:
            means = part[["regret", "relative_improvement", "beaten"]].mean()
            shares = [
                _number(means["regret"]),
                _number(means["relative_improvement"], "+.2f"),
                _number(means["beaten"]),
            ]
            rows.append([spec, "mean of the data sets", str(int(part["n"].max())), *[numbers.EMPTY] * 3, *shares])
    return rows


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
