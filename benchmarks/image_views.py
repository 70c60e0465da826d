"""What a network sees of a photograph: ImageNet's random crops with colour jitter, and its centre crops.

Order, ranges and rounding are those of torchvision's RandomResizedCrop, RandomHorizontalFlip, ColorJitter, Resize and
CenterCrop on Pillow images; the random numbers come from a generator handed in.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageEnhance

SCALE = (0.08, 1.0)  # of the area
RATIO = (3 / 4, 4 / 3)  # width over height
TRIES = 10
JITTER, HUE = 0.4, 0.2  # of brightness, contrast and saturation; of hue, in turns (quark0/darts, train_imagenet.py)
BILINEAR = Image.Resampling.BILINEAR


@dataclass(frozen=True)
class TrainingView:
    """A random part of an image, resized, mirrored with probability 1/2, its colours changed."""

    size: int  # height and width, pixels

    def __call__(self, image: Image.Image, rng: np.random.Generator) -> Image.Image:
        left, top, width, height = crop_box(*image.size, rng)
        part = image.crop((left, top, left + width, top + height)).resize((self.size, self.size), BILINEAR)
        if rng.random() < 0.5:
            part = part.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        return jitter(part, rng)


@dataclass(frozen=True)
class TestView:
    """The centre of an image whose shorter side is made 8/7 of `size` (256 for 224)."""

    __test__ = False  # no test, for pytest
    size: int

    def __call__(self, image: Image.Image, rng: np.random.Generator) -> Image.Image:
        short = self.size * 8 // 7
        least = min(image.size)
        width, height = (short if side == least else int(short * side / least) for side in image.size)
        left, top = round((width - self.size) / 2), round((height - self.size) / 2)
        return image.resize((width, height), BILINEAR).crop((left, top, left + self.size, top + self.size))


@dataclass(frozen=True)
class WholeView:
    """An image as it is; ValueError for another size."""

    size: int

    def __call__(self, image: Image.Image, rng: np.random.Generator) -> Image.Image:
        if image.size != (self.size, self.size):
            raise ValueError(f"it has {image.width}×{image.height} pixels, not {self.size}×{self.size}")
        return image


def crop_box(width: int, height: int, rng: np.random.Generator) -> tuple[int, int, int, int]:
    """A random part's left, top, width and height: a share of the area and a ratio of sides, the latter log-uniform.

    After ten that do not fit, the largest part in the middle whose ratio is allowed.
    """
    for _ in range(TRIES):
        area = width * height * rng.uniform(*SCALE)
        ratio = math.exp(rng.uniform(math.log(RATIO[0]), math.log(RATIO[1])))
        w, h = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        if 0 < w <= width and 0 < h <= height:
            top, left = rng.integers(height - h + 1), rng.integers(width - w + 1)
            return int(left), int(top), w, h
    w, h = width, height
    if width / height < RATIO[0]:
        h = round(width / RATIO[0])
    elif width / height > RATIO[1]:
        w = round(height * RATIO[1])
    return (width - w) // 2, (height - h) // 2, w, h


def jitter(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Brightness, contrast, saturation and hue changed at random, in a random order."""
    order = rng.permutation(4)
    factors = rng.uniform(1 - JITTER, 1 + JITTER, size=3)
    hue = rng.uniform(-HUE, HUE)
    for change in order:
        if change == 3:
            image = shift_hue(image, hue)
        else:
            enhance = (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color)[change]
            image = enhance(image).enhance(factors[change])
    return image


def shift_hue(image: Image.Image, turns: float) -> Image.Image:
    """All hues turned by so much of the circle of colours, in steps of 1/255."""
    hue, saturation, value = image.convert("HSV").split()
    hue = hue.point([(level + int(turns * 255)) % 256 for level in range(256)])
    return Image.merge("HSV", (hue, saturation, value)).convert("RGB")
