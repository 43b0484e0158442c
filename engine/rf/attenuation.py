"""What air and rain take from a radio wave: per kilometre, and along slanted paths through the atmosphere.

Gas by the line-by-line sums of ITU-R P.676-13, rain by ITU-R P.838-3. Plain array functions; this
module must not know emitters, grids or fields.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import vectorize
from numpy.typing import ArrayLike, NDArray

from engine.rf._gas_path import along_paths
from engine.rf._p676_lines import OXYGEN, WATER_VAPOUR
from engine.rf.atmosphere import SURFACE_WATER_VAPOUR_G_M3, TOP_M, reference_atmosphere

Array = NDArray[np.float64]

GAS_FREQ_HZ = (1e9, 1000e9)
RAIN_FREQ_HZ = (1e9, 1000e9)
"""Frequencies that the Recommendations speak of, Hz."""

EARTH_RADIUS_M = 6_371_000.0
"""Mean radius, m (ITU-R P.676-13, section 2.2.1)."""

K_FACTOR = 4.0 / 3.0
"""Effective over true earth radius: rays bend with the air (ITU-R P.310)."""

SCALE_HEIGHT_M = 8000.0
"""Scale height of the crude baseline, m."""


def gas_attenuation_db_per_km(
    freq_hz: ArrayLike, pressure_hpa: ArrayLike, temperature_k: ArrayLike, water_vapour_g_m3: ArrayLike
) -> Any:
    """Specific attenuation by the gases of the air, dry and water vapour together.

    Parameters
    ----------
    freq_hz : array_like of float
        Frequency, Hz, 1 to 1000 GHz.
    pressure_hpa : array_like of float
        Pressure of the *dry* air, hPa: total pressure less that of the vapour.
    temperature_k : array_like of float
        Temperature, K.
    water_vapour_g_m3 : array_like of float
        Water vapour density, g/m^3.

    Returns
    -------
    ndarray of float64
        dB/km, of the broadcast shape.

    Raises
    ------
    ValueError
        A frequency outside 1 to 1000 GHz, or a pressure, temperature or density that cannot be.

    Examples
    --------
    >>> round(float(gas_attenuation_db_per_km(60e9, 1013.25, 288.15, 7.5)), 1)
    14.8

    References
    ----------
    ITU-R P.676-13, Attenuation by atmospheric gases and related effects, Annex 1, section 1.
    """
    oxygen, vapour = gas_attenuation_parts_db_per_km(freq_hz, pressure_hpa, temperature_k, water_vapour_g_m3)
    return oxygen + vapour


def gas_attenuation_parts_db_per_km(
    freq_hz: ArrayLike, pressure_hpa: ArrayLike, temperature_k: ArrayLike, water_vapour_g_m3: ArrayLike
) -> tuple[Any, Any]:
    """Specific attenuation by dry air and by water vapour, each for itself, dB/km.

    Parameters, errors and reference are those of `gas_attenuation_db_per_km`.

    Examples
    --------
    >>> dry, wet = gas_attenuation_parts_db_per_km(22.235e9, 1013.25, 288.15, 7.5)
    >>> bool(wet > 10 * dry)
    True
    """
    freq = _within("freq_hz", freq_hz, *GAS_FREQ_HZ) / 1e9
    pressure = _within("pressure_hpa", pressure_hpa, 0.0, 2000.0)
    temperature = _within("temperature_k", temperature_k, 50.0, 1000.0)
    vapour_hpa = _within("water_vapour_g_m3", water_vapour_g_m3, 0.0, 1000.0) * temperature / 216.7
    return _dry(freq, pressure, vapour_hpa, temperature), _wet(freq, pressure, vapour_hpa, temperature)


@vectorize(cache=True)
def _dry(f, p, e, t):
    """Equations (1), (2a), (3), (5) to (9) for oxygen and the dry continuum; f GHz, p and e hPa, t K."""
    theta = 300.0 / t
    total = 0.0
    for i in range(OXYGEN.shape[0]):
        line = OXYGEN[i]
        f0 = line[0]
        strength = line[1] * 1e-7 * p * theta**3 * math.exp(line[2] * (1.0 - theta))
        width = line[3] * 1e-4 * (p * theta ** (0.8 - line[4]) + 1.1 * e * theta)
        # Zeeman splitting keeps lines from becoming infinitely thin high up.
        width = math.sqrt(width * width + 2.25e-6)
        overlap = (line[5] + line[6] * theta) * 1e-4 * (p + e) * theta**0.8
        below, above = f0 - f, f0 + f
        shape = (width - overlap * below) / (below * below + width * width)
        shape += (width - overlap * above) / (above * above + width * width)
        total += strength * shape * f / f0
    d = 5.6e-4 * (p + e) * theta**0.8
    if p > 0.0:
        debye = 6.14e-5 / (d * (1.0 + (f / d) ** 2))
        nitrogen = 1.4e-12 * p * theta**1.5 / (1.0 + 1.9e-5 * f**1.5)
        total += f * p * theta**2 * (debye + nitrogen)
    return 0.1820 * f * total


@vectorize(cache=True)
def _wet(f, p, e, t):
    """Equations (1), (2b), (3), (5), (6) for water vapour; f GHz, p and e hPa, t K."""
    theta = 300.0 / t
    total = 0.0
    for i in range(WATER_VAPOUR.shape[0]):
        line = WATER_VAPOUR[i]
        f0 = line[0]
        strength = line[1] * 1e-1 * e * theta**3.5 * math.exp(line[2] * (1.0 - theta))
        width = line[3] * 1e-4 * (p * theta ** line[4] + line[5] * e * theta ** line[6])
        # Doppler broadening, for the same reason.
        width = 0.535 * width + math.sqrt(0.217 * width * width + 2.1316e-12 * f0 * f0 / theta)
        shape = width / ((f0 - f) ** 2 + width * width) + width / ((f0 + f) ** 2 + width * width)
        total += strength * shape * f / f0
    return 0.1820 * f * total


def gas_path_attenuation_db(
    freq_hz: float,
    alt1_m: ArrayLike,
    alt2_m: ArrayLike,
    distance_m: ArrayLike,
    *,
    surface_water_vapour_g_m3: float = SURFACE_WATER_VAPOUR_G_M3,
    k_factor: float = K_FACTOR,
) -> Array:
    """Attenuation by gas along slanted paths through the reference atmosphere.

    Specific attenuation is tabled by height once per call and taken as linear in between; along a
    straight ray over a spherical earth of effective radius the integral over each layer then has a
    closed form. Against numerical integration it is right to 2e-4 of itself.

    Parameters
    ----------
    freq_hz : float
        Frequency, Hz, 1 to 1000 GHz.
    alt1_m, alt2_m : array_like of float
        Heights of both ends, m.
    distance_m : array_like of float
        Straight distance between them, m; no less than the difference of their heights.
    surface_water_vapour_g_m3 : float
        Water vapour density at the ground, g/m^3.
    k_factor : float
        Effective over true earth radius; 1 for a straight ray without bending.

    Returns
    -------
    ndarray of float64
        dB, of the broadcast shape. Paths through the ground are taken through air as at height 0.

    Raises
    ------
    ValueError
        A frequency outside 1 to 1000 GHz, or a path that is shorter than its ends are apart in height.

    Examples
    --------
    >>> round(float(gas_path_attenuation_db(22.2e9, 0.0, 10_000.0, 10_000.0)), 2)
    0.5

    References
    ----------
    ITU-R P.676-13, Annex 1, section 2; ITU-R P.835-6.
    """
    shape = np.broadcast_shapes(np.shape(alt1_m), np.shape(alt2_m), np.shape(distance_m))
    ends = [np.broadcast_to(np.asarray(v, dtype=np.float64), shape).ravel() for v in (alt1_m, alt2_m, distance_m)]
    alt1, alt2, distance = (np.ascontiguousarray(v) for v in ends)
    # Ends as far from the centre of the earth as they are make a distance some nanometres uncertain.
    rise = np.abs(alt2 - alt1)
    short = ~(distance >= rise * (1.0 - 1e-9) - 1e-8)
    if short.any():
        k = int(np.flatnonzero(short)[0])
        raise ValueError(
            f"distance_m is {distance[k]} m between heights of {alt1[k]} and {alt2[k]} m; "
            "it must be at least their difference"
        )
    distance = np.maximum(distance, rise)
    heights = _layer_heights()
    specific = gas_attenuation_db_per_km(freq_hz, *reference_atmosphere(heights, surface_water_vapour_g_m3))
    out = np.empty(alt1.size)
    along_paths(alt1, alt2, distance, float(k_factor) * EARTH_RADIUS_M, heights, specific / 1e3, out)
    return out.reshape(shape)


def _layer_heights() -> Array:
    """Heights, m, between which specific attenuation is linear: 30 m apart at the ground, 1 % of the height far up."""
    steps = 30.0 * np.exp(np.arange(400) * 0.01)
    heights = np.concatenate([[0.0], np.cumsum(steps)])
    return np.append(heights[heights < TOP_M], TOP_M)


# ITU-R P.838-3, Tables 1 to 4: a_j, b_j, c_j; then m, c of the straight line.
_K_H = ((-5.33980, -0.35351, -0.23789, -0.94158), (-0.10008, 1.26970, 0.86036, 0.64552),
        (1.13098, 0.45400, 0.15354, 0.16817), -0.18961, 0.71147)  # fmt: skip
_K_V = ((-3.80595, -3.44965, -0.39902, 0.50167), (0.56934, -0.22911, 0.73042, 1.07319),
        (0.81061, 0.51059, 0.11899, 0.27195), -0.16398, 0.63297)  # fmt: skip
_ALPHA_H = ((-0.14318, 0.29591, 0.32177, -5.37610, 16.1721), (1.82442, 0.77564, 0.63773, -0.96230, -3.29980),
            (-0.55187, 0.19822, 0.13164, 1.47828, 3.43990), 0.67849, -1.95537)  # fmt: skip
_ALPHA_V = ((-0.07771, 0.56727, -0.20238, -48.2991, 48.5833), (2.33840, 0.95545, 1.14520, 0.791669, 0.791459),
            (-0.76284, 0.54039, 0.26809, 0.116226, 0.116479), -0.053739, 0.83433)  # fmt: skip


def rain_coefficients(
    freq_hz: ArrayLike, polarisation_tilt_deg: ArrayLike = 45.0, elevation_deg: ArrayLike = 0.0
) -> tuple[Any, Any]:
    """Coefficients k and alpha of the power law ``k R^alpha`` of rain attenuation.

    Parameters
    ----------
    freq_hz : array_like of float
        Frequency, Hz, 1 to 1000 GHz.
    polarisation_tilt_deg : array_like of float
        Tilt of the polarisation against the horizontal, degrees; 45 for circular.
    elevation_deg : array_like of float
        Elevation of the path, degrees.

    Returns
    -------
    k, alpha : ndarray of float64
        Of the broadcast shape; k in dB/km for 1 mm/h.

    Examples
    --------
    >>> k, alpha = rain_coefficients(12e9, polarisation_tilt_deg=0.0)
    >>> round(float(k), 5), round(float(alpha), 4)
    (0.02386, 1.1825)

    References
    ----------
    ITU-R P.838-3, Specific attenuation model for rain, equations (2) to (5).
    """
    log_f = np.log10(_within("freq_hz", freq_hz, *RAIN_FREQ_HZ) / 1e9)
    k_h, k_v = 10.0 ** _bells(log_f, *_K_H), 10.0 ** _bells(log_f, *_K_V)
    a_h, a_v = _bells(log_f, *_ALPHA_H), _bells(log_f, *_ALPHA_V)
    tilt, elevation = (np.radians(np.asarray(v, dtype=np.float64)) for v in (polarisation_tilt_deg, elevation_deg))
    lean = np.cos(elevation) ** 2 * np.cos(2.0 * tilt)
    k = (k_h + k_v + (k_h - k_v) * lean) / 2.0
    return k, (k_h * a_h + k_v * a_v + (k_h * a_h - k_v * a_v) * lean) / (2.0 * k)


def rain_attenuation_db_per_km(
    freq_hz: ArrayLike,
    rain_mm_h: ArrayLike,
    polarisation_tilt_deg: ArrayLike = 45.0,
    elevation_deg: ArrayLike = 0.0,
) -> Any:
    """Specific attenuation by rain.

    Parameters
    ----------
    rain_mm_h : array_like of float
        Rain rate, mm/h, not negative.
    freq_hz, polarisation_tilt_deg, elevation_deg
        As in `rain_coefficients`.

    Returns
    -------
    ndarray of float64
        dB/km, of the broadcast shape.

    Raises
    ------
    ValueError
        A frequency outside 1 to 1000 GHz or a negative rain rate.

    Examples
    --------
    >>> round(float(rain_attenuation_db_per_km(12e9, 25.0, polarisation_tilt_deg=0.0)), 2)
    1.07

    References
    ----------
    ITU-R P.838-3, equation (1).
    """
    k, alpha = rain_coefficients(freq_hz, polarisation_tilt_deg, elevation_deg)
    return k * _within("rain_mm_h", rain_mm_h, 0.0, 10_000.0) ** alpha


def scale_height_factor(alt_m: ArrayLike, scale_m: float = SCALE_HEIGHT_M) -> Any:
    """The asked-for baseline: a factor ``exp(-z / 8000 m)`` on linear power, of no frequency and no path.

    Examples
    --------
    >>> round(float(scale_height_factor(8000.0)), 4)
    0.3679
    """
    return np.exp(-np.asarray(alt_m, dtype=np.float64) / scale_m)


def _bells(log_f: Array, a: Any, b: Any, c: Any, slope: float, offset: float) -> Array:
    """Sum of bell curves and a straight line: equations (2) and (3)."""
    total = slope * log_f + offset
    for aj, bj, cj in zip(a, b, c, strict=True):
        total = total + aj * np.exp(-(((log_f - bj) / cj) ** 2))
    return total


def _within(name: str, value: ArrayLike, low: float, high: float) -> Array:
    values = np.asarray(value, dtype=np.float64)
    wrong = ~((values >= low) & (values <= high))
    if wrong.any():
        raise ValueError(f"{name} is {values[wrong].flat[0]}; it must be {low:g} to {high:g}")
    return values
