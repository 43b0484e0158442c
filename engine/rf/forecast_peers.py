"""The simple forecasts that `engine.rf.forecast` is measured against: a line, and the first rule asked for.

They take fixes as they were reported and give no covariance. They must not know the filter.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from engine.geo import local_offset_m, offset_position
from engine.rf._fix_table import fix_table
from engine.rf.forecast import checked_horizons, utc_times

Array = NDArray[np.float64]

DECAY = 0.6
"""Share of the power that each further step of the baseline keeps (systems, A3)."""

ANOMALY_BOOST, ANOMALY_THRESHOLD = 1.5, 0.8
"""Factor on the weight of the baseline above this anomaly score (systems, A3)."""

LINE_FIXES = 5
"""Fixes through which `line_forecast` lays its line."""


def line_forecast(fixes: pd.DataFrame, horizons_s: Sequence[float]) -> pd.DataFrame:
    """Least-squares line through the last five fixes of each emitter, as they were reported: the peer to beat.

    Parameters
    ----------
    fixes : DataFrame
        As for `forecast`; only ``id``, ``time``, ``lat``, ``lon`` and ``alt_m`` are looked at.
    horizons_s : sequence of H float
        Seconds after the newest row of each emitter.

    Returns
    -------
    DataFrame
        ``id``, ``horizon_s``, ``time``, ``lat``, ``lon``, ``alt_m``; one row per emitter and
        horizon. One fix, or several of one moment, stand still.

    Examples
    --------
    >>> times = pd.to_datetime([0, 10, 20], unit="s")
    >>> ahead = line_forecast(pd.DataFrame({"id": "a", "time": times, "lat": [0.0, 0.1, 0.2], "lon": 0.0}), [10.0])
    >>> ahead["lat"].round(6).tolist()
    [0.3]
    """
    horizons = checked_horizons(horizons_s)
    table = fix_table(fixes)
    ends = (table.start[1:] - 1)[np.diff(table.start) > 0]
    rows = ends[:, None] - np.arange(LINE_FIXES - 1, -1, -1)
    valid = (rows >= table.start[table.group[ends]][:, None]) & np.isfinite(table.lat[rows] + table.lon[rows])
    lat, lon, alt_m = fit_line(
        table.lat[rows], table.lon[rows], table.alt_m[rows], table.time_s[rows] - table.time_s[ends][:, None],
        valid, horizons,
    )  # fmt: skip
    steps = np.broadcast_to(horizons, lat.shape)
    return pd.DataFrame(
        {
            "id": np.repeat(np.asarray(table.ids)[table.group[ends]], horizons.size),
            "horizon_s": steps.ravel(),
            "time": utc_times(table.time_s[ends][:, None] + steps),
            "lat": lat.ravel(),
            "lon": lon.ravel(),
            "alt_m": alt_m.ravel(),
        }
    )


def fit_line(
    lat: Array, lon: Array, alt_m: Array, ago_s: Array, valid: NDArray[np.bool_], horizons_s: Array
) -> tuple[Array, Array, Array]:
    """Lines through the valid fixes of each row, shape (n, K), at H horizons; `ago_s` counts from the newest row.

    Returns latitude and longitude in degrees and altitude in m, each of shape (n, H).

    Examples
    --------
    >>> row, valid = np.array([[0.0, 0.1]]), np.array([[True, True]])
    >>> lat, lon, alt_m = fit_line(row, 0 * row, 0 * row, np.array([[-10.0, 0.0]]), valid, np.array([10.0]))
    >>> round(float(lat[0, 0]), 6)
    0.2
    """
    weight = valid.astype(np.float64)
    total = np.maximum(weight.sum(axis=1, keepdims=True), 1.0)
    newest = np.take_along_axis(np.stack([lat, lon]), np.argmax(np.cumsum(weight, axis=1), axis=1)[None, :, None], 2)
    lat0, lon0 = newest[0], newest[1]
    mean_s = (weight * ago_s).sum(axis=1, keepdims=True) / total
    from_mean = ago_s - mean_s
    spread = (weight * from_mean**2).sum(axis=1, keepdims=True)
    ahead = horizons_s - mean_s

    def extend(values: Array) -> Array:
        values = np.where(valid, values, 0.0)
        mean = values.sum(axis=1, keepdims=True) / total
        slope = (weight * from_mean * (values - mean)).sum(axis=1, keepdims=True) / np.where(spread > 0, spread, np.inf)
        return mean + slope * ahead

    east, north = (extend(offset) for offset in local_offset_m(lat0, lon0, lat, lon))
    lat_out, lon_out = offset_position(lat0, lon0, east, north)
    known = valid.any(axis=1, keepdims=True)
    return np.where(known, lat_out, np.nan), np.where(known, lon_out, np.nan), np.where(known, extend(alt_m), np.nan)


def forecast_baseline(fixes: pd.DataFrame, steps: int = 3, step_s: float = 10.0) -> pd.DataFrame:
    """The forecast as it was first asked for: the velocity of the last three fixes, carried on step by step.

    The n-th step keeps 0.6^n of the power, times the emitter's confidence, times 1.5 where its
    anomaly score exceeds 0.8. Emitters with fewer than two fixes are not predicted.

    Parameters
    ----------
    fixes : DataFrame
        As for `forecast`; also, where known, ``confidence`` (else 1) and ``anomaly_score`` (else 0)
        of the newest row, both in [0, 1].
    steps : int
        Steps forward.
    step_s : float
        Length of a step, s.

    Returns
    -------
    DataFrame
        ``id``, ``step`` (from 1), ``horizon_s``, ``time``, ``lat``, ``lon``, ``alt_m`` and
        ``weight``, the factor on the emitter's power.

    Raises
    ------
    ValueError
        Where `steps` is below 1 or `step_s` not positive.

    Examples
    --------
    >>> times = pd.to_datetime([0, 10], unit="s")
    >>> ahead = forecast_baseline(pd.DataFrame({"id": "a", "time": times, "lat": [0.0, 0.1], "lon": 0.0}))
    >>> ahead["lat"].round(6).tolist(), ahead["weight"].round(3).tolist()
    ([0.2, 0.3, 0.4], [0.6, 0.36, 0.216])
    """
    if steps < 1 or not step_s > 0:
        raise ValueError(f"steps is {steps} and step_s {step_s}; both should be positive")
    return _carry_on(fixes, np.arange(1, steps + 1), step_s)


def _carry_on(fixes: pd.DataFrame, step: NDArray[np.int64], step_s: float) -> pd.DataFrame:
    table = fix_table(fixes)
    ends = (table.start[1:] - 1)[np.diff(table.start) >= 2]
    first = np.maximum(ends - 2, table.start[table.group[ends]])
    elapsed_s = table.time_s[ends] - table.time_s[first]
    ends, first, elapsed_s = ends[elapsed_s > 0], first[elapsed_s > 0], elapsed_s[elapsed_s > 0]
    east, north = local_offset_m(table.lat[first], table.lon[first], table.lat[ends], table.lon[ends])
    climb = table.alt_m[ends] - table.alt_m[first]
    ahead_s = step * step_s
    share = ahead_s / elapsed_s[:, None]
    lat, lon = offset_position(
        table.lat[ends][:, None], table.lon[ends][:, None], east[:, None] * share, north[:, None] * share
    )
    newest = fixes.iloc[table.row[ends]]
    confidence = newest["confidence"].to_numpy(np.float64) if "confidence" in fixes else np.ones(ends.size)
    anomaly = newest["anomaly_score"].to_numpy(np.float64) if "anomaly_score" in fixes else np.zeros(ends.size)
    weight = confidence * np.where(anomaly > ANOMALY_THRESHOLD, ANOMALY_BOOST, 1.0)
    return pd.DataFrame(
        {
            "id": np.repeat(np.asarray(table.ids)[table.group[ends]], step.size),
            "step": np.tile(step, ends.size),
            "horizon_s": np.tile(ahead_s, ends.size).astype(np.float64),
            "time": utc_times(table.time_s[ends][:, None] + ahead_s),
            "lat": lat.ravel(),
            "lon": lon.ravel(),
            "alt_m": (table.alt_m[ends][:, None] + climb[:, None] * share).ravel(),
            "weight": (weight[:, None] * DECAY**step).ravel(),
        }
    )
