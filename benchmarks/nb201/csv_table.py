"""The CSV of published values -> table.

It holds means over trials, and single trials of 200 epochs for some splits; where it names no seed for sure,
none is made up.
"""

from __future__ import annotations

import csv
import gzip
import io
from pathlib import Path

import numpy as np

from benchmarks.errors import UserError
from benchmarks.files import damage
from benchmarks.nb201 import cell
from benchmarks.nb201.file_check import check_order
from benchmarks.nb201.table import Column, Key, Table, frozen

_CSV_BYTES = 64 * 2**20  # the real one has 6 MB; a bound for gzip bombs

#: The CSV's name of a record or a pair (its column prefix) -> ours.
_CSV_MEANS = {
    "c10valid_val": ("cifar10-valid", "x-valid"),
    "c10_test": ("cifar10", "ori-test"),
    "c100_val": ("cifar100", "x-valid"),
    "c100_test": ("cifar100", "x-test"),
    "in16_val": ("ImageNet16-120", "x-valid"),
    "in16_test": ("ImageNet16-120", "x-test"),
}
_CSV_UNIONS = {"c100_valtest": ("cifar100", "ori-test"), "in16_valtest": ("ImageNet16-120", "ori-test")}
_CSV_COSTS = {"c10valid": "cifar10-valid", "c10": "cifar10", "c100": "cifar100", "in16": "ImageNet16-120"}
_CSV_SEEDS = (777, 888, 999)


class _Csv:
    """Columns of the CSV as arrays; errors name row and column."""

    def __init__(self, path: Path) -> None:
        self.path = path
        if path.stat().st_size > _CSV_BYTES:  # packed, they may be mostly nothing, at which gzip reads for hours
            raise UserError(f"{path}: larger than {_CSV_BYTES >> 20} MB, not the CSV of published values")
        opened = gzip.open(path) if _is_gzip(path) else open(path, "rb")  # noqa: SIM115
        with damage(path, "CSV"), opened as file:
            data = file.read(_CSV_BYTES + 1)
            text = data.decode("utf-8-sig")
        if len(data) > _CSV_BYTES:
            raise UserError(f"{path}: larger than {_CSV_BYTES >> 20} MB, not the CSV of published values")
        with damage(path, "CSV"):
            header, *rows = csv.reader(io.StringIO(text, newline=""))
        if len(rows) != cell.NUM_CELLS:
            raise UserError(f"{path}: {len(rows):,} rows of cells, expected {cell.NUM_CELLS:,}")
        short = next((i for i, row in enumerate(rows) if len(row) != len(header)), None)
        if short is not None:
            raise UserError(f"{path}: row {short} has {len(rows[short])} values, expected {len(header)}")
        self.columns = dict(zip(header, zip(*rows, strict=True), strict=True))

    def text(self, name: str) -> tuple[str, ...]:
        if name not in self.columns:
            raise UserError(f"{self.path}: has no column {name}; expected the CSV of published values")
        return self.columns[name]

    def numbers(self, name: str) -> np.ndarray:
        texts = self.text(name)
        try:
            return np.array([float(t) if t else np.nan for t in texts])
        except ValueError as error:
            raise UserError(f"{self.path}: column {name}: {error}") from None

    def counts(self, name: str, most: int) -> np.ndarray:
        values = np.nan_to_num(self.numbers(name), nan=0, posinf=np.inf)
        for row in np.flatnonzero(~((values >= 0) & (values <= most) & (values == np.round(values)))):
            raise UserError(f"{self.path}: column {name}, row {row}: {values[row]:g}; expected a count, 0 to {most}")
        return values


def _is_gzip(path: Path) -> bool:
    with open(path, "rb") as file:
        return file.read(2) == b"\x1f\x8b"


def load_csv(path: Path) -> Table:
    """The table in the CSV, plain or gzipped; UserError for any other or damaged CSV."""
    data = _Csv(path)
    check_order(data.text("arch_str"), path)
    if data.text("index") != tuple(str(i) for i in range(cell.NUM_CELLS)):
        raise UserError(f"{path}: column index is not 0 to {cell.NUM_CELLS - 1} in order")
    columns: dict[Key, Column] = {}
    for prefix, (record, split) in _CSV_MEANS.items():
        columns[record, split, 12] = _csv_12(data, prefix, (record, split, 12))
        columns[record, split, 200] = _csv_200(data, prefix, (record, split, 200))
    for prefix, (record, split) in _CSV_UNIONS.items():
        columns[record, split, 200] = _csv_200(data, prefix, (record, split, 200))
    shared = {"c10valid": "c10"}  # the same network: its size is stored once
    return Table(
        columns=columns,
        params={r: frozen(data.numbers(f"{shared.get(n, n)}_params_M")) for n, r in _CSV_COSTS.items()},
        flops={r: frozen(data.numbers(f"{shared.get(n, n)}_flops_M")) for n, r in _CSV_COSTS.items()},
        train_seconds={r: frozen(data.numbers(f"{n}_epoch_time_s")) for n, r in _CSV_COSTS.items()},
        source="CSV of published values, rounded to 6 decimals",
    )


def _csv_12(data: _Csv, prefix: str, key: Key) -> Column:
    """Means over seeds 111 and 777 for cifar10-valid; the only trial (seed 111) for the others."""
    mean = data.numbers(f"{prefix}_acc_12ep")
    seeds, per_trial = ((111, 777), None) if key[0] == "cifar10-valid" else ((111,), mean[:, None])
    return Column(key, mean, np.where(np.isnan(mean), 0, len(seeds)), seeds, per_trial)


def _csv_200(data: _Csv, prefix: str, key: Key) -> Column:
    """Means over the 200-epoch trials, with single trials where the CSV has them.

    Where the CSV only infers which seed gave which value (c10_test_seed_labels_sure = 0), the labels are
    dropped: the mean stands, asking for a trial is an error.
    """
    count = data.counts("n_seeds", len(_CSV_SEEDS))
    name = f"{prefix}_acc_s777"
    per_trial = None
    if name in data.columns:
        per_trial = np.stack([data.numbers(f"{prefix}_acc_s{seed}") for seed in _CSV_SEEDS], axis=1)
    if prefix.endswith("valtest"):
        assert per_trial is not None  # the CSV has no column of this mean
        count = np.count_nonzero(~np.isnan(per_trial), axis=1)
        mean = np.divide(np.nansum(per_trial, axis=1), count, out=np.full(cell.NUM_CELLS, np.nan), where=count > 0)
    else:
        mean = data.numbers(f"{prefix}_acc")
    if per_trial is not None and prefix == "c10_test":
        per_trial[data.numbers("c10_test_seed_labels_sure") != 1] = np.nan
    return Column(key, mean, np.where(np.isnan(mean), 0, count), _CSV_SEEDS, per_trial)
