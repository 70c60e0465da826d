"""A made-up table, and trainings written by the official classes."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import numpy as np

from benchmarks.base import NetworkSize
from benchmarks.nb201.cost import parameters
from benchmarks.nb201.file_check import official_strings
from benchmarks.nb201.table import SPLITS, Column, Table

N = 15_625
NB201_SPACE = NetworkSize(channels=16, cells=5, in_channels=3, num_classes=10)


def small_table() -> Table:
    """Made-up values: cells 0 and 7 have trials 777 and 888, cell 3 has none, the others all three."""
    trials = np.random.default_rng(0).uniform(10, 90, (N, 3))
    trials[[0, 7], 2] = np.nan
    trials[0, :2], trials[3] = (10, 20), np.nan
    count = (~np.isnan(trials)).sum(1)
    mean = np.where(count > 0, np.nansum(trials, axis=1) / np.maximum(count, 1), np.nan)
    key = ("cifar10-valid", "x-valid", 12)
    return Table(
        columns={key: Column(key, mean, count, (777, 888, 999), trials)},
        params={"cifar10-valid": parameters(NB201_SPACE) / 1e6},
        flops={},
        train_seconds={"cifar10-valid": np.full(N, 2.0)},
        source="made up",
    )


CLASSES = {"cifar10-valid": 10, "cifar10": 10, "cifar100": 100, "ImageNet16-120": 120}


# cell -> seeds of its 200-epoch trials; params of cell 7 differ between trials (the legacy error of 888)
CELLS = {3: (777, 888), 7: (777, 888, 999), 9: (777,), 15_624: (777, 888, 999)}


def _result(classes: Any, record: str, seed: int, epochs: int, index: int) -> Any:
    """One made-up training; 200 epochs have some splits at the last epoch only, as the real files do."""
    rng = np.random.default_rng([index, seed, epochs, CLASSES[record]])
    curve = {e: float(v) for e, v in enumerate(rng.uniform(10, 90, epochs))}
    params = np.float64(0.5 + (0.2 if index == 7 and seed != 888 else 0.0))
    strings = {
        "channel": 16,
        "num_cells": 5,
        "arch_str": official_strings()[index],
        "class_num": CLASSES[record],
    }
    result = classes.ResultsCount(
        record,
        None,
        curve,
        curve,
        params,
        10.0 + index,
        strings,
        f"{seed:04d}",
        epochs,
        [np.float64(0.01 + seed)],
    )
    # slightly different times per trial and epoch: the real ones are constant, which would hide wrong means
    times = OrderedDict((e, float(v)) for e, v in enumerate(rng.uniform(5, 6, epochs)))
    result.update_train_info(curve, None, curve, times)
    for split in SPLITS[record]:
        accuracy = {e: float(v) for e, v in enumerate(rng.uniform(10, 90, epochs))}
        if index == 3 and record == "cifar10-valid" and split == "x-valid" and epochs == 200:
            accuracy[199] = {777: 10.0, 888: 20.0}[seed]
        if epochs == 200 and split in ("x-valid", "x-test") and record != "cifar10-valid":
            result.update_OLD_eval(split, {199: accuracy[199]}, {199: 1.0})
            result.reset_pseudo_eval_times(split, 0.25 + seed / 1e4)
        else:
            named = {f"{split}@{e}": value for e, value in accuracy.items()}
            result.update_eval(
                named, named, {key: float(v) for key, v in zip(named, rng.uniform(1, 2, epochs), strict=True)}
            )
    return result


def _state(classes: Any, index: int, epochs: int) -> dict[str, Any]:
    results = classes.ArchResults(index, official_strings()[index])
    for record in SPLITS:
        short = (111, 777) if record == "cifar10-valid" else (111,)
        for seed in CELLS[index] if epochs == 200 else short:
            results.update(record, seed, _result(classes, record, seed, epochs, index))
    results.clear_params()
    return results.state_dict()
