"""What every source looks like from outside: a name, start, stop and numbers.

One protocol for files, replays, captures and streams, so that the station, the pages and the tests
treat all of them alike. It knows nothing of any particular source, and of the queue behind a source
only that it takes tables.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, Protocol, runtime_checkable

import pyarrow as pa

CaptureState = Literal["idle", "running", "finished", "failed"]
"""``idle``: not started, or stopped; ``finished``: nothing more to come; ``failed``: see `last_error`."""


@runtime_checkable
class Sink(Protocol):
    """What a source puts its events into: a bounded queue stands behind it."""

    def put(self, table: pa.Table, timeout_s: float | None = None) -> int:
        """Offer an event batch.

        Parameters
        ----------
        table : pyarrow.Table
            n events, schema `engine.events.SCHEMA`.
        timeout_s : float, optional
            How long to wait for room, s; None waits as long as the sink sees fit.

        Returns
        -------
        int
            Events accepted, 0 to n, counted from the first row.
        """
        ...


@dataclass(frozen=True, slots=True)
class CaptureStats:
    """What a source has done so far: a snapshot.

    Attributes
    ----------
    packets : int
        Records read.
    events : int
        Events emitted, that is accepted by the sink.
    parse_errors : int
        Records whose syntax was the fault; they are in `rejected` too.
    drops : int
        Events that were due and not emitted: the sink had no room, or the source woke up too late.
    rejected : dict of str to int
        Records refused, by reason (`engine.ingest.rejects.REASONS`).
    examples : dict of str to str
        First example of each reason, short and printable.
    last_error : str or None
        Last failure, in words.
    state : {'idle', 'running', 'finished', 'failed'}
    progress : float or None
        Share done, 0 to 1; None where a source has no end.

    Examples
    --------
    >>> CaptureStats().state
    'idle'
    """

    packets: int = 0
    events: int = 0
    parse_errors: int = 0
    drops: int = 0
    rejected: dict[str, int] = field(default_factory=dict)
    examples: dict[str, str] = field(default_factory=dict)
    last_error: str | None = None
    state: CaptureState = "idle"
    progress: float | None = None


@runtime_checkable
class CaptureEngine(Protocol):
    """A source of events."""

    name: str

    def start(self, out: Sink) -> None:
        """Begin to emit into `out`; returns at once, the work is done in a daemon thread.

        Raises
        ------
        RuntimeError
            If it is running already.
        """
        ...

    def stop(self) -> None:
        """Stop emitting and wait until the thread has ended; harmless when it is not running."""
        ...

    def stats(self) -> CaptureStats:
        """What it has done so far; may be called from any thread at any time."""
        ...
