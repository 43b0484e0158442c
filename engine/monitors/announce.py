"""Alarms on the bus, version 1: one JSON object per alarm that is raised, cleared, acknowledged or muted.

For programs that do not read the log: `scythe:alerts:v1`. Pub/sub forgets; what must not be missed is in the log.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from engine.monitors.vocabulary import ALERT_KINDS, ALERTS_CHANNEL

VERSION = 1


def announce_alerts(publish: Callable[[str, bytes], bool], instance: str, events: pa.Table) -> int:
    """Publish the alarms of a committed batch; how many were sent.

    Parameters
    ----------
    publish : function
        `EventBus.publish`.
    instance : str
        Whose log: seq counts within it.
    events : pyarrow.Table
        As committed, with `seq`; events of other kinds are not for this channel.
    """
    mine = events.filter(pc.is_in(events["kind"], pa.array(ALERT_KINDS)))
    return sum(publish(ALERTS_CHANNEL, encode_alert(event, instance)) for event in mine.to_pylist())


def encode_alert(event: dict[str, Any], instance: str) -> bytes:
    """The message of one event: ``v``, ``instance``, ``seq``, ``time`` (ISO-8601, UTC), ``kind``, ``entity``, ``lat``
    and ``lon`` (or null), and the keys of the event's payload (`engine.monitors.vocabulary.ALERT_FIELDS`).

    Examples
    --------
    >>> event = {"seq": 5, "time": dt.datetime(2020, 1, 1, tzinfo=dt.UTC), "kind": "alert.raised", "entity": "c1",
    ...          "lat": None, "lon": None, "payload": '{"monitor": "timing", "value": 0.9}'}
    >>> decode_alert(encode_alert(event, "a"))["value"]
    0.9
    """
    payload = orjson.loads(event["payload"]) if event["payload"] else {}
    own = {name: event[name] for name in ("seq", "time", "kind", "entity", "lat", "lon")}
    return orjson.dumps(
        {**payload, "v": VERSION, "instance": instance, **own},
        option=orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_UTC_Z | orjson.OPT_NAIVE_UTC,
    )


def decode_alert(message: bytes) -> dict[str, Any]:
    """What a message of `encode_alert` says; ``time`` as aware datetime.

    Raises
    ------
    ValueError
        If it is no JSON object of this version.
    """
    try:
        found = orjson.loads(message)
    except ValueError as error:
        raise ValueError(f"alert message is not JSON: {message[:80]!r} ({error})") from error
    if not isinstance(found, dict) or found.get("v") != VERSION:
        raise ValueError(f"alert message {message[:80]!r}: a JSON object with v = {VERSION} is understood")
    stamp = np.datetime64(str(found["time"]).rstrip("Z"), "us").astype(dt.datetime)
    return {**found, "time": stamp.replace(tzinfo=dt.UTC)}
