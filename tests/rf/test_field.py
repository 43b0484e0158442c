"""A field is the sum of what each emitter alone would give, everywhere on earth, to a stated error."""

import json
import subprocess
import sys
import threading

import numpy as np
import pandas as pd
import pyproj
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.geo import geodetic_to_ecef
from engine.rf import Grid, power_field
from engine.rf._summation import TILE, sum_over_emitters
from engine.rf.field import linear_mw, sum_intensity, sum_power_mw
from engine.rf.propagation import MIN_HORIZON_M
from engine.units import dbm_to_mw

TO_ECEF = pyproj.Transformer.from_crs("EPSG:4979", "EPSG:4978", always_xy=True)
SWISS = Grid.from_bounds(5, 45, 11, 48, shape=(70, 90), alt_m=3_000.0)


def some_emitters(n, seed=0, lat=(45, 48), lon=(5, 11), alt=(0, 12_000)):
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "id": [f"e{i}" for i in range(n)],
            "lat": rng.uniform(*lat, n),
            "lon": rng.uniform(*lon, n),
            "alt_m": rng.uniform(*alt, n),
            "eirp_dbm": rng.uniform(0, 60, n),
            "freq_hz": rng.choice([118e6, 1090e6, 5.8e9], n),
            "weight": rng.uniform(0.1, 2, n),
        }
    )


def one_emitter(lat, lon, alt_m=0.0, eirp_dbm=50.0, freq_hz=1090e6):
    return pd.DataFrame({"lat": [lat], "lon": [lon], "alt_m": [alt_m], "eirp_dbm": [eirp_dbm], "freq_hz": [freq_hz]})


def distances_m(emitters, grid):
    """Slant ranges, (n, *shape), by pyproj's ECEF."""
    alt, lat, lon = np.meshgrid(grid.level_alt_m, grid.lat, grid.lon, indexing="ij")
    cells = np.array(TO_ECEF.transform(lon, lat, alt))
    e = np.array(TO_ECEF.transform(emitters.lon.to_numpy(), emitters.lat.to_numpy(), emitters.alt_m.to_numpy()))
    apart = np.sqrt(((cells[:, None] - e[:, :, None, None, None]) ** 2).sum(axis=0))
    return apart.reshape(len(emitters), *grid.array_shape)


def plain_dbm(emitters, grid, horizon=False):
    """P.525 as written, one emitter after the other, in float64; -inf where there is nothing."""
    total = np.zeros(grid.array_shape)
    for row, d in zip(emitters.itertuples(), distances_m(emitters, grid), strict=True):
        loss_db = 32.44778322188337 + 20 * np.log10(row.freq_hz / 1e6) + 20 * np.log10(d / 1e3)
        power = 10 ** ((row.eirp_dbm - loss_db) / 10) * getattr(row, "weight", 1.0)
        if horizon:
            heights = np.maximum(grid.level_alt_m, 0).reshape(-1, *[1] * (d.ndim - 1))
            limit = 4_120 * (np.sqrt(max(row.alt_m, 0)) + np.sqrt(heights))
            power = np.where(d <= np.maximum(limit, MIN_HORIZON_M), power, 0.0).reshape(d.shape)
        total += power
    with np.errstate(divide="ignore"):
        return 10 * np.log10(total)


PLACES = {
    "mid-latitude": (Grid.from_bounds(5, 45, 11, 48, shape=(70, 90)), 46.6, 8.1, 0.0),
    "antimeridian": (Grid.from_bounds(175, -5, -175, 5, shape=(50, 40)), 0.3, -179.9, 100.0),
    "north pole": (Grid.from_bounds(-180, 80, 180, 90, shape=(40, 100)), 89.999, 12.0, 500.0),
    "south pole": (Grid.from_bounds(-180, -90, 180, -85, shape=(33, 65), alt_m=3_000.0), -90.0, 0.0, 2_800.0),
    "whole world": (Grid.from_bounds(-180, -90, 180, 90, shape=(90, 180)), -33.0, 151.0, 11_000.0),
    "web mercator": (Grid.web_mercator(-30, 30, 60, 70, shape=(65, 64), alt_m=1_000.0), 50.0, 8.0, 10_000.0),
    "from orbit": (Grid.from_bounds(-60, -60, 60, 60, shape=(40, 40)), 0.0, 0.0, 35_786_000.0),
    "one street": (Grid.from_bounds(8.5400, 47.3700, 8.5420, 47.3710, shape=(64, 64), alt_m=2.0), 47.3705, 8.541, 10.0),
    "one bench, metre by metre": (Grid.from_bounds(8.54, 47.37, 8.5401, 47.3701, shape=(9, 9)), 47.37003, 8.54002, 1.0),
    "one row": (Grid.from_bounds(5, 46, 11, 46.1, shape=(1, 300)), 46.0, 7.0, 200.0),
    "one column": (Grid.from_bounds(5, 45, 5.1, 48, shape=(300, 1)), 46.0, 5.2, 200.0),
}


@pytest.mark.parametrize(("grid", "lat", "lon", "alt_m"), PLACES.values(), ids=PLACES)
@pytest.mark.parametrize("freq_hz", [30e6, 1090e6, 24e9])
def test_one_emitter_is_p525_to_a_ten_thousandth_of_a_db_anywhere(grid, lat, lon, alt_m, freq_hz):
    emitter = one_emitter(lat, lon, alt_m, freq_hz=freq_hz)
    expected = plain_dbm(emitter, grid)
    np.testing.assert_allclose(power_field(emitter, grid, horizon=False).power_dbm, expected, atol=1e-4)
    seen = power_field(emitter, grid).power_dbm.to_numpy()
    np.testing.assert_allclose(seen[np.isfinite(seen)], expected[np.isfinite(seen)], atol=1e-4)
    assert np.isfinite(seen).any()


@pytest.mark.parametrize("off_m", [0.01, 0.1, 1.0, 30.0, 1_000.0])
def test_close_to_a_cell_the_field_is_still_p525(off_m):
    grid = Grid.from_bounds(5, 45, 11, 48, shape=(64, 96))
    emitter = one_emitter(grid.lat[17], grid.lon[40], off_m, freq_hz=24e9)
    np.testing.assert_allclose(power_field(emitter, grid, horizon=False).power_dbm, plain_dbm(emitter, grid), atol=1e-4)


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 255, 300])
@pytest.mark.parametrize("horizon", [True, False])
def test_the_sum_over_emitters_is_the_plain_sum(n, horizon):
    emitters = some_emitters(n, seed=n)
    expected = plain_dbm(emitters, SWISS, horizon)
    got = power_field(emitters, SWISS, horizon=horizon).power_dbm.fillna(-np.inf)
    exact = power_field(emitters, SWISS, horizon=horizon, dtype="float64").power_dbm.fillna(-np.inf)
    assert (got.dtype, exact.dtype) == (np.float32, np.float64)
    np.testing.assert_allclose(got, expected, atol=5e-5)
    np.testing.assert_allclose(exact, expected, atol=1e-8)


def test_short_horizons_cut_tiles_and_each_cell_counts_by_its_own_distance():
    emitters = some_emitters(200, seed=4, alt=(0, 60))
    grid = Grid.from_bounds(6, 46, 9, 48, shape=(150, 130))
    expected = plain_dbm(emitters, grid, horizon=True)
    assert (expected == -np.inf).any() and (expected > -np.inf).any()
    np.testing.assert_allclose(power_field(emitters, grid).power_dbm.fillna(-np.inf), expected, atol=5e-5)


def test_unlike_emitters_do_not_drown_each_other():
    # The weak one is 250 dB down, but alone on its side of the world.
    both = pd.concat([one_emitter(0.0, 0.0, 100.0, 120.0), one_emitter(0.0, 180.0, 100.0, -130.0)])
    far_side = Grid.from_bounds(179.5, -0.5, -179.5, 0.5, shape=(40, 40))
    alone = power_field(both.iloc[1:], far_side).power_dbm
    assert alone.notnull().any()
    xr.testing.assert_allclose(power_field(both, far_side).power_dbm, alone, rtol=0, atol=1e-4)


def test_power_falls_six_db_per_doubling_straight_up():
    heights = 1_000.0 * 2.0 ** np.arange(6)
    grid = Grid.from_bounds(7.999999, 46.999999, 8.000001, 47.000001, shape=(1, 1), alt_m=heights)
    up = power_field(one_emitter(47.0, 8.0, 0.0), grid).power_dbm.to_numpy().ravel()
    np.testing.assert_allclose(np.diff(up), -20 * np.log10(2), atol=1e-4)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.integers(0, 12), st.integers(0, 12), st.booleans())
def test_fields_superpose(seed, n, m, horizon):
    grid = Grid.from_bounds(5, 45, 11, 48, shape=(9, 11))
    emitters = some_emitters(n + m, seed)
    parts = [power_field(part, grid, horizon=horizon).power_dbm for part in (emitters[:n], emitters[n:])]
    together = linear_mw(power_field(emitters, grid, horizon=horizon).power_dbm)
    xr.testing.assert_allclose(linear_mw(parts[0]) + linear_mw(parts[1]), together, rtol=3e-5, atol=0)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.randoms(use_true_random=False))
def test_the_order_of_emitters_is_of_no_account(seed, random):
    grid = Grid.from_bounds(5, 45, 11, 48, shape=(40, 11))
    emitters = some_emitters(17, seed)
    order = list(range(17))
    random.shuffle(order)
    for model, variable in (("free_space", "power_dbm"), ("inverse_square", "intensity")):
        here, there = (power_field(table, grid, model)[variable] for table in (emitters, emitters.iloc[order]))
        xr.testing.assert_allclose(here, there, rtol=1e-6)


@given(st.floats(0.01, 100), st.floats(-100, 100))
@settings(max_examples=25, deadline=None)
def test_weight_multiplies_linear_power_and_eirp_adds_in_db(weight, step_db):
    emitters = some_emitters(5)
    grid = Grid.from_bounds(5, 45, 11, 48, shape=(9, 11))
    field = power_field(emitters, grid).power_dbm
    heavier = power_field(emitters, grid, weights=emitters.weight * weight).power_dbm
    np.testing.assert_allclose(heavier - field, 10 * np.log10(weight), atol=5e-5)
    louder = power_field(emitters.assign(eirp_dbm=emitters.eirp_dbm + step_db), grid).power_dbm
    np.testing.assert_allclose(louder - field, step_db, atol=5e-5)


def test_a_volume_is_a_stack_of_its_levels():
    levels = [0.0, 300.0, 5_000.0, 20_000.0]
    emitters = some_emitters(30, alt=(0, 300))
    volume = power_field(emitters, Grid.from_bounds(5, 45, 11, 48, shape=(40, 50), alt_m=levels)).power_dbm
    assert volume.dims == ("alt", "lat", "lon")
    for k, alt_m in enumerate(levels):
        level = power_field(emitters, Grid.from_bounds(5, 45, 11, 48, shape=(40, 50), alt_m=alt_m)).power_dbm
        np.testing.assert_array_equal(volume[k], level)


def test_turning_the_earth_changes_nothing():
    emitters = some_emitters(20, lon=(-3, 3))
    here = power_field(emitters, Grid.from_bounds(-3, 45, 3, 48, shape=(40, 50))).power_dbm
    emitters["lon"] = (emitters.lon + 360.0) % 360.0 - 180.0
    there = power_field(emitters, Grid.from_bounds(177, 45, -177, 48, shape=(40, 50))).power_dbm
    np.testing.assert_allclose(here, there, atol=5e-5)


def test_the_horizon_ends_where_the_formula_says():
    # Aircraft at 10 km over a grid at 100 m: 4.12 (100 + 10) = 453.2 km.
    grid = Grid.from_bounds(0, -6, 12, 6, shape=(101, 101), alt_m=100.0)
    emitter = one_emitter(0.0, 0.0, 10_000.0)
    seen = power_field(emitter, grid).power_dbm.notnull().to_numpy()
    np.testing.assert_array_equal(seen, distances_m(emitter, grid)[0] <= 453_200.0)
    assert power_field(emitter, grid, horizon=False).power_dbm.notnull().all()


def test_an_emitter_on_the_ground_is_seen_on_the_ground_unless_the_bare_formula_is_asked_for():
    grid = Grid.from_bounds(7.8, 46.9, 8.2, 47.1, shape=(50, 50))
    emitter = one_emitter(47.0, 8.0, 0.0)
    seen = power_field(emitter, grid).power_dbm.notnull().to_numpy()
    np.testing.assert_array_equal(seen, distances_m(emitter, grid)[0] <= MIN_HORIZON_M)
    assert power_field(emitter, grid, min_horizon_m=0.0).power_dbm.isnull().all()


def test_nothing_receives_more_than_was_radiated():
    grid = Grid.from_bounds(7.9, 46.9, 8.1, 47.1, shape=(9, 9))
    on_a_cell = one_emitter(grid.lat[4], grid.lon[4], 0.0, eirp_dbm=50.0)
    assert power_field(on_a_cell, grid).power_dbm.max().item() == pytest.approx(50.0, abs=1e-4)


def test_a_floor_holds_the_power_near_an_emitter_and_changes_nothing_beyond():
    grid = Grid.from_bounds(7.9, 46.9, 8.1, 47.1, shape=(70, 70))
    emitter = one_emitter(47.0, 8.0, 10.0)
    expected = plain_dbm(emitter, grid)
    d = distances_m(emitter, grid)[0]
    at_floor = 50.0 - (32.44778322 + 20 * np.log10(1090.0) + 20 * np.log10(5.0))
    floored = power_field(emitter, grid, floor_m=5_000.0, horizon=False).power_dbm
    np.testing.assert_allclose(floored, np.where(d > 5_000.0, expected, at_floor), atol=1e-4)


def test_inverse_square_is_weight_over_distance_squared_with_half_a_cell_under_it():
    emitters = some_emitters(50)[["lat", "lon", "alt_m", "weight"]]
    field = power_field(emitters, SWISS, "inverse_square")
    terms = emitters.weight.to_numpy()[:, None, None] / (distances_m(emitters, SWISS) ** 2 + SWISS.floor_m**2)
    np.testing.assert_allclose(field.intensity, terms.sum(axis=0), rtol=1e-5)
    assert field.intensity.attrs["units"] == "1"


def test_the_first_step_up_from_a_ground_emitter_keeps_a_fifth():
    # System A5: about 1:5 rather than 1:1000 at 16 levels.
    grid = Grid.from_bounds(5, 45, 11, 48, shape=(65, 65), alt_m=np.linspace(0, 20_000, 16))
    emitter = pd.DataFrame({"lat": [grid.lat[32]], "lon": [grid.lon[32]], "alt_m": [0.0]})
    column = power_field(emitter, grid, "inverse_square").intensity[:, 32, 32]
    assert column[0].item() / column[1].item() == pytest.approx(5.0, rel=1e-3)


@pytest.mark.parametrize("model", ["free_space", "inverse_square"])
def test_no_emitters_or_none_with_weight_make_a_field_of_nothing(model):
    for emitters in (some_emitters(0), some_emitters(3).assign(weight=0.0)):
        field = power_field(emitters, SWISS, model)
        values = field[next(iter(field))]
        assert values.shape == SWISS.array_shape
        assert values.isnull().all() if model == "free_space" else (values == 0.0).all()
        assert field.attrs["n_emitters"] == len(emitters)


def test_plain_arrays_give_the_same_field():
    emitters = some_emitters(40)
    x, y, z = geodetic_to_ecef(emitters.lat, emitters.lon, emitters.alt_m)
    eirp_mw = dbm_to_mw(emitters.eirp_dbm.to_numpy()) * emitters.weight.to_numpy()
    mw = sum_power_mw(x, y, z, emitters.alt_m.to_numpy(), eirp_mw, emitters.freq_hz.to_numpy(), SWISS)
    assert mw.dtype == np.float32
    np.testing.assert_allclose(mw, linear_mw(power_field(emitters, SWISS).power_dbm), rtol=2e-5)
    intensity = sum_intensity(x, y, z, emitters.weight.to_numpy(), SWISS)
    np.testing.assert_array_equal(intensity, power_field(emitters, SWISS, "inverse_square").intensity)


@settings(max_examples=30, deadline=None)
@given(st.data())
def test_the_kernel_is_its_slow_twin(data):
    ny, nx, n = data.draw(st.integers(1, 2 * TILE)), data.draw(st.integers(1, 2 * TILE)), data.draw(st.integers(0, 9))
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    scale_km = 10.0 ** data.draw(st.integers(-3, 3))
    axis, z = 6_371.0 + scale_km * rng.random((2, ny)), scale_km * np.sort(rng.random((2, ny)))
    lon = scale_km / 6_371.0 * np.sort(rng.random(nx))
    emitters = np.array([*(scale_km * rng.random((3, n))), rng.random(n), scale_km * rng.random(n), np.full(n, 1e-5)])
    emitters[0] += 6_371.0
    level_reach, least, eps = np.array([0.0, 0.3 * scale_km]), 0.1 * scale_km, data.draw(st.sampled_from([0.0, 0.01]))
    out = np.full((2, ny, nx), np.nan)
    sum_over_emitters(out, axis, z, np.cos(lon), np.sin(lon), level_reach, emitters, least, eps, False, 2)

    cells = np.stack([axis[..., None] * np.cos(lon), axis[..., None] * np.sin(lon), np.repeat(z[..., None], nx, -1)])
    twin = np.zeros_like(out)
    for ex, ey, ez, gain, reach, floor in emitters.T:
        d2 = (cells[0] - ex) ** 2 + (cells[1] - ey) ** 2 + (cells[2] - ez) ** 2
        limit = np.maximum(reach + level_reach, least)[:, None, None]
        twin += np.where(d2 <= limit**2, gain / (np.maximum(d2, floor**2) + eps), 0.0)
    np.testing.assert_allclose(out, twin, rtol=1e-5)


def test_fields_may_be_computed_from_several_threads_at_once():
    tables = [some_emitters(50, seed) for seed in range(4)]
    alone = [power_field(table, SWISS).power_dbm.to_numpy() for table in tables]
    together: dict[int, np.ndarray] = {}

    def compute(i):
        for _ in range(5):
            together[i] = power_field(tables[i], SWISS).power_dbm.to_numpy()

    threads = [threading.Thread(target=compute, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for i in range(4):
        np.testing.assert_array_equal(together[i], alone[i])


def test_warming_compiles_all_that_pages_use():
    script = """
from engine.rf import Grid, power_field, strongest
from engine.rf._strongest import strongest_by_boxes
from engine.rf._summation import sum_over_emitters
from engine.rf._tree import sum_by_boxes
from engine.rf.field import warm
import pandas as pd, numpy as np
warm()
known = list(sum_over_emitters.signatures)
table = pd.DataFrame({"lat": [1.0], "lon": [2.0], "alt_m": [3.0], "eirp_dbm": [4.0], "freq_hz": [5e6]})
for grid in (Grid.from_bounds(0, 0, 1, 1), Grid.web_mercator(0, 0, 1, 1, alt_m=[0.0, 1.0])):
    for model in ("free_space", "inverse_square"):
        for dtype in ("float32", "float64"):
            power_field(table, grid, model, dtype=dtype)
assert sum_over_emitters.signatures == known and len(known) == 1, sum_over_emitters.signatures
compiled = [list(kernel.signatures) for kernel in (sum_by_boxes, strongest_by_boxes)]
for grid in (Grid.from_bounds(0, 0, 1, 1), Grid.web_mercator(0, 0, 1, 1, alt_m=[0.0, 1.0])):
    for model in ("free_space", "inverse_square", "two_ray", "atmospheric"):
        for method in ("direct", "tree"):
            power_field(table.assign(freq_hz=1e9), grid, model, method=method)
        strongest(table.assign(freq_hz=1e9), grid, model)
now = [list(kernel.signatures) for kernel in (sum_by_boxes, strongest_by_boxes)]
assert now == compiled and all(len(kinds) == 1 for kinds in now), now
"""
    subprocess.run([sys.executable, "-c", script], check=True, timeout=120)


def test_a_frame_says_what_it_is_and_survives_netcdf(tmp_path):
    emitters = some_emitters(3, alt=(0, 50))
    grid = Grid.web_mercator(5, 45, 11, 48, shape=(40, 50))
    field = power_field(emitters, grid)
    assert field.power_dbm.dtype == np.float32 and field.power_dbm.attrs["units"] == "dBm"
    assert field.attrs["model"] == "free_space" and field.attrs["n_emitters"] == 3
    assert json.loads(field.attrs["parameters"]) == {"horizon": True, "min_horizon_m": MIN_HORIZON_M, "floor_m": None}
    assert tuple(field.attrs["bounds"]) == (5, 45, 11, 48)
    np.testing.assert_array_equal(field.y_m, grid.y_m)
    field.to_netcdf(tmp_path / "field.nc", engine="h5netcdf")
    with xr.open_dataset(tmp_path / "field.nc", engine="h5netcdf") as back:
        assert field.power_dbm.isnull().any()
        xr.testing.assert_equal(back.load(), field)


@pytest.mark.parametrize(
    ("change", "options", "says"),
    [
        ({}, {"model": "ray_tracing"}, "model is 'ray_tracing'; it must be one of atmospheric, free_space"),
        ({"lat": np.nan}, {}, "'lat' of emitters is nan in row 2; it must be finite and within ±90"),
        ({"lat": 90.01}, {}, "'lat' of emitters is 90.01"),
        ({"lon": -181.0}, {}, "'lon' of emitters is -181"),
        ({"alt_m": np.inf}, {}, "'alt_m' of emitters is inf"),
        ({"eirp_dbm": np.nan}, {}, "'eirp_dbm' of emitters is nan"),
        ({"freq_hz": -1.0}, {}, "'freq_hz' of emitters is -1.0 in row 2; it must be finite and above 0"),
        ({"freq_hz": 0.0}, {}, "'freq_hz' of emitters is 0.0"),
        ({"weight": -0.5}, {}, "'weight' is -0.5 in row 2"),
        ({}, {"weights": [1.0, np.nan, 1.0]}, "'weight' is nan in row 1"),
        ({}, {"weights": [1.0]}, "one for each of the 3 emitters"),
        ({}, {"floor_m": 0.0}, "floor_m is 0.0"),
        ({}, {"floor_m": float("nan")}, "floor_m is nan"),
        ({}, {"min_horizon_m": -1.0}, "min_horizon_m is -1.0"),
        ({}, {"dtype": "float16"}, "dtype is 'float16'"),
    ],
)
def test_bad_input_is_named(change, options, says):
    emitters = some_emitters(3)
    for name, value in change.items():
        emitters.loc[2, name] = value
    with pytest.raises(ValueError, match=says):
        power_field(emitters, SWISS, **options)


@pytest.mark.parametrize("column", ["lat", "lon", "alt_m", "eirp_dbm", "freq_hz"])
def test_a_missing_column_or_one_of_text_is_named(column):
    with pytest.raises(ValueError, match=f"no column '{column}'"):
        power_field(some_emitters(3).drop(columns=column), SWISS)
    with pytest.raises(ValueError, match=f"column '{column}' of emitters is .*, not numbers"):
        power_field(some_emitters(3).assign(**{column: ["a", "b", "c"]}), SWISS)


def test_nullable_columns_are_taken_and_their_missing_values_named():
    emitters = some_emitters(3)
    expected = power_field(emitters, SWISS)
    nullable = emitters.convert_dtypes()
    xr.testing.assert_identical(power_field(nullable, SWISS), expected)
    nullable.loc[1, "alt_m"] = pd.NA
    with pytest.raises(ValueError, match="'alt_m' of emitters is nan in row 1"):
        power_field(nullable, SWISS)


def test_real_aircraft_over_switzerland_make_the_plain_sum(real_data):
    tracks = pd.read_json(real_data("tracks/switzerland.json.gz"))
    at = tracks.drop_duplicates("icao24")
    at = at[at[["latitude", "longitude", "altitude"]].notna().all(axis=1)].head(300)
    emitters = pd.DataFrame(
        {
            "lat": at.latitude.to_numpy(),
            "lon": at.longitude.to_numpy(),
            "alt_m": at.altitude.to_numpy() * 0.3048,
            "eirp_dbm": 54.0,
            "freq_hz": 1090e6,
        }
    )
    grid = Grid.web_mercator(5, 45, 11, 48, shape=(48, 64))
    assert len(emitters) == 300
    got = power_field(emitters, grid).power_dbm.fillna(-np.inf)
    np.testing.assert_allclose(got, plain_dbm(emitters, grid, horizon=True), atol=5e-5)
