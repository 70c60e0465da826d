"""Records of a campaign as tables for programs: pandas frames with the columns of the CSV files.

Accuracies are in percent, seconds are means per run. Measured and simulated seconds stand in columns of their own and
are never added.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from itertools import combinations

import numpy as np
import pandas as pd

from harness.cells import named
from harness.report import bias, inference
from harness.report.notes import UNPAIRED, Question
from harness.results import Results, cells_held
from harness.schema import Column, Entrant, Record

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


def group_scores(results: Results) -> Scores:
    """Final scores of the finished runs, a value a seed."""
    groups: Scores = defaultdict(list)
    for r in results.finished:
        for s in r.scores:
            groups[r.label, s.dataset, s.split, s.without_none].append(s.value)
    return groups


def scores_by_seed(runs: Iterable[Record], dataset: str, split: str = "test") -> dict[int, float]:
    """Seed -> final score of finished runs of one searcher, `none` kept."""
    scores = {r.seed: r.final(dataset, split) for r in runs if r.finished}
    return {seed: score for seed, score in scores.items() if score is not None}


def results_table(results: Results) -> pd.DataFrame:
    """One row per searcher, data set and split, with the columns of table.csv; NaN where there is no value."""
    groups = group_scores(results)
    epochs: dict[tuple[str, str], int] = {(s.dataset, s.split): s.epochs for r in results.finished for s in r.scores}
    rows = []
    for searcher in results.searchers:
        label = searcher.label
        runs = results.runs(label)
        costs = {name: _average(getattr(r, name) for r in runs) for name in COSTS}
        for dataset, split in results.columns:
            values = groups.get((label, dataset, split, False), [])
            without = inference.summary(groups.get((label, dataset, split, True), []))
            table = results.table(dataset, split)
            rows.append(
                {"searcher": searcher.searcher, "label": label, "kind": searcher.kind}
                | {"search_dataset": results.campaign.search_dataset, "dataset": dataset, "split": split}
                | {"epochs": epochs.get((dataset, split)) or (table.epochs if table else None)}
                | inference.summary(values)._asdict()
                | {"regret": inference.regret(table.optimum.value, values) if table else None}
                | {"mean_without_none": without.mean, "std_without_none": without.std}
                | costs
                | _standing(values, table)
                | {"benchmark": results.campaign.benchmark, "table_sha256": results.campaign.table_sha256}
                | {"table_cells": cells_held(table, results.campaign) if table else None}
            )
    return _frame(rows, TABLE_COLUMNS)


def _standing(values: list[float], table: Column | None) -> dict[str, float | None]:
    """Interquartile mean of the scores, their improvement over the table's mean cell, mean % of cells beaten."""
    mean, (low, high) = inference.summary(values).mean, inference.iqm_interval(values)
    standing: dict[str, float | None] = {"iqm": inference.iqm(values), "iqm_low": low, "iqm_high": high}
    if table is None or mean is None:
        return standing | {"relative_improvement": None, "beaten": None}
    beaten = [inference.beaten(v, table.quantiles) for v in values]
    over = 100 * (mean - table.mean)
    return standing | {
        "relative_improvement": over / table.mean if table.mean else None,  # Yang et al., ICLR 2020
        "beaten": sum(beaten) / len(beaten),
    }


def comparisons(results: Results, question: Question = UNPAIRED) -> pd.DataFrame:
    """The first searcher against each other one on each data set's test split; all these tests are one Holm family.

    A margin also asks whether the two are equivalent (two one-sided tests; `p_equivalence` is after Holm in a family of
    their own). Ablations have a table and a family to themselves. Imported cells are never paired: a seed of other code
    is another draw.
    """
    reference, *others = results.compared
    pairs = [(d, o.label, *_compared(results, (reference, o), d, question)) for o in others for d in results.datasets]
    adjusted = inference.holm([test.p for *_, test, _ in pairs])
    equivalence = inference.holm([same for *_, same in pairs])
    rows = [
        {"dataset": dataset, "split": "test", "a": reference.label, "b": other, "n_a": len(a), "n_b": len(b)}
        | test._asdict()
        | {"margin": question.margin, "p_equivalence": same}
        | {"p_holm": p, "verdict": inference.verdict(a, b, test, p, same)}
        for (dataset, other, a, b, test, _), p, same in zip(pairs, adjusted, equivalence, strict=True)
    ]
    return _frame(rows, COMPARISON_COLUMNS)


def _compared(
    results: Results, searchers: tuple[Entrant, Entrant], dataset: str, question: Question
) -> tuple[list[float], list[float], inference.Comparison, float | None]:
    """Test scores of two searchers, their test, and p of equivalence; paired ones at the seeds that both have."""
    a, b = (scores_by_seed(results.runs(s.label), dataset) for s in searchers)
    x, y = list(a.values()), list(b.values())
    if not question.paired or any(s.kind == "imported" for s in searchers):
        same = None if question.margin is None else inference.equivalence_p(x, y, question.margin)
        return x, y, inference.compare(x, y), same
    seeds = sorted(a.keys() & b.keys())
    x, y = [a[s] for s in seeds], [b[s] for s in seeds]
    differences = [u - v for u, v in zip(x, y, strict=True)]
    same = None if question.margin is None else inference.paired_equivalence_p(differences, question.margin)
    return x, y, inference.compare_paired(x, y), same


def runs_table(results: Results) -> pd.DataFrame:
    """runs.csv: one row per run with its answer, its final scores (columns `<dataset> <split>`) and its costs."""
    fields = ["searcher", "label", "spec", "kind", "seed", "status", "index", "cell", "collapsed", "at_chance",
              "search_seconds", "simulated_seconds", "evaluations", "train_images", "eval_images"]  # fmt: skip
    rows = []
    for r in results.records:
        row = {name: getattr(r, name) for name in fields} | {"at_chance": r.guessing}
        rows.append([*row.values(), *(r.final(*column) for column in results.columns)])
    frame = pd.DataFrame(rows, columns=[*fields, *(f"{d} {s}" for d, s in results.columns)])
    return frame.astype(dict.fromkeys(("index", "evaluations", "train_images", "eval_images"), "Int64"))


def rank_tests(results: Results) -> tuple[list[Entrant], dict[str, inference.Ranks]]:
    """The searchers with finished runs, and for each data set the Friedman and Nemenyi tests of their test scores.

    The blocks are the seeds that all these searchers have finished. The data sets are no blocks of one test, since
    their columns come from the same searches. Imported cells are left out: a seed of other code is another draw.
    """
    ranked = [s for s in results.searchers if s.kind != "imported" and results.runs(s.label)]
    tests = {}
    for dataset in results.datasets:
        by_seed = [scores_by_seed(results.runs(s.label), dataset) for s in ranked]
        seeds = sorted(set.intersection(*map(set, by_seed))) if by_seed else []
        blocks = [[values[seed] for values in by_seed] for seed in seeds]
        tests[dataset] = inference.rank_blocks(np.array(blocks).reshape(len(seeds), len(ranked)))
    return ranked, tests


def ranks_table(results: Results) -> pd.DataFrame:
    """ranks.csv: one row per data set and pair of searchers, the better ranked one first; empty without a test."""
    ranked, tests = rank_tests(results)
    rows = []
    for dataset, test in tests.items():
        if test.nemenyi_p is None:
            continue
        order = np.argsort(test.mean, kind="stable")
        for i, j in combinations(order, 2):
            about = {"dataset": dataset, "seeds": test.blocks, "friedman_p": test.friedman_p}
            pair = {"a": ranked[i].label, "b": ranked[j].label, "nemenyi_p": test.nemenyi_p[i, j]}
            rows.append(about | pair | {"rank_a": test.mean[i], "rank_b": test.mean[j]})
    return _frame(rows, RANK_COLUMNS)


def diagnostics(results: Results) -> pd.DataFrame:
    """One row per searcher with the columns of diagnostics.csv: means over its finished runs.

    Operations are edges of the answered cells; `modal_*` is the commonest answer; `queried_*` are the different cells
    that the proxy was asked for, and how many of them are not isomorphic (NATS-Bench's canonical form). NaN where a
    kind of searcher has no such thing (multi-trial ones have no supernet, imported cells no search).
    """
    space = results.space
    rows = []
    for searcher in results.searchers:
        runs = results.runs(searcher.label)
        answers = [named(space, r.cell, r.index) for r in runs]
        counts = [space.operation_counts(cell) for cell in answers if cell is not None]
        cells = Counter(r.cell for r in runs)
        modal, times = cells.most_common(1)[0] if cells else ("", 0)
        one_shot = [r.one_shot for r in runs if r.one_shot]
        row = {"searcher": searcher.spec, "label": searcher.label, "n": len(runs)}
        row |= {name: sum(getattr(r, name) for r in runs) for name in ("collapsed", "disconnected")}
        row |= {"at_chance": sum(r.guessing for r in runs)}
        row |= {"distinct_cells": len(cells), "modal_cell": modal, "modal_share": times / len(runs) if runs else None}
        row |= {op: _average([c[k] for c in counts]) for k, op in enumerate(space.operations)}
        row |= {"answer_changes": _average([len(r.trajectory) - 1 for r in runs if r.trajectory])}
        row |= {name: _average([getattr(r, name) for r in runs]) for name in AVERAGED}
        row |= {f"one_shot_{k}": _average([getattr(o, k) for o in one_shot]) for k in ("spearman", "spearman_good")}
        rows.append(row | bias.row(results, runs))
    return _frame(rows, [*ANSWERS, *space.operations, *SEARCHES, *bias.columns(space)])


def _average(values: Iterable[float | None]) -> float | None:
    numbers = [v for v in values if v is not None]
    return sum(numbers) / len(numbers) if numbers else None


def _frame(rows: list[dict], columns: list[str]) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=columns)
    kinds = {c: "int64" if c in COUNT_COLUMNS else "float64" for c in columns if c not in TEXT_COLUMNS}
    frame = frame.astype(kinds)
    return frame.astype(dict.fromkeys(OPTIONAL_COUNTS & {*columns}, "Int64"))


def to_csv(frame: pd.DataFrame) -> str:
    """The frame as CSV text: an empty field where there is no value, ten digits (0.1 + 0.2 is written 0.3)."""
    return frame.to_csv(index=False, float_format="%.10g", lineterminator="\n")


def with_specs(frame: pd.DataFrame, results: Results) -> pd.DataFrame:
    """The frame with each searcher's spec, e.g. `darts[order=2]`, in place of its label, which names a folder."""
    return frame.assign(**{name: frame[name].replace(results.specs) for name in ("label", "a", "b") if name in frame})
