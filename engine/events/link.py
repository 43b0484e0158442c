"""A connection that heals: one thread that opens it, watches it, and opens it again after a loss.

What open, watch and close mean is given as functions, so this module knows no Redis: only when to try
again (jittered exponential back-off) and what to tell about it.
"""

from __future__ import annotations

import contextlib
import logging
import random
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class LinkState:
    """A connection as a person wants to be told of it.

    Attributes
    ----------
    connected : bool
    since_s : float
        Epoch seconds since when it is connected, or not.
    attempt : int
        Failed attempts since it was lost; 0 while connected.
    next_retry_in_s : float or None
        Seconds to the next attempt; None while connected or trying.
    last_error : str or None
        Why it was lost, or why the last attempt failed; kept after recovery.
    losses : int
        How often a connection was lost so far.
    """

    connected: bool
    since_s: float
    attempt: int
    next_retry_in_s: float | None
    last_error: str | None
    losses: int


def backoff_delays(
    first_s: float = 0.1, factor: float = 1.6, cap_s: float = 5.0, rng: random.Random | None = None
) -> Iterator[float]:
    """Endless waits between attempts, s: growing to a cap, each shortened at random by up to half.

    The waits until any moment sum to more than the next one, so a server that comes back is seen again
    after less than the time it was away. The jitter keeps many clients from returning at once.

    Examples
    --------
    >>> from itertools import islice
    >>> waits = list(islice(backoff_delays(), 20))
    >>> all(0.05 <= wait <= 5.0 for wait in waits)
    True

    References
    ----------
    M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
    """
    rng = rng or random.Random()
    wait_s = first_s
    while True:
        yield wait_s * rng.uniform(0.5, 1.0)
        wait_s = min(wait_s * factor, cap_s)


class Link:
    """Keeps a connection up from a thread of its own.

    Parameters
    ----------
    name : str
        Of the thread and in log lines.
    open : callable
        Connects, or raises. Called on the link's thread, as are the next two.
    watch : callable
        Called again and again while connected; returns within a fraction of a second, raises on loss.
    close : callable
        Drops what is open, called before every new attempt and at the end.
    delays : callable
        Gives a fresh iterator of waits for each loss.
    """

    def __init__(
        self,
        name: str,
        open: Callable[[], None],
        watch: Callable[[], None],
        close: Callable[[], None],
        delays: Callable[[], Iterator[float]] = backoff_delays,
    ) -> None:
        self._open, self._watch, self._close, self._delays = open, watch, close, delays
        self._name = name
        self._lock = threading.Lock()
        self._wake = threading.Event()  # set to end a wait early: retry now, or stop
        self._tried = threading.Event()
        self._stopping = False
        self._connected = False
        self._since_s = time.time()
        self._attempt = self._losses = 0
        self._retry_at: float | None = None
        self._last_error: str | None = None
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begin to connect."""
        self._thread.start()

    def stop(self, timeout_s: float = 5.0) -> None:
        """Close the connection and end the thread."""
        self._stopping = True
        self._wake.set()
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join(timeout_s)

    @property
    def connected(self) -> bool:
        """Whether it is up, as far as is known."""
        return self._connected

    def wait_tried(self, timeout_s: float) -> bool:
        """Wait until the first attempt has ended, well or not."""
        return self._tried.wait(timeout_s)

    def state(self) -> LinkState:
        """The connection as it is now."""
        with self._lock:
            retry_in = None if self._retry_at is None else max(0.0, self._retry_at - time.monotonic())
            return LinkState(self._connected, self._since_s, self._attempt, retry_in, self._last_error, self._losses)

    def lose(self, error: Exception) -> None:
        """Tell of a loss noticed by another thread that uses the connection."""
        if self._connected:
            self._mark_lost(error)
            self._wake.set()

    def retry_now(self) -> None:
        """Skip the rest of a wait."""
        self._wake.set()

    def _run(self) -> None:
        delays = self._delays()
        while not self._stopping:
            self._wake.clear()
            try:
                self._open()
                self._mark_connected()
                delays = self._delays()
                while self._connected and not self._stopping:
                    self._watch()
            except Exception as error:
                self._mark_lost(error)
            self._tried.set()
            with contextlib.suppress(Exception):  # what is broken may refuse even to be closed
                self._close()
            if not self._stopping:
                self._pause(next(delays))
        self._connected = False

    def _pause(self, wait_s: float) -> None:
        with self._lock:
            self._retry_at = time.monotonic() + wait_s
        self._wake.wait(wait_s)
        with self._lock:
            self._retry_at = None

    def _mark_connected(self) -> None:
        with self._lock:
            self._connected, self._since_s, self._attempt = True, time.time(), 0
        self._tried.set()
        logger.info("%s: connected", self._name)

    def _mark_lost(self, error: Exception) -> None:
        with self._lock:
            self._last_error = f"{type(error).__name__}: {error}"
            if self._connected:
                self._connected, self._since_s = False, time.time()
                self._losses += 1
                logger.warning("%s: lost: %s", self._name, self._last_error)
            else:
                self._attempt += 1
