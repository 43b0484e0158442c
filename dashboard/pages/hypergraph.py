"""The Hypergraph page: who is related to whom, from the whole down to a single node."""

from dashboard.components.graph_state import GraphState
from dashboard.components.graph_view import GraphView
from dashboard.page import HINTS, open_view, shell

view = open_view(GraphView, GraphState())
shell(
    "hypergraph",
    {
        "controls": view.controls,
        "picture": view.main,
        "inspector": view.inspector,
        "strip": view.strip,
    },
    hints=(*HINTS, ("select", "Shift and drag to select")),
    find="find a node",
).servable(title="Hypergraph")
