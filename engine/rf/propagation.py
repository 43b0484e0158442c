"""How power falls off with distance: the propagation models, each under the name users choose it by.

These are plain array functions of distance, frequency and height; they are the definitions that
fields on a grid must agree with. This module must not know grids, emitter tables or kernels.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from engine.geo import radio_horizon_m
from engine.units import wavelength_m

Array = NDArray[np.float64]

HANDHELD_HEIGHT_M = 1.5
"""Antenna height of a handheld terminal, m (3GPP TR 38.901, table 7.2-1)."""

SPACE_ALT_M = 100_000.0
"""Height, m, from which the horizon is taken in full: the Kármán line. 4.12 sqrt(h) is 0.3 % short there."""

MIN_HORIZON_M = float(radio_horizon_m(HANDHELD_HEIGHT_M, HANDHELD_HEIGHT_M))
"""Distance, m, that any emitter reaches: the radio horizon of two handheld antennas, about 10.1 km.

A height above the ellipsoid is not an antenna height: an emitter "at 0 m" on a grid at 0 m would
otherwise have a horizon of nothing, and no field at all.
"""


@dataclass(frozen=True)
class Model:
    """A propagation model as `power_field` offers it.

    Attributes
    ----------
    name : str
        Name users choose it by.
    variable, units : str
        Name and unit of the field it gives.
    long_name : str
        What the field means, for axis labels.
    direct_path : bool
        Whether the radio horizon can hide a cell from an emitter.
    columns : tuple of str
        Columns of an emitter table that it needs.
    reference : str
        Source of the definition.
    """

    name: str
    variable: str
    units: str
    long_name: str
    direct_path: bool
    columns: tuple[str, ...]
    reference: str


def _of_power(name: str, long_name: str, reference: str) -> Model:
    """A model that gives dBm of emitters with EIRP and frequency."""
    columns = ("lat", "lon", "alt_m", "eirp_dbm", "freq_hz")
    return Model(name, "power_dbm", "dBm", long_name, True, columns, reference)


_INVERSE_SQUARE = Model(
    name="inverse_square",
    variable="intensity",
    units="1",
    long_name="inverse-square intensity",
    direct_path=False,
    columns=("lat", "lon", "alt_m"),
    reference="sum of weight / (d^2 + eps), d in m",
)

MODELS: Mapping[str, Model] = MappingProxyType(
    {
        model.name: model
        for model in (
            _of_power("free_space", "received power", "ITU-R P.525-4"),
            _INVERSE_SQUARE,
            _of_power(
                "two_ray",
                "received power over reflecting ground",
                "Rappaport (2002), Wireless Communications, section 4.6",
            ),
            _of_power("atmospheric", "received power through air", "ITU-R P.525-4, P.676-13, P.838-3"),
            _of_power(
                "scale_height",
                "received power, thinned with height",
                "free space times exp(-z / 8000 m), z the altitude of the cell: a crude baseline",
            ),
        )
    }
)
"""Propagation models by name."""


def free_space_loss_db(distance_m: ArrayLike, freq_hz: ArrayLike) -> Any:
    """Free-space basic transmission loss between isotropic antennas.

    ``L = 20 log10(4 pi d / lambda)``, which is ``32.447783 + 20 log10(f_MHz) + 20 log10(d_km)``.

    Parameters
    ----------
    distance_m : array_like of float
        Slant range, m, positive.
    freq_hz : array_like of float
        Frequency, Hz, positive; broadcasts with `distance_m`.

    Returns
    -------
    ndarray of float64
        Loss, dB, of the broadcast shape.

    Examples
    --------
    >>> round(float(free_space_loss_db(1000.0, 1e6)), 6)
    32.447783

    References
    ----------
    ITU-R P.525-4, Calculation of free-space attenuation, section 2.3.
    """
    distance = np.asarray(distance_m, dtype=np.float64)
    return 20.0 * np.log10(4.0 * np.pi * distance / wavelength_m(np.asarray(freq_hz, dtype=np.float64)))


def free_space_power_dbm(eirp_dbm: ArrayLike, distance_m: ArrayLike, freq_hz: ArrayLike) -> Any:
    """Power received by an isotropic antenna in free space, ``EIRP - L``.

    Parameters
    ----------
    eirp_dbm : array_like of float
        Equivalent isotropically radiated power, dBm.
    distance_m, freq_hz : array_like of float
        As in `free_space_loss_db`.

    Returns
    -------
    ndarray of float64
        Received power, dBm, of the broadcast shape.

    Examples
    --------
    >>> round(float(free_space_power_dbm(30.0, 1000.0, 1e9)), 3)
    -62.448

    References
    ----------
    ITU-R P.525-4.
    """
    return np.asarray(eirp_dbm, dtype=np.float64) - free_space_loss_db(distance_m, freq_hz)


def two_ray_gain_db(
    distance_m: ArrayLike, tx_height_m: ArrayLike, rx_height_m: ArrayLike, freq_hz: ArrayLike, reflection: float = 1.0
) -> Any:
    """Gain over free space of a direct and a ground-reflected ray above flat ground.

    ``20 log10 |1 - rho (d/r) exp(-jk (r - d))|`` with d the direct path, r the reflected one,
    ``r^2 = d^2 + 4 h1 h2``, and k the wavenumber. Between +6 dB and nulls close by; far away it
    falls by 6 dB per doubling of the distance.

    Parameters
    ----------
    distance_m : array_like of float
        Slant range, m, positive.
    tx_height_m, rx_height_m : array_like of float
        Antenna heights above the ground, m.
    freq_hz : array_like of float
        Hz.
    reflection : float
        Size rho of the reflection coefficient, 0 to 1; its phase is that of grazing, 180 degrees.

    Returns
    -------
    ndarray of float64
        dB, of the broadcast shape.

    Examples
    --------
    >>> far = two_ray_gain_db([10e3, 20e3], 2.0, 2.0, 1e9)
    >>> round(float(far[0] - far[1]), 2)
    6.02

    References
    ----------
    Rappaport (2002), Wireless Communications, 2nd edition, section 4.6.
    """
    d = np.asarray(distance_m, dtype=np.float64)
    product = 4.0 * np.asarray(tx_height_m, dtype=np.float64) * np.asarray(rx_height_m, dtype=np.float64)
    r = np.sqrt(d * d + product)
    q = reflection * d / r
    half_phase = np.pi / wavelength_m(np.asarray(freq_hz, dtype=np.float64)) * product / (r + d)
    with np.errstate(divide="ignore"):
        return 10.0 * np.log10((1.0 - q) ** 2 + 4.0 * q * np.sin(half_phase) ** 2)


def unit_loss_distance_m(freq_hz: ArrayLike) -> Any:
    """Distance at which free-space loss is 0 dB, ``lambda / (4 pi)``, m.

    Nearer than this the formula would promise more power than was radiated; it is the default floor
    under the distance of the `free_space` model.

    Examples
    --------
    >>> round(float(unit_loss_distance_m(1090e6)), 4)
    0.0219
    """
    return wavelength_m(np.asarray(freq_hz, dtype=np.float64)) / (4.0 * np.pi)


def inverse_square_intensity(distance_m: ArrayLike, weight: ArrayLike, eps_m2: float) -> Any:
    """Unitless intensity ``weight / (d^2 + eps)`` for entities without radio data.

    Parameters
    ----------
    distance_m : array_like of float
        Slant range, m.
    weight : array_like of float
        Weight of the entity; broadcasts with `distance_m`.
    eps_m2 : float
        Floor, m^2, that keeps the nearest cell from swamping the picture: half the grid's smallest
        cell spacing, squared.

    Returns
    -------
    ndarray of float64
        Of the broadcast shape.

    Examples
    --------
    >>> float(inverse_square_intensity(3.0, 1.0, 1.0))
    0.1
    """
    return np.asarray(weight, dtype=np.float64) / (np.asarray(distance_m, dtype=np.float64) ** 2 + eps_m2)


def horizon_m(tx_alt_m: ArrayLike, rx_alt_m: ArrayLike, min_horizon_m: float = MIN_HORIZON_M) -> Any:
    """Distance beyond which the direct-path models give no power.

    ``max(4.12 (sqrt(h_tx) + sqrt(h_rx)) km, min_horizon_m)``, heights in metres above the
    ellipsoid, which stands in for sea level; negative heights count as zero. ``4.12 sqrt(h)`` is
    ``sqrt(2 k a h + h^2)`` without its last term; from `SPACE_ALT_M` upwards the whole is taken, or
    a satellite would be hidden from the ground beneath it.

    Parameters
    ----------
    tx_alt_m, rx_alt_m : array_like of float
        Heights of emitter and receiver, m; they broadcast.
    min_horizon_m : float
        Distance that any emitter reaches, m; 0 is the bare 4/3-earth formula.

    Returns
    -------
    ndarray of float64
        Slant range, m, of the broadcast shape.

    Examples
    --------
    >>> float(horizon_m(10_000.0, 0.0))
    412000.0

    References
    ----------
    ITU-R P.310 (4/3 effective earth radius).
    """
    reach = _height_horizon_m(tx_alt_m) + _height_horizon_m(rx_alt_m)
    return np.maximum(reach, min_horizon_m)


def _height_horizon_m(alt_m: ArrayLike) -> Array:
    alt = np.asarray(alt_m, dtype=np.float64)
    low = radio_horizon_m(alt, 0.0)
    return np.where(alt < SPACE_ALT_M, low, np.hypot(low, alt))
