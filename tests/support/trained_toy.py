"""The toy space without scores: its answers are trained from scratch on blobs, which a convolution tells apart.

`smoke` takes less than a second. `ENTRY` is a benchmark of its own, `trained-toy`.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from hashlib import sha256

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.base import Entry, Recipe
from benchmarks.errors import UserError, suggestion
from support import toy

BASE = {"channels": 4, "cells": 2, "resolution": 8, "batch_size": 16, "learning_rate": 0.1}
RECIPES = {
    "smoke": Recipe(name="smoke", epochs=2, **BASE),
    "long": Recipe(name="long", epochs=6, auxiliary=0.4, drop_path=0.2, label_smoothing=0.1, **BASE),
    "steps": Recipe(name="steps", epochs=20, images=16, auxiliary=0.4, drop_path=0.2, **BASE),  # an epoch is a step
    "diverging": Recipe(name="diverging", epochs=3, **BASE | {"learning_rate": 1e30, "clip": 1e30}),
}


@dataclass(frozen=True, eq=False)
class Blobs:
    """Two classes of 8×8 images: a bright square in the left or in the right half, in noise."""

    pixels: Tensor
    labels: Tensor
    classes: int = 2

    @property
    def checksum(self):
        return sha256(self.pixels.numpy().tobytes() + self.labels.numpy().tobytes()).hexdigest()

    def __len__(self):
        return len(self.labels)

    def batches(self, size, seed, epoch, rank=0, ranks=1):
        generator = torch.Generator().manual_seed(1000 * seed + epoch)
        order = torch.randperm(len(self), generator=generator)
        for batch in order[: len(self) // size * size].split(size):
            own = batch.chunk(ranks)[rank]
            yield self.pixels[own], self.labels[own]

    def views(self, size):
        yield from zip(self.pixels.split(size), self.labels.split(size), strict=True)


def blobs(target: str, count: int, part: int) -> Blobs:
    generator = torch.Generator().manual_seed(10 * len(target) + part)
    labels = torch.arange(count) % 2
    pixels = 1.5 * torch.randn(count, 1, 8, 8, generator=generator)
    if target == "stripes":
        pixels[labels == 1, :, ::2] += 1
    for k, label in enumerate(labels):
        column = 1 + 4 * int(label)
        pixels[k, :, 3:5, column : column + 2] += 2
    return Blobs(pixels, labels)


class DerivedToy(nn.Module):
    """A stem, the two cells with a pooling after each, a linear head; batch norms keep running statistics."""

    def __init__(self, cell, channels: int, seed: int, auxiliary: bool):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            super().__init__()
            self.cell, self.drop_path = cell, 0.0
            self.stem = nn.Sequential(nn.Conv2d(1, channels, 3, padding=1, bias=False), nn.BatchNorm2d(channels))
            convs = {
                str(e): nn.Sequential(nn.Conv2d(channels, channels, 3, padding=1, bias=False), nn.BatchNorm2d(channels))
                for e, op in enumerate(cell)
                if op == 2
            }
            self.convs = nn.ModuleDict(convs)
            self.head = nn.Linear(channels * 4, 2)
            self.auxiliary = nn.Linear(channels, 2) if auxiliary else None

    def forward(self, x: Tensor):
        x = self.stem(x)
        for first in (0, 4):
            nodes = [x] + [torch.zeros_like(x)] * 3
            for e, (i, j) in enumerate(toy.PAIRS, first):
                if self.cell[e] == 1:
                    nodes[j] = nodes[j] + nodes[i]
                elif self.cell[e] == 2:
                    out = self.convs[str(e)](F.relu(nodes[i]))
                    if self.training and self.drop_path > 0:
                        kept = torch.rand(len(x), 1, 1, 1, device=x.device) >= self.drop_path
                        out = out * kept / (1 - self.drop_path)
                    nodes[j] = nodes[j] + out
            x = F.avg_pool2d(nodes[3], 2)
        auxiliary = self.auxiliary(x.mean((2, 3))) if self.auxiliary is not None and self.training else None
        return self.head(x.flatten(1)), auxiliary


class ToyEvaluation:
    """Images and networks of the two targets."""

    recipes, targets = RECIPES, ("blobs", "stripes")

    def recipe(self, target, name):
        if name not in RECIPES:
            raise UserError(f"--preset {name!r}: no recipe{suggestion(name, list(RECIPES))}")
        return RECIPES[name]

    def images(self, target, recipe):
        return blobs(target, recipe.images or 64, 0), blobs(target, 40, 1)

    def network(self, cell, target, recipe, seed):
        return DerivedToy(cell, recipe.channels, seed, recipe.auxiliary > 0)

    def multiply_adds(self, cell, target, recipe):
        per_conv = 9 * recipe.channels**2
        return 64 * 9 * recipe.channels + per_conv * (64 * cell[:4].count(2) + 16 * cell[4:].count(2)) + 8 * 4


class TrainedToy(toy.Toy):
    """The benchmark."""

    name, version, source = "trained-toy", "1" * 64, "answers trained from scratch"

    def __init__(self):
        super().__init__()
        self.evaluation = ToyEvaluation()

    def score(self, cell, dataset, split):
        return None


ENTRY = Entry("trained-toy", "a toy that is trained", sys.modules[toy.__name__], TrainedToy.datasets, toy.PRESETS,
              TrainedToy.simulated_seconds, lambda *_: TrainedToy(), recipes=RECIPES)  # fmt: skip
