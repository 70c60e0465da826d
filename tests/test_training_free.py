"""Training-free searches: rank sums, what is drawn, what is answered, what costs nothing."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from support import toy
from support.searching import build, make_task, searching

from benchmarks.base import NetworkSize
from benchmarks.darts import space as darts
from benchmarks.errors import UserError
from benchmarks.nb201 import cell as C
from benchmarks.nb201 import cost
from benchmarks.nb201 import space as nb201
from harness.specs import parse_specs
from searchers import base, catalogue, training_free
from searchers.training_free import rank_sum
from searchers.zero_cost import SCORES


def test_ranks_are_added_and_what_is_not_finite_comes_last():
    """Ranks 2, 3, 1 and 3, 1.5, 1.5 of the three finite ones."""
    scores = np.array([[5.0, 9.0], [np.nan, 99.0], [1e47, 2.0], [-3.0, 2.0], [1.0, -np.inf]])
    assert rank_sum(scores).tolist() == [5.0, 0.0, 4.5, 2.5, 0.0]
    assert rank_sum(np.full((2, 1), np.nan)).tolist() == [0.0, 0.0]


def test_specs_name_scores_and_numbers():
    (spec,) = parse_specs("training-free[score=naswot+synflow, cells=1000]")
    assert (spec.kind, spec.label) == ("training-free", "training-free")  # the default
    assert parse_specs("training-free[score= zico + zen ]")[0].config["score"] == "zico+zen"
    with pytest.raises(UserError, match="no score 'nwot'; did you mean 'naswot'"):
        parse_specs("training-free[score=nwot]")
    with pytest.raises(UserError, match="given twice"):
        parse_specs("training-free[score=zen+zen]")


@pytest.mark.parametrize(
    ("name", "costs"), [("params", cost.parameters), ("flops", lambda s: cost.multiply_adds(s, 8))]
)
def test_the_largest_of_the_whole_space_is_six_convolutions(name, costs):
    task = make_task(kind="training-free")
    searcher = searching(name, task)
    step = searcher.step()
    assert step.cell == (3, 3, 3, 3, 3, 3)
    assert searcher.step() is None
    assert task.evaluations == 15_625
    assert costs(task.size)[C.index(step.cell)] == costs(task.size).max()
    assert step.metrics == {"share": 1.0, "not_finite": 0}


def test_the_answer_is_the_best_so_far_of_different_cells(monkeypatch):
    """Scores are made up: the number of 3×3 convolutions, and of skips, negated; a cell with `none` has none."""
    cells = []

    def made_up(net, batches):
        cell = net.stages[0][0].cell
        cells.append(cell)
        return float("nan") if 0 in cell else float(cell.count(3))

    monkeypatch.setitem(SCORES, "zen", SCORES["zen"]._replace(compute=made_up))
    task = make_task(kind="training-free")
    searcher = searching("training-free", task, score="zen", cells=60)
    steps = []
    while (step := searcher.step()) is not None:
        steps.append(step)
        finite = [cell for cell in cells if 0 not in cell]
        best = max(finite, key=lambda cell: cell.count(3), default=cells[0])
        assert step.cell == best
        assert step.metrics["queried"] == C.index(cells[-1])
        assert step.metrics["not_finite"] == len(cells) - len(finite)
    assert len(steps) == len(set(cells)) == task.evaluations == 60
    assert 0 < steps[-1].metrics["not_finite"] < 60
    liked = searcher.training_free_scores([(3,) * 6, (0,) + (3,) * 5, (3, 1, 1, 1, 1, 1), (1,) * 6])
    assert np.argsort(-liked).tolist() == [0, 2, 3, 1]
    assert liked[1] == 0


def test_a_cell_has_the_same_scores_wherever_it_stands():
    cells = [C.from_index(k) for k in (9930, 1462, 77)]
    searcher = build("training-free", score="naswot+snip")[1]
    assert np.array_equal(searcher.score(cells), searcher.score(cells[::-1])[::-1])
    assert not np.array_equal(searcher.score(cells), build("training-free", 1, score="naswot+snip")[1].score(cells))


def test_costs_of_all_cells_and_of_a_network_are_the_same_scores():
    searcher = build("training-free", score="params+flops")[1]
    cells = [C.from_index(1462), (1, 2, 3, 4, 1, 2)]
    listed = searcher.score(cells)
    searcher.costs = {}
    assert np.array_equal(searcher.score(cells), listed)


@pytest.mark.parametrize(
    ("spec", "space", "expected"),
    [
        ("params", nb201, False),
        ("flops[cells=15625]", nb201, False),
        ("params[cells=100]", nb201, True),
        ("params", darts, True),  # of which 1,000 are drawn
        ("training-free[score=params+flops,cells=0]", nb201, False),
        ("training-free[score=params,cells=50]", nb201, True),
        ("training-free[cells=0]", nb201, True),  # the seed draws weights and images
        ("random", nb201, True),
        ("gicso", nb201, True),
    ],
)
def test_a_seed_is_used_where_something_is_drawn(spec, space, expected):
    (spec,) = parse_specs(spec)
    searcher = catalogue.find(spec.name)
    assert searcher.uses_seed(base.configure(searcher, spec.config), space) is expected


def test_a_space_that_cannot_be_enumerated_is_sampled(monkeypatch):
    monkeypatch.setattr(training_free, "SAMPLE", 5)
    task = make_task(kind="training-free")
    task.space, task.size = toy, NetworkSize(4, 1, 1, 10)
    searcher = searching("params", task)
    steps = list(iter(searcher.step, None))
    assert len(steps) == task.evaluations == 5
    largest = max(cell.count(2) for cell in searcher.cells)
    assert steps[-1].cell.count(2) == largest


@pytest.mark.parametrize("name", SCORES)
def test_every_score_runs_alone_and_leaves_the_images_as_they_were(name):
    torch.set_num_threads(1)
    _, searcher = build("training-free", score=name, cells=2)
    before = [x.clone() for x, _ in searcher.score.batches]
    assert searcher.step().cell
    assert all(torch.equal(x, y) for (x, _), y in zip(searcher.score.batches, before, strict=True))
