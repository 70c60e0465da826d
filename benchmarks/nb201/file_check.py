"""Checks that all readers of table files share: a file is whole, and its cells are in the official order."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

from benchmarks.errors import UserError, quoted
from benchmarks.files import bounded_memory
from benchmarks.nb201 import cell

_MEGABYTES = 512  # that any of these files may take


@contextlib.contextmanager
def damage(path: Path, what: str) -> Iterator[None]:
    """Turn any error while reading a file into a UserError of one line; also limits the memory that reading takes."""
    try:
        with bounded_memory(_MEGABYTES):
            yield
    except UserError:
        raise
    except Exception as error:  # gzip, zipfile, numpy, json and csv raise anything on altered files
        reason = " ".join(str(error).split())  # numpy's have several lines
        raise UserError(f"{path}: a truncated or damaged {what} ({reason}); copy or convert it again") from None


def check_order(strings: Any, where: Any) -> None:
    """UserError naming the first architecture string that is not in the official order."""
    expected = official_strings()
    if tuple(strings) == expected:
        return
    if len(strings) != len(expected):
        raise UserError(f"{where}: {len(strings):,} cells, expected {len(expected):,}")
    row = next(i for i, (a, b) in enumerate(zip(strings, expected, strict=True)) if a != b)
    raise UserError(f"{where}: row {row} is {quoted(strings[row])}, in the official order it is {expected[row]}")


@lru_cache(maxsize=1)
def official_strings() -> tuple[str, ...]:
    """Architecture strings of all cells in the official order."""
    return tuple(cell.to_string(ops) for ops in map(tuple, cell.all_cells().tolist()))
