"""One monitor behind a wall: what it raises, or how long it takes, harms nobody else.

Each call runs in the monitor's own thread and has a time limit. A monitor that fails or does not answer is thrown
away and made anew after a pause that doubles; the thread of one that hangs is left to itself and its answer, if it
ever comes, is not heard.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from engine.drift.monitor import Monitor

logger = logging.getLogger(__name__)

LIMIT_S = 30.0
"""Time that one call may take, s. It is time by the clock: a busy machine must not make monitors fail."""

FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 300.0
"""Pause before the first new try, and the longest, s."""

T = TypeVar("T")


_Answer = queue.SimpleQueue[tuple[Any, BaseException | None]]


class _Worker:
    """A daemon thread that makes calls one after the other."""

    def __init__(self, name: str) -> None:
        self._calls: queue.SimpleQueue[
            tuple[Callable[[], Any], queue.SimpleQueue[tuple[Any, BaseException | None]]] | None
        ]
        self._calls = queue.SimpleQueue()
        threading.Thread(target=self._run, name=f"monitor-{name}", daemon=True).start()

    def call(self, function: Callable[[], T], limit_s: float) -> T:
        """The answer of a call, or its error, or `TimeoutError`."""
        answer: _Answer = queue.SimpleQueue()
        self._calls.put((function, answer))
        try:
            value, error = answer.get(timeout=limit_s)
        except queue.Empty:
            raise TimeoutError(f"took longer than {limit_s:g} s") from None
        if error is not None:
            raise error
        return value

    def end(self) -> None:
        """Have the thread end after the call in hand."""
        self._calls.put(None)

    def _run(self) -> None:
        while (item := self._calls.get()) is not None:
            function, answer = item
            try:
                answer.put((function(), None))
            except BaseException as error:
                answer.put((None, error))


M = TypeVar("M", bound=Monitor)


class Isolated(Generic[M]):
    """A monitor that may fail without harm.

    Parameters
    ----------
    name : str
    make : function without arguments
        Makes the monitor, at first and after each failure.
    limit_s : float or None
        Time that one call may take; None: calls run in the caller's thread without a limit.

    Attributes
    ----------
    monitor : Monitor or None
        None while it is out.
    error : str
        Why it is out; the last reason when it is back.
    since_s : float
        Epoch seconds of the failure, 0 where there was none.
    retries : int
        Times it was made anew.
    """

    def __init__(self, name: str, make: Callable[[], M], limit_s: float | None = LIMIT_S) -> None:
        self.name, self._make, self._limit_s = name, make, limit_s
        self.monitor: M | None = make()
        self.error, self.since_s, self.retries = "", 0.0, 0
        self._pause_s = FIRST_PAUSE_S
        self._retry_at = 0.0  # monotonic
        self._well_since = time.monotonic()
        self._worker: _Worker | None = None
        self._closed = False
        self._changing = threading.Lock()

    @property
    def retry_in_s(self) -> float:
        """Time until the next try, s; 0 while it works."""
        return max(self._retry_at - time.monotonic(), 0.0) if self.monitor is None else 0.0

    def call(self, function: Callable[[M], T]) -> T | None:
        """What a function of the monitor returns, or None where it is out or fails now."""
        monitor = self.monitor
        if monitor is None:
            return None
        try:
            if self._limit_s is None:
                return function(monitor)
            with self._changing:
                if self._closed:
                    return None
                if self._worker is None:
                    self._worker = _Worker(self.name)
                worker = self._worker
            return worker.call(lambda: function(monitor), self._limit_s)
        except Exception as error:
            logger.warning("the monitor %s failed: %s", self.name, error, exc_info=True)
            self._fail(f"{type(error).__name__}: {error}"[:500])
            return None

    def revive(self) -> bool:
        """Make the monitor anew if it is out and its pause is over; true where that happened."""
        if self.monitor is not None or time.monotonic() < self._retry_at:
            return False
        try:
            self.monitor = self._make()
        except Exception as error:
            self._fail(f"{type(error).__name__}: {error}"[:500])
            return False
        self.retries += 1
        self._well_since = time.monotonic()
        return True

    def close(self) -> None:
        """End its thread for good: who calls later gets None, and no thread is made for it."""
        with self._changing:
            self._closed = True
        self._end_worker()

    def _end_worker(self) -> None:
        with self._changing:
            worker, self._worker = self._worker, None
        if worker is not None:
            worker.end()

    def _fail(self, error: str) -> None:
        if time.monotonic() - self._well_since > 2.0 * LONGEST_PAUSE_S:  # it had been well for long: begin gently again
            self._pause_s = FIRST_PAUSE_S
        self.monitor, self.error, self.since_s = None, error, time.time()
        self._retry_at = time.monotonic() + self._pause_s
        self._pause_s = min(2.0 * self._pause_s, LONGEST_PAUSE_S)
        self._end_worker()
