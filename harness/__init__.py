"""Campaigns: run searchers over seeds, keep the records, compare and show them.

`harness.load(DIR)` reads a campaign into pandas.
"""

from __future__ import annotations

from os import PathLike
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd


def load(folder: str | PathLike[str]) -> pd.DataFrame:
    """A campaign's scores, one row per run × data set × split × derivation.

    Columns: searcher, label, spec, kind, seed, status, cell, index, collapsed, disconnected, search_dataset,
    search_seconds, simulated_seconds, evaluations, train_images, eval_images, alpha_entropy, alpha_change,
    one_shot_spearman; then dataset, split, without_none, epochs, trials, value (accuracy in percent). A failed run is
    one row without score. Records that are damaged, copies or of another campaign are left out, each with a
    UserWarning. Raises benchmarks.base.UserError where there is no campaign.
    """
    import warnings
    from pathlib import Path

    import pandas as pd

    from harness import store

    about = ("searcher", "label", "spec", "kind", "seed", "status", "cell", "index", "collapsed", "disconnected",
             "search_dataset", "search_seconds", "simulated_seconds", "evaluations", "train_images", "eval_images",
             "alpha_entropy", "alpha_change")  # fmt: skip
    scores = ("dataset", "split", "without_none", "epochs", "trials", "value")
    rows = []
    records, left_out = store.load_records(Path(folder))
    for text in left_out.values():
        warnings.warn(text, stacklevel=2)
    for record in records:
        row = {name: record.get(name) for name in about}
        row["one_shot_spearman"] = (record.get("one_shot") or {}).get("spearman")
        rows += [row | {name: score[name] for name in scores} for score in record["scores"] or [dict.fromkeys(scores)]]
    return pd.DataFrame(rows, columns=[*about, "one_shot_spearman", *scores])
