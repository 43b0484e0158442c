"""Frames of the live graph for all who look at it: one layout, one board, the log behind both.

Opened when the first view asks for it, so that a station whose graph nobody looks at lays nothing out; stopped with
its station.
"""

from __future__ import annotations

import math
import re
import threading
import time
import weakref
from typing import TYPE_CHECKING

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import xarray as xr

from engine.frames.board import FrameBoard
from engine.frames.graph_frame import GraphFrame, GraphFrames
from engine.frames.graph_places import LayoutPlaces, MapPlaces
from engine.frames.graph_spec import GraphSpec
from engine.layout_worker import LayoutWorker
from engine.rf.grid import Grid

if TYPE_CHECKING:
    from engine.station import Station

EVENTS_BACK_S = 86_400.0
"""Events behind a node are looked for this far back, s."""

NOW_S = 5.0
"""A moment no older than this is now, s."""

PAST_KEPT = 8
"""Frames of the past kept; each may hold on to a whole graph."""


class GraphDesk:
    """Layout, frames and board of a station's graph.

    Attributes
    ----------
    board : FrameBoard
        Give it a `GraphSpec`.
    frames : GraphFrames
        Computes a frame in the caller's thread.
    worker : LayoutWorker
        Tells how a layout is getting on, and cancels it.
    """

    def __init__(self, station: Station) -> None:
        self._station = weakref.proxy(station)
        self.worker: LayoutWorker[xr.Dataset] = LayoutWorker()
        self.layout = LayoutPlaces(self.worker)
        self.frames = GraphFrames(
            self._station.graph, {"layout": self.layout, "map": MapPlaces()}, self._events_of, self._field_at
        )
        self.board: FrameBoard[GraphSpec, GraphFrame] = FrameBoard(self.frames.compute, kept=PAST_KEPT)
        self.worker.start()
        self.board.start()

    def stop(self) -> None:
        """Stop the layout and the board."""
        self.worker.stop()
        self.board.stop()

    def _events_of(self, identity: str, entities: list[str], moments_s: list[float], until_s: float) -> pa.Table:
        log = self._station.log
        found = [log.between(_utc(until_s - EVENTS_BACK_S), _utc(until_s), entities=entities)]
        for moment_s in moments_s:
            # To the microsecond of the log; a float of seconds has a quarter of one.
            found.append(log.between(_utc(moment_s - 2e-6), _utc(min(moment_s + 2e-6, until_s))))
        events = pa.concat_tables(found)
        names = pc.or_(
            pc.equal(events["entity"], identity),
            pc.fill_null(pc.match_substring(events["payload"], _told_as(identity)), False),
        )
        events = events.filter(names)
        first = pd.Series(events["seq"].to_numpy()).drop_duplicates().index.to_numpy()
        return events.take(pa.array(first))

    def _field_at(self, lat: float, lon: float, moment_s: float) -> float:
        half = 1e-4
        grid = Grid.from_bounds(lon - half, lat - half, lon + half, lat + half, shape=(1, 1))
        try:
            field = self._station.field(grid, None if time.time() - moment_s < NOW_S else moment_s)
        except ValueError:
            return math.nan
        value = float(field["power_dbm"].to_numpy().ravel()[0])
        return value if math.isfinite(value) else math.nan


def _told_as(identity: str) -> str:
    """What of an identity stands in a payload: of a service its port, of a rule its signature, else all of it."""
    return identity.split("/")[-1] if "/" in identity else re.sub(r"^\d+:(\d+)$", r"\1", identity)


def _utc(moment_s: float) -> pd.Timestamp:
    return pd.Timestamp(moment_s, unit="s", tz="UTC")


_desks: weakref.WeakKeyDictionary[Station, GraphDesk] = weakref.WeakKeyDictionary()
_opening = threading.Lock()


def desk_of(station: Station) -> GraphDesk:
    """The desk of a running station, opened when first asked for."""
    with _opening:
        if station not in _desks:
            _desks[station] = station._open(GraphDesk(station), "stop")
        return _desks[station]
