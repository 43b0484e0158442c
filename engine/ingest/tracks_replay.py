"""The source that plays recorded fixes: at their own times, or rebased so that they happen now.

Reads, sorts and gates the recording, then emits what is due from its own thread. It knows nothing of
the log behind the sink; what it needs of it, the time of the last event, is handed in.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from engine.events.times import TimeLike, epoch_us
from engine.ingest.gate import FixGate
from engine.ingest.protocol import CaptureState, CaptureStats, Sink
from engine.ingest.rejects import Rejects
from engine.ingest.tracks_read import read_tracks
from engine.ingest.tracks_schedule import Schedule, once, rebased, times_us

logger = logging.getLogger(__name__)

WAKE_S = 0.2
"""How often it looks for what is due, s."""

OFFER_EVENTS = 500
"""Events offered to the sink at once: a quarter of the default queue, so that others get in between."""

OFFER_TIMEOUT_S = 0.25
"""How long one offer waits for room, s; bounds how long `stop` takes."""

LATE_S = 60.0
"""After a pause of the whole process (a suspended machine) fixes older than this and `backfill_s`
together are left out and counted as drops."""

Window = tuple[TimeLike, TimeLike]


class TrackReplay:
    """Plays recorded fixes into a sink: a `CaptureEngine`.

    Made directly, it plays them at their original times, `speed` times as fast as they were recorded.
    Made by `TrackReplay.rebased`, it maps a window of the recording periodically onto wall time, so that
    the fixes happen now, for ever, and a restart continues without any stored state.

    Records are sorted by time and pass a `FixGate` first. Events carry `name` as their source. When the
    sink has no room, the replay waits and falls behind rather than losing events.

    Parameters
    ----------
    name : str
        Name of the source.
    fixes : pyarrow.Table or path
        Recorded fixes (schema `engine.events.SCHEMA`), or a track file for `read_tracks`.
    speed : float
        Recorded seconds per second; ``math.inf`` is as fast as the sink takes them.
    loop : bool, optional
        Play again and again, each round later by the length of the recording. Default: once.
    backfill_s : float
        This much of the recording's beginning is emitted at once, s.
    since : time, optional
        Only fixes after this time: resumes an interrupted replay.
    clock : callable
        Epoch seconds now.
    gate : bool
        Refuse duplicates and implausible jumps. Switch it off to watch a recording of spoofing as it was.
    rejects : Rejects, optional
        What was refused when `fixes` were read, so that `stats` can tell.

    Raises
    ------
    ValueError
        If `speed` is not positive or `backfill_s` is negative.

    Examples
    --------
    >>> from engine.events import FIX, event_table
    >>> from engine.events.queue import BoundedQueue
    >>> fixes = event_table([0, 10_000_000], FIX, ["a", "a"], "file", lat=[47.0, 47.01], lon=[8.0, 8.0])
    >>> replay, queue = TrackReplay("demo", fixes, speed=math.inf), BoundedQueue()
    >>> replay.start(queue)
    >>> replay.join(10.0)
    True
    >>> queue.get().num_rows, replay.stats().state
    (2, 'finished')
    """

    def __init__(
        self,
        name: str,
        fixes: pa.Table | str | Path,
        *,
        speed: float = 1.0,
        loop: bool | None = None,
        backfill_s: float = 0.0,
        since: TimeLike | None = None,
        clock: Callable[[], float] = time.time,
        gate: bool = True,
        rejects: Rejects | None = None,
    ) -> None:
        if not speed > 0.0:
            raise ValueError(f"speed is {speed!r}; it must be positive, math.inf for as fast as possible")
        if not backfill_s >= 0.0:
            raise ValueError(f"backfill_s is {backfill_s!r}; it must be zero or more seconds")
        self.name = name
        self._fixes: pa.Table | str | Path | None = fixes
        self._speed, self._loop, self._clock, self._gate = speed, bool(loop), clock, gate
        self._backfill_us = round(backfill_s * 1e6)
        self._position_us = None if since is None else epoch_us(since)
        self._rebased = False
        self._window: tuple[int, int] | None = None
        self._schedule: Schedule | None = None
        self._pending: pa.Table | None = None
        self._rejects = Rejects() if rejects is None else rejects
        self._events = self._drops = 0
        self._state: CaptureState = "idle"
        self._progress: float | None = None if loop else 0.0
        self._last_error: str | None = None
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    @classmethod
    def rebased(
        cls,
        name: str,
        fixes: pa.Table | str | Path,
        *,
        window: Window | None = None,
        backfill_s: float = 1800.0,
        since: TimeLike | None = None,
        clock: Callable[[], float] = time.time,
        gate: bool = True,
        rejects: Rejects | None = None,
    ) -> TrackReplay:
        """A replay that happens now: a window of the recording as a periodic function of wall time.

        First come the events of the last `backfill_s` seconds, but only those after `since`, as fast as
        the sink takes them; then each at its time. See `engine.ingest.tracks_schedule.rebased` for the
        mapping. Each payload tells the original time as ``recorded_at``.

        Parameters
        ----------
        window : (start, end), optional
            Part of the recording to play, [start, end); all of it when not given.
        backfill_s : float
            How much past to emit at the start, s.
        since : time, optional
            Time of the last event of this source that is logged already.
        name, fixes, clock, gate, rejects
            As for the class.

        Returns
        -------
        TrackReplay
        """
        replay = cls(
            name, fixes, loop=True, backfill_s=backfill_s, since=since, clock=clock, gate=gate, rejects=rejects
        )
        replay._rebased = True
        if window is not None:
            start_us, end_us = map(epoch_us, window)
            if end_us <= start_us:
                raise ValueError(f"window {window!r} ends before it starts")
            replay._window = (start_us, end_us)
        return replay

    def start(self, out: Sink) -> None:
        """Begin to emit into `out`, or go on after `stop`; returns at once.

        Raises
        ------
        RuntimeError
            If it is running already.
        """
        if self._thread is not None and self._thread.is_alive():
            raise RuntimeError(f"source {self.name!r} is running already; stop it first")
        self._stopping.clear()
        self._state, self._last_error = "running", None
        work = (out, self._clock_us())
        self._thread = threading.Thread(target=self._run, args=work, name=f"replay {self.name}", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop emitting and wait until the thread has ended; `start` goes on from there."""
        self._stopping.set()
        self.join(None)

    def join(self, timeout_s: float | None = None) -> bool:
        """Wait until it has ended by itself; True if it has."""
        if self._thread is not None:
            self._thread.join(timeout_s)
            return not self._thread.is_alive()
        return True

    def stats(self) -> CaptureStats:
        """What it has done so far."""
        return CaptureStats(
            packets=self._rejects.records,
            events=self._events,
            parse_errors=self._rejects.parse_errors,
            drops=self._drops,
            rejected=dict(self._rejects.counts),
            examples=dict(self._rejects.examples),
            last_error=self._last_error,
            state=self._state,
            progress=self._progress,
        )

    # -- its own thread ---------------------------------------------------------------------------

    def _run(self, out: Sink, started_us: int) -> None:
        try:
            if self._schedule is None:
                self._schedule = self._prepared()
                self._fixes = None  # the schedule has its own copy
            finished = self._play(out, self._schedule, started_us)
        except Exception as error:
            logger.exception("source %r failed", self.name)
            self._last_error, self._state = f"{type(error).__name__}: {error}", "failed"
        else:
            self._state = "finished" if finished else "idle"
            self._progress = 1.0 if finished else self._progress

    def _prepared(self) -> Schedule:
        fixes = self._fixes
        assert fixes is not None
        if isinstance(fixes, pa.Table):
            self._rejects.records = self._rejects.records or fixes.num_rows
        else:
            fixes, read = read_tracks(fixes, source=self.name)
            self._rejects = read
        if not fixes.num_rows:
            raise ValueError(f"nothing to play: no usable fix among {self._rejects.records} records")
        # An archive is ordered by flight as often as by time: its order says nothing about the emitters.
        fixes = fixes.take(pc.sort_indices(fixes["time"])).combine_chunks()
        at = fixes.schema.get_field_index("source")
        names = pa.repeat(pa.scalar(self.name, pa.string()), fixes.num_rows)
        fixes = fixes.set_column(at, fixes.schema.field(at), names)
        if self._gate:
            fixes = FixGate().filter(fixes, self._rejects).combine_chunks()
        if not self._rebased:
            return once(fixes, again=self._loop)
        time_us = times_us(fixes)
        start_us, end_us = self._window or (int(time_us[0]), int(time_us[-1]) + 1)
        return rebased(fixes, start_us, end_us)

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
        if self._pending is None:
            if until_us <= self._position_us:  # also after a clock that was set back: nothing comes twice
                return True
            self._pending = schedule.between(self._position_us, until_us)
            self._position_us = until_us
        while self._pending.num_rows:
            if self._stopping.is_set():
                return False
            accepted = out.put(self._pending.slice(0, OFFER_EVENTS), OFFER_TIMEOUT_S)
            self._events += accepted
            if not accepted:
                self._stopping.wait(0.02)  # a closed sink refuses at once
            self._pending = self._pending.slice(accepted)
            if schedule.end_us is not None and self._pending.num_rows:
                played_us = times_us(self._pending.slice(0, 1))[0] - schedule.origin_us
                self._progress = float(played_us / max(1, schedule.end_us - schedule.origin_us))
        self._pending = None
        return True
