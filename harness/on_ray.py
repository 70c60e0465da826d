"""Runs as Ray tasks, on this machine or on the cluster that `--address` names; a lost node's runs go to the others.

All nodes see the campaign's folder and have this package installed. The folder is all they share: a task claims its
run there like any other command, and how far it is stands in its trace.
"""

from __future__ import annotations

import logging
import math
import os
import re
import signal
import socket
import time
from collections import deque
from collections.abc import Sequence
from typing import Any

from benchmarks.base import UserError
from harness import executors
from harness.executors import Execution, Job, Report

RETRIES = 5  # of a run whose node or process is lost, before it is recorded as failed


def execute(jobs: Sequence[Job], how: Execution, report: Report) -> None:
    """Make the runs; UserError where Ray is missing, does not answer or has not what a run needs."""
    ray = _connect(how)
    signal.signal(signal.SIGTERM, executors.interrupt)
    make = ray.remote(num_cpus=how.cpus, num_gpus=how.gpus, max_retries=RETRIES)(executors.made)
    waiting, flying, looked = deque(range(len(jobs))), dict[Any, int](), 0.0
    try:
        while waiting or flying:
            while waiting and len(flying) < (how.workers or _places(ray, how)):
                number = waiting.popleft()
                flying[make.remote(*jobs[number], executors.unseen)] = number
            ready, _ = ray.wait(list(flying), timeout=executors.LOOK_SECONDS)
            for task in ready:
                number = flying.pop(task)
                event = _outcome(ray, task, jobs[number])
                report(number, event)
                if "elsewhere" in event:
                    waiting.append(number)
            if time.monotonic() - looked > executors.LOOK_SECONDS:
                executors.look(jobs, list(flying.values()), report)
                looked = time.monotonic()
    except KeyboardInterrupt:
        for task in flying:  # raises KeyboardInterrupt there: the last step boundary is saved
            ray.cancel(task)
        ray.wait(list(flying), num_returns=len(flying), timeout=executors.STOP_SECONDS) if flying else None
        raise
    finally:
        ray.shutdown()


def _connect(how: Execution) -> Any:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    more: dict[str, Any] = {}
    if how.address is None:
        cpus = None if how.workers is None else math.ceil(how.workers * how.cpus)
        more = {"num_cpus": cpus, "include_dashboard": False, "_node_ip_address": "127.0.0.1"}
    elif found := re.fullmatch(r"([^:/]+):([0-9]{1,5})", how.address):
        try:  # Ray itself would take a minute to find that out
            socket.create_connection((found[1], int(found[2])), timeout=10).close()
        except (OSError, OverflowError) as error:
            raise UserError(f"--address {how.address}: no Ray cluster answers there ({error})") from None
        if found[1] in ("127.0.0.1", "localhost"):  # Ray would look for it at this machine's outer address
            os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
    try:
        import ray
    except ImportError:
        raise UserError("--executor ray: Ray is not installed; pip install 'gicso-nas-harness[ray]'") from None
    try:
        ray.init(how.address or "local", log_to_driver=False, logging_level=logging.ERROR, **more)
    except (ConnectionError, RuntimeError, ValueError, TimeoutError) as error:
        raise UserError(f"--executor ray: no cluster at {how.address or 'this machine'} ({error})") from None
    there = ray.cluster_resources()
    for name, needed in (("CPU", how.cpus), ("GPU", how.gpus)):
        if there.get(name, 0) < needed:
            ray.shutdown()
            raise UserError(f"--executor ray: a run needs {needed:g} {name}, the cluster has {there.get(name, 0):g}")
    return ray


def _places(ray: Any, how: Execution) -> int:
    """Twice the runs that fit into the cluster as it is now, so that no node waits for the next one."""
    there = ray.cluster_resources()
    fit = [there.get("CPU", 0) / how.cpus] + ([there.get("GPU", 0) / how.gpus] if how.gpus else [])
    return max(2 * int(min(fit)), 2)


def _outcome(ray: Any, task: Any, job: Job) -> dict[str, Any]:
    try:
        return ray.get(task)
    except ray.exceptions.RayTaskError as error:
        return executors.lost(job, f"its Ray task raised {type(error.cause).__name__}: {error.cause}")
    except ray.exceptions.RayError as error:
        return executors.lost(job, f"its Ray task was lost {RETRIES + 1} times ({type(error).__name__})")
