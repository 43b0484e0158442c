"""Kernels: what one emitter gives at a squared distance, for the laws beyond ``gain / d^2``.

A law is a factor on ``gain / (max(d, floor)^2 + eps)``. `TWO_RAY` has a closed form; `TABLE` reads
the factor's logarithm from a table over the emitter's row and distance. Distances are km. Plain
numbers and arrays; which physics fills the tables is for `engine.rf.excess`.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

PLAIN, TWO_RAY, TABLE = 0, 1, 2

FIRST = 6
"""Rows of an emitter array before those of its law: x, y, z, gain, reach, floor."""

ROWS = FIRST + 5
"""Rows in all. Two-ray: 4 h1 h2 (km^2), wavenumber/2 (rad/km), size of the reflection coefficient, -, and the
distance within which lobes are too fine for interpolation. Table: class, row, fraction to the next
row, steps per km, -."""

SMOOTH_STRIDE = 8
"""Steps of a table for which one width of smoothness is kept."""

LEAST_LOG2 = -120.0
"""Weakest factor, as a power of two: the end of float32 with room for 1/d^2."""

_FAST = {"reassoc", "contract", "nsz"}


@njit(cache=True, nogil=True, error_model="numpy", fastmath=_FAST)
def add_two_ray(total, cells, listed, start, stop, eps, half):
    """Add two-ray emitters to the cells' sums; `half` is 0.5 in the type of the cells.

    With the path lengths d and r, ``r^2 = d^2 + 4 h1 h2``, the factor is ``|1 - q exp(-jk(r - d))|^2``,
    q being the reflection times d/r; ``(1 - q)^2 + 4 q sin^2(k (r - d) / 2)`` does not cancel.
    """
    cx, cy, cz = cells[0], cells[1], cells[2]
    one, four = half + half, half * 8
    inv_pi = half * (2.0 / math.pi)
    # sin(pi t)/t about 0 to |t| = 1/2, Taylor: 2e-8.
    pi1, pi3, pi5 = half * 6.283185307179586, half * -10.335425560099939, half * 5.100328081191004
    pi7, pi9, pi11 = half * -1.1985290634117978, half * 0.1642917287448616, half * -0.014740861838440558
    zero = half - half
    for e in range(start, stop):
        x0, y0, z0, g, r2, f2 = listed[0, e], listed[1, e], listed[2, e], listed[3, e], listed[4, e], listed[5, e]
        h4, k, rho = listed[6, e], listed[7, e], listed[8, e]
        for c in range(total.size):
            x, y, z = cx[c] - x0, cy[c] - y0, cz[c] - z0
            true2 = x * x + (y * y + z * z)
            d2 = true2 if true2 > f2 else f2
            d = np.sqrt(d2)
            r = np.sqrt(d2 + h4)
            q = rho * d / r
            t = k * h4 / (r + d) * inv_pi
            t = t - np.rint(t)
            s = t * t
            sine = t * (pi1 + s * (pi3 + s * (pi5 + s * (pi7 + s * (pi9 + s * pi11)))))
            factor = (one - q) * (one - q) + four * q * sine * sine
            add = g * factor / (d2 + eps)
            total[c] += add if true2 <= r2 else zero


@njit(cache=True, nogil=True, error_model="numpy", fastmath=_FAST)
def add_tabled(total, cells, listed, start, stop, eps, half, table, loss):
    """Add emitters whose factor's log2 is tabled; `loss` is scratch of float64 or float32 like `total`.

    Two loops: the compiler keeps the gathers and the arithmetic of the power apart, and both in vector lanes.
    """
    cx, cy, cz = cells[0], cells[1], cells[2]
    last = half * np.float32(2 * (table.shape[2] - 2))
    one = half + half
    zero = half - half
    # 2^f on [-1/2, 1/2]: Taylor in f ln 2, 1e-8.
    c1, c2, c3 = half * 1.3862943611198906, half * 0.4804530139182014, half * 0.11100820973317624
    c4, c5, c6 = half * 0.019236258215214953, half * 0.0026667162923103264, half * 0.00030807048587340545
    c7 = half * 3.050547e-05
    least = half * (2.0 * LEAST_LOG2)
    for e in range(start, stop):
        x0, y0, z0, g, r2, f2 = listed[0, e], listed[1, e], listed[2, e], listed[3, e], listed[4, e], listed[5, e]
        below, above = table[int(listed[6, e]), int(listed[7, e])], table[int(listed[6, e]), int(listed[7, e]) + 1]
        fraction, per_km = listed[8, e], listed[9, e]
        for c in range(total.size):
            x, y, z = cx[c] - x0, cy[c] - y0, cz[c] - z0
            d2 = x * x + (y * y + z * z)
            u = np.sqrt(d2) * per_km
            step = np.floor(u if u < last else last)
            i = np.int64(step)
            f = u - step
            a = below[i] + (below[i + 1] - below[i]) * f
            b = above[i] + (above[i + 1] - above[i]) * f
            loss[c] = a + (b - a) * fraction
        for c in range(total.size):
            x, y, z = cx[c] - x0, cy[c] - y0, cz[c] - z0
            true2 = x * x + (y * y + z * z)
            d2 = true2 if true2 > f2 else f2
            v = loss[c] if loss[c] > least else least
            w = np.rint(v)
            f = v - w
            p = one + f * (c1 + f * (c2 + f * (c3 + f * (c4 + f * (c5 + f * (c6 + f * c7))))))
            scale = np.int32((np.int32(w) + np.int32(127)) << np.int32(23)).view(np.float32)
            add = g * (p * scale) / (d2 + eps)
            total[c] += add if true2 <= r2 else zero


@njit(cache=True, nogil=True, error_model="numpy")
def factor_at(law, emitters, e, d_km, table):
    """Factor of one emitter at one distance, float64: for bounds, not for sums."""
    if law == TWO_RAY:
        h4, k, rho = emitters[FIRST, e], emitters[FIRST + 1, e], emitters[FIRST + 2, e]
        r = math.sqrt(d_km * d_km + h4)
        q = rho * d_km / r
        sine = math.sin(k * h4 / (r + d_km))
        return (1.0 - q) ** 2 + 4.0 * q * sine * sine
    if law == TABLE:
        u = d_km * emitters[FIRST + 3, e]
        i = int(min(u, float(table.shape[2] - 2)))
        f = u - i
        below = table[int(emitters[FIRST, e]), int(emitters[FIRST + 1, e])]
        above = table[int(emitters[FIRST, e]), int(emitters[FIRST + 1, e]) + 1]
        a = below[i] + (below[i + 1] - below[i]) * f
        b = above[i] + (above[i + 1] - above[i]) * f
        return 2.0 ** max(a + (b - a) * emitters[FIRST + 2, e], LEAST_LOG2)
    return 1.0
