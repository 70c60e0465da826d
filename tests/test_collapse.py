"""Rates of collapse, against statsmodels and scipy."""

import pytest
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.proportion import confint_proportions_2indep, proportion_confint

from harness.report import collapse


@pytest.mark.parametrize(("k", "n"), [(0, 5), (4, 5), (9, 20), (20, 20)])
def test_the_interval_is_clopper_and_pearson_s(k, n):
    low, high = proportion_confint(k, n, method="beta")
    assert collapse.interval(k, n) == pytest.approx((100 * low, 100 * high))


def test_none_of_five_does_not_exclude_half():
    assert collapse.words(0, 5) == "0 of 5 [0, 52 %]"
    assert collapse.interval(0, 5)[1] == pytest.approx(100 * (1 - 0.025 ** (1 / 5)))
    assert collapse.interval(0, 0) == (None, None)
    assert collapse.words(0, 0) == "0 of 0"


def test_fisher_by_hand():
    """9 of 20 against none: all 9 on one side, C(20, 9) of C(40, 9), and the other tail as likely."""
    one = stats.hypergeom.pmf(9, 40, 20, 9)
    assert collapse.fisher(9, 20, 0, 20) == pytest.approx(2 * one)
    assert collapse.fisher(9, 20, 0, 20) == pytest.approx(0.0012, abs=5e-5)
    assert collapse.fisher(0, 5, 0, 0) is None


@pytest.mark.parametrize("counts", [(0, 5, 4, 5), (9, 20, 0, 20), (3, 10, 5, 8)])
def test_the_difference_has_newcombe_s_interval(counts):
    a, n_a, b, n_b = counts
    low, high = confint_proportions_2indep(a, n_a, b, n_b, method="newcomb", compare="diff")
    assert collapse.difference(*counts) == pytest.approx((100 * (a / n_a - b / n_b), 100 * low, 100 * high), abs=1e-6)
    assert collapse.difference(1, 2, 0, 0) == (None, None, None)


def test_mcnemar_is_that_of_statsmodels():
    a = [True] * 7 + [False] * 8
    b = [True] * 2 + [False] * 5 + [True] + [False] * 7
    assert collapse.mcnemar(a, b) == pytest.approx(mcnemar([[2, 5], [1, 7]], exact=True).pvalue)
    assert collapse.mcnemar([True] * 9 + [False] * 11, [False] * 20) == pytest.approx(2 / 2**9)
    assert collapse.mcnemar(a, a) == 1.0
    assert collapse.mcnemar([True], [False]) is None
