"""The open run and those compared with it as one HTML file that needs no server and no network."""

from __future__ import annotations

import json
from html import escape

import numpy as np
import xarray as xr
from bokeh.embed import components
from bokeh.layouts import row
from bokeh.models import ColumnDataSource, FixedTicker, HoverTool, LinearColorMapper, Range1d
from bokeh.models.annotations import ColorBar
from bokeh.models.glyphs import Image
from bokeh.plotting import figure
from bokeh.resources import Resources

from dashboard.components.array_levels import COLOURS, Scale, levels, palette, scale_for, ticks
from dashboard.components.figure_style import chart
from dashboard.components.runs_state import RunsState
from dashboard.theme import THEMES

MAX_CELLS = 1 << 22
"""Cells of all pictures in one page at most."""


def run_html_bytes(state: RunsState, runs: list[xr.Dataset]) -> bytes:
    """A page with the dataset looked at, of each run, and their parameters.

    Parameters
    ----------
    state : RunsState
        Dataset, frame, scale and limits.
    runs : list of xarray.Dataset
        From `engine.runs.read_artifact`.

    Raises
    ------
    ValueError
        A dataset that a run does not have, or too much for a page.
    """
    grids = [_grid(run, state) for run in runs]
    if sum(g.size for g in grids) > MAX_CELLS:
        raise ValueError(f"{sum(g.size for g in grids)} cells are too many for a page; take the NetCDF file")
    everything = np.concatenate([g[np.isfinite(g)].ravel() for g in grids])
    shared = (float(everything.min()), float(everything.max())) if everything.size else (0.0, 1.0)
    ranges = (Range1d(start=-0.5, end=grids[0].shape[1] - 0.5), Range1d(start=-0.5, end=grids[0].shape[0] - 0.5))
    figures = [_figure(run, grid, state, shared, ranges) for run, grid in zip(runs, grids, strict=True)]
    script, place = components(row(figures, sizing_mode="stretch_both"))
    library = "\n".join(Resources(mode="inline", components=["bokeh"]).js_raw)
    p = THEMES[state.theme]
    facts = "".join(f"<pre>{escape(json.dumps(json.loads(run.attrs['params'])))}</pre>" for run in runs)
    style = (
        f"html, body {{ height: 100%; margin: 0; background: {p.surface}; color: {p.text}; font: 13px sans-serif; }}"
        "#picture { height: 75vh; } pre { white-space: pre-wrap; margin: 8px 12px; }"
    )
    return (
        '<!doctype html>\n<html lang="en">\n<head><meta charset="utf-8"><title>Runs</title>\n'
        f"<script>{library}</script>\n<style>{style}</style></head>\n"
        f'<body><div id="picture">{place}</div>\n{facts}{script}</body>\n</html>\n'
    ).encode()


def _grid(run: xr.Dataset, state: RunsState) -> np.ndarray:
    if state.dataset not in run:
        raise ValueError(f"data is {state.dataset!r}; this run has {', '.join(map(str, run.data_vars))}")
    values = run[state.dataset].to_numpy()
    return np.asarray(values[min(state.frame, len(values) - 1)] if values.ndim == 3 else values)


def _figure(
    run: xr.Dataset, grid: np.ndarray, state: RunsState, shared: tuple[float, float], ranges: tuple[Range1d, Range1d]
) -> figure:
    finite = grid[np.isfinite(grid)]
    own = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
    fixed = (float(state.fixed[0]), float(state.fixed[1]))
    limits = {"own": own, "shared": shared, "fixed": fixed}[state.limits]
    scale: Scale = scale_for(grid, state.scale, limits, "sequential")
    fig = chart(state.theme, x_range=ranges[0], y_range=ranges[1], match_aspect=True, sizing_mode="stretch_both",
                title=f"{state.dataset} of {run.attrs['run_id'][:10]}")  # fmt: skip
    mapper = LinearColorMapper(palette=palette("sequential", state.theme), low=-0.5, high=255.5)
    rows, columns = grid.shape
    source = ColumnDataSource(
        data={"image": [levels(grid, scale)], "value": [grid], "x": [-0.5], "y": [-0.5], "dw": [columns], "dh": [rows]}
    )
    image = fig.add_glyph(source, Image(image="image", x="x", y="y", dw="dw", dh="dh", color_mapper=mapper))
    fig.add_tools(HoverTool(renderers=[image], tooltips=[("value", "@value"), ("column, row", "$x{0}, $y{0}")]))
    fig.grid.visible = False
    bar_mapper = LinearColorMapper(palette=palette("sequential", state.theme)[:COLOURS], low=0, high=COLOURS)
    at = ticks(scale)
    bar = ColorBar(color_mapper=bar_mapper, width=12, location=(0, 0), ticker=FixedTicker(ticks=list(at)))
    bar.major_label_overrides = dict(at)  # type: ignore[arg-type]
    bar.background_fill_color, bar.major_label_text_color = THEMES[state.theme].surface, THEMES[state.theme].muted
    fig.add_layout(bar, "right")
    return fig
