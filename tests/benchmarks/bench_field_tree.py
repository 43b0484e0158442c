"""How fast many emitters are summed, ranked and put into volumes, each against the plain way in the same run.

Run from the repository root: ``python -m tests.benchmarks.bench_field_tree``. Ways are timed in turn, round by
round, so that what else the machine does meets all of them; each figure is the best of its rounds.
"""

from __future__ import annotations

from collections.abc import Callable

import numba
import numpy as np

from engine.rf import Grid, power_field, power_volume, strongest, volume_grid
from engine.rf._field_sum import strongest_sources, sum_sources
from engine.rf._sources import prepare
from tests.benchmarks.bench_field import SLOTS_PER_PAIR, _busy, best_s, emitter_table, numpy_s_per_emitter

ROUNDS = 12


def in_turn(ways: dict[str, Callable[[], object]], rounds: int = ROUNDS) -> dict[str, float]:
    """Shortest time of each way, s, taken round by round."""
    for work in ways.values():
        work()
    best = dict.fromkeys(ways, np.inf)
    for _ in range(rounds):
        for name, work in ways.items():
            best[name] = min(best[name], best_s(work, 1))
    return best


def multiply_adds_per_s(rounds: int = 100_000) -> float:
    """What the arithmetic units of all threads do at most, float32 multiply-adds a second."""
    threads = numba.get_num_threads()
    _busy(np.float32(0.5), 10, threads)
    return rounds * 256 * 8 * threads / best_s(lambda: _busy(np.float32(0.5), rounds, threads), 7)


def worst_db(one, other) -> float:
    """Largest difference of two fields in dB; they must hide the same cells."""
    assert one.power_dbm.isnull().equals(other.power_dbm.isnull())
    return float(abs(one.power_dbm - other.power_dbm).max())


def test_tree_speed() -> None:
    """Print the figures; what is asserted is the error."""
    grid = Grid.from_bounds(5, 45, 11, 48, shape=(512, 512))
    print(f"{numba.get_num_threads()} threads, 512 x 512 cells, float32; best of {ROUNDS}")
    plain, _ = (1000 * s for s in numpy_s_per_emitter(emitter_table(1000), grid))
    print(f"  NumPy loop over 1000 emitters {plain:.3f} s")
    for n in (1000, 10_000):
        table = emitter_table(n)
        for horizon in (False, True):

            def field(method, dtype="float32", table=table, horizon=horizon):
                return power_field(table, grid, horizon=horizon, method=method, dtype=dtype)

            took = in_turn({"direct": lambda f=field: f("direct"), "tree": lambda f=field: f("tree")})
            error = worst_db(field("tree"), field("direct", "float64"))
            print(f"  N {n:6d} {'horizon' if horizon else 'free   '}  direct {took['direct'] * 1e3:6.1f} ms"
                  f"  tree {took['tree'] * 1e3:6.2f} ms: {took['direct'] / took['tree']:5.1f} x direct,"
                  f" {plain * n / 1000 / took['tree']:6.0f} x NumPy; error {error:.1e} dB")  # fmt: skip
            assert error < 0.005


def test_dominance_speed() -> None:
    """Exact strongest and second strongest emitter against the sum by tree."""
    grid, table = Grid.from_bounds(5, 45, 11, 48, shape=(512, 512)), emitter_table(10_000)
    for horizon in (False, True):
        sources = prepare(table, "free_space", horizon=horizon).sources
        took = in_turn({
            "sum": lambda s=sources: sum_sources(s, grid, "tree"),
            "first two": lambda s=sources: strongest_sources(s, grid),
            "power_field": lambda h=horizon: power_field(table, grid, horizon=h),
            "strongest": lambda h=horizon: strongest(table, grid, horizon=h),
        })  # fmt: skip
        both = took["sum"] + took["first two"]
        print(f"  dominance N 10000 {'horizon' if horizon else 'free   '}: kernels: sum {took['sum'] * 1e3:.1f} ms, "
              f"first two {took['first two'] * 1e3:.1f} ms, together {both / took['sum']:.2f} x the sum; calls: "
              f"power_field {took['power_field'] * 1e3:.1f} ms, strongest with the sum "
              f"{took['strongest'] / took['power_field']:.2f} x")  # fmt: skip


def test_volume_speed() -> None:
    """A volume against the arithmetic limit of summing every emitter in every cell."""
    grid, table = volume_grid(5, 45, 11, 48, 128, 32), emitter_table(1000)
    limit = 1000 * 128 * 128 * 32 * SLOTS_PER_PAIR / multiply_adds_per_s()
    for horizon in (False, True):
        ways = {m: lambda m=m, h=horizon: power_volume(table, grid, method=m, horizon=h) for m in ("direct", "tree")}
        took = in_turn(ways, 5)
        direct, tree = took["direct"], took["tree"]
        print(f"  volume 128 x 128 x 32, N 1000 {'horizon' if horizon else 'free   '}: limit of brute force "
              f"{limit * 1e3:.0f} ms; direct {direct * 1e3:.0f} ms, {direct / limit:.2f} of it; "
              f"tree {tree * 1e3:.0f} ms, {tree / limit:.2f} of it")  # fmt: skip


if __name__ == "__main__":
    test_tree_speed()
    test_dominance_speed()
    test_volume_speed()
