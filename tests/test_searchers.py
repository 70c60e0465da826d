"""The contract that every registered searcher keeps, and what single searchers must do.

Images are scikit-learn's digits, so that no data need be found.
"""

import json
import os
import subprocess
import sys
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
import torch
from support.searching import EPOCHS, SPECS, build, configured, kind, make_task

from benchmarks.errors import UserError
from benchmarks.nb201 import cell as C
from benchmarks.nb201 import space
from benchmarks.nb201.supernet import Supernet
from searchers import alpha_swarm, base, catalogue, one_shot
from searchers.gicso import GICSO
from searchers.multi_trial import BEST_QUERIED


def play(name, seed=0, steps=100):
    torch.set_num_threads(1)
    task, searcher = build(name, seed)
    told = []
    for _ in range(steps):
        step = searcher.step()
        if step is None:
            break
        told.append(line(step, task))
    return told


played = lru_cache(play)  # a whole search of seed 0, for the tests that compare with it


def line(step, task):
    alphas = None if step.alphas is None else np.asarray(step.alphas).tolist()
    return json.loads(
        json.dumps([list(step.cell), alphas, dict(step.metrics), task.simulated_seconds, task.evaluations])
    )


def test_every_registered_searcher_is_under_contract():
    assert {name.partition("[")[0] for name in SPECS} == set(base.SEARCHERS)


@pytest.mark.parametrize("name", SPECS)
def test_same_seed_same_search_other_seed_another(name):
    assert play(name, steps=3) == played(name)[:3]
    assert play(name, seed=1, steps=3) != played(name)[:3]


def test_same_searches_in_another_process_and_under_another_hash_seed():
    code = "import json, test_searchers as t; print(json.dumps({name: t.play(name) for name in t.SPECS}))"
    environment = os.environ | {"PYTHONHASHSEED": "77", "PYTHONPATH": str(Path(__file__).parent)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
    assert json.loads(done.stdout) == {name: played(name) for name in SPECS}


@pytest.mark.parametrize("name", SPECS)
def test_state_taken_at_every_step_continues_exactly(name, tmp_path):
    whole = played(name)

    def resumed(task, searcher):
        """Another searcher where this one is: saved and loaded as the runner does it, tensors and plain values only."""
        torch.save({"task": task.state_dict(), "searcher": searcher.state_dict()}, tmp_path / "c.pt")
        state = torch.load(tmp_path / "c.pt", weights_only=True)
        task, searcher = build(name)
        task.load_state_dict(state["task"])
        searcher.load_state_dict(state["searcher"])
        return task, searcher

    task, searcher = build(name)
    for expected in whole:
        task, searcher = resumed(task, searcher)
        step = searcher.step()
        assert step is not None
        assert line(step, task) == expected
    _, again = resumed(task, searcher)  # a search that is over, and what its supernet knows
    sample = [C.from_index(k) for k in (0, 284, 9930)]
    assert str(searcher.one_shot_losses(sample, 32)) == str(again.one_shot_losses(sample, 32))
    assert searcher.step() is None
    assert again.step() is None


@pytest.mark.parametrize("name", SPECS)
def test_global_generators_are_neither_read_nor_moved(name):
    torch.manual_seed(1)
    np.random.seed(1)  # noqa: NPY002 - the global state is the subject
    before = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    first = play(name, steps=3)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert (np.random.get_state()[1] == before[1]).all()  # noqa: NPY002
    torch.manual_seed(2)
    assert play(name, steps=3) == first


@pytest.mark.parametrize("name", SPECS)
def test_answers_and_counters(name):
    task, searcher = build(name)
    kind = searcher.kind
    steps = 0
    while (step := searcher.step()) is not None:
        steps += 1
        assert C.from_index(C.index(step.cell)) == step.cell
        assert step.alphas is None or np.asarray(step.alphas).shape == (6, 5)
        if step.alphas is not None:
            assert space.derive(step.alphas) == step.cell
    if kind == "one-shot":
        assert searcher.step() is None
        assert steps == EPOCHS
        assert task.simulated_seconds == 0
        passes = dict.fromkeys(("darts", "gdas", "drnas", "betadarts"), 2)  # over the 64 images, an epoch
        passes |= {"darts[order=2]": 5, "pcdarts": 1.7}  # three more of training images; alphas rest
        passes |= {"cso": 3, "zero-order": 3, "cmaes": 3, "gicso": (1 + 7 * 3 + 2 * 2) / 10}  # three paths a batch
        assert task.train_images == passes.get(name, 1) * EPOCHS * 64
    else:
        assert steps == task.evaluations > 10
        assert 200 - 15 < task.simulated_seconds <= 200
        assert task.train_images == task.eval_images == 0


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


def test_one_broken_candidate_is_the_one_without_an_accuracy():
    """Convolutions of edge 0→1 alone are broken: cell 284 begins with one, six skip connections have none."""
    _, searcher = build("rsws")
    net, (x, y) = searcher.training.net, searcher.training.first_images(32)
    with torch.no_grad():
        for stage in net.stages:
            for part in stage:
                if hasattr(part, "conv3"):
                    part.conv3[0].fill_(torch.nan)
    broken, whole = net.accuracies([(C.CONV3,) * 6, (C.SKIP,) * 6], x, y)
    assert np.isnan(broken)
    assert 0 <= whole <= 100


@pytest.mark.parametrize("name", SPECS)
def test_the_declared_rule_is_how_a_search_chose_its_answer(name):
    rule, steps = catalogue.find(name.partition("[")[0]).answer_rule, played(name)
    if rule == one_shot.ARG_MAX:
        assert all(space.derive(alphas) == tuple(cell) for cell, alphas, *_ in steps)
    elif rule == BEST_QUERIED:
        best = max((metrics for _, _, metrics, *_ in steps), key=lambda metrics: metrics["accuracy"])
        assert C.index(tuple(steps[-1][0])) == best["queried"]
    else:
        assert (name in ("rsws", "enas"), "best by one-shot accuracy" in rule) == (True, True)
        assert {alphas for _, alphas, *_ in steps} == {None}


def test_unknown_names_and_settings_are_named():
    with pytest.raises(UserError, match="unknown searcher 'dart'; did you mean 'darts'"):
        catalogue.find("dart")
    with pytest.raises(UserError, match="'darts' has no setting 'alpha_rate'.*alpha_lr"):
        base.configure(catalogue.find("darts"), {"alpha_rate": 1})
    with pytest.raises(UserError, match=r"gicso\[population=7\].*multiple of 3"):
        base.configure(GICSO, {"population": 7})


def test_streams_depend_on_seed_and_purpose_only():
    a, b, c = make_task(0), make_task(0), make_task(1)
    b.stream("other").random()  # another purpose takes nothing away
    first = a.stream("x").random()
    assert first == b.stream("x").random()
    assert first != c.stream("x").random()
    assert first != a.stream("y").random()


# ------------------------------------------------------------------------------------------ multi-trial


def proxy_task(seconds, budget):
    task = make_task(kind="multi-trial", seconds=budget)
    task.low_fidelity = lambda cell: (50.0, seconds)
    return task


def test_a_query_that_would_overrun_is_not_made_and_repeats_pay_again():
    task = proxy_task(10.0, 35.0)
    cell = C.from_index(5)
    assert [task.proxy(cell) is None for _ in range(5)] == [False, False, False, True, True]
    assert task.simulated_seconds == 30.0
    assert task.evaluations == 3
    assert task.proxy(cell) is None


@pytest.mark.parametrize("seconds", [0.0, -1.0, 1e-13])  # 10,000 and the last is 10,000
def test_a_search_whose_queries_cost_nothing_ends(seconds):
    task = proxy_task(seconds, 12_000)
    task.simulated_seconds = 10_000.0
    with pytest.raises(UserError, match="the budget never ends"):
        task.proxy(C.from_index(5))


def test_ten_queries_of_cell_284():
    task = proxy_task(58.51, 12_000)
    for _ in range(10):
        task.proxy(C.from_index(284))
    assert task.simulated_seconds == pytest.approx(585.1)


def test_random_search_answers_the_best_ever_seen():
    _task, searcher = build("random")
    seen = []
    while (step := searcher.step()) is not None:
        seen.append((step.metrics["accuracy"], step.metrics["queried"]))
        assert C.index(step.cell) == max(seen, key=lambda s: s[0])[1]


def test_evolution_is_ten_random_cells_then_one_edge_children_of_the_living():
    _task, searcher = build("evolution")
    queried = []
    while (step := searcher.step()) is not None:
        queried.append(C.from_index(step.metrics["queried"]))
    assert len(queried) > 12
    for k in range(10, len(queried)):
        living = queried[k - 10 : k]  # the oldest dies: the last ten are alive
        assert any(sum(a != b for a, b in zip(queried[k], parent, strict=True)) == 1 for parent in living)
        assert len(searcher.population) == 10
    assert [cell for _, cell in searcher.population] == queried[-10:]


def test_tournament_draws_with_replacement():
    _, searcher = build("evolution")
    searcher.population.extend((float(k), C.from_index(k)) for k in range(10))
    winners = [C.index(searcher.tournament()) for _ in range(20_000)]
    # P(best of 3 draws with replacement = member k) = ((k+1)³ − k³)/1000: 0.1 % for the worst, never without
    share = np.bincount(winners, minlength=10) / 20_000
    expected = np.diff(np.arange(11) ** 3) / 1000
    assert np.abs(share - expected).max() < 0.013
    assert share[0] > 0


# --------------------------------------------------------------------------------------------- one-shot


def test_weight_steps_leave_alphas_and_alpha_steps_leave_weights_bit_identical():
    _task, searcher = build("darts", weight_decay=1.0, alpha_weight_decay=1.0)
    for group in searcher.training.sgd.param_groups:
        group["lr"] = 1.0
    x, y = searcher.training.train.next()
    weights = [p.detach().clone() for p in searcher.training.net.parameters()]
    alphas = searcher.alpha.alphas.detach().clone()
    searcher.alpha.step()
    assert all(torch.equal(p, w) for p, w in zip(searcher.training.net.parameters(), weights, strict=True))
    moved = searcher.alpha.alphas.detach().clone()
    assert not torch.equal(moved, alphas)
    searcher.training.weight_step(x, y, searcher.alpha.choice())
    assert torch.equal(searcher.alpha.alphas, moved)
    assert not all(torch.equal(p, w) for p, w in zip(searcher.training.net.parameters(), weights, strict=True))
    ids = {id(p) for group in searcher.training.sgd.param_groups for p in group["params"]}
    assert id(searcher.alpha.alphas) not in ids


def test_first_alpha_step_is_adam_s():
    """Adam's first step moves each entry by lr against the sign of its gradient, whatever its size."""
    _, searcher = build("darts", alpha_weight_decay=0.0)
    before = searcher.alpha.values()
    searcher.alpha.step()
    moved = searcher.alpha.values() - before
    np.testing.assert_allclose(np.abs(moved), 3e-4, rtol=1e-3)
    assert 0 < (moved > 0).sum() < 30


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


def test_diversity_by_hand():
    """Two particles alike and one apart: distances 0, d, d; means (d/2, d/2, d); divided by the largest.

    In two rows the third has a ln 6 where the others have 0: 0.6 and four 0.1 against 0.2 each, squared 0.2 a row.
    """
    positions = np.zeros((3, 6, 5))
    positions[2, 0, 0] = positions[2, 4, 3] = np.log(6)
    positions = positions.reshape(3, 30)
    d = np.sqrt(0.2 + 0.2)
    np.testing.assert_allclose(alpha_swarm.distances(positions.reshape(-1, 6, 5)), [d / 2, d / 2, d])
    np.testing.assert_allclose(alpha_swarm.relative_distances(positions.reshape(-1, 6, 5)), [0.5, 0.5, 1.0])
    assert (alpha_swarm.relative_distances(np.zeros((3, 6, 5))) == 0).all()


def test_swarm_fitness_is_the_plain_one_shot_loss_minus_diversity():
    task, searcher = build("gicso", diversity=0.5, fitness="loss")
    swarm = searcher.swarm
    state = swarm.training.fitness.state_dict()
    swarm.generation(0.5)
    swarm.training.fitness.load_state_dict(state)
    x, y = swarm.training.fitness.next()
    batches = [(x[:16], y[:16]), (x[16:], y[16:])]  # statistics of 16 images each
    cells = [space.derive(p.reshape(6, 5)) for p in swarm.swarm.x]
    entropy = torch.nn.functional.cross_entropy
    with torch.no_grad():
        losses = [np.mean([entropy(swarm.training.net(x, cell), y).item() for x, y in batches]) for cell in cells]
    np.testing.assert_allclose(swarm.particle_scores, losses, rtol=1e-5)
    np.testing.assert_allclose(
        swarm.swarm.fitness, np.array(losses) - 0.5 * alpha_swarm.relative_distances(swarm.particles)
    )
    assert swarm.swarm.best_value == swarm.particle_scores.min()
    assert task.evaluations == 6


# ---------------------------------------------------------------------------------------------- G-ICSO


def phases(**changes):
    task, searcher = build("gicso", **changes)
    told = []
    while (step := searcher.step()) is not None:
        told.append((step.metrics["phase"], step, task.evaluations))
    return told, task, searcher


def test_three_phases_in_their_order_and_lengths():
    told, _, searcher = phases()
    assert [phase for phase, _, _ in told] == ["warm-up"] * 3 + ["exploration"] * 5 + ["stability"] * 2
    warm = [step.alphas for phase, step, _ in told if phase == "warm-up"]
    assert all(np.array_equal(a, warm[0]) for a in warm)  # α frozen
    assert [n for phase, _, n in told if phase == "warm-up"] == [0, 0, 0]
    assert searcher.mixture_end == 1


@pytest.mark.parametrize("epochs", [1, 2, 3, 7, 17, 21, 37, 41])
def test_phases_that_add_up_to_one_take_all_epochs(epochs):
    config = base.configure(GICSO, SPECS["gicso"])
    searcher = GICSO(make_task(epochs=epochs), config)
    steps = 0
    while searcher.step() is not None:
        steps += 1
    assert steps == epochs


def test_warm_up_trains_weights_with_equal_mixture_first_then_single_paths(monkeypatch):
    _, searcher = build("gicso")
    seen = []
    original = searcher.training.weight_step
    monkeypatch.setattr(searcher.training, "weight_step", lambda x, y, c: (seen.append(c), original(x, y, c))[1])
    for _ in range(3):
        searcher.step()
    assert all(torch.allclose(c, torch.full((6, 5), 0.2)) for c in seen[:4])
    assert all(isinstance(c, tuple) for c in seen[4:])
    assert len(seen) == 4 + 2 * 4 * 3
    assert len(set(seen[4:])) > 5


def test_the_random_control_makes_the_same_number_of_evaluations_on_the_same_supernet():
    first, one, _a = phases(archive=3)  # full in both, as 50 are in a search of usual length
    second, two, _b = phases(archive=3, swarm="random")
    assert [n for _, _, n in first[:8]] == [n for _, _, n in second[:8]]
    assert one.train_images == two.train_images
    for k in range(8):  # up to the hand-over w never saw the swarm
        assert first[k][1].metrics["train_loss"] == second[k][1].metrics["train_loss"]


def test_early_stopping_ends_the_search_when_the_cell_stays():
    told, _, searcher = phases(patience=1, alpha_lr=0.0)
    assert [phase for phase, _, _ in told].count("stability") == 1
    assert searcher.finished()


def test_without_stability_the_hand_over_s_choice_is_the_answer():
    told, _, searcher = phases(stability=0.0)
    assert len(told) == 8
    last = told[-1][1]
    everyone = [searcher.swarm.swarm.best, *searcher.swarm.swarm.x]
    everyone += [np.array(position) for _, position in searcher.swarm.archive.values()]
    assert any(np.array_equal(last.alphas.reshape(-1), p) for p in everyone)


def test_guard_keeps_the_better_cell(monkeypatch):
    _, searcher = build("gicso")
    old, new = np.zeros((6, 5)), np.zeros((6, 5))
    old[:, 3], new[:, 1] = 1, 1
    for losses, expected in (([1.0, 2.0], old), ([2.0, 1.0], new)):
        monkeypatch.setattr(searcher.swarm, "score", lambda cells, x, y, value=losses: np.array(value))
        assert searcher.better(old, new) is expected
    _, unguarded = build("gicso", guard=False)
    assert unguarded.better(old, new) is new


def test_switch_by_diversity():
    told, _, _ = phases(switch_diversity=1.0, diversity=0.0)
    exploring = [phase for phase, _, _ in told].count("exploration")
    assert 1 <= exploring < 5  # triplets lose diversity at once


def test_literal_reading_trains_the_best_mixture(monkeypatch):
    """The mixture at α until a particle was scored, then g's, a step a batch."""
    _, searcher = build("gicso", **GICSO.ablations["the literal reading"])
    for _ in range(3):
        searcher.step()
    seen, original = [], searcher.training.weight_step

    def watched(x, y, choice):
        swarm = searcher.swarm.swarm
        alphas = searcher.swarm.best() if swarm.has_fitness else searcher.answer
        seen.append(bool(swarm.has_fitness))
        torch.testing.assert_close(choice, searcher.training.mixture(alphas))
        return original(x, y, choice)

    monkeypatch.setattr(searcher.training, "weight_step", watched)
    for _ in range(2):
        searcher.step()
    assert seen == [False, False, *[True] * 6]  # the first generation comes after two of an epoch's four batches


@pytest.mark.parametrize("name", ["gicso", "cso", "cmaes", "zero-order"])
@pytest.mark.parametrize("none", [False, True])
@pytest.mark.parametrize("per_batch", [1, 3])
def test_paths_of_a_batch(name, none, per_batch, monkeypatch):
    """In an epoch of four batches each gets `per_batch` paths, and scoring comes after the second and the fourth."""
    _, searcher = build(name, none_in_paths=none, paths_per_batch=per_batch)
    inner = getattr(searcher, "search", searcher)
    for _ in range(4):  # gicso: warm-up and an epoch of exploration
        searcher.step()
    steps, scorings, step, scores = [], [], inner.training.weight_step, inner.training.errors
    monkeypatch.setattr(inner.training, "weight_step", lambda x, y, c: (steps.append((x, c)), step(x, y, c))[1])
    watched = lambda *given: (scorings.append(len(steps)), scores(*given))[1]  # noqa: E731
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


# --------------------------------------------------------------------------------- precision and devices


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


def test_local_search_ends_when_every_cell_is_known():
    _, searcher = build("local")
    searcher.accuracies = {tuple(c): 1.0 for c in C.all_cells().tolist()}
    assert searcher.step() is None


def test_how_many_candidates_an_epoch_scores():
    """cso: 6 particles, then 3 losers a generation, and all 6 with g at the end; zero-order: 2 estimates of 2 pairs."""
    for name, expected in (("cso", [6 + 3 + 7, 3 + 3 + 7]), ("zero-order", [8, 8])):
        task, searcher = build(name)
        counts = []
        for _ in range(2):
            before = task.evaluations
            searcher.step()
            counts.append(task.evaluations - before)
        assert counts == expected, name


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
