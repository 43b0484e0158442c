"""Measures of a hypergraph by their definitions: s-components, clustering, entropy.

Pure functions over CSR incidences and plain arrays; `Hypergraph` has methods of the same names that
speak of ids. They must not know ids, weights' decay or storage.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from engine.hypergraph import _measure_kernel as kernel

Start = NDArray[np.int64]
Slots = NDArray[np.int32]


def component_labels(start: Start, members: Slots, n_nodes: int, s: int = 1) -> Slots:
    """Component of each hyperedge, where hyperedges with s or more nodes in common are joined.

    Hyperedges with fewer than s nodes are in no s-component.

    Parameters
    ----------
    start : int64, shape (m + 1,)
        Hyperedge e has the nodes ``members[start[e]:start[e + 1]]``, each once.
    members : int32
        Node slots.
    n_nodes : int
    s : int
        At least 1.

    Returns
    -------
    ndarray of int32, shape (m,)
        The first hyperedge of the component, -1 for hyperedges in none.

    Examples
    --------
    >>> component_labels(np.array([0, 2, 4, 6]), np.array([0, 1, 1, 2, 1, 2], np.int32), 3, s=2).tolist()
    [0, 1, 1]

    References
    ----------
    Aksoy et al., Hypernetwork science via high-order hypergraph walks, EPJ Data Science 9:16 (2020).
    """
    if s < 1 or s != int(s):
        raise ValueError(f"s is {s!r}; it must be a whole number of shared nodes, 1 or more")
    sizes = np.diff(start)
    large = np.flatnonzero(sizes >= s)
    kept = np.repeat(sizes >= s, sizes)
    # Ranks instead of slots, rare nodes first, so that what the prefix filter drops are the hubs.
    degree = np.bincount(members[kept], minlength=n_nodes)
    rank = np.empty(n_nodes, np.int32)
    rank[np.argsort(degree, kind="stable")] = np.arange(n_nodes, dtype=np.int32)
    new_start = np.zeros(len(large) + 1, np.int64)
    np.cumsum(sizes[large], out=new_start[1:])
    owner = np.repeat(np.arange(len(large)), sizes[large])
    ranks = rank[members[kept]]
    # One key sorts by hyperedge, then by rank.
    ranks = (np.sort(owner * max(n_nodes, 1) + ranks) - owner * max(n_nodes, 1)).astype(np.int32)
    labels = np.full(len(sizes), -1, np.int32)
    labels[large] = large[kernel.join_by_overlap(new_start, ranks, n_nodes, int(s))]
    return labels


def pair_clustering(nodes: Slots, edges: tuple[Start, Slots], by_node: tuple[Start, Slots]) -> NDArray[np.float64]:
    """Clustering coefficient of nodes in the clique expansion: 2 T / (k (k - 1)), 0 for k < 2.

    k is the number of distinct neighbours (nodes that share a hyperedge), T the number of pairs of them
    that share a hyperedge.

    Parameters
    ----------
    nodes : int32
        Slots asked for.
    edges, by_node : (start, members)
        CSR over hyperedges and over nodes.

    Examples
    --------
    >>> csr = np.array([0, 3]), np.array([0, 1, 2], np.int32)
    >>> by_node = np.array([0, 1, 2, 3]), np.zeros(3, np.int32)
    >>> pair_clustering(np.array([0], np.int32), csr, by_node).tolist()
    [1.0]

    References
    ----------
    Watts & Strogatz, Nature 393 (1998), applied to the clique expansion.
    """
    return kernel.pair_clustering(nodes, *edges, *by_node)


def entropy_bits(amounts: ArrayLike) -> float:
    """Shannon entropy, bits, of shares of a whole: -Σ p log2 p with p = amount / Σ amounts.

    Amounts of 0 have no share; the entropy of nothing is 0.

    Parameters
    ----------
    amounts : array_like of float
        Not negative.

    Examples
    --------
    >>> entropy_bits([1, 1, 0, 2])
    1.5

    References
    ----------
    Shannon, A mathematical theory of communication, Bell Syst. Tech. J. 27 (1948).
    """
    values: NDArray[Any] = np.asarray(amounts, np.float64)
    values = values[values > 0.0]
    if not len(values):
        return 0.0
    p = values / values.sum()
    # One share alone gives -0.0.
    return float(abs(np.sum(p * np.log2(p))))
