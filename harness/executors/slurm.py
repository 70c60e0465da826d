"""Runs in a Slurm job array: every task of it works through what is left, each run claimed by one of them.

All nodes see the campaign's folder and this Python. A task that reaches its time limit, or is preempted, is queued
again and its run goes on from its checkpoint. `squeue` alone is asked how the array is, so that no accounting is
needed.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from benchmarks.base import Preset
from benchmarks.errors import UserError
from harness import store
from harness.executors import base, local
from harness.executors.base import Execution, Job, Report
from harness.output import open_streams, tell
from harness.progress import Progress
from harness.runner import Plan

TIMEOUTS = 1000  # of one task, before Slurm's time limit ends it for good
SIGNAL_SECONDS = 60  # before the time limit, to save and queue again
MOST_TASKS = 1000  # Slurm's own default limit of an array
LOOK_SECONDS = 5.0


def submit(jobs: Sequence[Job], how: Execution) -> str:
    """Queue the array; its job id. UserError where submitit or Slurm is missing, or refuses."""
    try:
        import submitit
    except ImportError:
        raise UserError("--executor slurm: submitit is not installed; pip install submitit") from None
    for command in ("sbatch", "srun"):
        if shutil.which(command) is None:
            raise UserError(f"--executor slurm: no {command} on this machine; start it where Slurm's commands are")
    folder = base.campaign_folder(jobs) / "slurm"
    folder.mkdir(exist_ok=True)
    listing = folder / f"jobs-{datetime.now():%Y%m%d-%H%M%S-%f}.json"
    store.write_json(
        listing, [[plan._asdict() | {"preset": plan.preset.settings()}, str(place)] for plan, place in jobs]
    )
    tasks = min(how.workers or len(jobs), len(jobs), MOST_TASKS)
    queue = submitit.SlurmExecutor(folder=folder, max_num_timeout=TIMEOUTS)
    queue.update_parameters(
        job_name="harness",
        cpus_per_task=int(how.cpus),
        array_parallelism=tasks,
        gpus_per_node=int(how.gpus) or None,
        time=how.slurm_time,
        partition=how.slurm_partition,
        signal_delay_s=min(SIGNAL_SECONDS, how.slurm_time * 60 // 2),
        stderr_to_stdout=True,
        srun_args=[f"--cpus-per-task={int(how.cpus)}"],  # srun does not take it from sbatch in each version
        additional_parameters={"requeue": True} | how.slurm,  # whatever the site's default is
    )
    try:
        array = queue.map_array(Task(str(listing), tasks), range(tasks))
    except (subprocess.CalledProcessError, RuntimeError, submitit.core.utils.FailedJobError) as error:
        said = " ".join(str(error).split()).replace("subprocess-exited-with-error", "")
        raise UserError(f"--executor slurm: sbatch refused the array: {said}") from None
    return array[0].job_id.split("_")[0]


@dataclass
class Task:
    """What a task of the array does; pickled by submitit, so it holds no more than where the runs are listed."""

    listing: str
    tasks: int

    def __call__(self, task: int) -> None:
        open_streams()
        listed = json.loads(Path(self.listing).read_bytes())
        jobs = [
            (Plan(**plan | {"places": tuple(plan["places"]), "preset": Preset(**plan["preset"])}), Path(place))
            for plan, place in listed
        ]
        start = len(jobs) * task // self.tasks  # or all of them would try to claim the first run first
        jobs = [*jobs[start:], *jobs[:start]]
        with Progress([plan for plan, _ in jobs]) as progress:  # for the task's log
            local.here(jobs, progress.report, patient=False)

    def checkpoint(self, task: int) -> Any:
        """Called by submitit before the time limit: queue this task again; claims and checkpoints do the rest."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self, task)


def execute(jobs: Sequence[Job], how: Execution, report: Report) -> None:
    """Queue the array and wait until it is over; runs that it did not make are reported as lost."""
    job, left, over = "", set(range(len(jobs))), 0
    try:
        job = submit(jobs, how)
        while left:
            time.sleep(LOOK_SECONDS)
            for number in sorted(left):
                record = store.record_of(jobs[number][1], jobs[number][0].key)
                event: dict[str, Any] = {"record": record}
                if record is None and over >= 2:  # files may be seen late from another machine
                    event = base.lost(jobs[number], f"Slurm's job {job} ended without it; see slurm/")
                if event.get("record") is not None:
                    report(number, event)
                    left.remove(number)
            base.look(jobs, sorted(left), report)
            over = 0 if _queued(job) else over + 1
    except KeyboardInterrupt:
        if job:
            tell(f"job {job} goes on without us (harness status, or scancel {job})")
        raise


def _queued(job: str) -> bool:
    """Whether anything of the array is waiting or running; a Slurm that does not answer says nothing against it."""
    try:
        done = subprocess.run(["squeue", "-h", "-j", job, "-o", "%i"], capture_output=True, text=True, check=False)
    except OSError:
        return True
    if done.returncode:
        return "invalid job id" not in done.stderr.lower()
    return bool(done.stdout.strip())
