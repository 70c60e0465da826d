"""Where runs execute: in this process, or in local worker processes. They know nothing of what a run is made of.

Each takes (plan, folder) pairs and calls `report(number, event)` with the number of the pair: a dict with `line` at
steps, with `record` at the end. Runs share nothing, so their order and the number of workers change no result. A run
that another command on the same folder is making comes back to the end of the queue, until it is made or free.
"""

from __future__ import annotations

import multiprocessing
import signal
import time
from collections import deque
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from benchmarks.base import end_with_parent
from harness import runner, store
from harness.runner import Plan

Job = tuple[Plan, Path]
Report = Callable[[int, dict[str, Any]], None]
ELSEWHERE_SECONDS = 1.0  # until a run that somebody else is making is looked at again
STOP_SECONDS = 1.0  # that workers have to save their last step boundary


def here(jobs: Sequence[Job], report: Report) -> None:
    """One run after the other in this process."""
    signal.signal(signal.SIGTERM, interrupt)
    waiting = deque(enumerate(jobs))
    while waiting:
        number, (plan, folder) = waiting.popleft()
        report(number, {"started": True})
        event = made(plan, folder, lambda event, number=number: report(number, event))  # type: ignore[misc]
        report(number, event)
        if "elsewhere" in event:
            waiting.append((number, (plan, folder)))


def made(plan: Plan, folder: Path, progress: runner.Progress) -> dict[str, Any]:
    """The last event of a run: its record, or who else is making it."""
    record = runner.run(plan, folder, progress)
    if record is not None:
        return {"record": record}
    time.sleep(ELSEWHERE_SECONDS)
    return {"elsewhere": store.holder(store.claim_path(folder)) or "somebody"}


def processes(jobs: Sequence[Job], workers: int, report: Report) -> None:
    """Runs in `workers` processes; a run whose process dies is recorded as failed, and another takes its place."""
    signal.signal(signal.SIGTERM, interrupt)
    context = multiprocessing.get_context("spawn")  # fork after torch has started threads may hang
    waiting = deque(range(len(jobs)))
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
        number = waiting.popleft()
        pool[pipe] = process, number
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
                    report(number, {"record": _died(jobs[number], process.exitcode)})
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
    signal.signal(signal.SIGTERM, interrupt)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal sends it to all; the parent decides
    end_with_parent()  # or it would hold its run from the same command given again
    try:
        while (job := pipe.recv()) is not None:
            plan, folder = job
            pipe.send(made(plan, folder, pipe.send))
    except (KeyboardInterrupt, EOFError, BrokenPipeError):
        return


def interrupt(signum: int, frame: Any) -> None:
    raise KeyboardInterrupt


def _died(job: Job, code: int | None) -> dict[str, Any]:
    """The record of a run whose process was killed: out of memory, most often. Its checkpoint stays."""
    plan, folder = job
    cause = f"signal {signal.Signals(-code).name}" if code is not None and code < 0 else f"exit code {code}"
    record = runner.failure(plan, f"the worker process ended ({cause}); if memory ran out, use fewer --workers")
    record["environment"] = runner.environment(plan.device, uses_torch=False)
    with store.claim(folder) as mine:
        if mine:  # nobody has taken the run over yet
            store.write_sealed(folder / "record.json", record)
    return record
