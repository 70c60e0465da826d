"""A real Slurm of one node on this machine: the same records, tasks that reach their time limit, and no waiting."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from support.planned import plan_for
from support.records import records, timeless

from benchmarks.digits201 import benchmark
from harness import store
from harness.executors import slurm as executor
from harness.status import status

pytestmark = pytest.mark.xdist_group("cluster")  # one cluster at a time
RUN = [sys.executable, "-c", "from harness.cli import main; main()", "run"]
SCRIPT = Path(__file__).with_name("slurm.sh")


@pytest.fixture(scope="module")
def slurm(tmp_path_factory):
    """Environment in which Slurm's commands find the test's own server."""
    pytest.importorskip("submitit", reason="the extra [slurm] is not installed")
    if shutil.which("slurmctld") is None or os.getuid() != 0:
        pytest.skip("no Slurm here, or not root: tests/cluster/slurm.sh start DIR installs it")
    folder = tmp_path_factory.mktemp("slurm")
    started = subprocess.run(["bash", SCRIPT, "start", folder], capture_output=True, text=True, check=True)
    variable, _, value = started.stdout.splitlines()[-1].removeprefix("export ").partition("=")
    yield os.environ | {variable: value}
    subprocess.run(["bash", SCRIPT, "stop", folder], check=True)


def command(out, *more):
    return [*RUN, *map(str, ["--benchmark", "digits201", "--out", out, *more])]


def test_records_are_those_of_a_local_campaign(slurm, tmp_path):
    common = ["--searchers", "random,evolution", "--seeds", 4]
    subprocess.run(command(tmp_path / "local", *common), check=True, capture_output=True)
    array = command(tmp_path / "slurm", *common, "--executor", "slurm", "--workers", 2)
    done = subprocess.run(array, env=slurm, check=False, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert "sacct" not in done.stderr
    found = [{k: timeless(r) for k, r in records(tmp_path / name).items()} for name in ("local", "slurm")]
    assert found[0] == found[1]


def test_a_task_at_its_time_limit_goes_on_from_its_checkpoint(slurm, tmp_path):
    """Submitted without waiting; the signal of the coming limit is sent by hand, since limits are minutes."""
    longer = "gicso[warmup=1,exploration=0,stability=0,paths_per_batch=1]"  # 40 steps, some ten seconds
    common = ["--preset", "small", "--searchers", longer, "--seeds", 1]
    subprocess.run(command(tmp_path / "local", *common), check=True, capture_output=True)
    out = tmp_path / "slurm"
    array = command(out, *common, "--executor", "slurm", "--workers", 1, "--no-wait")
    done = subprocess.run(array, env=slurm, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    job = done.stderr.partition("job ")[2].split()[0]
    limit = time.monotonic() + 300
    while not (claims := list(out.glob("runs/*/claim-0"))):  # the folder itself: a command would come too late
        assert time.monotonic() < limit
        time.sleep(0.02)
    folder = claims[0].with_name("seed-0")
    said = status(out)  # in this process, as a command would come too late
    assert "running" in said
    assert ", by " in said
    trace = folder / "trace.jsonl"
    while len(before := trace.read_text().splitlines() if trace.exists() else []) < 12:
        assert time.monotonic() < limit
        time.sleep(0.02)
    assert not (folder / "checkpoint.pt").exists()  # one is written every half minute, and at the end of a task
    subprocess.run(["scancel", "--signal=USR2", job], env=slurm, check=True)
    while not (folder / "checkpoint.pt").exists():
        assert time.monotonic() < limit, "".join(p.read_text() for p in out.glob("slurm/*.out"))
        time.sleep(0.02)
    while not (folder / "record.json").exists():
        assert time.monotonic() < limit, "".join(p.read_text() for p in out.glob("slurm/*.out"))
        time.sleep(0.5)  # Slurm lets a requeued job rest for two minutes
        subprocess.run(["scontrol", "update", f"jobid={job}", "starttime=now"], env=slurm, capture_output=True)
    # it went on: the first steps' times are those of the first task
    assert trace.read_text().splitlines()[:10] == before[:10]
    found = [{k: timeless(r) for k, r in records(folder).items()} for folder in (tmp_path / "local", out)]
    assert found[0] == found[1]
    assert status(out).splitlines()[-1].split() == ["all", "1", "0", "0", "0"]


def test_what_is_wrong_is_said_before_anything_is_queued(slurm, harness, tmp_path, monkeypatch):
    for name, value in slurm.items():
        monkeypatch.setenv(name, value)
    common = ["run", "--benchmark", "digits201", "--searchers", "random", "--seeds", 1, "--out", tmp_path / "o"]
    for more, message in (
        (["--executor", "slurm", "--slurm-partition", "nosuch"], "sbatch refused the array"),
        (["--executor", "slurm", "--gpus", "0.5"], "Slurm gives whole GPUs"),
        (["--executor", "slurm", "--slurm", "account="], "expected an option of sbatch"),
        (["--executor", "slurm", "--cpus", "1.5"], "Slurm gives whole CPUs"),
        (["--slurm-partition", "main"], "belongs to --executor slurm"),
        (["--no-wait"], "belongs to --executor slurm"),
    ):
        code, _, err = harness(*common, *more)
        assert code == 2, err
        assert message in err


def test_an_array_s_task_begins_with_streams_that_can_show_everything(tmp_path, monkeypatch):
    plan = plan_for(benchmark.open_digits201(), "digits201", "random")
    where = store.run_folder(tmp_path, plan.label, plan.seed)
    store.write_json(tmp_path / "jobs.json", [[plan.to_json(), str(where)]])
    order = []
    monkeypatch.setattr(executor, "open_streams", lambda: order.append("streams"))
    monkeypatch.setattr(executor.local, "here", lambda jobs, report, patient: order.append((jobs, patient)))
    executor.Task(str(tmp_path / "jobs.json"), 1)(0)
    assert order == ["streams", ([(plan, where)], False)]
