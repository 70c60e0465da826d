"""Runs as Ray tasks, on this machine or on the cluster that `--address` names; a lost node's runs go to the others.

All nodes see the campaign's folder and have this package installed. The folder is all that they share: a task claims
its run there like any other command, and its trace there shows its progress.
"""

from __future__ import annotations

import logging
import math
import os
import re
import socket
import time
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.errors import UserError
from benchmarks.processes import interrupt, on_stop
from harness.executors import base
from harness.executors.base import Execution, Job, Report
from harness.output import open_streams
from harness.runner import Plan
from searchers.base import KINDS

RETRIES = 5  # of a run whose node or process is lost, before it is recorded as failed


def execute(jobs: Sequence[Job], how: Execution, report: Report) -> None:
    """Make the runs; UserError where Ray is missing, does not answer, or lacks the CPUs or GPUs of a run."""
    ray = _connect(how)
    on_stop(interrupt)  # again: Ray has set a handler of its own
    gpus = {kind: 0 if kind == "multi-trial" else how.gpus for kind in KINDS}  # queries of a table need no GPU
    remote_by_kind = {
        kind: ray.remote(num_cpus=how.cpus, num_gpus=number, max_retries=RETRIES)(_make)
        for kind, number in gpus.items()
    }
    waiting, tasks, last_look = deque(range(len(jobs))), dict[Any, int](), 0.0  # tasks: Ray's handle -> job number
    try:
        while waiting or tasks:
            # Twice as many as fit now, so that no node waits for its next run.
            limit = how.workers or max(2 * _capacity(ray, how), 2)
            while waiting and len(tasks) < limit:
                number = waiting.popleft()
                plan, folder = jobs[number]
                tasks[remote_by_kind[plan.kind].remote(plan, folder)] = number
            ready, _ = ray.wait(list(tasks), timeout=base.LOOK_SECONDS)
            for task in ready:
                number = tasks.pop(task)
                event = _outcome(ray, task, jobs[number])
                report(number, event)
                if "elsewhere" in event:
                    waiting.append(number)
            if time.monotonic() - last_look > base.LOOK_SECONDS:
                base.report_progress(jobs, list(tasks.values()), report)
                last_look = time.monotonic()
    except KeyboardInterrupt:
        for task in tasks:  # raises KeyboardInterrupt in the task, which saves its last step boundary
            ray.cancel(task)
        ray.wait(list(tasks), num_returns=len(tasks), timeout=base.STOP_SECONDS) if tasks else None
        raise
    finally:
        ray.shutdown()


def _make(plan: Plan, folder: Path) -> dict[str, Any]:
    """The body of a Ray task: makes one run and returns its last event."""
    open_streams()
    return base.make_run(plan, folder, base.ignore)


def reach(address: str) -> None:
    """UserError where nobody answers at HOST:PORT; Ray itself would take a minute to find that out."""
    if match := re.fullmatch(r"([^:/]+):([0-9]{1,5})", address):
        try:
            socket.create_connection((match[1], int(match[2])), timeout=10).close()
        except (OSError, OverflowError) as error:
            raise UserError(f"--address {address}: no Ray cluster answers there ({error})") from None


def _connect(how: Execution) -> Any:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    extra: dict[str, Any] = {}
    if how.address is None:
        cpus = None if how.workers is None else math.ceil(how.workers * how.cpus)
        extra = {"num_cpus": cpus, "include_dashboard": False, "_node_ip_address": "127.0.0.1"}
    elif how.address.partition(":")[0] in ("127.0.0.1", "localhost"):  # or Ray would use this machine's outer address
        os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
    try:
        import ray
    except ImportError:
        raise UserError("--executor ray: Ray is not installed; pip install ray") from None
    try:
        ray.init(how.address or "local", log_to_driver=False, logging_level=logging.ERROR, **extra)
    except (ConnectionError, RuntimeError, ValueError, TimeoutError) as error:
        raise UserError(f"--executor ray: no cluster at {how.address or 'this machine'} ({error})") from None
    if not _capacity(ray, how):
        nodes = [f"{n.get('CPU', 0):g} CPU and {n.get('GPU', 0):g} GPU" for n in _nodes(ray)]
        ray.shutdown()
        raise UserError(
            f"--executor ray: a run needs {how.cpus:g} CPU and {how.gpus:g} GPU on one node, but the nodes have "
            + (", ".join(dict.fromkeys(nodes)) or "nothing")
        )
    return ray


def _nodes(ray: Any) -> list[dict[str, float]]:
    """The resources of each node that is alive."""
    return [node["Resources"] for node in ray.nodes() if node["Alive"]]


def _capacity(ray: Any, how: Execution) -> int:
    """How many runs fit into the nodes as they are now."""
    needed = {"CPU": how.cpus, "GPU": how.gpus}
    return sum(
        min(int(node.get(name, 0) / number + 1e-9) for name, number in needed.items() if number) for node in _nodes(ray)
    )


def _outcome(ray: Any, task: Any, job: Job) -> dict[str, Any]:
    """The last event of a task's run, also where the task raised an error or was lost."""
    try:
        return ray.get(task)
    except ray.exceptions.RayTaskError as error:
        return base.lost_run(job, f"its Ray task raised {type(error.cause).__name__}: {error.cause}")
    except ray.exceptions.RayError as error:
        return base.lost_run(job, f"its Ray task was lost {RETRIES + 1} times ({type(error).__name__})")
