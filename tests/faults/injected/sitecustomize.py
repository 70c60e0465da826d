"""Put on PYTHONPATH by campaigns.py: every process of the campaign checkpoints at every step and has one fault.

FAULT is `kind:n`: at its n-th step a process raises an out-of-memory error (`memory`) or stops for ever (`hang`);
from its n-th flush to disk on, three fail (`write`).
"""

import os
import signal

from harness import diagnostics, jobs, runner

diagnostics.SAMPLE = 20  # cells of the one-shot correlation: it is no part of what is disturbed
jobs.CHECKPOINT_SECONDS = jobs.SNAPSHOT_SECONDS = -1.0
kind, _, number = os.environ.get("FAULT", "none:0").partition(":")
left = {"steps": int(number), "writes": int(number)}

begin, fsync = runner._begin, os.fsync


def mark():
    """The fault has come."""
    with open(os.environ["FAULT_MARK"], "a"):
        pass


def faulty_begin(plan, benchmark):
    task, searcher = begin(plan, benchmark)
    step = searcher.step

    def faulty_step():
        left["steps"] -= 1
        if left["steps"] == 0:
            mark()
            if kind == "memory":
                raise MemoryError("Unable to allocate 9.0 EiB")
            os.kill(os.getpid(), signal.SIGSTOP)
        return step()

    searcher.step = faulty_step
    return task, searcher


def faulty_fsync(descriptor):
    left["writes"] -= 1
    if -3 < left["writes"] <= 0:
        mark()
        raise OSError(5, "Input/output error")
    fsync(descriptor)


if kind in ("memory", "hang"):
    runner._begin = faulty_begin
if kind == "write":
    os.fsync = faulty_fsync
