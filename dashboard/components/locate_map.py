"""The Locate map: sensors, dilution of precision, fixes with trails, and the hyperbolas of the selected message.

The figure is made once per session; an update replaces the data of the sources that changed.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import panel as pn
import param
from bokeh.models import (
    BasicTickFormatter,
    ColumnDataSource,
    CustomJS,
    FixedTicker,
    HoverTool,
    LinearColorMapper,
    LogColorMapper,
    TapTool,
)
from bokeh.models.annotations import ColorBar
from bokeh.models.glyphs import Image, MultiLine, Patches, Scatter, Segment, Text

from dashboard.components.base_map import BaseMap, View, degrees_of_view, view_of_degrees
from dashboard.components.locate_columns import (
    EMPTY,
    chosen_columns,
    dilution_colours,
    ellipse_columns,
    field_columns,
    fix_columns,
    line_columns,
    report_columns,
    sensor_columns,
    trail_columns,
)
from dashboard.components.locate_state import TdoaState
from dashboard.components.locate_words import DILUTIONS
from dashboard.theme import ASSETS, THEMES
from engine.frames.locate_frame import LocateFrame, limits

_JS = (ASSETS / "locate.js").read_text()

TICKS = [0.3, 1, 3, 10, 30, 100, 300, 1000]
"""Numbers at the scale; those within its limits are drawn."""

SENSOR = "sensor:"
"""How the selection spells a sensor."""


class LocateMap(pn.viewable.Viewer):
    """Map of one locate frame after the other.

    Examples
    --------
    >>> LocateMap(TdoaState()).sources["fixes"].data["entity"]
    []
    """

    state: TdoaState = param.ClassSelector(  # type: ignore[assignment]
        class_=TdoaState, doc="What to show; the map writes view and selection into it."
    )

    def __init__(self, state: TdoaState, **params: Any) -> None:
        super().__init__(state=state, **params)
        view = view_of_degrees(state.west, state.south, state.east, state.north)
        self.base = BaseMap(view, state.theme, self._viewed)
        self.frame: LocateFrame | None = None
        self.sources = {name: ColumnDataSource(data=dict(columns)) for name, columns in EMPTY.items()}
        self._selecting = False
        self._sent_field: Any = None
        self._drawn_for: tuple[Any, ...] = ()
        self._draw_field()
        self._draw_marks()
        self._pane = pn.pane.Bokeh(self.base.figure, sizing_mode="stretch_both", margin=0)
        self._restyle()
        self._toggle()
        state.param.watch(lambda *_: self._restyle(), ["theme", "dilution"])
        state.param.watch(lambda *_: self._toggle(), [n for n in state.param if str(n).startswith("show_")])
        state.param.watch(lambda *_: self._mark(), "selected")

    def __panel__(self) -> pn.viewable.Viewable:
        return self._pane

    @property
    def view(self) -> View:
        """Bounds in view, Web Mercator metres."""
        return self.base.view

    def draw(self, frame: LocateFrame) -> None:
        """Draw a frame: only what differs from the picture that is there is sent."""
        self.frame = frame
        place = (frame.spec.west_m, frame.spec.south_m, frame.spec.east_m, frame.spec.north_m)
        sent = self._sent_field
        levels = np.empty((0, 0), np.uint8) if frame.levels is None else frame.levels
        if sent is None or sent[0] != place or not np.array_equal(sent[1], levels):
            self._sent_field = (place, levels)
            self.sources["field"].data = field_columns(frame)
        newest = frame.newest
        table = frame.fixes.table
        # Trails and the like change with what was heard, not with the clock.
        heard = (frame.fixes, frame.row, self.state.theme)
        if self._drawn_for[:3] != heard:
            self._drawn_for = heard
            self._quietly("sensors", sensor_columns(frame, self.state.theme))
            self.sources["trails"].data = trail_columns(table)
            self.sources["reports"].data = report_columns(newest, frame.moment_s)
            self.sources["lines"].data = line_columns(frame)
            self.sources["ellipse"].data = ellipse_columns(frame)
            self.sources["chosen"].data = chosen_columns(frame)
            self._quietly("fixes", fix_columns(newest, frame.moment_s))
        self._mark()

    # -- inside ---------------------------------------------------------------------------------

    def _draw_field(self) -> None:
        f, theme = self.base.figure, self.state.theme
        self._mapper = LinearColorMapper(palette=dilution_colours(theme), low=-0.5, high=255.5)
        self._image = f.add_glyph(
            self.sources["field"],
            Image(image="image", x="x", y="y", dw="dw", dh="dh", color_mapper=self._mapper), level="image",
        )  # fmt: skip
        # The scale's own colours run from good to bad, as its numbers do.
        self._scale = LogColorMapper(palette=dilution_colours(theme)[:0:-4], low=10.0, high=1000.0)
        self.bar = ColorBar(
            color_mapper=self._scale, width=11, padding=4, margin=0, location=(0, 0), bar_line_color=None,
            ticker=FixedTicker(ticks=TICKS), formatter=BasicTickFormatter(use_scientific=False),
        )  # fmt: skip
        self.bar.title_standoff = 6
        f.add_layout(self.bar, "right")
        self._told = ColumnDataSource(tags=[10.0, 1000.0, "m", ""])
        f.js_on_event("mousemove", CustomJS(
            args={"image": self._image, "scale": self._told},
            code=f"if (!window.scytheLocate) {{ {_JS} }}\nscytheLocate.readout(image, scale, cb_obj.x, cb_obj.y)",
        ))  # fmt: skip
        f.js_on_event("mouseleave", CustomJS(code="window.scytheMap && scytheMap.left()"))
        drawn = CustomJS(code="window.scytheMap && scytheMap.drawn()")
        self.sources["field"].js_on_change("data", drawn)

    def _draw_marks(self) -> None:
        f, add, s = self.base.figure, self.base.figure.add_glyph, self.sources
        self._glyphs: dict[str, Any] = {
            "trails": add(s["trails"], MultiLine(xs="xs", ys="ys", line_width=1.2, line_alpha=0.55)),
            "lines": add(s["lines"], MultiLine(xs="xs", ys="ys", line_width=1.6, line_alpha=0.9)),
            "reports": add(s["reports"], Segment(x0="x0", y0="y0", x1="x1", y1="y1", line_alpha="alpha")),
            "told": add(s["reports"], Scatter(x="x1", y="y1", marker="x", size=6, line_width=1.2, line_alpha="alpha")),
            "ellipse": add(s["ellipse"], Patches(xs="xs", ys="ys", fill_alpha=0.15, line_width=1.6)),
            "fixes": add(
                s["fixes"],
                Scatter(x="x", y="y", marker="circle", size=7, line_width=0.8, fill_alpha="alpha", line_alpha="alpha"),
            ),
            "chosen": add(s["chosen"], Scatter(x="x", y="y", marker="circle", size=13, fill_alpha=0.0, line_width=2.2)),
            "sensors": add(
                s["sensors"],
                Scatter(x="x", y="y", marker="triangle", size=10, fill_color="fill", line_width=1.2),
            ),
            "names": add(s["sensors"], Text(x="x", y="y", text="label", x_offset=8, y_offset=5, text_font_size="10px")),
        }
        for name in ("fixes", "sensors", "names"):
            # The same glyph whatever is selected: a copy that Bokeh makes would keep the colours of its first theme.
            renderer = self._glyphs[name]
            renderer.nonselection_glyph = renderer.selection_glyph = renderer.glyph
        fixes = HoverTool(
            renderers=[self._glyphs["fixes"]], point_policy="snap_to_data",
            tooltips=[("", "@entity"), ("last fix", "@age"), ("sensors", "@n"), ("90 % ellipse", "@ellipse"),
                      ("from its report", "@error")],
        )  # fmt: skip
        sensors = HoverTool(
            renderers=[self._glyphs["sensors"]], point_policy="snap_to_data",
            tooltips=[("sensor", "@sensor"), ("", "@kind"), ("heard", "@heard"), ("farthest", "@farthest")],
        )  # fmt: skip
        lines = HoverTool(renderers=[self._glyphs["lines"]], line_policy="nearest", tooltips=[("measured", "@pair")])
        f.add_tools(fixes, sensors, lines, TapTool(renderers=[self._glyphs["fixes"], self._glyphs["sensors"]]))
        self.sources["fixes"].selected.on_change("indices", lambda attr, old, new: self._tapped("fixes", new))
        self.sources["sensors"].selected.on_change("indices", lambda attr, old, new: self._tapped("sensors", new))

    def _restyle(self) -> None:
        theme = self.state.theme
        p, g = THEMES[theme], self._glyphs
        self.base.set_theme(theme)
        self._mapper.palette = dilution_colours(theme)
        title, unit, _ = DILUTIONS[self.state.dilution]
        low, high = limits(self.state.dilution)
        self._scale.update(palette=dilution_colours(theme)[:0:-4], low=low, high=high)
        bar = self.bar
        # A bar that is switched off and on again is laid out wrong; without a field its colours mean nothing.
        bar.title = f"{title} ({unit}, 1 σ)" if unit else title
        bar.background_fill_color = p.surface
        bar.major_label_text_color = bar.title_text_color = bar.major_tick_line_color = p.muted
        bar.major_label_text_font_size = bar.title_text_font_size = "11px"
        bar.title_text_font_style = "normal"
        bar.visible = self.state.dilution != "none"
        self._told.tags = [low, high, unit, title]
        g["trails"].glyph.update(line_color=p.emitter)
        g["lines"].glyph.update(line_color=p.forecast)
        g["reports"].glyph.update(line_color=p.muted)
        g["told"].glyph.update(line_color=p.muted)
        g["ellipse"].glyph.update(line_color=p.selected, fill_color=p.selected)
        g["fixes"].glyph.update(fill_color=p.emitter, line_color=p.emitter_edge)
        g["chosen"].glyph.update(line_color=p.selected)
        g["sensors"].glyph.update(line_color=p.emitter)
        g["names"].glyph.update(text_color=p.text)
        if self.frame is not None:
            self._quietly("sensors", sensor_columns(self.frame, theme))

    def _toggle(self) -> None:
        s = self.state
        on = {"sensors": s.show_sensors, "names": s.show_sensors, "lines": s.show_lines, "ellipse": s.show_fixes,
              "fixes": s.show_fixes, "chosen": s.show_fixes, "trails": s.show_trails, "reports": s.show_reports,
              "told": s.show_reports}  # fmt: skip
        for name, visible in on.items():
            self._glyphs[name].visible = visible

    def _viewed(self, view: View) -> None:
        west, south, east, north = degrees_of_view(view)
        self.state.param.update(west=west, south=south, east=east, north=north)

    def _tapped(self, name: str, new: list[int]) -> None:
        if self._selecting:
            return
        ids = self.sources[name].data["entity" if name == "fixes" else "sensor"]
        chosen = [str(ids[i]) for i in new if 0 <= i < len(ids)]
        if chosen:
            self.state.param.update(selected=chosen[0] if name == "fixes" else SENSOR + chosen[0], message="")
        elif not any(source.selected.indices for source in (self.sources["fixes"], self.sources["sensors"])):
            self.state.param.update(selected="", message="")

    def _quietly(self, name: str, columns: dict[str, Any]) -> None:
        self._selecting = True
        try:
            self.sources[name].data = columns
        finally:
            self._selecting = False

    def _mark(self) -> None:
        wanted = {"fixes": self.state.selected, "sensors": self.state.selected.removeprefix(SENSOR)}
        self._selecting = True
        try:
            for name, identity in wanted.items():
                ids = list(self.sources[name].data["entity" if name == "fixes" else "sensor"])
                mine = name == "fixes" or self.state.selected.startswith(SENSOR)
                rows = [ids.index(identity)] if mine and identity in ids else []
                if self.sources[name].selected.indices != rows:
                    self.sources[name].selected.indices = rows
        finally:
            self._selecting = False
