"""Payload keys become columns; what is broken costs its own row and is counted."""

from __future__ import annotations

import json
from collections import Counter

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.events import empty_events, event_table
from engine.events.payload import payload_columns

FIELDS = {"speed_m_s": np.float64, "callsign": str, "cluster": pa.int64(), "synthetic": bool}


def events(payloads: list[str | None]) -> pa.Table:
    return event_table(np.arange(len(payloads)), "test", ["x"] * len(payloads), "test", payload=payloads)


def twin(text: str | None) -> tuple[float | None, str | None, float | None, bool | None]:
    """The same four fields by the standard library, one payload at a time."""
    try:
        found = json.loads(text) if text is not None else {}
    except (ValueError, RecursionError):
        found = {}
    found = found if isinstance(found, dict) else {}
    number = [v if type(v) in (int, float) else None for v in (found.get("speed_m_s"), found.get("cluster"))]
    words = found.get("callsign"), found.get("synthetic")
    return (
        number[0],
        words[0] if isinstance(words[0], str) else None,
        number[1],
        words[1] if isinstance(words[1], bool) else None,
    )


def assert_like_twin(payloads: list[str | None]) -> None:
    columns = payload_columns(events(payloads), FIELDS)
    assert [columns[name].dtype.kind for name in FIELDS] == ["f", "O", "f", "O"]
    for column, expected in zip(columns.values(), zip(*map(twin, payloads), strict=True) if payloads else [[]] * 4,
                                strict=True):  # fmt: skip
        if column.dtype.kind == "f":
            np.testing.assert_array_equal(column, np.array(expected, dtype=float))
        else:
            assert column.tolist() == list(expected)


numbers = st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)
values = st.one_of(st.none(), st.booleans(), numbers, st.text(), st.lists(st.integers(), max_size=2))
objects = st.dictionaries(st.sampled_from(["speed_m_s", "callsign", "cluster", "synthetic", "other"]), values)
fitting = st.fixed_dictionaries(
    {},
    optional={
        "speed_m_s": numbers,
        "callsign": st.text() | st.none(),
        "cluster": st.integers(-(2**53), 2**53),
        "synthetic": st.booleans(),
        "nested": st.dictionaries(st.text(), st.lists(st.text())),
    },
)


@given(st.lists(st.none() | fitting.map(json.dumps), max_size=12))
def test_good_payloads_give_what_the_standard_library_gives(payloads):
    assert_like_twin(payloads)


@given(st.lists(st.one_of(st.none(), objects.map(json.dumps), st.text(max_size=8),
                          st.text('{}[]",:1\n ', max_size=12)), max_size=12))  # fmt: skip
def test_any_payloads_at_all_give_what_the_standard_library_gives(payloads):
    assert_like_twin(payloads)


def test_payloads_that_would_shift_rows_when_joined_stay_in_their_own():
    assert_like_twin(['{"cluster": 1} {"cluster": 2}', "", '{"cluster": 3}'])
    assert_like_twin(['{"callsign": "a', 'b"}', '{"cluster": 3}'])
    assert_like_twin(['{"cluster": 1}\n{"cluster": 2}', " ", '{"cluster": 3}'])
    assert_like_twin(['{"a": {}', ', "cluster": 1}', '{"cluster": 2}{"cluster": 3}', '{"cluster": 4}'])
    assert_like_twin(['{\n  "cluster": 7\n}', '{"cluster": 8}'])


def test_broken_payloads_and_unfit_values_are_counted_apart():
    counts: Counter[str] = Counter()
    payloads = ["{", "[]", "3", '{"speed_m_s": "fast", "callsign": 5}', None, "{}", '{"speed_m_s": 1, "cluster": null}']
    columns = payload_columns(events(payloads), FIELDS, counts)
    assert counts == {"malformed": 3, "wrong type": 2}
    np.testing.assert_array_equal(columns["speed_m_s"], [np.nan] * 6 + [1.0])


def test_good_payloads_are_not_counted():
    counts: Counter[str] = Counter()
    payload_columns(events(['{"speed_m_s": 1}', None]), FIELDS, counts)
    assert counts.total() == 0


def test_the_asked_for_float_width_is_kept():
    columns = payload_columns(events(['{"a": 1.5}']), {"a": np.float32, "b": pa.float32()})
    assert [column.dtype for column in columns.values()] == [np.float32, np.float32]


def test_no_events_give_empty_columns_and_a_strange_type_is_refused():
    assert [len(column) for column in payload_columns(empty_events(), FIELDS).values()] == [0] * 4
    with pytest.raises(ValueError, match="'when' is asked for as datetime64"):
        payload_columns(empty_events(), {"when": np.dtype("M8[s]")})


def test_one_payload_larger_than_a_parse_block_is_read():
    assert_like_twin([json.dumps({"callsign": "x" * 3_000_000, "cluster": 1}), '{"cluster": 2}'])


def test_a_long_batch_is_read_in_parts_that_join_in_order():
    payloads: list[str | None] = [f'{{"cluster": {i}}}' for i in range(120_000)]
    payloads[60_000] = "{broken"
    column = payload_columns(events(payloads), {"cluster": np.int64})["cluster"]
    expected = np.arange(120_000.0)
    expected[60_000] = np.nan
    np.testing.assert_array_equal(column, expected)
