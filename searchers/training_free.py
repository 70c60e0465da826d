"""Training-free search: cells are ranked by scores of their untrained networks or by their size.

Each network is of the supernet's size, has the initial weights that one seed gives, and sees one batch of training
images; nothing of a cell's accuracy is seen. Of several scores the ranks are added, as in FreeREA (Cavagnero et al.,
WACV 2023); a cell without a finite score comes last. `training-free` draws its cells at random; `params` and `flops`
take the largest network of the whole space, or of drawn cells where it cannot be enumerated: what no search is needed
to find. Source of the scores: `zero_cost.py`. The number of cells, 1,000, is NASWOT's largest sample (Mellor et al.,
ICML 2021); that networks have the search's size is INFERRED, the papers' are of full size.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from pydantic import Field, field_validator
from scipy.stats import rankdata

from benchmarks.base import Cell, SearchSpace, identifier
from benchmarks.errors import suggestion
from benchmarks.images import Batches
from searchers.base import Searcher, SearchTask, Settings, Step
from searchers.zero_cost import SCORES

SAMPLE = 1000  # cells of a space that cannot be enumerated
SIZES = ("params", "flops")  # scores that need no network, as `SearchSpace.costs` gives them


class CostSettings(Settings):
    cells: int = Field(0, ge=0)  # how many are drawn; 0: all of the space, or 1,000 where it cannot be enumerated


class ScoreSettings(Settings):
    score: str = "naswot+synflow"  # one of zero_cost.SCORES, or several joined by +
    cells: int = Field(SAMPLE, ge=0)

    @field_validator("score")
    @classmethod
    def _known(cls, value: str) -> str:
        return known_scores(value)


def known_scores(value: str) -> str:
    """Names of `zero_cost.SCORES`, joined by +, without spaces; ValueError for an unknown or a repeated one."""
    names = [name.strip() for name in value.split("+")]
    for name in names:
        if name not in SCORES:
            raise ValueError(f"no score {name!r}{suggestion(name, list(SCORES))}")
    if len(set(names)) < len(names):
        raise ValueError("a score is given twice")
    return "+".join(names)


def rank_sum(scores: np.ndarray) -> np.ndarray:
    """Sum over scores of a cell's rank among the cells, 1 the lowest; (cells, scores) to (cells,).

    0 where a score is not finite.
    """
    finite = np.isfinite(scores).all(axis=1)
    total = np.zeros(len(scores))
    if finite.any():
        total[finite] = rankdata(scores[finite], axis=0).sum(axis=1)
    return total


class UntrainedScores:
    """Scores of cells' untrained networks, which are of the supernet's size and have the weights that one seed gives.

    `names` are of `zero_cost.SCORES`.
    """

    def __init__(self, task: SearchTask, names: Sequence[str]):
        assert task.train is not None
        self.task, self.names = task, list(names)
        drawn = Batches(task.train, task.batch_size, task.torch_stream("batch"), augmented=False)
        self.batches = [drawn.next() for _ in range(max(SCORES[name].batches for name in self.names) or 1)]
        self.images = len(self.batches[0][0]) * sum(SCORES[name].batches for name in self.names)  # of a cell
        self.costs: dict[str, np.ndarray] = {}  # of all cells by index, where they can be enumerated
        if task.space.size is not None:
            sizes = task.space.costs(task.size, task.train.pixels.shape[-1])
            self.costs = dict(zip(SIZES, sizes, strict=True))

    def __call__(self, cells: Sequence[Cell]) -> np.ndarray:
        """The scores of each cell, the higher the better, (cells, scores); not finite where a network has none."""
        return np.array([[self._score(cell, name) for name in self.names] for cell in cells], dtype=np.float64)

    def _score(self, cell: Cell, name: str) -> float:
        if name in self.costs:
            index = self.task.space.index(cell)
            assert index is not None
            return float(self.costs[name][index])
        with torch.random.fork_rng(devices=[]):  # the global generator stays as it was
            torch.manual_seed(self.task.seed_of("network"))
            net = self.task.space.network(cell, self.task.size).to(self.task.device)
            return SCORES[name].compute(net, self.batches)


class TrainingFree(Searcher):
    """A step is a cell; where its scores need no network, the only step has all of them."""

    name = "training-free"
    kind = "training-free"
    Config: ClassVar[type[Settings]] = ScoreSettings
    answer_rule = "the one with the largest rank sum of the scores"

    def __init__(self, task: SearchTask, config: Any):
        super().__init__(task, config)
        self.score, space = UntrainedScores(task, self.score_names(config)), task.space
        rng, cells = task.stream("cells"), config.cells
        if space.size is None:
            self.cells = [space.sample(rng) for _ in range(cells or SAMPLE)]
        else:
            every = self.scores_every_cell(config, space)
            chosen = range(space.size) if every else rng.choice(space.size, cells, replace=False)
            self.cells = [space.parse(int(index)) for index in chosen]
        self.values = np.empty((0, len(self.score.names)))

    @classmethod
    def score_names(cls, config: Any) -> list[str]:
        return config.score.split("+")

    @staticmethod
    def scores_every_cell(config: Any, space: SearchSpace) -> bool:
        """Whether all cells of the space are scored, and none is drawn."""
        return space.size is not None and not 0 < config.cells < space.size

    @classmethod
    def uses_seed(cls, config: Any, space: SearchSpace) -> bool:
        """Not where all cells of the space are scored by their size."""
        return not (cls.scores_every_cell(config, space) and set(cls.score_names(config)) <= set(SIZES))

    def step(self) -> Step | None:
        done = len(self.values)
        at_once = len(self.cells) if set(self.score.names) <= set(self.score.costs) else 1
        cells = self.cells[done : done + at_once]
        if not cells:
            return None
        values = self.score(cells)
        self.values = np.concatenate([self.values, values])
        self.task.count(evaluations=len(cells), eval_images=len(cells) * self.score.images)
        metrics: dict[str, Any] = {"share": len(self.values) / len(self.cells)}
        metrics["not_finite"] = int((~np.isfinite(self.values)).any(axis=1).sum())
        if len(cells) == 1:
            metrics |= {"queried": identifier(self.task.space, cells[0])}
            metrics |= dict(zip(self.score.names, values[0].tolist(), strict=True))
        return Step(self.cells[int(rank_sum(self.values).argmax())], metrics=metrics)

    def training_free_scores(self, candidates: Sequence[Cell]) -> np.ndarray | None:
        return rank_sum(self.score(candidates))

    def state_dict(self) -> dict[str, Any]:
        return {"values": self.values.tolist()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.values = np.array(state["values"]).reshape(-1, len(self.score.names))


class LargestParameters(TrainingFree):
    name = "params"
    Config = CostSettings

    @classmethod
    def score_names(cls, config: Any) -> list[str]:
        return [cls.name]


class LargestMultiplyAdds(LargestParameters):
    name = "flops"
