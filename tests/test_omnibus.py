"""All searchers at once, against scipy, scikit-posthocs and published constants."""

from __future__ import annotations

import numpy as np
import pytest
import scikit_posthocs
from scipy import stats
from statsmodels.stats.multitest import multipletests

from harness.report import omnibus as s


@pytest.mark.case(93)  # Nemenyi's alone makes the bars, and the pairs' own tests stand in comparisons.csv
def test_friedman_is_scipy_s_and_the_critical_differences_are_demsar_s():
    """q at 0.05 of Demšar (2006), table 5a, for 2 to 10 methods; here from 3 on."""
    q = {3: 2.343, 4: 2.569, 5: 2.728, 6: 2.850, 7: 2.949, 8: 3.031, 9: 3.102, 10: 3.164}
    rng = np.random.default_rng(0)
    for k, constant in q.items():
        x = rng.normal(size=(12, k))
        x[:, 0] += 1
        ranks = s.rank_blocks(x)
        assert ranks.critical == pytest.approx(constant * (k * (k + 1) / 72) ** 0.5, rel=3e-4)
        assert ranks.p == pytest.approx(stats.friedmanchisquare(*x.T).pvalue)
        gap = np.abs(ranks.mean[:, None] - ranks.mean[None])
        np.testing.assert_array_equal(ranks.pairs < 0.05, gap > ranks.critical)
        assert ranks.mean.sum() == pytest.approx(k * (k + 1) / 2)


def test_ranks_without_a_test():
    assert s.rank_blocks(np.ones((6, 3))).p is None  # all equal
    assert s.rank_blocks(np.eye(2)).p is None  # two methods
    assert s.rank_blocks(np.zeros((0, 4))).sizes == [0] * 4
    assert s.rank_blocks([[90.1 + 0.2, 90.3, 1.0]] * 2).mean.tolist() == [1.5, 1.5, 3]  # rounding is no difference


def test_nemenyi_is_scikit_posthocs():
    x = np.random.default_rng(3).normal(size=(9, 5)) + np.arange(5)
    expected = scikit_posthocs.posthoc_nemenyi_friedman(x).to_numpy()
    assert s.rank_blocks(x).pairs == pytest.approx(expected, abs=1e-6)


def test_kruskal_wallis_is_scipy_s_and_dunn_its_formula_by_hand():
    """Dunn's z with the correction for ties, and Holm over the pairs, written out; sizes differ and values tie."""
    groups = [[1.0, 2, 2, 5, 3], [4.0, 6, 7, 5], [2.0, 9, 8, 8, 8, 10]]
    ranks = s.rank_groups(groups)
    assert ranks.p == pytest.approx(stats.kruskal(*groups).pvalue)
    pooled = np.concatenate(groups)
    n, place = len(pooled), stats.rankdata(pooled)
    means = [part.mean() for part in np.split(place, [5, 9])]
    _, ties = np.unique(pooled, return_counts=True)
    spread = n * (n + 1) / 12 - (ties**3 - ties).sum() / (12 * (n - 1))
    pairs = [(0, 1), (0, 2), (1, 2)]
    z = [(means[i] - means[j]) / (spread * (1 / len(groups[i]) + 1 / len(groups[j]))) ** 0.5 for i, j in pairs]
    expected = multipletests(2 * stats.norm.sf(np.abs(z)), method="holm")[1]
    assert [ranks.pairs[pair] for pair in pairs] == pytest.approx(list(expected))
    assert ranks.mean == pytest.approx([n + 1 - m for m in means])  # 1 is best
    assert (ranks.sizes, ranks.test, ranks.posthoc, ranks.critical) == ([5, 4, 6], s.KRUSKAL, s.DUNN, None)


def test_groups_without_a_test():
    assert s.rank_groups([[1.0, 2], [3.0, 4]]).p is None  # two searchers
    assert s.rank_groups([[1.0, 2], [3.0, 4], [5.0]]).p is None
    assert s.rank_groups([[1.0, 1]] * 3).p is None
    assert s.rank_groups([[1.0, 2], [], [3.0, 4]]).p is None
