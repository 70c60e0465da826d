"""Summaries and tests of a few seeds: exact where it can be, empty where nothing can be said.

Pure functions of arrays of accuracies in percent; no file, no table, and scipy for ranks over blocks alone. "Empty" is
None. The rules are made for what searchers do: few seeds, ties (equal cells have equal accuracies), constant
groups (a collapsed searcher gives n equal numbers), two modes (collapsed or not). No p is ever 0 or nan.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from functools import lru_cache
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

ALPHA = 0.05
LEVEL = 0.95
EXACT_ARRANGEMENTS = 10**6  # above: normal approximation
BOOTSTRAP_MIN_N = 10
BOOTSTRAP_SAMPLES = 2000
EXACT = "Mann-Whitney U, exact"
APPROXIMATE = "Mann-Whitney U, normal approximation"
PAIRED = "Wilcoxon signed-rank, exact"

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


class Comparison(NamedTuple):
    """A two-sided test of a against b; `effect` is the Vargha-Delaney A = P(a > b) + P(a = b) / 2, over all pairs of
    values or, where the test is paired, over the pairs alone.
    """

    test: str | None  # EXACT, APPROXIMATE or PAIRED; None where a group has fewer than two values
    p: float | None
    effect: float | None
    effect_low: float | None  # only where both groups have at least BOOTSTRAP_MIN_N values
    effect_high: float | None


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


def compare(a: ArrayLike, b: ArrayLike) -> Comparison:
    """Mann-Whitney U and effect of a, (n_a,), against b, (n_b,); empty where a group has under two values."""
    x, y = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    if min(len(x), len(y)) < 2:
        return Comparison(None, None, None, None, None)
    p, name = mann_whitney(x, y)
    low, high = effect_interval(x, y)
    return Comparison(name, p, effect_size(x, y), low, high)


def mann_whitney(a: ArrayLike, b: ArrayLike) -> tuple[float, str]:
    """Two-sided p (twice the smaller tail, at most 1) and the name of the distribution used."""
    less, greater, name = mann_whitney_tails(a, b)
    return min(1.0, 2 * min(less, greater)), name


def mann_whitney_tails(a: ArrayLike, b: ArrayLike) -> tuple[float, float, str]:
    """P(rank sum of a <= observed), P(>= observed) under exchangeability, and the distribution's name."""
    x, y = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    ranks, ties = _doubled_midranks(np.concatenate([x, y]))
    if math.comb(len(ranks), len(x)) > EXACT_ARRANGEMENTS:
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
    size, observed = len(group), int(group.sum())
    largest = int(np.sort(ranks)[-size:].sum())
    ways = np.zeros((size + 1, largest + 1), dtype=np.int64)  # ways[k, s]: choices of k ranks with sum s
    ways[0, 0] = 1
    for rank in ranks:
        # the right side is evaluated before the assignment, so each rank is used once
        ways[1:, rank:] = ways[1:, rank:] + ways[:-1, : largest + 1 - rank]
    total = math.comb(len(ranks), size)
    return int(ways[size, : observed + 1].sum()) / total, int(ways[size, observed:].sum()) / total


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


def effect_size(a: ArrayLike, b: ArrayLike) -> float:
    """Vargha-Delaney A = P(a > b) + P(a = b) / 2, from 0 to 1; 0.5 is no difference."""
    x, y = np.asarray(a, dtype=np.float64), np.sort(np.asarray(b, dtype=np.float64))
    below, upto = np.searchsorted(y, x, side="left"), np.searchsorted(y, x, side="right")
    return float((below + upto).sum()) / (2 * len(x) * len(y))


def effect_interval(a: ArrayLike, b: ArrayLike, seed: int = 0) -> tuple[float | None, float | None]:
    """95 % percentile bootstrap interval of A; empty below BOOTSTRAP_MIN_N values in either group."""
    x, y = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    if min(len(x), len(y)) < BOOTSTRAP_MIN_N:
        return None, None
    rng = np.random.default_rng(seed)
    x_values, x_weights = _resampled_weights(x, rng)
    y_values, y_weights = _resampled_weights(y, rng)
    wins = (np.sign(x_values[:, None] - y_values[None, :]) + 1) / 2
    effects = np.einsum("sj,sj->s", x_weights @ wins, y_weights)
    low, high = np.clip(np.percentile(effects, [2.5, 97.5]), 0, 1)
    return float(min(low, high)), float(max(low, high))  # rounding may swap the two of a constant


def _resampled_weights(x: Floats, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Distinct values, and the share of each in every bootstrap sample: (samples, distinct)."""
    values, counts = np.unique(x, return_counts=True)
    return values, rng.multinomial(len(x), counts / len(x), size=BOOTSTRAP_SAMPLES) / len(x)


def equivalence_p(a: ArrayLike, b: ArrayLike, margin: float) -> float | None:
    """p of two one-sided Mann-Whitney tests: small where a and b differ by less than margin (percent)."""
    x, y = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    if min(len(x), len(y)) < 2:
        return None
    y = np.round(y, 9)  # so that values exactly a margin apart tie after the shift
    above_lower = mann_whitney_tails(np.round(x + margin, 9), y)[1]
    below_upper = mann_whitney_tails(np.round(x - margin, 9), y)[0]
    return min(1.0, max(above_lower, below_upper))


def signed_rank(differences: ArrayLike) -> float | None:
    """Two-sided p of Wilcoxon's signed ranks of paired differences; empty below two pairs."""
    d = np.asarray(differences, dtype=np.float64)
    return None if len(d) < 2 else float(min(1.0, 2 * min(signed_rank_tails(d))))


def signed_rank_tails(differences: Floats) -> tuple[float, float]:
    """P(sum of the positive ranks <= observed), P(>= observed), exact given the ties.

    The distribution is that over all 2^m signs of the m differences that are not 0; zeros take part in the ranking and
    are then dropped (Pratt, JASA 54, 1959).
    """
    d = np.round(differences, 9)  # equal steps of a table differ by rounding
    ranks = _doubled_midranks(np.abs(d))[0][d != 0]
    positive = int(ranks[d[d != 0] > 0].sum())
    chances = np.zeros(int(ranks.sum()) + 1)  # chances[s]: probability that the positive ranks sum to s
    chances[0] = 1.0
    for rank in ranks:
        shifted = np.zeros_like(chances)
        shifted[rank:] = chances[: len(chances) - rank]
        chances = (chances + shifted) / 2
    low, high = chances[: positive + 1].sum(), chances[positive:].sum()
    tiny = sys.float_info.min  # where it underflows: no p is 0
    return float(max(low, tiny)), float(max(high, tiny))


def paired_equivalence_p(differences: ArrayLike, margin: float) -> float | None:
    """p of two one-sided signed-rank tests: small where paired differences lie within ±margin."""
    d = np.asarray(differences, dtype=np.float64)
    if len(d) < 2:
        return None
    above_lower = signed_rank_tails(d + margin)[1]
    below_upper = signed_rank_tails(d - margin)[0]
    return float(min(1.0, max(above_lower, below_upper)))


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


def verdict(a: ArrayLike, b: ArrayLike, p_holm: float | None, p_equivalence: float | None = None) -> str:
    """What may be said of a against b: better, worse, not distinguishable, equivalent or constant.

    `constant`: all values of both groups are one number. `equivalent` needs a margin declared by the user; it
    goes before better and worse, as the margin is what the user holds to be negligible.
    """
    x, y = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    if p_holm is None:
        return "not distinguishable"
    if np.all(np.concatenate([x, y]) == x[0]):
        return "constant"
    if p_equivalence is not None and p_equivalence <= ALPHA:
        return "equivalent"
    if p_holm > ALPHA:
        return "not distinguishable"
    return "better" if effect_size(x, y) > 0.5 else "worse"


def regret(optimum: float, values: ArrayLike) -> float | None:
    """Optimum minus mean, in percent points; empty without values."""
    mean = summary(values).mean
    return None if mean is None else optimum - mean


def beaten(value: float, quantiles: Sequence[float]) -> float:
    """Percent of all cells below a value, from equidistant quantiles (0 to 100 %), linear between them."""
    q = np.asarray(quantiles, dtype=np.float64)
    below = int(np.searchsorted(q, value, side="left"))  # quantiles under the value
    if below == 0:
        return 0.0
    if below == len(q):
        return 100.0
    step = q[below] - q[below - 1]
    return float(100 * (below - 1 + (value - q[below - 1]) / step) / (len(q) - 1))


def smallest_p(n_a: int, n_b: int, family: int = 1) -> float:
    """Smallest p after Holm that n_a against n_b values can reach in a family of that many tests, no ties."""
    separated = np.arange(n_a + n_b, dtype=np.float64)
    return min(1.0, family * mann_whitney(separated[:n_a], separated[n_a:])[0])


def smallest_paired_p(n: int, family: int = 1) -> float:
    """The same for n pairs and the signed-rank test: all differences of one sign, 2 / 2^n."""
    return min(1.0, family * 2.0 ** (1 - n))


@lru_cache(maxsize=32)  # a report states it more than once
def detectable(n: int, family: int = 1, power: float = 0.8) -> float | None:
    """The shift, in standard deviations of normal values, that n against n values detect with that power.

    By simulation (fixed seed) of the unpaired test at level 0.05 / family, the level of Holm's first step; None where
    no shift can reach that level.
    """
    if n < 2 or smallest_p(n, n, family) > ALPHA:
        return None
    critical = _critical_u(n, ALPHA / family)
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((2, max(400, 40_000 // n), n))
    low, high = 0.0, 16.0
    while high - low > 0.01:
        shift = (low + high) / 2
        order = np.argsort(np.concatenate([a + shift, b], axis=1), axis=1)
        below = n**2 - (np.argsort(order, axis=1)[:, :n].sum(axis=1) - n * (n - 1) // 2)  # pairs with a < b
        low, high = (low, shift) if (below <= critical).mean() >= power else (shift, high)
    return round(high, 2)


def _critical_u(n: int, level: float) -> int:
    """Largest U of n against n values, no ties, whose two-sided p is at most `level`; -1 where there is none."""
    if math.comb(2 * n, n) > EXACT_ARRANGEMENTS:
        sd = math.sqrt(n * n * (2 * n + 1) / 12)
        return math.floor(n * n / 2 - 0.5 + NormalDist().inv_cdf(level / 2) * sd)
    return int((2 * _u_tails(n) <= level).sum()) - 1


def _u_tails(n: int) -> Floats:
    """P(U <= u) for u from 0 to n², n against n values without ties."""
    ways = np.zeros((n + 1, n * n + n * (n + 1) // 2 + 1), dtype=np.int64)
    ways[0, 0] = 1
    for rank in range(1, 2 * n + 1):
        ways[1:, rank:] = ways[1:, rank:] + ways[:-1, : ways.shape[1] - rank]
    return np.asarray(np.cumsum(ways[n, n * (n + 1) // 2 :]) / math.comb(2 * n, n))


def power_note(n: int, comparisons: int) -> str:
    """What n seeds a searcher can show in the planned family, and if nothing, how many could."""
    if comparisons < 1:
        return f"n = {n}; one searcher: nothing is tested"
    family = f"{ALPHA} after Holm over {comparisons} comparison{'s' if comparisons > 1 else ''}"
    unpaired = next((k for k in range(2, 500) if smallest_p(k, k, comparisons) <= ALPHA), None)
    paired = next(k for k in range(2, 500) if smallest_paired_p(k, comparisons) <= ALPHA)
    advice = f"{unpaired} seeds can unpaired, {paired} paired" if unpaired else "fewer comparisons can"
    if n < 2:
        return f"n = {n} gives no spread and no test; to reach {family}, {advice}"
    p = smallest_p(n, n, comparisons)
    if p > ALPHA:
        return f"n = {n} cannot reach {family} (smallest p {p:.2g}); {advice}"
    shift = detectable(n, comparisons)
    assert shift is not None
    chance = 1 - _upper_tail(shift / math.sqrt(2))
    return (
        f"n = {n} can reach {family} (smallest p {p:.2g}{'' if n >= paired else f'; paired from {paired} seeds'}); "
        f"with 80 % power it detects {shift:.2g} standard deviations, P(a > b) = {chance:.2g}"
    )


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


def compare_paired(a: ArrayLike, b: ArrayLike) -> Comparison:
    """Signed-rank test and effect of a against b, (n,) each, pair by pair; empty below two pairs."""
    d = np.asarray(a, dtype=np.float64) - np.asarray(b, dtype=np.float64)
    p = signed_rank(d)
    if p is None:
        return Comparison(None, None, None, None, None)
    wins = (np.sign(np.round(d, 9)) + 1) / 2
    low, high = None, None
    if len(d) >= BOOTSTRAP_MIN_N:
        drawn = np.random.default_rng(0).choice(wins, (BOOTSTRAP_SAMPLES, len(d))).mean(axis=1)
        low, high = (float(q) for q in np.percentile(drawn, [2.5, 97.5]))
    return Comparison(PAIRED, p, float(wins.mean()), low, high)


class Ranks(NamedTuple):
    """Searchers ranked within blocks (the seeds of one data set); 1 is best."""

    mean: Floats  # (k,)
    blocks: int
    friedman_p: float | None
    critical_difference: float | None  # Nemenyi's, at 0.05
    nemenyi_p: Floats | None  # (k, k)


def rank_blocks(values: ArrayLike) -> Ranks:
    """Mean ranks of k searchers over n blocks, (n, k), with Friedman's test and Nemenyi's comparisons.

    Higher is better; ties at nine decimals, the resolution of the tables, share their rank. Friedman's statistic is the
    one corrected for ties; Demšar, JMLR 7, 2006. No test where there are under two blocks or three searchers, or
    where all are equal.
    """
    from scipy.stats import friedmanchisquare, rankdata, studentized_range

    x = np.round(np.asarray(values, dtype=np.float64), 9)
    n, k = x.shape
    ranks = rankdata(-x, axis=1) if n else np.zeros((0, k))
    mean = ranks.mean(axis=0) if n else np.full(k, np.nan)
    if n < 2 or k < 3 or (x == x[:, :1]).all():
        return Ranks(mean, n, None, None, None)
    p = max(float(friedmanchisquare(*(-x).T).pvalue), sys.float_info.min)
    unit = math.sqrt(k * (k + 1) / (6 * n))
    q = np.abs(mean[:, None] - mean[None, :]) / unit * math.sqrt(2)
    nemenyi = np.maximum(studentized_range.sf(q, k, np.inf), sys.float_info.min)
    critical = float(studentized_range.isf(ALPHA, k, np.inf)) / math.sqrt(2) * unit
    return Ranks(mean, n, p, critical, np.minimum(nemenyi, 1.0))
