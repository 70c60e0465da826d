"""Trainings from scratch in a report: a row each for programs, what they cost a searcher, and notes about them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import pandas as pd

from benchmarks import registry
from benchmarks.base import SearchSpace
from benchmarks.processor import processor_in_words
from harness import trained
from harness.cells import named
from harness.report import inference
from harness.report.notes import Note
from harness.report.numbers import bracketed, number
from harness.results import Results
from harness.schema import EvaluationRecord, Record, Trainings

COLUMNS = [
    *("target", "recipe", "epochs", "cell", "seed", "status", "accuracy", "train_loss", "parameters", "multiply_adds"),
    *(
        "seconds",
        "train_images",
        "test_images",
        "precision",
        "threads",
        "devices",
        "batch_per_device",
        "device",
        "error",
    ),
]
DAY = 86_400.0
SHOWN = 5  # cells that a note names
WEAK = 0.3  # rank correlation with trainings of full length below which scores rank nothing


def trainings_table(results: Results) -> pd.DataFrame:
    """trainings.csv: a row for each training from scratch; those of equal answers are there once."""
    rows = []
    for e in results.evaluations:
        row = e.model_dump() | {"recipe": e.recipe.name, "epochs": e.recipe.epochs}
        rows.append([{**row, "device": e.environment.get("device")}[name] for name in COLUMNS])
    counts = ("parameters", "multiply_adds")
    return pd.DataFrame(rows, columns=COLUMNS).astype(dict.fromkeys(counts, "Int64"))


def costs(results: Results) -> list[dict[str, Any]]:
    """A row for each searcher and target with trainings: sizes and costs of its answers, means over its runs.

    `skips` are skip connections of a normal cell, of many of which DARTS collapses; None in a space without cell types.
    `search_days` and `training_days` are days of one device; the latter of one training. `std_search` is the standard
    deviation of the runs' scores, `std_training` that of trainings of one cell, pooled over its distinct answers.
    """
    own = {(e.cell, e.target, e.seed): e for e in results.evaluations if e.finished}
    rows = []
    for searcher in results.searchers:
        runs = results.runs(searcher.label)
        for target, how in results.campaign.evaluations.items():
            each = [[own[r.cell, target, s] for s in how.seeds if (r.cell, target, s) in own] for r in runs]  # type: ignore[index]
            each = [trainings for trainings in each if trainings]
            first = [trainings[0] for trainings in each]
            rows.append(
                {"label": searcher.label, "target": target, "n": len(each)}
                | {"skips": _mean(_skips(results.space, trainings[0].cell) for trainings in each)}
                | {"search_days": _mean((r.search_seconds or 0) / DAY for r in runs if r.search_seconds is not None)}
                | {"training_days": _mean(e.seconds * e.devices / DAY for trainings in each for e in trainings)}
                | {
                    "parameters": _mean(e.parameters for e in first),
                    "multiply_adds": _mean(e.multiply_adds for e in first),
                }
                | {"std_search": inference.summary([_accuracy(t) for t in each]).std}
                | {"std_training": _pooled({t[0].cell: [e.accuracy or 0.0 for e in t] for t in each}.values())}
            )
    return rows


def _skips(space: SearchSpace, name: str) -> float | None:
    cell = named(space, name)
    normal = [k for k, edge in enumerate(space.edges) if edge.cell_type == "normal"]
    if cell is None or len(normal) in (0, len(space.edges)):
        return None
    return sum(space.operations[cell[k]] == "skip_connect" for k in normal)


def _accuracy(trainings: Sequence[EvaluationRecord]) -> float:
    return sum(e.accuracy or 0.0 for e in trainings) / len(trainings)


def _mean(values: Iterable[float | None]) -> float | None:
    numbers = [v for v in values if v is not None]
    return sum(numbers) / len(numbers) if numbers else None


def _pooled(groups: Iterable[Sequence[float]]) -> float | None:
    """The standard deviation within groups, with a mean of its own for each; None where no group has two values."""
    squares, freedom = 0.0, 0
    for values in groups:
        mean = sum(values) / len(values)
        squares += sum((v - mean) ** 2 for v in values)
        freedom += len(values) - 1
    return math.sqrt(squares / freedom) if freedom else None


def days(records: Iterable[Record | EvaluationRecord]) -> str:
    """The unit of these records' device-days: GPU-days, CPU-days, or days where both occur."""
    kinds = {"CPU" if _device(r).startswith("cpu") else "GPU" for r in records if r.finished}
    return f"{kinds.pop()}-days" if len(kinds) == 1 else "days"


def devices(records: Iterable[Record | EvaluationRecord]) -> str:
    """The distinct devices of finished records, in words."""
    names = {", ".join(filter(None, (_device(r), processor_in_words(r.environment)))) for r in records if r.finished}
    return "; ".join(sorted(names)) or "unknown"


def _device(record: Record | EvaluationRecord) -> str:
    return str(record.environment.get("device") or "cpu")


def footnotes(results: Results) -> list[Note]:
    """How answers are trained, and which runs share a training."""
    notes = [
        Note(
            "Trained on {}: recipe {} ({} cells, C {}, {}×{} pixels, {} epochs, batch {}), {}, {} thread(s){}, "
            "{} seed(s) a cell, whose mean is the run's score; the test images were seen once, after the last epoch.",
            *(target, how.recipe.name, how.recipe.cells, how.recipe.channels, how.recipe.resolution),
            *(how.recipe.resolution, how.recipe.epochs, how.recipe.batch_size, how.precision, how.threads),
            *(_shared_by(how), len(how.seeds)),
        )
        for target, how in results.campaign.evaluations.items()
    ]
    groups = trained.shared(results.records)
    if groups:
        named = [", ".join(f"{r.spec} seed {r.seed}" for r in group) for group in groups[:SHOWN]]
        more = f" and {len(groups) - SHOWN} more cells" if len(groups) > SHOWN else ""
        text = "Runs with equal answers share their trainings, so their scores are one draw: {}{}."
        notes.append(Note(text, "; ".join(named), more))
    return notes


def _shared_by(how: Trainings) -> str:
    return (
        "" if how.devices == 1 else f", {how.devices} devices with {how.recipe.batch_size // how.devices} images each"
    )


def warnings(results: Results) -> list[Note]:
    """Recipes that may not rank cells as full trainings do, and answers whose trainings are not all finished."""
    cells = trained.answers(results.records)
    done = {(e.target, e.cell, e.seed) for e in results.evaluations if e.finished}
    missing = []
    for target, how in results.campaign.evaluations.items():
        planned = {(target, cell, seed) for cell in cells for seed in how.seeds}
        if left := len(planned - done):
            missing.append(f"{target} {left} of {len(planned)}")
    notes = _demonstrations(results)
    if missing:
        notes.append(Note("Trainings not finished: {}; what there is is reported.", "; ".join(missing)))
    return notes


def _demonstrations(results: Results) -> list[Note]:
    entry = registry.find(results.campaign.benchmark)
    notes = []
    for name in dict.fromkeys(how.recipe.name for how in results.campaign.evaluations.values()):
        if name == entry.full:
            continue
        rho, low, high = entry.agreement.get(name, (None, 0.0, 0.0))
        said = "has not been measured" if rho is None else f"is ρ {number(rho)} {bracketed(low, high)}"
        if rho is None or rho < WEAK:
            text = "How recipe {} ranks cells, beside trainings of full length, {}: a demonstration, no ranking."
            notes.append(Note(text, name, said))
    return notes
