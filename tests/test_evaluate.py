"""One training from scratch as a job: its key, its record, stops and checkpoints."""

import json

import pytest
from support import trained_toy
from support.trained_toy import RECIPES, TrainedToy

from benchmarks import registry
from benchmarks.errors import UserError
from harness import evaluate, jobs, store
from harness.executors import slurm
from harness.executors.base import job_of
from harness.schema import EvaluationRecord, Trainings

CELL = "nscs/cccc"


@pytest.fixture(autouse=True)
def _registered(monkeypatch):
    monkeypatch.setitem(registry.BENCHMARKS, "trained-toy", "support.trained_toy:ENTRY")


def plan_of(recipe="smoke", cell=CELL, seed=0, target="blobs", devices=1, **changes):
    bench = TrainedToy()
    how = Trainings(recipe=RECIPES[recipe].model_copy(update=changes), seeds=[seed], precision="fp32", threads=1,
                    devices=devices)  # fmt: skip
    images = evaluate.checked_images(bench.evaluation, target, how.recipe, devices)
    (plan,) = evaluate.plans(bench, [cell, cell], target, how, images, "cpu", ())
    return plan


def make(plan, folder, progress=lambda event: None):
    return jobs.run(plan, plan.place(folder), progress)


def test_the_key_is_of_all_that_decides_and_of_nothing_else():
    keys = [plan_of(**change).key for change in (
        {}, {"recipe": "long"}, {"cell": "sscs/cccc"}, {"seed": 1}, {"target": "stripes"}, {"devices": 2},
        {"weight_decay": 0.1}, {"images": 32})]  # fmt: skip
    assert len(set(keys)) == len(keys)
    plan = plan_of()
    assert job_of(json.loads(json.dumps(plan.to_json()))) == plan
    bench, how = TrainedToy(), Trainings(recipe=plan.recipe, seeds=[0], precision="fp32", threads=1)
    (elsewhere,) = evaluate.plans(bench, [CELL], "blobs", how, plan.images, "cuda:1", ("/somewhere",))
    assert elsewhere.key == plan.key


def test_a_record_says_what_was_trained_and_what_it_cost(tmp_path):
    record = make(plan_of("long"), tmp_path)
    assert record.error is None
    assert store.load_evaluations(tmp_path) == ([record], {})
    assert 50 < record.accuracy <= 100
    assert record.accuracy == pytest.approx(round(record.accuracy * 0.4) / 0.4)  # of 40 test images
    assert (record.test_images, record.train_images) == (40, 6 * 64)
    # stem 1·4·9 and its norm, six convolutions 4·4·9 with theirs, head 16·2 + 2; not the auxiliary head's 10
    assert record.parameters == 36 + 8 + 5 * (144 + 8) + 34
    assert record.multiply_adds == 64 * 36 + 144 * (64 * 1 + 16 * 4) + 32
    assert (record.batch_per_device, record.devices) == (16, 1)
    lines = list(store.read_trace(tmp_path / "evaluations" / record.label / "seed-0/trace.jsonl"))
    assert [line["step"] for line in lines] == list(range(6))
    assert lines[-1]["train_loss"] == record.train_loss
    assert sum(line["seconds"] for line in lines) == pytest.approx(record.seconds, abs=0.001)
    assert not list(tmp_path.rglob("checkpoint.pt"))


def test_the_test_images_are_seen_once_after_the_last_epoch(tmp_path, monkeypatch):
    order = []
    for name in ("batches", "views"):
        ours = getattr(trained_toy.Blobs, name)

        def watched(self, *arguments, ours=ours, name=name):
            order.append((name, len(self)))
            return ours(self, *arguments)

        monkeypatch.setattr(trained_toy.Blobs, name, watched)
    make(plan_of(), tmp_path)
    assert order == [("batches", 64), ("batches", 64), ("views", 40)]


def test_a_stopped_training_goes_on_to_the_same_record(tmp_path, monkeypatch):
    plan = plan_of("long")
    whole = make(plan, tmp_path / "whole")
    monkeypatch.setattr(jobs, "SNAPSHOT_SECONDS", -1)
    step = evaluate.Course.step

    def stopped(course):
        if course.epochs == 3:
            raise KeyboardInterrupt
        return step(course)

    with monkeypatch.context() as patch:
        patch.setattr(evaluate.Course, "step", stopped)
        with pytest.raises(KeyboardInterrupt):
            make(plan, tmp_path / "stopped")
    folder = plan.place(tmp_path / "stopped")
    assert (folder / "checkpoint.pt").exists()
    assert not (folder / "record.json").exists()
    begun = []
    with monkeypatch.context() as patch:
        patch.setattr(evaluate.Course, "step", lambda course: begun.append(course.epochs) or step(course))
        record = make(plan, tmp_path / "stopped")
    assert begun == [3, 4, 5, 6]
    assert (record.accuracy, record.train_loss, record.train_images) == (
        whole.accuracy,
        whole.train_loss,
        whole.train_images,
    )
    traces = [
        [line["train_loss"] for line in store.read_trace(plan.place(tmp_path / name) / "trace.jsonl")]
        for name in ("whole", "stopped")
    ]
    assert traces[0] == traces[1]


def test_a_finished_one_is_not_made_again_and_a_foreign_checkpoint_begins_anew(tmp_path, monkeypatch):
    plan = plan_of()
    folder = plan.place(tmp_path)
    folder.mkdir(parents=True)
    (folder / "checkpoint.pt").write_bytes(store.checkpoint_bytes({"key": "another"}))
    record = make(plan, tmp_path)
    assert record.finished
    assert "of another run than this one; set aside, the run begins anew" in record.notes[0]
    monkeypatch.setattr(evaluate.Course, "step", lambda course: pytest.fail("trained again"))
    assert make(plan, tmp_path) == record


def test_a_task_of_a_slurm_array_trains_what_its_file_names(tmp_path, capsys):
    plan = plan_of()
    store.write_json(tmp_path / "jobs.json", [[plan.to_json(), str(plan.place(tmp_path))]])
    slurm.Task(str(tmp_path / "jobs.json"), 1)(0)
    (record,), _ = store.load_evaluations(tmp_path)
    assert (record.finished, record.key) == (True, plan.key)
    assert f"{plan.label} seed 0: {record.accuracy:.2f} % on the test images" in capsys.readouterr().err


def test_a_diverged_training_is_failed_in_one_line(tmp_path):
    record = make(plan_of("diverging"), tmp_path)
    assert (record.status, record.accuracy) == ("failed", None)
    assert record.error.startswith("the training loss is NaN in epoch ")
    assert store.load_record(tmp_path / "evaluations" / record.label / "seed-0", EvaluationRecord) == record


def test_other_images_than_planned_train_nothing(tmp_path):
    record = make(plan_of()._replace(images="0" * 64), tmp_path)
    assert record.status == "failed"
    assert record.error == "blobs: other images here than where the training was planned"


def test_what_does_not_fit_is_said_before():
    evaluation = TrainedToy().evaluation
    with pytest.raises(UserError, match="a batch of 16 images cannot be shared evenly"):
        evaluate.checked_images(evaluation, "blobs", RECIPES["smoke"], 3)
    few = RECIPES["smoke"].model_copy(update={"images": 8})
    with pytest.raises(UserError, match="blobs: 8 training and 40 test images; recipe smoke needs a batch of 16"):
        evaluate.checked_images(evaluation, "blobs", few, 1)
