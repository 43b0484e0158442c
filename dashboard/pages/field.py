"""The Field page: what is where, how strong, and where it will be next."""

import panel as pn

from dashboard.components.field_view import FieldView
from dashboard.page import HINTS, open_view, shell
from dashboard.state import ViewState

view = open_view(FieldView, ViewState())
shell(
    "field",
    {
        "controls": view.controls,
        "picture": view.map,
        "inspector": pn.Column(
            view.map.dominance.panel, view.spectrum.panel, view.inspector, margin=0, sizing_mode="stretch_width"
        ),
        "strip": view.strip,
    },
    take=(
        ("field.nc", "NetCDF", "The fields in full precision, with units"),
        ("field.html", "HTML", "One file that shows the picture without any network"),
        ("field.py", "Python", "The lines that compute this field again"),
    ),
    hints=(*HINTS, ("pick", "Click an aircraft")),
).servable(title="Field")
