"""What in a track is news, and what of it can be believed: repeats, frozen velocities, jumps.

Feeds repeat positions and velocities they have not heard again, interpolate across gaps, and relay
spoofed jumps; the forecast must not take those for motion. Compiled, plain arrays in time order;
it must not know the filter that uses the verdicts.

Marks are bits of an integer per fix: 1 the position is news, 2 the velocity is used, 4 the velocity
is the last one unchanged beside a new position.
"""

from __future__ import annotations

import math

from numba import njit

STANDING_S = 10.0
"""A position that repeats for longer, with no speed reported, is taken as standing still, s."""

MAX_AGE_S = 60.0
"""A position measured longer than this before its report is not used, s."""

MOVING_M_S = 2.0
"""An emitter that reports a higher speed than this and the same place is being repeated, m/s."""

NO_SAY = 1e6
"""Factor on the variance of a position that has no say left; more would only cost the filter its digits."""

LEG_S = 3.0
"""Shortest leg, s, by which a track is held against a reported velocity."""


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def mark_fixes(lat, lon, time_s, position_time_s, speed, track, first, use, age_s):
    """Which positions (bit 1) and velocities (bit 2) are news; bit 4: a velocity that repeats beside a new position.

    A position is a repeat when it was measured no later than one already seen or, where the feed
    does not say, when it is identical to the last one although the emitter moves.
    """
    last = -1
    last_measured = -math.inf
    last_velocity = -1
    for j in range(first, lat.size):
        use[j] = 0
        age_s[j] = 0.0
        moves = not (math.isfinite(speed[j]) and speed[j] <= MOVING_M_S)
        fresh = math.isfinite(lat[j]) and math.isfinite(lon[j]) and math.isfinite(time_s[j])
        if fresh and math.isfinite(position_time_s[j]):
            age_s[j] = max(time_s[j] - position_time_s[j], 0.0)
            fresh = position_time_s[j] > last_measured and age_s[j] <= MAX_AGE_S
        elif fresh and last >= 0 and lat[j] == lat[last] and lon[j] == lon[last]:
            waited = time_s[j] - time_s[last]
            fresh = not moves or (not math.isfinite(speed[j]) and waited > STANDING_S)
        if fresh:
            last = j
            use[j] |= 1
            if math.isfinite(position_time_s[j]):
                last_measured = position_time_s[j]
        if math.isfinite(speed[j]) and math.isfinite(time_s[j]) and (math.isfinite(track[j]) or not moves):
            same = last_velocity >= 0 and speed[j] == speed[last_velocity] and track[j] == track[last_velocity]
            if not same:
                use[j] |= 2
                last_velocity = j
            elif fresh:
                use[j] |= 6


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def mark_table(lat, lon, time_s, position_time_s, speed, track, group_start, use, age_s):
    """Apply the rule for repeats to a whole table sorted by emitter and time; fills `use` and `age_s`."""
    for g in range(group_start.size - 1):
        s = slice(group_start[g], group_start[g + 1])
        mark_fixes(lat[s], lon[s], time_s[s], position_time_s[s], speed[s], track[s], 0, use[s], age_s[s])


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _fill_velocity(east, north, time_s, age_s, v_east, v_north, use, first, rows, work):
    """Where none is reported, the velocity is the median of the nearest legs of the track (two to each side)."""
    m = 0
    for j in range(first, time_s.size):
        if use[j] & 1:
            rows[m] = j
            m += 1
    for j in range(first, time_s.size):
        if use[j] & 2:
            continue
        v_east[j] = v_north[j] = 0.0
        at = 0
        while at < m - 1 and rows[at] < j:
            at += 1
        low = max(0, min(at - 2, m - 4))
        high = min(m - 1, low + 4)
        for axis in range(2):
            values = east if axis == 0 else north
            n = 0
            for i in range(low, high):
                a, b = int(rows[i]), int(rows[i + 1])
                dt = (time_s[b] - age_s[b]) - (time_s[a] - age_s[a])
                if dt > 1e-3:
                    work[n] = (values[b] - values[a]) / dt
                    n += 1
            if n > 0 and axis == 0:
                v_east[j] = median(work, n)
            elif n > 0:
                v_north[j] = median(work, n)


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _drop_lone_velocities(time_s, v_east, v_north, use, first, near_e, near_n, work):
    """Withdraw a reported velocity that no turn or braking can join to its (up to four) neighbours in time."""
    for j in range(first, time_s.size):
        if use[j] & 2 == 0:
            continue
        n, gap = 0, math.inf
        for step in (-1, 1):
            i, taken = j + step, 0
            while first <= i < time_s.size and taken < 2:
                if use[i] & 2:
                    near_e[n], near_n[n] = v_east[i] - v_east[j], v_north[i] - v_north[j]
                    gap = min(gap, abs(time_s[i] - time_s[j]))
                    taken += 1
                    n += 1
                i += step
        if n >= 2:
            off = math.hypot(_central(near_e, n, work), _central(near_n, n, work))
            if off > 10.0 + (5.0 + 0.08 * math.hypot(v_east[j], v_north[j])) * gap:
                use[j] &= ~6


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _distrust(east, north, time_s, age_s, v_east, v_north, use, first, dev_e, dev_n, work):
    """Withdraw the reported velocities of a window whose newest legs contradict them in the median.

    Feeds freeze velocities while positions go on, and interpolate them across gaps. A single late
    position spoils one leg one way and the next the other way, which the median forgives.
    """
    legs, at = 0, -1
    fastest = 0.0
    for j in range(time_s.size - 1, first - 1, -1):
        if use[j] & 3 != 3:
            continue
        if at < 0:
            at = j
            continue
        dt = (time_s[at] - age_s[at]) - (time_s[j] - age_s[j])
        if dt >= LEG_S:
            leg_e, leg_n = (east[at] - east[j]) / dt, (north[at] - north[j]) / dt
            dev_e[legs] = leg_e - 0.5 * (v_east[at] + v_east[j])
            dev_n[legs] = leg_n - 0.5 * (v_north[at] + v_north[j])
            fastest = max(fastest, math.hypot(v_east[j], v_north[j]))
            legs += 1
            at = j
            if legs == 5:
                break
    if legs < 2:
        return
    off_e, off_n = _central(dev_e, legs, work), _central(dev_n, legs, work)
    # Late measurements scatter the legs; a contradiction stands out of that scatter.
    for i in range(legs):
        dev_e[i] = math.hypot(dev_e[i] - off_e, dev_n[i] - off_n)
    if math.hypot(off_e, off_n) > 4.0 + 0.06 * fastest + 1.5 * median(dev_e, legs):
        for j in range(first, time_s.size):
            use[j] &= ~6


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _ascending(values, n):
    """Sort the first `n` values in place: for so few, insertion beats what allocates."""
    for i in range(1, n):
        value = values[i]
        j = i - 1
        while j >= 0 and values[j] > value:
            values[j + 1] = values[j]
            j -= 1
        values[j + 1] = value


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def median(values, n):
    """Median of the first `n` values, which are put in order."""
    _ascending(values, n)
    return 0.5 * (values[(n - 1) // 2] + values[n // 2])


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _central(values, n, ordered):
    """Median; of an even number the middle value nearer to zero, or zero between opposite signs."""
    ordered[:n] = values[:n]
    _ascending(ordered, n)
    low, high = ordered[(n - 1) // 2], ordered[n // 2]
    if low * high < 0.0:
        return 0.0
    return low if abs(low) < abs(high) else high


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _consensus(east, north, time_s, age_s, v_east, v_north, use, first, k, to_e, to_n, slack, work, inflation, spare):
    """Variance factor (>= 1) of each position: how far, carried ahead by the velocities, it lies from the median."""
    newest = -1
    m = 0
    reach_e, reach_n, growth = 0.0, 0.0, 0.0
    for j in range(time_s.size - 1, first - 1, -1):
        inflation[j] = 1.0
        if use[j] & 1 == 0:
            continue
        if newest >= 0:
            dt = (time_s[newest] - age_s[newest]) - (time_s[j] - age_s[j])
            reach_e += 0.5 * (v_east[j] + v_east[newest]) * dt
            reach_n += 0.5 * (v_north[j] + v_north[newest]) * dt
            change = math.hypot(v_east[newest] - v_east[j], v_north[newest] - v_north[j])
            growth += abs(dt) * (1.0 + 0.25 * change + (0.0 if use[j] & 2 else 0.3 * abs(dt)))
        to_e[j] = east[j] + reach_e
        to_n[j] = north[j] + reach_n
        slack[j] = growth
        newest = j
        m += 1
    if m < 3:
        return
    _detrend(to_e, to_n, time_s, use, first, work, spare)
    last = time_s.size - 1
    while use[last] & 1 == 0:
        last -= 1
    speed = math.hypot(v_east[last], v_north[last])
    d_e, d_n = (v_east[last] / speed, v_north[last] / speed) if speed > 1e-6 else (0.0, 1.0)
    middle = _median_of(slack, use, first, work)
    for axis in range(2):
        a_e, a_n = (d_e, d_n) if axis == 0 else (d_n, -d_e)
        n = 0
        for j in range(first, time_s.size):
            if use[j] & 1:
                work[n] = a_e * to_e[j] + a_n * to_n[j]
                n += 1
        centre = median(work, n)
        base = k.sigma_position_m + (k.sigma_timing_s * speed if axis == 0 else 0.0)
        for i in range(n):
            work[i] = abs(work[i] - centre)
        # where many disagree there is no consensus to be outside of
        base = max(base, 1.4826 * median(work, n))
        for j in range(first, time_s.size):
            if use[j] & 1:
                ratio = (a_e * to_e[j] + a_n * to_n[j] - centre) / (k.outlier * base + abs(slack[j] - middle))
                inflation[j] = max(inflation[j], min(ratio**4, NO_SAY))


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _detrend(to_e, to_n, time_s, use, first, work, spare):
    """Take out the median drift between positions and velocities, as of a wind of the reports."""
    for axis in range(2):
        values = to_e if axis == 0 else to_n
        n, last = 0, -1
        for j in range(first, time_s.size):
            if use[j] & 1:
                if last >= 0 and time_s[j] > time_s[last]:
                    work[n] = (values[j] - values[last]) / (time_s[j] - time_s[last])
                    n += 1
                last = j
        if n < 3:
            return
        drift = _central(work, n, spare)
        for j in range(first, time_s.size):
            values[j] -= drift * (time_s[j] - time_s[last])


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _median_of(values, use, first, work):
    n = 0
    for j in range(first, values.size):
        if use[j] & 1:
            work[n] = values[j]
            n += 1
    return median(work, n)


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def settle(time_s, use, first, k, f64):
    """Settle which velocities are believed, fill the others, and weigh the positions by consensus."""
    age_s, east, north, v_east, v_north, inflation, work = f64[0], f64[2], f64[3], f64[4], f64[5], f64[6], f64[7]
    _drop_lone_velocities(time_s, v_east, v_north, use, first, f64[8], f64[9], f64[11])
    _distrust(east, north, time_s, age_s, v_east, v_north, use, first, f64[8], f64[9], f64[11])
    _fill_velocity(east, north, time_s, age_s, v_east, v_north, use, first, f64[8], work)
    _consensus(
        east, north, time_s, age_s, v_east, v_north, use, first, k, f64[8], f64[9], f64[10], work, inflation, f64[11]
    )
