"""CIFAR-10, CIFAR-100 and ImageNet16-120 as uint8 tensors: load, augment, iterate.

Every data set is one tensor on one device, and crops, flips and normalisation are a few tensor operations
on a batch of it: no worker processes, no per-image Python. All randomness comes from generators handed in.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from benchmarks import safe_pickle
from benchmarks.datasets import MD5, SOURCES, advice
from benchmarks.errors import UserError
from benchmarks.files import read_at_most

Indices: TypeAlias = Tensor | np.ndarray | Sequence[int]

# -------------------------------------------------------------------------------------------- images


@dataclass(frozen=True)
class CropAndFlip:
    """Augmentation: each image mirrored with probability 1/2, then cropped at random from a black border."""

    pad: int  # width of the border, in pixels

    def __call__(self, pixels: Tensor, generator: torch.Generator) -> Tensor:
        """uint8 (B, C, H, W) -> the same shape and type; the generator always advances by the same draws.

        The border is zeros of raw pixels, before normalisation, as RandomHorizontalFlip,
        RandomCrop(H, padding=pad), ToTensor, Normalize have it.
        """
        count, channels, height, width = pixels.shape
        pad, device = self.pad, pixels.device
        draw = torch.randint(2 * pad + 1, (2, count, 1), generator=generator, device=device)
        mirrored = torch.randint(2, (count, 1), generator=generator, device=device) == 1
        rows = draw[0] + torch.arange(height, device=device)
        columns = draw[1] + torch.arange(width, device=device)
        bordered_width = width + 2 * pad
        # reading the bordered image from the right mirrors it
        columns = torch.where(mirrored, bordered_width - 1 - columns, columns)
        # one gather with the index shared by the channels: half the time of windows by advanced indexing
        index = (rows[:, :, None] * bordered_width + columns[:, None, :]).view(count, 1, -1)
        bordered = F.pad(pixels, (pad, pad, pad, pad)).flatten(2)
        return bordered.gather(2, index.expand(-1, channels, -1)).view(pixels.shape)


@dataclass(frozen=True, eq=False)
class Images:
    """Labelled images of one size, on one device.

    pixels: uint8 (N, C, H, W), contiguous; labels: int64 (N,), from 0.
    mean, std: per channel, in units of 0-255; augmentation: what makes a training image of a stored one,
    called with pixels (B, C, H, W) and a generator on their device; None where they are used as they are.
    """

    pixels: Tensor
    labels: Tensor
    mean: tuple[float, ...]
    std: tuple[float, ...]
    augmentation: Callable[[Tensor, torch.Generator], Tensor] | None

    def __post_init__(self) -> None:
        shape, labels = tuple(self.pixels.shape), tuple(self.labels.shape)
        if self.pixels.dtype != torch.uint8 or len(shape) != 4 or not self.pixels.is_contiguous():
            raise ValueError(f"pixels must be contiguous uint8 (N, C, H, W), got {self.pixels.dtype} {shape}")
        if self.labels.dtype != torch.int64 or labels != shape[:1]:
            raise ValueError(f"labels must be int64 ({shape[0]},), got {self.labels.dtype} {labels}")

    def __len__(self) -> int:
        return len(self.labels)

    def to(self, device: torch.device | str) -> Images:
        return replace(self, pixels=self.pixels.to(device), labels=self.labels.to(device))

    def clone(self) -> Images:
        return replace(self, pixels=self.pixels.clone(), labels=self.labels.clone())

    def subset(self, indices: Indices) -> Images:
        """The images at `indices`, in that order, as a copy that keeps no hold on the others."""
        chosen = torch.as_tensor(indices, dtype=torch.int64, device=self.labels.device)
        return replace(self, pixels=self.pixels.index_select(0, chosen), labels=self.labels.index_select(0, chosen))

    def reduced(self) -> Images:
        """Half the height and width: means of 2x2 pixels, halves rounded up; half the crop padding.

        mean and std stay those of the full size. Raises ValueError for odd sizes.
        """
        if self.pixels.shape[2] % 2 or self.pixels.shape[3] % 2:
            raise ValueError(f"2x2 means need an even height and width, got {tuple(self.pixels.shape[2:])}")
        total = self.pixels[:, :, ::2, ::2].to(torch.int16)
        for row, column in ((0, 1), (1, 0), (1, 1)):
            total += self.pixels[:, :, row::2, column::2]
        crop = self.augmentation
        if isinstance(crop, CropAndFlip):
            crop = replace(crop, pad=crop.pad // 2)
        return replace(self, pixels=((total + 2) >> 2).to(torch.uint8).contiguous(), augmentation=crop)


def checksum(images: Images) -> str:
    """sha256 (hex) of the pixels' bytes followed by the labels' (int64, little-endian)."""
    digest = hashlib.sha256(images.pixels.cpu().numpy())
    digest.update(images.labels.cpu().numpy().astype("<i8", copy=False))
    return digest.hexdigest()


# ------------------------------------------------------------------------------------------- loading


def search_images(dataset: str, root: Path | str, split: tuple[Indices, Indices]) -> tuple[Images, Images]:
    """What a search may see: images to train weights on, images to validate cells on; disjoint copies.

    cifar10: `split` has both parts of the 50,000 training images. cifar100: 50,000 and the test images of the first
    part, x-valid. ImageNet16-120: 151,700 and those of x-valid (AutoDL-Projects, get_nas_search_loaders).
    `root` holds the data set's official folder, or is that folder itself. Raises UserError for an unknown name, and for
    files that are missing or are not the published ones.
    """
    first, second = split
    *train_names, test_name = _batch_names(dataset)
    train = _read(dataset, root, train_names)
    if dataset == "cifar10":
        return train.subset(first), train.subset(second)
    # subset copies, so the x-test images are freed on return and no view leads back to them
    return train, _read(dataset, root, [test_name]).subset(first)


def training_and_test_images(dataset: str, root: Path | str) -> tuple[Images, Images]:
    """A data set as published, for training from scratch: no search may see this.

    The test images of ImageNet16-120 are ImageNet's validation images. Raises UserError as `search_images`.
    """
    *train, test = _batch_names(dataset)
    _find_folder(dataset, Path(root), [*train, test])  # one message for all that is missing
    return _read(dataset, root, train), _read(dataset, root, [test])


def sources(dataset: str, root: Path | str) -> list[Path]:
    """The files that `search_images` reads; UserError where one is missing."""
    *train, test = _batch_names(dataset)
    names = train if dataset == "cifar10" else [*train, test]
    folder = _find_folder(dataset, Path(root), names)
    return [folder / name for name in names]


def are_in(dataset: str, root: Path | str) -> bool:
    """Whether any file of a data set is there, whole or damaged."""
    _batch_names(dataset)  # says if there is no such data set
    return _folder_with_any(dataset, Path(root)) is not None


def _batch_names(dataset: str) -> tuple[str, ...]:
    if dataset not in SOURCES:
        raise UserError(f"unknown data set {dataset!r}; there are {', '.join(SOURCES)}")
    return tuple(MD5[dataset])


def _read(dataset: str, root: Path | str, files: Sequence[str]) -> Images:
    """The images of these batch files; labels counted from 0."""
    source = SOURCES[dataset]
    folder = _find_folder(dataset, Path(root), files)
    pixels, labels = [], []
    for name in files:
        batch = _read_batch(dataset, folder / name)
        batch_labels = np.asarray(batch[source.labels], dtype=np.int64) - source.first_label
        wanted = (batch_labels >= 0) & (batch_labels < source.num_classes)
        pixels.append(np.asarray(batch["data"], dtype=np.uint8)[wanted])
        labels.append(batch_labels[wanted])
    return Images(
        torch.from_numpy(np.concatenate(pixels).reshape(-1, 3, source.size, source.size)),
        torch.from_numpy(np.concatenate(labels)),
        source.mean,
        source.std,
        CropAndFlip(source.size // 8),
    )


def _folders(dataset: str, root: Path) -> tuple[Path, Path]:
    return root / SOURCES[dataset].folder, root


def _folder_with_any(dataset: str, root: Path) -> Path | None:
    return next((f for f in _folders(dataset, root) if any((f / name).is_file() for name in MD5[dataset])), None)


def _find_folder(dataset: str, root: Path, files: Sequence[str]) -> Path:
    """The folder with all of `files`: the official one under `root`, or `root` itself."""
    folder = _folder_with_any(dataset, root)
    missing = [name for name in files if folder is None or not (folder / name).is_file()]
    if folder is None or missing:
        where = folder or " or ".join(map(str, _folders(dataset, root)))
        raise UserError(f"{dataset}: {', '.join(missing)} not found in {where}; {advice(dataset)}")
    return folder


def _read_batch(dataset: str, path: Path) -> dict[str, Any]:
    """One batch as published; its md5 sum is checked before anything of it is unpickled."""
    try:
        content = read_at_most(path, 1024)
    except OSError as error:
        raise UserError(f"{dataset}: cannot read {path}: {error.strerror}; check the file's rights") from error
    found, published = hashlib.md5(content, usedforsecurity=False).hexdigest(), MD5[dataset][path.name]
    if found != published:
        raise UserError(
            f"{dataset}: {path} is damaged or another file: md5 {found}, published {published}; {advice(dataset)}"
        )
    # Python 2 wrote these files; latin1 maps its byte strings to text and back without loss
    return safe_pickle.loads(content, what=str(path), encoding="latin1")


# ------------------------------------------------------------------------------------------- batches


def normalise(
    pixels: Tensor,
    mean: Tensor | Sequence[float],
    std: Tensor | Sequence[float],
    dtype: torch.dtype = torch.float32,
    channels_last: bool = True,
) -> Tensor:
    """(pixels − mean) / std per channel, worked out in float32 and returned as `dtype`; (B, C, H, W).

    mean and std are (C,) in units of 0-255; as tensors on the device they cost no transfer.
    """
    mean, std = (torch.as_tensor(v, dtype=torch.float32, device=pixels.device).view(-1, 1, 1) for v in (mean, std))
    x = pixels.to(torch.float32).sub_(mean).div_(std)
    # laid out anew at the end: arithmetic over three interleaved channels takes ten times as long on a CPU
    return x.to(dtype, memory_format=torch.channels_last if channels_last else torch.contiguous_format)


class Batches:
    """Endless shuffled batches of `images`; each pass has its own order and ends with a short batch.

    The generator, on the images' device and used by nobody else, draws the orders and the augmentation.
    len() is the number of batches in a pass.
    """

    def __init__(
        self,
        images: Images,
        batch_size: int,
        generator: torch.Generator,
        *,
        augmented: bool = True,
        dtype: torch.dtype = torch.float32,
        channels_last: bool = True,
    ) -> None:
        if batch_size < 1 or not len(images):
            raise ValueError(f"need images and a batch size from 1, got {len(images)} and {batch_size}")
        self.images, self.batch_size, self.generator = images, batch_size, generator
        self.augmented, self.dtype, self.channels_last = augmented, dtype, channels_last
        device = images.pixels.device
        self._mean, self._std = (
            torch.tensor(images.mean, device=device),
            torch.tensor(images.std, device=device),
        )
        self._order = torch.empty(0, dtype=torch.int64, device=device)  # the first next() draws one
        self._position = 0  # images of this pass already handed out

    def __len__(self) -> int:
        return -(-len(self.images) // self.batch_size)

    def next(self) -> tuple[Tensor, Tensor]:
        """The next batch: x `dtype` (B, C, H, W), normalised and, if so set, augmented; y int64 (B,)."""
        images = self.images
        if self._position >= len(self._order):
            self._order = torch.randperm(len(images), generator=self.generator, device=self._order.device)
            self._position = 0
        chosen = self._order[self._position : self._position + self.batch_size]
        self._position += len(chosen)
        pixels = images.pixels.index_select(0, chosen)
        if self.augmented and images.augmentation is not None:
            pixels = images.augmentation(pixels, self.generator)
        x = normalise(pixels, self._mean, self._std, self.dtype, self.channels_last)
        return x, images.labels.index_select(0, chosen)

    def state_dict(self) -> dict[str, Any]:
        """This pass's order and position and the generator's state, on the CPU; for weights_only loading."""
        return {
            "order": self._order.cpu().clone(),
            "position": self._position,
            "generator": self.generator.get_state(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on where `state` was taken. Raises ValueError if that was with another number of images."""
        if len(state["order"]) not in (0, len(self.images)):
            raise ValueError(f"the state is of {len(state['order'])} images, these are {len(self.images)}")
        self._order = state["order"].to(self.images.pixels.device, copy=True)
        self._position = state["position"]
        self.generator.set_state(state["generator"].cpu())
