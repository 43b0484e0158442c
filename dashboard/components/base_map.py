"""The empty map: a Web Mercator figure with coastlines and borders that ship with the project.

It keeps metres square, reports the view once it rests, and draws the coast at the resolution the
view asks for. It knows nothing of fields or emitters, and needs no tile server; online tiles are an
option that stays off until someone turns it on.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
from bokeh.models import (
    BoxZoomTool,
    ColumnDataSource,
    CustomJS,
    PanTool,
    Range1d,
    ResetTool,
    WheelZoomTool,
    WMTSTileSource,
)
from bokeh.models.glyphs import Line
from bokeh.plotting import figure

from dashboard.theme import ASSETS, THEMES
from data.land import lines
from engine.geo import inverse_web_mercator, web_mercator

View = tuple[float, float, float, float]
"""West, south, east, north in Web Mercator metres."""

TILES_URL = "https://tile.openstreetmap.org/{Z}/{X}/{Y}.png"
"""Online tiles, fetched by the browser only when the viewer turns them on."""

LABELS_PX = 62
"""Room for latitudes with two decimals, whatever is in view: the frame does not change its width as labels do."""

_MAP_JS = (ASSETS / "map.js").read_text()


def view_of_degrees(west: float, south: float, east: float, north: float) -> View:
    """A view in metres from bounds in degrees."""
    (x0, x1), (y0, y1) = web_mercator([south, north], [west, east])
    return float(x0), float(y0), float(x1), float(y1)


def degrees_of_view(view: View) -> tuple[float, float, float, float]:
    """Bounds in degrees (west, south, east, north) of a view in metres, cut to the world."""
    lat, lon = inverse_web_mercator(np.array([view[0], view[2]]), np.array([view[1], view[3]]))
    return (
        float(np.clip(lon[0], -180, 180)), float(np.clip(lat[0], -85.06, 85.06)),
        float(np.clip(lon[1], -180, 180)), float(np.clip(lat[1], -85.06, 85.06)),
    )  # fmt: skip


@lru_cache(maxsize=64)
def _land(west: int, south: int, east: int, north: int, resolution: str) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Lines in a window of whole degrees as NaN-separated float32 columns, shared by all sessions."""
    out = {}
    for name, poly in lines(resolution, (west, south, east, north)).items():
        x, y = web_mercator(poly.lat, poly.lon)
        # A gap before each polyline but the first keeps one glyph for all of them: the cheapest to send.
        cuts = poly.offsets[1:-1]
        out[name] = (np.insert(x, cuts, np.nan).astype(np.float32), np.insert(y, cuts, np.nan).astype(np.float32))
    return out


def land_for(view: View) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Coastlines and borders for a view and half a view around it, at a fitting resolution."""
    west, south, east, north = degrees_of_view(view)
    width = east - west
    resolution = "10m" if width < 12 else "50m" if width < 70 else "110m"
    margin = max(0.5 * width, 1.0)
    step = 10 if width > 20 else 2
    low = [int(np.floor((v - margin) / step) * step) for v in (west, south)]
    high = [int(np.ceil((v + margin) / step) * step) for v in (east, north)]
    return _land(max(low[0], -180), max(low[1], -90), min(high[0], 180), min(high[1], 90), resolution)


class BaseMap:
    """A Bokeh figure with coast, borders and a view that the server hears of.

    Parameters
    ----------
    view : View
        Bounds to show, Web Mercator metres; they stay inside the window whatever its shape.
    theme : str
        ``light`` or ``dark``.
    on_view : callable (View) -> None
        Called when the viewer's pan or zoom has come to rest.
    prompt : bool
        Whether views are reported while the hand still moves, one at a time: the next when `answer` was called.
    """

    def __init__(self, view: View, theme: str, on_view: Callable[[View], None], *, prompt: bool = False) -> None:
        self.view = view
        self._reported = 0
        self._answered = ColumnDataSource(data={"n": [0]}) if prompt else None
        self._on_view = on_view
        x_range, y_range = Range1d(start=view[0], end=view[2]), Range1d(start=view[1], end=view[3])
        # The browser's every small step must not come back as a message: only the resting view does.
        x_range.syncable = y_range.syncable = False
        wheel = WheelZoomTool(zoom_on_axis=False)
        self.figure = figure(
            x_range=x_range, y_range=y_range, x_axis_type="mercator", y_axis_type="mercator",
            sizing_mode="stretch_both", tools=[PanTool(), wheel, BoxZoomTool(match_aspect=True), ResetTool()],
            active_scroll=wheel, toolbar_location="above", min_border=4, min_border_left=LABELS_PX,
            output_backend="canvas",
            x_axis_label="Longitude (°)", y_axis_label="Latitude (°)", lod_threshold=None,
        )  # fmt: skip
        self.figure.toolbar.logo = None
        self.figure.toolbar.autohide = True
        self.viewport = ColumnDataSource(data={"v": []})
        self.home = ColumnDataSource(data={"v": list(view)})
        self.viewport.on_change("data", self._viewport_changed)
        self._land_shown: object = None
        self.land = {name: ColumnDataSource(data={"x": [], "y": []}) for name in ("borders", "coastline")}
        self._land_lines = {
            "borders": self.figure.add_glyph(self.land["borders"], Line(x="x", y="y", line_width=0.9)),
            "coastline": self.figure.add_glyph(self.land["coastline"], Line(x="x", y="y", line_width=1.3)),
        }
        self._tiles: Any = None
        self._wire_browser()
        self.draw_land()
        self.set_theme(theme)

    def set_theme(self, name: str) -> None:
        """Recolour the map in place."""
        p, f = THEMES[name], self.figure
        f.background_fill_color = p.map_background
        f.border_fill_color = p.surface
        f.outline_line_color = p.line
        for axis in f.axis:
            axis.axis_label_text_color = p.muted
            axis.major_label_text_color = p.muted
            axis.axis_line_color = axis.major_tick_line_color = p.line
            axis.minor_tick_line_color = None
            axis.axis_label_text_font_style = "normal"
            axis.axis_label_text_font_size = axis.major_label_text_font_size = "11px"
        for grid in f.grid:
            grid.grid_line_color = p.coast
            grid.grid_line_alpha = 0.14
        self._land_lines["borders"].glyph.line_color = p.border
        self._land_lines["coastline"].glyph.line_color = p.coast

    def set_view(self, view: View) -> None:
        """Show other bounds, to which a double click then comes back."""
        self.view = view
        self.home.data = {"v": list(view)}
        self.figure.x_range.update(start=view[0], end=view[2])
        self.figure.y_range.update(start=view[1], end=view[3])
        self.draw_land()

    def show_tiles(self, on: bool) -> None:
        """Draw online tiles under everything, or take them away; nothing is fetched while they are off."""
        if on and self._tiles is None:
            source = WMTSTileSource(url=TILES_URL, attribution="© OpenStreetMap contributors")
            self._tiles = self.figure.add_tile(source, alpha=0.6, level="image")
        elif self._tiles is not None and not on:
            self.figure.renderers.remove(self._tiles)
            self._tiles = None

    def show_earth(self, on: bool) -> None:
        """Coast, borders, grid and axes, or none of them: for a picture that is not on the map."""
        for part in (*self._land_lines.values(), *self.figure.axis, *self.figure.grid):
            part.visible = on

    def draw_land(self) -> None:
        """Send coast and borders for the view, if they are not there already."""
        land = land_for(self.view)
        if land is self._land_shown:
            return
        self._land_shown = land
        for name, source in self.land.items():
            x, y = land.get(name, (np.empty(0, np.float32), np.empty(0, np.float32)))
            source.data = {"x": x, "y": y}

    def answer(self) -> None:
        """Say that the picture of the last reported view is there: in the same message as the picture."""
        if self._answered is not None and self._answered.data["n"] != [self._reported]:
            self._answered.data = {"n": [self._reported]}

    def _viewport_changed(self, attr: str, old: object, new: dict[str, list[float]]) -> None:
        values = [float(v) for v in new.get("v", [])]
        if len(values) < 4 or not np.all(np.isfinite(values[:4])) or values[2] <= values[0] or values[3] <= values[1]:
            return
        self.view = (values[0], values[1], values[2], values[3])
        self._reported = int(values[6]) if len(values) > 6 and np.isfinite(values[6]) else self._reported + 1
        self.draw_land()
        self._on_view(self.view)

    def _wire_browser(self) -> None:
        f = self.figure
        args: dict[str, Any] = {"fig": f, "viewport": self.viewport}
        # The first callback to run brings the script along, so the map works in a notebook too.
        load = f"if (!window.scytheMap) {{ {_MAP_JS} }}\n"
        answered = "undefined"
        if self._answered is not None:
            args["answered"], answered = self._answered, "answered"
            came = CustomJS(args=args, code="window.scytheMap && scytheMap.answer(fig, viewport, answered)")
            self._answered.js_on_change("data", came)
        fit = CustomJS(args=args, code=load + f"scytheMap.fit(fig, viewport, false, {answered})")
        f.js_on_change("inner_width", fit)
        f.js_on_change("inner_height", fit)
        moved = CustomJS(args=args, code=f"window.scytheMap && scytheMap.moved(fig, viewport, {answered})")
        for axis_range in (f.x_range, f.y_range):
            axis_range.js_on_change("start", moved)
            axis_range.js_on_change("end", moved)
        go_home = CustomJS(
            args={**args, "home": self.home},
            code="const v = home.data.v; fig.x_range.setv({start: v[0], end: v[2]});"
            "fig.y_range.setv({start: v[1], end: v[3]});"
            f"window.scytheMap && scytheMap.fit(fig, viewport, true, {answered})",
        )
        if self._answered is not None:
            f.js_on_event("panstart", CustomJS(args={"fig": f}, code="window.scytheMap && scytheMap.drag(fig)"))
            f.js_on_event("panend", CustomJS(args=args, code="window.scytheMap && scytheMap.rest(fig, viewport)"))
        f.js_on_event("doubletap", go_home)
        f.js_on_event("reset", go_home)
        self.home.js_on_change("data", go_home)
