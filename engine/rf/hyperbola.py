"""Lines of equal difference of arrival time at a height: where an emitter can be, as one pair of sensors has it.

A hyperboloid of revolution cut with the surface at a height above the ellipsoid. It must not know messages or fixes.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from engine.geo import geodetic_to_ecef, local_offset_m, wrap_longitude
from engine.units import SPEED_OF_LIGHT_M_S

Array = NDArray[np.float64]

MEAN_RADIUS_M = 6_371_008.8
"""Mean radius of the earth, m (Moritz 2000); rays are laid with it, what they meet is computed on the ellipsoid."""

RAYS = 720
"""Directions from the nearer sensor in which the line is sought."""

HALVINGS = 50
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

    From the focus that it is nearer to, each ray meets a branch of a hyperbola at most once; so each ray is searched
    by halving, with ranges in space to the ellipsoid's surface at `alt_m`.

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
    azimuth = np.linspace(0.0, 2.0 * np.pi, RAYS, endpoint=False)
    if through is not None:
        # Measured along the great circle, as the rays are laid.
        azimuth = np.sort(np.append(azimuth, _azimuth(near, through)))

    def excess_m(reached_m: Array) -> Array:
        lat, lon = _along(near, azimuth, reached_m)
        point = np.stack(geodetic_to_ecef(lat, lon, alt_m), axis=-1)
        near_m, far_m = (np.linalg.norm(point - focus, axis=-1) for focus in at)
        return np.asarray(far_m - near_m - more_m)

    low, high = np.zeros_like(azimuth), np.full_like(azimuth, reach_m)
    crosses = (excess_m(low) > 0.0) & (excess_m(high) <= 0.0)
    if not crosses.any():
        return np.empty((0, 2))
    for _ in range(HALVINGS):
        middle = 0.5 * (low + high)
        beyond = excess_m(middle) > 0.0
        low, high = np.where(beyond, middle, low), np.where(beyond, high, middle)
    line = np.stack(_along(near, azimuth, 0.5 * (low + high)), axis=-1)
    line[~crosses] = np.nan
    if crosses.all():
        return np.concatenate([line, line[:1]])
    # Begin after a gap, so that the line is in one piece where it is one; one row of NaN for each gap within.
    line = np.roll(line, -int(np.flatnonzero(~crosses)[0]), axis=0)
    known = np.isfinite(line[:, 0])
    line = line[known | np.append(False, known[:-1])]
    return line[:-1] if np.isnan(line[-1, 0]) else line



def _along(start: Array, azimuth: Array, reached_m: Array) -> tuple[Array, Array]:
    """Latitude and longitude, degrees, on great circles from a place."""
    phi, lam = np.radians(start[0]), np.radians(start[1])
    angle = reached_m / MEAN_RADIUS_M
    sin_lat = np.sin(phi) * np.cos(angle) + np.cos(phi) * np.sin(angle) * np.cos(azimuth)
    lat = np.arcsin(np.clip(sin_lat, -1.0, 1.0))
    lon = lam + np.arctan2(np.sin(azimuth) * np.sin(angle) * np.cos(phi), np.cos(angle) - np.sin(phi) * sin_lat)
    return np.degrees(lat), wrap_longitude(np.degrees(lon))


def _azimuth(start: Array, place: tuple[float, float]) -> float:
    east_m, north_m = local_offset_m(start[0], start[1], place[0], place[1])
    if float(np.hypot(east_m, north_m)) < 1.0:
        return 0.0
    phi1, phi2 = np.radians(start[0]), np.radians(place[0])
    d = np.radians(place[1] - start[1])
    y = np.sin(d) * np.cos(phi2)
    x = np.cos(phi1) * np.sin(phi2) - np.sin(phi1) * np.cos(phi2) * np.cos(d)
    return float(np.arctan2(y, x) % (2.0 * np.pi))
