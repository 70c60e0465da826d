"""What a searcher loses without each of its parts: every ablation against the default, paired by seed.

A campaign of `harness ablate` says in campaign.json which row is the default and what each of the others leaves out:
`"ablations": {"of": label, "rows": {label: what is taken away}}`.
"""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from harness import statistics
from harness.readable import EMPTY, Cell, Group, ReadableTable, Row
from harness.remarks import Campaign, Note, Record, done, score_columns
from harness.tables import group_scores_by_seed

# fmt: off
COLUMNS = [
    "searcher", "ablation", "dataset", "split", "n", "same_cell", "mean_difference", "difference", "ci_low", "ci_high",
    "ci_level", "p", "p_holm",
]
# fmt: on


def ablation_table(records: Sequence[Record], campaign: Campaign) -> pd.DataFrame:
    """One row per ablation x dataset x split, the columns of ablations.csv; empty where there are no ablations.

    Of `n` paired seeds `same_cell` ended with the same cell. `difference` is the median over seeds of ablation minus
    default in accuracy points, `ci_*` its order-statistic interval; p is Wilcoxon's signed-rank test, on the test
    split only, and all of them are one Holm family.
    """
    about = campaign.get("ablations")
    if about is None:
        return pd.DataFrame(columns=COLUMNS)
    searcher = next(s for s in campaign["searchers"] if s["label"] == about["of"])
    cells = {(r["label"], r["seed"]): r["index"] for r in done(records)}
    rows = []
    for label, name in about["rows"].items():
        for dataset, split in score_columns(records, campaign):
            with_it, without_it = (
                group_scores_by_seed([r for r in records if r["label"] == owner], dataset, split)
                for owner in (about["of"], label)
            )
            seeds = sorted(with_it.keys() & without_it.keys())
            differences = [without_it[s] - with_it[s] for s in seeds]
            found = statistics.summary(differences)
            rows.append(
                {"searcher": searcher["spec"], "ablation": name, "dataset": dataset, "split": split, "n": found.n}
                | {"same_cell": sum(cells[label, s] == cells[about["of"], s] for s in seeds)}
                | {"mean_difference": found.mean, "difference": found.median}
                | {"ci_low": found.ci_low, "ci_high": found.ci_high, "ci_level": found.ci_level}
                | {"p": statistics.signed_rank(differences) if split == "test" else None}
            )
    frame = pd.DataFrame(rows)
    tests = frame["split"] == "test"
    frame["p_holm"] = None
    frame.loc[tests, "p_holm"] = statistics.holm([None if pd.isna(p) else p for p in frame.loc[tests, "p"]])
    kinds = dict.fromkeys(COLUMNS[COLUMNS.index("mean_difference") :], "float64")
    return frame[COLUMNS].astype(kinds)


def readable_ablations(frame: pd.DataFrame) -> ReadableTable:
    """The test split of `ablation_table` as one table for Markdown, LaTeX and HTML."""
    tests = frame[frame["split"] == "test"]
    columns = list(dict.fromkeys(zip(tests["dataset"], tests["split"], strict=True)))
    rows = []
    for name, part in tests.groupby("ablation", sort=False):
        by_dataset = part.set_index("dataset")
        cells = [_cell(by_dataset.loc[dataset]) for dataset, _ in columns]
        same = f"same cell at {part['same_cell'].max()} of {part['n'].max()}"
        rows.append(Row(str(name), same, [Cell(str(int(part["n"].max()))), *cells]))
    searcher = tests["searcher"].iloc[0]
    caption = f"{searcher} without its parts: ablation minus default in accuracy points, over paired seeds"
    level = tests["ci_level"].max()
    interval = (
        "of too few pairs for an interval" if pd.isna(level) else f"[its order-statistic interval, level {level:.3f}]"
    )
    text = (
        "The median difference {}, the mean one, and p: Wilcoxon's signed-rank test, exact, after Holm over {} tests; "
        "bold: p ≤ {}. Below 6 pairs no p can reach 0.05: there the intervals are all that is said."
    )
    notes = [Note(text, interval, len(tests), statistics.ALPHA)]
    return ReadableTable(caption, columns, [Group("ablation", rows)], costs=[], footnotes=notes)


def _cell(row: pd.Series) -> Cell:
    if pd.isna(row["difference"]):
        return Cell(EMPTY)
    text = f"{row['difference']:+.2f}"
    if not pd.isna(row["ci_low"]):
        text += f" [{row['ci_low']:+.2f}, {row['ci_high']:+.2f}]"
    text += f", {row['mean_difference']:+.2f}"
    if pd.isna(row["p_holm"]):
        return Cell(text)
    p = "p < 0.001" if row["p_holm"] < 0.001 else f"p = {row['p_holm']:.2g}"
    return Cell(f"{text}, {p}", bool(row["p_holm"] <= statistics.ALPHA))
