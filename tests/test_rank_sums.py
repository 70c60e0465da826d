"""Exact distributions of ranks against brute force and scipy."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy import stats

from harness.report import rank_sums as s


def brute_force_p(a: list[float], b: list[float]) -> float:
    """All choices of len(a) out of the pooled midranks, counted one by one."""
    ranks = stats.rankdata([*a, *b])
    sums = [sum(c) for c in itertools.combinations(ranks, len(a))]
    observed = sum(ranks[: len(a)])
    less = sum(r <= observed + 1e-9 for r in sums) / len(sums)
    greater = sum(r >= observed - 1e-9 for r in sums) / len(sums)
    return min(1.0, 2 * min(less, greater))


@pytest.mark.parametrize(("n_a", "n_b"), [(2, 2), (3, 7), (5, 5), (7, 3), (9, 11), (2, 1000)])
def test_without_ties_p_is_scipys_exact_p(n_a, n_b):
    rng = np.random.default_rng(n_a * 100 + n_b)
    for _ in range(5):
        a, b = rng.normal(0.5, size=n_a), rng.normal(size=n_b)
        p, name = s.mann_whitney(a, b)
        assert name == s.EXACT
        assert p == pytest.approx(stats.mannwhitneyu(a, b, method="exact").pvalue, rel=1e-9)


@pytest.mark.parametrize(("n_a", "n_b"), [(4, 4), (3, 6), (6, 3), (5, 5)])
def test_with_ties_p_is_that_of_all_permutations(n_a, n_b):
    rng = np.random.default_rng(n_a * 10 + n_b)

    def rank_sum(x, y):
        return stats.rankdata(np.concatenate([x, y]))[: len(x)].sum()

    for _ in range(4):
        a, b = rng.integers(0, 4, n_a).astype(float), rng.integers(0, 4, n_b).astype(float)
        p = s.mann_whitney(a, b)[0]
        assert p == pytest.approx(brute_force_p(list(a), list(b)))
        reference = stats.permutation_test((a, b), rank_sum, permutation_type="independent", n_resamples=np.inf)
        assert p == pytest.approx(reference.pvalue)


def test_tie_case_worked_by_hand():
    # midranks of 1 2 | 2 3: 1, 2.5, 2.5, 4; sums of two: 3.5 3.5 5 5 6.5 6.5; observed 3.5 -> 2 * 2/6
    assert s.mann_whitney([1, 2], [2, 3])[0] == pytest.approx(2 / 3)


def test_where_exact_is_too_long_the_approximation_is_named_and_is_scipys():
    rng = np.random.default_rng(3)
    a, b = rng.integers(0, 9, 60).astype(float), rng.integers(2, 11, 60).astype(float)
    p, name = s.mann_whitney(a, b)
    assert name == s.APPROXIMATE
    assert p == pytest.approx(stats.mannwhitneyu(a, b, method="asymptotic").pvalue)
    assert s.mann_whitney(a[:40], b[:40])[1] == s.EXACT


@pytest.mark.parametrize(("different", "exact"), [(3, 0.231), (4, 0.106), (5, 0.047)])
def test_a_constant_against_few_different_values_has_its_exact_p(different, exact):
    """20 equal values and 20 of which k are larger: all k fall to one side with the hypergeometric chance."""
    a, b = [93.0] * 20, [93.0] * (20 - different) + [94.0 + i for i in range(different)]
    chance = math.comb(40 - different, 20) / math.comb(40, 20)
    assert s.mann_whitney(a, b) == (pytest.approx(2 * chance), s.EXACT)
    assert 2 * chance == pytest.approx(exact, abs=5e-4)


def test_p_is_never_zero():
    p = s.mann_whitney(np.full(3000, 94.0), np.full(3000, 54.0))[0]
    assert 0 < p < 1e-300


@pytest.mark.parametrize("d", [[1.0, 2.0, 3.0, -1.0], [-5.0, -1.0, 0.0, 1e-12], [0.0, 0.0], np.linspace(-1, 9, 50)])
def test_signs_are_scipy_s_binomial_of_those_that_are_not_0(d):
    d = np.asarray(d)
    above, n = int((d > 1e-9).sum()), int((abs(d) > 1e-9).sum())
    less, greater, name = s.sign_tails(d)
    assert name == s.SIGN
    if n:
        assert less == pytest.approx(stats.binomtest(above, n, alternative="less").pvalue)
        assert greater == pytest.approx(stats.binomtest(above, n, alternative="greater").pvalue)
        assert s.two_sided(less, greater) == pytest.approx(stats.binomtest(above, n).pvalue)
    else:
        assert (less, greater) == (1, 1)


def signed_rank(d):
    """Two-sided p."""
    return s.two_sided(*s.signed_rank_tails(np.asarray(d, dtype=float))[:2])


def test_signed_rank_is_scipy_s_without_ties():
    rng = np.random.default_rng(0)
    for n in (2, 5, 9, 20):
        d = rng.normal(0.4, 1, n)
        assert signed_rank(d) == pytest.approx(stats.wilcoxon(d, method="exact").pvalue)


@pytest.mark.case(87)
@pytest.mark.parametrize("d", [[1, 1, -2, 3, 0, 3], [0, 0, 5, 5, 5], [2, -2], [0.1 + 0.2, 0.3, -0.3, 4]])
def test_signed_rank_with_ties_and_zeros_over_all_signs(d):
    """All 2^m sign patterns of the differences that are not 0, ranked together with the zeros."""
    ranks = stats.rankdata(np.round(np.abs(d), 9))
    ranks, signs = ranks[np.array(d) != 0], np.sign([x for x in d if x])
    observed = ranks[signs > 0].sum()
    sums = np.array(
        [sum(r for r, s in zip(ranks, p, strict=True) if s) for p in itertools.product((0, 1), repeat=len(ranks))]
    )
    expected = min(1.0, 2 * min((sums <= observed).mean(), (sums >= observed).mean()))
    assert signed_rank(d) == pytest.approx(expected)


def test_signed_rank_of_zeros_and_of_many():
    assert signed_rank([0.0, 0.0, 0.0]) == 1.0
    assert signed_rank([1.0] * 5) == 2 / 32
    assert signed_rank(np.ones(500)) == 2.0**-499
    big = np.random.default_rng(1).normal(0.1, 1, 300)
    assert signed_rank(big) == pytest.approx(stats.wilcoxon(big, method="exact").pvalue, rel=1e-9)


@pytest.mark.parametrize(("n_a", "n_b"), [(3, 3), (5, 8), (12, 12)])
def test_the_critical_u_is_the_largest_that_scipy_finds_significant(n_a, n_b):
    for level in (0.05, 0.2):
        critical = s.critical_u(n_a, n_b, level)
        # u pairs in which a value of b lies below one of a; the rest of b lies above all of them
        for u, significant in ((critical, True), (critical + 1, False)):
            if u < 0:
                continue
            a = np.arange(n_a, dtype=float) * 10
            b = np.full(n_b, 1000.0) + np.arange(n_b)
            for k in range(u):
                b[k // n_a] = 10 * (n_a - 1 - k % n_a) - 5 + (k // n_a) / 100
            test = stats.mannwhitneyu(a, b, method="exact")
            assert test.statistic == u
            assert (test.pvalue <= level) == significant
