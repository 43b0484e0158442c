"""Where emitters are, by arrival times, for all who look at it: one fold, one board, the log behind both.

Opened when the first view asks for it (`Station.desk`), stopped with its station.
"""

from __future__ import annotations

import threading
import time
import weakref
from collections import OrderedDict
from typing import Protocol

import pandas as pd
import pyarrow as pa
import xarray as xr

from engine.events.follower import Follower
from engine.events.log import EventLog
from engine.events.schema import ARRIVAL, SENSOR
from engine.frames.board import FrameBoard
from engine.frames.locate_frame import (
    LocateFrame,
    LocateSpec,
    MeasuredLine,
    compute_locate_frame,
    dilution_of,
    measured_lines,
    selected_row,
)
from engine.rf.arrival_fixes import Fixes, FixSettings, locate_arrivals
from engine.rf.arrival_fold import ArrivalFold, Arrivals

SENSORS_BACK_S = 86_400.0
"""Where sensors stand is looked for this far back in the log, s."""

ARRIVALS_BACK_S = 3_600.0
"""Arrivals are taken from the log this far back at the start, s."""

FIELDS_KEPT = 12
"""Fields of dilution kept; the least recently used goes first."""

FIXES_KEPT = 6
"""Batches of fixes kept, of different settings or moments."""

STEP_S = 5.0
"""Fixes that nothing new was heard for are computed anew so often, s, for old ones to leave the window."""


class ArrivalSource(Protocol):
    """What a desk needs of its station."""

    log: EventLog
    follower: Follower


class LocateDesk:
    """Fold, fixes and frames of a station's arrival times.

    Parameters
    ----------
    station : ArrivalSource
        Held weakly: it is the station that holds the desk.

    Attributes
    ----------
    board : FrameBoard
        Give it a `LocateSpec`.
    fold : ArrivalFold
    """

    def __init__(self, station: ArrivalSource) -> None:
        self._station = weakref.proxy(station)
        self.fold = ArrivalFold()
        # First from the follower, then from the log: what comes twice is the same, what is between is not lost.
        self._follower = station.follower
        self._follower.add(self.fold)
        now_s = time.time()
        self._fold_past(self.fold, now_s + 60.0, ARRIVALS_BACK_S)
        self._lock = threading.Lock()
        self._fields: OrderedDict[tuple[object, ...], xr.Dataset] = OrderedDict()
        self._fixes: OrderedDict[tuple[object, ...], Fixes] = OrderedDict()
        self._lines: OrderedDict[tuple[object, ...], tuple[MeasuredLine, ...]] = OrderedDict()
        self.board: FrameBoard[LocateSpec, LocateFrame] = FrameBoard(self._compute)
        self.board.start()

    def stop(self) -> None:
        """Stop the board and listen no more."""
        self._follower.remove(self.fold)
        self.board.stop()

    def arrivals(self, moment_s: float | None = None, window_s: float = 900.0) -> Arrivals:
        """Arrivals now (None), or as of a past moment (epoch s) by the same fold over the log."""
        if moment_s is None:
            return self.fold.snapshot(time.time(), window_s)
        fold = ArrivalFold()
        self._fold_past(fold, moment_s, window_s)
        return fold.snapshot(moment_s, window_s)

    def fixes(self, settings: FixSettings, moment_s: float | None = None, window_s: float = 900.0) -> Fixes:
        """Fixes of the `window_s` up to now (None) or to a moment, epoch s."""
        return locate_arrivals(self.arrivals(moment_s, window_s), settings)

    def _fold_past(self, fold: ArrivalFold, until_s: float, back_s: float) -> None:
        log, until = self._station.log, _utc(until_s)
        for kind, back in ((SENSOR, SENSORS_BACK_S), (ARRIVAL, back_s)):
            events: pa.Table = log.between(_utc(until_s - back), until, kinds=[kind])
            if events.num_rows:
                fold.apply(events)

    def _compute(self, spec: LocateSpec, moment_s: float) -> LocateFrame:
        started = time.perf_counter()
        live = spec.moment_s is None
        key = (spec.settings, spec.window_s, (self.fold.version, int(moment_s // STEP_S)) if live else moment_s)
        with self._lock:
            fixes = self._fixes.get(key)
        if fixes is None:
            fixes = self.fixes(spec.settings, None if live else moment_s, spec.window_s)
            self._keep(self._fixes, key, fixes, FIXES_KEPT)
        row = selected_row(fixes.table, spec.selected)
        where = (key, row, spec.field_alt_m)
        with self._lock:
            lines = self._lines.get(where)
        if lines is None:
            lines = measured_lines(fixes, row, spec.field_alt_m)
            self._keep(self._lines, where, lines, FIXES_KEPT)
        return compute_locate_frame(spec, moment_s, fixes, self._dilution(fixes, spec), lines, started)

    def _dilution(self, fixes: Fixes, spec: LocateSpec) -> xr.Dataset | None:
        sensors = fixes.arrivals.sensors
        if spec.dilution == "none" or not set(sensors["sensor"]) - set(spec.settings.off):
            return None
        stand = tuple(sensors[["sensor", "lat", "lon", "alt_m"]].itertuples(index=False, name=None))
        key = (stand, spec.settings.off, spec.grid.key, spec.reach_m)
        with self._lock:
            kept = self._fields.get(key)
        if kept is None:
            kept = dilution_of(fixes, spec)
        self._keep(self._fields, key, kept, FIELDS_KEPT)
        return kept

    def _keep(self, store: OrderedDict, key: tuple[object, ...], value: object, most: int) -> None:  # type: ignore[type-arg]
        with self._lock:
            store[key] = value
            store.move_to_end(key)
            while len(store) > most:
                store.popitem(last=False)


def _utc(moment_s: float) -> pd.Timestamp:
    return pd.Timestamp(moment_s, unit="s", tz="UTC")
