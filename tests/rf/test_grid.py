"""A grid is where a field lives: its cells must be where pyproj, another library, puts them."""

import numpy as np
import pyproj
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.geo import geodetic_to_ecef
from engine.rf import Grid

TO_ECEF = pyproj.Transformer.from_crs("EPSG:4979", "EPSG:4978", always_xy=True)
TO_MERCATOR = pyproj.Transformer.from_crs("EPSG:4326", "EPSG:3857", always_xy=True)


def test_cell_centres_lie_half_a_cell_inside_the_bounds():
    grid = Grid.from_bounds(5, 45, 11, 48, shape=(3, 6))
    np.testing.assert_array_equal(grid.lat, [45.5, 46.5, 47.5])
    np.testing.assert_array_equal(grid.lon, [5.5, 6.5, 7.5, 8.5, 9.5, 10.5])


@pytest.mark.parametrize("make", [Grid.from_bounds, Grid.web_mercator])
@pytest.mark.parametrize("bounds", [(5, 45, 11, 48), (170, -20, -170, 20), (-180, -85, 180, 85)])
def test_ecef_of_cells_agrees_with_pyproj(make, bounds):
    grid = make(*bounds, shape=(5, 7), alt_m=[0.0, 1_000.0, 20_000.0])
    alt, lat, lon = np.meshgrid(grid.level_alt_m, grid.lat, grid.lon, indexing="ij")
    expected = TO_ECEF.transform(lon, lat, alt)
    np.testing.assert_allclose(grid.ecef_m(), expected, atol=1e-6)


@pytest.mark.parametrize("make", [Grid.from_bounds, Grid.web_mercator])
def test_a_column_turned_by_its_longitude_is_the_whole_grid(make):
    grid = make(-75, -60, 130, 80, shape=(4, 6), alt_m=[0.0, 9_000.0])
    axis, z = grid.meridian_m
    lon = np.radians(grid.lon)
    x, y, z_full = grid.ecef_m()
    np.testing.assert_allclose(axis[:, :, None] * np.cos(lon), x, atol=1e-8)
    np.testing.assert_allclose(axis[:, :, None] * np.sin(lon), y, atol=1e-8)
    np.testing.assert_allclose(np.broadcast_to(z[:, :, None], x.shape), z_full, atol=1e-8)


def test_web_mercator_rows_are_equally_spaced_on_the_map_and_sit_where_pyproj_draws_them():
    grid = Grid.web_mercator(5, 45, 11, 48, shape=(64, 96))
    x, y = TO_MERCATOR.transform(np.broadcast_to(grid.lon[:64], (64,)), grid.lat)
    np.testing.assert_allclose(grid.y_m, y, atol=1e-6)
    np.testing.assert_allclose(grid.x_m[:64], x, atol=1e-6)
    np.testing.assert_allclose(np.diff(grid.y_m), (grid.y_m[-1] - grid.y_m[0]) / 63, rtol=1e-9)
    assert np.ptp(np.diff(grid.lat)) > 1e-4, "rows of a Mercator map are not equally spaced in latitude"
    corners = TO_MERCATOR.transform([5, 11], [45, 48])
    np.testing.assert_allclose(grid.mercator_bounds, [corners[0][0], corners[1][0], corners[0][1], corners[1][1]])


def test_a_grid_across_the_antimeridian_has_a_monotonic_axis():
    grid = Grid.from_bounds(170, -10, -170, 10, shape=(2, 40))
    assert grid.bounds == (170.0, -10.0, 190.0, 10.0)
    assert (np.diff(grid.lon) > 0).all() and grid.lon[0] > 170 and grid.lon[-1] < 190
    assert grid == Grid.from_bounds(170, -10, 190, 10, shape=(2, 40))


def test_equal_grids_share_a_key_and_others_do_not():
    grid = Grid.from_bounds(5, 45, 11, 48, shape=(4, 6), alt_m=np.array([0.0, 100.0]))
    same = Grid.from_bounds(5.0, 45.0, 11.0, 48.0, shape=[4, 6], alt_m=(0, 100))
    others = [
        Grid.from_bounds(5, 45, 11, 48, shape=(4, 6)),
        Grid.from_bounds(5, 45, 11, 48, shape=(4, 6), alt_m=[0.0]),
        Grid.from_bounds(5, 45, 11, 48, shape=(6, 4), alt_m=[0.0, 100.0]),
        Grid.from_bounds(5, 45, 11, 48.1, shape=(4, 6), alt_m=[0.0, 100.0]),
        Grid.web_mercator(5, 45, 11, 48, shape=(4, 6), alt_m=[0.0, 100.0]),
    ]
    assert grid == same and hash(grid.key) == hash(same.key) and grid.key == same.key
    assert len({g.key for g in [grid, *others]}) == 6


def test_a_grid_cannot_be_changed():
    grid = Grid.from_bounds(5, 45, 11, 48)
    with pytest.raises(AttributeError):
        grid.west = 6.0
    with pytest.raises(ValueError, match="read-only"):
        grid.lat[0] = 0.0


def test_spacing_is_the_least_of_height_width_and_altitude_step():
    # One degree at the equator: 110.574 km of latitude, 111.320 km of longitude (WGS-84, Torge & Müller).
    assert Grid.from_bounds(-1, -1, 1, 1, shape=(2, 2)).spacing_m == pytest.approx(110_574, rel=1e-4)
    assert Grid.from_bounds(-1, -1, 1, 1, shape=(2, 4)).spacing_m == pytest.approx(111_320 / 2, rel=2e-4)
    volume = Grid.from_bounds(-1, -1, 1, 1, shape=(2, 2), alt_m=np.linspace(0, 20_000, 16))
    assert volume.spacing_m == pytest.approx(20_000 / 15)
    assert volume.floor_m == volume.spacing_m / 2


def test_meridians_meeting_at_the_pole_do_not_shrink_the_spacing_of_a_world_grid():
    world = Grid.from_bounds(-180, -90, 180, 90, shape=(180, 360))
    assert 100_000 < world.spacing_m < 112_000


@given(
    west=st.floats(-180, 180),
    width=st.floats(0.01, 360),
    south=st.floats(-85, 84),
    height=st.floats(0.01, 1.0),
    ny=st.integers(1, 40),
    nx=st.integers(1, 40),
    make=st.sampled_from([Grid.from_bounds, Grid.web_mercator]),
)
def test_all_cells_lie_within_the_bounds_in_order(west, width, south, height, ny, nx, make):
    grid = make(west, south, west + width, south + height, shape=(ny, nx))
    assert grid.lat.shape == (ny,) and grid.lon.shape == (nx,)
    edges = np.concatenate([[grid.south], grid.lat, [grid.north]])
    assert (np.diff(edges) > 0).all()
    assert (np.diff(np.concatenate([[grid.west], grid.lon, [grid.east]])) > 0).all()


def test_three_dimensions_come_from_a_sequence_of_altitudes():
    flat = Grid.from_bounds(0, 0, 1, 1, shape=(2, 3), alt_m=500.0)
    volume = Grid.from_bounds(0, 0, 1, 1, shape=(2, 3), alt_m=[500.0])
    assert (flat.dims, flat.array_shape) == (("lat", "lon"), (2, 3))
    assert (volume.dims, volume.array_shape) == (("alt", "lat", "lon"), (1, 2, 3))
    np.testing.assert_array_equal(volume.ecef_m()[0][0], geodetic_to_ecef(flat.lat[:, None], flat.lon, 500.0)[0])


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"west": float("nan")}, "west is nan"),
        ({"east": float("inf")}, "east is inf"),
        ({"west": 1000.0}, "west is 1000.0 degrees"),
        ({"north": 90.5}, r"north is 90.5 degrees.*±90"),
        ({"south": -91.0}, "south is -91.0 degrees"),
        ({"south": 48.0}, "south 48.0 is not below north 48.0"),
        ({"east": 5.0}, "west 5.0 and east 5.0 degrees"),
        ({"west": -200.0, "east": 200.0}, "400"),
        ({"shape": (0, 5)}, r"shape is \(0, 5\); each must be at least 1"),
        ({"shape": (2.5, 5)}, "two whole numbers"),
        ({"shape": (5,)}, "two whole numbers"),
        ({"shape": 5}, "two whole numbers"),
        ({"shape": (2049, 2048)}, "2048 x 2048"),
        ({"shape": (2048, 2048), "alt_m": np.arange(17.0)}, "cells; at most"),
        ({"alt_m": float("nan")}, "alt_m is nan"),
        ({"alt_m": []}, "increasing altitudes"),
        ({"alt_m": [100.0, 0.0]}, "increasing altitudes"),
        ({"alt_m": [[0.0]]}, "increasing altitudes"),
    ],
)
def test_what_makes_no_grid_is_named(arguments, says):
    given_ = {"west": 5.0, "south": 45.0, "east": 11.0, "north": 48.0} | arguments
    with pytest.raises(ValueError, match=says):
        Grid.from_bounds(**given_)


def test_a_mercator_grid_ends_at_the_edge_of_the_square_and_a_geographic_grid_has_no_map_coordinates():
    with pytest.raises(ValueError, match=r"north is 86.*±85.0511"):
        Grid.web_mercator(0, 0, 1, 86)
    with pytest.raises(ValueError, match=r"use Grid\.web_mercator"):
        _ = Grid.from_bounds(0, 0, 1, 1).y_m


def test_the_largest_grid_is_accepted():
    assert Grid.from_bounds(-180, -90, 180, 90, shape=(2048, 2048)).array_shape == (2048, 2048)
