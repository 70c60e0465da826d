"""One evaluation: a cell's network, trained from scratch by a recipe and tested once, after the last epoch.

It is a job like a search (`jobs.py`). Its key is of the cell and not of who found it, so equal answers share one.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from benchmarks import registry
from benchmarks.base import Benchmark, Evaluation, LabelledImages, Recipe
from benchmarks.errors import UserError
from harness import store
from harness.provenance import environment
from harness.schema import EvaluationRecord, Trainings
from harness.specs import digest

if TYPE_CHECKING:
    from harness.ranks import Ranks
    from harness.training import Training


class EvaluationPlan(NamedTuple):
    """All that decides a training from scratch, and where its images are on this machine. Plain data."""

    benchmark: str
    cell: str
    target: str
    recipe: Recipe
    seed: int
    precision: str
    threads: int
    devices: int  # that share each batch
    images: str  # checksum of training and test images
    key: str
    device: str
    places: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """The plan as JSON has it, for a process that reads it from a file."""
        return self._asdict() | {"recipe": self.recipe.model_dump(), "kind": self.kind}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> EvaluationPlan:
        """The plan that `to_json` gave."""
        fields = {name: value[name] for name in cls._fields}
        return cls(**fields | {"recipe": Recipe(**value["recipe"]), "places": tuple(value["places"])})

    @property
    def kind(self) -> str:
        return "evaluation"

    @property
    def label(self) -> str:
        return label_of(self.cell, self.target, self.recipe)

    @property
    def spec(self) -> str:
        return self.label

    @property
    def uses_torch(self) -> bool:
        return True

    @property
    def steps(self) -> int | None:
        return self.recipe.epochs

    @property
    def record_type(self) -> type[EvaluationRecord]:
        return EvaluationRecord

    def place(self, campaign: Path) -> Path:
        """Its folder in a campaign's folder."""
        return store.evaluation_folder(campaign, self.label, self.seed)

    def identity(self) -> dict[str, Any]:
        """The fields of its record that are known before the training."""
        local = ("device", "places")
        fields = {name: value for name, value in self._asdict().items() if name not in local}
        return fields | {"label": self.label, "batch_per_device": self.recipe.batch_size // self.devices}

    def made_in(self, on_this_device: bool = True) -> dict[str, Any]:
        """The environment here."""
        return environment(self.device, uses_torch=on_this_device)

    def other_code(self, made_in: dict[str, Any]) -> str | None:
        """None: what trains a network is this program, whose revision is in the record."""
        return None

    def begin(self) -> Course:
        """The training before its first epoch; UserError where its images are not here, or are others."""
        return Course(self)

    def fraction(self, line: dict[str, Any]) -> float:
        """How much of it is done, from a line of its trace."""
        return (line["step"] + 1) / self.recipe.epochs

    def position(self, line: dict[str, Any]) -> str:
        """Epoch and loss."""
        return f"epoch {line['step'] + 1}/{self.recipe.epochs}, loss {line['train_loss']:.3f}"

    def outcome(self, record: EvaluationRecord) -> str:
        """Its test accuracy."""
        return f"{record.accuracy:.2f} % on the test images"


def label_of(cell: str, target: str, recipe: Recipe) -> str:
    """The name of the folder of a cell's trainings."""
    return f"{target}-{recipe.name}-{sha256(cell.encode()).hexdigest()[:8]}"


def plans(
    benchmark: Benchmark,
    cells: Sequence[str],
    target: str,
    how: Trainings,
    images: str,
    device: str,
    places: tuple[str, ...],
) -> list[EvaluationPlan]:
    """The trainings of these cells with every seed, seed by seed; equal cells once. `images`: from `checked_images`."""
    rows = []
    for seed in how.seeds:
        for cell in dict.fromkeys(cells):
            plan = EvaluationPlan(
                benchmark=benchmark.name,
                cell=cell,
                target=target,
                recipe=how.recipe,
                seed=seed,
                precision=how.precision,
                threads=how.threads,
                devices=how.devices,
                images=images,
                key="",
                device=device,
                places=places,
            )
            decides = plan.to_json()
            for name in ("key", "device", "places"):
                del decides[name]
            rows.append(plan._replace(key=digest(decides)))
    return rows


def checked_images(evaluation: Evaluation, target: str, recipe: Recipe, devices: int) -> str:
    """The checksum of a target's training and test images.

    UserError where they are not here, fewer than a batch, or where the devices cannot share a batch evenly.
    """
    if recipe.batch_size % devices:
        raise UserError(f"--devices {devices}: a batch of {recipe.batch_size} images cannot be shared evenly by them")
    train, test = evaluation.images(target, recipe)
    if len(train) < recipe.batch_size or not len(test):
        raise UserError(
            f"{target}: {len(train):,} training and {len(test):,} test images; recipe {recipe.name} needs a batch of "
            f"{recipe.batch_size:,} and one"
        )
    return checksum_of((train, test))


def checksum_of(images: tuple[LabelledImages, LabelledImages]) -> str:
    """Of training and test images, as a plan has it."""
    return sha256("+".join(part.checksum for part in images).encode()).hexdigest()


def _evaluation(plan: EvaluationPlan) -> tuple[Any, Evaluation]:
    """The plan's cell and what it takes to train it, on this machine."""
    benchmark = registry.find(plan.benchmark).open(None, [Path(place) for place in plan.places])
    evaluation = benchmark.evaluation
    if evaluation is None:
        raise UserError(f"{plan.benchmark}: a table has the scores of its cells; none is trained")
    return benchmark.space.parse(plan.cell), evaluation


def build(plan: EvaluationPlan, rank: int = 0) -> Training:
    """The training of a plan, or the part of it that one of several devices has."""
    import torch

    from harness.training import Training

    torch.set_num_threads(plan.threads)
    cell, evaluation = _evaluation(plan)
    train, test = images = evaluation.images(plan.target, plan.recipe)
    if checksum_of(images) != plan.images:
        raise UserError(f"{plan.target}: other images here than where the training was planned")
    network = evaluation.network(cell, plan.target, plan.recipe, plan.seed)
    device = plan.device if plan.devices == 1 or plan.device == "cpu" else f"cuda:{rank}"
    return Training(network, plan.recipe, train, test, plan.seed, device, plan.precision, rank, plan.devices)


def size_of(evaluation: Evaluation, cell: Any, target: str, recipe: Recipe) -> dict[str, int]:
    """Parameters and multiply-adds of a cell's network without its auxiliary head, as papers count them."""
    from benchmarks.layers import count_parameters

    bare = recipe.model_copy(update={"auxiliary": 0.0})
    network: Any = evaluation.network(cell, target, bare, 0)
    return {
        "parameters": count_parameters(network),
        "multiply_adds": evaluation.multiply_adds(cell, target, bare),
    }


class Course:
    """The course of one training, epoch by epoch: the `jobs.Work` of an evaluation."""

    def __init__(self, plan: EvaluationPlan):
        self.plan = plan
        self.epochs, self.seconds, self.images = 0, 0.0, 0
        self.train_loss: float | None = None
        cell, evaluation = _evaluation(plan)
        self.size = size_of(evaluation, cell, plan.target, plan.recipe)
        self.training: Training | Ranks
        if plan.devices == 1:
            self.training = build(plan)
        else:
            from harness.ranks import Ranks

            self.training = Ranks(partial(build, plan), plan.devices, plan.device)

    def step(self) -> dict[str, Any] | None:
        from harness.training import learning_rate

        recipe = self.plan.recipe
        if self.epochs == recipe.epochs:
            return None
        start = time.perf_counter()
        loss, images = self.training.epoch(self.epochs)
        seconds = time.perf_counter() - start
        line = {
            "step": self.epochs,
            "train_loss": loss,
            "learning_rate": learning_rate(recipe, self.epochs),
            "seconds": round(seconds, 4),
        }
        self.epochs, self.train_loss = self.epochs + 1, loss
        self.seconds, self.images = self.seconds + seconds, self.images + images
        return line

    def state_dict(self) -> dict[str, Any]:
        done = {name: getattr(self, name) for name in ("epochs", "seconds", "images", "train_loss")}
        return done | {"training": self.training.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.training.load_state_dict(state["training"])
        for name in ("epochs", "seconds", "images", "train_loss"):
            setattr(self, name, state[name])

    def answer(self, folder: Path) -> dict[str, Any]:
        """The record's fields; only here are the test images read."""
        accuracy, test_images = self.training.accuracy()
        return {
            "accuracy": accuracy,
            "test_images": test_images,
            "train_loss": self.train_loss,
            **self.size,
            "seconds": self.seconds,
            "train_images": self.images,
        }

    def close(self) -> None:
        self.training.close()
