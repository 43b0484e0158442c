"""Single values of EVE in compiled code: times read, texts cut, numbers judged, tokens copied.

Works on bytes of JSON tokens whose syntax was checked before (`engine.ingest.eve_json`); it knows
neither records nor the mapping table.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from engine.ingest.pcap_address import write_int

MAX_TEXT_BYTES = 2_048
"""Longer texts are cut: a payload tells what happened, it does not carry what was transferred.
The longest honest text is the JA3 string of a client that offers every cipher there is."""

MAX_NUMBER_CHARS = 32

NO_TIME = np.iinfo(np.int64).min
"""What stands for a time in an unusual form, to be read elsewhere."""


@njit(cache=True, nogil=True)
def digits_at(text: np.ndarray, at: int, count: int) -> int:
    """Number of so many digits; -1 where one is none."""
    value = 0
    for i in range(at, at + count):
        if not 48 <= text[i] <= 57:
            return -1
        value = value * 10 + (text[i] - 48)
    return value


@njit(cache=True, nogil=True)
def parse_iso(text: np.ndarray, at: int, end: int) -> int:
    """Epoch microseconds of ``YYYY-MM-DDTHH:MM:SS[.ffffff][Z|±HH[:]MM]``; the least int64 if it is not so."""
    if end - at < 19 or text[at + 4] != 45 or text[at + 7] != 45 or text[at + 10] != 84:
        return NO_TIME
    if text[at + 13] != 58 or text[at + 16] != 58:
        return NO_TIME
    year, month, day = digits_at(text, at, 4), digits_at(text, at + 5, 2), digits_at(text, at + 8, 2)
    hour, minute, second = digits_at(text, at + 11, 2), digits_at(text, at + 14, 2), digits_at(text, at + 17, 2)
    leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    longest = 28 + leap if month == 2 else 30 + ((month + (month >> 3)) & 1)
    if year < 1 or not (1 <= month <= 12 and 1 <= day <= longest) or not 0 <= hour < 24:
        return NO_TIME
    if not (0 <= minute < 60 and 0 <= second < 60):
        return NO_TIME
    at += 19
    micros, unit = 0, 100_000
    if at < end and text[at] == 46:
        at += 1
        first = at
        while at < end and 48 <= text[at] <= 57:
            micros, unit, at = micros + unit * (text[at] - 48), unit // 10, at + 1
        if at == first:
            return NO_TIME
    offset = 0
    if at < end and text[at] == 90:
        at += 1
    elif at < end and (text[at] == 43 or text[at] == 45):
        sign, colon = (1 if text[at] == 43 else -1), 1 if at + 3 < end and text[at + 3] == 58 else 0
        if end - at != 5 + colon:
            return NO_TIME
        hours, minutes = digits_at(text, at + 1, 2), digits_at(text, at + 3 + colon, 2)
        if not (0 <= hours < 24 and 0 <= minutes < 60):
            return NO_TIME
        offset, at = sign * (hours * 60 + minutes), end
    if at != end:
        return NO_TIME
    # Days since 1970 of a civil date: years begin in March, so that the leap day is the last.
    shifted = year - (month <= 2)
    era_day = 365 * shifted + shifted // 4 - shifted // 100 + shifted // 400
    days = era_day + (153 * (month + (-3 if month > 2 else 9)) + 2) // 5 + day - 1 - 719_468
    return ((days * 24 + hour) * 60 + minute - offset) * 60_000_000 + second * 1_000_000 + micros


@njit(cache=True, nogil=True)
def is_word(text: np.ndarray, start: int, end: int, word: bytes) -> bool:
    """Whether text[start:end] is a word, whatever its capitals; the word in small letters."""
    if end - start != len(word):
        return False
    for i in range(len(word)):  # noqa: SIM110 - Numba compiles no generators
        if (text[start + i] | 32) != word[i]:
            return False
    return True


@njit(cache=True, nogil=True)
def text_end(text: np.ndarray, start: int, end: int) -> int:
    """Where a string token (without its quotes) is cut so that neither an escape nor a character breaks."""
    if end - start <= MAX_TEXT_BYTES:
        return end
    at = start
    while True:
        byte, size = text[at], 1
        if byte == 92:
            size = 2
            if text[at + 1] == 117:
                high = text[at + 2] | 32
                paired = high == 100 and (text[at + 3] | 32) in (56, 57, 97, 98)
                size = 12 if paired else 6
        elif byte >= 0xF0:
            size = 4
        elif byte >= 0xE0:
            size = 3
        elif byte >= 0xC0:
            size = 2
        if at + size - start > MAX_TEXT_BYTES:
            return at
        at += size


@njit(cache=True, nogil=True, inline="always")
def copy_bytes(text: np.ndarray, start: int, end: int, out: np.ndarray, at: int) -> int:
    """Copy text[start:end]; where it ended."""
    # Unsigned indices need no look at whether they count from the end, so that the loop becomes one for vectors.
    source, target = np.uint64(start), np.uint64(at)
    for k in range(np.uint64(end - start)):
        out[target + k] = text[source + k]
    return at + end - start


@njit(cache=True, nogil=True, inline="always")
def write_token(text: np.ndarray, start: int, end: int, out: np.ndarray, at: int) -> int:
    """Copy a token, a long text cut; where it ended."""
    if text[start] != 34:
        return copy_bytes(text, start, end, out, at)
    cut = text_end(text, start + 1, end - 1)
    at = copy_bytes(text, start, cut, out, at)
    out[at] = 34
    return at + 1


@njit(cache=True, nogil=True, inline="always")
def fits_float(text: np.ndarray, start: int, end: int) -> bool:
    """A number that fits a float64 in any reader: neither endless digits nor a huge exponent."""
    if text[start] == 34:
        return True
    if end - start > MAX_NUMBER_CHARS:
        return False
    for i in range(start, end):
        if text[i] == 101 or text[i] == 69:
            digits = 0
            for k in range(i + 1, end):
                digits += 48 <= text[k] <= 57
            return digits <= 2
    return True


@njit(cache=True, nogil=True)
def write_seconds(text: np.ndarray, start: int, end: int, out: np.ndarray, at: int) -> int:
    """An ISO time in quotes as epoch seconds with six digits; a number as it is; -1 for anything else."""
    if text[start] != 34:
        return copy_bytes(text, start, end, out, at)
    moment = parse_iso(text, start + 1, end - 1)
    if moment < 0:
        return -1
    at = write_int(moment // 1_000_000, out, at)
    out[at] = 46
    rest = moment % 1_000_000
    for k in range(6):
        out[at + 6 - k] = 48 + rest % 10
        rest //= 10
    return at + 7
