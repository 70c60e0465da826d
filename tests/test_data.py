"""Tables converted and described, whatever file is given."""

import gzip
import os
import shlex
import shutil
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from benchmarks.nb201.benchmark import SCORES
from benchmarks.nb201.table_file import load_table, save_table

HERE = Path(__file__).parent


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
