"""The motion of the forecast's models: how a state and its covariance move ahead in time.

All models share the state ``[east, north, v_east, v_north, turn rate, longitudinal acceleration]``
in a tangent plane; they differ in which of the two last ones drive them, and in whether the velocity
itself dies away. Compiled, plain arrays in place; it must not know fixes, emitters or mixing.
"""

from __future__ import annotations

import math

from numba import njit

# Three Gauss-Legendre nodes on [0, 1]: exact for the fifth power, 0.06 % off over half a circle.
_NODE = 0.5 - math.sqrt(15.0) / 10.0
_WEIGHT, _WEIGHT_MID = 5.0 / 18.0, 4.0 / 9.0

SMALL_SPEED_M_S = 2.0
"""Below this a direction of travel means nothing: noise is then the same all round, m/s."""


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract", "nsz"})
def _gains(tau, dt):
    """``tau (1 - exp(-s/tau))`` at the three nodes and the end, and what is kept at the end; 0 where `tau` is 0."""
    if tau <= 0.0:
        return 0.0, 0.0, 0.0, 0.0, 0.0
    # exponentials at the nodes from two: E(1 - h) = E(1) / E(h)
    low, mid = math.exp(-_NODE * dt / tau), math.exp(-0.5 * dt / tau)
    keep = mid * mid
    return tau * (1.0 - low), tau * (1.0 - mid), tau * (1.0 - keep / low), tau * (1.0 - keep), keep


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract", "nsz"})
def _remains(tau, dt):
    """What remains of the velocity at the three nodes and the end; all of it where `tau` is 0."""
    if tau <= 0.0:
        return 1.0, 1.0, 1.0, 1.0
    low, mid = math.exp(-_NODE * dt / tau), math.exp(-0.5 * dt / tau)
    return low, mid, mid * mid / low, mid * mid


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract", "nsz"})
def _carry(cov, tmp, p_c, p_s, p_we, p_wn, p_ae, p_an, e_c, e_s, v_we, v_wn, v_ae, v_an, keep_w, keep_a):
    """Covariance (6, 6) to ``J cov J^T`` in place; J by those of its entries that can differ from 0 and 1."""
    # rows first
    for j in range(6):
        c2j, c3j, c4j, c5j = cov[2, j], cov[3, j], cov[4, j], cov[5, j]
        tmp[0, j] = cov[0, j] + p_c * c2j + p_s * c3j + p_we * c4j + p_ae * c5j
        tmp[1, j] = cov[1, j] - p_s * c2j + p_c * c3j + p_wn * c4j + p_an * c5j
        tmp[2, j] = e_c * c2j + e_s * c3j + v_we * c4j + v_ae * c5j
        tmp[3, j] = -e_s * c2j + e_c * c3j + v_wn * c4j + v_an * c5j
        tmp[4, j] = keep_w * c4j
        tmp[5, j] = keep_a * c5j
    for i in range(6):
        t2, t3, t4, t5 = tmp[i, 2], tmp[i, 3], tmp[i, 4], tmp[i, 5]
        cov[i, 0] = tmp[i, 0] + p_c * t2 + p_s * t3 + p_we * t4 + p_ae * t5
        cov[i, 1] = tmp[i, 1] - p_s * t2 + p_c * t3 + p_wn * t4 + p_an * t5
        cov[i, 2] = e_c * t2 + e_s * t3 + v_we * t4 + v_ae * t5
        cov[i, 3] = -e_s * t2 + e_c * t3 + v_wn * t4 + v_an * t5
        cov[i, 4] = keep_w * t4
        cov[i, 5] = keep_a * t5


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract", "nsz"})
def _jostle(cov, q, dt, d1):
    """Add white acceleration of spectral density `q`, the same all round; `d1` of the velocity remains midway."""
    # of a decaying velocity: the mean decay stands for all of it
    pos, mix, vel = q * dt * dt * dt / 3.0 * d1, q * dt * dt / 2.0 * d1, q * dt * d1
    cov[0, 0] += pos
    cov[1, 1] += pos
    cov[0, 2] += mix
    cov[2, 0] += mix
    cov[1, 3] += mix
    cov[3, 1] += mix
    cov[2, 2] += vel
    cov[3, 3] += vel


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract", "nsz"})
def propagate(x, cov, dt, model, tmp):
    """Move state (6,) and covariance (6, 6) `dt` seconds ahead, in place; `tmp` is (6, 6) scratch.

    Velocity after ``s`` is ``exp(-s/tau_v) R(turn gain_w(s)) (v + dir accel gain_a(s))`` with
    ``gain(s) = tau (1 - exp(-s/tau))``; positions are its integral by Gauss-Legendre quadrature.
    """
    if dt <= 0.0:
        return
    tau_w, tau_a, tau_v = model[1], model[4], model[6]
    ve0, vn0 = x[2], x[3]
    speed = math.sqrt(ve0 * ve0 + vn0 * vn0)
    dir_e, dir_n = (ve0 / speed, vn0 / speed) if speed > 1e-6 else (0.0, 0.0)
    w0, w1, w2, w3, keep_w = _gains(tau_w, dt)
    a0, a1, a2, a3, keep_a = _gains(tau_a, dt)
    d0, d1, d2, d3 = _remains(tau_v, dt)
    u0, u1, u2 = _WEIGHT * dt * d0, _WEIGHT_MID * dt * d1, _WEIGHT * dt * d2
    if tau_w > 0.0:
        turn = x[4]
        c0, s0 = math.cos(turn * w0), math.sin(turn * w0)
        c1, s1 = math.cos(turn * w1), math.sin(turn * w1)
        c2, s2 = math.cos(turn * w2), math.sin(turn * w2)
        c3, s3 = math.cos(turn * w3), math.sin(turn * w3)
        mid_c, mid_s = math.cos(0.5 * turn * w3), math.sin(0.5 * turn * w3)
        u0c, u1c, u2c, u0s, u1s, u2s = u0 * c0, u1 * c1, u2 * c2, u0 * s0, u1 * s1, u2 * s2
        p_c, p_s = u0c + u1c + u2c, u0s + u1s + u2s
        wc, ws = u0c * w0 + u1c * w1 + u2c * w2, u0s * w0 + u1s * w1 + u2s * w2
        ac, as_ = u0c * a0 + u1c * a1 + u2c * a2, u0s * a0 + u1s * a1 + u2s * a2
        p_we, p_wn = -ws * ve0 + wc * vn0, -wc * ve0 - ws * vn0
        p_ae, p_an = ac * dir_e + as_ * dir_n, -as_ * dir_e + ac * dir_n
        e_c, e_s = d3 * c3, d3 * s3
        end_e, end_n = c3 * dir_e + s3 * dir_n, -s3 * dir_e + c3 * dir_n
        mid_e, mid_n = mid_c * dir_e + mid_s * dir_n, -mid_s * dir_e + mid_c * dir_n
    else:
        turn = 0.0
        # three nodes cannot follow a velocity that dies at once; without a turn the integral is known
        p_c = tau_v * (1.0 - d3) if tau_v > 0.0 else dt
        p_s = p_we = p_wn = 0.0
        ac = u0 * a0 + u1 * a1 + u2 * a2
        p_ae, p_an = ac * dir_e, ac * dir_n
        e_c, e_s = d3, 0.0
        end_e, end_n, mid_e, mid_n = dir_e, dir_n, dir_e, dir_n
    ve, vn = e_c * ve0 + e_s * vn0, -e_s * ve0 + e_c * vn0
    v_we, v_wn = w3 * vn, -w3 * ve
    v_ae, v_an = d3 * a3 * end_e, d3 * a3 * end_n
    accel = x[5] if tau_a > 0.0 else 0.0
    if accel < 0.0:  # braking stops an emitter, it does not turn it round
        accel = max(accel, -speed / a3)
    x[0] += p_c * ve0 + p_s * vn0 + p_ae * accel
    x[1] += -p_s * ve0 + p_c * vn0 + p_an * accel
    x[2] = ve + v_ae * accel
    x[3] = vn + v_an * accel
    x[4] *= keep_w
    x[5] = accel * keep_a
    _carry(cov, tmp, p_c, p_s, p_we, p_wn, p_ae, p_an, e_c, e_s, v_we, v_wn, v_ae, v_an, keep_w, keep_a)
    # noise: a kick a time r before the end moves what follows, across the track (turn) or along it;
    # r at the nodes is the same set of moments as s, so the same gains serve
    if tau_w > 0.0:
        v_end = math.sqrt(x[2] * x[2] + x[3] * x[3])
        q = 2.0 / tau_w * (model[0] ** 2 + (model[2] * turn) ** 2) * min(speed / SMALL_SPEED_M_S, 1.0)
        _kicks(cov, q, dt, tau_w, w0, w1, w2, v_end, mid_n, -mid_e, end_n, -end_e, 4)
    if tau_a > 0.0:
        _kicks(cov, 2.0 / tau_a * model[3] ** 2, dt, tau_a, a0, a1, a2, 1.0, mid_e, mid_n, end_e, end_n, 5)
    _jostle(cov, model[5] ** 2, dt, d1)


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract", "nsz"})
def _kicks(cov, q, dt, tau, g0, g1, g2, lever, pe, pn, ve, vn, last):
    """Add the noise of a decaying driver: kicks spread over `dt`, whose gains at the nodes are `g0` to `g2`."""
    m0, m1, m2 = _WEIGHT * dt * q, _WEIGHT_MID * dt * q, _WEIGHT * dt * q
    # position gain of a kick: the integral of the velocity gain
    p0, p1, p2 = lever * tau * (_NODE * dt - g0), lever * tau * (0.5 * dt - g1), lever * tau * ((1 - _NODE) * dt - g2)
    k0, k1, k2 = 1.0 - g0 / tau, 1.0 - g1 / tau, 1.0 - g2 / tau
    g0, g1, g2 = lever * g0, lever * g1, lever * g2
    pp = m0 * p0 * p0 + m1 * p1 * p1 + m2 * p2 * p2
    pg = m0 * p0 * g0 + m1 * p1 * g1 + m2 * p2 * g2
    gg = m0 * g0 * g0 + m1 * g1 * g1 + m2 * g2 * g2
    pk = m0 * p0 * k0 + m1 * p1 * k1 + m2 * p2 * k2
    gk = m0 * g0 * k0 + m1 * g1 * k1 + m2 * g2 * k2
    kk = m0 * k0 * k0 + m1 * k1 * k1 + m2 * k2 * k2
    cov[0, 0] += pp * pe * pe
    cov[1, 1] += pp * pn * pn
    cov[2, 2] += gg * ve * ve
    cov[3, 3] += gg * vn * vn
    cov[last, last] += kk
    _both(cov, 0, 1, pp * pe * pn)
    _both(cov, 0, 2, pg * pe * ve)
    _both(cov, 0, 3, pg * pe * vn)
    _both(cov, 1, 2, pg * pn * ve)
    _both(cov, 1, 3, pg * pn * vn)
    _both(cov, 2, 3, gg * ve * vn)
    _both(cov, 0, last, pk * pe)
    _both(cov, 1, last, pk * pn)
    _both(cov, 2, last, gk * ve)
    _both(cov, 3, last, gk * vn)


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract", "nsz"})
def _both(cov, i, j, value):
    cov[i, j] += value
    cov[j, i] += value
