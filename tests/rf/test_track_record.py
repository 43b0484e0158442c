"""The forecast's own record: right where the motion is known, blind to the future, plausible on real traffic."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyproj import Geod
from scipy.stats import chi2

from engine.ingest.tracks_read import read_tracks
from engine.rf.forecast import WINDOW_FIXES, forecast
from engine.rf.track_record import CHI2_90_2D, SCORED_HORIZONS_S, track_record
from engine.rf.tracks import RING_FIELDS, fixes_of

WGS84 = Geod(ellps="WGS84")


def straight_flight(n=120, step_s=5.0, speed_m_s=220.0, bearing=60.0, lat=46.5, lon=7.0):
    """Fixes along a geodesic of the ellipsoid at constant speed, by pyproj, seen 9 km above it."""
    time_s = np.arange(n) * step_s
    lons, lats, back = WGS84.fwd(*np.broadcast_arrays(lon, lat, bearing, speed_m_s * time_s))
    rows = np.full((n, len(RING_FIELDS)), np.nan)
    # 9 km up the way is longer than on the ellipsoid, and so the speed is higher.
    aloft_m_s = speed_m_s * (1.0 + 9_000.0 / 6_371_000.0)
    rows[:, :5] = np.column_stack([1.6e9 + time_s, lats, lons, np.full(n, 9_000.0), np.full(n, aloft_m_s)])
    # fwd gives the bearing back to the start; at the start itself it is the reverse of the first
    rows[:, 5], rows[:, 6] = (np.asarray(back) + 180.0) % 360.0, 0.0
    return rows


@pytest.mark.parametrize(("lat", "bearing"), [(46.5, 60.0), (-33.0, 200.0), (0.0, 0.0), (70.0, 90.0)])
def test_a_straight_flight_is_foretold_to_metres(lat, bearing):
    record = track_record(straight_flight(lat=lat, bearing=bearing))
    assert [r.horizon_s for r in record] == list(SCORED_HORIZONS_S)
    assert [r.n for r in record] == [120 - 2, 120 - 4, 120 - 13]
    for r, bound_m in zip(record, (0.1, 0.2, 0.5), strict=True):  # over a distance of 1.1, 3.3 and 13.2 km
        assert r.rmse_m < bound_m and r.inside_90 == 1.0


def test_who_stands_still_is_foretold_where_it_is():
    rows = straight_flight(speed_m_s=0.0)
    rows[:, 1] += 1e-9 * np.arange(len(rows))  # a tenth of a millimetre: a repeated place is no truth to score against
    assert all(r.n and r.rmse_m < 1.0 for r in track_record(rows))


@pytest.mark.parametrize("n", [0, 1, 2])
def test_without_enough_fixes_nothing_is_scored(n):
    for record in track_record(straight_flight(n=n, step_s=1.0)):
        assert record.n == 0
        assert np.isnan([record.rmse_m, record.median_m, record.inside_90]).all()


def crooked_flight(seed, n=60):
    rng = np.random.default_rng(seed)
    rows = straight_flight(n=n)
    rows[:, 1:3] += rng.normal(0.0, 2e-3, (n, 2))
    return rows


@given(st.integers(0, 1000), st.integers(20, 59))
def test_what_happens_later_does_not_change_earlier_scores(seed, cut):
    rows = crooked_flight(seed)
    spoilt = rows.copy()
    anywhere = np.random.default_rng(seed + 1).uniform([40, 0, 0, 0], [50, 15, 12_000, 300], (len(rows), 4))
    spoilt[cut:, 1:5] = anywhere[cut:]
    after = rows[cut - 1, 0]
    for early, later, all_of_it in zip(
        track_record(rows[:cut]), track_record(spoilt, since_s=after), track_record(spoilt), strict=True
    ):
        assert all_of_it.n == early.n + later.n
        square = sum(r.n * r.rmse_m**2 for r in (early, later) if r.n)
        assert all_of_it.n * all_of_it.rmse_m**2 == pytest.approx(square, rel=1e-9)


@given(st.integers(0, 1000), st.sampled_from(SCORED_HORIZONS_S))
def test_a_prediction_knows_nothing_of_the_horizon_before_its_moment(seed, horizon_s):
    rows = crooked_flight(seed)
    spoilt = rows.copy()
    within = (rows[:, 0] > rows[-1, 0] - horizon_s) & (np.arange(len(rows)) < len(rows) - 1)
    spoilt[within, 1:5] += 1.0
    last_only = rows[-2, 0]
    assert track_record(spoilt, (horizon_s,), since_s=last_only) == track_record(rows, (horizon_s,), since_s=last_only)


def test_a_repeated_place_is_no_truth_to_score_against():
    rows = straight_flight(n=40)
    rows[20:, 1:3] = rows[20, 1:3]
    assert [r.n for r in track_record(rows)] == [r.n for r in track_record(rows[:21])]


def test_what_comes_long_after_the_last_known_fix_says_nothing_about_the_horizon():
    rows = straight_flight(n=40)
    rows[20:, 0] += 600.0
    short, _, _ = track_record(rows[:21])
    assert short.n == 21 - 1 - 2  # the first after the gap is not scored


# -- real traffic -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def flights(real_data):
    """Ten minutes and their past of every aircraft, as the inspector would take them from the log."""
    events, _ = read_tracks(real_data("tracks/switzerland.json.gz"))
    time = events["time"].cast(pa.int64())
    start = pd.Timestamp("2018-08-01T10:00Z").value // 1000
    events = events.filter(pc.and_(pc.greater_equal(time, start), pc.less(time, start + 720_000_000)))
    events = events.take(pc.sort_indices(events["time"]))
    rows, ids = fixes_of(events), np.array(events["entity"].to_pylist())
    flights = {name: rows[ids == name] for name in np.unique(ids)}
    return {name: f[np.unique(f[:, 0], return_index=True)[1]] for name, f in flights.items() if len(f) > 40}


def test_real_aircraft_are_where_the_ellipse_says_nine_times_out_of_ten_or_nearly(flights):
    assert len(flights) >= 20
    records = [track_record(rows) for rows in flights.values()]
    for k, horizon_s in enumerate(SCORED_HORIZONS_S):
        n = np.array([record[k].n for record in records])
        inside = sum(record[k].n * record[k].inside_90 for record in records if record[k].n) / n.sum()
        assert n.sum() > 500
        assert 0.75 <= inside <= 0.99, horizon_s
        stays = np.concatenate([moved_m(rows, horizon_s) for rows in flights.values()])
        errors = np.array([record[k].median_m for record in records if record[k].n])
        assert np.median(errors) < 0.15 * np.median(stays)


def moved_m(rows, horizon_s):
    """How far it got in a horizon: the error of who thinks that nothing moves."""
    known = np.searchsorted(rows[:, 0], rows[:, 0] - horizon_s, side="right")
    later = np.flatnonzero(known >= 1)
    before = known[later] - 1
    return WGS84.inv(rows[before, 2], rows[before, 1], rows[later, 2], rows[later, 1])[2]


def test_scores_are_those_of_single_forecasts_made_one_by_one(flights):
    horizon_s, squares, inside = 15.0, [], []
    rows = next(rows for rows in flights.values() if len(rows) > 60 and (np.diff(rows[:, 1:3], axis=0) != 0).all())[:60]
    for target in rows:
        known = rows[rows[:, 0] <= target[0] - horizon_s][-WINDOW_FIXES:]
        if len(known) < 2 or target[0] - known[-1, 0] > 1.5 * horizon_s + 10.0:
            continue
        table = pd.DataFrame(known[:, :7], columns=RING_FIELDS[:7]).assign(id="it")
        table["time"] = pd.to_datetime(table["time_s"], unit="s", utc=True)
        said = forecast(table, [target[0] - known[-1, 0]]).iloc[0]
        azimuth, _, error_m = WGS84.inv(said["lon"], said["lat"], target[2], target[1])
        off = error_m * np.array([np.sin(np.radians(azimuth)), np.cos(np.radians(azimuth))])
        cov = [[said["var_east_m2"], said["cov_east_north_m2"]], [said["cov_east_north_m2"], said["var_north_m2"]]]
        squares.append(error_m**2)
        inside.append(off @ np.linalg.solve(cov, off) <= CHI2_90_2D)
    (record,) = track_record(rows, (horizon_s,))
    assert record.n == len(squares) > 40
    assert record.rmse_m == pytest.approx(np.sqrt(np.mean(squares)), rel=1e-3)
    assert record.median_m == pytest.approx(np.median(np.sqrt(squares)), rel=1e-3)
    assert record.inside_90 == pytest.approx(np.mean(inside), abs=1.5 / len(inside))


def test_the_bound_of_the_ellipse_is_the_quantile_of_chi_square():
    assert pytest.approx(chi2.ppf(0.9, 2), rel=1e-12) == CHI2_90_2D
