"""The fold from events to the live graph: what becomes what, in what bounds, whatever comes."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path

import duckdb
import numpy as np
import orjson
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.events.schema import FIX, event_table
from engine.hypergraph.graph_fold import CHECK_EVENTS, FUTURE_S, GraphFold
from engine.hypergraph.graph_snapshot import GraphSnapshot
from engine.hypergraph.relations import MAX_ID_BYTES, NODE_KINDS, RELATIONS, relations
from engine.ingest import read_eve

DOCS = Path(__file__).parents[2] / "docs" / "engine-ingest-network.md"


def flows(n: int, seed: int = 0, hosts: int = 200, start_s: float = 1e9, step_s: float = 0.05) -> pa.Table:
    """Invented flows between hosts that are not equally busy, some of them with packets told."""
    rng = np.random.default_rng(seed)
    ends = (rng.pareto(1.0, (n, 2)) * 5).astype(int) % hosts
    payload = [
        f'{{"src_ip":"10.0.{a // 250}.{a % 250}","dest_ip":"10.1.{b // 250}.{b % 250}","proto":"TCP",'
        f'"dest_port":{80 + b % 5},"pkts_to_server":{a % 7},"pkts_to_client":{b % 3}}}'
        for a, b in ends
    ]
    time_us = ((start_s + step_s * np.arange(n) + rng.normal(0, 0.2, n)) * 1e6).astype(np.int64)
    table = event_table(time_us, "net.flow", [f"1:{a}-{b}" for a, b in ends], "test", payload=payload)
    return table.set_column(0, "seq", pa.array(np.arange(1, n + 1)))


def same(a: GraphSnapshot, b: GraphSnapshot) -> bool:
    """Whether two snapshots are equal to the bit, order of rows included."""
    columns = [(a.nodes, b.nodes), (a.edges, b.edges)]
    equal = all(x.drop(["kind"]).to_pandas().equals(y.drop(["kind"]).to_pandas()) for x, y in columns)
    kinds = all(x["kind"].cast("string").equals(y["kind"].cast("string")) for x, y in columns)
    ends = np.array_equal(a.incidence_node, b.incidence_node) and np.array_equal(a.incidence_edge, b.incidence_edge)
    return equal and kinds and ends


def test_the_table_in_the_docs_is_the_one_that_runs() -> None:
    rows = [line.split("|") for line in DOCS.read_text(encoding="utf-8").replace(r"\|", "/or/").splitlines()]
    written = {row[3].strip(" `"): row[4] for row in rows if len(row) == 7 and re.match(r" `[a-z.]+` $", row[3])}
    for kind, relation in RELATIONS.items():
        assert kind in written, f"{kind} is not in the table of {DOCS.name}"
        if "the same" in written[kind]:
            continue
        keys = {key for node in relation.nodes for key in re.split(r"[|:/]", node.partition(":")[2].rstrip("*")) if key}
        keys |= {node for node in relation.nodes if ":" not in node}
        told = set(re.findall(r"[a-z_0-9]+", " ".join(re.findall(r"`([^`]*)`", written[kind]))))
        assert keys - set(NODE_KINDS) == told - set(NODE_KINDS), kind


def test_real_eve_joins_what_duckdb_counts(real_data) -> None:
    """Distinct nodes of each kind, and incidences of DNS, counted by DuckDB over the same JSON."""
    path = real_data("net/eve-2.json")
    events, rejects = read_eve(path)
    fold = GraphFold()
    fold.apply(events)
    shot = fold.snapshot(fold.newest_s)
    assert fold.counts["events"] + rejects.total == len(path.read_bytes().splitlines())
    read = f"(SELECT json FROM read_ndjson_objects('{path}', maximum_object_size=20000000)) t"
    named = {
        "ja3": f"SELECT count(DISTINCT json->>'$.tls.ja3.hash') FROM {read} WHERE json->>'$.event_type' = 'tls'",
        "rule": f"""SELECT count(DISTINCT (json->>'$.alert.gid') || ':' || (json->>'$.alert.signature_id'))
                    FROM {read} WHERE json->>'$.event_type' = 'alert'""",
        "anomaly": f"""SELECT count(DISTINCT json->>'$.anomaly.event') FROM {read}
                    WHERE json->>'$.event_type' = 'anomaly'""",
        "service": f"""SELECT count(DISTINCT (json->>'$.proto') || '/' || (json->>'$.dest_port')) FROM {read}
                    WHERE json->>'$.event_type' = 'flow' AND json->>'$.dest_port' IS NOT NULL""",
    }
    kinds = Counter(shot.nodes["kind"].to_pylist())
    for kind, query in named.items():
        assert kinds[kind] == duckdb.sql(query).fetchall()[0][0], kind
    alerts = duckdb.sql(f"""SELECT count(DISTINCT (json->>'$.alert.gid', json->>'$.alert.signature_id',
        json->>'$.flow_id')) FROM {read} WHERE json->>'$.event_type' = 'alert'""").fetchall()[0][0]  # fmt: skip
    assert shot.scope_stats("net.alert").count == alerts


def test_no_incidence_refers_to_a_row_that_is_not_there_and_degrees_are_counts() -> None:
    fold = GraphFold(max_nodes=100, max_incidences=600)
    fold.apply(flows(20_000))
    shot = fold.snapshot(1e9 + 1000)
    assert fold.counts["evicted_edges"] > 0
    assert shot.incidence_node.max() < shot.n_nodes and shot.incidence_edge.max() < shot.n_edges
    assert np.array_equal(np.bincount(shot.incidence_node, minlength=shot.n_nodes), shot.node("degree"))
    assert np.array_equal(np.bincount(shot.incidence_edge, minlength=shot.n_edges), shot.edge("size"))
    weight = np.bincount(shot.incidence_node, shot.edge("weight")[shot.incidence_edge], minlength=shot.n_nodes)
    assert np.allclose(weight, shot.node("weight"), rtol=1e-12)


def test_weights_decay_from_each_event_s_own_time_in_any_order() -> None:
    """Against the definition, w(t) = Σ amount exp(-λ (t - t_i)), for events in order and out of order."""
    events = flows(3_000)
    moment = 1e9 + 500.0
    definition: Counter[str] = Counter()
    for entity, time, payload in zip(events["entity"].to_pylist(), events["time"], events["payload"], strict=True):
        told = orjson.loads(payload.as_py())
        age = moment - time.cast(pa.int64()).as_py() * 1e-6
        definition[entity] += (told["pkts_to_server"] + told["pkts_to_client"]) * np.exp(-0.001 * age)
    for order in (np.arange(3_000), np.random.default_rng(5).permutation(3_000)):
        fold = GraphFold()
        fold.apply(events.drop(["seq"]).take(order).add_column(0, "seq", pa.nulls(3_000, pa.int64())))
        shot = fold.snapshot(moment)
        weights = dict(zip(shot.edges["id"].to_pylist(), shot.edges["weight"].to_pylist(), strict=True))
        assert weights == pytest.approx(definition, rel=1e-9)


def test_it_does_not_matter_how_events_come_in_batches() -> None:
    events, moment = flows(30_000, hosts=2_000), 1e9 + 2_000
    shots = []
    for cuts in ([], [1, 2, 4_095, 4_096, 4_097, 9_000], list(range(777, 30_000, 777))):
        fold = GraphFold(max_nodes=500, max_incidences=2_000)
        for first, end in zip([0, *cuts], [*cuts, 30_000], strict=True):
            fold.apply(events.slice(first, end - first))
        shots.append(fold.snapshot(moment))
    assert shots[0].counts["evicted_edges"] > 1_000
    assert same(shots[0], shots[1]) and same(shots[0], shots[2])


def test_a_fold_saved_and_restored_goes_on_as_if_nothing_had_been() -> None:
    events = flows(20_000, hosts=2_000)
    whole, first = (GraphFold(max_nodes=500, max_incidences=2_000) for _ in range(2))
    whole.apply(events)
    first.apply(events.slice(0, 7_000))
    second = GraphFold.restored(*first.saved())
    second.apply(events.slice(7_000))
    assert same(whole.snapshot(1e9 + 1000), second.snapshot(1e9 + 1000))
    assert whole.counts == second.counts


def test_what_is_evicted_is_the_lightest_fifth() -> None:
    fold = GraphFold(max_nodes=10_000, max_incidences=3 * CHECK_EVENTS)
    n = 2 * CHECK_EVENTS
    payload = [f'{{"src_ip": "10.0.0.1", "dest_ip": "10.0.0.2", "pkts": {w}}}' for w in range(n)]
    events = event_table(np.zeros(n, np.int64), "net.netflow", [f"e{i}" for i in range(n)], "t", payload=payload)
    fold.apply(events)
    ids = fold.snapshot(0.0).edges["id"].to_pylist()
    # Before event 8 192 there were 8 191 hyperedges of two nodes each; four fifths of the bound is left of them.
    kept = int(0.8 * 3 * CHECK_EVENTS) // 2
    assert ids == [f"e{i}" for i in range(n - 1 - kept, n)]
    assert fold.counts["evicted_edges"] == n - 1 - kept


def test_a_snapshot_stays_as_it_was_while_the_fold_goes_on() -> None:
    events = flows(20_000, hosts=2_000)
    fold = GraphFold(max_nodes=500, max_incidences=2_000)
    fold.apply(events.slice(0, 5_000))
    shot = fold.snapshot(1e9)
    before = (shot.nodes.to_pandas(), shot.edges.to_pandas(), shot.incidence_node.copy(), shot.incidence_edge.copy())
    fold.apply(events.slice(5_000))
    assert fold.counts["evicted_edges"] > 0
    assert shot.nodes.to_pandas().equals(before[0]) and shot.edges.to_pandas().equals(before[1])
    assert np.array_equal(shot.incidence_node, before[2]) and np.array_equal(shot.incidence_edge, before[3])
    with pytest.raises(ValueError, match="read-only"):
        shot.incidence_node[0] = 1


def test_neighbours_and_hyperedges_agree_with_a_search_through_everything() -> None:
    fold = GraphFold()
    fold.apply(flows(2_000, hosts=40))
    shot = fold.snapshot(1e9)
    node, edge = shot.nodes["id"].to_pylist(), shot.edges["id"].to_pylist()
    inside: dict[str, set[str]] = {name: set() for name in edge}
    for v, e in zip(shot.incidence_node, shot.incidence_edge, strict=True):
        inside[edge[e]].add(node[v])
    for name in node[:20]:
        mine = {e for e in edge if name in inside[e]}
        assert set(shot.edges_of(name)["id"].to_pylist()) == mine
        shared = Counter(other for e in mine for other in inside[e] if other != name)
        found = shot.neighbours(name)
        assert dict(zip(found["id"].to_pylist(), found["shared"].to_pylist(), strict=True)) == dict(shared)
    with pytest.raises(KeyError, match="host:nobody"):
        shot.neighbours("host:nobody")


def test_emitters_stand_where_they_were_last_heard() -> None:
    events = event_table([0, 1, 2], FIX, ["a", "b", "a"], "radar", lat=[47.0, None, 47.5], lon=[8.0, None, 8.5],
                         payload=['{"cluster": "north"}', None, None])  # fmt: skip
    fold = GraphFold()
    fold.apply(events)
    shot = fold.snapshot(0.0)
    places = {i: (a, o) for i, a, o in zip(*(shot.nodes[c].to_pylist() for c in ("id", "lat", "lon")), strict=True)}
    assert places["emitter:a"] == (47.5, 8.5)
    assert np.isnan(places["emitter:b"][0]) and np.isnan(places["observer:radar"][0])
    assert shot.edges_of("cluster:north")["id"].to_pylist() == ["fix:a"]


def test_what_a_drill_played_leaves_the_graph_when_it_ends() -> None:
    """And only what was played before it ended, however the events came in batches."""
    kind, names = [FIX, FIX, "drill.ended", FIX], ["run:1/a", "real", "run:1", "run:1/late"]
    events = event_table([0, 1, 2, 3], kind, names, "t", lat=[1.0] * 4, lon=[1.0] * 4)
    for parts in ([events], [events.slice(i, 1) for i in range(4)]):
        fold = GraphFold()
        for part in parts:
            fold.apply(part)
        assert fold.snapshot(0.0).edges["id"].to_pylist() == ["fix:real", "fix:run:1/late"]
        assert "emitter:run:1/a" not in fold.snapshot(0.0).nodes["id"].to_pylist()


def test_an_event_from_the_future_is_counted_and_not_folded() -> None:
    events = event_table(
        [0, int(FUTURE_S * 1e6) + 2], "net.flow", ["a", "b"], "t", payload=['{"src_ip": "10.0.0.1"}'] * 2
    )
    at = events.schema.get_field_index("received")
    events = events.set_column(at, "received", pa.array([1, 1]).cast(events.schema.field(at).type))
    fold = GraphFold()
    fold.apply(events)
    assert (fold.counts["from_the_future"], fold.snapshot(0.0).edges["id"].to_pylist()) == (1, ["a"])


HOSTILE = st.one_of(
    st.none(), st.text(max_size=40), st.binary(max_size=20).map(repr),
    st.dictionaries(
        st.sampled_from(["src_ip", "dest_ip", "proto", "dest_port", "dns_name", "dns_answers", "alert_severity", "ja3",
                         "pkts_to_server", "smtp_to", "shadow_a", "shadow_b", "confidence", "alert_gid", "cluster"]),
        st.one_of(st.none(), st.booleans(), st.integers(-(2**63), 2**63), st.floats(), st.text(max_size=300),
                  st.lists(st.integers(), max_size=3), st.just("x" * 3_000), st.just("a " * 500)),
        max_size=6,
    ).map(json.dumps),
)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from([*RELATIONS, "net.new", "net.", "note"]), st.text(max_size=30), HOSTILE),
        min_size=1,
        max_size=20,
    )
)
def test_hostile_payloads_never_stop_it(rows: list[tuple[str, str, str | None]]) -> None:
    kind, entity, payload = (list(column) for column in zip(*rows, strict=True))
    good = event_table([1], "net.flow", ["good"], "t", payload=['{"src_ip": "10.9.9.9", "dest_ip": "10.9.9.8"}'])
    fold = GraphFold()
    fold.apply(event_table(np.zeros(len(rows), np.int64), kind, entity, "t", payload=payload))
    fold.apply(good)
    shot = fold.snapshot(1.0)
    assert fold.counts["events"] == len(rows) + 1 and fold.counts["failed_batches"] == 0
    assert "host:10.9.9.9" in shot.nodes["id"].to_pylist()
    assert fold.counts["edges_told"] + fold.counts["no_relation"] == len(rows) + 1
    assert np.isfinite(shot.edge("weight")).all() and (shot.edge("weight") >= 0).all()
    assert all(len(name.encode()) <= MAX_ID_BYTES for name in shot.nodes["id"].to_pylist())
    assert all(name.partition(":")[0] in NODE_KINDS for name in shot.nodes["id"].to_pylist())


def test_a_thousand_invented_kinds_become_one() -> None:
    kinds = [f"net.k{i}" for i in range(1_000)]
    fold = GraphFold()
    fold.apply(event_table(np.zeros(1_000, np.int64), kinds, kinds, "t", payload=['{"src_ip": "10.0.0.1"}'] * 1_000))
    shot = fold.snapshot(0.0)
    assert shot.n_edges == 1_000 and len(shot.kinds("edges")) <= 201
    assert fold.counts["other_kinds"] == 1_000 - 200


def test_long_names_are_cut_and_still_told_apart() -> None:
    names = ["a" * 2_000 + "1", "a" * 2_000 + "2"]
    payload = [orjson.dumps({"src_ip": "10.0.0.1", "tls_sni": name}).decode() for name in names]
    counts: Counter[str] = Counter()
    told = relations(event_table([0, 0], "net.tls", ["e", "f"], "t", payload=payload), counts)
    ids = set(told.node_id.to_pylist()) - {"host:10.0.0.1"}
    assert len(ids) == 2 and counts["long_ids"] == 2
