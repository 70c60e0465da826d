"""The table of rank correlations with cells trained elsewhere. Values worked out by hand."""

import math

import pytest
from support.campaigns import make_campaign, make_record

from harness.report import rank_check
from harness.report.markup import to_markdown
from harness.results import Results
from harness.schema import Campaign, OneShot, Record

OTHERS = {"parameters": 0.24}


def record(label, seed, spearman, good):
    known = OneShot(spearman=spearman, spearman_good=good, losses=[0.1] * 214, ceiling=0.8, pairs=32, others=OTHERS)
    return Record(**make_record(label, seed, 90.0) | {"one_shot": known})


def results(*records):
    return Results(Campaign(**make_campaign({"a": "one-shot", "b": "one-shot"}, [0, 1])), list(records), [])


def test_a_row_has_the_mean_over_seeds_and_its_interval():
    table = rank_check.readable_rank_check(results(record("a", 0, 0.4, 0.1), record("a", 1, 0.2, 0.3)))
    own, known = table.groups
    (row,) = own.rows
    # ρ 0.3: z = 0.30952 ± 1.95996 √(1.045/211) = 0.30952 ± 0.13793; ρ 0.24: z = 0.24477 ± 0.13686;
    # r 0.64 of 32 pairs: z = 0.75817 ± 1.95996/√29, the ends' square roots
    assert [c.text for c in row.cells] == ["2", "0.30", "[0.17, 0.42]", "0.20 to 0.40", "0.20", "[0.01, 0.38]"]
    assert [[c.text for c in row.cells][1:3] for row in known.rows] == [
        ["0.24", "[0.11, 0.36]"],
        ["0.80", "[0.61, 0.90]"],
    ]
    assert "| a | 2 | 0.30 | [0.17, 0.42] |" in to_markdown(table)


def test_a_searcher_without_scores_has_no_row():
    bare = Record(**make_record("b", 0, 90.0))
    table = rank_check.readable_rank_check(results(record("a", 0, -0.25, None), bare))
    (row,) = table.groups[0].rows
    assert (row.method, [c.text for c in row.cells][1]) == ("a", "−0.25")
    assert [c.text for c in row.cells][3:] == ["–", "–", "–"]


def test_there_is_no_table_without_such_a_comparison():
    assert rank_check.readable_rank_check(results(Record(**make_record("a", 0, 90.0)))) is None


@pytest.mark.parametrize("cells", [30, 214])
def test_the_interval_holds_the_true_correlation(cells):
    """Against simulation: normal pairs of correlation r have Spearman's ρ (6/π) arcsin(r/2)."""
    import numpy as np
    from scipy.stats import spearmanr

    rng, r = np.random.default_rng(0), 0.6
    truth, held = 6 / math.pi * math.asin(r / 2), 0
    for _ in range(500):
        x, noise = rng.standard_normal((2, cells))
        low, high = rank_check.interval(float(spearmanr(x, r * x + math.sqrt(1 - r * r) * noise).statistic), cells)
        held += low <= truth <= high
    assert 0.92 <= held / 500 <= 0.98


def test_few_cells_have_no_interval():
    assert rank_check.interval(0.5, 3) is None
    assert rank_check.interval(1.0, 10) is None
    assert rank_check.ceiling_interval(0.8, 3) is None
