"""From what a viewer looks at to what has to be computed: the spec of a view's frame."""

from __future__ import annotations

from typing import Any

from dashboard.components.base_map import View
from dashboard.state import DIFFRACTED, ViewState
from engine.frames.spec import FieldSpec, Horizon, hundredths, snap_view


def field_spec(state: ViewState, view: View, moment_s: float | None) -> FieldSpec:
    """The frame that a view of the field needs.

    Parameters
    ----------
    state : ViewState
        Model, layers, limits and the rest.
    view : View
        Bounds in view, Web Mercator metres.
    moment_s : float or None
        The moment, epoch seconds, taken to hundredths; None is live.
    """
    low, high = state.limits_dbm
    horizon: Horizon = (
        "diffraction" if state.horizon and state.diffraction and state.model in DIFFRACTED else state.horizon
    )
    return FieldSpec(
        *snap_view(*view, max_cells=state.cells), model=state.model, height_m=float(state.height_m),
        horizon=horizon, forecast_s=float(state.forecast_s), low_dbm=float(low),
        high_dbm=float(max(high, low + 1.0)), trail_s=float(state.trail_s), layers=state.layers,
        moment_s=hundredths(moment_s), **contest_of(state),
    )  # fmt: skip


def contest_of(state: ViewState) -> dict[str, Any]:
    """The part of a spec that speaks of dominance; nothing while none is drawn: equal pictures are one."""
    if state.contest == "none":
        return {}
    weights = (float(state.score_signal), float(state.score_coherence), float(state.score_likeness))
    searched = state.contest == "ab" or state.group_by == "ab"
    return {
        "contest": state.contest,
        "group_by": "ab" if state.contest == "ab" else state.group_by,
        "group_a": state.group_a.strip() if searched else "",
        "group_b": state.group_b.strip() if searched else "",
        "contested_db": float(state.contested_db),
        "score_weights": weights if state.contest == "score" and sum(weights) > 0 else (0.6, 0.3, 0.1),
    }
