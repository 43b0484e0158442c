"""One TDoA position: least squares from a start, and the checks that it deserves its covariance.

The unknown time of emission is taken out exactly, by subtracting weighted means over the sensors; for
noise that is independent between sensors this is least squares on range differences with their full,
correlated covariance (Niu et al.'s and Chan & Ho's weighting), at a cost linear in the sensors. Plain
arrays; it must not know where the sensors or the batch come from.
"""

from __future__ import annotations

import math

from numba import njit

from engine.rf._ellipsoid import height_and_normal
from engine.rf._small_matrices import jacobi_eigen, solve3

OK, TOO_FEW, BAD_GEOMETRY, AMBIGUOUS, BELOW_THRESHOLD, INCONSISTENT, NOT_CONVERGED, BAD_INPUT, OUTSIDE = range(9)
"""Codes of a fix; `engine.rf.tdoa.REASONS` gives each its words."""

MAX_STEPS = 60
"""Levenberg–Marquardt steps from one start; a usable set needs four to eight."""

DECREMENT = 1e-12
"""A step that would lower the weighted squares by less is the end: a millionth of a standard deviation."""

ROUNDING = 1e-6
"""A step that promises less than this and gives nothing is at the minimum: a thousandth of a standard deviation."""

PROBES = (3.0, 10.0)
"""Standard deviations at which the squares are compared with the quadratic that a covariance stands for."""

PROBE_LEAST = 0.4
"""Share of the quadratic's rise that must be there at a probe; see docs/engine-rf-tdoa.md for how it was set."""

VALLEY = 1.0 / 25.0
"""Largest standard deviation as a share of the distance to the sensors at which valleys count as straight.

Far from the sensors the squares have a valley along the range, curved like a hyperbola: probes along a
straight axis leave it and see walls. At a twenty-fifth, ten standard deviations along it rise by half of
what they should, 1 / (1 + 10/25)^2.
"""

AMBIGUITY = 30.0
"""A second position whose squares are larger by less than this is a rival: odds below 3 million to 1."""


@njit(cache=True, nogil=True, error_model="numpy")
def cost_at(x, s, rho, w, m, tie, r):
    """Weighted squares of the residuals at `x`; `r` receives the residuals with their mean taken out."""
    total = mean = 0.0
    for i in range(m):
        dx, dy, dz = x[0] - s[0, i], x[1] - s[1, i], x[2] - s[2, i]
        r[i] = rho[i] - math.sqrt(dx * dx + dy * dy + dz * dz)
        total += w[i]
        mean += w[i] * r[i]
    mean /= total
    cost = 0.0
    for i in range(m):
        r[i] -= mean
        cost += w[i] * r[i] * r[i]
    if tie[4] > 0.0:
        height, _, _, _ = height_and_normal(tie[0] + x[0], tie[1] + x[1], tie[2] + x[2])
        cost += tie[4] * (tie[3] - height) ** 2
    return cost


@njit(cache=True, nogil=True, error_model="numpy")
def normal_equations(x, s, w, m, tie, r, u, a, g):
    """Upper triangle `a` of the information matrix at `x`, 1/m^2, and the gradient `g` for residuals `r`."""
    total = ux = uy = uz = 0.0
    for i in range(m):
        dx, dy, dz = x[0] - s[0, i], x[1] - s[1, i], x[2] - s[2, i]
        d = math.sqrt(dx * dx + dy * dy + dz * dz)
        # At a sensor the direction is undefined; none is as good as any, and the checks will not pass it.
        inv = 1.0 / d if d > 0.0 else 0.0
        u[0, i], u[1, i], u[2, i] = dx * inv, dy * inv, dz * inv
        total += w[i]
        ux, uy, uz = ux + w[i] * u[0, i], uy + w[i] * u[1, i], uz + w[i] * u[2, i]
    ux, uy, uz = ux / total, uy / total, uz / total
    a[:] = 0.0
    g[:] = 0.0
    for i in range(m):
        hx, hy, hz = u[0, i] - ux, u[1, i] - uy, u[2, i] - uz
        _accumulate(a, g, hx, hy, hz, w[i], r[i])
    if tie[4] > 0.0:
        height, nx, ny, nz = height_and_normal(tie[0] + x[0], tie[1] + x[1], tie[2] + x[2])
        _accumulate(a, g, nx, ny, nz, tie[4], tie[3] - height)


@njit(cache=True, nogil=True, error_model="numpy")
def _accumulate(a, g, hx, hy, hz, w, r):
    a[0] += w * hx * hx
    a[1] += w * hx * hy
    a[2] += w * hx * hz
    a[3] += w * hy * hy
    a[4] += w * hy * hz
    a[5] += w * hz * hz
    g[0] += w * hx * r
    g[1] += w * hy * r
    g[2] += w * hz * r


@njit(cache=True, nogil=True, error_model="numpy")
def _advance(x, step, tie, trial):
    """Go a step from `x`; where the height is tied the step is as level as it was meant, along the earth's curve.

    A straight step would leave a well-known height by its square over the earth's diameter, and a
    descent could only crawl.
    """
    trial[0], trial[1], trial[2] = x[0] + step[0], x[1] + step[1], x[2] + step[2]
    if tie[4] > 0.0:
        height, nx, ny, nz = height_and_normal(tie[0] + x[0], tie[1] + x[1], tie[2] + x[2])
        meant = height + nx * step[0] + ny * step[1] + nz * step[2]
        height, nx, ny, nz = height_and_normal(tie[0] + trial[0], tie[1] + trial[1], tie[2] + trial[2])
        rise = meant - height
        trial[0], trial[1], trial[2] = trial[0] + rise * nx, trial[1] + rise * ny, trial[2] + rise * nz


@njit(cache=True, nogil=True, error_model="numpy")
def fit(x, s, rho, w, m, tie, far, r, u, a, g, step, trial):
    """Levenberg–Marquardt from `x` (moved to the minimum); returns (weighted squares, converged).

    Beyond `far` from the origin nothing is determined any more: not converged, with the squares there.
    """
    cost = cost_at(x, s, rho, w, m, tie, r)
    damping = 1e-4
    for _ in range(MAX_STEPS):
        normal_equations(x, s, w, m, tie, r, u, a, g)
        trace = a[0] + a[3] + a[5]
        while True:
            if solve3(a, damping, damping * 1e-9 * trace, g, step):
                gain = g[0] * step[0] + g[1] * step[1] + g[2] * step[2]
                # Less than rounding of the squares themselves is no gain either.
                if damping <= 1e-3 and gain <= DECREMENT + 1e-14 * cost:
                    return cost, True
                _advance(x, step, tie, trial)
                lower = cost_at(trial, s, rho, w, m, tie, r)
                if lower <= cost:
                    break
                # So close to the minimum the squares differ by rounding only.
                if damping <= 1.0 and gain <= ROUNDING:
                    return cost, True
            if damping > 1e12:
                return cost, False
            damping = max(damping * 8.0, 1e-6)
        x[0], x[1], x[2] = trial[0], trial[1], trial[2]
        cost = lower
        damping *= 0.05
        if not x[0] * x[0] + x[1] * x[1] + x[2] * x[2] < far * far:
            return cost, False
    return cost, False


@njit(cache=True, nogil=True, error_model="numpy")
def inverse(a, m3, v3, out):
    """Inverse of the upper triangle `a` into `out` by eigenvectors (left in `v3`, eigenvalues in `m3`); False: none."""
    _unpack(a, m3)
    jacobi_eigen(m3, v3)
    top = max(m3[0, 0], m3[1, 1], m3[2, 2])
    for k in range(3):
        if not m3[k, k] > 1e-13 * top:
            return False
    for i in range(3):
        for j in range(3):
            out[i, j] = (v3[i, 0] * v3[j, 0] / m3[0, 0] + v3[i, 1] * v3[j, 1] / m3[1, 1]) + (
                v3[i, 2] * v3[j, 2] / m3[2, 2]
            )
    return True


@njit(cache=True, nogil=True, error_model="numpy")
def _unpack(a, m3):
    m3[0, 0], m3[1, 1], m3[2, 2] = a[0], a[3], a[5]
    m3[0, 1] = m3[1, 0] = a[1]
    m3[0, 2] = m3[2, 0] = a[2]
    m3[1, 2] = m3[2, 1] = a[4]


@njit(cache=True, nogil=True, error_model="numpy")
def distance2(a, x, y):
    """Squared distance of two positions in standard deviations of the information matrix `a`."""
    dx, dy, dz = x[0] - y[0], x[1] - y[1], x[2] - y[2]
    return a[0] * dx * dx + a[3] * dy * dy + a[5] * dz * dz + 2.0 * (a[1] * dx * dy + a[2] * dx * dz + a[4] * dy * dz)


@njit(cache=True, nogil=True, error_model="numpy")
def nearest_sensor_m(x, s, m):
    """Distance, m, to the nearest sensor."""
    least = math.inf
    for i in range(m):
        least = min(least, (x[0] - s[0, i]) ** 2 + (x[1] - s[1, i]) ** 2 + (x[2] - s[2, i]) ** 2)
    return math.sqrt(least)


@njit(cache=True, nogil=True, error_model="numpy")
def holds_covariance(x, s, rho, w, m, tie, cost, spread, m3, v3, r, trial):
    """Whether the squares rise around `x` as the covariance says, along each of its axes and both ways.

    Where they do not, the position lies below the threshold: noise moves it by more than the
    linearised equations know, and no solver meets the Cramér–Rao bound.
    """
    away = math.sqrt(x[0] * x[0] + x[1] * x[1] + x[2] * x[2]) + spread
    if (VALLEY * away) ** 2 * min(m3[0, 0], m3[1, 1], m3[2, 2]) < 1.0:
        return False
    for probe in PROBES:
        for k in range(3):
            sd = probe / math.sqrt(m3[k, k])
            for side in (-sd, sd):
                for i in range(3):
                    trial[i] = x[i] + side * v3[i, k]
                if not cost_at(trial, s, rho, w, m, tie, r) - cost >= PROBE_LEAST * probe * probe:
                    return False
    return True


@njit(cache=True, nogil=True, error_model="numpy")
def external_reliability(u, w, m, cov, limit):
    """Largest shift of the position, in its own standard deviations, that one wrong arrival causes unnoticed.

    An error of sensor i shows in the residuals by its redundancy: 1 less its leverage. What passes the
    test of residuals with a margin of three standard deviations moves the position by the rest (Baarda
    1968). Infinite where a sensor cannot be checked at all. `u` holds directions from the sensors.
    """
    total = ux = uy = uz = 0.0
    for i in range(m):
        total += w[i]
        ux, uy, uz = ux + w[i] * u[0, i], uy + w[i] * u[1, i], uz + w[i] * u[2, i]
    ux, uy, uz = ux / total, uy / total, uz / total
    worst = 0.0
    for i in range(m):
        hx, hy, hz = u[0, i] - ux, u[1, i] - uy, u[2, i] - uz
        pull = cov[0, 0] * hx * hx + cov[1, 1] * hy * hy + cov[2, 2] * hz * hz
        pull += 2.0 * (cov[0, 1] * hx * hy + cov[0, 2] * hx * hz + cov[1, 2] * hy * hz)
        pull *= w[i]
        redundancy = 1.0 - pull - w[i] / total
        if not redundancy > 1e-9:
            return math.inf
        worst = max(worst, pull / redundancy)
    return (math.sqrt(limit) + 3.0) * math.sqrt(worst)
