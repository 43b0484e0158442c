"""Measures of groups of nodes: centroids on the sphere, diversity, coherence, entropy, silence.

Columns and labels in, one number per group out; label -1 is in no group. NaN where there is nothing to measure.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from engine.hypergraph.sphere import great_circle_km, unit_vectors
from engine.silence import predictive_pressure

Array = NDArray[np.float64]
Labels = NDArray[np.int32]

UNKNOWN_ASN = ("", "0", "nan", "None", "<NA>")
"""Spellings of an autonomous system that is not known; 0 is reserved (RFC 7607)."""

NO_DIRECTION = 1e-9
"""Resultant length below which positions all round the globe have no mean."""


def spherical_means(lat: Array, lon: Array, labels: Labels, k: int) -> tuple[Array, Array, Array]:
    """Latitude and longitude, degrees, of each group's mean direction, and its farthest position, km.

    Examples
    --------
    >>> a, b, _ = spherical_means(np.array([0.0, 0.0]), np.array([179.0, -179.0]), np.zeros(2, np.int32), 1)
    >>> round(float(a[0]), 9), round(abs(float(b[0])), 9)
    (0.0, 180.0)

    References
    ----------
    Mardia & Jupp, Directional Statistics (2000), section 9.2.1.
    """
    rows = np.flatnonzero((labels >= 0) & ~np.isnan(lat + lon))
    group = labels[rows]
    vectors = unit_vectors(lat[rows], lon[rows]).reshape(-1, 3)
    total = np.stack([np.bincount(group, vectors[:, i], k) for i in range(3)], axis=1)
    count = np.bincount(group, minlength=k)
    length = np.linalg.norm(total, axis=1) / np.maximum(count, 1)
    centre_lat = np.degrees(np.arctan2(total[:, 2], np.hypot(total[:, 0], total[:, 1])))
    centre_lon = np.degrees(np.arctan2(total[:, 1], total[:, 0]))
    none = length < NO_DIRECTION
    centre_lat[none], centre_lon[none] = np.nan, np.nan
    radius_km = np.zeros(k)
    np.maximum.at(radius_km, group, great_circle_km(lat[rows], lon[rows], centre_lat[group], centre_lon[group]))
    return centre_lat, centre_lon, np.where(none, np.nan, radius_km)


def activity_score(activity: Array, labels: Labels, k: int) -> Array:
    """Mean activity of a group's nodes over itself plus the mean of all: 0 to 1, and 0.5 for what is usual."""
    inside = labels >= 0
    mean = np.bincount(labels[inside], activity[inside], k) / np.maximum(np.bincount(labels[inside], minlength=k), 1)
    usual = float(activity.mean()) if len(activity) else np.nan
    return np.divide(mean, mean + usual, out=np.full(k, np.nan), where=mean + usual > 0.0)


def group_entropy_bits(amount: Array, labels: Labels, k: int) -> Array:
    """Shannon entropy, bits, of how an amount is spread over each group's nodes; NaN where there is none."""
    inside = (labels >= 0) & (amount > 0.0)
    group, part = labels[inside], amount[inside]
    total = np.bincount(group, part, k)
    share = part / total[group]
    entropy = np.abs(np.bincount(group, -share * np.log2(share), k))
    return np.where(total > 0.0, entropy, np.nan)


def category_evenness(category: Any, labels: Labels, k: int, n: int) -> tuple[Array, Array]:
    """Normalised Shannon entropy of a category within each group, H / log of the number that occur, and known share.

    0 for one category, 1 for equal ones, NaN where none is known.

    References
    ----------
    Pielou, The measurement of diversity in different types of biological collections, 1966 (evenness).
    """
    if category is None:
        return np.full(k, np.nan), np.zeros(k)
    if len(category) != n:
        raise ValueError(f"asn is of {len(category)} nodes; there are {n}")
    # 3303.0 is what an integer becomes in a column with gaps.
    told = [str(int(c)) if isinstance(c, (float, np.floating)) and c == c else str(c) for c in category]
    known = ~np.isin(np.array(told, dtype=str), UNKNOWN_ASN) & (labels >= 0)
    code, _ = pd.factorize(np.array(told, dtype=object)[known])
    pair, count = np.unique(np.stack([labels[known], code], axis=1), axis=0, return_counts=True)
    group = pair[:, 0].astype(np.int64)
    total, kinds = np.bincount(group, count, k), np.bincount(group, minlength=k)
    share = count / total[group]
    entropy = np.abs(np.bincount(group, -share * np.log(share), k))
    evenness = np.where(kinds > 1, entropy / np.log(np.maximum(kinds, 2)), 0.0)
    size = np.bincount(labels[labels >= 0], minlength=k)
    return np.where(total > 0.0, np.minimum(evenness, 1.0), np.nan), total / np.maximum(size, 1)


def coherence(at: Array, by: str, labels: Labels, k: int) -> Array:
    """Simplified silhouette of each group: mean of (b − a)/max(a, b) over its nodes, -1 to 1.

    a is a node's distance to the centroid of its group, b to the nearest centroid of another. NaN for an only group.

    Parameters
    ----------
    at : ndarray, shape (n, d)
        Latitude and longitude, degrees, or features.
    by : {"position", "behaviour"}

    References
    ----------
    Hruschka, de Castro & Campello, Evolutionary algorithms for clustering gene-expression data, ICDM 2004.
    """
    if k < 2:
        return np.full(k, np.nan)
    points = unit_vectors(at[:, 0], at[:, 1]).reshape(-1, 3) if by == "position" else at
    rows = np.flatnonzero((labels >= 0) & np.isfinite(points).all(axis=1))
    group = labels[rows]
    count = np.maximum(np.bincount(group, minlength=k), 1)
    centre = np.stack([np.bincount(group, points[rows, i], k) / count for i in range(points.shape[1])], axis=1)
    if by == "position":
        centre /= np.maximum(np.linalg.norm(centre, axis=1, keepdims=True), 1e-300)
    near, which = cKDTree(centre).query(points[rows], k=2)
    own = np.linalg.norm(points[rows] - centre[group], axis=1)
    other = np.where(which[:, 0] == group, near[:, 1], near[:, 0])
    if by == "position":
        # Chords to angles.
        own, other = (2.0 * np.arcsin(np.minimum(0.5 * d, 1.0)) for d in (own, other))
    most = np.maximum(own, other)
    value = np.divide(other - own, most, out=np.zeros(len(rows)), where=most > 0.0)
    return np.bincount(group, value, k) / count


def silence(row: NDArray[np.int64], time_s: Array, labels: Labels, k: int, now_s: float | None) -> Array:
    """Silence pressure of each group: `engine.silence.predictive_pressure` of all events of its nodes up to now."""
    if not len(row):
        return np.zeros(k)
    now = float(time_s.max()) if now_s is None else float(now_s)
    if not np.isfinite(now):
        raise ValueError(f"now_s is {now_s}; epoch seconds are needed")
    group = labels[row]
    heard = (group >= 0) & (time_s <= now)
    group, times = group[heard], time_s[heard]
    count = np.bincount(group, minlength=k)
    first, last = np.full(k, np.inf), np.full(k, -np.inf)
    np.minimum.at(first, group, times)
    np.maximum.at(last, group, times)
    span = np.where(count > 1, last - first, 0.0)
    quiet = np.where(count > 0, now - last, 0.0)
    return np.asarray(predictive_pressure(np.maximum(count - 1, 0), span, quiet))
