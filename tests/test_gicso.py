"""What G-ICSO-NAS decides, and when, with scores that are written down: hand-over, archive, g, diversity, stability."""

import numpy as np
import pytest
from support.searching import build

from benchmarks.nb201 import cell as C
from benchmarks.nb201 import space
from searchers import alpha_swarm


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
    told, tell = [], searcher.swarm._tell
    monkeypatch.setattr(searcher.swarm, "_tell", lambda weight: (told.append(weight), tell(weight)))
    while searcher.phase != "stability":
        searcher.step()
    np.testing.assert_allclose(told, np.repeat(expected, 3))


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
