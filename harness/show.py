"""Texts that the small commands print: a cell, the registries, a table, the state of this machine."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np

from benchmarks.base import Space, UserError
from benchmarks.nb201 import cell as cells
from benchmarks.nb201.benchmark import NB201, PRESETS, SIMULATED_SECONDS, find_table, open_nb201
from harness import campaign
from searchers import base


def describe_cell(spelling: str, benchmark: NB201) -> str:
    """Every notation of a cell, its edges, its cost and every stored accuracy."""
    cell = cells.parse(spelling)
    index, table = cells.index(cell), benchmark.table
    lines = [
        f"cell {index}",
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
    lines.append("  cost of the tabulated network (C=16, N=5)")
    for record in table.params:
        parts = [f"{table.params[record][index]:.6f} M parameters"]
        if record in table.flops:
            parts.append(f"{table.flops[record][index]:.5f} M FLOPs")
        if record in table.train_seconds:
            parts.append(f"{table.train_seconds[record][index]:.3f} s an epoch")
        lines.append(f"    {record:<15}{', '.join(parts)}")
    if table.params_anomaly[index]:
        lines.append("    warning: the stored parameter count is not what the operations imply (known error)")
    lines.append("  accuracies, %")
    for (record, split, epochs), column in sorted(table.columns.items()):
        if not np.isnan(column.mean[index]):
            score = column[index]
            trials = f"mean of {score.trials} trial{'s' if score.trials > 1 else ''}"
            lines.append(f"    {record:<15}{split:<9} {epochs:>3} epochs  {score.value:9.4f}   {trials}")
    return "\n".join(lines)


def searchers() -> str:
    """Every registered searcher, its kind, and its settings with their defaults."""
    lines = []
    for name in base.names():
        searcher = base.find(name)
        module = sys.modules[searcher.__module__].__doc__ or ""
        lines.append(f"{name}  ({searcher.kind}) {module.strip().splitlines()[0] if module.strip() else ''}")
        for key, field in searcher.Config.model_fields.items():
            lines.append(f"    {key}={campaign._show(field.default)}")
    return "\n".join(lines)


def benchmarks() -> str:
    return (
        f"nb201  NAS-Bench-201: {cells.NUM_CELLS:,} cells; search on {', '.join(NB201.datasets)}; needs a table "
        "(--table, or harness data convert) and, for one-shot searchers, images (--data)"
    )


def presets() -> str:
    lines = []
    for name, preset in PRESETS.items():
        images = f"{preset['images']:,} + {preset['images']:,}" if preset["images"] else "the official halves"
        epochs = preset["epochs"] or "each searcher's reference"
        lines.append(
            f"{name:<6} C={preset['channels']}, N={preset['cells']}, {preset['resolution']}×{preset['resolution']}, "
            f"{images} images, {epochs} epochs, batch {preset['batch_size']}; "
            f"multi-trial: {SIMULATED_SECONDS:,.0f} simulated seconds"
        )
    return "\n".join(lines)


def convert_table(source: Path, dest: Path | None, verify: bool) -> str:
    """`harness data convert`: make the table, say what it holds, and compare with the official API if asked."""
    from benchmarks.nb201 import official

    target = dest or Path("~/.cache/harness/nb201.npz").expanduser()
    if target.is_dir():
        target = target / "nb201.npz"
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{target}: its folder cannot be made ({error.strerror}); give another DEST") from None
    # Under its own name only when all is well: a table there is found by later runs without being asked for.
    new = target.with_name(f"new-{target.name}") if verify else target
    shown = 0.0

    def progress(done: int, total: int) -> None:
        nonlocal shown
        if time.monotonic() - shown > 2 or done == total:
            shown = time.monotonic()
            print(f"{done:,} of {total:,} cells", file=sys.stderr, flush=True)

    table = official.convert(source, new, progress)
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


def table_info(path: Path) -> str:
    """`harness data info`: what a table holds, how large it is, how long it takes to open."""
    from benchmarks.nb201 import official

    start = time.perf_counter()
    found = official.info(path)
    seconds = time.perf_counter() - start
    lines = [str(path)]
    for key, value in {**found, "opened in": f"{seconds:.2f} s"}.items():
        if isinstance(value, (list, tuple)):
            lines += [f"  {key}:", *(f"    {item}" for item in value)]
        else:
            lines.append(f"  {key}: {value}")
    return "\n".join(lines)


def diagnose(table: Path | None, data: Path | None) -> tuple[str, bool]:
    """`harness doctor`: one line a check, and whether all that a search needs is there."""
    import torch

    from benchmarks.nb201.network import count_flops, count_parameters, network

    lines: list[tuple[bool, str]] = []
    device = torch.cuda.get_device_name(0) if torch.cuda.is_available() else "CPU only"
    lines.append((True, f"torch {torch.__version__}, {device}, {torch.get_num_threads()} threads"))
    places = campaign.places_for(data)
    lines.append((bool(places), f"data folders: {', '.join(map(str, places)) or 'none; give --data DIR'}"))
    bench: NB201 | None = None
    try:
        path = find_table(table, places)
        bench = open_nb201(path, places)
        count = int(bench.table.present.sum())
        lines.append((count == cells.NUM_CELLS, f"table {path}: {count:,} cells, {bench.table.source}"))
        lines += [(True, f"note: {warning}") for warning in bench.table.warnings]
    except UserError as error:
        lines.append((False, str(error)))
    if bench is not None:
        preset = campaign.resolve_preset("small")
        try:
            train, valid = bench.search_data("cifar10", preset)
            lines.append(
                (
                    True,
                    f"CIFAR-10: md5 sums as published, official halves; small uses {len(train)} + {len(valid)}",
                )
            )
        except UserError as error:
            lines.append((False, str(error)))
        for index in (0, 11, 284):
            cell = cells.from_index(index)
            space = Space(channels=16, cells=5, in_channels=3, num_classes=10)
            ours = count_parameters(network(cell, space)), count_flops(cell, space, 32)
            stored = bench.table.params["cifar10"][index] * 1e6, bench.table.flops["cifar10"][index] * 1e6
            same = all(abs(a - b) < 10 for a, b in zip(ours, stored, strict=True))
            text = f"network of cell {index}: {ours[0]:,} parameters, {ours[1]:,} FLOPs; the table says "
            lines.append((same, text + ("the same" if same else f"{stored[0]:,.0f} and {stored[1]:,.0f}")))
    return "\n".join(f"{'ok ' if good else 'BAD'}  {text}" for good, text in lines), all(g for g, _ in lines)
