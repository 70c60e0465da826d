"""A search space and a benchmark that are nothing like NAS-Bench-201: what a second one needs, in a page.

Two cell types of four edges each, three operations of which one is none, no official order, no table: accuracies and
the proxy are functions of the cell. `ENTRY` is what a package would register in the group `harness.benchmarks`.
"""

from __future__ import annotations

import sys

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.base import Cell, Edge, Entry, NetworkSize, Preset, Sampled, Score
from benchmarks.errors import UserError
from benchmarks.images import Images
from benchmarks.layers import batch_norm, cross_entropy

name = "toy"
operations: tuple[str, ...] = ("none", "skip", "conv")
none = 0
PAIRS = ((0, 1), (0, 2), (1, 2), (2, 3))
edges = tuple(Edge(cell_type, *pair) for cell_type in ("normal", "reduction") for pair in PAIRS)
incoming: tuple[slice, ...] = (slice(0, 1), slice(1, 3), slice(3, 4), slice(4, 5), slice(5, 7), slice(7, 8))
size: int | None = None
supernet_version = 1


def derive(alphas, keep_none=True, edge_weights=None) -> Cell:
    values = np.asarray(alphas, dtype=np.float64)
    if values.shape != (8, 3):
        raise UserError(f"architecture parameters have shape {values.shape}; expected (8, 3)")
    first = 0 if keep_none else 1
    return tuple(int(op) + first for op in values[:, first:].argmax(1))


def sample(rng, none=True) -> Cell:
    return tuple(int(op) for op in rng.integers(0 if none else 1, 3, size=8))


def neighbours(cell):
    return [(*cell[:e], op, *cell[e + 1 :]) for e in range(8) for op in range(3) if op != cell[e]]


def allowed(prefix):
    return tuple(range(len(operations)))


def mutate(cell, rng):
    return neighbours(cell)[int(rng.integers(16))]


def to_string(cell) -> str:
    return "/".join("".join(operations[op][0] for op in part) for part in (cell[:4], cell[4:]))


def parse(spelling) -> Cell:
    if not isinstance(spelling, str) or len(spelling) != 9 or set(spelling) - set("nsc/"):
        raise UserError(f"toy cell {spelling!r}: expected e.g. nscs/cccc")
    return tuple("nsc".index(letter) for letter in spelling.replace("/", ""))


def index(cell):
    return None


canonical = function_name = to_string


def operation_counts(cell):
    return [cell.count(op) for op in range(3)]


def is_collapsed(cell) -> bool:
    return 2 not in cell


def is_connected(cell) -> bool:
    return all(((c[0] and c[2]) or c[1]) and c[3] for c in (cell[:4], cell[4:]))


class ToyCell(nn.Module):
    """Four edges, each none, skip or ReLU-Conv-BN; with `share` only one in so many channels is mixed."""

    def __init__(self, channels: int, share: int):
        super().__init__()
        self.mixed = channels // share
        self.convs = nn.ModuleList(nn.Conv2d(self.mixed, self.mixed, 3, padding=1, bias=False) for _ in PAIRS)

    def forward(self, x: Tensor, weights: Tensor) -> Tensor:
        """Through mixture weights (4, 3), or (4, 4) with those of the edges."""
        nodes: list[Tensor] = [x] + [torch.zeros_like(x)] * 3
        for (i, j), conv, w in zip(PAIRS, self.convs, weights, strict=True):
            part = nodes[i][:, : self.mixed]
            out = w[1] * part + w[2] * batch_norm(conv(F.relu(part)))
            if len(w) == 4:
                out = torch.cat([out, w[3] * nodes[i][:, self.mixed :]], 1)
            nodes[j] = nodes[j] + out
        return nodes[3]


class ToySupernet(nn.Module):
    def __init__(self, size: NetworkSize, seed: int, share: int):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            super().__init__()
            self.stem = nn.Conv2d(size.in_channels, size.channels, 3, padding=1, bias=False)
            self.cells = nn.ModuleList(ToyCell(size.channels, share) for _ in range(2))
            self.head = nn.Linear(size.channels, size.num_classes)

    def forward(self, x: Tensor, choice) -> Tensor:
        weights = choice.weights if isinstance(choice, Sampled) else choice
        if not isinstance(weights, Tensor):
            weights = F.one_hot(torch.tensor(weights), 3).to(x.dtype)
        x = batch_norm(self.stem(x))
        for cell, part in zip(self.cells, weights.split(4), strict=True):
            x = F.avg_pool2d(cell(x, part), 2)
        return self.head(x.mean((2, 3)))

    @torch.no_grad()
    def losses(self, choices, x: Tensor, y: Tensor) -> list[float]:
        return [cross_entropy(self(x, choice), y).item() for choice in choices]

    @torch.no_grad()
    def accuracies(self, choices, x: Tensor, y: Tensor) -> list[float]:
        return [100 * (self(x, choice).argmax(1) == y).float().mean().item() for choice in choices]


def supernet(size: NetworkSize, seed: int, mixed_share: int = 1) -> ToySupernet:
    return ToySupernet(size, seed, mixed_share)


def plain_supernet(size: NetworkSize) -> ToySupernet:
    return ToySupernet(size, 0, 1)


class ToyNetwork(nn.Module):
    """The network of one cell: a convolution for each edge that has one, one after the other."""

    def __init__(self, cell: Cell, size: NetworkSize):
        super().__init__()
        c = size.channels
        self.stem = nn.Conv2d(size.in_channels, c, 3, padding=1, bias=False)
        self.convs = nn.ModuleList(nn.Conv2d(c, c, 3, padding=1, bias=False) for op in cell if op == 2)
        self.norms = nn.ModuleList(nn.BatchNorm2d(c) for _ in self.convs)
        self.head = nn.Linear(c, size.num_classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for conv, norm in zip(self.convs, self.norms, strict=True):
            x = x + norm(conv(F.relu(x)))
        return self.head(x.mean((2, 3)))


def network(cell: Cell, size: NetworkSize) -> ToyNetwork:
    return ToyNetwork(cell, size)


def plain_network(cell: Cell, size: NetworkSize) -> ToyNetwork:
    return ToyNetwork(cell, size)


class Toy:
    """The benchmark: convolutions are good, the more so in the first cell."""

    name, version, source = "toy", "0" * 64, "a function of the cell"
    datasets: tuple[str, ...] = ("blobs", "stripes")
    splits: tuple[str, ...] = ("valid", "test")
    simulated_seconds = 100.0
    evaluation = None

    def __init__(self):
        self.space, self.presets = sys.modules[__name__], PRESETS

    def size(self, dataset, preset):
        return NetworkSize(preset.channels, preset.cells, 1, 2)

    def search_data(self, dataset, preset):
        rng = np.random.default_rng(0)
        labels = torch.from_numpy(rng.integers(2, size=128))
        pixels = torch.from_numpy(rng.integers(0, 128, size=(128, 1, 8, 8)).astype(np.uint8))
        pixels[labels == 1, :, :4] += 100
        images = Images(pixels, labels, (90.0,), (60.0,), None)
        return images.subset(range(64)), images.subset(range(64, 128))

    def low_fidelity(self, dataset):
        return lambda cell: (accuracy(cell) - 5, 2.0)

    def low_fidelity_cost(self, dataset):
        return "always 2"

    def require_scores(self):
        pass

    def score(self, cell, dataset, split):
        shift = (dataset == "stripes") * 7 + (split == "test")
        return Score(accuracy(cell) - shift, 1, dataset, split, 10)

    def summary(self, dataset, split):
        return None

    def histogram(self, dataset, width):
        return None

    def sample(self, dataset, count):
        return None


def accuracy(cell: Cell) -> float:
    return 50.0 + sum((4.0 if e < 4 else 2.0) * (op == 2) + (op == 1) for e, op in enumerate(cell))


PRESETS = {"smoke": Preset(channels=4, cells=1, resolution=8, images=64, epochs=3, batch_size=16)}


ENTRY = Entry("toy", "a toy", sys.modules[__name__], Toy.datasets, PRESETS, Toy.simulated_seconds, lambda *_: Toy())
