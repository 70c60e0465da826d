"""One run: build the task, step the searcher and trace it, then derive and score its answer.

Only this module and `diagnostics` know both the searcher and the benchmark. Trace, checkpoints, failures and the record
are those of every job (`jobs.py`).
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks import registry
from benchmarks.base import Benchmark, Preset
from benchmarks.errors import UserError
from harness import diagnostics, jobs, scoring, store
from harness.cells import identified, named, short_name
from harness.provenance import environment
from harness.schema import Point, Record
from harness.state import plain, restored
from harness.steps import Limit, Meter, checked, finite, refuse_divergence
from searchers import base, catalogue, plugins
from searchers.base import Budget, SearchTask, Step


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

    @property
    def uses_torch(self) -> bool:
        """Whether it trains a supernet."""
        return self.kind != "multi-trial"

    @property
    def steps(self) -> int | None:
        """Epochs of a one-shot search; of a multi-trial one it is not known before."""
        return self.preset.epochs or None

    @property
    def record_type(self) -> type[Record]:
        return Record

    def place(self, campaign: Path) -> Path:
        """The run's folder in a campaign's folder."""
        return store.run_folder(campaign, self.label, self.seed)

    def identity(self) -> dict[str, Any]:
        """The fields of a record that are known before the search: the plan without the paths on this machine."""
        local = ("device", "table", "places", "plugin", "plugin_source")
        return {name: value for name, value in self._asdict().items() if name not in local}

    def made_in(self, on_this_device: bool = True) -> dict[str, Any]:
        """The environment here, with a plug-in's package."""
        return environment(self.device, uses_torch=on_this_device and self.uses_torch) | plugin_of(self)

    def other_code(self, made_in: dict[str, Any]) -> str | None:
        """A sentence if a run was made with other code of its plug-in than is installed now, else None."""
        if made_in.get("plugin_source", "") == self.plugin_source:
            return None
        then, now = (f"{e['plugin']} (source {e['plugin_source']})" if e.get("plugin") else "no package of its own"
                     for e in (made_in, plugin_of(self)))  # fmt: skip
        return f"made with other code of {self.searcher}: {then}, now {now}"

    def begin(self) -> Search:
        """The search before its first step."""
        benchmark = _open(self)
        if self.kind == "one-shot":
            import torch

            torch.set_num_threads(self.threads)
        return Search(self, benchmark, *_begin(self, benchmark))

    def fraction(self, line: dict[str, Any]) -> float:
        """How much of its budget it has spent, from a line of its trace."""
        if self.kind == "one-shot":
            return (line["step"] + 1) / (self.preset.epochs or 1)
        if self.kind == "training-free":
            return min(max(line.get("share", 0.0), 0.0), 1.0)
        return min(line["simulated_seconds"] / self.preset.simulated_seconds, 1.0)

    def position(self, line: dict[str, Any]) -> str:
        """Epoch, query or step; loss; cell."""
        phase = f"{line['phase']}, " if "phase" in line else ""
        step = f"{'query' if self.kind == 'multi-trial' else 'step'} {line['step'] + 1}"
        if self.kind == "one-shot":
            step = f"epoch {line['step'] + 1}/{self.preset.epochs}"
        loss = f" loss {line['train_loss']:.3f}," if "train_loss" in line else ""
        return f"{phase}{step},{loss} cell {short_name(line.get('cell'), line['index'])}"

    def outcome(self, record: Record) -> str:
        """The answered cell."""
        return f"cell {short_name(record.cell, record.index)}"


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


def run(plan: Plan, folder: Path, progress: jobs.Progress = lambda event: None) -> Record | None:
    """Make or finish one run in its folder, as `jobs.run`."""
    return jobs.run(plan, folder, progress)


def plugin_of(plan: Plan) -> dict[str, Any]:
    """The environment's fields of a plug-in searcher's package; none for this program's own searchers."""
    return {"plugin": plan.plugin, "plugin_source": plan.plugin_source} if plan.plugin else {}


def _open(plan: Plan) -> Benchmark:
    """The plan's benchmark, with all that comes after the search tried before it, so that it cannot fail after hours.

    UserError where something here is not what it was where the run was planned.
    """
    places = [Path(place) for place in plan.places]
    benchmark = registry.find(plan.benchmark).open(Path(plan.table) if plan.table else None, places)
    if benchmark.version != plan.table_sha256:
        place = plan.table or plan.benchmark
        raise UserError(f"{place}: another table here (sha256 {benchmark.version[:12]}) than where the run was planned")
    if plugins.origin(plan.searcher).source != plan.plugin_source:
        raise UserError(f"{plan.plugin}: other code here than where the run was planned; give the same command again")
    scoring.scores(benchmark, benchmark.space.sample(np.random.default_rng(0)))
    return benchmark


def _begin(plan: Plan, benchmark: Benchmark) -> tuple[SearchTask, base.Searcher]:
    task = build_task(plan, benchmark)
    searcher = catalogue.find(plan.searcher)
    return task, searcher(task, base.configure(searcher, plan.config))


class Progressed(NamedTuple):
    steps: int
    search_seconds: float  # spent inside the searcher's steps, nothing else


class Search:
    """A searcher at work on its task: the `jobs.Work` of a run."""

    def __init__(self, plan: Plan, benchmark: Benchmark, task: SearchTask, searcher: base.Searcher):
        self.plan, self.benchmark, self.task, self.searcher = plan, benchmark, task, searcher
        self.state = Progressed(0, 0.0)
        self.limit = Limit(plan.kind, task)

    def step(self) -> dict[str, Any] | None:
        start = time.perf_counter()
        step = self.searcher.step()
        seconds = self.state.search_seconds + time.perf_counter() - start
        if step is None:
            self.state = self.state._replace(search_seconds=seconds)
            return None
        self.state = Progressed(self.state.steps + 1, seconds)
        self.limit.check(self.state.steps)
        step = checked(step, self.task.space)
        refuse_divergence(step, self.plan.kind, self.state.steps, getattr(self.searcher, "config", None))
        line = trace_line(self.state, step, self.task)
        if self.state.steps == 1:
            plain(self.searcher.state_dict())  # that it cannot be kept is said now, not after hours
        return line

    def state_dict(self) -> dict[str, Any]:
        kept, types = plain(self.searcher.state_dict())
        return {**self.state._asdict(), "task": self.task.state_dict(), "searcher": kept, "types": types}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.task.load_state_dict(state["task"])
        self.searcher.load_state_dict(restored(state["searcher"], state.get("types", {})))
        self.state = Progressed(state["steps"], state["search_seconds"])
        self.limit = Limit(self.plan.kind, self.task)

    def answer(self, folder: Path) -> dict[str, Any]:
        if self.state.steps == 0:
            own = self.task.budget
            budgets = {"one-shot": f"{own.epochs} epochs", "multi-trial": f"{own.simulated_seconds:g} s"}
            budget = budgets.get(self.plan.kind)
            advice = f"; where its budget ({budget}) pays for no step, give it more" if budget else ""
            raise UserError(f"{self.plan.spec} ended without an answer: its first step() gave None{advice}")
        return _answer(self.benchmark, self.task, self.searcher, self.state, folder)

    def close(self) -> None:
        pass


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
    chance = searcher.kind == "one-shot" and diagnostics.at_chance(searcher, supernet, last.get("train_loss"), task)
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
