"""What supernet searchers share: weight epochs, gradient steps on alphas, scoring many candidates on a batch.

The protocol is the one of AutoDL-Projects' NAS-Bench-201 search scripts (DOC): SGD with Nesterov
momentum and a cosine schedule per epoch, gradient clipping at 5, Adam for the architecture parameters, w before
alpha in a step, search and validation batches both augmented while they train something.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any, TypeAlias

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from benchmarks.images import Batches, Images
from benchmarks.nb201.cell import EDGES, OPERATIONS, Cell, derive
from benchmarks.nb201.supernet import Supernet, cross_entropy
from searchers.base import SearchTask, Settings
from searchers.swarm import Swarm

SHAPE = (len(EDGES), len(OPERATIONS))
DIMENSIONS = SHAPE[0] * SHAPE[1]  # of flattened alphas

Choice: TypeAlias = "Cell | Tensor"  # one path, or mixture weights (6, 5)


class WeightSettings(Settings):
    """How the supernet's weights w are trained. All DOC: AutoDL-Projects' NAS-Bench-201 scripts."""

    lr: float = Field(0.025, gt=0)
    lr_min: float = Field(0.001, ge=0)
    momentum: float = Field(0.9, ge=0, lt=1)
    weight_decay: float = Field(5e-4, ge=0)
    clip: float = Field(5.0, gt=0)  # of the gradient's norm


class AlphaSettings(WeightSettings):
    """How gradient steps move alpha. All DOC: AutoDL-Projects' NAS-Bench-201 scripts."""

    alpha_lr: float = Field(3e-4, ge=0)
    alpha_weight_decay: float = Field(1e-3, ge=0)
    alpha_init: float = Field(1e-3, ge=0)  # standard deviation


def softmax(alphas: np.ndarray) -> np.ndarray:
    """Softmax over the last axis."""
    e = np.exp(alphas - alphas.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


class WeightTraining:
    """A supernet, the optimiser of its weights, and the batches of one search.

    `train` batches are the only ones that move w. `valid` gives augmented batches for alpha gradients; `fitness`
    plain ones, on which candidates are compared. Every image used is counted on the task.
    """

    def __init__(self, task: SearchTask, settings: WeightSettings, fitness_batch: int = 256):
        assert task.train is not None
        assert task.valid is not None
        self.task, self.settings = task, settings
        self.net = Supernet(task.space, task.seed_of("supernet") % 2**32).to(task.device)
        on_gpu = task.device.startswith("cuda")
        # Gradients are always there, zeroed and never dropped: a path's step decays the weights that it does not
        # use as well, as in the reference scripts, and a resumed search knows no weight that was not used yet.
        for parameter in self.net.parameters():
            parameter.grad = torch.zeros_like(parameter)
        self.sgd = torch.optim.SGD(
            self.net.parameters(),
            settings.lr,
            momentum=settings.momentum,
            weight_decay=settings.weight_decay,
            nesterov=settings.momentum > 0,
            foreach=not on_gpu,
            fused=on_gpu,
        )
        self.train = self._batches("train", task.train, task.batch_size, augmented=True)
        self.valid = self._batches("valid", task.valid, task.batch_size, augmented=True)
        self.fitness = self._batches("fitness", task.valid, fitness_batch, augmented=False)

    def _batches(self, purpose: str, images: Images, size: int, augmented: bool) -> Batches:
        return Batches(images, size, self.task.torch_stream(purpose), augmented=augmented)

    def mixture(self, alphas: np.ndarray) -> Tensor:
        """softmax(alphas) as mixture weights on the device; (6, 5)."""
        return torch.tensor(softmax(alphas), dtype=torch.float32, device=self.task.device)

    def equal_weights(self) -> Tensor:
        return self.mixture(np.zeros(SHAPE))

    def epoch(self, epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
        """The training batches of one epoch, with the learning rate that it has."""
        s, done = self.settings, epoch / self.task.budget.epochs
        lr = s.lr_min + (s.lr - s.lr_min) * (1 + math.cos(math.pi * done)) / 2
        self.sgd.param_groups[0]["lr"] = lr
        for _ in range(len(self.train)):
            yield self.train.next()

    def _autocast(self, x: Tensor) -> torch.autocast:
        return torch.autocast(x.device.type, dtype=torch.bfloat16, enabled=self.task.precision == "bf16")

    def loss(self, x: Tensor, y: Tensor, choice: Choice) -> Tensor:
        """Cross-entropy of a batch through one path or a mixture."""
        with self._autocast(x):
            logits = self.net(x, choice)
        return cross_entropy(logits, y)

    def weight_step(self, x: Tensor, y: Tensor, choice: Choice) -> Tensor:
        """One gradient step on w; the batch's loss before it, still on the device."""
        self.sgd.zero_grad(set_to_none=False)
        loss = self.loss(x, y, choice)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.net.parameters(), self.settings.clip, foreach=True)
        self.sgd.step()
        self.task.count(train_images=len(y))
        return loss.detach()

    @torch.no_grad()
    def losses(self, choices: Sequence[Choice], x: Tensor, y: Tensor) -> np.ndarray:
        """Cross-entropy of every candidate on one batch, batch statistics; (len(choices),)."""
        with self._autocast(x):
            values = self.net.losses(choices, x, y)
        self.task.count(evaluations=len(choices), eval_images=len(choices) * len(y))
        return np.array(values)

    def mean_losses(self, choices: Sequence[Choice], images: int) -> np.ndarray:
        """The same over as many fitness batches as hold about `images` images."""
        batches = max(1, round(images / self.fitness.batch_size))
        return np.mean([self.losses(choices, *self.fitness.next()) for _ in range(batches)], axis=0)

    def state_dict(self) -> dict[str, Any]:
        return {
            "net": self.net.state_dict(),
            "sgd": self.sgd.state_dict(),
            "train": self.train.state_dict(),
            "valid": self.valid.state_dict(),
            "fitness": self.fitness.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        for name, value in state.items():
            getattr(self, name).load_state_dict(value)


class AlphaDescent:
    """Architecture parameters (6, 5) moved by first-order gradients of the validation loss (DARTS).

    They are no parameters of the supernet: a weight step cannot touch them, nor an alpha step the weights.
    """

    def __init__(self, training: WeightTraining, alphas: np.ndarray, settings: AlphaSettings):
        self.training = training
        device = training.task.device
        self.alphas = torch.tensor(alphas, dtype=torch.float32, device=device, requires_grad=True)
        self.adam = torch.optim.Adam(
            [self.alphas],
            settings.alpha_lr,
            betas=(0.5, 0.999),
            weight_decay=settings.alpha_weight_decay,
            fused=str(device).startswith("cuda"),
        )

    def weights(self) -> Tensor:
        """Mixture weights softmax(alphas), (6, 5), without gradient: what a weight step trains under."""
        return self.alphas.detach().softmax(dim=1)

    def step(self) -> Tensor:
        """One gradient step on alphas from a validation batch; the batch's loss before it."""
        x, y = self.training.valid.next()
        loss = self.training.loss(x, y, self.alphas.softmax(dim=1))
        (self.alphas.grad,) = torch.autograd.grad(loss, [self.alphas])
        self.adam.step()
        self.training.task.count(train_images=len(y))
        return loss.detach()

    def values(self) -> np.ndarray:
        return self.alphas.detach().cpu().double().numpy()

    def state_dict(self) -> dict[str, Any]:
        return {"alphas": self.alphas.detach().clone(), "adam": self.adam.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        with torch.no_grad():
            self.alphas.copy_(state["alphas"])
        self.adam.load_state_dict(state["adam"])


def initial_alphas(task: SearchTask, spread: float) -> np.ndarray:
    """Gaussian architecture parameters (6, 5)."""
    return spread * task.stream("alphas").standard_normal(SHAPE)


def mean(losses: Sequence[Tensor]) -> float:
    """Mean of losses kept on the device until now, so that an epoch never waits for it."""
    return float(torch.stack(list(losses)).mean()) if losses else float("nan")


class AlphaSwarm:
    """A swarm whose particles are flattened alphas (30,), scored by one-shot validation losses.

    All particles of a generation see one batch, so that they are ranked fairly. With `one_hot` a particle is scored
    through its arg-max path, otherwise through its softmax mixture.
    """

    def __init__(
        self,
        training: WeightTraining,
        centre: np.ndarray,
        rule: str,
        population: int,
        spread: float,
        box: float,
        phi: float,
        one_hot: bool = True,
    ):
        middle = centre.reshape(-1)

        def draw(n: int, rng: np.random.Generator) -> np.ndarray:
            return middle + spread * rng.standard_normal((n, DIMENSIONS))

        self.training, self.one_hot = training, one_hot
        self.swarm = Swarm(population, rule, training.task.stream("swarm"), -box, box, phi, draw)
        self.losses = np.full(population, np.inf)

    def choice(self, position: np.ndarray) -> Choice:
        alphas = position.reshape(SHAPE)
        return derive(alphas) if self.one_hot else self.training.mixture(alphas)

    def generation(self, diversity_weight: float = 0.0) -> np.ndarray:
        """Move the swarm once and score who moved; fitness = loss − weight·diversity. Indices of the moved."""
        moved = self.swarm.ask()
        batch = self.training.fitness.next()
        self.losses[moved] = self.training.losses([self.choice(p) for p in self.swarm.x[moved]], *batch)
        self._tell(diversity_weight)
        return moved

    def rescore(self, diversity_weight: float = 0.0) -> None:
        """Score all particles and g anew on one batch: w has moved, and old scores would win by age."""
        everyone = [*self.swarm.x, self.swarm.best]
        losses = self.training.losses([self.choice(p) for p in everyone], *self.training.fitness.next())
        self.losses, self.swarm.best_value = losses[:-1], float(losses[-1])
        self._tell(diversity_weight)

    def _tell(self, diversity_weight: float) -> None:
        fitness = self.losses
        if diversity_weight:
            fitness = self.losses - diversity_weight * diversity(self.swarm.x)
        self.swarm.tell(fitness, objective=self.losses)

    def best(self) -> np.ndarray:
        """The best position seen, as alphas (6, 5)."""
        return self.swarm.best.reshape(SHAPE)

    def state_dict(self) -> dict[str, Any]:
        return {"swarm": self.swarm.state_dict(), "losses": self.losses.tolist()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.swarm.load_state_dict(state["swarm"])
        self.losses = np.array(state["losses"])


def distances(positions: np.ndarray) -> np.ndarray:
    """Mean distance of each particle's softmax rows to those of all others; (N, 30) -> (N,)."""
    p = softmax(positions.reshape(-1, *SHAPE)).reshape(len(positions), -1)
    squared = ((p[:, None] - p[None]) ** 2).sum(axis=-1)
    return np.sqrt(squared).sum(axis=1) / max(len(p) - 1, 1)


def diversity(positions: np.ndarray) -> np.ndarray:
    """`distances` divided by the swarm's largest, in [0, 1] (INFERRED form); (N, 30) -> (N,)."""
    d = distances(positions)
    return d / d.max() if d.max() > 0 else d
