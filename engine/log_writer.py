"""The one thread that writes: takes batches out of the queue, commits them to the log, and announces them."""

from __future__ import annotations

import logging
import threading

import pyarrow as pa

from engine.events.bus import EventBus
from engine.events.log import EventLog
from engine.events.queue import BoundedQueue

logger = logging.getLogger(__name__)

WRITE_BATCH_EVENTS = 2_000
"""Events written to the log in one transaction at most."""

WRITE_RETRY_S = 1.0
"""Wait before a batch is offered to the log again, s."""


class LogWriter:
    """Writes what is in a queue until stopped, and then what is left in it.

    Attributes
    ----------
    errors : int
        Batches that could not be written, each try counted.
    """

    def __init__(self, queue: BoundedQueue, log: EventLog, bus: EventBus) -> None:
        self.errors = 0
        self._queue, self._log, self._bus = queue, log, bus
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._write, name="log-writer", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Write what is in the queue, and end."""
        self._stopping.set()
        self._thread.join(timeout=10.0)

    def _write(self) -> None:
        while True:
            batch = self._queue.get(timeout_s=0.2, max_events=WRITE_BATCH_EVENTS)
            if batch is None or not batch.num_rows:
                if self._stopping.is_set():
                    return
                continue
            committed = self._commit(batch)
            if committed is not None:
                self._bus.publish_events(committed)

    def _commit(self, batch: pa.Table) -> pa.Table | None:
        """Write a batch, again and again if the disk will not have it: meanwhile the queue fills and sources wait.

        A batch that is itself wrong, which no source should emit, is given up and counted.
        """
        while True:
            try:
                return self._log.commit(batch)
            except ValueError:
                self.errors += 1
                logger.exception("%d events are not fit for the log and are given up", batch.num_rows)
                return None
            except Exception:
                self.errors += 1
                logger.exception("%d events could not be written; trying again", batch.num_rows)
                if self._stopping.wait(WRITE_RETRY_S):
                    return None
