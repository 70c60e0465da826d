"""Official NATS-Bench and NAS-Bench-201 archives -> table, read without running their code.

Accuracies are the means over the trials that are there (`is_random=False` of the official APIs), costs follow
`ArchResults.get_compute_costs` of nats_bench 1.8. NATS-Bench folders and tar files are read one cell at a
time in constant memory; a .pth is one pickle and needs about six times its size.
"""

from __future__ import annotations

import bz2
import contextlib
import gzip
import os
import re
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np

from benchmarks import safe_pickle
from benchmarks.base import UserError
from benchmarks.nb201 import cell
from benchmarks.nb201.table import (
    EPOCHS,
    KINDS,
    SPLITS,
    Column,
    Key,
    Table,
    check_order,
    kind_of,
    load_table,
    official_strings,
    save_table,
)

Path_ = str | os.PathLike[str]
#: One cell as read: official index, epochs -> `ArchResults` state (a dict), where it was read from.
Read = tuple[int, dict[int, Any], str]
Pair = tuple[str, float, float]  # what, the table's value, the official value

_META = "meta.pickle.pbz2"
_CELL_FILE = re.compile(r"(\d{1,6})\.pickle\.pbz2")
_SCHEDULES = {"12": 12, "200": 200, "less": 12, "full": 200}  # NATS-Bench and NAS-Bench-201 names
_PACKED, _UNPACKED = 16 * 2**20, 64 * 2**20  # bytes of one file; the real ones have 84 KB and 326 KB
#: Which schedule each cost is taken from, and which where that has none; the proxy simulates 12 epochs.
_COST_SCHEDULES = {
    **dict.fromkeys(("params", "flops", "latency"), (200, 12)),
    **dict.fromkeys(("train_seconds", "valid_seconds"), (12, 200)),
}
_LEGACY_SEED = 888  # trusted by nats_bench where trials disagree about flops or parameters
_MAX_SEEDS = 16
_TORCH_MAGIC, _TORCH_PROTOCOL = 0x1950A86A20F9469CFC6C, 1001  # first two pickles of a pre-1.6 torch file


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
    if kind == "csv":
        table = load_table(place)
    else:
        gathered = _Gathered()
        for done, (index, results, where) in enumerate(_cells(place, kind), start=1):
            gathered.add(index, results, where)
            if progress is not None:
                progress(done, cell.NUM_CELLS)
        table = gathered.table(f"{_SOURCES[kind]} ({place.name})", place)
    save_table(table, target)
    return table


def info(path: Path_) -> dict[str, Any]:
    """What a benchmark file holds: kind, bytes, cells, and for tables source, checksum, columns, costs."""
    place = Path(path)
    kind = kind_of(place)
    known: dict[str, Any] = {"path": str(place), "kind": KINDS[kind]}
    if kind == "nats-folder":
        files = _folder_files(place)
        known["bytes"] = sum(file.stat().st_size for file in files.values())
        known["cells"] = len(files)
    else:
        known["bytes"] = place.stat().st_size
    if kind in ("table", "csv"):
        known.update(_describe(load_table(place)))
    else:
        known["next"] = f"harness data convert {place}"
    return known


def _describe(table: Table) -> dict[str, Any]:
    return {
        "source": table.source,
        "sha256": table.sha256,
        "cells": int(table.present.sum()),
        "columns": [_describe_column(column) for column in table.columns.values()],
        "costs": {name: sorted(getattr(table, name)) for name in _COST_SCHEDULES if getattr(table, name)},
        "proxy_cost": table.proxy_cost,
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


# ---- reading: one generator per layout


_SOURCES = {
    "nats-folder": "NATS-Bench topology folder",
    "nats-tar": "NATS-Bench topology tar",
    "nats-file": "NATS-Bench topology file",
    "pth": "NAS-Bench-201 file",
}


def _cells(place: Path, kind: str) -> Iterator[Read]:
    readers = {
        "nats-folder": _from_folder,
        "nats-tar": _from_tar,
        "nats-file": _from_whole,
        "pth": _from_whole,
    }
    return readers[kind](place)


def _folder_files(place: Path) -> dict[int, Path]:
    """The cell files of a folder by index, in index order."""
    found: dict[int, Path] = {}
    for entry in place.iterdir():
        match = _CELL_FILE.fullmatch(entry.name)
        if match and entry.is_file():
            if int(match[1]) in found:
                raise UserError(f"{place}: cell {int(match[1])} is there twice, {entry.name} and another name")
            found[int(match[1])] = entry
    return dict(sorted(found.items()))


def _from_folder(place: Path) -> Iterator[Read]:
    if not (place / _META).is_file():
        raise UserError(f"{place}: has no {_META}; unpack the whole NATS-tss-v1_0-3ffb9-simple archive")
    _check_meta(_read_file(place / _META), place / _META)
    for index, file in _folder_files(place).items():
        yield index, _schedules(_read_file(file), file), str(file)


def _read_file(file: Path) -> Any:
    try:
        if file.stat().st_size > _PACKED:
            raise UserError(f"{file}: {file.stat().st_size >> 20} MB, too large for one cell of the archive")
        return _unpack(file.read_bytes(), str(file))
    except OSError as error:
        raise UserError(f"{file}: cannot be read ({error.strerror or error})") from None


def _unpack(data: bytes, where: str) -> Any:
    """The object in the bytes of a .pickle.pbz2."""
    reader = bz2.BZ2Decompressor()
    try:
        unpacked = reader.decompress(data, _UNPACKED + 1)
    except OSError:
        raise UserError(f"{where}: not a bz2 file, or damaged; get it again") from None
    if len(unpacked) > _UNPACKED:
        raise UserError(f"{where}: unpacks to more than {_UNPACKED >> 20} MB; not a file of the archive")
    if not reader.eof:
        raise UserError(f"{where}: the file ends early (truncated); get it again")
    return safe_pickle.loads(unpacked, where, allowed=safe_pickle.ARCHIVE)


def _from_tar(place: Path) -> Iterator[Read]:
    """Stream a tar; names inside are matched by their last part only and nothing is unpacked to disk."""
    meta_seen = False
    seen: set[int] = set()
    for name, data in _tar_files(place):
        where = f"{place}: {name}"
        if name == _META:
            _check_meta(_unpack(data, where), where)
            meta_seen = True
            continue
        index = int(name.split(".")[0])
        if index in seen:
            raise UserError(f"{where}: this cell is in the archive twice")
        seen.add(index)
        yield index, _schedules(_unpack(data, where), where), where
    if not meta_seen:
        raise UserError(
            f"{place}: holds no {_META}; not the NATS-Bench topology archive, or one piece of a split one "
            "(join the pieces with cat)"
        )


def _tar_files(place: Path, wanted: Callable[[str], bool] = lambda name: True) -> Iterator[tuple[str, bytes]]:
    """Names and bytes of the archive's own files in a tar, plain or gzipped, in the order of the tar."""
    early = f"{place}: the tar ends early: truncated, or one piece of a split archive; get it again or join "
    early += "the pieces (cat)"
    with _open_tar(place) as file:
        if isinstance(file, gzip.GzipFile) or _ends_well(place):
            try:
                with tarfile.open(fileobj=file, mode="r|") as archive:
                    for member in archive:
                        name = member.name.rsplit("/", 1)[-1]
                        ours = name == _META or _CELL_FILE.fullmatch(name)
                        if not (member.isreg() and ours and wanted(name)):
                            continue
                        if member.size > _PACKED:
                            raise UserError(f"{place}: {name} has {member.size >> 20} MB, too large for one cell")
                        stored = archive.extractfile(member)
                        assert stored is not None  # it is a regular file
                        yield name, stored.read()
                while file.read(2**20):  # gzip notices a cut only at its end
                    pass
            except (tarfile.TarError, EOFError, OSError, zlib.error) as error:
                raise UserError(f"{early} ({error})") from None
        else:
            raise UserError(early)


def _open_tar(place: Path) -> IO[bytes]:
    with open(place, "rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
    return gzip.open(place) if packed else open(place, "rb")  # type: ignore[return-value]


def _ends_well(place: Path) -> bool:
    """Whether a plain tar ends in its two empty blocks; checked first, since reading takes minutes."""
    with open(place, "rb") as file:
        file.seek(max(0, os.path.getsize(place) - 1024))
        return file.read() == bytes(1024)


def _from_whole(place: Path) -> Iterator[Read]:
    """A file that is one pickle of all cells; each cell is dropped once it has been read."""
    whole = _whole(place)
    infos = whole["arch2infos"]
    for index in sorted(infos):
        where = f"{place}: cell {index}"
        yield index, _schedules(infos.pop(index), where), where


def _whole(place: Path) -> dict[str, Any]:
    packed = kind_of(place) == "nats-file"
    _check_memory(place, 24 if packed else 6)
    if packed:
        with bz2.open(place) as file:
            whole = safe_pickle.load(file, str(place), allowed=safe_pickle.ARCHIVE)
    elif zipfile.is_zipfile(place):
        whole = _torch_zip(place)
    else:
        whole = _torch_legacy(place)
    if isinstance(whole, dict) and {"full", "less"} & set(whole):
        raise UserError(f"{place}: one cell of an archive folder; convert NAS-Bench-201-v1_1-096897.pth instead")
    if not isinstance(whole, dict) or not isinstance(whole.get("arch2infos"), dict):
        raise UserError(f"{place}: holds no arch2infos; not a NAS-Bench-201 or NATS-Bench file")
    if not all(type(index) is int for index in whole["arch2infos"]):
        raise UserError(f"{place}: arch2infos is not keyed by cell index; not a NAS-Bench-201 file")
    _check_meta(whole, place)
    return whole


def _torch_zip(place: Path) -> Any:
    """torch >= 1.6: a zip with the pickle in <name>/data.pkl."""
    try:
        with zipfile.ZipFile(place) as archive:
            name = next(n for n in archive.namelist() if n.endswith("/data.pkl"))
            with archive.open(name) as file:
                return safe_pickle.load(file, str(place), allowed=safe_pickle.ARCHIVE)
    except (zipfile.BadZipFile, OSError) as error:
        raise UserError(f"{place}: truncated or damaged ({error}); get it again") from None


def _torch_legacy(place: Path) -> Any:
    """torch < 1.6: five pickles in a row: magic number, protocol, system, the object, keys of tensors."""
    with open(place, "rb") as file:
        start = [safe_pickle.load(file, str(place), allowed=safe_pickle.ARCHIVE)]
        if start != [_TORCH_MAGIC]:
            raise UserError(f"{place}: a pickle, but not a file of torch; expected NAS-Bench-201-v1_1-096897.pth")
        protocol, _, whole, _ = (safe_pickle.load(file, str(place), allowed=safe_pickle.ARCHIVE) for _ in range(4))
    if protocol != _TORCH_PROTOCOL:
        raise UserError(f"{place}: torch file protocol {protocol!r}, expected {_TORCH_PROTOCOL}")
    return whole


def _check_memory(place: Path, factor: int) -> None:
    """Refuse what would be killed halfway: one pickle becomes objects of `factor` times the file's size."""
    needed = factor * place.stat().st_size
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        free = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
    except (OSError, StopIteration):
        return  # not Linux: a MemoryError is reported all the same
    if needed > max(free, 2**30):
        raise UserError(
            f"{place}: reading it takes about {needed / 1e9:.0f} GB of memory, {free / 1e9:.1f} GB are free; "
            "use a larger machine, or NATS-tss-v1_0-3ffb9-simple (same cells, read one by one)"
        )


# ---- checking


def _check_meta(meta: Any, where: Any) -> None:
    archs = meta.get("meta_archs") if isinstance(meta, dict) else None
    if not isinstance(archs, (list, tuple)):
        raise UserError(f"{where}: holds no list meta_archs; not a NATS-Bench or NAS-Bench-201 file")
    if archs and isinstance(archs[0], str) and ":" in archs[0]:
        raise _size_space(where)
    check_order(archs, where)


def _size_space(where: Any) -> UserError:
    return UserError(f"{where}: of the size space (NATS-sss); this benchmark is the topology space (NATS-tss)")


def _schedules(stored: Any, where: Any) -> dict[int, Any]:
    """Epochs -> results of one cell, from what its file holds."""
    if not isinstance(stored, dict) or not stored:
        raise UserError(f"{where}: holds no results of a cell")
    if {"01", "90"} & set(stored):
        raise _size_space(where)
    found = {_SCHEDULES[name]: results for name, results in stored.items() if name in _SCHEDULES}
    if not found:
        raise UserError(f"{where}: no results of 12 or 200 epochs; it has {', '.join(map(str, stored))}")
    return found


def _check_dest(place: Path, target: Path) -> None:
    """Say before minutes of reading that the result cannot be written."""
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


class _Gathered:
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
                raise _size_space(where)
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
            **{name: self._cost(name, preferred) for name, preferred in _COST_SCHEDULES.items()},
            source=source,
        )

    def _cost(self, name: str, preferred: tuple[int, int]) -> dict[str, np.ndarray]:
        """By record, from the preferred schedule, where that has none from the other."""
        chosen = {}
        absent = np.full(cell.NUM_CELLS, np.nan)
        for record in SPLITS:
            first, second = (self._costs.get((name, record, epochs), absent) for epochs in preferred)
            values = np.where(np.isnan(first), second, first)
            if not np.isnan(values).all():
                chosen[record] = values
        return chosen


def _column(key: Key, by_seed: dict[int, np.ndarray]) -> Column:
    """Means over the trials that there are, added in the order of the seeds as the official API does."""
    seeds = tuple(sorted(by_seed))
    total, count = np.zeros(cell.NUM_CELLS), np.zeros(cell.NUM_CELLS, dtype=np.uint8)
    for seed in seeds:
        there = ~np.isnan(by_seed[seed])
        total[there] += by_seed[seed][there]
        count += there
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
        return float(values.get(_LEGACY_SEED, np.nan))
    return _mean(list(values.values()))


def _train_seconds(trial: Any) -> float:
    return _mean(list(trial["train_times"].values())) if trial["train_times"] else np.nan


def _valid_seconds(trial: Any, epochs: int) -> float:
    times = [(trial["eval_times"] or {}).get(f"x-valid@{epoch}") for epoch in range(epochs)]
    return np.nan if None in times else _mean(times)


def _mean(values: Sequence[Any]) -> float:
    return float(sum(values) / len(values)) if len(values) else np.nan


# ---- verifying against the official APIs


def verify(table: Table, source: Path_, cells: int = 20, tolerance: float = 1e-9) -> list[str]:
    """Read up to `cells` cells, spread over the archive, through the official API and compare everything.

    Final accuracies (means and single trials), flops, parameters, latency and times; the result names each
    difference beyond a relative `tolerance` and is empty where all agree. The official APIs unpickle
    blindly, so what they will read is first read with the safe reader. Raises UserError for a source that no
    official API reads.
    """
    place = Path(source)
    kind = kind_of(place)
    if kind not in _SOURCES:
        raise UserError(f"{place}: {KINDS[kind]}; only official archives can be verified against their API")
    with contextlib.ExitStack() as stack:
        api, indices = _official_api(place, kind, cells, stack)
        differences = []
        for index in indices:
            pairs = _pairs(table, index, _official_results(api, index))
            if not pairs:
                raise UserError(f"{place}: the official API has nothing about cell #{index}; nothing to compare")
            differences += [
                f"cell #{index} {what}: table {ours!r}, official {theirs!r}"
                for what, ours, theirs in pairs
                if not np.isclose(ours, theirs, rtol=tolerance, atol=0, equal_nan=True)
            ]
    return differences


def _official_results(api: Any, index: int) -> dict[int, Any]:
    """Epochs -> `ArchResults` of the schedules that the archive has."""
    results = {}
    for epochs in EPOCHS:
        with contextlib.suppress(KeyError, ValueError):  # the official way to say that there is none
            results[epochs] = api.query_meta_info_by_index(index, hp=str(epochs))
    return results


def _official_api(place: Path, kind: str, cells: int, stack: contextlib.ExitStack) -> tuple[Any, list[int]]:
    """The official API on an archive and the cells to compare."""
    if kind == "pth":
        indices = _spread(_whole(place)["arch2infos"], cells)
        return _nas_201_api(place), indices
    from nats_bench import create

    if kind == "nats-file":
        whole = _whole(place)
        return create(whole, "tss", fast_mode=False, verbose=False), _spread(whole["arch2infos"], cells)
    folder, indices = place, []
    if kind == "nats-tar":
        folder, indices = _unpack_some(place, cells, Path(stack.enter_context(tempfile.TemporaryDirectory())))
    else:
        indices = _spread(_folder_files(place), cells)
    _check_meta(_read_file(folder / _META), folder / _META)
    for index in indices:
        _read_file(_folder_files(folder)[index])
    return create(str(folder), "tss", fast_mode=True, verbose=False), indices


def _spread(indices: Any, count: int) -> list[int]:
    ordered = sorted(indices)
    return [ordered[i] for i in np.unique(np.linspace(0, len(ordered) - 1, min(count, len(ordered))).astype(int))]


def _unpack_some(place: Path, cells: int, folder: Path) -> tuple[Path, list[int]]:
    """Meta and some cells of a tar as a folder that the official API opens."""
    names = [name for name, _ in _tar_files(place)]
    chosen = _spread([int(name.split(".")[0]) for name in names if name != _META], cells)
    for name, data in _tar_files(place, lambda n: n == _META or int(n.split(".")[0]) in chosen):
        (folder / name).write_bytes(data)
    return folder, chosen


def _nas_201_api(place: Path) -> Any:
    import _codecs

    import torch
    from nas_201_api import NASBench201API

    scalar = np.float64(0).__reduce__()[0]
    names: list[Any] = [np.dtype, type(np.dtype(np.float64)), _codecs.encode]
    names += [(scalar, "numpy.core.multiarray.scalar"), (scalar, "numpy._core.multiarray.scalar")]
    with torch.serialization.safe_globals(names):
        return NASBench201API(str(place), verbose=False)


def _pairs(table: Table, index: int, results: dict[int, Any]) -> list[Pair]:
    """What to compare of one cell: name, the table's value, the official value; NaN for "not there"."""
    pairs: list[Pair] = []
    for epochs, official in results.items():
        for record in official.get_dataset_names():
            for split in SPLITS[record]:
                pairs += _accuracy_pairs(table, index, (record, split, epochs), official)
    for record in SPLITS:
        asked = {e: o for e, o in results.items() if record in o.get_dataset_names()}
        costs = {e: found for e, o in asked.items() if (found := _official_costs(o, record))}
        for name, preferred in _COST_SCHEDULES.items():
            known = [costs[e][name] for e in preferred if e in costs and costs[e][name] is not None]
            stored = getattr(table, name).get(record)
            if costs and (known or stored is not None):
                ours = np.nan if stored is None else float(stored[index])
                pairs.append((f"{record} {name}", ours, float(known[0]) if known else np.nan))
    return pairs


def _accuracy_pairs(table: Table, index: int, key: Key, official: Any) -> list[Pair]:
    record, split, epochs = key
    column = table.columns.get(key)
    ours = np.nan if column is None else float(column.mean[index])
    pairs = [(f"{record}/{split}@{epochs}", ours, _official_accuracy(official, record, split, False))]
    if column is not None and column.per_trial is not None:
        for seed in official.get_dataset_seeds(record):
            place = column.seeds.index(seed) if seed in column.seeds else None
            ours = np.nan if place is None else float(column.per_trial[index, place])
            theirs = _official_accuracy(official, record, split, seed)
            pairs.append((f"{record}/{split}@{epochs} seed {seed}", ours, theirs))
    return pairs


def _official_accuracy(official: Any, record: str, split: str, trial: Any) -> float:
    try:
        return float(official.get_metrics(record, split, is_random=trial)["accuracy"])
    except (KeyError, ValueError):  # the official way to say that there is none
        return float("nan")


def _official_costs(official: Any, record: str) -> dict[str, Any]:
    """Costs by our names, None where there is none; empty where the API has no answer at all.

    Sizes follow nats_bench, whose rule nas_201_api lacks.
    """
    runs = official.query(record)
    sizes = {}
    for name in ("params", "flop"):
        values = {seed: getattr(run, name) for seed, run in runs.items()}
        differ = len({f"{value:.5f}" for value in values.values()}) > 1
        sizes[name] = values.get(_LEGACY_SEED) if differ else sum(values.values()) / len(values)
    try:
        costs = official.get_compute_costs(record)
    except ValueError:  # nats_bench, where trials disagree and there is no seed 888
        return {}
    return {
        **{"params": sizes["params"], "flops": sizes["flop"], "latency": costs["latency"]},
        **{"train_seconds": costs["T-train@epoch"], "valid_seconds": costs.get("T-x-valid@epoch")},
    }
