"""Four maps of one selection of measurements: measured, modelled, residual, uncertainty; linked, on stated scales.

Made once per session; an update replaces the data of the sources that changed. Measured and modelled share one scale.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import panel as pn
import param
from bokeh.models import (
    BasicTicker,
    ColumnDataSource,
    CustomJS,
    HoverTool,
    LinearColorMapper,
    TapTool,
)
from bokeh.models.annotations import ColorBar, Label
from bokeh.models.glyphs import Image, Line, Scatter

from dashboard.components.array_levels import COLOURS, palette
from dashboard.components.array_ranges import LinkedRanges
from dashboard.components.base_map import degrees_of_view, land_for, view_of_degrees
from dashboard.components.figure_style import chart, restyle
from dashboard.components.measured_columns import (
    NO_IMAGE,
    NO_POINTS,
    image_columns,
    point_columns,
    residual_limit,
    sigma_limits,
)
from dashboard.components.measured_state import LAWS, MeasuredState, point_of
from dashboard.theme import ASSETS, THEMES, field_colours
from engine.frames.measured_frame import MeasuredFrame
from engine.geo import web_mercator

PANELS = ("measured", "modelled", "residual", "uncertainty")
"""The maps, in reading order."""

_JS = (ASSETS / "measured.js").read_text()
_IMAGES = ("modelled", "uncertainty")
_POINTS = ("measured", "residual")


def colours_of(panel: str, theme: str) -> list[str]:
    """Colours of a map's scale, 253 or 256 of them, none transparent."""
    if panel == "residual":
        return palette("diverging", theme)[:COLOURS]
    if panel == "uncertainty":
        return palette("sequential", theme)[:COLOURS]
    # From the eighth on: the very first are the ground itself, and entry 0 is transparent.
    return [colour[:7] for colour in field_colours(theme)[24:]]


class MeasuredMap(pn.viewable.Viewer):
    """The maps of a `MeasuredFrame`; pan and zoom are of all, a click on a point selects it.

    Examples
    --------
    >>> len(MeasuredMap(MeasuredState()).figures)
    4
    """

    state: MeasuredState = param.ClassSelector(  # type: ignore[assignment]
        class_=MeasuredState, doc="What to show; the maps write the view and the selection into it."
    )

    def __init__(self, state: MeasuredState, **params: Any) -> None:
        super().__init__(state=state, **params)
        self.frame: MeasuredFrame | None = None
        self.ranges = LinkedRanges()
        self.points = ColumnDataSource(data=dict(NO_POINTS))
        self.chosen = ColumnDataSource(data={"x": [], "y": []})
        self.fixed = ColumnDataSource(data={"x": [], "y": []})
        self.images = {name: ColumnDataSource(data=dict(NO_IMAGE)) for name in _IMAGES}
        self.land = {name: ColumnDataSource(data={"x": [], "y": []}) for name in ("borders", "coastline")}
        self._drawn: dict[str, Any] = {}
        self._selecting = False
        self._bars: dict[str, Any] = {}
        self._labels: dict[str, Any] = {}
        self.figures = {name: self._figure(name) for name in PANELS}
        self._wire()
        self.ranges.listen(self._viewed)
        self.points.selected.on_change("indices", self._tapped)
        panes = {name: pn.pane.Bokeh(f, sizing_mode="stretch_both", margin=0) for name, f in self.figures.items()}
        self._panes = panes
        self._rows = [
            pn.Row(*(panes[name] for name in names), sizing_mode="stretch_both", margin=0)
            for names in (PANELS[:2], PANELS[2:])
        ]
        self._layout = pn.Column(*self._rows, sizing_mode="stretch_both", margin=0)
        state.param.watch(lambda *_: self._restyle(), "theme")
        state.param.watch(lambda *_: self._place(), "layer")
        self._restyle()
        self._place()

    def __panel__(self) -> pn.viewable.Viewable:
        return self._layout

    def draw(self, frame: MeasuredFrame) -> None:
        """Draw a frame as far as it is computed; only what changed is sent."""
        s = self.state
        heights = (s.carried_m, s.fixed_m)
        fresh = self.frame is None or self.frame.spec.campaign != frame.spec.campaign
        self.frame = frame
        whole = frame.grid.mercator_bounds
        if whole != self.ranges.home:
            wanted = view_of_degrees(*s.area) if s.area and self.ranges.home is None else None
            self.ranges.settle(whole, keep=not fresh)
            if wanted is not None:
                self.ranges.go(wanted)
            self._draw_land()
        key = (id(frame.points), id(frame.predictions), s.law, heights)
        if self._drawn.get("points") != key:
            self._drawn["points"] = key
            table = frame.table(s.law, *heights)
            self._quietly(point_columns(table))
            self._limit("residual", -residual_limit(table), residual_limit(table))
            for panel in PANELS[:2]:
                self._limit(panel, *frame.limits_db())
            self.fixed.data = {k: [float(v)] for k, v in zip("xy", web_mercator(*frame.fixed), strict=True)}
        key = (id(frame.field), id(frame.points), s.law, heights)
        if self._drawn.get("modelled") != key:
            self._drawn["modelled"] = key
            self.images["modelled"].data = image_columns(frame.modelled(s.law, *heights), frame.grid)
        if self._drawn.get("uncertainty") != id(frame.field):
            self._drawn["uncertainty"] = id(frame.field)
            sigma = None if frame.field is None else frame.field["sigma_db"].to_numpy()
            self.images["uncertainty"].data = image_columns(sigma, frame.grid)
            self._limit("uncertainty", *sigma_limits(frame))
        self._title()
        self._mark()

    def present(self, on: bool) -> None:
        """Show the maps, or nothing where there is nothing to show."""
        if self._layout.visible != on:
            self._layout.visible = on

    # -- inside ---------------------------------------------------------------------------------

    def _figure(self, name: str) -> Any:
        f = chart(
            self.state.theme, x_range=self.ranges.x_range, y_range=self.ranges.y_range, x_axis_type="mercator",
            y_axis_type="mercator", sizing_mode="stretch_both", title=name, min_width=120, min_height=120,
        )  # fmt: skip
        f.min_border_left, f.min_border_right = 58, 10
        mapper = LinearColorMapper(
            palette=colours_of(name, self.state.theme), low=-100.0, high=-60.0, nan_color="#0000"
        )
        if name in self.images:
            f.add_glyph(
                self.images[name], Image(image="image", x="x", y="y", dw="dw", dh="dh", color_mapper=mapper),
                level="image",
            )  # fmt: skip
        for part, source in self.land.items():
            f.add_glyph(source, Line(x="x", y="y", line_width=0.9, name=part))
        if name in _POINTS:
            dots = f.add_glyph(
                self.points,
                Scatter(x="x", y="y", size=5.5, line_width=0.4, fill_color={"field": name, "transform": mapper}),
            )
            dots.nonselection_glyph = dots.selection_glyph = None
            hover = HoverTool(
                renderers=[dots], point_policy="snap_to_data", attachment="horizontal",
                tooltips=[("measured", "@measured{0.0} dB"), ("modelled, held out", "@modelled{0.0} dB"),
                          ("residual", "@residual{+0.0} dB"), ("distance", "@distance{0,0} m"), ("", "@time")],
            )  # fmt: skip
            f.add_tools(hover, TapTool(renderers=[dots]))
            f.toolbar.active_inspect = hover
        elif name == "uncertainty":
            f.add_glyph(self.points, Scatter(x="x", y="y", size=1.6, line_alpha=0.0, fill_alpha=0.35, name="places"))
        f.add_glyph(self.fixed, Scatter(x="x", y="y", marker="triangle", size=12, line_width=1.4, name="fixed"))
        f.add_glyph(self.chosen, Scatter(x="x", y="y", size=13, fill_alpha=0.0, line_width=2.4, name="chosen"))
        self._bars[name] = bar = ColorBar(
            color_mapper=mapper, orientation="horizontal", height=8, padding=3, margin=0, location="center",
            bar_line_color=None, ticker=BasicTicker(desired_num_ticks=6), major_tick_in=3,
        )  # fmt: skip
        f.add_layout(bar, "above")
        self._labels[name] = label = Label(
            x=6, y=6, x_units="screen", y_units="screen", text="", visible=False, tags=[name],
            text_font_size="11px", background_fill_alpha=0.85, syncable=False,
        )  # fmt: skip
        f.add_layout(label)
        f.tags = [name]
        return f

    def _wire(self) -> None:
        figures = list(self.figures.values())
        self.ranges.wire(figures[0])
        load = f"if (!window.scytheMeasured) {{ {_JS} }}\n"
        labels = list(self._labels.values())
        there = CustomJS(
            args={"labels": labels, "images": self.images},
            code=load + "scytheMeasured.at(labels, images, cb_obj.x, cb_obj.y)",
        )
        gone = CustomJS(args={"labels": labels}, code="window.scytheMeasured && scytheMeasured.left(labels)")
        for f in figures:
            f.js_on_event("mousemove", there)
            f.js_on_event("mouseleave", gone)
            if f is figures[0]:
                continue
            args = {"fig": f, "viewport": self.ranges.viewport, "place": self.ranges.place}
            # The shell's picture to take along is all four maps, not the one figure of a map page.
            whole = 'document.getElementById("picture")?.setAttribute("data-whole", "");'
            fit = CustomJS(args=args, code=f"{whole} window.scytheArray && scytheArray.fit(fig, viewport, place)")
            home = CustomJS(args=args, code="window.scytheArray && scytheArray.home(fig, viewport, place)")
            f.js_on_change("inner_width", fit)
            f.js_on_change("inner_height", fit)
            f.js_on_event("doubletap", home)
            f.js_on_event("reset", home)

    def _place(self) -> None:
        layer = self.state.layer
        for row, names in zip(self._rows, (PANELS[:2], PANELS[2:]), strict=True):
            for name in names:
                self._panes[name].visible = layer in ("all", name)
            row.visible = layer == "all" or layer in names

    def _title(self) -> None:
        frame, law = self.frame, next(label for label, value in LAWS.items() if value == self.state.law)
        if frame is None:
            return
        held = "" if frame.predictions is not None else ": not computed yet"
        if frame.left_out:
            held = ": cannot be held out"
        physical = self.state.law in ("free_space", "two_ray")
        unknown = ": no frequency is known" if physical and frame.freq_hz is None else ""
        titles = {
            "measured": "Measured (dB)",
            "modelled": f"Modelled: {law.lower()}{unknown} (dB)",
            "residual": f"Measured − modelled, square held out{held} (dB)",
            "uncertainty": "Uncertainty of the kriged field, σ (dB)",
        }
        for name, text in titles.items():
            if self.figures[name].title.text != text:
                self.figures[name].title.text = text

    def _limit(self, panel: str, low: float, high: float) -> None:
        self._bars[panel].color_mapper.update(low=low, high=high)

    def _restyle(self) -> None:
        theme = self.state.theme
        p = THEMES[theme]
        for name, f in self.figures.items():
            restyle(f, theme)
            f.background_fill_color = p.map_background
            f.grid.grid_line_alpha = 0.0
            f.title.text_color = p.text
            bar, label = self._bars[name], self._labels[name]
            bar.color_mapper.palette = colours_of(name, theme)
            bar.background_fill_color = p.surface
            bar.major_label_text_color, bar.major_label_text_font_size = p.muted, "10px"
            bar.major_tick_line_color = p.muted
            label.text_color, label.background_fill_color = p.text, p.surface
            for renderer in f.renderers:
                glyph = renderer.glyph
                if glyph.name == "chosen":
                    glyph.line_color = p.selected
                elif glyph.name == "fixed":
                    glyph.update(fill_color=p.forecast, line_color=p.emitter_edge)
                elif glyph.name in ("borders", "coastline"):
                    glyph.line_color = p.coast
                elif glyph.name == "places":
                    glyph.fill_color = p.emitter
                elif isinstance(glyph, Scatter):
                    glyph.update(line_color=p.emitter, line_alpha=0.35)

    def _draw_land(self) -> None:
        home = self.ranges.home
        if home is None:
            return
        land = land_for(home)
        for name, source in self.land.items():
            x, y = land.get(name, (np.empty(0, np.float32), np.empty(0, np.float32)))
            source.data = {"x": x, "y": y}

    def _viewed(self) -> None:
        if self.ranges.view is not None and self.frame is not None:
            self.state.area = degrees_of_view(self.ranges.view)

    def _tapped(self, attr: str, old: list[int], new: list[int]) -> None:
        if not self._selecting:
            self.state.selected = f"measurement:{new[0]}" if new else ""

    def _quietly(self, columns: dict[str, Any]) -> None:
        self._selecting = True
        try:
            self.points.data = columns
        finally:
            self._selecting = False

    def _mark(self) -> None:
        number = point_of(self.state.selected)
        n = len(self.points.data["x"])
        wanted = [number] if number is not None and number < n else []
        self._selecting = True
        try:
            if self.points.selected.indices != wanted:
                self.points.selected.indices = wanted
        finally:
            self._selecting = False
        mark: Callable[[str], list[float]] = lambda axis: [float(self.points.data[axis][i]) for i in wanted]  # noqa: E731
        columns = {axis: mark(axis) for axis in ("x", "y")}
        if columns != self.chosen.data:
            self.chosen.data = columns
