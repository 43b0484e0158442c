"""Null tests of the log-prime error: how small would it be if there were nothing to find?

Each test randomises one thing, measures again, and states a p-value and the whole null distribution. Conventions of
this hunt, as the metric is. This module must not know of files; chance enters only through the generator it is given.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.fft
from numpy.typing import ArrayLike, NDArray

from engine.runs.metrics import LOG_PRIMES, RadialBins, fit_targets, peaks_of

NULL_CAP = 1000.0
"""A null error counts as no more than this, so that one wild draw does not make a run look good."""


@dataclass(frozen=True, eq=False)
class NullTest:
    """What a null test gave.

    Parameters
    ----------
    observed : float
        The error of the run itself.
    null : ndarray of float64, shape (draws,)
        The errors under randomisation, each at most `NULL_CAP`.
    """

    observed: float
    null: NDArray[np.float64]

    @property
    def p_value(self) -> float:
        """Chance of so small an error with nothing to find: (1 + number of null ≤ observed) / (1 + draws).

        The observed one counts as a draw, so that the value is valid however few draws there are (Phipson and Smyth
        2010); ties count against the run.

        Returns
        -------
        float
            From 1/(1 + draws) to 1.

        Examples
        --------
        >>> NullTest(1.0, np.array([0.5, 1.0, 2.0])).p_value
        0.75
        """
        return float((1 + np.count_nonzero(self.null <= self.observed)) / (1 + self.null.size))

    @property
    def delta(self) -> float:
        """How much larger the error is with nothing to find: mean of null − observed.

        Returns
        -------
        float

        Examples
        --------
        >>> NullTest(1.0, np.array([0.5, 2.5])).delta
        0.5
        """
        return float(np.mean(self.null) - self.observed)


def scrambled(amplitude: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    """A field with the amplitude spectrum of another and random phases; its mean stays.

    Parameters
    ----------
    amplitude : float64, shape (N, N)
    rng : numpy.random.Generator

    Returns
    -------
    ndarray of float64, shape (N, N)

    Examples
    --------
    >>> field = np.arange(16.0).reshape(4, 4)
    >>> other = scrambled(field, np.random.default_rng(0))
    >>> bool(np.allclose(abs(np.fft.fft2(other)), abs(np.fft.fft2(field)))), round(float(other.mean()), 9)
    (True, 7.5)
    """
    spectrum = scipy.fft.rfft2(amplitude)
    # The phases of real white noise are uniform, independent, and mirror-symmetric as a real field needs them.
    noise = scipy.fft.rfft2(rng.standard_normal(amplitude.shape))
    phase = noise / np.abs(noise)
    phase[0, 0] = np.sign(spectrum[0, 0].real)
    return scipy.fft.irfft2(np.abs(spectrum) * phase, s=amplitude.shape)


def phase_scramble_test(
    rho: ArrayLike, draws: int, rng: np.random.Generator, targets: ArrayLike = LOG_PRIMES
) -> NullTest:
    """Is the error smaller than the amplitude spectrum of \\|ψ\\| alone would make it?

    The phases of √ρ = \\|ψ\\| are replaced by random ones and ρ is its square again. **Scrambling ρ itself would test
    nothing**: its power spectrum, of which the error is made, does not depend on its phases. The null says: \\|ψ\\| is
    a random field with this spectrum.

    Parameters
    ----------
    rho : float, shape (N, N)
    draws : int
    rng : numpy.random.Generator
    targets : float, shape (n,)

    Returns
    -------
    NullTest

    Examples
    --------
    >>> rho = np.random.default_rng(0).random((16, 16))
    >>> test = phase_scramble_test(rho, 19, np.random.default_rng(1))
    >>> 0.05 <= test.p_value <= 1.0
    True
    """
    field, lines = np.asarray(rho), np.asarray(targets, np.float64)
    bins = RadialBins(field.shape[0])
    amplitude = np.sqrt(field.astype(np.float64))
    null = np.empty(draws)
    for draw in range(draws):
        # The type of the stored field decides what is rounding, for the null as for the run.
        other = (scrambled(amplitude, rng) ** 2).astype(field.dtype)
        null[draw] = fit_targets(peaks_of(other, bins, lines.size), lines)[0]
    observed = fit_targets(peaks_of(field, bins, lines.size), lines)[0]
    return NullTest(observed, np.minimum(null, NULL_CAP))


def target_shuffle_test(
    peaks: ArrayLike, draws: int, rng: np.random.Generator, targets: ArrayLike = LOG_PRIMES
) -> NullTest:
    """Do the peaks fit these targets better than others with the same gaps in another order?

    The gaps of 0, ln 2, ln 3, ln 5, … are put in random order and summed up again. **Shuffling which target belongs
    to which peak would always favour the run**: of all assignments the ascending one has the least error (the
    rearrangement inequality). Only targets that a peak stands for take part: what a missing peak costs says nothing
    about order. With fewer than two peaks there is no order, and the p-value is 1.

    Parameters
    ----------
    peaks : float, shape (m,)
        Ascending, above 0.
    draws : int
    rng : numpy.random.Generator
    targets : float, shape (n,)
        Ascending, above 0.

    Returns
    -------
    NullTest

    Examples
    --------
    >>> target_shuffle_test(LOG_PRIMES, 19, np.random.default_rng(0)).observed
    0.0
    """
    lines = np.asarray(targets, np.float64)[: len(np.atleast_1d(peaks))]
    gaps = np.diff(lines, prepend=0.0)
    null = np.array([fit_targets(peaks, np.cumsum(rng.permutation(gaps)))[0] for _ in range(draws)])
    return NullTest(fit_targets(peaks, lines)[0], np.minimum(null, NULL_CAP))
