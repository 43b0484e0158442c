"""The track of one emitter under the interacting models: what a fix does to it, and where it will be.

Decides fix by fix what is news (feeds repeat) and what can be believed (velocities that the
positions contradict, jumps). Everything it remembers is a few numbers per emitter. Compiled, in
place; it must not know tables or how many emitters there are.
"""

from __future__ import annotations

import math

from numba import njit

from engine.rf._fix_trust import MAX_AGE_S, MOVING_M_S, STANDING_S
from engine.rf._imm_memory import (
    ALT0,
    AT,
    DEV_E,
    DEV_N,
    FRESH,
    LAST_LAT,
    LAST_LON,
    LAST_MEASURED,
    LAST_SPEED,
    LAST_TIME,
    LAST_TRACK,
    LAT0,
    LEG_E,
    LEG_N,
    LEG_TIME,
    LEG_VE,
    LEG_VN,
    LEGS,
    LON0,
    NIS,
    NOW,
    PENDING,
    SCATTER,
    STRAIN,
    TOLD,
    USED,
)
from engine.rf._imm_motion import propagate
from engine.rf._imm_step import mean_of, measure_position, measure_velocity, mix, weigh
from engine.rf._imm_vertical import vertical_fix
from engine.rf._tangent_plane import ecef, frame_rotation, to_geodetic

REBASE_M = 20_000.0
"""The tangent plane follows an emitter that is further from its origin than this, m."""

LEG_S = 3.0
"""Shortest leg, s, that is held against a reported velocity."""

UNKNOWN_SPEED_M_S = 100.0
"""Deviation, m/s and axis, of a velocity that nobody has reported and one fix cannot tell."""

START_STANDING = 0.001
"""Factor on the share of a model whose velocity dies away, where a track begins in motion."""

NIS_GAIN = 0.15
"""Gain of the slow running squared residual, which the calibration looks at."""

USUAL_NIS = 1.5
"""What it is taken for before anything is known: its geometric mean over airliners that report every 10 s."""


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract", "nsz"})
def forget(mem):
    """Start with nothing known."""
    mem[:] = math.nan
    mem[USED] = mem[LEGS] = mem[SCATTER] = mem[STRAIN] = mem[PENDING] = 0.0
    mem[NIS] = USUAL_NIS


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract", "nsz"})
def to_plane(mem, lat, lon):
    """East and north, m, of a position in the tangent plane of the track, and the convergence of meridians there."""
    lat0, lon0 = mem[LAT0], mem[LON0]
    x0, y0, z0 = ecef(lat0, lon0, mem[ALT0])
    x, y, z = ecef(lat, lon, mem[ALT0])
    x, y, z = x - x0, y - y0, z - z0
    sin_phi, cos_phi, sin_lam, cos_lam = math.sin(lat0), math.cos(lat0), math.sin(lon0), math.cos(lon0)
    east = -sin_lam * x + cos_lam * y
    north = -sin_phi * (cos_lam * x + sin_lam * y) + cos_phi * z
    c, s = frame_rotation(lat0, lat, lon - lon0)
    return east, north, c, s


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract", "nsz"})
def begin(x, cov, mu, mem, lat, lon, alt_m, ve, vn, known, c):
    """First fix of a track, or of one that was lost."""
    mem[LAT0], mem[LON0] = lat, lon
    mem[ALT0] = alt_m if math.isfinite(alt_m) else 0.0
    mem[STRAIN], mem[LEGS], mem[NIS] = 0.0, 0.0, USUAL_NIS
    mem[LEG_TIME] = math.nan
    k, models = c.sensor, c.models
    speed = math.hypot(ve, vn)
    de, dn = (ve / speed, vn / speed) if speed > 1e-6 else (0.0, 1.0)
    along = k.sigma_speed_m_s**2 if known else UNKNOWN_SPEED_M_S**2
    across = along + (c.trust.start_track_rad * speed) ** 2 if known else along
    total = 0.0
    for m in range(mu.size):
        # who is heard moving is not about to stand: that has to show
        mu[m] = models[m, 8] * (START_STANDING if known and speed > MOVING_M_S and models[m, 6] > 0.0 else 1.0)
        total += mu[m]
    for m in range(mu.size):
        mu[m] /= total
        x[m, :] = 0.0
        cov[m, :, :] = 0.0
        x[m, 2], x[m, 3] = ve, vn
        timing = (k.sigma_timing_s * speed) ** 2
        cov[m, 0, 0] = k.sigma_position_m**2 + timing * de * de
        cov[m, 1, 1] = k.sigma_position_m**2 + timing * dn * dn
        cov[m, 0, 1] = cov[m, 1, 0] = timing * de * dn
        cov[m, 2, 2] = along * de * de + across * dn * dn
        cov[m, 3, 3] = along * dn * dn + across * de * de
        cov[m, 2, 3] = cov[m, 3, 2] = (along - across) * de * dn
        cov[m, 4, 4] = (3.0 * models[m, 0]) ** 2
        cov[m, 5, 5] = models[m, 3] ** 2


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract", "nsz"})
def _rebase(x, cov, mu, mem):
    """Move the tangent plane to where the emitter is now."""
    east, north = mean_of(x, mu, 0), mean_of(x, mu, 1)
    if abs(east) + abs(north) < REBASE_M:
        return
    lat, lon = to_geodetic(mem[LAT0], mem[LON0], mem[ALT0], east, north)
    c, s = frame_rotation(mem[LAT0], lat, lon - mem[LON0])
    mem[LAT0], mem[LON0] = lat, lon
    mem[LEG_E], mem[LEG_N] = _turn(c, s, mem[LEG_E] - east, mem[LEG_N] - north)
    mem[LEG_VE], mem[LEG_VN] = _turn(c, s, mem[LEG_VE], mem[LEG_VN])
    for m in range(mu.size):
        x[m, 0], x[m, 1] = _turn(c, s, x[m, 0] - east, x[m, 1] - north)
        x[m, 2], x[m, 3] = _turn(c, s, x[m, 2], x[m, 3])
        for i in range(6):
            cov[m, i, 0], cov[m, i, 1] = _turn(c, s, cov[m, i, 0], cov[m, i, 1])
            cov[m, i, 2], cov[m, i, 3] = _turn(c, s, cov[m, i, 2], cov[m, i, 3])
        for i in range(6):
            cov[m, 0, i], cov[m, 1, i] = _turn(c, s, cov[m, 0, i], cov[m, 1, i])
            cov[m, 2, i], cov[m, 3, i] = _turn(c, s, cov[m, 2, i], cov[m, 3, i])


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract", "nsz"})
def _turn(c, s, east, north):
    return c * east + s * north, -s * east + c * north


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract", "nsz"})
def note_fix(mem, fix, c):
    """Take a fix without its filter, which will see it in the window; whether it was news."""
    time_s = fix[0]
    if not math.isfinite(time_s) or time_s < mem[NOW]:
        return False
    mem[NOW] = time_s
    fresh, age_s, known = _news(mem, fix[1], fix[2], time_s, fix[4], fix[5], fix[7])
    if not (fresh or (known and mem[USED] > 0.0)):
        return False
    vertical_fix(mem, fix[3], fix[6], time_s, c.sensor)
    if fresh:
        mem[USED] += 1.0
        mem[FRESH] = time_s - age_s
    mem[PENDING] = 1.0
    return True


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract", "nsz"})
def take_fix(x, cov, mu, mem, lat, lon, alt_m, time_s, speed, track, rate, measured_s, c, work, pool_x, pool):
    """Update a track by one fix, angles in degrees as reported, NaN where not known; whether it was news."""
    if not math.isfinite(time_s) or time_s < mem[NOW]:
        return False
    mem[NOW] = time_s
    fresh, age_s, known = _news(mem, lat, lon, time_s, speed, track, measured_s)
    if not (fresh or (known and mem[USED] > 0.0)):
        return False
    k, models = c.sensor, c.models
    vertical_fix(mem, alt_m, rate, time_s, k)
    ve = vn = 0.0
    if known and math.isfinite(track):
        chi = math.radians(track)
        ve, vn = speed * math.sin(chi), speed * math.cos(chi)
    if mem[USED] == 0.0:
        begin(x, cov, mu, mem, math.radians(lat), math.radians(lon), alt_m, ve, vn, known, c)
        for m in range(mu.size):
            x[m, 0], x[m, 1] = age_s * ve, age_s * vn
        mem[USED], mem[AT], mem[FRESH] = 1.0, time_s, time_s - age_s
        if known:
            _start_leg(mem, 0.0, 0.0, time_s - age_s, ve, vn)
        return True
    dt = time_s - mem[AT]
    mix(x, cov, mu, dt, models, pool_x, pool)
    for m in range(mu.size):
        propagate(x[m], cov[m], dt, models[m], pool)
        work[m, 0] = 0.0
    mem[AT] = time_s
    east, north, cos, sin = math.nan, math.nan, 1.0, 0.0
    if fresh:
        east, north, cos, sin = to_plane(mem, math.radians(lat), math.radians(lon))
        note_residual(mem, measure_position(x, cov, mu, east, north, age_s, 1.0, k, work), c)
        mem[USED] += 1.0
        mem[FRESH] = time_s - age_s
    if known:
        ve, vn = cos * ve - sin * vn, sin * ve + cos * vn
        if fresh:
            _weigh_leg(mem, east, north, time_s - age_s, ve, vn, speed, c)
        off = math.hypot(mem[DEV_E], mem[DEV_N]) if mem[LEGS] >= 2.0 else 0.0
        if off < c.trust.contradiction_m_s + 0.06 * speed + c.trust.scatter * mem[SCATTER]:
            measure_velocity(x, cov, mu, ve, vn, time_s - mem[TOLD], k, work)
    weigh(mu, work)
    _rebase(x, cov, mu, mem)
    return True


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract", "nsz"})
def _news(mem, lat, lon, time_s, speed, track, measured_s):
    """Whether a position is fresh, its age, and whether a velocity is to be used: `_fix_trust.mark_fixes`, by one."""
    moves = not (math.isfinite(speed) and speed <= MOVING_M_S)
    fresh = math.isfinite(lat) and math.isfinite(lon)
    age_s = 0.0
    if fresh and math.isfinite(measured_s):
        age_s = max(time_s - measured_s, 0.0)
        fresh = not (measured_s <= mem[LAST_MEASURED]) and age_s <= MAX_AGE_S
    elif fresh and lat == mem[LAST_LAT] and lon == mem[LAST_LON]:
        fresh = not moves or (not math.isfinite(speed) and time_s - mem[LAST_TIME] > STANDING_S)
    if fresh:
        mem[LAST_LAT], mem[LAST_LON], mem[LAST_TIME] = lat, lon, time_s
        if math.isfinite(measured_s):
            mem[LAST_MEASURED] = measured_s
    known = math.isfinite(speed) and (math.isfinite(track) or not moves)
    if known:
        if speed != mem[LAST_SPEED] or track != mem[LAST_TRACK]:
            mem[LAST_SPEED], mem[LAST_TRACK], mem[TOLD] = speed, track, time_s
        elif not fresh:
            known = False
    return fresh, age_s, known


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract", "nsz"})
def note_residual(mem, square, c):
    """Remember how well a position was expected, in deviations squared."""
    mem[STRAIN] += c.trust.strain_gain * (min(square, 30.0) - mem[STRAIN])
    mem[NIS] += NIS_GAIN * (min(square, 12.0) - mem[NIS])


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract", "nsz"})
def _start_leg(mem, east, north, time_s, ve, vn):
    mem[LEG_E], mem[LEG_N], mem[LEG_TIME], mem[LEG_VE], mem[LEG_VN] = east, north, time_s, ve, vn


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract", "nsz"})
def _weigh_leg(mem, east, north, time_s, ve, vn, speed, c):
    """Hold the leg flown since the last one against the velocities reported at its ends."""
    leg_s = time_s - mem[LEG_TIME]
    if leg_s < LEG_S:
        return
    if math.isfinite(leg_s):
        off_e = (east - mem[LEG_E]) / leg_s - 0.5 * (ve + mem[LEG_VE])
        off_n = (north - mem[LEG_N]) / leg_s - 0.5 * (vn + mem[LEG_VN])
        if mem[LEGS] == 0.0:
            mem[DEV_E], mem[DEV_N], mem[SCATTER] = off_e, off_n, 0.0
        else:
            gain = max(c.trust.leg_gain, 1.0 / (mem[LEGS] + 1.0))
            apart = math.hypot(off_e - mem[DEV_E], off_n - mem[DEV_N])
            mem[SCATTER] += gain * (min(apart, 100.0 + 0.5 * speed) - mem[SCATTER])
            mem[DEV_E] += gain * (off_e - mem[DEV_E])
            mem[DEV_N] += gain * (off_n - mem[DEV_N])
        mem[LEGS] += 1.0
    _start_leg(mem, east, north, time_s, ve, vn)
