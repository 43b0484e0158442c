"""Clusters of a live stream: found anew on a schedule of event time, kept under lasting names.

A fold: events in, and between the runs a look-up of which cluster an entity is in, as monitors group by it. What it
does with the same events does not depend on how they were cut into batches.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Mapping, Sequence
from itertools import pairwise
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import xarray as xr

from engine.events.schema import DRILL_ENDED, FIX, ended_drills
from engine.hypergraph.clusters import clusters
from engine.hypergraph.clusters_features import host_features
from engine.hypergraph.clusters_labels import MAX_HDBSCAN, MIN_SIZE, Method
from engine.hypergraph.clusters_track import ClusterTracker

STEP_S = 300.0
"""Time between two runs, s."""

WINDOW_S = 900.0
"""Events that a run looks at are at most so old, s."""

MAX_EVENTS = 200_000
"""Events kept; of more the newest."""

MAX_PENDING = 1_000
"""Event rows of changes kept for who takes them."""


class ClusterFold(ABC):
    """Clusters the entities of recent events once per step of event time.

    What a drill played is gone with the drill's end: the clusters are then found anew at once.

    Parameters
    ----------
    step_s, window_s : float
        Time between runs, and age of the events that count, s.
    method, min_size, min_samples, eps
        See `clusters`.

    Attributes
    ----------
    version : int
        Grows whenever any entity changes its cluster.
    found : xarray.Dataset or None
        Clusters of the last run as `clusters` gives them, with the coordinate `identity` over `cluster_id` and the
        attribute `at_s`.
    left_out : int
        Entities that the last run had no room for.
    """

    name: ClassVar[str]

    def __init__(
        self, *, step_s: float = STEP_S, window_s: float = WINDOW_S, method: Method = "hdbscan",
        min_size: int = MIN_SIZE, min_samples: int | None = None, eps: float | None = None,
    ) -> None:  # fmt: skip
        if not (step_s > 0.0 and window_s > 0.0):
            raise ValueError(f"step_s is {step_s} and window_s {window_s}; both must be more than 0")
        self.step_s, self.window_s = float(step_s), float(window_s)
        self._how: dict[str, Any] = {"method": method, "min_size": min_size, "min_samples": min_samples, "eps": eps}
        self._tracker = ClusterTracker(name=self.name)
        self._kept: deque[pa.Table] = deque()
        self._step: int | None = None
        self._clock_s = -math.inf
        self._state: tuple[int, Mapping[str, str]] = (0, MappingProxyType({}))
        self._pending: deque[pa.Table] = deque()
        self.found: xr.Dataset | None = None
        self.left_out = 0

    @property
    def version(self) -> int:
        """Grows whenever any entity changes its cluster."""
        return self._state[0]

    def clusters_of(self, entities: Sequence[str]) -> list[str | None]:
        """Cluster of each entity, ``name:identity``; None for one that is in none. From any thread."""
        mapping = self._state[1]
        return [mapping.get(entity) for entity in entities]

    def mapping(self) -> Mapping[str, str]:
        """All entities that are in a cluster, and which; read-only, replaced as a whole by the next run."""
        return self._state[1]

    def apply(self, events: pa.Table) -> None:
        """Fold one event batch in log order, and run when event time passes a step."""
        if not events.num_rows:
            return
        time_s = events["time"].cast(pa.int64()).to_numpy() * 1e-6
        clock = np.maximum.accumulate(np.maximum(time_s, self._clock_s))
        steps = np.floor(clock / self.step_s).astype(np.int64)
        ends = np.flatnonzero(pc.equal(events["kind"], DRILL_ENDED).to_numpy(zero_copy_only=False)) + 1
        edges = sorted({0, *(np.flatnonzero(np.diff(steps)) + 1).tolist(), *ends.tolist(), len(steps)})
        for first, last in pairwise(edges):
            self.advance(float(steps[first]) * self.step_s)
            part = events.slice(first, last - first)
            mine = self._needed(part)
            if mine.num_rows:
                self._kept.append(mine)
            for prefix in ended_drills(part):
                self._forget(prefix, float(clock[last - 1]))
        self._clock_s = float(clock[-1])

    def advance(self, now_s: float) -> None:
        """Let event time pass; runs once if that passes a step, at its beginning."""
        if not math.isfinite(now_s):
            raise ValueError(f"now_s is {now_s}; epoch seconds are needed")
        step = math.floor(now_s / self.step_s)
        if self._step is not None and step > self._step:
            self._run(step * self.step_s)
        self._step = step if self._step is None else max(step, self._step)

    def take(self) -> list[pa.Table]:
        """What changed since the last call: event tables of kinds ``cluster.*``, oldest first."""
        told = list(self._pending)
        self._pending.clear()
        return told

    @abstractmethod
    def _needed(self, events: pa.Table) -> pa.Table:
        """The events that count, with the columns that a run needs, `time` and `entity` among them."""

    @abstractmethod
    def _columns(self, window: pa.Table) -> tuple[list[str], dict[str, Any]]:
        """Ids in an order of their own, and what `clusters` needs of them."""

    def _run(self, at_s: float) -> None:
        window = self._window(at_s)
        ids, columns = self._columns(window) if window.num_rows else ([], {"lat": [], "lon": []})
        found = clusters(**columns, **self._how, ids=np.array(ids, dtype=object), now_s=at_s)
        tracked = self._tracker.update(ids, found["cluster"].to_numpy(), at_s)
        self.found = found.assign_coords(identity=("cluster_id", tracked.identity)).assign_attrs(at_s=at_s)
        names = {
            entity: f"{self.name}:{identity}"
            for entity, identity in zip(ids, tracked.labels.tolist(), strict=True)
            if identity >= 0
        }
        # Both at once, for readers in other threads.
        self._state = (self._tracker.version, MappingProxyType(names))
        if tracked.events.num_rows:
            self._pending.append(tracked.events)
            while sum(told.num_rows for told in self._pending) > MAX_PENDING and len(self._pending) > 1:
                self._pending.popleft()

    def _forget(self, prefix: str, now_s: float) -> None:
        kept = [table.filter(pc.invert(pc.starts_with(table["entity"], prefix))) for table in self._kept]
        dropped = sum(table.num_rows for table in self._kept) - sum(table.num_rows for table in kept)
        self._kept = deque(table for table in kept if table.num_rows)
        if dropped and self.found is not None:
            self._run(now_s)

    def _window(self, at_s: float) -> pa.Table:
        if not self._kept:
            return pa.table({"time": pa.array([], pa.timestamp("us", tz="UTC"))})
        since = pa.scalar(round((at_s - self.window_s) * 1e6), pa.int64()).cast(pa.timestamp("us", tz="UTC"))
        window = pa.concat_tables(list(self._kept))
        window = window.filter(pc.greater_equal(window["time"], since))
        window = window.slice(max(window.num_rows - MAX_EVENTS, 0)).combine_chunks()
        self._kept = deque([window] if window.num_rows else [])
        return window

    def _newest(self, names: np.ndarray, last_s: np.ndarray) -> np.ndarray:
        """Which names there is room for: those heard last."""
        room = MAX_HDBSCAN if self._how["method"] == "hdbscan" else MAX_EVENTS
        self.left_out = max(len(names) - room, 0)
        return np.sort(np.lexsort((names, -last_s))[:room])


class PositionClusters(ClusterFold):
    """Geographic clusters of emitters by where each was last heard; see `ClusterFold`.

    Examples
    --------
    >>> from engine.events.schema import event_table
    >>> fold = PositionClusters(step_s=60.0, method="dbscan", eps=10.0, min_size=2)
    >>> fixes = event_table([0, 1, 2], FIX, ["a", "b", "c"], "doc", lat=[47.0, 47.01, 0.0], lon=[8.0, 8.0, 0.0])
    >>> fold.apply(fixes)
    >>> fold.advance(60.0)
    >>> fold.clusters_of(["a", "b", "c"]), fold.version
    (['geo:0', 'geo:0', None], 1)
    """

    name: ClassVar[str] = "geo"

    def _needed(self, events: pa.Table) -> pa.Table:
        here = pc.and_(pc.is_valid(events["lat"]), pc.is_valid(events["lon"]))
        mine = pc.and_(pc.equal(events["kind"], FIX), here)
        return events.select(["time", "entity", "lat", "lon"]).filter(mine)

    def _columns(self, window: pa.Table) -> tuple[list[str], dict[str, Any]]:
        rows = window.to_pandas()
        rows["time_s"] = window["time"].cast(pa.int64()).to_numpy() * 1e-6
        # A late fix is not the newest.
        last = rows.sort_values("time_s", kind="stable").groupby("entity", sort=True).last()
        last = last.iloc[self._newest(last.index.to_numpy().astype(str), last["time_s"].to_numpy())]
        at = pd.Index(last.index).get_indexer(rows["entity"])
        return last.index.tolist(), {
            "lat": last["lat"].to_numpy(), "lon": last["lon"].to_numpy(),
            "event_node": at[at >= 0], "event_time_s": rows["time_s"].to_numpy()[at >= 0],
        }  # fmt: skip


class BehaviourClusters(ClusterFold):
    """Clusters of hosts that behave alike, by `host_features` of what they did lately; see `ClusterFold`."""

    name: ClassVar[str] = "role"

    def _needed(self, events: pa.Table) -> pa.Table:
        network = pc.and_(pc.starts_with(events["kind"], "net."), pc.not_equal(events["kind"], "net.stats"))
        return events.select(["time", "kind", "entity", "payload"]).filter(network)

    def _columns(self, window: pa.Table) -> tuple[list[str], dict[str, Any]]:
        features = host_features(window)
        events = features["log_events"].to_numpy()
        kept = features.iloc[self._newest(features.index.to_numpy().astype(str), events)]
        return kept.index.tolist(), {
            "behaviour": kept.to_numpy(),
            "activity": np.rint(np.expm1(kept["log_events"].to_numpy())),
        }
