"""Times from the outside world, as UTC epoch microseconds.

Sources write time as ISO-8601 text with any offset, as epoch numbers in four units, as numbers in
text, or as datetime objects; everything inside the house is int64 microseconds since 1970 in UTC.
This module knows nothing of sources, events or logs: it takes values and returns numbers.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

TimeLike: TypeAlias = dt.datetime | dt.date | np.datetime64 | pd.Timestamp | str | float | int
"""What `epoch_us` accepts as one moment."""

# The same rule for each step: a value is read in the coarsest unit that puts it before the year 5138.
_SECONDS_BELOW, _MILLIS_BELOW, _MICROS_BELOW = 10**11, 10**14, 10**17

# 0001-01-01 and the last microsecond of 9999: what Python, Arrow and DuckDB can all print.
FIRST_US, LAST_US = -62_135_596_800_000_000, 253_402_300_799_999_999

_NUMBER = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$"
_INTEGER = r"^[+-]?(\d{1,18}|[1-8]\d{18})$"  # what surely fits 64 bits
_ISO = r"^\d{4}-?(\d{2}|[Ww]\d{2})"  # pandas alone would also read "now", "today" and loose dates
_LEAP_SECOND = re.compile(r"(T\d{2}:?[0-5]\d:?)60")
_ARROW_UNITS = [np.dtype(f"datetime64[{unit}]") for unit in ("s", "ms", "us", "ns")]
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


def parse_times(
    values: Sequence[Any] | np.ndarray | pd.Series | pa.Array | pa.ChunkedArray,
) -> tuple[np.ndarray, np.ndarray]:
    """Epoch microseconds in UTC from times of any usual form, and which of them could not be read.

    Numbers (also as text) are seconds below 1e11 in magnitude, milliseconds below 1e14, microseconds
    below 1e17, else nanoseconds: right for every moment from March 1973 to 5138 in each unit, and for
    earlier ones in seconds. Text of digits alone is such a number, never a date. Text and datetimes
    without an offset are UTC. Nanoseconds are cut to microseconds. A leap second (``:60``) becomes
    the first second of the next minute.

    Parameters
    ----------
    values : sequence of n str, int, float, datetime, date, datetime64 or None, in any mixture

    Returns
    -------
    times_us : ndarray of int64, shape (n,)
        Microseconds since 1970-01-01T00:00:00Z; 0 where `bad`.
    bad : ndarray of bool, shape (n,)
        True where the value is missing, not a time, or outside the years 1 to 9999.

    Examples
    --------
    >>> times_us, bad = parse_times(["1970-01-01T01:00:01+01:00", 1, "1000000000000", "noon"])
    >>> times_us.tolist(), bad.tolist()
    ([1000000, 1000000, 1000000000000000, 0], [False, False, False, True])

    References
    ----------
    ISO 8601-1:2019; RFC 3339, section 5.6.
    """
    array = _one_type(values)
    if array is None:  # several kinds of values: split by kind, then each group at once
        return _parse_mixed(list(values))
    return _parse_array(array)


def epoch_us(moment: TimeLike) -> int:
    """Epoch microseconds of one moment, by the rules of `parse_times`.

    Raises
    ------
    ValueError
        If the moment is not a time.

    Examples
    --------
    >>> epoch_us("2024-05-01T12:00:00+02:00")
    1714557600000000
    """
    times_us, bad = parse_times([moment])
    if bad[0]:
        raise ValueError(f"{moment!r} is not a time: ISO-8601 text, a datetime or an epoch number is needed")
    return int(times_us[0])


def _one_type(values: Any) -> pa.Array | None:
    """One Arrow array where the values are of one type, else None."""
    if isinstance(values, pa.ChunkedArray):
        return values.combine_chunks()
    if isinstance(values, pa.Array):
        return values
    if isinstance(values, pd.Series):
        values = values.to_numpy() if values.dtype == object else values.array
    if isinstance(values, (list, tuple)) or (isinstance(values, np.ndarray) and values.dtype.kind == "O"):
        types = {type(value) for value in values if value is not None}
        if len(types) > 1:
            return None  # Arrow would take a datetime beside a date for a date
        if types == {np.datetime64}:
            values = np.array(values, dtype="datetime64")
    if isinstance(values, np.ndarray) and values.dtype.kind == "M" and values.dtype not in _ARROW_UNITS:
        values = values.astype("datetime64[us]")
    try:
        array = pa.array(values, from_pandas=True)
    except (pa.ArrowException, TypeError, ValueError, OverflowError):
        return None
    return array if isinstance(array, pa.Array) else array.combine_chunks()


def _parse_array(array: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    kind = array.type
    if pa.types.is_dictionary(kind):
        times_us, bad = _parse_array(array.dictionary)
        codes = pc.fill_null(array.indices, -1).to_numpy(zero_copy_only=False)
        bad = np.append(bad, True)[codes]
        return np.append(times_us, 0)[codes], bad
    if pa.types.is_integer(kind):
        return _from_integers(array)
    if pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return _from_floats(array.cast(pa.float64()).to_numpy(zero_copy_only=False))
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        return _from_timestamps(array)
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return _from_text(array.cast(pa.string()))
    return np.zeros(len(array), np.int64), np.ones(len(array), bool)


def _parse_mixed(values: list[Any]) -> tuple[np.ndarray, np.ndarray]:
    times_us, bad = np.zeros(len(values), np.int64), np.ones(len(values), bool)
    groups: dict[type, list[int]] = {}
    for row, value in enumerate(values):
        groups.setdefault(type(value), []).append(row)
    for rows in groups.values():
        array = _one_type([values[row] for row in rows])
        if array is not None:
            times_us[rows], bad[rows] = _parse_array(array)
        elif len(rows) > 1:  # one value that Arrow refuses (an int beyond 64 bits) must not spoil its group
            for row in rows:
                alone = _one_type([values[row]])
                if alone is not None:
                    times_us[row], bad[row] = (part[0] for part in _parse_array(alone))
    return times_us, bad


def _within_years(times_us: np.ndarray, bad: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    bad = bad | (times_us < FIRST_US) | (times_us > LAST_US)
    return np.where(bad, 0, times_us), bad


def _from_integers(array: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    bad = pc.is_null(array).to_numpy(zero_copy_only=False)
    if pa.types.is_uint64(array.type):
        too_big = pc.fill_null(pc.greater(array, 2**63 - 1), False)
        bad = bad | too_big.to_numpy(zero_copy_only=False)
        array = pc.if_else(too_big, pa.scalar(0, pa.uint64()), array)
    number = pc.fill_null(array.cast(pa.int64()), 0).to_numpy(zero_copy_only=False)
    bad = bad | (number == np.iinfo(np.int64).min)  # its magnitude does not fit, and it is the usual "no value"
    size = np.abs(np.where(bad, 0, number))
    # Each branch is computed for all rows; the clip keeps the ones not taken from overflowing.
    as_seconds = np.clip(number, -_SECONDS_BELOW, _SECONDS_BELOW) * 1_000_000
    as_millis = np.clip(number, -_MILLIS_BELOW, _MILLIS_BELOW) * 1_000
    branches = [size < _SECONDS_BELOW, size < _MILLIS_BELOW, size < _MICROS_BELOW]
    return _within_years(np.select(branches, [as_seconds, as_millis, number], number // 1_000), bad)


def _from_floats(number: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    bad = ~np.isfinite(number) | (np.abs(np.nan_to_num(number)) >= 2.0**63)
    number = np.where(bad, 0.0, number)
    size = np.abs(number)
    branches = [size < _SECONDS_BELOW, size < _MILLIS_BELOW, size < _MICROS_BELOW]
    micros = np.select(branches, [np.rint(number * 1e6), np.rint(number * 1e3), np.rint(number)], number // 1e3)
    beyond = (micros < FIRST_US) | (micros > LAST_US)
    return _within_years(np.where(beyond, 0, micros).astype(np.int64), bad | beyond)


def _from_timestamps(array: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    if pa.types.is_date(array.type):
        array = array.cast(pa.timestamp("s")) if pa.types.is_date32(array.type) else array.cast(pa.timestamp("ms"))
    bad = pc.is_null(array).to_numpy(zero_copy_only=False)
    ticks = pc.fill_null(array.cast(pa.int64()), 0).to_numpy(zero_copy_only=False)
    if array.type.unit == "ns":
        return _within_years(ticks // 1_000, bad)
    per_tick = {"s": 1_000_000, "ms": 1_000, "us": 1}[array.type.unit]
    overflows = np.abs(ticks // 2) > (2**62) // per_tick
    return _within_years(np.where(overflows, 0, ticks) * per_tick, bad | overflows)


def _from_text(text: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    text = pc.utf8_trim_whitespace(pc.fill_null(text, ""))
    times_us, bad = np.zeros(len(text), np.int64), np.ones(len(text), bool)

    def rows_like(pattern: str) -> np.ndarray:
        return pc.match_substring_regex(text, pattern).to_numpy(zero_copy_only=False)

    # Whole numbers apart from others, since a float holds today's nanoseconds only to about 200 ns.
    integer = rows_like(_INTEGER)
    number = rows_like(_NUMBER) & ~integer
    iso = rows_like(_ISO) & ~integer & ~number
    unsigned = pc.replace_substring_regex(text, r"^\+", "")  # Arrow's casts know no plus sign
    if integer.any():
        times_us[integer], bad[integer] = _from_integers(unsigned.filter(pa.array(integer)).cast(pa.int64()))
    if number.any():
        floats = unsigned.filter(pa.array(number)).cast(pa.float64())
        times_us[number], bad[number] = _from_floats(floats.to_numpy(zero_copy_only=False))
    if iso.any():
        times_us[iso], bad[iso] = _from_iso(text.filter(pa.array(iso)))
    return times_us, bad


def _from_iso(text: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    parsed = pd.to_datetime(pd.Series(text.to_pandas()), utc=True, format="ISO8601", errors="coerce")
    bad = parsed.isna().to_numpy(copy=True)
    times_us = parsed.dt.tz_localize(None).to_numpy().astype("datetime64[us]").astype(np.int64, copy=True)
    for row in np.flatnonzero(bad):  # the rare forms: commas, week dates, leap seconds, far centuries
        moment = _one_iso(text[row].as_py())
        if moment is not None:
            times_us[row], bad[row] = moment, False
    return _within_years(times_us, bad)


def _one_iso(text: str) -> int | None:
    without_leap = _LEAP_SECOND.sub(r"\g<1>59", text.upper())
    try:
        moment = dt.datetime.fromisoformat(without_leap)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=dt.UTC)
    micros = (moment - _EPOCH) // dt.timedelta(microseconds=1)
    return micros if without_leap == text.upper() else micros + 1_000_000
