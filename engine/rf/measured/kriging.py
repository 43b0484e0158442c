"""Kriging of scattered values in a plane, from local neighbourhoods, and the covariance by maximum likelihood.

Values carry a known noise variance each. Work grows with the number of targets times the cube of the
neighbourhood, not with the cube of the number of values. It knows positions in metres and numbers,
nothing of radio.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numba import njit, prange
from scipy.optimize import minimize
from scipy.spatial import cKDTree

from engine.rf.measured.threads import threads_for

PER_OCTANT = 6
"""Neighbours taken from each eighth of the compass: along a walked track the nearest alone all lie on one side."""

CANDIDATES = 256
"""Nearest values among which the octants choose."""

PREDECESSORS = 16
"""Values that each one is conditioned on in the likelihood."""

LIKELIHOOD_VALUES = 300
"""Values of each group that the likelihood looks at."""


@dataclass(frozen=True)
class Covariance:
    """``sill_db2 · matern(distance / range_m)``, and `nugget_db2` more for a value with itself.

    Attributes
    ----------
    sill_db2, nugget_db2 : float
        Variance that neighbours share, and that they do not (fast fading, antenna in hand), dB².
    range_m : float
        Scale of the distance, m: the exponential falls to 1/e there; ``sqrt(3)`` of it in the
        Matérn 3/2.
    smoothness : {0.5, 1.5}
        0.5 is the exponential (Gudmundson's law of shadowing).

    References
    ----------
    Gudmundson 1991, Electronics Letters 27; Rasmussen & Williams, Gaussian Processes, section 4.2.1.
    """

    sill_db2: float
    range_m: float
    nugget_db2: float
    smoothness: float = 0.5

    def __post_init__(self) -> None:
        if self.smoothness not in (0.5, 1.5):
            raise ValueError(f"smoothness is {self.smoothness}; 0.5 (exponential) and 1.5 (Matérn 3/2) are known")
        if not (self.sill_db2 >= 0 and self.nugget_db2 >= 0 and self.range_m > 0):
            raise ValueError(
                f"sill {self.sill_db2} and nugget {self.nugget_db2} dB² must not be negative, "
                f"range {self.range_m} m must be positive"
            )

    @property
    def total_db2(self) -> float:
        """Variance of one value, dB²."""
        return self.sill_db2 + self.nugget_db2


@njit(cache=True, nogil=True, error_model="numpy", inline="always")
def _correlation(distance, range_m, smooth):
    u = distance / range_m
    if smooth:
        u *= 1.7320508075688772
        return (1.0 + u) * math.exp(-u)
    return math.exp(-u)


@njit(cache=True, nogil=True, error_model="numpy")
def _solve_local(rows, count, east, north, values, noise, x, y, sill, range_m, nugget, smooth, work):
    """Forward-solve the local system; the last rows of `work` keep L⁻¹k, L⁻¹v and L⁻¹1. Value variance is > 0."""
    right = work[work.shape[0] - 3 :]
    for a in range(count):
        i = rows[a]
        right[0, a] = sill * _correlation(math.hypot(east[i] - x, north[i] - y), range_m, smooth)
        right[1, a] = values[i]
        right[2, a] = 1.0
        for b in range(a + 1):
            j = rows[b]
            c = sill * _correlation(math.hypot(east[i] - east[j], north[i] - north[j]), range_m, smooth)
            if a == b:
                c += nugget + noise[i]
            for k in range(b):
                c -= work[a, k] * work[b, k]
            work[a, b] = math.sqrt(max(c, 1e-12)) if a == b else c / work[b, b]
        for side in range(3):
            s = right[side, a]
            for k in range(a):
                s -= work[a, k] * right[side, k]
            right[side, a] = s / work[a, a]
    return right


@njit(cache=True, nogil=True, error_model="numpy", parallel=True)
def _krige(neighbours, east, north, values, noise, x, y, sill, range_m, nugget, smooth, ordinary, mean, variance):
    width = neighbours.shape[1]
    chunks = max(1, min(64, x.size // 16))
    for chunk in prange(chunks):
        work = np.empty((width + 3, width))
        for t in range(chunk * x.size // chunks, (chunk + 1) * x.size // chunks):
            rows = neighbours[t]
            count = 0
            while count < width and rows[count] >= 0:
                count += 1
            right = _solve_local(
                rows, count, east, north, values, noise, x[t], y[t], sill, range_m, nugget, smooth, work
            )
            kk = kv = k1 = v1 = ones = 0.0
            for a in range(count):
                kk += right[0, a] * right[0, a]
                kv += right[0, a] * right[1, a]
                k1 += right[0, a] * right[2, a]
                v1 += right[1, a] * right[2, a]
                ones += right[2, a] * right[2, a]
            mean[t] = kv
            variance[t] = sill - kk
            if ordinary and count > 0:
                # the unknown mean of the neighbourhood by generalised least squares, and its uncertainty
                mean[t] += v1 / ones * (1.0 - k1)
                variance[t] += (1.0 - k1) ** 2 / ones
            variance[t] = max(variance[t], 0.0)


@njit(cache=True, nogil=True, error_model="numpy", parallel=True)
def _vecchia(predecessors, east, north, values, noise, sill, range_m, nugget, smooth, out):
    width = predecessors.shape[1]
    chunks = max(1, min(64, values.size // 16))
    for chunk in prange(chunks):
        work = np.empty((width + 3, width))
        for i in range(chunk * values.size // chunks, (chunk + 1) * values.size // chunks):
            count = 0
            while count < width and predecessors[i, count] >= 0:
                count += 1
            right = _solve_local(
                predecessors[i],
                count,
                east,
                north,
                values,
                noise,
                east[i],
                north[i],
                sill,
                range_m,
                nugget,
                smooth,
                work,
            )
            kk = kv = 0.0
            for a in range(count):
                kk += right[0, a] * right[0, a]
                kv += right[0, a] * right[1, a]
            variance = max(sill - kk, 0.0) + nugget + noise[i]
            out[i] = -0.5 * (math.log(2.0 * math.pi * variance) + (values[i] - kv) ** 2 / variance)


def neighbours_by_octant(
    east_m: np.ndarray, north_m: np.ndarray, x_m: np.ndarray, y_m: np.ndarray, per_octant: int = PER_OCTANT
) -> np.ndarray:
    """Rows of the nearest values around each target, at most `per_octant` from each eighth of the compass.

    Returns
    -------
    ndarray of int64, shape (targets, 8 per_octant)
        Padded with -1 at the end.
    """
    n = east_m.size
    out = np.full((x_m.size, 8 * per_octant), -1, dtype=np.int64)
    if n == 0 or x_m.size == 0:
        return out
    _, found = cKDTree(np.column_stack([east_m, north_m])).query(
        np.column_stack([x_m, y_m]), k=np.arange(1, min(n, CANDIDATES) + 1)
    )
    _choose(found, east_m, north_m, x_m, y_m, per_octant, out)
    return out


@njit(cache=True, nogil=True)
def _choose(found, east, north, x, y, per_octant, out):
    for t in range(x.size):
        taken = np.zeros(8, np.int64)
        count = 0
        for a in range(found.shape[1]):
            i = found[t, a]
            octant = math.floor(math.atan2(north[i] - y[t], east[i] - x[t]) / (math.pi / 4.0)) % 8
            if taken[octant] < per_octant:
                taken[octant] += 1
                out[t, count] = i
                count += 1
                if count == out.shape[1]:
                    break


def krige(
    covariance: Covariance,
    values_at_m: tuple[np.ndarray, np.ndarray],
    values: np.ndarray,
    noise_variance: np.ndarray,
    targets_m: tuple[np.ndarray, np.ndarray],
    *,
    mean: Literal["zero", "unknown"] = "unknown",
    neighbours: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Best linear prediction of the smooth part at each target, and its variance.

    Parameters
    ----------
    covariance : Covariance
    values_at_m : (ndarray, ndarray)
        East and north of the n values, m.
    values, noise_variance : ndarray, shape (n,)
        Values (dB) and what is known of their noise (dB²) beyond the nugget.
    targets_m : (ndarray, ndarray)
        East and north of the m targets, m.
    mean : {"unknown", "zero"}
        Ordinary kriging (a constant mean, unknown in each neighbourhood) or simple kriging.
    neighbours : ndarray of int, shape (m, k), optional
        Values to use for each target, padded with -1; by default `neighbours_by_octant`.

    Returns
    -------
    mean, variance : ndarray, shape (m,)
        dB and dB². Add the nugget for a new measurement. A target without neighbours has mean 0 and
        the sill.

    References
    ----------
    Chilès & Delfiner, Geostatistics, 2nd ed., sections 3.2 and 3.4.
    """
    east, north = (np.ascontiguousarray(part, dtype=np.float64) for part in values_at_m)
    x, y = (np.ascontiguousarray(part, dtype=np.float64) for part in targets_m)
    if neighbours is None:
        neighbours = neighbours_by_octant(east, north, x, y)
    out, variance = np.empty(x.size), np.empty(x.size)
    _krige(
        neighbours, east, north, np.asarray(values, np.float64), np.asarray(noise_variance, np.float64), x, y,
        covariance.sill_db2, covariance.range_m, covariance.nugget_db2, covariance.smoothness == 1.5,
        mean == "unknown", out, variance,
    )  # fmt: skip
    return out, variance


def fit_covariance(
    east_m: np.ndarray, north_m: np.ndarray, values: np.ndarray, noise_variance: np.ndarray, group: np.ndarray,
    *, seed: int = 0,
) -> Covariance:  # fmt: skip
    """Covariance of zero-mean values that are independent between groups, by maximum likelihood.

    Vecchia's likelihood: in a random order each value is conditioned on its nearest `PREDECESSORS`
    among those before it, so that near and far pairs both count. Exponential and Matérn 3/2 are
    tried; the likelier one is taken.

    Raises
    ------
    ValueError
        Fewer than ten values.

    References
    ----------
    Vecchia 1988, J. R. Statist. Soc. B 50; Katzfuss & Guinness 2021, Statistical Science 36.
    """
    if values.size < 10:
        raise ValueError(f"{values.size} values do not determine a covariance; at least 10 are needed")
    rows, before = _random_order(east_m, north_m, group, np.random.default_rng(seed))
    east, north, values, noise = east_m[rows], north_m[rows], values[rows], noise_variance[rows]
    total = float(np.mean(values**2))
    scale = float(np.hypot(np.std(east), np.std(north)))
    out = np.empty(values.size)

    def negative(parameters: np.ndarray, smooth: bool) -> float:
        sill, range_m, nugget = np.exp(np.clip(parameters, -14.0, 14.0))
        _vecchia(before, east, north, values, noise, sill, range_m, nugget, smooth, out)
        return -float(out.sum())

    start = np.log([0.6 * total + 1e-6, 0.1 * scale + 1e-3, 0.3 * total + 1e-6])
    options = {"xatol": 0.03, "fatol": 0.3, "maxfev": 90}
    with threads_for(values.size):
        fits = {
            smoothness: minimize(negative, start, args=(smoothness == 1.5,), method="Nelder-Mead", options=options)
            for smoothness in (0.5, 1.5)
        }
    best = 0.5 if fits[0.5].fun <= fits[1.5].fun else 1.5
    sill, range_m, nugget = (float(value) for value in np.exp(fits[best].x))
    return Covariance(sill, range_m, nugget, best)


def _random_order(
    east: np.ndarray, north: np.ndarray, group: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Rows in random order, group by group, and for each its nearest predecessors (positions in that order)."""
    order, before = [], []
    offset = 0
    for member in np.unique(group):
        mine = rng.permutation(np.flatnonzero(group == member))[:LIKELIHOOD_VALUES]
        at = np.column_stack([east[mine], north[mine]])
        found = np.full((mine.size, PREDECESSORS), -1, dtype=np.int64)
        begin = 1
        while begin < mine.size:
            # all of one octave of ranks are conditioned on the ranks before that octave
            end = min(2 * begin, mine.size)
            k = min(begin, PREDECESSORS)
            found[begin:end, :k] = cKDTree(at[:begin]).query(at[begin:end], k=np.arange(1, k + 1))[1] + offset
            begin = end
        order.append(mine)
        before.append(found)
        offset += mine.size
    return np.concatenate(order), np.concatenate(before)
