"""Take-along files of measured fields; see `dashboard.exports`."""

from __future__ import annotations

from collections.abc import Callable

from dashboard.components.csv_cells import csv_of_frame
from dashboard.components.measured_state import MeasuredState
from dashboard.components.measured_take_along import html_bytes, netcdf_bytes, python_lines
from dashboard.components.measured_view import wanted
from dashboard.exports import Export, Maker, state_of
from engine.frames.measured_frame import MeasuredFrame
from engine.measured_desk import MeasuredDesk
from engine.station import Station

PATIENCE_S = 300.0
"""How long a file waits for its numbers, s; what a page has shown is there at once."""


def measured_frame(state: MeasuredState, station: Station) -> MeasuredFrame:
    """The whole frame that a link describes.

    Raises
    ------
    ValueError
        Nothing of the kind was measured, or no field can be made of it.
    """
    desk = station.desk(MeasuredDesk)
    desk.wait(PATIENCE_S)
    spec = wanted(state, desk.campaigns())
    if spec is None:
        known = ", ".join(repr(campaign.name) for campaign in desk.campaigns()) or "none"
        raise ValueError(
            f"campaign {state.campaign!r}, tx {state.transmitter!r}, rx {state.receiver!r} is not among the "
            f"measurements; campaigns are {known}"
        )
    return desk.board.result(spec, PATIENCE_S)


def csv_bytes(frame: MeasuredFrame, state: MeasuredState) -> bytes:
    """The points with what is modelled of them; it can be handed in again as it is."""
    table = frame.table(state.law, state.carried_m, state.fixed_m)
    ends = {"fixed_lat": "receiver_lat", "fixed_lon": "receiver_lon"}
    return csv_of_frame(table.rename(columns=ends), "%Y-%m-%dT%H:%M:%S.%fZ")


def _measured(make: Callable[[MeasuredFrame, MeasuredState], bytes]) -> Maker:
    def export(query: dict[str, str], station: Station) -> bytes:
        state = state_of(query, MeasuredState())
        return make(measured_frame(state, station), state)

    return export


PAGE_EXPORTS = {
    "measured.nc": Export("application/x-netcdf", _measured(netcdf_bytes)),
    "measured.csv": Export("text/csv; charset=utf-8", _measured(csv_bytes)),
    "measured.html": Export("text/html; charset=utf-8", _measured(html_bytes)),
    "measured.py": Export("text/x-python; charset=utf-8", _measured(lambda frame, _: python_lines(frame).encode())),
}
"""Files of this view, by name."""

TAKE = (
    ("measured.nc", "NetCDF", "Fields and points with units, fit and scores"),
    ("measured.csv", "CSV", "The points with model, residual and sigma"),
    ("measured.html", "HTML", "The maps as one page that needs no server"),
    ("measured.py", "Python", "The lines that make them again"),
)
"""The same for `dashboard.page.shell`."""
