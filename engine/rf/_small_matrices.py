"""Symmetric matrices of three or four rows, compiled: eigenvectors and solutions without a call to LAPACK.

For kernels that need thousands of them, one after the other. It must not know what the matrices mean.
"""

from __future__ import annotations

import math

from numba import njit

_SWEEPS = 12
"""Jacobi sweeps; the method converges quadratically and four-row matrices need five or six."""


@njit(cache=True, nogil=True, error_model="numpy")
def jacobi_eigen(a, v):
    """Eigenvalues onto the diagonal of `a` (destroyed), eigenvectors into the columns of `v`; not sorted.

    Cyclic Jacobi rotations: small eigenvalues of a badly conditioned matrix stay accurate where the
    matrix is well scaled (Demmel & Veselić 1992).
    """
    n = a.shape[0]
    for i in range(n):
        for j in range(n):
            v[i, j] = 1.0 if i == j else 0.0
    for _ in range(_SWEEPS):
        off = 0.0
        for p in range(n - 1):
            for q in range(p + 1, n):
                if a[p, q] * a[p, q] <= 1e-34 * abs(a[p, p] * a[q, q]):
                    continue
                off += 1.0
                theta = (a[q, q] - a[p, p]) / (2.0 * a[p, q])
                t = (1.0 if theta >= 0.0 else -1.0) / (abs(theta) + math.sqrt(theta * theta + 1.0))
                c = 1.0 / math.sqrt(t * t + 1.0)
                s = t * c
                _rotate(a, v, p, q, c, s)
        if off == 0.0:
            return


@njit(cache=True, nogil=True, error_model="numpy")
def _rotate(a, v, p, q, c, s):
    n = a.shape[0]
    for k in range(n):
        akp, akq = a[k, p], a[k, q]
        a[k, p], a[k, q] = c * akp - s * akq, s * akp + c * akq
    for k in range(n):
        apk, aqk = a[p, k], a[q, k]
        a[p, k], a[q, k] = c * apk - s * aqk, s * apk + c * aqk
        vkp, vkq = v[k, p], v[k, q]
        v[k, p], v[k, q] = c * vkp - s * vkq, s * vkp + c * vkq
    a[p, q] = a[q, p] = 0.0


@njit(cache=True, nogil=True, error_model="numpy")
def solve3(a, damping, floor, g, out):
    """Solve ``(A + damping diag(A) + floor I) out = g`` by Cholesky; False where that is not positive definite.

    `a` holds the upper triangle row by row: xx, xy, xz, yy, yz, zz.
    """
    xx = a[0] * (1.0 + damping) + floor
    yy = a[3] * (1.0 + damping) + floor
    zz = a[5] * (1.0 + damping) + floor
    if not xx > 0.0:
        return False
    l00 = math.sqrt(xx)
    l10, l20 = a[1] / l00, a[2] / l00
    d1 = yy - l10 * l10
    if not d1 > 1e-15 * yy:
        return False
    l11 = math.sqrt(d1)
    l21 = (a[4] - l10 * l20) / l11
    d2 = zz - l20 * l20 - l21 * l21
    if not d2 > 1e-15 * zz:
        return False
    l22 = math.sqrt(d2)
    b0 = g[0] / l00
    b1 = (g[1] - l10 * b0) / l11
    b2 = (g[2] - l20 * b0 - l21 * b1) / l22
    out[2] = b2 / l22
    out[1] = (b1 - l21 * out[2]) / l11
    out[0] = (b0 - l10 * out[1] - l20 * out[2]) / l00
    return True
