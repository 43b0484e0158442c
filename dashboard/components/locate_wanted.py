"""From what a viewer looks at to what has to be computed: the spec of a locate frame."""

from __future__ import annotations

from dashboard.components.base_map import View
from dashboard.components.locate_map import SENSOR
from dashboard.components.locate_state import TdoaState
from engine.frames.locate_frame import LocateSpec, field_bounds
from engine.frames.spec import hundredths


def locate_spec(state: TdoaState, view: View, moment_s: float | None) -> LocateSpec:
    """The frame that a view of arrival times needs.

    Parameters
    ----------
    state : TdoaState
    view : View
        Bounds in view, Web Mercator metres.
    moment_s : float or None
        The moment, epoch seconds, taken to hundredths; None is live.
    """
    emitter = "" if state.selected.startswith(SENSOR) else state.selected
    return LocateSpec(
        *field_bounds(view), settings=state.settings, dilution=state.dilution, field_alt_m=float(state.field_alt_m),
        reach_m=1e3 * float(state.reach_km), window_s=float(state.window_s), selected=state.message or emitter,
        moment_s=hundredths(moment_s),
    )  # fmt: skip
