"""The replay clock: which moment a view shows, live or in the past.

It answers one question, `moment()`, and is steered by a time control. It has no thread and no events:
whoever asks gets the moment of that instant, and asks the log for the events up to it.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

Mode = Literal["live", "paused", "replaying"]

SLOWEST, FASTEST = 1.0, 60.0
"""Replay speeds, seconds of event time per second."""


@dataclass(frozen=True)
class ClockState:
    """A clock at one instant: mode, moment in epoch seconds, speed."""

    mode: Mode
    moment_s: float
    speed: float


class ReplayClock:
    """A moment that is now, or stands, or runs through the past and returns to now when it gets there.

    Parameters
    ----------
    now : callable
        Epoch seconds of the present; never steps back for long (a wall clock).
    monotonic : callable
        Seconds that only grow, by which a replay runs.

    Examples
    --------
    >>> clock = ReplayClock(now=lambda: 1000.0, monotonic=lambda: 0.0)
    >>> clock.seek(400.0)
    >>> clock.mode, clock.moment()
    ('paused', 400.0)
    >>> clock.live()
    >>> clock.moment()
    1000.0
    """

    def __init__(
        self, *, now: Callable[[], float] = time.time, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._now = now
        self._monotonic = monotonic
        self._mode: Mode = "live"
        self._speed = SLOWEST
        self._at = 0.0  # the moment shown at the instant `_since`; means nothing while live
        self._since = 0.0
        self._version = 0

    @property
    def mode(self) -> Mode:
        """``live``, ``paused`` or ``replaying``."""
        self._settle()
        return self._mode

    @property
    def speed(self) -> float:
        """Seconds of event time per second of a replay."""
        return self._speed

    @property
    def version(self) -> int:
        """Grows with every change of mode, speed or a jump: what a view compares to know it must look again."""
        self._settle()
        return self._version

    def moment(self) -> float:
        """The moment shown, epoch seconds; never after now."""
        return self._settle()

    def state(self) -> ClockState:
        """Mode, moment and speed of one instant."""
        moment_s = self._settle()
        return ClockState(self._mode, moment_s, self._speed)

    def live(self) -> None:
        """Show now."""
        self._change("live", 0.0)

    def pause(self) -> None:
        """Stand at the moment shown."""
        self._change("paused", self._settle())

    def seek(self, moment_s: float) -> None:
        """Jump to a moment; a replay goes on from there, live becomes paused. Now or later is live.

        Raises
        ------
        ValueError
            If the moment is not finite.
        """
        if not math.isfinite(moment_s):
            raise ValueError(f"moment is {moment_s}: finite epoch seconds are needed")
        self._settle()
        if moment_s >= self._now():
            self.live()
        else:
            self._change("replaying" if self._mode == "replaying" else "paused", moment_s)

    def play(self, speed: float | None = None) -> None:
        """Run from the moment shown, at a new speed if given; live stays live, for it has nothing to catch up.

        Raises
        ------
        ValueError
            If the speed is not between `SLOWEST` and `FASTEST`.
        """
        if speed is not None and not SLOWEST <= speed <= FASTEST:
            raise ValueError(f"speed is {speed}: {SLOWEST:g} to {FASTEST:g} is needed")
        moment_s = self._settle()
        self._speed = self._speed if speed is None else float(speed)
        self._change("live" if self._mode == "live" else "replaying", moment_s)

    def step(self, dt_s: float) -> None:
        """Pause, and move by some seconds, back if negative; a step that reaches now is live again."""
        if not math.isfinite(dt_s):
            raise ValueError(f"step is {dt_s} s: a finite number is needed")
        self.pause()
        self.seek(self._at + dt_s)

    def _settle(self) -> float:
        """The moment shown, after going live if a replay has caught up with now."""
        now = self._now()
        if self._mode == "live":
            return now
        moment_s = self._at
        if self._mode == "replaying":
            moment_s += (self._monotonic() - self._since) * self._speed
            if moment_s >= now:
                self.live()
                return now
        return min(moment_s, now)  # should the wall clock be set back below a paused moment

    def _change(self, mode: Mode, moment_s: float) -> None:
        self._mode, self._at, self._since = mode, moment_s, self._monotonic()
        self._version += 1
