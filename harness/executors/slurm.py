"""Runs in a Slurm job array: every task goes through all runs and makes those that it can claim.

All nodes see the campaign's folder and this Python. A task that reaches its time limit, or is preempted, is queued
again, and its run continues from its checkpoint. The state of the array comes from `squeue`, which needs no accounting.
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

from benchmarks.errors import UserError
from harness import store
from harness.executors import base, local
from harness.executors.base import Execution, Job, Report
from harness.output import open_streams, tell
from harness.progress import Progress

TIMEOUTS = 1000  # how often a task that reaches its time limit is queued again
SIGNAL_SECONDS = 60  # before the time limit, for a task to save its run and queue itself again
MOST_TASKS = 1000  # Slurm's own default limit of an array
POLL_SECONDS = 5.0  # between two questions to Slurm


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
    store.write_json(listing, [[plan.to_json(), str(run_folder)] for plan, run_folder in jobs])
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
        message = " ".join(str(error).split()).replace("subprocess-exited-with-error", "")
        raise UserError(f"--executor slurm: sbatch refused the array: {message}") from None
    return array[0].job_id.split("_")[0]


@dataclass
class Task:
    """What a task of the array does. submitit pickles it, so it holds only the path of the list of runs."""

    listing: str
    tasks: int

    def __call__(self, task: int) -> None:
        open_streams()
        rows = json.loads(Path(self.listing).read_bytes())
        jobs = [(base.job_of(plan), Path(run_folder)) for plan, run_folder in rows]
        start = len(jobs) * task // self.tasks  # or all tasks would try to claim the first run
        jobs = [*jobs[start:], *jobs[:start]]
        with Progress([plan for plan, _ in jobs]) as progress:  # for the task's log
            local.here(jobs, progress.report, patient=False)

    def checkpoint(self, task: int) -> Any:
        """Called by submitit before the time limit: queue this task again, which continues from the checkpoint."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self, task)


def execute(jobs: Sequence[Job], how: Execution, report: Report) -> None:
    """Queue the array and wait for its end; runs without a record by then are reported as lost."""
    job, pending, looks_after_end = "", set(range(len(jobs))), 0
    try:
        job = submit(jobs, how)
        while pending:
            time.sleep(POLL_SECONDS)
            for number in sorted(pending):
                plan, folder = jobs[number]
                record = store.record_of(folder, plan.key, plan.record_type)
                event: dict[str, Any] = {"record": record}
                if record is None and looks_after_end >= 2:  # files of another machine may appear late
                    event = base.lost_run(jobs[number], f"Slurm's job {job} ended without it; see slurm/")
                if event.get("record") is not None:
                    report(number, event)
                    pending.remove(number)
            base.report_progress(jobs, sorted(pending), report)
            looks_after_end = 0 if _is_queued(job) else looks_after_end + 1
    except KeyboardInterrupt:
        if job:
            tell(f"job {job} goes on without us (harness status, or scancel {job})")
        raise


def _is_queued(job: str) -> bool:
    """Whether a task of the array is waiting or running, as far as is known: also where Slurm does not answer."""
    try:
        result = subprocess.run(["squeue", "-h", "-j", job, "-o", "%i"], capture_output=True, text=True, check=False)
    except OSError:
        return True
    if result.returncode:
        return "invalid job id" not in result.stderr.lower()
    return bool(result.stdout.strip())
