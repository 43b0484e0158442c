"""Geodesy on the WGS-84 ellipsoid: the few conversions that every room needs.

Positions are geodetic latitude and longitude in degrees and height above the ellipsoid in metres.
Distances are taken in earth-centred earth-fixed (ECEF) coordinates, where nothing special happens
at the antimeridian or the poles. All functions broadcast over arrays.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]

WGS84_A_M = 6_378_137.0
"""Semi-major axis, m (NIMA TR8350.2)."""

WGS84_F = 1.0 / 298.257_223_563
"""Flattening (NIMA TR8350.2)."""

WGS84_E2 = WGS84_F * (2.0 - WGS84_F)
"""First eccentricity squared."""

WEB_MERCATOR_MAX_LAT = 85.051_128_779_806_59
"""Latitude at which the Web Mercator square ends, degrees (EPSG:3857)."""


def geodetic_to_ecef(lat: ArrayLike, lon: ArrayLike, alt_m: ArrayLike = 0.0) -> tuple[Any, Any, Any]:
    """ECEF coordinates of geodetic positions.

    Parameters
    ----------
    lat, lon : array_like of float
        Geodetic latitude and longitude, degrees; any shapes that broadcast.
    alt_m : array_like of float
        Height above the ellipsoid, m.

    Returns
    -------
    x, y, z : ndarray of float64
        Metres, of the broadcast shape.

    Examples
    --------
    >>> x, y, z = geodetic_to_ecef(0.0, 0.0, 0.0)
    >>> float(x)
    6378137.0

    References
    ----------
    NIMA TR8350.2, World Geodetic System 1984.
    """
    phi = np.radians(np.asarray(lat, dtype=np.float64))
    lam = np.radians(np.asarray(lon, dtype=np.float64))
    height = np.asarray(alt_m, dtype=np.float64)
    sin_phi, cos_phi = np.sin(phi), np.cos(phi)
    prime_vertical = WGS84_A_M / np.sqrt(1.0 - WGS84_E2 * sin_phi**2)
    x = (prime_vertical + height) * cos_phi * np.cos(lam)
    y = (prime_vertical + height) * cos_phi * np.sin(lam)
    z = (prime_vertical * (1.0 - WGS84_E2) + height) * sin_phi
    return np.broadcast_arrays(x, y, z)  # type: ignore[return-value]


def slant_range_m(
    lat1: ArrayLike, lon1: ArrayLike, alt1_m: ArrayLike, lat2: ArrayLike, lon2: ArrayLike, alt2_m: ArrayLike
) -> Array:
    """Straight-line distance, m, between geodetic positions, altitude included.

    Examples
    --------
    >>> float(slant_range_m(0, 0, 0, 0, 0, 1000.0))
    1000.0
    """
    x1, y1, z1 = geodetic_to_ecef(lat1, lon1, alt1_m)
    x2, y2, z2 = geodetic_to_ecef(lat2, lon2, alt2_m)
    return np.sqrt((x1 - x2) ** 2 + (y1 - y2) ** 2 + (z1 - z2) ** 2)


def radii_of_curvature_m(lat: ArrayLike) -> tuple[Array, Array]:
    """Meridional and prime-vertical radii of curvature, m, at geodetic latitudes in degrees.

    References
    ----------
    Torge & Müller, Geodesy, 4th ed., section 4.1.
    """
    sin2 = np.sin(np.radians(np.asarray(lat, dtype=np.float64))) ** 2
    prime_vertical = WGS84_A_M / np.sqrt(1.0 - WGS84_E2 * sin2)
    meridional = prime_vertical * (1.0 - WGS84_E2) / (1.0 - WGS84_E2 * sin2)
    return meridional, prime_vertical


def wrap_longitude(lon: ArrayLike) -> Array:
    """Longitude wrapped into [-180, 180), degrees.

    Examples
    --------
    >>> float(wrap_longitude(181.0))
    -179.0
    """
    return (np.asarray(lon, dtype=np.float64) + 180.0) % 360.0 - 180.0


def offset_position(lat: ArrayLike, lon: ArrayLike, east_m: ArrayLike, north_m: ArrayLike) -> tuple[Array, Array]:
    """Position reached by moving a short way east and north on the ellipsoid.

    Uses the local radii of curvature at the starting point: error below 0.1 % of the step for steps
    up to some 50 km away from the poles. Within a step of a pole, go through ECEF instead.

    Parameters
    ----------
    lat, lon : array_like of float
        Start, degrees.
    east_m, north_m : array_like of float
        Step along the local east and north directions, m.

    Returns
    -------
    lat, lon : ndarray of float64
        Degrees; longitude wrapped into [-180, 180).
    """
    lat = np.asarray(lat, dtype=np.float64)
    meridional, prime_vertical = radii_of_curvature_m(lat)
    cos_lat = np.maximum(np.cos(np.radians(lat)), 1e-9)
    new_lat = np.clip(lat + np.degrees(np.asarray(north_m) / meridional), -90.0, 90.0)
    new_lon = np.asarray(lon, dtype=np.float64) + np.degrees(np.asarray(east_m) / (prime_vertical * cos_lat))
    return new_lat, wrap_longitude(new_lon)


def local_offset_m(lat0: ArrayLike, lon0: ArrayLike, lat: ArrayLike, lon: ArrayLike) -> tuple[Array, Array]:
    """East and north offset, m, of a position from a nearby origin; inverse of `offset_position`."""
    lat0 = np.asarray(lat0, dtype=np.float64)
    meridional, prime_vertical = radii_of_curvature_m(lat0)
    north_m = np.radians(np.asarray(lat, dtype=np.float64) - lat0) * meridional
    delta_lon = wrap_longitude(np.asarray(lon, dtype=np.float64) - np.asarray(lon0, dtype=np.float64))
    east_m = np.radians(delta_lon) * prime_vertical * np.cos(np.radians(lat0))
    return east_m, north_m


def web_mercator(lat: ArrayLike, lon: ArrayLike) -> tuple[Array, Array]:
    """Web Mercator coordinates (EPSG:3857), m; latitudes are clipped to the square's edge.

    Examples
    --------
    >>> x, y = web_mercator(0.0, 180.0)
    >>> round(float(x), 2), abs(round(float(y), 6))
    (20037508.34, 0.0)
    """
    clipped = np.clip(np.asarray(lat, dtype=np.float64), -WEB_MERCATOR_MAX_LAT, WEB_MERCATOR_MAX_LAT)
    x = WGS84_A_M * np.radians(np.asarray(lon, dtype=np.float64))
    y = WGS84_A_M * np.arctanh(np.sin(np.radians(clipped)))
    return x, y


def inverse_web_mercator(x: ArrayLike, y: ArrayLike) -> tuple[Array, Array]:
    """Latitude and longitude, degrees, of Web Mercator coordinates in metres."""
    lat = np.degrees(np.arcsin(np.tanh(np.asarray(y, dtype=np.float64) / WGS84_A_M)))
    lon = np.degrees(np.asarray(x, dtype=np.float64) / WGS84_A_M)
    return lat, lon


def radio_horizon_m(height1_m: ArrayLike, height2_m: ArrayLike) -> Array:
    """Distance, m, beyond which a 4/3-earth hides two antennas from each other.

    ``d_km = 4.12 (sqrt(h1) + sqrt(h2))`` with heights in metres; negative heights count as zero.

    References
    ----------
    ITU-R P.310 (4/3 effective earth radius); d = sqrt(2 k a h) with k = 4/3, a = 6371 km.
    """
    h1 = np.maximum(np.asarray(height1_m, dtype=np.float64), 0.0)
    h2 = np.maximum(np.asarray(height2_m, dtype=np.float64), 0.0)
    return 4_120.0 * (np.sqrt(h1) + np.sqrt(h2))
