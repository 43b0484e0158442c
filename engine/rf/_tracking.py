"""Compiled kernels of the forecast: one robust Kalman filter per emitter over its few newest fixes.

Plain arrays in and out, no state kept between calls. It must not know tables, files, identities or
what is drawn with the result; `engine.rf.forecast` is the public face.

The state is ``[east, north, v_east, v_north, turn rate, longitudinal acceleration]`` in the plane
tangent to the ellipsoid at the newest fix; the turn rate (rad/s, clockwise positive, like a track
angle) and the acceleration (m/s²) decay towards zero as Ornstein-Uhlenbeck processes.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numba import njit

_SMALL_SPEED_M_S = 2.0  # below this a direction of travel means nothing: noise is then the same all round
_NODES = np.array([0.069431844202973712, 0.33000947820757187, 0.66999052179242813, 0.93056815579702629])
_WEIGHTS = np.array([0.17392742256872693, 0.32607257743127307, 0.32607257743127307, 0.17392742256872693])


class Tuning(NamedTuple):
    """Noise and decay constants of the filter; the defaults were fitted on half of the real aircraft.

    Parameters
    ----------
    sigma_position_m : float
        Position noise, m, one axis.
    sigma_timing_s : float
        Jitter of the moment at which a position was really measured, s: noise along the track.
    sigma_speed_m_s, sigma_track_rad : float
        Noise of reported speed and of reported track.
    velocity_lag_s : float
        Age of a reported velocity, s.
    sigma_turn_rad_s, tau_turn_s : float
        Stationary standard deviation and decay time of the turn rate.
    sigma_accel_m_s2, tau_accel_s : float
        The same of the longitudinal acceleration.
    agility : float
        Share of the turn rate seen, by which its deviation grows: who turns may stop or turn harder.
    wander_m_s15 : float
        White acceleration noise in every direction, m/s^1.5.
    drift_m_s2 : float
        Noise that a reported velocity gains for every second for which it is repeated unchanged.
    outlier : float
        Positions further than this many deviations from the consensus of the window lose weight.
    limit : float
        Residuals in the filter beyond this many deviations count less. Far out: a filter that
        distrusts what it did not expect never catches up with a turn.
    sigma_vertical_m_s2, tau_vertical_s, sigma_alt_m, sigma_vertical_rate_m_s : float
        The vertical: acceleration noise, decay time of the rate, noise of altitude and of rate.
    """

    sigma_position_m: float = 10.0
    sigma_timing_s: float = 0.31
    sigma_speed_m_s: float = 1.0
    sigma_track_rad: float = 0.0002
    velocity_lag_s: float = 0.93
    sigma_turn_rad_s: float = 0.0039
    tau_turn_s: float = 68.0
    sigma_accel_m_s2: float = 0.07
    tau_accel_s: float = 6.7
    agility: float = 2.3
    wander_m_s15: float = 0.016
    drift_m_s2: float = 0.003
    outlier: float = 0.63
    limit: float = 4.6
    memory_s: float = 23.0
    share: float = 0.36
    sigma_vertical_m_s2: float = 0.3
    tau_vertical_s: float = 150.0
    sigma_alt_m: float = 8.0
    sigma_vertical_rate_m_s: float = 0.7


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def propagate(x, cov, dt, k, jac, tmp):
    """Move state and covariance `dt` seconds ahead, in place; the closed motion is integrated by Gauss-Legendre."""
    if dt <= 0.0:
        return
    speed = math.hypot(x[2], x[3])
    dir_e, dir_n = (x[2] / speed, x[3] / speed) if speed > 1e-6 else (0.0, 0.0)
    tau_w, tau_a = k.tau_turn_s, k.tau_accel_s
    p_c, p_s, p_we, p_wn, p_ae, p_an, end_c, end_s = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0
    gain_w_end = -tau_w * math.expm1(-dt / tau_w)
    gain_a_end = -tau_a * math.expm1(-dt / tau_a)
    for i in range(4):
        s = _NODES[i] * dt
        w = _WEIGHTS[i] * dt
        gain_w = -tau_w * math.expm1(-s / tau_w)
        gain_a = -tau_a * math.expm1(-s / tau_a)
        c, sn = math.cos(x[4] * gain_w), math.sin(x[4] * gain_w)
        p_c += w * c
        p_s += w * sn
        p_we += w * gain_w * (-sn * x[2] + c * x[3])
        p_wn += w * gain_w * (-c * x[2] - sn * x[3])
        p_ae += w * gain_a * (c * dir_e + sn * dir_n)
        p_an += w * gain_a * (-sn * dir_e + c * dir_n)
    end_c, end_s = math.cos(x[4] * gain_w_end), math.sin(x[4] * gain_w_end)
    end_e = end_c * dir_e + end_s * dir_n
    end_n = -end_s * dir_e + end_c * dir_n
    # braking stops an emitter, it does not turn it round
    accel = max(x[5], -speed / gain_a_end)
    ve = end_c * x[2] + end_s * x[3]
    vn = -end_s * x[2] + end_c * x[3]
    jac[:] = 0.0
    jac[0, 0] = jac[1, 1] = 1.0
    jac[0, 2], jac[0, 3], jac[1, 2], jac[1, 3] = p_c, p_s, -p_s, p_c
    jac[0, 4], jac[1, 4], jac[0, 5], jac[1, 5] = p_we, p_wn, p_ae, p_an
    jac[2, 2], jac[2, 3], jac[3, 2], jac[3, 3] = end_c, end_s, -end_s, end_c
    jac[2, 4], jac[3, 4] = gain_w_end * vn, -gain_w_end * ve
    jac[2, 5], jac[3, 5] = gain_a_end * end_e, gain_a_end * end_n
    jac[4, 4], jac[5, 5] = 1.0 - gain_w_end / tau_w, 1.0 - gain_a_end / tau_a
    turn = x[4]
    x[0] += p_c * x[2] + p_s * x[3] + p_ae * accel
    x[1] += -p_s * x[2] + p_c * x[3] + p_an * accel
    x[2] = ve + gain_a_end * end_e * accel
    x[3] = vn + gain_a_end * end_n * accel
    x[4] *= jac[4, 4]
    x[5] = accel * jac[5, 5]
    _transform(cov, jac, tmp)
    _add_process_noise(x, cov, dt, turn, speed, end_e, end_n, k)


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _transform(cov, jac, tmp):
    """``cov = jac @ cov @ jac.T`` in place; only the entries of `jac` that can differ from 0 and 1 are read."""
    for j in range(6):
        for i in range(2):
            tmp[i, j] = cov[i, j] + (
                jac[i, 2] * cov[2, j] + jac[i, 3] * cov[3, j] + jac[i, 4] * cov[4, j] + jac[i, 5] * cov[5, j]
            )
        for i in range(2, 4):
            tmp[i, j] = jac[i, 2] * cov[2, j] + jac[i, 3] * cov[3, j] + jac[i, 4] * cov[4, j] + jac[i, 5] * cov[5, j]
        tmp[4, j] = jac[4, 4] * cov[4, j]
        tmp[5, j] = jac[5, 5] * cov[5, j]
    for i in range(6):
        for j in range(max(i, 4), 6):
            cov[i, j] = cov[j, i] = tmp[i, j] * jac[j, j]
        for j in range(i, 4):
            value = tmp[i, 2] * jac[j, 2] + tmp[i, 3] * jac[j, 3] + tmp[i, 4] * jac[j, 4] + tmp[i, 5] * jac[j, 5]
            cov[i, j] = cov[j, i] = value + (tmp[i, j] if j < 2 else 0.0)


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _add_process_noise(x, cov, dt, turn, speed, end_e, end_n, k):
    """Add the noise that drives turn rate, acceleration and wandering over `dt`.

    A sum of outer products over quadrature nodes, so that it is positive semidefinite however long
    the step; a kick at a moment moves everything after it, across the track (turn) or along it.
    """
    tau_w, tau_a = k.tau_turn_s, k.tau_accel_s
    q_w = 2.0 / tau_w * (k.sigma_turn_rad_s**2 + (k.agility * turn) ** 2) * min(speed / _SMALL_SPEED_M_S, 1.0)
    q_a = 2.0 / tau_a * k.sigma_accel_m_s2**2
    q_v = k.wander_m_s15**2
    # a lateral kick shifts the position across the chord still to be flown, half a turn before the end
    half = -0.5 * x[4] * tau_w * math.expm1(-dt / tau_w)
    mid_e = math.cos(half) * end_e - math.sin(half) * end_n
    mid_n = math.sin(half) * end_e + math.cos(half) * end_n
    v_end = math.hypot(x[2], x[3])
    for i in range(4):
        r = _NODES[i] * dt
        w = _WEIGHTS[i] * dt
        e_w, e_a = -math.expm1(-r / tau_w), -math.expm1(-r / tau_a)
        g_p, g_v = v_end * tau_w * (r - tau_w * e_w), v_end * tau_w * e_w
        _add_outer(cov, w * q_w, g_p * mid_n, -g_p * mid_e, g_v * end_n, -g_v * end_e, 4, 1.0 - e_w)
        g_p, g_v = tau_a * (r - tau_a * e_a), tau_a * e_a
        _add_outer(cov, w * q_a, g_p * mid_e, g_p * mid_n, g_v * end_e, g_v * end_n, 5, 1.0 - e_a)
    for i in range(2):
        cov[i, i] += q_v * dt**3 / 3.0
        cov[i, i + 2] += q_v * dt**2 / 2.0
        cov[i + 2, i] += q_v * dt**2 / 2.0
        cov[i + 2, i + 2] += q_v * dt


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _add_outer(cov, weight, g0, g1, g2, g3, last, g_last):
    """Add ``weight * g g^T`` of a vector whose only other entry is `g_last` at index `last`."""
    cov[0, 0] += weight * g0 * g0
    cov[1, 1] += weight * g1 * g1
    cov[2, 2] += weight * g2 * g2
    cov[3, 3] += weight * g3 * g3
    cov[last, last] += weight * g_last * g_last
    _add_pair(cov, 0, 1, weight * g0 * g1)
    _add_pair(cov, 0, 2, weight * g0 * g2)
    _add_pair(cov, 0, 3, weight * g0 * g3)
    _add_pair(cov, 1, 2, weight * g1 * g2)
    _add_pair(cov, 1, 3, weight * g1 * g3)
    _add_pair(cov, 2, 3, weight * g2 * g3)
    _add_pair(cov, 0, last, weight * g0 * g_last)
    _add_pair(cov, 1, last, weight * g1 * g_last)
    _add_pair(cov, 2, last, weight * g2 * g_last)
    _add_pair(cov, 3, last, weight * g3 * g_last)


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _add_pair(cov, i, j, value):
    cov[i, j] += value
    cov[j, i] += value


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _update(x, cov, row, residual, noise, limit, gain):
    """One scalar measurement: ``residual = z - row @ x``; a residual beyond `limit` deviations counts less."""
    innovation = noise
    for i in range(6):
        acc = 0.0
        for j in range(6):
            acc += cov[i, j] * row[j]
        gain[i] = acc
        innovation += acc * row[i]
    square = residual * residual / innovation
    score = -0.5 * (math.log(innovation) + min(square, limit * limit))
    if square > limit * limit:  # Huber: grow the noise until the residual is `limit` deviations
        innovation *= square / (limit * limit)
    for i in range(6):
        step = gain[i] / innovation
        x[i] += step * residual
        for j in range(6):
            cov[i, j] -= step * gain[j]
    return score, square


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def update_position(x, cov, east, north, age_s, inflation, k, row, gain):
    """Take a measured position, `age_s` older than the state, along and across the direction of travel."""
    speed = math.hypot(x[2], x[3])
    along_e, along_n = (x[2] / speed, x[3] / speed) if speed > _SMALL_SPEED_M_S else (0.0, 1.0)
    base = k.sigma_position_m**2
    timing = (k.sigma_timing_s * speed) ** 2
    score, strain = 0.0, 0.0
    for axis in range(2):
        d_e, d_n = (along_e, along_n) if axis == 0 else (along_n, -along_e)
        row[:] = 0.0
        row[0], row[1], row[2], row[3] = d_e, d_n, -age_s * d_e, -age_s * d_n
        residual = d_e * (east - x[0] + age_s * x[2]) + d_n * (north - x[1] + age_s * x[3])
        noise = (base + (timing if axis == 0 else 0.0)) * inflation
        part, square = _update(x, cov, row, residual, noise, k.limit, gain)
        score += part
        strain += 0.5 * square
    return score, strain


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def update_velocity(x, cov, v_east, v_north, repeated_s, k, row, gain):
    """Take a reported velocity, along and across the reported track, `velocity_lag_s` older than the state."""
    speed = math.hypot(v_east, v_north)
    along_e, along_n = (v_east / speed, v_north / speed) if speed > _SMALL_SPEED_M_S else (0.0, 1.0)
    lag = k.velocity_lag_s
    score = 0.0
    for axis in range(2):
        d_e, d_n = (along_e, along_n) if axis == 0 else (along_n, -along_e)
        row[:] = 0.0
        row[2], row[3] = d_e, d_n
        noise = k.sigma_speed_m_s**2 + (k.drift_m_s2 * repeated_s) ** 2
        lagged = 0.0
        if axis == 0:
            row[5] = -lag
            lagged = lag * x[5]
        else:
            row[4] = -lag * speed
            lagged = lag * speed * x[4]
            noise += (k.sigma_track_rad * speed) ** 2
        residual = d_e * (v_east - x[2]) + d_n * (v_north - x[3]) + lagged
        score += _update(x, cov, row, residual, noise, k.limit, gain)[0]
    return score


QUIET = Tuning()
"""The model of an emitter that holds its course and speed."""

AGILE = QUIET._replace(
    sigma_turn_rad_s=0.0086, tau_turn_s=30.0, sigma_accel_m_s2=1.25, tau_accel_s=147.0, agility=0.66, wander_m_s15=0.87
)
"""The model of an emitter that turns, brakes or wanders."""
