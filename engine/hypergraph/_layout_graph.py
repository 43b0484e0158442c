"""What a layout knows of a hypergraph: weighted incidences both ways, and the same with fewer nodes.

Arrays of slots only, no ids. Hyperedges with fewer than two nodes hold nothing together and are left out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numba import njit
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Slots = NDArray[np.int32]
Array = NDArray[np.float64]
Look = Callable[[], None]

# A hyperedge larger than this says too little about any two of its nodes to match them by.
MATCHED_SIZE = 32

HUB = 64
"""Nodes in more hyperedges than this attract others the less the more there are."""

JOINED_AT_ONCE = 32_768
"""Incidences looked through between two looks at whether to stop."""


@dataclass(frozen=True, slots=True, eq=False)
class LayoutGraph:
    """Incidences by hyperedge and by node, weights of hyperedges, and how many nodes of the whole each stands for."""

    start: Ints
    members: Slots
    node_start: Ints
    edges: Slots
    weight: Array
    mass: Array

    @property
    def n(self) -> int:
        """Number of nodes."""
        return len(self.mass)


def layout_graph(
    n: int, node: Slots, edge: Slots, n_edges: int, weight: Array, mass: Array, look: Look = lambda: None
) -> LayoutGraph:
    """A graph from incidences in any order; repeats and hyperedges of one node are dropped.

    `look` is called between parts of the work, here and in `coarsened`; it raises to stop.
    """
    start, members, kept = _by_edge(n, node, edge, n_edges)
    look()
    return _with_nodes(n, start, members, weight[kept], mass)


def subgraph(graph: LayoutGraph, nodes: Ints, look: Look = lambda: None) -> LayoutGraph:
    """The part of some nodes that no hyperedge joins to others; nodes are numbered in the order given."""
    place = np.full(graph.n, -1, np.int32)
    place[nodes] = np.arange(len(nodes), dtype=np.int32)
    # Marked, not sorted: there are millions of them.
    there = np.zeros(len(graph.weight), np.bool_)
    there[graph.edges[ranges(graph.node_start, nodes)]] = True
    touched = np.flatnonzero(there)
    look()
    members = place[graph.members[ranges(graph.start, touched)]]
    look()
    sizes = np.diff(graph.start)[touched]
    start = np.concatenate([[0], np.cumsum(sizes)])
    return _with_nodes(len(nodes), start, members, graph.weight[touched], graph.mass[nodes])


def ranges(start: Ints, rows: NDArray[np.integer]) -> Ints:
    """Places ``start[r] … start[r + 1]`` of all rows, end to end."""
    counts = start[rows + 1] - start[rows]
    ends = np.cumsum(counts)
    total = int(ends[-1]) if len(ends) else 0
    return np.repeat(start[rows] - (ends - counts), counts) + np.arange(total)


def coarsened(graph: LayoutGraph, look: Look = lambda: None) -> tuple[LayoutGraph, Slots]:
    """The graph with nodes joined to a neighbour each, and the joint node of each node.

    A node goes to the neighbour it shares most weight with, Σ w / (size − 1) over shared hyperedges, unless that one
    has gone elsewhere itself; so a hub takes its leaves along and a chain halves.

    References
    ----------
    Hachul & Jünger, Drawing large graphs with a potential-field-based multilevel algorithm, GD 2004; the rating is
    heavy-edge: Karypis & Kumar, Multilevel k-way hypergraph partitioning, DAC 1999.
    """
    joint, leads = np.full(graph.n, -1, np.int32), np.zeros(graph.n, np.bool_)
    rating, n = np.zeros(graph.n), 0
    cuts = np.searchsorted(graph.node_start, np.arange(0, graph.node_start[-1], JOINED_AT_ONCE), side="left")
    for begin, end in pairwise(np.unique([0, *cuts.tolist(), graph.n]).tolist()):
        look()
        n = _join(
            graph.start, graph.members, graph.node_start, graph.edges, graph.weight, graph.mass, joint, leads, rating,
            n, begin, end,
        )  # fmt: skip
    look()
    mass = np.bincount(joint, graph.mass, n).astype(np.float64)
    start, members, kept, signature = _contract(graph.start, graph.members, joint, n)
    look()
    weight = graph.weight[kept]
    # Hyperedges that have become the same are one of their weights together.
    _, first, inverse = np.unique(signature, return_index=True, return_inverse=True)
    look()
    if len(first) < len(signature):
        weight = np.bincount(inverse, weight, len(first)).astype(np.float64)
        members = members[ranges(start, first)]
        start = np.concatenate([[0], np.cumsum(np.diff(start)[first])])
    look()
    return _with_nodes(n, start, members, weight, mass), joint


def component_of(graph: LayoutGraph) -> Slots:
    """The lowest node of each node's component."""
    return _components(graph.start, graph.members, graph.n)


def _with_nodes(n: int, start: Ints, members: Slots, weight: Array, mass: Array) -> LayoutGraph:
    node_start, edges = _by_node(n, start, members)
    return LayoutGraph(start, members, node_start, edges, weight, mass)


@njit(cache=True, nogil=True)
def _by_edge(n, node, edge, n_edges):
    count = np.zeros(n_edges + 1, np.int64)
    for i in range(edge.size):
        count[edge[i] + 1] += 1
    place = np.cumsum(count)
    filled = place[:-1].copy()
    members = np.empty(node.size, np.int32)
    for i in range(edge.size):
        members[filled[edge[i]]] = node[i]
        filled[edge[i]] += 1
    seen = np.full(n, -1, np.int32)
    kept = np.empty(n_edges, np.int32)
    start = np.zeros(n_edges + 1, np.int64)
    m, used = 0, 0
    for e in range(n_edges):
        begin = used
        for i in range(place[e], place[e + 1]):
            v = members[i]
            if seen[v] != e:
                seen[v] = e
                members[used] = v
                used += 1
        if used - begin < 2:
            used = begin
        else:
            kept[m] = e
            m += 1
            start[m] = used
    return start[: m + 1].copy(), members[:used].copy(), kept[:m].copy()


@njit(cache=True, nogil=True)
def _by_node(n, start, members):
    node_start = np.zeros(n + 1, np.int64)
    for i in range(members.size):
        node_start[members[i] + 1] += 1
    node_start = np.cumsum(node_start)
    filled = node_start[:-1].copy()
    edges = np.empty(members.size, np.int32)
    for e in range(start.size - 1):
        for i in range(start[e], start[e + 1]):
            v = members[i]
            edges[filled[v]] = e
            filled[v] += 1
    return node_start, edges


@njit(cache=True, nogil=True)
def _join(start, members, node_start, edges, weight, mass, joint, leads, rating, used, first_node, last_node):
    """Joins some nodes, in place; `rating` is all zeros before and after. How many joint nodes there are then."""
    touched = np.empty(mass.size, np.int32)
    for v in range(first_node, last_node):
        if joint[v] >= 0:
            continue
        count = 0
        for a in range(node_start[v], node_start[v + 1]):
            e = edges[a]
            size = start[e + 1] - start[e]
            if size > MATCHED_SIZE:
                continue
            for i in range(start[e], start[e + 1]):
                u = members[i]
                # One that has gone to a neighbour leads nobody.
                if u != v and (joint[u] < 0 or leads[u]):
                    if rating[u] == 0.0:
                        touched[count] = u
                        count += 1
                    rating[u] += weight[e] / (size - 1)
        best, most = -1, 0.0
        for k in range(count):
            u = touched[k]
            # Light nodes first, or heavy ones would take everything; and a hub of all says nothing of any two.
            value = rating[u] / (mass[u] * max(node_start[u + 1] - node_start[u], HUB))
            if value > most:
                best, most = u, value
            rating[u] = 0.0
        if best >= 0 and joint[best] < 0:
            joint[best], leads[best] = used, True
            # A hub whose turn it is goes to one of its leaves; the others come after it all the same.
            leads[v] = node_start[v + 1] - node_start[v] > HUB
            used += 1
        if best >= 0:
            joint[v] = joint[best]
        else:
            joint[v], leads[v] = used, True
            used += 1
    return used


@njit(cache=True, nogil=True)
def _mixed(v):
    """splitmix64."""
    z = np.uint64(v) + np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


@njit(cache=True, nogil=True)
def _contract(start, members, joint, n):
    seen = np.full(n, -1, np.int32)
    new_members = np.empty(members.size, np.int32)
    new_start = np.zeros(start.size, np.int64)
    kept = np.empty(start.size - 1, np.int32)
    signature = np.empty(start.size - 1, np.uint64)
    m, used = 0, 0
    for e in range(start.size - 1):
        begin, sign = used, np.uint64(0)
        for i in range(start[e], start[e + 1]):
            v = joint[members[i]]
            if seen[v] != e:
                seen[v] = e
                new_members[used] = v
                used += 1
                sign += _mixed(v)
        if used - begin < 2:
            used = begin
        else:
            kept[m], signature[m] = e, sign
            m += 1
            new_start[m] = used
    return new_start[: m + 1].copy(), new_members[:used].copy(), kept[:m].copy(), signature[:m].copy()


@njit(cache=True, nogil=True)
def _components(start, members, n):
    parent = np.arange(n).astype(np.int32)
    for e in range(start.size - 1):
        a = members[start[e]]
        while parent[a] != a:
            parent[a] = parent[parent[a]]
            a = parent[a]
        for i in range(start[e] + 1, start[e + 1]):
            b = members[i]
            while parent[b] != b:
                parent[b] = parent[parent[b]]
                b = parent[b]
            if a < b:
                parent[b] = a
            elif b < a:
                parent[a] = b
                a = b
    for v in range(n):
        # Roots are lowest and come first, so their labels are final.
        parent[v] = parent[parent[v]]
    return parent
