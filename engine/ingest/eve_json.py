"""JSON in compiled code: one pass over a line checks its syntax and remembers where known values stand.

Strict by RFC 8259: what passes here, any JSON reader takes, so values may be copied as they stand. It
knows syntax and a tree of key names; what a value means is its caller's business.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from engine.ingest.eve_fields import DROP

OK, NOT_JSON, TRUNCATED, NOT_A_RECORD = 0, 1, 2, 3
"""What `scan_line` may find; any other code is its caller's."""

MAX_DEPTH = 64
"""Deeper nesting is refused: EVE has at most six levels."""

MAX_OTHERS = 32
"""Scalars that are kept of a record beyond those that the table names."""

_PATH = 4  # levels of a dotted key
MAX_JOINED = 32
"""Values of lists that are kept of a record."""

_ENDED, _BROKEN = -1, -2
_KEY_OR_CLOSE, _KEY, _VALUE, _VALUE_OR_CLOSE, _NEXT = 0, 1, 2, 3, 4


# Where the parts of the tree begin (engine.ingest.eve_fields.TREE_PARTS).
TABLE, PARENT, CHILD, NAME_AT, NAMES, SLOT, REST, JOINED, IS_TIME, KEY_AT, KEYS = range(11)

COUNTS = MAX_OTHERS + MAX_JOINED
"""Row of `Scratch.lists` that holds how many: unnamed, joined, values left out for want of room."""

# Columns of `Scratch.stack`.
_IS_OBJECT, _NODE, _VALUE_NODE, _KEY_START, _KEY_END, _IN_LIST = range(6)


class Scratch(NamedTuple):
    """Where the values of one line stand; used again for each line.

    Attributes
    ----------
    slots : ndarray of int64, (slots, 2)
        Token of each slot, quotes included; its end is 0 where there is none.
    lists : ndarray of int64, (MAX_OTHERS + MAX_JOINED + 1, 3 + 2 * levels)
        First unnamed scalars: token, number of levels, and begin and end of the name of each level; then
        values of lists: slot and token; then counts.
    stack : ndarray of int64, (MAX_DEPTH + 1, 6)
        Of each level: is an object, node, node of the value, begin and end of its key, within a list.
    """

    slots: np.ndarray
    lists: np.ndarray
    stack: np.ndarray


def scratch(slots: int) -> Scratch:
    """Room for the values of a line."""
    lists = np.zeros((COUNTS + 1, 3 + 2 * _PATH), np.int64)
    return Scratch(np.zeros((slots, 2), np.int64), lists, np.zeros((MAX_DEPTH + 1, 6), np.int64))


@njit(cache=True, nogil=True)
def _hex4(text: np.ndarray, at: int) -> int:
    value = 0
    for i in range(at, at + 4):
        byte = text[i]
        if 48 <= byte <= 57:
            value = value * 16 + (byte - 48)
        elif 97 <= byte <= 102:
            value = value * 16 + (byte - 87)
        elif 65 <= byte <= 70:
            value = value * 16 + (byte - 55)
        else:
            return -1
    return value


@njit(cache=True, nogil=True)
def _after_escape(text: np.ndarray, at: int, end: int) -> int:
    """Place after the escape whose backslash is at `at`."""
    if at + 1 >= end:
        return _ENDED
    byte = text[at + 1]
    if byte == 34 or byte == 92 or byte == 47 or byte == 98 or byte == 102 or byte == 110 or byte == 114 or byte == 116:
        return at + 2
    if byte != 117:
        return _BROKEN
    if at + 6 > end:
        return _ENDED
    unit = _hex4(text, at + 2)
    if unit < 0 or 0xDC00 <= unit <= 0xDFFF:
        return _BROKEN
    if not 0xD800 <= unit <= 0xDBFF:
        return at + 6
    if at + 12 > end:  # half of a pair: whoever reads the payload would refuse it
        return _ENDED
    if text[at + 6] != 92 or text[at + 7] != 117 or not 0xDC00 <= _hex4(text, at + 8) <= 0xDFFF:
        return _BROKEN
    return at + 12


@njit(cache=True, nogil=True)
def after_string(text: np.ndarray, at: int, end: int) -> int:
    """Place after the string that begins at `at`; negative where it does not end or is broken."""
    at += 1
    while at < end:
        byte = text[at]
        if byte == 34:
            return at + 1
        if byte == 92:
            at = _after_escape(text, at, end)
            if at < 0:
                return at
        elif byte < 32:
            return _BROKEN
        else:
            at += 1
    return _ENDED


@njit(cache=True, nogil=True)
def _after_digits(text: np.ndarray, at: int, end: int) -> int:
    begin = at
    while at < end and 48 <= text[at] <= 57:
        at += 1
    return at if at > begin else (_ENDED if at >= end else _BROKEN)


@njit(cache=True, nogil=True)
def _after_number(text: np.ndarray, at: int, end: int) -> int:
    if text[at] == 45:
        at += 1
    first = at
    at = _after_digits(text, at, end)
    if at < 0 or (text[first] == 48 and at > first + 1):
        return min(at, _BROKEN) if at != _ENDED else _ENDED
    if at < end and text[at] == 46:
        at = _after_digits(text, at + 1, end)
        if at < 0:
            return at
    if at < end and (text[at] == 101 or text[at] == 69):
        at += 1
        if at < end and (text[at] == 43 or text[at] == 45):
            at += 1
        at = _after_digits(text, at, end)
    return at


@njit(cache=True, nogil=True)
def _after_literal(text: np.ndarray, at: int, end: int) -> int:
    word = b"true" if text[at] == 116 else (b"null" if text[at] == 110 else b"false")
    for byte in word:
        if at >= end:
            return _ENDED
        if text[at] != byte:
            return _BROKEN
        at += 1
    return at


@njit(cache=True, nogil=True, inline="always")
def _after_space(text: np.ndarray, at: int, end: int) -> int:
    while at < end and (text[at] == 32 or text[at] == 9 or text[at] == 13 or text[at] == 10):
        at += 1
    return at


@njit(cache=True, nogil=True, inline="always")
def _child(tree: np.ndarray, text: np.ndarray, node: int, start: int, end: int) -> int:
    """Node of a key under a node; `UNKNOWN` or `DROP` where the table does not name it."""
    if node < 0:
        return node
    value, size = node, end - start
    if size:  # as `engine.ingest.eve_fields.key_hash`
        value = node * 40503 + size * 30011 + text[start] * 131 + text[start + size // 2] * 8191 + text[end - 1] * 257
        value ^= value >> 9
    table, mask = tree[TABLE], tree[PARENT] - tree[TABLE] - 1
    place = value & mask
    while tree[table + place] >= 0:
        edge = tree[table + place]
        first = tree[tree[NAME_AT] + edge]
        if tree[tree[PARENT] + edge] == node and tree[tree[NAME_AT] + edge + 1] - first == size:
            same = True
            for i in range(size):
                if tree[tree[NAMES] + first + i] != text[start + i]:
                    same = False
                    break
            if same:
                return int(tree[tree[CHILD] + edge])
        place = (place + 1) & mask
    return int(tree[tree[REST] + node])


@njit(cache=True, nogil=True, inline="always")
def _take(
    tree: np.ndarray, slots: np.ndarray, lists: np.ndarray, stack: np.ndarray, depth: int, start: int, end: int
) -> None:
    """Remember a scalar, if it has a slot or is one of the first unnamed ones."""
    node, in_list = stack[depth, _VALUE_NODE], stack[depth, _IN_LIST]
    slot = int(tree[tree[SLOT] + node]) if node >= 0 else -1
    if node == DROP or (slot < 0 and node >= 0 and tree[tree[REST] + node] == DROP):
        return
    if slot >= 0:
        if tree[tree[JOINED] + slot]:
            k = lists[COUNTS, 1]
            if k < MAX_JOINED:
                lists[MAX_OTHERS + k, 0], lists[MAX_OTHERS + k, 1], lists[MAX_OTHERS + k, 2] = slot, start, end
                lists[COUNTS, 1] += 1
            else:
                lists[COUNTS, 2] += 1
        if not in_list or slots[slot, 1] == 0:
            slots[slot, 0], slots[slot, 1] = start, end
        return
    if in_list:
        return
    k = lists[COUNTS, 0]
    if k >= MAX_OTHERS or depth >= _PATH:
        lists[COUNTS, 2] += 1
        return
    lists[k, 0], lists[k, 1], lists[k, 2] = start, end, depth + 1
    for level in range(depth + 1):
        lists[k, 3 + 2 * level], lists[k, 4 + 2 * level] = stack[level, _KEY_START], stack[level, _KEY_END]
    lists[COUNTS, 0] += 1


@njit(cache=True, nogil=True, inline="always")
def _after_scalar(text: np.ndarray, at: int, end: int) -> int:
    byte = text[at]
    if byte == 34:
        return after_string(text, at, end)
    if byte == 45 or 48 <= byte <= 57:
        return _after_number(text, at, end)
    if byte == 116 or byte == 102 or byte == 110:
        return _after_literal(text, at, end)
    return _BROKEN


@njit(cache=True, nogil=True, inline="always")
def _scan_key(tree: np.ndarray, text: np.ndarray, at: int, end: int, stack: np.ndarray, depth: int) -> int:
    """Place after a key and its colon; the level then knows what its value is."""
    if text[at] != 34:
        return _BROKEN
    after = after_string(text, at, end)
    if after < 0:
        return after
    stack[depth, _KEY_START], stack[depth, _KEY_END] = at + 1, after - 1
    stack[depth, _VALUE_NODE] = _child(tree, text, stack[depth, _NODE], at + 1, after - 1)
    after = _after_space(text, after, end)
    if after >= end:
        return _ENDED
    return after + 1 if text[after] == 58 else _BROKEN


@njit(cache=True, nogil=True)
def scan_line(
    tree: np.ndarray, text: np.ndarray, start: int, end: int, slots: np.ndarray, lists: np.ndarray, stack: np.ndarray
) -> int:
    """Check one JSON object and remember its values in the parts of a `Scratch`, which are emptied first.

    Parameters
    ----------
    tree : ndarray of int32
        See `engine.ingest.eve_fields.field_tree`.
    text : ndarray of uint8
    start, end : int
        The line within `text`.
    slots, lists, stack : ndarray of int64
        A `Scratch`.

    Returns
    -------
    int
        `OK`, `NOT_JSON`, `TRUNCATED` or `NOT_A_RECORD`.
    """
    slots[:, 1] = 0
    lists[COUNTS, :3] = 0
    at = _after_space(text, start, end)
    if at >= end or text[at] != 123:
        listed = at < end and (text[at] == 91 or text[at] == 34 or 48 <= text[at] <= 57)
        return NOT_A_RECORD if listed else NOT_JSON
    depth, state = 0, _KEY_OR_CLOSE
    stack[0, _IS_OBJECT], stack[0, _NODE], stack[0, _IN_LIST] = 1, 0, 0
    at += 1
    while True:
        at = _after_space(text, at, end)
        if at >= end:
            return TRUNCATED
        byte = text[at]
        if (byte == 125 or byte == 93) and (state in (_NEXT, _KEY_OR_CLOSE, _VALUE_OR_CLOSE)):
            if (byte == 125) != (stack[depth, _IS_OBJECT] == 1):
                return NOT_JSON
            at, depth, state = at + 1, depth - 1, _NEXT
            if depth < 0:
                return OK if _after_space(text, at, end) >= end else NOT_JSON
        elif state == _NEXT:
            if byte != 44:
                return NOT_JSON
            at, state = at + 1, (_KEY if stack[depth, _IS_OBJECT] == 1 else _VALUE)
        elif state in (_KEY, _KEY_OR_CLOSE):
            at, state = _scan_key(tree, text, at, end, stack, depth), _VALUE
        elif byte == 123 or byte == 91:
            if depth + 1 > MAX_DEPTH:
                return NOT_JSON
            node, in_list = stack[depth, _VALUE_NODE], stack[depth, _IN_LIST]
            at, depth, state = at + 1, depth + 1, (_KEY_OR_CLOSE if byte == 123 else _VALUE_OR_CLOSE)
            stack[depth, _IS_OBJECT], stack[depth, _NODE], stack[depth, _VALUE_NODE] = byte == 123, node, node
            stack[depth, _KEY_START] = stack[depth, _KEY_END] = 0
            stack[depth, _IN_LIST] = byte == 91 or in_list
        else:
            first, state = at, _NEXT
            at = _after_scalar(text, at, end)
            if at >= 0 and byte != 110:  # null is as good as absent
                _take(tree, slots, lists, stack, depth, first, at)
        if at < 0:
            return TRUNCATED if at == _ENDED else NOT_JSON
