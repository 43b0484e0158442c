"""The columnar graph against a dict of sets: the same after any sequence of changes."""

import math
import threading

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from engine.hypergraph import Hypergraph

RATE = 0.01
EDGE = st.one_of(st.sampled_from("efghij"), st.integers(0, 3))
NODE = st.one_of(st.sampled_from("abcdefg"), st.integers(0, 3))
WEIGHT = st.one_of(st.just(0.0), st.just(math.nan), st.floats(0.01, 100.0))
ROWS = st.lists(st.tuples(EDGE, NODE, WEIGHT, st.one_of(st.none(), st.sampled_from(["dns", "flow"]))), max_size=12)


class DictGraph(RuleBasedStateMachine):
    """Does everything twice: in the graph, and in plain dicts by the definitions."""

    def __init__(self):
        super().__init__()
        self.graph = Hypergraph(decay_per_s=RATE)
        self.members, self.nodes = {}, {}
        self.weight, self.kind, self.seen = {}, {}, {}
        self.now, self.clock = 0.0, 0.0
        self.graph.decay(0.0)

    def weigh(self, edge):
        w, moment = self.weight[edge]
        return w * math.exp(-RATE * max(self.clock - moment, 0.0))

    def drop(self, edge):
        for column in (self.members, self.weight, self.kind, self.seen):
            column.pop(edge)

    @rule(rows=ROWS, step=st.floats(0, 50))
    def add(self, rows, step):
        self.now += step
        edges, nodes, weights, kinds = zip(*rows, strict=True) if rows else ((), (), (), ())
        self.graph.add(
            {
                "edge": list(edges),
                "node": list(nodes),
                "weight": np.array(weights),
                "kind": pa.array(kinds, pa.string()),
                "time": np.full(len(rows), self.now),
            }
        )
        if not rows:
            self.now -= step
        for edge, node, weight, kind in rows:
            self.members.setdefault(edge, {})[node] = None
            self.nodes[node] = None
            known = edge in self.weight
            if not math.isnan(weight):
                self.weight[edge] = (weight, self.now)
            elif not known:
                self.weight[edge] = (1.0, self.now)
            self.kind[edge] = kind if kind is not None else self.kind.get(edge)
            self.seen[edge] = self.now

    @precondition(lambda self: self.members)
    @rule(data=st.data(), amount=st.floats(0, 10), ago=st.floats(-5, 20))
    def reinforce(self, data, amount, ago):
        edge = data.draw(st.sampled_from(list(self.members)))
        moment = self.now - ago
        self.graph.reinforce(edge, amount, time=moment)
        self.now = max(self.now, moment)
        w, anchor = self.weight[edge]
        later = max(anchor, moment)
        total = w * math.exp(-RATE * (later - anchor)) + amount * math.exp(-RATE * (later - moment))
        self.weight[edge] = (total, later)
        self.seen[edge] = max(self.seen[edge], moment)

    @precondition(lambda self: self.members)
    @rule(data=st.data())
    def remove(self, data):
        gone = data.draw(st.sets(st.sampled_from(list(self.members)), min_size=1))
        self.graph.remove(sorted(gone, key=str))
        for edge in gone:
            self.drop(edge)

    @precondition(lambda self: self.nodes)
    @rule(data=st.data())
    def remove_nodes(self, data):
        gone = data.draw(st.sets(st.sampled_from(list(self.nodes)), min_size=1))
        self.graph.remove_nodes(sorted(gone, key=str))
        for node in gone:
            self.nodes.pop(node)
        for edge in list(self.members):
            if self.members[edge].keys() & gone:
                for node in gone:
                    self.members[edge].pop(node, None)
                if not self.members[edge]:
                    self.drop(edge)

    @rule(ahead=st.floats(0, 100))
    def decay(self, ahead):
        self.clock = self.now = max(self.now, self.clock) + ahead
        self.graph.decay(self.clock)

    @rule(threshold=st.floats(0, 20), isolated=st.booleans())
    def prune(self, threshold, isolated):
        # A weight on the threshold itself may round either way.
        if any(abs(self.weigh(e) - threshold) < 1e-9 * (1 + threshold) for e in self.members if threshold):
            return
        doomed = [e for e in self.members if self.weigh(e) < threshold]
        assert self.graph.prune(threshold, isolated=isolated) == len(doomed)
        for edge in doomed:
            self.drop(edge)
        if isolated:
            used = set().union(*self.members.values())
            self.nodes = {node: None for node in self.nodes if node in used}

    @rule()
    def compact(self):
        self.graph.compact()

    @rule()
    def interchange(self):
        self.graph = Hypergraph.from_hif(self.graph.to_hif())

    @invariant()
    def the_same_graph(self):
        edges, nodes = self.graph.edges(), self.graph.nodes()
        assert set(edges.index) == set(self.members) and set(nodes.index) == set(self.nodes)
        assert self.graph.size().to_dict() == {e: len(m) for e, m in self.members.items()}
        degrees = {v: sum(v in m for m in self.members.values()) for v in self.nodes}
        assert self.graph.degree().to_dict() == degrees
        assert self.graph.n_incidences == sum(degrees.values())
        rows = self.graph.incidences()
        assert sorted(zip(rows.edge, rows.node, strict=True), key=str) == sorted(
            ((e, v) for e, m in self.members.items() for v in m), key=str
        )
        for edge in self.members:
            assert edges.weight[edge] == pytest.approx(self.weigh(edge), rel=1e-9, abs=1e-300)
            assert edges.last_seen_s[edge] == self.seen[edge]
            assert (None if pd.isna(edges.kind[edge]) else edges.kind[edge]) == self.kind[edge]
        strength = self.graph.strength()
        for node in self.nodes:
            around = {v for m in self.members.values() if node in m for v in m} - {node}
            assert set(self.graph.neighbors(node)) == around
            assert strength[node] == pytest.approx(sum(self.weigh(e) for e, m in self.members.items() if node in m))


TestAgainstDicts = DictGraph.TestCase
TestAgainstDicts.settings = settings(max_examples=40, stateful_step_count=20, deadline=None)


def table(edges, nodes, **columns):
    return pd.DataFrame({"edge": list(edges), "node": list(nodes), **columns})


def test_zero_is_a_weight_and_nothing_said_is_one():
    graph = Hypergraph()
    graph.add(table("ef", "aa", weight=[0.0, np.nan]))
    assert graph.edges().weight.to_dict() == {"e": 0.0, "f": 1.0}
    graph.add(table("ef", "bb"))
    assert graph.edges().weight.to_dict() == {"e": 0.0, "f": 1.0}
    graph.set_nodes(pd.DataFrame({"node": ["a", "b"], "weight": [0.0, np.nan]}))
    assert graph.nodes().weight.to_dict() == {"a": 0.0, "b": 1.0}
    assert graph.scope_stats().min_weight == 0.0
    assert list(graph.recent_edges(since=-1.0).index) == []


def test_members_stay_in_the_order_they_came_also_when_one_comes_back():
    graph = Hypergraph()
    graph.add(table("eeee", "dbca"))
    assert graph.edge("e").nodes == list("dbca")
    graph.remove_nodes("b")
    graph.add(table("ee", "zb"))
    assert sorted(graph.edge("e").nodes) == list("abcdz")


@pytest.mark.parametrize(
    "nothing",
    [pd.DataFrame(columns=["edge", "node", "weight", "time", "kind"]), pd.DataFrame({"edge": [], "node": []})],
    ids=["no types", "floats"],
)
def test_an_empty_table_adds_nothing_and_an_empty_graph_answers(nothing):
    graph = Hypergraph()
    graph.add(nothing)
    answers = (graph.nodes(), graph.edges(), graph.incidences(), graph.degree(), graph.points(), graph.segments())
    assert [len(answer) for answer in answers] == [0] * 6
    assert graph.prune(1.0) == 0 and graph.to_hif()["incidences"] == []


def test_tables_of_arrow_and_of_nullable_columns_say_the_same():
    graph = Hypergraph(0.0)
    moments = pa.array([1_000_000, 2_000_000], pa.timestamp("us", "UTC"))
    graph.add(pa.table({"edge": ["a", "a"], "node": [1, 2], "time": moments}))
    graph.add(
        pd.DataFrame({"edge": ["a"], "node": [3], "weight": pd.array([None], "Float64"), "kind": pd.Categorical(["x"])})
    )
    edge = graph.edge("a")
    assert (edge.nodes, edge.weight, edge.kind, edge.created_s, edge.last_seen_s) == ([1, 2, 3], 1.0, "x", 1.0, 2.0)


def test_what_is_refused_changes_nothing():
    graph = Hypergraph()
    graph.add(table("e", "a", weight=[2.0]))
    before, version = graph.edges(), graph.version
    refused = [
        lambda: graph.add(table("ef", ["b", None])),
        lambda: graph.add(table("ef", "bc", weight=[1.0, -1.0])),
        lambda: graph.add(table("ef", "bc", weight=[1.0, np.inf])),
        lambda: graph.add(table("ef", "bc", kind=[1, 2])),
        lambda: graph.add(table("ef", "bc", time=["today", "now"])),
        lambda: graph.add(table("ef", "bc", confidence=[1, 2])),
        lambda: graph.add(pd.DataFrame({"edge": ["f"]})),
        lambda: graph.set_nodes(pd.DataFrame({"node": ["b"], "lat": [91.0], "lon": [0.0]})),
        lambda: graph.set_nodes(pd.DataFrame({"node": ["b"], "lat": [1.0], "lon": [np.nan]})),
        lambda: graph.set_nodes(pd.DataFrame({"node": ["b"], "metadata": ["{"]})),
        lambda: graph.reinforce(["e", "none"], 1.0),
        lambda: graph.reinforce("e", -1.0),
        lambda: graph.reinforce("e", math.nan),
        lambda: graph.remove(["e", "none"]),
        lambda: graph.neighbors("b"),
        lambda: graph.edge("f"),
        lambda: graph.prune(math.nan),
        lambda: graph.decay("no moment"),
        lambda: graph.set_decay(-1.0),
    ]
    for attempt in refused:
        with pytest.raises((ValueError, TypeError, KeyError)):
            attempt()
        pd.testing.assert_frame_equal(graph.edges(), before)
        assert (graph.n_nodes, graph.version) == (1, version)


def test_texts_and_positions_of_both_are_kept_and_told_again():
    graph = Hypergraph()
    graph.add(table("e", "a", node_kind=["host"]))
    graph.set_nodes(
        pd.DataFrame({"node": ["a", "b"], "label": ["Alpha", None], "lat": [1.0, np.nan], "lon": [2.0, np.nan]})
    )
    graph.set_edges(pd.DataFrame({"edge": ["e"], "metadata": [{"asn": 64500}], "label": ["<b>"]}))
    for _ in range(200):
        graph.set_nodes(pd.DataFrame({"node": ["a"], "label": ["Alpha " * 50]}))
    graph.set_nodes(pd.DataFrame({"node": ["a"], "label": ["Ålpha"]}))
    graph.compact()
    nodes = graph.nodes()
    assert nodes.label["a"] == "Ålpha" and pd.isna(nodes.label["b"]) and nodes.kind["a"] == "host"
    assert (nodes.lat["a"], nodes.lon["a"]) == (1.0, 2.0) and np.isnan(nodes.lat["b"])
    edge = graph.edge("e")
    assert (edge.metadata, edge.label, edge.kind) == ({"asn": 64500}, "<b>", None)
    # 200 texts of 300 bytes, each in the place of the one before, do not pile up.
    assert graph._nodes.texts["label"].nbytes < 5_000
    graph.remove_nodes("a")
    graph.add(table("f", "a"))
    assert pd.isna(graph.nodes().label["a"]) and np.isnan(graph.nodes().lat["a"])


def test_tombstones_do_not_pile_up():
    graph = Hypergraph()
    sizes = []
    for round_ in range(60):
        ids = [f"e{round_}-{i}" for i in range(1_000)]
        graph.add(table(ids, [f"n{round_}-{i % 300}" for i in range(1_000)]))
        graph.remove(ids)
        graph.prune(0.0, isolated=True)
        sizes.append(graph.nbytes)
    assert graph.n_edges == graph.n_nodes == 0
    assert max(sizes[30:]) <= max(sizes[:30])


def test_a_reader_beside_the_writer_sees_whole_changes_only():
    graph, stop, wrong = Hypergraph(), threading.Event(), []

    def read():
        while not stop.is_set():
            with graph._lock:
                degree, size = graph.degree(), graph.size()
            if degree.sum() != size.sum() or (size != 3).any():
                wrong.append((degree.sum(), size.sum()))
            graph.hot_entities(3)
            graph.points()

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    rng = np.random.default_rng(0)
    for i in range(150):
        nodes = np.concatenate([rng.choice(500, 3, replace=False) for _ in range(20)])
        graph.add(pd.DataFrame({"edge": np.repeat(np.arange(20 * i, 20 * i + 20), 3), "node": nodes}))
        if i % 10 == 9:
            graph.remove(np.arange(20 * i - 100, 20 * i - 50))
            graph.compact()
    stop.set()
    for reader in readers:
        reader.join()
    assert wrong == []
