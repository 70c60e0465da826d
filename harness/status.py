"""What a campaign's folder says of its runs: done, running, failed, left."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from benchmarks.errors import UserError
from harness import locks, store, trained
from harness.results import Results, scored_by


def status(folder: Path) -> str:
    """A line for each searcher, then the running runs and where they are, the failed ones and why, and what is left
    out: the runs that count as done are those of the report. One whose record is of other settings or other code is
    left to do; one whose record cannot be read has failed. Of trainings from scratch those of the answers so far count.
    """
    campaign = store.load_campaign(folder)
    running = locks.running(folder)
    records, left_out = store.load_records(folder)
    results = Results(campaign, records)
    record_of = {(r.label, r.seed): r for r in records}
    total: Counter[str] = Counter()
    rows, details = [], []
    for searcher in results.searchers:
        counts: Counter[str] = Counter()
        for seed in results.planned(searcher):
            place = store.run_folder(folder, searcher.label, seed)
            if place in running:
                what, detail = "running", _reached(place, running[place])
            elif (record := record_of.get((searcher.label, seed))) is not None:
                what, detail = ("done", "") if record.finished else ("failed", record.error or "")
            else:
                detail = left_out.pop(place, "")
                what = "failed" if detail and not _is_readable(place) else "left"
            counts[what] += 1
            if detail:
                details.append(f"  {searcher.spec} seed {seed}: {detail}")
        imported = " (imported)" if searcher.kind == "imported" else ""
        rows.append((searcher.spec + imported, counts))
        total += counts
    rows.append(("all", total))
    kinds = ("done", "running", "failed", "left")
    evaluations, faults = store.load_evaluations(folder)
    left_out |= faults
    for standing in trained.standings(folder, campaign, records, evaluations, running):
        rows.append((f"training on {standing.target} ({standing.how.recipe.name})", Counter(standing.states.values())))
        states = {p: _reached(p, running[p]) for p, state in standing.states.items() if state == "running"}
        details += [f"  {p.parent.name} {p.name}: {text}" for p, text in (states | standing.errors).items()]
    width = max(len(name) for name, _ in rows)
    lines = [scored_by(campaign), " " * width + "".join(f"{kind:>9}" for kind in kinds)]
    lines += [f"{name:<{width}}" + "".join(f"{counts[kind]:>9}" for kind in kinds) for name, counts in rows]
    return "\n".join([*lines, *details, *(f"warning: {text}" for text in left_out.values())])


def _is_readable(place: Path) -> bool:
    try:
        return store.load_record(place) is not None
    except (OSError, UserError):
        return False


def _reached(place: Path, by: str) -> str:
    line = store.last_line(place / "trace.jsonl")
    reached = "begun" if line is None else f"step {line['step'] + 1}"
    return f"{reached}, by {by}"
