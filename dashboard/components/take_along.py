"""Take along: the data behind a picture, a page of it, and the Python lines that make it again.

Pure functions of a frame; `dashboard.endpoints` serves them, so that whatever has a link can also be
fetched by a program. The PNG is made in the browser, from the very picture on the screen.
"""

from __future__ import annotations

import math
import tempfile
from pathlib import Path

import holoviews as hv
from bokeh.embed import components
from bokeh.resources import Resources

from dashboard.components.dominance_plot import dominance_image, dominance_lines
from dashboard.components.field_plot import field_plot
from engine.frames.field_frame import FieldFrame


def netcdf_bytes(frame: FieldFrame) -> bytes:
    """The frame as a NetCDF-4 file, full precision, units in attributes."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "field.nc"
        dataset = frame.to_dataset()
        encoding = {str(n): {"zlib": True, "complevel": 4} for n in dataset.data_vars if dataset[n].ndim == 2}
        dataset.to_netcdf(path, engine="h5netcdf", encoding=encoding)
        return path.read_bytes()


def html_bytes(frame: FieldFrame, theme: str) -> bytes:
    """The frame as one HTML file that needs no server and no network."""
    dataset = frame.to_dataset()
    over = [dominance_image(dataset, frame.spec)] if frame.dominance is not None else []
    plot = field_plot(dataset, (frame.spec.low_dbm, frame.spec.high_dbm), theme, over)
    # Put together by hand: a Panel pane asks a CDN for its style sheets, and `file_html` brings the scripts
    # of every library that was imported, by paths that only a server has. Nothing but BokehJS is needed.
    script, place = components(hv.render(plot, backend="bokeh"))
    library = "\n".join(Resources(mode="inline", components=["bokeh"]).js_raw)
    return (
        '<!doctype html>\n<html lang="en">\n<head><meta charset="utf-8"><title>Field</title>\n'
        f"<script>{library}</script>\n<style>html, body {{ height: 100%; margin: 0; }}</style></head>\n"
        f"<body>{place}\n{script}</body>\n</html>\n"
    ).encode()


def python_lines(frame: FieldFrame) -> str:
    """Lines that compute the same field, and its dominance where one is shown, with nothing but the engine."""
    emitters = frame.tracks.emitters()
    rows = [
        (str(i), round(float(lat), 9), round(float(lon), 9), round(float(alt), 4), float(eirp), float(freq))
        for i, lat, lon, alt, eirp, freq in zip(
            emitters["id"],
            frame.now.lat,
            frame.now.lon,
            frame.now.alt_m,
            emitters["eirp_dbm"],
            emitters["freq_hz"],
            strict=True,
        )
        if math.isfinite(lat + lon + alt)
    ]
    west, south, east, north = frame.spec.bounds_deg
    body = "".join(f"    {row!r},\n" for row in rows)
    return (
        '"""The field of one moment, computed again."""\n\n'
        "import pandas as pd\n\nfrom engine.rf import Grid, power_field\n\n"
        f"# moment {frame.moment_s!r} (epoch s), seq {frame.seq}\n"
        f"emitters = pd.DataFrame([\n{body}], columns=['id', 'lat', 'lon', 'alt_m', 'eirp_dbm', 'freq_hz'])\n"
        f"grid = Grid.web_mercator({west!r}, {south!r}, {east!r}, {north!r}, shape=({frame.spec.ny}, {frame.spec.nx}), "
        f"alt_m={frame.spec.height_m!r})\n"
        f"field = power_field(emitters, grid, model={frame.spec.model!r}, horizon={frame.spec.horizon!r})\n"
        "print(field)\n"
    ) + dominance_lines(frame)
