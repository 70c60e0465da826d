"""What a searcher may give as a step, and how many of them."""

import numpy as np
import pytest
from support.plugin import made

from benchmarks.base import NetworkSize
from benchmarks.errors import UserError
from benchmarks.nb201 import cell as C
from benchmarks.nb201 import space
from harness import steps
from searchers import base, catalogue
from searchers.base import Budget, SearchTask, Step

STEPS = {
    "(1, 2)": "step() gave (1, 2); it gives a searchers.base.Step, or None when finished",
    "Step((1, 2, 3))": "Step.cell is (1, 2, 3); it must be a tuple of 6 whole numbers from 0 to 4",
    "Step((0, 1, 2, 3, 4, 5))": "Step.cell is (0, 1, 2, 3, 4, 5); it must be a tuple",
    "Step((0.0,) * 6)": "Step.cell is (0.0, 0.0, 0.0, 0.0, 0.0, 0.0); it must be a tuple",
    "Step('421211')": "Step.cell is '421211'; it must be a tuple",
    "Step(7)": "Step.cell is 7; it must be a tuple",
    "Step((0,) * 6, np.zeros((5, 6)))": "Step.alphas is a ndarray of shape (5, 6); it must be None or an array of 6",
    "Step((0,) * 6, 'x')": "Step.alphas is 'x'; it must be None or an array of 6 edges × 5 operations",
    "Step((0,) * 6, None, 3)": "Step.metrics is 3; it must be a dict",
    "Step((0,) * 6, None, {'loss': None})": "Step.metrics['loss'] is None; it must be a number, a string or a list",
    "Step((0,) * 6, None, {'loss': {}})": "Step.metrics['loss'] is <dict>; it must be a number, a string or a list",
    "Step((0,) * 6, None, {'loss': 1j})": "Step.metrics['loss'] is <complex>; it must be a number",
    "Step((0,) * 6, None, {'losses': np.zeros((2, 2))})": "Step.metrics['losses'] is [[0.0, 0.0], [0.0, 0.0]]; it must",
    "Step((0,) * 6, None, {1: 2})": "Step.metrics[1]: the name of a metric must be a string",
    "Step((0,) * 6, None, {'step': 2})": "Step.metrics['step']: each line of the trace has a 'step' of its own",
    "Step((0,) * 6, None, {'phase': 2})": "Step.metrics['phase'] is 2; it must be a string",
    "Step((0,) * 6, None, {'queried': 15625})": "Step.metrics['queried'] is 15625; it must be the index or string",
    "Step((0,) * 6, None, {'train_loss': 'x'})": "Step.metrics['train_loss'] is 'x'; it must be a number",
}


@pytest.mark.parametrize("code", STEPS)
def test_what_a_step_must_be_is_said(code):
    with pytest.raises(UserError) as error:
        steps.checked(eval(code, {"Step": Step, "np": np}), space)
    assert str(error.value).startswith(STEPS[code])


def test_numbers_of_numpy_are_taken_in_a_step():
    metrics = {
        "a": np.float32(0.5),
        "b": np.arange(2),
        "c": (1, np.float16(2.5)),
        "d": "x",
        "e": float("nan"),
        "f": np.bool_(True),
    }
    step = steps.checked(Step(np.array([4, 2, 1, 2, 1, 1]), np.zeros((6, 5), np.float32).tolist(), metrics), space)
    assert step.cell == (4, 2, 1, 2, 1, 1)
    assert {type(op) for op in step.cell} == {int}
    assert step.alphas.shape == (6, 5)
    assert str(step.metrics) == "{'a': 0.5, 'b': [0, 1], 'c': [1, 2.5], 'd': 'x', 'e': nan, 'f': True}"


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("return Step([5] * 6)", "Step.cell is [5, 5, 5, 5, 5, 5]; it must be a tuple of 6 whole numbers"),
        ("return None", "mine ended without an answer: its first step() gave None"),
        ("return Step((0,) * 6)", "step() must give None when the search is over: 1,000 steps in a row have queried"),
        ("raise SystemExit('enough')", "step() raised SystemExit('enough'): a searcher must not end the process"),
        ("raise SystemExit(3)", "step() raised SystemExit(3): a searcher must not end the process"),
        ("raise GeneratorExit", "step() raised GeneratorExit(): a searcher must not end the process"),
        ("assert not self.task", "AssertionError without a message"),
    ],
)
def test_a_mistake_fails_its_run_in_one_line(site, tmp_path, body, said):
    site.mine(f"class Mine(RandomSearch):\n    name = 'mine'\n    def step(self):\n        {body}\n")
    record, folder = made(tmp_path)
    assert record.status == "failed"
    assert record.error.startswith(said)
    assert (folder / "error.txt").is_file()
    assert record.environment["plugin"] == "mine-plugin 1.0"


def test_a_one_shot_search_makes_a_step_an_epoch():
    limit = steps.Limit("one-shot", SearchTask(0, "d", space, NetworkSize(2, 1, 1, 10), Budget(3)))
    for number in (1, 2, 3):
        limit.check(number)
    with pytest.raises(UserError, match="must give None after 3 steps: a step is an epoch"):
        limit.check(4)


def test_a_query_now_and_then_is_enough():
    task = SearchTask(0, "d", space, NetworkSize(2, 1, 1, 10), Budget(0, 1e9))
    limit = steps.Limit("multi-trial", task)
    for number in range(1, 4 * steps.IDLE):
        task.simulated_seconds += number % (steps.IDLE - 1) == 0
        limit.check(number)


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


def metered(seconds=4.0, budget=100.0):
    task = SearchTask(0, "d", space, NetworkSize(2, 1, 1, 10), Budget(simulated_seconds=budget))
    task.low_fidelity = steps.Meter(lambda cell: (50.0, seconds), budget)
    return task, steps.Limit("multi-trial", task)


def test_queries_that_are_paid_for_agree_with_the_clock():
    task, limit = metered()
    for number in range(30):  # of which 25 are paid for
        task.proxy((0,) * 6)
        limit.check(number + 1)
    assert (task.evaluations, task.simulated_seconds) == (25, 100.0)
    resumed, _ = metered()
    resumed.load_state_dict(task.state_dict())
    steps.Limit("multi-trial", resumed).check(31)


@pytest.mark.parametrize("trick", ["ask beside the clock", "set the clock back", "forget a query"])
def test_queries_that_the_clock_does_not_know_fail_the_run(trick):
    task, limit = metered()
    task.proxy((0,) * 6)
    limit.check(1)
    if trick == "ask beside the clock":
        task.low_fidelity((1,) * 6)
    elif trick == "set the clock back":
        task.simulated_seconds = 0.0
    else:
        task.evaluations -= 1
    with pytest.raises(UserError, match=r"asks by task.proxy\(\) alone"):
        limit.check(2)


def test_past_the_clock_the_proxy_answers_nothing():
    task, _ = metered(budget=8.0)
    answers = [task.low_fidelity((0,) * 6)[0] for _ in range(3)]
    assert answers[:2] == [50.0, 50.0]
    assert np.isnan(answers[2])
