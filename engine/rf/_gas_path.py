"""Kernel: the integral of a quantity that depends on height along straight paths over a spherical earth.

With t the distance from the point of the line that is nearest to the earth's centre (at radius r_0),
radius is ``sqrt(r_0^2 + t^2)``; of a quantity linear in radius the integral over t is elementary. Plain
arrays; it must not know what is integrated.
"""

from __future__ import annotations

import math

from numba import njit


@njit(cache=True, nogil=True, error_model="numpy")
def _layer(t_low, t_high, r_low, r_high, r0, base_r, base, slope):
    """Integral from `t_low` to `t_high` of ``base + slope (r - base_r)``.

    ``int r dt = (t r + r0^2 asinh(t / r0)) / 2``, of which ``base_r t`` is taken away.
    """
    step = t_high - t_low
    # asinh(t_high/r0) - asinh(t_low/r0) by the theorem of addition.
    angle = math.asinh((t_high * r_low - t_low * r_high) / (r0 * r0))
    # Radii as excess over base_r: t r = t base_r + t (r - base_r).
    ends = t_high * (r_high - base_r) - t_low * (r_low - base_r)
    bulge = r0 * r0 * angle - base_r * step
    return base * step + slope * 0.5 * (ends + bulge)


@njit(cache=True, nogil=True, error_model="numpy")
def _leg(r_low, t_low, r_high, t_high, r0, earth_m, heights, values):
    """Integral over the part of a line, on one side of its nearest point, between two radii and their distances t.

    Distances of the ends are given: of a short level path they could not be told from the radii.
    """
    total = 0.0
    n = heights.size
    low, t = r_low, t_low
    k = 0
    while k < n - 1 and heights[k + 1] + earth_m <= low:
        k += 1
    ground = heights[0] + earth_m
    if low < ground:
        t_next = t_high if r_high <= ground else _from_nearest(ground, r0)
        total += values[0] * (t_next - t)
        low, t = min(r_high, ground), t_next
    while t < t_high and k < n - 1:
        base_r, top_r = heights[k] + earth_m, heights[k + 1] + earth_m
        t_next = t_high if r_high <= top_r else _from_nearest(top_r, r0)
        high = min(r_high, top_r)
        slope = (values[k + 1] - values[k]) / (heights[k + 1] - heights[k])
        total += _layer(t, t_next, low, high, r0, base_r, values[k], slope)
        low, t = high, t_next
        k += 1
    return total


@njit(cache=True, nogil=True, error_model="numpy")
def _from_nearest(r, r0):
    return math.sqrt(max((r - r0) * (r + r0), 0.0))


@njit(cache=True, nogil=True, error_model="numpy")
def along_paths(alt1_m, alt2_m, distance_m, earth_m, heights, values, out):
    """Integrals along n straight paths.

    Parameters
    ----------
    alt1_m, alt2_m, distance_m : float64, shape (n,)
        Heights of the ends and the straight distance between them, m.
    earth_m : float
        Radius of the earth, m.
    heights, values : float64, shape (k,)
        Increasing heights, m, and the quantity there, per m; linear in between, constant below, 0 above.
    out : float64, shape (n,)
        Result.
    """
    for i in range(out.size):
        ha, hb, d = min(alt1_m[i], alt2_m[i]), max(alt1_m[i], alt2_m[i]), distance_m[i]
        ra, rb = earth_m + ha, earth_m + hb
        if not d > 0.0:
            out[i] = 0.0
            continue
        # Distances of both ends along the line, measured from its nearest point; a hair for a line through the centre.
        ta = ((hb - ha) * (rb + ra) - d * d) / (2.0 * d)
        tb = ta + d
        r0 = max(math.sqrt(max((ra - ta) * (ra + ta), 0.0)), 1.0)
        if ta >= 0.0:
            out[i] = _leg(ra, ta, rb, tb, r0, earth_m, heights, values)
        else:
            out[i] = _leg(r0, 0.0, ra, -ta, r0, earth_m, heights, values) + _leg(
                r0, 0.0, rb, tb, r0, earth_m, heights, values
            )
