"""Samplers of Optuna behind the hunt's interface.

Optuna's storage is in memory only: the ledger is the one record of a hunt, and a sampler's state is made again from
it. A second record could only disagree with it.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
import optuna
from numpy.typing import ArrayLike
from optuna.distributions import FloatDistribution

from engine.runs.samplers import Points, checked


class OptunaSampler:
    """A sampler of Optuna in the unit cube.

    Parameters
    ----------
    dimension : int
    seed : int
    population : int
        Of the genetic algorithm; others do not use it.
    kind : {"tpe", "nsga2", "qmc"}
        Tree-structured Parzen estimator (multivariate, with a constant liar for points asked for together), genetic
        algorithm NSGA-II, scrambled Sobol sequence.

    Examples
    --------
    >>> OptunaSampler(2, seed=0, population=4, kind="qmc").ask(3).shape
    (3, 2)
    """

    def __init__(self, dimension: int, seed: int, population: int, kind: str) -> None:
        small = seed % (2**32)  # what Optuna's generators take
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # multivariate TPE and Sobol are called experimental
            if kind == "tpe":
                sampler: optuna.samplers.BaseSampler = optuna.samplers.TPESampler(
                    seed=small, multivariate=True, constant_liar=True, warn_independent_sampling=False
                )
            elif kind == "nsga2":
                sampler = optuna.samplers.NSGAIISampler(population_size=max(population, 2), seed=small)
            elif kind == "qmc":
                sampler = optuna.samplers.QMCSampler(scramble=True, seed=small, warn_independent_sampling=False)
            else:
                raise ValueError(f"kind is {kind!r}; it must be 'tpe', 'nsga2' or 'qmc'")
        self._space = {f"x{axis:03d}": FloatDistribution(0.0, 1.0) for axis in range(dimension)}
        self._study = _quiet(lambda: optuna.create_study(direction="maximize", sampler=sampler))
        self._waiting: list[optuna.Trial] = []

    def ask(self, n: int) -> Points:
        """The next n points, shape (n, d)."""
        trials = _quiet(lambda: [self._study.ask(dict(self._space)) for _ in range(n)])
        self._waiting.extend(trials)
        return np.array([[trial.params[name] for name in self._space] for trial in trials]).reshape(n, -1)

    def tell(self, points: ArrayLike, fitness: ArrayLike) -> None:
        """Tell Optuna the values of the longest waiting trials."""
        told, values = checked(points, fitness, len(self._space))
        if len(told) > len(self._waiting):
            raise ValueError(f"{len(told)} points are told and {len(self._waiting)} were asked for")
        for value in values.tolist():
            trial = self._waiting.pop(0)
            _quiet(lambda trial=trial, value=value: self._study.tell(trial, value))  # type: ignore[misc]

    def revise(self, numbers: Sequence[int], fitness: ArrayLike) -> None:
        """Nothing: a finished trial of Optuna is not changed."""

    def parents(self, number: int) -> tuple[int, ...]:
        """None to name."""
        return ()


def _quiet(call):  # type: ignore[no-untyped-def]
    """Call without the library's log on the screen; its level is the process's and is put back."""
    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return call()
    finally:
        optuna.logging.set_verbosity(level)
