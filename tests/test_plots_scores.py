"""Plots of scores: curves, bands, dots, and the scale they are on."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
import pytest
from support.campaigns import make_campaign, make_record, results_of, two_searchers

from harness.report import plot_style, plots_scores


def test_plots_show_each_seed_and_leave_matplotlib_as_it_was(tmp_path):
    records, campaign = two_searchers()
    records[0]["collapsed"] = True
    before = dict(mpl.rcParams), dict.get(mpl.rcParams, "backend")
    fig = plots_scores.accuracy(results_of(records, campaign))
    first = plot_style.save(fig, tmp_path / "one")
    assert [t.get_text() for t in fig.axes[0].get_yticklabels()] == [
        "random (n = 5)",
        "gicso (n = 5)",
    ]  # the best first
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


def test_the_first_plot_is_of_the_primary_endpoint_alone():
    records, campaign = two_searchers()
    fig = plots_scores.primary(results_of(records, campaign))
    assert [ax.get_title() for ax in fig.axes] == ["cifar10"]
    campaign["space"] = {"cifar10": campaign["space"]["cifar10"]}
    records = [r | {"scores": [s for s in r["scores"] if s["dataset"] == "cifar10"], "trajectory": []} for r in records]
    assert plots_scores.accuracy(results_of(records, campaign)) is None  # there is no other


def test_in_a_crowd_only_the_first_searcher_has_a_colour():
    names = [f"s{i}" for i in range(8)]
    records = [make_record(name, 0, 90.0 + k) for k, name in enumerate(names)]
    for count, colours in ((7, 7), (8, 2)):
        results = results_of(records[:count], make_campaign(dict.fromkeys(names[:count], "one-shot"), [0]))
        drawn = {
            tuple(c.get_facecolor()[0][:3])
            for c in plots_scores.primary(results).axes[0].collections
            if len(c.get_offsets())
        }
        assert len(drawn) == colours
