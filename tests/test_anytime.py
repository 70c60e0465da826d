"""The area under normalised regret, by hand."""

from __future__ import annotations

import numpy as np
import pytest
from support.campaigns import make_campaign, make_record, results_of, typed

from harness.report import anytime


def test_curves_hold_an_answer_until_the_next():
    runs = [make_record("a", 0, 94.0), make_record("a", 1, 92.0)]  # 10 points lower until step 25 of 0 to 49
    results = results_of(runs, make_campaign({"a": "one-shot"}, [0, 1]))
    curve = anytime.curves(results, typed(runs), "cifar10")
    assert curve.shape == (2, len(anytime.GRID))
    first, later = anytime.GRID < 0.0199, anytime.GRID > 0.5199  # after 1 and after 26 of 50 steps
    assert np.isnan(curve[0][first]).all()
    assert (curve[0][~first & ~later] == 84.0).all()
    assert (curve[0][later] == 94.0).all()
    assert (curve[1][later] == 92.0).all()
    late = make_record("a", 2, 90.0)
    late["trajectory"] = late["trajectory"][1:]
    assert np.isnan(anytime.curves(results, typed([late]), "cifar10")[0][~later]).all()  # none invented


def test_a_search_of_one_step_holds_its_answer_over_the_whole_width():
    run = make_record("a", 0, 94.0, steps=1)
    run["trajectory"] = run["trajectory"][:1]
    assert anytime.held_entries(typed([run])[0]).tolist() == [0] * len(anytime.GRID)


def test_areas_by_hand():
    """Answers of 84 from the first epoch on and 94 from the 26th of 50; mean cell 87.06, best 94.37.

    Regret 1 for one epoch, then (94.37 − 84) / 7.31, then 0.37 / 7.31. In seconds the answers come at 0 and 50; the
    other search took 310, so this one holds its last answer from 300 on.
    """
    records = [make_record("a", 0, 94.0), make_record("b", 10, 94.0)]
    results = results_of(records, make_campaign(dict.fromkeys("ab", "one-shot"), [0, 10]))
    frame = anytime.anytime_table(results).set_index(["label", "clock"])
    low, high = (94.37 - 84) / 7.31, 0.37 / 7.31
    assert frame.loc[("a", "epochs"), "mean"] == pytest.approx((1 * 1 + 25 * low + 24 * high) / 50)
    assert frame.loc[("a", "search s"), "mean"] == pytest.approx((50 * low + 260 * high) / 310)
    assert frame.loc[("a", "search s"), "horizon"] == 310.0
    assert (frame["dataset"] == "cifar10").all()


def test_the_area_of_the_mean_of_the_data_sets_averages_the_normalised_scores():
    records = [make_record("a", 0, 94.0)]
    results = results_of(records, make_campaign({"a": "one-shot"}, [0], endpoint="mean"))
    each = [(94 - 87.06) / 7.31, (74 - 61.41) / 12.1, (47 - 33.59) / 13.72]
    assert results.outcome(results.finished[0], "mean") == pytest.approx(100 * sum(each) / 3)
    assert anytime.outcomes(results, results.finished[0], "mean")[-1] == pytest.approx(100 * sum(each) / 3)


def test_without_a_table_there_is_no_area():
    records = [make_record("a", 0, 94.0)]
    assert anytime.anytime_table(results_of(records, make_campaign({"a": "one-shot"}, [0], space={}))).empty
