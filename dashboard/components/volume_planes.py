"""Slice and section of the volume: a map at one height, and a wall of heights along a line drawn on that map."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import panel as pn
from bokeh.events import Tap
from bokeh.models import ColumnDataSource, CustomJS, LinearColorMapper, PlainText, Range1d
from bokeh.models.glyphs import Image, Line, Scatter

from dashboard.components.base_map import BaseMap, View, view_of_degrees
from dashboard.components.figure_style import chart, restyle
from dashboard.components.volume_state import VolumeState
from dashboard.theme import ASSETS, THEMES, colours
from engine.frames.volume_frame import placed_table
from engine.frames.volume_planes import PlanesFrame
from engine.geo import inverse_web_mercator, web_mercator
from engine.rf.volume import TOP_M

_LAYERS = ("field", "forecast")
_EMPTY: dict[str, Any] = {"image": [], "x": [], "y": [], "dw": [], "dh": []}

_READ = (ASSETS / "volume_planes.js").read_text()
"""The bytes under the pointer as dBm; a click asks for the exact value."""

_LEFT = 'const box = document.getElementById("readout"); if (box) box.textContent = ""'


class VolumePlanes:
    """The slice's map and the section's figure, drawn from one frame.

    Parameters
    ----------
    state : VolumeState
        What to show; the map writes the view into it.
    on_place : callable (lat, lon, alt_m or None)
        A click: on the map without a height, in the section with one.
    """

    def __init__(self, state: VolumeState, on_place: Callable[[float, float, float | None], None]) -> None:
        self.state, self._on_place = state, on_place
        self.frame: PlanesFrame | None = None
        self._length_km = 0.0
        self.base = BaseMap(
            view_of_degrees(state.west, state.south, state.east, state.north), state.theme, self._viewed
        )
        self.section = chart(
            state.theme, x_range=Range1d(start=0.0, end=1.0), y_range=Range1d(start=0.0, end=TOP_M / 1e3),
            x_axis_label="Along the line, A to B (km)", y_axis_label="Altitude (km)", sizing_mode="stretch_both",
        )  # fmt: skip
        self.scale = ColumnDataSource(data={"alt": [0]}, tags=[-75.0, -40.0, "dBm"])
        self.sources: dict[str, dict[str, ColumnDataSource]] = {}
        self.images: dict[str, dict[str, Any]] = {}
        self._mappers: list[tuple[str, LinearColorMapper]] = []
        for where, figure in (("map", self.base.figure), ("section", self.section)):
            self.sources[where], self.images[where] = {}, {}
            for name in _LAYERS:
                mapper = LinearColorMapper(palette=colours(name, state.theme), low=-0.5, high=255.5)
                self._mappers.append((name, mapper))
                source = self.sources[where][name] = ColumnDataSource(data=_EMPTY)
                glyph = Image(image="image", x="x", y="y", dw="dw", dh="dh", color_mapper=mapper)
                self.images[where][name] = figure.add_glyph(source, glyph, level="image")
            layers = [["field", self.images[where]["field"]], ["predicted", self.images[where]["forecast"]]]
            read = CustomJS(args={"layers": layers, "scale": self.scale, "where": where}, code=_READ)
            figure.js_on_event("mousemove", read)
            figure.js_on_event("mouseleave", CustomJS(code=_LEFT))
        self.line = ColumnDataSource(data={"x": [], "y": [], "end": []})
        self.emitters = ColumnDataSource(data={"x": [], "y": []})
        self.dot = {
            "map": ColumnDataSource(data={"x": [], "y": []}),
            "section": ColumnDataSource(data={"x": [], "y": []}),
        }
        drawn = CustomJS(code="document.getElementById('picture')?.classList.remove('busy')")
        self.sources["map"]["field"].js_on_change("data", drawn)
        self.marks: list[Any] = [
            self.base.figure.add_glyph(self.line, Line(x="x", y="y", line_width=2.0)),
            self.base.figure.add_glyph(self.line, Scatter(x="x", y="y", size=8)),
        ]
        self._points = self.base.figure.add_glyph(self.emitters, Scatter(x="x", y="y", size=4, line_width=0.5))
        self._dots: list[Any] = [
            self.base.figure.add_glyph(self.dot["map"], Scatter(x="x", y="y", marker="cross", size=13, line_width=2)),
            self.section.add_glyph(self.dot["section"], Scatter(x="x", y="y", marker="cross", size=13, line_width=2)),
        ]
        self.base.figure.on_event(Tap, self._tapped_map)
        self.section.on_event(Tap, self._tapped_section)
        self.map_pane = pn.pane.Bokeh(self.base.figure, sizing_mode="stretch_both", margin=0)
        self.section_pane = pn.pane.Bokeh(self.section, sizing_mode="stretch_both", margin=0)
        self.style()

    def style(self) -> None:
        """Take over theme, layers and limits."""
        s, p = self.state, THEMES[self.state.theme]
        self.base.set_theme(s.theme)
        restyle(self.section, s.theme)
        for name, mapper in self._mappers:
            mapper.palette = colours(name, s.theme)
        for images in self.images.values():
            images["field"].visible, images["forecast"].visible = s.show_field, s.show_forecast
        self._points.visible = s.show_emitters
        self._points.glyph.update(fill_color=p.emitter, line_color=p.emitter_edge)
        self.marks[0].glyph.line_color = self.marks[1].glyph.fill_color = p.coast
        self.marks[1].glyph.line_color = p.emitter_edge
        for dot in self._dots:
            dot.glyph.line_color = p.selected

    def draw(self, frame: PlanesFrame, unit: str) -> None:
        """Draw a frame: only what differs is sent."""
        self.frame = frame
        spec, v = frame.spec, frame.spec.volume
        (west, east), (south, north) = web_mercator([v.south, v.north], [v.west, v.east])
        length_km = float(frame.along["distance"][-1]) / 1e3
        for k, name in enumerate(_LAYERS):
            _send(self.sources["map"][name], frame.slice[k], (west, south, east - west, north - south))
            # Rows and columns of the section are points: each cell reaches half a step around its own.
            rows, columns = frame.section[k].shape
            dx, dy = length_km / (columns - 1), TOP_M / 1e3 / (rows - 1)
            _send(self.sources["section"][name], frame.section[k], (-dx / 2, -dy / 2, length_km + dx, TOP_M / 1e3 + dy))
        if self._length_km != length_km:
            self._length_km = length_km
            self.section.x_range.update(start=0.0, end=length_km)
        self.scale.tags = [v.low_dbm, v.high_dbm, unit]
        if self.scale.data["alt"] != [spec.alt_m]:
            self.scale.data = {"alt": [spec.alt_m]}
        self._axis_words()
        table = placed_table(frame.tracks, frame.now)
        x, y = web_mercator(table["lat"].to_numpy(dtype=float), table["lon"].to_numpy(dtype=float))
        self.emitters.data = {"x": x, "y": y}

    def mark(self, probe: tuple[float, ...]) -> None:
        """Show the line of the section and the point whose value is told."""
        lat0, lon0, lat1, lon1 = self.state.section_line
        x, y = web_mercator([lat0, lat1], [lon0, lon1])
        data = {"x": list(map(float, x)), "y": list(map(float, y)), "end": ["A", "B"]}
        if self.line.data != data:
            self.line.data = data
        px, py = web_mercator(np.array(probe[:1]), np.array(probe[1:2])) if len(probe) == 3 else (np.empty(0),) * 2
        self.dot["map"].data = {"x": px.tolist(), "y": py.tolist()}
        at = self._along(probe)
        self.dot["section"].data = {"x": [at], "y": [probe[2] / 1e3]} if at is not None else {"x": [], "y": []}

    # -- inside ---------------------------------------------------------------------------------

    def _axis_words(self) -> None:
        lat0, lon0, lat1, lon1 = self.state.section_line
        text = f"A {lat0:.2f}°, {lon0:.2f}°   to   B {lat1:.2f}°, {lon1:.2f}°   (km)"
        self.section.xaxis[0].axis_label = PlainText(text=text)

    def _along(self, probe: tuple[float, ...]) -> float | None:
        """Kilometres along the line of the point of it that is nearest to the probe, if that is near; else None."""
        if self.frame is None or len(probe) != 3:
            return None
        along = self.frame.along
        dx = (along["lon"].to_numpy() - probe[1]) * np.cos(np.radians(probe[0]))
        away = np.hypot(along["lat"].to_numpy() - probe[0], dx)
        nearest = int(away.argmin())
        return float(along["distance"][nearest]) / 1e3 if away[nearest] < 0.02 else None

    def _viewed(self, view: View) -> None:
        (south, north), (west, east) = inverse_web_mercator([view[0], view[2]], [view[1], view[3]])
        self.state.param.update(
            west=float(np.clip(west, -180, 180)), east=float(np.clip(east, -180, 180)),
            south=float(np.clip(south, -85.06, 85.06)), north=float(np.clip(north, -85.06, 85.06)),
        )  # fmt: skip

    def _tapped_map(self, event: Any) -> None:
        lat, lon = inverse_web_mercator(float(event.x), float(event.y))
        if np.isfinite(lat + lon) and abs(lat) <= 85.06 and abs(lon) <= 180:
            self._on_place(float(lat), float(lon), None)

    def _tapped_section(self, event: Any) -> None:
        if self.frame is None:
            return
        along = self.frame.along
        at = float(np.clip(event.x * 1e3, 0.0, float(along["distance"][-1])))
        lat = float(np.interp(at, along["distance"], along["lat"]))
        lon = float(np.interp(at, along["distance"], along["lon"]))
        self._on_place(lat, lon, float(np.clip(event.y * 1e3, 0.0, TOP_M)))


def _send(source: ColumnDataSource, levels: np.ndarray, place: tuple[float, float, float, float]) -> None:
    x, y, dw, dh = (float(v) for v in place)
    sent = source.data
    same = sent["image"] and [sent["x"][0], sent["y"][0], sent["dw"][0], sent["dh"][0]] == [x, y, dw, dh]
    if same and np.array_equal(sent["image"][0], levels):
        return
    source.data = {"image": [levels], "x": [x], "y": [y], "dw": [dw], "dh": [dh]}
