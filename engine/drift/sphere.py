"""Points, paths and kernels on the sphere: unit vectors, great-circle crossings, a field of nearby places on a grid.

Plain arrays; the mean radius is good to half a percent, which monitors of places tens of kilometres wide can bear.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

EARTH_RADIUS_KM = 6371.0088
"""Mean radius (IUGG), km."""


def unit_vectors(lat: ArrayLike, lon: ArrayLike) -> np.ndarray:
    """Unit vectors (n, 3) of positions in degrees (n,)."""
    a, b = np.radians(np.asarray(lat, np.float64).ravel()), np.radians(np.asarray(lon, np.float64).ravel())
    return np.column_stack([np.cos(a) * np.cos(b), np.cos(a) * np.sin(b), np.sin(a)])


def lat_lon(vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Latitude and longitude, degrees (n,), of vectors (n, 3) of any length but zero."""
    flat = np.hypot(vectors[:, 0], vectors[:, 1])
    return np.degrees(np.arctan2(vectors[:, 2], flat)), np.degrees(np.arctan2(vectors[:, 1], vectors[:, 0]))


def distance_km(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Great-circle distances, km, between unit vectors (…, 3), stable for near and far points."""
    chord = np.linalg.norm(a - b, axis=-1)
    return 2.0 * EARTH_RADIUS_KM * np.arcsin(np.minimum(0.5 * chord, 1.0))


def kernel_field(
    grid_lat: ArrayLike, grid_lon: ArrayLike, lat: ArrayLike, lon: ArrayLike, amount: ArrayLike, radius_km: float
) -> np.ndarray:
    """Amounts in [0, 1] of places, spread over a grid: 1 − ∏(1 − amount·exp(−d²/2r²)).

    At a place alone the field is its amount; where places overlap it is higher, and never above 1.

    Parameters
    ----------
    grid_lat : array_like of float64, (rows,)
    grid_lon : array_like of float64, (columns,)
    lat, lon, amount : array_like of float64, (n,)
    radius_km : float
        r, km.

    Returns
    -------
    ndarray of float64, (rows, columns)

    Examples
    --------
    >>> round(float(kernel_field([47.0], [8.0], [47.0], [8.0], [0.6], 30.0)[0, 0]), 6)
    0.6
    """
    rows, columns = np.asarray(grid_lat, np.float64).ravel(), np.asarray(grid_lon, np.float64).ravel()
    mesh_lat, mesh_lon = np.meshgrid(rows, columns, indexing="ij")
    cells = unit_vectors(mesh_lat, mesh_lon)
    left = np.ones(len(cells))
    for point, each in zip(unit_vectors(lat, lon), np.asarray(amount, np.float64).ravel().tolist(), strict=True):
        spread = np.exp(-0.5 * (distance_km(cells, point) / radius_km) ** 2)
        left *= 1.0 - min(max(each, 0.0), 1.0) * spread
    return (1.0 - left).reshape(len(rows), len(columns))
