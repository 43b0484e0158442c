"""The field as a HoloViews overlay: the twin of the live map for notebooks, files and composition.

A pure function of a dataset as `engine.frames.FieldFrame.to_dataset` or `engine.rf.power_field` gives.
"""

from __future__ import annotations

from collections.abc import Sequence

import holoviews as hv
import numpy as np
import xarray as xr

from dashboard.components.base_map import degrees_of_view, land_for
from dashboard.theme import THEMES, field_colours, forecast_colours
from engine.geo import web_mercator


def field_plot(
    dataset: xr.Dataset, limits_dbm: tuple[float, float] = (-90.0, -50.0), theme: str = "light",
    over: Sequence[hv.Element] = (),
) -> hv.Overlay:  # fmt: skip
    """Field now, predicted field, coast and emitters of a dataset, in Web Mercator.

    Parameters
    ----------
    dataset : Dataset
        With ``power_dbm`` (or ``intensity``) and, where known, ``forecast_…`` and the emitters, on (lat, lon).
    limits_dbm : (float, float)
        Colour limits.
    theme : {"light", "dark"}
    over : sequence of holoviews.Element
        Further layers, drawn over the fields and under coast and emitters.

    Returns
    -------
    holoviews.Overlay
    """
    load_bokeh()
    name = "intensity" if {"intensity", "forecast_intensity"} & set(dataset.data_vars) else "power_dbm"
    x, y = (
        web_mercator(np.zeros(dataset.sizes["lon"]), dataset["lon"].to_numpy())[0],
        web_mercator(dataset["lat"].to_numpy(), 0.0)[1],
    )
    xs, ys = _even(x), _even(y)
    layers: list[hv.Element] = []
    for variable, palette in ((name, field_colours(theme)), (f"forecast_{name}", forecast_colours(theme))):
        if variable not in dataset:
            continue
        values = _on_rows(dataset[variable].transpose("lat", "lon").to_numpy(), y, ys)
        if name == "intensity":
            with np.errstate(divide="ignore"):
                values = 10.0 * np.log10(values)
        if not np.isfinite(values).any():
            continue  # of a field of nothing HoloViews would seek the least value, and complain
        unit = "dBm" if name == "power_dbm" else "dB re 1 m⁻²"
        vdim = hv.Dimension(variable, label="predicted" if variable.startswith("forecast") else "field now", unit=unit)
        image = hv.Image((xs, ys, values.astype(np.float32)), ["x", "y"], vdim)
        # An overlay has room for one colour bar: that of what is on top.
        below = {"cmap": palette, "clim": limits_dbm, "colorbar": not over}
        layers.append(image.opts(**below, clipping_colors={"min": "#00000000"}))
    layers += [*over, _coast(xs, ys, theme)]
    if "emitter_lat" in dataset:
        ex, ey = web_mercator(dataset["emitter_lat"].to_numpy(), dataset["emitter_lon"].to_numpy())
        points = hv.Points((ex, ey, dataset["emitter"].to_numpy().astype(str)), ["x", "y"], "emitter")
        layers.append(points.opts(color=THEMES[theme].emitter, size=5, tools=["hover"]))
    title = f"{dataset.attrs.get('model', '')}  {dataset.attrs.get('moment', '')}".strip()
    return hv.Overlay(layers).opts(
        hv.opts.Overlay(
            data_aspect=1,
            responsive=True,
            min_height=480,
            xlabel="Longitude (°)",
            ylabel="Latitude (°)",
            title=title,
            # The coast reaches beyond the field; the view is the field's.
            xlim=(float(xs[0]), float(xs[-1])),
            ylim=(float(ys[0]), float(ys[-1])),
            hooks=[_mercator_axes],
        )
    )


def load_bokeh() -> None:
    """Let HoloViews draw with Bokeh; once only, for in a notebook each further call would load it from the network."""
    if "bokeh" not in hv.Store.loaded_backends():
        hv.extension("bokeh", logo=False)


def _mercator_axes(plot: object, element: object) -> None:
    from bokeh.models import MercatorTicker, MercatorTickFormatter

    figure = plot.state  # type: ignore[attr-defined]
    figure.xaxis.ticker, figure.xaxis.formatter = (
        MercatorTicker(dimension="lon"),
        MercatorTickFormatter(dimension="lon"),
    )
    figure.yaxis.ticker, figure.yaxis.formatter = (
        MercatorTicker(dimension="lat"),
        MercatorTickFormatter(dimension="lat"),
    )


def _even(values: np.ndarray) -> np.ndarray:
    return np.linspace(values[0], values[-1], len(values))


def _on_rows(values: np.ndarray, y: np.ndarray, ys: np.ndarray) -> np.ndarray:
    """Rows at exactly even Web Mercator steps: a map image misplaces uneven ones without a word."""
    if np.allclose(y, ys, rtol=0, atol=1e-3 * abs(ys[1] - ys[0]) if len(ys) > 1 else 1.0):
        return values
    nearest = np.abs(y[None, :] - ys[:, None]).argmin(axis=1)
    return values[nearest]


def _coast(xs: np.ndarray, ys: np.ndarray, theme: str) -> hv.Overlay | hv.Path:
    view = (float(xs[0]), float(ys[0]), float(xs[-1]), float(ys[-1]))
    degrees_of_view(view)
    colours = {"coastline": THEMES[theme].coast, "borders": THEMES[theme].border}
    paths = [
        hv.Path([np.column_stack(land)]).opts(color=colours[name], line_width=1)
        for name, land in land_for(view).items()
    ]
    return hv.Overlay(paths)
