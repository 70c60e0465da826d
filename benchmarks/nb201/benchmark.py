"""NAS-Bench-201 as a benchmark: which table column and which images answer which question.

Protocol (DOC): search on CIFAR-10's official halves, low-fidelity proxy `cifar10-valid`/x-valid at
12 epochs, scores at 200 epochs as the mean over the stored trials: CIFAR-10 validation from the record
`cifar10-valid`, CIFAR-10 test from `cifar10`, CIFAR-100 and ImageNet16-120 x-valid and x-test.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.base import Score, Space, UserError
from benchmarks.nb201 import cell as cells
from benchmarks.nb201.table import Column, Table, load_table

if TYPE_CHECKING:
    from benchmarks.images import Images

FULL, PROXY = 200, 12  # epochs
SCORES = {
    ("cifar10", "valid"): ("cifar10-valid", "x-valid", FULL),
    ("cifar10", "test"): ("cifar10", "ori-test", FULL),
    ("cifar100", "valid"): ("cifar100", "x-valid", FULL),
    ("cifar100", "test"): ("cifar100", "x-test", FULL),
    ("ImageNet16-120", "valid"): ("ImageNet16-120", "x-valid", FULL),
    ("ImageNet16-120", "test"): ("ImageNet16-120", "x-test", FULL),
}
PROXIES = {"cifar10": "cifar10-valid", "cifar100": "cifar100", "ImageNet16-120": "ImageNet16-120"}  # records
CLASSES = {"cifar10": 10, "cifar100": 100, "ImageNet16-120": 120}

# `epochs` None: each searcher's reference epochs. `images`: how many of each half, from its start; None: all.
# `simulated_seconds` is the budget of multi-trial searchers (NAS-Bench-201's 12,000 s, DOC).
PRESETS: dict[str, dict[str, Any]] = {
    "smoke": {"channels": 4, "cells": 1, "resolution": 16, "images": 320, "epochs": 2, "batch_size": 32},
    "small": {"channels": 8, "cells": 1, "resolution": 16, "images": 6400, "epochs": 50, "batch_size": 64},
    "paper": {"channels": 16, "cells": 5, "resolution": 32, "images": None, "epochs": None, "batch_size": 64},
}
SIMULATED_SECONDS = 12_000.0


class NB201:
    """The benchmark on one table; `places` are folders in which images and split files are looked for."""

    name = "nb201"
    datasets = tuple(CLASSES)
    splits = ("valid", "test")
    presets = PRESETS

    def __init__(self, table: Table, places: list[Path]):
        self.table, self.places = table, places
        self.version = table.sha256

    def space(self, dataset: str, preset: dict[str, Any]) -> Space:
        return Space(preset["channels"], preset["cells"], 3, CLASSES[dataset])

    def column(self, dataset: str, split: str) -> Column:
        return self.table.column(*SCORES[dataset, split])

    def score(self, cell: cells.Cell, dataset: str, split: str) -> Score:
        """Final accuracy of a cell: 200 epochs, mean over the stored trials, with its record."""
        return self.column(dataset, split)[cells.index(cell)]

    def optimum(self, dataset: str, split: str) -> tuple[int, Score]:
        """Index and score of the best cell; ties go to the lowest index."""
        return self.column(dataset, split).best()

    def proxy(self, dataset: str) -> tuple[np.ndarray, np.ndarray]:
        """Low-fidelity validation accuracy (percent) and simulated seconds of all cells, each (15625,)."""
        column, seconds = self.table.proxy(PROXIES[dataset], PROXY)
        if np.isnan(column.mean).any() or np.isnan(seconds).any():
            raise UserError(
                f"the table lacks 12-epoch accuracies or times of some cells ({self.table.source}); "
                "multi-trial searchers need all of them: convert a complete archive"
            )
        return column.mean, seconds

    def search_data(self, dataset: str, preset: dict[str, Any]) -> tuple[Images, Images]:
        """Training and validation images of a search, disjoint; nothing in them leads to a test image."""
        return _search_data(dataset, tuple(str(p) for p in self.places), preset["resolution"], preset["images"])


@lru_cache(maxsize=2)
def _search_data(dataset: str, places: tuple[str, ...], resolution: int, count: int | None) -> tuple[Images, Images]:
    from benchmarks import images

    failures = []
    for place in places:
        try:
            train, valid = images.search_images(dataset, place, places)
            break
        except UserError as error:
            failures.append(str(error))
    else:
        raise UserError(failures[0] if failures else f"no folder with {dataset} images given; use --data DIR")
    if count is not None:
        # The official halves are in random order of class, so their first images are a fair sample of them.
        train, valid = (part.subset(range(min(count, len(part)))) for part in (train, valid))
    while train.pixels.shape[-1] > resolution:
        train, valid = train.reduced(), valid.reduced()
    return train, valid


def find_table(table: Path | None, places: list[Path]) -> Path:
    """The table's file: `table` itself, or nb201.npz / nb201.csv.gz in one of the places."""
    if table is not None:
        return table
    names = ("nb201.npz", "nb201.csv.gz", "nb201.csv")
    for place in places:
        for name in names:
            if (place / name).is_file():
                return place / name
    looked = ", ".join(str(p) for p in places) or "nowhere: no --data given"
    raise UserError(
        f"no NAS-Bench-201 table: looked for {' or '.join(names[:2])} in {looked}. "
        "Give --table PATH, or make one with: harness data convert NATS-tss-v1_0-3ffb9-simple.tar"
    )


def open_nb201(table: Path | str, places: Sequence[Path | str]) -> NB201:
    """The benchmark; opened once per process, however its paths are spelled."""
    return _open_nb201(Path(table).resolve(), tuple(Path(p).resolve() for p in places))


@lru_cache(maxsize=1)
def _open_nb201(table: Path, places: tuple[Path, ...]) -> NB201:
    beside = [table.parent, table.parent.parent]  # split files are looked for there as well
    return NB201(load_table(table), [*places, *(p for p in beside if p not in places)])
