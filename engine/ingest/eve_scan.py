"""A block of EVE lines as columns, in compiled code: times, kinds, entities and payloads in one pass.

Values are copied into the payload as they stand in the line, which is valid JSON already; nothing is
made a Python object on the way. It knows bytes and the mapping table, not files or tables.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from engine.ingest.eve_fields import ENVELOPE
from engine.ingest.eve_json import (
    COUNTS,
    IS_TIME,
    JOINED,
    KEY_AT,
    KEYS,
    MAX_OTHERS,
    scan_line,
)
from engine.ingest.eve_values import (
    MAX_TEXT_BYTES,
    NO_TIME,
    copy_bytes,
    digits_at,
    fits_float,
    is_word,
    parse_iso,
    text_end,
    write_seconds,
    write_token,
)
from engine.ingest.pcap_address import (
    COMMUNITY_ID_CHARS,
    ICMP,
    ICMP6,
    SCTP,
    TCP,
    UDP,
    parse_ip,
    write_community_id,
    write_ip,
)

MISSING_TIME, BAD_KIND, SKIPPED = 4, 5, 6
"""Verdicts of `scan_lines` besides those of `scan_line`; skipped lines were marked so by the caller."""

MAX_KIND_CHARS = 32

_TIME, _TYPE, _SRC, _DEST, _SPORT, _DPORT, _PROTO, _ITYPE, _ICODE, _CID, _FLOW = range(len(ENVELOPE))
_MAX_KEY = 80


class Columns(NamedTuple):
    """What a block of lines becomes; the first m rows are filled.

    Attributes
    ----------
    line : ndarray of int64, (n,)
        Index of the line of each row.
    time_us : ndarray of int64, (n,)
        Epoch microseconds; the least int64 where the time is in an unusual form, to be read elsewhere.
    time_at : ndarray of int64, (n, 2)
        The token of the time.
    kind_at, entity_at, payload_at : ndarray of int32, (n + 1,)
        Where each text begins in `kinds`, `entities` and `payloads`; an empty entity is the source itself.
    kinds, entities, payloads : ndarray of uint8
    """

    line: np.ndarray
    time_us: np.ndarray
    time_at: np.ndarray
    kind_at: np.ndarray
    entity_at: np.ndarray
    payload_at: np.ndarray
    kinds: np.ndarray
    entities: np.ndarray
    payloads: np.ndarray


def columns_for(sizes: np.ndarray) -> Columns:
    """Room for a block of lines of these lengths, bytes."""
    lines = len(sizes)
    # A value takes at least five bytes of its line. Its key in the payload is at most 24 longer than in EVE, 1600 for
    # all of the table; an unnamed value brings a key of at most _MAX_KEY and two quotes, MAX_OTHERS times.
    keys = np.minimum(5 * sizes, 1_600) + np.minimum(17 * sizes, MAX_OTHERS * (_MAX_KEY + 8))
    room = int((sizes + keys).sum()) + 8 * lines + 64
    return Columns(
        np.empty(lines, np.int64), np.empty(lines, np.int64), np.empty((lines, 2), np.int64),
        np.zeros(lines + 1, np.int32), np.zeros(lines + 1, np.int32), np.zeros(lines + 1, np.int32),
        np.empty(lines * (MAX_KIND_CHARS + 4), np.uint8), np.empty(lines * 48, np.uint8),
        np.empty(room, np.uint8),
    )  # fmt: skip


@njit(cache=True, nogil=True)
def _protocol(text: np.ndarray, start: int, end: int) -> int:
    """IP protocol number of a name in quotes; -1 where it is not one with ports."""
    start, end = start + 1, end - 1
    if is_word(text, start, end, b"tcp"):
        return TCP
    if is_word(text, start, end, b"udp"):
        return UDP
    if is_word(text, start, end, b"icmp"):
        return ICMP
    if is_word(text, start, end, b"ipv6-icmp") or is_word(text, start, end, b"icmpv6"):
        return ICMP6
    return SCTP if is_word(text, start, end, b"sctp") else -1


@njit(cache=True, nogil=True)
def _number(text: np.ndarray, slots: np.ndarray, slot: int, most: int) -> int:
    """A whole number from 0 to `most`; -1 where there is none."""
    start, end = slots[slot, 0], slots[slot, 1]
    if end - start > 9 or end == 0:
        return -1
    value = digits_at(text, start, end - start)
    return value if value <= most else -1


@njit(cache=True, nogil=True)
def _own_id_is_right(text: np.ndarray, slots: np.ndarray) -> bool:
    """Whether the Community ID in the record can be taken: for IPv6 and ICMP, Suricata's are not to the letter."""
    start, end = slots[_CID, 0] + 1, slots[_CID, 1] - 1
    if end - start != COMMUNITY_ID_CHARS or text[start] != 49 or text[start + 1] != 58:
        return False
    for i in range(slots[_SRC, 0], slots[_SRC, 1]):
        if text[i] == 58:
            return False
    for i in range(start + 2, end):
        byte = text[i]
        if not (byte == 43 or 47 <= byte <= 57 or byte == 61 or 65 <= byte <= 90 or 97 <= byte <= 122):
            return False
    return True


@njit(cache=True, nogil=True, inline="always")
def _write_entity(text: np.ndarray, slots: np.ndarray, out: np.ndarray, at: int) -> int:
    """Community ID of the record's flow; else its flow number; else nothing."""
    proto = _protocol(text, slots[_PROTO, 0], slots[_PROTO, 1]) if slots[_PROTO, 1] else -1
    if proto in (TCP, UDP) and _own_id_is_right(text, slots):
        return copy_bytes(text, slots[_CID, 0] + 1, slots[_CID, 1] - 1, out, at)
    if proto > 0 and slots[_SRC, 1] and slots[_DEST, 1]:
        src_version, src_high, src_low = parse_ip(text, slots[_SRC, 0] + 1, slots[_SRC, 1] - 1)
        dest_version, dest_high, dest_low = parse_ip(text, slots[_DEST, 0] + 1, slots[_DEST, 1] - 1)
        if proto in (ICMP, ICMP6):
            first, second = _number(text, slots, _ITYPE, 255), _number(text, slots, _ICODE, 255)
        else:
            first, second = _number(text, slots, _SPORT, 65535), _number(text, slots, _DPORT, 65535)
        if src_version and src_version == dest_version and first >= 0 and second >= 0:
            return write_community_id(
                src_version, src_high, src_low, dest_high, dest_low, proto, first, second, out, at
            )
    start, end = slots[_FLOW, 0], slots[_FLOW, 1]
    if end > start and end - start <= 20 and digits_at(text, start, end - start) >= 0:
        for byte in b"flow:":
            out[at] = byte
            at += 1
        out[at : at + end - start] = text[start:end]
        at += end - start
    return at


@njit(cache=True, nogil=True, inline="always")
def _write_kind(text: np.ndarray, start: int, end: int, out: np.ndarray, at: int) -> int:
    """``net.`` and the event type in small letters; -1 where that is no plain word."""
    if end - start < 3 or end - start - 2 > MAX_KIND_CHARS or text[start] != 34:
        return -1
    for byte in b"net.":
        out[at] = byte
        at += 1
    for i in range(start + 1, end - 1):
        byte = text[i]
        if 65 <= byte <= 90:
            byte += 32
        if not (97 <= byte <= 122 or 48 <= byte <= 57 or byte == 95 or byte == 45):
            return -1
        out[at] = byte
        at += 1
    return at


@njit(cache=True, nogil=True)
def _write_joined(text: np.ndarray, lists: np.ndarray, slot: int, out: np.ndarray, at: int) -> int:
    """Values of a list as one text with spaces between."""
    out[at] = 34
    at += 1
    begin = at
    for k in range(lists[COUNTS, 1]):
        if lists[MAX_OTHERS + k, 0] != slot:
            continue
        start, end = lists[MAX_OTHERS + k, 1], lists[MAX_OTHERS + k, 2]
        if text[start] == 34:
            start, end = start + 1, text_end(text, start + 1, end - 1)
        if at > begin:
            if at + 1 + end - start - begin > MAX_TEXT_BYTES:
                lists[COUNTS, 2] += 1
                continue
            out[at] = 32
            at += 1
        at = copy_bytes(text, start, end, out, at)
    out[at] = 34
    return at + 1


@njit(cache=True, nogil=True, inline="always")
def _write_slot(
    tree: np.ndarray, text: np.ndarray, slots: np.ndarray, lists: np.ndarray, slot: int, out: np.ndarray, at: int
) -> int:
    """One ``"key":value,``; where it ended, which is where it began if there is nothing to tell."""
    first, last, begin = tree[tree[KEY_AT] + slot] + tree[KEYS], tree[tree[KEY_AT] + slot + 1] + tree[KEYS], at
    start, end = slots[slot, 0], slots[slot, 1]
    if first == last or end == 0:
        return at
    at = copy_bytes(tree, first, last, out, at)
    if tree[tree[JOINED] + slot]:
        at = _write_joined(text, lists, slot, out, at)
    elif not fits_float(text, start, end):
        at = -1
    elif tree[tree[IS_TIME] + slot]:
        at = write_seconds(text, start, end, out, at)
    elif (slot in (_SRC, _DEST)) and text[start] == 34:
        version, high, low = parse_ip(text, start + 1, end - 1)
        if version:  # EVE writes IPv6 in full; one host has one name, whoever saw it
            out[at] = 34
            at = write_ip(version, high, low, out, at + 1)
            out[at] = 34
            at += 1
        else:
            at = write_token(text, start, end, out, at)
    else:
        at = write_token(text, start, end, out, at)
    if at < 0:
        lists[COUNTS, 2] += 1
        return begin
    out[at] = 44
    return at + 1


@njit(cache=True, nogil=True, inline="always")
def _write_payload(
    tree: np.ndarray, text: np.ndarray, slots: np.ndarray, lists: np.ndarray, out: np.ndarray, at: int
) -> int:
    begin = at
    out[at] = 123
    at += 1
    for slot in range(len(slots)):
        if slots[slot, 1]:
            at = _write_slot(tree, text, slots, lists, slot, out, at)
    for k in range(lists[COUNTS, 0]):
        start, end, levels = lists[k, 0], lists[k, 1], lists[k, 2]
        size = 0
        for level in range(levels):
            size += lists[k, 4 + 2 * level] - lists[k, 3 + 2 * level] + 1
        if size > _MAX_KEY or not fits_float(text, start, end):
            lists[COUNTS, 2] += 1
            continue
        out[at] = 34
        at += 1
        for level in range(levels):
            if level:
                out[at] = 46
                at += 1
            at = copy_bytes(text, lists[k, 3 + 2 * level], lists[k, 4 + 2 * level], out, at)
        out[at], out[at + 1] = 34, 58
        at = write_token(text, start, end, out, at + 2)
        out[at] = 44
        at += 1
    if at == begin + 1:
        at += 1
    out[at - 1] = 125  # over the last comma
    return at


@njit(cache=True, nogil=True)
def scan_lines(
    tree: np.ndarray, text: np.ndarray, starts: np.ndarray, ends: np.ndarray, verdict: np.ndarray,
    slots: np.ndarray, lists: np.ndarray, stack: np.ndarray,
    line: np.ndarray, time_us: np.ndarray, time_at: np.ndarray, kind_at: np.ndarray, entity_at: np.ndarray,
    payload_at: np.ndarray, kinds: np.ndarray, entities: np.ndarray, payloads: np.ndarray,
) -> tuple[int, int]:  # fmt: skip
    """Read lines into columns.

    Parameters
    ----------
    tree : ndarray of int32
        See `engine.ingest.eve_fields.field_tree`.
    text : ndarray of uint8
    starts, ends : ndarray of int64, (n,)
        The lines within `text`.
    verdict : ndarray of uint8, (n,)
        Lines marked `SKIPPED` are not looked at; the others get 0 or why they were refused.
    slots, lists, stack : ndarray of int64
        A `Scratch`.
    line, time_us, time_at, kind_at, entity_at, payload_at, kinds, entities, payloads : ndarray
        `Columns`. All arrays come one by one: a class in a signature ends up in Numba's cache on disk.

    Returns
    -------
    rows : int
        How many rows of the columns are filled.
    left_out : int
        Values of good records that found no room in the payload.
    """
    row, left_out = 0, 0
    for i in range(len(starts)):
        if verdict[i] == SKIPPED:
            continue
        verdict[i] = scan_line(tree, text, starts[i], ends[i], slots, lists, stack)
        if verdict[i]:
            continue
        if slots[_TIME, 1] == 0:
            verdict[i] = MISSING_TIME
            continue
        after = _write_kind(text, slots[_TYPE, 0], slots[_TYPE, 1], kinds, kind_at[row])
        if after < 0:
            verdict[i] = BAD_KIND
            continue
        kind_at[row + 1] = after
        start, end = slots[_TIME, 0], slots[_TIME, 1]
        time_us[row] = parse_iso(text, start + 1, end - 1) if text[start] == 34 else NO_TIME
        time_at[row, 0], time_at[row, 1] = start, end
        entity_at[row + 1] = _write_entity(text, slots, entities, entity_at[row])
        payload_at[row + 1] = _write_payload(tree, text, slots, lists, payloads, payload_at[row])
        left_out += lists[COUNTS, 2]
        line[row] = i
        row += 1
    return row, left_out
