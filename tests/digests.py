"""What the program computes, as digests: run before and after a change that must change nothing.

    python tests/digests.py OUT.json                # every searcher, an ablation, an import, their tables
    python tests/digests.py OUT.json --against OLD.json

Digests hold for one kind of processor (its kernels round their own way): OLD.json is made on the same machine by the
older revision's own copy of this file. NAS-Bench-201's table is taken from $HARNESS_SHARED, or `shared` beside the
project. About two minutes on two cores.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SHARED = Path(os.environ.get("HARNESS_SHARED") or ROOT.parent / "shared")
ONE_SHOT = "gicso,darts,darts[order=2],gdas,pcdarts,drnas,betadarts,rsws,enas,cso,cmaes,zero-order"
MULTI_TRIAL = "random,evolution,local,reinforce"
# Searchers of a name of their own that were settings of another one: today's name -> the older spec.
RENAMED = {"cso-table": "cso[oracle=table]", "cmaes-table": "cmaes[oracle=table]"}
RESULT = ("key", "seed", "kind", "search_dataset", "cell", "cell_without_none", "scores", "steps", "evaluations",
          "train_images", "eval_images", "simulated_seconds", "collapsed", "disconnected", "phases", "swarm_diversity",
          "queried_cells", "queried_canonical", "alpha_entropy", "alpha_change", "status", "error")  # fmt: skip
TIMED = ("search_seconds",)  # columns of CSV files


def harness(*arguments: object) -> None:
    command = [sys.executable, "-c", "from harness.cli import main; main()", *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(map(str, arguments))}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}")


def digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:12]


def specs() -> tuple[str, str]:
    """The one-shot and the multi-trial specs of this revision."""
    try:
        from searchers.catalogue import names
    except ImportError:
        from searchers.base import names

    tables = [name if name in names() else spec for name, spec in RENAMED.items()]
    return ONE_SHOT, ",".join([MULTI_TRIAL, *tables])


def record_digests(folder: Path) -> dict[str, dict[str, str]]:
    """Spec and seed -> field -> digest, of every run of a campaign."""
    digests: dict[str, dict[str, str]] = {}
    for path in sorted(folder.glob("runs/*/*/record.json")):
        record = json.loads(path.read_bytes())
        # A cell that has an index has had it always; where a space has none, the string stands for it.
        points = [[p["step"], p.get("index", p.get("cell")), p["simulated_seconds"], p["evaluations"], p["scores"]]
                  for p in record["trajectory"]]  # fmt: skip
        one_shot = record["one_shot"] or {}
        fields = {name: record.get(name) for name in RESULT} | {
            "trajectory": points,
            "one_shot": [one_shot.get(name) for name in ("spearman", "spearman_good", "accuracies", "losses")],
        }
        trace = path.parent / "trace.jsonl"  # imported cells have none
        lines = [without_names(json.loads(line)) for line in trace.read_text().splitlines()] if trace.exists() else []
        spec = RENAMED.get(record["spec"], record["spec"])
        digests[f"{spec} {record['seed']}"] = {k: digest(v) for k, v in fields.items()} | {"trace": digest(lines)}
    return digests


def without_names(line: dict) -> list:
    """A trace's numbers: metrics and answers, whatever they are called, without the clock and the cells' strings."""
    left_out = ("search_seconds", "cell", "cell_without_none")
    return sorted(map(json.dumps, (value for name, value in line.items() if name not in left_out)))


def as_before(column: str, value: str) -> str:
    """A value of a CSV with a searcher's name as it was before it had one of its own."""
    spec = RENAMED.get(value, value)
    return spec.partition("[")[0] if column == "searcher" else spec


def csv_digests(folder: Path) -> dict[str, str]:
    digests = {}
    for name in ("table", "comparisons", "ablations"):
        path = folder / "report" / f"{name}.csv"
        if path.is_file():
            rows = list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8"))))
            rows = [{k: as_before(k, v) for k, v in row.items() if k not in TIMED} for row in rows]
            digests[path.name] = digest(rows)
    return digests


def campaigns(folder: Path) -> dict[str, Path]:
    """Make all of them; name -> folder."""

    one_shot, multi_trial = specs()
    made = {name: folder / name for name in ("digits201", "nb201", "ablate", "import")}
    smoke = ("--preset", "smoke", "--benchmark", "digits201")
    harness("run", "--searchers", f"{one_shot},{multi_trial}", "--seeds", 2, *smoke, "--out", made["digits201"])
    table = SHARED / "data/nb201/nb201.csv.gz"
    harness("run", "--searchers", multi_trial, "--seeds", 20, "--table", table, "--out", made["nb201"])
    harness("ablate", "gicso", "--seeds", 2, *smoke, "--out", made["ablate"])
    cells = folder / "cells.csv"
    cells.write_text("seed,cell,search_seconds\n0,284,10\n1,11,20.5\n2,9930,30\n")
    harness("run", "--searchers", "random,evolution", "--seeds", 3, "--table", table, "--out", made["import"])
    harness("import", "mine", cells, made["import"], "--table", table)
    harness("report", made["import"], "--margin", 1)
    return made


def differences(old: dict, new: dict, where: str = "") -> list[str]:
    lines = []
    for key in {**old, **new}:
        a, b = old.get(key), new.get(key)
        if isinstance(a, dict) and isinstance(b, dict):
            lines += differences(a, b, f"{where}{key}: ")
        elif a != b:
            lines.append(f"{where}{key}: {a} | {b}")
    return lines


def main() -> None:
    out, against = Path(sys.argv[1]), sys.argv[3:] if sys.argv[2:3] == ["--against"] else []
    sys.path.insert(0, str(ROOT))
    with tempfile.TemporaryDirectory() as folder:
        digests = {
            name: {"runs": record_digests(place), "tables": csv_digests(place)}
            for name, place in campaigns(Path(folder)).items()
        }
    out.write_text(json.dumps(digests, indent=1) + "\n", encoding="utf-8")
    runs = sum(len(part["runs"]) for part in digests.values())
    print(f"{runs} runs, {sum(len(part['tables']) for part in digests.values())} tables -> {out}")
    if against:
        lines = differences(json.loads(Path(against[0]).read_text(encoding="utf-8")), digests)
        print("\n".join(lines) or f"no difference to {against[0]}")
        raise SystemExit(bool(lines))


if __name__ == "__main__":
    main()
