"""The arrivals of the last while: a fold over events that keeps sensors and messages, and gives them as arrays.

What one sensor heard of one message is an event; the order of events, and where batches are cut, does not matter.
It must not know how positions are found.
"""

from __future__ import annotations

import threading
from collections import Counter, OrderedDict
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from engine.events.payload import payload_columns
from engine.events.schema import ARRIVAL, SENSOR

Array = NDArray[np.float64]

MAX_MESSAGES = 20_000
"""Messages kept at most, the newest."""

MAX_SENSORS = 1_000
"""Sensors kept at most; one more is counted and left out."""

MAX_HEARD = 32
"""Arrivals kept of one message at most."""

MOST_SHOWN = 5_000
"""Messages of a snapshot at most, the newest."""


@dataclass(frozen=True, slots=True, eq=False)
class Arrivals:
    """Sensors and messages of a moment, as arrays.

    Attributes
    ----------
    moment_s : float
        Epoch seconds.
    seq : int
        Last event folded.
    sensors : DataFrame, S rows
        ``sensor``, ``lat``, ``lon`` (degrees), ``alt_m``, ``sensor_type``, sorted by name.
    messages : DataFrame, N rows
        ``key`` (message and time), ``message``, ``entity``, ``source``, ``time_s`` (epoch s), ``lat``, ``lon``,
        ``alt_m`` (as the message reports them, NaN where it does not), oldest first.
    sensor_index : ndarray of int64, (N, K)
        Row of `sensors` of each arrival; -1 where there is none.
    toa_s : ndarray of float64, (N, K)
        Time of arrival less that of the message's first one, s; NaN where there is none.
    counts : dict of str to int
        What could not be used, by reason: ``malformed``, ``incomplete`` (no message, sensor or time), ``too many``
        (arrivals of one message, or sensors), ``unknown sensor`` (in this snapshot).
    """

    moment_s: float
    seq: int
    sensors: pd.DataFrame
    messages: pd.DataFrame
    sensor_index: NDArray[np.int64]
    toa_s: Array
    counts: dict[str, int]

    def __len__(self) -> int:
        return len(self.messages)


class _Message:
    __slots__ = ("alt_m", "entity", "heard", "lat", "lon", "source")

    def __init__(self, entity: str, source: str) -> None:
        self.entity, self.source = entity, source
        self.lat = self.lon = self.alt_m = float("nan")
        self.heard: dict[str, float] = {}


class ArrivalFold:
    """Keeps where sensors stand and what they heard.

    Parameters
    ----------
    max_messages : int
        Messages kept at most.

    Examples
    --------
    >>> from engine.events.schema import event_table
    >>> fold = ArrivalFold()
    >>> fold.apply(event_table([0], SENSOR, ["a"], "doc", lat=[47.0], lon=[8.0], alt_m=[400.0]))
    >>> heard = '{"message": "1", "sensor": "a", "toa_ns": 5}'
    >>> fold.apply(event_table([1_000_000], ARRIVAL, ["x"], "doc", payload=[heard]))
    >>> arrivals = fold.snapshot(2.0)
    >>> arrivals.messages["entity"].tolist(), arrivals.sensors["sensor"].tolist(), arrivals.sensor_index.tolist()
    (['x'], ['a'], [[0, -1]])
    """

    def __init__(self, max_messages: int = MAX_MESSAGES) -> None:
        if max_messages < 1:
            raise ValueError(f"max_messages is {max_messages}; at least 1 is needed")
        self.max_messages = max_messages
        self.seq = 0
        self.version = 0
        self.counts: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._sensors: dict[str, tuple[int, float, float, float, str]] = {}
        self._messages: OrderedDict[tuple[int, str], _Message] = OrderedDict()

    def apply(self, events: pa.Table) -> None:
        """Fold one event batch; events of other kinds only move `seq`.

        Parameters
        ----------
        events : pyarrow.Table
            Schema `engine.events.SCHEMA`.
        """
        with self._lock:
            self.seq = max(self.seq, pc.max(events["seq"]).as_py() or 0)
            for kind, take in ((SENSOR, self._take_sensors), (ARRIVAL, self._take_arrivals)):
                wanted = events.filter(pc.equal(events["kind"], kind))
                if wanted.num_rows:
                    take(wanted)
                    self.version += 1

    def snapshot(self, moment_s: float, window_s: float = 900.0, most: int = MOST_SHOWN) -> Arrivals:
        """Sensors, and the messages of the `window_s` up to a moment (epoch s), at most the newest `most`."""
        until, after = round(moment_s * 1e6), round((moment_s - window_s) * 1e6)
        with self._lock:
            keys = sorted(key for key in self._messages if after < key[0] <= until)[-most:]
            messages = [self._messages[key] for key in keys]
            heard = [dict(message.heard) for message in messages]
            stand = sorted((name, *rest[1:]) for name, rest in self._sensors.items())
            counts, seq = Counter(self.counts), self.seq
        sensors = pd.DataFrame(stand, columns=["sensor", "lat", "lon", "alt_m", "sensor_type"])
        row_of = {name: row for row, name in enumerate(sensors["sensor"])}
        widest = max((len(one) for one in heard), default=0)
        index = np.full((len(keys), max(widest, 2)), -1, np.int64)
        toa_s = np.full(index.shape, np.nan)
        for row, one in enumerate(heard):
            known = [(row_of[name], toa) for name, toa in sorted(one.items()) if name in row_of]
            counts["unknown sensor"] += len(one) - len(known)
            if known:
                first = min(toa for _, toa in known)
                index[row, : len(known)] = [at for at, _ in known]
                # Differences of whole nanoseconds are exact in float64; times of day in seconds are not.
                toa_s[row, : len(known)] = [(toa - first) * 1e-9 for _, toa in known]
        table = pd.DataFrame(
            {
                "key": [f"{message}@{time_us}" for time_us, message in keys],
                "message": [name.removeprefix(f"{m.entity}/") for (_, name), m in zip(keys, messages, strict=True)],
                "entity": [m.entity for m in messages], "source": [m.source for m in messages],
                "time_s": np.array([time_us for time_us, _ in keys], np.float64) * 1e-6,
                "lat": np.array([m.lat for m in messages], np.float64),
                "lon": np.array([m.lon for m in messages], np.float64),
                "alt_m": np.array([m.alt_m for m in messages], np.float64),
            }
        )  # fmt: skip
        return Arrivals(moment_s, seq, sensors, table, index, toa_s, {k: n for k, n in counts.items() if n})

    def _take_sensors(self, events: pa.Table) -> None:
        told = payload_columns(events, {"sensor_type": str}, self.counts)["sensor_type"]
        columns = (events["entity"].to_pylist(), _times(events), *_places(events), told)
        for name, time_us, lat, lon, alt_m, kind in zip(*columns, strict=True):
            if not (np.isfinite(lat) and np.isfinite(lon)):
                self.counts["incomplete"] += 1
            elif name not in self._sensors and len(self._sensors) >= MAX_SENSORS:
                self.counts["too many"] += 1
            elif name not in self._sensors or self._sensors[name][0] <= time_us:
                height = float(alt_m) if np.isfinite(alt_m) else 0.0
                self._sensors[name] = (int(time_us), float(lat), float(lon), height, str(kind or ""))

    def _take_arrivals(self, events: pa.Table) -> None:
        fields: dict[str, Any] = {"message": str, "sensor": str, "toa_ns": np.float64}
        told = payload_columns(events, fields, self.counts)
        columns = (
            events["entity"].to_pylist(), events["source"].to_pylist(), _times(events), *_places(events),
            told["message"], told["sensor"], told["toa_ns"],
        )  # fmt: skip
        for entity, source, time_us, lat, lon, alt_m, name, sensor, toa_ns in zip(*columns, strict=True):
            if not name or not sensor or not np.isfinite(toa_ns):
                self.counts["incomplete"] += 1
                continue
            key = (int(time_us), f"{entity}/{name}")
            message = self._messages.get(key)
            if message is None:
                message = self._messages[key] = _Message(entity, source)
            if np.isfinite(lat) and np.isfinite(lon):
                message.lat, message.lon, message.alt_m = float(lat), float(lon), float(alt_m)
            if sensor in message.heard or len(message.heard) < MAX_HEARD:
                message.heard[sensor] = float(toa_ns)
            else:
                self.counts["too many"] += 1
        excess = len(self._messages) - self.max_messages
        for key in sorted(self._messages)[:excess] if excess > 0 else ():
            del self._messages[key]


def _times(events: pa.Table) -> NDArray[np.int64]:
    return np.asarray(events["time"].cast(pa.int64()).to_numpy(), dtype=np.int64)


def _places(events: pa.Table) -> list[Array]:
    return [pc.fill_null(events[name], float("nan")).to_numpy() for name in ("lat", "lon", "alt_m")]
