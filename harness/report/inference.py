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
# Additions for an exact distribution, above which it is the normal approximation's:
EXACT_SUMS = 2 * 10**7  # of rank sums, about 40 against 40 values
EXACT_SIGNS = 2 * 10**8  # of signed ranks, about 580 pairs
Z = NormalDist().inv_cdf((1 + LEVEL) / 2)
BOOTSTRAP_MIN_N = 10
BOOTSTRAP_SAMPLES = 2000
EXACT = "Mann-Whitney U, exact"
APPROXIMATE = "Mann-Whitney U, normal approximation"
PAIRED = "Wilcoxon signed-rank, exact"
PAIRED_APPROXIMATE = "Wilcoxon signed-rank, normal approximation"

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

    test: str | None  # its name, of those above; None, as all else, where a group has fewer than two values
    p: float | None
    effect: float | None
    effect_low: float | None  # 95 %
    effect_high: float | None
    direction: int | None  # of the ranks that the test sums: 1 a is higher, -1 lower, 0 neither; not always A's


UNTESTED = Comparison(None, None, None, None, None, None)


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
        return UNTESTED
    less, greater, name = mann_whitney_tails(x, y)
    effect = effect_size(x, y)
    interval = effect_interval(effect, len(x), len(y))
    return Comparison(name, _two_sided(less, greater), effect, *interval, _direction(less, greater))


def _two_sided(less: float, greater: float) -> float:
    return float(min(1.0, 2 * min(less, greater)))


def _direction(less: float, greater: float) -> int:
    return (less > greater) - (less < greater)  # the observed sum lies where the tail beyond it is small


def mann_whitney(a: ArrayLike, b: ArrayLike) -> tuple[float, str]:
    """Two-sided p (twice the smaller tail, at most 1) and the name of the distribution used."""
    less, greater, name = mann_whitney_tails(a, b)
    return _two_sided(less, greater), name


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


def equivalence_p(a: ArrayLike, b: ArrayLike, margin: float) -> float | None:
    """p of two one-sided Mann-Whitney tests: small where a and b differ by less than margin (percent).

    The tests are of a shift, which hardly sees that a few runs collapsed: where the means differ by the margin, p is 1.
    """
    x, y = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    if min(len(x), len(y)) < 2:
        return None
    if not abs(x.mean() - y.mean()) < margin:
        return 1.0
    y = np.round(y, 9)  # so that values exactly a margin apart tie after the shift
    above_lower = mann_whitney_tails(np.round(x + margin, 9), y)[1]
    below_upper = mann_whitney_tails(np.round(x - margin, 9), y)[0]
    return min(1.0, max(above_lower, below_upper))


def signed_rank(differences: ArrayLike) -> float | None:
    """Two-sided p of Wilcoxon's signed ranks of paired differences; empty below two pairs."""
    d = np.asarray(differences, dtype=np.float64)
    return None if len(d) < 2 else _two_sided(*signed_rank_tails(d)[:2])


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


def paired_equivalence_p(differences: ArrayLike, margin: float) -> float | None:
    """p of two one-sided signed-rank tests: small where paired differences lie within ±margin; 1 where their mean does
    not.
    """
    d = np.asarray(differences, dtype=np.float64)
    if len(d) < 2:
        return None
    if not abs(d.mean()) < margin:
        return 1.0
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


def verdict(
    a: ArrayLike, b: ArrayLike, test: Comparison, p_holm: float | None, p_equivalence: float | None = None
) -> str:
    """What may be said of a against b: better, worse, not distinguishable, equivalent or constant; "not tested" where
    there was no test, which is another thing than a test that shows no difference.

    `constant`: all values of both groups are one number. `equivalent` needs a margin declared by the user; it
    goes before better and worse, as the margin is what the user holds to be negligible.
    """
    x, y = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    if p_holm is None:
        return "not tested"
    if np.all(np.concatenate([x, y]) == x[0]):
        return "constant"
    if p_equivalence is not None and p_equivalence <= ALPHA:
        return "equivalent"
    if p_holm > ALPHA:
        return "not distinguishable"
    return "better" if test.direction == 1 else "worse"


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
    """Signed-rank test and effect of a against b, (n,) each, pair by pair; empty below two pairs.

    The effect is a share of pairs, its interval Wilson's.
    """
    d = np.asarray(a, dtype=np.float64) - np.asarray(b, dtype=np.float64)
    n = len(d)
    if n < 2:
        return UNTESTED
    *tails, name = signed_rank_tails(d)
    share = float(((np.sign(np.round(d, 9)) + 1) / 2).mean())
    centre, widened = share + Z**2 / (2 * n), 1 + Z**2 / n
    half = Z * math.sqrt(share * (1 - share) / n + (Z / (2 * n)) ** 2)
    low = 0.0 if share == 0 else (centre - half) / widened
    high = 1.0 if share == 1 else (centre + half) / widened
    return Comparison(name, _two_sided(*tails), share, low, high, _direction(*tails))


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
