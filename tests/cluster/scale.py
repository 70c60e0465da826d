"""What the harness itself costs: a campaign of 10,000 runs of a searcher that does nothing.

    python tests/cluster/scale.py --out results/cluster --table TABLE --data DIR

Seconds a run for planning, looking for what is left, claiming and making (record and trace written and synced),
looking again, status and report, and the peak memory after each; the same for a tenth of the runs, so that what is
not linear shows.
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2])]

from harness import campaign, options, provenance, store  # noqa: E402
from harness.campaign import Order  # noqa: E402
from harness.executors import local  # noqa: E402
from harness.report.page import write_report  # noqa: E402
from harness.specs import parse_specs  # noqa: E402
from harness.status import status  # noqa: E402
from searchers import base  # noqa: E402
from searchers.base import Step  # noqa: E402
from searchers.random_search import RandomSearch  # noqa: E402


class Stub(RandomSearch):
    name = "stub"
    steps = 0

    def step(self):
        self.steps += 1
        return Step((3, 3, 3, 1, 3, self.task.seed % 5)) if self.steps == 1 else None


sys.modules.setdefault("scale", sys.modules[__name__])
base.SEARCHERS |= {"stub": "scale:Stub"}


def measure(runs: int, table: Path | None, data: Path | None) -> dict[str, float]:
    bench, places, _ = options.open_benchmark("auto", table, data, None, images=True)
    preset = options.resolve_preset(bench, "small")
    setting = options.Setting(bench, table, tuple(places), bench.datasets[0], preset, "fp32", "cpu", 1)
    specs, seeds = parse_specs("stub"), range(runs)
    found: dict[str, float] = {"runs": runs}
    folder = Path(tempfile.mkdtemp(prefix="scale-", dir="."))

    def timed(name, action):
        start = time.perf_counter()
        answer = action()
        found[f"{name}, ms a run"] = 1000 * (time.perf_counter() - start) / runs
        found[f"{name}, peak MB"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        return answer

    try:
        planned = timed("planning", lambda: campaign.plans(setting, specs, seeds))
        about = options.origin("measured", setting)
        campaign.prepare(folder, setting, specs, seeds, about, Order(print), ExitStack())
        left = timed("looking for what is left", lambda: campaign.left_to_do(folder, planned, print))
        jobs = [(plan, store.run_folder(folder.resolve(), plan.label, plan.seed)) for plan in left]
        timed("claiming and making", lambda: local.here(jobs, lambda number, event: None))
        timed("looking again", lambda: campaign.left_to_do(folder, planned, print))
        timed("status", lambda: status(folder))
        timed("report", lambda: write_report([folder], folder / "report"))
    finally:
        shutil.rmtree(folder)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=10_000)
    parser.add_argument("--table", type=Path)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--out", type=Path, help="folder for scale.json")
    asked = parser.parse_args()
    result = {
        "command": " ".join(["python", *sys.argv]),
        "environment": provenance.environment("cpu", uses_torch=False),
        "measured": [measure(runs, asked.table, asked.data) for runs in (asked.runs // 10, asked.runs)],
    }
    print(json.dumps(result, indent=1))
    if asked.out is not None:
        asked.out.mkdir(parents=True, exist_ok=True)
        store.write_json(asked.out / "scale.json", result)


if __name__ == "__main__":
    main()
