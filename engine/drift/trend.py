"""Is it rising, how fast, and is that more than chance: Theil-Sen slope and Mann-Kendall test.

Both look at pairs of values only, so single wild values move them little. They assume values that do not
depend on their neighbours; values of overlapping windows do, and must be thinned before they come here.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import ArrayLike
from scipy.special import ndtr, ndtri

MAX_POINTS = 2_000
"""All pairs of this many values are 2 million slopes, 16 MB; longer series are to be thinned first."""


class Slope(NamedTuple):
    """Slope with its confidence interval, in units of y per unit of t."""

    slope: float
    low: float
    high: float


class MannKendall(NamedTuple):
    """Kendall's S with its variance, the continuity-corrected z, the two-sided p value, and tau-b."""

    s: int
    var_s: float
    z: float
    p: float
    tau: float


@njit(cache=True, nogil=True)
def _pair_slopes(t: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Slopes between all pairs with different times."""
    n = t.shape[0]
    out = np.empty(n * (n - 1) // 2)
    k = 0
    for i in range(n):
        for j in range(i + 1, n):
            if t[j] != t[i]:
                out[k] = (y[j] - y[i]) / (t[j] - t[i])
                k += 1
    return out[:k]


@njit(cache=True, nogil=True)
def _kendall_s(t: np.ndarray, y: np.ndarray) -> int:
    """Concordant less discordant pairs."""
    s = 0
    for i in range(t.shape[0]):
        for j in range(i + 1, t.shape[0]):
            s += int(np.sign(t[j] - t[i]) * np.sign(y[j] - y[i]))
    return s


def theil_sen(t: ArrayLike, y: ArrayLike, confidence: float = 0.95) -> Slope:
    """Robust slope: the median of the slopes of all pairs, with Sen's confidence interval.

    Up to 29 % of the values may be arbitrarily wrong. With fewer than two different times nothing is known:
    slope 0, interval from minus to plus infinity.

    Parameters
    ----------
    t, y : array_like of float, (n,)
        Times and values, n up to `MAX_POINTS`, any order.
    confidence : float
        Of the interval, in (0, 1).

    Returns
    -------
    Slope
        (slope, low, high), units of y per unit of t.

    Raises
    ------
    ValueError
        If lengths differ, a value is not finite, there are too many, or the confidence is no probability.

    Examples
    --------
    >>> theil_sen([0, 1, 2, 3, 4], [0, 1, 2, 3, 1000]).slope
    1.0

    References
    ----------
    Sen, Estimates of the regression coefficient based on Kendall's tau, JASA 63, 1968; Theil, 1950.
    """
    if not 0.0 < confidence < 1.0:
        raise ValueError(f"confidence is {confidence}; a probability between 0 and 1 is needed")
    times, values = _series(t, y, "theil_sen")
    slopes = np.sort(_pair_slopes(times, values))
    if not len(slopes):
        return Slope(0.0, -math.inf, math.inf)
    n = len(times)
    # Sen's equation 2.6: the variance of S, lessened by ties, tells which order statistics bound the interval.
    sigma = math.sqrt(max(_var_s(times, values), 0.0))
    reach = float(ndtri(0.5 + 0.5 * confidence)) * sigma
    upper = min(round((len(slopes) + reach) / 2.0), len(slopes) - 1)
    lower = max(round((len(slopes) - reach) / 2.0) - 1, 0)
    if n < 3:  # a single pair knows no spread
        return Slope(float(slopes[0]), -math.inf, math.inf)
    middle = 0.5 * (slopes[(len(slopes) - 1) // 2] + slopes[len(slopes) // 2])
    return Slope(float(middle), float(slopes[lower]), float(slopes[upper]))


def mann_kendall(t: ArrayLike, y: ArrayLike) -> MannKendall:
    """Mann-Kendall test for a monotone trend, ties corrected.

    The normal approximation with continuity correction; good from about 10 values, cautious below.

    Parameters
    ----------
    t, y : array_like of float, (n,)
        Times and values, n up to `MAX_POINTS`.

    Returns
    -------
    MannKendall
        (s, var_s, z, p, tau); p is 1 where all values or all times are equal, or n < 3.

    Raises
    ------
    ValueError
        As for `theil_sen`.

    Examples
    --------
    >>> mann_kendall(range(10), range(10)).s, round(mann_kendall(range(10), range(10)).p, 5)
    (45, 8e-05)

    References
    ----------
    Mann, Nonparametric tests against trend, 1945; Kendall, Rank correlation methods, 1975, chapter 4.
    """
    times, values = _series(t, y, "mann_kendall")
    n = len(times)
    s = int(_kendall_s(times, values))
    var_s = _var_s(times, values)
    if n < 3 or var_s <= 0.0:
        return MannKendall(s, max(var_s, 0.0), 0.0, 1.0, 0.0)
    z = (s - math.copysign(1.0, s)) / math.sqrt(var_s) if s else 0.0
    pairs = n * (n - 1) / 2
    untied = (pairs - _tie_sums(times)[0] / 2.0) * (pairs - _tie_sums(values)[0] / 2.0)
    tau = min(max(s / math.sqrt(untied), -1.0), 1.0)
    return MannKendall(s, var_s, z, float(min(2.0 * ndtr(-abs(z)), 1.0)), tau)


def _series(t: ArrayLike, y: ArrayLike, name: str) -> tuple[np.ndarray, np.ndarray]:
    times, values = np.asarray(t, np.float64).ravel(), np.asarray(y, np.float64).ravel()
    if len(times) != len(values):
        raise ValueError(f"{name}: {len(times)} times and {len(values)} values; each value needs its time")
    if len(times) > MAX_POINTS:
        raise ValueError(f"{name}: {len(times)} values; thin the series to at most {MAX_POINTS}")
    if not (np.isfinite(times).all() and np.isfinite(values).all()):
        raise ValueError(f"{name}: times and values must be finite")
    return times, values


@njit(cache=True, nogil=True)
def _tie_sums(values: np.ndarray) -> tuple[float, float, float]:
    """Over the groups of u equal values the sums of u(u−1), u(u−1)(u−2) and u(u−1)(2u+5)."""
    ordered = np.sort(values)
    pairs = triples = third = 0.0
    first = 0
    for i in range(1, ordered.shape[0] + 1):
        if i == ordered.shape[0] or ordered[i] != ordered[first]:
            u = float(i - first)
            pairs += u * (u - 1.0)
            triples += u * (u - 1.0) * (u - 2.0)
            third += u * (u - 1.0) * (2.0 * u + 5.0)
            first = i
    return pairs, triples, third


def _var_s(t: np.ndarray, y: np.ndarray) -> float:
    """Variance of Kendall's S when nothing depends on time, with ties on both sides (Kendall 1975, 4.4)."""
    n = float(len(t))
    if n < 2:
        return 0.0
    (pairs_t, triples_t, third_t), (pairs_y, triples_y, third_y) = _tie_sums(t), _tie_sums(y)
    var = (n * (n - 1.0) * (2.0 * n + 5.0) - third_t - third_y) / 18.0
    var += pairs_t * pairs_y / (2.0 * n * (n - 1.0))
    if n > 2:
        var += triples_t * triples_y / (9.0 * n * (n - 1.0) * (n - 2.0))
    return float(var)
