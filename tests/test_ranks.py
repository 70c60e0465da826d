"""One training by two processes, each with half of every batch (gloo, on this CPU)."""

import copy

import pytest
import torch
import torch.nn.functional as F
from support import trained_toy
from support.trained_toy import RECIPES, TrainedToy

from benchmarks import registry
from harness import evaluate, jobs, store
from harness.ranks import Ranks
from harness.schema import Trainings
from harness.training import learning_rate, random_stream

CELL = "nscs/cccc"


@pytest.fixture
def plan(site, monkeypatch):
    """Of 20 epochs of one batch, for two devices; its benchmark is an installed package's, as processes find it."""
    site.install("trained-toy", {}, {"trained-toy": "support.trained_toy:ENTRY"}, group="benchmarks")
    registry._entry_points.cache_clear()
    bench = TrainedToy()
    how = Trainings(recipe=RECIPES["steps"], seeds=[0], precision="fp32", threads=1, devices=2)
    images = evaluate.checked_images(bench.evaluation, "blobs", how.recipe, 2)
    yield evaluate.plans(bench, [CELL], "blobs", how, images, "cpu", ())[0]
    registry._entry_points.cache_clear()


def by_hand(recipe):
    """The mean losses of 20 steps of one process: each half by itself, gradients averaged; and the first half's net."""
    evaluation = TrainedToy().evaluation
    images, _ = evaluation.images("blobs", recipe)
    nets = [evaluation.network(trained_toy.toy.parse(CELL), "blobs", recipe, 0).train() for _ in range(2)]
    sgd = torch.optim.SGD(nets[0].parameters(), 1.0, momentum=recipe.momentum, weight_decay=recipe.weight_decay)
    losses = []
    for epoch in range(recipe.epochs):
        sgd.param_groups[0]["lr"] = learning_rate(recipe, epoch)
        ((x, y),) = images.batches(recipe.batch_size, 0, epoch)
        nets[1].load_state_dict(copy.deepcopy(nets[0].state_dict()))
        halves = []
        for rank, (net, own, labels) in enumerate(zip(nets, x.chunk(2), y.chunk(2), strict=True)):
            net.drop_path = recipe.drop_path * epoch / recipe.epochs
            with random_stream("cpu", "drop path", 0, epoch, rank):
                logits, auxiliary = net(own)
            halves.append(F.cross_entropy(logits, labels))
            net.zero_grad()
            (halves[-1] + recipe.auxiliary * F.cross_entropy(auxiliary, labels)).backward()
        for a, b in zip(nets[0].parameters(), nets[1].parameters(), strict=True):
            if a.grad is not None:
                a.grad = (a.grad + b.grad) / 2
        torch.nn.utils.clip_grad_norm_(nets[0].parameters(), recipe.clip)
        sgd.step()
        losses.append(sum(half.item() for half in halves) / 2)
    return losses, nets[0]


def test_two_halves_are_one_batch_and_a_killed_rank_goes_on_from_its_checkpoint(plan, tmp_path, monkeypatch):
    """The losses of all 20 steps, before and after rank 1 is killed, and the statistics are those of one process."""
    monkeypatch.setattr(jobs, "SNAPSHOT_SECONDS", -1)
    epoch, state = Ranks.epoch, {}

    def killing(ranks, number):
        if number == 7:
            ranks.processes[1].kill()
        return epoch(ranks, number)

    folder = plan.place(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(Ranks, "epoch", killing)
        record = jobs.run(plan, folder)
    assert record.status == "failed"
    assert record.error == (
        "the process of rank 1 of 2 ended (signal SIGKILL); the same command goes on from the last checkpoint"
    )
    assert (folder / "checkpoint.pt").exists()
    store.set_aside(folder / "record.json")  # as the same command does

    accuracy = Ranks.accuracy
    monkeypatch.setattr(Ranks, "accuracy", lambda ranks: state.update(ranks.state_dict()) or accuracy(ranks))
    record = jobs.run(plan, folder)
    assert record.error is None
    assert record.notes == []
    losses = [line["train_loss"] for line in store.read_trace(folder / "trace.jsonl")]
    expected, net = by_hand(plan.recipe)
    assert losses == pytest.approx(expected, abs=1e-5)
    assert losses[-1] < losses[0]
    for name, value in net.state_dict().items():
        assert torch.allclose(state["network"][name].double(), value.double(), atol=1e-4), name
    assert (record.devices, record.batch_per_device, record.train_images) == (2, 8, 320)
