"""Texts that the small commands print: a cell, the registries, a table, the state of this machine."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, get_args, get_origin

import numpy as np
from pydantic.fields import FieldInfo

from benchmarks.base import UserError
from benchmarks.nb201 import benchmark as nb201
from benchmarks.nb201 import cell as cells
from benchmarks.nb201 import digits
from benchmarks.nb201.benchmark import Benchmark, find_table, open_benchmark
from harness import options
from harness.report.notes import scored_by
from harness.specs import show_settings, show_value
from searchers import base, plugins


def all_benchmarks(table: Path | None, data: Path | None) -> list[Benchmark]:
    """nb201 where its table is found (UserError if that is none), and the embedded digits201."""
    places, embedded = options.places_for(data), open_benchmark(digits.NAME)
    try:
        path = find_table(table, places)
    except UserError:
        return [embedded]
    return [open_benchmark("nb201", path, places), embedded]


def best_cell(dataset: str, split: str, table: Path | None, data: Path | None) -> tuple[str, str]:
    """`harness best`: the optimum in a line, and in another which accuracy it is."""
    benchmarks = all_benchmarks(table, data)
    bench = next((b for b in benchmarks if dataset in b.datasets), None)
    if bench is None:
        if dataset in nb201.CLASSES:
            nb201.open_nb201(find_table(table, options.places_for(data)), ())  # raises, and says where it looked
        known = dict.fromkeys([*nb201.CLASSES, *(d for b in benchmarks for d in b.datasets)])
        raise UserError(f"data set {dataset!r}{base.suggestion(dataset, list(known))}")
    if split not in bench.splits:
        raise UserError(f"--split {split!r}{base.suggestion(split, list(bench.splits))}")
    index, score = bench.optimum(dataset, split)
    held = bench.column(dataset, split).cells
    partial = "" if held == cells.NUM_CELLS else f"; of the {held:,} cells that this table holds"
    return (
        f"{index}  {cells.to_string(cells.from_index(index))}  {score.value:.4f} %",
        f"{dataset} {split}: {score.record} {score.split}, {score.epochs} epochs, mean of {score.trials} trials"
        f"{partial}. {scored_by(_identity(bench))}",
    )


def _identity(bench: Benchmark) -> dict[str, str]:
    """What `scored_by` names, under a campaign's keys."""
    return {"benchmark": bench.name, "table_source": bench.table.source, "table_sha256": bench.version}


def describe_cell(spelling: str, benchmarks: Sequence[Benchmark]) -> str:
    """Every notation of a cell, its edges, its cost and every stored accuracy."""
    cell = cells.parse(spelling)
    lines = [
        f"cell {cells.index(cell)}",
        f"  string     {cells.to_string(cell)}",
        f"  numbers    {','.join(map(str, cell))}   (edges 0→1 0→2 1→2 0→3 1→3 2→3)",
        f"  NASLib     naslib:{','.join(map(str, cells.to_naslib(cell)))}",
        f"  canonical  {cells.canonical(cell)}",
        "  edges",
    ]
    for op, (i, j), used in zip(cell, cells.EDGES, cells.edges_in_use(cell), strict=True):
        note = "" if used or op == cells.NONE else "   (on no path from input to output)"
        lines.append(f"    {i}→{j}  {cells.OPERATIONS[op]}{note}")
    if cells.is_collapsed(cell):
        lines.append("  collapsed: no convolution on any path from input to output")
    for benchmark in benchmarks:
        lines += _in_table(cells.index(cell), benchmark)
    return "\n".join(lines)


def _in_table(index: int, benchmark: Benchmark) -> list[str]:
    table = benchmark.table
    lines = [f"  {scored_by(_identity(benchmark))}", f"  {benchmark.name}: cost of the tabulated network"]
    for record in table.params:
        parts = [f"{table.params[record][index]:.6f} M parameters"]
        if record in table.flops:
            parts.append(f"{table.flops[record][index]:.5f} M FLOPs")
        if record in table.train_seconds:
            parts.append(f"{table.train_seconds[record][index]:.3f} s an epoch")
        lines.append(f"    {record:<15}{', '.join(parts)}")
    if table.params_anomaly[index]:
        lines.append("    warning: the stored parameter count is not what the operations imply (known error)")
    lines.append(f"  {benchmark.name}: accuracies, %")
    for (record, split, epochs), column in sorted(table.columns.items()):
        if not np.isnan(column.mean[index]):
            score = column[index]
            trials = f"mean of {score.trials} trial{'s' if score.trials > 1 else ''}"
            singles = ", ".join(f"{value:.2f} (seed {seed})" for seed, value in column.singles(index).items())
            said = f"{trials}: {singles}" if singles and score.trials > 1 else trials
            lines.append(f"    {record:<15}{split:<9} {epochs:>3} epochs  {score.value:9.4f}   {said}")
    return lines


def searchers() -> str:
    """Every registered searcher, its kind, and its settings with their defaults and what else they may be."""
    lines = []
    usable, wrong = base.usable()
    for name, searcher in usable.items():
        module = sys.modules[searcher.__module__].__doc__ or ""
        lines.append(f"{name}  ({searcher.kind}) {module.strip().splitlines()[0] if module.strip() else ''}")
        if searcher.reference_epochs:
            lines.append(f"    {searcher.reference_epochs} epochs with the preset paper")
        defaults = searcher.Config().model_dump(mode="json")
        for key, field in searcher.Config.model_fields.items():
            setting = f"{key}={show_value(defaults[key])}"
            lines.append(f"    {setting:<28}{allowed(field)}".rstrip())
        for what, settings in searcher.ablations.items():
            lines.append(f"    ablation: {what} [{show_settings(settings)}]")
    lines += [f"not usable: {line}" for line in wrong] + list(plugins.overruled().values())
    return "\n".join(lines)


def allowed(field: FieldInfo) -> str:
    """What a setting may be, in words; nothing where any value of its default's type is good."""
    named = get_args(field.annotation) if get_origin(field.annotation) is Literal else ()
    choices = ["false", "true"] if field.annotation is bool else [show_value(v) for v in named]
    signs = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<", "multiple_of": "a multiple of"}
    bounds = [
        f"{sign} {getattr(m, name):g}" for m in field.metadata for name, sign in signs.items() if hasattr(m, name)
    ]
    return " or ".join(choices) or ", ".join(bounds)


def benchmarks() -> str:
    return (
        f"nb201      NAS-Bench-201: {cells.NUM_CELLS:,} cells; search on {', '.join(nb201.CLASSES)}; needs a table "
        "(--table, or harness data convert) and, for one-shot searchers, images (--data)\n"
        "digits201  the same cells on cluttered digits, trained by this project; table and images are embedded"
    )


def presets() -> str:
    lines = []
    for name, found, seconds in (
        ("nb201", nb201.PRESETS, nb201.SIMULATED_SECONDS),
        (digits.NAME, digits.PRESETS, digits.SIMULATED_SECONDS),
    ):
        for preset, values in found.items():
            images = f"{values['images']:,} + {values['images']:,}" if values["images"] else "all"
            epochs = values["epochs"] or "each searcher's reference"
            lines.append(
                f"{name:<9} {preset:<6} C={values['channels']}, N={values['cells']}, "
                f"{values['resolution']}×{values['resolution']}, {images} images, {epochs} epochs, "
                f"batch {values['batch_size']}; multi-trial: {seconds:,.0f} simulated seconds"
            )
    return "\n".join(lines)
