"""Measures by their definitions: slow twins on random hypergraphs, worked examples, real contacts."""

import itertools
import json
import math
from collections import Counter

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import scipy.sparse.csgraph
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from engine.hypergraph import Hypergraph
from engine.hypergraph.measures import entropy_bits

LISTS = st.lists(st.sets(st.integers(0, 11), min_size=1, max_size=6), min_size=1, max_size=14)


def graph_of(members):
    graph = Hypergraph(0.0)
    rows = [(e, v) for e, m in enumerate(members) for v in m]
    graph.add(pd.DataFrame(rows, columns=["edge", "node"]))
    return graph


def brute_s_components(members, s):
    """Grow each component from its first hyperedge until nothing more joins."""
    left = [e for e, m in enumerate(members) if len(m) >= s]
    components = []
    while left:
        component, grown = {left.pop(0)}, True
        while grown:
            joining = {f for f in left if any(len(members[f] & members[e]) >= s for e in component)}
            left = [f for f in left if f not in joining]
            component, grown = component | joining, bool(joining)
        components.append(component)
    return {frozenset(component) for component in components}


def brute_clustering(members):
    """By triangles of the clique expansion, all pairs looked at."""
    linked = {frozenset(pair) for m in members for pair in itertools.combinations(m, 2)}
    result = {}
    for v in set().union(*members):
        around = [u for u in set().union(*members) if frozenset((u, v)) in linked and u != v]
        pairs = list(itertools.combinations(around, 2))
        result[v] = sum(frozenset(pair) in linked for pair in pairs) / len(pairs) if pairs else 0.0
    return result


@given(LISTS, st.integers(1, 4))
def test_s_components_are_what_growing_them_by_hand_gives(members, s):
    components = graph_of(members).s_components(s)
    assert {frozenset(c) for c in components} == brute_s_components(members, s)
    assert [len(c) for c in components] == sorted(map(len, components), reverse=True)


@given(LISTS)
def test_clustering_counts_the_triangles_of_the_clique_expansion(members):
    assert graph_of(members).clustering().to_dict() == pytest.approx(brute_clustering(members))


@given(LISTS)
def test_overlap_is_the_size_of_the_intersection(members):
    graph = graph_of(members)
    for e, m in enumerate(members):
        shared = {f: len(m & other) for f, other in enumerate(members) if f != e and m & other}
        assert graph.overlap(e).to_dict() == shared


@given(LISTS)
def test_entropies_are_those_of_scipy(members):
    graph = graph_of(members)
    degrees = Counter(v for m in members for v in m)
    sizes = Counter(map(len, members))
    assert graph.entropy("degree") == pytest.approx(scipy.stats.entropy(list(degrees.values()), base=2), abs=1e-12)
    assert graph.entropy("size") == pytest.approx(scipy.stats.entropy(list(sizes.values()), base=2), abs=1e-12)
    assert graph.entropy("weight") == pytest.approx(math.log2(len(members)), abs=1e-12)
    assert graph.entropy("kind") == 0.0
    assert graph.size_distribution().to_dict() == dict(sizes)


def test_measures_speak_of_what_is_left_after_removal():
    members = [{0, 1, 2}, {1, 2, 3}, {2, 3, 4}, {5, 6}, {5, 6, 0}]
    graph = graph_of([*members, set(range(7)), {2, 5}])
    graph.remove([5, 6])
    assert {frozenset(c) for c in graph.s_components(2)} == brute_s_components(members, 2)
    assert graph.clustering().to_dict() == pytest.approx(brute_clustering(members))
    assert graph.overlap(0).to_dict() == {1: 2, 2: 1, 4: 1}
    graph.compact()
    assert {frozenset(c) for c in graph.s_components(2)} == brute_s_components(members, 2)
    assert graph.clustering([5, 0]).to_dict() == pytest.approx({v: brute_clustering(members)[v] for v in (5, 0)})


def test_a_worked_example():
    """Four hyperedges small enough to do in the head: {a,b,c}, {b,c,d}, {d,e}, {f}."""
    rows = [("p", v) for v in "abc"] + [("q", v) for v in "bcd"] + [("r", v) for v in "de"] + [("s", "f")]
    graph = Hypergraph(0.0)
    graph.add(pd.DataFrame(rows, columns=["edge", "node"]))
    assert [list(c) for c in graph.s_components(1)] == [["p", "q", "r"], ["s"]]
    assert [list(c) for c in graph.s_components(2)] == [["p", "q"], ["r"]]
    assert [list(c) for c in graph.s_components(3)] == [["p"], ["q"]]
    # d: neighbours b, c, e; of three pairs one, b and c, is linked. b: neighbours a, c, d; two of three pairs.
    assert graph.clustering(["a", "b", "d", "e", "f"]).tolist() == pytest.approx([1, 2 / 3, 1 / 3, 0, 0])
    # Shares 1/9 for a, e, f and 2/9 for b, c, d.
    assert graph.entropy("degree") == pytest.approx(3 / 9 * math.log2(9) + 6 / 9 * math.log2(9 / 2))
    assert graph.entropy("size") == pytest.approx(1.5)


def test_entropy_of_nothing_and_of_one_share_is_zero():
    assert entropy_bits([]) == entropy_bits([0.0, 0.0]) == entropy_bits([7]) == 0.0
    assert Hypergraph().entropy("weight") == 0.0
    assert Hypergraph().s_components(1) == [] and Hypergraph().clustering().empty


def test_unknown_choices_are_named():
    graph = graph_of([{0, 1}])
    for attempt in (
        lambda: graph.entropy("colour"),
        lambda: graph.s_components(0),
        lambda: graph.hot_entities(3, by="x"),
    ):
        with pytest.raises(ValueError, match=r"must be"):
            attempt()


@pytest.fixture(scope="module")
def contacts(real_data):
    """Members of the hyperedges of the high-school contacts, from the file by hand."""
    records = json.loads(real_data("hypergraph/contact-high-school.hypergraphx.json").read_text())
    return [set(r["interaction"]) for r in records if r.get("type") == "edge"]


@pytest.fixture(scope="module")
def school(contacts):
    return graph_of(contacts)


def test_the_contacts_of_a_high_school_are_counted_as_in_the_file(contacts, school):
    assert (school.n_edges, school.n_nodes) == (7818, 327)
    assert school.size_distribution().to_dict() == Counter(map(len, contacts))
    assert school.degree().to_dict() == Counter(v for m in contacts for v in m)
    node = school.hot_entities(1).index[0]
    assert set(school.neighbors(node)) == set().union(*(m for m in contacts if node in m)) - {node}


def test_the_clustering_of_a_high_school_is_that_of_its_adjacency_matrix(contacts, school):
    ids = sorted(set().union(*contacts))
    place = {v: i for i, v in enumerate(ids)}
    a = np.zeros((len(ids), len(ids)), dtype=np.int64)
    for m in contacts:
        for u, v in itertools.permutations(m, 2):
            a[place[u], place[v]] = 1
    degree = a.sum(axis=1)
    expected = np.diag(a @ a @ a) / np.maximum(degree * (degree - 1), 1)
    np.testing.assert_allclose(school.clustering(ids), expected, rtol=1e-12)


@pytest.mark.parametrize("s", [2, 3])
def test_the_s_components_of_a_high_school_are_those_of_scipy(contacts, school, s):
    ids = {v: i for i, v in enumerate(sorted(set().union(*contacts)))}
    b = scipy.sparse.lil_array((len(contacts), len(ids)), dtype=np.int32)
    for e, m in enumerate(contacts):
        b[e, [ids[v] for v in m]] = 1
    b = b.tocsr()[[e for e, m in enumerate(contacts) if len(m) >= s]]
    n, labels = scipy.sparse.csgraph.connected_components((b @ b.T) >= s)
    components = school.s_components(s)
    assert len(components) == n
    assert [len(c) for c in components] == sorted(np.bincount(labels).tolist(), reverse=True)
