"""Progress on stderr: bars on a terminal, plain lines elsewhere. Results never go this way."""

from __future__ import annotations

import math
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any

from harness.cells import short_name
from harness.output import tell
from harness.runner import Plan
from harness.schema import Record

PLAIN_SECONDS = 20.0  # at most one plain line about running searches in this time
WAITING_SECONDS = 5.0  # between two lines that say what is being waited for


def duration(seconds: float) -> str:
    """`42 s`, `3 min 20 s`, `2 h 05 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


class Waiting(AbstractContextManager["Waiting"]):
    """Says what is being waited for, every few seconds until it is over."""

    def __init__(self, what: str, say: Callable[[str], None] = tell):
        self.what, self.say = what, say
        self.over = threading.Event()

    def __enter__(self) -> Waiting:
        threading.Thread(target=self._repeat, daemon=True).start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.over.set()

    def _repeat(self) -> None:
        begin = time.monotonic()
        while not self.over.wait(WAITING_SECONDS):
            self.say(f"{self.what}, {duration(time.monotonic() - begin)}")


def started_bars(*columns: Any) -> Any:
    """Bars with these columns (`rich.progress.Progress`) on stderr, which vanish when they are stopped."""
    from rich.console import Console
    from rich.progress import Progress as Bars

    bars = Bars(*columns, console=Console(stderr=True), transient=True)
    bars.start()
    return bars


class Transfer(AbstractContextManager["Transfer"]):
    """Shows work on bytes: what it is, then a bar on a terminal, elsewhere a line every few seconds."""

    def __init__(self) -> None:
        self.what = ""
        self.waiting = Waiting("")
        self.bars: Any = None
        self.task: Any = None

    def __enter__(self) -> Transfer:
        if sys.stderr.isatty():
            from rich.progress import BarColumn, DownloadColumn, TimeRemainingColumn, TransferSpeedColumn

            self.bars = started_bars(BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
        else:
            self.waiting.__enter__()
        return self

    def __exit__(self, *exception: object) -> None:
        self.waiting.__exit__()
        if self.bars is not None:
            self.bars.stop()

    def report(self, what: str, done: int, total: int) -> None:
        """What is done, bytes so far, bytes in all; 0 where nobody knows."""
        if self.bars is not None:
            if what != self.what:
                if self.task is not None:
                    self.bars.remove_task(self.task)
                self.bars.console.print(what, markup=False, highlight=False, soft_wrap=True)
                self.task = self.bars.add_task("", total=None)
            self.bars.update(self.task, completed=done, total=total or None)
        else:
            if what != self.what:
                tell(what)
            size = f" of {total / 1e6:.0f}" if total else ""
            self.waiting.what = f"{what}: {done / 1e6:.0f}{size} MB" if done else what
        self.what = what


def fraction(plan: Plan, line: dict[str, Any]) -> float:
    """How much of its budget a run has spent, from a line of its trace."""
    if plan.kind == "one-shot":
        return (line["step"] + 1) / (plan.preset.epochs or 1)
    if plan.kind == "training-free":
        return min(max(line.get("share", 0.0), 0.0), 1.0)
    return min(line["simulated_seconds"] / plan.preset.simulated_seconds, 1.0)


def describe(plan: Plan, line: dict[str, Any], since: float, base: float = 0.0) -> str:
    """The state of a running search in a line: epoch or query, loss, cell, time left.

    `base` is the share of the budget that had been spent at `since`, when the run was resumed.
    """
    share = fraction(plan, line)
    position = f"{'query' if plan.kind == 'multi-trial' else 'step'} {line['step'] + 1}"
    if plan.kind == "one-shot":
        position = f"epoch {line['step'] + 1}/{plan.preset.epochs}"
    phase = f" {line['phase']}," if "phase" in line else ""
    loss = f" loss {line['train_loss']:.3f}," if "train_loss" in line else ""
    remaining = (
        f", {duration((time.monotonic() - since) * (1 - share) / (share - base))} left" if base < share < 1 else ""
    )
    cell = short_name(line.get("cell"), line["index"])
    return f"{plan.spec} seed {plan.seed}:{phase} {position},{loss} cell {cell}{remaining}"


class Progress(AbstractContextManager["Progress"]):
    """Shows the progress of a list of plans; an executor calls `report(number, event)`."""

    def __init__(self, plans: Sequence[Plan]):
        self.plans = plans
        self.begin, self.printed = time.monotonic(), -math.inf
        self.started: dict[int, float] = {}
        self.shares: dict[int, float] = {}
        self.bases: dict[int, float] = {}  # shares of resumed runs that were spent before this command
        self.done = self.failed = 0
        self.elsewhere: set[int] = set()
        self.notes: set[tuple[int, str]] = set()
        self.bars: Any = None
        self.tasks: dict[int, Any] = {}
        self.waiting = Waiting("waiting for the first run's first step", self._say)

    def __enter__(self) -> Progress:
        if self.plans and sys.stderr.isatty():
            from rich.progress import BarColumn, MofNCompleteColumn, TextColumn

            text = TextColumn("{task.description}", markup=False)
            self.bars = started_bars(BarColumn(), MofNCompleteColumn(), text)
            self.total = self.bars.add_task("runs", total=len(self.plans))
        if self.plans:
            self.waiting.__enter__()
        return self

    def __exit__(self, *exception: object) -> None:
        self.waiting.__exit__()
        if self.bars is not None:
            self.bars.stop()

    def report(self, number: int, event: dict[str, Any]) -> None:
        plan = self.plans[number]
        if event.keys() & {"record", "line"}:
            if not self.waiting.over.is_set():
                self.printed = -math.inf  # what was said while waiting keeps no report back
            self.waiting.over.set()
        if "record" in event:
            self._finished(number, plan, event["record"])
        elif "note" in event:
            self._note(number, plan, event["note"])
        elif "elsewhere" in event:
            self.shares.pop(number, None)
            if number not in self.elsewhere:
                self.elsewhere.add(number)
                self._say(f"{plan.spec} seed {plan.seed}: being made by {event['elsewhere']}; looked at again later")
        elif "line" in event:
            self.shares[number] = share = fraction(plan, event["line"])
            step = event["line"]["step"]
            self.bases.setdefault(number, share * step / (step + 1))  # its first line is a step later
            self._running(number, plan, event["line"])
        else:
            self.started.setdefault(number, time.monotonic())

    def time_left(self) -> str:
        """An estimate from the work of this command so far; empty where there is none."""
        total = self.done + sum(self.shares.values())
        work = total - sum(self.bases.values())  # of this command alone
        if work <= 0 or self.done == len(self.plans):
            return ""
        seconds = (time.monotonic() - self.begin) / work * (len(self.plans) - total)
        return f"about {duration(seconds)} left"

    def _running(self, number: int, plan: Plan, line: dict[str, Any]) -> None:
        text = describe(plan, line, self.started.setdefault(number, time.monotonic()), self.bases[number])
        if self.bars is not None:
            total = plan.preset.epochs or None
            if number not in self.tasks:
                self.tasks[number] = self.bars.add_task(text, total=total)
            self.bars.update(self.tasks[number], description=text, completed=line["step"] + 1)
            self.bars.update(self.total, description=self.time_left())
        elif time.monotonic() - self.printed > PLAIN_SECONDS:
            self._print(text)

    def _finished(self, number: int, plan: Plan, record: Record) -> None:
        self.done += 1
        self.shares.pop(number, None)
        for note in record.notes:
            self._note(number, plan, note)
        good = record.finished
        self.failed += not good
        run_time = duration(time.monotonic() - self.started.get(number, self.begin))
        what = f"cell {short_name(record.cell, record.index)}" if good else f"FAILED: {record.error}"
        text = f"[{self.done}/{len(self.plans)}] {plan.spec} seed {plan.seed}: {what}, {run_time}; {self.time_left()}"
        if self.bars is not None:
            if number in self.tasks:
                self.bars.remove_task(self.tasks.pop(number))
            self.bars.update(self.total, completed=self.done, description=self.time_left())
            if not good:
                self._say(text.rstrip("; "))
        # Hundreds of short runs would drown what matters: a line a second, failures and the last one always.
        elif not good or self.done == len(self.plans) or time.monotonic() - self.printed > 1:
            self._print(text.rstrip("; "))

    def _note(self, number: int, plan: Plan, note: str) -> None:
        """Print a note once: it may come as an event and again with the record."""
        if (number, note) not in self.notes:
            self.notes.add((number, note))
            self._say(f"{plan.spec} seed {plan.seed}: {note}")

    def _say(self, text: str) -> None:
        """Print a line in any case, above the bars where there are bars."""
        if self.bars is not None:
            self.bars.console.print(text, markup=False)
        else:
            self._print(text)

    def _print(self, text: str) -> None:
        self.printed = time.monotonic()
        tell(text)
