"""The readable table of a campaign: groups of rows, what is bold, what is marked, what stands around it.

Accuracies are in percent, seconds are means per run. Published rows stand in a group of their own and are never tested
against ours. `markup` writes it as Markdown, LaTeX and for a terminal; report.html draws it itself.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import pandas as pd

from benchmarks import registry
from benchmarks.errors import UserError, suggestion
from harness.report import collapse, power, trained
from harness.report.ablations import ablation_table
from harness.report.contrasts import comparisons
from harness.report.frames import COSTS, results_table
from harness.report.inference import ALPHA
from harness.report.notes import UNPAIRED, Note, Question, footnotes, warnings
from harness.report.numbers import EMPTY, _mean, _number, _spread, bracketed, p_number, quantity, signed
from harness.results import MEAN, Results, is_partial, space_held

MARKS = {"better": " ↑", "worse": " ↓", "equivalent": " ≈"}  # the row against the first searcher, or its default
INVERSE = {"better": "worse", "worse": "better"}
ALL = "all"  # published rows


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
    """The table that all written formats show. A row's cells are n, `scores` (dataset, split), `counts` and `costs`."""

    caption: str
    scores: list[tuple[str, str]]
    groups: list[Group]
    rows_are: str = "method"
    counts: list[str] = field(default_factory=lambda: ["collapsed"])
    costs: list[str] = field(default_factory=lambda: list(COSTS.values()))
    footnotes: list[Note] = field(default_factory=list)
    sources: list[str] = field(default_factory=list)
    warnings: list[Note] = field(default_factory=list)
    title: str = ""  # its heading on the page

    @property
    def datasets(self) -> list[tuple[str, int]]:
        """Data sets in order, each with its number of columns."""
        return [(d, sum(d == other for other, _ in self.scores)) for d in dict.fromkeys(d for d, _ in self.scores)]

    @property
    def headings(self) -> list[str]:
        return [self.rows_are, "n", *(f"{d} {s}" for d, s in self.scores), *self.counts, *self.costs]


class Frames(NamedTuple):
    """The frames behind the readable table: `results_table`, `comparisons` and `ablation_table` of the same runs."""

    results: pd.DataFrame
    tests: pd.DataFrame
    ablations: pd.DataFrame


def frames_of(results: Results, question: Question = UNPAIRED) -> Frames:
    return Frames(results_table(results), comparisons(results, question), ablation_table(results, question))


def readable_table(
    results: Results,
    published: str | None = None,
    question: Question = UNPAIRED,
    frames: Frames | None = None,
) -> ReadableTable:
    """One row per method, grouped by kind; then the space's bounds and, where a table has the scores, the literature's
    rows: beside trained networks they stand in `literature`.

    The marks stand for the comparisons of the `question`, and for the ablations'; `frames` are `frames_of` the same,
    where they are there already. `published`: ALL or names with commas between; UserError where there is no such row.
    """
    numbers, tests, ablations = frames or frames_of(results, question)
    caption = (
        f"{results.campaign.benchmark}, preset {results.campaign.preset.name}: accuracy in percent of the cells "
        f"that search on {results.campaign.search_dataset} found, mean ± std over seeds"
    )
    marks = {
        (t["b"], t["dataset"]): MARKS.get(INVERSE.get(t["verdict"], t["verdict"]), "") for t in tests.to_dict("records")
    }
    for t in ablations[ablations["endpoint"] == "primary"].to_dict("records"):
        marks[t["label"], t["dataset"]] = MARKS.get(t["verdict"], "")
        marks[t["label"], ""] = MARKS.get(t["collapse_verdict"], "")
    groups = [*_our_groups(results, marks, numbers), *([_space_group(results)] if results.campaign.space else [])]
    table = ReadableTable(caption, _columns(results), groups)
    if published and not has_literature(results):
        add_published(table, results.campaign.benchmark, published, _published_cells)
    table.footnotes += footnotes(results, question) + trained.footnotes(results)
    table.warnings += warnings(results, question) + trained.warnings(results)
    return table


def has_literature(results: Results) -> bool:
    """Whether published rows stand in a table of their own, as those of networks that were trained from scratch do."""
    return bool(results.campaign.evaluations and registry.find(results.campaign.benchmark).published())


def _columns(results: Results) -> list[tuple[str, str]]:
    return [*results.columns, (MEAN, "test")] if results.endpoint == MEAN else results.columns


def _our_groups(results: Results, marks: dict[tuple[str, str], str], numbers: pd.DataFrame) -> list[Group]:
    """Our rows; the marks by (label, data set), collapse without one. Bold is the best of a kind: budgets differ."""
    columns = _columns(results)
    frame = numbers.set_index(["dataset", "split"])
    planned_of = {s.label: len(results.planned(s)) for s in results.searchers}
    guessing = {r.label for r in results.records if r.guessing}
    complete = frame[frame["n"] >= frame["label"].map(planned_of)]  # fewer seeds are another sample
    complete = complete[~complete["label"].isin(guessing)]
    # compared as written, so that two rows that read the same are both bold
    written = {
        (kind, (d, s)): sorted({float(_mean(m)) for m in part["mean"].dropna()})
        for (kind, d, s), part in complete.reset_index().groupby(["kind", "dataset", "split"])
    }
    groups: dict[str, Group] = {}
    rivals = complete.groupby("kind")["label"].nunique()  # a row alone of its kind is best of nothing
    for searcher in results.searchers:
        rows = frame[frame["label"] == searcher.label].loc[columns]
        n, planned = int(rows["n"].max()), planned_of[searcher.label]
        cells = [Cell(str(n) if n >= planned else f"{n}/{planned}")]
        for column, mean, std in zip(columns, rows["mean"], rows["std"], strict=True):
            mark = marks.get((searcher.label, column[0]), "") if column[1] == "test" else ""
            text = _spread(mean, std) + mark
            ranked = n >= planned and searcher.label not in guessing and _mean(mean) != EMPTY
            place = written[searcher.kind, column][::-1].index(float(_mean(mean))) if ranked else None
            cells.append(Cell(text, bold=place == 0 and bool(rivals[searcher.kind] > 1), second=place == 1))
        fallen, of = int(rows["collapsed"].iloc[0]), len(results.runs(searcher.label))
        rate = collapse.words(fallen, of) if searcher.uses_seed else f"{fallen} of {of}"  # which has one run
        cells.append(Cell(rate + marks.get((searcher.label, ""), "") if of else EMPTY))
        seconds, *others = (rows[cost].iloc[0] for cost in COSTS)
        cells += [Cell(quantity(seconds)), *(Cell(quantity(value)) for value in others)]
        group = groups.setdefault(searcher.kind, Group(searcher.kind, []))
        group.rows.append(Row(searcher.spec, "", cells))
    return list(groups.values())


def readable_ablations(frame: pd.DataFrame) -> ReadableTable:
    """The test split of `ablation_table` as one table for Markdown, LaTeX and HTML."""
    tests = frame[frame["split"] == "test"]
    primary = tests[tests["endpoint"] == "primary"]
    datasets = list(dict.fromkeys([*primary["dataset"], *tests["dataset"]]))
    one_level = tests["ci_level"].nunique(dropna=False) == 1  # else each interval says its own
    rows = []
    for name, part in tests.groupby("ablation", sort=False):
        first, *others = part.set_index("dataset").loc[datasets].to_dict("records")
        changed = first["spec"].removeprefix(first["searcher"].split("[")[0])
        cells = [Cell(str(first["n"])), *_difference_cells(first, one_level), _p_cell(first["p_holm"])]
        cells += [cell for row in others for cell in _difference_cells(row, one_level)]
        fallen = EMPTY if pd.isna(first["collapsed"]) else f"{first['collapsed']} of {first['n']}"
        cells += [Cell(fallen), _p_cell(first["p_collapse_holm"]), Cell(f"{first['same_answer']} of {first['n']}")]
        rows.append(Row(str(name), changed, cells))
    searcher, family = tests["searcher"].iloc[0], len(primary)
    caption = f"{searcher} without its parts: ablation minus default in accuracy points, over the seeds that both have"
    level = tests["ci_level"].iloc[0] if one_level else None
    what = "and its level" if _number(level) is None else f"of level {level:.3f}"
    text = (
        "In brackets the median's order-statistic interval {}, and the mean's of 95 %. p: {} on {}, the primary "
        "endpoint; p of collapse: McNemar's; each after Holm over {} ablations; bold: p ≤ {}. Below {} pairs no p can "
        "reach that: then the intervals are all that is said. Collapsed: of the default {}. "
        "Same answer: at how many seeds the two cells compute the same function."
    )
    whole = primary["collapsed_default"].iloc[0] if family else 0
    test = next(iter(primary["test"].dropna()), "no test").partition(",")[0]
    notes = [Note(text, what, test, datasets[0], family, ALPHA, power.pairs_needed(max(family, 1)), whole)]
    names = ["median difference", "mean difference"]
    scores = [*((datasets[0], name) for name in (*names, "p")), *((d, name) for d in datasets[1:] for name in names)]
    counts = ["collapsed", "p, collapse", "same answer"]
    return ReadableTable(caption, scores, [Group("ablation", rows)], "part", counts, [], notes, title="Ablations")


def _difference_cells(row: dict[Any, Any], one_level: bool) -> list[Cell]:
    if pd.isna(row["difference"]):
        return [Cell(EMPTY)] * 2
    median = signed(row["difference"])
    if not pd.isna(row["ci_low"]):
        level = "" if one_level else f"; {row['ci_level']:.3f}"
        median += f" [{signed(row['ci_low'])}, {signed(row['ci_high'])}{level}]"
    mean = signed(row["mean_difference"])
    if not pd.isna(row["mean_low"]):
        mean += f" {bracketed(row['mean_low'], row['mean_high'], signed)}"
    return [Cell(median, bool(row["p_holm"] <= ALPHA)), Cell(mean)]


def _p_cell(p: float) -> Cell:
    return Cell(EMPTY) if pd.isna(p) else Cell(p_number(p), bool(p <= ALPHA))


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
    typed = any(row["skips"] is not None for row in rows.values())
    for searcher in results.searchers:
        own = [rows[searcher.label, target] for target in targets]
        cells = [Cell(str(own[0]["n"]))]
        for row in own:
            cells += [Cell(_mean(row["std_search"])), Cell(_mean(row["std_training"]))]
            cells += [Cell(EMPTY if row[k] is None else f"{row[k] / 1e6:.3f}") for k in ("parameters", "multiply_adds")]
            cells.append(Cell(device_days(row["training_days"])))
        if typed:
            cells.append(Cell(_mean(own[0]["skips"])))
        cells.append(Cell(device_days(own[0]["search_days"])))
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
        caption,
        scores,
        list(groups.values()),
        counts=["skips of a normal cell"] * typed,
        costs=[f"search {trained.days(searched)}"],
        footnotes=notes,
        title="Training from scratch",
    )


def _space_group(results: Results) -> Group:
    """Two rows for orientation: the best cell of each column, and the mean of all cells in the table."""
    blank = [Cell(EMPTY)] * (1 + len(COSTS))
    tables = [results.table(*column) for column in results.columns]
    more = results.endpoint == MEAN  # of which these two are the scale
    optimum = [Cell(_mean(v)) for v in (*(t.optimum.value if t else None for t in tables), *[100.0] * more)]
    mean = [Cell(_mean(v)) for v in (*(t.mean if t else None for t in tables), *[0.0] * more)]
    which = space_held(results.campaign)
    best = f"optimum (of {which})" if is_partial(results.campaign) else "optimum (of each column)"
    rows = [(best, optimum), (f"mean of {which}", mean)]
    return Group("the space", [Row(name, "", [Cell(EMPTY), *cells, *blank]) for name, cells in rows])


def add_published(
    table: ReadableTable,
    benchmark: str,
    names: str,
    cells_of: Callable[[ReadableTable, dict[str, str]], list[Cell]],
) -> None:
    """The literature's rows as the last group of a table, with their sources and what the benchmark says of them."""
    owner = registry.find(benchmark)
    entries = owner.published()
    if not entries:
        table.footnotes.append(Note("There are no published rows for {}.", benchmark))
        return
    there = {entry["method"]: None for entry in entries}
    chosen = list(there) if names == ALL else [name.strip() for name in names.split(",")]
    for name in chosen:
        if name not in there:
            raise UserError(f"--published {name!r}{suggestion(name, list(there))}; alone, it takes all rows")
    rows = []
    for entry in (entry for entry in entries if entry["method"] in chosen):
        if entry["source"] not in table.sources:
            table.sources.append(entry["source"])
        note = f"published [{table.sources.index(entry['source']) + 1}]"
        rows.append(Row(entry["method"], note, cells_of(table, entry), entry["bibkey"]))
    table.groups.append(Group("published (other people's runs, protocols and hardware; not tested against ours)", rows))
    if owner.beside_published:
        table.footnotes.append(Note("{}", owner.beside_published))


def _published_cells(table: ReadableTable, entry: dict[str, str]) -> list[Cell]:
    """A published row of a table of accuracies and seconds."""
    scores = [f"{dataset}_{split}" for dataset, split in table.scores]
    cells = [Cell(_spread(entry.get(f"{name}_mean"), entry.get(f"{name}_std"))) for name in scores]
    seconds = entry["search_seconds"]
    # table-query methods state the benchmark's clock, weight-sharing ones a GPU's
    simulated = "simulated" in entry["source"]
    clocks = [Cell(EMPTY), Cell(quantity(seconds))] if simulated else [Cell(quantity(seconds)), Cell(EMPTY)]
    return [Cell(entry["runs"] or EMPTY), *cells, Cell(EMPTY), *clocks, Cell(EMPTY)]


def device_days(days: float | None) -> str:
    """Device-days, without exponents where they are next to none."""
    return "< 0.001" if days is not None and 0 < days < 0.001 else quantity(days)
