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
from harness.report import inference, numbers
from harness.report.frames import scores_by_seed
from harness.report.power import pairs_needed
from harness.results import Results
from harness.schema import Record

# fmt: off
COLUMNS = [
    "searcher", "ablation", "label", "spec", "dataset", "split", "n", "same_answer", "mean_difference", "difference",
    "ci_low", "ci_high", "ci_level", "p", "p_holm", "verdict",
]
# fmt: on
NUMBERS = COLUMNS[COLUMNS.index("mean_difference") : COLUMNS.index("verdict")]


def ablation_table(results: Results) -> pd.DataFrame:
    """One row per ablation x dataset x split, the columns of ablations.csv; empty where there are no ablations.

    Of `n` paired seeds `same_answer` ended with the same function (`SearchSpace.function_name`). `difference` is the
    median over seeds of ablation minus default in accuracy points, `ci_*` its order-statistic interval; p is
    Wilcoxon's signed-rank test, on the test split only, and all of them are one Holm family. The verdict is of the
    ablation against the default.
    """
    rows: list[dict[str, Any]] = []
    default = results.ablated
    for label, name in results.ablations.items() if default else ():
        assert default is not None
        same = _same_answers(results.space, results.runs(default.label), results.runs(label))
        for dataset, split in results.columns:
            whole, part = (scores_by_seed(results.runs(owner), dataset, split) for owner in (default.label, label))
            seeds = sorted(whole.keys() & part.keys())
            a, b = [part[s] for s in seeds], [whole[s] for s in seeds]
            shift = inference.summary([x - y for x, y in zip(a, b, strict=True)])
            test = inference.compare_paired(a, b) if split == "test" else inference.UNTESTED
            rows.append(
                {"searcher": default.spec, "ablation": name, "label": label, "spec": results.specs[label]}
                | {"dataset": dataset, "split": split, "n": shift.n, "same_answer": same}
                | {"mean_difference": shift.mean, "difference": shift.median}
                | {"ci_low": shift.ci_low, "ci_high": shift.ci_high, "ci_level": shift.ci_level}
                | {"p": test.p, "test": test, "a": a, "b": b}
            )
    tested = [row for row in rows if row["split"] == "test"]
    for row, p in zip(tested, inference.holm([row["p"] for row in tested]), strict=True):
        row |= {"p_holm": p, "verdict": inference.verdict(row["a"], row["b"], row["test"], p)}
    return pd.DataFrame(rows, columns=COLUMNS).astype(dict.fromkeys(NUMBERS, "float64"))


def _same_answers(space: SearchSpace, default: Sequence[Record], ablation: Sequence[Record]) -> int:
    answers = [{r.seed: named(space, r.cell, r.index) for r in runs} for runs in (default, ablation)]
    pairs = [(answers[0][seed], answers[1][seed]) for seed in answers[0].keys() & answers[1].keys()]
    return sum(a == b or bool(a and b and space.function_name(a) == space.function_name(b)) for a, b in pairs)


def sentences(frame: pd.DataFrame) -> list[str]:
    """The results of `ablation_table` in words.

    Each ablation that differs significantly from the default has a sentence. All others share one, and those with too
    few pairs for any test share another.
    """
    tested = frame[frame["split"] == "test"]
    needed = pairs_needed(len(tested)) if len(tested) else 0
    distinct: list[str] = []
    others: list[str] = []
    few: list[str] = []
    for name, part in tested.groupby("ablation", sort=False):
        rows = [row for row in part.to_dict("records") if row["verdict"] in ("better", "worse")]
        verdicts = [
            f"{row['verdict']} on {row['dataset']} (median {numbers.signed(row['difference'])} points, mean "
            f"{numbers.signed(row['mean_difference'])}, {numbers.p_text(row['p_holm'])}, n = {row['n']})"
            for row in rows
        ]
        if rows:
            distinct.append(f"{rows[0]['searcher']}, {name}: {'; '.join(verdicts)}.")
        else:
            (others if part["n"].max() >= needed else few).append(str(name))
    if others:
        distinct.append(f"Not distinguishable from {frame['searcher'].iloc[0]}: {'; '.join(others)}.")
    if few:
        distinct.append(f"Too few pairs to say, below {needed}: {'; '.join(few)}.")
    return distinct
