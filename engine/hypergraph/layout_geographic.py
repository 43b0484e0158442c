"""Nodes on the map: where they are, if that is known, else round the middle of their neighbours.

Middles are taken on the sphere, so they are right across the antimeridian. Knows positions and incidences, not pixels.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from numba import njit
from numpy.typing import ArrayLike

from engine.geo import web_mercator
from engine.hypergraph._layout_graph import Array, LayoutGraph, layout_graph
from engine.hypergraph.layout_input import Progress, Watcher, incidence_slots, indexed
from engine.hypergraph.sphere import unit_vectors

SPACING_M = 2_000.0
"""Nodes without a position stand about this far apart, m on the map."""

ROUNDS = 200
"""Means taken at most, each of the neighbours' last."""

SETTLED = 1e-6
"""A round that moves no node farther than this (radians, 6 m) is the last."""


class GeographicLayout:
    """Positions of nodes on the Web Mercator map.

    A node with a position stands there, exactly. One without stands at the weighted mean direction of its neighbours,
    which may themselves stand at such means (the harmonic extension), moved aside a little by an offset that its id
    and the seed determine, so that those with the same neighbours do not cover each other. A node that no path joins
    to a located one has no place: NaN. The same input gives the same positions, in whatever order.

    Parameters
    ----------
    seed : int
    spacing_m : float
        Distance, m on the map, between nodes that would share a place.

    Examples
    --------
    >>> layout = GeographicLayout()
    >>> placed = layout.update(["a", "b", "c"], [0, 1], [0, 0], lat=[47.0, np.nan, np.nan], lon=[8.0, np.nan, np.nan])
    >>> bool(abs(placed.x[1] - placed.x[0]) < 2_000.0), placed.attrs["without_place"]
    (True, 1)

    References
    ----------
    Tutte, How to draw a graph, Proc. London Math. Soc. 13 (1963): nodes at the mean of their neighbours.
    """

    def __init__(self, seed: int = 0, spacing_m: float = SPACING_M) -> None:
        if not (np.isfinite(spacing_m) and spacing_m >= 0.0):
            raise ValueError(f"spacing_m is {spacing_m}; it must be metres, 0 or more")
        self.seed = int(seed)
        self.spacing_m = float(spacing_m)
        self.version = 0

    def update(
        self, node_ids: Any, incidence_node: ArrayLike, incidence_edge: ArrayLike, weights: ArrayLike | None = None, *,
        lat: ArrayLike, lon: ArrayLike, progress: Progress | None = None, cancel: Callable[[], bool] | None = None,
    ) -> xr.Dataset:  # fmt: skip
        """Positions of the nodes as `Layout.update` gives them, in metres of Web Mercator (EPSG:3857).

        Parameters
        ----------
        node_ids, incidence_node, incidence_edge, weights, progress, cancel
            As in `Layout.update`.
        lat, lon : array_like of float, shape (n,)
            Degrees; NaN, or beyond ±90 or ±180, where there is no position.

        Returns
        -------
        xarray.Dataset
            `x`, `y` over `node`, m, NaN without a place; `located`, whether it stands where it is. Attributes:
            `version`, `without_place`.
        """
        watcher = Watcher(progress, cancel)
        ids = indexed(node_ids)
        lat, lon = np.asarray(lat, np.float64), np.asarray(lon, np.float64)
        for name, values in (("lat", lat), ("lon", lon)):
            if values.shape != (len(ids),):
                raise ValueError(f"{name} has shape {values.shape}; it must be ({len(ids)},), one for each node")
        node, edge, weight, n_edges = incidence_slots(len(ids), incidence_node, incidence_edge, weights)
        graph = layout_graph(len(ids), node, edge, n_edges, weight, np.ones(len(ids)))
        located = (np.abs(lat) <= 90.0) & (np.abs(lon) <= 180.0)
        vectors = np.zeros((len(ids), 3))
        vectors[located] = unit_vectors(lat[located], lon[located])
        placed = _settled(graph, vectors, located, watcher)
        x, y = np.full((2, len(ids)), np.nan)
        x[located], y[located] = web_mercator(lat[located], lon[located])
        free = placed & ~located
        v = vectors[free]
        x[free], y[free] = web_mercator(
            np.degrees(np.arctan2(v[:, 2], np.hypot(v[:, 0], v[:, 1]))), np.degrees(np.arctan2(v[:, 1], v[:, 0]))
        )
        aside_x, aside_y = self._aside(ids[free], x[free], y[free])
        x[free] += aside_x
        y[free] += aside_y
        self.version += 1
        watcher.done()
        return xr.Dataset(
            {"x": ("node", x, {"units": "m"}), "y": ("node", y, {"units": "m"}), "located": ("node", located)},
            coords={"node": ids.to_numpy(dtype=object)},
            attrs={"version": self.version, "without_place": int(np.count_nonzero(~placed)), "crs": "EPSG:3857"},
        )

    def _aside(self, ids: pd.Index, x: Array, y: Array) -> tuple[Array, Array]:
        """Offsets, m, evenly over a disc as large as all that share a place need; a node's is its id's."""
        if not len(ids) or self.spacing_m == 0.0:
            return np.zeros(len(ids)), np.zeros(len(ids))
        cells = np.stack([x, y], axis=1) // (4.0 * self.spacing_m)
        _, cell, count = np.unique(cells, axis=0, return_inverse=True, return_counts=True)
        told = np.array([f"{type(i).__name__} {i}" for i in ids.tolist()], dtype=object)
        key = pd.util.hash_array(told, hash_key=f"{self.seed % 10**16:016d}", categorize=False)
        angle = (key & np.uint64(0xFFFFFFFF)).astype(np.float64) * (2.0 * np.pi / 2**32)
        share = (key >> np.uint64(32)).astype(np.float64) / 2**32
        radius = 0.5 * self.spacing_m * np.sqrt(share * (count[cell.ravel()] + 1.0))
        return radius * np.cos(angle), radius * np.sin(angle)


def _settled(graph: LayoutGraph, vectors: Array, located: np.ndarray, watcher: Watcher) -> np.ndarray:
    """Moves the vectors that are not located to the mean of their neighbours, in place; which have a place."""
    placed = located.copy()
    free = np.flatnonzero(~located)
    if not len(free):
        return placed
    watcher.expect(ROUNDS * len(free))
    sums, count = np.empty((len(graph.start) - 1, 3)), np.empty(len(graph.start) - 1, np.int64)
    for _ in range(ROUNDS):
        _edge_sums(graph.start, graph.members, vectors, placed, sums, count)
        watcher.look()
        means, reached = np.zeros((len(free), 3)), np.zeros(len(free), np.bool_)
        _means(free, vectors, placed, graph.node_start, graph.edges, graph.weight, sums, count, means, reached)
        moved = np.abs(means - vectors[free]).max(initial=0.0)
        vectors[free[reached]] = means[reached]
        placed[free[reached]] = True
        watcher.step(len(free))(1.0)
        if moved <= SETTLED:
            break
    return placed


@njit(cache=True, nogil=True)
def _edge_sums(start, members, vectors, placed, sums, count):
    for e in range(start.size - 1):
        a, b, c, n = 0.0, 0.0, 0.0, 0
        for i in range(start[e], start[e + 1]):
            v = members[i]
            if placed[v]:
                a += vectors[v, 0]
                b += vectors[v, 1]
                c += vectors[v, 2]
                n += 1
        sums[e, 0], sums[e, 1], sums[e, 2], count[e] = a, b, c, n


@njit(cache=True, nogil=True)
def _means(free, vectors, placed, node_start, edges, weight, sums, count, out, reached):
    for t in range(free.size):
        v = free[t]
        mine = 1 if placed[v] else 0
        a, b, c = 0.0, 0.0, 0.0
        for k in range(node_start[v], node_start[v + 1]):
            e = edges[k]
            others = count[e] - mine
            if others > 0:
                w = weight[e] / others
                a += w * (sums[e, 0] - mine * vectors[v, 0])
                b += w * (sums[e, 1] - mine * vectors[v, 1])
                c += w * (sums[e, 2] - mine * vectors[v, 2])
        length = np.sqrt(a * a + b * b + c * c)
        # Neighbours all round the globe have no mean direction; the node stays where it is, if it is somewhere.
        if length > 1e-12:
            out[t, 0], out[t, 1], out[t, 2], reached[t] = a / length, b / length, c / length, True
        elif placed[v]:
            out[t, 0], out[t, 1], out[t, 2], reached[t] = vectors[v, 0], vectors[v, 1], vectors[v, 2], True
