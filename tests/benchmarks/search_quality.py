"""How good the samplers of the hunt are, at equal numbers of evaluations, on functions with known optima.

    python tests/benchmarks/search_quality.py [--seeds 15] [--samplers cmaes elitist random] [--noise 0]

Ten functions after the BBOB suite (Hansen, Finck, Ros, Auger 2009, RR-6829), each seed with its own optimum and its own
rotation, on [-5, 5]^d. Quality is the share of 51 targets, f - f_opt = 10^2 ... 10^-8, that the best point so far has
reached: what the COCO platform draws, at one budget. No noise, one run for each point, population 8 for all.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import numpy as np
from numpy.typing import NDArray

from engine.runs.samplers import SAMPLERS

Array = NDArray[np.float64]

TARGETS = np.logspace(2, -8, 51)
BUDGETS = (100, 300, 1000)
POPULATION = 8


def rotation(rng: np.random.Generator, d: int) -> Array:
    """A random orthogonal matrix, uniform over the group."""
    q, r = np.linalg.qr(rng.standard_normal((d, d)))
    return q * np.sign(np.diag(r))


def conditioned(d: int, condition: float) -> Array:
    """Diagonal from 1 to the square root of a condition number."""
    return condition ** (0.5 * np.arange(d) / max(d - 1, 1))


def oscillated(z: Array) -> Array:
    """BBOB's T_osz: smooth, local irregularities."""
    x_hat = np.log(np.maximum(np.abs(z), 1e-300))
    c1, c2 = np.where(z > 0, 10.0, 5.5), np.where(z > 0, 7.9, 3.1)
    return np.sign(z) * np.exp(x_hat + 0.049 * (np.sin(c1 * x_hat) + np.sin(c2 * x_hat))) * (z != 0)


def sphere(z: Array, _: np.random.Generator) -> Array:
    """F1."""
    return np.sum(z**2, axis=1)


def ellipsoid(z: Array, _: np.random.Generator) -> Array:
    """F10: rotated, condition 10^6."""
    return np.sum((conditioned(z.shape[1], 1e6) ** 2) * oscillated(z) ** 2, axis=1)


def rastrigin(z: Array, _: np.random.Generator) -> Array:
    """F15: rotated, some 10^d local optima."""
    x = oscillated(z) * conditioned(z.shape[1], 10.0)
    return 10.0 * (z.shape[1] - np.sum(np.cos(2 * np.pi * x), axis=1)) + np.sum(x**2, axis=1)


def rosenbrock(z: Array, _: np.random.Generator) -> Array:
    """F9: rotated banana valley; the optimum is at 0 here."""
    x = max(1.0, np.sqrt(z.shape[1]) / 8) * z + 1.0
    return np.sum(100.0 * (x[:, :-1] ** 2 - x[:, 1:]) ** 2 + (x[:, :-1] - 1.0) ** 2, axis=1)


def discus(z: Array, _: np.random.Generator) -> Array:
    """F11: one direction a thousand times as steep as the others."""
    x = oscillated(z)
    return 1e6 * x[:, 0] ** 2 + np.sum(x[:, 1:] ** 2, axis=1)


def cigar(z: Array, _: np.random.Generator) -> Array:
    """F12: a ridge."""
    return z[:, 0] ** 2 + 1e6 * np.sum(z[:, 1:] ** 2, axis=1)


def sharp_ridge(z: Array, _: np.random.Generator) -> Array:
    """F13: a ridge without a gradient along it near its edge."""
    return z[:, 0] ** 2 + 100.0 * np.sqrt(np.sum(z[:, 1:] ** 2, axis=1))


def different_powers(z: Array, _: np.random.Generator) -> Array:
    """F14."""
    power = 2.0 + 4.0 * np.arange(z.shape[1]) / max(z.shape[1] - 1, 1)
    return np.sqrt(np.sum(np.abs(z) ** power, axis=1))


def schaffers(z: Array, _: np.random.Generator) -> Array:
    """F17: many optima, the finer the nearer."""
    s = np.sqrt(z[:, :-1] ** 2 + z[:, 1:] ** 2)
    return np.mean(np.sqrt(s) * (1.0 + np.sin(50.0 * s**0.2) ** 2), axis=1) ** 2


def gallagher(z: Array, rng: np.random.Generator) -> Array:
    """F21: 101 Gaussian peaks, the highest at 0, at random places."""
    d = z.shape[1]
    places = rng.uniform(-5, 5, (101, d))
    places[0] = 0.0
    height = np.concatenate([[10.0], np.linspace(1.1, 9.1, 100)])
    width = 1000.0 ** (rng.permutation(101) / 100.0)[:, None] ** 0.5 * rng.permuted(
        np.tile(conditioned(d, 10.0), (101, 1)), axis=1
    )
    squared = np.sum(((z[:, None, :] - places) ** 2) * width[None], axis=2)
    return oscillated(10.0 - np.max(height * np.exp(-squared / (2 * d)), axis=1)) ** 2


FUNCTIONS: tuple[Callable[[Array, np.random.Generator], Array], ...] = (
    sphere, ellipsoid, rastrigin, rosenbrock, discus, cigar, sharp_ridge, different_powers, schaffers, gallagher,
)  # fmt: skip


def best_so_far(name: str, which: int, d: int, seed: int, noise: float) -> Array:
    """Running minimum of f − f_opt of one search, shape (largest budget,)."""
    rng = np.random.default_rng([which, d, seed])
    optimum, turned, inner = rng.uniform(-4, 4, d), rotation(rng, d), int(rng.integers(2**32))
    sampler = SAMPLERS[name](d, seed, POPULATION)
    jitter = np.random.default_rng([which, d, seed, 9])
    values: list[float] = []
    while len(values) < max(BUDGETS):
        points = sampler.ask(POPULATION)
        found = FUNCTIONS[which]((10.0 * points - 5.0 - optimum) @ turned.T, np.random.default_rng(inner))
        # A told value of the order of its logarithm's scatter: ranks of near points come out wrong.
        sampler.tell(points, -found * np.exp(noise * jitter.standard_normal(POPULATION)))
        values.extend(found.tolist())
    return np.minimum.accumulate(values)[: max(BUDGETS)]


def shares(job: tuple[str, int, int, int, float]) -> list[float]:
    """Share of targets reached at each budget."""
    best = best_so_far(*job)
    return [float(np.mean(best[budget - 1] <= TARGETS)) for budget in BUDGETS]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=15)
    parser.add_argument("--noise", type=float, default=0.0, help="standard deviation of ln f")
    parser.add_argument("--samplers", nargs="+", default=["cmaes", "elitist", "random"], choices=list(SAMPLERS))
    parser.add_argument("--by-function", action="store_true")
    given = parser.parse_args()
    for d in (3, 5):
        print(f"\nd = {d}, {given.seeds} seeds, {len(FUNCTIONS)} functions, noise {given.noise:g}\n")
        print(f"| sampler | {' | '.join(f'{budget} evaluations' for budget in BUDGETS)} | time, s |")
        print("| --- |" + " --- |" * (len(BUDGETS) + 1))
        for name in given.samplers:
            began = time.monotonic()
            jobs = [
                (name, which, d, seed, given.noise) for which in range(len(FUNCTIONS)) for seed in range(given.seeds)
            ]
            with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
                found = np.array(list(pool.map(shares, jobs, chunksize=8))).reshape(len(FUNCTIONS), given.seeds, -1)
            # Standard error over seeds, the functions being what they are.
            error = found.mean(axis=0).std(axis=0, ddof=1) / np.sqrt(given.seeds) if given.seeds > 1 else np.zeros(3)
            cells = [f"{mean:.3f} ± {e:.3f}" for mean, e in zip(found.mean(axis=(0, 1)), error, strict=True)]
            print(f"| {name} | {' | '.join(cells)} | {time.monotonic() - began:.0f} |", flush=True)
            if given.by_function:
                for function, rows in zip(FUNCTIONS, found.mean(axis=1), strict=True):
                    print(f"|   {function.__name__} | {' | '.join(f'{share:.3f}' for share in rows)} | |")


if __name__ == "__main__":
    main()
