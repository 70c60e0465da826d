"""Trainings from scratch as scores: which ones a campaign's answers have, and what is left to train."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from harness import store
from harness.evaluate import label_of
from harness.schema import Campaign, EvaluationRecord, Record, Score, Trainings

WAY = ("recipe", "precision", "threads", "devices")  # of `Trainings`, beside the seeds


def fits(evaluation: EvaluationRecord, campaign: Campaign) -> bool:
    """Whether a training was made as the campaign's answers are trained on its target."""
    how = campaign.evaluations.get(evaluation.target)
    if how is None or evaluation.benchmark != campaign.benchmark or evaluation.seed not in how.seeds:
        return False
    return all(getattr(evaluation, name) == getattr(how, name) for name in WAY)


def answers(records: Iterable[Record]) -> list[str]:
    """The distinct cells of finished runs, in the order of the records."""
    return list(dict.fromkeys(r.cell for r in records if r.finished and r.cell is not None))


def scored(campaign: Campaign, records: Sequence[Record], evaluations: Iterable[EvaluationRecord]) -> list[Record]:
    """The records with a score for each target on which their cell was trained: the mean over evaluation seeds."""
    values: dict[tuple[str, str], dict[int, float]] = {}
    for e in evaluations:
        if e.accuracy is not None and fits(e, campaign):
            values.setdefault((e.cell, e.target), {})[e.seed] = e.accuracy

    def score(target: str, each: list[float]) -> Score:
        return Score(
            dataset=target,
            split="test",
            epochs=campaign.evaluations[target].recipe.epochs,
            value=sum(each) / len(each),
            trials=len(each),
            record=target,
            without_none=False,
            each=each,
            source="trained",
        )

    rows = []
    for r in records:
        found = {t: values[r.cell, t] for t in campaign.evaluations if r.finished and (r.cell, t) in values}  # type: ignore[index]
        own = [score(target, [by_seed[seed] for seed in sorted(by_seed)]) for target, by_seed in found.items()]
        rows.append(r.model_copy(update={"scores": [*r.scores, *own]}) if own else r)
    return rows


class Standing(NamedTuple):
    """How far the trainings on a target are: done, running, failed or left."""

    target: str
    how: Trainings
    states: dict[Path, str]  # of each training, by its folder
    errors: dict[Path, str]  # of the failed ones


def standings(
    folder: Path,
    campaign: Campaign,
    records: Iterable[Record],
    evaluations: Iterable[EvaluationRecord],
    running: Mapping[Path, str],
) -> list[Standing]:
    """Of each target, the trainings of the answers that there are."""
    own = {store.evaluation_folder(folder, e.label, e.seed): e for e in evaluations if fits(e, campaign)}
    cells, rows = answers(records), []
    for target, how in campaign.evaluations.items():
        labels = [label_of(cell, target, how.recipe) for cell in cells]
        places = [store.evaluation_folder(folder, label, seed) for label in labels for seed in how.seeds]
        states = {p: "running" if p in running else own[p].status if p in own else "left" for p in places}
        errors = {p: own[p].error or "" for p, state in states.items() if state == "failed"}
        rows.append(Standing(target, how, states, errors))
    return rows


def shared(records: Iterable[Record]) -> list[list[Record]]:
    """The finished runs that ended with one cell, and so share its trainings; groups of two or more."""
    groups: dict[str, list[Record]] = {}
    for r in records:
        if r.finished and r.cell is not None and any(s.source == "trained" for s in r.scores):
            groups.setdefault(r.cell, []).append(r)
    return [group for group in groups.values() if len(group) > 1]
