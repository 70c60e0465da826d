"""The build of the embedded table: its training, and what continues it."""

import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from benchmarks.digits201 import benchmark, build, task
from benchmarks.digits201.images import parts
from benchmarks.errors import UserError
from benchmarks.images import Batches
from benchmarks.nb201 import cell as C
from benchmarks.nb201.network import network


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def test_stacked_seeds_are_the_single_trainings(monkeypatch):
    """Three networks side by side take the steps that each would take alone, written out plainly, in float64."""
    torch.set_default_dtype(torch.float64)
    try:
        cell, steps = C.from_index(11), 4
        for seeds in ((0, 1, 2), (1,)):
            batches = [(x.double(), y) for x, y in build._training_batches(seeds, 1)[:steps]]
            monkeypatch.setattr(build, "_training_batches", lambda s, e, b=batches: b)
            found = build.train(cell, seeds, 1)
            monkeypatch.undo()
            if seeds == (1,):
                alone = found
            else:
                together = found
    finally:
        torch.set_default_dtype(torch.float32)
    theirs = dict(alone.named_parameters())
    for name, parameter in together.named_parameters():
        own = parameter.chunk(3)[1]
        assert torch.allclose(own.reshape(-1), theirs[name].reshape(-1), rtol=1e-9, atol=1e-12), name


def test_training_is_that_of_the_plain_network(monkeypatch):
    """One seed against network.py's module and torch's optimiser and schedule, in float64."""
    cell = C.from_index(284)
    torch.set_default_dtype(torch.float64)
    try:
        batches = [(x.double(), y) for x, y in build._training_batches((0,), 1)[:6]]
        monkeypatch.setattr(build, "_training_batches", lambda seeds, epochs: batches)
        ours = build.train(cell, (0,), 1)
        net = network(cell, task.SIZE)
        net.load_state_dict(build.stacked_network(cell, (0,)).state_dict())
    finally:
        torch.set_default_dtype(torch.float32)
    sgd = torch.optim.SGD(net.parameters(), 0.2, momentum=0.9, nesterov=True, weight_decay=5e-4)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(sgd, len(batches))
    for x, y in batches:
        sgd.zero_grad()
        F.cross_entropy(net(x), y[:, 0]).backward()
        sgd.step()
        schedule.step()
    for name, parameter in net.named_parameters():
        torch.testing.assert_close(dict(ours.named_parameters())[name], parameter, rtol=1e-9, atol=1e-12)


def test_right_answers_are_counted_over_all_images():
    net = build.train(C.from_index(284), (0,), task.PROXY)
    images = parts()["valid"]
    x = (images.pixels.float() - images.mean[0]) / images.std[0]
    with torch.no_grad():
        right = int((net(x).argmax(1) == images.labels).sum())
    assert build.right_answers(net, "valid", 1) == [right]
    assert 0.1 * len(images) < right < len(images)


def test_training_batches_are_the_seeds_own():
    x, y = build._training_batches((0, 1), 1)[3]
    stream = Batches(parts()["train"], task.BATCH, torch.Generator().manual_seed(1))
    for _ in range(4):
        expected, labels = stream.next()
    assert torch.equal(x[:, 1:], expected)
    assert torch.equal(y[:, 1], labels)


SMALL = """
import sys
from pathlib import Path
import numpy as np
import benchmarks.digits201.build as t
chosen = np.array([1651, 1835, 284, 0])  # the first of a space of four classes
t.function_classes = lambda: (np.repeat(np.arange(4), 3907)[:15625].astype(np.int16), chosen)
t.SAVE_SECONDS = 0
t.seconds_model = lambda: {"cells": 1}
if __name__ == "__main__":
    t.build(Path(sys.argv[1]), int(sys.argv[2]), lambda *event: print(*event, flush=True))
"""


def test_a_killed_build_continues_to_the_same_counts(tmp_path):
    script = tmp_path / "small.py"
    script.write_text(SMALL)
    once, twice = tmp_path / "once.npz", tmp_path / "twice.npz"
    subprocess.run([sys.executable, script, once, "1"], check=True, capture_output=True)
    process = subprocess.Popen([sys.executable, script, twice, "2"], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline().startswith("1 4 ")
    limit = time.monotonic() + 30
    while not (twice.exists() and benchmark.load_counts(twice).is_trained.any()):
        assert time.monotonic() < limit
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    before = benchmark.load_counts(twice)
    again = subprocess.run([sys.executable, script, twice, "2"], check=True, capture_output=True, text=True)
    assert len(again.stdout.splitlines()) == 4 - before.is_trained.sum()
    first, second = benchmark.load_counts(once), benchmark.load_counts(twice)
    assert second.is_trained.all()
    assert first.sha256 == second.sha256  # other processes, another order
    # the cell without a path has nothing but its bias: one answer for all images
    share = first.accuracy(1)[0] / 100
    classes = parts()["test"].labels.bincount() / len(parts()["test"])
    assert all(abs(classes - value).min() < 1e-6 for value in share)
    assert first.accuracy(1)[2].mean() > 2 * first.accuracy(1)[0].mean()


def test_a_build_of_another_task_or_processor_is_not_continued(tmp_path):
    path = tmp_path / "digits.npz"
    counts = benchmark.load_counts()
    for change, message in (
        ({"task": {}}, "another task"),
        ({"machine": build._machine() | {"cpu": "abacus"}}, "begun on abacus"),
        ({"machine": build._machine() | {"torch": "0.4"}}, "begun on 0.4"),
    ):
        build.save(benchmark.Counts(counts.right, counts.class_of, counts.about | change), path)
        with pytest.raises(UserError, match=message):
            build.build(path, 1, lambda *event: None)
    other = np.roll(counts.class_of, 1)
    about = counts.about | {"machine": build._machine()}
    build.save(benchmark.Counts(counts.right, other, about), path)
    with pytest.raises(UserError, match="other cells counted as equal"):
        build.build(path, 1, lambda *event: None)
