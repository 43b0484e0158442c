"""The Drift page: what is changing that should not, since when, how sure, and why."""

from dashboard.components.drift_state import DriftState
from dashboard.components.drift_view import DriftView
from dashboard.page import open_view, shell

view = open_view(DriftView, DriftState())
shell(
    "drift",
    {
        "controls": view.controls,
        "picture": view.body,
        "inspector": view.inspector,
        "strip": view.strip,
    },
    take=(
        ("drift.csv", "CSV", "Every number of the monitors over the window, with units"),
        ("alerts.csv", "Alerts CSV", "The alert feed with its evidence"),
        ("clusters.csv", "Clusters CSV", "The clusters with their numbers, one row each"),
        ("drift.nc", "NetCDF", "The series with units and thresholds"),
    ),
    hints=(("scrub", "Drag the time slider back, then press space"), ("pick", "Click a card to see why")),
    find="find",
).servable(title="Drift")
