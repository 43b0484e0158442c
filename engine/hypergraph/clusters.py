"""Clusters of nodes, geographic or behavioural, and what is to be said of each (C1).

Plain columns in, a Dataset out; it knows neither events nor where features come from. Every number has a definition,
given with it in the Dataset.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from engine.hypergraph.clusters_labels import MIN_SIZE, Method, label_behaviour, label_positions, standardised
from engine.hypergraph.clusters_measures import (
    activity_score,
    category_evenness,
    coherence,
    group_entropy_bits,
    silence,
    spherical_means,
)

Array = NDArray[np.float64]

DEFINITIONS = {
    "lat": ("degrees", "direction of the mean unit vector of the positions"),
    "lon": ("degrees", "direction of the mean unit vector of the positions"),
    "radius_km": ("km", "greatest great-circle distance of a position from the centroid"),
    "node_count": ("1", "nodes in the cluster"),
    "activity": ("events", "sum over its nodes"),
    "activity_score": ("1", "mean activity of its nodes / (that + mean of all nodes); 0.5 is usual"),
    "asn_diversity": ("1", "Shannon entropy of ASNs / log of their number (Pielou); NaN where none is known"),
    "asn_known": ("1", "share of its nodes whose ASN is known"),
    "coherence": ("1", "simplified silhouette, -1 to 1; NaN for the only cluster"),
    "entropy": ("bit", "Shannon entropy of activity over its nodes"),
    "silence_pressure": ("1", "-log10 of the chance of so long a silence at its rate"),
}


def clusters(
    lat: ArrayLike | None = None, lon: ArrayLike | None = None, behaviour: ArrayLike | None = None, *,
    method: Method = "hdbscan", min_size: int = MIN_SIZE, min_samples: int | None = None, eps: float | None = None,
    ids: Any = None, asn: Any = None, activity: ArrayLike | None = None, event_node: ArrayLike | None = None,
    event_time_s: ArrayLike | None = None, now_s: float | None = None,
) -> xr.Dataset:  # fmt: skip
    """Clusters of n nodes: by behaviour where that is given, else by position; and their measures.

    Parameters
    ----------
    lat, lon : array_like of float, shape (n,), optional
        Degrees, NaN where unknown.
    behaviour : array_like of float, shape (n, k), optional
        Features, see `host_features`; standardised here.
    method, min_size, min_samples
        See `label_positions`.
    eps : float, optional
        Only for DBSCAN: km among positions (`eps_km` of `label_positions`), else as of `label_behaviour`.
    ids : sequence of n, optional
        Names of the nodes; their row numbers unless told.
    asn : sequence of n, optional
        Autonomous system of each node; None, NaN, "" or 0 where unknown.
    activity : array_like of float, shape (n,), optional
        Events of each node, not negative; counted from the events where those are given.
    event_node, event_time_s : array_like, shape (e,), optional
        Row of the node and time, epoch seconds, of recent events.
    now_s : float, optional
        End of the silence, epoch seconds; the newest event unless told.

    Returns
    -------
    xarray.Dataset
        Over `node`: `cluster` (int32, -1 for none), `membership`. Over `cluster_id` (0, 1, … by size): the measures
        of `DEFINITIONS`, each with its unit and definition as attributes; NaN where what it needs was not given.

    Examples
    --------
    >>> found = clusters([47, 47.01, 47.02, 10], [8, 8.01, 8, 0], method="dbscan", eps=5.0, min_size=3)
    >>> found.cluster.values.tolist(), found.node_count.values.tolist(), round(float(found.lat[0]), 2)
    ([0, 0, 0, -1], [3], 47.01)
    """
    n, by, at = _sizes(lat, lon, behaviour)
    positions = _positions(lat, lon, n)
    if behaviour is not None:
        labels, strength = label_behaviour(
            np.asarray(behaviour, np.float64), method=method, min_size=min_size, min_samples=min_samples, eps=eps
        )
    else:
        labels, strength = label_positions(
            *positions.T, method=method, min_size=min_size, min_samples=min_samples, eps_km=eps
        )
    names = np.arange(n) if ids is None else np.asarray(ids)
    if names.shape != (n,):
        raise ValueError(f"ids have shape {names.shape}; there are {n} nodes")
    k = int(labels.max(initial=-1)) + 1
    row, time_s = _events(event_node, event_time_s, n)
    acts = _activity(activity, row if event_node is not None else None, n)
    centre_lat, centre_lon, radius_km = spherical_means(positions[:, 0], positions[:, 1], labels, k)
    told = acts if acts is not None else np.full(n, np.nan)
    evenness, known = category_evenness(asn, labels, k, n)
    values: dict[str, Any] = {
        "lat": centre_lat, "lon": centre_lon, "radius_km": radius_km,
        "node_count": np.bincount(labels[labels >= 0], minlength=k).astype(np.int64),
        "activity": _sum(told, labels, k), "activity_score": activity_score(told, labels, k),
        "asn_diversity": evenness, "asn_known": known, "coherence": coherence(at, by, labels, k),
        "entropy": group_entropy_bits(told, labels, k),
        "silence_pressure": silence(row, time_s, labels, k, now_s) if event_node is not None else np.full(k, np.nan),
    }  # fmt: skip
    measures = {
        name: ("cluster_id", values[name], {"units": unit, "definition": definition})
        for name, (unit, definition) in DEFINITIONS.items()
    }
    return xr.Dataset(
        {"cluster": ("node", labels), "membership": ("node", strength), **measures},
        coords={"node": names, "cluster_id": np.arange(k, dtype=np.int64)},
        attrs={"method": method, "by": by, "min_size": min_size, "in_none": int(np.count_nonzero(labels < 0))},
    )


def _sizes(lat: Any, lon: Any, behaviour: Any) -> tuple[int, str, Array]:
    """Number of nodes, by what they are clustered, and where they are in that space (columns: coordinates)."""
    if (lat is None) != (lon is None):
        raise ValueError("one of lat and lon is missing; a position needs both")
    if behaviour is None and lat is None:
        raise ValueError("nothing to cluster by: give lat and lon, or behaviour")
    if behaviour is None:
        at = np.stack([np.asarray(lat, np.float64), np.asarray(lon, np.float64)], axis=-1)
        return len(at), "position", at
    features = np.asarray(behaviour, np.float64)
    if features.ndim != 2:
        raise ValueError(f"behaviour has shape {features.shape}; (n, k) is needed")
    valid = np.isfinite(features).all(axis=1)
    scaled = standardised(features[valid])
    at = np.full((len(features), scaled.shape[1]), np.nan)
    at[valid] = scaled
    return len(features), "behaviour", at


def _positions(lat: Any, lon: Any, n: int) -> Array:
    if lat is None:
        return np.full((n, 2), np.nan)
    positions = np.stack([np.asarray(lat, np.float64), np.asarray(lon, np.float64)], axis=-1)
    if positions.shape != (n, 2):
        raise ValueError(f"lat and lon are of {positions.shape[0]} nodes, behaviour of {n}")
    positions[~((np.abs(positions[:, 0]) <= 90.0) & (np.abs(positions[:, 1]) <= 180.0))] = np.nan
    return positions


def _events(event_node: Any, event_time_s: Any, n: int) -> tuple[NDArray[np.int64], Array]:
    if (event_node is None) != (event_time_s is None):
        raise ValueError("one of event_node and event_time_s is missing; an event needs both")
    if event_node is None:
        return np.empty(0, np.int64), np.empty(0)
    row, time_s = np.asarray(event_node, np.int64), np.asarray(event_time_s, np.float64)
    if row.ndim != 1 or row.shape != time_s.shape:
        raise ValueError(f"event_node has shape {row.shape}, event_time_s {time_s.shape}; both must be (e,)")
    if len(row) and not (row.min() >= 0 and row.max() < n):
        raise ValueError(f"event_node holds {row[(row < 0) | (row >= n)][0]}; rows are 0 to {n - 1}")
    if not np.isfinite(time_s).all():
        raise ValueError(f"event_time_s holds {time_s[~np.isfinite(time_s)][0]}; epoch seconds are needed")
    return row, time_s


def _activity(activity: Any, row: NDArray[np.int64] | None, n: int) -> Array | None:
    if activity is None:
        return None if row is None else np.bincount(row, minlength=n).astype(np.float64)
    values = np.asarray(activity, np.float64)
    if values.shape != (n,):
        raise ValueError(f"activity has shape {values.shape}; there are {n} nodes")
    if not (np.isfinite(values).all() and (values >= 0.0).all()):
        raise ValueError(f"activity holds {values[~(values >= 0.0)].tolist()[:1]}; it must be 0 or more")
    return values


def _sum(values: Array, labels: NDArray[np.int32], k: int) -> Array:
    return np.bincount(labels[labels >= 0], values[labels >= 0], k).astype(np.float64)
