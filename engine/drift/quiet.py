"""Silence of one cluster: how surprising a pause is after the events that came before it (C1).

Event times in, one number out; the arithmetic is that of `engine.silence`.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from engine.silence import predictive_pressure, pressure_of_rate


def silence_pressure(event_times_s: ArrayLike, now_s: float) -> float:
    """−log10 of the probability that a cluster with this recent event rate is quiet for this long.

    The rate is that of the given events, (n − 1)/(last − first), taken as exactly known; the silence lasts
    from the last event to `now_s`; events come as a Poisson process. With fewer than two different times
    there is no rate, and it is 0. See `silence_pressure_predictive` for what few events permit to say.

    Parameters
    ----------
    event_times_s : array_like of float64, (n,)
        Recent event times, s, any order; those after `now_s` do not count.
    now_s : float
        Now, same clock.

    Returns
    -------
    float
        At least 0; 3 means one chance in a thousand.

    Raises
    ------
    ValueError
        If a time is not finite.

    Examples
    --------
    >>> round(silence_pressure([0, 1, 2, 3, 4], now_s=4 + 6.907755), 6)
    3.0
    """
    return float(pressure_of_rate(*_silence(event_times_s, now_s)))


def silence_pressure_predictive(event_times_s: ArrayLike, now_s: float) -> float:
    """Silence pressure that allows for the rate being known from a few events only.

    The ratio of the next interval to the sum of m earlier ones exceeds x with probability (1 + x)^(−m),
    exactly, for a Poisson process of any rate: so a threshold of 3 is passed after one interval in a
    thousand, however few events there were. For many events it is `silence_pressure`.

    Parameters
    ----------
    event_times_s : array_like of float64, (n,)
    now_s : float

    Returns
    -------
    float
        At least 0, at most `silence_pressure`.

    Examples
    --------
    >>> round(silence_pressure_predictive([0, 1, 2, 3, 4], now_s=8), 4)
    1.2041

    References
    ----------
    Aitchison and Dunsmore, Statistical prediction analysis, 1975, table 2.1 (gamma model).
    """
    return float(predictive_pressure(*_silence(event_times_s, now_s)))


def _silence(event_times_s: ArrayLike, now_s: float) -> tuple[int, float, float]:
    """Intervals, their sum, and the length of the silence after them, s."""
    if not math.isfinite(now_s):
        raise ValueError(f"now_s is {now_s}; it must be finite")
    given = np.asarray(event_times_s, np.float64).ravel()
    if not np.isfinite(given).all():
        raise ValueError(f"event times hold {given[~np.isfinite(given)][0]}; they must be finite")
    times = given[given <= now_s]
    if len(times) < 2:
        return 0, 0.0, 0.0
    first, last = float(times.min()), float(times.max())
    return len(times) - 1, last - first, now_s - last
