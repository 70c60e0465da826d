"""Records of a campaign as tables: frames for programs, one readable table behind Markdown, LaTeX and HTML.

`records` and `campaign` are the plain dicts of record.json and campaign.json; accuracies are in percent,
seconds are means per run. Measured and simulated seconds stand in columns of their own and are never added.
"""

from __future__ import annotations

import csv
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from importlib import resources
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from benchmarks.nb201.cell import OPERATIONS
from harness import statistics
from harness.remarks import (
    Campaign,
    Note,
    Record,
    done,
    footnotes,
    planned_seeds,
    score_columns,
    searchers_of,
    warnings,
)

# fmt: off
TABLE_COLUMNS = [
    "searcher", "label", "kind", "search_dataset", "dataset", "split", "epochs", "n", "mean", "std", "median",
    "ci_low", "ci_high", "ci_level", "regret", "mean_without_none", "std_without_none",
    "search_seconds", "simulated_seconds", "evaluations", "iqm", "iqm_low", "iqm_high",
    "relative_improvement", "beaten",
]
COMPARISON_COLUMNS = [
    "dataset", "split", "a", "b", "n_a", "n_b", "test", "p", "p_holm",
    "effect", "effect_low", "effect_high", "verdict",
]
TEXT_COLUMNS = {
    "searcher", "label", "kind", "search_dataset", "dataset", "split", "a", "b", "test", "verdict", "modal_cell",
}
# fmt: on
DIAGNOSTIC_COLUMNS = [
    "searcher",
    "label",
    "n",
    "collapsed",
    "disconnected",
    "distinct_cells",
    "modal_cell",
    "modal_share",
    *OPERATIONS,
    "answer_changes",
    "queried_cells",
    "queried_canonical",
    "alpha_entropy",
    "alpha_change",
    "one_shot_spearman",
    "one_shot_spearman_good",
]
AVERAGED = ("queried_cells", "queried_canonical", "alpha_entropy", "alpha_change")  # as they stand in a record
COUNT_COLUMNS = {"n", "n_a", "n_b", "collapsed", "disconnected", "distinct_cells"}
COSTS = {"search_seconds": "search s (days)", "simulated_seconds": "simulated s", "evaluations": "evaluations"}
PUBLISHED_PREFIX = {"cifar10": "cifar10", "cifar100": "cifar100", "ImageNet16-120": "imagenet16"}
EMPTY = "–"
MARKS = {"better": " ↓", "worse": " ↑", "equivalent": " ≈"}  # the row against the first searcher

Scores = dict[tuple[str, str, str, bool], list[float]]  # (label, dataset, split, without_none) -> a value a seed


def group_scores(records: Sequence[Record]) -> Scores:
    """Final scores of the finished runs, a value a seed."""
    groups: Scores = defaultdict(list)
    for r in done(records):
        for s in r["scores"]:
            if s["value"] is not None:  # the table may lack an entry; n then says so
                groups[r["label"], s["dataset"], s["split"], s["without_none"]].append(s["value"])
    return groups


def group_scores_by_seed(runs: Sequence[Record], dataset: str, split: str) -> dict[int, float]:
    """Seed -> final score of finished runs of one searcher, `none` kept."""
    return {
        r["seed"]: s["value"]
        for r in done(runs)
        for s in r["scores"]
        if (s["dataset"], s["split"], s["without_none"]) == (dataset, split, False) and s["value"] is not None
    }


def results_table(records: Sequence[Record], campaign: Campaign) -> pd.DataFrame:
    """One row per searcher x dataset x split with the columns of table.csv; NaN where nothing can be said."""
    groups = group_scores(records)
    epochs = {(s["dataset"], s["split"]): s["epochs"] for r in done(records) for s in r["scores"]}
    rows = []
    for searcher in searchers_of(records, campaign):
        label = searcher["label"]
        runs = [r for r in done(records) if r["label"] == label]
        known = {name: [r[name] for r in runs if r.get(name) is not None] for name in COSTS}
        costs = {name: statistics.summary(values).mean for name, values in known.items()}
        for dataset, split in score_columns(records, campaign):
            values = groups.get((label, dataset, split, False), [])
            without = statistics.summary(groups.get((label, dataset, split, True), []))
            about = campaign["space"].get(dataset, {}).get(split)
            rows.append(
                {"searcher": searcher["searcher"], "label": label, "kind": searcher["kind"]}
                | {"search_dataset": campaign["search_dataset"], "dataset": dataset, "split": split}
                | {"epochs": epochs.get((dataset, split), about["epochs"] if about else None)}
                | statistics.summary(values)._asdict()
                | {"regret": statistics.regret(about["optimum"]["value"], values) if about else None}
                | {"mean_without_none": without.mean, "std_without_none": without.std}
                | costs
                | _standing(values, about)
            )
    return _frame(rows, TABLE_COLUMNS)


def _standing(values: list[float], about: dict[str, Any] | None) -> dict[str, float | None]:
    """Where the answers stand among all cells: relative improvement over their mean, % of them beaten (mean)."""
    mean, (low, high) = statistics.summary(values).mean, statistics.iqm_interval(values)
    found: dict[str, float | None] = {"iqm": statistics.iqm(values), "iqm_low": low, "iqm_high": high}
    if about is None or mean is None:
        return found | {"relative_improvement": None, "beaten": None}
    beaten = [statistics.beaten(v, about["quantiles"]) for v in values]
    return found | {
        "relative_improvement": 100 * (mean - about["mean"]) / about["mean"],  # Yang et al., ICLR 2020
        "beaten": sum(beaten) / len(beaten),
    }


class Asked(NamedTuple):
    """Which test the user wants: pairs of the same seed or not, and a margin of equivalence in percent points."""

    paired: bool = False
    margin: float | None = None


UNPAIRED = Asked()


def comparisons(records: Sequence[Record], campaign: Campaign, asked: Asked = UNPAIRED) -> pd.DataFrame:
    """The first searcher against each other one, per dataset on the test split; all of it is one Holm family.

    A margin also asks whether the two are equivalent (two one-sided tests, with a Holm family of their own).
    """
    reference, *others = [s["label"] for s in searchers_of(records, campaign)]
    datasets = [d for d, split in score_columns(records, campaign) if split == "test"]
    pairs = [(d, o, *_groups_to_compare(records, (reference, o), d, asked)) for o in others for d in datasets]
    compare = statistics.compare_paired if asked.paired else statistics.compare
    tests = [compare(a, b) for _, _, a, b in pairs]
    adjusted = statistics.holm([t.p for t in tests])
    equivalence: list[float | None] = [None] * len(pairs)
    if asked.margin is not None:
        equivalence = statistics.holm([_equivalence(a, b, asked) for _, _, a, b in pairs])
    rows = [
        {"dataset": dataset, "split": "test", "a": reference, "b": other, "n_a": len(a), "n_b": len(b)}
        | test._asdict()
        | {"p_holm": p, "verdict": statistics.verdict(a, b, p, same)}
        for (dataset, other, a, b), test, p, same in zip(pairs, tests, adjusted, equivalence, strict=True)
    ]
    return _frame(rows, COMPARISON_COLUMNS)


def _groups_to_compare(
    records: Sequence[Record], labels: tuple[str, str], dataset: str, asked: Asked
) -> tuple[list[float], list[float]]:
    """Test scores of two searchers; paired ones at the seeds that both have, in the same order."""
    a, b = (group_scores_by_seed([r for r in records if r["label"] == label], dataset, "test") for label in labels)
    if not asked.paired:
        return list(a.values()), list(b.values())
    seeds = sorted(a.keys() & b.keys())
    return [a[s] for s in seeds], [b[s] for s in seeds]


def _equivalence(a: list[float], b: list[float], asked: Asked) -> float | None:
    assert asked.margin is not None
    if asked.paired:
        return statistics.paired_equivalence_p([x - y for x, y in zip(a, b, strict=True)], asked.margin)
    return statistics.equivalence_p(a, b, asked.margin)


def runs_table(records: Sequence[Record], campaign: Campaign) -> pd.DataFrame:
    """runs.csv: one row per run with its answer, its final scores (columns `<dataset> <split>`) and what it cost."""
    about = ["searcher", "label", "spec", "kind", "seed", "status", "index", "cell", "collapsed", "search_seconds",
             "simulated_seconds", "evaluations", "train_images", "eval_images"]  # fmt: skip
    columns = score_columns(records, campaign)
    rows = []
    for r in records:
        scores = {(s["dataset"], s["split"]): s["value"] for s in r["scores"] if not s["without_none"]}
        rows.append([*(r.get(name) for name in about), *(scores.get(column) for column in columns)])
    frame = pd.DataFrame(rows, columns=[*about, *(f"{d} {s}" for d, s in columns)])
    return frame.astype(dict.fromkeys(("index", "evaluations", "train_images", "eval_images"), "Int64"))


def rank_tests(records: Sequence[Record], campaign: Campaign) -> dict[str, statistics.Ranks]:
    """Data set -> Friedman and Nemenyi over its seeds (test split), of the seeds at which every searcher has a score.

    The data sets are no blocks of one test: their columns come from the same searches.
    """
    labels = [s["label"] for s in searchers_of(records, campaign)]
    found = {}
    for dataset in (d for d, split in score_columns(records, campaign) if split == "test"):
        by_seed = [group_scores_by_seed([r for r in records if r["label"] == k], dataset, "test") for k in labels]
        seeds = sorted(set.intersection(*map(set, by_seed))) if by_seed else []
        blocks = [[values[seed] for values in by_seed] for seed in seeds]
        found[dataset] = statistics.rank_blocks(np.array(blocks).reshape(len(seeds), len(labels)))
    return found


def diagnostics(records: Sequence[Record], campaign: Campaign) -> pd.DataFrame:
    """One row per searcher with the columns of diagnostics.csv: what its searches did, means over finished runs.

    Operations are edges of the answered cells; `modal_*` is the commonest answer; `queried_*` are the different cells
    that the proxy was asked for, and how many of them are not isomorphic (NATS-Bench's canonical form). NaN where a
    kind of searcher has no such thing (multi-trial ones have no supernet, imported cells no search).
    """
    rows = []
    for searcher in searchers_of(records, campaign):
        runs = [r for r in done(records) if r["label"] == searcher["label"]]
        cells = Counter(r["cell"] for r in runs)
        modal, times = cells.most_common(1)[0] if cells else ("", 0)
        one_shot = [r["one_shot"] for r in runs if r.get("one_shot")]
        row = {"searcher": searcher["spec"], "label": searcher["label"], "n": len(runs)}
        row |= {name: sum(bool(r.get(name)) for r in runs) for name in ("collapsed", "disconnected")}
        row |= {"distinct_cells": len(cells), "modal_cell": modal, "modal_share": times / len(runs) if runs else None}
        row |= {op: _average([r["cell"].count(op) for r in runs]) for op in OPERATIONS}
        row |= {"answer_changes": _average([len(r["trajectory"]) - 1 for r in runs if r["trajectory"]])}
        row |= {name: _average([r.get(name) for r in runs]) for name in AVERAGED}
        row |= {f"one_shot_{k}": _average([o[k] for o in one_shot]) for k in ("spearman", "spearman_good")}
        rows.append(row)
    return _frame(rows, DIAGNOSTIC_COLUMNS)


def _average(values: Iterable[float | None]) -> float | None:
    known = [v for v in values if v is not None]
    return sum(known) / len(known) if known else None


def _frame(rows: list[dict], columns: list[str]) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=columns)
    kinds = {c: "int64" if c in COUNT_COLUMNS else "float64" for c in columns if c not in TEXT_COLUMNS}
    frame = frame.astype(kinds)
    return frame.astype({"epochs": "Int64"}) if "epochs" in columns else frame


def to_csv(frame: pd.DataFrame) -> str:
    """CSV text; empty where there is no value, ten digits (0.1 + 0.2 is written 0.3)."""
    return frame.to_csv(index=False, float_format="%.10g", lineterminator="\n")


class Cell(NamedTuple):
    """One entry of the readable table."""

    text: str
    bold: bool = False
    second: bool = False  # second best: underlined, in Markdown italic


class Row(NamedTuple):
    """A method; `note` says where a row that is not ours comes from."""

    method: str
    note: str
    cells: list[Cell]
    cite: str = ""  # BibTeX key in published.bib, where we know the entry


class Group(NamedTuple):
    """Rows that may be read against each other, under one title."""

    title: str
    rows: list[Row]


@dataclass
class ReadableTable:
    """What all written formats show: cells are n, then `scores` (dataset, split), then `costs`."""

    caption: str
    scores: list[tuple[str, str]]
    groups: list[Group]
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
        return ["method", "n", *(f"{d} {s}" for d, s in self.scores), *self.costs]


def readable_table(
    records: Sequence[Record],
    campaign: Campaign,
    published: bool = False,
    tests: pd.DataFrame | None = None,
    results: pd.DataFrame | None = None,
) -> ReadableTable:
    """One row per method, grouped by kind; then the space's bounds and, if asked, the published rows.

    `tests` are the comparisons that the marks stand for, by default the unpaired ones; `results` is `results_table`
    where that is there already.
    """
    tests = comparisons(records, campaign) if tests is None else tests
    results = results_table(records, campaign) if results is None else results
    columns = score_columns(records, campaign)
    caption = (
        f"{campaign['benchmark']}, preset {campaign['preset']['name']}: accuracy in percent of the cells "
        f"that search on {campaign['search_dataset']} found, mean ± std over seeds"
    )
    groups = [*_our_groups(records, campaign, columns, tests, results), _space_group(columns, campaign)]
    table = ReadableTable(caption, columns, groups)
    if published:
        _add_published(table, campaign)
    table.footnotes += footnotes(records, campaign)
    table.warnings += warnings(records, campaign)
    return table


def _our_groups(
    records: Sequence[Record],
    campaign: Campaign,
    columns: list[tuple[str, str]],
    tests: pd.DataFrame,
    results: pd.DataFrame,
) -> list[Group]:
    frame = results.set_index(["dataset", "split"])
    # compared as written, so that two rows that read the same are both bold
    written = {c: sorted({float(_mean(m)) for m in part.dropna()}) for c, part in frame.groupby(level=[0, 1])["mean"]}
    marks = {(row["b"], row["dataset"], "test"): MARKS[row["verdict"]] for row in tests.to_dict("records")
             if row["verdict"] in MARKS}  # fmt: skip
    groups: dict[str, Group] = {}
    for searcher in searchers_of(records, campaign):
        rows = frame[frame["label"] == searcher["label"]].loc[columns]
        n, planned = int(rows["n"].max()), len(planned_seeds(searcher, campaign))
        cells = [Cell(str(n) if n >= planned else f"{n}/{planned}")]
        for column, mean, std in zip(columns, rows["mean"], rows["std"], strict=True):
            text = _spread(mean, std) + marks.get((searcher["label"], *column), "")
            place = written[column][::-1].index(float(_mean(mean))) if _mean(mean) != EMPTY else 9
            cells.append(Cell(text, bold=place == 0, second=place == 1))
        seconds, *others = (rows[cost].iloc[0] for cost in COSTS)
        cells += [Cell(_with_days(seconds)), *(Cell(_quantity(value)) for value in others)]
        group = groups.setdefault(searcher["kind"], Group(searcher["kind"], []))
        group.rows.append(Row(searcher["spec"], "", cells))
    return list(groups.values())


def _space_group(columns: list[tuple[str, str]], campaign: Campaign) -> Group:
    """What the benchmark itself allows: the best cell of each column, and the mean of all cells."""
    blank = [Cell(EMPTY)] * len(COSTS)
    about = [campaign["space"].get(d, {}).get(s) for d, s in columns]
    optimum = [Cell(_mean(a["optimum"]["value"]) if a else EMPTY) for a in about]
    mean = [Cell(_mean(a["mean"]) if a else EMPTY) for a in about]
    rows = [("optimum (of each column)", optimum), ("mean of all cells", mean)]
    return Group("the space", [Row(name, "", [Cell(EMPTY), *cells, *blank]) for name, cells in rows])


def published_rows() -> list[dict[str, str]]:
    """Rows of benchmarks/nb201/published.csv: figures of the literature with their sources, as text."""
    text = resources.files("benchmarks.nb201").joinpath("published.csv").read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))


def published_bibtex() -> str:
    """The BibTeX entries that published rows cite; rows without a key have a source but no entry of ours."""
    return resources.files("benchmarks.nb201").joinpath("published.bib").read_text(encoding="utf-8")


def _add_published(table: ReadableTable, campaign: Campaign) -> None:
    if campaign["benchmark"] != "nb201":
        table.footnotes.append(Note("There are no published rows for {}.", campaign["benchmark"]))
        return
    rows = []
    for entry in published_rows():
        if entry["source"] not in table.sources:
            table.sources.append(entry["source"])
        cells = [Cell(entry["runs"] or EMPTY)]
        for dataset, split in table.scores:
            name = f"{PUBLISHED_PREFIX.get(dataset)}_{split}"
            cells.append(Cell(_spread(entry.get(f"{name}_mean"), entry.get(f"{name}_std"))))
        seconds = entry["search_seconds"]
        # table-query methods state the benchmark's clock, weight-sharing ones a GPU's
        simulated = "simulated" in entry["source"]
        clocks = [Cell(EMPTY), Cell(_quantity(seconds))] if simulated else [Cell(_with_days(seconds)), Cell(EMPTY)]
        note = f"published [{table.sources.index(entry['source']) + 1}]"
        rows.append(Row(entry["method"], note, [*cells, *clocks, Cell(EMPTY)], entry["bibkey"]))
    table.groups.append(Group("published (other people's runs, protocols and hardware; not tested against ours)", rows))


def _number(value: Any) -> float | None:
    return None if value is None or value == "" or pd.isna(value) else float(value)


def _mean(value: Any) -> str:
    number = _number(value)
    return EMPTY if number is None else f"{number:.2f}"


def _spread(mean: Any, std: Any) -> str:
    return _mean(mean) if _number(std) is None or _number(mean) is None else f"{_mean(mean)} ± {_mean(std)}"


def _quantity(value: Any) -> str:
    number = _number(value)
    if number is None:
        return EMPTY
    return f"{number:,.0f}" if abs(number) >= 100 else f"{number:.3g}"


def _with_days(seconds: Any) -> str:
    """Seconds, and the days of the device that they are, as papers state GPU-days."""
    number = _number(seconds)
    return EMPTY if number is None else f"{_quantity(number)} ({number / 86_400:.2g})"


def to_markdown(table: ReadableTable) -> str:
    """GitHub's Markdown: a bold line opens each group; footnotes, sources and warnings below."""
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
    notes = [f"- **Warning:** {w.escaped(markdown_text)}" for w in table.warnings]
    notes += [f"- {f.escaped(markdown_text)}" for f in table.footnotes]
    notes += [f"- [{i}] {markdown_text(s)}" for i, s in enumerate(table.sources, 1)]
    return "\n".join([f"{markdown_text(table.caption)}", "", *lines, "", *notes, ""])


def _markdown_cell(cell: Cell) -> str:
    mark = "**" if cell.bold else "*" if cell.second else ""
    return f"{mark}{cell.text}{mark}"


def _markdown_row(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def markdown_text(text: str) -> str:
    """Text that stays text in a Markdown table: no markup, no HTML, no line breaks, no cell ends."""
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
    """Text that stays text in LaTeX; brackets in braces, as a row may not begin with one."""
    escaped = "".join(LATEX.get(c, c) for c in " ".join(text.split()))
    return escaped.replace("[", "{[}").replace("]", "{]}")


def to_latex(table: ReadableTable) -> str:
    """A table with booktabs rules; needs packages booktabs and (for its wide rows) graphicx."""
    datasets, spans = [d for d, _ in table.datasets], [n for _, n in table.datasets]
    starts = [3 + sum(spans[:i]) for i in range(len(spans))]
    top = [rf"\multicolumn{{{n}}}{{c}}{{{latex_text(d)}}}" for d, n in zip(datasets, spans, strict=True)]
    rules = "".join(rf"\cmidrule(lr){{{s}-{s + n - 1}}}" for s, n in zip(starts, spans, strict=True))
    names = ["method", "n", *(s for _, s in table.scores), *table.costs]
    lines = [" & ".join(["", "", *top, *[""] * len(table.costs)]) + r" \\", rules, _latex_row(names)]
    for group in table.groups:
        title = rf"\multicolumn{{{len(names)}}}{{l}}{{\textit{{{latex_text(group.title)}}}}} \\"
        lines += [r"\midrule", title, *(_latex_method(row) for row in group.rows)]
    notes = [f"Warning: {w}" for w in table.warnings] + table.footnotes
    notes += [f"[{i}] {s}" for i, s in enumerate(table.sources, 1)]
    head = [r"\begin{table}", r"\centering", rf"\caption{{{latex_text(table.caption)}}}"]
    head += [r"\resizebox{\linewidth}{!}{%", rf"\begin{{tabular}}{{l{'r' * (len(names) - 1)}}}", r"\toprule"]
    # the notes stand after the float: with the published sources they are longer than a page may be
    tail = [r"\bottomrule", r"\end{tabular}}", r"\end{table}", r"{\footnotesize\raggedright"]
    tail += [*(latex_text(note) + r"\par" for note in notes), "}", ""]
    return "\n".join(head + lines + tail)


def _latex_row(cells: Iterable[str]) -> str:
    return " & ".join(map(latex_text, cells)) + r" \\"


def _latex_method(row: Row) -> str:
    cells = [_latex_cell(c) for c in row.cells]
    method = latex_text(f"{row.method} ({row.note})" if row.note else row.method)
    return " & ".join([method + (rf"~\cite{{{row.cite}}}" if row.cite else ""), *cells]) + r" \\"


def _latex_cell(cell: Cell) -> str:
    text = latex_text(cell.text)
    return rf"\textbf{{{text}}}" if cell.bold else rf"\underline{{{text}}}" if cell.second else text
