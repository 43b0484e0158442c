"""Frames of the live graph for all who look at it: one layout, one board, the log behind both.

Opened when the first view asks for it, so that a station whose graph nobody looks at lays nothing out; stopped with
its station.
"""

from __future__ import annotations

import math
import threading
import time
import weakref
from typing import TYPE_CHECKING

import pandas as pd
import pyarrow as pa
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

    def _events_of(self, entities: list[str], until_s: float) -> pa.Table:
        start, end = (pd.Timestamp(s, unit="s", tz="UTC") for s in (until_s - EVENTS_BACK_S, until_s))
        return self._station.log.between(start, end, entities=entities)

    def _field_at(self, lat: float, lon: float, moment_s: float) -> float:
        half = 1e-4
        grid = Grid.from_bounds(lon - half, lat - half, lon + half, lat + half, shape=(1, 1))
        try:
            field = self._station.field(grid, None if time.time() - moment_s < NOW_S else moment_s)
        except ValueError:
            return math.nan
        value = float(field["power_dbm"].to_numpy().ravel()[0])
        return value if math.isfinite(value) else math.nan


_desks: weakref.WeakKeyDictionary[Station, GraphDesk] = weakref.WeakKeyDictionary()
_opening = threading.Lock()


def desk_of(station: Station) -> GraphDesk:
    """The desk of a running station, opened when first asked for."""
    with _opening:
        if station not in _desks:
            _desks[station] = station._open(GraphDesk(station), "stop")
        return _desks[station]
