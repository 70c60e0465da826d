"""Stopped one-shot searches go on to the same record."""

import signal
import subprocess
import sys
import time

import pytest
from support.records import records, timeless

from harness import store

pytestmark = pytest.mark.xdist_group("resume")  # in one process: they share an undisturbed campaign

DIGITS = ["--benchmark", "digits201"]
SLOW = "import harness.runner as r; r.CHECKPOINT_SECONDS = r.SNAPSHOT_SECONDS = 0; from harness.cli import main; main()"


def one_shot(out):
    arguments = ["--preset", "smoke", "--searchers", "darts,gicso", "--seeds", "1", "--workers", "1", "--out", str(out)]
    return [sys.executable, "-c", SLOW, "run", *DIGITS, *arguments]


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory):
    out = tmp_path_factory.mktemp("campaign") / "undisturbed"
    subprocess.run(one_shot(out), check=True, capture_output=True)
    return {key: timeless(record) for key, record in records(out).items()}


@pytest.mark.parametrize("with_", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_stopped_search_continues_to_the_same_record(tmp_path, undisturbed, with_):
    out = tmp_path / "killed"
    process = subprocess.Popen(one_shot(out), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    folder = out / "runs/darts/seed-0"
    limit = time.monotonic() + 60
    while not (folder / "checkpoint.pt").exists():
        assert process.poll() is None
        assert time.monotonic() < limit
        time.sleep(0.005)
    process.send_signal(with_)
    start = time.monotonic()
    _, err = process.communicate(timeout=30)
    if with_ is not signal.SIGKILL:
        assert process.returncode == 130
        assert time.monotonic() - start < 2
        assert "the same command again continues" in err
    assert not (folder / "record.json").exists()  # it was in the middle
    assert (folder / "checkpoint.pt").exists()
    done = subprocess.run(one_shot(out), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert {key: timeless(record) for key, record in records(out).items()} == undisturbed
    assert len((folder / "trace.jsonl").read_text().splitlines()) == 2
    assert not list(out.rglob("checkpoint.pt"))


def test_a_damaged_or_foreign_checkpoint_is_set_aside(tmp_path, undisturbed):
    out = tmp_path / "out"
    for label, content in (("darts", b"not a checkpoint"), ("gicso", None)):
        folder = out / "runs" / label / "seed-0"
        folder.mkdir(parents=True)
        if content is None:
            (folder / "checkpoint.pt").write_bytes(store.checkpoint_bytes({"key": "of another run"}))
        else:
            (folder / "checkpoint.pt").write_bytes(content)
    subprocess.run(one_shot(out), check=True, capture_output=True)
    assert {key: timeless(record) for key, record in records(out).items()} == undisturbed
    assert len(list((out / "aside").iterdir())) == 2


def test_traces_of_one_shot_runs(undisturbed):
    assert set(undisturbed) == {("darts", 0), ("gicso", 0)}
    for record in undisturbed.values():
        assert record["kind"] == "one-shot"
        assert record["simulated_seconds"] == 0
        assert record["steps"] == 2
        assert record["train_images"] >= 640
