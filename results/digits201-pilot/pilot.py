"""The pilot of a second digits201: which task and schedule rank cells as NAS-Bench-201's CIFAR-10 does.

    python results/digits201-pilot/pilot.py train DESIGN [DESIGN ...] --set choose --classes 40
    python results/digits201-pilot/pilot.py report --set choose

`train` appends a line per (design, class, seed) to DESIGN-SET.jsonl beside this file and skips lines that are there.
A set is 120 classes of cells, drawn uniformly, `choose` and `confirm` disjoint, and two named cells. Designs are judged
by validation accuracy alone; the test accuracy is recorded and not read.
"""

from __future__ import annotations

import argparse
import csv
import gc
import gzip
import json
import math
import time
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.stats import spearmanr
from sklearn.datasets import load_digits
from torch import Tensor
from torch.nn import functional as F

from benchmarks.base import NetworkSize
from benchmarks.digits201.build import fit, side_by_side, stacked_network
from benchmarks.digits201.images import Clutter
from benchmarks.digits201.task import MOMENTUM, SOURCES, VIEWS
from benchmarks.images import Batches, Images, normalise
from benchmarks.nb201 import cell as cells
from benchmarks.nb201.benchmark import open_nb201
from benchmarks.nb201.cell import CONV3, SKIP, Cell
from benchmarks.nb201.functions import function_classes
from benchmarks.nb201.network import Skeleton, network

FOLDER = Path(__file__).parent
SEEDS = (0, 1)
NAMED: dict[str, Cell] = {"six 3x3": (CONV3,) * 6, "all-skip": (SKIP,) * 6}
DRAWN = 120  # classes of a set


@dataclass(frozen=True)
class Design:
    """Images, network and schedule; the proxy is a training of its own of `proxy` steps."""

    steps: int
    lr: float
    proxy: int = 80
    canvas: int = 12
    fragments: int = 2
    channels: int = 8
    cells: int = 1
    batch: int = 64
    weight_decay: float = 5e-4
    fragment: int = 4

    @property
    def size(self) -> NetworkSize:
        return NetworkSize(channels=self.channels, cells=self.cells, in_channels=1, num_classes=10)


DESIGNS = {
    "s400": Design(400, 0.1),
    "s400-c10f1": Design(400, 0.1, canvas=10, fragments=1),
    "s400-c10f1-n2": Design(400, 0.1, canvas=10, fragments=1, cells=2),
    "s400-lr0.03": Design(400, 0.03),
    "s800-b32": Design(800, 0.05, batch=32),
    "s400-ch4": Design(400, 0.1, 50, channels=4),
}


# ---------------------------------------------------------------------------------------- training


@lru_cache(maxsize=1)
def images(canvas: int, fragments: int, fragment: int) -> dict[str, Images]:
    """digits201's disjoint sources in another clutter: composed anew for training, five fixed views of the others."""
    clutter, generator = Clutter(canvas, fragments, fragment), torch.Generator().manual_seed(0)
    levels, targets = load_digits(return_X_y=True)
    order = torch.from_numpy(np.random.default_rng(0).permutation(len(targets)))
    pixels = torch.from_numpy(np.rint(levels * (255 / 16)).astype(np.uint8)).view(-1, 1, 8, 8)
    labels = torch.from_numpy(targets.astype(np.int64))
    by_name: dict[str, Images] = {}
    for name, chosen in zip(SOURCES, order.split(list(SOURCES.values())), strict=True):
        five = chosen.repeat_interleave(VIEWS)
        views = clutter(pixels[five], generator)
        if name == "train":
            mean, std = (float(views.double().mean()),), (float(views.double().std()),)
            by_name[name] = Images(pixels[chosen], labels[chosen], mean, std, clutter)
        else:
            by_name[name] = Images(views, labels[five], mean, std, None)
    return by_name


@lru_cache(maxsize=2)
def training_batches(design: Design, steps: int) -> list[tuple[Tensor, Tensor]]:
    """The seeds' batches side by side, the same for every cell."""
    train = images(design.canvas, design.fragments, design.fragment)["train"]
    streams = [Batches(train, design.batch, torch.Generator().manual_seed(seed), channels_last=False) for seed in SEEDS]
    return [side_by_side([stream.next() for stream in streams]) for _ in range(steps)]


def train(cell: Cell, design: Design, steps: int) -> Skeleton:
    """The cell's networks after a cosine schedule of that many steps."""
    net = stacked_network(cell, SEEDS, design.size)
    return fit(net, training_batches(design, steps), design.lr, design.weight_decay)


@torch.no_grad()
def accuracy(net: Skeleton, design: Design, split: str) -> list[float]:
    """Percent of a split's images that each copy answers rightly."""
    views = images(design.canvas, design.fragments, design.fragment)[split]
    right = torch.zeros(len(SEEDS), dtype=torch.int64)
    for pixels, labels in zip(views.pixels.split(256), views.labels.split(256), strict=True):
        x = normalise(pixels, views.mean, views.std, channels_last=False).expand(-1, len(SEEDS), -1, -1)
        answers = net(x.contiguous(memory_format=torch.channels_last)).view(len(x), len(SEEDS), -1).argmax(-1)
        right += (answers == labels[:, None]).sum(0)
    return [100 * count / len(views) for count in right.tolist()]


def drawn(which: str) -> list[int]:
    """The first cells of a set's classes: the named ones, then those drawn, in the order of drawing."""
    class_of, first = function_classes()
    named = [int(class_of[cells.index(cell)]) for cell in NAMED.values()]
    others = [int(k) for k in np.random.default_rng(201).permutation(len(first)) if k not in named]
    start = {"choose": 0, "confirm": DRAWN}[which]
    return [int(first[k]) for k in named + others[start : start + DRAWN]]


def records(name: str, which: str) -> list[dict[str, Any]]:
    path = FOLDER / f"{name}-{which}.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def train_set(name: str, which: str, classes: int) -> None:
    """Train the set's first so many classes that the design's file lacks, and append a line for each seed."""
    design, class_of = DESIGNS[name], function_classes()[0]
    have = {(record["class"], record["seed"]) for record in records(name, which)}
    for index in drawn(which)[: classes + len(NAMED)]:
        number = int(class_of[index])
        if all((number, seed) in have for seed in SEEDS):
            continue
        cell, lines = cells.from_index(index), []
        start = time.process_time()
        proxy = accuracy(train(cell, design, design.proxy), design, "valid")
        middle = time.process_time()
        net = train(cell, design, design.steps)
        end = time.process_time()
        valid, test = (accuracy(net, design, split) for split in ("valid", "test"))
        for k, seed in enumerate(SEEDS):
            record = {
                "design": name,
                "cell": cells.to_string(cell),
                "class": number,
                "seed": seed,
                "steps": design.steps,
                "valid": valid[k],
                "test": test[k],
                "proxy valid": proxy[k],
                "seconds": round((end - middle) / len(SEEDS), 3),
                "proxy seconds": round((middle - start) / len(SEEDS), 3),
            }
            lines.append(json.dumps(record) + "\n")
        with open(FOLDER / f"{name}-{which}.jsonl", "a") as file:
            file.write("".join(lines))
        del net
        gc.collect()


# ------------------------------------------------------------------------------------------ report


def rank(x: np.ndarray, y: np.ndarray) -> float:
    return float(spearmanr(x, y).statistic) if len(x) > 2 else math.nan


def cifar10() -> np.ndarray:
    """NAS-Bench-201's CIFAR-10 validation accuracy at 200 epochs, means of the classes."""
    accuracy, class_of = open_nb201(None, ()).column("cifar10", "valid").mean, function_classes()[0]
    return np.bincount(class_of, weights=accuracy) / np.bincount(class_of)


def row(name: str, which: str, real: np.ndarray) -> dict[str, str]:
    """A design's figures; correlations over the drawn classes, the named cells apart."""
    lines, class_of = records(name, which), function_classes()[0]
    by_class: dict[int, dict[int, dict[str, Any]]] = {}
    for line in lines:
        by_class.setdefault(line["class"], {})[line["seed"]] = line
    named = {label: int(class_of[cells.index(cell)]) for label, cell in NAMED.items()}
    classes = [k for k in by_class if k not in named.values()]
    valid = np.array([[by_class[k][seed]["valid"] for seed in SEEDS] for k in classes])
    proxy = np.array([[by_class[k][seed]["proxy valid"] for seed in SEEDS] for k in classes])
    mean, wanted = valid.mean(1), real[classes]
    good, good_here = wanted >= np.median(wanted), mean >= np.median(mean)
    seconds = np.mean([line["seconds"] + line["proxy seconds"] for line in lines])
    figures = {
        "design": name,
        "n": str(len(classes)),
        "ρ CIFAR-10": f"{rank(mean, wanted):.2f}",
        "better half": f"{rank(mean[good], wanted[good]):.2f}",
        "seed–seed": f"{rank(*valid.T):.2f}",
        "better half here": f"{rank(*valid[good_here].T):.2f}",
        "proxy–full": f"{rank(proxy.mean(1), mean):.2f}",
        "sd of seeds": f"{np.sqrt(valid.var(1, ddof=1).mean()):.1f}",
        "mean": f"{mean.mean():.1f}",
        "best": f"{mean.max():.1f}",
    }
    for label, k in named.items():
        own = float(np.mean([by_class[k][seed]["valid"] for seed in SEEDS]))
        place = 100 * float((mean < own).mean() + (mean == own).mean() / 2)
        figures |= {label: f"{own:.1f}", f"{label}, percentile": f"{place:.0f}"}
    return figures | {"s per seed": f"{seconds:.1f}"}


def report(which: str) -> None:
    real, rows = cifar10(), []
    for name in DESIGNS:
        if len(records(name, which)) > (3 + len(NAMED)) * len(SEEDS):
            rows.append(row(name, which, real))
    if rows:
        print("| " + " | ".join(rows[0]) + " |")
        print("|---|" + "---:|" * (len(rows[0]) - 1))
        for figures in rows:
            print("| " + " | ".join(figures.values()) + " |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    modes = parser.add_subparsers(dest="mode", required=True)
    for mode in ("train", "report"):
        sub = modes.add_parser(mode)
        sub.add_argument("--set", choices=("choose", "confirm"), default="choose")
        if mode == "train":
            sub.add_argument("--classes", type=int, nargs="+", default=[DRAWN], help="how many of the set, in rounds")
            sub.add_argument("designs", nargs="+", choices=DESIGNS)
    chosen = parser.parse_args()
    if chosen.mode == "report":
        report(chosen.set)
        return
    torch.set_num_threads(1)
    gc.disable()
    for classes in chosen.classes:
        for name in chosen.designs:
            train_set(name, chosen.set, classes)


if __name__ == "__main__":
    main()
