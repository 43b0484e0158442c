"""The forecast of many emitters at once: windows of fixes, or a bank of tracks that live on between calls.

Parallel over emitters; each thread works on its own scratch and each emitter on its own rows, so the
result does not depend on the number of threads. Plain arrays; it must not know tables or identities.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit, prange

from engine.rf._imm_memory import ALT0, AT, FRESH, LAT0, LON0, MEMORY, NIS, NOW, PENDING, STRAIN, USED
from engine.rf._imm_models import Constants
from engine.rf._imm_motion import propagate
from engine.rf._imm_step import mean_of
from engine.rf._imm_track import forget, note_fix, take_fix
from engine.rf._imm_vertical import vertical_ahead
from engine.rf._imm_window import filter_window
from engine.rf._tangent_plane import frame_rotation, to_geodetic

STATUS_OK, STATUS_SINGLE, STATUS_STALE, STATUS_NO_POSITION = 0, 1, 2, 3

STALE_AFTER_S = 15.0
"""A newest fresh position older than this makes the status ``stale``, s."""

SLOW_M_S, FAST_M_S = 150.0, 190.0
"""Between these speeds the doubt in a turn goes over from that of the slow to that of the fast, m/s."""

CALIBRATED_FIXES = 5.0
"""Positions from which the calibration is known; what younger tracks claim is not weighed by how much it is."""

USUAL_M = 30.0
"""Claimed deviation at which the calibration takes a claim as it is, m."""

CHUNK = 64
"""Emitters that share the scratch of one task."""

PLANES = 8
"""Time, latitude, longitude, altitude, speed, track, climb, time of measurement: as `engine.rf.tracks` orders them."""

OUT = 9
"""Latitude, longitude, altitude, speed, track, three of covariance, deviation of altitude."""

_FLAGS = {"contract", "nsz"}


@njit(cache=True, nogil=True, error_model="numpy", fastmath=_FLAGS)
def _advance(x, cov, mu, mem, ring, held, fix, c, work, pool_x, pool, f64, use, before):
    """One fix into one track: recursion, and the whole window where that surprises; fixes held.

    A track younger than the window is nothing but its window, which is filtered when somebody asks (`_settle`).
    """
    width = ring.shape[1]
    if held + 1 < width:
        if not note_fix(mem, fix, c):
            return held
        _push(ring, fix)
        return held + 1
    _settle(x, cov, mu, mem, ring, held, c, f64, use, before, work, pool_x, pool)
    news = take_fix(
        x, cov, mu, mem, fix[1], fix[2], fix[3], fix[0], fix[4], fix[5], fix[6], fix[7], c, work, pool_x, pool
    )
    if not news:
        return held
    _push(ring, fix)
    # once fixes have left the window it knows less than the recursion, whose word it then overrules only in need
    if held < width or mem[STRAIN] > c.trust.strain:
        held = min(held + 1, width)
        filter_window(x, cov, mu, mem, ring, width - held, c, f64, use, before, work, pool_x, pool)
    return held


@njit(cache=True, nogil=True, error_model="numpy", fastmath=_FLAGS)
def _push(ring, fix):
    last = ring.shape[1] - 1
    for p in range(PLANES):
        for i in range(last):
            ring[p, i] = ring[p, i + 1]
        ring[p, last] = fix[p]


@njit(cache=True, nogil=True, error_model="numpy", fastmath=_FLAGS)
def _settle(x, cov, mu, mem, ring, held, c, f64, use, before, work, pool_x, pool):
    """Filter the window of a track whose states wait for it."""
    if mem[PENDING] != 0.0:
        filter_window(x, cov, mu, mem, ring, ring.shape[1] - held, c, f64, use, before, work, pool_x, pool)
        mem[PENDING] = 0.0


@njit(cache=True, nogil=True, error_model="numpy", fastmath=_FLAGS)
def forget_tracks(mem, held, slot):
    """Empty the tracks in `slot`."""
    for s in slot:
        forget(mem[s])
        held[s] = 0


@njit(cache=True, nogil=True, parallel=True, error_model="numpy", fastmath=_FLAGS)
def settle_tracks(x, cov, mu, mem, ring, held, slot, models, sensor, trust, calib):
    """Filter what waits in the tracks of `slot`, so that they can be asked; no slot may occur twice."""
    n = slot.size
    for chunk in prange((n + CHUNK - 1) // CHUNK):
        c = Constants(models, sensor, trust, calib)  # a nested tuple cannot enter a parallel loop
        width = ring.shape[2]
        work, pool_x, pool = np.empty((mu.shape[1], 32)), np.empty(6), np.empty((6, 6))
        f64, use, before = np.empty((12, width)), np.zeros(width, np.int64), np.zeros(width, np.int64)
        for i in range(chunk * CHUNK, min((chunk + 1) * CHUNK, n)):
            s = slot[i]
            _settle(x[s], cov[s], mu[s], mem[s], ring[s], held[s], c, f64, use, before, work, pool_x, pool)


@njit(cache=True, nogil=True, parallel=True, error_model="numpy", fastmath=_FLAGS)
def update_tracks(x, cov, mu, mem, ring, held, slot, fixes, models, sensor, trust, calib):
    """Take ``fixes[i]`` (8 planes) into track ``slot[i]``; no slot may occur twice."""
    n = slot.size
    for chunk in prange((n + CHUNK - 1) // CHUNK):
        c = Constants(models, sensor, trust, calib)  # a nested tuple cannot enter a parallel loop
        width = ring.shape[2]
        work, pool_x, pool = np.empty((mu.shape[1], 32)), np.empty(6), np.empty((6, 6))
        f64, use, before = np.empty((12, width)), np.zeros(width, np.int64), np.zeros(width, np.int64)
        for i in range(chunk * CHUNK, min((chunk + 1) * CHUNK, n)):
            s = slot[i]
            held[s] = _advance(
                x[s], cov[s], mu[s], mem[s], ring[s], held[s], fixes[i], c, work, pool_x, pool, f64, use, before
            )


@njit(cache=True, nogil=True, parallel=True, error_model="numpy", fastmath=_FLAGS)
def predict_tracks(x, cov, mu, mem, slot, horizon_s, moment_s, models, sensor, trust, calib, out, info):
    """Where the tracks in `slot` will be, `horizon_s` (n, H) after their newest fix, or after `moment_s` if finite."""
    n = slot.size
    for chunk in prange((n + CHUNK - 1) // CHUNK):
        c = Constants(models, sensor, trust, calib)  # a nested tuple cannot enter a parallel loop
        m = models.shape[0]
        x1, cov1, tmp = np.empty((m, 6)), np.empty((m, 6, 6)), np.empty((6, 6))
        for i in range(chunk * CHUNK, min((chunk + 1) * CHUNK, n)):
            s = slot[i]
            start_s = moment_s if math.isfinite(moment_s) else mem[s, NOW]
            for h in range(horizon_s.shape[1]):
                _predict(x[s], cov[s], mu[s], mem[s], start_s + horizon_s[i, h], c, x1, cov1, tmp, out[i, h])
            _inform(mem[s], start_s, info[i])


@njit(cache=True, nogil=True, parallel=True, error_model="numpy", fastmath=_FLAGS)
def predict_windows(fixes, count, horizon_s, models, sensor, trust, calib, out, info):
    """Filter each window of fixes (n, 8, K), right-aligned, and predict; see `engine.rf.forecast.predict_batch`."""
    n, _, width = fixes.shape
    for chunk in prange((n + CHUNK - 1) // CHUNK):
        c = Constants(models, sensor, trust, calib)  # a nested tuple cannot enter a parallel loop
        m = models.shape[0]
        x, cov, mu, mem = np.empty((m, 6)), np.empty((m, 6, 6)), np.empty(m), np.empty(MEMORY)
        work, pool_x, pool = np.empty((m, 32)), np.empty(6), np.empty((6, 6))
        f64, use, before = np.empty((12, width)), np.zeros(width, np.int64), np.zeros(width, np.int64)
        x1, cov1, ring, fix = np.empty((m, 6)), np.empty((m, 6, 6)), np.empty((PLANES, width)), np.empty(PLANES)
        for i in range(chunk * CHUNK, min((chunk + 1) * CHUNK, n)):
            forget(mem)
            held = 0
            for j in range(width - min(count[i], width), width):
                for p in range(PLANES):
                    fix[p] = fixes[i, p, j]
                held = _advance(x, cov, mu, mem, ring, held, fix, c, work, pool_x, pool, f64, use, before)
            _settle(x, cov, mu, mem, ring, held, c, f64, use, before, work, pool_x, pool)
            for h in range(horizon_s.shape[1]):
                _predict(x, cov, mu, mem, mem[NOW] + horizon_s[i, h], c, x1, cov1, pool, out[i, h])
            _inform(mem, mem[NOW], info[i])


@njit(cache=True, nogil=True, error_model="numpy", fastmath=_FLAGS)
def _inform(mem, now_s, info):
    """Positions used, and what the status says."""
    info[0] = np.int64(mem[USED])
    if mem[USED] == 0.0:
        info[1] = STATUS_NO_POSITION
    elif now_s - mem[FRESH] > STALE_AFTER_S:
        info[1] = STATUS_STALE
    else:
        info[1] = STATUS_SINGLE if mem[USED] < 2.0 else STATUS_OK


@njit(cache=True, nogil=True, error_model="numpy", fastmath=_FLAGS)
def _predict(x, cov, mu, mem, then_s, c, x1, cov1, tmp, out):
    """Move every model to `then_s`, mix the moments, and write them at the place and in the frame of the point."""
    if mem[USED] == 0.0:
        out[:] = math.nan
        return
    dt = then_s - mem[AT]
    x1[:] = x
    cov1[:] = cov
    slow_turn, fast_turn = 0.0, 0.0
    for m in range(mu.size):
        propagate(x1[m], cov1[m], dt, c.models[m], tmp)
        if c.models[m, 1] > 0.0:
            speed = math.sqrt(x[m, 2] * x[m, 2] + x[m, 3] * x[m, 3])
            fast = min(max((speed - SLOW_M_S) / (FAST_M_S - SLOW_M_S), 0.0), 1.0)
            slow_turn += mu[m] * (1.0 - fast)
            fast_turn += mu[m] * fast
    e, n, ve, vn = mean_of(x1, mu, 0), mean_of(x1, mu, 1), mean_of(x1, mu, 2), mean_of(x1, mu, 3)
    p_ee, p_nn, p_en = 0.0, 0.0, 0.0
    for m in range(mu.size):
        de, dn = x1[m, 0] - e, x1[m, 1] - n
        p_ee += mu[m] * (cov1[m, 0, 0] + de * de)
        p_nn += mu[m] * (cov1[m, 1, 1] + dn * dn)
        p_en += mu[m] * (cov1[m, 0, 1] + de * dn)
    other = 1.0 - mu[0] - slow_turn - fast_turn
    claimed_m2 = 0.5 * (p_ee + p_nn) if mem[USED] >= CALIBRATED_FIXES else USUAL_M**2
    factor = calibration(dt, mem[NIS], claimed_m2, slow_turn, fast_turn, other, c.calibration)
    lat, lon = to_geodetic(mem[LAT0], mem[LON0], mem[ALT0], e, n)
    cos, sin = frame_rotation(mem[LAT0], lat, lon - mem[LON0])
    ve, vn = cos * ve + sin * vn, -sin * ve + cos * vn
    out[0], out[1] = math.degrees(lat), math.degrees(lon)
    out[3] = math.sqrt(ve * ve + vn * vn)
    out[4] = math.degrees(math.atan2(ve, vn)) % 360.0
    out[5] = factor * (cos * cos * p_ee + 2.0 * cos * sin * p_en + sin * sin * p_nn)
    out[6] = factor * (sin * sin * p_ee - 2.0 * cos * sin * p_en + cos * cos * p_nn)
    out[7] = factor * (cos * sin * (p_nn - p_ee) + (cos * cos - sin * sin) * p_en)
    out[2], variance = vertical_ahead(mem, then_s, c.sensor)
    out[8] = math.sqrt(variance)


@njit(cache=True, nogil=True, error_model="numpy", fastmath=_FLAGS)
def calibration(dt, nis, claimed_m2, slow_turn, fast_turn, other, knots):
    """Factor on the claimed covariance, log-linear in what is known when it is claimed.

    Rows of `knots`: seconds ahead, constant, slopes on the logarithm of the mean normalised innovation
    squared, on that of the claimed deviation over `USUAL_M`, and on the probabilities of a slow and a fast
    emitter's turn and of another manoeuvre; linear in between, constant beyond.
    """
    last = knots.shape[0] - 1
    i = 0
    while i < last - 1 and dt > knots[i + 1, 0]:
        i += 1
    u = min(max((dt - knots[i, 0]) / (knots[i + 1, 0] - knots[i, 0]), 0.0), 1.0)
    surprise, claim = math.log(max(nis, 0.02)), 0.5 * math.log(claimed_m2 / USUAL_M**2)
    total = 0.0
    for k, share in ((i, 1.0 - u), (i + 1, u)):
        total += share * (
            knots[k, 1] + knots[k, 2] * surprise + knots[k, 3] * claim
            + knots[k, 4] * slow_turn + knots[k, 5] * fast_turn + knots[k, 6] * other
        )  # fmt: skip
    return math.exp(min(max(total, -4.0), 4.0))
