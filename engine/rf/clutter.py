"""What buildings and trees around an antenna take away: ITU-R P.2108-1. Plain functions of arrays.

The terminal correction depends on the antenna's own height and surroundings alone and can be put into
a field (`Clutter`); the statistical models give a loss for a share of locations.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtri

Array = NDArray[np.float64]
Surroundings = Literal["open", "suburban", "urban", "trees", "dense_urban"]

CLUTTER_HEIGHT_M: dict[str, float] = {
    "open": 10.0, "suburban": 10.0, "urban": 15.0, "trees": 15.0, "dense_urban": 20.0,
}  # fmt: skip
"""Representative clutter heights, m (table 3)."""

STREET_WIDTH_M = 27.0
"""Width of streets, m, where no better is known."""

TERMINAL_FREQ_HZ = (0.03e9, 3e9)
STATISTICAL_FREQ_HZ = (0.5e9, 67e9)
SLANT_FREQ_HZ = (10e9, 100e9)
"""Frequencies that sections 3.1, 3.2 and 3.3 speak of, Hz."""


@dataclass(frozen=True)
class Clutter:
    """Clutter around emitters, as an option of a field.

    Attributes
    ----------
    surroundings : {"open", "suburban", "urban", "trees", "dense_urban"}
        What stands around every emitter whose antenna is below its height.
    street_width_m : float
        m.
    at_emitters : bool
        Whether emitters lose by it.
    """

    surroundings: Surroundings = "urban"
    street_width_m: float = STREET_WIDTH_M
    at_emitters: bool = True

    def __post_init__(self) -> None:
        if self.surroundings not in get_args(Surroundings):
            raise ValueError(f"surroundings are {self.surroundings!r}; they must be one of {get_args(Surroundings)}")

    def loss_db(self, freq_hz: Array, alt_m: Array) -> Array:
        """Loss at each emitter, dB; frequencies outside section 3.1 take that of its nearer end."""
        freq = np.clip(freq_hz, *TERMINAL_FREQ_HZ)
        return terminal_loss_db(freq, np.maximum(alt_m, 1.0), self.surroundings, self.street_width_m)


def terminal_loss_db(
    freq_hz: ArrayLike, height_m: ArrayLike, surroundings: Surroundings, street_width_m: float = STREET_WIDTH_M
) -> Any:
    """Height-gain correction of an antenna within clutter, dB; 0 for one above it.

    Parameters
    ----------
    freq_hz : array_like of float
        Hz, 0.03 to 3 GHz.
    height_m : array_like of float
        Antenna height above the ground, m, positive.
    surroundings : str
        A key of `CLUTTER_HEIGHT_M`; ``open`` also stands for water and rural.
    street_width_m : float
        m.

    Returns
    -------
    ndarray of float64
        dB, of the broadcast shape.

    Examples
    --------
    >>> round(float(terminal_loss_db(1.5e9, 2.0, "open")), 1)
    16.0

    References
    ----------
    ITU-R P.2108-1, Prediction of clutter loss, section 3.1.
    """
    f, h = _within("freq_hz", freq_hz, TERMINAL_FREQ_HZ) / 1e9, np.asarray(height_m, dtype=np.float64)
    if not (h > 0.0).all():
        raise ValueError(f"height_m is {h[~(h > 0.0)].flat[0]}; an antenna must be above the ground")
    top = CLUTTER_HEIGHT_M[surroundings]
    if surroundings == "open":
        loss = -(21.8 + 6.2 * np.log10(f)) * np.log10(np.minimum(h / top, 1.0))
    else:
        below = np.maximum(top - h, 0.0)
        nu = 0.342 * np.sqrt(f) * np.sqrt(below * np.degrees(np.arctan(below / street_width_m)))
        loss = np.where(nu > -0.78, 6.9 + 20.0 * np.log10(np.hypot(nu - 0.1, 1.0) + nu - 0.1), 0.0) - 6.03
    return np.where(h >= top, 0.0, loss)


def terrestrial_loss_db(freq_hz: ArrayLike, distance_m: ArrayLike, percent: ArrayLike = 50.0) -> Any:
    """Clutter loss of one end of a path along the ground, not exceeded at a share of locations, dB.

    Parameters
    ----------
    freq_hz : array_like of float
        Hz, 0.5 to 67 GHz.
    distance_m : array_like of float
        Path length, m, at least 250 m.
    percent : array_like of float
        Share of locations, above 0 and below 100 %.

    Examples
    --------
    >>> round(float(terrestrial_loss_db(26.6e9, 15.8e3, 45.0)), 1)
    32.5

    References
    ----------
    ITU-R P.2108-1, section 3.2.
    """
    f, d = _within("freq_hz", freq_hz, STATISTICAL_FREQ_HZ) / 1e9, _within("distance_m", distance_m, (250.0, 1e7)) / 1e3
    long = -2.0 * np.log10(10.0 ** (-5.0 * np.log10(f) - 12.5) + 10.0**-16.5)

    def at(km: Array) -> Array:
        short = 32.98 + 23.9 * np.log10(km) + 3.0 * np.log10(f)
        both = 10.0 ** (-0.2 * long) + 10.0 ** (-0.2 * short)
        sigma = np.sqrt((16.0 * 10.0 ** (-0.2 * long) + 36.0 * 10.0 ** (-0.2 * short)) / both)
        return -5.0 * np.log10(both) + sigma * _quantile(percent)

    # No more than at 2 km.
    return np.minimum(at(d), at(np.full_like(d, 2.0)))


def slant_loss_db(freq_hz: ArrayLike, elevation_deg: ArrayLike, percent: ArrayLike = 50.0) -> Any:
    """Clutter loss of the ground end of a path to an aircraft or a satellite, dB.

    Parameters
    ----------
    freq_hz : array_like of float
        Hz, 10 to 100 GHz.
    elevation_deg : array_like of float
        Elevation of the path at the ground, 0 to 90 degrees.
    percent : array_like of float
        Share of locations, above 0 and below 100 %.

    Examples
    --------
    >>> round(float(slant_loss_db(10e9, 0.0, 50.0)), 1)
    42.9

    References
    ----------
    ITU-R P.2108-1, section 3.3.
    """
    f, theta = _within("freq_hz", freq_hz, SLANT_FREQ_HZ) / 1e9, _within("elevation_deg", elevation_deg, (0.0, 90.0))
    angle = 0.05 * (1.0 - theta / 90.0) + np.pi * theta / 180.0
    quantile = _quantile(percent)
    spread = -93.0 * f**0.175 * np.log(1.0 - np.asarray(percent, dtype=np.float64) / 100.0) / np.tan(angle)
    return np.maximum(spread, 0.0) ** (0.5 * (90.0 - theta) / 90.0) - 1.0 + 0.6 * quantile


def _quantile(percent: ArrayLike) -> Array:
    """The normal quantile of a share; Q^-1 of the Recommendation has the opposite sign."""
    share = np.asarray(percent, dtype=np.float64)
    wrong = ~((share > 0.0) & (share < 100.0))
    if wrong.any():
        raise ValueError(f"percent is {share[wrong].flat[0]}; it must be above 0 and below 100")
    return ndtri(share / 100.0)


def _within(name: str, value: ArrayLike, limits: tuple[float, float]) -> Array:
    values = np.asarray(value, dtype=np.float64)
    wrong = ~((values >= limits[0]) & (values <= limits[1]))
    if wrong.any():
        raise ValueError(f"{name} is {values[wrong].flat[0]}; it must be {limits[0]:g} to {limits[1]:g}")
    return values
