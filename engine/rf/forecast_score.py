"""How good forecasts were, once their moment has come: error, normalised error and coverage of the ellipse.

Compares predictions with later fixes; the truth between two fixes is interpolated with their
velocities. It must not know how a prediction was made.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from engine.geo import local_offset_m, offset_position
from engine.rf._fix_table import FixTable, epoch_s, fix_table

Array = NDArray[np.float64]

MAX_GAP_S = 22.0
"""Fixes further apart than this, s, say nothing of what was between them."""

LATE_S, LATE_M = 0.5, 20.0
"""A fix off its neighbours' course by more than this many seconds of travel plus metres was measured late or wrong."""


def error_ellipse(
    var_east_m2: ArrayLike, var_north_m2: ArrayLike, cov_east_north_m2: ArrayLike, probability: float = 0.9
) -> tuple[Array, Array, Array]:
    """Ellipse around a predicted point that holds the true one with a given probability.

    Parameters
    ----------
    var_east_m2, var_north_m2, cov_east_north_m2 : array_like of float64, any shapes that broadcast
        Horizontal covariance, m².
    probability : float
        Between 0 and 1, both excluded.

    Returns
    -------
    semi_major_m, semi_minor_m : ndarray of float64
        Semi-axes, m.
    orientation_deg : ndarray of float64
        Direction of the major axis, degrees clockwise from north, in [0, 180).

    Raises
    ------
    ValueError
        Where `probability` is not between 0 and 1.

    Examples
    --------
    >>> major, minor, turned = error_ellipse(400.0, 100.0, 0.0)
    >>> round(float(major), 2), round(float(minor), 2), float(turned)
    (42.92, 21.46, 90.0)

    References
    ----------
    The squared normalised error of two dimensions is chi-square with two degrees of freedom, whose
    quantile is ``-2 ln(1 - p)``.
    """
    if not 0.0 < probability < 1.0:
        raise ValueError(f"probability is {probability}; it should lie between 0 and 1")
    east, north, cross = np.broadcast_arrays(
        *(np.asarray(values, dtype=np.float64) for values in (var_east_m2, var_north_m2, cov_east_north_m2))
    )
    mean, half = 0.5 * (east + north), 0.5 * (north - east)
    radius = np.hypot(half, cross)
    scale = -2.0 * np.log1p(-probability)
    orientation = np.degrees(0.5 * np.arctan2(cross, half)) % 180.0
    return np.sqrt(scale * (mean + radius)), np.sqrt(scale * np.maximum(mean - radius, 0.0)), orientation


def normalised_error_squared(
    error_east_m: ArrayLike,
    error_north_m: ArrayLike,
    var_east_m2: ArrayLike,
    var_north_m2: ArrayLike,
    cov_east_north_m2: ArrayLike,
) -> Array:
    """Squared error measured in its own covariance (NEES); 2 in the mean where the covariance is right.

    Examples
    --------
    >>> float(normalised_error_squared(3.0, 4.0, 9.0, 16.0, 0.0))
    2.0

    References
    ----------
    Bar-Shalom, Li, Kirubarajan, Estimation with Applications to Tracking and Navigation, section 5.4.
    """
    e, n = np.asarray(error_east_m, dtype=np.float64), np.asarray(error_north_m, dtype=np.float64)
    p, q = np.asarray(var_east_m2, dtype=np.float64), np.asarray(var_north_m2, dtype=np.float64)
    c = np.asarray(cov_east_north_m2, dtype=np.float64)
    return (q * e**2 - 2.0 * c * e * n + p * n**2) / (p * q - c**2)


def interpolate_truth(
    table: FixTable, group: NDArray[np.int64], time_s: Array, *, drop_late: bool = True
) -> tuple[Array, Array]:
    """Latitude and longitude, degrees, of emitters ``table.ids[group]`` at given times; NaN where nobody knows.

    Cubic Hermite between the fresh fixes around the moment, placed at the time they were measured,
    with the reported velocities as slopes (the chord, where none is reported). With `drop_late`, a
    fix that its two neighbours place elsewhere is no truth.

    Examples
    --------
    >>> times = pd.to_datetime([0, 10], unit="s")
    >>> table = fix_table(pd.DataFrame({"id": "a", "time": times, "lat": [0.0, 0.1], "lon": 0.0}))
    >>> lat, lon = interpolate_truth(table, np.array([0]), np.array([5.0]))
    >>> round(float(lat[0]), 6)
    0.05
    """
    # an offset per emitter makes (emitter, time) one increasing key
    origin = float(table.time_s.min()) if table.time_s.size else 0.0
    span = float(np.ptp(table.time_s)) + 10.0 * MAX_GAP_S if table.time_s.size else 1.0
    knots = np.flatnonzero(table.use & 1)
    key = table.group[knots] * span + (table.measured_s[knots] - origin)
    order = np.argsort(key, kind="stable")
    knots, key = knots[order], key[order]
    if drop_late:
        keep = ~_late(table, knots)
        knots, key = knots[keep], key[keep]
    wanted_s = np.asarray(time_s, dtype=np.float64)
    if knots.size < 2:
        return np.full(wanted_s.shape, np.nan), np.full(wanted_s.shape, np.nan)
    after = np.clip(np.searchsorted(key, group * span + (wanted_s - origin)), 1, knots.size - 1)
    a, b = knots[after - 1], knots[after]
    owner, measured = table.group, table.measured_s
    known = (owner[a] == group) & (owner[b] == group) & (measured[b] - measured[a] <= MAX_GAP_S)
    known &= (wanted_s >= measured[a]) & (wanted_s <= measured[b])
    if drop_late:
        known &= _regular_legs(table, knots)[after - 1]
    lat, lon = _hermite(table, a, b, wanted_s)
    return np.where(known, lat, np.nan), np.where(known, lon, np.nan)


def _late(table: FixTable, knots: NDArray[np.int64]) -> NDArray[np.bool_]:
    late = np.zeros(knots.size, dtype=bool)
    if knots.size < 3:
        return late
    a, at, b = knots[:-2], knots[1:-1], knots[2:]
    lat, lon = _hermite(table, a, b, table.measured_s[at])
    off_m = np.hypot(*local_offset_m(lat, lon, table.lat[at], table.lon[at]))
    owner = table.group
    one_track = (owner[a] == owner[at]) & (owner[b] == owner[at])
    one_track &= table.measured_s[b] - table.measured_s[a] <= 2.0 * MAX_GAP_S
    late[1:-1] = one_track & (off_m > LATE_S * np.nan_to_num(table.speed_m_s[at]) + LATE_M)
    return late


def _hermite(table: FixTable, a: NDArray[np.int64], b: NDArray[np.int64], time_s: Array) -> tuple[Array, Array]:
    dt = np.maximum(table.measured_s[b] - table.measured_s[a], 1e-9)
    u = (time_s - table.measured_s[a]) / dt
    chord = local_offset_m(table.lat[a], table.lon[a], table.lat[b], table.lon[b])
    h01, h10, h11 = u * u * (3.0 - 2.0 * u), u * (1.0 - u) ** 2, u * u * (u - 1.0)
    east, north = h01 * chord[0], h01 * chord[1]
    for i, share in ((a, h10 * dt), (b, h11 * dt)):
        v_east, v_north = _reported_velocity(table, i)
        # a frozen report would bend the truth: a velocity far from the chord is not one of this leg
        good = _alike(v_east, v_north, chord[0] / dt, chord[1] / dt)
        east = east + share * np.where(good, v_east, chord[0] / dt)
        north = north + share * np.where(good, v_north, chord[1] / dt)
    return offset_position(table.lat[a], table.lon[a], east, north)


def _regular_legs(table: FixTable, knots: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which legs between successive fixes agree with a velocity reported at an end, or with a leg beside them."""
    a, b = knots[:-1], knots[1:]
    dt = np.maximum(table.measured_s[b] - table.measured_s[a], 1e-9)
    east, north = (offset / dt for offset in local_offset_m(table.lat[a], table.lon[a], table.lat[b], table.lon[b]))
    # a feed that reports no velocities contradicts nothing
    regular = ~np.isfinite(table.speed_m_s[a] + table.track_deg[a]) & ~np.isfinite(table.speed_m_s[b])
    for i in (a, b):
        regular |= _alike(*_reported_velocity(table, i), east, north)
    beside = _alike(east[:-1], north[:-1], east[1:], north[1:])
    regular[:-1] |= beside
    regular[1:] |= beside
    return regular


def _reported_velocity(table: FixTable, rows: NDArray[np.int64]) -> tuple[Array, Array]:
    track = np.radians(table.track_deg[rows])
    return table.speed_m_s[rows] * np.sin(track), table.speed_m_s[rows] * np.cos(track)


def _alike(v_east: Array, v_north: Array, leg_east: Array, leg_north: Array) -> NDArray[np.bool_]:
    return np.hypot(v_east - leg_east, v_north - leg_north) <= 0.3 * np.hypot(leg_east, leg_north) + 8.0


def score(
    predictions: pd.DataFrame, truth: pd.DataFrame, *, probability: float = 0.9, drop_late: bool = True
) -> pd.DataFrame:
    """Each prediction with its error, as far as later fixes tell.

    Parameters
    ----------
    predictions : DataFrame
        As `forecast` returns it; without the covariance columns only the error is given.
    truth : DataFrame
        Fixes, as `forecast` takes them, that reach beyond the predicted times.
    probability : float
        Of the ellipse whose coverage is counted.
    drop_late : bool
        Leave out fixes that their neighbours contradict, as truth.

    Returns
    -------
    DataFrame
        The rows of `predictions`, in order, with ``error_east_m``, ``error_north_m``, ``error_m``
        (horizontal, m), ``nees`` (expected 2) and ``inside`` (1.0 in the ellipse, 0.0 outside);
        NaN where the truth is not known.

    Examples
    --------
    >>> times = pd.to_datetime([0, 10], unit="s")
    >>> truth = pd.DataFrame({"id": "a", "time": times, "lat": 0.0, "lon": [0.0, 0.001]})
    >>> said = pd.DataFrame({"id": ["a"], "horizon_s": [10.0], "time": times[1:], "lat": [0.0], "lon": [0.0]})
    >>> score(said, truth)["error_m"].round(1).tolist()
    [111.3]
    """
    table = fix_table(truth)
    group = pd.Index(table.ids).get_indexer(pd.Index(predictions["id"]))
    lat, lon = interpolate_truth(table, group, epoch_s(predictions["time"]), drop_late=drop_late)
    lat_said, lon_said = (predictions[name].to_numpy(np.float64) for name in ("lat", "lon"))
    east, north = local_offset_m(lat_said, lon_said, lat, lon)
    out = predictions.assign(error_east_m=east, error_north_m=north, error_m=np.hypot(east, north))
    if "var_east_m2" in predictions:
        covariance = (predictions[n].to_numpy(np.float64) for n in ("var_east_m2", "var_north_m2", "cov_east_north_m2"))
        nees = normalised_error_squared(east, north, *covariance)
        inside = np.where(np.isfinite(nees), nees <= -2.0 * np.log1p(-probability), np.nan)
    else:
        nees = inside = np.full(len(predictions), np.nan)
    return out.assign(nees=nees, inside=inside)


def score_summary(scores: pd.DataFrame, by: str | list[str] = "horizon_s") -> pd.DataFrame:
    """Figures of many scored predictions, one row per group; predictions without known truth do not count.

    Parameters
    ----------
    scores : DataFrame
        As `score` returns it.
    by : str or list of str
        Columns to group by.

    Returns
    -------
    DataFrame
        Indexed by `by`: ``n``, ``rmse_m``, ``median_m``, ``p95_m`` (horizontal, m), ``mean_nees``
        (expected 2) and ``coverage`` (share inside the ellipse).

    Examples
    --------
    >>> scores = pd.DataFrame({"horizon_s": [5.0, 5.0], "error_m": [3.0, 4.0], "nees": 2.0, "inside": [1.0, 0.0]})
    >>> float(score_summary(scores).loc[5.0, "coverage"])
    0.5
    """
    known = scores[np.isfinite(scores["error_m"])]
    groups = known.assign(square_m2=known["error_m"] ** 2).groupby(by, sort=True)
    return pd.DataFrame(
        {
            "n": groups.size(),
            "rmse_m": np.sqrt(groups["square_m2"].mean()),
            "median_m": groups["error_m"].median(),
            "p95_m": groups["error_m"].quantile(0.95),
            "mean_nees": groups["nees"].mean(),
            "coverage": groups["inside"].mean(),
        }
    )
