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
