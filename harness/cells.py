"""How cells stand in traces and records, and how they are read from there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from benchmarks.base import Cell, SearchSpace
from benchmarks.errors import UserError


def identified(space: SearchSpace, cell: Cell, suffix: str = "") -> dict[str, Any]:
    """A cell's string and, where the space has an official order, its index there, else None."""
    return {f"cell{suffix}": space.to_string(cell), f"index{suffix}": space.index(cell)}


def named(space: SearchSpace, entry: Mapping[str, Any], suffix: str = "") -> Cell | None:
    """The cell of a trace's line, a record or a point of its trajectory; older ones have the index alone.

    None where there is none, or what stands there is no cell of the space: records may come from other people.
    """
    for name in (f"cell{suffix}", f"index{suffix}"):
        if entry.get(name) is not None:
            try:
                return space.parse(entry[name])
            except UserError:
                continue
    return None
