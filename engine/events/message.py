"""Messages on the bus, version 1: what is announced about committed events, and status.

A message of events is one line of JSON (the header) and, if small enough, the events as an Arrow IPC
stream. Whoever reads one checks it here and gets None for what cannot be trusted: the log is the truth
and the bus only says that there is something new. The schemas are described in docs/engine-events.md.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson
import pyarrow as pa

from engine.events.schema import SCHEMA

VERSION = 1
EVENTS_CHANNEL = "scythe:events:v1"
"""Channel on which every commit to a log is announced."""
STATUS_CHANNEL = "scythe:status:v1"
"""Channel of status messages, JSON objects."""

BODY_LIMIT_BYTES = 512 * 1024
"""Size of a batch up to which its events travel in the message itself (about 3 000 events)."""

_HEADER_LIMIT_BYTES = 4096
_STREAM = "arrow-ipc-stream"
_BARE_SCHEMA = SCHEMA.remove_metadata()  # field docs would make a third of a small message


@dataclass(frozen=True)
class Announcement:
    """Events first_seq to last_seq were committed to the log of an instance.

    Attributes
    ----------
    instance : str
        Whose log: seq counts within it.
    first_seq, last_seq : int
    table : pyarrow.Table or None
        The events, or None where the reader has to fetch them from the log.
    broken : bool
        Whether there were events in the message that could not be read.
    """

    instance: str
    first_seq: int
    last_seq: int
    table: pa.Table | None
    broken: bool = False


def encode_events(table: pa.Table, instance: str, body_limit_bytes: int = BODY_LIMIT_BYTES) -> bytes:
    """The message that announces a committed batch.

    Parameters
    ----------
    table : pyarrow.Table
        Events with consecutive `seq`, at least one.
    instance : str
    body_limit_bytes : int
        Above this size of the batch the message is the header alone.

    Returns
    -------
    bytes

    Raises
    ------
    ValueError
        If the batch is empty or was not numbered by the log.
    """
    seq = table["seq"]
    if not len(seq) or seq.null_count:
        raise ValueError(f"a batch of {len(seq)} events, {seq.null_count} without seq: announce what the log committed")
    with_body = table.nbytes <= body_limit_bytes
    header = {
        "v": VERSION,
        "instance": instance,
        "first_seq": seq[0].as_py(),
        "last_seq": seq[-1].as_py(),
        "n": len(seq),
        "body": _STREAM if with_body else None,
    }
    line = orjson.dumps(header, option=orjson.OPT_APPEND_NEWLINE)
    if not with_body:
        return line
    sink = pa.BufferOutputStream()
    sink.write(line)
    with pa.ipc.new_stream(sink, _BARE_SCHEMA) as stream:
        stream.write_table(table.replace_schema_metadata(None).cast(_BARE_SCHEMA))
    return sink.getvalue().to_pybytes()


def decode_events(message: bytes) -> Announcement:
    """What a message of `encode_events` says.

    Raises
    ------
    ValueError
        If the header is no header of this version. A broken body is not an error: see `Announcement`.

    Examples
    --------
    >>> decode_events(b'{"v":1,"instance":"a","first_seq":3,"last_seq":4,"n":2,"body":null}').last_seq
    4
    """
    line = message[:_HEADER_LIMIT_BYTES].partition(b"\n")[0]
    header = _json_object(line, "header of an event message")
    if header.get("v") != VERSION:
        raise ValueError(f"event message of version {header.get('v')!r}: {VERSION} is understood")
    first, last, n, instance = (header.get(key) for key in ("first_seq", "last_seq", "n", "instance"))
    if not (type(first) is type(last) is type(n) is int and isinstance(instance, str)):
        raise ValueError(f"event message header {line[:200]!r} lacks first_seq, last_seq, n or instance")
    if not (1 <= first <= last < 2**63 and n == last - first + 1):
        raise ValueError(f"event message says {n} events from seq {first} to {last}")
    if header.get("body") != _STREAM:
        return Announcement(instance, first, last, None)
    table = _decode_body(memoryview(message)[len(line) + 1 :], first, last)
    return Announcement(instance, first, last, table, broken=table is None)


def encode_status(status: Mapping[str, Any], instance: str) -> bytes:
    """A status message: the given keys, and ``v``, ``instance`` and ``time`` (ISO-8601, UTC)."""
    own = {"v": VERSION, "instance": instance, "time": dt.datetime.now(dt.UTC)}
    return orjson.dumps({**status, **own}, option=orjson.OPT_SERIALIZE_NUMPY)


def decode_status(message: bytes) -> dict[str, Any]:
    """What a message of `encode_status` says.

    Raises
    ------
    ValueError
        If it is no JSON object of this version.

    Examples
    --------
    >>> decode_status(encode_status({"state": "ready"}, "a"))["state"]
    'ready'
    """
    status = _json_object(message, "status message")
    if status.get("v") != VERSION:
        raise ValueError(f"status message of version {status.get('v')!r}: {VERSION} is understood")
    return status


def _json_object(text: bytes, what: str) -> dict[str, Any]:
    try:
        found = orjson.loads(text)
    except ValueError as error:
        raise ValueError(f"{what} is not JSON: {text[:80]!r} ({error})") from error
    if not isinstance(found, dict):
        raise ValueError(f"{what} is no JSON object: {text[:80]!r}")
    return found


def _decode_body(body: memoryview, first: int, last: int) -> pa.Table | None:
    try:
        with pa.ipc.open_stream(pa.py_buffer(body)) as stream:
            if stream.schema != _BARE_SCHEMA:
                return None
            table = stream.read_all()
        table.validate(full=True)  # offsets from outside must not reach a kernel unchecked
    except (pa.ArrowException, OSError, ValueError):
        return None
    seq = table["seq"]
    if seq.null_count or not np.array_equal(seq.to_numpy(), np.arange(first, last + 1)):
        return None
    return table.cast(SCHEMA)
