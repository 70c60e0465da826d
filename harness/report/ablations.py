"""What a searcher loses without each of its parts: every ablation against the default, paired by seed.

A campaign of `harness ablate` says in campaign.json which row is the default and what each of the others leaves out:
`"ablations": {"of": label, "rows": {label: what is taken away}}`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from benchmarks.base import SearchSpace
from harness.cells import named
from harness.report import collapse, differences, equivalence, inference, numbers
from harness.report.comparison import compare_paired, estimand, verdict
from harness.report.notes import UNPAIRED, Question
from harness.report.power import pairs_needed, smallest_paired_p
from harness.results import MEAN, Results
from harness.schema import Record

# fmt: off
COLUMNS = [
    "searcher", "ablation", "label", "spec", "dataset", "split", "endpoint", "n", "same_answer",
    "mean_difference", "mean_low", "mean_high", "difference", "ci_low", "ci_high", "ci_level",
    "test", "p", "p_holm", "verdict",
    "collapsed", "collapsed_default", "p_collapse", "p_collapse_holm", "collapse_verdict",
    "p_equivalence", "margin", "belief_worse", "belief_equal", "belief_better",
]
# fmt: on
TEXT = {"searcher", "ablation", "label", "spec", "dataset", "split", "endpoint", "test", "verdict", "collapse_verdict"}
NUMBERS = [c for c in COLUMNS if c not in TEXT | {"n", "same_answer", "collapsed", "collapsed_default"}]


def ablation_table(results: Results, question: Question = UNPAIRED) -> pd.DataFrame:
    """One row per ablation x dataset x split, the columns of ablations.csv; empty where there are no ablations.

    Of `n` paired seeds `same_answer` ended with the same function (`SearchSpace.function_name`). `difference` is the
    median over seeds of ablation minus default in accuracy points, `ci_*` its order-statistic interval,
    `mean_difference` their mean, with its 95 % interval. On the primary endpoint p is the signed-rank test's, or that
    of the permutation of means, one Holm family over the ablations; collapse is another, by McNemar's test; the
    verdicts are of the ablation against the default. All other rows describe.
    """
    default = results.ablated
    if default is None:
        return pd.DataFrame(columns=COLUMNS)
    columns = [(MEAN, "test"), *results.columns] if results.endpoint == MEAN else results.columns
    test = "permutation" if question.test == "permutation" else "mann-whitney"
    rows: list[dict[str, Any]] = []
    for label, name in results.ablations.items():
        same = _same_answers(results.space, results.runs(default.label), results.runs(label))
        for dataset, split in columns:
            of = {owner: _values(results, owner, dataset, split) for owner in (default.label, label)}
            seeds = sorted(of[default.label].keys() & of[label].keys())
            a, b = ([of[owner][s] for s in seeds] for owner in (label, default.label))
            gaps = [x - y for x, y in zip(a, b, strict=True)]
            shift, by = inference.summary(gaps), differences.paired_difference(gaps)
            primary = (dataset, split) == (results.endpoint, "test")
            row: dict[str, Any] = (
                {"searcher": default.spec, "ablation": name, "label": label, "spec": results.specs[label]}
                | {"dataset": dataset, "split": split, "endpoint": "primary" if primary else "descriptive"}
                | {"n": shift.n, "same_answer": same, "difference": shift.median}
                | {"mean_difference": shift.mean, "mean_low": by.low, "mean_high": by.high}
                | {"ci_low": shift.ci_low, "ci_high": shift.ci_high, "ci_level": shift.ci_level, "verdict": ""}
                | {"collapse_verdict": ""}
            )
            if primary:
                row |= {"a": a, "b": b, "tested": compare_paired(a, b, test), "margin": question.margin}
                row |= _collapses(results, default.label, label)
            rows.append(row)
    _judge([row for row in rows if row["endpoint"] == "primary"], question.margin)
    frame = pd.DataFrame(rows, columns=COLUMNS).astype(dict.fromkeys(NUMBERS, "float64"))
    return frame.astype({"collapsed": "Int64", "collapsed_default": "Int64"})


def _values(results: Results, label: str, dataset: str, split: str) -> dict[int, float]:
    if split == "test":
        return results.outcomes(label, dataset)
    values = {r.seed: r.final(dataset, split) for r in results.runs(label)}
    return {seed: value for seed, value in values.items() if value is not None}


def _collapses(results: Results, default: str, label: str) -> dict[str, Any]:
    whole, part = ({r.seed: r.collapsed for r in results.runs(owner)} for owner in (default, label))
    seeds = sorted(whole.keys() & part.keys())
    a, b = [part[s] for s in seeds], [whole[s] for s in seeds]
    return {"collapsed": sum(a), "collapsed_default": sum(b), "p_collapse": collapse.mcnemar(a, b)}


def _judge(rows: Sequence[dict[str, Any]], margin: float | None) -> None:
    """Add to the primary rows what needs all of them: p after Holm, and the verdicts."""
    family = len(rows)
    gaps = [[x - y for x, y in zip(row["a"], row["b"], strict=True)] for row in rows]
    alike = [None if margin is None else equivalence.paired_equivalence_p(d, margin) for d in gaps]
    holm = inference.holm
    families = zip(holm([row["tested"].p for row in rows]), holm([row["p_collapse"] for row in rows]), holm(alike),
                   strict=True)  # fmt: skip
    for row, d, (p, fallen, same) in zip(rows, gaps, families, strict=True):
        smallest = smallest_paired_p(row["n"], family)
        more = row["collapsed"] > row["collapsed_default"]
        said = "unknown" if smallest <= inference.ALPHA else "untestable"
        if fallen is not None and fallen <= inference.ALPHA:
            said = "worse" if more else "better"
        held = None if margin is None else equivalence.belief(d, margin)
        row |= {
            "test": row["tested"].test,
            "p": row["tested"].p,
            "p_holm": p,
            "p_collapse_holm": fallen,
            "collapse_verdict": said,
        }
        row |= {"verdict": verdict(row["a"], row["b"], row["tested"], p, smallest, same), "p_equivalence": same}
        row |= {f"belief_{name}": value for name, value in held._asdict().items()} if held else {}


def _same_answers(space: SearchSpace, default: Sequence[Record], ablation: Sequence[Record]) -> int:
    answers = [{r.seed: named(space, r.cell, r.index) for r in runs} for runs in (default, ablation)]
    pairs = [(answers[0][seed], answers[1][seed]) for seed in answers[0].keys() & answers[1].keys()]
    return sum(a == b or bool(a and b and space.function_name(a) == space.function_name(b)) for a, b in pairs)


def sentences(frame: pd.DataFrame) -> list[str]:
    """The verdicts of `ablation_table` in words.

    Each ablation that differs significantly from the default, in accuracy or in collapse, has a sentence. The others
    share one for each verdict.
    """
    rows = frame[frame["endpoint"] == "primary"].to_dict("records")
    if not rows:
        return []
    needed, searcher, dataset = pairs_needed(len(rows)), rows[0]["searcher"], rows[0]["dataset"]
    said = [
        f"{searcher}, {row['ablation']}: its {estimand(row['test'])} is {row['verdict']} on {dataset} (median "
        f"{numbers.signed(row['difference'])} points, mean {numbers.signed(row['mean_difference'])}, "
        f"{numbers.p_text(row['p_holm'])}, n = {row['n']})."
        for row in rows
        if row["verdict"] in ("better", "worse")
    ]
    for verdict_is, text in (
        ("unknown", f"Not shown to differ from {searcher} on {dataset}"),
        ("equivalent", f"Equivalent to {searcher} on {dataset} within {rows[0]['margin']:g} points"),
        ("constant", f"The same accuracies as {searcher} on {dataset}"),
        ("untestable", f"Too few pairs to say, below {needed}"),
    ):
        if names := [str(row["ablation"]) for row in rows if row["verdict"] == verdict_is]:
            said.append(f"{text}: {'; '.join(names)}.")
    said += [
        f"{searcher}, {row['ablation']}: {row['collapsed']} of {row['n']} collapsed, of the default "
        f"{row['collapsed_default']}: {row['collapse_verdict']} (McNemar, {numbers.p_text(row['p_collapse_holm'])})."
        for row in rows
        if row["collapse_verdict"] in ("better", "worse")
    ]
    open_ = [row for row in rows if row["collapse_verdict"] not in ("better", "worse") and row["collapsed"]]
    if open_:
        counts = "; ".join(
            f"{row['ablation']} {row['collapsed']} of {row['n']} (McNemar, {numbers.p_text(row['p_collapse'])} before "
            f"Holm, {numbers.p_text(row['p_collapse_holm'])} after)"
            for row in open_
        )
        said.append(f"Collapsed, of the default {open_[0]['collapsed_default']}, and not shown to differ: {counts}.")
    return said
