"""Campaigns whose answers are trained from scratch, and `harness evaluate`, on a toy space."""

import csv
import re

import pytest
from support import trained_toy
from support.trained_toy import DerivedToy

import harness as package
from benchmarks import registry
from harness import store

RUN = ("run", "--benchmark", "trained-toy", "--preset", "smoke", "--workers", 1)


@pytest.fixture(autouse=True)
def _registered(monkeypatch):
    monkeypatch.setitem(registry.BENCHMARKS, "trained-toy", "support.trained_toy:ENTRY")


@pytest.fixture
def trainings(monkeypatch):
    """The networks that were built to be trained: those with a training's seed, size counts apart."""
    built, ours = [], DerivedToy.__init__

    def counted(self, cell, channels, seed, auxiliary):
        built.append((trained_toy.toy.to_string(cell), seed))
        ours(self, cell, channels, seed, auxiliary)

    monkeypatch.setattr(DerivedToy, "__init__", counted)
    return built


def test_a_campaign_is_searched_trained_transferred_and_compared(harness, tmp_path, trainings):
    out = tmp_path / "c"
    common = (*RUN, "--searchers", "random,evolution", "--seeds", 2, "--out", out)
    code, shown, err = harness(*common, "--evaluation-seeds", 2)
    assert code == 0, err
    records, faults = store.load_records(out)
    evaluations, more = store.load_evaluations(out)
    assert (faults, more) == ({}, {})
    cells = {r.cell for r in records}
    assert {(e.cell, e.seed) for e in evaluations} == {(cell, seed) for cell in cells for seed in (0, 1)}
    assert len(evaluations) == 2 * len(cells)
    assert all(e.finished and e.target == "blobs" and e.recipe.name == "smoke" for e in evaluations)
    assert all(r.scores == [] for r in records)  # what is stored of a search has no training in it
    accuracy = {(e.cell, e.seed): e.accuracy for e in evaluations}
    frame = package.load(out)
    for row in frame.to_dict("records"):
        assert row["value"] == (accuracy[row["cell"], 0] + accuracy[row["cell"], 1]) / 2
        assert (row["dataset"], row["split"], row["trials"], row["epochs"]) == ("blobs", "test", 2, 2)
    with open(out / "report/table.csv", newline="") as file:
        first = next(csv.DictReader(file))
    own = [value for value, label in zip(frame["value"], frame["label"], strict=True) if label == "random"]
    assert (first["n"], float(first["mean"])) == ("2", pytest.approx(sum(own) / 2))
    assert "Trained on blobs: recipe smoke" in shown
    page = (out / "report/report.html").read_text(encoding="utf-8")
    assert "Training from scratch" in page
    assert "blobs multiply-adds, M" in (out / "report/table.md").read_text(encoding="utf-8")

    trainings.clear()
    code, _, err = harness(*common, "--evaluation-seeds", 2)
    assert code == 0
    assert trainings == []  # nothing is left to do
    assert f"{len(evaluations)} trainings, {len(evaluations)} done, 0 to do" in err

    code, shown, err = harness("evaluate", out, "--dataset", "stripes", "--workers", 1)
    assert code == 0, err
    assert f"{len(cells)} trainings, 0 done, {len(cells)} to do" in err
    assert re.search(r"\| random \| 2 \| .* \| .* \|", shown)
    campaign = store.load_campaign(out)
    assert {target: how.seeds for target, how in campaign.evaluations.items()} == {"blobs": [0, 1], "stripes": [0]}
    assert "evaluate" in campaign.command
    with open(out / "report/trainings.csv", newline="") as file:
        assert len(list(csv.DictReader(file))) == 3 * len(cells)

    _, shown, _ = harness("status", out)
    assert re.search(rf"training on blobs \(smoke\) +{2 * len(cells)} +0 +0 +0", shown)
    code, shown, _ = harness("table", out)
    assert "| method | n | blobs test | stripes test |" in shown
    code, shown, _ = harness("compare", out, out)
    assert code == 0
    assert "random, stripes: " in shown


def test_a_failed_training_is_named_and_the_others_are_kept(harness, tmp_path, monkeypatch):
    """And is trained when the command is given again with a recipe that does not diverge."""
    smoke = trained_toy.RECIPES["smoke"]
    monkeypatch.setitem(trained_toy.RECIPES, "smoke", smoke.model_copy(update={"learning_rate": 1e30, "clip": 1e30}))
    code, shown, err = harness(*RUN, "--searchers", "random", "--seeds", 1, "--out", tmp_path)
    assert code == 1
    assert "FAILED: the training loss is NaN in epoch" in err
    assert "1 of 1 trainings failed" in err
    assert "Trainings not finished: blobs 1 of 1" in shown
    _, shown, _ = harness("status", tmp_path)
    assert re.search(r"training on blobs \(smoke\) +0 +0 +1 +0", shown)
    assert "seed-0: the training loss is NaN" in shown
    monkeypatch.setitem(trained_toy.RECIPES, "smoke", smoke)
    code, shown, err = harness(*RUN, "--searchers", "random", "--seeds", 1, "--out", tmp_path)
    assert code == 0, err
    assert "Trainings not finished" not in shown


def test_another_recipe_takes_the_place_of_the_first_and_loses_nothing(harness, tmp_path):
    assert harness(*RUN, "--searchers", "random", "--seeds", 1, "--out", tmp_path)[0] == 0
    code, _, err = harness("evaluate", tmp_path, "--preset", "long", "--workers", 1)
    assert code == 0, err
    assert "blobs: until now trained as smoke in fp32, 1 thread(s); the report has the new ones, none is deleted" in err
    assert sorted(e.recipe.name for e in store.load_evaluations(tmp_path)[0]) == ["long", "smoke"]
    assert list(package.load(tmp_path)["epochs"]) == [6]
    assert list(package.load(tmp_path)["trials"]) == [1]


def test_one_cell_is_trained_and_summed_up(harness, tmp_path, trainings):
    command = ("evaluate", "nscs/cccc", "--preset", "smoke", "--seeds", "3,5", "--out", tmp_path, "--workers", 1)
    code, shown, err = harness(*command)
    assert code == 0, err
    first, accuracy, recipe, size = shown.splitlines()
    values = [e.accuracy for e in store.load_evaluations(tmp_path)[0]]
    mean, std = sum(values) / 2, abs(values[0] - values[1]) / 2**0.5
    assert first == "nscs/cccc"
    assert accuracy == f"{mean:.2f} ± {std:.2f} % of 40 blobs test images (n = 2)"
    assert re.fullmatch(r"recipe smoke, 2 epochs; [0-9.]+ s each on 1 x cpu", recipe)
    assert size == "838 parameters, 20,768 multiply-adds in convolutions and linear maps"
    trainings.clear()
    assert harness(*command)[1].splitlines()[1] == accuracy
    assert trainings == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("nope",), "'nope': no campaign's folder, and no cell that is trained (darts: unknown cell 'nope'"),
        (("12", "--benchmark", "nb201"), "nb201 has the scores of its cells from a table"),
        (("12",), "no cell that is trained (harness show has its scores from the tables of nb201 and digits201)"),
        (("nscs/cccc", "--dataset", "stripe"), "cells are not trained on 'stripe'; did you mean 'stripes'?"),
        (("nscs/cccc", "--preset", "smok"), "--preset 'smok': no recipe; did you mean 'smoke'?"),
        (("nscs/cccc", "--devices", "3"), "--devices 3: a batch of 16 images cannot be shared evenly"),
        (("nscs/cccc", "--devices", "2", "--workers", "2"), "--devices 2 with --workers 2: one training at a time"),
        (("nscs/cccc", "--seeds", "x"), "--seeds 'x': expected a count"),
        (("nscs/cccc", "--gpus", "1"), "--gpus belongs to --executor ray or slurm"),
        (("{}",), "no campaign here"),
    ],
)
def test_bad_input_is_one_line_before_any_work(harness, tmp_path, monkeypatch, arguments, said):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "empty"
    folder.mkdir()
    code, shown, err = harness("evaluate", *(a.format(folder) for a in arguments))
    assert (code, shown) == (2, "")
    assert said in err
    assert [path.name for path in tmp_path.iterdir()] == ["empty"]


def test_imported_cells_are_trained_like_answers(harness, tmp_path):
    cells = tmp_path / "cells.csv"
    cells.write_text("seed,cell\n0,cscs/cccc\n1,cscs/cccc\n")
    code, shown, err = harness("import", "mine", cells, tmp_path / "c", "--benchmark", "trained-toy")
    assert code == 0, err
    assert "| mine | 0/2 | – |" in shown
    code, shown, err = harness("evaluate", tmp_path / "c", "--preset", "smoke", "--workers", 1)
    assert code == 0, err
    assert "1 trainings, 0 done, 1 to do" in err
    (value,) = {row["value"] for row in package.load(tmp_path / "c").to_dict("records") if not row["without_none"]}
    assert f"| mine | 2 | {value:.2f} ± 0.00 |" in shown
    assert "their scores are one draw: mine seed 0, mine seed 1." in shown


def test_evaluation_seeds_are_for_what_is_trained(harness, tmp_path):
    code, _, err = harness("run", "--benchmark", "digits201", "--searchers", "random", "--seeds", 1,
                           "--evaluation-seeds", 2, "--out", tmp_path / "c")  # fmt: skip
    assert (code, (tmp_path / "c").exists()) == (2, False)
    assert "--evaluation-seeds: digits201 has its scores from a table; none of its cells is trained" in err
