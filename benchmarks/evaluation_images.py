"""The images that networks are trained on from scratch and tested on, in memory or streamed from files.

| target | images | normalisation |
|---|---|---|
| cifar10, cifar100 | 50,000 and 10,000, the official batches | AutoDL-Projects' constants (`datasets.py`) |
| tiny-imagenet | the official folder, decoded once | mean and deviation of its training images |
| imagenet | the official folders, decoded anew each epoch | ImageNet's constants, as torchvision has them |

The first three are cropped at random from a black border (an eighth of the side), mirrored and cut out; those of
ImageNet are seen as `image_views.py` says.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from hashlib import sha256
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from benchmarks import image_folders, images
from benchmarks.base import LabelledImages, Recipe
from benchmarks.datasets import SOURCES
from benchmarks.errors import UserError, suggestion
from benchmarks.image_folders import ImageFiles
from benchmarks.image_views import TestView, TrainingView, WholeView
from benchmarks.images import CropAndFlip, Images, normalise
from benchmarks.jpegs import cores, decoded

CIFAR = ("cifar10", "cifar100")
TARGETS = (*CIFAR, "tiny-imagenet", "imagenet")
TINY = 64  # height and width, pixels
MEAN, STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)  # of ImageNet: (0.485, 0.456, 0.406) · 255, …
MOST_WORKERS = 16  # a part of a batch


def load(target: str, places: Sequence[Path], recipe: Recipe) -> tuple[LabelledImages, LabelledImages]:
    """Training and test images of a target, from the first of the data folders that has it, as a recipe wants them.

    UserError where they are not there or not as published, and for a resolution that they cannot have.
    """
    if target == "imagenet":
        folder = image_folders.folder_of(target, places)
        count, size = len(folder.classes), recipe.resolution
        return (
            FileImages(folder.train.start(recipe.images), count, size),
            FileImages(folder.test, count, size, strict=True),
        )
    train, test, count, notes = _in_memory(_known(target), tuple(places), recipe.resolution)
    if recipe.images is not None:
        train = train.subset(range(min(recipe.images, len(train))))
    return MemoryImages(train, count, recipe.cutout, notes[0]), MemoryImages(test, count, notes=notes[1])


def classes(target: str, places: Sequence[Path]) -> int:
    """How many classes a target has; of a folder of images, what is in it. UserError where that is not there."""
    if _known(target) in CIFAR:
        return SOURCES[target].num_classes
    return len(image_folders.folder_of(target, places).classes)


def _known(target: str) -> str:
    if target not in TARGETS:
        raise UserError(f"unknown data set {target!r}{suggestion(target, list(TARGETS))}")
    return target


# ---------------------------------------------------------------------------------------- in memory


@dataclass(frozen=True, eq=False)
class MemoryImages:
    """Labelled images that fit into memory, a `benchmarks.base.LabelledImages`."""

    images: Images
    classes: int
    cutout: int = 0  # side of the square, pixels
    notes: list[str] = field(default_factory=list)  # what was converted or left out when they were read

    def __len__(self) -> int:
        return len(self.images)

    @cached_property
    def checksum(self) -> str:
        """sha256 of pixels and labels."""
        return images.checksum(self.images)

    def batches(
        self, size: int, seed: int, epoch: int, rank: int = 0, ranks: int = 1
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """One epoch of whole batches, on the CPU; see LabelledImages. UserError for a size that does not go."""
        order, rng = shuffled(len(self), size, seed, epoch, ranks)
        generator = torch.Generator().manual_seed(int(rng.integers(2**63)))
        pixels, part = self.images.pixels, _part(size, rank, ranks)
        for chosen in torch.from_numpy(order):
            # Drawn for the whole batch whatever the part is, since an augmentation may mix the images of its batch.
            batch = pixels.index_select(0, chosen)
            if self.images.augmentation is not None:
                batch = self.images.augmentation(batch, generator)
            centres = torch.stack([torch.randint(side, (size,), generator=generator) for side in batch.shape[2:]], 1)
            x = normalise(batch[part], self.images.mean, self.images.std)
            if self.cutout:
                x = cut_out(x, centres[part], self.cutout)
            yield x, self.images.labels.index_select(0, chosen[part])

    def views(self, size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """All images once, in their order and without augmentation, on the CPU; the last batch may be smaller."""
        for pixels, labels in zip(self.images.pixels.split(size), self.images.labels.split(size), strict=True):
            yield normalise(pixels, self.images.mean, self.images.std), labels


def shuffled(count: int, size: int, seed: int, epoch: int, ranks: int = 1) -> tuple[np.ndarray, np.random.Generator]:
    """The numbers of an epoch's images, int64 (batches, size) without an incomplete batch, and a generator to go on."""
    if size % ranks:
        raise UserError(f"a batch of {size} images has no {ranks} equal parts; take another batch size")
    if count < size:
        raise UserError(f"a batch of {size} images, and there are {count} to train on; take a smaller batch")
    rng = np.random.default_rng([seed, epoch])
    return rng.permutation(count)[: count // size * size].reshape(-1, size), rng


def _part(size: int, rank: int, ranks: int) -> slice:
    return slice(size // ranks * rank, size // ranks * (rank + 1))


def cut_out(x: Tensor, centres: Tensor, side: int) -> Tensor:
    """Images (B, C, H, W) with a square of zeros around each centre (B, 2), row and column; cut off at the border.

    DeVries and Taylor, Improved Regularization of Convolutional Neural Networks with Cutout, 2017. Of normalised
    images zero is the mean colour.
    """
    inside = []
    for axis, length in enumerate(x.shape[2:]):
        first = centres[:, axis, None] - side // 2
        steps = torch.arange(length)
        inside.append((steps >= first) & (steps < first + side))
    hole = inside[0][:, None, :, None] & inside[1][:, None, None, :]
    return x.masked_fill(hole, 0)


Notes = tuple[list[str], list[str]]  # on training and on test images


@lru_cache(maxsize=1)
def _in_memory(target: str, places: tuple[Path, ...], resolution: int) -> tuple[Images, Images, int, Notes]:
    """Training and test images of a resolution, the number of classes, and notes on both parts."""
    notes: Notes = ([], [])
    if target in CIFAR:
        if not places:
            raise UserError(
                f"no folder with {target} images given; use --data DIR, or harness data fetch {target} downloads them"
            )
        # The first place that has any: a damaged file there is an error, not a reason to look further.
        place = next((place for place in places if images.are_in(target, place)), places[0])
        train, test = images.training_and_test_images(target, place)
        count = SOURCES[target].num_classes
    else:
        folder = image_folders.folder_of(target, places)
        train, converted = _decode_all(folder.train, strict=False)
        test, test_converted = _decode_all(folder.test, strict=True)
        notes = (converted, test_converted)
        mean, std = constants(train.pixels)
        train, test = (replace(part, mean=mean, std=std) for part in (train, test))
        count = len(folder.classes)
    return _reduced(target, train, resolution), _reduced(target, test, resolution), count, notes


def _reduced(target: str, part: Images, resolution: int) -> Images:
    size = part.pixels.shape[-1]
    if resolution not in [size >> k for k in range(4)]:
        raise UserError(f"{target}: images of {size} pixels a side are reduced to {size // 2}, …; not to {resolution}")
    while part.pixels.shape[-1] > resolution:
        part = part.reduced()
    return part


def _decode_all(files: ImageFiles, strict: bool) -> tuple[Images, list[str]]:
    """All images of Tiny-ImageNet's files, with its augmentation; broken ones are left out and noted, or an error."""
    pixels = torch.empty(len(files), 3, TINY, TINY, dtype=torch.uint8)
    numbers: list[int] = []
    conversions = Conversions(files)
    chunks = np.array_split(np.arange(len(files)), -(-len(files) // 256))
    for batch in decoded(files, chunks, WholeView(TINY), "error" if strict else "leave out", workers=cores()):
        pixels[len(numbers) : len(numbers) + len(batch.numbers)] = batch.pixels.permute(0, 3, 1, 2)
        numbers += batch.numbers.tolist()
        conversions.add(batch.converted, batch.broken)
    labels = torch.from_numpy(files.labels[numbers])
    unknown = (0.0,) * 3, (1.0,) * 3  # constants, until all pixels are there
    return Images(pixels[: len(numbers)], labels, *unknown, CropAndFlip(TINY // 8)), conversions.notes


def constants(pixels: Tensor) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of each channel of uint8 (N, C, H, W), in units of 0-255, from exact counts."""
    levels = np.arange(256)
    counts = [torch.bincount(pixels[:, c].flatten(), minlength=256).numpy() for c in range(pixels.shape[1])]
    means = [float(np.average(levels, weights=count)) for count in counts]
    deviations = [
        float(np.average((levels - mean) ** 2, weights=count) ** 0.5) for mean, count in zip(means, counts, strict=True)
    ]
    return tuple(means), tuple(deviations)


# ----------------------------------------------------------------------------------------- in files


@dataclass
class Conversions:
    """What was unusual in files: those in another mode than RGB, and those that are broken."""

    files: ImageFiles
    converted: dict[int, str] = field(default_factory=dict)  # file -> its mode
    broken: dict[int, str] = field(default_factory=dict)  # file -> why

    def add(self, converted: Mapping[int, str], broken: Mapping[int, str]) -> None:
        self.converted |= converted
        self.broken |= broken

    @property
    def notes(self) -> list[str]:
        """What was converted, counted in one line, and a line for each broken file."""
        lines = []
        if self.converted:
            modes = Counter("grey" if mode == "L" else mode for mode in self.converted.values())
            words = ", ".join(f"{count:,} {mode}" for mode, count in sorted(modes.items()))
            lines.append(f"{self.files.part}: of {len(self.files):,} images {words} were converted to RGB")
        for number, reason in sorted(self.broken.items()):
            lines.append(f"{self.files.part}: {self.files.path(number)} is broken ({reason}) and was left out")
        return lines


@dataclass(frozen=True, eq=False)
class FileImages:
    """Labelled images in files, decoded by worker processes as they are needed, a `benchmarks.base.LabelledImages`.

    A broken file is an error if `strict`; else the next file takes its place, and `notes` names it.
    """

    files: ImageFiles
    classes: int
    size: int  # height and width of what a network sees, pixels
    strict: bool = False
    workers: int | None = None  # None: as many as there are cores for this part, at most 16; no result depends on it
    conversions: Conversions = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "conversions", Conversions(self.files))

    def __len__(self) -> int:
        return len(self.files)

    @cached_property
    def checksum(self) -> str:
        """sha256 of the files' names, sizes and labels; their contents are not read for it."""
        digest = sha256(self.files.labels.tobytes())
        for number, name in enumerate(self.files.names):
            digest.update(b"%s %d\n" % (name, self.files.path(number).stat().st_size))
        return digest.hexdigest()

    @property
    def notes(self) -> list[str]:
        """What was converted or left out so far."""
        return self.conversions.notes

    def batches(
        self, size: int, seed: int, epoch: int, rank: int = 0, ranks: int = 1
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """One epoch of whole batches, on the CPU; see LabelledImages. UserError for a size that does not go."""
        order, _ = shuffled(len(self), size, seed, epoch, ranks)
        parts = order[:, _part(size, rank, ranks)]
        yield from self._stream(parts, TrainingView(self.size), (seed, epoch), ranks)

    def views(self, size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """The middle of each image once, in their order, on the CPU; the last batch may be smaller."""
        numbers = np.arange(len(self))
        yield from self._stream(np.split(numbers, numbers[size::size]), TestView(self.size), (), 1)

    def _stream(
        self, batches: np.ndarray | list[np.ndarray], view: TrainingView | TestView, seeds: tuple[int, ...], ranks: int
    ) -> Iterator[tuple[Tensor, Tensor]]:
        workers = min(max(cores() // ranks, 1), MOST_WORKERS) if self.workers is None else self.workers
        for batch in decoded(self.files, batches, view, "error" if self.strict else "replace", seeds, workers):
            self.conversions.add(batch.converted, batch.broken)
            yield _normalise_rows(batch.pixels), torch.from_numpy(self.files.labels[batch.numbers])


def _normalise_rows(pixels: Tensor) -> Tensor:
    """`normalise` of uint8 (B, H, W, 3), which lies in memory as the result does: a row at a time, in half the time."""
    mean, std = (torch.tensor(values).repeat(pixels.shape[2]) for values in (MEAN, STD))
    rows = pixels.flatten(2).to(torch.float32).sub_(mean).div_(std)
    return rows.view(pixels.shape).permute(0, 3, 1, 2)
