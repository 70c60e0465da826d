"""Jobs: what campaigns are made of, each in a folder of its own: claim, steps, trace, checkpoints, failures, record.

A job is a search (`runner.Plan`) or a training of a cell's network from scratch (`evaluate.EvaluationPlan`). What both
need is here once: a finished one is not made again, a stopped one goes on from its checkpoint, a failed one says why.
"""

from __future__ import annotations

import gc
import time
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

from benchmarks.errors import UserError, out_of_memory
from harness import locks, store
from harness.schema import EvaluationRecord, Record

CHECKPOINT_SECONDS = 30.0  # at most this much work is lost to a kill
SNAPSHOT_SECONDS = 1.0  # and at most this much, or the running step, to a polite stop

Progress = Callable[[dict[str, Any]], None]


class Work(Protocol):
    """A job at work, a step at a time. Its state between two steps is all that decides the rest."""

    def step(self) -> dict[str, Any] | None:
        """The trace line of the next step; None where there is none left."""

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint holds of it: tensors, numbers, strings, and lists and dicts of these."""

    def load_state_dict(self, state: dict[str, Any]) -> None: ...

    def answer(self, folder: Path) -> dict[str, Any]:
        """What its record says beside the job's `identity`, after the last step; its trace is in the folder."""

    def close(self) -> None:
        """Free what it holds outside this process; called once, also after an error."""


class Job(Protocol):
    """All that decides a job, and where its inputs are on this machine. Plain data: it goes to other processes."""

    @property
    def key(self) -> str:
        """A hash of all that decides the result."""

    @property
    def label(self) -> str: ...

    @property
    def spec(self) -> str:
        """Its name in lines of progress."""

    @property
    def kind(self) -> str:
        """That of the searcher (searches), evaluation."""

    @property
    def seed(self) -> int: ...

    @property
    def uses_torch(self) -> bool: ...

    @property
    def steps(self) -> int | None:
        """How many steps it takes; None where that is not known before."""

    @property
    def record_type(self) -> type[Record | EvaluationRecord]: ...

    def place(self, campaign: Path) -> Path:
        """Its own folder in a campaign's folder."""

    def identity(self) -> dict[str, Any]:
        """The fields of its record that are known before it begins."""

    def made_in(self, on_this_device: bool = True) -> dict[str, Any]:
        """The environment here, as its record names it; without the device where that may be another machine's."""

    def other_code(self, made_in: dict[str, Any]) -> str | None:
        """A sentence if it was made with other code than is installed now, else None."""

    def begin(self) -> Work:
        """Ready for its first step; UserError where something that it needs is not here."""

    def fraction(self, line: dict[str, Any]) -> float:
        """How much of it is done, from a line of its trace."""

    def position(self, line: dict[str, Any]) -> str:
        """Where it stands, in words, from a line of its trace."""

    def outcome(self, record: Any) -> str:
        """What came out, in words, from its finished record."""

    def to_json(self) -> dict[str, Any]: ...


def run(job: Job, folder: Path, progress: Progress = lambda event: None) -> Any:
    """Make or finish one job in its folder; returns its record, also of a failed one, or None while another makes it.

    A job that somebody has finished meanwhile is not made again. KeyboardInterrupt passes through after the last step
    boundary has been saved.
    """
    try:
        with locks.claim(folder) as free:
            if not free:
                return None
            record = store.load_record(folder, job.record_type)
            if record is not None and record.key == job.key:
                return record
            if record is not None:
                store.set_aside(folder)
            return _make(job, folder, progress)
    except (OSError, UserError) as error:  # a full disk, a folder taken away: not kept, so still to do
        return failure(job, one_line(error), {})


def _make(job: Job, folder: Path, progress: Progress) -> Record | EvaluationRecord:
    folder.mkdir(parents=True, exist_ok=True)
    for left in folder.glob("*.tmp"):  # half-written files of a killed process
        left.unlink()
    made_in = job.made_in()  # before the first step: the code may change meanwhile
    notes: list[str] = []  # also for whom progress does not reach: on other machines

    def noted(event: dict[str, Any]) -> None:
        notes.extend(event[name] for name in event if name == "note")
        progress(event)

    try:
        answer = _answer(job, folder, noted, made_in)
        record = job.record_type(**job.identity(), **answer, status="done", environment=made_in, notes=notes)
    except (OSError, KeyboardInterrupt):
        raise
    except BaseException as error:  # a searcher's sys.exit() costs its run, not the worker
        if by_executor(error):
            raise
        (folder / "error.txt").write_text(traceback.format_exc(), encoding="utf-8", errors="replace")
        record = failure(job, one_line(error), made_in, notes)
    if job.uses_torch:
        # A job's memory is freed before the next one begins. Cycles may hold it, and nothing hurries the collector:
        # a searcher that keeps its own exception, torch's imports at a process's first optimiser.
        gc.collect()
    store.save(folder, record)  # last: its existence means that the job is over
    if record.finished:
        for name in ("checkpoint.pt", "error.txt"):
            (folder / name).unlink(missing_ok=True)
    return record


def by_executor(error: BaseException) -> bool:
    """Whether Slurm's or Ray's signal handler raised the error, wherever the job was."""
    frames = (frame.f_globals.get("__name__", "") for frame, _ in traceback.walk_tb(error.__traceback__))
    return isinstance(error, SystemExit) and any(name.partition(".")[0] in ("submitit", "ray") for name in frames)


def failure(job: Job, error: str, made_in: dict[str, Any], notes: Sequence[str] = ()) -> Any:
    """The record of a job that gave no answer."""
    return job.record_type(**job.identity(), status="failed", error=error, environment=made_in, notes=list(notes))


METHODS = (  # of a searcher
    *("step", "state_dict", "load_state_dict"),
    *("one_shot_losses", "one_shot_accuracies", "training_free_scores"),
)


def one_line(error: BaseException) -> str:
    """An error as a record has it."""
    text = " ".join(str(error).split())
    if not isinstance(error, Exception):
        passed = [frame.f_code.co_name for frame, _ in traceback.walk_tb(error.__traceback__)
                  if not frame.f_globals.get("__name__", "").startswith("harness.")]  # fmt: skip
        where = next((f"{name}()" for name in METHODS if name in passed), "the searcher")
        return f"{where} raised {repr(error)[:2000]}: a searcher must not end the process"
    if not isinstance(error, UserError):
        text = type(error).__name__ + (f": {text[:2000]}" if text else " without a message")
    if out_of_memory(error):
        text += "; fewer --workers, --precision bf16 or a smaller --preset need less memory"
    return text


def _answer(job: Job, folder: Path, progress: Progress, made_in: dict[str, Any]) -> dict[str, Any]:
    work, trace, begun_in = _begin_or_resume(job, folder, progress, made_in)
    try:
        try:
            _loop(job, work, trace, begun_in, folder, progress)
        finally:
            trace.close()
        # A job that was resumed elsewhere, or by another revision, names both.
        began = None if begun_in == made_in else begun_in
        return work.answer(folder) | {"trace": trace.fingerprint, "begun_in": began}
    finally:
        work.close()


def _begin_or_resume(
    job: Job, folder: Path, progress: Progress, made_in: dict[str, Any]
) -> tuple[Work, store.Trace, dict[str, Any]]:
    """The work and its trace as they were at this job's checkpoint, or new ones; and where it was begun.

    A checkpoint that is damaged, another job's, or of steps that the trace has lost is set aside with the trace.
    """
    checkpoint, traced = folder / "checkpoint.pt", folder / "trace.jsonl"
    work = job.begin()
    if checkpoint.is_file():
        try:
            saved = store.read_checkpoint(checkpoint)
            if saved["key"] != job.key:
                why = job.other_code(saved.get("environment", {})) or "of another run than this one"
                raise UserError(f"{checkpoint}: {why}")
            trace = store.Trace.reopen(traced, *saved["trace"])
            if trace is None:
                raise UserError(f"{traced}: damaged: not the trace that its checkpoint knows")
            work.load_state_dict(saved)
            return work, trace, saved.get("environment", made_in)
        except BaseException as error:
            work.close()
            if isinstance(error, OSError) or not isinstance(error, Exception) or out_of_memory(error):
                raise  # says nothing against the checkpoint
            for path in (checkpoint, traced):
                if path.exists():
                    store.set_aside(path)
            progress({"note": f"{one_line(error)}; set aside, the run begins anew"})
        work = job.begin()
    return work, store.Trace(traced), made_in


def _loop(job: Job, work: Work, trace: store.Trace, begun_in: dict[str, Any], folder: Path, progress: Progress) -> None:
    def snapshot_of() -> bytes:
        about = {"key": job.key, "environment": begun_in, "trace": [trace.size, trace.sum.hexdigest()]}
        return store.checkpoint_bytes(about | work.state_dict())

    snapshot: bytes | None = None
    snapped = saved = shown = time.monotonic()
    try:
        while (line := work.step()) is not None:
            trace.append(line)
            now = time.monotonic()
            if now - snapped > SNAPSHOT_SECONDS:
                snapshot, snapped = snapshot_of(), now
            if snapshot is not None and now - saved > CHECKPOINT_SECONDS:
                trace.sync()
                store.write_bytes(folder / "checkpoint.pt", snapshot)
                snapshot, saved = None, now
            if now - shown > 0.2:
                progress({"line": line})
                shown = now
        trace.sync()
        if snapshot is not None:  # or a stop before the record is written would lose more than a step
            store.write_bytes(folder / "checkpoint.pt", snapshot)
    except BaseException:  # stopped, or a Slurm task that has queued itself again, or an error: the same for all
        with suppress(OSError):
            trace.sync()
            if snapshot is not None:
                store.write_bytes(folder / "checkpoint.pt", snapshot)
        raise
