"""The fold from events to the live hypergraph: who talked to whom, seen by whom, with what.

The same fold runs on the live stream, on the log and in a notebook. What an event becomes is said in
`relations`; this file keeps the graph within bounds and hands out snapshots. It must not know where events
come from or where snapshots are kept.
"""

from __future__ import annotations

import threading
from collections import Counter
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from engine.events.schema import DRILL_ENDED, FIX, ended_drills
from engine.hypergraph.graph_snapshot import GraphSnapshot
from engine.hypergraph.live_graph import LiveGraph
from engine.hypergraph.relations import NODE_KINDS, Relations, node_ids, relations
from engine.hypergraph.store import DECAY_PER_S

MAX_NODES = 200_000
"""Nodes kept at once; beyond it the lightest and oldest go, and are counted."""

MAX_INCIDENCES = 1_000_000
"""Incidences kept at once; beyond it the lightest and oldest hyperedges go, and are counted."""

MAX_EDGE_KINDS = 200
"""Kinds of hyperedges told apart; further ones, which a hostile log could invent, are `OTHER_KIND`."""

OTHER_KIND = "net.other"

CHECK_EVENTS = 4_096
"""Bounds are looked at where seq passes a multiple of this, and nowhere else: what is evicted depends on the
events alone, and not on how they came in batches."""

FOLD_VERSION = 1
"""Goes up when the same events would make another graph, so that what was saved before is not used."""

FUTURE_S = 60.0
"""An event that claims to have happened later than this after the log took it is not folded, s."""


class GraphFold:
    """Fold of events of all kinds into one bounded, decaying hypergraph.

    Each event adds to the weight of its hyperedge as of its own time: ``w ← w exp(-λ Δt) + amount``. The order
    of events changes nothing but rounding and which row comes first.

    Parameters
    ----------
    max_nodes, max_incidences : int
        What is kept at once. When more is there at a multiple of `CHECK_EVENTS`, the lightest hyperedges, the
        oldest of equals first, go until four fifths are left, and with them the nodes that are in none.
    decay_per_s : float
        λ, 1/s.

    Attributes
    ----------
    seq : int
        Last event folded in.
    newest_s : float
        Latest time of an event, s since 1970; -inf before the first.
    counts : Counter
        ``events``, ``edges_told``, ``no_relation`` (events that join nothing), ``from_the_future``,
        ``malformed`` (payloads that are no JSON object), ``wrong type`` (values), ``long_ids``, ``unlisted``,
        ``other_kinds``, ``left_edges`` (of drills that ended), ``evicted_edges``, ``evicted_nodes``,
        ``failed_batches`` (which changed nothing).

    Notes
    -----
    One thread applies; snapshots may be taken from any.

    Examples
    --------
    >>> from engine.events import event_table
    >>> fold, payload = GraphFold(), ['{"src_ip": "10.0.0.1", "dest_ip": "10.0.0.2"}'] * 2
    >>> fold.apply(event_table([0, 1_000_000], "net.flow", ["1:abc="] * 2, "doc", payload=payload))
    >>> shot = fold.snapshot(moment_s=1.0)
    >>> shot.neighbours("host:10.0.0.1")["id"].to_pylist(), round(shot.edges["weight"][0].as_py(), 3)
    (['host:10.0.0.2'], 1.999)
    """

    def __init__(
        self, max_nodes: int = MAX_NODES, max_incidences: int = MAX_INCIDENCES, decay_per_s: float = DECAY_PER_S
    ) -> None:
        if max_nodes < 2 or max_incidences < 2:
            raise ValueError(f"max_nodes is {max_nodes}, max_incidences {max_incidences}: 2 or more each are needed")
        self.max_nodes, self.max_incidences = max_nodes, max_incidences
        self.seq = 0
        self.newest_s = -np.inf
        self._group = 0  # of the last event taken, in units of CHECK_EVENTS
        self.counts: Counter[str] = Counter()
        self.graph = LiveGraph(decay_per_s)
        self._lock = threading.RLock()

    @property
    def version(self) -> int:
        """Goes up with every change."""
        return self.seq

    def apply(self, events: pa.Table) -> None:
        """Take the next events, in seq order; events that the log has not numbered yet are numbered on.

        Never raises for what is in an event: what cannot be understood is counted.
        """
        if not events.num_rows:
            return
        with self._lock:
            seq = self._numbered(events)
            try:
                self._take(events, seq)
            except (ValueError, TypeError, KeyError, pa.ArrowException):
                # What `relations` does not foresee costs its batch, never the fold.
                self.counts["failed_batches"] += 1
            self.seq = int(seq[-1])
            self.counts["events"] += events.num_rows

    def snapshot(self, moment_s: float) -> GraphSnapshot:
        """The graph with weights decayed to a moment (s since 1970): immutable, cheap, and safe from any thread.

        What was told of later than the moment is in it, with the weight that it was told with.
        """
        with self._lock:
            columns = self.graph.columns(moment_s)
            return GraphSnapshot(*columns, self.version, self.graph.generation, self.seq, moment_s, dict(self.counts))

    def saved(self) -> tuple[dict[str, pa.Table], dict[str, Any]]:
        """Everything it knows, as tables and plain values, for `restored`."""
        with self._lock:
            tables, facts = self.graph.saved()
            mine = {
                "seq": self.seq, "newest_s": self.newest_s, "group": self._group,
                "counts": {name: int(n) for name, n in self.counts.items()},
                "max_nodes": self.max_nodes, "max_incidences": self.max_incidences,
            }  # fmt: skip
        return tables, facts | mine

    @classmethod
    def restored(cls, tables: dict[str, pa.Table], facts: dict[str, Any]) -> GraphFold:
        """The fold that `saved` wrote down; fed the same events it goes on exactly as that one does."""
        fold = cls(facts["max_nodes"], facts["max_incidences"], facts["decay_per_s"])
        fold.graph = LiveGraph.restored(tables, facts)
        fold.seq, fold.newest_s = int(facts["seq"]), float(facts["newest_s"])
        fold.counts, fold._group = Counter(facts["counts"]), int(facts["group"])
        return fold

    def _numbered(self, events: pa.Table) -> NDArray[np.int64]:
        column = events["seq"].combine_chunks()
        if column.null_count:
            return np.arange(self.seq + 1, self.seq + 1 + events.num_rows)
        return column.to_numpy()

    def _take(self, events: pa.Table, seq: NDArray[np.int64]) -> None:
        believable = self._believable(events)
        if not believable.all():
            self.counts["from_the_future"] += int((~believable).sum())
            events, seq = events.filter(pa.array(believable)), seq[believable]
            if not events.num_rows:
                return
        told = relations(events, self.counts)
        time_s = events["time"].cast(pa.int64()).to_numpy() * 1e-6
        kinds = self._edge_kinds(events["kind"].combine_chunks().take(pa.array(told.event)))
        # Where a multiple of CHECK_EVENTS lies between two events, the bounds are looked at between them.
        group = seq // CHECK_EVENTS
        checks = set(np.flatnonzero(np.diff(group, prepend=self._group)).tolist())
        ended = np.flatnonzero(pc.equal(events["kind"], DRILL_ENDED).to_numpy()) + 1
        cuts = sorted({0, *checks, *ended.tolist(), len(seq)})
        for first, end in pairwise(cuts):
            if first in checks:
                self._keep_bounds()
            self._tell(events, told, time_s, kinds, first, end)
            for run in ended_drills(events.slice(end - 1, 1)):
                self.counts["left_edges"] += self.graph.leave(run)
        self._group = int(group[-1])
        self.newest_s = max(self.newest_s, float(time_s.max()))

    def _tell(
        self, events: pa.Table, told: Relations, time_s: NDArray[Any], kinds: pa.Array, first: int, end: int
    ) -> None:
        """Write what some events of the batch tell."""
        low, high = np.searchsorted(told.event, [first, end])
        if low == high:
            return
        left, right = np.searchsorted(told.owner, [low, high])
        when = time_s[told.event[low:high]]
        self.graph.tell(
            told.edge_id[low:high], kinds[low:high], told.amount[low:high], when, told.owner[left:right] - low,
            told.node_id[left:right], told.node_kind[left:right], NODE_KINDS,
        )  # fmt: skip
        self.counts["edges_told"] += int(high - low)
        self._place(events.slice(first, end - first))

    def _place(self, events: pa.Table) -> None:
        """Positions of emitters, from their fixes."""
        placed = pc.and_(pc.is_valid(events["lat"]), pc.is_valid(events["lon"]))
        fixes = events.filter(pc.and_(pc.equal(events["kind"], FIX), placed))
        lat, lon = fixes["lat"].to_numpy(), fixes["lon"].to_numpy()
        fits = (np.abs(lat) <= 90.0) & (np.abs(lon) <= 180.0)
        if fits.any():
            ids = node_ids("emitter", fixes["entity"].combine_chunks().filter(pa.array(fits)))
            self.graph.place(ids, lat[fits], lon[fits])

    def _edge_kinds(self, kinds: pa.Array) -> pa.DictionaryArray:
        """Kinds of hyperedges, the surplus of them as one; `failed_batches` must not come of too many."""
        coded = kinds.dictionary_encode()
        known = self.graph.edge_kinds
        names = coded.dictionary.to_pylist()
        room = MAX_EDGE_KINDS - len(known)
        fresh = [name for name in names if name not in known]
        surplus = set(fresh[max(room, 0) :])
        if not surplus:
            return coded
        self.counts["other_kinds"] += sum(name in surplus for name in kinds.to_pylist())
        renamed = pa.array([OTHER_KIND if name in surplus else name for name in names], pa.string())
        return renamed.take(coded.indices).dictionary_encode()

    def _keep_bounds(self) -> None:
        edges, nodes = self.graph.evict(self.max_nodes, self.max_incidences)
        self.counts["evicted_edges"] += edges
        self.counts["evicted_nodes"] += nodes

    def _believable(self, events: pa.Table) -> NDArray[np.bool_]:
        """Which events did not happen after the log took them; all where the log has not."""
        received = events["received"]
        if received.null_count:
            return np.ones(events.num_rows, np.bool_)
        ahead_us = events["time"].cast(pa.int64()).to_numpy() - received.cast(pa.int64()).to_numpy()
        return ahead_us <= FUTURE_S * 1e6
