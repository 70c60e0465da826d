"""Signals that stop a command, sent to the real command in a process of its own."""

import os
import signal
import subprocess
import sys
import time

import pytest
from support.records import records

COMMAND = "from harness.__main__ import main; main()"
SMALL = ["--benchmark", "digits201", "--preset", "smoke"]
# Sends the process a signal when a module is about to be imported for the first time: the same moment each time.
AT_IMPORT = """
import os, signal, sys
class Moment:
    def find_spec(self, name, path=None, target=None):
        if name == {module!r}:
            sys.meta_path.remove(self)
            os.kill(os.getpid(), signal.{name})
sys.meta_path.insert(0, Moment())
"""


def ended(process, seconds=60):
    out, err = process.communicate(timeout=seconds)
    assert "Traceback" not in err
    return process.returncode, out, err


def start(*arguments, code=COMMAND, **more):
    program = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.Popen(program, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **more)


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("typer", "SIGINT"),
        ("harness.conduct", "SIGINT"),
        ("torch", "SIGINT"),
        ("torch", "SIGHUP"),
        ("numpy", "SIGTERM"),
    ],
)
def test_until_work_begins_a_signal_ends_the_process_at_once(tmp_path, module, name):
    code = AT_IMPORT.format(module=module, name=name) + COMMAND
    process = start("run", *SMALL, "--searchers", "darts", "--seeds", 1, "--out", tmp_path / "out", code=code)
    assert ended(process)[0] == -getattr(signal, name)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["SIGINT", "SIGHUP"])
def test_a_signal_while_the_report_is_prepared_keeps_the_runs(tmp_path, name):
    """matplotlib is imported after the last run: between a record and the report nothing is lost, exit code 130."""
    code = AT_IMPORT.format(module="matplotlib", name=name) + COMMAND
    arguments = ["run", *SMALL, "--searchers", "random", "--seeds", "2", "--workers", "1", "--out", tmp_path / "out"]
    code, _, err = ended(start(*arguments, code=code))
    assert code == 130
    assert "the same command again continues from here" in err
    assert len(records(tmp_path / "out")) == 2


def test_signals_that_were_inherited_as_ignored_stop_nothing(tmp_path):
    """As under nohup; the whole process group hears them, workers too, from the first line of output to the end."""

    def ignore():
        for number in (signal.SIGHUP, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)

    arguments = ["run", *SMALL, "--searchers", "random,evolution", "--seeds", "2", "--workers", "2"]
    process = start(*arguments, "--out", tmp_path / "out", preexec_fn=ignore, start_new_session=True)
    limit = time.monotonic() + 60
    while process.poll() is None and time.monotonic() < limit:
        for number in (signal.SIGHUP, signal.SIGINT):
            os.killpg(process.pid, number)
        time.sleep(0.05)
    assert ended(process)[0] == 0
    assert [record["status"] for record in records(tmp_path / "out").values()] == ["done"] * 4


def test_a_closed_terminal_stops_parent_and_workers_in_good_order(tmp_path):
    """SIGHUP goes to the whole group, also to a worker that has just been started: no run is lost or failed."""
    arguments = ["run", *SMALL, "--searchers", "random,evolution", "--seeds", "300", "--workers", "2"]
    process = start(*arguments, "--out", tmp_path / "out", start_new_session=True)
    while "runs, 0 done" not in (line := process.stderr.readline()):
        assert line
    os.killpg(process.pid, signal.SIGHUP)
    code, _, err = ended(process)
    assert code == 130
    assert "the same command again continues from here" in err
    assert "FAILED" not in err
    assert all(record["status"] == "done" for record in records(tmp_path / "out").values())


def test_a_worker_starts_with_the_terminal_s_signals_blocked():
    code = """
import signal, subprocess, sys
from benchmarks.processes import uninterrupted
show = "import signal; print(sorted(signal.pthread_sigmask(signal.SIG_BLOCK, [])))"
with uninterrupted():
    inside = subprocess.run([sys.executable, "-c", show], capture_output=True, text=True).stdout
outside = subprocess.run([sys.executable, "-c", show], capture_output=True, text=True).stdout
assert "SIGINT" in inside and "SIGHUP" in inside and "SIGTERM" not in inside, inside
assert outside == "[]\\n", outside
handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
assert handlers == [signal.default_int_handler, signal.SIG_DFL, signal.SIG_DFL]
try:
    with uninterrupted():
        signal.raise_signal(signal.SIGHUP)
        reached = True
except KeyboardInterrupt:
    print("then stopped", reached)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "then stopped True\n"


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_a_pool_s_work_is_not_waited_for_after_a_signal(name):
    """Its worker sleeps for an hour; the terminal's signals go to both."""
    code = """
import time
from benchmarks.processes import interrupt, on_stop, process_pool, start_worker
on_stop(interrupt)
try:
    with process_pool(1, start_worker) as pool:
        slept = [pool.submit(time.sleep, seconds) for seconds in (0, 3600)]
        slept[0].result()
        print("at work", flush=True)
        slept[1].result()
except KeyboardInterrupt:
    print("stopped")
"""
    process = start(code=code, start_new_session=True)
    assert process.stdout.readline() == "at work\n"
    send = os.kill if name == "SIGTERM" else os.killpg
    send(process.pid, getattr(signal, name))
    assert ended(process) == (0, "stopped\n", "")


def test_a_closed_terminal_stops_a_build_and_keeps_its_file(tmp_path):
    """Its workers and Python's own helper process hear the signal as well."""
    table = tmp_path / "digits.npz"
    process = start("data", "build", "digits201", "--out", table, "--workers", 2, start_new_session=True)
    while not table.exists():
        assert process.poll() is None
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGHUP)
    code, _, err = ended(process)
    assert (code, err) == (130, "stopped; the same command again continues from here\n")
    assert table.exists()
