"""The forecast's live score: dB of the field, dominance kept, errors at their moment, nothing before it."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from engine.rf.field import power_field
from engine.rf.field_score import comparison_grid, expected_emitters, field_score
from engine.rf.grid import Grid
from engine.rf.live_score import EVERYONE, TURNING, LiveScore, positions_at
from engine.rf.track_bank import TrackBank
from engine.rf.tracks import Tracks

M_PER_DEG = 111_195.0


def masts(lat: list[float], lon: list[float]) -> pd.DataFrame:
    return pd.DataFrame({"lat": lat, "lon": lon, "alt_m": 9000.0, "eirp_dbm": 50.0, "freq_hz": 1.09e9})


def test_a_field_that_came_true_scores_nothing_and_one_moved_aside_scores_its_decibels() -> None:
    true = masts([47.0, 47.4], [8.0, 8.6])
    grid = Grid.from_bounds(7.5, 46.7, 9.0, 47.7, shape=(20, 20))
    none = np.zeros(2)
    assert field_score(true, (none, none, none), true, grid)[:3] == (0.0, 0.0, 1.0)
    aside = true.assign(lat=true["lat"] + 0.1)
    found = field_score(aside, (none, none, none), true, grid)
    off = (power_field(aside, grid).power_dbm - power_field(true, grid).power_dbm).to_numpy()
    assert found.rms_db == pytest.approx(np.sqrt(np.mean(off**2)), rel=1e-3)
    assert 0.5 < found.agreement < 1.0
    swapped = true.iloc[::-1].reset_index(drop=True)
    assert field_score(swapped, (none, none, none), true, grid).agreement < 0.05
    with pytest.raises(ValueError, match="1 rows"):
        field_score(true.iloc[:1], (none, none, none), true, grid)


def test_the_expected_field_is_the_mean_over_draws_from_the_covariance() -> None:
    one, grid = masts([47.0], [8.0]), Grid.from_bounds(8.4, 47.3, 9.4, 48.0, shape=(6, 6))
    covariance = np.array([[9e6, 4e6], [4e6, 25e6]])
    spread, weights = expected_emitters(one, *(np.array([v]) for v in (9e6, 25e6, 4e6)))
    ours = 10.0 ** (power_field(spread, grid, weights=weights).power_dbm.to_numpy() / 10.0)
    draws = np.random.default_rng(2).multivariate_normal([0, 0], covariance, 4000)
    lon = 8.0 + draws[:, 0] / (M_PER_DEG * np.cos(np.radians(47.0)))
    many = masts(list(47.0 + draws[:, 1] / M_PER_DEG), list(lon))
    drawn = power_field(many, grid, weights=np.full(4000, 1 / 4000)).power_dbm.to_numpy()
    assert 10 * np.log10(ours) == pytest.approx(drawn, abs=0.15)
    point = power_field(one, grid).power_dbm.to_numpy()
    assert np.abs(drawn - point).max() > 0.02


def test_the_grid_goes_round_the_antimeridian() -> None:
    grid = comparison_grid(np.array([10.0, 11.0, 12.0]), np.array([179.0, -179.5, -178.0]))
    assert np.ptp(np.unwrap(grid.lon, period=360.0)) < 5.0


def snapshot(moment_s: float, step_s: float, turn_deg_s: float = 0.0, emitters: int = 6) -> Tracks:
    """Straight flights north, or circles, as a fold that keeps eight fixes would show them."""
    newest = np.floor(moment_s / step_s) * step_s
    ring = np.full((emitters, 8, 8), np.nan)
    for i in range(emitters):
        for k in range(8):
            t = newest - (7 - k) * step_s
            course, speed = np.radians(turn_deg_s) * t, 100.0
            east, north = 0.0, speed * t
            if turn_deg_s:
                radius = speed / np.radians(turn_deg_s)
                east, north = radius * (1 - np.cos(course)), radius * np.sin(course)
            lat = 40.0 + i + north / M_PER_DEG
            lon = 8.0 + east / (M_PER_DEG * np.cos(np.radians(40.0 + i)))
            ring[i, k] = [t, lat, lon, 9000.0, speed, np.degrees(course) % 360, 0.0, np.nan]
    ids = [f"e{i}" for i in range(emitters)]
    kinds = ["aircraft"] * (emitters - 1) + ["ship"]
    table = pd.DataFrame({"id": ids, "emitter_kind": kinds, "eirp_dbm": 50.0, "freq_hz": 1.09e9})
    bank = TrackBank(emitters)
    bank.update(np.repeat(np.arange(emitters), 8), ring.reshape(-1, 8))
    return Tracks(moment_s, 1, ring, np.full(emitters, 8), table, bank.states(np.arange(emitters)))


@pytest.mark.parametrize("step_s", [1.0, 10.0])
def test_what_comes_due_is_scored_once_and_not_before(step_s: float) -> None:
    live = LiveScore((15.0,))
    for moment_s in np.arange(1000.0, 1014.0, 5.0):
        live.observe(snapshot(moment_s, step_s))
    assert live.rows() == [] and live.fields() == []
    for moment_s in np.arange(1015.0, 1101.0, 5.0):
        live.observe(snapshot(moment_s, step_s))
    rows = {row.who: row for row in live.rows()}
    assert set(rows) == {EVERYONE, "aircraft", "ship"}
    # rounds from 1000 to 1070 have come due and had their 12 s by 1100
    assert rows[EVERYONE].n == 15 * 6 and rows["ship"].n == 15
    assert rows[EVERYONE].rmse_m < 20.0 and rows[EVERYONE].inside_90 > 0.95
    (field,) = live.fields()
    assert field.rms_db < 0.2 and field.agreement > 0.98


def test_turning_emitters_have_a_row_and_those_that_fell_silent_none() -> None:
    live = LiveScore((5.0, 60.0))
    for moment_s in np.arange(1000.0, 1060.0, 5.0):
        live.observe(snapshot(moment_s, 5.0, turn_deg_s=1.5))
    rows = {(row.horizon_s, row.who): row for row in live.rows()}
    assert rows[5.0, TURNING].n == rows[5.0, EVERYONE].n > 0
    assert not any(horizon == 60.0 for horizon, _ in rows)
    scored = rows[5.0, EVERYONE].n
    nobody = pd.DataFrame({"id": [], "emitter_kind": [], "eirp_dbm": [], "freq_hz": []})
    for _ in range(3):
        none = np.empty(0, np.int64)
        live.observe(Tracks(2000.0, 2, np.empty((0, 8, 8)), none, nobody, TrackBank(1).states(none)))
    # the last rounds at 5 s had their truth already; those at 60 s never get one
    assert {(row.horizon_s, row.who) for row in live.rows()} == set(rows)
    assert live.rows()[0].n >= scored
    lat, _ = positions_at(snapshot(1000.0, 30.0).ring, 985.0)
    assert np.isnan(lat).all()  # nobody knows what was within half a minute
