"""A benchmark on NAS-Bench-201's cells: which table column and which images answer which question.

There are two: nb201, whose table and images the user brings, here; and digits201, which comes with this package, in
`digits.py`. Protocol of nb201 (DOC): search on CIFAR-10's official halves, low-fidelity proxy
`cifar10-valid`/x-valid at 12 epochs, scores at 200 epochs as the mean over the stored trials: CIFAR-10 validation
from the record `cifar10-valid`, CIFAR-10 test from `cifar10`, CIFAR-100 and ImageNet16-120 x-valid and x-test.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.base import Cell, LowFidelity, NetworkSize, Score, UserError
from benchmarks.nb201 import cell as cells
from benchmarks.nb201 import space
from benchmarks.nb201.table import Column, Key, Table
from benchmarks.nb201.table_file import load_table

if TYPE_CHECKING:
    from benchmarks.images import Images


@dataclass(frozen=True, eq=False)
class Benchmark:
    """A table of all cells, what it answers, and the images to search on.

    A preset is a dict of channels, cells, resolution, images (how many of each part, from its start; None: all),
    epochs (None: each searcher's reference epochs) and batch_size.
    """

    name: str
    table: Table
    classes: Mapping[str, int]  # of each data set
    scores: Mapping[tuple[str, str], Key]  # (data set, split) -> record, split, epochs of the table
    proxies: Mapping[str, Key]  # data set -> what multi-trial searchers may ask for
    presets: Mapping[str, dict[str, Any]]
    simulated_seconds: float  # the budget of multi-trial searchers
    in_channels: int
    images: Callable[[str, int, int | None], tuple[Images, Images]]  # data set, resolution, count -> train, valid

    space = space
    splits = ("valid", "test")

    @property
    def datasets(self) -> tuple[str, ...]:
        return tuple(self.classes)

    @property
    def version(self) -> str:
        return self.table.sha256

    def size(self, dataset: str, preset: dict[str, Any]) -> NetworkSize:
        return NetworkSize(preset["channels"], preset["cells"], self.in_channels, self.classes[dataset])

    def column(self, dataset: str, split: str) -> Column:
        return self.table.column(*self.scores[dataset, split])

    def score(self, cell: cells.Cell, dataset: str, split: str) -> Score:
        """Final accuracy of a cell: full schedule, mean over the stored trials, with its record."""
        return self.column(dataset, split)[cells.index(cell)]

    def optimum(self, dataset: str, split: str) -> tuple[int, Score]:
        """Index and score of the best cell; ties go to the lowest index."""
        return self.column(dataset, split).best()

    def require_scores(self) -> None:
        """UserError where the table lacks a final accuracy of some cell: a search might end with that one."""
        for (dataset, split), key in self.scores.items():
            missing = int(np.isnan(self.table.column(*key).mean).sum())
            if missing:
                raise UserError(
                    f"the table lacks the {dataset} {split} accuracy of {missing:,} cells ({self.table.source}), and "
                    "a search may end with one of them: convert a complete archive"
                )

    def proxy(self, dataset: str) -> tuple[np.ndarray, np.ndarray]:
        """Low-fidelity validation accuracy (percent) and simulated seconds of all cells, each (15625,)."""
        column, seconds = self.table.proxy(*self.proxies[dataset])
        if np.isnan(column.mean).any() or np.isnan(seconds).any():
            raise UserError(
                f"the table lacks {column.epochs}-epoch accuracies or times of some cells ({self.table.source}); "
                "multi-trial searchers need all of them: convert a complete archive"
            )
        return column.mean, seconds

    def low_fidelity(self, dataset: str) -> LowFidelity:
        """What multi-trial searchers may ask for, made of copies: a cell's accuracy (percent) and simulated seconds."""
        return low_fidelity(*self.proxy(dataset))

    def proxy_cost(self, dataset: str) -> str:
        """What the simulated seconds consist of."""
        return self.table.proxy_cost(*self.proxies[dataset])

    def search_data(self, dataset: str, preset: dict[str, Any]) -> tuple[Images, Images]:
        """Training and validation images of a search, disjoint; nothing in them leads to a test image."""
        return self.images(dataset, preset["resolution"], preset["images"])


def low_fidelity(accuracy: np.ndarray, seconds: np.ndarray) -> LowFidelity:
    """Queries of two columns by official index, (15625,) each, of which it keeps copies."""
    accuracy, seconds = accuracy.copy(), seconds.copy()

    def query(cell: Cell) -> tuple[float, float]:
        index = cells.index(cell)
        return accuracy.item(index), seconds.item(index)

    return query


BENCHMARKS = ("nb201", "digits201")


def open_benchmark(name: str, table: Path | str = "", places: Sequence[Path | str] = ()) -> Benchmark:
    """A benchmark by name. `table` is nb201's file, `places` the folders in which its images and splits are."""
    if name == "nb201":
        return open_nb201(table, places)
    from benchmarks.nb201.digits import open_digits201  # which imports this module

    return open_digits201()


FULL, PROXY = 200, 12  # epochs
SCORES = {
    ("cifar10", "valid"): ("cifar10-valid", "x-valid", FULL),
    ("cifar10", "test"): ("cifar10", "ori-test", FULL),
    ("cifar100", "valid"): ("cifar100", "x-valid", FULL),
    ("cifar100", "test"): ("cifar100", "x-test", FULL),
    ("ImageNet16-120", "valid"): ("ImageNet16-120", "x-valid", FULL),
    ("ImageNet16-120", "test"): ("ImageNet16-120", "x-test", FULL),
}
PROXIES = {
    "cifar10": ("cifar10-valid", "x-valid", PROXY),
    "cifar100": ("cifar100", "x-valid", PROXY),
    "ImageNet16-120": ("ImageNet16-120", "x-valid", PROXY),
}
CLASSES = {"cifar10": 10, "cifar100": 100, "ImageNet16-120": 120}

PRESETS: dict[str, dict[str, Any]] = {
    "smoke": {"channels": 4, "cells": 1, "resolution": 16, "images": 320, "epochs": 2, "batch_size": 32},
    "small": {"channels": 8, "cells": 1, "resolution": 16, "images": 6400, "epochs": 50, "batch_size": 64},
    "paper": {"channels": 16, "cells": 5, "resolution": 32, "images": None, "epochs": None, "batch_size": 64},
}
SIMULATED_SECONDS = 12_000.0  # NAS-Bench-201's (DOC)


@lru_cache(maxsize=2)
def _search_data(places: tuple[Path, ...], dataset: str, resolution: int, count: int | None) -> tuple[Images, Images]:
    from benchmarks import images, node_cache

    if not places:
        raise UserError(f"no folder with {dataset} images given; use --data DIR")
    # The first place that has any: a damaged file there is an error, not a reason to look further.
    place = next((place for place in places if images.are_in(dataset, place)), places[0])

    def prepare() -> tuple[Images, Images]:
        train, valid = images.search_images(dataset, place, places)
        if count is not None:
            # The official halves are in random order of class, so their first images are a fair sample of them.
            train, valid = (part.subset(range(min(count, len(part)))) for part in (train, valid))
        while train.pixels.shape[-1] > resolution:
            train, valid = train.reduced(), valid.reduced()
        return train, valid

    name = f"{dataset}-{resolution}-{count or 'all'}"
    return node_cache.cached(name, images.sources(dataset, place, places), prepare)


def find_table(table: Path | None, places: list[Path]) -> Path:
    """The table's file: `table` itself, or nb201.npz / nb201.csv.gz in one of the places."""
    if table is not None:
        return table
    names = ("nb201.npz", "nb201.csv.gz", "nb201.csv")
    for place in places:
        for name in names:
            if (place / name).is_file():
                return place / name
    looked = f"looked for {' or '.join(names[:2])} in {', '.join(map(str, places))}. "
    raise UserError(
        f"no NAS-Bench-201 table: {looked if places else ''}"
        "Give --table PATH, or make one with: harness data convert NATS-tss-v1_0-3ffb9-simple.tar"
    )


def choose(table: Path | None, places: list[Path], dataset: str | None) -> tuple[str, str]:
    """The benchmark that `--benchmark auto` means here, and why: nb201 where its table and what it needs are.

    `dataset`: whose images are needed; None where none are.
    """
    if table is not None:
        return "nb201", "--table is given"
    try:
        found = find_table(None, places)
    except UserError:
        where = ", ".join(map(str, places)) or "--data, $HARNESS_DATA or ~/.cache/harness"
        return "digits201", f"no NAS-Bench-201 table in {where}; for nb201 give --table and --data"
    if dataset is None:
        return "nb201", "table found, and no images are needed"
    from benchmarks import images  # and torch

    if any(images.are_in(dataset, place) for place in image_places(found, places)):
        return "nb201", f"table and {dataset} found"
    return "digits201", f"{found} is there, but no {dataset} images; for nb201 give --benchmark nb201 or --data"


def open_nb201(table: Path | str, places: Sequence[Path | str]) -> Benchmark:
    """The benchmark; opened once per process, however its paths are spelled.

    `places` are the folders in which images and split files are looked for.
    """
    return _open_nb201(Path(table).resolve(), image_places(table, places))


@lru_cache(maxsize=1)
def _open_nb201(table: Path, places: tuple[Path, ...]) -> Benchmark:
    return Benchmark(
        name="nb201",
        table=load_table(table),
        classes=CLASSES,
        scores=SCORES,
        proxies=PROXIES,
        presets=PRESETS,
        simulated_seconds=SIMULATED_SECONDS,
        in_channels=3,
        images=partial(_search_data, places),
    )


def image_places(table: Path | str, places: Sequence[Path | str]) -> tuple[Path, ...]:
    """Where images and split files are looked for: in the folders, then in the table's own and the one above it."""
    own = Path(table).resolve().parent
    return tuple(dict.fromkeys([*(Path(p).resolve() for p in places), own, own.parent]))
