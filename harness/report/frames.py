"""Records of a campaign as tables for programs: pandas frames with the columns of the CSV files.

`records` and `campaign` are the plain dicts of record.json and campaign.json; accuracies are in percent,
seconds are means per run. Measured and simulated seconds stand in columns of their own and are never added.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from benchmarks import registry
from harness.cells import named
from harness.report import inference
from harness.report.notes import UNPAIRED, Asked
from harness.results import (
    Campaign,
    Record,
    at_chance,
    cells_held,
    compared,
    done,
    runs_of,
    score_columns,
    searchers_of,
)

# fmt: off
TABLE_COLUMNS = [
    "searcher", "label", "kind", "search_dataset", "dataset", "split", "epochs", "n", "mean", "std", "median",
    "ci_low", "ci_high", "ci_level", "regret", "mean_without_none", "std_without_none",
    "search_seconds", "simulated_seconds", "evaluations", "iqm", "iqm_low", "iqm_high",
    "relative_improvement", "beaten", "benchmark", "table_sha256", "table_cells",
]
COMPARISON_COLUMNS = [
    "dataset", "split", "a", "b", "n_a", "n_b", "test", "p", "p_holm",
    "effect", "effect_low", "effect_high", "margin", "p_equivalence", "verdict",
]
RANK_COLUMNS = ["dataset", "seeds", "friedman_p", "a", "b", "rank_a", "rank_b", "nemenyi_p"]
TEXT_COLUMNS = {
    "searcher", "label", "kind", "search_dataset", "dataset", "split", "a", "b", "test", "verdict", "modal_cell",
    "benchmark", "table_sha256",
}
# fmt: on
ANSWERS = [
    *("searcher", "label", "n", "collapsed", "disconnected", "at_chance"),
    *("distinct_cells", "modal_cell", "modal_share"),
]
SEARCHES = [  # of diagnostics.csv, behind a column for each operation of the space
    *("answer_changes", "queried_cells", "queried_canonical", "alpha_entropy", "alpha_change"),
    *("one_shot_spearman", "one_shot_spearman_good"),
]
AVERAGED = ("queried_cells", "queried_canonical", "alpha_entropy", "alpha_change")  # as they stand in a record
OPTIONAL_COUNTS = {"epochs", "table_cells"}
COUNT_COLUMNS = {"n", "n_a", "n_b", "collapsed", "disconnected", "at_chance", "distinct_cells", "seeds"}
COSTS = {"search_seconds": "search s", "simulated_seconds": "simulated s", "evaluations": "evaluations"}

Scores = dict[tuple[str, str, str, bool], list[float]]  # (label, dataset, split, without_none) -> a value a seed


def group_scores(records: Sequence[Record]) -> Scores:
    """Final scores of the finished runs, a value a seed."""
    groups: Scores = defaultdict(list)
    for r in done(records):
        for s in r["scores"]:
            groups[r["label"], s["dataset"], s["split"], s["without_none"]].append(s["value"])
    return groups


def group_scores_by_seed(runs: Sequence[Record], dataset: str, split: str) -> dict[int, float]:
    """Seed -> final score of finished runs of one searcher, `none` kept."""
    return {
        r["seed"]: s["value"]
        for r in done(runs)
        for s in r["scores"]
        if (s["dataset"], s["split"], s["without_none"]) == (dataset, split, False)
    }


def results_table(records: Sequence[Record], campaign: Campaign) -> pd.DataFrame:
    """One row per searcher x dataset x split with the columns of table.csv; NaN where nothing can be said."""
    groups = group_scores(records)
    epochs = {(s["dataset"], s["split"]): s["epochs"] for r in done(records) for s in r["scores"]}
    rows = []
    for searcher in searchers_of(records, campaign):
        label = searcher["label"]
        runs = runs_of(records, label)
        known = {name: [r[name] for r in runs if r.get(name) is not None] for name in COSTS}
        costs = {name: inference.summary(values).mean for name, values in known.items()}
        for dataset, split in score_columns(records, campaign):
            values = groups.get((label, dataset, split, False), [])
            without = inference.summary(groups.get((label, dataset, split, True), []))
            about = campaign["space"].get(dataset, {}).get(split)
            rows.append(
                {"searcher": searcher["searcher"], "label": label, "kind": searcher["kind"]}
                | {"search_dataset": campaign["search_dataset"], "dataset": dataset, "split": split}
                | {"epochs": epochs.get((dataset, split), about["epochs"] if about else None)}
                | inference.summary(values)._asdict()
                | {"regret": inference.regret(about["optimum"]["value"], values) if about else None}
                | {"mean_without_none": without.mean, "std_without_none": without.std}
                | costs
                | _standing(values, about)
                | {"benchmark": campaign["benchmark"], "table_sha256": campaign["table_sha256"]}
                | {"table_cells": cells_held(about, campaign) if about else None}
            )
    return _frame(rows, TABLE_COLUMNS)


def _standing(values: list[float], about: dict[str, Any] | None) -> dict[str, float | None]:
    """Where the answers stand in the table: relative improvement over the mean cell, % of cells beaten (mean)."""
    mean, (low, high) = inference.summary(values).mean, inference.iqm_interval(values)
    found: dict[str, float | None] = {"iqm": inference.iqm(values), "iqm_low": low, "iqm_high": high}
    if about is None or mean is None:
        return found | {"relative_improvement": None, "beaten": None}
    beaten = [inference.beaten(v, about["quantiles"]) for v in values]
    over = 100 * (mean - about["mean"])
    return found | {
        "relative_improvement": over / about["mean"] if about["mean"] else None,  # Yang et al., ICLR 2020
        "beaten": sum(beaten) / len(beaten),
    }


def comparisons(records: Sequence[Record], campaign: Campaign, asked: Asked = UNPAIRED) -> pd.DataFrame:
    """The first searcher against each other one, per dataset on the test split; all of it is one Holm family.

    A margin also asks whether the two are equivalent (two one-sided tests; `p_equivalence` is after Holm in a family of
    their own). Ablations have a table and a family to themselves. Imported cells are never paired: a seed of other code
    is another draw.
    """
    reference, *others = compared(records, campaign)
    datasets = [d for d, split in score_columns(records, campaign) if split == "test"]
    pairs = [(d, o["label"], *_compared(records, (reference, o), d, asked)) for o in others for d in datasets]
    adjusted = inference.holm([test.p for *_, test, _ in pairs])
    equivalence = inference.holm([same for *_, same in pairs])
    rows = [
        {"dataset": dataset, "split": "test", "a": reference["label"], "b": other, "n_a": len(a), "n_b": len(b)}
        | test._asdict()
        | {"margin": asked.margin, "p_equivalence": same}
        | {"p_holm": p, "verdict": inference.verdict(a, b, test, p, same)}
        for (dataset, other, a, b, test, _), p, same in zip(pairs, adjusted, equivalence, strict=True)
    ]
    return _frame(rows, COMPARISON_COLUMNS)


def _compared(
    records: Sequence[Record], searchers: tuple[dict, dict], dataset: str, asked: Asked
) -> tuple[list[float], list[float], inference.Comparison, float | None]:
    """Test scores of two searchers, their test, and p of equivalence; paired ones at the seeds that both have."""
    runs = ([r for r in records if r["label"] == s["label"]] for s in searchers)
    a, b = (group_scores_by_seed(found, dataset, "test") for found in runs)
    x, y = list(a.values()), list(b.values())
    if not asked.paired or any(s["kind"] == "imported" for s in searchers):
        same = None if asked.margin is None else inference.equivalence_p(x, y, asked.margin)
        return x, y, inference.compare(x, y), same
    seeds = sorted(a.keys() & b.keys())
    x, y = [a[s] for s in seeds], [b[s] for s in seeds]
    differences = [u - v for u, v in zip(x, y, strict=True)]
    same = None if asked.margin is None else inference.paired_equivalence_p(differences, asked.margin)
    return x, y, inference.compare_paired(x, y), same


def runs_table(records: Sequence[Record], campaign: Campaign) -> pd.DataFrame:
    """runs.csv: one row per run with its answer, its final scores (columns `<dataset> <split>`) and what it cost."""
    about = ["searcher", "label", "spec", "kind", "seed", "status", "index", "cell", "collapsed", "at_chance",
             "search_seconds", "simulated_seconds", "evaluations", "train_images", "eval_images"]  # fmt: skip
    columns = score_columns(records, campaign)
    rows = []
    for r in records:
        scores = {(s["dataset"], s["split"]): s["value"] for s in r["scores"] if not s["without_none"]}
        own = r | {"at_chance": at_chance(r)}
        rows.append([*(own.get(name) for name in about), *(scores.get(column) for column in columns)])
    frame = pd.DataFrame(rows, columns=[*about, *(f"{d} {s}" for d, s in columns)])
    return frame.astype(dict.fromkeys(("index", "evaluations", "train_images", "eval_images"), "Int64"))


def rank_tests(records: Sequence[Record], campaign: Campaign) -> tuple[list[dict], dict[str, inference.Ranks]]:
    """The searchers that have runs; data set -> their Friedman and Nemenyi over the seeds that all of them have (test).

    The data sets are no blocks of one test: their columns come from the same searches. Imported cells are left out:
    a seed of other code is another draw.
    """
    having = {r["label"] for r in done(records) if r["kind"] != "imported"}
    ranked = [s for s in searchers_of(records, campaign) if s["label"] in having]
    found = {}
    for dataset in (d for d, split in score_columns(records, campaign) if split == "test"):
        runs = ([r for r in records if r["label"] == s["label"]] for s in ranked)
        by_seed = [group_scores_by_seed(own, dataset, "test") for own in runs]
        seeds = sorted(set.intersection(*map(set, by_seed))) if by_seed else []
        blocks = [[values[seed] for values in by_seed] for seed in seeds]
        found[dataset] = inference.rank_blocks(np.array(blocks).reshape(len(seeds), len(ranked)))
    return ranked, found


def ranks_table(records: Sequence[Record], campaign: Campaign) -> pd.DataFrame:
    """ranks.csv: one row per data set x pair of searchers, the better ranked one first; empty without a test."""
    ranked, tests = rank_tests(records, campaign)
    rows = []
    for dataset, found in tests.items():
        if found.nemenyi_p is None:
            continue
        order = np.argsort(found.mean, kind="stable")
        for i, j in combinations(order, 2):
            about = {"dataset": dataset, "seeds": found.blocks, "friedman_p": found.friedman_p}
            pair = {"a": ranked[i]["label"], "b": ranked[j]["label"], "nemenyi_p": found.nemenyi_p[i, j]}
            rows.append(about | pair | {"rank_a": found.mean[i], "rank_b": found.mean[j]})
    return _frame(rows, RANK_COLUMNS)


def diagnostics(records: Sequence[Record], campaign: Campaign) -> pd.DataFrame:
    """One row per searcher with the columns of diagnostics.csv: what its searches did, means over finished runs.

    Operations are edges of the answered cells; `modal_*` is the commonest answer; `queried_*` are the different cells
    that the proxy was asked for, and how many of them are not isomorphic (NATS-Bench's canonical form). NaN where a
    kind of searcher has no such thing (multi-trial ones have no supernet, imported cells no search).
    """
    space = registry.find(campaign["benchmark"]).space
    rows = []
    for searcher in searchers_of(records, campaign):
        runs = runs_of(records, searcher["label"])
        counts = [space.operation_counts(cell) for r in runs if (cell := named(space, r)) is not None]
        cells = Counter(r["cell"] for r in runs)
        modal, times = cells.most_common(1)[0] if cells else ("", 0)
        one_shot = [r["one_shot"] for r in runs if r.get("one_shot")]
        row = {"searcher": searcher["spec"], "label": searcher["label"], "n": len(runs)}
        row |= {name: sum(bool(r.get(name)) for r in runs) for name in ("collapsed", "disconnected")}
        row |= {"at_chance": sum(map(at_chance, runs))}
        row |= {"distinct_cells": len(cells), "modal_cell": modal, "modal_share": times / len(runs) if runs else None}
        row |= {op: _average([c[k] for c in counts]) for k, op in enumerate(space.operations)}
        row |= {"answer_changes": _average([len(r["trajectory"]) - 1 for r in runs if r["trajectory"]])}
        row |= {name: _average([r.get(name) for r in runs]) for name in AVERAGED}
        row |= {f"one_shot_{k}": _average([o[k] for o in one_shot]) for k in ("spearman", "spearman_good")}
        rows.append(row)
    return _frame(rows, [*ANSWERS, *space.operations, *SEARCHES])


def _average(values: Iterable[float | None]) -> float | None:
    known = [v for v in values if v is not None]
    return sum(known) / len(known) if known else None


def _frame(rows: list[dict], columns: list[str]) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=columns)
    kinds = {c: "int64" if c in COUNT_COLUMNS else "float64" for c in columns if c not in TEXT_COLUMNS}
    frame = frame.astype(kinds)
    return frame.astype(dict.fromkeys(OPTIONAL_COUNTS & {*columns}, "Int64"))


def to_csv(frame: pd.DataFrame) -> str:
    """CSV text; empty where there is no value, ten digits (0.1 + 0.2 is written 0.3)."""
    return frame.to_csv(index=False, float_format="%.10g", lineterminator="\n")


def with_specs(frame: pd.DataFrame, records: Sequence[Record], campaign: Campaign) -> pd.DataFrame:
    """The frame as CSV files show it: searchers by spec, `darts[order=2]`, and not by the label that names a folder."""
    specs = {s["label"]: s["spec"] for s in searchers_of(records, campaign)}
    return frame.assign(**{name: frame[name].replace(specs) for name in ("label", "a", "b") if name in frame})
