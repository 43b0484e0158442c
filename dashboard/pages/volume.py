"""The Volume page: the field in three dimensions, cut at a height and along a line."""

from dashboard.components.volume_state import VolumeState
from dashboard.components.volume_view import VolumeView
from dashboard.page import open_view, shell

view = open_view(VolumeView, VolumeState())
shell(
    "volume",
    {
        "controls": view.controls,
        "picture": view.body,
        "inspector": view.inspector,
        "strip": view.strip,
    },
    take=(
        (
            "volume.h5",
            "HDF5",
            "Both volumes as float16, compressed, in the layout of NetCDF-4, with the rounding error",
        ),
        ("volume.html", "HTML", "One file with the rotating volume, without any network"),
        ("volume.py", "Python", "The lines that compute this volume, slice and section again"),
    ),
    hints=(("rotate", "Drag to rotate, wheel to zoom"), ("scrub", "Drag the time slider back, then press space")),
).servable(title="Volume")
