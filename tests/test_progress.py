"""What is said of the time that is left."""

import queue

import pytest
from support.campaigns import make_record
from support.planned import plans_for

from benchmarks.digits201 import benchmark
from harness import progress
from harness.schema import Record


@pytest.fixture
def clock(monkeypatch):
    now = [1000.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def test_a_resumed_run_s_earlier_epochs_are_not_this_command_s_work(clock, capsys):
    """Of 40 epochs 30 were done before; then one a minute: after two of them 8 are left, and a whole other run."""
    plans = plans_for(benchmark.open_digits201(), "digits201", "gicso", [0, 1], preset="small")
    shown = progress.Progress(plans)
    shown.report(0, {"started": True})
    for epoch in (31, 32):
        clock[0] += 60
        shown.report(0, {"line": {"step": epoch - 1, "index": 284}})
    assert "epoch 32/40, cell 284, 8 min 00 s left" in capsys.readouterr().err
    assert shown.time_left() == f"about {progress.duration(48 * 60)} left"


def test_a_fresh_run_s_first_epoch_counts(clock):
    plans = plans_for(benchmark.open_digits201(), "digits201", "gicso", [0], preset="small")
    shown = progress.Progress(plans)
    clock[0] += 30
    shown.report(0, {"line": {"step": 0, "index": 284}})
    assert shown.time_left() == f"about {progress.duration(39 * 30)} left"


def test_until_something_is_over_what_is_waited_for_is_said_again_and_again(clock, monkeypatch):
    monkeypatch.setattr(progress, "WAITING_SECONDS", 0.001)
    said = queue.Queue()

    def say(text):
        clock[0] += 5
        said.put(text)

    with progress.Waiting("loading", say) as waiting:
        assert [said.get(timeout=10) for _ in range(3)] == ["loading, 0 s", "loading, 5 s", "loading, 10 s"]
    assert waiting.over.is_set()


@pytest.mark.parametrize(
    "event",
    [{"line": {"step": 0, "index": 284}}, {"record": Record(**make_record("gicso", 0, 93.0))}],
    ids=["line", "record"],
)
def test_waiting_is_over_when_the_first_run_reports_and_that_is_told_at_once(clock, capsys, event):
    """Also where it was said a moment before that this is waited for."""
    with progress.Progress(plans_for(benchmark.open_digits201(), "digits201", "gicso", [0, 1])) as shown:
        shown.report(0, {"started": True})
        assert not shown.waiting.over.is_set()
        assert capsys.readouterr().err == ""
        shown.waiting.say("waiting for the first run's first step, 5 s")
        assert capsys.readouterr().err == "waiting for the first run's first step, 5 s\n"
        shown.report(0, event)
        assert shown.waiting.over.is_set()
    assert "gicso seed 0: " in capsys.readouterr().err
