"""Every searcher of ours keeps to the contract that searchers of other packages are tested by; broken ones do not."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from support.searching import EPOCHS, SPECS, build, kind, line, played

from benchmarks.nb201 import cell as C
from benchmarks.nb201 import space
from searchers import base, catalogue, one_shot
from searchers.multi_trial import BEST_QUERIED, BestSeen
from searchers.testing import SearcherContract


@pytest.mark.parametrize("searcher", SPECS, indirect=True)
class TestOurs(SearcherContract):
    @pytest.fixture
    def searcher(self, request):
        torch.set_num_threads(1)
        self.settings = SPECS[request.param]
        return catalogue.find(request.param.partition("[")[0])


class Drawing(base.Searcher):
    """A searcher that is right; what is wrong is said by its children."""

    name, kind = "drawing", "multi-trial"

    def __init__(self, task, config):
        super().__init__(task, config)
        self.best = BestSeen(task)

    def rng(self):
        return self.task.stream("cells")

    def step(self):
        cell = self.task.space.sample(self.rng())
        answer = self.task.proxy(cell)
        return None if answer is None else self.best.step(cell, answer[0])

    def state_dict(self):
        return {"best": self.best.state_dict()}

    def load_state_dict(self, state):
        self.best.load_state_dict(state["best"])


class Unseeded(Drawing):
    def rng(self):
        return np.random.default_rng()


class Global(Drawing):
    def rng(self):
        return np.random.default_rng(np.random.randint(2**31))  # noqa: NPY002


class OneSeed(Drawing):
    def rng(self):
        return np.random.default_rng(self.task.evaluations)


class Forgetful(Drawing):
    def load_state_dict(self, state):
        pass


class Endless(Drawing):
    def step(self):
        return super().step() or self.best.step((0,) * 6, 0.0)


def failing(searcher):
    """The tests of the contract that a searcher does not pass."""
    contract = SearcherContract()
    names = []
    for name in dir(contract):
        if name.startswith("test_"):
            try:
                getattr(contract, name)(searcher)
            except AssertionError:
                names.append(name)
    return names


@pytest.mark.parametrize(
    ("searcher", "tests"),
    [
        (Drawing, set()),
        (Unseeded, {"test_the_same_seed_is_the_same_search", "test_a_search_goes_on_from_its_state"}),
        (Global, {"test_global_generators_are_neither_read_nor_moved"}),
        (OneSeed, {"test_another_seed_is_another_search"}),
        (Forgetful, {"test_a_search_goes_on_from_its_state"}),
        (Endless, {"test_a_search_ends_and_answers_with_cells"}),
    ],
)
def test_what_breaks_the_contract_is_noticed(searcher, tests):
    broken = set(failing(searcher))
    assert broken >= tests
    assert not tests or broken
    assert tests or not broken


@pytest.mark.case(61)
@pytest.mark.case(61)
def test_every_registered_searcher_is_under_contract():
    assert {name.partition("[")[0] for name in SPECS} == set(base.SEARCHERS)


@pytest.mark.case(67)  # no loader processes
def test_same_searches_in_another_process_and_under_another_hash_seed():
    code = "import json; from support.searching import *; print(json.dumps({name: play(name) for name in SPECS}))"
    environment = os.environ | {"PYTHONHASHSEED": "77", "PYTHONPATH": str(Path(__file__).parent)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
    assert json.loads(done.stdout) == {name: played(name) for name in SPECS}


@pytest.mark.case(43)
@pytest.mark.parametrize("name", SPECS)
def test_state_taken_at_every_step_continues_exactly(name, tmp_path):
    whole = played(name)

    def resumed(task, searcher):
        """Another searcher where this one is: saved and loaded as the runner does it, tensors and plain values only."""
        torch.save({"task": task.state_dict(), "searcher": searcher.state_dict()}, tmp_path / "c.pt")
        state = torch.load(tmp_path / "c.pt", weights_only=True)
        task, searcher = build(name)
        task.load_state_dict(state["task"])
        searcher.load_state_dict(state["searcher"])
        return task, searcher

    task, searcher = build(name)
    for expected in whole:
        task, searcher = resumed(task, searcher)
        step = searcher.step()
        assert step is not None
        assert line(step, task) == expected
    _, again = resumed(task, searcher)  # a search that is over, and what its supernet knows
    sample = [C.from_index(k) for k in (0, 284, 9930)]
    assert str(searcher.one_shot_losses(sample, 32)) == str(again.one_shot_losses(sample, 32))
    assert searcher.step() is None
    assert again.step() is None


@pytest.mark.parametrize("name", SPECS)
def test_the_declared_rule_is_how_a_search_chose_its_answer(name):
    rule, steps = catalogue.find(name.partition("[")[0]).answer_rule, played(name)
    if rule == one_shot.ARG_MAX:
        assert all(space.derive(alphas) == tuple(cell) for cell, alphas, *_ in steps)
    elif rule.startswith(BEST_QUERIED):
        best = max((metrics for _, _, metrics, *_ in steps), key=lambda metrics: metrics["accuracy"])
        assert C.index(tuple(steps[-1][0])) == best["queried"]
    elif kind(name) == "training-free":
        assert rule == "the one with the largest rank sum of the scores"  # tests/test_training_free.py
    else:
        assert (name in ("rsws", "enas"), "best by one-shot accuracy" in rule) == (True, True)
        assert {alphas for _, alphas, *_ in steps} == {None}


@pytest.mark.case(61)
@pytest.mark.parametrize("name", SPECS)
def test_what_a_whole_search_costs(name):
    steps = played(name)
    *_, simulated_seconds, evaluations, train_images, eval_images = steps[-1]
    if kind(name) == "one-shot":
        passes = dict.fromkeys(("darts", "gdas", "drnas", "betadarts"), 2)  # over the 64 images, an epoch
        passes |= {"darts[order=2]": 5, "pcdarts": 1.7}  # three more of training images; alphas rest
        passes |= {"cso": 3, "zero-order": 3, "cmaes": 3, "gicso": (1 + 7 * 3 + 2 * 2) / 10}  # three paths a batch
        assert len(steps) == EPOCHS
        assert train_images == passes.get(name.replace("[prior=naswot]", ""), 1) * EPOCHS * 64
    elif kind(name) == "training-free":
        assert (simulated_seconds, train_images) == (0, 0)
        assert evaluations == SPECS[name].get("cells", 15_625)
        assert eval_images == (8 * 16 if name == "training-free" else 0)  # naswot's batches; synflow sees none
    else:
        assert len(steps) == evaluations > 10
        assert 200 - 15 < simulated_seconds <= 200
        assert eval_images == 0
