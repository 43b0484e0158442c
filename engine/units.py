"""Unit conversions and physical constants, each written once.

Powers are dBm or milliwatts, lengths metres, speeds metres per second, frequencies hertz. Names of
arguments and variables elsewhere carry the unit (``alt_m``, ``eirp_dbm``); this module converts.
"""

from __future__ import annotations

from typing import TypeVar

import numpy as np

Number = TypeVar("Number", float, np.ndarray)

SPEED_OF_LIGHT_M_S = 299_792_458.0
"""Speed of light in vacuum, m/s (exact, SI)."""

METRES_PER_FOOT = 0.3048
"""International foot, m (exact)."""

METRES_PER_NAUTICAL_MILE = 1852.0
"""International nautical mile, m (exact)."""

M_S_PER_KNOT = METRES_PER_NAUTICAL_MILE / 3600.0
"""One knot in m/s (exact)."""

M_S_PER_FOOT_PER_MINUTE = METRES_PER_FOOT / 60.0
"""One foot per minute in m/s (exact)."""


def dbm_to_mw(power_dbm: Number) -> Number:
    """Power in milliwatts from power in dBm.

    Parameters
    ----------
    power_dbm : float or ndarray
        Power, dBm. ``-inf`` is no power at all.

    Returns
    -------
    float or ndarray
        Power, mW, of the same shape.

    Examples
    --------
    >>> float(dbm_to_mw(30.0))
    1000.0
    """
    return 10.0 ** (power_dbm / 10.0)


def mw_to_dbm(power_mw: Number) -> Number:
    """Power in dBm from power in milliwatts; zero power is ``-inf`` dBm.

    Parameters
    ----------
    power_mw : float or ndarray
        Power, mW, not negative.

    Returns
    -------
    float or ndarray
        Power, dBm, of the same shape.

    Examples
    --------
    >>> float(mw_to_dbm(1000.0))
    30.0
    """
    with np.errstate(divide="ignore"):
        return 10.0 * np.log10(power_mw)


def wavelength_m(freq_hz: Number) -> Number:
    """Wavelength in vacuum, m, of a frequency in Hz.

    Examples
    --------
    >>> round(float(wavelength_m(1090e6)), 4)
    0.275
    """
    return SPEED_OF_LIGHT_M_S / freq_hz
