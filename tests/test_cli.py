"""What the commands say, also of bad input: one line and exit code 2."""

import gzip
import json
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import pytest
import torch

from benchmarks.digits201 import build
from benchmarks.errors import UserError
from benchmarks.nb201.benchmark import PRESETS, SCORES, open_nb201
from benchmarks.nb201.table_file import load_table, save_table
from benchmarks.registry import choose

HERE = Path(__file__).parent


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--searchers", "random", "--seeds", "0"], "--seeds 0"),
        (["--searchers", "random", "--seeds", "1", "--shard", "3/2"], "--shard 3/2: the first number"),
        (["--searchers", "random", "--seeds", "1", "--shard", "half"], "expected I/N"),
        (["--searchers", "darts", "--seeds", "1"], "cifar-10-batches-py"),
        (["--searchers", "random", "--seeds", "1", "--preset", "smal"], "did you mean 'small'"),
        (["--searchers", "random", "--seeds", "1", "--search-dataset", "cifar"], "did you mean 'cifar10'"),
        (["--searchers", "darts", "--seeds", "1", "--device", "tpu"], "expected auto, cpu, cuda"),
        (["--searchers", "darts", "--seeds", "1", "--device", "cpu:"], "expected auto, cpu, cuda"),
        (["--searchers", "darts", "--seeds", "1", "--gpus", "1"], "--gpus belongs to --executor ray or slurm"),
        (["--searchers", "random", "--seeds", "1", "--data", "/no/such"], "--data /no/such: no such folder"),
        (["--searchers", "random", "--seeds", "1", "--table", "/no/such.npz"], "/no/such.npz"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(harness, table, tmp_path, arguments, message):
    defaults = {"--table": table, "--data": tmp_path, "--out": tmp_path / "out"}
    for name, value in defaults.items():
        if name not in arguments:
            arguments = [*arguments, name, value]
    code, out, err = harness("run", *arguments)
    assert code == 2
    assert out == ""
    assert message in err
    assert len(err.strip().splitlines()) <= 2
    assert "Traceback" not in err
    assert not (tmp_path / "out").exists()  # said before any work


@pytest.mark.parametrize("command", [("report",), ("compare", "no-such-folder")])
@pytest.mark.parametrize("margin", ["inf", "nan", "0", "200"])
def test_a_margin_is_checked_before_any_work(harness, tmp_path, command, margin):
    code, out, err = harness(command[0], tmp_path, *command[1:], "--margin", margin)
    assert (code, out) == (2, "")
    assert err == f"error: --margin {margin}: accuracy points above 0 and below 100, e.g. 0.5\n"


def test_no_cuda_is_said(harness, table, tmp_path):
    if torch.cuda.is_available():
        pytest.skip("there is a CUDA device here")
    code, _, err = harness(
        *["run", "--searchers", "darts", "--seeds", 1, "--device", "cuda"],
        *["--table", table, "--data", tmp_path, "--out", tmp_path / "out"],
    )
    assert code == 2
    assert "finds no CUDA device here; use --device cpu" in err


def test_no_table_anywhere(harness, tmp_path, monkeypatch):
    monkeypatch.setenv("HARNESS_DATA", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    code, _, err = harness("best", "cifar10")
    assert code == 2
    assert str(tmp_path) in err
    assert "harness data convert" in err
    monkeypatch.delenv("HARNESS_DATA")
    assert harness("best", "cifar10")[2].startswith("error: no NAS-Bench-201 table: Give --table PATH, or make one")
    monkeypatch.setenv("HARNESS_DATA", str(tmp_path))
    (tmp_path / "nb201.npz").write_bytes(b"PK")
    code, _, err = harness("best", "cifar10")
    assert code == 2
    assert "nb201.npz: not a benchmark file" in err


@pytest.mark.parametrize(
    ("dataset", "answer"),
    [("cifar10", "6111 94.3733"), ("cifar100", "9930 73.5133"), ("ImageNet16-120", "857 47.3111")],
)
def test_best(harness, table, dataset, answer):
    code, out, _ = harness("best", dataset, "--table", table)
    assert code == 0
    index, value = answer.split()
    assert out.split()[0] == index
    assert f"{value} %" in out
    assert "Scored by nb201: CSV of published values, rounded to 6 decimals, sha256 " in out


def test_show(harness, table, tmp_path):
    for spelling in ("284", "naslib:0,0,1,0,3,1", "1,1,1,0,2,0"):
        code, out, _ = harness("show", spelling, "--table", table)
        assert code == 0
        assert "cell 284\n" in out
        assert "Scored by nb201: CSV of published values, rounded to 6 decimals, sha256 " in out
        assert "0.101306 M parameters" in out
        assert out.count("→") >= 6
        assert "88.7900   mean of 3 trials" in out
    (tmp_path / "nb201.npz").write_bytes(b"PK")  # found without being named, and damaged
    code, _, err = harness("show", "284", "--data", tmp_path)
    assert (code, "nb201.npz: not a benchmark file" in err) == (2, True)
    code, _, err = harness("show", "|nope~0|", "--table", table)
    assert code == 2
    assert "error: cell" in err


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


def test_doctor(harness, table, cifar10_root, monkeypatch):
    monkeypatch.setattr(build, "count_right", lru_cache(build.count_right))  # once for both
    code, out, _ = harness("doctor", "--table", table, "--data", cifar10_root)
    assert code == 0
    assert "BAD" not in out
    assert out.count("trained again") == 3
    assert re.search(r"^ok   processor: .+, .*(bf16 instructions|unknown flags)", out, re.MULTILINE)
    assert "802,426 parameters, 113,951,370 FLOPs; the table says the same" in out
    code, out, _ = harness("doctor", "--table", table, "--data", HERE)
    assert code == 1
    assert "BAD" in out
    monkeypatch.setenv("HARNESS_DATA", str(HERE))
    code, out, _ = harness("doctor", "--table", table)  # for queries no images are needed
    assert (code, "ok   cifar10: " in out) == (0, True)


def test_auto_takes_nb201_where_its_table_is_and_what_is_needed(harness, table, tmp_path, monkeypatch):
    """Imported cells and multi-trial searchers need no images; a supernet does."""
    monkeypatch.setenv("HARNESS_DATA", str(tmp_path))
    (tmp_path / "nb201.csv.gz").symlink_to(table)
    cells = tmp_path / "mine.csv"
    cells.write_text("seed,cell\n0,284\n")
    code, out, err = harness("import", "mine", cells, tmp_path / "new")
    assert code == 0
    assert err.startswith("benchmark nb201: chosen by auto: table found, and no images are needed")
    assert "cifar100 test" in out
    code, out, _ = harness("run", "--searchers", "random", "--seeds", 1, "--out", tmp_path / "out")
    assert (code, out.startswith("benchmark nb201 (chosen by auto: table found")) == (0, True)
    code, out, _ = harness(*["run", "--searchers", "random,darts", "--seeds", 1, "--preset", "smoke"],
                           *["--workers", 1, "--out", tmp_path / "third"])  # fmt: skip
    assert (code, "no cifar10 images; for nb201 give" in out) == (0, True)
    assert out.startswith("benchmark digits201")


def test_auto_looks_for_images_where_nb201_finds_them(table, tmp_path, monkeypatch):
    """Beside the table, and in the folder above it."""
    (tmp_path / "tables").mkdir()
    shutil.copy(table, tmp_path / "tables/nb201.csv.gz")
    assert choose(None, [tmp_path / "tables"], None, images=True)[0] == "digits201"
    (tmp_path / "cifar-10-batches-py").mkdir()
    (tmp_path / "cifar-10-batches-py/data_batch_1").touch()
    assert choose(None, [tmp_path / "tables"], None, images=True)[0] == "nb201"
    monkeypatch.chdir(tmp_path / "tables")
    assert choose(None, [Path(".")], None, images=True)[0] == "nb201"
    with pytest.raises(UserError, match="data_batch_2"):  # there nb201 looks as well
        open_nb201("nb201.csv.gz", ["."]).search_data("cifar10", PRESETS["smoke"])


def test_data_convert_and_info(harness, shared, table, tmp_path):
    code, out, _ = harness("data", "convert", table, tmp_path / "nb201.npz")
    assert code == 0
    code, described, _ = harness("data", "info", tmp_path / "nb201.npz")
    assert code == 0
    assert described.count(out.split("sha256 ")[1].split()[0]) >= 1
    sample = shared / "data/nats-bench-sample/NATS-tss-v1_0-3ffb9-simple"
    code, out, _ = harness("data", "convert", sample, tmp_path / "sample.npz", "--verify")
    assert code == 0
    assert "3 of 15,625 cells" in out
    assert "verified" in out
    assert sorted(p.name for p in tmp_path.iterdir()) == ["nb201.npz", "sample.npz"]
    assert "; of the 3 cells that this table holds" in harness("best", "cifar10", "--table", tmp_path / "sample.npz")[1]
    cells = tmp_path / "few.csv"
    cells.write_text("seed,cell\n0,0\n1,284\n")
    code, out, _ = harness("import", "few", cells, tmp_path / "few", "--table", tmp_path / "sample.npz")
    assert (code, ", 3 of 15,625 cells, sha256 " in out.splitlines()[0]) == (0, True)
    assert "| optimum (of 3 of 15,625 cells) |" in out
    shutil.rmtree(tmp_path / "few")
    cells.unlink()
    code, _, err = harness("data", "convert", table, tmp_path / "third.npz", "--verify")
    assert code == 2
    assert "leave --verify out" in err  # before any work: nothing is left behind
    assert sorted(p.name for p in tmp_path.iterdir()) == ["nb201.npz", "sample.npz"]
    code, _, err = harness("data", "convert", table, HERE / "conftest.py" / "nb201.npz")
    assert code == 2
    assert "cannot be made" in err
    code, _, err = harness("data", "convert", shared / "data/nats-bench-sample/NATS-sss-v1_0-50262-simple", tmp_path)
    assert code == 2
    assert "size" in err
    code, _, err = harness(
        *["run", "--searchers", "random", "--seeds", 1, "--table", tmp_path / "sample.npz"],
        *["--data", tmp_path, "--out", tmp_path / "out"],
    )
    assert code == 2
    assert "convert a complete archive" in err


def test_data_info_ends_on_any_path(tmp_path):
    """In processes of their own, which are ended after a minute: reading these would never end, or never begin."""
    os.mkfifo(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "socket"))
    with open(tmp_path / "padded.csv.gz", "wb") as file:
        file.write(gzip.compress(b"index,arch_str\n"))
        file.truncate(2**40)
    (tmp_path / "loop").symlink_to("loop")
    expected = {
        tmp_path / "pipe": "a pipe; expected a table",
        Path("/dev/zero"): "a device; expected a table",
        tmp_path / "socket": "a socket; expected a table",
        tmp_path / "padded.csv.gz": "larger than 64 MB, not the CSV of published values",
        tmp_path / "loop": "cannot be read",
        tmp_path: "a folder without NATS-Bench files",
    }
    code = (
        "import sys; from harness.cli import main\n"
        "for path in sys.argv[1:]:\n"
        "    sys.argv = ['harness', 'data', 'info', path]\n"
        "    try: main()\n"
        "    except SystemExit as end: print(end.code, file=sys.stderr)\n"
    )
    command = [sys.executable, "-c", code, *map(str, expected)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    lines = done.stderr.splitlines()
    assert lines[1::2] == ["2"] * len(expected)
    for line, (path, message) in zip(lines[::2], expected.items(), strict=True):
        assert line.startswith(f"error: {path}: {message}")


def test_data_info_names_columns_and_a_command_that_works(harness, table, tmp_path):
    folder = tmp_path / "with blank"
    folder.mkdir()
    whole = load_table(table)
    proxy = ("cifar10-valid", "x-valid", 12)
    small = {key: whole.columns[key] for key in (proxy, *SCORES.values())}
    tables = {
        "best": replace(whole, columns=small, train_seconds={}),
        "show": replace(whole, columns={proxy: whole.columns[proxy]}),
    }
    for name, made in tables.items():
        save_table(made, folder / f"{name}.npz")
        code, out, _ = harness("data", "info", folder / f"{name}.npz")
        assert code == 0
        assert "    cifar10-valid  x-valid    12 epochs  15,625 cells with 2 trials; seeds 111, 777, means\n" in out
        (line,) = (line for line in out.splitlines() if line.startswith(f"  next: harness {name} "))
        assert harness(*shlex.split(line.removeprefix("  next: harness ").partition(" (not ")[0]))[0] == 0
    out = harness("data", "info", table)[1]
    assert f"  next: harness run --searchers random --seeds 3 --table {table}\n" in out
    assert "cifar10        ori-test  200 epochs  7,456 cells with 2 trials, 8,169" in out


def test_what_has_no_end_is_no_file_of_cells(harness, table, tmp_path):
    code, _, err = harness("import", "mine", "/dev/zero", tmp_path / "c", "--table", table)
    assert (code, "/dev/zero: more than such a file can have (64 MB)" in err) == (2, True)


def test_debug_shows_the_traceback(harness, tmp_path):
    with pytest.raises(UserError):
        harness("report", tmp_path, "--debug")
