"""Texts that the small commands print: a cell, the best cell, the registries."""

from __future__ import annotations

import csv
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, get_args, get_origin

from pydantic.fields import FieldInfo

from benchmarks import registry
from benchmarks.base import Benchmark, Cell, Entry, SearchSpace
from benchmarks.errors import UserError, suggestion
from harness import options
from harness.progress import duration
from harness.results import origin
from harness.specs import show_settings, show_value
from searchers import catalogue, plugins


def open_benchmarks(table: Path | None, data: Path | None) -> list[tuple[Entry, Benchmark]]:
    """All benchmarks; `--table` names another table of those that take one."""
    places = options.places_for(data)
    entries = map(registry.find, registry.names())
    return [(entry, entry.open(table if entry.takes_table else None, places)) for entry in entries]


def best_cell(dataset: str, split: str, table: Path | None, data: Path | None) -> tuple[str, str]:
    """`harness best`: the optimum in a line, and in another which accuracy it is."""
    benchmarks = [bench for _, bench in open_benchmarks(table, data)]
    bench = next((bench for bench in benchmarks if dataset in bench.datasets), None)
    if bench is None:
        names = dict.fromkeys(name for bench in benchmarks for name in bench.datasets)
        raise UserError(f"data set {dataset!r}{suggestion(dataset, list(names))}")
    if split not in bench.splits:
        raise UserError(f"--split {split!r}{suggestion(split, list(bench.splits))}")
    summary = bench.summary(dataset, split)
    score = None if summary is None else bench.score(summary.optimum, dataset, split)
    if summary is None or score is None:
        raise UserError(f"{bench.name} has no table of all cells: their best is not known")
    space, cell = bench.space, summary.optimum
    partial = "" if summary.cells == space.size else f"; of the {summary.cells:,} cells that this table holds"
    name = " ".join(str(part) for part in (space.index(cell), "", space.to_string(cell)) if part is not None)
    return (
        f"{name}  {score.value:.4f} %",
        f"{dataset} {split}: {score.record} {score.split}, {score.epochs} epochs, mean of {score.trials} trials"
        f"{partial}. {_origin(bench)}",
    )


def _origin(bench: Benchmark) -> str:
    return origin(bench.name, bench.source, bench.version)


def describe_cell(spelling: str, table: Path | None, data: Path | None) -> str:
    """Every notation of a cell, its edges, its cost and every stored accuracy, in the first space that reads it."""
    pairs = open_benchmarks(table, data)
    cell, space = _parsed(spelling, [entry.space for entry, _ in pairs])
    own = [(entry, benchmark) for entry, benchmark in pairs if entry.space is space]
    number = space.index(cell)
    lines = [f"cell {space.to_string(cell) if number is None else number}", f"  string     {space.to_string(cell)}"]
    lines += [f"  {line}" for line in own[0][0].describe(cell)]
    for entry, benchmark in own:
        lines.append(f"  {_origin(benchmark)}")
        lines += [f"  {line}" for line in entry.details(benchmark, cell)]
    return "\n".join(lines)


def _parsed(spelling: str, spaces: Sequence[SearchSpace]) -> tuple[Cell, SearchSpace]:
    """The cell and the first space that has it; the first one's UserError where none does."""
    errors = []
    for space in spaces:
        try:
            return space.parse(spelling), space
        except UserError as error:
            errors.append(error)
    raise errors[0]


def searchers() -> str:
    """Every registered searcher, its kind, and its settings with their defaults and what else they may be."""
    lines = []
    classes, faults = catalogue.load_all()
    for name, searcher in classes.items():
        module = sys.modules[searcher.__module__].__doc__ or ""
        lines.append(f"{name}  ({searcher.kind}) {module.strip().splitlines()[0] if module.strip() else ''}")
        if searcher.reference_epochs:
            lines.append(f"    {searcher.reference_epochs} epochs with the preset paper")
        lines += [f"    {line}" for line in costs(name, searcher.kind)]
        defaults = searcher.Config().model_dump(mode="json")
        for key, field in searcher.Config.model_fields.items():
            setting = f"{key}={show_value(defaults[key])}"
            lines.append(f"    {setting:<28}{allowed(field)}".rstrip())
        for what, settings in searcher.ablations.items():
            lines.append(f"    ablation: {what} [{show_settings(settings)}]")
    lines += [f"not usable: {line}" for line in faults] + list(plugins.name_conflicts().values())
    return "\n".join(lines)


def costs(name: str, kind: str) -> list[str]:
    """What a run takes at each preset, as measured: `costs.csv`, made by results/reference/costs.py."""
    if kind == "multi-trial":
        return ["takes milliseconds: a query is a look-up"]
    with open(Path(__file__).with_name("costs.csv"), encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["spec"].partition("[")[0] == name]
    if not rows:  # of another package
        return []
    lines = []
    for row in rows:
        steps, seconds = int(row["steps"]), float(row["seconds"])
        number = f"{steps:,} steps of {seconds:g} s" if steps > 1 else "1 step"
        spec = "" if row["spec"] == name else f"{row['spec']} "
        origin = {"0": "by the time of its steps", "1": "one run"}.get(
            row["runs"], f"by the fastest of {row['runs']} runs"
        )
        time = duration(steps * seconds) if steps * seconds >= 1 else "under 1 s"
        lines.append(f"{spec}takes {time} at {row['benchmark']} {row['preset']}: {number}, {row['hardware']}, {origin}")
    there = {(row["benchmark"], row["preset"]) for row in rows}
    missing = [f"{b} {p}" for b in registry.names() for p in registry.find(b).presets if (b, p) not in there]
    return [*lines, f"not measured at {', '.join(missing)}"] if missing else lines


def allowed(field: FieldInfo) -> str:
    """What a setting may be, in words; nothing where any value of its default's type is good."""
    values = get_args(field.annotation) if get_origin(field.annotation) is Literal else ()
    choices = ["false", "true"] if field.annotation is bool else [show_value(v) for v in values]
    signs = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<", "multiple_of": "a multiple of"}
    bounds = [
        f"{sign} {getattr(m, name):g}" for m in field.metadata for name, sign in signs.items() if hasattr(m, name)
    ]
    return " or ".join(choices) or ", ".join(bounds)


def benchmarks() -> str:
    """Every registered benchmark in a line."""
    return "\n".join(f"{name:<10} {registry.find(name).text}" for name in registry.names())


def presets() -> str:
    """Every benchmark's presets, a line each, and where answers are trained from scratch its recipes."""
    lines = []
    for name in registry.names():
        entry = registry.find(name)
        for preset, values in entry.presets.items():
            images = f"{values.images:,} + {values.images:,}" if values.images else "all"
            epochs = values.epochs or "each searcher's reference"
            simulated = f"; multi-trial: {entry.simulated_seconds:,.0f} simulated seconds"
            lines.append(
                f"{name:<9} {preset:<6} C={values.channels}, N={values.cells}, "
                f"{values.resolution}×{values.resolution}, {images} images, {epochs} epochs, "
                f"batch {values.batch_size}{simulated if entry.simulated_seconds else ''}"
            )
        for recipe in entry.recipes.values():
            lines.append(
                f"{name:<9} {recipe.name:<6} trains answers: C={recipe.channels}, {recipe.cells} cells, "
                f"{recipe.resolution}×{recipe.resolution}, {f'{recipe.images:,}' if recipe.images else 'all'} images, "
                f"{recipe.epochs} epochs, batch {recipe.batch_size}"
            )
    return "\n".join(lines)
