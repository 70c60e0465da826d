"""Single runs: stopped ones go on to the same record, and what fails is said in one line."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
from support.planned import plan_for
from support.records import records, timeless
from support.searching import make_task

from benchmarks.digits201 import benchmark
from benchmarks.digits201.benchmark import open_digits201
from benchmarks.errors import UserError
from benchmarks.nb201 import cell as C
from benchmarks.nb201.benchmark import open_nb201
from harness import campaign, jobs, options, runner, scoring, store
from harness.specs import parse_specs
from searchers import base
from searchers.random_search import RandomSearch

DIGITS = ["--benchmark", "digits201"]
SLOW = "import harness.jobs as j; j.CHECKPOINT_SECONDS = j.SNAPSHOT_SECONDS = 0; from harness.cli import main; main()"


def one_shot(out):
    arguments = ["--preset", "smoke", "--searchers", "darts,gicso", "--seeds", "1", "--workers", "1", "--out", str(out)]
    return [sys.executable, "-c", SLOW, "run", *DIGITS, *arguments]


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory):
    out = tmp_path_factory.mktemp("campaign") / "undisturbed"
    subprocess.run(one_shot(out), check=True, capture_output=True)
    return {key: timeless(record) for key, record in records(out).items()}


@pytest.mark.case(63)
@pytest.mark.xdist_group("resume")  # in one process: they share an undisturbed campaign
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


@pytest.mark.xdist_group("resume")  # in one process: they share an undisturbed campaign
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


@pytest.mark.xdist_group("resume")  # in one process: they share an undisturbed campaign
def test_traces_of_one_shot_runs(undisturbed):
    assert set(undisturbed) == {("darts", 0), ("gicso", 0)}
    for record in undisturbed.values():
        assert record["kind"] == "one-shot"
        assert record["simulated_seconds"] == 0
        assert record["steps"] == 2
        assert record["train_images"] >= 640


def test_an_exit_of_slurm_s_or_ray_s_is_no_failure():
    handler = {"__name__": "submitit.core.job_environment"}
    exec("def leave():\n    raise SystemExit(-1)", handler)
    with pytest.raises(SystemExit) as error:
        handler["leave"]()
    assert jobs.by_executor(error.value)
    with pytest.raises(SystemExit) as error:
        raise SystemExit
    assert not jobs.by_executor(error.value)


def test_alphas_are_traced_with_the_cell_without_none():
    """`none` first, then nor_conv_3x3."""
    alphas = np.tile([3.0, 0.0, 1.0, 2.0, 0.5], (6, 1))
    line = runner.trace_line(runner.Progressed(1, 0.25), base.Step((0,) * 6, alphas), make_task())
    assert (line["index"], line["index_without_none"]) == (C.index((0,) * 6), C.index((3,) * 6))
    assert line["alphas"] == alphas.tolist()


class Diverging(RandomSearch):
    """A searcher of somebody else's whose third score is no number."""

    name = "diverging"

    def step(self):
        step = super().step()
        return base.Step(step.cell, metrics={"score": np.nan if self.task.evaluations == 3 else 0.5})


def test_a_run_whose_scores_diverge_is_failed_in_one_line(tmp_path, monkeypatch):
    monkeypatch.setitem(base.SEARCHERS, "diverging", f"{__name__}:Diverging")
    plan = plan_for(open_digits201(), "digits201", "diverging")
    record = runner.run(plan, tmp_path / "runs/diverging/seed-0")
    assert (record.status, record.cell) == ("failed", None)
    assert record.error == "score is nan in step 3"


def test_a_metric_that_is_not_finite_is_left_out_of_the_trace(tmp_path):
    metrics = {
        "norm": float("nan"),
        "ratio": float("inf"),
        "diversity": 0.5,
        "swarm_diversity": [0.5, float("nan")],
        "phase": "warm-up",
        "queried": 3,
        "index": 7,  # another's name: a metric takes nobody's place
    }
    line = runner.trace_line(runner.Progressed(1, 0.25), base.Step(C.from_index(284), metrics=metrics), make_task())
    kept = {name: line[name] for name in metrics if name in line}
    assert kept == {"diversity": 0.5, "phase": "warm-up", "queried": 3, "index": 284}
    trace = store.Trace(tmp_path / "trace.jsonl")
    trace.append(line)
    trace.close()
    (again,) = store.read_trace(tmp_path / "trace.jsonl")
    assert again == line


@pytest.mark.parametrize(
    ("error", "hinted"),
    [
        (MemoryError("Unable to allocate 9 GiB"), True),
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"), True),
        (RuntimeError("[enforce fail at alloc_cpu.cpp:125] DefaultCPUAllocator: can't allocate memory"), True),
        (RuntimeError("shapes do not fit"), False),
        (UserError("no allocation of seeds"), False),
    ],
)
def test_out_of_memory_says_what_would_help(error, hinted):
    said = jobs.one_line(error)
    assert ("fewer --workers, --precision bf16 or a smaller --preset" in said) == hinted
    assert "\n" not in said


def test_a_full_disk_is_no_result_of_the_search(tmp_path, monkeypatch):
    """The run is reported as failed, nothing of it is kept, and it is still to do."""
    plan = plan_for(benchmark.open_digits201(), "digits201", "random")
    write = store.write_bytes

    def full(path, data):
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(store, "write_bytes", full)
    folder = store.run_folder(tmp_path, "random", 0)
    record = runner.run(plan, folder)
    assert record.status == "failed"
    assert "No space left on device" in record.error
    assert not (folder / "record.json").exists()
    monkeypatch.setattr(store, "write_bytes", write)
    assert runner.run(plan, folder).finished


def test_a_machine_that_finds_another_table_makes_no_run(tmp_path):
    plan = plan_for(benchmark.open_digits201(), "digits201", "random")._replace(table_sha256="0" * 64)
    record = runner.run(plan, store.run_folder(tmp_path, "random", 0))
    assert record.status == "failed"
    assert "another table here" in record.error


def test_a_stop_after_the_last_step_loses_no_step(tmp_path, monkeypatch):
    """The answer is worked out after the search; a task that ends there goes on from its last step."""
    plan = plan_for(benchmark.open_digits201(), "digits201", "random")
    folder = store.run_folder(tmp_path, "random", 0)
    monkeypatch.setattr(jobs, "SNAPSHOT_SECONDS", -1)
    answer = runner._answer

    def stopped(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(runner, "_answer", stopped)
    with pytest.raises(KeyboardInterrupt):
        runner.run(plan, folder)
    before = (folder / "trace.jsonl").read_bytes()
    monkeypatch.setattr(runner, "_answer", answer)
    record = runner.run(plan, folder)
    assert record.status == "done"
    assert (folder / "trace.jsonl").read_bytes() == before  # times and all
    assert not (folder / "checkpoint.pt").exists()


def test_a_run_says_where_it_was_begun(tmp_path, monkeypatch):
    """Stopped under one revision, ended under another: the record names both; a commit meanwhile changes nothing."""
    bench = benchmark.open_digits201()
    plan = plan_for(bench, "digits201", "gicso")
    versions = iter(["one", "two"])
    monkeypatch.setattr(runner, "environment", lambda device, uses_torch: {"git": next(versions)})
    monkeypatch.setattr(jobs, "SNAPSHOT_SECONDS", 0)

    def stopped(event):
        raise KeyboardInterrupt

    folder = store.run_folder(tmp_path, plan.label, 0)
    with pytest.raises(KeyboardInterrupt):
        runner.run(plan, folder, stopped)
    assert (folder / "checkpoint.pt").exists()
    record = runner.run(plan, folder)
    assert (record.begun_in, record.environment) == ({"git": "one"}, {"git": "two"})


@pytest.mark.case(14)
def test_scoring_is_tried_before_the_search(table, tmp_path, monkeypatch):

    bench = open_nb201(table, (tmp_path,))
    preset = options.resolve_preset(bench, "small")
    setting = options.Setting(bench, table, (), "cifar10", preset, "fp32", "cpu", 1)
    (plan,) = campaign.plans(setting, parse_specs("random"), [0])

    def broken(*arguments, **more):
        raise UserError("no such query")

    monkeypatch.setattr(scoring, "scores", broken)
    monkeypatch.setattr(runner, "_begin", lambda *arguments: pytest.fail("the search began"))
    record = runner.run(plan, tmp_path / "runs/random/seed-0")
    assert (record.status, record.error) == ("failed", "no such query")
