"""Our training-free scores beside the public ones of NASLib: 725 cells on CIFAR-10 at full size, C 16, N 5, 32×32.

    python results/training-free/agreement.py --data DATA --public zero_cost_naslib.csv.gz --seconds 7200
    python results/training-free/agreement.py --data DATA --public zero_cost_naslib.csv.gz --seconds 0

DATA has cifar-10-batches-py; the CSV has columns dataset, index, params, flops, synflow, nwot, jacov, snip, grad_norm.
A line of the JSON file is a cell, in a random order, so that any first part is a sample; the same command again goes on
where it was stopped. At the end, and with 0 seconds only that, the table is printed: Spearman's ρ of our score with the
public one, ours the mean rank of three batches where it needs images, and of each with the cells' accuracy.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from scipy.stats import rankdata, spearmanr

from benchmarks.base import NetworkSize
from benchmarks.images import Batches, search_images
from benchmarks.nb201 import cost, space
from benchmarks.nb201.cell import CONV1, CONV3, edges_in_use
from benchmarks.nb201.splits import official_split
from searchers.zero_cost import SCORES, Batch

SIZE, RESOLUTION = NetworkSize(channels=16, cells=5, in_channels=3, num_classes=10), 32
BATCHES, BATCH = 3, 32  # the scale of NASLib's naswot and jacov is that of 32 images
PUBLIC = {"naswot": "nwot", "synflow": "synflow", "jacov": "jacov", "snip": "snip", "grad_norm": "grad_norm"}
# What NASLib's multiply-adds have besides: of stem, residual blocks and head, of a convolution's ReLU and BN, of a
# pooling. Its cells have 143,360 numbers a node: 3 for each in a convolution, 9 in a pooling.
NASLIB = (160_822, 3 * 143_360, 9 * 143_360)
# Correlation with CIFAR-10 accuracy over the whole space, VKDNW (CVPR 2025), table 1: its own networks and images.
VKDNW = {"flops": 0.799, "naswot": 0.762, "synflow": 0.758, "jacov": 0.800, "snip": 0.591, "grad_norm": 0.438,
         "zen": 0.103, "zico": 0.802}  # fmt: skip


def scores(index: int, batches: list[Batch]) -> dict[str, list[float | None]]:
    """Each score of a cell: once, or for each batch that a score of one batch needs."""
    values: dict[str, list[float | None]] = {}
    for name, score in SCORES.items():
        if name in ("params", "flops"):
            continue
        for k in range(len(batches) if score.batches == 1 else 1):
            torch.manual_seed(k)
            net = space.network(space.parse(index), SIZE)
            value = score.compute(net, batches[k:] or batches)
            values.setdefault(name, []).append(value if math.isfinite(value) else None)
    return values


def has_dead_convolution(index: int) -> bool:
    """Whether some convolution lies on no path; NASLib computes it all the same, and counts its ReLUs."""
    cell = space.parse(index)
    return any(op in (CONV1, CONV3) and not used for op, used in zip(cell, edges_in_use(cell), strict=True))


def table(public: pd.DataFrame, lines: list[dict]) -> pd.DataFrame:
    """A row for each score: cells, cells without a finite score, ρ with the public score, ρ of each with accuracy.

    `without dead` is ρ with the public score over the cells that have no dead convolution.
    """
    frame = public.set_index("index").loc[[line["index"] for line in lines]]
    counts = np.array([space.operation_counts(space.parse(int(index))) for index in frame.index])
    of = dict(zip(space.operations, counts.T, strict=True))
    added = NASLIB[0] + NASLIB[1] * (of["nor_conv_1x1"] + of["nor_conv_3x3"]) + NASLIB[2] * of["avg_pool_3x3"]
    own = {"params": cost.parameters(SIZE)[frame.index], "flops": cost.multiply_adds(SIZE, RESOLUTION)[frame.index]}
    rule = own["flops"] + added
    equal = {
        "params": int((own["params"] == (1e6 * frame["params"]).round()).sum()),
        "flops": int((rule == (1e6 * frame["flops"]).round()).sum()),
    }
    rows = []
    for name in SCORES:
        if name in own:
            ranks, missing = rankdata(own[name]), 0
        else:
            values = np.array([line["scores"][name] for line in lines], dtype=np.float64)
            missing = int(np.isnan(values).any(axis=1).sum())
            ranks = rankdata(np.nan_to_num(values, nan=-np.inf), axis=0).mean(axis=1)
        row = {"score": name, "cells": len(lines), "equal": equal.get(name), "not finite": missing}
        if name in own or name in PUBLIC:
            theirs = frame[PUBLIC.get(name, name)]
            known = theirs.notna().to_numpy()
            row |= {"public ρ": spearmanr(ranks[known], theirs[known]).statistic}
            whole = known & ~np.array([has_dead_convolution(line["index"]) for line in lines])
            row |= {"without dead": spearmanr(ranks[whole], theirs[whole]).statistic}
            row |= {"its ρ with accuracy": spearmanr(theirs[known], frame["val_accuracy"][known]).statistic}
        row |= {"our ρ with accuracy": spearmanr(ranks, frame["val_accuracy"]).statistic, "VKDNW's": VKDNW.get(name)}
        rows.append(row)
    return pd.DataFrame(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--public", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("agreement.jsonl"))
    parser.add_argument("--seconds", type=float, default=math.inf, help="stop after these, at the end of a cell")
    options = parser.parse_args()
    torch.set_num_threads(1)
    public = pd.read_csv(options.public).query("dataset == 'cifar10'")
    lines = [json.loads(text) for text in options.out.read_text().splitlines()] if options.out.exists() else []
    done = {line["index"] for line in lines}
    train, _ = search_images("cifar10", options.data, official_split("cifar10"))
    drawn = Batches(train, BATCH, torch.Generator().manual_seed(0), augmented=False)
    batches = [drawn.next() for _ in range(BATCHES)]
    end = time.monotonic() + options.seconds
    for index in np.random.default_rng(0).permutation(public["index"].to_numpy()).tolist():
        if index not in done and time.monotonic() < end:
            lines.append({"index": index, "scores": scores(index, batches)})
            with options.out.open("a") as file:
                file.write(json.dumps(lines[-1]) + "\n")
    print(table(public, lines).to_string(index=False, float_format="%.3f", na_rep=""))


if __name__ == "__main__":
    main()
