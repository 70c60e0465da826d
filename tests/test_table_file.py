"""Files of tables: written, read again, and wrong ones named in a line."""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from support.archives import N, small_table
from support.published import CSV, ROOT, SAMPLE, needs_csv

from benchmarks.errors import UserError
from benchmarks.nb201.table import Column, Table
from benchmarks.nb201.table_file import load_table, save_table

NOISE = np.random.default_rng(0).bytes(5000)  # what cannot be compressed


def test_round_trip_keeps_values_and_checksum(tmp_path: Path) -> None:
    table = small_table()
    save_table(table, tmp_path / "deep" / "t.npz")
    back = load_table(tmp_path / "deep" / "t.npz")
    assert os.listdir(tmp_path / "deep") == ["t.npz"]
    assert back.sha256 == table.sha256
    assert back.source == table.source
    (key, column), (back_key, back_column) = *table.columns.items(), *back.columns.items()
    assert key == back_key
    assert column.seeds == back_column.seeds
    for name in ("mean", "trials", "per_trial"):
        np.testing.assert_array_equal(getattr(column, name), getattr(back_column, name))
    np.testing.assert_array_equal(back.train_seconds["cifar10-valid"], np.full(N, 2.0))
    with np.load(tmp_path / "deep" / "t.npz") as packed:
        np.savez(tmp_path / "u.npz", **packed)
    assert load_table(tmp_path / "u.npz").sha256 == table.sha256


@needs_csv
def test_csv_and_its_npz_have_the_same_checksum(published: Table, tmp_path: Path) -> None:
    plain = tmp_path / "plain.csv"
    plain.write_bytes(gzip.decompress(CSV.read_bytes()))
    save_table(published, tmp_path / "t.npz")
    back = load_table(tmp_path / "t.npz")
    assert back.sha256 == published.sha256 == load_table(plain).sha256
    assert back.columns.keys() == published.columns.keys()
    assert (tmp_path / "t.npz").stat().st_size < 60e6


def test_checksum_covers_every_array_and_its_name() -> None:
    table = small_table()
    column = table.column("cifar10-valid", "x-valid", 12)
    key, seconds = ("cifar10-valid", "x-valid", 12), table.train_seconds
    assert column.per_trial is not None

    def checksum(**changed) -> str:
        kept = {"columns": table.columns, "params": table.params, "flops": {}, "train_seconds": seconds}
        return Table(**{**kept, "source": "elsewhere", **changed}).sha256

    trials = column.per_trial.copy()
    trials[9, 1] += 1e-9
    changed = [
        checksum(columns={key: Column(key, column.mean, column.trials, column.seeds, trials)}),
        checksum(columns={key: Column(key, column.mean, column.trials, (1, 2, 3), column.per_trial)}),
        checksum(columns={("cifar10-valid", "ori-test", 12): column}),
        checksum(train_seconds={"cifar10": seconds["cifar10-valid"]}),
        checksum(valid_seconds=seconds),
    ]
    assert checksum() == table.sha256  # not the source line
    assert len({*changed, table.sha256}) == 6


def _flip(place: Path) -> None:
    data = bytearray(place.read_bytes())
    data[len(data) // 2] ^= 0xFF
    place.write_bytes(data)


def _tamper(place: Path) -> None:
    with np.load(place) as packed:
        arrays = dict(packed)
    arrays["accuracy/cifar10-valid/x-valid/12/mean"][5] += 1
    with open(place, "wb") as file:
        np.savez(file, **arrays)


@pytest.mark.case(36)  # nothing is downloaded
@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda p: p.unlink(), "no such file.*expected a table.*harness data convert"),
        (lambda p: p.write_bytes(p.read_bytes()[:30_000]), "truncated or damaged"),
        (_flip, "truncated or damaged|checksum"),
        (_tamper, "do not match the stored checksum.*harness data convert"),
        (lambda p: p.write_bytes(b""), "an empty file"),
        (lambda p: p.write_text("hello\nworld\n"), "not a benchmark file; expected"),
        (lambda p: np.savez(p, alphas=np.zeros(3)), "something else .it holds alphas"),
        (lambda p: (p.unlink(), p.mkdir()), "folder without NATS-Bench files"),
        (
            lambda p: p.write_bytes(gzip.compress(NOISE)[:2000]),
            "not a benchmark file|truncated",
        ),
        (
            lambda p: np.savez(p, **{"meta": np.array("{}"), "accuracy/a/b/12/mean": np.zeros(2)}),
            "table format None",
        ),
        (
            lambda p: np.savez(p, **{"meta": np.array([{}], dtype=object), "accuracy/x": np.zeros(2)}),
            "truncated or damaged",
        ),
    ],
)
def test_wrong_files_are_one_clear_line(tmp_path: Path, damage, message: str) -> None:
    place = tmp_path / "table.npz"
    save_table(small_table(), place)
    assert load_table(place).source == "made up"
    damage(place)
    with pytest.raises(UserError, match=message) as caught:
        load_table(place)
    assert str(caught.value).startswith(str(place))
    assert "\n" not in str(caught.value)


@pytest.mark.skipif(not SAMPLE.is_dir(), reason=f"no official sample at {SAMPLE}")
def test_official_archives_are_sent_to_convert() -> None:
    with pytest.raises(UserError, match=f"NATS-Bench topology folder; convert it.*harness data convert {SAMPLE}"):
        load_table(SAMPLE)


def test_failed_save_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = tmp_path / "t.npz"
    place.write_text("old")

    def full(*_args, **_kwargs) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez_compressed", full)
    with pytest.raises(UserError, match="No space left"):
        save_table(small_table(), place)
    assert place.read_text() == "old"
    assert os.listdir(tmp_path) == ["t.npz"]


@pytest.mark.case(41)
def test_neither_torch_nor_pandas_is_imported(tmp_path: Path) -> None:
    save_table(small_table(), tmp_path / "t.npz")
    code = (
        "import sys; from benchmarks.nb201 import table_file, official; "
        f"print(table_file.load_table({str(tmp_path / 't.npz')!r}).source); "
        "print(sorted({'torch', 'pandas', 'nats_bench', 'nas_201_api'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.split("\n")[:2] == ["made up", "[]"]


def test_an_npz_whose_description_is_no_object_is_one_line(tmp_path):
    path = tmp_path / "x.npz"
    np.savez(path, meta=np.array("[]"))
    with pytest.raises(UserError, match="x.npz"):
        load_table(path)


@pytest.mark.case(32)
def test_a_table_opens_in_little_memory(table, tmp_path):
    save_table(load_table(table), tmp_path / "t.npz")
    code = (
        "import sys; sys.argv = ['harness', 'data', 'info', sys.argv[1]]\n"
        "from harness.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print([line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM')][0])"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "t.npz")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert int(done.stdout.splitlines()[-1]) < 300 * 1024  # KB
