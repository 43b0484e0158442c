"""What of a locate frame the map draws, as columns of its sources, in Web Mercator metres: pure functions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from dashboard.components.locate_words import metres
from dashboard.theme import THEMES, hex_colours, ramp
from engine.frames.locate_frame import LocateFrame
from engine.geo import offset_position, web_mercator

GAP_S = 120.0
"""A trail is broken where nothing was located for longer, s."""

FADED_S = 300.0
"""Age at which a fix is drawn faintest, s."""

ELLIPSE_POINTS = 73
"""Points of a drawn ellipse, the last one the first."""

LABELLED = 40
"""With more sensors in the picture their names are told by the pointer alone."""

_RAMPS = {
    "light": ["#faf8fd", "#ebe4f6", "#d6c9ec", "#bda8dd", "#9f82c9"],
    "dark": ["#0e0c13", "#1c142b", "#2e1f49", "#45306e", "#614a96"],
}

EMPTY: dict[str, dict[str, Any]] = {
    "field": {"image": [], "x": [], "y": [], "dw": [], "dh": []},
    "sensors": {name: [] for name in ("x", "y", "sensor", "label", "kind", "heard", "farthest", "fill")},
    "fixes": {name: [] for name in ("x", "y", "entity", "age", "error", "ellipse", "n", "alpha")},
    "trails": {"xs": [], "ys": []},
    "reports": {name: [] for name in ("x0", "y0", "x1", "y1", "alpha")},
    "lines": {name: [] for name in ("xs", "ys", "pair")},
    "ellipse": {"xs": [], "ys": []},
    "chosen": {"x": [], "y": []},
}
"""Columns of every source, without rows."""


def dilution_colours(theme: str) -> list[str]:
    """256 violets, the strongest where an emitter is located best; entry 0 (not determined) is transparent."""
    return ["#00000000", *hex_colours(ramp(_RAMPS[theme]))[1:]]


def field_columns(frame: LocateFrame) -> dict[str, Any]:
    """The field as an image."""
    if frame.levels is None:
        return dict(EMPTY["field"])
    s = frame.spec
    return {
        "image": [frame.levels], "x": [s.west_m], "y": [s.south_m], "dw": [s.east_m - s.west_m],
        "dh": [s.north_m - s.south_m],
    }  # fmt: skip


def sensor_columns(frame: LocateFrame, theme: str) -> dict[str, Any]:
    """Sensors; those that are off are hollow."""
    table = frame.sensors
    if table.empty:
        return dict(EMPTY["sensors"])
    x, y = web_mercator(table["lat"].to_numpy(np.float64), table["lon"].to_numpy(np.float64))
    p = THEMES[theme]
    names = table["sensor"].astype(str).tolist()
    return {
        "x": np.asarray(x), "y": np.asarray(y), "sensor": names,
        "label": names if len(names) <= LABELLED else [""] * len(names),
        "kind": [f"{kind}{'' if on else ', switched off'}" for kind, on in zip(table["sensor_type"], table["on"],
                                                                               strict=True)],
        "heard": [f"{n} messages" for n in table["heard"]],
        "farthest": [metres(float(v)) for v in table["farthest_m"]],
        "fill": [p.emitter if on else p.map_background for on in table["on"]],
    }  # fmt: skip


def fix_columns(newest: pd.DataFrame, moment_s: float) -> dict[str, Any]:
    """The newest fix of each emitter; it fades with age, down to a fifth after `FADED_S`."""
    if newest.empty:
        return dict(EMPTY["fixes"])
    x, y = web_mercator(newest["lat"].to_numpy(np.float64), newest["lon"].to_numpy(np.float64))
    axes = zip(newest["ellipse_major_m"], newest["ellipse_minor_m"], strict=True)
    return {
        "x": np.asarray(x), "y": np.asarray(y), "entity": newest["entity"].astype(str).tolist(),
        "age": [f"{max(moment_s - t, 0.0):.0f} s ago" for t in newest["time_s"]],
        "error": [metres(float(v)) for v in newest["error_m"]],
        "ellipse": [f"± {metres(float(a))} × {metres(float(b))}" for a, b in axes],
        "n": newest["n_sensors"].astype(int).tolist(),
        "alpha": _faded(newest, moment_s),
    }  # fmt: skip


def trail_columns(table: pd.DataFrame) -> dict[str, Any]:
    """One line per emitter through its fixes, broken where it was not located for long."""
    good = table[table["ok"]]
    if good.empty:
        return dict(EMPTY["trails"])
    x, y = web_mercator(good["lat"].to_numpy(np.float64), good["lon"].to_numpy(np.float64))
    xs, ys = [], []
    for rows in good.reset_index(drop=True).groupby("entity", sort=False).indices.values():
        times = good["time_s"].to_numpy()[rows]
        for part in np.split(rows, np.flatnonzero(np.diff(times) > GAP_S) + 1):
            if len(part) > 1:
                xs.append(np.asarray(x)[part])
                ys.append(np.asarray(y)[part])
    return {"xs": xs, "ys": ys}


def report_columns(newest: pd.DataFrame, moment_s: float) -> dict[str, Any]:
    """A short line from each fix to the position that the message reports."""
    told = newest[newest["error_m"].notna()]
    if told.empty:
        return dict(EMPTY["reports"])
    x0, y0 = web_mercator(told["lat"].to_numpy(np.float64), told["lon"].to_numpy(np.float64))
    x1, y1 = web_mercator(told["reported_lat"].to_numpy(np.float64), told["reported_lon"].to_numpy(np.float64))
    columns = zip(("x0", "y0", "x1", "y1"), (x0, y0, x1, y1), strict=True)
    return {name: np.asarray(v) for name, v in columns} | {"alpha": _faded(told, moment_s)}


def line_columns(frame: LocateFrame) -> dict[str, Any]:
    """The measured hyperbolas of the selected message."""
    xs, ys, pairs = [], [], []
    for line in frame.lines:
        if len(line.line):
            x, y = web_mercator(line.line[:, 0], line.line[:, 1])
            xs.append(np.asarray(x))
            ys.append(np.asarray(y))
            pairs.append(f"{line.sensor} less {line.reference}: {1e6 * line.tdoa_s:+.2f} µs")
    return {"xs": xs, "ys": ys, "pair": pairs}


def ellipse_columns(frame: LocateFrame) -> dict[str, Any]:
    """The 90 % ellipse of the selected message's fix, drawn where it lies on the ground."""
    one = None if frame.row < 0 else frame.fixes.table.iloc[frame.row]
    if one is None or not one["ok"]:
        return dict(EMPTY["ellipse"])
    angle = np.linspace(0.0, 2.0 * np.pi, ELLIPSE_POINTS)
    azimuth = np.radians(float(one["ellipse_azimuth_deg"]))
    along = float(one["ellipse_major_m"]) * np.cos(angle)
    across = float(one["ellipse_minor_m"]) * np.sin(angle)
    east = along * np.sin(azimuth) + across * np.cos(azimuth)
    north = along * np.cos(azimuth) - across * np.sin(azimuth)
    x, y = web_mercator(*offset_position(float(one["lat"]), float(one["lon"]), east, north))
    return {"xs": [np.asarray(x)], "ys": [np.asarray(y)]}


def chosen_columns(frame: LocateFrame) -> dict[str, Any]:
    """Where the selected message puts its emitter."""
    one = None if frame.row < 0 else frame.fixes.table.iloc[frame.row]
    if one is None or not one["ok"]:
        return dict(EMPTY["chosen"])
    x, y = web_mercator(float(one["lat"]), float(one["lon"]))
    return {"x": [float(x)], "y": [float(y)]}


def _faded(table: pd.DataFrame, moment_s: float) -> np.ndarray:
    """Opacity of fixes by their age."""
    age_s = moment_s - table["time_s"].to_numpy(np.float64)
    return np.asarray(np.clip(1.0 - 0.8 * age_s / FADED_S, 0.2, 1.0))
