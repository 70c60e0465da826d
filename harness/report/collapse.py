"""Collapse as an outcome of its own: how often it happened, how sure that is, and whether two searchers differ in it.

Counts of runs; shares are in percent. That none of n runs collapsed is no evidence that none would: the interval says
which rates it leaves open.
"""

from __future__ import annotations

from collections.abc import Sequence

from harness.report.comparison import wilson

FISHER = "Fisher's exact test"
MCNEMAR = "McNemar's exact test"


def interval(collapsed: int, of: int) -> tuple[float | None, float | None]:
    """Clopper and Pearson's 95 % interval of the rate, percent; empty without runs."""
    from scipy.stats import binomtest

    if of == 0:
        return None, None
    ends = binomtest(collapsed, of).proportion_ci(0.95, "exact")
    return 100 * float(ends.low), 100 * float(ends.high)


def words(collapsed: int, of: int) -> str:
    """ "0 of 5 [0, 52 %]": the count and the interval of the rate."""
    low, high = interval(collapsed, of)
    return f"{collapsed} of {of}" + ("" if low is None or high is None else f" [{low:.0f}, {high:.0f} %]")


def fisher(a: int, of_a: int, b: int, of_b: int) -> float | None:
    """Two-sided p of Fisher's exact test that two rates are one; empty where a group has no run."""
    from scipy.stats import fisher_exact

    if min(of_a, of_b) == 0:
        return None
    return min(1.0, float(fisher_exact([[a, of_a - a], [b, of_b - b]])[1]))


def difference(a: int, of_a: int, b: int, of_b: int) -> tuple[float | None, float | None, float | None]:
    """Difference of two rates in percent points and its 95 % interval (Newcombe, Stat. Med. 17, 1998, method 10)."""
    if min(of_a, of_b) == 0:
        return None, None, None
    p, q = a / of_a, b / of_b
    (low_p, high_p), (low_q, high_q) = wilson(p, of_a), wilson(q, of_b)
    down, up = ((p - low_p) ** 2 + (high_q - q) ** 2) ** 0.5, ((high_p - p) ** 2 + (q - low_q) ** 2) ** 0.5
    return 100 * (p - q), 100 * (p - q - down), 100 * (p - q + up)


def mcnemar(a: Sequence[bool], b: Sequence[bool]) -> float | None:
    """Two-sided p of McNemar's exact test of pairs: of those that differ, half should be either way; empty below two.

    1 where no pair differs."""
    from scipy.stats import binomtest

    if len(a) < 2:
        return None
    only_a, only_b = (sum(x and not y for x, y in zip(u, v, strict=True)) for u, v in ((a, b), (b, a)))
    return float(binomtest(only_a, only_a + only_b).pvalue) if only_a + only_b else 1.0
