"""The batched kernel of the forecast: from the newest fixes of each emitter to a position with covariance.

It runs the two models of `engine.rf._tracking` over the fixes that `engine.rf._fix_trust` lets
through, mixes them by how well they explain the fixes, and moves the result ahead. Plain arrays in
and out; it must not know tables or identities.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from engine.rf._fix_trust import mark_fixes, settle
from engine.rf._tangent_plane import frame_rotation, place, to_geodetic
from engine.rf._tracking import propagate, update_position, update_velocity

STATUS_OK, STATUS_SINGLE, STATUS_STALE, STATUS_NO_POSITION = 0, 1, 2, 3

STALE_AFTER_S = 15.0
"""A newest fresh position older than this makes the status ``stale``, s."""

STRAIN = 20.0
"""Squared residuals of the newest positions, in deviations squared, above which the filter has lost the track."""

RESTART_FIXES = 4
"""Fixes with which a lost filter starts again."""

UNKNOWN_SPEED_M_S = 100.0
"""Deviation, m/s and axis, of a velocity that nobody has reported and one fix cannot tell."""


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def forecast_batch(fixes, count, horizon_s, k, agile, out, info):
    """Fill ``out[n, H, 9]`` and ``info[n, 2]`` (fixes used, status); see `engine.rf.forecast.predict_batch`."""
    lat, lon, alt_m, time_s, speed, track_deg, rate, position_time_s = fixes
    n, width = lat.shape
    # rows: age, scratch, east, north, east and north velocity, inflation, scratch x 5
    f64 = np.empty((12, width))
    use = np.zeros(width, np.int64)
    before = np.zeros(width, np.int64)
    x, cov = np.empty(6), np.empty((6, 6))
    x1, cov1 = np.empty(6), np.empty((6, 6))
    x2, cov2 = np.empty(6), np.empty((6, 6))
    x3, cov3 = np.empty(6), np.empty((6, 6))
    jac, tmp, row, gain = np.empty((6, 6)), np.empty((6, 6)), np.empty(6), np.empty(6)
    for i in range(n):
        first = width - min(count[i], width)
        for attempt in range(2):
            mark_fixes(lat[i], lon[i], time_s[i], position_time_s[i], speed[i], track_deg[i], first, use, f64[0])
            origin = place(lat[i], lon[i], alt_m[i], speed[i], track_deg[i], use, first, f64)
            if origin < 0:
                break
            if attempt == 1:  # what has been found frozen stays so, though fewer fixes may no longer show it
                for j in range(first, width):
                    use[j] &= before[j]
            settle(time_s[i], use, first, k, f64)
            used, fresh, at, score, strain = _filter(time_s[i], use, first, k, f64, x, cov, jac, tmp, row, gain)
            _, _, _, score2, strain2 = _filter(time_s[i], use, first, agile, f64, x2, cov2, jac, tmp, row, gain)
            if used <= RESTART_FIXES or min(strain, strain2) < STRAIN:
                break
            later = _nth_newest(use, first, RESTART_FIXES)
            told = False
            for j in range(later, width):
                before[j] = use[j]
                told = told or use[j] & 2 != 0
            if not told:  # without velocities four fixes tell a jump no better than twelve
                break
            first = later
        if origin < 0:
            out[i] = math.nan
            info[i, 0], info[i, 1] = 0, STATUS_NO_POSITION
            continue
        share = 1.0 / (1.0 + (1.0 - k.share) / k.share * math.exp(max(min(score2 - score, 50.0), -50.0)))
        now = time_s[i, width - 1]
        info[i, 0] = used
        info[i, 1] = STATUS_STALE if now - fresh > STALE_AFTER_S else (STATUS_SINGLE if used < 2 else STATUS_OK)
        z, vz, pzz, pzv, pvv, z_at = _vertical(alt_m[i], rate[i], time_s[i], use, first, k, f64[1])
        lat0, lon0 = math.radians(lat[i, origin]), math.radians(lon[i, origin])
        alt0 = alt_m[i, origin] if math.isfinite(alt_m[i, origin]) else 0.0
        for h in range(horizon_s.shape[1]):
            x1[:] = x
            cov1[:] = cov
            x3[:] = x2
            cov3[:] = cov2
            propagate(x1, cov1, now + horizon_s[i, h] - at, k, jac, tmp)
            propagate(x3, cov3, now + horizon_s[i, h] - at, agile, jac, tmp)
            _mix(x1, cov1, x3, cov3, share)
            _emit(lat0, lon0, alt0, x1, cov1, out[i, h])
            z1, _, var_z, _, _ = _ahead_vertical(z, vz, pzz, pzv, pvv, now + horizon_s[i, h] - z_at, k)
            out[i, h, 2], out[i, h, 8] = z1, math.sqrt(var_z)


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _nth_newest(use, first, n):
    """Index of the n-th newest fresh position."""
    for j in range(use.size - 1, first - 1, -1):
        if use[j] & 1:
            n -= 1
            if n == 0:
                return j
    return first


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _start(x, cov, east, north, v_east, v_north, known, inflation, k):
    """State and covariance from the first fix: position, and velocity as reported or with a wide covariance."""
    x[:] = 0.0
    cov[:] = 0.0
    x[0], x[1], x[2], x[3] = east, north, v_east, v_north
    speed = math.hypot(v_east, v_north)
    d_e, d_n = (v_east / speed, v_north / speed) if speed > 1e-6 else (0.0, 1.0)
    timing = (k.sigma_timing_s * speed) ** 2 * inflation
    cov[0, 0] = k.sigma_position_m**2 * inflation + timing * d_e * d_e
    cov[1, 1] = k.sigma_position_m**2 * inflation + timing * d_n * d_n
    cov[0, 1] = cov[1, 0] = timing * d_e * d_n
    along = k.sigma_speed_m_s**2
    across = along + (k.sigma_track_rad * speed) ** 2
    if not known:
        along = across = UNKNOWN_SPEED_M_S**2
    cov[2, 2] = along * d_e * d_e + across * d_n * d_n
    cov[3, 3] = along * d_n * d_n + across * d_e * d_e
    cov[2, 3] = cov[3, 2] = (along - across) * d_e * d_n
    cov[4, 4] = (3.0 * k.sigma_turn_rad_s) ** 2
    cov[5, 5] = k.sigma_accel_m_s2**2


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _filter(time_s, use, first, k, f64, x, cov, jac, tmp, row, gain):
    """Run one model over the marked fixes; gives positions used, times of newest and state, score, strain."""
    age_s, east, north, v_east, v_north, inflation = f64[0], f64[2], f64[3], f64[4], f64[5], f64[6]
    used, at, fresh, score, told, strain = 0, math.nan, math.nan, 0.0, math.nan, 0.0
    for j in range(first, time_s.size):
        if use[j] == 0 or (used == 0 and use[j] & 1 == 0):
            continue
        known = use[j] & 2 != 0
        if use[j] & 4 == 0 or not math.isfinite(told):
            told = time_s[j]
        if used == 0:
            age = age_s[j]
            _start(
                x,
                cov,
                east[j] + age * v_east[j],
                north[j] + age * v_north[j],
                v_east[j],
                v_north[j],
                known,
                inflation[j],
                k,
            )
        else:
            dt = time_s[j] - at
            propagate(x, cov, dt, k, jac, tmp)
            score *= math.exp(-dt / k.memory_s)
            if use[j] & 1:
                part, square = update_position(x, cov, east[j], north[j], age_s[j], inflation[j], k, row, gain)
                score += part
                strain += 0.5 * (square - strain)
            if known:
                score += update_velocity(x, cov, v_east[j], v_north[j], time_s[j] - told, k, row, gain)
        at = time_s[j]
        if use[j] & 1:
            used += 1
            fresh = time_s[j] - age_s[j]
    return used, fresh, at, score, strain


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _mix(x, cov, x2, cov2, share):
    """Mean and covariance of the mixture of two models, into the first: position and velocity are what is asked for."""
    for i in range(4):
        for j in range(4):
            spread = (x[i] - x2[i]) * (x[j] - x2[j])
            cov2[i, j] = share * cov[i, j] + (1.0 - share) * cov2[i, j] + share * (1.0 - share) * spread
    for i in range(4):
        x[i] = share * x[i] + (1.0 - share) * x2[i]
        for j in range(4):
            cov[i, j] = cov2[i, j]


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _emit(lat0, lon0, alt0, x, cov, out):
    """Write a state as latitude, longitude, speed, track and covariance in the east and north of the point itself."""
    lat, lon = to_geodetic(lat0, lon0, alt0, x[0], x[1])
    c, s = frame_rotation(lat0, lat, lon - lon0)
    v_e, v_n = c * x[2] + s * x[3], -s * x[2] + c * x[3]
    out[0], out[1] = math.degrees(lat), math.degrees(lon)
    out[3] = math.hypot(v_e, v_n)
    out[4] = math.degrees(math.atan2(v_e, v_n)) % 360.0
    out[5] = c * c * cov[0, 0] + 2.0 * c * s * cov[0, 1] + s * s * cov[1, 1]
    out[6] = s * s * cov[0, 0] - 2.0 * c * s * cov[0, 1] + c * c * cov[1, 1]
    out[7] = c * s * (cov[1, 1] - cov[0, 0]) + (c * c - s * s) * cov[0, 1]


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _vertical(alt_m, rate, time_s, use, first, k, work):
    """Altitude, vertical rate, their covariance and the time of that: a filter of two states with a decaying rate."""
    n = 0
    for j in range(first, time_s.size):
        if math.isfinite(alt_m[j]) and math.isfinite(time_s[j]):
            work[n] = alt_m[j]
            n += 1
    if n == 0:
        return math.nan, 0.0, math.nan, 0.0, math.nan, 0.0
    centre = np.median(work[:n])
    z, vz, pzz, pzv, pvv, at = centre, 0.0, 1.0e6, 0.0, 100.0, math.nan
    for j in range(first, time_s.size):
        if use[j] == 0 or not math.isfinite(time_s[j]):
            continue
        if math.isfinite(at):
            z, vz, pzz, pzv, pvv = _ahead_vertical(z, vz, pzz, pzv, pvv, time_s[j] - at, k)
        at = time_s[j]
        if math.isfinite(alt_m[j]) and (n < 3 or abs(alt_m[j] - centre) < 3000.0):
            s = pzz + k.sigma_alt_m**2
            r = alt_m[j] - z
            s *= max(1.0, r * r / (s * 9.0))
            gz, gv = pzz / s, pzv / s
            z, vz = z + gz * r, vz + gv * r
            pzz, pzv, pvv = pzz - gz * pzz, pzv - gz * pzv, pvv - gv * pzv
        if math.isfinite(rate[j]):
            s = pvv + k.sigma_vertical_rate_m_s**2
            r = rate[j] - vz
            s *= max(1.0, r * r / (s * 9.0))
            gz, gv = pzv / s, pvv / s
            z, vz = z + gz * r, vz + gv * r
            pzz, pzv, pvv = pzz - gz * pzv, pzv - gv * pzv, pvv - gv * pvv
    return z, vz, pzz, pzv, pvv, at


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _ahead_vertical(z, vz, pzz, pzv, pvv, dt, k):
    if dt <= 0.0:
        return z, vz, pzz, pzv, pvv
    keep = math.exp(-dt / k.tau_vertical_s)
    gain = k.tau_vertical_s * (1.0 - keep)
    q = k.sigma_vertical_m_s2**2
    pzz += 2.0 * gain * pzv + gain * gain * pvv + q * gain**2 * dt / 3.0
    pzv = keep * (pzv + gain * pvv) + q * gain * dt / 2.0
    return z + gain * vz, keep * vz, pzz, pzv, keep * keep * pvv + q * dt
