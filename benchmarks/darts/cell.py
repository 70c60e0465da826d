"""A cell of the DARTS space: operations on 2 × 14 edges, and every way in which tools write it down.

A cell is a tuple of 28 operation numbers (0-7), normal cell first; in each, the edges enter node 2 from 0 and 1, node 3
from 0, 1 and 2, and so on. Two edges enter each node, all others carry `none`. The order of a node's two inputs means
nothing, so equal cells are equal tuples. `parse` turns any accepted spelling into that tuple.

Sources: DARTS (Liu, Simonyan and Yang, ICLR 2019) and its code; NASLib's compact form and NAS-Bench-301's
configuration as their conversions have them.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping, Sequence
from itertools import combinations, permutations
from math import comb
from typing import Any

from benchmarks.base import Cell, Edge
from benchmarks.darts.genotype import CELL_TYPES, NONE, OPERATIONS, Genotype, Input, from_text, published
from benchmarks.errors import UserError, quoted, suggestion

NODES = range(2, 6)  # the computed ones; 0 and 1 are the outputs of the two cells before
EDGES = tuple(Edge(kind, source, node) for kind in CELL_TYPES for node in NODES for source in range(node))
CELL_EDGES = len(EDGES) // 2  # of one cell type
# Rows (edges) that enter each node, the normal cell's nodes first.
INCOMING = tuple(
    slice(start, start + node) for half in (0, CELL_EDGES) for node in NODES for start in [half + comb(node, 2) - 1]
)
# Choices of a node's two inputs, with seven operations each, for both cell types: about 1.08·10¹⁸.
NUM_CELLS = (comb(2, 2) * comb(3, 2) * comb(4, 2) * comb(5, 2) * 7**8) ** 2
NASLIB_OPERATIONS = OPERATIONS[1:]  # NASLib's numbers 0-6

_EDGE_NUMBER = {edge: number for number, edge in enumerate(EDGES)}


def inputs_of(cell: Cell) -> dict[str, list[list[Input]]]:
    """For both cell types each node's (operation, input), inputs in ascending order."""
    chosen: dict[str, list[list[Input]]] = {kind: [[] for _ in NODES] for kind in CELL_TYPES}
    for edge, op in zip(EDGES, cell, strict=True):
        if op != NONE:
            chosen[edge.cell_type][edge.target - 2].append((OPERATIONS[op], edge.source))
    return chosen


def to_string(cell: Cell) -> str:
    """The cell's identity, `|op~0|op~1|+…+|op~i|op~j|/` and the same of the reduction cell."""
    halves = [
        "+".join("".join(f"|{op}~{source}" for op, source in node) + "|" for node in nodes)
        for nodes in inputs_of(cell).values()
    ]
    return "/".join(halves)


def to_genotype(cell: Cell) -> Genotype:
    normal, reduce = (tuple(entry for node in nodes for entry in node) for nodes in inputs_of(cell).values())
    return Genotype(normal, tuple(NODES), reduce, tuple(NODES))


def to_naslib(cell: Cell) -> tuple[tuple[tuple[int, int], ...], ...]:
    """NASLib's compact form: for both cell types eight (input, operation 0-6)."""
    return tuple(
        tuple((source, NASLIB_OPERATIONS.index(op)) for node in nodes for op, source in node)
        for nodes in inputs_of(cell).values()
    )


def to_nb301(cell: Cell) -> dict[str, str]:
    """NAS-Bench-301's configuration: the operation of each chosen edge, and the inputs of nodes 3 to 5."""
    prefix, configuration = "NetworkSelectorDatasetInfo:darts:", {}
    for number, (edge, op) in enumerate(zip(EDGES, cell, strict=True)):
        if op != NONE:
            configuration[f"{prefix}edge_{edge.cell_type}_{number % CELL_EDGES}"] = OPERATIONS[op]
    for kind, nodes in inputs_of(cell).items():
        for node in NODES[1:]:
            sources = "_".join(str(source) for _, source in nodes[node - 2])
            configuration[f"{prefix}inputs_node_{kind}_{node}"] = sources
    return configuration


def parse(spelling: Any) -> Cell:
    """A cell from any accepted spelling; UserError saying what is wrong and where.

    Our string; a published cell's name; `Genotype(…)`; NASLib's compact form; NAS-Bench-301's configuration; the 28
    operation numbers. The last three also as text.
    """
    if not isinstance(spelling, str):
        return _from_value(spelling, quoted(str(spelling)))
    text = spelling.strip()
    if "~" in text:
        return from_string(text)
    if text.startswith("Genotype"):
        return from_genotype(from_text(text), text)
    if text[:1] in ("(", "[", "{"):
        try:
            return _from_value(ast.literal_eval(text), quoted(text))
        except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
            raise UserError(f"cell {quoted(text)}: cannot be read as numbers or a configuration") from None
    names = {name.lower(): name for name in published()}
    if text.lower() not in names:
        raise UserError(f"unknown cell {quoted(text)}{suggestion(text, list(published()))}, or a genotype")
    return from_genotype(published()[names[text.lower()]], text)


def _from_value(value: Any, where: str) -> Cell:
    if isinstance(value, Genotype):
        return from_genotype(value, where)
    if isinstance(value, Mapping):
        return from_nb301(value, where)
    if isinstance(value, (tuple, list)) and len(value) == 2:
        return from_naslib(value, where)
    if isinstance(value, (tuple, list)) and len(value) == len(EDGES):
        return _checked([_number(op, len(OPERATIONS), where, "operation") for op in value], where)
    raise UserError(f"cell {where}: expected {len(EDGES)} operation numbers, a genotype or a configuration")


def from_string(text: str) -> Cell:
    """Read our string, or the same with blanks between inputs, `|` between nodes and `,` between the two cells."""
    halves = re.split(r"[/,]", text)
    if len(halves) != 2:
        raise UserError(f"cell {quoted(text)}: expected a normal and a reduction cell, joined by '/'")
    entries: dict[str, list[Input]] = {}
    for kind, half in zip(CELL_TYPES, halves, strict=True):
        nodes = half.split("+") if "+" in half else re.split(r"\s*\|\s*", half.strip())
        if len(nodes) != len(NODES):
            raise UserError(f"cell {quoted(text)}: its {kind} cell has {len(nodes)} nodes, expected {len(NODES)}")
        for node, part in zip(NODES, nodes, strict=True):
            inputs = part.replace("|", " ").split()
            if len(inputs) != 2:
                raise UserError(f"cell {quoted(text)}: node {node} of {kind} has {len(inputs)} inputs, expected 2")
            for item in inputs:
                operation, mark, source = item.rpartition("~")
                if not mark or not re.fullmatch("[0-4]", source):
                    raise UserError(f"cell {quoted(text)}: node {node} of {kind} has {item!r}; expected op~input")
                entries.setdefault(kind, []).append((operation, int(source)))
    return _from_inputs(entries, quoted(text))


def from_genotype(genotype: Genotype, where: str) -> Cell:
    """UserError for genotypes outside the space, such as NASNet's."""
    if {genotype.normal_concat, genotype.reduce_concat} != {tuple(NODES)}:
        raise UserError(f"{quoted(where)} is no cell of the DARTS space: it does not join four nodes")
    return _from_inputs({"normal": genotype.normal, "reduce": genotype.reduce}, quoted(where))


def from_naslib(value: Sequence[Any], where: str) -> Cell:
    """NASLib's two lists of eight (input, operation 0-6)."""
    entries: dict[str, list[Input]] = {}
    for kind, pairs in zip(CELL_TYPES, value, strict=True):
        if not isinstance(pairs, (tuple, list)) or len(pairs) != 8:
            raise UserError(f"cell {where}: expected eight (input, operation) of the {kind} cell")
        for pair in pairs:
            if not isinstance(pair, (tuple, list)) or len(pair) != 2:
                raise UserError(f"cell {where}: {kind} has {quoted(str(pair))}; expected (input, operation)")
            source, op = _number(pair[0], 5, where, "input"), _number(pair[1], 7, where, "operation")
            entries.setdefault(kind, []).append((NASLIB_OPERATIONS[op], source))
    return _from_inputs(entries, where)


def from_nb301(configuration: Mapping[Any, Any], where: str) -> Cell:
    """NAS-Bench-301's configuration; a prefix of its keys, up to the last colon, does not matter."""
    values = {str(key).rpartition(":")[2]: str(value) for key, value in configuration.items()}
    entries: dict[str, list[Input]] = {kind: [] for kind in CELL_TYPES}
    for kind, node in ((kind, node) for kind in CELL_TYPES for node in NODES):
        inputs = "0_1" if node == 2 else values.get(f"inputs_node_{kind}_{node}", "")
        if not re.fullmatch("[0-4]_[0-4]", inputs):
            raise UserError(f"cell {where}: inputs_node_{kind}_{node} is {inputs!r}; expected e.g. 0_1")
        for source in map(int, inputs.split("_")):
            number = _EDGE_NUMBER.get(Edge(kind, source, node), 0) % CELL_EDGES
            key = f"edge_{kind}_{number}"
            if key not in values:
                raise UserError(f"cell {where}: {key} is missing, which input {source} of node {node} needs")
            entries[kind].append((values[key], source))
    return _from_inputs(entries, where)


def _number(value: Any, count: int, where: str, what: str) -> int:
    try:
        number = value.__index__()
    except AttributeError:
        number = -1
    if isinstance(value, bool) or not 0 <= number < count:
        raise UserError(f"cell {where}: {what} {quoted(value)}; expected 0 to {count - 1}")
    return number


def _from_inputs(entries: Mapping[str, Sequence[Input]], where: str) -> Cell:
    """The cell of two inputs a node, in the nodes' order; checked."""
    cell = [NONE] * len(EDGES)
    for kind in CELL_TYPES:
        if len(entries[kind]) != 2 * len(NODES):
            raise UserError(f"{where} is no cell of the DARTS space: {kind} has not two inputs for each of four nodes")
        for number, (operation, source) in enumerate(entries[kind]):
            node = 2 + number // 2
            edge = _EDGE_NUMBER.get(Edge(kind, source, node))
            if edge is None:
                raise UserError(f"cell {where}: node {node} of {kind} has input {source}; expected 0 to {node - 1}")
            if operation not in OPERATIONS[1:]:
                raise UserError(
                    f"cell {where}: node {node} of {kind} has operation {operation!r}"
                    f"{suggestion(operation, list(OPERATIONS[1:]))}"
                )
            if cell[edge] != NONE:
                raise UserError(f"cell {where}: node {node} of {kind} has input {source} twice")
            cell[edge] = OPERATIONS.index(operation)
    return tuple(cell)


def _checked(cell: Sequence[int], where: str) -> Cell:
    for rows in INCOMING:
        if sum(op != NONE for op in cell[rows]) != 2:
            edge = EDGES[rows.start]
            raise UserError(f"cell {where}: node {edge.target} of {edge.cell_type} must have two inputs")
    return tuple(cell)


def canonical(cell: Cell) -> str:
    """The string that isomorphic cells share: the least one over all orders of the computed nodes.

    The order of the nodes decides no more than in which order a cell's channels are joined.
    """
    halves = []
    for kind, nodes in inputs_of(cell).items():
        spellings = []
        for order in permutations(NODES):
            name = {0: 0, 1: 1, **dict(zip(order, NODES, strict=True))}
            renamed = {name[node]: [(op, name[i]) for op, i in nodes[node - 2]] for node in NODES}
            if all(source < node for node, inputs in renamed.items() for _, source in inputs):
                spellings.append([sorted(renamed[node], key=lambda entry: entry[::-1]) for node in NODES])
        halves.append((kind, min(spellings)))
    return to_string(_from_inputs({kind: [entry for node in nodes for entry in node] for kind, nodes in halves}, kind))


PAIRS = {node: tuple(combinations(range(node), 2)) for node in NODES}  # a node's possible inputs
