"""The hypergraph and what can be asked of it: who is in what, who is next to whom, what is hot, what is new.

`Hypergraph` answers by id, in tables; it must not know ingest, events or pixels.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from typing import Any, Literal, Self, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from engine.hypergraph import _measure_kernel, hif, measures
from engine.hypergraph._rows import moment_s
from engine.hypergraph.answers import Hyperedge, ScopeStats
from engine.hypergraph.star import star_segments, star_segments_on_sphere
from engine.hypergraph.store import DECAY_PER_S, Store

EntropyOf = Literal["degree", "weight", "size", "kind"]


class Hypergraph(Store):
    """A live hypergraph: nodes, and hyperedges that join any number of them, in columns.

    Both have an id (text or integer), kind, weight, times, and optionally position, label and metadata.
    Nothing is an object per node or hyperedge, so millions fit: some 60 bytes per incidence.

    Parameters
    ----------
    decay_per_s : float
        λ of ``w ← w exp(-λ Δt)``, 1/s; 0 for a graph that forgets nothing.

    Notes
    -----
    One thread writes; reads from other threads wait for it and see whole changes only.

    Examples
    --------
    >>> graph = Hypergraph()
    >>> graph.add(pd.DataFrame({"edge": ["e", "e", "f", "f"], "node": ["a", "b", "b", "c"]}))
    >>> graph.degree().to_dict()
    {'a': 1, 'b': 2, 'c': 1}
    >>> list(graph.neighbors("b"))
    ['a', 'c']
    """

    @property
    def n_nodes(self) -> int:
        """Number of nodes."""
        return self._nodes.n_living

    @property
    def n_edges(self) -> int:
        """Number of hyperedges."""
        return self._edges.n_living

    @property
    def n_incidences(self) -> int:
        """Number of incidences: the sum of all degrees, and of all sizes."""
        return self._incidences.n_living

    def nodes(self) -> pd.DataFrame:
        """All nodes, in order of appearance.

        Returns
        -------
        pandas.DataFrame
            Indexed by id: `kind`, `weight`, `degree`, `created_s`, `last_seen_s` (s since 1970), and
            `lat`, `lon` (degrees), `label`, `metadata` (JSON) where any node has one.
        """
        with self._lock:
            return self._node_frame(self._nodes.living())

    def edges(self) -> pd.DataFrame:
        """All hyperedges, in order of appearance, weights at the clock; as `nodes`, with `size` for `degree`."""
        with self._lock:
            return self._edge_frame(self._edges.living())

    def incidences(self) -> pd.DataFrame:
        """Who is in what: columns `edge` and `node`, one row per incidence, by hyperedge."""
        with self._lock:
            start, members = self._incidences.by_edge_unsorted(self._edges)
            owner = np.repeat(np.arange(len(start) - 1), np.diff(start))
            return pd.DataFrame({"edge": self._edges.ids.take(owner), "node": self._nodes.ids.take(members)})

    def has_node(self, node: Any) -> bool:
        """Whether the graph has a node of this id."""
        with self._lock:
            return self._nodes.has(node)

    def has_edge(self, edge: Any) -> bool:
        """Whether the graph has a hyperedge of this id."""
        with self._lock:
            return self._edges.has(edge)

    def edge(self, edge: str | int) -> Hyperedge:
        """One hyperedge by its id; KeyError when there is none.

        Examples
        --------
        >>> graph = Hypergraph()
        >>> graph.add(pd.DataFrame({"edge": [7, 7], "node": ["b", "a"], "kind": "flow"}))
        >>> graph.edge(7).nodes, graph.edge(7).kind
        (['b', 'a'], 'flow')
        """
        with self._lock:
            slot = self._slot(self._edges, edge)
            row = self._edge_frame(np.array([slot])).iloc[0]
            nodes = self._nodes.ids.take(self._incidences.members(slot, self._edges)).tolist()
        kind, label, metadata = row["kind"], row.get("label"), row.get("metadata")
        return Hyperedge(
            edge, nodes, None if pd.isna(kind) else str(kind), float(row["weight"]), float(row["created_s"]),
            float(row["last_seen_s"]), None if pd.isna(label) else str(label),
            {} if pd.isna(metadata) else json.loads(metadata),
        )  # fmt: skip

    def degree(self) -> pd.Series:
        """Degree of each node: in how many hyperedges it is. int32, indexed by id."""
        with self._lock:
            slots = self._nodes.living()
            return pd.Series(self._nodes["count"][slots], self._nodes.ids.take(slots).rename("node"), name="degree")

    def size(self) -> pd.Series:
        """Size of each hyperedge: how many nodes it has. int32, indexed by id."""
        with self._lock:
            slots = self._edges.living()
            return pd.Series(self._edges["count"][slots], self._edges.ids.take(slots).rename("edge"), name="size")

    def strength(self) -> pd.Series:
        """Strength of each node: the sum of the weights, at the clock, of its hyperedges."""
        with self._lock:
            slots = self._nodes.living()
            return pd.Series(self._strength()[slots], self._nodes.ids.take(slots).rename("node"), name="strength")

    def neighbors(self, node: str | int) -> pd.Index:
        """Ids of the other nodes that share a hyperedge with a node; KeyError when there is no such node."""
        with self._lock:
            slot = self._slot(self._nodes, node)
            rows, edges = self._incidences, self._incidences.edges_of(slot, self._nodes)
            around = _measure_kernel.across(
                edges, self._edges["head"], rows["next_of_edge"], rows["node"], rows["alive"], self._edges["count"]
            )
            around = np.unique(around)
            return self._nodes.ids.take(around[around != slot])

    def edges_of(self, node: str | int) -> pd.Index:
        """Ids of the hyperedges that a node is in; KeyError when there is no such node."""
        with self._lock:
            return self._edges.ids.take(self._incidences.edges_of(self._slot(self._nodes, node), self._nodes))

    def hot_entities(self, n: int = 10, by: Literal["degree", "weight"] = "degree") -> pd.DataFrame:
        """The n nodes of highest degree, or of highest strength, highest first; as `nodes`, with `strength`."""
        if by not in ("degree", "weight"):
            raise ValueError(f"by is {by!r}; it must be 'degree' or 'weight'")
        with self._lock:
            slots, strength = self._nodes.living(), self._strength()
            value = strength[slots] if by == "weight" else self._nodes["count"][slots]
            # Ties go by order of appearance, so that a list shown twice is the same list.
            top = slots[np.argsort(-value.astype(np.float64), kind="stable")[: max(n, 0)]]
            frame = self._node_frame(top)
            frame.insert(2, "strength", strength[top])
            return frame

    def recent_edges(self, since: Any, min_weight: float = 0.0) -> pd.DataFrame:
        """Hyperedges seen at or after a moment and weighing at least `min_weight`, newest first; as `edges`."""
        moment = moment_s(since, "since")
        with self._lock:
            weights, seen = self._weights(), self._edges["seen_s"]
            slots = np.flatnonzero((self._edges["alive"] == 1) & (seen >= moment) & (weights >= min_weight))
            return self._edge_frame(slots[np.argsort(-seen[slots], kind="stable")])

    def scope_stats(self, kind: str | None = None) -> ScopeStats:
        """Count, least, greatest and mean weight of all hyperedges, or of those of a kind.

        Examples
        --------
        >>> graph = Hypergraph()
        >>> graph.add(pd.DataFrame({"edge": ["e", "f"], "node": ["a", "a"], "weight": [0.0, 1.0]}))
        >>> graph.scope_stats()
        ScopeStats(count=2, min_weight=0.0, max_weight=1.0, mean_weight=0.5)
        """
        with self._lock:
            inside = self._edges["alive"] == 1
            if kind is not None:
                inside &= self._edges["kind"] == self._edges.kinds.code(kind)
            weights = self._weights()[inside]
        if not len(weights):
            return ScopeStats(0, np.nan, np.nan, np.nan)
        return ScopeStats(len(weights), float(weights.min()), float(weights.max()), float(weights.mean()))

    def s_components(self, s: int = 1) -> list[pd.Index]:
        """Ids of the hyperedges of each s-connected component, largest component first.

        Hyperedges with s or more nodes in common are joined; see `measures.component_labels`.

        Examples
        --------
        >>> graph = Hypergraph()
        >>> graph.add(pd.DataFrame({"edge": [1, 1, 2, 2, 3], "node": list("abbcd")}))
        >>> [list(c) for c in graph.s_components(1)]
        [[1, 2], [3]]
        """
        with self._lock:
            start, members = self._incidences.by_edge(self._edges, self._nodes)
            living, n_nodes = self._edges.living(), self._nodes.columns.n
            ids = self._edges.ids.take(living)
        # Not while holding the lock: the writer need not wait for what may take seconds.
        labels = measures.component_labels(start, members, n_nodes, s)[living]
        order = np.argsort(labels, kind="stable")
        order = order[labels[order] >= 0]
        cuts = np.flatnonzero(np.diff(labels[order], prepend=-1, append=-1)) if len(order) else np.zeros(1, np.int64)
        parts = [ids[order[a:b]] for a, b in itertools.pairwise(cuts)]
        return sorted(parts, key=len, reverse=True)

    def overlap(self, edge: str | int) -> pd.Series:
        """How many nodes each other hyperedge shares with one, |a ∩ b|, where any; indexed by id, greatest first."""
        with self._lock:
            slot = self._slot(self._edges, edge)
            mine, rows = self._incidences.members(slot, self._edges), self._incidences
            met = _measure_kernel.across(
                mine, self._nodes["head"], rows["next_of_node"], rows["edge"], rows["alive"], self._nodes["count"]
            )
            slots, shared = np.unique(met[met != slot], return_counts=True)
            order = np.argsort(-shared, kind="stable")
            return pd.Series(shared[order], self._edges.ids.take(slots[order]).rename("edge"), name="overlap")

    def clustering(self, nodes: Sequence[str | int] | None = None) -> pd.Series:
        """Clustering coefficient of all nodes, or of some, in the clique expansion; see `measures.pair_clustering`."""
        with self._lock:
            slots = self._nodes.living() if nodes is None else self._nodes.find(nodes)
            by_edge = self._incidences.by_edge(self._edges, self._nodes)
            by_node = self._incidences.by_node(self._edges, self._nodes)
            ids = self._nodes.ids.take(slots).rename("node")
        values = measures.pair_clustering(np.asarray(slots, np.int32), by_edge, by_node)
        return pd.Series(values, ids, name="clustering")

    def size_distribution(self) -> pd.Series:
        """How many hyperedges there are of each size that occurs, indexed by size."""
        sizes, counts = np.unique(self.size().to_numpy(), return_counts=True)
        return pd.Series(counts, pd.Index(sizes, name="size"), name="edges")

    def entropy(self, of: EntropyOf = "degree") -> float:
        """Shannon entropy, bits, of how something is spread; see `measures.entropy_bits`.

        `degree`: incidences over nodes. `weight`: weight at the clock over hyperedges. `size`, `kind`:
        hyperedges over sizes, over kinds (none being one of them).
        """
        with self._lock:
            slots = self._edges.living()
            if of == "degree":
                amounts: NDArray[Any] = self._nodes["count"]
            elif of == "weight":
                amounts = self._weights()[slots]
            elif of in ("size", "kind"):
                amounts = np.unique(self._edges["count" if of == "size" else "kind"][slots], return_counts=True)[1]
            else:
                raise ValueError(f"of is {of!r}; it must be one of {', '.join(get_args(EntropyOf))}")
            return measures.entropy_bits(amounts)

    def points(self, layout: NDArray[Any] | None = None) -> pd.DataFrame:
        """Nodes as points for `density`.

        Parameters
        ----------
        layout : ndarray, shape (n_nodes, 2), optional
            `x`, `y` of each node in the order of `nodes`; by default `lon`, `lat`, degrees, NaN where unknown.

        Returns
        -------
        pandas.DataFrame
            Position, `kind`, `last_seen_s`, `degree`, and as `weight` the strength; in the order of `nodes`.
        """
        with self._lock:
            slots = self._nodes.living()
            x, y = self._places(slots, layout)
            return pd.DataFrame({
                "lon" if layout is None else "x": x[slots], "lat" if layout is None else "y": y[slots],
                "kind": self._nodes.kinds.decode(self._nodes["kind"][slots]), "weight": self._strength()[slots],
                "last_seen_s": self._nodes["seen_s"][slots], "degree": self._nodes["count"][slots],
            })  # fmt: skip

    def segments(self, layout: NDArray[Any] | None = None) -> pd.DataFrame:
        """Incidences as line segments for `density`: from the middle of each hyperedge to each of its nodes.

        Parameters
        ----------
        layout : ndarray, shape (n_nodes, 2), optional
            As in `points`; without one the middles are taken on the sphere.

        Returns
        -------
        pandas.DataFrame
            `lon0`, `lat0`, `lon1`, `lat1`, or `x0`, `y0`, `x1`, `y1`, and of the hyperedge `kind`,
            `weight` at the clock and `last_seen_s`. Incidences of nodes without position are left out.

        Examples
        --------
        >>> graph = Hypergraph()
        >>> graph.add(pd.DataFrame({"edge": ["e", "e"], "node": ["a", "b"]}))
        >>> graph.segments(layout=np.array([[0.0, 0.0], [4.0, 2.0]])).x0.tolist()
        [2.0, 2.0]
        """
        with self._lock:
            alive = np.flatnonzero(self._incidences["alive"])
            owner, node = self._incidences["edge"][alive], self._incidences["node"][alive]
            x, y = self._places(self._nodes.living(), layout)
            if layout is None:
                frame, rows = star_segments_on_sphere(owner, y[node], x[node])
            else:
                frame, rows = star_segments(owner, x[node], y[node])
            edges, weights = owner[rows], self._weights()
            return frame.assign(
                kind=self._edges.kinds.decode(self._edges["kind"][edges]), weight=weights[edges],
                last_seen_s=self._edges["seen_s"][edges],
            )  # fmt: skip

    def to_hif(self) -> dict[str, Any]:
        """The graph as a document of the Hypergraph Interchange Format, of plain Python values, ready for JSON.

        Weights are those at the clock. `xgi.from_hif_dict`, HyperNetX and hypergraphx read it.

        Examples
        --------
        >>> graph = Hypergraph()
        >>> graph.add(pd.DataFrame({"edge": ["e"], "node": [1], "weight": [0.0]}))
        >>> graph.to_hif()["edges"]
        [{'edge': 'e', 'weight': 0.0}]
        """
        return hif.to_document(self._tables())

    @classmethod
    def from_hif(cls, document: dict[str, Any], *, decay_per_s: float | None = None) -> Self:
        """A graph from a parsed document of the Hypergraph Interchange Format; see `hif.from_document`.

        Everything comes back from `to_hif`: attributes of nodes, hyperedges and incidences, directions,
        empty hyperedges, nodes in none. `decay_per_s` is the document's where it was written by
        `to_hif`, else the default.

        Examples
        --------
        >>> graph = Hypergraph.from_hif({"incidences": [{"edge": "e", "node": 1}, {"edge": "e", "node": 2}]})
        >>> graph.degree().to_dict()
        {1: 1, 2: 1}
        """
        tables = hif.from_document(document)
        stored = tables.metadata.pop("decay_per_s", DECAY_PER_S)
        graph = cls(stored if decay_per_s is None else decay_per_s)
        graph._restore(tables)
        return graph

    def _places(self, slots: NDArray[Any], layout: NDArray[Any] | None) -> tuple[NDArray[Any], NDArray[Any]]:
        """Coordinates of all node slots, x and y or lon and lat."""
        x, y = np.full((2, self._nodes.columns.n), np.nan)
        if layout is not None:
            if np.shape(layout) != (len(slots), 2):
                raise ValueError(
                    f"layout has shape {np.shape(layout)}; ({len(slots)}, 2) is needed, a row for each node"
                )
            x[slots], y[slots] = np.asarray(layout, np.float64).T
        elif "lat" in self._nodes.columns:
            x[slots], y[slots] = self._nodes["lon"][slots], self._nodes["lat"][slots]
        return x, y

    def _node_frame(self, slots: NDArray[Any]) -> pd.DataFrame:
        # The weight of a node is what was said of it; it does not decay.
        return self._nodes.frame(slots, self._nodes.weights_at(np.nan, 0.0, slots), "degree")

    def _edge_frame(self, slots: NDArray[Any]) -> pd.DataFrame:
        return self._edges.frame(slots, self._weights(slots), "size")

    def _strength(self) -> NDArray[np.float64]:
        rows = self._incidences
        return _measure_kernel.strength(
            rows["edge"], rows["node"], rows["alive"], self._weights(), self._nodes.columns.n
        )
