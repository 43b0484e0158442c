"""All monitors on one schedule in event time: results and alarms go out as events, and a failure stays where it is.

A fold: events in, events out through a sink. What it says depends on the events alone, so a replay of the log says
the same as the live stream did. It opens nothing; where its events go is the business of the sink.
"""

from __future__ import annotations

import logging
import math
import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from engine.drift import vocabulary as graph_vocabulary
from engine.drift.batch import EventBatch, encoded
from engine.drift.metric import Transition
from engine.drift.monitor import Monitor
from engine.events.payload import payload_columns
from engine.events.schema import FIX
from engine.hypergraph.clusters_track import BORN, DIED, MERGED, SPLIT
from engine.hypergraph.relations import PROMOTED
from engine.hypergraph.shadow import EXPIRED
from engine.monitors.cluster_numbers import ClusterNumbers, measured_rows
from engine.monitors.evidence import Evidence
from engine.monitors.grouping import Grouping, group, subnet_of
from engine.monitors.isolation import LIMIT_S, Isolated
from engine.monitors.output import Changes, alert_rows, failure_rows, result_rows, table_of
from engine.monitors.standard import PAYLOAD, standard_monitors
from engine.monitors.vocabulary import DRILL_ENDED, DRILL_STARTED, FAILED, OWN_KINDS, RECOVERED, TICK
from engine.runs.events import KINDS, event_kind

RUN_KINDS = tuple(event_kind(kind) for kind in KINDS)

logger = logging.getLogger(__name__)

TICK_S = 15.0
"""Event time between two moments at which all monitors stand at the same time, s."""

RESULTS_EVERY_S = 60.0
"""Event time between results, s; a multiple of `TICK_S`."""

MOST_TICKS = 240
"""Moments gone through one by one after a gap without events; of a longer gap the last ones."""

PIECE_EVENTS = 20_000
"""Events handed to a monitor in one call at most: what its time limit is for."""

MAX_PENDING = 10_000
"""Events kept for who asks, where there is no sink."""

PASSIVE = (
    FIX, "net.stats", TICK, DRILL_STARTED, DRILL_ENDED, BORN, DIED, SPLIT, MERGED, PROMOTED, EXPIRED,
    *RUN_KINDS, *graph_vocabulary.ALL, *OWN_KINDS,
)  # fmt: skip
"""Kinds that are no activity of a cluster: positions, which come like clockwork, changes of the graph, and what the
engine says by itself of clusters, shadow edges and runs."""


class MonitorRunner:
    """Runs monitors over a stream of events.

    Parameters
    ----------
    monitors : mapping of str to function without arguments, optional
        What makes each monitor, by name; `standard_monitors()` where not given. A function with the attribute
        ``reads`` is called with those monitors as well (see `engine.drift.IntentMonitor`) and comes after them.
    sink : function of an event batch, optional
        Takes results and alarms, such as the ``put`` of a station's queue. Without one they wait in `pending`.
    grouping : Grouping, optional
        Entities to clusters.
    network_of : function, optional
        Network or autonomous system of an address, where the grouping knows neither entity nor host.
    limit_s : float or None
        Time that one call of a monitor may take; None: no threads, no limit.

    Attributes
    ----------
    clock_s : float
        Newest event time, epoch seconds.
    pending : deque of pyarrow.Table
        Events that found no sink; bounded.
    dropped : int
        Events that the sink or `pending` had no room for.

    Examples
    --------
    >>> from engine.events.schema import event_table
    >>> runner = MonitorRunner(limit_s=None)
    >>> runner.apply(event_table(1_000_000 * np.arange(90), "net.flow", ["a"] * 90, "doc"))
    >>> runner.take()["kind"].unique().to_pylist()
    ['alert.raised', 'monitor.result']
    """

    def __init__(
        self, monitors: Mapping[str, Callable[..., Monitor]] | None = None,
        sink: Callable[[pa.Table], Any] | None = None, grouping: Grouping | None = None,
        network_of: Callable[[str], str | None] = subnet_of, limit_s: float | None = LIMIT_S,
    ) -> None:  # fmt: skip
        makers = standard_monitors() if monitors is None else dict(monitors)
        self._walls: dict[str, Isolated[Monitor]] = {}
        for name, make in makers.items():
            self._walls[name] = Isolated(name, self._maker(make), limit_s)
        self._sink, self._grouping, self._network_of = sink, grouping, network_of
        self.clock_s = -math.inf
        self.seq = 0
        self.dropped = 0
        self.pending: deque[pa.Table] = deque()
        self._out: list[dict[str, Any]] = []
        self._tick: int | None = None
        self._evidence = Evidence()
        self._changes = Changes()
        self._numbers = ClusterNumbers()
        self._raised: dict[tuple[str, str], float] = {}
        self._lock = threading.Lock()

    # -- events in ------------------------------------------------------------------------------

    def apply(self, events: pa.Table) -> None:
        """Fold one event batch, in log order, and send out what is to be said: the form a follower calls."""
        with self._lock:
            events = events.filter(pc.invert(pc.is_in(events["kind"], pa.array(OWN_KINDS))))
            if events.num_rows:
                self._revive()
                self._fold(events)
            self._send()

    def pulse(self, now_s: float) -> None:
        """Let a quiet stream go on: where no event came for a tick, send one that only moves the clock.

        What the clock does is an event, so that a replay notices a silence when the live stream did.
        """
        if math.isfinite(self.clock_s) and now_s - self.clock_s > TICK_S:
            with self._lock:
                self._out.append({"time_s": now_s, "kind": TICK, "entity": "clock", "source": "drift"})
                self._send()

    def reconcile(self, standing: Iterable[tuple[str, str, float]]) -> None:
        """After a restart: take over the alarms that stand, and clear those that nobody stands behind any more.

        Parameters
        ----------
        standing : iterable of (monitor, entity, raised_s)
            What an `AlertBoard` holds as raised (`AlertBoard.standing`), after the recent past was folded here.
        """
        with self._lock:
            for monitor, entity, raised_s in standing:
                if (monitor, entity) in self._raised:
                    self._raised[(monitor, entity)] = raised_s  # the same alarm: its identity stays
                else:
                    at_s = max(self._now_s(), raised_s)
                    self._out += alert_rows(monitor, entity, raised_s, self._evidence, "restart", 0, at_s)
            self._send()

    def take(self) -> pa.Table:
        """What waits in `pending`, as one batch."""
        with self._lock:
            tables = list(self.pending)
            self.pending.clear()
        return pa.concat_tables(tables) if tables else table_of([])

    def status(self) -> list[dict[str, Any]]:
        """How each monitor is: name, state (ok or failed), error, since_s, retries, retry_in_s."""
        return [
            {
                "monitor": name, "state": "failed" if wall.monitor is None else "ok", "error": wall.error,
                "since_s": wall.since_s, "retries": wall.retries, "retry_in_s": wall.retry_in_s,
            }
            for name, wall in self._walls.items()
        ]  # fmt: skip

    def monitor(self, name: str) -> Monitor | None:
        """One of the monitors, for a look at its numbers; None while it is out."""
        return self._walls[name].monitor

    def close(self) -> None:
        """End the threads of all monitors."""
        for wall in self._walls.values():
            wall.close()

    # -- inside ---------------------------------------------------------------------------------

    def _maker(self, make: Callable[..., Monitor]) -> Callable[[], Monitor]:
        reads = getattr(getattr(make, "func", make), "reads", ())
        if not reads:
            return make
        return lambda: make({name: (lambda name=name: self._walls[name].monitor) for name in reads})

    def _fold(self, events: pa.Table) -> None:
        batch = self._read(events)
        kinds = pc.equal(events["kind"], DRILL_ENDED).to_numpy(zero_copy_only=False)
        ticks = np.floor(batch.clock_s / TICK_S).astype(np.int64)
        if self._tick is None:
            self._tick = int(ticks[0])
            self._evidence.boundary(self._tick * TICK_S, int(events["seq"][0].as_py() or 0))
        cuts = {0, batch.num_rows, *(np.flatnonzero(np.diff(ticks)) + 1).tolist(), *np.flatnonzero(kinds).tolist()}
        cuts |= {int(row) + 1 for row in np.flatnonzero(kinds)} | set(range(0, batch.num_rows, PIECE_EVENTS))
        edges = sorted(cuts)
        seq = events["seq"].fill_null(0).to_numpy()
        for first, last in pairwise(edges):
            self._pass(int(ticks[first]), int(seq[first]))
            self._fold_piece(batch.slice(first, last), seq[first:last])
            if kinds[first]:
                self._forget(f"{events['entity'][first].as_py()}/", float(batch.clock_s[first]))
        self.clock_s = float(batch.clock_s[-1])
        self.seq = max(self.seq, int(seq[-1]))

    def _read(self, events: pa.Table) -> EventBatch:
        """The batch with its payload, clusters and clock: everything that monitors share, worked out once."""
        payload = payload_columns(events, PAYLOAD)
        own = encoded(events["entity"])
        clusters = group(own, payload["cluster"], payload["src_ip"], self._grouping, self._network_of)
        time_s = events["time"].cast(pa.int64()).to_numpy() * 1e-6
        return EventBatch(events, payload, clusters, np.maximum.accumulate(np.maximum(time_s, self.clock_s)))

    def _fold_piece(self, piece: EventBatch, seq: np.ndarray) -> None:
        table = piece.table
        passive = pc.is_in(table["kind"], pa.array(PASSIVE)).to_numpy(zero_copy_only=False)
        active = np.flatnonzero(~passive)
        activity = piece.take(active)
        codes, names = piece.clusters()
        lat, lon = (table[name].to_numpy().astype(np.float64) for name in ("lat", "lon"))
        self._evidence.push(codes[active], names, seq[active], piece.time_s[active], lat[active], lon[active])
        self._count(piece, np.union1d(active, piece.rows_of((FIX,))), lat, lon)
        changes = piece.rows_of(graph_vocabulary.MUTATIONS)
        if len(changes):
            targets, target_names = encoded(table["entity"].take(pa.array(changes)))
            nowhere = np.full(len(changes), np.nan)
            self._evidence.push(targets, target_names, seq[changes], piece.time_s[changes], nowhere, nowhere)
        for name, wall in self._walls.items():
            wanted = piece if getattr(wall.monitor, "reads_all", False) else activity
            if wanted.num_rows:
                self._ask(name, partial(_update, batch=wanted))

    def _count(self, piece: EventBatch, rows: np.ndarray, lat: np.ndarray, lon: np.ndarray) -> None:
        """Tell the numbers of clusters of events; of a host's event the host is the node, else its entity."""
        if not len(rows):
            return
        codes, names = piece.clusters()
        told = piece.payload({"src_ip": str, "asn": float}, rows)
        node = np.array(piece.table["entity"].take(pa.array(rows)).to_pylist(), dtype=object)
        node = np.where(told["src_ip"] == None, node, told["src_ip"])  # noqa: E711 (elementwise)
        cluster = np.array(names, dtype=object)[codes[rows]]
        self._numbers.push(cluster, node, piece.time_s[rows], lat[rows], lon[rows], told["asn"])

    def _pass(self, tick: int, next_seq: int) -> None:
        """Bring all monitors to each moment up to a tick, in order, and write results where they are due."""
        assert self._tick is not None
        for k in range(max(self._tick + 1, tick - MOST_TICKS + 1), tick + 1):
            at_s = k * TICK_S
            self._evidence.boundary(at_s, next_seq)
            for name in self._walls:
                self._ask(name, partial(_advance, at_s=at_s))
            if k % round(RESULTS_EVERY_S / TICK_S) == 0:
                self._results(at_s)
            self.clock_s = max(self.clock_s, at_s)
        self._tick = max(self._tick, tick)

    def _ask(self, name: str, function: Callable[[Monitor], list[Transition]]) -> None:
        wall = self._walls[name]
        was_out = wall.monitor is None
        found = wall.call(function)
        if found:
            self._alerts(name, found)
        if wall.monitor is None and not was_out:
            self._out += failure_rows(FAILED, name, self._now_s(), wall.error, wall.retries, wall.retry_in_s)
            self._clear_all(name, "monitor failed")

    def _alerts(self, name: str, found: list[Transition], reason: str = "quiet") -> None:
        version = self._grouping.version if self._grouping is not None else 0
        for transition in found:
            key = (name, transition.entity)
            if transition.raised:
                self._raised.setdefault(key, transition.time_s)
            raised_s = self._raised.get(key)
            if raised_s is None:
                continue  # cleared before: nobody heard of it
            if not transition.raised:
                del self._raised[key]
            self._out += alert_rows(name, transition, raised_s, self._evidence, reason, version)

    def _clear_all(self, name: str, reason: str, keep: Callable[[str], bool] = lambda _: False) -> None:
        """Clear alarms that nobody stands behind any more."""
        for monitor, entity in [key for key in self._raised if key[0] == name and not keep(key[1])]:
            raised_s = self._raised.pop((monitor, entity))
            self._out += alert_rows(monitor, entity, raised_s, self._evidence, reason, 0, self._now_s())

    def _results(self, at_s: float) -> None:
        version = self._grouping.version if self._grouping is not None else 0
        for name, wall in self._walls.items():
            read = wall.call(lambda monitor: (monitor.results(), monitor.raised(), monitor.located()))
            if read is None:
                continue
            self._out += result_rows(name, read[0], at_s, self._changes, self._evidence, version, read[2])
            standing = set(read[1])
            self._clear_all(name, "forgotten", standing.__contains__)
        self._out += measured_rows(self._numbers.measure(at_s), at_s)

    def _forget(self, prefix: str, at_s: float) -> None:
        """A drill is over: nothing of it stays in live state."""
        for name, wall in self._walls.items():
            found = wall.call(lambda monitor: monitor.forget(prefix))
            self._alerts(name, found or [], "drill ended")
            for key in [key for key in self._raised if key[0] == name and key[1].startswith(prefix)]:
                self._out += alert_rows(name, key[1], self._raised.pop(key), self._evidence, "drill ended", 0, at_s)
        self._evidence.forget(prefix)
        self._changes.forget(prefix)
        self._numbers.forget(prefix)

    def _revive(self) -> None:
        for name, wall in self._walls.items():
            if wall.revive():
                self._out += failure_rows(RECOVERED, name, self._now_s(), "", wall.retries, 0.0)

    def _now_s(self) -> float:
        return self.clock_s if math.isfinite(self.clock_s) else 0.0

    def _send(self) -> None:
        if not self._out:
            return
        table, self._out = table_of(self._out), []
        if self._sink is None:
            self.pending.append(table)
            while sum(part.num_rows for part in self.pending) > MAX_PENDING:
                self.dropped += self.pending.popleft().num_rows
            return
        try:
            accepted = self._sink(table)
        except Exception:
            logger.exception("the sink of the monitors failed")
            accepted = 0
        self.dropped += max(table.num_rows - accepted, 0) if isinstance(accepted, int) else 0


def _update(monitor: Monitor, batch: EventBatch) -> list[Transition]:
    return monitor.update(batch)


def _advance(monitor: Monitor, at_s: float) -> list[Transition]:
    return monitor.advance(at_s)
