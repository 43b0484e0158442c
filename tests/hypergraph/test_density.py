"""Density counts every row once, where it is: as a histogram does, at every zoom, round the world, by any measure."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.hypergraph import Hypergraph, density, star_segments, star_segments_on_sphere

RNG = np.random.default_rng(11)
N = 20_000
CLOUD = pd.DataFrame(
    {
        "x": RNG.normal(0, 3, N),
        "y": RNG.normal(1, 2, N),
        "weight": RNG.choice([0.0, 0.5, 2.0], N),
        "last_seen_s": 1.7e9 + RNG.uniform(0, 1e6, N),
        "kind": pd.Categorical(RNG.choice(["host", "flow", "relay"], N), categories=["relay", "host", "never", "flow"]),
    }
)
BOUNDS, SHAPE = (-5.0, -4.0, 6.0, 7.0), (40, 55)


def histogram(table, bounds, shape, weights=None):
    west, south, east, north = bounds
    return np.histogram2d(table.y, table.x, bins=shape, range=[(south, north), (west, east)], weights=weights)[0]


def test_counts_are_those_of_a_histogram():
    raster = density(CLOUD, BOUNDS, SHAPE)
    np.testing.assert_array_equal(raster, histogram(CLOUD, BOUNDS, SHAPE))
    assert raster.dims == ("y", "x") and raster.dtype == np.uint32
    edges = np.linspace(-5, 6, 56)
    np.testing.assert_allclose(raster.x, (edges[1:] + edges[:-1]) / 2)


def test_weights_are_summed_and_nothing_is_not_zero():
    raster = density(CLOUD, BOUNDS, SHAPE, by="weight").to_numpy()
    np.testing.assert_allclose(np.nan_to_num(raster), histogram(CLOUD, BOUNDS, SHAPE, CLOUD.weight), rtol=1e-6)
    np.testing.assert_array_equal(np.isnan(raster), histogram(CLOUD, BOUNDS, SHAPE) == 0)
    light = density(pd.DataFrame({"x": [0.0], "y": [0.0], "weight": [0.0]}), (-1, -1, 2, 1), (1, 2), by="weight")
    assert light.values.tolist()[0][0] == 0.0 and np.isnan(light.values[0, 1])


def test_recency_is_the_latest_of_each_cell():
    raster = density(CLOUD, BOUNDS, SHAPE, by="recency").to_numpy()
    column = np.floor((CLOUD.x + 5) / 11 * 55).astype(int)
    row = np.floor((CLOUD.y + 4) / 11 * 40).astype(int)
    inside = column.between(0, 54) & row.between(0, 39)
    latest = CLOUD[inside].groupby([row[inside], column[inside]]).last_seen_s.max()
    assert np.count_nonzero(~np.isnan(raster)) == len(latest)
    assert all(raster[cell] == moment for cell, moment in latest.items())


def test_kinds_are_counted_apart_and_add_up():
    raster = density(CLOUD, BOUNDS, SHAPE, by="kind")
    assert raster.dims == ("kind", "y", "x") and raster.kind.values.tolist() == ["relay", "host", "never", "flow"]
    for kind in raster.kind.values:
        np.testing.assert_array_equal(raster.sel(kind=kind), histogram(CLOUD[CLOUD.kind == kind], BOUNDS, SHAPE))
    np.testing.assert_array_equal(raster.sum("kind"), density(CLOUD, BOUNDS, SHAPE))
    some = CLOUD.assign(kind=CLOUD.kind.where(CLOUD.x < 0))
    np.testing.assert_array_equal(
        density(some, BOUNDS, SHAPE, by="kind").sum("kind"), histogram(CLOUD[CLOUD.x < 0], BOUNDS, SHAPE)
    )


def test_zooming_in_shows_what_was_there_and_loses_nothing():
    whole = density(CLOUD, (-8.0, -8.0, 8.0, 8.0), (2, 2)).to_numpy()
    for i, south in enumerate((-8.0, 0.0)):
        for j, west in enumerate((-8.0, 0.0)):
            part = density(CLOUD, (west, south, west + 8.0, south + 8.0), (64, 64))
            assert part.sum() == whole[i, j]


@settings(max_examples=40)
@given(st.integers(-40, 40).map(lambda k: k * 9), st.integers(1, 40).map(lambda k: k * 9))
def test_a_map_turned_round_is_the_map_turned_round(west, width):
    rng = np.random.default_rng(2)
    # Half degrees off the cell edges, so that no rounding decides.
    lon = rng.integers(-180, 180, 500) + 0.5
    table = pd.DataFrame({"lon": lon, "lat": rng.uniform(-89, 89, 500)})
    raster = density(table, (west, -90, west + width, 90), (1, width))
    expected = [np.count_nonzero((lon - 0.5 - west) % 360 == k) for k in range(width)]
    assert raster.values[0].tolist() == expected
    assert (
        density(table.assign(lon=-lon), (-west - width, -90, -west, 90), (1, width)).values[0, ::-1].tolist()
        == expected
    )


def test_a_point_on_the_antimeridian_is_one_point_on_either_side():
    table = pd.DataFrame({"lon": [180.0, -180.0, 10.0], "lat": [0.0, 0.0, 0.0]})
    assert density(table, (-180, -90, 180, 90), (1, 36)).sum() == 3
    assert density(table, (170, -10, -170, 10), (1, 2)).sum() == 2
    assert density(table, (-180, -10, -170, 10), (1, 2)).values.tolist() == [[2, 0]]
    assert density(table, (170, -10, 180, 10), (1, 2)).values.tolist() == [[0, 2]]


def test_lines_are_drawn_on_the_cells_they_cross():
    lines = pd.DataFrame({"x0": [0.5, 2.5], "y0": [1.5, 0.5], "x1": [6.5, 2.5], "y1": [1.5, 4.5]})
    raster = density(lines, (0, 0, 8, 6), (6, 8)).to_numpy()
    expected = np.zeros((6, 8), dtype=int)
    expected[1, 0:7] += 1
    expected[0:5, 2] += 1
    np.testing.assert_array_equal(raster, expected)


def test_a_line_across_the_antimeridian_shows_on_both_sides_of_the_map():
    lines, _ = star_segments_on_sphere([0, 0], [0.5, 0.5], [175.5, -175.5])
    raster = density(lines, (-180, -90, 180, 90), (180, 360)).to_numpy()
    row = raster[90] if raster[90].any() else raster[89]
    assert np.flatnonzero(row).tolist() == [*range(5), *range(355, 360)]
    assert (raster.sum(axis=1) > 0).sum() <= 2


@given(st.lists(st.tuples(st.integers(0, 3), st.floats(-9, 9), st.floats(-9, 9)), min_size=1, max_size=20))
def test_stars_have_their_middle_at_the_mean(rows):
    table = pd.DataFrame(rows, columns=["owner", "x", "y"])
    segments, incidence = star_segments(table.owner, table.x, table.y)
    assert incidence.tolist() == list(range(len(rows)))
    means = table.groupby("owner")[["x", "y"]].transform("mean")
    np.testing.assert_allclose(segments[["x0", "y0"]], means, atol=1e-12)
    np.testing.assert_array_equal(segments[["x1", "y1"]], table[["x", "y"]])


def test_stars_on_the_sphere_are_right_at_a_pole():
    segments, _ = star_segments_on_sphere([0] * 4, [80.0] * 4, [0.0, 90.0, 180.0, -90.0])
    np.testing.assert_allclose(segments.lat0, 90.0)
    assert (np.abs(segments.lon1 - segments.lon0) <= 180.0).all()


def test_a_graph_gives_its_points_and_its_lines():
    graph = Hypergraph(0.0)
    graph.add(
        pd.DataFrame(
            {"edge": list("eeff"), "node": list("abbc"), "kind": list("xxyy"), "weight": [0, 0, 3, 3.0], "time": 5.0}
        )
    )
    graph.set_nodes(pd.DataFrame({"node": list("ab"), "lat": [0.0, 0.0], "lon": [10.0, 20.0], "kind": ["host", None]}))
    points, lines = graph.points(), graph.segments()
    assert points.weight.tolist() == [0.0, 3.0, 3.0] and points.degree.tolist() == [1, 2, 1]
    assert density(points, (0, -5, 30, 5), (1, 3)).values.tolist() == [[0, 1, 1]]
    assert density(points, (0, -5, 30, 5), (1, 3), by="weight").values[0, 1:].tolist() == [0.0, 3.0]
    # c has no position: f is drawn as a dot at b, e from its middle at 15° to both ends.
    assert lines.kind.tolist() == ["x", "x", "y"] and lines.weight.tolist() == [0.0, 0.0, 3.0]
    np.testing.assert_allclose(lines[["lon0", "lon1"]], [[15, 10], [15, 20], [20, 20]])
    laid_out = graph.segments(layout=np.array([[0.0, 0.0], [2.0, 0.0], [4.0, 4.0]]))
    assert laid_out[["x0", "y0"]].values.tolist() == [[1, 0], [1, 0], [3, 2], [3, 2]]
    assert density(laid_out, (-1, -1, 5, 5), (6, 6), by="kind").sel(kind="y").sum() > 0
    with pytest.raises(ValueError, match=r"\(3, 2\)"):
        graph.points(layout=np.zeros((2, 2)))


@pytest.mark.parametrize("by", ["count", "weight", "recency", "kind"])
@pytest.mark.parametrize("rows", [CLOUD[:0], CLOUD.assign(x=np.nan)], ids=["no rows", "no positions"])
def test_nothing_gives_an_empty_picture(by, rows):
    raster = density(rows, BOUNDS, SHAPE, by)
    assert raster.shape[-2:] == SHAPE and not np.nan_to_num(raster).any()
    lonlat = rows.rename(columns={"x": "lon", "y": "lat"})
    assert not np.nan_to_num(density(lonlat, (170, -10, 190, 10), SHAPE, by)).any()


@pytest.mark.parametrize(
    ("table", "bounds", "shape", "by", "says"),
    [
        (CLOUD, BOUNDS, SHAPE, "colour", "colour"),
        (CLOUD, (1.0, 0.0, 0.0, 1.0), SHAPE, "count", "enclose"),
        (CLOUD, (0.0, 0.0, np.nan, 1.0), SHAPE, "count", "finite"),
        (CLOUD, BOUNDS, (0, 5), "count", "shape"),
        (CLOUD, BOUNDS, (5, 10**6), "count", "shape"),
        (CLOUD.drop(columns="weight"), BOUNDS, SHAPE, "weight", "weight"),
        (CLOUD.assign(kind="host"), BOUNDS, SHAPE, "kind", "categorical"),
        (CLOUD.drop(columns="x"), BOUNDS, SHAPE, "count", "'lon' and 'lat'"),
    ],
)
def test_what_cannot_be_drawn_is_named(table, bounds, shape, by, says):
    with pytest.raises(ValueError, match=says):
        density(table, bounds, shape, by)
