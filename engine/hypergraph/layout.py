"""Where to draw the nodes of a hypergraph: deterministic, and steady while the graph grows.

`Layout` knows ids, incidences and its own last positions; not pixels, events or threads. It may run for a minute on
millions of nodes, says how far it is, and stops when asked to.
"""

from __future__ import annotations

from collections.abc import Callable
from hashlib import blake2b
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import ArrayLike

from engine.hypergraph import _layout_force as force
from engine.hypergraph._layout_graph import (
    Array,
    Ints,
    LayoutGraph,
    Slots,
    component_of,
    layout_graph,
    ranges,
    subgraph,
)
from engine.hypergraph._layout_pack import boxes, packed
from engine.hypergraph.layout_input import Cancelled, Progress, Watcher, incidence_slots, indexed

MAX_DRIFT = 0.1
"""Farthest that a node which has a position moves in one update, in edge lengths."""

LOCAL_ROUNDS = 30
"""Steps by which new nodes settle."""

FRESH_SHARE = 0.5
"""When more than this share of the nodes is new, everything is laid out anew."""

SETTLE_ALL = 20_000
"""Up to so many nodes all may move a little at each update; in larger graphs only those next to a change."""


class Layout:
    """Positions of nodes in the plane, kept from one update to the next.

    Hyperedges pull their nodes together, nodes push each other apart (a multilevel force-directed layout of the star
    expansion). Disconnected components lie side by side. A node that has a position moves at most `MAX_DRIFT` per
    update; new ones begin at the mean of their neighbours and settle there. Only when more than half of all nodes are
    new, or after `restart`, everything is laid out anew.

    Parameters
    ----------
    seed : int
        The same seed and the same updates give the same positions.

    Attributes
    ----------
    version : int
        Updates so far.

    Examples
    --------
    >>> layout = Layout(seed=1)
    >>> placed = layout.update(["a", "b", "c"], incidence_node=[0, 1, 1, 2], incidence_edge=[0, 0, 1, 1])
    >>> placed.sizes["node"], placed.attrs["fresh"]
    (3, True)
    >>> grown = layout.update(["a", "b", "c", "d"], [0, 1, 1, 2, 2, 3], [0, 0, 1, 1, 2, 2])
    >>> bool(grown.attrs["moved_max"] <= MAX_DRIFT)
    True
    """

    def __init__(self, seed: int = 0) -> None:
        self.seed = int(seed)
        self.version = 0
        self._ids: pd.Index = pd.Index([])
        self._x, self._y = np.empty(0), np.empty(0)
        self._restart = True
        self._structure = b""

    def restart(self) -> None:
        """Lay everything out anew at the next update."""
        self._restart = True

    def update(
        self, node_ids: Any, incidence_node: ArrayLike, incidence_edge: ArrayLike, weights: ArrayLike | None = None, *,
        progress: Progress | None = None, cancel: Callable[[], bool] | None = None,
        early: Callable[[xr.Dataset], None] | None = None,
    ) -> xr.Dataset:  # fmt: skip
        """Positions of the nodes of a graph as it is now; what it had no more is forgotten.

        Parameters
        ----------
        node_ids : sequence of n ids
            Text or integers, each once.
        incidence_node, incidence_edge : array_like of int, shape (k,)
            Row of the node in `node_ids`, and a number of the hyperedge, 0 or more, of each incidence.
        weights : array_like of float, shape (k,), optional
            Weight of the hyperedge of each incidence; its first one counts. What matters is the ratio to the mean,
            between 1/20 and 20.
        progress : callable (share), optional
            Told how far it is, 0 to 1.
        cancel : callable () -> bool, optional
            Asked some times in a tenth of a second.
        early : callable (Dataset), optional
            When more than some 20 000 nodes are laid out anew: told where they are about to stand, after a tenth of
            the time and perhaps again; NaN for those that have no place yet. What is returned does not depend on it.

        Returns
        -------
        xarray.Dataset
            `x`, `y` over `node` (ids), in edge lengths. Attributes: `version`; `fresh`, whether all was laid out anew;
            `new`, nodes that had no position; `moved_max`, `moved_mean`, how far the others moved.

        Raises
        ------
        Cancelled
            `cancel` was true; positions and version stay as they were.
        ValueError
            Ids that occur twice, or incidences that name no node.
        """
        watcher = Watcher(progress, cancel)
        ids = indexed(node_ids)
        node, edge, weight, n_edges = incidence_slots(len(ids), incidence_node, incidence_edge, weights)
        watcher.look()
        graph = layout_graph(len(ids), node, edge, n_edges, weight, np.ones(len(ids)), watcher.look)
        watcher.look()
        before = self._ids.get_indexer(ids) if len(self._ids) else np.full(len(ids), -1)
        known = before >= 0
        x, y = np.zeros(len(ids)), np.zeros(len(ids))
        x[known], y[known] = self._x[before[known]], self._y[before[known]]
        fresh = self._restart or np.count_nonzero(~known) > FRESH_SHARE * len(ids)
        rng = np.random.default_rng([self.seed, 0 if fresh else self.version])
        known_x, known_y = x[known].copy(), y[known].copy()
        structure = _digest(graph)
        watcher.look()
        if fresh:
            tell = None if early is None else lambda x, y: early(self._told(ids, x, y, True, {"early": True}))
            x, y = _laid_out(graph, rng, watcher, tell)
        elif structure != self._structure or not known.all():
            _grow(graph, x, y, known, rng, watcher)
        moved = np.hypot(x[known] - known_x, y[known] - known_y)
        self._ids, self._x, self._y, self._structure, self._restart = ids, x, y, structure, False
        self.version += 1
        watcher.done()
        return self._told(ids, x.copy(), y.copy(), bool(fresh), {
            "new": int(np.count_nonzero(~known)), "moved_max": float(moved.max(initial=0.0)),
            "moved_mean": float(moved.mean()) if len(moved) else 0.0,
        })  # fmt: skip

    def resume(self, node_ids: Any, x: ArrayLike, y: ArrayLike, structure: bytes = b"") -> None:
        """Go on from positions of before, edge lengths; with the `structure` of then nothing moves if nothing changed.

        Raises
        ------
        ValueError
            Ids that occur twice, or positions that are not one finite pair for each.
        """
        ids = indexed(node_ids)
        places = np.array([x, y], np.float64)
        if places.shape != (2, len(ids)) or not np.isfinite(places).all():
            raise ValueError(
                f"positions have shape {places.shape[1:]} for {len(ids)} ids; a finite x, y each is needed"
            )
        self._ids, (self._x, self._y), self._structure, self._restart = ids, places, bytes(structure), False

    @property
    def structure(self) -> bytes:
        """Tells whether incidences are those of the last update; for `resume`."""
        return self._structure

    def _told(self, ids: pd.Index, x: Array, y: Array, fresh: bool, more: dict[str, Any]) -> xr.Dataset:
        return xr.Dataset(
            {"x": ("node", x), "y": ("node", y)},
            coords={"node": ids.to_numpy(dtype=object)},
            attrs={"version": self.version, "fresh": fresh, "units": "edge lengths", "seed": self.seed, **more},
        )


def _digest(graph: LayoutGraph) -> bytes:
    """Tells whether incidences are those of the update before; weights, which decay all the time, do not count."""
    digest = blake2b(graph.start.tobytes(), digest_size=16)
    digest.update(graph.members.tobytes())
    return digest.digest()


def _laid_out(
    graph: LayoutGraph, rng: np.random.Generator, watcher: Watcher, early: force.Early | None = None
) -> tuple[Array, Array]:
    """All nodes from nothing: each component by itself, then side by side."""
    x, y = np.zeros(graph.n), np.zeros(graph.n)
    if not graph.n:
        return x, y
    _, label, size = np.unique(component_of(graph), return_inverse=True, return_counts=True)
    watcher.look()
    order = np.argsort(label, kind="stable")
    ends = np.cumsum(size)
    watcher.expect(_work(size))
    done = size == 1
    # The largest comes last: who is told early is told of all others, too.
    for c in np.argsort(size, kind="stable")[np.count_nonzero(done) :]:
        nodes = order[ends[c] - size[c] : ends[c]]
        part = graph if size[c] == graph.n else subgraph(graph, nodes, watcher.look)
        watcher.look()
        done[c] = True

        def tell(px: Array, py: Array, nodes: Ints = nodes) -> None:
            assert early is not None
            x[nodes], y[nodes] = _upright(px, py)
            early(*_side_by_side(x, y, label, done))

        if size[c] <= force.EXACT:
            px, py = rng.normal(size=(2, part.n)) * np.sqrt(part.n)
            force.settle_small(part, px, py)
            watcher.step(part.n)(1.0)
        else:
            px, py = force.multilevel(part, rng, watcher.step, None if early is None else tell)
        x[nodes], y[nodes] = _upright(px, py)
    return _side_by_side(x, y, label, done)


def _side_by_side(x: Array, y: Array, label: Ints, done: np.ndarray) -> tuple[Array, Array]:
    """Components packed into the plane; those that are not done stand nowhere."""
    there = done[label]
    which = (np.cumsum(done) - 1)[label[there]]
    box = boxes(x[there], y[there], which, int(np.count_nonzero(done)))
    to_x, to_y = packed(box[:, 2] - box[:, 0], box[:, 3] - box[:, 1], np.empty(0), np.empty(0))
    out = np.full((2, len(x)), np.nan)
    out[0, there], out[1, there] = x[there] + (to_x - box[:, 0])[which], y[there] + (to_y - box[:, 1])[which]
    return out[0], out[1]


def _work(size: Ints) -> float:
    """Node moves that laying components of these sizes out takes, about; coarser levels add half as much again."""
    large = size[size > force.EXACT]
    return float(1.5 * sum(int(n) * force.rounds_for(int(n), False) for n in large) + size[size <= force.EXACT].sum())


def _upright(x: Array, y: Array) -> tuple[Array, Array]:
    """Turned so that the longer axis lies flat: fills a screen, and boxes hold less that is empty."""
    x, y = x - x.mean(), y - y.mean()
    angle = 0.5 * np.arctan2(2.0 * (x * y).sum(), ((x**2) - (y**2)).sum())
    return x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)


def _grow(
    graph: LayoutGraph, x: Array, y: Array, known: np.ndarray, rng: np.random.Generator, watcher: Watcher
) -> None:
    """Place and settle the new nodes, in place, next to those that have positions."""
    placed = known.copy()
    if not placed.all():
        _join_neighbours(graph, x, y, placed, rng)
        watcher.look()
        _put_aside(graph, x, y, placed, rng, watcher)
        watcher.look()
    new = np.flatnonzero(~known)
    everywhere = graph.n <= SETTLE_ALL
    if everywhere:
        moving = np.arange(graph.n)
    else:
        touched = np.unique(graph.edges[ranges(graph.node_start, new)])
        moving = np.unique(np.concatenate([new, graph.members[ranges(graph.start, touched)]]))
    if not len(moving):
        return
    rounds = LOCAL_ROUNDS if everywhere else LOCAL_ROUNDS // 3
    watcher.expect(rounds * len(moving))
    cooling = np.linspace(1.0, 0.1, rounds)
    # All steps of an old node together stay within its limit; half of it, for `_hold` may add as much again.
    old = 0.5 * MAX_DRIFT * cooling / cooling.sum()
    component = component_of(graph)
    for r in range(rounds):
        before_x, before_y = x.copy(), y.copy()
        reach = np.where(known[moving], old[r], cooling[r])
        force.step(graph, x, y, moving, reach, watcher.step(len(moving)))
        if everywhere:
            _hold(x, before_x, component, known)
            _hold(y, before_y, component, known)


def _hold(now: Array, before: Array, component: Slots, known: np.ndarray) -> None:
    """Take out, in place, what all old nodes of a component moved together: components would push each other away."""
    count = np.bincount(component[known], minlength=len(now))
    together = np.bincount(component[known], (now - before)[known], len(now)) / np.maximum(count, 1)
    now -= together[component]


def _join_neighbours(graph: LayoutGraph, x: Array, y: Array, placed: np.ndarray, rng: np.random.Generator) -> None:
    """Put new nodes at the mean of their placed neighbours, those next to them after them, and so on, in place."""
    while True:
        waiting = np.flatnonzero(~placed)
        if not len(waiting):
            return
        owner = np.repeat(np.arange(len(waiting)), np.diff(graph.node_start)[waiting])
        edges = graph.edges[ranges(graph.node_start, waiting)]
        # Sums over placed members of the hyperedges touched, then over the hyperedges of each waiting node.
        touched, place = np.unique(edges, return_inverse=True)
        members = graph.members[ranges(graph.start, touched)]
        of = np.repeat(np.arange(len(touched)), np.diff(graph.start)[touched])
        there = placed[members]
        count = np.bincount(of[there], minlength=len(touched))
        sum_x = np.bincount(of[there], x[members[there]], len(touched))
        sum_y = np.bincount(of[there], y[members[there]], len(touched))
        reached = count[place] > 0
        weight = graph.weight[edges[reached]]
        total = np.bincount(owner[reached], weight, len(waiting))
        found = total > 0
        if not found.any():
            return
        rows = place[reached]
        mean_x = np.bincount(owner[reached], weight * sum_x[rows] / count[rows], len(waiting))[found] / total[found]
        mean_y = np.bincount(owner[reached], weight * sum_y[rows] / count[rows], len(waiting))[found] / total[found]
        nodes = waiting[found]
        # A little apart, so that those who came to the same neighbour do not stand in one place.
        x[nodes] = mean_x + 0.3 * rng.normal(size=len(nodes))
        y[nodes] = mean_y + 0.3 * rng.normal(size=len(nodes))
        placed[nodes] = True


def _put_aside(
    graph: LayoutGraph, x: Array, y: Array, placed: np.ndarray, rng: np.random.Generator, watcher: Watcher
) -> None:
    """Lay components of new nodes only out, and put them where there is room, in place."""
    new = np.flatnonzero(~placed)
    if not len(new):
        return
    part = subgraph(graph, new)
    _, label, size = np.unique(component_of(part), return_inverse=True, return_counts=True)
    px, py = _laid_out(part, rng, watcher.silent())
    # Laid out together; packed one by one among those that are there.
    box = boxes(px, py, label, len(size))
    to_x, to_y = packed(box[:, 2] - box[:, 0], box[:, 3] - box[:, 1], x[placed], y[placed])
    x[new], y[new] = px + (to_x - box[:, 0])[label], py + (to_y - box[:, 1])[label]
    placed[new] = True


__all__ = ["MAX_DRIFT", "Cancelled", "Layout"]
