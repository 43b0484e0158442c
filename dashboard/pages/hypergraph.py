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
    take=(
        ("hypergraph.json", "HIF", "The whole graph of this moment, for XGI, HyperNetX and others"),
        ("hypergraph.html", "HTML", "One file that shows the picture without any network"),
        ("hypergraph.py", "Python", "The lines that lay this graph out and count it again"),
    ),
    hints=(*HINTS, ("select", "Shift and drag to select")),
    find="find a node",
).servable(title="Hypergraph")
