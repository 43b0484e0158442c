"""Take-along files of the Locate page: positions by arrival times, or measured fields, as the link says."""

from __future__ import annotations

import io
from collections.abc import Callable

import pandas as pd

from dashboard import exports_measured
from dashboard.components.base_map import View, view_of_degrees
from dashboard.components.locate_state import LocateState
from dashboard.components.locate_take_along import csv_bytes, html_bytes, netcdf_bytes, parquet_bytes, python_lines
from dashboard.components.locate_wanted import locate_spec
from dashboard.exports import Export, Maker, moment_of, state_of
from engine.frames.locate_frame import LocateFrame
from engine.locate_desk import LocateDesk
from engine.station import Station


def _locate(make: Callable[[LocateFrame, View, str], bytes], measured: Maker) -> Maker:
    def export(query: dict[str, str], station: Station) -> bytes:
        state = state_of(query, LocateState())
        if state.method == "rssi":
            return measured(query, station)
        view = view_of_degrees(state.west, state.south, state.east, state.north)
        spec = locate_spec(state, view, moment_of(state, query, station))
        return make(station.desk(LocateDesk).board.frame(spec), view, state.theme)

    return export


def _measured(name: str) -> Maker:
    return exports_measured.PAGE_EXPORTS[name].make


def _measured_parquet(query: dict[str, str], station: Station) -> bytes:
    out = io.BytesIO()
    table = pd.read_csv(io.BytesIO(_measured("measured.csv")(query, station)))
    table.to_parquet(out, index=False, compression="zstd")
    return out.getvalue()


PAGE_EXPORTS = {
    "locate.csv": Export(
        "text/csv; charset=utf-8", _locate(lambda frame, view, theme: csv_bytes(frame), _measured("measured.csv"))
    ),
    "locate.parquet": Export(
        "application/vnd.apache.parquet", _locate(lambda frame, view, theme: parquet_bytes(frame), _measured_parquet)
    ),
    "locate.nc": Export(
        "application/x-netcdf", _locate(lambda frame, view, theme: netcdf_bytes(frame), _measured("measured.nc"))
    ),
    "locate.html": Export("text/html; charset=utf-8", _locate(html_bytes, _measured("measured.html"))),
    "locate.py": Export(
        "text/x-python; charset=utf-8",
        _locate(lambda frame, view, theme: python_lines(frame).encode(), _measured("measured.py")),
    ),
}
"""Files of this page, by name."""
