"""Pictures, numbers and tables of the graph come from the same cells and agree, from many nodes down to one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from engine.events.schema import event_table
from engine.frames.graph_frame import found_nodes
from engine.frames.graph_levels import SHADES
from engine.frames.graph_picture import CATEGORIES
from engine.frames.graph_region import GraphRegion, cell_size
from engine.frames.graph_spec import graph_spec
from engine.hypergraph.graph_fold import GraphFold
from tests.frames.graphs import MOMENT_S, frames, pairs

VIEW = (-1_000.0, -800.0, 1_000.0, 800.0)


@pytest.fixture(scope="module")
def crowd():
    """3 000 flows, 7 000 nodes, scattered; some on the edges of cells, some without a place."""
    fold = pairs(3_000)
    n = fold.snapshot(MOMENT_S).n_nodes
    rng = np.random.default_rng(3)
    x, y = rng.normal(0.0, 350.0, (2, n))
    x[:50], y[:50] = np.round(x[:50]), np.round(y[:50])
    x[-40:] = np.nan
    return fold, x, y


@pytest.mark.parametrize("by", ["count", "weight", "recency", "kind"])
def test_every_node_in_view_has_colour_and_every_colour_a_node(crowd, by):
    fold, x, y = crowd
    spec = graph_spec(VIEW, by=by, lines=False)
    frame = frames(fold, x, y).compute(spec, MOMENT_S)
    cell = cell_size(spec.step)
    i, j = np.floor(x / cell) - spec.west / cell, np.floor(y / cell) - spec.south / cell
    inside = (i >= 0) & (i < spec.nx) & (j >= 0) & (j < spec.ny)
    assert frame.picture.numbers["in_view"] == inside.sum()
    assert set(frame.picture.rows.tolist()) == set(np.flatnonzero(inside).tolist())
    lit = frame.picture.nodes.cells > 0
    assert lit[j[inside].astype(int), i[inside].astype(int)].all()
    dots = np.zeros((spec.ny, spec.nx), bool)
    for dy in (-1, 0, 1):
        for dx in (-1, 0, 1):
            dots[
                np.clip(j[inside] + dy, 0, spec.ny - 1).astype(int), np.clip(i[inside] + dx, 0, spec.nx - 1).astype(int)
            ] = 1
    assert not (lit & ~dots).any()


def test_kinds_have_their_own_colour_and_hidden_ones_none(crowd):
    fold, x, y = crowd
    spec = graph_spec(VIEW, by="kind", lines=False, hidden=("host",))
    frame = frames(fold, x, y).compute(spec, MOMENT_S)
    category = (frame.picture.nodes.cells[frame.picture.nodes.cells > 0].astype(int) - 1) // SHADES
    assert set(category.tolist()) == {CATEGORIES.index("name")}
    assert frame.picture.numbers["shown"] == 1_000
    assert {name: count for name, count, _ in frame.picture.kinds} == {"host": 6_000, "name": 1_000}


def test_counts_of_cells_add_up_to_the_nodes_in_view(crowd):
    fold, x, y = crowd
    spec = graph_spec(VIEW, scale="linear", lines=False, max_cells=4_096)
    frame = frames(fold, x, y).compute(spec, MOMENT_S)
    levels = frame.picture.nodes
    top = levels.values[255]
    total = levels.values[levels.cells].sum()
    # Eight bits round each cell by at most half a step; dots are one cell wider here, so look at a picture without.
    assert total >= frame.picture.numbers["in_view"] - 0.5 * top / 254 * np.count_nonzero(levels.cells)


@pytest.mark.parametrize(("n", "detail"), [(10, "all"), (40, "strongest"), (90, "nodes"), (400, "density")])
def test_what_is_drawn_follows_the_number_in_view(n, detail):
    fold = pairs(3 * n)
    count = fold.snapshot(MOMENT_S).n_nodes
    rng = np.random.default_rng(n)
    frame = frames(fold, *rng.uniform(-500.0, 500.0, (2, count))).compute(graph_spec(VIEW), MOMENT_S)
    picture = frame.picture
    assert picture.detail == detail
    if detail == "density":
        assert picture.nodes is not None and picture.drawn.num_rows <= 12
    else:
        assert picture.nodes is None and picture.drawn.num_rows == picture.numbers["in_view"] == count
    assert (picture.segments.num_rows > 0) == (detail in ("all", "strongest"))
    if detail == "all":
        assert picture.segments.num_rows == frame.snapshot.n_incidences


def test_a_line_leads_from_the_middle_of_a_hyperedge_to_each_node():
    fold = pairs(1)
    frame = frames(fold, np.array([0.0, 90.0, 0.0]), np.array([0.0, 0.0, 90.0])).compute(graph_spec(VIEW), MOMENT_S)
    lines = frame.picture.segments
    assert lines["x0"].to_pylist() == lines["y0"].to_pylist() == [30.0, 30.0, 30.0]
    assert sorted(zip(lines["x1"].to_pylist(), lines["y1"].to_pylist(), strict=True)) == [(0, 0), (0, 90), (90, 0)]


def test_a_selection_is_the_rows_whose_cells_are_inside(crowd):
    fold, x, y = crowd
    region = GraphRegion("box", 4, (-40, -30, 55, 20))
    spec = graph_spec(VIEW, region=region, listed="rows", hidden=("name",))
    frame = frames(fold, x, y).compute(spec, MOMENT_S)
    names = np.array(frame.snapshot.nodes["id"].to_pylist())
    want = (x >= -160) & (x < 220) & (y >= -120) & (y < 80) & np.char.startswith(names.astype(str), "host:")
    assert frame.selected == frame.table.num_rows == want.sum() > 100
    assert set(frame.table["id"].to_pylist()) == set(names[want])


def test_who_looks_at_the_same_view_shares_one_picture_and_nothing_is_computed_twice(crowd):
    fold, x, y = crowd
    made = frames(fold, x, y)
    spec = graph_spec(VIEW)
    one = made.compute(spec, MOMENT_S)
    other = made.compute(replace(spec, selected="host:10.0.0.1", listed="hot"), MOMENT_S)
    assert other.picture is one.picture
    assert made.compute(spec, MOMENT_S + 5.0).picture is one.picture, "the graph did not change"
    fold.apply(event_table([int(MOMENT_S * 1e6)], "net.flow", ["later"], "test", payload=['{"src_ip": "1.1.1.1"}']))
    assert made.compute(spec, MOMENT_S + 6.0).picture is not one.picture


def test_the_node_looked_at_has_its_neighbours_its_events_and_the_field_there():
    fold = GraphFold()
    payload = ['{"src_ip": "10.0.0.1", "dest_ip": "10.0.0.2", "ja3": "abc"}', '{"src_ip": "10.0.0.1"}']
    events = event_table([int(MOMENT_S * 1e6)] * 2, "net.tls", ["e1", "e2"], "test", payload=payload)
    fold.apply(events)
    asked = []

    def events_of(identity, entities, moments_s, until_s):
        asked.append((identity, set(entities)))
        return events

    made = frames(fold, np.zeros(9), np.zeros(9), events_of=events_of)
    frame = made.compute(graph_spec(VIEW, selected="host:10.0.0.1"), MOMENT_S)
    assert frame.entity.known and frame.entity.n_edges == 2
    assert set(frame.entity.neighbours["id"].to_pylist()) == {"host:10.0.0.2", "ja3:abc"}
    assert frame.entity.fingerprints["id"].to_pylist() == ["ja3:abc"]
    assert frame.entity.events.num_rows == 2
    assert asked[0][0] == "10.0.0.1" and {"e1", "e2"} <= asked[0][1]
    gone = made.compute(graph_spec(VIEW, selected="host:9.9.9.9"), MOMENT_S)
    assert not gone.entity.known and gone.spot is None


def test_a_search_finds_whole_names_first_then_the_busy_ones():
    fold = pairs(300)
    found = found_nodes(fold.snapshot(MOMENT_S), "10.0.0.1")
    ids = found["id"].to_pylist()
    assert ids[0] == "host:10.0.0.1"
    assert set(ids) == {f"host:10.0.0.{k}" for k in range(256) if str(k).startswith("1")}
    assert found_nodes(fold.snapshot(MOMENT_S), "  ").num_rows == 0


def test_a_graph_of_nothing_has_a_frame():
    frame = frames(GraphFold(), np.empty(0), np.empty(0)).compute(graph_spec(VIEW, listed="rows"), MOMENT_S)
    assert frame.picture.numbers["in_view"] == frame.table.num_rows == 0
    assert frame.extent is None and frame.nearest(0.0, 0.0, 1e9) == ""


def test_supposed_links_join_nodes_that_have_places():
    fold = pairs(2)
    told = pa.table(
        {
            "state": ["supposed", "promoted", "supposed"],
            "a": ["host:10.0.0.0", "host:10.0.0.0", "host:x"],
            "b": ["host:10.0.0.1", "host:11.0.0.0", "host:10.0.0.1"],
            "confidence": [0.5, 0.9, 0.4],
        }
    )
    made = frames(fold, np.arange(9.0), np.arange(9.0), more={"shadow": lambda moment_s, past: told})
    drawn = made.compute(graph_spec(VIEW, shadows=True), MOMENT_S).supposed
    assert drawn["confidence"].to_pylist() == [0.5], "both ends are in the graph, and it is not settled"
    assert made.compute(graph_spec(VIEW), MOMENT_S).supposed.num_rows == 0
