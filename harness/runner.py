"""One run: build the task, step the searcher, keep trace and checkpoints, then derive, score and record.

Only this module and `scoring` know both the searcher and the benchmark. The loop, the clocks, the checkpoints and the
failures are here once for all searchers.
"""

from __future__ import annotations

import io
import json
import os
import platform
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.base import UserError, cpu_name
from benchmarks.nb201 import cell as cells
from benchmarks.nb201.benchmark import Benchmark, open_benchmark
from harness import diagnostics, scoring, store
from searchers import base
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
    preset: dict[str, Any]  # resolved: epochs and simulated_seconds are numbers
    precision: str
    threads: int
    table_sha256: str
    key: str
    device: str
    table: str
    places: tuple[str, ...]


def identity(plan: Plan) -> dict[str, Any]:
    """What a record says of its run before the search: all of the plan but where things are."""
    local = ("device", "table", "places")
    return {name: value for name, value in plan._asdict().items() if name not in local}


def build_task(plan: Plan, benchmark: Benchmark) -> SearchTask:
    """The searcher's task, made of copies: nothing in it refers to the benchmark."""
    task = SearchTask(
        seed=plan.seed,
        dataset=plan.search_dataset,
        space=benchmark.space(plan.search_dataset, plan.preset),
        budget=Budget(plan.preset["epochs"], plan.preset["simulated_seconds"]),
        batch_size=plan.preset["batch_size"],
        device=plan.device,
        precision=plan.precision,
    )
    if plan.kind == "multi-trial":
        accuracy, seconds = benchmark.proxy(plan.search_dataset)
        task.proxy_accuracy, task.proxy_seconds = accuracy.copy(), seconds.copy()
    else:
        train, valid = benchmark.search_data(plan.search_dataset, plan.preset)
        task.train, task.valid = train.clone().to(plan.device), valid.clone().to(plan.device)
    return task


def run(plan: Plan, folder: Path, progress: Progress = lambda event: None) -> dict[str, Any]:
    """Make or finish one run in its folder; its record, also where it failed.

    KeyboardInterrupt passes through after the last step boundary has been saved.
    """
    folder.mkdir(parents=True, exist_ok=True)
    record = identity(plan)
    try:
        record |= _search(plan, folder, progress) | {"status": "done", "error": None}
    except Exception as error:
        (folder / "error.txt").write_text(traceback.format_exc(), encoding="utf-8")
        record |= FAILED | {"status": "failed", "error": _one_line(error)}
    record["environment"] = environment(plan.device, uses_torch=plan.kind == "one-shot")
    store.write_json(folder / "record.json", record)  # last: its existence means that the run is over
    if record["status"] == "done":
        (folder / "checkpoint.pt").unlink(missing_ok=True)
    return record


FAILED: dict[str, Any] = {
    **dict.fromkeys(("cell", "index", "cell_without_none", "index_without_none")),
    **{"scores": [], "trajectory": [], "steps": 0, "search_seconds": 0.0, "simulated_seconds": 0.0},
    **{"evaluations": 0, "train_images": 0, "eval_images": 0, "collapsed": False},
    **{"disconnected": False, "phases": [], "alpha_entropy": None, "alpha_change": None, "one_shot": None},
}


def _one_line(error: Exception) -> str:
    text = " ".join(str(error).split())
    if type(error).__name__ == "OutOfMemoryError":
        text += "; a smaller batch, --precision bf16 or fewer --workers would need less"
    return text if isinstance(error, UserError) else f"{type(error).__name__}: {text}"


def _search(plan: Plan, folder: Path, progress: Progress) -> dict[str, Any]:
    benchmark = open_benchmark(plan.benchmark, plan.table, plan.places)
    # Everything that comes after the search is tried before it, so that it cannot fail after hours of training.
    scoring.scores(benchmark, cells.from_index(0))
    if plan.kind == "one-shot":
        import torch

        torch.set_num_threads(plan.threads)
    task = build_task(plan, benchmark)
    searcher_class = base.find(plan.searcher)
    searcher = searcher_class(task, base.configure(searcher_class, plan.config))
    state = Progressed(0, 0.0)
    saved = _load_checkpoint(folder, plan.key)
    if not store.cut_trace(folder / "trace.jsonl", saved["steps"] if saved else 0):
        store.set_aside(folder / "checkpoint.pt")  # it knows of steps that the trace has lost
        store.cut_trace(folder / "trace.jsonl", 0)
        saved = None
    if saved is not None:
        task.load_state_dict(saved["task"])
        searcher.load_state_dict(saved["searcher"])
        state = Progressed(saved["steps"], saved["search_seconds"])
    state = _loop(plan, task, searcher, state, folder, progress)
    if state.steps == 0:
        raise UserError(f"{plan.spec} ended without an answer: its budget does not pay for one step")
    return _answer(benchmark, task, searcher, state, folder)


class Progressed(NamedTuple):
    steps: int
    search_seconds: float  # spent inside the searcher's steps, nothing else


def _loop(
    plan: Plan, task: SearchTask, searcher: base.Searcher, state: Progressed, folder: Path, progress: Progress
) -> Progressed:
    snapshot: bytes | None = None
    snapped = saved = shown = time.monotonic()
    with open(folder / "trace.jsonl", "a", encoding="utf-8") as trace:
        try:
            while True:
                start = time.perf_counter()
                step = searcher.step()
                seconds = time.perf_counter() - start
                if step is None:
                    return Progressed(state.steps, state.search_seconds + seconds)
                state = Progressed(state.steps + 1, state.search_seconds + seconds)
                line = trace_line(state, step, task)
                trace.write(json.dumps(line) + "\n")
                now = time.monotonic()
                if now - snapped > SNAPSHOT_SECONDS:
                    trace.flush()
                    snapshot, snapped = _snapshot(plan, task, searcher, state), now
                if snapshot is not None and now - saved > CHECKPOINT_SECONDS:
                    store.write_bytes(folder / "checkpoint.pt", snapshot)
                    snapshot, saved = None, now
                if now - shown > 0.2:
                    progress({"line": line})
                    shown = now
        except KeyboardInterrupt:
            trace.flush()
            if snapshot is not None:
                store.write_bytes(folder / "checkpoint.pt", snapshot)
            raise


def trace_line(state: Progressed, step: Step, task: SearchTask) -> dict[str, Any]:
    line: dict[str, Any] = {
        "step": state.steps - 1,
        "index": cells.index(step.cell),
        "search_seconds": round(state.search_seconds, 4),
        "simulated_seconds": round(task.simulated_seconds, 3),
        "evaluations": task.evaluations,
        "train_images": task.train_images,
        "operations": diagnostics.operations(step.cell),
        **step.metrics,
    }
    if step.alphas is not None:
        line["alpha_entropy"] = round(diagnostics.entropy(step.alphas), 6)
        line["index_without_none"] = cells.index(cells.derive(step.alphas, none="drop"))
        line["alphas"] = [[round(float(a), 6) for a in row] for row in step.alphas]
    return line


def _answer(
    benchmark: Benchmark, task: SearchTask, searcher: base.Searcher, state: Progressed, folder: Path
) -> dict[str, Any]:
    """What the trace says, scored: the last line is the answer, each change of it a point of the trajectory."""
    trajectory: list[dict[str, Any]] = []
    watch = diagnostics.Watch()
    last: dict[str, Any] = {}
    for last in store.read_trace(folder / "trace.jsonl"):
        watch.see(last)
        if not trajectory or last["index"] != trajectory[-1]["index"]:
            names = ("step", "index", "search_seconds", "simulated_seconds", "evaluations")
            trajectory.append({name: last[name] for name in names})
    for point in trajectory:
        point["scores"] = scoring.scores(benchmark, cells.from_index(point["index"]))
    cell = cells.from_index(last["index"])
    without = cells.from_index(last.get("index_without_none", last["index"]))
    spent = {name: getattr(task, name) for name in ("simulated_seconds", "evaluations", "train_images", "eval_images")}
    return {
        "cell": cells.to_string(cell),
        "index": cells.index(cell),
        "cell_without_none": cells.to_string(without),
        "index_without_none": cells.index(without),
        "scores": scoring.scores(benchmark, cell) + scoring.scores(benchmark, without, without_none=True),
        "trajectory": trajectory,
        "steps": state.steps,
        "search_seconds": state.search_seconds,
        **spent,
        "collapsed": cells.is_collapsed(cell),
        "disconnected": not cells.is_connected(cell),
        **watch.found(),
        # After the counters were read: what it costs is no part of the search.
        "one_shot": diagnostics.one_shot(searcher, benchmark, task.dataset),
    }


def _snapshot(plan: Plan, task: SearchTask, searcher: base.Searcher, state: Progressed) -> bytes:
    import torch

    buffer = io.BytesIO()
    content = {
        "key": plan.key,
        "steps": state.steps,
        "search_seconds": state.search_seconds,
        "task": task.state_dict(),
        "searcher": searcher.state_dict(),
    }
    torch.save(content, buffer)
    return buffer.getvalue()


def _load_checkpoint(folder: Path, key: str) -> dict[str, Any] | None:
    """The checkpoint of this very run; another run's or a damaged one is set aside and the run starts anew."""
    path = folder / "checkpoint.pt"
    if not path.is_file():
        return None
    import torch

    try:
        saved = torch.load(path, map_location="cpu", weights_only=True)
        if saved["key"] == key:
            return saved
    except Exception:
        pass
    store.set_aside(path)
    return None


def environment(device: str, uses_torch: bool) -> dict[str, Any]:
    """Where and with what a run was made."""
    found = dict(_environment())
    found["device"] = device
    if uses_torch and device.startswith("cuda"):
        import torch

        found["device"] = f"{device} ({torch.cuda.get_device_name(device)})"
    return found


@lru_cache(maxsize=1)
def _environment() -> dict[str, Any]:
    def installed(name: str) -> str:
        try:
            return version(name)
        except PackageNotFoundError:
            return "not installed"

    return {
        "host": platform.node(),
        "cpu": cpu_name(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "torch": installed("torch"),
        "numpy": installed("numpy"),
        "harness": installed("gicso-nas-harness"),
        "git": _revision(),
        "platform": sys.platform,
    }


def _revision() -> str:
    """Revision of the source tree that this code is in, `-dirty` with changes; empty outside a checkout."""
    try:
        done = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            timeout=10,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip()
