"""The forecast's record on one emitter: what it would have said before each fix, against the fix.

Works on the fixes of one emitter as plain arrays, from the log or from memory. A prediction for the
time of a fix is made from the fixes that were known `horizon` earlier, so nothing of the future leaks in.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engine.geo import local_offset_m
from engine.rf.forecast import WINDOW_FIXES, predict_batch

SCORED_HORIZONS_S = (5.0, 15.0, 60.0)
"""Horizons at which predictions are scored (A3), s."""

CHI2_90_2D = 4.605170185988092
"""90 % quantile of chi-square with two degrees of freedom: -2 ln 0.1."""


@dataclass(frozen=True, slots=True)
class HorizonRecord:
    """How the forecast did at one horizon.

    Attributes
    ----------
    horizon_s : float
        How far ahead the predictions looked, s.
    n : int
        Predictions scored.
    rmse_m, median_m : float
        Root mean square and median horizontal error, m; NaN when n is 0.
    inside_90 : float
        Share of fixes inside the claimed 90 % ellipse, 0 … 1; NaN when n is 0.
    """

    horizon_s: float
    n: int
    rmse_m: float
    median_m: float
    inside_90: float


def track_record(
    fixes: np.ndarray,
    horizons_s: tuple[float, ...] = SCORED_HORIZONS_S,
    history: int = WINDOW_FIXES,
    since_s: float = -np.inf,
) -> list[HorizonRecord]:
    """Score the forecast on the fixes of one emitter.

    Parameters
    ----------
    fixes : ndarray of float64, (n, 8)
        Rows of time_s, lat, lon, alt_m, speed_m_s, track_deg, vertical_rate_m_s, position_time_s, times increasing.
    horizons_s : tuple of float
    history : int
        Fixes that a prediction is made from at most.
    since_s : float
        Only fixes after this moment (epoch s) are scored; earlier ones still serve as history.

    Returns
    -------
    list of HorizonRecord
        One per horizon.

    Examples
    --------
    >>> [r.n for r in track_record(np.empty((0, 8)))]
    [0, 0, 0]
    """
    return [_one_horizon(fixes, horizon, history, since_s) for horizon in horizons_s]


def _one_horizon(fixes: np.ndarray, horizon_s: float, history: int, since_s: float) -> HorizonRecord:
    time_s = fixes[:, 0]
    # A frozen repeat of an older position is no truth to score against.
    fresh = np.ones(len(fixes), dtype=bool)
    fresh[1:] = np.any(np.diff(fixes[:, 1:3], axis=0) != 0.0, axis=1)
    known = np.searchsorted(time_s, time_s - horizon_s, side="right")
    # Predicting from something much older than the horizon says nothing about that horizon.
    target = np.flatnonzero((known >= 2) & (time_s > since_s) & fresh)
    target = target[time_s[target] - time_s[known[target] - 1] <= 1.5 * horizon_s + 10.0]
    if not len(target):
        return HorizonRecord(horizon_s, 0, np.nan, np.nan, np.nan)
    last = known[target]
    columns = last[:, None] - history + np.arange(history)[None, :]
    window = np.where((columns >= 0)[:, :, None], fixes[np.maximum(columns, 0)], np.nan)
    t, lat, lon, alt, speed, track, climb, measured = (np.ascontiguousarray(window[:, :, i]) for i in range(8))
    ahead_s = time_s[target] - t[:, -1]
    made = predict_batch(
        lat, lon, alt, t, speed, track, climb, np.minimum(last, history), ahead_s, position_time_s=measured
    )
    east, north = local_offset_m(made.lat, made.lon, fixes[target, 1], fixes[target, 2])
    error = np.hypot(east, north)
    ve, vn, c = made.var_east_m2, made.var_north_m2, made.cov_east_north_m2
    nees = (vn * east**2 - 2.0 * c * east * north + ve * north**2) / np.maximum(ve * vn - c**2, 1e-12)
    good = np.isfinite(error)
    if not good.any():
        return HorizonRecord(horizon_s, 0, np.nan, np.nan, np.nan)
    return HorizonRecord(
        horizon_s, int(good.sum()), float(np.sqrt(np.mean(error[good] ** 2))), float(np.median(error[good])),
        float(np.mean(nees[good] <= CHI2_90_2D)),
    )  # fmt: skip
