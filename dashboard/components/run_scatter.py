"""Runs as points: any metric or parameter against any other, coloured by a third, one click from being opened."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import panel as pn
import pyarrow as pa
from bokeh.events import SelectionGeometry
from bokeh.models import BoxSelectTool, ColumnDataSource, CustomJS, HoverTool, LinearColorMapper, Range1d, TapTool
from bokeh.models.annotations import ColorBar
from bokeh.models.glyphs import Scatter

from dashboard.components.array_levels import COLOURS, palette
from dashboard.components.figure_style import chart, restyle
from dashboard.components.run_rows import values
from dashboard.theme import THEMES

_EMPTY: dict[str, Any] = {"x": [], "y": [], "c": [], "id": [], "row": []}


def scatter_columns(table: pa.Table, rows: np.ndarray, x: str, y: str, colour: str) -> dict[str, Any]:
    """Columns of the points: runs without a value on an axis are left out.

    Parameters
    ----------
    table : pyarrow.Table
    rows : ndarray of int64
        Runs to draw.
    x, y, colour : str
        Numeric columns of the table.

    Returns
    -------
    dict
        ``x``, ``y``, ``c`` float32, ``id`` first ten digits, ``row`` number in the table.

    Examples
    --------
    >>> runs = pa.table({"run_id": ["a" * 40, "b" * 40], "kappa": [0.1, None], "fitness": [1.0, 2.0]})
    >>> scatter_columns(runs, np.arange(2), "kappa", "fitness", "fitness")["id"]
    ['aaaaaaaaaa']
    """
    across, up, hue = (values(table, name, rows) for name in (x, y, colour))
    known = np.isfinite(across) & np.isfinite(up)
    few = rows[known]
    ids = [v[:10] for v in table["run_id"].take(pa.array(few)).to_pylist()]
    return {
        "x": across[known].astype(np.float32), "y": up[known].astype(np.float32),
        "c": hue[known].astype(np.float32), "id": ids, "row": few.astype(np.int32),
    }  # fmt: skip


# The axes follow the runs as long as the viewer has not moved them; other axes begin anew.
_FIT_JS = """
const { r, of } = home.data, [old, what] = home.tags, x = fig.x_range, y = fig.y_range
if (!r.length) return
const here = [x.start, x.end, y.start, y.end]
if (old && what === of[0] && !here.every((v, i) => v === old[i])) return
x.setv({ start: r[0], end: r[1] }); y.setv({ start: r[2], end: r[3] })
home.setv({ tags: [r, of[0]] }, { sync: false })
"""


def _extent(values: np.ndarray) -> tuple[float, float]:
    """From the least to the largest value, and a little around."""
    low, high = (float(values.min()), float(values.max())) if len(values) else (0.0, 1.0)
    edge = 0.04 * (high - low) or 0.5 * abs(low) or 0.5
    return low - edge, high + edge


class RunScatter:
    """Scatter of runs; a click picks a run, a box keeps the runs in it.

    Parameters
    ----------
    theme : str
    on_pick : callable (row) -> None
        Number of the run's row in the table.
    on_box : callable (low_x, high_x, low_y, high_y) -> None
    """

    def __init__(
        self, theme: str, on_pick: Callable[[int], None], on_box: Callable[[float, float, float, float], None]
    ) -> None:
        self._on_pick, self._on_box, self._quiet = on_pick, on_box, False
        self.figure = f = chart(theme, sizing_mode="stretch_both", x_range=Range1d(), y_range=Range1d())
        self._home = ColumnDataSource(data={"r": []}, tags=[])
        fit = CustomJS(args={"fig": f, "home": self._home}, code=_FIT_JS)
        self._home.js_on_change("data", fit)
        for event in ("doubletap", "reset"):
            f.js_on_event(
                event, CustomJS(args={"home": self._home, "fit": fit}, code="home.tags = []; fit.execute(home)")
            )
        for size in ("inner_width", "inner_height"):
            f.js_on_change(size, fit)
        self.source = ColumnDataSource(data=_EMPTY)
        self.picked = ColumnDataSource(data={"x": [], "y": [], "line": []})
        self.mapper = LinearColorMapper(palette=palette("sequential", theme)[:COLOURS], low=0.0, high=1.0)
        self._points = f.add_glyph(
            self.source,
            Scatter(x="x", y="y", size=7, fill_color={"field": "c", "transform": self.mapper}, line_width=0.4),
        )
        self._points.nonselection_glyph = self._points.selection_glyph = None
        self._ring = f.add_glyph(
            self.picked, Scatter(x="x", y="y", size=14, fill_color=None, line_width=2.2, line_color="line")
        )
        self.hover = HoverTool(renderers=[self._points], point_policy="snap_to_data")
        f.add_tools(self.hover, TapTool(renderers=[self._points]), BoxSelectTool(renderers=[self._points]))
        self.bar = ColorBar(color_mapper=self.mapper, width=11, padding=4, margin=0, location=(0, 0))
        f.add_layout(self.bar, "right")
        self.source.selected.on_change("indices", self._tapped)
        f.on_event(SelectionGeometry, self._boxed)
        self.view = pn.pane.Bokeh(f, sizing_mode="stretch_both", margin=0)
        self.set_theme(theme)

    def set_theme(self, theme: str) -> None:
        """Recolour in place."""
        p = THEMES[theme]
        self._p = p
        restyle(self.figure, theme)
        self._points.glyph.line_color = p.surface
        self.mapper.update(palette=palette("sequential", theme)[:COLOURS], nan_color=p.muted)
        self.bar.background_fill_color = p.surface
        self.bar.bar_line_color = None
        self.bar.major_label_text_color = self.bar.title_text_color = p.muted
        self.bar.major_label_text_font_size = self.bar.title_text_font_size = "11px"
        self.bar.title_text_font_style = "normal"

    def draw(self, table: pa.Table, rows: np.ndarray, names: tuple[str, str, str]) -> int:
        """Draw these runs; gives how many of them have no value on an axis."""
        x, y, colour = names
        columns = scatter_columns(table, rows, x, y, colour)
        self.hover.tooltips = [("run", "@id")] + [
            (n, f"@{c}{{0.0000}}") for n, c in dict(zip(names, "xyc", strict=True)).items()
        ]
        f = self.figure
        f.xaxis.axis_label, f.yaxis.axis_label, self.bar.title = x, y, colour
        hue = columns["c"][np.isfinite(columns["c"])]
        low, high = (float(hue.min()), float(hue.max())) if len(hue) else (0.0, 1.0)
        self.mapper.update(low=low, high=high if high > low else low + 1.0)
        home = {"r": [*_extent(columns["x"]), *_extent(columns["y"])], "of": [f"{x} {y}"] * 4}
        if home != self._home.data:
            self._home.data = home
        self._quiet = True
        try:
            self.source.selected.indices = []
            self.source.data = columns
        finally:
            self._quiet = False
        return len(rows) - len(columns["row"])

    def mark(self, table: pa.Table, names: tuple[str, str, str], selected: int | None, others: list[int]) -> None:
        """Ring the open run and those compared with it, by their rows."""
        rows = np.array([*others, *([] if selected is None else [selected])], dtype=np.int64)
        line = ["#d9730d"] * len(others) + [self._p.selected] * (selected is not None)
        x, y = (values(table, n, rows) if len(rows) else np.empty(0) for n in names[:2])
        self.picked.data = {"x": x, "y": y, "line": line}

    def _tapped(self, attr: str, old: list[int], new: list[int]) -> None:
        if not self._quiet and len(new) == 1:
            self._on_pick(int(self.source.data["row"][new[0]]))

    def _boxed(self, event: Any) -> None:
        g: dict[str, Any] = event.geometry or {}
        if event.final and g.get("type") == "rect":
            bounds = [float(g[k]) for k in ("x0", "x1", "y0", "y1")]
            if all(map(np.isfinite, bounds)):
                self._on_box(min(bounds[:2]), max(bounds[:2]), min(bounds[2:]), max(bounds[2:]))
