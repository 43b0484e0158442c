"""Volumes, sections and samples are the field itself at other places; bytes and half floats cost what they say."""

import numpy as np
import pandas as pd
import pyproj
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from engine.rf import Grid, power_field
from engine.rf.quantise import as_bytes, for_storage, from_bytes, quantisation_error_db
from engine.rf.sample import cross_section, sample_field
from engine.rf.volume import DETAILS, power_volume, volume_grid

TO_ECEF = pyproj.Transformer.from_crs("EPSG:4979", "EPSG:4978", always_xy=True)


def some_emitters(n, seed=0):
    rng = np.random.default_rng(seed)
    return pd.DataFrame({"lat": rng.uniform(45, 48, n), "lon": rng.uniform(5, 11, n),
                         "alt_m": rng.uniform(0, 12_000, n), "eirp_dbm": rng.uniform(20, 50, n),
                         "freq_hz": rng.choice([118e6, 1090e6], n)})  # fmt: skip


def test_a_volume_is_the_sum_over_true_slant_ranges_softened_by_half_a_cell():
    grid, emitters = volume_grid(5, 45, 11, 48, 16), some_emitters(30)
    alt, lat, lon = np.meshgrid(grid.level_alt_m, grid.lat, grid.lon, indexing="ij")
    cells, total = np.array(TO_ECEF.transform(lon, lat, alt)), np.zeros(grid.array_shape)
    for e in emitters.itertuples():
        d2 = ((cells - np.array(TO_ECEF.transform(e.lon, e.lat, e.alt_m))[:, None, None, None]) ** 2).sum(axis=0)
        unit = 299_792_458.0 / e.freq_hz / (4 * np.pi)
        total += 10 ** (e.eirp_dbm / 10) * unit**2 / (d2 + grid.floor_m**2)
    for method in ("direct", "tree"):
        got = power_volume(emitters, grid, horizon=False, method=method).power_dbm
        np.testing.assert_allclose(got, 10 * np.log10(total), atol=0.005)


@pytest.mark.parametrize("cells", DETAILS)
def test_one_step_up_from_a_ground_emitter_keeps_a_fifth_where_levels_are_nearest(cells):
    grid = Grid.from_bounds(5, 45, 11, 48, shape=(9, 9), alt_m=np.linspace(0, 20_000, cells))
    emitter = pd.DataFrame({"lat": [grid.lat[4]], "lon": [grid.lon[4]], "alt_m": 0.0, "eirp_dbm": 40.0, "freq_hz": 1e9})
    column = power_volume(emitter, grid, horizon=False).power_dbm[:, 4, 4]
    assert float(column[0] - column[1]) == pytest.approx(10 * np.log10(5), abs=0.01)


def test_levels_of_detail_are_equal_for_all_who_ask_and_flat_grids_are_refused():
    assert [volume_grid(5, 45, 11, 48, n).array_shape for n in DETAILS] == [(n, n, n) for n in DETAILS]
    assert volume_grid(5, 45, 11, 48, 32).key == volume_grid(5, 45, 11, 48, 32).key
    assert volume_grid(5, 45, 11, 48, 64, 16).array_shape == (16, 64, 64)
    with pytest.raises(ValueError, match="a volume needs a sequence of altitudes"):
        power_volume(some_emitters(1), Grid.from_bounds(5, 45, 11, 48))


@given(st.floats(-200, 0), st.floats(1, 200), st.integers(0, 2**32))
def test_bytes_are_within_half_a_step(low, width, seed):
    values = np.random.default_rng(seed).uniform(low, low + width, 500).astype(np.float32)
    values[:3] = np.nan, low - 1, low + width + 1
    back = from_bytes(as_bytes(xr.DataArray(values), low, low + width))
    error = quantisation_error_db(low, low + width)
    inside = (values >= low) & (values <= low + width)
    assert np.abs(back.values - values)[inside].max() <= error * 1.001 + 3e-5
    assert np.isnan(back.values[:2]).all() and back.values[2] == pytest.approx(low + width, abs=1e-3)


def test_half_floats_survive_a_file_within_the_error_they_state(tmp_path):
    volume = power_volume(some_emitters(9), volume_grid(5, 45, 11, 48, 16))
    stored = for_storage(volume)
    path = tmp_path / "volume.h5"
    stored.to_netcdf(path, engine="h5netcdf", invalid_netcdf=True)
    assert path.stat().st_size < volume.power_dbm.nbytes / 2 + 40_000
    with xr.open_dataset(path, engine="h5netcdf") as back:
        assert back.power_dbm.dtype == np.float16
        error = np.abs(back.power_dbm.astype(np.float64) - volume.power_dbm)
        assert 0 < error.max() <= back.power_dbm.attrs["error_db"] == pytest.approx(0.03125)
        assert back.power_dbm.isnull().equals(volume.power_dbm.isnull())
    with pytest.raises(ValueError, match="float16 ends at 65504"):
        for_storage(xr.Dataset({"x": ("n", np.array([1e6]))}))


@pytest.mark.parametrize(
    ("model", "horizon"),
    [("free_space", True), ("two_ray", False), ("atmospheric", "diffraction"), ("scale_height", True)],
)
def test_a_sample_at_a_cell_is_the_field_of_the_cell(model, horizon):
    grid, emitters = Grid.from_bounds(5, 45, 11, 48, shape=(30, 40), alt_m=[100.0, 4_000.0]), some_emitters(35)
    field = power_field(emitters, grid, model, horizon=horizon, dtype="float64").power_dbm
    alt, lat, lon = np.meshgrid(grid.level_alt_m, grid.lat, grid.lon, indexing="ij")
    got = sample_field(emitters, lat.ravel(), lon.ravel(), alt.ravel(), model, horizon=horizon)
    np.testing.assert_allclose(got, field.to_numpy().ravel(), atol=1e-4)


def test_a_sample_of_a_grid_is_linear_between_its_cells_and_nan_outside():
    grid = Grid.from_bounds(170, -10, -170, 10, shape=(20, 40), alt_m=[0.0, 1_000.0])
    lat, lon = np.meshgrid(grid.lat, grid.lon, indexing="ij")
    field = xr.Dataset({"power_dbm": (("alt", "lat", "lon"), np.stack([lat + lon, lat + lon + 10]))},
                       {"alt": grid.level_alt_m, "lat": grid.lat, "lon": grid.lon})  # fmt: skip
    got = sample_field(field, [3.3, 3.3, 50.0], [-179.2, 180.8, 0.0], [250.0, 250.0, 0.0])
    np.testing.assert_allclose(got[:2], 3.3 + 180.8 + 2.5, atol=1e-4)
    assert np.isnan(got[2])
    flat = sample_field(field.isel(alt=0).drop_vars("alt"), 3.3, 175.0)
    assert flat == pytest.approx([178.3], abs=1e-4)


def test_a_section_is_the_field_above_the_points_of_a_geodesic():
    emitters, altitudes = some_emitters(25), np.linspace(0, 12_000, 7)
    section = cross_section(emitters, [(45.2, 5.5), (46.5, 8.0), (47.8, 10.9)], altitudes, points=33)
    assert section.power_dbm.dims == ("alt", "distance") and section.power_dbm.shape == (7, 33)
    expected = [sample_field(emitters, section.lat, section.lon, alt) for alt in altitudes]
    np.testing.assert_array_equal(section.power_dbm, expected)
    geod = pyproj.Geod(a=6_378_137.0, b=6_378_137.0)
    corners = [(45.2, 5.5), (46.5, 8.0), (47.8, 10.9)]
    length = geod.line_length([c[1] for c in corners], [c[0] for c in corners])
    assert float(section.distance[-1]) == pytest.approx(length, rel=1e-9)
    steps = geod.inv(section.lon[:-1], section.lat[:-1], section.lon[1:], section.lat[1:])[2]
    assert np.ptp(np.delete(steps, np.argmin(steps))) < 1.0  # equal steps; one goes round the corner


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda t: sample_field(t, [np.nan], [8.0]), "lat is nan at a point"),
        (lambda t: sample_field(t, np.zeros(5_000_000), 0.0), "there are 5000000 points"),
        (lambda t: sample_field(t, 47.0, 8.0, model="inverse_square"), "floor_m is missing"),
        (lambda t: cross_section(t, [(1, 1)], [0.0]), "at least two corners"),
        (lambda t: cross_section(t, [(1, 1), (1, 1)], [0.0]), "path has no length"),
        (lambda t: cross_section(t, [(1, 1), (1, 2)], [5.0, 1.0]), "increasing heights in metres"),
        (lambda t: as_bytes(xr.DataArray([1.0]), 0, 0), "the first must be below"),
    ],
)
def test_bad_input_is_named(call, says):
    with pytest.raises(ValueError, match=says):
        call(some_emitters(2))
