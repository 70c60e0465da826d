"""Does the form of the diversity term matter? G-ICSO-NAS with other measures for `alpha_swarm.relative_distances`.

    python results/gicso-study/diversity_forms.py --seeds 5 --out results/gicso-study/diversity-forms.csv

digits201, small preset, one thread. A row is a run: the answer's validation accuracy in percent, and how many different
cells the swarm held at the end of the exploration. The same command again goes on where it was stopped.
"""

from __future__ import annotations

import argparse
import itertools
from pathlib import Path

import numpy as np
import torch
from rows import appended
from scipy.special import softmax

from benchmarks import registry
from benchmarks.nb201 import cell as cells
from harness import campaign, options, runner
from harness.specs import parse_specs
from searchers import alpha_swarm, base, catalogue


def softmaxed(positions: np.ndarray) -> np.ndarray:
    return softmax(positions.reshape(-1, 6, 5), axis=-1).reshape(len(positions), -1)


def scaled(d: np.ndarray) -> np.ndarray:
    return d / d.max() if d.max() > 0 else d


def to_nearest(positions: np.ndarray) -> np.ndarray:
    p = softmaxed(positions)
    d = np.sqrt(((p[:, None] - p[None]) ** 2).sum(axis=-1))
    np.fill_diagonal(d, np.inf)
    return scaled(d.min(axis=1))


def to_centre(positions: np.ndarray) -> np.ndarray:
    p = softmaxed(positions)
    return scaled(np.sqrt(((p - p.mean(axis=0)) ** 2).sum(axis=1)))


def of_cells(positions: np.ndarray) -> np.ndarray:
    """Mean share of edges on which a particle's arg-max cell differs from the others'."""
    chosen = positions.reshape(-1, 6, 5).argmax(axis=-1)
    return scaled((chosen[:, None] != chosen[None]).mean(axis=-1).sum(axis=1) / max(len(chosen) - 1, 1))


FORMS = {
    "mean distance to all (default)": alpha_swarm.relative_distances,
    "distance to the nearest": to_nearest,
    "distance to the centre": to_centre,
    "edges that differ in the arg-max cells": of_cells,
}
SIZES = (0.1, 0.4)  # of λ
CASES = [*itertools.product(FORMS, SIZES), (next(iter(FORMS)), 0.0)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--out", type=Path, required=True)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    benchmark = registry.find("digits201").open(None, ())
    preset = options.resolve_preset(benchmark, "small")
    setting = options.Setting(benchmark, None, (), benchmark.datasets[0], preset, "fp32", "cpu", 1)
    accuracy = benchmark.column(benchmark.datasets[0], "valid").mean
    columns = ("form", "size", "seed", "index", "valid", "swarm_cells")
    with appended(asked.out, columns, key=3) as (there, write):
        for seed, (form, size) in itertools.product(range(asked.seeds), CASES):
            if (form, str(size), str(seed)) in there:
                continue
            alpha_swarm.relative_distances = FORMS[form]
            (plan,) = campaign.plans(setting, parse_specs(f"gicso[diversity={size}]"), [seed])
            task, kind = runner.build_task(plan, benchmark), catalogue.find(plan.searcher)
            searcher = kind(task, base.configure(kind, plan.config))
            answer, swarm_cells = -1, 0
            while (step := searcher.step()) is not None:
                answer, swarm_cells = cells.index(step.cell), int(step.metrics.get("swarm_cells", swarm_cells))
            write([form, size, seed, answer, round(float(accuracy[answer]), 4), swarm_cells])


if __name__ == "__main__":
    main()
