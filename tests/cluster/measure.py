"""What the executors cost and gain on this machine: local processes, a Ray cluster of three nodes, a Slurm array.

    python tests/cluster/measure.py --out results/cluster -- --table TABLE --data DIR     (as root, with [ray,slurm])

The same campaigns with each: 200 multi-trial runs, which take milliseconds, show what a run costs beyond its search;
8 supernet searches with one and two workers show the speed-up; on Ray one of the three nodes is killed after three of
them. Every campaign must leave the records of the first, times aside.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent), str(HERE.parents[1])]

from support.records import records, timeless  # noqa: E402

from harness import provenance, store  # noqa: E402

PROGRAM = [sys.executable, "-c", "from harness.cli import main; main()"]
SHORT = ["--searchers", "random", "--seeds", "200"]
LONG = ["--searchers", "darts,gicso", "--seeds", "4", "--preset", "smoke"]


def campaign(out: Path, more: list[str], lose=None) -> dict:
    """One campaign: seconds in all, seconds inside the searches, its records; `lose` is called when three are done."""
    start = time.monotonic()
    process = subprocess.Popen([*PROGRAM, "run", "--out", str(out), *more], stdout=subprocess.DEVNULL)
    while process.poll() is None:
        done = len(list(out.glob("runs/*/*/record.json")))
        if lose is not None and done >= 3:
            lose()
            lose = None
        time.sleep(0.05)
    seconds = time.monotonic() - start
    if process.returncode:
        raise SystemExit(f"exit code {process.returncode}: {more}")
    found = records(out)
    searching = sum(record["search_seconds"] for record in found.values())
    return {"seconds": seconds, "searching": searching, "records": {k: timeless(r) for k, r in found.items()}}


def empty(more: list[str]) -> float:
    """Seconds of a command whose runs are all done: start, planning and report."""
    start = time.monotonic()
    subprocess.run([*PROGRAM, "run", *more], check=True, capture_output=True)
    return time.monotonic() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path)
    parser.add_argument("more", nargs="*", help="for harness run, after --")
    asked = parser.parse_args()
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    from ray.cluster_utils import Cluster

    root = Path(tempfile.mkdtemp(prefix="measure-"))
    rows, first = [], {}

    def measure(name: str, kind: list[str], workers: int, how: list[str], lose=None) -> None:
        out = root / f"{len(rows)}"
        found = campaign(out, [*kind, *asked.more, "--workers", str(workers), *how], lose)
        fixed = empty(["--out", str(out), *kind, *asked.more])
        same = first.setdefault(kind[1], found["records"]) == found["records"]
        runs = len(found["records"])
        rows.append(
            {"executor": name, "campaign": " ".join(kind), "workers": workers, "runs": runs}
            | {"seconds": round(found["seconds"], 2), "of them start, planning, report": round(fixed, 2)}
            | {"inside searches": round(found["searching"], 2), "records as the first campaign's": same}
            | {"ms a run beyond them": round(1000 * (found["seconds"] - fixed) / runs, 1)}
        )
        print(json.dumps(rows[-1]), flush=True)
        if not same:
            raise SystemExit("other records than those of the first campaign")

    nodes = {"num_cpus": 1, "node_ip_address": "127.0.0.1"}
    cluster = Cluster(initialize_head=True, head_node_args=nodes | {"include_dashboard": False})
    others = [cluster.add_node(**nodes) for _ in range(2)]
    ray = ["--executor", "ray", "--address", cluster.address]
    script = ["bash", str(HERE / "slurm.sh")]
    started = subprocess.run([*script, "start", str(root / "slurm")], check=True, capture_output=True, text=True)
    variable, _, value = started.stdout.splitlines()[-1].removeprefix("export ").partition("=")
    os.environ[variable] = value
    try:
        for kind in (SHORT, LONG):
            for workers in (1, 2):
                measure("local", kind, workers, [])
                measure("ray", kind, workers, ray)
                measure("slurm", kind, workers, ["--executor", "slurm"])
        measure("ray, one node of three killed", LONG, 3, ray, lambda: cluster.remove_node(others[1], False))
    finally:
        cluster.shutdown()
        subprocess.run([*script, "stop", str(root / "slurm")], check=True)
        shutil.rmtree(root, ignore_errors=True)
    if asked.out is not None:
        asked.out.mkdir(parents=True, exist_ok=True)
        about = {
            "command": " ".join(["python", *sys.argv]),
            "environment": provenance.environment("cpu", uses_torch=False),
        }
        store.write_json(asked.out / "executors.json", about | {"measured": rows})


if __name__ == "__main__":
    main()
