"""How fast a field is: against the formula as written, against the leanest NumPy, and against the machine.

Run from the repository root: ``make bench``, or ``python -m tests.benchmarks.bench_field``. All times are
of one run, so that their ratios compare; NumPy is timed on a few emitters and scaled up.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import pandas as pd
from numba import get_num_threads, njit, prange

from engine.geo import geodetic_to_ecef
from engine.rf import Grid, power_field
from engine.rf.field import sum_power_mw, warm
from engine.rf.propagation import free_space_power_dbm, unit_loss_distance_m
from engine.units import dbm_to_mw

SAMPLE = 8
SLOTS_PER_PAIR = 5.25
"""Multiply-add slots of a far emitter: 3 for the squares, 9/4 to share a division by four.

Differences and sums run in other units beside them, and the division is not counted.
"""


def best_s(work: Callable[[], object], repeat: int) -> float:
    """Shortest of some runs, s: the one least disturbed by others."""
    times = []
    for _ in range(repeat):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times)


# Contraction alone: with more freedom the compiler would fold the chain into one multiply-add.
@njit(nogil=True, parallel=True, fastmath={"contract"})
def _busy(seed, rounds, workers):
    """Chains of float32 multiply-adds, eight a lane and round: what the arithmetic units can do at most."""
    out = np.zeros(workers, np.float32)
    a, b = np.float32(0.999), np.float32(1e-3)
    for worker in prange(workers):
        lanes = np.full(256, seed, np.float32)
        for _ in range(rounds):
            for c in range(256):
                v = lanes[c] * a + b
                v = (v * a + b) * a + b
                v = (v * a + b) * a + b
                v = (v * a + b) * a + b
                lanes[c] = v * a + b
        out[worker] = lanes.sum()
    return out


def emitter_table(n: int, seed: int = 0) -> pd.DataFrame:
    """Aircraft-like emitters over Switzerland."""
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "lat": rng.uniform(45, 48, n),
            "lon": rng.uniform(5, 11, n),
            "alt_m": rng.uniform(0, 12_000, n),
            "eirp_dbm": rng.uniform(30, 60, n),
            "freq_hz": np.full(n, 1090e6),
        }
    )


def numpy_s_per_emitter(table: pd.DataFrame, grid: Grid) -> tuple[float, float]:
    """Seconds per emitter of P.525 as written, and of K/d^2 alone, both as a loop over emitters."""
    x, y, z = grid.ecef_m()
    ex, ey, ez = geodetic_to_ecef(table.lat, table.lon, table.alt_m)
    gain = dbm_to_mw(table.eirp_dbm.to_numpy()) * unit_loss_distance_m(table.freq_hz.to_numpy()) ** 2

    def plain() -> np.ndarray:
        total = np.zeros(grid.array_shape)
        for i in range(SAMPLE):
            distance = np.sqrt((x - ex[i]) ** 2 + (y - ey[i]) ** 2 + (z - ez[i]) ** 2)
            total += dbm_to_mw(free_space_power_dbm(table.eirp_dbm[i], distance, table.freq_hz[i]))
        return 10 * np.log10(total)

    def lean() -> np.ndarray:
        total, square, part = np.zeros(grid.array_shape), np.empty(grid.array_shape), np.empty(grid.array_shape)
        for i in range(SAMPLE):
            np.subtract(x, ex[i], out=square)
            np.multiply(square, square, out=square)
            for cells, e in ((y, ey[i]), (z, ez[i])):
                np.subtract(cells, e, out=part)
                np.multiply(part, part, out=part)
                np.add(square, part, out=square)
            np.divide(gain[i], square, out=square)
            np.add(total, square, out=total)
        return 10 * np.log10(total)

    np.testing.assert_allclose(plain(), lean(), atol=1e-9)
    np.testing.assert_allclose(power_field(table[:SAMPLE], grid, horizon=False).power_dbm, plain(), atol=1e-4)
    return best_s(plain, 3) / SAMPLE, best_s(lean, 3) / SAMPLE


def test_field_speed() -> None:
    """Print the figures; what is asserted is that all the ways agree."""
    warm()
    grid, table = Grid.from_bounds(5, 45, 11, 48, shape=(512, 512)), emitter_table(1000)
    pairs = 1000 * 512 * 512
    plain, lean = (1000 * s for s in numpy_s_per_emitter(table, grid))
    print(f"1000 emitters on 512 x 512, {get_num_threads()} threads")
    print(f"  NumPy, formula as written  {plain:8.3f} s\n  NumPy, K/d^2 in place      {lean:8.3f} s")
    rounds, threads = 100_000, get_num_threads()
    _busy(np.float32(0.5), 10, threads)
    slots = rounds * 256 * 8 * threads / best_s(lambda: _busy(np.float32(0.5), rounds, threads), 5)
    for name, options in {
        "float32": {"horizon": False},
        "float32, horizon": {},
        "float32, direct": {"horizon": False, "method": "direct"},
        "float64": {"horizon": False, "dtype": "float64"},
    }.items():
        spent = best_s(lambda options=options: power_field(table, grid, **options), 9)
        print(f"  power_field {name:17s} {spent:6.4f} s: {plain / spent:5.0f} x the formula, ", end="")
        print(f"{lean / spent:5.0f} x K/d^2, {pairs / spent / 1e9:5.1f} G pairs/s")
    print(f"  machine: {slots / 1e9:.0f} G float32 multiply-adds/s measured; ", end="")
    print(f"at {SLOTS_PER_PAIR} a pair at most {slots / SLOTS_PER_PAIR / 1e9:.1f} G pairs/s")

    frame, few = Grid.web_mercator(5, 45, 11, 48, shape=(384, 512)), emitter_table(50)
    x, y, z = (np.asarray(v) for v in geodetic_to_ecef(few.lat, few.lon, few.alt_m))
    arrays = (x, y, z, few.alt_m.to_numpy(), dbm_to_mw(few.eirp_dbm.to_numpy()), few.freq_hz.to_numpy())
    live, whole = best_s(lambda: sum_power_mw(*arrays, frame), 30), best_s(lambda: power_field(few, frame), 30)
    print(f"a live frame, 50 emitters on 384 x 512: sum_power_mw {live * 1e3:.2f} ms, power_field {whole * 1e3:.2f} ms")

    exact = power_field(table, grid, dtype="float64", method="direct").power_dbm
    for method, bound_db in (("direct", 5e-5), ("auto", 0.01)):
        cost_db = float(abs(power_field(table, grid, method=method).power_dbm - exact).max())
        print(f"float32, {method}: off by at most {cost_db:.1e} dB here")
        assert cost_db < bound_db


if __name__ == "__main__":
    test_field_speed()
