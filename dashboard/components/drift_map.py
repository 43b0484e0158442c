"""Where it is: alerts with a place and the intent of clusters as a heat field, on the map of the other pages."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import panel as pn
import param
from bokeh.models import ColumnDataSource, HoverTool, LinearColorMapper, TapTool
from bokeh.models.glyphs import Image, Scatter, Text

from dashboard.components.base_map import BaseMap, View, degrees_of_view, view_of_degrees
from dashboard.components.drift_state import DriftState
from dashboard.components.drift_words import monitor_word, value_text
from dashboard.theme import THEMES, field_colours
from engine.drift.intent import intent_field
from engine.geo import inverse_web_mercator, web_mercator

FIELD_CELLS = 72
"""Cells of the heat field along each side of the view."""

MOST_PLACES = 400
"""Alerts drawn at most, the newest."""

_NO_PLACES: dict[str, Any] = {
    name: [] for name in ("x", "y", "key", "what", "about", "value", "colour", "mark", "label")
}


class DriftMap(pn.viewable.Viewer):
    """Alerts and intent on the map.

    Examples
    --------
    >>> DriftMap(DriftState()).places.data["key"]
    []
    """

    state: DriftState = param.ClassSelector(class_=DriftState, doc="Holds view and selection.")  # type: ignore[assignment]

    def __init__(self, state: DriftState, **params: Any) -> None:
        super().__init__(state=state, **params)
        view = view_of_degrees(state.west, state.south, state.east, state.north)
        self.base = BaseMap(view, state.theme, self._viewed)
        f = self.base.figure
        self.mapper = LinearColorMapper(palette=field_colours(state.theme), low=0.0, high=1.0)
        self.heat = ColumnDataSource(data={"image": [], "x": [], "y": [], "dw": [], "dh": []})
        f.add_glyph(
            self.heat, Image(image="image", x="x", y="y", dw="dw", dh="dh", color_mapper=self.mapper), level="image"
        )
        self.places = ColumnDataSource(data=dict(_NO_PLACES))
        marks = f.add_glyph(
            self.places, Scatter(x="x", y="y", marker="mark", size=12, fill_color="colour", line_width=1.2)
        )
        self._labels = f.add_glyph(
            self.places, Text(x="x", y="y", text="label", x_offset=10, y_offset=4, text_font_size="11px")
        )
        marks.nonselection_glyph = self._labels.nonselection_glyph = None
        self._marks = marks
        hover = HoverTool(
            renderers=[marks], point_policy="snap_to_data",
            tooltips=[("", "@what"), ("about", "@about"), ("value", "@value")],
        )  # fmt: skip
        f.add_tools(hover, TapTool(renderers=[marks]))
        f.toolbar.active_inspect = hover
        self.places.selected.on_change("indices", self._tapped)
        self._alerts: pd.DataFrame | None = None
        self._scores = pd.DataFrame({"lat": [], "lon": [], "score": []})
        self._pane = pn.pane.Bokeh(f, sizing_mode="stretch_both", margin=0)
        state.param.watch(lambda *_: self._restyle(), "theme")
        self._restyle()

    def __panel__(self) -> pn.viewable.Viewable:
        return self._pane

    def draw(self, alerts: pd.DataFrame, scores: pd.DataFrame) -> None:
        """Draw alerts (those that have a place) and the intent of clusters (columns lat, lon, score)."""
        self._alerts, self._scores = alerts, scores
        columns = place_columns(alerts, self.state.theme)
        if columns["key"] != self.places.data["key"] or columns["colour"] != self.places.data["colour"]:
            self.places.data = columns
        self._draw_heat()

    def _draw_heat(self) -> None:
        self.heat.data = heat_columns(self._scores, self.base.view)

    def _restyle(self) -> None:
        p = THEMES[self.state.theme]
        self.base.set_theme(self.state.theme)
        self.mapper.palette = field_colours(self.state.theme)
        self._marks.glyph.update(line_color=p.emitter_edge)
        self._labels.glyph.update(text_color=p.text)
        if self._alerts is not None:
            self.places.data = place_columns(self._alerts, self.state.theme)

    def _viewed(self, view: View) -> None:
        west, south, east, north = degrees_of_view(view)
        self.state.param.update(west=west, south=south, east=east, north=north)
        self._draw_heat()

    def _tapped(self, attr: str, old: list[int], new: list[int]) -> None:
        keys = self.places.data["key"]
        chosen = [keys[i] for i in new if 0 <= i < len(keys)]
        if chosen:
            self.state.alert = str(chosen[0])


def place_columns(alerts: pd.DataFrame, theme: str) -> dict[str, Any]:
    """Columns of the markers: one per alert with a place, newest last so that it lies on top."""
    known = alerts[alerts["lat"].notna() & alerts["lon"].notna()].head(MOST_PLACES).iloc[::-1]
    if known.empty:
        return dict(_NO_PLACES)
    x, y = web_mercator(known["lat"].to_numpy(float), known["lon"].to_numpy(float))
    p = THEMES[theme]
    stands = (known["state"] == "raised").tolist()
    what = [monitor_word(str(m)).title for m in known["monitor"]]
    return {
        "x": np.asarray(x), "y": np.asarray(y), "key": known["alert"].astype(str).tolist(),
        "what": [f"{w}{', drill' if d else ''}" for w, d in zip(what, known["drill"], strict=True)],
        "about": known["entity"].astype(str).tolist(),
        "value": [value_text(float(v), str(u or "")) for v, u in zip(known["value"], known["unit"], strict=True)],
        "colour": [p.selected if on else p.muted for on in stands],
        "mark": ["diamond" if d else "circle" for d in known["drill"]],
        "label": [w if on else "" for w, on in zip(what, stands, strict=True)],
    }  # fmt: skip


def heat_columns(scores: pd.DataFrame, view: View) -> dict[str, list[Any]]:
    """The intent field over a view, as an image; nothing where no cluster has a place."""
    if scores.empty:
        return {"image": [], "x": [], "y": [], "dw": [], "dh": []}
    west, south, east, north = view
    x = west + (np.arange(FIELD_CELLS) + 0.5) * (east - west) / FIELD_CELLS
    y = south + (np.arange(FIELD_CELLS) + 0.5) * (north - south) / FIELD_CELLS
    lat, lon = inverse_web_mercator(x, y)
    field = intent_field(scores, lat, lon).to_numpy().astype(np.float32)
    return {"image": [field], "x": [west], "y": [south], "dw": [east - west], "dh": [north - south]}
