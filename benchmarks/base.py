"""The words that benchmarks share: an error for wrong input, a score and where it comes from, the processor."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple


class UserError(Exception):
    """Wrong usage or data. The message is one or two lines: what is wrong, where, and what to do.

    The command line prints it without a traceback and exits with code 2.
    """


class Score(NamedTuple):
    """One accuracy and its origin; a value is never handed out without them."""

    value: float  # percent
    trials: int  # how many trainings (seeds) the mean is over
    record: str  # what the network was trained on: cifar10-valid, cifar10, cifar100, ImageNet16-120
    split: str  # what it was measured on: x-valid, x-test, ori-test
    epochs: int  # length of the training schedule


@dataclass(frozen=True)
class Space:
    """The networks in which cells are searched; what a supernet needs to know besides the cells."""

    channels: int  # of the first stage (C)
    cells: int  # a stage (N)
    in_channels: int
    num_classes: int


def cpu_name() -> str:
    """This machine's kind of processor."""
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
