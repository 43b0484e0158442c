"""The source that plays recorded fixes: at their own times, or rebased so that they happen now.

Reads, sorts and gates the recording, then emits what is due from its own thread. It knows nothing of
the log behind the sink; what it needs of it, the time of the last event, is handed in.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from engine.events.times import TimeLike
from engine.ingest.gate import FixGate
from engine.ingest.rejects import Rejects
from engine.ingest.replay import RecordedReplay, Window
from engine.ingest.tracks_read import read_tracks
from engine.ingest.tracks_schedule import Schedule, once, rebased, times_us


class TrackReplay(RecordedReplay):
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
    window, as_if_now
        What `rebased` sets.

    Raises
    ------
    ValueError
        If `speed` is not positive, `backfill_s` is negative, or `window` is empty.

    Examples
    --------
    >>> import math
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
        window: Window | None = None,
        as_if_now: bool = False,
    ) -> None:
        super().__init__(name, speed=speed, loop=bool(loop), backfill_s=backfill_s, since=since, clock=clock,
                         window=window, as_if_now=as_if_now)  # fmt: skip
        self._fixes: pa.Table | str | Path | None = fixes
        self._gate = gate
        self._rejects = Rejects() if rejects is None else rejects

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
        return cls(
            name, fixes, loop=True, backfill_s=backfill_s, since=since, clock=clock, gate=gate, rejects=rejects,
            window=window, as_if_now=True,
        )  # fmt: skip

    # -- its own thread ---------------------------------------------------------------------------

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
        self._fixes = None  # the schedule has its own copy
        if not self._rebased:
            return once(fixes, again=self._loop)
        time_us = times_us(fixes)
        start_us, end_us = self._window or (int(time_us[0]), int(time_us[-1]) + 1)
        return rebased(fixes, start_us, end_us)
