"""How good a layout is: do distances on the picture follow those in the graph, are neighbours near.

Pure functions over positions and incidences; they do not know how positions came about.
"""

from __future__ import annotations

import numpy as np
import scipy.sparse
from numpy.typing import ArrayLike, NDArray
from scipy.sparse.csgraph import dijkstra
from scipy.spatial import cKDTree

Array = NDArray[np.float64]


def hop_distances(n: int, incidence_node: ArrayLike, incidence_edge: ArrayLike, sources: ArrayLike) -> Array:
    """Number of hyperedges on the shortest way from some nodes to all; infinite where there is none.

    Parameters
    ----------
    n : int
        Nodes.
    incidence_node, incidence_edge : array_like of int, shape (k,)
    sources : array_like of int, shape (s,)

    Returns
    -------
    ndarray of float64, shape (s, n)

    Examples
    --------
    >>> hop_distances(3, [0, 1, 1, 2], [0, 0, 1, 1], [0]).tolist()
    [[0.0, 1.0, 2.0]]
    """
    node, edge = np.asarray(incidence_node, np.int64), np.asarray(incidence_edge, np.int64)
    size = n + int(edge.max(initial=-1)) + 1
    star = scipy.sparse.coo_matrix((np.ones(len(node)), (node, edge + n)), (size, size)).tocsr()
    hops = dijkstra(star, directed=False, indices=np.asarray(sources, np.int64), unweighted=True)
    # In the star expansion a hyperedge is passed in two steps.
    return np.asarray(hops[:, :n] / 2.0)


def normalised_stress(x: ArrayLike, y: ArrayLike, hops: ArrayLike, sources: ArrayLike) -> float:
    """Mean of ((s |x_i − x_j| − d_ij) / d_ij)² over pairs, with the scale s that makes it least.

    Pairs without a way between them do not count. 0 for a picture in which all distances are the graph's.

    Parameters
    ----------
    x, y : array_like of float, shape (n,)
    hops : array_like of float, shape (s, n)
        Distances in the graph from the sources.
    sources : array_like of int, shape (s,)

    References
    ----------
    Gansner, Koren & North, Graph drawing by stress majorization, GD 2004.
    """
    at = np.stack([np.asarray(x, np.float64), np.asarray(y, np.float64)], axis=1)
    d = np.asarray(hops, np.float64)
    apart = np.linalg.norm(at[np.asarray(sources)][:, None] - at[None], axis=2)
    pairs = np.isfinite(d) & (d > 0.0)
    ratio = apart[pairs] / d[pairs]
    scale = ratio.sum() / np.square(ratio).sum() if ratio.any() else 0.0
    return float(np.square(scale * ratio - 1.0).mean()) if len(ratio) else 0.0


def neighbours_kept(x: ArrayLike, y: ArrayLike, incidence_node: ArrayLike, incidence_edge: ArrayLike) -> float:
    """Neighbourhood preservation: of the k nodes nearest to one with k neighbours, the share that are neighbours.

    The mean over all nodes that share a hyperedge with another.

    References
    ----------
    Zhu et al., DRGraph: an efficient graph layout algorithm, IEEE TVCG 27 (2021), with k the node's own degree.
    """
    at = np.stack([np.asarray(x, np.float64), np.asarray(y, np.float64)], axis=1)
    node, edge = np.asarray(incidence_node, np.int64), np.asarray(incidence_edge, np.int64)
    member = scipy.sparse.csr_matrix((np.ones(len(node)), (node, edge)), (len(at), int(edge.max(initial=-1)) + 1))
    shared = (member @ member.T).tolil()
    shared.setdiag(0)
    adjacent = shared.tocsr()
    adjacent.eliminate_zeros()
    tree, kept = cKDTree(at), []
    for v in np.flatnonzero(np.diff(adjacent.indptr)):
        mine = adjacent.indices[adjacent.indptr[v] : adjacent.indptr[v + 1]]
        _, near = tree.query(at[v], k=len(mine) + 1)
        kept.append(np.isin(np.asarray(near)[np.asarray(near) != v][: len(mine)], mine).mean())
    return float(np.mean(kept)) if kept else 0.0
