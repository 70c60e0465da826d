"""Cells from elsewhere, campaigns compared, records as a data frame; on the real table."""

import json
import shutil

import pandas as pd
import pytest

from harness import load, store

# Cells 9930 and 0 in three spellings; test accuracies of the 200-epoch table, two decimals as published
CELLS = """seed,cell,search_seconds
3,9930,120.5
5,"4,2,1,2,1,1",
8,|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|skip_connect~0|nor_conv_3x3~1|nor_conv_3x3~2|,99
"""


@pytest.fixture
def mine(tmp_path):
    path = tmp_path / "mine.csv"
    path.write_text(CELLS)
    return path


def test_imported_cells_are_scored_marked_and_kept(harness, table, tmp_path, mine):
    code, out, err = harness("import", "mine", mine, tmp_path / "c", "--table", table)
    assert (code, err) == (0, "benchmark nb201: chosen by auto: --table is given\n")
    scored = "Scored by nb201: CSV of published values, rounded to 6 decimals, sha256 "
    assert out.startswith(f"mine: 3 imported from {mine}. {scored}")
    assert "are replaced" not in out
    assert "| **imported** |" in out
    assert "Imported, found with other code" in out
    assert "Preset" not in out
    frame = load(tmp_path / "c").query("dataset == 'cifar10' and split == 'test' and not without_none")
    assert frame["seed"].tolist() == [3, 5, 8]
    assert "mine (imported)        3        0        0        0\n" in harness("status", tmp_path / "c")[1]
    assert frame["index"].tolist() == [9930, 0, 9930]
    assert frame["value"].round(2).tolist()[::2] == [94.36, 94.36]
    assert frame["search_seconds"].tolist()[::2] == [120.5, 99]
    assert frame["search_seconds"].isna().tolist() == [False, True, False]
    assert set(frame["kind"]) == {"imported"}
    header = (tmp_path / "c/report/table.csv").read_text()
    assert "nan" not in header
    # the same again changes nothing, another CSV takes the place of the old one, whose runs are kept
    before = {p: p.read_bytes() for p in (tmp_path / "c").glob("runs/*/*/record.json")}
    assert harness("import", "mine", mine, tmp_path / "c", "--table", table)[0] == 0
    assert {p: p.read_bytes() for p in before} == before
    mine.write_text("seed,cell\n3,17\n")
    code, out, _ = harness("import", "mine", mine, tmp_path / "c", "--table", table)
    said = "seeds 3, 5, 8 that were imported under mine before are replaced; the old ones are in "
    said += str(tmp_path / "c/aside")
    assert (code, said in out.splitlines()) == (0, True)
    aside = sorted((tmp_path / "c/aside").iterdir())
    assert [json.loads((run / "record.json").read_text())["index"] for run in aside] == [9930, 0, 9930]
    assert load(tmp_path / "c")["index"].unique() == [17]  # the CSV is all that the name has
    mine.write_text("seed,cell\n3,18\n")
    said = f"seed 3 that was imported under mine before is replaced; the old one is in {tmp_path / 'c/aside'}"
    assert said in harness("import", "mine", mine, tmp_path / "c", "--table", table)[1].splitlines()


def test_runs_join_a_folder_of_imported_cells(harness, tmp_path, mine):
    """Where nothing was run yet any preset may be."""
    out = tmp_path / "c"
    digits = ["--benchmark", "digits201"]
    assert harness("import", "mine", mine, out, *digits)[0] == 0
    code, stdout, _ = harness("run", "--searchers", "random", "--seeds", 2, *digits, "--preset", "smoke", "--out", out)
    assert code == 0
    assert "| random | 2 |" in stdout
    assert "| mine | 3 |" in stdout
    code, _, err = harness("run", "--searchers", "random", "--seeds", 2, *digits, "--preset", "small", "--out", out)
    assert (code, "another preset (smoke, not small)" in err) == (2, True)


def test_a_folder_without_records_has_no_table(harness, table, tmp_path, mine):
    assert harness("import", "mine", mine, tmp_path / "c", "--table", table)[0] == 0
    shutil.rmtree(tmp_path / "c/runs")
    code, _, err = harness("table", tmp_path / "c")
    assert (code, err.startswith(f"error: no runs in {tmp_path / 'c'} yet")) == (2, True)


def test_a_searcher_s_name_and_another_data_set_are_refused(harness, table, tmp_path, mine):
    code, _, err = harness("import", "gicso", mine, tmp_path / "c", "--table", table)
    assert (code, "'gicso' is a searcher; give" in err) == (2, True)
    assert harness("import", "mine", mine, tmp_path / "c", "--table", table)[0] == 0
    code, _, err = harness("import", "other", mine, tmp_path / "c", "--table", table, "--search-dataset", "cifar100")
    assert (code, err.rstrip().endswith("searches on cifar10")) == (2, True)
    code, _, err = harness(
        "import", "m", mine, tmp_path / "d", "--benchmark", "digits201", "--search-dataset", "cifar10"
    )
    assert (code, "--search-dataset 'cifar10'" in err) == (2, True)
    mine.write_text("seed,cell,search_seconds\n0,1,1e13\n")
    assert harness("import", "mine", mine, tmp_path / "e", "--table", table)[0] == 2
    mine.write_text("seed,cell,cell\n0,1,2\n")
    code, _, err = harness("import", "mine", mine, tmp_path / "e", "--table", table)
    assert (code, "column 'cell' is there twice" in err) == (2, True)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["c", "mine.csv"]


def test_imported_cells_stand_beside_runs_and_are_tested_against_them(harness, table, tmp_path, mine):
    folder = tmp_path / "c"
    run = ("run", "--searchers", "random", "--seeds", 3, "--benchmark", "nb201", "--out", folder, "--table", table)
    assert harness(*run)[0] == 0
    code, out, _ = harness("import", "mine", mine, folder, "--table", table)
    assert code == 0
    assert "| mine | 3 |" in out
    tests = pd.read_csv(folder / "report/comparisons.csv")
    assert set(zip(tests["a"], tests["b"], strict=True)) == {("random", "mine")}
    assert harness("import", "random", mine, folder, "--table", table)[0] == 2
    # the campaign goes on with them in it
    assert harness(*run[:4], 4, *run[5:])[0] == 0
    frame = load(folder)
    assert set(frame["label"]) == {"random", "mine"}
    campaign = store.load_campaign(folder)
    assert set(frame["benchmark"]) == {campaign.benchmark}
    assert set(frame["table_sha256"]) == {campaign.table_sha256}
    assert not frame["at_chance"].any()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("seed,cell\n1000000000000000,1\n", "line 2: seed '1000000000000000': seeds are whole numbers from 0 to 9999"),
        ("seed,cel\n0,1\n", "unknown column 'cel'; did you mean 'cell'"),
        ("cell\n1\n", "no column 'seed'"),
        ("seed,cell\n", "no rows"),
        ("", "no column 'seed'"),
        ("seed,cell\n0,1\n0,2\n", "line 3: seed 0 is given twice"),
        ("seed,cell\n-1,1\n", "line 2: seed '-1'"),
        ("seed,cell\n0,15625\n", "line 2: cell index 15625"),
        ("seed,cell\n0,|nor_conv_3x3~0|\n", "line 2: cell"),
        ("seed,cell\n0,4,2,1,2,1,1\n", "line 2: expected 2 values; a cell with commas needs quotes"),
        ("seed,cell,search_seconds\n0,1,soon\n", "line 2: search_seconds 'soon'"),
        ("seed,cell,search_seconds\n0,1,nan\n", "line 2: search_seconds 'nan'"),
        ("seed,cell,search_seconds\n0,1,-5\n", "line 2: search_seconds '-5': expected seconds"),
        ("seed,cell,search_seconds\n0,1,1764278511.3\n", "over 30 years: a time of day, counted from 1970?"),
        ("seed,cell,search_seconds\n0,1,1764278511300\n", "over 30 years"),
        ("seed,cell\n0,012104\n", "line 2: cell '012104': has two readings"),
        ("seed,cell\n0,64:64:64:64:64\n", "a cell of the size space"),
        ("seed,cell,search_dataset\n0,1,cifar100\n", "line 2: searched on 'cifar100'"),
    ],
)
def test_what_is_wrong_in_a_file_is_named_before_anything_is_written(harness, table, tmp_path, text, message):
    path = tmp_path / "bad.csv"
    path.write_text(text)
    code, _, err = harness("import", "mine", path, tmp_path / "c", "--table", table)
    assert code == 2
    assert message in err
    assert err.count("\n") == 1
    assert not (tmp_path / "c").exists()


@pytest.mark.parametrize("name", ["", "../x", "a b", ".", "x" * 65])
def test_names_that_are_no_folder(harness, table, tmp_path, mine, name):
    code, _, err = harness("import", name, mine, tmp_path / "c", "--table", table)
    assert code == 2
    assert "letters, digits" in err


def test_what_has_no_end_is_no_file_of_cells(harness, table, tmp_path):
    code, _, err = harness("import", "mine", "/dev/zero", tmp_path / "c", "--table", table)
    assert (code, "/dev/zero: more than such a file can have (64 MB)" in err) == (2, True)
