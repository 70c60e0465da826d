"""The training of one network from scratch by a recipe, an epoch at a time: plain PyTorch, and nothing of a campaign.

SGD with momentum, a learning rate per epoch, clipped gradients, auxiliary loss, drop path and label smoothing, as in
quark0/darts' `cnn/train.py` and `train_imagenet.py` (DOC).
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.parallel import DistributedDataParallel

from benchmarks.base import DerivedNetwork, LabelledImages, Recipe
from benchmarks.errors import UserError

GAMMA = 0.97  # of an exponential decay, per epoch (quark0/darts, train_imagenet.py; DOC)


def learning_rate(recipe: Recipe, epoch: int) -> float:
    """The learning rate of an epoch, counted from 0.

    While warming up it rises linearly, so that the epoch before the decay begins would have the full one; the decay
    then takes the remaining epochs.
    """
    warm = recipe.warmup_epochs
    if epoch < warm:
        return recipe.learning_rate * (epoch + 1) / warm
    if recipe.decay == "exponential":
        return recipe.learning_rate * GAMMA ** (epoch - warm)
    share = (epoch - warm) / (recipe.epochs - warm)
    if recipe.decay == "linear":
        return recipe.learning_rate * (1 - share)
    return recipe.learning_rate * (1 + math.cos(math.pi * share)) / 2


@contextmanager
def random_stream(device: str, *names: object) -> Iterator[None]:
    """Inside, torch's global generators are those of these names; networks draw their dropped paths from them."""
    digest = hashlib.sha256("/".join(map(str, names)).encode()).digest()
    with torch.random.fork_rng(devices=[torch.device(device)] if device.startswith("cuda") else []):
        torch.manual_seed(int.from_bytes(digest[:8], "big") >> 1)
        yield


class Training:
    """A network in training on one device, alone or as one of several processes (`ranks`) that share each batch.

    All randomness is drawn from the seed and the epoch's number, so its state between two epochs is the network's and
    the optimiser's. Of several processes each normalises its own part of a batch; the running statistics are those of
    rank 0, and gradients are averaged.
    """

    def __init__(
        self,
        network: DerivedNetwork,
        recipe: Recipe,
        train: LabelledImages,
        test: LabelledImages,
        seed: int,
        device: str = "cpu",
        precision: str = "fp32",
        rank: int = 0,
        ranks: int = 1,
    ):
        self.recipe, self.train, self.test, self.seed = recipe, train, test, seed
        self.device, self.precision, self.rank, self.ranks = device, precision, rank, ranks
        self.network: Any = network.to(device=device, memory_format=torch.channels_last)  # type: ignore[attr-defined]
        # static_graph: a cell's weights off the path to its output get no gradient, the same ones at every step.
        self.model = self.network if ranks == 1 else DistributedDataParallel(self.network, static_graph=True)
        self.sgd = torch.optim.SGD(
            self.network.parameters(),
            recipe.learning_rate,
            momentum=recipe.momentum,
            weight_decay=recipe.weight_decay,
        )

    def epoch(self, number: int) -> tuple[float, int]:
        """Train for one epoch, counted from 0: its mean cross-entropy, and how many images it took on all devices.

        The auxiliary head's loss is not in the mean. UserError where the loss is not finite.
        """
        recipe = self.recipe
        self.network.train()
        self.network.drop_path = recipe.drop_path * number / recipe.epochs
        self.sgd.param_groups[0]["lr"] = learning_rate(recipe, number)
        losses, images = [], 0
        with random_stream(self.device, "drop path", self.seed, number, self.rank):
            for x, y in self.train.batches(recipe.batch_size, self.seed, number, self.rank, self.ranks):
                losses.append(self.step(self._placed(x), y.to(self.device, non_blocking=True)))
                images += len(y) * self.ranks
        mean = torch.stack(losses).mean()
        if self.ranks > 1:
            torch.distributed.all_reduce(mean)
            mean /= self.ranks
        loss = float(mean)
        if not math.isfinite(loss):
            what = "NaN" if math.isnan(loss) else "infinite"
            rate = f"learning rate {learning_rate(recipe, number):g}, precision {self.precision}"
            raise UserError(f"the training loss is {what} in epoch {number + 1} of {recipe.epochs}: diverged at {rate}")
        return loss, images

    def _placed(self, x: Tensor) -> Tensor:
        return x.to(self.device, non_blocking=True, memory_format=torch.channels_last)

    def _autocast(self) -> torch.autocast:
        kind = torch.device(self.device).type
        return torch.autocast(kind, dtype=torch.bfloat16, enabled=self.precision == "bf16")

    def step(self, x: Tensor, y: Tensor) -> Tensor:
        """One step of SGD; returns the batch's loss before it, on the device, so that no step waits for it."""
        recipe = self.recipe
        self.sgd.zero_grad()
        with self._autocast():
            logits, auxiliary = self.model(x)
        loss = F.cross_entropy(logits.float(), y, label_smoothing=recipe.label_smoothing)
        total = loss
        if auxiliary is not None:
            total = loss + recipe.auxiliary * F.cross_entropy(
                auxiliary.float(), y, label_smoothing=recipe.label_smoothing
            )
        total.backward()
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), recipe.clip)
        self.sgd.step()
        return loss.detach()

    @torch.no_grad()
    def accuracy(self) -> tuple[float, int]:
        """Percent of the test images that the network classifies rightly, by its running statistics; their number."""
        self.network.eval()
        right = total = 0
        for x, y in self.test.views(self.recipe.batch_size):
            with self._autocast():
                logits, _ = self.network(self._placed(x))
            right += int((logits.argmax(1).cpu() == y.cpu()).sum())
            total += len(y)
        return 100 * right / total, total

    def state_dict(self) -> dict[str, Any]:
        """The network's weights and statistics, and the optimiser's momentum."""
        return {"network": self.network.state_dict(), "sgd": self.sgd.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on where `state_dict` was taken."""
        self.network.load_state_dict(state["network"])
        self.sgd.load_state_dict(state["sgd"])

    def close(self) -> None:
        """Nothing to free: it lives in this process alone."""
