"""By how much two groups differ, in points: of their means, and of a typical value (Hodges-Lehmann), with intervals.

Below BOOTSTRAP_MIN_N values the interval of means is the permutation test inverted, which is exact if one group is the
other shifted; from there on it is the bootstrap's, which needs no such thing. Empty is None, where even the widest
interval would not reach the level.
"""

from __future__ import annotations

import itertools
import math
import sys
from collections.abc import Callable
from functools import lru_cache
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from harness.report.inference import ALPHA, BOOTSTRAP_MIN_N, Floats
from harness.report.rank_sums import critical_u, critical_w

ALL_ARRANGEMENTS = 50_000  # of two groups, or signs of pairs, that are all gone through; above, so many are drawn:
DRAWN = 10_000
RESAMPLES = 4_000
COUNTED = 10  # resamples; a share of fewer is no estimate
DIGITS = 9  # equal steps of a table differ by rounding


class Difference(NamedTuple):
    """a minus b in points; intervals of 95 %."""

    mean: float | None = None  # of the means
    low: float | None = None
    high: float | None = None
    shift: float | None = None  # Hodges and Lehmann's: the median of the differences of all pairs of values
    shift_low: float | None = None
    shift_high: float | None = None


class Means:
    """What the values of two groups, or of pairs, say about the difference of their means, a minus b.

    `value` is the difference; `p(at)` the chances, were the true difference `at`, of one at most and at least as large.
    """

    def __init__(self, value: float, thresholds: Floats, drawn: Callable[[], Floats] | None, n: int):
        self.value = value
        self._sorted = np.sort(np.round(thresholds, DIGITS))
        self._drawn = drawn
        self._n = n  # of the smaller group

    def permutation(self, at: float = 0.0) -> tuple[float, float]:
        """P(difference <= the observed one), P(>= it), over all arrangements where the true difference is `at`."""
        at, of = round(at, DIGITS), len(self._sorted) + 1
        up_to = np.searchsorted(self._sorted, at, side="right")
        from_it = len(self._sorted) - np.searchsorted(self._sorted, at, side="left")
        return float(1 + from_it) / of, float(1 + up_to) / of

    def p(self) -> float:
        """Two-sided p of the permutation test of equal means."""
        return min(1.0, 2 * min(self.permutation()))

    def interval(self) -> tuple[float | None, float | None]:
        """The 95 % interval of the difference."""
        if self._drawn is not None:
            tail = 100 * NormalDist().cdf(-_t(self._n, 1 - ALPHA / 2) * math.sqrt(self._n / (self._n - 1)))
            low, high = np.percentile(self._bootstrap, [tail, 100 - tail])
            return float(low), float(high)
        beyond = math.floor((len(self._sorted) + 1) * ALPHA / 2 + 1e-9)
        if beyond == 0:
            return None, None
        return float(self._sorted[beyond - 1]), float(self._sorted[-beyond])

    def beyond(self, margin: float) -> float:
        """p of two one-sided tests: the larger of those that the difference is ±margin or beyond it."""
        if self._drawn is None:
            return max(self.permutation(margin)[0], self.permutation(-margin)[1])
        drawn = self._bootstrap
        return max(self._tail(drawn >= margin, margin - self.value), self._tail(drawn <= -margin, margin + self.value))

    def _tail(self, outside: NDArray[np.bool_], distance: float) -> float:
        """The one-sided p at which the interval's end would be the margin: Hesterberg's level from the share beyond.

        Where too few resamples lie beyond to count, from the margin's distance in bootstrap standard errors.
        """
        from scipy.stats import t

        normal, error = NormalDist(), float(self._bootstrap.std())
        beyond = int(outside.sum())
        z = normal.inv_cdf(min(1 + beyond, RESAMPLES) / (RESAMPLES + 1))
        if beyond < COUNTED:
            z = min(normal.inv_cdf(COUNTED / RESAMPLES), -distance / error if error else -math.inf)
        return max(float(t.cdf(z * math.sqrt((self._n - 1) / self._n), self._n - 1)), sys.float_info.min)

    @property
    def _bootstrap(self) -> Floats:
        assert self._drawn is not None
        return self._drawn()


def _t(n: int, level: float) -> float:
    from scipy.stats import t

    return float(t.ppf(level, n - 1))


@lru_cache(maxsize=16)
def arrangements(n_a: int, n_b: int) -> NDArray[np.bool_]:
    """Which of n_a + n_b values are the first group's, (arrangements, n_a + n_b): all others than the first n_a.

    Above ALL_ARRANGEMENTS, DRAWN of them, drawn with a fixed seed.
    """
    n = n_a + n_b
    if math.comb(n, n_a) <= ALL_ARRANGEMENTS:
        chosen = np.array(list(itertools.combinations(range(n), n_a)))[1:]
    else:
        rng = np.random.default_rng(0)
        chosen = np.array([rng.permutation(n)[:n_a] for _ in range(DRAWN)])
    groups = np.zeros((len(chosen), n), dtype=bool)
    np.put_along_axis(groups, chosen, True, axis=1)
    return groups[~groups[:, :n_a].all(axis=1)]


@lru_cache(maxsize=16)
def signs(n: int) -> NDArray[np.bool_]:
    """Which of n differences are turned round, (patterns, n): all patterns but that of none; else DRAWN of them."""
    if 2**n <= ALL_ARRANGEMENTS:
        return np.array(list(itertools.product((False, True), repeat=n)))[1:]
    flips = np.random.default_rng(0).random((DRAWN, n)) < 0.5
    return flips[flips.any(axis=1)]


def means(a: ArrayLike, b: ArrayLike) -> Means:
    """Means of a, (n_a,), against those of b, (n_b,); at least one value each.

    An arrangement moves values between the groups; its sum of the first reaches the observed one where the true
    difference is at least the mean of what left minus the mean of what came. These thresholds are the whole test.
    """
    x, y = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    first = arrangements(len(x), len(y))
    stayed, came = first[:, : len(x)], first[:, len(x) :]
    moved = len(x) - stayed.sum(axis=1)
    thresholds = (x.sum() - stayed @ x - came @ y) / moved

    @lru_cache(maxsize=1)
    def drawn() -> Floats:
        rng = np.random.default_rng(0)
        return np.asarray(rng.choice(x, (RESAMPLES, len(x))).mean(1) - rng.choice(y, (RESAMPLES, len(y))).mean(1))

    n = min(len(x), len(y))
    return Means(float(x.mean() - y.mean()), thresholds, drawn if n >= BOOTSTRAP_MIN_N else None, n)


def paired_means(differences: ArrayLike) -> Means:
    """As `means`, of the differences of pairs, (n,); an arrangement turns some of them round."""
    d = np.asarray(differences, dtype=np.float64)
    turned = signs(len(d))
    thresholds = turned @ d / turned.sum(axis=1)

    @lru_cache(maxsize=1)
    def drawn() -> Floats:
        return np.asarray(np.random.default_rng(0).choice(d, (RESAMPLES, len(d))).mean(axis=1))

    return Means(float(d.mean()), thresholds, drawn if len(d) >= BOOTSTRAP_MIN_N else None, len(d))


def difference(a: ArrayLike, b: ArrayLike) -> Difference:
    """Difference and shift of a, (n_a,), against b, (n_b,); empty where a group has no value."""
    x, y = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    if min(len(x), len(y)) == 0:
        return Difference()
    compared = means(x, y)
    between = np.sort((x[:, None] - y[None, :]).ravel())
    ends = _ends(between, critical_u(len(x), len(y), ALPHA)) if min(len(x), len(y)) > 1 else (None, None)
    return Difference(compared.value, *compared.interval(), float(np.median(between)), *ends)


def paired_difference(differences: ArrayLike) -> Difference:
    """Difference and shift of pairs, (n,); the shift is the median of the means of any two differences."""
    d = np.asarray(differences, dtype=np.float64)
    if len(d) == 0:
        return Difference()
    compared = paired_means(d)
    rows, columns = np.triu_indices(len(d))
    between = np.sort((d[rows] + d[columns]) / 2)
    ends = _ends(between, critical_w(len(d), ALPHA)) if len(d) > 1 else (None, None)
    return Difference(compared.value, *compared.interval(), float(np.median(between)), *ends)


def _ends(ordered: Floats, critical: int) -> tuple[float | None, float | None]:
    """The rank test inverted: its critical value counts the differences that lie outside at each end."""
    return (None, None) if critical < 0 else (float(ordered[critical]), float(ordered[-1 - critical]))
