"""Parallel coordinates: each run a line across the axes of its parameters and metrics."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import panel as pn
import pyarrow as pa
from bokeh.events import SelectionGeometry
from bokeh.models import BoxSelectTool, ColumnDataSource, LinearColorMapper, Range1d, TapTool
from bokeh.models.glyphs import MultiLine, Segment, Text

from dashboard.components.array_levels import COLOURS, palette
from dashboard.components.figure_style import chart, restyle
from dashboard.components.run_rows import differing, values
from dashboard.theme import THEMES

MAX_LINES = 2_000
"""Lines drawn at most, the first of the listed order; more would be one grey."""

MAX_AXES = 9
"""Axes drawn at most."""

_METRICS = ("log_prime_sse", "scramble_p", "shuffle_p", "flat_deviation", "fitness")


def parallel_axes(table: pa.Table, rows: np.ndarray) -> list[str]:
    """Parameters that differ, then the metrics that matter most.

    Examples
    --------
    >>> parallel_axes(pa.table({"kappa": [0.1, 0.2], "fitness": [1.0, 2.0]}), np.arange(2))
    ['kappa', 'fitness']
    """
    numbers = [n for n in differing(table, rows) if pa.types.is_floating(table.schema.field(n).type)]
    metrics = [n for n in _METRICS if n in table.column_names]
    return [*numbers[: MAX_AXES - len(metrics)], *metrics]


def scaled(table: pa.Table, rows: np.ndarray, axes: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Values on the axes, 0 at the least and 1 at the largest of each; and those ends.

    Returns
    -------
    level : ndarray of float64, shape (rows, axes)
        NaN where a run has no value; 0.5 where all are the same.
    ends : ndarray of float64, shape (axes, 2)

    Examples
    --------
    >>> level, ends = scaled(pa.table({"kappa": [1.0, 3.0]}), np.arange(2), ["kappa"])
    >>> level.ravel().tolist(), ends.tolist()
    ([0.0, 1.0], [[1.0, 3.0]])
    """
    raw = np.column_stack([values(table, name, rows) for name in axes]) if axes else np.empty((len(rows), 0))
    raw[~np.isfinite(raw)] = np.nan
    known = np.isfinite(raw)
    low = np.min(np.where(known, raw, np.inf), axis=0, initial=np.inf)
    high = np.max(np.where(known, raw, -np.inf), axis=0, initial=-np.inf)
    low, high = np.where(np.isfinite(low), low, 0.0), np.where(np.isfinite(high), high, 1.0)
    span = high - low
    level = np.where(span > 0, (raw - low) / np.where(span > 0, span, 1.0), np.where(known, 0.5, np.nan))
    return level, np.column_stack([low, high])


class RunParallel:
    """Parallel coordinates of runs; a click picks a run, a box over an axis keeps the runs within.

    Parameters
    ----------
    theme : str
    on_pick : callable (row) -> None
    on_box : callable (dict of str to (low, high)) -> None
        Ranges of values by column.
    """

    def __init__(
        self, theme: str, on_pick: Callable[[int], None], on_box: Callable[[dict[str, tuple[float, float]]], None]
    ) -> None:
        self._on_pick, self._on_box, self._quiet = on_pick, on_box, False
        self._axes: list[str] = []
        self._ends = np.empty((0, 2))
        self.figure = f = chart(
            theme, sizing_mode="stretch_both", x_range=Range1d(start=-0.5, end=5.5),
            y_range=Range1d(start=-0.14, end=1.16),
            x_axis_type=None, y_axis_type=None,
        )  # fmt: skip
        f.grid.visible = False
        f.outline_line_color = None
        self.mapper = LinearColorMapper(palette=palette("sequential", theme)[:COLOURS], low=0.0, high=1.0)
        self.source = ColumnDataSource(data={"xs": [], "ys": [], "c": [], "row": []})
        self.picked = ColumnDataSource(data={"xs": [], "ys": [], "line": []})
        self.axes = ColumnDataSource(data={"x": [], "y0": [], "y1": []})
        self.labels = ColumnDataSource(data={"x": [], "y": [], "text": [], "shift": []})
        self._lines = f.add_glyph(
            self.source,
            MultiLine(xs="xs", ys="ys", line_color={"field": "c", "transform": self.mapper}, line_alpha=0.5),
        )
        self._lines.nonselection_glyph = self._lines.selection_glyph = None
        self._rule = f.add_glyph(self.axes, Segment(x0="x", y0="y0", x1="x", y1="y1", line_width=1.2))
        f.add_glyph(self.picked, MultiLine(xs="xs", ys="ys", line_color="line", line_width=3))
        self._names = f.add_glyph(
            self.labels, Text(x="x", y="y", text="text", text_align="center", text_font_size="11px", y_offset="shift")
        )
        f.add_tools(TapTool(renderers=[self._lines]), BoxSelectTool(renderers=[self._lines]))
        self.source.selected.on_change("indices", self._tapped)
        f.on_event(SelectionGeometry, self._boxed)
        self.view = pn.pane.Bokeh(f, sizing_mode="stretch_both", margin=0)
        self.set_theme(theme)

    def set_theme(self, theme: str) -> None:
        """Recolour in place."""
        self._p = p = THEMES[theme]
        restyle(self.figure, theme)
        self.figure.outline_line_color = None
        self.mapper.update(palette=palette("sequential", theme)[:COLOURS], nan_color=p.muted)
        self._rule.glyph.line_color = p.muted
        self._names.glyph.text_color = p.text

    def draw(self, table: pa.Table, rows: np.ndarray, colour: str) -> int:
        """Draw the first of these runs; gives how many."""
        few = rows[:MAX_LINES]
        self._axes = parallel_axes(table, rows)
        level, self._ends = scaled(table, few, self._axes)
        hue = values(table, colour, few) if colour in table.column_names else np.full(len(few), np.nan)
        drawn = np.isfinite(level).any(axis=1)
        finite = hue[np.isfinite(hue)]
        low, high = (float(finite.min()), float(finite.max())) if len(finite) else (0.0, 1.0)
        self.mapper.update(low=low, high=high if high > low else low + 1.0)
        n = len(self._axes)
        # The coloured-best line is drawn last, over the others.
        order = np.flatnonzero(drawn)[np.argsort(np.nan_to_num(hue[drawn], nan=-np.inf), kind="stable")]
        across = np.arange(n, dtype=np.float32)
        self._quiet = True
        try:
            self.source.selected.indices = []
            self.source.data = {
                "xs": [across] * len(order), "ys": list(level[order].astype(np.float32)),
                "c": hue[order].astype(np.float32), "row": few[order].astype(np.int32),
            }  # fmt: skip
        finally:
            self._quiet = False
        self.axes.data = {"x": np.arange(n), "y0": np.zeros(n), "y1": np.ones(n)}
        at = np.arange(n)
        self.labels.data = {
            "x": np.concatenate([at, at, at]), "y": np.concatenate([np.ones(n), np.ones(n), np.zeros(n)]),
            "text": [*self._axes, *(f"{v:.4g}" for v in self._ends[:, 1]), *(f"{v:.4g}" for v in self._ends[:, 0])],
            "shift": np.concatenate([np.full(n, -20.0), np.full(n, -5.0), np.full(n, 17.0)]),
        }  # fmt: skip
        self.figure.x_range.update(start=-0.5, end=max(n, 1) - 0.5)
        return len(order)

    def mark(self, table: pa.Table, selected: int | None, others: list[int]) -> None:
        """Draw the open run and those compared with it over the others."""
        rows = np.array([*others, *([] if selected is None else [selected])], dtype=np.int64)
        if not len(rows) or not self._axes:
            self.picked.data = {"xs": [], "ys": [], "line": []}
            return
        raw = np.column_stack([values(table, name, rows) for name in self._axes])
        span = np.where(self._ends[:, 1] > self._ends[:, 0], self._ends[:, 1] - self._ends[:, 0], 1.0)
        level = (raw - self._ends[:, 0]) / span
        line = ["#d9730d"] * len(others) + [self._p.selected] * (selected is not None)
        self.picked.data = {"xs": [np.arange(len(self._axes))] * len(rows), "ys": list(level), "line": line}

    def _tapped(self, attr: str, old: list[int], new: list[int]) -> None:
        if not self._quiet and new:
            self._on_pick(int(self.source.data["row"][new[-1]]))

    def _boxed(self, event: Any) -> None:
        g: dict[str, Any] = event.geometry or {}
        if not event.final or g.get("type") != "rect":
            return
        low, high = sorted((float(g["y0"]), float(g["y1"])))
        left, right = sorted((float(g["x0"]), float(g["x1"])))
        kept = {}
        for at, name in enumerate(self._axes):
            if left <= at <= right:
                start, end = self._ends[at]
                kept[name] = (start + max(low, 0.0) * (end - start), start + min(high, 1.0) * (end - start))
        if kept:
            self._on_box(kept)
