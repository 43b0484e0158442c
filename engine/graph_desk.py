"""Frames of the live graph for all who look at it: one layout, one board, the log behind both.

Opened when the first view asks for it, so that a station whose graph nobody looks at lays nothing out; stopped with
its station.
"""

from __future__ import annotations

import math
import re
import time
import weakref
from typing import Protocol

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import xarray as xr

from engine.events.log import EventLog
from engine.frames.board import FrameBoard
from engine.frames.graph_frame import GraphFrame, GraphFrames
from engine.frames.graph_places import LayoutPlaces, MapPlaces
from engine.frames.graph_spec import GraphSpec
from engine.graph_live import GraphLive
from engine.graph_places_file import PlacesFile
from engine.hypergraph.fingerprint_stability import FingerprintStability
from engine.hypergraph.graph_snapshot import GraphSnapshot
from engine.hypergraph.relations import PROMOTED
from engine.hypergraph.shadow import EXPIRED, ShadowFold, shadow_history
from engine.layout_worker import LayoutWorker
from engine.rf.sample import sample_field

EVENTS_BACK_S = 86_400.0
"""Events behind a node are looked for this far back, s."""

TOLD_BACK_S = 3_600.0
"""Fingerprints and shadow edges of the past are made anew from so much of the log before, s."""

SETTLED_KEPT = 300
"""Promotions and expiries listed at most."""

_TLS = ("net.tls", "net.quic")

SAVE_EVERY_S = 60.0
"""Layouts are saved at most this often, and at the end, s."""

NOW_S = 5.0
"""A moment no older than this is now, s."""

PAST_KEPT = 8
"""Frames of the past kept; each may hold on to a whole graph."""


class GraphSource(Protocol):
    """What a desk needs of its station."""

    log: EventLog
    graph_live: GraphLive

    def graph(self, moment_s: float | None = None) -> GraphSnapshot:
        """The graph now, or as of a past moment."""
        ...

    def emitters(self, moment_s: float | None = None) -> pd.DataFrame:
        """The emitters now, or at a past moment."""
        ...


class GraphDesk:
    """Layout, frames and board of a station's graph.

    Parameters
    ----------
    station : GraphSource
        Held weakly: it is the station that holds the desk.

    Attributes
    ----------
    board : FrameBoard
        Give it a `GraphSpec`.
    frames : GraphFrames
        Computes a frame in the caller's thread.
    worker : LayoutWorker
        Tells how a layout is getting on, and cancels it.
    """

    def __init__(self, station: GraphSource) -> None:
        self._station = weakref.proxy(station)
        self.worker: LayoutWorker[xr.Dataset] = LayoutWorker()
        self._file = PlacesFile(station.graph_live.history.folder, station.log)
        live = station.graph_live
        self.layout = LayoutPlaces(self.worker, before=self._file.load(), may_lay_out=lambda: live.caught_up)
        self.layout.on_laid = self._laid
        self.frames = GraphFrames(
            self._station.graph, {"layout": self.layout, "map": MapPlaces()}, self._events_of, self._field_at,
            {"fingerprints": self._fingerprints, "shadow": self._shadows},
        )  # fmt: skip
        self.board: FrameBoard[GraphSpec, GraphFrame] = FrameBoard(self.frames.compute, kept=PAST_KEPT)
        self.worker.start()
        self.board.start()

    def stop(self) -> None:
        """Stop the layout and the board, and keep where nodes stand for the next run."""
        self.worker.stop()
        self.board.stop()
        self._file.save(self.layout.laid())

    def _laid(self) -> None:
        """In the layout's thread: after a power cut no more than the last layouts are lost."""
        if self._file.age_s > SAVE_EVERY_S:
            self._file.save(self.layout.laid())

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
        emitters = self._station.emitters(None if time.time() - moment_s < NOW_S else moment_s)
        if not len(emitters):
            return math.nan
        value = float(sample_field(emitters, [lat], [lon], 10.0)[0])
        return value if math.isfinite(value) else math.nan

    def _fingerprints(self, moment_s: float, past: bool) -> pa.Table:
        """Fingerprints that stay while addresses change (B8), as of a moment."""
        fold = self._station.graph_live.fingerprints
        if past:
            fold = FingerprintStability(fold.more_than, fold.window_s)
            fold.apply(self._station.log.between(_utc(moment_s - TOLD_BACK_S), _utc(moment_s), kinds=_TLS))
        table = fold.table()
        node = pc.binary_join_element_wise(table["kind"], table["fingerprint"], ":")
        return table.append_column("node", node)

    def _shadows(self, moment_s: float, past: bool) -> pa.Table:
        """Supposed links of a moment, and what became of others: promoted and expired ones, newest first (B6)."""
        start, end = _utc(moment_s - TOLD_BACK_S), _utc(moment_s)
        fold = self._station.graph_live.shadows
        if past:
            fold = ShadowFold(fold.model)
            fold.apply(self._station.log.between(start, end))
        now = fold.snapshot(moment_s).rename_columns(["a", "b", "confidence", "since_s", "until_s", "evidence"])
        told = shadow_history(self._station.log.between(start, end, kinds=[PROMOTED, EXPIRED]))
        told = told.take(pa.array(np.arange(told.num_rows)[::-1][:SETTLED_KEPT]))
        state = pc.replace_substring(told["kind"], "shadow.", "")
        settled = pa.table({
            "state": state, **{name: told[name].cast(now.schema.field(name).type) for name in ("a", "b", "confidence",
            "since_s")}, "until_s": pc.divide(told["time"].cast(pa.int64()).cast(pa.float64()), 1e6),
            "evidence": told["evidence"].cast(pa.string()),
        })  # fmt: skip
        supposed = now.add_column(0, "state", pa.array(["supposed"] * now.num_rows, pa.string()))
        table = pa.concat_tables([supposed, settled.select(supposed.column_names)])
        return table.append_column("node", table["a"])


def _told_as(identity: str) -> str:
    """What of an identity stands in a payload: of a service its port, of a rule its signature, else all of it."""
    return identity.split("/")[-1] if "/" in identity else re.sub(r"^\d+:(\d+)$", r"\1", identity)


def _utc(moment_s: float) -> pd.Timestamp:
    return pd.Timestamp(moment_s, unit="s", tz="UTC")
