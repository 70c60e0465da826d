"""Whether the values of a table can be what its columns say: percent, trials that give the mean, costs in their units.

Every reader calls `check`. What cannot be is refused; what only looks wrong is refused as well, except in a column of
one or two cells, where it is a warning: 342 real cells have 0.83 % on ImageNet16-120 and 341 have 1.0 % on CIFAR-100.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.errors import UserError
from benchmarks.nb201.cell import NUM_CELLS

if TYPE_CHECKING:
    from benchmarks.nb201.table import Column, Table

_FEW = 2  # cells whose values are too few to tell their unit

#: Each cost's unit, bounds, and what it may be in instead. The bounds leave room for other machines around the values
#: of NAS-Bench-201: 0.07 to 1.5 M parameters, 2 to 220 M FLOPs, epochs of 2.7 to 105 s.
COSTS = {
    "params": ("million parameters", 0, 100, "", "counted in ones? divide by a million"),
    "flops": ("million FLOPs", 0, 1e5, "", "counted in ones? divide by a million"),
    "train_seconds": ("seconds an epoch", 0.05, 1000, "hours? multiply by 3600", "milliseconds? divide by 1000"),
    "valid_seconds": ("seconds a pass", 1e-4, 1000, "hours? multiply by 3600", "milliseconds? divide by 1000"),
    "latency": ("seconds a batch", 0, np.inf, "", ""),
}


def check(table: Table, place: Any) -> None:
    """UserError where a value cannot be what its column says; `place` is the file that it was read from."""
    for fault in chain(_faults(table), (text for cells, text in doubts(table) if cells > _FEW)):
        raise UserError(f"{place}: {fault}")


def doubts(table: Table) -> list[tuple[int, str]]:
    """Columns whose values look like another unit: how many cells they have, and what that unit may be."""
    remarks = []
    for column in table.columns.values():
        if column.cells and (largest := np.nanmax(column.mean)) <= 1:
            text = f"{column.name}: the largest of {column.cells:,} accuracies is {largest:g} %: accuracies as "
            remarks.append((column.cells, text + "fractions? multiply by 100"))
    for cost, (unit, low, high, below, above) in COSTS.items():
        for record, values in getattr(table, cost).items():
            numbers = values[~np.isnan(values)]
            if numbers.size and numbers.max() < low:
                remarks.append((numbers.size, f"{cost} of {record}: the largest is {numbers.max():g} {unit}: {below}"))
            elif numbers.size and numbers.min() > high:
                remarks.append((numbers.size, f"{cost} of {record}: the smallest is {numbers.min():g} {unit}: {above}"))
    return remarks


def _faults(table: Table) -> Iterator[str]:
    for column in table.columns.values():
        yield from _no_percent(column.name, column.mean)
        if column.per_trial is not None:
            yield from _no_percent(f"{column.name}, single trial", column.per_trial)
        yield from _no_mean(column)
    for cost, (unit, *_) in COSTS.items():
        for record, values in getattr(table, cost).items():
            if values.shape != (NUM_CELLS,):
                yield f"{cost} of {record}: {values.shape} values, expected ({NUM_CELLS},)"
                return
            wrong = ~np.isnan(values) & ~((values > 0) & np.isfinite(values))
            for cell in np.flatnonzero(wrong):
                text = (
                    f"{cost} of {record}, cell #{cell}: {values[cell]:g} {unit}; no network takes that little or much"
                )
                yield f"{text}: leave empty what was not measured"


def _no_percent(what: str, values: np.ndarray) -> Iterator[str]:
    """Of accuracies (cells,) or (cells, trials) that are no percentages: the first, and what they may be instead."""
    for place in np.argwhere((values < 0) | (values > 100)):
        value, numbers = values[tuple(place)], values[np.isfinite(values)]
        if value < 0:
            guess = "a mark of a missing value? leave that empty"
        elif (numbers == np.round(numbers)).all():
            guess = "counts of right answers? divide by the number of images and multiply by 100"
        else:
            guess = "percent times 100? divide by 100" if np.median(numbers) > 100 else "is its decimal point lost?"
        yield f"{what}, cell #{place[0]}: {value:g} is no percentage (0 to 100): {guess}"


def _no_mean(column: Column) -> Iterator[str]:
    """Cells whose count of trials, or whose single trials, contradict the mean by more than both are rounded."""
    has_mean, count = ~np.isnan(column.mean), column.trials.astype(int)
    for cell in np.flatnonzero(has_mean != (count > 0)):
        article = "an" if has_mean[cell] else "no"
        yield f"{column.name}, cell #{cell}: {article} accuracy, the mean of {count[cell]} trials"
    for cell in np.flatnonzero(count > len(column.seeds)):
        yield f"{column.name}, cell #{cell}: a mean of {count[cell]} trials, but there are {len(column.seeds)} seeds"
    if column.per_trial is None:
        return
    singles = np.count_nonzero(~np.isnan(column.per_trial), axis=1)
    for cell in np.flatnonzero(singles > count):
        yield f"{column.name}, cell #{cell}: {singles[cell]} single trials, but the mean is of {count[cell]}"
    average = np.nansum(column.per_trial, axis=1) / np.maximum(singles, 1)
    tolerance = 1.001 * (_half_step(column.mean) + _half_step(column.per_trial))
    for cell in np.flatnonzero(has_mean & (singles == count) & (np.abs(average - column.mean) > tolerance)):
        text = f"{column.name}, cell #{cell}: the mean is given as {column.mean[cell]:.8g}, but its trials give "
        yield f"{text}{average[cell]:.8g}"


def _half_step(values: np.ndarray) -> float:
    """By how much the values may be rounded: half a unit of their last decimal, nothing beyond the eighth."""
    numbers = values[~np.isnan(values)]
    for decimals in range(9):
        if np.abs(numbers - np.round(numbers, decimals)).max(initial=0) < 1e-11:
            return 0.5 * 10.0**-decimals
    return 1e-9
