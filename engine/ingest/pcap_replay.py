"""The source that plays a capture: at its own pace, faster, or as fast as the sink takes it.

Streams the file from its own thread, in bounded memory. It knows nothing of the log behind the sink.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa

from engine.ingest.pcap_read import IDLE_S, iter_pcap
from engine.ingest.protocol import Sink
from engine.ingest.source import ThreadedSource

WAKE_S = 0.1
"""How often it looks for what is due, s."""


class PcapReplay(ThreadedSource):
    """Plays a capture into a sink: a `CaptureEngine`.

    A flow's event comes when the flow has ended, which is when it was silent for `idle_s`, or at the end
    of the capture; what is said within it comes when it was said.

    Parameters
    ----------
    name : str
        Name of the source.
    path : str or Path
        A capture for `read_pcap`.
    speed : float
        Recorded seconds per second; ``math.inf`` is as fast as the sink takes them.
    rebased : bool
        Move all times so that the capture begins when the replay is started first.
    idle_s : float
        A five-tuple that was silent for longer is a new flow, s.
    clock : callable
        Epoch seconds now.

    Raises
    ------
    ValueError
        If `speed` or `idle_s` is not positive.

    Examples
    --------
    >>> import tempfile
    >>> from engine.events.queue import BoundedQueue
    >>> with tempfile.NamedTemporaryFile(suffix=".pcap") as capture:
    ...     replay = PcapReplay("demo", capture.name, speed=math.inf)
    ...     replay.start(BoundedQueue())
    ...     replay.join(10.0), replay.stats().rejected
    (True, {'empty_source': 1})
    """

    def __init__(
        self,
        name: str,
        path: str | Path,
        *,
        speed: float = math.inf,
        rebased: bool = False,
        idle_s: float = IDLE_S,
        clock: Callable[[], float] = time.time,
    ) -> None:
        super().__init__(name)
        if not speed > 0.0:
            raise ValueError(f"speed is {speed!r}; it must be positive, math.inf for as fast as possible")
        if not idle_s > 0.0:
            raise ValueError(f"idle_s is {idle_s!r}; it must be positive seconds")
        self._path, self._speed, self._rebased, self._idle_s, self._clock = Path(path), speed, rebased, idle_s, clock
        self._progress = 0.0
        self._tables: Iterator[pa.Table] | None = None
        self._table: pa.Table | None = None  # what is read and not due yet
        self._reached_us: int | None = None

    def _work(self, out: Sink) -> bool:
        started_us = round(self._clock() * 1e6)
        if self._tables is None:
            self._tables = self._read(started_us)
        anchor_us = self._reached_us
        while True:
            if self._table is None:
                self._table = next(self._tables, None)
            if self._table is None:
                self._progress = 1.0
                return self._offer(out)
            times_us = self._table["time"].combine_chunks().cast(pa.int64()).to_numpy()
            anchor_us = int(times_us[0]) if anchor_us is None else anchor_us
            due = self._due(times_us, anchor_us, started_us)
            if due:
                table, self._table = self._table.slice(0, due), self._table.slice(due)
                self._table = self._table if self._table.num_rows else None
                if not self._offer(out, table):
                    return False
            elif self._stopping.wait(WAKE_S):
                return False

    def _due(self, times_us: np.ndarray, anchor_us: int, started_us: int) -> int:
        """How many events from the first on have come to pass."""
        if math.isinf(self._speed):
            return len(times_us)
        self._reached_us = anchor_us + round((self._clock() * 1e6 - started_us) * self._speed)
        return int(np.searchsorted(times_us, self._reached_us, side="right"))

    def _read(self, begin_us: int) -> Iterator[pa.Table]:
        with open(self._path, "rb") as file:
            size = max(1, os.fstat(file.fileno()).st_size)
            tables = iter_pcap(
                file,
                source=self.name,
                rejects=self._rejects,
                idle_s=self._idle_s,
                begin_us=begin_us if self._rebased else None,
            )
            for table in tables:
                self._progress = min(file.tell() / size, 1.0)
                yield table
