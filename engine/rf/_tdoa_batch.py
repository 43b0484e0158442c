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

STRETCH = (0.2, 5.0, 20.0)
"""Multiples of a position's distance from the sensors' middle at which rivals are looked for."""

IMAGES = 1 + len(STRETCH)
"""Starts that are images of the first minimum: mirrored in the sensors' plane, and stretched."""
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
def _closed_form(s, rho, m, tie, spread, n4, v4, rhs, both, ranges, starts):
    """Both starts of the closed form; with a tied height each by the earth's curvature at its own range."""
    tied = tie[4] > 0.0
    guess = other = spread
    # Turn 0 for both roots; then two for each, with its own range of the turn before.
    for turn in range(5 if tied else 1):
        closed_form(s, rho, m, tie, tied, tie[3], guess, spread, n4, v4, rhs, both, ranges)
        if turn == 0:
            other = ranges[1]
            starts[1, :] = both[1]
        root = 0 if turn < 3 else 1
        starts[root, :] = both[root]
        guess = other if turn == 2 else ranges[root]


@njit(cache=True, nogil=True, error_model="numpy")
def _further_start(k, first, spread, axes, thin, start):
    """Start number `k` beyond the closed form's: images of the minimum `first`, then a ring about the sensors.

    Sensors near to one plane see a position and its mirror image almost alike; with little to spare a
    rival may lie nearer or farther along the same hyperbolas.
    """
    if k == 0:
        across = first[0] * axes[0, thin] + first[1] * axes[1, thin] + first[2] * axes[2, thin]
        for i in range(3):
            start[i] = first[i] - 2.0 * across * axes[i, thin]
    elif k < IMAGES:
        for i in range(3):
            start[i] = STRETCH[k - 1] * first[i]
    else:
        k -= IMAGES
        reach = RING[k // 6] * (1.0 if k % 2 else -1.0)
        for i in range(3):
            start[i] = reach * spread * axes[i, k // 2 % 3]


@njit(cache=True, nogil=True, error_model="numpy")
def _last_image(dof):
    """Number of the last image worth a descent: all of them with nothing to spare, the mirror's with plenty."""
    return IMAGES - 1 - dof if dof <= 1 else 0


@njit(cache=True, nogil=True, error_model="numpy")
def _reached(x, s, m, reach_m):
    """Whether a position is within reach of every sensor that heard it."""
    if reach_m < math.inf:
        for i in range(m):
            if (x[0] - s[0, i]) ** 2 + (x[1] - s[1, i]) ** 2 + (x[2] - s[2, i]) ** 2 > reach_m * reach_m:
                return False
    return True


@njit(cache=True, nogil=True, error_model="numpy")
def _search(s, rho, w, m, tie, dof, limit, reach_m, spread, axes, thin, n4, v4, rhs, both, ranges, starts, found, costs,
            state, r, u, a, g, step, trial, x):  # fmt: skip
    """Fill `found` with the minima that the closed form, its images and, where those fail, a ring of starts lead to.

    `state` receives how many there are, and the least squares at the end of a descent that was lost.
    """
    state[0], state[1] = 0.0, math.inf
    _closed_form(s, rho, m, tie, spread, n4, v4, rhs, both, ranges, starts)
    for k in range(-2, IMAGES + 6 * len(RING)):
        start = starts[k] if k < 0 else x
        if k >= IMAGES:
            if state[0] > 0.0 and costs[0] <= limit:
                return
        elif k >= 0 and (state[0] == 0.0 or k > _last_image(dof)):
            continue
        if k >= 0:
            _further_start(k, found[0], spread, axes, thin, x)
        if not math.isfinite(start[0] + start[1] + start[2]):
            continue
        x[0], x[1], x[2] = start[0], start[1], start[2]
        cost, converged = fit(x, s, rho, w, m, tie, FAR * spread, r, u, a, g, step, trial)
        if converged:
            state[0] = _keep(found, costs, int(state[0]), x, cost, a)
        elif _reached(x, s, m, reach_m):
            state[1] = min(state[1], cost)


@njit(cache=True, nogil=True, error_model="numpy")
def _drop_forbidden(found, costs, n, s, w, m, tie, low_m, high_m, reach_m, r, u, a, g, m3, v3, cov):
    """Take out minima out of reach or, with all their uncertainty, at a forbidden height; returns how many stay."""
    if low_m == -math.inf and high_m == math.inf and reach_m == math.inf:
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
        if low_m - margin <= height <= high_m + margin and _reached(found[k], s, m, reach_m):
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
def _block(first, stop, sensors, rho_m, weight, tie_alt_m, tie_weight, low_m, high_m, reach_m, limits,
           position, covariance, gdop, reliability, cost, dof, code, residual):  # fmt: skip
    """Fixes `first` to `stop`, with scratch of their own."""
    most = rho_m.shape[1]
    s, u = np.empty((3, most)), np.empty((3, most))
    rho, w, one, r = np.empty(most), np.empty(most), np.ones(most), np.empty(most)
    tie, origin = np.zeros(5), np.empty(3)
    n4, v4, rhs = np.empty((4, 4)), np.empty((4, 4)), np.empty(4)
    both, starts = np.empty((2, 3)), np.empty((2, 3))
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
        _search(s, rho, w, m, tie, dof[fix], limit, reach_m, spread, scatter, _thinnest(m3), n4, v4, rhs, both, ranges,
                starts, found, costs, state, r, u, a, g, step, trial, x)  # fmt: skip
        n = int(state[0])
        if n == 0:
            code[fix] = NOT_CONVERGED
            continue
        n = _drop_forbidden(found, costs, n, s, w, m, tie, low_m, high_m, reach_m, r, u, a, g, m3, v3, cov)
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
def locate_batch(sensors, rho_m, weight, tie_alt_m, tie_weight, low_m, high_m, reach_m, limits,
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
    reach_m : float
        Distance beyond which no sensor hears, m.
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
               reach_m, limits, position, covariance, gdop, reliability, cost, dof, code, residual)  # fmt: skip
