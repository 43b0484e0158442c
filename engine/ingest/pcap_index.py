"""Where the packets of a capture lie, found in compiled code; where a record is damaged, where the next good one is.

Plain arrays in and out. It knows the records of the two formats, and nothing of what packets hold.
"""

from __future__ import annotations

import numpy as np
from numba import njit

MAX_PACKET_BYTES = 262_144
"""Largest packet that is believed (tcpdump's own limit for most link types)."""

MORE, NEEDS_PYTHON = 0, 1
"""Why `index_ng` stopped: the rest is no whole record; or a block that says how to read the next ones."""

_MAX_BLOCK_BYTES = 1 << 20
_NEAR_US = 30 * 86_400_000_000  # a record found after damage is from the same month as the one before


@njit(cache=True, nogil=True)
def _number(text: np.ndarray, at: int, size: int, big: bool) -> int:
    value = 0
    for i in range(size):
        value = (value << 8) | (text[at + i] if big else text[at + size - 1 - i])
    return value


@njit(cache=True, nogil=True)
def _time_us(text: np.ndarray, at: int, big: bool, per_us: int) -> int:
    return _number(text, at, 4, big) * 1_000_000 + _number(text, at + 4, 4, big) // per_us


@njit(cache=True, nogil=True)
def _believable(text: np.ndarray, at: int, big: bool, per_us: int, limit: int) -> bool:
    """Whether a record header stands here: some bytes, no more than there were, less than a second of fraction."""
    captured, length = _number(text, at + 8, 4, big), _number(text, at + 12, 4, big)
    fits = 0 < captured <= limit and captured <= length and length <= 1 << 24
    return fits and _number(text, at + 4, 4, big) < 1_000_000 * per_us


@njit(cache=True, nogil=True)
def _next_classic(text: np.ndarray, at: int, big: bool, per_us: int, limit: int, near_us: int) -> int:
    """First place from `at` on where a record stands, followed by another or by the end; -1 if there is none."""
    size = len(text)
    while at + 16 <= size:
        if _believable(text, at, big, per_us, limit):
            after = at + 16 + _number(text, at + 8, 4, big)
            time_us = _time_us(text, at, big, per_us)
            if near_us < 0 or abs(time_us - near_us) < _NEAR_US:
                if after == size:
                    return at
                if after + 16 <= size and _believable(text, after, big, per_us, limit):  # noqa: SIM102
                    if abs(_time_us(text, after, big, per_us) - time_us) < _NEAR_US:
                        return at
        at += 1
    return -1


@njit(cache=True, nogil=True)
def index_classic(
    text: np.ndarray, at: int, big: bool, per_us: int, limit: int, ended: bool, last_us: int,
    start: np.ndarray, captured: np.ndarray, length: np.ndarray, time_us: np.ndarray,
) -> tuple[int, int, int, int]:  # fmt: skip
    """Find the packets of a piece of a classic capture.

    Parameters
    ----------
    text : ndarray of uint8
    at : int
        Where the next record begins.
    big : bool
        Byte order.
    per_us : int
        Ticks of the fraction per microsecond: 1 or 1000.
    limit : int
        Largest packet, bytes.
    ended : bool
        Whether nothing follows this piece.
    last_us : int
        Time of the packet before, or -1.
    start, captured, length, time_us : ndarray of int64
        Filled; room for ``len(text) // 16 + 1``.

    Returns
    -------
    count, at, broken, where : int
        Packets found; where to go on; damaged stretches skipped, and where the first was.
    """
    count, broken, where, size = 0, 0, 0, len(text)
    while at + 16 <= size:
        here = _number(text, at + 8, 4, big)
        after = at + 16 + here
        if here <= limit and not ended and after + 16 > size:
            break  # the record that follows it is not there yet, and tells whether this one ends where it says
        good = here <= limit and (after == size or (after + 16 <= size and _number(text, after + 8, 4, big) <= limit))
        found = -1
        if not good:
            found = _next_classic(text, at + 1, big, per_us, limit, last_us)
            if found < 0 and here <= limit and after > size:
                break  # cut off; had its length been damaged, others would follow
            if found < 0 and not ended and size - at < 4 * limit:
                break
            # Where the next good one lies beyond its end, it is the header after it that is damaged.
            good = here <= limit and after <= size and (found < 0 or found > after)
        if good:
            start[count], captured[count] = at + 16, here
            length[count] = max(here, min(_number(text, at + 12, 4, big), 1 << 24))
            time_us[count] = last_us = _time_us(text, at, big, per_us)
            count, at = count + 1, after
            continue
        broken, where = broken + 1, (where if broken else at)
        at = found if found >= 0 else (size if ended else size - limit)
    return count, at, broken, where


@njit(cache=True, nogil=True)
def _is_block(text: np.ndarray, at: int, big: bool) -> bool:
    """Whether a pcapng block stands here, with its length before and after it; the whole of it must be here."""
    total = _number(text, at + 4, 4, big)
    if total < 12 or total % 4 or total > _MAX_BLOCK_BYTES or at + total > len(text):
        return False
    return _number(text, at + total - 4, 4, big) == total


@njit(cache=True, nogil=True)
def _next_block(text: np.ndarray, at: int, big: bool) -> int:
    """First place from `at` on where a block of a known type stands; -1 if there is none."""
    while at + 12 <= len(text):
        kind = _number(text, at, 4, big)
        if (1 <= kind <= 6 or kind == 0x0A0D0D0A) and _is_block(text, at, big):
            return at
        at += 1
    return -1


@njit(cache=True, nogil=True)
def _packet_block(
    text: np.ndarray, at: int, total: int, big: bool, kind: int, links: np.ndarray, ticks: np.ndarray,
    offset_s: np.ndarray, snaps: np.ndarray,
) -> tuple[int, int, int, int, int]:  # fmt: skip
    """Start, bytes captured, bytes on the wire, time and link type of a packet block; start -1 if it is damaged."""
    if kind == 3:  # simple packet block: of the first interface, without a time
        if len(links) == 0 or total < 16:
            return -1, 0, 0, 0, 0
        length = _number(text, at + 8, 4, big)
        captured = min(length, total - 16)
        if snaps[0] > 0:
            captured = min(captured, snaps[0])
        return at + 12, captured, length, -1, links[0]
    if total < 32:
        return -1, 0, 0, 0, 0
    interface = _number(text, at + 8, 4 if kind == 6 else 2, big)
    captured, length = _number(text, at + 20, 4, big), _number(text, at + 24, 4, big)
    if interface >= len(links) or captured > total - 32 or captured > MAX_PACKET_BYTES:
        return -1, 0, 0, 0, 0
    high, low = _number(text, at + 12, 4, big), _number(text, at + 16, 4, big)
    stamp, per_s = ((high & 0x7FFFFFFF) << 32) | low, ticks[interface]
    seconds, rest = stamp // per_s, stamp % per_s
    if seconds > 1 << 40:
        return -1, 0, 0, 0, 0
    micros = rest * 1_000_000 // per_s if per_s <= 1 << 40 else 0
    return (
        at + 28,
        captured,
        max(captured, length),
        (seconds + offset_s[interface]) * 1_000_000 + micros,
        links[interface],
    )


@njit(cache=True, nogil=True)
def index_ng(
    text: np.ndarray, at: int, big: bool, ended: bool, links: np.ndarray, ticks: np.ndarray, offset_s: np.ndarray,
    snaps: np.ndarray, start: np.ndarray, captured: np.ndarray, length: np.ndarray, time_us: np.ndarray,
    link: np.ndarray,
) -> tuple[int, int, int, int, int]:  # fmt: skip
    """Find the packets of a piece of a pcapng capture, up to a block that changes how to read the next.

    Parameters
    ----------
    text : ndarray of uint8
    at : int
        Where the next block begins.
    big, ended : bool
        Byte order; whether nothing follows this piece.
    links, ticks, offset_s, snaps : ndarray of int64
        Of each interface: link type, ticks per second, seconds to add, largest packet.
    start, captured, length, time_us, link : ndarray of int64
        Filled; room for ``len(text) // 16 + 1``.

    Returns
    -------
    count, at, why, broken, where : int
        Packets found; where to go on; `MORE` or `NEEDS_PYTHON`; damaged stretches skipped, and where the
        first was.
    """
    count, broken, where, size = 0, 0, 0, len(text)
    while at + 12 <= size:
        kind = _number(text, at, 4, big)
        if kind == 0x0A0D0D0A and _number(text, at + 8, 4, True) in (0x1A2B3C4D, 0x4D3C2B1A):
            order = _number(text, at + 8, 4, True) == 0x1A2B3C4D
            if _is_block(text, at, order) and _number(text, at + 4, 4, order) >= 28:
                return count, at, NEEDS_PYTHON, broken, where
        if _is_block(text, at, big):
            total = _number(text, at + 4, 4, big)
            if kind == 1 and total >= 20:
                return count, at, NEEDS_PYTHON, broken, where
            if kind in (2, 3, 6):
                place, here, wire, moment, layer = _packet_block(
                    text, at, total, big, kind, links, ticks, offset_s, snaps
                )
                if place < 0:
                    broken, where = broken + 1, (where if broken else at)
                else:
                    start[count], captured[count], length[count] = place, here, wire
                    time_us[count], link[count] = moment, layer
                    count += 1
            at += total
            continue
        total = _number(text, at + 4, 4, big)
        plausible = 12 <= total <= _MAX_BLOCK_BYTES and total % 4 == 0 and at + total > size
        found = _next_block(text, at + 1, big) if not plausible or ended else -1
        if found < 0 and (plausible or (not ended and size - at < 4 * _MAX_BLOCK_BYTES)):
            break
        broken, where = broken + 1, (where if broken else at)
        at = found if found >= 0 else (size if ended else size - _MAX_BLOCK_BYTES)
    return count, at, MORE, broken, where
