"""A line through a one-dimensional source of any length: what is in view, with extremes where cells are put together.

It asks as `ArrayView` does, and knows nothing of files.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import panel as pn
import param
import xarray as xr
from bokeh.models import ColumnDataSource, HoverTool
from bokeh.models.glyphs import Line, Scatter, VArea
from bokeh.models.text import PlainText

from dashboard.components.array_ranges import LinkedRanges
from dashboard.components.array_source import SWIFT_S, THOROUGH_S
from dashboard.components.array_words import one_line
from dashboard.components.figure_style import chart, restyle
from dashboard.components.latest import Latest
from dashboard.theme import THEMES
from engine.hdf5 import Dataset
from engine.hdf5.views import axis_coordinate

_EMPTY: dict[str, list[float]] = {"x": [], "mean": [], "min": [], "max": []}
DOTS = 120
"""Up to so many cells each has a dot."""


class LineSource:
    """One dimension of a dataset, at fixed places in the others.

    Parameters
    ----------
    dataset : Dataset
    slices : sequence of int
        An index for each other dimension.
    axis : int
    part, member : str
        See `engine.hdf5.Dataset.view`.
    """

    first: float
    width: float

    def __init__(
        self, dataset: Dataset, slices: Any = (), axis: int = -1, part: str = "value", member: str = ""
    ) -> None:
        shape = dataset.shape or ()
        if not shape:
            raise ValueError(f"{dataset.path} has one value or none; there is no line of it")
        self.dataset, self.part, self.member = dataset, part, member
        self.axis = axis % len(shape)
        given = list(slices) + [0] * (len(shape) - len(slices))
        self.slices: list[Any] = [int(at) if isinstance(at, (int, np.integer)) else 0 for at in given]
        self.size = shape[self.axis]
        self.name, coordinate = axis_coordinate(dataset, self.axis, [0, min(self.size, 2)], 1)
        self.even = coordinate.attrs["even"]
        self.units = coordinate.attrs["units"] if self.even else ""
        self.first, self.width = (coordinate.attrs["first"], coordinate.attrs["width"]) if self.even else (0.0, 1.0)

    @property
    def ends(self) -> tuple[float, float]:
        """Edges of the first and the last cell, the lesser first."""
        ends = sorted((self.first - 0.5 * self.width, self.first + (self.size - 0.5) * self.width))
        return ends[0], ends[1]

    def view(self, left: float, right: float, pixels: int, budget_s: float = SWIFT_S) -> xr.DataArray:
        """What lies between two coordinates, in at most so many points."""
        ends = sorted(((left - self.first) / self.width + 0.5, (right - self.first) / self.width + 0.5))
        low = int(np.clip(np.floor(ends[0]), 0, self.size - 1))
        wish = list(self.slices)
        wish[self.axis] = (low, int(np.clip(np.ceil(ends[1]), low + 1, self.size)))
        found = self.dataset.view(wish, (1, pixels), (self.axis,), self.part, self.member, budget_s)
        if not self.even:
            (start, _), step = found.attrs["box"][0], found.attrs["steps"][0]
            count = found.sizes[found.dims[-1]]
            found = found.assign_coords({found.dims[-1]: start + step * np.arange(count) + 0.5 * (step - 1)})
        return found


class LineView(pn.viewable.Viewer):
    """A line with its extremes, zoomed by wheel and drag.

    Examples
    --------
    In a notebook::

        LineView(LineSource(open_hdf5("spectrum.h5")["/counts"]))
    """

    source = param.Parameter(default=None, doc="What is shown, see `LineSource`.")
    theme: Any = param.Selector(default="light", objects=list(THEMES), doc="Colours of the page.")
    status = param.String(default="", doc="How the line was made, read only.")
    error = param.String(default="", doc="Why there is no line, read only.")

    def __init__(self, source: Any = None, **params: Any) -> None:
        super().__init__(**params)
        self.ranges = LinkedRanges(square=False)
        self._keep = False
        self.figure = chart(
            self.theme, x_range=self.ranges.x_range, y_range=self.ranges.y_range, sizing_mode="stretch_both"
        )
        self._latest = Latest(self.figure)
        self.data = ColumnDataSource(data=_EMPTY)
        self._band = self.figure.add_glyph(self.data, VArea(x="x", y1="min", y2="max", fill_alpha=0.35))
        self._line = self.figure.add_glyph(self.data, Line(x="x", y="mean", line_width=1.3))
        self._dots = self.figure.add_glyph(self.data, Scatter(x="x", y="mean", size=5))
        self.figure.add_tools(HoverTool(
            renderers=[self._line], mode="vline", line_policy="nearest",
            tooltips=[("x", "@x"), ("value", "@mean"), ("least to greatest", "@min to @max")],
        ))  # fmt: skip
        self.ranges.wire(self.figure)
        self.ranges.listen(self._look)
        self._caption = pn.pane.HTML("", margin=(0, 8), sizing_mode="stretch_width", height=20)
        self._layout = pn.Column(
            pn.pane.Bokeh(self.figure, sizing_mode="stretch_both", margin=0), self._caption,
            sizing_mode="stretch_both", margin=0,
        )  # fmt: skip
        self.param.watch(lambda *_: self._exchanged(), "source")
        self.param.watch(lambda *_: self._restyle(), "theme")
        self.param.watch(lambda *_: self._tell(), ["status", "error"])
        self._restyle()
        if source is not None:
            self.source = source

    def __panel__(self) -> pn.viewable.Viewable:
        return self._layout

    def exchange(self, source: Any) -> None:
        """Another source in the same view: a file that grew."""
        self._keep = True
        self.source = source

    def close(self) -> None:
        """Ask for nothing more."""
        self._latest.closed = True

    def _exchanged(self) -> None:
        source = self.source
        if source is None:
            self.data.data = dict(_EMPTY)
            return
        self._latest.do(lambda: (source, source.view(*source.ends, 1024)), self._has_whole)

    def _has_whole(self, outcome: Any) -> None:
        if isinstance(outcome, Exception):
            self.data.data = dict(_EMPTY)
            self.error = str(outcome) or type(outcome).__name__
            return
        source, line = outcome
        if source is not self.source:
            return
        columns = _columns(line)
        numbers = np.concatenate([columns["min"], columns["max"]]).astype("f8")
        finite = numbers[np.isfinite(numbers)]
        low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
        pad = 0.05 * (high - low) or 0.5 * abs(high) or 0.5
        self.ranges.settle((source.ends[0], low - pad, source.ends[1], high + pad), self._keep)
        self._keep = False
        self._draw(line)
        unit = line.attrs.get("units", "")
        self.figure.yaxis[0].axis_label = PlainText(text=f"{line.attrs['long_name']}{f' ({unit})' if unit else ''}")
        self.figure.xaxis[0].axis_label = PlainText(
            text=f"{source.name}{f' ({source.units})' if source.units else ''}"
            + ("" if source.even else ": cell number, its steps differ")
        )

    def _look(self, budget_s: float = SWIFT_S) -> None:
        source, view = self.source, self.ranges.view
        if source is None or view is None:
            return
        left, right = max(view[0], source.ends[0]), min(view[2], source.ends[1])
        if right > left:
            pixels = self.ranges.pixels[0]
            self._latest.do(
                lambda: (source, budget_s, source.view(left, right, pixels, budget_s=budget_s)), self._has_detail
            )

    def _has_detail(self, outcome: Any) -> None:
        if isinstance(outcome, Exception):
            self.error = str(outcome) or type(outcome).__name__
            return
        source, budget_s, line = outcome
        if source is not self.source:
            return
        self._draw(line)
        if line.attrs["how"] == "sampled" and budget_s < THOROUGH_S and not self._latest.waiting:
            self._look(THOROUGH_S)

    def _draw(self, line: xr.DataArray) -> None:
        columns = _columns(line)
        self.data.data = columns
        self._dots.visible = len(columns["x"]) <= DOTS
        a, (step,) = line.attrs, line.attrs["steps"]
        parts = {
            "exact": "every cell as it is", "averaged": f"means of {step} cells, the band from least to greatest",
            "sampled": f"single cells, one of {step}; {100 * a['share']:.2g} % of the chunks in view read",
        }  # fmt: skip
        said = [parts[a["how"]]] + [f"{a[key]} {word}" for key, word in (("nan", "NaN"), ("inf", "infinite")) if a[key]]
        if a["damaged"]:
            said.append(f"{a['damaged']} damaged chunks left out: {a['damage']}")
        self.param.update(status=" · ".join(said), error="")

    def _restyle(self) -> None:
        p = THEMES[self.theme]
        restyle(self.figure, self.theme)
        self._line.glyph.line_color = self._dots.glyph.fill_color = self._dots.glyph.line_color = p.text
        self._band.glyph.fill_color = p.muted
        self._tell()

    def _tell(self) -> None:
        said = f"No line: {self.error}" if self.error else self.status
        self._caption.object = one_line(said, THEMES[self.theme].muted)


def _columns(line: xr.DataArray) -> dict[str, np.ndarray]:
    x = line[line.dims[-1]].to_numpy()
    if line.ndim == 2:
        mean, low, high = line.values
    else:
        mean = low = high = line.values
    order = slice(None, None, -1) if len(x) > 1 and x[-1] < x[0] else slice(None)
    columns = {"x": x, "mean": mean, "min": low, "max": high}
    return {name: np.asarray(values[order], "f8") for name, values in columns.items()}
