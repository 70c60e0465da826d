"""The DARTS space as searchers and harness see it (`benchmarks.base.SearchSpace`; this module is one).

Cells and their spellings are `cell.py`'s, networks `network.py`'s and `supernet.py`'s.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import softmax

from benchmarks.base import Cell, NetworkSize
from benchmarks.darts.cell import CELL_EDGES, EDGES, INCOMING, PAIRS, canonical, parse, to_string
from benchmarks.darts.genotype import AVG_POOL, MAX_POOL, NONE, OPERATIONS, SKIP
from benchmarks.errors import UserError

if TYPE_CHECKING:  # the networks need torch, the cells do not
    from torch import nn

    from benchmarks.darts.supernet import Supernet

# fmt: off
__all__ = [
    "allowed", "canonical", "costs", "derive", "edges", "function_name", "incoming", "index", "is_collapsed",
    "is_connected", "mutate", "name", "neighbours", "network", "none", "operation_counts",
    "operations", "parse", "plain_network", "plain_supernet", "sample", "size", "supernet",
    "supernet_version", "to_string",
]
# fmt: on
name = "darts"
operations: tuple[str, ...] = OPERATIONS
none = NONE
edges = EDGES
incoming: tuple[slice, ...] = INCOMING
supernet_version = 1
size: int | None = None  # 1.08·10¹⁸ cells (`cell.NUM_CELLS`) are not enumerated


def derive(alphas: Any, keep_none: bool = True, edge_weights: np.ndarray | None = None) -> Cell:
    """The two strongest inputs of each node, each with its strongest operation; `alphas` is (28, 8).

    An input is as strong as its largest softmax weight over the operations other than `none`, times `edge_weights`
    (28,) where they are given (PC-DARTS). `none` is never chosen (DARTS §2.4), whatever `keep_none` says. Ties go to
    the lowest input and operation. Raises UserError for other shapes or NaN.
    """
    values = np.asarray(alphas, dtype=np.float64)
    if values.shape != (len(EDGES), len(OPERATIONS)):
        raise UserError(
            f"architecture parameters have shape {values.shape}; expected ({len(EDGES)}, {len(OPERATIONS)})"
        )
    if np.isnan(values).any():
        edge = EDGES[int(np.argwhere(np.isnan(values))[0, 0])]
        raise UserError(f"architecture parameters of edge {edge.source}→{edge.target} of {edge.cell_type} are NaN")
    strength = softmax(values, axis=1)[:, 1:]
    strongest = strength.max(axis=1) * (1 if edge_weights is None else np.asarray(edge_weights, dtype=np.float64))
    cell = [NONE] * len(EDGES)
    for rows in INCOMING:
        for edge in rows.start + np.argsort(-strongest[rows], kind="stable")[:2]:
            cell[edge] = 1 + int(strength[edge].argmax())
    return tuple(cell)


def sample(rng: np.random.Generator, none: bool = True) -> Cell:
    """A cell drawn uniformly: for each node two inputs with an operation each, which is never `none`."""
    cell = [NONE] * len(EDGES)
    for rows in INCOMING:
        pairs = PAIRS[rows.stop - rows.start]
        for source in pairs[int(rng.integers(len(pairs)))]:
            cell[rows.start + source] = int(rng.integers(1, len(OPERATIONS)))
    return tuple(cell)


def allowed(prefix: Sequence[int]) -> tuple[int, ...]:
    """The operations of the next edge, so that two edges enter its node."""
    rows = next(rows for rows in INCOMING if len(prefix) < rows.stop)
    chosen = sum(op != NONE for op in prefix[rows.start :])
    if chosen == 2:
        return (NONE,)
    left = rows.stop - len(prefix)
    return tuple(range(1 if left == 2 - chosen else 0, len(OPERATIONS)))


def neighbours(cell: Cell) -> list[Cell]:
    """The 120 cells with another operation on one chosen edge (96), or another input with the same operation (24)."""
    others = []
    for rows in INCOMING:
        chosen = [edge for edge in range(rows.start, rows.stop) if cell[edge] != NONE]
        free = [edge for edge in range(rows.start, rows.stop) if cell[edge] == NONE]
        for edge in chosen:
            others += [_with(cell, {edge: op}) for op in range(1, len(OPERATIONS)) if op != cell[edge]]
            others += [_with(cell, {edge: NONE, target: cell[edge]}) for target in free]
    return others


def _with(cell: Cell, changes: dict[int, int]) -> Cell:
    return tuple(changes.get(edge, op) for edge, op in enumerate(cell))


def mutate(cell: Cell, rng: np.random.Generator) -> Cell:
    """One of the 120 neighbours, drawn uniformly."""
    others = neighbours(cell)
    return others[int(rng.integers(len(others)))]


def index(cell: Cell) -> None:
    """None: the space has no official order."""


def function_name(cell: Cell) -> str:
    """The canonical string: all four nodes are part of a cell's output, so that no operation goes unseen."""
    return canonical(cell)


def operation_counts(cell: Cell) -> list[int]:
    """How many of the 28 edges have each of the eight operations; 12 have `none`."""
    return [cell.count(op) for op in range(len(OPERATIONS))]


def is_collapsed(cell: Cell) -> bool:
    """Whether the normal cell has no operation with weights: DARTS' collapse to skips and poolings, at its end."""
    return set(cell[:CELL_EDGES]) <= {NONE, MAX_POOL, AVG_POOL, SKIP}


def is_connected(cell: Cell) -> bool:
    """True: every derived cell reads its inputs."""
    return True


def supernet(size: NetworkSize, seed: int, mixed_share: int = 1) -> Supernet:
    """The supernet of all cells; of a mixture's channels one in `mixed_share` is mixed."""
    from benchmarks.darts.supernet import Supernet

    return Supernet(size, seed, mixed_share)


def plain_supernet(size: NetworkSize) -> nn.Module:
    """The supernet with a module for each edge and operation."""
    from benchmarks.darts.plain import PlainSupernet

    return PlainSupernet(size)


def network(cell: Cell, size: NetworkSize) -> nn.Module:
    """The stand-alone network of a cell, images to logits, without an auxiliary head."""
    from benchmarks.darts.cell import to_genotype
    from benchmarks.darts.network import Classifier, Network

    return Classifier(Network(to_genotype(cell), size))


def plain_network(cell: Cell, size: NetworkSize) -> nn.Module:
    """The same with PyTorch's depthwise convolutions."""
    from torch import nn

    from benchmarks.darts.cell import to_genotype
    from benchmarks.darts.network import Classifier, Network

    return Classifier(Network(to_genotype(cell), size, layer=nn.Conv2d))


def costs(size: NetworkSize, resolution: int) -> tuple[np.ndarray, np.ndarray]:
    """UserError: the cells cannot be enumerated; those of one network are in `network.py`."""
    raise UserError(f"{name} has too many cells to count the costs of all")
