"""How cells are written to traces and records, and read from them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from benchmarks.base import Cell, SearchSpace
from benchmarks.errors import UserError


def identified(space: SearchSpace, cell: Cell, suffix: str = "") -> dict[str, Any]:
    """A cell's string and, where the space has an official order, its index there, else None."""
    return {f"cell{suffix}": space.to_string(cell), f"index{suffix}": space.index(cell)}


def named(space: SearchSpace, entry: Mapping[str, Any], suffix: str = "") -> Cell | None:
    """The cell of a trace line, a record or a point of its trajectory; older files have its index alone.

    None where the entry has no cell, or one that the space does not have: records may come from other people.
    """
    for name in (f"cell{suffix}", f"index{suffix}"):
        if entry.get(name) is not None:
            try:
                return space.parse(entry[name])
            except UserError:
                continue
    return None
