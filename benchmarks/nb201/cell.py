"""A NAS-Bench-201 cell: six operations on six edges, and every way in which tools write it down.

A cell is a plain tuple of six operation numbers (0-4) in the edge order of the architecture string:
0→1, 0→2, 1→2, 0→3, 1→3, 2→3. `parse` turns any accepted spelling into that tuple.

Sources: the string, operation and index order of NAS-Bench-201 (Dong and Yang, ICLR 2020) and NATS-Bench;
the canonical form is the one of their `Structure.to_unique_str`.
"""

from __future__ import annotations

import ast
import random
import re
from collections.abc import Sequence
from functools import lru_cache
from itertools import product
from numbers import Integral
from typing import Any

import numpy as np

from benchmarks.base import Cell
from benchmarks.errors import UserError, quoted

OPERATIONS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
NONE, SKIP, CONV1, CONV3, POOL = range(5)
EDGES = ((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3))  # (from node, to node), in the string's order
NODES = 4
NUM_CELLS = len(OPERATIONS) ** len(EDGES)  # 15,625

# NASLib orders the edges by their start node and the operations differently (naslib .../nasbench201/conversions).
NASLIB_EDGES = ((0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3))
NASLIB_OPERATIONS = (SKIP, NONE, CONV3, CONV1, POOL)

_POWERS = tuple(5**k for k in range(5, -1, -1))


@lru_cache(maxsize=1)
def all_cells() -> np.ndarray:
    """Operation numbers of all cells in the official index order, int8 (15625, 6), read-only.

    The official order is the product in string order, shuffled by Python's `random.Random(88)`.
    """
    order = list(product(range(len(OPERATIONS)), repeat=len(EDGES)))
    random.Random(88).shuffle(order)
    cells = np.array(order, dtype=np.int8)
    cells.setflags(write=False)
    return cells


@lru_cache(maxsize=1)
def _by_index() -> list[Cell]:
    return [tuple(row) for row in all_cells().tolist()]


@lru_cache(maxsize=1)
def _index_of_code() -> list[int]:
    codes = all_cells().astype(np.int64) @ np.array(_POWERS)
    inverse = np.empty(NUM_CELLS, dtype=np.int64)
    inverse[codes] = np.arange(NUM_CELLS)
    return inverse.tolist()


def _is_integer(value: Any) -> bool:
    """Python and numpy integers, but no booleans."""
    return isinstance(value, (Integral, np.integer)) and not isinstance(value, (bool, np.bool_))


def from_index(index: Any) -> Cell:
    """The cell with an official index; Python and numpy integers, 0 to 15,624."""
    if not _is_integer(index):
        raise UserError(f"cell index {index!r}: expected an integer from 0 to {NUM_CELLS - 1}")
    if not 0 <= index < NUM_CELLS:
        raise UserError(f"cell index {index}: outside 0 to {NUM_CELLS - 1}")
    return _by_index()[int(index)]


def index(cell: Cell) -> int:
    """The official index of a cell."""
    a, b, c, d, e, f = cell
    return _index_of_code()[3125 * a + 625 * b + 125 * c + 25 * d + 5 * e + f]


def to_string(cell: Cell) -> str:
    """The architecture string, `|op~0|+|op~0|op~1|+|op~0|op~1|op~2|`."""
    nodes = []
    for node in range(1, NODES):
        inputs = [f"{OPERATIONS[op]}~{i}" for op, (i, j) in zip(cell, EDGES, strict=True) if j == node]
        nodes.append("|" + "|".join(inputs) + "|")
    return "+".join(nodes)


def from_string(text: str) -> Cell:
    """Read an architecture string; blanks, line ends and swapped inputs inside a node are accepted.

    Raises UserError naming the edge or node for anything else.
    """
    nodes = "".join(text.split()).split("+")
    if len(nodes) != NODES - 1:
        raise UserError(f"cell {text!r}: expected 3 nodes joined by '+', found {len(nodes)}")
    cell: list[int] = []
    for node, part in enumerate(nodes, start=1):
        if len(part) < 2 or part[0] != "|" or part[-1] != "|":
            raise UserError(f"cell {text!r}: node {node} must be written |op~0|…|, found {part!r}")
        operation_of: dict[int, int] = {}  # source node -> operation
        for item in part[1:-1].split("|"):
            name, mark, source = item.rpartition("~")
            if not mark or not re.fullmatch("[0-2]", source) or int(source) >= node:
                raise UserError(f"cell {text!r}: node {node} has input {item!r}; expected op~i with i < {node}")
            edge = f"edge {int(source)}→{node}"
            if name not in OPERATIONS:
                raise UserError(f"cell {text!r}: unknown operation {name!r} at {edge}; one of {', '.join(OPERATIONS)}")
            if int(source) in operation_of:
                raise UserError(f"cell {text!r}: {edge} is given twice")
            operation_of[int(source)] = OPERATIONS.index(name)
        if len(operation_of) != node:
            missing = next(i for i in range(node) if i not in operation_of)
            raise UserError(f"cell {text!r}: edge {missing}→{node} is missing")
        cell += [operation_of[i] for i in range(node)]
    return tuple(cell)


def from_numbers(numbers: Sequence[Any], edges: Sequence[tuple[int, int]] = EDGES) -> Cell:
    """Six operation numbers, checked; `edges` names the edges in the order in which they come."""
    values = list(numbers)
    if len(values) != len(EDGES):
        raise UserError(f"cell {values}: expected {len(EDGES)} operation numbers, found {len(values)}")
    for value, (i, j) in zip(values, edges, strict=True):
        if not _is_integer(value):
            raise UserError(f"cell {values}: edge {i}→{j} is {value!r}; expected an integer from 0 to 4")
        if not 0 <= value < len(OPERATIONS):
            raise UserError(f"cell {values}: edge {i}→{j} is {value}; operations are numbered 0 to 4")
    return tuple(int(v) for v in values)


def from_naslib(numbers: Sequence[Any]) -> Cell:
    """A cell from NASLib's six numbers, which have other edge and operation orders than all other tools."""
    numbers = from_numbers(numbers, NASLIB_EDGES)
    by_edge = dict(zip(NASLIB_EDGES, numbers, strict=True))
    return tuple(NASLIB_OPERATIONS[by_edge[edge]] for edge in EDGES)


def to_naslib(cell: Cell) -> Cell:
    """NASLib's six numbers of a cell."""
    by_edge = dict(zip(EDGES, cell, strict=True))
    return tuple(NASLIB_OPERATIONS.index(by_edge[edge]) for edge in NASLIB_EDGES)


def from_genotype(nodes: Sequence[Any]) -> Cell:
    """A cell from a genotype, `[(('nor_conv_3x3', 0),), (('none', 0), ('skip_connect', 1)), …]`: a tuple for each of
    the nodes 1, 2, 3, in it a pair of operation and source node for each input.
    """
    try:
        parts = ["|".join(f"{name}~{source}" for name, source in node) for node in nodes]
    except (TypeError, ValueError):
        message = f"cell {quoted(str(nodes))}: a genotype is three nodes, each of (operation, source) pairs"
        raise UserError(message) from None
    return from_string("+".join(f"|{part}|" for part in parts))


def parse(spelling: Any) -> Cell:
    """A cell from any spelling: architecture string, official index, six numbers, genotype, or text of these.

    Text is `|…|+|…|`, `284`, `4,2,1,2,1,1`, `421211` or `naslib:4,0,3,1,4,3`, also as logs print it: in quotes, as
    `Structure(4 nodes with |…|)`, followed by `;` or `,`. NASLib's tuple has to be marked, since six bare numbers are
    read in the string's order. Raises UserError for anything else, and where a text has two readings.
    """
    if isinstance(spelling, str):
        return _from_text(spelling)
    if isinstance(spelling, np.ndarray) and spelling.ndim == 0:
        return from_index(spelling.item())
    if isinstance(spelling, (Sequence, np.ndarray)):
        parts = list(spelling)
        return from_genotype(parts) if any(isinstance(part, (list, tuple)) for part in parts) else from_numbers(parts)
    return from_index(spelling)


_LONGEST = 2000  # characters of a cell; the longest real spelling, a genotype, has 200


def _from_text(spelling: str) -> Cell:
    text = _bare(spelling)
    if len(text) > _LONGEST:
        raise UserError(f"cell {quoted(text)}…: {len(text):,} characters are more than a cell has")
    if re.match(r"[(\[]\s*[(\[]\s*[(\[]", text) and "\\" not in text:  # Python warns of some escapes
        try:
            return from_genotype(ast.literal_eval(text))
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            raise UserError(f"cell {spelling!r}: begins like a genotype, but is not a list of one") from None
    if "|" in text or "~" in text:
        return from_string(text)
    if re.fullmatch(r"\d+(:\d+)+", text):
        raise UserError(f"cell {spelling!r}: a cell of the size space (channels); this program has the topology space")
    dialect, mark, rest = re.fullmatch(r"(?s)(?:([^\W\d][\w-]*)\s*(:))?(.*)", text).groups()  # type: ignore[union-attr]
    if mark and dialect.lower() != "naslib":
        raise UserError(f"cell {spelling!r}: unknown dialect {dialect!r}; only 'naslib:' is known")
    parts = rest.strip().strip("()[]").replace(",", " ").split()
    if not parts or not all(re.fullmatch(r"-?[0-9]{1,9}", p) for p in parts):
        raise UserError(
            f"cell {spelling!r}: expected an architecture string, an index (0-{NUM_CELLS - 1}), "
            "six operation numbers, or naslib:six numbers"
        )
    if len(parts) == 1:
        joined = re.fullmatch("[0-4]{6}", parts[0]) is not None
        if not mark:
            _refuse_leading_zero(spelling, parts[0], joined)
        if joined:
            parts = list(parts[0])
    numbers = [int(p) for p in parts]
    if mark:
        return from_naslib(numbers)
    return from_index(numbers[0]) if len(numbers) == 1 else from_numbers(numbers)


def _bare(text: str) -> str:
    """A spelling without what logs put around it: blanks, quotes, separators behind it, `Structure(… with …)`."""
    before = None
    while text != before:
        before, text = text, text.strip().rstrip(";,")
        inside = re.fullmatch(r"(?s)([\"'`])(.*)\1|(?:\w+\.)*Structure\(\s*\d+ nodes with (.*)\)", text)
        if inside:
            text = inside[2] if inside[1] else inside[3]
    return text


def _refuse_leading_zero(spelling: str, digits: str, joined: bool) -> None:
    """UserError for an index with a leading zero, which may have another meaning.

    NATS-Bench names its files by the index with zeros before it, so that 012104 may be index 12104 as well as the six
    operations 0,1,2,1,0,4.
    """
    if not re.fullmatch("0[0-9]+", digits):
        return
    padded = int(digits)
    if joined and padded < NUM_CELLS:
        raise UserError(
            f"cell {spelling!r}: has two readings: six operations (write {','.join(digits)}) or index {padded} with "
            f"zeros before it (write {padded})"
        )
    if not joined:
        raise UserError(f"cell {spelling!r}: an index has no leading zero; write {padded} if that is the index")


def canonical(cell: Cell, zero: bool = True) -> str:
    """A name shared by isomorphic cells: 6,466 names in the space, with `zero=False` 12,751.

    Skips are contracted; with `zero`, operations fed by `none` alone become `none` (#) too. This is the form of
    NATS-Bench's `Structure.to_unique_str(zero)`, which keeps # in a sum and so tells some equal functions apart.
    """
    names = ["0", "", "", ""]
    for node in range(1, NODES):
        inputs = []
        for op, (i, j) in zip(cell, EDGES, strict=True):
            if j != node:
                continue
            if zero and (op == NONE or names[i] == "#"):
                inputs.append("#")
            elif op == SKIP:
                inputs.append(names[i])
            else:
                inputs.append(f"({names[i]})@{OPERATIONS[op]}")
        names[node] = "+".join(sorted(inputs))
    return names[-1]


def edges_in_use(cell: Cell) -> tuple[bool, ...]:
    """For each edge, whether it lies on a path from the input to the output that no `none` cuts."""
    live = [op != NONE for op in cell]
    forward = [True, False, False, False]
    for alive, (i, j) in zip(live, EDGES, strict=True):  # the string's order visits start nodes in time
        forward[j] |= alive and forward[i]
    backward = [False, False, False, True]
    for alive, (i, j) in reversed(list(zip(live, EDGES, strict=True))):
        backward[i] |= alive and backward[j]
    return tuple(alive and forward[i] and backward[j] for alive, (i, j) in zip(live, EDGES, strict=True))


def is_connected(cell: Cell) -> bool:
    """Whether any path leads from the input to the output."""
    return any(edges_in_use(cell))


def is_collapsed(cell: Cell) -> bool:
    """Whether no convolution lies on any input→output path."""
    return not any(used and op in (CONV1, CONV3) for op, used in zip(cell, edges_in_use(cell), strict=True))
