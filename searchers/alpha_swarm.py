"""A competitive swarm of architecture parameters on a supernet: when it moves, how particles are scored, diversity.

What `cso` and `gicso` share; the rules by which particles move are in `swarm.py`. All of it is INFERRED.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal, TypeAlias

import numpy as np
from pydantic import Field
from scipy.special import softmax
from torch import Tensor

from benchmarks.base import Cell
from searchers.base import Settings
from searchers.one_shot import WeightTraining, is_due
from searchers.swarm import Swarm

Train: TypeAlias = Callable[[Callable[[int], None]], dict[str, float]]  # told what to do after each batch


class ParticleSettings(Settings):
    """How many particles there are, and where; INFERRED."""

    population: int = Field(24, ge=6)
    spread: float = Field(1.0, gt=0)  # standard deviation of the first swarm
    box: float = Field(3.0, gt=0)  # alphas live in [−box, box]


class SwarmSettings(ParticleSettings):
    """How a swarm of alphas meets a supernet; INFERRED throughout, most of it from reduced-scale experiments."""

    generations: int = Field(2, ge=1)  # an epoch, evenly among its batches; one a batch where these are fewer
    # Share of images that the arg-max path answers wrongly (as in CMANAS), its loss, or the softmax mixture's loss.
    fitness: Literal["error", "loss", "mixture"] = "error"
    fitness_batch: int = Field(512, ge=2)  # images that share batch statistics
    fitness_images: int = Field(512, ge=2)  # for one scoring, the same for all; a pass's last may have fewer


class AlphaSwarm:
    """A swarm whose particles are flattened alphas (edges·operations,), scored by one-shot validation error or loss.

    Those who are scored together see the same images; who did not move keeps its score until the epoch's end, when all
    are scored anew. A particle is scored through its arg-max path or, with the fitness "mixture", its softmax
    mixture. The `archive` best cells ever scored are kept.
    """

    def __init__(
        self,
        training: WeightTraining,
        centre: np.ndarray,
        rule: str,
        phi: float,
        settings: SwarmSettings,
        archive: int = 0,
    ):
        middle, spread = centre.reshape(-1), settings.spread

        def draw(n: int, rng: np.random.Generator) -> np.ndarray:
            return middle + spread * rng.standard_normal((n, middle.size))

        self.training, self.archive_size, self.shape = training, archive, centre.shape
        self.score = training.errors if settings.fitness == "error" else training.losses
        self.one_hot = settings.fitness != "mixture"
        self.generations = settings.generations
        low, high = -settings.box, settings.box
        self.swarm = Swarm(settings.population, rule, training.task.stream("swarm"), low, high, phi, draw)
        self.scored = np.full(settings.population, np.inf)
        self.archive: dict[Cell, tuple[float, list[float]]] = {}  # cell -> score when seen, position

    def choice(self, position: np.ndarray) -> Cell | Tensor:
        return self.cell(position) if self.one_hot else self.training.mixture(position.reshape(self.shape))

    def cell(self, position: np.ndarray) -> Cell:
        """The cell of a particle's position."""
        return self.training.task.space.derive(position.reshape(self.shape))

    def epoch(self, train: Train, diversity_weight: float = 0.0) -> dict[str, Any]:
        """`train`, one epoch of weight steps, with the generations between its batches; then all are scored anew.

        The last generation ends the epoch: its winners are scored twice, since they had luck with their images.
        """
        diversities: list[float] = []  # after each generation

        def after_batch(number: int) -> None:
            if is_due(number, len(self.training.train), self.generations):
                self.generation(diversity_weight)
                diversities.append(self.diversity())

        trained = train(after_batch)
        self.rescore(diversity_weight)
        return {
            **trained,
            "best_score": self.swarm.best_value,
            "swarm_diversity": diversities,
            "swarm_cells": len({self.cell(p) for p in self.swarm.x}),
        }

    def scores(self, positions: Sequence[np.ndarray] | np.ndarray) -> np.ndarray:
        """Losses or errors of positions on the next fitness images."""
        return self.score([self.choice(p) for p in positions], *self.training.fitness.next())

    def generation(self, diversity_weight: float = 0.0) -> None:
        """Move the swarm once and score who moved; fitness = loss (or error) − weight·diversity."""
        moved = self.swarm.ask()
        self.scored[moved] = self.scores(self.swarm.x[moved])
        self._tell(diversity_weight)
        for k in moved:
            cell, score = self.cell(self.swarm.x[k]), float(self.scored[k])
            if cell not in self.archive or score < self.archive[cell][0]:
                self.archive[cell] = score, self.swarm.x[k].tolist()
        self.archive = dict(sorted(self.archive.items(), key=lambda item: item[1][0])[: self.archive_size])

    def rescore(self, diversity_weight: float = 0.0) -> None:
        """Score all particles and g anew on the same images: w has moved, and old scores would win by age."""
        scores = self.scores([*self.swarm.x, self.swarm.best])
        self.scored, self.swarm.best_value = scores[:-1], float(scores[-1])
        self._tell(diversity_weight)

    def _tell(self, diversity_weight: float) -> None:
        fitness = self.scored
        if diversity_weight:
            fitness = self.scored - diversity_weight * relative_distances(self.particles)
        self.swarm.tell(fitness, objective=self.scored)

    def best(self) -> np.ndarray:
        """The best position seen (g), as alphas (edges, operations)."""
        return self.swarm.best.reshape(self.shape)

    @property
    def particles(self) -> np.ndarray:
        """All positions as alphas, (N, edges, operations)."""
        return self.swarm.x.reshape(-1, *self.shape)

    def archived(self) -> list[np.ndarray]:
        """The archive's positions as alphas."""
        return [np.array(position).reshape(self.shape) for _, position in self.archive.values()]

    @property
    def scored_once(self) -> bool:
        """Whether any fitness has been told: before that, g means nothing."""
        return self.swarm.told

    def diversity(self) -> float:
        """The swarm's diversity: the mean of its particles' `distances`."""
        return float(distances(self.particles).mean())

    def state_dict(self) -> dict[str, Any]:
        return {
            "swarm": self.swarm.state_dict(),
            "scored": self.scored.tolist(),
            "archive": [[list(cell), score, position] for cell, (score, position) in self.archive.items()],
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.swarm.load_state_dict(state["swarm"])
        self.scored = np.array(state["scored"])
        self.archive = {tuple(cell): (score, position) for cell, score, position in state["archive"]}


def distances(positions: np.ndarray) -> np.ndarray:
    """Mean distance of each particle's softmax rows to those of all others; (N, edges, operations) -> (N,)."""
    p = softmax(positions, axis=-1).reshape(len(positions), -1)
    squared = ((p[:, None] - p[None]) ** 2).sum(axis=-1)
    return np.sqrt(squared).sum(axis=1) / max(len(p) - 1, 1)


def relative_distances(positions: np.ndarray) -> np.ndarray:
    """`distances` divided by the swarm's largest, in [0, 1] (INFERRED form); (N, edges, operations) -> (N,)."""
    d = distances(positions)
    return d / d.max() if d.max() > 0 else d
