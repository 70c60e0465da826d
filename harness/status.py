"""What a campaign's folder says of its runs: done, running, failed, left."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from benchmarks.base import UserError
from harness import store
from harness.remarks import planned_seeds


def status(folder: Path) -> str:
    """A line for each searcher, then the running runs and where they are, then the failed ones and why."""
    campaign = store.load_campaign(folder)
    running = store.running(folder)
    total: Counter[str] = Counter()
    rows, details = [], []
    known = {searcher["label"] for searcher in campaign["searchers"]}
    for searcher in campaign["searchers"]:
        counts: Counter[str] = Counter()
        for seed in planned_seeds(searcher, campaign):
            place = store.run_folder(folder, searcher["label"], seed)
            what, detail = _of(place, running)
            counts[what] += 1
            if detail:
                details.append(f"  {searcher['spec']} seed {seed}: {detail}")
        rows.append((searcher["spec"], counts))
        total += counts
    for label in sorted({path.parent.name for path in folder.glob("runs/*/seed-*")} - known):
        imported = Counter(done=len(list(folder.glob(f"runs/{label}/seed-*/record.json"))))
        rows.append((f"{label} (imported)", imported))
        total += imported
    rows.append(("all", total))
    width = max(len(name) for name, _ in rows)
    kinds = ("done", "running", "failed", "left")
    lines = [" " * width + "".join(f"{kind:>9}" for kind in kinds)]
    lines += [f"{name:<{width}}" + "".join(f"{counts[kind]:>9}" for kind in kinds) for name, counts in rows]
    return "\n".join([*lines, *details])


def _of(place: Path, running: dict[Path, str]) -> tuple[str, str]:
    """What a run is, and what else is to be said of it."""
    if place in running:
        line = store.last_line(place / "trace.jsonl")
        reached = "begun" if line is None else f"step {line['step'] + 1}"
        return "running", f"{reached}, by {running[place]}"
    try:
        record = store.load_record(place)
    except UserError as error:
        return "failed", str(error)
    if record is None:
        return "left", ""
    return ("done", "") if record["status"] == "done" else ("failed", record["error"])
