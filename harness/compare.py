"""What differs between two campaigns: where and how they were made, and what they found.

For two revisions of the code, two machines, or two precisions at the same seeds.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.errors import UserError
from harness import quantities, store
from harness.report import frames, inference, numbers
from harness.report.notes import EQUIVALENCE, hardware, revisions
from harness.results import Campaign, Record, runs_of, score_columns, scored_by, searchers_of

SETTINGS = ("benchmark", "table_sha256", "search_dataset", "preset", "precision", "threads", "versions")


def compare(first: Path, second: Path, margin: float | None = None) -> str:
    """The text of `harness compare`. `margin` in accuracy points also asks whether the two are equivalent."""
    quantities.margin(margin)
    campaigns = [store.load_campaign(folder) for folder in (first, second)]
    loaded = [store.load_records(folder) for folder in (first, second)]
    records, left_out = [runs for runs, _ in loaded], [text for _, texts in loaded for text in texts.values()]
    if campaigns[0]["table_sha256"] != campaigns[1]["table_sha256"]:
        raise UserError(f"{first} and {second} are scored from different tables: their numbers cannot be compared")
    lines = [f"a = {first}, b = {second}", scored_by(campaigns[0]), *(f"warning: {text}" for text in left_out)]
    lines += ["", "settings and environment"]
    lines += _settings(campaigns, records) or ["  the same"]
    lines += ["", "searchers"]
    specs = [{s["label"]: s["spec"] for s in searchers_of(r, c)} for r, c in zip(records, campaigns, strict=True)]
    for name, own, other in (("a", specs[0], specs[1]), ("b", specs[1], specs[0])):
        lines += [f"  only in {name}: {spec}" for label, spec in own.items() if label not in other]
    both = [label for label in specs[0] if label in specs[1]]
    if not both:
        return "\n".join([*lines, "  none in common: nothing to compare"])
    pairs = {specs[0][label]: [runs_of(found, label) for found in records] for label in both}
    lines += [_answers(spec, *runs) for spec, runs in pairs.items()]
    columns = [c for c in score_columns(records[0], campaigns[0]) if c[1] == "test"]
    return "\n".join([*lines, "", *_results(pairs, columns, margin)])


def _settings(campaigns: list[Campaign], records: list[list[Record]]) -> list[str]:
    sides = [
        {k: c.get(k) for k in SETTINGS}
        | {"hardware": "; ".join(hardware(r)), "revisions of what made the runs": "; ".join(revisions(r))}
        for c, r in zip(campaigns, records, strict=True)
    ]
    lines = []
    for key, a in sides[0].items():
        b = sides[1][key]
        if isinstance(a, dict) and isinstance(b, dict):
            lines += [f"  {key}.{k}: {a.get(k)} | {b.get(k)}" for k in {**a, **b} if a.get(k) != b.get(k)]
        elif a != b:
            lines.append(f"  {key}: {a} | {b}")
    return lines


def _answers(spec: str, a: list[Record], b: list[Record]) -> str:
    cells = [{r["seed"]: r["index"] for r in runs} for runs in (a, b)]
    shared = cells[0].keys() & cells[1].keys()
    same = sum(cells[0][seed] == cells[1][seed] for seed in shared)
    configs = (
        ""
        if not (a and b) or a[0]["config"] == b[0]["config"]
        else "; settings differ: "
        + ", ".join(
            f"{k} {a[0]['config'].get(k)} | {b[0]['config'].get(k)}"
            for k in {**a[0]["config"], **b[0]["config"]}
            if a[0]["config"].get(k) != b[0]["config"].get(k)
        )
    )
    return f"  {spec}: n = {len(a)} | {len(b)}; the same cell at {same} of {len(shared)} shared seeds{configs}"


def _results(pairs: dict[str, Any], columns: list[tuple[str, str]], margin: float | None) -> list[str]:
    """b minus a at shared seeds, per searcher and data set; one Holm family of differences, one of equivalence."""
    rows, tests, equivalences = [], [], []
    for spec, (a, b) in pairs.items():
        for dataset, split in columns:
            values = [frames.group_scores_by_seed(runs, dataset, split) for runs in (a, b)]
            seeds = sorted(values[0].keys() & values[1].keys())
            differences = [values[1][s] - values[0][s] for s in seeds]
            found = inference.summary(differences)
            means = [inference.summary(list(v.values())).mean for v in values]
            rows.append((f"{spec}, {dataset}: {_number(means[0])} | {_number(means[1])}", found))
            tests.append(inference.signed_rank(differences))
            equivalences.append(None if margin is None else inference.paired_equivalence_p(differences, margin))
    lines = [
        "test accuracy: mean of a, of b; over shared seeds the median of b − a [interval, level], mean, p after Holm"
        + ("" if margin is None else f"; equivalent: {EQUIVALENCE}")
    ]
    adjusted = zip(inference.holm(tests), inference.holm(equivalences), strict=True)
    for (what, found), (p, equal) in zip(rows, adjusted, strict=True):
        line = f"  {what}; n = {found.n}"
        if found.median is not None and found.mean is not None:
            line += f", {numbers.signed(found.median)}"
            if found.ci_low is not None and found.ci_high is not None:
                bounds = f"{numbers.signed(found.ci_low)}, {numbers.signed(found.ci_high)}"
                line += f" [{bounds}; {found.ci_level:.3f}], {numbers.signed(found.mean)}"
        line += ", not tested" if p is None else f", {numbers.p_text(p)}"
        if equal is not None:
            verdict = "equivalent" if equal <= inference.ALPHA else "not shown equivalent"
            line += f"; {verdict} within {margin:g} points ({numbers.p_text(equal)})"
        lines.append(line)
    return lines


def _number(value: float | None) -> str:
    return numbers.EMPTY if value is None else f"{value:.2f}"
