"""How fast the solver steps: against the FFTs that the scheme needs, alone and in batches, and against py-pde.

Run from the repository root: ``make bench``, or ``python -m tests.benchmarks.bench_solver``. What is compared is timed
in turns within one run. py-pde is no dependency: the comparison is left out where it is not installed.
"""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Callable

import numpy as np
import pytest
import scipy.fft

from engine.runs import RunParams, simulate, simulate_batch
from engine.runs._stepper import Stepper
from engine.runs.solver import random_start, warm


def in_turns_s(*works: Callable[[], object], rounds: int) -> list[list[float]]:
    """Seconds of each work in each round; the works of a round follow each other."""
    times: list[list[float]] = [[] for _ in works]
    for _ in range(rounds):
        for work, spent in zip(works, times, strict=True):
            start = time.perf_counter()
            work()
            spent.append(time.perf_counter() - start)
    return times


def needed_ffts(psi: np.ndarray, rho: np.ndarray, workers: int) -> None:
    """The transforms of one ETDRK4 step: four stages, each ψ back, |ψ|² there and back smoothed, the rate there."""
    for _ in range(4):
        back = scipy.fft.ifft2(psi, axes=(1, 2), overwrite_x=True, workers=workers)
        half = scipy.fft.rfft2(rho, axes=(1, 2), workers=workers)
        scipy.fft.irfft2(half, s=psi.shape[1:], axes=(1, 2), overwrite_x=True, workers=workers)
        scipy.fft.fft2(back, axes=(1, 2), overwrite_x=True, workers=workers)


@pytest.mark.parametrize("precision", ["double", "single"])
@pytest.mark.parametrize("n", [64, 256, 512])
def test_a_step_against_its_ffts(n: int, precision: str) -> None:
    """Print steps per second and the ratio; what is asserted is that the steps are worth timing."""
    warm()
    for workers in (1, 2):
        run = RunParams(N_grid=n, domain_size=float(n), precision=precision)
        stepper = Stepper([run], run.dt, workers)
        state = stepper.state(scipy.fft.fft2(random_start(run).astype(stepper.dtype))[None])

        def step(stepper: Stepper = stepper) -> None:
            nonlocal state
            state = stepper.step(state, 0)

        psi, rho = state.field().copy(), state.rho.copy()
        ours, theirs = in_turns_s(
            step,
            lambda psi=psi, rho=rho, workers=workers: needed_ffts(psi, rho, workers),
            rounds=max(12, 3_000_000 // n**2),
        )
        ratio, best = np.median(np.array(ours) / theirs), min(ours) / min(theirs)
        print(f"{n:4d}^2 {precision} {workers} threads: {1 / min(ours):7.1f} steps/s, ", end="")
        print(f"{best:.2f} of the FFTs (best of each), {ratio:.2f} (median of rounds)")
        assert np.isfinite(state.peak).all()


def test_batches_against_single_runs() -> None:
    """Small grids: the same runs one by one, and together."""
    warm()
    for n in (32, 64, 128):
        params = [{"N_grid": n, "seed": seed, "T_steps": 50, "kappa": 0.1 + seed / 100} for seed in range(16)]
        alone, together = in_turns_s(
            lambda params=params: [simulate(each) for each in params],
            lambda params=params: simulate_batch(params),
            rounds=4,
        )
        print(f"{n:4d}^2, 16 runs of 50 steps: {min(alone) / min(together):.2f} x as fast in batches")


def test_against_py_pde() -> None:
    """A short run without the non-local term by py-pde: second-order differences, classical Runge-Kutta, compiled.

    Its step is the largest that its explicit scheme takes for sure; compiling is left out of its time.
    """
    if importlib.util.find_spec("pde") is None:
        pytest.skip("py-pde is not installed")
    import pde

    for n in (256, 512):
        # The same waves on each grid, long against a cell, so that second-order differences come close.
        run = RunParams(N_grid=n, domain_size=64.0, kappa=0.0, epsilon=0.5, T_steps=20, dt=0.01, start_length=6.0)
        start, span = random_start(run), run.T_steps * run.dt
        # |D + i c1| times the largest eigenvalue of the five-point Laplacian, within the circle of that method.
        fastest = np.hypot(run.D, run.c1) * 8 / (run.domain_size / n) ** 2
        steps = int(np.ceil(span * fastest / 2.5))
        grid = pde.CartesianGrid([[0, run.domain_size]] * 2, n, periodic=True)
        rate = f"{run.epsilon} * c + ({run.D} + {run.c1}j) * laplace(c) - (1 + {run.c3}j) * abs(c)**2 * c"
        field = pde.ScalarField(grid, start, dtype=complex)
        solver = pde.RungeKuttaSolver(pde.PDE({"c": rate}), backend="numba", adaptive=False)
        walk = solver.make_stepper(field, dt=span / steps)
        found: dict[str, np.ndarray] = {}

        def theirs(walk=walk, field=field, span=span, found=found) -> None:
            state = field.copy()
            walk(state, 0.0, span)
            found["pde"] = state.data

        def ours(run=run, start=start, found=found) -> None:
            found["ours"] = simulate(run, psi0=start).psi.to_numpy()

        theirs()  # compiles
        one, other = in_turns_s(ours, theirs, rounds=3)
        apart = np.abs(found["ours"] - found["pde"]).max() / np.abs(found["ours"]).max()
        print(
            f"{n:4d}^2 to t = {span:g}: ours {run.T_steps} steps in {min(one):.3f} s, py-pde {steps} steps in ", end=""
        )
        print(f"{min(other):.3f} s: {min(other) / min(one):.1f} x; apart by {apart:.1e} of the largest value")
        assert apart < 1e-3


if __name__ == "__main__":
    for cells in (64, 256, 512):
        for name in ("double", "single"):
            test_a_step_against_its_ffts(cells, name)
    test_batches_against_single_runs()
    if importlib.util.find_spec("pde"):
        test_against_py_pde()
