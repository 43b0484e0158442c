"""One station and one set of live frames per process, for all sessions.

A session is woken without data and pulls what it wants on its own loop. It is registered only when
its page has loaded: a client that never says it is ready gets nothing and costs nothing, and is
forgotten when its session ends.
"""

from __future__ import annotations

import atexit
import logging
import threading
import time
import weakref
from collections.abc import Callable
from typing import Any

import panel as pn
from bokeh.document import Document
from panel.reactive import Syncable
from tornado.ioloop import IOLoop

from dashboard.next_tick import in_session, this_loop
from engine.events import EmbeddedRedisError, LogLockedError
from engine.station import Station

logger = logging.getLogger(__name__)

# What a widget sets off runs with the session's document locked. Panel would run it without and queue the
# changes of its own models; the map's plain Bokeh models refuse a change then, and the colour limits, the
# search and every switch would end in an exception (tests/browser holds it).
for _coroutine in (Syncable._change_coroutine, Syncable._event_coroutine):
    _coroutine.lock = True  # type: ignore[union-attr]

SILENT_S, LOOK_S = 1.15, 0.2
"""A session that was not rung for this long is rung, so that its strip tells how things are; how often that is seen to.

Pages whose pictures come every second are rung by these and never need it.
"""

_lock = threading.Lock()
_over = threading.Event()
_station: Station | None = None
_failure: str | None = None


def station() -> Station:
    """The station of this process, started on first use.

    Raises
    ------
    RuntimeError
        When it could not be started; the message says why and what to do.
    """
    global _station, _failure
    with _lock:
        if _station is None:
            try:
                _station = Station().start()
            except Exception as error:
                _failure = f"{type(error).__name__}: {error}"
                # A setting to mend needs its sentence, not our call stack; anything else needs both.
                told = isinstance(error, (LogLockedError, EmbeddedRedisError, OSError, ValueError))
                logger.log(logging.DEBUG if told else logging.ERROR, "the station did not start", exc_info=True)
                raise RuntimeError(_failure) from error
            _failure = None
            _over.clear()
            threading.Thread(target=_ring_the_silent, name="ringer", daemon=True).start()
            atexit.register(shut_down)
        return _station


def shut_down() -> None:
    """Stop the station, so that nothing accepted is lost."""
    global _station
    _over.set()
    with _lock:
        if _station is not None:
            _station.stop()
            _station = None


def readiness() -> dict[str, Any]:
    """State of the instance for `/ready`, without starting anything."""
    running = _station
    phase = running.phase if running is not None else ("failed" if _failure else "warming")
    return {"status": phase, "sessions": len(sessions), "error": _failure}


sessions: set[Wakeful] = set()
"""Sessions that are loaded and want to be woken."""


_bells: weakref.WeakSet[Wakeful] = weakref.WeakSet()


def sessions_in_memory() -> int:
    """Sessions that something still holds, loaded, ended or not: what does not fall back to 0 is a leak."""
    return len(_bells)


class Wakeful:
    """A session's bell: wakes are coalesced, run on the session's own loop, and end with the session.

    Parameters
    ----------
    pull : callable () -> None
        Runs on the session's loop with its document locked; wakes may be lost or doubled without harm.
    close : callable () -> None
        Runs once, when the session is destroyed.
    """

    def __init__(self, pull: Callable[[], None], close: Callable[[], None]) -> None:
        self._pull = pull
        self._close = close
        self._pending = False
        self._closed = False
        self._document: Document | None = None
        self._loop: IOLoop | None = None
        _bells.add(self)
        self.pulls = 0
        self.pulled_s = 0.0
        self.errors = 0

    def attach(self, document: Document, loop: IOLoop | None = None) -> None:
        """Begin to wake: the page has loaded. A session that is over already stays over."""
        if self._closed:
            return
        self._document, self._loop = document, loop
        sessions.add(self)
        self.wake()

    def wake(self) -> None:
        """Ask for one pull; called from any thread, returns at once."""
        document = self._document
        if document is None or self._pending or self not in sessions:
            return
        self._pending = True
        try:
            in_session(document, self._loop, self._run)
        except Exception:
            # The document went away between the two lines above; the session's end will tell us so.
            self._pending = False

    def close(self) -> None:
        """Forget the session; closing twice is fine."""
        sessions.discard(self)
        self._document = None
        if self._closed:
            return
        self._closed = True
        try:
            self._close()
        except Exception:
            logger.exception("a session did not close cleanly")

    def _run(self) -> None:
        self._pending = False
        if self not in sessions:
            return
        self.pulls += 1
        self.pulled_s = time.monotonic()
        try:
            with pn.io.hold():
                self._pull()
        except Exception:
            self.errors += 1
            logger.exception("a session's update failed")


class _SessionEnd:
    """Called by Panel when a session is destroyed; an object of an imported module, as Panel needs."""

    def __init__(self, bell: Wakeful) -> None:
        self.bell = bell

    def __call__(self, session_context: Any) -> None:
        self.bell.close()


def join(bell: Wakeful) -> None:
    """Wake this session from when its page has loaded until it is destroyed."""
    document = pn.state.curdoc
    if document is None or document.session_context is None:
        return

    loop = this_loop()

    def loaded() -> None:
        bell.attach(document, loop)

    pn.state.onload(loaded)
    document.on_session_destroyed(_SessionEnd(bell))


def _ring_the_silent() -> None:
    while not _over.wait(LOOK_S):
        _ring_those_since(time.monotonic() - SILENT_S)


def _ring_those_since(late_s: float) -> None:
    # A function of its own: the last bell must not live on in a variable of the thread.
    for bell in list(sessions):
        if bell.pulled_s < late_s:
            bell.wake()


def now_s() -> float:
    """Epoch seconds."""
    return time.time()
