"""The follower: every event of the log to every fold, once and in order, as soon as it is committed.

The bus says that there is something new and mostly brings it along; the log is asked for whatever the
bus did not bring. Nothing depends on a message arriving, arriving once, or arriving in order. It must
not know what the folds do.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, Protocol

import pyarrow as pa

from engine.events.bus import EventBus
from engine.events.log import EventLog
from engine.events.message import EVENTS_CHANNEL, Announcement, decode_events

logger = logging.getLogger(__name__)

_CHUNK_EVENTS = 10_000
"""Events read from the log at a time: catching up on a long log stays within memory and can be stopped."""

_INBOX_MESSAGES = 256
"""Bus messages that may wait; what is beyond is dropped, and found again in the log as a gap."""


class Fold(Protocol):
    """What a follower feeds: anything with an `apply`."""

    def apply(self, table: pa.Table) -> object:
        """Take the next events, in seq order, at least one."""


@dataclass(frozen=True)
class FoldStats:
    """What one fold took: the seq it has reached, events, batches that raised, and the last error."""

    cursor: int
    events: int
    errors: int
    last_error: str | None


@dataclass(frozen=True)
class FollowerStats:
    """How the following goes.

    Attributes
    ----------
    mode : {"bus", "log"}
        Whether the bus is being heard, or the log is polled.
    cursor, lag : int
        Seq of the last event delivered, and how many the log has beyond it.
    folded : int
        Events delivered.
    from_log : int
        Events of `folded` that were read from the log rather than brought by the bus.
    gaps_filled : int
        How often the log had something that the bus, though heard, had not brought; at the start, too.
    duplicates_ignored : int
        Events that the bus brought again.
    bus_messages, foreign, broken : int
        Messages of this instance; of other instances, whose seq mean something else; and unreadable.
    log_errors : int
        How often the log could not be read, with the error text in `last_log_error`.
    folds : dict of str to FoldStats
    """

    mode: Literal["bus", "log"]
    cursor: int
    lag: int
    folded: int
    from_log: int
    gaps_filled: int
    duplicates_ignored: int
    bus_messages: int
    foreign: int
    broken: int
    log_errors: int
    last_log_error: str | None
    folds: dict[str, FoldStats]


@dataclass
class _Follows:
    name: str
    fold: Fold
    cursor: int
    events: int = 0
    errors: int = 0
    last_error: str | None = None


@dataclass
class _Counts:
    folded: int = 0
    from_log: int = 0
    gaps_filled: int = 0
    duplicates_ignored: int = 0
    bus_messages: int = 0
    foreign: int = 0
    broken: int = 0
    log_errors: int = 0
    last_log_error: str | None = field(default=None)


class Follower:
    """Feeds folds from a log, woken and supplied by a bus if there is one.

    All folds are called on the follower's one thread. A fold that raises has had its batch: the error is
    counted, and neither the other folds nor the next batch are affected.

    Parameters
    ----------
    log : EventLog
    bus : EventBus or None
        None polls the log alone.
    from_seq : int
        Deliver events after this seq.
    poll_s : float
        How often to look at the log while the bus is lost or silent, s.

    Raises
    ------
    ValueError
        If the log does not reach to `from_seq`.

    Examples
    --------
    >>> from engine.events import event_table
    >>> seen = []
    >>> class Keep:
    ...     def apply(self, table):
    ...         seen.extend(table["entity"].to_pylist())
    >>> with EventLog(":memory:") as log, Follower(log, None) as follower:
    ...     follower.add(Keep())
    ...     seq = log.append(event_table([0, 1], "note", ["a", "b"], "me"))
    ...     follower.wait_for(seq, timeout_s=10)
    True
    >>> seen
    ['a', 'b']
    """

    def __init__(self, log: EventLog, bus: EventBus | None, from_seq: int = 0, *, poll_s: float = 1.0) -> None:
        if not 0 <= from_seq <= log.last_seq:
            raise ValueError(f"from_seq is {from_seq}: 0 to {log.last_seq}, the log's last, is needed")
        self._log, self._bus, self._poll_s = log, bus, poll_s
        self._cursor = from_seq
        self._follows: list[_Follows] = []
        self._callbacks: list[Callable[[pa.Table], object]] = []
        self._counts = _Counts()
        self._changed = threading.Condition()  # guards all of the below, and says that one of it changed
        self._inbox: deque[bytes] = deque()
        self._look = True  # something may be in the log that no message will tell of
        self._stopping = False
        self._unsubscribe: Callable[[], None] | None = None
        self._thread: threading.Thread | None = None

    def add(self, fold: Fold, *, from_seq: int | None = None, name: str | None = None) -> None:
        """Feed a fold too, from after `from_seq` on, or from where the follower is.

        A fold that starts behind the others is caught up from the log before they go on.
        """
        with self._changed:
            start = self._cursor if from_seq is None else from_seq
            self._follows = [*self._follows, _Follows(name or type(fold).__name__, fold, start)]
            self._look = True
            self._wake()

    def remove(self, fold: Fold) -> None:
        """Feed a fold no more."""
        with self._changed:
            self._follows = [follows for follows in self._follows if follows.fold is not fold]

    def on_batch(self, callback: Callable[[pa.Table], object]) -> None:
        """Call a function with every batch after all folds have had it; it must be quick."""
        self._callbacks = [*self._callbacks, callback]

    def start(self) -> None:
        """Begin to follow; a stopped follower goes on from its cursor."""
        if self._thread is not None:
            raise RuntimeError("this follower is running: stop it before starting it again")
        self._stopping = False
        self._look = True
        if self._bus is not None:
            self._unsubscribe = self._bus.subscribe(EVENTS_CHANNEL, self._receive, self._on_connected)
        self._thread = threading.Thread(target=self._run, name="follower", daemon=True)
        self._thread.start()

    def stop(self, timeout_s: float = 10.0) -> None:
        """End after the batch in hand; stopping twice is fine."""
        if self._unsubscribe is not None:
            self._unsubscribe()
        with self._changed:
            self._stopping = True
            self._wake()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(timeout_s)
            if not self._thread.is_alive():  # else a fold hangs, and a second thread must not call it too
                self._thread = None

    def __enter__(self) -> Follower:
        """The running follower."""
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop it."""
        self.stop()

    @property
    def cursor(self) -> int:
        """Seq of the last event that all folds have had."""
        return self._cursor

    @property
    def mode(self) -> Literal["bus", "log"]:
        """Whether the bus is being heard, or the log is polled."""
        return "bus" if self._bus is not None and self._bus.hearing else "log"

    def wait_for(self, seq: int, timeout_s: float) -> bool:
        """Wait until all folds, also late ones, have had the event `seq`; False if not in time."""
        with self._changed:
            return self._changed.wait_for(
                lambda: min([self._cursor, *(follows.cursor for follows in self._follows)]) >= seq, timeout_s
            )

    def stats(self) -> FollowerStats:
        """Cursor, mode, counts and folds at this moment."""
        with self._changed:
            folds = {f.name: FoldStats(f.cursor, f.events, f.errors, f.last_error) for f in self._follows}
            lag = max(0, self._log.last_seq - self._cursor)
            return FollowerStats(mode=self.mode, cursor=self._cursor, lag=lag, folds=folds, **vars(self._counts))

    # -- on the bus's thread ------------------------------------------------------------------------

    def _receive(self, message: bytes) -> None:
        with self._changed:
            if len(self._inbox) < _INBOX_MESSAGES:
                self._inbox.append(message)
            self._wake()

    def _on_connected(self) -> None:
        with self._changed:
            self._look = True
            self._wake()

    # -- on the follower's thread -------------------------------------------------------------------

    def _run(self) -> None:
        while not self._stopping:
            message = self._next_message()
            try:
                self._catch_up_late_folds()
                if message is not None:
                    self._take(message)
                elif self._look:
                    self._look = False
                    self._read_log()
            except Exception as error:  # the log is closed or its disk is in trouble: say so, try again
                self._look = True
                with self._changed:
                    self._counts.log_errors += 1
                    self._counts.last_log_error = f"{type(error).__name__}: {error}"
                    logger.exception("the follower cannot read the log")
                    self._changed.wait_for(lambda: self._stopping, self._poll_s)

    def _next_message(self) -> bytes | None:
        """The next message, or None after a wake or a silence, in which the log may have grown."""
        with self._changed:
            woken = self._changed.wait_for(lambda: self._stopping or self._look or self._inbox, self._poll_s)
            if self._inbox and not self._stopping:
                return self._inbox.popleft()
            # Silence. While the bus is heard this finds only what a publisher failed to announce.
            self._look = self._look or not woken
            return None

    def _take(self, message: bytes) -> None:
        try:
            said = decode_events(message)
        except ValueError:
            self._count(broken=1)
            return
        if self._bus is None or said.instance != self._bus.instance:
            self._count(foreign=1)
            return
        self._count(bus_messages=1, broken=int(said.broken))
        already = min(said.last_seq, self._cursor) - said.first_seq + 1
        if already > 0:
            self._count(duplicates_ignored=already)
        if said.last_seq <= self._cursor:
            return
        self._take_new(said)

    def _take_new(self, said: Announcement) -> None:
        gap = said.first_seq > self._cursor + 1
        if gap or said.table is None:
            self._read_log(until=said.last_seq)
            self._count(gaps_filled=int(gap))
        else:
            self._deliver(said.table.slice(self._cursor + 1 - said.first_seq))

    def _read_log(self, until: int | None = None) -> None:
        """Deliver what the log has beyond the cursor, up to now or to a seq."""
        target = self._log.last_seq if until is None else until
        if until is None and target > self._cursor and self.mode == "bus":
            self._count(gaps_filled=1)
        while self._cursor < target and not self._stopping:
            table = self._log.since(self._cursor, limit=_CHUNK_EVENTS)
            if not table.num_rows:
                return  # announced, but not ours: nothing of that seq is in the log
            self._count(from_log=table.num_rows)
            self._deliver(table)

    def _deliver(self, table: pa.Table) -> None:
        last = table["seq"][-1].as_py()
        for follows in self._follows:
            _feed(follows, table)
        with self._changed:
            self._cursor = last
            self._counts.folded += table.num_rows
            self._wake()
        for callback in self._callbacks:
            try:
                callback(table)
            except Exception:
                logger.exception("a callback of the follower failed")

    def _catch_up_late_folds(self) -> None:
        for follows in self._follows:
            while follows.cursor < self._cursor and not self._stopping:
                behind = self._cursor - follows.cursor
                table = self._log.since(follows.cursor, limit=min(_CHUNK_EVENTS, behind))
                if not table.num_rows:
                    break
                _feed(follows, table)
                with self._changed:
                    self._wake()

    def _count(self, **more: int) -> None:
        with self._changed:
            for name, n in more.items():
                setattr(self._counts, name, getattr(self._counts, name) + n)

    def _wake(self) -> None:
        self._changed.notify_all()


def _feed(follows: _Follows, table: pa.Table) -> None:
    """Give a fold what it has not had of a batch; one that is further behind is caught up later."""
    seq = table["seq"]
    if follows.cursor + 1 < seq[0].as_py():
        return
    new = table.slice(max(0, follows.cursor + 1 - seq[0].as_py()))
    if not new.num_rows:
        return
    follows.cursor = seq[-1].as_py()
    try:
        follows.fold.apply(new)
        follows.events += new.num_rows
    except Exception as error:
        follows.errors += 1
        follows.last_error = f"{type(error).__name__}: {error}"
        logger.exception("the fold %s failed on seq %s to %s", follows.name, new["seq"][0], new["seq"][-1])
