"""The training loop: its schedule, its losses, its state."""

import copy
import math

import pytest
import torch
from support.trained_toy import RECIPES, Blobs, ToyEvaluation, blobs
from torch import nn

from benchmarks.base import Recipe
from benchmarks.errors import UserError
from harness.training import Training, learning_rate

CELL = (1, 2, 2, 2, 2, 1, 2, 2)


def recipe(**changes):
    return RECIPES["long"].model_copy(update=changes)


def training(recipe, seed=0, precision="fp32"):
    evaluation = ToyEvaluation()
    network = evaluation.network(CELL, "blobs", recipe, seed)
    return Training(network, recipe, *evaluation.images("blobs", recipe), seed, precision=precision)


def test_the_cosine_is_pytorch_s():
    own = recipe(epochs=600, learning_rate=0.025)
    sgd = torch.optim.SGD([torch.zeros(1, requires_grad=True)], 0.025)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(sgd, 600)
    for epoch in range(600):
        assert learning_rate(own, epoch) == pytest.approx(schedule.get_last_lr()[0], rel=1e-9)
        sgd.step()
        schedule.step()


def test_the_other_schedules_by_hand():
    mobile = recipe(epochs=250, learning_rate=0.1, decay="exponential")
    assert [learning_rate(mobile, e) for e in (0, 1, 249)] == pytest.approx([0.1, 0.097, 0.1 * 0.97**249])
    linear = recipe(epochs=250, learning_rate=0.5, decay="linear", warmup_epochs=5)
    assert [learning_rate(linear, e) for e in range(6)] == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.5, 0.5])
    assert learning_rate(linear, 249) == pytest.approx(0.5 / 245)


class Fixed(nn.Module):
    """Logits that are parameters, whatever the image; the auxiliary head's too. `seen` is the drop path."""

    def __init__(self):
        super().__init__()
        self.logits, self.more = (nn.Parameter(torch.tensor([1.0, -1.0])) for _ in range(2))
        self.drop_path, self.seen = 0.0, []

    def forward(self, x):
        self.seen.append(self.drop_path)
        return self.logits.expand(len(x), 2), self.more.expand(len(x), 2) if self.training else None


def test_a_step_by_hand():
    """All images are of class 0, p(0) = 1 / (1 + e⁻²): smoothed loss, weighted auxiliary loss, weight decay."""
    images = Blobs(torch.zeros(4, 1, 8, 8), torch.zeros(4, dtype=torch.int64))
    smooth, p = 0.1, 1 / (1 + math.exp(-2))
    own = Recipe(name="one", channels=1, cells=1, resolution=8, epochs=4, batch_size=4, learning_rate=0.5, clip=100.0,
                 weight_decay=0.01, auxiliary=0.4, label_smoothing=smooth, drop_path=0.2)  # fmt: skip
    network = Fixed()
    loss, count = Training(network, own, images, images, 0).epoch(0)
    assert loss == pytest.approx(-(1 - smooth / 2) * math.log(p) - smooth / 2 * math.log(1 - p))
    assert count == 4
    gradient = p - (1 - smooth / 2)  # of the first logit; the second's is its opposite
    assert network.logits[0].item() == pytest.approx(1 - 0.5 * (gradient + 0.01))
    assert network.more[1].item() == pytest.approx(-1 - 0.5 * (-0.4 * gradient - 0.01))


def test_drop_path_rises_linearly_and_is_off_at_the_end():
    images = Blobs(torch.zeros(4, 1, 8, 8), torch.tensor([0, 0, 0, 1]))
    network = Fixed()
    whole = Training(network, recipe(epochs=4, batch_size=4, drop_path=0.2, learning_rate=0.01), images, images, 0)
    for epoch in range(4):
        whole.epoch(epoch)
    assert network.seen == pytest.approx([0.0, 0.05, 0.1, 0.15])
    assert whole.accuracy() == (75.0, 4)


def test_the_gradient_s_norm_is_clipped():
    images = Blobs(torch.zeros(4, 1, 8, 8), torch.ones(4, dtype=torch.int64))
    network = Fixed()
    own = recipe(epochs=4, batch_size=4, learning_rate=1.0, weight_decay=0.0, clip=0.01, auxiliary=0.0)
    before = copy.deepcopy(network)
    Training(network, own, images, images, 0).epoch(0)
    moved = torch.cat([a - b for a, b in zip(network.parameters(), before.parameters(), strict=True)])
    assert moved.norm().item() == pytest.approx(0.01, rel=1e-4)


def test_a_state_goes_on_exactly_and_randomness_is_the_seed_s():
    """With dropped paths, while somebody else draws from torch's global generator."""
    own = RECIPES["long"]
    whole = training(own)
    losses = [whole.epoch(epoch)[0] for epoch in range(own.epochs)]
    first = training(own)
    assert [first.epoch(epoch)[0] for epoch in range(3)] == losses[:3]
    torch.rand(5)
    second = training(own)
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    before = torch.get_rng_state()
    assert [second.epoch(epoch)[0] for epoch in range(3, own.epochs)] == losses[3:]
    assert torch.equal(torch.get_rng_state(), before)
    for name, value in whole.network.state_dict().items():
        assert torch.equal(value, second.network.state_dict()[name]), name
    assert training(own, seed=1).epoch(0)[0] != losses[0]


def test_accuracy_is_that_of_running_statistics():
    whole = training(RECIPES["smoke"])
    for epoch in range(2):
        whole.epoch(epoch)
    test = blobs("blobs", 40, 1)
    network = whole.network.eval()
    right = sum(int(network(test.pixels[k : k + 1])[0].argmax()) == int(test.labels[k]) for k in range(40))
    assert whole.accuracy() == (100 * right / 40, 40)
    assert right > 25  # it has learnt


def test_a_diverged_loss_is_one_line():
    whole = training(RECIPES["diverging"])
    with pytest.raises(UserError) as error:
        [whole.epoch(epoch) for epoch in range(3)]
    assert "the training loss is NaN in epoch" in str(error.value)
    assert "of 3: diverged at learning rate" in str(error.value)
    assert "\n" not in str(error.value)


def test_bf16_computes_in_bf16_and_keeps_float32():
    whole = training(RECIPES["smoke"], precision="bf16")
    kinds = []
    whole.network.stem.register_forward_hook(lambda module, given, out: kinds.append(out.dtype))
    loss, _ = whole.epoch(0)
    assert set(kinds) == {torch.bfloat16}
    assert {p.dtype for p in whole.network.parameters()} == {torch.float32}
    assert loss == pytest.approx(training(RECIPES["smoke"]).epoch(0)[0], abs=0.05)
    assert loss != training(RECIPES["smoke"]).epoch(0)[0]
