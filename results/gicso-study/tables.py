"""The study's tables as Markdown, from its CSVs.

    python results/gicso-study/tables.py signal results/gicso-study/signal-digits201.csv
    python results/gicso-study/tables.py screen results/gicso-study/screen-digits201/report

A screen compares every spec with the first one, paired by seed, on validation accuracy. Intervals: of the median, from
order statistics; below 6 seeds the range, whose level is 1 − 2^(1−n).
"""

from __future__ import annotations

import sys
from pathlib import Path

import pandas as pd

from harness import statistics


def interval(values: list[float], digits: int) -> str:
    found = statistics.summary(values)
    if found.median is None:
        return "–"
    if found.ci_low is None or found.ci_high is None:
        return f"{found.median:.{digits}f}"
    return f"{found.median:.{digits}f} [{found.ci_low:.{digits}f}, {found.ci_high:.{digits}f}]"


def signal(path: Path) -> list[str]:
    frame = pd.read_csv(path)
    lines = ["| way | score | n | ρ, all | ρ, better half | accuracy of the ten best liked | s |"]
    lines.append("|---|---|---:|---|---|---|---:|")
    for (way, score), part in frame.groupby(["way", "score"], sort=False):
        cells = [interval(part[name].dropna().tolist(), 2) for name in ("spearman", "spearman_good")]
        top = interval(part["top_accuracy"].dropna().tolist(), 1)
        known = part["spearman"].count() or len(part)  # a supernet that diverged has none
        lines.append(f"| {way} | {score} | {known} | {' | '.join(cells)} | {top} | {part['seconds'].median():.0f} |")
    return lines


def screen(report: Path) -> list[str]:
    runs = pd.read_csv(report / "runs.csv")
    runs = runs[runs["status"] == "done"]
    knew = pd.read_csv(report / "diagnostics.csv").set_index("label")
    valid = next(name for name in runs.columns if name.endswith(" valid"))
    reference = runs[runs["spec"] == runs["spec"].iloc[0]].set_index("seed")[valid]
    lines = ["| spec | n | valid, mean ± std | minus the first, median [interval] | ρ, all | ρ, better half | s |"]
    lines.append("|---|---:|---|---|---:|---:|---:|")
    for spec, part in runs.groupby("spec", sort=False):
        by_seed = part.set_index("seed")[valid]
        found = statistics.summary(by_seed)
        differences = (by_seed - reference).dropna().tolist()
        of = knew.loc[part["label"].iloc[0]]
        spread = "" if found.std is None else f" ± {found.std:.1f}"
        rho = [of["one_shot_spearman"], of["one_shot_spearman_good"]]
        lines.append(
            f"| `{spec}` | {found.n} | {found.mean:.1f}{spread} | {interval(differences, 1)} "
            f"| {rho[0]:.2f} | {rho[1]:.2f} | {part['search_seconds'].mean():.0f} |"
        )
    return lines


if __name__ == "__main__":
    what, path = sys.argv[1:]
    print("\n".join({"signal": signal, "screen": screen}[what](Path(path))))
