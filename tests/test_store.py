"""The folder on disk: checksums that find every changed byte, and locks that end with their holder."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from benchmarks.base import UserError
from harness import store


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
    hold = "import sys, time; from pathlib import Path; from harness import store\n"
    hold += "with store.claim(Path(sys.argv[1])) as mine: print(mine, flush=True); time.sleep(60)"
    other = subprocess.Popen([sys.executable, "-c", hold, folder], stdout=subprocess.PIPE, text=True)
    assert other.stdout.readline() == "True\n"
    with store.claim(folder) as mine:
        assert not mine
    assert store.running(tmp_path) == {folder: f"{os.uname().nodename} process {other.pid}"}
    other.send_signal(signal.SIGKILL)
    other.wait()
    assert store.running(tmp_path) == {}  # though its file is still there
    assert store.claim_path(folder).exists()
    with store.claim(folder) as mine:
        assert mine
        with store.claim(folder) as again:
            assert not again
    assert not store.claim_path(folder).exists()


def test_a_lock_whose_file_was_removed_meanwhile_is_not_one(tmp_path, monkeypatch):
    path = tmp_path / "lock"
    flock, calls = store.fcntl.flock, []

    def removed_before(file, how):
        if not calls:
            path.unlink()  # its holder ends between our opening and our locking
        calls.append(how)
        flock(file, how)

    monkeypatch.setattr(store.fcntl, "flock", removed_before)
    with store.lock(path) as mine:
        assert mine
        assert path.exists()
        assert len(calls) == 2


def test_without_locks_every_claim_is_granted_and_it_is_said(tmp_path, monkeypatch):
    def unsupported(file, how):
        raise OSError(store.errno.EOPNOTSUPP, "Operation not supported")

    monkeypatch.setattr(store.fcntl, "flock", unsupported)
    assert not store.has_locks(tmp_path)
    with store.lock(tmp_path / "lock") as mine:
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

    def stale(path):
        raise OSError(errno.ESTALE, "Stale file handle", str(path))

    monkeypatch.setattr(Path, "read_bytes", stale)
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
    assert not store.is_in_use(tmp_path)
    with store.in_use(tmp_path), store.in_use(tmp_path):
        assert store.is_in_use(tmp_path)
    assert not store.is_in_use(tmp_path)
