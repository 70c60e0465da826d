"""Whether two groups are alike within a margin of accuracy points: of ranks, of means, and by belief for pairs.

No test sees a collapse that did not occur: 0 of n runs leaves a rate of about 3/n open, whatever the margin.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from harness.report.differences import means, paired_means
from harness.report.rank_sums import mann_whitney_tails, signed_rank_tails

PRIOR = 0.5  # strength of the pseudo-observation of the signed-rank test, as Benavoli et al. have it
POSTERIOR_SAMPLES = 10_000


def equivalence_p(a: ArrayLike, b: ArrayLike, margin: float) -> float | None:
    """p of equivalence of a, (n_a,), and b, (n_b,): the larger of those of ranks and of means.

    Two one-sided tests each (Schuirmann, 1987), so p <= 0.05 is where both 90 % intervals, of the shift and of the
    difference of means, lie within ±margin. Empty where a group has under two values.
    """
    x, y = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    if min(len(x), len(y)) < 2:
        return None
    return min(1.0, max(rank_equivalence_p(x, y, margin), means(x, y).beyond(margin)))


def rank_equivalence_p(a: ArrayLike, b: ArrayLike, margin: float) -> float:
    """p of two one-sided Mann-Whitney tests of a shift, which hardly sees that a few runs collapsed."""
    x, y = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    y = np.round(y, 9)  # so that values exactly a margin apart tie after the shift
    above_lower = mann_whitney_tails(np.round(x + margin, 9), y)[1]
    below_upper = mann_whitney_tails(np.round(x - margin, 9), y)[0]
    return min(1.0, max(above_lower, below_upper))


def paired_equivalence_p(
    differences: ArrayLike, margin: float, tails: Callable[..., tuple[float, float, str]] = signed_rank_tails
) -> float | None:
    """As `equivalence_p`, of the differences of pairs, (n,), by `tails` and by means; empty below two pairs."""
    d = np.asarray(differences, dtype=np.float64)
    if len(d) < 2:
        return None
    ranks = max(tails(d + margin)[1], tails(d - margin)[0])
    return float(min(1.0, max(ranks, paired_means(d).beyond(margin))))


class Belief(NamedTuple):
    """Posterior probabilities that a's typical difference to b lies below, within and above ±margin."""

    worse: float
    equal: float
    better: float


def belief(differences: ArrayLike, margin: float) -> Belief | None:
    """The Bayesian signed-rank test with a region of practical equivalence, of paired differences, (n,).

    Benavoli et al., JMLR 18 (2017), section 4.2.2: the weights of the differences and of a pseudo-observation at 0 are
    Dirichlet; each draw gives the probability that the mean of two differences lies in each region, and counts for the
    likeliest one. With a fixed seed; empty below two pairs.
    """
    d = np.asarray(differences, dtype=np.float64)
    if len(d) < 2:
        return None
    z = np.concatenate([[0.0], d])
    weights = np.random.default_rng(0).dirichlet([PRIOR, *np.ones(len(d))], POSTERIOR_SAMPLES)
    pairs = np.round(z[:, None] + z[None, :], 9)
    shares = np.stack([((weights @ inside) * weights).sum(axis=1) for inside in (
        (pairs < -2 * margin).astype(float), (abs(pairs) <= 2 * margin).astype(float),
        (pairs > 2 * margin).astype(float))])  # fmt: skip
    likeliest = shares == shares.max(axis=0)
    return Belief(*(float(p) for p in (likeliest / likeliest.sum(axis=0)).mean(axis=1)))
