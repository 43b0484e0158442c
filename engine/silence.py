"""How surprising a silence is, given how often something was heard: plain arithmetic that several rooms need.

Events come as a Poisson process. What was heard is summed up as m intervals between m + 1 events, and the time they
span; the silence is the time since the last event.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike


def pressure_of_rate(intervals: ArrayLike, span_s: ArrayLike, quiet_s: ArrayLike) -> Any:
    """−log10 of the chance of so long a silence, the rate taken as exactly known: exp(−m quiet / span).

    Parameters
    ----------
    intervals, span_s, quiet_s : array_like of float
        Intervals m, their sum and the silence after them, s; any shapes that broadcast.

    Returns
    -------
    float or ndarray of float64
        At least 0; 3 means one chance in a thousand. 0 where there is no rate: m or the span is 0.

    Examples
    --------
    >>> round(float(pressure_of_rate(4, 4.0, 6.907755)), 6)
    3.0
    """
    m, span, quiet = np.broadcast_arrays(*(np.asarray(v, np.float64) for v in (intervals, span_s, quiet_s)))
    rate = np.divide(m, span, out=np.zeros(span.shape), where=span > 0.0)
    return rate * np.maximum(quiet, 0.0) / math.log(10.0)


def predictive_pressure(intervals: ArrayLike, span_s: ArrayLike, quiet_s: ArrayLike) -> Any:
    """The same where the rate is known from those m intervals only: (1 + quiet/span)^(−m), exact for any rate.

    Parameters and returns as `pressure_of_rate`; at most that.

    Examples
    --------
    >>> round(float(predictive_pressure(4, 4.0, 4.0)), 4)
    1.2041

    References
    ----------
    Aitchison and Dunsmore, Statistical prediction analysis, 1975, table 2.1 (gamma model).
    """
    m, span, quiet = np.broadcast_arrays(*(np.asarray(v, np.float64) for v in (intervals, span_s, quiet_s)))
    share = np.divide(np.maximum(quiet, 0.0), span, out=np.zeros(span.shape), where=span > 0.0)
    return m * np.log1p(share) / math.log(10.0)
