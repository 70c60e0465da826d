"""What digits201 trains, in numbers: images, network, schedule, seeds."""

from __future__ import annotations

from benchmarks.base import NetworkSize

SOURCES = {"train": 1024, "valid": 384, "test": 389}  # source images, disjoint
VIEWS = 5  # fixed images made of each validation and test source
CANVAS, FRAGMENTS, FRAGMENT = 10, 1, 4  # pixels, number, pixels

NAME = "digits201"
SIZE = NetworkSize(channels=8, cells=3, in_channels=1, num_classes=10)
SEEDS = (0, 1, 2)
FULL, PROXY = 5, 1  # epochs of 32 steps
BATCH = 32
LR, MOMENTUM, WEIGHT_DECAY = 0.2, 0.9, 5e-4  # SGD with Nesterov momentum; the cosine falls to 0 at the last step
COLUMNS = (("valid", FULL), ("test", FULL), ("valid", PROXY))  # the last axis of the counts
# Everything that decides a count, besides the code: an unfinished build of another task is not continued.
TASK = {
    "sources": SOURCES,
    "views": VIEWS,
    "clutter": [CANVAS, FRAGMENTS, FRAGMENT],
    "network": [SIZE.channels, SIZE.cells],
    "seeds": SEEDS,
    "schedule": [BATCH, LR, MOMENTUM, WEIGHT_DECAY],
    "columns": COLUMNS,
}
UNKNOWN = 65535  # stands for a count that has not been made yet


def images_of(split: str) -> int:
    """How many images a split's counts are out of."""
    return SOURCES[split] * VIEWS
