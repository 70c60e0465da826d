"""What a record says of the inside of a search, by hand and by scipy."""

import numpy as np
import pytest
import torch
from scipy import stats
from support.campaigns import make_campaign, make_record
from support.planned import plan_for
from support.searching import build, make_task

from benchmarks.base import NetworkSize
from benchmarks.digits201.benchmark import open_digits201
from benchmarks.errors import UserError
from benchmarks.nb201 import cell as C
from benchmarks.nb201 import space
from benchmarks.nb201.benchmark import TableBenchmark
from harness import diagnostics, runner, steps, store
from harness.report import frames, notes, plots_search
from searchers import base, catalogue
from searchers.random_search import RandomSearch


def test_entropy_of_undecided_decided_and_half_decided_edges():
    assert diagnostics.entropy(np.zeros((6, 5))) == pytest.approx(1)
    assert diagnostics.entropy(1000 * np.eye(5)[[0, 1, 2, 3, 4, 0]]) == pytest.approx(0, abs=1e-12)
    two = np.full((6, 5), -1000.0)
    two[:, :2] = 7.0
    assert diagnostics.entropy(two) == pytest.approx(np.log(2) / np.log(5))


def test_operations_are_counted():
    assert space.operation_counts((3, 3, 1, 0, 4, 3)) == [1, 1, 0, 3, 1]


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
    (line,) = plots_search.diversity(records, campaign).axes[0].lines
    assert line.get_xydata().tolist() == [[1.5, 3.0], [2.0, 2.0], [2.5, 1.0], [3.0, 0.5]]
    assert plots_search.diversity([make_record("darts", 0, 93.0)], campaign) is None


def test_a_swarm_tells_its_diversity_after_every_generation(monkeypatch):
    _, searcher = build("gicso")
    seen, generation = [], searcher.swarm.generation
    monkeypatch.setattr(
        searcher.swarm, "generation", lambda w: (generation(w), seen.append(searcher.swarm.diversity()))
    )
    told = [searcher.step().metrics.get("swarm_diversity") for _ in range(5)]  # 3 epochs of warm-up
    assert told == [None, None, None, seen[:2], seen[2:]]
    assert len(set(seen)) == 4


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


def test_correlation_with_the_table_is_scipy_s_over_all_and_over_the_better_half():
    searcher = Knowing()
    found = diagnostics.one_shot(searcher, Bench(), "digits")
    index = np.array(found["cells"])
    assert len(set(index)) == 200
    assert 7 not in index
    assert (index == searcher.asked).all()
    losses = Knowing().one_shot_losses([C.from_index(int(k)) for k in index], 0)
    assert found["spearman"] == pytest.approx(stats.spearmanr(index, -losses).statistic)
    good = index >= np.sort(index)[100]
    assert found["spearman_good"] == pytest.approx(stats.spearmanr(index[good], -losses[good]).statistic)
    assert found["spearman_good"] < found["spearman"]


def test_supernet_searchers_can_be_asked_and_the_others_say_none():
    cells = [C.from_index(k) for k in (11, 284)]
    for name, kind in (("rsws", "one-shot"), ("cso", "one-shot"), ("pcdarts", "one-shot"), ("random", "multi-trial")):
        searcher_class = catalogue.find(name)
        searcher = searcher_class(make_task(kind=kind), base.configure(searcher_class, {}))
        losses = searcher.one_shot_losses(cells, 64)
        assert (losses is None) == (name in ("pcdarts", "random"))
        if losses is not None:
            assert losses.shape == (2,)
            assert (losses > 0.5).all()  # of an untrained network of 10 classes
            assert losses[0] != losses[1]


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
    supernet = losses and {"cells": [284, 11], "losses": losses}
    assert diagnostics.at_chance(Scoring(best), supernet, train_loss, task) is guessing


def test_a_supernet_that_gives_every_image_one_class_is_at_chance():
    task, searcher = build("rsws")
    with torch.no_grad():
        for parameter in searcher.training.net.classifier.parameters():
            parameter.zero_()
    supernet = diagnostics.one_shot(searcher, Bench(), "digits")
    assert supernet["losses"] == [2.30259] * 200
    assert diagnostics.at_chance(searcher, supernet, None, task)


def test_the_table_of_diagnostics_by_hand():
    skips = "|skip_connect~0|+|skip_connect~0|skip_connect~1|+|skip_connect~0|skip_connect~1|skip_connect~2|"
    one_shot = {"cells": [], "losses": [], "spearman": 0.5, "spearman_good": None}
    records = [make_record("a", s, 90.0, alpha_entropy=0.5, alpha_change=0.0 if s == 2 else 1.0) for s in range(3)]
    records[0]["one_shot"] = records[1]["one_shot"] = one_shot
    records[1]["one_shot"] = one_shot | {"spearman": 0.7, "spearman_good": 0.1}
    records[2] |= {"cell": skips, "collapsed": True}
    campaign = make_campaign({"a": "one-shot"}, [0, 1, 2])
    (row,) = frames.diagnostics(records, campaign).to_dict("records")
    assert (row["n"], row["collapsed"], row["distinct_cells"], row["modal_share"]) == (3, 1, 2, pytest.approx(2 / 3))
    assert row["modal_cell"] == records[0]["cell"]
    # twice (2 none, 1 skip, 3 convolutions 3×3), once six skips
    assert (row["none"], row["skip_connect"], row["nor_conv_3x3"]) == (pytest.approx(4 / 3), pytest.approx(8 / 3), 2)
    assert (row["answer_changes"], row["alpha_entropy"], row["alpha_change"]) == (1, 0.5, pytest.approx(2 / 3))
    assert (row["one_shot_spearman"], row["one_shot_spearman_good"]) == (pytest.approx(0.6), pytest.approx(0.1))
    said = "\n".join(notes.warnings(records, campaign))
    assert "The architecture parameters did not move: a 1 of 3 runs" in said
    of_queries = [r | {"kind": "multi-trial"} for r in records]  # α of the best cell seen
    assert "did not move" not in "\n".join(notes.warnings(of_queries, campaign))


def test_alphas_are_traced_with_the_cell_without_none():
    """`none` first, then nor_conv_3x3."""
    alphas = np.tile([3.0, 0.0, 1.0, 2.0, 0.5], (6, 1))
    line = runner.trace_line(runner.Progressed(1, 0.25, {}), base.Step((0,) * 6, alphas), make_task())
    assert (line["index"], line["index_without_none"]) == (C.index((0,) * 6), C.index((3,) * 6))
    assert line["alphas"] == alphas.tolist()


@pytest.mark.parametrize(
    "metrics",
    [
        {"train_loss": float("nan")},
        {"best_score": float("inf")},
        {"Val-Accuracy": float("-inf")},
        {"losses_of_epoch": [0.5, float("nan")]},
    ],
)
def test_losses_and_scores_of_any_searcher_must_be_finite(metrics):
    healthy = {"loss": 0.5, "gradient_norm": float("inf"), "lossless": float("nan"), "error": "none"}
    cell = C.from_index(284)
    settings = base.configure(catalogue.find("darts"), {"lr": 0.5})
    steps.refuse_divergence(base.Step(cell, np.zeros((6, 5)), healthy), "one-shot", 3)
    (name,) = metrics
    hint = r"diverged; try a lower lr \(0.5\) or alpha_lr \(0.0003\)$"
    for own, said in ((settings, hint), (None, "diverged; try a lower learning rate$")):
        with pytest.raises(UserError, match=f"^{name} is .* in epoch 3: {said}"):
            steps.refuse_divergence(base.Step(cell, metrics=healthy | metrics), "one-shot", 3, own)
        with pytest.raises(UserError, match=f"^architecture parameters are not finite in epoch 7: {said}"):
            steps.refuse_divergence(base.Step(cell, np.full((6, 5), np.inf)), "one-shot", 7, own)
    with pytest.raises(UserError, match=f"^{name} is [^:]* in step 3$"):  # queries have no learning rate
        steps.refuse_divergence(base.Step(cell, metrics=healthy | metrics), "multi-trial", 3, settings)


class Diverging(RandomSearch):
    """A searcher of somebody else's whose third score is no number."""

    name = "diverging"

    def step(self):
        step = super().step()
        return base.Step(step.cell, metrics={"score": np.nan if self.task.evaluations == 3 else 0.5})


def test_a_run_whose_scores_diverge_is_failed_in_one_line(tmp_path, monkeypatch):
    monkeypatch.setitem(base.SEARCHERS, "diverging", f"{__name__}:Diverging")
    plan = plan_for(open_digits201(), "digits201", "diverging")
    record = runner.run(plan, tmp_path / "runs/diverging/seed-0")
    assert (record["status"], record["cell"]) == ("failed", None)
    assert record["error"] == "score is nan in step 3"


def test_a_metric_that_is_not_finite_is_left_out_of_the_trace(tmp_path):
    metrics = {
        "norm": float("nan"),
        "ratio": float("inf"),
        "diversity": 0.5,
        "swarm_diversity": [0.5, float("nan")],
        "phase": "warm-up",
        "queried": 3,
        "index": 7,  # another's name: a metric takes nobody's place
    }
    line = runner.trace_line(runner.Progressed(1, 0.25, {}), base.Step(C.from_index(284), metrics=metrics), make_task())
    kept = {name: line[name] for name in metrics if name in line}
    assert kept == {"diversity": 0.5, "phase": "warm-up", "queried": 3, "index": 284}
    trace = store.Trace(tmp_path / "trace.jsonl")
    trace.append(line)
    trace.close()
    (again,) = store.read_trace(tmp_path / "trace.jsonl")
    assert again == line
