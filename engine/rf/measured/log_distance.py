"""The log-distance law fitted to measurements: path-loss exponent, shadowing, one offset per receiver.

Not-heard records are censored observations (Tobit), not missing ones. It knows records and nothing of
fields or kriging.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.special import log_ndtr

from engine.rf.measured.records import Array, Records, checked_records

ITERATIONS = 50
TOLERANCE = 1e-10


@dataclass(frozen=True)
class LogDistanceFit:
    """``rssi = offset_db[receiver] - 10 exponent log10(distance_m) + shadowing``.

    Only differences of offsets between receivers are of the receivers: what all share (the
    transmitter's power, the loss at 1 m) is in every one of them and cannot be told apart. A receiver
    whose links all have the same length has an offset only because others fix the exponent.

    Attributes
    ----------
    exponent, exponent_se : float
        Path-loss exponent n and its standard error, as if records were independent; neighbouring ones
        are not, so the true error is larger.
    sigma_db : float
        Standard deviation of the shadowing, dB (maximum likelihood, no correction for degrees of freedom).
    offset_db : dict of str to float
        By receiver: power at 1 m by the law, dB on the receiver's own scale.
    n_heard, n_censored : int
        Records of either sort.
    """

    exponent: float
    exponent_se: float
    sigma_db: float
    offset_db: dict[str, float]
    n_heard: int
    n_censored: int

    def power_db(self, receiver: str, distance_m: ArrayLike) -> Array:
        """Median power by the law, dB on the receiver's scale.

        Parameters
        ----------
        receiver : str
        distance_m : array_like of float
            Distances, m; below 1 m they count as 1 m.

        Raises
        ------
        ValueError
            If the receiver had no records.
        """
        if receiver not in self.offset_db:
            raise ValueError(f"receiver {receiver!r} was not measured; known are {', '.join(sorted(self.offset_db))}")
        loss = 10.0 * self.exponent * np.log10(np.maximum(np.asarray(distance_m, dtype=np.float64), 1.0))
        return np.asarray(self.offset_db[receiver] - loss)


def fit_log_distance(measurements: pd.DataFrame) -> LogDistanceFit:
    """Fit the log-distance law with one offset per receiver, by maximum likelihood.

    Parameters
    ----------
    measurements : pandas.DataFrame
        One row per link: `receiver` (text), `lat`, `lon` of the carried end and `receiver_lat`,
        `receiver_lon` of the fixed one (degrees), `rssi_db`, and optionally `heard` (bool): where
        False, the power was somewhere below `rssi_db`.

    Returns
    -------
    LogDistanceFit

    Raises
    ------
    ValueError
        Bad or missing columns; a receiver never heard (its offset has no finite estimate); distances
        that do not determine the exponent.

    Examples
    --------
    >>> links = pd.DataFrame({"receiver": "a", "lat": [0.0, 0.0, 0.0], "lon": [0.001, 0.01, 0.1],
    ...                       "receiver_lat": 0.0, "receiver_lon": 0.0, "rssi_db": [-60.0, -91.0, -120.0]})
    >>> round(fit_log_distance(links).exponent, 2)
    3.0

    References
    ----------
    Rappaport, Wireless Communications, 2nd ed., section 4.9.2 (log-normal shadowing); Tobin 1958,
    Econometrica 26; Olsen 1978, Econometrica 46 (the parametrisation in which the likelihood is concave).
    """
    return fit_law(checked_records(measurements))


def fit_law(records: Records) -> LogDistanceFit:
    """`fit_log_distance` of checked records."""
    used = np.unique(records.receiver)
    silent = np.setdiff1d(used, records.receiver[records.heard])
    if silent.size:
        raise ValueError(
            f"receiver {records.receivers[silent[0]]!r} never heard anything: its offset has no finite estimate; "
            "leave its records out"
        )
    column = np.searchsorted(used, records.receiver)
    slope = -10.0 * np.log10(records.distance_m)
    _check_slope(slope[records.heard], column[records.heard], used.size)
    heard = records.heard
    beta = _least_squares(records.rssi_db[heard], slope[heard], column[heard], used.size)
    sigma = float(np.sqrt(np.mean((records.rssi_db[heard] - beta[column[heard]] - beta[-1] * slope[heard]) ** 2)))
    information = None
    if not heard.all():
        beta, sigma, information = _tobit(records.rssi_db, heard, slope, column, beta, max(sigma, 1e-6))
    if information is None:
        within = slope - np.bincount(column, slope)[column] / np.bincount(column)[column]
        error = sigma / math.sqrt(float(within @ within))
    else:
        error = information
    offsets = {records.receivers[r]: float(beta[k]) for k, r in enumerate(used)}
    return LogDistanceFit(float(beta[-1]), error, sigma, offsets, int(heard.sum()), int((~heard).sum()))


def _check_slope(slope: Array, column: np.ndarray, n: int) -> None:
    spread = slope - (np.bincount(column, slope, n) / np.maximum(np.bincount(column, minlength=n), 1))[column]
    if float(spread @ spread) < 1e-9 * max(slope.size, 1):
        raise ValueError("every receiver's links have one length: distances do not determine the path-loss exponent")


def _least_squares(y: Array, slope: Array, column: np.ndarray, n: int) -> Array:
    """Offsets and exponent; offsets eliminated by centring within receivers (Frisch–Waugh)."""
    count = np.bincount(column, minlength=n)
    mean_y, mean_slope = np.bincount(column, y, n) / count, np.bincount(column, slope, n) / count
    centred = slope - mean_slope[column]
    exponent = float(centred @ (y - mean_y[column])) / float(centred @ centred)
    return np.append(mean_y - exponent * mean_slope, exponent)


def _tobit(
    y: Array, heard: np.ndarray, slope: Array, column: np.ndarray, beta: Array, sigma: float
) -> tuple[Array, float, float]:
    """Newton's method on the concave log-likelihood in gamma = beta / sigma and theta = 1 / sigma."""
    n = beta.size - 1
    gamma, theta = beta / sigma, 1.0 / sigma
    value = _tobit_value(y, heard, slope, column, gamma, theta)
    for _ in range(ITERATIONS):
        gradient, hessian = _tobit_derivatives(y, heard, slope, column, gamma, theta, n)
        step = np.linalg.solve(hessian, gradient)
        size = 1.0
        while True:
            trial_gamma, trial_theta = gamma + size * step[:-1], theta + size * float(step[-1])
            trial = _tobit_value(y, heard, slope, column, trial_gamma, trial_theta) if trial_theta > 0 else -np.inf
            if trial >= value or size < 1e-6:
                break
            size *= 0.5
        gained, value = trial - value, trial
        gamma, theta = trial_gamma, trial_theta
        if gained < TOLERANCE * abs(value):
            break
    _, hessian = _tobit_derivatives(y, heard, slope, column, gamma, theta, n)
    # the exponent is gamma_n / theta: its variance by the delta method
    covariance = np.linalg.inv(hessian)
    gradient = np.zeros(n + 2)
    gradient[n], gradient[n + 1] = 1.0 / theta, -gamma[n] / theta**2
    return gamma / theta, 1.0 / theta, math.sqrt(float(gradient @ covariance @ gradient))


def _tobit_value(y: Array, heard: np.ndarray, slope: Array, column: np.ndarray, gamma: Array, theta: float) -> float:
    z = theta * y - gamma[column] - gamma[-1] * slope
    return float(heard.sum() * np.log(theta) - 0.5 * (z[heard] @ z[heard]) + log_ndtr(z[~heard]).sum())


def _tobit_derivatives(
    y: Array, heard: np.ndarray, slope: Array, column: np.ndarray, gamma: Array, theta: float, n: int
) -> tuple[Array, Array]:
    """Gradient and negative Hessian, order: offsets, exponent, theta."""
    z = theta * y - gamma[column] - gamma[-1] * slope
    ratio = np.exp(-0.5 * z**2 - 0.5 * math.log(2.0 * math.pi) - log_ndtr(z))
    score = np.where(heard, -z, ratio)  # derivative of a record's log-likelihood by z
    weight = np.where(heard, 1.0, ratio * (ratio + z))
    gradient = np.empty(n + 2)
    gradient[:n] = -np.bincount(column, score, n)
    gradient[n] = -(score @ slope)
    gradient[n + 1] = score @ y + heard.sum() / theta
    hessian = np.zeros((n + 2, n + 2))
    hessian[range(n), range(n)] = np.bincount(column, weight, n)
    for k, (values, sign) in enumerate(((slope, 1.0), (y, -1.0))):
        hessian[:n, n + k] = hessian[n + k, :n] = sign * np.bincount(column, weight * values, n)
    hessian[n, n] = (weight * slope) @ slope
    hessian[n, n + 1] = hessian[n + 1, n] = -((weight * slope) @ y)
    hessian[n + 1, n + 1] = (weight * y) @ y + heard.sum() / theta**2
    return gradient, hessian
