"""NAS-Bench-201: which column of its table and which images answer which question.

Protocol (DOC): search on CIFAR-10's official halves, low-fidelity proxy `cifar10-valid`/x-valid at 12 epochs, scores at
200 epochs as the mean over the stored trials: CIFAR-10 validation from the record `cifar10-valid`, CIFAR-10 test from
`cifar10`, CIFAR-100 and ImageNet16-120 x-valid and x-test.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from benchmarks.base import (
    Benchmark,
    Cell,
    Entry,
    Evaluation,
    LowFidelity,
    NetworkSize,
    Preset,
    Sample,
    Score,
    SearchSpace,
    Summary,
)
from benchmarks.errors import UserError
from benchmarks.nb201 import cell as cells
from benchmarks.nb201 import space, splits
from benchmarks.nb201.table import Column, Key, Table
from benchmarks.nb201.table_file import load_table

if TYPE_CHECKING:
    from benchmarks.images import Images


@dataclass(frozen=True, eq=False)
class TableBenchmark:
    """A `benchmarks.base.Benchmark` on NAS-Bench-201's cells: a table, what it answers, and the images to search on."""

    name: str
    table: Table
    classes: Mapping[str, int]  # of each data set
    scores: Mapping[tuple[str, str], Key]  # (data set, split) -> record, split, epochs of the table
    proxies: Mapping[str, Key]  # data set -> what multi-trial searchers may ask for
    presets: Mapping[str, Preset]
    simulated_seconds: float  # the budget of multi-trial searchers
    in_channels: int
    images: Callable[[str, int, int | None], tuple[Images, Images]]  # data set, resolution, count -> train, valid

    space: ClassVar[SearchSpace] = space
    splits: ClassVar[tuple[str, ...]] = ("valid", "test")
    evaluation: ClassVar[Evaluation | None] = None  # the table has all scores

    @property
    def datasets(self) -> tuple[str, ...]:
        return tuple(self.classes)

    @property
    def version(self) -> str:
        return self.table.sha256

    @property
    def source(self) -> str:
        return self.table.source

    def size(self, dataset: str, preset: Preset) -> NetworkSize:
        return NetworkSize(preset.channels, preset.cells, self.in_channels, self.classes[dataset])

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

    def low_fidelity_cost(self, dataset: str) -> str:
        """What the simulated seconds consist of, and of how many trainings the accuracy is the mean."""
        key = self.proxies[dataset]
        cost, trials = self.table.proxy_cost(*key), int(self.table.column(*key).trials.max())
        if trials == 1:
            return cost
        return f"{cost}; its accuracy is the mean of {trials} trainings and is charged as one"

    def summary(self, dataset: str, split: str) -> Summary:
        index, best = self.optimum(dataset, split)
        column = self.column(dataset, split)
        held = column.mean[~np.isnan(column.mean)]
        # As many decimals as the scores have, or a cell that ties the worst would lie above it.
        quantiles = [round(q, 6) for q in np.percentile(held, np.linspace(0, 100, 1001)).tolist()]
        best_cell, spread = cells.from_index(index), column.trial_std()
        return Summary(best.epochs, len(held), best_cell, best.value, float(held.mean()), quantiles, spread)

    def histogram(self, dataset: str, width: float) -> list[list[int]]:
        pair = np.stack([self.column(dataset, split).mean for split in self.splits], axis=1)
        bins, counts = np.unique(np.floor(pair[~np.isnan(pair).any(1)] / width), axis=0, return_counts=True)
        return np.column_stack([bins, counts]).astype(int).tolist()

    def sample(self, dataset: str, count: int) -> Sample:
        accuracy = self.column(dataset, "valid").mean
        held = np.flatnonzero(~np.isnan(accuracy))
        drawn = np.random.default_rng(0).choice(held, min(count, len(held)), replace=False)
        return Sample([cells.from_index(k) for k in drawn.tolist()], accuracy[drawn])

    def search_data(self, dataset: str, preset: Preset) -> tuple[Images, Images]:
        """Training and validation images of a search, disjoint; nothing in them leads to a test image."""
        return self.images(dataset, preset.resolution, preset.images)


def low_fidelity(accuracy: np.ndarray, seconds: np.ndarray) -> LowFidelity:
    """Queries of two columns by official index, (15625,) each, of which it keeps copies."""
    accuracy, seconds = accuracy.copy(), seconds.copy()

    def query(cell: Cell) -> tuple[float, float]:
        index = cells.index(cell)
        return accuracy.item(index), seconds.item(index)

    return query


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

PRESETS = {
    "smoke": Preset(channels=4, cells=1, resolution=16, images=320, epochs=2, batch_size=32),
    "small": Preset(channels=8, cells=1, resolution=16, images=6400, epochs=50, batch_size=64),
    "paper": Preset(channels=16, cells=5, resolution=32, images=None, epochs=None, batch_size=64),
}
EMBEDDED = "the embedded table, published values rounded to 6 decimals"
SIMULATED_SECONDS = 12_000.0  # NAS-Bench-201's (DOC)


def _search_data(places: tuple[Path, ...], dataset: str, resolution: int, count: int | None) -> tuple[Images, Images]:
    from benchmarks import search_images  # and torch

    official = search_images.Split("", splits.official_split, (splits.FILE,))
    return search_images.load(places, dataset, resolution, count, official)


TABLE = Path(__file__).with_name("nb201.npz")  # NOTICE says where its figures are from


def open_nb201(table: Path | str | None, places: Sequence[Path | str]) -> TableBenchmark:
    """The benchmark with the embedded table (None) or that of a file; opened once per process, however it is spelled.

    `places` are the folders in which images are looked for.
    """
    file = None if table is None else Path(table).resolve()
    return _open_nb201(file, tuple(dict.fromkeys(Path(place).resolve() for place in places)))


@lru_cache(maxsize=1)
def _open_nb201(file: Path | None, places: tuple[Path, ...]) -> TableBenchmark:
    table = load_table(file or TABLE)
    return TableBenchmark(
        name="nb201",
        table=table if file else replace(table, source=EMBEDDED),
        classes=CLASSES,
        scores=SCORES,
        proxies=PROXIES,
        presets=PRESETS,
        simulated_seconds=SIMULATED_SECONDS,
        in_channels=3,
        images=partial(_search_data, places),
    )


def has_images(places: Sequence[Path], dataset: str) -> bool:
    """Whether any file of a data set is in one of the folders."""
    from benchmarks import search_images  # and torch

    return search_images.any_in(places, dataset)


def published() -> list[dict[str, str]]:
    """Rows of published.csv: the literature's figures and their sources, as text; columns `<data set>_<split>_mean`."""
    text = resources.files("benchmarks.nb201").joinpath("published.csv").read_text(encoding="utf-8")
    rows = csv.DictReader(text.splitlines())
    return [{key.replace("imagenet16_", "ImageNet16-120_"): value for key, value in row.items()} for row in rows]


def bibliography() -> str:
    """The BibTeX entries that published rows cite; rows without a key have a source but no entry of ours."""
    return resources.files("benchmarks.nb201").joinpath("published.bib").read_text(encoding="utf-8")


def describe(cell: Cell) -> list[str]:
    """A cell in every notation and its edges, a line each."""
    lines = [
        f"numbers    {','.join(map(str, cell))}   (edges 0→1 0→2 1→2 0→3 1→3 2→3)",
        f"NASLib     naslib:{','.join(map(str, cells.to_naslib(cell)))}",
        f"canonical  {cells.canonical(cell)}",
        "edges",
    ]
    for op, (i, j), used in zip(cell, cells.EDGES, cells.edges_in_use(cell), strict=True):
        note = "" if used or op == cells.NONE else "   (on no path from input to output)"
        lines.append(f"  {i}→{j}  {cells.OPERATIONS[op]}{note}")
    if cells.is_collapsed(cell):
        lines.append("collapsed: no convolution on any path from input to output")
    return lines


def details(benchmark: Benchmark, cell: Cell) -> list[str]:
    """The cost of a cell's tabulated network, and every stored accuracy."""
    assert isinstance(benchmark, TableBenchmark)
    table, index = benchmark.table, cells.index(cell)
    lines = [f"{benchmark.name}: cost of the tabulated network"]
    for record in table.params:
        parts = [f"{table.params[record][index]:.6f} M parameters"]
        if record in table.flops:
            parts.append(f"{table.flops[record][index]:.5f} M FLOPs")
        if record in table.train_seconds:
            parts.append(f"{table.train_seconds[record][index]:.3f} s an epoch")
        lines.append(f"  {record:<15}{', '.join(parts)}")
    if table.params_anomaly[index]:
        lines.append("  warning: the stored parameter count is not what the operations imply (known error)")
    lines.append(f"{benchmark.name}: accuracies, %")
    for (record, split, epochs), column in sorted(table.columns.items()):
        if not np.isnan(column.mean[index]):
            score = column[index]
            trials = f"mean of {score.trials} trial{'s' if score.trials > 1 else ''}"
            singles = ", ".join(f"{value:.2f} (seed {seed})" for seed, value in column.singles(index).items())
            said = f"{trials}: {singles}" if singles and score.trials > 1 else trials
            lines.append(f"  {record:<15}{split:<9} {epochs:>3} epochs  {score.value:9.4f}   {said}")
    return lines


ENTRY = Entry(
    name="nb201",
    text=f"NAS-Bench-201: {cells.NUM_CELLS:,} cells; search on {', '.join(CLASSES)}; the table is embedded, and "
    "one-shot searchers need images (--data, or harness data fetch cifar10)",
    space=space,
    datasets=tuple(CLASSES),
    presets=PRESETS,
    simulated_seconds=SIMULATED_SECONDS,
    open=open_nb201,
    takes_table=True,
    has_images=has_images,
    published=published,
    bibliography=bibliography,
    describe=describe,
    details=details,
    tools="benchmarks.nb201.tools",
)
