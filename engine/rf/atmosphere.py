"""The reference atmosphere that gas attenuation is computed in: pressure, temperature, water vapour by height.

ITU-R P.835's mean annual global atmosphere, plain array functions. It must not know frequencies or paths.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]

SURFACE_WATER_VAPOUR_G_M3 = 7.5
"""Water vapour density at the ground, g/m^3 (ITU-R P.835-6, Annex 1, eq. 7)."""

WATER_VAPOUR_SCALE_M = 2000.0
"""Scale height of water vapour, m (ITU-R P.835-6, Annex 1, eq. 6)."""

LEAST_MIXING_RATIO = 2e-6
"""Vapour to total pressure below which water vapour does not fall higher up (ITU-R P.835-6, Annex 1, section 1.2)."""

TOP_M = 100_000.0
"""Height, m, at which the reference atmosphere ends."""

_GRAVITY_K_PER_KM = 34.1632
_RADIUS_KM = 6356.766

# Geopotential height of the base, km; temperature there, K; lapse, K/km; pressure there, hPa (P.835-6, Table 1, eq. 3).
_LAYERS = (
    (0.0, 288.15, -6.5, 1013.25),
    (11.0, 216.65, 0.0, 226.3226),
    (20.0, 216.65, 1.0, 54.74980),
    (32.0, 228.65, 2.8, 8.680422),
    (47.0, 270.65, 0.0, 1.109106),
    (51.0, 270.65, -2.8, 0.6694167),
    (71.0, 214.65, -2.0, 0.03956649),
)


def reference_atmosphere(
    alt_m: ArrayLike, surface_water_vapour_g_m3: float = SURFACE_WATER_VAPOUR_G_M3
) -> tuple[Array, Array, Array]:
    """Dry pressure, temperature and water vapour density of the mean annual global atmosphere.

    Parameters
    ----------
    alt_m : array_like of float
        Height, m. Below 0 it is as at 0, above 100 km there is nothing.
    surface_water_vapour_g_m3 : float
        Water vapour density at the ground, g/m^3.

    Returns
    -------
    dry_pressure_hpa, temperature_k, water_vapour_g_m3 : ndarray of float64
        hPa, K and g/m^3, of the shape of `alt_m`.

    Examples
    --------
    >>> dry, temperature, vapour = reference_atmosphere(0.0)
    >>> round(float(dry), 2), float(temperature), float(vapour)
    (1003.28, 288.15, 7.5)

    References
    ----------
    ITU-R P.835-6, Reference standard atmospheres, Annex 1, section 1.
    """
    height_km = np.clip(np.asarray(alt_m, dtype=np.float64), 0.0, TOP_M) / 1e3
    temperature, pressure = _lower(_RADIUS_KM * height_km / (_RADIUS_KM + height_km))
    high = height_km >= 86.0
    over = np.where(high, height_km, 86.0)
    pressure = np.where(
        high,
        np.exp(95.571899 + over * (-4.011801 + over * (6.424731e-2 + over * (-4.789660e-4 + over * 1.340543e-6)))),
        pressure,
    )
    bow = np.sqrt(np.maximum(1.0 - ((np.maximum(over, 91.0) - 91.0) / 19.9429) ** 2, 0.0))
    temperature = np.where(high, np.where(over <= 91.0, 186.8673, 263.1905 - 76.3232 * bow), temperature)
    vapour = surface_water_vapour_g_m3 * np.exp(-height_km * 1e3 / WATER_VAPOUR_SCALE_M)
    least = LEAST_MIXING_RATIO * pressure * 216.7 / temperature
    vapour = np.maximum(vapour, np.minimum(least, surface_water_vapour_g_m3))
    there = np.asarray(alt_m, dtype=np.float64) <= TOP_M
    dry = pressure - vapour * temperature / 216.7
    return np.where(there, dry, 0.0), temperature, np.where(there, vapour, 0.0)


def _lower(geopotential_km: Array) -> tuple[Array, Array]:
    """Temperature, K, and total pressure, hPa, up to 86 km, by geopotential height."""
    temperature, pressure = np.empty_like(geopotential_km), np.empty_like(geopotential_km)
    tops = (*(layer[0] for layer in _LAYERS[1:]), 85.0)
    for (base, base_k, lapse, base_hpa), top in zip(_LAYERS, tops, strict=True):
        here = geopotential_km >= base
        above = np.clip(geopotential_km, base, top) - base
        layer_k = base_k + lapse * above
        if lapse == 0.0:
            layer_hpa = base_hpa * np.exp(-_GRAVITY_K_PER_KM * above / base_k)
        else:
            layer_hpa = base_hpa * (base_k / layer_k) ** (_GRAVITY_K_PER_KM / lapse)
        temperature, pressure = np.where(here, layer_k, temperature), np.where(here, layer_hpa, pressure)
    return temperature, pressure
