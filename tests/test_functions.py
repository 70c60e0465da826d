"""Cells that compute the same function have one name."""

from itertools import permutations

import numpy as np
import pytest

from benchmarks.nb201 import cell as C
from benchmarks.nb201.functions import function_classes, function_name


def outputs(cell, weights):
    """What a cell computes on numbers, worked out plainly; `weights` (6,): each edge's convolution has its own."""
    nodes = [1.0, 0.0, 0.0, 0.0]
    for k, (op, (i, j)) in enumerate(zip(cell, C.EDGES, strict=True)):
        h = nodes[i]
        nonlinear = (lambda v: np.tanh(v + 0.3), lambda v: np.sin(2 * v - 0.1))
        if op in (C.CONV1, C.CONV3):
            h = weights[k] * nonlinear[op - C.CONV1](h) if h else 0.0
        nodes[j] += (0.0, h, h, h, 0.7 * h)[op]
    return nodes[3]


def test_equal_names_are_equal_functions_and_different_ones_are_not():
    """Numbers through cells: two are one function if some numbering of the convolutions makes them agree."""
    of_cell, first = function_classes()
    assert len(first) == 5_044
    assert (of_cell[first] == np.arange(len(first))).all()
    values = np.random.default_rng(0).uniform(0.5, 2, 6)
    orders = [values[list(order)] for order in permutations(range(6))]
    rng = np.random.default_rng(1)
    for index in rng.choice(C.NUM_CELLS, 60, replace=False):
        same = np.flatnonzero(of_cell == of_cell[index])
        own = outputs(C.from_index(int(index)), values)
        other = int(rng.choice(same))
        assert any(abs(outputs(C.from_index(other), w) - own) < 1e-12 for w in orders)
    seen = {}
    for number, index in enumerate(first[:400]):
        # the smallest value over all numberings tells classes apart
        signature = round(min(outputs(C.from_index(int(index)), w) for w in orders), 10)
        assert seen.setdefault(signature, number) == number


@pytest.mark.parametrize(
    ("a", "b", "equal"),
    [
        ((C.CONV3, 0, C.SKIP, 0, 0, C.SKIP), (0, 0, 0, C.CONV3, 0, 0), True),  # skips contracted
        ((C.CONV3, C.CONV3, 0, 0, 0, 0), (0, 0, 0, 0, 0, 0), True),  # nothing arrives
        ((C.CONV3, 0, C.SKIP, 0, C.SKIP, C.SKIP), (C.CONV3, C.CONV3, 0, 0, C.SKIP, C.SKIP), False),  # once or twice
        ((C.CONV1, C.CONV3, 0, 0, C.SKIP, C.SKIP), (C.CONV3, C.CONV1, 0, 0, C.SKIP, C.SKIP), True),  # nodes renamed
        ((C.CONV1, C.CONV3, C.SKIP, 0, 0, C.POOL), (C.CONV3, C.CONV1, 0, 0, C.POOL, C.POOL), True),  # pooling is linear
    ],
)
def test_function_names(a, b, equal):
    assert (function_name(a) == function_name(b)) is equal
