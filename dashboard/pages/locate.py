"""The Locate page: where emitters are, by when or how strongly sensors heard them, and how well that is known."""

from dashboard.components.locate_state import LocateState
from dashboard.components.locate_view import LocateView
from dashboard.page import HINTS, open_view, shell

view = open_view(LocateView, LocateState())
shell(
    "locate",
    {
        "controls": view.controls,
        "picture": view.body,
        "inspector": view.inspector,
        "strip": view.strip,
    },
    take=(
        ("locate.csv", "CSV", "All fixes listed, with ellipse, residuals and reason; or the points measured"),
        ("locate.parquet", "Parquet", "The same with types kept"),
        ("locate.nc", "NetCDF", "All of the picture's numbers, with units"),
        ("locate.html", "HTML", "One file that shows the picture without any network"),
        ("locate.py", "Python", "The lines that compute this again"),
    ),
    hints=(*HINTS, ("pick", "Click a fix or a sensor")),
).servable(title="Locate")
