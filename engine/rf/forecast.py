"""Where moving emitters will be, with the covariance of that claim.

`forecast` filters the newest fixes of each emitter and moves the result ahead; `predict_batch` is the
same on plain arrays, `engine.rf.track_bank` the same fix by fix, and `engine.rf.forecast_peers` holds the
simple methods it is compared with. Takes tables and arrays and returns them; it must not know where
fixes come from, nor what is drawn with the result.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from engine.geo import wrap_longitude
from engine.rf._fix_table import fix_table, windows
from engine.rf._imm_batch import OUT, PLANES, predict_windows
from engine.rf._imm_models import TUNED, Constants

Array = NDArray[np.float64]

WINDOW_FIXES = 8
"""Fixes with news that `forecast` looks at, of each emitter."""

STATUSES = ("ok", "single fix", "stale", "no position")
"""What the status codes of `predict_batch` mean, in order."""


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
    tuning: Constants = TUNED,
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
    tuning : Constants
        Models, noise and calibration, see `engine.rf._imm_models`.

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
    planes = [
        np.asarray(values, dtype=np.float64)
        for values in (time_s, lat, lon, alt_m, speed_m_s, track_deg, vertical_rate_m_s)
    ]
    shape = planes[0].shape
    measured = np.full(shape, np.nan) if position_time_s is None else np.asarray(position_time_s, dtype=np.float64)
    planes.append(measured)
    counts = np.ascontiguousarray(count, dtype=np.int64)
    if len(shape) != 2 or any(values.shape != shape for values in planes) or counts.shape != shape[:1]:
        raise ValueError(
            f"fixes have the shapes {[values.shape for values in planes]} and count {counts.shape}; "
            "they should be (n, K) throughout, and (n,)"
        )
    horizon = np.asarray(horizon_s, dtype=np.float64)
    steps = np.ascontiguousarray(
        np.broadcast_to(horizon if horizon.ndim == 2 else horizon.reshape(-1, 1), (shape[0], _steps(horizon)))
    )
    fixes = np.empty((shape[0], PLANES, shape[1]))
    for i, values in enumerate(planes):
        fixes[:, i] = values
    out, info = np.empty((shape[0], steps.shape[1], OUT)), np.empty((shape[0], 2), np.int64)
    predict_windows(fixes, counts, steps, *tuning, out, info)
    return as_prediction(out if horizon.ndim == 2 else out[:, 0], info)


def as_prediction(out: Array, info: NDArray[np.int64]) -> Prediction:
    """Name what the kernels wrote: `out` (..., 9), `info` (n, 2)."""
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
    tuning: Constants = TUNED,
) -> pd.DataFrame:
    """Position, velocity and covariance of every emitter at some horizons after its newest fix.

    Four models interact over the newest fixes of each emitter: constant velocity, constant
    acceleration, a coordinated turn whose rate decays, and a velocity that dies away; each fix moves
    probability to the models that expected it. What the feed merely repeats is left out, velocities
    that the positions contradict and positions that jump lose their say, and the covariance is
    calibrated on real tracks. An emitter with one fix and a reported velocity flies straight on;
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
    tuning : Constants
        Models, noise and calibration, see `engine.rf._imm_models`.

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
    Blom, Bar-Shalom, The interacting multiple model algorithm, IEEE Trans. Automatic Control 33, 1988;
    Singer, Estimating optimal tracking filter performance for manned manoeuvring targets, 1970.
    """
    horizons = checked_horizons(horizons_s)
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


def checked_horizons(horizons_s: Sequence[float]) -> Array:
    """Horizons, s, as an array of shape (H,); a negative or infinite one is refused.

    Examples
    --------
    >>> checked_horizons([5, 60]).tolist()
    [5.0, 60.0]
    """
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
