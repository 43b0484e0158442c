"""Kernel: the sum over emitters at points anywhere, all of one altitude, in float64. Plain arrays."""

from __future__ import annotations

import numpy as np
from numba import njit, prange

from engine.rf._laws import PLAIN, ROWS, TWO_RAY, add_tabled, add_two_ray
from engine.rf._summation import _add_guarded

CHUNK = 256
"""Points done at once: their coordinates and sums stay in the first-level cache."""


@njit(cache=True, nogil=True, parallel=True)
def sum_at_points(out, points, level_reach_km, emitters, least_reach_km, eps_km2, law, table):
    """Sum of ``gain factor / (max(d, floor)^2 + eps)`` where ``d <= reach``.

    Parameters
    ----------
    out : float64, shape (m,)
        Receives the sums, in units of gain per km^2.
    points : float64, shape (3, m)
        ECEF, km.
    level_reach_km : float
        What the points' altitude adds to every reach.
    emitters, least_reach_km, eps_km2, law, table
        As in `engine.rf._tree.sum_by_boxes`.
    """
    m, n = out.size, emitters.shape[1]
    for chunk in prange((m + CHUNK - 1) // CHUNK):
        start, stop = chunk * CHUNK, min(m, (chunk + 1) * CHUNK)
        cells, listed = np.empty((3, CHUNK)), np.zeros((ROWS, n + 3))
        total, spare = np.zeros(stop - start), np.empty(stop - start)
        for k in range(3):
            for c in range(stop - start):
                cells[k, c] = points[k, start + c] - points[k, start]
            for e in range(n):
                listed[k, e] = emitters[k, e] - points[k, start]
        for e in range(n):
            reach, floor = max(emitters[4, e] + level_reach_km, least_reach_km), emitters[5, e]
            listed[3, e], listed[4, e], listed[5, e] = emitters[3, e], reach * reach, floor * floor
            for row in range(6, ROWS):
                listed[row, e] = emitters[row, e]
        if law == PLAIN:
            # Powerless ones fill up the last four; a distance of 0 from one would be 0/0.
            for e in range(n, n + 3):
                listed[5, e] = 1.0
            _add_guarded(total, cells, listed, 0, n, eps_km2)
        elif law == TWO_RAY:
            add_two_ray(total, cells, listed, 0, n, eps_km2, 0.5)
        else:
            add_tabled(total, cells, listed, 0, n, eps_km2, 0.5, table, spare)
        for c in range(stop - start):
            out[start + c] = total[c]
