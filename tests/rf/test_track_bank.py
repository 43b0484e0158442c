"""The bank of tracks says what the forecast over a window says, whatever the batches, and keeps emitters apart."""

from __future__ import annotations

import numpy as np
import pytest

from engine.rf.forecast import WINDOW_FIXES, predict_batch
from engine.rf.track_bank import TrackBank

HORIZONS_S = [0.0, 15.0, 60.0]


def circling(emitters: int, fixes: int) -> np.ndarray:
    """Fixes (emitters, fixes, 8) of flights on circles of their own, as `RING_FIELDS` orders the planes."""
    rng = np.random.default_rng(4)
    step_s = rng.uniform(1.0, 9.0, emitters)[:, None]
    time_s = 1e9 + step_s * np.arange(fixes)
    turn, speed = np.radians(rng.uniform(-2, 2, emitters))[:, None], rng.uniform(40, 240, emitters)[:, None]
    course = rng.uniform(0, 2 * np.pi, emitters)[:, None] + turn * (time_s - 1e9)
    radius = speed / turn
    north = radius * (np.sin(course) - np.sin(course[:, :1])) + rng.normal(0, 8, time_s.shape)
    east = -radius * (np.cos(course) - np.cos(course[:, :1])) + rng.normal(0, 8, time_s.shape)
    out = np.full((emitters, fixes, 8), np.nan)
    out[:, :, 0], out[:, :, 1], out[:, :, 2] = time_s, 47.0 + north / 111_195.0, 8.0 + east / 75_835.0
    out[:, :, 3], out[:, :, 4], out[:, :, 5], out[:, :, 6] = 5000.0, speed, np.degrees(course) % 360.0, 0.0
    return out


def test_a_bank_fed_fix_by_fix_says_what_the_window_says() -> None:
    flights = circling(40, WINDOW_FIXES)
    bank = TrackBank(40)
    for i in range(WINDOW_FIXES):
        bank.update(np.arange(40), flights[:, i])
    p = predict_batch(
        *(flights[:, :, i] for i in (1, 2, 3, 0, 4, 5, 6)), np.full(40, WINDOW_FIXES), np.tile(HORIZONS_S, (40, 1))
    )
    for ours, theirs in zip(bank.predict(HORIZONS_S), p, strict=True):
        assert ours == pytest.approx(theirs, rel=1e-9, nan_ok=True)


def test_batches_and_slots_do_not_matter() -> None:
    flights = circling(30, 25)
    steady, mixed = TrackBank(30), TrackBank(90)
    for i in range(25):
        steady.update(np.arange(30), flights[:, i])
    slots = np.random.default_rng(1).permutation(90)[:30]
    # all fixes of all emitters in one call, those of an emitter in their order
    mixed.update(np.repeat(slots, 25), flights.reshape(-1, 8))
    for ours, theirs in zip(mixed.predict(HORIZONS_S, slot=slots), steady.predict(HORIZONS_S), strict=True):
        assert np.array_equal(ours, theirs)
    empty = mixed.predict([5.0], slot=np.setdiff1d(np.arange(90), slots))
    assert np.isnan(empty.lat).all() and (empty.status == 3).all()


def test_a_long_turn_is_known_as_one_and_flown_on() -> None:
    flights = circling(60, 41)
    bank = TrackBank(60)
    for i in range(40):
        bank.update(np.arange(60), flights[:, i])
    step_s = flights[:, 40, 0] - flights[:, 39, 0]
    fast = np.abs(np.diff(np.unwrap(np.radians(flights[:, 38:40, 5])))[:, 0]) / step_s > np.radians(0.8)
    chances = bank.model_probabilities(np.arange(60))
    assert chances.sum(axis=1) == pytest.approx(np.ones(60), abs=1e-4)
    assert np.median(chances[fast, 2]) > 0.9 and np.median(chances[fast, 0]) < 0.05
    for i in np.flatnonzero(fast)[:10]:
        there = bank.predict([float(step_s[i])], slot=[i])
        north = (there.lat[0, 0] - flights[i, 40, 1]) * 111_195.0
        east = (there.lon[0, 0] - flights[i, 40, 2]) * 75_835.0
        assert np.hypot(east, north) < 60.0


def test_what_was_forgotten_starts_anew_and_moments_count_from_where_they_are_told() -> None:
    flights = circling(2, 10)
    bank, other = TrackBank(1), TrackBank(1)
    for i in range(10):
        bank.update([0], flights[0, i][None])
    bank.forget([0])
    assert bank.predict([0.0]).status[0] == 3
    for i in range(10):
        bank.update([0], flights[1, i][None])
        other.update([0], flights[1, i][None])
    assert np.array_equal(bank.predict(HORIZONS_S).lat, other.predict(HORIZONS_S).lat)
    newest = flights[1, -1, 0]
    assert bank.predict([5.0], moment_s=newest + 10.0).lat == pytest.approx(bank.predict([15.0]).lat, abs=1e-12)
    before = bank.predict(HORIZONS_S)
    bank.update([0], flights[1, 3][None])  # older than what is known
    assert np.array_equal(bank.predict(HORIZONS_S).lat, before.lat)


def test_what_does_not_fit_is_refused_by_name() -> None:
    bank = TrackBank(2)
    with pytest.raises(ValueError, match=r"slot is \[2\]"):
        bank.update([2], np.zeros((1, 8)))
    with pytest.raises(ValueError, match=r"\(1, 7\)"):
        bank.update([0], np.zeros((1, 7)))
    with pytest.raises(ValueError, match="horizons_s"):
        bank.predict([-1.0])
    with pytest.raises(ValueError, match="slots is 0"):
        TrackBank(0)


def heard(time_s: np.ndarray, east_m: np.ndarray, north_m: np.ndarray, position_age_s: np.ndarray) -> np.ndarray:
    """Reports (n, 8) every so often of an aircraft on a path, with positions that were measured some time before.

    The path is given at the times of the reports; reported are its speed and track now, and its place then.
    """
    then_s = time_s - position_age_s
    v_east, v_north = np.gradient(east_m, time_s), np.gradient(north_m, time_s)
    out = np.full((time_s.size, 8), np.nan)
    out[:, 0], out[:, 7], out[:, 3] = 1e9 + time_s, 1e9 + then_s, 5000.0
    out[:, 1] = 47.0 + np.interp(then_s, time_s, north_m) / 111_195.0
    out[:, 2] = 8.0 + np.interp(then_s, time_s, east_m) / 75_835.0
    out[:, 4], out[:, 5] = np.hypot(v_east, v_north), np.degrees(np.arctan2(v_east, v_north)) % 360.0
    return out


def off_m(bank: TrackBank, east_m: float, north_m: float) -> float:
    now = bank.predict([0.0])
    return float(np.hypot((now.lon[0, 0] - 8.0) * 75_835.0 - east_m, (now.lat[0, 0] - 47.0) * 111_195.0 - north_m))


def test_who_tells_only_its_velocity_is_followed_by_it() -> None:
    # as the survey flights of the sample: one position, then for two minutes speed and track only
    time_s = np.arange(0.0, 121.0)
    course = np.radians(146.0 + 0.4 * np.clip(time_s - 50.0, 0.0, 90.0))
    speed = 142.0 + 0.25 * (time_s % 2)
    east, north = np.cumsum(speed * np.sin(course)), np.cumsum(speed * np.cos(course))
    reports = heard(time_s, east - east[0], north - north[0], time_s)
    silent = (time_s > 27) & (time_s < 56)
    bank = TrackBank(1)
    for report in reports[~silent]:
        bank.update([0], report[None])
    flown_m = 142.0 * 120.0
    assert off_m(bank, east[-1] - east[0], north[-1] - north[0]) < 0.03 * flown_m


def test_a_place_after_a_long_silence_is_not_outvoted_by_the_places_before_it() -> None:
    time_s = np.arange(0.0, 101.0)
    course = np.radians(42.0 - 0.6 * np.clip(time_s - 35.0, 0.0, 65.0))
    east, north = np.cumsum(141.0 * np.sin(course)), np.cumsum(141.0 * np.cos(course))
    reports = heard(time_s, east, north, time_s % 4)
    reports[:, 4] += 0.5 * (time_s % 3)
    # the first report after the silence is of the new place, and still of the old velocity
    reports[-1, 4:6] = reports[33, 4:6]
    bank = TrackBank(1)
    for report in np.concatenate([reports[:34], reports[-1:]]):
        bank.update([0], report[None])
    assert off_m(bank, east[-1], north[-1]) < 500.0


def test_a_slot_that_was_emptied_is_one_that_never_held_anything() -> None:
    flights = circling(1, 30)
    used, fresh = TrackBank(1), TrackBank(1)
    for fix in flights[0]:
        used.update([0], fix[None])
    used.forget([0])
    assert np.array_equal(used.states([0]).memory, fresh.states([0]).memory, equal_nan=True)
