"""What all sources have in common: a thread, a way into the sink, and numbers.

It knows `CaptureEngine` and `Sink`, and nothing of files, formats or schedules: its subclasses do.
"""

from __future__ import annotations

import logging
import threading

import pyarrow as pa

from engine.ingest.protocol import CaptureState, CaptureStats, Sink
from engine.ingest.rejects import Rejects

logger = logging.getLogger(__name__)

OFFER_EVENTS = 500
"""Events offered to the sink at once: a quarter of the default queue, so that others get in between."""

OFFER_TIMEOUT_S = 0.25
"""How long one offer waits for room, s; bounds how long `stop` takes."""


class ThreadedSource:
    """A `CaptureEngine` whose work is the method `_work`, done in a daemon thread.

    Where the sink has no room it waits and falls behind, and loses nothing. What it has taken and not
    been able to hand over when it is stopped comes first when it is started again.

    Parameters
    ----------
    name : str
        Name of the source, also in the events.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._rejects = Rejects()
        self._events = self._drops = 0
        self._pending: pa.Table | None = None
        self._state: CaptureState = "idle"
        self._progress: float | None = None
        self._last_error: str | None = None
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self, out: Sink) -> None:
        """Begin, or go on, to emit into `out`; returns at once.

        Raises
        ------
        RuntimeError
            If it is running already.
        """
        if self._thread is not None and self._thread.is_alive():
            raise RuntimeError(f"source {self.name!r} is running already; stop it first")
        self._stopping.clear()
        self._state, self._last_error = "running", None
        self._thread = threading.Thread(target=self._run, args=(out,), name=f"source {self.name}", daemon=True)
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

    def _run(self, out: Sink) -> None:
        try:
            finished = self._work(out)
        except Exception as error:
            logger.exception("source %r failed", self.name)
            self._last_error, self._state = f"{type(error).__name__}: {error}", "failed"
        else:
            self._state = "finished" if finished else "idle"

    def _work(self, out: Sink) -> bool:
        """Emit until stopped (False) or until there is nothing more to come (True)."""
        raise NotImplementedError

    def _offer(self, out: Sink, table: pa.Table | None = None) -> bool:
        """Hand over what is pending, and a table after it; False if stopped before all of it was accepted."""
        if table is not None and table.num_rows:
            self._pending = table if self._pending is None else pa.concat_tables([self._pending, table])
        while self._pending is not None:
            if self._stopping.is_set():
                return False
            accepted = out.put(self._pending.slice(0, OFFER_EVENTS), OFFER_TIMEOUT_S)
            self._events += accepted
            if not accepted:
                self._stopping.wait(0.02)  # a closed sink refuses at once
            rest = self._pending.slice(accepted)
            self._pending = rest if rest.num_rows else None
            self._accepted()
        return True

    def _accepted(self) -> None:
        """Called after each part that the sink took; a place for telling how far it is."""
