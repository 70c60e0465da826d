"""The images of a search from the data folders: their halves, a share of them, a smaller resolution."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from benchmarks.errors import UserError
from benchmarks.images import Images, Indices, are_in, search_images, sources
from benchmarks.node_cache import cached


class Split(NamedTuple):
    """How a data set's images are divided for a search, see `images.search_images`."""

    name: str  # in file names
    indices: Callable[[str], tuple[Indices, Indices]]  # of a data set: those to train weights on, those to validate
    files: tuple[Path, ...] = ()  # that the indices are read from


@lru_cache(maxsize=2)
def load(
    places: tuple[Path, ...], dataset: str, resolution: int, count: int | None, split: Split
) -> tuple[Images, Images]:
    """Training and validation images, disjoint; `count` of each from their start (None: all), at a resolution.

    UserError where they are in no folder, damaged or not the published ones.
    """
    if not places:
        raise UserError(
            f"no folder with {dataset} images given; use --data DIR, or for CIFAR-10: harness data fetch cifar10"
        )
    # The first place that has any: a damaged file there is an error, not a reason to look further.
    place = next((place for place in places if are_in(dataset, place)), places[0])

    def prepare() -> tuple[Images, Images]:
        train, valid = search_images(dataset, place, split.indices(dataset))
        if count is not None:
            # Halves are in random order of class, so their first images are a fair sample of them.
            train, valid = (part.subset(range(min(count, len(part)))) for part in (train, valid))
        while train.pixels.shape[-1] > resolution:
            train, valid = train.reduced(), valid.reduced()
        return train, valid

    return cached(
        f"{dataset}-{split.name}{resolution}-{count or 'all'}", [*split.files, *sources(dataset, place)], prepare
    )


def any_in(places: Sequence[Path], dataset: str) -> bool:
    """Whether any file of a data set is in one of the folders."""
    return any(are_in(dataset, place) for place in places)
