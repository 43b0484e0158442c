"""Nodes on the map: located ones where they are, the others round the middle of their neighbours."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.geo import inverse_web_mercator, web_mercator
from engine.hypergraph import Cancelled, GeographicLayout, great_circle_km
from engine.hypergraph.layout_geographic import ROUNDS


def placed_at(layout, members, lat, lon, ids=None, **more):
    node = [v for m in members for v in m]
    edge = [e for e, m in enumerate(members) for _ in m]
    return layout.update(ids or list(range(len(lat))), node, edge, lat=lat, lon=lon, **more)


def test_located_nodes_stand_where_the_map_has_them():
    lat, lon = [47.4, -33.9, 89.9], [8.5, 151.2, -180.0]
    placed = placed_at(GeographicLayout(), [[0, 1, 2]], lat, lon)
    x, y = web_mercator(lat, lon)
    assert np.array_equal(placed.x, x) and np.array_equal(placed.y, y) and placed.located.all()


def test_others_settle_at_the_mean_direction_of_their_neighbours_even_across_the_antimeridian():
    nan = np.nan
    layout = GeographicLayout(spacing_m=0.0)
    placed = placed_at(
        layout, [[0, 2], [1, 2], [3, 4], [4, 5]], [10, 10, nan, 40, nan, 44], [178, -178, nan, 5, nan, 9]
    )
    lat, lon = inverse_web_mercator(placed.x, placed.y)
    assert abs(lon[2]) == pytest.approx(180.0) and lat[2] == pytest.approx(10.0, abs=0.01)
    # Half way on the great circle: as far from one as from the other, and no farther than that.
    here = [great_circle_km(lat[4], lon[4], *end) for end in ((40, 5), (44, 9))]
    assert here[0] == pytest.approx(here[1]) and sum(here) == pytest.approx(great_circle_km(40, 5, 44, 9))


def test_a_chain_between_two_places_is_spaced_evenly():
    n = 7
    lat, lon = [0.0] + [np.nan] * (n - 2) + [0.0], [0.0] + [np.nan] * (n - 2) + [6.0]
    placed = placed_at(GeographicLayout(spacing_m=0.0), [[i, i + 1] for i in range(n - 1)], lat, lon)
    assert inverse_web_mercator(placed.x, placed.y)[1] == pytest.approx(np.arange(n), abs=0.02)


def test_many_at_one_place_stand_apart_round_it_and_the_same_in_any_order():
    n = 400
    lat, lon = np.full(n, np.nan), np.full(n, np.nan)
    lat[0], lon[0] = 47.0, 8.0
    names = [f"h{i}" for i in range(n)]
    members = [[0, i] for i in range(1, n)]
    layout = GeographicLayout(seed=3, spacing_m=1_000.0)
    placed = placed_at(layout, members, lat, lon, names)
    x, y = web_mercator(47.0, 8.0)
    away = np.hypot(placed.x - x, placed.y - y).to_numpy()[1:]
    assert away.max() <= 500.0 * np.sqrt(n) and 0.4 < np.mean((away / away.max()) ** 2) < 0.6  # evenly over a disc
    assert len(np.unique(np.stack([placed.x, placed.y]), axis=1).T) == n
    order = np.random.default_rng(0).permutation(n)
    place = np.argsort(order)
    again = placed_at(
        layout, [[place[a], place[b]] for a, b in members], lat[order], lon[order], [names[i] for i in order]
    )
    assert np.allclose(again.sel(node=names).x, placed.x) and again.attrs["version"] == 2
    other = placed_at(GeographicLayout(seed=4, spacing_m=1_000.0), members, lat, lon, names)
    assert not np.allclose(other.x, placed.x)


def test_weights_pull_and_whoever_reaches_no_place_has_none():
    nan = np.nan
    node, edge = [0, 2, 1, 2, 3, 4], [0, 0, 1, 1, 2, 2]
    placed = GeographicLayout(spacing_m=0.0).update(
        range(5), node, edge, [3, 3, 1, 1, 1, 1], lat=[0, 0, nan, nan, nan], lon=[0, 4, nan, nan, nan]
    )
    assert inverse_web_mercator(placed.x, placed.y)[1][2] == pytest.approx(1.0, abs=0.01)
    assert np.isnan(placed.x[3:]).all() and placed.attrs["without_place"] == 2


@given(st.lists(st.lists(st.integers(0, 19), min_size=1, max_size=5), max_size=25), st.integers(0, 19))
@settings(max_examples=30)
def test_what_has_a_place_is_what_a_path_joins_to_a_located_node(members, known):
    lat, lon = np.full(20, np.nan), np.full(20, np.nan)
    lat[:known], lon[:known] = np.linspace(-80, 80, known), np.linspace(-180, 180, known)
    reached, grown = set(range(known)), True
    while grown:
        more = {v for m in members if reached & set(m) for v in m} - reached
        reached, grown = reached | more, bool(more)
    placed = placed_at(GeographicLayout(), members, lat, lon)
    assert set(np.flatnonzero(np.isfinite(placed.x)).tolist()) == reached


def test_it_stops_when_asked_and_names_what_is_wrong():
    nan = np.nan
    with pytest.raises(Cancelled):
        placed_at(GeographicLayout(), [[0, 1]], [1, nan], [1, nan], cancel=lambda: True)
    with pytest.raises(ValueError, match=r"lat has shape \(1,\)"):
        GeographicLayout().update(["a", "b"], [0], [0], lat=[1.0], lon=[1.0, 2.0])
    with pytest.raises(ValueError, match="spacing_m is -1"):
        GeographicLayout(spacing_m=-1.0)
    shares = []
    placed_at(GeographicLayout(), [[0, 1]], [1, nan], [1, nan], progress=shares.append)
    assert shares[-1] == 1.0 and len(shares) < ROUNDS
