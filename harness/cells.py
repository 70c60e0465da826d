"""How cells are written to traces and records, and read from them."""

from __future__ import annotations

from typing import Any

from benchmarks.base import Cell, SearchSpace
from benchmarks.errors import UserError


def identified(space: SearchSpace, cell: Cell, suffix: str = "") -> dict[str, Any]:
    """A cell's string and, where the space has an official order, its index there, else None."""
    return {f"cell{suffix}": space.to_string(cell), f"index{suffix}": space.index(cell)}


def named(space: SearchSpace, *names: str | int | None) -> Cell | None:
    """The cell of the first name, its string or index, that the space can read.

    None where there is none: older records have no strings, and records may come from other people.
    """
    for name in names:
        if name is not None:
            try:
                return space.parse(name)
            except UserError:
                continue
    return None


def short_name(cell: str | None, index: int | None) -> int | str | None:
    """A cell's index, or its string in a space without an official order, as lines of progress and pages show it."""
    return cell if index is None else index
