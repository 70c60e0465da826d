"""Answers that were trained from scratch beside the literature's, in the form that papers on such spaces print."""

from __future__ import annotations

from typing import Any

import pandas as pd

from benchmarks import registry
from harness.report import trained
from harness.report.notes import Note
from harness.report.numbers import EMPTY, _number, _spread, quantity
from harness.report.readable import Cell, Frames, Group, ReadableTable, Row, add_published, device_days
from harness.results import Results


def readable_literature(results: Results, frames: Frames, published: str) -> ReadableTable:
    """Our trained answers above the literature's rows, in the form that papers print: errors, parameters, search cost.

    `published` as for `readable_table`.
    """
    campaign = results.campaign
    recipes = ", ".join(dict.fromkeys(how.recipe.name for how in campaign.evaluations.values()))
    table = ReadableTable(
        f"{campaign.benchmark}, preset {campaign.preset.name}: test errors of trained networks, their parameters and "
        "the cost of a search, beside published ones",
        [
            *(("CIFAR-10", "error, %"), ("CIFAR-10", "params, M"), ("CIFAR-100", "error, %")),
            *(("ImageNet", "top-1 error, %"), ("ImageNet", "top-5 error, %")),
        ],
        [Group(f"this campaign (recipe {recipes})", _literature_rows(results, frames.results))],
        counts=[],
        costs=["search, GPU-days"],
        title="Beside the literature",
    )
    if recipes != registry.find(campaign.benchmark).full:
        text = "This campaign trains by recipe {}, not by the papers': its errors do not compare with theirs."
        table.footnotes.append(Note(text, recipes))
    add_published(table, campaign.benchmark, published, _published_errors)
    text = (
        "n of this campaign: searches, none of them selected, × trainings of each answer, whose mean is a search's "
        "error; ± is the standard deviation over searches (ddof 1). Published ± are as the papers have them, mostly "
        "over trainings of one chosen cell. Parameters are without the auxiliary head; this campaign's are of the "
        "networks for cifar10, means over answers. Days are of one device: this campaign's of one search, on {}."
    )
    searched = [r for r in results.records if r.kind != "imported"]
    table.footnotes += [Note(text, trained.devices(searched)), *trained.footnotes(results)]
    table.warnings += trained.warnings(results)
    return table


def _literature_rows(results: Results, numbers: pd.DataFrame) -> list[Row]:
    """A row of `readable_literature` for each of our searchers; `numbers` is their `results_table`."""
    seeds = sorted({len(how.seeds) for how in results.campaign.evaluations.values()})
    trainings = " to ".join(map(str, dict.fromkeys((seeds[0], seeds[-1]))))
    tests = numbers[numbers["split"] == "test"]
    costs = trained.costs(results)
    rows = []
    for searcher in results.searchers:
        scores = tests[tests["label"] == searcher.label].to_dict("records")
        ten, hundred, imagenet = (
            next((_error(s["mean"], s["std"]) for s in scores if s["dataset"] == target), Cell(EMPTY))
            for target in ("cifar10", "cifar100", "imagenet")
        )
        own = {row["target"]: row for row in costs if row["label"] == searcher.label}
        parameters = own.get("cifar10", {}).get("parameters")
        size = Cell(EMPTY if parameters is None else f"{parameters / 1e6:.2f}")
        n, planned = max((s["n"] for s in scores), default=0), len(results.planned(searcher))
        searches = str(n) if n >= planned else f"{n}/{planned}"
        unit = "days" if searcher.kind == "imported" else trained.days(results.runs(searcher.label))
        days = device_days(next(iter(own.values()))["search_days"])
        cost = Cell(days if unit == "GPU-days" or days == EMPTY else f"{days} {unit}")  # the heading says GPU-days
        top5 = Cell(EMPTY)  # no record has it
        cells = [Cell(f"{searches} × {trainings}"), ten, size, hundred, imagenet, top5, cost]
        rows.append(Row(searcher.spec, "", cells))
    return rows


def _published_errors(table: ReadableTable, entry: dict[str, str]) -> list[Cell]:
    """A published row of `readable_literature`."""
    top1, top5 = (_error(entry.get(f"imagenet_{name}_mean"), "") for name in ("test", "top5"))
    ten, hundred = (_error(entry.get(f"{d}_test_mean"), entry.get(f"{d}_test_std")) for d in ("cifar10", "cifar100"))
    seconds = _number(entry["search_seconds"])
    cost = EMPTY if seconds is None else quantity(seconds / trained.DAY)
    return [Cell(entry["runs"] or EMPTY), ten, Cell(entry.get("params_M") or EMPTY), hundred, top1, top5, Cell(cost)]


def _error(accuracy: Any, std: Any) -> Cell:
    number = _number(accuracy)
    return Cell(EMPTY if number is None else _spread(100 - number, std))
