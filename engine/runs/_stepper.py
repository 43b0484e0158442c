"""Steps of a batch of runs on one grid: from a state to the state one step later, and whether that can be believed.

The equation is in `engine.runs.solver`. This module must not know of seeds, histories or callers; it opens nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from engine.runs import _etdrk4
from engine.runs.params import PRECISIONS, RunParams

GROWTH_LIMIT = 4.0
"""A step in which the largest \\|ψ\\|² grows by more than this is not believed.

Its logarithm over the step is a rate; were it real, ETDRK4 would not follow it at this step either.
"""


@dataclass(eq=False)
class State:
    """Where a batch of runs stands; arrays have the shape (batch, N, N).

    Parameters
    ----------
    spectrum : complex
        Fourier transform of ψ, as `scipy.fft.fft2` gives it: the state proper, from which the others follow.
    psi : complex or None
        ψ itself; None where a step has used its memory.
    rho : float
        \\|ψ\\|².
    peak : float, shape (batch,)
        Largest \\|ψ\\|² of each run; NaN where the field is not finite.
    """

    spectrum: NDArray[Any]
    psi: NDArray[Any] | None
    rho: NDArray[Any]
    peak: NDArray[Any]

    def field(self) -> NDArray[Any]:
        """ψ, computed again where a step has used its memory.

        Returns
        -------
        ndarray of complex, shape (batch, N, N)
        """
        return scipy.fft.ifft2(self.spectrum, axes=(1, 2)) if self.psi is None else self.psi


def squared_wavenumbers(n: int, domain_size: float) -> NDArray[np.float64]:
    """\\|k\\|² for rows and columns 0 … n // 2 of a transform; all others are mirror images.

    Parameters
    ----------
    n : int
        Cells along a side.
    domain_size : float
        Length of a side.

    Returns
    -------
    ndarray of float64, shape (n // 2 + 1, n // 2 + 1)
        1/length².

    Examples
    --------
    >>> squared_wavenumbers(4, 2 * np.pi)[1].tolist()
    [1.0, 2.0, 5.0]
    """
    k = 2.0 * np.pi / domain_size * np.arange(n // 2 + 1)
    return k[:, None] ** 2 + k[None, :] ** 2


class Stepper:
    """ETDRK4 steps for runs that share grid and precision; parameters of the equation may differ from run to run.

    Parameters
    ----------
    runs : list of RunParams
    dt : float
        Step at level 0; level j takes ``dt / 2**j``.
    workers : int
        Threads of each FFT. What comes out does not depend on it.
    """

    def __init__(self, runs: list[RunParams], dt: float, workers: int = 1) -> None:
        n = runs[0].N_grid
        self.dtype, self.real = PRECISIONS[runs[0].precision]
        self.shape = (len(runs), n, n)
        self.dt, self.workers = dt, workers
        k2 = np.stack([squared_wavenumbers(n, run.domain_size) for run in runs])
        epsilon, diffusion, c1, kappa, width = (
            np.array([getattr(run, name) for run in runs], np.float64)[:, None, None]
            for name in ("epsilon", "D", "c1", "kappa", "sigma_k")
        )
        self._linear = (epsilon - (diffusion + 1j * c1) * k2).astype(np.complex128)
        self._kernel = (kappa * np.exp(-0.5 * width**2 * k2)).astype(self.real)
        self._local = kappa.ravel().astype(self.real)
        self._is_local = bool(np.all((kappa == 0) | (width == 0)))
        self._c3 = np.array([run.c3 for run in runs], self.real)
        self._tables: dict[int, tuple[NDArray[Any], ...]] = {}
        self._stage, self._intensity = np.empty(self.shape, self.dtype), np.empty(self.shape, self.real)

    def state(self, spectrum: NDArray[Any]) -> State:
        """The state that belongs to a spectrum.

        Parameters
        ----------
        spectrum : complex, shape (batch, N, N)

        Returns
        -------
        State
        """
        rho = np.empty(self.shape, self.real)
        psi = self._field(spectrum.copy(), rho)
        # NumPy's maximum hands a NaN on, and an infinity.
        return State(spectrum, psi, rho, rho.reshape(self.shape[0], -1).max(axis=1))

    def step(self, state: State, level: int) -> State:
        """One step of ``dt / 2**level``; `state` keeps its spectrum and can be stepped from again.

        Parameters
        ----------
        state : State
        level : int

        Returns
        -------
        State
        """
        half, whole, q, f1, f2, f3 = self._tables_of(level)
        v, a, rho = state.spectrum, self._stage, self._intensity
        psi = self._restore(state)
        state.psi = None
        of_v = self._rate(psi, state.rho)
        _etdrk4.half_step(a, half, q, v, of_v)
        of_a = self._rate(self._field(a.copy(), rho), rho)
        work = np.empty_like(v)
        _etdrk4.half_step(work, half, q, v, of_a)
        of_b = self._rate(self._field(work, rho), rho)
        _etdrk4.third_stage(a, half, q, of_b, of_v)
        of_c = self._rate(self._field(a, rho), rho)
        spectrum = np.empty_like(v)
        _etdrk4.combine(spectrum, whole, f1, f2, f3, v, of_v, of_a, of_b, of_c)
        return self.state(spectrum)

    def believable(self, before: State, after: State) -> NDArray[np.bool_]:
        """Whether a step gave finite fields that did not grow faster than the step can follow.

        Parameters
        ----------
        before, after : State

        Returns
        -------
        ndarray of bool, shape (batch,)
        """
        return after.peak / GROWTH_LIMIT <= before.peak

    def _tables_of(self, level: int) -> tuple[NDArray[Any], ...]:
        if level not in self._tables:
            n = self.shape[1]
            columns = np.minimum(np.arange(n), n - np.arange(n))
            quarter = _etdrk4.step_tables(self._linear, self.dt / 2**level, self.dtype)
            self._tables[level] = tuple(np.ascontiguousarray(table[:, :, columns]) for table in quarter)
        return self._tables[level]

    def _field(self, spectrum: NDArray[Any], rho: NDArray[Any]) -> NDArray[Any]:
        """ψ of a spectrum, in the memory of the spectrum; `rho` becomes its intensity."""
        psi = scipy.fft.ifft2(spectrum, axes=(1, 2), overwrite_x=True, workers=self.workers)
        _etdrk4.intensity(psi, rho)
        return psi

    def _restore(self, state: State) -> NDArray[Any]:
        if state.psi is None:
            state.psi = self._field(state.spectrum.copy(), state.rho)
        return state.psi

    def _rate(self, psi: NDArray[Any], rho: NDArray[Any]) -> NDArray[Any]:
        """Fourier transform of the nonlinear terms, in the memory of `psi`."""
        if self._is_local:
            _etdrk4.react_locally(psi, rho, self._local, self._c3)
        else:
            half_spectrum = scipy.fft.rfft2(rho, axes=(1, 2), workers=self.workers)
            _etdrk4.smooth(half_spectrum, self._kernel)
            coupling = scipy.fft.irfft2(
                half_spectrum, s=self.shape[1:], axes=(1, 2), overwrite_x=True, workers=self.workers
            )
            _etdrk4.react(psi, rho, coupling, self._c3)
        return scipy.fft.fft2(psi, axes=(1, 2), overwrite_x=True, workers=self.workers)
