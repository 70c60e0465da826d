"""What a search costs at a preset, as `harness list searchers` says it: steps, and seconds of a step.

    python results/reference/costs.py > harness/costs.csv

One-shot searchers: from the records of the reference campaigns, their mean steps and the seconds of the fastest
run, since other work on a machine only slows a run; DARTS at paper size on a CPU from the step pairs of `harness perf`,
391 an epoch. Training-free ones: measured here, in CPU seconds of one thread, on a few cells and images of noise, of
which the time hardly depends; a search of the whole space is one step.
Presets without a row were not measured.
"""

from __future__ import annotations

import csv
import json
import sys
import time
from collections import defaultdict
from pathlib import Path

import torch

from benchmarks import processor, registry
from benchmarks.base import NetworkSize
from benchmarks.images import Images
from searchers import base, catalogue
from searchers.base import Budget, SearchTask

COLUMNS = ("benchmark", "preset", "spec", "runs", "steps", "seconds", "hardware")
CELLS = 12  # of a training-free search, that are timed
FREE = ("training-free", "params", "flops")
HERE = Path(__file__).parent


def from_records(folder: Path = HERE) -> list[list]:
    """A row for each benchmark, preset and one-shot spec that has records in the folder's campaigns."""
    runs: dict[tuple[str, ...], list[dict]] = defaultdict(list)
    for path in sorted(folder.glob("*/runs/*/*/record.json")):
        record = json.loads(path.read_bytes())
        if record["status"] == "done" and record["kind"] == "one-shot":
            benchmark = json.loads((path.parents[3] / "campaign.json").read_bytes())["benchmark"]
            where = record["environment"]["device"]
            place = record["environment"]["cpu"] if where == "cpu" else where.partition(" (")[2].rstrip(")")
            runs[benchmark, record["preset"]["name"], record["spec"], place].append(record)
    rows = []
    for (benchmark, preset, spec, place), own in runs.items():
        steps = round(sum(record["steps"] for record in own) / len(own))
        seconds = min(record["search_seconds"] / record["steps"] for record in own)
        rows.append([benchmark, preset, spec, len(own), steps, f"{seconds:.3g}", place])
    return rows


def from_perf(path: Path = HERE.parent / "perf/amd-epyc-1-threads/perf.json") -> list[list]:
    """DARTS at paper size on a CPU."""
    perf = json.loads(path.read_bytes())
    (pair,) = (
        row for row in perf["supernet"]
        if (row["network"], row["case"], row["precision"]) == ("paper", "DARTS step pair", "fp32")
    )  # fmt: skip
    seconds = 391 * pair["ours_ms"] / 1000  # 25,000 images in batches of 64
    return [["nb201", "paper", "darts", 0, 50, f"{seconds:.3g}", perf["environment"]["cpu"]]]


def measured() -> list[list]:
    """A row for each benchmark, preset and training-free searcher with its default settings."""
    torch.set_num_threads(1)
    rows = []
    for entry in map(registry.find, registry.names()):
        for name, preset in entry.presets.items():
            for spec in FREE:
                searcher = catalogue.find(spec)
                cells = searcher.Config().cells
                pixels = torch.randint(256, (preset.batch_size, 3, preset.resolution, preset.resolution))
                images = Images(pixels.byte(), torch.arange(preset.batch_size) % 10, (128,) * 3, (64,) * 3, None)
                size = NetworkSize(preset.channels, preset.cells, 3, 10)
                task = SearchTask(0, "noise", entry.space, size, Budget(), batch_size=preset.batch_size)
                task.train = task.valid = images
                spent = []
                for number in (1, CELLS):  # once before, so that libraries have set themselves up
                    start = time.process_time()
                    search = searcher(task, base.configure(searcher, {"cells": number if cells else 0}))
                    steps = len(list(iter(search.step, None)))
                    spent.append((time.process_time() - start) / steps)
                rows.append([entry.name, name, spec, 0, cells or 1, f"{spent[-1]:.3g}", processor.cpu_name()])
    return rows


def main() -> None:
    table = csv.writer(sys.stdout, lineterminator="\n")
    table.writerow(COLUMNS)
    table.writerows(sorted(from_records() + from_perf() + measured()))


if __name__ == "__main__":
    main()
