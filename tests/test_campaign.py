"""Whole campaigns on digits201: records, order, failures, several commands on one folder."""

from __future__ import annotations

import csv
import dataclasses
import gzip
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from support.planned import plans_for
from support.records import records, timeless

from benchmarks.digits201 import benchmark
from benchmarks.errors import UserError
from harness import campaign, locks, options, store
from harness.specs import parse_specs

HERE = Path(__file__).parent
DIGITS = ["--benchmark", "digits201"]

# ------------------------------------------------------------------------------- what a campaign leaves, file by file

contract = pytest.mark.xdist_group("contract")  # in one process: they share a campaign
PUBLISHED = {
    ("cifar10", "valid"): "c10valid_val_acc",
    ("cifar10", "test"): "c10_test_acc",
    ("cifar100", "valid"): "c100_val_acc",
    ("cifar100", "test"): "c100_test_acc",
    ("ImageNet16-120", "valid"): "in16_val_acc",
    ("ImageNet16-120", "test"): "in16_test_acc",
}


@pytest.fixture(scope="module")
def finished(table, tmp_path_factory):
    """A campaign of two searchers at three seeds: its folder, and what the command said."""
    out = tmp_path_factory.mktemp("campaign") / "with space and ü"
    options = ["--searchers", "random,evolution", "--seeds", 3, "--table", table, "--data", out.parent, "--out", out]
    command = [sys.executable, "-m", "harness", "run", *map(str, options)]
    return out, subprocess.run(command, capture_output=True, text=True, check=True).stdout


@pytest.fixture(scope="module")
def rows(table):
    """The published rows, a dict each."""
    with gzip.open(table, "rt") as file:
        return list(csv.DictReader(file))


def traces(out):
    """Each run's record with the lines of its trace."""
    for record in records(out).values():
        folder = out / "runs" / record["label"] / f"seed-{record['seed']}"
        yield record, [json.loads(line) for line in (folder / "trace.jsonl").read_text().splitlines()]


@contract
def test_a_campaign_says_what_it_can_show_and_makes_every_run(finished):
    out, stdout = finished
    assert stdout.startswith("benchmark nb201")
    assert "n = 3 cannot reach 0.05 after Holm over 1 comparison (smallest p 0.1)" in stdout
    assert set(records(out)) == {(s, n) for s in ("random", "evolution") for n in range(3)}


@contract
@pytest.mark.case(3, 4)
def test_a_record_has_the_published_scores_of_its_cell(finished, rows):
    for record in records(finished[0]).values():
        row = rows[record["index"]]
        assert record["cell"] == row["arch_str"]
        assert len(record["scores"]) == 12
        for score in record["scores"]:
            assert score["value"] == float(row[PUBLISHED[score["dataset"], score["split"]]])
            assert (score["trials"], score["epochs"]) == (int(row["n_seeds"]), 200)


@contract
def test_a_record_s_answer_is_the_best_that_its_trace_queried(finished, rows):
    """Worked out again: the highest mean of two 12-epoch trainings."""
    for record, trace in traces(finished[0]):
        assert len(trace) == record["steps"] == record["evaluations"]
        best = max(trace, key=lambda line: line["accuracy"])
        assert record["index"] == best["queried"]
        assert best["accuracy"] == float(rows[best["queried"]]["c10valid_val_acc_12ep"])


@contract
def test_a_record_s_simulated_time_is_what_its_queries_cost(finished, rows):
    for record, trace in traces(finished[0]):
        paid = sum(12 * float(rows[line["queried"]]["c10valid_epoch_time_s"]) for line in trace)
        assert record["simulated_seconds"] == pytest.approx(paid)
        assert paid <= 12_000


@contract
def test_a_record_s_trajectory_has_the_steps_at_which_its_answer_changed(finished):
    for record, trace in traces(finished[0]):
        changes = [line["index"] for k, line in enumerate(trace) if k == 0 or line["index"] != trace[k - 1]["index"]]
        assert [point["index"] for point in record["trajectory"]] == changes


@contract
def test_the_report_has_the_contract_s_files_and_columns(finished):
    report = finished[0] / "report"
    assert (report / "table.csv").read_text().splitlines()[0] == (
        "searcher,label,kind,search_dataset,dataset,split,epochs,n,mean,std,median,ci_low,ci_high,ci_level,regret,"
        "mean_without_none,std_without_none,search_seconds,simulated_seconds,evaluations,"
        "iqm,iqm_low,iqm_high,relative_improvement,beaten,benchmark,table_sha256,table_cells,"
        "collapsed,collapsed_low,collapsed_high,training_std"
    )
    said = "query: 12 x epoch time, evaluation time is not recorded; its accuracy is the mean of 2 trainings and is"
    assert f"{said} charged as one." in (report / "table.md").read_text()
    names = {"table.csv", "table.md", "table.tex", "comparisons.csv", "report.html", "convergence.png", "accuracy.svg"}
    assert names <= {path.name for path in report.iterdir()}


@contract
def test_campaign_json_has_the_space_s_optima_means_and_quantiles(finished, rows):
    space = json.loads((finished[0] / "campaign.json").read_text())["space"]
    assert space["cifar10"]["test"]["optimum"]["index"] == 6111
    assert space["ImageNet16-120"]["test"]["optimum"]["value"] == pytest.approx(47.3111, abs=1e-4)
    values = np.array([float(row[PUBLISHED["cifar10", "test"]]) for row in rows])
    assert space["cifar10"]["test"]["mean"] == pytest.approx(values.mean())
    assert space["cifar10"]["test"]["quantiles"][500] == pytest.approx(np.median(values), abs=1e-4)


@contract
def test_campaign_json_counts_all_cells_in_bins_of_half_a_point(finished, rows):
    bins = np.array(json.loads((finished[0] / "campaign.json").read_text())["cloud"]["bins"]["cifar10"])
    assert bins[:, 2].sum() == 15_625
    for axis, split in enumerate(("valid", "test")):
        values = np.array([float(row[PUBLISHED["cifar10", split]]) for row in rows])
        expected = np.bincount((2 * values).astype(int), minlength=201)
        np.testing.assert_array_equal(np.bincount(bins[:, axis], bins[:, 2], minlength=201), expected)


# -------------------------------------------------------------------------------------------------- what is kept


@pytest.mark.case(26, 66, 76)
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
            HERE / "support/faulty.py",
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
    assert "another preset (small, not smoke)" in err
    assert "--fresh" in err
    said = json.loads((out / "campaign.json").read_text())
    said["preset"]["epochs"] += 1
    store.write_sealed(out / "campaign.json", said)
    code, _, err = harness(*common, "--searchers", "evolution")
    assert code == 2
    assert "({'epochs': 41}, not {'epochs': 40})" in err
    old = records(out)
    assert harness(*common, "--searchers", "evolution", "--preset", "smoke", "--fresh")[0] == 0
    assert records(tmp_path / "out.old-1") == old


def test_all_that_decides_a_run_is_in_its_key(monkeypatch):
    bench = benchmark.open_digits201()
    preset = options.resolve_preset(bench, "smoke")

    def key(spec="gicso", seed=0, dataset="digits201", images="", benchmark=bench, **changes):
        setting = options.Setting(
            benchmark, None, (), dataset, preset.model_copy(update=changes.pop("preset", {})), "fp32", "cpu", 1
        )
        with monkeypatch.context() as patched:
            patched.setattr("benchmarks.images.checksum", lambda part: f"{len(part)}{images}")
            (plan,) = campaign.plans(dataclasses.replace(setting, **changes), parse_specs(spec), [seed])
        return plan.key

    other = dataclasses.replace(bench, name="other")
    ways = [{}, {"spec": "darts"}, {"spec": "gicso[phi=0.2]"}, {"seed": 1}, {"images": "x"}, {"preset": {"epochs": 3}},
            {"precision": "bf16"}, {"threads": 2}, {"benchmark": other}]  # fmt: skip
    assert len({key(**way) for way in ways}) == len(ways)
    assert key(device="cuda", places=(Path("x"),)) == key()  # where things are decides nothing
    # untrained networks: no epochs, always fp32
    ways = [{}, {"images": "x"}, {"threads": 2}, {"preset": {"channels": 3}}]
    assert len({key("training-free", **way) for way in ways}) == len(ways)
    assert key("training-free", preset={"epochs": 3}, precision="bf16") == key("training-free")
    before = {spec: key(spec) for spec in ("gicso", "training-free", "random")}
    with monkeypatch.context() as patched:
        patched.setattr(bench.space, "supernet_version", 99)
        assert {spec for spec, old in before.items() if key(spec) != old} == {"gicso"}
    # queries of a table: no images, no precision, no threads
    ways = [{}, {"images": "x"}, {"precision": "bf16"}, {"threads": 2}, {"preset": {"epochs": 3}}]
    assert len({key("random", **way) for way in ways}) == 1
    assert key("random", dataset="x") != key("random")
    assert key("random", benchmark=dataclasses.replace(bench, table=SimpleNamespace(sha256="x"))) != key("random")


def test_a_campaign_of_supernets_takes_in_multi_trial_searchers_and_the_other_way_round(tmp_path):
    """As on a GPU's machine, where supernets are trained in bf16 by default and the others not at all."""
    bench = benchmark.open_digits201()
    setting = options.Setting(bench, None, (), "digits201", options.resolve_preset(bench, "smoke"), "fp32", "cpu", 1)
    on_gpu = dataclasses.replace(setting, precision="bf16", device="cuda")
    nets, queries = parse_specs("darts"), parse_specs("random")
    for orders in ([(on_gpu, nets), (setting, queries)], [(setting, queries), (on_gpu, nets)]):
        old = None
        for each, specs in orders:
            old = campaign.campaign_of(tmp_path, old, each, specs, [0])
        assert (old.precision, old.threads) == ("bf16", 1)
        assert [row.label for row in old.searchers] == [specs[0].label for _, specs in orders]
        assert [row.answer_rule for row in old.searchers] == [specs[0].answer_rule for _, specs in orders]
    with pytest.raises(UserError, match="another precision"):
        campaign.campaign_of(tmp_path, old, setting, nets, [0])
    alone = campaign.campaign_of(tmp_path, None, dataclasses.replace(on_gpu, threads=4), queries, [0])
    assert (alone.precision, alone.threads) == ("fp32", 1)  # as the runs' records


def test_the_primary_endpoint_is_declared_once_with_the_campaign(harness, tmp_path):
    run = ["run", "--searchers", "random", *DIGITS, "--workers", 1, "--out", tmp_path / "c"]
    code, _, err = harness(*run, "--seeds", 1, "--endpoint", "cifar10")
    assert (code, "--endpoint 'cifar10'" in err) == (2, True)
    assert not (tmp_path / "c").exists()
    assert harness(*run, "--seeds", 1, "--endpoint", "mean")[0] == 0
    assert store.load_campaign(tmp_path / "c").endpoint == "mean"
    assert harness(*run, "--seeds", 2)[0] == 0  # it stays
    assert store.load_campaign(tmp_path / "c").endpoint == "mean"
    code, _, err = harness(*run, "--seeds", 2, "--endpoint", "digits201")
    assert code == 2
    assert "declared mean when it was made: harness report --endpoint digits201" in err
    assert harness(*[*run[:-1], tmp_path / "d"], "--seeds", 1)[0] == 0
    assert store.load_campaign(tmp_path / "d").endpoint == "digits201"


def test_fresh_moves_nothing_for_a_command_that_is_wrong(harness, table, tmp_path):
    out = tmp_path / "out"
    common = ["run", "--seeds", 1, "--table", table, "--data", tmp_path, "--out", out]
    assert harness(*common, "--searchers", "random")[0] == 0
    code, _, err = harness(*common, "--searchers", "random,darts", "--fresh")  # no images here
    assert code == 2
    assert "cifar-10-batches-py" in err
    assert len(records(out)) == 1
    assert not (tmp_path / "out.old-1").exists()


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


@pytest.mark.case(60)
def test_failures_are_recorded_and_the_others_go_on(tmp_path):
    out = tmp_path / "out"
    arguments = ["run", "--searchers", "random,broken,dying", "--seeds", "2", *DIGITS]
    done = subprocess.run(
        [sys.executable, HERE / "support/faulty.py", *map(str, [*arguments, "--workers", 2, "--out", out])],
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
    with locks.in_use(out):  # as a command has it whose first run is not claimed yet
        code, _, err = harness(*common, "--fresh")
    assert code == 2
    assert "another command works on" in err
    assert harness(*common, "--fresh")[0] == 0


def test_two_commands_on_one_folder_share_the_work_and_both_end_with_all_of_it(tmp_path):
    """The second takes over the run that the first was making when it was killed."""
    out = tmp_path / "out"
    arguments = ["run", "--searchers", "slow", "--seeds", 8, *DIGITS, "--workers", 1]
    command = [sys.executable, HERE / "support/faulty.py", *map(str, [*arguments, "--out", out])]
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
    with locks.claim(store.run_folder(out, "random", 0)) as mine:
        assert mine
        code, _, err = harness(*common, "--fresh")
    assert code == 2
    assert "is being made by" in err
    assert (out / "runs/random/seed-0/record.json").exists()


def test_a_search_that_uses_no_seed_is_planned_once():
    specs, seeds = "params,params[cells=10],random", [4, 5, 6]
    bench = benchmark.open_digits201()
    planned = plans_for(bench, "digits201", specs, seeds)
    of = {spec: [p.seed for p in planned if p.spec == spec] for spec in ("params", "params[cells=10]", "random")}
    assert of == {"params": [4], "params[cells=10]": seeds, "random": seeds}
    setting = options.Setting(bench, None, (), "digits201", options.resolve_preset(bench, "smoke"), "fp32", "cpu", 1)
    rows = campaign.campaign_of(Path(), None, setting, parse_specs(specs), seeds).searchers
    assert [(row.uses_seed, row.seeds) for row in rows] == [(False, [4]), (True, seeds), (True, seeds)]


def test_shards_are_the_whole_and_each_has_its_share_of_every_searcher(harness, tmp_path):
    planned = plans_for(benchmark.open_digits201(), "digits201", "random,evolution,local,reinforce", range(10))
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
    assert "Not finished: random 1 of 2; evolution 1 of 2 seeds" in stdout
    assert harness(*common, "--out", out, "--shard", "2/2")[0] == 0
    assert len(records(out)) == 4


def test_records_of_other_settings_stay_out_of_the_row(harness, tmp_path):
    """As when a default changed since: fewer seeds asked for now, an old record of another one under the same label."""
    out = tmp_path / "c"
    run = ("run", "--searchers", "random,evolution", *DIGITS, "--preset", "smoke", "--workers", 1, "--out", out)
    assert harness(*run, "--seeds", 3)[0] == 0
    for seed in (0, 2):
        path = out / f"runs/evolution/seed-{seed}/record.json"
        record = store.read_sealed(path) | {"key": "old"}
        record["config"] = record["config"] | {"tournament": 5}
        store.write_sealed(path, record)
    code, said, err = harness(*run, "--seeds", 2)
    assert code == 0
    assert "evolution/seed-0: made with other settings; set aside, the run is made anew" in err
    assert "| evolution | 2/3 |" in said
    left_out = "evolution/seed-2: made with other settings than today's; left out"
    assert left_out in said
    assert err.count(left_out) == 1
    # to be made anew is what the same command would make, failed what cannot be read
    (out / "runs/random/seed-1/record.json").write_bytes(b"{")
    _, said, _ = harness("status", out)
    assert "random           2        0        1        0\n" in said
    assert "evolution        2        0        0        1\n" in said
    assert left_out in said


def test_each_command_has_its_part_in_the_campaign(harness, tmp_path):
    """The second one's searcher is tested against the first's: 2 runs against 3, not one searcher alone."""
    out = tmp_path / "c"
    common = (*DIGITS, "--preset", "smoke", "--workers", 1, "--out", out)
    assert harness("run", "--searchers", "random", "--seeds", 3, *common)[0] == 0
    first = store.load_campaign(out)
    code, said, _ = harness("run", "--searchers", "evolution", "--seeds", 2, *common)
    assert code == 0
    assert said.splitlines()[1].startswith("n = 3 against 2 cannot reach 0.05 after Holm over 1 comparison")
    second = store.load_campaign(out)
    assert second.created == first.created
    lines = second.command.split("\n")
    assert [line.split("--searchers ")[1].split()[0] for line in lines] == ["random", "evolution"]
    assert harness("run", "--searchers", "evolution", "--seeds", 2, *common)[0] == 0
    assert store.load_campaign(out).command == second.command


def test_folders_that_cannot_be(harness, tmp_path, monkeypatch):
    monkeypatch.setenv("HARNESS_DATA", str(tmp_path / "typo"))
    code, _, err = harness("run", "--searchers", "random", "--seeds", 1, "--out", tmp_path / "c")
    assert (code, f"$HARNESS_DATA {tmp_path / 'typo'}: no such folder" in err) == (2, True)
    monkeypatch.delenv("HARNESS_DATA")
    (tmp_path / "d").mkdir()
    monkeypatch.chdir(tmp_path / "d")
    run = ("run", "--searchers", "random", "--seeds", 1, "--preset", "smoke", "--workers", 1, *DIGITS)
    assert harness(*run, "--out", ".")[0] == 0
    code, _, err = harness(*run, "--out", ".", "--fresh")
    assert (code, "moved the old" in err) == (0, True)
    assert (tmp_path / "d.old-1/campaign.json").exists()


def test_surroundings_do_not_matter(table, tmp_path):
    """No home, the C locale, another working directory, blanks and other letters in the path: the same table."""
    code = "from harness.cli import main; main()"
    root = str(HERE.parent)
    out = [tmp_path / "plain", tmp_path / "mit Umlaut ü" / "und 日本 blanks"]
    bare = {
        "PATH": "/usr/bin:/bin",
        "HOME": "/proc/nowhere",
        "LC_ALL": "C",
        "PYTHONPATH": root,
        "TMPDIR": str(tmp_path),
    }
    said = []
    for folder, env, cwd in ((out[0], None, root), (out[1], bare, "/")):
        command = [sys.executable, "-c", code, "run", "--searchers", "random", "--seeds", "2", "--table", str(table)]
        command += ["--data", str(tmp_path), "--out", str(folder)]
        done = subprocess.run(command, capture_output=True, text=True, env=env, cwd=cwd, check=False)
        assert done.returncode == 0, done.stderr
        assert "matplotlib" not in done.stderr.lower()
        said.append((folder / "report" / "table.csv").read_text().splitlines())
    timeless = [[line.split(",")[:17] for line in lines] for lines in said]
    assert timeless[0] == timeless[1]
