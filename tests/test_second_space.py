"""Nothing assumes NAS-Bench-201: a toy space with two cell types, no index and no table, from search to page."""

import csv

import pytest
from support import toy

from benchmarks import registry
from harness import store
from searchers import base


@pytest.fixture
def registered(monkeypatch):
    monkeypatch.setitem(registry.BENCHMARKS, "toy", "support.toy:ENTRY")


# Small enough for 64 images; what is not named is as by default.
SETTINGS = {
    "cso": "population=6,fitness_batch=32,fitness_images=32",
    "cmaes": "generations=2,population=4,fitness_batch=32,fitness_images=32",
    "zero-order": "pairs=2,fitness_batch=32,fitness_images=32",
    "rsws": "candidates=4,fitness_batch=32",
    "enas": "candidates=4,fitness_batch=32,updates=2,cells_an_update=3",
    "training-free": "cells=20",
    "params": "cells=20",
    "flops": "cells=20",
    "gicso": "population=6,fitness_batch=32,fitness_images=32,final_images=64,patience=0",
}


def test_every_searcher_and_a_whole_report_run_on_another_space(registered, harness, tmp_path):
    specs = ",".join(f"{name}[{SETTINGS[name]}]" if name in SETTINGS else name for name in base.SEARCHERS)
    code, _, err = harness("run", "--benchmark", "toy", "--preset", "smoke", "--seeds", 2, "--searchers", specs,
                             "--workers", 1, "--out", tmp_path)  # fmt: skip
    assert code == 0, err
    records, wrong = store.load_records(tmp_path)
    assert wrong == {}
    assert {r.searcher for r in records} == set(base.SEARCHERS)
    for record in records:
        cell = toy.parse(record.cell)
        assert record.index is None
        assert record.final("blobs", "valid") == toy.accuracy(cell)
        assert record.final("stripes", "test") == toy.accuracy(cell) - 8
        assert record.collapsed == ("c" not in record.cell)
        assert all(point.scores[0].value == toy.accuracy(toy.parse(point.cell)) for point in record.trajectory)
    report = {path.name for path in (tmp_path / "report").iterdir()}
    assert report >= {"table.csv", "comparisons.csv", "report.html", "accuracy.png", "cells.png", "operations.png"}
    with open(tmp_path / "report/diagnostics.csv", newline="") as file:
        rows = {row["searcher"]: row for row in csv.DictReader(file)}
    random = [toy.parse(r.cell) for r in records if r.searcher == "random"]
    assert float(rows["random"]["conv"]) == sum(cell.count(2) for cell in random) / 2
    page = (tmp_path / "report/report.html").read_text(encoding="utf-8")
    assert records[0].cell in page


def test_the_small_commands_know_it(registered, harness):
    assert "toy" in harness("list", "benchmarks")[1]
    assert "toy       smoke  C=4, N=1, 8×8, 64 + 64 images, 3 epochs" in harness("list", "presets")[1]
    code, out, _ = harness("show", "ccss/nnnn")
    assert code == 0
    assert out.splitlines()[1].split() == ["string", "ccss/nnnn"]


def test_ablations_are_of_cells_that_have_no_index(registered, harness, tmp_path):
    arguments = ("--benchmark", "toy", "--preset", "smoke", "--seeds", 2, "--workers", 1, "--out", tmp_path)
    assert harness("ablate", "evolution", *arguments)[0] == 0
    with open(tmp_path / "report/ablations.csv", newline="") as file:
        row = next(csv.DictReader(file))
    cells = {(r.label, r.seed): r.cell for r in store.load_records(tmp_path)[0]}
    labels = dict.fromkeys(label for label, _ in cells)
    whole, without = labels
    assert int(row["same_answer"]) == sum(cells[whole, seed] == cells[without, seed] for seed in range(2))
