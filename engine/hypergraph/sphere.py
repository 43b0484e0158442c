"""Spatial index on the sphere: what is within a distance, what is nearest, what is in a box (B3).

Knows positions and row numbers only, not what stands there. Nothing special happens at the
antimeridian or the poles, because distances are taken between unit vectors.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial import cKDTree

from engine.hypergraph._box_tree import BoxTree

EARTH_RADIUS_KM = 6371.0088
"""Mean radius R1 of the earth, km (IUGG; Moritz, Geodetic Reference System 1980)."""

Rows = NDArray[np.int64]
Array = NDArray[np.float64]


def unit_vectors(lat: ArrayLike, lon: ArrayLike) -> Array:
    """Unit vectors, shape (..., 3), of positions in degrees; all longitudes at a pole are the same vector."""
    phi, lam = np.radians(np.asarray(lat, np.float64)), np.radians(np.asarray(lon, np.float64))
    across = np.where(np.abs(lat) == 90.0, 0.0, np.cos(phi))
    return np.stack([across * np.cos(lam), across * np.sin(lam), np.sin(phi)], axis=-1)


def great_circle_km(lat1: ArrayLike, lon1: ArrayLike, lat2: ArrayLike, lon2: ArrayLike) -> Array:
    """Great-circle distance, km, on a sphere of radius `EARTH_RADIUS_KM`; accurate at all distances.

    Within 0.6 % of the geodesic on the ellipsoid.

    Examples
    --------
    >>> round(float(great_circle_km(0, 179.5, 0, -179.5)), 1)
    111.2

    References
    ----------
    Vincenty, Survey Review 23 (1975), for the sphere: no loss near zero or the antipode.
    """
    a, b = unit_vectors(lat1, lon1), unit_vectors(lat2, lon2)
    return EARTH_RADIUS_KM * np.arctan2(np.linalg.norm(np.cross(a, b), axis=-1), np.sum(a * b, axis=-1))


class SphereIndex:
    """Index of positions for radius, nearest and bounding-box queries, each in O(log n + answer).

    Queries answer with row numbers of the arrays given here. Invalid positions never enter: rows with a
    value that is not finite, or beyond ±90 or ±180 degrees, are found by nothing.

    Parameters
    ----------
    lat, lon : array_like of float, shape (n,)
        Degrees.

    Examples
    --------
    >>> index = SphereIndex([0.0, 0.0, 50.0, np.nan], [179.9, -179.9, 8.0, 0.0])
    >>> index.radius(0.0, 180.0, km=20.0).tolist()
    [0, 1]
    >>> index.nearest(49.0, 9.0, k=2).tolist()
    [2, 0]
    >>> index.bbox(170.0, -10.0, -170.0, 10.0).tolist()
    [0, 1]
    """

    def __init__(self, lat: ArrayLike, lon: ArrayLike) -> None:
        lat, lon = np.asarray(lat, np.float64), np.asarray(lon, np.float64)
        if lat.shape != lon.shape or lat.ndim != 1:
            raise ValueError(f"lat has shape {lat.shape}, lon {lon.shape}; both must be (n,)")
        self._rows = np.flatnonzero((np.abs(lat) <= 90.0) & (np.abs(lon) <= 180.0))
        self.rejected = len(lat) - len(self._rows)
        """Rows without a valid position."""
        self._lat, self._lon = lat[self._rows], lon[self._rows]
        self._vectors = unit_vectors(self._lat, self._lon)
        # The sliding-midpoint rule builds in time even where thousands of positions are the same.
        self._tree = cKDTree(self._vectors, balanced_tree=False)
        # A pole lies on every meridian; the two meridians of the antimeridian are one.
        polar = np.abs(self._lat) == 90.0
        self._polar, self._others = np.flatnonzero(polar), np.flatnonzero(~polar)
        meridian = np.where(self._lon == 180.0, -180.0, self._lon)
        self._boxes = BoxTree(meridian[self._others], self._lat[self._others])

    @property
    def boxes_visited(self) -> int:
        """Boxes of its tree that the last `bbox` looked at: grows with log n plus the answer."""
        return self._boxes.visited

    def __len__(self) -> int:
        return len(self._rows)

    def radius(self, lat: float, lon: float, km: float) -> Rows:
        """Rows within a great-circle distance of a position, the limit included, ascending.

        Parameters
        ----------
        lat, lon : float
            Degrees; longitudes beyond ±180 go round.
        km : float
            On the sphere of `great_circle_km`; a negative distance reaches nothing.

        Returns
        -------
        ndarray of int64
        """
        here = _position(lat, lon)
        if np.isnan(km):
            raise ValueError("km is NaN; it must be a distance in kilometres")
        if km < 0.0 or not len(self._rows):
            return np.empty(0, np.int64)
        near = self._near(here, km)
        return self._rows[np.sort(near[self._km(here, near) <= km])]

    def nearest(self, lat: float, lon: float, k: int = 1) -> Rows:
        """Rows of the k nearest positions, nearest first, equally near ones by row; all rows if there are fewer.

        Parameters
        ----------
        lat, lon : float
            Degrees.
        k : int
            At least 1.

        Returns
        -------
        ndarray of int64, shape (min(k, n),)
        """
        if k < 1:
            raise ValueError(f"k is {k}; it must be 1 or more")
        here = _position(lat, lon)
        k = min(k, len(self._rows))
        if not k:
            return np.empty(0, np.int64)
        _, found = self._tree.query(unit_vectors(*here), k=[k])
        # Who is as near as the k-th decides by row, whatever the tree met first.
        near = self._near(here, float(self._km(here, found)[0]))
        order = np.lexsort((near, self._km(here, near)))[:k]
        return self._rows[near[order]]

    def bbox(self, west: float, south: float, east: float, north: float) -> Rows:
        """Rows inside or on the edge of a box of degrees, ascending.

        With ``west > east`` the box crosses the antimeridian; 360 degrees or more are all longitudes.
        180 and -180 degrees are the same meridian, and **a pole lies on every meridian**: a position at
        ±90 degrees is in each box that reaches it, whatever its longitude.

        Returns
        -------
        ndarray of int64
        """
        if not all(np.isfinite([west, south, east, north])):
            raise ValueError(f"bounds are {(west, south, east, north)}; they must be finite degrees")
        parts = [self._others[self._boxes.query(w, south, e, north)] for w, e in _intervals(west, east)]
        parts.append(self._polar[(self._lat[self._polar] >= south) & (self._lat[self._polar] <= north)])
        return self._rows[np.unique(np.concatenate(parts))]

    def distance_km(self, lat: float, lon: float, rows: ArrayLike) -> Array:
        """Great-circle distance, km, of rows that a query gave from a position."""
        return self._km(_position(lat, lon), np.searchsorted(self._rows, np.asarray(rows, np.int64)))

    def _near(self, here: tuple[float, float], km: float) -> Rows:
        """Places within a distance and a little more than the chord's rounding, unsorted."""
        half_turn = min(km / EARTH_RADIUS_KM, np.pi) / 2.0
        # Near the antipode the chord hardly changes: 1e-15 of it is 0.3 m there, and nothing elsewhere.
        chord = 2.0 * np.sin(half_turn) * (1.0 + 1e-12) + 1e-15
        return np.asarray(self._tree.query_ball_point(unit_vectors(*here), chord), np.int64)

    def _km(self, here: tuple[float, float], places: Rows) -> Array:
        return great_circle_km(*here, self._lat[places], self._lon[places])


def _position(lat: float, lon: float) -> tuple[float, float]:
    if not (abs(lat) <= 90.0 and np.isfinite(lon)):
        raise ValueError(f"position is lat {lat}, lon {lon}; it must be finite and lat within ±90 degrees")
    return float(lat), float(lon)


def _intervals(west: float, east: float) -> list[tuple[float, float]]:
    """Intervals of longitude in [-180, 180) that lie between two meridians, going east."""
    if east - west >= 360.0:
        return [(-180.0, 180.0)]
    # Longitudes that need no wrapping are not computed with, so that edges stay exact.
    west, east = (v if -180.0 <= v <= 180.0 else (v + 180.0) % 360.0 - 180.0 for v in (west, east))
    if west > east:
        return [(west, 180.0), (-180.0, east)]
    return [(west, east), (-180.0, -180.0)] if east == 180.0 else [(west, east)]
