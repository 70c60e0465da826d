"""Plots of scores: curves, bands, dots, and the scale they are on."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
import pytest
from support.campaigns import make_campaign, make_record, results_of, two_searchers, typed

from harness.report import plot_style, plots_scores


def test_curves_hold_an_answer_until_the_next():
    runs = [make_record("a", 0, 94.0), make_record("a", 1, 92.0)]  # 10 points lower until step 25 of 0 to 49
    curve = plots_scores._curves(typed(runs))["cifar10"]
    assert curve.shape == (2, len(plots_scores.GRID))
    first, later = plots_scores.GRID < 0.0199, plots_scores.GRID > 0.5199  # after 1 and after 26 of 50 steps
    assert np.isnan(curve[0][first]).all()
    assert (curve[0][~first & ~later] == 84.0).all()
    assert (curve[0][later] == 94.0).all()
    assert (curve[1][later] == 92.0).all()
    late = make_record("a", 2, 90.0)
    late["trajectory"] = late["trajectory"][1:]
    assert np.isnan(plots_scores._curves(typed([late]))["cifar10"][0][~later]).all()  # no answer yet, none invented


@pytest.mark.parametrize(("n", "ends"), [(5, (90.0, 94.0)), (9, (92.0, 96.0))])
def test_band_is_the_range_below_six_seeds_and_the_quartiles_from_there_on(n, ends):
    records = [make_record("a", s, 90.0 + s) for s in range(n)]  # 90 to 98 has quartiles 92 and 96
    fig = plots_scores.convergence(results_of(records, make_campaign({"a": "one-shot"}, list(range(n)))))
    band = fig.axes[0].collections[0].get_paths()[0].vertices
    last = band[band[:, 0] == 1.0][:, 1]
    assert (last.min(), last.max()) == ends
    assert fig.axes[0].lines[0].get_ydata()[-1] == 90 + (n - 1) / 2  # the median


@pytest.mark.parametrize(("searchers", "bands"), [(7, 7), (8, 0)])
def test_bands_are_drawn_while_each_has_a_colour_of_its_own(searchers, bands):
    names = [f"s{i}" for i in range(searchers)]
    records = [make_record(name, seed, 90.0 + seed) for name in names for seed in range(2)]
    fig = plots_scores.convergence(results_of(records, make_campaign(dict.fromkeys(names, "one-shot"), [0, 1])))
    assert [len(ax.collections) for ax in fig.axes[:1]] == [bands]
    looks = {(line.get_color(), line.get_linestyle()) for line in fig.axes[0].lines if line.get_linewidth() == 1.6}
    assert len(looks) == searchers
    assert len({(plot_style.colour(i), plot_style.marker(i)) for i in range(56)}) == 56


def test_plots_show_each_seed_and_leave_matplotlib_as_it_was(tmp_path):
    records, campaign = two_searchers()
    records[0]["collapsed"] = True
    before = dict(mpl.rcParams), dict.get(mpl.rcParams, "backend")
    fig = plots_scores.accuracy(results_of(records, campaign))
    first = plot_style.save(fig, tmp_path / "one")
    dots = np.concatenate([c.get_offsets()[:, 0] for c in fig.axes[0].collections])
    assert sorted(dots) == sorted([90.0, 91.0, 92.0, 93.0, 94.0, 92.0, 93.0, 93.5, 94.0, 94.2])
    medians = sorted(line.get_xdata()[0] for line in fig.axes[0].lines if line.get_linewidth() == 2)
    assert medians == [92.0, 93.5]
    assert (dict(mpl.rcParams), dict.get(mpl.rcParams, "backend")) == before
    again = plot_style.save(plots_scores.accuracy(results_of(records, campaign)), tmp_path / "two")
    assert [p.read_bytes() for p in first] == [p.read_bytes() for p in again]


def test_scale_is_stretched_only_where_runs_lie_far_apart():
    def scale(values):
        records = [make_record("a", s, v) for s, v in enumerate(values)]
        campaign = make_campaign({"a": "one-shot"}, list(range(len(values))))
        return plots_scores.accuracy(results_of(records, campaign)).axes[0].get_xscale()

    assert scale([93.5, 94.0, 94.37]) == "linear"
    assert scale([54.3, 94.0, 94.37]) == "function"
    assert scale([54.3, 70.0, 74.0]) == "linear"  # nobody near: stretched, two thirds of the axis would be empty
    forward, inverse = plots_scores._stretch(94.37, 0.2)
    values = np.array([10.0, 54.3, 93.0, 94.37])
    assert inverse(forward(values)) == pytest.approx(values)
    assert (np.diff(forward(values)) > 0).all()


def test_a_stretched_scale_gives_little_room_to_what_nobody_reached_and_its_ticks_have_theirs():
    """Answers of 8 to 92, optimum 94.37, 2.37 above: log(92.4 / 4.7) of the axis is theirs, log 2 above them."""
    records = [make_record("a", s, v) for s, v in enumerate([8.0, 86.0, 88.0, 92.0])]
    ax = plots_scores.accuracy(results_of(records, make_campaign({"a": "one-shot"}, list(range(4))))).axes[0]
    assert ax.get_xscale() == "function"
    left, best, right = ax.transData.transform([(x, 0) for x in (8.0, 92.0, 94.37)])[:, 0]
    assert (right - best) / (right - left) == pytest.approx(np.log10(2) / np.log10((94.37 + 2.37 - 8) / 2.37), abs=1e-3)
    places = ax.transData.transform([(x, 0) for x in ax.get_xticks()])[:, 0]
    assert (np.diff(sorted(places)) > 0.07 * (right - left)).all()


def test_regret_over_time_by_hand():
    """Answers of 90 to 94, 10 lower until half; the optimum is 94.37."""
    records, campaign = two_searchers()
    line = plots_scores.regret(results_of(records, campaign)).axes[0].lines[0]
    assert line.get_ydata()[[0, -1]] == pytest.approx([94.37 - 82, 94.37 - 92])
    assert line.get_xdata()[-1] == pytest.approx(304.0)  # the longest search


def test_phases_change_where_the_searches_changed_them_on_average():
    records, _ = two_searchers()
    for record, begins in zip(records[:2], (15, 25), strict=True):  # of 50 steps
        record["phases"] = [{"phase": "warm-up", "step": 0}, {"phase": "exploration", "step": begins}]
    assert plots_scores.phase_changes(typed(records)) == [pytest.approx(0.4)]
