"""A readable table as Markdown, as LaTeX, and for a terminal."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from harness.report.readable import Cell, ReadableTable, Row

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
            lines.append(_markdown_row([markdown_text(_method(row)), *map(_markdown_cell, row.cells)]))
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


def _method(row: Row) -> str:
    return f"{row.method} ({row.note})" if row.note else row.method


def _markdown_row(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def markdown_text(text: str) -> str:
    """Text escaped for a Markdown table, so that it is shown as it is: no markup, HTML, line breaks or cell ends."""
    for mark in "\\|*`":
        text = text.replace(mark, "\\" + mark)
    text = text.replace("](", "]\\(").replace("__", "\\_\\_")  # a link, bold; a single underscore is neither
    return " ".join(text.replace("&", "&amp;").replace("<", "&lt;").split())


LINE, WRAPPED = 24, r">{\raggedright\arraybackslash\hangindent=1em}p{14em}"  # letters, and a column of longer methods
BREAK, APART = "\u200b", "\u2060"  # where a long word may end, and what keeps hyphens from becoming a dash
GREEK = "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi pi rho sigma tau upsilon phi chi psi"
SIGNS = {
    "±": "pm", "−": "-", "×": "times", "↑": "uparrow", "↓": "downarrow", "→": "rightarrow", "←": "leftarrow",
    "≈": "approx", "≤": "leq", "≥": "geq", "≠": "neq", "√": "surd", "∂": "partial", "∇": "nabla", "Σ": "Sigma",
    "Δ": "Delta", "∞": "infty", "·": "cdot",
} | dict(zip("αβγδεζηθικλμνξπρστυφχψ", GREEK.split(), strict=True))  # fmt: skip
LATEX = (
    {c: "\\" + c for c in "&%$#_{}"}
    | {c: f"$\\{name}$" if name.isalpha() else f"${name}$" for c, name in SIGNS.items()}
    | {c: f"$^{k}$" for k, c in enumerate("⁰¹²³⁴⁵⁶⁷⁸⁹")}
    | {c: f"{{{c}}}" for c in "[]*"}  # which LaTeX takes for an option at the start of a row
    | {
        "\\": r"\textbackslash{}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "`": r"\textasciigrave{}",
        "<": r"\textless{}",
        ">": r"\textgreater{}",
        "|": r"\textbar{}",
        '"': r"\symbol{34}",
        "–": "--",
        "—": "---",
        "…": r"\ldots{}",
        "‘": "`",
        "’": "'",
        "“": "``",
        "”": "''",
        BREAK: r"\allowbreak{}",
        APART: "{}",
    }
)
# letters and signs that pdflatex has without any package
OGONEK = "\u0328"  # an accent that OT1, LaTeX's usual encoding, cannot draw
LATIN = {*"ÆØßæøŁłŒœı§°µ½"} | {
    c
    for c in map(chr, range(0xC0, 0x180))
    if len(parts := unicodedata.normalize("NFD", c)) == 2 and OGONEK not in parts
}


def latex_text(text: str) -> str:
    """Text escaped for LaTeX, pdflatex too: a character that it has not is named by its number, e.g. U+4E2D.

    Words of LINE characters and more may be broken after punctuation, and after each 16 letters.
    """
    text = re.sub("-(?=-)", "-" + APART, unicodedata.normalize("NFC", " ".join(text.split())))
    text = re.sub(rf"\S{{{LINE},}}", lambda word: re.sub(r"([,;:=/|_]|[^\W_]{16})(?=.)", rf"\1{BREAK}", word[0]), text)
    return "".join(map(_latex_character, text))


def _latex_character(c: str) -> str:
    plain = (c.isascii() and c.isprintable()) or c in LATIN
    return LATEX.get(c) or (c if plain else f"U+{ord(c):04X}")


def _lines(heading: str) -> list[str]:
    """A heading in lines of a word each; units stay with their words."""
    return re.split(r" (?=\w{4})", heading)


def to_latex(table: ReadableTable) -> str:
    """A table with booktabs rules, made smaller where it is wider or higher than the page; its first line names the
    packages that it needs."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(  # braces and % are LaTeX's
        loader=FileSystemLoader(TEMPLATES),
        undefined=StrictUndefined,
        block_start_string="<%", block_end_string="%>",
        variable_start_string="<<", variable_end_string=">>",
        comment_start_string="<#", comment_end_string="#>",
        trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True,
    )  # fmt: skip
    environment.filters |= {"tex": latex_text, "zip": zip, "method": _method, "lines": _lines}
    spans = [span for _, span in table.datasets]
    rows = [row for group in table.groups for row in group.rows]
    long = any(len(_method(row)) > LINE for row in rows)
    return environment.get_template("table.tex.j2").render(
        table=table,
        first=WRAPPED if long else "l",
        cites=any(row.cite for row in rows),
        columns=[table.rows_are, "n", *(split for _, split in table.scores), *table.counts, *table.costs],
        firsts=[3 + sum(spans[:i]) for i in range(len(spans))],
        notes=[*(f"Warning: {w}" for w in table.warnings), *table.footnotes,
               *(f"[{i}] {s}" for i, s in enumerate(table.sources, 1))],
    )  # fmt: skip
