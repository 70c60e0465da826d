"""G-ICSO-NAS: its phases, what its swarm scores, and what it decides when, with scores that are written down.

The rules by which particles move are in test_swarm, distances between particles in test_alpha_swarm."""

import numpy as np
import pytest
import torch
from support.searching import SPECS, build, choice_of, make_task
from support.spy import spy

from benchmarks.errors import UserError
from benchmarks.nb201 import cell as C
from benchmarks.nb201 import space
from searchers import alpha_swarm, base
from searchers.gicso import GICSO


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
    choices = spy(monkeypatch, searcher.training, "weight_step", choice_of)
    for _ in range(3):
        searcher.step()
    mixtures, paths = choices[:4], choices[4:]
    assert all(torch.allclose(mixture, torch.full((6, 5), 0.2)) for mixture in mixtures)
    assert all(isinstance(path, tuple) for path in paths)
    assert len(paths) == 2 * 4 * 3
    assert len(set(paths)) > 5


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
    swarm = searcher.swarm
    assert swarm.score != searcher.training.errors
    scored = spy(monkeypatch, swarm, "score", lambda choices, x, y: choices, lambda choices, x, y: np.arange(6.0))
    swarm.generation()
    e = np.exp(swarm.swarm.x.reshape(6, 6, 5))
    (mixtures,) = scored
    np.testing.assert_allclose(torch.stack(list(mixtures)), e / e.sum(2, keepdims=True), rtol=1e-5)


def test_a_swarm_has_its_settings():
    _, searcher = build("gicso", population=999, spread=0.2, box=0.5, phi=0.7)
    swarm = searcher.swarm.swarm
    assert (swarm.phi, swarm.low, swarm.high, swarm.rule) == (0.7, -0.5, 0.5, "icso")
    assert (swarm.x - searcher.answer.reshape(-1)).std() == pytest.approx(0.2, rel=0.03)
    assert build("gicso", swarm="random")[1].swarm.swarm.rule == "random"


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


def position_of(index: int) -> np.ndarray:
    """(30,) alphas whose arg-max is the cell."""
    alphas = np.zeros((6, 5))
    alphas[np.arange(6), list(C.from_index(index))] = 1.0
    return alphas.reshape(-1)


def scripted(monkeypatch, swarm, score_of):
    """Scores by the cell's index; the calls (indices, images) that were made."""
    calls = []

    def score(choices, x, y):
        calls.append(([C.index(cell) for cell in choices], len(x)))
        return np.array([score_of(i) for i in calls[-1][0]], dtype=float)

    monkeypatch.setattr(swarm, "score", score)
    return calls


@pytest.fixture
def handing_over(monkeypatch):
    """Particles are cells 10 to 60, the archive holds 70 and 80, g is 90."""
    _, searcher = build("gicso")
    swarm = searcher.swarm
    swarm.swarm.x = np.stack([position_of(i) for i in (10, 20, 30, 40, 50, 60)])
    swarm.archive = {C.from_index(i): (0.1, position_of(i).tolist()) for i in (70, 80)}
    swarm.swarm.best, swarm.swarm.has_fitness = position_of(90), True
    return searcher


@pytest.mark.parametrize("winner", [10, 60, 70, 80, 90])
def test_the_hand_over_s_answer_scores_best_of_swarm_archive_and_g(handing_over, monkeypatch, winner):
    calls = scripted(monkeypatch, handing_over.swarm, lambda i: 0.2 if i == winner else 0.5)
    assert C.index(space.derive(handing_over.choose_best())) == winner
    assert calls == [([10, 20, 30, 40, 50, 60, 70, 80, 90], 64)]  # all of them, once, on all final images


@pytest.mark.parametrize(("rescore", "answer"), [(True, 30), (False, 90)])
def test_without_re_scoring_g_is_handed_over(handing_over, monkeypatch, rescore, answer):
    searcher = handing_over
    searcher.config = searcher.config.model_copy(update={"rescore": rescore})
    searcher.answer = searcher.swarm.best()
    calls = scripted(monkeypatch, searcher.swarm, lambda i: float(i != 30))
    searcher.phase = "exploration"
    searcher.switch(searcher.exploration_end)
    assert (searcher.phase, C.index(space.derive(searcher.answer)), len(calls)) == ("stability", answer, int(rescore))
    np.testing.assert_allclose(searcher.descent.values(), position_of(answer).reshape(6, 5))


def test_the_archive_keeps_the_best_cells_seen_with_their_best_scores(monkeypatch):
    _, searcher = build("gicso", archive=3)
    swarm = searcher.swarm
    monkeypatch.setattr(swarm.swarm, "ask", lambda: np.arange(6))
    for cells, scores in (
        ([1, 2, 3, 4, 5, 6], {1: 0.9, 2: 0.4, 3: 0.8, 4: 0.2, 5: 0.7, 6: 0.6}),
        ([2, 3, 7, 7, 8, 9], {2: 0.5, 3: 0.1, 7: 0.3, 8: 0.95, 9: 0.99}),  # 2 is worse now: the 0.4 stays
    ):
        swarm.swarm.x = np.stack([position_of(i) for i in cells])
        scripted(monkeypatch, swarm, scores.__getitem__)
        swarm.generation()
    assert [(C.index(cell), score) for cell, (score, _) in swarm.archive.items()] == [(3, 0.1), (4, 0.2), (7, 0.3)]
    assert all(space.derive(np.reshape(position, (6, 5))) == cell for cell, (_, position) in swarm.archive.items())


def test_scored_anew_everybody_and_g_have_the_new_images_scores(monkeypatch):
    """g had been lucky with 0.1; it is 0.5 now, and the particle with 0.4 takes its place."""
    _, searcher = build("gicso")
    swarm = searcher.swarm
    cells = [10, 20, 30, 40, 50, 60]
    swarm.swarm.x = np.stack([position_of(i) for i in cells])
    swarm.swarm.best, swarm.swarm.best_value = position_of(90), 0.1
    scores = {10: 0.7, 20: 0.4, 30: 0.6, 40: 0.8, 50: 0.9, 60: 0.65, 90: 0.5}
    calls = scripted(monkeypatch, swarm, scores.__getitem__)
    swarm.rescore(0.3)
    assert [indices for indices, _ in calls] == [[*cells, 90]]
    found = np.array([scores[i] for i in cells])
    np.testing.assert_allclose(swarm.particle_scores, found)
    np.testing.assert_allclose(swarm.swarm.fitness, found - 0.3 * alpha_swarm.relative_distances(swarm.particles))
    assert (C.index(space.derive(swarm.best())), swarm.swarm.best_value) == (20, 0.4)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, [0.2, 0.16, 0.12, 0.08, 0.04]),
        ({"diversity_schedule": "constant"}, [0.2] * 5),
        ({"diversity": 0.0}, [0] * 5),
    ],
)
def test_the_diversity_weight_reaches_each_generation_and_the_re_scoring(monkeypatch, changes, expected):
    """Five epochs of exploration, in each of them two generations and the scoring anew."""
    _, searcher = build("gicso", **{"diversity": 0.2} | changes)
    weights = spy(monkeypatch, searcher.swarm, "_tell", lambda weight: weight)
    while searcher.phase != "stability":
        searcher.step()
    np.testing.assert_allclose(weights, np.repeat(expected, 3))


@pytest.mark.parametrize(("cells", "epochs"), [([5, 5, 5, 5], 2), ([6, 6, 6, 6], 3), ([6, 7, 7, 8, 8, 8], 6)])
def test_stability_ends_after_so_many_epochs_in_a_row_without_another_cell(monkeypatch, cells, epochs):
    """Handed over with cell 5 and patience 2; the gradient's α leads through `cells`."""
    _, searcher = build("gicso", patience=2, guard=False)
    searcher.stability_epochs = 10

    class Descent:
        def __init__(self):
            self.path = [5, *cells]

        def values(self):
            return position_of(self.path[0]).reshape(6, 5)

        def alternate(self, epoch):
            self.path.pop(0)
            return {}

    searcher.phase, searcher.phase_start, searcher.epoch, searcher.descent = "stability", 4, 4, Descent()
    answers = []
    while not searcher.finished() and searcher.epoch < 4 + len(cells):
        searcher.refine()
        searcher.epoch += 1
        answers.append(C.index(space.derive(searcher.answer)))
    assert answers == cells[:epochs]
    assert searcher.finished()


def test_a_swarm_tells_its_diversity_after_every_generation(monkeypatch):
    _, searcher = build("gicso")
    seen, generation = [], searcher.swarm.generation
    monkeypatch.setattr(
        searcher.swarm, "generation", lambda w: (generation(w), seen.append(searcher.swarm.diversity()))
    )
    told = [searcher.step().metrics.get("swarm_diversity") for _ in range(5)]  # 3 epochs of warm-up
    assert told == [None, None, None, seen[:2], seen[2:]]
    assert len(set(seen)) == 4


def test_an_exploring_swarm_answers_g():
    _, searcher = build("gicso")
    answers = []
    while searcher.phase != "stability":
        step, g = searcher.step(), searcher.swarm.best().copy()
        if step.metrics["phase"] == "exploration" and searcher.phase == "exploration":
            np.testing.assert_array_equal(step.alphas, g)
            answers.append(step.cell)
    assert len(answers) == 4


@pytest.mark.parametrize("form", alpha_swarm.DIVERSE)
def test_the_form_of_diversity_decides_competitions_and_not_g(form):
    _, searcher = build("gicso", diversity_form=form, diversity=0.5)
    while searcher.phase == "warm-up":
        searcher.step()
    swarm = searcher.swarm
    swarm.generation(0.5)
    wanted = alpha_swarm.DIVERSE[form](swarm.particle_scores, swarm.particles, swarm.best(), 0.5)
    swarm._tell(0.5)
    np.testing.assert_allclose(swarm.swarm.fitness, wanted)
    assert swarm.swarm.best_value == swarm.particle_scores.min()


@pytest.mark.parametrize("change", [{"diversity_form": "dfdb"}, {"prior": "synflow"}])
def test_runs_from_before_newer_settings_keep_their_keys(change):
    _, searcher = build("gicso")
    settings = searcher.config.model_dump()
    key = type(searcher).key_settings
    assert not {"diversity_form", "prior"} & key(settings)[1].keys()
    assert key(settings | change)[1] == key(settings)[1] | change


def priors(monkeypatch, swarm, prior_of):
    monkeypatch.setattr(swarm, "prior", lambda cells: np.array([[prior_of(C.index(cell))] for cell in cells]))


def test_with_a_prior_the_hand_over_takes_the_best_rank_sum(handing_over, monkeypatch):
    """Of nine cells 20 has the second error and the best prior, 30 the best error and the worst prior."""
    scripted(monkeypatch, handing_over.swarm, lambda i: {20: 0.2, 30: 0.1}.get(i, 0.5))
    assert C.index(space.derive(handing_over.choose_best())) == 30
    priors(monkeypatch, handing_over.swarm, lambda i: {20: 9.0, 30: -1.0}.get(i, 1.0))
    assert C.index(space.derive(handing_over.choose_best())) == 20


def test_with_a_prior_the_guard_and_the_leader_go_by_rank_sums(monkeypatch):
    """Errors favour 20 and 40; two priors, of which one is not finite for 20, outvote them."""
    _, searcher = build("gicso")
    swarm = searcher.swarm
    scripted(monkeypatch, swarm, lambda i: {20: 0.1, 40: 0.2}.get(i, 0.5))
    prior = {20: [-1.0, np.nan], 40: [0.0, 0.0], 50: [5.0, 5.0]}
    monkeypatch.setattr(swarm, "prior", lambda cells: np.array([prior.get(C.index(c), [0.0, 0.0]) for c in cells]))
    new = searcher.better(position_of(20).reshape(6, 5), position_of(50).reshape(6, 5))
    assert C.index(space.derive(new)) == 50
    swarm.swarm.x = np.stack([position_of(i) for i in (10, 20, 30, 40, 50, 60)])
    swarm.swarm.best = position_of(90)
    swarm.rescore()
    assert C.index(space.derive(swarm.best())) == 50
    assert swarm.best_score == 0.5


def test_a_prior_is_worked_out_once_a_cell_and_is_that_of_the_training_free_search():
    task, searcher = build("gicso", prior="synflow+naswot")
    assert searcher.config.prior == "synflow+naswot"
    cells = [C.from_index(i) for i in (4444, 1462, 4444)]
    first, images = searcher.prior(cells), task.eval_images
    assert np.array_equal(searcher.prior(cells), first)
    assert task.eval_images == images == 2 * 16
    _, other = build("training-free", score="synflow+naswot", cells=2)
    assert first[:, 0].tolist() == other.score(cells)[:, 0].tolist()  # synflow sees no images


def test_a_wrong_prior_is_refused():
    with pytest.raises(UserError, match="no score 'synflo'; did you mean 'synflow'"):
        build("gicso", prior="synflo")
