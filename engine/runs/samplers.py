"""Samplers of the hunt: one interface, ask for points and tell how good they were; larger is better.

Points lie in the unit cube. A sampler is deterministic: the same seed, asks and tells give the same points, so that
its state is never stored but made again by repeating them. It must not know what a point stands for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

Points = NDArray[np.float64]


class Sampler(Protocol):
    """What a hunt asks for points.

    Points are told in the order in which they were asked for; how many at once is free. The place of a point in that
    order, from 0, is its number.
    """

    def ask(self, n: int) -> Points:
        """The next points to try.

        Parameters
        ----------
        n : int

        Returns
        -------
        ndarray of float64, shape (n, d)
            From 0 to 1.
        """
        ...

    def tell(self, points: ArrayLike, fitness: ArrayLike) -> None:
        """Fitness of the longest asked points that were not told yet.

        Parameters
        ----------
        points : float, shape (n, d)
        fitness : float, shape (n,)
            Finite; larger is better.
        """
        ...

    def revise(self, numbers: Sequence[int], fitness: ArrayLike) -> None:
        """Better estimates of points told before, because they were measured again.

        Parameters
        ----------
        numbers : sequence of int
            Of the points.
        fitness : float, shape (n,)
        """
        ...

    def parents(self, number: int) -> tuple[int, ...]:
        """Numbers of the points that a point asked for was made from; empty where there are none to name.

        Parameters
        ----------
        number : int

        Returns
        -------
        tuple of int
        """
        ...


def checked(points: ArrayLike, fitness: ArrayLike, dimension: int) -> tuple[Points, NDArray[np.float64]]:
    """Points and fitness as arrays.

    Raises
    ------
    ValueError
        Shapes that do not fit, or a value that is not finite.
    """
    x, y = np.asarray(points, np.float64), np.asarray(fitness, np.float64)
    if x.ndim != 2 or x.shape[1] != dimension or y.shape != (x.shape[0],):
        raise ValueError(f"points have the shape {x.shape} and fitness {y.shape}; they must be (n, {dimension}), (n,)")
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise ValueError("points or fitness are not finite; tell a large negative fitness of what failed")
    return x, y


class RandomSampler:
    """Uniform random points: the baseline.

    Parameters
    ----------
    dimension : int
    seed : int
    population : int
        Not used; all samplers are made alike.

    Examples
    --------
    >>> RandomSampler(2, seed=0, population=4).ask(3).shape
    (3, 2)
    """

    def __init__(self, dimension: int, seed: int, population: int) -> None:
        self._dimension = dimension
        self._rng = np.random.default_rng(seed)

    def ask(self, n: int) -> Points:
        """The next n points, shape (n, d)."""
        return self._rng.random((n, self._dimension))

    def tell(self, points: ArrayLike, fitness: ArrayLike) -> None:
        """Nothing is learnt."""
        checked(points, fitness, self._dimension)

    def revise(self, numbers: Sequence[int], fitness: ArrayLike) -> None:
        """Nothing is learnt."""

    def parents(self, number: int) -> tuple[int, ...]:
        """None."""
        return ()


class ElitistSampler:
    """The elitist tournament scheme: elitism, tournaments of 3, crossover, mutation rate 0.3, strength 0.05.

    The first generation is uniform. From then on each point has two parents, each the best of 3 drawn from the
    population with replacement; each coordinate comes from either with equal chance (uniform crossover) and is, with
    the chance 0.3, moved by a normal deviate of 0.05 of its range, reflected at the bounds. The next population is
    what was told and the `elites` best of the one before, which are not evaluated again by the scheme itself. As the
    scheme leaves the number of elites open, it is a tenth of the population, at least 1.

    Parameters
    ----------
    dimension : int
    seed : int
    population : int

    Examples
    --------
    >>> sampler = ElitistSampler(2, seed=0, population=4)
    >>> points = sampler.ask(4)
    >>> sampler.tell(points, [0.0, 1.0, 2.0, 3.0])
    >>> sampler.ask(1).shape, len(sampler.parents(4))
    ((1, 2), 2)
    """

    TOURNAMENT = 3
    MUTATION_RATE = 0.3
    MUTATION_STRENGTH = 0.05

    def __init__(self, dimension: int, seed: int, population: int) -> None:
        self._dimension, self._population = dimension, population
        self._elites = max(1, population // 10)
        self._rng = np.random.default_rng(seed)
        self._asked = self._told = 0
        # The population: number, point, fitness. What is told is gathered until it makes up a generation.
        self._current: list[tuple[int, Points, float]] = []
        self._arriving: list[tuple[int, Points, float]] = []
        self._parents: dict[int, tuple[int, ...]] = {}

    def ask(self, n: int) -> Points:
        """The next n points, shape (n, d)."""
        points = np.empty((n, self._dimension))
        for row in range(n):
            points[row] = self._child() if self._current else self._rng.random(self._dimension)
            self._asked += 1
        return points

    def tell(self, points: ArrayLike, fitness: ArrayLike) -> None:
        """Take in points; as soon as they make up a population it takes the place of the last, but for its elites."""
        for point, value in zip(*checked(points, fitness, self._dimension), strict=True):
            self._arriving.append((self._told, point, float(value)))
            self._told += 1
            if len(self._arriving) == self._population:
                elites = sorted(self._current, key=lambda one: (-one[2], one[0]))[: self._elites]
                self._current, self._arriving = [*elites, *self._arriving], []

    def revise(self, numbers: Sequence[int], fitness: ArrayLike) -> None:
        """Replace the fitness of those that are still in the population."""
        better = dict(zip(numbers, np.asarray(fitness, np.float64).tolist(), strict=True))
        for group in (self._current, self._arriving):
            group[:] = [(number, point, better.get(number, value)) for number, point, value in group]

    def parents(self, number: int) -> tuple[int, ...]:
        """The two parents; none in the first generation."""
        return self._parents.get(number, ())

    def _child(self) -> Points:
        mother, father = self._winner(), self._winner()
        self._parents[self._asked] = (mother[0], father[0])
        child = np.where(self._rng.random(self._dimension) < 0.5, mother[1], father[1])
        mutated = self._rng.random(self._dimension) < self.MUTATION_RATE
        child = child + mutated * self._rng.normal(0.0, self.MUTATION_STRENGTH, self._dimension)
        return np.abs((child + 1.0) % 2.0 - 1.0)  # reflected at 0 and at 1

    def _winner(self) -> tuple[int, Points, float]:
        drawn = self._rng.integers(len(self._current), size=self.TOURNAMENT)
        return max((self._current[place] for place in drawn), key=lambda one: (one[2], -one[0]))


def _cmaes(dimension: int, seed: int, population: int) -> Sampler:
    from engine.runs.samplers_cma import CMAESSampler  # takes a second to load

    return CMAESSampler(dimension, seed, population)


def _optuna(kind: str) -> Callable[[int, int, int], Sampler]:
    def make(dimension: int, seed: int, population: int) -> Sampler:
        from engine.runs.samplers_optuna import OptunaSampler

        return OptunaSampler(dimension, seed, population, kind)

    return make


SAMPLERS: dict[str, Callable[[int, int, int], Sampler]] = {
    "cmaes": _cmaes,
    "elitist": ElitistSampler,
    "optuna-tpe": _optuna("tpe"),
    "optuna-nsga2": _optuna("nsga2"),
    "optuna-qmc": _optuna("qmc"),
    "random": RandomSampler,
}
"""Samplers by name: functions of the dimension, the seed and the population."""
