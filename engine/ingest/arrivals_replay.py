"""The source that plays recorded arrival times as if they happened now, over and over.

Several recordings are laid over one another; where the receivers stand is said again every few minutes, so that
whoever begins to listen soon knows. It knows nothing of the log behind the sink.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from engine.events.payload import payload_arrays
from engine.events.times import TimeLike
from engine.ingest.arrivals_read import read_arrivals, read_sensors
from engine.ingest.replay import RecordedReplay
from engine.ingest.tracks_schedule import Schedule, times_us

ANNOUNCE_S = 300.0
"""Receivers are announced this often, s."""


class ArrivalReplay(RecordedReplay):
    """Plays recorded arrival times as if they happened now: a `CaptureEngine`.

    Parameters
    ----------
    name : str
        Name of the source.
    sensors : path
        CSV of receivers, see `engine.ingest.arrivals_read.read_sensors`; those that no arrival names are left out.
    recordings : sequence of path
        CSV of messages; each recording begins anew at the start of a round.
    backfill_s : float
        How much past to emit at the start, s.
    since : time, optional
        Time of the last event of this source that is logged already.
    clock : callable
        Epoch seconds now.

    Examples
    --------
    >>> ArrivalReplay("demo", "sensors.csv", ["set_1.csv"]).stats().state
    'idle'
    """

    def __init__(
        self,
        name: str,
        sensors: Path | str,
        recordings: Sequence[Path | str],
        *,
        backfill_s: float = 1800.0,
        since: TimeLike | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        super().__init__(name, loop=True, backfill_s=backfill_s, since=since, clock=clock, as_if_now=True)
        self._files = (sensors, tuple(recordings))

    def _prepared(self) -> Schedule:
        sensors_path, recordings = self._files
        sensors, self._rejects = read_sensors(sensors_path)
        parts = []
        for path in recordings:
            arrivals, rejects = read_arrivals(path)
            parts.append(arrivals)
            self._rejects.records += rejects.records
            for reason, count in rejects.counts.items():
                where, _, example = rejects.examples[reason].partition(": ")
                self._rejects.add(reason, f"{Path(path).name} {where}", example, count)
        arrivals = pa.concat_tables(parts) if parts else sensors.slice(0, 0)
        if not arrivals.num_rows:
            raise ValueError(f"nothing to play: no usable arrival among {self._rejects.records} records")
        heard = pc.unique(payload_arrays(arrivals, {"sensor": str})["sensor"])
        sensors = sensors.filter(pc.is_in(sensors["entity"], heard))
        length_us = (int(times_us(arrivals).max()) // 1_000_000 + 1) * 1_000_000
        starts = np.arange(0, length_us, round(ANNOUNCE_S * 1e6))
        offset_us = np.concatenate([np.repeat(starts, sensors.num_rows), times_us(arrivals)])
        table = pa.concat_tables([sensors] * len(starts) + [arrivals])
        order = np.argsort(offset_us, kind="stable")
        at = table.schema.get_field_index("source")
        table = table.take(order).combine_chunks()
        names = pa.repeat(pa.scalar(self.name, pa.string()), table.num_rows)
        table = table.set_column(at, table.schema.field(at), names)
        return Schedule(table, offset_us[order], length_us, 0, True, None)
