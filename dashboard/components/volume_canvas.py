"""The rotating volume of one session: what the browser is given, and only the bytes that changed.

Panel's own VTKVolume shows one scalar volume with a user interface of its own, and sends all of it at each change.
This component loads the same bundled vtk.js and draws both fields at once; see docs/page-volume.md.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
import param
from panel.custom import JSComponent

from dashboard.components.base_map import land_for
from dashboard.components.volume_state import HOME, VolumeState
from dashboard.theme import ASSETS, THEMES, colours
from engine.frames.volume_frame import VolumeFrame
from engine.geo import web_mercator
from engine.rf.forecast import Prediction
from engine.rf.volume import TOP_M


class VolumeCanvas(JSComponent):
    """Two volumes on one scale, ground, emitters, slice and section, drawn by vtk.js in the browser.

    Examples
    --------
    >>> canvas = VolumeCanvas()
    >>> canvas.volume
    {}
    """

    volume = param.Dict(default={}, doc="version, base (0: whole), nx, ny, nz and deflated bytes; see `volume.js`.")
    place = param.Dict(default={}, doc="Shape of the region and its coast and borders, as shares of its width, height.")
    points = param.Dict(default={}, doc="Emitters now and ahead as shares of the box, float32 (n, 3); selected row.")
    marks = param.List(default=[], doc="Slice as share of the height, then the ends of the section as shares.")
    ramps = param.Dict(default={}, doc="256 RGB colours of the field and of the predicted one.")
    colours = param.Dict(default={}, doc="CSS hex of lines and points by name.")
    camera = param.List(default=list(HOME), item_type=float, doc="As in the link; the viewer's hand changes it.")
    home = param.List(default=list(HOME), item_type=float, doc="Where a double click goes.")
    exaggeration = param.Number(8.0, doc="How many times heights are stretched.")
    opacity = param.Number(0.6, doc="Opacity of the strongest cells.")
    show_field = param.Boolean(True, doc="Draw the field of now.")
    show_forecast = param.Boolean(True, doc="Draw the predicted field.")
    show_emitters = param.Boolean(True, doc="Draw the emitters.")

    _esm = ASSETS / "volume.js"
    _stylesheets: ClassVar[list[str]] = [(ASSETS / "volume.css").read_text()]

    def __init__(self, **params: Any) -> None:
        self.on_action: Callable[[dict[str, Any]], None] | None = None
        self.frame: VolumeFrame | None = None
        self._region: tuple[float, ...] = ()
        params.setdefault("sizing_mode", "stretch_both")
        super().__init__(margin=0, **params)

    def _handle_msg(self, msg: Any) -> None:
        if not isinstance(msg, dict):
            return
        if msg.get("do") == "again" and self.frame is not None:
            self.volume = volume_message(self.frame, None)
        elif msg.get("do") == "camera" and (camera := checked_camera(msg.get("camera"))) is not None:
            self._tell({"do": "camera", "camera": camera})
        elif msg.get("do") == "select" and isinstance(msg.get("index"), int):
            self._tell({"do": "select", "index": msg["index"]})

    def _tell(self, action: dict[str, Any]) -> None:
        if self.on_action is not None:
            self.on_action(action)

    def draw(self, frame: VolumeFrame, selected: str) -> None:
        """Send a frame: of its cells what changed since the one that was sent, of the rest what differs."""
        changes: dict[str, Any] = {}
        before = self.frame
        if frame is not before:
            alike = before is not None and before.levels.shape == frame.levels.shape
            if not alike or before is None or not np.array_equal(before.levels, frame.levels):
                self.frame = frame
                changes["volume"] = volume_message(frame, before if alike else None)
        changes["points"] = points_of(frame, selected)
        if not self.place or self._region != _region(frame):
            self._region, changes["place"] = _region(frame), place_of(frame)
        self.param.update(**{name: v for name, v in changes.items() if getattr(self, name) != v})

    def style(self, state: VolumeState) -> None:
        """Take over the look from the state."""
        wanted = look_of(state)
        self.param.update(**{name: v for name, v in wanted.items() if getattr(self, name) != v})


def look_of(state: VolumeState) -> dict[str, Any]:
    """What of a state is the look of the volume, as parameters of `VolumeCanvas`."""
    p = THEMES[state.theme]
    return {
        "ramps": {layer: rgb_bytes(layer, state.theme) for layer in ("field", "forecast")},
        "colours": {"background": p.map_background, "coast": p.coast, "border": p.border, "muted": p.muted,
                    "emitter": p.emitter, "forecast": p.forecast, "selected": p.selected, "accent": p.coast},
        "exaggeration": float(state.exaggeration), "opacity": float(state.opacity), "show_field": state.show_field,
        "show_forecast": state.show_forecast, "show_emitters": state.show_emitters,
    }  # fmt: skip


def rgb_bytes(layer: str, theme: str) -> bytes:
    """The 256 colours of a layer as RGB bytes; opacity is the volume's own."""
    return b"".join(bytes.fromhex(colour[1:7]) for colour in colours(layer, theme))


def volume_message(frame: VolumeFrame, since: VolumeFrame | None) -> dict[str, Any]:
    """The cells of a frame for the browser: whole, or the difference to the frame it has."""
    _, nz, ny, nx = frame.levels.shape
    base = since.version if since is not None else 0
    return {"version": frame.version, "base": base, "nx": nx, "ny": ny, "nz": nz, "data": frame.packed(since)}


def checked_camera(values: Any) -> tuple[float, ...] | None:
    """A camera that a browser told, or None if it is none."""
    if not isinstance(values, (list, tuple)) or len(values) != len(HOME):
        return None
    if not all(isinstance(v, (int, float)) and math.isfinite(v) and abs(v) <= 180.0 for v in values):
        return None
    return tuple(float(v) for v in values)


def _region(frame: VolumeFrame) -> tuple[float, ...]:
    s = frame.spec
    return (s.west, s.south, s.east, s.north)


def bounds_m(frame: VolumeFrame) -> tuple[float, float, float, float]:
    """West, south, east and north of a volume in Web Mercator metres."""
    s = frame.spec
    (west, east), (south, north) = web_mercator([s.south, s.north], [s.west, s.east])
    return float(west), float(south), float(east), float(north)


def shares(frame: VolumeFrame, lat: Any, lon: Any) -> tuple[np.ndarray, np.ndarray]:
    """Places as shares of the width and the height of a volume."""
    west, south, east, north = bounds_m(frame)
    x, y = web_mercator(np.asarray(lat, dtype=float), np.asarray(lon, dtype=float))
    return (x - west) / (east - west), (y - south) / (north - south)


def place_of(frame: VolumeFrame) -> dict[str, Any]:
    """Shape of the region, and coast and borders in it."""
    west, south, east, north = bounds_m(frame)
    s = frame.spec
    scale = math.cos(math.radians(0.5 * (s.south + s.north)))
    out: dict[str, Any] = {
        "ratio": (north - south) / (east - west), "width_km": scale * (east - west) / 1e3, "top_m": TOP_M
    }  # fmt: skip
    land = land_for((west, south, east, north))
    for name in ("coastline", "borders"):
        x, y = land.get(name, (np.empty(0), np.empty(0)))
        u, v = (x - west) / (east - west), (y - south) / (north - south)
        outside = (u < 0) | (u > 1) | (v < 0) | (v > 1)
        pair = np.column_stack([np.where(outside, np.nan, u), np.where(outside, np.nan, v)]).astype(np.float32)
        # Long stretches outside are one gap.
        gap = np.isnan(pair[:, 0])
        out[name] = pair[~(gap & np.roll(gap, 1))].tobytes() if len(pair) else b""
    return out


def points_of(frame: VolumeFrame, selected: str) -> dict[str, Any]:
    """Emitters inside the box, now and ahead, and which of them is selected."""
    ids = frame.tracks.table["id"].astype(str).to_numpy(dtype=object) if len(frame.tracks) else np.empty(0, object)
    now, inside = _inside(frame, frame.now)
    ahead, _ = _inside(frame, frame.ahead)
    rows = np.flatnonzero(ids[inside] == (selected or None))
    return {"now": now.tobytes(), "ahead": ahead.tobytes(), "selected": int(rows[0]) if len(rows) else -1}


def shown_ids(frame: VolumeFrame) -> list[str]:
    """Identities of the emitters inside the box, in the order of `points_of`."""
    ids = frame.tracks.table["id"].astype(str).to_numpy(dtype=object) if len(frame.tracks) else np.empty(0, object)
    return [str(i) for i in ids[_inside(frame, frame.now)[1]]]


def _inside(frame: VolumeFrame, where: Prediction) -> tuple[np.ndarray, np.ndarray]:
    x, y = shares(frame, where.lat, where.lon)
    z = np.asarray(where.alt_m, dtype=float) / TOP_M
    inside = (x >= 0) & (x <= 1) & (y >= 0) & (y <= 1) & (z >= -0.05) & (z <= 1.0)
    return np.column_stack([x, y, np.maximum(z, 0.0)])[inside].astype(np.float32), inside
