"""A competitive swarm of architecture parameters on a supernet: when it moves, how particles are scored, diversity.

`cso` and `gicso` share it; the rules by which particles move are in `swarm.py`. All of it is INFERRED.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal, TypeAlias

import numpy as np
from pydantic import Field
from scipy.special import softmax
from scipy.stats import rankdata
from torch import Tensor

from benchmarks.base import Cell
from searchers.base import Settings
from searchers.one_shot import WeightTraining, is_due
from searchers.swarm import Swarm

Train: TypeAlias = Callable[[Callable[[int], None]], dict[str, float]]  # an epoch; calls its argument after a batch


class ParticleSettings(Settings):
    """The size of a swarm, its first positions and its bounds; INFERRED."""

    population: int = Field(24, ge=6)
    spread: float = Field(1.0, gt=0)  # standard deviation of the first positions
    box: float = Field(3.0, gt=0)  # alphas live in [−box, box]


class SwarmSettings(ParticleSettings):
    """How a supernet scores a swarm of alphas, and when; INFERRED, mostly from reduced-scale experiments."""

    generations: int = Field(2, ge=1)  # in an epoch, evenly spaced; at most one a batch
    # error: share of images that the arg-max path misclassifies (as in CMANAS); loss: its loss; mixture: the softmax
    # mixture's loss.
    fitness: Literal["error", "loss", "mixture"] = "error"
    fitness_batch: int = Field(512, ge=2)  # images that share batch statistics
    fitness_images: int = Field(512, ge=2)  # of one scoring; the last one of a pass may have fewer


def mean_distance(scores: np.ndarray, particles: np.ndarray, best: np.ndarray, weight: float) -> np.ndarray:
    """score − λ·D/D_max, D a particle's mean distance to all others (INFERRED)."""
    return scores - weight * relative_distances(particles)


def dfdb(scores: np.ndarray, particles: np.ndarray, best: np.ndarray, weight: float) -> np.ndarray:
    """(1 − λ)·score/score_max − λ·d/d_max, d the distance to g: both terms normalised, as in DFDBCSO.

    DOC: RuiZhong961230/DFDBCSO's README, a·fit/fit_max + (1 − a)·dist/dist_max, a = t/T; there fitness is maximised.
    """
    d = np.linalg.norm(softmaxed(particles) - softmaxed(best[None]), axis=1)
    return (1 - weight) * _of_largest(scores) - weight * _of_largest(d)


def cosine(scores: np.ndarray, particles: np.ndarray, best: np.ndarray, weight: float) -> np.ndarray:
    """score + λ·cos(α, α of the answer), as in EG-NAS (DOC: its code); here the answer is g (INFERRED)."""
    flat, g = particles.reshape(len(particles), -1), best.reshape(-1)
    norms = np.linalg.norm(flat, axis=1) * np.linalg.norm(g)
    return scores + weight * np.divide(flat @ g, norms, out=np.zeros(len(flat)), where=norms > 0)


# scores (N,), smaller is better, particles (N, edges, operations), g (edges, operations), λ -> fitness (N,)
DIVERSE: dict[str, Callable[[np.ndarray, np.ndarray, np.ndarray, float], np.ndarray]] = {
    "distance": mean_distance,
    "dfdb": dfdb,
    "cosine": cosine,
}


class AlphaSwarm:
    """A swarm whose particles are flattened alphas (edges·operations,), scored by one-shot validation error or loss.

    Particles that are scored together see the same images. A particle that did not move keeps its score until the end
    of the epoch, when all are scored again. A particle is scored through its arg-max path or, with the fitness
    "mixture", through its softmax mixture. The `archive` best cells ever scored are kept. A `prior` gives cells scores
    of their own, the higher the better, (cells, scores); then cells are compared by the rank sum of all scores.
    """

    def __init__(
        self,
        training: WeightTraining,
        centre: np.ndarray,
        rule: str,
        phi: float,
        settings: SwarmSettings,
        archive: int = 0,
        diverse: str = "distance",
        prior: Callable[[Sequence[Cell]], np.ndarray] | None = None,
    ):
        middle, spread = centre.reshape(-1), settings.spread

        def draw(n: int, rng: np.random.Generator) -> np.ndarray:
            return middle + spread * rng.standard_normal((n, middle.size))

        self.training, self.archive_size, self.shape = training, archive, centre.shape
        self.score = training.errors if settings.fitness == "error" else training.losses
        self.one_hot = settings.fitness != "mixture"
        self.generations, self.diverse, self.prior = settings.generations, DIVERSE[diverse], prior
        low, high = -settings.box, settings.box
        self.swarm = Swarm(settings.population, rule, training.task.stream("swarm"), low, high, phi, draw)
        self.particle_scores = np.full(settings.population, np.inf)
        self.best_score = np.inf  # of g
        self.archive: dict[Cell, tuple[float, list[float]]] = {}  # cell -> its best score, position

    def choice(self, position: np.ndarray) -> Cell | Tensor:
        """The path or mixture through which a position is scored."""
        return self.cell(position) if self.one_hot else self.training.mixture(position.reshape(self.shape))

    def cell(self, position: np.ndarray) -> Cell:
        """The cell of a particle's position."""
        return self.training.task.space.derive(position.reshape(self.shape))

    def epoch(self, train: Train, diversity_weight: float = 0.0) -> dict[str, Any]:
        """Run `train`, one epoch of weight steps, with generations between its batches; then score all particles again.

        The last generation comes at the end of the epoch, so its winners are scored twice: a second time on other
        images, since they may have been lucky with the first.
        """
        diversities: list[float] = []  # after each generation

        def after_batch(number: int) -> None:
            if is_due(number, len(self.training.train), self.generations):
                self.generation(diversity_weight)
                diversities.append(self.diversity())

        metrics = train(after_batch)
        self.rescore(diversity_weight)
        return {
            **metrics,
            "best_score": self.best_score,
            "swarm_diversity": diversities,
            "swarm_cells": len({self.cell(p) for p in self.swarm.x}),
        }

    def scores(self, positions: Sequence[np.ndarray] | np.ndarray) -> np.ndarray:
        """Losses or errors of positions on the next fitness images."""
        return self.score([self.choice(p) for p in positions], *self.training.fitness.next())

    def generation(self, diversity_weight: float = 0.0) -> None:
        """Move the swarm once and score the particles that moved; competitions are decided by `diverse` fitness."""
        movers = self.swarm.ask()
        self.particle_scores[movers] = self.scores(self.swarm.x[movers])
        self._tell(diversity_weight)
        for k in movers:
            cell, score = self.cell(self.swarm.x[k]), float(self.particle_scores[k])
            if cell not in self.archive or score < self.archive[cell][0]:
                self.archive[cell] = score, self.swarm.x[k].tolist()
        liked = self.liking(list(self.archive), np.array([score for score, _ in self.archive.values()]))
        order = np.argsort(liked, kind="stable")[: self.archive_size]
        kept = list(self.archive.items())
        self.archive = dict(kept[k] for k in order)

    def rescore(self, diversity_weight: float = 0.0) -> None:
        """Score all particles and g again on the same images: w has moved, so older scores are not comparable."""
        scores = self.scores([*self.swarm.x, self.swarm.best])
        self.particle_scores, self.best_score = scores[:-1], float(scores[-1])
        self._tell(diversity_weight)

    def liking(self, cells: Sequence[Cell | Tensor], scores: np.ndarray) -> np.ndarray:
        """What decides among cells with these losses or errors, smaller is better: these, or with a prior rank sums.

        A rank sum is in (0, 1]; a prior that is not finite ranks last.
        """
        if self.prior is None:
            return scores
        prior = self.prior(cells)
        ranks = rankdata(np.column_stack([scores, -np.where(np.isfinite(prior), prior, -np.inf)]), axis=0)
        return ranks.mean(axis=1) / len(cells)

    def _tell(self, diversity_weight: float) -> None:
        cells = [self.cell(position) for position in (*self.swarm.x, self.swarm.best)] if self.prior else []
        liked = self.liking(cells, np.append(self.particle_scores, self.best_score))
        objective, self.swarm.best_value = liked[:-1], float(liked[-1])
        fitness = objective
        if diversity_weight:
            fitness = self.diverse(objective, self.particles, self.best(), diversity_weight)
        self.swarm.tell(fitness, objective)
        if self.swarm.best_value < liked[-1]:  # a particle became g
            self.best_score = float(self.particle_scores[objective.argmin()])

    def best(self) -> np.ndarray:
        """The best position so far (g), as alphas (edges, operations)."""
        return self.swarm.best.reshape(self.shape)

    @property
    def particles(self) -> np.ndarray:
        """All positions as alphas, (N, edges, operations)."""
        return self.swarm.x.reshape(-1, *self.shape)

    def archive_positions(self) -> list[np.ndarray]:
        """The positions in the archive, each as alphas (edges, operations)."""
        return [np.array(position).reshape(self.shape) for _, position in self.archive.values()]

    @property
    def has_scores(self) -> bool:
        """Whether the swarm has been scored at all; before that, g is an arbitrary particle."""
        return self.swarm.has_fitness

    def diversity(self) -> float:
        """Mean distance between particles, see `distances`."""
        return float(distances(self.particles).mean())

    def state_dict(self) -> dict[str, Any]:
        return {
            "swarm": self.swarm.state_dict(),
            "scored": self.particle_scores.tolist(),
            "best_score": self.best_score,
            "archive": [[list(cell), score, position] for cell, (score, position) in self.archive.items()],
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.swarm.load_state_dict(state["swarm"])
        self.particle_scores, self.best_score = np.array(state["scored"]), state["best_score"]
        self.archive = {tuple(cell): (score, position) for cell, score, position in state["archive"]}


def softmaxed(particles: np.ndarray) -> np.ndarray:
    """softmax of the rows of alphas (N, edges, operations), flattened; (N, edges·operations)."""
    return softmax(particles, axis=-1).reshape(len(particles), -1)


def distances(positions: np.ndarray) -> np.ndarray:
    """Mean Euclidean distance of each particle's softmax(alphas) to all others'; (N, edges, operations) -> (N,)."""
    p = softmaxed(positions)
    squared = ((p[:, None] - p[None]) ** 2).sum(axis=-1)
    return np.sqrt(squared).sum(axis=1) / max(len(p) - 1, 1)


def relative_distances(positions: np.ndarray) -> np.ndarray:
    """`distances` divided by the swarm's largest, in [0, 1] (INFERRED form); (N, edges, operations) -> (N,)."""
    return _of_largest(distances(positions))


def _of_largest(values: np.ndarray) -> np.ndarray:
    """Values that are not negative, divided by the largest."""
    return values / values.max() if values.max() > 0 else values
