"""The interface of all searchers: a Searcher is given a SearchTask, and each of its steps returns a Step.

A searcher never scores itself. The runner builds the task from copies of the benchmark's data, calls `step()` until it
returns None because the budget is spent, and then looks up the cells in the benchmark.
"""

from __future__ import annotations

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError

from benchmarks.base import Cell, LowFidelity, NetworkSize, SearchSpace
from benchmarks.errors import UserError, suggestion

if TYPE_CHECKING:  # multi-trial searches never import torch
    import torch

    from benchmarks.images import Images

# name -> "module:class". A class is imported only when its searcher is used, since most import torch.
SEARCHERS: dict[str, str] = {
    "random": "searchers.random_search:RandomSearch",
    "evolution": "searchers.evolution:Evolution",
    "local": "searchers.local_search:LocalSearch",
    "reinforce": "searchers.reinforce:Reinforce",
    "rsws": "searchers.rsws:RandomSearchWithWeightSharing",
    "enas": "searchers.enas:ENAS",
    "darts": "searchers.darts:DARTS",
    "gdas": "searchers.gdas:GDAS",
    "pcdarts": "searchers.pcdarts:PCDARTS",
    "drnas": "searchers.drnas:DrNAS",
    "betadarts": "searchers.betadarts:BetaDARTS",
    "cso": "searchers.cso:CompetitiveSwarm",
    "cso-table": "searchers.cso:TableSwarm",
    "cmaes": "searchers.cmaes:CMAES",
    "cmaes-table": "searchers.cmaes:TableCMAES",
    "zero-order": "searchers.zero_order:ZeroOrder",
    "gicso": "searchers.gicso:GICSO",
    "training-free": "searchers.training_free:TrainingFree",
    "params": "searchers.training_free:LargestParameters",
    "flops": "searchers.training_free:LargestMultiplyAdds",
}

KINDS = ("one-shot", "multi-trial", "training-free")  # trains a supernet, queries the proxy, scores untrained networks
REFUSALS = 100_000  # queries refused in a row before an error; a search may first try all cells for an affordable one


class Settings(BaseModel):
    """Base class of a searcher's validated hyper-parameters: unknown names are errors, and values cannot be changed."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


@dataclass(frozen=True)
class Budget:
    """What a search may spend: epochs (one-shot searchers) or simulated seconds (multi-trial ones).

    A training-free searcher's settings say how many cells it scores.
    """

    epochs: int = 0
    simulated_seconds: float = 0.0


@dataclass(frozen=True)
class Step:
    """What a step returns: the cell that is the search's answer if it stops now.

    `cell` is a tuple with the number of an operation for each edge of the space; lists and numpy integers are accepted.
    `alphas` is (edges, operations) or None. `metrics` are written to the trace: numbers, strings, lists of numbers.

    A run fails as diverged where alphas, or metrics named as a loss, score, accuracy, error, reward or fitness, are not
    finite. A one-shot searcher's `train_loss` is the mean cross-entropy of the epoch; a training-free one's `share` is
    how much of the search is done, from 0 to 1.
    """

    cell: Cell
    alphas: np.ndarray | None = None
    metrics: Mapping[str, float | int | str | list[float]] = field(default_factory=dict)


@dataclass
class SearchTask:
    """All that a searcher may know: the space, copies of images or of the proxy, a budget, random streams.

    `size` is the size of the supernet. `low_fidelity` is for multi-trial searchers alone; it is asked through `proxy`,
    which advances the simulated clock: a run in which it was asked in another way fails. All others have images.
    """

    seed: int
    dataset: str
    space: SearchSpace
    size: NetworkSize
    budget: Budget
    batch_size: int = 64
    train: Images | None = None
    valid: Images | None = None
    device: str = "cpu"
    precision: str = "fp32"
    low_fidelity: LowFidelity | None = None
    simulated_seconds: float = 0.0
    evaluations: int = 0
    train_images: int = 0
    eval_images: int = 0
    _refusals: int = field(default=0, repr=False)
    _streams: dict[str, np.random.Generator] = field(default_factory=dict, repr=False)
    _torch_streams: dict[str, torch.Generator] = field(default_factory=dict, repr=False)

    @property
    def shape(self) -> tuple[int, int]:
        """Shape of the architecture parameters: (edges, operations)."""
        return len(self.space.edges), len(self.space.operations)

    def seed_of(self, purpose: str) -> int:
        """A 63-bit seed for one purpose, the same in any process."""
        digest = hashlib.sha256(f"{self.seed}/{purpose}".encode()).digest()
        return int.from_bytes(digest[:8], "big") >> 1

    def stream(self, purpose: str) -> np.random.Generator:
        """The random generator of one purpose; its position is part of the task's state."""
        if purpose not in self._streams:
            self._streams[purpose] = np.random.default_rng(self.seed_of(purpose))
        return self._streams[purpose]

    def torch_stream(self, purpose: str) -> torch.Generator:
        """The torch generator of one purpose, on the task's device; its position is part of the task's state."""
        if purpose not in self._torch_streams:
            import torch

            generator = torch.Generator(self.device)
            generator.manual_seed(self.seed_of(purpose))
            self._torch_streams[purpose] = generator
        return self._torch_streams[purpose]

    def proxy(self, cell: Cell) -> tuple[float, float] | None:
        """Query a cell: low-fidelity validation accuracy (percent) and its simulated seconds; advances the clock.

        None, at no cost, where the query would overrun the budget. A repeated cell costs its seconds again. UserError
        where a search would never end: a query that costs no time, or too many refused queries in a row.
        """
        if self.low_fidelity is None:
            raise UserError("this task has no low-fidelity proxy; run a one-shot searcher instead")
        accuracy, seconds = self.low_fidelity(cell)
        if not self.simulated_seconds + seconds <= self.budget.simulated_seconds:
            self._refusals += 1
            if self._refusals == REFUSALS:
                raise UserError(
                    f"step() must give None when the budget, {self.budget.simulated_seconds:g} simulated seconds, is "
                    f"spent: task.proxy() has given None {REFUSALS:,} times in a row"
                )
            return None
        self._refusals = 0
        if not self.simulated_seconds + seconds > self.simulated_seconds:
            name = self.space.to_string(cell)
            raise UserError(f"a query of cell {name} takes {seconds:g} simulated seconds: the budget never ends")
        self.simulated_seconds += seconds
        self.evaluations += 1
        return accuracy, seconds

    def count(self, evaluations: int = 0, train_images: int = 0, eval_images: int = 0) -> None:
        """Count work: candidates scored, images trained on, images on which candidates were scored.

        Every candidate that is scored counts, also one whose cell is scored twice; a score that a searcher remembers
        does not.
        """
        self.evaluations += evaluations
        self.train_images += train_images
        self.eval_images += eval_images

    def state_dict(self) -> dict[str, Any]:
        # numpy states hold 128-bit integers: JSON keeps the checkpoint loadable with weights_only=True.
        return {
            "streams": {k: json.dumps(g.bit_generator.state) for k, g in self._streams.items()},
            "torch_streams": {k: g.get_state() for k, g in self._torch_streams.items()},
            "counters": [self.evaluations, self.train_images, self.eval_images],
            "simulated_seconds": self.simulated_seconds,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        for purpose, text in state["streams"].items():
            self.stream(purpose).bit_generator.state = json.loads(text)
        for purpose, value in state["torch_streams"].items():
            self.torch_stream(purpose).set_state(value)
        self.evaluations, self.train_images, self.eval_images = state["counters"]
        self.simulated_seconds = state["simulated_seconds"]


class Searcher(ABC):
    """Base class of all searchers.

    It is constructed with a fresh task, and `step()` is called until it returns None. Between two steps `state_dict()`
    may be taken; a new searcher that loads it continues exactly as this one would have.
    """

    name: ClassVar[str]
    kind: ClassVar[str]  # one of KINDS
    Config: ClassVar[type[Settings]] = Settings
    ablations: ClassVar[dict[str, dict[str, Any]]] = {}  # what an ablation removes -> changed settings
    reference_epochs: ClassVar[int] = 0  # epochs of a one-shot method's own protocol, for the preset paper
    needs_proxy: ClassVar[bool] = True  # of a multi-trial searcher: that a benchmark without a proxy cannot run it
    answer_rule: ClassVar[str] = "that of the last step"  # which cell is the answer, for the report's footnote
    development: ClassVar[str] = ""  # how many of its settings were tried while it was made, for the same

    def __init__(self, task: SearchTask, config: Any):
        self.task = task
        self.config = config

    @classmethod
    def key_settings(cls, config: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        """Searcher name and settings for a run's key. Searchers renamed or split since then return their old ones."""
        return cls.name, config

    @classmethod
    def uses_seed(cls, config: Any, space: SearchSpace) -> bool:
        """Whether another seed may give another answer. One run says all of a search that uses none."""
        return True

    @abstractmethod
    def step(self) -> Step | None:
        """Advance by one epoch (one-shot), one query (multi-trial) or some cells (training-free); None when finished.

        A one-shot searcher makes at most `task.budget.epochs` steps. A multi-trial one finishes when `task.proxy`
        returns None, at the latest 1,000 steps after its last query; a training-free one 1,000 steps after the last
        evaluation that it counted. A run with more steps fails.
        """

    def one_shot_losses(self, candidates: Sequence[Cell], images: int) -> np.ndarray | None:
        """Validation loss of each cell in the trained supernet, (len(candidates),); None without a supernet.

        Called once after the search, to compare the supernet with the benchmark's table. The run fails as diverged
        where a loss is not finite.
        """
        return None

    def one_shot_accuracies(self, candidates: Sequence[Cell], images: int) -> np.ndarray | None:
        """Accuracy in percent of each cell on the images of `one_shot_losses`; None where it is not known.

        Called only where no loss is better than that of guessing.
        """
        return None

    def training_free_scores(self, candidates: Sequence[Cell]) -> np.ndarray | None:
        """How a training-free search likes each cell, the higher the better, (len(candidates),); None for all others.

        Called once after the search, to compare these scores with the benchmark's table.
        """
        return None

    @abstractmethod
    def state_dict(self) -> dict[str, Any]:
        """The searcher's whole state by name, without the task's.

        Values are tensors, numpy arrays and numbers, numbers, strings, None, and lists, tuples, sets, deques and dicts
        of these. `load_state_dict` gets the same types back, except that numpy numbers in sets and as keys of dicts
        become equal Python numbers.
        """

    @abstractmethod
    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a state that `state_dict` returned."""


def diverged(settings: Any) -> str:
    """The end of an error message about divergence: which learning rates to lower, with their present values."""
    values = {name: getattr(settings, name, None) for name in ("lr", "alpha_lr")}
    rates = [f"{name} ({value:g})" for name, value in values.items() if isinstance(value, int | float)]
    return f"diverged; try a lower {' or '.join(rates) or 'learning rate'}"


def configure(searcher: type[Searcher], settings: Mapping[str, Any]) -> Any:
    """Validated settings of a searcher; UserError naming the setting, its value and what is allowed."""
    try:
        return searcher.Config(**settings)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"]) or "settings"
        if first["type"] == "extra_forbidden":
            hint = suggestion(key, list(searcher.Config.model_fields))
            raise UserError(f"searcher {searcher.name!r} has no setting {key!r}{hint}") from None
        raise UserError(f"{searcher.name}[{key}={first.get('input')!r}]: {first['msg']}") from None
