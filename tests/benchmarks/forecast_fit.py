"""Fits the calibration of the forecast's covariance, and prints it: the rows of `engine.rf._imm_models.CALIBRATION`.

Run from the repository root: ``python -m tests.benchmarks.forecast_fit``. Sees the fitting half of the
aircraft of three recordings and nothing else; `tests.benchmarks.forecast_table` scores the other half.
"""

from __future__ import annotations

import sys

import numpy as np
from scipy.optimize import minimize

from data.loader import locate
from engine.rf._imm_batch import FAST_M_S, SLOW_M_S, USUAL_M
from engine.rf._imm_memory import NIS
from engine.rf._imm_models import UNCALIBRATED, constants
from engine.rf.track_bank import TrackStates
from tests.benchmarks.forecast_table import FILES, HORIZONS_S, errors, fitted, followed, read_fixes, trial

COVERED = {60.0: 0.92}
"""Share that the ellipse shall hold; 0.9 at other horizons. At 60 s aircraft differ most from each other."""

TURN = 2
"""Which of the models turns."""


def features(states: TrackStates, claimed_m2: np.ndarray) -> np.ndarray:
    """What `engine.rf._imm_batch.calibration` is linear in, (moments, 6)."""
    turn = states.mu[:, TURN]
    speed = np.hypot(states.x[:, TURN, 2], states.x[:, TURN, 3])
    fast = np.clip((speed - SLOW_M_S) / (FAST_M_S - SLOW_M_S), 0.0, 1.0)
    surprise, claim = np.log(np.maximum(states.memory[:, NIS], 0.02)), 0.5 * np.log(claimed_m2 / USUAL_M**2)
    other = 1.0 - states.mu[:, 0] - turn
    return np.stack([np.ones(turn.size), surprise, claim, turn * (1.0 - fast), turn * fast, other], axis=1)


def quantile_regression(x: np.ndarray, y: np.ndarray, weight: np.ndarray, share: float) -> np.ndarray:
    """Coefficients whose combination of the columns of `x` lies above `share` of `y`: smoothed pinball loss."""
    beta = np.zeros(x.shape[1])
    for smooth in (0.5, 0.2, 0.05):

        def loss(b: np.ndarray, smooth: float = smooth) -> tuple[float, np.ndarray]:
            rest = y - x @ b
            value = np.sum(weight * (smooth * np.logaddexp(0.0, rest / smooth) - (1.0 - share) * rest))
            slope = weight * (1.0 / (1.0 + np.exp(-rest / smooth)) - (1.0 - share))
            held = np.r_[0.0, b[1:]]  # a little ridge: some manoeuvres are rare
            return value + 1e-4 * held @ held, 2e-4 * held - x.T @ slope

        beta = minimize(loss, beta, jac=True, method="L-BFGS-B").x
    return beta


def main() -> None:
    """Fit every horizon on all three recordings, each with the same weight."""
    columns: list[list[np.ndarray]] = [[] for _ in HORIZONS_S]
    for name in FILES[:3]:
        fixes = read_fixes(locate(f"tracks/{name}"))
        t = trial(fixes[fitted(fixes["aircraft"])], 12_000, seed=11)
        states = followed(t, constants(calibration=UNCALIBRATED))
        squares = errors(states, t)[2]
        p = states.predict(np.tile(HORIZONS_S, (t.ends.size, 1)))
        for h in range(HORIZONS_S.size):
            y = np.log(np.maximum(squares[:, h], 1e-6) / (-2.0 * np.log(0.1)))
            x = features(states, 0.5 * (p.var_east_m2[:, h] + p.var_north_m2[:, h]))
            good = np.isfinite(y) & np.isfinite(x).all(axis=1)
            columns[h].append(np.column_stack([x, y, np.full(y.size, 1.0 / good.sum())])[good])
    for horizon_s, parts in zip(HORIZONS_S, columns, strict=True):
        rows = np.concatenate(parts)
        beta = quantile_regression(rows[:, :-2], rows[:, -2], rows[:, -1] / len(parts), COVERED.get(horizon_s, 0.9))
        sys.stdout.write("[" + ", ".join([f"{horizon_s:.1f}", *(f"{b:.3f}" for b in beta)]) + "],\n")


if __name__ == "__main__":
    main()
