"""Official NATS-Bench and NAS-Bench-201 archives -> table, read without running their code.

Accuracies are the means over the trials that are there (`is_random=False` of the official APIs), costs follow
`ArchResults.get_compute_costs` of nats_bench 1.8. NATS-Bench folders and tar files are read one cell at a
time in constant memory; a .pth is one pickle and needs about six times its size.
"""

from __future__ import annotations

import glob
import multiprocessing
import os
import shlex
import signal
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.errors import UserError
from benchmarks.nb201 import cell
from benchmarks.nb201.archives import LAYOUTS, WHOLE, folder_files, read_cells, sample, size_space
from benchmarks.nb201.benchmark import PROXIES, TableBenchmark, open_nb201
from benchmarks.nb201.file_check import official_strings
from benchmarks.nb201.table import SPLITS, Column, Key, Table
from benchmarks.nb201.table_check import check
from benchmarks.nb201.table_file import KINDS, kind_of, load_table, save_table
from benchmarks.processes import end_with_parent, uninterrupted

Path_ = str | os.PathLike[str]

#: Which schedule each cost is taken from, and which where that has none; the proxy simulates 12 epochs.
COST_SCHEDULES = {
    **dict.fromkeys(("params", "flops", "latency"), (200, 12)),
    **dict.fromkeys(("train_seconds", "valid_seconds"), (12, 200)),
}
LEGACY_SEED = 888  # trusted by nats_bench where trials disagree about flops or parameters
_MAX_SEEDS = 16


def convert(source: Path_, dest: Path_, progress: Callable[[int, int], None] | None = None) -> Table:
    """Read an official archive or the CSV, write our .npz to `dest`, return the table.

    Cells that the archive lacks stay NaN and are counted in `Table.warnings`. `progress(done, total)` is
    called after every cell. Raises UserError with one clear line for anything that is not such an archive.
    """
    place, target = Path(source), Path(dest)
    kind = kind_of(place)
    if kind == "table":
        raise UserError(f"{place}: is a table already; use it as it is")
    _check_dest(place, target)
    if kind in ("csv", "counts"):
        table = load_table(place)
    else:
        collection = _Collection()
        for done, (index, results, where) in enumerate(read_cells(place, kind), start=1):
            collection.add(index, results, where)
            if progress is not None:
                progress(done, cell.NUM_CELLS)
        table = collection.table(f"{LAYOUTS[kind]} ({place.name})", place)
        check(table, place)
    save_table(table, target)
    return table


def convert_apart(
    source: Path_, dest: Path_, progress: Callable[[int, int], None] = lambda done, total: None, patience: int = 60
) -> Table:
    """`convert` in a process of its own; UserError where the next cell does not come within `patience` seconds.

    A hundred bytes of a pickle can keep Python's reader busy for days, in C code that only the system's alarm ends.
    A file that is one pickle of all cells has a second more for every megabyte.
    """
    place, target = Path(source), Path(dest)
    limit = patience + (place.stat().st_size >> 20 if kind_of(place) in WHOLE else 0)
    _apart(_convert, (place, target), limit, progress)
    return load_table(target)


def _convert(place: Path, target: Path, tell: Callable[[int, int], None]) -> None:
    convert(place, target, tell)


def _apart(work: Callable[..., Any], paths: tuple[Path, ...], limit: int, progress: Callable[[int, int], None]) -> Any:
    """The result of `work(*paths, tell)` in a process of its own; its calls of `tell` become calls of `progress`.

    UserError naming the first path where the process ends or tells nothing for `limit` seconds. Unfinished files beside
    the last path are removed.
    """
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_work_and_tell, args=(work, paths, limit, theirs))
    with uninterrupted():
        process.start()
        theirs.close()
    try:
        while True:
            kind, content = ours.recv()
            if kind == "error":
                raise content
            if kind == "result":
                return content
            progress(*content)
    except EOFError:
        process.join()
        if process.exitcode == -signal.SIGALRM:
            reason = f"given up: its next cell was not read in {limit} s; not an official file, perhaps"
        else:
            reason = f"the process that read it was ended from outside (exit code {process.exitcode}); out of memory?"
        raise UserError(f"{paths[0]}: {reason}") from None
    finally:
        process.kill()
        process.join()
        for unfinished in paths[-1].parent.glob(f"{glob.escape(paths[-1].name)}.*.{process.pid}.tmp"):
            unfinished.unlink(missing_ok=True)


def _work_and_tell(work: Callable[..., Any], paths: tuple[Path, ...], limit: int, parent: Connection) -> None:
    """The child's side of `_apart`: sends the progress of `work` to the parent, then its result or its error."""

    def tell(done: int, total: int) -> None:
        signal.alarm(limit)
        parent.send(("progress", (done, total)))

    end_with_parent()
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(limit)
    try:
        parent.send(("result", work(*paths, tell)))
    except Exception as error:  # raised again by the parent
        parent.send(("error", error))


def info(path: Path_, patience: int = 60) -> dict[str, Any]:
    """What a benchmark file holds: kind, bytes, cells, columns, and which command takes it as it is.

    Of an archive the first cell is read and all are counted. UserError for a file that no command takes, and where the
    next cell does not come within `patience` seconds.
    """
    place = Path(path)
    kind = kind_of(place)
    facts: dict[str, Any] = {"path": str(place), "kind": KINDS[kind]}
    files = folder_files(place).values() if kind == "nats-folder" else [place]
    facts["bytes"] = sum(file.stat().st_size for file in files)
    if kind in LAYOUTS:
        facts |= _apart(_sample, (place,), patience, lambda done, total: None)
        return facts | {"next": f"harness data convert {shlex.quote(str(place))}"}
    bench = open_nb201(place, ())
    return facts | _describe(bench.table) | {"next": _next(bench, place)}


def _sample(place: Path, tell: Callable[[int, int], None]) -> dict[str, Any]:
    pair = sample(place, kind_of(place), lambda count: tell(count, cell.NUM_CELLS))
    if pair is None:
        return {}
    count, (index, results, where) = pair
    collection = _Collection()
    collection.add(index, results, where)
    table = collection.table("", place)
    check(table, place)
    columns = [_describe_column(column) for column in table.columns.values()]
    return {"cells": count, "columns of": f"cell #{index}, the first", "columns": columns}


def _next(bench: TableBenchmark, place: Path) -> str:
    """A command that works with a table, and why another would not."""
    option = f"--table {shlex.quote(str(place))}"
    try:
        bench.require_scores()
    except UserError as error:
        return f"harness show {int(bench.table.present.argmax())} {option} (not in a campaign: {error})"
    try:
        bench.proxy(bench.datasets[0])
    except UserError as error:
        return f"harness best {bench.datasets[0]} {option} (not with searchers that query it: {error})"
    return f"harness run --searchers random --seeds 3 {option}"


def _describe(table: Table) -> dict[str, Any]:
    return {
        "source": table.source,
        "sha256": table.sha256,
        "cells": int(table.present.sum()),
        "columns": [_describe_column(column) for column in table.columns.values()],
        "costs": {name: sorted(getattr(table, name)) for name in COST_SCHEDULES if getattr(table, name)},
        "proxy_cost": table.proxy_cost(*PROXIES["cifar10"]),
        "warnings": table.warnings,
    }


def _describe_column(column: Column) -> dict[str, Any]:
    counts, cells = np.unique(column.trials[column.trials > 0], return_counts=True)
    return {
        "record": column.record,
        "split": column.split,
        "epochs": column.epochs,
        "cells": column.cells,
        "cells_by_trials": dict(zip(counts.tolist(), cells.tolist(), strict=True)),
        "seeds": list(column.seeds),
        "single_trials": column.per_trial is not None,
    }


def _check_dest(place: Path, target: Path) -> None:
    """UserError where the result cannot be written, before minutes of reading."""
    if target.is_dir():
        raise UserError(f"{target}: is a folder; give the name of the table to write, such as {target}/nb201.npz")
    if target.exists() and target.samefile(place):
        raise UserError(f"{target}: would overwrite the source")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{target.parent}: cannot be made ({error.strerror or error})") from None
    if not os.access(target.parent, os.W_OK):
        raise UserError(f"{target.parent}: cannot be written to; choose another place for the table")


# ---- gathering


class _Collection:
    """Arrays of all cells, filled cell by cell."""

    def __init__(self) -> None:
        self._accuracy: dict[Key, dict[int, np.ndarray]] = {}  # key -> seed -> percent
        self._costs: dict[tuple[str, str, int], np.ndarray] = {}  # (cost, record, epochs) -> values
        self._strings = official_strings()
        self._cells = 0

    def add(self, index: int, results: dict[int, Any], where: str) -> None:
        """Store one cell; UserError where it is not that cell or not results at all."""
        if not 0 <= index < cell.NUM_CELLS:
            raise UserError(f"{where}: cell index {index} is outside 0 to {cell.NUM_CELLS - 1}")
        self._cells += 1
        for epochs, state in results.items():
            try:
                self._add_state(index, epochs, state, where)
            except UserError:
                raise
            except (KeyError, TypeError, ValueError, AttributeError, IndexError, ZeroDivisionError) as error:
                raise UserError(f"{where}: not the results of a cell ({type(error).__name__}: {error})") from None

    def _add_state(self, index: int, epochs: int, state: Any, where: str) -> None:
        if state["arch_str"] != self._strings[index]:
            if ":" in state["arch_str"]:
                raise size_space(where)
            raise UserError(
                f"{where}: is {state['arch_str']!r}; in the official order #{index} is {self._strings[index]}"
            )
        for record, seeds in state["dataset_seed"].items():
            if record not in SPLITS:
                raise UserError(f"{where}: unknown data set {record!r}; one of {', '.join(SPLITS)}")
            trials = {int(seed): state["all_results"][record, seed] for seed in seeds}
            if not trials:
                continue
            if any(trial["epochs"] != epochs for trial in trials.values()):
                raise UserError(f"{where}: {record}: trials of other than {epochs} epochs")
            self._add_accuracies(index, record, epochs, trials, where)
            for cost, value in costs_of(trials, epochs).items():
                self._array(self._costs, (cost, record, epochs))[index] = value

    def _add_accuracies(self, index: int, record: str, epochs: int, trials: dict[int, Any], where: str) -> None:
        for split in SPLITS[record]:
            for seed, trial in trials.items():
                value = trial["eval_acc1es"].get(f"{split}@{epochs - 1}")
                if value is None:
                    continue
                by_seed = self._accuracy.setdefault((record, split, epochs), {})
                if len(by_seed) >= _MAX_SEEDS and seed not in by_seed:
                    raise UserError(f"{where}: more than {_MAX_SEEDS} different seeds; not an official archive")
                self._array(by_seed, seed)[index] = value

    @staticmethod
    def _array(arrays: dict[Any, np.ndarray], key: Any) -> np.ndarray:
        if key not in arrays:
            arrays[key] = np.full(cell.NUM_CELLS, np.nan)
        return arrays[key]

    def table(self, source: str, place: Path) -> Table:
        if not self._accuracy:
            raise UserError(f"{place}: no accuracy of any cell ({self._cells} cells were read)")
        columns = {key: _column(key, by_seed) for key, by_seed in sorted(self._accuracy.items())}
        return Table(
            columns=columns,
            **{name: self._cost(name, preferred) for name, preferred in COST_SCHEDULES.items()},
            source=source,
        )

    def _cost(self, name: str, preferred: tuple[int, int]) -> dict[str, np.ndarray]:
        """Record -> one cost of all cells, from the preferred schedule or, where that has none, from the other."""
        by_record = {}
        absent = np.full(cell.NUM_CELLS, np.nan)
        for record in SPLITS:
            first, second = (self._costs.get((name, record, epochs), absent) for epochs in preferred)
            values = np.where(np.isnan(first), second, first)
            if not np.isnan(values).all():
                by_record[record] = values
        return by_record


def _column(key: Key, by_seed: dict[int, np.ndarray]) -> Column:
    """Means over the trials that there are, added in the order of the seeds as the official API does."""
    seeds = tuple(sorted(by_seed))
    total, count = np.zeros(cell.NUM_CELLS), np.zeros(cell.NUM_CELLS, dtype=np.uint8)
    for seed in seeds:
        has_value = ~np.isnan(by_seed[seed])
        total[has_value] += by_seed[seed][has_value]
        count += has_value
    mean = np.divide(total, count, out=np.full(cell.NUM_CELLS, np.nan), where=count > 0)
    return Column(key, mean, count, seeds, np.stack([by_seed[seed] for seed in seeds], axis=1))


def costs_of(trials: dict[int, Any], epochs: int) -> dict[str, float]:
    """Costs of a cell on one record from its trials (seed -> `ResultsCount` state); NaN where not recorded.

    params and flops in millions, latency in seconds a batch, train_seconds an epoch, valid_seconds a pass
    over x-valid (`valid-per-time` of `get_more_info`).
    """
    return {
        "params": _agreed({seed: trial["params"] for seed, trial in trials.items()}),
        "flops": _agreed({seed: trial["flop"] for seed, trial in trials.items()}),
        "latency": _mean([x for x in (_mean(trial["latency"] or ()) for trial in trials.values()) if x > 0]),
        "train_seconds": _mean([x for x in map(_train_seconds, trials.values()) if x == x]),
        "valid_seconds": _mean([x for x in (_valid_seconds(t, epochs) for t in trials.values()) if x == x]),
    }


def _agreed(values: dict[int, float]) -> float:
    """The mean over trials; where they disagree, seed 888's (the rule of nats_bench for a legacy error).

    NaN where they disagree and seed 888 was not run: nats_bench has no answer either, and a mean of
    different networks would be none.
    """
    if len({f"{value:.5f}" for value in values.values()}) > 1:
        return float(values.get(LEGACY_SEED, np.nan))
    return _mean(list(values.values()))


def _train_seconds(trial: Any) -> float:
    return _mean(list(trial["train_times"].values())) if trial["train_times"] else np.nan


def _valid_seconds(trial: Any, epochs: int) -> float:
    times = [(trial["eval_times"] or {}).get(f"x-valid@{epoch}") for epoch in range(epochs)]
    return np.nan if None in times else _mean(times)


def _mean(values: Sequence[Any]) -> float:
    return float(sum(values) / len(values)) if len(values) else np.nan
