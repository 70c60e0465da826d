"""The folder on disk: checksums that find every changed byte, and locks that end with their holder."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
import torch
from support.campaigns import make_campaign, make_record, write_campaign

import harness as package
from benchmarks.errors import UserError
from harness import locks, store


def test_nothing_is_deleted(tmp_path):
    for content in ("one", "two"):
        path = tmp_path / "runs/darts/seed-0/record.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
        store.set_aside(path)
    kept = sorted((tmp_path / "aside").iterdir())
    assert [p.read_text() for p in kept] == ["one", "two"]


def test_a_failed_write_leaves_the_old_file_and_no_other(tmp_path, monkeypatch):
    path = tmp_path / "record.json"
    store.write_bytes(path, b"old")

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        store.write_bytes(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_every_cut_and_every_flipped_bit_of_a_record_is_found(tmp_path):
    path = tmp_path / "record.json"
    value = {"key": "é", "status": "done", "scores": [{"value": 94.37}], "none": None, "name": "\udcff"}
    store.write_sealed(path, value)
    assert store.read_sealed(path) == value
    data = path.read_bytes()
    found = []
    for place in range(len(data)):
        for damaged in (data[:place], data[:place] + bytes([data[place] ^ 1 << place % 8]) + data[place + 1 :]):
            path.write_bytes(damaged)
            try:
                found.append(store.read_sealed(path))
            except UserError as error:
                assert "record.json: damaged" in str(error)  # noqa: PT017 - most, not all, raise
    # What is left are changes that JSON does not see: white space, and the line's end cut off.
    assert all(other == value for other in found)
    assert len(found) < 20


@pytest.mark.case(43)
def test_every_flipped_byte_of_a_checkpoint_is_found(tmp_path):
    path = tmp_path / "checkpoint.pt"
    path.write_bytes(store.checkpoint_bytes({"key": "k", "weights": torch.arange(5.0), "state": ["x", 1, 2.5]}))
    assert store.read_checkpoint(path)["weights"].tolist() == [0, 1, 2, 3, 4]
    assert torch.load(path, weights_only=True)["state"] == ["x", 1, 2.5]  # by anybody
    data = path.read_bytes()
    for place in range(0, len(data), 7):
        path.write_bytes(data[:place] + bytes([data[place] ^ 16]) + data[place + 1 :])
        with pytest.raises(UserError, match=r"checkpoint.pt: damaged"):
            store.read_checkpoint(path)
    for length in (0, 10, len(data) - 1):
        path.write_bytes(data[:length])
        with pytest.raises(UserError, match=r"checkpoint.pt: damaged"):
            store.read_checkpoint(path)


def test_a_trace_is_reopened_only_where_it_is_the_one_that_was_written(tmp_path):
    path = tmp_path / "trace.jsonl"
    trace = store.Trace(path)
    trace.append({"step": 0})
    known = trace.size, trace.sum.hexdigest()
    trace.append({"step": 1})
    trace.close()
    whole = path.read_bytes()

    again = store.Trace.reopen(path, *known)
    again.append({"step": 1})
    assert (again.size, again.sum.hexdigest()) == (trace.size, trace.sum.hexdigest())
    again.close()
    assert path.read_bytes() == whole

    assert store.Trace.reopen(tmp_path / "none", *known) is None
    for damaged in (whole[: known[0] - 1], whole.replace(b"0", b"7")):
        path.write_bytes(damaged)
        assert store.Trace.reopen(path, *known) is None
        assert path.read_bytes() == damaged
    path.write_bytes(whole + b'{"st')
    assert [line["step"] for line in store.read_trace(path)] == [0, 1]  # a torn last line is not a step


def test_a_run_is_claimed_once_and_freed_by_its_claimant_s_death(tmp_path):
    folder = store.run_folder(tmp_path, "darts", 3)
    hold = "import sys, time; from pathlib import Path; from harness import locks\n"
    hold += "with locks.claim(Path(sys.argv[1])) as mine: print(mine, flush=True); time.sleep(60)"
    other = subprocess.Popen([sys.executable, "-c", hold, folder], stdout=subprocess.PIPE, text=True)
    assert other.stdout.readline() == "True\n"
    with locks.claim(folder) as mine:
        assert not mine
    assert locks.running(tmp_path) == {folder: f"{os.uname().nodename} process {other.pid}"}
    other.send_signal(signal.SIGKILL)
    other.wait()
    assert locks.running(tmp_path) == {}  # though its file is still there
    assert locks.claim_path(folder).exists()
    with locks.claim(folder) as mine:
        assert mine
        with locks.claim(folder) as again:
            assert not again
    assert not locks.claim_path(folder).exists()


def test_a_lock_whose_file_was_removed_meanwhile_is_not_one(tmp_path, monkeypatch):
    path = tmp_path / "lock"
    flock, calls = locks.fcntl.flock, []

    def removed_before(file, how):
        if not calls:
            path.unlink()  # its holder ends between our opening and our locking
        calls.append(how)
        flock(file, how)

    monkeypatch.setattr(locks.fcntl, "flock", removed_before)
    with locks.lock(path) as mine:
        assert mine
        assert path.exists()
        assert len(calls) == 2


def test_without_locks_every_claim_is_granted_and_it_is_said(tmp_path, monkeypatch):
    def unsupported(file, how):
        raise OSError(errno.EOPNOTSUPP, "Operation not supported")

    monkeypatch.setattr(locks.fcntl, "flock", unsupported)
    assert not locks.has_locks(tmp_path)
    with locks.lock(tmp_path / "lock") as mine:
        assert mine
    assert list(tmp_path.iterdir()) == []


def test_a_campaign_of_another_make_says_how_to_write_it_anew(tmp_path):
    (tmp_path / "campaign.json").write_text(json.dumps({"seeds": [1]}))
    with pytest.raises(UserError, match="given again, writes it anew"):
        store.load_campaign(tmp_path)


def test_a_disk_that_does_not_answer_says_nothing_against_a_record(tmp_path, monkeypatch):
    folder = tmp_path / "runs/random/seed-0"
    folder.mkdir(parents=True)
    (folder / "record.json").write_bytes(b"{}")

    def stale(path, mode):
        raise OSError(errno.ESTALE, "Stale file handle", str(path))

    monkeypatch.setattr(Path, "open", stale)
    with pytest.raises(OSError, match="Stale"):
        store.record_of(folder, "key")


def test_out_of_memory_says_nothing_against_a_checkpoint(tmp_path, monkeypatch):
    store.write_bytes(tmp_path / "checkpoint.pt", store.checkpoint_bytes({"a": 1}))

    def full(*arguments, **more):
        raise RuntimeError("[enforce fail at alloc_cpu.cpp:125] DefaultCPUAllocator: can't allocate memory")

    monkeypatch.setattr(torch, "load", full)
    with pytest.raises(RuntimeError, match="allocate"):
        store.read_checkpoint(tmp_path / "checkpoint.pt")


def test_a_folder_is_in_use_as_long_as_a_command_works_on_it(tmp_path):
    assert not locks.is_in_use(tmp_path)
    with locks.in_use(tmp_path), locks.in_use(tmp_path):
        assert locks.is_in_use(tmp_path)
    assert not locks.is_in_use(tmp_path)


@pytest.fixture
def three_seeds(tmp_path):
    """A campaign of two searchers at seeds 0 to 2."""
    records = [make_record(k, s, 90.0 + s + i) for i, k in enumerate(("darts", "random")) for s in range(3)]
    searchers = {"darts": "one-shot", "random": "one-shot"}
    return write_campaign(tmp_path / "c", records, make_campaign(searchers, [0, 1, 2]))


def _linked(runs):
    (runs / "random.bak").symlink_to(runs / "random")


COPIES = {  # how people and programs copy, the entry of `runs` that is named, and one of the records in it
    "backup": (lambda runs: shutil.copytree(runs / "random", runs / "random.bak"), "random.bak", "seed-0/record.json"),
    "link": (_linked, "random.bak", "seed-2/record.json"),
    "copied again": (
        lambda runs: shutil.copytree(runs / "random/seed-0", runs / "random/seed-0 (1)"),
        *("random", "seed-0 (1)/record.json"),
    ),
    "another seed": (
        lambda runs: shutil.copytree(runs / "random/seed-0", runs / "random/seed-7"),
        *("random", "seed-7/record.json"),
    ),
    "a seed spelled otherwise": (
        lambda runs: shutil.copytree(runs / "random/seed-0", runs / "random/seed-00"),
        *("random", "seed-00/record.json"),
    ),
    "conflict": (
        lambda runs: shutil.copy(runs / "random/seed-0/record.json", runs / "random/seed-0/record (conflict).json"),
        *("random", "seed-0/record (conflict).json"),
    ),
    "sync conflict": (
        lambda runs: shutil.copy(
            runs / "random/seed-0/record.json", runs / "random/seed-0/record.sync-conflict-1.json"
        ),
        *("random", "seed-0/record.sync-conflict-1.json"),
    ),
    "a level too high": (
        lambda runs: shutil.copy(runs / "random/seed-0/record.json", runs / "record.json"),
        *("record.json", "record.json"),
    ),
    "a level too deep": (
        lambda runs: shutil.copytree(runs / "random", runs / "old/random"),
        *("old", "random/seed-1/record.json"),
    ),
}


@pytest.mark.parametrize("how", COPIES)
def test_a_record_counts_only_in_the_folder_of_its_own_label_and_seed(three_seeds, how):
    copy, entry, name = COPIES[how]
    before, wrong = store.load_records(three_seeds)
    assert ([(r.label, r.seed) for r in before], wrong) == (
        [(k, s) for k in ("darts", "random") for s in range(3)],
        {},
    )
    copy(three_seeds / "runs")
    records, wrong = store.load_records(three_seeds)
    assert records == before
    (text,) = wrong.values()
    said = "these records do not lie in their own run's folder and are left out: "
    assert text.startswith(f"{three_seeds / 'runs' / entry}: {said}")
    assert name in text


def test_files_that_are_being_written_checkpoints_and_others_are_no_records(three_seeds):
    seed = three_seeds / "runs/random/seed-0"
    others = ("notes-on-records.json", "old-record.json", "recorder.py", "record-times.txt", "recordings")
    for name in ("record.json.host.12.tmp", "trace.jsonl", "checkpoint.pt", "error.txt", *others):
        (seed / name).write_bytes(b"x")
    shutil.copytree(seed, seed.with_name("seed-9"))
    (seed.with_name("seed-9") / "record.json").unlink()  # a run that is not finished
    assert store.load_records(three_seeds)[1] == {}


def test_every_command_names_copies_and_leaves_them_out(three_seeds, harness, tmp_path):
    clean = tmp_path / "clean"
    shutil.copytree(three_seeds, clean)
    shutil.copytree(three_seeds / "runs/random", three_seeds / "runs/random.bak")
    shutil.copytree(three_seeds / "runs/random/seed-0", three_seeds / "runs/random/seed-7")
    warned = [f"{three_seeds}/runs/{entry}: these records do not lie in" for entry in ("random.bak", "random")]
    for arguments in (("table",), ("table", "--format", "csv"), ("report",), ("status",), ("compare", clean)):
        code, out, err = harness(arguments[0], three_seeds, *arguments[1:])
        assert code == 0
        assert all(text in out + err for text in warned)
    assert harness("table", three_seeds, "--format", "csv")[1] == harness("table", clean, "--format", "csv")[1]
    *_, out, _ = harness("status", three_seeds)
    assert "random        3        0        0        0\n" in out
    assert "imported" not in out
    assert "random: n = 3 | 3;" in harness("compare", three_seeds, clean)[1]
    assert len((three_seeds / "report/runs.csv").read_text().splitlines()) == 1 + 6
    with pytest.warns(UserWarning, match="in their own run's folder and are left out") as caught:
        frame = package.load(three_seeds)
    assert len(caught) == 2
    with warnings.catch_warnings(action="error"):
        assert frame.equals(package.load(clean))


def test_a_copy_in_the_place_of_a_planned_run_is_no_run(three_seeds, harness):
    """Seed 3 is planned, and its folder holds a copy of seed 0: it is still to be made."""
    campaign = make_campaign({"darts": "one-shot", "random": "one-shot"}, [0, 1, 2, 3])
    store.write_sealed(three_seeds / "campaign.json", campaign)
    seed = three_seeds / "runs/random/seed-3"
    shutil.copytree(three_seeds / "runs/random/seed-0", seed)
    with pytest.raises(store.Misplaced, match=r"seed-3/record.json: the record of random seed 0"):
        store.load_record(seed)
    assert store.record_of(seed, "random-0") is None
    assert "random        3        0        0        1\n" in harness("status", three_seeds)[1]
