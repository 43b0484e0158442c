"""Physical models beside those that are fitted to measurements: the shape of a law of propagation, one offset fitted.

Powers are relative, so a law can only be right up to a constant; it is the mean of what was measured elsewhere.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from engine.rf.measured.blocks import Z_BAND
from engine.rf.propagation import free_space_loss_db, two_ray_gain_db

Array = NDArray[np.float64]

PHYSICAL = ("free_space", "two_ray")
"""Laws offered: ITU-R P.525, and two rays above flat ground."""


def shape_db(model: str, distance_m: ArrayLike, freq_hz: float, carried_m: float, fixed_m: float) -> Array:
    """Gain of a path by a law, dB, of the broadcast shape.

    Parameters
    ----------
    model : {"free_space", "two_ray"}
    distance_m : array_like of float
        Horizontal distance, m.
    freq_hz : float
    carried_m, fixed_m : float
        Heights of the two antennas above the ground, m.

    Examples
    --------
    >>> near, far = shape_db("two_ray", [5e3, 10e3], 462.7e6, 1.5, 15.0)
    >>> round(float(near - far), 1)  # beyond the last maximum power falls with the fourth power of the distance
    12.0
    """
    slant = np.hypot(np.asarray(distance_m, dtype=np.float64), carried_m - fixed_m)
    gain = -np.asarray(free_space_loss_db(np.maximum(slant, 1.0), freq_hz))
    if model == "two_ray":
        gain = gain + two_ray_gain_db(np.maximum(slant, 1.0), carried_m, fixed_m, freq_hz)
    elif model != "free_space":
        raise ValueError(f"model is {model!r}; one of {', '.join(PHYSICAL)} is needed")
    return np.asarray(gain)


def offset_and_sigma(report_db: Array, shape: Array) -> tuple[float, float]:
    """Offset of a law and standard deviation around it, dB."""
    left = report_db - shape
    return float(np.mean(left)), float(np.std(left))


def predict_physical(predictions: pd.DataFrame, model: str, shape: Array) -> pd.DataFrame:
    """Columns of a law beside those of `engine.rf.measured.predict_blocks`, the offset from the other folds.

    Parameters
    ----------
    predictions : pandas.DataFrame
        With `truth` and `fold`.
    model : str
        How the columns are called: ``model``, ``model_sigma``, ``model_low``, ``model_high``.
    shape : ndarray, shape (n,)
        Gain of each record by the law, dB.
    """
    truth, fold = predictions["truth"].to_numpy(float), predictions["fold"].to_numpy()
    mean, sigma = np.full(truth.size, np.nan), np.full(truth.size, np.nan)
    for k in np.unique(fold):
        held = fold == k
        offset, spread = offset_and_sigma(truth[~held], shape[~held])
        mean[held], sigma[held] = offset + shape[held], spread
    half = Z_BAND * sigma
    columns = {model: mean, f"{model}_sigma": sigma, f"{model}_low": mean - half, f"{model}_high": mean + half}
    out = predictions.assign(**columns)
    out.attrs |= predictions.attrs
    return out
