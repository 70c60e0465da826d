"""What searchers and harness see of a benchmark: search space, supernet, scores and where they come from."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol, TypeAlias

import numpy as np
from pydantic import BaseModel, ConfigDict, SerializerFunctionWrapHandler, model_serializer

if TYPE_CHECKING:  # multi-trial searches never import torch
    from torch import Tensor, nn

    from benchmarks.images import Images


class Score(NamedTuple):
    """One accuracy of a cell and its origin; a value is never handed out without them."""

    value: float  # percent
    trials: int  # how many trainings (seeds) the mean is over
    record: str  # what the network was trained on: cifar10-valid, cifar10, cifar100, ImageNet16-120
    split: str  # what it was measured on: x-valid, x-test, ori-test
    epochs: int  # length of the training schedule


@dataclass(frozen=True)
class NetworkSize:
    """How large a network of cells is: what a supernet or a stand-alone network needs to know besides the cells."""

    channels: int  # of the first stage (C)
    cells: int  # a stage (N)
    in_channels: int
    num_classes: int


class Preset(BaseModel):
    """How large the searches of a campaign are. Files and run keys have only the fields that were set.

    For imported cells only the name is set.
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="allow")

    name: str = ""
    channels: int = 0  # of the supernet's first stage (C)
    cells: int = 0  # of the supernet a stage (N)
    resolution: int = 0  # height and width of the images, pixels
    images: int | None = None  # of the training and of the validation part, from its start; None: all
    epochs: int | None = None  # of one-shot searchers; None: each searcher's reference epochs
    batch_size: int = 0
    simulated_seconds: float = 0.0  # that multi-trial searchers may spend on queries

    @model_serializer(mode="wrap")
    def _fields_set(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {name: value for name, value in dump(self).items() if name in self.model_fields_set}


class Recipe(BaseModel):
    """How the network of one cell is trained from scratch, and how large it is."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    name: str
    channels: int  # C of the network
    cells: int  # of the whole network (L)
    resolution: int  # height and width of the images that the network sees, pixels
    images: int | None = None  # of the training part, from its start; None: all
    epochs: int
    batch_size: int  # on all devices together
    learning_rate: float = 0.025  # of the first epoch, SGD
    decay: Literal["cosine", "linear", "exponential"] = "cosine"  # per epoch, to 0; exponential: times 0.97
    warmup_epochs: int = 0  # in which the learning rate rises linearly to its first value
    momentum: float = 0.9
    weight_decay: float = 3e-4
    clip: float = 5.0  # largest norm of the gradient
    cutout: int = 0  # side of the square that is set to the mean colour, pixels
    auxiliary: float = 0.0  # weight of the auxiliary head's loss; 0: no such head
    drop_path: float = 0.0  # probability in the last epoch; it rises linearly from 0
    label_smoothing: float = 0.0


Cell = tuple[int, ...]  # an operation's number for each edge of a space, `none` where an edge is not chosen


class Edge(NamedTuple):
    """An edge of a cell: where a node's input comes from. Cell types are e.g. normal and reduction cells."""

    cell_type: str
    source: int
    target: int


class Sampled(NamedTuple):
    """One path whose weights carry gradients: `weights` (edges, operations) is 1 at the cell's and 0 elsewhere."""

    cell: Cell
    weights: Tensor


Choice: TypeAlias = "Cell | Tensor | Sampled"  # a tensor: mixture weights (edges, operations)


def identifier(space: SearchSpace, cell: Cell) -> int | str:
    """A cell in short: its index where the space has an official order, else its string. `space.parse` reads both."""
    index = space.index(cell)
    return space.to_string(cell) if index is None else index


class Supernet(Protocol):
    """The network of all cells of a space with shared weights: a torch module whose parameters are w alone.

    For partial channels (`mixed_share` above 1) a mixture has one more column: the weight β of each edge, by which the
    weights of its operations have been multiplied already.
    """

    def __call__(self, x: Tensor, choice: Choice) -> Tensor:
        """Logits (B, classes) of images (B, in_channels, H, W) through one path or a mixture."""

    def to(self, device: str) -> Supernet: ...

    def parameters(self) -> Iterator[Tensor]: ...

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state: dict[str, Any]) -> Any: ...

    def losses(self, choices: Sequence[Tensor | Cell], x: Tensor, y: Tensor) -> list[float]:
        """Mean cross-entropy of each choice on one batch, without gradients, with the batch's statistics."""

    def accuracies(self, choices: Sequence[Tensor | Cell], x: Tensor, y: Tensor) -> list[float]:
        """Percent of one batch that each choice classifies rightly, else as `losses`."""


class SearchSpace(Protocol):
    """The cells that a search chooses from, and their networks. Stateless; it knows no accuracy.

    Architecture parameters are one array, (edges, operations), in the orders given here. A module that defines these
    names is a search space: `benchmarks/nb201/space.py`.
    """

    name: str
    operations: tuple[str, ...]
    none: int  # the operation that leaves an edge out
    edges: tuple[Edge, ...]
    incoming: tuple[slice, ...]  # for each computed node, the rows (edges) that enter it
    size: int | None  # number of cells; None where they cannot be enumerated
    supernet_version: int  # of what the supernet computes, from 1; in the key of runs that train one

    def derive(self, alphas: Any, keep_none: bool = True, edge_weights: np.ndarray | None = None) -> Cell:
        """The cell of architecture parameters; `edge_weights` (edges,) may decide which edges stay.

        UserError for another shape or NaN.
        """

    def sample(self, rng: np.random.Generator, none: bool = True) -> Cell:
        """A cell drawn uniformly; with `none` False, from the cells that leave no edge out."""

    def allowed(self, prefix: Sequence[int]) -> tuple[int, ...]:
        """The operations that the edge after these may have, so that the whole can become a cell."""

    def mutate(self, cell: Cell, rng: np.random.Generator) -> Cell:
        """A neighbour drawn uniformly."""

    def neighbours(self, cell: Cell) -> list[Cell]:
        """All cells that differ in one decision."""

    def to_string(self, cell: Cell) -> str:
        """The cell's identity in records, tables and everywhere; `parse` reads it."""

    def parse(self, spelling: Any) -> Cell:
        """A cell from any accepted spelling; UserError saying what is wrong and where."""

    def index(self, cell: Cell) -> int | None:
        """The cell's number where the space has an official order, else None."""

    def canonical(self, cell: Cell) -> str:
        """A name that isomorphic cells share, as the space's authors count them."""

    def function_name(self, cell: Cell) -> str:
        """A name that two cells share exactly if they compute the same function."""

    def operation_counts(self, cell: Cell) -> list[int]:
        """How many edges have each operation."""

    def is_collapsed(self, cell: Cell) -> bool:
        """Whether no operation with weights lies on any path from an input to the output."""

    def is_connected(self, cell: Cell) -> bool:
        """Whether the output depends on an input."""

    def supernet(self, size: NetworkSize, seed: int, mixed_share: int = 1) -> Supernet:
        """The supernet, initialised from the seed; of a mixture's channels one in `mixed_share` is mixed (PC-DARTS)."""

    def plain_supernet(self, size: NetworkSize) -> nn.Module:
        """The supernet written the obvious way, (x, choice) -> logits: the other side of speed ratios."""

    def network(self, cell: Cell, size: NetworkSize) -> nn.Module:
        """The stand-alone network of one cell, images -> logits."""

    def plain_network(self, cell: Cell, size: NetworkSize) -> nn.Module:
        """The same network of PyTorch's own layers: the other side of speed ratios."""

    def costs(self, size: NetworkSize, resolution: int) -> tuple[np.ndarray, np.ndarray]:
        """Parameters and multiply-adds of all cells' networks by index, each (cells,).

        Called only where the cells can be enumerated.
        """


class DerivedNetwork(Protocol):
    """The network of one cell that is trained from scratch: a torch module."""

    drop_path: float  # probability with which training leaves a path out, for each image

    def __call__(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """Logits (B, classes) and, in training mode, those of the auxiliary head where there is one."""


class LabelledImages(Protocol):
    """Labelled images that a derived network is trained or tested on, in memory or in files."""

    @property
    def classes(self) -> int: ...

    @property
    def checksum(self) -> str:
        """A hash of what decides them: pixels and labels, or of files their names and sizes."""

    def __len__(self) -> int:
        """How many images there are."""

    def batches(
        self, size: int, seed: int, epoch: int, rank: int = 0, ranks: int = 1
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """One epoch of whole batches, shuffled and augmented: float (size/ranks, C, H, W) and labels (size/ranks,).

        All is drawn from (seed, epoch) alone. Of each batch, rank `rank` gets its own part; together the parts are what
        one rank alone would get.
        """

    def views(self, size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """All images once, in their order and without augmentation; the last batch may be smaller."""


class Evaluation(Protocol):
    """What it takes to train the network of a cell from scratch."""

    @property
    def recipes(self) -> Mapping[str, Recipe]:
        """By name; those of the search's presets among them."""

    @property
    def targets(self) -> tuple[str, ...]:
        """The data sets that a network can be trained on; the first is the default."""

    def recipe(self, target: str, name: str) -> Recipe:
        """The recipe of that name as it is for a target; UserError where there is none."""

    def images(self, target: str, recipe: Recipe) -> tuple[LabelledImages, LabelledImages]:
        """Training and test images of a target; UserError where they are not in the data folders."""

    def network(self, cell: Cell, target: str, recipe: Recipe, seed: int) -> DerivedNetwork:
        """The network of a cell for a target's images and classes, initialised from the seed."""

    def multiply_adds(self, cell: Cell, target: str, recipe: Recipe) -> int:
        """Of one image's pass through the network's convolutions and linear maps, without an auxiliary head."""


LowFidelity: TypeAlias = "Callable[[Cell], tuple[float, float]]"  # -> validation accuracy (percent), seconds it costs


class Summary(NamedTuple):
    """Where the cells of a benchmark's table lie on one data set and split."""

    epochs: int  # length of the training schedule
    cells: int  # that the table holds
    optimum: Cell  # the lowest index where several are equal
    value: float  # its accuracy, percent
    mean: float
    quantiles: list[float]  # 1,001, in steps of 0.1 %
    trial_std: Sequence[float] = ()  # of single trainings of a cell, in each tenth of the cells from the worst on


class Sample(NamedTuple):
    """Cells with which a supernet is compared after the search; nothing reads their accuracies before."""

    cells: list[Cell]
    accuracies: np.ndarray  # final ones, percent, (cells,): validation accuracies where a table has them
    others: Mapping[str, np.ndarray] = {}  # figures that need no training, to compare with; (cells,) each
    ceiling: float | None = None  # the correlation that a perfect score would have with these noisy accuracies
    pairs: int = 0  # of trainings of one cell, from which the ceiling is known
    private: bool = False  # whether records may not keep cells and accuracies


class Benchmark(Protocol):
    """A search space, the images to search on, and the scores of cells after a search."""

    @property
    def name(self) -> str: ...

    @property
    def version(self) -> str:
        """A checksum of all that scores are read from."""

    @property
    def source(self) -> str:
        """Where the scores come from, in words."""

    @property
    def space(self) -> SearchSpace: ...

    @property
    def datasets(self) -> tuple[str, ...]:
        """The data sets on which cells are scored; the first is searched on by default."""

    @property
    def splits(self) -> tuple[str, ...]: ...

    @property
    def presets(self) -> Mapping[str, Preset]:
        """By name; neither the name nor the simulated seconds are in them."""

    @property
    def simulated_seconds(self) -> float:
        """The budget of multi-trial searchers."""

    def size(self, dataset: str, preset: Preset) -> NetworkSize:
        """The size of the supernet for a search on this data set."""

    def search_data(self, dataset: str, preset: Preset) -> tuple[Images, Images]:
        """Training and validation images of a search, disjoint; nothing in them leads to a test image."""

    def low_fidelity(self, dataset: str) -> LowFidelity | None:
        """The function that multi-trial searchers query, made of copies; None where the benchmark has none.

        UserError where some cell has no value.
        """

    def low_fidelity_cost(self, dataset: str) -> str:
        """What the seconds of a query consist of, in words."""

    def require_scores(self) -> None:
        """UserError where some cell has no score: a search might end with that one."""

    def score(self, cell: Cell, dataset: str, split: str) -> Score | None:
        """The final accuracy of a cell; None where its network must be trained first."""

    def summary(self, dataset: str, split: str) -> Summary | None:
        """Optimum, mean and quantiles of all cells in the table; None without a table."""

    def histogram(self, dataset: str, width: float) -> list[list[int]] | None:
        """Counts [validation bin, test bin, cells] of a table's cells in bins of `width` points; None without one."""

    @property
    def evaluation(self) -> Evaluation | None:
        """How answers are trained from scratch; None where a table has their scores."""

    def sample(self, dataset: str, count: int) -> Sample | None:
        """At most so many cells with final accuracies, the same ones each time; None where none are known."""


@dataclass(frozen=True)
class Entry:
    """A benchmark as the registry knows it, before any of its files is opened."""

    name: str
    text: str  # one line about it
    space: SearchSpace
    datasets: tuple[str, ...]
    presets: Mapping[str, Preset]
    simulated_seconds: float
    open: Callable[[Path | None, Sequence[Path]], Benchmark]  # of a table's file (None: its own) and the data folders
    takes_table: bool = False  # whether `--table` may name another table than its own
    # Whether a data set's images are in one of the data folders, or come with the benchmark.
    has_images: Callable[[Sequence[Path], str], bool] = lambda places, dataset: True
    published: Callable[[], list[dict[str, str]]] = list  # rows of the literature
    beside_published: str = ""  # what has to be said beside them, a sentence
    bibliography: Callable[[], str] = str  # BibTeX entries that they cite
    describe: Callable[[Cell], list[str]] = lambda cell: []  # a cell in the space's own notations, lines
    details: Callable[[Benchmark, Cell], list[str]] = (
        lambda benchmark, cell: []
    )  # its cost and all that is stored of it
    recipes: Mapping[str, Recipe] = field(default_factory=dict)  # by name, where answers are trained from scratch
    # Recipe -> rank correlation with trainings of full length, and its 95 % interval, where they were measured.
    agreement: Mapping[str, tuple[float, float, float]] = field(default_factory=dict)
    full: str = "paper"  # the recipe of full length
    tools: str = ""  # a module with what `data` and `doctor` offer for its files: check, info, convert, build
