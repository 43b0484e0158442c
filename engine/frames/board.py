"""The frame board: one worker computes each wanted frame once, and wakes those who want it.

Sessions register a spec and a wake function; the worker computes every distinct spec once per tick
(live) or once (a moment of the past) and wakes the watchers without handing them data: they pull
(`Watch.look`) on their own loop. A newer spec of a watcher replaces its older one, so nothing is
computed that nobody waits for. Where it is asked for, wishes that come between ticks have a
worker of their own: whoever pans need not wait until the tick is done. The board knows nothing of what a frame is.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

logger = logging.getLogger(__name__)

TICK_S = 1.0
"""Period of live frames, s."""

PAST_FRAMES_KEPT = 48
"""Frames of past moments kept; the least recently used goes first."""


class NotWanted(Exception):
    """Nobody waits any more for what is being computed; raised by a computation that asked `FrameBoard.go_on`."""


class Spec(Hashable, Protocol):
    """What the board needs of a spec: hashable, and a moment that is None when live."""

    @property
    def moment_s(self) -> float | None:
        """The moment wanted, epoch seconds; None is live."""
        ...


S = TypeVar("S", bound=Spec)
F = TypeVar("F")


class Look(NamedTuple, Generic[F]):
    """What a watcher had at one moment; what is drawn and what is said of it come from the same look."""

    frame: F | None
    waiting: bool
    error: str | None


class Watch(Generic[S, F]):
    """One watcher of the board: its spec, the newest frame for it, and the last error."""

    def __init__(self, board: FrameBoard[S, F], spec: S, wake: Callable[[], None]) -> None:
        self._board = board
        self.spec = spec
        self.wake = wake
        self.frame: F | None = None
        self.frame_spec: S | None = None
        self.error: str | None = None
        self.asked = 0

    @property
    def waiting(self) -> bool:
        """True while the newest spec has no frame and no error yet."""
        return self.frame_spec != self.spec and self.error is None

    def look(self) -> Look[F]:
        """What is there now; the workers may bring the next frame at any moment."""
        return self._board.look(self)

    def request(self, spec: S) -> None:
        """Want another frame; the older wish, if not computed yet, is dropped."""
        self._board.request(self, spec)

    def close(self) -> None:
        """Stop watching."""
        self._board.remove(self)


class FrameBoard(Generic[S, F]):
    """Computes frames for all watchers in one thread.

    Parameters
    ----------
    compute : callable (spec, moment_s) -> frame
        `moment_s` is the tick for a live spec and `spec.moment_s` for one of the past.
    now : callable () -> float
        Epoch seconds.
    tick_s : float
        Period of live frames, s.
    kept : int
        Frames of past moments kept.
    prompt : bool
        Whether new wishes are computed beside a tick that is under way; `compute` is then called from two threads.
    """

    def __init__(
        self,
        compute: Callable[[S, float], F],
        now: Callable[[], float] = time.time,
        tick_s: float = TICK_S,
        kept: int = PAST_FRAMES_KEPT,
        *,
        prompt: bool = False,
    ) -> None:
        self._compute = compute
        self._now = now
        self.tick_s = tick_s
        self._kept = kept
        self._watches: set[Watch[S, F]] = set()
        self._past: OrderedDict[S, F] = OrderedDict()
        self._live: dict[S, tuple[float, F]] = {}
        self._lock = threading.Lock()
        self._wanted = threading.Event()
        self._stopping = threading.Event()
        self._prompt = prompt
        self._threads: list[threading.Thread] = []
        self._giving = threading.local()
        self._next_tick = 0.0
        self._shown_s: float | None = None
        self._asked = 0
        self.last_tick_s = 0.0
        self.ticks = 0
        self.computed = 0
        self.failed = 0
        self.last_tick_ms = 0.0
        self.on_tick: Callable[[float], None] | None = None

    def start(self) -> None:
        """Start the worker threads."""
        self._threads = [threading.Thread(target=self._run, name="frames", daemon=True)]
        if self._prompt:
            self._threads.append(threading.Thread(target=self._run_wishes, name="wishes", daemon=True))
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Stop the worker and forget all watchers."""
        self._stopping.set()
        self._wanted.set()
        for thread in self._threads:
            thread.join(timeout=10.0)
        with self._lock:
            self._watches.clear()

    def watch(self, spec: S, wake: Callable[[], None]) -> Watch[S, F]:
        """Register a watcher; `wake` is called from the worker and must return at once."""
        watch = Watch(self, spec, wake)
        with self._lock:
            self._watches.add(watch)
        self.request(watch, spec)
        return watch

    def frame(self, spec: S) -> F:
        """The frame of a past moment, now: from what is kept, or computed in the caller's thread."""
        if spec.moment_s is None:
            raise ValueError("a live frame has no moment of its own; watch it, or name a moment")
        with self._lock:
            kept = self._past.get(spec)
        return self._compute(spec, spec.moment_s) if kept is None else kept

    def request(self, watch: Watch[S, F], spec: S) -> None:
        """Set the wish of a watcher; an equal frame that is already there is given at once."""
        with self._lock:
            watch.spec, watch.error = spec, None
            self._asked += 1
            watch.asked = self._asked
            ready = self._past.get(spec) if spec.moment_s is not None else self._live.get(spec, (0.0, None))[1]
            if ready is not None:
                watch.frame, watch.frame_spec = ready, spec
        if ready is None:
            self._wanted.set()
        else:
            watch.wake()

    def look(self, watch: Watch[S, F]) -> Look[F]:
        """Frame, whether the newest wish waits, and the last error of a watcher, all of one moment."""
        with self._lock:
            return Look(watch.frame, watch.waiting, watch.error)

    def go_on(self) -> None:
        """For a computation between two of its steps: whether to go on.

        Raises
        ------
        NotWanted
            If what this thread computes for its watchers is wanted by none of them any more.
        """
        spec = getattr(self._giving, "spec", None)
        if spec is None:
            return
        with self._lock:
            wanted = any(spec in (w.spec, w.frame_spec) for w in self._watches)
        if not wanted:
            raise NotWanted

    def remove(self, watch: Watch[S, F]) -> None:
        """Forget a watcher."""
        with self._lock:
            self._watches.discard(watch)

    def wake_all(self) -> None:
        """Ring every watcher, frame or not: something else that they show has changed."""
        with self._lock:
            watches = list(self._watches)
        for watch in watches:
            watch.wake()

    def stats(self) -> dict[str, Any]:
        """Counts of the board: watchers, distinct specs, frames computed and failed, time of the last tick."""
        with self._lock:
            specs = {w.spec for w in self._watches}
            return {
                "watchers": len(self._watches),
                "specs": len(specs),
                "computed": self.computed,
                "failed": self.failed,
                "ticks": self.ticks,
                "last_tick_ms": round(self.last_tick_ms, 2),
                "past_frames": len(self._past),
            }

    def _run(self) -> None:
        self._next_tick = self._now()
        while not self._stopping.is_set():
            (self._stopping if self._prompt else self._wanted).wait(max(self._next_tick - self._now(), 0.0))
            if self._stopping.is_set():
                return
            if not self._prompt:
                self._wanted.clear()
            if self._now() >= self._next_tick:
                # A tick that comes late is not made up for: the next one is a whole period away.
                self._next_tick = max(self._next_tick + self.tick_s, self._now() + 0.1 * self.tick_s)
                self._tick(self._now())
            elif not self._prompt:
                # Between ticks everybody sees the moment of the last one: what was computed for it serves again.
                self._serve(self.last_tick_s, only_waiting=True)

    def _run_wishes(self) -> None:
        while not self._stopping.is_set():
            self._wanted.wait()
            self._wanted.clear()
            while not self._stopping.is_set() and self._serve_one():
                pass

    def _serve_one(self) -> bool:
        """Compute the wish that waits longest, those who look at now before those who look at the past."""
        with self._lock:
            shown_s = self._shown_s
            # The first live frame of all is the first tick's.
            waiting = [w for w in self._watches if w.waiting and (w.spec.moment_s is not None or shown_s is not None)]
            if not waiting:
                return False
            spec = min(waiting, key=lambda w: (w.spec.moment_s is not None, w.asked)).spec
            watches = [w for w in self._watches if w.spec == spec]
        self._give(spec, watches, shown_s or 0.0)
        return True

    def _tick(self, moment_s: float) -> None:
        started = time.perf_counter()
        self.last_tick_s = moment_s
        if self.on_tick is not None:
            try:
                self.on_tick(moment_s)
            except Exception:
                self.failed += 1
                logger.exception("the tick's callback failed")
        with self._lock:
            wanted = {w.spec for w in self._watches}
            self._live = {spec: frame for spec, frame in self._live.items() if spec in wanted}
        self._serve(moment_s, only_waiting=False)
        with self._lock:
            self._shown_s = moment_s
        self.ticks += 1
        self.last_tick_ms = 1e3 * (time.perf_counter() - started)

    def _serve(self, moment_s: float, *, only_waiting: bool) -> None:
        with self._lock:
            # What nobody sees yet is for the worker beside, if there is one: made here too, it would cost twice what a
            # hand that moves waits for. Only the first live frame of all is the first tick's.
            seen = {w.spec for w in self._watches if not w.waiting}
            beside = {
                w.spec
                for w in self._watches
                if self._prompt and w.spec not in seen and (w.spec.moment_s is not None or self._shown_s is not None)
            }
            watches = [w for w in self._watches if (w.waiting or not only_waiting) and w.spec not in beside]
            left = {w.frame_spec for w in self._watches if w.spec in beside and w.spec.moment_s is None} - seen
        groups: dict[S, list[Watch[S, F]]] = {}
        for watch in watches:
            groups.setdefault(watch.spec, []).append(watch)
        # Those who have no picture at all come first.
        for spec in sorted(groups, key=lambda s: not any(w.waiting for w in groups[s])):
            if self._stopping.is_set():
                return
            if only_waiting and self._now() >= self._next_tick:
                # Those who look at the past, however many, do not hold up those who look at now.
                self._wanted.set()
                return
            if not any(w.spec == spec for w in groups[spec]):
                continue
            self._give(spec, groups[spec], moment_s)
        if not only_waiting:
            self._go_along(left, moment_s)

    def _go_along(self, specs: set[S | None], moment_s: float) -> None:
        """Compute what those saw last whose hand moves, for the new moment: the next view shares most of it."""
        for spec in specs:
            if spec is None or spec.moment_s is not None or self._stopping.is_set():
                continue
            try:
                self._compute(spec, moment_s)
            except Exception:
                self.failed += 1
                logger.exception("frame failed for %s", spec)

    def _give(self, spec: S, watches: list[Watch[S, F]], moment_s: float) -> None:
        frame, error = None, None
        live = spec.moment_s is None
        with self._lock:
            frame = None if live else self._past.get(spec)
        if frame is None:
            self._giving.spec = spec
            try:
                frame = self._compute(spec, moment_s if spec.moment_s is None else spec.moment_s)
                with self._lock:
                    self.computed += 1
            except NotWanted:
                return
            except Exception as exc:
                error = f"{type(exc).__name__}: {exc}"
                self.failed += 1
                logger.exception("frame failed for %s", spec)
            finally:
                self._giving.spec = None
        with self._lock:
            if frame is not None and live:
                # Two workers may have made the same frame: the later moment stands.
                newest = self._live.get(spec, (moment_s, frame))
                moment_s, frame = (moment_s, frame) if newest[0] <= moment_s else newest
                self._live[spec] = (moment_s, frame)
            elif frame is not None:
                self._past[spec] = frame
                self._past.move_to_end(spec)
                while len(self._past) > self._kept:
                    self._past.popitem(last=False)
            for watch in watches:
                if watch.spec == spec:
                    watch.error = error
                    if frame is not None:
                        watch.frame, watch.frame_spec = frame, spec
        for watch in watches:
            watch.wake()
