"""Kernels of the id table: hashing, interning and gathering of ids that lie end to end in one byte array.

Plain arrays in and out. They must not know what an id stands for; two ids are the same when their
bytes and their tag (text or integer) are.
"""

from __future__ import annotations

import numba
import numpy as np

# Odd constants of splitmix64 (Steele, Lea & Flood, OOPSLA 2014).
_K1 = np.uint64(0xBF58476D1CE4E5B9)
_K2 = np.uint64(0x94D049BB133111EB)
_S31, _S8 = np.uint64(31), np.uint64(8)
_LOW = np.uint64(0x7FFFFFFF)
_SLOT = np.int64(0xFFFFFFFF)


@numba.njit(cache=True, nogil=True, inline="always")
def _mix(h):
    h = (h ^ (h >> _S31)) * _K1
    return (h ^ (h >> _S31)) * _K2


@numba.njit(cache=True, nogil=True)
def hash_bytes(data, start, stop, tag, seed):
    """Hash, 31 bits in an int64, of the bytes from start to stop and a tag."""
    h = seed ^ _mix(np.uint64(stop - start) * np.uint64(4) + np.uint64(tag))
    i = start
    while i < stop:
        word = np.uint64(0)
        for j in range(min(i + 8, stop) - 1, i - 1, -1):
            word = (word << _S8) | np.uint64(data[j])
        h = _mix(h ^ word)
        i += 8
    return np.int64((h ^ (h >> _S31)) & _LOW)


@numba.njit(cache=True, nogil=True, inline="always")
def _same(a, a_start, b, b_start, length):
    for k in range(length):  # noqa: SIM110  (a generator would be an object)
        if a[a_start + k] != b[b_start + k]:
            return False
    return True


@numba.njit(cache=True, nogil=True)
def intern_rows(data, offsets, tags, row, insert, seed, arena, starts, id_tags, table, n, out):
    """Slot of the id in each row from `row` on, new slots for new ids when `insert`, else -1 for them.

    The table holds ``hash << 32 | slot``, so that one look into memory decides most comparisons.
    Returns (row, n): the first row not done, because an array is full, and how many ids there are.
    """
    mask = table.size - 1
    for i in range(row, tags.size):
        start, length = offsets[i], offsets[i + 1] - offsets[i]
        # The rows of one hyperedge lie together in most tables: the id of the row before is tried first.
        alike = i > row and tags[i] == tags[i - 1] and length == start - offsets[i - 1]
        if alike and _same(data, start, data, offsets[i - 1], length):
            out[i] = out[i - 1]
            continue
        h = hash_bytes(data, start, start + length, tags[i], seed)
        at = h & mask
        while True:
            entry = table[at]
            slot = entry & _SLOT
            if entry < 0:
                slot = -1
                if insert:
                    if n >= id_tags.size or starts[n] + length > arena.size or 3 * (n + 1) > 2 * table.size:
                        return i, n
                    for k in range(length):
                        arena[starts[n] + k] = data[start + k]
                    starts[n + 1] = starts[n] + length
                    id_tags[n] = tags[i]
                    table[at] = (h << 32) | n
                    slot = n
                    n += 1
                out[i] = slot
                break
            alike = entry >> 32 == h and id_tags[slot] == tags[i] and starts[slot + 1] - starts[slot] == length
            if alike and _same(arena, starts[slot], data, start, length):
                out[i] = slot
                break
            at = (at + 1) & mask
    return tags.size, n


@numba.njit(cache=True, nogil=True)
def refill_table(old, table):
    """Enter what one table holds, all of it different, into an empty one (-1 everywhere)."""
    mask = table.size - 1
    for entry in old:
        if entry >= 0:
            at = (entry >> 32) & mask
            while table[at] >= 0:
                at = (at + 1) & mask
            table[at] = entry


@numba.njit(cache=True, nogil=True)
def fill_table(arena, starts, id_tags, seed, n, table):
    """Enter ids 0 … n-1, all different, into an empty table (-1 everywhere)."""
    mask = table.size - 1
    for slot in range(n):
        h = hash_bytes(arena, starts[slot], starts[slot + 1], id_tags[slot], seed)
        at = h & mask
        while table[at] >= 0:
            at = (at + 1) & mask
        table[at] = (h << 32) | slot


@numba.njit(cache=True, nogil=True)
def gather_bytes(arena, starts, stops, offsets, out):
    """Copy the pieces from `starts` to `stops` to where `offsets` says in `out`."""
    for i in range(starts.size):
        to = offsets[i]
        for k in range(stops[i] - starts[i]):
            out[to + k] = arena[starts[i] + k]
