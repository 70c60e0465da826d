"""Equivalence within a margin, by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from harness.report import differences
from harness.report import equivalence as s
from harness.report.comparison import compare, verdict


def test_equivalence_needs_a_margin_and_data():
    a, b = 93 + np.arange(8) / 100, 93.005 + np.arange(8) / 100
    p = s.equivalence_p(a, b, margin=0.5)
    assert p == pytest.approx(1 / math.comb(16, 8))  # both one-sided tests are fully separated
    test = compare(a, b)
    assert verdict(a, b, test, 0.9, 0.001, p) == "equivalent"
    assert verdict(a, b, test, 0.9, 0.001) == "unknown"
    assert s.equivalence_p(a, a + 0.5, margin=0.5) > 0.4  # a whole margin apart is not equivalent
    # −0.2, −0.2, 0.1 against zeros: midranks 1.5, 1.5, 6 against 4, 4, 4; 4 of 20 choices have a sum of 9 or less
    assert s.rank_equivalence_p([0.3, 0.3, 0.6], [0.0, 0.0, 0.0], margin=0.5) == pytest.approx(0.2)
    # −0.1, −0.1, −0.1, 0.1: ranks 2.5 each, one is positive; 5 of 16 signs have a sum of 2.5 or less
    assert s.paired_equivalence_p([0.4, 0.4, 0.4, 0.6], margin=0.5) == pytest.approx(5 / 16)
    assert s.equivalence_p([93.0], b, margin=0.5) is None
    assert verdict([1.0, 1.0], [1.0, 1.0], test, 1.0, 0.001, 0.001) == "constant"


def test_a_few_collapses_are_no_equivalence():
    """20 against 20 with three collapses: of a shift the ranks would say p < 0.001, of means 6 points apart nobody."""
    a = 94 + np.arange(20) / 100
    b = np.where(np.arange(20) < 3, 54.3, a)
    assert s.rank_equivalence_p(a, b, 0.5) < 0.001
    assert s.equivalence_p(a, b, margin=0.5) > 0.9
    assert s.paired_equivalence_p(a - b, margin=0.5) > 0.9
    assert s.paired_equivalence_p(np.full(20, 0.1), margin=0.5) < 0.001


@pytest.mark.parametrize("n", [6, 15])
def test_p_of_means_is_small_just_where_the_90_percent_interval_lies_inside(n, monkeypatch):
    """By the permutation test and by the bootstrap: two one-sided tests at 5 % are an interval of 90 %."""
    rng = np.random.default_rng(n)
    monkeypatch.setattr(differences, "ALPHA", 0.1)
    for shift in (0.0, 0.2, 0.3, 0.4):
        a, b = rng.normal(shift, 0.3, n), rng.normal(0, 0.3, n)
        means = differences.means(a, b)
        low, high = means.interval()
        inside = low > -0.5 and high < 0.5
        assert (means.beyond(0.5) <= 0.05) == inside


def test_belief_of_pairs_by_hand_and_by_integration():
    assert s.belief([1.0], 0.5) is None
    assert s.belief([2.0] * 12, 0.5).better > 0.99
    assert s.belief([-2.0] * 12, 0.5).worse > 0.99
    assert s.belief([0.1] * 12, 0.5) == (0.0, 1.0, 0.0)  # all pairs lie within, with the pseudo-observation too
    # two differences of 2, margin 0.5: pairs of theirs, and of one with the 0, lie above; only 0 with 0 within.
    # Better where (1 − w)² + 2 w (1 − w) > w², w ~ Beta(0.5, 2): w < sqrt(1/2)
    held = s.belief([2.0, 2.0], 0.5)
    assert held.better == pytest.approx(stats.beta.cdf(0.5**0.5, 0.5, 2), abs=0.01)
    assert held.equal == pytest.approx(1 - held.better)
