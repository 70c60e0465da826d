"""A pair of cells as tools write it down: operations and inputs of each node, normal and reduction cell.

`Genotype` is the notation of DARTS' code (quark0/darts, cnn/genotypes.py): two inputs a node, in the nodes' order, and
the nodes that are concatenated. Networks are built from it. It also holds what is no cell of the space: NASNet and
AmoebaNet have five nodes, further operations and inputs that are used twice. `genotypes.json` has the published ones,
as in quark0/darts, yuhuixu1993/PC-DARTS, chenxin061/pdarts and xiangning-chen/DrNAS.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.errors import UserError, quoted

OPERATIONS = (
    "none",
    "max_pool_3x3",
    "avg_pool_3x3",
    "skip_connect",
    "sep_conv_3x3",
    "sep_conv_5x5",
    "dil_conv_3x3",
    "dil_conv_5x5",
)
NONE, MAX_POOL, AVG_POOL, SKIP, SEP3, SEP5, DIL3, DIL5 = range(8)
FURTHER_OPERATIONS = ("sep_conv_7x7", "conv_7x1_1x7")  # of published networks outside the space
CELL_TYPES = ("normal", "reduce")

Input = tuple[str, int]  # operation, number of the node that it reads: 0 and 1 are the two cells before


class Genotype(NamedTuple):
    """Two inputs a node for both cell types, and which nodes are concatenated to a cell's output."""

    normal: tuple[Input, ...]
    normal_concat: tuple[int, ...]
    reduce: tuple[Input, ...]
    reduce_concat: tuple[int, ...]

    def __str__(self) -> str:
        """The notation of DARTS' code."""

        def concat(nodes: Sequence[int]) -> str:
            if list(nodes) == list(range(nodes[0], nodes[-1] + 1)):
                return f"range({nodes[0]}, {nodes[-1] + 1})"
            return repr(list(nodes))

        return (
            f"Genotype(normal={list(self.normal)}, normal_concat={concat(self.normal_concat)}, "
            f"reduce={list(self.reduce)}, reduce_concat={concat(self.reduce_concat)})"
        )


@lru_cache(maxsize=1)
def published() -> dict[str, Genotype]:
    """The published genotypes by name."""
    content = json.loads(Path(__file__).with_name("genotypes.json").read_text())
    return {name: from_mapping(fields, name) for name, fields in content.items()}


def from_text(text: str) -> Genotype:
    """Read `Genotype(normal=[('sep_conv_3x3', 1), …], normal_concat=range(2, 6), …)`; parsed, never evaluated.

    Raises UserError saying what is wrong.
    """
    try:
        call = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        reason = error.msg if isinstance(error, SyntaxError) else type(error).__name__
        raise UserError(f"genotype {quoted(text)}: {reason}") from None
    if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name) or call.func.id != "Genotype":
        raise UserError(f"genotype {quoted(text)}: expected Genotype(normal=[…], normal_concat=…, reduce=[…], …)")
    values: dict[str, Any] = {}
    for name, node in [*zip(Genotype._fields, call.args, strict=False), *((k.arg, k.value) for k in call.keywords)]:
        values[str(name)] = _literal(node, text)
    return from_mapping(values, text)


def _literal(node: ast.expr, text: str) -> Any:
    """The value of a literal or of a `range` of literals."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "range":
        limits = [_literal(argument, text) for argument in node.args]
        if not 1 <= len(limits) <= 2 or not all(isinstance(k, int) and 0 <= k <= 100 for k in limits):
            raise UserError(f"genotype {quoted(text)}: range takes one or two small numbers")
        return list(range(*limits))
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError, RecursionError, MemoryError):
        raise UserError(f"genotype {quoted(text)}: {quoted(ast.unparse(node))} is no literal") from None


def from_mapping(fields: Any, where: str) -> Genotype:
    """A genotype from its fields; the concatenations may be missing: then all nodes. Raises UserError."""
    if not isinstance(fields, dict) or not {"normal", "reduce"} <= set(fields) <= set(Genotype._fields):
        raise UserError(f"genotype {quoted(where)}: expected the fields {', '.join(Genotype._fields)}")
    values: dict[str, Any] = {}
    for kind in CELL_TYPES:
        inputs = values[kind] = _inputs(fields[kind], f"genotype {quoted(where)}: {kind}")
        nodes = range(2, 2 + len(inputs) // 2)
        concat = fields.get(f"{kind}_concat", nodes)
        if not isinstance(concat, (list, tuple, range)) or not concat or not all(k in nodes for k in concat):
            raise UserError(f"genotype {quoted(where)}: {kind}_concat names nodes from 2 to {nodes[-1]}")
        values[f"{kind}_concat"] = tuple(concat)
    return Genotype(**values)


def _inputs(entries: Any, where: str) -> tuple[Input, ...]:
    if not isinstance(entries, (list, tuple)) or not entries or len(entries) % 2:
        raise UserError(f"{where}: expected a list of (operation, input), two a node")
    inputs = []
    for number, entry in enumerate(entries):
        node = 2 + number // 2
        if not isinstance(entry, (list, tuple)) or len(entry) != 2:
            raise UserError(f"{where}: node {node} has {quoted(str(entry))}; expected (operation, input)")
        operation, source = entry
        if operation not in OPERATIONS[1:] + FURTHER_OPERATIONS:
            raise UserError(
                f"{where}: node {node} has operation {quoted(operation)}; one of {', '.join(OPERATIONS[1:])}"
            )
        if not isinstance(source, int) or isinstance(source, bool) or not 0 <= source < node:
            raise UserError(f"{where}: node {node} has input {quoted(source)}; expected 0 to {node - 1}")
        inputs.append((operation, source))
    return tuple(inputs)
