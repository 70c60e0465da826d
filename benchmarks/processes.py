"""Signals that stop a command, and worker processes that end with it."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing import resource_tracker
from multiprocessing.connection import wait
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from concurrent.futures import ProcessPoolExecutor


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
    signals: list[int] = []
    before = {number: signal.getsignal(number) for number in STOPPING}
    on_stop(lambda signum, frame: signals.append(signum))
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, TERMINAL)
    resource_tracker.ensure_running()  # itself a process, which must outlive SIGHUP
    signal.pthread_sigmask(signal.SIG_BLOCK, TERMINAL)  # again: Python 3.11 unblocks SIGINT when it starts that one
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        for number, handler in before.items():
            signal.signal(number, handler)
    if signals:
        raise KeyboardInterrupt


@contextmanager
def process_pool(workers: int, initializer: Callable[[], None]) -> Iterator[ProcessPoolExecutor]:
    """Worker processes, started afresh, that end with the context: an error or a stop inside ends them at once.

    `initializer` is called in each and begins with `start_worker`.
    """
    pool = None
    try:
        with uninterrupted():
            # Imported here, since a KeyboardInterrupt in the midst of an import may be lost.
            from concurrent.futures import ProcessPoolExecutor

            pool = ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), initializer=initializer)
            pool.submit(int)  # starts them
        yield pool
        pool.shutdown()
    except BaseException:
        for process in multiprocessing.active_children():  # or Python would wait for them to finish
            process.terminate()
        if pool is not None:
            pool.shutdown(wait=False, cancel_futures=True)
        raise


def start_worker() -> None:
    """Call first in a worker process: it ignores the terminal's signals, which its parent handles for all."""
    for number in TERMINAL:
        signal.signal(number, signal.SIG_IGN)
    end_with_parent()


def end_with_parent() -> None:
    """Call in a worker process: it then ends when its parent ends, for whatever reason."""

    def watch(parent: Any) -> None:
        wait([parent.sentinel])
        os._exit(1)

    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=watch, args=(parent,), daemon=True).start()
