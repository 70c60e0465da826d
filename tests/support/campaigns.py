"""Synthetic records and campaigns, as dicts and as folders."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from harness import schema, store
from harness.report import power
from harness.results import Results
from harness.schema import Campaign, Record

SPACE = {
    "cifar10": (91.61, 94.37, 87.06),
    "cifar100": (73.49, 73.51, 61.41),
    "ImageNet16-120": (46.73, 47.31, 33.59),
}


def make_campaign(searchers: dict[str, str], seeds: list[int], **changes: Any) -> dict:
    """A campaign of name -> kind; three data sets with the optima of the 200-epoch table."""

    def about(optimum: float, mean: float) -> dict:
        quantiles = list(np.linspace(10, optimum, 101))
        return {"epochs": 200, "optimum": {"index": 1, "cell": "|x~0|", "value": optimum}, "mean": mean,
                "quantiles": quantiles}  # fmt: skip

    space = {d: {"valid": about(v, m), "test": about(t, m)} for d, (v, t, m) in SPACE.items()}
    comparisons = (len(searchers) - 1) * len(space)
    return {
        "benchmark": "nb201",
        "table_sha256": "ab" * 32,
        "table_source": "table.npz",
        "search_dataset": "cifar10",
        "preset": {"name": "small", "channels": 8},
        "precision": "fp32",
        "threads": 1,
        "seeds": seeds,
        "searchers": [
            {"label": n, "searcher": n.split("-")[0], "spec": n, "kind": k, "config": {}} for n, k in searchers.items()
        ],
        "space": space,
        "power_note": power.power_note(len(seeds), len(seeds), comparisons),
        "chosen": "nb201: table.npz found",
        "command": "harness run --searchers x --seeds 5",
        "versions": {"torch": "2.13.0", "harness": "0.1.0"},
        "created": "2026-01-01T00:00:00Z",
    } | changes


def make_scores(accuracy: float, without: float | None = None) -> list[dict]:
    """Scores of all columns: test accuracy on cifar10 as given, the others at fixed distances."""
    found = []
    for without_none, base in ((False, accuracy), (True, accuracy if without is None else without)):
        for dataset, shift in (("cifar10", 0.0), ("cifar100", -20.0), ("ImageNet16-120", -47.0)):
            for split, more in (("valid", -2.0), ("test", 0.0)):
                record = "cifar10-valid" if (dataset, split) == ("cifar10", "valid") else dataset
                found.append({"dataset": dataset, "split": split, "epochs": 200, "value": base + shift + more,
                              "trials": 3, "record": record, "without_none": without_none})  # fmt: skip
    return found


def make_record(label: str, seed: int, accuracy: float, kind: str = "one-shot", **changes: Any) -> dict:
    """A finished run whose answer improves once, from 10 points lower, at half of 50 steps."""
    trajectory = []
    for step, value in ((0, accuracy - 10), (25, accuracy)):
        scores = [s for s in make_scores(value) if not s["without_none"]]
        trajectory.append({"step": step, "index": 17, "search_seconds": step * 2.0, "simulated_seconds": 0.0,
                           "evaluations": step, "scores": scores})  # fmt: skip
    return {
        "searcher": label.split("-")[0],
        "label": label,
        "spec": label,
        "kind": kind,
        "config": {},
        "seed": seed,
        "key": f"{label}-{seed}",
        "benchmark": "nb201",
        "search_dataset": "cifar10",
        "preset": {"name": "small", "channels": 8},
        "table_sha256": "ab" * 32,
        "cell": "|nor_conv_3x3~0|+|nor_conv_3x3~0|none~1|+|skip_connect~0|nor_conv_3x3~1|none~2|",
        "index": 9930,
        "cell_without_none": "|...|",
        "index_without_none": 9930,
        "scores": make_scores(accuracy),
        "trajectory": trajectory,
        "steps": 50,
        "search_seconds": 300.0 + seed,
        "simulated_seconds": 0.0 if kind == "one-shot" else 12000.0,
        "evaluations": 1500,
        "train_images": 320000,
        "eval_images": 96000,
        "collapsed": False,
        "status": "done",
        "error": None,
        "environment": {"host": "h", "cpu": "Example CPU", "device": "cpu", "torch": "2.13.0"}
        | {"harness": "0.1.0", "git": "352f11100000", "source": "a49f42c77202"},
    } | changes


def failed(label: str, seed: int, error: str, **changes: Any) -> dict:
    """A run that raised."""
    return make_record(label, seed, 0.0) | {
        "cell": None, "index": None, "cell_without_none": None, "index_without_none": None, "scores": [],
        "trajectory": [], "status": "failed", "error": error} | changes  # fmt: skip


def two_searchers() -> tuple[list[dict], dict]:
    """gicso 90..94, random 92, 93 and three more; kinds differ."""
    records = [make_record("gicso", s, 90.0 + s) for s in range(5)]
    records += [make_record("random", s, v, "multi-trial") for s, v in enumerate([92.0, 93.0, 93.5, 94.0, 94.2])]
    return records, make_campaign({"gicso": "one-shot", "random": "multi-trial"}, [0, 1, 2, 3, 4])


def typed(records: Iterable[dict]) -> list[Record]:
    """The records as values, as they come from a folder."""
    return [schema.parse(Record, record, "here") for record in records]


def results_of(records: Iterable[dict], campaign: dict) -> Results:
    """What tables, plots and pages take."""
    return Results(schema.parse(Campaign, campaign, "here"), typed(records))


def write_campaign(folder: Path, records: list[dict], campaign: dict) -> Path:
    """A campaign's folder as the program leaves it."""
    folder.mkdir()
    store.write_sealed(folder / "campaign.json", campaign)
    for r in records:
        run = folder / "runs" / r["label"] / f"seed-{r['seed']}"
        run.mkdir(parents=True)
        store.write_sealed(run / "record.json", {"key": "0" * 16} | r)
    return folder
