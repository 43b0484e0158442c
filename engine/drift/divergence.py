"""How diverse a distribution is and how far two are apart: entropies, Jensen-Shannon, PSI, Wasserstein.

Plain arrays in, numbers out; counts and shares are both welcome, for everything is normalised first. It also
says how large a distance chance alone gives, so that a monitor need not guess a threshold.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import entr, rel_entr
from scipy.stats import chi2, wasserstein_distance

from engine.drift.concentration import amounts_of

PSI_FLOOR = 1e-4
"""Share that `psi` gives a bin which is empty on one side."""

MIN_EXPECTED = 5.0
"""Cochran's rule: categories expected less often than this are pooled before a chi-square test."""


def shannon_entropy(counts: ArrayLike, base: float = 2) -> float:
    """Shannon entropy of counts or shares, in bits for base 2: 0 certain, log(k) for k equal ones.

    The plug-in value: n draws from k categories fall short by about (k − 1)/(2 n ln base), see
    `corrected_entropy`. Without any counts 0.

    Parameters
    ----------
    counts : array_like of float, (k,)
        At least 0; need not add to 1.
    base : float
        Base of the logarithm, above 1.

    Returns
    -------
    float
        In [0, log_base(k)].

    Raises
    ------
    ValueError
        If a count is negative or not finite, or the base is not above 1.

    Examples
    --------
    >>> shannon_entropy([1, 1]), shannon_entropy([5, 0]), shannon_entropy([1, 1, 1, 1], base=4)
    (1.0, 0.0, 1.0)

    References
    ----------
    Shannon, A mathematical theory of communication, 1948, section 6.
    """
    if not base > 1.0:
        raise ValueError(f"base of the logarithm is {base}; it must be above 1")
    shares = shares_of(counts, "shannon_entropy")
    most = math.log(max(int(np.count_nonzero(shares)), 1))
    return float(min(max(entr(shares).sum(), 0.0), most) / math.log(base))


def normalized_entropy(counts: ArrayLike) -> float:
    """Shannon entropy over its maximum log(k), k the categories that occur: 0 for one, 1 for equal ones.

    With autonomous-system numbers as categories this is the *ASN diversity* of a cluster.

    Parameters
    ----------
    counts : array_like of float, (k,)

    Returns
    -------
    float
        In [0, 1].

    Examples
    --------
    >>> round(normalized_entropy([3, 3, 3]), 12), normalized_entropy([7])
    (1.0, 0.0)

    References
    ----------
    Pielou, The measurement of diversity in different types of biological collections, 1966 (evenness).
    """
    occurring = int(np.count_nonzero(amounts_of(counts, "normalized_entropy")))
    return min(shannon_entropy(counts, math.e) / math.log(occurring), 1.0) if occurring > 1 else 0.0


def corrected_entropy(counts: ArrayLike, base: float = 2) -> float:
    """Shannon entropy with the Miller-Madow correction for few draws; `counts` must be counts.

    Windows with different numbers of events become comparable: without it, a quieter hour looks less diverse.

    Parameters
    ----------
    counts : array_like of float, (k,)
    base : float

    Returns
    -------
    float
        May exceed log(k) by the correction.

    Examples
    --------
    >>> round(corrected_entropy([10, 10]) - shannon_entropy([10, 10]), 4)
    0.0361

    References
    ----------
    Miller, Note on the bias of information estimates, 1955; Paninski, Estimation of entropy and mutual
    information, Neural Computation 15, 2003.
    """
    amounts = amounts_of(counts, "corrected_entropy")
    n = float(amounts.sum())
    if n == 0.0:
        return 0.0
    return shannon_entropy(amounts, base) + (int(np.count_nonzero(amounts)) - 1) / (2.0 * n * math.log(base))


def js_distance(p: ArrayLike, q: ArrayLike, base: float = 2) -> float:
    """Jensen-Shannon distance, by default in base 2: 0 for equal distributions, 1 for disjoint ones; a metric.

    The square root of the mean Kullback-Leibler divergence from the mixture. If either side is empty there
    is nothing to compare, and it is 0; monitors call that *insufficient*.

    Parameters
    ----------
    p, q : array_like of float, (k,)
        Counts or shares of the same categories.
    base : float
        Of the logarithm. In base e, which SciPy takes unless told otherwise, all distances are
        sqrt(ln 2) = 0.8326 times those in base 2.

    Returns
    -------
    float
        In [0, sqrt(log_base 2)], which is [0, 1] in base 2.

    Raises
    ------
    ValueError
        If the lengths differ, a count is negative or not finite, or the base is not above 1.

    Examples
    --------
    >>> round(js_distance([1, 0], [.5, .5]), 7), round(js_distance([1, 0], [.5, .5], base=math.e), 7)
    (0.557923, 0.4645014)

    References
    ----------
    Lin, Divergence measures based on the Shannon entropy, 1991; Endres and Schindelin, A new metric for
    probability distributions, 2003.
    """
    if not base > 1.0:
        raise ValueError(f"base of the logarithm is {base}; it must be above 1")
    a, b = _pair(p, q, "js_distance")
    if not a.any() or not b.any():
        return 0.0
    middle = 0.5 * a + 0.5 * b
    nats = 0.5 * float(rel_entr(a, middle).sum() + rel_entr(b, middle).sum())
    return math.sqrt(min(max(nats, 0.0), math.log(2.0)) / math.log(base))


def js_noise_floor(categories: int, n: float, m: float, alpha: float) -> float:
    """The Jensen-Shannon distance that two samples of one distribution exceed with probability `alpha`.

    To second order the divergence in nats is 1/8 of the chi-square distance, and n·m/(n + m) times that
    distance of two samples has the chi-square law with k − 1 degrees of freedom. With many sparse categories
    higher orders count too, and the true chance is up to about 1.7 times `alpha`.

    Parameters
    ----------
    categories : int
        k, of which each should be expected `MIN_EXPECTED` times or more in the smaller sample.
    n, m : float
        Draws in each sample; ``inf`` for a distribution that is known.
    alpha : float
        False-alarm probability of one look, in (0, 1).

    Returns
    -------
    float
        In [0, 1]; 1 where a sample is empty, since then any distance may be chance.

    Examples
    --------
    >>> round(js_noise_floor(10, 100, 100, 0.001), 3)
    0.317

    References
    ----------
    Österreicher and Vajda, A new class of metric divergences on probability spaces, 2003; Cochran, Some
    methods for strengthening the common chi-square tests, 1954.
    """
    if not 0.0 < alpha < 1.0:
        raise ValueError(f"alpha is {alpha}; a probability between 0 and 1 is needed")
    if categories < 2:
        return 0.0
    if n <= 0 or m <= 0:
        return 1.0
    nats = chi2.isf(alpha, categories - 1) * (1.0 / n + 1.0 / m) / 8.0
    return min(math.sqrt(nats / math.log(2.0)), 1.0)


def js_test(p: ArrayLike, q: ArrayLike, alpha: float) -> tuple[float, float]:
    """Distance of two samples, and the distance chance gives, both after pooling the rare categories.

    Parameters
    ----------
    p, q : array_like of float, (k,)
        Counts.
    alpha : float

    Returns
    -------
    distance, floor : float
        They differ for more than chance where ``distance > floor``.

    Examples
    --------
    >>> distance, floor = js_test([90, 10, 1], [10, 90, 1], alpha=1e-4)
    >>> distance > floor
    True
    """
    a, b = _counts(p, q, "js_test")
    n, m = a.sum(), b.sum()
    if n == 0.0 or m == 0.0:
        return 0.0, 1.0
    rare = (a + b) * (min(n, m) / (n + m)) < MIN_EXPECTED
    if rare.any():
        pooled_a, pooled_b = a[rare].sum(), b[rare].sum()
        a, b = np.append(a[~rare], pooled_a), np.append(b[~rare], pooled_b)
    return js_distance(a, b), js_noise_floor(int(np.count_nonzero(a + b)), n, m, alpha)


def psi(expected: ArrayLike, actual: ArrayLike, floor: float = PSI_FLOOR) -> float:
    """Population stability index: Σ (aᵢ − eᵢ) ln(aᵢ / eᵢ) over the shares of the same bins.

    Rule for empty bins: a bin that is empty on one side takes the share `floor` there, the other shares stay
    as they are; a bin that is empty on both sides adds nothing; a side with no counts at all gives 0, for
    there is nothing to compare. Usual reading: under 0.1 stable, over 0.25 changed. For n and m draws of one
    distribution in k bins, (1/n + 1/m)⁻¹·PSI has about the chi-square law with k − 1 degrees of freedom.

    Parameters
    ----------
    expected, actual : array_like of float, (k,)
        Counts or shares per bin.
    floor : float
        In (0, 1).

    Returns
    -------
    float
        At least 0.

    Raises
    ------
    ValueError
        If the lengths differ, a count is negative or not finite, or the floor is no share.

    Examples
    --------
    >>> round(psi([.1, .2, .3, .4], [.2, .2, .3, .3]), 7)
    0.0980829

    References
    ----------
    Siddiqi, Credit risk scorecards, 2006; Yurdakul, Statistical properties of population stability index,
    2018.
    """
    if not 0.0 < floor < 1.0:
        raise ValueError(f"floor is {floor}; a share between 0 and 1 is needed")
    e, a = _pair(expected, actual, "psi")
    if not e.any() or not a.any():
        return 0.0
    used = (e > 0.0) | (a > 0.0)
    e = np.where(e[used] > 0.0, e[used], floor)
    a = np.where(a[used] > 0.0, a[used], floor)
    return float(((a - e) * np.log(a / e)).sum())


def wasserstein(
    x: ArrayLike, y: ArrayLike, x_weights: ArrayLike | None = None, y_weights: ArrayLike | None = None
) -> float:
    """Wasserstein-1 distance of two samples of a number, in its unit: how far the mass must be moved.

    Parameters
    ----------
    x : array_like of float, (n,)
    y : array_like of float, (m,)
    x_weights, y_weights : array_like of float, optional
        Weight of each value.

    Returns
    -------
    float
        At least 0; 0 where a sample is empty, for there is nothing to compare.

    Raises
    ------
    ValueError
        If a value is not finite.

    Examples
    --------
    >>> wasserstein([0.0, 1.0], [5.0, 6.0])
    5.0

    References
    ----------
    Vaserstein, Markov processes over denumerable products of spaces, 1969; computed by SciPy.
    """
    a, b = np.asarray(x, np.float64).ravel(), np.asarray(y, np.float64).ravel()
    for name, sample in (("x", a), ("y", b)):
        if not np.isfinite(sample).all():
            raise ValueError(f"wasserstein: {name} holds {sample[~np.isfinite(sample)][0]}; values must be finite")
    return float(wasserstein_distance(a, b, x_weights, y_weights)) if len(a) and len(b) else 0.0


def shares_of(counts: ArrayLike, name: str) -> np.ndarray:
    """Counts as shares that add to 1, all 0 where there are none; `name` is for the message."""
    amounts = amounts_of(counts, name)
    top = amounts.max(initial=0.0)
    if top == 0.0:
        return amounts
    amounts = amounts / top
    return amounts / amounts.sum()


def _counts(p: ArrayLike, q: ArrayLike, name: str) -> tuple[np.ndarray, np.ndarray]:
    a, b = amounts_of(p, name), amounts_of(q, name)
    if len(a) != len(b):
        raise ValueError(f"{name}: {len(a)} categories against {len(b)}; both sides need the same ones")
    return a, b


def _pair(p: ArrayLike, q: ArrayLike, name: str) -> tuple[np.ndarray, np.ndarray]:
    a, b = _counts(p, q, name)
    return shares_of(a, name), shares_of(b, name)
