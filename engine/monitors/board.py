"""Results of monitors as series over time: the fold behind the small multiples of the Drift page.

It folds `monitor.result`, `monitor.failed` and `monitor.recovered`; what a moment of the past showed is the same fold
over the events up to that moment. It computes no result and draws nothing.
"""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from engine.events.payload import payload_columns
from engine.monitors.vocabulary import FAILED, RECOVERED, RESULT, RESULT_FIELDS

KEPT_RESULTS = 720
"""Results kept of each series: half a day at one a minute."""

KEPT_SERIES = 1_000
"""Series kept; the one heard from longest ago gives way."""

SERIES_COLUMNS = ("time", "value", "threshold", "state", "label", "n", "change")


@dataclass(frozen=True, slots=True)
class MonitorStatus:
    """How one monitor is, as the events tell.

    Attributes
    ----------
    monitor : str
    state : {"ok", "failed"}
    since_s : float
        Epoch seconds of the last change of `state`, or of the first result.
    error : str
        Why it is out; empty where it is not.
    retries : int
        Restarts so far.
    last_s : float
        Event time of its last result, epoch seconds; 0 before the first.
    """

    monitor: str
    state: str = "ok"
    since_s: float = 0.0
    error: str = ""
    retries: int = 0
    last_s: float = 0.0


class MonitorBoard:
    """The last results of every monitor, by metric or cluster.

    Parameters
    ----------
    kept : int
        Results kept of each series.
    max_series : int

    Examples
    --------
    >>> board = MonitorBoard()
    >>> board.series("gate", "reinforcement_gini").empty
    True
    """

    def __init__(self, kept: int = KEPT_RESULTS, max_series: int = KEPT_SERIES) -> None:
        self._kept, self._max_series = kept, max_series
        self._series: OrderedDict[tuple[str, str], deque[dict[str, Any]]] = OrderedDict()
        self._status: dict[str, MonitorStatus] = {}
        self._lock = threading.Lock()
        self.version = 0

    def apply(self, events: pa.Table) -> None:
        """Fold one event batch; events of other kinds change nothing."""
        mine = events.filter(pc.is_in(events["kind"], pa.array([RESULT, FAILED, RECOVERED])))
        if not mine.num_rows:
            return
        fields = payload_columns(mine, {**RESULT_FIELDS, "error": str, "retries": float})
        times = mine["time"].cast(pa.int64()).to_numpy() * 1e-6
        kinds, entities = mine["kind"].to_pylist(), mine["entity"].to_pylist()
        places = list(zip(mine["lat"].to_pylist(), mine["lon"].to_pylist(), strict=True))
        with self._lock:
            for row, (kind, entity) in enumerate(zip(kinds, entities, strict=True)):
                found = {name: values[row] for name, values in fields.items()}
                if kind == RESULT:
                    self._take_result(
                        entity, float(times[row]), {**found, "lat": places[row][0], "lon": places[row][1]}
                    )
                else:
                    self._take_status(kind, entity, float(times[row]), found)
            self.version += 1

    def monitors(self) -> list[MonitorStatus]:
        """How each monitor is, by name."""
        with self._lock:
            return [self._status[name] for name in sorted(self._status)]

    def entities(self, monitor: str) -> list[str]:
        """Metrics or clusters that a monitor has a series of, the newest last."""
        with self._lock:
            return [entity for name, entity in self._series if name == monitor]

    def series(self, monitor: str, cluster: str) -> pd.DataFrame:
        """One series, oldest first.

        Parameters
        ----------
        monitor : str
        cluster : str
            A cluster, or the name of a metric where the monitor is about the whole graph.

        Returns
        -------
        DataFrame
            time (UTC), value, threshold (NaN: none), state, label, n, change (true where the level changed there);
            the unit is in ``attrs["unit"]``.
        """
        with self._lock:
            rows = list(self._series.get((monitor, cluster), ()))
        out = pd.DataFrame(rows, columns=[*SERIES_COLUMNS, "unit"])
        unit = out.pop("unit")
        out["time"] = pd.to_datetime(out["time"], unit="s", utc=True)
        out.attrs["unit"] = str(unit.iloc[-1]) if len(unit) else ""
        return out

    def latest(self) -> pd.DataFrame:
        """The last result of every series: monitor, entity, metric, time, value, unit, threshold, state, label, …"""
        with self._lock:
            rows = [{"monitor": monitor, "entity": entity, **kept[-1]} for (monitor, entity), kept in
                    self._series.items()]  # fmt: skip
        columns = [
            "monitor", "entity", "metric", *SERIES_COLUMNS, "unit", "window_s", "trend_per_h", "since_s", "responsible",
            "version", "lat", "lon",
        ]  # fmt: skip
        out = pd.DataFrame(rows, columns=columns)
        out["time"] = pd.to_datetime(out["time"], unit="s", utc=True)
        return out.sort_values(["monitor", "entity"], ignore_index=True)

    def _take_result(self, entity: str, time_s: float, found: dict[str, Any]) -> None:
        monitor = str(found["monitor"] or "")
        key = (monitor, entity)
        kept = self._series.get(key)
        if kept is None:
            kept = self._series[key] = deque(maxlen=self._kept)
        self._series.move_to_end(key)
        if len(self._series) > self._max_series:
            self._series.popitem(last=False)
        found = {**found, "n": int(np.nan_to_num(found["n"])), "change": bool(found["change"])}
        kept.append({**{k: v for k, v in found.items() if k not in ("error", "retries", "monitor")}, "time": time_s})
        before = self._status.get(monitor, MonitorStatus(monitor, since_s=time_s))
        self._status[monitor] = MonitorStatus(
            monitor, before.state, before.since_s, before.error, before.retries, max(before.last_s, time_s)
        )

    def _take_status(self, kind: str, monitor: str, time_s: float, found: dict[str, Any]) -> None:
        before = self._status.get(monitor, MonitorStatus(monitor))
        failed = kind == FAILED
        self._status[monitor] = MonitorStatus(
            monitor, "failed" if failed else "ok", before.since_s if failed and before.state == "failed" else time_s,
            str(found["error"] or "") if failed else "", int(np.nan_to_num(found["retries"])), before.last_s,
        )  # fmt: skip
