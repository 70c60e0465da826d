"""What so many seeds can show: the smallest p, the shift that is found with 80 % power, and both in words."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from functools import lru_cache
from statistics import NormalDist

import numpy as np

from harness.report.inference import ALPHA
from harness.report.rank_sums import critical_u, critical_w, mann_whitney

POWER = 0.8
MANY = 500  # seeds beyond which none is advised, and the detectable shift is the asymptotic one
EFFICIENCY = 3 / math.pi  # of the rank tests against the t-test, on normal values


def smallest_p(n_a: int, n_b: int, family: int = 1) -> float:
    """Smallest p after Holm that n_a against n_b values can reach in a family of that many tests, no ties."""
    separated = np.arange(n_a + n_b, dtype=np.float64)
    return min(1.0, family * mann_whitney(separated[:n_a], separated[n_a:])[0])


def smallest_paired_p(n: int, family: int = 1) -> float:
    """Smallest p after Holm that n pairs can reach in the signed-rank test: all differences of one sign, 2 / 2^n."""
    return min(1.0, family * max(2.0 ** (1 - n), sys.float_info.min))  # of a thousand and more it would be 0


def pairs_needed(family: int) -> int:
    """The fewest pairs that can reach 0.05 after Holm over that many tests."""
    return next(n for n in range(2, 2000) if smallest_paired_p(n, family) <= ALPHA)


@lru_cache(maxsize=32)  # a report states it more than once
def detectable(n_a: int, n_b: int, family: int = 1) -> float | None:
    """The shift, in standard deviations of normal values, that n_a against n_b values detect with 80 % power.

    By simulation (fixed seed) of the test at level 0.05 / family, the level of Holm's first step; None where no shift
    can reach that level.
    """
    if min(n_a, n_b) < 2 or smallest_p(n_a, n_b, family) > ALPHA:
        return None
    if min(n_a, n_b) > MANY:
        return _asymptotic(family) * math.sqrt(1 / n_a + 1 / n_b)
    critical = critical_u(n_a, n_b, ALPHA / family)
    rng = np.random.default_rng(0)
    samples = max(400, 40_000 // max(n_a, n_b))
    a, b = rng.standard_normal((samples, n_a)), rng.standard_normal((samples, n_b))

    def power(shift: float) -> float:
        ranks = np.argsort(np.argsort(np.concatenate([a + shift, b], axis=1), axis=1), axis=1)
        below = n_a * n_b - (ranks[:, :n_a].sum(axis=1) - n_a * (n_a - 1) // 2)  # pairs with a < b
        return float((below <= critical).mean())

    return _shift(power)


@lru_cache(maxsize=32)
def detectable_paired(n: int, family: int = 1) -> float | None:
    """The mean, in standard deviations, of n normal differences that the signed-rank test detects with 80 % power.

    By simulation as in `detectable`; None where no mean can reach the level."""
    if smallest_paired_p(n, family) > ALPHA:
        return None
    if n > MANY:
        return _asymptotic(family) / math.sqrt(n)
    critical = critical_w(n, ALPHA / family)
    d = np.random.default_rng(0).standard_normal((max(400, 40_000 // n), n))

    def power(shift: float) -> float:
        ranks = np.argsort(np.argsort(np.abs(d + shift), axis=1), axis=1) + 1
        negative = (ranks * (d + shift < 0)).sum(axis=1)
        return float((negative <= critical).mean())

    return _shift(power)


def _asymptotic(family: int) -> float:
    normal = NormalDist()
    return (normal.inv_cdf(POWER) - normal.inv_cdf(ALPHA / family / 2)) / math.sqrt(EFFICIENCY)


def _shift(power: Callable[[float], float]) -> float:
    """The smallest shift, to 0.01, with at least 80 % power; `power` rises with the shift but for simulation noise."""
    low, high = 0.0, 16.0
    while high - low > 0.01:
        shift = (low + high) / 2
        low, high = (low, shift) if power(shift) >= POWER else (shift, high)
    return round(high, 2)


def equivalence_needs(sd: float, margin: float, family: int = 1, paired: bool = False) -> int | None:
    """The fewest seeds each, or pairs, that show with 80 % power that two alike groups of normal values are equivalent.

    Normal approximation of two one-sided rank tests at the level of Holm's first step (Chow, Shao and Wang, Sample Size
    Calculations, 3.2.3, over the tests' efficiency), and at least so many that a p can reach the level.
    sd: of the values, or of the pairs' differences, in points, as is the margin. None beyond MANY.
    """
    normal = NormalDist()
    reach = normal.inv_cdf(1 - ALPHA / family) + normal.inv_cdf((1 + POWER) / 2)
    needed = math.ceil((1 if paired else 2) * (sd / margin * reach) ** 2 / EFFICIENCY)

    def smallest(n: int) -> float:  # one-sided
        return family * (2.0**-n if paired else 1 / math.comb(2 * n, n))

    return next((n for n in range(max(2, needed), MANY) if smallest(n) <= ALPHA), None)


def one_sample_note(n: int, comparisons: int, value: str) -> str:
    """What n runs can show against the one value of a searcher that uses no seed (sign test)."""
    if n < 2:
        return f"against the one value of {value}: n = {n} gives no test"
    p = smallest_paired_p(n, comparisons)
    able = "can" if p <= ALPHA else "cannot"
    return f"against the one value of {value} n = {n} {able} reach {ALPHA} after Holm (smallest p {p:.2g}, sign test)"


def power_note(n_a: int, n_b: int, comparisons: int, paired: bool = False) -> str:
    """What n_a runs of the first searcher against n_b of another can show in the planned family of comparisons.

    Where they can show nothing, the note says how many runs could. Runs are search seeds.

    paired: tests are by seed, and n_a = n_b of them are shared.
    """
    n = f"n = {n_a}" if n_a == n_b else f"n = {n_a} against {n_b}"
    if comparisons < 1:
        return f"{n}; one searcher: nothing is tested"
    family = f"{ALPHA} after Holm over {comparisons} comparison{'s' if comparisons > 1 else ''}"
    if paired:
        advice = f"{pairs_needed(comparisons)} pairs can"
    else:
        enough = next((k for k in range(2, MANY) if smallest_p(k, k, comparisons) <= ALPHA), None)
        advice = (
            f"{enough} seeds can unpaired, {pairs_needed(comparisons)} paired" if enough else "fewer comparisons can"
        )
    if min(n_a, n_b) < 2:
        return f"{n} gives no spread and no test; to reach {family}, {advice}"
    p = smallest_paired_p(n_a, comparisons) if paired else smallest_p(n_a, n_b, comparisons)
    what = f"{n}{' pairs' if paired else ''}"
    if p > ALPHA:
        return f"{what} cannot reach {family} (smallest p {p:.2g}); {advice}"
    shift = detectable_paired(n_a, comparisons) if paired else detectable(n_a, n_b, comparisons)
    assert shift is not None
    later = "" if paired or n_a >= pairs_needed(comparisons) else f"; paired from {pairs_needed(comparisons)} seeds"
    test = "the signed-rank test" if paired else "Mann-Whitney's test"
    unit = "standard deviations of the differences" if paired else "standard deviations"
    chance = NormalDist().cdf(shift if paired else shift / math.sqrt(2))
    return (
        f"{what} can reach {family} (smallest p {p:.2g}{later}); with 80 % power {test} detects {shift:.2g} {unit} "
        f"of normal values, P(a > b) = {chance:.2g}, at Holm's first step; of values with two modes less"
    )
