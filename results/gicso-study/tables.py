"""The study's tables as Markdown, from its CSVs.

    python results/gicso-study/tables.py signal results/gicso-study/signal-digits201.csv
    python results/gicso-study/tables.py screen results/gicso-study/screen-settings/report
    python results/gicso-study/tables.py forms results/gicso-study/diversity-forms.csv
    python results/gicso-study/tables.py stability CAMPAIGN [CSV]

`stability` reads a campaign's runs: each spec's cells at the hand-over and at the end; with CSV, it writes them there.

A screen compares every spec with the first one, paired by seed, on validation accuracy. Intervals: of the median, from
order statistics; below 6 seeds the range, whose level is 1 − 2^(1−n).
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from harness.report import inference
from harness.schema import Point
from harness.store import load_record, read_trace


def interval(values: list[float], digits: int) -> str:
    found = inference.summary(values)
    if found.median is None:
        return "–"
    if found.ci_low is None or found.ci_high is None:
        return f"{found.median:.{digits}f}"
    return f"{found.median:.{digits}f} [{found.ci_low:.{digits}f}, {found.ci_high:.{digits}f}]"


def compared(values: pd.Series, reference: pd.Series) -> str:
    """Three cells of a row, from values by seed: n, mean ± std, and the differences to the reference by seed."""
    found = inference.summary(values)
    spread = "" if found.std is None else f" ± {found.std:.1f}"
    return f"{found.n} | {found.mean:.1f}{spread} | {interval((values - reference).dropna().tolist(), 1)}"


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
        of = knew.loc[part["label"].iloc[0]]
        rho = f"{of['one_shot_spearman']:.2f} | {of['one_shot_spearman_good']:.2f}"
        found = compared(part.set_index("seed")[valid], reference)
        lines.append(f"| `{spec}` | {found} | {rho} | {part['search_seconds'].mean():.0f} |")
    return lines


def forms(path: Path) -> list[str]:
    frame = pd.read_csv(path)
    first = frame[(frame["form"] == frame["form"].iloc[0]) & (frame["size"] == frame["size"].iloc[0])]
    reference = first.set_index("seed")["valid"]
    lines = ["| form | λ | n | valid, mean ± std | minus the first, median [interval] | cells in the last swarm |"]
    lines.append("|---|---:|---:|---|---|---:|")
    for (form, size), part in frame.groupby(["form", "size"], sort=False):
        found = compared(part.set_index("seed")["valid"], reference)
        lines.append(f"| {form} | {size} | {found} | {part['swarm_cells'].mean():.1f} |")
    return lines


def hand_overs(campaign: Path) -> Iterator[dict]:
    """Per finished run: the cell and its validation accuracy when the stability phase began, and at the end."""
    for folder in sorted(campaign.glob("runs/*/seed-*")):
        record = load_record(folder)
        if record is None or record.searcher != "gicso" or not record.finished:
            continue
        steps = list(read_trace(folder / "trace.jsonl"))
        before = [step for step in steps if step.get("phase") != "stability"]
        accuracy = {seen.index: _valid(seen) for seen in record.trajectory}
        start, end = before[-1]["index"], record.index
        yield {
            "spec": record.spec,
            "seed": record.seed,
            "hand_over": start,
            "answer": end,
            "hand_over_valid": accuracy[start],
            "answer_valid": accuracy[end],
            "epochs": len(steps) - len(before),
        }


def _valid(seen: Point) -> float:
    return next(s.value for s in seen.scores if s.split == "valid" and not s.without_none)


def stability(campaign: Path, out: Path | None = None) -> list[str]:
    frame = pd.DataFrame(hand_overs(campaign))
    if out is not None:
        frame.to_csv(out, index=False)
    frame["change"] = frame["answer_valid"] - frame["hand_over_valid"]
    lines = ["| spec | n | epochs of stability | another cell | valid: change, median [interval] |"]
    lines.append("|---|---:|---:|---:|---|")
    for spec, part in frame.groupby("spec", sort=False):
        moved = int((part["hand_over"] != part["answer"]).sum())
        change = interval(part["change"].tolist(), 1)
        lines.append(f"| `{spec}` | {len(part)} | {part['epochs'].mean():.1f} | {moved} | {change} |")
    return lines


if __name__ == "__main__":
    what, *paths = sys.argv[1:]
    tables = {"signal": signal, "screen": screen, "forms": forms, "stability": stability}
    print("\n".join(tables[what](*map(Path, paths))))
