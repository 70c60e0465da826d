"""Statistics against hand-worked values, brute force, scipy and statsmodels."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests

from harness.report import inference
from harness.report import inference as s


def brute_force_p(a: list[float], b: list[float]) -> float:
    """All choices of len(a) out of the pooled midranks, counted one by one."""
    ranks = stats.rankdata([*a, *b])
    sums = [sum(c) for c in itertools.combinations(ranks, len(a))]
    observed = sum(ranks[: len(a)])
    less = sum(r <= observed + 1e-9 for r in sums) / len(sums)
    greater = sum(r >= observed - 1e-9 for r in sums) / len(sums)
    return min(1.0, 2 * min(less, greater))


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


@pytest.mark.case(89)
def test_constant_groups_by_rule():
    same = s.compare([94.36] * 5, [94.36] * 5)
    assert (same.p, same.effect) == (1.0, 0.5)
    assert s.verdict([94.36] * 5, [94.36] * 5, same, 1.0) == "constant"
    apart = s.compare([94.36] * 5, [54.30] * 5)
    assert apart.p == pytest.approx(2 / 252)
    assert apart.effect == 1.0
    assert s.verdict([94.36] * 5, [54.30] * 5, apart, apart.p) == "better"
    assert s.verdict([54.30] * 5, [94.36] * 5, s.compare([54.30] * 5, [94.36] * 5), apart.p) == "worse"
    assert s.mann_whitney([1.0] * 60, [1.0] * 60) == (1.0, s.APPROXIMATE)


@pytest.mark.parametrize(("high", "low"), [([10, 11, 12], [0, 1]), ([10, 11], [0, 1, 2]), (range(60, 120), range(60))])
def test_the_direction_is_that_of_the_higher_values(high, low):
    """Exact with either group the larger one, and by the normal approximation."""
    assert (s.compare(list(high), list(low)).direction, s.compare(list(low), list(high)).direction) == (1, -1)
    assert s.compare_paired([1.0, 2, 4], [0.0, 1, 2]).direction == 1


def test_p_is_never_zero():
    p = s.mann_whitney(np.full(3000, 94.0), np.full(3000, 54.0))[0]
    assert 0 < p < 1e-300


def test_of_very_many_pairs_the_signed_ranks_are_scipy_s_approximation():
    rng = np.random.default_rng(8)
    d = rng.integers(-6, 8, 900).astype(float)
    expected = stats.wilcoxon(d, zero_method="pratt", correction=True)
    assert s.signed_rank(d) == pytest.approx(expected.pvalue)
    assert s.compare_paired(d, np.zeros(900))[0] == s.PAIRED_APPROXIMATE
    assert s.compare_paired(d[:500], np.zeros(500))[0] == s.PAIRED
    assert s.signed_rank(d[:500]) == pytest.approx(
        stats.wilcoxon(d[:500], zero_method="pratt", correction=True).pvalue, rel=0.05
    )
    assert s.signed_rank(np.full(5000, 0.1)) > 0


def test_fewer_than_two_values_are_not_tested():
    assert s.compare([93.0], [94.0, 95.0]) == s.UNTESTED
    assert s.verdict([93.0], [94.0, 95.0], s.UNTESTED, None) == "not tested"
    assert s.verdict([], [94.0, 95.0], s.UNTESTED, None) == "not tested"


def test_overlapping_groups_are_not_distinguishable():
    a, b = [90, 91, 92], [90.5, 91, 92.5]
    got = s.compare(a, b)
    # pairs won by a: 90 none; 91 one and a tie; 92 two -> 3.5 of 9
    assert got.effect == pytest.approx(3.5 / 9)
    assert got.p == pytest.approx(brute_force_p(a, b))
    assert s.verdict(a, b, got, got.p) == "not distinguishable"


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
    assert s.effect_size(a, b) == pytest.approx(66 / 144)
    assert (test.effect, test.direction) == (pytest.approx(11 / 12), 1)
    assert (s.verdict(a, b, test, test.p), s.verdict(b, a, s.compare_paired(b, a), test.p)) == ("better", "worse")
    wilson = stats.binomtest(11, 12).proportion_ci(method="wilson")
    assert (test.effect_low, test.effect_high) == pytest.approx((wilson.low, wilson.high))
    assert s.compare_paired(b, b + 1).effect_low == 0.0


def test_equivalence_needs_a_margin_and_data():
    a, b = 93 + np.arange(8) / 100, 93.005 + np.arange(8) / 100
    p = s.equivalence_p(a, b, margin=0.5)
    assert p == pytest.approx(1 / math.comb(16, 8))  # both one-sided tests are fully separated
    test = s.compare(a, b)
    assert s.verdict(a, b, test, 0.9, p) == "equivalent"
    assert s.verdict(a, b, test, 0.9) == "not distinguishable"
    assert s.equivalence_p(a, a + 0.5, margin=0.5) > 0.4  # a whole margin apart is not equivalent
    # −0.2, −0.2, 0.1 against zeros: midranks 1.5, 1.5, 6 against 4, 4, 4; 4 of 20 choices have a sum of 9 or less
    assert s.equivalence_p([0.3, 0.3, 0.6], [0.0, 0.0, 0.0], margin=0.5) == pytest.approx(0.2)
    # −0.1, −0.1, −0.1, 0.1: ranks 2.5 each, one is positive; 5 of 16 signs have a sum of 2.5 or less
    assert s.paired_equivalence_p([0.4, 0.4, 0.4, 0.6], margin=0.5) == pytest.approx(5 / 16)
    assert s.equivalence_p([93.0], b, margin=0.5) is None
    assert s.verdict([1.0, 1.0], [1.0, 1.0], test, 1.0, 0.001) == "constant"


def test_a_few_collapses_are_no_equivalence():
    """20 against 20 with three collapses: of a shift the ranks would say p < 0.001, of means 6 points apart nobody."""
    a = 94 + np.arange(20) / 100
    b = np.where(np.arange(20) < 3, 54.3, a)
    assert max(s.mann_whitney_tails(a + 0.5, b)[1], s.mann_whitney_tails(a - 0.5, b)[0]) < 0.001
    assert s.equivalence_p(a, b, margin=0.5) == 1.0
    assert s.paired_equivalence_p(a - b, margin=0.5) == 1.0
    assert s.paired_equivalence_p(np.full(20, 0.1), margin=0.5) < 0.001


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


@pytest.mark.case(93)  # Nemenyi's alone makes the bars, and the pairs' own tests stand in comparisons.csv
def test_friedman_is_scipy_s_and_the_critical_differences_are_demsar_s():
    """q at 0.05 of Demšar (2006), table 5a, for 2 to 10 methods; here from 3 on."""
    q = {3: 2.343, 4: 2.569, 5: 2.728, 6: 2.850, 7: 2.949, 8: 3.031, 9: 3.102, 10: 3.164}
    rng = np.random.default_rng(0)
    for k, constant in q.items():
        x = rng.normal(size=(12, k))
        x[:, 0] += 1
        ranks = s.rank_blocks(x)
        assert ranks.critical_difference == pytest.approx(constant * (k * (k + 1) / 72) ** 0.5, rel=3e-4)
        assert ranks.friedman_p == pytest.approx(stats.friedmanchisquare(*x.T).pvalue)
        gap = np.abs(ranks.mean[:, None] - ranks.mean[None])
        np.testing.assert_array_equal(ranks.nemenyi_p < 0.05, gap > ranks.critical_difference)
        assert ranks.mean.sum() == pytest.approx(k * (k + 1) / 2)


def test_ranks_without_a_test():
    assert s.rank_blocks(np.ones((6, 3))).friedman_p is None  # all equal
    assert s.rank_blocks(np.eye(2)).friedman_p is None  # two methods
    assert s.rank_blocks(np.zeros((0, 4))).blocks == 0
    assert s.rank_blocks([[90.1 + 0.2, 90.3, 1.0]] * 2).mean.tolist() == [1.5, 1.5, 3]  # rounding is no difference


def test_signed_rank_is_scipy_s_without_ties():
    rng = np.random.default_rng(0)
    for n in (2, 5, 9, 20):
        d = rng.normal(0.4, 1, n)
        assert inference.signed_rank(d) == pytest.approx(stats.wilcoxon(d, method="exact").pvalue)


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
    assert inference.signed_rank(d) == pytest.approx(expected)


def test_signed_rank_of_nothing_and_of_many():
    assert inference.signed_rank([]) is None
    assert inference.signed_rank([1.0]) is None
    assert inference.signed_rank([0.0, 0.0, 0.0]) == 1.0
    assert inference.signed_rank([1.0] * 5) == 2 / 32
    assert inference.signed_rank(np.ones(500)) == 2.0**-499
    big = np.random.default_rng(1).normal(0.1, 1, 300)
    assert inference.signed_rank(big) == pytest.approx(stats.wilcoxon(big, method="exact").pvalue, rel=1e-9)
