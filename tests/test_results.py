"""The report from folders on disk: words that follow the numbers, escaping, one page that stands alone."""

from __future__ import annotations

import csv
import html
import io
import re
import sys
from html.parser import HTMLParser
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
from scipy import stats
from support.campaigns import failed, make_campaign, make_record, two_searchers, write_campaign

from benchmarks.errors import UserError
from harness import results
from harness.compare import compare
from harness.report import frames, inference, markup, page, plot_style, plots_scores, plots_search

REFERENCE = Path(__file__).parents[1] / "results/reference"
HOSTILE = '<script>alert("x")</script> {{ 7*7 }} & $x$ "><img src=http://evil.example/x.png>'
FILES = {
    *(
        "table.csv",
        "table.md",
        "table.tex",
        "comparisons.csv",
        "diagnostics.csv",
        "runs.csv",
        "operations.png",
        "operations.svg",
        "report.html",
    ),
    *(
        f"{plot}.{kind}"
        for plot in ("accuracy", "convergence", "regret", "cells", "operations")
        for kind in ("png", "svg")
    ),
}


class Page(HTMLParser):
    """Tags, the addresses they load, and the text of a page; fails on tags that do not match."""

    VOID = ("meta", "img", "link", "br", "input")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.open: list[str] = []
        self.sources: list[str] = []
        self.words = ""
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.sources += [v for k, v in attrs if k in ("src", "href", "srcset", "data", "action")]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words += data


def test_report_writes_its_files_and_a_page_that_stands_alone(tmp_path):
    records, campaign = two_searchers()
    folder = write_campaign(tmp_path / "c", records, campaign)
    paths = page.write_report([folder], published=True)
    assert {p.name for p in paths} == FILES | {"published.bib"}
    assert {p.parent for p in paths} == {folder / "report"}
    assert all(p.stat().st_size > 200 for p in paths)
    text = (folder / "report" / "report.html").read_text(encoding="utf-8")
    shown = Page(text)
    assert len(shown.sources) == len(FILES & {f"{n}.svg" for n in page.PLOTS})  # the plots, and nothing from elsewhere
    assert all(s.startswith("data:image/svg+xml;base64,") for s in shown.sources)
    assert not re.search(r"url\(|@import|<link|<script.*src", text)
    assert shown.tags.count("script") == 1  # ours, which sorts and filters
    for word in ("prefers-color-scheme: dark", 'name="viewport"'):
        assert word in text
    for word in (
        campaign["command"],
        "ab" * 32,
        "Example CPU",
        "torch 2.13.0",
        "NASWOT (ICML21) Tab.2a row Random",
    ):
        assert word in shown.words
    rows = list(csv.DictReader((folder / "report" / "table.csv").open()))
    assert len(rows) == 12
    assert {r["searcher"] for r in rows} == {"gicso", "random"}


def words_of(records, campaign, folder, asked=page.UNPAIRED):
    """The page's text; its plots, which take seconds, are one empty drawing."""
    (folder / "plot.svg").write_text("<svg/>")
    tables = markup.frames_of(records, campaign, asked)
    table = markup.readable_table(records, campaign, asked=asked, frames=tables)
    more = (frames.ranks_table(records, campaign), frames.diagnostics(records, campaign))
    plots = dict.fromkeys(page.PLOTS, folder / "plot.svg")
    return Page(page.to_html(records, campaign, asked, table, tables, *more, plots)).words


def said(records, campaign):
    return page.headline(records, campaign, markup.frames_of(records, campaign), frames.ranks_table(records, campaign))


def test_headline_says_not_distinguishable_with_p_and_n():
    records, campaign = two_searchers()
    (sentence,) = said(records, campaign)
    # gicso 90 91 92 93 94 against 92 93 93.5 94 94.2: pairs won 0+0+.5+1.5+3.5 = 5.5 of 25
    frame = frames.comparisons(records, campaign)
    assert frame["effect"].iloc[0] == pytest.approx(5.5 / 25)
    p = f"p = {frame['p_holm'].iloc[0]:.2g}"
    assert sentence.startswith("gicso against random (one-shot against multi-trial): not distinguishable on cifar10 ")
    assert sentence.count(f"({p}, A = 0.22, n = 5)") == 3
    assert "better" not in sentence


def test_headline_of_equivalent_searchers_quotes_the_test_of_equivalence(tmp_path):
    """The same values at eight seeds: the test of a difference has p = 1; each of two one-sided ones 1 / C(16, 8)."""
    records = [make_record(k, s, 93 + s / 100) for k in ("a", "b") for s in range(8)]
    campaign, asked = make_campaign({"a": "one-shot", "b": "one-shot"}, list(range(8))), page.Asked(margin=0.5)
    tables = markup.frames_of(records, campaign, asked)
    (sentence,) = page.headline(records, campaign, tables, frames.ranks_table(records, campaign))
    numbers = "(p < 0.001 after Holm, two one-sided tests, n = 8)"  # 3 / 12870
    named = f"cifar10 {numbers}, cifar100 {numbers} and ImageNet16-120 {numbers}"
    assert sentence == f"a against b: equivalent within 0.5 points on {named}."
    words = words_of(records, campaign, tmp_path, asked)
    assert "equivalent within 0.5 points: two one-sided tests, p ≤ 0.05 after Holm in a family of their own." in words
    assert "p of equivalence within 0.5 points, after Holm" in words


def test_every_part_of_a_report_says_that_the_table_holds_some_cells(tmp_path):
    records, campaign = two_searchers()
    campaign["cloud"] = {"width": 0.5, "bins": {d: [[160, 170, 3]] for d in campaign["space"]}}
    drawings = (plots_scores.convergence, plots_scores.accuracy, plots_search.space)

    def legends():
        return [{text.get_text() for text in draw(records, campaign).legends[0].texts} for draw in drawings]

    whole = [{"optimum of all cells"}, {"optimum of all cells", "quartiles of all cells"}, {"all cells"}]
    assert all(names <= legend for names, legend in zip(whole, legends(), strict=True))
    assert plots_scores.regret(records, campaign).axes[0].get_ylabel() == "regret, points"
    for column in (column for splits in campaign["space"].values() for column in splits.values()):
        column["cells"] = 1000
    assert not any("all cells" in name for legend in legends() for name in legend)
    held = [{name for name in legend if "1,000 of 15,625 cells" in name} for legend in legends()]
    assert [len(names) for names in held] == [1, 2, 1]
    assert (
        plots_scores.regret(records, campaign)
        .axes[0]
        .get_ylabel()
        .endswith("against the best of 1,000 of 15,625 cells")
    )
    words = words_of(records, campaign, tmp_path)
    assert "of 1,000 of 15,625 cells beaten, %" in words
    assert "all cells" not in words
    (sentence,) = said(records[:5], make_campaign({"gicso": "one-shot"}, range(5), space=campaign["space"]))
    assert "92.00 on cifar10 (regret 2.37 against the best of 1,000 of 15,625 cells)" in sentence


def test_compared_campaigns_with_one_seed_in_common_are_not_tested(tmp_path):
    folders = [write_campaign(tmp_path / name, [make_record("a", s, 93.0) for s in seeds],
                              make_campaign({"a": "one-shot"}, seeds))
               for name, seeds in (("one", [0, 1]), ("two", [1, 2]))]  # fmt: skip
    text = compare(*folders, 0.5)
    assert "Scored by nb201: table.npz, sha256 abababababab\n" in text
    assert text.count("; n = 1, +0.00, not tested\n") == 2
    assert text.endswith("; n = 1, +0.00, not tested")


def test_headline_follows_each_data_set():
    records = [make_record(k, s, v + s / 10) for k, v in {"a": 93.0, "b": 54.0}.items() for s in range(8)]
    for r in records:
        for score in r["scores"]:
            if score["dataset"] == "cifar100":
                score["value"] = 70.0
    campaign = make_campaign({"a": "one-shot", "b": "one-shot"}, list(range(8)))
    (sentence,) = said(records, campaign)
    assert sentence == (
        "a against b: better on cifar10 (p < 0.001, A = 1.00, n = 8) and ImageNet16-120 "
        "(p < 0.001, A = 1.00, n = 8); constant on cifar100 (p = 1, A = 0.50, n = 8)."
    )


def test_constant_single_and_failed_runs_still_make_a_report(tmp_path):
    records = [make_record("flat", s, 54.3, collapsed=True) for s in range(5)]
    records += [make_record("same", s, 54.3, collapsed=True) for s in range(5)]
    records += [make_record("once", 0, 93.0)] + [failed("never", s, "boom") for s in range(5)]
    campaign = make_campaign(dict.fromkeys(["flat", "same", "once", "never"], "one-shot"), list(range(5)))
    folder = write_campaign(tmp_path / "c", records, campaign)
    page.write_report([folder])
    words = Page((folder / "report" / "report.html").read_text(encoding="utf-8")).words
    assert "flat against same: constant on cifar10 (p = 1, A = 0.50, n = 5)" in words
    assert "flat against once: not tested on cifar10 (n = 5 and 1)" in words
    assert "flat against never: not tested on cifar10 (n = 5 and 0)" in words
    assert "not distinguishable" not in words
    assert "never: 0 of 5 seeds: 5 failed (boom)" in words
    assert "Not finished: once 1 of 5 seeds" in words
    assert "(collapsed, × in the dots): flat 5 of 5; same 5 of 5 runs." in words
    assert "No random searcher" in words
    for name in ("report.html", "table.csv", "table.md", "table.tex", "comparisons.csv"):
        text = (folder / "report" / name).read_text(encoding="utf-8")
        text = re.sub(r"base64,[^\"]*", "", text)
        assert not re.search(r"\b(nan|NaN|None|inf)\b", text), name


def test_one_seed_of_one_searcher(tmp_path):
    folder = write_campaign(tmp_path / "c", [make_record("a", 0, 93.37)], make_campaign({"a": "one-shot"}, [0]))
    page.write_report([folder], tmp_path / "elsewhere" / "deep")
    text = (tmp_path / "elsewhere" / "deep" / "report.html").read_text(encoding="utf-8")
    words = Page(text).words
    assert "a reaches 93.37 on cifar10 (regret 1.00)" in words
    assert "n = 1: no ± and no test (a)." in words
    assert not re.search(r"\d ± \d", words)
    assert not (folder / "report").exists()


def test_hostile_strings_are_escaped_everywhere(tmp_path):
    campaign = make_campaign({"a": "one-shot", "b": "one-shot"}, [0, 1], command=f"harness run {HOSTILE}")
    campaign["searchers"][0]["spec"] = HOSTILE
    records = [make_record("a", 0, 93.0, spec=HOSTILE), failed("a", 1, HOSTILE + "\n  more", spec=HOSTILE)]
    records += [make_record("b", s, 92.0 + s, cell=HOSTILE) for s in (0, 1)]
    folder = write_campaign(tmp_path / "c", records, campaign)
    page.write_report([folder])
    text = (folder / "report" / "report.html").read_text(encoding="utf-8")
    shown = Page(text)
    assert shown.tags.count("script") == 1  # ours, which sorts and filters
    assert shown.tags.count("img") == len(list((folder / "report").glob("*.svg")))
    assert shown.words.count(HOSTILE) >= 5  # shown as text: spec, error, cell, command, headline
    assert html.escape("<script>alert(", quote=True) in text
    for plot in ("accuracy", "convergence", "operations"):
        svg = (folder / "report" / f"{plot}.svg").read_text(encoding="utf-8")
        assert "<script" not in svg
        assert "<svg" in svg


def test_campaigns_are_joined_and_a_run_counts_once(tmp_path):
    one = [make_record("a", s, 93.0 + s / 10) for s in (0, 1)] + [failed("a", 2, "boom")]
    two = [make_record("a", s, 93.0 + s / 10) for s in (1, 2)] + [
        make_record("b", s, 90.0, "multi-trial") for s in (1, 2)
    ]
    folders = [
        write_campaign(tmp_path / "one", one, make_campaign({"a": "one-shot"}, [0, 1, 2])),
        write_campaign(tmp_path / "two", two, make_campaign({"a": "one-shot", "b": "multi-trial"}, [1, 2], threads=2)),
    ]
    paths = page.write_report(folders)
    assert paths[0].parent == folders[0] / "report"
    rows = {(r["label"], r["dataset"], r["split"]): r for r in csv.DictReader(paths[0].open())}
    assert rows["a", "cifar10", "test"]["n"] == "3"  # seed 2 failed in one folder and ended in the other
    assert rows["b", "cifar10", "test"]["n"] == "2"
    words = Page((folders[0] / "report" / "report.html").read_text(encoding="utf-8")).words
    assert "2 run(s) are in several folders and count once." in words
    assert "the campaigns differ in threads." in words
    assert "n = 3 against 2 cannot reach 0.05 after Holm over 3 comparisons" in words


def test_joined_runs_of_one_seed_made_in_two_ways_are_not_one_run(tmp_path):
    """Equal labels and seeds, other keys (say, another precision): the second folder's are left out, and named."""
    one, two = ([make_record("a", s, v + s, key=f"{v}-{s}") for s in (0, 1)] for v in (93.0, 50.0))
    campaigns = [make_campaign({"a": "one-shot"}, [0, 1]) for _ in range(2)]
    joined, records = results.join(campaigns, [one, two], ["one", "two"])
    assert [r["scores"][1]["value"] for r in records] == [93.0, 94.0]
    left_out = "2 run(s) left out: another folder has the same seeds, made in another way (a seed 0, a seed 1)."
    assert joined["warnings"] == [left_out]


def test_a_finished_run_counts_before_a_failed_one_that_was_made_in_another_way():
    campaigns = [make_campaign({"a": "one-shot"}, [0]) for _ in range(2)]
    runs = [[failed("a", 0, "boom", key="x")], [make_record("a", 0, 93.0, key="y")]]
    for order in (runs, runs[::-1]):
        joined, records = results.join(campaigns, order, ["one", "two"])
        assert [r["status"] for r in records] == ["done"]
        assert joined["warnings"] == [
            "1 run(s) left out: another folder has the same seeds, made in another way (a seed 0)."
        ]


def test_a_joint_table_has_the_supernets_setting():
    """Imported cells alone join any preset, queries any precision."""
    campaigns = [make_campaign({}, [0], preset={"name": "imported"}, precision="none", threads=0),
                 make_campaign({"random": "multi-trial"}, [0]),
                 make_campaign({"a": "one-shot"}, [0], precision="bf16", threads=2)]  # fmt: skip
    runs = [[make_record("mine", 0, 93.0, "imported")], [make_record("random", 0, 91.0, "multi-trial")]]
    runs.append([make_record("a", 0, 92.0)])
    joined, records = results.join(campaigns, runs, ["one", "two", "three"])
    assert (joined["preset"]["name"], joined["precision"], joined["threads"]) == ("small", "bf16", 2)
    assert (joined["warnings"], len(records)) == ([], 3)


def test_a_report_leaves_nothing_of_an_earlier_one(tmp_path):
    """Three searchers at two seeds are ranked; with a third seed's campaign in which one has none of these, not."""
    searchers = dict.fromkeys("abc", "one-shot")
    records = [make_record(k, s, 90.0 + s + i) for i, k in enumerate(searchers) for s in range(2)]
    folder = write_campaign(tmp_path / "c", records, make_campaign(searchers, [0, 1]))
    page.write_report([folder], published=True)
    out = folder / "report"
    assert {"ranks.csv", "ranks.png", "ranks.svg", "published.bib"} <= {p.name for p in out.iterdir()}
    elsewhere = tmp_path / "paper"
    elsewhere.mkdir()
    for seed in (0, 1):
        (folder / "runs/c" / f"seed-{seed}" / "record.json").unlink()
    paths = page.write_report([folder])
    assert {p.name for p in out.iterdir()} == {p.name for p in paths}
    assert not (out / "ranks.csv").exists()
    for name in ("ranks.csv", "space.png"):  # names of ours in a folder without a report of ours
        (elsewhere / name).write_text("of somebody else")
    page.write_report([folder], elsewhere)
    assert (elsewhere / "ranks.csv").read_text() == (elsewhere / "space.png").read_text() == "of somebody else"


def test_a_name_that_is_imported_in_one_folder_and_run_in_another_is_refused():
    campaigns = [make_campaign({"gicso": "one-shot"}, [0]) for _ in range(2)]
    imported = make_record("gicso", 0, 93.0, "imported")
    with pytest.raises(UserError, match="'gicso' is one-shot in one folder and imported in another"):
        results.join(campaigns, [[imported], [make_record("gicso", 1, 92.0)]], ["one", "two"])


def test_joined_campaigns_keep_each_one_s_seeds_and_the_ablations():
    """a is to have 3 seeds and b 1, in a folder that was joined before; the ablations stay ablations."""
    first = make_campaign({"a": "one-shot", "b": "one-shot"}, [0, 1, 2])
    first["searchers"][1]["seeds"] = [0]
    second = make_campaign({"a": "one-shot", "a-1": "one-shot"}, [0, 1, 2, 3])
    second["ablations"] = {"of": "a", "rows": {"a-1": "no x"}}
    joined, _ = results.join([first, second], [[], []], ["one", "two"])
    assert {s["label"]: s["seeds"] for s in joined["searchers"]} == {"a": [0, 1, 2, 3], "b": [0], "a-1": [0, 1, 2, 3]}
    assert joined["ablations"] == second["ablations"]
    third = second | {"ablations": {"of": "b", "rows": {"a-1": "no x"}}}
    with pytest.raises(UserError, match="ablations of .* and of .*folders of their own"):
        results.join([second, third], [[], []], ["one", "two"])


@pytest.mark.parametrize(
    "changed", [{"table_sha256": "cd" * 32}, {"preset": {"name": "paper"}}, {"search_dataset": "x"}]
)
def test_campaigns_that_do_not_belong_together_are_refused(tmp_path, changed):
    campaign = make_campaign({"a": "one-shot"}, [0])
    folders = [write_campaign(tmp_path / "one", [make_record("a", 0, 93.0)], campaign),
               write_campaign(tmp_path / "two", [make_record("a", 0, 93.0)], campaign | changed)]  # fmt: skip
    with pytest.raises(UserError, match=next(iter(changed))):
        page.write_report(folders)
    assert not (folders[0] / "report").exists()


def test_a_campaign_without_runs_says_how_to_start_it(tmp_path):
    folder = write_campaign(tmp_path / "c", [], make_campaign({"a": "one-shot"}, [0]))
    with pytest.raises(UserError, match="harness run --searchers x"):
        page.write_report([folder])


def test_curves_hold_an_answer_until_the_next():
    runs = [make_record("a", 0, 94.0), make_record("a", 1, 92.0)]  # 10 points lower until step 25 of 0 to 49
    curve = plots_scores._curves(runs)["cifar10"]
    assert curve.shape == (2, len(plots_scores.GRID))
    first, later = plots_scores.GRID < 0.0199, plots_scores.GRID > 0.5199  # after 1 and after 26 of 50 steps
    assert np.isnan(curve[0][first]).all()
    assert (curve[0][~first & ~later] == 84.0).all()
    assert (curve[0][later] == 94.0).all()
    assert (curve[1][later] == 92.0).all()
    late = make_record("a", 2, 90.0)
    late["trajectory"] = late["trajectory"][1:]
    assert np.isnan(plots_scores._curves([late])["cifar10"][0][~later]).all()  # no answer yet, none invented


def test_steps_are_drawn_where_something_changes():
    rows = np.array([[1.0, 1, 2, 2, 2, 2, 1], [5, 5, 5, 5, 6, 6, 1]])
    kept = plot_style.changes(rows)
    assert np.flatnonzero(kept).tolist() == [0, 2, 4, 6]
    assert [plot_style.changes(np.ones((2, n))).tolist() for n in (1, 2, 3)] == [
        [True],
        [True] * 2,
        [True, False, True],
    ]
    held = np.searchsorted(np.flatnonzero(kept), np.arange(7), side="right") - 1
    assert (rows[:, kept][:, held] == rows).all()


def test_headline_ranks_three_and_more():
    """a above b above c at each of 6 seeds: Friedman's statistic is 12; only a and c lie a CD (1.35) apart."""
    records = [make_record(k, s, v + s / 100) for k, v in {"a": 94.0, "b": 93.0, "c": 92.0}.items() for s in range(6)]
    campaign = make_campaign(dict.fromkeys("abc", "one-shot"), list(range(6)))
    *_, ranked = said(records, campaign)
    assert ranked.startswith(
        "All 3 ranked together at each seed (Friedman, then Nemenyi at 0.05): cifar10 p = 0.0025, "
    )
    assert ranked.count("1 of 3 pairs apart") == 3
    frame = frames.ranks_table(records, campaign)
    assert frame["friedman_p"].iloc[0] == pytest.approx(stats.chi2.sf(12, 2))
    rows = frame[frame["dataset"] == "cifar10"][["a", "b", "rank_a", "rank_b", "seeds"]].to_numpy().tolist()
    assert rows == [["a", "b", 1, 2, 6], ["a", "c", 1, 3, 6], ["b", "c", 2, 3, 6]]


@pytest.mark.parametrize(("n", "ends"), [(5, (90.0, 94.0)), (9, (92.0, 96.0))])
def test_band_is_the_range_below_six_seeds_and_the_quartiles_from_there_on(n, ends):
    records = [make_record("a", s, 90.0 + s) for s in range(n)]  # 90 to 98 has quartiles 92 and 96
    fig = plots_scores.convergence(records, make_campaign({"a": "one-shot"}, list(range(n))))
    band = fig.axes[0].collections[0].get_paths()[0].vertices
    last = band[band[:, 0] == 1.0][:, 1]
    assert (last.min(), last.max()) == ends
    assert fig.axes[0].lines[0].get_ydata()[-1] == 90 + (n - 1) / 2  # the median


@pytest.mark.parametrize(("searchers", "bands"), [(7, 7), (8, 0)])
def test_bands_are_drawn_while_each_has_a_colour_of_its_own(searchers, bands):
    names = [f"s{i}" for i in range(searchers)]
    records = [make_record(name, seed, 90.0 + seed) for name in names for seed in range(2)]
    fig = plots_scores.convergence(records, make_campaign(dict.fromkeys(names, "one-shot"), [0, 1]))
    assert [len(ax.collections) for ax in fig.axes[:1]] == [bands]
    looks = {(line.get_color(), line.get_linestyle()) for line in fig.axes[0].lines if line.get_linewidth() == 1.6}
    assert len(looks) == searchers
    assert len({(plot_style.colour(i), plot_style.marker(i)) for i in range(56)}) == 56


def test_plots_show_each_seed_and_leave_matplotlib_as_it_was(tmp_path):
    records, campaign = two_searchers()
    records[0]["collapsed"] = True
    before = dict(mpl.rcParams), dict.get(mpl.rcParams, "backend")
    fig = plots_scores.accuracy(records, campaign)
    first = plot_style.save(fig, tmp_path / "one")
    dots = np.concatenate([c.get_offsets()[:, 0] for c in fig.axes[0].collections])
    assert sorted(dots) == sorted([90.0, 91.0, 92.0, 93.0, 94.0, 92.0, 93.0, 93.5, 94.0, 94.2])
    medians = sorted(line.get_xdata()[0] for line in fig.axes[0].lines if line.get_linewidth() == 2)
    assert medians == [92.0, 93.5]
    assert (dict(mpl.rcParams), dict.get(mpl.rcParams, "backend")) == before
    again = plot_style.save(plots_scores.accuracy(records, campaign), tmp_path / "two")
    assert [p.read_bytes() for p in first] == [p.read_bytes() for p in again]


def test_what_the_other_plots_draw():
    """Answers of 90 to 94, 10 lower until half; the optimum is 94.37. Cell 17: 2 skips, 3 1×1 convolutions, 1 pool."""
    records, campaign = two_searchers()
    line = plots_scores.regret(records, campaign).axes[0].lines[0]
    assert line.get_ydata()[[0, -1]] == pytest.approx([94.37 - 82, 94.37 - 92])
    assert line.get_xdata()[-1] == pytest.approx(304.0)  # the longest search
    for record, begins in zip(records[:2], (15, 25), strict=True):  # of 50 steps
        record["phases"] = [{"phase": "warm-up", "step": 0}, {"phase": "exploration", "step": begins}]
    assert plots_scores.phase_changes(records) == [pytest.approx(0.4)]
    layers = plots_search.operations(records, campaign).axes[0].collections
    assert [layer.get_paths()[0].vertices[:, 1].max() for layer in layers] == np.cumsum([0, 2, 3, 0, 1]).tolist()
    records[0]["one_shot"] = {"cells": [1, 2], "losses": [0.5, 2.0], "accuracies": [80.0, 60.0], "spearman": -0.25}
    ax = plots_search.one_shot(records, campaign).axes[0]
    assert ax.collections[0].get_offsets().tolist() == [[0.5, 80.0], [2.0, 60.0]]
    assert ax.get_title() == "gicso\nseed 0: ρ = −0.25"
    campaign["cloud"] = {"width": 0.5, "bins": {"cifar10": [[160, 170, 3]]}}
    cloud, found, _ = plots_search.space(records, campaign).axes[0].collections
    assert cloud.get_offsets().tolist() == [[80.25, 85.25]]  # the middle of its bin
    assert found.get_offsets().tolist() == [[88.0 + s, 90.0 + s] for s in range(5)]  # validation is 2 lower


def test_scale_is_stretched_only_where_runs_lie_far_apart():
    def scale(values):
        records = [make_record("a", s, v) for s, v in enumerate(values)]
        campaign = make_campaign({"a": "one-shot"}, list(range(len(values))))
        return plots_scores.accuracy(records, campaign).axes[0].get_xscale()

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
    ax = plots_scores.accuracy(records, make_campaign({"a": "one-shot"}, list(range(4)))).axes[0]
    assert ax.get_xscale() == "function"
    left, best, right = ax.transData.transform([(x, 0) for x in (8.0, 92.0, 94.37)])[:, 0]
    assert (right - best) / (right - left) == pytest.approx(np.log10(2) / np.log10((94.37 + 2.37 - 8) / 2.37), abs=1e-3)
    places = ax.transData.transform([(x, 0) for x in ax.get_xticks()])[:, 0]
    assert (np.diff(sorted(places)) > 0.07 * (right - left)).all()


def test_five_hundred_seeds_make_a_light_page(tmp_path):
    rng = np.random.default_rng(0)
    records = [make_record(k, s, float(rng.normal(93, 0.3))) for k in ("a", "random") for s in range(500)]
    campaign = make_campaign({"a": "one-shot", "random": "multi-trial"}, list(range(500)))
    page.write_files(records, campaign, tmp_path)
    assert (tmp_path / "report.html").stat().st_size < 1_500_000
    assert "1000 runs: a row each in runs.csv" in (tmp_path / "report.html").read_text(encoding="utf-8")
    assert len((tmp_path / "runs.csv").read_text().splitlines()) == 1001


def test_bars_join_what_the_test_cannot_tell_apart():
    """Mean ranks 1, 2, 3 of which neighbours do not differ and the outer two do: two bars, {1, 2} and {2, 3}."""
    p = np.array([[1.0, 0.3, 0.01], [0.3, 1.0, 0.3], [0.01, 0.3, 1.0]])
    found = inference.Ranks(np.array([3.0, 1.0, 2.0]), 12, 0.001, 1.2, p[[2, 0, 1]][:, [2, 0, 1]])
    order = np.argsort(found.mean)
    assert plots_search._cliques(found, order) == [(0, 1), (1, 2)]
    same = found._replace(nemenyi_p=np.ones((3, 3)))
    assert plots_search._cliques(same, order) == [(0, 2)]
    apart = found._replace(nemenyi_p=np.zeros((3, 3)))
    assert plots_search._cliques(apart, order) == []


def test_every_csv_names_searchers_by_spec_and_folders_keep_their_labels(tmp_path):
    labels, spec = ["gicso", "darts-e43851f9"], "darts[order=2]"
    values = {"gicso": [90.0, 91.0, 92.0, 93.0], "darts-e43851f9": [80.0, 81.5, 82.0, 83.0]}
    campaign = make_campaign(dict.fromkeys(labels, "one-shot"), [0, 1, 2, 3])
    campaign["searchers"][1]["spec"] = spec
    campaign["ablations"] = {"of": "gicso", "rows": {"darts-e43851f9": "second order"}}
    records = [make_record(label, s, v) for label in labels for s, v in enumerate(values[label])]
    records = [r | {"spec": spec} if r["label"] == labels[1] else r for r in records]
    for ablations in (campaign["ablations"], None):
        folder = write_campaign(tmp_path / str(bool(ablations)), records, campaign | {"ablations": ablations})
        page.write_report([folder])
        for path in (folder / "report").glob("*.csv"):
            text = path.read_text()
            assert "e43851f9" not in text, path
            assert spec in text or (ablations and path.name == "comparisons.csv"), path
        assert (folder / "runs/darts-e43851f9/seed-3").is_dir()
    assert f',{spec},4,4,"Mann-Whitney' in (folder / "report/comparisons.csv").read_text()


@pytest.mark.parametrize("columns", [40, 80, 120])
def test_on_a_terminal_the_table_of_13_searchers_and_the_page_are_the_last_30_lines(monkeypatch, columns):
    folder = REFERENCE / "nb201-small"
    shown = io.StringIO()
    shown.isatty = lambda: True
    monkeypatch.setattr(sys, "stdout", shown)
    monkeypatch.setattr(sys, "stderr", shown)
    monkeypatch.setenv("COLUMNS", str(columns))
    campaign, records = results.load([folder])
    page.show(records, campaign, folder / "report")
    text = re.sub(r"\x1b\[\d*m", "", shown.getvalue())  # bold
    lines = [line.rstrip() for line in text.splitlines()]
    assert lines[-1] == f"report: {folder / 'report/report.html'}"
    rows = lines[next(k for k, line in enumerate(lines) if line.startswith("method")) : -1]
    assert len(rows) == 1 + 3 + 13 + 2  # headings, kinds, searchers, the space's bounds
    assert max(map(len, rows)) <= columns
    caption = next(line for line in lines if "mean ± std over seeds" in line)
    assert len(caption) // columns + 1 + 1 + len(rows) + 2 <= 30  # the first line of the headings; the page's two
    assert [line.split()[0] for line in rows][1:3] == ["one-shot", "gicso"]
    assert ("cifar100" in text.split("mean ± std")[1]) is (columns > 40)


def test_elsewhere_the_notes_stand_before_the_whole_table(capsys):
    campaign, records = results.load([REFERENCE / "digits201-small"])
    page.show(records, campaign, REFERENCE / "digits201-small/report")
    out, err = capsys.readouterr()
    lines = out.rstrip().splitlines()
    assert lines[0].startswith("- **Warning:**")
    assert lines[-1].startswith("| mean of all cells |")
    assert err.endswith("report/report.html\n")
