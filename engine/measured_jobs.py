"""Long work that many may wish for: equal wishes are computed once, with progress, shown in parts, and cancelled
when nobody waits any more.

It knows neither measurements nor pages.
"""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Generic, Literal, TypeVar

logger = logging.getLogger(__name__)

S = TypeVar("S", bound=Hashable)
R = TypeVar("R")

KEPT = 12
"""Finished results kept."""

MAX_WAITING = 32
"""Jobs that may wait; the one asked for longest ago gives way, and says so."""

State = Literal["waiting", "running", "done", "failed", "cancelled"]


class Cancelled(Exception):
    """Nobody waits for this work any more."""


@dataclass(eq=False)
class Job(Generic[S, R]):
    """One piece of work, as far as it is.

    Attributes
    ----------
    spec : S
    state : {"waiting", "running", "done", "failed", "cancelled"}
    share : float
        Done, 0 to 1.
    text : str
        What is being done.
    result : R or None
        The last part that was shown, or the whole.
    error : str
        Why it failed.
    """

    spec: S
    state: State = "waiting"
    share: float = 0.0
    text: str = "waiting for other work"
    result: R | None = None
    error: str = ""
    tickets: set[Ticket[S, R]] = field(default_factory=set)


class Ticket(Generic[S, R]):
    """One viewer's wish; it follows one job at a time.

    Attributes
    ----------
    job : Job or None
        What is looked at.
    """

    def __init__(self, board: JobBoard[S, R], wake: Callable[[], object]) -> None:
        self._board, self.wake = board, wake
        self.job: Job[S, R] | None = None

    def ask(self, spec: S) -> None:
        """Wish for this, and for nothing else; what is at hand is there at once.

        A job of this ticket that was cancelled stays so until `again`.
        """
        if self.job is None or self.job.spec != spec:
            self._board._ask(self, spec)

    def again(self) -> None:
        """Try anew what was cancelled or failed."""
        if self.job is not None and self.job.state in ("cancelled", "failed"):
            self._board._ask(self, self.job.spec)

    def cancel(self) -> None:
        """Wait no more; the work ends unless others wait for it."""
        if self.job is not None and self.job.state in ("waiting", "running"):
            spec, result = self.job.spec, self.job.result
            self._board._leave(self)
            self.job = Job(spec, "cancelled", text="cancelled", result=result)

    def close(self) -> None:
        """Forget the wish."""
        self._board._leave(self)
        self.job = None


class JobBoard(Generic[S, R]):
    """Does the jobs one after the other, on a thread of its own.

    Parameters
    ----------
    compute : callable (spec, told, show) -> result
        `told(share, text)` says how far it is and raises `Cancelled` when it should end; `show(part)` shows a part.

    Examples
    --------
    >>> board = JobBoard(lambda spec, told, show: 2 * spec)
    >>> board.result(21, timeout_s=10.0)
    42
    >>> board.stop()
    """

    def __init__(self, compute: Callable[[S, Callable[[float, str], None], Callable[[R], None]], R]) -> None:
        self._compute = compute
        self._changed = threading.Condition()
        self._waiting: OrderedDict[S, Job[S, R]] = OrderedDict()
        self._done: OrderedDict[S, Job[S, R]] = OrderedDict()
        self._running: Job[S, R] | None = None
        self._stopping = False
        self._thread: threading.Thread | None = None
        self.computed = 0

    def ticket(self, wake: Callable[[], object]) -> Ticket[S, R]:
        """A place for one viewer; `wake` is called from the board's thread when its job is further."""
        return Ticket(self, wake)

    def result(self, spec: S, timeout_s: float) -> R:
        """Compute in the board's thread, and wait for it.

        Raises
        ------
        ValueError
            It failed (with its reason), or is not there in time.
        """
        ticket = self.ticket(lambda: None)
        ticket.ask(spec)
        job = ticket.job
        assert job is not None
        with self._changed:
            over = self._changed.wait_for(lambda: job.state in ("done", "failed", "cancelled"), timeout_s)
        ticket.close()
        if not over or job.result is None or job.state != "done":
            raise ValueError(job.error or f"not computed within {timeout_s:g} s; try again in a moment")
        return job.result

    def stop(self) -> None:
        """End the work in hand and begin no other; stopping twice is fine."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join(30.0)

    # -- inside ---------------------------------------------------------------------------------

    def _ask(self, ticket: Ticket[S, R], spec: S) -> None:
        self._leave(ticket)
        with self._changed:
            job = self._done.get(spec) or self._waiting.get(spec)
            if job is None and self._running is not None and self._running.spec == spec:
                job = self._running
            if job is None or job.state == "failed":
                self._done.pop(spec, None)
                job = self._waiting[spec] = Job(spec)
                while len(self._waiting) > MAX_WAITING:
                    _, given_up = self._waiting.popitem(last=False)
                    given_up.state, given_up.error = "failed", "too much was asked for at once; try again"
            elif spec in self._done:
                self._done.move_to_end(spec)
            job.tickets.add(ticket)
            ticket.job = job
            if self._thread is None and not self._stopping:
                self._thread = threading.Thread(target=self._run, name="measured", daemon=True)
                self._thread.start()
            self._changed.notify_all()

    def _leave(self, ticket: Ticket[S, R]) -> None:
        with self._changed:
            job = ticket.job
            if job is None:
                return
            job.tickets.discard(ticket)
            if not job.tickets and job.state == "waiting":
                self._waiting.pop(job.spec, None)

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: bool(self._waiting) or self._stopping)
                if self._stopping:
                    return
                _, job = self._waiting.popitem(last=False)
                self._running, job.state = job, "running"
            self._do(job)

    def _do(self, job: Job[S, R]) -> None:
        def told(share: float, text: str) -> None:
            if self._stopping or not job.tickets:
                raise Cancelled
            job.share, job.text = share, text
            _wake(job)

        def show(part: R) -> None:
            job.result = part
            _wake(job)

        state: State = "done"
        try:
            job.result = self._compute(job.spec, told, show)
        except Cancelled:
            state = "cancelled"
        except Exception as error:
            # Whatever the measurements are like, the viewer is told and the next job is done.
            expected = isinstance(error, ValueError)
            logger.log(logging.INFO if expected else logging.ERROR, "a job failed", exc_info=not expected)
            state, job.error = "failed", str(error) if expected else f"{type(error).__name__}: {error}"
        with self._changed:
            job.state, job.share, self._running = state, 1.0, None
            self.computed += state == "done"
            if state in ("done", "failed"):
                self._done[job.spec] = job
                while len(self._done) > KEPT:
                    self._done.popitem(last=False)
            elif job.tickets and not self._stopping:  # somebody came just as the work was given up
                job.state, job.share = "waiting", 0.0
                self._waiting[job.spec] = job
            self._changed.notify_all()
        _wake(job)


def _wake(job: Job[S, R]) -> None:
    for ticket in list(job.tickets):
        ticket.wake()
