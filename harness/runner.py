"""One run: build the task, step the searcher, keep trace and checkpoints, then derive, score and record.

Only this module and `diagnostics` know both the searcher and the benchmark. The loop, the clocks, the checkpoints and
the failures are here once for all searchers.
"""

from __future__ import annotations

import gc
import time
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks import registry
from benchmarks.base import Benchmark, Preset
from benchmarks.errors import UserError, out_of_memory
from harness import diagnostics, locks, scoring, store
from harness.cells import identified, named
from harness.provenance import environment
from harness.schema import Point, Record
from harness.state import plain, restored
from harness.steps import Limit, Meter, checked, finite, refuse_divergence
from searchers import base, catalogue, plugins
from searchers.base import Budget, SearchTask, Step

CHECKPOINT_SECONDS = 30.0  # at most this much work is lost to a kill
SNAPSHOT_SECONDS = 1.0  # and at most this much, or the running step, to a polite stop

Progress = Callable[[dict[str, Any]], None]


class Plan(NamedTuple):
    """All that decides a run, and where its inputs are on this machine. Plain data: it goes to other processes."""

    searcher: str
    label: str
    spec: str
    kind: str
    config: dict[str, Any]
    seed: int
    benchmark: str
    search_dataset: str
    preset: Preset  # resolved: epochs and simulated_seconds are numbers
    precision: str
    threads: int
    table_sha256: str
    key: str
    device: str
    table: str
    places: tuple[str, ...]
    plugin: str = ""  # of a searcher of another package: "name version", and the digest of its code
    plugin_source: str = ""

    def to_json(self) -> dict[str, Any]:
        """The plan as JSON has it, for a process that reads it from a file."""
        return self._asdict() | {"preset": self.preset.model_dump()}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Plan:
        """The plan that `to_json` gave."""
        return cls(**value | {"preset": Preset(**value["preset"]), "places": tuple(value["places"])})


def identity(plan: Plan) -> dict[str, Any]:
    """The fields of a record that are known before the search: the plan without the paths on this machine."""
    local = ("device", "table", "places", "plugin", "plugin_source")
    return {name: value for name, value in plan._asdict().items() if name not in local}


def build_task(plan: Plan, benchmark: Benchmark) -> SearchTask:
    """The searcher's task, made of copies: nothing in it refers to the benchmark."""
    task = SearchTask(
        seed=plan.seed,
        dataset=plan.search_dataset,
        space=benchmark.space,
        size=benchmark.size(plan.search_dataset, plan.preset),
        budget=Budget(plan.preset.epochs or 0, plan.preset.simulated_seconds),
        batch_size=plan.preset.batch_size,
        device=plan.device,
        precision=plan.precision,
    )
    if plan.kind == "multi-trial":
        query = benchmark.low_fidelity(plan.search_dataset)
        task.low_fidelity = None if query is None else Meter(query, task.budget.simulated_seconds)
    else:
        train, valid = benchmark.search_data(plan.search_dataset, plan.preset)
        task.train, task.valid = train.clone().to(plan.device), valid.clone().to(plan.device)
    return task


def run(plan: Plan, folder: Path, progress: Progress = lambda event: None) -> Record | None:
    """Make or finish one run in its folder; returns its record, also of a failed run, or None while another makes it.

    A run that somebody has finished meanwhile is not made again. KeyboardInterrupt passes through after the last step
    boundary has been saved.
    """
    try:
        with locks.claim(folder) as free:
            if not free:
                return None
            record = store.load_record(folder)
            if record is not None and record.key == plan.key:
                return record
            if record is not None:
                store.set_aside(folder)
            return _make(plan, folder, progress)
    except (OSError, UserError) as error:  # a full disk, a folder taken away: not kept, so still to do
        return failure(plan, _one_line(error), {})


def _make(plan: Plan, folder: Path, progress: Progress) -> Record:
    folder.mkdir(parents=True, exist_ok=True)
    for left in folder.glob("*.tmp"):  # half-written files of a killed process
        left.unlink()
    # Before the search: the code may change meanwhile.
    made_in = environment(plan.device, uses_torch=plan.kind == "one-shot") | plugin_of(plan)
    notes: list[str] = []  # also for whom progress does not reach: on other machines

    def noted(event: dict[str, Any]) -> None:
        notes.extend(event[name] for name in event if name == "note")
        progress(event)

    try:
        answer = _search(plan, folder, noted, made_in)
        record = Record(**identity(plan), **answer, status="done", environment=made_in, notes=notes)
    except (OSError, KeyboardInterrupt):
        raise
    except BaseException as error:  # a searcher's sys.exit() costs its run, not the worker
        if _by_executor(error):
            raise
        (folder / "error.txt").write_text(traceback.format_exc(), encoding="utf-8", errors="replace")
        record = failure(plan, _one_line(error), made_in, notes)
    if plan.kind == "one-shot":
        # A search's memory is freed before the next run begins. Cycles may hold it, and nothing hurries the collector:
        # a searcher that keeps its own exception, torch's imports at a process's first optimiser.
        gc.collect()
    store.save(folder, record)  # last: its existence means that the run is over
    if record.finished:
        for name in ("checkpoint.pt", "error.txt"):
            (folder / name).unlink(missing_ok=True)
    return record


def plugin_of(plan: Plan) -> dict[str, Any]:
    """The environment's fields of a plug-in searcher's package; none for this program's own searchers."""
    return {"plugin": plan.plugin, "plugin_source": plan.plugin_source} if plan.plugin else {}


def other_code(made_in: dict[str, Any], plan: Plan) -> str | None:
    """A sentence if a run was made with other code of its plug-in than is installed now, else None."""
    if made_in.get("plugin_source", "") == plan.plugin_source:
        return None
    then, now = (f"{e['plugin']} (source {e['plugin_source']})" if e.get("plugin") else "no package of its own"
                 for e in (made_in, plugin_of(plan)))  # fmt: skip
    return f"made with other code of {plan.searcher}: {then}, now {now}"


def _by_executor(error: BaseException) -> bool:
    """Whether Slurm's or Ray's signal handler raised the error, wherever the search was."""
    frames = (frame.f_globals.get("__name__", "") for frame, _ in traceback.walk_tb(error.__traceback__))
    return isinstance(error, SystemExit) and any(name.partition(".")[0] in ("submitit", "ray") for name in frames)


def failure(plan: Plan, error: str, made_in: dict[str, Any], notes: Sequence[str] = ()) -> Record:
    """The record of a run that gave no answer."""
    return Record(**identity(plan), status="failed", error=error, environment=made_in, notes=list(notes))


METHODS = ("step", "state_dict", "load_state_dict", "one_shot_losses", "one_shot_accuracies")  # of a searcher


def _one_line(error: BaseException) -> str:
    text = " ".join(str(error).split())
    if not isinstance(error, Exception):
        passed = [frame.f_code.co_name for frame, _ in traceback.walk_tb(error.__traceback__)]
        where = next((f"{name}()" for name in METHODS if name in passed), "the searcher")
        return f"{where} raised {repr(error)[:2000]}: a searcher must not end the process"
    if not isinstance(error, UserError):
        text = type(error).__name__ + (f": {text[:2000]}" if text else " without a message")
    if out_of_memory(error):
        text += "; fewer --workers, --precision bf16 or a smaller --preset need less memory"
    return text


def _search(plan: Plan, folder: Path, progress: Progress, made_in: dict[str, Any]) -> dict[str, Any]:
    places = [Path(place) for place in plan.places]
    benchmark = registry.find(plan.benchmark).open(Path(plan.table) if plan.table else None, places)
    if benchmark.version != plan.table_sha256:
        place = plan.table or plan.benchmark
        raise UserError(f"{place}: another table here (sha256 {benchmark.version[:12]}) than where the run was planned")
    if plugins.origin(plan.searcher).source != plan.plugin_source:
        raise UserError(f"{plan.plugin}: other code here than where the run was planned; give the same command again")
    # Everything that comes after the search is tried before it, so that it cannot fail after hours of training.
    scoring.scores(benchmark, benchmark.space.sample(np.random.default_rng(0)))
    if plan.kind == "one-shot":
        import torch

        torch.set_num_threads(plan.threads)
    task, searcher, trace, state = _begin_or_resume(plan, benchmark, folder, progress, made_in)
    try:
        state = _loop(plan, task, searcher, trace, state, folder, progress)
    finally:
        trace.close()
    if state.steps == 0:
        budget = f"{task.budget.epochs} epochs" if plan.kind == "one-shot" else f"{task.budget.simulated_seconds:g} s"
        raise UserError(
            f"{plan.spec} ended without an answer: its first step() gave None; where its budget ({budget}) pays for no "
            "step, give it more"
        )
    began = None if state.begun_in == made_in else state.begun_in  # a run resumed elsewhere, or by another revision
    return _answer(benchmark, task, searcher, state, folder) | {"trace": trace.fingerprint, "begun_in": began}


def _begin(plan: Plan, benchmark: Benchmark) -> tuple[SearchTask, base.Searcher]:
    task = build_task(plan, benchmark)
    searcher = catalogue.find(plan.searcher)
    return task, searcher(task, base.configure(searcher, plan.config))


def _begin_or_resume(
    plan: Plan, benchmark: Benchmark, folder: Path, progress: Progress, made_in: dict[str, Any]
) -> tuple[SearchTask, base.Searcher, store.Trace, Progressed]:
    """Task, searcher and trace as they were at this run's checkpoint, or new ones.

    A checkpoint that is damaged, another run's, or of steps that the trace has lost is set aside with the trace.
    """
    checkpoint, traced = folder / "checkpoint.pt", folder / "trace.jsonl"
    if checkpoint.is_file():
        task, searcher = _begin(plan, benchmark)
        try:
            saved = store.read_checkpoint(checkpoint)
            if saved["key"] != plan.key:
                why = other_code(saved.get("environment", {}), plan) or "of another run than this one"
                raise UserError(f"{checkpoint}: {why}")
            trace = store.Trace.reopen(traced, *saved["trace"])
            if trace is None:
                raise UserError(f"{traced}: damaged: not the trace that its checkpoint knows")
            task.load_state_dict(saved["task"])
            searcher.load_state_dict(restored(saved["searcher"], saved.get("types", {})))
            begun_in = saved.get("environment", made_in)
            return task, searcher, trace, Progressed(saved["steps"], saved["search_seconds"], begun_in)
        except OSError:
            raise
        except Exception as error:
            if out_of_memory(error):
                raise  # says nothing against the checkpoint
            for path in (checkpoint, traced):
                if path.exists():
                    store.set_aside(path)
            progress({"note": f"{_one_line(error)}; set aside, the run begins anew"})
    return *_begin(plan, benchmark), store.Trace(traced), Progressed(0, 0.0, made_in)


class Progressed(NamedTuple):
    steps: int
    search_seconds: float  # spent inside the searcher's steps, nothing else
    begun_in: dict[str, Any]  # environment of the process that made the first step


def _loop(
    plan: Plan,
    task: SearchTask,
    searcher: base.Searcher,
    trace: store.Trace,
    state: Progressed,
    folder: Path,
    progress: Progress,
) -> Progressed:
    snapshot: bytes | None = None
    limit = Limit(plan.kind, task)
    snapped = saved = shown = time.monotonic()
    try:
        while True:
            start = time.perf_counter()
            step = searcher.step()
            seconds = time.perf_counter() - start
            if step is None:
                trace.sync()
                if snapshot is not None:  # or a stop before the record is written would lose more than a step
                    store.write_bytes(folder / "checkpoint.pt", snapshot)
                return state._replace(search_seconds=state.search_seconds + seconds)
            state = state._replace(steps=state.steps + 1, search_seconds=state.search_seconds + seconds)
            limit.check(state.steps)
            step = checked(step, task.space)
            refuse_divergence(step, plan.kind, state.steps, getattr(searcher, "config", None))
            line = trace_line(state, step, task)
            if state.steps == 1:
                plain(searcher.state_dict())  # that it cannot be kept is said now, not after hours
            trace.append(line)
            now = time.monotonic()
            if now - snapped > SNAPSHOT_SECONDS:
                snapshot, snapped = _snapshot(plan, task, searcher, trace, state), now
            if snapshot is not None and now - saved > CHECKPOINT_SECONDS:
                trace.sync()
                store.write_bytes(folder / "checkpoint.pt", snapshot)
                snapshot, saved = None, now
            if now - shown > 0.2:
                progress({"line": line})
                shown = now
    except BaseException:  # stopped, or a Slurm task that has queued itself again, or an error: the same for all
        with suppress(OSError):
            trace.sync()
            if snapshot is not None:
                store.write_bytes(folder / "checkpoint.pt", snapshot)
        raise


def trace_line(state: Progressed, step: Step, task: SearchTask) -> dict[str, Any]:
    line: dict[str, Any] = {
        # What is not finite is no number of JSON's: it is left out. First, so that no metric takes another's place.
        **{name: value for name, value in step.metrics.items() if finite(value)},
        "step": state.steps - 1,
        **identified(task.space, step.cell),
        "search_seconds": round(state.search_seconds, 4),
        "simulated_seconds": round(task.simulated_seconds, 3),
        "evaluations": task.evaluations,
        "train_images": task.train_images,
        "operations": task.space.operation_counts(step.cell),
    }
    if step.alphas is not None:
        line["alpha_entropy"] = round(diagnostics.entropy(step.alphas), 6)
        line |= identified(task.space, task.space.derive(step.alphas, keep_none=False), "_without_none")
        line["alphas"] = [[round(float(a), 6) for a in row] for row in step.alphas]
    return line


def _answer(
    benchmark: Benchmark, task: SearchTask, searcher: base.Searcher, state: Progressed, folder: Path
) -> dict[str, Any]:
    """A record's fields from the trace: its last line has the answer, and each change of the answer is a point."""
    space = benchmark.space
    trajectory: list[Point] = []
    summary = diagnostics.TraceSummary()
    last: dict[str, Any] = {}
    cell = without = None
    for last in store.read_trace(folder / "trace.jsonl"):
        summary.add(last)
        answer = named(space, last.get("cell"), last["index"])
        assert answer is not None
        if answer != cell:
            clocks = {name: last[name] for name in ("step", "search_seconds", "simulated_seconds", "evaluations")}
            scores = scoring.scores(benchmark, answer)
            trajectory.append(Point(**clocks, **identified(space, answer), scores=scores))
        cell, without = answer, named(space, last.get("cell_without_none"), last.get("index_without_none")) or answer
    assert cell is not None
    assert without is not None
    spent = {name: getattr(task, name) for name in ("simulated_seconds", "evaluations", "train_images", "eval_images")}
    # After the counters were read: what it costs is no part of the search.
    supernet = diagnostics.one_shot(searcher, benchmark, task.dataset) if task.train is not None else None
    chance = task.train is not None and diagnostics.at_chance(searcher, supernet, last.get("train_loss"), task)
    return {
        **identified(space, cell),
        **identified(space, without, "_without_none"),
        "scores": scoring.scores(benchmark, cell) + scoring.scores(benchmark, without, without_none=True),
        "trajectory": trajectory,
        "steps": state.steps,
        "search_seconds": state.search_seconds,
        **spent,
        "collapsed": space.is_collapsed(cell),
        "disconnected": not space.is_connected(cell),
        **summary.fields(space),
        "at_chance": chance,
        "one_shot": supernet,
    }


def _snapshot(plan: Plan, task: SearchTask, searcher: base.Searcher, trace: store.Trace, state: Progressed) -> bytes:
    kept, types = plain(searcher.state_dict())
    return store.checkpoint_bytes(
        {
            "key": plan.key,
            "steps": state.steps,
            "search_seconds": state.search_seconds,
            "environment": state.begun_in,
            "trace": [trace.size, trace.sum.hexdigest()],
            "task": task.state_dict(),
            "searcher": kept,
            "types": types,
        }
    )
