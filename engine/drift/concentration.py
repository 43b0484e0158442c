"""How unevenly something is spread over its receivers: Gini, Herfindahl-Hirschman, largest share.

Plain arrays in, numbers out. It knows neither what is counted nor over which window.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike


def gini(x: ArrayLike) -> float:
    """Gini coefficient of non-negative amounts: 0 equal, (n − 1)/n when one of n has everything.

    Half the mean absolute difference of all pairs, over the mean. Order and scale do not matter; receivers
    with nothing count, so the population has to be stated by who calls. No receivers, or none with
    anything, are equal: 0.

    Parameters
    ----------
    x : array_like of float, (n,)
        Amounts, at least 0, any unit.

    Returns
    -------
    float
        In [0, 1).

    Raises
    ------
    ValueError
        If an amount is negative or not finite.

    Examples
    --------
    >>> gini([1, 2, 3, 4]), gini([0, 0, 0, 1])
    (0.25, 0.75)

    References
    ----------
    Gini, Variabilità e mutabilità, 1912; Dixon et al., Bootstrapping the Gini coefficient of inequality,
    Ecology 68, 1987.
    """
    amounts = np.sort(amounts_of(x, "gini"))
    n = len(amounts)
    if n == 0 or amounts[-1] == 0.0:
        return 0.0
    amounts = amounts / amounts[-1]  # no overflow however large, no underflow however small
    # Differences from equality, with weights that add to zero: exact 0 for equal amounts.
    weights = 2.0 * np.arange(1, n + 1) - n - 1.0
    return float(min(max(weights @ amounts / (n * amounts.sum()), 0.0), 1.0 - 1.0 / n))


def hhi(counts: ArrayLike) -> float:
    """Herfindahl-Hirschman index: the sum of squared shares, 1/n when equal, 1 when one has all.

    The chance that two units drawn at random belong to the same receiver. Without any unit 0. Of n units
    drawn from shares p the mean is ``hhi(p) + (1 − hhi(p)) / n``: few units look concentrated.

    Parameters
    ----------
    counts : array_like of float, (k,)
        Amounts or shares, at least 0.

    Returns
    -------
    float
        In [0, 1].

    Raises
    ------
    ValueError
        If an amount is negative or not finite.

    Examples
    --------
    >>> round(hhi([1, 2, 3, 4]), 12), hhi([5, 0])
    (0.3, 1.0)

    References
    ----------
    Herfindahl, Concentration in the steel industry, 1950; U.S. Department of Justice and FTC, Horizontal
    Merger Guidelines, 2010, section 5.3 (above 0.25: highly concentrated).
    """
    amounts = amounts_of(counts, "hhi")
    top = amounts.max(initial=0.0)
    if top == 0.0:
        return 0.0
    shares = amounts / top
    shares = shares / shares.sum()
    return float(min(shares @ shares, 1.0))


def largest_share(counts: ArrayLike) -> float:
    """Berger-Parker dominance: the share of the one that has most; 0 without any.

    Parameters
    ----------
    counts : array_like of float, (k,)
        Amounts, at least 0.

    Returns
    -------
    float
        In [0, 1].

    Examples
    --------
    >>> largest_share([1, 1, 2])
    0.5

    References
    ----------
    Berger and Parker, Diversity of planktonic foraminifera in deep-sea sediments, Science 168, 1970.
    """
    amounts = amounts_of(counts, "largest_share")
    top = amounts.max(initial=0.0)
    return float(1.0 / (amounts / top).sum()) if top > 0.0 else 0.0


def amounts_of(x: ArrayLike, name: str) -> np.ndarray:
    """Amounts as a flat float64 array, checked to be finite and not negative; `name` is for the message."""
    amounts = np.asarray(x, dtype=np.float64).ravel()
    bad = ~(np.isfinite(amounts) & (amounts >= 0.0))
    if bad.any():
        row = int(np.argmax(bad))
        raise ValueError(f"{name}: amount {row} is {amounts[row]}; amounts must be finite and at least 0")
    return amounts
