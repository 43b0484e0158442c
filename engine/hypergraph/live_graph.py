"""A hypergraph that events write to: told row by row, kept within bounds, copied out cheaply, saved and restored.

Never holds tombstones between two changes, so a slot is a row and the columns of incidences only grow until
something is evicted: what was handed out before stays true. It must not know events.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from engine.hypergraph._entities import Entities
from engine.hypergraph._live_kernel import best_rank, strengths, tell_edges
from engine.hypergraph._rows import NOTHING
from engine.hypergraph.graph import Hypergraph
from engine.hypergraph.graph_snapshot import EDGE_SCHEMA, NODE_SCHEMA
from engine.hypergraph.ids import encode_ids
from engine.hypergraph.store import DECAY_PER_S

KEPT_SHARE = 0.8
"""Share of the bounds that is left after an eviction, so that the next is not due at once."""

MANY_CHUNKS = 16
"""Pieces after which a column of ids is made one again."""


class LiveGraph(Hypergraph):
    """A hypergraph for a fold; reads of `Hypergraph` work on it too, at the clock set by `decay`."""

    def __init__(self, decay_per_s: float = DECAY_PER_S) -> None:
        super().__init__(decay_per_s)
        self.generation = 0
        self._id_pieces: dict[str, list[pa.Array]] = {"edge": [], "node": []}

    @property
    def edge_kinds(self) -> list[str]:
        """Kinds of hyperedges so far, in order of appearance."""
        return self._edges.kinds.names

    def tell(
        self, edge_id: pa.Array, edge_kind: pa.Array, amount: NDArray[Any], time_s: NDArray[Any],
        owner: NDArray[np.int64], node_id: pa.Array, node_kind: NDArray[np.int16], node_kinds: tuple[str, ...],
    ) -> None:  # fmt: skip
        """Hyperedges, in order, each adding an amount as of its time, and their nodes.

        Parameters
        ----------
        edge_id, edge_kind : Arrow text, (k,)
        amount, time_s : ndarray of float64, (k,)
        owner : ndarray of int64, (m,)
            Place of each incidence's hyperedge among the k, ascending.
        node_id : Arrow text, (m,)
        node_kind : ndarray of int16, (m,)
            Places in `node_kinds`.
        """
        with self._lock:
            self._hear(time_s)
            edges, nodes = encode_ids(edge_id, "edge"), encode_ids(node_id, "node")
            kinds = self._edges.kinds.encode(edge_kind, "kind")
            if not self._nodes.kinds.names:
                self._nodes.kinds.encode(pa.array(node_kinds), "node_kind")
            e, v, c = self._edges.slots_for(edges), self._nodes.slots_for(nodes), self._edges.columns
            self._edges.n_living += tell_edges(
                e, kinds, amount, time_s, self._rate, c["alive"], c["kind"], c["weight"], c["anchor_s"],
                c["created_s"], c["seen_s"],
            )  # fmt: skip
            self._nodes.tell(v, node_kind, NOTHING, time_s[owner], self._now_s)
            self._incidences.append(e[owner], v, self._edges, self._nodes)
            self.version += 1

    def place(self, node_id: pa.Array, lat: NDArray[Any], lon: NDArray[Any]) -> None:
        """Positions of nodes that are there, degrees; the last of several counts."""
        with self._lock:
            self._nodes.place(self._nodes.slots_for(encode_ids(node_id, "node")), lat, lon)

    def evict(self, max_nodes: int, max_incidences: int) -> tuple[int, int]:
        """Remove the lightest hyperedges, the oldest of equals first, and nodes left alone, if a bound is passed.

        Returns
        -------
        edges, nodes : int
            How many went.
        """
        with self._lock:
            if self.n_nodes <= max_nodes and self.n_incidences <= max_incidences:
                return 0, 0
            c = self._edges.columns
            with np.errstate(divide="ignore"):
                # ln of the decayed weight, but for a constant: the same order at any moment.
                lightness = np.log(c["weight"]) + self._rate * (c["anchor_s"] - self._now_s)
            order = np.lexsort((np.arange(c.n), c["seen_s"], lightness))
            rank = np.empty(c.n, np.int64)
            rank[order] = np.arange(c.n)
            limit = 0
            if self.n_incidences > max_incidences:
                left = self.n_incidences - np.cumsum(c["count"][order])
                limit = int(np.argmax(left <= KEPT_SHARE * max_incidences)) + 1
            if self.n_nodes > max_nodes:
                best = np.full(self._nodes.columns.n, -1, np.int64)
                best_rank(self._incidences["edge"], self._incidences["node"], rank, best)
                kept = int(KEPT_SHARE * max_nodes)
                limit = max(limit, int(np.partition(best, len(best) - kept)[len(best) - kept]))
            edges, nodes = self.n_edges, self.n_nodes
            self._evict(rank < limit)
            return edges - self.n_edges, nodes - self.n_nodes

    def leave(self, mark: str) -> int:
        """Remove the hyperedges whose id holds a mark, and nodes left alone; returns how many hyperedges went."""
        with self._lock:
            found = pc.match_substring(self._ids(self._edges), mark).to_numpy()
            if found.any():
                self._evict(found.astype(np.bool_))
            return int(found.sum())

    def _evict(self, doomed: NDArray[np.bool_]) -> None:
        # Snapshots look at these columns: they keep the old ones, and compaction writes into new.
        for name in ("edge", "node"):
            self._incidences.columns.replace(name, self._incidences[name].copy())
        self._incidences.remove_marked(doomed, self._edges, self._nodes)
        self._edges.forget(np.flatnonzero(doomed))
        self._nodes.forget(np.flatnonzero((self._nodes["alive"] == 1) & (self._nodes["count"] == 0)))
        self.compact()
        self._id_pieces = {"edge": [], "node": []}
        self.generation += 1
        self.version += 1

    def columns(self, moment_s: float) -> tuple[pa.Table, pa.Table, NDArray[np.int32], NDArray[np.int32]]:
        """Nodes, hyperedges (as `GraphSnapshot` has them) and both ends of incidences, weights at a moment."""
        with self._lock:
            weights = self._edges.weights_at(moment_s, self._rate)
            strength = np.zeros(self._nodes.columns.n)
            strengths(self._incidences["edge"], self._incidences["node"], weights, strength)
            node_columns = self._shown(self._nodes, strength)
            edge_columns = self._shown(self._edges, weights)
            ends = self._incidences["node"].view(), self._incidences["edge"].view()
            for name in ("lat", "lon"):
                place = self._nodes[name].copy() if name in self._nodes.columns else np.full(len(strength), np.nan)
                node_columns.append(pa.array(place))
        for end in ends:
            end.flags.writeable = False
        nodes = pa.Table.from_arrays(node_columns, schema=NODE_SCHEMA)
        return nodes, pa.Table.from_arrays(edge_columns, schema=EDGE_SCHEMA), *ends

    def _shown(self, of: Entities, weights: NDArray[np.float64]) -> list[Any]:
        names = pa.array(of.kinds.names, pa.string())
        kind = pa.DictionaryArray.from_arrays(pa.array(of["kind"].copy(), mask=of["kind"] < 0), names)
        numbers = (of["count"].copy(), weights, of["created_s"].copy(), of["seen_s"].copy())
        return [self._ids(of), kind, *map(pa.array, numbers)]

    def _ids(self, of: Entities) -> pa.ChunkedArray:
        """All ids in order of slots; only those that are new since the last time are gathered."""
        pieces = self._id_pieces[of.what]
        have = sum(map(len, pieces))
        if of.columns.n > have:
            pieces.append(of.ids.texts(np.arange(have, of.columns.n)))
        if len(pieces) > MANY_CHUNKS:
            pieces[:] = [pa.chunked_array(pieces).combine_chunks()]
        return pa.chunked_array(list(pieces), pa.large_string())

    # -- saved and restored -------------------------------------------------------------------------

    def saved(self) -> tuple[dict[str, pa.Table], dict[str, Any]]:
        """Everything there is, as tables and a few plain values; `restored` makes the same graph of them."""
        with self._lock:
            tables = {name: self._entity_table(of) for name, of in (("edges", self._edges), ("nodes", self._nodes))}
            ends = {name: pa.array(self._incidences[name].copy()) for name in ("edge", "node")}
            tables["incidences"] = pa.table(ends)
            facts = {
                "decay_per_s": self._rate, "now_s": float(self._now_s), "generation": self.generation,
                "edge_kinds": list(self._edges.kinds.names), "node_kinds": list(self._nodes.kinds.names),
            }  # fmt: skip
        return tables, facts

    @classmethod
    def restored(cls, tables: dict[str, pa.Table], facts: dict[str, Any]) -> LiveGraph:
        """The graph that `saved` wrote down; it goes on exactly as that one does."""
        graph = cls(facts["decay_per_s"])
        graph._now_s, graph.generation = float(facts["now_s"]), int(facts["generation"])
        for name, of in (("edge", graph._edges), ("node", graph._nodes)):
            table = tables[f"{name}s"]
            of.kinds.encode(pa.array(facts[f"{name}_kinds"], pa.string()), "kind")
            of.ids.fill(table["id"].combine_chunks())
            of.columns.resize(of.ids.n)
            of.columns.add_column("lat", np.float64, np.nan)
            of.columns.add_column("lon", np.float64, np.nan)
            for column in table.column_names[1:]:
                of[column][:] = table[column].to_numpy()
            of["alive"][:] = 1
            of.n_living = of.ids.n
        e, v = (tables["incidences"][name].to_numpy() for name in ("edge", "node"))
        graph._incidences.fill(e, v, graph._edges, graph._nodes)
        return graph

    def _entity_table(self, of: Entities) -> pa.Table:
        names = [
            name for name in ("kind", "weight", "anchor_s", "created_s", "seen_s", "lat", "lon") if name in of.columns
        ]
        return pa.table({"id": self._ids(of), **{name: pa.array(of[name].copy()) for name in names}})
