"""`harness evaluate`: networks trained from scratch, that of one cell or those of a campaign's answers."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmarks import registry
from benchmarks.base import Benchmark, Evaluation
from benchmarks.errors import UserError
from benchmarks.processes import interrupt, on_stop
from harness import locks, options, results, store, trained
from harness.arguments import EvaluateOptions
from harness.campaign import COMMANDS
from harness.conduct import checksums, conclude, train
from harness.evaluate import label_of
from harness.options import Setting
from harness.output import CONTINUES, STOPPED, tell
from harness.progress import Waiting
from harness.schema import Campaign, EvaluationRecord, Trainings
from harness.specs import parse_seeds

DEFAULT = "small"  # recipe, where neither the command nor a campaign names one


class Request(NamedTuple):
    """What is to be trained, and where it is kept: the answers of `campaign`, or a cell without one."""

    folder: Path
    cells: Sequence[str]
    target: str
    setting: Setting
    campaign: Campaign | None


def evaluate(given: EvaluateOptions) -> int:
    """`harness evaluate`; the exit code. UserError before anything is written where an option is wrong."""
    seeds = parse_seeds(given.seeds)
    options.belongs(given)
    tell("loading libraries and images")
    try:
        with ExitStack() as stack:
            with Waiting("still loading"):
                request = _request(given, seeds)
                execution = options.execution_of(given, request.setting.device, images=True)
                execution = options.with_devices(execution, given, request.setting.device)
                images = checksums(request.setting.benchmark, request.setting.evaluations)
                on_stop(interrupt)  # till now there was nothing to save
                request.folder.mkdir(parents=True, exist_ok=True)
                stack.enter_context(locks.in_use(request.folder))
                if request.campaign is not None:
                    _extend(request)
            failed = train(request.folder, request.setting, request.cells, images, execution)
            if request.campaign is not None:
                return conclude(request.folder, failed)
            if failed is None:
                return 0
            tell(_summary(request), "stdout")
            return 1 if failed else 0
    except KeyboardInterrupt:
        if given.executor != "slurm":  # there the array goes on, and the same command would queue another
            tell(CONTINUES)
        return STOPPED


def _request(given: EvaluateOptions, seeds: list[int]) -> Request:
    folder, campaign = Path(given.what), None
    places = options.places_for(given.data)
    if folder.is_dir():
        campaign = store.load_campaign(folder)
        if given.out is not None:
            raise UserError("--out is for a single cell: what a campaign's answers become is kept in its own folder")
        if given.benchmark not in (options.AUTO, campaign.benchmark):
            raise UserError(f"--benchmark {given.benchmark}: the campaign in {folder} is of {campaign.benchmark}")
        benchmark = registry.find(campaign.benchmark).open(None, places)
        evaluation = _trained_by(benchmark)
        if benchmark.version != campaign.table_sha256:
            raise UserError(f"{folder}: made with another version of {benchmark.name} than is installed")
        cells = trained.answers(store.load_records(folder)[0])
        if not cells:
            raise UserError(f"{folder}: no finished run yet, so there is no answer to train")
        target = given.dataset or next((t for t in evaluation.targets if t == campaign.search_dataset), None)
        named = given.preset or next((name for name in evaluation.recipes if name == campaign.preset.name), None)
    else:
        benchmark, cell = _cell(given.what, given.benchmark, places)
        evaluation, cells, target, named = _trained_by(benchmark), [cell], given.dataset, given.preset
        folder = given.out or Path(f"results/{benchmark.name}-cells")
    target = target or evaluation.targets[0]
    named = named or (DEFAULT if DEFAULT in evaluation.recipes else next(iter(evaluation.recipes)))
    device, precision = options.machine(given, trains=True)
    ways = options.trainings(evaluation, target, named, seeds, precision, given.threads, given.devices)
    preset = campaign.preset if campaign is not None else options.Preset(name=named)
    setting = Setting(benchmark, None, tuple(places), target, preset, precision, device, given.threads, ways)
    return Request(folder, cells, target, setting, campaign)


def _trained_by(benchmark: Benchmark) -> Evaluation:
    if benchmark.evaluation is None:
        raise UserError(f"{benchmark.name} has the scores of its cells from a table: harness show; none is trained")
    return benchmark.evaluation


def _cell(text: str, name: str, places: Sequence[Path]) -> tuple[Benchmark, str]:
    """The benchmark that trains its cells and can read this one, and the cell's string."""
    if name != options.AUTO:
        cell = registry.find(name).space.parse(text)
        benchmark = registry.find(name).open(None, places)
        _trained_by(benchmark)
        return benchmark, benchmark.space.to_string(cell)
    faults, scored = [], []
    for entry in map(registry.find, registry.names()):
        try:
            cell = entry.space.parse(text)
        except UserError as error:
            if entry.recipes:
                faults.append(f"{entry.name}: {error}")
        else:
            if entry.recipes:
                return entry.open(None, places), entry.space.to_string(cell)
            scored.append(entry.name)
    if scored:
        faults = [f"harness show has its scores from the tables of {' and '.join(scored)}"]
    raise UserError(f"{text!r}: no campaign's folder, and no cell that is trained ({'; '.join(faults)})")


def _extend(request: Request) -> None:
    """Note in campaign.json how its answers are trained on the target, in place of another way there."""
    with locks.campaign_lock(request.folder):
        campaign = store.load_campaign(request.folder)  # another command may have extended it
        ways = results.merged_evaluations(campaign.evaluations, request.setting.evaluations)
        before, now = campaign.evaluations.get(request.target), ways[request.target]
        if before is not None and not results.same_training(before, now):
            tell(f"{request.target}: until now trained as {_way(before)}; the report has the new ones, none is deleted")
        command = "\n".join(dict.fromkeys([*campaign.command.split("\n"), options.command()]))[-COMMANDS:]
        store.save(request.folder, campaign.model_copy(update={"evaluations": ways, "command": command}))


def _way(how: Trainings) -> str:
    devices = "" if how.devices == 1 else f", {how.devices} devices"
    return f"{how.recipe.name} in {how.precision}, {how.threads} thread(s){devices}"


def _summary(request: Request) -> str:
    """A cell's trainings in a line: accuracy, size, cost; empty where none is finished."""
    how = request.setting.evaluations[request.target]
    (cell,) = request.cells
    label = label_of(cell, request.target, how.recipe)
    places = [store.evaluation_folder(request.folder, label, seed) for seed in how.seeds]
    found = [store.load_record(place, EvaluationRecord) for place in places]
    done = [r for r in found if r is not None and r.accuracy is not None]
    if not done:
        return f"{cell}: no finished training"
    values = [r.accuracy for r in done if r.accuracy is not None]
    spread = f" ± {np.std(values, ddof=1):.2f}" if len(values) > 1 else ""
    seconds, first = float(np.mean([r.seconds for r in done])), done[0]
    device = first.environment.get("device", "cpu")
    return "\n".join(
        (
            cell,
            f"{np.mean(values):.2f}{spread} % of {first.test_images:,} {request.target} test images (n = {len(done)})",
            f"recipe {how.recipe.name}, {how.recipe.epochs} epochs; {seconds:,.1f} s each on {how.devices} x {device}",
            f"{first.parameters:,} parameters, {first.multiply_adds:,} multiply-adds in convolutions and linear maps",
        )
    )
