"""Searches of the tests: on 128 images of digits, or with made-up accuracies; small settings of every searcher."""

from __future__ import annotations

import json
from functools import lru_cache

import numpy as np
import torch

from benchmarks.base import NetworkSize
from benchmarks.digits201.images import parts
from benchmarks.nb201 import cell as C
from benchmarks.nb201 import space
from benchmarks.nb201.benchmark import low_fidelity
from searchers import base, catalogue
from searchers.base import Budget, SearchTask
from support.spy import spy

GICSO = {"population": 6, "fitness_batch": 16, "fitness_images": 32, "final_images": 64, "patience": 0}
SPECS = {
    "random": {},
    "evolution": {},
    "cso": {"population": 6, "fitness_batch": 32, "fitness_images": 32},
    "cso-table": {"population": 6},
    "local": {},
    "reinforce": {},
    "rsws": {"candidates": 5, "fitness_batch": 32},
    "enas": {"candidates": 5, "fitness_batch": 32, "updates": 2, "cells_an_update": 3},
    "darts": {},
    "darts[order=2]": {"order": 2},
    "gdas": {},
    "pcdarts": {},
    "drnas": {},
    "betadarts": {},
    "cmaes": {"generations": 2, "fitness_batch": 32, "fitness_images": 64},
    "cmaes-table": {},
    "zero-order": {"pairs": 2, "fitness_batch": 32, "fitness_images": 32},
    "gicso": GICSO,
    "gicso[prior=naswot]": GICSO | {"prior": "naswot+params"},
    "training-free": {"cells": 8},
    "params": {"cells": 50},
    "params[cells=0]": {},
    "flops": {"cells": 50},
}
EPOCHS = 10  # of gicso: 3 of warm-up (1 mixed), 5 of exploration, 2 of stability
PARTS = parts()["train"]


def make_task(seed=0, epochs=EPOCHS, kind="one-shot", seconds=200.0, device="cpu", precision="fp32"):
    size, budget = NetworkSize(2, 1, 1, 10), Budget(epochs, seconds)
    task = SearchTask(seed, "digits", space, size, budget, batch_size=16, device=device, precision=precision)
    if kind != "multi-trial":
        task.train, task.valid = PARTS.subset(range(64)).to(device), PARTS.subset(range(64, 128)).to(device)
    else:
        rng = np.random.default_rng(9)
        task.low_fidelity = low_fidelity(rng.uniform(10, 90, 15_625), rng.uniform(5, 15, 15_625))
    return task


def configured(name, **changes):
    searcher = catalogue.find(name.partition("[")[0])
    return searcher, base.configure(searcher, SPECS[name] | changes)


def kind(name):
    return catalogue.find(name.partition("[")[0]).kind


def build(name, seed=0, **changes):
    searcher, config = configured(name, **changes)
    task = make_task(seed, kind=searcher.kind)
    return task, searcher(task, config)


def separable_task(seconds=1.0, budget=1000.0, seed=0):
    """Accuracy is a sum over edges: one optimum, cell (3, 3, 3, 3, 3, 3), no local ones."""
    task = make_task(seed, kind="multi-trial", seconds=budget)
    value = np.array([0.0, 3.0, 6.0, 10.0, 5.0])
    task.low_fidelity = low_fidelity(value[C.all_cells()].sum(1), np.full(15_625, seconds))
    return task


def searching(name, task, **settings):
    searcher_class = catalogue.find(name)
    return searcher_class(task, base.configure(searcher_class, settings))


def play(name, seed=0, steps=100):
    """A search: what each step says and has cost."""
    torch.set_num_threads(1)
    task, searcher = build(name, seed)
    lines = []
    while len(lines) < steps and (step := searcher.step()) is not None:
        lines.append(line(step, task))
    return lines


played = lru_cache(play)  # a whole search of seed 0, for the tests that compare with it


def line(step, task):
    alphas = None if step.alphas is None else np.asarray(step.alphas).tolist()
    spent = [task.simulated_seconds, task.evaluations, task.train_images, task.eval_images]
    return json.loads(json.dumps([list(step.cell), alphas, dict(step.metrics), *spent]))


def resting(searcher, monkeypatch):
    """Neither w nor α moves; the choices of w steps and of α steps, and the gradients of α."""
    training = searcher.training
    of_w = spy(monkeypatch, training, "weight_step", choice_of, lambda x, y, choice: torch.tensor(0.0))
    of_alpha = spy(monkeypatch, training, "loss_for_alphas", choice_of)
    gradients = spy(monkeypatch, searcher.alpha, "descend", torch.clone, lambda gradient: None)
    return of_w, of_alpha, gradients


def choice_of(x, y, choice):
    """Of a step's or a loss's arguments the path or mixture."""
    return choice


def evaluations_an_epoch(name, epochs):
    """How many candidates a search scores in each of its first epochs."""
    task, searcher = build(name)
    totals = [0]
    for _ in range(epochs):
        searcher.step()
        totals.append(task.evaluations)
    return np.diff(totals).tolist()


def prefer(searcher, index):
    """One operation far above the others on each edge: those of a cell."""
    alphas = torch.zeros(6, 5)
    alphas[torch.arange(6), list(C.from_index(index))] = 30.0
    with torch.no_grad():
        searcher.alpha.alphas.copy_(alphas)
