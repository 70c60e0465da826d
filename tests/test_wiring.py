"""What a search does with the equations that other tests check singly: which of them it uses, on what, and whose
answer it gives.
"""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from support.searching import build, searching, separable_task

from benchmarks.nb201 import cell as C
from benchmarks.nb201 import space
from benchmarks.nb201.supernet import Sampled

# ----------------------------------------------------------------------------------------- steps on alpha


def test_alpha_steps_are_adam_s_by_hand():
    """β 0.5 and 0.999. First m̂ = v̂ = 1; then m̂ = −1.25 / 0.75, v̂ = 0.009999 / 0.001999. Decay is part of a gradient."""
    _, searcher = build("darts", alpha_init=0.0, alpha_lr=0.1, alpha_weight_decay=0.0)
    searcher.alpha.descend(torch.ones((6, 5)))
    np.testing.assert_allclose(searcher.alpha.values(), -0.1, rtol=1e-5)
    searcher.alpha.descend(torch.full((6, 5), -3.0))
    np.testing.assert_allclose(searcher.alpha.values(), -0.0254793, rtol=1e-4)
    _, searcher = build("darts", alpha_init=0.0, alpha_lr=0.1, alpha_weight_decay=1.0)
    with torch.no_grad():
        searcher.alpha.alphas.fill_(2.0)
    searcher.alpha.descend(torch.zeros((6, 5)))
    np.testing.assert_allclose(searcher.alpha.values(), 1.9, rtol=1e-5)


def resting(searcher, monkeypatch):
    """Neither w nor α moves; the choices of w steps and of α steps, and the gradients of α."""
    of_w, of_alpha, gradients = [], [], []
    real = searcher.training.loss_for_alphas
    monkeypatch.setattr(searcher.training, "weight_step", lambda x, y, c: (of_w.append(c), torch.tensor(0.0))[1])
    monkeypatch.setattr(searcher.training, "loss_for_alphas", lambda x, y, c: (of_alpha.append(c), real(x, y, c))[1])
    monkeypatch.setattr(searcher.alpha, "descend", lambda g: gradients.append(g.clone()))
    return of_w, of_alpha, gradients


@pytest.mark.parametrize("name", ["darts", "betadarts"])
def test_alpha_descends_the_loss_of_validation_batches_and_the_penalty(name, monkeypatch):
    """Epoch 4 of 10: β-DARTS adds 20 · softmax(α) / 6 to the gradient, DARTS nothing."""
    _, searcher = build(name, alpha_init=0.5)
    _, _, gradients = resting(searcher, monkeypatch)
    searcher.epoch, valid = 4, searcher.training.valid
    before = valid.state_dict()
    searcher.step()
    valid.load_state_dict(before)
    alphas = torch.tensor(searcher.alpha.values(), dtype=torch.float32, requires_grad=True)
    assert len(gradients) == 4
    for found in gradients:
        x, y = valid.next()
        (expected,) = torch.autograd.grad(F.cross_entropy(searcher.training.net(x, alphas.softmax(1)), y), alphas)
        if name == "betadarts":
            expected = expected + 20 * alphas.detach().softmax(1) / 6
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", ["darts", "darts[order=2]", "betadarts"])
def test_steps_go_through_the_softmax_of_the_alphas_there_are(name, monkeypatch):
    _, searcher = build(name, alpha_init=1.0)
    of_w, of_alpha, _ = resting(searcher, monkeypatch)
    if name == "darts[order=2]":  # its own passes, not through `loss_for_alphas`
        real = searcher.training.loss
        monkeypatch.setattr(searcher.training, "loss", lambda x, y, c, **k: (of_alpha.append(c), real(x, y, c, **k))[1])
    searcher.step()
    e = np.exp(searcher.alpha.values())
    for choice in [*of_w, *of_alpha]:
        np.testing.assert_allclose(choice.detach(), e / e.sum(1, keepdims=True), rtol=1e-5)
    assert (len(of_w), len(of_alpha)) == (4, 16 if name == "darts[order=2]" else 4)


def test_gdas_trains_on_paths_and_drnas_on_draws(monkeypatch):
    """Each from the α that there is: one operation far above the others on each edge, that of cell 284."""
    alphas = np.zeros((6, 5))
    alphas[np.arange(6), list(C.from_index(284))] = 30.0
    _, searcher = build("gdas")
    of_w, of_alpha, _ = resting(searcher, monkeypatch)
    with torch.no_grad():
        searcher.alpha.alphas.copy_(torch.tensor(alphas))
    searcher.epoch = 9  # the lowest temperature
    searcher.step()
    assert of_w == [C.from_index(284)] * 4
    assert [(type(c), c.cell) for c in of_alpha] == [(Sampled, C.from_index(284))] * 4
    _, searcher = build("drnas")
    of_w, of_alpha, _ = resting(searcher, monkeypatch)
    with torch.no_grad():
        searcher.alpha.alphas.copy_(torch.tensor(alphas))
    searcher.step()
    draws = torch.stack([c.detach() for c in [*of_w, *of_alpha]])  # concentrations 31, 1, 1, 1, 1: mean 31 / 35
    torch.testing.assert_close(draws.sum(2), torch.ones(8, 6))
    assert len({tuple(d.flatten().tolist()) for d in draws}) == 8
    kept = draws[:, torch.arange(6), list(C.from_index(284))]
    assert kept.mean().item() == pytest.approx(31 / 35, abs=0.03)


def test_gdas_temperature_divides_the_gradient(monkeypatch):
    """Equal α and equal noise: every soft weight is 1/5, d s₀/d α₀ = 0.2 · 0.8 / τ and the others' −0.2 · 0.2 / τ."""
    _, searcher = build("gdas")
    monkeypatch.setattr(torch.Tensor, "exponential_", lambda self, generator=None: self.fill_(1.0))
    for searcher.epoch, tau in ((0, 10.0), (9, 0.1)):
        alphas = torch.zeros((6, 5), requires_grad=True)
        searcher.relax(alphas).weights[:, 0].sum().backward()
        np.testing.assert_allclose(alphas.grad[:, 0], 0.16 / tau, rtol=1e-4)
        np.testing.assert_allclose(alphas.grad[:, 1:], -0.04 / tau, rtol=1e-4)


def test_pcdarts_weights_by_hand(monkeypatch):
    """Softmax of ln 6, 0, 0, 0, 0: 0.6 and four of 0.1. β's parameters 9 | 0, ln 3 | 0, 0, ln 2 give 1, 1/4, 3/4, …"""
    alphas = torch.zeros(6, 6)
    alphas[:, 0] = np.log(6)
    alphas[:, 5] = torch.tensor([9, 0, np.log(3), 0, 0, np.log(2)])
    for normalised, beta in ((True, [1, 0.25, 0.75, 0.25, 0.25, 0.5]), (False, [1] * 6)):
        _, searcher = build("pcdarts", edge_normalisation=normalised)
        of_w, of_alpha, _ = resting(searcher, monkeypatch)
        with torch.no_grad():
            searcher.alpha.alphas.copy_(alphas)
        searcher.epoch = 5  # alphas no longer rest
        searcher.step()
        expected = np.outer(beta, [0.6, 0.1, 0.1, 0.1, 0.1, 1.0])
        for choice in [*of_w, *of_alpha]:
            np.testing.assert_allclose(choice.detach(), expected, rtol=1e-5)
        assert (len(of_w), len(of_alpha)) == (4, 4)


# ------------------------------------------------------------------------------------ batches and scoring


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


def test_the_default_fitness_is_the_error(monkeypatch):
    _, searcher = build("gicso", diversity=0.0)
    swarm, fitness = searcher.swarm, searcher.training.fitness
    state = fitness.state_dict()
    swarm.generation()
    fitness.load_state_dict(state)
    x, y = fitness.next()
    cells = [space.derive(p.reshape(6, 5)) for p in swarm.swarm.x]
    with torch.no_grad():  # statistics of 16 images each
        wrong = [sum((searcher.training.net(x[s], c).argmax(1) != y[s]).sum().item() for s in halves) / 32
                 for c in cells for halves in [(slice(16), slice(16, 32))]]  # fmt: skip
    assert swarm.particle_scores.tolist() == pytest.approx(wrong)
    assert swarm.swarm.fitness.tolist() == pytest.approx(wrong)


def test_the_literal_reading_scores_softmax_mixtures(monkeypatch):
    _, searcher = build("gicso", fitness="mixture", diversity=0.0)
    swarm, seen = searcher.swarm, []
    monkeypatch.setattr(swarm, "score", lambda choices, x, y: (seen.extend(choices), np.arange(6.0))[1])
    swarm.generation()
    e = np.exp(swarm.swarm.x.reshape(6, 6, 5))
    np.testing.assert_allclose(torch.stack(seen), e / e.sum(2, keepdims=True), rtol=1e-5)
    assert swarm.score is not searcher.training.errors


def test_a_swarm_has_its_settings():
    _, searcher = build("gicso", population=999, spread=0.2, box=0.5, phi=0.7)
    swarm = searcher.swarm.swarm
    assert (swarm.phi, swarm.low, swarm.high, swarm.rule) == (0.7, -0.5, 0.5, "icso")
    assert (swarm.x - searcher.answer.reshape(-1)).std() == pytest.approx(0.2, rel=0.03)
    assert build("cso")[1].alphas.swarm.rule == "cso"
    assert build("gicso", swarm="random")[1].swarm.swarm.rule == "random"


# ---------------------------------------------------------------------------------------------- answers


def test_equal_scores_change_nothing(monkeypatch):
    """Errors are shares of a few images and tie often: neither g nor the answer moves for an equal."""
    _, searcher = build("gicso")
    swarm = searcher.swarm.swarm
    swarm.tell(np.array([3.0, 1, 2, 3, 3, 3]))
    g = swarm.best.copy()
    swarm.x = swarm.x + 1
    swarm.tell(np.array([3.0, 1, 2, 3, 3, 3]))
    np.testing.assert_array_equal(swarm.best, g)
    monkeypatch.setattr(searcher.swarm, "score", lambda choices, x, y: np.array([0.5, 0.5]))
    old, new = np.eye(6, 5), np.eye(6, 5, 1)
    assert searcher.better(old, new) is old


def test_an_exploring_swarm_answers_g():
    _, searcher = build("gicso")
    answers = []
    while searcher.phase != "stability":
        step, g = searcher.step(), searcher.swarm.best().copy()
        if step.metrics["phase"] == "exploration" and searcher.phase == "exploration":
            np.testing.assert_array_equal(step.alphas, g)
            answers.append(step.cell)
    assert len(answers) == 4
    _, searcher = build("cso")
    swarm, leaders = searcher.alphas, set()
    for _ in range(10):
        step = searcher.step()
        np.testing.assert_array_equal(step.alphas, swarm.best())
        leaders |= {k for k, x in enumerate(swarm.swarm.x) if np.array_equal(x, step.alphas.reshape(-1))}
    assert len(leaders) > 1  # not always the same particle


def test_cmaes_answers_what_it_evolved(monkeypatch):
    _, searcher = build("cmaes")
    alphas = np.eye(6, 5)
    monkeypatch.setattr(searcher, "evolve", lambda: (alphas, {}))
    steps = [searcher.step() for _ in range(10)]
    assert steps[-1].alphas is alphas
    assert all(step.alphas is searcher.start for step in steps[:-1])


def test_enas_answers_the_best_of_its_candidates(monkeypatch):
    _, searcher = build("enas", candidates=20)
    monkeypatch.setattr(
        searcher.training, "accuracies", lambda drawn, x, y: np.array([float(C.index(c)) for c in drawn])
    )
    drawn, draw = [], searcher.draw
    monkeypatch.setattr(searcher, "draw", lambda count: (drawn.append(draw(count)), drawn[-1].copy())[1])
    step = searcher.step()
    assert len(set(drawn[-1])) > 5
    assert C.index(step.cell) == max(C.index(c) for c in drawn[-1])


@pytest.mark.parametrize("name", ["cso-table", "evolution"])
def test_multi_trial_searchers_look_for_the_highest_accuracy(name):
    """On a landscape with one optimum both end above the best of as many random draws."""
    answers = {}
    for each, settings in ((name, {"population": 10}), ("random", {})):
        searcher = searching(each, separable_task(budget=400.0), **settings)
        while (step := searcher.step()) is not None:
            answers[each] = step.metrics["accuracy"]
            if each == "evolution":
                accuracy, cell = searcher.population[-1]
                assert accuracy == searcher.task.low_fidelity(cell)[0]
    assert answers[name] > answers["random"]


def test_a_mixture_is_a_softmax_over_each_edge_s_operations():
    _, search = build("darts")
    alphas = np.log([[1.0, 3, 4, 2, 0.5]] * 5 + [[1.0] * 5])
    by_hand = [np.array([2, 6, 8, 4, 1]) / 21] * 5 + [np.full(5, 0.2)]
    np.testing.assert_allclose(search.training.mixture(alphas).numpy(), by_hand, rtol=1e-6)
