"""Measures beside two libraries that we did not write, XGI and hypergraphx, on real hypergraphs."""

from __future__ import annotations

import json

import hypergraphx
import networkx
import numpy as np
import pandas as pd
import pytest
import xgi

from engine.hypergraph import GraphFold, Hypergraph
from engine.ingest import read_eve


@pytest.fixture(scope="module", params=["contacts", "network"])
def members(request, real_data) -> list[frozenset[str]]:
    """Distinct hyperedges: contacts of a high school, and what Suricata said of a network."""
    if request.param == "contacts":
        records = json.loads(real_data("hypergraph/contact-high-school.hypergraphx.json").read_text())
        lists = [frozenset(map(str, r["interaction"])) for r in records if r.get("type") == "edge"]
    else:
        events, _ = read_eve(real_data("net/eve-2.json"))
        fold = GraphFold()
        fold.apply(events)
        shot = fold.snapshot(fold.newest_s)
        ids = shot.nodes["id"].to_pylist()
        lists = [frozenset(ids[row] for row in shot.member_rows(edge)) for edge in range(shot.n_edges)]
    # hypergraphx knows a hyperedge by its members: each set once.
    return list(dict.fromkeys(lists))


@pytest.fixture(scope="module")
def ours(members) -> Hypergraph:
    graph = Hypergraph(0.0)
    rows = [(e, v) for e, nodes in enumerate(members) for v in sorted(nodes)]
    graph.add(pd.DataFrame(rows, columns=["edge", "node"]))
    return graph


@pytest.fixture(scope="module")
def theirs(members) -> xgi.Hypergraph:
    return xgi.Hypergraph([set(nodes) for nodes in members])


@pytest.fixture(scope="module")
def other(members) -> hypergraphx.Hypergraph:
    return hypergraphx.Hypergraph([tuple(sorted(nodes)) for nodes in members])


def test_degrees_and_sizes(ours, theirs, other) -> None:
    assert (ours.n_nodes, ours.n_edges) == (theirs.num_nodes, theirs.num_edges)
    assert ours.degree().to_dict() == theirs.nodes.degree.asdict() == other.degree_sequence()
    assert ours.size().to_dict() == theirs.edges.size.asdict()
    assert ours.size_distribution().to_dict() == dict(other.distribution_sizes())


def test_neighbours(ours, theirs, other) -> None:
    for node in ours.nodes().index[:150]:
        assert set(ours.neighbors(node)) == theirs.nodes.neighbors(node) == set(other.get_neighbors(node)), node


def test_clustering(ours, theirs) -> None:
    expected = xgi.clustering_coefficient(theirs)
    nodes = list(expected)
    np.testing.assert_allclose(ours.clustering(nodes).to_numpy(), [expected[v] for v in nodes], rtol=1e-12)


@pytest.mark.parametrize("s", [1, 2, 3])
def test_s_components_are_those_of_the_line_graph(members, s) -> None:
    few = members[:1_500]  # their line graph looks at every pair
    ours = Hypergraph(0.0)
    rows = [(e, v) for e, nodes in enumerate(few) for v in nodes]
    ours.add(pd.DataFrame(rows, columns=["edge", "node"]))
    some = {e for e, nodes in enumerate(few) if len(nodes) >= s}
    lines = xgi.to_line_graph(xgi.Hypergraph([set(nodes) for nodes in few]), s=s).subgraph(some)
    expected = sorted((sorted(c) for c in networkx.connected_components(lines)), key=lambda c: c[0])
    assert sorted((sorted(c) for c in ours.s_components(s)), key=lambda c: c[0]) == expected


def test_what_they_write_is_read_and_the_other_way_round(ours, theirs) -> None:
    """The interchange format, through the files' own readers."""
    back = xgi.from_hif_dict(ours.to_hif())
    assert back.nodes.degree.asdict() == theirs.nodes.degree.asdict()
    assert Hypergraph.from_hif(xgi.to_hif_dict(theirs)).degree().to_dict() == ours.degree().to_dict()
