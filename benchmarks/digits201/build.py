"""How the embedded benchmark's counts are made: its images, its training, and the build of all cells.

A cell is trained in the stand-alone network of `network.py`, all its seeds side by side in one program.
"""

from __future__ import annotations

import gc
import json
import math
import platform
import time
from collections.abc import Callable, Sequence
from concurrent.futures import as_completed
from dataclasses import replace
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from benchmarks.base import NetworkSize
from benchmarks.digits201 import benchmark, task
from benchmarks.digits201.benchmark import Counts
from benchmarks.digits201.images import parts
from benchmarks.digits201.task import BATCH, COLUMNS, LR, MOMENTUM, SEEDS, SIZE, UNKNOWN, WEIGHT_DECAY
from benchmarks.errors import UserError
from benchmarks.images import Batches, normalise
from benchmarks.nb201 import cell as cells
from benchmarks.nb201.cell import Cell
from benchmarks.nb201.functions import function_classes
from benchmarks.nb201.network import Skeleton, network
from benchmarks.nb201.table_file import write_npz
from benchmarks.processes import process_pool, start_worker
from benchmarks.processor import cpu_name

SAVE_SECONDS = 60.0  # at most this much of a build is lost to a kill


@lru_cache(maxsize=4)
def _training_batches(seeds: tuple[int, ...], epochs: int) -> list[tuple[Tensor, Tensor]]:
    """All batches of a schedule, the seeds' images side by side: x (B, S, H, W), y (B, S).

    Every cell sees the same images in the same order at a seed, so they are composed once per process.
    """
    streams = [
        Batches(parts()["train"], BATCH, torch.Generator().manual_seed(seed), channels_last=False) for seed in seeds
    ]
    steps = epochs * len(streams[0])
    return [side_by_side([stream.next() for stream in streams]) for _ in range(steps)]


def side_by_side(batches: Sequence[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    x = torch.cat([x for x, _ in batches], 1).contiguous(memory_format=torch.channels_last)
    return x, torch.stack([y for _, y in batches], 1)


@lru_cache(maxsize=8)
def _test_batches(split: str, copies: int, size: int = 256) -> list[tuple[Tensor, Tensor]]:
    images = parts()[split]
    x = normalise(images.pixels, images.mean, images.std, channels_last=False).expand(-1, copies, -1, -1)
    x = x.contiguous(memory_format=torch.channels_last)
    return list(zip(x.split(size), images.labels.split(size), strict=True))


def stacked_network(cell: Cell, seeds: Sequence[int], size: NetworkSize = SIZE) -> Skeleton:
    """The cell's networks of all seeds side by side.

    An initial weight depends on the seed, its place and its shape alone, so that cells differ at a seed in their
    operations and in nothing else: the luck of stem, residual blocks and classifier is shared by all of them.
    """
    net = network(cell, size, copies=len(seeds))
    for name, parameter in net.named_parameters():
        if parameter.dim() > 1:
            copies = [_initial(f"{seed}/{name}", parameter.shape, len(seeds)) for seed in seeds]
            parameter.data.copy_(torch.cat(copies))
        elif "classifier" in name:
            parameter.data.zero_()
    return net


def _initial(name: str, shape: torch.Size, copies: int) -> Tensor:
    """One copy's weights: uniform within ±1/sqrt(inputs), as PyTorch initialises convolutions and linear maps."""
    generator = torch.Generator().manual_seed(int.from_bytes(sha256(name.encode()).digest()[:4], "big"))
    limit = 1 / math.sqrt(math.prod(shape[1:]))
    return (2 * torch.rand(shape[0] // copies, *shape[1:], generator=generator) - 1) * limit


def train(cell: Cell, seeds: Sequence[int], epochs: int) -> Skeleton:
    """The cell's networks after the schedule of that many epochs, one for each seed, side by side."""
    return fit(stacked_network(cell, seeds), _training_batches(tuple(seeds), epochs), LR, WEIGHT_DECAY)


def fit(net: Skeleton, batches: Sequence[tuple[Tensor, Tensor]], lr: float, weight_decay: float) -> Skeleton:
    """The stacked networks after a pass over the batches; the learning rate falls from `lr` along a cosine."""
    net.train()
    sgd = torch.optim.SGD(net.parameters(), lr, momentum=MOMENTUM, nesterov=True, weight_decay=weight_decay, fused=True)
    for step, (x, y) in enumerate(batches):
        sgd.param_groups[0]["lr"] = lr * (1 + math.cos(math.pi * step / len(batches))) / 2
        logits = net(x).view(-1, SIZE.num_classes)
        # Each copy's loss is the mean over its own images, so its gradients are those of the network alone.
        loss = F.cross_entropy(logits, y.view(-1)) * y.shape[1]
        sgd.zero_grad()
        loss.backward()
        sgd.step()
    return net.eval()


@torch.no_grad()
def right_answers(net: Skeleton, split: str, copies: int) -> list[int]:
    """How many images of a split each copy classifies rightly."""
    right = torch.zeros(copies, dtype=torch.int64)
    for x, y in _test_batches(split, copies):
        answers = net(x).view(len(x), copies, SIZE.num_classes).argmax(-1)
        right += (answers == y[:, None]).sum(0)
    return right.tolist()


def count_right(cell: Cell) -> np.ndarray:
    """Train the cell from scratch at every schedule and seed; right answers, uint16 (seeds, COLUMNS).

    The same in any process and order on one kind of machine, with one torch thread.
    """
    counts = {}
    for epochs in dict.fromkeys(epochs for _, epochs in COLUMNS):
        net = train(cell, SEEDS, epochs)
        for split in (split for split, length in COLUMNS if length == epochs):
            counts[split, epochs] = right_answers(net, split, len(SEEDS))
    return np.array([counts[column] for column in COLUMNS], dtype=np.uint16).T


# ----------------------------------------------------------------------------------------------- the build


def build(path: Path, workers: int, report: Callable[[int, int, float], None]) -> Counts:
    """Train every class of cells that `path` lacks and keep it there; all cores, one thread each.

    Continues what is in `path`, which is written at most a minute after a result; `report(done, total, seconds)`
    gets the time left. A class is one cell, its first in the official order; classes come in an order drawn
    once, so that an unfinished build is a fair sample. KeyboardInterrupt passes through after saving.
    """
    class_of, first = function_classes()
    if path.exists():
        counts = benchmark.load_counts(path)
    else:
        right = np.full((len(first), len(SEEDS), len(COLUMNS)), UNKNOWN, dtype=np.uint16)
        about = {"task": task.TASK, "machine": _machine()}
        counts = Counts(right, class_of, about)
        save(counts, path)  # raises now where the file cannot be written
    for what in ("cpu", "torch"):
        if counts.about["machine"][what] != _machine()[what]:
            raise UserError(f"{path}: begun on {counts.about['machine'][what]}; a table is of one processor and torch")
    if not np.array_equal(counts.class_of, class_of):
        raise UserError(f"{path}: begun when other cells counted as equal; start another file")
    order = np.random.default_rng(0).permutation(len(first))
    is_trained = counts.is_trained
    missing = [int(k) for k in order if not is_trained[k]]
    start = last_save = time.monotonic()
    try:
        with process_pool(workers, _start_worker) as pool:
            class_of_future = {pool.submit(_count_right_of, int(first[k])): k for k in missing}
            for finished, future in enumerate(as_completed(class_of_future), 1):
                counts.right[class_of_future[future]] = future.result()
                now = time.monotonic()
                if now - last_save > SAVE_SECONDS:
                    save(counts, path)
                    last_save = now
                done = len(first) - len(missing) + finished
                report(done, len(first), (now - start) / finished * (len(missing) - finished))
    finally:
        save(counts, path)
    if "seconds" not in counts.about:
        counts = replace(counts, about=counts.about | {"seconds": seconds_model()})
        save(counts, path)
    return counts


def save(counts: Counts, path: Path) -> None:
    """Write atomically; UserError where the place cannot be written."""
    write_npz(path, right=counts.right, class_of=counts.class_of, about=np.array(json.dumps(counts.about)))


def _start_worker() -> None:
    start_worker()
    torch.set_num_threads(1)
    gc.disable()  # a tenth of the time of such small steps; _count_right_of collects


def _count_right_of(index: int) -> np.ndarray:
    right = count_right(cells.from_index(index))
    gc.collect()
    return right


def _machine() -> dict[str, str]:
    return {"cpu": cpu_name(), "torch": torch.__version__, "python": platform.python_version()}


def seconds_model(cells_timed: int = 100) -> dict[str, Any]:
    """Seconds of one seed's training epoch and validation pass, linear in a cell's numbers of operations.

    Least squares on that many cells, timed one after the other in this process with one thread.
    """
    torch.set_num_threads(1)
    indices = np.random.default_rng(1).choice(cells.NUM_CELLS, cells_timed, replace=False)
    times = np.array([_seconds_of(cells.from_index(int(index))) for index in (indices[0], *indices)])[1:]
    features, model = benchmark.seconds_features()[indices], {}
    for name, seconds in zip(("train", "valid"), times.T, strict=True):
        coefficients, *_ = np.linalg.lstsq(features, seconds, rcond=None)
        residuals = seconds - features @ coefficients
        r2 = 1 - float((residuals**2).sum() / ((seconds - seconds.mean()) ** 2).sum())
        model[name] = {"coefficients": coefficients.tolist(), "r2": r2}
    return {"cells": cells_timed} | model


def _seconds_of(cell: Cell) -> tuple[float, float]:
    start = time.perf_counter()
    net = train(cell, SEEDS, 1)
    training_end = time.perf_counter()
    right_answers(net, "valid", len(SEEDS))
    return (training_end - start) / len(SEEDS), (time.perf_counter() - training_end) / len(SEEDS)
