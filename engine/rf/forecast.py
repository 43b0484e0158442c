"""Where moving emitters will be, with the covariance of that claim: the tracking forecast and its two peers.

`forecast` filters the newest fixes of each emitter and moves the result ahead; `line_forecast` and
`forecast_baseline` are the simple methods it is compared with; `predict_batch` is the same forecast
on plain arrays for the live server. Takes tables and arrays and returns them; it must not know
where fixes come from, nor what is drawn with the result.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from engine.geo import local_offset_m, offset_position, wrap_longitude
from engine.rf._fix_table import fix_table, windows
from engine.rf._forecast_kernel import forecast_batch
from engine.rf._tracking import AGILE, QUIET, Tuning

Array = NDArray[np.float64]

WINDOW_FIXES = 8
"""Fixes with news that `forecast` looks at, of each emitter."""

STATUSES = ("ok", "single fix", "stale", "no position")
"""What the status codes of `predict_batch` mean, in order."""

DECAY = 0.6
"""Share of the power that each further step of the baseline keeps (systems, A3)."""

ANOMALY_BOOST, ANOMALY_THRESHOLD = 1.5, 0.8
"""Factor on the weight of the baseline above this anomaly score (systems, A3)."""

LINE_FIXES = 5
"""Fixes through which `line_forecast` lays its line."""


class Prediction(NamedTuple):
    """What `predict_batch` returns: arrays of float64, shape (n,), or (n, H) where the horizons were (n, H).

    Latitude and longitude in degrees, altitude and its deviation in m, horizontal covariance in m²
    along the east and north of the predicted point, speed in m/s, track in degrees; `n_used` (int64,
    (n,)) counts the positions used and `status` (int64, (n,)) indexes `STATUSES`.
    """

    lat: Array
    lon: Array
    alt_m: Array
    var_east_m2: Array
    var_north_m2: Array
    cov_east_north_m2: Array
    speed_m_s: Array
    track_deg: Array
    sigma_alt_m: Array
    n_used: NDArray[np.int64]
    status: NDArray[np.int64]


def predict_batch(
    lat: ArrayLike,
    lon: ArrayLike,
    alt_m: ArrayLike,
    time_s: ArrayLike,
    speed_m_s: ArrayLike,
    track_deg: ArrayLike,
    vertical_rate_m_s: ArrayLike,
    count: ArrayLike,
    horizon_s: ArrayLike,
    *,
    position_time_s: ArrayLike | None = None,
    tuning: tuple[Tuning, Tuning] = (QUIET, AGILE),
) -> Prediction:
    """Forecast many emitters from plain arrays, as the live server holds them.

    Row i holds the newest fixes of emitter i, right-aligned: the newest in the last column, the
    oldest valid one in column ``K - count[i]``. What is not known is NaN. Repeats in the window are
    recognised, but take places: a history that leaves them out looks further back.

    Parameters
    ----------
    lat, lon, alt_m : array_like of float64, shape (n, K)
        Positions, degrees, degrees and m.
    time_s : array_like of float64, shape (n, K)
        When each fix was reported, s since any epoch, not decreasing along a row.
    speed_m_s, track_deg, vertical_rate_m_s : array_like of float64, shape (n, K)
        Reported velocity.
    count : array_like of int64, shape (n,)
        Valid fixes of each row.
    horizon_s : array_like of float64, scalar, shape (n,) or (n, H)
        How far ahead of the time of the newest fix, s; 0 is the filtered position now.
    position_time_s : array_like of float64, shape (n, K), optional
        When each position was really measured, s since the same epoch.
    tuning : pair of Tuning
        The quiet and the agile model.

    Returns
    -------
    Prediction

    Raises
    ------
    ValueError
        Where shapes do not fit each other.

    Examples
    --------
    >>> p = predict_batch([[47.0]], [[8.0]], [[9000.0]], [[0.0]], [[200.0]], [[90.0]], [[0.0]], [1], 10.0)
    >>> round(float(p.lat[0]), 3), round(float(p.lon[0]), 3)
    (47.0, 8.026)

    References
    ----------
    Bar-Shalom, Li, Kirubarajan, Estimation with Applications to Tracking and Navigation, ch. 11.
    """
    fixes = [
        np.ascontiguousarray(values, dtype=np.float64)
        for values in (lat, lon, alt_m, time_s, speed_m_s, track_deg, vertical_rate_m_s)
    ]
    shape = fixes[0].shape
    measured = np.full(shape, np.nan) if position_time_s is None else position_time_s
    fixes.append(np.ascontiguousarray(measured, dtype=np.float64))
    counts = np.ascontiguousarray(count, dtype=np.int64)
    if len(shape) != 2 or any(values.shape != shape for values in fixes) or counts.shape != shape[:1]:
        raise ValueError(
            f"fixes have the shapes {[values.shape for values in fixes]} and count {counts.shape}; "
            "they should be (n, K) throughout, and (n,)"
        )
    horizon = np.asarray(horizon_s, dtype=np.float64)
    steps = np.ascontiguousarray(
        np.broadcast_to(horizon if horizon.ndim == 2 else horizon.reshape(-1, 1), (shape[0], _steps(horizon)))
    )
    out, info = np.empty((shape[0], steps.shape[1], 9)), np.empty((shape[0], 2), np.int64)
    if shape[1] == 0:
        out[:], info[:] = np.nan, (0, STATUSES.index("no position"))
    else:
        quiet, agile = tuning
        forecast_batch(tuple(fixes), counts, steps, quiet, agile, out, info)
    if horizon.ndim != 2:
        out = out[:, 0]
    return Prediction(
        lat=out[..., 0], lon=wrap_longitude(out[..., 1]), alt_m=out[..., 2], speed_m_s=out[..., 3],
        track_deg=out[..., 4], var_east_m2=out[..., 5], var_north_m2=out[..., 6], cov_east_north_m2=out[..., 7],
        sigma_alt_m=out[..., 8], n_used=info[:, 0], status=info[:, 1],
    )  # fmt: skip


def _steps(horizon: Array) -> int:
    return horizon.shape[1] if horizon.ndim == 2 else 1


def warm() -> None:
    """Compile (or load from the cache) what a forecast needs, so that the first one is as quick as the next."""
    one = np.zeros((1, 2))
    predict_batch(one, one, one, [[0.0, 1.0]], one, one, one, [2], 1.0)
    forecast(pd.DataFrame({"id": ["a"], "time": [pd.Timestamp(0)], "lat": [0.0], "lon": [0.0]}), [0.0])


def forecast(
    fixes: pd.DataFrame,
    horizons_s: Sequence[float],
    *,
    max_fixes: int = WINDOW_FIXES,
    tuning: tuple[Tuning, Tuning] = (QUIET, AGILE),
) -> pd.DataFrame:
    """Position, velocity and covariance of every emitter at some horizons after its newest fix.

    A robust Kalman filter runs over the newest fixes of each emitter: turn rate and longitudinal
    acceleration decay, positions are uncertain along the track (nobody knows quite when they were
    measured), what the feed merely repeats is left out, velocities that the positions contradict
    and positions that jump lose their say. Two models, one quiet and one agile, are mixed by how
    well they explain the fixes. An emitter with one fix and a reported velocity flies straight on;
    with one fix and none it is predicted standing still, with 100 m/s of doubt in its velocity.

    Parameters
    ----------
    fixes : DataFrame
        Any number of rows per emitter, in any order. ``id``; ``time`` (datetime64, aware or taken
        as UTC); ``lat``, ``lon`` (degrees); where known ``alt_m``, ``speed_m_s``, ``track_deg``,
        ``vertical_rate_m_s``, and ``position_time``, when the position was really measured.
    horizons_s : sequence of H float
        Seconds after the newest row of each emitter, not negative; 0 is the filtered position now.
    max_fixes : int
        Fixes with news looked at, of each emitter.
    tuning : pair of Tuning
        The quiet and the agile model.

    Returns
    -------
    DataFrame
        One row per emitter and horizon: ``id``, ``horizon_s``, ``time``, ``lat``, ``lon``,
        ``alt_m``, ``speed_m_s``, ``track_deg``, ``var_east_m2``, ``var_north_m2``,
        ``cov_east_north_m2`` (horizontal covariance), ``sigma_alt_m``, ``n_fixes_used`` and
        ``status``: ``ok``, ``single fix`` (one position is all there is), ``stale`` (the newest
        position was measured over 15 s before the newest row) or ``no position`` (all NaN).
        Altitude is NaN where none was ever reported.

    Raises
    ------
    KeyError
        Where ``id``, ``time``, ``lat`` or ``lon`` is missing.
    ValueError
        Where a horizon is negative or not finite, or `max_fixes` is below 1.

    Examples
    --------
    >>> now = pd.Timestamp("2026-01-01T00:00:00Z")
    >>> fix = {"id": "a", "time": now, "lat": 47.0, "lon": 8.0, "speed_m_s": 200.0, "track_deg": 0.0}
    >>> ahead = forecast(pd.DataFrame([fix]), [0.0, 60.0])
    >>> ahead["lat"].round(2).tolist(), ahead["status"].tolist()
    ([47.0, 47.11], ['single fix', 'single fix'])

    References
    ----------
    Bar-Shalom, Li, Kirubarajan, Estimation with Applications to Tracking and Navigation, ch. 11;
    Singer, Estimating optimal tracking filter performance for manned manoeuvring targets, 1970.
    """
    horizons = _checked_horizons(horizons_s)
    if max_fixes < 1:
        raise ValueError(f"max_fixes is {max_fixes}; it should be 1 or more")
    table = fix_table(fixes)
    ends = table.start[1:] - 1
    ends = ends[np.diff(table.start) > 0]
    window = windows(table, ends, max_fixes)
    steps = np.broadcast_to(horizons, (ends.size, horizons.size))
    p = predict_batch(*window[:7], window.n_fixes, steps, position_time_s=window.position_time_s, tuning=tuning)
    shape = steps.shape
    columns: dict[str, Any] = {
        "id": np.repeat(np.asarray(table.ids)[table.group[ends]], horizons.size),
        "horizon_s": steps.ravel(),
        "time": utc_times(table.time_s[ends][:, None] + steps),
    }
    for name in ("lat", "lon", "alt_m", "speed_m_s", "track_deg", "var_east_m2", "var_north_m2", "cov_east_north_m2"):
        columns[name] = getattr(p, name).ravel()
    columns["sigma_alt_m"] = p.sigma_alt_m.ravel()
    columns["n_fixes_used"] = np.broadcast_to(p.n_used[:, None], shape).ravel()
    columns["status"] = np.asarray(STATUSES, dtype=object)[np.broadcast_to(p.status[:, None], shape).ravel()]
    return pd.DataFrame(columns)


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
    horizons = _checked_horizons(horizons_s)
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


def _checked_horizons(horizons_s: Sequence[float]) -> Array:
    horizons = np.atleast_1d(np.asarray(horizons_s, dtype=np.float64))
    if horizons.ndim != 1 or not np.all(np.isfinite(horizons) & (horizons >= 0)):
        raise ValueError(f"horizons_s is {horizons_s}; horizons should be finite seconds, not negative")
    return horizons


def utc_times(epoch_s: Array) -> pd.DatetimeIndex:
    """Times, UTC, to the microsecond, of seconds since 1970 of any shape, flattened.

    Examples
    --------
    >>> str(utc_times(np.array([1.5]))[0])
    '1970-01-01 00:00:01.500000+00:00'
    """
    whole = np.round(np.asarray(epoch_s, dtype=np.float64).ravel() * 1e6).astype(np.int64)
    return pd.DatetimeIndex(whole.view("datetime64[us]")).tz_localize("UTC")
