"""Monitors at work beside a station: the runner, the boards of its results and alerts, and the drills.

It joins `engine.monitors` and `engine.drills` to a log, a queue and a follower; a station owns one. What the page
shows of it is a `engine.frames.drift_frame.DriftFrame`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from engine.drift.exchange import ExchangePoints
from engine.drills import DRILLS_CHANNEL, SCENARIOS, DrillSource, answer_requests, ends_of_unfinished
from engine.events.bus import EventBus
from engine.events.follower import Follower
from engine.events.log import EventLog
from engine.events.queue import BoundedQueue
from engine.events.schema import DRILL_ENDED, FIX
from engine.frames.board import FrameBoard
from engine.frames.drift_frame import DriftFrame, DriftSpec, compute_drift_frame
from engine.hypergraph.clusters_fold import PositionClusters
from engine.monitors import (
    AlertBoard,
    ClusterBoard,
    Grouping,
    MonitorBoard,
    MonitorRunner,
    announce_alerts,
    as_of,
    clusters_as_of,
    standard_monitors,
)
from engine.monitors.marks import MARKED_KINDS, MarkFold
from engine.monitors.vocabulary import DRILL_STARTED

MOST_BEHIND = 20
"""Events read of those behind an alert."""

PUT_S = 2.0
"""How long results and answers wait for a place in the queue, s; then they are counted as dropped."""


@dataclass(frozen=True, slots=True)
class DrillStatus:
    """The drill that plays, or the last one.

    Attributes
    ----------
    run_id, name, title : str
        Empty before the first.
    state : str
        ``idle``, ``running``, ``finished`` or ``failed``.
    progress : float
        0 to 1.
    error : str
    """

    run_id: str = ""
    name: str = ""
    title: str = ""
    state: str = "idle"
    progress: float = 0.0
    error: str = ""


class Monitoring:
    """Runs the monitors of a station and answers what they say.

    Parameters
    ----------
    log : EventLog
        For what monitors showed in the past.
    queue : BoundedQueue
        Takes results, alerts, answers and drills, like everything else that happens.
    bus : EventBus
        Tells programs of alerts.
    instance : str
        Whose alerts they are.
    points : ExchangePoints, optional
        Known internet exchange points; without them none is near anything.
    grouping : Grouping, optional
        Entities to clusters; where not given, emitters by where they are and hosts by their networks.
    """

    def __init__(
        self, log: EventLog, queue: BoundedQueue, bus: EventBus, instance: str,
        points: ExchangePoints | None = None, grouping: Grouping | None = None,
    ) -> None:  # fmt: skip
        self._log, self._queue, self._bus, self._instance = log, queue, bus, instance
        self._speaking = False
        self.places = PositionClusters()
        self.runner = MonitorRunner(
            standard_monitors(points), sink=self._say, grouping=self.places if grouping is None else grouping
        )
        self.results, self.alerts, self.marks = MonitorBoard(), AlertBoard(), MarkFold()
        self.clusters = ClusterBoard()
        self.board: FrameBoard[DriftSpec, DriftFrame] = FrameBoard(self._compute)
        self._drill: DrillSource | None = None
        self._drilling = threading.Lock()
        self._seq: Callable[[], int] = lambda: 0
        self._made: dict[DriftSpec, tuple[tuple[int, ...], DriftFrame]] = {}

    def start(self, follower: Follower, recent: pa.Table | None, now_s: float) -> None:
        """Fold what the log holds of the recent past, silently, and listen from then on.

        Parameters
        ----------
        follower : Follower
        recent : pyarrow.Table, optional
            Events of the last hours, in log order.
        now_s : float
            Epoch seconds.
        """
        self.results, self.alerts = as_of(self._log, now_s)
        self.clusters = clusters_as_of(self._log, now_s)
        day_ago, now = pd.Timestamp(now_s - 86_400.0, unit="s", tz="UTC"), pd.Timestamp(now_s, unit="s", tz="UTC")
        self.marks.apply(self._log.between(day_ago, now, kinds=list(MARKED_KINDS)))
        if recent is not None:
            # Positions only move the clock of the monitors; without them a start stays quick.
            self.runner.apply(recent.filter(pc.not_equal(recent["kind"], FIX)))
            self.places.apply(recent)
            self.places.take()
        self._speaking = True
        # Who died in the middle of something has left it unsaid.
        self.runner.reconcile(self.alerts.standing())
        drills = self._log.between(day_ago, now, kinds=[DRILL_STARTED, DRILL_ENDED])
        self._put(ends_of_unfinished(drills, now_s))
        follower.add(self.places)
        follower.add(self.runner)
        follower.add(self.results)
        follower.add(self.alerts)
        follower.add(self.clusters)
        follower.add(self.marks)
        follower.on_batch(lambda events: announce_alerts(self._bus.publish, self._instance, events))
        self._bus.subscribe(DRILLS_CHANNEL, answer_requests(self.start_drill, self._cancel_soon))
        self._seq = lambda: int(follower.cursor)
        self.board.start()

    def stop(self) -> None:
        """Cancel a drill, end the threads."""
        self.cancel_drill()
        self.board.stop()
        self.runner.close()

    def beat(self, now_s: float) -> None:
        """Let event time go on where nothing happens (epoch seconds)."""
        self.runner.pulse(now_s)
        for changes in self.places.take():
            self._put(changes)

    def acknowledge(self, alert: str, by: str, note: str = "") -> bool:
        """Say for all viewers that someone has seen an alert; whether the queue took it."""
        return self._put(self.alerts.acknowledge(alert, by, note)) == 1

    def mute(self, monitor: str, entity: str, seconds: float, by: str, note: str = "") -> bool:
        """Mute alerts of a monitor about a cluster for all viewers; 0 s ends it; whether the queue took it."""
        return self._put(self.alerts.mute(monitor, entity, seconds, by, note)) == 1

    def events_behind(self, seqs: str) -> pa.Table:
        """The events at some places of the log, given as numbers between blanks; what is none is left out."""
        found = [self._log.since(int(seq) - 1, limit=1) for seq in seqs.split()[:MOST_BEHIND] if seq.isdecimal()]
        return pa.concat_tables(found) if found else self._log.since(self._log.last_seq)

    def start_drill(self, name: str, seed: int = 0) -> str:
        """Play a drill; a second call while one plays is refused. Returns the id of the run.

        Raises
        ------
        ValueError
            No such drill, a bad seed, or one is playing already.
        """
        with self._drilling:
            if self._drill is not None and self._drill.running:
                raise ValueError(f"the drill {self._drill.name} is playing; cancel it first")
            source = DrillSource(name, seed)
            source.start(self._queue)
            self._drill = source
            return source.name

    def cancel_drill(self) -> None:
        """End the drill that plays and clean up; harmless when none does."""
        with self._drilling:
            if self._drill is not None:
                self._drill.stop()

    def drill(self) -> DrillStatus:
        """The drill that plays, or the last one."""
        source = self._drill
        if source is None:
            return DrillStatus()
        stats = source.stats()
        title = SCENARIOS[source.run.name].title
        return DrillStatus(
            source.name, source.run.name, title, stats.state, float(stats.progress or 0.0), stats.last_error or ""
        )

    # -- inside ---------------------------------------------------------------------------------

    def _cancel_soon(self) -> None:
        # The bus does not wait until a drill has cleaned up.
        threading.Thread(target=self.cancel_drill, name="cancel-drill", daemon=True).start()

    def _put(self, events: pa.Table) -> int:
        return self._queue.put(events, timeout_s=PUT_S)

    def _say(self, events: pa.Table) -> int:
        # What is folded at a restart was said before.
        return self._put(events) if self._speaking else events.num_rows

    def _compute(self, spec: DriftSpec, moment_s: float) -> DriftFrame:
        if spec.moment_s is not None:
            boards = (*as_of(self._log, moment_s), clusters_as_of(self._log, moment_s))
            return compute_drift_frame(spec, moment_s, self._seq(), *boards)
        results, alerts, clusters = self.results, self.alerts, self.clusters
        # Results come once a minute: between them the frame is the one that is there. Muting ends by the clock.
        key = (results.version, alerts.version, clusters.version, int(moment_s // 30.0))
        kept = self._made.get(spec)
        if kept is not None and kept[0] == key:
            return kept[1]
        frame = compute_drift_frame(spec, moment_s, self._seq(), results, alerts, clusters)
        self._made = {s: made for s, made in self._made.items() if made[0] == key} | {spec: (key, frame)}
        return frame
