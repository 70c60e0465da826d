"""The options of a command, checked, as what a campaign and its execution need."""

from __future__ import annotations

import os
import re
import shlex
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks import registry
from benchmarks.base import Benchmark, Evaluation, Preset
from benchmarks.errors import UserError, suggestion
from benchmarks.processor import cpu_has_bf16, cpu_name
from harness import capacity, provenance, quantities, store
from harness.arguments import CampaignOptions, EvaluateOptions, ExecutionOptions
from harness.executors import ray
from harness.executors.base import Execution
from harness.output import tell
from harness.results import MEAN, check_endpoint, version_in_words
from harness.schema import Trainings
from harness.specs import Spec, use_images
from searchers import catalogue

AUTO = "auto"  # the benchmark that this machine has what it needs for


def open_benchmark(
    name: str, table: Path | None, data: Path | None, dataset: str | None, images: bool
) -> tuple[Benchmark, list[Path], str]:
    """The benchmark, the folders with its images, and how it was chosen.

    `dataset`: what is to be searched on, if anything was said; `images`: whether a searcher needs them.
    """
    places = places_for(data)
    how, auto = "as asked", name == AUTO
    if auto:
        name, reason = registry.choose(table, places, dataset, images)
        how = f"chosen by auto: {reason}"
    entry = registry.find(name)
    if table is not None and not entry.takes_table:
        raise UserError(f"--table {table}: {name} brings its own table; leave one of the two out")
    try:
        return entry.open(table, places), places, how
    except UserError as error:
        if auto and table is None:
            raise UserError(f"{error}\n{name} was {how}") from None
        raise


def benchmark_in(folder: Path | None) -> str | None:
    """The benchmark of the campaign in a folder; None where there is no campaign that can be read."""
    with suppress(UserError):
        return store.load_campaign(folder).benchmark if folder is not None else None
    return None


def search_dataset(bench: Benchmark, name: str | None) -> str:
    """The data set to search on, by default the benchmark's first; UserError where it has no such one."""
    dataset = name or bench.datasets[0]
    if dataset not in bench.datasets:
        raise UserError(f"--search-dataset {dataset!r}{suggestion(dataset, list(bench.datasets))}")
    return dataset


def require_low_fidelity(bench: Benchmark, dataset: str, specs: Sequence[Spec]) -> None:
    """UserError if a benchmark has no proxy on a data set, which one of the searchers needs, or not of all cells."""
    multi_trial = [spec for spec in specs if spec.kind == "multi-trial"]
    if not multi_trial or bench.low_fidelity(dataset) is not None:
        return
    if in_need := [spec.text for spec in multi_trial if catalogue.find(spec.name).needs_proxy]:
        raise UserError(
            f"{bench.name} has no low-fidelity proxy on {dataset}, which {', '.join(in_need)} would query: take "
            "searchers of another kind, or random"
        )


def setting_of(options: CampaignOptions, specs: Sequence[Spec]) -> tuple[Setting, str]:
    images = use_images(specs)
    name, table = options.benchmark, options.table
    continued = benchmark_in(options.out) if name == AUTO and table is None and not options.fresh else None
    bench, places, how = open_benchmark(continued or name, table, options.data, options.search_dataset, images)
    if continued:
        how = f"as the campaign in {options.out}"
    preset = resolve_preset(bench, options.preset)
    dataset = search_dataset(bench, options.search_dataset)
    chosen, precision = machine(options, images or bench.evaluation is not None)
    bench.require_scores()  # says so now if the table lacks what they need
    require_low_fidelity(bench, dataset, specs)
    evaluations = {}
    if bench.evaluation is not None:
        seeds = list(range(options.evaluation_seeds or 1))
        evaluations = trainings(bench.evaluation, dataset, preset.name, seeds, precision, options.threads)
    elif options.evaluation_seeds is not None:
        raise UserError(f"--evaluation-seeds: {bench.name} has its scores from a table; none of its cells is trained")
    endpoint = options.endpoint
    if endpoint is not None:
        check_endpoint(endpoint, bench.datasets)
        if endpoint == MEAN and any(bench.summary(d, "test") is None for d in bench.datasets):
            raise UserError(f"--endpoint mean: {bench.name} has no table, so no optimum and no mean cell")
    threads = options.threads
    setting = Setting(bench, table, tuple(places), dataset, preset, precision, chosen, threads, evaluations, endpoint)
    return setting, how


def machine(options: ExecutionOptions, trains: bool) -> tuple[str, str]:
    """The device and the precision that a command's options mean; `trains`: whether any network is trained."""
    named = options.device
    local = options.executor == "local"
    elsewhere = options.executor == "slurm" or options.address is not None  # what this machine has says nothing
    if named == "auto" and (elsewhere or options.gpus is not None):
        named = "cuda" if options.gpus else "cpu"
        if trains and options.gpus is None:
            tell("searches will train on CPUs there; --gpus 1 gives each a GPU")
    if named.startswith("cuda") and options.gpus == 0:
        raise UserError(f"--gpus 0 with --device {named}: a run that is given no GPU cannot use one")
    chosen = device(named, local) if trains or named != "auto" else "cpu"
    precision = str(options.precision)
    if precision == "auto":
        precision = "bf16" if chosen.startswith("cuda") else "fp32"
    if precision == "bf16" and chosen == "cpu" and trains and not elsewhere and cpu_has_bf16() is False:
        tell(f"{cpu_name()} has no bf16 instructions: searches take several times as long as with --precision fp32")
    return chosen, precision


def trainings(
    evaluation: Evaluation,
    target: str,
    recipe: str,
    seeds: list[int],
    precision: str,
    threads: int,
    devices: int = 1,
) -> dict[str, Trainings]:
    """How answers are trained on a target, as campaign.json has it; UserError for an unknown target or recipe."""
    if target not in evaluation.targets:
        raise UserError(f"cells are not trained on {target!r}{suggestion(target, list(evaluation.targets))}")
    resolved = evaluation.recipe(target, recipe)
    return {target: Trainings(recipe=resolved, seeds=seeds, precision=precision, threads=threads, devices=devices)}


def device(name: str, local: bool = True) -> str:
    """cpu, cuda or cuda:N; UserError where this machine lacks it (unless the runs are made elsewhere)."""
    import torch

    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    kind, _, number = name.partition(":")
    if not re.fullmatch(r"cpu|cuda(:[0-9]{1,4})?", name):
        raise UserError(f"--device {name!r}: expected auto, cpu, cuda or cuda:N")
    if kind == "cuda" and local and not torch.cuda.is_available():
        raise UserError(f"--device {name}: torch {torch.__version__} finds no CUDA device here; use --device cpu")
    if number and not local:
        raise UserError(f"--device {name}: a run on a cluster is given its GPU; use --device cuda")
    if number and int(number) >= torch.cuda.device_count():
        raise UserError(f"--device {name}: there are {torch.cuda.device_count()} CUDA devices, numbered from 0")
    return name


def cores() -> int:
    """The number of CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def belongs(options: ExecutionOptions) -> None:
    """UserError for an option that belongs to another executor than the chosen one."""
    executor = str(options.executor)
    for option, only in (("address", "ray"), *((name, "slurm") for name in ("slurm_partition", "slurm_time", "slurm"))):
        if getattr(options, option) and executor != only:
            raise UserError(f"--{option.replace('_', '-')} belongs to --executor {only}")
    if not options.wait and executor != "slurm":
        raise UserError("--no-wait belongs to --executor slurm")
    if executor == "local":
        for option in ("cpus", "gpus"):
            if getattr(options, option) is not None:
                raise UserError(f"--{option} belongs to --executor ray or slurm; here use --threads and --workers")
    if isinstance(options, CampaignOptions) and options.fresh and options.shard:
        raise UserError("--fresh with --shard: each part would move the others' runs aside; use --fresh once, before")


def execution_of(options: CampaignOptions | EvaluateOptions, on: str, images: bool) -> Execution:
    """How runs are to be made on a device; `images`: whether any of them needs images and torch."""
    executor, workers, on_gpu = str(options.executor), options.workers, on.startswith("cuda")
    if options.address is not None:
        ray.reach(options.address)
    if executor == "local" and workers is None:
        workers, note = (
            (1, "") if on_gpu else capacity.fitting(cores(), capacity.free(), capacity.need(options.preset, images))
        )
        if note:
            tell(note)
    gpus = options.gpus if options.gpus is not None else float(on_gpu)
    if executor == "slurm" and gpus != int(gpus):
        raise UserError(f"--gpus {gpus:g}: Slurm gives whole GPUs; parts of one are for --executor ray")
    if (gpus > 1 and gpus != int(gpus)) or 0 < gpus < 1e-4:
        raise UserError(f"--gpus {gpus:g}: a part of one GPU (0.0001 or more), or a whole number of them")
    cpus = options.cpus or options.threads
    if executor == "slurm" and cpus != int(cpus):
        raise UserError(f"--cpus {cpus:g}: Slurm gives whole CPUs; parts of one are for --executor ray")
    return Execution(
        executor=executor,
        workers=workers,
        shard=_part(options.shard),
        cpus=cpus,
        gpus=gpus,
        address=options.address,
        slurm_partition=options.slurm_partition,
        slurm_time=options.slurm_time or 240,
        slurm=dict(_pair(text) for text in options.slurm or []),
        wait=options.wait,
    )


def with_devices(execution: Execution, options: EvaluateOptions, on: str) -> Execution:
    """The execution where `--devices` share each training; UserError where they cannot."""
    count = options.devices
    if count == 1:
        return execution
    if ":" in on:
        raise UserError(f"--devices {count} with --device {on}: they are the first {count} GPUs; use --device cuda")
    if execution.executor == "local":
        if (options.workers or 1) > 1:
            raise UserError(
                f"--devices {count} with --workers {options.workers}: one training at a time takes them all"
            )
        if on == "cuda":
            import torch

            if torch.cuda.device_count() < count:
                raise UserError(f"--devices {count}: there are {torch.cuda.device_count()} CUDA devices")
        return replace(execution, workers=1)
    cpus = options.cpus or options.threads * count
    return replace(execution, cpus=cpus, gpus=execution.gpus if options.gpus else float(count * (on == "cuda")))


def _pair(text: str) -> tuple[str, str | bool]:
    key, mark, value = text.removeprefix("--").partition("=")
    if not key.strip() or (mark and not value.strip()):
        raise UserError(f"--slurm {text!r}: expected an option of sbatch, e.g. account=nas or exclusive")
    return key.strip().replace("-", "_"), value.strip() if mark else True  # as submitit spells its own


def _part(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    match = re.fullmatch("([0-9]{1,9})/([0-9]{1,9})", text)
    if match is None:
        raise UserError(f"--shard {text!r}: expected I/N, the I-th of N parts, e.g. 1/4")
    part, parts = int(match[1]), quantities.count(int(match[2]), f"--shard {text}: the number of parts")
    if not 1 <= part <= parts:
        raise UserError(f"--shard {text}: the first number goes from 1 to the second")
    return part, parts


def origin(how: str, setting: Setting) -> dict[str, Any]:
    """The fields of campaign.json that say how it came about: choice of benchmark, command, versions, date."""
    benchmark = setting.benchmark
    where = f"{setting.table}, {benchmark.source}" if setting.table else benchmark.source
    return {
        "chosen": f"benchmark {benchmark.name} ({how}): {where}, {version_in_words(benchmark.version)}; search on "
        f"{setting.search_dataset}, preset {setting.preset.name}, {setting.device}, {setting.precision}",
        "command": command(),
        "device": setting.device,
        "versions": provenance.environment(setting.device, uses_torch=False),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def command() -> str:
    text = shlex.join(["harness", *sys.argv[1:]])
    return text if len(text) <= 10_000 else f"{text[:10_000]} […]"


def places_for(data: Path | None) -> list[Path]:
    """Folders in which images are looked for, in order."""
    if data is not None:
        if not data.is_dir():
            raise UserError(f"--data {data}: no such folder")
        return [data]
    named = os.environ.get("HARNESS_DATA")
    if named and not Path(named).expanduser().is_dir():
        raise UserError(f"$HARNESS_DATA {named}: no such folder")
    candidates = [named, "~/.cache/harness"]
    return [p for c in candidates if c and (p := Path(c).expanduser()).is_dir()]


def resolve_preset(benchmark: Benchmark, name: str) -> Preset:
    if name not in benchmark.presets:
        raise UserError(f"--preset {name!r} of {benchmark.name}{suggestion(name, list(benchmark.presets))}")
    preset = benchmark.presets[name]
    return preset.model_copy(update={"name": name, "simulated_seconds": benchmark.simulated_seconds})


@dataclass(frozen=True)
class Setting:
    """What all runs of a campaign share."""

    benchmark: Benchmark
    table: Path | None  # None: the embedded one
    places: tuple[Path, ...]
    search_dataset: str
    preset: Preset
    precision: str
    device: str
    threads: int
    evaluations: dict[str, Trainings] = field(default_factory=dict)  # by target: how answers are trained from scratch
    endpoint: str | None = None  # the primary one that was asked for
