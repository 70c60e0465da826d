"""Two groups of values compared: a test that the user chooses, the effect A beside it, and what may be said.

What a test is about: Mann-Whitney's U and Brunner-Munzel's statistic ask whether a typical value of one group is higher
(A), the permutation test whether its mean is. Where spreads differ, these are two questions with two answers.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from harness.report.differences import arrangements, means, paired_means
from harness.report.inference import ALPHA, Floats, Z, effect_interval, effect_size
from harness.report.rank_sums import direction, mann_whitney_tails, sign_tails, signed_rank_tails, two_sided

TESTS = ("mann-whitney", "brunner-munzel", "permutation")
BRUNNER_MUNZEL = "Brunner-Munzel, permuted"
PERMUTATION = "permutation of means"
TYPICAL, MEAN = "typical run", "mean"  # estimands
CHUNK = 1_000  # arrangements at a time


class Comparison(NamedTuple):
    """A two-sided test of a against b; `effect` is the Vargha-Delaney A = P(a > b) + P(a = b) / 2, over all pairs of
    values or, where the test is paired, over the pairs alone.
    """

    test: str | None  # its name; None, as all else, where a group has fewer than two values
    p: float | None
    effect: float | None
    effect_low: float | None  # 95 %
    effect_high: float | None
    direction: int | None  # of what the test sums: 1 a is higher, -1 lower, 0 neither; not always A's


UNTESTED = Comparison(None, None, None, None, None, None)


def estimand(test: str | None) -> str:
    """What a test is about, from its name in a Comparison."""
    return MEAN if test == PERMUTATION else TYPICAL


def compare(a: ArrayLike, b: ArrayLike, test: str = TESTS[0]) -> Comparison:
    """A test of TESTS and the effect of a, (n_a,), against b, (n_b,); empty where a group has under two values."""
    x, y = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    if min(len(x), len(y)) < 2:
        return UNTESTED
    effect = effect_size(x, y)
    if test == "brunner-munzel":
        name, tails = BRUNNER_MUNZEL, brunner_munzel_tails(x, y)
    elif test == "permutation":
        name, tails = PERMUTATION, means(x, y).permutation()
    else:
        *tails, name = mann_whitney_tails(x, y)  # type: ignore[assignment]
    return Comparison(name, two_sided(*tails), effect, *effect_interval(effect, len(x), len(y)), direction(*tails))


def compare_paired(a: ArrayLike, b: ArrayLike, test: str = TESTS[0]) -> Comparison:
    """Of a, (n,), against b, (n,) or one number, pair by pair; empty below two pairs.

    `test` "permutation" is of means, "sign" the sign test, any other the signed-rank test. The effect is a share of
    pairs, its interval Wilson's.
    """
    d = np.asarray(a, dtype=np.float64) - np.asarray(b, dtype=np.float64)
    n = len(d)
    if n < 2:
        return UNTESTED
    if test == "permutation":
        name, tails = PERMUTATION, paired_means(d).permutation()
    else:
        *tails, name = (sign_tails if test == "sign" else signed_rank_tails)(d)  # type: ignore[assignment]
    share = float(((np.sign(np.round(d, 9)) + 1) / 2).mean())
    return Comparison(name, two_sided(*tails), share, *wilson(share, n), direction(*tails))


def wilson(share: float, n: int) -> tuple[float, float]:
    """Wilson's 95 % interval of a share of n."""
    centre, widened = share + Z**2 / (2 * n), 1 + Z**2 / n
    half = Z * math.sqrt(share * (1 - share) / n + (Z / (2 * n)) ** 2)
    low = 0.0 if share == 0 else (centre - half) / widened
    return low, 1.0 if share == 1 else (centre + half) / widened


def brunner_munzel_tails(a: ArrayLike, b: ArrayLike) -> tuple[float, float]:
    """P(statistic <= observed), P(>= observed) over the arrangements (Neubert and Brunner, CSDA 51, 2007).

    The statistic is that of Brunner and Munzel (Biom. J. 42, 2000): A - 1/2 over its own standard error, so that it
    stays right where spreads differ. Of separated groups the error is 0 and the statistic infinite.
    """
    x, y = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    pooled = np.round(np.concatenate([x, y]), 9)
    above = (np.sign(pooled[:, None] - pooled[None, :]) + 1) / 2  # of values over values, equal ones half
    n_a, n_b = len(x), len(y)
    first = np.zeros((1, n_a + n_b), dtype=bool)
    first[:, :n_a] = True
    observed = _brunner_munzel(above, first)[0]
    others = arrangements(n_a, n_b)
    statistics = np.concatenate(
        [_brunner_munzel(above, others[k : k + CHUNK]) for k in range(0, len(others), CHUNK)] or [np.zeros(0)]
    )
    near = 1e-9 * max(1.0, abs(observed)) if math.isfinite(observed) else 0.0
    less, greater = (statistics <= observed + near).sum(), (statistics >= observed - near).sum()
    return float(1 + less) / (1 + len(others)), float(1 + greater) / (1 + len(others))


def _brunner_munzel(above: Floats, first: np.ndarray) -> Floats:
    """The statistic of each arrangement, (arrangements,); `first` is true at the values of the first group."""
    weights = first.astype(np.float64)
    n_a, n_b = weights[0].sum(), (1 - weights[0]).sum()
    over_b, over_a = (1 - weights) @ above.T, weights @ above.T  # how many of a group each value lies above
    effect = (over_b * weights).sum(axis=1) / (n_a * n_b)
    variance = np.zeros(len(first))
    for member, placed, size, other in ((weights, over_b, n_a, n_b), (1 - weights, over_a, n_b, n_a)):
        mean = (placed * member).sum(axis=1, keepdims=True) / size
        spread = (member * (placed - mean) ** 2).sum(axis=1) / (size - 1)
        variance += spread / (size * other**2)
    away = np.round(effect - 0.5, 12)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(away == 0, 0.0, away / np.sqrt(np.maximum(variance, 0)))


def verdict(
    a: ArrayLike,
    b: ArrayLike,
    test: Comparison,
    p_holm: float | None,
    smallest_p: float,
    p_equivalence: float | None = None,
) -> str:
    """What may be said of a against b: better, worse, equivalent, unknown, untestable or constant.

    `untestable`: a group has under two values, or `smallest_p`, the smallest that so many could have reached after
    Holm, lies above the level: then a test that shows nothing says nothing. `constant`: all values of both groups are
    one number. `equivalent` needs a margin declared by the user; it goes before better and worse, as the margin is what
    the user holds to be negligible.
    """
    if p_holm is None:
        return "untestable"
    values = np.concatenate([np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)])
    if np.all(values == values[0]):
        return "constant"
    if p_equivalence is not None and p_equivalence <= ALPHA:
        return "equivalent"
    if p_holm <= ALPHA:
        return "better" if test.direction == 1 else "worse"
    return "untestable" if smallest_p > ALPHA else "unknown"
