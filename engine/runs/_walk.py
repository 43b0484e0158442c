"""A run or a batch of them under way: which step comes next, when a step is divided, and what is kept of it.

Everything a run needs to go on is in `Position`, so that a run that was stopped and one that was not are the same.
This module must not know of files, callers or labels.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.runs import _etdrk4
from engine.runs._stepper import State, Stepper
from engine.runs.params import PRECISIONS, RunParams

MAX_HALVINGS = 12
"""A step is divided into at most 2**12; a field that grows fourfold within less than that blows up in earnest."""

CALM_STEPS = 8
"""After so many steps without trouble the next one is divided once less."""


class Diverged(ArithmeticError):
    """A run whose field blew up, or whose error could not be held, however small the step.

    Parameters
    ----------
    params : RunParams
    t : float
        Time at which it was given up.
    reason : str

    Examples
    --------
    >>> str(Diverged(RunParams(), 0.5, "the field is not finite"))
    'given up at t = 0.5 (kappa=0.1, sigma_k=1.0, alpha=1.0, seed=0): the field is not finite'
    """

    def __init__(self, params: RunParams, t: float, reason: str) -> None:
        super().__init__(params, t, reason)
        self.params, self.t, self.reason = params, t, reason

    def __str__(self) -> str:
        which = ", ".join(f"{name}={getattr(self.params, name)}" for name in ("kappa", "sigma_k", "alpha", "seed"))
        return f"given up at t = {self.t:g} ({which}): {self.reason}"


@dataclass(eq=False)
class Position:
    """Where a batch stands after whole steps of `dt`; arrays have the shape (batch, N, N).

    Parameters
    ----------
    step : int
        Steps done.
    state : State
    rho_s : float
        The relaxing density.
    level, calm, deepest : int
        How often a step is halved at present, for how many steps that went well, and the most it ever was.
    frames : list of ndarray
        The history so far.
    """

    step: int
    state: State
    rho_s: NDArray[Any]
    level: int = 0
    calm: int = 0
    deepest: int = 0
    frames: list[NDArray[Any]] = field(default_factory=list)

    def pick(self, chosen: NDArray[Any]) -> Position:
        """The position of some of the runs.

        Parameters
        ----------
        chosen : int, shape (m,)

        Returns
        -------
        Position
        """
        state = self.state
        psi = None if state.psi is None else state.psi[chosen]
        part = State(state.spectrum[chosen], psi, state.rho[chosen], state.peak[chosen])
        frames = [frame[chosen] for frame in self.frames]
        return Position(self.step, part, self.rho_s[chosen], self.level, self.calm, self.deepest, frames)


class Walk:
    """Takes runs that share grid, step and precision from position to position.

    Parameters
    ----------
    runs : list of RunParams
    workers : int
        Threads of each FFT.
    """

    def __init__(self, runs: list[RunParams], workers: int = 1) -> None:
        self.runs, first = runs, runs[0]
        self.stepper = Stepper(runs, first.dt, workers)
        real = PRECISIONS[first.precision][1]
        # At dt = 0.01 the power is exactly rho_memory.
        self._keep = np.array([run.rho_memory ** (run.dt / 0.01) for run in runs], real)

    def begin(self, spectrum: NDArray[Any]) -> Position:
        """The position before the first step; ρ_s starts from the vacuum density.

        Parameters
        ----------
        spectrum : complex, shape (batch, N, N)

        Returns
        -------
        Position
        """
        state = self.stepper.state(spectrum)
        rho_s = np.empty_like(state.rho)
        rho_s[:] = np.array([run.rho_vac for run in self.runs])[:, None, None]
        position = Position(0, state, rho_s)
        self._keep_frame(position)
        return position

    def advance(self, position: Position) -> None:
        """One whole step of one run, divided as far as it needs to be; `position` moves on.

        Parameters
        ----------
        position : Position
            Of a batch of one.

        Raises
        ------
        Diverged
            However far the step is divided, it cannot be believed.
        """
        step = self._controlled if self.runs[0].tolerance else self._guarded
        self.arrive(position, step(position))

    def attempt(self, position: Position) -> tuple[State, NDArray[np.bool_]]:
        """One undivided step of all runs, and which of them can be believed; `position` stays.

        Parameters
        ----------
        position : Position

        Returns
        -------
        State, ndarray of bool of shape (batch,)
        """
        after = self.stepper.step(position.state, 0)
        return after, self.stepper.believable(position.state, after)

    def arrive(self, position: Position, after: State) -> None:
        """Move to the state after a step: relax ρ_s, keep a frame where one is due.

        Parameters
        ----------
        position : Position
        after : State
        """
        position.step += 1
        position.state = after
        _etdrk4.relax(position.rho_s, after.rho, self._keep)
        self._keep_frame(position)

    def _keep_frame(self, position: Position) -> None:
        every = self.runs[0].history_every
        if every and position.step % every == 0:
            position.frames.append(position.state.rho.copy())

    def _divided(self, state: State, level: int) -> State | None:
        """A whole step in 2**level parts; None as soon as one of them cannot be believed."""
        for _ in range(2**level):
            after = self.stepper.step(state, level)
            if not self.stepper.believable(state, after)[0]:
                return None
            state = after
        return state

    def _guarded(self, position: Position) -> State:
        """A step of `dt`; halved while the field grows faster than the step can follow."""
        level = position.level
        while (after := self._divided(position.state, level)) is None:
            level, position.calm = level + 1, 0
            if level > MAX_HALVINGS:
                raise self._diverged(position, "|psi|^2 grows without bound")
        if level and position.calm + 1 >= CALM_STEPS:
            position.level, position.calm = level - 1, 0
        else:
            position.level, position.calm = level, position.calm + 1 if level else 0
        position.deepest = max(position.deepest, level)
        return after

    def _controlled(self, position: Position) -> State:
        """A step of `dt`, divided until two divisions agree; Richardson's estimate for fourth order."""
        tolerance, level = self.runs[0].tolerance, position.level
        coarse = self._divided(position.state, level)
        while level < MAX_HALVINGS:
            fine = self._divided(position.state, level + 1)
            if coarse is not None and fine is not None:
                error = float(np.abs(fine.field() - coarse.field()).max()) / 15.0
                scale = tolerance * float(np.sqrt(fine.peak[0]))
                if error <= scale:
                    # One division less has 16 times the error: only where that is allowed four times over.
                    position.deepest = max(position.deepest, level + 1)
                    position.level = max(level - 1, 0) if 64.0 * error <= scale else level
                    return fine
            coarse, level = fine, level + 1
        raise self._diverged(position, f"no step reaches the tolerance {tolerance:g}")

    def _diverged(self, position: Position, reason: str) -> Diverged:
        run = self.runs[0]
        return Diverged(run, position.step * run.dt, f"{reason} at steps down to {run.dt / 2**MAX_HALVINGS:g}")
