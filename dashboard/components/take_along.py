"""Take along: the picture, the data behind it, a page of it, and the Python lines that make it again."""

from __future__ import annotations

import io
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import panel as pn

from dashboard.components.widget_style import WIDGET_CSS
from engine.frames.field_frame import FieldFrame

if TYPE_CHECKING:
    from dashboard.components.field_view import FieldView

BUTTON_CSS = (
    WIDGET_CSS
    + ":host { margin: 0; } .bk-btn { height: 28px; padding: 0 9px; white-space: nowrap; } a { text-decoration: none; }"
)


class TakeAlong(pn.viewable.Viewer):
    """Buttons of the top bar: link, PNG, NetCDF, HTML, Python, theme."""

    def __init__(self, view: FieldView, **params: Any) -> None:
        super().__init__(**params)
        self.view = view

        def button(name: str, tip: str) -> pn.widgets.Button:
            return pn.widgets.Button(label=name, description=tip, stylesheets=[BUTTON_CSS], margin=0, align="center")

        def download(name: str, filename: str, make: Any) -> pn.widgets.FileDownload:
            return pn.widgets.FileDownload(
                callback=make, filename=filename, label=name, embed=False, icon=None,
                stylesheets=[BUTTON_CSS], margin=0, align="center",
            )  # fmt: skip

        self.link = button("Copy link", "A link to exactly this view (L)")
        self.link.js_on_click(code="document.dispatchEvent(new Event('scythe-link'))")
        self.png = button("PNG", "The picture, with its caption")
        self.png.js_on_click(
            args={"fig": view.map.base.figure},
            code="scytheMap.png(fig, document.getElementById('picture')?.dataset.caption ?? '')",
        )
        self.netcdf = download("NetCDF", "field.nc", lambda: io.BytesIO(netcdf_bytes(self._frame())))
        self.html = download("HTML", "field.html", lambda: io.BytesIO(html_bytes(self._frame(), view.state.theme)))
        self.python = download("Python", "field.py", lambda: io.StringIO(python_lines(self._frame())))
        self.theme = button("◐", "Light or dark")
        self.theme.on_click(self._other_theme)
        self._layout = pn.Row(
            self.link, self.png, self.netcdf, self.html, self.python, self.theme, margin=0, styles={"gap": "6px"}
        )

    def __panel__(self) -> pn.viewable.Viewable:
        return self._layout

    def _other_theme(self, _: Any) -> None:
        self.view.state.theme = "dark" if self.view.state.theme == "light" else "light"

    def _frame(self) -> FieldFrame:
        frame = self.view.frame
        if frame is None:
            raise RuntimeError("there is no picture yet to take along; wait until it is drawn")
        return frame


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
    from bokeh.resources import INLINE

    from dashboard.components.field_plot import field_plot

    plot = field_plot(frame.to_dataset(), (frame.spec.low_dbm, frame.spec.high_dbm), theme)
    out = io.StringIO()
    pn.pane.HoloViews(plot, sizing_mode="stretch_both").save(out, resources=INLINE, title="Field", embed=False)
    return out.getvalue().encode()


def python_lines(frame: FieldFrame) -> str:
    """Lines that compute the same field again, with nothing but the engine."""
    emitters = frame.tracks.emitters()
    rows = [
        (str(i), round(float(lat), 6), round(float(lon), 6), round(float(alt), 1), float(eirp), float(freq))
        for i, lat, lon, alt, eirp, freq in zip(
            emitters["id"],
            frame.now.lat,
            frame.now.lon,
            frame.now.alt_m,
            emitters["eirp_dbm"],
            emitters["freq_hz"],
            strict=True,
        )
    ]
    west, south, east, north = frame.spec.bounds_deg
    body = ",\n    ".join(repr(row) for row in rows)
    return (
        '"""The field of one moment, computed again."""\n\n'
        "import pandas as pd\n\nfrom engine.rf import Grid, power_field\n\n"
        f"# moment {frame.moment_s!r} (epoch s), seq {frame.seq}\n"
        f"emitters = pd.DataFrame([\n    {body},\n], columns=['id', 'lat', 'lon', 'alt_m', 'eirp_dbm', 'freq_hz'])\n"
        f"grid = Grid.web_mercator({west!r}, {south!r}, {east!r}, {north!r}, shape=({frame.spec.ny}, {frame.spec.nx}), "
        f"alt_m={frame.spec.height_m!r})\n"
        f"field = power_field(emitters, grid, model={frame.spec.model!r}, horizon={frame.spec.horizon!r})\n"
        "print(field)\n"
    )


__all__ = ["TakeAlong", "html_bytes", "netcdf_bytes", "python_lines"]
