"""A readable table as Markdown, as LaTeX, and for a terminal."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from harness.report.readable import Cell, ReadableTable

if TYPE_CHECKING:
    from rich.table import Table as RichTable

TEMPLATES = Path(__file__).parent / "templates"
LEAST = (  # of a table's columns
    *("evaluations", "simulated s", "mean difference", "valid", "p, collapse", "collapsed", "search s", "same answer"),
)


def to_markdown(table: ReadableTable) -> str:
    """GitHub's Markdown: a bold line opens each group; footnotes, sources and warnings below."""
    return f"{markdown_rows(table)}\n{markdown_notes(table)}"


def markdown_rows(table: ReadableTable) -> str:
    """The caption and the table."""
    width = len(table.headings)
    lines = [
        _markdown_row(map(markdown_text, table.headings)),
        _markdown_row(["---", *["---:"] * (width - 1)]),
    ]
    for group in table.groups:
        lines.append(_markdown_row([f"**{markdown_text(group.title)}**", *[""] * (width - 1)]))
        for row in group.rows:
            method = markdown_text(f"{row.method} ({row.note})" if row.note else row.method)
            lines.append(_markdown_row([method, *map(_markdown_cell, row.cells)]))
    return "\n".join([f"{markdown_text(table.caption)}", "", *lines, ""])


def markdown_notes(table: ReadableTable) -> str:
    """A list of the warnings, the footnotes and the sources."""
    notes = [f"- **Warning:** {w.escaped(markdown_text)}" for w in table.warnings]
    notes += [f"- {f.escaped(markdown_text)}" for f in table.footnotes]
    notes += [f"- [{i}] {markdown_text(s)}" for i, s in enumerate(table.sources, 1)]
    return "\n".join([*notes, ""])


def to_terminal(table: ReadableTable, width: int) -> RichTable:
    """The table for a terminal of `width` characters: columns are dropped, the least important first, until it fits."""
    from rich.table import Table as RichTable
    from rich.text import Text

    method = max(14, width // 3)
    rows = []
    for group in table.groups:
        rows.append([Cell(group.title, bold=True), *[Cell("")] * (len(table.headings) - 1)])
        rows += [[Cell(_cropped(row.method, method)), *row.cells] for row in group.rows]
    headings = [table.rows_are, "n", *(f"{d}\n{s}" for d, s in table.scores), *table.counts, *table.costs]
    names = [table.rows_are, "n", *(s for _, s in table.scores), *table.counts, *table.costs]
    columns = [[*heading.split("\n"), *(row[k].text for row in rows)] for k, heading in enumerate(headings)]
    widths = [2 + max(map(len, texts)) for texts in columns]
    kept = list(range(len(names)))
    dropped = [[k for k in kept if names[k] == name] for name in LEAST]
    dropped += [[k] for k in kept[:2:-1]]  # at the last the method, n and the first score are left
    for some in dropped:
        if sum(widths[k] for k in kept) <= width + 2:  # no space after the last
            break
        kept = [k for k in kept if k not in some]
    terminal = RichTable(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for k in kept:
        terminal.add_column(headings[k], justify="right" if k else "left", no_wrap=True)
    for row in rows:
        terminal.add_row(*(Text(row[k].text, style="bold" if row[k].bold else "") for k in kept))
    return terminal


def _cropped(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: width - 1]}…"


def _markdown_cell(cell: Cell) -> str:
    mark = "**" if cell.bold else "*" if cell.second else ""
    return f"{mark}{cell.text}{mark}"


def _markdown_row(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def markdown_text(text: str) -> str:
    """Text escaped for a Markdown table, so that it is shown as it is: no markup, HTML, line breaks or cell ends."""
    for mark in "\\|*`":
        text = text.replace(mark, "\\" + mark)
    text = text.replace("](", "]\\(").replace("__", "\\_\\_")  # a link, bold; a single underscore is neither
    return " ".join(text.replace("&", "&amp;").replace("<", "&lt;").split())


LATEX = {c: "\\" + c for c in "&%$#_{}"} | {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    "±": r"$\pm$",
    "−": r"$-$",
    "×": r"$\times$",
    "↑": r"$\uparrow$",
    "↓": r"$\downarrow$",
    "≈": r"$\approx$",
    "≤": r"$\leq$",
    "–": "--",
}


def latex_text(text: str) -> str:
    """Text escaped for LaTeX. Brackets stand in braces, since LaTeX takes a bracket at a row's start for an option."""
    escaped = "".join(LATEX.get(c, c) for c in " ".join(text.split()))
    return escaped.replace("[", "{[}").replace("]", "{]}")


def to_latex(table: ReadableTable) -> str:
    """A table with booktabs rules; needs packages booktabs and (for its wide rows) graphicx."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(  # braces and % are LaTeX's
        loader=FileSystemLoader(TEMPLATES),
        undefined=StrictUndefined,
        block_start_string="<%", block_end_string="%>",
        variable_start_string="<<", variable_end_string=">>",
        comment_start_string="<#", comment_end_string="#>",
        trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True,
    )  # fmt: skip
    environment.filters |= {"tex": latex_text, "zip": zip}
    spans = [span for _, span in table.datasets]
    return environment.get_template("table.tex.j2").render(
        table=table,
        columns=[table.rows_are, "n", *(split for _, split in table.scores), *table.counts, *table.costs],
        firsts=[3 + sum(spans[:i]) for i in range(len(spans))],
        notes=[*(f"Warning: {w}" for w in table.warnings), *table.footnotes,
               *(f"[{i}] {s}" for i, s in enumerate(table.sources, 1))],
    )  # fmt: skip
