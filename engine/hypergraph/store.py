"""What changes a hypergraph: adding, reinforcing, decaying, pruning and removing, all in place.

`Hypergraph` is this and what can be asked of it. It must not know where rows come from, nor open
anything; one thread writes, others may read at the same time.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import pandas as pd

from engine.hypergraph._columns import TextColumn
from engine.hypergraph._entities import NO_KINDS, Entities
from engine.hypergraph._incidences import Incidences
from engine.hypergraph._rows import NOTHING, Array, column, moment_s, numbers, positions, require, times_s, weights
from engine.hypergraph.hif import TIMES, HifTables
from engine.hypergraph.ids import encode_ids

DECAY_PER_S = 0.001
"""Default decay rate λ of weights, 1/s (B1)."""

COMPACT_FROM = 4096
"""Tombstones below this number are never worth the work of compaction."""

Ids: TypeAlias = str | int | Sequence[str | int] | pd.Index | pd.Series | np.ndarray


class Store:
    """The columns of a hypergraph and the operations that change them; see `Hypergraph`."""

    def __init__(self, decay_per_s: float = DECAY_PER_S) -> None:
        self._rate = _rate(decay_per_s)
        self._lock = threading.RLock()
        self._edges, self._nodes, self._incidences = Entities("edge"), Entities("node"), Incidences()
        self._now_s, self._clock_s = np.nan, np.nan
        self.version = 0
        """Goes up by one with each change."""
        self.metadata: dict[str, Any] = {}
        """What is said of the graph as a whole; goes into interchange documents."""
        self.network_type = "undirected"

    @property
    def decay_per_s(self) -> float:
        """Decay rate λ of weights, 1/s."""
        return self._rate

    @property
    def now_s(self) -> float:
        """Latest moment heard of, in rows or in `decay`, s since 1970; NaN before the first."""
        return float(self._now_s)

    @property
    def clock_s(self) -> float:
        """Moment that weights have decayed to, s since 1970; NaN before the first `decay`."""
        return float(self._clock_s)

    @property
    def nbytes(self) -> int:
        """Bytes held by all columns and tables, room for growth included."""
        return self._edges.nbytes + self._nodes.nbytes + self._incidences.nbytes

    def add(self, edges: pd.DataFrame) -> None:
        """Add hyperedges, or add nodes and news to hyperedges that are there: one row per incidence.

        An id that is there is updated, never doubled, and so is an incidence. A row's `kind`, `weight`
        and `time` speak of its hyperedge: the last kind counts; the weight stated for the latest time
        counts, the last row among equals; **a weight of 0 is a weight**, a missing one says nothing and
        a hyperedge for which none was ever stated weighs 1. A row without time counts as of `now_s`.

        Parameters
        ----------
        edges : pandas.DataFrame, n rows
            `edge`, `node`: ids, text or integers (``1`` and ``"1"`` differ). Optional: `kind` (text),
            `weight` (at least 0), `time` (timestamps, or seconds since 1970), `node_kind` (text).
            An Arrow table or a mapping of columns will do as well.

        Raises
        ------
        ValueError, TypeError
            An id is missing, a weight negative, a column unknown …; named with its row. Nothing has
            been added then.

        Examples
        --------
        >>> from engine.hypergraph import Hypergraph
        >>> graph = Hypergraph()
        >>> graph.add(pd.DataFrame({"edge": ["e", "e", "f"], "node": ["a", "b", "b"], "weight": [0.0, 0.0, 2.0]}))
        >>> graph.edges().weight.to_dict()
        {'e': 0.0, 'f': 2.0}
        """
        require(edges, ("edge", "node"), ("edge", "node", "kind", "weight", "time", "node_kind"))
        edge_ids, node_ids = encode_ids(column(edges, "edge"), "edge"), encode_ids(column(edges, "node"), "node")
        if edge_ids.n_rows != node_ids.n_rows:
            raise ValueError(f"{edge_ids.n_rows} edges and {node_ids.n_rows} nodes; a row needs one of each")
        weight, time_s = weights(edges), times_s(edges)
        kind, node_kind = column(edges, "kind"), column(edges, "node_kind")
        with self._lock:
            kind = None if kind is None else self._edges.kinds.check(kind, "kind")
            node_kind = None if node_kind is None else self._nodes.kinds.check(node_kind, "node_kind")
            self._compact_if_worth_it()
            self._hear(time_s)
            e, v = self._edges.slots_for(edge_ids), self._nodes.slots_for(node_ids)
            kinds = NO_KINDS if kind is None else self._edges.kinds.encode(kind, "kind")
            node_kinds = NO_KINDS if node_kind is None else self._nodes.kinds.encode(node_kind, "node_kind")
            self._edges.tell(e, kinds, weight, time_s, self._now_s)
            self._nodes.tell(v, node_kinds, NOTHING, time_s, self._now_s)
            self._incidences.append(e, v, self._edges, self._nodes)
            self.version += 1

    def set_nodes(self, nodes: pd.DataFrame) -> None:
        """Add nodes, or tell what is known of them.

        Parameters
        ----------
        nodes : pandas.DataFrame
            `node` (id); optional `kind`, `weight`, `time` as in `add`, `lat` and `lon` (degrees),
            `label` (text), `metadata` (mappings, or JSON text). What is missing leaves what is known.
            The weight of a node does not decay.

        Raises
        ------
        ValueError, TypeError
            As `add`; also for a position that is none.

        Examples
        --------
        >>> from engine.hypergraph import Hypergraph
        >>> graph = Hypergraph()
        >>> graph.set_nodes(pd.DataFrame({"node": ["a"], "kind": ["host"], "lat": [47.0], "lon": [8.0]}))
        >>> graph.nodes().loc["a", "lat"].item()
        47.0
        """
        self._set(self._nodes, nodes)

    def set_edges(self, edges: pd.DataFrame) -> None:
        """Add hyperedges (empty ones, until rows are added), or tell what is known of them; as `set_nodes`."""
        self._set(self._edges, edges)

    def _set(self, entities: Entities, table: Any) -> None:
        name = entities.what
        require(table, (name,), (name, "kind", "weight", "time", "lat", "lon", "label", "metadata"))
        ids = encode_ids(column(table, name), name)
        weight, time_s, (lat, lon) = weights(table), times_s(table), positions(table)
        texts = {
            text: _json_texts(values) if text == "metadata" else [None if pd.isna(v) else str(v) for v in values]
            for text in ("label", "metadata")
            if (values := column(table, text)) is not None
        }
        with self._lock:
            kind = column(table, "kind")
            kind = None if kind is None else entities.kinds.check(kind, "kind")
            self._hear(time_s)
            slots = entities.slots_for(ids)
            kinds = NO_KINDS if kind is None else entities.kinds.encode(kind, "kind")
            entities.tell(slots, kinds, weight, time_s, self._now_s)
            if len(lat):
                entities.place(slots, lat, lon)
            for text, values in texts.items():
                entities.describe(slots, text, values)
            self.version += 1

    def reinforce(self, edges: Ids, weight: float | Sequence[float] = 1.0, time: Any = None) -> None:
        """Add weight to hyperedges: ``w ← w exp(-λ Δt) + weight``, Δt since the moment that w held.

        Parameters
        ----------
        edges : id, or sequence of ids
            An id given twice is reinforced twice.
        weight : float, or one for each
            At least 0.
        time : timestamp or seconds since 1970, optional
            When; `now_s` by default. The order in which reinforcements arrive changes nothing.

        Raises
        ------
        KeyError
            No such hyperedge; nothing has been changed.

        Examples
        --------
        >>> from engine.hypergraph import Hypergraph
        >>> graph = Hypergraph()
        >>> graph.add(pd.DataFrame({"edge": ["e"], "node": ["a"], "weight": [1.0]}))
        >>> graph.reinforce("e", 0.5)
        >>> graph.edge("e").weight
        1.5
        """
        with self._lock:
            slots = self._edges.find(edges)
            amounts = weights({"weight": np.broadcast_to(np.asarray(weight, np.float64), slots.shape)})
            if np.isnan(amounts).any():
                raise ValueError("weight is NaN; an amount to add must be a number, at least 0")
            moment = np.nan if time is None else moment_s(time, "time")
            self._hear(np.array([moment]))
            self._edges.reinforce(slots, amounts, self._now_s if time is None else moment, self._rate)
            self.version += 1

    def remove(self, edges: Ids) -> None:
        """Remove hyperedges; their nodes stay. KeyError when one is not there, and nothing is removed."""
        with self._lock:
            slots = np.unique(self._edges.find(edges))
            self._incidences.remove_edges(slots, self._edges, self._nodes)
            self._edges.forget(slots)
            self.version += 1

    def remove_nodes(self, nodes: Ids) -> None:
        """Remove nodes from the graph and from their hyperedges; a hyperedge that loses its last node goes too."""
        with self._lock:
            slots = np.unique(self._nodes.find(nodes))
            touched = [self._incidences.edges_of(int(slot), self._nodes) for slot in slots]
            self._incidences.remove_nodes(slots, self._edges, self._nodes)
            self._nodes.forget(slots)
            if touched:
                left = np.unique(np.concatenate(touched))
                self._edges.forget(left[self._edges["count"][left] == 0])
            self.version += 1

    def decay(self, now: Any) -> None:
        """Let the weights of hyperedges decay to a moment: ``w ← w exp(-λ Δt)``.

        Sets a clock and touches no weight: a hyperedge keeps its weight and the moment at which it was
        stated, and decays when read. What was stated after the clock reads as stated. Hyperedges added
        before any moment was known count from the first that is.

        Parameters
        ----------
        now : timestamp or seconds since 1970

        Raises
        ------
        ValueError
            `now` is earlier than the clock: what has decayed does not come back.

        Examples
        --------
        >>> from engine.hypergraph import Hypergraph
        >>> graph = Hypergraph(decay_per_s=0.001)
        >>> graph.add(pd.DataFrame({"edge": ["e"], "node": ["a"], "weight": [1.0], "time": [5000.0]}))
        >>> graph.decay(6000.0)
        >>> round(graph.edge("e").weight, 6)
        0.367879
        """
        moment = moment_s(now, "now")
        with self._lock:
            if moment < self._clock_s:
                raise ValueError(f"now is {moment:.3f} s; weights have already decayed to {self._clock_s:.3f} s")
            self._hear(np.array([moment]))
            self._clock_s = moment
            self.version += 1

    def set_decay(self, decay_per_s: float) -> None:
        """Change the decay rate λ, 1/s, from the clock on; what has decayed until then stays so."""
        rate = _rate(decay_per_s)
        with self._lock:
            if not np.isnan(self._clock_s):
                older = self._edges["anchor_s"] < self._clock_s
                self._edges["weight"][older] = self._weights()[older]
                self._edges["anchor_s"][older] = self._clock_s
            self._rate = rate
            self.version += 1

    def prune(self, threshold: float, *, isolated: bool = False) -> int:
        """Remove the hyperedges whose weight at the clock is below a threshold; returns how many.

        Parameters
        ----------
        threshold : float
        isolated : bool
            Whether nodes that are in no hyperedge afterwards go too; by default they stay.

        Examples
        --------
        >>> from engine.hypergraph import Hypergraph
        >>> graph = Hypergraph()
        >>> graph.add(pd.DataFrame({"edge": ["e", "f"], "node": ["a", "b"], "weight": [0.0, 0.5]}))
        >>> graph.prune(0.1), list(graph.edges().index)
        (1, ['f'])
        """
        if np.isnan(threshold):
            raise ValueError("threshold is NaN; it must be a weight")
        with self._lock:
            doomed = (self._weights() < threshold) & (self._edges["alive"] == 1)
            gone = np.flatnonzero(doomed)
            if len(gone):
                self._incidences.remove_marked(doomed, self._edges, self._nodes)
                self._edges.forget(gone)
            if isolated:
                self._nodes.forget(np.flatnonzero((self._nodes["alive"] == 1) & (self._nodes["count"] == 0)))
            self.version += 1
            return len(gone)

    def compact(self) -> None:
        """Drop tombstones and close up the columns; nothing that can be asked changes.

        Happens by itself in `add` when more than half of the incidences, hyperedges or nodes are tombstones.
        """
        with self._lock:
            self._incidences.compact(self._edges, self._nodes)

    def _compact_if_worth_it(self) -> None:
        for what in (self._incidences, self._edges, self._nodes):
            if what.dead > max(COMPACT_FROM, what.n_living):
                self._incidences.compact(self._edges, self._nodes)

    def _weights(self, slots: Any = slice(None)) -> Array:
        """Weights of all hyperedge slots, or of some, at the clock."""
        return self._edges.weights_at(self._clock_s, self._rate, slots)

    def _tables(self) -> HifTables:
        """Everything, as the tables of the interchange format; weights only where they were stated."""
        with self._lock:
            nodes, edges = self._nodes.exchange(np.nan, 0.0), self._edges.exchange(self._clock_s, self._rate)
            rows = np.flatnonzero(self._incidences["alive"])
            rows = rows[np.argsort(self._incidences["edge"][rows], kind="stable")]
            incidences = pd.DataFrame({
                "edge": self._edges.ids.take(self._incidences["edge"][rows]),
                "node": self._nodes.ids.take(self._incidences["node"][rows]),
            })  # fmt: skip
            if self._incidences.extra is not None:
                incidences["extra"] = self._incidences.extra.take(rows).to_pandas().to_numpy()
            moments = {"decay_per_s": self._rate, "now_s": self.now_s, "clock_s": self.clock_s}
            known = {name: value for name, value in moments.items() if not np.isnan(value)}
            return HifTables(nodes, edges, incidences, {**self.metadata, **known}, self.network_type)

    def _restore(self, tables: HifTables) -> None:
        """Fill an empty graph with the tables of the interchange format."""
        self.network_type, self.metadata = tables.network_type, tables.metadata
        now_s, clock_s = self.metadata.pop("now_s", np.nan), self.metadata.pop("clock_s", np.nan)
        for entities, table in ((self._nodes, tables.nodes), (self._edges, tables.edges)):
            moments = {name: numbers(table, name) for name in TIMES}
            self._set(entities, table.drop(columns=list(TIMES)))
            entities.date(entities.slots_for(encode_ids(table[entities.what], entities.what)), moments)
        pairs = tables.incidences
        e, v = (x.slots_for(encode_ids(pairs[x.what], x.what)) for x in (self._edges, self._nodes))
        self._edges.tell(e, NO_KINDS, NOTHING, NOTHING, np.nan)
        self._nodes.tell(v, NO_KINDS, NOTHING, NOTHING, np.nan)
        rows = self._incidences.append(e, v, self._edges, self._nodes)
        given = pairs["extra"].notna().to_numpy()
        if given.any():
            self._incidences.extra = TextColumn()
            self._incidences.extra.set(rows[given], pairs["extra"][given].tolist())
        self._now_s, self._clock_s = float(now_s), float(clock_s)
        known = np.concatenate([x[name] for x in (self._nodes, self._edges) for name in ("seen_s", "anchor_s")])
        self._hear(known)

    def _slot(self, entities: Entities, one: Any) -> int:
        return int(entities.find([one])[0])

    def _hear(self, moments_s: Array) -> None:
        """Take note of the latest of some moments; the first ever becomes that of all that had none."""
        known = moments_s[~np.isnan(moments_s)]
        if not len(known):
            return
        if np.isnan(self._now_s):
            for entities in (self._edges, self._nodes):
                anchor = entities["anchor_s"]
                anchor[np.isnan(anchor)] = known.min()
        self._now_s = max(float(known.max()), known.max() if np.isnan(self._now_s) else self._now_s)


def _rate(decay_per_s: float) -> float:
    if not (np.isfinite(decay_per_s) and decay_per_s >= 0.0):
        raise ValueError(f"decay_per_s is {decay_per_s}; it must be a finite rate per second, 0 or more")
    return float(decay_per_s)


def _json_texts(values: Any) -> list[str | None]:
    """Metadata as JSON text: mappings are written out, text is checked."""
    texts: list[str | None] = []
    for row, value in enumerate(values):
        if isinstance(value, dict):
            texts.append(json.dumps(value))
        elif isinstance(value, str):
            try:
                json.loads(value)
            except ValueError as error:
                raise ValueError(f"column 'metadata' is no JSON in row {row}: {error}") from error
            texts.append(value)
        elif value is None or value is pd.NA or value != value:
            texts.append(None)
        else:
            raise TypeError(f"column 'metadata' is a {type(value).__name__} in row {row}; it must be a mapping or JSON")
    return texts
