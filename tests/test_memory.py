"""What a search no longer uses is given back at once, without Python's cyclic collector, which may come late."""

import gc
import weakref
from pathlib import Path

import numpy as np
import pytest
import torch
from support.planned import plan_for
from support.searching import SPECS, configured, kind, make_task

from benchmarks.base import NetworkSize
from benchmarks.digits201.benchmark import open_digits201
from benchmarks.layers import cross_entropy
from benchmarks.nb201 import space
from benchmarks.nb201.supernet import Supernet
from harness import diagnostics, runner
from searchers import base
from searchers.darts import DARTS

ONE_SHOT = [name for name in SPECS if kind(name) == "one-shot"]
EPOCHS = {"rsws": 25, "enas": 25, "pcdarts": 16}  # of 4 batches; the others train on several a step: 13
LATE = 10  # tensors of an optimiser that begins after the first epoch: gicso's last phase, pcdarts' warm-up
rng = np.random.default_rng(0)
CELLS = [space.sample(rng) for _ in range(8)]


@pytest.fixture
def _collector_off():
    gc.disable()
    gc.freeze()  # what is there already is not counted
    yield
    gc.unfreeze()
    gc.enable()


def live():
    """Tensors that Python knows, made since the test began."""
    return sum(issubclass(type(thing), torch.Tensor) for thing in gc.get_objects())


def resident():
    """MB of memory that this process has, None where the system does not say."""
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.is_file() else []
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS")), None)


def search(name, epochs):
    """A whole search and 20 scorings after it; training batches, live tensors after its first epoch and at its end."""
    searcher, config = configured(name)
    task = make_task(epochs=epochs)
    search = searcher(task, config)
    search.step()
    first = live()
    while search.step() is not None:
        pass
    for _ in range(20):
        search.one_shot_losses(CELLS, 64)
    return task.train_images // task.batch_size, first, live()


@pytest.mark.usefixtures("_collector_off")
@pytest.mark.parametrize("name", ONE_SHOT)
def test_a_search_keeps_no_tensors_and_leaves_none(name):
    search(name, 2)  # what torch imports and keeps at its first use is no part of it
    before, memory = live(), resident()
    batches, first, last = search(name, EPOCHS.get(name, 13))
    assert batches >= 100
    assert last <= first + LATE
    assert live() == before
    assert memory is None or resident() <= memory + 30


@pytest.mark.usefixtures("_collector_off")
def test_a_scoring_and_a_step_leave_nothing_but_gradients():
    net, x, y = Supernet(NetworkSize(4, 1, 3, 10), 0), torch.randn(32, 3, 8, 8), torch.arange(32) % 10

    def play():
        net.losses(CELLS, x, y)
        for cell in CELLS:
            cross_entropy(net(x, cell), y).backward()

    play()
    before = live()
    play()
    assert live() == before


class Keeping(DARTS):
    """Fails in its second epoch, and keeps its exception, whose traceback leads to it."""

    name = "keeping"

    def step(self):
        if self.epoch < 1:
            return super().step()
        try:
            raise RuntimeError("out of luck")
        except RuntimeError as error:
            self.error = error
            raise


@pytest.mark.usefixtures("_collector_off")
@pytest.mark.parametrize(("name", "status"), [("keeping", "failed"), ("darts", "done")])
def test_a_run_that_is_over_holds_nothing(monkeypatch, tmp_path, name, status):
    searchers, begin = [], runner._begin

    def begun(plan, benchmark):
        task, searcher = begin(plan, benchmark)
        searchers.append(weakref.ref(searcher))
        return task, searcher

    monkeypatch.setitem(base.SEARCHERS, "keeping", f"{__name__}:Keeping")
    monkeypatch.setattr(runner, "_begin", begun)
    monkeypatch.setattr(diagnostics, "SAMPLE", 2)
    bench = open_digits201()
    before = None
    for number in range(2):
        record = runner.run(plan_for(bench, "digits201", name), tmp_path / f"seed-{number}")
        assert record.status == status
        assert searchers[number]() is None
        assert before in (None, live())  # what the first run left is what a process keeps
        before = live()
