"""What `locate_tdoa` and its kin are given, checked and brought to the few shapes that kernels take.

Errors name the argument, its value or shape, and what would be right. It must not know how a position
is found.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]


def finite(name: str, value: Any, above: float) -> float:
    """One finite number greater than `above`."""
    number = float(value)
    if not (math.isfinite(number) and number > above):
        raise ValueError(f"{name} is {value}; it must be a finite number above {above:g}")
    return number


def checked_sensors(sensors_ecef_m: ArrayLike, n: int | None) -> Array:
    """Sensors as float64 of shape (1 or n, M, 3)."""
    sensors = np.ascontiguousarray(sensors_ecef_m, dtype=np.float64)
    if sensors.ndim == 2:
        sensors = sensors[None]
    if sensors.ndim != 3 or sensors.shape[2] != 3 or sensors.shape[1] < 1:
        raise ValueError(f"sensors_ecef_m has shape {np.shape(sensors_ecef_m)}; (M, 3) or (N, M, 3) is needed")
    if n is not None and len(sensors) not in (1, n):
        raise ValueError(
            f"sensors_ecef_m has shape {sensors.shape}; sensors of {n} fixes are needed, or of one for all"
        )
    return sensors


def range_differences(sensors_ecef_m: ArrayLike, tdoa_s: ArrayLike, speed_m_s: float) -> tuple[Array, Array]:
    """Sensors, and ranges less that of sensor 0, m, of shape (N, M): zeros in the first column."""
    tdoa = np.atleast_2d(np.asarray(tdoa_s, dtype=np.float64))
    if tdoa.ndim != 2:
        raise ValueError(f"tdoa_s has shape {tdoa.shape}; (N, M - 1) is needed")
    sensors = checked_sensors(sensors_ecef_m, len(tdoa))
    if tdoa.shape[1] != sensors.shape[1] - 1:
        raise ValueError(
            f"tdoa_s has shape {tdoa.shape} for {sensors.shape[1]} sensors; "
            f"(N, {sensors.shape[1] - 1}) is needed: differences against the first sensor"
        )
    rho_m = np.zeros((len(tdoa), sensors.shape[1]))
    rho_m[:, 1:] = tdoa * speed_m_s
    return sensors, rho_m


def noise_m(
    sigma_s: ArrayLike, clock_sigma_s: ArrayLike, sensor_sigma_m: ArrayLike, speed_m_s: float, n: int, most: int
) -> Array:
    """Standard deviation of the range from each sensor, m, of shape (1 or n, M)."""
    variance = np.zeros((1, most))
    for name, value, scale in (
        ("sigma_s", sigma_s, speed_m_s),
        ("clock_sigma_s", clock_sigma_s, speed_m_s),
        ("sensor_sigma_m", sensor_sigma_m, 1.0),
    ):
        sigma = np.asarray(value, dtype=np.float64)
        if sigma.shape not in ((), (most,), (n, most)):
            raise ValueError(f"{name} has shape {sigma.shape}; (), ({most},) or ({n}, {most}) is needed")
        if not (np.isfinite(sigma) & (sigma >= 0.0)).all():
            raise ValueError(f"{name} is {sigma}; it must be finite and not negative")
        variance = variance + (sigma * scale) ** 2
    if not (variance > 0.0).all():
        raise ValueError(f"sigma_s is {np.asarray(sigma_s)}; every sensor needs a standard deviation above 0")
    return np.ascontiguousarray(np.sqrt(variance))


def height_tie(alt_m: ArrayLike | None, alt_sigma_m: ArrayLike | None, n: int) -> tuple[Array, Array]:
    """Known height, m, and its inverse variance, 1/m^2, of each fix; weight 0 where none is known."""
    if (alt_m is None) != (alt_sigma_m is None):
        raise ValueError("one of alt_m and alt_sigma_m is None; both are needed, or neither")
    if alt_m is None:
        return np.zeros(n), np.zeros(n)
    values = []
    for name, value in (("alt_m", alt_m), ("alt_sigma_m", alt_sigma_m)):
        array = np.asarray(value, dtype=np.float64)
        if array.shape not in ((), (n,)):
            raise ValueError(f"{name} has shape {array.shape}; () or ({n},) is needed")
        values.append(np.broadcast_to(array, (n,)))
    height, sigma = values
    known = ~np.isnan(height)
    if not (np.isfinite(sigma) & (sigma > 0.0))[known].all():
        raise ValueError(f"alt_sigma_m is {sigma[known]}; it must be finite and above 0")
    weight = np.zeros(n)
    weight[known] = sigma[known] ** -2.0
    return np.where(known, height, 0.0), weight
