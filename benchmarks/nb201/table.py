"""The NAS-Bench-201 table in columns: query, optimum, checks. `table_file` reads and writes it.

A column holds one accuracy of all 15,625 cells in the official index order; NaN where the source has none.
Nothing is imputed and nothing is drawn at random: a value is the mean over the trials that there are, and
says over how many. Sources: the embedded table, a CSV of published values, or an official archive that
`benchmarks.nb201.official` has converted.
"""

from __future__ import annotations

import hashlib
import operator
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from benchmarks.base import NetworkSize, Score
from benchmarks.errors import UserError
from benchmarks.nb201 import cell
from benchmarks.nb201.cost import parameters
from benchmarks.nb201.table_check import COSTS, doubts

#: What was trained on what -> the splits it was measured on. `cifar10` was trained on all 50,000 images and
#: has no validation split; `ori-test` of cifar100 and ImageNet16-120 is x-valid and x-test together.
SPLITS: Mapping[str, tuple[str, ...]] = {
    "cifar10-valid": ("x-valid", "ori-test"),
    "cifar10": ("ori-test",),
    "cifar100": ("x-valid", "x-test", "ori-test"),
    "ImageNet16-120": ("x-valid", "x-test", "ori-test"),
}
RECORDS = tuple(SPLITS)
EPOCHS = (12, 200)
CLASSES = {"cifar10-valid": 10, "cifar10": 10, "cifar100": 100, "ImageNet16-120": 120}

Key = tuple[str, str, int]


class Column:
    """One accuracy of every cell: `mean` float64 (15625,) in percent, NaN where the source has none.

    `trials` uint8 (15625,) counts the trainings in each mean; `seeds` names them. `per_trial` float64
    (15625, len(seeds)) has NaN where that seed was not run or its value is not known to be that seed's, and
    is None where the source has means only. All arrays are read-only.
    """

    __slots__ = ("_trials", "_values", "epochs", "mean", "per_trial", "record", "seeds", "split", "trials")

    def __init__(
        self,
        key: Key,
        mean: np.ndarray,
        trials: np.ndarray,
        seeds: tuple[int, ...],
        per_trial: np.ndarray | None = None,
    ) -> None:
        self.record, self.split, self.epochs = key
        self.mean = frozen(mean, np.float64)
        self.trials = frozen(trials, np.uint8)
        self.seeds = seeds
        self.per_trial = None if per_trial is None else frozen(per_trial, np.float64)
        if self.mean.shape != (cell.NUM_CELLS,) or self.trials.shape != self.mean.shape:
            raise UserError(f"{self.name}: {self.mean.shape} values, expected ({cell.NUM_CELLS},)")
        if self.per_trial is not None and self.per_trial.shape != (cell.NUM_CELLS, len(seeds)):
            raise UserError(f"{self.name}: trials have shape {self.per_trial.shape}, seeds are {seeds}")
        self._values: list[float] = self.mean.tolist()  # for one item a list is faster than an array
        self._trials: list[int] = self.trials.tolist()

    @property
    def name(self) -> str:
        """Record, split and epochs of its values, in words."""
        return f"{self.record}/{self.split} at {self.epochs} epochs"

    @property
    def cells(self) -> int:
        """How many cells have a value."""
        return int(np.count_nonzero(~np.isnan(self.mean)))

    def __getitem__(self, index: Any) -> Score:
        """The mean accuracy of a cell by official index (Python or numpy integer).

        Raises UserError for another index or where the source has no value.
        """
        i = index if type(index) is int else _integer(index)
        if 0 <= i < cell.NUM_CELLS:
            value = self._values[i]
            if value == value:
                return Score(value, self._trials[i], self.record, self.split, self.epochs)
        raise self._missing(i)

    def singles(self, index: int) -> dict[int, float]:
        """Seed -> accuracy (percent) of each training of a cell that is known by its seed."""
        values = [] if self.per_trial is None else self.per_trial[index].tolist()
        return {seed: value for seed, value in zip(self.seeds, values, strict=False) if value == value}

    def trial_std(self, parts: int = 10) -> list[float]:
        """Standard deviation (ddof 1, points) of single trainings of a cell, in each tenth of the cells by their mean.

        From the worst tenth to the best; the root of the mean variance of the cells with two trainings or more. Empty
        where single trainings are not known.
        """
        if self.per_trial is None:
            return []
        counts = (~np.isnan(self.per_trial)).sum(axis=1)
        several = np.flatnonzero((counts > 1) & ~np.isnan(self.mean))
        if len(several) < parts:
            return []
        variance = np.nanvar(self.per_trial[several], axis=1, ddof=1)
        order = np.argsort(self.mean[several], kind="stable")
        return [round(float(np.sqrt(part.mean())), 6) for part in np.array_split(variance[order], parts)]

    def best(self) -> tuple[int, Score]:
        """Index and score of the highest mean; ties go to the lowest index, as in `find_best`."""
        if not self.cells:
            raise UserError(f"{self.name}: no cell has a value")
        index = int(np.nanargmax(self.mean))
        return index, self[index]

    def _missing(self, index: int) -> UserError:
        if not 0 <= index < cell.NUM_CELLS:
            return UserError(f"cell index {index}: outside 0 to {cell.NUM_CELLS - 1}")
        return UserError(
            f"cell #{index}: no {self.name}; this table has it for {self.cells:,} of {cell.NUM_CELLS:,} cells"
        )


@dataclass(frozen=True)
class Table:
    """Accuracies and costs of the benchmark; arrays are float64 (15625,), NaN where not recorded.

    `params` (millions), `flops` (millions of multiply-adds), `latency` (seconds for a batch of 256),
    `train_seconds` (one epoch) and `valid_seconds` (one pass over x-valid) are keyed by record; a record that
    the source does not have is absent.
    """

    columns: Mapping[Key, Column]
    params: Mapping[str, np.ndarray]
    flops: Mapping[str, np.ndarray]
    train_seconds: Mapping[str, np.ndarray]
    source: str  # one line: what kind of file it came from
    valid_seconds: Mapping[str, np.ndarray] = field(default_factory=dict)
    latency: Mapping[str, np.ndarray] = field(default_factory=dict)

    @cached_property
    def sha256(self) -> str:
        """Checksum over names and contents of all arrays; the same however the table was stored."""
        digest = hashlib.sha256()
        for name, array in sorted(arrays_of(self).items()):
            digest.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
            digest.update(array.tobytes())
        return digest.hexdigest()

    def column(self, record: str, split: str, epochs: int) -> Column:
        """One column; UserError that lists the legal names for anything else."""
        column = self.columns.get((record, split, epochs))
        return column if column is not None else _no_column(self, record, split, epochs)

    def proxy(self, record: str, split: str, epochs: int) -> tuple[Column, np.ndarray]:
        """What multi-trial searchers may query: a record's validation accuracy after a short training.

        Returns the column and the simulated seconds of a query, float64 (15625,): the training, and one
        validation pass where its time is recorded, as in the official `simulate_train_eval`. NaN where no
        training time is recorded.
        """
        column = self.column(record, split, epochs)
        absent = np.full(cell.NUM_CELLS, np.nan)
        seconds = epochs * self.train_seconds.get(record, absent)
        if record in self.valid_seconds:
            seconds = seconds + self.valid_seconds[record]
        return column, seconds

    def proxy_cost(self, record: str, split: str, epochs: int) -> str:
        """What the seconds of `proxy()` consist of."""
        if record not in self.train_seconds:
            return "training time is not recorded"
        if record in self.valid_seconds:
            return f"{epochs} x epoch time + one validation pass"
        return f"{epochs} x epoch time, evaluation time is not recorded"

    @cached_property
    def present(self) -> np.ndarray:
        """Which cells have any accuracy, bool (15625,)."""
        return np.any([~np.isnan(c.mean) for c in self.columns.values()], axis=0)

    @cached_property
    def params_anomaly(self) -> np.ndarray:
        """Where the stored parameter count is not the cell's (by over 0.1 %), bool (15625,).

        A known error of the official files: some cells carry the count of a cell with one convolution more or
        less. The stored value is kept.
        """
        wrong = []
        for record, stored in self.params.items():
            if record in CLASSES:  # the embedded benchmark's counts are computed
                implied = parameters(NetworkSize(16, 5, 3, CLASSES[record])) / 1e6
                wrong.append(np.abs(stored - implied) > 1e-3 * implied)
        return np.any(wrong, axis=0) if wrong else np.zeros(cell.NUM_CELLS, dtype=bool)

    @property
    def warnings(self) -> list[str]:
        """What a user of this table should know, one line each."""
        lines = []
        present, anomalies = int(self.present.sum()), np.flatnonzero(self.params_anomaly)
        if present < cell.NUM_CELLS:
            lines.append(f"partial: {present:,} of {cell.NUM_CELLS:,} cells")
        if len(anomalies):
            lines.append(
                f"the stored parameter count of {len(anomalies)} cells (first: #{anomalies[0]}) is not what "
                "their operations imply, a known error of the official files"
            )
        return lines + [text for _, text in doubts(self)]


def arrays_of(table: Table) -> dict[str, np.ndarray]:
    """All arrays of a table by name; what is stored and what the checksum covers."""
    arrays = {}
    for (record, split, epochs), column in table.columns.items():
        name = f"accuracy/{record}/{split}/{epochs}"
        arrays[f"{name}/mean"], arrays[f"{name}/trials"] = column.mean, column.trials
        arrays[f"{name}/seeds"] = np.array(column.seeds, dtype=np.int64)
        if column.per_trial is not None:
            arrays[f"{name}/per_trial"] = column.per_trial
    for cost in COSTS:
        arrays.update({f"{cost}/{record}": values for record, values in getattr(table, cost).items()})
    return arrays


def from_arrays(arrays: Mapping[str, np.ndarray], source: str) -> Table:
    columns: dict[Key, Column] = {}
    costs: dict[str, dict[str, np.ndarray]] = {cost: {} for cost in COSTS}
    for name, array in arrays.items():
        group, *rest = name.split("/")
        if group in costs:
            costs[group][rest[0]] = frozen(array, np.float64)
        elif rest[-1] == "mean":
            record, split, epochs, _ = rest
            prefix = name.removesuffix("mean")
            seeds = tuple(arrays[prefix + "seeds"].tolist())
            column = Column(
                (record, split, int(epochs)),
                array,
                arrays[prefix + "trials"],
                seeds,
                arrays.get(prefix + "per_trial"),
            )
            columns[record, split, int(epochs)] = column
    return Table(columns=columns, source=source, **costs)


def _no_column(table: Table, record: str, split: str, epochs: int) -> Column:
    """Raise the UserError that fits: which of the three words is wrong, and what there is."""
    have = table.columns
    if record not in SPLITS:
        raise UserError(f"record {record!r}: one of {', '.join(RECORDS)}")
    if split not in SPLITS[record]:
        note = "; its validation accuracy is in record cifar10-valid" if record == "cifar10" else ""
        raise UserError(f"split {split!r} of {record}: one of {', '.join(SPLITS[record])}{note}")
    if epochs not in EPOCHS:
        raise UserError(f"epochs {epochs!r}: one of {', '.join(map(str, EPOCHS))}")
    names = ", ".join(f"{r}/{s}@{e}" for r, s, e in sorted(have))
    raise UserError(f"no {record}/{split} at {epochs} epochs in this table ({table.source}); it has {names}")


def _integer(value: Any) -> int:
    """A Python or numpy integer as int; UserError for anything else, bool included."""
    try:
        if isinstance(value, (bool, np.bool_)):
            raise TypeError
        return operator.index(value)
    except TypeError:
        raise UserError(f"{value!r}: expected an integer") from None


def frozen(array: np.ndarray, dtype: Any = np.float64) -> np.ndarray:
    """A read-only array with one kind of NaN, so that equal tables have equal bytes."""
    out = np.array(array, dtype=dtype, order="C")
    if out.dtype.kind == "f":
        out[np.isnan(out)] = np.nan
    out.setflags(write=False)
    return out
