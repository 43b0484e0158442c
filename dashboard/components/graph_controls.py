"""The controls of the Hypergraph page: what is drawn, by which colours, which kinds, and files of one's own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import panel as pn
import param

from dashboard.components.graph_kinds import GraphKinds
from dashboard.components.graph_state import GraphState
from dashboard.components.widget_style import heading, styled


class GraphControls(pn.viewable.Viewer):
    """Widgets of a `GraphState`, in groups; they change the state and follow it.

    Examples
    --------
    >>> controls = GraphControls(GraphState())
    >>> sorted(controls.widgets)[:3]
    ['by', 'drag_selects', 'lasso']
    """

    state: GraphState = param.ClassSelector(class_=GraphState, doc="What the widgets change.")  # type: ignore[assignment]

    def __init__(self, state: GraphState, **params: Any) -> None:
        super().__init__(state=state, **params)
        p, w = state.param, pn.widgets
        self.on_show_all: Callable[[], None] = lambda: None
        self.kinds = GraphKinds(state)
        self.widgets: dict[str, Any] = {
            "space": styled(w.Select.from_param(p.space)),
            "by": styled(w.Select.from_param(p.by)),
            "scale": styled(w.Select.from_param(p.scale)),
            "lines": styled(w.Checkbox.from_param(p.lines)),
            "names": styled(w.Checkbox.from_param(p.names)),
            "shadows": styled(w.Checkbox.from_param(p.shadows)),
            "lasso": styled(w.Checkbox.from_param(p.lasso)),
            "drag_selects": styled(w.Checkbox.from_param(p.drag_selects)),
        }
        self.all = styled(w.Button(label="Whole graph in view"))
        self.all.on_click(lambda _: self.on_show_all())
        ws = self.widgets
        self.files = pn.Column(margin=0, sizing_mode="stretch_width")
        self._layout = pn.Column(
            heading("Picture"), ws["space"], ws["by"], ws["scale"], self.all,
            self.files,
            heading("Kinds of nodes"), self.kinds,
            heading("Layers"), ws["lines"], ws["names"], ws["shadows"],
            heading("Selection: shift and drag"), ws["lasso"], ws["drag_selects"],
            margin=0, sizing_mode="stretch_width",
        )  # fmt: skip

    def __panel__(self) -> pn.viewable.Viewable:
        return self._layout
