"""Kernels over incidences: append, remove, walk, sort.

An incidence is a row: a hyperedge's slot and a node's slot. The rows of one hyperedge, and of one node,
are chained (`next_of_edge`, `next_of_node`), so that a row added is known to every query at once. A
removed row stays in its chains as a tombstone. Plain arrays in and out; ids are unknown here.
"""

from __future__ import annotations

import numba
import numpy as np

_K1 = np.uint64(0xBF58476D1CE4E5B9)
_K2 = np.uint64(0x94D049BB133111EB)
_S32 = np.uint64(32)


@numba.njit(cache=True, nogil=True, inline="always")
def _pair_hash(edge, node):
    h = ((np.uint64(edge) << _S32) ^ np.uint64(node)) * _K1
    h = (h ^ (h >> _S32)) * _K2
    return np.int64(h >> _S32)


@numba.njit(cache=True, nogil=True)
def append_rows(
    edges, nodes, n, edge, node, next_of_edge, next_of_node, alive, table, edge_head, node_head, size, degree, out
):
    """Enter pairs of slots as rows, each pair once; a removed row of the same pair comes back to life.

    `out` gets the row of each pair; returns how many rows there are now, and how many more of them live.
    All arrays have room enough.
    """
    mask = table.size - 1
    gained = 0
    for i in range(edges.size):
        e, v = edges[i], nodes[i]
        at = _pair_hash(e, v) & mask
        while True:
            row = table[at]
            if row < 0:
                row = n
                table[at] = row
                edge[row], node[row] = e, v
                next_of_edge[row], next_of_node[row] = edge_head[e], node_head[v]
                edge_head[e], node_head[v] = row, row
                alive[row] = 0
                n += 1
                break
            if edge[row] == e and node[row] == v:
                break
            at = (at + 1) & mask
        if not alive[row]:
            alive[row] = 1
            size[e] += 1
            degree[v] += 1
            gained += 1
        out[i] = row
    return n, gained


@numba.njit(cache=True, nogil=True)
def refill_pairs(edge, node, table):
    """Enter all rows, whose pairs all differ, into an empty table (-1 everywhere)."""
    mask = table.size - 1
    for row in range(edge.size):
        at = _pair_hash(edge[row], node[row]) & mask
        while table[at] >= 0:
            at = (at + 1) & mask
        table[at] = row


@numba.njit(cache=True, nogil=True)
def chain_rows(edge, node, next_of_edge, next_of_node, edge_head, node_head):
    """Chain all rows anew, in order."""
    edge_head[:] = -1
    node_head[:] = -1
    for row in range(edge.size):
        e, v = edge[row], node[row]
        next_of_edge[row], next_of_node[row] = edge_head[e], node_head[v]
        edge_head[e], node_head[v] = row, row


@numba.njit(cache=True, nogil=True)
def remove_chains(slots, head, following, other, alive, count, other_count):
    """Remove every incidence of some hyperedges (or nodes); returns how many were removed.

    `other` is the column of the other end, whose counts go down by one for each.
    """
    removed = 0
    for slot in slots:
        row = head[slot]
        while row >= 0:
            if alive[row]:
                alive[row] = 0
                other_count[other[row]] -= 1
                removed += 1
            row = following[row]
        count[slot] = 0
    return removed


@numba.njit(cache=True, nogil=True)
def remove_marked(doomed, edge, node, alive, size, degree):
    """Remove every incidence of the hyperedges marked, in one pass over all rows; returns how many."""
    removed = 0
    for row in range(edge.size):
        e = edge[row]
        if alive[row] and doomed[e]:
            alive[row] = 0
            degree[node[row]] -= 1
            removed += 1
    for e in range(doomed.size):
        if doomed[e]:
            size[e] = 0
    return removed


@numba.njit(cache=True, nogil=True)
def chain_members(slot, head, following, other, alive, count):
    """The other ends of the living rows of one hyperedge (or node), in the order they were added."""
    out = np.empty(count[slot], np.int32)
    at = out.size
    row = head[slot]
    while row >= 0:
        if alive[row]:
            at -= 1
            out[at] = other[row]
        row = following[row]
    return out


@numba.njit(cache=True, nogil=True)
def touch(slots, kind, weight, time_s, now_s, alive, kinds, weights, anchor_s, created_s, seen_s):
    """Make entities exist and tell them what their rows say, in order; columns of length 0 say nothing.

    A weight holds from its moment on: one that is older than what is known changes nothing. Returns how
    many did not exist before.
    """
    born = 0
    for i in range(slots.size):
        s = slots[i]
        t = now_s
        if time_s.size and not np.isnan(time_s[i]):
            t = time_s[i]
        if not alive[s]:
            alive[s] = 1
            born += 1
            created_s[s] = t
            seen_s[s] = t
            anchor_s[s] = t
        else:
            if not t >= created_s[s] and not np.isnan(t):
                created_s[s] = t
            if not t <= seen_s[s] and not np.isnan(t):
                seen_s[s] = t
        if kind.size and kind[i] >= 0:
            kinds[s] = kind[i]
        # An entity without a stated weight takes the first that is stated, whatever its moment.
        if weight.size and not np.isnan(weight[i]) and (np.isnan(weights[s]) or not t < anchor_s[s]):
            weights[s] = weight[i]
            anchor_s[s] = t
    return born


@numba.njit(cache=True, nogil=True)
def reinforce(slots, amount, moment_s, rate, weights, anchor_s, seen_s):
    """Add amounts that hold from a moment on to weights; the order of additions changes nothing."""
    for i in range(slots.size):
        s = slots[i]
        w = 1.0 if np.isnan(weights[s]) else weights[s]
        more = amount[i]
        if moment_s > anchor_s[s]:
            w *= np.exp(-rate * (moment_s - anchor_s[s]))
            anchor_s[s] = moment_s
        elif moment_s < anchor_s[s]:
            more *= np.exp(-rate * (anchor_s[s] - moment_s))
        weights[s] = w + more
        if not moment_s <= seen_s[s] and not np.isnan(moment_s):
            seen_s[s] = moment_s


@numba.njit(cache=True, nogil=True)
def decayed(weights, anchor_s, rate, clock_s):
    """Weights at the clock: ``w exp(-rate (clock - anchor))``, unstated ones counting 1, none growing."""
    out = np.empty(weights.size)
    for s in range(weights.size):
        w = 1.0 if np.isnan(weights[s]) else weights[s]
        if clock_s > anchor_s[s]:
            w *= np.exp(-rate * (clock_s - anchor_s[s]))
        out[s] = w
    return out


@numba.njit(cache=True, nogil=True)
def transpose(keys, values, alive, n_keys):
    """Living rows sorted by key, as CSR (start, values), values of a key in row order."""
    start = np.zeros(n_keys + 1, np.int64)
    for row in range(keys.size):
        if alive[row]:
            start[keys[row] + 1] += 1
    for k in range(n_keys):
        start[k + 1] += start[k]
    at = start[:-1].copy()
    out = np.empty(start[n_keys], np.int32)
    for row in range(keys.size):
        if alive[row]:
            k = keys[row]
            out[at[k]] = values[row]
            at[k] += 1
    return start, out


@numba.njit(cache=True, nogil=True)
def transpose_csr(start, values, n_keys):
    """CSR of the other direction; the values of each key come out ascending."""
    out_start = np.zeros(n_keys + 1, np.int64)
    for v in values:
        out_start[v + 1] += 1
    for k in range(n_keys):
        out_start[k + 1] += out_start[k]
    at = out_start[:-1].copy()
    out = np.empty(values.size, np.int32)
    for i in range(start.size - 1):
        for j in range(start[i], start[i + 1]):
            v = values[j]
            out[at[v]] = i
            at[v] += 1
    return out_start, out
