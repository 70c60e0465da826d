"""Statistics against hand-worked values, brute force, scipy and statsmodels."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests

from harness.report import inference as s


@pytest.mark.case(72)
def test_summary_of_five_searches_is_worked_by_hand():
    got = s.summary([94, 90, 92, 91, 93])
    assert got.n == 5
    assert got.mean == 92
    assert got.std == pytest.approx(math.sqrt(10 / 4))  # 1.58, not the best of five
    assert (got.median, got.ci_low, got.ci_high) == (92, 90, 94)
    assert got.ci_level == 1 - 2**-4 == 0.9375


def test_one_value_leaves_spread_and_interval_empty():
    assert s.summary([93.0]) == s.Summary(1, 93.0, None, 93.0, None, None, None)
    assert s.summary([]) == s.Summary(0, None, None, None, None, None, None)


@pytest.mark.case(89)
def test_constant_values_have_no_rounding_noise():
    got = s.summary([94.36] * 7)
    assert (got.mean, got.std, got.median, got.ci_low, got.ci_high) == (94.36, 0.0, 94.36, 94.36, 94.36)


@pytest.mark.parametrize("n", range(2, 6))
def test_below_six_the_interval_is_the_range_with_its_level(n):
    assert s.median_interval_rank(n) == (1, 1 - 2.0 ** (1 - n))


@pytest.mark.parametrize(("n", "rank"), [(6, 1), (8, 1), (9, 2), (11, 2), (12, 3), (20, 6), (30, 10), (100, 40)])
def test_interval_ranks_are_those_of_the_published_tables(n, rank):
    got, level = s.median_interval_rank(n)
    assert got == rank
    assert level == pytest.approx(1 - 2 * stats.binom.cdf(rank - 1, n, 0.5))
    assert level >= 0.95
    assert 1 - 2 * stats.binom.cdf(rank, n, 0.5) < 0.95  # the next one inwards is too narrow


def test_holm_is_that_of_statsmodels():
    rng = np.random.default_rng(0)
    for size in (1, 2, 9, 30):
        p = rng.uniform(0, 0.2, size)
        assert s.holm(list(p)) == pytest.approx(list(multipletests(p, method="holm")[1]))
    assert s.holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])  # worked by hand
    assert s.holm([]) == []


def test_a_test_that_could_not_be_made_stays_in_the_family():
    assert s.holm([0.01, None, 0.02]) == [pytest.approx(0.03), None, pytest.approx(0.04)]


def test_effect_interval_solves_its_equation_and_is_never_of_width_zero():
    low, high = s.effect_interval(0.8, 10, 6)
    for end in (low, high):
        q1, q2 = end / (2 - end), 2 * end**2 / (1 + end)  # Hanley and McNeil, Radiology 143, 1982
        variance = (end * (1 - end) + 7 * (q1 - end**2) + 7 * (q2 - end**2)) / 60  # 7: mean group size less one
        assert abs(0.8 - end) == pytest.approx(stats.norm.ppf(0.975) * math.sqrt(variance))
    assert low < 0.8 < high
    low, high = s.effect_interval(1.0, 5, 5)
    assert 0.5 < low < 0.9
    assert high == 1.0
    assert s.effect_interval(0.0, 5, 5) == pytest.approx((0.0, 1 - low))


@pytest.mark.parametrize(("n", "shift"), [(5, 0.0), (10, 1.0), (10, 2.0), (20, 2.0)])
def test_effect_interval_covers_the_true_effect(n, shift):
    """The percentile bootstrap that stood here before covered 86 % at n = 10, A = 0.92."""
    rng = np.random.default_rng(n)
    true = stats.norm.cdf(shift / math.sqrt(2))
    found = [s.effect_interval(s.effect_size(rng.normal(shift, 1, n), rng.normal(0, 1, n)), n, n) for _ in range(600)]
    assert np.mean([low <= true <= high for low, high in found]) > 0.93


def test_regret():
    assert s.regret(94.37, [93.37, 94.37]) == pytest.approx(0.5)
    assert s.regret(94.37, []) is None


def test_interquartile_mean_is_scipy_s_trimmed_mean():
    rng = np.random.default_rng(0)
    for n in (1, 2, 5, 8, 13, 40):
        x = rng.normal(90, 3, n)
        assert s.iqm(x) == pytest.approx(stats.trim_mean(x, 0.25))
    assert s.iqm([]) is None
    assert s.iqm_interval(x[:9]) == (None, None)
    low, high = s.iqm_interval(x)
    means = stats.trim_mean(np.random.default_rng(1).choice(x, (4000, len(x))), 0.25, axis=1)
    bounds = np.percentile(means, [2.5, 97.5])
    assert (low, high) == pytest.approx(tuple(bounds), abs=0.1 * (bounds[1] - bounds[0]))


def test_share_of_cells_beaten():
    quantiles = [10.0, 50.0, 50.0, 80.0, 90.0]  # 0, 25, 50, 75, 100 %
    for value, expected in ((5, 0), (10, 0), (30, 12.5), (50, 25), (65, 62.5), (90, 100), (99, 100)):
        assert s.beaten(value, quantiles) == expected


def test_a_cell_that_ties_the_worst_beats_none_where_quantiles_were_rounded():
    """Older campaigns keep 0.8333 for the 0.833333 of ImageNet16-120's 342 worst cells, the first 2.1 %."""
    quantiles = [*[0.8333] * 22, *np.linspace(1, 47, 979)]
    assert s.beaten(0.833333, quantiles) == 0
    assert s.beaten(0.8353, quantiles) > 2
