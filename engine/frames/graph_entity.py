"""All that is known of one node of the graph at a moment: for the inspector of a page, or for a notebook."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from engine.hypergraph.graph_snapshot import GraphSnapshot

LISTED = 40
"""Neighbours, hyperedges and events listed at most; how many there are is told."""

FINGERPRINTS = ("ja3", "ja4", "ja3s", "hassh", "cert", "agent", "software")
"""Kinds of nodes that tell who a host is."""

EventsOf = Callable[[str, list[str], list[float], float], pa.Table]
"""Events that name an identity, of some entities or at some moments, until a moment (s since 1970)."""

MOMENTS = 8
"""Moments at which its hyperedges were last told of that are looked at for events, newest first."""

FieldAt = Callable[[float, float, float], float]
"""Received power (dBm) at latitude, longitude (degrees) and a moment; NaN where there is none."""


@dataclass(frozen=True, slots=True)
class GraphEntity:
    """One node, and what is around it.

    Attributes
    ----------
    node : dict
        Its row of `GraphSnapshot.nodes`; only ``id`` where the graph has no such node at the moment.
    known : bool
        Whether the graph has it.
    neighbours, edges, fingerprints : pyarrow.Table
        Rows of the snapshot, at most `LISTED`: neighbours by hyperedges shared, hyperedges by last seen,
        neighbours that are fingerprints.
    n_neighbours, n_edges : int
        How many there are.
    events : pyarrow.Table
        Events behind it, newest first, at most `LISTED`.
    field_dbm : float
        Power received at its position, dBm; NaN where it has none.
    """

    node: dict[str, object]
    known: bool
    neighbours: pa.Table
    edges: pa.Table
    fingerprints: pa.Table
    n_neighbours: int
    n_edges: int
    events: pa.Table
    field_dbm: float


def graph_entity(snapshot: GraphSnapshot, node_id: str, events_of: EventsOf, field_at: FieldAt) -> GraphEntity:
    """What a snapshot and the log know of a node."""
    identity = node_id.split(":", 1)[-1]
    try:
        row = snapshot.node_row(node_id)
    except KeyError:
        none, events = snapshot.nodes.slice(0, 0), events_of(identity, [identity], [], snapshot.moment_s)
        return GraphEntity(
            {"id": node_id}, False, none, snapshot.edges.slice(0, 0), none, 0, 0, _newest(events), float("nan")
        )
    node = snapshot.nodes.slice(row, 1).to_pylist()[0]
    neighbours = snapshot.neighbours(node_id)
    edges = snapshot.edges_of(node_id)
    newest = pc.sort_indices(edges, sort_keys=[("last_seen_s", "descending")])[:LISTED]
    listed = edges.take(newest)
    # Words of an edge's id are what it was made of, the entity of its events among them.
    words = sorted({word for edge in listed["id"].to_pylist() for word in (edge, *edge.split(" "))})
    moments = list(dict.fromkeys(listed["last_seen_s"].to_pylist()))[:MOMENTS]
    events = events_of(identity, [identity, *words], moments, snapshot.moment_s)
    lat, lon = float(node["lat"]), float(node["lon"])
    placed = bool(np.isfinite(lat + lon))
    marks = pc.is_in(neighbours["kind"].cast(pa.string()), pa.array(FINGERPRINTS))
    return GraphEntity(
        node, True, neighbours.slice(0, LISTED), listed, neighbours.filter(marks).slice(0, LISTED),
        neighbours.num_rows, edges.num_rows, _newest(events),
        field_at(lat, lon, snapshot.moment_s) if placed else float("nan"),
    )  # fmt: skip


def _newest(events: pa.Table) -> pa.Table:
    order = pc.sort_indices(events, sort_keys=[("time", "descending"), ("seq", "descending")])[:LISTED]
    return events.take(order)
