"""From earth-centred coordinates back to latitude, longitude and height: compiled, and for whole arrays.

The way forward is `engine.geo.geodetic_to_ecef`. It must not know what stands at a position.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit, vectorize
from numpy.typing import ArrayLike, NDArray

from engine.geo import WGS84_A_M, WGS84_E2, WGS84_F

Array = NDArray[np.float64]

_B_M = WGS84_A_M * (1.0 - WGS84_F)
_SECOND_E2 = WGS84_E2 / (1.0 - WGS84_E2)


@njit(cache=True, nogil=True, error_model="numpy")
def height_and_normal(x, y, z):
    """Height above the ellipsoid, m, and the unit normal (up) of an ECEF position, m.

    Bowring's formula twice, without trigonometry: below 1e-8 m from 10 km deep to 10 000 km up.
    """
    p = math.hypot(x, y)
    cos_beta, sin_beta = p * _B_M, z * WGS84_A_M
    cos_phi, sin_phi = 1.0, 0.0
    for _ in range(2):
        r = math.hypot(cos_beta, sin_beta)
        if r > 0.0:
            cos_beta, sin_beta = cos_beta / r, sin_beta / r
        across = p - WGS84_E2 * WGS84_A_M * cos_beta**3
        along = z + _SECOND_E2 * _B_M * sin_beta**3
        n = math.hypot(across, along)
        if n == 0.0:
            break
        cos_phi, sin_phi = across / n, along / n
        cos_beta, sin_beta = cos_phi, sin_phi * (1.0 - WGS84_F)
    height = p * cos_phi + z * sin_phi - WGS84_A_M * math.sqrt(1.0 - WGS84_E2 * sin_phi * sin_phi)
    if p > 0.0:
        return height, cos_phi * x / p, cos_phi * y / p, sin_phi
    return height, cos_phi, 0.0, sin_phi


@vectorize(cache=True)
def _height(x, y, z):
    return height_and_normal(x, y, z)[0]


@vectorize(cache=True)
def _latitude(x, y, z):
    _, nx, ny, nz = height_and_normal(x, y, z)
    return math.degrees(math.atan2(nz, math.hypot(nx, ny)))


def ecef_to_geodetic(x_m: ArrayLike, y_m: ArrayLike, z_m: ArrayLike) -> tuple[Array, Array, Array]:
    """Geodetic latitude and longitude, degrees, and height above the ellipsoid, m, of ECEF positions.

    Parameters
    ----------
    x_m, y_m, z_m : array_like of float
        Metres; any shapes that broadcast. NaN gives NaN.

    Returns
    -------
    lat, lon, alt_m : ndarray of float64
        Of the broadcast shape.

    Examples
    --------
    >>> lat, lon, alt_m = ecef_to_geodetic(6378137.0 + 1000.0, 0.0, 0.0)
    >>> float(lat), float(lon), round(float(alt_m), 6)
    (0.0, 0.0, 1000.0)

    References
    ----------
    Bowring 1976, Transformation from spatial to geographical coordinates.
    """
    x, y, z = (np.asarray(v, dtype=np.float64) for v in (x_m, y_m, z_m))
    return _latitude(x, y, z), np.degrees(np.arctan2(y, x)) + 0.0 * z, _height(x, y, z)
