"""Messages say what they were made of; what cannot be trusted is refused or left to the log."""

from __future__ import annotations

import datetime as dt
import json

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.events import SCHEMA, event_table
from engine.events.log import EventLog
from engine.events.message import decode_events, decode_status, encode_events, encode_status


def committed(n: int, after: int = 0) -> pa.Table:
    with EventLog(":memory:") as log:
        if after:
            log.append(event_table(np.arange(after), "x", ["e"] * after, "test"))
        payloads = ['{"text": "line\\nżółw"}'] * n
        return log.commit(event_table(np.arange(n), "x", ["é\n"] * n, "test", lat=np.arange(n), payload=payloads))


@given(n=st.integers(1, 20), after=st.integers(0, 3))
def test_a_small_batch_arrives_whole(n, after):
    batch = committed(n, after)
    said = decode_events(encode_events(batch, "a"))
    assert (said.instance, said.first_seq, said.last_seq, said.broken) == ("a", after + 1, after + n, False)
    assert said.table == batch
    assert said.table.schema.equals(SCHEMA, check_metadata=True)


def test_the_header_is_one_line_of_json_and_the_rest_a_standard_arrow_stream():
    header, body = encode_events(committed(3), "a").split(b"\n", 1)
    assert json.loads(header) == {
        "v": 1, "instance": "a", "first_seq": 1, "last_seq": 3, "n": 3, "body": "arrow-ipc-stream"
    }  # fmt: skip
    assert pa.ipc.open_stream(body).read_all()["lat"].to_pylist() == [0.0, 1.0, 2.0]


def test_a_large_batch_is_announced_without_its_events():
    said = decode_events(encode_events(committed(50), "a", body_limit_bytes=1000))
    assert (said.first_seq, said.last_seq, said.table, said.broken) == (1, 50, None, False)


def test_a_slice_of_a_large_table_is_small():
    message = encode_events(committed(5000).slice(10, 2), "a")
    assert decode_events(message).table.num_rows == 2
    assert len(message) < 5000


def test_events_that_no_log_numbered_are_not_announced():
    with pytest.raises(ValueError, match="1 without seq"):
        encode_events(event_table([0], "x", ["e"], "test"), "a")
    with pytest.raises(ValueError, match="batch of 0 events"):
        encode_events(committed(1).slice(0, 0), "a")


@given(
    st.binary(max_size=60) | st.dictionaries(st.text(max_size=9), st.integers()).map(lambda d: json.dumps(d).encode())
)
def test_anything_that_is_no_message_is_a_value_error(message):
    for decode in (decode_events, decode_status):
        with pytest.raises(ValueError, match=r"message"):
            decode(message)


@pytest.mark.parametrize(
    "change", [{"v": 2}, {"first_seq": 0}, {"last_seq": 1}, {"n": 7}, {"n": True}, {"instance": 5}, {"last_seq": "3"}]
)
def test_a_header_that_contradicts_itself_is_refused(change):
    header = {"v": 1, "instance": "a", "first_seq": 2, "last_seq": 3, "n": 2, "body": None}
    assert decode_events(json.dumps(header).encode()).last_seq == 3
    with pytest.raises(ValueError, match="event message"):
        decode_events(json.dumps(header | change).encode())


@given(cut=st.integers(1, 2000), place=st.floats(0, 1), byte=st.integers(1, 255))
def test_a_broken_body_is_left_to_the_log_and_never_raises(cut, place, byte):
    message = encode_events(committed(5), "a")
    body_at = message.index(b"\n") + 1
    torn = decode_events(message[: max(body_at, len(message) - cut)])
    assert torn.table is None or torn.table == committed_like(torn.table)
    flipped = bytearray(message)
    flipped[body_at + int(place * (len(message) - body_at - 1))] ^= byte
    said = decode_events(bytes(flipped))
    assert (said.table is None) == said.broken
    if said.table is not None:
        assert said.table["seq"].to_pylist() == [1, 2, 3, 4, 5]


def committed_like(table: pa.Table) -> pa.Table:
    """Five events with the receive time of another table: for comparing all the rest."""
    return committed(5).set_column(2, SCHEMA.field("received"), table["received"])


def test_status_carries_who_and_when():
    before = dt.datetime.now(dt.UTC)
    status = decode_status(encode_status({"state": "ready", "depth": np.int64(3), "v": 99}, "a"))
    assert before <= dt.datetime.fromisoformat(status.pop("time")) <= dt.datetime.now(dt.UTC)
    assert status == {"state": "ready", "depth": 3, "v": 1, "instance": "a"}
