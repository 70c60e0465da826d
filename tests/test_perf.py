"""What `harness perf` counts, against numbers worked by hand; never how long anything takes."""

import json
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import pytest
import torch
from support import darts_weights
from support.plain_weights import copy_weights

from benchmarks.layers import cross_entropy
from harness import perf, perf_steps
from harness.perf_steps import CASES


def test_flops_and_bytes_of_a_convolution_by_hand():
    x, w = torch.zeros(2, 3, 5, 5), torch.zeros(4, 3, 3, 3)
    flops, moved = perf.work(lambda: torch.conv2d(x, w, padding=1))
    assert flops == 2 * (2 * 5 * 5) * 4 * 3 * 9
    assert moved == 4 * (2 * 3 * 25 + 4 * 27 + 2 * 4 * 25)


def test_views_move_nothing():
    x = torch.zeros(8, 8)
    assert perf.work(lambda: x.view(64)[3:].t()) == (0, 0)


@pytest.mark.parametrize("name", ["nb201 small", "darts small"])
def test_a_measurement_of_a_small_network(name, tmp_path, monkeypatch):
    smaller = perf_steps.networks("cpu")[name]
    preset = smaller.preset.model_copy(update={"channels": 4, "resolution": 8, "cells": min(3, smaller.preset.cells)})
    monkeypatch.setattr(perf, "networks", lambda device: {name: smaller._replace(preset=preset)})
    few = perf_steps.candidates(smaller.space)[:3]
    monkeypatch.setattr(perf_steps, "candidates", lambda space: few)
    threads = torch.get_num_threads()
    try:
        rows = perf.measure_network(name, "cpu", 1)
    finally:
        torch.set_num_threads(threads)
    assert [(r["case"], r["precision"]) for r in rows] == [(c, p) for c in CASES for p in ("fp32", "bf16")]
    for row in rows:
        assert row["ratio"] == pytest.approx(row["plain_ms"] / row["ours_ms"])
        assert row["ratio_min"] <= row["ratio"] <= row["ratio_max"]
        assert row["gflops_per_second"] > 0
    result = {
        "environment": {"cpu": "AMD (R) EPYC", "device": "cpu", "torch": "2.13.0", "git": ""},
        "threads": 2,
        "rounds": 1,
        "networks": perf_steps.described(smaller),
        "ceilings": {
            "convolution fp32, GFLOP/s": 100.0,
            "convolution bf16, GFLOP/s": 200.0,
            "bandwidth, GB/s": 10.0,
        },
        "supernet": rows,
        "table": {"look-up, µs": 0.5},
        "campaign": {"runs a second": 300.0},
        "one-shot run": {"all else, % of the search": 0.5},
        "memory": [{"network": name, "searcher": "darts", "peak_mb": 1640.2, "peak_device_mb": 70.0}],
        "peak memory, MB": 500.0,
    }
    text = perf.write(result, tmp_path / perf.slug(result["environment"], 2), "harness perf")
    folder = tmp_path / "amd-r-epyc-2-threads"
    assert json.loads((folder / "perf.json").read_text())["supernet"] == rows
    assert text.count(f"| {name} |") == 2 * len(CASES)
    assert f"networks: {name} C 8, " in text
    assert f"- memory of a run: {name}, darts 1,640 MB and 70 MB of the device's" in text
    assert "- one-shot run: all else, % of the search 0.5" in text
    assert "- table: look-up, µs 0.5" in (folder / "perf.md").read_text()


def test_a_child_s_peak_has_nothing_of_its_parent_in_it():
    held = torch.ones(400 * 2**18)  # 400 MB
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        assert pool.submit(perf.own_peak).result() < perf.own_peak() - held.nbytes / 2**20 / 2


def test_perf_names_it():
    result = {"environment": {"cpu": "X", "device": "cpu", "torch": "2", "git": ""}, "threads": 1, "rounds": 1,
              "networks": "small C 8", "supernet": [], "ceilings": {}, "memory": [], "peak memory, MB": 1}  # fmt: skip
    for has, text in ((True, "X (bf16 instructions), cpu"), (False, "X (no bf16 instructions), cpu"), (None, "X, cpu")):
        assert perf.to_text(result | {"bf16 instructions": has}).startswith(text)
    assert perf.to_text(result).startswith("X, cpu")  # an older perf.json


@pytest.fixture(params=["nb201 small", "darts small"])
def sides(request, monkeypatch):
    """Both sides of a small network: their runs, the plain supernet and our training."""
    nets, trainings = [], []
    network = perf_steps.networks("cpu")[request.param]
    if network.benchmark == "darts":
        network = network._replace(preset=network.preset.model_copy(update={"channels": 4, "cells": 3}))

    class Watched(perf_steps.WeightTraining):
        def __init__(self, *arguments, **more):
            super().__init__(*arguments, **more)
            trainings.append(self)

    def plain_supernet(size, ours=network.space.plain_supernet):
        nets.append(ours(size))
        return nets[-1]

    monkeypatch.setattr(network.space, "plain_supernet", plain_supernet)
    monkeypatch.setattr(perf_steps, "WeightTraining", Watched)
    runs = perf_steps.plain_steps(network, "cpu"), perf_steps.our_steps(network, "cpu", "fp32")
    return runs, nets[0], trainings[0], network


def test_both_sides_are_the_same_network(sides):
    """With the same weights the candidates have the same losses on the same batch."""
    _, plain, training, network = sides
    if network.benchmark == "nb201":
        copy_weights(training.net, plain)
    else:
        with torch.no_grad():
            for target, source, rows in darts_weights.pairs(plain, training.net):
                target.copy_(source[rows])
    x, y = training.fitness.next()
    assert len(x) == perf_steps.BATCH == 64
    assert x.shape[1:] == (3, 16, 16)
    candidates = perf_steps.candidates(network.space)
    with torch.no_grad():
        expected = [cross_entropy(plain(x, cell), y).item() for cell in candidates]
    assert len(expected) == 24
    assert training.losses(candidates, x, y) == pytest.approx(expected, rel=1e-3)


def test_both_sides_make_the_steps_that_their_cases_are_called_after(sides):
    """The pair and the one-hot step move weights of w, scoring moves none."""
    runs, *nets = sides[0], sides[1], sides[2].net
    for side, net in zip(runs, nets, strict=True):
        assert list(side) == ["DARTS step pair", "one-hot w step", "swarm of 24"]
        for (case, run), moves in zip(side.items(), (True, True, False), strict=True):
            before = [parameter.detach().clone() for parameter in net.parameters()]
            run()
            same = all(torch.equal(p, b) for p, b in zip(net.parameters(), before, strict=True))
            assert same is not moves, case
