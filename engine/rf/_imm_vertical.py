"""The vertical of a track: altitude and its rate, which decays, in a robust filter of two states.

Works on the memory of a track. Compiled, in place; it must not know the horizontal.
"""

from __future__ import annotations

import math

from numba import njit

from engine.rf._imm_memory import PVV, PZV, PZZ, VZ, Z_AT, Z

START_VARIANCE_M2, START_RATE_VARIANCE_M2_S2 = 1.0e4, 100.0
"""Doubt in the first altitude reported, which may be a jump, and in a rate that nobody has told."""


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract", "nsz"})
def vertical_fix(mem, alt_m, rate_m_s, time_s, k):
    """Take altitude and vertical rate of one fix, either of which may be NaN."""
    if math.isfinite(mem[Z_AT]):
        _ahead(mem, time_s - mem[Z_AT], k)
    elif math.isfinite(alt_m):
        mem[Z], mem[VZ], mem[PZZ], mem[PZV], mem[PVV] = alt_m, 0.0, START_VARIANCE_M2, 0.0, START_RATE_VARIANCE_M2_S2
    else:
        return
    mem[Z_AT] = time_s
    if math.isfinite(alt_m):
        r = alt_m - mem[Z]
        s = mem[PZZ] + k.sigma_alt_m**2
        s *= max(1.0, r * r / (s * 9.0))
        gz, gv = mem[PZZ] / s, mem[PZV] / s
        mem[Z] += gz * r
        mem[VZ] += gv * r
        mem[PVV] -= gv * mem[PZV]
        mem[PZV] -= gz * mem[PZV]
        mem[PZZ] -= gz * mem[PZZ]
    if math.isfinite(rate_m_s):
        r = rate_m_s - mem[VZ]
        s = mem[PVV] + k.sigma_vertical_rate_m_s**2
        s *= max(1.0, r * r / (s * 9.0))
        gz, gv = mem[PZV] / s, mem[PVV] / s
        mem[Z] += gz * r
        mem[VZ] += gv * r
        mem[PZZ] -= gz * mem[PZV]
        mem[PZV] -= gv * mem[PZV]
        mem[PVV] -= gv * mem[PVV]


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract", "nsz"})
def vertical_ahead(mem, time_s, k):
    """Altitude, m, and its variance, m², at a later moment; NaN where none was ever reported."""
    if not math.isfinite(mem[Z_AT]):
        return math.nan, math.nan
    dt = max(time_s - mem[Z_AT], 0.0)
    keep = math.exp(-dt / k.tau_vertical_s)
    gain = k.tau_vertical_s * (1.0 - keep)
    q = k.sigma_vertical_m_s2**2
    variance = mem[PZZ] + 2.0 * gain * mem[PZV] + gain * gain * mem[PVV] + q * gain * gain * dt / 3.0
    return mem[Z] + gain * mem[VZ], variance


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract", "nsz"})
def _ahead(mem, dt, k):
    if dt <= 0.0:
        return
    keep = math.exp(-dt / k.tau_vertical_s)
    gain = k.tau_vertical_s * (1.0 - keep)
    q = k.sigma_vertical_m_s2**2
    mem[PZZ] += 2.0 * gain * mem[PZV] + gain * gain * mem[PVV] + q * gain * gain * dt / 3.0
    mem[PZV] = keep * (mem[PZV] + gain * mem[PVV]) + q * gain * dt / 2.0
    mem[PVV] = keep * keep * mem[PVV] + q * dt
    mem[Z] += gain * mem[VZ]
    mem[VZ] *= keep
