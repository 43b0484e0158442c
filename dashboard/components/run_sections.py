"""Cross-sections of the open run and those compared with it: the row and the column through one cell, as lines."""

from __future__ import annotations

from typing import Any

import numpy as np
import panel as pn
from bokeh.models import BasicTicker, ColumnDataSource, HoverTool, Range1d
from bokeh.models.glyphs import MultiLine

from dashboard.components.figure_style import chart, restyle
from dashboard.theme import THEMES

HEIGHT_PX = 112
"""Height of the charts."""

Lines = tuple[list[np.ndarray], list[np.ndarray]]


def section_lines(grids: list[np.ndarray], cut: tuple[int, int]) -> dict[str, Lines]:
    """Row and column of each grid through a cell; a grid that has no such cell is left out.

    Parameters
    ----------
    grids : list of ndarray, shape (rows, columns)
    cut : (int, int)
        Row and column.

    Returns
    -------
    dict
        ``row`` and ``column``: cell numbers and values of each line, those without a value as NaN.

    Examples
    --------
    >>> lines = section_lines([np.array([[1.0, 2.0], [3.0, 4.0]])], (0, 1))
    >>> lines["row"][1][0].tolist(), lines["column"][1][0].tolist()
    ([1.0, 2.0], [2.0, 4.0])
    """
    row, column = cut
    there = [g for g in grids if 0 <= row < g.shape[0] and 0 <= column < g.shape[1]]
    lines = {"row": [g[row] for g in there], "column": [g[:, column] for g in there]}
    finite = {name: [np.where(np.isfinite(v), v, np.nan) for v in values] for name, values in lines.items()}
    return {name: ([np.arange(len(v)) for v in values], values) for name, values in finite.items()}


class RunSections:
    """Two charts under the pictures: along the row, and along the column."""

    def __init__(self, theme: str) -> None:
        self.figures, self.sources, parts = {}, {}, []
        for name in ("row", "column"):
            f = chart(
                theme, height=HEIGHT_PX, sizing_mode="stretch_width", toolbar_location=None, tools=[],
                x_range=Range1d(), y_range=Range1d(),
            )  # fmt: skip
            source = ColumnDataSource(data={"xs": [], "ys": [], "line": []})
            glyph = f.add_glyph(source, MultiLine(xs="xs", ys="ys", line_color="line", line_width=1.5))
            f.add_tools(HoverTool(renderers=[glyph], tooltips=[("cell", "$x{0}"), ("value", "$y")]))
            f.yaxis.ticker = BasicTicker(desired_num_ticks=3)
            self.figures[name], self.sources[name] = f, source
            parts.append(pn.pane.Bokeh(f, sizing_mode="stretch_width", margin=0, height=HEIGHT_PX))
        self.view = pn.Row(*parts, sizing_mode="stretch_width", margin=0, height=HEIGHT_PX, visible=False)
        self._theme = theme

    def draw(self, grids: list[np.ndarray], colours: list[str], cut: tuple[int, int] | None, theme: str) -> None:
        """Draw the sections through a cell; None hides them."""
        lines: dict[str, Any] = section_lines(grids, cut) if cut is not None else {}
        shown = bool(lines) and bool(lines["row"][1])
        if self.view.visible != shown:
            self.view.visible = shown
        if theme != self._theme:
            self._theme = theme
            for f in self.figures.values():
                restyle(f, theme)
        if not shown or cut is None:
            return
        for name, (at, values) in lines.items():
            f = self.figures[name]
            self.sources[name].data = {"xs": at, "ys": values, "line": colours[: len(values)]}
            every = np.concatenate(values)
            every = every[np.isfinite(every)]
            low, high = (float(every.min()), float(every.max())) if every.size else (0.0, 1.0)
            room = 0.06 * (high - low) or 0.5
            f.x_range.update(start=-0.5, end=float(max(len(v) for v in values)) - 0.5)
            f.y_range.update(start=low - room, end=high + room)
            said = ("row", cut[0]) if name == "row" else ("column", cut[1])
            f.xaxis.axis_label = f"along {said[0]} {said[1]} (cells)"

    @staticmethod
    def colour(index: int, theme: str) -> str:
        """Colour of the open run (0) and of those compared with it."""
        p = THEMES[theme]
        others = {"light": ("#b85000", "#2f7d4f", "#6b5bb5"), "dark": ("#ff9d3c", "#6fd39a", "#b3a6ff")}[theme]
        accent = {"light": "#0b6aa8", "dark": "#5cc4f0"}[theme]
        return p.muted if index > len(others) else accent if index == 0 else others[index - 1]
