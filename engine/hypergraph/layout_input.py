"""What layouts are given: ids, incidences and weights as checked columns, and someone who watches and may stop them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from engine.hypergraph.graph import Hypergraph

Progress = Callable[[float], None]

WEIGHT_RANGE = 20.0
"""Weights count as their ratio to the mean, at most this and at least one by this."""


class Cancelled(Exception):
    """A layout was asked to stop."""


class Watcher:
    """Tells how far a layout is, and stops it by raising `Cancelled`; see `Layout.update`."""

    def __init__(self, progress: Progress | None, cancel: Callable[[], bool] | None) -> None:
        self._progress, self._cancel = progress, cancel
        self._expected, self._spent = 1.0, 0.0

    def expect(self, moves: float) -> None:
        """Say how many moves of a node there will be, about."""
        self._expected, self._spent = max(moves, 1.0), 0.0

    def step(self, nodes: int) -> Callable[[float], None]:
        """What to call while some nodes are moved once, with the share of them that has been."""
        begun = self._spent
        self._spent += nodes

        def check(share: float) -> None:
            self.look()
            if self._progress is not None:
                # An estimate must not say that all is done.
                self._progress(min((begun + share * nodes) / self._expected, 0.99))

        return check

    def silent(self) -> Watcher:
        """One for a part of the work: it stops when this one does, and tells nobody how far it is."""
        return Watcher(None, self._cancel)

    def look(self) -> None:
        """Stop if asked to."""
        if self._cancel is not None and self._cancel():
            raise Cancelled("the layout was cancelled")

    def done(self) -> None:
        """Say that all is done."""
        if self._progress is not None:
            self._progress(1.0)


def layout_input(graph: Hypergraph) -> tuple[pd.Index, NDArray[np.int32], NDArray[np.int32], NDArray[np.float64]]:
    """What `Layout.update` asks for, of a hypergraph as it is now: ids, node and hyperedge of incidences, weights.

    Ids are in the order of `Hypergraph.nodes`, so positions can be given to `Hypergraph.points`.

    Examples
    --------
    >>> graph = Hypergraph()
    >>> graph.add(pd.DataFrame({"edge": ["e", "e"], "node": ["a", "b"]}))
    >>> ids, node, edge, weight = layout_input(graph)
    >>> list(ids), node.tolist(), edge.tolist()
    (['a', 'b'], [0, 1], [0, 0])
    """
    with graph._lock:
        living = graph._nodes.living()
        ids = graph._nodes.ids.take(living)
        rows = graph._incidences
        alive = np.flatnonzero(rows["alive"])
        node, edge = rows["node"][alive], rows["edge"][alive]
        weight = graph._weights()[edge]
        place = np.full(graph._nodes.columns.n, -1, np.int32)
    place[living] = np.arange(len(living), dtype=np.int32)
    return ids, place[node], edge.astype(np.int32), weight


def indexed(node_ids: Any) -> pd.Index:
    """Ids as an index; ValueError when one occurs twice."""
    ids = node_ids if isinstance(node_ids, pd.Index) else pd.Index(np.asarray(node_ids, dtype=object))
    if not ids.is_unique:
        raise ValueError(f"node_ids hold {ids[ids.duplicated()][0]!r} twice; each node is named once")
    return ids


def incidence_slots(
    n: int, incidence_node: ArrayLike, incidence_edge: ArrayLike, weights: ArrayLike | None
) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.float64], int]:
    """Checked columns: node, hyperedge (numbered from 0 without gaps), weight of each hyperedge, their number."""
    node, edge = np.asarray(incidence_node), np.asarray(incidence_edge)
    if node.ndim != 1 or node.shape != edge.shape:
        raise ValueError(f"incidence_node has shape {node.shape}, incidence_edge {edge.shape}; both must be (k,)")
    for name, values in (("incidence_node", node), ("incidence_edge", edge)):
        if len(values) and values.dtype.kind not in "iu":
            raise ValueError(f"{name} is of type {values.dtype}; whole numbers are needed")
    if len(node) and not (node.min() >= 0 and node.max() < n):
        wrong = node[(node < 0) | (node >= n)][0]
        raise ValueError(f"incidence_node holds {wrong}; it must be a row of node_ids, 0 to {n - 1}")
    if len(edge) and edge.min() < 0:
        raise ValueError(f"incidence_edge holds {edge.min()}; hyperedges are numbered from 0")
    n_edges = int(edge.max()) + 1 if len(edge) else 0
    if n_edges > 2 * len(edge) + 1024:
        edge = np.unique(edge, return_inverse=True)[1]
        n_edges = int(edge.max()) + 1
    node, edge = node.astype(np.int32), edge.astype(np.int32)
    weight = np.ones(n_edges)
    if weights is not None:
        given = np.asarray(weights, np.float64)
        if given.shape != node.shape:
            raise ValueError(f"weights has shape {given.shape}; it must be {node.shape}, one for each incidence")
        if len(given) and not (np.isfinite(given).all() and given.min() >= 0.0):
            raise ValueError(f"weights hold {given[~np.isfinite(given) | (given < 0)][0]}; they must be 0 or more")
        weight[edge[::-1]] = given[::-1]
        mean = given.mean() if len(given) else 0.0
        weight = np.clip(weight / mean, 1.0 / WEIGHT_RANGE, WEIGHT_RANGE) if mean > 0.0 else np.ones(n_edges)
    return node, edge, weight, n_edges
