"""Derivation, sampling and neighbours in the DARTS space."""

from collections import Counter

import numpy as np
import pytest

from benchmarks.darts import cell as C
from benchmarks.darts import space
from benchmarks.darts.genotype import AVG_POOL, DIL5, NONE, SEP3, SKIP
from benchmarks.errors import UserError


def alphas(**strong):
    """Zeros but for `edge_op=value` of the normal cell, edges by their numbers."""
    values = np.zeros((28, 8))
    for name, value in strong.items():
        edge, op = name[1:].split("_")
        values[int(edge), int(op)] = value
    return values


def test_a_node_keeps_its_two_strongest_inputs_with_their_strongest_operations():
    """Node 3 (edges 2 to 4): edges 4 and 2 have the larger weights, worked out as e / (e + 7)."""
    cell = space.derive(alphas(e2_4=1.0, e3_3=0.5, e4_7=2.0))
    assert cell[2:5] == (SEP3, NONE, DIL5)
    assert cell[:2] == (1, 1)  # without any preference the lowest operation other than none


def test_none_is_never_chosen_however_strong_but_it_weakens_its_edge():
    """Of edge 2, none has e³ / (e³ + e + 6) and SEP3 e / (e³ + e + 6) = 0.09; of edge 3, SKIP has 1/8 = 0.125."""
    cell = space.derive(alphas(e2_0=3.0, e2_4=1.0))
    assert cell[2:5] == (NONE, 1, 1)
    assert space.derive(alphas(e2_4=1.0))[2:5] == (SEP3, 1, NONE)


def test_edge_weights_decide_which_inputs_stay():
    weights = np.ones(28)
    weights[2] = 0.1
    assert space.derive(alphas(e2_4=1.0), edge_weights=weights)[2:5] == (NONE, 1, 1)


@pytest.mark.parametrize("shape", [(6, 5), (28, 7), (14, 8), (224,)])
def test_other_shapes_are_refused(shape):
    with pytest.raises(UserError, match=r"expected \(28, 8\)"):
        space.derive(np.zeros(shape))


def test_nan_is_refused_with_its_edge():
    values = np.zeros((28, 8))
    values[27, 3] = np.nan
    with pytest.raises(UserError, match="edge 4→5 of reduce are NaN"):
        space.derive(values)


def test_a_sampled_cell_comes_back_from_alphas_that_point_at_it():
    rng = np.random.default_rng(1)
    for _ in range(20):
        cell = space.sample(rng)
        assert space.derive(np.eye(8)[list(cell)]) == cell


def test_sampling_is_uniform_over_inputs_and_operations():
    """Each of node 4's six pairs of inputs, and each operation, within 4.5 standard deviations of its share."""
    rng = np.random.default_rng(2)
    cells = [space.sample(rng) for _ in range(3000)]
    pairs = Counter(tuple(k for k, op in enumerate(cell[5:9]) if op != NONE) for cell in cells)
    assert len(pairs) == 6
    assert all(abs(count - 500) < 4.5 * (3000 * 5 / 36) ** 0.5 for count in pairs.values())
    operations = Counter(cell[0] for cell in cells)
    assert sorted(operations) == list(range(1, 8))
    assert all(abs(count - 3000 / 7) < 4.5 * (3000 * 6 / 49) ** 0.5 for count in operations.values())


def test_a_cell_has_120_neighbours_that_are_cells_and_know_it_as_theirs():
    """96 other operations of 16 edges; inputs: for each cell type 0 + 2·1 + 2·2 + 2·3 = 12."""
    cell = C.parse("PC_DARTS_cifar")
    others = space.neighbours(cell)
    assert len(set(others)) == 120
    assert cell not in others
    for other in others:
        assert C.parse(C.to_string(other)) == other
        assert cell in space.neighbours(other)
    rng = np.random.default_rng(3)
    assert {space.mutate(cell, rng) for _ in range(2000)} == set(others)


def test_drawing_allowed_operations_edge_by_edge_makes_every_kind_of_cell():
    rng, cells = np.random.default_rng(4), set()
    for _ in range(300):
        prefix = []
        while len(prefix) < 28:
            prefix.append(int(rng.choice(space.allowed(prefix))))
        assert C.parse(tuple(prefix)) == tuple(prefix)
        cells.add(tuple(op == NONE for op in prefix[2:5]))
    assert len(cells) == 3
    assert space.allowed([SKIP]) == tuple(range(1, 8))  # node 2 has two inputs only
    assert space.allowed([SKIP, SKIP, SEP3, SEP3]) == (NONE,)
    assert space.allowed([SKIP, SKIP, NONE]) == tuple(range(1, 8))
    assert space.allowed([SKIP, SKIP]) == tuple(range(8))


def test_collapse_is_a_normal_cell_without_weights():
    flat = space.derive(np.tile(np.eye(8)[SKIP], (28, 1)))
    assert space.is_collapsed(flat)
    assert space.operation_counts(flat) == [12, 0, 0, 16, 0, 0, 0, 0]
    pooled = space.derive(np.vstack([np.tile(np.eye(8)[AVG_POOL], (14, 1)), np.tile(np.eye(8)[SEP3], (14, 1))]))
    assert space.is_collapsed(pooled)
    assert not space.is_collapsed(C.parse("DARTS_V2"))
