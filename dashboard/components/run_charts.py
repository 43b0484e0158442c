"""Small charts beside an open run: histogram of its values, radial spectrum with target lines, null distributions.

Pure functions of arrays make the columns; each chart replaces the data of its source.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import panel as pn
from bokeh.models import ColumnDataSource, CustomJSTickFormatter, FixedTicker, Range1d
from bokeh.models.glyphs import Line, Quad, Scatter, Segment, Text

from dashboard.components.figure_style import chart, restyle
from dashboard.theme import THEMES
from engine.runs.metrics import LOG_PRIMES, RadialBins, log_prime_fit

BINS = 48
"""Bins of a histogram."""

_PRIMES = (2, 3, 5, 7, 11, 13)


def histogram_columns(values: np.ndarray, bins: int = BINS) -> dict[str, np.ndarray]:
    """Counts of the finite values in equal bins, as boxes.

    Examples
    --------
    >>> histogram_columns(np.array([0.0, 1.0, np.nan]), 2)["top"].tolist()
    [1, 1]
    """
    finite = values[np.isfinite(values)]
    count, edge = np.histogram(finite, bins) if finite.size else (np.empty(0, int), np.zeros(1))
    return {"left": edge[:-1], "right": edge[1:], "top": count}


def spectrum_columns(grid: np.ndarray, domain_size: float) -> dict[str, dict[str, Any]]:
    """Radial spectrum of a square grid, its peaks, and where the targets fall with the fitted scale.

    Definitions are those of `engine.runs.metrics`: ring means of \\|FFT\\|², peaks by prominence in ln power, target
    ln p at the wavenumber ln p / scale.

    Parameters
    ----------
    grid : float, shape (N, N)
    domain_size : float
        Length of its side.

    Returns
    -------
    dict
        ``line`` (k, power), ``peaks`` (k, power), ``targets`` (k, low, high, text); empty columns for a grid that
        is not square or not finite.

    Examples
    --------
    >>> x = 2 * np.pi * np.arange(32) / 32
    >>> found = spectrum_columns(np.tile(np.cos(4 * x) + np.cos(8 * x), (32, 1)), 2 * np.pi)
    >>> found["peaks"]["k"].round().tolist()
    [4.0, 8.0]
    """
    empty: dict[str, dict[str, Any]] = {
        "line": {"k": [], "power": []}, "peaks": {"k": [], "power": []},
        "targets": {"k": [], "low": [], "high": [], "text": []},
    }  # fmt: skip
    if grid.ndim != 2 or grid.shape[0] != grid.shape[1] or grid.shape[0] < 4 or not np.isfinite(grid).all():
        return empty
    bins = RadialBins(grid.shape[0], domain_size)
    power = bins.mean_power(grid)
    fit = log_prime_fit(grid, domain_size)
    k, shown = bins.wavenumber[1:], np.log10(np.maximum(power[1:], np.finfo(float).tiny))
    shown = np.maximum(shown, shown.max() - 16.0)
    peaks = np.array(fit.peaks)
    empty["line"] = {"k": k, "power": shown}
    empty["peaks"] = {"k": peaks, "power": np.interp(peaks, k, shown)}
    if fit.scale > 0:
        at = np.array(LOG_PRIMES) / fit.scale
        inside = at <= k[-1]
        n = int(inside.sum())
        empty["targets"] = {
            "k": at[inside], "low": np.full(n, shown.min()), "high": np.full(n, shown.max()),
            "text": [f"ln {p}" for p, keep in zip(_PRIMES, inside, strict=True) if keep],
        }  # fmt: skip
    return empty


class Histogram:
    """Histogram of some values, with a line where one is marked."""

    def __init__(self, theme: str, label: str, height: int = 96) -> None:
        self.figure = chart(
            theme, height=height, sizing_mode="stretch_width", tools=[], toolbar_location=None, x_axis_label=label,
            x_range=Range1d(), y_range=Range1d(),
        )  # fmt: skip
        self.figure.yaxis.visible = False
        self.figure.ygrid.visible = False
        self.bars = ColumnDataSource(data=histogram_columns(np.empty(0)))
        self.mark = ColumnDataSource(data={"x": [], "y0": [], "y1": []})
        self._quad = self.figure.add_glyph(
            self.bars, Quad(left="left", right="right", top="top", bottom=0, line_color=None)
        )
        self._line = self.figure.add_glyph(self.mark, Segment(x0="x", x1="x", y0="y0", y1="y1", line_width=2))
        self.view = pn.pane.Bokeh(self.figure, sizing_mode="stretch_width", margin=0, height=height)
        self.set_theme(theme)

    def set_theme(self, theme: str) -> None:
        """Recolour in place."""
        restyle(self.figure, theme)
        self.figure.outline_line_color = None
        self._quad.glyph.fill_color = THEMES[theme].muted
        self._line.glyph.line_color = THEMES[theme].selected

    def draw(self, values: np.ndarray, marked: float | None = None) -> None:
        """Draw these values; `marked` is where the line stands."""
        columns = histogram_columns(np.asarray(values, np.float64).ravel())
        self.bars.data = columns
        top = float(columns["top"].max()) if len(columns["top"]) else 1.0
        ends = [*columns["left"][:1], *columns["right"][-1:], *([] if marked is None else [marked])] or [0.0, 1.0]
        edge = 0.03 * (max(ends) - min(ends)) or 0.5
        self.figure.x_range.update(start=float(min(ends) - edge), end=float(max(ends) + edge))
        self.figure.y_range.update(start=0.0, end=1.06 * max(top, 1.0))
        self.mark.data = (
            {"x": [marked], "y0": [0.0], "y1": [top]} if marked is not None else {"x": [], "y0": [], "y1": []}
        )


class Spectrum:
    """Radial spectrum with its peaks and the target lines of the hunt."""

    def __init__(self, theme: str, height: int = 158) -> None:
        self.figure = f = chart(
            theme, height=height, sizing_mode="stretch_width", tools=[], toolbar_location=None,
            x_axis_label="wavenumber (1/length)", x_range=Range1d(), y_range=Range1d(),
        )  # fmt: skip
        f.yaxis.formatter = CustomJSTickFormatter(code="return '1e' + Math.round(tick)")
        self.sources = {name: ColumnDataSource(data=d) for name, d in spectrum_columns(np.empty((0, 0)), 1.0).items()}
        s = self.sources
        self._targets = f.add_glyph(s["targets"], Segment(x0="k", x1="k", y0="low", y1="high", line_dash=[4, 3]))
        self._text = f.add_glyph(
            s["targets"],
            Text(x="k", y="high", text="text", text_font_size="9px", angle=1.5708, x_offset=-1, text_align="right"),
        )
        self._line = f.add_glyph(s["line"], Line(x="k", y="power", line_width=1.4))
        self._peaks = f.add_glyph(s["peaks"], Scatter(x="k", y="power", size=6))
        self.view = pn.pane.Bokeh(f, sizing_mode="stretch_width", margin=0, height=height)
        self.set_theme(theme)

    def set_theme(self, theme: str) -> None:
        """Recolour in place."""
        p = THEMES[theme]
        restyle(self.figure, theme)
        self.figure.outline_line_color = None
        self._line.glyph.line_color = p.text
        self._targets.glyph.line_color = self._text.glyph.text_color = p.forecast
        self._peaks.glyph.update(fill_color=p.selected, line_color=p.surface)

    def draw(self, grid: np.ndarray, domain_size: float) -> None:
        """Draw the spectrum of a grid."""
        for name, columns in spectrum_columns(grid, domain_size).items():
            self.sources[name].data = columns
        power = np.asarray(self.sources["line"].data["power"])
        if power.size:
            targets, k = np.asarray(self.sources["targets"].data["k"]), np.asarray(self.sources["line"].data["k"])
            # The targets and what lies around them; beyond, the spectrum only falls.
            right = min(float(k[-1]), 1.35 * float(targets[-1])) if targets.size else float(k[-1])
            low, high = float(power[k <= right].min()), float(power[k <= right].max())
            room = high - low + 0.3
            self.figure.x_range.update(start=0.0, end=right)
            self.figure.y_range.update(start=low - 0.08 * room, end=high + 0.3 * room)
            first, last = int(np.ceil(low - 0.08 * room)), int(np.floor(high + 0.3 * room))
            self.figure.yaxis.ticker = FixedTicker(ticks=list(range(first, last + 1, max((last - first) // 4, 1))))
            n = len(targets)
            self.sources["targets"].data = {
                **self.sources["targets"].data,
                "low": np.full(n, low - room),
                "high": np.full(n, high + 0.28 * room),
            }
