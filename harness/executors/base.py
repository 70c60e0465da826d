"""What all executors share: how runs are to be made, a run made, and one whose process was lost.

Executors know nothing of what a run is made of. Each takes (plan, folder) pairs and calls `report(number, event)` with
the number of the pair: a dict with `line` at steps, with `record` at the end. Runs share nothing, so their order and
the number of workers change no result. A run that another command on the same folder is making comes back to the end
of the queue, until it is made or free.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.errors import UserError
from harness import locks, provenance, runner, store
from harness.runner import Plan

Job = tuple[Plan, Path]
Report = Callable[[int, dict[str, Any]], None]
LOOK_SECONDS = 2.0  # between two looks at how far runs on other machines are
ELSEWHERE_SECONDS = 1.0  # until a run that somebody else is making is looked at again
STOP_SECONDS = 0.7  # that workers have to save their last step boundary


@dataclass(frozen=True)
class Execution:
    """How runs are to be executed."""

    executor: str = "local"
    workers: int | None = None  # runs at a time; None: one in this process, on Ray what fits, on Slurm all
    shard: tuple[int, int] | None = None  # part, parts
    cpus: float = 1.0  # that a run is given (Ray, Slurm)
    gpus: float = 0.0
    address: str | None = None  # of a Ray cluster; None starts one here
    slurm_partition: str | None = None
    slurm_time: int = 240  # minutes
    slurm: dict[str, str | bool] = field(default_factory=dict)  # further options of sbatch
    wait: bool = True


def made(plan: Plan, folder: Path, progress: runner.Progress, patient: bool = True) -> dict[str, Any]:
    """The last event of a run: its record, or who else is making it."""
    record = runner.run(plan, folder, progress)
    if record is not None:
        return {"record": record}
    if patient:
        time.sleep(ELSEWHERE_SECONDS)
    return {"elsewhere": locks.claimant(folder)}


def unseen(event: dict[str, Any]) -> None:
    """The progress of a run on another machine: it stands in its trace, and `look` reads it there."""


def campaign_folder(jobs: Sequence[Job]) -> Path:
    return jobs[0][1].parents[2]


def look(jobs: Sequence[Job], numbers: Sequence[int], report: Report) -> None:
    """Report how far runs on other machines are: those of these numbers that are claimed."""
    running = locks.running(campaign_folder(jobs))
    for number in numbers:
        if jobs[number][1] in running:
            line = store.last_line(jobs[number][1] / "trace.jsonl")
            report(number, {"started": True} if line is None else {"line": line})


def lost(job: Job, why: str) -> dict[str, Any]:
    """The event of a run whose process ended before it, out of memory most often. Its checkpoint stays.

    A run that has not begun is reported and no more: it is still to do.
    """
    plan, folder = job
    record = runner.failure(plan, why)
    record["environment"] = provenance.environment(plan.device, uses_torch=False) | runner.plugin_of(plan)
    try:
        with locks.claim(folder) as mine:
            if not mine:  # somebody has taken it over
                return {"elsewhere": locks.claimant(folder)}
            begun = set(os.listdir(folder)) if folder.is_dir() else set()
            if "record.json" in begun:  # it ended in the very last moment
                return {"record": store.load_record(folder) or record}
            if begun:
                store.write_sealed(folder / "record.json", record)
    except (OSError, UserError):
        pass  # a full disk: reported, not kept
    return {"record": record}
