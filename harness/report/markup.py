"""One readable table of a campaign, and how it is written as Markdown and LaTeX (report.html draws it itself).

Accuracies are in percent, seconds are means per run. Published rows stand in a group of their own and are never tested
against ours.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pandas as pd

from benchmarks import registry
from harness.report import power, trained
from harness.report.ablations import ablation_table
from harness.report.frames import COSTS, comparisons, results_table
from harness.report.inference import ALPHA
from harness.report.notes import UNPAIRED, Note, Question, footnotes, warnings
from harness.report.numbers import EMPTY, _mean, _number, _spread, p_number, quantity, signed
from harness.results import Results, is_partial, space_held

if TYPE_CHECKING:
    from rich.table import Table as RichTable

TEMPLATES = Path(__file__).parent / "templates"
MARKS = {"better": " ↑", "worse": " ↓", "equivalent": " ≈"}  # the row against the first searcher, or its default
LEAST = ("evaluations", "simulated s", "mean difference", "valid", "search s", "same answer")  # of a table's columns
INVERSE = {"better": "worse", "worse": "better"}


class Cell(NamedTuple):
    """One entry of the readable table."""

    text: str
    bold: bool = False
    second: bool = False  # second best: underlined, in Markdown italic


class Row(NamedTuple):
    """One method of the table; `note` gives the source of a published row."""

    method: str
    note: str
    cells: list[Cell]
    cite: str = ""  # BibTeX key in published.bib, where we know the entry


class Group(NamedTuple):
    """Rows that may be compared with each other, under one title."""

    title: str
    rows: list[Row]


@dataclass
class ReadableTable:
    """The table that all written formats show. A row's cells are n, the `scores` (dataset, split) and the `costs`."""

    caption: str
    scores: list[tuple[str, str]]
    groups: list[Group]
    rows_are: str = "method"
    costs: list[str] = field(default_factory=lambda: list(COSTS.values()))
    footnotes: list[Note] = field(default_factory=list)
    sources: list[str] = field(default_factory=list)
    warnings: list[Note] = field(default_factory=list)

    @property
    def datasets(self) -> list[tuple[str, int]]:
        """Data sets in order, each with its number of columns."""
        return [(d, sum(d == other for other, _ in self.scores)) for d in dict.fromkeys(d for d, _ in self.scores)]

    @property
    def headings(self) -> list[str]:
        return [self.rows_are, "n", *(f"{d} {s}" for d, s in self.scores), *self.costs]


class Frames(NamedTuple):
    """The frames behind the readable table: `results_table`, `comparisons` and `ablation_table` of the same runs."""

    results: pd.DataFrame
    tests: pd.DataFrame
    ablations: pd.DataFrame


def frames_of(results: Results, question: Question = UNPAIRED) -> Frames:
    return Frames(results_table(results), comparisons(results, question), ablation_table(results))


def readable_table(
    results: Results,
    published: bool = False,
    question: Question = UNPAIRED,
    frames: Frames | None = None,
) -> ReadableTable:
    """One row per method, grouped by kind; then the space's bounds and, with `published`, the literature's rows.

    The marks stand for the comparisons of the `question`, and for the ablations'; `frames` are `frames_of` the same,
    where they are there already.
    """
    numbers, tests, ablations = frames or frames_of(results, question)
    columns = results.columns
    caption = (
        f"{results.campaign.benchmark}, preset {results.campaign.preset.name}: accuracy in percent of the cells "
        f"that search on {results.campaign.search_dataset} found, mean ± std over seeds"
    )
    marks = {(t["b"], t["dataset"]): MARKS.get(INVERSE.get(t["verdict"], t["verdict"]), "")
             for t in tests.to_dict("records")}  # fmt: skip
    tested = ablations[ablations["split"] == "test"].to_dict("records")
    marks |= {(t["label"], t["dataset"]): MARKS.get(t["verdict"], "") for t in tested}
    groups = [*_our_groups(results, marks, numbers), *([_space_group(results)] if results.campaign.space else [])]
    table = ReadableTable(caption, columns, groups)
    if published:
        _add_published(table, results.campaign.benchmark)
    table.footnotes += footnotes(results, question) + trained.footnotes(results)
    table.warnings += warnings(results) + trained.warnings(results)
    return table


def _our_groups(results: Results, marks: dict[tuple[str, str], str], numbers: pd.DataFrame) -> list[Group]:
    columns = results.columns
    frame = numbers.set_index(["dataset", "split"])
    planned_of = {s.label: len(results.planned(s)) for s in results.searchers}
    guessing = {r.label for r in results.records if r.guessing}
    complete = frame[frame["n"] >= frame["label"].map(planned_of)]  # fewer seeds are another sample
    complete = complete[~complete["label"].isin(guessing)]
    # compared as written, so that two rows that read the same are both bold
    written = {
        c: sorted({float(_mean(m)) for m in part.dropna()}) for c, part in complete.groupby(level=[0, 1])["mean"]
    }
    groups: dict[str, Group] = {}
    for searcher in results.searchers:
        rows = frame[frame["label"] == searcher.label].loc[columns]
        n, planned = int(rows["n"].max()), planned_of[searcher.label]
        cells = [Cell(str(n) if n >= planned else f"{n}/{planned}")]
        for column, mean, std in zip(columns, rows["mean"], rows["std"], strict=True):
            mark = marks.get((searcher.label, column[0]), "") if column[1] == "test" else ""
            text = _spread(mean, std) + mark
            ranked = n >= planned and searcher.label not in guessing and _mean(mean) != EMPTY
            place = written[column][::-1].index(float(_mean(mean))) if ranked else None
            cells.append(Cell(text, bold=place == 0, second=place == 1))
        seconds, *others = (rows[cost].iloc[0] for cost in COSTS)
        cells += [Cell(quantity(seconds)), *(Cell(quantity(value)) for value in others)]
        group = groups.setdefault(searcher.kind, Group(searcher.kind, []))
        group.rows.append(Row(searcher.spec, "", cells))
    return list(groups.values())


def readable_ablations(frame: pd.DataFrame) -> ReadableTable:
    """The test split of `ablation_table` as one table for Markdown, LaTeX and HTML."""
    tests = frame[frame["split"] == "test"]
    names = ["median difference", "mean difference", "p", "same answer"]
    datasets = list(dict.fromkeys(tests["dataset"]))
    one_level = tests["ci_level"].nunique(dropna=False) == 1  # else each interval says its own
    rows = []
    for name, part in tests.groupby("ablation", sort=False):
        differences = part.set_index("dataset").loc[datasets].to_dict("records")
        cells = [cell for row in differences for cell in _ablation_cells(row, one_level)]
        first = differences[0]
        changed = first["spec"].removeprefix(first["searcher"].split("[")[0])
        rows.append(Row(str(name), changed, [Cell(str(first["n"])), *cells]))
    searcher = tests["searcher"].iloc[0]
    caption = f"{searcher} without its parts: ablation minus default in accuracy points, over the seeds that both have"
    level = tests["ci_level"].iloc[0] if one_level else None
    what = "and its level" if _number(level) is None else f"of level {level:.3f}"
    text = (
        "In brackets the median's order-statistic interval {}. p: Wilcoxon's signed-rank test, after Holm over "
        "{}; bold: p ≤ {}. Below {} pairs no p can reach that: then the intervals are all that is said. "
        "Same answer: at how many seeds the two cells compute the same function."
    )
    notes = [Note(text, what, f"{len(tests)} tests", ALPHA, power.pairs_needed(len(tests)))]
    return ReadableTable(
        caption, [(d, n) for d in datasets for n in names], [Group("ablation", rows)], "part", [], notes
    )


def _ablation_cells(row: dict[Any, Any], one_level: bool) -> list[Cell]:
    if pd.isna(row["difference"]):
        return [Cell(EMPTY)] * 4
    median = signed(row["difference"])
    if not pd.isna(row["ci_low"]):
        level = "" if one_level else f"; {row['ci_level']:.3f}"
        median += f" [{signed(row['ci_low'])}, {signed(row['ci_high'])}{level}]"
    p = EMPTY if pd.isna(row["p_holm"]) else p_number(row["p_holm"])
    significant = bool(row["p_holm"] <= ALPHA)
    same = f"{row['same_answer']} of {row['n']}"
    return [Cell(median, significant), Cell(signed(row["mean_difference"])), Cell(p, significant), Cell(same)]


def readable_trainings(results: Results) -> ReadableTable:
    """What answers that were trained from scratch cost and how large they are, a row a searcher."""
    targets = list(results.campaign.evaluations)
    names = [
        "std search",
        "std training",
        "params, M",
        "multiply-adds, M",
        "training " + trained.days(results.evaluations),
    ]
    groups: dict[str, Group] = {}
    rows = {(row["label"], row["target"]): row for row in trained.costs(results)}
    for searcher in results.searchers:
        own = [rows[searcher.label, target] for target in targets]
        cells = [Cell(str(own[0]["n"]))]
        for row in own:
            cells += [Cell(_mean(row["std_search"])), Cell(_mean(row["std_training"]))]
            cells += [Cell(EMPTY if row[k] is None else f"{row[k] / 1e6:.3f}") for k in ("parameters", "multiply_adds")]
            cells.append(Cell(quantity(row["training_days"])))
        cells.append(Cell(quantity(own[0]["search_days"])))
        groups.setdefault(searcher.kind, Group(searcher.kind, [])).rows.append(Row(searcher.spec, "", cells))
    searched = [r for r in results.records if r.kind != "imported"]
    text = (
        "Params and multiply-adds (convolutions and linear maps, one image) are means over answers, without the "
        "auxiliary head. std search: of the runs' scores; std training: of trainings of one cell, pooled. Days are of "
        "one device: of a search, on {}; of one training, on {}. They are never added up."
    )
    notes = [Note(text, trained.devices(searched), trained.devices(results.evaluations))]
    caption = "Answers trained from scratch: their size, what varies, and the cost of a search and of a training"
    scores = [(target, name) for target in targets for name in names]
    return ReadableTable(
        caption, scores, list(groups.values()), costs=[f"search {trained.days(searched)}"], footnotes=notes
    )


def _space_group(results: Results) -> Group:
    """Two rows for orientation: the best cell of each column, and the mean of all cells in the table."""
    blank = [Cell(EMPTY)] * len(COSTS)
    tables = [results.table(*column) for column in results.columns]
    optimum = [Cell(_mean(table.optimum.value if table else None)) for table in tables]
    mean = [Cell(_mean(table.mean if table else None)) for table in tables]
    which = space_held(results.campaign)
    best = f"optimum (of {which})" if is_partial(results.campaign) else "optimum (of each column)"
    rows = [(best, optimum), (f"mean of {which}", mean)]
    return Group("the space", [Row(name, "", [Cell(EMPTY), *cells, *blank]) for name, cells in rows])


def _add_published(table: ReadableTable, benchmark: str) -> None:
    entries = registry.find(benchmark).published()
    if not entries:
        table.footnotes.append(Note("There are no published rows for {}.", benchmark))
        return
    rows = []
    for entry in entries:
        if entry["source"] not in table.sources:
            table.sources.append(entry["source"])
        cells = [Cell(entry["runs"] or EMPTY)]
        for dataset, split in table.scores:
            name = f"{dataset}_{split}"
            cells.append(Cell(_spread(entry.get(f"{name}_mean"), entry.get(f"{name}_std"))))
        seconds = entry["search_seconds"]
        # table-query methods state the benchmark's clock, weight-sharing ones a GPU's
        simulated = "simulated" in entry["source"]
        clocks = [Cell(EMPTY), Cell(quantity(seconds))] if simulated else [Cell(quantity(seconds)), Cell(EMPTY)]
        note = f"published [{table.sources.index(entry['source']) + 1}]"
        rows.append(Row(entry["method"], note, [*cells, *clocks, Cell(EMPTY)], entry["bibkey"]))
    table.groups.append(Group("published (other people's runs, protocols and hardware; not tested against ours)", rows))


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
    headings = [table.rows_are, "n", *(f"{d}\n{s}" for d, s in table.scores), *table.costs]
    names = [table.rows_are, "n", *(s for _, s in table.scores), *table.costs]
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
        columns=[table.rows_are, "n", *(split for _, split in table.scores), *table.costs],
        firsts=[3 + sum(spans[:i]) for i in range(len(spans))],
        notes=[*(f"Warning: {w}" for w in table.warnings), *table.footnotes,
               *(f"[{i}] {s}" for i, s in enumerate(table.sources, 1))],
    )  # fmt: skip
