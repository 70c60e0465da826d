"""The steps that `harness perf` times: those of searches and of trainings, ours and written the plain way."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from benchmarks import registry
from benchmarks.base import Cell, NetworkSize, Preset, SearchSpace
from benchmarks.images import CropAndFlip, Images
from benchmarks.layers import cross_entropy
from searchers.base import Budget, SearchTask
from searchers.one_shot import AlphaDescent, AlphaSettings, WeightTraining, initial_alphas

BATCH = 64
PIXEL_MEAN, PIXEL_STD = 120.0, 60.0
PRECISIONS = ("fp32", "bf16")
DERIVED = "derived network step"
CASES = ("DARTS step pair", "one-hot w step", "swarm of 24", DERIVED)
Run = Callable[[], Any]


class Measured(NamedTuple):
    """A network of a benchmark's preset."""

    benchmark: str
    name: str  # of the preset
    preset: Preset

    @property
    def space(self) -> SearchSpace:
        return registry.find(self.benchmark).space

    @property
    def size(self) -> NetworkSize:
        return NetworkSize(self.preset.channels, self.preset.cells, in_channels=3, num_classes=10)


def networks(device: str) -> dict[str, Measured]:
    """What is measured, by name: the presets `paper` and `small` of the first benchmark of each search space.

    On a CPU `paper` is that of the first space alone, since a step of the others may take minutes.
    """
    first: dict[str, str] = {}
    for name in registry.BENCHMARKS:
        first.setdefault(registry.find(name).space.name, name)
    chosen = {}
    for number, name in enumerate(first.values()):
        for preset in ("paper", "small") if number == 0 or device.startswith("cuda") else ("small",):
            chosen[f"{name} {preset}"] = Measured(name, preset, registry.find(name).presets[preset])
    return chosen


def described(network: Measured) -> str:
    """A network's name and size in words."""
    preset = network.preset
    return (
        f"{network.benchmark} {network.name} C {preset.channels}, {preset.cells} cells a stage, "
        f"{preset.resolution}×{preset.resolution}"
    )


def candidates(space: SearchSpace) -> list[Cell]:
    rng = np.random.default_rng(0)
    return [space.sample(rng) for _ in range(24)]


def synthetic_task(network: Measured, device: str, precision: str, count: int = 4 * BATCH) -> SearchTask:
    generator, size, resolution = torch.Generator().manual_seed(0), network.size, network.preset.resolution
    shape = (count, size.in_channels, resolution, resolution)
    pixels = torch.randint(256, shape, dtype=torch.uint8, generator=generator)
    labels = torch.randint(size.num_classes, (len(pixels),), generator=generator)
    mean, std = (PIXEL_MEAN,) * size.in_channels, (PIXEL_STD,) * size.in_channels
    images = Images(pixels, labels, mean, std, CropAndFlip(resolution // 8)).to(device)
    return SearchTask(0, "synthetic", network.space, size, Budget(50), BATCH, images, images, device, precision)


def our_steps(network: Measured, device: str, precision: str) -> dict[str, Run]:
    """The steps as our searchers make them, batches and augmentation included."""
    settings = AlphaSettings()
    task = synthetic_task(network, device, precision)
    training = WeightTraining(task, settings, fitness_batch=BATCH)
    alpha = AlphaDescent(training, initial_alphas(task, settings.alpha_init), settings)
    swarm, count = candidates(network.space), iter(range(10**9))

    def pair() -> None:
        training.weight_step(*training.train.next(), alpha.choice())
        alpha.step()

    def one_hot() -> None:
        training.weight_step(*training.train.next(), swarm[next(count) % len(swarm)])

    def evaluate() -> None:
        training.losses(swarm, *training.fitness.next())

    return dict(zip(CASES, (pair, one_hot, evaluate), strict=False))


def plain_steps(network: Measured, device: str) -> dict[str, Run]:
    """The same steps through the plain supernet, with the reference's training loop: alphas are in the graph of
    the weight step, weights in that of the alpha step, since `loss.backward()` is all that the scripts call."""
    settings = AlphaSettings()
    net = network.space.plain_supernet(network.size).to(device)
    task = synthetic_task(network, device, "fp32")
    assert task.train is not None
    x = ((task.train.pixels[:BATCH].float() - PIXEL_MEAN) / PIXEL_STD).to(device)
    y = task.train.labels[:BATCH]
    alphas = torch.tensor(
        initial_alphas(task, settings.alpha_init), dtype=torch.float32, device=device, requires_grad=True
    )
    sgd = torch.optim.SGD(
        net.parameters(),
        settings.lr,
        settings.momentum,
        weight_decay=settings.weight_decay,
        nesterov=True,
        foreach=True,
    )
    adam = torch.optim.Adam([alphas], settings.alpha_lr, betas=(0.5, 0.999), weight_decay=settings.alpha_weight_decay)
    swarm, count = candidates(network.space), iter(range(10**9))

    def weight_step(choice: Tensor | Cell) -> None:
        sgd.zero_grad()
        cross_entropy(net(x, choice), y).backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), settings.clip)
        sgd.step()

    def pair() -> None:
        weight_step(alphas.softmax(dim=1))
        adam.zero_grad()
        cross_entropy(net(x, alphas.softmax(dim=1)), y).backward()
        adam.step()

    def one_hot() -> None:
        weight_step(swarm[next(count) % len(swarm)])

    @torch.no_grad()
    def evaluate() -> None:
        for cell in swarm:
            cross_entropy(net(x, cell), y).item()

    return dict(zip(CASES, (pair, one_hot, evaluate), strict=False))


def derived_steps(network: Measured, device: str) -> dict[str, Run]:
    """A step of training the network of one cell: plain (PyTorch's own layers, NCHW, fp32), and ours, channels last."""
    settings, task, cell = AlphaSettings(), synthetic_task(network, device, "fp32"), candidates(network.space)[0]
    assert task.train is not None
    x = (task.train.pixels[:BATCH].float() - PIXEL_MEAN) / PIXEL_STD
    y = task.train.labels[:BATCH]

    def step(net: torch.nn.Module, precision: str, memory_format: torch.memory_format) -> Run:
        net, images = net.to(device).to(memory_format=memory_format), x.to(memory_format=memory_format)
        sgd = torch.optim.SGD(net.parameters(), settings.lr, settings.momentum, weight_decay=settings.weight_decay)
        kind = torch.device(device).type

        def run() -> None:
            sgd.zero_grad()
            with torch.autocast(kind, torch.bfloat16, enabled=precision == "bf16"):
                logits = net(images)
            cross_entropy(logits.float(), y).backward()
            torch.nn.utils.clip_grad_norm_(net.parameters(), settings.clip)
            sgd.step()

        return run

    plain = network.space.plain_network(cell, network.size)
    sides = {"plain": step(plain, "fp32", torch.contiguous_format)}
    for precision in PRECISIONS:
        sides[precision] = step(network.space.network(cell, network.size), precision, torch.channels_last)
    return sides


def sides(network: Measured, device: str) -> dict[str, dict[str, Run]]:
    """case -> side ("plain", "fp32", "bf16") -> its run."""
    plain = plain_steps(network, device) | {DERIVED: (derived := derived_steps(network, device))["plain"]}
    ours = {p: our_steps(network, device, p) | {DERIVED: derived[p]} for p in PRECISIONS}
    return {case: {"plain": plain[case]} | {p: steps[case] for p, steps in ours.items()} for case in CASES}
