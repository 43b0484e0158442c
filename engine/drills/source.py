"""A drill as a source of events like any other: it plays by the clock, can be cancelled, and says when it is over.

Everything it emits is marked, by the source's name, by the entities' names and in the payload; its last event says
that the drill has ended, upon which all folds drop what belongs to it. It knows the queue only as a sink.
"""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable

import numpy as np
import orjson
import pyarrow as pa

from engine.drills.registry import drill
from engine.drills.scenario import DrillRun
from engine.events.schema import SCHEMA, event_table
from engine.ingest.protocol import CaptureState, CaptureStats, Sink
from engine.monitors.vocabulary import DRILL_ENDED, DRILL_STARTED

BEAT_S = 0.1
"""Events that become due within this are put together, s."""

LAST_WORD_S = 30.0
"""How long the event that ends the drill is offered to a full queue, s."""


class DrillSource:
    """Plays a drill (a `engine.ingest.protocol.CaptureEngine`).

    Parameters
    ----------
    name : str
        One of `engine.drills.SCENARIOS`.
    seed : int
    now : function
        The clock, epoch seconds.

    Attributes
    ----------
    run : DrillRun
        What is played; `run.run_id` is unique to this play.
    name : str
        That id: the source of the events.

    Examples
    --------
    >>> DrillSource("sync_burst", 7).run.expectation.detections[0].monitor
    'timing'
    """

    def __init__(self, name: str, seed: int = 0, now: Callable[[], float] = time.time) -> None:
        self.run: DrillRun = drill(name, seed, f":{uuid.uuid4().hex[:6]}")
        self.name = self.run.run_id
        self._now = now
        self._cancel = threading.Event()
        self._thread: threading.Thread | None = None
        self._emitted = self._dropped = 0
        self._state: CaptureState = "idle"
        self._error: str | None = None
        self.started_s: float | None = None

    @property
    def running(self) -> bool:
        """Whether it is playing."""
        return self._thread is not None and self._thread.is_alive()

    def start(self, out: Sink) -> None:
        """Begin to play; returns at once. A source plays once.

        Raises
        ------
        RuntimeError
            If it has been started before.
        """
        if self._thread is not None:
            raise RuntimeError(f"the drill {self.name} has been started; a new DrillSource is another run")
        self.started_s = self._now()
        self._state = "running"
        self._thread = threading.Thread(target=self._play, args=(out,), name=self.name, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Cancel, clean up and wait; harmless when it is over."""
        self._cancel.set()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(LAST_WORD_S + 5.0)

    cancel = stop

    def stats(self) -> CaptureStats:
        """What it has done so far."""
        since = 0.0 if self.started_s is None else self._now() - self.started_s
        progress = 1.0 if self._state == "finished" else min(max(since / self.run.duration_s, 0.0), 1.0)
        return CaptureStats(
            packets=self._emitted, events=self._emitted, drops=self._dropped, last_error=self._error, state=self._state,
            progress=progress,
        )  # fmt: skip

    def _play(self, out: Sink) -> None:
        assert self.started_s is not None
        reason = "finished"
        try:
            self._put(out, [self._word(DRILL_STARTED, self.started_s, {"duration_s": self.run.duration_s})], BEAT_S)
            relative = self.run.events["time"].cast(pa.int64()).to_numpy()
            at = 0
            while at < len(relative):
                due = int(np.searchsorted(relative, (self._now() - self.started_s) * 1e6, side="right"))
                if due > at:
                    self._put(out, [shifted(self.run.events.slice(at, due - at), self.started_s)], BEAT_S)
                    at = due
                if self._cancel.wait(BEAT_S):
                    reason = "cancelled"
                    break
            else:
                left = self.started_s + self.run.duration_s - self._now()
                reason = "cancelled" if left > 0.0 and self._cancel.wait(left) else "finished"
        except Exception as error:
            self._error, reason = f"{type(error).__name__}: {error}", "failed"
        finally:
            # Whatever happened, what was emitted must leave live state.
            word = self._word(DRILL_ENDED, self._now(), {"reason": reason, "emitted": self._emitted})
            ended = self._put(out, [word], LAST_WORD_S)
            if not ended and self._error is None:
                self._error = "the queue took no event: the end of the drill was not written"
            self._state = "failed" if self._error else "finished"

    def _put(self, out: Sink, tables: list[pa.Table], timeout_s: float) -> bool:
        table = pa.concat_tables(tables)
        accepted = out.put(table, timeout_s=timeout_s)
        self._emitted += accepted
        self._dropped += table.num_rows - accepted
        return accepted == table.num_rows

    def _word(self, kind: str, at_s: float, more: dict[str, object]) -> pa.Table:
        expected = ", ".join(sorted({found.monitor for found in self.run.expectation.detections}))
        payload = {"drill": self.run.name, "seed": self.run.seed, "expected": expected, "synthetic": True, **more}
        time_us = np.array([round(at_s * 1e6)], np.int64)
        return event_table(time_us, kind, [self.run.run_id], self.run.run_id, payload=[orjson.dumps(payload).decode()])


def ends_of_unfinished(events: pa.Table, now_s: float) -> pa.Table:
    """The last words of drills that never had one, because their process died: put them into the queue at a start.

    Parameters
    ----------
    events : pyarrow.Table
        What the log holds of the kinds `DRILL_STARTED` and `DRILL_ENDED`.
    now_s : float
        Epoch seconds.
    """
    kinds, runs = events["kind"].to_pylist(), events["entity"].to_pylist()
    started = dict.fromkeys(run for kind, run in zip(kinds, runs, strict=True) if kind == DRILL_STARTED)
    ended = {run for kind, run in zip(kinds, runs, strict=True) if kind == DRILL_ENDED}
    lost = [run for run in started if run not in ended]
    payload = [orjson.dumps({"reason": "lost", "synthetic": True}).decode()] * len(lost)
    times = np.full(len(lost), round(now_s * 1e6), np.int64)
    return event_table(times, DRILL_ENDED, lost, lost, payload=payload)


def shifted(events: pa.Table, start_s: float) -> pa.Table:
    """Events whose times count from a start, as events that begin at a moment (epoch seconds)."""
    time_us = events["time"].cast(pa.int64()).to_numpy() + round(start_s * 1e6)
    column = pa.array(time_us).cast(SCHEMA.field("time").type)
    return events.set_column(SCHEMA.get_field_index("time"), SCHEMA.field("time"), column)
