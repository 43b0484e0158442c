"""One step of the interacting multiple models: mix, measure, weigh; on the arrays of a single emitter.

``x`` is (M, 6), ``cov`` (M, 6, 6) and ``mu`` (M,): state, covariance and probability of each model.
Compiled, in place; it must not know how fixes are stored or which of them can be trusted.

References
----------
Blom, Bar-Shalom, The interacting multiple model algorithm for systems with Markovian switching
coefficients, IEEE Trans. Automatic Control 33 (1988).
"""

from __future__ import annotations

import math

from numba import njit

from engine.rf._imm_motion import SMALL_SPEED_M_S

FLOOR = 1e-6
"""Least probability of a model: none is ruled out for good."""


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract", "nsz"})
def mix(x, cov, mu, dt, models, pool_x, pool):
    """Interaction over `dt`: each model takes over from the others what changed to it, in place.

    A model is left at the rate 1 / sojourn, for any model with the probability of its share. So
    every model mixes its own state with one pool of those that leave, which is the same for all:
    the mixing of Blom and Bar-Shalom for this transition matrix, linear in the number of models.
    """
    n = mu.size
    leaving = 0.0
    pool_x[:] = 0.0
    for m in range(n):
        gone = mu[m] * -math.expm1(-dt / models[m, 7])
        leaving += gone
        for i in range(6):
            pool_x[i] += gone * x[m, i]
    if leaving <= 1e-300:
        return
    for i in range(6):
        pool_x[i] /= leaving
    pool[:] = 0.0
    for m in range(n):
        w = mu[m] * -math.expm1(-dt / models[m, 7]) / leaving
        for i in range(6):
            di = w * (x[m, i] - pool_x[i])
            for j in range(i + 1):
                pool[i, j] += w * cov[m, i, j] + di * (x[m, j] - pool_x[j])
    for m in range(n):
        stay = mu[m] * math.exp(-dt / models[m, 7])
        come = models[m, 8] * leaving
        mu[m] = stay + come
        a = stay / mu[m]
        b = 1.0 - a
        for i in range(6):
            di = a * b * (x[m, i] - pool_x[i])
            for j in range(i + 1):
                cov[m, i, j] = a * cov[m, i, j] + b * pool[i, j] + di * (x[m, j] - pool_x[j])
                cov[m, j, i] = cov[m, i, j]
        for i in range(6):
            x[m, i] = a * x[m, i] + b * pool_x[i]


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract", "nsz"})
def mean_of(x, mu, i):
    """Mean of one component over the models."""
    total = 0.0
    for m in range(mu.size):
        total += mu[m] * x[m, i]
    return total


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract", "nsz"})
def measure_position(x, cov, mu, east, north, age_s, inflation, k, work):
    """Take a position measured `age_s` before the moment of the state; returns the least squared residual.

    `work` is (M, 32) scratch; its first column gains the log-likelihood of each model.
    """
    ve, vn = mean_of(x, mu, 2), mean_of(x, mu, 3)
    speed2 = ve * ve + vn * vn
    base = k.sigma_position_m**2
    if speed2 > SMALL_SPEED_M_S**2:  # timing jitter is noise along the track: variance jitter² v v^T
        r00 = base + k.sigma_timing_s**2 * ve * ve
        r11 = base + k.sigma_timing_s**2 * vn * vn
        r01 = k.sigma_timing_s**2 * ve * vn
    else:
        r00, r11, r01 = base, base, 0.0
    r00, r11, r01 = r00 * inflation, r11 * inflation, r01 * inflation
    for m in range(mu.size):
        for i in range(6):
            work[m, 8 + i] = cov[m, i, 0] - age_s * cov[m, i, 2]
            work[m, 14 + i] = cov[m, i, 1] - age_s * cov[m, i, 3]
        work[m, 1] = work[m, 8] - age_s * work[m, 10]
        work[m, 2] = work[m, 9] - age_s * work[m, 11]
        work[m, 3] = work[m, 15] - age_s * work[m, 17]
        work[m, 4] = east - x[m, 0] + age_s * x[m, 2]
        work[m, 5] = north - x[m, 1] + age_s * x[m, 3]
    return _correct(x, cov, mu, r00, r01, r11, k.limit, k.suspicion, work)


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract", "nsz"})
def measure_velocity(x, cov, mu, v_east, v_north, repeated_s, k, work):
    """Take a reported velocity, `velocity_lag_s` older than the state, along and across the reported track."""
    speed = math.sqrt(v_east * v_east + v_north * v_north)
    de, dn = (v_east / speed, v_north / speed) if speed > SMALL_SPEED_M_S else (0.0, 1.0)
    lag = k.velocity_lag_s
    common = k.sigma_speed_m_s**2 + (k.drift_m_s2 * repeated_s) ** 2
    r00 = common + (k.velocity_jitter_s * mean_of(x, mu, 5)) ** 2
    r11 = common + speed**2 * (k.sigma_track_rad**2 + (k.velocity_jitter_s * mean_of(x, mu, 4)) ** 2)
    across_lag = lag * speed
    for m in range(mu.size):
        for i in range(6):
            work[m, 8 + i] = de * cov[m, i, 2] + dn * cov[m, i, 3] - lag * cov[m, i, 5]
            work[m, 14 + i] = dn * cov[m, i, 2] - de * cov[m, i, 3] - across_lag * cov[m, i, 4]
        work[m, 1] = de * work[m, 10] + dn * work[m, 11] - lag * work[m, 13]
        work[m, 2] = dn * work[m, 10] - de * work[m, 11] - across_lag * work[m, 12]
        work[m, 3] = dn * work[m, 16] - de * work[m, 17] - across_lag * work[m, 18]
        re, rn = v_east - x[m, 2], v_north - x[m, 3]
        work[m, 4] = de * re + dn * rn + lag * x[m, 5]
        work[m, 5] = dn * re - de * rn + across_lag * x[m, 4]
    return _correct(x, cov, mu, r00, 0.0, r11, k.limit, k.suspicion, work)


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract", "nsz"})
def _correct(x, cov, mu, r00, r01, r11, limit, suspicion, work):
    """Correct every model by a measurement of two components, robustly; returns the least squared residual.

    Columns of `work`: 0 log-likelihood so far, 1 to 3 ``H P H^T``, 4 and 5 residual, 8 to 19 ``P H^T``.
    What no model expected is taken as an outlier and its noise grown.
    """
    least = math.inf
    for m in range(mu.size):
        s00, s01, s11 = work[m, 1] + r00, work[m, 2] + r01, work[m, 3] + r11
        y0, y1 = work[m, 4], work[m, 5]
        least = min(least, (s11 * y0 * y0 - 2.0 * s01 * y0 * y1 + s00 * y1 * y1) / (s00 * s11 - s01 * s01))
    excess = least / (limit * limit)
    if excess > 1.0:
        grown = excess**suspicion
        r00, r01, r11 = r00 * grown, r01 * grown, r11 * grown
        # the state's own doubt is no excuse for a jump: all of the residual is the measurement's
        for m in range(mu.size):
            extra = (excess - 1.0) * 0.5 * (work[m, 1] + work[m, 3])
            work[m, 6] = extra
    for m in range(mu.size):
        extra = work[m, 6] if excess > 1.0 else 0.0
        s00, s01, s11 = work[m, 1] + r00 + extra, work[m, 2] + r01, work[m, 3] + r11 + extra
        y0, y1 = work[m, 4], work[m, 5]
        det = s00 * s11 - s01 * s01
        i00, i01, i11 = s11 / det, -s01 / det, s00 / det
        square = i00 * y0 * y0 + 2.0 * i01 * y0 * y1 + i11 * y1 * y1
        work[m, 0] += -0.5 * (math.log(det) + square)
        for i in range(6):
            g0, g1 = work[m, 8 + i], work[m, 14 + i]
            k0, k1 = g0 * i00 + g1 * i01, g0 * i01 + g1 * i11
            x[m, i] += k0 * y0 + k1 * y1
            for j in range(i + 1):
                cov[m, i, j] -= k0 * work[m, 8 + j] + k1 * work[m, 14 + j]
                cov[m, j, i] = cov[m, i, j]
    return least


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract", "nsz"})
def weigh(mu, work):
    """Bayes: probabilities of the models from the log-likelihoods in the first column of `work`, which is cleared."""
    best = -math.inf
    for m in range(mu.size):
        best = max(best, work[m, 0])
    total = 0.0
    for m in range(mu.size):
        mu[m] *= math.exp(max(work[m, 0] - best, -50.0))
        work[m, 0] = 0.0
        total += mu[m]
    for m in range(mu.size):
        mu[m] = max(mu[m] / total, FLOOR)
