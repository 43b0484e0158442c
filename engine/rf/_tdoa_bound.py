"""Kernel: the Cramér–Rao bound and the dilutions of precision of TDoA, position by position.

Plain arrays; it must not know estimates, only true positions and the geometry they make with sensors.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit, prange

from engine.rf._ellipsoid import height_and_normal
from engine.rf._tdoa_fit import inverse


@njit(cache=True, nogil=True, error_model="numpy")
def _information(x, y, z, sensors, w, tie, a):
    """Upper triangle of the information matrix of a position, 1/m^2, and the local vertical."""
    m = sensors.shape[0]
    a[:] = 0.0
    total = ux = uy = uz = 0.0
    for i in range(m):
        dx, dy, dz = x - sensors[i, 0], y - sensors[i, 1], z - sensors[i, 2]
        d = math.sqrt(dx * dx + dy * dy + dz * dz)
        inv = w[i] / d if d > 0.0 else 0.0
        total += w[i]
        ux, uy, uz = ux + dx * inv, uy + dy * inv, uz + dz * inv
    ux, uy, uz = ux / total, uy / total, uz / total
    for i in range(m):
        dx, dy, dz = x - sensors[i, 0], y - sensors[i, 1], z - sensors[i, 2]
        d = math.sqrt(dx * dx + dy * dy + dz * dz)
        inv = 1.0 / d if d > 0.0 else 0.0
        _outer(a, dx * inv - ux, dy * inv - uy, dz * inv - uz, w[i])
    _, nx, ny, nz = height_and_normal(x, y, z)
    if tie > 0.0:
        _outer(a, nx, ny, nz, tie)
    return nx, ny, nz


@njit(cache=True, nogil=True, error_model="numpy")
def _outer(a, hx, hy, hz, w):
    a[0] += w * hx * hx
    a[1] += w * hx * hy
    a[2] += w * hx * hz
    a[3] += w * hy * hy
    a[4] += w * hy * hz
    a[5] += w * hz * hz


@njit(cache=True, nogil=True, error_model="numpy")
def _across(a, nx, ny, nz):
    """Horizontal dilution where the height is known: from the information in the plane across the vertical."""
    # Two directions across the vertical, from the axis that is farthest from it.
    if abs(nz) < 0.9:
        ex, ey, ez = -ny, nx, 0.0
    else:
        ex, ey, ez = 0.0, -nz, ny
    length = math.sqrt(ex * ex + ey * ey + ez * ez)
    ex, ey, ez = ex / length, ey / length, ez / length
    fx, fy, fz = ny * ez - nz * ey, nz * ex - nx * ez, nx * ey - ny * ex
    ee = a[0] * ex * ex + a[3] * ey * ey + a[5] * ez * ez + 2 * (a[1] * ex * ey + a[2] * ex * ez + a[4] * ey * ez)
    ff = a[0] * fx * fx + a[3] * fy * fy + a[5] * fz * fz + 2 * (a[1] * fx * fy + a[2] * fx * fz + a[4] * fy * fz)
    ef = (
        a[0] * ex * fx + a[3] * ey * fy + a[5] * ez * fz
        + a[1] * (ex * fy + ey * fx) + a[2] * (ex * fz + ez * fx) + a[4] * (ey * fz + ez * fy)
    )  # fmt: skip
    det = ee * ff - ef * ef
    return math.sqrt((ee + ff) / det) if det > 1e-13 * ee * ff else math.inf


@njit(cache=True, nogil=True, parallel=True)
def bound_batch(sensors, positions, weight, tie, bound, dilution, blocks):
    """Bound and dilutions at n positions.

    Parameters
    ----------
    sensors : float64, shape (1 or n, M, 3)
        ECEF, m.
    positions : float64, shape (n, 3)
        ECEF, m.
    weight : float64, shape (1 or n, M)
        Inverse variance of each sensor's range, 1/m^2.
    tie : float
        Inverse variance of a known height, 1/m^2; 0 for none.
    bound : float64, shape (n, 3, 3)
        Result, m^2: infinite on the diagonal where the position is not determined.
    dilution : float64, shape (n, 4)
        Result: square roots of the whole trace, its horizontal and its vertical part, and of the
        horizontal part for a known height.
    blocks : int
        Number of pieces that threads take.
    """
    n = positions.shape[0]
    for b in prange(blocks):
        a, m3, v3 = np.empty(6), np.empty((3, 3)), np.empty((3, 3))
        for k in range(b * n // blocks, (b + 1) * n // blocks):
            where, whose = k if sensors.shape[0] > 1 else 0, k if weight.shape[0] > 1 else 0
            x, y, z = positions[k, 0], positions[k, 1], positions[k, 2]
            nx, ny, nz = _information(x, y, z, sensors[where], weight[whose], tie, a)
            c = bound[k]
            if inverse(a, m3, v3, c):
                trace = c[0, 0] + c[1, 1] + c[2, 2]
                up = c[0, 0] * nx * nx + c[1, 1] * ny * ny + c[2, 2] * nz * nz
                up += 2.0 * (c[0, 1] * nx * ny + c[0, 2] * nx * nz + c[1, 2] * ny * nz)
                dilution[k, 0], dilution[k, 1] = math.sqrt(trace), math.sqrt(max(trace - up, 0.0))
                dilution[k, 2] = math.sqrt(max(up, 0.0))
            else:
                c[:] = math.nan
                for i in range(3):
                    c[i, i] = math.inf
                dilution[k, 0] = dilution[k, 1] = dilution[k, 2] = math.inf
            dilution[k, 3] = _across(a, nx, ny, nz)
