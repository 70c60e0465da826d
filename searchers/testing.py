"""The contract of all searchers as tests: ours pass them, and a searcher of another package can run them too.

    import pytest
    from searchers.testing import SearcherContract
    from my_package import Mine

    class TestMine(SearcherContract):
        @pytest.fixture
        def searcher(self):
            return Mine

Needs pytest. Searches are of a few epochs on 64 images of an embedded benchmark; `settings` makes a searcher small
enough for them, and `space`, `size`, `low_fidelity` and `images` may be replaced by those of another search space.
"""

from __future__ import annotations

import copy
import json
import pickle
import random
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import numpy as np
import pytest

from benchmarks import registry
from benchmarks.base import Benchmark, LowFidelity, NetworkSize, SearchSpace
from benchmarks.images import Images
from searchers.base import KINDS, Budget, Searcher, SearchTask, Settings, Step, configure

EPOCHS, SECONDS = 4, 25.0  # of one-shot searchers; simulated, of multi-trial ones: about 70 queries


@lru_cache(maxsize=1)
def embedded() -> Benchmark:
    """The first benchmark that brings its own table and images."""
    entry = next(entry for entry in map(registry.find, registry.names()) if not entry.takes_table)
    return entry.open(None, ())


class SearcherContract:
    """Subclass it in a test module and give the fixture `searcher`, a class."""

    settings: Mapping[str, Any] = {}  # changed settings, so that the searches are short

    @pytest.fixture
    def searcher(self) -> type[Searcher]:
        raise NotImplementedError("give a fixture `searcher` that returns the class of the searcher to test")

    # ------------------------------------------------------------------------------------------ what is searched

    def space(self) -> SearchSpace:
        return embedded().space

    def size(self) -> NetworkSize:
        return NetworkSize(channels=2, cells=1, in_channels=1, num_classes=10)

    def images(self) -> tuple[Images, Images]:
        """Training and validation images, 64 each."""
        bench = embedded()
        parts = bench.search_data(bench.datasets[0], bench.presets["smoke"])
        return parts[0].subset(range(64)), parts[1].subset(range(64))

    def low_fidelity(self) -> LowFidelity | None:
        bench = embedded()
        return bench.low_fidelity(bench.datasets[0])

    def task(self, searcher: type[Searcher], seed: int = 0) -> SearchTask:
        task = SearchTask(seed, "contract", self.space(), self.size(), Budget(EPOCHS, SECONDS), batch_size=16)
        if searcher.kind == "multi-trial":
            task.low_fidelity = self.low_fidelity()
        else:
            train, valid = self.images()
            task.train, task.valid = train.clone(), valid.clone()
        return task

    def build(self, searcher: type[Searcher], seed: int = 0) -> tuple[SearchTask, Searcher]:
        task = self.task(searcher, seed)
        return task, searcher(task, configure(searcher, self.settings))

    def play(self, searcher: type[Searcher], seed: int = 0, steps: int = 1000) -> list[Any]:
        """The outcomes of the steps of a search from its start."""
        task, search = self.build(searcher, seed)
        lines: list[Any] = []
        while len(lines) < steps and (step := search.step()) is not None:
            lines.append(outcome(step, task))
        return lines

    # ------------------------------------------------------------------------------------------------- the tests

    def test_it_says_what_it_is(self, searcher: type[Searcher]) -> None:
        assert isinstance(searcher.name, str), "give the class a `name`, the one of its entry point"
        assert searcher.kind in KINDS, f"give the class a `kind`, one of {', '.join(KINDS)}"
        assert issubclass(searcher.Config, Settings), "its Config must derive from searchers.base.Settings"
        configure(searcher, {})  # every setting has a default
        for settings in searcher.ablations.values():
            configure(searcher, settings)

    def test_a_search_ends_and_answers_with_cells(self, searcher: type[Searcher]) -> None:
        task, search = self.build(searcher)
        space, steps = self.space(), 0
        while (step := search.step()) is not None:
            steps += 1
            assert isinstance(step, Step), "step() gives a Step, or None when the search is over"
            assert space.parse(space.to_string(step.cell)) == tuple(step.cell), "Step.cell is a cell of task.space"
            if step.alphas is not None:
                shape = np.asarray(step.alphas).shape
                assert shape == task.shape, f"Step.alphas is (edges, operations), {task.shape}, not {shape}"
            json.dumps(dict(step.metrics))  # metrics are numbers, strings and lists of numbers
            assert steps <= 1000, "step() gives None when task.budget is spent"
        assert steps > 0, "the first step() gives an answer"
        if searcher.kind == "multi-trial":
            assert task.evaluations > 0, "ask for accuracies through task.proxy(cell), which counts and keeps the clock"
            assert task.train_images == 0, "a multi-trial searcher trains nothing"
        elif searcher.kind == "training-free":
            assert task.evaluations > 0, "task.count(evaluations=…) counts the cells that are scored"
            assert task.train_images == 0, "a training-free searcher trains nothing"
        else:
            assert steps <= EPOCHS, "a step is an epoch, task.budget.epochs of them at the most"
        if searcher.kind != "multi-trial":
            assert task.simulated_seconds == 0, "a searcher that is given images has no proxy to ask"

    def test_the_same_seed_is_the_same_search(self, searcher: type[Searcher]) -> None:
        first, second = self.play(searcher), self.play(searcher)
        assert first == second, "draw from task.stream(purpose) alone; what depends on time or on a set's order differs"

    def test_another_seed_is_another_search(self, searcher: type[Searcher]) -> None:
        _, search = self.build(searcher)
        differs = self.play(searcher) != self.play(searcher, seed=1)
        assert differs == searcher.uses_seed(search.config, self.space()), (
            "draw from task.stream(purpose), which has the seed; uses_seed says whether anything is drawn"
        )

    def test_global_generators_are_neither_read_nor_moved(self, searcher: type[Searcher]) -> None:
        import torch

        def states() -> list[Any]:
            return [random.getstate(), pickle.dumps(np.random.get_state()), torch.get_rng_state().tolist()]  # noqa: NPY002

        searches = []
        for seed in (1, 2):
            random.seed(seed)
            np.random.seed(seed)  # noqa: NPY002 - the global state is the subject
            torch.manual_seed(seed)
            before = states()
            searches.append(self.play(searcher, steps=3))
            assert states() == before, "a searcher must not draw from the global generators, nor seed them"
        assert searches[0] == searches[1], "a searcher must not read the global generators"

    def test_a_search_goes_on_from_its_state(self, searcher: type[Searcher]) -> None:
        whole = self.play(searcher, steps=12)
        task, search = self.build(searcher)
        for number, expected in enumerate(whole):
            states = copy.deepcopy((task.state_dict(), search.state_dict()))
            task, search = self.build(searcher)
            task.load_state_dict(states[0])
            search.load_state_dict(states[1])
            step = search.step()
            assert step is not None, f"after step {number} the search that was loaded is over, the whole one is not"
            assert outcome(step, task) == expected, f"after step {number} state_dict() lacks something of the search"


def outcome(step: Step, task: SearchTask) -> list[Any]:
    """A step and what the search has cost so far, in a form that can be compared."""
    alphas = None if step.alphas is None else np.asarray(step.alphas).tolist()
    spent = [task.simulated_seconds, task.evaluations, task.train_images, task.eval_images]
    return [list(step.cell), alphas, json.loads(json.dumps(dict(step.metrics))), spent]
