"""A track filtered anew from its newest fixes, with the votes of the whole window on what can be believed.

The recursion of `engine.rf._imm_track` judges each fix as it comes; while a track is nothing but its
window, or where it is surprised, the window is looked at as a whole. Compiled; it must not know tables or identities.
"""

from __future__ import annotations

import math

from numba import njit

from engine.rf._fix_trust import mark_fixes, settle
from engine.rf._imm_memory import AT, FRESH, STRAIN, USED
from engine.rf._imm_motion import propagate
from engine.rf._imm_step import measure_position, measure_velocity, mix, weigh
from engine.rf._imm_track import begin, note_residual
from engine.rf._tangent_plane import place

LOST = 20.0
"""Running squared residual at the end of a window above which its filter has lost the track."""

RESTART_FIXES = 4
"""Positions with which a lost filter starts again."""


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract", "nsz"})
def filter_window(x, cov, mu, mem, ring, first, c, f64, use, before, work, pool_x, pool):
    """Make a track anew from the fixes ``ring[:, first:]``, planes as in `engine.rf.tracks`.

    `f64` (12, K), `use` and `before` (K,) are scratch; see `engine.rf._imm_batch` for the rest.
    """
    time_s, lat, lon, alt_m, speed, track, measured_s = ring[0], ring[1], ring[2], ring[3], ring[4], ring[5], ring[7]
    width = time_s.size
    for attempt in range(2):
        mark_fixes(lat, lon, time_s, measured_s, speed, track, first, use, f64[0])
        origin = place(lat, lon, alt_m, speed, track, use, first, f64)
        if origin < 0:
            return
        if attempt == 1:  # what has been found frozen stays so, though fewer fixes may no longer show it
            for j in range(first, width):
                use[j] &= before[j]
        settle(time_s, use, first, c.sensor, f64)
        _run(x, cov, mu, mem, lat[origin], lon[origin], alt_m[origin], time_s, first, c, f64, use, work, pool_x, pool)
        if mem[USED] <= RESTART_FIXES or mem[STRAIN] < LOST:
            return
        later = _nth_newest(use, first, RESTART_FIXES)
        told = False
        for j in range(later, width):
            before[j] = use[j]
            told = told or use[j] & 2 != 0
        if not told:  # without velocities four fixes tell a jump no better than eight
            return
        first = later


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract", "nsz"})
def _nth_newest(use, first, n):
    """Index of the n-th newest fresh position."""
    for j in range(use.size - 1, first - 1, -1):
        if use[j] & 1:
            n -= 1
            if n == 0:
                return j
    return first


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract", "nsz"})
def _run(x, cov, mu, mem, lat0, lon0, alt0_m, time_s, first, c, f64, use, work, pool_x, pool):
    """Filter the fixes that `use` marks, from rows of `f64`: age, east, north, velocities, factor on the variance."""
    age_s, east, north, v_east, v_north, inflation = f64[0], f64[2], f64[3], f64[4], f64[5], f64[6]
    mem[USED], told = 0.0, math.nan
    for j in range(first, time_s.size):
        if use[j] == 0 or (mem[USED] == 0.0 and use[j] & 1 == 0):
            continue
        known = use[j] & 2 != 0
        if use[j] & 4 == 0 or not math.isfinite(told):
            told = time_s[j]
        if mem[USED] == 0.0:
            begin(x, cov, mu, mem, math.radians(lat0), math.radians(lon0), alt0_m, v_east[j], v_north[j], known, c)
            for m in range(mu.size):
                x[m, 0], x[m, 1] = east[j] + age_s[j] * v_east[j], north[j] + age_s[j] * v_north[j]
                cov[m, 0, 0] *= inflation[j]
                cov[m, 0, 1] *= inflation[j]
                cov[m, 1, 0] *= inflation[j]
                cov[m, 1, 1] *= inflation[j]
        else:
            dt = time_s[j] - mem[AT]
            mix(x, cov, mu, dt, c.models, pool_x, pool)
            for m in range(mu.size):
                propagate(x[m], cov[m], dt, c.models[m], pool)
                work[m, 0] = 0.0
            if use[j] & 1:
                square = measure_position(x, cov, mu, east[j], north[j], age_s[j], inflation[j], c.sensor, work)
                note_residual(mem, square, c)
            if known:
                measure_velocity(x, cov, mu, v_east[j], v_north[j], time_s[j] - told, c.sensor, work)
            weigh(mu, work)
        mem[AT] = time_s[j]
        if use[j] & 1:
            mem[USED] += 1.0
            mem[FRESH] = time_s[j] - age_s[j]
