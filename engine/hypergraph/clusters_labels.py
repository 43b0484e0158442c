"""Which nodes form a cluster: density-based, on the sphere or among feature vectors.

scikit-learn finds the clusters; here the input is put in an order of its own, so that the answer does not depend on
the order of the rows, and cases that density cannot decide are decided. Knows numbers only, no ids.
"""

from __future__ import annotations

from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from engine.hypergraph.sphere import EARTH_RADIUS_KM

Labels = NDArray[np.int32]
Array = NDArray[np.float64]
Method = Literal["hdbscan", "dbscan"]

MIN_SIZE = 5
"""Nodes that a cluster needs."""

MAX_HDBSCAN = 20_000
"""Nodes that HDBSCAN takes: scikit-learn's looks at all pairs."""

FEATURE_EPS = 0.5
"""Neighbourhood of DBSCAN among standardised features: root mean square difference per feature."""


def label_positions(
    lat: ArrayLike, lon: ArrayLike, *, method: Method = "hdbscan", min_size: int = MIN_SIZE,
    min_samples: int | None = None, eps_km: float | None = None,
) -> tuple[Labels, Array]:  # fmt: skip
    """Clusters of positions by great-circle distance.

    Parameters
    ----------
    lat, lon : array_like of float, shape (n,)
        Degrees; a row without a valid position is in no cluster.
    method : {"hdbscan", "dbscan"}
    min_size : int
        Nodes that a cluster needs; 2 or more.
    min_samples : int, optional
        Nodes within the neighbourhood of a core node, itself included; `min_size` unless told.
    eps_km : float, optional
        Only for DBSCAN: the neighbourhood, km.

    Returns
    -------
    labels : ndarray of int32, shape (n,)
        0 for the largest cluster, and so on; -1 for none.
    membership : ndarray of float64, shape (n,)
        HDBSCAN: strength 0 to 1. DBSCAN: 1 within a cluster. 0 without one.

    Examples
    --------
    >>> label_positions([0, 0, 0, 50], [179.9, 180, -179.9, 8], method="dbscan", min_size=3, eps_km=20)[0].tolist()
    [0, 0, 0, -1]

    References
    ----------
    Ester et al., KDD 1996 (DBSCAN); Campello, Moulavi & Sander, PAKDD 2013 (HDBSCAN).
    """
    lat, lon = np.asarray(lat, np.float64), np.asarray(lon, np.float64)
    if lat.ndim != 1 or lat.shape != lon.shape:
        raise ValueError(f"lat has shape {lat.shape}, lon {lon.shape}; both must be (n,)")
    _check(method, min_size, min_samples, eps_km)
    if method == "dbscan" and eps_km is None:
        raise ValueError("method 'dbscan' needs eps_km, the neighbourhood in km")
    valid = np.flatnonzero((np.abs(lat) <= 90.0) & (np.abs(lon) <= 180.0))
    # A pole is one place, the antimeridian one meridian.
    phi = np.radians(lat[valid])
    lam = np.radians(np.where(np.abs(lat[valid]) == 90.0, 0.0, np.where(lon[valid] == 180.0, -180.0, lon[valid])))
    eps = None if eps_km is None else eps_km / EARTH_RADIUS_KM
    found = _labelled(np.stack([phi, lam], axis=1), "haversine", method, min_size, min_samples, eps)
    return _spread(found, valid, len(lat))


def label_behaviour(
    features: ArrayLike, *, method: Method = "hdbscan", min_size: int = MIN_SIZE, min_samples: int | None = None,
    eps: float | None = None,
) -> tuple[Labels, Array]:  # fmt: skip
    """Clusters of feature vectors by Euclidean distance, after each feature was standardised.

    Parameters
    ----------
    features : array_like of float, shape (n, k)
        A row with a value that is not finite is in no cluster. Features that are constant say nothing.
    method, min_size, min_samples
        As in `label_positions`.
    eps : float, optional
        Only for DBSCAN: the neighbourhood, as root mean square of standardised differences; `FEATURE_EPS` unless told.

    Returns
    -------
    labels, membership
        As of `label_positions`.

    Examples
    --------
    >>> label_behaviour([[0, 1], [0, 1.1], [0, 0.9], [9, 5]], method="dbscan", min_size=3)[0].tolist()
    [0, 0, 0, -1]
    """
    values = np.asarray(features, np.float64)
    if values.ndim != 2:
        raise ValueError(f"features have shape {values.shape}; (n, k) is needed")
    _check(method, min_size, min_samples, eps)
    valid = np.flatnonzero(np.isfinite(values).all(axis=1))
    scaled = standardised(values[valid])
    radius = (FEATURE_EPS if eps is None else eps) * np.sqrt(max(scaled.shape[1], 1)) if method == "dbscan" else None
    return _spread(_labelled(scaled, "euclidean", method, min_size, min_samples, radius), valid, len(values))


def standardised(values: Array) -> Array:
    """Columns less their mean, over their standard deviation; constant columns are left out."""
    if not len(values):
        return values
    spread = values.std(axis=0)
    # Rounding gives a constant column a spread, too.
    told = spread > 1e-12 * np.maximum(np.abs(values).max(axis=0), 1e-300)
    return (values[:, told] - values[:, told].mean(axis=0)) / spread[told]


def _check(method: str, min_size: int, min_samples: int | None, eps: float | None) -> None:
    if method not in get_args(Method):
        raise ValueError(f"method is {method!r}; it must be one of {', '.join(get_args(Method))}")
    if min_size < 2:
        raise ValueError(f"min_size is {min_size}; a cluster needs 2 nodes or more")
    if min_samples is not None and min_samples < 1:
        raise ValueError(f"min_samples is {min_samples}; it must be 1 or more")
    if eps is not None and method == "hdbscan":
        # scikit-learn 1.9's cluster_selection_epsilon fails under NumPy 2.4.
        raise ValueError(f"eps is {eps}; it is the neighbourhood of 'dbscan', and 'hdbscan' takes none")
    if eps is not None and not (np.isfinite(eps) and eps > 0.0):
        raise ValueError(f"eps is {eps}; a neighbourhood must be more than 0")


def _labelled(
    at: Array, metric: str, method: str, min_size: int, min_samples: int | None, eps: float | None
) -> tuple[Labels, Array]:
    samples = min_size if min_samples is None else min_samples
    labels, strength = np.full(len(at), -1, np.int32), np.zeros(len(at))
    if len(at) < max(min_size, samples):
        return labels, strength
    if not at.shape[1] or (at == at[0]).all():
        # No distances, no hierarchy: one place is one cluster.
        return np.zeros(len(at), np.int32), np.ones(len(at))
    # Neither which row comes first nor which cluster is found first may matter.
    order = np.lexsort(at.T)
    if method == "hdbscan":
        labels[order], strength[order] = _hdbscan(at[order], metric, min_size, samples)
    else:
        labels[order] = _dbscan(at[order], metric, samples, float(eps or 0.0))
        strength[:] = 1.0
    return _by_size(labels, strength, order, min_size)


def _hdbscan(at: Array, metric: str, min_size: int, samples: int) -> tuple[Any, Any]:
    # Loads slowly, and a graph without clusters does not need it.
    from sklearn.cluster import HDBSCAN

    if len(at) > MAX_HDBSCAN:
        raise ValueError(f"{len(at)} nodes are too many for method 'hdbscan', {MAX_HDBSCAN} at most; take 'dbscan'")
    model = HDBSCAN(
        min_cluster_size=min_size, min_samples=samples, metric=metric, copy=True,
        algorithm="ball_tree" if metric == "haversine" else "auto",
    ).fit(at)  # fmt: skip
    return model.labels_, np.nan_to_num(model.probabilities_)


def _dbscan(at: Array, metric: str, samples: int, eps: float) -> Any:
    from sklearn.cluster import DBSCAN

    algorithm = "ball_tree" if metric == "haversine" else "auto"
    return DBSCAN(eps=eps, min_samples=samples, metric=metric, algorithm=algorithm).fit(at).labels_


def _by_size(labels: Labels, strength: Array, order: NDArray[Any], min_size: int) -> tuple[Labels, Array]:
    """Numbered by size, equal ones in the rows' own order; what is too small is no cluster."""
    kept = labels[labels >= 0]
    size = np.bincount(kept, minlength=1)
    first = np.full(len(size), len(labels))
    np.minimum.at(first, labels[order][labels[order] >= 0], np.flatnonzero(labels[order] >= 0))
    rank = np.lexsort((first, -size))
    number = np.full(len(size) + 1, -1, np.int32)  # the last one is for -1
    large = rank[size[rank] >= min_size]
    number[large] = np.arange(len(large), dtype=np.int32)
    labels = number[labels]
    return labels, np.where(labels >= 0, strength, 0.0)


def _spread(found: tuple[Labels, Array], valid: NDArray[Any], n: int) -> tuple[Labels, Array]:
    labels, strength = np.full(n, -1, np.int32), np.zeros(n)
    labels[valid], strength[valid] = found
    return labels, strength
