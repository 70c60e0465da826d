"""ENAS: its controller, against torch's own pieces, and whose answer it gives."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from support.searching import build

from benchmarks.nb201 import cell as C
from searchers import enas


def reward_for_third_operation(monkeypatch, searcher):
    monkeypatch.setattr(
        searcher.training, "accuracies", lambda drawn, x, y: np.array([100.0 * (cell[0] == 3) for cell in drawn])
    )


def test_enas_controller_learns_what_is_rewarded(monkeypatch):
    _, searcher = build("enas", controller_lr=0.02, cells_an_update=20)
    reward_for_third_operation(monkeypatch, searcher)
    before = np.mean([cell[0] == 3 for cell in searcher.draw(300)])
    for _ in range(60):
        searcher.update()
    after = np.mean([cell[0] == 3 for cell in searcher.draw(300)])
    assert before < 0.35
    assert after > 0.8


def test_enas_probabilities_are_of_the_drawn_cells():
    """Over many draws, the share of the commonest cell is the probability that the controller states."""
    _, searcher = build("enas")
    with torch.no_grad():
        searcher.controller.head.bias.copy_(torch.tensor([0.0, 0, 30, 0, 0]))
    drawn, log_p, entropy = searcher.controller(4000, torch.Generator().manual_seed(0))
    commonest = max(set(drawn), key=drawn.count)
    stated = log_p[drawn.index(commonest)].exp().item()
    assert stated > 0.02
    assert drawn.count(commonest) / 4000 == pytest.approx(stated, rel=0.2)
    assert entropy.max() < 6 * np.log(5)


def test_enas_learning_rate_goes_down_and_up():
    """As the script's config says: T_max 10 in 250 epochs. With 50 there are five such halves, with 40 five of 8."""
    settings = enas.ENASSettings()
    for epochs, half in ((250, 10), (50, 10), (40, 8), (2, 2), (1, 1)):
        expected = 0.0005 + 0.0495 * (1 + np.cos(np.pi * np.arange(epochs) / half)) / 2
        np.testing.assert_allclose([settings.lr_at(epoch, epochs) for epoch in range(epochs)], expected)


def test_enas_logits_and_update_worked_out_again(monkeypatch):
    """Temperature, tanh, baseline, entropy, clipping and Adam's first step, written out with torch's own pieces."""
    _, searcher = build("enas", cells_an_update=4, entropy=0.1, clip=0.01)
    controller, generator = searcher.controller, searcher.task.torch_stream("controller")
    state = generator.get_state()
    accuracies = np.array([80.0, 20.0, 50.0, 90.0])
    monkeypatch.setattr(searcher.training, "accuracies", lambda drawn, x, y: accuracies)
    drawn, log_p, entropy = controller(4, generator)
    again_p, again_h = [], []
    for cell in drawn:
        x, memory, log, h = controller.start.view(1, 1, -1), None, 0.0, 0.0
        for op in cell:
            y, memory = controller.lstm(x, memory)
            p = F.softmax(2.5 * torch.tanh(controller.head(y.view(1, -1)) / 5.0), dim=1)[0]
            log, h = log + torch.log(p[op]), h - (p * torch.log(p)).sum()
            x = controller.embedding.weight[op].view(1, 1, -1)
        again_p.append(log)
        again_h.append(h)
    again_p, again_h = torch.stack(again_p), torch.stack(again_h)
    torch.testing.assert_close(log_p, again_p)
    torch.testing.assert_close(entropy, again_h)
    rewards = accuracies / 100 + 0.1 * again_h.detach().numpy()
    baseline, advantages = rewards[0], []  # the first reward, then a mean with decay 0.99
    for reward in rewards:
        baseline = 0.99 * baseline + 0.01 * reward
        advantages.append(reward - baseline)
    loss = -(again_p * torch.tensor(advantages, dtype=torch.float32)).sum() / 4
    parameters = list(controller.parameters())
    gradients = torch.autograd.grad(loss, parameters)
    norm = torch.sqrt(sum((g**2).sum() for g in gradients))
    assert norm > 0.01
    expected = []
    for parameter, g in zip(parameters, gradients, strict=True):
        clipped = g * 0.01 / (norm + 1e-6)
        expected.append(parameter.detach() - 1e-3 * clipped / (clipped.abs() + 1e-3))  # β1 is 0, the step is the first
    generator.set_state(state)
    assert searcher.update() == pytest.approx(rewards.mean())
    for parameter, value in zip(parameters, expected, strict=True):
        torch.testing.assert_close(parameter.detach(), value, rtol=1e-4, atol=1e-7)


def test_enas_answers_the_best_of_its_candidates(monkeypatch):
    _, searcher = build("enas", candidates=20)
    monkeypatch.setattr(
        searcher.training, "accuracies", lambda drawn, x, y: np.array([float(C.index(c)) for c in drawn])
    )
    draws, draw = [], searcher.draw

    def watched(count):
        draws.append(draw(count))
        return draws[-1].copy()

    monkeypatch.setattr(searcher, "draw", watched)
    step = searcher.step()
    assert len(set(draws[-1])) > 5
    assert C.index(step.cell) == max(C.index(cell) for cell in draws[-1])
