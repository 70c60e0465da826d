"""Whole campaigns, on digits201 and on the real table: records, resume, order, failures, what a user may get wrong."""

import csv
import gc
import gzip
import json
import os
import signal
import subprocess
import sys
import time
import types
from pathlib import Path

import numpy as np
import pytest
import torch
from records import records, timeless

from benchmarks import images
from benchmarks.base import UserError
from benchmarks.nb201 import cell as C
from benchmarks.nb201 import digits, digits_training
from benchmarks.nb201.benchmark import PRESETS, Benchmark, open_nb201
from harness import campaign, executors, runner, store
from harness.specs import parse_seeds, parse_specs

HERE = Path(__file__).parent
DIGITS = ["--benchmark", "digits201"]

# ----------------------------------------------------------------------------------------- specs and seeds


def test_specs():
    specs = parse_specs("darts, gicso[population={12,24},swarm=cso],random", ["gicso.diversity=0"])
    assert [s.text for s in specs] == [
        "darts",
        "gicso[diversity=0.0,population=12,swarm=cso]",
        "gicso[diversity=0.0,swarm=cso]",
        "random",
    ]
    assert [s.label for s in specs][::3] == ["darts", "random"]
    assert all(s.label.startswith("gicso-") and len(s.label) == 14 for s in specs[1:3])
    assert parse_specs("gicso[population=24]")[0].label == "gicso"  # the default, spelled out
    assert parse_specs("cso[oracle=table]")[0].kind == "multi-trial"


@pytest.mark.parametrize(
    ("text", "overrides", "message"),
    [
        ("darts,,random", [], "an empty name"),
        ("dartz", [], "did you mean 'darts'"),
        ("gicso[population=24", [], "'\\[' is not closed"),
        ("gicso]", [], "unbalanced ']'"),
        ("gicso[population]", [], "expected key=value"),
        ("gicso[populations=24]", [], "did you mean 'population'"),
        ("gicso[population=abc]", [], "population='abc'"),
        ("darts,darts", [], "'darts' is given twice"),
        ("darts", ["gicso.population=12"], "'gicso' is not among the searchers"),
        ("darts", ["alpha_lr=1"], "expected searcher.key=value"),
    ],
)
def test_wrong_specs_are_named(text, overrides, message):
    with pytest.raises(UserError, match=message):
        parse_specs(text, overrides)


def test_seeds():
    assert parse_seeds("5") == [0, 1, 2, 3, 4]
    assert parse_seeds("3,7,11") == [3, 7, 11]
    assert parse_seeds("3,") == [3]
    assert len(set(parse_seeds("500"))) == 500
    for wrong in ("0", "-1", "a", "1,1", "1.5", "", "1,,2", ","):
        with pytest.raises(UserError):
            parse_seeds(wrong)


# ------------------------------------------------------------------------------------------ multi-trial runs


def test_a_campaign_leaves_what_the_contract_says(harness, table, tmp_path):
    out = tmp_path / "with space and ü"
    code, stdout, _ = harness(
        "run", "--searchers", "random,evolution", "--seeds", 3, "--table", table, "--data", tmp_path, "--out", out
    )
    assert code == 0
    assert stdout.startswith("benchmark nb201")
    assert "cannot reach 0.05" in stdout
    found = records(out)
    assert set(found) == {(s, n) for s in ("random", "evolution") for n in range(3)}
    with gzip.open(table, "rt") as file:
        rows = list(csv.DictReader(file))
    columns = {
        ("cifar10", "valid"): "c10valid_val_acc",
        ("cifar10", "test"): "c10_test_acc",
        ("cifar100", "valid"): "c100_val_acc",
        ("cifar100", "test"): "c100_test_acc",
        ("ImageNet16-120", "valid"): "in16_val_acc",
        ("ImageNet16-120", "test"): "in16_test_acc",
    }
    for record in found.values():
        row = rows[record["index"]]
        assert record["cell"] == row["arch_str"]
        assert len(record["scores"]) == 12
        for score in record["scores"]:
            assert score["value"] == float(row[columns[score["dataset"], score["split"]]])
            assert score["trials"] == int(row["n_seeds"])
            assert score["epochs"] == 200
        folder = out / "runs" / record["label"] / f"seed-{record['seed']}"
        trace = [json.loads(line) for line in (folder / "trace.jsonl").read_text().splitlines()]
        assert len(trace) == record["steps"] == record["evaluations"]
        # the searcher's answer, worked out again from what it queried: the best mean of two 12-epoch trainings
        best = max(trace, key=lambda line: line["accuracy"])
        assert record["index"] == best["queried"]
        assert best["accuracy"] == float(rows[best["queried"]]["c10valid_val_acc_12ep"])
        paid = sum(12 * float(rows[line["queried"]]["c10valid_epoch_time_s"]) for line in trace)
        assert record["simulated_seconds"] == pytest.approx(paid)
        assert paid <= 12_000
        changes = [line["index"] for k, line in enumerate(trace) if k == 0 or line["index"] != trace[k - 1]["index"]]
        assert [point["index"] for point in record["trajectory"]] == changes
    head = (out / "report" / "table.csv").read_text().splitlines()[0]
    assert head == (
        "searcher,label,kind,search_dataset,dataset,split,epochs,n,mean,std,median,ci_low,ci_high,ci_level,regret,"
        "mean_without_none,std_without_none,search_seconds,simulated_seconds,evaluations,"
        "iqm,iqm_low,iqm_high,relative_improvement,beaten"
    )
    names = {"table.csv", "table.md", "table.tex", "comparisons.csv", "report.html", "convergence.png", "accuracy.svg"}
    assert names <= {p.name for p in (out / "report").iterdir()}
    saved = json.loads((out / "campaign.json").read_text())
    assert saved["space"]["cifar10"]["test"]["optimum"]["index"] == 6111
    assert saved["space"]["ImageNet16-120"]["test"]["optimum"]["value"] == pytest.approx(47.3111, abs=1e-4)


def test_finished_runs_are_kept_and_order_and_workers_do_not_matter(harness, tmp_path):
    common = ["run", *DIGITS]
    one, two = tmp_path / "one", tmp_path / "two"
    assert harness(*common, "--searchers", "random", "--seeds", 2, "--workers", 1, "--out", one)[0] == 0
    before = {p: p.stat().st_mtime_ns for p in one.glob("runs/*/*/record.json")}
    code, _, err = harness(*common, "--searchers", "random,evolution", "--seeds", 3, "--workers", 1, "--out", one)
    assert code == 0
    assert "6 runs, 2 done, 4 to do" in err
    assert all(p.stat().st_mtime_ns == t for p, t in before.items())
    done = subprocess.run(
        [
            sys.executable,
            HERE / "faulty.py",
            *map(str, [*common, "--searchers", "evolution,random", "--seeds", "2,1,0", "--workers", 2, "--out", two]),
        ],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONHASHSEED": "5"},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    first, second = records(one), records(two)
    assert set(first) == set(second)
    for key in first:
        assert timeless(first[key]) == timeless(second[key])


def test_another_setting_is_another_run_and_another_preset_is_refused(harness, tmp_path):
    out = tmp_path / "out"
    common = ["run", "--seeds", 1, *DIGITS, "--out", out]
    assert harness(*common, "--searchers", "evolution")[0] == 0
    assert harness(*common, "--searchers", "evolution[population=20]")[0] == 0
    assert {spec for spec, _ in records(out)} == {"evolution", "evolution[population=20]"}
    code, _, err = harness(*common, "--searchers", "evolution", "--preset", "smoke")
    assert code == 2
    assert "another preset" in err
    assert "--fresh" in err
    old = records(out)
    assert harness(*common, "--searchers", "evolution", "--preset", "smoke", "--fresh")[0] == 0
    assert records(tmp_path / "out.old-1") == old


def test_fresh_moves_nothing_for_a_command_that_is_wrong(harness, table, tmp_path):
    out = tmp_path / "out"
    common = ["run", "--seeds", 1, "--table", table, "--data", tmp_path, "--out", out]
    assert harness(*common, "--searchers", "random")[0] == 0
    code, _, err = harness(*common, "--searchers", "random,darts", "--fresh")  # no images here
    assert code == 2
    assert "cifar-10-batches-py" in err
    assert len(records(out)) == 1
    assert not (tmp_path / "out.old-1").exists()


def test_the_table_is_opened_once_however_its_path_is_spelled(table, tmp_path, monkeypatch):
    monkeypatch.chdir(table.parent)
    assert open_nb201(table.name, [tmp_path]) is open_nb201(table, (str(tmp_path),))


def test_a_record_of_other_settings_or_a_damaged_one_is_set_aside(harness, tmp_path):
    out = tmp_path / "out"
    common = ["run", "--searchers", "random", "--seeds", 2, *DIGITS, "--out", out]
    assert harness(*common)[0] == 0
    good = records(out)
    path = out / "runs/random/seed-0/record.json"
    store.write_sealed(path, store.read_sealed(path) | {"key": "another"})
    other = out / "runs/random/seed-1/record.json"
    other.write_bytes(other.read_bytes().replace(b'"status": "done"', b'"status": "dOne"'))
    assert harness("report", out)[0] == 0  # which changes nothing in the folder, and says it
    assert "seed-1/record.json: damaged" in (out / "report/table.md").read_text()
    assert other.exists()
    code, _, err = harness(*common)
    assert code == 0
    assert "seed-1/record.json: damaged or changed since it was written" in err
    assert {k: timeless(v) for k, v in records(out).items()} == {k: timeless(v) for k, v in good.items()}
    assert {p.name for p in (out / "aside").iterdir()} == {
        "runs-random-seed-0",
        "runs-random-seed-1-record.json",
        "runs-random-seed-1-trace.jsonl",
    }


def test_failures_are_recorded_and_the_others_go_on(tmp_path):
    out = tmp_path / "out"
    arguments = ["run", "--searchers", "random,broken,dying", "--seeds", "2", *DIGITS]
    done = subprocess.run(
        [sys.executable, HERE / "faulty.py", *map(str, [*arguments, "--workers", 2, "--out", out])],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    found = records(out)
    assert {key: r["status"] for key, r in found.items()} == {
        ("random", 0): "done",
        ("random", 1): "done",
        ("broken", 0): "done",
        ("broken", 1): "failed",
        ("dying", 0): "done",
        ("dying", 1): "failed",
    }
    assert found["broken", 1]["error"] == "RuntimeError: out of luck <b>&</b>"
    assert "signal SIGKILL" in found["dying", 1]["error"]
    assert found["broken", 1]["index"] is None
    assert "2 of 6 runs failed" in done.stderr
    page = (out / "report/report.html").read_text()
    assert "out of luck &lt;b&gt;&amp;&lt;/b&gt;" in page
    assert "<b>&</b>" not in page
    assert "1/2" in (out / "report/table.md").read_text()


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
    said = runner._one_line(error)
    assert ("fewer --workers, --precision bf16 or a smaller --preset" in said) == hinted
    assert "\n" not in said


def test_a_full_disk_is_no_result_of_the_search(tmp_path, monkeypatch):
    """The run is reported as failed, nothing of it is kept, and it is still to do."""
    plan = plan_for(digits.open_digits201(), "digits201", "random")
    write = store.write_bytes

    def full(path, data):
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(store, "write_bytes", full)
    folder = store.run_folder(tmp_path, "random", 0)
    record = runner.run(plan, folder)
    assert record["status"] == "failed"
    assert "No space left on device" in record["error"]
    assert not (folder / "record.json").exists()
    monkeypatch.setattr(store, "write_bytes", write)
    assert runner.run(plan, folder)["status"] == "done"


def test_a_machine_that_finds_another_table_makes_no_run(tmp_path):
    plan = plan_for(digits.open_digits201(), "digits201", "random")._replace(table_sha256="0" * 64)
    record = runner.run(plan, store.run_folder(tmp_path, "random", 0))
    assert record["status"] == "failed"
    assert "another table here" in record["error"]


def test_an_array_s_task_leaves_alone_what_others_make_or_have_made(tmp_path):
    planned = plans_for(digits.open_digits201(), "digits201", "random", range(3))
    jobs = [(plan, store.run_folder(tmp_path, plan.label, plan.seed)) for plan in planned]
    assert runner.run(*jobs[1])["status"] == "done"
    events = []
    with store.claim(jobs[0][1]) as mine:
        assert mine
        executors.here(jobs, lambda number, event: events.append((number, *event)), patient=False)
    assert events == [(0, "elsewhere"), (1, "elsewhere"), (2, "started"), (2, "record")]


def test_a_finished_run_s_damaged_trace_is_named_and_its_run_repeated(harness, tmp_path):
    out = tmp_path / "out"
    common = ["run", "--searchers", "random", "--seeds", 2, *DIGITS, "--out", out]
    assert harness(*common)[0] == 0
    good = records(out)
    trace = out / "runs/random/seed-1/trace.jsonl"
    content = trace.read_bytes()
    trace.write_bytes(content.replace(b'"step": 1,', b'"step": 7,', 1))
    code, _, err = harness(*common)
    assert code == 0
    assert "seed-1/trace.jsonl: damaged since its run was finished" in err
    assert {k: timeless(v) for k, v in records(out).items()} == {k: timeless(v) for k, v in good.items()}
    assert [p.name for p in (out / "aside").iterdir()] == ["runs-random-seed-1"]
    # a trace that is gone is not missed, and one of a damaged record is kept beside the new one
    trace.unlink()
    assert "2 done, 0 to do" in harness(*common)[2]
    (out / "runs/random/seed-0/record.json").write_bytes(b"{")
    assert "1 done, 1 to do" in harness(*common)[2]
    kept = {p.name for p in (out / "aside").iterdir()}
    assert {"runs-random-seed-0-record.json", "runs-random-seed-0-trace.jsonl"} < kept


def test_runs_of_another_preset_stay_out_of_the_table_of_a_lost_campaign(harness, tmp_path):
    out = tmp_path / "out"
    common = ["run", "--seeds", 1, *DIGITS, "--out", out]
    assert harness(*common, "--searchers", "random")[0] == 0
    (out / "campaign.json").write_bytes(b"{")
    code, _, err = harness(*common, "--searchers", "evolution", "--preset", "smoke")
    assert code == 0, err
    assert "campaign.json: damaged" in err
    said = (out / "report/table.md").read_text()
    assert "runs/random/seed-0: of a campaign with another preset; left out" in said
    assert not any(line.startswith("| random") for line in said.splitlines())


def test_fresh_leaves_a_folder_in_which_a_command_begins(harness, tmp_path):
    out = tmp_path / "out"
    common = ["run", "--searchers", "random", "--seeds", 1, *DIGITS, "--out", out]
    assert harness(*common)[0] == 0
    with store.in_use(out):  # as a command has it whose first run is not claimed yet
        code, _, err = harness(*common, "--fresh")
    assert code == 2
    assert "another command works on" in err
    assert harness(*common, "--fresh")[0] == 0


def test_a_stop_after_the_last_step_loses_no_step(tmp_path, monkeypatch):
    """The answer is worked out after the search; a task that ends there goes on from its last step."""
    plan = plan_for(digits.open_digits201(), "digits201", "random")
    folder = store.run_folder(tmp_path, "random", 0)
    monkeypatch.setattr(runner, "SNAPSHOT_SECONDS", -1)
    answer = runner._answer

    def stopped(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(runner, "_answer", stopped)
    with pytest.raises(KeyboardInterrupt):
        runner.run(plan, folder)
    before = (folder / "trace.jsonl").read_bytes()
    monkeypatch.setattr(runner, "_answer", answer)
    record = runner.run(plan, folder)
    assert record["status"] == "done"
    assert (folder / "trace.jsonl").read_bytes() == before  # times and all
    assert not (folder / "checkpoint.pt").exists()


def test_two_commands_on_one_folder_share_the_work_and_both_end_with_all_of_it(tmp_path):
    """The second takes over the run that the first was making when it was killed."""
    out = tmp_path / "out"
    arguments = ["run", "--searchers", "slow", "--seeds", 8, *DIGITS, "--workers", 1]
    command = [sys.executable, HERE / "faulty.py", *map(str, [*arguments, "--out", out])]
    first, second, third = (subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(3))
    limit = time.monotonic() + 60
    while len(list(out.glob("here-*"))) < 3:
        assert time.monotonic() < limit
        time.sleep(0.01)
    first.kill()
    first.wait()
    said = [process.communicate(timeout=60)[1] for process in (second, third)]
    assert (second.returncode, third.returncode) == (0, 0), said
    found = records(out)
    assert {r["status"] for r in found.values()} == {"done"}
    assert len(found) == 8
    # Each run was made by one process, but for the one that the killed command had begun.
    makers = [[int(pid) for pid in (out / f"made-{seed}").read_text().split()] for seed in range(8)]
    assert all(len(m) == 1 or m[:-1] == [first.pid] for m in makers)
    assert {second.pid, third.pid} <= {m[-1] for m in makers}
    assert list(out.glob("runs/*/claim-*")) == []
    assert not (out.parent / "out.lock").exists()


def test_fresh_does_not_take_a_running_campaign_away(harness, tmp_path):
    out = tmp_path / "out"
    common = ["run", "--searchers", "random", "--seeds", 1, *DIGITS, "--out", out]
    assert harness(*common)[0] == 0
    with store.claim(store.run_folder(out, "random", 0)) as mine:
        assert mine
        code, _, err = harness(*common, "--fresh")
    assert code == 2
    assert "is being made by" in err
    assert (out / "runs/random/seed-0/record.json").exists()


def test_shards_are_the_whole_and_each_has_its_share_of_every_searcher(harness, tmp_path):
    planned = plans_for(digits.open_digits201(), "digits201", "random,evolution,local,reinforce", range(10))
    for parts in (1, 3, 4, 7):
        dealt = [campaign.shard(planned, part, parts) for part in range(1, parts + 1)]
        runs = [(plan.label, plan.seed) for part in dealt for plan in part]
        assert sorted(runs) == sorted((plan.label, plan.seed) for plan in planned)
        for label in ("random", "evolution", "local", "reinforce"):
            shares = [sum(plan.label == label for plan in part) for part in dealt]
            assert max(shares) - min(shares) <= 1
        assert max(map(len, dealt)) - min(map(len, dealt)) <= 1
    out = tmp_path / "out"
    common = ["run", "--searchers", "random,evolution", "--seeds", 2, *DIGITS]
    code, stdout, _ = harness(*common, "--out", out, "--shard", "1/2")
    assert code == 0
    assert set(records(out)) == {("random", 0), ("evolution", 0)}
    assert "1/2 seeds: not finished" in stdout
    assert harness(*common, "--out", out, "--shard", "2/2")[0] == 0
    assert len(records(out)) == 4


# -------------------------------------------------------------------------------------- one-shot runs, resume

SLOW = "import harness.runner as r; r.CHECKPOINT_SECONDS = r.SNAPSHOT_SECONDS = 0; from harness.cli import main; main()"


def one_shot(out):
    arguments = ["--preset", "smoke", "--searchers", "darts,gicso", "--seeds", "1", "--workers", "1", "--out", str(out)]
    return [sys.executable, "-c", SLOW, "run", *DIGITS, *arguments]


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory):
    out = tmp_path_factory.mktemp("campaign") / "undisturbed"
    subprocess.run(one_shot(out), check=True, capture_output=True)
    return {key: timeless(record) for key, record in records(out).items()}


@pytest.mark.parametrize("with_", [signal.SIGKILL, signal.SIGTERM])
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
    if with_ is signal.SIGTERM:
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


# ------------------------------------------------------------------------------------------------ leaks


def reachable(root):
    """Everything an object leads to, but not into modules, classes and functions' globals."""
    seen, stack = {}, [root]
    while stack:
        item = stack.pop()
        if id(item) in seen or isinstance(item, (types.ModuleType, type, types.CodeType)):
            continue
        seen[id(item)] = item
        if isinstance(item, types.FunctionType):
            stack += [c.cell_contents for c in item.__closure__ or ()] + list(item.__defaults__ or ())
        else:
            stack += gc.get_referents(item)
        if isinstance(item, np.ndarray) and item.base is not None:
            stack.append(item.base)
    return list(seen.values())


def memory(things):
    """The numbers behind arrays and tensors, whole storages: a view leads to all that it was cut from."""
    arrays = [t.reshape(-1) for t in things if isinstance(t, np.ndarray)]
    tensors = [t for t in things if isinstance(t, torch.Tensor)]
    storages = {t.untyped_storage().data_ptr(): t for t in tensors}
    return arrays + [torch.empty(0, dtype=t.dtype).set_(t.untyped_storage()).numpy() for t in storages.values()]


def plans_for(bench, dataset, text, seeds, preset="smoke"):
    setting = campaign.Setting(bench, None, (), dataset, campaign.resolve_preset(bench, preset), "fp32", "cpu", 1)
    return campaign.plans(setting, parse_specs(text), seeds)


def plan_for(bench, dataset, text, preset="smoke"):
    (plan,) = plans_for(bench, dataset, text, [0], preset)
    return plan


@pytest.mark.parametrize(
    ("text", "preset"), [("random", "small"), ("darts", "smoke"), ("darts", "small"), ("darts", "paper")]
)
def test_nothing_reachable_from_a_task_is_a_test_column_or_a_test_image(table, cifar10_root, text, preset):
    bench = open_nb201(table, (cifar10_root,))
    plan = plan_for(bench, "cifar10", text, preset)
    tests = images.load("cifar10", cifar10_root).test
    tests = tests if plan.preset["resolution"] == 32 else tests.reduced()
    looked = search_for_test_data(plan, bench, tests, ("cifar10-valid", "x-valid", 12))
    assert looked == (0 if text == "random" else 2 * (plan.preset["images"] or 25_000))


@pytest.mark.parametrize(("text", "preset"), [("random", "small"), ("darts", "smoke"), ("darts", "small")])
def test_no_test_data_of_digits201_either(text, preset):
    bench = digits.open_digits201()
    plan = plan_for(bench, "digits201", text, preset)
    tests = digits_training.parts()["test"]
    looked = search_for_test_data(plan, bench, tests, ("digits201", "valid", digits.PROXY))
    assert looked == (0 if text == "random" else (plan.preset["images"] or 384 * digits.VIEWS))


def search_for_test_data(plan, bench, tests, proxy):
    """Fails where a task leads to the benchmark, a column other than the proxy, or a test image; images looked at."""
    things = reachable(runner.build_task(plan, bench))
    assert not any(isinstance(t, Benchmark) for t in things)
    arrays = memory(things)
    assert len(arrays) >= 2  # the walk arrives somewhere
    for key, column in bench.table.columns.items():
        if key != proxy:
            for array in arrays:
                if len(array) == C.NUM_CELLS:
                    assert not np.array_equal(array, column.mean), key
    known, size, looked = {t.numpy().tobytes() for t in tests.pixels}, tests.pixels[0].numel(), 0
    for array in arrays:
        if array.dtype == np.uint8 and len(array) % size == 0:
            for picture in array.reshape(-1, size):
                looked += 1
                assert picture.tobytes() not in known
    return looked


def test_search_images_are_the_official_halves(table, cifar10_root, shared):
    bench = open_nb201(table, (cifar10_root,))
    train, valid = bench.search_data("cifar10", {**PRESETS["smoke"], "resolution": 32})
    with open(shared / "data/splits/cifar-split.txt") as file:
        split = json.load(file)
    everything = images.load("cifar10", cifar10_root).train
    for part, name in ((train, "train"), (valid, "valid")):
        first = sorted(int(k) for k in split[name][1])[:320]
        assert torch.equal(part.pixels, everything.pixels[first])
        assert torch.equal(part.labels, everything.labels[first])


# -------------------------------------------------------------------------------------- bad input, commands


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


def test_show(harness, table):
    for spelling in ("284", "naslib:0,0,1,0,3,1", "1,1,1,0,2,0"):
        code, out, _ = harness("show", spelling, "--table", table)
        assert code == 0
        assert "cell 284\n" in out
        assert "0.101306 M parameters" in out
        assert out.count("→") >= 6
        assert "88.7900   mean of 3 trials" in out
    code, _, err = harness("show", "|nope~0|", "--table", table)
    assert code == 2
    assert "error: cell" in err


def test_list_and_report_and_table(harness, table, tmp_path):
    assert all(name in harness("list", "searchers")[1] for name in ("gicso", "darts", "cso", "random", "evolution"))
    assert "paper" in harness("list", "presets")[1]
    assert "15,625" in harness("list", "benchmarks")[1]
    out = tmp_path / "out"
    arguments = ["--searchers", "random,evolution", "--seeds", 2, "--table", table, "--data", tmp_path, "--out", out]
    assert harness("run", *arguments)[0] == 0
    code, text, _ = harness("table", out, "--published")
    assert code == 0
    assert "REA" in text
    assert "published" in text
    assert harness("table", out, "--format", "csv")[1] == (out / "report/table.csv").read_text()
    assert r"\toprule" in harness("table", out, "--format", "tex")[1]
    code, text, _ = harness("report", out, "--out", tmp_path / "elsewhere")
    assert code == 0
    assert (tmp_path / "elsewhere/report.html").is_file()
    code, _, err = harness("report", tmp_path / "nothing")
    assert code == 2
    assert "no campaign here" in err


def test_doctor(harness, table, cifar10_root):
    code, out, _ = harness("doctor", "--table", table, "--data", cifar10_root)
    assert code == 0
    assert "BAD" not in out
    assert out.count("trained again") == 3
    assert "802,426 parameters, 113,951,370 FLOPs; the table says the same" in out
    code, out, _ = harness("doctor", "--table", table, "--data", HERE)
    assert code == 1
    assert "BAD" in out


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


def test_debug_shows_the_traceback(harness, tmp_path):
    with pytest.raises(UserError):
        harness("report", tmp_path, "--debug")
