"""The bounded queue between sources and the log: so many events, not so many tables, and no more.

A source that is too fast waits as long as it chose to, then loses events that are counted by reason;
nothing here grows. The queue knows neither the sources nor the log.
"""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from dataclasses import dataclass

import pyarrow as pa

DEFAULT_CAPACITY = 2_000
"""Events a queue holds unless told otherwise."""


@dataclass(frozen=True)
class QueueStats:
    """What a queue holds and what went through it, at one moment.

    Attributes
    ----------
    depth, capacity : int
        Events waiting now, and at most.
    fill : float
        depth / capacity.
    high_watermark : int
        The greatest depth so far.
    above_watermark : bool
        Whether the queue is filled to its watermark or beyond now: the warning.
    put, got : int
        Events accepted and taken out so far.
    drops : dict of str to int
        Events refused so far, by reason: ``full`` or ``closed``.
    """

    depth: int
    capacity: int
    fill: float
    high_watermark: int
    above_watermark: bool
    put: int
    got: int
    drops: dict[str, int]


class BoundedQueue:
    """First in, first out, for event batches, bounded by the number of events.

    Parameters
    ----------
    maxsize_events : int
        Events it holds at most.
    watermark : float
        Share of `maxsize_events` in (0, 1] from which `stats` warns.

    Examples
    --------
    >>> from engine.events import event_table
    >>> queue = BoundedQueue(maxsize_events=3)
    >>> [queue.put(event_table([0, 0], "note", names, "me")) for names in (["a", "b"], ["c", "d"])]
    [2, 1]
    >>> queue.get()["entity"].to_pylist(), queue.stats().drops
    (['a', 'b', 'c'], {'full': 1})
    """

    def __init__(self, maxsize_events: int = DEFAULT_CAPACITY, watermark: float = 0.8) -> None:
        if maxsize_events < 1:
            raise ValueError(f"maxsize_events is {maxsize_events}: 1 or more is needed")
        if not 0.0 < watermark <= 1.0:
            raise ValueError(f"watermark is {watermark}: a share in (0, 1] is needed")
        self.capacity = maxsize_events
        self.watermark = watermark
        lock = threading.Lock()
        self._room = threading.Condition(lock)
        self._filled = threading.Condition(lock)
        self._tables: deque[pa.Table] = deque()
        self._depth = self._deepest = self._put = self._got = 0
        self._drops: Counter[str] = Counter()
        self._closed = False

    def put(self, table: pa.Table, timeout_s: float | None = None) -> int:
        """Offer a batch, in parts as room appears, and keep to what finds room in time.

        Parameters
        ----------
        table : pyarrow.Table
        timeout_s : float, optional
            How long to wait for room, s. None does not wait at all and drops what finds no room: right
            for a live source, which cannot be slowed. With a timeout the rest stays with the caller,
            who offers it again, and is no drop.

        Returns
        -------
        int
            How many events, from the first on, were accepted.
        """
        deadline = time.monotonic() + (timeout_s or 0.0)
        accepted, n = 0, table.num_rows
        with self._room:
            while accepted < n and not self._closed:
                room = self.capacity - self._depth
                if room:
                    accepted += self._take(table.slice(accepted, room))
                elif not self._room.wait(deadline - time.monotonic()):
                    break
            if accepted < n and (timeout_s is None or self._closed):
                self._drops["closed" if self._closed else "full"] += n - accepted
        return accepted

    def get(self, timeout_s: float = 0.0, max_events: int | None = None) -> pa.Table | None:
        """All that waits, as one batch of at most `max_events`; None if nothing comes in time.

        Parameters
        ----------
        timeout_s : float
            How long to wait for the first event, s. A closed and empty queue does not wait.
        max_events : int, optional
            None is no limit.

        Returns
        -------
        pyarrow.Table or None
            At least one event, in the order they were put.
        """
        if max_events is not None and max_events < 1:
            raise ValueError(f"max_events is {max_events}: 1 or more is needed, or None for no limit")
        deadline = time.monotonic() + timeout_s
        parts: list[pa.Table] = []
        with self._filled:
            while not self._depth and not self._closed:
                if not self._filled.wait(deadline - time.monotonic()):
                    break
            wanted = min(self._depth, max_events or self._depth)
            self._depth -= wanted
            self._got += wanted
            while wanted:
                head = self._tables.popleft()
                if head.num_rows > wanted:
                    self._tables.appendleft(head.slice(wanted))
                    head = head.slice(0, wanted)
                parts.append(head)
                wanted -= head.num_rows
            self._room.notify_all()
        return pa.concat_tables(parts) if parts else None

    def close(self) -> None:
        """Refuse further events and wake all who wait; what is inside can still be taken out."""
        with self._room:
            self._closed = True
            self._room.notify_all()
            self._filled.notify_all()

    def stats(self) -> QueueStats:
        """Depth, counters and warning at this moment."""
        with self._room:
            fill = self._depth / self.capacity
            return QueueStats(
                depth=self._depth,
                capacity=self.capacity,
                fill=fill,
                high_watermark=self._deepest,
                above_watermark=fill >= self.watermark,
                put=self._put,
                got=self._got,
                drops=dict(self._drops),
            )

    def _take(self, part: pa.Table) -> int:
        self._tables.append(part)
        self._depth += part.num_rows
        self._put += part.num_rows
        self._deepest = max(self._deepest, self._depth)
        self._filled.notify()
        return part.num_rows
