"""What the commands say, also of bad input: one line and exit code 2."""

import csv
from pathlib import Path

import pytest
from support.campaigns import two_searchers, write_campaign

from benchmarks.errors import UserError
from harness import provenance


@pytest.mark.parametrize("command", [("report",), ("compare", "no-such-folder")])
@pytest.mark.parametrize("margin", ["inf", "nan", "0", "200"])
def test_a_margin_is_checked_before_any_work(harness, tmp_path, command, margin):
    code, out, err = harness(command[0], tmp_path, *command[1:], "--margin", margin)
    assert (code, out) == (2, "")
    assert err == f"error: --margin {margin}: accuracy points above 0 and below 100, e.g. 0.5\n"


@pytest.fixture
def campaign(tmp_path):
    return write_campaign(tmp_path / "c", *two_searchers())


def test_the_version_names_the_source_as_records_do(harness):
    source = provenance.environment("cpu", uses_torch=False)["source"]
    assert harness("--version")[1].endswith(f", source {source}\n")


def test_a_table_may_have_published_rows(harness, campaign):
    code, text, _ = harness("table", campaign, "--published")
    assert code == 0
    (row,) = (line for line in text.splitlines() if line.startswith("| REA "))
    assert "| 45.15 ± 0.89 |" in row
    assert "REA" not in harness("table", campaign)[1]


def test_published_rows_may_be_named_and_alone_the_option_takes_all(harness, campaign):
    named = harness("table", campaign, "--published", "GDAS,REA")[1]
    assert [line.split()[1] for line in named.splitlines() if "(published" in line] == ["GDAS", "REA"]
    whole = harness("table", campaign, "--published")[1]
    assert harness("table", "--published", campaign)[1] == whole  # before a folder, too
    code, _, err = harness("table", campaign, "--published", "GDSA")
    assert (code, "GDAS" in err) == (2, True)


def test_another_endpoint_and_another_test_are_taken_by_a_report(harness, campaign):
    assert harness("report", campaign, "--endpoint", "cifar100", "--test", "permutation")[0] == 0
    first = next(csv.DictReader((campaign / "report/comparisons.csv").open()))
    assert (first["dataset"], first["endpoint"], first["test"]) == ("cifar100", "primary", "permutation of means")
    page = (campaign / "report/report.html").read_text()
    assert "The primary endpoint, cifar100, was chosen after the campaign" in page
    for wrong in (["--endpoint", "imagenet"], ["--test", "t"]):
        code, _, err = harness("report", campaign, *wrong)
        assert (code, wrong[0] in err) == (2, True)


def test_a_table_as_csv_is_the_report_s(harness, campaign):
    assert harness("report", campaign)[0] == 0
    assert harness("table", campaign, "--format", "csv")[1] == (campaign / "report/table.csv").read_text()


def test_a_csv_has_no_published_rows(harness, campaign):
    code, out, err = harness("table", campaign, "--format", "csv", "--published")
    assert (code, out) == (2, "")
    assert "take --format md or tex" in err


def test_a_table_in_latex_is_the_report_s(harness, campaign):
    assert harness("report", campaign)[0] == 0
    text = harness("table", campaign, "--format", "tex")[1]
    assert text.rstrip() == (campaign / "report/table.tex").read_text().rstrip()


def test_a_report_goes_where_it_is_asked_to(harness, campaign, tmp_path):
    code, out, _ = harness("report", campaign, "--out", tmp_path / "elsewhere")
    assert code == 0
    assert str(tmp_path / "elsewhere/report.html") in out.splitlines()
    assert all(Path(line).is_file() for line in out.splitlines())
    assert not (campaign / "report").exists()


def test_a_folder_without_a_campaign_has_no_report(harness, tmp_path):
    code, out, err = harness("report", tmp_path / "nothing")
    assert (code, out) == (2, "")
    assert "no campaign here" in err


def test_debug_shows_the_traceback(harness, tmp_path):
    with pytest.raises(UserError):
        harness("report", tmp_path, "--debug")
