"""The scripts under results/ that a figure comes from still run, here at the smallest size."""

import csv
import importlib
import json
import sys
from pathlib import Path

import pytest

from harness import options

ROOT = Path(__file__).parents[1]
STUDY, PROCESSORS = ROOT / "results/gicso-study", ROOT / "results/processors"
FREE, REFERENCE = ROOT / "results/training-free", ROOT / "results/reference"


@pytest.fixture
def script(monkeypatch):
    """Runs a script's `main` with arguments, in the smoke preset."""

    def run(folder, name, *arguments, **changes):
        monkeypatch.syspath_prepend(str(folder))
        module = importlib.import_module(name)
        for key, value in changes.items():
            monkeypatch.setattr(module, key, value)
        monkeypatch.setattr(sys, "argv", [name, *map(str, arguments)])
        module.main()

    resolve = options.resolve_preset
    monkeypatch.setattr(options, "resolve_preset", lambda benchmark, name: resolve(benchmark, "smoke"))
    before = set(sys.modules)
    yield run
    for name in set(sys.modules) - before:
        if "results" in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


def module(monkeypatch, folder, name):
    monkeypatch.syspath_prepend(str(folder))
    return importlib.import_module(name)


def rows(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def test_diversity_forms_and_its_table(script, tmp_path, monkeypatch):
    from searchers import alpha_swarm

    monkeypatch.setattr(alpha_swarm, "relative_distances", alpha_swarm.relative_distances)  # replaced by the script
    out = tmp_path / "forms.csv"
    cases = [("mean distance to all (default)", 0.1), ("distance to the nearest", 0.1)]
    for _ in range(2):  # the second time nothing is left to do
        script(STUDY, "diversity_forms", "--seeds", 1, "--out", out, CASES=cases)
    assert [(row["form"], row["seed"]) for row in rows(out)] == [(form, "0") for form, _ in cases]
    assert all(0 < float(row["valid"]) <= 100 for row in rows(out))
    lines = module(monkeypatch, STUDY, "tables").forms(out)
    assert [line.split(" | ")[:3] for line in lines[2:]] == [[f"| {form}", "0.1", "1"] for form, _ in cases]


def test_one_shot_signal_and_its_table(script, tmp_path, monkeypatch):
    out = tmp_path / "signal.csv"
    script(STUDY, "one_shot_signal", "--seeds", 1, "--ways", "a path a batch", "--out", out, SAMPLE=20, IMAGES=64)
    scored = [row for row in rows(out) if row["score"] != "trained"]
    assert len(scored) == 6
    assert all(-1 <= float(row["spearman"]) <= 1 for row in scored)
    assert len(module(monkeypatch, STUDY, "tables").signal(out)) == 2 + 7


def test_committed_figures_give_the_tables_that_are_shown(monkeypatch):
    variance = module(monkeypatch, PROCESSORS, "variance")
    shown = (PROCESSORS / "README.md").read_text(encoding="utf-8")
    assert variance.table(variance.pd.read_csv(PROCESSORS / "answers.csv")) in shown


def test_what_searches_cost_is_what_the_reference_records_say(monkeypatch):
    costs = module(monkeypatch, REFERENCE, "costs")
    shown = rows(ROOT / "harness/costs.csv")
    assert [list(map(str, row)) for row in sorted(costs.from_records() + costs.from_perf())] == [
        list(row.values()) for row in shown if row["spec"] not in costs.FREE
    ]
    darts = [json.loads(path.read_bytes()) for path in REFERENCE.glob("nb201-small/runs/darts/*/record.json")]
    (row,) = (row for row in shown if (row["preset"], row["spec"], row["benchmark"]) == ("small", "darts", "nb201"))
    expected = min(record["search_seconds"] / record["steps"] for record in darts)
    assert float(row["seconds"]) == pytest.approx(expected, rel=0.01)


def test_the_agreement_of_scores_as_shown_is_that_of_the_committed_lines(monkeypatch, shared):
    agreement = module(monkeypatch, FREE, "agreement")
    public = agreement.pd.read_csv(shared / "data/nb201/zero_cost_naslib.csv.gz").query("dataset == 'cifar10'")
    lines = [json.loads(line) for line in (FREE / "agreement.jsonl").read_text().splitlines()]
    table = agreement.table(public, lines)
    readme = (FREE / "README.md").read_text(encoding="utf-8")
    for row in table.to_dict("records"):
        shown = next(line for line in readme.splitlines() if line.startswith(f"| {row['score']} |")).split(" | ")
        assert int(shown[1]) == row["cells"] == len(lines)
        if row["score"] in agreement.PUBLIC:
            assert float(shown[2]) == pytest.approx(row["public ρ"], abs=6e-4)
        assert float(shown[3].replace("−", "-")) == pytest.approx(row["our ρ with accuracy"], abs=6e-4)
