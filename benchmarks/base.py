"""What all share: an error for wrong input, names, a bound on hostile files, whole files, signals, a score's origin."""

from __future__ import annotations

import multiprocessing
import os
import platform
import re
import resource
import signal
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from multiprocessing import resource_tracker
from multiprocessing.connection import wait
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NamedTuple, Protocol, TypeAlias

import numpy as np

if TYPE_CHECKING:  # multi-trial searches never import torch
    from concurrent.futures import ProcessPoolExecutor

    import numpy as np
    from torch import Tensor, nn

    from benchmarks.images import Images


class UserError(Exception):
    """Wrong usage or data. The message is one or two lines: what is wrong, where, and what to do.

    The command line prints it without a traceback and exits with code 2. What it quotes may be anything that was
    found in a file, so a long message loses its middle.
    """

    def __init__(self, text: str):
        super().__init__(text if len(text) <= 1500 else f"{text[:1000]} […] {text[-400:]}")


def quoted(value: Any) -> str:
    """Something found in a file, for a message: a few bytes can describe a value whose text has no end."""
    if isinstance(value, (str, bytes)):
        return repr(value[:200])
    if value is None or isinstance(value, (bool, float)) or (isinstance(value, int) and abs(value) < 10**30):
        return repr(value)
    return f"<{type(value).__name__}>"


LABEL = "[A-Za-z0-9][A-Za-z0-9._+-]{0,63}"  # what is a folder's name on every system


def label(text: str, what: str, room: int = 0) -> str:
    """A name that rows, files and folders of results have; UserError that begins with `what`.

    `room`: of the 64 characters so many are kept for what may be added to it.
    """
    if not re.fullmatch(LABEL, text) or len(text) > 64 - room:
        kept = f", with room for {room} more" if room else ""
        raise UserError(
            f"{what} {text!r}: as it names a folder, it has at most {64 - room} letters, digits and . _ + -{kept}, the "
            "first a letter or digit"
        )
    return text


def read_at_most(path: Path, megabytes: int) -> bytes:
    """The bytes of a file; UserError where it is larger than such a file can be."""
    size, most = path.stat().st_size, megabytes * 2**20
    with path.open("rb") as file:  # what has no size, a device or a pipe, may have no end
        data = b"" if size > most else file.read() if path.is_file() else file.read(most + 1)
    if max(size, len(data)) > most:
        raise UserError(f"{path}: more than such a file can have ({megabytes:,} MB)")
    return data


def out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out, in Python's, numpy's or torch's words."""
    if isinstance(error, MemoryError):
        return True
    text = str(error).lower()  # torch's OutOfMemoryError is a RuntimeError
    return isinstance(error, RuntimeError) and ("alloc" in text or "out of memory" in text)


class Score(NamedTuple):
    """One accuracy of a cell and its origin; a value is never handed out without them."""

    value: float  # percent
    trials: int  # how many trainings (seeds) the mean is over
    record: str  # what the network was trained on: cifar10-valid, cifar10, cifar100, ImageNet16-120
    split: str  # what it was measured on: x-valid, x-test, ori-test
    epochs: int  # length of the training schedule


@dataclass(frozen=True)
class NetworkSize:
    """How large a network of cells is: what a supernet or a stand-alone network needs to know besides the cells."""

    channels: int  # of the first stage (C)
    cells: int  # a stage (N)
    in_channels: int
    num_classes: int


Cell = tuple[int, ...]  # an operation's number for each edge of a space, `none` where an edge is not chosen


class Edge(NamedTuple):
    """An edge of a cell: where a node's input comes from. Cell types are e.g. normal and reduction cells."""

    cell_type: str
    source: int
    target: int


class Sampled(NamedTuple):
    """One path whose weights carry gradients: `weights` (edges, operations) is 1 at the cell's and 0 elsewhere."""

    cell: Cell
    weights: Tensor


Choice: TypeAlias = "Cell | Tensor | Sampled"  # a tensor: mixture weights (edges, operations)


def identifier(space: SearchSpace, cell: Cell) -> int | str:
    """A cell in short: its index where the space has an official order, else its string. `space.parse` reads both."""
    index = space.index(cell)
    return space.to_string(cell) if index is None else index


class Supernet(Protocol):
    """The network of all cells of a space with shared weights: a torch module whose parameters are w alone.

    Built for partial channels, a mixture has one column more: the weight β of each edge, by which its operations'
    weights are multiplied already.
    """

    def __call__(self, x: Tensor, choice: Choice) -> Tensor:
        """Logits (B, classes) of images (B, in_channels, H, W) through one path or a mixture."""

    def to(self, device: str) -> Supernet: ...

    def parameters(self) -> Iterator[Tensor]: ...

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state: dict[str, Any]) -> Any: ...

    def losses(self, choices: Sequence[Tensor | Cell], x: Tensor, y: Tensor) -> list[float]:
        """Mean cross-entropy of each choice on one batch, without gradients, with the batch's statistics."""

    def accuracies(self, choices: Sequence[Tensor | Cell], x: Tensor, y: Tensor) -> list[float]:
        """Percent of one batch that each choice classifies rightly, else as `losses`."""


class SearchSpace(Protocol):
    """The cells among which is searched, and the networks that they make. Stateless; it knows no accuracy.

    Architecture parameters are one array, (edges, operations), in the orders given here. A module with these names
    is one: `benchmarks/nb201/space.py`.
    """

    name: str
    operations: tuple[str, ...]
    none: int  # the operation that leaves an edge out
    edges: tuple[Edge, ...]
    incoming: tuple[slice, ...]  # rows of architecture parameters that enter one node, for each node that is computed
    size: int | None  # number of cells; None where they cannot be enumerated

    def derive(self, alphas: Any, keep_none: bool = True, edge_weights: np.ndarray | None = None) -> Cell:
        """The cell of architecture parameters; `edge_weights` (edges,) may decide which edges stay.

        UserError for another shape or NaN.
        """

    def sample(self, rng: np.random.Generator, none: bool = True) -> Cell:
        """A cell drawn uniformly; with `none` False one that leaves out no edge which could stay."""

    def mutate(self, cell: Cell, rng: np.random.Generator) -> Cell:
        """A neighbour drawn uniformly."""

    def neighbours(self, cell: Cell) -> list[Cell]:
        """All cells that differ in one decision."""

    def to_string(self, cell: Cell) -> str:
        """The cell's identity in records, tables and everywhere; `parse` reads it."""

    def parse(self, spelling: Any) -> Cell:
        """A cell from any accepted spelling; UserError saying what is wrong and where."""

    def index(self, cell: Cell) -> int | None:
        """The cell's number where the space has an official order, else None."""

    def canonical(self, cell: Cell) -> str:
        """A name that isomorphic cells share, as the space's authors count them."""

    def function_name(self, cell: Cell) -> str:
        """A name that two cells share exactly if they compute the same function."""

    def operation_counts(self, cell: Cell) -> list[int]:
        """How many edges have each operation."""

    def is_collapsed(self, cell: Cell) -> bool:
        """Whether no operation with weights lies on any path from an input to the output."""

    def is_connected(self, cell: Cell) -> bool:
        """Whether the output depends on an input."""

    def supernet(self, size: NetworkSize, seed: int, mixed_share: int = 1) -> Supernet:
        """The supernet, initialised from the seed; of a mixture's channels one in `mixed_share` is mixed (PC-DARTS)."""

    def plain_supernet(self, size: NetworkSize) -> nn.Module:
        """The supernet written the obvious way, (x, choice) -> logits: the other side of speed ratios."""

    def network(self, cell: Cell, size: NetworkSize) -> nn.Module:
        """The stand-alone network of one cell."""


LowFidelity: TypeAlias = "Callable[[Cell], tuple[float, float]]"  # -> validation accuracy (percent), seconds it costs


class Summary(NamedTuple):
    """Where the cells of a benchmark's table lie on one data set and split."""

    epochs: int  # length of the training schedule
    cells: int  # that the table holds
    optimum: Cell  # of equals the one with the lowest index
    value: float  # its accuracy, percent
    mean: float
    quantiles: list[float]  # 1,001, in steps of 0.1 %


class Benchmark(Protocol):
    """What is searched and on which data, and what is known of the cells afterwards.

    A preset is a dict of channels, cells, resolution, images (how many of each part, from its start; None: all),
    epochs (None: each searcher's reference epochs) and batch_size.
    """

    @property
    def name(self) -> str: ...

    @property
    def version(self) -> str:
        """A checksum of all that scores are read from."""

    @property
    def source(self) -> str:
        """Where that comes from, in words."""

    @property
    def space(self) -> SearchSpace: ...

    @property
    def datasets(self) -> tuple[str, ...]:
        """That are scored; the first is searched on by default."""

    @property
    def splits(self) -> tuple[str, ...]: ...

    @property
    def presets(self) -> Mapping[str, dict[str, Any]]: ...

    @property
    def simulated_seconds(self) -> float:
        """The budget of multi-trial searchers."""

    def size(self, dataset: str, preset: dict[str, Any]) -> NetworkSize:
        """The size of the networks in which is searched."""

    def search_data(self, dataset: str, preset: dict[str, Any]) -> tuple[Images, Images]:
        """Training and validation images of a search, disjoint; nothing in them leads to a test image."""

    def low_fidelity(self, dataset: str) -> LowFidelity | None:
        """What multi-trial searchers may query, made of copies; None where the benchmark has no such thing.

        UserError where it lacks cells.
        """

    def low_fidelity_cost(self, dataset: str) -> str:
        """What the seconds of a query consist of, in words."""

    def require_scores(self) -> None:
        """UserError where some cell has no score: a search might end with that one."""

    def score(self, cell: Cell, dataset: str, split: str) -> Score | None:
        """The final accuracy of a cell; None where its network must be trained first."""

    def summary(self, dataset: str, split: str) -> Summary | None:
        """None without a table of cells."""

    def histogram(self, dataset: str, width: float) -> list[list[int]] | None:
        """Counts [validation bin, test bin, cells] of a table's cells in bins of `width` points; None without one."""

    def sample(self, dataset: str, count: int) -> tuple[list[Cell], np.ndarray] | None:
        """A fixed sample of cells and their final validation accuracies (percent), (count,); None without a table."""


@dataclass(frozen=True)
class Entry:
    """A benchmark as the registry knows it, before any of its files is opened."""

    name: str
    text: str  # one line about it
    space: SearchSpace
    datasets: tuple[str, ...]
    presets: Mapping[str, dict[str, Any]]
    simulated_seconds: float
    open: Callable[[Path | None, Sequence[Path]], Benchmark]  # of its table's file and the data folders
    # The table's file, which `--table` names or which lies in a data folder; None where a benchmark brings its own.
    find_table: Callable[[Path | None, Sequence[Path]], Path] | None = None
    published: Callable[[], list[dict[str, str]]] = list  # rows of the literature
    bibliography: Callable[[], str] = str  # BibTeX entries that they cite
    describe: Callable[[Cell], list[str]] = lambda cell: []  # a cell in the space's own notations, lines
    details: Callable[[Benchmark, Cell], list[str]] = (
        lambda benchmark, cell: []
    )  # its cost and all that is stored of it
    tools: str = ""  # a module with what `data` and `doctor` offer for its files: check, info, convert, build


@contextmanager
def bounded_memory(megabytes: int) -> Iterator[None]:
    """What is read inside may take that much more address space: beyond it, MemoryError (Linux; elsewhere no bound).

    A few bytes of a hostile file can ask for any amount of memory.
    """
    try:
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    except OSError:
        yield
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    bound = used + megabytes * 2**20
    if soft != resource.RLIM_INFINITY:
        bound = min(bound, soft)
    resource.setrlimit(resource.RLIMIT_AS, (bound, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


@contextmanager
def written_whole(path: Path) -> Iterator[IO[bytes]]:
    """A file to write that takes the place of `path` at the end: a reader, also after a kill or a power cut, sees the
    old file or the new one."""
    temporary = path.with_name(f"{path.name}.{platform.node()}.{os.getpid()}.tmp")
    try:
        with open(temporary, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


TERMINAL = (signal.SIGINT, signal.SIGHUP)  # what a terminal sends to all its processes: Ctrl-C, and its own end
STOPPING = (*TERMINAL, signal.SIGTERM)


def on_stop(action: Any) -> None:
    """Set the handler of the signals that stop a command. One that was inherited as ignored (nohup, `&`) stays ignored.

    `action` is a signal handler; signal.SIG_DFL lets them end the process at once.
    """
    for number in STOPPING:
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, action)


def interrupt(signum: int, frame: Any) -> None:
    """A handler for `on_stop`: raises KeyboardInterrupt where the program is."""
    raise KeyboardInterrupt


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Signals that stop a command take effect at the end, as KeyboardInterrupt.

    A process that is started inside has SIGINT and SIGHUP blocked from its first moment on: the terminal sends both to
    parent and child, and the parent decides. SIGTERM, by which the parent ends it, is not blocked there.
    """
    came: list[int] = []
    before = {number: signal.getsignal(number) for number in STOPPING}
    on_stop(lambda signum, frame: came.append(signum))
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, TERMINAL)
    resource_tracker.ensure_running()  # itself a process, which must outlive SIGHUP
    signal.pthread_sigmask(signal.SIG_BLOCK, TERMINAL)  # again: Python 3.11 unblocks SIGINT when it starts that one
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        for number, handler in before.items():
            signal.signal(number, handler)
    if came:
        raise KeyboardInterrupt


@contextmanager
def process_pool(workers: int, initializer: Callable[[], None]) -> Iterator[ProcessPoolExecutor]:
    """Worker processes, started afresh, that end with the context: an error or a stop inside ends them at once.

    `initializer` is called in each and begins with `start_worker`.
    """
    from concurrent.futures import ProcessPoolExecutor

    pool = None
    try:
        with uninterrupted():
            pool = ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), initializer=initializer)
            pool.submit(int)  # starts them
        yield pool
        pool.shutdown()
    except BaseException:
        for process in multiprocessing.active_children():  # or Python would wait for what they are at
            process.terminate()
        if pool is not None:
            pool.shutdown(wait=False, cancel_futures=True)
        raise


def start_worker() -> None:
    """Called first by a worker process: what the terminal sends to all is its parent's to decide."""
    for number in TERMINAL:
        signal.signal(number, signal.SIG_IGN)
    end_with_parent()


def end_with_parent() -> None:
    """Called by a worker process: it ends when its parent does, however that ends, and never works for nobody."""

    def watch(parent: Any) -> None:
        wait([parent.sentinel])
        os._exit(1)

    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=watch, args=(parent,), daemon=True).start()


def suggestion(name: str, valid: list[str]) -> str:
    """`; did you mean …?` and the list of valid names, for error messages."""
    close = get_close_matches(name, valid, n=1)
    hint = f"; did you mean {close[0]!r}?" if close else ""
    return f"{hint} (one of: {', '.join(valid) or 'none at all'})"
