"""Competitive swarms as plain optimisers on R^d: `ask` moves particles, `tell` takes their fitness (minimised).

A rule decides which particles move, and where to. It is a pure function of the swarm's arrays, so that another equation
is another function:

- `cso_pairs`: Cheng and Jin, "A Competitive Swarm Optimizer for Large Scale Optimization", IEEE T. Cybernetics
  45(2), 2015; as in PlatEMO's CSO (DOC).
- `icso_triplets`: the improved CSO of L-ICSO (Zhong et al., IEEE CEC 2025; equations DOC; that
  G-ICSO-NAS uses this very rule is INFERRED). Its code does not sort velocities with the population, and updates g
  within a generation; here a particle keeps its velocity, and g is the best at the start of the generation.
- `fresh_draws`: no swarm but new draws from the initial distribution: a control with as many evaluations.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np


class Move(NamedTuple):
    """Particles that move: their indices (m,), new velocities (m, d) and new positions (m, d)."""

    indices: np.ndarray
    v: np.ndarray
    x: np.ndarray


Draw = Callable[[int, np.random.Generator], np.ndarray]  # (n, generator) -> n initial positions (n, d)


class Scene(NamedTuple):
    """The state of a swarm that a rule may use."""

    x: np.ndarray  # positions (N, d)
    v: np.ndarray  # velocities (N, d)
    fitness: np.ndarray  # (N,), smaller is better
    best: np.ndarray  # g, the best position so far (d,)
    phi: float
    draw: Draw


def cso_pairs(scene: Scene, rng: np.random.Generator) -> Move:
    """Random pairs; the loser learns from the winner and from the swarm's mean. N/2 particles move."""
    x, v = scene.x, scene.v
    half = len(x) // 2
    order = rng.permutation(len(x))
    a, b = order[:half], order[half : 2 * half]
    a_wins = scene.fitness[a] <= scene.fitness[b]
    w, l = np.where(a_wins, a, b), np.where(a_wins, b, a)  # noqa: E741 - winner, loser
    r1, r2, r3 = rng.random((3, half, x.shape[1]))
    v_l = r1 * v[l] + r2 * (x[w] - x[l]) + scene.phi * r3 * (x.mean(axis=0) - x[l])  # (6)
    return Move(l, v_l, x[l] + v_l)  # (7)


def icso_triplets(scene: Scene, rng: np.random.Generator) -> Move:
    """Random triplets ranked b, m, l: b stays, m moves with probability 1/2, l always. N/2 move on average."""
    x, v = scene.x, scene.v
    third = len(x) // 3
    triplets = rng.permutation(len(x))[: 3 * third].reshape(third, 3)
    ranks = np.argsort(scene.fitness[triplets], axis=1, kind="stable")
    b, m, l = np.take_along_axis(triplets, ranks, axis=1).T  # noqa: E741
    moves = rng.random(third) < 0.5
    r1, r2 = rng.random((2, 2 * third, x.shape[1]))
    # No random factor on the third term, unlike CSO.
    v_m = r1[:third] * v[m] + r2[:third] * (x[b] - x[m]) + scene.phi * (x.mean(axis=0) - x[m])
    v_l = r1[third:] * v[l] + r2[third:] * (x[b] - x[l]) + scene.phi * (scene.best - x[l])
    v_new = np.concatenate([v_m[moves], v_l])
    movers = np.concatenate([m[moves], l])
    return Move(movers, v_new, x[movers] + v_new)


def fresh_draws(scene: Scene, rng: np.random.Generator) -> Move:
    """Draws as many particles anew as `icso_triplets` moves, whatever their fitness."""
    third = len(scene.x) // 3
    order = rng.permutation(len(scene.x))
    count = third + int((rng.random(third) < 0.5).sum())
    movers = order[:count]
    return Move(movers, np.zeros((count, scene.x.shape[1])), scene.draw(count, rng))


RULES: dict[str, Callable[[Scene, np.random.Generator], Move]] = {
    "cso": cso_pairs,
    "icso": icso_triplets,
    "random": fresh_draws,
}


def reflect(x: np.ndarray, low: float, high: float) -> np.ndarray:
    """Mirror positions back into the box, however far outside they are."""
    width = high - low
    folded = np.mod(x - low, 2 * width)
    return low + np.minimum(folded, 2 * width - folded)


class Swarm:
    """Positions x (N, d) in the box [low, high]^d, moved by a rule; the first ones come from `draw(population, rng)`.

    Loop: `swarm.ask()` moves particles and returns their indices (at first all); score these; `swarm.tell(fitness)`
    takes the fitness of all N particles.
    """

    def __init__(
        self,
        population: int,
        rule: str,
        rng: np.random.Generator,
        low: float,
        high: float,
        phi: float,
        draw: Draw,
    ):
        self.rule, self.rng, self.low, self.high, self.phi, self.draw = rule, rng, low, high, phi, draw
        self.x = reflect(draw(population, rng), low, high)
        self.v = np.zeros_like(self.x)
        self.fitness = np.full(population, np.inf)
        self.best = self.x[0].copy()  # g
        self.best_value = np.inf
        self.has_fitness = False

    def ask(self) -> np.ndarray:
        """Move the swarm by one generation; indices (m,) of the particles to score."""
        if not self.has_fitness:
            return np.arange(len(self.x))
        scene = Scene(self.x, self.v, self.fitness, self.best, self.phi, self.draw)
        # Every generation has a random generator of its own, so that rules which draw more or fewer numbers still pair
        # the same particles in the next generation, and a control makes exactly as many evaluations.
        move = RULES[self.rule](scene, np.random.default_rng(int(self.rng.integers(2**63))))
        self.v[move.indices] = move.v
        self.x[move.indices] = reflect(move.x, self.low, self.high)
        return move.indices

    def tell(self, fitness: np.ndarray, objective: np.ndarray | None = None) -> None:
        """Take the fitness (N,), which decides competitions, and the objective (N,), by default the fitness, for g."""
        self.has_fitness = True
        self.fitness = np.array(fitness, dtype=np.float64)
        value = self.fitness if objective is None else objective
        leader = int(np.argmin(value))
        if value[leader] < self.best_value:
            self.best, self.best_value = self.x[leader].copy(), float(value[leader])

    def state_dict(self) -> dict[str, Any]:
        arrays = {"x": self.x, "v": self.v, "fitness": self.fitness, "best": self.best}
        return {
            **{name: value.tolist() for name, value in arrays.items()},
            "best_value": float(self.best_value),
            "told": self.has_fitness,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.x, self.v = np.array(state["x"]), np.array(state["v"])
        self.fitness, self.best = np.array(state["fitness"]), np.array(state["best"])
        self.best_value, self.has_fitness = state["best_value"], state["told"]
