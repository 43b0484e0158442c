"""Did the level of a series change: Page-Hinkley and adaptive windowing, value by value or many at once.

Both are streams: values may come in pieces of any size, and the changes found are the same. They take
plain numbers, one stream each, and know nothing of what is measured.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numba import njit
from numpy.typing import ArrayLike

# State of a Page-Hinkley stream, one float each.
_SEEN, _MEAN, _UP, _UP_LEAST, _DOWN, _DOWN_MOST = range(6)


@njit(cache=True, nogil=True)
def _page_hinkley(
    values: np.ndarray, state: np.ndarray, delta: float, threshold: float, forget: float, min_instances: int
) -> np.ndarray:
    """Rows at which a change is found; the stream starts afresh after each."""
    found = np.empty(values.shape[0], np.int64)
    k = 0
    for i in range(values.shape[0]):
        state[0] += 1.0
        state[1] += (values[i] - state[1]) / state[0]
        deviation = values[i] - state[1]
        state[2] = forget * state[2] + deviation - delta
        state[4] = forget * state[4] + deviation + delta
        state[3] = min(state[3], state[2])
        state[5] = max(state[5], state[4])
        if state[0] >= min_instances and (state[2] - state[3] > threshold or state[5] - state[4] > threshold):
            found[k] = i
            k += 1
            state[:] = 0.0
            state[3], state[5] = np.inf, -np.inf
    return found[:k]


@dataclass(eq=False)
class PageHinkley:
    """Page-Hinkley test for a change of the mean, both ways, against the running mean.

    Parameters
    ----------
    delta : float
        Slack: half the smallest change worth noticing, in units of the values.
    threshold : float
        Cumulative deviation at which a change is called. In standard deviations, with `delta` 0.5, the default
        of 14 calls about one change in 10 000 values of white noise (docs/engine-drift.md).
    forget : float
        Factor on the sums at each value.
    min_instances : int
        Nothing is called before as many values.

    Examples
    --------
    >>> PageHinkley().update([0.0] * 50 + [4.0] * 10)
    array([54])

    References
    ----------
    Page, Continuous inspection schemes, Biometrika 41, 1954; Hinkley, Biometrika 58, 1971. The same sums as
    river.drift.PageHinkley, whose defaults (delta 0.005, threshold 50) do not fit noise of unit variance.
    """

    delta: float = 0.5
    threshold: float = 14.0
    forget: float = 0.9999
    min_instances: int = 30
    _state: np.ndarray = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if not (self.threshold > 0.0 and self.delta >= 0.0):
            raise ValueError(f"threshold is {self.threshold}, delta {self.delta}; they must be positive and at least 0")
        self._state = np.array([0.0, 0.0, 0.0, np.inf, 0.0, -np.inf])

    def update(self, values: ArrayLike) -> np.ndarray:
        """Take more values in.

        Parameters
        ----------
        values : array_like of float, (n,)

        Returns
        -------
        ndarray of int64
            Rows of `values` at which a change was found; the test starts afresh after each.

        Raises
        ------
        ValueError
            If a value is not finite.
        """
        given = _finite(values, "PageHinkley")
        return _page_hinkley(given, self._state, self.delta, self.threshold, self.forget, self.min_instances)


class AdaptiveWindow:
    """Adaptive windowing: the longest recent window whose halves, however cut, have one mean.

    The window grows while nothing changes. When two parts of it differ by more than chance allows, the
    older part goes and a change is called. All cuts of a window of at most `max_width` values are tried,
    from cumulative sums, so memory is bounded without the histogram of the paper's second version.

    Parameters
    ----------
    delta : float
        Bound on the chance of a false cut per look, in (0, 1).
    max_width : int
        Values kept; older ones are forgotten.
    every : int
        Looks are taken after this many values.
    min_part : int
        Fewest values in either part.

    Examples
    --------
    >>> window = AdaptiveWindow()
    >>> window.update([0.0, 1.0] * 100 + [5.0, 6.0] * 50)
    array([207])
    >>> window.width
    100

    References
    ----------
    Bifet and Gavaldà, Learning from time-changing data with adaptive windowing, SDM 2007, with the variance
    bound of its equation 3.1. river.drift.ADWIN is the tests' reference.
    """

    def __init__(self, delta: float = 0.002, max_width: int = 1024, every: int = 8, min_part: int = 5) -> None:
        if not 0.0 < delta < 1.0:
            raise ValueError(f"delta is {delta}; a probability between 0 and 1 is needed")
        if every < 1 or min_part < 1 or max_width < 2 * min_part:
            raise ValueError(f"max_width {max_width}, every {every}, min_part {min_part}: a window holds two parts")
        self.delta, self.max_width, self.every, self.min_part = delta, max_width, every, min_part
        self._values = np.empty(0)
        self._seen = 0

    @property
    def width(self) -> int:
        """Values in the window now."""
        return len(self._values)

    @property
    def mean(self) -> float:
        """Mean of the window; 0 when empty."""
        return float(self._values.mean()) if len(self._values) else 0.0

    def update(self, values: ArrayLike) -> np.ndarray:
        """Take more values in; parameters, result and errors as for `PageHinkley.update`."""
        given = _finite(values, "AdaptiveWindow")
        found: list[int] = []
        at = 0
        while at < len(given):
            upto = min(at + self.every - self._seen % self.every, len(given))
            self._values = np.concatenate([self._values, given[at:upto]])[-self.max_width :]
            self._seen += upto - at
            at = upto
            if self._seen % self.every == 0 and self._shrink():
                found.append(at - 1)
        return np.array(found, np.int64)

    def _shrink(self) -> bool:
        """Drop older parts while a cut tells them from the rest."""
        changed = False
        while True:
            cut = _best_cut(self._values, self.delta, self.min_part)
            if cut == 0:
                return changed
            self._values = self._values[cut:]
            changed = True


def _best_cut(values: np.ndarray, delta: float, min_part: int) -> int:
    """Where the parts differ most beyond what chance allows; 0 where they do nowhere."""
    n = len(values)
    if n < 2 * min_part:
        return 0
    older = np.arange(min_part, n - min_part + 1)
    # The bound wants numbers of about unit size; the mean is taken out so that large offsets keep their digits.
    centred = values - values.mean()
    sums = np.cumsum(centred)[older - 1]
    apart = np.abs(sums / older + sums / (n - older))  # the rest sums to the negative
    share = 1.0 / older + 1.0 / (n - older)  # 1/m of the paper, m half the harmonic mean
    log_term = math.log(2.0 * math.log(n) / delta)
    scale = float(np.std(centred))
    if scale <= 1e-12 * float(np.abs(values).max()):  # rounding is no spread
        return 0
    bound = np.sqrt(2.0 * share * log_term) * scale + 2.0 / 3.0 * share * log_term * scale
    excess = apart - bound
    best = int(np.argmax(excess))
    return int(older[best]) if excess[best] > 0.0 else 0


def _finite(values: ArrayLike, name: str) -> np.ndarray:
    given = np.atleast_1d(np.asarray(values, np.float64)).ravel()
    if not np.isfinite(given).all():
        raise ValueError(f"{name}: value {given[~np.isfinite(given)][0]}; values must be finite")
    return given
