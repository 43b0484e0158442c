"""Where an emitter is, from differences of its signal's arrival times at known sensors (TDoA).

`locate_tdoa` solves thousands of fixes at once and says of each what it is worth: covariance, dilution
of precision, residuals, or the reason why there is no position. This module must not know which radio
the times come from or how a fix is drawn.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray
from scipy.special import chdtri

from engine.rf._ellipsoid import ecef_to_geodetic
from engine.rf._tdoa_batch import locate_batch
from engine.rf._tdoa_bound import bound_batch
from engine.rf._tdoa_fit import (
    AMBIGUOUS,
    BAD_GEOMETRY,
    BAD_INPUT,
    BELOW_THRESHOLD,
    INCONSISTENT,
    NOT_CONVERGED,
    OK,
    OUTSIDE,
    TOO_FEW,
)
from engine.rf._tdoa_input import checked_sensors, finite, height_tie, noise_m, range_differences
from engine.units import SPEED_OF_LIGHT_M_S

Array = NDArray[np.float64]

REASONS = {
    OK: "ok",
    TOO_FEW: "too few sensors",
    BAD_GEOMETRY: "bad geometry",
    AMBIGUOUS: "ambiguous",
    BELOW_THRESHOLD: "below threshold",
    INCONSISTENT: "inconsistent",
    NOT_CONVERGED: "not converged",
    BAD_INPUT: "bad input",
    OUTSIDE: "outside limits",
}
"""What the variable `reason` may say, by code; docs/engine-rf-tdoa.md explains each."""

_WORDS = np.array([REASONS[code] for code in range(len(REASONS))])

SPEED_IN_AIR_M_S = SPEED_OF_LIGHT_M_S / 1.000315
"""Speed of radio waves near the ground, m/s: refractivity 315 (ITU-R P.453-14, section 1.2)."""

CONSISTENCY_P = 1e-4
"""Share of sound fixes that the test of residuals may reject."""

BLOCK = 64
"""Fixes that a thread takes at a time."""


def locate_tdoa(
    sensors_ecef_m: ArrayLike,
    tdoa_s: ArrayLike,
    sigma_s: ArrayLike,
    *,
    alt_m: ArrayLike | None = None,
    alt_sigma_m: ArrayLike | None = None,
    alt_range_m: tuple[float, float] = (-np.inf, np.inf),
    reach_m: float = np.inf,
    sensor_sigma_m: ArrayLike = 0.0,
    clock_sigma_s: ArrayLike = 0.0,
    speed_m_s: float = SPEED_OF_LIGHT_M_S,
    consistency_p: float = CONSISTENCY_P,
) -> xr.Dataset:
    """Positions, with covariance and status, from time differences of arrival.

    Least squares over position and time of emission, weighted with what the differences' noise is:
    each arrival has its own independent error, so differences against one sensor are correlated.
    Started in closed form, refined by Levenberg–Marquardt; then checked. **A fix that is not `ok` has
    no position (NaN) and a `reason`.**

    Parameters
    ----------
    sensors_ecef_m : array_like of float, shape (M, 3) or (N, M, 3)
        Sensors, ECEF, m; the same for all fixes, or each fix its own.
    tdoa_s : array_like of float, shape (N, M - 1) or (M - 1,)
        Arrival time at sensors 1 … M - 1 less that at sensor 0, s. NaN: that sensor did not hear it.
    sigma_s : array_like of float, shape (), (M,) or (N, M)
        Standard deviation of the *arrival* time at each sensor, s (a difference of two equal ones
        has sqrt(2) of it).
    alt_m, alt_sigma_m : array_like of float, shape () or (N,), optional
        Height above the ellipsoid that the emitter is known to have, m, and its standard deviation,
        m: one more measurement, which may be weak. NaN in `alt_m`: not known for that fix.
    alt_range_m : (float, float)
        Heights outside which there can be no emitter, m; decides between mirror images.
    reach_m : float
        Distance beyond which no sensor hears, m; decides between positions far and near.
    sensor_sigma_m : array_like of float, shape (), (M,) or (N, M)
        Standard deviation of each coordinate of a sensor's position, m. To first order it is a noise
        of the range, of the same size whatever the direction; it is taken as independent from fix
        to fix, which a surveyed sensor's error is not: it widens the ellipse and averages out of nothing.
    clock_sigma_s : array_like of float, shape (), (M,) or (N, M)
        Standard deviation of a sensor's clock, s; adds to `sigma_s` in quadrature.
    speed_m_s : float
        Speed of propagation, m/s.
    consistency_p : float
        Probability with which a sound fix may be called inconsistent.

    Returns
    -------
    xarray.Dataset
        On `fix` (N), `axis` (x, y, z) and `sensor` (M): `position_ecef_m`, `lat`, `lon` (degrees),
        `alt_m`, `covariance_m2` (fix, axis, axis_b), all NaN unless `ok`; `ok` (bool), `reason`
        (a value of `REASONS`); `gdop` (standard deviation of the position for ranges of standard
        deviation 1, all sensors alike and the height not tied); `external_reliability` (standard
        deviations by which one wrong arrival can shift the position and pass the test of residuals;
        infinite where nothing is left over to check with); `ellipse_major_m`, `ellipse_minor_m`
        (standard deviations, m) and `ellipse_azimuth_deg` (major axis, from north to east) in the
        horizontal plane; `chi2` and `dof` (weighted squares of the residuals, and how many of them
        were free); `residual_s` (fix, sensor), arrival time measured less computed.

    Raises
    ------
    ValueError
        Shapes that do not fit, or a sigma that is not positive and finite; named with its value.

    Examples
    --------
    >>> sensors = 1e4 * np.array([[1, 1, 1], [-1, -1, 1], [-1, 1, -1], [1, -1, -1], [0, 0, 2.0]])
    >>> range_m = np.linalg.norm(sensors - [1000.0, 2000.0, 3000.0], axis=1)
    >>> fixes = locate_tdoa(sensors, (range_m[1:] - range_m[0]) / SPEED_OF_LIGHT_M_S, sigma_s=20e-9)
    >>> fixes.reason.item(), fixes.position_ecef_m[0].values.round(3).tolist()
    ('ok', [1000.0, 2000.0, 3000.0])

    References
    ----------
    Chan & Ho 1994, IEEE Trans. Signal Processing 42 (covariance, bound); Bancroft 1985 and Smith &
    Abel 1987 (closed form); Torrieri 1984, IEEE Trans. AES 20 (ellipse, GDOP).
    """
    speed = finite("speed_m_s", speed_m_s, above=0.0)
    sensors, rho_m = range_differences(sensors_ecef_m, tdoa_s, speed)
    n, most = rho_m.shape
    weight = noise_m(sigma_s, clock_sigma_s, sensor_sigma_m, speed, n, most) ** -2
    tie_alt_m, tie_weight = height_tie(alt_m, alt_sigma_m, n)
    low_m, high_m = _heights(alt_range_m)
    if not reach_m > 0.0:
        raise ValueError(f"reach_m is {reach_m}; it must be a distance above 0 m")
    if not 0.0 < consistency_p < 1.0:
        raise ValueError(f"consistency_p is {consistency_p}; it must be a probability between 0 and 1")
    # With no degree of freedom nothing can contradict; what is left is rounding.
    limits = np.concatenate([[1.0], chdtri(np.arange(1, most + 1), consistency_p)])
    position, covariance = np.full((n, 3), np.nan), np.full((n, 3, 3), np.nan)
    gdop, reliability, cost = np.full(n, np.nan), np.full(n, np.nan), np.full(n, np.nan)
    residual = np.full((n, most), np.nan)
    dof, code = np.zeros(n, np.int32), np.zeros(n, np.int8)
    locate_batch(
        sensors, rho_m, weight, tie_alt_m, tie_weight, low_m, high_m, float(reach_m), limits, position, covariance,
        gdop, reliability, cost, dof, code, residual, max(1, n // BLOCK),
    )  # fmt: skip
    return _fixes(position, covariance, gdop, reliability, cost, dof, code, residual / speed)


def crlb_tdoa(
    sensors_ecef_m: ArrayLike,
    position_ecef_m: ArrayLike,
    sigma_s: ArrayLike,
    *,
    alt_sigma_m: float | None = None,
    sensor_sigma_m: ArrayLike = 0.0,
    clock_sigma_s: ArrayLike = 0.0,
    speed_m_s: float = SPEED_OF_LIGHT_M_S,
) -> Array:
    """Cramér–Rao bound: the covariance that no unbiased TDoA position can beat.

    Parameters
    ----------
    sensors_ecef_m : array_like of float, shape (M, 3) or (N, M, 3)
    position_ecef_m : array_like of float, shape (N, 3) or (3,)
        True positions, ECEF, m.
    sigma_s, sensor_sigma_m, clock_sigma_s, speed_m_s
        As in `locate_tdoa`.
    alt_sigma_m : float, optional
        Standard deviation of a height known besides, m.

    Returns
    -------
    ndarray of float64, shape (N, 3, 3)
        m^2; infinite on the diagonal and NaN beside it where the sensors do not determine a position.

    Raises
    ------
    ValueError
        As `locate_tdoa`.

    Examples
    --------
    >>> sensors = 1e4 * np.array([[1, 1, 1], [-1, -1, 1], [-1, 1, -1], [1, -1, -1.0]])
    >>> bound = crlb_tdoa(sensors, [0.0, 0.0, 0.0], sigma_s=1 / SPEED_OF_LIGHT_M_S)
    >>> bound[0].diagonal().round(9).tolist()
    [0.75, 0.75, 0.75]

    References
    ----------
    Chan & Ho 1994, IEEE Trans. Signal Processing 42, eq. (37).
    """
    positions = np.ascontiguousarray(np.atleast_2d(np.asarray(position_ecef_m, dtype=np.float64)))
    if positions.ndim != 2 or positions.shape[1] != 3:
        raise ValueError(f"position_ecef_m has shape {positions.shape}; (N, 3) is needed")
    n = len(positions)
    sensors = checked_sensors(sensors_ecef_m, n)
    speed = finite("speed_m_s", speed_m_s, above=0.0)
    sigma_m = noise_m(sigma_s, clock_sigma_s, sensor_sigma_m, speed, n, sensors.shape[1])
    tie = 0.0 if alt_sigma_m is None else finite("alt_sigma_m", alt_sigma_m, above=0.0) ** -2
    bound, dilution = np.empty((n, 3, 3)), np.empty((n, 4))
    bound_batch(sensors, positions, sigma_m**-2, tie, bound, dilution, max(1, n // BLOCK))
    return bound


def locate_tdoa_gradient_descent(
    sensors_ecef_m: ArrayLike, tdoa_s: ArrayLike, *, steps: int = 50, speed_m_s: float = SPEED_OF_LIGHT_M_S
) -> Array:
    """The asked-for baseline: gradient descent on the squared range differences, from the sensors' middle.

    Every step is the gradient over its largest possible curvature, so that it never overshoots. No
    weights, no status: it always gives a position, which is why it is not used.

    Parameters
    ----------
    sensors_ecef_m, tdoa_s, speed_m_s
        As in `locate_tdoa`.
    steps : int
        Number of steps.

    Returns
    -------
    ndarray of float64, shape (N, 3)
        ECEF, m.

    Examples
    --------
    >>> sensors = 1e4 * np.array([[1, 1, 1], [-1, -1, 1], [-1, 1, -1], [1, -1, -1], [0, 0, 2.0]])
    >>> range_m = np.linalg.norm(sensors - [1000.0, 2000.0, 3000.0], axis=1)
    >>> near = locate_tdoa_gradient_descent(sensors, (range_m[1:] - range_m[0]) / SPEED_OF_LIGHT_M_S)
    >>> bool(np.linalg.norm(near - [1000.0, 2000.0, 3000.0]) < 100.0)
    True
    """
    sensors, rho_m = range_differences(sensors_ecef_m, tdoa_s, finite("speed_m_s", speed_m_s, above=0.0))
    heard = ~np.isnan(rho_m[:, 1:])
    x = np.broadcast_to(sensors.mean(axis=1), (len(rho_m), 3)).copy()
    for _ in range(steps):
        away = x[:, None, :] - sensors
        range_m = np.linalg.norm(away, axis=2)
        direction = away / np.maximum(range_m, 1e-9)[:, :, None]
        jacobian = np.where(heard[:, :, None], direction[:, 1:] - direction[:, :1], 0.0)
        wrong = np.where(heard, range_m[:, 1:] - range_m[:, :1] - rho_m[:, 1:], 0.0)
        gradient = np.einsum("nsk,ns->nk", jacobian, wrong)
        curvature = np.einsum("nsk,nsk->n", jacobian, jacobian)
        x -= gradient / np.maximum(curvature, 1e-12)[:, None]
    return x


def warm() -> None:
    """Compile the kernels, or load them from the cache."""
    sensors = 1e4 * np.array([[1, 1, 1], [-1, -1, 1], [-1, 1, -1], [1, -1, -1], [0, 0, 2.0]])
    locate_tdoa(sensors, np.zeros((2, 4)), 20e-9)
    crlb_tdoa(sensors, np.zeros((2, 3)), 20e-9)


def _heights(alt_range_m: tuple[float, float]) -> tuple[float, float]:
    low, high = (float(v) for v in alt_range_m)
    if not low < high:
        raise ValueError(f"alt_range_m is {alt_range_m}; it must be (lowest, highest) height in metres")
    return low, high


def _ellipse(covariance_m2: Array, lat: Array, lon: Array) -> tuple[Array, Array, Array]:
    """Semi-axes, m, and azimuth of the major one, degrees, of the standard ellipse in the horizontal plane."""
    phi, lam = np.radians(lat), np.radians(lon)
    zero = np.zeros_like(phi)
    east = np.stack([-np.sin(lam), np.cos(lam), zero], axis=-1)
    north = np.stack([-np.sin(phi) * np.cos(lam), -np.sin(phi) * np.sin(lam), np.cos(phi)], axis=-1)
    ee, en, nn = (
        np.einsum("ni,nij,nj->n", a, covariance_m2, b) for a, b in ((east, east), (east, north), (north, north))
    )
    middle, swing = (ee + nn) / 2.0, np.hypot((ee - nn) / 2.0, en)
    azimuth = np.degrees(0.5 * np.arctan2(2.0 * en, nn - ee)) % 180.0
    return np.sqrt(middle + swing), np.sqrt(np.maximum(middle - swing, 0.0)), azimuth


def _fixes(
    position: Array,
    covariance: Array,
    gdop: Array,
    reliability: Array,
    cost: Array,
    dof: Any,
    code: Any,
    residual_s: Array,
) -> xr.Dataset:
    """Label a batch."""
    lat, lon, alt = ecef_to_geodetic(*position.T)
    major, minor, azimuth = _ellipse(covariance, lat, lon)
    metres, degrees = {"units": "m"}, {"units": "degrees"}
    return xr.Dataset(
        {
            "position_ecef_m": (("fix", "axis"), position, metres),
            "covariance_m2": (("fix", "axis", "axis_b"), covariance, {"units": "m2"}),
            "ok": ("fix", code == OK),
            "reason": ("fix", _WORDS[code]),
            "lat": ("fix", lat, {"units": "degrees_north"}),
            "lon": ("fix", lon, {"units": "degrees_east"}),
            "alt_m": ("fix", alt, {**metres, "standard_name": "height_above_reference_ellipsoid"}),
            "gdop": ("fix", gdop, {"units": "1", "long_name": "geometric dilution of precision"}),
            "external_reliability": (
                "fix",
                reliability,
                {"units": "1", "long_name": "shift by one unnoticed wrong arrival"},
            ),
            "ellipse_major_m": ("fix", major, {**metres, "long_name": "standard deviation along the major axis"}),
            "ellipse_minor_m": ("fix", minor, {**metres, "long_name": "standard deviation along the minor axis"}),
            "ellipse_azimuth_deg": ("fix", azimuth, {**degrees, "long_name": "major axis from north to east"}),
            "chi2": ("fix", cost, {"units": "1", "long_name": "weighted squares of the residuals"}),
            "dof": ("fix", dof, {"units": "1", "long_name": "degrees of freedom of chi2"}),
            "residual_s": (
                ("fix", "sensor"),
                residual_s,
                {"units": "s", "long_name": "arrival measured less computed"},
            ),
        },
        coords={"axis": ["x", "y", "z"], "axis_b": ["x", "y", "z"]},
    )
