"""The source that plays recorded network events, from EVE or a capture, so that they happen now.

Reads the file on its own thread. It knows nothing of the log behind the sink.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from engine.events.schema import FIX
from engine.events.times import TimeLike
from engine.ingest.eve_read import read_eve
from engine.ingest.file_kind import file_kind
from engine.ingest.pcap_read import read_pcap
from engine.ingest.replay import RecordedReplay
from engine.ingest.tracks_schedule import Schedule, rebased_events, times_us

SILENCE_S = 600.0
"""A recording that says nothing for longer than this is taken apart there, s."""

LEFT_OUT = frozenset({"net.stats"})
"""Kinds that speak of the sensor that recorded, not of what it saw."""

_OWN_TIMES = r'"(start_s|end_s)"\s*:\s*[-+0-9.eE]+\s*,?\s*'


class NetworkReplay(RecordedReplay):
    """Plays the busiest stretch of a recording as if it happened now, over and over: a `CaptureEngine`.

    Each payload tells the original time as ``recorded_at``; ``start_s`` and ``end_s``, which would contradict it,
    are left out (``age_s`` stays).

    Parameters
    ----------
    name : str
        Name of the source.
    recording : path or bytes
        Suricata EVE or a capture, plain, gzip or bzip2; or what is in one.
    backfill_s : float
        How much past to emit at the start, s.
    since : time, optional
        Time of the last event of this source that is logged already.
    clock : callable
        Epoch seconds now.

    Examples
    --------
    >>> NetworkReplay("demo", "eve.json").stats().state
    'idle'
    """

    def __init__(
        self,
        name: str,
        recording: str | Path | bytes,
        *,
        backfill_s: float = 1800.0,
        since: TimeLike | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        super().__init__(name, loop=True, backfill_s=backfill_s, since=since, clock=clock, as_if_now=True)
        self._recording: str | Path | bytes | None = recording

    def _prepared(self) -> Schedule:
        recording = self._recording
        assert recording is not None
        kind = file_kind(recording)
        if kind == "tracks":
            raise ValueError(f"source {self.name!r} is neither EVE nor a capture")
        events, self._rejects = (read_eve if kind == "eve" else read_pcap)(recording, source=self.name)
        left_out = pc.is_in(events["kind"], pa.array([*LEFT_OUT, FIX]))
        events = events.filter(pc.invert(left_out))
        if not events.num_rows:
            raise ValueError(f"nothing to play: no network event among {self._rejects.records} records")
        events = events.take(pc.sort_indices(events["time"])).combine_chunks()
        at = events.schema.get_field_index("payload")
        payload = pc.replace_substring_regex(events["payload"], _OWN_TIMES, "")
        payload = pc.replace_substring_regex(payload, r",\s*\}$", "}")
        events = events.set_column(at, events.schema.field(at), payload)
        self._recording = None  # the schedule has what is played
        return rebased_events(events, *busiest_us(times_us(events), SILENCE_S))


def busiest_us(time_us: np.ndarray, silence_s: float) -> tuple[int, int]:
    """Start and end (excluded), epoch µs, of the stretch with most events between two long silences.

    A recording of several days with hours of nothing between would, played by the clock, show nothing for hours.

    Examples
    --------
    >>> busiest_us(np.array([0, 1, 2, 7200, 7201, 7202, 7203]) * 1_000_000, 600.0)
    (7200000000, 7204000000)
    """
    time_us = np.sort(time_us)
    starts = np.concatenate([[0], np.flatnonzero(np.diff(time_us) > silence_s * 1e6) + 1])
    ends = np.concatenate([starts[1:], [len(time_us)]])
    longest = int(np.argmax(ends - starts))
    return int(time_us[starts[longest]]), int(time_us[ends[longest] - 1]) + 1_000_000
