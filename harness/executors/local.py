"""Runs in this process or in worker processes of this machine."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from benchmarks.processes import interrupt, start_worker, uninterrupted
from harness import locks, store
from harness.executors.base import STOP_SECONDS, Execution, Job, Report, lost_run, make_run
from harness.jobs import Job as AnyJob
from harness.output import open_streams


def execute(jobs: Sequence[Job], how: Execution, report: Report) -> None:
    """Make the runs, `how.workers` at a time."""
    if min(how.workers or 1, len(jobs)) <= 1:
        here(jobs, report)
    else:
        processes(jobs, how.workers or 1, report)


def here(jobs: Sequence[Job], report: Report, patient: bool = True) -> None:
    """Make runs one after the other in this process; unless `patient`, skip those of other processes."""
    waiting = deque(enumerate(jobs))
    while waiting:
        number, (plan, folder) = waiting.popleft()
        if not patient and (maker := _other_maker(plan, folder)):
            report(number, {"elsewhere": maker})
            continue
        report(number, {"started": True})
        event = make_run(plan, folder, lambda event, number=number: report(number, event), patient)  # type: ignore[misc]
        report(number, event)
        if "elsewhere" in event and patient:
            waiting.append((number, (plan, folder)))


def _other_maker(plan: AnyJob, folder: Path) -> str | None:
    """Who has made or is making a run, or None; faster than claims, which take minutes beside a thousand processes."""
    if store.record_of(folder, plan.key, plan.record_type) is not None:
        return "another, who has finished it"
    return locks.holder(locks.claim_path(folder))


def processes(jobs: Sequence[Job], workers: int, report: Report) -> None:
    """Make runs in `workers` processes. If a process dies, its run is recorded as failed and a new process starts."""
    context = multiprocessing.get_context("spawn")  # fork after torch has started threads may hang
    waiting = deque(range(len(jobs)))
    pool: dict[Connection, tuple[Any, int]] = {}  # pipe -> its process and the number of its run

    def start() -> None:
        ours, theirs = context.Pipe()
        process = context.Process(target=_work, args=(theirs,), daemon=True)
        with uninterrupted():  # a stop in between would leave a process behind
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
                    event = lost_run(jobs[number], _cause(process.exitcode))
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
    """End workers by SIGTERM, on which they save their last step boundary; kill those that hang."""
    for process in workers:
        process.terminate()
    limit = time.monotonic() + STOP_SECONDS
    for process in workers:
        process.join(max(limit - time.monotonic(), 0))
        process.kill()


def _work(pipe: Connection) -> None:
    """The main function of a worker process: makes the runs that it receives, until it receives None."""
    open_streams()
    signal.signal(signal.SIGTERM, interrupt)
    start_worker()  # ends with its parent: otherwise it would keep its claim when the command is given again
    try:
        while (job := pipe.recv()) is not None:
            plan, folder = job
            pipe.send(make_run(plan, folder, pipe.send))
    except (KeyboardInterrupt, EOFError, BrokenPipeError):
        os._exit(1)  # all is saved; an orderly exit of torch takes a second


def _cause(code: int | None) -> str:
    """Why a worker process with this exit code ended, for the run's error."""
    cause = f"signal {signal.Signals(-code).name}" if code is not None and code < 0 else f"exit code {code}"
    return f"the worker process ended ({cause}); if memory ran out, use fewer --workers"
