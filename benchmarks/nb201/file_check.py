"""The check that all readers of table files share: cells are in the official order."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from benchmarks.errors import UserError, quoted
from benchmarks.nb201 import cell


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
