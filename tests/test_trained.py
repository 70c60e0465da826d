"""Trainings from scratch as scores of a campaign's runs, and what a report says of them. Values worked out by hand."""

import dataclasses

import pytest
from support.campaigns import make_campaign, make_record
from support.trained_toy import RECIPES

from benchmarks import registry
from harness import schema, store, trained
from harness.report import trained as reported
from harness.report.readable import readable_trainings
from harness.results import Results
from harness.schema import Campaign, EvaluationRecord, Record, Trainings

RECIPE = RECIPES["smoke"]


@pytest.fixture(autouse=True)
def trained_toy(monkeypatch):
    monkeypatch.setitem(registry.BENCHMARKS, "trained-toy", "support.trained_toy:ENTRY")


def evaluation(cell, seed, accuracy, target="blobs", **changes):
    fields = {
        "benchmark": "trained-toy", "cell": cell, "target": target, "recipe": RECIPE, "seed": seed, "threads": 1,
        "label": f"{target}-smoke-{cell}", "precision": "fp32", "devices": 1, "batch_per_device": 16, "images": "i",
        "key": f"{cell}{seed}", "accuracy": accuracy, "parameters": 1000, "multiply_adds": 2_000_000,
        "seconds": 864.0, "status": "done", "environment": {"device": "cuda (H100)"}} | changes  # fmt: skip
    return EvaluationRecord(**fields)


def run(label, seed, cell, **changes):
    changes = {"benchmark": "trained-toy", "cell": cell, "scores": [], "trajectory": []} | changes
    return Record(**make_record(label, seed, 0.0) | changes | {"search_seconds": 8640.0})


def campaign(seeds=(0, 1), **more):
    ways = {"blobs": Trainings(recipe=RECIPE, seeds=list(seeds), precision="fp32", threads=1)}
    base = make_campaign({"a": "one-shot", "b": "one-shot"}, [0, 1])
    return Campaign(**base | {"benchmark": "trained-toy", "space": {}, "evaluations": ways} | more)


RUNS = [run("a", 0, "x"), run("a", 1, "y"), run("b", 0, "x"), run("b", 1, "z")]
TRAININGS = [evaluation("x", 0, 90.0), evaluation("x", 1, 92.0), evaluation("y", 0, 80.0), evaluation("y", 1, 86.0)]


def results_of(own, runs=RUNS, trainings=TRAININGS):
    fitting = [e for e in trainings if trained.fits(e, own)]
    return Results(own, trained.scored(own, runs, fitting), fitting)


def test_evaluation_seeds_are_averaged_and_each_is_kept():
    results = results_of(campaign())
    (score,) = results.records[0].scores
    assert score.model_dump() == {
        "dataset": "blobs", "split": "test", "epochs": 2, "value": 91.0, "trials": 2, "record": "blobs",
        "without_none": False, "each": [90.0, 92.0], "source": "trained"}  # fmt: skip
    assert [r.final("blobs", "test") for r in results.records] == [91.0, 83.0, 91.0, None]
    assert results.columns == [("blobs", "test")]


@pytest.mark.parametrize(
    "changes",
    [
        {"precision": "bf16"},
        {"threads": 2},
        {"devices": 2},
        {"recipe": RECIPES["long"]},
        {"seed": 2},
        {"target": "stripes"},
        {"benchmark": "another"},
        {"status": "failed", "accuracy": None},
    ],
)
def test_a_training_of_another_kind_is_no_score(changes):
    results = results_of(
        campaign(), trainings=[evaluation("x", 0, 90.0), evaluation("x", **{"seed": 1, "accuracy": 70.0, **changes})]
    )
    assert results.records[0].scores[0].each == [90.0]


def test_a_table_s_scores_are_written_as_ever():
    record = make_record("a", 0, 91.0)
    assert Record(**record).model_dump()["scores"] == record["scores"]
    assert "evaluations" not in Campaign(**make_campaign({"a": "one-shot"}, [0])).model_dump()
    again = schema.parse(Campaign, campaign().model_dump(), "here")
    assert again == campaign()


def test_costs_sizes_and_both_spreads_by_hand():
    rows = {row["label"]: row for row in reported.costs(results_of(campaign()))}
    a = rows["a"]
    assert (a["n"], a["search_days"], a["training_days"]) == (2, pytest.approx(0.1), pytest.approx(0.01))
    assert (a["parameters"], a["multiply_adds"]) == (1000, 2_000_000)
    assert a["std_search"] == pytest.approx(abs(91 - 83) / 2**0.5)
    assert a["std_training"] == pytest.approx(((1 + 1 + 9 + 9) / 2) ** 0.5)
    b = rows["b"]
    assert (b["n"], b["std_search"], b["std_training"]) == (1, None, pytest.approx(2**0.5))
    assert reported.days(TRAININGS) == "GPU-days"
    assert reported.days(RUNS) == "CPU-days"
    assert reported.days([*RUNS, *TRAININGS]) == "days"


def test_another_endpoint_keeps_the_trainings():
    trainings = [*TRAININGS, *(evaluation(cell, s, 70.0, target="stripes") for cell in "xy" for s in (0, 1))]
    way = campaign().evaluations["blobs"]
    results = results_of(campaign(evaluations={"blobs": way, "stripes": way}, endpoint="blobs"), trainings=trainings)
    assert len(results.with_endpoint("stripes").evaluations) == len(results.evaluations) == 8


def test_two_devices_cost_twice_the_days():
    own = campaign()
    way = own.evaluations["blobs"].model_copy(update={"devices": 2})
    own = own.model_copy(update={"evaluations": {"blobs": way}})
    results = results_of(own, trainings=[evaluation("x", 0, 90.0, devices=2)])
    assert reported.costs(results)[0]["training_days"] == pytest.approx(0.02)
    assert "2 devices with 8 images each" in reported.footnotes(results)[0]


def test_runs_that_share_a_training_are_named():
    results = results_of(campaign())
    assert [[(r.label, r.seed) for r in group] for group in trained.shared(results.records)] == [[("a", 0), ("b", 0)]]
    notes = reported.footnotes(results)
    assert (
        "recipe smoke (2 cells, C 4, 8×8 pixels, 2 epochs, batch 16), fp32, 1 thread(s), 2 seed(s) a cell" in notes[0]
    )
    assert notes[1] == (
        "Runs with equal answers share their trainings, so their scores are one draw: a seed 0, b seed 0."
    )
    assert reported.warnings(results)[1:] == ["Trainings not finished: blobs 2 of 6; what there is is reported."]


def test_standings_count_the_distinct_answers(tmp_path):
    labels = {e.cell: trained.label_of(e.cell, "blobs", RECIPE) for e in TRAININGS}
    own = [e.model_copy(update={"label": labels[e.cell]}) for e in TRAININGS[:3]]
    own[2] = own[2].model_copy(update={"status": "failed", "accuracy": None, "error": "diverged"})
    busy = store.evaluation_folder(tmp_path, labels["y"], 1)
    (standing,) = trained.standings(tmp_path, campaign(), RUNS, own, {busy: "somebody"})
    assert sorted(standing.states.values()) == ["done", "done", "failed", "left", "left", "running"]
    assert standing.errors == {store.evaluation_folder(tmp_path, labels["y"], 0): "diverged"}


def test_skips_of_normal_cells_are_counted():
    """DARTS_V1's normal cell has three skip connections, DARTS_V2's two; none of reductions is counted."""
    space = registry.find("darts").space
    cells = [space.to_string(space.parse(name)) for name in ("DARTS_V1", "DARTS_V2")]
    runs = [run("a", seed, cell, benchmark="darts") for seed, cell in enumerate(cells)]
    trainings = [evaluation(cell, 0, 90.0, benchmark="darts", label=f"of-{k}") for k, cell in enumerate(cells)]
    results = results_of(campaign([0], benchmark="darts"), runs, trainings)
    assert reported.costs(results)[0]["skips"] == 2.5
    table = readable_trainings(results)
    row, _ = table.groups[0].rows
    assert row.cells[table.headings.index("skips of a normal cell") - 1].text == "2.50"


def test_a_space_without_cell_types_has_no_count_of_skips():
    assert "skips of a normal cell" not in readable_trainings(results_of(campaign())).headings


@pytest.mark.parametrize(
    ("agreement", "said"),
    [
        ({}, ["has not been measured"]),
        ({"smoke": (0.25, -0.1, 0.5)}, ["is ρ 0.25 [−0.10, 0.50]"]),
        ({"smoke": (0.3, 0.1, 0.5)}, []),
    ],
)
def test_a_recipe_that_may_rank_nothing_makes_a_demonstration(monkeypatch, agreement, said):
    known = dataclasses.replace(registry.find("trained-toy"), agreement=agreement)
    monkeypatch.setattr(registry, "find", lambda name: known)
    start, end = "How recipe smoke ranks cells, beside trainings of full length, ", ": a demonstration, no ranking."
    notes = [str(note) for note in reported.warnings(results_of(campaign()))]
    assert [note for note in notes if "recipe" in note] == [start + text + end for text in said]
