"""Streams that cannot show a text, that nobody reads, that are narrow: the real command in a process of its own."""

import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios
from pathlib import Path

import pytest
from support.records import records

REFERENCE = Path(__file__).parents[1] / "results/reference"
PROGRAM = [sys.executable, "-m", "harness"]
RUN = [
    "run",
    "--benchmark",
    "digits201",
    "--preset",
    "smoke",
    "--searchers",
    "random",
    "--seeds",
    "2",
    "--workers",
    "1",
]


def command(*arguments, env=(), **more):
    return subprocess.run(
        [*PROGRAM, *map(str, arguments)], env={**os.environ, **dict(env)}, capture_output=True, check=False, **more
    )


@pytest.mark.parametrize(
    ("env", "encoding", "spread"),
    [
        ({"PYTHONIOENCODING": "ascii"}, "ascii", "?"),
        ({"PYTHONIOENCODING": "latin-1:strict"}, "latin-1", "±"),
        ({"PYTHONIOENCODING": "cp437"}, "cp437", "±"),
        ({"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}, "ascii", "?"),
        ({"LC_ALL": "POSIX"}, "utf-8", "±"),
    ],
)
def test_what_an_encoding_lacks_is_replaced(env, encoding, spread):
    done = command("table", REFERENCE / "digits201-small", env=env)
    assert (done.returncode, done.stderr) == (0, b"")
    assert f"| darts | 20 | 65.42 {spread} 17.51 | 64.64 {spread} 18.00 |" in done.stdout.decode(encoding)


def test_a_campaign_and_its_help_and_errors_in_ascii(tmp_path):
    ascii_only = {"PYTHONIOENCODING": "ascii"}
    done = command(*RUN, "--out", tmp_path / "ünïcödé", env=ascii_only)
    assert done.returncode == 0
    assert "random | 2 |" in done.stdout.decode("ascii")
    assert done.stderr.decode("ascii").endswith("report/report.html\n")
    assert command("run", "--help", env=ascii_only).stdout.decode("ascii")
    done = command("table", os.fsdecode(b"caf\xe9"), env=ascii_only)
    assert (done.returncode, done.stderr.decode("ascii")[:17]) == (2, "error: caf?: no c")


@pytest.mark.parametrize("both", [False, True])
@pytest.mark.parametrize("arguments", [["list", "searchers"], RUN], ids=["list", "run"])
def test_a_pipe_that_nobody_reads_ends_nothing(tmp_path, arguments, both):
    more = ["--out", str(tmp_path / "out")] if arguments is RUN else []
    reading, writing = os.pipe()
    os.close(reading)
    stderr = writing if both else subprocess.PIPE
    done = subprocess.run([*PROGRAM, *arguments, *more], stdout=writing, stderr=stderr, check=False)
    os.close(writing)
    assert done.returncode == 0
    assert b"Error" not in (done.stderr or b"")
    if more:
        assert (tmp_path / "out/report/report.html").is_file()


def test_streams_closed_from_the_start(tmp_path):
    quoted = " ".join([*PROGRAM, *RUN, "--out", str(tmp_path / "out"), ">&- 2>&-"])
    assert subprocess.run(["sh", "-c", quoted], check=False).returncode == 0
    assert (tmp_path / "out/report/report.html").is_file()


@pytest.mark.parametrize("searcher", ["random", "darts"])
def test_a_stdout_closed_from_the_start_costs_no_run_of_a_worker(tmp_path, searcher):
    """A search that trains asks oneDNN for its words, which stand on stdout alone."""
    more = ["--searchers", searcher, "--workers", "2", "--out", str(tmp_path / "out"), ">&-"]
    done = subprocess.run(["sh", "-c", " ".join([*PROGRAM, *RUN, *more])], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert [record["status"] for record in records(tmp_path / "out").values()] == ["done", "done"]


def test_a_worker_s_searcher_may_print_what_the_encoding_lacks(tmp_path):
    program = [sys.executable, Path(__file__).with_name("support") / "faulty.py", *RUN]
    more = ["--searchers", "talking", "--workers", "2", "--out", tmp_path / "out"]
    env = os.environ | {"PYTHONIOENCODING": "ascii"}
    done = subprocess.run([*program, *more], env=env, capture_output=True, check=False)
    assert (done.returncode, b"?\n" in done.stdout) == (0, True), done.stderr
    assert [record["status"] for record in records(tmp_path / "out").values()] == ["done", "done"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_full_disk_under_stdout_is_reported_and_under_stderr_is_not(tmp_path):
    with open("/dev/full", "wb") as full:
        assert subprocess.run([*PROGRAM, *RUN, "--out", tmp_path], stderr=full, check=False).returncode == 0
        done = subprocess.run([*PROGRAM, "list", "presets"], stdout=full, stderr=subprocess.PIPE, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith(b"error: [Errno 28] No space left on device")
    assert b"Traceback" not in done.stderr


def on_terminal(columns, *arguments):
    """What a terminal of so many columns is sent, and the exit code."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 30, columns, 0, 0))
    env = {k: v for k, v in os.environ.items() if k not in ("COLUMNS", "LINES")} | {"TERM": "xterm"}
    process = subprocess.Popen([*PROGRAM, *map(str, arguments)], stdin=theirs, stdout=theirs, stderr=theirs, env=env)
    os.close(theirs)
    parts = []
    while True:
        try:
            part = os.read(ours, 65536)
        except OSError:  # the other end is closed
            break
        if not part:
            break
        parts.append(part)
    os.close(ours)
    return b"".join(parts).decode(), process.wait()


def test_a_campaign_on_a_terminal_of_40_columns_ends_with_table_and_page(tmp_path):
    text, code = on_terminal(40, *RUN, "--out", tmp_path / "out")
    assert (code, "Traceback" in text) == (0, False)
    *_, mean, page = text.rstrip().splitlines()
    assert mean.startswith("mean of all c…")
    assert page.endswith("report/report.html")
    assert on_terminal(40, "run", "--help")[1] == 0
