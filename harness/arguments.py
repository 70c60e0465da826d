"""What commands take, typed: a field is an option, with its help and its default.

Light, since `--help` reads it: what an option means is worked out in `options.py`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import MISSING, dataclass, fields
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, TypeVar, get_type_hints

import typer

from harness.quantities import LARGEST_COUNT

Options = TypeVar("Options")

TableOption = Annotated[
    Path | None,
    typer.Option("--table", help="A table in place of the embedded one: our .npz, or the CSV (.csv, .csv.gz)."),
]
DataOption = Annotated[
    Path | None,
    typer.Option("--data", help="Folder with images. Default: $HARNESS_DATA, ~/.cache/harness."),
]


BenchmarkOption = Annotated[
    str, typer.Option(help="One of `harness list benchmarks`; auto takes one that needs no images, or has them here.")
]
SearchDatasetOption = Annotated[
    str | None, typer.Option(help="The data set to search on. Default: the benchmark's first.")
]
MarginOption = Annotated[
    float | None, typer.Option(help="Accuracy points (0 to 100, exclusive) within which two are held equal; tested.")
]
EndpointOption = Annotated[
    str | None,
    typer.Option(
        help="Primary endpoint: test accuracy on a data set (default: that searched on), or mean, of all of them, "
        "normalised."
    ),
]
CLUSTER = "On a cluster"


class Precision(StrEnum):
    auto = "auto"
    fp32 = "fp32"
    bf16 = "bf16"


class Executor(StrEnum):
    local = "local"
    ray = "ray"
    slurm = "slurm"


@dataclass(frozen=True, kw_only=True)
class ExecutionOptions:
    """Where and how a command's runs are made."""

    workers: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=LARGEST_COUNT,
            help="Runs at a time. Default: the cores, or what memory allows; 1 on a GPU, all on a cluster.",
        ),
    ] = None
    threads: Annotated[int, typer.Option(min=1, max=LARGEST_COUNT, help="torch threads a run, on a CPU.")] = 1
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1.")] = "auto"
    precision: Annotated[Precision, typer.Option(help="auto is fp32 on a CPU, bf16 on CUDA.")] = Precision.auto
    shard: Annotated[
        str | None,
        typer.Option(metavar="I/N", help="Make only the I-th of N parts of the campaign, e.g. in a job array."),
    ] = None
    executor: Annotated[Executor, typer.Option(help="Where runs are made.", rich_help_panel=CLUSTER)] = Executor.local
    cpus: Annotated[
        float | None,
        typer.Option(min=0.01, max=LARGEST_COUNT, help="CPUs of a run; default --threads.", rich_help_panel=CLUSTER),
    ] = None
    gpus: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=LARGEST_COUNT,
            help="GPUs of a run, on Ray also a part of one; 1 with --device cuda, else 0.",
            rich_help_panel=CLUSTER,
        ),
    ] = None
    address: Annotated[
        str | None, typer.Option(help="A Ray cluster to join; default: one is started here.", rich_help_panel=CLUSTER)
    ] = None
    slurm_partition: Annotated[str | None, typer.Option(rich_help_panel=CLUSTER)] = None
    slurm_time: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=LARGEST_COUNT,
            help="Minutes of a task (240), which then queues itself again.",
            rich_help_panel=CLUSTER,
        ),
    ] = None
    slurm: Annotated[
        list[str] | None,
        typer.Option(metavar="KEY[=VALUE]", help="Any option of sbatch: account=nas.", rich_help_panel=CLUSTER),
    ] = None
    wait: Annotated[
        bool,
        typer.Option(
            "--wait/--no-wait", help="Slurm: stay until the array is over, or return.", rich_help_panel=CLUSTER
        ),
    ] = True


@dataclass(frozen=True, kw_only=True)
class CampaignOptions(ExecutionOptions):
    """The options of all commands that make campaigns."""

    seeds: Annotated[str, typer.Option(help="A count (5 is 0 to 4) or a list (3,7,11).")]
    benchmark: BenchmarkOption = "auto"
    search_dataset: SearchDatasetOption = None
    table: TableOption = None
    data: DataOption = None
    preset: Annotated[str, typer.Option(help="One of `harness list presets`: smoke, small, paper.")] = "small"
    endpoint: EndpointOption = None
    overrides: Annotated[
        list[str] | None, typer.Option("--set", help="searcher.key=value, for every spec of that searcher.")
    ] = None
    out: Annotated[
        Path | None, typer.Option(help="Campaign folder. Default: results/<benchmark>-<preset>[-ablate-<searcher>].")
    ] = None
    fresh: Annotated[bool, typer.Option("--fresh", help="Move old runs aside and start anew.")] = False
    evaluation_seeds: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=LARGEST_COUNT,
            help="Trainings from scratch of each answer, where no table has its scores. Default: 1.",
        ),
    ] = None


@dataclass(frozen=True, kw_only=True)
class RunOptions(CampaignOptions):
    searchers: Annotated[str, typer.Option(help=r"Specs, e.g. gicso,darts; settings in quotes: 'gicso\[phi={0,0.1}]'.")]


@dataclass(frozen=True, kw_only=True)
class AblateOptions(CampaignOptions):
    searcher: Annotated[str, typer.Argument(metavar="SEARCHER", help=r"A spec: gicso, 'gicso\[population=12]'.")]


@dataclass(frozen=True, kw_only=True)
class EvaluateOptions(ExecutionOptions):
    what: Annotated[
        str, typer.Argument(metavar="CELL|DIR", help="A cell in any notation of its space, or a campaign's folder.")
    ]
    seeds: Annotated[str, typer.Option(help="Of each cell's trainings: a count (3 is 0 to 2) or a list (3,7,11).")] = (
        "1"
    )
    benchmark: Annotated[
        str, typer.Option(help="The cell's; auto takes the first that trains its cells and can read this one.")
    ] = "auto"
    dataset: Annotated[
        str | None,
        typer.Option(help="What to train on. Default: the campaign's search data set, else the benchmark's first."),
    ] = None
    preset: Annotated[
        str | None, typer.Option(help="The recipe. Default: that of the campaign's preset, else small.")
    ] = None
    data: DataOption = None
    out: Annotated[
        Path | None, typer.Option(help="Folder of a single cell's trainings. Default: results/<benchmark>-cells.")
    ] = None
    devices: Annotated[
        int,
        typer.Option(min=1, max=1024, help="That share each batch of one training: GPUs, or processes of a CPU."),
    ] = 1


def taking(options: type[Options]) -> Callable[[Callable[[Options], None]], Callable[..., None]]:
    """A decorator that makes a function of one options object a command, with the object's fields as its options."""
    hints = get_type_hints(options, include_extras=True)

    def level(name: str) -> int:
        return next(k for k, part in enumerate(options.__mro__) if name in inspect.get_annotations(part))

    parameters = [
        inspect.Parameter(
            field.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=inspect.Parameter.empty if field.default is MISSING else field.default,
            annotation=hints[field.name],
        )
        # What must be given comes first in the help, the command's own options before the shared ones.
        for field in sorted(fields(options), key=lambda f: (f.default is not MISSING, level(f.name), f.name == "seeds"))  # type: ignore[arg-type]
    ]

    def decorate(function: Callable[[Options], None]) -> Callable[..., None]:
        def command(**values: Any) -> None:
            function(options(**values))

        command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        command.__annotations__ = dict(hints)
        command.__name__, command.__doc__ = function.__name__, function.__doc__
        return command

    return decorate
