"""Searchers' states: numpy's numbers and containers come back from a checkpoint as they were."""

from collections import OrderedDict, deque

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from support.planned import plan_for
from support.plugin import GOOD, made

from benchmarks.digits201 import benchmark
from benchmarks.errors import UserError
from harness import jobs, runner, state, store

NUMBERS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False),
    st.text(max_size=5),
    st.binary(max_size=5),
    st.integers(0, 4).map(np.int8),
    st.floats(width=32, allow_nan=False).map(np.float32),
    st.booleans().map(np.bool_),
    st.lists(st.floats(allow_nan=False), max_size=4).map(np.array),
    st.just(np.zeros((0, 3), np.int64)),
    st.just(np.array(["ab", "c"])),
    st.just(np.array(2.5)),
)
KEYS = st.one_of(st.text(max_size=3), st.integers(), st.tuples(st.integers(0, 4), st.integers(0, 4)))
VALUES = st.recursive(
    NUMBERS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.lists(inner, max_size=3).map(tuple),
        st.lists(inner, max_size=3).map(lambda items: deque(items, 5)),
        st.frozensets(KEYS, max_size=3),
        st.sets(KEYS, max_size=3),
        st.dictionaries(KEYS, inner, max_size=3),
        st.dictionaries(KEYS, inner, max_size=3).map(OrderedDict),
    ),
    max_leaves=12,
)


def same(a, b):
    """Equal in type and value, all the way down."""
    if type(a) is not type(b):
        return False
    if isinstance(a, (list, tuple, deque)):
        return len(a) == len(b) and all(map(same, a, b)) and getattr(a, "maxlen", 0) == getattr(b, "maxlen", 0)
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(a[k], b[k]) for k in a)
    if isinstance(a, np.ndarray):
        return a.dtype == b.dtype and np.array_equal(a, b) and b.flags.writeable
    return a == b


@given(st.dictionaries(KEYS, VALUES, max_size=4))
def test_a_state_comes_back_from_a_checkpoint_as_it_was(tmp_path_factory, value):
    path = tmp_path_factory.getbasetemp() / "state.pt"
    kept, types = state.plain(value)
    path.write_bytes(store.checkpoint_bytes({"searcher": kept, "types": types}))
    read = store.read_checkpoint(path)
    assert same(value, state.restored(read["searcher"], read["types"]))


def test_a_state_of_tensors_and_plain_values_is_kept_itself():
    net = torch.nn.BatchNorm2d(2).state_dict()
    value = {"net": net, "epoch": 3, "population": [(0.5, [1, 2])]}
    kept, types = state.plain(value)
    assert kept is value
    assert types == {}
    value["rate"] = np.float32(0.1)
    kept, types = state.plain(value)
    assert kept["net"] is net  # with its _metadata
    assert types == {("rate",): ("number", "<f4")}


def test_members_and_keys_of_numpy_are_found_again():
    cell = tuple(np.arange(3))
    kept, types = state.plain({"seen": {cell}, "known": {cell: np.float64(1.5), np.int64(7): 2}})
    value = state.restored(kept, types)
    assert value["known"][cell] == value["known"][0, 1, 2] == 1.5
    assert value["known"][7] == 2
    assert cell in value["seen"]


CYCLE: list = []
CYCLE.append(CYCLE)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({"rng": np.random.default_rng(0)}, "state_dict()['rng'] is a numpy.random._generator.Generator, which a"),
        ({"a": [1, {"b": object()}]}, "state_dict()['a'][1]['b'] is a object, which a checkpoint cannot hold"),
        ({"f": len}, "state_dict()['f'] is a builtin_function_or_method"),
        ({"o": np.array([{}])}, "state_dict()['o'] is an array of object"),
        ({"k": {frozenset(): 1}}, "state_dict()['k'] has a key or member that is a frozenset"),
        ({"c": CYCLE}, "state_dict() is nested too deep for a checkpoint, or holds itself"),
        (None, "state_dict() gave a NoneType; a checkpoint needs a dict"),
    ],
)
def test_a_state_that_cannot_be_kept_is_refused_by_its_key(value, said):
    with pytest.raises(UserError) as error:
        state.plain(value)
    assert str(error.value).startswith(said)


def test_a_state_that_cannot_be_kept_fails_the_first_step(site, tmp_path):
    site.mine(GOOD + "    def state_dict(self):\n        return {'counts': defaultdict(int)}\n")
    record, folder = made(tmp_path)
    assert record.error.startswith("state_dict()['counts'] is a collections.defaultdict, which a checkpoint cannot")
    assert (folder / "trace.jsonl").read_text() == ""  # nothing was searched in vain


COUNTING = """
class Mine(RandomSearch):
    name = "mine"
    def __init__(self, task, config):
        super().__init__(task, config)
        self.last, self.total, self.seen = deque(maxlen=3), np.float32(0), set()
    def step(self):
        step = super().step()
        if step is not None:
            self.last.append(np.float32(step.metrics["accuracy"]))
            self.total += self.last[-1] / np.float32(3)
            self.seen.add(step.cell)
            return Step(step.cell, None, {"total": self.total, "last": list(self.last), "seen": len(self.seen)})
    def state_dict(self):
        return {"super": super().state_dict(), "last": self.last, "total": self.total, "seen": self.seen}
    def load_state_dict(self, state):
        super().load_state_dict(state["super"])
        self.last, self.total, self.seen = state["last"], state["total"], state["seen"]
"""


def test_a_search_with_numpy_s_numbers_and_deques_goes_on_where_it_was(site, tmp_path, monkeypatch):
    site.mine(COUNTING)
    plan = plan_for(benchmark.open_digits201(), "digits201", "mine")
    monkeypatch.setattr(jobs, "SNAPSHOT_SECONDS", 0)
    whole, stopped = (store.run_folder(tmp_path / name, "mine", 0) for name in ("whole", "stopped"))
    assert runner.run(plan, whole).error is None

    def stop(state, step, task, ours=runner.trace_line):
        if state.steps == 3:
            raise KeyboardInterrupt
        return ours(state, step, task)

    with monkeypatch.context() as patch:
        patch.setattr(runner, "trace_line", stop)
        with pytest.raises(KeyboardInterrupt):
            runner.run(plan, stopped)
    assert (stopped / "checkpoint.pt").exists()
    heard = []
    record = runner.run(plan, stopped, heard.append)
    assert not any("note" in event for event in heard)
    assert record.notes == []

    def lines(folder):
        return [{k: v for k, v in line.items() if k != "search_seconds"} for line in store.read_trace(folder)]

    assert lines(whole / "trace.jsonl") == lines(stopped / "trace.jsonl")
