"""What all executors share: their options, making one run, and recording a run whose process was lost.

A run is here any job, a search or a training from scratch. An executor takes (job, folder) pairs and calls
`report(number, event)` with the number of a pair and a dict: with `started`, with `line` at steps, with `elsewhere`
while another process makes the run, with `record` at the end. Runs share nothing, so their order and the number of
workers change no result. A run that another command on the same folder is making goes back to the end of the queue,
until it is finished or free.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.errors import UserError
from harness import jobs, locks, store
from harness.evaluate import EvaluationPlan
from harness.runner import Plan

Job = tuple[jobs.Job, Path]
Report = Callable[[int, dict[str, Any]], None]
LOOK_SECONDS = 2.0  # between two looks at the traces of runs on other machines
ELSEWHERE_SECONDS = 1.0  # before a run that another process makes is tried again
STOP_SECONDS = 0.7  # for workers to save their last step boundary


@dataclass(frozen=True)
class Execution:
    """Where and how runs are executed."""

    executor: str = "local"
    workers: int | None = None  # runs at a time; None: one in this process, on Ray what fits, on Slurm all
    shard: tuple[int, int] | None = None  # part, parts
    cpus: float = 1.0  # for each run (Ray, Slurm)
    gpus: float = 0.0
    address: str | None = None  # of a Ray cluster; None starts one here
    slurm_partition: str | None = None
    slurm_time: int = 240  # minutes
    slurm: dict[str, str | bool] = field(default_factory=dict)  # further options of sbatch
    wait: bool = True


def job_of(value: dict[str, Any]) -> jobs.Job:
    """The job that `to_json` described."""
    return (EvaluationPlan if value["kind"] == "evaluation" else Plan).from_json(value)


def make_run(job: jobs.Job, folder: Path, progress: jobs.Progress, patient: bool = True) -> dict[str, Any]:
    """Make a run; returns its last event: its record, or which other process is making it."""
    record = jobs.run(job, folder, progress)
    if record is not None:
        return {"record": record}
    if patient:
        time.sleep(ELSEWHERE_SECONDS)
    return {"elsewhere": locks.claimant(folder)}


def ignore(event: dict[str, Any]) -> None:
    """Drop a run's progress on another machine: it is in the trace too, where `report_progress` reads it."""


def campaign_folder(jobs: Sequence[Job]) -> Path:
    return jobs[0][1].parents[2]


def report_progress(jobs: Sequence[Job], numbers: Sequence[int], report: Report) -> None:
    """Report the last trace line of each of these runs that some process is making, also on another machine."""
    running = locks.running(campaign_folder(jobs))
    for number in numbers:
        if jobs[number][1] in running:
            line = store.last_line(jobs[number][1] / "trace.jsonl")
            report(number, {"started": True} if line is None else {"line": line})


def lost_run(job: Job, why: str) -> dict[str, Any]:
    """The event of a run whose process ended before the run did, mostly for lack of memory; its checkpoint stays.

    The run is recorded as failed. One that has not begun is only reported, so that the same command makes it later.
    """
    plan, folder = job
    record = jobs.failure(plan, why, plan.made_in(on_this_device=False))
    try:
        with locks.claim(folder) as is_ours:
            if not is_ours:  # another process has taken it over
                return {"elsewhere": locks.claimant(folder)}
            files = set(os.listdir(folder)) if folder.is_dir() else set()
            if "record.json" in files:  # the run ended just before its process did
                return {"record": store.load_record(folder, plan.record_type) or record}
            if files:
                store.save(folder, record)
    except (OSError, UserError):
        pass  # a full disk, for example: reported, not recorded
    return {"record": record}
