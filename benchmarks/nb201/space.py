"""NAS-Bench-201's search space as searchers and harness see it (`benchmarks.base.SearchSpace`; this module is one).

Cells, their spellings and their index are `cell.py`'s; which cells are the same function `functions.py` knows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.base import Cell, Edge, NetworkSize
from benchmarks.errors import UserError
from benchmarks.nb201 import cost
from benchmarks.nb201.cell import (
    EDGES,
    NONE,
    NUM_CELLS,
    OPERATIONS,
    canonical,
    from_index,
    index,
    is_collapsed,
    is_connected,
    parse,
    to_string,
)
from benchmarks.nb201.functions import function_name

if TYPE_CHECKING:  # the networks need torch, the cells do not
    from benchmarks.nb201.network import Skeleton
    from benchmarks.nb201.supernet import Supernet

# fmt: off
__all__ = [
    "allowed", "canonical", "costs", "derive", "edges", "function_name", "incoming", "index", "is_collapsed",
    "is_connected", "mutate", "name", "neighbours", "network", "none", "operation_counts",
    "operations", "parse", "plain_network", "plain_supernet", "sample", "size", "supernet",
    "supernet_version", "to_string",
]
# fmt: on
name = "nb201"
operations: tuple[str, ...] = OPERATIONS
none = NONE
edges = tuple(Edge("cell", *edge) for edge in EDGES)
incoming: tuple[slice, ...] = (slice(0, 1), slice(1, 3), slice(3, 6))
size: int | None = NUM_CELLS
supernet_version = 2  # 1: its last normalisation had no affine parameters


def derive(alphas: Any, keep_none: bool = True, edge_weights: np.ndarray | None = None) -> Cell:
    """Arg-max of the softmax per edge; `alphas` is (6, 5), edges and operations in this module's orders.

    With `none` is the rule of the reference code (AutoDL-Projects, NASLib); without it, it is never chosen (the DARTS
    rule). All six edges stay whatever they weigh. Ties go to the lowest operation number. Raises UserError for other
    shapes or NaN.
    """
    values = np.asarray(alphas, dtype=np.float64)
    if values.shape != (len(EDGES), len(OPERATIONS)):
        raise UserError(f"architecture parameters have shape {values.shape}; expected (6, 5)")
    if np.isnan(values).any():
        edge = EDGES[int(np.argwhere(np.isnan(values))[0, 0])]
        raise UserError(f"architecture parameters of edge {edge[0]}→{edge[1]} are NaN")
    if keep_none:
        return tuple(int(k) for k in values.argmax(axis=1))
    return tuple(int(k) + 1 for k in values[:, 1:].argmax(axis=1))


def neighbours(cell: Cell) -> list[Cell]:
    """The 24 cells that differ in exactly one edge."""
    return [
        (*cell[:edge], op, *cell[edge + 1 :])
        for edge in range(len(EDGES))
        for op in range(len(OPERATIONS))
        if op != cell[edge]
    ]


def sample(rng: np.random.Generator, none: bool = True) -> Cell:
    """A cell drawn uniformly from all 15,625 or, where `none` is False, from the 4,096 that leave no edge out."""
    if not none:
        return tuple(int(op) for op in rng.integers(NONE + 1, len(OPERATIONS), size=len(EDGES)))
    return from_index(int(rng.integers(NUM_CELLS)))


def allowed(prefix: Sequence[int]) -> tuple[int, ...]:
    """All five operations, whatever the edges before have."""
    return tuple(range(len(OPERATIONS)))


def mutate(cell: Cell, rng: np.random.Generator) -> Cell:
    """A uniform one-edge neighbour: a random edge gets a random other operation."""
    edge, shift = divmod(int(rng.integers(len(EDGES) * (len(OPERATIONS) - 1))), len(OPERATIONS) - 1)
    return (*cell[:edge], (cell[edge] + 1 + shift) % len(OPERATIONS), *cell[edge + 1 :])


def operation_counts(cell: Cell) -> list[int]:
    """How many edges have each of the five operations."""
    return [cell.count(op) for op in range(len(OPERATIONS))]


def supernet(size: NetworkSize, seed: int, mixed_share: int = 1) -> Supernet:
    """The supernet of all cells; of a mixture's channels one in `mixed_share` is mixed."""
    from benchmarks.nb201.supernet import Supernet

    return Supernet(size, seed, mixed_share)


def plain_supernet(size: NetworkSize) -> Skeleton:
    """The supernet with a module for each edge and operation."""
    from benchmarks.nb201.plain import plain_supernet as build

    return build(size)


def network(cell: Cell, size: NetworkSize) -> Skeleton:
    """The network that the benchmark trained for this cell."""
    from benchmarks.nb201.network import network as build

    return build(cell, size)


def plain_network(cell: Cell, size: NetworkSize) -> Skeleton:
    """The same: its layers are PyTorch's own."""
    return network(cell, size)


def costs(size: NetworkSize, resolution: int) -> tuple[np.ndarray, np.ndarray]:
    """Parameters and multiply-adds of one image of all cells' networks by index, each int64 (15625,)."""
    return cost.parameters(size), cost.multiply_adds(size, resolution)
