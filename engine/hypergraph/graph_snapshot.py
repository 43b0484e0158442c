"""One moment of the live hypergraph as immutable columns: what pages, layouts and exports read.

Edges and nodes are referred to by row, never by repeated ids (B5), and no incidence refers to a row that is
not in the same snapshot. It must not know events, nor who builds it.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from engine.hypergraph._incidence_kernel import transpose
from engine.hypergraph.answers import ScopeStats

NODE_SCHEMA = pa.schema(
    [
        pa.field("id", pa.large_string(), metadata={"doc": "kind:identity"}),
        pa.field("kind", pa.dictionary(pa.int16(), pa.string()), metadata={"doc": "host, service, name, emitter …"}),
        pa.field("degree", pa.int32(), metadata={"doc": "hyperedges it is in"}),
        pa.field("weight", pa.float64(), metadata={"doc": "strength: sum of its hyperedges' weights at moment_s"}),
        pa.field("first_seen_s", pa.float64(), metadata={"unit": "s since 1970"}),
        pa.field("last_seen_s", pa.float64(), metadata={"unit": "s since 1970"}),
        pa.field("lat", pa.float64(), metadata={"doc": "NaN where unknown", "unit": "deg"}),
        pa.field("lon", pa.float64(), metadata={"doc": "NaN where unknown", "unit": "deg"}),
    ]
)
"""Columns of `GraphSnapshot.nodes`."""

EDGE_SCHEMA = pa.schema(
    [
        pa.field("id", pa.large_string()),
        pa.field("kind", pa.dictionary(pa.int16(), pa.string()), metadata={"doc": "kind of the event behind it"}),
        pa.field("size", pa.int32(), metadata={"doc": "nodes it joins"}),
        pa.field("weight", pa.float64(), metadata={"doc": "decayed to moment_s"}),
        pa.field("first_seen_s", pa.float64(), metadata={"unit": "s since 1970"}),
        pa.field("last_seen_s", pa.float64(), metadata={"unit": "s since 1970"}),
    ]
)
"""Columns of `GraphSnapshot.edges`."""


@dataclass(frozen=True, slots=True, eq=False)
class GraphSnapshot:
    """The hypergraph at one moment. Rows are in order of first appearance; all of it is read-only.

    Attributes
    ----------
    nodes : pyarrow.Table
        Schema `NODE_SCHEMA`.
    edges : pyarrow.Table
        Schema `EDGE_SCHEMA`.
    incidence_node, incidence_edge : ndarray of int32, shape (n_incidences,)
        Row in `nodes` and row in `edges` of each incidence; grouped by nothing, in order of appearance.
    version : int
        Goes up with every change of the graph; equal versions hold the same graph.
    generation : int
        Goes up when rows move, which is when something was evicted: within one generation a row keeps its node.
    seq : int
        Last event folded in.
    moment_s : float
        What weights have decayed to, s since 1970.
    counts : mapping of str to int
        What became of events: ``events``, ``edges_told``, ``no_relation``, ``malformed``, ``from_the_future``,
        ``evicted_edges``, ``evicted_nodes``, ``long_ids`` …; see `GraphFold`.
    """

    nodes: pa.Table
    edges: pa.Table
    incidence_node: NDArray[np.int32]
    incidence_edge: NDArray[np.int32]
    version: int
    generation: int
    seq: int
    moment_s: float
    counts: Mapping[str, int]
    _lazy: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)
    _lock: Any = field(default_factory=threading.Lock, repr=False, compare=False)

    @property
    def n_nodes(self) -> int:
        """Number of nodes."""
        return self.nodes.num_rows

    @property
    def n_edges(self) -> int:
        """Number of hyperedges."""
        return self.edges.num_rows

    @property
    def n_incidences(self) -> int:
        """Number of incidences."""
        return len(self.incidence_node)

    def node(self, name: str) -> NDArray[Any]:
        """A column of `nodes` as a NumPy array: numbers as they are, `kind` as codes, `id` as objects."""
        return _array(self.nodes[name])

    def edge(self, name: str) -> NDArray[Any]:
        """A column of `edges` as a NumPy array, as `node`."""
        return _array(self.edges[name])

    def kinds(self, of: Literal["nodes", "edges"] = "nodes") -> list[str]:
        """Names behind the codes of the column `kind`."""
        column = (self.nodes if of == "nodes" else self.edges)["kind"]
        return column.chunk(0).dictionary.to_pylist() if column.num_chunks else []

    def node_row(self, node_id: str) -> int:
        """Row of a node; KeyError when the snapshot has none of that id."""
        return _row(self.nodes, node_id, "node")

    def edge_row(self, edge_id: str) -> int:
        """Row of a hyperedge; KeyError when the snapshot has none of that id."""
        return _row(self.edges, edge_id, "edge")

    def edge_rows_of(self, node_row: int) -> NDArray[np.int32]:
        """Rows of the hyperedges that a node is in, in order of appearance."""
        start, rows = self._grouped("by_node")
        return rows[start[node_row] : start[node_row + 1]]

    def member_rows(self, edge_row: int) -> NDArray[np.int32]:
        """Rows of the nodes of a hyperedge, in order of appearance."""
        start, rows = self._grouped("by_edge")
        return rows[start[edge_row] : start[edge_row + 1]]

    def edges_of(self, node_id: str) -> pa.Table:
        """The hyperedges that a node is in: rows of `edges`; KeyError when there is no such node."""
        return self.edges.take(pa.array(self.edge_rows_of(self.node_row(node_id))))

    def members(self, edge_id: str) -> pa.Table:
        """The nodes of a hyperedge: rows of `nodes`; KeyError when there is no such hyperedge."""
        return self.nodes.take(pa.array(self.member_rows(self.edge_row(edge_id))))

    def neighbours(self, node_id: str) -> pa.Table:
        """The other nodes that share a hyperedge with a node.

        Returns
        -------
        pyarrow.Table
            Rows of `nodes` with a column `shared`: in how many hyperedges both are; most first.

        Raises
        ------
        KeyError
            When there is no such node.
        """
        row = self.node_row(node_id)
        met = [self.member_rows(int(edge)) for edge in self.edge_rows_of(row)]
        around = np.concatenate(met) if met else np.empty(0, np.int32)
        rows, shared = np.unique(around[around != row], return_counts=True)
        order = np.argsort(-shared, kind="stable")
        table = self.nodes.take(pa.array(rows[order]))
        return table.append_column("shared", pa.array(shared[order].astype(np.int32)))

    def hot_entities(self, n: int = 10, by: Literal["degree", "weight"] = "degree") -> pa.Table:
        """The n nodes of highest degree or strength, highest first; ties in order of appearance."""
        if by not in ("degree", "weight"):
            raise ValueError(f"by is {by!r}; it must be 'degree' or 'weight'")
        return self.nodes.take(pa.array(_greatest(self.node(by).astype(np.float64), n)))

    def recent_edges(self, n: int = 100, since_s: float = -np.inf, min_weight: float = 0.0) -> pa.Table:
        """The n hyperedges seen last, newest first, of those seen since a moment and of some weight."""
        seen, weight = self.edge("last_seen_s"), self.edge("weight")
        rows = np.flatnonzero((seen >= since_s) & (weight >= min_weight))
        return self.edges.take(pa.array(rows[_greatest(seen[rows], n)]))

    def scope_stats(self, kind: str | None = None) -> ScopeStats:
        """Count, least, greatest and mean weight of all hyperedges, or of those of a kind."""
        weight = self.edge("weight")
        if kind is not None:
            names = self.kinds("edges")
            weight = weight[self.edge("kind") == (names.index(kind) if kind in names else -2)]
        if not len(weight):
            return ScopeStats(0, np.nan, np.nan, np.nan)
        return ScopeStats(len(weight), float(weight.min()), float(weight.max()), float(weight.mean()))

    def _grouped(self, by: Literal["by_node", "by_edge"]) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
        """CSR (start, rows of the other end), made when first asked for."""
        with self._lock:
            if by not in self._lazy:
                keys, values, n = self.incidence_node, self.incidence_edge, self.n_nodes
                if by == "by_edge":
                    keys, values, n = self.incidence_edge, self.incidence_node, self.n_edges
                self._lazy[by] = transpose(keys, values, np.ones(len(keys), np.uint8), n)
            return self._lazy[by]


def _array(column: pa.ChunkedArray) -> NDArray[Any]:
    if pa.types.is_dictionary(column.type):
        column = pa.chunked_array([chunk.indices for chunk in column.chunks], pa.int16())
        return column.fill_null(-1).to_numpy()
    return column.to_numpy()


def _row(table: pa.Table, wanted: str, what: str) -> int:
    row = pc.index(table["id"], pa.scalar(wanted, pa.large_string())).as_py()
    if row < 0:
        raise KeyError(f"no {what} {wanted!r} in the graph")
    return int(row)


def _greatest(values: NDArray[np.float64], n: int) -> NDArray[np.int64]:
    """Places of the n greatest values, greatest first, equal ones in order; NaN is least."""
    n = min(max(n, 0), len(values))
    if not n:
        return np.empty(0, np.int64)
    values = np.nan_to_num(values, nan=-np.inf, posinf=np.inf, neginf=-np.inf)
    least = np.partition(values, len(values) - n)[len(values) - n]
    above, ties = np.flatnonzero(values > least), np.flatnonzero(values == least)
    rows = np.concatenate([above, ties[: n - len(above)]])
    return rows[np.lexsort((rows, -values[rows]))]
