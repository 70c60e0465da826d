"""Tests of two groups, and what may be said, against scipy and by hand."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy import stats

from harness.report import comparison as s
from harness.report import rank_sums
from harness.report.inference import effect_size


@pytest.mark.case(89)
def test_constant_groups_by_rule():
    same = s.compare([94.36] * 5, [94.36] * 5)
    assert (same.p, same.effect) == (1.0, 0.5)
    assert s.verdict([94.36] * 5, [94.36] * 5, same, 1.0, 0.008) == "constant"
    apart = s.compare([94.36] * 5, [54.30] * 5)
    assert apart.p == pytest.approx(2 / 252)
    assert apart.effect == 1.0
    assert s.verdict([94.36] * 5, [54.30] * 5, apart, apart.p, apart.p) == "better"
    assert s.verdict([54.30] * 5, [94.36] * 5, s.compare([54.30] * 5, [94.36] * 5), apart.p, apart.p) == "worse"
    assert rank_sums.mann_whitney([1.0] * 60, [1.0] * 60) == (1.0, rank_sums.APPROXIMATE)


@pytest.mark.parametrize(("high", "low"), [([10, 11, 12], [0, 1]), ([10, 11], [0, 1, 2]), (range(60, 120), range(60))])
def test_the_direction_is_that_of_the_higher_values(high, low):
    """Exact with either group the larger one, and by the normal approximation."""
    assert (s.compare(list(high), list(low)).direction, s.compare(list(low), list(high)).direction) == (1, -1)
    assert s.compare_paired([1.0, 2, 4], [0.0, 1, 2]).direction == 1


def test_of_very_many_pairs_the_signed_ranks_are_scipy_s_approximation():
    rng = np.random.default_rng(8)
    d = rng.integers(-6, 8, 900).astype(float)
    expected = stats.wilcoxon(d, zero_method="pratt", correction=True)
    assert s.compare_paired(d, np.zeros(900)).p == pytest.approx(expected.pvalue)
    assert s.compare_paired(d, np.zeros(900))[0] == rank_sums.PAIRED_APPROXIMATE
    assert s.compare_paired(d[:500], np.zeros(500))[0] == rank_sums.PAIRED
    assert s.compare_paired(d[:500], np.zeros(500)).p == pytest.approx(
        stats.wilcoxon(d[:500], zero_method="pratt", correction=True).pvalue, rel=0.05
    )
    assert s.compare_paired(np.full(5000, 0.1), np.zeros(5000)).p > 0


def test_fewer_than_two_values_are_not_tested():
    assert s.compare([93.0], [94.0, 95.0]) == s.UNTESTED
    assert s.verdict([93.0], [94.0, 95.0], s.UNTESTED, None, 1.0) == "untestable"
    assert s.verdict([], [94.0, 95.0], s.UNTESTED, None, 1.0) == "untestable"


def test_overlapping_groups_are_unknown_or_untestable_where_none_could_be_told_apart():
    a, b = [90, 91, 92], [90.5, 91, 92.5]
    got = s.compare(a, b)
    # pairs won by a: 90 none; 91 one and a tie; 92 two -> 3.5 of 9
    assert got.effect == pytest.approx(3.5 / 9)
    assert got.p == rank_sums.mann_whitney(a, b)[0]
    assert s.verdict(a, b, got, got.p, 0.1) == "untestable"  # 2 / C(6, 3)
    assert s.verdict(a, b, got, got.p, 0.05) == "unknown"


def test_a_paired_verdict_follows_the_test_it_stands_for():
    """A little better at 11 seeds, much worse at one: the signed ranks, 66 of 78, say better; unpaired A would not."""
    b = 80.0 + np.arange(12)
    a = b + 0.05
    a[-1] = 54.3
    test = s.compare_paired(a, b)
    assert test.p == pytest.approx(
        stats.wilcoxon(a - b, method="exact").pvalue, abs=0.01
    )  # scipy breaks ties otherwise
    assert test.p < 0.05
    assert effect_size(a, b) == pytest.approx(66 / 144)
    assert (test.effect, test.direction) == (pytest.approx(11 / 12), 1)
    assert (s.verdict(a, b, test, test.p, 0.0), s.verdict(b, a, s.compare_paired(b, a), test.p, 0.0)) == (
        "better",
        "worse",
    )
    wilson = stats.binomtest(11, 12).proportion_ci(method="wilson")
    assert (test.effect_low, test.effect_high) == pytest.approx((wilson.low, wilson.high))
    assert s.compare_paired(b, b + 1).effect_low == 0.0


def permuted_brunner_munzel(a, b):
    """scipy's statistic of every arrangement."""
    pooled = np.concatenate([a, b])
    values = []
    for chosen in itertools.combinations(range(len(pooled)), len(a)):
        rest = [k for k in range(len(pooled)) if k not in chosen]
        with np.errstate(divide="ignore", invalid="ignore"):
            values.append(-stats.brunnermunzel(pooled[list(chosen)], pooled[rest]).statistic)  # scipy's is of b over a
    return np.array(values)


@pytest.mark.filterwarnings("ignore")
def test_brunner_munzel_is_scipy_s_statistic_over_all_arrangements():
    rng = np.random.default_rng(2)
    for a, b in (
        (rng.normal(0, 1, 5), rng.normal(0.5, 4, 4)),
        (rng.normal(0, 1, 4), rng.normal(2, 1, 5)),
        (np.array([1.0, 2, 2, 3, 7]), np.array([2.0, 3, 4, 9])),
    ):
        values = permuted_brunner_munzel(a, b)
        first = values[0]
        expected = min(1.0, 2 * min((values <= first + 1e-9).mean(), (values >= first - 1e-9).mean()))
        test = s.compare(a, b, "brunner-munzel")
        assert (test.test, test.p) == (s.BRUNNER_MUNZEL, pytest.approx(expected))
        assert test.effect == effect_size(a, b)


def test_brunner_munzel_of_many_values_is_scipy_s():
    rng = np.random.default_rng(0)
    a, b = rng.normal(0, 1, 40), rng.normal(0.9, 3, 50)
    assert s.compare(a, b, "brunner-munzel").p == pytest.approx(stats.brunnermunzel(a, b).pvalue, abs=0.01)


def test_brunner_munzel_of_separated_and_of_equal_groups():
    assert s.compare([1.0, 2, 3, 4], [6.0, 7, 8, 9], "brunner-munzel").p == pytest.approx(2 / 70)
    same = s.compare([1.0] * 4, [1.0] * 5, "brunner-munzel")
    assert (same.p, same.direction) == (1.0, 0)


def test_means_may_differ_where_a_typical_run_does_not():
    """A fifth of b's runs collapsed: the ranks do not see it, the means do."""
    a = 80 + np.arange(20) / 10
    b = np.where(np.arange(20) % 5 == 0, 10.0, a + 0.05)
    typical, mean = s.compare(a, b), s.compare(a, b, "permutation")
    assert typical.p > 0.3
    assert mean.p < 0.1
    assert (s.estimand(typical.test), s.estimand(mean.test)) == ("typical run", "mean")
    expected = stats.permutation_test((a, b), lambda x, y: x.mean() - y.mean(), n_resamples=20_000, rng=0).pvalue
    assert mean.p == pytest.approx(expected, abs=0.02)


def test_wilson_s_interval_is_scipy_s():
    for k, n in ((0, 5), (3, 7), (20, 20)):
        expected = stats.binomtest(k, n).proportion_ci(method="wilson")
        assert s.wilson(k / n, n) == pytest.approx((expected.low, expected.high), abs=1e-12)
