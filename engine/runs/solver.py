"""The solver of the hunt: a sourced, non-local complex Ginzburg-Landau field on a periodic square.

From parameters to labelled arrays. It must not know of files, metrics or hunts: the same parameters give the same
arrays, and nothing else happens.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.fft
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from engine.runs._stepper import squared_wavenumbers
from engine.runs._walk import Diverged, Position, Walk
from engine.runs.identity import canonical_json, run_id
from engine.runs.params import PRECISIONS, RunParams

BATCH_BYTES = 2**19
"""Fields of a batch, bytes: as many small grids as make calls cheap and still lie in a core's cache."""


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """A run that was stopped: `simulate` goes on from it and ends where the undisturbed run ends, to the bit.

    Parameters
    ----------
    params : RunParams
    own_start : bool
        Whether it began from its seed; not so if a start was given.
    step : int
        Steps done.
    spectrum : complex, shape (N, N)
        Fourier transform of ψ.
    rho_s : float, shape (N, N)
    level, calm, deepest : int
        The state of the step control.
    history : float, shape (frames, N, N)
    """

    params: RunParams
    own_start: bool
    step: int
    spectrum: NDArray[Any]
    rho_s: NDArray[Any]
    level: int
    calm: int
    deepest: int
    history: NDArray[Any]


@dataclass(frozen=True)
class Progress:
    """Where a run is; handed to the caller after each step.

    Parameters
    ----------
    step, n_steps : int
    t : float
        Time reached, in the units of the equation.
    peak : float
        Largest \\|ψ\\|².
    checkpoint : callable
        Gives a `Checkpoint` of this very step; to be called before the callback returns.
    """

    step: int
    n_steps: int
    t: float
    peak: float
    checkpoint: Callable[[], Checkpoint]


class Cancelled(Exception):
    """A run that its caller stopped; `checkpoint` is where.

    Parameters
    ----------
    checkpoint : Checkpoint
    """

    def __init__(self, checkpoint: Checkpoint) -> None:
        super().__init__(f"stopped after {checkpoint.step} of {checkpoint.params.T_steps} steps")
        self.checkpoint = checkpoint


def simulate(
    params: Mapping[str, Any] | RunParams,
    progress: Callable[[Progress], bool | None] | None = None,
    *,
    psi0: ArrayLike | None = None,
    resume: Checkpoint | None = None,
    workers: int = 1,
) -> xr.Dataset:
    """Run one simulation.

    Solved is, on a periodic square of side `domain_size`,

        ∂ψ/∂t = ε ψ + (D + i c₁) ∇²ψ − (1 + i c₃) \\|ψ\\|² ψ + κ (G_σ ∗ \\|ψ\\|²) ψ,

    where the Gaussian kernel has the integral 1 and the Fourier transform exp(−σ²k²/2), σ = `sigma_k` being a length.
    ``L = ε − (D + i c₁) k²`` is integrated exactly, mode by mode; the two cubic terms are advanced by ETDRK4 with
    FFTs, without de-aliasing. The density and the metric follow ψ and do not act on it: ρ_s starts at `rho_vac` and
    after each step of `dt` becomes ``m ρ_s + (1 − m) \\|ψ\\|²`` with m = `rho_memory` at dt = 0.01, in general
    m = rho_memory^(dt/0.01), so that its memory is a time and not a number of steps. At the end
    ``g_tt = −(rho_vac/ρ_s)^alpha``.

    Plane waves ``A exp(i(k·x − ωt))`` solve it with ``A² = (ε − D k²)/(1 − κ)`` and ``ω = c₁k² + c₃A²``; the uniform
    one is stable to long waves where ``D (1 − κ) + c₁c₃ > 0`` (Benjamin-Feir).

    A step in which the largest \\|ψ\\|² grows more than fourfold, or is not finite, is done again in halves, up to 12
    times. A `tolerance` above 0 divides steps until the estimated relative error of each `dt` is below it.

    Parameters
    ----------
    params : mapping of str to value, or RunParams
        See `RunParams`; what is not named has its default.
    progress : callable, optional
        Called with a `Progress` after each step; the run stops if it returns False.
    psi0 : array_like of complex, shape (N, N), optional
        A start to use instead of noise from the seed. Such a run has no id.
    resume : Checkpoint, optional
        Go on from there; its parameters have to be equal.
    workers : int
        Threads of each FFT. The result does not depend on it, to the bit.

    Returns
    -------
    xarray.Dataset
        On ``y``, ``x``: `final_rho` = \\|ψ\\|², `final_g_tt`, `rho_s`, `psi`; with `history_every` also `rho_history`
        on ``t``, ``y``, ``x``. Attributes: `params` (canonical JSON), `run_id`, `t`, `smallest_dt`.

    Raises
    ------
    ValueError
        Parameters, a start or a checkpoint that do not fit.
    Cancelled
        `progress` returned False.
    Diverged
        The field grows without bound, the tolerance cannot be reached, or g_tt is not finite.

    Examples
    --------
    >>> run = simulate({"N_grid": 16, "T_steps": 5})
    >>> run.final_rho.shape, run.attrs["t"]
    ((16, 16), 0.05)

    References
    ----------
    Kassam and Trefethen, SIAM J. Sci. Comput. 26 (2005) 1214 (ETDRK4); Aranson and Kramer, Rev. Mod. Phys. 74 (2002)
    99, section II (plane waves and their stability).
    """
    run = RunParams.of(params)
    walk = Walk([run], workers)
    own_start = psi0 is None
    if resume is not None:
        if psi0 is not None:
            raise ValueError("both psi0 and resume are given; a run begins from one of them")
        position, own_start = _resumed(walk, run, resume), resume.own_start
    else:
        position = walk.begin(_spectrum(random_start(run) if psi0 is None else _given_start(run, psi0), run))
    while position.step < run.T_steps:
        walk.advance(position)
        if progress is not None:
            here = _progress(run, position, own_start)
            if progress(here) is False:
                raise Cancelled(here.checkpoint())
    return _dataset(run, position, 0, own_start)


def simulate_batch(params: Iterable[Mapping[str, Any] | RunParams], *, workers: int = 1) -> list[xr.Dataset | Diverged]:
    """Run several simulations; each result is, to the bit, what `simulate` gives.

    Runs of equal grid, step, length and precision go through each FFT together, which is faster on small grids
    (docs/engine-runs.md). A run that needs divided steps leaves its batch and goes on alone.

    Parameters
    ----------
    params : iterable of mapping or RunParams
    workers : int
        Threads of each FFT.

    Returns
    -------
    list of xarray.Dataset or Diverged
        In the order of `params`. A run that diverges is returned as the exception, so that the others are not lost.

    Raises
    ------
    ValueError
        Parameters that do not fit.

    Examples
    --------
    >>> runs = simulate_batch([{"seed": seed, "N_grid": 16, "T_steps": 5} for seed in range(3)])
    >>> runs[2].identical(simulate({"seed": 2, "N_grid": 16, "T_steps": 5}))
    True
    """
    runs = [RunParams.of(each) for each in params]
    groups: dict[tuple[Any, ...], list[int]] = {}
    for index, run in enumerate(runs):
        local = run.kappa == 0 or run.sigma_k == 0
        alone = index if run.tolerance else None
        key = (run.N_grid, run.dt, run.T_steps, run.precision, run.history_every, local, alone)
        groups.setdefault(key, []).append(index)
    results: dict[int, xr.Dataset | Diverged] = {}
    for indices in groups.values():
        first = runs[indices[0]]
        size = max(1, BATCH_BYTES // (first.N_grid**2 * np.dtype(PRECISIONS[first.precision][0]).itemsize))
        for start in range(0, len(indices), size):
            chunk = indices[start : start + size]
            results.update(zip(chunk, _run_together([runs[i] for i in chunk], workers), strict=True))
    return [results[index] for index in range(len(runs))]


def random_start(params: Mapping[str, Any] | RunParams) -> NDArray[np.complex128]:
    """The start that belongs to a seed: complex Gaussian noise of the given correlation length and rms.

    Parameters
    ----------
    params : mapping of str to value, or RunParams

    Returns
    -------
    ndarray of complex128, shape (N, N)

    Examples
    --------
    >>> start = random_start({"start_rms": 0.5})
    >>> round(float(np.sqrt(np.mean(np.abs(start) ** 2))), 12)
    0.5
    """
    run = RunParams.of(params)
    n = run.N_grid
    # PCG64 by name: default_rng may one day be another generator.
    real, imag = np.random.Generator(np.random.PCG64(run.seed)).standard_normal((2, n, n))
    mirrored = np.minimum(np.arange(n), n - np.arange(n))
    k2 = squared_wavenumbers(n, run.domain_size)[np.ix_(mirrored, mirrored)]
    noise = scipy.fft.ifft2(scipy.fft.fft2(real + 1j * imag) * np.exp(-0.5 * run.start_length**2 * k2))
    return noise * (run.start_rms / np.sqrt(np.mean(np.abs(noise) ** 2)))


def warm() -> None:
    """Compile the kernels for both precisions; nothing is compiled later in front of a viewer.

    Examples
    --------
    >>> warm()
    """
    for precision in PRECISIONS:
        for kappa in (0.0, 0.1):
            simulate({"N_grid": 4, "T_steps": 1, "precision": precision, "kappa": kappa})


def _run_together(runs: list[RunParams], workers: int) -> list[xr.Dataset | Diverged]:
    """Runs of one batch; those whose step cannot be believed go on alone from where they are."""
    results: dict[int, xr.Dataset | Diverged] = {}
    if len(runs) == 1:
        return [_alone(runs[0], None, workers)]
    here = np.arange(len(runs))
    walk = Walk(runs, workers)
    position = walk.begin(np.concatenate([_spectrum(random_start(run), run) for run in runs]))
    while here.size and position.step < runs[0].T_steps:
        after, believed = walk.attempt(position)
        if not believed.all():
            for place in np.flatnonzero(~believed):
                single = position.pick(np.array([place]))
                results[int(here[place])] = _alone(runs[here[place]], single, workers)
            stay = np.flatnonzero(believed)
            here = here[stay]
            if not here.size:
                break
            position = position.pick(stay)
            walk = Walk([runs[i] for i in here], workers)
            continue
        walk.arrive(position, after)
    for slot, index in enumerate(here.tolist()):
        results[index] = _outcome(runs[index], position, slot)
    return [results[index] for index in range(len(runs))]


def _alone(run: RunParams, position: Position | None, workers: int) -> xr.Dataset | Diverged:
    walk = Walk([run], workers)
    if position is None:
        position = walk.begin(_spectrum(random_start(run), run))
    try:
        while position.step < run.T_steps:
            walk.advance(position)
    except Diverged as error:
        return error
    return _outcome(run, position, 0)


def _outcome(run: RunParams, position: Position, place: int) -> xr.Dataset | Diverged:
    try:
        return _dataset(run, position, place, own_start=True)
    except Diverged as error:
        return error


def _given_start(run: RunParams, psi0: ArrayLike) -> NDArray[Any]:
    start = np.asarray(psi0)
    n = run.N_grid
    if start.shape != (n, n) or start.dtype.kind not in "iufc" or not np.isfinite(start).all():
        raise ValueError(f"psi0 has the shape {start.shape} and type {start.dtype}; it must be finite and {n} x {n}")
    return start


def _spectrum(start: NDArray[Any], run: RunParams) -> NDArray[Any]:
    return scipy.fft.fft2(start.astype(PRECISIONS[run.precision][0]))[None]


def _resumed(walk: Walk, run: RunParams, saved: Checkpoint) -> Position:
    if saved.params != run:
        ours, theirs = run.as_dict(), saved.params.as_dict()
        differ = ", ".join(f"{name} {theirs[name]!r} -> {ours[name]!r}" for name in ours if ours[name] != theirs[name])
        raise ValueError(f"the checkpoint is of another run: {differ}")
    state = walk.stepper.state(saved.spectrum[None].copy())
    frames = [frame[None].copy() for frame in saved.history]
    return Position(saved.step, state, saved.rho_s[None].copy(), saved.level, saved.calm, saved.deepest, frames)


def _progress(run: RunParams, position: Position, own_start: bool) -> Progress:
    def checkpoint() -> Checkpoint:
        history = np.array([frame[0] for frame in position.frames], PRECISIONS[run.precision][1])
        return Checkpoint(
            run, own_start, position.step, position.state.spectrum[0].copy(), position.rho_s[0].copy(),
            position.level, position.calm, position.deepest, history.reshape(-1, run.N_grid, run.N_grid),
        )  # fmt: skip

    return Progress(position.step, run.T_steps, position.step * run.dt, float(position.state.peak[0]), checkpoint)


def _dataset(run: RunParams, position: Position, place: int, own_start: bool) -> xr.Dataset:
    dtype, real = PRECISIONS[run.precision]
    rho_s = position.rho_s[place].copy()
    with np.errstate(divide="ignore", over="ignore"):
        g_tt = (-((run.rho_vac / rho_s.astype(np.float64)) ** run.alpha)).astype(real)
    if not np.isfinite(g_tt).all():
        raise Diverged(run, position.step * run.dt, f"g_tt is not finite where rho_s is {rho_s.min():g}")
    plane = ("y", "x")
    fields: dict[str, Any] = {
        "final_rho": (plane, position.state.rho[place].copy(), {"long_name": "|psi|^2 at the end"}),
        "final_g_tt": (plane, g_tt, {"long_name": "-(rho_vac / rho_s)^alpha"}),
        "rho_s": (plane, rho_s, {"long_name": "relaxing density"}),
        "psi": (plane, scipy.fft.ifft2(position.state.spectrum[place]).astype(dtype), {"long_name": "psi at the end"}),
    }
    axis = np.arange(run.N_grid) * (run.domain_size / run.N_grid)
    coords = {"y": axis, "x": axis}
    if run.history_every:
        coords["t"] = np.arange(len(position.frames)) * (run.history_every * run.dt)
        history = np.array([frame[place] for frame in position.frames])
        fields["rho_history"] = (("t", *plane), history, {"long_name": "|psi|^2 over time"})
    attrs = {"params": canonical_json(run.as_dict()), "t": run.T_steps * run.dt}
    attrs["smallest_dt"] = run.dt / 2**position.deepest
    if own_start:
        attrs["run_id"] = run_id(run)
    return xr.Dataset(fields, coords, attrs)
