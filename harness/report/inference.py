"""Summaries and tests of a few seeds: exact where it can be, empty where nothing can be said.

Pure functions of arrays of accuracies in percent; no file, no table. "Empty" is None. The rules are made for what
searchers do: few seeds, ties (equal cells have equal accuracies), constant groups (a collapsed searcher gives n equal
numbers), two modes (collapsed or not). No p is ever 0 or nan.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

ALPHA = 0.05
LEVEL = 0.95
Z = NormalDist().inv_cdf((1 + LEVEL) / 2)
BOOTSTRAP_MIN_N = 10
BOOTSTRAP_SAMPLES = 2000
SAME = 1e-4  # percent; a tenth of an image in 10,000, a third of one over three trainings, lies above it

Floats = NDArray[np.float64]


class Summary(NamedTuple):
    """Location and spread of n values; `ci_*` is an interval of the median and its true level."""

    n: int
    mean: float | None
    std: float | None  # ddof 1
    median: float | None
    ci_low: float | None
    ci_high: float | None
    ci_level: float | None


def summary(values: ArrayLike) -> Summary:
    """Mean, std (ddof 1), median and its order-statistic interval. values: (n,), n may be 0."""
    x = np.sort(np.asarray(values, dtype=np.float64))
    n = len(x)
    if n == 0:
        return Summary(0, None, None, None, None, None, None)
    mean, median = _clamped(np.mean(x), x), _clamped(np.median(x), x)
    if n == 1:
        return Summary(1, mean, None, median, None, None, None)
    # equal numbers have no spread; the formula would leave 1e-14 of rounding
    std = 0.0 if x[0] == x[-1] else float(np.std(x, ddof=1))
    rank, level = median_interval_rank(n)
    return Summary(n, mean, std, median, float(x[rank - 1]), float(x[n - rank]), level)


def _clamped(value: np.floating, x: Floats) -> float:
    """A location of sorted x kept within it: the mean of equal numbers may miss them by rounding."""
    return float(np.clip(value, x[0], x[-1]))


@lru_cache(maxsize=256)
def median_interval_rank(n: int, level: float = LEVEL) -> tuple[int, float]:
    """Rank k of the narrowest interval [x_(k), x_(n+1-k)] of the median, and its true level.

    The level is 1 - 2 P(Bin(n, 1/2) < k) (David and Nagaraja, Order Statistics, 7.1). Below 6 values not even
    the range reaches 0.95: it is given with what it does reach, 1 - 2^(1-n).
    """
    # below: number of the 2^n sign patterns with fewer than `rank` values under the median; same: with just `rank`
    rank, below, same = 1, 1, n
    while 1 - 2 * (below + same) / 2**n >= level:
        rank, below, same = rank + 1, below + same, same * (n - rank) // (rank + 1)
    return rank, 1 - 2 * below / 2**n


def effect_size(a: ArrayLike, b: ArrayLike) -> float:
    """Vargha-Delaney A = P(a > b) + P(a = b) / 2, from 0 to 1; 0.5 is no difference."""
    x, y = np.asarray(a, dtype=np.float64), np.sort(np.asarray(b, dtype=np.float64))
    below, upto = np.searchsorted(y, x, side="left"), np.searchsorted(y, x, side="right")
    return float((below + upto).sum()) / (2 * len(x) * len(y))


def effect_interval(effect: float, n_a: int, n_b: int) -> tuple[float, float]:
    """95 % interval of A for n_a against n_b values (Newcombe, Stat. Med. 25, 2006, method 5), never of width 0.

    Its ends are the A that lie z of their own standard errors from the observed one; the error is Hanley and McNeil's
    for two exponential distributions, with the mean group size in both places.
    """

    from scipy.optimize import brentq

    def error(a: float) -> float:
        spread = 1 + ((n_a + n_b) / 2 - 1) * ((1 - a) / (2 - a) + a / (1 + a))
        return math.sqrt(a * (1 - a) * spread / (n_a * n_b))

    def end(limit: float) -> float:
        start = effect + 1e-12 * (limit - effect)  # an effect of 0 or 1 solves the equation itself, its error being 0
        return float(brentq(lambda a: abs(effect - a) - Z * error(a), start, limit, xtol=1e-15))

    return 0.0 if effect == 0 else end(0.0), 1.0 if effect == 1 else end(1.0)


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Holm's step-down adjustment of one family of tests (Holm, Scand. J. Stat. 6, 1979).

    A test that could not be made stays empty and counts as p = 1: failures do not shrink the family.
    """
    filled = np.array([1.0 if p is None else p for p in p_values])
    order = np.argsort(filled, kind="stable")
    factors = len(filled) - np.arange(len(filled))
    adjusted = np.empty_like(filled)
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(filled[order] * factors)) if len(filled) else filled
    return [None if p is None else float(q) for p, q in zip(p_values, adjusted, strict=True)]


def regret(optimum: float, values: ArrayLike) -> float | None:
    """Optimum minus mean, in percent points; empty without values."""
    mean = summary(values).mean
    return None if mean is None else optimum - mean


def beaten(value: float, quantiles: Sequence[float]) -> float:
    """Percent of all cells below a value, from equidistant quantiles (0 to 100 %), linear between them.

    Values within SAME of each other are equal: older campaigns keep quantiles of four decimals beside scores of six.
    """
    q = np.asarray(quantiles, dtype=np.float64)
    below = int(np.searchsorted(q, value - SAME, side="left"))  # quantiles under the value
    if below == 0:
        return 0.0
    if below == len(q):
        return 100.0
    step = q[below] - q[below - 1]
    return float(100 * (below - 1 + (min(value, q[below]) - q[below - 1]) / step) / (len(q) - 1))


def iqm(values: ArrayLike) -> float | None:
    """Interquartile mean: the mean of the middle half (Agarwal et al., NeurIPS 2021); empty without values."""
    x = np.sort(np.asarray(values, dtype=np.float64))
    cut = int(0.25 * len(x))
    return None if len(x) == 0 else _clamped(x[cut : len(x) - cut].mean(), x)


def iqm_interval(values: ArrayLike, seed: int = 0) -> tuple[float | None, float | None]:
    """95 % percentile bootstrap interval of the interquartile mean; empty below BOOTSTRAP_MIN_N values."""
    x = np.asarray(values, dtype=np.float64)
    if len(x) < BOOTSTRAP_MIN_N:
        return None, None
    drawn = np.sort(np.random.default_rng(seed).choice(x, (BOOTSTRAP_SAMPLES, len(x))), axis=1)
    cut = int(0.25 * len(x))
    low, high = np.percentile(drawn[:, cut : len(x) - cut].mean(axis=1), [2.5, 97.5])
    return float(low), float(high)
