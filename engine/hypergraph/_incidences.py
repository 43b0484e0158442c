"""Incidences as columns: which node is in which hyperedge, appended in place, removed by tombstone.

Works on slots and on the `head` and `count` columns of `Entities`; it must not know ids or weights.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.hypergraph import _incidence_kernel as kernel
from engine.hypergraph._columns import Columns, TextColumn
from engine.hypergraph._entities import Entities
from engine.hypergraph.ids import Slots


class Incidences:
    """Rows of (hyperedge slot, node slot), each pair once, chained both ways."""

    def __init__(self) -> None:
        self.columns = Columns(
            edge=(np.int32, -1), node=(np.int32, -1), next_of_edge=(np.int32, -1), next_of_node=(np.int32, -1),
            alive=(np.uint8, 0),
        )  # fmt: skip
        self.n_living = 0
        self.extra: TextColumn | None = None
        self._pairs = np.full(128, -1, np.int32)

    @property
    def nbytes(self) -> int:
        """Bytes held."""
        return self.columns.nbytes + self._pairs.nbytes + (self.extra.nbytes if self.extra else 0)

    @property
    def dead(self) -> int:
        """Tombstones among the rows."""
        return self.columns.n - self.n_living

    def __getitem__(self, name: str) -> NDArray[Any]:
        return self.columns[name]

    def append(self, e: Slots, v: Slots, edges: Entities, nodes: Entities) -> NDArray[np.int32]:
        """Enter pairs, and give the row of each; a pair that is there already stays as it is."""
        n, out = self.columns.n, np.empty(len(e), np.int32)
        self._reserve(n + len(e))
        self.columns.resize(n + len(e))
        now, gained = kernel.append_rows(
            e, v, n, self["edge"], self["node"], self["next_of_edge"], self["next_of_node"], self["alive"],
            self._pairs, edges["head"], nodes["head"], edges["count"], nodes["count"], out,
        )  # fmt: skip
        self.columns.resize(now)
        self.n_living += gained
        return out

    def remove_edges(self, slots: Slots, edges: Entities, nodes: Entities) -> None:
        """Take all nodes out of some hyperedges."""
        self._buried(kernel.remove_chains(
            slots, edges["head"], self["next_of_edge"], self["node"], self["alive"], edges["count"], nodes["count"]
        ))  # fmt: skip

    def remove_nodes(self, slots: Slots, edges: Entities, nodes: Entities) -> None:
        """Take some nodes out of all their hyperedges."""
        self._buried(kernel.remove_chains(
            slots, nodes["head"], self["next_of_node"], self["edge"], self["alive"], nodes["count"], edges["count"]
        ))  # fmt: skip

    def remove_marked(self, doomed: NDArray[np.bool_], edges: Entities, nodes: Entities) -> None:
        """Take all nodes out of the hyperedges marked, in one pass."""
        self._buried(kernel.remove_marked(
            doomed, self["edge"], self["node"], self["alive"], edges["count"], nodes["count"]
        ))  # fmt: skip

    def members(self, edge: int, edges: Entities) -> Slots:
        """Node slots of a hyperedge, in the order they were added."""
        return kernel.chain_members(
            edge, edges["head"], self["next_of_edge"], self["node"], self["alive"], edges["count"]
        )

    def edges_of(self, node: int, nodes: Entities) -> Slots:
        """Hyperedge slots of a node, in the order they were added."""
        return kernel.chain_members(
            node, nodes["head"], self["next_of_node"], self["edge"], self["alive"], nodes["count"]
        )

    def by_node(self, edges: Entities, nodes: Entities) -> tuple[NDArray[np.int64], Slots]:
        """CSR (start, hyperedge slots ascending) over node slots."""
        return kernel.transpose_csr(*self.by_edge_unsorted(edges), nodes.columns.n)

    def by_edge(self, edges: Entities, nodes: Entities) -> tuple[NDArray[np.int64], Slots]:
        """CSR (start, node slots ascending) over hyperedge slots."""
        start, values = kernel.transpose(self["node"], self["edge"], self["alive"], nodes.columns.n)
        return kernel.transpose_csr(start, values, edges.columns.n)

    def by_edge_unsorted(self, edges: Entities) -> tuple[NDArray[np.int64], Slots]:
        """CSR (start, node slots in the order they were added) over hyperedge slots."""
        return kernel.transpose(self["edge"], self["node"], self["alive"], edges.columns.n)

    def compact(self, edges: Entities, nodes: Entities) -> None:
        """Drop tombstones here and among the entities, whose slots close up in their order."""
        rows = np.flatnonzero(self["alive"])
        for name, entities in (("edge", edges), ("node", nodes)):
            kept = entities.living()
            place = np.full(entities.columns.n, -1, np.int32)
            place[kept] = np.arange(len(kept), dtype=np.int32)
            self[name][rows] = place[self[name][rows]]
            entities.keep(kept)
        self.columns.keep(rows)
        if self.extra is not None:
            self.extra.keep(rows)
        self._pairs = _empty_pairs(len(rows))
        kernel.refill_pairs(self["edge"], self["node"], self._pairs)
        kernel.chain_rows(
            self["edge"], self["node"], self["next_of_edge"], self["next_of_node"], edges["head"], nodes["head"]
        )

    def fill(self, e: Slots, v: Slots, edges: Entities, nodes: Entities) -> None:
        """Take rows, all different, into an empty table; counts and heads of both ends are set."""
        self.columns.resize(len(e))
        self["edge"][:], self["node"][:], self["alive"][:] = e, v, 1
        self.n_living = len(e)
        self._pairs = _empty_pairs(len(e))
        kernel.refill_pairs(self["edge"], self["node"], self._pairs)
        kernel.chain_rows(
            self["edge"], self["node"], self["next_of_edge"], self["next_of_node"], edges["head"], nodes["head"]
        )
        edges["count"][:] = np.bincount(e, minlength=edges.columns.n)
        nodes["count"][:] = np.bincount(v, minlength=nodes.columns.n)

    def _buried(self, n: int) -> None:
        self.n_living -= n
        if n and self.extra is not None:
            self.extra.clear(np.flatnonzero(self["alive"] == 0))

    def _reserve(self, n: int) -> None:
        if 3 * n > 2 * len(self._pairs):
            self._pairs = _empty_pairs(n)
            kernel.refill_pairs(self["edge"], self["node"], self._pairs)


def _empty_pairs(n: int) -> NDArray[np.int32]:
    """A table of the least power of two in which n pairs fill two thirds at most."""
    size = 128
    while 2 * size < 3 * n:
        size *= 2
    return np.full(size, -1, np.int32)
