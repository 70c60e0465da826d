"""Swarm rules against numbers worked by hand, their evaluation counts, and the sphere."""

import numpy as np
import pytest

from searchers.one_shot import is_due
from searchers.swarm import Scene, Swarm, cso_pairs, fresh_draws, icso_triplets, reflect


class Scripted:
    """A generator that gives prepared numbers, so that a step can be worked by hand."""

    def __init__(self, order, *uniforms):
        self.order, self.uniforms = np.array(order), list(uniforms)

    def permutation(self, n):
        assert n == len(self.order)
        return self.order

    def random(self, shape):
        value = np.array(self.uniforms.pop(0), dtype=float)
        return np.broadcast_to(value, shape)


def scene(x, v, fitness, best, phi):
    return Scene(np.array(x, float), np.array(v, float), np.array(fitness, float), np.array(best, float), phi, None)


def test_cso_step_by_hand():
    # pairs (2, 0) and (1, 3); fitness 5 1 3 2: 2 beats 0, 1 beats 3
    s = scene([[0, 0], [4, 0], [2, 2], [6, 2]], [[1, 0], [0, 0], [0, 0], [0, 2]], [5, 1, 3, 2], [4, 0], 0.1)
    r = [[[0.5, 0.5], [0.5, 0.5]], [[1.0, 0.5], [0.5, 0.5]], [[0.5, 0.25], [0.5, 1.0]]]
    move = cso_pairs(s, Scripted([2, 1, 0, 3], r))
    assert move.indices.tolist() == [0, 3]
    # mean (3, 1). v_0 = .5·(1,0) + (1,.5)·(2,2) + .1·(.5,.25)·(3,1) = (2.65, 1.025)
    # v_3 = .5·(0,2) + .5·(−2,−2) + .1·(.5,1)·(−3,−1) = (−1.15, −0.1)
    np.testing.assert_allclose(move.v, [[2.65, 1.025], [-1.15, -0.1]])
    np.testing.assert_allclose(move.x, [[2.65, 1.025], [4.85, 1.9]])


def test_icso_step_by_hand():
    # triplets (0, 1, 2) and (3, 4, 5): b m l = 1 2 0 and 5 3 4; only the second triplet's m moves
    x = [[0.0], [1.0], [2.0], [3.0], [4.0], [5.0]]
    v = [[1.0], [0.0], [0.0], [2.0], [1.0], [0.0]]
    s = scene(x, v, [9, 1, 5, 6, 8, 2], [1.0], 0.15)
    moves = [0.7, 0.3]
    r = [[[0.5], [0.5], [0.5], [0.25]], [[1.0], [0.5], [0.5], [0.5]]]  # rows: m, m, l, l
    move = icso_triplets(s, Scripted([0, 1, 2, 3, 4, 5], moves, r))
    assert move.indices.tolist() == [3, 0, 4]
    # mean 2.5, g 1. m=3: .5·2 + .5·(5−3) + .15·(2.5−3) = 1.925
    # l=0: .5·1 + .5·(1−0) + .15·(1−0) = 1.15;  l=4: .25·1 + .5·(5−4) + .15·(1−4) = 0.3
    np.testing.assert_allclose(move.v.ravel(), [1.925, 1.15, 0.3])
    np.testing.assert_allclose(move.x.ravel(), [4.925, 1.15, 4.3])


def run(rule, n, evaluations, seed, phi):
    rng = np.random.default_rng(seed)
    swarm = Swarm(n, rule, rng, -5, 5, phi, lambda count, r: r.uniform(-5, 5, (count, 30)))
    fitness, used = np.empty(n), []
    while sum(used) < evaluations:
        moved = swarm.ask()
        fitness[moved] = (swarm.x[moved] ** 2).sum(axis=1)
        used.append(len(moved))
        swarm.tell(fitness)
        assert np.abs(swarm.x).max() <= 5
    return swarm, used


@pytest.mark.parametrize(("rule", "phi"), [("cso", 0.1), ("icso", 0.15)])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_sphere(rule, phi, seed):
    swarm, _ = run(rule, 60, 9_970, seed, phi)
    assert swarm.best_value < 1e-3
    assert swarm.best_value == pytest.approx((swarm.best**2).sum())


def test_evaluations_a_generation():
    _, pairs = run("cso", 60, 6_000, 0, 0.1)
    assert set(pairs[1:]) == {30}
    for rule in ("icso", "random"):
        _, used = run(rule, 60, 30_000, 0, 0.15)
        # N/3 + Binomial(N/3, 1/2): mean 30, standard deviation 2.24 over about 1,000 generations
        assert abs(np.mean(used[1:]) - 30) < 0.3
        assert min(used[1:]) >= 20
        assert max(used[1:]) <= 40


@pytest.mark.parametrize("rule", ["cso", "icso", "random"])
def test_untouched_particles_are_unchanged_and_velocity_stays_with_its_particle(rule):
    rng = np.random.default_rng(3)
    swarm = Swarm(12, rule, rng, -3, 3, 0.1, lambda n, r: r.normal(size=(n, 4)))
    fitness = np.empty(12)
    for _ in range(5):
        x, v = swarm.x.copy(), swarm.v.copy()
        moved = swarm.ask()
        still = np.setdiff1d(np.arange(12), moved)
        assert swarm.has_fitness is False or len(still) >= 4
        assert np.array_equal(swarm.x[still], x[still])
        assert np.array_equal(swarm.v[still], v[still])
        if rule != "random" and swarm.has_fitness:
            expected = reflect(x[moved] + swarm.v[moved], -3, 3)
            np.testing.assert_allclose(swarm.x[moved], expected)
        fitness[moved] = (swarm.x[moved] ** 2).sum(axis=1)
        swarm.tell(fitness)


def test_winner_of_a_pair_and_best_of_a_triplet_stay():
    rng = np.random.default_rng(4)
    fitness = np.arange(12.0)
    s = scene(rng.normal(size=(12, 3)), np.zeros((12, 3)), fitness, np.zeros(3), 0.1)
    for rule in (cso_pairs, icso_triplets):
        for seed in range(20):
            assert 0 not in rule(s, np.random.default_rng(seed)).indices


def test_reflection_is_a_mirror():
    x = np.array([-3.5, 3.25, 0.0, 9.5, -9.5, 3.0])
    np.testing.assert_allclose(reflect(x, -3, 3), [-2.5, 2.75, 0.0, -2.5, 2.5, 3.0])


def test_fresh_draws_learn_nothing():
    rng = np.random.default_rng(5)
    s = Scene(np.zeros((9, 2)), np.ones((9, 2)), np.zeros(9), np.zeros(2), 0.1, lambda n, r: np.full((n, 2), 7.0))
    move = fresh_draws(s, rng)
    counts = np.zeros(9)
    for seed in range(300):
        counts[fresh_draws(s, np.random.default_rng(seed)).indices] += 1
    assert counts.min() > 0.8 * counts.mean()  # whichever particles
    assert (move.x == 7).all()
    assert (move.v == 0).all()


def test_g_follows_the_objective_not_the_fitness():
    rng = np.random.default_rng(6)
    swarm = Swarm(3, "icso", rng, -3, 3, 0.1, lambda n, r: np.array([[1.0], [2.0], [0.5]]))
    swarm.ask()
    swarm.tell(np.array([0.0, 1.0, 2.0]), objective=np.array([3.0, 2.0, 1.0]))
    assert swarm.best.tolist() == [0.5]
    assert swarm.best_value == 1.0


@pytest.mark.parametrize(
    ("steps", "times", "expected"), [(16, 2, [7, 15]), (5, 2, [2, 4]), (3, 3, [0, 1, 2]), (2, 9, [0, 1])]
)
def test_generations_are_spread_evenly_and_the_last_ends_the_epoch(steps, times, expected):
    assert [step for step in range(steps) if is_due(step, steps, times)] == expected
