"""From a command's options to a finished campaign and its report."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.base import Benchmark
from benchmarks.processes import interrupt, on_stop
from harness import evaluate, executors, locks, results, store, trained
from harness.arguments import AblateOptions, RunOptions
from harness.campaign import Order, left_to_do, plans, prepare, shard
from harness.executors.base import Execution
from harness.jobs import Job
from harness.options import Setting, belongs, execution_of, origin, setting_of
from harness.output import CONTINUES, STOPPED, tell
from harness.progress import Progress, Waiting
from harness.schema import Ablations, Trainings
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
                trains = use_images(specs) or bool(setting.evaluations)
                execution = execution_of(options, setting.device, trains)
                planned = plans(setting, specs, seeds)
                images = checksums(setting.benchmark, setting.evaluations)
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
            tell(f"{campaign.chosen}\n{campaign.power_note}", "stdout")
            then = "the same command again" if setting.evaluations else f"harness report {folder}"
            failed = make_jobs(folder, planned, left, execution, then=then)
            if failed is not None and setting.evaluations:
                records = [
                    r for p in planned if (r := store.record_of(p.place(folder), p.key, p.record_type)) is not None
                ]
                cells = trained.answers(records)
                more = train(folder, setting, cells, images, replace(execution, shard=None))
                failed = None if more is None else failed + more
            return conclude(folder, failed)
    except KeyboardInterrupt:
        if options.executor != "slurm":  # there the array goes on, and the same command would queue another
            tell(CONTINUES)
        return STOPPED


def checksums(benchmark: Benchmark, evaluations: Mapping[str, Trainings]) -> dict[str, str]:
    """Of the images of each target; UserError where they are not here, or do not fit the recipe."""
    assert benchmark.evaluation is not None or not evaluations
    return {
        target: evaluate.checked_images(benchmark.evaluation, target, how.recipe, how.devices)  # type: ignore[arg-type]
        for target, how in evaluations.items()
    }


def train(
    folder: Path, setting: Setting, cells: Sequence[str], images: Mapping[str, str], execution: Execution
) -> int | None:
    """Train cells as the setting says, each once; how many trainings failed, None where they are queued."""
    places = tuple(str(p.resolve()) for p in setting.places)
    planned = [
        plan
        for target, how in setting.evaluations.items()
        for plan in evaluate.plans(setting.benchmark, cells, target, how, images[target], setting.device, places)
    ]
    if execution.shard is not None:
        part, parts = execution.shard
        planned = planned[part - 1 :: parts]
    return make_jobs(
        folder, planned, left_to_do(folder, planned, tell), execution, "trainings", "the same command again"
    )


def make_jobs(
    folder: Path, planned: Sequence[Job], left: Sequence[Job], execution: Execution, what: str = "runs", then: str = ""
) -> int | None:
    """Make what is left of the jobs, which are called `what`; how many failed, None where they are queued.

    `then`: what is to be done when those that are queued are over.
    """
    tell(f"{len(planned)} {what}, {len(planned) - len(left)} done, {len(left)} to do -> {folder}")
    jobs = [(plan, plan.place(folder.resolve())) for plan in left]
    if jobs and execution.executor == "slurm" and not execution.wait:
        from harness.executors import slurm

        tell(f"job {slurm.submit(jobs, execution)} is queued; harness status {folder}, then {then}")
        return None
    with Progress(left, what) as progress:
        if jobs:
            executors.execute(jobs, execution, progress.report)
    if progress.failed:
        why = f"; harness status {folder} says why" if (folder / "campaign.json").exists() else ""
        tell(f"{progress.failed} of {len(jobs)} {what} failed{why}")
    return progress.failed


def conclude(folder: Path, failed: int | None) -> int:
    """Draw a campaign's report, unless its jobs are queued; the exit code."""
    if failed is None:
        return 0
    if any(folder.glob("runs/*/*/record.json")):
        on_stop(_end)
        from harness.report import page  # and matplotlib

        with Waiting("drawing the report"):
            with locks.campaign_lock(folder):
                whole = results.load([folder])  # other commands may have extended the campaign
                page.write_files(whole, folder / "report")
            page.show(whole, folder / "report")
    return 1 if failed else 0


def _end(signum: int, frame: Any) -> None:
    """While the report is drawn nothing is to be saved, and plotting libraries may swallow a KeyboardInterrupt."""
    tell(CONTINUES)
    os._exit(STOPPED)
