"""The state of this machine, one line a check."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from benchmarks.base import NetworkSize, UserError
from benchmarks.nb201 import cell as cells
from benchmarks.nb201 import cost, digits
from benchmarks.nb201.benchmark import find_table, image_places, open_benchmark
from benchmarks.processor import cpu_has_bf16, kernels_in_words, processor_in_words
from harness import options, provenance
from harness.provenance import version


def diagnose(table: Path | None, data: Path | None) -> tuple[str, bool]:
    """`harness doctor`: one line a check, and whether all that was found is sound.

    nb201 is optional: that it is not there is no fault, unless --table or --data asked for it.
    """
    import torch

    device = torch.cuda.get_device_name(0) if torch.cuda.is_available() else "CPU only"
    lines = [(True, f"torch {torch.__version__}, {device}, {torch.get_num_threads()} threads")]
    lines.append((True, version()))
    here = provenance.environment("cpu", uses_torch=True)
    bf16 = {True: "bf16 instructions", False: "no bf16 instructions: keep --precision fp32", None: "unknown flags"}
    words = processor_in_words(here), kernels_in_words(here), bf16[cpu_has_bf16()]
    lines.append((True, f"processor: {', '.join(words)}"))
    places = options.places_for(data)
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
        train, valid = bench.search_data("cifar10", options.resolve_preset(bench, "small"))
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
