"""Layouts off the loop: one thread, the newest request replaces one that waits, progress, cancel, a versioned result.

A layout of millions takes a minute, so it cannot share the frame board's thread, whose frames come once a second; but
it is watched in the same way: the worker rings, and whoever watches pulls `LayoutWorker.result` on its own loop. What
a layout is, the worker need not know.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

logger = logging.getLogger(__name__)

R_co = TypeVar("R_co", covariant=True)
R = TypeVar("R")

REPORT_S = 0.1
"""Watchers hear of progress at most this often, s."""


class Job(Protocol[R_co]):
    """What the worker runs: calls `progress` with a share done, 0 to 1, and stops soon after `cancel` gives True.

    Any exception once cancel was asked for, such as `engine.hypergraph.Cancelled`, ends it without a result.
    """

    def __call__(self, *, progress: Callable[[float], None], cancel: Callable[[], bool]) -> R_co:
        """Compute."""
        ...


@dataclass(frozen=True, slots=True)
class LayoutState(Generic[R]):
    """What the worker has and does, all of one moment.

    Attributes
    ----------
    version : int
        Of `result`; 0 before the first.
    result : object or None
        The newest layout.
    busy : bool
        Whether one is being computed.
    waiting : bool
        Whether another waits behind it.
    progress : float
        Share done of the one being computed, 0 to 1.
    error : str or None
        Why the last one failed; None after one that did not.
    took_s : float
        How long the newest result took.
    """

    version: int = 0
    result: R | None = None
    busy: bool = False
    waiting: bool = False
    progress: float = 0.0
    error: str | None = None
    took_s: float = 0.0


class LayoutWorker(Generic[R]):
    """Runs one layout at a time in a thread of its own.

    `request` takes the place of a request that has not begun; one that has begun goes on to its end, so that a graph
    that changes every second is laid out at last, too.

    Examples
    --------
    >>> worker = LayoutWorker()
    >>> worker.start()
    >>> worker.request(lambda progress, cancel: 42)
    >>> worker.wait(timeout_s=5.0)
    True
    >>> worker.state.result, worker.state.version
    (42, 1)
    >>> worker.stop()
    """

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._state: LayoutState[R] = LayoutState()
        self._next: Job[R] | None = None
        self._cancel = threading.Event()
        self._stopping = False
        self._thread: threading.Thread | None = None
        self._wakes: set[Callable[[], None]] = set()
        self._reported_s = 0.0

    @property
    def state(self) -> LayoutState[R]:
        """What there is now; a value that does not change any more."""
        return self._state

    def start(self) -> None:
        """Start the thread."""
        if self._thread is not None:
            raise RuntimeError("this layout worker has been started; one is started once")
        self._thread = threading.Thread(target=self._run, name="layout", daemon=True)
        self._thread.start()

    def stop(self, timeout_s: float = 10.0) -> None:
        """Cancel what runs, drop what waits, end the thread and forget the watchers."""
        with self._condition:
            self._stopping, self._next = True, None
            self._cancel.set()
            self._wakes.clear()
            self._condition.notify_all()
        if self._thread is not None:
            self._thread.join(timeout_s)

    def watch(self, wake: Callable[[], None]) -> Callable[[], None]:
        """Ring `wake` when the state changed; returns what ends that.

        `wake` is called from the worker's thread and must return at once.
        """
        with self._condition:
            self._wakes.add(wake)

        def end() -> None:
            with self._condition:
                self._wakes.discard(wake)

        return end

    def request(self, job: Job[R]) -> None:
        """Want a layout computed; a request that still waits is dropped."""
        with self._condition:
            if self._stopping:
                raise RuntimeError("this layout worker has been stopped; it takes no more requests")
            self._next = job
            self._set(waiting=True)
            self._condition.notify_all()

    def cancel(self) -> None:
        """Stop what is being computed and drop what waits; the last result stays."""
        with self._condition:
            self._next = None
            self._set(waiting=False)
            self._cancel.set()
        self._ring()

    def wait(self, timeout_s: float) -> bool:
        """Wait until nothing is computed and nothing waits; False when that took too long."""
        with self._condition:
            return self._condition.wait_for(lambda: not (self._state.busy or self._state.waiting), timeout_s)

    def _run(self) -> None:
        while True:
            with self._condition:
                self._condition.wait_for(lambda: self._stopping or self._next is not None)
                if self._stopping:
                    return
                job, self._next = self._next, None
                self._cancel.clear()
                self._set(busy=True, waiting=False, progress=0.0)
            self._ring()
            assert job is not None
            self._compute(job)
            self._ring()

    def _compute(self, job: Job[R]) -> None:
        started = time.perf_counter()
        result, error = None, None
        try:
            result = job(progress=self._progress, cancel=self._cancel.is_set)
        except Exception as exc:
            if not self._cancel.is_set():
                error = f"{type(exc).__name__}: {exc}"
                logger.exception("a layout failed")
        with self._condition:
            if result is None:
                self._set(busy=False, progress=0.0, error=error)
            else:
                self._set(
                    busy=False, progress=1.0, error=None, result=result, version=self._state.version + 1,
                    took_s=time.perf_counter() - started,
                )  # fmt: skip
            self._condition.notify_all()

    def _progress(self, share: float) -> None:
        now = time.perf_counter()
        if now - self._reported_s < REPORT_S:
            return
        self._reported_s = now
        with self._condition:
            self._set(progress=float(min(max(share, 0.0), 1.0)))
        self._ring()

    def _set(self, **changes: object) -> None:
        values = {name: getattr(self._state, name) for name in LayoutState.__dataclass_fields__}
        self._state = LayoutState(**{**values, **changes})

    def _ring(self) -> None:
        with self._condition:
            wakes = list(self._wakes)
        for wake in wakes:
            try:
                wake()
            except Exception:
                logger.exception("a watcher of the layout failed")
