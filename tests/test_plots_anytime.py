"""Curves over the search, and profiles."""

from __future__ import annotations

import pytest
from support.campaigns import make_campaign, make_record, results_of, two_searchers, typed

from harness.report import anytime, plots_anytime


@pytest.mark.parametrize(("n", "ends"), [(5, (90.0, 94.0)), (9, (92.0, 96.0))])
def test_band_is_the_range_below_six_seeds_and_the_quartiles_from_there_on(n, ends):
    records = [make_record("a", s, 90.0 + s) for s in range(n)]  # 90 to 98 has quartiles 92 and 96
    fig = plots_anytime.convergence(results_of(records, make_campaign({"a": "one-shot"}, list(range(n)))))
    band = fig.axes[0].collections[0].get_paths()[0].vertices
    last = band[band[:, 0] == 1.0][:, 1]
    assert (last.min(), last.max()) == ends
    assert fig.axes[0].lines[0].get_ydata()[-1] == 90 + (n - 1) / 2  # the median


def test_up_to_seven_searchers_have_colours_of_their_own_and_more_have_panels():
    for searchers in (7, 8):
        names = [f"s{i}" for i in range(searchers)]
        records = [make_record(name, seed, 90.0 + seed + k) for k, name in enumerate(names) for seed in range(2)]
        results = results_of(records, make_campaign(dict.fromkeys(names, "one-shot"), [0, 1]))
        fig = plots_anytime.convergence(results)
        drawn = [ax for ax in fig.axes if ax.get_title()]
        strong = [[line for line in ax.lines if line.get_linewidth() == 1.6] for ax in drawn]
        pale = [[line for line in ax.lines if line.get_color() == plots_anytime.PALE] for ax in drawn]
        if searchers == 7:
            assert [len(ax.collections) for ax in drawn] == [7] * 3  # a panel per data set, a band per searcher
            assert len({(line.get_color(), line.get_linestyle()) for line in strong[0]}) == 7
        else:
            assert [ax.get_title().split()[0] for ax in drawn] == names[::-1]  # from the best mean down
            assert [len(lines) for lines in strong] == [1] * 8
            assert [len(lines) for lines in pale] == [7] * 8
            assert [ax.get_ylim() for ax in drawn] == [drawn[0].get_ylim()] * 8


def test_regret_over_time_by_hand():
    """Answers of 90 to 94, 10 lower until half; the optimum is 94.37."""
    records, campaign = two_searchers()
    line = plots_anytime.regret(results_of(records, campaign)).axes[0].lines[0]
    assert line.get_ydata()[[0, -1]] == pytest.approx([94.37 - 82, 94.37 - 92])
    assert line.get_xdata()[-1] == pytest.approx(304.0)  # the longest search


def test_profiles_count_the_runs_at_or_above_an_accuracy():
    """90 to 94: all reach 90, one reaches 94; the band at 90 is Wilson's of 5 of 5."""
    records = [make_record("a", s, 90.0 + s) for s in range(5)]
    results = results_of(records, make_campaign({"a": "one-shot"}, list(range(5))))
    line = plots_anytime.profiles(results).axes[0].lines[0]
    x, y = line.get_data()
    assert x.tolist() == pytest.approx([89.999, 90, 91, 92, 93, 94])
    assert y.tolist() == pytest.approx([1, 0.8, 0.6, 0.4, 0.2, 0])  # held from there to the next
    assert plots_anytime.profiles(results_of(records[:1], make_campaign({"a": "one-shot"}, [0]))) is None


def test_profiles_drop_at_a_run_s_own_accuracy_however_it_is_rounded():
    """A third has more digits than the grid: rounding goes down for one and up for the other."""
    for third in (90 + 1 / 3, 90 + 2 / 3):
        records = [make_record("a", s, third + s) for s in range(3)]
        results = results_of(records, make_campaign({"a": "one-shot"}, list(range(3))))
        x, y = plots_anytime.profiles(results).axes[0].lines[0].get_data()
        assert dict(zip(x.round(2), y, strict=True))[round(third, 2)] == pytest.approx(2 / 3)


def test_a_search_of_one_step_has_no_regret_over_time():
    records, campaign = two_searchers()
    alone = [make_record("params", s, 90.0, "training-free") for s in range(2)]
    for record in alone:
        del record["trajectory"][1]
    campaign["searchers"] += make_campaign({"params": "training-free"}, [0, 1])["searchers"]
    fig = plots_anytime.regret(results_of([*records, *alone], campaign))
    assert {ax.get_xlabel() for ax in fig.axes} - {""} == {"measured search seconds", "simulated seconds"}
    assert plots_anytime.regret(results_of(alone, make_campaign({"params": "training-free"}, [0, 1]))) is None


def test_phases_change_where_the_searches_changed_them_on_average():
    records, _ = two_searchers()
    for record, begins in zip(records[:2], (15, 25), strict=True):  # of 50 steps
        record["phases"] = [{"phase": "warm-up", "step": 0}, {"phase": "exploration", "step": begins}]
    assert anytime.phase_changes(typed(records)) == [pytest.approx(0.4)]
