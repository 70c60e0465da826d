"""The picture of what scores like: its numbers are those of diagnostics.csv."""

from __future__ import annotations

import numpy as np
from support.campaigns import make_campaign, make_record, results_of

from benchmarks.nb201 import space
from harness.report import frames, plots_bias


def results():
    rng = np.random.default_rng(0)
    cells = rng.choice(15_625, 40, replace=False).tolist()
    sample = {"cells": cells, "accuracies": rng.uniform(50, 90, 40).tolist(), "losses": rng.uniform(1, 2, 40).tolist()}
    sample |= {"spearman": 0.25, "spearman_good": None}
    records = [make_record("a", 0, 90.0, one_shot=sample), make_record("b", 0, 90.0, "multi-trial")]
    return results_of(records, make_campaign({"a": "one-shot", "b": "multi-trial"}, [0]))


def test_the_truth_stands_above_each_searcher_that_has_scores():
    found = results()
    left, right = plots_bias.liking(found).axes
    assert [label.get_text() for label in left.get_yticklabels()] == ["the table itself", "a (n = 1)"]
    row = frames.diagnostics(found).to_dict("records")[0]
    names = (*space.operations, "parameters")
    drawn = right.images[0].get_array()
    assert drawn[0].tolist() == [row[f"truth_{name}"] for name in names]
    assert drawn[1].tolist() == [row[f"score_{name}"] for name in names]
    assert [text.get_text() for text in left.texts][3:] == [
        "0.25",
        "–",
        f"{row['one_shot_spearman_top']:.2f}".replace("-", "−"),
    ]


def test_without_scores_there_is_no_picture():
    found = results_of([make_record("b", 0, 90.0, "multi-trial")], make_campaign({"b": "multi-trial"}, [0]))
    assert plots_bias.liking(found) is None
