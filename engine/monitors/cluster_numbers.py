"""What is to be said of every cluster besides alarms (C1): where it is, how many it is, how it acts; as events.

Measured over the last quarter of an hour by the formulas of `engine.hypergraph.clusters`; which event belongs to which
cluster is told. The board folds what was said, live or of a past moment.
"""

from __future__ import annotations

import math
import threading
from collections import OrderedDict, deque
from typing import Any

import numpy as np
import orjson
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from engine.events.payload import payload_columns
from engine.hypergraph.clusters import DEFINITIONS
from engine.hypergraph.clusters_measures import (
    activity_score,
    category_evenness,
    coherence,
    group_entropy_bits,
    silence,
    spherical_means,
)
from engine.monitors.vocabulary import DRILL_ENDED, MEASURED

WINDOW_S = 900.0
"""Events that count are at most so old, s."""

MAX_EVENTS = 50_000
"""Events kept; of more the newest."""

MOST_CLUSTERS = 24
"""Clusters told of at one moment: those of the most events."""

KEPT = 240
"""Numbers kept of each cluster on a board: four hours at one a minute."""

KEPT_CLUSTERS = 500

NUMBERS = tuple(name for name in DEFINITIONS if name not in ("lat", "lon"))
"""Payload keys of `MEASURED`; units and definitions are those of `engine.hypergraph.clusters.DEFINITIONS`."""


class ClusterNumbers:
    """Events of the last minutes by cluster and node, and their numbers.

    Examples
    --------
    >>> numbers = ClusterNumbers()
    >>> c, at = np.array(["c", "c"], object), np.array([1.0, 2.0])
    >>> numbers.push(c, np.array(["a", "b"], object), at, np.array([47.0, 47.2]), np.array([8.0, 8.0]), at * np.nan)
    >>> found = numbers.measure(3.0).loc["c"]
    >>> int(found.node_count), round(float(found.lat), 6), float(found.entropy)
    (2, 47.1, 1.0)
    """

    def __init__(self) -> None:
        self._parts: deque[tuple[np.ndarray, ...]] = deque()
        self._held = 0

    def push(
        self, cluster: np.ndarray, node: np.ndarray, time_s: np.ndarray, lat: np.ndarray, lon: np.ndarray,
        asn: np.ndarray,
    ) -> None:  # fmt: skip
        """Take events in (n,): names of cluster and node, epoch s, degrees and autonomous system, NaN where unknown."""
        if len(time_s):
            self._parts.append((cluster, node, time_s, lat, lon, asn))
            self._held += len(time_s)
        while self._held > MAX_EVENTS and len(self._parts) > 1:
            self._held -= len(self._parts.popleft()[0])

    def forget(self, prefix: str) -> None:
        """Drop the events of all clusters and nodes whose names begin so."""
        kept = [tuple(column[_others(part, prefix)] for column in part) for part in self._parts]
        self._parts = deque(part for part in kept if len(part[0]))
        self._held = sum(len(part[0]) for part in self._parts)

    def measure(self, at_s: float) -> pd.DataFrame:
        """Numbers of each cluster over the window that ends at a moment, the one of most events first.

        Returns
        -------
        DataFrame
            Indexed by cluster: lat, lon, and `NUMBERS`. An entity that is its own cluster is none and is left out.
        """
        while self._parts and float(self._parts[0][2].max()) < at_s - WINDOW_S:
            self._held -= len(self._parts.popleft()[0])
        columns = [np.concatenate(column)[-MAX_EVENTS:] for column in zip(*self._parts, strict=True)]
        if not columns:
            return pd.DataFrame(columns=["lat", "lon", *NUMBERS])
        held = (columns[2] >= at_s - WINDOW_S) & (columns[2] <= at_s) & (columns[0] != columns[1])
        cluster, node, time_s, lat, lon, asn = (column[held] for column in columns)
        return _measured(cluster, node, time_s, lat, lon, asn, at_s)


def measured_rows(numbers: pd.DataFrame, at_s: float) -> list[dict[str, Any]]:
    """Numbers of clusters at a moment as rows of events of the kind `MEASURED`."""
    rows = []
    for found in numbers.head(MOST_CLUSTERS).reset_index(names="cluster").to_dict("records"):
        payload = {name: float(found[name]) for name in NUMBERS if math.isfinite(found[name])}
        rows.append(
            {
                "time_s": at_s, "kind": MEASURED, "entity": str(found["cluster"]), "source": "drift.clusters",
                "lat": float(found["lat"]), "lon": float(found["lon"]), "payload": orjson.dumps(payload).decode(),
            }
        )  # fmt: skip
    return rows


class ClusterBoard:
    """The last numbers of every cluster: a fold over events of the kind `MEASURED`, bounded.

    Of a drill that has ended nothing stays.

    Examples
    --------
    >>> ClusterBoard().table(0.0, 60.0).empty
    True
    """

    def __init__(self) -> None:
        self._kept: OrderedDict[str, deque[dict[str, float]]] = OrderedDict()
        self._lock = threading.Lock()
        self.version = 0

    def apply(self, events: pa.Table) -> None:
        """Fold one event batch; events of other kinds change nothing."""
        for run in events.filter(pc.equal(events["kind"], DRILL_ENDED))["entity"].to_pylist():
            with self._lock:
                for name in [name for name in self._kept if name.startswith(f"{run}/")]:
                    del self._kept[name]
        mine = events.filter(pc.equal(events["kind"], MEASURED))
        if not mine.num_rows:
            return
        columns = payload_columns(mine, dict.fromkeys(NUMBERS, float))
        columns["time_s"] = mine["time"].cast(pa.int64()).to_numpy() * 1e-6
        columns["lat"], columns["lon"] = (mine[name].to_numpy().astype(np.float64) for name in ("lat", "lon"))
        with self._lock:
            for row, cluster in enumerate(mine["entity"].to_pylist()):
                kept = self._kept.setdefault(cluster, deque(maxlen=KEPT))
                kept.append({name: float(values[row]) for name, values in columns.items()})
                self._kept.move_to_end(cluster)
            while len(self._kept) > KEPT_CLUSTERS:
                self._kept.popitem(last=False)
            self.version += 1

    def table(self, moment_s: float, window_s: float) -> pd.DataFrame:
        """The newest numbers of each cluster heard within a window that ends at a moment (epoch s).

        Returns
        -------
        DataFrame
            cluster, lat, lon, `NUMBERS`, and ``spark``: its activity over the window, events, oldest first.
        """
        with self._lock:
            held = {name: [row for row in kept if moment_s - window_s <= row["time_s"] <= moment_s + 60.0]
                    for name, kept in self._kept.items()}  # fmt: skip
        rows = [
            {"cluster": name, **kept[-1], "spark": [row["activity"] for row in kept[-60:]]}
            for name, kept in held.items() if kept
        ]  # fmt: skip
        return pd.DataFrame(rows, columns=["cluster", "lat", "lon", *NUMBERS, "spark"])


def _others(part: tuple[np.ndarray, ...], prefix: str) -> np.ndarray:
    return np.array([not (c.startswith(prefix) or n.startswith(prefix)) for c, n in zip(*part[:2], strict=True)], bool)


def _measured(
    cluster: np.ndarray, node: np.ndarray, time_s: np.ndarray, lat: np.ndarray, lon: np.ndarray, asn: np.ndarray,
    at_s: float,
) -> pd.DataFrame:  # fmt: skip
    """Numbers of clusters from their events; a node counts in each cluster that it was in."""
    if not len(time_s):
        return pd.DataFrame(columns=["lat", "lon", *NUMBERS])
    code, names = pd.factorize(cluster, sort=True)
    which, nodes = pd.factorize(node)
    pair, row = np.unique(code.astype(np.int64) * len(nodes) + which, return_inverse=True)
    group, k = (pair // len(nodes)).astype(np.int32), len(names)
    # Of each node the newest place and the newest system that it told.
    order = np.argsort(time_s, kind="stable")
    newest = np.full((3, len(pair)), np.nan)
    for kept, column in zip(newest, (lat, lon, asn), strict=True):
        told = order[np.isfinite(column[order])]
        kept[row[told]] = column[told]
    acts = np.bincount(row, minlength=len(pair)).astype(np.float64)
    centre_lat, centre_lon, radius_km = spherical_means(newest[0], newest[1], group, k)
    evenness, known = category_evenness(newest[2], group, k, len(pair))
    placed = np.where(np.isfinite(newest[:2]).all(axis=0), group, -1).astype(np.int32)
    together = coherence(newest[:2].T, "position", placed, k) if (placed >= 0).any() else np.full(k, np.nan)
    lone = np.bincount(placed[placed >= 0], minlength=k) == 0
    values: dict[str, Any] = {
        "lat": centre_lat, "lon": centre_lon, "radius_km": np.where(lone, np.nan, radius_km),
        "node_count": np.bincount(group, minlength=k), "activity": np.bincount(group, acts, k),
        "activity_score": activity_score(acts, group, k), "asn_diversity": evenness, "asn_known": known,
        "coherence": np.where(lone, np.nan, together), "entropy": group_entropy_bits(acts, group, k),
        "silence_pressure": silence(row.astype(np.int64), time_s, group, k, at_s),
    }  # fmt: skip
    found = pd.DataFrame(values, index=pd.Index(names, name="cluster"))
    return found.sort_values(["activity", "node_count"], ascending=False, kind="stable")
