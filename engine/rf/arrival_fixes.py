"""From arrivals to fixes: one batch for all messages, and how far each lies from what the message itself reports.

Joins `engine.rf.arrival_fold` to `locate_tdoa`. It must not know where the arrivals came from or how a fix is drawn.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from engine.geo import geodetic_to_ecef, slant_range_m
from engine.rf.arrival_fold import Arrivals
from engine.rf.report_age import report_squares
from engine.rf.tdoa import SPEED_IN_AIR_M_S, locate_tdoa

Array = NDArray[np.float64]

ALT_RANGE_M = (-1_000.0, 30_000.0)
"""Heights outside which nothing is sought, m."""

REACH_M = 700_000.0
"""No sensor hears farther, m: the radio horizon of what flies at 30 km."""

ELLIPSE_90 = math.sqrt(-2.0 * math.log(0.1))
"""Semi-axes of the 90 % ellipse in standard deviations: the square root of the chi-squared quantile, 2 degrees."""


@dataclass(frozen=True, slots=True)
class FixSettings:
    """What is taken for true while fixes are computed.

    Attributes
    ----------
    sigma_ns : float
        Standard deviation of an arrival time, ns.
    alt_sigma_m : float or None
        Standard deviation of the height that a message reports, m; None: its height is not used.
    report_sigma_m : float
        Standard deviation, along each horizontal axis, of a reported position about where the emitter was when it
        sent it, m: reports are some tenths of a second old.
    off : tuple of str
        Sensors that are not used, in order of name.
    """

    sigma_ns: float = 100.0
    alt_sigma_m: float | None = 100.0
    report_sigma_m: float = 75.0
    off: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Fixes:
    """The fixes of a moment.

    Attributes
    ----------
    settings : FixSettings
    arrivals : Arrivals
    table : DataFrame, N rows
        As ``arrivals.messages``, the reported position as ``reported_lat``, ``reported_lon``, ``reported_alt_m``, and:
        ``ok``, ``reason``, ``lat``, ``lon``, ``alt_m``, ``n_sensors``, ``gdop``, ``external_reliability``,
        ``ellipse_major_m``, ``ellipse_minor_m`` (semi-axes of the 90 % ellipse), ``ellipse_azimuth_deg``, ``chi2``,
        ``dof``, ``error_m`` (horizontal distance to the reported position) and ``square`` (that distance in standard
        deviations of fix and report together, squared).
    residual_s : ndarray of float64, (N, K)
        Arrival measured less computed, s; NaN where there is none.
    used : ndarray of bool, (N, K)
        Arrivals that took part.
    covariance_m2 : ndarray of float64, (N, 3, 3)
        ECEF.
    """

    settings: FixSettings
    arrivals: Arrivals
    table: pd.DataFrame
    residual_s: Array
    used: NDArray[np.bool_]
    covariance_m2: Array


def sensors_ecef_m(sensors: pd.DataFrame) -> Array:
    """ECEF positions, m, shape (S, 3), of sensors with ``lat``, ``lon`` and ``alt_m``."""
    return np.stack(geodetic_to_ecef(sensors["lat"], sensors["lon"], sensors["alt_m"]), axis=-1).reshape(-1, 3)


def locate_arrivals(arrivals: Arrivals, settings: FixSettings | None = None) -> Fixes:
    """Positions of all messages at once.

    Parameters
    ----------
    arrivals : Arrivals
    settings : FixSettings, optional

    Returns
    -------
    Fixes

    Raises
    ------
    ValueError
        A sigma that is not positive.

    Examples
    --------
    >>> from engine.rf.arrival_fold import ArrivalFold
    >>> len(locate_arrivals(ArrivalFold().snapshot(0.0)).table)
    0
    """
    settings = settings or FixSettings()
    n, width = arrivals.sensor_index.shape
    names = arrivals.sensors["sensor"].to_numpy(dtype=object)
    off = np.append(np.isin(names, settings.off), True) if len(names) else np.array([True])
    used = ~off[arrivals.sensor_index]
    # The solver takes differences against a first sensor, which must have heard: those used come first.
    order = np.argsort(~used, axis=1, kind="stable")
    index = np.take_along_axis(arrivals.sensor_index, order, axis=1)
    toa_s = np.where(np.take_along_axis(used, order, axis=1), np.take_along_axis(arrivals.toa_s, order, axis=1), np.nan)
    where = np.append(sensors_ecef_m(arrivals.sensors), [[6.4e6, 0.0, 0.0]], axis=0)[index]
    alt_m = arrivals.messages["alt_m"].to_numpy(np.float64)
    tie = {} if settings.alt_sigma_m is None else {"alt_m": alt_m, "alt_sigma_m": settings.alt_sigma_m}
    found = locate_tdoa(
        where, toa_s[:, 1:] - toa_s[:, :1], settings.sigma_ns * 1e-9, alt_range_m=ALT_RANGE_M, reach_m=REACH_M,
        speed_m_s=SPEED_IN_AIR_M_S, **tie,
    )  # fmt: skip
    residual_s = np.full((n, width), np.nan)
    np.put_along_axis(residual_s, order, found["residual_s"].to_numpy(), axis=1)
    table = arrivals.messages.rename(columns={name: f"reported_{name}" for name in ("lat", "lon", "alt_m")})
    copied = ("ok", "reason", "lat", "lon", "alt_m", "gdop", "external_reliability", "ellipse_azimuth_deg", "chi2")
    table = table.assign(
        **{name: found[name].to_numpy() for name in (*copied, "dof")},
        n_sensors=used.sum(axis=1),
        ellipse_major_m=ELLIPSE_90 * found["ellipse_major_m"].to_numpy(),
        ellipse_minor_m=ELLIPSE_90 * found["ellipse_minor_m"].to_numpy(),
    )
    ground = np.zeros(n)
    table["error_m"] = slant_range_m(
        table["reported_lat"], table["reported_lon"], ground, table["lat"], table["lon"], ground
    )
    table["square"] = report_squares(found, table["reported_lat"], table["reported_lon"], settings.report_sigma_m)
    return Fixes(settings, arrivals, table, np.where(used, residual_s, np.nan), used, found["covariance_m2"].to_numpy())
