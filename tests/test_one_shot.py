"""What all searches of a supernet share: training of w, batches, scoring, and what is refused."""

import numpy as np
import pytest
import torch
from support.searching import EPOCHS, SPECS, build, configured, kind, make_task
from support.spy import spy

from benchmarks.errors import UserError
from benchmarks.nb201 import cell as C
from benchmarks.nb201.supernet import Supernet
from searchers import base, catalogue, one_shot


@pytest.mark.parametrize("name", [name for name in SPECS if kind(name) == "one-shot"])
def test_a_search_that_diverges_ends_and_says_when_and_what_to_change(name):
    _, searcher = build(name, lr=1e30)
    said = r"^(training losses|validation losses|one-shot scores) are (NaN|infinite) in epoch \d+ of 10: diverged; "
    with pytest.raises(UserError, match=said + r"try a lower lr \(1e\+30\)( or alpha_lr \([\d.]+\))?$"):
        list(iter(searcher.step, None))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_scores_and_losses_that_are_not_finite_are_refused(value):
    """Whatever passes from the supernet to a searcher; accuracies too, though there is an arg-max of NaN."""
    _, searcher = build("darts")
    training = searcher.training
    list(training.batches(4))  # the fifth epoch
    said = "NaN" if np.isnan(value) else "infinite"
    with pytest.raises(UserError, match=f"^training losses are {said} in epoch 5 of 10: diverged"):
        training.mean_loss("training losses", [torch.tensor(1.0), torch.tensor(value)])
    cells, (x, y) = [C.from_index(k) for k in (284, 11)], training.first_images(32)
    healthy = training.accuracies(cells, x, y)
    assert np.isfinite(healthy).all()
    with torch.no_grad():
        training.net.classifier.weight[0, 0] = value
    for score in (training.losses, training.accuracies, training.errors):
        with pytest.raises(UserError, match=r"^one-shot scores are (NaN|infinite) in epoch 5 of 10: diverged"):
            score(cells, x, y)


def test_weight_step_against_torch_written_out():
    """Two steps of SGD with Nesterov momentum, decay and clipping, worked with the formulas of the reference."""
    task, searcher = build("darts", clip=0.5, lr=0.1, lr_min=0.1, weight_decay=0.01)
    training = searcher.training
    reference = Supernet(task.size, task.seed_of("supernet") % 2**32)
    momentum = [torch.zeros_like(p) for p in reference.parameters()]
    cell = C.from_index(11)
    batches = list(training.batches(0))[:2]
    for x, y in batches:
        training.weight_step(x, y, cell)
        loss = torch.nn.functional.cross_entropy(reference(x, cell), y)
        reference.zero_grad()
        loss.backward()
        grads = [torch.zeros_like(p) if p.grad is None else p.grad for p in reference.parameters()]
        norm = torch.sqrt(sum((g**2).sum() for g in grads))
        assert norm > 0.5  # so that clipping is at work
        with torch.no_grad():
            for p, g, m in zip(reference.parameters(), grads, momentum, strict=True):
                g = g * (0.5 / (norm + 1e-6)) + 0.01 * p
                m.mul_(0.9).add_(g)
                p -= 0.1 * (g + 0.9 * m)
    for ours, theirs in zip(training.net.parameters(), reference.parameters(), strict=True):
        torch.testing.assert_close(ours.detach(), theirs.detach(), rtol=1e-5, atol=1e-6)


def test_learning_rate_is_a_cosine_per_epoch():
    _, searcher = build("darts")
    seen = []
    for epoch in range(EPOCHS):
        next(searcher.training.batches(epoch))
        seen.append(searcher.training.sgd.param_groups[0]["lr"])
    expected = 0.001 + 0.024 * (1 + np.cos(np.pi * np.arange(EPOCHS) / EPOCHS)) / 2
    np.testing.assert_allclose(seen, expected)


@pytest.mark.parametrize("name", ["gicso", "cso", "cmaes", "zero-order"])
@pytest.mark.parametrize("none", [False, True])
@pytest.mark.parametrize("per_batch", [1, 3])
def test_paths_of_a_batch(name, none, per_batch, monkeypatch):
    """In an epoch of four batches each gets `per_batch` paths, and scoring comes after the second and the fourth."""
    _, searcher = build(name, none_in_paths=none, paths_per_batch=per_batch)
    inner = getattr(searcher, "search", searcher)
    for _ in range(4):  # gicso: warm-up and an epoch of exploration
        searcher.step()
    steps = spy(monkeypatch, inner.training, "weight_step", lambda x, y, choice: (x, choice))
    scorings, scores = [], inner.training.errors

    def watched(*arguments):
        scorings.append(len(steps))
        return scores(*arguments)

    monkeypatch.setattr(inner.training, "errors", watched)
    for holder in ("swarm", "alphas"):
        if hasattr(getattr(inner, holder, None), "score"):
            monkeypatch.setattr(getattr(inner, holder), "score", watched)
    searcher.step()
    assert len(steps) == 4 * per_batch
    for k, (x, _) in enumerate(steps):
        assert x is steps[k - k % per_batch][0]
    assert len({id(x) for x, _ in steps}) == 4
    assert any(C.NONE in path for _, path in steps) is none
    assert len({path for _, path in steps}) > per_batch
    if name != "cmaes":
        assert sorted(set(scorings)) == [2 * per_batch, 4 * per_batch]


@pytest.mark.parametrize(
    ("name", "device", "precision"),
    [
        *((name, "cpu", "bf16") for name in ("darts", "gicso")),
        *((name, "cuda", "fp32") for name in SPECS if kind(name) == "one-shot"),
        *((name, "cuda", "bf16") for name in ("darts", "gicso", "darts[order=2]")),
    ],
)
def test_one_shot_searchers_on_other_devices_and_precisions(name, device, precision):
    if device == "cuda" and not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    searcher_class, config = configured(name)
    searcher = searcher_class(make_task(device=device, precision=precision), config)
    first = searcher.training.net.classifier.weight.detach().clone()
    losses = []
    while (step := searcher.step()) is not None:
        losses.append(step.metrics["train_loss"])
    assert len(losses) == EPOCHS
    assert np.isfinite(losses).all()
    assert not torch.equal(searcher.training.net.classifier.weight, first)
    assert all(p.dtype == torch.float32 for p in searcher.training.net.parameters())


@pytest.mark.parametrize(("device", "precision"), [("cpu", "fp32"), ("cuda", "fp32"), ("cuda", "bf16")])
def test_steps_through_a_mixture_are_those_of_autograd(device, precision):
    """Replayed graphs read each step's own batch, weights and mixture, of a pass's short last batch too."""
    if device == "cuda" and not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    near = {"rtol": 1e-5, "atol": 1e-6} if device == "cpu" else {"rtol": 0.02, "atol": 1e-3}
    training = one_shot.WeightTraining(make_task(device=device, precision=precision), one_shot.WeightSettings(clip=0.5))
    parameters = list(training.net.parameters())
    generator = torch.Generator().manual_seed(0)
    for count in (16, 16, 10, 16, 10):
        x, y = (part[:count] for part in training.train.next())
        alphas = torch.randn(6, 5, generator=generator).to(device).requires_grad_()
        (expected,) = torch.autograd.grad(training.loss(x, y, alphas.softmax(1)), alphas)
        loss = training.loss_for_alphas(x, y, alphas.softmax(1))
        torch.testing.assert_close(torch.autograd.grad(loss, alphas)[0], expected, **near)
        plain = training.loss(x, y, alphas.softmax(1).detach())
        torch.testing.assert_close(loss.detach(), plain.detach(), **near)
        gradients = torch.autograd.grad(plain, parameters)
        del plain  # no autograd graph of w may live on while one is recorded
        norm = torch.linalg.vector_norm(torch.stack([torch.linalg.vector_norm(g) for g in gradients]))
        training.weight_step(x, y, alphas.softmax(1).detach())
        for parameter, gradient in zip(parameters, gradients, strict=True):
            torch.testing.assert_close(parameter.grad, gradient * min(1, 0.5 / float(norm)), **near)


def test_errors_are_shares_of_all_images_with_the_statistics_of_fitness_batches():
    """64 images in batches of 48 and 16; nothing is drawn for it."""
    _, searcher = build("gicso", fitness_batch=48)
    training, choices = searcher.training, [C.from_index(k) for k in (11, 284)]
    place = training.fitness.state_dict()["position"]
    found = training.errors(choices, *training.images(64))
    images = training.fitness.images
    x = (images.pixels.float() - images.mean[0]) / images.std[0]
    with torch.no_grad():
        wrong = [
            sum(int((training.net(x[s], c).argmax(1) != images.labels[s]).sum()) for s in (slice(48), slice(48, 64)))
            for c in choices
        ]
    assert found.tolist() == pytest.approx([w / 64 for w in wrong])
    assert training.fitness.state_dict()["position"] == place


def test_which_images_move_what():
    task, searcher = build("gicso")
    training = searcher.training
    assert [b.images is of for b, of in ((training.train, task.train), (training.valid, task.valid))] == [True, True]
    assert training.fitness.images is task.valid
    assert [b.augmented for b in (training.train, training.valid, training.fitness)] == [True, True, False]


def test_images_for_the_hand_over_are_the_next_of_fitness():
    """64 images in batches of 16, all different within a pass; 64 or more are all, as stored."""
    _, searcher = build("gicso", fitness_images=16)
    training = searcher.training
    x, y = training.images(48)
    assert (len(x), len(y), len({row.numpy().tobytes() for row in x})) == (48, 48, 48)
    again, _ = training.images(4)  # no fewer than a batch: the last of this pass
    assert len(again) == 16
    assert len({row.numpy().tobytes() for row in torch.cat([x, again])}) == 64
    assert torch.equal(training.images(64)[1], training.fitness.images.labels)


def test_a_mixture_is_a_softmax_over_each_edge_s_operations():
    _, search = build("darts")
    alphas = np.log([[1.0, 3, 4, 2, 0.5]] * 5 + [[1.0] * 5])
    by_hand = [np.array([2, 6, 8, 4, 1]) / 21] * 5 + [np.full(5, 0.2)]
    np.testing.assert_allclose(search.training.mixture(alphas).numpy(), by_hand, rtol=1e-6)


def test_supernet_searchers_can_be_asked_and_the_others_say_none():
    cells = [C.from_index(k) for k in (11, 284)]
    for name, sort in (("rsws", "one-shot"), ("cso", "one-shot"), ("pcdarts", "one-shot"), ("random", "multi-trial")):
        searcher_class = catalogue.find(name)
        searcher = searcher_class(make_task(kind=sort), base.configure(searcher_class, {}))
        losses = searcher.one_shot_losses(cells, 64)
        assert (losses is None) == (name in ("pcdarts", "random"))
        if losses is not None:
            assert losses.shape == (2,)
            assert (losses > 0.5).all()  # of an untrained network of 10 classes
            assert losses[0] != losses[1]
