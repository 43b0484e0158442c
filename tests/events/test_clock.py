"""The replay clock shows now, stands still, or runs; and it always comes back to now."""

from __future__ import annotations

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from engine.events.clock import ReplayClock


class Instant:
    """Real time under the test's control."""

    def __init__(self, epoch_s: float = 1_000_000.0):
        self.epoch_s = epoch_s

    def now(self) -> float:
        return self.epoch_s

    def monotonic(self) -> float:
        return self.epoch_s - 999_000.0


@pytest.fixture
def instant():
    return Instant()


@pytest.fixture
def clock(instant):
    return ReplayClock(now=instant.now, monotonic=instant.monotonic)


def test_a_new_clock_is_live_and_follows_the_wall_clock(clock, instant):
    assert clock.mode == "live"
    instant.epoch_s += 5
    assert clock.moment() == instant.epoch_s


def test_pausing_holds_the_moment_while_time_goes_on(clock, instant):
    held = clock.moment()
    clock.pause()
    instant.epoch_s += 100
    assert (clock.mode, clock.moment()) == ("paused", held)


def test_a_replay_at_speed_s_covers_s_seconds_per_second(clock, instant):
    clock.seek(990_000.0)
    clock.play(60)
    instant.epoch_s += 10
    assert (clock.mode, clock.moment()) == ("replaying", 990_600.0)
    clock.play(2)  # a change of speed does not jump
    assert clock.moment() == 990_600.0
    instant.epoch_s += 10
    assert clock.moment() == 990_620.0


def test_a_replay_that_reaches_now_is_live(clock, instant):
    clock.seek(instant.epoch_s - 59)
    clock.play(60)
    instant.epoch_s += 0.9
    assert clock.mode == "replaying"
    instant.epoch_s += 0.11
    assert clock.mode == "live"
    instant.epoch_s += 7
    assert clock.moment() == instant.epoch_s


def test_at_single_speed_a_replay_keeps_its_distance_from_now(clock, instant):
    clock.seek(instant.epoch_s - 30)
    clock.play(1)
    instant.epoch_s += 10_000
    assert instant.epoch_s - clock.moment() == 30


def test_seeking_keeps_a_replay_running_and_stops_a_live_view(clock, instant):
    clock.seek(900_000.0)
    assert clock.mode == "paused"
    clock.play(10)
    clock.seek(500_000.0)
    instant.epoch_s += 1
    assert (clock.mode, clock.moment()) == ("replaying", 500_010.0)


def test_seeking_or_stepping_to_now_or_beyond_is_live(clock, instant):
    clock.seek(900_000.0)
    clock.seek(instant.epoch_s)
    assert clock.mode == "live"
    clock.step(-10)
    assert (clock.mode, clock.moment()) == ("paused", instant.epoch_s - 10)
    clock.step(+20)
    assert clock.mode == "live"


def test_playing_live_stays_live(clock):
    clock.play(5)
    assert clock.mode == "live"


@pytest.mark.parametrize("speed", [0.0, 0.5, 61.0, -1.0, float("nan")])
def test_a_speed_out_of_range_is_refused(clock, speed):
    with pytest.raises(ValueError, match="1 to 60"):
        clock.play(speed)


def test_a_moment_that_is_not_finite_is_refused(clock):
    for wrong in (float("nan"), float("inf")):
        with pytest.raises(ValueError, match="finite"):
            clock.seek(wrong)
        with pytest.raises(ValueError, match="finite"):
            clock.step(wrong)


class ClockLaws(RuleBasedStateMachine):
    """Whatever is pressed, the moment is never after now and moves by speed times time."""

    def __init__(self):
        super().__init__()
        self.instant = Instant()
        self.clock = ReplayClock(now=self.instant.now, monotonic=self.instant.monotonic)

    @rule(seconds=st.floats(0, 1e4))
    def time_passes(self, seconds):
        before = self.clock.state()
        version = self.clock.version
        self.instant.epoch_s += seconds
        after = self.clock.state()
        if after.mode == "live":
            assert after.moment_s == self.instant.epoch_s
        else:
            rate = {"paused": 0.0, "replaying": before.speed}[before.mode]
            assert after.moment_s == pytest.approx(before.moment_s + rate * seconds, abs=1e-3)
        assert (self.clock.version != version) == (after.mode != before.mode)

    @rule(back_s=st.floats(-1e3, 1e5))
    def seek(self, back_s):
        self.clock.seek(self.instant.epoch_s - back_s)

    @rule(speed=st.none() | st.floats(1, 60))
    def play(self, speed):
        self.clock.play(speed)

    @rule(dt_s=st.floats(-1e4, 1e4))
    def step(self, dt_s):
        self.clock.step(dt_s)

    @rule()
    def pause(self):
        held = self.clock.moment()
        self.clock.pause()
        assert self.clock.moment() == held

    @rule()
    def live(self):
        self.clock.live()

    @invariant()
    def never_in_the_future(self):
        assert self.clock.moment() <= self.instant.epoch_s


TestClockLaws = ClockLaws.TestCase
