"""Measured fields to take along: fields as NetCDF, points as CSV, the maps as one page, the lines that make them.

Pure functions of a frame and a state; `dashboard.exports_measured` serves them.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import holoviews as hv
import numpy as np
import xarray as xr
from bokeh.embed import components
from bokeh.resources import Resources

from dashboard.components.field_plot import _mercator_axes
from dashboard.components.measured_columns import residual_limit, sigma_limits
from dashboard.components.measured_map import colours_of
from dashboard.components.measured_state import LAWS, MeasuredState
from dashboard.theme import THEMES
from engine.frames.measured_frame import FOLDS, MeasuredFrame
from engine.geo import web_mercator

_UNITS = {"rssi_db": "dB", "modelled_db": "dB", "sigma_db": "dB", "residual_db": "dB", "distance_m": "m",
          "lat": "degrees_north", "lon": "degrees_east", "fixed_lat": "degrees_north", "fixed_lon": "degrees_east",
          "freq_hz": "Hz"}  # fmt: skip


def measured_dataset(frame: MeasuredFrame, state: MeasuredState) -> xr.Dataset:
    """Fields and points of a frame with units; the model of the state as ``modelled_db``.

    Points lie along ``point``, their columns called ``point_…``.
    """
    heights = (state.carried_m, state.fixed_m)
    coords = {"lat": ("lat", frame.grid.lat), "lon": ("lon", frame.grid.lon)}
    fields = frame.field.copy() if frame.field is not None else xr.Dataset(coords=coords)
    values = frame.modelled(state.law, *heights)
    if values is not None:
        fields["modelled_db"] = (("lat", "lon"), values, {"units": "dB", "long_name": f"modelled: {state.law}"})
    table = frame.table(state.law, *heights)
    for name in table:
        column = table[name]
        values = column.dt.tz_localize(None).to_numpy("datetime64[ns]") if name == "time" else column.to_numpy()
        attrs = {"units": _UNITS[name]} if name in _UNITS else {}
        fields[f"point_{name}"] = ("point", values.astype(str) if values.dtype == object else values, attrs)
    law = frame.law
    fields.attrs |= {"exponent": law.exponent, "sigma_db": law.sigma_db, "block_m": frame.spec.block_m, "folds": FOLDS}
    for name, ends in frame.intervals.items():
        fields.attrs[f"{name}_90"] = list(ends)
    scores = frame.scores(*heights)
    if scores is not None:
        for row in scores[scores["records"] == "all"].itertuples():
            fields.attrs[f"rmse_db_{row.method}"], fields.attrs[f"inside_90_{row.method}"] = row.rmse_db, row.inside_90
    return fields


def netcdf_bytes(frame: MeasuredFrame, state: MeasuredState) -> bytes:
    """`measured_dataset` as a NetCDF-4 file."""
    dataset = measured_dataset(frame, state)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "measured.nc"
        encoding = {str(n): {"zlib": True, "complevel": 4} for n in dataset.data_vars if dataset[n].ndim == 2}
        dataset.to_netcdf(path, engine="h5netcdf", encoding=encoding)
        return path.read_bytes()


def measured_plot(frame: MeasuredFrame, state: MeasuredState) -> hv.Layout:
    """The four maps as a HoloViews layout, for notebooks and files."""
    if "bokeh" not in hv.Store.loaded_backends():
        hv.extension("bokeh", logo=False)
    theme, heights = state.theme, (state.carried_m, state.fixed_m)
    table = frame.table(state.law, *heights)
    x, y = web_mercator(table["lat"].to_numpy(float), table["lon"].to_numpy(float))
    west, south, east, north = frame.grid.mercator_bounds
    law = next(name for name, value in LAWS.items() if value == state.law)
    half, limits = residual_limit(table), frame.limits_db()

    def dots(column: str, panel: str, clim: tuple[float, float], title: str) -> hv.Element:
        vdim = hv.Dimension(column, unit="dB")
        known = table[column].notna().to_numpy()
        points = hv.Points((x[known], y[known], table[column].to_numpy(float)[known]), ["x", "y"], vdim)
        return points.opts(color=column, cmap=colours_of(panel, theme), clim=clim, size=5, tools=["hover"], title=title,
                           colorbar=True, line_color=THEMES[theme].emitter, line_width=0.3)  # fmt: skip

    def image(values: np.ndarray | None, panel: str, clim: tuple[float, float], title: str) -> hv.Element:
        shown = np.full(frame.grid.shape, np.nan, np.float32) if values is None else values
        out = hv.Image(shown[::-1], bounds=(west, south, east, north), vdims=hv.Dimension(panel, unit="dB"))
        return out.opts(cmap=colours_of(panel, theme), clim=clim, colorbar=True, tools=["hover"], title=title)

    sigma = None if frame.field is None else frame.field["sigma_db"].to_numpy()
    parts = [
        dots("rssi_db", "measured", limits, "Measured (dB)"),
        image(frame.modelled(state.law, *heights), "modelled", limits, f"Modelled: {law.lower()} (dB)"),
        dots("residual_db", "residual", (-half, half), "Measured − modelled, square held out (dB)"),
        image(sigma, "uncertainty", sigma_limits(frame), "Uncertainty of the kriged field, σ (dB)"),
    ]
    common = {"width": 560, "height": 470, "xlim": (west, east), "ylim": (south, north), "hooks": [_mercator_axes],
              "xlabel": "Longitude (°)", "ylabel": "Latitude (°)"}  # fmt: skip
    return hv.Layout([part.opts(**common) for part in parts]).cols(2)


def html_bytes(frame: MeasuredFrame, state: MeasuredState) -> bytes:
    """The maps as one HTML file that needs no server and no network."""
    # Put together by hand, for the reasons told in `dashboard.components.take_along`.
    script, place = components(hv.render(measured_plot(frame, state), backend="bokeh"))
    library = "\n".join(Resources(mode="inline", components=["bokeh"]).js_raw)
    return (
        '<!doctype html>\n<html lang="en">\n<head><meta charset="utf-8"><title>Measured field</title>\n'
        f"<script>{library}</script></head>\n<body>{place}\n{script}</body>\n</html>\n"
    ).encode()


def python_lines(frame: MeasuredFrame) -> str:
    """Lines that fit, krige and score the points taken along as CSV again, with nothing but the engine."""
    spec, grid = frame.spec, frame.grid
    return (
        '"""A measured field, made again. Take `measured.csv` along, too."""\n\n'
        "import pandas as pd\n\n"
        "from engine.rf import Grid\n"
        "from engine.rf.measured import fit_log_distance, fit_measured, law_intervals, measured_field, score_blocks\n\n"
        "links = pd.read_csv('measured.csv', dtype={'session': str, 'receiver': str})\n"
        f"grid = Grid.web_mercator({', '.join(repr(v) for v in grid.bounds)}, shape={grid.shape!r})\n"
        f"print(fit_log_distance(links), law_intervals(links, block_m={spec.block_m!r}))\n"
        "field = measured_field(fit_measured(links), grid, receiver=links['receiver'].iloc[0])\n"
        "print(field)\n"
        f"scores = score_blocks(links, block_m={spec.block_m!r}, folds={FOLDS})\n"
        "print(scores)\n"
    )
