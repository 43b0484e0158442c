"""Where the search for a TDoA position starts: the equations' closed form.

Squaring ``|x - s_i| = R + rho_i`` and taking sensor 0's equation away leaves equations linear in the
position x (from sensor 0) and the range R: ``(s_i - s_0) x + rho_i R = (|s_i - s_0|^2 - rho_i^2)/2``.
Four sensors leave one direction of (x, R) open, and so, nearly, do any number of sensors in a plane;
what decides along it is ``|x| = R``. So the linear equations are solved in all but their weakest
direction and the quadratic gives two points along it. Plain arrays; it must not know sigma or status.

References: Bancroft 1985, IEEE Trans. AES 21; Smith & Abel 1987, IEEE Trans. ASSP 35 (spherical
interpolation).
"""

from __future__ import annotations

import math

from numba import njit

from engine.geo import WGS84_A_M
from engine.rf._ellipsoid import height_and_normal
from engine.rf._small_matrices import jacobi_eigen

DISTANT = 5.0
"""Typical sensor distances beyond which the range is poorly known and its sign may be noise."""


@njit(cache=True, nogil=True, error_model="numpy")
def _add_row(n4, rhs, r0, r1, r2, r3, right):
    row = (r0, r1, r2, r3)
    for i in range(4):
        rhs[i] += row[i] * right
        for j in range(4):
            n4[i, j] += row[i] * row[j]


@njit(cache=True, nogil=True, error_model="numpy")
def _height_row(n4, rhs, s, origin, tie_alt_m, scale, r_guess):
    """The height of a tied position as one more equation: sphere of the local radius about the earth's centre.

    ``(a + h_0 + n x)^2 + ... `` gives ``n x = h - h_0 - (R^2 - ...)/(2a)``; R is not known yet and a
    first guess of it is good enough for a start.
    """
    h0, nx, ny, nz = height_and_normal(origin[0] + s[0, 0], origin[1] + s[1, 0], origin[2] + s[2, 0])
    rise = tie_alt_m - h0
    level2 = max(r_guess * r_guess - rise * rise, 0.0)
    _add_row(n4, rhs, nx, ny, nz, 0.0, (rise - level2 / (2.0 * WGS84_A_M)) / scale)


@njit(cache=True, nogil=True, error_model="numpy")
def closed_form(s, rho, m, origin, tied, tie_alt_m, r_guess, scale, n4, v4, rhs, starts, ranges):
    """Two starting points, relative to `origin`, into the rows of `starts`, the one nearer to sensor 0 first.

    A start whose range to sensor 0 would be negative lies on the wrong branch of the hyperbolas; its
    row is NaN, unless both do. One that is far away besides stands for a direction: noise has carried
    it through infinity to the other side, and it is brought back.

    Parameters
    ----------
    s : float64, shape (3, m)
        Sensors relative to `origin`, m.
    rho : float64, shape (m,)
        Range differences against sensor 0, m.
    origin : float64, shape (3,)
        ECEF, m; only a tied height needs it.
    tied, tie_alt_m, r_guess
        Whether the height is known, the height, m, and a guess at the range, m.
    scale : float
        Typical distance between sensors, m.
    n4, v4, rhs : float64, shapes (4, 4), (4, 4), (4,)
        Scratch.
    starts, ranges : float64, shapes (2, 3) and (2,)
        Results, m.
    """
    n4[:] = 0.0
    rhs[:] = 0.0
    for i in range(1, m):
        dx, dy, dz = (s[0, i] - s[0, 0]) / scale, (s[1, i] - s[1, 0]) / scale, (s[2, i] - s[2, 0]) / scale
        r = rho[i] / scale
        _add_row(n4, rhs, dx, dy, dz, r, 0.5 * (dx * dx + dy * dy + dz * dz - r * r))
    if tied:
        _height_row(n4, rhs, s, origin, tie_alt_m, scale, r_guess)
    jacobi_eigen(n4, v4)
    weak = 0
    top = n4[0, 0]
    for k in range(1, 4):
        top = max(top, n4[k, k])
        if n4[k, k] < n4[weak, weak]:
            weak = k
    y0 = y1 = y2 = y3 = 0.0
    for k in range(4):
        if k == weak or n4[k, k] <= 1e-13 * top:
            continue
        t = (v4[0, k] * rhs[0] + v4[1, k] * rhs[1] + v4[2, k] * rhs[2] + v4[3, k] * rhs[3]) / n4[k, k]
        y0, y1, y2, y3 = y0 + t * v4[0, k], y1 + t * v4[1, k], y2 + t * v4[2, k], y3 + t * v4[3, k]
    v0, v1, v2, v3 = v4[0, weak], v4[1, weak], v4[2, weak], v4[3, weak]
    qa = v0 * v0 + v1 * v1 + v2 * v2 - v3 * v3
    qb = y0 * v0 + y1 * v1 + y2 * v2 - y3 * v3
    qc = y0 * y0 + y1 * y1 + y2 * y2 - y3 * y3
    # Noise may leave no real root: the point nearest to one, then.
    root = math.sqrt(max(qb * qb - qa * qc, 0.0))
    # Stable where qa is small: one root may run to infinity, the other stays.
    q = -(qb + root) if qb >= 0.0 else -(qb - root)
    t0 = q / qa if qa != 0.0 else 0.0
    t1 = qc / q if q != 0.0 else t0
    if y3 + t0 * v3 > y3 + t1 * v3:
        t0, t1 = t1, t0
    both_wrong = y3 + t1 * v3 < 0.0
    for k in range(2):
        t = t0 if k == 0 else t1
        distance = (y3 + t * v3) * scale
        sign = 1.0 if distance >= 0.0 or both_wrong else (-1.0 if distance < -DISTANT * scale else math.nan)
        starts[k, 0] = s[0, 0] + sign * (y0 + t * v0) * scale
        starts[k, 1] = s[1, 0] + sign * (y1 + t * v1) * scale
        starts[k, 2] = s[2, 0] + sign * (y2 + t * v2) * scale
        ranges[k] = abs(distance)
