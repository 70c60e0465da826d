"""What a seed, a count, a margin of equivalence and a label may be: one rule each, for options, files and records.

A value that one reader takes and another refuses makes records that cannot be read, or imports that cannot be repeated
as runs; so every reader asks here, and every message names the limit.
"""

from __future__ import annotations

import re

from benchmarks.errors import UserError
from benchmarks.errors import label as label  # the rule of names, which plug-ins keep to as well

LARGEST_SEED = 10**15 - 1  # a JSON number of this size is exact in every program
LARGEST_COUNT = 100_000  # of seeds, workers, threads, parts, repetitions that a command may ask for
SEEDS = f"whole numbers from 0 to {LARGEST_SEED}"


def seed(text: str, where: str) -> int:
    """A seed from text; UserError that begins with `where`."""
    if not re.fullmatch("0*[0-9]{1,15}", text):
        raise UserError(f"{where}: seed {text!r}: seeds are {SEEDS}")
    return int(text)


def count(number: int, where: str) -> int:
    """A number of things to make or use; UserError that begins with `where`."""
    if not 1 <= number <= LARGEST_COUNT:
        raise UserError(f"{where}: a count from 1 to {LARGEST_COUNT}")
    return number


def margin(points: float | None) -> float | None:
    """A margin of equivalence in accuracy points, or None for none; UserError for nan, and for what all or no two
    accuracies keep.
    """
    if points is not None and not 0 < points < 100:
        raise UserError(f"--margin {points:g}: accuracy points above 0 and below 100, e.g. 0.5")
    return points
