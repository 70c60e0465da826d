"""The official halves: which CIFAR-10 images train weights and which validate cells; x-valid and x-test of the others.

`splits.npz` holds the indices of the split files of AutoDL-Projects (NOTICE). It was written by

    python -m benchmarks.nb201.splits ../shared/data/splits
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmarks.errors import UserError
from benchmarks.files import damage, read_at_most
from benchmarks.nb201.table_file import write_npz

FILE = Path(__file__).with_name("splits.npz")


class SplitFile(NamedTuple):
    """An official split file: two equal, disjoint parts of `total` images."""

    name: str
    parts: tuple[str, str]
    total: int


FILES = {
    "cifar10": SplitFile("cifar-split.txt", ("train", "valid"), 50_000),  # halves of the training images
    "cifar100": SplitFile("cifar100-test-split.txt", ("xvalid", "xtest"), 10_000),  # halves of the test images
    "ImageNet16-120": SplitFile("imagenet-16-120-test-split.txt", ("xvalid", "xtest"), 6_000),
}


def official_split(dataset: str) -> tuple[np.ndarray, np.ndarray]:
    """The two parts of a data set's official split, as rising int64 indices; disjoint and complete.

    cifar10: train and valid halves of the 50,000 training images. cifar100 and ImageNet16-120: x-valid and
    x-test halves of the test images.
    """
    first, second = FILES[dataset].parts
    with damage(FILE, "file of splits"), np.load(FILE, allow_pickle=False) as archive:
        return archive[f"{dataset}/{first}"].astype(np.int64), archive[f"{dataset}/{second}"].astype(np.int64)


def read_split(path: Path, parts: tuple[str, str], total: int) -> tuple[np.ndarray, np.ndarray]:
    """The two parts of an official split file; UserError where it is no such file."""
    try:
        stored = json.loads(read_at_most(path, 64))
        first, second = (np.array([int(i) for i in stored[part][1]], dtype=np.int64) for part in parts)
    except (OSError, ValueError, LookupError, TypeError, OverflowError) as error:
        raise UserError(f"{path} is not a split file with {' and '.join(parts)}: {error!r}") from error
    # equal halves that together name each image once: disjointness and range follow
    together = np.sort(np.concatenate([first, second]))
    if len(first) != len(second) or not np.array_equal(together, np.arange(total)):
        raise UserError(
            f"{path}: {' and '.join(parts)} must be disjoint halves of the indices 0 to {total - 1}; found "
            f"{len(first)} and {len(second)} indices, {len(np.unique(together))} different ones, "
            f"{len(np.intersect1d(first, second))} in both"
        )
    return first, second


def write(folder: Path, target: Path = FILE) -> None:
    """Put the official split files of a folder into one file."""
    arrays = {}
    for dataset, (name, parts, total) in FILES.items():
        for part, indices in zip(parts, read_split(folder / name, parts, total), strict=True):
            arrays[f"{dataset}/{part}"] = indices.astype(np.uint16)
    write_npz(target, **arrays)


if __name__ == "__main__":
    write(Path(sys.argv[1]))
