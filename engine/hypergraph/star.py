"""Star expansion: a hyperedge as lines from the middle of its nodes to each of them, for pictures.

Plain arrays and tables; it must not know how positions came about or how lines are drawn.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from engine.geo import wrap_longitude
from engine.hypergraph.sphere import unit_vectors

Array = NDArray[np.float64]


def star_segments(owner: ArrayLike, x: ArrayLike, y: ArrayLike) -> tuple[pd.DataFrame, NDArray[np.int64]]:
    """Lines from the mean position of each hyperedge's nodes to each node, in the plane of a layout.

    Parameters
    ----------
    owner : array_like of int, shape (n,)
        Hyperedge slot of each incidence, 0 or more.
    x, y : array_like of float, shape (n,)
        Position of its node; an incidence without one (NaN) is left out.

    Returns
    -------
    segments : pandas.DataFrame
        `x0`, `y0` (the middle), `x1`, `y1` (the node), one row per incidence drawn. A hyperedge with a
        single node that has a position is a segment of length 0: a dot.
    rows : ndarray of int64
        Which incidence each segment is.

    Examples
    --------
    >>> segments, rows = star_segments([0, 0], [0.0, 2.0], [0.0, 0.0])
    >>> segments.x0.tolist(), segments.x1.tolist()
    ([1.0, 1.0], [0.0, 2.0])
    """
    owner, x, y = np.asarray(owner, np.int64), np.asarray(x, np.float64), np.asarray(y, np.float64)
    rows = np.flatnonzero(~np.isnan(x + y))
    owner, x, y = owner[rows], x[rows], y[rows]
    n = np.bincount(owner)
    x0, y0 = _mean(owner, x, n), _mean(owner, y, n)
    return pd.DataFrame({"x0": x0[owner], "y0": y0[owner], "x1": x, "y1": y}), rows


def star_segments_on_sphere(owner: ArrayLike, lat: ArrayLike, lon: ArrayLike) -> tuple[pd.DataFrame, NDArray[np.int64]]:
    """Lines from the middle of each hyperedge's nodes to each node, on the map.

    The middle is the direction of the mean unit vector, so it is right across the antimeridian and at
    the poles. `lon1` lies within 180 degrees of `lon0` and may run beyond ±180; `density` draws such a
    line on both sides of the map.

    Parameters
    ----------
    owner : array_like of int, shape (n,)
        Hyperedge slot of each incidence.
    lat, lon : array_like of float, shape (n,)
        Degrees; an incidence without position (NaN) is left out.

    Returns
    -------
    segments : pandas.DataFrame
        `lon0`, `lat0`, `lon1`, `lat1`, degrees.
    rows : ndarray of int64
        Which incidence each segment is.

    Examples
    --------
    >>> segments, rows = star_segments_on_sphere([0, 0], [0.0, 0.0], [179.0, -177.0])
    >>> segments.lon0.round(9).abs().tolist(), segments.lon1.round(9).tolist()
    ([179.0, 179.0], [-181.0, -177.0])

    References
    ----------
    Mardia & Jupp, Directional Statistics (2000), section 9.2.1: mean direction.
    """
    owner, lat, lon = np.asarray(owner, np.int64), np.asarray(lat, np.float64), np.asarray(lon, np.float64)
    rows = np.flatnonzero(~np.isnan(lat + lon))
    owner, lat, lon = owner[rows], lat[rows], lon[rows]
    n = np.bincount(owner)
    vectors = unit_vectors(lat, lon)
    x, y, z = (_mean(owner, np.ascontiguousarray(vectors[:, i]), n) for i in range(3))
    lat0, lon0 = np.degrees(np.arctan2(z, np.hypot(x, y))), np.degrees(np.arctan2(y, x))
    step: Any = wrap_longitude(lon - lon0[owner])
    return pd.DataFrame({"lon0": lon0[owner], "lat0": lat0[owner], "lon1": lon0[owner] + step, "lat1": lat}), rows


def _mean(owner: NDArray[np.int64], values: Array, n: NDArray[np.int64]) -> Array:
    return np.bincount(owner, values) / np.maximum(n, 1)
