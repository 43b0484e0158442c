"""Rhythm of one cluster's events: period, phase coherence, latency spread, order of propagation.

Event times of one window in, numbers out. It knows neither clusters nor schedules; which window is looked at
and what is worth an alarm is decided elsewhere.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numba import njit
from numpy.typing import ArrayLike
from scipy.fft import next_fast_len, rfft
from scipy.stats import spearmanr

MIN_EVENTS = 4
"""With fewer events nothing is said about rhythm (C2)."""

MAX_EVENTS = 65_536
"""Events looked at; of more, the latest."""

Propagation = Literal["simultaneous", "sequential", "random", "insufficient"]

_OVERSAMPLING = 8  # frequencies per resolution 1/span, so that no peak falls between two by more than 4 %
_LOWEST_CYCLES = 2.0  # a period must be seen at least this often within the span
_HIGHEST_PER_EVENT = 4.0  # up to four cycles per event: three beats of four may be missing
_AS_GOOD = 0.8  # a lower frequency with this share of the greatest power is the fundamental of its harmonics


@njit(cache=True, nogil=True)
def _resultant(times: np.ndarray, freq_hz: float) -> float:
    """Length of the mean phase vector, 0 … 1."""
    c = s = 0.0
    for i in range(times.shape[0]):
        cycles = times[i] * freq_hz
        phase = 2.0 * np.pi * (cycles - np.floor(cycles))
        c += np.cos(phase)
        s += np.sin(phase)
    return np.sqrt(c * c + s * s) / times.shape[0]


def phase_coherence(times_s: ArrayLike, period_s: float) -> float:
    """Mean resultant length of the event phases at a period: 0 spread evenly, 1 all at one phase.

    With fewer than `MIN_EVENTS` events, or no period, 0. Events at random give about 0.89/√n.

    Parameters
    ----------
    times_s : array_like of float64, (n,)
        Event times, s, any order.
    period_s : float
        Seconds.

    Returns
    -------
    float
        In [0, 1].

    Raises
    ------
    ValueError
        If a time is not finite.

    Examples
    --------
    >>> round(phase_coherence([0, 10, 20, 30], 10), 9), round(phase_coherence([0, 5, 10, 15], 10), 9)
    (1.0, 0.0)

    References
    ----------
    Mardia and Jupp, Directional statistics, 2000, section 2.3.
    """
    times = _times(times_s)
    if len(times) < MIN_EVENTS or not (math.isfinite(period_s) and period_s > 0.0):
        return 0.0
    return min(float(_resultant(times, 1.0 / period_s)), 1.0)


def rayleigh_p(coherence: float, n: int) -> float:
    """Probability that n events at random reach this phase coherence at a period that was given beforehand.

    Examples
    --------
    >>> round(rayleigh_p(0.5, 20), 4)
    0.0055

    References
    ----------
    Zar, Biostatistical analysis, 1999, equation 27.4, good to three digits from n = 10.
    """
    if n < 1:
        return 1.0
    return min(math.exp(math.sqrt(1 + 4 * n + 4 * n * n * (1.0 - coherence * coherence)) - (1 + 2 * n)), 1.0)


def _tight_p(coherence: float, n: int) -> float:
    """As `rayleigh_p`, for phases so tight that its approximation is far too cautious; 1 where they are not.

    n(1 − R) is half the sum of squared deviations from the mean phase, a little more where they are wide: the
    probability is the volume of a ball of n − 1 dimensions over that of all phases.
    """
    wide = n * max(1.0 - coherence, 1e-15)
    if n < 3 or wide > 1.0:
        return 1.0
    log_radius = 0.5 * math.log(2.0 * wide / (1.0 - wide / 6.0))
    k = n - 1
    log_ball = 0.5 * k * math.log(math.pi) - math.lgamma(0.5 * k + 1.0) + k * log_radius
    return min(math.exp(0.5 * math.log(n) + log_ball - k * math.log(2.0 * math.pi)), 1.0)


def _beats(times: np.ndarray, period_s: float) -> tuple[int, float]:
    """Cycles with events, and the coherence of the cycles, each counted once however many events it has.

    A burst of many events is one beat: by itself it is coherent at any long period, and no rhythm.
    """
    phase = 2.0 * math.pi * ((times / period_s) % 1.0)
    vector = np.exp(1j * phase)
    # Cycles are cut opposite to the mean phase, so that no beat is cut in two.
    turn = np.angle(vector.mean()) / (2.0 * math.pi) - 0.5
    cycle = np.floor(times / period_s - turn).astype(np.int64)
    _, member, events = np.unique(cycle, return_inverse=True, return_counts=True)
    sums = np.bincount(member, vector.real) + 1j * np.bincount(member, vector.imag)
    return len(events), min(float(np.abs((sums / events).mean())), 1.0)


def dominant_period(times_s: ArrayLike) -> float:
    """The period at which the events are most coherent, s; 0 with fewer than `MIN_EVENTS` events.

    The greatest Rayleigh power n·R² over periods from half the span down to a quarter of the mean spacing;
    of a period and its harmonics that are about as good, the longest. There is a most coherent period in
    any events: `rhythm` says how sure it is.

    Parameters
    ----------
    times_s : array_like of float64, (n,)
        Event times, s, any order; of more than `MAX_EVENTS` the latest.

    Returns
    -------
    float
        Seconds.

    Raises
    ------
    ValueError
        If a time is not finite.

    Examples
    --------
    >>> round(dominant_period([0, 10, 20, 30, 40, 60, 70]), 6)
    10.0

    References
    ----------
    Leahy et al., On searches for pulsed emission, ApJ 266, 1983 (Rayleigh test over trial frequencies).
    """
    return _search(_times(times_s))[0]


@dataclass(frozen=True, slots=True)
class Rhythm:
    """Timing of a window of events (C2).

    Attributes
    ----------
    n : int
        Events.
    sufficient : bool
        False with fewer than `MIN_EVENTS`; every number is then 0 and `p_value` 1.
    dominant_period_s, phase_coherence : float
    p_value : float
        Probability that events at random show a period this coherent, for all periods tried together. All
        events within one cycle count as one beat, so that a burst is no rhythm.
    coherence_change : float
        Phase coherence less that of the window before at its own dominant period.
    latency_spread_ms : float
        Circular standard deviation of the phases as time: T/2π·√(−2 ln R), ms.
    """

    n: int
    sufficient: bool
    dominant_period_s: float = 0.0
    phase_coherence: float = 0.0
    p_value: float = 1.0
    coherence_change: float = 0.0
    latency_spread_ms: float = 0.0


def rhythm(times_s: ArrayLike, before: Rhythm | None = None) -> Rhythm:
    """Dominant period, coherence, its change and the latency spread of a window of events.

    Parameters
    ----------
    times_s : array_like of float64, (n,)
        Event times, s.
    before : Rhythm, optional
        That of the previous window.

    Returns
    -------
    Rhythm

    Examples
    --------
    >>> rhythm([1.0, 2.0]).sufficient
    False
    >>> rhythm(range(0, 300, 10)).p_value < 1e-6
    True

    References
    ----------
    Baluev, Assessing the statistical significance of periodogram peaks, MNRAS 385, 2008, equation 5.
    """
    times = _times(times_s)
    if len(times) < MIN_EVENTS:
        return Rhythm(len(times), False)
    period_s, trials = _search(times)
    if period_s == 0.0:  # all at one instant: no rhythm can be told
        return Rhythm(len(times), False)
    coherence = phase_coherence(times, period_s)
    beats, together = _beats(times, period_s)
    alone = min(rayleigh_p(together, beats), _tight_p(together, beats)) if beats >= MIN_EVENTS else 1.0
    # Baluev: how often a smooth periodogram over this band rises past the level, besides a single frequency.
    rises = trials * alone * math.sqrt(beats) * together
    p_value = min(1.0 - (1.0 - alone) * math.exp(-rises), 1.0) if alone > 1e-9 else min(alone + rises, 1.0)
    spread_ms = 1e3 * period_s / (2.0 * math.pi) * math.sqrt(-2.0 * math.log(max(coherence, 1e-12)))
    known = before is not None and before.sufficient
    change = coherence - before.phase_coherence if known and before else 0.0
    return Rhythm(len(times), True, period_s, coherence, p_value, change, max(spread_ms, 0.0))


def propagation(
    order: ArrayLike, times_s: ArrayLike, simultaneous_s: float = 0.1, alpha: float = 0.01
) -> tuple[Propagation, float]:
    """How an activity spreads over the nodes of a cluster, and the rank correlation of node order and time.

    *simultaneous* where all times lie within `simultaneous_s`; *sequential* where Spearman's rank
    correlation is significant at `alpha`; else *random*. With fewer than `MIN_EVENTS` nodes *insufficient*.

    Parameters
    ----------
    order : array_like of float, (n,)
        Place of each node along the supposed path.
    times_s : array_like of float, (n,)
        When each node was active, s.
    simultaneous_s, alpha : float

    Returns
    -------
    pattern : {"simultaneous", "sequential", "random", "insufficient"}
    correlation : float
        In [-1, 1]; 0 where it is not defined.

    Examples
    --------
    >>> propagation(range(8), [0, 1, 2, 3, 4, 5, 6, 7])[0]
    'sequential'
    """
    places, times = np.asarray(order, np.float64).ravel(), _times(times_s)
    if len(places) != len(times):
        raise ValueError(f"propagation: {len(places)} places and {len(times)} times; each node needs both")
    if len(times) < MIN_EVENTS:
        return "insufficient", 0.0
    constant = np.ptp(times) == 0.0 or np.ptp(places) == 0.0
    found = None if constant else spearmanr(places, times)
    correlation = float(found.statistic) if found is not None else 0.0
    if np.ptp(times) <= simultaneous_s:
        return "simultaneous", correlation
    return ("sequential" if found is not None and found.pvalue < alpha else "random"), correlation


def _times(times_s: ArrayLike) -> np.ndarray:
    """Times less the first of them, so that epoch seconds keep their digits when multiplied."""
    times = np.asarray(times_s, np.float64).ravel()
    if not np.isfinite(times).all():
        raise ValueError(f"event times hold {times[~np.isfinite(times)][0]}; they must be finite")
    return times - times.min() if len(times) else times


def _search(times: np.ndarray) -> tuple[float, float]:
    """Most coherent period, s, and the width of the band tried in units of the frequency resolution."""
    if len(times) > MAX_EVENTS:
        times = np.sort(times)[-MAX_EVENTS:]
        times = times - times[0]
    n, span = len(times), float(times.max(initial=0.0))
    if n < MIN_EVENTS or span <= 0.0:
        return 0.0, 1.0
    cycles_max = _HIGHEST_PER_EVENT * n
    # Binned to eight bins per shortest period: the FFT sees every event within 1/16 of a cycle of its place, and
    # the loss at the top of the band, sinc(1/8), is divided out.
    bins = math.ceil(8 * cycles_max)
    size = next_fast_len(_OVERSAMPLING * bins, real=True)
    place = np.minimum((times / span * bins).astype(np.int64), bins - 1)
    cycles = np.arange(size // 2 + 1) * (bins / size)  # of each frequency within the span
    low, high = np.searchsorted(cycles, [_LOWEST_CYCLES, cycles_max])
    amplitude = np.abs(rfft(np.bincount(place, minlength=bins).astype(np.float64), size))[low:high]
    power = (amplitude / (n * np.sinc(cycles[low:high] / bins))) ** 2
    trials = (cycles_max - _LOWEST_CYCLES) * math.sqrt(4.0 * math.pi) * float(np.std(times)) / span
    peak = np.flatnonzero(_is_peak(power) & (power >= _AS_GOOD * power.max()))
    # The first of the peaks is the longest period; what stands beside it may be only a little lower.
    best = int(peak[0])
    reach = float(cycles[1])
    return span / _refine(times / span, float(cycles[low + best]), reach), trials


def _is_peak(power: np.ndarray) -> np.ndarray:
    beside = np.pad(power, 1, constant_values=-1.0)
    return (power >= beside[:-2]) & (power >= beside[2:])


def _refine(unit_times: np.ndarray, cycles: float, reach: float) -> float:
    """The frequency of greatest coherence within ± reach, by golden section; 40 steps reach 1e-8 of it."""
    golden = (math.sqrt(5.0) - 1.0) / 2.0
    a, b = cycles - reach, cycles + reach
    c, d = b - golden * (b - a), a + golden * (b - a)
    at_c, at_d = _resultant(unit_times, c), _resultant(unit_times, d)
    for _ in range(40):
        if at_c > at_d:
            b, d, at_d = d, c, at_c
            c = b - golden * (b - a)
            at_c = _resultant(unit_times, c)
        else:
            a, c, at_c = c, d, at_d
            d = a + golden * (b - a)
            at_d = _resultant(unit_times, d)
    return 0.5 * (a + b)
