"""Force-directed layout: hyperedges pull their nodes together, all nodes push each other apart.

The star expansion without nodes for its middles: a hyperedge pulls each of its nodes towards the mean of the others,
so one of two nodes is the spring of Fruchterman and Reingold. Lengths are in ideal edge lengths. Works on slots.

References: Fruchterman & Reingold, Software: Practice and Experience 21 (1991); multilevel scheme and masses: Hu,
Efficient and high quality force-directed graph drawing, The Mathematica Journal 10 (2005).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

from engine.hypergraph._layout_graph import Array, Ints, LayoutGraph, coarsened
from engine.hypergraph._layout_tree import MANY, SOFT2, Tree

PUSH = 0.2
"""Relative strength of repulsion (Hu 2005)."""

DAMPING = 0.6
"""Share of a Newton step taken: two nodes that both take a whole one change places for ever."""

COARSEST = 60
"""Nodes from which a graph is laid out without a coarser one."""

EXACT = 100
"""Nodes up to which all pairs push each other."""

BLOCK = 16_384
"""Nodes moved between two looks at whether to stop."""

EARLY = 20_000
"""Before a level of more nodes than this is refined, those who wait are shown where they stand so far."""

Check = Callable[[float], None]
"""Called with the share done of the nodes moved by one step; raises to stop."""

Early = Callable[[Array, Array], None]
"""Told where all nodes stand before the long part of the work."""


def _sums(start, members, x, y, out):
    for e in prange(start.size - 1):
        sx, sy = 0.0, 0.0
        for i in range(start[e], start[e + 1]):
            sx += x[members[i]]
            sy += y[members[i]]
        out[e, 0], out[e, 1] = sx, sy


def _moves(targets, x, y, mass, start, node_start, edges, weight, sums, push, reach, out):
    """Where each target goes: force over curvature (a damped Newton step), at most `reach` far."""
    for t in prange(targets.size):
        v = targets[t]
        fx, fy = push[t, 0] * mass[v] * PUSH, push[t, 1] * mass[v] * PUSH
        curvature = push[t, 2] * mass[v] * PUSH + 1e-12
        for a in range(node_start[v], node_start[v + 1]):
            e = edges[a]
            others = start[e + 1] - start[e] - 1
            dx = (sums[e, 0] - x[v]) / others - x[v]
            dy = (sums[e, 1] - y[v]) / others - y[v]
            stiff = weight[e] * np.sqrt(dx * dx + dy * dy)
            fx += stiff * dx
            fy += stiff * dy
            curvature += 2.0 * stiff
        mx, my = DAMPING * fx / curvature, DAMPING * fy / curvature
        length = np.sqrt(mx * mx + my * my)
        shrink = reach[t] / length if length > reach[t] else 1.0
        out[t, 0], out[t, 1] = x[v] + mx * shrink, y[v] + my * shrink


_sums_alone, _moves_alone = (njit(cache=True, nogil=True)(kernel) for kernel in (_sums, _moves))
_sums_together, _moves_together = (njit(cache=True, nogil=True, parallel=True)(kernel) for kernel in (_sums, _moves))


def step(graph: LayoutGraph, x: Array, y: Array, targets: Ints | None, reach: Array | float, check: Check) -> None:
    """Move nodes once, in place: all of them, or the targets, each at most as far as its `reach`."""
    tree = Tree(x, y, graph.mass, lambda: check(0.0))
    check(0.0)
    sums = np.empty((len(graph.start) - 1, 2))
    (_sums_together if len(sums) >= MANY else _sums_alone)(graph.start, graph.members, x, y, sums)
    # In the tree's order neighbours in the plane are neighbours in memory.
    rows = tree.order if targets is None else targets
    reaches = np.full(len(rows), reach) if np.ndim(reach) == 0 else np.asarray(reach)
    moved = np.empty((len(rows), 2))
    for first in range(0, len(rows), BLOCK):
        block = rows[first : first + BLOCK]
        push = np.empty((len(block), 3))
        tree.push(block, x, y, push)
        (_moves_together if len(block) >= MANY else _moves_alone)(
            block, x, y, graph.mass, graph.start, graph.node_start, graph.edges, graph.weight, sums, push,
            reaches[first : first + BLOCK], moved[first : first + BLOCK],
        )  # fmt: skip
        check((first + len(block)) / len(rows))
    x[rows], y[rows] = moved[:, 0], moved[:, 1]


@njit(cache=True, nogil=True)
def _settle_exactly(x, y, mass, start, members, node_start, edges, weight, rounds, reach):
    """`step` with all pairs, again and again with a reach that shrinks; for one small component."""
    n = x.size
    sums = np.empty((start.size - 1, 2))
    new_x, new_y = np.empty(n), np.empty(n)
    for r in range(rounds):
        far = reach * (1.0 - r / rounds) + 0.01
        for e in range(start.size - 1):
            sx, sy = 0.0, 0.0
            for i in range(start[e], start[e + 1]):
                sx += x[members[i]]
                sy += y[members[i]]
            sums[e, 0], sums[e, 1] = sx, sy
        for v in range(n):
            fx, fy, curvature = 0.0, 0.0, 1e-12
            for u in range(n):
                dx, dy = x[v] - x[u], y[v] - y[u]
                if u != v and (dx != 0.0 or dy != 0.0):
                    q = PUSH * mass[v] * mass[u] / (dx * dx + dy * dy + SOFT2)
                    fx += q * dx
                    fy += q * dy
                    curvature += q
            for a in range(node_start[v], node_start[v + 1]):
                e = edges[a]
                others = start[e + 1] - start[e] - 1
                dx = (sums[e, 0] - x[v]) / others - x[v]
                dy = (sums[e, 1] - y[v]) / others - y[v]
                stiff = weight[e] * np.sqrt(dx * dx + dy * dy)
                fx += stiff * dx
                fy += stiff * dy
                curvature += 2.0 * stiff
            mx, my = DAMPING * fx / curvature, DAMPING * fy / curvature
            length = np.sqrt(mx * mx + my * my)
            shrink = far / length if length > far else 1.0
            new_x[v], new_y[v] = x[v] + mx * shrink, y[v] + my * shrink
        x[:], y[:] = new_x, new_y


def settle_small(graph: LayoutGraph, x: Array, y: Array, rounds: int = 120) -> None:
    """Lay a component of up to `EXACT` nodes out, in place, from where its nodes are."""
    _settle_exactly(
        x, y, graph.mass, graph.start, graph.members, graph.node_start, graph.edges, graph.weight, rounds,
        0.3 * np.sqrt(graph.n),
    )  # fmt: skip


def rounds_for(n: int, coarse: bool) -> int:
    """Steps at a level of n nodes; larger levels begin nearer to where they end."""
    if coarse:
        return 200
    return int(np.clip(60.0 * (20_000.0 / max(n, 1)) ** 0.35, 14, 60))


def multilevel(
    graph: LayoutGraph, rng: np.random.Generator, check: Callable[[int], Check], early: Early | None = None
) -> tuple[Array, Array]:
    """Positions of a connected graph: laid out coarse, then refined level by level.

    Parameters
    ----------
    graph : LayoutGraph
    rng : numpy.random.Generator
    check : callable (nodes) -> Check
        Asked for once per step, with the number of nodes that it moves.
    early : callable (x, y), optional
        Told positions of all nodes as they are known from the coarse levels, before levels of more than `EARLY` nodes
        that are at least four times as large as the one before; what is returned does not depend on it.

    Returns
    -------
    x, y : ndarray of float64
    """
    levels: list[tuple[LayoutGraph, NDArray[np.int32]]] = []
    coarse = graph
    while coarse.n > COARSEST:
        smaller, joint = coarsened(coarse, lambda: check(0)(1.0))
        if smaller.n > 0.95 * coarse.n:
            break
        levels.append((coarse, joint))
        coarse = smaller
    # Half a coarse node's mass lies within this of it, on the way to the ideal length of the finest level.
    x, y = rng.normal(size=(2, coarse.n)) * np.sqrt(graph.n)
    _cool(coarse, x, y, rounds_for(coarse.n, True), 0.3 * np.sqrt(graph.n), check)
    for at in range(len(levels) - 1, -1, -1):
        finer, joint = levels[at]
        spread = 0.5 * np.sqrt(finer.mass.sum() / coarse.n)
        x, y = x[joint] + spread * rng.normal(size=finer.n) * 0.3, y[joint] + spread * rng.normal(size=finer.n) * 0.3
        if early is not None and finer.n > max(EARLY, 4 * coarse.n):
            early(*_unfolded(x, y, finer, [joint for _, joint in levels[:at]]))
            check(0)(1.0)
        _cool(finer, x, y, rounds_for(finer.n, False), max(spread, 0.5), check)
        coarse = finer
    return x, y


def _unfolded(x: Array, y: Array, graph: LayoutGraph, joints: list[NDArray[np.int32]]) -> tuple[Array, Array]:
    """Nodes of the finest level around the coarse ones that they are part of: a disc for each, as even as sunflowers.

    References
    ----------
    Vogel, A better way to construct the sunflower head, Mathematical Biosciences 44 (1979).
    """
    if not joints:
        return x.copy(), y.copy()
    part = joints[0]
    for joint in joints[1:]:
        part = joint[part]
    part = part.astype(np.int64)
    order = np.argsort(part, kind="stable")
    place = np.empty(len(part))
    place[order] = np.arange(len(part)) - np.repeat(np.cumsum(graph.mass) - graph.mass, graph.mass.astype(np.int64))
    angle, away = place * np.pi * (3.0 - np.sqrt(5.0)), 0.5 * np.sqrt(place)
    return x[part] + away * np.cos(angle), y[part] + away * np.sin(angle)


def _cool(graph: LayoutGraph, x: Array, y: Array, rounds: int, reach: float, check: Callable[[int], Check]) -> None:
    for r in range(rounds):
        step(graph, x, y, None, reach * (1.0 - r / rounds) ** 1.5 + 0.01, check(graph.n))
