"""From a command's options to a finished campaign and its report."""

from __future__ import annotations

import os
import re
import shlex
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.base import UserError, interrupt, on_stop
from benchmarks.nb201 import benchmark as benchmarks
from benchmarks.nb201.benchmark import Benchmark
from benchmarks.processor import cpu_has_bf16, cpu_name
from harness import executors, on_ray, quantities, runner, store
from harness.campaign import Order, Setting, left_to_do, places_for, plans, prepare, resolve_preset, shard
from harness.executors import Execution
from harness.output import CONTINUES, STOPPED, tell
from harness.progress import Progress, Waiting
from harness.runner import Plan
from harness.specs import Spec, parse_ablations, parse_seeds, parse_specs, train_supernets
from searchers import plugins
from searchers.base import suggestion


def make(asked: Mapping[str, Any]) -> int:
    """`harness run` or (with `searcher`) `harness ablate`, its options by their names; the exit code.

    UserError before anything is written where an option is wrong.
    """
    seeds, overrides = parse_seeds(asked["seeds"]), asked["set_"] or []
    _belongs(asked)
    tell("loading libraries, table and images")
    ablations = None
    try:
        with ExitStack() as held:
            with Waiting("still loading"):
                if "searcher" in asked:
                    specs, rows = parse_ablations(asked["searcher"], overrides)
                    ablations = {"of": specs[0].label, "rows": rows}
                else:
                    specs = parse_specs(asked["searchers"], overrides)
                for name, text in plugins.overruled().items():
                    if name in {spec.name for spec in specs}:
                        tell(text)
                setting, how = _setting(asked, specs)
                execution = _execution(asked, setting.device)
                planned = plans(setting, specs, seeds)
                folder = asked["out"]
                if folder is None:
                    suffix = "" if ablations is None else f"-ablate-{specs[0].label}"
                    folder = Path(f"results/{setting.benchmark.name}-{asked['preset']}{suffix}")
                if execution.shard is not None:
                    planned = shard(planned, *execution.shard)
                about = provenance(how, setting)
                on_stop(interrupt)  # till now there was nothing to save
                order = Order(tell, asked["fresh"], ablations)
                campaign = prepare(folder, setting, specs, seeds, about, order, held)
                left = left_to_do(folder, planned, tell)
            return _made(folder, campaign, planned, left, execution)
    except KeyboardInterrupt:
        if asked["executor"] != "slurm":  # there the array goes on, and the same command would queue another
            tell(CONTINUES)
        return STOPPED


def _made(
    folder: Path, campaign: Mapping[str, Any], planned: Sequence[Plan], left: Sequence[Plan], execution: Execution
) -> int:
    """Make what is left of a campaign, and its report."""
    tell(f"{campaign['chosen']}\n{campaign['power_note']}", "stdout")
    tell(f"{len(planned)} runs, {len(planned) - len(left)} done, {len(left)} to do -> {folder}")
    jobs = [(plan, store.run_folder(folder.resolve(), plan.label, plan.seed)) for plan in left]
    if jobs and execution.executor == "slurm" and not execution.wait:
        from harness import on_slurm

        tell(f"job {on_slurm.submit(jobs, execution)} is queued; harness status {folder}, then harness report {folder}")
        return 0
    with Progress(left) as progress:
        if jobs:
            executors.execute(jobs, execution, progress.report)
    if any(folder.glob("runs/*/*/record.json")):
        on_stop(_end)
        from harness import report  # and matplotlib

        with Waiting("drawing the report"):
            with store.campaign_lock(folder):
                whole, records = report.load([folder])  # other commands may have extended the campaign
                report.write_files(records, whole, folder / "report")
            report.show(records, whole, folder / "report")
    if progress.failed:
        tell(f"{progress.failed} of {len(jobs)} runs failed; harness status {folder} says why")
        return 1
    return 0


def _end(signum: int, frame: Any) -> None:
    """While the report is drawn nothing is to be saved, and plotting libraries may swallow a KeyboardInterrupt."""
    tell(CONTINUES)
    os._exit(STOPPED)


# ----------------------------------------------------------------------------------------- options, checked


def open_benchmark(
    asked: str, table: Path | None, data: Path | None, dataset: str | None
) -> tuple[Benchmark, Path | None, list[Path], str]:
    """The benchmark, its table's file (None: embedded), the folders to look in, and how it was chosen.

    `dataset`: whose images are needed; None where none are.
    """
    places = places_for(data)
    name, how = asked, "as asked"
    if asked == "auto":
        name, reason = benchmarks.choose(table, places, dataset)
        how = f"chosen by auto: {reason}"
    elif table is not None and name != "nb201":
        raise UserError(f"--table {table}: {name} brings its own table; leave one of the two out")
    path = benchmarks.find_table(table, places) if name == "nb201" else None
    try:
        return benchmarks.open_benchmark(name, path or "", places), path, places, how
    except UserError as error:
        if asked == "auto" and name != "nb201":
            raise UserError(f"{error}\n{name} was {how}") from None
        raise


def search_dataset(bench: Benchmark, asked: str | None) -> str:
    """The data set to search on, by default the benchmark's first; UserError where it has no such one."""
    dataset = asked or bench.datasets[0]
    if dataset not in bench.datasets:
        raise UserError(f"--search-dataset {dataset!r}{suggestion(dataset, list(bench.datasets))}")
    return dataset


def _setting(asked: Mapping[str, Any], specs: Sequence[Spec]) -> tuple[Setting, str]:
    wanted = asked["search_dataset"] or "cifar10"
    one_shot = train_supernets(specs)
    images = wanted if one_shot and wanted in benchmarks.CLASSES else None
    bench, path, places, how = open_benchmark(asked["benchmark"], asked["table"], asked["data"], images)
    preset = resolve_preset(bench, asked["preset"])
    dataset = search_dataset(bench, asked["search_dataset"])
    named = asked["device"]
    local = asked["executor"] == "local"
    elsewhere = asked["executor"] == "slurm" or asked["address"] is not None  # what this machine has says nothing
    if named == "auto" and (elsewhere or asked["gpus"] is not None):
        named = "cuda" if asked["gpus"] else "cpu"
        if one_shot and asked["gpus"] is None:
            tell("searches will train on CPUs there; --gpus 1 gives each a GPU")
    if named.startswith("cuda") and asked["gpus"] == 0:
        raise UserError(f"--gpus 0 with --device {named}: a run that is given no GPU cannot use one")
    chosen = device(named, local) if one_shot or named != "auto" else "cpu"
    precision = str(asked["precision"])
    if precision == "auto":
        precision = "bf16" if chosen.startswith("cuda") else "fp32"
    bench.require_scores()  # says so now if the table lacks what they need
    if any(spec.kind == "multi-trial" for spec in specs):
        bench.proxy(dataset)
    if precision == "bf16" and chosen == "cpu" and one_shot and not elsewhere and cpu_has_bf16() is False:
        tell(f"{cpu_name()} has no bf16 instructions: searches take several times as long as with --precision fp32")
    return Setting(bench, path, tuple(places), dataset, preset, precision, chosen, asked["threads"]), how


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
    """That this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _belongs(asked: Mapping[str, Any]) -> None:
    """UserError for an option of another executor than the one asked for."""
    executor = str(asked["executor"])
    for option, only in (("address", "ray"), *((name, "slurm") for name in ("slurm_partition", "slurm_time", "slurm"))):
        if asked[option] and executor != only:
            raise UserError(f"--{option.replace('_', '-')} belongs to --executor {only}")
    if not asked["wait"] and executor != "slurm":
        raise UserError("--no-wait belongs to --executor slurm")
    if executor == "local":
        for option in ("cpus", "gpus"):
            if asked[option] is not None:
                raise UserError(f"--{option} belongs to --executor ray or slurm; here use --threads and --workers")


def _execution(asked: Mapping[str, Any], on: str) -> Execution:
    executor, workers, on_gpu = str(asked["executor"]), asked["workers"], on.startswith("cuda")
    if asked["address"] is not None:
        on_ray.reach(asked["address"])
    if executor == "local" and workers is None:
        workers = 1 if on_gpu else cores()
    gpus = asked["gpus"] if asked["gpus"] is not None else float(on_gpu)
    if executor == "slurm" and gpus != int(gpus):
        raise UserError(f"--gpus {gpus:g}: Slurm gives whole GPUs; parts of one are for --executor ray")
    if (gpus > 1 and gpus != int(gpus)) or 0 < gpus < 1e-4:
        raise UserError(f"--gpus {gpus:g}: a part of one GPU (0.0001 or more), or a whole number of them")
    cpus = asked["cpus"] or asked["threads"]
    if executor == "slurm" and cpus != int(cpus):
        raise UserError(f"--cpus {cpus:g}: Slurm gives whole CPUs; parts of one are for --executor ray")
    if asked["fresh"] and asked["shard"]:
        raise UserError("--fresh with --shard: each part would move the others' runs aside; use --fresh once, before")
    return Execution(
        executor=executor,
        workers=workers,
        shard=_part(asked["shard"]),
        cpus=cpus,
        gpus=gpus,
        address=asked["address"],
        slurm_partition=asked["slurm_partition"],
        slurm_time=asked["slurm_time"] or 240,
        slurm=dict(_pair(text) for text in asked["slurm"] or []),
        wait=asked["wait"],
    )


def _pair(text: str) -> tuple[str, str | bool]:
    key, mark, value = text.removeprefix("--").partition("=")
    if not key.strip() or (mark and not value.strip()):
        raise UserError(f"--slurm {text!r}: expected an option of sbatch, e.g. account=nas or exclusive")
    return key.strip().replace("-", "_"), value.strip() if mark else True  # as submitit spells its own


def _part(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    found = re.fullmatch("([0-9]{1,9})/([0-9]{1,9})", text)
    if found is None:
        raise UserError(f"--shard {text!r}: expected I/N, the I-th of N parts, e.g. 1/4")
    part, parts = int(found[1]), quantities.count(int(found[2]), f"--shard {text}: the number of parts")
    if not 1 <= part <= parts:
        raise UserError(f"--shard {text}: the first number goes from 1 to the second")
    return part, parts


# ----------------------------------------------------------------------------------------------- provenance


def provenance(how: str, setting: Setting) -> dict[str, Any]:
    """What campaign.json says of where it comes from."""
    table = setting.benchmark.table
    where = f"{setting.table}, {table.source}" if setting.table else table.source
    return {
        "chosen": f"benchmark {setting.benchmark.name} ({how}): {where}, sha256 {table.sha256[:12]}; search on "
        f"{setting.search_dataset}, preset {setting.preset['name']}, {setting.device}, {setting.precision}",
        "command": command(),
        "device": setting.device,
        "versions": runner.environment(setting.device, uses_torch=False),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def command() -> str:
    text = shlex.join(["harness", *sys.argv[1:]])
    return text if len(text) <= 10_000 else f"{text[:10_000]} […]"
