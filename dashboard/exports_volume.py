"""Take-along files of the Volume page; see `dashboard.exports`."""

from __future__ import annotations

from collections.abc import Callable

from dashboard.components.volume_state import VolumeState
from dashboard.components.volume_take_along import html_bytes, netcdf_bytes, python_lines
from dashboard.components.volume_view import UNITS, planes_spec, volume_spec
from dashboard.exports import Export, Maker, moment_of, state_of
from engine.frames.volume_frame import VolumeFrame
from engine.station import Station
from engine.volume_desk import VolumeDesk


def _frame(query: dict[str, str], station: Station) -> tuple[VolumeState, float, VolumeFrame]:
    state = state_of(query, VolumeState())
    moment_s = moment_of(state, query, station)
    return state, moment_s, station.desk(VolumeDesk).volumes.frame(volume_spec(state, moment_s))


def _volume(make: Callable[[VolumeFrame, VolumeState], bytes]) -> Maker:
    def export(query: dict[str, str], station: Station) -> bytes:
        state, _, frame = _frame(query, station)
        return make(frame, state)

    return export


def _lines(query: dict[str, str], station: Station) -> bytes:
    state, moment_s, frame = _frame(query, station)
    planes = station.desk(VolumeDesk).planes.frame(planes_spec(state, moment_s))
    return python_lines(frame, planes).encode()


PAGE_EXPORTS = {
    "volume.h5": Export("application/x-hdf5", _volume(lambda frame, state: netcdf_bytes(frame))),
    "volume.html": Export(
        "text/html; charset=utf-8",
        _volume(lambda frame, state: html_bytes(frame, state, UNITS.get(state.model, "dBm"))),
    ),
    "volume.py": Export("text/x-python; charset=utf-8", _lines),
}
"""Files of this page, by name."""
