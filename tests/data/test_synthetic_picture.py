"""The invented air picture moves as aircraft move, and reads as the recorded one reads."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import Geod

from data.synthetic import MAX_BANK_DEG, STANDARD_RATE_DEG_S, air_picture, write_json

ELLIPSOID = Geod(ellps="WGS84")
KNOT_M_S = 1852.0 / 3600.0


def turned(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Signed angle from one direction to another, degrees."""
    return (second - first + 180.0) % 360.0 - 180.0


def flights(picture: pd.DataFrame) -> list[pd.DataFrame]:
    return [flight for _, flight in picture.groupby("icao24")]


def test_same_seed_same_picture_other_seed_other_picture() -> None:
    pd.testing.assert_frame_equal(air_picture(seed=4, n=5), air_picture(seed=4, n=5))
    assert not air_picture(seed=4, n=5).equals(air_picture(seed=5, n=5))


def test_a_longer_picture_begins_as_the_shorter_one() -> None:
    short, long = air_picture(seed=2, n=4, duration_s=300), air_picture(seed=2, n=4, duration_s=900)
    pd.testing.assert_frame_equal(long.iloc[: len(short)], short)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000), lat=st.floats(-70, 70), lon=st.floats(-180, 180))
def test_positions_agree_with_ground_speed_and_track(seed: int, lat: float, lon: float) -> None:
    for flight in flights(air_picture(seed=seed, n=3, duration_s=600, step_s=1, centre=(lat, lon))):
        lons, lats = flight.longitude.to_numpy(), flight.latitude.to_numpy()
        azimuth, _, moved_m = ELLIPSOID.inv(lons[:-1], lats[:-1], lons[1:], lats[1:])
        speed, track = flight.groundspeed.to_numpy() * KNOT_M_S, flight.track.to_numpy()
        np.testing.assert_allclose(moved_m, (speed[1:] + speed[:-1]) / 2.0, rtol=1e-3)
        halfway = track[:-1] + turned(track[:-1], track[1:]) / 2.0
        # Half a degree: where a turn begins between two fixes, the chord is not along the mean track.
        assert np.abs(turned(azimuth, halfway)).max() < 0.5


def test_turns_keep_to_standard_rate_and_to_the_bank_limit() -> None:
    for flight in flights(air_picture(seed=8, n=60, duration_s=1200, step_s=1)):
        rate_deg_s = np.abs(turned(flight.track.to_numpy()[:-1], flight.track.to_numpy()[1:])).max()
        slowest_m_s = flight.groundspeed.min() * KNOT_M_S
        banked_deg_s = np.degrees(9.80665 * np.tan(np.radians(MAX_BANK_DEG)) / slowest_m_s)
        # The map's scale changes directions by a few per cent away from its centre.
        assert rate_deg_s < 1.08 * min(STANDARD_RATE_DEG_S, banked_deg_s)


def test_altitude_is_the_integral_of_vertical_rate() -> None:
    for flight in flights(air_picture(seed=8, n=40, duration_s=3600, step_s=1)):
        climbed_ft = np.diff(flight.altitude)
        rates = flight.vertical_rate.to_numpy()
        steady = rates[1:] == rates[:-1]
        np.testing.assert_allclose(climbed_ft[steady], rates[1:][steady] / 60.0, atol=1e-6)
        assert np.abs(climbed_ft).max() <= np.abs(rates).max() / 60.0 + 1e-6


def test_some_climb_some_descend_some_turn_and_some_do_not() -> None:
    picture = air_picture(seed=0)
    assert (picture.vertical_rate > 0).any() and (picture.vertical_rate < 0).any()
    assert 0.1 < (picture.vertical_rate == 0).mean() < 0.95
    assert picture.groupby("icao24").track.apply(lambda track: np.abs(np.diff(track)).max() > 1.0).all()


def test_circuits_stay_in_the_area_for_a_day() -> None:
    picture = air_picture(seed=1, n=30, duration_s=86_400, step_s=60, radius_m=100e3)
    _, _, away_m = ELLIPSOID.inv(
        np.full(len(picture), 8.2), np.full(len(picture), 46.8), picture.longitude, picture.latitude
    )
    # 100 km to where a circuit begins, and across the widest circuit: two legs of 300 s at 480 kt, and a turn.
    assert away_m.max() < 100e3 + 180e3


def test_a_written_picture_has_the_fields_of_the_recorded_one(tmp_path: Path, real_data: Callable[[str], Path]) -> None:
    def first(path: Path) -> dict[str, object]:
        with gzip.open(path) as stream:
            return json.load(stream)[0]

    invented = first(write_json(air_picture(n=2, duration_s=60), tmp_path / "new/picture.json.gz"))
    recorded = first(real_data("tracks/switzerland.json.gz"))
    assert invented.pop("synthetic") is True
    assert set(invented) == set(recorded)
    numbers = {name for name, value in recorded.items() if isinstance(value, (int, float))}
    assert numbers == {name for name, value in invented.items() if isinstance(value, (int, float))}
    assert invented["timestamp"] == 1_577_836_800_000  # 2020-01-01T00:00:00Z


def test_invented_addresses_cannot_be_taken_for_real_ones() -> None:
    for address in air_picture(n=1200, duration_s=10).icao24:
        with pytest.raises(ValueError, match="invalid literal"):
            int(address, 16)


@pytest.mark.parametrize("wrong", [{"n": 0}, {"step_s": 0.0}, {"duration_s": -1.0}, {"centre": (89.0, 0.0)}])
def test_impossible_pictures_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"positive|pole"):
        air_picture(**wrong)  # type: ignore[arg-type]
