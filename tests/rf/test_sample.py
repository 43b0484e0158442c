"""The field at places: against the free-space formula written down here, and the raster against it."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from engine.geo import geodetic_to_ecef
from engine.rf.field import power_field
from engine.rf.grid import Grid
from engine.rf.sample import field_at_points, sample_field

MASTS = pd.DataFrame({
    "lat": [47.0, 46.8], "lon": [8.0, 8.3], "alt_m": [900.0, 600.0], "eirp_dbm": [40.0, 30.0], "freq_hz": [4e8, 1e9],
})  # fmt: skip


def free_space_dbm(lat: float, lon: float, alt_m: float) -> float:
    """ITU-R P.525, summed over the masts in mW."""
    here = np.array(geodetic_to_ecef(lat, lon, alt_m))
    total = 0.0
    for mast in MASTS.itertuples():
        d = np.linalg.norm(here - np.array(geodetic_to_ecef(mast.lat, mast.lon, mast.alt_m)))
        loss_db = 20 * np.log10(4 * np.pi * d * mast.freq_hz / 299_792_458.0)
        total += 10 ** ((mast.eirp_dbm - loss_db) / 10)
    return float(10 * np.log10(total))


@pytest.mark.parametrize("place", [(46.9, 8.1), (47.2, 7.9), (46.5, 9.0)])
def test_at_a_place_it_is_the_formula(place) -> None:
    got = field_at_points(MASTS, [place[0]], [place[1]], alt_m=1_000.0, horizon=False)
    assert got[0] == pytest.approx(free_space_dbm(*place, 1_000.0), abs=2e-3)


def test_from_a_raster_it_is_near_the_formula_and_exact_at_the_centres() -> None:
    grid = Grid.from_bounds(7.5, 46.5, 8.8, 47.5, shape=(300, 300), alt_m=1_000.0)
    field = power_field(MASTS, grid, horizon=False).power_dbm
    rng = np.random.default_rng(0)
    lat, lon = rng.uniform(46.55, 47.45, 200), rng.uniform(7.55, 8.75, 200)
    far = np.min([np.hypot((lat - m.lat) * 111, (lon - m.lon) * 76) for m in MASTS.itertuples()], axis=0) > 5.0
    exact = np.array([free_space_dbm(a, o, 1_000.0) for a, o in zip(lat, lon, strict=True)])
    assert np.abs(sample_field(field, lat, lon) - exact)[far].max() < 0.02
    centres = sample_field(field, field.lat.values[[3, 7]], field.lon.values[[10, 0]])
    assert centres == pytest.approx([field.values[3, 10], field.values[7, 0]], abs=1e-4)


def test_outside_and_nowhere_is_nan_and_no_power_is_nan() -> None:
    field = xr.DataArray([[np.nan, np.nan], [np.nan, -50.0]], {"lat": [0.0, 1.0], "lon": [0.0, 1.0]}, ("lat", "lon"),
                         attrs={"units": "dBm"})  # fmt: skip
    got = sample_field(field, [0.0, 1.0, 2.0, np.nan, 0.5], [0.0, 1.0, 0.5, 0.5, 0.5])
    assert np.isnan(got[[0, 2, 3]]).all() and got[1] == pytest.approx(-50.0)
    assert got[4] == pytest.approx(-50.0 - 10 * np.log10(4))
    assert np.isnan(field_at_points(MASTS, [np.nan, 47.0], [8.0, 8.1])).tolist() == [True, False]


@pytest.mark.parametrize("place", [(90.0, 0.0), (-90.0, 12.0), (10.0, 180.0), (10.0, -180.0)])
def test_poles_and_the_antimeridian_are_places(place) -> None:
    got = field_at_points(MASTS, [place[0]], [place[1]], alt_m=1e6, horizon=False)
    assert got[0] == pytest.approx(free_space_dbm(*place, 1e6), abs=2e-3)


def test_a_volume_is_refused() -> None:
    with pytest.raises(ValueError, match="one level"):
        sample_field(xr.DataArray(np.zeros((1, 2, 2)), dims=("alt", "lat", "lon")), [0.0], [0.0])
