"""Where runs are made: worker processes of this machine (local), a Ray cluster (ray), a Slurm array (slurm)."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module

from harness.executors.base import Execution, Job, Report


def execute(jobs: Sequence[Job], how: Execution, report: Report) -> None:
    """Make the runs with the executor that `how` names; `report(number, event)` is called for each event."""
    import_module(f"harness.executors.{how.executor}").execute(jobs, how, report)
