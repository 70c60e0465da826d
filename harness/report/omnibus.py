"""All searchers at once: whether they differ, and which pairs do.

Over blocks (Friedman, Nemenyi) where the rows of a seed share something; of independent groups (Kruskal-Wallis, Dunn
with Holm) elsewhere, since with the seeds paired in another way blocks would give another answer.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from harness.report.inference import ALPHA, Floats

FRIEDMAN, NEMENYI = "Friedman", "Nemenyi"
KRUSKAL, DUNN = "Kruskal-Wallis", "Dunn with Holm"


class Ranks(NamedTuple):
    """k searchers ranked; 1 is best. Over blocks a rank is among the k of a seed, else among all runs."""

    mean: Floats  # (k,) mean rank
    sizes: list[int]  # (k,) values of each
    test: str  # FRIEDMAN or KRUSKAL
    p: float | None  # None, as the next two, where there is no test
    pairs: Floats | None  # (k, k) p of each pair, adjusted for all of them
    critical: float | None  # Nemenyi's critical difference of mean ranks at 0.05; Dunn's test has none

    @property
    def posthoc(self) -> str:
        """The name of the test of pairs."""
        return NEMENYI if self.test == FRIEDMAN else DUNN


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
        return Ranks(mean, [n] * k, FRIEDMAN, None, None, None)
    p = max(float(friedmanchisquare(*(-x).T).pvalue), sys.float_info.min)
    unit = math.sqrt(k * (k + 1) / (6 * n))
    q = np.abs(mean[:, None] - mean[None, :]) / unit * math.sqrt(2)
    nemenyi = np.maximum(studentized_range.sf(q, k, np.inf), sys.float_info.min)
    critical = float(studentized_range.isf(ALPHA, k, np.inf)) / math.sqrt(2) * unit
    return Ranks(mean, [n] * k, FRIEDMAN, p, np.minimum(nemenyi, 1.0), critical)


def rank_groups(groups: Sequence[ArrayLike]) -> Ranks:
    """Mean ranks of k searchers among all their values, with Kruskal and Wallis' test and Dunn's comparisons.

    Higher is better, ties as in `rank_blocks`; Dunn, Technometrics 6, 1964, p after Holm over all pairs. No test where
    a group has under two values, there are under three, or all values are equal.
    """
    from scipy.stats import kruskal, rankdata

    rounded = [np.round(np.asarray(g, dtype=np.float64), 9) for g in groups]
    sizes, pooled = [len(g) for g in rounded], np.concatenate([*rounded, []])
    ranks = np.split(rankdata(-pooled), np.cumsum(sizes)[:-1])
    mean = np.array([r.mean() if len(r) else np.nan for r in ranks])
    if len(rounded) < 3 or min(sizes) < 2 or (pooled == pooled[0]).all():
        return Ranks(mean, sizes, KRUSKAL, None, None, None)
    from scikit_posthocs import posthoc_dunn

    p = max(float(kruskal(*rounded).pvalue), sys.float_info.min)
    pairs = np.maximum(posthoc_dunn(rounded, p_adjust="holm").to_numpy(), sys.float_info.min)
    return Ranks(mean, sizes, KRUSKAL, p, pairs, None)
