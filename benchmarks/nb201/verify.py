"""A table against the official APIs: some cells of an archive read again through them, everything compared."""

from __future__ import annotations

import contextlib
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.errors import UserError
from benchmarks.nb201.archives import LAYOUTS, META, check_meta, folder_files, read_file, read_whole, tar_files
from benchmarks.nb201.official import COST_SCHEDULES, LEGACY_SEED, Path_
from benchmarks.nb201.table import EPOCHS, SPLITS, Key, Table
from benchmarks.nb201.table_file import KINDS, kind_of

Pair = tuple[str, float, float]  # what, the table's value, the official value


def verify(table: Table, source: Path_, cells: int = 20, tolerance: float = 1e-9) -> list[str]:
    """Read up to `cells` cells, spread over the archive, through the official API and compare everything.

    Final accuracies (means and single trials), flops, parameters, latency and times; the result names each
    difference beyond a relative `tolerance` and is empty where all agree. The official APIs unpickle
    blindly, so what they will read is first read with the safe reader. Raises UserError for a source that no
    official API reads.
    """
    place = Path(source)
    kind = kind_of(place)
    if kind not in LAYOUTS:
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
        indices = _spread(read_whole(place)["arch2infos"], cells)
        return _nas_201_api(place), indices
    from nats_bench import create

    if kind == "nats-file":
        whole = read_whole(place)
        return create(whole, "tss", fast_mode=False, verbose=False), _spread(whole["arch2infos"], cells)
    folder, indices = place, []
    if kind == "nats-tar":
        folder, indices = _unpack_some(place, cells, Path(stack.enter_context(tempfile.TemporaryDirectory())))
    else:
        indices = _spread(folder_files(place), cells)
    check_meta(read_file(folder / META), folder / META)
    for index in indices:
        read_file(folder_files(folder)[index])
    return create(str(folder), "tss", fast_mode=True, verbose=False), indices


def _spread(indices: Any, count: int) -> list[int]:
    ordered = sorted(indices)
    return [ordered[i] for i in np.unique(np.linspace(0, len(ordered) - 1, min(count, len(ordered))).astype(int))]


def _unpack_some(place: Path, cells: int, folder: Path) -> tuple[Path, list[int]]:
    """Meta and some cells of a tar as a folder that the official API opens."""
    names = [name for name, _ in tar_files(place)]
    indices = _spread([int(name.split(".")[0]) for name in names if name != META], cells)
    for name, data in tar_files(place, lambda n: n == META or int(n.split(".")[0]) in indices):
        (folder / name).write_bytes(data)
    return folder, indices


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
        schedules = {e: o for e, o in results.items() if record in o.get_dataset_names()}
        costs = {e: answer for e, o in schedules.items() if (answer := _official_costs(o, record))}
        for name, preferred in COST_SCHEDULES.items():
            values = [costs[e][name] for e in preferred if e in costs and costs[e][name] is not None]
            stored = getattr(table, name).get(record)
            if costs and (values or stored is not None):
                ours = np.nan if stored is None else float(stored[index])
                pairs.append((f"{record} {name}", ours, float(values[0]) if values else np.nan))
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
        sizes[name] = values.get(LEGACY_SEED) if differ else sum(values.values()) / len(values)
    try:
        costs = official.get_compute_costs(record)
    except ValueError:  # nats_bench, where trials disagree and there is no seed 888
        return {}
    return {
        **{"params": sizes["params"], "flops": sizes["flop"], "latency": costs["latency"]},
        **{"train_seconds": costs["T-train@epoch"], "valid_seconds": costs.get("T-x-valid@epoch")},
    }
