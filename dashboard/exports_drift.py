"""Take-along files of the Drift page: the series and the alerts of the moment on the screen."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

from dashboard.components.csv_cells import csv_of_frame
from dashboard.components.drift_state import DriftState
from dashboard.exports import Export, Maker, moment_of, state_of
from engine.frames.drift_frame import DriftFrame, DriftSpec
from engine.frames.spec import hundredths
from engine.station import Station


def _drift(make: Callable[[DriftFrame], bytes]) -> Maker:
    def export(query: dict[str, str], station: Station) -> bytes:
        state = state_of(query, DriftState())
        moment_s = hundredths(moment_of(state, query, station))
        return make(station.monitoring.board.frame(DriftSpec(float(state.window_s), moment_s)))

    return export


def netcdf_bytes(frame: DriftFrame) -> bytes:
    """The series as a NetCDF-4 file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "drift.nc"
        frame.to_dataset().to_netcdf(path, engine="h5netcdf")
        return path.read_bytes()


def csv_bytes(frame: DriftFrame) -> bytes:
    """The series as one long table."""
    return csv_of_frame(frame.table())


def alerts_csv_bytes(frame: DriftFrame) -> bytes:
    """The alerts with their evidence."""
    return csv_of_frame(frame.alerts)


def clusters_csv_bytes(frame: DriftFrame) -> bytes:
    """The clusters with their numbers, one row each; definitions and units are in docs/page-drift.md."""
    return csv_of_frame(frame.clusters.drop(columns=["spark", "activity_spark"]))


PAGE_EXPORTS = {
    "drift.csv": Export("text/csv; charset=utf-8", _drift(csv_bytes)),
    "alerts.csv": Export("text/csv; charset=utf-8", _drift(alerts_csv_bytes)),
    "clusters.csv": Export("text/csv; charset=utf-8", _drift(clusters_csv_bytes)),
    "drift.nc": Export("application/x-netcdf", _drift(netcdf_bytes)),
}
"""Files of this page, by name."""
