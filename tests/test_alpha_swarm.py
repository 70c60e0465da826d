"""Swarms of architecture parameters: how far particles are apart."""

import numpy as np

from searchers import alpha_swarm


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


def two_edges(*rows):
    """Particles on one edge of two operations, whose softmax is (p, 1 − p)."""
    return np.array([[[np.log(p / (1 - p)), 0.0]] for p in rows])


def test_dfdb_by_hand():
    """g is at 0.5: distances 0, 0.3√2 and 0.4√2, so 0, 3/4 and 1 of the largest; of the scores 1/2, 1 and 3/4."""
    particles, best = two_edges(0.5, 0.8, 0.9), two_edges(0.5)[0]
    scores = np.array([0.2, 0.4, 0.3])
    expected = [0.75 * 0.5, 0.75 - 0.25 * 0.75, 0.75 * 0.75 - 0.25]
    np.testing.assert_allclose(alpha_swarm.dfdb(scores, particles, best, 0.25), expected)
    np.testing.assert_allclose(alpha_swarm.dfdb(scores, particles, best, 1.0), [0, -0.75, -1], atol=1e-12)


def test_dfdb_of_equal_particles_without_error_is_zero():
    particles = two_edges(0.5, 0.5)
    np.testing.assert_allclose(alpha_swarm.dfdb(np.zeros(2), particles, particles[0], 0.5), [0, 0])


def test_cosine_by_hand():
    """α of g (3, 4): of (3, 4) the cosine is 1, of (4, −3) 0, of (−6, −8) −1, of zeros 0."""
    particles = np.array([[[3.0, 4.0]], [[4.0, -3.0]], [[-6.0, -8.0]], [[0.0, 0.0]]])
    fitness = alpha_swarm.cosine(np.full(4, 0.5), particles, particles[0], 0.2)
    np.testing.assert_allclose(fitness, [0.7, 0.5, 0.3, 0.5])


def test_rank_sums_by_hand():
    """Ranks of the errors 3, 1, 2, of the first prior 3, 1, 2, of the second 2, 3, 1: sums 8, 5, 5 of 9."""
    swarm = object.__new__(alpha_swarm.AlphaSwarm)
    swarm.prior = lambda cells: np.array([[1.0, 5.0], [3.0, np.nan], [2.0, 6.0]])
    np.testing.assert_allclose(swarm.liking([0, 1, 2], np.array([0.3, 0.1, 0.2])), np.array([8, 5, 5]) / 9)
    swarm.prior = None
    assert swarm.liking([0, 1], np.array([0.3, 0.1])).tolist() == [0.3, 0.1]
