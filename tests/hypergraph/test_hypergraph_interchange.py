"""The Hypergraph Interchange Format: what is written is right by its schema, and everything comes back."""

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.hypergraph import Hypergraph

ID = st.one_of(st.text(max_size=4), st.integers(-9, 9))
ATTRS = st.dictionaries(
    st.sampled_from(["name", "kind", "label", "lat", "asn", "created_s"]),
    st.one_of(st.text(max_size=5), st.integers(-200, 200), st.none(), st.lists(st.booleans(), max_size=2)),
    max_size=4,
)
WEIGHT = st.floats(0, 1e6)


def entities(name):
    record = st.fixed_dictionaries({name: ID}, optional={"weight": WEIGHT, "attrs": ATTRS})
    return st.lists(record, max_size=6, unique_by=lambda r: (type(r[name]), r[name]))


INCIDENCES = st.lists(
    st.fixed_dictionaries(
        {"edge": ID, "node": ID},
        optional={"weight": WEIGHT, "direction": st.sampled_from(["head", "tail"]), "attrs": ATTRS},
    ),
    max_size=8,
    unique_by=lambda r: (str(type(r["edge"])), r["edge"], str(type(r["node"])), r["node"]),
)
DOCUMENTS = st.fixed_dictionaries(
    {"incidences": INCIDENCES},
    optional={
        "network-type": st.sampled_from(["undirected", "directed", "asc"]),
        "metadata": st.dictionaries(st.just("name"), st.text(max_size=4)),
        "nodes": entities("node"),
        "edges": entities("edge"),
    },
)


def check_schema(document):
    """The rules of schema 0.1.0, by hand."""
    assert set(document) <= {"network-type", "metadata", "incidences", "nodes", "edges"}
    assert document.get("network-type", "undirected") in {"undirected", "directed", "asc"}
    assert isinstance(document.get("metadata", {}), dict) and isinstance(document["incidences"], list)
    for name, ids in (("nodes", ["node"]), ("edges", ["edge"]), ("incidences", ["edge", "node"])):
        for record in document.get(name, []):
            assert all(type(record[key]) in (str, int) for key in ids)
            assert set(record) <= {*ids, "weight", "attrs"} | ({"direction"} if name == "incidences" else set())
            assert type(record.get("weight", 0)) in (int, float)
            assert record.get("direction", "head") in ("head", "tail") and isinstance(record.get("attrs", {}), dict)


def by_id(records, *names):
    return {tuple((type(r[n]), r[n]) for n in names): r for r in records}


@given(DOCUMENTS)
def test_whatever_a_document_says_comes_back(document):
    written = json.loads(json.dumps(Hypergraph.from_hif(document).to_hif()))
    check_schema(written)
    assert written["network-type"] == document.get("network-type", "undirected")
    assert {**written["metadata"], **document.get("metadata", {})} == written["metadata"]
    assert by_id(written["incidences"], "edge", "node") == by_id(document["incidences"], "edge", "node")
    for name in ("node", "edge"):
        theirs = by_id(document.get(name + "s", []), name)
        ours = by_id(written[name + "s"], name)
        named = {((type(r[name]), r[name]),) for r in document["incidences"]}
        assert ours.keys() == theirs.keys() | named
        for key, record in theirs.items():
            told = {
                **ours[key],
                "attrs": {k: v for k, v in ours[key].get("attrs", {}).items() if k in record.get("attrs", {})},
            }
            assert told == {"attrs": {}, **record}
    assert Hypergraph.from_hif(written).to_hif() == written


def test_an_example_of_the_standard_is_read_as_it_is_meant():
    """A directed reaction, an empty hyperedge and a lone node, with attributes in both spellings."""
    graph = Hypergraph.from_hif({
        "network-type": "directed",
        "metadata": {"name": "reaction"},
        "incidences": [
            {"edge": 0, "node": "H2", "direction": "tail", "weight": 2},
            {"edge": 0, "node": "O2", "direction": "tail"},
            {"edge": 0, "node": "H2O", "direction": "head", "attrs": {"phase": "gas"}},
        ],
        "nodes": [
            {"node": "Ar", "weight": 0.0},
            {"node": "H2", "attr": {"label": "hydrogen", "lat": 95.0, "lon": 0.0}},
        ],
        "edges": [{"edge": 1, "weight": 0}, {"edge": 0, "attrs": {"kind": "burning"}}],
    })  # fmt: skip
    assert graph.size().to_dict() == {1: 0, 0: 3}
    assert graph.edge(0).nodes == ["H2", "O2", "H2O"] and graph.edge(0).kind == "burning"
    assert graph.edge(1).weight == 0.0 and graph.nodes().weight["Ar"] == 0.0
    assert graph.nodes().label["H2"] == "hydrogen" and "lat" not in graph.nodes()
    assert json.loads(graph.nodes().metadata["H2"]) == {"lat": 95.0, "lon": 0.0}
    assert graph.to_hif()["incidences"][0] == {"edge": 0, "node": "H2", "direction": "tail", "weight": 2}
    graph.remove(0)
    graph.add(pd.DataFrame({"edge": [0], "node": ["H2"]}))
    assert graph.to_hif()["incidences"] == [{"edge": 0, "node": "H2"}]


def test_a_decaying_graph_goes_on_decaying_where_it_was():
    graph = Hypergraph(0.002)
    graph.add(pd.DataFrame({"edge": ["e", "f", "g"], "node": ["a", "a", "b"], "weight": [1.0, np.nan, 0.0],
                            "time": [10.0, 20.0, 900.0]}))  # fmt: skip
    graph.decay(500.0)
    other = Hypergraph.from_hif(json.loads(json.dumps(graph.to_hif())))
    assert other.decay_per_s == 0.002 and other.clock_s == 500.0 and other.now_s == 900.0
    for moment in (500.0, 700.0, 2_000.0):
        graph.decay(moment)
        other.decay(moment)
        assert other.edges().weight.to_dict() == pytest.approx(graph.edges().weight.to_dict(), rel=1e-12)


@pytest.mark.parametrize(
    ("document", "says"),
    [
        ([], "incidences"),
        ({"nodes": []}, "incidences"),
        ({"incidences": [], "network-type": "graph"}, "graph"),
        ({"incidences": [{"edge": 1}]}, r"incidences\[0\].*node"),
        ({"incidences": [{"edge": 1.5, "node": 1}]}, "1.5"),
        ({"incidences": [{"edge": True, "node": 1}]}, "True"),
        ({"incidences": [], "nodes": [{"node": "a"}, 3]}, r"nodes\[1\]"),
        ({"incidences": [], "edges": [{"edge": "a", "weight": "heavy"}]}, "heavy"),
        ({"incidences": [], "edges": [{"edge": "a", "weight": -1}]}, "-1"),
        ({"incidences": [], "metadata": []}, "metadata"),
        ({"incidences": [], "nodes": {"a": 1}}, "nodes"),
        ({"incidences": [], "nodes": [{"node": "a", "attrs": []}]}, "attrs"),
        ({"incidences": [], "metadata": {"decay_per_s": "fast"}}, "decay_per_s"),
    ],
)
def test_what_is_no_document_is_refused_with_its_place(document, says):
    with pytest.raises(ValueError, match=says):
        Hypergraph.from_hif(document)
