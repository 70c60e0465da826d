"""What the commands say, also of bad input: one line and exit code 2."""

import json

import pytest

from benchmarks.errors import UserError


@pytest.mark.parametrize("command", [("report",), ("compare", "no-such-folder")])
@pytest.mark.parametrize("margin", ["inf", "nan", "0", "200"])
def test_a_margin_is_checked_before_any_work(harness, tmp_path, command, margin):
    code, out, err = harness(command[0], tmp_path, *command[1:], "--margin", margin)
    assert (code, out) == (2, "")
    assert err == f"error: --margin {margin}: accuracy points above 0 and below 100, e.g. 0.5\n"


def test_list_and_report_and_table(harness, table, tmp_path):
    listed = harness("list", "searchers")[1]
    assert all(name in listed for name in ("gicso", "darts", "cso", "random", "evolution"))
    assert "population=24               ≥ 6, a multiple of 3\n" in listed
    assert "fitness=error               error or loss or mixture\n" in listed
    assert "ablation: no warm-up, explores instead [warmup=0.0,exploration=0.8]" in listed
    assert "paper" in harness("list", "presets")[1]
    assert "15,625" in harness("list", "benchmarks")[1]
    out = tmp_path / "out"
    arguments = ["--searchers", "random,evolution", "--seeds", 2, "--table", table, "--data", tmp_path, "--out", out]
    assert harness("run", *arguments)[0] == 0
    made_by = json.loads((out / "runs/random/seed-0/record.json").read_text())["environment"]
    assert harness("--version")[1].endswith(f", source {made_by['source']}\n")
    code, text, _ = harness("table", out, "--published")
    assert code == 0
    assert "REA" in text
    assert "published" in text
    assert harness("table", out, "--format", "csv")[1] == (out / "report/table.csv").read_text()
    code, _, err = harness("table", out, "--format", "csv", "--published")
    assert code == 2
    assert "take --format md or tex" in err
    assert r"\toprule" in harness("table", out, "--format", "tex")[1]
    code, text, _ = harness("report", out, "--out", tmp_path / "elsewhere")
    assert code == 0
    assert (tmp_path / "elsewhere/report.html").is_file()
    code, _, err = harness("report", tmp_path / "nothing")
    assert code == 2
    assert "no campaign here" in err


def test_debug_shows_the_traceback(harness, tmp_path):
    with pytest.raises(UserError):
        harness("report", tmp_path, "--debug")
