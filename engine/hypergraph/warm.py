"""Compiles the hypergraph's kernels before anyone waits for them.

`density` is not among them: Datashader keeps no compiled code between processes, and no page waits for it.
"""

from __future__ import annotations

from typing import get_args

import numpy as np
import pandas as pd

from engine.events.schema import event_table
from engine.hypergraph.graph import Hypergraph
from engine.hypergraph.graph_fold import GraphFold
from engine.hypergraph.layout import Layout
from engine.hypergraph.layout_input import layout_input
from engine.hypergraph.line_density import By as LineBy
from engine.hypergraph.line_density import line_density
from engine.hypergraph.sphere import SphereIndex


def warm() -> None:
    """Do everything once, on a graph of three nodes.

    Examples
    --------
    >>> warm()
    """
    graph = Hypergraph()
    for ids in ("abbcca", [1, 2, 2, 3, 3, 1]):
        rows = {"edge": list("eeffgg"), "node": list(ids), "weight": np.ones(6), "time": np.ones(6), "kind": ["k"] * 6}
        graph.add(pd.DataFrame(rows))
        graph.add(pd.DataFrame({"edge": ["h"], "node": ["a"]}))
    nodes = graph.nodes().index
    graph.set_nodes(pd.DataFrame({"node": nodes, "lat": np.zeros(len(nodes)), "lon": np.arange(len(nodes)) * 1.0}))
    graph.reinforce("e", 1.0)
    graph.decay(2.0)
    graph.hot_entities(1, by="weight")
    graph.neighbors("a")
    graph.overlap("e")
    graph.clustering()
    graph.s_components(2)
    for by in get_args(LineBy):
        line_density(graph.segments(), (0.0, -1.0, 2.0, 1.0), (4, 4), by)
    layout = Layout()
    layout.update(*layout_input(graph))
    graph.remove("f")
    layout.update(*layout_input(graph))
    graph.prune(10.0)
    graph.compact()
    warm_fold()
    index = SphereIndex([0.0, 1.0], [0.0, 1.0])
    index.bbox(-1.0, -1.0, 1.0, 1.0)


def warm_fold() -> None:
    """The live graph: told, snapped, evicted, saved and restored."""
    payload = ['{"src_ip": "10.0.0.1", "dest_ip": "10.0.0.2"}'] * 2
    fold = GraphFold(2, 2)
    fold.apply(event_table([0, 1], "net.flow", ["e", "f"], "warm", payload=payload))
    fold.snapshot(1.0).neighbours("host:10.0.0.1")
    fold.graph.evict(2, 2)
    GraphFold.restored(*fold.saved()).snapshot(1.0)
