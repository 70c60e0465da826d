"""The scripts under results/ that a figure comes from still run, here at the smallest size."""

import csv
import importlib
import sys
from pathlib import Path

import pytest

from harness import options

ROOT = Path(__file__).parents[1]
STUDY, PROCESSORS = ROOT / "results/gicso-study", ROOT / "results/processors"


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
