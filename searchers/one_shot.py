"""What supernet searchers share: weight epochs, gradient steps on alphas, scoring many candidates on a batch.

The protocol is the one of AutoDL-Projects' NAS-Bench-201 search scripts (DOC): SGD with Nesterov
momentum and a cosine schedule per epoch, gradient clipping at 5, Adam for the architecture parameters, w before
alpha in a step. Batches that train w or alpha are augmented, validation images for alpha included.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from typing import Any, ClassVar, TypeAlias

import numpy as np
import torch
from pydantic import Field
from scipy.special import softmax
from torch import Tensor

from benchmarks.base import Cell, Choice
from benchmarks.errors import UserError
from benchmarks.images import Batches, Images, normalise
from benchmarks.layers import cross_entropy
from searchers.base import Searcher, SearchTask, Settings, Step, diverged
from searchers.replay import Replay

Score: TypeAlias = Callable[[Sequence["Cell | Tensor"], Tensor, Tensor], list[float]]  # choices, images, labels


class WeightSettings(Settings):
    """How the supernet's weights w are trained. All DOC: AutoDL-Projects' NAS-Bench-201 scripts."""

    lr: float = Field(0.025, gt=0)
    lr_min: float = Field(0.001, ge=0)
    momentum: float = Field(0.9, ge=0, lt=1)
    weight_decay: float = Field(5e-4, ge=0)
    clip: float = Field(5.0, gt=0)  # of the norm of w's gradient; the scripts' norm includes alpha's gradient

    def lr_at(self, epoch: int, epochs: float) -> float:
        """Learning rate of an epoch: half a cosine over `epochs`, from lr towards lr_min."""
        return self.lr_min + (self.lr - self.lr_min) * (1 + math.cos(math.pi * epoch / epochs)) / 2


class PathSettings(Settings):
    """How gicso, cso, cmaes and zero-order train w: on single paths, drawn uniformly. INFERRED, not the DOC protocol.

    Searches that train no path with `none` kept the convolutions of their cells on digits201 (n = 5). Three paths a
    batch raised the correlation of one-shot and table accuracies on cifar10-valid from about 0.4 to 0.6 (n = 2 and 5),
    on digits201 not at every seed. Source: results/gicso-study. Cells with `none` are scored all the same.
    """

    none_in_paths: bool = False
    paths_per_batch: int = Field(3, ge=1)  # one weight step through each path


ARG_MAX = "the arg-max of the last α over all operations of each edge, none included"

PATH_ABLATIONS: dict[str, dict[str, Any]] = {
    "one path a batch": {"paths_per_batch": 1},
    "paths with none": {"none_in_paths": True},
}


class AlphaSettings(WeightSettings):
    """How gradient steps move alpha. All DOC: AutoDL-Projects' NAS-Bench-201 scripts."""

    alpha_lr: float = Field(3e-4, ge=0)
    alpha_weight_decay: float = Field(1e-3, ge=0)
    alpha_init: float = Field(1e-3, ge=0)  # standard deviation


class WeightTraining:
    """A supernet, the optimiser of its weights, and the batches of one search.

    `train` batches are the only ones that move w. `valid` draws augmented batches for alpha gradients. `fitness` draws
    images without augmentation, on which candidates are compared: `fitness_images` at a time (by default one batch), of
    which `fitness_batch` share batch statistics. Every image used is counted on the task. A mean loss of an epoch, or a
    score, that is not finite ends the search with a UserError.
    """

    def __init__(
        self,
        task: SearchTask,
        settings: WeightSettings,
        fitness_batch: int = 512,
        fitness_images: int | None = None,
        mixed_share: int = 1,
    ):
        assert task.train is not None
        assert task.valid is not None
        self.task, self.settings = task, settings
        self.net = task.space.supernet(task.size, task.seed_of("supernet") % 2**32, mixed_share).to(task.device)
        on_gpu = task.device.startswith("cuda")
        # Gradients are zeroed, never set to None. A step through one path so decays the weights of all others too, as
        # in the reference scripts, and a resumed search need not know which weights were used before.
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
        # Steps through a mixture launch the same kernels every time, so they are recorded; single paths differ.
        self.replay_gradients, self.replay_mixture_gradient = Replay(), Replay()
        self.train = self._batches("train", task.train, task.batch_size, augmented=True)
        self.valid = self._batches("valid", task.valid, task.batch_size, augmented=True)
        self.fitness = self._batches("fitness", task.valid, fitness_images or fitness_batch, augmented=False)
        self.fitness_batch = fitness_batch
        self.current_epoch = 0

    def _batches(self, purpose: str, images: Images, size: int, augmented: bool) -> Batches:
        return Batches(images, size, self.task.torch_stream(purpose), augmented=augmented)

    def mixture(self, alphas: np.ndarray) -> Tensor:
        """softmax(alphas) as mixture weights on the device; (edges, operations)."""
        return torch.tensor(softmax(alphas, axis=-1), dtype=torch.float32, device=self.task.device)

    def equal_weights(self) -> Tensor:
        """The mixture in which all operations of an edge weigh the same; (edges, operations)."""
        return self.mixture(np.zeros(self.task.shape))

    def batches(self, epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
        """The training batches of one epoch; sets the epoch's learning rate first."""
        self.current_epoch = epoch
        self.sgd.param_groups[0]["lr"] = self.settings.lr_at(epoch, self.task.budget.epochs)
        for _ in range(len(self.train)):
            yield self.train.next()

    def epoch(
        self,
        epoch: int,
        choose: Callable[[], Choice],
        after_batch: Callable[[int], None] = lambda batch: None,
        steps_per_batch: int = 1,
    ) -> dict[str, float]:
        """One epoch of weight steps, each through `choose()`; then `after_batch(number)`. Returns the mean loss."""
        losses = []
        for number, (x, y) in enumerate(self.batches(epoch)):
            losses += [self.weight_step(x, y, choose()) for _ in range(steps_per_batch)]
            after_batch(number)
        return {"train_loss": self.mean_loss("training losses", losses)}

    def mean_loss(self, what: str, losses: Sequence[Tensor]) -> float:
        """Mean of an epoch's losses, kept on the device so that no batch waits for it; checked by `finite`."""
        value = float(torch.stack(list(losses)).mean())
        self.finite(what, np.array(value))
        return value

    def finite(self, what: str, values: np.ndarray) -> np.ndarray:
        """Return the values; UserError naming them, the epoch and what to change where one is not finite."""
        if np.isfinite(values).all():
            return values
        raise UserError(
            f"{what} are {'NaN' if np.isnan(values).any() else 'infinite'} in epoch {self.current_epoch + 1} of "
            f"{self.task.budget.epochs}: {diverged(self.settings)}"
        )

    def path_epoch(
        self,
        epoch: int,
        rng: np.random.Generator,
        settings: PathSettings,
        after_batch: Callable[[int], None] = lambda batch: None,
    ) -> dict[str, float]:
        """One epoch of weight steps through single paths, drawn uniformly; returns the mean loss."""

        def draw() -> Cell:
            return self.task.space.sample(rng, none=settings.none_in_paths)

        return self.epoch(epoch, draw, after_batch, settings.paths_per_batch)

    def _autocast(self, x: Tensor, precise: bool = False) -> torch.autocast:
        enabled = self.task.precision == "bf16" and not precise
        return torch.autocast(x.device.type, dtype=torch.bfloat16, enabled=enabled)

    def loss(self, x: Tensor, y: Tensor, choice: Choice, precise: bool = False) -> Tensor:
        """Cross-entropy of a batch through one path or a mixture; with `precise` in float32 even in a bf16 search."""
        with self._autocast(x, precise):
            logits = self.net(x, choice)
        return cross_entropy(logits, y)

    def weight_step(self, x: Tensor, y: Tensor, choice: Choice) -> Tensor:
        """One gradient step on w; returns the batch's loss before the step, on the device."""
        if isinstance(choice, Tensor):
            (loss,) = self.replay_gradients(self.gradients, x, y, choice)
        else:
            (loss,) = self.gradients(x, y, choice)
        self.sgd.step()
        self.task.count(train_images=len(y))
        return loss

    def gradients(self, x: Tensor, y: Tensor, choice: Choice) -> tuple[Tensor]:
        """Store the clipped gradient of the batch's loss in the `grad` of w; returns the loss."""
        self.sgd.zero_grad(set_to_none=False)
        loss = self.loss(x, y, choice)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.net.parameters(), self.settings.clip, foreach=True)
        return (loss.detach(),)

    def mixture_gradient(self, x: Tensor, y: Tensor, mixture: Tensor) -> tuple[Tensor, Tensor]:
        """The loss of a batch through a mixture, and its gradient with respect to the mixture's weights."""
        weights = mixture.detach().requires_grad_()
        loss = self.loss(x, y, weights)
        return loss.detach(), torch.autograd.grad(loss, weights)[0]

    def loss_for_alphas(self, x: Tensor, y: Tensor, choice: Choice) -> Tensor:
        """`loss`, differentiable with respect to the alphas from which `choice` was computed, but not to w."""
        if not isinstance(choice, Tensor):
            return self.loss(x, y, choice)
        value, gradient = self.replay_mixture_gradient(self.mixture_gradient, x, y, choice.detach())
        return value + ((choice - choice.detach()) * gradient).sum()  # adds 0, whose gradient is the recorded one

    def losses(self, choices: Sequence[Cell | Tensor], x: Tensor, y: Tensor) -> np.ndarray:
        """Cross-entropy of every candidate on these images, with batch statistics; (len(choices),)."""
        return self._score(self.net.losses, choices, x, y)

    def accuracies(self, choices: Sequence[Cell | Tensor], x: Tensor, y: Tensor) -> np.ndarray:
        """Accuracy (percent) of every candidate on these images, with batch statistics; (len(choices),)."""
        return self._score(self.net.accuracies, choices, x, y)

    def errors(self, choices: Sequence[Cell | Tensor], x: Tensor, y: Tensor) -> np.ndarray:
        """Share of these images that every candidate classifies wrongly; (len(choices),)."""
        return 1 - self.accuracies(choices, x, y) / 100

    def _score(self, score: Score, choices: Sequence[Cell | Tensor], x: Tensor, y: Tensor) -> np.ndarray:
        total = np.zeros(len(choices))
        with self._autocast(x):
            for images, labels in zip(x.split(self.fitness_batch), y.split(self.fitness_batch), strict=True):
                total += len(labels) * np.array(score(choices, images, labels))
        self.task.count(evaluations=len(choices), eval_images=len(choices) * len(y))
        return self.finite("one-shot scores", total / len(y))

    def images(self, count: int) -> tuple[Tensor, Tensor]:
        """About `count` validation images, the next that `fitness` draws; in stored order if `count` is all of them."""
        if count >= len(self.fitness.images):
            return self.first_images(count)
        draws = max(1, round(count / self.fitness.batch_size))
        x, y = zip(*(self.fitness.next() for _ in range(draws)), strict=True)
        return torch.cat(x), torch.cat(y)

    def first_images(self, count: int) -> tuple[Tensor, Tensor]:
        """The first `count` validation images in stored order; draws from no generator."""
        images = self.fitness.images
        return normalise(images.pixels[:count], images.mean, images.std), images.labels[:count]

    def plain_losses(self, choices: Sequence[Cell], count: int) -> np.ndarray:
        """Cross-entropy on the first validation images as one batch, the same for every searcher; (len(choices),)."""
        return self._score_first_images(self.net.losses, choices, count)

    def plain_accuracies(self, choices: Sequence[Cell], count: int) -> np.ndarray:
        """Accuracy (percent) on the first validation images as one batch; (len(choices),)."""
        return self._score_first_images(self.net.accuracies, choices, count)

    def _score_first_images(self, score: Score, choices: Sequence[Cell], count: int) -> np.ndarray:
        x, y = self.first_images(count)
        with self._autocast(x):
            return np.array(score(choices, x, y))

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


class OneShotSearcher(Searcher):
    """A searcher that trains a supernet, in which every cell can be scored by itself; a step is an epoch.

    `state` names the attributes that have a `state_dict` of their own.
    """

    kind = "one-shot"
    state: ClassVar[tuple[str, ...]] = ("training",)
    training: WeightTraining
    epoch = 0  # epochs done

    def step(self) -> Step | None:
        if self.finished():
            return None
        step = self.run_epoch(self.epoch)
        self.epoch += 1
        return step

    def finished(self) -> bool:
        return self.epoch == self.task.budget.epochs

    @abstractmethod
    def run_epoch(self, epoch: int) -> Step:
        """Train for one epoch, counted from 0; returns the step with the current answer."""

    def state_dict(self) -> dict[str, Any]:
        return {**{name: getattr(self, name).state_dict() for name in self.state}, "epoch": self.epoch}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        for name in self.state:
            getattr(self, name).load_state_dict(state[name])
        self.epoch = state["epoch"]

    def one_shot_losses(self, candidates: Sequence[Cell], images: int) -> np.ndarray | None:
        return self.training.plain_losses(candidates, images)

    def one_shot_accuracies(self, candidates: Sequence[Cell], images: int) -> np.ndarray | None:
        return self.training.plain_accuracies(candidates, images)


def softmax_rows(alphas: Tensor) -> Tensor:
    """DARTS' continuous relaxation: a softmax over the operations of each edge; eq. (2) of the paper."""
    return alphas.softmax(dim=1)


class AlphaDescent:
    """Architecture parameters moved by first-order gradients of the validation loss (DARTS).

    Alphas are not parameters of the supernet: a weight step cannot change them, nor an alpha step the weights.
    `relax` turns alphas into a path or a mixture for the supernet; it is called anew at every step.
    """

    def __init__(
        self,
        training: WeightTraining,
        alphas: np.ndarray,
        settings: AlphaSettings,
        relax: Callable[[Tensor], Choice] = softmax_rows,
    ):
        self.training, self.relax = training, relax
        device = training.task.device
        self.alphas = torch.tensor(alphas, dtype=torch.float32, device=device, requires_grad=True)
        self.adam = torch.optim.Adam(
            [self.alphas],
            settings.alpha_lr,
            betas=(0.5, 0.999),
            weight_decay=settings.alpha_weight_decay,
            fused=str(device).startswith("cuda"),
        )

    @torch.no_grad()
    def choice(self) -> Choice:
        """The path or mixture for a weight step, without gradient."""
        return self.relax(self.alphas)

    def step(self, penalty: Callable[[Tensor], Tensor | None] = lambda alphas: None) -> Tensor:
        """One gradient step on alphas from a validation batch; returns the loss before it, without the penalty."""
        x, y = self.training.valid.next()
        loss = self.training.loss_for_alphas(x, y, self.relax(self.alphas))
        extra = penalty(self.alphas)
        (gradient,) = torch.autograd.grad(loss if extra is None else loss + extra, [self.alphas])
        self.descend(gradient)
        self.training.task.count(train_images=len(y))
        return loss.detach()

    def descend(self, gradient: Tensor) -> None:
        """One step of Adam along a gradient (edges, operations)."""
        self.alphas.grad = gradient
        self.adam.step()

    def alternate(
        self, epoch: int, penalty: Callable[[Tensor], Tensor | None] = lambda alphas: None, frozen: bool = False
    ) -> dict[str, float]:
        """One epoch of pairs of steps, first w, then alpha (the reference's order); no alpha steps where `frozen`."""
        valid: list[Tensor] = []

        def after_batch(_: int) -> None:
            if not frozen:
                valid.append(self.step(penalty))

        metrics = self.training.epoch(epoch, self.choice, after_batch)
        return {**metrics, "valid_loss": self.training.mean_loss("validation losses", valid)} if valid else metrics

    def values(self) -> np.ndarray:
        """The architecture parameters in float64; they may be non-finite, which the runner refuses."""
        return self.alphas.detach().cpu().double().numpy()

    def state_dict(self) -> dict[str, Any]:
        return {"alphas": self.alphas.detach().clone(), "adam": self.adam.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        with torch.no_grad():
            self.alphas.copy_(state["alphas"])
        self.adam.load_state_dict(state["adam"])


def initial_alphas(task: SearchTask, spread: float) -> np.ndarray:
    """Architecture parameters (edges, operations), drawn from N(0, spread²)."""
    return spread * task.stream("alphas").standard_normal(task.shape)


def is_due(step: int, steps: int, times: int) -> bool:
    """Whether an event is due after this step, if it happens `times` in `steps` steps, evenly and once at the end."""
    return (step + 1) * times // steps > step * times // steps
