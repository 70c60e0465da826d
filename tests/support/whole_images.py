"""All images of a data set, those of the test part too, which no search may see."""

from pathlib import Path
from typing import NamedTuple

from benchmarks import images


class TrainTest(NamedTuple):
    """A data set as published."""

    train: images.Images
    test: images.Images


def load(dataset: str, root: Path) -> TrainTest:
    """All images of cifar10, cifar100 or ImageNet16-120, whose test images are ImageNet's validation images."""
    return TrainTest(*images.training_and_test_images(dataset, root))
