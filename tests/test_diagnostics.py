"""What a record says of the inside of a search, by hand and by scipy."""

import numpy as np
import pytest
import torch
from scipy import stats
from support.campaigns import make_campaign, make_record, results_of
from support.searching import build, make_task

from benchmarks.base import NetworkSize
from benchmarks.errors import UserError
from benchmarks.nb201 import cell as C
from benchmarks.nb201 import space
from benchmarks.nb201.benchmark import TableBenchmark
from harness import diagnostics
from harness.report import plots_search
from harness.schema import OneShot


def test_entropy_of_undecided_decided_and_half_decided_edges():
    assert diagnostics.entropy(np.zeros((6, 5))) == pytest.approx(1)
    assert diagnostics.entropy(1000 * np.eye(5)[[0, 1, 2, 3, 4, 0]]) == pytest.approx(0, abs=1e-12)
    two = np.full((6, 5), -1000.0)
    two[:, :2] = 7.0
    assert diagnostics.entropy(two) == pytest.approx(np.log(2) / np.log(5))


def test_a_trace_s_phases_entropy_and_largest_change():
    watch = diagnostics.TraceSummary()
    assert watch.fields(space) == dict.fromkeys(
        ("alpha_entropy", "alpha_change", "queried_cells", "queried_canonical")
    ) | {
        "phases": [],
        "swarm_diversity": [],
    }
    alphas = np.zeros((6, 5))
    for step, (phase, value) in enumerate([("a", 0.0), ("a", 2.0), ("b", -0.5)]):
        alphas[2, 3] = value
        watch.add({"step": step, "phase": phase, "alphas": alphas.tolist(), "alpha_entropy": 1 - step / 10})
    assert watch.fields(space) == {
        "phases": [{"phase": "a", "step": 0}, {"phase": "b", "step": 2}],
        "alpha_entropy": 0.8,
        "alpha_change": 2.0,
        "queried_cells": None,
        "queried_canonical": None,
        "swarm_diversity": [],
    }


def test_swarm_diversity_is_kept_a_generation_each_and_drawn_over_epochs():
    watch = diagnostics.TraceSummary()
    for line in ({"step": 0}, {"step": 1, "swarm_diversity": [2.0, 1.5]}, {"step": 2, "swarm_diversity": [1.0, 0.5]}):
        watch.add(line)
    assert watch.fields(space)["swarm_diversity"] == [[1.5, 2.0], [2.0, 1.5], [2.5, 1.0], [3.0, 0.5]]
    records = [make_record("gicso", 0, 93.0, swarm_diversity=watch.fields(space)["swarm_diversity"])]
    records.append(make_record("gicso", 1, 93.0, swarm_diversity=[[1.5, 4.0], [2.0, 2.5]]))  # switched earlier
    campaign = make_campaign({"gicso": "one-shot", "darts": "one-shot"}, [0, 1])
    (line,) = plots_search.diversity(results_of(records, campaign)).axes[0].lines
    assert line.get_xydata().tolist() == [[1.5, 3.0], [2.0, 2.0], [2.5, 1.0], [3.0, 0.5]]
    assert plots_search.diversity(results_of([make_record("darts", 0, 93.0)], campaign)) is None


@pytest.mark.case(27)
def test_different_and_isomorphic_queries_are_counted():
    """25 and 3 have one canonical form, #+#+#+0; 11 has another; 25 is asked for twice."""
    watch = diagnostics.TraceSummary()
    for index in (25, 3, 25, 11):
        watch.add({"step": 0, "queried": index})
    assert watch.fields(space)["queried_cells"] == 3
    assert watch.fields(space)["queried_canonical"] == 2


class Column:
    def __init__(self, mean):
        self.mean = mean


class Bench(TableBenchmark):
    """Accuracy grows with the cell's index; one entry is missing."""

    def __init__(self):
        pass

    def column(self, dataset, split):
        assert (dataset, split) == ("digits", "valid")
        mean = np.arange(15_625.0)
        mean[7] = np.nan
        return Column(mean)


class Knowing:
    """Its loss falls with the index, but for noise."""

    def one_shot_losses(self, candidates, images):
        index = np.array([C.index(cell) for cell in candidates])
        self.asked = index
        return -index + np.random.default_rng(0).normal(0, 4000, len(index))


@pytest.mark.case(17, 95)  # against the full schedule, as the axis says
def test_correlation_with_the_table_is_scipy_s_over_all_and_over_the_better_half():
    searcher = Knowing()
    found = diagnostics.one_shot(searcher, Bench(), "digits")
    index = np.array(found.cells)
    assert len(set(index)) == 200
    assert 7 not in index
    assert (index == searcher.asked).all()
    losses = Knowing().one_shot_losses([C.from_index(int(k)) for k in index], 0)
    assert found.spearman == pytest.approx(stats.spearmanr(index, -losses).statistic)
    good = index >= np.sort(index)[100]
    assert found.spearman_good == pytest.approx(stats.spearmanr(index[good], -losses[good]).statistic)
    assert found.spearman_good < found.spearman


def test_one_shot_losses_that_are_not_finite_fail_the_run(monkeypatch):
    """Of a supernet whose last weight step diverged, which no search looks at."""
    monkeypatch.setattr(Knowing, "one_shot_losses", lambda self, cells, images: np.array([1.0, np.nan, np.inf]))
    with pytest.raises(UserError, match="^one-shot losses of 2 in 3 cells are not finite after the last epoch"):
        diagnostics.one_shot(Knowing(), Bench(), "digits")


class Scoring:
    """A supernet whose best cell has this accuracy."""

    def __init__(self, best):
        self.best = best

    def one_shot_accuracies(self, candidates, images):
        assert (len(candidates), images) == (2, 512)
        return None if self.best is None else np.array([0.1, self.best])


@pytest.mark.parametrize(
    ("classes", "losses", "best", "train_loss", "guessing"),
    [
        # ln 10 = 2.303; 10 % of 512 images and five standard errors of 1.326 points are 16.63 %
        (10, [2.4, 2.29], 16.6, None, True),
        (10, [2.4, 2.29], 16.7, None, False),
        (10, [250.0, 99.0], 10.9, 2.29, True),
        (10, [2.7, 2.32], 10.9, 2.27, False),  # a mixture that learned
        (10, [2.4, 2.29], None, None, False),  # no accuracies: losses alone may be those of a network too sure
        (10, [2.4, 2.27], 10.0, None, False),  # 0.986 of a guess
        (10, [2.4, 1.50], 60.0, 2.53, False),
        (10, [2.4, 1.50], 60.0, 2.54, True),  # 1.1 times 2.303 is 2.533
        (10, None, None, 2.54, True),
        (10, None, None, 2.50, False),
        (10, None, None, None, False),
        # ln 120 = 4.787; 0.83 % and five standard errors of 0.402 points are 2.84 %
        (120, [4.9, 4.75], 2.8, None, True),
        (120, [4.9, 4.75], 2.9, None, False),
    ],
)
def test_a_supernet_at_chance(classes, losses, best, train_loss, guessing):
    task = make_task()
    task.size, task.valid = NetworkSize(2, 1, 1, classes), range(600)
    supernet = losses and OneShot(cells=[284, 11], losses=losses, spearman=None, spearman_good=None)
    assert diagnostics.at_chance(Scoring(best), supernet, train_loss, task) is guessing


def test_a_supernet_that_gives_every_image_one_class_is_at_chance():
    task, searcher = build("rsws")
    with torch.no_grad():
        for parameter in searcher.training.net.classifier.parameters():
            parameter.zero_()
    supernet = diagnostics.one_shot(searcher, Bench(), "digits")
    assert supernet.losses == [2.30259] * 200
    assert diagnostics.at_chance(searcher, supernet, None, task)
