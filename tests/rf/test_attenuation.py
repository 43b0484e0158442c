"""Gas and rain are held against published vectors, the reference atmosphere against the standard one of 1976."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad

from engine.rf import gas_attenuation_db_per_km, rain_attenuation_db_per_km
from engine.rf.atmosphere import reference_atmosphere
from engine.rf.attenuation import (
    EARTH_RADIUS_M,
    K_FACTOR,
    gas_attenuation_parts_db_per_km,
    gas_path_attenuation_db,
    rain_coefficients,
    scale_height_factor,
)

frequencies = st.floats(1e9, 1000e9)
heights = st.floats(0.0, 20_000.0)


def test_gas_agrees_with_the_published_vectors_of_p676_to_a_millionth(real_data):
    ghz, pressure, vapour, temperature, dry, wet = np.loadtxt(
        real_data("vectors/p676_gamma.csv"), delimiter=",", skiprows=1, unpack=True
    )
    assert ghz.size == 2500
    ours = gas_attenuation_parts_db_per_km(ghz * 1e9, pressure, temperature, vapour)
    np.testing.assert_allclose(ours[0], dry, rtol=1e-6)
    np.testing.assert_allclose(ours[1], wet, rtol=1e-6)
    both = gas_attenuation_db_per_km(ghz * 1e9, pressure, temperature, vapour)
    np.testing.assert_allclose(both, dry + wet, rtol=1e-6)


def test_rain_agrees_with_the_published_vectors_of_p838_to_their_last_digit(real_data):
    elevation, ghz, rain, tilt, k, alpha, gamma = np.loadtxt(
        real_data("vectors/p838_rain.csv"), delimiter=",", skiprows=2, unpack=True
    )
    ours = rain_coefficients(ghz * 1e9, tilt, elevation)
    np.testing.assert_allclose(ours[0], k, atol=6e-9)
    np.testing.assert_allclose(ours[1], alpha, atol=6e-9)
    np.testing.assert_allclose(rain_attenuation_db_per_km(ghz * 1e9, rain, tilt, elevation), gamma, atol=6e-9)


@pytest.mark.parametrize(
    ("ghz", "k_h", "alpha_h", "k_v", "alpha_v"),
    [
        (1, 0.0000259, 0.9691, 0.0000308, 0.8592),
        (10, 0.01217, 1.2571, 0.01129, 1.2156),
        (100, 1.3671, 0.6815, 1.3680, 0.6765),
    ],
)
def test_rain_coefficients_are_those_of_table_5_of_p838(ghz, k_h, alpha_h, k_v, alpha_v):
    # Printed to four digits, alpha to four decimals.
    k, alpha = rain_coefficients(ghz * 1e9, polarisation_tilt_deg=[0.0, 90.0])
    np.testing.assert_allclose(k, [k_h, k_v], rtol=2e-3 if ghz == 1 else 5e-4)
    np.testing.assert_allclose(alpha, [alpha_h, alpha_v], atol=6e-5)


@given(frequencies, st.floats(0, 150), st.floats(0, 150), st.floats(0, 90))
def test_more_rain_takes_more(freq, rain, more, elevation):
    low, high = sorted((rain, more))
    assert rain_attenuation_db_per_km(freq, low, 0.0, elevation) <= rain_attenuation_db_per_km(
        freq, high, 0.0, elevation
    )
    assert rain_attenuation_db_per_km(freq, 0.0, 0.0, elevation) == 0.0


@given(frequencies, st.floats(1, 1100), st.floats(200, 320), st.floats(0, 20))
def test_dry_air_takes_no_more_for_vapour_that_is_not_there(freq, pressure, temperature, vapour):
    dry, wet = gas_attenuation_parts_db_per_km(freq, pressure, temperature, 0.0)
    assert dry > 0.0
    assert wet == 0.0
    assert gas_attenuation_parts_db_per_km(freq, pressure, temperature, vapour)[1] >= 0.0


@pytest.mark.parametrize(
    ("geopotential_km", "hpa", "kelvin"),
    [(0, 1013.25, 288.15), (11, 226.321, 216.65), (20, 54.7489, 216.65), (32, 8.68019, 228.65), (47, 1.10906, 270.65),
     (51, 0.669389, 270.65), (71, 0.0395642, 214.65)],
)  # fmt: skip
def test_the_reference_atmosphere_is_the_standard_atmosphere_of_1976(geopotential_km, hpa, kelvin):
    alt_m = 1e3 * geopotential_km * 6356.766 / (6356.766 - geopotential_km)
    for side_m in (-0.01, 0.01):
        dry, temperature, vapour = reference_atmosphere(alt_m + side_m, surface_water_vapour_g_m3=0.0)
        assert dry == pytest.approx(hpa, rel=1e-4)
        assert temperature == pytest.approx(kelvin, abs=1e-3)
        assert vapour == 0.0


def test_water_vapour_halves_every_1386_m_and_never_falls_below_its_share():
    _, _, vapour = reference_atmosphere([0.0, 2000.0 * np.log(2), 15_000.0, 30_000.0])
    assert vapour[1] == pytest.approx(vapour[0] / 2)
    dry, temperature, vapour = reference_atmosphere(np.array([30_000.0, 60_000.0]))
    np.testing.assert_allclose(vapour * temperature / 216.7 / dry, 2e-6, rtol=1e-3)


def by_quadrature(freq, alt1_m, alt2_m, distance_m):
    """The same integral along the same ray, by adaptive quadrature of specific attenuation itself."""
    earth = EARTH_RADIUS_M * K_FACTOR
    r1, r2 = earth + alt1_m, earth + alt2_m
    rise = (r2**2 - r1**2 - distance_m**2) / (2 * distance_m * r1)

    def specific(s):
        height = np.sqrt(r1**2 + s**2 + 2 * s * r1 * rise) - earth
        return float(gas_attenuation_db_per_km(freq, *reference_atmosphere(height))) / 1e3

    pieces = np.linspace(0, distance_m, 25)
    return sum(quad(specific, a, b, epsrel=1e-7)[0] for a, b in pairwise(pieces))


@pytest.mark.parametrize("freq", [1.09e9, 22.2e9, 60e9])
@pytest.mark.parametrize(
    ("alt1_m", "alt2_m", "distance_m"),
    [(10, 10e3, 9990.0), (10, 10e3, 300e3), (10e3, 10, 300e3), (3000, 3000, 200e3), (0, 60e3, 120e3)],
)
def test_the_closed_form_along_a_path_is_the_integral(freq, alt1_m, alt2_m, distance_m):
    ours = gas_path_attenuation_db(freq, alt1_m, alt2_m, distance_m)
    assert ours == pytest.approx(by_quadrature(freq, alt1_m, alt2_m, distance_m), rel=1e-4)


def test_a_short_level_path_takes_its_length_times_specific_attenuation():
    per_km = gas_attenuation_db_per_km(10e9, *reference_atmosphere(0.0))
    assert gas_path_attenuation_db(10e9, 0.0, 0.0, 1000.0) == pytest.approx(per_km, rel=1e-6)


@given(heights, heights, st.floats(0.0, 300e3), st.floats(1e3, 100e3))
def test_a_path_is_the_same_from_both_ends_and_its_parts_add_up(alt1_m, alt2_m, level_m, freq_mhz):
    freq = freq_mhz * 1e6
    earth = EARTH_RADIUS_M * K_FACTOR
    a = np.array([0.0, earth + alt1_m])
    angle = level_m / earth
    b = (earth + alt2_m) * np.array([np.sin(angle), np.cos(angle)])
    middle = (a + b) / 2
    distance, half = np.linalg.norm(b - a), np.linalg.norm(b - middle)
    alt_m = np.linalg.norm(middle) - earth
    if distance < 1.0 or alt_m < 0.0:
        return
    whole = gas_path_attenuation_db(freq, alt1_m, alt2_m, distance)
    assert gas_path_attenuation_db(freq, alt2_m, alt1_m, distance) == pytest.approx(float(whole), rel=1e-9)
    parts = gas_path_attenuation_db(freq, [alt1_m, alt_m], [alt_m, alt2_m], half)
    # The slant of a nearly vertical path is a small difference of large numbers; the integral claims 2e-4.
    assert parts.sum() == pytest.approx(float(whole), rel=2e-5)


def test_straight_up_to_a_satellite_all_the_air_counts_and_no_more():
    to_space = gas_path_attenuation_db(12e9, 0.0, [100e3, 500e3, 35_786e3], [100e3, 500e3, 35_786e3])
    np.testing.assert_allclose(to_space, to_space[0], rtol=1e-9)


def test_the_scale_height_baseline_is_one_over_e_at_8_km():
    assert scale_height_factor(8000.0) == pytest.approx(1 / np.e)
    assert scale_height_factor(0.0) == 1.0


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: gas_attenuation_db_per_km(1e6, 1000, 290, 7), "freq_hz is 1000000.0"),
        (lambda: gas_attenuation_db_per_km(1e10, -1, 290, 7), "pressure_hpa is -1.0"),
        (lambda: gas_attenuation_db_per_km(1e10, 1000, [290, np.nan], 7), "temperature_k is nan"),
        (lambda: rain_attenuation_db_per_km(1e10, -5.0), "rain_mm_h is -5.0"),
        (lambda: gas_path_attenuation_db(1e10, 0.0, 1000.0, 500.0), "distance_m is 500.0 m between heights"),
    ],
)
def test_errors_name_the_argument_and_its_value(call, words):
    with pytest.raises(ValueError, match=words):
        call()
