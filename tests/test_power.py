"""What so many seeds can show: against scipy's tests on simulated values, and by hand."""

import numpy as np
import pytest
from scipy import stats

from harness.report import equivalence, power, rank_sums
from harness.report import inference as s


@pytest.mark.case(87)
def test_power_note_says_what_can_be_reached_before_anything_runs():
    assert power.smallest_p(5, 5, 9) == pytest.approx(9 * 2 / 252)
    assert power.power_note(5, 5, 9) == (
        "n = 5 cannot reach 0.05 after Holm over 9 comparisons (smallest p 0.071); 6 seeds can unpaired, 9 paired"
    )
    assert power.power_note(6, 6, 9).startswith(
        "n = 6 can reach 0.05 after Holm over 9 comparisons (smallest p 0.019; paired from 9 seeds); with 80 % power "
    )
    assert power.power_note(3, 3, 1) == (
        "n = 3 cannot reach 0.05 after Holm over 1 comparison (smallest p 0.1); 4 seeds can unpaired, 6 paired"
    )
    assert power.power_note(4, 4, 1).startswith("n = 4 can reach")
    assert power.power_note(1, 1, 3).startswith("n = 1 gives no spread and no test")
    assert "nothing is tested" in power.power_note(5, 5, 0)
    # 20 against 3, all apart: 2 of C(23, 3) = 1771 arrangements, times 3
    assert power.power_note(20, 3, 3).startswith(
        "n = 20 against 3 can reach 0.05 after Holm over 3 comparisons (smallest p 0.0034"
    )


def test_power_of_pairs_is_the_signed_rank_test_s():
    assert power.power_note(9, 9, 13, paired=True) == (
        "n = 9 pairs cannot reach 0.05 after Holm over 13 comparisons (smallest p 0.051); 10 pairs can"
    )
    note = power.power_note(20, 20, 13, paired=True)
    assert note.startswith("n = 20 pairs can reach 0.05 after Holm over 13 comparisons (smallest p 2.5e-05); with 80 %")
    assert "standard deviations of the differences" in note


@pytest.mark.parametrize(("n", "family"), [(8, 1), (20, 13)])
def test_the_detectable_difference_of_pairs_has_the_power_that_is_said(n, family):
    d = np.random.default_rng(6).standard_normal((1500, n)) + power.detectable_paired(n, family)
    p = stats.wilcoxon(d, axis=1, method="exact").pvalue
    assert (p <= 0.05 / family).mean() == pytest.approx(0.8, abs=0.035)
    assert power.detectable_paired(6, 13) is None
    assert (8 * rank_sums.signed_rank_chances(np.arange(1, 4))).tolist() == [
        1,
        1,
        1,
        2,
        1,
        1,
        1,
    ]  # sums of 1, 2, 3 by hand


def test_the_planned_minimum_is_what_a_separated_campaign_gets():
    a, b = [94.0, 94.1, 94.2, 94.3, 94.35], [50.0, 51.0, 52.0, 53.0, 54.0]
    assert s.holm([rank_sums.mann_whitney(a, b)[0]] * 9) == pytest.approx([power.smallest_p(5, 5, 9)] * 9)


@pytest.mark.parametrize(("n", "family"), [(8, 1), (10, 9), (40, 3)])
def test_the_detectable_shift_has_the_power_that_is_said(n, family):
    """By scipy's test on fresh normal values; 80 % within the error of 1,500 repetitions."""
    shift = power.detectable(n, n, family)
    a, b = np.random.default_rng(5).standard_normal((2, 1500, n))
    p = stats.mannwhitneyu(a + shift, b, axis=1, method="exact" if n <= 10 else "asymptotic").pvalue
    assert (p <= 0.05 / family).mean() == pytest.approx(0.8, abs=0.035)
    assert power.detectable(5, 5, 9) is None


def test_beyond_500_seeds_the_shift_is_the_asymptotic_one():
    """Near what the simulation says at 500: z(0.8) + z(1 − 0.05 / 2m), over the square root of 3/π and n."""
    assert power.detectable(501, 501, 9) == pytest.approx(power.detectable(500, 500, 9), abs=0.012)
    assert power.detectable_paired(501, 9) == pytest.approx(power.detectable_paired(500, 9), abs=0.012)
    assert power.detectable(20_000, 20_000) == pytest.approx(2.8016 * (np.pi / 3 * 2 / 20_000) ** 0.5, rel=1e-3)


@pytest.mark.parametrize(("sd", "paired"), [(0.3, False), (0.2, True)])
def test_the_seeds_for_equivalence_have_the_power_that_is_said(sd, paired):
    """Of alike normal groups, by the tests themselves: about 80 % pass at the seeds advised, of one family of 1."""
    n = power.equivalence_needs(sd, 0.5, 1, paired)
    rng, passed = np.random.default_rng(3), []
    for _ in range(300):
        if paired:
            passed.append(equivalence.paired_equivalence_p(rng.normal(0, sd, n), 0.5) <= 0.05)
        else:
            passed.append(equivalence.equivalence_p(rng.normal(0, sd, n), rng.normal(0, sd, n), 0.5) <= 0.05)
    assert 0.7 < np.mean(passed) < 0.95
    assert power.equivalence_needs(sd, 0.5, 12, paired) > n
    assert power.equivalence_needs(50.0, 0.5) is None
    assert power.equivalence_needs(1e-9, 0.5, 1, paired) == (5 if paired else 3)  # 1 / 2^5, 1 / C(6, 3)
