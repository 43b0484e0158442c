"""Where nodes stand: by a layout that is worked on in the background, or at their positions on earth.

A graph of the past is drawn with the places that its nodes had then, so that going back and forth moves nothing that
did not move. It knows layouts and snapshots; not views, events or pixels.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import xarray as xr
from numpy.typing import NDArray

from engine.geo import web_mercator
from engine.hypergraph.graph_snapshot import GraphSnapshot
from engine.hypergraph.layout import Layout
from engine.layout_worker import LayoutState, LayoutWorker

EDGE_LENGTH = 1_000.0
"""Units of the layout space per edge length of the layout: the finest cell is a thousandth of it."""

REST = 4.0
"""A layout rests so many times as long as it took before the graph is laid out again."""

REMEMBERED = 24
"""Layouts of the past kept, the older the fewer."""

REMEMBERED_NODES = 5_000_000
"""Nodes of them all together at most, 16 bytes and an id each."""

Coordinates = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Places:
    """A place for each node of a snapshot.

    Attributes
    ----------
    x, y : ndarray of float64, (n_nodes,)
        Units of the space; NaN for a node that has none (yet).
    version : int
        Equal versions and equal snapshots have equal places.
    busy : bool
        Whether a layout is being computed that these places do not have yet.
    progress : float
        How far it is, 0 to 1.
    error : str or None
        Why the last layout failed.
    epoch : int
        Goes up when everything was laid out anew; within one epoch nodes that have a place stay near it.
    early : bool
        Whether these are a first look at a layout that is being computed.
    """

    x: Coordinates
    y: Coordinates
    version: int
    busy: bool = False
    progress: float = 0.0
    error: str | None = None
    epoch: int = 0
    early: bool = False


class GraphPlaces(Protocol):
    """Gives each node of a snapshot a place."""

    def of(self, snapshot: GraphSnapshot, past: bool) -> Places:
        """Places of the nodes; `past` tells that the snapshot is not the newest and must not be laid out."""
        ...


@dataclass(frozen=True, slots=True)
class Laid:
    """One layout: where each node stood from a moment on.

    Attributes
    ----------
    since_s : float
        Moment of the graph that was laid out, s since 1970.
    seq : int
        Last event in that graph.
    version, epoch : int
        See `Places`.
    generation : int
        Of the snapshot: rows of the same generation are the same nodes; −1 when it is from another run.
    early : bool
        Whether it is a first look at a layout that is still being worked on.
    ids : pyarrow.LargeStringArray, (n,)
    x, y : ndarray of float64, (n,)
        Units of the space; NaN for nodes that an early look does not have.
    structure : bytes
        See `engine.hypergraph.Layout.structure`.
    """

    since_s: float
    seq: int
    version: int
    epoch: int
    generation: int
    early: bool
    ids: pa.LargeStringArray
    x: Coordinates
    y: Coordinates
    structure: bytes = b""

    def rows_of(self, ids: pa.Array) -> NDArray[np.int64]:
        """Row of each id, −1 where it has none."""
        return pc.fill_null(pc.index_in(ids, value_set=self.ids), -1).to_numpy().astype(np.int64)


class LayoutPlaces:
    """Places by `engine.hypergraph.Layout`, kept up to date in the background and remembered for the past.

    Parameters
    ----------
    worker : LayoutWorker
        Started and stopped by whoever makes it.
    seed : int
        The same seed and the same history of a graph give the same places.
    before : sequence of Laid
        Layouts of an earlier run, oldest first: the past is drawn with them, and the newest is gone on from.
    may_lay_out : callable () -> bool
        Asked before a layout is begun: a graph that is only half read again must not be laid out.
    """

    def __init__(
        self, worker: LayoutWorker[xr.Dataset], seed: int = 0, *, before: Sequence[Laid] = (),
        may_lay_out: Callable[[], bool] = lambda: True,
    ) -> None:  # fmt: skip
        self._worker = worker
        self._layout = Layout(seed)
        self._lock = threading.Lock()
        self._laid: list[Laid] = [replace(laid, generation=-1, early=False) for laid in before]
        self._may = may_lay_out
        self._asked: tuple[int, int, int] | None = None
        self._rest_until = 0.0
        self._aligned: tuple[tuple[int, int, int, int], Coordinates, Coordinates] | None = None
        self.on_laid: Callable[[], None] = lambda: None
        if self._laid:
            last = self._laid[-1]
            self._layout.resume(last.ids.to_pylist(), last.x / EDGE_LENGTH, last.y / EDGE_LENGTH, last.structure)

    def of(self, snapshot: GraphSnapshot, past: bool) -> Places:
        """Places of the nodes of a snapshot; a node that no layout has placed yet has none."""
        if not past:
            self._keep_up(snapshot)
        state: LayoutState[xr.Dataset] = self._worker.state
        with self._lock:
            laid = self._laid_at(snapshot.moment_s) if past else (self._laid[-1] if self._laid else None)
            busy = state.busy or state.waiting
            if laid is None:
                nothing = np.full(snapshot.n_nodes, np.nan)
                return Places(nothing, nothing, 0, busy, state.progress, state.error)
            x, y = self._align(snapshot, laid, past)
        return Places(
            x, y, laid.version, busy and not past, state.progress, state.error, laid.epoch, laid.early and not past
        )

    @property
    def version(self) -> int:
        """Goes up with each layout."""
        return self._laid[-1].version if self._laid else 0

    def laid(self) -> list[Laid]:
        """Layouts remembered, oldest first, but for one that is still being worked on."""
        with self._lock:
            return [laid for laid in self._laid if not laid.early]

    def _keep_up(self, snapshot: GraphSnapshot) -> None:
        """Ask for a layout when the graph has grown or shrunk and the last one has rested."""
        shape = (snapshot.generation, snapshot.n_nodes, snapshot.n_incidences)
        state = self._worker.state
        if not snapshot.n_nodes or shape == self._asked or state.busy or state.waiting:
            return
        if time.monotonic() < self._rest_until or not self._may():
            return
        self._asked = shape

        def job(*, progress: Callable[[float], None], cancel: Callable[[], bool]) -> xr.Dataset:
            started = time.monotonic()
            column = snapshot.nodes["id"].combine_chunks()
            weights = np.maximum(snapshot.edge("weight"), 0.0)[snapshot.incidence_edge]

            def tell(result: xr.Dataset) -> None:
                self._remember(snapshot, column, result)
                self.on_laid()

            try:
                result = self._layout.update(
                    pd.Index(column.to_pylist(), dtype=object), snapshot.incidence_node, snapshot.incidence_edge,
                    weights, progress=progress, cancel=cancel, early=tell,
                )  # fmt: skip
            finally:
                self._rest_until = time.monotonic() + REST * (time.monotonic() - started)
            tell(result)
            return result

        self._worker.request(job)

    def _remember(self, snapshot: GraphSnapshot, ids: pa.LargeStringArray, result: xr.Dataset) -> None:
        x, y = (EDGE_LENGTH * result[name].to_numpy() for name in ("x", "y"))
        early = bool(result.attrs.get("early", False))
        with self._lock:
            last = self._laid[-1] if self._laid else None
            laid = Laid(
                snapshot.moment_s, snapshot.seq, 1 + (last.version if last else 0),
                (last.epoch if last else 0) + bool(result.attrs["fresh"]), snapshot.generation, early, ids, x, y,
                b"" if early else self._layout.structure,
            )  # fmt: skip
            if last is not None and last.early:
                self._laid.pop()
            self._laid = thinned([*self._laid, laid])

    def _laid_at(self, moment_s: float) -> Laid | None:
        before = [laid for laid in self._laid if laid.since_s <= moment_s]
        return before[-1] if before else (self._laid[0] if self._laid else None)

    def _align(self, snapshot: GraphSnapshot, laid: Laid, past: bool) -> tuple[Coordinates, Coordinates]:
        key = (laid.version, laid.generation, snapshot.generation, snapshot.n_nodes)
        if not past and self._aligned is not None and self._aligned[0] == key:
            return self._aligned[1], self._aligned[2]
        x, y = np.full((2, snapshot.n_nodes), np.nan)
        if not past and laid.generation == snapshot.generation:
            n = min(len(laid.x), snapshot.n_nodes)
            x[:n], y[:n] = laid.x[:n], laid.y[:n]
        else:
            ids = snapshot.nodes["id"].combine_chunks()
            place = laid.rows_of(ids)
            known = place >= 0
            x[known], y[known] = laid.x[place[known]], laid.y[place[known]]
            if past and not known.all():
                # What is gone by then, or was forgotten before: wherever another layout has had it.
                for other in reversed(self._laid):
                    left = np.flatnonzero(np.isnan(x))
                    if not len(left) or other is laid:
                        continue
                    place = other.rows_of(ids.take(pa.array(left)))
                    found = place >= 0
                    x[left[found]], y[left[found]] = other.x[place[found]], other.y[place[found]]
        if not past:
            self._aligned = (key, x, y)
        return x, y


def thinned(laid: list[Laid], layouts: int = REMEMBERED, nodes: int = REMEMBERED_NODES) -> list[Laid]:
    """Layouts within both bounds: of the older half every second goes, as often as needed.

    The first and the last stay, since the past before it and now have no other.
    """
    while len(laid) > 2 and (len(laid) > layouts or sum(len(one.x) for one in laid) > nodes):
        half = max(len(laid) // 2, 2)
        laid = laid[:half:2] + laid[half:]
    return laid


class MapPlaces:
    """Places on earth, Web Mercator metres; a node without a position has none."""

    def of(self, snapshot: GraphSnapshot, past: bool) -> Places:
        """Places of the nodes of a snapshot."""
        lat, lon = snapshot.node("lat").astype(np.float64), snapshot.node("lon").astype(np.float64)
        known = np.isfinite(lat + lon)
        x, y = np.full((2, len(lat)), np.nan)
        x[known], y[known] = web_mercator(np.clip(lat[known], -85.06, 85.06), lon[known])
        return Places(x, y, 0)
