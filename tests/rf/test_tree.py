"""The tree's field is the field summed emitter by emitter, to the error it claims, wherever on earth."""

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from engine.geo import geodetic_to_ecef
from engine.rf import Grid, power_field
from engine.rf._chebyshev import LEAF, NODES, plan
from engine.rf._field_sum import decibels
from engine.rf._tree import ERROR_DB, SEPARATION
from engine.rf.field import sum_intensity, sum_power_mw
from engine.units import dbm_to_mw


def emitters_around(grid, n, seed=0, top_m=12_000.0):
    """Emitters over and around a grid, some of them exactly on cells, on the ground and in space."""
    rng = np.random.default_rng(seed)
    wide, high = grid.east - grid.west, grid.north - grid.south
    lat = np.clip(rng.uniform(grid.south - high / 4, grid.north + high / 4, n), -90, 90)
    lon = (rng.uniform(grid.west - wide / 4, grid.east + wide / 4, n) + 180) % 360 - 180
    alt = rng.uniform(0, top_m, n)
    lat[:3], lon[:3] = grid.lat[-1], (grid.lon[:3] if grid.lon.size >= 3 else grid.lon[0]) + 0.0
    lon[:3] = (lon[:3] + 180) % 360 - 180
    alt[3:5] = 0.0, 20_200e3
    return pd.DataFrame({"lat": lat, "lon": lon, "alt_m": alt, "eirp_dbm": rng.uniform(0, 60, n),
                         "freq_hz": rng.choice([118e6, 1090e6, 5.8e9], n)})  # fmt: skip


def in_db(field):
    return field.power_dbm.fillna(-400.0).to_numpy().astype(float)


GRIDS = {
    "a country": Grid.from_bounds(5, 45, 11, 48, shape=(150, 200)),
    "a map": Grid.web_mercator(-30, 30, 60, 70, shape=(200, 130), alt_m=1_000.0),
    "antimeridian": Grid.from_bounds(175, -5, -175, 5, shape=(140, 161), alt_m=100.0),
    "north pole": Grid.from_bounds(-180, 80, 180, 90, shape=(96, 300)),
    "whole world": Grid.from_bounds(-180, -90, 180, 90, shape=(180, 360)),
    "one street": Grid.from_bounds(8.54, 47.37, 8.542, 47.371, shape=(128, 128), alt_m=2.0),
    "one row": Grid.from_bounds(5, 46, 11, 46.1, shape=(1, 3000)),
    "two columns": Grid.from_bounds(5, 40, 5.1, 50, shape=(2000, 2)),
    "long cells": Grid.from_bounds(0, 46, 20, 46.5, shape=(200, 100)),
}


@pytest.mark.parametrize("horizon", [True, False])
@pytest.mark.parametrize("grid", GRIDS.values(), ids=GRIDS)
def test_tree_is_the_sum_over_emitters(grid, horizon):
    emitters = emitters_around(grid, 200)
    tree = power_field(emitters, grid, horizon=horizon, method="tree")
    exact = power_field(emitters, grid, horizon=horizon, method="direct", dtype="float64")
    np.testing.assert_allclose(in_db(tree), in_db(exact), atol=ERROR_DB)
    np.testing.assert_array_equal(tree.power_dbm.isnull(), exact.power_dbm.isnull())


@pytest.mark.parametrize("seed", range(3))
def test_horizons_that_end_among_the_cells_hide_the_same_cells(seed):
    grid = Grid.from_bounds(6, 46, 9, 48, shape=(250, 230))
    emitters = emitters_around(grid, 400, seed, top_m=60.0)
    emitters = emitters[emitters.alt_m < 100.0]
    tree, exact = (
        power_field(emitters, grid, method=m, dtype=d) for m, d in (("tree", "float32"), ("direct", "float64"))
    )
    assert exact.power_dbm.isnull().any() and exact.power_dbm.notnull().any()
    np.testing.assert_allclose(in_db(tree), in_db(exact), atol=ERROR_DB)


def test_inverse_square_and_plain_arrays_go_by_tree_too():
    grid = GRIDS["a country"]
    emitters = emitters_around(grid, 300)
    e = np.stack(geodetic_to_ecef(emitters.lat, emitters.lon, emitters.alt_m))
    tree, direct = (sum_intensity(*e, np.ones(300), grid, method=m) for m in ("tree", "direct"))
    np.testing.assert_allclose(10 * np.log10(tree / direct), 0.0, atol=ERROR_DB)
    arrays = (*e, emitters.alt_m.to_numpy(), dbm_to_mw(emitters.eirp_dbm.to_numpy()), emitters.freq_hz.to_numpy())
    tree, direct = (sum_power_mw(*arrays, grid, method=m) for m in ("tree", "direct"))
    np.testing.assert_allclose(10 * np.log10(tree / direct), 0.0, atol=ERROR_DB)


def test_the_smooth_part_of_a_field_is_interpolated_and_not_summed_in_every_cell():
    grid = GRIDS["a country"]
    far = pd.DataFrame({"lat": [44.0], "lon": [4.0], "alt_m": [0.0], "eirp_dbm": [50.0], "freq_hz": [1e9]})
    tree, direct = (power_field(far, grid, horizon=False, method=m).power_dbm for m in ("tree", "direct"))
    assert 0 < abs(tree - direct).max() < ERROR_DB


@settings(max_examples=15)
@given(st.integers(1, 90), st.integers(1, 90), st.floats(0.01, 1.5), st.integers(0, 2**32))
@example(ny=1, nx=1, size=1.0, seed=1)  # an emitter 53 m under the only cell, which is 150 km wide
def test_any_shape_of_grid(ny, nx, size, seed):
    grid = Grid.from_bounds(8 - size, 47 - size / 3, 8 + size, 47 + size / 3, shape=(ny, nx), alt_m=(0.0, 3_000.0))
    emitters = emitters_around(grid, 40, seed)
    tree = power_field(emitters, grid, method="tree")
    exact = power_field(emitters, grid, method="direct", dtype="float64")
    np.testing.assert_allclose(in_db(tree), in_db(exact), atol=ERROR_DB)


@pytest.mark.parametrize("proportion", [1.0, 0.3, 0.01])
def test_the_claimed_error_holds_for_the_worst_emitter(proportion):
    # The claim, by numpy's own Chebyshev interpolation: any direction, at the least separation.
    unit = np.cos(np.pi * (np.arange(NODES) + 0.5) / NODES)
    dense = np.linspace(-1, 1, 41)
    to = np.linalg.solve(np.polynomial.chebyshev.chebvander(unit, NODES - 1).T,
                         np.polynomial.chebyshev.chebvander(dense, NODES - 1).T).T  # fmt: skip
    apart = SEPARATION * np.hypot(1.0, proportion)
    worst = 0.0
    for azimuth in np.linspace(0, np.pi / 2, 19):
        for elevation in np.linspace(0, np.pi / 2, 7):
            at = apart * np.array(
                [np.cos(elevation) * np.cos(azimuth), np.cos(elevation) * np.sin(azimuth), np.sin(elevation)]
            )

            def law(x, y, at=at):
                return 1.0 / ((x[None, :] - at[0]) ** 2 + (proportion * y[:, None] - at[1]) ** 2 + at[2] ** 2)

            worst = max(worst, np.abs(10 * np.log10(to @ law(unit, unit) @ to.T / law(dense, dense))).max())
    assert worst < ERROR_DB


@given(st.integers(1, 700), st.integers(1, 700))
@settings(max_examples=20)
def test_leaves_cover_every_cell_once_and_carry_polynomials_exactly(ny, nx):
    for axis, n in zip(plan((ny, nx)), (ny, nx), strict=True):
        first = axis.start[-2]
        covered = np.concatenate([np.arange(a, b) for a, b in zip(axis.low[first:], axis.high[first:], strict=True)])
        np.testing.assert_array_equal(covered, np.arange(n))
        assert (axis.high - axis.low)[first:].max() <= LEAF
        for leaf in range(axis.start[-1] - first):
            cells = np.arange(axis.low[first + leaf], axis.high[first + leaf])
            centred = (axis.node[first + leaf] - axis.centre[first + leaf]) / n
            for power in (0, 1, NODES - 1):
                carried = axis.cell[leaf, : cells.size] @ centred**power
                np.testing.assert_allclose(carried, ((cells - axis.centre[first + leaf]) / n) ** power, atol=1e-12)


def test_decibels_by_series_are_the_logarithm():
    linear = np.concatenate([10.0 ** np.random.default_rng(0).uniform(-300, 300, 10_000), [1.0, 2.0, 0.5, 3e-308]])
    out = np.empty(linear.size, np.float32)
    decibels(linear, 0.0, out)
    np.testing.assert_allclose(out, 10 * np.log10(linear), rtol=6e-8, atol=1e-8)
    decibels(np.array([0.0, -1e-20, 1.0, 2.0]), 3.0, out[:4])
    np.testing.assert_array_equal(np.isnan(out[:4]), [True, True, False, False])


def test_the_frame_says_how_it_was_summed_and_auto_takes_the_tree_for_many():
    grid = Grid.from_bounds(5, 45, 11, 48, shape=(256, 256))
    many = emitters_around(grid, 300)
    tree, few, exact = power_field(many, grid), power_field(many[:9], grid), power_field(many, grid, dtype="float64")
    assert [f.attrs["summation"] for f in (tree, few, exact)] == ["tree", "direct", "direct"]
    assert "Chebyshev" in tree.attrs["method"] and ERROR_DB < tree.attrs["error_bound_db"] <= 0.01
    assert few.attrs["error_bound_db"] == 5e-5 and exact.attrs["error_bound_db"] == 1e-6
    assert json.loads(tree.attrs["parameters"])["horizon"] is True
    with pytest.raises(ValueError, match="method is 'fmm'; it must be one of auto, direct, tree"):
        power_field(many, grid, method="fmm")
