"""The Runs page: hunt for simulations, see every one of them, compare and check what was found."""

from dashboard.components.runs_state import RunsState
from dashboard.components.runs_view import RunsView
from dashboard.page import HINTS, open_view, shell

view = open_view(RunsView, RunsState())
shell(
    "runs",
    {
        "controls": view.controls,
        "picture": view.main,
        "inspector": view.about,
        "strip": view.strip,
    },
    take=(
        ("runs.parquet", "Parquet", "All runs listed, with parameters and metrics"),
        ("runs.csv", "CSV", "The same as text"),
        ("run.nc", "NetCDF", "The grids of the open run, with units and parameters"),
        ("run.html", "HTML", "One file that shows the open run without any network"),
        ("run.py", "Python", "The lines that compute the open run again and measure it"),
    ),
    hints=(
        ("start", "Start a hunt on the left"),
        ("step", "↑ and ↓ step from run to run, Enter opens"),
        HINTS[0],
    ),
    find="find runs",
    named=False,
    keys=(
        ("↑ ↓", "step from run to run (also K, J)"),
        ("Enter", "open the run"),
        ("X", "put the run beside the open one, or away"),
    ),
).servable(title="Runs")
