"""Columns of values from outside as clean arrays, each value with a verdict of its own.

Numbers may come as numbers or as text, text may hold anything; nothing here raises for what a value
is. It does not know what a column means.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

OK, MISSING, WRONG_TYPE, NON_FINITE, TOO_LONG = range(5)
"""Verdicts on one value, int8."""

MAX_TEXT_CHARS = 64
"""Longest identity, callsign, kind or cluster."""

_NUMBER = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$"
# Words for "no value": empty, SQL and JSON, R (which writes Movebank's CSV).
_MISSING_WORDS = ["", "null", "none", "na", "n/a"]
_NON_FINITE_WORDS = ["nan", "inf", "-inf", "+inf", "infinity", "-infinity", "+infinity"]
_NONE = type(None)


def to_floats(values: Sequence[Any] | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Numbers of a column and the verdict on each.

    Parameters
    ----------
    values : sequence of n values, or ndarray
        Numbers, numbers as text, None, anything.

    Returns
    -------
    numbers : ndarray of float64, (n,)
        NaN where the verdict is not `OK`.
    verdicts : ndarray of int8, (n,)
        `OK`, `MISSING`, `WRONG_TYPE` or `NON_FINITE`.

    Examples
    --------
    >>> numbers, verdicts = to_floats([1, "2.5", None, True, "inf"])
    >>> numbers[:2].tolist(), verdicts.tolist()
    ([1.0, 2.5], [0, 0, 1, 2, 3])
    """
    if isinstance(values, np.ndarray):
        if values.dtype.kind in "iuf":
            return _judged(values.astype(np.float64), None)
        return to_floats(values.tolist())
    kinds = set(map(type, values))
    if kinds <= {float, int, _NONE}:
        try:
            numbers = np.array(values, dtype=np.float64)
        except OverflowError:  # an integer beyond the range of float64
            return _one_by_one(values)
        missing = np.array([value is None for value in values]) if _NONE in kinds else None
        return _judged(numbers, missing)
    if kinds <= {str, _NONE}:
        try:
            return _from_text(pa.array(values, pa.string()))
        except (UnicodeEncodeError, pa.ArrowException):  # a lone surrogate
            return _one_by_one(values)
    return _one_by_one(values)


def _judged(numbers: np.ndarray, missing: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    finite = np.isfinite(numbers)
    verdicts = np.where(finite, OK, NON_FINITE).astype(np.int8)
    if missing is not None:
        verdicts[missing] = MISSING
    numbers[~finite] = np.nan
    return numbers, verdicts


def _from_text(text: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    text = pc.utf8_trim_whitespace(pc.fill_null(text, ""))
    verdicts = np.full(len(text), WRONG_TYPE, np.int8)
    numbers = np.full(len(text), np.nan)
    is_number = pc.match_substring_regex(text, _NUMBER).to_numpy(zero_copy_only=False)
    if is_number.any():
        unsigned = pc.replace_substring_regex(text.filter(pa.array(is_number)), r"^\+", "")
        numbers[is_number] = unsigned.cast(pa.float64()).to_numpy(zero_copy_only=False)
    if not is_number.all():
        word = pc.utf8_lower(text)
        verdicts[pc.is_in(word, pa.array(_MISSING_WORDS)).to_numpy(zero_copy_only=False)] = MISSING
        verdicts[pc.is_in(word, pa.array(_NON_FINITE_WORDS)).to_numpy(zero_copy_only=False)] = NON_FINITE
    finite = np.isfinite(numbers)
    verdicts[is_number] = np.where(finite[is_number], OK, NON_FINITE)
    numbers[~finite] = np.nan
    return numbers, verdicts


def _one_by_one(values: Sequence[Any]) -> tuple[np.ndarray, np.ndarray]:
    """The rare mixed column: a handful of distinct types, each value on its own."""
    numbers, verdicts = np.full(len(values), np.nan), np.full(len(values), WRONG_TYPE, np.int8)
    for row, value in enumerate(values):
        if value is None:
            verdicts[row] = MISSING
        elif isinstance(value, str):
            try:
                number, verdict = _from_text(pa.array([value], pa.string()))
            except (UnicodeEncodeError, pa.ArrowException):
                continue
            numbers[row], verdicts[row] = number[0], verdict[0]
        elif isinstance(value, (int, float)) and not isinstance(value, bool):
            try:
                numbers[row] = float(value)
            except OverflowError:
                numbers[row] = math.inf
            verdicts[row] = OK if math.isfinite(numbers[row]) else NON_FINITE
    numbers[verdicts != OK] = np.nan
    return numbers, verdicts


def to_texts(values: Sequence[Any] | np.ndarray, lower: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Texts of a column, without control characters and outer blanks, and the verdict on each.

    Parameters
    ----------
    values : sequence of n values
        Text, integers (an identity may be a number), None, anything.
    lower : bool
        Lower-case them.

    Returns
    -------
    texts : ndarray of object (str or None), (n,)
        None where the verdict is not `OK`.
    verdicts : ndarray of int8, (n,)
        `OK`, `MISSING`, `WRONG_TYPE` or `TOO_LONG`.

    Examples
    --------
    >>> texts, verdicts = to_texts([" AC671B", "a" * 65, "", [1]], lower=True)
    >>> texts.tolist(), verdicts.tolist()
    (['ac671b', None, None, None], [0, 4, 1, 2])
    """
    if isinstance(values, np.ndarray):
        return to_texts(values.tolist(), lower)
    kinds = set(map(type, values))
    keys: Sequence[Any] = values
    if not kinds <= {str, _NONE}:  # equal but different (1, 1.0, True) or without a hash (a list)
        keys = [_as_key(value) for value in values]
    distinct = {key: row for row, key in enumerate(dict.fromkeys(keys))}
    cleaned = [_clean(key, lower) for key in distinct]
    table = np.empty(len(cleaned), dtype=object)
    table[:] = [text for text, _ in cleaned]
    places = np.fromiter(map(distinct.__getitem__, keys), np.int64, len(keys))
    return table[places], np.array([verdict for _, verdict in cleaned], np.int8)[places]


_NO_TEXT = object()


def _as_key(value: Any) -> Any:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 1 << 63:
        return str(value)
    if isinstance(value, float) and value.is_integer() and abs(value) < 1 << 53:
        return str(int(value))  # how a column of numbers with gaps comes out of pandas
    return None if isinstance(value, float) and math.isnan(value) else _NO_TEXT


def _clean(key: Any, lower: bool) -> tuple[str | None, int]:
    if key is None:
        return None, MISSING
    if key is _NO_TEXT:
        return None, WRONG_TYPE
    if len(key) > 16 * MAX_TEXT_CHARS:
        return None, TOO_LONG
    text = "".join(char for char in key if char.isprintable()).strip() if not key.isprintable() else key.strip()
    if not text:
        return None, MISSING
    if len(text) > MAX_TEXT_CHARS:
        return None, TOO_LONG
    return (text.lower() if lower else text), OK


_FALSE_WORDS = frozenset({"false", "f", "0", "no"})
_TRUE_WORDS = frozenset({"true", "t", "1", "yes"})


def to_flags(values: Sequence[Any] | np.ndarray) -> np.ndarray:
    """Flags of a column: 1 true, 0 false, -1 not told.

    Examples
    --------
    >>> to_flags([True, "false", None, "maybe"]).tolist()
    [1, 0, -1, -1]
    """
    meanings = {True: 1, False: 0}
    flags = np.full(len(values), -1, np.int8)
    for row, value in enumerate(values.tolist() if isinstance(values, np.ndarray) else values):
        if isinstance(value, (bool, int, float)):
            flags[row] = meanings.get(value, -1)  # type: ignore[call-overload]
        elif isinstance(value, str):
            word = value.strip().lower()
            flags[row] = 1 if word in _TRUE_WORDS else 0 if word in _FALSE_WORDS else -1
    return flags
