"""The equations of the single baselines, each against the same worked out in another way."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from cmaes import CMA
from support.plain_weights import copy_weights
from support.searching import build, searching, separable_task

from benchmarks.base import NetworkSize, Sampled
from benchmarks.nb201 import cell as C
from benchmarks.nb201 import space
from benchmarks.nb201.plain import plain_supernet
from benchmarks.nb201.supernet import PartialCell, Supernet
from searchers import darts, enas
from searchers.cmaes import Strategy

# ----------------------------------------------------------------------------------------- second order


def test_second_order_step_leaves_weights_and_momentum_bit_identical():
    _, searcher = build("darts[order=2]")
    training, alpha = searcher.training, searcher.alpha
    x, y = next(training.batches(0))
    training.weight_step(x, y, alpha.choice())  # so that there is momentum
    weights = [p.detach().clone() for p in training.net.parameters()]
    buffers = [training.sgd.state[p]["momentum_buffer"].clone() for p in training.net.parameters()]
    before = alpha.values()
    darts.unrolled_step(training, alpha, x, y)
    assert not np.array_equal(alpha.values(), before)
    for p, w, b in zip(training.net.parameters(), weights, buffers, strict=True):
        assert torch.equal(p, w)
        assert torch.equal(training.sgd.state[p]["momentum_buffer"], b)
    assert list(training.net.buffers()) == []  # batch statistics: BN keeps no state


def test_second_order_gradient_is_the_exact_one_up_to_the_finite_difference(monkeypatch):
    """d/dα L_valid(w − ξ(μ·m + ∇_w L_train + λw), α), differentiated through exactly, in float64.

    With a smooth function in ReLU's place: at its kinks differences and derivatives are not the same thing.
    """
    monkeypatch.setattr(F, "relu", lambda x, inplace=False: F.softplus(x))
    _, searcher = build("darts[order=2]", alpha_init=0.3, lr=0.2, weight_decay=0.01)
    training, alpha = searcher.training, searcher.alpha
    batches = list(training.batches(0))[:2]
    training.weight_step(*batches[0], alpha.choice())
    training.net.double()
    training.net.zero_grad()
    alpha.alphas = alpha.alphas.detach().double().requires_grad_()
    for p in training.net.parameters():
        training.sgd.state[p]["momentum_buffer"] = training.sgd.state[p]["momentum_buffer"].double()
    x, y = batches[1][0].double(), batches[1][1]
    validation = training.valid.next()
    validation = validation[0].double(), validation[1]
    monkeypatch.setattr(training.valid, "next", lambda: validation)
    found = []
    monkeypatch.setattr(alpha, "descend", found.append)

    named = dict(training.net.named_parameters())

    def loss(weights, batch):
        logits = torch.func.functional_call(training.net, weights, (batch[0], alpha.alphas.softmax(1)))
        return F.cross_entropy(logits, batch[1])

    gradients = torch.autograd.grad(loss(named, (x, y)), list(named.values()), create_graph=True)
    ahead = {
        name: w - 0.2 * (0.9 * training.sgd.state[w]["momentum_buffer"] + g + 0.01 * w)
        for (name, w), g in zip(named.items(), gradients, strict=True)
    }
    exact = torch.autograd.grad(loss(ahead, validation), alpha.alphas)[0]
    # What the second-order term adds, so that a step without it would fail
    first_order = torch.autograd.grad(loss({n: w.detach() for n, w in ahead.items()}, validation), alpha.alphas)[0]
    darts.unrolled_step(training, alpha, x, y)
    assert (exact - first_order).norm() > 0.05 * exact.norm()
    assert (found[0] - exact).norm() < 0.1 * (exact - first_order).norm()


# ------------------------------------------------------------------------------------------------- GDAS


def test_a_sampled_path_and_its_gradient_are_the_plain_formula_s():
    """Σ_e (w_e,op · op(x) + the other weights of the edge), as AutoDL-Projects' forward_gdas writes it."""
    space = NetworkSize(4, 1, 3, 10)
    fast, plain = Supernet(space, 1).double(), plain_supernet(space).double()
    copy_weights(fast, plain)
    x = torch.randn(8, 4, 6, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    for cell in ((3, 1, 2, 0, 4, 3), (0, 0, 3, 2, 1, 4), (1, 4, 0, 3, 2, 0)):
        hard = F.one_hot(torch.tensor(cell), 5).double()
        ours, theirs = hard.clone().requires_grad_(), hard.clone().requires_grad_()
        out = fast.stages[0][0](x, Sampled(cell, ours))
        nodes = [x]
        for node in (1, 2, 3):
            total = 0
            for edge, (i, j) in enumerate(C.EDGES):
                if j == node:
                    for op in range(5):
                        w = theirs[edge, op]
                        total = total + (
                            w * plain.stages[0][0].operation(edge, op, nodes[i]) if op == cell[edge] else w
                        )
            nodes.append(total)
        torch.testing.assert_close(out, nodes[3])
        torch.testing.assert_close(out, fast.stages[0][0](x, cell))
        (out**3).sum().backward()
        (nodes[3] ** 3).sum().backward()
        torch.testing.assert_close(ours.grad, theirs.grad)
        assert ours.grad.abs().min(dim=1).values.max() > 0


def test_gdas_draws_operations_in_the_softmax_s_shares_at_any_temperature():
    _, searcher = build("gdas")
    alphas = torch.tensor([[0.0, 1.0, 2.0, -1.0, 0.5]]).expand(6, 5)
    for searcher.epoch in (0, 9):
        with torch.no_grad():
            drawn = np.array([searcher.relax(alphas) for _ in range(2000)]).reshape(-1)
        share = np.bincount(drawn, minlength=5) / len(drawn)
        np.testing.assert_allclose(share, alphas[0].softmax(0).numpy(), atol=0.015)
    assert [searcher.tau() for searcher.epoch in (0, 9)] == pytest.approx([10.0, 0.1])


# ------------------------------------------------------------------------------ DrNAS, β-DARTS, PC-DARTS


def test_drnas_draws_have_the_dirichlet_s_mean_and_variance():
    _, searcher = build("drnas")
    alphas = torch.tensor([[1.0, 0.0, -0.5, 2.0, 0.3]]).expand(6, 5).contiguous()
    draws = torch.cat([searcher.relax(alphas) for _ in range(2000)]).numpy()
    a = alphas[0].numpy()
    concentration = np.where(a > 0, a, np.expm1(a)) + 1
    total = concentration.sum()
    mean = concentration / total
    np.testing.assert_allclose(draws.sum(1), 1, rtol=1e-5)
    np.testing.assert_allclose(draws.mean(0), mean, atol=0.01)
    np.testing.assert_allclose(draws.var(0), mean * (1 - mean) / (total + 1), rtol=0.08)


def test_drnas_gradient_passes_through_the_draw():
    """The derivative of E[weight] is that of its mean c_k/Σc, averaged over many draws."""
    _, searcher = build("drnas")
    alphas = torch.full((6, 5), 0.5).requires_grad_()
    total = sum(searcher.relax(alphas)[:, 2].sum() for _ in range(3000)) / 3000
    total.backward()
    c = 1.5
    expected = np.full(5, -c / (5 * c) ** 2)
    expected[2] += 1 / (5 * c)
    np.testing.assert_allclose(alphas.grad.numpy().mean(0), expected, atol=0.004)


def test_beta_decay_by_hand():
    """The derivative of 50·k/K·mean over six edges of log Σ exp α is 50·k/K·softmax/6."""
    _, searcher = build("betadarts")
    searcher.epoch = 4  # of 10
    alphas = torch.randn(6, 5, generator=torch.Generator().manual_seed(0)).requires_grad_()
    searcher.penalty(alphas).backward()
    np.testing.assert_allclose(alphas.grad, 20 * alphas.detach().softmax(1) / 6, rtol=1e-5)


def test_a_partial_cell_is_the_plain_one_edge_by_edge():
    """Per edge: mix the first quarter, keep the rest, shuffle, weigh by β (the paper's fig. 1)."""
    channels, c = 8, 2
    torch.manual_seed(0)
    cell = PartialCell(channels, 4).double()
    x = torch.randn(6, channels, 5, 5, dtype=torch.float64)
    alpha, beta = torch.rand(6, 5, dtype=torch.float64), torch.rand(6, dtype=torch.float64)

    def norm(y):
        y = y - y.mean((0, 2, 3), keepdim=True)
        return y / torch.sqrt((y**2).mean((0, 2, 3), keepdim=True) + 1e-5)

    def edge_output(edge, h):
        i = C.EDGES[edge][0]
        k = [e for e, (source, _) in enumerate(C.EDGES) if source == i].index(edge)
        part, rows = h[:, :c], slice(k * c, (k + 1) * c)
        mixed = alpha[edge, 1] * part
        mixed = mixed + alpha[edge, 2] * norm(F.conv2d(F.relu(part), cell.conv1[i][rows]))
        mixed = mixed + alpha[edge, 3] * norm(F.conv2d(F.relu(part), cell.conv3[i][rows], padding=1))
        mixed = mixed + alpha[edge, 4] * F.avg_pool2d(part, 3, 1, 1, count_include_pad=False)
        order = [g * 2 + k for k in range(2) for g in range(4)]  # channel_shuffle with 4 groups of 2
        return beta[edge] * torch.cat([mixed, h[:, c:]], 1)[:, order]

    nodes = [x]
    for node in (1, 2, 3):
        nodes.append(sum(edge_output(e, nodes[i]) for e, (i, j) in enumerate(C.EDGES) if j == node))
    out = cell(x, torch.cat([beta[:, None] * alpha, beta[:, None]], 1))
    torch.testing.assert_close(out, nodes[3])


def test_edge_weights_of_pcdarts_sum_to_one_at_each_node_and_alphas_rest_at_first():
    _, searcher = build("pcdarts")
    alphas = torch.randn(6, 6, generator=torch.Generator().manual_seed(0))
    weights = searcher.relax(alphas)
    beta = weights[:, 5]
    torch.testing.assert_close(torch.stack([beta[:1].sum(), beta[1:3].sum(), beta[3:].sum()]), torch.ones(3))
    torch.testing.assert_close(weights[:, :5].sum(1), beta)
    answers = [searcher.step().alphas for _ in range(4)]
    assert np.array_equal(answers[0], answers[2])  # 3 of 10 epochs
    assert not np.array_equal(answers[2], answers[3])


def test_epochs_without_alpha_steps_report_no_validation_loss():
    _, searcher = build("pcdarts")
    assert ["valid_loss" in searcher.step().metrics for _ in range(4)] == [False, False, False, True]


# -------------------------------------------------------------------------------- the samplers of cells


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


def test_one_shot_cmaes_minimises_the_error_and_answers_its_mean(monkeypatch):
    """Against the package driven by hand; the error is the share of edges that are no 3x3 convolution."""
    task, searcher = build("cmaes", generations=30)

    def error(cell):
        return sum(op != 3 for op in cell) / 6

    monkeypatch.setattr(searcher.training, "errors", lambda cells, x, y: np.array([error(c) for c in cells]))
    alphas, found = searcher.evolve()
    cma = CMA(np.zeros(30), 1.3, population_size=14, seed=task.seed_of("cmaes") % 2**32)
    for _ in range(30):
        asked = [cma.ask() for _ in range(14)]
        cma.tell([(x, 100 * error(space.derive(x.reshape(6, 5)))) for x in asked])
    np.testing.assert_allclose(alphas, cma.mean.reshape(6, 5))
    assert space.derive(alphas) == (3,) * 6
    assert found["best_one_shot"] == 100.0


def test_rsws_answers_the_best_of_its_candidates_on_all_validation_images():
    """In two batches of 48 and 16 images; the mean over images, not over batches."""
    task, searcher = build("rsws", candidates=4, fitness_batch=48)
    for _ in range(9):
        searcher.step()
    paths = task.stream("paths").bit_generator.state
    last = searcher.step()
    task.stream("paths").bit_generator.state = paths
    for _ in searcher.training.batches(9):
        space.sample(task.stream("paths"))
    candidates = [space.sample(task.stream("paths")) for _ in range(4)]
    images = task.valid
    x = (images.pixels.float() - images.mean[0]) / images.std[0]
    with torch.no_grad():
        right = [
            sum((searcher.training.net(x[s], cell).argmax(1) == images.labels[s]).sum().item() for s in halves)
            for cell in candidates
            for halves in [(slice(0, 48), slice(48, 64))]
        ]
    assert last.cell == candidates[int(np.argmax(right))]
    assert last.metrics["one_shot_accuracy"] == pytest.approx(100 * max(right) / 64)


def test_zero_order_estimate_from_given_errors(monkeypatch):
    _, searcher = build("zero-order", pairs=3, sigma=0.5)
    state = searcher.noise.bit_generator.state
    u = searcher.noise.standard_normal((3, 6, 5))
    searcher.noise.bit_generator.state = state
    losses = np.array([1.0, 2.0, 3.0, 0.5, 2.5, 3.5])  # at the three α + σu, then at the three α − σu
    seen = []
    monkeypatch.setattr(searcher.training, "errors", lambda cells, x, y: (seen.extend(cells), losses)[1])
    expected = ((1.0 - 0.5) * u[0] + (2.0 - 2.5) * u[1] + (3.0 - 3.5) * u[2]) / 3  # 2σ = 1
    np.testing.assert_allclose(searcher.estimate(), expected)
    assert seen[4] == space.derive(searcher.alpha.values() - 0.5 * u[1])


# ------------------------------------------------------------------------------------------ multi-trial


def test_local_search_climbs_to_the_optimum_and_pays_no_cell_twice():
    task = separable_task(budget=130.0)
    searcher = searching("local", task)
    queried = []
    while (step := searcher.step()) is not None:
        queried.append(step.metrics["queried"])
    assert step is None
    assert len(queried) == len(set(queried)) == 130
    # at most six moves of at most 24 new neighbours each
    assert C.index((3,) * 6) in queried[: 1 + 7 * 24]
    first = C.from_index(queried[0])
    neighbours = {C.index(cell) for cell in space.neighbours(first)}
    assert set(queried[1:25]) == neighbours
    centre = max(neighbours, key=lambda k: task.low_fidelity(C.from_index(k))[0])
    assert all(k in {C.index(cell) for cell in space.neighbours(C.from_index(centre))} for k in queried[25:35])


def test_reinforce_s_first_steps_by_hand():
    """The first advantage is 0 (the baseline is that reward); the second Adam step has m/√v worked out here."""
    task = separable_task()
    searcher = searching("reinforce", task, init=0.0)
    searcher.learn(np.full((6, 5), 0.2), np.array([0, 1, 2, 3, 4, 0]), 50.0)
    np.testing.assert_array_equal(searcher.logits, 0.0)
    searcher.learn(np.full((6, 5), 0.2), np.array([3] * 6), 60.0)
    baseline = (0.9 * 0.1 * 50 + 0.1 * 60) / (1 - 0.81)  # 55.26…
    gradient = -(60 - baseline) * (np.eye(5)[3] - 0.2)
    m, v = 0.1 * gradient / (1 - 0.81), 0.001 * gradient**2 / (1 - 0.999**2)
    np.testing.assert_allclose(searcher.logits[2], -0.01 * m / np.sqrt(v), rtol=1e-6)
    assert searcher.logits[0, 3] > 0 > searcher.logits[0, 0]


def test_reinforce_learns_the_separable_optimum():
    searcher = searching("reinforce", separable_task(budget=1500.0), lr=0.05)
    while searcher.step() is not None:
        pass
    assert space.derive(searcher.logits) == (3,) * 6


def test_cma_es_beats_random_search_on_the_separable_landscape_and_replays():
    """Over five seeds: rounding, which differs between processors, decides where a single search goes."""
    total = dict.fromkeys(("cmaes-table", "random"), 0.0)
    for name in total:
        for seed in range(5):
            task = separable_task(budget=280.0, seed=seed)
            searcher = searching(name, task)
            while (step := searcher.step()) is not None:
                answer = step.cell
            total[name] += task.low_fidelity(answer)[0]
    assert total["cmaes-table"] > total["random"]
    one = Strategy(30, 1.3, 14, 5)
    for _ in range(3):
        samples = one.ask()
        one.tell(samples, [float((s**2).sum()) for s in samples])
    two = Strategy(30, 1.3, 14, 5)
    two.replay(one.error_history)
    np.testing.assert_array_equal(one.ask(), two.ask())
