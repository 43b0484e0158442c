"""TDoA positions are held against the Cramér–Rao bound, SciPy's least squares, PROJ and real arrival times."""

import json

import numpy as np
import pandas as pd
import pyproj
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import least_squares
from scipy.stats import chi2

from engine.geo import geodetic_to_ecef, local_offset_m
from engine.rf import Grid, crlb_tdoa, gdop_field, locate_tdoa
from engine.rf._ellipsoid import ecef_to_geodetic, height_and_normal
from engine.rf.tdoa import SPEED_IN_AIR_M_S, locate_tdoa_gradient_descent
from engine.units import SPEED_OF_LIGHT_M_S

NOISE_S = 20e-9
BOX_M = 50e3


def arrivals(sensors, positions, sigma_s, rng):
    """Time differences against the first sensor, with independent noise at every sensor."""
    range_m = np.linalg.norm(sensors - positions[:, None], axis=2)
    toa = range_m / SPEED_OF_LIGHT_M_S + rng.normal(0.0, 1.0, range_m.shape) * sigma_s
    return toa[:, 1:] - toa[:, :1]


def in_a_box(n, m, rng, emitters=1.0):
    return rng.uniform(-BOX_M, BOX_M, (n, m, 3)), rng.uniform(-BOX_M, BOX_M, (n, 3)) * emitters


def over_land(n, m, rng, half_deg=1.0, emitters=1.5):
    """Receivers on the ground and aircraft above and around them."""
    lat, lon = 47 + rng.uniform(-half_deg, half_deg, (n, m)), 8 + 1.5 * rng.uniform(-half_deg, half_deg, (n, m))
    sensors = np.stack(geodetic_to_ecef(lat, lon, rng.uniform(200, 900, (n, m))), axis=-1)
    alt_m = rng.uniform(0, 12_000, n)
    lat, lon = 47 + emitters * rng.uniform(-half_deg, half_deg, n), 8 + 1.5 * emitters * rng.uniform(-1, 1, n)
    return sensors, np.stack(geodetic_to_ecef(lat, lon, alt_m), axis=-1), alt_m


def errors_in_sigmas(fixes, positions):
    """Error over the claimed standard deviation of the position, and squared error in the claimed covariance."""
    ok = fixes.ok.values
    wrong, claimed = (fixes.position_ecef_m.values - positions)[ok], fixes.covariance_m2.values[ok]
    ratio = np.linalg.norm(wrong, axis=1) / np.sqrt(np.trace(claimed, axis1=1, axis2=2))
    return ratio, np.einsum("ni,nij,nj->n", wrong, np.linalg.inv(claimed), wrong)


@pytest.mark.parametrize("m", [5, 8, 12])
def test_random_geometry_meets_the_cramer_rao_bound(m):
    rng = np.random.default_rng(m)
    sensors, positions = in_a_box(20_000, m, rng)
    tdoa = arrivals(sensors, positions, NOISE_S, rng)
    fixes = locate_tdoa(sensors, tdoa, NOISE_S)
    bound = np.trace(crlb_tdoa(sensors, positions, NOISE_S), axis1=1, axis2=2)
    ok = fixes.ok.values
    wrong = np.linalg.norm(fixes.position_ecef_m.values - positions, axis=1)
    assert ok.mean() > (0.999 if m >= 8 else 0.99)
    # Relative to the bound of each geometry, and of all of them together.
    assert np.sqrt(np.mean(wrong[ok] ** 2 / bound[ok])) <= 1.1
    assert np.sqrt(np.mean(wrong[ok] ** 2)) <= 1.1 * np.sqrt(np.mean(bound[ok]))
    ratio, square = errors_in_sigmas(fixes, positions)
    assert ratio.max() < 10
    assert np.mean(square < chi2.ppf(0.9, 3)) == pytest.approx(0.9, abs=0.01)
    by_descent = locate_tdoa_gradient_descent(sensors[:2000], tdoa[:2000])
    baseline = np.linalg.norm(by_descent - positions[:2000], axis=1)[ok[:2000]]
    assert np.sqrt(np.mean(baseline**2)) > 50 * np.sqrt(np.mean(wrong[:2000][ok[:2000]] ** 2))


SETTINGS = [
    *((f"{m} sensors, {s:g} s", m, s, 1.0, None) for m in (4, 5, 8) for s in (2e-7, 2e-6, 2e-5)),
    *((f"{m} sensors, {far} times as far", m, NOISE_S, far, None) for m in (4, 5, 8) for far in (3, 10, 100)),
    *((f"{m} on land, height to {s} m", m, 50e-9, 1.5, s) for m in (3, 4, 5) for s in (1.0, 100.0)),
    *((f"{m} on land, far around, height to 100 m", m, 50e-9, 4.0, 100.0) for m in (3, 4, 5)),
]


@pytest.mark.parametrize(("m", "sigma_s", "emitters", "alt_sigma_m"), [s[1:] for s in SETTINGS],
                         ids=[s[0] for s in SETTINGS])  # fmt: skip
def test_no_position_is_off_by_ten_of_its_claimed_sigmas(m, sigma_s, emitters, alt_sigma_m):
    rng = np.random.default_rng(7)
    options = {}
    if alt_sigma_m is None:
        sensors, positions = in_a_box(4000, m, rng, emitters)
    else:
        sensors, positions, alt_m = over_land(4000, m, rng, emitters=emitters)
        options = {"alt_m": alt_m + rng.normal(0, alt_sigma_m, 4000), "alt_sigma_m": alt_sigma_m}
    fixes = locate_tdoa(sensors, arrivals(sensors, positions, sigma_s, rng), sigma_s, **options)
    ratio, _ = errors_in_sigmas(fixes, positions)
    assert (ratio < 10).all()
    assert np.isnan(fixes.position_ecef_m.values[~fixes.ok.values]).all()
    assert (fixes.reason.values[~fixes.ok.values] != "ok").all()


def whitened(sensors, rho_m, sigma_m):
    """Residuals of range differences, whitened by the explicit covariance of differences against sensor 0."""
    covariance = np.diag(sigma_m[1:] ** 2) + sigma_m[0] ** 2
    whiten = np.linalg.inv(np.linalg.cholesky(covariance))

    def residuals(x):
        range_m = np.linalg.norm(sensors - x, axis=1)
        return whiten @ (rho_m - (range_m[1:] - range_m[0]))

    return residuals


def test_weights_are_those_of_the_full_covariance_of_range_differences():
    rng = np.random.default_rng(3)
    sensors, positions = in_a_box(40, 7, rng)
    sigma_s = NOISE_S * rng.uniform(0.2, 5.0, 7)
    tdoa = arrivals(sensors, positions, sigma_s, rng)
    fixes = locate_tdoa(sensors, tdoa, sigma_s)
    for k in np.flatnonzero(fixes.ok.values):
        twin = whitened(sensors[k], tdoa[k] * SPEED_OF_LIGHT_M_S, sigma_s * SPEED_OF_LIGHT_M_S)
        exact = least_squares(twin, positions[k], x_scale=1e4, xtol=1e-15, ftol=1e-15, gtol=1e-15)
        claimed = np.linalg.inv(exact.jac.T @ exact.jac)
        np.testing.assert_allclose(fixes.position_ecef_m[k], exact.x, atol=1e-3 * np.sqrt(np.trace(claimed)))
        np.testing.assert_allclose(fixes.covariance_m2[k], claimed, rtol=1e-4, atol=1e-4 * np.trace(claimed))
        assert fixes.chi2[k] == pytest.approx(2 * exact.cost, rel=1e-4)


@given(st.integers(0, 10_000), st.integers(5, 12))
def test_without_noise_the_position_is_exact_and_no_sensor_is_special(seed, m):
    rng = np.random.default_rng(seed)
    sensors, positions = in_a_box(1, m, rng)
    order = rng.permutation(m)
    there = locate_tdoa(sensors[0], arrivals(sensors, positions, 0.0, rng), NOISE_S)
    mixed = locate_tdoa(sensors[0][order], arrivals(sensors[:, order], positions, 0.0, rng), NOISE_S)
    for fixes in (there, mixed):
        if fixes.ok.item():
            sigma_m = np.sqrt(np.trace(fixes.covariance_m2.values[0]))
            np.testing.assert_allclose(fixes.position_ecef_m.values[0], positions[0], atol=1e-4 * sigma_m)
    assert there.ok.item() == mixed.ok.item() or m == 5


def test_a_sensor_that_did_not_hear_is_as_good_as_absent():
    rng = np.random.default_rng(5)
    sensors, positions = in_a_box(200, 8, rng)
    tdoa = arrivals(sensors, positions, NOISE_S, rng)
    deaf = tdoa.copy()
    deaf[:, 4] = np.nan
    kept = [0, 1, 2, 3, 4, 6, 7]
    with_gap = locate_tdoa(sensors, deaf, NOISE_S)
    without = locate_tdoa(sensors[:, kept], np.delete(tdoa, 4, axis=1), NOISE_S)
    np.testing.assert_allclose(with_gap.position_ecef_m, without.position_ecef_m, atol=1e-4)
    assert np.isnan(with_gap.residual_s[:, 5]).all()


ROUND_MAST = 1e4 * np.array([[1, 1, 1], [-1, -1, 1], [-1, 1, -1], [1, -1, -1], [0, 0, 2], [2, 0, 0.5]])


def reason(sensors, position, shift_s=0.0, **options):
    rng = np.random.default_rng(0)
    tdoa = arrivals(sensors[None], np.asarray(position, dtype=float)[None], NOISE_S / 10, rng)
    tdoa[0, 0] += shift_s
    fix = locate_tdoa(sensors, tdoa, NOISE_S, **options)
    assert np.isfinite(fix.position_ecef_m).all().item() == fix.ok.item()
    assert np.isfinite(fix.covariance_m2).all().item() == fix.ok.item()
    return fix.reason.item()


def test_a_failure_is_stated_and_gives_no_position():
    here = [1000.0, 2000.0, 3000.0]
    flat = ROUND_MAST * [1, 1, 0]
    in_line = ROUND_MAST * [1, 0, 0]
    assert reason(ROUND_MAST, here) == "ok"
    assert reason(ROUND_MAST[:3], here) == "too few sensors"
    assert reason(flat, here) == "ambiguous"
    assert reason(in_line, here) in {"bad geometry", "not converged"}
    assert reason(np.repeat(ROUND_MAST[:1], 6, axis=0), here) == "bad geometry"
    assert reason(ROUND_MAST, here, shift_s=1e-6) == "inconsistent"
    assert reason(ROUND_MAST, here, shift_s=1.0) in {"inconsistent", "not converged", "bad geometry"}
    assert reason(ROUND_MAST, np.multiply(here, 500)) in {"below threshold", "bad geometry", "ambiguous"}
    assert reason(ROUND_MAST, here, shift_s=np.inf) == "bad input"
    nowhere = np.vstack([ROUND_MAST[:-1], [np.nan] * 3])
    assert locate_tdoa(nowhere, np.zeros(5), NOISE_S).reason.item() == "bad input"


def test_the_height_range_decides_between_mirror_images():
    rng = np.random.default_rng(4)
    # Some kilometres apart, so that the earth's curve does not tell above from below.
    lat, lon = rng.uniform(47.05, 47.15, 7), rng.uniform(8.05, 8.15, 7)
    sensors = np.stack(geodetic_to_ecef(lat, lon, 400.0), axis=-1)
    aircraft = np.array(geodetic_to_ecef(47.1, 8.1, 11_000.0))
    tdoa = arrivals(sensors[None], aircraft[None], NOISE_S, rng)
    assert locate_tdoa(sensors, tdoa, NOISE_S).reason.item() == "ambiguous"
    above = locate_tdoa(sensors, tdoa, NOISE_S, alt_range_m=(-500, 20_000))
    assert above.ok.item()
    assert above.alt_m.item() == pytest.approx(11_000, abs=6 * np.sqrt(np.trace(above.covariance_m2.values[0])))
    assert locate_tdoa(sensors, tdoa, NOISE_S, alt_range_m=(20_000, 30_000)).reason.item() == "outside limits"


def test_three_sensors_and_a_height_need_to_know_how_far_they_hear():
    rng = np.random.default_rng(13)
    sensors, positions, alt_m = over_land(4000, 3, rng)
    tdoa = arrivals(sensors, positions, 50e-9, rng)
    known = {"alt_m": alt_m, "alt_sigma_m": 30.0}
    anywhere = locate_tdoa(sensors, tdoa, 50e-9, **known)
    heard = locate_tdoa(sensors, tdoa, 50e-9, **known, reach_m=500e3)
    assert heard.ok.sum() > 2 * anywhere.ok.sum()
    ratio, _ = errors_in_sigmas(heard, positions)
    assert (ratio < 10).all()


def test_the_ellipse_holds_its_share_of_horizontal_errors():
    rng = np.random.default_rng(6)
    sensors, positions, alt_m = over_land(10_000, 5, rng)
    tdoa = arrivals(sensors, positions, 50e-9, rng)
    fixes = locate_tdoa(sensors, tdoa, 50e-9, alt_m=alt_m + rng.normal(0, 100, 10_000), alt_sigma_m=100.0)
    lat, lon, _ = ecef_to_geodetic(*positions.T)
    assert np.mean(within_ellipse(fixes, lat, lon) < chi2.ppf(0.9, 2)) == pytest.approx(0.9, abs=0.015)
    assert (fixes.ellipse_major_m >= fixes.ellipse_minor_m).values[fixes.ok.values].all()


def within_ellipse(fixes, lat, lon, scale=1.0):
    """Squared horizontal error of the positions that are ok, in the claimed ellipse."""
    east, north = local_offset_m(lat, lon, fixes.lat.values, fixes.lon.values)
    azimuth = np.radians(fixes.ellipse_azimuth_deg.values)
    along = east * np.sin(azimuth) + north * np.cos(azimuth)
    across = east * np.cos(azimuth) - north * np.sin(azimuth)
    square = (along / fixes.ellipse_major_m.values) ** 2 + (across / fixes.ellipse_minor_m.values) ** 2
    return square[fixes.ok.values] / scale**2


def test_uncertain_sensors_and_clocks_widen_the_claim_as_much_as_the_error():
    rng = np.random.default_rng(8)
    sensors, positions = in_a_box(10_000, 8, rng)
    surveyed = sensors + rng.normal(0, 15.0, sensors.shape)
    tdoa = arrivals(sensors, positions, np.hypot(NOISE_S, 40e-9), rng)
    fixes = locate_tdoa(surveyed, tdoa, NOISE_S, sensor_sigma_m=15.0, clock_sigma_s=40e-9)
    _, square = errors_in_sigmas(fixes, positions)
    assert np.mean(square < chi2.ppf(0.9, 3)) == pytest.approx(0.9, abs=0.012)


def test_one_wrong_arrival_is_noticed_or_shifts_no_more_than_the_stated_reliability():
    rng = np.random.default_rng(9)
    sensors, positions = in_a_box(10_000, 8, rng)
    tdoa = arrivals(sensors, positions, NOISE_S, rng)
    tdoa[np.arange(10_000), rng.integers(0, 7, 10_000)] += 1e-6
    fixes = locate_tdoa(sensors, tdoa, NOISE_S)
    assert np.mean(fixes.reason.values == "inconsistent") > 0.99
    _, square = errors_in_sigmas(fixes, positions)
    # Four standard deviations more for the noise of all the others.
    assert (np.sqrt(square) < fixes.external_reliability.values[fixes.ok.values] + 4).all()


def test_the_bound_is_the_inverse_of_fishers_information():
    rng = np.random.default_rng(10)
    sensors, positions, _ = over_land(20, 6, rng)
    sigma_s = NOISE_S * rng.uniform(0.5, 2.0, 6)
    bound = crlb_tdoa(sensors, positions, sigma_s, alt_sigma_m=30.0)
    for k in range(20):
        differences = whitened(sensors[k], np.zeros(5), sigma_s * SPEED_OF_LIGHT_M_S)

        def measured(x, differences=differences):
            return np.append(differences(x), ecef_to_geodetic(*x)[2] / 30.0)

        steps = np.eye(3) * 5.0
        slope = np.stack([(measured(positions[k] + d) - measured(positions[k] - d)) / 10.0 for d in steps], axis=1)
        np.testing.assert_allclose(bound[k], np.linalg.inv(slope.T @ slope), rtol=1e-5, atol=1e-5 * np.trace(bound[k]))


def test_the_bound_of_too_few_sensors_is_infinite():
    bound = crlb_tdoa(ROUND_MAST[:3], [[0.0, 0.0, 0.0]], NOISE_S)
    assert np.isinf(np.diagonal(bound, axis1=1, axis2=2)).all()


def test_dilution_on_a_grid_is_the_bound_for_unit_ranges():
    rng = np.random.default_rng(11)
    lat, lon = rng.uniform(46, 48, 6), rng.uniform(6, 10, 6)
    sensors = np.stack(geodetic_to_ecef(lat, lon, rng.uniform(200, 900, 6)), axis=-1)
    grid = Grid.from_bounds(5, 45, 11, 49, shape=(12, 14), alt_m=[3000.0, 10_000.0])
    field = gdop_field(sensors, grid)
    cells = np.stack([axis.ravel() for axis in grid.ecef_m()], axis=-1)
    unit = 1 / SPEED_OF_LIGHT_M_S
    bound = np.trace(crlb_tdoa(sensors, cells, unit), axis1=1, axis2=2).reshape(field.gdop.shape)
    np.testing.assert_allclose(field.gdop**2, bound, rtol=1e-5)
    np.testing.assert_allclose(field.gdop**2, field.hdop**2 + field.vdop**2, rtol=1e-5)
    tied = crlb_tdoa(sensors, cells, unit, alt_sigma_m=1e-3)
    np.testing.assert_allclose(
        field.hdop_known_alt**2, np.trace(tied, axis1=1, axis2=2).reshape(bound.shape), rtol=1e-3
    )
    more = gdop_field(np.vstack([sensors, sensors.mean(axis=0)]), grid)
    for name in ("gdop", "hdop", "vdop", "hdop_known_alt"):
        assert (more[name] <= field[name] * 1.000001).all()


@given(st.floats(-90, 90), st.floats(-179.99, 179.99), st.floats(-10_000, 1e7))
def test_ecef_goes_back_to_where_it_came_from_and_where_proj_says(lat, lon, alt_m):
    x, y, z = geodetic_to_ecef(lat, lon, alt_m)
    ours = ecef_to_geodetic(x, y, z)
    assert float(ours[0]) == pytest.approx(lat, abs=1e-12)
    assert float(ours[2]) == pytest.approx(alt_m, abs=1e-7)
    assert height_and_normal(float(x), float(y), float(z))[3] == pytest.approx(np.sin(np.radians(lat)), abs=1e-12)
    if abs(lat) < 89.99:
        assert float(ours[1]) == pytest.approx(lon, abs=1e-11)
    # PROJ takes one step where we take two, and is off by more the higher it goes: 1 mm at 600 km.
    if alt_m > 100e3:
        return
    there = pyproj.Transformer.from_crs("EPSG:4978", "EPSG:4979", always_xy=True).transform(x, y, z)
    assert float(ours[0]) == pytest.approx(there[1], abs=1e-8)
    assert float(ours[2]) == pytest.approx(there[2], abs=1e-4)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"tdoa_s": np.zeros((2, 4))}, r"tdoa_s has shape \(2, 4\) for 6 sensors; \(N, 5\)"),
        ({"sensors_ecef_m": np.zeros((6, 2))}, r"sensors_ecef_m has shape \(6, 2\); \(M, 3\)"),
        ({"sensors_ecef_m": np.zeros((3, 6, 3))}, "sensors of 2 fixes"),
        ({"sigma_s": 0.0}, "sigma_s is 0.0"),
        ({"sigma_s": [1e-9, 1e-9]}, r"sigma_s has shape \(2,\)"),
        ({"alt_m": 100.0}, "both are needed"),
        ({"alt_m": 100.0, "alt_sigma_m": -1.0}, r"alt_sigma_m is \[-1. -1.\]"),
        ({"alt_range_m": (5.0, 5.0)}, r"alt_range_m is \(5.0, 5.0\)"),
        ({"reach_m": 0.0}, "reach_m is 0.0"),
        ({"speed_m_s": -1.0}, "speed_m_s is -1.0"),
        ({"consistency_p": 0.0}, "consistency_p is 0.0"),
    ],
)
def test_errors_name_the_argument_and_its_value(change, words):
    arguments = {"sensors_ecef_m": ROUND_MAST, "tdoa_s": np.zeros((2, 5)), "sigma_s": NOISE_S}
    with pytest.raises(ValueError, match=words):
        locate_tdoa(**(arguments | change))


@pytest.fixture(scope="module")
def real_arrivals(real_data):
    """LocaRDS: sensors (N, 5, 3), time differences, and the aircraft's own report, one row per message."""
    sensors = pd.read_csv(real_data("tdoa/sensors.csv")).set_index("serial")
    sets = [pd.read_csv(real_data(f"tdoa/set_{k}.csv")).assign(set=k) for k in range(1, 6)]
    told = pd.concat(sets, ignore_index=True)
    heard = np.array([json.loads(text) for text in told.measurements])
    at = sensors.loc[heard[:, :, 0].astype(int).ravel()]
    where = np.stack(geodetic_to_ecef(at.latitude, at.longitude, at.height), axis=-1).reshape(-1, 5, 3)
    toa = heard[:, :, 1] * 1e-9
    return where, toa[:, 1:] - toa[:, :1], told


def located(real_arrivals, sigma_s):
    where, tdoa, told = real_arrivals
    alt_m = told.geoAltitude.to_numpy()
    return locate_tdoa(where, tdoa, sigma_s, alt_m=alt_m, alt_sigma_m=100.0, speed_m_s=SPEED_IN_AIR_M_S)


def test_real_arrival_times_find_the_aircraft_within_60_m(real_arrivals):
    told = real_arrivals[2]
    fixes = located(real_arrivals, 100e-9)
    assert fixes.ok.mean() > 0.97
    east, north = local_offset_m(told.latitude, told.longitude, fixes.lat, fixes.lon)
    off_m = pd.Series(np.hypot(east, north)).groupby(told.set).median()
    assert np.nanmedian(np.hypot(east, north)) < 60
    assert off_m.mean() < 60
    # The fifth set has 74 messages, and another fifth of them from a network of its own.
    assert (off_m[:4] < 50).all()


def test_noise_learnt_from_one_set_makes_the_ellipse_right_for_the_others(real_arrivals):
    told = real_arrivals[2]
    fixes = located(real_arrivals, 300e-9)
    square = np.full(len(told), np.nan)
    square[fixes.ok.values] = within_ellipse(fixes, told.latitude, told.longitude)
    learnt = np.nanquantile(square[told.set == 1], 0.9)
    others = square[(told.set != 1) & fixes.ok.values]
    assert 0.85 < np.mean(others < learnt) < 0.95
    # And it is a plausible noise: between the receivers' tens of metres and what one would call broken.
    assert 100e-9 < 300e-9 * np.sqrt(learnt / chi2.ppf(0.9, 2)) < 600e-9


def test_what_is_left_of_the_error_lies_along_the_track_not_across(real_arrivals):
    told = real_arrivals[2]
    fixes = located(real_arrivals, 100e-9)
    east, north = local_offset_m(told.latitude, told.longitude, fixes.lat.values, fixes.lon.values)
    told = told.assign(east=east, north=north).sort_values("timeAtServer")
    along, across = [], []
    for _, track in told.groupby(["set", "aircraft"]):
        t, lat, lon = (track[name].to_numpy() for name in ("timeAtServer", "latitude", "longitude"))
        for k in range(1, len(track) - 1):
            if t[k + 1] - t[k - 1] < 120:
                d_east, d_north = np.array(local_offset_m(lat[k - 1], lon[k - 1], lat[k + 1], lon[k + 1]))
                length = np.hypot(d_east, d_north)
                e, n = track.east.iloc[k], track.north.iloc[k]
                along.append((e * d_east + n * d_north) / length)
                across.append((e * d_north - n * d_east) / length)
    # The report is older than the signal: aircraft are found some 30 m, a tenth of a second, ahead of it.
    assert len(along) > 100
    assert 15 < np.nanmedian(along) < 60
    assert abs(np.nanmedian(across)) < 5
