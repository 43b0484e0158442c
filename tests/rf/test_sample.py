"""The field at places, against the free-space formula written down here."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from engine.geo import geodetic_to_ecef
from engine.rf.sample import sample_field

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
    got = sample_field(MASTS, [place[0]], [place[1]], 1_000.0, horizon=False)
    assert got[0] == pytest.approx(free_space_dbm(*place, 1_000.0), abs=2e-3)


@pytest.mark.parametrize("place", [(90.0, 0.0), (-90.0, 12.0), (10.0, 180.0), (10.0, -180.0)])
def test_poles_and_the_antimeridian_are_places(place) -> None:
    got = sample_field(MASTS, [place[0]], [place[1]], 1e6, horizon=False)
    assert got[0] == pytest.approx(free_space_dbm(*place, 1e6), abs=2e-3)
