"""How often the report's inference errs, by simulation: type-I error, power, coverage, equivalence.

    python tests/simulations/inference.py results/inference/inference.json      # about four minutes on one core

Values come from two places: normal distributions, and the real answers of 500 searches a searcher in
results/reference/multi-trial-500 (`random-shaped`); `collapsing` ones end in the cell of six skips, at 54.30, in one
search of ten. All draws have a fixed seed.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from harness.report import collapse, comparison, differences, equivalence, inference, omnibus, power, rank_sums

ROOT = Path(__file__).parents[2]
SKIPS = 54.30  # C10 test of cell 1835
Draw = Callable[[np.random.Generator, int], np.ndarray]


def real() -> np.ndarray:
    runs = pd.read_csv(ROOT / "results/reference/multi-trial-500/report/runs.csv")
    return runs.loc[runs["spec"] == "random", "cifar10 test"].to_numpy()


ANSWERS = real()


def normal(sd: float = 1.0, mean: float = 0.0) -> Draw:
    return lambda rng, n: rng.normal(mean, sd, n)


def random_shaped(rng: np.random.Generator, n: int) -> np.ndarray:
    return rng.choice(ANSWERS, n)


def collapsing(rng: np.random.Generator, n: int) -> np.ndarray:
    return np.where(rng.random(n) < 0.1, SKIPS, rng.choice(ANSWERS, n))


def rate(hits: list[bool]) -> float:
    return round(100 * float(np.mean(hits)), 1)


def family_error(searchers: int, n: int, draw: Draw, test: str, campaigns: int) -> float:
    """% of null campaigns in which any searcher is called better or worse than the first."""
    rng = np.random.default_rng([searchers, n])
    hits = []
    for _ in range(campaigns):
        first, *others = (draw(rng, n) for _ in range(searchers))
        p = inference.holm([comparison.compare(first, other, test).p for other in others])
        hits.append(any(q is not None and q <= inference.ALPHA for q in p))
    return rate(hits)


def unequal_spreads(n: int, test: str, campaigns: int) -> float:
    """% of single tests of two centred normal groups, one ten times as wide, that find a difference."""
    rng = np.random.default_rng(n)
    return rate([(comparison.compare(rng.normal(0, 1, n), rng.normal(0, 10, n), test).p or 1) <= inference.ALPHA
                 for _ in range(campaigns)])  # fmt: skip


def detected(n: int, family: int, campaigns: int) -> float:
    """% of campaigns in which the shift that the power note promises is found at Holm's first step."""
    shift, rng = power.detectable(n, n, family), np.random.default_rng([n, family])
    assert shift is not None
    return rate([rank_sums.mann_whitney(rng.normal(shift, 1, n), rng.normal(0, 1, n))[0] * family <= inference.ALPHA
                 for _ in range(campaigns)])  # fmt: skip


def coverage(n: int, draws: tuple[Draw, Draw], truth: float, campaigns: int) -> float:
    """% of 95 % intervals of the difference of means that hold the true one."""
    rng, hits = np.random.default_rng(n), []
    for _ in range(campaigns):
        low, high = differences.means(draws[0](rng, n), draws[1](rng, n)).interval()
        hits.append(low is not None and high is not None and low <= truth <= high)
    return rate(hits)


def shift_coverage(n: int, draw: Draw, campaigns: int) -> float:
    """% of 95 % intervals of the shift between two groups of one distribution that hold 0."""
    rng, hits = np.random.default_rng(n), []
    for _ in range(campaigns):
        found = differences.difference(draw(rng, n), draw(rng, n))
        low, high = found.shift_low, found.shift_high
        hits.append(low is not None and high is not None and low <= 0 <= high)
    return rate(hits)


def called_equivalent(n: int, draws: tuple[Draw, Draw], margin: float, campaigns: int) -> dict[str, float]:
    """% of pairs that are called equivalent: by ranks alone, and by ranks and means."""
    rng, ranks, both = np.random.default_rng(n), [], []
    for _ in range(campaigns):
        a, b = draws[0](rng, n), draws[1](rng, n)
        ranks.append(equivalence.rank_equivalence_p(a, b, margin) <= inference.ALPHA)
        both.append((equivalence.equivalence_p(a, b, margin) or 1) <= inference.ALPHA)
    return {"ranks alone": rate(ranks), "ranks and means": rate(both)}


def omnibus_error(searchers: int, n: int, campaigns: int) -> dict[str, float]:
    """% of null campaigns in which Kruskal-Wallis rejects, and in which Dunn's test finds any pair apart."""
    rng, whole, pairs = np.random.default_rng([n, searchers]), [], []
    for _ in range(campaigns):
        ranks = omnibus.rank_groups([random_shaped(rng, n) for _ in range(searchers)])
        whole.append((ranks.p or 1) <= inference.ALPHA)
        pairs.append(ranks.pairs is not None and float(ranks.pairs.min()) <= inference.ALPHA)
    return {"Kruskal-Wallis": rate(whole), "any pair by Dunn": rate(pairs)}


def collapse_error(n: int, at: float, campaigns: int) -> dict[str, float]:
    """% of null comparisons of collapse that Fisher's test rejects, and coverage of Clopper and Pearson's interval."""
    rng, hits, held = np.random.default_rng(n), [], []
    for _ in range(campaigns):
        a, b = rng.binomial(n, at, 2).tolist()
        hits.append((collapse.fisher(a, n, b, n) or 1) <= inference.ALPHA)
        low, high = collapse.interval(a, n)
        held.append(low is not None and high is not None and low <= 100 * at <= high)
    return {"Fisher": rate(hits), "interval covers": rate(held)}


def main(out: Path) -> None:
    mean_gap = float(0.1 * (ANSWERS.mean() - SKIPS))
    shifted: Draw = lambda rng, n: random_shaped(rng, n) + 0.5  # noqa: E731
    found = {
        "type I, % of null campaigns, after Holm (nominal at most 5)": {
            f"{k} searchers, n = {n}, {test}": family_error(k, n, random_shaped, test, 400)
            for k, n, test in [
                *((k, n, "mann-whitney") for k, n in ((2, 5), (4, 10), (13, 10), (6, 20))),
                (4, 10, "permutation"),
                (4, 10, "brunner-munzel"),
            ]
        },
        "type I, % of single tests, spreads 1 and 10 (nominal 5)": {
            f"n = {n}, {test}": unequal_spreads(n, test, 1000) for n in (5, 10, 20) for test in comparison.TESTS
        },
        "all together, 4 searchers, % of null campaigns": {f"n = {n}": omnibus_error(4, n, 300) for n in (5, 20)},
        "power, %, at the promised shift (promised 80)": {
            f"n = {n}, {m} comparisons": detected(n, m, 1000) for n, m in ((6, 3), (10, 12), (20, 12))
        },
        "coverage of the difference of means, % (nominal 95)": {
            f"n = {n}, {name}": coverage(n, draws, truth, 1000)
            for n in (5, 10, 20)
            for name, draws, truth in (
                ("normal", (normal(), normal()), 0.0),
                ("spreads 1 and 10", (normal(), normal(10)), 0.0),
                ("random-shaped", (random_shaped, random_shaped), 0.0),
                ("10 % of the second collapse", (random_shaped, collapsing), mean_gap),
            )
        },
        "coverage of the shift, % (nominal 95)": {
            f"n = {n}": shift_coverage(n, random_shaped, 600) for n in (5, 10, 20)
        },
        "called equivalent within 0.5 points, %, single test": {
            f"n = {n}, {name}": called_equivalent(n, draws, 0.5, 400)
            for n in (5, 10, 20, 30)
            for name, draws in (
                ("alike", (random_shaped, random_shaped)),
                ("0.5 apart (nominal at most 5)", (random_shaped, shifted)),
                ("10 % of the second collapse", (random_shaped, collapsing)),
            )
        },
        "collapse, % (nominal at most 5, at least 95)": {
            f"n = {n}, rate {at:g}": collapse_error(n, at, 1000) for n, at in ((5, 0.1), (20, 0.1), (20, 0.45))
        },
    }
    out.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
