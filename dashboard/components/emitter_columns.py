"""Columns that the map draws emitters from: plain arrays out of a frame, nothing of Bokeh.

Only what is in view is sent. Of a crowd (`FieldFrame.crowd`) there is a picture, and one marker: of the selected one.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from engine.frames.field_frame import FieldFrame
from engine.geo import web_mercator
from engine.rf.forecast_score import error_ellipse
from engine.rf.tracks import LAT, LON

MAX_LABELS = 80
"""With more emitters in view than this, call signs are left to the hover."""

LABEL_CHARACTERS = 12
"""Longest label on the map."""

_NUMBERS = ("x", "y", "px", "py", "angle", "alt_m", "speed", "eirp", "age")
_TEXTS = ("id", "name", "label", "marker", "assumed")

EMPTY_EMITTERS: dict[str, Any] = {**{n: np.empty(0, np.float32) for n in _NUMBERS}, **{t: [] for t in _TEXTS}}
"""Columns of no emitter."""

EMPTY_SELECTION: dict[str, dict[str, Any]] = {
    "track": {"x": np.empty(0), "y": np.empty(0)},
    "ellipse": {name: np.empty(0) for name in ("x", "y", "width", "height", "angle")},
}
"""Columns of no selection."""


def in_view(frame: FieldFrame, view: tuple[float, float, float, float]) -> np.ndarray:
    """Indices of the emitters in view."""
    x, y = frame.now_xy
    west, south, east, north = view
    dx, dy = 0.02 * (east - west), 0.02 * (north - south)
    return np.flatnonzero((x > west - dx) & (x < east + dx) & (y > south - dy) & (y < north + dy))


def emitter_columns(frame: FieldFrame, view: tuple[float, float, float, float], selected: str = "") -> dict[str, Any]:
    """One row per emitter in view, at its position carried to the moment shown; of a crowd the selected one alone.

    Returns
    -------
    dict
        float32 columns x, y, px, py (m, Web Mercator; p: predicted), angle (rad), alt_m, speed (m/s),
        eirp (dBm), age (s), and text columns id, name, label, marker, assumed.
    """
    if not len(frame.tracks) or (frame.crowd is not None and not selected):
        return EMPTY_EMITTERS
    i = in_view(frame, view)
    if frame.crowd is not None:
        i = i[frame.tracks.table["id"].to_numpy(dtype=object)[i] == selected]
    (x, y), (px, py) = frame.now_xy, frame.ahead_xy
    table = frame.tracks.table
    track = np.asarray(frame.now.track_deg)[i]
    moving = np.isfinite(track) & (np.asarray(frame.now.speed_m_s)[i] > 1.0)
    ids = table["id"].to_numpy(dtype=object)[i].astype(str)
    calls = table["callsign"].to_numpy(dtype=object)[i]
    names = [str(c) if isinstance(c, str) and c else str(n) for c, n in zip(calls, ids, strict=True)]
    assumed = table["assumed_radio"].to_numpy(dtype=bool)[i]
    numbers = {
        "x": x[i], "y": y[i], "px": px[i], "py": py[i],
        "angle": np.where(moving, -np.radians(np.nan_to_num(track)), 0.0),
        "alt_m": np.asarray(frame.now.alt_m)[i], "speed": np.asarray(frame.now.speed_m_s)[i],
        "eirp": table["eirp_dbm"].to_numpy(dtype=float)[i], "age": frame.tracks.age_s[i],
    }  # fmt: skip
    return {
        **{name: np.asarray(values, dtype=np.float32) for name, values in numbers.items()},
        "id": ids.tolist(),
        "name": names,
        "label": [_short(name) for name in names] if len(i) <= MAX_LABELS else [""] * len(i),
        "marker": np.where(moving, "triangle", "circle").tolist(),
        "assumed": np.where(assumed, "(assumed)", "").tolist(),
    }


def _short(name: str) -> str:
    """A name that does not cross the map; the hover and the inspector have it whole."""
    return name if len(name) <= LABEL_CHARACTERS else name[: LABEL_CHARACTERS - 1] + "…"


def selection_columns(frame: FieldFrame | None, selected: str) -> dict[str, dict[str, Any]]:
    """Track of the selected emitter (last fixes, now, ahead) and the 90 % ellipse of its prediction."""
    if frame is None or not selected or not len(frame.tracks):
        return EMPTY_SELECTION
    rows = np.flatnonzero(frame.tracks.table["id"].to_numpy(dtype=object) == selected)
    if not len(rows):
        return EMPTY_SELECTION
    i = int(rows[0])
    held = int(frame.tracks.count[i])
    ring = frame.tracks.ring[i, -held:]
    lat = np.concatenate([ring[:, LAT], [frame.now.lat[i], frame.ahead.lat[i]]])
    lon = np.concatenate([ring[:, LON], [frame.now.lon[i], frame.ahead.lon[i]]])
    x, y = web_mercator(lat, lon)
    a_m, b_m, bearing = error_ellipse(
        frame.ahead.var_east_m2[i], frame.ahead.var_north_m2[i], frame.ahead.cov_east_north_m2[i], probability=0.9
    )
    # Web Mercator stretches lengths by 1/cos(latitude); the bearing is clockwise from north.
    stretch = 1.0 / max(np.cos(np.radians(float(frame.ahead.lat[i]))), 1e-3)
    ellipse = {
        "x": x[-1:], "y": y[-1:],
        "width": np.array([2.0 * float(a_m) * stretch]), "height": np.array([2.0 * float(b_m) * stretch]),
        "angle": np.array([np.radians(90.0 - float(bearing))]),
    }  # fmt: skip
    return {"track": {"x": x, "y": y}, "ellipse": ellipse}
