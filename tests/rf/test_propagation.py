"""Propagation models are checked against published numbers: ITU-R P.525 and the tables of P.528."""

import csv

import numpy as np
import pyproj
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.geo import slant_range_m
from engine.rf import MODELS
from engine.rf.propagation import (
    MIN_HORIZON_M,
    free_space_loss_db,
    free_space_power_dbm,
    horizon_m,
    inverse_square_intensity,
    unit_loss_distance_m,
)

distances = st.floats(1.0, 5e7)
frequencies = st.floats(1e5, 3e11)


@given(distances, frequencies)
def test_loss_is_the_published_formula(distance, freq):
    # P.525-4 equation (4), with the constant to more places: 20 log10(4 pi 1e9 / c).
    published = 32.447783 + 20 * np.log10(freq / 1e6) + 20 * np.log10(distance / 1e3)
    assert free_space_loss_db(distance, freq) == pytest.approx(published, abs=1e-6)


@given(distances, frequencies)
def test_loss_grows_by_six_db_per_doubling_of_distance_or_frequency(distance, freq):
    six = 20 * np.log10(2)
    loss = free_space_loss_db(distance, freq)
    assert free_space_loss_db(2 * distance, freq) - loss == pytest.approx(six, abs=1e-9)
    assert free_space_loss_db(distance, 2 * freq) - loss == pytest.approx(six, abs=1e-9)


@pytest.mark.parametrize("mhz", [300, 1200, 5100])
def test_loss_over_slant_range_agrees_with_the_tables_of_p528(real_data, mhz):
    with open(real_data(f"vectors/p528_{mhz}MHz_0.50.csv"), newline="") as lines:
        _, heights2, heights1, _, *rows = list(csv.reader(lines))
    upper_m, lower_m = float(heights2[2]), float(heights1[2])
    table = np.array([[float(row[0]), float(row[1])] for row in rows[:400]])
    ahead = pyproj.Geod(ellps="WGS84").fwd(np.zeros(400), np.zeros(400), np.full(400, 90.0), table[:, 0] * 1e3)
    distance = slant_range_m(0.0, 0.0, lower_m, ahead[1], ahead[0], upper_m)
    # The table has one decimal, and measures along a ray above a sphere where we take the chord of an ellipsoid.
    np.testing.assert_allclose(free_space_loss_db(distance, mhz * 1e6), table[:, 1], atol=0.12)


@pytest.mark.parametrize("mhz", [300, 1200, 5100])
def test_straight_up_the_tables_of_p528_are_free_space(real_data, mhz):
    with open(real_data(f"vectors/p528_{mhz}MHz_0.50.csv"), newline="") as lines:
        _, heights2, heights1, _, overhead, *_ = list(csv.reader(lines))
    upper = np.array(heights2[2:], dtype=float)
    lower = np.array(heights1[2:], dtype=float)
    published = np.array(overhead[2:], dtype=float)
    apart = upper > lower
    # P.528 adds gas absorption, which is below 0.1 dB on a vertical path at these frequencies.
    np.testing.assert_allclose(free_space_loss_db((upper - lower)[apart], mhz * 1e6), published[apart], atol=0.15)


@given(frequencies)
def test_loss_is_nothing_at_the_unit_loss_distance(freq):
    assert free_space_loss_db(unit_loss_distance_m(freq), freq) == pytest.approx(0.0, abs=1e-9)


def test_received_power_of_a_textbook_link():
    # Geostationary downlink: 35 786 km at 12 GHz loses 205.1 dB (Maral & Bousquet, Satellite Communications Systems).
    assert free_space_power_dbm(80.0, 35_786e3, 12e9) == pytest.approx(80.0 - 205.1, abs=0.05)


@given(st.floats(0, 1e7), st.floats(0, 100), st.floats(1e-3, 1e8))
def test_intensity_never_exceeds_weight_over_eps(distance, weight, eps):
    assert 0 <= inverse_square_intensity(distance, weight, eps) <= weight / eps * (1 + 1e-12)


def test_horizon_is_the_four_thirds_earth():
    # 4.12 (sqrt(10 000) + sqrt(100)) km.
    assert horizon_m(10_000.0, 100.0) == pytest.approx(453_200.0)
    assert horizon_m(100.0, 10_000.0) == horizon_m(10_000.0, 100.0)


def test_a_geostationary_satellite_is_seen_from_where_it_stands_more_than_ten_degrees_high_and_not_from_behind():
    # Slant range 40 586 km at 10 degrees of elevation; 42 164 + 6 378 = 48 542 km from the far side.
    reach = horizon_m(35_786_000.0, 0.0)
    assert 40_586_000.0 < reach < 48_542_000.0


def test_emitters_on_the_ellipsoid_or_below_still_reach_as_far_as_two_handheld_antennas():
    np.testing.assert_array_equal(horizon_m([0.0, -50.0], 0.0), MIN_HORIZON_M)
    assert pytest.approx(2 * 4_120 * 1.5**0.5) == MIN_HORIZON_M
    assert horizon_m(0.0, 0.0, min_horizon_m=0.0) == 0.0


def test_models_are_offered_by_name_and_cannot_be_changed():
    assert {"free_space", "inverse_square"} <= set(MODELS)
    assert all(model.name == name for name, model in MODELS.items())
    with pytest.raises(TypeError):
        MODELS["mine"] = MODELS["free_space"]
