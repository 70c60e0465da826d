"""Folders of JPEGs in official layouts; the images are noise of our own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

CLASSES = ("n02124075", "n01443537", "n04067472")  # not in the order of their names


def write_jpeg(path: Path, size: tuple[int, int] = (64, 64), seed: int = 0, mode: str = "RGB") -> np.ndarray:
    """A JPEG of noise, width × height; its pixels (H, W, 3) as Pillow reads them."""
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(seed).integers(256, size=(size[1] // 8 + 1, size[0] // 8 + 1, 3), dtype=np.uint8)
    Image.fromarray(noise).resize(size, Image.Resampling.BICUBIC).convert(mode).save(path, "JPEG")
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def write_tiny_imagenet(root: Path, train: int = 3, test: int = 2, side: int = 64) -> None:
    """Tiny-ImageNet's layout, three classes with so many images each."""
    (root / "val").mkdir(parents=True)
    (root / "wnids.txt").write_text("\n".join(CLASSES))
    lines = []
    for label, name in enumerate(CLASSES):
        for k in range(train):
            write_jpeg(root / f"train/{name}/images/{name}_{k}.JPEG", (side, side), 100 * label + k)
        for k in range(test):
            image = f"val_{3 * k + label}.JPEG"
            write_jpeg(root / f"val/images/{image}", (side, side), 100 * label + 50 + k)
            lines.append(f"{image}\t{name}\t0\t32\t44\t62\n")
    (root / "val/val_annotations.txt").write_text("".join(lines))


def write_imagenet(root: Path, train: int = 3, test: int = 2, size: tuple[int, int] = (60, 45)) -> None:
    """ImageNet's layout, three classes with so many images each."""
    for label, name in enumerate(sorted(CLASSES)):
        for k in range(train):
            write_jpeg(root / f"train/{name}/{name}_{k}.JPEG", size, 100 * label + k)
        for k in range(test):
            write_jpeg(root / f"val/{name}/ILSVRC2012_val_{3 * k + label:08d}.JPEG", size, 100 * label + 50 + k)
