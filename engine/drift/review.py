"""Change points of a series looked at afterwards, as a whole: offline detection with `ruptures`.

For the review of the past, where both sides of a change are known; live detection is `engine.drift.change`.
"""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import ruptures
from numpy.typing import ArrayLike

MAX_POINTS = 20_000
"""Values reviewed at once; PELT is about linear in them."""

MIN_POINTS = 4
"""Fewest values between two change points."""


def review(times_s: ArrayLike, values: ArrayLike, penalty: float = 6.0, min_points: int = MIN_POINTS) -> pd.DataFrame:
    """Split a series where its level changed.

    The values are divided by their noise (from differences of neighbours, robust against the changes themselves), and
    PELT finds the exact minimum of the squared deviations plus `penalty`·ln n per change.

    Parameters
    ----------
    times_s, values : array_like of float64, (n,)
        Ascending epoch seconds, and finite values; n up to `MAX_POINTS`.
    penalty : float
        In units of ln n; 2 is the Bayesian information criterion for known noise. The default raises a change in fewer
        than one of a hundred series of white noise (docs/engine-drift.md).
    min_points : int

    Returns
    -------
    DataFrame
        One row per segment: start, end (UTC), level, step (from the segment before; NaN for the first), n. Empty for an
        empty series.

    Raises
    ------
    ValueError
        If lengths differ, times do not ascend, a value is not finite, or there are too many.

    References
    ----------
    Killick, Fearnhead and Eckley, Optimal detection of changepoints with a linear computational cost, JASA 107, 2012;
    Truong, Oudre and Vayatis, Selective review of offline change point detection methods, Signal Processing 167, 2020.

    Examples
    --------
    >>> found = review(range(40), [0.0] * 20 + [5.0] * 20)
    >>> found["level"].tolist(), found["n"].tolist()
    ([0.0, 5.0], [20, 20])
    """
    times, series = np.asarray(times_s, np.float64).ravel(), np.asarray(values, np.float64).ravel()
    if len(times) != len(series) or len(series) > MAX_POINTS:
        raise ValueError(
            f"{len(times)} times and {len(series)} values; as many of both, up to {MAX_POINTS}, are needed"
        )
    if not (np.isfinite(times).all() and np.isfinite(series).all()) or (np.diff(times) < 0.0).any():
        raise ValueError("times and values of a series under review must be finite, and times must ascend")
    ends = _change_rows(series, penalty, min_points)
    starts = [0, *ends[:-1]][: len(ends)]
    rows: list[dict[str, float]] = []
    for first, last in zip(starts, ends, strict=True):
        level = float(np.mean(series[first:last]))
        step = level - rows[-1]["level"] if rows else math.nan
        rows.append({"start": times[first], "end": times[last - 1], "level": level, "step": step, "n": last - first})
    out = pd.DataFrame(rows, columns=["start", "end", "level", "step", "n"])
    for name in ("start", "end"):
        out[name] = pd.to_datetime(out[name], unit="s", utc=True)
    return out


def _change_rows(series: np.ndarray, penalty: float, min_points: int) -> list[int]:
    """Ends of the segments, the last one the length of the series."""
    n = len(series)
    if n < 2 * min_points:
        return [n] if n else []
    centred = series - np.median(series)
    top = float(np.abs(centred).max())
    if top <= 1e-12 * max(float(np.abs(series).max()), 1e-300):  # rounding is no change
        return [n]
    noise = 1.4826 * float(np.median(np.abs(np.diff(centred)))) / math.sqrt(2.0)
    # Series that mostly stand still have no noise between neighbours; a little of their range takes its place.
    scaled = centred / max(noise, 0.02 * top)
    found = ruptures.KernelCPD("linear", min_size=min_points).fit(scaled[:, None]).predict(pen=penalty * math.log(n))
    return [int(row) for row in found]
