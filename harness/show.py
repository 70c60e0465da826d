"""Texts that the small commands print: a cell, the registries, a table, the state of this machine."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import numpy as np
from pydantic.fields import FieldInfo

from benchmarks.base import NetworkSize, UserError
from benchmarks.nb201 import benchmark as nb201
from benchmarks.nb201 import cell as cells
from benchmarks.nb201 import cost, digits
from benchmarks.nb201.benchmark import Benchmark, find_table, image_places, open_benchmark
from benchmarks.processor import cpu_has_bf16, kernels_in_words, processor_in_words
from harness import campaign, runner
from harness.output import tell
from harness.progress import duration
from harness.report.notes import scored_by
from harness.specs import show_settings, show_value
from searchers import base, plugins


def all_benchmarks(table: Path | None, data: Path | None) -> list[Benchmark]:
    """nb201 where its table is found (UserError if that is none), and the embedded digits201."""
    places, embedded = campaign.places_for(data), open_benchmark(digits.NAME)
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
            nb201.open_nb201(find_table(table, campaign.places_for(data)), ())  # raises, and says where it looked
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


def build_progress() -> Callable[[int, int, float], None]:
    """Prints what a build has done and the time left, at most every ten seconds."""
    shown = 0.0

    def report(done: int, total: int, seconds: float) -> None:
        nonlocal shown
        if time.monotonic() - shown > 10 or done == total:
            shown = time.monotonic()
            tell(f"{done:,} of {total:,} distinct cells, {duration(seconds)} left")

    return report


def convert_table(source: Path, dest: Path | None, verify: bool) -> str:
    """`harness data convert`: make the table, say what it holds, and compare with the official API if asked."""
    from benchmarks.nb201 import official
    from benchmarks.nb201.archives import LAYOUTS
    from benchmarks.nb201.table_file import kind_of

    target = dest or Path("~/.cache/harness/nb201.npz").expanduser()
    if target.is_dir():
        target = target / "nb201.npz"
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{target}: its folder cannot be made ({error.strerror}); give another DEST") from None
    if verify and kind_of(source) not in LAYOUTS:
        raise UserError(f"{source}: no official archive, so the official API cannot read it; leave --verify out")
    # Under its own name only when all is well: a table there is found by later runs without being asked for.
    new = target.with_name(f"new-{target.name}") if verify else target
    shown = 0.0

    def progress(done: int, total: int) -> None:
        nonlocal shown
        if time.monotonic() - shown > 2 or done == total:
            shown = time.monotonic()
            tell(f"{done:,} of {total:,} cells")

    table = official.convert_apart(source, new, progress)
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


def table_info(path: Path | None) -> str:
    """`harness data info`: what a table or archive holds, how large it is, how long it takes to open."""
    from benchmarks.nb201.table_file import kind_of

    if path is not None:
        return _counts_info(path) if kind_of(path) == "counts" else _file_info(path)
    texts = [_counts_info(digits.FILE)]
    try:
        texts.append(_file_info(find_table(None, campaign.places_for(None))))
    except UserError as error:
        texts.append(str(error))
    return "\n".join(texts)


def _counts_info(path: Path) -> str:
    counts = digits.load_counts(path)
    about = counts.about
    lines = [
        str(path),
        f"  source: {digits.NAME}, trained by this project on {about['machine']['cpu']}, "
        f"torch {about['machine']['torch']}",
        f"  sha256 of the counts: {counts.sha256}",
        f"  distinct cells trained: {int(counts.done.sum()):,} of {len(counts.done):,}, "
        f"{len(digits.SEEDS)} seeds each, standing for {int(counts.done[counts.class_of].sum()):,} cells",
        f"  bytes: {path.stat().st_size:,}",
        f"  columns: {', '.join(f'{split} at {epochs} epochs' for split, epochs in digits.COLUMNS)}; "
        f"{len(digits.SEEDS)} trials each",
    ]
    if "seconds" in about:
        fits = ", ".join(f"{name} R² {about['seconds'][name]['r2']:.3f}" for name in ("train", "valid"))
        lines.append(f"  seconds: linear in the operation counts, {about['seconds']['cells']} cells timed, {fits}")
    if counts.done.sum() > 2:
        try:
            table = open_benchmark("nb201", find_table(None, campaign.places_for(None)))
            cifar10 = table.column("cifar10", "test").mean
        except UserError:
            cifar10 = None
        lines.append("  quality (Spearman correlations unless said otherwise):")
        lines += [f"    {name}: {value:.3f}" for name, value in digits.quality(counts, cifar10).items()]
    return "\n".join(lines)


def _file_info(path: Path) -> str:
    from benchmarks.nb201 import official

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


def version() -> str:
    """Which program this is, as records name it: version, git revision, digest of the source."""
    found = runner.environment("cpu", uses_torch=False)
    return f"harness {found['harness']}, revision {found['git'] or 'unknown'}, source {found['source']}"


def diagnose(table: Path | None, data: Path | None) -> tuple[str, bool]:
    """`harness doctor`: one line a check, and whether all that was found is sound.

    nb201 is optional: that it is not there is no fault, unless --table or --data asked for it.
    """
    import torch

    device = torch.cuda.get_device_name(0) if torch.cuda.is_available() else "CPU only"
    lines = [(True, f"torch {torch.__version__}, {device}, {torch.get_num_threads()} threads")]
    lines.append((True, version()))
    here = runner.environment("cpu", uses_torch=True)
    bf16 = {True: "bf16 instructions", False: "no bf16 instructions: keep --precision fp32", None: "unknown flags"}
    words = processor_in_words(here), kernels_in_words(here), bf16[cpu_has_bf16()]
    lines.append((True, f"processor: {', '.join(words)}"))
    places = campaign.places_for(data)
    lines.append((True, f"data folders: {', '.join(map(str, places)) or 'none; give --data DIR'}"))
    try:
        lines += _check_nb201(find_table(table, places), places, data is not None)
    except UserError as error:
        lines.append((table is None and data is None, f"nb201: {error}"))
    lines += _check_digits201()
    return "\n".join(f"{'ok ' if good else 'BAD'}  {text}" for good, text in lines), all(g for g, _ in lines)


def _check_nb201(path: Path, places: list[Path], needs_images: bool) -> list[tuple[bool, str]]:
    """The table is complete, its costs are our network's, and the images are the published ones.

    That there are none is no fault unless --data asked for them: multi-trial searchers need none.
    """
    from benchmarks.images import are_in
    from benchmarks.nb201.network import count_parameters, network

    bench, found = open_benchmark("nb201", path, places), image_places(path, places)
    count = int(bench.table.present.sum())
    lines = [(count == cells.NUM_CELLS, f"nb201 table {path}: {count:,} cells, {bench.table.source}")]
    lines += [(True, f"note: {warning}") for warning in bench.table.warnings]
    try:
        train, valid = bench.search_data("cifar10", campaign.resolve_preset(bench, "small"))
        text = f"CIFAR-10: md5 sums as published, official halves; small uses {len(train)} + {len(valid)}"
        lines.append((True, text))
    except UserError as error:
        lines.append((not needs_images and not any(are_in("cifar10", place) for place in found), str(error)))
    space = NetworkSize(channels=16, cells=5, in_channels=3, num_classes=10)
    flops = cost.multiply_adds(space, 32)
    for index in (0, 11, 284):
        stored = bench.table.params["cifar10"][index] * 1e6, bench.table.flops["cifar10"][index] * 1e6
        params = count_parameters(network(cells.from_index(index), space))
        same = abs(params - stored[0]) < 10 and abs(flops[index] - stored[1]) < 10
        text = f"network of cell {index}: {params:,} parameters, {flops[index]:,} FLOPs; the table says "
        lines.append((same, text + ("the same" if same else f"{stored[0]:,.0f} and {stored[1]:,.0f}")))
    return lines


def _check_digits201() -> list[tuple[bool, str]]:
    """Three cells trained again: accuracies within 4 standard deviations over seeds of the stored ones.

    Never bit-equal: processors and torch versions differ.
    """
    import torch

    from benchmarks.nb201.digits_training import count_right

    try:
        table = open_benchmark(digits.NAME).table
    except UserError as error:
        return [(False, str(error))]
    column = table.column(digits.NAME, "test", digits.FULL)
    assert column.per_trial is not None
    spread = float(np.sqrt(column.per_trial.var(1, ddof=1).mean()))
    lines = []
    torch.set_num_threads(1)  # as they were trained
    for index in (0, 11, 284):
        right = count_right(cells.from_index(index))[:, digits.COLUMNS.index(("test", digits.FULL))]
        again = 100 * float(right.mean()) / digits.images_of("test")
        text = (
            f"digits201 cell {index} trained again: {again:.2f} %, stored {column[index].value:.2f} % (±{spread:.2f})"
        )
        lines.append((abs(again - column[index].value) <= 4 * spread, text))
    return lines
