"""Lines of equal difference of arrival time at a height: where an emitter can be, as one pair of sensors has it.

A hyperboloid of revolution cut with the surface at a height above the ellipsoid. It must not know messages or fixes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from engine.geo import geodetic_to_ecef, wrap_longitude
from engine.units import SPEED_OF_LIGHT_M_S

Array = NDArray[np.float64]

MEAN_RADIUS_M = 6_371_008.8
"""Mean radius of the earth, m (Moritz 2000); rays are laid with it, what they meet is computed on the ellipsoid."""

RAYS = 720
"""Directions from the nearer sensor in which the line is sought."""

STEPS = 64
"""Of each ray, closer together near the sensor: between two of them the line crosses a ray at most once."""

HALVINGS = 48
"""Of the stretch in which the line crosses a ray: what is left is far below a micrometre."""


def hyperbola(
    sensors: ArrayLike,
    tdoa_s: float,
    alt_m: float,
    *,
    reach_m: float = 700_000.0,
    speed_m_s: float = SPEED_OF_LIGHT_M_S,
    through: tuple[float, float] | None = None,
) -> Array:
    """Where, at a height, a signal arrives at the second of two sensors so much later than at the first.

    The places at which it arrives still later lie around the axis behind the nearer sensor. A ray from the point below
    (or above) that sensor enters them at most once, if it does not begin in them, and leaves them at most once; each
    crossing is found by halving, with ranges in space to the ellipsoid's surface at `alt_m`.

    Parameters
    ----------
    sensors : array_like of float, shape (2, 3)
        Latitude, longitude (degrees) and height (m) of both.
    tdoa_s : float
        Time of arrival at the second less that at the first, s.
    alt_m : float
        Height above the ellipsoid, m.
    reach_m : float
        The line ends so far from the nearer sensor, m.
    speed_m_s : float
        Speed of propagation, m/s.
    through : (float, float), optional
        Latitude and longitude, degrees, of a place near which the line is to have a point.

    Returns
    -------
    ndarray of float64, shape (n, 2)
        Latitude and longitude along the line, degrees, with a row of NaN where it is broken; none where no place has
        that difference.

    Raises
    ------
    ValueError
        `sensors` is not of shape (2, 3).

    Examples
    --------
    >>> line = hyperbola([[47.0, 8.0, 0.0], [47.0, 10.0, 0.0]], 0.0, 10_000.0)
    >>> bool(np.allclose(line[:, 1], 9.0))
    True
    """
    pair = np.asarray(sensors, dtype=np.float64)
    if pair.shape != (2, 3):
        raise ValueError(f"sensors has shape {pair.shape}; (2, 3) is needed: latitude, longitude, height of both")
    later_m = float(tdoa_s) * speed_m_s
    near, far = (pair[0], pair[1]) if later_m >= 0.0 else (pair[1], pair[0])
    at = [np.array(geodetic_to_ecef(*sensor)) for sensor in (near, far)]
    more_m = abs(later_m)
    reached_m = reach_m * np.linspace(0.0, 1.0, STEPS) ** 2

    def excess_m(azimuth: Array, r_m: Array) -> Array:
        lat, lon = _along(near, azimuth, r_m)
        point = np.stack(geodetic_to_ecef(lat, lon, alt_m), axis=-1)
        near_m, far_m = (np.linalg.norm(point - focus, axis=-1) for focus in at)
        return np.asarray(far_m - near_m - more_m)

    # Where the difference is nearly what light can make, the places are a thin sliver: rays go where they are needed.
    axis = (_azimuth(near, (far[0], far[1])) + np.pi) % (2.0 * np.pi)
    turn = np.linspace(-np.pi, np.pi, RAYS + 1)
    met = (excess_m(axis + turn[:, None], reached_m) > 0.0).any(axis=1)
    if not met.any():
        return np.empty((0, 2))
    step = turn[1] - turn[0]
    turn = np.linspace(max(turn[met][0] - step, -np.pi), min(turn[met][-1] + step, np.pi), RAYS + 1)
    if through is not None:
        ahead = (_azimuth(near, through) - axis + np.pi) % (2.0 * np.pi) - np.pi
        turn = np.sort(np.append(turn, ahead)) if turn[0] < ahead < turn[-1] else turn
    azimuth = axis + turn
    beyond = excess_m(azimuth[:, None], reached_m) > 0.0
    out = _crossings(excess_m, azimuth, reached_m, beyond[:, :-1] & ~beyond[:, 1:])
    back = _crossings(excess_m, azimuth, reached_m, ~beyond[:, :-1] & beyond[:, 1:])
    meets = beyond.any(axis=1)  # the outermost rays may pass by; those beside them touch: there both ends join
    azimuth, out, back = azimuth[meets], out[meets], back[meets]
    if not beyond[:, 0].any():  # else rays begin within, go all around and leave: out alone is the ring
        out, azimuth = np.concatenate([out, back[::-1]]), np.concatenate([azimuth, azimuth[::-1]])
    else:
        out, azimuth = out[:-1], azimuth[:-1]
    return _in_pieces(np.stack(_along(near, azimuth, out), axis=-1), closed=not beyond[:, -1].any())


def _crossings(excess_m: Callable[[Array, Array], Array], azimuth: Array, reached_m: Array, turns: Any) -> Array:
    """How far along each ray the sign changes where `turns` says that it does, m; NaN for a ray where it does not."""
    rays = np.flatnonzero(turns.any(axis=1))
    found = np.full(len(azimuth), np.nan)
    first = turns[rays].argmax(axis=1)
    low, high = reached_m[first], reached_m[first + 1]
    begins = excess_m(azimuth[rays], low) > 0.0
    for _ in range(HALVINGS):
        middle = 0.5 * (low + high)
        same = (excess_m(azimuth[rays], middle) > 0.0) == begins
        low, high = np.where(same, middle, low), np.where(same, high, middle)
    found[rays] = 0.5 * (low + high)
    return found


def _in_pieces(line: Array, closed: bool) -> Array:
    """The line begun after a gap and closed where it is, with one row of NaN for each gap within."""
    known = np.isfinite(line[:, 0])
    if closed:
        ring = line[known]
        return np.concatenate([ring, ring[:1]])
    line = np.roll(line, -int(np.flatnonzero(~known)[0]), axis=0)
    known = np.isfinite(line[:, 0])
    line = line[known | np.append(False, known[:-1])]
    return line[:-1] if len(line) and np.isnan(line[-1, 0]) else line


def _along(start: Array, azimuth: Array, reached_m: Array) -> tuple[Array, Array]:
    """Latitude and longitude, degrees, on great circles from a place."""
    phi, lam = np.radians(start[0]), np.radians(start[1])
    angle = reached_m / MEAN_RADIUS_M
    sin_lat = np.sin(phi) * np.cos(angle) + np.cos(phi) * np.sin(angle) * np.cos(azimuth)
    lat = np.arcsin(np.clip(sin_lat, -1.0, 1.0))
    lon = lam + np.arctan2(np.sin(azimuth) * np.sin(angle) * np.cos(phi), np.cos(angle) - np.sin(phi) * sin_lat)
    return np.degrees(lat), wrap_longitude(np.degrees(lon))


def _azimuth(start: Array, place: tuple[float, float]) -> float:
    """Direction of a place along the great circle, radians from north to east."""
    phi1, phi2 = np.radians(start[0]), np.radians(place[0])
    d = np.radians(place[1] - start[1])
    y = np.sin(d) * np.cos(phi2)
    x = np.cos(phi1) * np.sin(phi2) - np.sin(phi1) * np.cos(phi2) * np.cos(d)
    return float(np.arctan2(y, x) % (2.0 * np.pi))
