"""Exact distributions of rank sums and signed ranks, given the ties, and the tests on them.

Pure functions of arrays. No p is ever 0 or nan: ties, constant groups and very many values are what searchers give.
"""

from __future__ import annotations

import math
import sys
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike, NDArray

# Additions for an exact distribution, above which it is the normal approximation's:
EXACT_SUMS = 2 * 10**7  # of rank sums, about 40 against 40 values
EXACT_SIGNS = 2 * 10**8  # of signed ranks, about 580 pairs
EXACT = "Mann-Whitney U, exact"
APPROXIMATE = "Mann-Whitney U, normal approximation"
PAIRED = "Wilcoxon signed-rank, exact"
SIGN = "sign test, exact"
PAIRED_APPROXIMATE = "Wilcoxon signed-rank, normal approximation"

Floats = NDArray[np.float64]


def two_sided(less: float, greater: float) -> float:
    return float(min(1.0, 2 * min(less, greater)))


def direction(less: float, greater: float) -> int:
    return (less > greater) - (less < greater)  # the observed sum lies where the tail beyond it is small


def mann_whitney(a: ArrayLike, b: ArrayLike) -> tuple[float, str]:
    """Two-sided p (twice the smaller tail, at most 1) and the name of the distribution used."""
    less, greater, name = mann_whitney_tails(a, b)
    return two_sided(less, greater), name


def mann_whitney_tails(a: ArrayLike, b: ArrayLike) -> tuple[float, float, str]:
    """P(rank sum of a <= observed), P(>= observed) under exchangeability, and the distribution's name."""
    x, y = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    ranks, ties = _doubled_midranks(np.concatenate([x, y]))
    size = min(len(x), len(y))
    if not exact(ranks, size):
        return (*_normal_tails(ranks, ties, len(x)), APPROXIMATE)
    if len(x) <= len(y):  # the smaller group keeps the table of sums small
        less, greater = _exact_tails(ranks, ranks[: len(x)])
    else:
        greater, less = _exact_tails(ranks, ranks[len(x) :])
    return less, greater, EXACT


def _doubled_midranks(values: Floats) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Twice the midrank of each value (whole numbers, so sums compare exactly), and the sizes of the ties."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    first = np.cumsum(counts) - counts  # values below each tie
    return (2 * first + counts + 1)[inverse], counts


def _exact_tails(ranks: NDArray[np.int64], group: NDArray[np.int64]) -> tuple[float, float]:
    """Tails of the group's rank sum over all choices of len(group) out of ranks, ties and all."""
    observed, ways = int(group.sum()), rank_sum_ways(ranks, len(group))
    total = math.comb(len(ranks), len(group))
    return float(ways[: observed + 1].sum()) / total, float(ways[observed:].sum()) / total


def exact(ranks: NDArray[np.int64], size: int) -> bool:
    """Whether `rank_sum_ways` takes no more than EXACT_SUMS additions."""
    return len(ranks) * (size + 1) * _largest(ranks, size) <= EXACT_SUMS


def rank_sum_ways(ranks: NDArray[np.int64], size: int) -> Floats:
    """How many choices of `size` out of these ranks have each sum from 0; rounded where it is beyond 2^53."""
    largest = _largest(ranks, size)
    ways = np.zeros((size + 1, largest + 1))  # ways[k, s]: choices of k ranks with sum s
    ways[0, 0] = 1
    for rank in ranks:
        # the right side is evaluated before the assignment, so each rank is used once
        ways[1:, rank:] = ways[1:, rank:] + ways[:-1, : largest + 1 - rank]
    return ways[size]


def _largest(ranks: NDArray[np.int64], size: int) -> int:
    return int(np.sort(ranks)[-size:].sum())


def _normal_tails(ranks: NDArray[np.int64], ties: NDArray[np.int64], n_a: int) -> tuple[float, float]:
    """The same tails from the normal distribution, with tie and continuity correction."""
    n = len(ranks)
    n_b = n - n_a
    u = ranks[:n_a].sum() / 2 - n_a * (n_a + 1) / 2
    tied = float((ties.astype(np.float64) ** 3 - ties).sum()) / (n * (n - 1))
    variance = n_a * n_b / 12 * (n + 1 - tied)
    if variance <= 0:  # all values equal
        return 1.0, 1.0
    centred, sd = u - n_a * n_b / 2, math.sqrt(variance)
    return _upper_tail((-centred - 0.5) / sd), _upper_tail((centred - 0.5) / sd)


def _upper_tail(z: float) -> float:
    """P(Z >= z), kept above 0 where it underflows (z > 38)."""
    return max(0.5 * math.erfc(z / math.sqrt(2)), sys.float_info.min)


def signed_rank_tails(differences: Floats) -> tuple[float, float, str]:
    """P(sum of the positive ranks <= observed), P(>= observed), given the ties, and the distribution's name.

    The distribution is that over all 2^m signs of the m differences that are not 0; zeros take part in the ranking and
    are then dropped (Pratt, JASA 54, 1959).
    """
    d = np.round(differences, 9)  # equal steps of a table differ by rounding
    ranks = _doubled_midranks(np.abs(d))[0][d != 0]
    positive = int(ranks[d[d != 0] > 0].sum())
    if not exact_signs(ranks):
        half, sd = ranks.sum() / 2, math.sqrt(float((ranks.astype(np.float64) ** 2).sum())) / 2
        # Sums of doubled ranks are 2 apart, so that 1 is the correction for continuity.
        return _upper_tail((half - positive - 1) / sd), _upper_tail((positive - half - 1) / sd), PAIRED_APPROXIMATE
    chances = signed_rank_chances(ranks)
    low, high = chances[: positive + 1].sum(), chances[positive:].sum()
    tiny = sys.float_info.min  # where it underflows: no p is 0
    return float(max(low, tiny)), float(max(high, tiny)), PAIRED


def sign_tails(differences: ArrayLike) -> tuple[float, float, str]:
    """P(so many differences above 0 or fewer), P(so many or more), where each that is not 0 is as likely below it.

    Unlike the signed ranks it asks for no symmetry, which a few collapsed runs break.
    """
    from scipy.stats import binom

    d = np.round(np.asarray(differences, dtype=np.float64), 9)
    above, n = int((d > 0).sum()), int((d != 0).sum())
    tiny = sys.float_info.min
    return max(float(binom.cdf(above, n, 0.5)), tiny), max(float(binom.sf(above - 1, n, 0.5)), tiny), SIGN


def exact_signs(ranks: NDArray[np.int64]) -> bool:
    """Whether `signed_rank_chances` takes no more than EXACT_SIGNS additions."""
    return len(ranks) * int(ranks.sum()) <= EXACT_SIGNS


def signed_rank_chances(ranks: NDArray[np.int64]) -> Floats:
    """Probability of each sum, from 0, of those ranks that get a plus where all signs are equally likely."""
    chances = np.zeros(int(ranks.sum()) + 1)
    chances[0] = 1.0
    for rank in ranks:
        shifted = np.zeros_like(chances)
        shifted[rank:] = chances[: len(chances) - rank]
        chances = (chances + shifted) / 2
    return chances


def critical_u(n_a: int, n_b: int, level: float) -> int:
    """Largest U of n_a against n_b values, no ties, whose two-sided p is at most `level`; -1 where there is none."""
    n, size = n_a + n_b, min(n_a, n_b)
    ranks = 2 * np.arange(1, n + 1)  # doubled, as the test has them, so that both are exact up to the same n
    if not exact(ranks, size):
        sd = math.sqrt(n_a * n_b * (n + 1) / 12)
        return math.floor(n_a * n_b / 2 - 0.5 + NormalDist().inv_cdf(level / 2) * sd)
    ways = rank_sum_ways(ranks, size)[size * (size + 1) :: 2]  # from U = 0
    return int((2 * np.cumsum(ways) / math.comb(n, size) <= level).sum()) - 1


def critical_w(n: int, level: float) -> int:
    """Largest sum of signed ranks of n pairs, no ties, whose two-sided p is at most `level`; -1 where there is none."""
    if not exact_signs(np.arange(1, n + 1)):
        sd = math.sqrt(n * (n + 1) * (2 * n + 1) / 24)
        return math.floor(n * (n + 1) / 4 - 0.5 + NormalDist().inv_cdf(level / 2) * sd)
    return int((2 * np.cumsum(signed_rank_chances(np.arange(1, n + 1))) <= level).sum()) - 1
