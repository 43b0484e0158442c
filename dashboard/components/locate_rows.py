"""Fixes and sensors as rows of the list under the Locate map."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from dashboard.components.locate_map import SENSOR
from dashboard.components.locate_words import metres, reliability
from engine.frames.locate_frame import SQUARE_90, LocateFrame

MOST_ROWS = 200
"""Rows listed at most, the newest."""

FIX_COLUMNS = [
    {"name": "time_s", "title": "heard", "kind": "time", "means": "When the message was heard, UTC"},
    {"name": "entity", "title": "emitter", "kind": "text", "means": "Who sent it"},
    {"name": "state", "title": "position", "kind": "state", "means": "ok, or why there is no position"},
    {"name": "n_sensors", "title": "sensors", "kind": "number", "means": "Sensors whose arrival was used"},
    {"name": "error_m", "title": "from report", "kind": "number", "means": "Distance to the reported position"},
    {"name": "inside", "title": "in 90 %", "kind": "text", "means": "Report inside the 90 % ellipse of fix and report"},
    {"name": "ellipse_m", "title": "90 % ellipse", "kind": "number", "means": "Semi-axes of the claimed 90 % ellipse"},
    {"name": "gdop", "title": "GDOP", "kind": "number", "means": "In space, per unit of range, height free"},
    {"name": "reliability", "title": "reliability", "kind": "number",
     "means": "By how many σ one wrong arrival can shift it unnoticed; ∞: nothing is left to check with"},
]  # fmt: skip

SENSOR_COLUMNS = [
    {"name": "sensor", "title": "sensor", "kind": "text", "means": "Its name"},
    {"name": "state", "title": "in use", "kind": "state", "means": "Whether its arrivals take part"},
    {"name": "sensor_type", "title": "type", "kind": "text", "means": "As its owner tells"},
    {"name": "heard", "title": "messages", "kind": "number", "means": "Messages heard within the time listed"},
    {"name": "farthest_m", "title": "farthest", "kind": "number", "means": "Distance to the farthest it heard"},
    {"name": "residual_ns", "title": "residual", "kind": "number", "means": "Median size of its residuals"},
    {"name": "alt_m", "title": "height", "kind": "number", "means": "Above the ellipsoid"},
]


def fix_rows(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Fixes, newest first."""
    return [_fix_row(one) for one in table.iloc[::-1].head(MOST_ROWS).to_dict("records")]


def listed(frame: LocateFrame, which: str) -> pd.DataFrame:
    """The fixes of a list: the newest of each emitter, all, or those without a position."""
    table = frame.fixes.table
    if which == "newest":
        return frame.newest.sort_values("time_s", kind="stable")
    return table[~table["ok"]] if which == "failed" else table


def sensor_rows(frame: LocateFrame) -> list[dict[str, Any]]:
    """Sensors, those that hear most first."""
    table = frame.sensors.sort_values("heard", ascending=False, kind="stable")
    return [
        {
            "key": f"{SENSOR}{one['sensor']}", "css": "quiet" if one["on"] else "muted", "sensor": str(one["sensor"]),
            "state": "on" if one["on"] else "off", "sensor_type": str(one["sensor_type"]), "heard": int(one["heard"]),
            "farthest_m": _plain(one["farthest_m"]), "farthest_m_text": metres(float(one["farthest_m"])),
            "residual_ns": _plain(one["residual_ns"]), "residual_ns_text": _number(one["residual_ns"], ".0f", " ns"),
            "alt_m": _plain(one["alt_m"]), "alt_m_text": _number(one["alt_m"], ".0f", " m"),
        }
        for one in table.head(MOST_ROWS).to_dict("records")
    ]  # fmt: skip


def _fix_row(one: dict[str, Any]) -> dict[str, Any]:
    square = float(one["square"])
    axes = f"{metres(float(one['ellipse_major_m']))} × {metres(float(one['ellipse_minor_m']))}" if one["ok"] else "–"
    return {
        "key": str(one["key"]), "css": "quiet" if one["ok"] else "raised", "time_s": float(one["time_s"]),
        "entity": str(one["entity"]), "state": str(one["reason"]), "n_sensors": int(one["n_sensors"]),
        "error_m": _plain(one["error_m"]), "error_m_text": metres(float(one["error_m"])),
        "inside": "" if not np.isfinite(square) else "yes" if square <= SQUARE_90 else "no",
        "ellipse_m": _plain(one["ellipse_major_m"]), "ellipse_m_text": axes,
        "gdop": _plain(one["gdop"]), "gdop_text": _number(one["gdop"], ".3g"),
        "reliability": _plain(one["external_reliability"]),
        "reliability_text": reliability(float(one["external_reliability"])),
    }  # fmt: skip


def _plain(value: Any) -> float | None:
    return float(value) if np.isfinite(value) else None


def _number(value: Any, form: str, unit: str = "") -> str:
    return f"{float(value):{form}}{unit}" if np.isfinite(value) else "–"
