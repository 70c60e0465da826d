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
