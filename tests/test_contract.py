"""Every searcher of ours keeps to the contract that searchers of other packages are tested by; broken ones do not."""

import numpy as np
import pytest
import torch

from searchers import base, catalogue
from searchers.multi_trial import BestSeen
from searchers.testing import SearcherContract

SMALL = {
    "cso": {"population": 6, "fitness_batch": 32, "fitness_images": 32},
    "cso-table": {"population": 6},
    "rsws": {"candidates": 5, "fitness_batch": 32},
    "enas": {"candidates": 5, "fitness_batch": 32, "updates": 2, "cells_an_update": 3},
    "cmaes": {"generations": 2, "fitness_batch": 32, "fitness_images": 64},
    "zero-order": {"pairs": 2, "fitness_batch": 32, "fitness_images": 32},
    "gicso": {"population": 6, "fitness_batch": 16, "fitness_images": 32, "final_images": 64, "patience": 0},
}


@pytest.mark.parametrize("searcher", base.SEARCHERS, indirect=True)
class TestOurs(SearcherContract):
    @pytest.fixture
    def searcher(self, request):
        torch.set_num_threads(1)
        self.settings = SMALL.get(request.param, {})
        return catalogue.find(request.param)


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
