"""From a command's options to a finished campaign and its report."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from benchmarks.processes import interrupt, on_stop
from harness import executors, locks, results, store
from harness.arguments import AblateOptions, RunOptions
from harness.campaign import Order, left_to_do, plans, prepare, shard
from harness.executors.base import Execution
from harness.options import belongs, execution_of, origin, setting_of
from harness.output import CONTINUES, STOPPED, tell
from harness.progress import Progress, Waiting
from harness.runner import Plan
from harness.schema import Ablations, Campaign
from harness.specs import parse_ablations, parse_seeds, parse_specs, use_images
from searchers import plugins


def make(options: RunOptions | AblateOptions) -> int:
    """`harness run` or `harness ablate`; the exit code.

    UserError before anything is written where an option is wrong.
    """
    seeds, overrides = parse_seeds(options.seeds), options.overrides or []
    belongs(options)
    tell("loading libraries, table and images")
    ablations = None
    try:
        with ExitStack() as stack:
            with Waiting("still loading"):
                if isinstance(options, AblateOptions):
                    specs, rows = parse_ablations(options.searcher, overrides)
                    ablations = Ablations(of=specs[0].label, rows=rows)
                else:
                    specs = parse_specs(options.searchers, overrides)
                for name, text in plugins.name_conflicts().items():
                    if name in {spec.name for spec in specs}:
                        tell(text)
                setting, how = setting_of(options, specs)
                execution = execution_of(options, setting.device, use_images(specs))
                planned = plans(setting, specs, seeds)
                folder = options.out
                if folder is None:
                    suffix = "" if ablations is None else f"-ablate-{specs[0].label}"
                    folder = Path(f"results/{setting.benchmark.name}-{options.preset}{suffix}")
                if execution.shard is not None:
                    planned = shard(planned, *execution.shard)
                about = origin(how, setting)
                on_stop(interrupt)  # till now there was nothing to save
                order = Order(tell, options.fresh, ablations)
                campaign = prepare(folder, setting, specs, seeds, about, order, stack)
                left = left_to_do(folder, planned, tell)
            return _finish(folder, campaign, planned, left, execution)
    except KeyboardInterrupt:
        if options.executor != "slurm":  # there the array goes on, and the same command would queue another
            tell(CONTINUES)
        return STOPPED


def _finish(
    folder: Path, campaign: Campaign, planned: Sequence[Plan], left: Sequence[Plan], execution: Execution
) -> int:
    """Make what is left of a campaign, and its report."""
    tell(f"{campaign.chosen}\n{campaign.power_note}", "stdout")
    tell(f"{len(planned)} runs, {len(planned) - len(left)} done, {len(left)} to do -> {folder}")
    jobs = [(plan, store.run_folder(folder.resolve(), plan.label, plan.seed)) for plan in left]
    if jobs and execution.executor == "slurm" and not execution.wait:
        from harness.executors import slurm

        tell(f"job {slurm.submit(jobs, execution)} is queued; harness status {folder}, then harness report {folder}")
        return 0
    with Progress(left) as progress:
        if jobs:
            executors.execute(jobs, execution, progress.report)
    if any(folder.glob("runs/*/*/record.json")):
        on_stop(_end)
        from harness.report import page  # and matplotlib

        with Waiting("drawing the report"):
            with locks.campaign_lock(folder):
                whole = results.load([folder])  # other commands may have extended the campaign
                page.write_files(whole, folder / "report")
            page.show(whole, folder / "report")
    if progress.failed:
        tell(f"{progress.failed} of {len(jobs)} runs failed; harness status {folder} says why")
        return 1
    return 0


def _end(signum: int, frame: Any) -> None:
    """While the report is drawn nothing is to be saved, and plotting libraries may swallow a KeyboardInterrupt."""
    tell(CONTINUES)
    os._exit(STOPPED)
