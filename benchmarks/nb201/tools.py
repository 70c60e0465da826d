"""Files of NAS-Bench-201 on this machine: converted, described, checked."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.base import NetworkSize
from benchmarks.errors import UserError
from benchmarks.nb201 import cell as cells
from benchmarks.nb201 import cost, official
from benchmarks.nb201.archives import LAYOUTS
from benchmarks.nb201.benchmark import PRESETS, TABLE, has_images, open_nb201
from benchmarks.nb201.table_file import kind_of


def convert(source: Path, dest: Path | None, verify: bool, report: Callable[[int, int], None]) -> str:
    """Make a table of official files, say what it holds, and compare with the official API if asked.

    `report(done, total)` hears of cells that are read.
    """
    target = dest or Path("nb201.npz")
    if target.is_dir():
        target = target / "nb201.npz"
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{target}: its folder cannot be made ({error.strerror}); give another DEST") from None
    if verify and kind_of(source) not in LAYOUTS:
        raise UserError(f"{source}: no official archive, so the official API cannot read it; leave --verify out")
    # Under its own name only when all is well: a table of an earlier command may be there.
    new = target.with_name(f"new-{target.name}") if verify else target
    table = official.convert_apart(source, new, report)
    text = f"{target}: {table.source}, sha256 {table.sha256}"
    for warning in table.warnings:
        text += f"\nwarning: {warning}"
    if verify:
        from benchmarks.nb201 import verify as official_api

        differences = official_api.verify(table, source)
        if differences:
            raise UserError(f"the official API gives other values ({new} is kept): " + "; ".join(differences[:3]))
        new.replace(target)
        text += "\nverified: 20 cells (or all, where there are fewer) read alike through the official API"
    return text


def info(path: Path | None) -> str:
    """What a table or archive holds, how large it is, how long it takes to open; by default the embedded table."""
    path = path or TABLE
    start = time.perf_counter()
    found = official.info(path)
    found["opened in"] = f"{time.perf_counter() - start:.2f} s"
    if "columns" in found:
        found["columns"] = [_column(column) for column in found["columns"]]
    if "costs" in found:
        found["costs"] = [f"{name} of {', '.join(records)}" for name, records in found["costs"].items()]
    lines = [str(path)]
    for key, value in found.items():
        if isinstance(value, (list, tuple)):
            lines += [f"  {key}:", *(f"    {item}" for item in value)]
        else:
            lines.append(f"  {key}: {value}")
    return "\n".join(lines)


def _column(about: Mapping[str, Any]) -> str:
    trials = ", ".join(
        f"{cells:,} cell{'s' if cells > 1 else ''} with {count} trial{'s' if count > 1 else ''}"
        for count, cells in about["cells_by_trials"].items()
    )
    text = f"{about['record']:<15}{about['split']:<9} {about['epochs']:>3} epochs  {trials}"
    seeds = ", ".join(map(str, about["seeds"]))
    return f"{text}; seed{'s' if len(about['seeds']) > 1 else ''} {seeds}{'' if about['single_trials'] else ', means'}"


def check(table: Path | None, places: Sequence[Path], data_named: bool) -> list[tuple[bool, str]]:
    """What `doctor` says of table and images: lines, and whether each is sound.

    The table is complete, its costs are our network's, and the images are the published ones. That there are no images
    is no fault, unless the user named a data folder (`data_named`): multi-trial searchers need none.
    """
    from benchmarks.layers import count_parameters
    from benchmarks.nb201.network import network

    try:
        bench = open_nb201(table, places)
    except UserError as error:
        return [(False, f"nb201: {error}")]
    count = int(bench.table.present.sum())
    text = f"nb201 table{f' {table}' if table else ''}: {count:,} cells, {bench.source}, sha256 {bench.version[:12]}"
    lines = [(count == cells.NUM_CELLS, text)]
    lines += [(True, f"note: {warning}") for warning in bench.table.warnings]
    try:
        train, valid = bench.search_data("cifar10", PRESETS["small"])
        text = f"CIFAR-10: md5 sums as published, official halves; small uses {len(train)} + {len(valid)}"
        lines.append((True, text))
    except UserError as error:
        lines.append((not data_named and not has_images(places, "cifar10"), str(error)))
    size = NetworkSize(channels=16, cells=5, in_channels=3, num_classes=10)
    flops = cost.multiply_adds(size, 32)
    for index in (0, 11, 284):
        stored = bench.table.params["cifar10"][index] * 1e6, bench.table.flops["cifar10"][index] * 1e6
        params = count_parameters(network(cells.from_index(index), size))
        same = abs(params - stored[0]) < 10 and abs(flops[index] - stored[1]) < 10
        text = f"network of cell {index}: {params:,} parameters, {flops[index]:,} FLOPs; the table says "
        lines.append((same, text + ("the same" if same else f"{stored[0]:,.0f} and {stored[1]:,.0f}")))
    return lines
