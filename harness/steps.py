"""Checks of what a searcher's step returns, and of how many steps a search makes."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from benchmarks.base import Cell, LowFidelity, SearchSpace
from benchmarks.errors import UserError, quoted
from searchers.base import SearchTask, Step, diverged

IDLE = 1000  # steps in a row that query nothing
RESERVED = (  # names that every trace line has, so that no metric may have them
    *("step", "cell", "index", "search_seconds", "simulated_seconds", "evaluations", "train_images", "operations"),
    *("alphas", "alpha_entropy", "cell_without_none", "index_without_none"),
)


def checked(step: Any, space: SearchSpace) -> Step:
    """A step with its cell as a tuple of ints, alphas as an array, metrics as JSON knows them.

    UserError that says what is wrong and what it must be.
    """
    if not isinstance(step, Step):
        raise UserError(f"step() gave {_shown(step)}; it gives a searchers.base.Step, or None when finished")
    if not isinstance(step.metrics, Mapping):
        raise UserError(f"Step.metrics is {_shown(step.metrics)}; it must be a dict")
    metrics = {name: _metric(name, value, space) for name, value in step.metrics.items()}
    return Step(_cell(step.cell, space), _alphas(step.alphas, space), metrics)


def _cell(value: Any, space: SearchSpace) -> Cell:
    numbers = value.tolist() if isinstance(value, np.ndarray) else value
    edges, operations = len(space.edges), len(space.operations)
    if (
        not isinstance(numbers, (tuple, list))
        or len(numbers) != edges
        or not all(isinstance(n, (int, np.integer)) and not isinstance(n, bool) for n in numbers)
        or not all(0 <= n < operations for n in numbers)
    ):
        needed = f"it must be a tuple of {edges} whole numbers from 0 to {operations - 1}, the operation on each edge"
        raise UserError(f"Step.cell is {_shown(value)}; {needed}")
    return tuple(int(n) for n in numbers)


def _alphas(value: Any, space: SearchSpace) -> np.ndarray | None:
    if value is None:
        return None
    try:
        alphas = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError, RuntimeError):  # RuntimeError: a tensor with a gradient
        alphas = np.empty(0)
    expected = len(space.edges), len(space.operations)
    if alphas.shape != expected:
        shape = getattr(value, "shape", None)
        text = _shown(value) if shape is None else f"a {type(value).__name__} of shape {tuple(shape)}"
        raise UserError(
            f"Step.alphas is {text}; it must be None or an array of {expected[0]} edges × {expected[1]} operations"
        )
    return alphas


def _metric(name: Any, value: Any, space: SearchSpace) -> Any:
    where = f"Step.metrics[{name!r}]"
    if not isinstance(name, str):
        raise UserError(f"{where}: the name of a metric must be a string")
    if name in RESERVED:
        raise UserError(f"{where}: each line of the trace has a {name!r} of its own; give the metric another name")
    if isinstance(value, (np.generic, np.ndarray)):
        value = value.tolist()
    if isinstance(value, (list, tuple)):
        value = [item.item() if isinstance(item, np.generic) else item for item in value]
    fits, needed = METRIC_TYPES.get(name, (lambda v: _is_text(v) or _is_number(v) or _are_numbers(v),
                                   "a number, a string or a list of numbers, as JSON has them"))  # fmt: skip
    if name == "queried" and not _is_cell(value, space):
        raise UserError(f"{where} is {_shown(value)}; it must be the index or string of the cell that was queried")
    if not fits(value):
        raise UserError(f"{where} is {_shown(value)}; it must be {needed}")
    return value


def _is_number(value: Any) -> bool:
    return isinstance(value, float) or (isinstance(value, int) and abs(value) < 2**63)


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _are_numbers(value: Any) -> bool:
    return isinstance(value, list) and all(map(_is_number, value))


def _is_cell(value: Any, space: SearchSpace) -> bool:
    if isinstance(value, bool) or not isinstance(value, (int, str)):
        return False
    try:
        space.parse(value)
    except UserError:
        return False
    return True


# Metrics that have a meaning to progress, records and plots.
METRIC_TYPES: dict[str, tuple[Callable[[Any], bool], str]] = {
    "phase": (_is_text, "a string, the name of a phase of the search"),
    "swarm_diversity": (_are_numbers, "a list of numbers, one a generation"),
    "train_loss": (_is_number, "a number"),
    "share": (_is_number, "a number, how much of the search is done"),
}


def _shown(value: Any) -> str:
    """A value in a few words."""
    if isinstance(value, (list, tuple)) and len(value) < 10:
        return repr(value)[:200]
    return quoted(value)


def finite(value: float | str | list[float]) -> bool:
    """Whether JSON has numbers for a metric's value; one that has none is left out of the trace."""
    if isinstance(value, str):
        return True
    return all(map(math.isfinite, value)) if isinstance(value, list) else math.isfinite(value)


JUDGEMENTS = {
    *("loss", "losses", "score", "scores", "accuracy", "accuracies", "error", "errors"),
    *("reward", "rewards", "fitness"),
}


def refuse_divergence(step: Step, kind: str, number: int, settings: Any = None) -> None:
    """UserError where architecture parameters, or a metric with one of the `JUDGEMENTS` in its name, are not finite.

    `number` counts the steps of a search of that kind from 1; the message names the learning rates in its settings.
    """
    ending = f"epoch {number}: {diverged(settings)}" if kind == "one-shot" else f"step {number}"
    for name, value in step.metrics.items():
        if JUDGEMENTS.intersection(re.split("[^a-z]+", name.lower())) and not finite(value):
            raise UserError(f"{name} is {value} in {ending}")
    if step.alphas is not None and not np.isfinite(step.alphas).all():
        raise UserError(f"architecture parameters are not finite in {ending}")


class Meter:
    """A task's low-fidelity query with a count of its own of what was handed out, beside the task's clock.

    A query that would overrun the budget has no accuracy (NaN), however it is asked for.
    """

    def __init__(self, query: LowFidelity, budget: float):
        self._query, self._budget = query, budget
        self.queries, self.seconds = 0, 0.0

    def __call__(self, cell: Cell) -> tuple[float, float]:
        accuracy, seconds = self._query(cell)
        if not self.seconds + seconds <= self._budget:
            return math.nan, seconds
        self.queries += 1
        self.seconds += seconds
        return accuracy, seconds


class Limit:
    """What a search may do: so many steps, and queries that are paid for; `check` raises UserError after one too many.

    Made where a search begins or goes on.
    """

    def __init__(self, kind: str, task: SearchTask):
        self.kind, self.task = kind, task
        self.idle, self.work = 0, self._work()
        self.meter = task.low_fidelity if isinstance(task.low_fidelity, Meter) else None
        if self.meter is not None:
            self.meter.queries, self.meter.seconds = task.evaluations, task.simulated_seconds

    def check(self, steps: int) -> None:
        """Call after each step with the number of steps so far."""
        meter, task = self.meter, self.task
        # A searcher may count more evaluations than queries, but neither fewer nor other seconds.
        if meter and (meter.seconds != task.simulated_seconds or meter.queries > task.evaluations):
            raise UserError(
                f"the proxy was asked {meter.queries:,} times for {meter.seconds:g} simulated seconds, but the task "
                f"counts {task.evaluations:,} for {task.simulated_seconds:g}: a searcher asks by task.proxy() alone "
                "and leaves clock and counter to it"
            )
        epochs = self.task.budget.epochs
        if self.kind == "one-shot" and steps > epochs:
            raise UserError(f"step() must give None after {epochs} steps: a step is an epoch, task.budget.epochs many")
        work = self._work()
        self.idle, self.work = 0 if work > self.work else self.idle + 1, work
        if self.kind == "multi-trial" and self.idle == IDLE:
            raise UserError(
                f"step() must give None when the search is over: {IDLE:,} steps in a row have queried nothing "
                "(task.proxy() gives None when the budget is spent)"
            )
        if self.kind == "training-free" and self.idle == IDLE:
            raise UserError(
                f"step() must give None when the search is over: {IDLE:,} steps in a row have scored nothing "
                "(task.count(evaluations=…) counts what is scored)"
            )

    def _work(self) -> float:
        return self.task.evaluations if self.kind == "training-free" else self.task.simulated_seconds
