"""Tracks of one or two eras are what a bank fed only those fixes says, whatever came before and however it is cut."""

from __future__ import annotations

import numpy as np

from engine.rf.rolling_bank import ERA_S, KNOWN_S, RollingBank
from engine.rf.track_bank import TrackBank, TrackStates


def wandering(emitters: int, end_s: float) -> tuple[np.ndarray, np.ndarray]:
    """Numbers and fixes, in the order of time, of flights that report every 1 to 12 s and fall silent for minutes."""
    rng = np.random.default_rng(8)
    numbers, rows = [], []
    for i in range(emitters):
        time_s = np.cumsum(rng.uniform(0.5, 1.0, 900) * rng.choice([1.0, 5.0, 12.0]))
        silent = rng.uniform(20.0, end_s)
        time_s = time_s[(time_s < end_s) & ~((time_s > silent) & (time_s < silent + rng.uniform(0.0, 400.0)))]
        course, speed = np.cumsum(rng.normal(0.0, 0.05, time_s.size)), rng.uniform(50.0, 250.0)
        # a fifth of the positions are repeats of the one before, as of a feed that has lost the emitter
        step = np.diff(time_s, prepend=time_s[0]) * (rng.random(time_s.size) < 0.8)
        lat = 47.0 + np.cumsum(step * speed * np.cos(course)) / 111_195.0
        lon = 8.0 + np.cumsum(step * speed * np.sin(course)) / 75_835.0
        known = np.where(rng.random(time_s.size) < 0.8, 1.0, np.nan)
        rows.append(np.stack([1e9 + time_s, lat, lon, 0 * lat + 9000.0, speed * known,
                              np.degrees(course) % 360 * known, 0 * lat, np.nan * lat], axis=1))  # fmt: skip
        numbers.append(np.full(time_s.size, i))
    number, fixes = np.concatenate(numbers), np.concatenate(rows)
    order = np.argsort(fixes[:, 0], kind="stable")
    return number[order], fixes[order]


def assert_same(ours: TrackStates, theirs: TrackStates) -> None:
    for a, b in zip(ours[:4], theirs[:4], strict=True):
        np.testing.assert_array_equal(a, b)


def test_only_the_present_era_and_the_one_before_are_known_to_the_last_bit() -> None:
    number, fixes = wandering(12, 900.0)
    cuts = np.sort(np.random.default_rng(2).integers(0, len(fixes), 60))
    rolling = RollingBank()
    known_s = []
    for mine in np.split(np.arange(len(fixes)), cuts):
        rolling.update(number[mine], fixes[mine])
        if not mine.size or len(rolling) < 12:
            continue
        states = rolling.states(np.arange(12))  # to ask changes nothing later
        for i in (int(number[mine[-1]]), 0):
            heard = fixes[: mine[-1] + 1][number[: mine[-1] + 1] == i]
            first_s = (np.floor(heard[-1, 0] / ERA_S) - 1) * ERA_S
            heard = heard[heard[:, 0] >= first_s]
            plain = TrackBank(1)
            plain.update(np.zeros(len(heard), dtype=int), heard)
            assert_same(states.take(np.array([i])), plain.states([0]))
            known_s.append(heard[-1, 0] - first_s)
    assert ERA_S <= min(known_s) < 1.2 * ERA_S and 1.8 * ERA_S < max(known_s) < KNOWN_S


def test_who_is_dropped_begins_anew_and_nobody_else_notices() -> None:
    number, fixes = wandering(150, 200.0)
    early, late = fixes[:, 0] < 1e9 + 150.0, fixes[:, 0] >= 1e9 + 150.0
    kept = np.arange(149, 0, -2)
    rolling, alone = RollingBank(), RollingBank()
    rolling.update(number[early], fixes[early])
    alone.update(number[early], fixes[early])
    rolling.keep(kept)
    assert len(rolling) == len(kept)
    place = np.full(150, -1)
    place[kept] = np.arange(len(kept))
    place[place < 0] = np.arange(len(kept), 150)
    rolling.update(place[number[late]], fixes[late])
    again = np.isin(number, np.setdiff1d(np.arange(150), kept))
    alone.update(number[late & ~again], fixes[late & ~again])
    assert_same(rolling.states(place[kept]), alone.states(kept))
    fresh = RollingBank()
    fresh.update(number[late & again], fixes[late & again])
    heard = np.unique(number[late & again])
    assert heard.size
    assert_same(rolling.states(place[heard]), fresh.states(heard))
