"""The search space: cells from architecture parameters, neighbours, draws."""

import numpy as np
import pytest

from benchmarks.errors import UserError
from benchmarks.nb201 import cell as C
from benchmarks.nb201 import space


def test_operations_are_counted():
    assert space.operation_counts((3, 3, 1, 0, 4, 3)) == [1, 1, 0, 3, 1]


CELLS = [C.from_index(i) for i in range(C.NUM_CELLS)]


@pytest.mark.case(29, 45, 48)
def test_derivation_with_and_without_none():
    p = np.log(np.full((6, 5), 0.05))
    p[:, C.NONE], p[:, C.CONV3], p[:, C.SKIP] = np.log(0.40), np.log(0.35), np.log(0.25)
    assert C.index(space.derive(p)) == 1651
    assert not C.is_connected(space.derive(p))
    assert space.derive(p, keep_none=False) == (C.CONV3,) * 6
    p[2, C.POOL] = 1.0
    assert space.derive(p) == (0, 0, 4, 0, 0, 0)
    assert C.to_string(space.derive(p)).count("~") == 6


def test_derivation_refuses_wrong_shapes_and_nan():
    with pytest.raises(UserError, match=r"\(5, 6\)"):
        space.derive(np.zeros((5, 6)))
    broken = np.zeros((6, 5))
    broken[4, 2] = np.nan
    with pytest.raises(UserError, match="1→3"):
        space.derive(broken)


def test_neighbours_and_mutation():
    for cell in CELLS[::997]:
        near = space.neighbours(cell)
        assert len(set(near)) == 24
        assert all(sum(a != b for a, b in zip(cell, other, strict=True)) == 1 for other in near)
    rng = np.random.default_rng(0)
    counts = dict.fromkeys(space.neighbours(CELLS[7]), 0)
    for _ in range(24_000):
        counts[space.mutate(CELLS[7], rng)] += 1
    # 1,000 expected each; a chi-square of 24 cells stays below 60 with probability 1 − 4e-5
    assert sum((n - 1000) ** 2 / 1000 for n in counts.values()) < 60


def test_sampling_is_uniform():
    rng = np.random.default_rng(1)
    drawn = np.array([space.sample(rng) for _ in range(20_000)])
    for edge in range(6):
        share = np.bincount(drawn[:, edge], minlength=5) / len(drawn)
        assert np.abs(share - 0.2).max() < 0.012  # 4 standard deviations
    full = np.array([space.sample(rng, none=False) for _ in range(20_000)])
    for edge in range(6):
        share = np.bincount(full[:, edge], minlength=5) / len(full)
        assert share[C.NONE] == 0
        assert np.abs(share[1:] - 0.25).max() < 0.0125
