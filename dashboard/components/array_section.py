"""Numbers beside a heat map: the row and the column through a cell that was clicked, and how values are spread.

Both follow an `ArrayView` and look at the picture that it shows, nothing else.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import panel as pn
import param
import xarray as xr
from bokeh.events import Tap
from bokeh.models import ColumnDataSource, HoverTool, Range1d
from bokeh.models.annotations import Span
from bokeh.models.glyphs import Line, Quad
from bokeh.models.text import PlainText

from dashboard.components.array_view import ArrayView
from dashboard.components.figure_style import chart, restyle
from dashboard.theme import THEMES

BINS = 80


class CrossSection(pn.viewable.Viewer):
    """Row (blue line below the picture) and column through the cell last clicked in a view.

    Parameters
    ----------
    view : ArrayView
    """

    point = param.Parameter(default=None, doc="Place clicked, (x, y) in the units of the axes; None before.")

    def __init__(self, view: ArrayView, **params: Any) -> None:
        super().__init__(**params)
        self.view = view
        self.figures = {name: _small(view.theme) for name in ("row", "column")}
        self.data = {name: ColumnDataSource(data={"at": [], "value": []}) for name in self.figures}
        self._lines = {name: fig.add_glyph(self.data[name], Line(x="at", y="value", line_width=1.3))
                       for name, fig in self.figures.items()}  # fmt: skip
        for name, fig in self.figures.items():
            fig.add_tools(HoverTool(renderers=[self._lines[name]], mode="vline",
                                    tooltips=[("at", "@at"), ("value", "@value")]))  # fmt: skip
        self._marks = [Span(dimension=side, visible=False, line_width=1, line_dash="dashed", level="overlay")
                       for side in ("width", "height")]  # fmt: skip
        for mark in self._marks:
            view.figure.add_layout(mark)
        view.figure.on_event(Tap, self._tapped)
        view.param.watch(lambda *_: self._draw(), "picture")
        view.param.watch(lambda *_: self._restyle(), "theme")
        self.param.watch(lambda *_: self._draw(), "point")
        panes = [pn.pane.Bokeh(fig, sizing_mode="stretch_width", margin=0) for fig in self.figures.values()]
        self._layout = pn.Row(*panes, sizing_mode="stretch_width", margin=0, visible=False)
        self._restyle()

    def __panel__(self) -> pn.viewable.Viewable:
        return self._layout

    def _tapped(self, event: Any) -> None:
        if event.x is not None and event.y is not None and np.isfinite([event.x, event.y]).all():
            self.point = (float(event.x), float(event.y))

    def _draw(self) -> None:
        picture, point = self.view.picture, self.point
        found = None if picture is None or point is None else sections(picture, *point)
        self._layout.visible = found is not None
        for mark in self._marks:
            mark.visible = found is not None
        if found is None:
            return
        self._marks[0].location, self._marks[1].location = point[1], point[0]
        for name, (at, values, said) in found.items():
            self.data[name].data = {"at": at, "value": values}
            _fit(self.figures[name], at, values)
            self.figures[name].xaxis[0].axis_label = PlainText(text=said)

    def _restyle(self) -> None:
        p = THEMES[self.view.theme]
        for name, fig in self.figures.items():
            restyle(fig, self.view.theme)
            self._lines[name].glyph.line_color = p.text
        for mark in self._marks:
            mark.line_color = p.selected


def sections(picture: xr.DataArray, x: float, y: float) -> dict[str, tuple[np.ndarray, np.ndarray, str]] | None:
    """Row and column of a picture through a place; None outside of it.

    Returns
    -------
    dict
        ``row`` and ``column``: coordinates, values, and what the axis is.

    Examples
    --------
    >>> picture = xr.DataArray([[1.0, 2.0], [3.0, 4.0]], {"y": [0.0, 1.0], "x": [0.0, 1.0]}, ("y", "x"),
    ...                        attrs={"bounds": (-0.5, -0.5, 1.5, 1.5)})
    >>> sections(picture, 1.2, 0.1)["column"][1].tolist()
    [2.0, 4.0]
    """
    left, bottom, right, top = picture.attrs["bounds"]
    if not (left <= x < right and bottom <= y < top):
        return None
    ny, nx = picture.shape
    row, column = int((y - bottom) / (top - bottom) * ny), int((x - left) / (right - left) * nx)
    out = {}
    for name, dim, values, other, at in (
        ("row", "x", picture.values[row], "y", float(picture.y[row])),
        ("column", "y", picture.values[:, column], "x", float(picture.x[column])),
    ):
        a, b = picture[dim].attrs, picture[other].attrs
        unit, other_unit = (f" {entry.get('units', '')}".rstrip() for entry in (a, b))
        said = f"{a.get('long_name') or dim}{f' ({unit.strip()})' if unit else ''}, at " \
               f"{b.get('long_name') or other} = {at:.6g}{other_unit}"  # fmt: skip
        out[name] = (picture[dim].to_numpy(), np.asarray(values, "f8"), said)
    return out


class Histogram(pn.viewable.Viewer):
    """How the numbers of the picture in view are spread, with the colour limits marked.

    Parameters
    ----------
    view : ArrayView
    """

    def __init__(self, view: ArrayView, **params: Any) -> None:
        super().__init__(**params)
        self.view = view
        self.figure = _small(view.theme)
        self.data = ColumnDataSource(data={"left": [], "right": [], "top": []})
        self._bars = self.figure.add_glyph(self.data, Quad(left="left", right="right", top="top", bottom=0))
        self.figure.add_tools(HoverTool(renderers=[self._bars], tooltips=[("from", "@left"), ("to", "@right"),
                                                                          ("pixels", "@top")]))  # fmt: skip
        self._limits = [Span(dimension="height", line_width=1.5, line_dash="dashed") for _ in range(2)]
        for mark in self._limits:
            self.figure.add_layout(mark)
        view.param.watch(lambda *_: self._draw(), ["picture", "status"])
        view.param.watch(lambda *_: self._restyle(), "theme")
        self._restyle()
        self._draw()

    def __panel__(self) -> pn.viewable.Viewable:
        return pn.pane.Bokeh(self.figure, sizing_mode="stretch_width", margin=0)

    def _draw(self) -> None:
        picture = self.view.picture
        values = np.asarray([] if picture is None else picture.values, "f8").ravel()
        values = values[np.isfinite(values)]
        if not values.size:
            self.data.data = {"left": [], "right": [], "top": []}
            return
        low, high = float(values.min()), float(values.max())
        # Equal but for rounding: one bar, in the middle.
        pad = 0.5 * abs(low) or 0.5 if high - low <= 1e-12 * max(abs(low), abs(high)) else 0.0
        counts, edges = np.histogram(values, BINS, (low - pad, high + pad))
        self.data.data = {"left": edges[:-1], "right": edges[1:], "top": counts}
        _fit(self.figure, edges, np.append(counts, 0))
        self._limits[0].location, self._limits[1].location = self.view.drawn_with.low, self.view.drawn_with.high
        unit = "" if picture is None else picture.attrs.get("units", "")
        self.figure.xaxis[0].axis_label = PlainText(text=f"value{f' ({unit})' if unit else ''}")
        self.figure.yaxis[0].axis_label = "pixels in view"

    def _restyle(self) -> None:
        p = THEMES[self.view.theme]
        restyle(self.figure, self.view.theme)
        self._bars.glyph.fill_color, self._bars.glyph.line_color = p.muted, None
        for mark in self._limits:
            mark.line_color = p.selected


def _small(theme: str) -> Any:
    return chart(theme, height=150, sizing_mode="stretch_width", toolbar_location=None,
                 x_range=Range1d(), y_range=Range1d())  # fmt: skip


def _fit(figure: Any, x: np.ndarray, y: np.ndarray) -> None:
    for axis_range, values, share in ((figure.x_range, x, 0.0), (figure.y_range, y, 0.06)):
        finite = values[np.isfinite(values)]
        low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
        pad = share * (high - low) or (0.0 if high > low else 0.5)
        axis_range.update(start=low - pad, end=high + pad)
