"""The images of digits201: digits at random places of a canvas, among fragments of other digits."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from benchmarks.digits201.task import CANVAS, FRAGMENT, FRAGMENTS, SOURCES, VIEWS
from benchmarks.images import Images

MEAN, STD = (60.7,), (92.0,)  # of composed training images, in units of 0-255


@dataclass(frozen=True)
class Clutter:
    """Augmentation: each digit at a random place of a canvas, among fragments of its batch's other digits."""

    canvas: int = CANVAS
    fragments: int = FRAGMENTS
    size: int = FRAGMENT  # height and width of a fragment

    def __call__(self, pixels: Tensor, generator: torch.Generator) -> Tensor:
        """uint8 (B, C, H, W) -> uint8 (B, C, canvas, canvas); where things overlap, the brighter pixel counts."""
        count, channels, height, width = pixels.shape

        def draw(high: int) -> Tensor:
            return torch.randint(high, (count, 1, 1), generator=generator, device=pixels.device)

        def window(size: int, top: Tensor, left: Tensor, row_length: int) -> Tensor:
            """Flat indices (B, C, size·size) of a square window of an image with rows of that length."""
            steps = torch.arange(size, device=pixels.device)
            rows, columns = top + steps[None, :, None], left + steps[None, None, :]
            return (rows * row_length + columns).view(count, 1, -1).expand(-1, channels, -1)

        free = self.canvas - height
        place = window(height, draw(free + 1), draw(free + 1), self.canvas)
        scene = pixels.new_zeros(count, channels, self.canvas**2).scatter_(2, place, pixels.flatten(2))
        for _ in range(self.fragments):
            others = (torch.arange(count, device=pixels.device) + draw(max(count - 1, 1)).flatten() + 1) % count
            span = height - self.size + 1
            piece = pixels[others].flatten(2).gather(2, window(self.size, draw(span), draw(span), width))
            span = self.canvas - self.size + 1
            place = window(self.size, draw(span), draw(span), self.canvas)
            scene.scatter_(2, place, torch.maximum(scene.gather(2, place), piece))
        return scene.view(count, channels, self.canvas, self.canvas)


@lru_cache(maxsize=1)
def parts() -> dict[str, Images]:
    """train: 1,024 sources of 8×8 with Clutter to compose them; valid and test: fixed scenes."""
    from sklearn.datasets import load_digits

    levels, targets = load_digits(return_X_y=True)
    order = torch.from_numpy(np.random.default_rng(0).permutation(len(targets)))
    pixels = torch.from_numpy(np.rint(levels * (255 / 16)).astype(np.uint8)).view(-1, 1, 8, 8)
    labels = torch.from_numpy(targets.astype(np.int64))
    by_name, generator = {}, torch.Generator().manual_seed(0)
    for (name, count), indices in zip(SOURCES.items(), order.split(list(SOURCES.values())), strict=True):
        sources = Images(pixels[indices], labels[indices], MEAN, STD, Clutter())
        if name != "train":
            views = sources.subset(torch.arange(count).repeat_interleave(VIEWS))
            views = replace(views, pixels=Clutter()(views.pixels, generator), augmentation=None)
            sources = views
        by_name[name] = sources
    return by_name


def search_images(dataset: str, resolution: int, count: int | None) -> tuple[Images, Images]:
    """Training sources, composed anew by their augmentation, and the fixed validation images; disjoint sources.

    Validation images come shuffled: as stored, the views of a source follow each other, and a batch of them would have
    the statistics of few digits.
    """
    train, valid = parts()["train"], parts()["valid"]
    valid = valid.subset(np.random.default_rng(0).permutation(len(valid)))
    if count is not None:
        train, valid = train.subset(range(count)), valid.subset(range(count))
    return train, valid
