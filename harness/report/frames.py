"""Records of a campaign as tables for programs: pandas frames with the columns of the CSV files.

Accuracies are in percent, seconds are means per run. Measured and simulated seconds stand in columns of their own and
are never added.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable

import pandas as pd

from harness.cells import named
from harness.report import bias, collapse, inference
from harness.report.variance import training_variance
from harness.results import MEAN, Results, cells_held
from harness.schema import Column

# fmt: off
TABLE_COLUMNS = [
    "searcher", "label", "kind", "search_dataset", "dataset", "split", "epochs", "n", "mean", "std", "median",
    "ci_low", "ci_high", "ci_level", "regret", "mean_without_none", "std_without_none",
    "search_seconds", "simulated_seconds", "evaluations", "iqm", "iqm_low", "iqm_high",
    "relative_improvement", "beaten", "benchmark", "table_sha256", "table_cells",
    "collapsed", "collapsed_low", "collapsed_high", "training_std",
]
TEXT_COLUMNS = {
    "searcher", "label", "kind", "search_dataset", "dataset", "split", "a", "b", "test", "verdict", "modal_cell",
    "benchmark", "table_sha256", "endpoint", "posthoc", "clock",
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
COUNT_COLUMNS = {"n", "n_a", "n_b", "collapsed", "disconnected", "at_chance", "distinct_cells"}
COSTS = {"search_seconds": "search s", "simulated_seconds": "simulated s", "evaluations": "evaluations"}

Scores = dict[tuple[str, str, str, bool], list[float]]  # (label, dataset, split, without_none) -> a value a seed


def group_scores(results: Results) -> Scores:
    """Final scores of the finished runs, a value a seed."""
    groups: Scores = defaultdict(list)
    for r in results.finished:
        for s in r.scores:
            groups[r.label, s.dataset, s.split, s.without_none].append(s.value)
    return groups


def results_table(results: Results) -> pd.DataFrame:
    """One row per searcher, data set and split, with the columns of table.csv; NaN where there is no value.

    `collapsed` are runs, its interval Clopper and Pearson's in percent; `training_std` is what of `std` the answers'
    own final trainings make. Where the primary endpoint is the mean of the data sets it has rows of its own.
    """
    groups = group_scores(results)
    epochs: dict[tuple[str, str], int] = {(s.dataset, s.split): s.epochs for r in results.finished for s in r.scores}
    columns = [*results.columns, (MEAN, "test")] if results.endpoint == MEAN else results.columns
    rows = []
    for searcher in results.searchers:
        label = searcher.label
        runs = results.runs(label)
        low, high = collapse.interval(sum(r.collapsed for r in runs), len(runs)) if searcher.uses_seed else (None, None)
        fallen = {"collapsed": sum(r.collapsed for r in runs), "collapsed_low": low, "collapsed_high": high}
        costs = {name: _average(getattr(r, name) for r in runs) for name in COSTS}
        for dataset, split in columns:
            values = groups.get((label, dataset, split, False), [])
            if dataset == MEAN:
                values = list(results.outcomes(label, MEAN).values())
            part = training_variance(runs, dataset, split, results.table(dataset, split))
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
                | fallen
                | {"training_std": part and part**0.5}
            )
    return frame_of(rows, TABLE_COLUMNS)


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
    return frame_of(rows, [*ANSWERS, *space.operations, *SEARCHES, *bias.columns(space)])


def _average(values: Iterable[float | None]) -> float | None:
    numbers = [v for v in values if v is not None]
    return sum(numbers) / len(numbers) if numbers else None


def frame_of(rows: list[dict], columns: list[str]) -> pd.DataFrame:
    """The rows as a frame: text, whole numbers, or numbers that may be NaN, as the column is."""
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
