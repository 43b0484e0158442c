"""Positions and velocities of a few fixes in the plane tangent to the ellipsoid at the newest of them.

Through earth-centred coordinates, so that the antimeridian and the poles are places like others.
Compiled, plain arrays; it must not know filters or forecasts.
"""

from __future__ import annotations

import math

from numba import njit

from engine.geo import WGS84_A_M, WGS84_E2


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def ecef(lat_rad, lon_rad, alt_m):
    """Earth-centred coordinates, m, of one position; `engine.geo.geodetic_to_ecef` compiled."""
    sin_phi = math.sin(lat_rad)
    cos_phi = math.cos(lat_rad)
    prime = WGS84_A_M / math.sqrt(1.0 - WGS84_E2 * sin_phi * sin_phi)
    flat = (prime + alt_m) * cos_phi
    return flat * math.cos(lon_rad), flat * math.sin(lon_rad), (prime * (1.0 - WGS84_E2) + alt_m) * sin_phi


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def frame_rotation(lat0, lat, dlon):
    """Cosine and sine of the turn from (east, north) at `lat` to the tangent plane at `lat0` (meridian convergence)."""
    sin0, cos0, sin1, cos1 = math.sin(lat0), math.cos(lat0), math.sin(lat), math.cos(lat)
    c = math.cos(dlon) + sin0 * sin1 * math.cos(dlon) + cos0 * cos1
    s = (sin0 + sin1) * math.sin(dlon)
    r = math.hypot(c, s)
    return c / r, s / r


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def to_geodetic(lat0, lon0, alt0, east, north):
    """Latitude and longitude, rad, of a point of the tangent plane (Bowring 1976, one step: below 1 mm here)."""
    x0, y0, z0 = ecef(lat0, lon0, alt0)
    sin_phi, cos_phi, sin_lam, cos_lam = math.sin(lat0), math.cos(lat0), math.sin(lon0), math.cos(lon0)
    x = x0 - sin_lam * east - sin_phi * cos_lam * north
    y = y0 + cos_lam * east - sin_phi * sin_lam * north
    z = z0 + cos_phi * north
    minor = WGS84_A_M * math.sqrt(1.0 - WGS84_E2)
    p = math.hypot(x, y)
    beta = math.atan2(z * WGS84_A_M, p * minor)
    top = z + WGS84_E2 / (1.0 - WGS84_E2) * minor * math.sin(beta) ** 3
    return math.atan2(top, p - WGS84_E2 * WGS84_A_M * math.cos(beta) ** 3), math.atan2(y, x)


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def place(lat, lon, alt_m, speed, track_deg, use, first, f64):
    """Positions and velocities in the plane tangent at the newest fresh fix, whose index is returned (-1: none)."""
    east, north, v_east, v_north = f64[2], f64[3], f64[4], f64[5]
    origin = -1
    for j in range(first, lat.size):
        if use[j] & 1:
            origin = j
    if origin < 0:
        return origin
    lat0, lon0 = math.radians(lat[origin]), math.radians(lon[origin])
    alt0 = alt_m[origin] if math.isfinite(alt_m[origin]) else 0.0
    x0, y0, z0 = ecef(lat0, lon0, alt0)
    sin_phi, cos_phi, sin_lam, cos_lam = math.sin(lat0), math.cos(lat0), math.sin(lon0), math.cos(lon0)
    for j in range(first, lat.size):
        cos_c, sin_c = 1.0, 0.0
        if use[j] & 1:
            phi, lam = math.radians(lat[j]), math.radians(lon[j])
            x, y, z = ecef(phi, lam, alt0)
            x, y, z = x - x0, y - y0, z - z0
            east[j] = -sin_lam * x + cos_lam * y
            north[j] = -sin_phi * (cos_lam * x + sin_lam * y) + cos_phi * z
            cos_c, sin_c = frame_rotation(lat0, phi, lam - lon0)
        if use[j] & 2:
            chi = math.radians(track_deg[j])
            e, n = speed[j] * math.sin(chi), speed[j] * math.cos(chi)
            if not math.isfinite(chi):  # only the slow are taken without a track
                e = n = 0.0
            v_east[j] = cos_c * e - sin_c * n
            v_north[j] = sin_c * e + cos_c * n
    return origin
