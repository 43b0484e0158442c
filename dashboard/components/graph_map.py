"""The picture of the graph: density, incidences, single nodes and what is selected, in a layout or on the map.

The figure is made once per session; an update replaces the data of the sources that changed. It draws frames and
hears of pans, selections and clicks; it computes nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import panel as pn
import param
from bokeh.models import ColumnDataSource, CustomJS, HoverTool, LinearColorMapper
from bokeh.models.glyphs import Image, Patch, Scatter, Segment, Text

from dashboard.components.base_map import BaseMap, View, degrees_of_view, view_of_degrees
from dashboard.components.graph_colours import density_colours, kind_colours, line_colours
from dashboard.components.graph_glyphs import (
    EMPTY_CENTRES,
    EMPTY_IMAGE,
    EMPTY_NODES,
    EMPTY_SEGMENTS,
    node_columns,
    segment_columns,
    spoke_columns,
)
from dashboard.components.graph_legend import GraphLegend
from dashboard.components.graph_state import GraphState
from dashboard.theme import ASSETS, THEMES
from engine.frames.graph_frame import GraphFrame
from engine.frames.graph_levels import Levels
from engine.frames.graph_region import GraphRegion, cell_size
from engine.frames.graph_spec import GraphSpec

START: View = (-20_000.0, -14_000.0, 20_000.0, 14_000.0)
"""The layout in view before one is known."""

MARGIN = 0.06
"""Room around the whole graph, of its size."""

_GRAPH_JS = (ASSETS / "graph.js").read_text()


class GraphMap(pn.viewable.Viewer):
    """Picture of the graph of one session.

    Examples
    --------
    In a notebook, with a frame at hand::

        map = GraphMap(GraphState())
        map.draw(frame)
        map
    """

    state: GraphState = param.ClassSelector(class_=GraphState, doc="What to show; the map writes view and region.")  # type: ignore[assignment]

    def __init__(self, state: GraphState, **params: Any) -> None:
        super().__init__(state=state, **params)
        self._fitted: View = self._first_view()
        self.base = BaseMap(self._fitted, state.theme, self._viewed)
        self.frame: GraphFrame | None = None
        self.on_click: Callable[[float, float, float], None] = lambda x, y, reach: None
        self._touched = bool(state.place)
        self._space = state.space
        self._epoch = -1
        self._sent: dict[str, tuple[Any, np.ndarray]] = {}
        self._draw_layers()
        self._wire()
        self.legend = GraphLegend(self.base.figure, self.mapper)
        self._pane = pn.pane.Bokeh(self.base.figure, sizing_mode="stretch_both", margin=0)
        self._restyle()
        state.param.watch(lambda *_: self._restyle(), ["theme", "by"])
        state.param.watch(lambda *_: self._change_space(), "space")
        state.param.watch(lambda *_: self._tell_mode(), ["lasso", "drag_selects", "theme"])
        state.param.watch(lambda *_: self._mark_region(), "region")
        self.base.show_earth(state.space == "map")
        self._mark_region()

    def __panel__(self) -> pn.viewable.Viewable:
        return self._pane

    @property
    def view(self) -> View:
        """Bounds in view, in units of the space."""
        return self.base.view

    def draw(self, frame: GraphFrame) -> None:
        """Draw a frame: only what differs from the picture that is there is sent."""
        self.frame = frame
        self._settle(frame)
        if frame.spec.space != self.state.space:
            return  # the picture of the other space, on its way out
        spec, picture = frame.spec, frame.picture
        self._image("lines", spec, picture.lines)
        self._image("nodes", spec, picture.nodes)
        segments, centres = segment_columns(frame)
        _put(self.sources["segments"], segments)
        _put(self.sources["centres"], centres)
        columns = node_columns(frame, self.state.names)
        _put(self.sources["points"], columns)
        # Of many lines each one is fainter, so that nodes stay in sight.
        alpha = float(np.clip(0.42 * np.sqrt(500.0 / max(len(segments["x0"]), 1)), 0.1, 0.42))
        self.glyphs["segments"].glyph.line_alpha = round(alpha, 2)
        dense = picture.detail == "density"
        self.glyphs["points"].glyph.update(
            fill_alpha=0.0 if dense else 0.92, line_width=1.4 if dense else 0.8,
            line_color=THEMES[self.state.theme].text if dense else THEMES[self.state.theme].emitter_edge,
        )  # fmt: skip
        _put(self.sources["spokes"], spoke_columns(frame))
        told = frame.supposed
        _put(self.sources["supposed"], {
            **{name: told[name].to_numpy() for name in ("x0", "y0", "x1", "y1")},
            "a": told["a"].to_pylist(), "b": told["b"].to_pylist(),
            "confidence": [f"{c:.2f}" for c in told["confidence"].to_pylist()],
        })  # fmt: skip
        spot = frame.spot or None
        _put(self.sources["spot"], {"x": [spot[0]], "y": [spot[1]]} if spot else {"x": [], "y": []})
        self.legend.tell(frame, self.state.theme)
        self._tell_values(frame)

    def show_all(self) -> None:
        """Bring the whole graph into view."""
        self._touched = False
        if self.frame is not None and self.frame.extent is not None:
            self._go(around(self.frame.extent))

    # -- inside ---------------------------------------------------------------------------------

    def _first_view(self) -> View:
        s = self.state
        return view_of_degrees(s.west, s.south, s.east, s.north) if s.space == "map" else s.place or START

    def _draw_layers(self) -> None:
        f = self.base.figure
        self.mapper = LinearColorMapper(palette=kind_colours(self.state.theme), low=-0.5, high=255.5)
        self.line_mapper = LinearColorMapper(palette=line_colours(self.state.theme), low=-0.5, high=255.5)
        start = {
            "lines": EMPTY_IMAGE, "nodes": EMPTY_IMAGE, "segments": EMPTY_SEGMENTS, "centres": EMPTY_CENTRES,
            "supposed": {name: [] for name in ("x0", "y0", "x1", "y1", "a", "b", "confidence")},
            "spokes": {name: [] for name in ("x0", "y0", "x1", "y1")}, "points": EMPTY_NODES,
            "region": {"x": [], "y": []}, "spot": {"x": [], "y": []},
        }  # fmt: skip
        self.sources = {name: ColumnDataSource(data=dict(data)) for name, data in start.items()}
        ends: dict[str, Any] = {"x0": "x0", "y0": "y0", "x1": "x1", "y1": "y1"}
        place: dict[str, Any] = {"image": "image", "x": "x", "y": "y", "dw": "dw", "dh": "dh"}
        glyphs = {
            "lines": Image(**place, color_mapper=self.line_mapper),
            "nodes": Image(**place, color_mapper=self.mapper),
            "segments": Segment(**ends, line_width="width", line_alpha=0.42),
            "supposed": Segment(**ends, line_width=1.6, line_alpha=0.9, line_dash=[6, 4]),
            "centres": Scatter(x="x", y="y", marker="diamond", size=6, line_width=0.8, fill_alpha=1.0),
            "spokes": Segment(**ends, line_width=1.3, line_alpha=0.55),
            "points": Scatter(
                x="x", y="y", size="size", fill_color={"field": "level", "transform": self.mapper}, line_width=0.8
            ),
            "region": Patch(x="x", y="y", fill_alpha=0.07, line_width=1.4, line_dash=[5, 4]),
            "spot": Scatter(x="x", y="y", size=19, fill_alpha=0.0, line_width=2.2),
        }  # fmt: skip
        self.glyphs: dict[str, Any] = {}
        for name, glyph in glyphs.items():
            level = {"level": "image"} if name in ("lines", "nodes") else {}
            self.glyphs[name] = f.add_glyph(self.sources[name], glyph, **level)
            self.glyphs[name].nonselection_glyph = None
        boxed: dict[str, Any] = {"padding": 1, "border_radius": 2, "background_fill_alpha": 0.62}
        names = Text(x="x", y="y", text="label", x_offset=9, y_offset=-4, text_font_size="11px", **boxed)
        self.glyphs["names"] = f.add_glyph(self.sources["points"], names)
        self.glyphs["names"].nonselection_glyph = None
        hover = HoverTool(
            renderers=[self.glyphs["points"]], point_policy="snap_to_data",
            tooltips=[("", "@id"), ("kind", "@kind"), ("hyperedges", "@degree"), ("weight", "@weight"),
                      ("last seen", "@seen")],
        )  # fmt: skip
        over = HoverTool(
            renderers=[self.glyphs["centres"]], point_policy="snap_to_data",
            tooltips=[("hyperedge", "@kind"), ("joins", "@members nodes"), ("weight", "@weight"),
                      ("last seen", "@seen")],
        )  # fmt: skip
        between = HoverTool(
            renderers=[self.glyphs["supposed"]], line_policy="interp",
            tooltips=[("supposed", "@a"), ("with", "@b"), ("confidence", "@confidence")],
        )  # fmt: skip
        f.add_tools(hover, over, between)

    def _wire(self) -> None:
        f = self.base.figure
        self.asked = ColumnDataSource(data={"v": []})
        self.asked.on_change("data", self._asked)
        self.mode = ColumnDataSource(data={"lasso": [False], "drag": [False], "colour": ["#000"]})
        self.said = ColumnDataSource(data={"earth": [False], "kinds": [[]], "values": [[]], "units": [[]]})
        load = f"if (!window.scytheGraph) {{ {_GRAPH_JS} }}\n"
        watch = CustomJS(
            args={"fig": f, "asked": self.asked, "mode": self.mode}, code=load + "scytheGraph.watch(fig, asked, mode)"
        )
        f.js_on_change("inner_width", watch)
        f.js_on_event("mousemove", CustomJS(
            args={"fig": f, "layers": [[0, self.glyphs["nodes"]], [1, self.glyphs["lines"]]], "said": self.said},
            code="window.scytheGraph && scytheGraph.readout(fig, layers, said, cb_obj.x, cb_obj.y)",
        ))  # fmt: skip
        f.js_on_event("mouseleave", CustomJS(code="window.scytheMap && scytheMap.left()"))
        f.js_on_event("tap", CustomJS(
            args={"fig": f, "asked": self.asked},
            code="window.scytheGraph && scytheGraph.tapped(fig, asked, cb_obj.x, cb_obj.y)",
        ))  # fmt: skip
        drawn = CustomJS(code="window.scytheMap && scytheMap.drawn()")
        for name in ("nodes", "lines", "points", "segments"):
            self.sources[name].js_on_change("data", drawn)
        self._tell_mode()

    def _image(self, name: str, spec: GraphSpec, levels: Levels | None) -> None:
        place = (spec.west, spec.south, spec.east, spec.north)
        if levels is None:
            if self._sent.pop(name, None) is not None:
                self.sources[name].data = dict(EMPTY_IMAGE)
            return
        sent = self._sent.get(name)
        if sent is not None and sent[0] == place and np.array_equal(sent[1], levels.cells):
            return
        self._sent[name] = (place, levels.cells)
        self.sources[name].data = {
            "image": [levels.cells], "x": [place[0]], "y": [place[1]],
            "dw": [place[2] - place[0]], "dh": [place[3] - place[1]],
        }  # fmt: skip

    def _settle(self, frame: GraphFrame) -> None:
        """Bring the graph into view when it appears or was laid out anew; never because it grows."""
        if frame.extent is None or frame.spec.space != "layout" or frame.spec.space != self.state.space:
            return
        if frame.places.epoch != self._epoch:
            first, self._epoch = self._epoch < 0, frame.places.epoch
            if not self._touched or (not first and not len(frame.picture.rows)):
                self._go(around(frame.extent))

    def _go(self, view: View) -> None:
        self._fitted = view
        self.base.set_view(view)

    def _viewed(self, view: View) -> None:
        if self.state.space == "map":
            west, south, east, north = degrees_of_view(view)
            if west < east and south < north:
                self.state.param.update(west=west, south=south, east=east, north=north)
            return
        if not _same_view(view, self._fitted):
            self._touched = True
        self.state.place = tuple(round(v, 1) for v in view)

    def _change_space(self) -> None:
        if self.state.space == self._space:
            return
        self._space = self.state.space
        self._fitted = self._first_view()
        for name in self.sources:
            if name != "region":
                self.sources[name].data = {key: [] for key in self.sources[name].data}
        self._sent.clear()
        self.base.show_earth(self._space == "map")
        self.state.region = None
        self.base.set_view(self._fitted)

    def _asked(self, attr: str, old: Any, new: dict[str, list[float]]) -> None:
        values = [float(v) for v in new.get("v", [])]
        if not values or not np.isfinite(values).all() or np.abs(values[1:5]).max(initial=0.0) > 1e9:
            return
        if values[0] == 2 and len(values) >= 4:
            self.on_click(values[1], values[2], values[3])
        elif self.frame is not None:
            self.state.region = region_from(values[1:], lasso=values[0] == 1, step=self.frame.spec.step)

    def _mark_region(self) -> None:
        region = self.state.region
        x, y = region.outline() if region is not None else ([], [])
        _put(self.sources["region"], {"x": x, "y": y})

    def _tell_mode(self) -> None:
        s = self.state
        self.mode.data = {
            "lasso": [bool(s.lasso)], "drag": [bool(s.drag_selects)], "colour": [THEMES[s.theme].selected],
        }  # fmt: skip

    def _tell_values(self, frame: GraphFrame) -> None:
        levels = (frame.picture.nodes, frame.picture.lines)
        unit = {"weight": "weight", "recency": "s old"}.get(frame.spec.by)
        _put(self.said, {
            "earth": [frame.spec.space == "map"],
            "kinds": [[kind for kind in self.legend.categories] if frame.spec.by == "kind" else []],
            "values": [[[float(f"{v:.3g}") for v in part.values] if part else [] for part in levels]],
            "units": [[f"{unit}" if unit else "nodes per cell", f"{unit} of lines" if unit else "lines per cell"]],
        })  # fmt: skip

    def _restyle(self) -> None:
        theme = self.state.theme
        p = THEMES[theme]
        self.base.set_theme(theme)
        self.mapper.palette = kind_colours(theme) if self.state.by == "kind" else density_colours(theme)
        self.line_mapper.palette = line_colours(theme)
        g = self.glyphs
        g["segments"].glyph.line_color = p.border
        g["supposed"].glyph.line_color = p.forecast
        g["centres"].glyph.update(line_color=p.border, fill_color=p.map_background)
        for name in ("spokes", "spot"):
            g[name].glyph.line_color = p.selected
        g["region"].glyph.update(line_color=p.selected, fill_color=p.selected)
        g["names"].glyph.update(text_color=p.text, background_fill_color=p.map_background)
        if self.frame is not None:
            self.draw(self.frame)


def region_from(values: list[float], *, lasso: bool, step: int) -> GraphRegion | None:
    """The region of corners x, y, x, y … in units of the space; None when it encloses nothing.

    Examples
    --------
    >>> region_from([0.2, 0.2, 9.7, 0.2, 9.7, 5.1, 0.2, 5.1], lasso=False, step=2).corners
    (0, 0, 5, 3)
    """
    cell = cell_size(step)
    x, y = np.array(values[::2]) / cell, np.array(values[1::2]) / cell
    try:
        if not lasso:
            corners = [np.floor(x.min()), np.floor(y.min()), np.ceil(x.max()), np.ceil(y.max())]
            return GraphRegion("box", step, tuple(int(v) for v in corners))
        return GraphRegion("lasso", step, tuple(int(v) for v in np.rint(np.column_stack([x, y])).ravel()))
    except ValueError:
        return None


def around(extent: View) -> View:
    """Bounds that hold an extent with some room around it."""
    west, south, east, north = extent
    margin = max(MARGIN * max(east - west, north - south), 1_000.0)
    return west - margin, south - margin, east + margin, north + margin


def _same_view(view: View, fitted: View) -> bool:
    """Whether a view is what a window makes of bounds that it was asked to fit."""
    size = max(fitted[2] - fitted[0], fitted[3] - fitted[1])
    centred = all(abs((view[i] + view[i + 2]) - (fitted[i] + fitted[i + 2])) < 0.01 * size for i in (0, 1))
    width, height = (fitted[2] - fitted[0]) / (view[2] - view[0]), (fitted[3] - fitted[1]) / (view[3] - view[1])
    return centred and abs(max(width, height) - 1.0) < 0.01


def _put(source: ColumnDataSource, columns: dict[str, Any]) -> None:
    """Send columns that differ from those that are there."""
    old = source.data
    if old.keys() == columns.keys() and all(_equal(old[name], values) for name, values in columns.items()):
        return
    source.data = columns


def _equal(old: Any, new: Any) -> bool:
    if isinstance(old, np.ndarray) or isinstance(new, np.ndarray):
        return len(old) == len(new) and bool(np.array_equal(np.asarray(old), np.asarray(new)))
    return bool(old == new)
