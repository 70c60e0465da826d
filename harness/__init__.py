"""Campaigns: run searchers over seeds, keep the records, compare and show them.

`harness.load(DIR)` reads a campaign into pandas.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False  # no imports but these two: until the command's first line Ctrl-C still shows a traceback
if TYPE_CHECKING:
    from os import PathLike

    import pandas as pd


def _in_the_way() -> str | None:
    """A line that names the folder or file which Python finds in the place of our `benchmarks` or `searchers`."""
    for name in ("benchmarks", "searchers"):
        spec = getattr(sys.modules.get(name), "__spec__", None)
        spec = spec or next((s for finder in sys.meta_path if (s := finder.find_spec(name, None))), None)
        places = [] if spec is None else [*(spec.submodule_search_locations or [spec.origin or "?"])]
        own = os.path.join(os.path.dirname(os.path.dirname(os.path.realpath(__file__))), name)
        if own not in map(os.path.realpath, places):
            where = f"{places[0]} is found before it" if places else f"there is no {own}"
            return f"harness needs its own package {name!r}, but {where}; rename it, or start Python elsewhere"
    return None


if (line := _in_the_way()) is not None:
    if os.path.basename(sys.argv[0]) in ("harness", "-m"):  # the command; elsewhere the program that imports us decides
        print(f"error: {line}", file=sys.stderr)
        raise SystemExit(2)
    raise ImportError(line)


def load(folder: str | PathLike[str]) -> pd.DataFrame:
    """A campaign's scores, one row per run × data set × split × derivation.

    Columns: searcher, label, spec, kind, seed, status, cell, index, collapsed, disconnected, at_chance (no better than
    a guess at the end), search_dataset, search_seconds, simulated_seconds, evaluations, train_images, eval_images,
    alpha_entropy, alpha_change, one_shot_spearman; benchmark and table_sha256, which say what the scores are from; then
    dataset, split, without_none, epochs, trials, value (accuracy in percent). `label` is the name of the runs' folder
    (darts-e43851f9); `spec` says it readably (darts[order=2]), and is what the CSV files have as label.

    A failed run is one row without score. Records that are damaged, copies or of another campaign are left out, each
    with a UserWarning. Raises benchmarks.errors.UserError where there is no campaign.
    """
    import warnings
    from pathlib import Path

    import pandas as pd

    from harness import results

    about = ("searcher", "label", "spec", "kind", "seed", "status", "cell", "index", "collapsed", "disconnected",
             "at_chance", "search_dataset", "search_seconds", "simulated_seconds", "evaluations", "train_images",
             "eval_images", "alpha_entropy", "alpha_change")  # fmt: skip
    scores = ("dataset", "split", "without_none", "epochs", "trials", "value")
    rows = []
    own, left_out = results.read(Path(folder))
    scored = {"benchmark": own.campaign.benchmark, "table_sha256": own.campaign.table_sha256}
    for text in left_out.values():
        warnings.warn(text, stacklevel=2)
    for record in own.records:
        row = {name: getattr(record, name) for name in about} | {"at_chance": record.guessing} | scored
        row["one_shot_spearman"] = record.one_shot.spearman if record.one_shot else None
        each = [{name: getattr(score, name) for name in scores} for score in record.scores]
        rows += [row | score for score in each or [dict.fromkeys(scores)]]
    return pd.DataFrame(rows, columns=[*about, "one_shot_spearman", *scored, *scores])
