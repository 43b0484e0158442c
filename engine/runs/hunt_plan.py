"""The plan of a hunt: which runs come next, given how those before ended. Pure: no clock, no files, no processes.

A generation is planned when all runs of the one before are known, and told in the order in which it was planned. So
the plan depends on settings and results alone, not on the number of workers nor on who finishes first; and making it
again from recorded results brings a sampler back to where it was.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from engine.runs.hunt_settings import FAILED_FITNESS, HuntSettings
from engine.runs.identity import run_id
from engine.runs.params import RunParams
from engine.runs.samplers import SAMPLERS, Points


@dataclass(frozen=True)
class Trial:
    """A run that a hunt asks for.

    Parameters
    ----------
    slot : int
        Its place in the hunt, from 0.
    generation, candidate : int
        Candidates are numbered in the order in which the sampler gave them.
    parents : tuple of int
        Candidates that this one was made from.
    params : RunParams
    """

    slot: int
    generation: int
    candidate: int
    parents: tuple[int, ...]
    params: RunParams

    @property
    def run_id(self) -> str:
        """Identity of the run."""
        return run_id(self.params)


@dataclass
class Candidate:
    """A point of the space and what its runs gave.

    Parameters
    ----------
    number : int
    point : ndarray of float64, shape (d,)
    fitness : list of float
        Of the runs that could be measured.
    """

    number: int
    point: Points
    fitness: list[float] = field(default_factory=list)

    @property
    def mean(self) -> float:
        """Mean fitness of its runs; `FAILED_FITNESS` if none could be measured."""
        return float(np.mean(self.fitness)) if self.fitness else FAILED_FITNESS


class HuntPlan:
    """Plans a hunt generation by generation.

    A generation has the sampler's `population` candidates and, from the second on, the `reevaluated` best candidates
    so far once more, all with the same new seeds. A candidate's fitness is the mean over all its runs: who was best
    by luck is found out when run again.

    Parameters
    ----------
    settings : HuntSettings
    budget : int
        Runs in all. A last generation that does not fit is cut off, and the sampler is not told of it; with a larger
        budget the same plan goes on where this one ends.

    Examples
    --------
    >>> plan = HuntPlan(HuntSettings(sampler="random", population=2, seeds_per_candidate=1), budget=5)
    >>> while trials := plan.next():
    ...     plan.tell({trial.slot: -trial.params.kappa for trial in trials})
    >>> plan.generation, len(plan.candidates)
    (2, 4)
    """

    def __init__(self, settings: HuntSettings, budget: int) -> None:
        if budget < 1:
            raise ValueError(f"budget is {budget}; there must be at least 1 run")
        self.settings, self.budget = settings, budget
        self.generation = 0
        self.candidates: list[Candidate] = []
        self._sampler = SAMPLERS[settings.sampler](len(settings.space), settings.seed, settings.population)
        self._slots = 0
        self._open: list[Trial] = []
        self._whole = True

    def next(self) -> list[Trial]:
        """The runs of the next generation, in order; none if the budget is used up.

        Returns
        -------
        list of Trial

        Raises
        ------
        RuntimeError
            The last generation has not been told.
        """
        if self._open:
            raise RuntimeError(f"generation {self.generation} has not been told")
        if self._slots >= self.budget:
            return []
        settings = self.settings
        elites = self._elites() if self.candidates else []
        first = len(self.candidates)
        self.candidates += [
            Candidate(first + row, point) for row, point in enumerate(self._sampler.ask(settings.population))
        ]
        seeds = settings.run_seeds(self.generation)
        planned = [(candidate, seed) for candidate in (*self.candidates[first:], *elites) for seed in seeds]
        kept = planned[: self.budget - self._slots]
        self._whole = len(kept) == len(planned)
        self._open = [self._trial(place, *chosen) for place, chosen in enumerate(kept, self._slots)]
        self._slots += len(kept)
        return list(self._open)

    def tell(self, fitness: Mapping[int, float | None]) -> None:
        """How the runs of the open generation ended.

        Parameters
        ----------
        fitness : mapping of slot to float or None
            None for a run that could not be measured.
        """
        for trial in self._open:
            value = fitness[trial.slot]
            if value is not None:
                self.candidates[trial.candidate].fitness.append(value)
        fresh = self.candidates[len(self.candidates) - self.settings.population :]
        if self._whole:
            again = sorted({trial.candidate for trial in self._open} - {candidate.number for candidate in fresh})
            self._sampler.tell(np.array([one.point for one in fresh]), [one.mean for one in fresh])
            self._sampler.revise(again, [self.candidates[number].mean for number in again])
            self.generation += 1
        self._open = []

    def _elites(self) -> list[Candidate]:
        measured = [candidate for candidate in self.candidates if candidate.fitness]
        return sorted(measured, key=lambda one: (-one.mean, one.number))[: self.settings.reevaluated]

    def _trial(self, slot: int, candidate: Candidate, seed: int) -> Trial:
        chosen: dict[str, Any] = {**self.settings.params, **self.settings.point_params(candidate.point), "seed": seed}
        parents = self._sampler.parents(candidate.number)
        return Trial(slot, self.generation, candidate.number, parents, RunParams.of(chosen))
