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
from harness.executors.base import STOP_SECONDS, Execution, Job, Report, lost, made
from harness.output import open_streams
from harness.runner import Plan


def execute(jobs: Sequence[Job], how: Execution, report: Report) -> None:
    """Make the runs, `how.workers` at a time."""
    if min(how.workers or 1, len(jobs)) <= 1:
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
    return locks.holder(locks.claim_path(folder))


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
