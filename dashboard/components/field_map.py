"""The field map: one frame drawn on the base map, and kept drawn by replacing the data of its sources.

The figure is made once per session; an update touches only the columns that changed. A HoloViews
update of the same picture costs some ten times as much per viewer (docs/decisions), which with many
viewers decides everything; `field_plot` makes the HoloViews twin for notebooks and files.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import panel as pn
import param
from bokeh.models import ColumnDataSource, CustomJS, FixedTicker, HoverTool, LinearColorMapper, TapTool
from bokeh.models.annotations import ColorBar
from bokeh.models.glyphs import Ellipse, Image, Line, Scatter, Segment, Text

from dashboard.components.base_map import BaseMap, View, degrees_of_view, view_of_degrees
from dashboard.components.emitter_columns import EMPTY_EMITTERS, EMPTY_SELECTION, emitter_columns, selection_columns
from dashboard.components.field_dominance import DominanceLayer
from dashboard.state import ViewState
from dashboard.theme import THEMES, colours
from engine.frames.field_frame import FieldFrame

TRAIL_PERIOD_S = 5.0
"""Trails fade slowly, so they are sent this often only, s of shown time."""

UNITS = {"inverse_square": "dB re 1 m⁻²"}
"""Unit of the field by model."""

DOT = 255
"""Level of a dot of a crowd among those of the trails."""

_LAYERS = ("field", "forecast", "trails")

EMPTY_IMAGE: dict[str, list[Any]] = {"image": [], "x": [], "y": [], "dw": [], "dh": []}
"""Columns of no image."""


class FieldMap(pn.viewable.Viewer):
    """Map of the field now, the predicted field, trails and emitters.

    Examples
    --------
    In a notebook, with a frame at hand::

        map = FieldMap(ViewState())
        map.draw(frame)
        map
    """

    state: ViewState = param.ClassSelector(  # type: ignore[assignment]
        class_=ViewState, doc="What to show; the map writes the view and the selection into it."
    )

    def __init__(self, state: ViewState, **params: Any) -> None:
        super().__init__(state=state, **params)
        self.base = BaseMap(
            view_of_degrees(state.west, state.south, state.east, state.north), state.theme, self._viewed, prompt=True
        )
        self.frame: FieldFrame | None = None
        self._sent: dict[str, tuple[Any, float, np.ndarray]] = {}
        self._selecting = self._dotted = False
        self._styled = state.theme
        self._draw_layers()
        self._draw_emitters()
        self._pane = pn.pane.Bokeh(self.base.figure, sizing_mode="stretch_both", margin=0)
        self._restyle()
        state.param.watch(lambda *_: self._restyle(), ["theme", "limits_dbm", "model"])
        state.param.watch(lambda *_: self._toggle(), ["show_field", "show_forecast", "show_trails", "show_emitters"])
        state.param.watch(lambda *_: self.base.show_tiles(state.show_tiles), "show_tiles")
        state.param.watch(lambda *_: self._mark_selection(said=True), "selected")
        self._toggle()
        self.base.show_tiles(state.show_tiles)

    def __panel__(self) -> pn.viewable.Viewable:
        return self._pane

    @property
    def view(self) -> View:
        """Bounds in view, Web Mercator metres."""
        return self.base.view

    def draw(self, frame: FieldFrame) -> None:
        """Draw a frame: only what differs from the picture that is there is sent."""
        self.frame = frame
        s = frame.spec
        place = (s.west_m, s.south_m, s.east_m, s.north_m)
        for name, levels in frame.levels.items():
            if name != "trails":
                self._send(name, levels, frame)
        self._draw_paths(frame)
        self.images["forecast"].glyph.global_alpha = round(0.35 + 0.65 * frame.forecast_confidence, 2)
        self.dominance.draw(frame)
        # All that the grid covers, a little more than the view: a small step of the hand needs none anew.
        columns = emitter_columns(frame, place, self.state.selected)
        self._quietly(self.emitters, columns)
        self._glyphs["labels"].visible = self.state.show_emitters and any(columns["label"])
        self._mark_selection()

    # -- inside ---------------------------------------------------------------------------------

    def _send(self, name: str, levels: np.ndarray, frame: FieldFrame) -> None:
        spec = frame.spec
        place = (spec.west_m, spec.south_m, spec.east_m, spec.north_m)
        sent_place, sent_at, sent = self._sent.get(name, (None, -1e9, None))
        if sent_place == place and sent is not None:
            recent = name == "trails" and frame.crowd is None and abs(frame.moment_s - sent_at) < TRAIL_PERIOD_S
            if recent or (sent is levels) or np.array_equal(sent, levels):
                return
        self._sent[name] = (place, frame.moment_s, levels)
        self.sources[name].data = _image(levels, place)

    def _draw_paths(self, frame: FieldFrame) -> None:
        """Trails and, of a crowd, the dots: one picture, for each costs the browser as much as a field."""
        s, trails = self.state, frame.levels.get("trails")
        crowd = frame.crowd if s.show_emitters else None
        if crowd is not None:
            under = np.zeros_like(crowd) if trails is None or not s.show_trails else trails
            trails = np.where(crowd > 0, crowd, np.minimum(under, DOT - 1))
        if (crowd is not None) != self._dotted:
            self._dotted = crowd is not None
            self._sent.pop("trails", None)  # its levels have another meaning now
            self.mappers["trails"].palette = self._path_colours()
        if trails is not None:
            self._send("trails", trails, frame)
        self.images["trails"].visible = s.show_trails or crowd is not None

    def _path_colours(self) -> list[str]:
        """Of trails by their age; the last is that of the dots of a crowd."""
        theme = self.state.theme
        return [*colours("trails", theme)[:DOT], THEMES[theme].emitter] if self._dotted else colours("trails", theme)

    def _draw_layers(self) -> None:
        f = self.base.figure
        self.sources: dict[str, ColumnDataSource] = {}
        self.images: dict[str, Any] = {}
        self.mappers: dict[str, LinearColorMapper] = {}
        for name in _LAYERS:
            self.mappers[name] = LinearColorMapper(palette=colours(name, self.state.theme), low=-0.5, high=255.5)
            self.sources[name] = ColumnDataSource(data=dict(EMPTY_IMAGE))
            glyph = Image(image="image", x="x", y="y", dw="dw", dh="dh", color_mapper=self.mappers[name])
            self.images[name] = f.add_glyph(self.sources[name], glyph, level="image")
        # One scale for both layers: two bars side by side, the ticks on the outer one.
        self.bars: dict[str, Any] = {}
        for name in ("field", "forecast"):
            mapper = LinearColorMapper(palette=colours(name, self.state.theme)[::4], low=-80, high=-55)
            bar = ColorBar(color_mapper=mapper, width=11, padding=4, margin=0, location=(0, 0), bar_line_color=None)
            bar.title_standoff, bar.ticker = 6, FixedTicker(ticks=[])
            f.add_layout(bar, "right")
            self.bars[name] = bar
        self.dominance = DominanceLayer(f, self.state)
        self.scale = ColumnDataSource(tags=[-80.0, -55.0, "dBm"])
        layers = [["field", self.images["field"]], ["predicted", self.images["forecast"]]]
        f.js_on_event("mousemove", CustomJS(
            args={"fig": f, "layers": layers, "scale": self.scale, "contest": self.dominance.image,
                  "words": self.dominance.words},
            code="window.scytheMap && scytheMap.readout(fig, layers, scale, cb_obj.x, cb_obj.y, contest, words)",
        ))  # fmt: skip
        f.js_on_event("mouseleave", CustomJS(code="window.scytheMap && scytheMap.left()"))

    def _draw_emitters(self) -> None:
        f = self.base.figure
        self.emitters = ColumnDataSource(data=EMPTY_EMITTERS)
        self.selection = ColumnDataSource(data=EMPTY_SELECTION["track"])
        self.ellipse = ColumnDataSource(data=EMPTY_SELECTION["ellipse"])
        self._glyphs: dict[str, Any] = {
            "ahead": f.add_glyph(
                self.emitters, Segment(x0="x", y0="y", x1="px", y1="py", line_width=1.2, line_alpha=0.8)
            ),
            "markers": f.add_glyph(
                self.emitters, Scatter(x="x", y="y", marker="marker", angle="angle", size=9, line_width=0.8)
            ),
            "labels": f.add_glyph(
                self.emitters, Text(x="x", y="y", text="label", x_offset=8, y_offset=-3, text_font_size="10px")
            ),
            "track": f.add_glyph(self.selection, Line(x="x", y="y", line_width=2.0)),
            "ellipse": f.add_glyph(
                self.ellipse,
                Ellipse(x="x", y="y", width="width", height="height", angle="angle", fill_alpha=0.12, line_width=1.5),
            ),
        }
        for name in ("markers", "labels", "ahead"):
            self._glyphs[name].nonselection_glyph = None
        hover = HoverTool(
            renderers=[self._glyphs["markers"]], point_policy="snap_to_data",
            tooltips=[("", "@name (@id)"), ("altitude", "@alt_m{0,0} m"), ("speed", "@speed{0} m/s"),
                      ("EIRP", "@eirp{0.0} dBm @assumed"), ("last fix", "@age{0.0} s ago")],
        )  # fmt: skip
        f.add_tools(hover, TapTool(renderers=[self._glyphs["markers"]]))
        f.toolbar.active_inspect = hover
        self.emitters.selected.on_change("indices", self._tapped)

    def _restyle(self) -> None:
        theme, (low, high) = self.state.theme, self.state.limits_dbm
        p, unit = THEMES[theme], UNITS.get(self.state.model, "dBm")
        self.base.set_theme(theme)
        if theme != self._styled:
            self._styled = theme
            for name, mapper in self.mappers.items():
                mapper.palette = self._path_colours() if name == "trails" else colours(name, theme)
            for name, bar in self.bars.items():
                bar.color_mapper.palette = colours(name, theme)[::4]
        for bar in self.bars.values():
            bar.color_mapper.update(low=low, high=high)
            bar.background_fill_color = p.surface
            bar.major_label_text_color = bar.title_text_color = p.muted
            bar.major_label_text_font_size = bar.title_text_font_size = "11px"
            bar.title_text_font_style = "normal"
            bar.major_tick_line_color = p.muted
        self.bars["forecast"].ticker = FixedTicker(ticks=_nice_ticks(low, high))
        self.bars["forecast"].title = f"Received power ({unit}): now (left), predicted (right)"
        self.scale.tags = [low, high, unit]
        g = self._glyphs
        g["markers"].glyph.update(fill_color=p.emitter, line_color=p.emitter_edge)
        g["labels"].glyph.update(text_color=p.text)
        g["ahead"].glyph.update(line_color=p.forecast)
        g["track"].glyph.update(line_color=p.selected)
        g["ellipse"].glyph.update(line_color=p.forecast, fill_color=p.forecast)

    def _toggle(self) -> None:
        s = self.state
        on = {"field": s.show_field, "forecast": s.show_forecast, "trails": s.show_trails}
        for name, image in self.images.items():
            image.visible = on[name]
        if self.frame is not None:
            self._draw_paths(self.frame)
        self._glyphs["markers"].visible = s.show_emitters
        self._glyphs["labels"].visible = s.show_emitters and any(self.emitters.data["label"])
        self._glyphs["ahead"].visible = s.show_emitters and s.show_forecast

    def _viewed(self, view: View) -> None:
        degrees = dict(zip(("west", "south", "east", "north"), degrees_of_view(view), strict=True))
        if all(getattr(self.state, name) == value for name, value in degrees.items()):
            self.base.answer()  # nobody will be told of a change
        self.state.param.update(**degrees)

    def _tapped(self, attr: str, old: list[int], new: list[int]) -> None:
        if self._selecting:
            return
        ids = self.emitters.data["id"]
        chosen = [ids[i] for i in new if 0 <= i < len(ids)]
        self.state.selected = str(chosen[0]) if chosen else ""

    def _quietly(self, source: ColumnDataSource, columns: dict[str, Any]) -> None:
        if _same(source.data, columns):
            return
        self._selecting = True
        try:
            source.data = columns
        finally:
            self._selecting = False

    def _mark_selection(self, said: bool = False) -> None:
        """Mark what is selected; where that was just said, tell the browser in any case.

        A picture that was under way while someone clicked brings the old mark back, and here nothing would differ.
        """
        if said and self.frame is not None and self.frame.crowd is not None:
            s = self.frame.spec
            place = (s.west_m, s.south_m, s.east_m, s.north_m)
            self._quietly(self.emitters, emitter_columns(self.frame, place, self.state.selected))
        ids = list(self.emitters.data["id"])
        wanted = [ids.index(self.state.selected)] if self.state.selected in ids else []
        self._selecting = True
        try:
            if said and ids and self.emitters.selected.indices == wanted:
                with pn.io.hold():
                    self.emitters.selected.indices = [] if wanted else [0]
                    self.emitters.selected.indices = wanted
            elif self.emitters.selected.indices != wanted:
                self.emitters.selected.indices = wanted
        finally:
            self._selecting = False
        columns = selection_columns(self.frame, self.state.selected)
        self._quietly(self.selection, columns["track"])
        self._quietly(self.ellipse, columns["ellipse"])


def _image(levels: np.ndarray, place: View) -> dict[str, list[Any]]:
    """Columns of one image at its place."""
    west, south, east, north = place
    return {"image": [levels], "x": [west], "y": [south], "dw": [east - west], "dh": [north - south]}


def _same(sent: dict[str, Any], columns: dict[str, Any]) -> bool:
    if sent.keys() != columns.keys():
        return False
    return all(
        np.array_equal(sent[name], values, equal_nan=True) if isinstance(values, np.ndarray) else sent[name] == values
        for name, values in columns.items()
    )


def _nice_ticks(low: float, high: float) -> list[float]:
    span = high - low
    step = next(s for s in (1, 2, 5, 10, 20, 50, 100) if span / s <= 9)
    return [float(v) for v in np.arange(np.ceil(low / step) * step, high + 1e-9, step)]
