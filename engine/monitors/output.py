"""What the runner says, as rows of events: results with change marks, alarms with their evidence, failures.

Rows are plain dictionaries until a batch is made of them. It decides nothing about alarms.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
import orjson
import pyarrow as pa

from engine.drift.change import AdaptiveWindow
from engine.drift.metric import ALERT_CLEARED, ALERT_RAISED, Metric, Transition
from engine.events.schema import SCHEMA, event_table
from engine.monitors.evidence import Evidence
from engine.monitors.vocabulary import RESULT

DRILL_PREFIX = "drill:"
"""Runs of drills are named so, and everything in them begins with the name of the run."""

MAX_DETECTORS = 1_000
"""Series whose level is watched for changes; the one heard from longest ago gives way."""


class Changes:
    """A detector of level changes for each series."""

    def __init__(self) -> None:
        self._detectors: OrderedDict[tuple[str, str], AdaptiveWindow] = OrderedDict()

    def look(self, monitor: str, entity: str, value: float) -> bool:
        """Whether the level changed with this value."""
        key = (monitor, entity)
        detector = self._detectors.get(key)
        if detector is None:
            detector = self._detectors[key] = AdaptiveWindow(max_width=240)
            if len(self._detectors) > MAX_DETECTORS:
                self._detectors.popitem(last=False)
        self._detectors.move_to_end(key)
        return bool(len(detector.update([value])))

    def forget(self, prefix: str) -> None:
        """Drop the series of all entities that begin so."""
        for key in [key for key in self._detectors if key[1].startswith(prefix)]:
            del self._detectors[key]


def drill_of(*names: str) -> str:
    """The run of the drill that the first of some names belongs to; empty where none does.

    Examples
    --------
    >>> drill_of("c1", "drill:sync_burst:7:1a2b/ring")
    'drill:sync_burst:7:1a2b'
    """
    return next((name.partition("/")[0] for name in names if name.startswith(DRILL_PREFIX)), "")


def alert_id(monitor: str, entity: str, raised_s: float) -> str:
    """Identity of an alert: who speaks, of whom, since when (µs)."""
    return f"{monitor}/{entity}/{round(raised_s * 1e6)}"


def result_rows(
    monitor: str, metrics: dict[str, tuple[Metric, str]], at_s: float, changes: Changes, evidence: Evidence,
    version: int, places: Mapping[str, tuple[float, float]] = MappingProxyType({}),
) -> list[dict[str, Any]]:  # fmt: skip
    """One row per number that a monitor has, at one moment."""
    rows = []
    for entity, (metric, label) in metrics.items():
        told = metric.state != "insufficient"
        payload = {
            "monitor": monitor, **_numbers(metric), "label": label, "version": version,
            "change": told and changes.look(monitor, entity, metric.value),
        }  # fmt: skip
        rows.append(_row(RESULT, entity, monitor, at_s, payload, places.get(entity) or evidence.place(entity)))
    return rows


def alert_rows(
    monitor: str, about: Transition | str, raised_s: float, evidence: Evidence, reason: str, version: int,
    at_s: float = 0.0,
) -> list[dict[str, Any]]:  # fmt: skip
    """The row of an alarm that changed; of one that is only given up, its entity is enough."""
    if isinstance(about, str):
        payload = {
            "monitor": monitor, "alert": alert_id(monitor, about, raised_s), "raised_s": raised_s, "reason": reason,
            "drill": drill_of(about),
        }  # fmt: skip
        return [_row(ALERT_CLEARED, about, monitor, max(at_s, raised_s), payload, None)]
    metric = about.metric
    names = [about.entity, *(name for name, _ in metric.responsible)]
    first, last = evidence.span(metric.start_s, metric.end_s)
    payload = {
        "monitor": monitor, "alert": alert_id(monitor, about.entity, raised_s), "raised_s": raised_s,
        **_numbers(metric), "label": about.label, "version": version, "parts": _shares(about.parts),
        "seqs": " ".join(map(str, evidence.seqs(names, metric.start_s))), "first_seq": first, "last_seq": last,
        "drill": drill_of(*names), "reason": "" if about.raised else reason,
    }  # fmt: skip
    place = about.place or evidence.place(about.entity)
    if place is None and metric.responsible:
        place = evidence.place(metric.responsible[0][0])
    return [_row(ALERT_RAISED if about.raised else ALERT_CLEARED, about.entity, monitor, about.time_s, payload, place)]


def failure_rows(
    kind: str, monitor: str, at_s: float, error: str, retries: int, retry_in_s: float
) -> list[dict[str, Any]]:
    """The row that says a monitor is out, or back."""
    return [_row(kind, monitor, monitor, at_s, {"error": error, "retries": retries, "retry_in_s": retry_in_s}, None)]


def table_of(rows: list[dict[str, Any]]) -> pa.Table:
    """Rows as an event batch."""
    if not rows:
        return SCHEMA.empty_table()
    return event_table(
        np.array([round(row["time_s"] * 1e6) for row in rows], np.int64),
        [row["kind"] for row in rows],
        [row["entity"] for row in rows],
        [row["source"] for row in rows],
        lat=[row.get("lat", math.nan) for row in rows],
        lon=[row.get("lon", math.nan) for row in rows],
        payload=[row.get("payload") for row in rows],
    )


def _row(
    kind: str, entity: str, monitor: str, at_s: float, payload: dict[str, Any], place: tuple[float, float] | None
) -> dict[str, Any]:
    row = {"time_s": at_s, "kind": kind, "entity": entity, "source": f"drift.{monitor}"}
    row["payload"] = orjson.dumps({key: value for key, value in payload.items() if value is not None}).decode()
    if place is not None:
        row["lat"], row["lon"] = place
    return row


def _numbers(metric: Metric) -> dict[str, Any]:
    return {
        "metric": metric.name, "value": metric.value, "unit": metric.unit,
        "threshold": metric.threshold if math.isfinite(metric.threshold) else None, "state": metric.state,
        "n": metric.n, "window_s": metric.window_s, "trend_per_h": metric.trend_per_h, "since_s": metric.since_s,
        "responsible": _shares(metric.responsible),
    }  # fmt: skip


def _shares(shares: tuple[tuple[str, float], ...]) -> str:
    return "; ".join(f"{name} {share:.3f}" for name, share in shares)
