"""What decides a hunt, and how it stands: settings, their identity, and the status others look at.

Two hunts with equal settings are the same hunt. This module must not know how a hunt is run or kept.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from engine.runs.identity import canonical_json
from engine.runs.params import MAX_SEED, RunParams

SPACE: dict[str, tuple[float, float]] = {"kappa": (0.0, 0.95), "sigma_k": (0.2, 6.0), "alpha": (0.1, 3.0)}
"""Parameters searched over and their bounds, unless others are given; from κ = 1 upwards nothing saturates."""

FAILED_FITNESS = -1000.0
"""What a sampler is told of a candidate none of whose runs could be measured: as bad as a null error can count."""

_LEAST_SSE = 1e-6


def fitness(metrics: Mapping[str, float]) -> float:
    """Fitness of a run, to be made large: ``1/SSE + 0.1 (Δ_scramble + Δ_shuffle)``.

    A convention of this hunt. Null errors were capped at 1000 when the Δ were measured (`engine.runs.nulls`); an SSE
    below 1e-6 counts as 1e-6.

    Parameters
    ----------
    metrics : mapping of str to float
        From a report of `validate` whose status is ``"ok"``.

    Returns
    -------
    float

    Examples
    --------
    >>> fitness({"log_prime_sse": 0.5, "scramble_delta": 3.0, "shuffle_delta": -1.0})
    2.2
    """
    gain = metrics["scramble_delta"] + metrics["shuffle_delta"]
    return 1.0 / max(metrics["log_prime_sse"], _LEAST_SSE) + 0.1 * gain


@dataclass(frozen=True)
class HuntSettings:
    """All that decides which runs a hunt makes and in which order it takes their results.

    Parameters
    ----------
    sampler : str
        One of `engine.runs.SAMPLERS`.
    seed : int
        Of the sampler and of the runs.
    space : mapping of str to (low, high)
        Real parameters of a run to search over, with their bounds.
    population : int
        Candidates of a generation.
    seeds_per_candidate : int
        Runs of a candidate, each from another random start.
    reevaluated : int
        Elites of all generations so far that are run again, with new seeds, in each generation.
    params : mapping
        Parameters of a run that are not searched over and differ from their defaults.
    draws : int
        Random draws of each null test.

    Raises
    ------
    ValueError
        A setting that is refused; named, with what would be right.

    Examples
    --------
    >>> HuntSettings(space={"kappa": (0.0, 0.5)}).point_params([0.5])
    {'kappa': 0.25}
    """

    sampler: str = "cmaes"
    seed: int = 0
    space: Mapping[str, tuple[float, float]] = field(default_factory=lambda: dict(SPACE))
    population: int = 8
    seeds_per_candidate: int = 2
    reevaluated: int = 1
    params: Mapping[str, Any] = field(default_factory=dict)
    draws: int = 199

    def __post_init__(self) -> None:
        from engine.runs.samplers import SAMPLERS

        if self.sampler not in SAMPLERS:
            raise ValueError(f"sampler is {self.sampler!r}; there are {', '.join(SAMPLERS)}")
        limits = {"seed": (0, MAX_SEED), "population": (2, 10_000), "seeds_per_candidate": (1, 1000),
                  "reevaluated": (0, 1000), "draws": (1, 10**6)}  # fmt: skip
        for name, (low, high) in limits.items():
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
                raise ValueError(f"{name} is {value!r}; it must be a whole number from {low} to {high}")
        if not isinstance(self.space, Mapping) or not self.space:
            raise ValueError(f"space is {self.space!r}; it must name at least one parameter, with (low, high)")
        object.__setattr__(self, "space", {name: _bounds(name, self.space[name]) for name in sorted(self.space)})
        object.__setattr__(self, "params", dict(self.params))
        for name in (*self.space, "seed"):
            if name in self.params:
                raise ValueError(f"{name!r} is given in params and is chosen by the hunt; leave it out of params")
        for end in (0, 1):  # both corners of the space are runs
            RunParams.of({**self.params, **{name: bounds[end] for name, bounds in self.space.items()}})

    @property
    def hunt_id(self) -> str:
        """Identity of the hunt: SHA-1 of its settings in canonical JSON.

        Returns
        -------
        str
            40 hexadecimal digits.

        Examples
        --------
        >>> HuntSettings(seed=1).hunt_id == HuntSettings(seed=2).hunt_id
        False
        """
        return hashlib.sha1(self.as_json().encode(), usedforsecurity=False).hexdigest()

    @property
    def runs_per_generation(self) -> int:
        """Runs that a generation after the first has, those of re-evaluated elites included.

        Returns
        -------
        int
        """
        return (self.population + self.reevaluated) * self.seeds_per_candidate

    def as_json(self) -> str:
        """The settings as canonical JSON, defaults of runs filled in.

        Returns
        -------
        str
        """
        settings = asdict(self)
        settings["params"] = RunParams.of(self.params).as_dict()
        for name in (*self.space, "seed"):
            settings["params"].pop(name)
        return canonical_json(settings)

    @classmethod
    def from_json(cls, text: str) -> HuntSettings:
        """Settings from `as_json`.

        Returns
        -------
        HuntSettings

        Examples
        --------
        >>> HuntSettings.from_json(HuntSettings(seed=3).as_json()).seed
        3
        """
        return cls(**json.loads(text))

    def point_params(self, point: ArrayLike) -> dict[str, float]:
        """Parameters of a point of the unit cube.

        Parameters
        ----------
        point : float, shape (d,)
            From 0 to 1, in the order of the names in `space`, which is alphabetical.

        Returns
        -------
        dict of str to float
        """
        return {
            name: min(max(low + float(x) * (high - low), low), high)
            for (name, (low, high)), x in zip(self.space.items(), np.asarray(point), strict=True)
        }

    def run_seeds(self, generation: int) -> list[int]:
        """Seeds of the runs of a generation: the same for all its candidates, which are so compared in pairs.

        Parameters
        ----------
        generation : int

        Returns
        -------
        list of int
            As many as `seeds_per_candidate`.
        """
        chance = np.random.SeedSequence([self.seed, 1, generation])
        return [int(word) >> 11 for word in chance.generate_state(self.seeds_per_candidate, np.uint64)]


@dataclass(frozen=True)
class HuntStatus:
    """How a hunt stands.

    Parameters
    ----------
    hunt_id : str
    state : str
        ``"new"``, ``"running"``, ``"pausing"`` (no run is started, some are running), ``"paused"``, ``"cancelled"``,
        ``"finished"``, ``"failed"`` (the hunt itself, not a run), or ``"interrupted"`` (its process died).
    message : str
        Why, where there is something to say.
    generation : int
        From 0.
    budget, done, running, queued, failed : int
        Runs: allowed in all, measured, now in a worker, still to come, failed. The last four add up to `budget`.
    reused : int
        Of those done: not run again, because the same run was there.
    best_fitness : float or None
        Mean fitness of the best candidate over all its runs so far.
    best_params : dict
        Its point in the space; empty before the first generation has ended.
    best_run_id : str or None
        Its run of highest fitness.
    best_runs : int
        Over how many runs the mean is.
    seconds_left : float or None
        Runs still to come by the rate of the last ones; None while fewer than three have ended.
    estimate : str
        In words, how `seconds_left` came about.
    workers : int
        Processes alive.
    """

    hunt_id: str
    state: str
    message: str = ""
    generation: int = 0
    budget: int = 0
    done: int = 0
    running: int = 0
    queued: int = 0
    failed: int = 0
    reused: int = 0
    best_fitness: float | None = None
    best_params: Mapping[str, float] = field(default_factory=dict)
    best_run_id: str | None = None
    best_runs: int = 0
    seconds_left: float | None = None
    estimate: str = ""
    workers: int = 0


def _bounds(name: str, given: Any) -> tuple[float, float]:
    try:
        low, high = (float(end) for end in given)
    except (TypeError, ValueError):
        raise ValueError(f"the bounds of {name} are {given!r}; they must be two numbers, (low, high)") from None
    if not (np.isfinite([low, high]).all() and low < high):
        raise ValueError(f"the bounds of {name} are {low:g}, {high:g}; they must be finite, the lower one first")
    probe = RunParams.of({name: low})
    if type(getattr(probe, name)) is not float:
        raise ValueError(f"{name} is not a real parameter; only real ones can be searched over")
    return low, high
