"""Where runs execute: in this process, or in local worker processes. They know nothing of what a run is made of.

Each takes (plan, folder) pairs and calls `report(number, event)` with the number of the pair: a dict with `line` at
steps, with `record` at the end. Runs share nothing, so their order and the number of workers change no result.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from harness import runner, store
from harness.runner import Plan

Job = tuple[Plan, Path]
Report = Callable[[int, dict[str, Any]], None]


def here(jobs: Sequence[Job], report: Report) -> None:
    """One run after the other in this process."""
    signal.signal(signal.SIGTERM, _interrupt)
    for number, (plan, folder) in enumerate(jobs):
        report(number, {"started": True})
        record = runner.run(plan, folder, lambda event, number=number: report(number, event))  # type: ignore[misc]
        report(number, {"record": record})


def processes(jobs: Sequence[Job], workers: int, report: Report) -> None:
    """Runs in `workers` processes; a run whose process dies is recorded as failed, and another takes its place."""
    signal.signal(signal.SIGTERM, _interrupt)
    context = multiprocessing.get_context("spawn")  # fork after torch has started threads may hang
    waiting = list(enumerate(jobs))[::-1]
    pool: dict[Connection, tuple[Any, int]] = {}  # pipe -> its process and the number of its run

    def start() -> None:
        ours, theirs = context.Pipe()
        process = context.Process(target=_work, args=(theirs,), daemon=True)
        process.start()
        theirs.close()
        pool[ours] = process, -1
        assign(ours)

    def assign(pipe: Connection) -> None:
        process, _ = pool[pipe]
        if not waiting:
            pipe.send(None)
            del pool[pipe]
            process.join()
            return
        number, job = waiting.pop()
        pool[pipe] = process, number
        pipe.send(job)
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
                    report(number, {"record": _died(jobs[number], process.exitcode)})
                    if waiting:
                        start()
                    continue
                report(number, event)
                if "record" in event:
                    assign(pipe)
    except KeyboardInterrupt:
        # A worker saves its last step boundary on SIGTERM; after two seconds it has lost its chance.
        for process, _ in pool.values():
            process.terminate()
        for process, _ in pool.values():
            process.join(2)
        raise


def _work(pipe: Connection) -> None:
    """A worker: runs what it is sent until it is sent None."""
    signal.signal(signal.SIGTERM, _interrupt)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal sends it to all; the parent decides
    threading.Thread(target=_die_with_parent, daemon=True).start()
    try:
        while (job := pipe.recv()) is not None:
            plan, folder = job
            record = runner.run(plan, folder, progress=pipe.send)
            pipe.send({"record": record})
    except (KeyboardInterrupt, EOFError, BrokenPipeError):
        return


def _die_with_parent() -> None:
    """A killed parent must not leave workers behind: the same command again would start their runs twice."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


def _interrupt(signum: int, frame: Any) -> None:
    raise KeyboardInterrupt


def _died(job: Job, code: int | None) -> dict[str, Any]:
    """The record of a run whose process was killed: out of memory, most often. Its checkpoint stays."""
    plan, folder = job
    cause = f"signal {signal.Signals(-code).name}" if code is not None and code < 0 else f"exit code {code}"
    error = f"the worker process ended ({cause}); if memory ran out, use fewer --workers"
    record = runner.identity(plan) | runner.FAILED | {"status": "failed", "error": error}
    record["environment"] = runner.environment(plan.device, uses_torch=False)
    store.write_json(folder / "record.json", record)
    return record
