"""One training by several processes of this machine, one a device, each with its own part of every batch.

The process that makes the job only drives them and keeps its trace and checkpoints, as for one device. Where one of
them dies the others are ended, and the same command goes on from the last checkpoint.
"""

from __future__ import annotations

import io
import multiprocessing
import os
import signal
import tempfile
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.errors import UserError
from benchmarks.processes import start_worker, uninterrupted
from harness.jobs import one_line

if TYPE_CHECKING:
    from harness.training import Training


class Ranks:
    """What a `training.Training` offers, done by `count` processes together.

    `build(rank)` makes one's training, in its process; it must be picklable. `device` is theirs: cpu, or cuda, of which
    rank k takes the k-th.
    """

    def __init__(self, build: Callable[[int], Training], count: int, device: str):
        context = multiprocessing.get_context("spawn")
        self.folder = tempfile.TemporaryDirectory(prefix="harness-ranks-")
        meeting = str(Path(self.folder.name) / "meeting")
        self.processes: list[Any] = []
        self.pipes: list[Connection] = []
        try:
            for rank in range(count):
                ours, theirs = context.Pipe()
                process = context.Process(target=_work, args=(theirs, build, rank, count, device, meeting), daemon=True)
                with uninterrupted():  # a stop in between would leave a process behind
                    process.start()
                    theirs.close()
                    self.processes.append(process)
                    self.pipes.append(ours)
            self._ask("ready")
        except BaseException:
            self.close()
            raise

    def epoch(self, number: int) -> tuple[float, int]:
        """As `Training.epoch`."""
        return self._ask("epoch", number)[0]

    def accuracy(self) -> tuple[float, int]:
        """As `Training.accuracy`, by rank 0."""
        return self._ask("accuracy", ranks=1)[0]

    def state_dict(self) -> dict[str, Any]:
        """As `Training.state_dict`: of rank 0, whose weights and momentum are those of all."""
        return _unpacked(self._ask("state_dict", ranks=1)[0])

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """As `Training.load_state_dict`, by all."""
        self._ask("load_state_dict", _packed(state))

    def close(self) -> None:
        """End the processes."""
        for process in self.processes:
            process.kill()
        for process in self.processes:
            process.join()
        self.folder.cleanup()

    def _ask(self, method: str, *arguments: Any, ranks: int | None = None) -> list[Any]:
        """The answers of the first `ranks` processes, of all by default; UserError where one fails or has died."""
        asked = dict(zip(self.pipes[:ranks], range(len(self.pipes)), strict=False))
        for pipe in asked:
            with suppress(OSError):  # one that has just died is noticed below
                pipe.send((method, arguments))
        answers: dict[int, Any] = {}
        sentinels = {process.sentinel: rank for rank, process in enumerate(self.processes)}
        while len(answers) < len(asked):
            ready = wait([*(pipe for pipe, rank in asked.items() if rank not in answers), *sentinels])
            for pipe in asked.keys() & {*ready}:
                with suppress(EOFError, OSError):
                    answer, error = pipe.recv()
                    if error is not None:
                        raise UserError(error)
                    answers[asked[pipe]] = answer
            for rank in (rank for sentinel, rank in sentinels.items() if sentinel in ready):
                raise UserError(
                    f"the process of rank {rank} of {len(self.processes)} ended ({_cause(self.processes[rank])}); the "
                    "same command goes on from the last checkpoint"
                )
        return [answers[rank] for rank in sorted(answers)]


def _packed(state: dict[str, Any]) -> bytes:
    """A state as bytes: sent as tensors, the processes would share their memory and all write to it."""
    import torch

    buffer = io.BytesIO()
    torch.save(state, buffer)
    return buffer.getvalue()


def _unpacked(data: bytes) -> dict[str, Any]:
    import torch

    return torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)


def _cause(process: Any) -> str:
    process.join()
    code = process.exitcode
    return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"


def _answer(training: Training, method: str, *arguments: Any) -> Any:
    """What a rank answers to a message."""
    if method == "ready":
        return None
    if method == "state_dict":
        return _packed(training.state_dict())
    if method == "load_state_dict":
        return training.load_state_dict(_unpacked(*arguments))
    return getattr(training, method)(*arguments)


def _work(pipe: Connection, build: Callable[[int], Training], rank: int, count: int, device: str, meeting: str) -> None:
    """The main function of a rank's process: does what it is asked until it is ended."""
    start_worker()  # ends with its parent
    import torch

    try:
        try:
            os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")  # one machine: whatever its name resolves to
            if device.startswith("cuda"):
                torch.cuda.set_device(rank)
            backend = "nccl" if device.startswith("cuda") else "gloo"
            torch.distributed.init_process_group(backend, f"file://{meeting}", rank=rank, world_size=count)
            training = build(rank)
        except Exception as error:
            pipe.recv()
            pipe.send((None, one_line(error)))
            return
        while True:
            method, arguments = pipe.recv()
            try:
                pipe.send((_answer(training, method, *arguments), None))
            except Exception as error:
                pipe.send((None, one_line(error)))
    except (EOFError, OSError):
        os._exit(1)
