"""The forecast finds exact motions, knows its doubt, is not poisoned by repeats, and beats a line on real tracks."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import Geod
from scipy.stats import chi2

from engine.geo import local_offset_m
from engine.rf._imm_models import COORDINATED_TURN, TUNED, constants
from engine.rf.forecast import STATUSES, forecast, predict_batch, warm
from engine.rf.forecast_peers import forecast_baseline, line_forecast
from engine.rf.forecast_score import error_ellipse, score, score_summary
from tests.benchmarks.forecast_table import figures, fitted, read_fixes, trial

GEOD = Geod(ellps="WGS84")
NOW = pd.Timestamp("2026-03-01T12:00:00Z")
RealData = Callable[[str], Path]


def flight(
    lat: float = 47.0, lon: float = 8.0, track_deg: float = 60.0, speed_m_s: float = 220.0, *, turn_deg_s: float = 0.0,
    step_s: float = 10.0, fixes: int = 12, ahead_s: float = 0.0, emitter: str = "a",
) -> pd.DataFrame:  # fmt: skip
    """Fixes of a flight at constant speed: along a geodesic, or a circle stepped in short geodesics."""
    rows = []
    small_s = 0.05 if turn_deg_s else step_s
    for i in range(round(((fixes - 1) * step_s + ahead_s) / small_s) + 1):
        time_s = i * small_s
        if abs(time_s / step_s - round(time_s / step_s)) < 1e-6:
            rows.append((emitter, NOW + pd.Timedelta(time_s, "s"), lat, lon, speed_m_s, track_deg % 360.0))
        # the middle of a step points along its chord
        lon, lat, back = GEOD.fwd(lon, lat, track_deg + turn_deg_s * small_s / 2, speed_m_s * small_s)
        track_deg = back + 180.0 + turn_deg_s * small_s / 2
    fixes_table = pd.DataFrame(rows, columns=["id", "time", "lat", "lon", "speed_m_s", "track_deg"])
    return fixes_table.assign(alt_m=0.0, vertical_rate_m_s=0.0)


def miss_m(prediction: pd.Series, truth: pd.Series) -> float:
    return GEOD.inv(prediction["lon"], prediction["lat"], truth["lon"], truth["lat"])[2]


@pytest.mark.parametrize("track_deg", [0.0, 75.0, 200.0])
@pytest.mark.parametrize(("lat", "lon"), [(0.0, 0.0), (47.0, 8.0), (-60.0, 179.99), (89.95, 10.0)])
def test_a_great_circle_flight_is_continued(lat: float, lon: float, track_deg: float) -> None:
    whole = flight(lat, lon, track_deg, fixes=12, ahead_s=60.0)
    ahead = forecast(whole.iloc[:12], [0.0, 10.0, 60.0])
    for row, truth in zip((0, 1, 2), (11, 12, 17), strict=True):
        assert miss_m(ahead.iloc[row], whole.iloc[truth]) < 5.0


@pytest.mark.parametrize("turn_deg_s", [-1.5, 0.8, 3.0])
def test_a_steady_turn_is_found_and_continued(turn_deg_s: float) -> None:
    whole = flight(turn_deg_s=turn_deg_s, step_s=5.0, fixes=12, ahead_s=20.0)
    known = whole.iloc[:12]
    turn = COORDINATED_TURN._replace(tau_turn_s=1e6, sigma_turn_rad_s=0.03, share=1.0)
    sensor = TUNED.sensor._replace(velocity_lag_s=1e-6)
    steady = constants((turn,), sensor, TUNED.trust)
    for horizon_s, row in ((5.0, 12), (15.0, 14)):
        truth = whole.iloc[row]
        straight = line_forecast(known, [horizon_s]).iloc[0]
        ours = forecast(known, [horizon_s]).iloc[0]
        assert miss_m(ours, truth) < 0.35 * miss_m(straight, truth)
        # told that turns do not end, the filter flies the circle
        assert miss_m(forecast(known, [horizon_s], tuning=steady).iloc[0], truth) < 0.08 * miss_m(straight, truth)


fix = st.tuples(
    st.floats(-20_000, 20_000), st.floats(-20_000, 20_000), st.floats(0, 300) | st.none(),
    st.floats(0, 359.9) | st.none(), st.floats(0.2, 40.0),
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(st.lists(fix, min_size=1, max_size=12), st.floats(-89.9, 89.9), st.floats(-180, 180))
def test_covariance_is_positive_definite_whatever_comes(track: list[tuple], lat: float, lon: float) -> None:
    n = len(track)
    lats = np.clip([[lat + north / 111_000.0 for _, north, *_ in track]], -90, 90)
    lons = np.array([[lon + east / 111_000.0 for east, *_ in track]])
    speed, course = (np.array([[np.nan if f[i] is None else f[i] for f in track]]) for i in (2, 3))
    times = np.cumsum([[f[4] for f in track]], axis=1)
    nothing = np.full((1, n), np.nan)
    p = predict_batch(lats, lons, nothing, times, speed, course, nothing, [n], [[0.0, 5.0, 15.0, 60.0]])
    determinant = p.var_east_m2 * p.var_north_m2 - p.cov_east_north_m2**2
    assert np.all(np.isfinite(p.lat)) and np.all(np.abs(p.lat) <= 90) and np.all(np.abs(p.lon) <= 180)
    assert np.all(p.var_east_m2 > 0) and np.all(determinant > 0)


@settings(max_examples=40, deadline=None)
@given(st.floats(1, 300), st.floats(0, 360), st.floats(-2, 2), st.floats(1, 12), st.integers(1, 12), st.booleans())
def test_doubt_grows_with_the_horizon(
    speed: float, track: float, turn: float, step_s: float, fixes: int, reported: bool
) -> None:
    ago_s = step_s * np.arange(fixes)[::-1]
    course = np.radians(track - turn * ago_s)
    east, north = (np.cumsum((speed * step_s * f(course))[::-1])[::-1] for f in (np.sin, np.cos))
    lat, lon = 47.0 - (north[:, None].T - north[-1]) / 111_195.0, 8.0 - (east[:, None].T - east[-1]) / 75_900.0
    nothing = np.full((1, fixes), np.nan)
    velocity = (np.full((1, fixes), speed), np.degrees(course)[None]) if reported else (nothing, nothing)
    steps = np.array([[0.0, 5.0, 15.0, 30.0, 60.0]])
    p = predict_batch(lat, lon, nothing, 100.0 - ago_s[None], *velocity, nothing, [fixes], steps)
    assert np.all(np.diff(p.var_east_m2 + p.var_north_m2, axis=1) > 0)


recording = lru_cache(maxsize=1)(read_fixes)  # a recording takes seconds to read


@pytest.fixture(scope="module")
def held_out(real_data: RealData) -> pd.DataFrame:
    """Tracks of aircraft on which nothing was fitted."""
    fixes = recording(real_data("tracks/switzerland.json.gz"))
    return fixes[~fitted(fixes["aircraft"])]


@pytest.fixture(scope="module")
def some(held_out: pd.DataFrame) -> pd.DataFrame:
    """The last two minutes of a hundred of them."""
    ids = held_out["id"].unique()[:100]
    return held_out[held_out["id"].isin(ids)].groupby("id").tail(12)


def test_the_order_of_rows_does_not_matter(some: pd.DataFrame) -> None:
    shuffled = some.sample(frac=1.0, random_state=3)
    pd.testing.assert_frame_equal(forecast(some, [5.0, 60.0]), forecast(shuffled, [5.0, 60.0]))


def test_a_turn_of_the_globe_does_not_matter(some: pd.DataFrame) -> None:
    shift = 180.0 - some["lon"].mean()
    there = forecast(some, [60.0])
    across = forecast(some.assign(lon=some["lon"] + shift), [60.0])
    assert across["lon"].between(-180, 180).all() and (across["lon"] < 0).any() and (across["lon"] > 0).any()
    east, north = local_offset_m(there["lat"], there["lon"] + shift, across["lat"], across["lon"])
    assert np.hypot(east, north).max() < 1e-3


def test_one_by_one_is_as_all_at_once(some: pd.DataFrame) -> None:
    name = some["id"].iloc[0]
    together = forecast(some, [15.0])
    alone = forecast(some[some["id"] == name], [15.0])
    pd.testing.assert_frame_equal(together[together["id"] == name].reset_index(drop=True), alone)


def with_repeats(fixes: pd.DataFrame) -> pd.DataFrame:
    """A feed that says everything again 1, 2 and 3 s later, as if it were new."""
    again = [fixes.assign(time=fixes["time"] + pd.Timedelta(s, "s")) for s in (1, 2, 3)]
    return pd.concat([fixes, *again], ignore_index=True)


@pytest.mark.parametrize("told", [False, True])
def test_frozen_repeats_do_not_change_the_forecast(some: pd.DataFrame, told: bool) -> None:
    flying = some[some["speed_m_s"] > 2.0]
    fixes = flying.assign(position_time=flying["time"]) if told else flying
    repeated = with_repeats(fixes)
    # the newest row is 3 s younger: the same moment is a horizon 3 s shorter
    plain, poisoned = forecast(fixes, [18.0]), forecast(repeated, [15.0])
    columns = ["lat", "lon", "alt_m", "speed_m_s", "track_deg", "var_east_m2", "var_north_m2", "n_fixes_used"]
    pd.testing.assert_frame_equal(plain[columns], poisoned[columns])
    # the line is thrown off, so the repeats do matter
    lines = (line_forecast(fixes, [18.0]), line_forecast(repeated, [15.0]))
    assert np.median(np.hypot(*local_offset_m(*(line[c] for line in lines for c in ("lat", "lon"))))) > 300.0


def test_a_position_that_stopped_coming_is_called_stale() -> None:
    fixes = flight()
    frozen = fixes.iloc[[-1] * 30].assign(time=[NOW + pd.Timedelta(111 + s, "s") for s in range(30)])
    ahead = forecast(pd.concat([fixes, frozen]), [0.0, 30.0])
    assert set(ahead["status"]) == {"stale"}
    assert np.all(np.diff(ahead["var_east_m2"]) > 0)


def test_a_velocity_frozen_while_positions_go_on_is_not_believed() -> None:
    fixes = flight(track_deg=90.0)
    ahead = forecast(fixes.assign(track_deg=270.0), [10.0]).iloc[0]
    truth = flight(track_deg=90.0, ahead_s=10.0).iloc[12]
    assert miss_m(ahead, truth) < 150.0


def test_a_spoofed_jump_is_outvoted() -> None:
    whole = flight(ahead_s=60.0)
    for jumped in (4, 9, 11):
        fixes = whole.iloc[:12].copy()
        fixes.loc[jumped, "lat"] += 0.5
        ahead = forecast(fixes, [60.0]).iloc[0]
        assert miss_m(ahead, whole.iloc[17]) < 300.0


@pytest.mark.parametrize("reports", [True, False])
def test_who_stands_does_not_fly_away(reports: bool) -> None:
    rng = np.random.default_rng(5)
    noise = rng.normal(0.0, 5.0 / 111_000.0, (40, 2))
    fixes = pd.DataFrame({"id": "bird", "time": [NOW + pd.Timedelta(s * 5, "s") for s in range(40)],
                          "lat": 53.0 + noise[:, 0], "lon": 6.5 + noise[:, 1]})  # fmt: skip
    if reports:
        fixes = fixes.assign(speed_m_s=0.0)
    ahead = forecast(fixes, [60.0]).iloc[0]
    assert miss_m(ahead, pd.Series({"lat": 53.0, "lon": 6.5})) < (30.0 if reports else 120.0)


def test_one_fix_flies_on_if_it_reports_a_velocity_and_else_stands_in_doubt() -> None:
    one = flight(fixes=1)
    flown = forecast(one, [10.0]).iloc[0]
    stood = forecast(one.drop(columns=["speed_m_s", "track_deg"]), [10.0]).iloc[0]
    assert miss_m(flown, one.iloc[0]) == pytest.approx(2200.0, rel=1e-3)
    assert miss_m(stood, one.iloc[0]) < 1e-3
    assert flown["status"] == stood["status"] == "single fix"
    assert stood["var_east_m2"] > 5 * flown["var_east_m2"]
    assert stood["var_east_m2"] > 1000.0**2


def test_nothing_in_is_nothing_out_in_the_same_columns() -> None:
    fixes = flight()
    for method in (lambda f: forecast(f, [5.0]), lambda f: line_forecast(f, [5.0]), forecast_baseline):
        empty = method(fixes.iloc[:0])
        assert len(empty) == 0
        assert list(empty.columns) == list(method(fixes).columns)


def test_missing_values_are_lived_with() -> None:
    fixes = flight()
    holes = fixes.copy()
    holes.loc[[2, 5], ["lat", "lon"]] = np.nan
    holes.loc[[3, 8], ["speed_m_s", "track_deg"]] = np.nan
    holes["alt_m"] = np.nan
    ahead = forecast(holes, [10.0]).iloc[0]
    assert miss_m(ahead, flight(ahead_s=10.0).iloc[12]) < 60.0
    assert np.isnan(ahead["alt_m"])
    nowhere = forecast(fixes.assign(lat=np.nan), [10.0]).iloc[0]
    assert nowhere["status"] == "no position" and np.isnan(nowhere["lat"])


def test_what_cannot_be_forecast_is_refused_by_name() -> None:
    with pytest.raises(KeyError, match="lon"):
        forecast(flight().drop(columns="lon"), [5.0])
    with pytest.raises(ValueError, match="-5"):
        forecast(flight(), [-5.0])
    with pytest.raises(ValueError, match=r"\(1, 2\)"):
        predict_batch([[0.0, 0.0]], [[0.0]], [[0.0]], [[0.0]], [[0.0]], [[0.0]], [[0.0]], [1], 5.0)


def test_climb_is_carried_on() -> None:
    fixes = flight()
    ago_s = (fixes["time"] - fixes["time"].iloc[-1]).dt.total_seconds()
    climbing = fixes.assign(alt_m=5000.0 + 10.0 * ago_s, vertical_rate_m_s=10.0)
    ahead = forecast(climbing, [0.0, 10.0])
    assert ahead["alt_m"].tolist() == pytest.approx([5000.0, 5095.0], abs=10.0)
    assert ahead["sigma_alt_m"].is_monotonic_increasing


def test_arrays_and_table_say_the_same() -> None:
    warm()
    fixes = flight()
    columns = [fixes[c].to_numpy()[None] for c in ("lat", "lon", "alt_m")]
    rest = [fixes[c].to_numpy()[None] for c in ("speed_m_s", "track_deg", "vertical_rate_m_s")]
    time_s = (fixes["time"] - pd.Timestamp(0, tz="UTC")).dt.total_seconds().to_numpy()[None]
    # right-aligned: what stands left of the valid ones is not looked at
    pad = [np.concatenate([np.full((1, 3), 7.0), a], axis=1) for a in (*columns, time_s, *rest)]
    p = predict_batch(*pad, [12], 15.0)
    ahead = forecast(fixes, [15.0], max_fixes=12).iloc[0]
    assert (p.lat[0], p.lon[0], p.var_east_m2[0]) == pytest.approx((ahead["lat"], ahead["lon"], ahead["var_east_m2"]))
    assert STATUSES[p.status[0]] == "ok" and p.n_used[0] == 12


def test_the_line_is_the_least_squares_line() -> None:
    rng = np.random.default_rng(1)
    fixes = flight(lat=0.0, lon=0.0, fixes=8)
    fixes["lat"] += rng.normal(0, 1e-3, 8)
    ahead = line_forecast(fixes, [30.0]).iloc[0]
    t = (fixes["time"] - fixes["time"].iloc[-1]).dt.total_seconds()
    assert ahead["lat"] == pytest.approx(np.polyval(np.polyfit(t[-5:], fixes["lat"][-5:], 1), 30.0), abs=1e-9)
    assert ahead["lon"] == pytest.approx(np.polyval(np.polyfit(t[-5:], fixes["lon"][-5:], 1), 30.0), abs=1e-9)


def test_the_baseline_fades_by_the_rule() -> None:
    fixes = pd.concat([flight(emitter="a"), flight(emitter="b"), flight(emitter="c", fixes=1)])
    fixes["confidence"] = 0.5
    fixes["anomaly_score"] = np.where(fixes["id"] == "b", 0.81, 0.8)
    ahead = forecast_baseline(fixes, steps=3, step_s=10.0)
    assert ahead["id"].tolist() == ["a"] * 3 + ["b"] * 3
    weights = ahead["weight"].to_numpy().reshape(2, 3)
    assert weights[0] == pytest.approx([0.5 * 0.6, 0.5 * 0.36, 0.5 * 0.216])
    assert weights[1] == pytest.approx(1.5 * weights[0])
    truth = flight(ahead_s=30.0)
    assert miss_m(ahead.iloc[2], truth.iloc[14]) < 20.0


@given(st.floats(1, 1e6), st.floats(1, 1e6), st.floats(-0.99, 0.99), st.floats(0.05, 0.99))
def test_the_ellipse_is_that_of_the_eigenvectors(
    east: float, north: float, correlation: float, probability: float
) -> None:
    cross = correlation * np.sqrt(east * north)
    major, minor, turned = error_ellipse(east, north, cross, probability)
    values, vectors = np.linalg.eigh([[east, cross], [cross, north]])
    scale = chi2.ppf(probability, 2)
    assert (float(major), float(minor)) == pytest.approx(tuple(np.sqrt(scale * values[::-1])), rel=1e-6)
    direction = np.array([np.sin(np.radians(turned)), np.cos(np.radians(turned))])
    if values[1] > 1.001 * values[0]:
        assert abs(direction @ vectors[:, 1]) == pytest.approx(1.0, abs=1e-6)


def test_a_score_is_the_distance_to_the_later_fix_and_its_normalised_square() -> None:
    whole = flight(ahead_s=60.0)
    said = forecast(whole.iloc[:12], [10.0, 15.0, 60.0, 600.0])
    scored = score(said, whole)
    assert scored["error_m"].iloc[0] == pytest.approx(miss_m(said.iloc[0], whole.iloc[12]), rel=1e-2, abs=0.02)
    # between two fixes the truth is the same geodesic
    between = flight(step_s=5.0, fixes=26).iloc[25]
    assert scored["error_m"].iloc[1] == pytest.approx(miss_m(said.iloc[1], between), abs=0.5)
    assert np.isnan(scored["error_m"].iloc[3])
    aside = said.assign(lat=said["lat"] + 3.0 * np.sqrt(said["var_north_m2"]) / 111_200.0)
    assert (score(aside, whole)["inside"].iloc[:3] == 0.0).all()
    assert score_summary(scored)["n"].to_dict() == {10.0: 1, 15.0: 1, 60.0: 1}


@pytest.mark.parametrize(
    ("name", "moments"), [("switzerland.json.gz", 6000), ("savan.json.gz", 6000), ("trace_full_ac671b.json", 2500)]
)
def test_the_forecast_beats_the_line_on_real_tracks(real_data: RealData, name: str, moments: int) -> None:
    fixes = recording(real_data(f"tracks/{name}"))
    if fixes["aircraft"].nunique() > 1:
        fixes = fixes[~fitted(fixes["aircraft"])]
    table = figures(trial(fixes, moments, seed=7))
    table = table[table["horizon_s"].isin([5.0, 15.0, 60.0]) & (table["moments"] != "in a turn")]
    assert (table["n"] > 50).all()
    for ours in ("bank", "window"):
        assert (table[ours] < 0.85 * table["line"]).all(), table.to_string()


def test_the_claimed_covariance_is_right_on_aircraft_it_was_not_fitted_on(held_out: pd.DataFrame) -> None:
    table = figures(trial(held_out, 8000, seed=11))
    everyone = table[(table["moments"] == "all") & table["horizon_s"].isin([5.0, 15.0, 60.0])]
    assert everyone["90 %"].between(0.82, 0.98).all(), table.to_string()
    # who is in a turn is known when the claim is made; who will begin one is not
    known = table[table["moments"] != "turning"]
    assert (known["NEES"] < 15.0).all(), table.to_string()
    in_turn = known[(known["moments"] == "in a turn") & known["horizon_s"].isin([5.0, 15.0, 60.0])]
    assert in_turn["90 %"].between(0.78, 0.97).all(), table.to_string()


def test_spoofing_does_not_upset_the_usual_moment(real_data: RealData) -> None:
    t = trial(read_fixes(real_data("tracks/noisy_spoofing.json.gz")), 3000, seed=2)
    table = figures(t)
    assert (table[(table["moments"] == "all") & (table["horizon_s"] <= 20)]["median"] < 40.0).all(), table.to_string()
