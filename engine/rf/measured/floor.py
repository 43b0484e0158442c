"""A receiver's noise floor: what it reports of a signal of given level, and what a report tells of the level.

A receiver reports the sum of the signal's and its own noise power, so a report near the floor says
little of the signal but that it was weak. ``report = 10 log10(10^(S/10) + 10^(floor/10)) + error``.
Compiled, plain arrays; it must not know positions.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit, prange

from engine.rf.measured.threads import threads_for

NODES = 65
"""Nodes of the integrals over the signal's level, across six standard deviations to either side."""

REACH = 6.0
LEAST_INFORMATION = 1e-5
"""Least precision a report is given, 1/dB²: a variance of 10⁵ dB² says nothing."""


@njit(cache=True, nogil=True, error_model="numpy")
def reported(signal_db, floor_db):
    """Signal plus noise floor, dB, summed as powers."""
    top = max(signal_db, floor_db)
    return top + 10.0 * math.log10(1.0 + 10.0 ** (-abs(signal_db - floor_db) / 10.0))


@njit(cache=True, nogil=True, error_model="numpy")
def _log_likelihood(y, heard, signal_db, floor_db, error_db):
    z = (y - reported(signal_db, floor_db)) / error_db
    if heard:
        return -0.5 * z * z - math.log(error_db) - 0.9189385332046727
    return math.log(max(0.5 * math.erfc(-z / math.sqrt(2.0)), 1e-300))


@njit(cache=True, nogil=True, error_model="numpy")
def moments(y, heard, floor_db, error_db, mean, variance):
    """Log evidence, mean and variance of the signal's level given one report and a normal prior, dB."""
    sd = math.sqrt(variance)
    step = 2.0 * REACH * sd / (NODES - 1)
    # the prior's window, moved where a report far out in its tail would fall outside
    centre = mean
    if y > floor_db + 3.0 and y > mean + (REACH - 1.0) * sd:
        centre = mean + (y - mean) * 0.5
        step = step * (1.0 + 0.5 * (y - mean) / (REACH * sd))
    top = -np.inf
    logs = np.empty(NODES)
    for k in range(NODES):
        signal = centre + (k - (NODES - 1) / 2) * step
        prior = (signal - mean) / sd
        logs[k] = _log_likelihood(y, heard, signal, floor_db, error_db) - 0.5 * prior * prior
        top = max(top, logs[k])
    total = first = second = 0.0
    for k in range(NODES):
        offset = (k - (NODES - 1) / 2) * step
        weight = math.exp(logs[k] - top)
        total += weight
        first += weight * offset
        second += weight * offset * offset
    first /= total
    evidence = top + math.log(total * step / sd) - 0.9189385332046727
    return evidence, centre + first, max(second / total - first * first, 1e-9)


@njit(cache=True, nogil=True, error_model="numpy", parallel=True)
def signal_sites(y, heard, floor_db, error_db, mean, variance, out_level, out_variance):
    """The normal observation of the signal that each report amounts to: one pass of expectation propagation.

    Mean and variance of the signal given the report are matched, and the prior divided out. Far above
    the floor this is the report itself with variance ``error_db²``; at the floor, "weak" and a large
    variance.

    References
    ----------
    Minka 2001, Expectation propagation for approximate Bayesian inference, section 3.
    """
    for i in prange(y.size):
        _, level, spread = moments(y[i], heard[i], floor_db[i], error_db[i], mean[i], variance[i])
        precision = max(1.0 / spread - 1.0 / variance[i], LEAST_INFORMATION)
        out_variance[i] = 1.0 / precision
        out_level[i] = (
            (level / spread - mean[i] / variance[i]) / precision if precision > LEAST_INFORMATION else mean[i]
        )


@njit(cache=True, nogil=True, error_model="numpy", parallel=True)
def log_evidence(y, heard, floor_db, error_db, mean, variance, out):
    """Log probability density of each report, floor and error each one number per report."""
    for i in prange(y.size):
        out[i] = moments(y[i], heard[i], floor_db[i], error_db[i], mean[i], variance[i])[0]


@njit(cache=True, nogil=True, error_model="numpy", parallel=True)
def reports(mean, variance, floor_db, error_db, tail, out):
    """Mean, standard deviation and the two `tail` quantiles of reports of a normal signal, into out (n, 4), dB."""
    for i in prange(mean.size):
        sd = math.sqrt(max(variance[i], 1e-12))
        values, weights = np.empty(NODES), np.empty(NODES)
        total = first = 0.0
        for k in range(NODES):
            z = (k - (NODES - 1) / 2) * (2.0 * REACH / (NODES - 1))
            weights[k] = math.exp(-0.5 * z * z)
            values[k] = reported(mean[i] + z * sd, floor_db[i])
            total += weights[k]
            first += weights[k] * values[k]
        first /= total
        second = 0.0
        for k in range(NODES):
            weights[k] /= total
            second += weights[k] * (values[k] - first) ** 2
        out[i, 0] = first
        out[i, 1] = math.sqrt(second + error_db[i] ** 2)
        for side in range(2):
            wanted = tail if side == 0 else 1.0 - tail
            low, high = values[0] - 6.0 * error_db[i], values[-1] + 6.0 * error_db[i]
            for _ in range(24):
                middle = 0.5 * (low + high)
                below = 0.0
                for k in range(NODES):
                    below += weights[k] * 0.5 * math.erfc((values[k] - middle) / (error_db[i] * 1.4142135623730951))
                if below < wanted:
                    low = middle
                else:
                    high = middle
            out[i, 2 + side] = 0.5 * (low + high)


ERRORS_DB = (0.6, 0.9, 1.3)
"""Candidates for the error of a report, dB, standard deviation."""

MOST_RECORDS = 120
"""Records of a chain from which its floor is estimated."""


def fit_floor(
    y: np.ndarray, heard: np.ndarray, mean: np.ndarray, variance: np.ndarray, chain: np.ndarray, n_chains: int
) -> tuple[np.ndarray, np.ndarray]:
    """Noise floor and error of reports of each chain, dB, by maximum likelihood given the expected signals.

    Parameters
    ----------
    y, heard, mean, variance : ndarray, shape (n,)
        Reports (dB), whether heard, and the prior of each signal (dB, dB²).
    chain : ndarray of int, shape (n,)
    n_chains : int

    Returns
    -------
    floor_db, error_db : ndarray, shape (n_chains,)
        Floor far below the weakest report, and the middle error, for chains without records.
    """
    sample = _sample(chain)
    y, heard, mean, variance, chain = y[sample], heard[sample], mean[sample], variance[sample], chain[sample]
    weakest = np.full(n_chains, np.inf)
    np.minimum.at(weakest, chain, y)
    weakest[~np.isfinite(weakest)] = -200.0
    best = np.full(n_chains, -np.inf)
    floor, error = weakest - 10.0, np.full(n_chains, ERRORS_DB[1])
    out = np.empty(y.size)

    def likelihood(floor_db: np.ndarray, error_db: float) -> np.ndarray:
        with threads_for(y.size):
            log_evidence(y, heard, floor_db[chain], np.full(y.size, error_db), mean, variance, out)
        return np.bincount(chain, out, n_chains)

    for candidate in ERRORS_DB:
        offsets = np.arange(-4.0, 6.5, 1.0)
        values = np.stack([likelihood(weakest + offset, candidate) for offset in offsets])
        top = np.clip(values.argmax(axis=0), 1, len(offsets) - 2)
        left, middle, right = (np.take_along_axis(values, (top + k)[None], axis=0)[0] for k in (-1, 0, 1))
        bend = left - 2.0 * middle + right
        shift = np.where(bend < -1e-9, 0.5 * (left - right) / np.where(bend < -1e-9, bend, 1.0), 0.0)
        refined = weakest + offsets[top] + np.clip(shift, -1.0, 1.0)
        reached = likelihood(refined, candidate)
        better = (reached > best) & (np.bincount(chain, minlength=n_chains) > 0)
        floor, error, best = (
            np.where(better, new, old) for new, old in ((refined, floor), (candidate, error), (reached, best))
        )
    return floor, error


def _sample(chain: np.ndarray) -> np.ndarray:
    """At most `MOST_RECORDS` of each chain, evenly through its records."""
    order = np.argsort(chain, kind="stable")
    count = np.bincount(chain)
    rank = np.arange(chain.size) - (np.cumsum(count) - count)[chain[order]]
    step = np.maximum(1, -(-count // MOST_RECORDS))[chain[order]]
    return order[rank % step == 0]
