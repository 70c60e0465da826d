"""No test data reaches a search: a walk over everything that a task refers to, and the official halves."""

import gc
import json
import types

import numpy as np
import pytest
import torch
from support.planned import plan_for
from support.whole_images import load

from benchmarks.digits201 import benchmark, images, task
from benchmarks.nb201 import cell as C
from benchmarks.nb201.benchmark import PRESETS, TableBenchmark, open_nb201
from harness import runner


def reachable(root):
    """Everything an object leads to, but not into modules, classes and functions' globals."""
    seen, stack = {}, [root]
    while stack:
        item = stack.pop()
        if id(item) in seen or isinstance(item, (types.ModuleType, type, types.CodeType)):
            continue
        seen[id(item)] = item
        if isinstance(item, types.FunctionType):
            stack += [c.cell_contents for c in item.__closure__ or ()] + list(item.__defaults__ or ())
        else:
            stack += gc.get_referents(item)
        if isinstance(item, np.ndarray) and item.base is not None:
            stack.append(item.base)
    return list(seen.values())


def memory(things):
    """The numbers behind arrays and tensors, whole storages: a view leads to all that it was cut from."""
    arrays = [t.reshape(-1) for t in things if isinstance(t, np.ndarray)]
    tensors = [t for t in things if isinstance(t, torch.Tensor)]
    storages = {t.untyped_storage().data_ptr(): t for t in tensors}
    return arrays + [torch.empty(0, dtype=t.dtype).set_(t.untyped_storage()).numpy() for t in storages.values()]


@pytest.mark.parametrize(
    ("text", "preset"), [("random", "small"), ("darts", "smoke"), ("darts", "small"), ("darts", "paper")]
)
def test_nothing_reachable_from_a_task_is_a_test_column_or_a_test_image(table, cifar10_root, text, preset):
    bench = open_nb201(table, (cifar10_root,))
    plan = plan_for(bench, "cifar10", text, preset)
    tests = load("cifar10", cifar10_root).test
    tests = tests if plan.preset.resolution == 32 else tests.reduced()
    looked = search_for_test_data(plan, bench, tests, ("cifar10-valid", "x-valid", 12))
    assert looked == (0 if text == "random" else 2 * (plan.preset.images or 25_000))


@pytest.mark.parametrize(("text", "preset"), [("random", "small"), ("darts", "smoke"), ("darts", "small")])
def test_no_test_data_of_digits201_either(text, preset):
    bench = benchmark.open_digits201()
    plan = plan_for(bench, "digits201", text, preset)
    tests = images.parts()["test"]
    looked = search_for_test_data(plan, bench, tests, ("digits201", "valid", task.PROXY))
    assert looked == (0 if text == "random" else (plan.preset.images or 384 * task.VIEWS))


def search_for_test_data(plan, bench, tests, proxy):
    """Fails where a task leads to the benchmark, a column other than the proxy, or a test image; images looked at."""
    things = reachable(runner.build_task(plan, bench))
    assert not any(isinstance(t, TableBenchmark) for t in things)
    arrays = memory(things)
    assert len(arrays) >= 2  # the walk arrives somewhere
    for key, column in bench.table.columns.items():
        if key != proxy:
            for array in arrays:
                if len(array) == C.NUM_CELLS:
                    assert not np.array_equal(array, column.mean), key
    known, size, looked = {t.numpy().tobytes() for t in tests.pixels}, tests.pixels[0].numel(), 0
    for array in arrays:
        if array.dtype == np.uint8 and len(array) % size == 0:
            for picture in array.reshape(-1, size):
                looked += 1
                assert picture.tobytes() not in known
    return looked


def test_search_images_are_the_official_halves(table, cifar10_root, shared):
    bench = open_nb201(table, (cifar10_root,))
    train, valid = bench.search_data("cifar10", PRESETS["smoke"].model_copy(update={"resolution": 32}))
    with open(shared / "data/splits/cifar-split.txt") as file:
        split = json.load(file)
    everything = load("cifar10", cifar10_root).train
    for part, name in ((train, "train"), (valid, "valid")):
        first = sorted(int(k) for k in split[name][1])[:320]
        assert torch.equal(part.pixels, everything.pixels[first])
        assert torch.equal(part.labels, everything.labels[first])
