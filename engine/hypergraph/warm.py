"""Compiles the hypergraph's kernels, and Datashader's, before anyone waits for them.

Datashader keeps no compiled code between processes, so the first picture of each sort costs seconds.
"""

from __future__ import annotations

from typing import get_args

import numpy as np
import pandas as pd

from engine.hypergraph.density import By, density
from engine.hypergraph.graph import Hypergraph
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
    for table in (graph.points(), graph.segments()):
        for by in get_args(By):
            density(table, (0.0, -1.0, 2.0, 1.0), (4, 4), by)
    graph.remove("f")
    graph.prune(10.0)
    graph.compact()
    index = SphereIndex([0.0, 1.0], [0.0, 1.0])
    index.bbox(-1.0, -1.0, 1.0, 1.0)
