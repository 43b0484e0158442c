"""The running engine: the only place where log, bus, queue, folds, frames and sources are wired together.

Used by the dashboard (one per process), by scripts and by notebooks alike::

    with Station(data_dir="run", feed="sample") as station:
        print(station.field(model="free_space"))
"""

from __future__ import annotations

import logging
import os
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import pandas as pd
import pyarrow as pa
import xarray as xr

from data.exchanges import known_exchanges
from engine.config import Settings
from engine.drift.exchange import ExchangePoints
from engine.events.bus import EventBus
from engine.events.embedded import EmbeddedRedis
from engine.events.follower import Follower
from engine.events.log import EventLog
from engine.events.queue import BoundedQueue
from engine.events.schema import DRILL_ENDED, FIX
from engine.feeds import Feed, open_feed, remember
from engine.frames.board import FrameBoard
from engine.frames.field_frame import FieldFrame, frame_of
from engine.frames.field_scene import FieldScenes, carried
from engine.frames.spec import FieldSpec
from engine.frames.trails import TrailFold
from engine.graph_desk import GraphDesk
from engine.graph_live import GraphLive
from engine.health import HealthTeller
from engine.hypergraph.graph_fold import GraphFold
from engine.hypergraph.graph_snapshot import GraphSnapshot
from engine.ingest.protocol import CaptureEngine
from engine.log_writer import LogWriter
from engine.monitoring import Monitoring
from engine.recent import recent_events
from engine.rf.field import power_field
from engine.rf.forecast import WINDOW_FIXES
from engine.rf.grid import Grid
from engine.rf.tracks import PAST_S, TrackFold, Tracks
from engine.upload import Progress, UploadResult, ingest_file
from engine.warm import warm_kernels

if TYPE_CHECKING:
    from engine.hunts import HuntDesk

logger = logging.getLogger(__name__)

P = TypeVar("P")
D = TypeVar("D")

PULSE_S = 1.0
"""Health is told at least this often, s."""

LIVE_TRAIL_S = 7_200.0
"""Trails reach back this far, s."""

FIRST_PICTURE_S = 5.0
"""How long the start waits for the first emitters of a source, s."""

CATCH_UP_S = 1.0
"""How long the start waits for the graph to catch up with the log, s; it goes on beside."""

PUBLISH_TIMEOUT_S = 5.0
"""How long `publish` waits for room in the queue, s."""


class Station:
    """One engine: sources → queue → log → bus → folds → frames.

    Parameters
    ----------
    data_dir : path, optional
        Where the log lives; ``:memory:`` keeps nothing on disk. Default from ``DATA_DIR``.
    redis_url : str, optional
        A running Redis or Valkey; None starts an embedded one. Default from ``REDIS_URL``.
    feed : str, optional
        What to play; see `engine.feeds.open_feed`. Default from ``FEED``.
    settings : Settings, optional
        All settings at once; the arguments above override it.

    Raises
    ------
    engine.events.LogLockedError
        Another process has the log open.
    """

    def __init__(
        self,
        data_dir: str | Path | None = None,
        redis_url: str | None = None,
        feed: str | None = None,
        settings: Settings | None = None,
    ) -> None:
        base = settings or Settings.from_environment()
        self.settings = replace(
            base,
            data_dir=Path(base.data_dir if data_dir is None else data_dir),
            redis_url=base.redis_url if redis_url is None else redis_url,
            feed=base.feed if feed is None else feed,
        )
        self.instance = uuid.uuid4().hex[:12]
        self.phase = "warming"
        self.started_s = time.time()
        self.embedded: EmbeddedRedis | None = None
        self.sources: list[CaptureEngine] = []
        self.feed: Feed | None = None
        self.tracks_fold = TrackFold(WINDOW_FIXES)
        self.trails_fold = TrailFold()
        self.scenes = FieldScenes(
            lambda at, live: self.tracks_fold.snapshot(at) if live else self.tracks(at),
            lambda start, at, live: self.segments(start, at, None if live else at),
        )
        self.queue = BoundedQueue()
        self.board: FrameBoard[FieldSpec, FieldFrame] = FrameBoard(self._compute, prompt=True)
        self.board.on_tick = self._on_tick
        self.teller = HealthTeller(self)
        self._opening = threading.Lock()
        self._stopping = threading.Event()
        self._pulse: threading.Thread | None = None
        self._writer: LogWriter | None = None
        self._opened: list[tuple[Any, str]] = []
        self._desks: dict[Callable[[Any], Any], Any] = {}

    # -- life -----------------------------------------------------------------------------------

    def start(self) -> Station:
        """Open everything, warm the kernels, catch up with the log and start the sources.

        What was opened is closed again when a later step fails.
        """
        try:
            self.log = self._open(self._open_log(), "close")
            url = self.settings.redis_url
            if not url:
                self.embedded = self._open(EmbeddedRedis(), "stop")
                url = self.embedded.url
            self.bus = self._open(EventBus(url, instance=self.instance), "close")
            warm_kernels()
            recent = self._catch_up()
            self.follower = self._open(Follower(self.log, self.bus, from_seq=self.log.last_seq), "stop")
            self.follower.add(self.tracks_fold)
            self.follower.add(self.trails_fold)
            points = ExchangePoints(*known_exchanges())
            self.monitoring = self._open(Monitoring(self.log, self.queue, self.bus, self.instance, points), "stop")
            self.monitoring.start(self.follower, recent, time.time())
            fold = GraphFold(self.settings.graph_nodes, 5 * self.settings.graph_nodes)
            self.graph_live = self._open(GraphLive(self.log, self._graph_folder(), self._put_now, fold), "stop")
            self.follower.start()
            self.graph_live.follow(self.follower)
            self._writer = LogWriter(self.queue, self.log, self.bus)
            self.feed = open_feed(self.settings, self.log)
            self.graph_live.wait(CATCH_UP_S)
            for source in self.feed.sources:
                self.add_source(source)
            self.board.start()
            self._pulse = threading.Thread(target=self._beat, name="pulse", daemon=True)
            self._pulse.start()
            self._await_first_picture()
        except BaseException:
            self.stop()
            raise
        self.phase = "ready"
        return self

    def stop(self) -> None:
        """Stop sources first and the log last, so that nothing accepted is lost."""
        if self.phase == "dead":
            return
        self.phase = "draining"
        for source in self.sources:
            source.stop()
        if self.feed is not None:
            remember(self.feed, self.settings)
        self._stopping.set()
        if self._writer is not None:
            self._writer.stop()
        if self._pulse is not None:
            self._pulse.join(timeout=5.0)
        self.board.stop()
        for part, method in reversed(self._opened):
            try:
                getattr(part, method)()
            except Exception:
                # The others must be closed all the same, the log above all.
                logger.exception("%s could not be closed", type(part).__name__)
        self.phase = "dead"

    def _await_first_picture(self) -> None:
        """Give a source that has a past to tell a moment to tell it: who is *ready* has something to show."""
        deadline = time.monotonic() + FIRST_PICTURE_S
        while self.sources and time.monotonic() < deadline:
            if len(self.tracks_fold.snapshot(time.time())) or self.sources[0].stats().state in ("finished", "failed"):
                return
            time.sleep(0.05)

    def _open(self, part: P, closes_by: str) -> P:
        self._opened.append((part, closes_by))
        return part

    def __enter__(self) -> Station:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def add_source(self, source: CaptureEngine) -> None:
        """Start a source and take its events in."""
        self.sources.append(source)
        source.start(self.queue)

    # -- what it knows --------------------------------------------------------------------------

    def tracks(self, moment_s: float | None = None) -> Tracks:
        """The emitters now (None), or as they were known at a past moment (epoch s), by the same fold."""
        if moment_s is None:
            return self.tracks_fold.snapshot(time.time())
        fold = TrackFold(self.tracks_fold.history)
        fold.apply(self.log.between(_utc(moment_s - PAST_S), _utc(moment_s), kinds=[FIX, DRILL_ENDED]))
        return fold.snapshot(moment_s)

    def emitters(self, moment_s: float | None = None) -> pd.DataFrame:
        """The emitters as a table that `engine.rf.power_field` takes."""
        return self.tracks(moment_s).emitters()

    def field(self, grid: Grid | None = None, moment_s: float | None = None, **options: Any) -> xr.Dataset:
        """The field now or at a past moment; the grid defaults to the extent of the emitters."""
        tracks = self.tracks(moment_s)
        now = carried(tracks, tracks.age_s)
        emitters = tracks.emitters().assign(lat=now.lat, lon=now.lon, alt_m=now.alt_m)
        emitters = emitters[np.isfinite(now.lat) & np.isfinite(now.lon) & np.isfinite(now.alt_m)]
        return power_field(emitters, grid or _grid_around(emitters), **options)

    def segments(self, start_s: float, end_s: float, moment_s: float | None = None) -> Any:
        """Trail segments that end in (start_s, end_s]; from the live fold or, for the past, from the log."""
        if moment_s is None:
            return self.trails_fold.segments(start_s, end_s)
        fold = TrailFold()
        fold.apply(self.log.between(_utc(start_s), _utc(end_s), kinds=[FIX, DRILL_ENDED]))
        return fold.segments(start_s, end_s)

    def graph(self, moment_s: float | None = None) -> GraphSnapshot:
        """The hypergraph now (None), or as of a past moment (epoch s), by the same fold; shared by all who ask."""
        return self.graph_live.snapshot(moment_s)

    def publish(self, events: pa.Table) -> int:
        """Put events of the station's own (of monitors, drills, promotions) through the ordinary queue.

        Returns
        -------
        int
            How many found room within `PUBLISH_TIMEOUT_S`; less than all only when the log cannot keep up.
        """
        return self.queue.put(events, PUBLISH_TIMEOUT_S)

    def upload(self, file: str | Path | bytes, name: str, progress: Progress | None = None,
               cancel: threading.Event | None = None) -> UploadResult:  # fmt: skip
        """Take in a file that someone handed over; see `engine.upload.ingest_file`."""
        return ingest_file(file, name, self.queue, progress=progress, cancel=cancel)

    @property
    def health(self) -> dict[str, Any]:
        """How it is; told anew every second."""
        return self.teller.health

    @property
    def span(self) -> tuple[float, float] | None:
        """First and last moment of the time slider, epoch s."""
        return self.teller.span

    @property
    def density(self) -> list[int]:
        """How many events lie in each part of the span."""
        return self.teller.density

    @property
    def newest_s(self) -> float | None:
        """Time of the newest event of the air picture or of the graph, epoch s; None before the first."""
        graph = self.graph_live.fold.newest_s if self.phase != "warming" else 0.0
        newest = max(self.tracks_fold.newest_s, graph)
        return newest if newest > 0 else None

    @property
    def write_errors(self) -> int:
        """Batches that could not be written to the log."""
        return self._writer.errors if self._writer is not None else 0

    @property
    def graph_fold(self) -> GraphFold:
        """The live fold behind `graph`."""
        return self.graph_live.fold

    def history(self, entity: str, start_s: float, end_s: float) -> pa.Table:
        """Events of one entity in (start_s, end_s], in log order."""
        return self.log.between(_utc(start_s), _utc(end_s), entities=[entity])

    def desk(self, kind: Callable[[Any], D]) -> D:
        """A part that only some pages need: made from the station when first asked for, stopped with it.

        Parameters
        ----------
        kind : callable (station) -> part with ``stop()``
            Most often its class. It should hold the station weakly: it is the station that holds the part.
        """
        with self._opening:
            if kind not in self._desks:
                self._desks[kind] = self._open(kind(self), "stop")
            part: D = self._desks[kind]
            return part

    @property
    def graphs(self) -> GraphDesk:
        """Layout and frames of the graph."""
        return self.desk(GraphDesk)

    @property
    def hunts(self) -> HuntDesk:
        """Hunts and runs in ``DATA_DIR/runs``."""
        from engine.hunts import hunts_of

        return self.desk(hunts_of)

    # -- inside ---------------------------------------------------------------------------------

    def _open_log(self) -> EventLog:
        if str(self.settings.data_dir) == ":memory:":
            return EventLog(":memory:")
        self.settings.data_dir.mkdir(parents=True, exist_ok=True)
        return EventLog(self.settings.data_dir / "events.duckdb")

    def _put_now(self, events: pa.Table) -> int:
        return self.queue.put(events, 0.0)

    def _graph_folder(self) -> Path | None:
        return None if str(self.settings.data_dir) == ":memory:" else self.settings.data_dir / "graph"

    def _catch_up(self) -> pa.Table | None:
        """Fold what the log holds of the recent past, so that a restart shows what was known; None if it is empty."""
        recent = recent_events(self.log, LIVE_TRAIL_S)
        if recent is not None:
            self.trails_fold.apply(recent)
            self.tracks_fold.apply(recent)
        return recent

    def _compute(self, spec: FieldSpec, moment_s: float) -> FieldFrame:
        return frame_of(spec, self.scenes.scene(moment_s, live=spec.moment_s is None), self.board.go_on)

    def _beat(self) -> None:
        """Tell how things are even while a frame takes long: a slow picture is no dead server."""
        while not self._stopping.wait(PULSE_S):
            now_s = time.time()
            if self.feed is not None:
                remember(self.feed, self.settings)
            if now_s - self.board.last_tick_s > 2.0 * PULSE_S:
                self._on_tick(now_s)
                self.board.wake_all()

    def _on_tick(self, moment_s: float) -> None:
        self.teller.tell(moment_s)
        self.monitoring.beat(moment_s)


def _utc(moment_s: float) -> pd.Timestamp:
    return pd.Timestamp(moment_s, unit="s", tz="UTC")


def _grid_around(emitters: pd.DataFrame) -> Grid:
    if not len(emitters):
        raise ValueError("no emitter is known yet, so there is no extent to compute a field on; pass a grid")
    west, east = float(emitters["lon"].min()) - 0.5, float(emitters["lon"].max()) + 0.5
    south, north = float(emitters["lat"].min()) - 0.5, float(emitters["lat"].max()) + 0.5
    return Grid.from_bounds(max(west, -180.0), max(south, -90.0), min(east, 180.0), min(north, 90.0), shape=(128, 128))


def data_path(settings: Settings) -> str:
    """Where the data of a run is kept, as an absolute path for people to read."""
    return os.path.abspath(settings.data_dir)
