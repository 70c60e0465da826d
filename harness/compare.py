"""What differs between two campaigns: where and how they were made, and what they shift.

For two revisions of the code, two machines, or two precisions at the same seeds.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.errors import UserError
from harness import quantities
from harness.cells import short_name
from harness.report import equivalence, inference, numbers
from harness.report.comparison import compare_paired, verdict
from harness.report.machines import hardware, revisions
from harness.report.notes import EQUIVALENCE, endpoint_in_words
from harness.report.power import smallest_paired_p
from harness.results import Results, read, scored_by
from harness.schema import Record

SETTINGS = ("benchmark", "table_sha256", "search_dataset", "preset", "precision", "threads", "versions")


def compare(first: Path, second: Path, margin: float | None = None) -> str:
    """The text of `harness compare`. `margin` in accuracy points also asks whether the two are equivalent."""
    quantities.margin(margin)
    loaded = [read(folder) for folder in (first, second)]
    a, b = (results for results, _ in loaded)
    if a.campaign.table_sha256 != b.campaign.table_sha256:
        raise UserError(f"{first} and {second} are scored from different tables: their numbers cannot be compared")
    left_out = [text for _, texts in loaded for text in texts.values()]
    lines = [f"a = {first}, b = {second}", scored_by(a.campaign), *(f"warning: {text}" for text in left_out)]
    lines += ["", "settings and environment", *(_settings(a, b) or ["  the same"]), "", "searchers"]
    for name, own, other in (("a", a.specs, b.specs), ("b", b.specs, a.specs)):
        lines += [f"  only in {name}: {spec}" for label, spec in own.items() if label not in other]
    common = {spec: label for label, spec in a.specs.items() if label in b.specs}
    if not common:
        return "\n".join([*lines, "  none in common: nothing to compare"])
    lines += [_answers(spec, a.runs(label), b.runs(label)) for spec, label in common.items()]
    return "\n".join([*lines, "", *_results(a, b, common, margin)])


def _settings(*sides: Results) -> list[str]:
    """A line for each setting and part of the environment in which the two differ."""
    a, b = (
        {key: getattr(side.campaign, key) for key in SETTINGS}
        | {"preset": side.campaign.preset.model_dump()}
        | {f"training on {t}": how.model_dump() for t, how in side.campaign.evaluations.items()}
        | {"hardware": "; ".join(hardware(side.records))}
        | {"revisions of what made the runs": "; ".join(revisions(side.records))}
        for side in sides
    )
    lines = []
    for key in {**a, **b}:
        if isinstance(a.get(key), dict) and isinstance(b.get(key), dict):
            lines += [f"  {key}.{k}: {x} | {y}" for k, x, y in _differences(a[key], b[key])]
        elif a.get(key) != b.get(key):
            lines.append(f"  {key}: {a.get(key)} | {b.get(key)}")
    return lines


def _differences(a: dict[str, Any], b: dict[str, Any]) -> list[tuple[str, Any, Any]]:
    return [(k, a.get(k), b.get(k)) for k in {**a, **b} if a.get(k) != b.get(k)]


def _answers(spec: str, a: list[Record], b: list[Record]) -> str:
    cells = [{r.seed: short_name(r.cell, r.index) for r in runs} for runs in (a, b)]
    shared = cells[0].keys() & cells[1].keys()
    same = sum(cells[0][seed] == cells[1][seed] for seed in shared)
    differing = _differences(a[0].config, b[0].config) if a and b else []
    settings = ", ".join(f"{k} {x} | {y}" for k, x, y in differing)
    note = f"; settings differ: {settings}" if settings else ""
    return f"  {spec}: n = {len(a)} | {len(b)}; the same cell at {same} of {len(shared)} shared seeds{note}"


def _results(a: Results, b: Results, common: Mapping[str, str], margin: float | None) -> list[str]:
    """b minus a at shared seeds, per searcher (spec -> label) and data set.

    Tests are of a's primary endpoint alone: one Holm family of differences over the searchers, one of equivalence.
    """
    datasets = dict.fromkeys([*a.datasets, a.endpoint])
    outcomes = {
        (spec, dataset): (a.outcomes(label, dataset), b.outcomes(label, dataset))
        for spec, label in common.items()
        for dataset in datasets
    }
    gaps = {key: [y[seed] - x[seed] for seed in sorted(x.keys() & y.keys())] for key, (x, y) in outcomes.items()}
    tested = [gaps[spec, a.endpoint] for spec in common]
    tests = [compare_paired(d, 0.0) for d in tested]
    alike = [None if margin is None else equivalence.paired_equivalence_p(d, margin) for d in tested]
    families = zip(common, tested, tests, inference.holm([t.p for t in tests]), inference.holm(alike), strict=True)
    said = {}
    for spec, d, test, p, same in families:
        smallest = smallest_paired_p(len(d), len(common))
        said[spec] = _words(verdict(d, [0.0], test, p, smallest, same), p, same, margin)
    lines = [
        "test accuracy: mean of a, of b; over shared seeds the median of b − a [interval, level], mean; "
        f"by {endpoint_in_words(a)} b against a, p after Holm over the searchers"
        + ("" if margin is None else f"; equivalent: {EQUIVALENCE}")
    ]
    for (spec, dataset), sides in outcomes.items():
        shift = inference.summary(gaps[spec, dataset])
        means = [inference.summary(list(side.values())).mean for side in sides]
        line = f"  {spec}, {dataset}: {_number(means[0])} | {_number(means[1])}; n = {shift.n}"
        if shift.median is not None and shift.mean is not None:
            line += f", {numbers.signed(shift.median)}"
            if shift.ci_low is not None and shift.ci_high is not None:
                bounds = f"{numbers.signed(shift.ci_low)}, {numbers.signed(shift.ci_high)}"
                line += f" [{bounds}; {shift.ci_level:.3f}], {numbers.signed(shift.mean)}"
        lines.append(line + (f", {said[spec]}" if dataset == a.endpoint else ""))
    return lines


def _words(verdict_is: str, p: float | None, same: float | None, margin: float | None) -> str:
    """What the tests of a searcher say of b."""
    if p is None:
        return "not tested"
    words = {"unknown": "not shown to differ", "constant": "no difference", "untestable": "too few seeds to tell"}
    text = f"{words.get(verdict_is, verdict_is)}, {numbers.p_text(p)}"
    return text if same is None else f"{text}; within {margin:g} points {numbers.p_text(same)}"


def _number(value: float | None) -> str:
    return numbers.EMPTY if value is None else f"{value:.2f}"
