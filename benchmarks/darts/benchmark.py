"""The DARTS space as a benchmark: no table; answers are trained from scratch.

Search: the halves of CIFAR-10's training images by their order, as DARTS has them. Evaluation: DARTS' networks and
recipes, and smaller ones that a CPU can run. `small` and `smoke` are this project's own.
"""

from __future__ import annotations

import csv
import gzip
from collections.abc import Mapping, Sequence
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from benchmarks.base import (
    Benchmark,
    Cell,
    Entry,
    LowFidelity,
    NetworkSize,
    Preset,
    Recipe,
    Sample,
    Score,
    SearchSpace,
    Summary,
)
from benchmarks.darts import cell as cells
from benchmarks.darts import space
from benchmarks.errors import UserError, suggestion
from benchmarks.files import damage

if TYPE_CHECKING:  # a command may end before torch is needed
    from benchmarks.base import DerivedNetwork, LabelledImages
    from benchmarks.images import Images

NAME, VERSION = "darts", "1"  # raise it whenever networks or recipes give other accuracies
DATASETS = ("cifar10",)
HALF = 25_000  # of CIFAR-10's 50,000 training images: the first train weights, the others validate (DOC)
PRESETS = {
    "smoke": Preset(channels=4, cells=3, resolution=16, images=320, epochs=2, batch_size=32),
    "small": Preset(channels=8, cells=5, resolution=16, images=3200, epochs=10, batch_size=64),
    "paper": Preset(channels=16, cells=8, resolution=32, images=None, epochs=None, batch_size=64),  # DOC
}

# DOC: quark0/darts, cnn/train.py; nb301 is the size and length of NAS-Bench-301's networks, without its mixup.
PAPER = Recipe(
    name="paper",
    channels=36,
    cells=20,
    resolution=32,
    epochs=600,
    batch_size=96,
    cutout=16,
    auxiliary=0.4,
    drop_path=0.2,
)
IMAGENET = Recipe(  # DOC: quark0/darts, cnn/train_imagenet.py
    name="paper",
    channels=48,
    cells=14,
    resolution=224,
    epochs=250,
    batch_size=128,
    learning_rate=0.1,
    decay="exponential",
    weight_decay=3e-5,
    auxiliary=0.4,
    label_smoothing=0.1,
)
SMALL = Recipe(
    name="small", channels=8, cells=5, resolution=16, images=12_800, epochs=5, batch_size=64, learning_rate=0.1
)
RECIPES = {
    "smoke": Recipe(name="smoke", channels=4, cells=3, resolution=16, images=320, epochs=2, batch_size=32),
    "small": SMALL,
    "nb301": PAPER.model_copy(update={"name": "nb301", "channels": 32, "cells": 8, "epochs": 100}),
    "paper": PAPER,
}
LARGER: dict[str, dict[str, dict[str, Any]]] = {  # what is otherwise on larger images
    "tiny-imagenet": {
        "smoke": {"resolution": 32},
        "small": {"resolution": 32, "images": None, "epochs": 4},  # of 20,000 images in 40 classes: 1,250 steps
        "nb301": {"resolution": 64},
        "paper": {"resolution": 64},
    },
}


class DARTSEvaluation:
    """Derived networks and their recipes, a `benchmarks.base.Evaluation`."""

    recipes: ClassVar[Mapping[str, Recipe]] = RECIPES
    targets: ClassVar[tuple[str, ...]] = ("cifar10", "cifar100", "tiny-imagenet", "imagenet")

    def __init__(self, places: tuple[Path, ...]):
        self.places = places

    def recipe(self, target: str, name: str) -> Recipe:
        if target not in self.targets:
            raise UserError(f"{NAME} is evaluated on no data set {target!r}{suggestion(target, list(self.targets))}")
        if name not in RECIPES:
            raise UserError(f"--preset {name!r} of an evaluation{suggestion(name, list(RECIPES))}")
        if target == "imagenet":
            if name != "paper":
                raise UserError("imagenet has the recipe of --preset paper alone")
            return IMAGENET
        return RECIPES[name].model_copy(update=LARGER.get(target, {}).get(name, {}))

    def images(self, target: str, recipe: Recipe) -> tuple[LabelledImages, LabelledImages]:
        from benchmarks import evaluation_images

        return evaluation_images.load(target, self.places, recipe)

    def network(self, cell: Cell, target: str, recipe: Recipe, seed: int) -> DerivedNetwork:
        import torch

        from benchmarks import evaluation_images

        with torch.random.fork_rng(devices=[]):  # the global generator stays as it was
            torch.manual_seed(seed)
            return build(cell, target, recipe, evaluation_images.classes(target, self.places))

    def multiply_adds(self, cell: Cell, target: str, recipe: Recipe) -> int:
        import torch

        from benchmarks import evaluation_images
        from benchmarks.darts.network import multiply_adds

        network = build(cell, target, recipe, evaluation_images.classes(target, self.places))
        return multiply_adds(network, torch.zeros(1, 3, recipe.resolution, recipe.resolution))


def build(cell: Cell, target: str, recipe: Recipe, classes: int) -> DerivedNetwork:
    """The network of a cell as a recipe wants it; `imagenet` has a stem of its own."""
    from benchmarks.darts.network import Network

    size = NetworkSize(recipe.channels, recipe.cells, 3, classes)
    return Network(cells.to_genotype(cell), size, target == "imagenet", recipe.auxiliary > 0)


class DARTSBenchmark:
    """A `benchmarks.base.Benchmark` without a table: every score is a training's."""

    name, version = NAME, VERSION
    source = "networks trained from scratch by this program"
    space: ClassVar[SearchSpace] = space
    datasets: ClassVar[tuple[str, ...]] = DATASETS
    splits: ClassVar[tuple[str, ...]] = ("test",)
    presets: ClassVar[Mapping[str, Preset]] = PRESETS
    simulated_seconds = 0.0

    def __init__(self, places: tuple[Path, ...]):
        self.places, self.evaluation = places, DARTSEvaluation(places)

    def size(self, dataset: str, preset: Preset) -> NetworkSize:
        return NetworkSize(preset.channels, preset.cells, 3, 10)

    def search_data(self, dataset: str, preset: Preset) -> tuple[Images, Images]:
        from benchmarks import search_images

        split = search_images.Split("halves-", halves)
        return search_images.load(self.places, dataset, preset.resolution, preset.images, split)

    def low_fidelity(self, dataset: str) -> LowFidelity | None:
        return None

    def low_fidelity_cost(self, dataset: str) -> str:
        return ""

    def require_scores(self) -> None:
        pass

    def score(self, cell: Cell, dataset: str, split: str) -> Score | None:
        return None

    def summary(self, dataset: str, split: str) -> Summary | None:
        return None

    def histogram(self, dataset: str, width: float) -> list[list[int]] | None:
        return None

    def sample(self, dataset: str, count: int) -> Sample | None:
        """The cells of `rank_check`, where its file is in a data folder."""
        return rank_check(self.places)


def halves(dataset: str) -> tuple[range, range]:
    return range(HALF), range(HALF, 2 * HALF)


REAL = "darts_real214.csv.gz"  # 214 cells with CIFAR-10 test accuracies after 600 epochs (Yang et al., ICLR 2020)
PAIRS, CEILING = 32, 0.80  # √0.643, the correlation of two trainings of one cell of theirs: no score can do better


def rank_check(places: Sequence[Path]) -> Sample | None:
    """Real accuracies to compare a supernet's scores with after the search; None where no data folder has the file.

    They are from a GPL-3.0 repository and of test images: they are not part of this package, records keep no accuracy
    of theirs, and nothing is chosen by them.
    """
    path = next((p for place in places for p in (place / REAL, place / "darts" / REAL) if p.is_file()), None)
    if path is None:
        return None
    with damage(path, "table of real accuracies"):
        with gzip.open(path, "rt", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        drawn = [space.parse(f"{row['normal']},{row['reduce']}") for row in rows]
        accuracies = np.array([float(row["test_acc_mean_last50"]) for row in rows])
        others = {
            "parameters": np.array([float(row["params"]) for row in rows]),
            "multiply-adds": np.array([float(row["mult_adds"]) for row in rows]),
        }
    return Sample(drawn, accuracies, ceiling=CEILING, pairs=PAIRS, others=others, private=True)


@lru_cache(maxsize=1)
def open_darts(places: tuple[Path, ...]) -> DARTSBenchmark:
    return DARTSBenchmark(places)


def has_images(places: Sequence[Path], dataset: str) -> bool:
    from benchmarks import search_images

    return search_images.any_in(places, dataset)


# the maxima of the column DARTS of yang_runs_cifar10.csv and yang_runs_cifar100.csv, antoyang/NAS-Benchmark @c2758da
BEST_OF_EIGHT = (
    "The best of eight DARTS runs elsewhere reached 97.47 % on CIFAR-10 (error 2.53) and 83.24 % on CIFAR-100 (error "
    "16.76; searched there, not transferred), with another training recipe: Yang et al., NAS evaluation is "
    "frustratingly hard, ICLR 2020."
)
ERRORS = {"c10": "cifar10_test", "c100": "cifar100_test"}


def published() -> list[dict[str, str]]:
    """Rows of published.csv as the report takes them: errors as accuracies in percent, GPU-days as seconds."""
    text = resources.files("benchmarks.darts").joinpath("published.csv").read_text(encoding="utf-8")
    rows = []
    for row in csv.DictReader(text.splitlines()):
        accuracies: dict[str, str] = {}
        for short, name in ERRORS.items():
            error = row[f"{short}_error"]
            accuracies |= {f"{name}_mean": error and f"{100 - float(error):.2f}", f"{name}_std": row[f"{short}_std"]}
        accuracies |= {"imagenet_test_mean": row["imagenet_top1"], "imagenet_top5_mean": row["imagenet_top5"]}
        seconds = row["gpu_days"] and f"{float(row['gpu_days']) * 86_400:.0f}"
        rows.append({**row, **accuracies, "search_seconds": seconds, "runs": "", "bibkey": ""})
    return rows


def describe(cell: Cell) -> list[str]:
    """A cell in every notation and its edges, a line each."""
    counts = space.operation_counts(cell)
    lines = [
        str(cells.to_genotype(cell)),
        f"NASLib     {cells.to_naslib(cell)}",
        f"canonical  {cells.canonical(cell)}",
        "operations " + ", ".join(f"{n} {op}" for op, n in zip(space.operations[1:], counts[1:], strict=True) if n),
    ]
    for kind, nodes in cells.inputs_of(cell).items():
        lines.append(f"{kind} cell")
        lines += [f"  {source}→{node}  {op}" for node, inputs in enumerate(nodes, 2) for op, source in inputs]
    if space.is_collapsed(cell):
        lines.append("collapsed: no operation of the normal cell has weights")
    return lines


def details(benchmark: Benchmark, cell: Cell) -> list[str]:
    """Parameters and multiply-adds of the cell's networks at the published sizes."""
    import torch

    from benchmarks.darts.network import multiply_adds
    from benchmarks.layers import count_parameters

    lines = ["networks of the cell, without auxiliary head (multiply-adds of convolutions and classifier, an image)"]
    for target, classes, recipe in (("cifar10", 10, PAPER), ("cifar100", 100, PAPER), ("imagenet", 1000, IMAGENET)):
        network = build(cell, target, recipe.model_copy(update={"auxiliary": 0.0}), classes)
        parameters = count_parameters(network)
        count = multiply_adds(network, torch.zeros(1, 3, recipe.resolution, recipe.resolution))
        limit = "" if target != "imagenet" else f", {'over' if count > 600e6 else 'under'} the mobile limit of 600 M"
        lines.append(
            f"  {target:<10} C {recipe.channels}, {recipe.cells} cells, {recipe.resolution}×{recipe.resolution}: "
            f"{parameters:,} parameters, {count:,} multiply-adds{limit}"
        )
    return lines


ENTRY = Entry(
    name=NAME,
    text="the DARTS space: 10¹⁸ pairs of cells; search on CIFAR-10 (--data, or harness data fetch cifar10), answers "
    "are trained from scratch",
    space=space,
    datasets=DATASETS,
    presets=PRESETS,
    recipes=RECIPES,
    simulated_seconds=0.0,
    open=lambda table, places: open_darts(tuple(dict.fromkeys(Path(place).resolve() for place in places))),
    has_images=has_images,
    published=published,
    beside_published=BEST_OF_EIGHT,
    describe=describe,
    details=details,
)
