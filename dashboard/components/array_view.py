"""A heat map of any two-dimensional source, from the whole of it down to single cells.

The source is asked for what is in view, at the resolution of the screen; first for what can be had at once, then for
what takes longer. Colours are given here, numbers go along for the pointer. It knows nothing of files.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import panel as pn
import param
import xarray as xr
from bokeh.models import ColumnDataSource, CustomJSHover, FixedTicker, HoverTool, LinearColorMapper
from bokeh.models.annotations import ColorBar
from bokeh.models.glyphs import Image
from bokeh.models.text import PlainText

from dashboard.components.array_levels import COLOURS, MAPS, SCALES, Scale, levels, palette, scale_for, ticks
from dashboard.components.array_ranges import LinkedRanges
from dashboard.components.array_source import PATIENT_S, SWIFT_S, THOROUGH_S, ArraySource
from dashboard.components.array_words import CELL_JS, NUMBER_JS, describe, one_line
from dashboard.components.figure_style import chart, restyle
from dashboard.components.latest import Latest
from dashboard.theme import THEMES

_EMPTY: dict[str, list[Any]] = {"image": [], "value": [], "x": [], "y": [], "dw": [], "dh": []}
EXACT_CELLS = 1 << 16
"""So many cells in view go to the browser in float64; more as float32."""


class SharedLimits(param.Parameterized):
    """Colour limits that hold for several views: from the lowest to the highest of all their pictures."""

    limits = param.NumericTuple(default=(0.0, 1.0), length=2, doc="Lowest and highest number.")

    def __init__(self, **params: Any) -> None:
        super().__init__(**params)
        self._of: dict[int, tuple[float, float]] = {}

    def tell(self, view: object, limits: tuple[float, float] | None) -> None:
        """Limits of one view; None if it has gone or shows nothing."""
        self._of.pop(id(view), None)
        if limits is not None:
            self._of[id(view)] = limits
        if self._of:
            self.limits = (min(low for low, _ in self._of.values()), max(high for _, high in self._of.values()))


LABELS_PX = (58, 96)
"""Room for labels left and right, whatever the numbers: pictures side by side are as wide, a link shows the same."""


class ArrayView(pn.viewable.Viewer):
    """Heat map of a source; zoom, limits and scale stay when the source is exchanged for one of the same extent.

    Parameters
    ----------
    source : Source, xarray.DataArray or ndarray, optional
        What to show; `source` may be set anew at any time.
    ranges : LinkedRanges, optional
        Shared with other views that are to be zoomed together; own ones by default.
    shared : SharedLimits, optional
        Used with ``limits_from="shared"``.
    **params
        See below.

    Examples
    --------
    In a notebook::

        view = ArrayView(np.random.default_rng(0).normal(size=(4000, 4000)))
        view
    """

    source = param.Parameter(default=None, doc="What is shown: `view(bounds, shape) -> DataArray`, see array_source.")
    scale: str = param.Selector(default="linear", objects=list(SCALES), doc="How numbers become colours.")  # type: ignore[assignment]
    limits_from: str = param.Selector(  # type: ignore[assignment]
        default="own", objects=["own", "shared", "fixed"],
        doc="Colour limits: of this picture as a whole, of all views that share them, or as set.",
    )  # fmt: skip
    limits = param.NumericTuple(default=(0.0, 1.0), length=2, doc="Fixed colour limits, in the unit of the picture.")
    colour_map: str = param.Selector(default="sequential", objects=list(MAPS), doc="Diverging has zero in its middle.")  # type: ignore[assignment]
    theme: str = param.Selector(default="light", objects=list(THEMES), doc="Colours of the page.")  # type: ignore[assignment]
    label = param.String(default="", doc="What the numbers are; what the source says by default.")
    picture = param.ClassSelector(class_=xr.DataArray, default=None, allow_None=True, doc="What is drawn, read only.")
    status = param.String(default="", doc="How the picture was made and what is odd in it, read only.")
    error = param.String(default="", doc="Why there is no picture, read only.")
    busy = param.Boolean(default=False, doc="Whether a better picture is on its way, read only.")

    def __init__(self, source: Any = None, ranges: LinkedRanges | None = None, shared: SharedLimits | None = None,
                 **params: Any) -> None:  # fmt: skip
        super().__init__(**params)
        self.ranges = ranges or LinkedRanges()
        self.shared = shared or SharedLimits()
        self.drawn_with = Scale()
        self._keep, self._waiting, self._of = False, False, None
        self._whole: xr.DataArray | None = None
        self._own = (0.0, 1.0)
        self._looks: list[Callable[[float, float], None]] = []
        self._draw_figure()
        self._latest = Latest(self.figure)
        self._caption = pn.pane.HTML("", margin=(0, 8), sizing_mode="stretch_width", height=20)
        self._pane = pn.pane.Bokeh(self.figure, sizing_mode="stretch_both", margin=0)
        self._layout = pn.Column(self._pane, self._caption, sizing_mode="stretch_both", margin=0)
        self.ranges.listen(self._look)
        self.param.watch(lambda *_: self._exchanged(), "source")
        self.param.watch(lambda *_: self._recolour(), ["scale", "limits_from", "limits", "colour_map", "label"])
        self.param.watch(lambda *_: self._restyle(), "theme")
        self.param.watch(lambda *_: self._tell(), ["status", "error", "busy"])
        self.shared.param.watch(lambda *_: self._recolour() if self.limits_from == "shared" else None, "limits")
        self._restyle()
        if source is not None:
            self.source = source

    def __panel__(self) -> pn.viewable.Viewable:
        return self._layout

    def exchange(self, source: Any) -> None:
        """Another source in the same view, even if its extent is another: a file that grew, a next moment."""
        self._keep = True
        if source is self.source:
            self._exchanged()
        else:
            self.source = source

    def fit_limits(self) -> None:
        """Fix the colour limits to what is in view."""
        if self.picture is not None:
            self.param.update(limits=_extent(self.picture.values) or (0.0, 1.0), limits_from="fixed")

    def close(self) -> None:
        """Ask for nothing more."""
        self._latest.closed = True
        self.shared.tell(self, None)

    # -- inside ---------------------------------------------------------------------------------

    def _draw_figure(self) -> None:
        f = self.figure = chart(
            self.theme, x_range=self.ranges.x_range, y_range=self.ranges.y_range, sizing_mode="stretch_both",
            min_border_left=LABELS_PX[0], min_border_right=LABELS_PX[1],
        )  # fmt: skip
        self.mapper = LinearColorMapper(palette=palette("sequential", self.theme), low=-0.5, high=255.5)
        self.data = {name: ColumnDataSource(data=_EMPTY) for name in ("whole", "detail")}
        self.images = {}
        for name, source in self.data.items():
            glyph = Image(image="image", x="x", y="y", dw="dw", dh="dh", color_mapper=self.mapper)
            self.images[name] = f.add_glyph(source, glyph, level="image")
        # Over the field that it tells of: a grid would be drawn on the numbers.
        f.grid.visible = False
        self.geometry = ColumnDataSource(data={"x": [0.0, 1.0], "y": [0.0, 1.0], "exact": [0, 0]})
        number = CustomJSHover(args={"geometry": self.geometry}, code=NUMBER_JS)
        cell = CustomJSHover(args={"geometry": self.geometry}, code=CELL_JS)
        hover = HoverTool(
            renderers=[self.images["detail"]], tooltips=[("value", "@value{custom}"), ("x, y", "$x, $y"),
                                                         ("row, column", "@image{custom}")],
            formatters={"@value": number, "@image": cell},
        )  # fmt: skip
        f.add_tools(hover)
        f.toolbar.active_inspect = hover
        bar_mapper = LinearColorMapper(palette=palette("sequential", self.theme)[:COLOURS], low=0, high=COLOURS)
        self._ticker = FixedTicker(ticks=[])
        self.bar = ColorBar(color_mapper=bar_mapper, width=12, padding=4, margin=0, location=(0, 0),
                            bar_line_color=None, title_standoff=6, ticker=self._ticker)  # fmt: skip
        f.add_layout(self.bar, "right")
        self.ranges.wire(f)

    def _exchanged(self) -> None:
        source = self.source
        if isinstance(source, (np.ndarray, xr.DataArray)):
            self.source = ArraySource(source)
            return
        if source is None:
            self._clear("")
            return
        self.busy = True
        wide, high = self.ranges.pixels
        self._latest.do(lambda: (source, source.view(source.bounds, (high, wide))), self._has_whole)

    def _has_whole(self, outcome: Any) -> None:
        if isinstance(outcome, Exception):
            self._clear(str(outcome) or type(outcome).__name__)
            return
        source, self._whole = outcome
        if source is not self.source:
            return
        self._of = source
        self._own = _extent(self._whole.values) or (0.0, 1.0)
        self.shared.tell(self, self._own)
        self.error = ""
        self.picture = self._whole
        self.ranges.settle(source.bounds, self._keep)
        self._keep = False
        self._recolour()
        self._has_detail((source, self.ranges.view, SWIFT_S, self._whole))
        self._look()

    def _look(self, budget_s: float = SWIFT_S) -> None:
        source, view = self.source, self.ranges.view
        if source is None or self._whole is None or view is None:
            return
        bounds, (wide, high) = _cut(view, source.bounds, self.ranges.pixels)
        if bounds is None or (budget_s == SWIFT_S and self._serves(bounds, (high, wide))):
            return
        self.busy = True
        self._latest.do(
            lambda: (source, view, budget_s, source.view(bounds, (high, wide), budget_s=budget_s)), self._has_detail
        )

    def _has_detail(self, outcome: Any) -> None:
        if isinstance(outcome, Exception):
            self.param.update(error=str(outcome) or type(outcome).__name__, busy=False)
            return
        source, view, budget_s, picture = outcome
        if source is not self.source:
            return
        self.picture = picture
        self._draw("detail", picture)
        levels_come = getattr(source, "progress", None) is not None
        longer = {SWIFT_S: THOROUGH_S, THOROUGH_S: None if levels_come else PATIENT_S}.get(budget_s)
        rough = picture.attrs["how"] == "sampled" and longer is not None
        self.param.update(status=describe(picture, self.drawn_with), error="", busy=rough)
        if rough and longer is not None and view == self.ranges.view and not self._latest.waiting:
            self._look(longer)
        elif levels_come:
            self._wait_for_levels()

    def _wait_for_levels(self) -> None:
        """Tell how far the coarse levels are, and look again when they are there."""
        document = pn.state.curdoc
        if document is None or document.session_context is None or self._waiting:
            return
        self._waiting = True
        source = self.source

        def ask() -> None:
            self._waiting = False
            if source is not self.source or self._latest.closed:
                return
            progress = source.progress
            if progress is None or self.picture is None:
                self._look()
            else:
                self.status = f"{describe(self.picture, self.drawn_with)} · overview {100 * progress:.0f} %"
                self._wait_for_levels()

        document.add_timeout_callback(ask, 1_000)

    def _serves(self, bounds: Any, shape: tuple[int, int]) -> bool:
        """Whether what is drawn is what would be asked for: the whole bounds, just as fine."""
        picture = self.picture
        if picture is None or self._of is not self.source or picture.attrs["how"] == "sampled":
            return False
        has, slack = picture.attrs["bounds"], 1e-9 * (abs(bounds[2] - bounds[0]) + abs(bounds[3] - bounds[1]))
        if has[0] > bounds[0] + slack or has[1] > bounds[1] + slack or has[2] < bounds[2] - slack:
            return False
        if has[3] < bounds[3] - slack:
            return False
        seen = (picture.shape[0] * (bounds[3] - bounds[1]) / (has[3] - has[1]),
                picture.shape[1] * (bounds[2] - bounds[0]) / (has[2] - has[0]))  # fmt: skip
        fine = [s == 1 or 2 * n > pixels for s, n, pixels in zip(picture.attrs["steps"], seen, shape, strict=True)]
        if picture.dtype.itemsize > 4 and picture.size > EXACT_CELLS >= 2 * seen[0] * seen[1]:
            return False  # few enough cells now to be sent in full precision
        return all(fine)

    def _clear(self, error: str) -> None:
        self._whole = self.picture = None
        for source in self.data.values():
            source.data = _EMPTY
        self.shared.tell(self, None)
        self.param.update(status="", error=error, busy=False)

    def _recolour(self) -> None:
        if self._whole is None:
            return
        given: Any = {"own": self._own, "shared": self.shared.limits, "fixed": self.limits}[self.limits_from]
        cyclic = self._whole.attrs.get("part") == "phase"
        self.drawn_with = scale_for(self._whole.values, self.scale, given, "cyclic" if cyclic else self.colour_map)
        self._palette()
        self._draw("whole", self._whole)
        if self.picture is not None and self.picture is not self._whole:
            self._draw("detail", self.picture)
            self.status = describe(self.picture, self.drawn_with)
        self._draw_scale()

    def _draw(self, name: str, picture: xr.DataArray) -> None:
        left, bottom, right, top = picture.attrs["bounds"]
        values = picture.values
        exact = values.size <= EXACT_CELLS and values.dtype.itemsize > 4
        self.data[name].data = {
            "image": [levels(values, self.drawn_with)],
            "value": [values.astype("f8" if exact else "f4")] if name == "detail" else [np.zeros((1, 1), "f4")],
            "x": [left], "y": [bottom], "dw": [right - left], "dh": [top - bottom],
        }  # fmt: skip
        if name == "detail":
            (y0, dy), (x0, dx) = picture.attrs["axes"]
            self.geometry.data = {"x": [x0, dx], "y": [y0, dy], "exact": [int(picture.attrs["how"] == "exact")] * 2}

    def _draw_scale(self) -> None:
        assert self._whole is not None
        at = ticks(self.drawn_with)
        self.bar.major_label_overrides = dict(at)  # type: ignore[arg-type]
        self._ticker.ticks = list(at)
        said = self.label or self._whole.attrs.get("long_name", "")
        units = self._whole.attrs.get("units", "")
        kind = "" if self.drawn_with.kind == "linear" else f", {self.drawn_with.kind}"
        if self.drawn_with.kind == "equalised":
            kind = ", histogram-equalised"
        self.bar.title = PlainText(text=f"{said}{f' ({units})' if units else ''}{kind}")
        for axis, dim in ((self.figure.xaxis[0], "x"), (self.figure.yaxis[0], "y")):
            name, unit = (self._whole[dim].attrs.get(key, "") for key in ("long_name", "units"))
            axis.axis_label = PlainText(text=f"{name}{f' ({unit})' if unit else ''}")

    def _palette(self) -> None:
        name = "cyclic" if self.drawn_with.cyclic else self.colour_map
        self.mapper.palette = palette(name, self.theme)
        self.bar.color_mapper.palette = palette(name, self.theme)[:COLOURS]

    def _restyle(self) -> None:
        p = THEMES[self.theme]
        restyle(self.figure, self.theme)
        self.bar.background_fill_color = p.surface
        self.bar.major_label_text_color = self.bar.title_text_color = p.muted
        self.bar.major_label_text_font_size = self.bar.title_text_font_size = "11px"
        self.bar.title_text_font_style = "normal"
        self.bar.major_tick_line_color = p.muted
        self._palette()
        self._tell()

    def _tell(self) -> None:
        p = THEMES[self.theme]
        said = f"No picture: {self.error}" if self.error else self.status + (" · reading on …" if self.busy else "")
        self._caption.object = one_line(said, p.muted)


def _extent(values: np.ndarray) -> tuple[float, float] | None:
    finite = values[np.isfinite(values)] if values.dtype.kind == "f" else values
    return (float(finite.min()), float(finite.max())) if finite.size else None


def _cut(view: Any, whole: Any, pixels: tuple[int, int]) -> tuple[Any, tuple[int, int]]:
    """The part of a view that lies in the whole, and how many pixels it takes."""
    left, bottom = max(view[0], whole[0]), max(view[1], whole[1])
    right, top = min(view[2], whole[2]), min(view[3], whole[3])
    if right <= left or top <= bottom:
        return None, pixels
    wide = int(np.ceil(pixels[0] * (right - left) / (view[2] - view[0]))) + 2
    high = int(np.ceil(pixels[1] * (top - bottom) / (view[3] - view[1]))) + 2
    return (left, bottom, right, top), (wide, high)
