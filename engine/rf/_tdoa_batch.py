"""Thousands of TDoA positions in one call: each fix's sensors gathered, started, fitted and judged.

Plain arrays in and out, shared between threads in blocks of fixes. It must not know tables, units
other than metres, or the words for a status.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit, prange

from engine.rf._ellipsoid import height_and_normal
from engine.rf._small_matrices import jacobi_eigen
from engine.rf._tdoa_fit import (
    AMBIGUITY,
    AMBIGUOUS,
    BAD_GEOMETRY,
    BAD_INPUT,
    BELOW_THRESHOLD,
    INCONSISTENT,
    NOT_CONVERGED,
    OK,
    OUTSIDE,
    TOO_FEW,
    cost_at,
    distance2,
    external_reliability,
    fit,
    holds_covariance,
    inverse,
    nearest_sensor_m,
    normal_equations,
)
from engine.rf._tdoa_start import closed_form

RIVALS = 4
"""Distinct minima that are kept of one fix."""

MARGIN = 8.0
"""Standard deviations of height by which a minimum must be outside the allowed range to be no rival."""

STRETCH = (0.2, 5.0)
"""Multiples of a position's distance from the sensors' middle at which rivals are looked for."""

RING = (0.5, 2.5)
"""Distances from the sensors' middle, in typical sensor distances, of starts where the closed form fails."""

FAR = 1e3
"""Typical sensor distances from their middle beyond which a position is given up."""


@njit(cache=True, nogil=True, error_model="numpy")
def _gather(sensors, rho_all, weight, s, rho, w, origin):
    """Sensors of one fix that heard it, relative to their middle (into `origin`); returns how many, -1 if nonsense."""
    m = 0
    origin[:] = 0.0
    for i in range(rho_all.size):
        if math.isnan(rho_all[i]):
            continue
        # A sum is finite only where all its parts are.
        if not math.isfinite(rho_all[i] + sensors[i, 0] + sensors[i, 1] + sensors[i, 2]):
            return -1
        for k in range(3):
            s[k, m] = sensors[i, k]
            origin[k] += sensors[i, k]
        rho[m] = rho_all[i]
        w[m] = weight[i]
        m += 1
    for k in range(3):
        origin[k] /= max(m, 1)
        for i in range(m):
            s[k, i] -= origin[k]
    # Differences against the first sensor that is used: a common part changes nothing.
    first = rho[0]
    for i in range(m):
        rho[i] -= first
    return m


@njit(cache=True, nogil=True, error_model="numpy")
def _spread(s, m, m3, v3):
    """Typical distance of the sensors from their middle, m; leaves the axes of their scatter in `v3`."""
    for j in range(3):
        for k in range(3):
            m3[j, k] = 0.0
            for i in range(m):
                m3[j, k] += s[j, i] * s[k, i]
    trace = m3[0, 0] + m3[1, 1] + m3[2, 2]
    jacobi_eigen(m3, v3)
    return math.sqrt(trace / m)


@njit(cache=True, nogil=True, error_model="numpy")
def _thinnest(m3):
    k = 0
    for i in range(1, 3):
        if m3[i, i] < m3[k, k]:
            k = i
    return k


@njit(cache=True, nogil=True, error_model="numpy")
def _keep(found, costs, n, x, cost, a):
    """Put a minimum among those found, cheapest first, unless it is one of them; returns how many there are."""
    for k in range(n):
        # A hundredth of a standard deviation: two descents into one minimum.
        if distance2(a, x, found[k]) < 1e-4:
            return n
    place = n
    while place > 0 and cost < costs[place - 1]:
        place -= 1
    last = min(n, RIVALS - 1)
    if place > last:
        return n
    for k in range(last, place, -1):
        costs[k] = costs[k - 1]
        found[k, :] = found[k - 1]
    costs[place] = cost
    found[place, :] = x
    return min(n + 1, RIVALS)


@njit(cache=True, nogil=True, error_model="numpy")
def _try(start, found, costs, state, s, rho, w, m, tie, far, r, u, a, g, step, trial, x):
    """Descend from a start; `state` holds how many minima are known, and the least squares of a lost descent."""
    if not math.isfinite(start[0] + start[1] + start[2]):
        return
    x[0], x[1], x[2] = start[0], start[1], start[2]
    cost, converged = fit(x, s, rho, w, m, tie, far, r, u, a, g, step, trial)
    if converged:
        state[0] = _keep(found, costs, int(state[0]), x, cost, a)
    else:
        state[1] = min(state[1], cost)


@njit(cache=True, nogil=True, error_model="numpy")
def _closed_form(s, rho, m, tie, spread, n4, v4, rhs, starts, ranges, trial):
    """Both starts of the closed form; with a tied height each by the earth's curvature at its own range."""
    tied = tie[4] > 0.0
    closed_form(s, rho, m, tie, tied, tie[3], spread, spread, n4, v4, rhs, starts, ranges)
    if not tied:
        return
    first, second = ranges[0], ranges[1]
    for _ in range(2):
        closed_form(s, rho, m, tie, tied, tie[3], first, spread, n4, v4, rhs, starts, ranges)
        first = ranges[0]
    trial[0], trial[1], trial[2] = starts[0, 0], starts[0, 1], starts[0, 2]
    for _ in range(2):
        closed_form(s, rho, m, tie, tied, tie[3], second, spread, n4, v4, rhs, starts, ranges)
        second = ranges[1]
    starts[0, 0], starts[0, 1], starts[0, 2] = trial[0], trial[1], trial[2]


@njit(cache=True, nogil=True, error_model="numpy")
def _search(s, rho, w, m, tie, dof, limit, spread, axes, k_thin, n4, v4, rhs, starts, ranges, found, costs, state,
            r, u, a, g, step, trial, x):  # fmt: skip
    """Fill `found` with the minima that the closed form, its images and, where those fail, a ring of starts lead to."""
    far = FAR * spread
    state[0], state[1] = 0.0, math.inf
    _closed_form(s, rho, m, tie, spread, n4, v4, rhs, starts, ranges, trial)
    _try(starts[0], found, costs, state, s, rho, w, m, tie, far, r, u, a, g, step, trial, x)
    _try(starts[1], found, costs, state, s, rho, w, m, tie, far, r, u, a, g, step, trial, x)
    if state[0] > 0.0:
        # Sensors near to one plane see a position and its mirror image almost alike.
        across = found[0, 0] * axes[0, k_thin] + found[0, 1] * axes[1, k_thin] + found[0, 2] * axes[2, k_thin]
        for i in range(3):
            starts[0, i] = found[0, i] - 2.0 * across * axes[i, k_thin]
        _try(starts[0], found, costs, state, s, rho, w, m, tie, far, r, u, a, g, step, trial, x)
        if dof <= 1:
            # With little to spare a rival may lie nearer or farther along the same hyperbolas.
            for stretch in STRETCH:
                for i in range(3):
                    starts[0, i] = stretch * found[0, i]
                _try(starts[0], found, costs, state, s, rho, w, m, tie, far, r, u, a, g, step, trial, x)
    if state[0] == 0.0 or costs[0] > limit:
        for reach in RING:
            for k in range(3):
                for side in (-1.0, 1.0):
                    for i in range(3):
                        starts[0, i] = side * reach * spread * axes[i, k]
                    _try(starts[0], found, costs, state, s, rho, w, m, tie, far, r, u, a, g, step, trial, x)


@njit(cache=True, nogil=True, error_model="numpy")
def _drop_forbidden(found, costs, n, s, w, m, tie, low_m, high_m, r, u, a, g, m3, v3, cov):
    """Take out minima whose height, with all its uncertainty, is outside the range; returns how many stay."""
    if low_m == -math.inf and high_m == math.inf:
        return n
    stay = 0
    for k in range(n):
        normal_equations(found[k], s, w, m, tie, r, u, a, g)
        height, nx, ny, nz = height_and_normal(tie[0] + found[k, 0], tie[1] + found[k, 1], tie[2] + found[k, 2])
        margin = 0.0
        if inverse(a, m3, v3, cov):
            up = cov[0, 0] * nx * nx + cov[1, 1] * ny * ny + cov[2, 2] * nz * nz
            up += 2.0 * (cov[0, 1] * nx * ny + cov[0, 2] * nx * nz + cov[1, 2] * ny * nz)
            margin = MARGIN * math.sqrt(max(up, 0.0))
        if low_m - margin <= height <= high_m + margin:
            costs[stay] = costs[k]
            found[stay, :] = found[k]
            stay += 1
    return stay


@njit(cache=True, nogil=True, error_model="numpy")
def _judge(x, n, lost_cost, costs, s, rho, w, m, tie, low_m, high_m, limit, spread, cov, a, m3, v3, r, trial):
    """Code of the best minimum, whose information matrix is `a`."""
    cost = costs[0]
    if not inverse(a, m3, v3, cov):
        return BAD_GEOMETRY
    worst2 = 1.0 / min(m3[0, 0], m3[1, 1], m3[2, 2])
    # An ellipse that reaches the sensors says nothing: directions to them are not known.
    if not 9.0 * worst2 <= nearest_sensor_m(x, s, m) ** 2:
        return BAD_GEOMETRY
    if cost > limit:
        return INCONSISTENT
    # A descent that was lost, mostly towards infinity, has seen positions at least as good as where it ended.
    if lost_cost - cost < AMBIGUITY:
        return AMBIGUOUS
    for k in range(1, n):
        if costs[k] - cost < AMBIGUITY:
            return AMBIGUOUS
    height, _, _, _ = height_and_normal(tie[0] + x[0], tie[1] + x[1], tie[2] + x[2])
    if not low_m <= height <= high_m:
        return OUTSIDE
    if not holds_covariance(x, s, rho, w, m, tie, cost, spread, m3, v3, r, trial):
        return BELOW_THRESHOLD
    return OK


@njit(cache=True, nogil=True, error_model="numpy")
def _block(first, stop, sensors, rho_m, weight, tie_alt_m, tie_weight, low_m, high_m, limits,
           position, covariance, gdop, reliability, cost, dof, code, residual):  # fmt: skip
    """Fixes `first` to `stop`, with scratch of their own."""
    most = rho_m.shape[1]
    s, u = np.empty((3, most)), np.empty((3, most))
    rho, w, one, r = np.empty(most), np.empty(most), np.ones(most), np.empty(most)
    tie, origin = np.zeros(5), np.empty(3)
    n4, v4, rhs, starts = np.empty((4, 4)), np.empty((4, 4)), np.empty(4), np.empty((2, 3))
    m3, v3, scatter, cov = np.empty((3, 3)), np.empty((3, 3)), np.empty((3, 3)), np.empty((3, 3))
    found, costs, ranges, state = np.empty((RIVALS, 3)), np.empty(RIVALS), np.empty(2), np.empty(2)
    a, g, step, trial, x = np.empty(6), np.empty(3), np.empty(3), np.empty(3), np.empty(3)
    untied = np.zeros(5)
    for fix in range(first, stop):
        where = fix if sensors.shape[0] > 1 else 0
        whose = fix if weight.shape[0] > 1 else 0
        m = _gather(sensors[where], rho_m[fix], weight[whose], s, rho, w, origin)
        tie[:3], tie[3], tie[4] = origin, tie_alt_m[fix], tie_weight[fix]
        if m < 0 or not (tie[4] >= 0.0 and math.isfinite(tie[3])):
            code[fix] = BAD_INPUT
            continue
        dof[fix] = m - 4 + (1 if tie[4] > 0.0 else 0)
        if dof[fix] < 0:
            code[fix] = TOO_FEW
            continue
        spread = _spread(s, m, m3, scatter)
        if not spread > 0.0:
            code[fix] = BAD_GEOMETRY
            continue
        limit = limits[dof[fix]]
        _search(s, rho, w, m, tie, dof[fix], limit, spread, scatter, _thinnest(m3), n4, v4, rhs, starts, ranges, found,
                costs, state, r, u, a, g, step, trial, x)  # fmt: skip
        n = int(state[0])
        if n == 0:
            code[fix] = NOT_CONVERGED
            continue
        n = _drop_forbidden(found, costs, n, s, w, m, tie, low_m, high_m, r, u, a, g, m3, v3, cov)
        if n == 0:
            code[fix] = OUTSIDE
            continue
        x[:] = found[0]
        cost[fix] = cost_at(x, s, rho, w, m, tie, r)
        j = 0
        for i in range(most):
            if not math.isnan(rho_m[fix, i]):
                residual[fix, i] = r[j]
                j += 1
        normal_equations(x, s, one, m, untied, r, u, a, g)
        if inverse(a, m3, v3, cov):
            gdop[fix] = math.sqrt(cov[0, 0] + cov[1, 1] + cov[2, 2])
        normal_equations(x, s, w, m, tie, r, u, a, g)
        code[fix] = _judge(
            x, n, state[1], costs, s, rho, w, m, tie, low_m, high_m, limit, spread, cov, a, m3, v3, r, trial
        )
        if code[fix] == OK:
            position[fix] = origin + x
            covariance[fix] = cov
            reliability[fix] = external_reliability(u, w, m, cov, limit)


@njit(cache=True, nogil=True, parallel=True)
def locate_batch(sensors, rho_m, weight, tie_alt_m, tie_weight, low_m, high_m, limits,
                 position, covariance, gdop, reliability, cost, dof, code, residual, blocks):  # fmt: skip
    """Positions of n fixes from range differences at up to M sensors.

    Parameters
    ----------
    sensors : float64, shape (1 or n, M, 3)
        ECEF, m.
    rho_m : float64, shape (n, M)
        Ranges less that of the first sensor, m; NaN where a sensor did not hear.
    weight : float64, shape (1 or n, M)
        Inverse variance of each sensor's range, 1/m^2.
    tie_alt_m, tie_weight : float64, shape (n,)
        Height above the ellipsoid, m, and its inverse variance, 1/m^2; weight 0 is no tie.
    low_m, high_m : float
        Heights between which a position may lie.
    limits : float64, shape (M,)
        Largest weighted squares that are still consistent, by degrees of freedom.
    position, covariance, gdop, reliability, cost, dof, code, residual
        Results: (n, 3), (n, 3, 3), (n,), (n,), (n,), int32 (n,), int8 (n,), (n, M); filled with NaN before.
    blocks : int
        Number of pieces that threads take.
    """
    n = rho_m.shape[0]
    for b in prange(blocks):
        _block(b * n // blocks, (b + 1) * n // blocks, sensors, rho_m, weight, tie_alt_m, tie_weight, low_m, high_m,
               limits, position, covariance, gdop, reliability, cost, dof, code, residual)  # fmt: skip
