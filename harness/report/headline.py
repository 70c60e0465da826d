"""A report's results in words: one sentence that answers who, by how much and how sure, and one for each comparison.

A test of ranks is about a typical run, a difference of means about the mean: where the two answers differ both are
given, each under its name.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import pandas as pd

from harness.report import ablations, collapse, inference
from harness.report.comparison import estimand
from harness.report.notes import Question, endpoint_in_words, reach
from harness.report.numbers import bracketed, number, p_text, signed
from harness.report.readable import Frames
from harness.results import MEAN, Results, is_partial, space_held
from harness.schema import Entrant

Words = list[str]
VERDICTS = ("better", "worse", "equivalent", "unknown", "untestable", "constant")


def lead(results: Results, tables: Frames, question: Question) -> str:
    """The one sentence: where the first searcher stands, what is best, what was shown, and what could have been."""
    first, *others = results.compared
    means = {s.label: m for s in results.searchers if (m := _summary(results, s).mean) is not None}
    if first.label not in means:
        return f"{first.spec}: no finished run."
    if not others and results.ablated is not None:
        return _ablated(results, tables, question)
    if not others:
        return _alone(results, tables, first)
    own = _summary(results, first)
    spread = "" if own.std is None else f" ± {own.std:.2f}"
    ranked = sorted((s for s in results.compared if s.label in means), key=lambda s: -means[s.label])
    place = sum(means[s.label] > means[first.label] for s in ranked) + 1
    best = ranked[0]
    parts = [
        f"{first.spec} is {_ordinal(place)} of {len(ranked)} by {endpoint_in_words(results)}: mean "
        f"{means[first.label]:.2f}{spread} (n = {own.n})"
    ]
    if best is not first:
        parts.append(f"best is {_kind(best, first)} with {means[best.label]:.2f}")
        kin = next(s for s in ranked if s.kind == first.kind)
        if kin not in (best, first):
            parts.append(f"best {first.kind} one {kin.spec} with {means[kin.label]:.2f}")
    rows = tables.tests[tables.tests["endpoint"] == "primary"]
    counts = Counter(rows["verdict"])
    said = ", ".join(f"{_verdict(name)} {counts[name]}" for name in VERDICTS if counts[name])
    compared = f"Against {_count(len(rows), 'other')}: {said}"
    if set(counts) == {"untestable"}:
        compared = "Whether it differs from any other is not known"
    return f"{'; '.join(parts)}. {compared}; {reach(results, question)}."


def sentences(results: Results, tables: Frames, ranks: pd.DataFrame) -> Words:
    """Each comparison with the first searcher, collapse, the ablations, and all ranked together."""
    reference = results.compared[0]
    entrants = {s.label: s for s in results.searchers}
    said = []
    for row in tables.tests[tables.tests["endpoint"] == "primary"].to_dict("records"):
        other = entrants[row["b"]]
        crossing = "" if other.kind == reference.kind else f" ({reference.kind} against {other.kind})"
        where = "" if row["dataset"] == MEAN else f" on {row['dataset']}"
        said.append(f"{reference.spec} against {other.spec}{crossing}{where}: {_compared(row)}.")
    said += _collapses(results, tables)
    said += ablations.sentences(tables.ablations)
    if len(ranks):
        said.append(_ranked(ranks))
    return said


def _compared(row: Mapping[Any, Any]) -> str:
    """One primary row of comparisons.csv in words, both estimands."""
    sizes = f"n = {row['n_a']}" if row["n_a"] == row["n_b"] else f"n = {row['n_a']} and {row['n_b']}"
    verdict = row["verdict"]
    if pd.isna(row["p_holm"]):
        return f"untestable ({sizes})"
    about = estimand(row["test"])
    words = {
        "better": f"its {about} is better",
        "worse": f"its {about} is worse",
        "constant": "all values are one number",
        "equivalent": f"equivalent within {row['margin'] or 0:g} points",
        "unknown": f"its {about} is not shown to be better or worse",
        "untestable": "so few seeds can show nothing",
    }[verdict]
    name = row["test"].partition(",")[0]
    figures = f"{name} {p_text(row['p_holm'])}, A = {row['effect']:.2f}"
    if not pd.isna(row["effect_low"]):
        figures += f" [{row['effect_low']:.2f}, {row['effect_high']:.2f}]"
    if verdict == "equivalent":  # the test of this; that of a difference says nothing for it
        figures = f"{p_text(row['p_equivalence'])} after Holm, two one-sided tests of ranks and of means"
    text = f"{words} ({figures}, {sizes})"
    if not pd.isna(row["belief_equal"]):
        beliefs = ", ".join(f"{row[f'belief_{name}']:.2f}" for name in ("worse", "equal", "better"))
        text += (
            f"; probability of worse, equal within {row['margin']:g} points, better {beliefs} (Bayesian signed ranks)"
        )
    return text if verdict == "constant" else f"{text}; {_mean(row)}"


def _mean(row: Mapping[Any, Any]) -> str:
    """The difference of the means with its interval, and what the permutation test says of it after Holm."""
    low, high = row["difference_low"], row["difference_high"]
    if pd.isna(low):
        return f"its mean differs by {signed(row['difference'])} points, too few seeds for an interval"
    interval = f"{signed(row['difference'])} points {bracketed(low, high, signed)}"
    p = f"permutation {p_text(row['p_mean_holm'])}"
    if row["p_mean_holm"] <= inference.ALPHA:
        return f"its mean is {'higher' if row['difference'] > 0 else 'lower'} ({p}), {interval}"
    alone = " of this pair alone" if low > 0 or high < 0 else ""
    return f"its mean is not shown to differ ({p}), {interval}{alone}"


def _collapses(results: Results, tables: Frames) -> Words:
    """Who collapsed, how often, and whether that differs from the first searcher; nothing where nobody did.

    A searcher that uses no seed has no rate.
    """
    counts = {s.label: (sum(r.collapsed for r in results.runs(s.label)), len(results.runs(s.label)))
              for s in results.compared if s.uses_seed}  # fmt: skip
    if results.compared[0].label not in counts or not any(fallen for fallen, _ in counts.values()):
        return []
    texts = {
        "better": "less often than",
        "worse": "more often than",
        "unknown": "not shown to differ from",
        "untestable": "too few runs to tell from",
    }
    said = []
    rows = tables.tests[tables.tests["endpoint"] == "collapse"].to_dict("records")
    for verdict, text in texts.items():
        names = [
            f"{results.specs[row['b']]} ({collapse.words(*counts[row['b']])}, {p_text(row['p_holm'])})"
            for row in rows
            if row["verdict"] == verdict and counts[row["b"]][1] and (counts[row["b"]][0] or verdict == "worse")
        ]
        said += [f"{text} {', '.join(names)}"] if names else []
    first = results.compared[0]
    own = f"{first.spec} collapsed in {collapse.words(*counts[first.label])} runs"
    return [f"{own}; {'; '.join(said)} (Fisher, after Holm)." if said else f"{own}."]


def _ranked(ranks: pd.DataFrame) -> str:
    """The results of the tests of all searchers in a sentence."""
    first = ranks.iloc[0]
    apart = int((ranks["p_pair"] <= inference.ALPHA).sum())
    k = len({*ranks["a"], *ranks["b"]})
    return (
        f"All {k} together on {first['dataset']}: {first['test']} {p_text(first['p'])}; {first['posthoc']}: {apart} of "
        f"{len(ranks)} pairs apart at {inference.ALPHA}."
    )


def _alone(results: Results, tables: Frames, first: Entrant) -> str:
    means = tables.results.query("split == 'test'")
    partial = f" against the best of {space_held(results.campaign)}" if is_partial(results.campaign) else ""
    figures = ", ".join(
        f"{m:.2f} on {d}" if pd.isna(g) else f"{m:.2f} on {d} (regret {g:.2f}{partial})"
        for d, m, g in zip(means["dataset"], means["mean"], means["regret"], strict=True)
        if not pd.isna(m)
    )
    n = int(means["n"].max())
    return f"{first.spec} reaches {figures}, mean of n = {n}. One searcher: nothing to compare it with."


def _ablated(results: Results, tables: Frames, question: Question) -> str:
    """The one sentence of a campaign of ablations alone."""
    rows = tables.ablations[tables.ablations["endpoint"] == "primary"]
    own = _summary(results, results.compared[0])
    spread = "" if own.std is None else f" ± {own.std:.2f}"
    counts = Counter(rows["verdict"])
    names = {v: [str(name) for name in rows.loc[rows["verdict"] == v, "ablation"]] for v in ("better", "worse")}
    said = [f"{_verdict(v)} {counts[v]}" + (f" ({'; '.join(names[v])})" if names.get(v) else "")
            for v in VERDICTS if counts[v]]  # fmt: skip
    mean = f"mean {number(own.mean or 0)}{spread}, {endpoint_in_words(results)} (n = {own.n})"
    counted = f"Of its {len(rows)} ablations are {', '.join(said)}"
    return f"{results.compared[0].spec}: {mean}. {counted}; {reach(results, question)}."


def _summary(results: Results, searcher: Entrant) -> inference.Summary:
    return inference.summary(list(results.outcomes(searcher.label, results.endpoint).values()))


def _kind(searcher: Entrant, first: Entrant) -> str:
    return searcher.spec if searcher.kind == first.kind else f"{searcher.spec} ({searcher.kind})"


def _count(n: int, what: str) -> str:
    return f"the {n} {what}s" if n != 1 else f"the {what}"


def _verdict(name: str) -> str:
    """A verdict as it stands in a count."""
    return {"unknown": "not shown", "constant": "constant"}.get(name, name)


def _ordinal(k: int) -> str:
    if 10 <= k % 100 <= 20:
        return f"{k}th"
    return str(k) + {1: "st", 2: "nd", 3: "rd"}.get(k % 10, "th")
