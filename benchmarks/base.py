"""What all share: an error for wrong input, names, a bound on hostile files, whole files, signals, a score's origin."""

from __future__ import annotations

import multiprocessing
import os
import platform
import re
import resource
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import resource_tracker
from multiprocessing.connection import wait
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:  # a command begins with few imports
    from concurrent.futures import ProcessPoolExecutor


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
    """One accuracy and its origin; a value is never handed out without them."""

    value: float  # percent
    trials: int  # how many trainings (seeds) the mean is over
    record: str  # what the network was trained on: cifar10-valid, cifar10, cifar100, ImageNet16-120
    split: str  # what it was measured on: x-valid, x-test, ori-test
    epochs: int  # length of the training schedule


@dataclass(frozen=True)
class Space:
    """The networks in which cells are searched; what a supernet needs to know besides the cells."""

    channels: int  # of the first stage (C)
    cells: int  # a stage (N)
    in_channels: int
    num_classes: int


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
