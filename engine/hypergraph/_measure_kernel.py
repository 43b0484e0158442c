"""Kernels of the measures: neighbours, overlaps, s-components, clustering over CSR incidences.

Plain arrays in and out; slots, never ids.
"""

from __future__ import annotations

import numba
import numpy as np


@numba.njit(cache=True, nogil=True)
def find_root(parent, i):
    """Root of i in a forest; halves the path on the way."""
    while parent[i] != i:
        parent[i] = parent[parent[i]]
        i = parent[i]
    return i


@numba.njit(cache=True, nogil=True)
def _share_at_least(a, b, s):
    """Whether two ascending lists have s values in common."""
    i, j, shared = 0, 0, 0
    while i < a.size and j < b.size:
        # Enough left on both sides?
        if shared + min(a.size - i, b.size - j) < s:
            return False
        if a[i] == b[j]:
            shared += 1
            if shared >= s:
                return True
            i += 1
            j += 1
        elif a[i] < b[j]:
            i += 1
        else:
            j += 1
    return shared >= s


@numba.njit(cache=True, nogil=True)
def join_by_overlap(start, members, n_nodes, s):
    """Forest (parent of each hyperedge) that joins hyperedges with s or more nodes in common.

    `members` are ranks of nodes, rarest first, ascending within a hyperedge. Two lists with s ranks in
    common also have one in common when each drops its last s-1 (prefix filtering: Chaudhuri, Ganti &
    Kaushik, ICDE 2006), so only those are looked up; hubs, which come last, are mostly dropped.
    """
    n = start.size - 1
    parent = np.arange(n, dtype=np.int32)
    # Postings: for each rank the hyperedges seen so far, as chains of (hyperedge, next).
    head = np.full(n_nodes, -1, np.int64)
    chain_edge = np.empty(members.size, np.int32)
    chain_next = np.empty(members.size, np.int64)
    used = 0
    for e in range(n):
        mine = members[start[e] : start[e + 1]]
        for k in range(mine.size - s + 1):
            at = head[mine[k]]
            root = find_root(parent, e)
            while at >= 0:
                f = chain_edge[at]
                other = find_root(parent, f)
                if other != root and _share_at_least(mine, members[start[f] : start[f + 1]], s):
                    # The older hyperedge leads, so that the order of components is that of their first edges.
                    low, high = min(root, other), max(root, other)
                    parent[high] = low
                    root = low
                at = chain_next[at]
            if s == 1:
                # One node in common is certain: everyone on this chain is already joined, one of them is enough.
                head[mine[k]] = -1
            chain_edge[used], chain_next[used] = e, head[mine[k]]
            head[mine[k]] = used
            used += 1
    for e in range(n):
        parent[e] = find_root(parent, e)
    return parent


@numba.njit(cache=True, nogil=True)
def pair_clustering(nodes, edge_start, edge_nodes, node_start, node_edges):
    """Share of a node's pairs of neighbours that are neighbours themselves, 0 with fewer than two."""
    n = node_start.size - 1
    mark = np.zeros(n, np.int64)
    seen = np.zeros(n, np.int64)
    out = np.zeros(nodes.size)
    around = np.empty(n, np.int32)
    step = 0
    for i in range(nodes.size):
        v = nodes[i]
        k = 0
        for at in range(node_start[v], node_start[v + 1]):
            e = node_edges[at]
            for j in range(edge_start[e], edge_start[e + 1]):
                u = edge_nodes[j]
                if u != v and mark[u] != i + 1:
                    mark[u] = i + 1
                    around[k] = u
                    k += 1
        links = 0
        for j in range(k):
            step += 1
            u = around[j]
            seen[u] = step
            for at in range(node_start[u], node_start[u + 1]):
                e = node_edges[at]
                for m in range(edge_start[e], edge_start[e + 1]):
                    w = edge_nodes[m]
                    if seen[w] != step:
                        seen[w] = step
                        links += mark[w] == i + 1
        if k > 1:
            out[i] = links / (k * (k - 1))
    return out


@numba.njit(cache=True, nogil=True)
def across(slots, head, following, other, alive, count):
    """The other ends of all living rows of some hyperedges (or nodes), one after the other, repeats included."""
    total = 0
    for s in slots:
        total += count[s]
    out = np.empty(total, np.int32)
    at = 0
    for s in slots:
        row = head[s]
        while row >= 0:
            if alive[row]:
                out[at] = other[row]
                at += 1
            row = following[row]
    return out


@numba.njit(cache=True, nogil=True)
def strength(edge, node, alive, weights, n_nodes):
    """Sum, for each node, of the weights of its hyperedges."""
    out = np.zeros(n_nodes)
    for row in range(edge.size):
        if alive[row]:
            out[node[row]] += weights[edge[row]]
    return out
