"""Searchers against each other: comparisons.csv and ranks.csv, and which verdicts they give.

A campaign has one primary endpoint, whose tests are one Holm family over searchers, and one secondary one, collapse.
All else is described with intervals.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from harness.report import collapse, differences, equivalence, inference, omnibus, rank_sums
from harness.report.comparison import TESTS, Comparison, compare, compare_paired, verdict
from harness.report.frames import frame_of
from harness.report.notes import UNPAIRED, Question
from harness.report.power import smallest_p, smallest_paired_p
from harness.results import Results, shared_at_seeds
from harness.schema import Entrant

# fmt: off
COMPARISON_COLUMNS = [
    "dataset", "split", "endpoint", "a", "b", "n_a", "n_b", "test", "p", "p_holm",
    "difference", "difference_low", "difference_high", "effect", "effect_low", "effect_high",
    "p_equivalence", "margin", "verdict",
    "shift", "shift_low", "shift_high", "p_mean", "p_mean_holm", "belief_worse", "belief_equal", "belief_better",
]
RANK_COLUMNS = ["dataset", "test", "p", "posthoc", "a", "b", "n_a", "n_b", "rank_a", "rank_b", "p_pair"]
# fmt: on


def comparisons(results: Results, question: Question = UNPAIRED) -> pd.DataFrame:
    """The first searcher against each other one: the primary endpoint, then collapse, then the other data sets.

    The tests of the primary endpoint are one Holm family, those of collapse another (of all runs, never paired), those
    of equivalence within a margin a third, and the permutation tests of means a fourth, by which a mean is called
    higher. The other data sets are the same searches seen again: they have intervals, and neither p nor verdict.
    Ablations have a table and families to themselves. Imported cells are never paired: a seed of other code is another
    draw. A searcher that uses no seed has one value, against which the other's runs are tested as one sample.
    """
    reference, *others = results.compared
    pairs = [_pair(results, reference, other, results.endpoint, question) for other in others]
    tests = [pair.tested(question.test) for pair in pairs]
    alike = [pair.equivalence(question.margin) for pair in pairs]
    of_means = [pair.means.p() if test.p is not None else None for pair, test in zip(pairs, tests, strict=True)]
    families = ([t.p for t in tests], alike, of_means)
    rows = []
    adjusted = zip(*map(inference.holm, families), strict=True)
    for pair, test, p_mean, (p, same, p_mean_holm) in zip(pairs, tests, of_means, adjusted, strict=True):
        said = verdict(pair.a, pair.b, test, p, pair.smallest_p(len(others)), same)
        rows.append(
            pair.row("primary")
            | {name: value for name, value in test._asdict().items() if name != "direction"}
            | {"p_holm": p, "p_mean": p_mean, "p_mean_holm": p_mean_holm}
            | {"margin": question.margin, "p_equivalence": same, "verdict": said}
            | pair.belief(question.margin)
        )
    rows += _collapses(results, reference, others)
    for dataset in results.datasets:
        if dataset != results.endpoint:
            described = [_pair(results, reference, other, dataset, question) for other in others]
            rows += [pair.row("descriptive") | {"verdict": ""} | pair.effect() for pair in described]
    return frame_of(rows, COMPARISON_COLUMNS)


class Pair(NamedTuple):
    """The outcomes of two searchers on a data set; paired ones are those of the seeds that both have, in one order.

    Of one sample one side is a single value, which is compared with each of the other's.
    """

    dataset: str
    labels: tuple[str, str]
    a: list[float]
    b: list[float]
    paired: bool = False
    one_sample: bool = False
    shared: bool = False  # whether pairs share more than the number of their seed

    @property
    def matched(self) -> bool:
        """Whether each value of one side has one of the other."""
        return self.paired or self.one_sample

    @property
    def gaps(self) -> list[float]:
        """a minus b, value by value."""
        a, b = self.a, self.b
        if self.one_sample:
            a, b = (a * len(b), b) if len(a) == 1 else (a, b * len(a))
        return [x - y for x, y in zip(a, b, strict=True)]

    @property
    def means(self) -> differences.Means:
        return differences.paired_means(self.gaps) if self.matched else differences.means(self.a, self.b)

    def tested(self, test: str) -> Comparison:
        """A test of TESTS; of one sample the sign test stands for those of ranks."""
        if not self.matched:
            return compare(self.a, self.b, test)
        return compare_paired(self.gaps, 0.0, "sign" if self.one_sample and test != "permutation" else test)

    def equivalence(self, margin: float | None) -> float | None:
        """p of equivalence within the margin; None where none is asked for, or nothing can be said."""
        if margin is None:
            return None
        if self.matched:
            tails = rank_sums.sign_tails if self.one_sample else rank_sums.signed_rank_tails
            return equivalence.paired_equivalence_p(self.gaps, margin, tails)
        return equivalence.equivalence_p(self.a, self.b, margin)

    def belief(self, margin: float | None) -> dict[str, float]:
        """Posterior probabilities by region, where pairs share something."""
        held = equivalence.belief(self.gaps, margin) if self.shared and margin is not None else None
        return {f"belief_{name}": value for name, value in held._asdict().items()} if held else {}

    def smallest_p(self, family: int) -> float:
        """The smallest p after Holm that so many values could reach."""
        if self.matched:
            return smallest_paired_p(len(self.gaps), family)
        return smallest_p(len(self.a), len(self.b), family) if min(len(self.a), len(self.b)) > 1 else 1.0

    def row(self, endpoint: str) -> dict[str, Any]:
        """What a row of comparisons.csv says of two searchers whether or not they are tested."""
        by = differences.paired_difference(self.gaps) if self.matched else differences.difference(self.a, self.b)
        if self.one_sample:  # the sign test inverted
            middle = inference.summary(self.gaps)
            ends = (middle.ci_low, middle.ci_high) if (middle.ci_level or 0) >= inference.LEVEL else (None, None)
            by = by._replace(shift=middle.median, shift_low=ends[0], shift_high=ends[1])
        return (
            {"dataset": self.dataset, "split": "test", "endpoint": endpoint}
            | {"a": self.labels[0], "b": self.labels[1], "n_a": len(self.a), "n_b": len(self.b)}
            | {"difference": by.mean, "difference_low": by.low, "difference_high": by.high}
            | {"shift": by.shift, "shift_low": by.shift_low, "shift_high": by.shift_high}
        )

    def effect(self) -> dict[str, float | None]:
        """A and its interval; empty where a group has under two values."""
        test = self.tested(TESTS[0])
        return {name: getattr(test, name) for name in ("effect", "effect_low", "effect_high")}


def _pair(results: Results, first: Entrant, second: Entrant, dataset: str, question: Question) -> Pair:
    a, b = (results.outcomes(s.label, dataset) for s in (first, second))
    labels = first.label, second.label
    if not (first.uses_seed and second.uses_seed):
        return Pair(dataset, labels, list(a.values()), list(b.values()), one_sample=bool(a and b))
    if question.paired and not any(s.kind == "imported" for s in (first, second)):
        seeds, shared = sorted(a.keys() & b.keys()), shared_at_seeds(results, [first, second])
        return Pair(dataset, labels, [a[s] for s in seeds], [b[s] for s in seeds], paired=True, shared=shared)
    return Pair(dataset, labels, list(a.values()), list(b.values()))


def _collapses(results: Results, reference: Entrant, others: Sequence[Entrant]) -> list[dict[str, Any]]:
    """Rows of the secondary endpoint; differences in percent points of runs, and the fewer collapses are better.

    A searcher that uses no seed has one run and no rate.
    """
    others = [s for s in others if s.uses_seed and reference.uses_seed]

    def count(searcher: Entrant) -> tuple[int, int]:
        runs = results.runs(searcher.label)
        return sum(r.collapsed for r in runs), len(runs)

    a, n_a = count(reference)
    counts = [count(other) for other in others]
    adjusted = inference.holm([collapse.fisher(a, n_a, *other) for other in counts])
    rows = []
    for other, (b, n_b), p in zip(others, counts, adjusted, strict=True):
        by, low, high = collapse.difference(a, n_a, b, n_b)
        apart = collapse.fisher(n_a, n_a, 0, n_b)
        testable = apart is not None and apart * len(others) <= inference.ALPHA
        if p is not None and by is not None and p <= inference.ALPHA:
            said = "better" if by < 0 else "worse"
        else:
            said = "unknown" if testable else "untestable"
        rows.append(
            {"dataset": "", "split": "", "endpoint": "collapse", "a": reference.label, "b": other.label}
            | {"n_a": n_a, "n_b": n_b, "test": collapse.FISHER, "p": collapse.fisher(a, n_a, b, n_b), "p_holm": p}
            | {"difference": by, "difference_low": low, "difference_high": high, "verdict": said}
        )
    return rows


def rank_tests(results: Results) -> tuple[list[Entrant], omnibus.Ranks]:
    """The searchers with finished runs, and the tests of all of them on the primary endpoint.

    Over the seeds that all have finished, where the runs of a seed share something; else of independent groups.
    Imported cells are left out of blocks: a seed of other code is another draw. A searcher that uses no seed is left
    out: it has one value.
    """
    ranked = [s for s in results.searchers if results.runs(s.label) and s.uses_seed]
    if own := [s for s in ranked if s.kind != "imported"]:
        by_seed = [results.outcomes(s.label, results.endpoint) for s in own]
        seeds = sorted(set.intersection(*map(set, by_seed)))
        if len(own) > 2 and len(seeds) > 1 and shared_at_seeds(results, own):
            blocks = [[values[seed] for values in by_seed] for seed in seeds]
            return own, omnibus.rank_blocks(np.array(blocks).reshape(len(seeds), len(own)))
    return ranked, omnibus.rank_groups([list(results.outcomes(s.label, results.endpoint).values()) for s in ranked])


def ranks_table(results: Results) -> pd.DataFrame:
    """ranks.csv: one row per pair of searchers, the better ranked one first; empty without a test."""
    ranked, ranks = rank_tests(results)
    rows = []
    if ranks.pairs is not None:
        for i, j in combinations(np.argsort(ranks.mean, kind="stable"), 2):
            about = {"dataset": results.endpoint, "test": ranks.test, "p": ranks.p, "posthoc": ranks.posthoc}
            pair = {"a": ranked[i].label, "b": ranked[j].label, "n_a": ranks.sizes[i], "n_b": ranks.sizes[j]}
            rows.append(about | pair | {"rank_a": ranks.mean[i], "rank_b": ranks.mean[j], "p_pair": ranks.pairs[i, j]})
    return frame_of(rows, RANK_COLUMNS)
