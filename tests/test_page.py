"""The report from folders on disk: words that follow the numbers, escaping, a page that stands alone; in a browser."""

from __future__ import annotations

import csv
import html
import io
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from support.campaigns import failed, make_campaign, make_record, results_of, two_searchers, write_campaign
from support.tables import Page, words_of

from harness import results
from harness.report import headline, page, plots_anytime, plots_scores, plots_search, readable
from harness.report.page import write_report

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
        "anytime.csv",
        "operations.png",
        "operations.svg",
        "report.html",
    ),
    *(
        f"{plot}.{kind}"
        for plot in ("primary", "accuracy", "convergence", "regret", "profiles", "cells", "operations")
        for kind in ("png", "svg")
    ),
}


@pytest.mark.case(1)
def test_report_writes_its_files_and_a_page_that_stands_alone(tmp_path):
    records, campaign = two_searchers()
    folder = write_campaign(tmp_path / "c", records, campaign)
    paths = page.write_report([folder], published=readable.ALL)
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


def test_every_part_of_a_report_says_that_the_table_holds_some_cells(tmp_path):
    records, campaign = two_searchers()
    campaign["cloud"] = {"width": 0.5, "bins": {d: [[160, 170, 3]] for d in campaign["space"]}}
    drawings = (plots_anytime.convergence, plots_scores.accuracy, plots_search.space)

    def legends():
        return [{text.get_text() for text in draw(results_of(records, campaign)).legends[0].texts} for draw in drawings]

    whole = [{"optimum of all cells"}, {"optimum of all cells", "quartiles of all cells"}, {"all cells"}]
    assert all(names <= legend for names, legend in zip(whole, legends(), strict=True))
    assert plots_anytime.regret(results_of(records, campaign)).get_supylabel() == "regret, points"
    for column in (column for splits in campaign["space"].values() for column in splits.values()):
        column["cells"] = 1000
    assert not any("all cells" in name for legend in legends() for name in legend)
    held = [{name for name in legend if "1,000 of 15,625 cells" in name} for legend in legends()]
    assert [len(names) for names in held] == [1, 2, 1]
    assert (
        plots_anytime.regret(results_of(records, campaign))
        .get_supylabel()
        .endswith("against the best of 1,000 of 15,625 cells")
    )
    words = words_of(records, campaign, tmp_path)
    assert "of 1,000 of 15,625 cells beaten, %" in words
    assert "all cells" not in words
    one = results_of(records[:5], make_campaign({"gicso": "one-shot"}, list(range(5)), space=campaign["space"]))
    sentence = headline.lead(one, readable.frames_of(one), page.UNPAIRED)
    assert "92.00 on cifar10 (regret 2.37 against the best of 1,000 of 15,625 cells)" in sentence


def test_constant_single_and_failed_runs_still_make_a_report(tmp_path):
    records = [make_record("flat", s, 54.3, collapsed=True) for s in range(5)]
    records += [make_record("same", s, 54.3, collapsed=True) for s in range(5)]
    records += [make_record("once", 0, 93.0)] + [failed("never", s, "boom") for s in range(5)]
    campaign = make_campaign(dict.fromkeys(["flat", "same", "once", "never"], "one-shot"), list(range(5)))
    folder = write_campaign(tmp_path / "c", records, campaign)
    page.write_report([folder])
    words = Page((folder / "report" / "report.html").read_text(encoding="utf-8")).words
    assert "flat against same on cifar10: all values are one number (Mann-Whitney U p = 1, A = 0.50" in words
    assert "flat against once on cifar10: untestable (n = 5 and 1)" in words
    assert "flat against never on cifar10: untestable (n = 5 and 0)" in words
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


def test_a_report_leaves_nothing_of_an_earlier_one(tmp_path):
    """Three searchers at two seeds are ranked; with a third seed's campaign in which one has none of these, not."""
    searchers = dict.fromkeys("abc", "one-shot")
    records = [make_record(k, s, 90.0 + s + i) for i, k in enumerate(searchers) for s in range(2)]
    folder = write_campaign(tmp_path / "c", records, make_campaign(searchers, [0, 1]))
    page.write_report([folder], published=readable.ALL)
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


def test_five_hundred_seeds_make_a_light_page(tmp_path):
    rng = np.random.default_rng(0)
    records = [make_record(k, s, float(rng.normal(93, 0.3))) for k in ("a", "random") for s in range(500)]
    campaign = make_campaign({"a": "one-shot", "random": "multi-trial"}, list(range(500)))
    page.write_files(results_of(records, campaign), tmp_path)
    assert (tmp_path / "report.html").stat().st_size < 1_500_000
    assert "1000 runs: a row each in runs.csv" in (tmp_path / "report.html").read_text(encoding="utf-8")
    assert len((tmp_path / "runs.csv").read_text().splitlines()) == 1001


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
    assert f',gicso,{spec},4,4,"Mann-Whitney' in (folder / "report/comparisons.csv").read_text()


@pytest.mark.parametrize("columns", [40, 80, 120])
def test_on_a_terminal_the_table_of_13_searchers_and_the_page_are_the_last_30_lines(monkeypatch, columns):
    folder = REFERENCE / "nb201-small"
    shown = io.StringIO()
    shown.isatty = lambda: True
    monkeypatch.setattr(sys, "stdout", shown)
    monkeypatch.setattr(sys, "stderr", shown)
    monkeypatch.setenv("COLUMNS", str(columns))
    page.show(results.load([folder]), folder / "report")
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
    page.show(results.load([REFERENCE / "digits201-small"]), REFERENCE / "digits201-small/report")
    out, err = capsys.readouterr()
    lines = out.rstrip().splitlines()
    assert lines[0].startswith("- **Warning:**")
    assert lines[-1].startswith("| mean of all cells |")
    assert err.endswith("report/report.html\n")


PROBE = """<script>
const runs = document.getElementById("filter").closest("details").querySelector("table");
const seeds = () => [...runs.tBodies[0].rows].filter(r => !r.hidden).map(r => r.cells[1].textContent);
const found = {
  width: innerWidth, page: document.documentElement.scrollWidth,
  back: getComputedStyle(document.body).backgroundColor, ink: getComputedStyle(document.body).color,
  images: [...document.images].every(i => i.complete && i.naturalWidth > 0), before: seeds(),
};
runs.tHead.rows[0].cells[1].click();
found.ascending = seeds();
runs.tHead.rows[0].cells[1].click();
found.descending = seeds();
const filter = document.getElementById("filter");
filter.value = "RANDOM done";
filter.dispatchEvent(new Event("input"));
found.filtered = [...runs.tBodies[0].rows].filter(r => !r.hidden).map(r => r.cells[0].textContent);
document.title = JSON.stringify(found);
</script>"""


@pytest.fixture(scope="module")
def browsed(tmp_path_factory):
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("no Chromium on this machine")
    records, campaign = two_searchers()
    folder = write_campaign(tmp_path_factory.mktemp("page") / "c", records, campaign)
    write_report([folder])
    html = folder / "report" / "probed.html"
    text = (folder / "report" / "report.html").read_text(encoding="utf-8")
    html.write_text(text.replace("</body>", PROBE + "</body>"), encoding="utf-8")

    def look(width: int, dark: bool) -> dict:
        # a browser window is 500 pixels wide at least, a frame may be narrower
        frame = html.with_name(f"frame-{width}.html")
        frame.write_text(f'<iframe id="f" src="{html.name}" style="width:{width}px;height:900px;border:0"></iframe>'
                         '<script>f.onload = () => document.title = f.contentDocument.title</script>')  # fmt: skip
        command = [browser, "--headless", "--no-sandbox", "--disable-gpu", "--allow-file-access-from-files"]
        command += [
            f"--user-data-dir={folder / 'profile'}",
            f"--blink-settings=preferredColorScheme={0 if dark else 1}",
        ]
        command += ["--window-size=1500,1000", "--virtual-time-budget=5000", "--dump-dom", frame.as_uri()]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        title = re.search(r"<title>(.*?)</title>", done.stdout, re.DOTALL)
        assert title, done.stderr
        return json.loads(title.group(1).replace("&amp;", "&"))

    return look


@pytest.mark.parametrize(("width", "dark"), [(1300, False), (390, True)])
def test_page_in_a_browser(browsed, width, dark):
    found = browsed(width, dark)
    assert found["width"] == width
    assert found["page"] <= width  # tables scroll within themselves
    assert found["images"]
    back, ink = (sum(map(int, re.findall(r"\d+", found[k])[:3])) for k in ("back", "ink"))
    assert (back < 150 < 600 < ink) if dark else (ink < 150 < 600 < back)
    assert found["before"] == ["0", "1", "2", "3", "4"] * 2
    assert found["ascending"] == sorted(found["before"])
    assert found["descending"] == sorted(found["before"], reverse=True)
    assert found["filtered"] == ["random"] * 5
