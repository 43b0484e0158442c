"""CMA-ES of the `cma` library as a sampler of the hunt, with restarts.

The library draws from this sampler's own generator and not from NumPy's global one, so that hunts in one process do
not disturb each other. Nothing here must write to the screen or to files, as the library likes to.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import cma
import numpy as np
from numpy.typing import ArrayLike

from engine.runs.samplers import Points, checked

SIGMA = 0.15
"""Standard deviation in the unit cube with which a search begins."""

SCOUTS = 16
"""Uniform points before the first search. Of 0, 8 and 16 of them with deviations of 0.1 to 0.25, this was the best at
100 and 300 evaluations (tests/benchmarks/search_quality.py)."""


class CMAESSampler:
    """Covariance matrix adaptation in the unit cube.

    The first points are uniform, and the search starts at the best of them; bounds are kept by the library's boundary
    transformation. A search that has converged or stalls is begun anew from a random place, each time with twice the
    population (IPOP, Auger and Hansen 2005). A generation ends when it has at least as many points as the population
    and all that were asked for have been told.

    Parameters
    ----------
    dimension : int
        With one dimension a second, idle one is added: the library needs two.
    seed : int
    population : int
        Points of a generation of the first search, at least 4.

    References
    ----------
    N. Hansen, The CMA Evolution Strategy: A Tutorial, arXiv:1604.00772.

    Examples
    --------
    >>> sampler = CMAESSampler(2, seed=0, population=6)
    >>> for _ in range(30):
    ...     points = sampler.ask(6)
    ...     sampler.tell(points, -((points - 0.3) ** 2).sum(axis=1))
    >>> bool(abs(sampler.ask(6) - 0.3).max() < 0.01)
    True
    """

    def __init__(self, dimension: int, seed: int, population: int) -> None:
        self._dimension, self._inner = dimension, max(dimension, 2)
        self._rng = np.random.default_rng(seed)
        self._size = max(population, 4)
        self._search: cma.CMAEvolutionStrategy | None = None
        self._waiting: list[Points] = []  # asked for by the library's own coordinates, not told yet
        self._told: list[Points] = []
        self._values: list[float] = []

    def ask(self, n: int) -> Points:
        """The next n points, shape (n, d)."""
        if self._search is None:
            points = self._rng.random((n, self._inner))
        else:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                points = np.array(self._search.ask(number=n))
        self._waiting.extend(points)
        return np.clip(points[:, : self._dimension], 0.0, 1.0)

    def tell(self, points: ArrayLike, fitness: ArrayLike) -> None:
        """Take in points; when they make up a generation the distribution follows them."""
        told, values = checked(points, fitness, self._dimension)
        if len(told) > len(self._waiting):
            raise ValueError(f"{len(told)} points are told and {len(self._waiting)} were asked for")
        for value in values:
            self._told.append(self._waiting.pop(0))
            self._values.append(-float(value))  # the library minimises
        if self._waiting:
            return
        if self._search is None and len(self._values) >= SCOUTS:
            best = self._told[int(np.argmin(self._values))]
            self._told, self._values = [], []
            self._search = self._begun(best)
        elif self._search is not None and len(self._values) >= self._size:
            self._learn(self._search)

    def revise(self, numbers: Sequence[int], fitness: ArrayLike) -> None:
        """Nothing: a generation that has been learnt from is not gone back to."""

    def parents(self, number: int) -> tuple[int, ...]:
        """None: a point is drawn from a distribution."""
        return ()

    def _learn(self, search: cma.CMAEvolutionStrategy) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            search.tell(self._told, self._values)
            self._told, self._values = [], []
            if search.stop():
                self._size *= 2
                self._search = self._begun(self._rng.random(self._inner))

    def _begun(self, start: Points) -> cma.CMAEvolutionStrategy:
        options = {
            "bounds": [0.0, 1.0], "popsize": self._size, "verbose": -9, "verb_log": 0, "signals_filename": "",
            "seed": np.nan, "randn": lambda *shape: self._rng.standard_normal(shape),
        }  # fmt: skip
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return cma.CMAEvolutionStrategy(start, SIGMA, options)
