"""Moments worth a mark in the time control: alerts raised and drills started. A fold; bounded."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from engine.drift.metric import ALERT_RAISED
from engine.events.payload import payload_columns
from engine.monitors.vocabulary import DRILL_STARTED

KEPT_MARKS = 400
"""Marks kept; the oldest go first."""

MARKED_KINDS = (ALERT_RAISED, DRILL_STARTED)


@dataclass(frozen=True, slots=True)
class Mark:
    """A moment (epoch s), its kind (``alert`` or ``drill``) and what happened in a few words."""

    time_s: float
    kind: str
    text: str


class MarkFold:
    """The newest marks.

    Examples
    --------
    >>> from engine.events.schema import event_table
    >>> fold = MarkFold()
    >>> fold.apply(event_table([5_000_000], DRILL_STARTED, ["drill:swarm:1:ab"], "doc"))
    >>> fold.marks()
    [Mark(time_s=5.0, kind='drill', text='drill:swarm:1:ab')]
    """

    def __init__(self) -> None:
        self._marks: deque[Mark] = deque(maxlen=KEPT_MARKS)
        self._lock = threading.Lock()

    def apply(self, events: pa.Table) -> None:
        """Fold one event batch; events of other kinds change nothing."""
        mine = events.filter(pc.is_in(events["kind"], pa.array(MARKED_KINDS)))
        if not mine.num_rows:
            return
        monitor = payload_columns(mine, {"monitor": str})["monitor"]
        times = mine["time"].cast(pa.int64()).to_numpy() * 1e-6
        rows: list[dict[str, Any]] = mine.select(["kind", "entity"]).to_pylist()
        with self._lock:
            for row, time_s, speaker in zip(rows, times, monitor, strict=True):
                alert = row["kind"] == ALERT_RAISED
                text = f"{speaker}: {row['entity']}" if alert else str(row["entity"])
                self._marks.append(Mark(float(time_s), "alert" if alert else "drill", text))

    def marks(self) -> list[Mark]:
        """The newest marks, oldest first."""
        with self._lock:
            return sorted(self._marks, key=lambda mark: mark.time_s)
