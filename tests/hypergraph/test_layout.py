"""Layouts: the same for a seed, steady while a graph grows, right by physics, side by side, stopped when asked."""

import numpy as np
import orjson
import pandas as pd
import pytest
import scipy.sparse
import scipy.sparse.csgraph
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.hypergraph import Cancelled, Hypergraph, Layout, layout_input
from engine.hypergraph._layout_force import step
from engine.hypergraph._layout_graph import coarsened, component_of, layout_graph
from engine.hypergraph._layout_pack import GAP, packed
from engine.hypergraph._layout_tree import Tree, pushes_exactly
from engine.hypergraph.layout import MAX_DRIFT
from engine.hypergraph.layout_quality import hop_distances, neighbours_kept, normalised_stress
from tests.hypergraph.real_log import first_events


def incidences(members):
    edge = np.repeat(np.arange(len(members)), [len(m) for m in members])
    return np.array([v for m in members for v in m], np.int64), edge


def grid(side):
    """Pairs of neighbours in a square lattice."""
    at = np.arange(side * side).reshape(side, side)
    right = np.stack([at[:, :-1].ravel(), at[:, 1:].ravel()], 1)
    down = np.stack([at[:-1].ravel(), at[1:].ravel()], 1)
    return np.concatenate([right, down])


def as_graph(members, n):
    node, edge = incidences(members)
    m = len(members)
    return layout_graph(n, node.astype(np.int32), edge.astype(np.int32), m, np.ones(m), np.ones(n))


MEMBERS = st.lists(st.lists(st.integers(0, 39), min_size=1, max_size=7), min_size=1, max_size=60)


def test_the_tree_pushes_as_all_pairs_do():
    rng = np.random.default_rng(3)
    x, y = rng.normal(size=(2, 2_000)) * np.array([[1.0], [30.0]])
    x[:50], y[:50] = 0.25, 7.0  # many in one place
    mass = rng.integers(1, 9, 2_000).astype(float)
    found, exact = np.empty((2_000, 3)), pushes_exactly(x, y, mass)
    Tree(x, y, mass).push(np.arange(2_000), x, y, found)
    error = np.hypot(*(found - exact)[:, :2].T)
    assert error.mean() < 0.05 * np.hypot(*exact[:, :2].T).mean()


@given(MEMBERS)
def test_components_are_those_of_scipy(members):
    graph = as_graph(members, 40)
    node, edge = incidences(members)
    bipartite = scipy.sparse.coo_matrix((np.ones(len(node)), (node, edge + 40)), (40 + len(members),) * 2)
    _, theirs = scipy.sparse.csgraph.connected_components(bipartite, directed=False)
    ours = component_of(graph)
    assert len(set(zip(ours.tolist(), theirs[:40].tolist(), strict=True))) == len(set(theirs[:40])) == len(set(ours))


@given(MEMBERS)
def test_coarsening_keeps_mass_and_what_is_connected(members):
    graph = as_graph(members, 40)
    coarse, joint = coarsened(graph)
    assert coarse.mass.sum() == graph.mass.sum()
    assert np.array_equal(np.bincount(joint, minlength=coarse.n), coarse.mass)
    labels, of_joint = component_of(graph), component_of(coarse)[joint]
    pairs = set(zip(labels.tolist(), of_joint.tolist(), strict=True))
    assert len(pairs) == len(set(labels)) == len(set(of_joint))


def test_two_nodes_come_to_rest_where_pull_equals_push():
    graph = as_graph([[0, 1]], 2)
    x, y = np.array([0.0, 5.0]), np.zeros(2)
    for _ in range(400):
        step(graph, x, y, None, 0.5, lambda share: None)
    # Fruchterman and Reingold with C = 0.2: d² = C / d.
    assert abs(x[1] - x[0]) == pytest.approx(0.2 ** (1 / 3), rel=1e-3)


def test_a_lattice_is_laid_out_as_a_lattice():
    pairs = grid(20)
    node, edge = incidences(pairs)
    placed = Layout(seed=2).update(np.arange(400), node, edge)
    i, j = np.divmod(np.arange(400), 20)
    true = np.stack([i, j], 1).astype(float)
    ours = np.stack([placed.x, placed.y], 1)
    # Procrustes: turned, mirrored and scaled, our positions are the lattice's.
    true, ours = true - true.mean(0), ours - ours.mean(0)
    overlap = np.linalg.svd(true.T @ ours, compute_uv=False).sum()
    assert overlap / np.linalg.norm(true) / np.linalg.norm(ours) > 0.98


def test_stress_and_neighbourhoods_are_better_than_by_chance_and_known_for_a_line():
    line = np.stack([np.arange(9), np.arange(1, 10)], 1)
    node, edge = incidences(line)
    hops = hop_distances(10, node, edge, np.arange(10))
    assert np.array_equal(hops, abs(np.arange(10)[:, None] - np.arange(10)))
    x = 3.0 * np.arange(10)
    assert normalised_stress(x, np.zeros(10), hops, np.arange(10)) == pytest.approx(0.0, abs=1e-12)
    assert neighbours_kept(x, np.zeros(10), node, edge) == 1.0
    rng = np.random.default_rng(0)
    assert normalised_stress(*rng.normal(size=(2, 10)), hops, np.arange(10)) > 0.1


@given(st.integers(0, 5), MEMBERS)
@settings(max_examples=25)
def test_the_same_seed_and_updates_give_the_same_positions(seed, members):
    node, edge = incidences(members)
    first, second = (Layout(seed), Layout(seed))
    for k in (len(node) // 2, len(node)):
        a = first.update(np.arange(40), node[:k], edge[:k])
        b = second.update(np.arange(40), node[:k], edge[:k])
        assert np.array_equal(a.x, b.x) and np.array_equal(a.y, b.y)
    assert np.isfinite(a.x).all() and np.isfinite(a.y).all()


@pytest.fixture(scope="module")
def eve_graphs(real_data, tmp_path_factory):
    """The graph of hosts, services and names of the first part of a real log, at twenty moments."""
    events = first_events(real_data("net/eve_large.json.bz2"), 12_000, tmp_path_factory.mktemp("log"))
    rows = []
    for entity, text in zip(events["entity"].to_pylist(), events["payload"].to_pylist(), strict=True):
        told = orjson.loads(text)
        for kind, key in (("host", "src_ip"), ("host", "dest_ip"), ("service", "dest_port"), ("name", "dns_name")):
            if "src_ip" in told and key in told:
                rows.append((entity, f"{kind}:{told[key]}"))
    graph, made = Hypergraph(0.0), []
    for part in np.array_split(np.arange(len(rows)), 20):
        graph.add(pd.DataFrame([rows[i] for i in part], columns=["edge", "node"]))
        made.append(layout_input(graph))
    return made


def test_old_nodes_barely_move_while_real_events_come_in(eve_graphs):
    """In units of edge lengths: at most MAX_DRIFT; a layout made anew each time moves them by whole edges."""
    grown, moved_anew, moved = Layout(seed=4), [], []
    for ids, node, edge, weight in eve_graphs:
        before = grown._ids, grown._x.copy(), grown._y.copy()
        now = grown.update(ids, node, edge, weight)
        if now.attrs["fresh"]:
            continue
        kept = now.sel(node=before[0].to_numpy())
        shift = np.hypot(kept.x - before[1], kept.y - before[2])
        assert now.attrs["moved_max"] == pytest.approx(float(shift.max()))
        moved.append(float(shift.mean()))
        assert float(shift.max()) <= MAX_DRIFT
        anew = Layout(seed=4).update(ids, node, edge, weight).sel(node=before[0].to_numpy())
        moved_anew.append(float(np.hypot(anew.x - before[1], anew.y - before[2]).mean()))
    assert len(moved) >= 15
    assert np.mean(moved) < 0.6 * MAX_DRIFT < 0.05 * np.mean(moved_anew)


def test_a_grown_layout_is_nearly_as_good_as_a_new_one(eve_graphs):
    grown = Layout(seed=4)
    for given_graph in eve_graphs:
        placed = grown.update(*given_graph)
    ids, node, edge, _ = eve_graphs[-1]
    sources = np.arange(0, len(ids), 5)
    hops = hop_distances(len(ids), node, edge, sources)
    fresh = Layout(seed=4).update(*eve_graphs[-1])
    by_growth = normalised_stress(placed.x, placed.y, hops, sources)
    assert by_growth < 1.35 * normalised_stress(fresh.x, fresh.y, hops, sources)


def test_a_new_node_settles_near_its_neighbours():
    pairs = grid(12).tolist()
    layout = Layout(seed=1)
    layout.update(np.arange(144), *incidences(pairs))
    now = layout.update(np.arange(145), *incidences([*pairs, [144, 65], [144, 66], [144, 77]]))
    distance = np.hypot(now.x - now.x[144], now.y - now.y[144]).to_numpy()
    ranks = np.argsort(distance)[1:9]
    assert {65, 66, 77} <= set(ranks.tolist())


def test_nothing_moves_when_nothing_changed_but_weights():
    node, edge = incidences(grid(6))
    layout = Layout()
    first = layout.update(np.arange(36), node, edge, np.ones(len(node)))
    second = layout.update(np.arange(36), node, edge, np.linspace(1, 2, len(node)))
    assert np.array_equal(first.x, second.x) and second.attrs["moved_max"] == 0.0 and layout.version == 2


def test_components_lie_side_by_side():
    members = [*grid(8).tolist(), *(grid(5) + 64).tolist(), [100, 101], [102, 103, 104]]
    node, edge = incidences(members)
    placed = Layout().update(np.arange(120), node, edge)
    label = component_of(as_graph(members, 120))
    boxes = [
        (placed.x[label == c].min(), placed.y[label == c].min(), placed.x[label == c].max(), placed.y[label == c].max())
        for c in np.unique(label)
    ]
    assert len(boxes) == 120 - 64 - 25 - 5 + 4
    for i, a in enumerate(boxes):
        for b in boxes[:i]:
            assert a[2] < b[0] or b[2] < a[0] or a[3] < b[1] or b[3] < a[1]


@given(
    st.lists(st.tuples(st.floats(0, 30), st.floats(0, 30)), min_size=1, max_size=40),
    st.lists(st.tuples(st.floats(-50, 50), st.floats(-50, 50)), max_size=30),
)
def test_packed_boxes_cover_neither_each_other_nor_what_is_there(sizes, points):
    wide, high = np.array(sizes).T
    fixed = np.array(points).reshape(-1, 2)
    x, y = packed(wide, high, fixed[:, 0], fixed[:, 1])
    for i in range(len(x)):
        inside = (fixed[:, 0] >= x[i]) & (fixed[:, 0] <= x[i] + wide[i])
        inside &= (fixed[:, 1] >= y[i]) & (fixed[:, 1] <= y[i] + high[i])
        assert not inside.any()
        beside = np.maximum(x - x[i] - wide[i], x[i] - x - wide)
        apart = np.maximum(beside, np.maximum(y - y[i] - high[i], y[i] - y - high))
        assert (np.delete(apart, i) >= GAP - 1e-9).all()


def test_a_new_component_does_not_cover_what_is_there():
    old = grid(10)
    layout = Layout()
    layout.update(np.arange(100), *incidences(old))
    now = layout.update(np.arange(125), *incidences([*old.tolist(), *(grid(5) + 100).tolist()]))
    assert not now.attrs["fresh"]
    x, y = now.x.to_numpy(), now.y.to_numpy()
    inside = (x[:100] > x[100:].min()) & (x[:100] < x[100:].max())
    inside &= (y[:100] > y[100:].min()) & (y[:100] < y[100:].max())
    assert not inside.any()


def test_a_cancelled_layout_stops_soon_and_changes_nothing():
    rng = np.random.default_rng(0)
    node, edge = rng.integers(0, 30_000, 150_000), np.arange(150_000) // 5
    layout = Layout()
    first = layout.update(np.arange(144), *incidences(grid(12)))
    shares, asked = [], []

    def cancel():
        asked.append(len(shares))
        return len(shares) >= 20

    layout.restart()
    with pytest.raises(Cancelled):
        layout.update(np.arange(30_000), node, edge, progress=shares.append, cancel=cancel)
    assert len(shares) == 20 and max(np.diff(asked)) <= 1  # asked before each word of progress
    assert 0.0 <= shares[0] <= shares[-1] < 1.0 and layout.version == 1
    assert np.array_equal(first.x, layout._x)


def test_progress_rises_to_one():
    shares = []
    Layout().update(np.arange(900), *incidences(grid(30)), progress=shares.append)
    assert shares == sorted(shares) and shares[-1] == 1.0 and len(shares) > 50


def test_positions_fit_the_points_of_the_graph():
    graph = Hypergraph()
    graph.add(pd.DataFrame({"edge": ["e", "e", "f", "f"], "node": ["a", 1, "1", "a"]}))
    graph.remove("f")
    placed = Layout().update(*layout_input(graph))
    assert placed.node.to_numpy().tolist() == graph.nodes().index.tolist()
    table = graph.points(np.stack([placed.x, placed.y], 1))
    assert np.array_equal(table.x, placed.x)


@pytest.mark.parametrize(
    ("given_wrong", "message"),
    [
        ((["a", "a"], [], []), "'a' twice"),
        ((["a"], [1], [0]), "incidence_node holds 1"),
        ((["a"], [0], [-1]), "incidence_edge holds -1"),
        ((["a"], [0.5], [0]), "float64; whole numbers"),
        ((["a"], [0], [0, 1]), r"shape \(1,\), incidence_edge \(2,\)"),
        ((["a"], [0], [0], [np.nan]), "weights hold nan"),
        ((["a"], [0], [0], [1.0, 2.0]), r"weights has shape \(2,\)"),
    ],
)
def test_bad_input_is_named(given_wrong, message):
    with pytest.raises(ValueError, match=message):
        Layout().update(*given_wrong)


def test_an_empty_graph_has_an_empty_layout():
    placed = Layout().update([], [], [])
    assert placed.sizes["node"] == 0
    assert Layout().update(["a"], [], []).sizes["node"] == 1
