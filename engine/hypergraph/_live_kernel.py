"""Kernels of the live graph: telling hyperedges of events, and ranking what goes first. Plain arrays, no ids."""

from __future__ import annotations

import numba
import numpy as np


@numba.njit(cache=True, nogil=True)
def tell_edges(slots, kind, amount, time_s, rate, alive, kinds, weights, anchor_s, created_s, seen_s):
    """Each row adds its amount to its hyperedge as of its time; returns how many did not exist before.

    One after the other and each by itself, so that it does not matter where batches are cut.
    """
    born = 0
    for i in range(slots.size):
        s, t, more = slots[i], time_s[i], amount[i]
        kinds[s] = kind[i]
        if not alive[s]:
            alive[s] = 1
            born += 1
            weights[s] = more
            anchor_s[s] = created_s[s] = seen_s[s] = t
            continue
        if t > anchor_s[s]:
            weights[s] = weights[s] * np.exp(-rate * (t - anchor_s[s])) + more
            anchor_s[s] = t
        else:
            weights[s] += more * np.exp(-rate * (anchor_s[s] - t))
        created_s[s] = min(created_s[s], t)
        seen_s[s] = max(seen_s[s], t)
    return born


@numba.njit(cache=True, nogil=True)
def strengths(edge, node, weights, out):
    """Sum of the weights of each node's hyperedges, over living rows without tombstones."""
    for row in range(edge.size):
        out[node[row]] += weights[edge[row]]


@numba.njit(cache=True, nogil=True)
def best_rank(edge, node, rank, out):
    """The highest rank among each node's hyperedges; `out` starts at -1."""
    for row in range(edge.size):
        r = rank[edge[row]]
        if r > out[node[row]]:
            out[node[row]] = r
