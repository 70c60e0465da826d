"""Differences and their intervals, against scipy and by hand."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy import stats

from harness.report import differences as s
from harness.report.rank_sums import mann_whitney, signed_rank_tails, two_sided

A, B = [3.0, 5.0, 6.5, 9.0, 2.0], [1.0, 2.5, 4.0, 4.5]


def gap(x, y):
    return x.mean() - y.mean()


def test_the_permutation_test_of_means_is_scipy_s():
    for a, b in ((A, B), ([1.0, 1, 2], [1.0, 2, 2, 5])):
        expected = stats.permutation_test((a, b), gap, n_resamples=np.inf)
        assert s.means(a, b).p() == pytest.approx(expected.pvalue)
    d = [0.5, -1.0, 2.0, 3.5, 0.0, 1.0]
    one = stats.permutation_test((d,), np.mean, permutation_type="samples", n_resamples=np.inf)
    assert s.paired_means(d).p() == pytest.approx(one.pvalue)


def test_of_many_arrangements_a_sample_is_drawn():
    rng = np.random.default_rng(1)
    a, b = rng.normal(0.5, 1, 15), rng.normal(0, 1, 18)
    expected = stats.permutation_test((a, b), gap, n_resamples=40_000, rng=0).pvalue
    assert s.means(a, b).p() == pytest.approx(expected, abs=0.01)
    assert s.means(a + 100, b).p() == pytest.approx(2 / 10_001)  # no p is 0
    assert s.paired_means(b + 100).p() == pytest.approx(2 / 10_001)


def test_the_interval_of_means_holds_what_the_test_does_not_reject():
    low, high = s.means(A, B).interval()
    for at, inside in ((low + 1e-6, True), (low - 1e-6, False), (high - 1e-6, True), (high + 1e-6, False)):
        p = stats.permutation_test((np.array(A) - at, B), gap, n_resamples=np.inf).pvalue
        assert (p > 0.05) == inside
    d = np.array([0.5, -1.0, 2.0, 3.5, 0.3, 1.0, 1.2])
    low, high = s.paired_means(d).interval()
    for at, inside in ((low + 1e-6, True), (low - 1e-6, False), (high - 1e-6, True), (high + 1e-6, False)):
        signs = np.array(list(itertools.product((-1, 1), repeat=len(d))))
        sums = signs @ (d - at)
        p = min(1, 2 * min((sums <= (d - at).sum() + 1e-9).mean(), (sums >= (d - at).sum() - 1e-9).mean()))
        assert (p > 0.05) == inside


def test_three_against_three_have_no_interval():
    """Of 20 arrangements the outermost has p 0.1."""
    assert s.means([1.0, 2, 3], [4.0, 5, 6]).interval() == (None, None)
    assert s.difference([1.0, 2, 3], [4.0, 5, 6]) == s.Difference(-3.0, None, None, -3.0, None, None)
    assert s.paired_difference([1.0, 2, 3, 4, 5]).low is None  # 2 / 2^5
    assert s.difference([], [1.0]) == s.paired_difference([]) == s.Difference()
    assert s.difference([2.0], [1.0]).mean == 1.0


def test_from_ten_values_on_the_interval_is_the_expanded_bootstrap_s():
    """Of normal values it is Welch's to a few percent, where a plain percentile interval is 8 % too narrow."""
    rng = np.random.default_rng(4)
    ratios = []
    for _ in range(20):
        a, b = rng.normal(0, 1, 10), rng.normal(0, 1, 10)
        low, high = s.means(a, b).interval()
        error = (a.var(ddof=1) / 10 + b.var(ddof=1) / 10) ** 0.5
        ratios.append((high - low) / (2 * stats.t.ppf(0.975, 9) * error))
    assert np.mean(ratios) == pytest.approx(1, abs=0.03)


def test_the_shift_is_hodges_and_lehmann_s_and_its_interval_the_rank_test_inverted():
    found = s.difference(A, B)
    between = sorted(x - y for x in A for y in B)
    assert found.shift == pytest.approx(np.median(between))
    for at, inside in ((found.shift_low + 1e-6, True), (found.shift_low - 1e-6, False)):
        assert (mann_whitney(np.array(A) - at, B)[0] > 0.05) == inside
    d = np.array([0.5, -1.0, 2.0, 3.5, 0.3, 1.0, 1.2])
    paired = s.paired_difference(d)
    means = [(x + y) / 2 for x, y in itertools.combinations_with_replacement(d, 2)]
    assert paired.shift == pytest.approx(np.median(means))
    for at, inside in ((paired.shift_high - 1e-6, True), (paired.shift_high + 1e-6, False)):
        assert (two_sided(*signed_rank_tails(d - at)[:2]) > 0.05) == inside
