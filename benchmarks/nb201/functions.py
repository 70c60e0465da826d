"""Which cells compute the same function of the same weights, whatever their strings say.

Skips are contracted, `none` and what it alone feeds is dropped, sums are flattened (pooling, which is linear, is
taken into them), and convolutions carry an identity, so that one convolution used twice is not two convolutions.
NATS-Bench's `Structure.to_unique_str` (`cell.canonical`; 6,466 names) does otherwise in both directions: it keeps
`none` in sums and does not flatten them, which splits equal functions, and does not tell the uses of one
convolution from two convolutions, which joins different ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from itertools import permutations, product

import numpy as np

from benchmarks.nb201.cell import CONV1, CONV3, EDGES, NODES, NONE, NUM_CELLS, OPERATIONS, SKIP, Cell, edges_in_use
from benchmarks.nb201.cell import from_index as cell_from_index


def function_name(cell: Cell) -> str:
    """A name that two cells share exactly if they are the same function: 5,044 names in the space."""
    same_form: dict[str, list[int]] = {}
    for edge, form in _terms(cell, {})[1].items():
        same_form.setdefault(form, []).append(edge)
    # Among convolutions of one form the numbering is free; the least of all numberings is the cell's own.
    numberings = product(*(permutations(edges) for edges in same_form.values()))
    return min(
        "+".join(_terms(cell, {edge: k for edges in numbering for k, edge in enumerate(edges)})[0])
        for numbering in numberings
    )


def _terms(cell: Cell, number: Mapping[int, int]) -> tuple[list[str], dict[int, str]]:
    """The summands of the cell's output, and the form of each convolution in use; `number` tells like ones apart."""
    used = edges_in_use(cell)
    nodes: list[list[str]] = [["x"]]
    forms: dict[int, str] = {}
    for node in range(1, NODES):
        terms: list[str] = []
        for edge, (op, (i, j)) in enumerate(zip(cell, EDGES, strict=True)):
            if j != node or op == NONE or not used[edge]:
                continue
            if op == SKIP:
                terms += nodes[i]
            elif op in (CONV1, CONV3):
                forms[edge] = f"{OPERATIONS[op]}#{number.get(edge, 0)}({'+'.join(nodes[i])})"
                terms.append(forms[edge])
            else:
                terms += [f"{OPERATIONS[op]}({term})" for term in nodes[i]]
        nodes.append(sorted(terms))
    return nodes[-1], forms


@lru_cache(maxsize=1)
def function_classes() -> tuple[np.ndarray, np.ndarray]:
    """The class of each cell, int16 (15625,), and the first cell of each class, int64 (5044,).

    Classes are numbered in the order of their first cells' official indices.
    """
    number: dict[str, int] = {}
    names = (function_name(cell_from_index(index)) for index in range(NUM_CELLS))
    of_cell = np.array([number.setdefault(name, len(number)) for name in names], dtype=np.int16)
    first = np.unique(of_cell, return_index=True)[1]
    return of_cell, first
