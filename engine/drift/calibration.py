"""Are stated confidences right: expected calibration error, at once or from sums that can be merged.

It takes confidences and outcomes as arrays and knows nothing of who was confident.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike

DEFAULT_BINS = 10


def calibration_error(confidence: ArrayLike, correct: ArrayLike, bins: int = DEFAULT_BINS) -> float:
    """Expected calibration error: mean gap between confidence and success, over bins of equal width.

    Bin b holds confidences in (b/B, (b + 1)/B], the first also 0. Each bin counts with its share of the
    decisions. Chance alone gives about sqrt(B / n) / 3, so few decisions never look perfect. Without
    decisions 0.

    Parameters
    ----------
    confidence : array_like of float, (n,)
        In [0, 1].
    correct : array_like of bool, (n,)
    bins : int
        B, at least 1.

    Returns
    -------
    float
        In [0, 1].

    Raises
    ------
    ValueError
        If lengths differ, a confidence is outside [0, 1], or there is no bin.

    Examples
    --------
    >>> round(calibration_error([0.9, 0.9, 0.3, 0.3], [True, False, False, True]), 9)
    0.3

    References
    ----------
    Guo et al., On calibration of modern neural networks, ICML 2017, equation 3; Naeini et al., 2015.
    """
    sums = CalibrationBins(bins)
    sums.add(confidence, correct)
    return sums.error()


@dataclass(eq=False)
class CalibrationBins:
    """Sums per bin from which `calibration_error` follows; sums of parts add up to those of the whole.

    Parameters
    ----------
    bins : int

    Attributes
    ----------
    count, confidence, correct : ndarray of float64, (bins,)
        Decisions, sum of confidences and number of successes in each bin.

    Examples
    --------
    >>> sums = CalibrationBins(10)
    >>> sums.add([0.9, 0.9], [True, False])
    >>> round(sums.error(), 9)
    0.4
    """

    bins: int = DEFAULT_BINS
    count: np.ndarray = field(init=False)
    confidence: np.ndarray = field(init=False)
    correct: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        if self.bins < 1:
            raise ValueError(f"bins is {self.bins}; at least 1 is needed")
        self.count, self.confidence, self.correct = (np.zeros(self.bins) for _ in range(3))

    def add(self, confidence: ArrayLike, correct: ArrayLike) -> None:
        """Take more decisions in; parameters as for `calibration_error`."""
        stated = np.asarray(confidence, np.float64).ravel()
        right = np.asarray(correct, np.float64).ravel()
        if len(stated) != len(right):
            raise ValueError(f"calibration: {len(stated)} confidences and {len(right)} outcomes")
        bad = ~((stated >= 0.0) & (stated <= 1.0))
        if bad.any():
            raise ValueError(f"calibration: confidence {stated[bad][0]}; it must be in [0, 1]")
        row = np.clip(np.ceil(stated * self.bins).astype(np.int64) - 1, 0, self.bins - 1)
        np.add.at(self.count, row, 1.0)
        np.add.at(self.confidence, row, stated)
        np.add.at(self.correct, row, right)

    def merge(self, other: CalibrationBins) -> None:
        """Add the sums of another part.

        Raises
        ------
        ValueError
            If it has another number of bins.
        """
        if other.bins != self.bins:
            raise ValueError(f"calibration: {other.bins} bins do not merge into {self.bins}")
        self.count += other.count
        self.confidence += other.confidence
        self.correct += other.correct

    def error(self) -> float:
        """The expected calibration error of all that was added."""
        n = self.count.sum()
        return float(min(np.abs(self.confidence - self.correct).sum() / n, 1.0)) if n else 0.0
