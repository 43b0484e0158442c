"""Ten thousand emitters, one new fix each, and where they will be: the bank, the windows, and a plain loop.

Run from the repository root: ``python -m tests.benchmarks.bench_forecast``. Real fixes of many aircraft
are dealt out to ten thousand slots. All in one run; the ratios say more than the milliseconds.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

import numba
import numpy as np

from data.loader import locate
from engine.rf._imm_models import TUNED
from engine.rf.forecast import WINDOW_FIXES, predict_batch
from engine.rf.rolling_bank import RollingBank
from engine.rf.track_bank import TrackBank
from tests.benchmarks.forecast_table import read_fixes, trial

EMITTERS, LOOPED = 10_000, 40
HORIZONS_S = np.array([5.0, 15.0, 60.0])


def best_ms(work: Callable[[], object], times: int = 15) -> float:
    """Least of several timings, ms."""
    least = np.inf
    for _ in range(times):
        begun = time.perf_counter()
        work()
        least = min(least, time.perf_counter() - begun)
    return 1e3 * least


def plain_step(x: np.ndarray, cov: np.ndarray, mu: np.ndarray, z: np.ndarray, dt: float) -> None:
    """One interaction and position update of four linear models of six states, as one writes it with NumPy."""
    n = mu.size
    stay = np.exp(-dt / TUNED.models[:, 7])
    transition = np.diag(stay) + (1.0 - stay)[:, None] * TUNED.models[:, 8][None, :]
    c = transition.T @ mu
    share = transition * mu[:, None] / c[None, :]
    mixed = share.T @ x
    spread = x[:, None, :] - mixed[None, :, :]
    covs = np.einsum("ij,ikl->jkl", share, cov) + np.einsum("ij,ijk,ijl->jkl", share, spread, spread)
    f = np.eye(6)
    f[0, 2] = f[1, 3] = dt
    h = np.eye(2, 6)
    for j in range(n):
        ahead, p = f @ mixed[j], f @ covs[j] @ f.T + np.eye(6)
        s = h @ p @ h.T + 100.0 * np.eye(2)
        gain = p @ h.T @ np.linalg.inv(s)
        residual = z - h @ ahead
        x[j], cov[j] = ahead + gain @ residual, p - gain @ s @ gain.T
        c[j] *= np.exp(-0.5 * residual @ np.linalg.solve(s, residual)) / np.sqrt(np.linalg.det(s)) + 1e-300
    mu[:] = c / c.sum()


def main() -> None:
    """Measure and say so."""
    fixes = read_fixes(locate("tracks/switzerland.json.gz"))
    t = trial(fixes, EMITTERS, width=WINDOW_FIXES)
    w = [np.ascontiguousarray(values) for values in t.window]
    columns = np.stack([w[3], w[0], w[1], w[2], w[4], w[5], w[6], w[7]], axis=2)
    n = len(columns)
    bank = TrackBank(n)
    slots = np.arange(n)
    for k in range(columns.shape[1]):
        bank.update(slots, columns[:, k])
    newest = columns[:, -1].copy()
    # each timed update takes a new fix, 5 s on, where the track was expected
    out = []
    for name, horizons in (("one horizon", HORIZONS_S[1:2]), ("5, 15 and 60 s", HORIZONS_S)):
        update_ms = predict_ms = np.inf
        for _ in range(12):
            ahead_s = 5.0
            p = bank.predict([ahead_s])
            later = newest.copy()
            later[:, 0] += ahead_s
            later[:, 1], later[:, 2] = p.lat[:, 0], p.lon[:, 0]
            later[:, 7] = np.nan
            begun = time.perf_counter()
            bank.update(slots, later)
            middle = time.perf_counter()
            bank.predict(horizons)
            done = time.perf_counter()
            newest = later
            if update_ms + predict_ms > 1e3 * (done - begun):
                update_ms, predict_ms = 1e3 * (middle - begun), 1e3 * (done - middle)
        out.append((name, update_ms, predict_ms))
        sys.stdout.write(
            f"{n} emitters, {numba.get_num_threads()} threads, {name}: update {update_ms:.1f} ms, "
            f"predict {predict_ms:.1f} ms, together {update_ms + predict_ms:.1f} ms\n"
        )
    rolling = RollingBank()
    for k in range(columns.shape[1]):
        rolling.update(slots, columns[:, k])
    few = np.arange(n // 10)
    live_ms = []
    for _ in range(12):
        newest[few, 0] += 10.0
        p = rolling.states(few).predict(np.full((few.size, 1), 10.0))
        newest[few, 1], newest[few, 2] = p.lat[:, 0], p.lon[:, 0]
        begun = time.perf_counter()
        rolling.update(few, newest[few])
        rolling.states(slots).predict(np.tile(HORIZONS_S[:2], (n, 1)))
        live_ms.append(1e3 * (time.perf_counter() - begun))
    sys.stdout.write(
        f"a live tick, {few.size} new fixes into two eras, a copy of all states, "
        f"two horizons of all: {min(live_ms):.1f} ms\n"
    )
    steps = np.tile(HORIZONS_S, (n, 1))
    windows_ms = best_ms(lambda: predict_batch(*w[:7], w[8], steps, position_time_s=w[7]), 5)
    x, cov, mu = np.zeros((4, 6)), np.tile(np.eye(6), (4, 1, 1)), np.full(4, 0.25)
    loop_ms = best_ms(lambda: [plain_step(x, cov, mu, np.zeros(2), 5.0) for _ in range(LOOPED)], 5) * n / LOOPED
    together = out[1][1] + out[1][2]
    sys.stdout.write(
        f"the same from windows of {WINDOW_FIXES} fixes: {windows_ms:.0f} ms, "
        f"{windows_ms / together:.1f} times the bank\n"
        f"one update alone as a NumPy loop: {loop_ms:.0f} ms, {loop_ms / out[1][1]:.0f} times the bank's update\n"
    )


if __name__ == "__main__":
    main()
