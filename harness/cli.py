"""The commands. Each checks its input, calls the module that does the work, and prints; nothing is decided here.

Exit codes: 0 all done; 1 some runs failed; 2 wrong usage or data, said before any work; 130 stopped.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.errors import UserError
from benchmarks.processes import interrupt, on_stop
from harness.arguments import (
    AblateOptions,
    BenchmarkOption,
    DataOption,
    EndpointOption,
    EvaluateOptions,
    MarginOption,
    RunOptions,
    SearchDatasetOption,
    TableOption,
    taking,
)
from harness.output import CONTINUES, STOPPED, open_streams, tell
from harness.quantities import LARGEST_COUNT

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Compare neural architecture searchers: G-ICSO-NAS and its baselines. "
    "With --debug, errors show where they come from.",
)
data_app = typer.Typer(no_args_is_help=True, help="Fetch images; convert and describe benchmark tables.")
app.add_typer(data_app, name="data")


PublishedOption = Annotated[
    str | None,
    typer.Option(
        metavar="[DARTS,GDAS,…]", help="Add the literature's rows, marked: those named, or alone at the end all."
    ),
]


class Format(StrEnum):
    md = "md"
    tex = "tex"
    csv = "csv"


class Listing(StrEnum):
    searchers = "searchers"
    benchmarks = "benchmarks"
    presets = "presets"


def _tell_version(wanted: bool) -> None:
    if wanted:
        from harness.provenance import version

        tell(version(), "stdout")
        raise typer.Exit


@app.callback()
def program(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_tell_version, is_eager=True, help="Version, git revision, source digest."),
    ] = False,
) -> None: ...


@app.command()
@taking(RunOptions)
def run(options: RunOptions) -> None:
    """Search with every searcher at every seed, score the cells, and report.

    Scores are a table's; where a benchmark has none, the networks of the answers are trained from scratch.
    The same command again continues where it stopped; more seeds or searchers extend the campaign.
    """
    _make(options)


@app.command()
@taking(AblateOptions)
def ablate(options: AblateOptions) -> None:
    """Run a searcher without each of its parts, paired by seed with the whole, and report the differences.

    Which parts those are the searcher declares; `harness list searchers` shows them.
    """
    _make(options)


@app.command()
@taking(EvaluateOptions)
def evaluate(options: EvaluateOptions) -> None:
    """Train networks from scratch: that of one cell, or those of a campaign's distinct answers, also on other data.

    The test images are seen once, after the last epoch. The same command again continues where it stopped.
    """
    from harness.evaluation import evaluate as make

    _end(make(options))


def _make(options: RunOptions | AblateOptions) -> None:
    """The two commands that make campaigns."""
    from harness.conduct import make

    _end(make(options))


def _end(code: int) -> None:
    """End a command that makes runs with its exit code."""
    if code == STOPPED:  # all is saved, and taking torch down in good order takes a second
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    if code:
        raise typer.Exit(code)


@app.command()
def report(
    folders: Annotated[list[Path], typer.Argument(metavar="DIR…", help="Campaign folders.")],
    out: Annotated[Path | None, typer.Option(help="Default: DIR/report; needed for several folders.")] = None,
    published: PublishedOption = None,
    paired: Annotated[
        bool, typer.Option("--paired", help="Wilcoxon signed-rank by seed, in place of Mann-Whitney U.")
    ] = False,
    margin: MarginOption = None,
    test: Annotated[str, typer.Option(help="mann-whitney, brunner-munzel or permutation (of means).")] = "mann-whitney",
    endpoint: EndpointOption = None,
) -> None:
    """Tables, tests, plots and report.html from what is stored; needs no table and no images.

    Another --endpoint than the campaign's is said on the page.
    """
    from harness.report.notes import Question
    from harness.report.page import write_report

    if len(folders) > 1 and out is None:
        raise UserError("several campaigns: say with --out where the joint report goes")
    question = Question(paired, margin, test)
    for path in write_report(folders, out or folders[0] / "report", published, question, endpoint):
        tell(path, "stdout")


@app.command()
def table(
    folder: Annotated[Path, typer.Argument(metavar="DIR")],
    format: Annotated[Format, typer.Option()] = Format.md,
    published: PublishedOption = None,
) -> None:
    """Print a campaign's tables: the main one, and what there is on ablations, trainings and the literature."""
    from harness.report import frames, markup, tables
    from harness.results import load

    results = load([folder])
    if format is Format.csv:
        if published:
            raise UserError("--published: the CSV has our own rows alone; take --format md or tex")
        frame = frames.with_specs(frames.results_table(results), results)
        tell(frames.to_csv(frame).removesuffix("\n"), "stdout")
    else:
        write = markup.to_markdown if format is Format.md else markup.to_latex
        tell("\n".join(map(write, tables.readable_tables(results, published))), "stdout")


@app.command()
def status(folder: Annotated[Path, typer.Argument(metavar="DIR", help="A campaign's folder.")]) -> None:
    """How many runs of a campaign are done, running, failed and left, and how far the running ones are."""
    from harness.status import status as describe

    tell(describe(folder), "stdout")


@app.command()
def compare(
    first: Annotated[Path, typer.Argument(metavar="DIR", help="A campaign's folder.")],
    second: Annotated[Path, typer.Argument(metavar="DIR", help="Another's, of the same table.")],
    margin: MarginOption = None,
) -> None:
    """What differs between two campaigns: settings, environment, answers, and results paired by seed."""
    from harness.compare import compare as describe

    tell(describe(first, second, margin), "stdout")


@app.command("import")
def import_(
    name: Annotated[str, typer.Argument(help="Name of these cells in tables and plots.")],
    cells: Annotated[
        Path, typer.Argument(metavar="CELLS.csv", help="Columns seed,cell[,search_seconds][,search_dataset].")
    ],
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A campaign's folder, or a new one.")],
    benchmark: BenchmarkOption = "auto",
    search_dataset: SearchDatasetOption = None,
    table: TableOption = None,
    data: DataOption = None,
) -> None:
    """Score cells from your own code, and test and plot them beside the campaign's runs, marked imported."""
    from harness.importing import import_cells

    tell(import_cells(name, cells, folder, benchmark, search_dataset, table, data), "stdout")


@app.command()
def show(
    cell: Annotated[str, typer.Argument(help="String, index, 4,2,1,2,1,1 or naslib:4,0,3,1,4,3.")],
    table: TableOption = None,
    data: DataOption = None,
) -> None:
    """A cell in every notation, its edges, its cost and every stored accuracy."""
    from harness.show import describe_cell

    tell(describe_cell(cell, table, data), "stdout")


@app.command()
def best(
    dataset: Annotated[str, typer.Argument(help="A data set of `harness list benchmarks`.")],
    split: Annotated[str, typer.Option(help="valid or test.")] = "test",
    table: TableOption = None,
    data: DataOption = None,
) -> None:
    """The best cell of the whole table on a data set: index, string, value."""
    from harness.show import best_cell

    line, origin = best_cell(dataset, split, table, data)
    tell(line, "stdout")
    tell(origin, "stdout")


@app.command("list")
def list_(what: Listing) -> None:
    """The searchers with their settings, the benchmarks, or the presets."""
    from harness import show as texts

    tell({"searchers": texts.searchers, "benchmarks": texts.benchmarks, "presets": texts.presets}[what](), "stdout")


@data_app.command()
def fetch(
    what: Annotated[str, typer.Argument(metavar="cifar10|cifar100", help="The data set.")],
    url: Annotated[
        str | None, typer.Option(help="A mirror, a proxy's copy or a file, in place of the official address.")
    ] = None,
    folder: Annotated[
        Path | None, typer.Option("--data", help="Where to put it. Default: $HARNESS_DATA, ~/.cache/harness.")
    ] = None,
) -> None:
    """Download a data set's official images (170 MB), check their md5 sums, unpack them: whole or not at all."""
    from harness import data

    with _stoppable("stopped; nothing was put there"):
        tell(data.fetch(what, folder, url), "stdout")


@data_app.command()
def convert(
    source: Annotated[Path, typer.Argument(help="NATS-Bench topology folder or .tar, NAS-Bench-201 .pth, or CSV.")],
    dest: Annotated[Path | None, typer.Argument(help="Default: in this folder, by its benchmark's name.")] = None,
    verify: Annotated[bool, typer.Option("--verify", help="Re-read 20 cells through the official API.")] = False,
) -> None:
    """Turn official files into one compact table; nothing in a pickle is executed."""
    from harness import data

    with _stoppable("stopped; there is no new table"):
        tell(data.convert(source, dest, verify), "stdout")


@data_app.command()
def info(
    path: Annotated[Path | None, typer.Argument(help="Default: the embedded tables.")] = None,
) -> None:
    """What a table holds: source, checksum, columns, trials, cells, and its quality where that was measured."""
    from harness import data

    tell(data.info(path), "stdout")


@data_app.command()
def build(
    what: Annotated[str, typer.Argument(help="The benchmark.")],
    out: Annotated[Path, typer.Option(help="The table; an unfinished one is continued.")] = Path("digits.npz"),
    workers: Annotated[
        int | None, typer.Option(min=1, max=LARGEST_COUNT, help="Processes of one thread each; default: the cores.")
    ] = None,
) -> None:
    """Train every distinct cell and keep right answers: hours; the same command again continues."""
    from harness import data
    from harness.options import cores

    with _stoppable(CONTINUES):
        data.build(what, out, workers or cores())


@contextmanager
def _stoppable(text: str) -> Iterator[None]:
    """A stop inside raises KeyboardInterrupt, so that work is saved or cleared away; then `text`, exit code 130."""
    on_stop(interrupt)
    try:
        yield
    except KeyboardInterrupt:
        tell(text)
        raise typer.Exit(STOPPED) from None


@app.command()
def doctor(table: TableOption = None, data: DataOption = None) -> None:
    """Check this machine: device, images found, tables, networks' cost against the table's, cells trained again."""
    from harness.doctor import diagnose

    text, good = diagnose(table, data)
    tell(text, "stdout")
    if not good:
        raise typer.Exit(1)


@app.command()
def perf(
    table: TableOption = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1.")] = "auto",
    threads: Annotated[
        int, typer.Option(min=1, max=LARGEST_COUNT, help="torch threads; a run of a campaign has one.")
    ] = 1,
    rounds: Annotated[int, typer.Option(min=1, max=LARGEST_COUNT, help="Timed repetitions of every case.")] = 5,
    out: Annotated[Path | None, typer.Option(help="Default: results/perf/<machine>.")] = None,
) -> None:
    """Measure the supernet against a plain one, the hardware's ceilings, table look-ups, what runs cost beside."""
    from harness import options
    from harness import perf as measuring

    chosen = options.device(device)
    with _stoppable("stopped; nothing was written"):
        result = measuring.measure(chosen, threads, rounds, table)
    folder = out or Path("results/perf") / measuring.slug(result["environment"], threads)
    tell(measuring.write(result, folder, options.command()), "stdout")
    tell(f"written to {folder}")


def _with_all(arguments: Iterable[str]) -> list[str]:
    """The arguments, with `all` after a --published that has no value of its own: typer knows no such option."""
    given = list(arguments)
    for k in reversed(range(len(given))):
        following = given[k + 1] if k + 1 < len(given) else "-"
        if given[k] == "--published" and (following.startswith("-") or Path(following).is_dir()):
            given.insert(k + 1, "all")
    return given


def main() -> None:
    """Entry point: errors of the user are one line and exit code 2; --debug shows the traceback."""
    on_stop(signal.SIG_DFL)  # there is nothing to save yet: end at once, without a traceback
    open_streams()
    debug = "--debug" in sys.argv
    logging.getLogger("matplotlib").setLevel(logging.ERROR)  # it tells of its font cache where home cannot be written
    sys.argv = _with_all(argument for argument in sys.argv if argument != "--debug")
    try:
        app()
    except UserError as error:
        if debug:
            raise
        tell(f"error: {error}")
        sys.exit(2)
    except OSError as error:  # a full disk, a folder that may not be written
        if debug:
            raise
        tell(f"error: {error}; --debug shows where")
        sys.exit(2)
    finally:
        on_stop(signal.SIG_DFL)  # from here on there is nothing to save again
