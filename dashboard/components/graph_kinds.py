"""Kinds of nodes: the legend of their colours, which is also the filter."""

from __future__ import annotations

from typing import Any, ClassVar

import param
from panel.custom import JSComponent

from dashboard.components.graph_colours import KIND_COLOURS
from dashboard.components.graph_state import MAX_HIDDEN, GraphState
from dashboard.theme import ASSETS
from engine.frames.graph_frame import GraphFrame


class GraphKinds(JSComponent):
    """Kinds of nodes in the graph, most frequent first; a click hides or shows one.

    Examples
    --------
    >>> kinds = GraphKinds(GraphState())
    >>> kinds._handle_msg({"do": "toggle", "kind": "host"})
    >>> kinds.state.hidden, kinds.hidden
    (['host'], ['host'])
    """

    kinds = param.List(default=[], doc="Name, number of nodes and category of each kind.")
    hidden = param.List(default=[], doc="Kinds left out.")
    colours = param.List(default=[], doc="Colour of each category.")

    _esm = ASSETS / "graph_kinds.js"
    _stylesheets: ClassVar[list[str]] = [(ASSETS / "graph_kinds.css").read_text()]

    def __init__(self, state: GraphState, **params: Any) -> None:
        self.state = state
        super().__init__(
            hidden=list(state.hidden), colours=list(KIND_COLOURS[state.theme]), sizing_mode="stretch_width", margin=0,
            **params,
        )  # fmt: skip
        state.param.watch(lambda *_: self.param.update(hidden=list(state.hidden)), "hidden")
        state.param.watch(lambda *_: self.param.update(colours=list(KIND_COLOURS[state.theme])), "theme")

    def tell(self, frame: GraphFrame) -> None:
        """Say which kinds a frame has, hidden ones included."""
        kinds = [list(kind) for kind in frame.picture.kinds]
        if kinds != self.kinds:
            self.kinds = kinds

    def _handle_msg(self, msg: Any) -> None:
        if not isinstance(msg, dict):
            return
        do, kind = msg.get("do"), msg.get("kind")
        known = [name for name, _, _ in self.kinds]
        if do == "all":
            self.state.hidden = []
        elif not isinstance(kind, str) or len(kind) > 32:
            return
        elif do == "only":
            self.state.hidden = sorted(name for name in known if name != kind)[:MAX_HIDDEN]
        elif do == "toggle":
            hidden = set(self.state.hidden) ^ {kind}
            self.state.hidden = sorted(hidden)[:MAX_HIDDEN]
