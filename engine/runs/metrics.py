"""What is measured on a finished run, from its raw arrays alone.

**These metrics are conventions of this hunt, not established physics**; each docstring says exactly what is computed.
This module must not know of files or hunts, nor of what a metric is used for.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.fft
import scipy.signal
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]

LOG_PRIMES: tuple[float, ...] = tuple(float(np.log(p)) for p in (2, 3, 5, 7, 11, 13))
"""Target lines: the natural logarithms of the first six primes."""

_NOISE_FLOOR = 100.0
"""Power below this many squared roundings of the stored type, as a share of all power, is rounding and no spectrum."""


class RadialBins:
    """Rings of a square spectrum: ring n holds the modes whose \\|k\\|, in steps of 2π/L, rounds to n.

    Parameters
    ----------
    n : int
        Cells along a side.
    domain_size : float
        Length L of a side.

    Attributes
    ----------
    wavenumber : ndarray of float64, shape (n // 2 + 1,)
        Mean \\|k\\| of each ring, 1/length. Corners beyond n // 2 belong to no ring.
    """

    def __init__(self, n: int, domain_size: float = 2.0 * np.pi) -> None:
        self.n, self.rings = n, n // 2 + 1
        rows = np.abs(scipy.fft.fftfreq(n, 1.0 / n))[:, None]
        columns = np.arange(n // 2 + 1)[None, :]
        radius = np.hypot(rows, columns)
        self._ring = np.minimum(np.rint(radius).astype(np.int64), self.rings).ravel()
        # A half spectrum has each mode that is not its own mirror image in place of two.
        twice = (columns > 0) & (2 * columns < n)
        self._weight = np.broadcast_to(np.where(twice, 2.0, 1.0), radius.shape).ravel()
        self._count = self._sum(self._weight)
        self.wavenumber = self._sum(self._weight * radius.ravel()) / self._count * (2.0 * np.pi / domain_size)

    def mean_power(self, field: ArrayLike) -> Array:
        """Mean power of the modes of each ring; the sum over all modes of a field is its mean square.

        Parameters
        ----------
        field : float, shape (n, n)

        Returns
        -------
        ndarray of float64, shape (n // 2 + 1,)

        Examples
        --------
        >>> x = 2 * np.pi * np.arange(16) / 16
        >>> power = RadialBins(16).mean_power(np.cos(3 * x)[None, :] * np.ones((16, 1)))
        >>> int(power.argmax())
        3
        """
        spectrum = scipy.fft.rfft2(np.asarray(field, np.float64)) / self.n**2
        power = (spectrum.real**2 + spectrum.imag**2).ravel()
        return self._sum(self._weight * power) / self._count

    def _sum(self, values: Array) -> Array:
        return np.bincount(self._ring, values, self.rings + 1)[: self.rings].astype(np.float64)


@dataclass(frozen=True)
class LogPrimeFit:
    """Peaks of a radial spectrum set against the targets; see `log_prime_fit`.

    Parameters
    ----------
    sse : float
        Sum of squared errors, no unit.
    scale : float
        Fitted factor from wavenumber to target, a length; 0 if there is no peak.
    peaks : tuple of float
        Wavenumbers of the peaks taken, ascending, 1/length.
    """

    sse: float
    scale: float
    peaks: tuple[float, ...]


def spectral_peaks(wavenumber: Array, power: Array, count: int, floor: float = 0.0) -> Array:
    """Wavenumbers of the most prominent peaks of a radial spectrum.

    A peak is a local maximum of ln power over the rings 1, 2, …: higher than its neighbours on both sides. Ring 0 is
    the mean and ring 1 the box, so that the first ring that can be a peak is the second. Taken are the `count`
    peaks of greatest prominence in ln power; the place of each is the top of the parabola through it and its two
    neighbours.

    Parameters
    ----------
    wavenumber, power : float64, shape (rings,)
    count : int
    floor : float
        Power below this is taken as this: what is under it is rounding.

    Returns
    -------
    ndarray of float64, shape (at most `count`,)
        Ascending.

    Examples
    --------
    >>> spectral_peaks(np.arange(7.0), np.array([9.0, 1, 2, 1, 4, 1, 1]), 2).tolist()
    [2.0, 4.0]
    """
    level = np.log(np.maximum(power[1:], max(floor, np.finfo(np.float64).tiny)))
    found, _ = scipy.signal.find_peaks(level)
    prominence = scipy.signal.peak_prominences(level, found)[0]
    found = np.sort(found[np.argsort(-prominence, kind="stable")[:count]])
    left, top, right = (level[found + offset] for offset in (-1, 0, 1))
    shift = 0.5 * (left - right) / (left - 2.0 * top + right)
    return np.interp(found + 1 + shift, np.arange(wavenumber.size), wavenumber)


def fit_targets(peaks: ArrayLike, targets: ArrayLike) -> tuple[float, float]:
    """Sum of squared errors of peaks against targets, and the scale that makes it least.

    The i-th peak stands for the i-th target, both ascending; the scale is fitted by least squares. A target that no
    peak stands for counts with its full square, so that few peaks are no way to a small error.

    Parameters
    ----------
    peaks : float, shape (m,)
        Ascending, above 0; at most as many as targets.
    targets : float, shape (n,)
        Ascending, above 0.

    Returns
    -------
    sse, scale : float

    Examples
    --------
    >>> fit_targets([1.0, 2.0, 3.0], [0.5, 1.0, 1.5])
    (0.0, 0.5)
    >>> fit_targets([], [3.0, 4.0])
    (25.0, 0.0)
    """
    k, t = np.asarray(peaks, np.float64), np.asarray(targets, np.float64)
    if k.size > t.size:
        raise ValueError(f"there are {k.size} peaks; there must be at most as many as targets, {t.size}")
    if not k.size:
        return float(t @ t), 0.0
    scale = float(k @ t[: k.size] / (k @ k))
    missing = t[k.size :]
    return float(np.sum((scale * k - t[: k.size]) ** 2) + missing @ missing), scale


def log_prime_fit(rho: ArrayLike, domain_size: float, targets: ArrayLike = LOG_PRIMES) -> LogPrimeFit:
    """Log-prime spectral error: peaks of the radial spectrum of ρ against ln 2, ln 3, ln 5 ….

    **A convention of this hunt.** The radial spectrum is the mean of \\|FFT(ρ)\\|² over rings (`RadialBins`), its peaks
    are taken by `spectral_peaks`, as many as there are targets, and set against them by `fit_targets`. As the scale
    is fitted, neither the unit of length nor that of ρ matters.

    Parameters
    ----------
    rho : float, shape (N, N)
        Density on a periodic square.
    domain_size : float
        Length of its side.
    targets : float, shape (n,)
        Ascending, above 0.

    Returns
    -------
    LogPrimeFit

    Examples
    --------
    >>> x = 2 * np.pi * np.arange(32) / 32
    >>> stripes = np.cos(4 * x) + np.cos(8 * x)
    >>> fit = log_prime_fit(np.tile(stripes, (32, 1)), 2 * np.pi, targets=[0.5, 1.0])
    >>> len(fit.peaks), fit.sse < 1e-2
    (2, True)
    """
    field = np.asarray(rho)
    lines = np.asarray(targets, np.float64)
    peaks = peaks_of(field, RadialBins(field.shape[0], domain_size), lines.size)
    sse, scale = fit_targets(peaks, lines)
    return LogPrimeFit(sse, scale, tuple(peaks.tolist()))


def peaks_of(rho: NDArray[np.floating], bins: RadialBins, count: int) -> Array:
    """Peaks of the radial spectrum of a field, above the rounding of the type it is stored in.

    Parameters
    ----------
    rho : float32 or float64, shape (N, N)
    bins : RadialBins
    count : int

    Returns
    -------
    ndarray of float64, shape (at most `count`,)

    Examples
    --------
    >>> peaks_of(np.ones((8, 8)), RadialBins(8), 3).size
    0
    """
    eps = float(np.finfo(rho.dtype).eps) if rho.dtype.kind == "f" else float(np.finfo(np.float64).eps)
    floor = _NOISE_FLOOR * eps**2 * float(np.mean(np.square(rho, dtype=np.float64)))
    return spectral_peaks(bins.wavenumber, bins.mean_power(rho), count, floor)


def geometric_residual(g_tt: ArrayLike, rho_s: ArrayLike, rho_vac: float, alpha: float) -> float:
    """How far a stored g_tt is from the metric that belongs to ρ_s: ``||g_tt + (rho_vac / rho_s)^alpha||`` in 2-norm.

    It is a check of the artifact: rounding for a solver that kept to its definition, whatever the field.

    Parameters
    ----------
    g_tt, rho_s : float, shape (N, N)
    rho_vac, alpha : float

    Returns
    -------
    float
        Square root of the sum of squares over all cells.

    Examples
    --------
    >>> geometric_residual([[-2.0, -1.0]], [[1.0, 2.0]], rho_vac=2.0, alpha=1.0)
    0.0
    """
    with np.errstate(over="ignore", divide="ignore"):  # an infinity says what it is
        expected = (rho_vac / np.asarray(rho_s, np.float64)) ** alpha
    return float(np.linalg.norm(np.asarray(g_tt, np.float64) + expected))


def flat_deviation(g_tt: ArrayLike) -> float:
    """Deviation from flat space: root mean square of ``g_tt - (-1)`` over the cells.

    Parameters
    ----------
    g_tt : float, shape (N, N)

    Returns
    -------
    float

    Examples
    --------
    >>> flat_deviation([[-1.0, -3.0], [-1.0, 1.0]])
    1.4142135623730951
    """
    return float(np.sqrt(np.mean((np.asarray(g_tt, np.float64) + 1.0) ** 2)))
