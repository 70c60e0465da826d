"""JPEG files decoded by worker processes, batch by batch."""

from __future__ import annotations

import io
import os
import signal
import struct
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor
from torch.utils.data import DataLoader

from benchmarks.errors import UserError
from benchmarks.image_folders import ImageFiles
from benchmarks.processes import start_worker

View: TypeAlias = "Callable[[Image.Image, np.random.Generator], Image.Image]"

FORMATS = ("JPEG", "PNG")  # one of ImageNet's .JPEG is a PNG
PATIENCE = 10  # broken files one after the other, before the folder counts as damaged
# What Pillow raises for damaged content.
BROKEN = (OSError, SyntaxError, ValueError, IndexError, struct.error, Image.DecompressionBombError)


class Decoded(NamedTuple):
    """A batch of images, all of one size."""

    numbers: np.ndarray  # of the files, int64 (B,)
    pixels: Tensor  # uint8 (B, H, W, 3)
    converted: dict[int, str]  # files that were not RGB: their mode, L for grey
    broken: dict[int, str]  # files that could not be decoded: why


def cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def decoded(
    files: ImageFiles,
    batches: np.ndarray | list[np.ndarray],
    view: View,
    broken: Literal["error", "leave out", "replace"],
    seeds: tuple[int, ...] = (),
    workers: int = 0,
) -> Iterator[Decoded]:
    """The files of each batch of numbers, decoded and seen through `view`, in order.

    What a view draws depends on `seeds` and the file's number alone. A broken file is an error, is left out, or gives
    its place to the next file. UserError for a file that cannot be read, and for many broken ones in a row.
    """
    loader = DataLoader(
        _Reader(files, view, broken, seeds),
        sampler=batches,
        batch_size=None,
        num_workers=min(workers, len(batches)),
        collate_fn=_unchanged,
        worker_init_fn=_start,
        generator=torch.Generator(),  # or the loader would draw from the global one
    )
    for batch in loader:
        if isinstance(batch, UserError):  # raised here, as the loader would wrap it in its traceback
            raise batch
        yield batch


def _unchanged(batch: Any) -> Any:
    return batch


def _start(worker: int) -> None:
    start_worker()
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # the parent's handler is inherited by fork
    warnings.simplefilter("ignore")  # Pillow's, of odd EXIF data


@dataclass(frozen=True)
class _Reader:
    """What a worker does: called with the numbers of a batch. An error is returned, for the parent to raise."""

    files: ImageFiles
    view: View
    broken: Literal["error", "leave out", "replace"]
    seeds: tuple[int, ...]

    def __getitem__(self, numbers: np.ndarray) -> Decoded | UserError:
        try:
            return self._batch(numbers.tolist())
        except UserError as error:
            return error

    def _batch(self, numbers: list[int]) -> Decoded:
        used, images = [], []
        converted: dict[int, str] = {}
        broken: dict[int, str] = {}
        for number in numbers:
            rng = np.random.default_rng([*self.seeds, number])
            for place in self._candidates(number):
                try:
                    image, mode = self._decode(place)
                    pixels = np.asarray(self.view(image, rng))
                except BROKEN as error:
                    broken[place] = "no JPEG" if isinstance(error, UnidentifiedImageError) else str(error)
                    continue
                used.append(place)
                images.append(pixels)
                if mode != "RGB":
                    converted[place] = mode
                break
        short = not used or (self.broken == "replace" and len(used) < len(numbers))
        if broken and (self.broken == "error" or short):
            place, reason = next(iter(broken.items()))
            more = f", and {len(broken) - 1} more near it" if len(broken) > 1 else ""
            raise UserError(f"{self.files.path(place)}: a broken image ({reason}){more}; unpack the data set again")
        return Decoded(np.array(used), torch.from_numpy(np.stack(images)), converted, broken)

    def _candidates(self, number: int) -> list[int]:
        return [(number + k) % len(self.files) for k in range(PATIENCE if self.broken == "replace" else 1)]

    def _decode(self, number: int) -> tuple[Image.Image, str]:
        """A file's image in RGB, and the mode that it was in."""
        path = self.files.path(number)
        try:
            content = path.read_bytes()
        except OSError as error:
            raise UserError(f"{path}: {error.strerror}; check the file, or unpack the data set again") from None
        with Image.open(io.BytesIO(content), formats=FORMATS) as image:
            return image.convert("RGB"), image.mode
