"""The event batch: one Arrow schema that ingest emits, the log stores and folds consume.

An event says what changed (`kind`), for whom (`entity`), when it happened (`time`), where, who told
us (`source`) and, in `payload`, whatever else the kind carries, as one flat JSON object with units
in its key names. `seq` and `received` are assigned by the log and are null before.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

SCHEMA = pa.schema(
    [
        pa.field("seq", pa.int64(), metadata={"doc": "position in the log, from 1, without gaps; assigned by append"}),
        pa.field("time", pa.timestamp("us", tz="UTC"), metadata={"doc": "when it happened"}),
        pa.field(
            "received", pa.timestamp("us", tz="UTC"), metadata={"doc": "when the log took it; assigned by append"}
        ),
        pa.field("kind", pa.string(), metadata={"doc": "what happened, dotted: emitter.fix, alert.raised"}),
        pa.field("entity", pa.string(), metadata={"doc": "identity of what it happened to"}),
        pa.field("source", pa.string(), metadata={"doc": "name of the source that reported it"}),
        pa.field("lat", pa.float64(), metadata={"doc": "geodetic latitude, degrees, or null", "unit": "deg"}),
        pa.field("lon", pa.float64(), metadata={"doc": "longitude, degrees, or null", "unit": "deg"}),
        pa.field("alt_m", pa.float64(), metadata={"doc": "height above the ellipsoid, m, or null", "unit": "m"}),
        pa.field("payload", pa.string(), metadata={"doc": "flat JSON object, units in key names, or null"}),
    ]
)
"""Schema of an event batch (a `pyarrow.Table`)."""

FIX = "emitter.fix"
"""Kind of an event that reports a position of an emitter.

Payload keys, all optional: ``speed_m_s``, ``track_deg``, ``vertical_rate_m_s``, ``callsign``,
``emitter_kind``, ``eirp_dbm``, ``freq_hz``, ``confidence``, ``anomaly_score``, ``cluster``,
``on_ground``, ``position_time_s`` (epoch seconds at which the position itself was measured, where the feed tells),
``synthetic`` (true for invented data) and ``recorded_at`` (ISO time of the original recording of a
replayed sample).
"""

MEASUREMENT = "rf.measurement"
"""Kind of an event that reports a received power; the position is that of the end that was carried about.

Payload keys: ``campaign``, ``transmitter``, ``receiver``, ``rssi_db`` (dB on the receiver's own scale, or dBm),
``fixed_lat``, ``fixed_lon`` (the end that stays in place, degrees), and optionally ``session`` (within one, gain
and noise floor are constant) and ``freq_hz``.
"""

SENSOR = "tdoa.sensor"
"""Kind of an event that says where a receiver with a common clock stands; its entity is the receiver's name.

Payload keys, all optional: ``sensor_type``, ``synchronised`` (false for one whose clock is its own).
"""

ARRIVAL = "tdoa.arrival"
"""Kind of an event that reports when one receiver heard a message; its entity is whoever sent the message.

Time, and latitude, longitude and height where the message itself reports them, are the same in all arrivals of a
message. Payload keys: ``message`` (its identity), ``sensor`` (entity of a `SENSOR`), ``toa_ns`` (time of arrival by
the receivers' common clock, ns, below 2**53 in magnitude) and, optionally, ``rssi`` (as the receiver gives it) and
``recorded_s`` (second of the recording, of a replayed sample).
"""

DRILL_ENDED = "drill.ended"
"""Kind of the event with which an exercise is over; entities that begin with its entity and ``/`` leave live state."""


def event_table(
    time: Sequence[Any] | np.ndarray | pa.Array,
    kind: str | Sequence[str],
    entity: Sequence[str] | pa.Array,
    source: str | Sequence[str],
    *,
    lat: Any = None,
    lon: Any = None,
    alt_m: Any = None,
    payload: Sequence[str | None] | pa.Array | None = None,
) -> pa.Table:
    """An event batch from columns; `seq` and `received` stay null until the log assigns them.

    Parameters
    ----------
    time : sequence of n datetimes, or datetime64 array (taken as UTC), or int64 epoch microseconds
        When each event happened.
    kind, source : str or sequence of n str
        One value for all events, or one each.
    entity : sequence of n str
    lat, lon, alt_m : sequence of n float, optional
        Degrees, degrees, metres; None or NaN where there is no position.
    payload : sequence of n JSON texts or None, optional

    Returns
    -------
    pyarrow.Table
        n rows with schema `SCHEMA`.

    Examples
    --------
    >>> table = event_table([0], "note", ["station"], "me")
    >>> table.num_rows, table.schema == SCHEMA
    (1, True)
    """
    n = len(time)
    columns: dict[str, pa.Array] = {
        "seq": pa.nulls(n, pa.int64()),
        "time": _as_array(time, SCHEMA.field("time").type),
        "received": pa.nulls(n, SCHEMA.field("received").type),
        "kind": _repeat(kind, n),
        "entity": _as_array(entity, pa.string()),
        "source": _repeat(source, n),
        "lat": _float_or_null(lat, n),
        "lon": _float_or_null(lon, n),
        "alt_m": _float_or_null(alt_m, n),
        "payload": pa.nulls(n, pa.string()) if payload is None else _as_array(payload, pa.string()),
    }
    return pa.Table.from_arrays(list(columns.values()), schema=SCHEMA)


def empty_events() -> pa.Table:
    """An event batch of no rows."""
    return SCHEMA.empty_table()


def _as_array(values: Any, kind: pa.DataType) -> pa.Array:
    if isinstance(values, pa.ChunkedArray):
        values = values.combine_chunks()
    if isinstance(values, pa.Array):
        return values.cast(kind)
    if isinstance(values, np.ndarray) and values.dtype.kind == "M":
        return pa.array(values.astype("datetime64[us]").view("int64")).cast(kind)
    if pa.types.is_timestamp(kind) and isinstance(values, np.ndarray):
        return pa.array(values.astype(np.int64)).cast(kind)
    return pa.array(values, type=kind)


def _repeat(value: str | Sequence[str], n: int) -> pa.Array:
    return pa.repeat(pa.scalar(value, pa.string()), n) if isinstance(value, str) else _as_array(value, pa.string())


def _float_or_null(values: Any, n: int) -> pa.Array:
    if values is None:
        return pa.nulls(n, pa.float64())
    return pa.array(np.asarray(values, dtype=np.float64), from_pandas=True)


def ended_drills(events: pa.Table) -> tuple[str, ...]:
    """How the entities begin that leave live state with a batch: those of exercises that ended in it.

    Examples
    --------
    >>> ended_drills(event_table([0], DRILL_ENDED, ["drill:swarm:1"], "doc"))
    ('drill:swarm:1/',)
    """
    ended = events.filter(pc.equal(events["kind"], DRILL_ENDED))
    return tuple(f"{run}/" for run in ended["entity"].to_pylist())
