"""What all replays have in common: what is due when, as if now or at its own times, and what was missed.

Plays a `Schedule` that a subclass prepares. It knows nothing of the log behind the sink; what it needs of it, the
time of the last event, is handed in.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from engine.events.times import TimeLike, epoch_us
from engine.ingest.protocol import Sink
from engine.ingest.source import ThreadedSource
from engine.ingest.tracks_schedule import Schedule, times_us

WAKE_S = 0.2
"""How often it looks for what is due, s."""

LATE_S = 60.0
"""After a pause of the whole process (a suspended machine) events older than this and `backfill_s`
together are left out and counted as drops."""

Window = tuple[TimeLike, TimeLike]


class RecordedReplay(ThreadedSource):
    """Plays what `_prepared` gives it: a `CaptureEngine`.

    Parameters
    ----------
    name : str
        Name of the source.
    speed : float
        Recorded seconds per second; ``math.inf`` is as fast as the sink takes them.
    loop : bool
        Play again and again.
    backfill_s : float
        This much of the recording's beginning, or of the past when rebased, is emitted at once, s.
    since : time, optional
        Only events after this time.
    clock : callable
        Epoch seconds now.
    window : (start, end), optional
        Given, or with `as_if_now`: what is recorded in [start, end) is a periodic function of wall time.
    as_if_now : bool
        Rebased, see `engine.ingest.tracks_schedule.rebased`.

    Raises
    ------
    ValueError
        If `speed` is not positive, `backfill_s` is negative, or `window` is empty.
    """

    def __init__(
        self,
        name: str,
        *,
        speed: float = 1.0,
        loop: bool = False,
        backfill_s: float = 0.0,
        since: TimeLike | None = None,
        clock: Callable[[], float] = time.time,
        window: Window | None = None,
        as_if_now: bool = False,
    ) -> None:
        super().__init__(name)
        if not speed > 0.0:
            raise ValueError(f"speed is {speed!r}; it must be positive, math.inf for as fast as possible")
        if not backfill_s >= 0.0:
            raise ValueError(f"backfill_s is {backfill_s!r}; it must be zero or more seconds")
        self._speed, self._loop, self._clock, self._rebased = speed, loop, clock, as_if_now
        self._backfill_us = round(backfill_s * 1e6)
        self._position_us = None if since is None else epoch_us(since)
        self._window: tuple[int, int] | None = None
        if window is not None:
            start_us, end_us = map(epoch_us, window)
            if end_us <= start_us:
                raise ValueError(f"window {window!r} ends before it starts")
            self._window = (start_us, end_us)
        self._schedule: Schedule | None = None
        self._progress = None if loop else 0.0
        self._started_us = 0

    def start(self, out: Sink) -> None:
        """Begin to emit into `out`, or go on after `stop`; returns at once.

        Raises
        ------
        RuntimeError
            If it is running already.
        """
        self._started_us = self._clock_us()
        super().start(out)

    # -- its own thread ---------------------------------------------------------------------------

    def _prepared(self) -> Schedule:
        """What to play; called once, on its own thread."""
        raise NotImplementedError

    def _work(self, out: Sink) -> bool:
        if self._schedule is None:
            self._schedule = self._prepared()
        finished = self._play(out, self._schedule, self._started_us)
        self._progress = 1.0 if finished else self._progress
        return finished

    def _play(self, out: Sink, schedule: Schedule, started_us: int) -> bool:
        """Emit what is due until stopped; True when there is nothing more to come."""
        anchor_us = started_us
        begin_us = started_us - self._backfill_us if self._rebased else schedule.origin_us - 1
        self._position_us = max(self._position_us, begin_us) if self._position_us is not None else begin_us
        if not self._rebased:
            anchor_us = max(self._position_us, begin_us + self._backfill_us)
        while not self._stopping.is_set():
            due_us = self._due_us(schedule, anchor_us, started_us)
            if self._rebased:
                self._skip_late(schedule, due_us)
            if not self._emit(out, schedule, due_us):
                break
            if schedule.end_us is not None and self._position_us >= schedule.end_us:
                return True
            self._stopping.wait(WAKE_S)
        return False

    def _clock_us(self) -> int:
        return round(self._clock() * 1e6)

    def _due_us(self, schedule: Schedule, anchor_us: int, started_us: int) -> int:
        """Recorded time that is reached now; wall time itself when rebased."""
        if self._rebased:
            return self._clock_us()
        if math.isinf(self._speed):
            assert self._position_us is not None
            return self._position_us + schedule.length_us if schedule.end_us is None else schedule.end_us
        due_us = anchor_us + round((self._clock_us() - started_us) * self._speed)
        return due_us if schedule.end_us is None else min(due_us, schedule.end_us)

    def _skip_late(self, schedule: Schedule, due_us: int) -> None:
        assert self._position_us is not None
        earliest_us = due_us - self._backfill_us - round(LATE_S * 1e6)
        if self._position_us < earliest_us:
            self._drops += schedule.count(self._position_us, earliest_us)
            self._position_us = earliest_us

    def _emit(self, out: Sink, schedule: Schedule, until_us: int) -> bool:
        """Emit all that is due; False if stopped before. What is left over is kept for the next start."""
        assert self._position_us is not None
        due = None
        if self._pending is None and until_us > self._position_us:  # a clock may be set back: nothing comes twice
            due = schedule.between(self._position_us, until_us)
            self._position_us = until_us
        return self._offer(out, due)

    def _accepted(self) -> None:
        schedule = self._schedule
        if schedule is not None and schedule.end_us is not None and self._pending is not None:
            played_us = times_us(self._pending.slice(0, 1))[0] - schedule.origin_us
            self._progress = float(played_us / max(1, schedule.end_us - schedule.origin_us))
