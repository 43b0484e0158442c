"""The live hypergraph of a station: one fold that follows the log, its past, and one snapshot for all who look.

It catches up with the log on its own thread, so that a long log delays nobody, and joins the follower where the
rest is short.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa

from engine.events.follower import Follower
from engine.events.log import EventLog
from engine.graph_history import GraphHistory
from engine.hypergraph.fingerprint_stability import FingerprintStability
from engine.hypergraph.graph_fold import GraphFold
from engine.hypergraph.graph_snapshot import GraphSnapshot
from engine.hypergraph.shadow import ShadowFold

logger = logging.getLogger(__name__)

Publish = Callable[[pa.Table], int]

NEAR_EVENTS = 5_000
"""So near to the end of the log the follower takes over."""

SHARED_S = 0.5
"""A snapshot of now is shared by all who ask within this time, s."""

SAVE_AT_END_EVENTS = 10_000
"""With so many events since the graph was saved it is saved once more at the end, for a quick start."""

RECALLED_EVENTS = 50_000
"""Shadow edges and stable fingerprints are made anew at a start from so many of the last events."""

RETRY_S = 1.0
"""Wait before the log is read again after it could not be, s."""


class GraphLive:
    """The graph now and in the past.

    Parameters
    ----------
    log : EventLog
    folder : Path or None
        Where graphs of the past are kept; None is a temporary folder.
    publish : callable, optional
        Takes events (promotions and expiries of shadow edges) and says how many it took.
    fold : GraphFold, optional
        An empty one, with bounds of one's own.

    Attributes
    ----------
    fold : GraphFold
    history : GraphHistory
    shadows : ShadowFold
        Pairs that may belong together; `engine.hypergraph.shadow`.
    fingerprints : FingerprintStability
        Who keeps a fingerprint while the address changes.
    caught_up : bool
        Whether it has had all that was in the log when it began to follow.
    """

    def __init__(
        self, log: EventLog, folder: Path | None, publish: Publish | None = None, fold: GraphFold | None = None
    ) -> None:
        self.fold = GraphFold() if fold is None else fold
        self.history = GraphHistory(log, folder, self.fold)
        self.shadows = ShadowFold()
        self.fingerprints = FingerprintStability()
        self.caught_up = False
        self._log, self._publish = log, publish
        self._untold: pa.Table | None = None  # transitions that found no room yet
        self._shot: GraphSnapshot | None = None
        self._shooting = threading.Lock()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def apply(self, events: pa.Table) -> None:
        """Take the next events; what the follower calls."""
        self.fold.apply(events)
        self.history.offer(self.fold)

    def apply_shadows(self, events: pa.Table) -> None:
        """Take the next events for shadow edges, and publish what comes of it."""
        self.shadows.apply(events)
        if self._publish is None:
            return
        fresh = self.shadows.take_transitions()
        told = fresh if self._untold is None else pa.concat_tables([self._untold, fresh])
        # Never waits: this is the thread that the log's readers hang on.
        rest = told.slice(self._publish(told)) if told.num_rows else told
        self._untold = rest if rest.num_rows else None

    def follow(self, follower: Follower) -> None:
        """Begin with the newest saved graph, catch up with the log, and then follow."""
        self._thread = threading.Thread(target=self._catch_up, args=(follower,), name="graph-catch-up", daemon=True)
        self._thread.start()

    def wait(self, timeout_s: float) -> bool:
        """Wait until it follows; False if not in time."""
        if self._thread is not None:
            self._thread.join(timeout_s)
        return self.caught_up

    def stop(self) -> None:
        """Stop catching up, and save the graph if much has happened since it was last."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(10.0)
        if self.caught_up:
            self.history.offer(self.fold, after=SAVE_AT_END_EVENTS, wait=True)
        self.history.close()

    def snapshot(self, moment_s: float | None = None) -> GraphSnapshot:
        """The graph now (None), or as of a past moment, epoch s, with weights of that moment."""
        now_s = time.time()
        if moment_s is not None:
            return self.history.snapshot(moment_s, now_s)
        with self._shooting:
            shot = self._shot
            if shot is None or now_s - shot.moment_s > SHARED_S or now_s < shot.moment_s:
                shot = self._shot = self.fold.snapshot(now_s)
            return shot

    def _catch_up(self, follower: Follower) -> None:
        while not self._stopping.is_set():
            try:
                self.fold = self.history.latest()
                while self._log.last_seq - self.fold.seq > NEAR_EVENTS:
                    for table in self._log.stream(self.fold.seq):
                        if self._stopping.is_set():
                            return
                        self.fold.apply(table)
                        self.history.offer(self.fold)
                self._recall()
                follower.add(self, from_seq=self.fold.seq, name="GraphFold")
                follower.add(_Shadows(self), from_seq=self.fold.seq, name="ShadowFold")
                follower.add(self.fingerprints, from_seq=self.fold.seq)
                self.caught_up = True
                return
            except Exception:
                logger.exception("the graph cannot catch up with the log; trying again")
                self._stopping.wait(RETRY_S)

    def _recall(self) -> None:
        """Fold the last events into what is not saved."""
        last = self.fold.seq
        for table in self._log.stream(max(0, last - RECALLED_EVENTS), last=last):
            self.shadows.apply(table)
            self.fingerprints.apply(table)


class _Shadows:
    """Shadow edges as a fold of their own: if they fail, the graph does not."""

    def __init__(self, live: GraphLive) -> None:
        self.apply = live.apply_shadows
