"""Where runs execute: in this process, in local worker processes, on Ray (on_ray.py), in a Slurm array (on_slurm.py).

They know nothing of what a run is made of. Each takes (plan, folder) pairs and calls `report(number, event)` with the
number of the pair: a dict with `line` at steps, with `record` at the end. Runs share nothing, so their order and the
number of workers change no result. A run that another command on the same folder is making comes back to the end of
the queue, until it is made or free.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from benchmarks.base import UserError, interrupt, start_worker, uninterrupted
from harness import runner, store
from harness.output import open_streams
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


def execute(jobs: Sequence[Job], how: Execution, report: Report) -> None:
    """Make the runs as asked."""
    if how.executor == "ray":
        from harness import on_ray

        on_ray.execute(jobs, how, report)
    elif how.executor == "slurm":
        from harness import on_slurm

        on_slurm.execute(jobs, how, report)
    elif min(how.workers or 1, len(jobs)) <= 1:
        here(jobs, report)
    else:
        processes(jobs, how.workers or 1, report)


def here(jobs: Sequence[Job], report: Report, patient: bool = True) -> None:
    """One run after the other in this process; unless `patient`, what others make or have made is left to them."""
    waiting = deque(enumerate(jobs))
    while waiting:
        number, (plan, folder) = waiting.popleft()
        if not patient and (who := _elsewhere(plan, folder)):
            report(number, {"elsewhere": who})
            continue
        report(number, {"started": True})
        event = made(plan, folder, lambda event, number=number: report(number, event), patient)  # type: ignore[misc]
        report(number, event)
        if "elsewhere" in event and patient:
            waiting.append((number, (plan, folder)))


def _elsewhere(plan: Plan, folder: Path) -> str | None:
    """Who has made or is making a run: a look, where claiming what a thousand others hold would take minutes."""
    if store.record_of(folder, plan.key) is not None:
        return "another, who has finished it"
    return store.holder(store.claim_path(folder))


def made(plan: Plan, folder: Path, progress: runner.Progress, patient: bool = True) -> dict[str, Any]:
    """The last event of a run: its record, or who else is making it."""
    record = runner.run(plan, folder, progress)
    if record is not None:
        return {"record": record}
    if patient:
        time.sleep(ELSEWHERE_SECONDS)
    return {"elsewhere": store.holder(store.claim_path(folder)) or "somebody"}


def unseen(event: dict[str, Any]) -> None:
    """The progress of a run on another machine: it stands in its trace, and `look` reads it there."""


def campaign_folder(jobs: Sequence[Job]) -> Path:
    return jobs[0][1].parents[2]


def look(jobs: Sequence[Job], numbers: Sequence[int], report: Report) -> None:
    """Report how far runs on other machines are: those of these numbers that are claimed."""
    running = store.running(campaign_folder(jobs))
    for number in numbers:
        if jobs[number][1] in running:
            line = store.last_line(jobs[number][1] / "trace.jsonl")
            report(number, {"started": True} if line is None else {"line": line})


def processes(jobs: Sequence[Job], workers: int, report: Report) -> None:
    """Runs in `workers` processes; a run whose process dies is recorded as failed, and another takes its place."""
    context = multiprocessing.get_context("spawn")  # fork after torch has started threads may hang
    waiting = deque(range(len(jobs)))
    pool: dict[Connection, tuple[Any, int]] = {}  # pipe -> its process and the number of its run

    def start() -> None:
        ours, theirs = context.Pipe()
        process = context.Process(target=_work, args=(theirs,), daemon=True)
        with uninterrupted():  # or a process might be there that nobody knows of
            process.start()
            theirs.close()
            pool[ours] = process, -1
        assign(ours)

    def assign(pipe: Connection) -> None:
        process, _ = pool[pipe]
        if not waiting:
            with suppress(OSError):
                pipe.send(None)
            del pool[pipe]
            process.join()
            return
        number = waiting.popleft()
        pool[pipe] = process, number
        with suppress(OSError):  # a worker that has just died is noticed when its pipe is read
            pipe.send(jobs[number])
        report(number, {"started": True})

    try:
        for _ in range(min(workers, len(jobs))):
            start()
        while pool:
            for pipe in wait(list(pool)):
                assert isinstance(pipe, Connection)
                process, number = pool[pipe]
                try:
                    event = pipe.recv()
                except (EOFError, OSError):
                    process.join()
                    del pool[pipe]
                    event = lost(jobs[number], _cause(process.exitcode))
                    report(number, event)
                    if "elsewhere" in event:
                        waiting.append(number)
                    if waiting:
                        start()
                    continue
                report(number, event)
                if "elsewhere" in event:
                    waiting.append(number)
                if "elsewhere" in event or "record" in event:
                    assign(pipe)
    except KeyboardInterrupt:
        _stop([process for process, _ in pool.values()])
        raise


def _stop(workers: Sequence[Any]) -> None:
    """Workers save their last step boundary on SIGTERM; one that hangs has lost its chance, and its life."""
    for process in workers:
        process.terminate()
    limit = time.monotonic() + STOP_SECONDS
    for process in workers:
        process.join(max(limit - time.monotonic(), 0))
        process.kill()


def _work(pipe: Connection) -> None:
    """A worker: runs what it is sent until it is sent None."""
    open_streams()
    signal.signal(signal.SIGTERM, interrupt)
    start_worker()  # it ends with its parent, or would hold its run from the same command given again
    try:
        while (job := pipe.recv()) is not None:
            plan, folder = job
            pipe.send(made(plan, folder, pipe.send))
    except (KeyboardInterrupt, EOFError, BrokenPipeError):
        os._exit(1)  # all is saved, and taking torch down in good order takes a second


def _cause(code: int | None) -> str:
    cause = f"signal {signal.Signals(-code).name}" if code is not None and code < 0 else f"exit code {code}"
    return f"the worker process ended ({cause}); if memory ran out, use fewer --workers"


def lost(job: Job, why: str) -> dict[str, Any]:
    """The event of a run whose process ended before it, out of memory most often. Its checkpoint stays.

    A run that has not begun is reported and no more: it is still to do.
    """
    plan, folder = job
    record = runner.failure(plan, why)
    record["environment"] = runner.environment(plan.device, uses_torch=False) | runner.plugin_of(plan)
    try:
        with store.claim(folder) as mine:
            if not mine:  # somebody has taken it over
                return {"elsewhere": store.holder(store.claim_path(folder)) or "somebody"}
            begun = set(os.listdir(folder)) if folder.is_dir() else set()
            if "record.json" in begun:  # it ended in the very last moment
                return {"record": store.load_record(folder) or record}
            if begun:
                store.write_sealed(folder / "record.json", record)
    except (OSError, UserError):
        pass  # a full disk: reported, not kept
    return {"record": record}
