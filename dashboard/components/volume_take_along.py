"""Take along from the Volume page: volumes as a file, a page that rotates without a network, lines that make them.

Pure functions of frames; `dashboard.exports_volume` serves them.
"""

from __future__ import annotations

import json
import tempfile
from base64 import b64encode
from pathlib import Path
from typing import Any

import panel as pn

from dashboard.components.inspector import utc_text
from dashboard.components.volume_canvas import look_of, place_of, points_of, shares, volume_message
from dashboard.components.volume_inspector import legend_html
from dashboard.components.volume_state import HOME, VolumeState
from dashboard.theme import ASSETS, THEMES
from engine.frames.volume_frame import VolumeFrame, placed_table
from engine.frames.volume_planes import PlanesFrame
from engine.frames.volume_spec import DETAILS, SECTION_SHAPE
from engine.rf.volume import TOP_M

VTK_JS = Path(pn.__file__).parent / "dist/bundled/abstractvtkplot/vtk.js@30.1.0/vtk.js"
"""The library as Panel ships it."""


def netcdf_bytes(frame: VolumeFrame) -> bytes:
    """Both volumes as float16, compressed, in an HDF5 file laid out as NetCDF-4; `error_db` is the rounding.

    float16 is no type of NetCDF itself: read it with ``xarray.open_dataset(path, engine="h5netcdf")`` or h5py.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "volume.h5"
        frame.to_storage().to_netcdf(path, engine="h5netcdf", invalid_netcdf=True)
        return path.read_bytes()


def canvas_of(frame: VolumeFrame, state: VolumeState) -> dict[str, Any]:
    """Parameters of a `VolumeCanvas` that shows a frame as a state says."""
    lat0, lon0, lat1, lon1 = state.section_line
    x, y = shares(frame, [lat0, lat1], [lon0, lon1])
    return {
        **look_of(state), "volume": volume_message(frame, None), "place": place_of(frame),
        "points": points_of(frame, state.selected), "camera": list(state.camera), "home": list(HOME),
        "marks": [state.alt_m / TOP_M, float(x[0]), float(y[0]), float(x[1]), float(y[1])],
    }  # fmt: skip


def html_bytes(frame: VolumeFrame, state: VolumeState, unit: str) -> bytes:
    """The rotating volume as one HTML file that needs no server and no network."""
    p, v = THEMES[state.theme], frame.spec
    legend = legend_html(v.low_dbm, v.high_dbm, unit, state.theme, state.exaggeration)
    caption = f"{v.model} · {utc_text(frame.moment_s)} · seq {frame.seq} · forecast {v.forecast_s:g} s ahead"
    data = json.dumps(canvas_of(frame, state), default=_as_base64).replace("<", "\\u003c")
    script = (ASSETS / "volume.js").read_text().replace("export function", "function")
    css = (ASSETS / "volume.css").read_text().replace(":host", "#volume") + (ASSETS / "volume_legend.css").read_text()
    return (
        '<!doctype html>\n<html lang="en">\n<head><meta charset="utf-8"><title>Volume</title>\n<style>'
        f":root {{ --surface: {p.surface}; --line: {p.line}; --muted: {p.muted}; --accent: {p.coast}; }}\n"
        f"html, body {{ height: 100%; margin: 0; background: {p.map_background}; color: {p.text};"
        ' font: 12px "DejaVu Sans", Arial, sans-serif; }\n'
        f"body {{ display: grid; grid-template-rows: auto 1fr auto; }} p.caption {{ margin: 4px 10px; }}\n"
        f"{css}</style>\n"
        f'<script>{VTK_JS.read_text()}</script></head>\n<body>{legend}<div id="volume"></div>'
        f'<p class="caption">{caption}</p>\n<script type="module">\n{script}\n'
        f"const model = JSON.parse({json.dumps(data)}, (key, value) => value && value.base64 !== undefined"
        " ? Uint8Array.from(atob(value.base64), (c) => c.charCodeAt(0)) : value)\n"
        "render({ model: { ...model, on() {}, send_msg() {} }, el: document.getElementById('volume') })\n"
        "</script></body>\n</html>\n"
    ).encode()


def python_lines(volume: VolumeFrame, planes: PlanesFrame) -> str:
    """Lines that compute the same volume, slice and section again, with nothing but the engine."""
    table, v = placed_table(volume.tracks, volume.now), volume.spec
    names = ["id", "lat", "lon", "alt_m", "eirp_dbm", "freq_hz"]
    rows = [(str(row[0]), *(round(float(x), 9) for x in row[1:])) for row in table[names].itertuples(index=False)]
    body = "".join(f"    {row!r},\n" for row in rows)
    cells, levels = DETAILS[v.detail]
    box = f"{v.west!r}, {v.south!r}, {v.east!r}, {v.north!r}"
    lat0, lon0, lat1, lon1 = planes.spec.line
    floor = ", floor_m=1.0" if v.model == "inverse_square" else ""
    rows_n, columns_n = planes.slice.shape[1:]
    return (
        '"""The volume, slice and section of one moment, computed again."""\n\n'
        "import numpy as np\nimport pandas as pd\n\n"
        "from engine.rf import Grid, cross_section, power_field, power_volume, volume_grid\n\n"
        f"# moment {volume.moment_s!r} (epoch s), seq {volume.seq}\n"
        f"emitters = pd.DataFrame([\n{body}], columns={names!r})\n"
        f"how = dict(model={v.model!r}, horizon={v.horizon!r})\n"
        f"volume = power_volume(emitters, volume_grid({box}, {cells}, {levels}), **how)\n"
        f"flat = Grid.web_mercator({box}, shape=({rows_n}, {columns_n}), alt_m={planes.spec.alt_m!r})\n"
        "slice_ = power_field(emitters, flat, **how)\n"
        f"line = [({lat0!r}, {lon0!r}), ({lat1!r}, {lon1!r})]\n"
        f"heights_m = np.linspace(0.0, {TOP_M!r}, {SECTION_SHAPE[0]})\n"
        f"section = cross_section(emitters, line, heights_m, points={SECTION_SHAPE[1]}, **how{floor})\n"
        "print(volume, slice_, section, sep='\\n')\n"
    )


def _as_base64(value: Any) -> dict[str, str]:
    if not isinstance(value, bytes):
        raise TypeError(f"{type(value).__name__} has no place in a page's data")
    return {"base64": b64encode(value).decode()}
