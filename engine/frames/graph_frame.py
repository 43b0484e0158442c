"""A frame of the graph: the picture, and every table and number that stands next to it, all of one moment.

`GraphFrames.compute` is what a `FrameBoard` calls; parts that are the same for many viewers, or that did not change
since the last tick, are computed once. It knows where things come from only by the functions it is given.
"""

from __future__ import annotations

import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from engine.events.schema import empty_events
from engine.frames.graph_entity import EventsOf, FieldAt, GraphEntity, graph_entity
from engine.frames.graph_picture import Coordinates, GraphPicture, graph_picture, shown_nodes
from engine.frames.graph_places import GraphPlaces, Places
from engine.frames.graph_spec import GraphSpec
from engine.hypergraph.graph_snapshot import GraphSnapshot

LISTED = 500
"""Rows of the tables of hot nodes, recent hyperedges and finds at most."""

SUPPOSED_DRAWN = 400
"""Shadow edges drawn at most, the most confident."""

NOTHING_SUPPOSED = pa.table({
    **{name: pa.array([], pa.string()) for name in ("a", "b")},
    **{name: pa.array([], pa.float64()) for name in ("confidence", "x0", "y0", "x1", "y1")},
})  # fmt: skip

SPOKES = 600
"""Neighbours of the node looked at that are marked at most."""

EVENTS_S = 4.0
"""The events behind a node are looked up this often at most, s of the moment shown."""

KEPT = 24
"""Pictures and tables kept for those who come next."""

PAST_KEPT = 4
"""Snapshots of the past kept."""

MEMBERS_TOLD = 6
"""Members of a hyperedge named in a table; how many there are is told."""

SnapshotOf = Callable[[float | None], GraphSnapshot]
"""The graph now (None), or as it was at a past moment, s since 1970."""


@dataclass(frozen=True, slots=True, eq=False)
class GraphFrame:
    """One computed frame.

    Attributes
    ----------
    spec : GraphSpec
        What was asked for.
    moment_s : float
        The moment shown, s since 1970.
    snapshot : GraphSnapshot
        The graph that it is of.
    places : Places
        Where its nodes stand, and how the layout is getting on.
    picture : GraphPicture
        What is drawn.
    extent : (float, float, float, float) or None
        West, south, east and north of all nodes shown; None when none has a place.
    selected : int
        Nodes in the region; 0 without one.
    table : pyarrow.Table or None
        The table of `spec.listed`.
    entity : GraphEntity or None
        The node looked at closely.
    spot : (float, float) or None
        Its place.
    spokes : ndarray of float64, (n, 2)
        Places of its neighbours.
    supposed : pyarrow.Table
        Shadow edges between nodes that have places: `a`, `b`, `confidence`, `x0`, `y0`, `x1`, `y1`.
    compute_ms : float
        Time the computation took.
    """

    spec: GraphSpec
    moment_s: float
    snapshot: GraphSnapshot
    places: Places
    picture: GraphPicture
    extent: tuple[float, float, float, float] | None
    selected: int
    table: pa.Table | None
    entity: GraphEntity | None
    spot: tuple[float, float] | None
    spokes: NDArray[np.float64]
    supposed: pa.Table
    compute_ms: float

    def nearest(self, x: float, y: float, reach: float) -> str:
        """Id of the node in view nearest to a place and no farther than `reach`; empty for none."""
        rows = self.picture.rows
        if not len(rows):
            return ""
        away = np.hypot(self.places.x[rows] - x, self.places.y[rows] - y)
        best = int(np.argmin(away))
        return str(self.snapshot.nodes["id"][int(rows[best])].as_py()) if away[best] <= reach else ""


def no_events(identity: str, entities: list[str], moments_s: list[float], until_s: float) -> pa.Table:
    """No events: for a graph without a log."""
    return empty_events()


def no_field(lat: float, lon: float, moment_s: float) -> float:
    """No field."""
    return math.nan


class GraphFrames:
    """Computes frames of a graph.

    Parameters
    ----------
    snapshot : callable (moment_s or None) -> GraphSnapshot
    places : mapping of space to GraphPlaces
        ``layout`` and ``map``.
    events_of, field_at : callable
        What the inspector asks for.
    more : mapping of str to callable (moment_s, past) -> pyarrow.Table
        Further tables of a moment; ``shadow`` has the columns `state`, `a`, `b`, `confidence`.
    """

    def __init__(
        self,
        snapshot: SnapshotOf,
        places: Mapping[str, GraphPlaces],
        events_of: EventsOf = no_events,
        field_at: FieldAt = no_field,
        more: Mapping[str, Callable[[float, bool], pa.Table]] | None = None,
    ) -> None:
        self._snapshot, self._places = snapshot, dict(places)
        self._events_of, self._field_at, self._more = events_of, field_at, dict(more or {})
        self._past: OrderedDict[float, GraphSnapshot] = OrderedDict()
        self._parts: OrderedDict[Any, Any] = OrderedDict()
        self._lock = threading.Lock()

    def compute(self, spec: GraphSpec, moment_s: float) -> GraphFrame:
        """The frame of a spec; `moment_s` is now for a live one."""
        started = time.perf_counter()
        past = spec.moment_s is not None
        snapshot = self._past_snapshot(moment_s) if past else self._snapshot(None)
        places = self._places[spec.space].of(snapshot, past)
        # What is drawn and listed changes with the graph and its layout; weights fade all alike meanwhile.
        state = (past and moment_s, snapshot.version, snapshot.generation, snapshot.seq, places.version)
        x, y = places.x, places.y
        view = spec.picture_only()
        picture, extent = self._part(
            (state, view), lambda: (graph_picture(snapshot, x, y, spec), _extent(snapshot, x, y, spec))
        )
        selected: NDArray[np.int64] = picture.rows[:0]
        if spec.region is not None:
            key = (state, "region", spec.space, spec.hidden, spec.region)
            selected = self._part(key, lambda: _region_rows(snapshot, x, y, spec))
        entity, spot, spokes = self._entity(snapshot, places, spec, state)
        return GraphFrame(
            spec, snapshot.moment_s if past else moment_s, snapshot, places, picture, extent, len(selected),
            self._table(snapshot, places, spec, state, picture.rows if spec.region is None else selected),
            entity, spot, spokes, self._supposed(snapshot, places, spec, state), 1e3 * (time.perf_counter() - started),
        )  # fmt: skip

    def _table(
        self, snapshot: GraphSnapshot, places: Places, spec: GraphSpec, state: Any, rows: NDArray[np.int64]
    ) -> pa.Table | None:
        name = spec.listed
        if name == "rows":
            key = (state, name, spec.picture_only(), spec.region)
            return self._part(key, lambda: node_table(snapshot, places, rows))
        if name == "found":
            return self._part((state, name, spec.find), lambda: found_nodes(snapshot, spec.find))
        if name == "hot":
            return self._part((state, name), lambda: snapshot.hot_entities(LISTED))
        if name == "recent":
            return self._part((state, name), lambda: recent_edges(snapshot))
        return self._other(name, snapshot, spec)

    def _other(self, name: str, snapshot: GraphSnapshot, spec: GraphSpec) -> pa.Table | None:
        more, past = self._more.get(name), spec.moment_s is not None
        if more is None:
            return None
        moment_s = snapshot.moment_s
        return self._part((name, past, moment_s if past else snapshot.seq), lambda: more(moment_s, past))

    def _supposed(self, snapshot: GraphSnapshot, places: Places, spec: GraphSpec, state: Any) -> pa.Table:
        def ends() -> pa.Table:
            table = self._other("shadow", snapshot, spec)
            if not spec.shadows or table is None:
                return NOTHING_SUPPOSED
            table = table.filter(pc.equal(table["state"], "supposed")).slice(0, SUPPOSED_DRAWN)
            rows = [
                pc.index_in(table[end].cast(pa.large_string()), snapshot.nodes["id"].combine_chunks()) for end in "ab"
            ]
            known = pc.and_(pc.is_valid(rows[0]), pc.is_valid(rows[1]))
            a, b = (row.filter(known).to_numpy() for row in rows)
            told = table.filter(known).select(["a", "b", "confidence"])
            columns = {"x0": places.x[a], "y0": places.y[a], "x1": places.x[b], "y1": places.y[b]}
            for name, values in columns.items():
                told = told.append_column(name, pa.array(values))
            return told.filter(pa.array(np.isfinite(sum(columns.values()))))

        return self._part((state, "supposed", spec.space, spec.shadows), ends)

    def _entity(
        self, snapshot: GraphSnapshot, places: Places, spec: GraphSpec, state: Any
    ) -> tuple[GraphEntity | None, tuple[float, float] | None, NDArray[np.float64]]:
        if not spec.selected:
            return None, None, np.empty((0, 2))
        x, y = places.x, places.y

        def look() -> tuple[GraphEntity, tuple[float, float] | None, NDArray[np.float64]]:
            entity = graph_entity(snapshot, spec.selected, self._events_now, self._field_at)
            if not entity.known:
                return entity, None, np.empty((0, 2))
            row = snapshot.node_row(spec.selected)
            spot = (float(x[row]), float(y[row])) if np.isfinite(x[row] + y[row]) else None
            around = [snapshot.member_rows(int(edge)) for edge in snapshot.edge_rows_of(row)[-SPOKES:]]
            rows = np.unique(np.concatenate(around))[:SPOKES]
            rows = rows[(rows != row) & np.isfinite(x[rows] + y[rows])]
            return entity, spot, np.column_stack([x[rows], y[rows]])

        return self._part((state, "entity", spec.space, spec.selected), look)

    def _events_now(self, identity: str, entities: list[str], moments_s: list[float], until_s: float) -> pa.Table:
        """Events behind a node; asked of the log every `EVENTS_S` only, however often the graph changes."""
        key = ("events", identity, math.floor(until_s / EVENTS_S))
        return self._part(key, lambda: self._events_of(identity, entities, moments_s, until_s))

    def _past_snapshot(self, moment_s: float) -> GraphSnapshot:
        with self._lock:
            kept = self._past.get(moment_s)
        if kept is None:
            kept = self._snapshot(moment_s)
            with self._lock:
                self._past[moment_s] = kept
                while len(self._past) > PAST_KEPT:
                    self._past.popitem(last=False)
        return kept

    def _part(self, key: Any, make: Callable[[], Any]) -> Any:
        with self._lock:
            if key in self._parts:
                self._parts.move_to_end(key)
                return self._parts[key]
        value = make()
        with self._lock:
            self._parts[key] = value
            while len(self._parts) > KEPT:
                self._parts.popitem(last=False)
        return value


def _extent(
    snapshot: GraphSnapshot, x: Coordinates, y: Coordinates, spec: GraphSpec
) -> tuple[float, float, float, float] | None:
    there = shown_nodes(snapshot, spec.hidden) & np.isfinite(x + y)
    if not there.any():
        return None
    x, y = x[there], y[there]
    return float(x.min()), float(y.min()), float(x.max()), float(y.max())


def _region_rows(snapshot: GraphSnapshot, x: Coordinates, y: Coordinates, spec: GraphSpec) -> NDArray[np.int64]:
    assert spec.region is not None
    return np.flatnonzero(shown_nodes(snapshot, spec.hidden) & spec.region.contains(x, y))


def node_table(snapshot: GraphSnapshot, places: Places, rows: NDArray[np.int64]) -> pa.Table:
    """Rows of `GraphSnapshot.nodes` with their places, those of highest degree first."""
    rows = rows[np.argsort(-snapshot.node("degree")[rows], kind="stable")]
    table = snapshot.nodes.take(pa.array(rows))
    return table.append_column("x", pa.array(places.x[rows])).append_column("y", pa.array(places.y[rows]))


def found_nodes(snapshot: GraphSnapshot, text: str) -> pa.Table:
    """Nodes whose id contains a text, whole matches first, then by degree; at most `LISTED`.

    Case does not matter. The kind may be left out: ``10.0.0.1`` finds ``host:10.0.0.1``.
    """
    text = text.strip()
    if not text:
        return snapshot.nodes.slice(0, 0)
    rows = np.flatnonzero(
        pc.match_substring(snapshot.nodes["id"], text, ignore_case=True).combine_chunks().to_numpy(zero_copy_only=False)
    )
    ids = [i.lower() for i in snapshot.nodes["id"].take(pa.array(rows)).to_pylist()]
    whole = np.array([text.lower() in (i, i.split(":", 1)[-1]) for i in ids], bool)
    order = np.lexsort((rows, -snapshot.node("degree")[rows], ~whole))[:LISTED]
    return snapshot.nodes.take(pa.array(rows[order]))


def recent_edges(snapshot: GraphSnapshot, n: int = LISTED) -> pa.Table:
    """The n hyperedges seen last, newest first, with a column `members` that names some of them."""
    seen = snapshot.edge("last_seen_s")
    newest = _last(seen, min(n, len(seen))) if len(seen) else np.empty(0, np.int64)
    ids, told = snapshot.nodes["id"], []
    for edge in newest.tolist():
        rows = snapshot.member_rows(edge)
        names = ids.take(pa.array(rows[:MEMBERS_TOLD])).to_pylist()
        told.append(" · ".join(names) + (f" and {len(rows) - MEMBERS_TOLD} more" if len(rows) > MEMBERS_TOLD else ""))
    return snapshot.edges.take(pa.array(newest)).append_column("members", pa.array(told, pa.string()))


def _last(seen: NDArray[np.float64], n: int) -> NDArray[np.int64]:
    """Rows of the n latest, latest first, of equals those that came later."""
    rows = np.flatnonzero(seen >= np.partition(seen, len(seen) - n)[len(seen) - n])
    return rows[np.lexsort((-rows, -seen[rows]))[:n]]
