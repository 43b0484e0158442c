"""Times of every form that sources write become the same UTC microsecond, or are flagged."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.events.times import epoch_us, parse_times

NOON_US = 1_714_557_600_000_000  # `date -u -d 2024-05-01T10:00:00Z +%s` = 1714557600


@pytest.mark.parametrize(
    "same_moment",
    [
        "2024-05-01T10:00:00Z",
        "2024-05-01t10:00:00z",
        "2024-05-01 10:00:00",
        "2024-05-01T12:00:00+02:00",
        "2024-05-01T12:00:00.000000+0200",  # Suricata
        "2024-05-01T12:00:00,000+02",
        "2024-05-01T04:30:00-05:30",
        "20240501T100000Z",
        "2024-W18-3T10:00:00Z",
        1_714_557_600,
        1_714_557_600.0,
        1_714_557_600_000,
        1_714_557_600_000_000,
        1_714_557_600_000_000_000,
        "1714557600",
        " 1714557600.000 ",
        "+1.7145576e9",
        "1714557600000000000",
        dt.datetime(2024, 5, 1, 10),
        dt.datetime(2024, 5, 1, 12, tzinfo=dt.timezone(dt.timedelta(hours=2))),
        np.datetime64("2024-05-01T10"),
        np.int64(1_714_557_600),
        np.float64(1_714_557_600),
        pd.Timestamp("2024-05-01T12:00", tz="Europe/Zurich"),
    ],
)
def test_every_form_of_a_moment_is_the_same_microsecond(same_moment):
    assert epoch_us(same_moment) == NOON_US


@pytest.mark.parametrize(
    "not_a_time",
    [None, "", "noon", "now", "today", "nan", "NaT", True, float("nan"), float("inf"), 2**70, -(2**63), b"2024-05-01",
     "2024-13-01", "2024-02-30T00:00:00Z", "1e400", pd.NaT, np.datetime64("NaT"), {}, "-99999999999"],
)  # fmt: skip
def test_what_is_no_time_is_flagged_and_never_raises(not_a_time):
    times_us, bad = parse_times([not_a_time, "2024-05-01T10:00:00Z"])
    assert bad.tolist() == [True, False]
    assert times_us.tolist() == [0, NOON_US]
    with pytest.raises(ValueError, match="is not a time"):
        epoch_us(not_a_time)


def test_a_leap_second_is_the_first_second_of_the_next_day():
    assert epoch_us("2016-12-31T23:59:60Z") == epoch_us("2017-01-01T00:00:00Z")


def test_a_date_beside_a_datetime_does_not_cut_it_to_a_day():
    times_us, bad = parse_times([dt.date(2024, 5, 1), dt.datetime(2024, 5, 1, 10)])
    assert not bad.any()
    assert times_us.tolist() == [NOON_US - 36_000_000_000, NOON_US]


def test_one_far_date_does_not_spoil_its_neighbours():
    texts = ["1500-01-01T00:00:00Z", "2024-05-01T10:00:00.123456789Z", "9999-12-31T23:59:59.999999Z"]
    times_us, bad = parse_times(texts)
    assert not bad.any()
    assert np.datetime_as_string(times_us.view("datetime64[us]")).tolist() == [
        "1500-01-01T00:00:00.000000",
        "2024-05-01T10:00:00.123456",
        "9999-12-31T23:59:59.999999",
    ]


def test_columns_of_other_libraries_are_read_as_they_are():
    stamps = pd.date_range("2024-05-01T10:00", periods=3, freq="s", tz="UTC")
    expected = [NOON_US, NOON_US + 1_000_000, NOON_US + 2_000_000]
    columns = [
        stamps.to_series(),
        stamps.tz_convert("Asia/Kolkata").to_series(),
        stamps.tz_localize(None).to_numpy(),
        pa.array(stamps),
        pa.chunked_array([pa.array(stamps[:1]), pa.array(stamps[1:])]),
        pa.array(stamps.strftime("%Y-%m-%dT%H:%M:%S.%fZ").tolist()).dictionary_encode(),
        pd.Series(["2024-05-01T10:00:00Z", 1_714_557_601, "1714557602000"], dtype=object),
        np.array([1_714_557_600, 1_714_557_601, 1_714_557_602], dtype=np.uint64),
        np.array([1_714_557_600, 1_714_557_601, 1_714_557_602], dtype=np.uint32),
    ]
    for column in columns:
        times_us, bad = parse_times(column)
        assert times_us.tolist() == expected
        assert not bad.any()


def test_nothing_in_gives_nothing_out():
    for nothing in ([], np.array([]), pa.array([], pa.string()), pd.Series([], dtype=object)):
        times_us, bad = parse_times(nothing)
        assert times_us.dtype == np.int64
        assert len(times_us) == len(bad) == 0


offsets = st.integers(-23 * 60, 23 * 60).map(lambda minutes: dt.timezone(dt.timedelta(minutes=minutes)))
moments = st.datetimes(dt.datetime(1600, 1, 1), dt.datetime(5000, 1, 1), timezones=offsets)


@given(st.lists(moments, min_size=1, max_size=20))
def test_iso_text_and_datetimes_agree_with_the_standard_library(some):
    exact = [(moment - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)) // dt.timedelta(microseconds=1) for moment in some]
    for form in ([moment.isoformat() for moment in some], some):
        times_us, bad = parse_times(form)
        assert not bad.any()
        assert times_us.tolist() == exact


@given(st.integers(10**11, 9 * 10**15))
def test_every_epoch_unit_gives_the_same_moment(millis_apart):
    micros = millis_apart // 1000 * 1000 if millis_apart >= 10**14 else 10**14 + millis_apart // 1000 * 1000
    assert epoch_us(micros) == epoch_us(micros // 1000) == micros
    assert epoch_us(str(micros * 1000)) == micros


@given(st.lists(st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=30), st.binary()),
                max_size=20))  # fmt: skip
def test_any_values_at_all_give_one_answer_each_and_printable_times(values):
    times_us, bad = parse_times(values)
    assert len(times_us) == len(bad) == len(values)
    assert (times_us[bad] == 0).all()
    pa.array(times_us).cast(pa.timestamp("us", "UTC")).to_pylist()  # raises outside the years 1 to 9999


def test_times_of_a_real_eve_file_are_all_read(real_data):
    import bz2
    import json

    with bz2.open(real_data("net/eve_large.json.bz2"), "rt") as lines:
        stamps = [json.loads(line)["timestamp"] for line in lines]
    times_us, bad = parse_times(stamps)
    assert not bad.any()
    twin = [dt.datetime.fromisoformat(stamp).timestamp() for stamp in stamps[:2000]]
    assert np.abs(times_us[:2000] / 1e6 - twin).max() < 1e-6
