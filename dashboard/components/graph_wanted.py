"""From what a viewer looks at to what has to be computed: the spec of a view of the graph."""

from __future__ import annotations

from dashboard.components.base_map import View
from dashboard.components.graph_state import GraphState
from engine.frames.graph_spec import GraphSpec, graph_spec
from engine.frames.spec import hundredths


def wanted_spec(state: GraphState, view: View, moment_s: float | None) -> GraphSpec:
    """The frame that a view of the graph needs.

    Parameters
    ----------
    state : GraphState
        Space, colours, selection and the rest.
    view : View
        Bounds in view, in units of the space.
    moment_s : float or None
        The moment, epoch seconds, taken to hundredths; None is live.
    """
    return graph_spec(
        view, space=state.space, by=state.by, scale=state.scale, hidden=tuple(sorted(state.hidden)),
        lines=state.lines, shadows=state.shadows, region=state.region, selected=state.selected,
        find=state.find if state.listed == "found" else "", listed=state.listed,
        moment_s=hundredths(moment_s),
    )  # fmt: skip
