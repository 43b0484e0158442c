"""Clusters that keep their names from one run to the next, and what became of those that do not.

Knows sets of node ids, not positions or features. Identities follow the greatest total overlap; splits, merges, births
and deaths are told as events.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import scipy.sparse
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import linear_sum_assignment
from scipy.sparse.csgraph import connected_components

from engine.events.schema import event_table

BORN, DIED, SPLIT, MERGED = "cluster.born", "cluster.died", "cluster.split", "cluster.merged"
"""Kinds of events: a new identity out of nothing, one that ended; one out of another, one that went into another."""

MIN_OVERLAP = 0.1
"""Jaccard index from which a cluster may be an earlier one."""

MIN_SHARE = 0.5
"""Share of a cluster's nodes that must come from (or go to) one other to have split from it (merged into it)."""


@dataclass(frozen=True, slots=True, eq=False)
class Tracked:
    """One run's clusters under their lasting identities.

    Attributes
    ----------
    labels : ndarray of int64, shape (n,)
        Identity of each node's cluster; -1 for none. Identities are never used again.
    identity : ndarray of int64, shape (k,)
        Identity of the run's cluster 0, 1, ….
    events : pyarrow.Table
        What changed, schema `engine.events.SCHEMA`.
    """

    labels: NDArray[np.int64]
    identity: NDArray[np.int64]
    events: pa.Table


class ClusterTracker:
    """Gives the clusters of consecutive runs lasting identities.

    A run's cluster is the earlier one it overlaps with, where the assignment of all of them has the greatest sum of
    Jaccard indices |a ∩ b| / |a ∪ b|; an index below `min_overlap` does not count. A cluster left over is *split* from
    the earlier one that at least `MIN_SHARE` of its nodes were in, else *born*; an earlier one left over was *merged*
    into the one that at least that share of its nodes are in, else it *died*. So a split leaves the identity with the
    larger part, and each identity begins and ends with exactly one event. The order of the rows does not matter.

    Parameters
    ----------
    min_overlap : float
        More than 0, at most 1.
    name : str
        What identities are called in events: entity ``name:17``.

    Attributes
    ----------
    version : int
        Runs in which any node's identity changed.

    Examples
    --------
    >>> tracker = ClusterTracker()
    >>> tracker.update(list("abcde"), [0, 0, 0, 1, 1], time_s=0.0).labels.tolist()
    [0, 0, 0, 1, 1]
    >>> later = tracker.update(list("edcbaf"), [0, 0, 2, 1, 1, 1], time_s=60.0)
    >>> later.labels.tolist(), later.events["kind"].to_pylist()
    ([1, 1, 2, 0, 0, 0], ['cluster.split'])

    References
    ----------
    Greene, Doyle & Cunningham, Tracking the evolution of communities in dynamic social networks, ASONAM 2010; the
    assignment: Kuhn, The Hungarian method, Naval Research Logistics Quarterly 2 (1955).
    """

    def __init__(self, min_overlap: float = MIN_OVERLAP, name: str = "cluster") -> None:
        if not 0.0 < min_overlap <= 1.0:
            raise ValueError(f"min_overlap is {min_overlap}; it must be more than 0 and at most 1")
        self.min_overlap, self.name = float(min_overlap), name
        self.version = 0
        self._next = 0
        self._of: dict[Hashable, int] = {}

    def update(self, ids: Iterable[Hashable], labels: ArrayLike, time_s: float) -> Tracked:
        """Take one run's clusters.

        Parameters
        ----------
        ids : sequence of n hashable
            Nodes, each once.
        labels : array_like of int, shape (n,)
            Cluster 0, 1, … of each in this run; negative for none.
        time_s : float
            When it was, epoch seconds; the time of the events.

        Returns
        -------
        Tracked
        """
        names, label = list(ids), np.asarray(labels, np.int64)
        if label.shape != (len(names),):
            raise ValueError(f"labels have shape {label.shape}; there are {len(names)} ids")
        if not np.isfinite(time_s):
            raise ValueError(f"time_s is {time_s}; epoch seconds are needed")
        if len(set(names)) != len(names):
            raise ValueError("ids name a node twice; each node is in one row")
        k = int(label.max(initial=-1)) + 1
        old_ids = sorted(set(self._of.values()))
        place = {identity: i for i, identity in enumerate(old_ids)}
        before = np.array([place.get(self._of.get(name, -1), -1) for name in names], np.int64)
        old_size = np.bincount([place[i] for i in self._of.values()], minlength=len(old_ids)).astype(np.int64)
        new_size = np.bincount(label[label >= 0], minlength=k)
        both = (before >= 0) & (label >= 0)
        shared = scipy.sparse.coo_matrix(
            (np.ones(np.count_nonzero(both), np.int64), (before[both], label[both])), (len(old_ids), k)
        ).tocsr()
        rank = _ranks(names, label, k)
        heir = _assigned(shared, old_size, new_size, rank, self.min_overlap)
        identity = np.full(k, -1, np.int64)
        for old, new in enumerate(heir):
            if new >= 0:
                identity[new] = old_ids[old]
        fresh = [int(c) for c in np.argsort(rank, kind="stable") if identity[c] < 0 and new_size[c] > 0]
        for c in fresh:
            identity[c] = self._next
            self._next += 1
        events = self._told(shared.tocsc(), old_ids, old_size, new_size, heir, identity, fresh, time_s)
        stable = np.where(label >= 0, identity[np.maximum(label, 0)] if k else -1, -1)
        now = {name: int(i) for name, i in zip(names, stable.tolist(), strict=True) if i >= 0}
        if now != self._of:
            self.version += 1
        self._of = now
        return Tracked(stable, identity, events)

    def _told(
        self, shared: Any, old_ids: list[int], old_size: NDArray[Any], new_size: NDArray[Any], heir: NDArray[Any],
        identity: NDArray[Any], fresh: list[int], time_s: float,
    ) -> pa.Table:  # fmt: skip
        kinds: list[str] = []
        entities: list[str] = []
        payloads: list[str] = []

        def tell(kind: str, of: int, source: int | None, target: int | None, overlap: float, nodes: int) -> None:
            told = {"from": source, "to": target, "overlap": round(overlap, 6), "nodes": nodes}
            kinds.append(kind)
            entities.append(f"{self.name}:{of}")
            payloads.append(orjson.dumps({key: value for key, value in told.items() if value is not None}).decode())

        for c in fresh:
            column = shared[:, [c]].tocoo()
            parent = int(column.row[np.argmax(column.data)]) if column.nnz else -1
            share = column.data.max() / new_size[c] if column.nnz else 0.0
            if share >= MIN_SHARE:
                tell(SPLIT, identity[c], old_ids[parent], int(identity[c]), float(share), int(new_size[c]))
            else:
                tell(BORN, identity[c], None, int(identity[c]), float(share), int(new_size[c]))
        rows = shared.tocsr()
        for old in np.flatnonzero(heir < 0).tolist():
            row = rows[[old]].tocoo()
            share = row.data.max() / old_size[old] if row.nnz else 0.0
            if share >= MIN_SHARE:
                most = row.col[row.data == row.data.max()]
                target = int(identity[most].min())
                tell(MERGED, old_ids[old], old_ids[old], target, float(share), int(old_size[old]))
            else:
                tell(DIED, old_ids[old], old_ids[old], None, float(share), int(old_size[old]))
        time_us = np.full(len(kinds), round(time_s * 1e6), np.int64)
        return event_table(time_us, kinds, entities, "clusters", payload=payloads)


def _ranks(names: list[Hashable], label: NDArray[np.int64], k: int) -> NDArray[np.int64]:
    """An order of the run's clusters that neither their numbers nor the order of the rows decide: by size, then ids."""
    size = np.bincount(label[label >= 0], minlength=k)
    first: list[str] = [""] * k
    for name, c in zip(names, label.tolist(), strict=True):
        # 1 and "1" are two ids.
        key = f"{name} {type(name).__name__}"
        if c >= 0 and (not first[c] or key < first[c]):
            first[c] = key
    order = sorted(range(k), key=lambda c: (-int(size[c]), first[c]))
    rank = np.empty(k, np.int64)
    rank[order] = np.arange(k)
    return rank


def _assigned(
    shared: Any, old_size: NDArray[Any], new_size: NDArray[Any], rank: NDArray[np.int64], min_overlap: float
) -> NDArray[np.int64]:
    """The new cluster that each old one has become, or -1: greatest sum of Jaccard indices."""
    n_old, n_new = shared.shape
    heir = np.full(n_old, -1, np.int64)
    pairs = shared.tocoo()
    jaccard = pairs.data / (old_size[pairs.row] + new_size[pairs.col] - pairs.data)
    good = jaccard >= min_overlap
    row, column, jaccard = pairs.row[good], pairs.col[good], jaccard[good]
    # Clusters that share nothing do not compete: small problems instead of one large one.
    joined = scipy.sparse.coo_matrix((np.ones(len(row)), (row, n_old + column)), (n_old + n_new,) * 2)
    _, part = connected_components(joined, directed=False)
    order = np.lexsort((rank[column], row, part[row]))
    cuts = np.flatnonzero(np.diff(part[row[order]])) + 1
    for edges in np.split(order, cuts):
        if not len(edges):
            continue
        olds, i = np.unique(row[edges], return_inverse=True)
        # In an order that does not depend on the input's, so that equal sums are decided alike.
        ranks, j = np.unique(rank[column[edges]], return_inverse=True)
        news = np.empty(len(ranks), np.int64)
        news[j] = column[edges]
        gain = np.zeros((len(olds), len(news)))
        gain[i, j] = jaccard[edges]
        for a, b in zip(*linear_sum_assignment(gain, maximize=True), strict=True):
            if gain[a, b] > 0.0:
                heir[olds[a]] = news[b]
    return heir
