"""How far a fix may lie from the position that the emitter itself reports, and how both spreads are learnt.

Arrival times have one spread, which residuals show; a report has another, for it was made some tenths of a second
before it was sent. Both together say where the report should lie. It must not know where the arrivals came from.
"""

from __future__ import annotations

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray
from scipy.special import chdtri

from engine.geo import local_offset_m

Array = NDArray[np.float64]

WIDEST_REPORT_M = 10_000.0
"""A spread of reports is sought up to here, m."""


def report_squares(fixes: xr.Dataset, lat: ArrayLike, lon: ArrayLike, report_sigma_m: float = 0.0) -> Array:
    """Squared distance of reported positions from fixes, in standard deviations of both together.

    Right spreads make it chi-squared with two degrees of freedom: 90 % of fixes are below 4.61.

    Parameters
    ----------
    fixes : xarray.Dataset
        As `locate_tdoa` gives them, N fixes.
    lat, lon : array_like of float, shape (N,)
        Reported positions, degrees; NaN where there is none.
    report_sigma_m : float
        Standard deviation of a report along each horizontal axis, m.

    Returns
    -------
    ndarray of float64, shape (N,)
        NaN where there is no fix or no report.

    Raises
    ------
    ValueError
        A spread below zero.
    """
    if not report_sigma_m >= 0.0:
        raise ValueError(f"report_sigma_m is {report_sigma_m}; it must be 0 m or more")
    east_m, north_m = local_offset_m(fixes["lat"].to_numpy(), fixes["lon"].to_numpy(), lat, lon)
    azimuth = np.radians(fixes["ellipse_azimuth_deg"].to_numpy())
    along = east_m * np.sin(azimuth) + north_m * np.cos(azimuth)
    across = east_m * np.cos(azimuth) - north_m * np.sin(azimuth)
    more = report_sigma_m**2
    return np.asarray(
        along**2 / (fixes["ellipse_major_m"].to_numpy() ** 2 + more)
        + across**2 / (fixes["ellipse_minor_m"].to_numpy() ** 2 + more)
    )


def timing_sigma_s(fixes: xr.Dataset, sigma_s: float) -> float:
    """Standard deviation of an arrival time as the residuals of fixes show it, s.

    The median of the weighted squares over that of chi-squared with as many degrees of freedom: a tenth of wild
    arrivals does not move it. Fixes with nothing left over do not count.

    Parameters
    ----------
    fixes : xarray.Dataset
        As `locate_tdoa` gives them, computed with `sigma_s` for all sensors: one so large that none is inconsistent.
    sigma_s : float
        The standard deviation that they were computed with, s.

    Returns
    -------
    float
        s.

    Raises
    ------
    ValueError
        No fix has a degree of freedom left over.
    """
    dof = fixes["dof"].to_numpy()
    use = fixes["ok"].to_numpy() & (dof > 0)
    if not use.any():
        raise ValueError("no fix has more arrivals than unknowns: residuals say nothing about the noise")
    ratio = np.median(fixes["chi2"].to_numpy()[use] / chdtri(dof[use].astype(np.float64), 0.5))
    return float(sigma_s * np.sqrt(ratio))


def report_sigma_m(fixes: xr.Dataset, lat: ArrayLike, lon: ArrayLike, probability: float = 0.9) -> float:
    """The spread of reports with which so many of them lie within the joint ellipse of that probability, m.

    Parameters
    ----------
    fixes, lat, lon
        As for `report_squares`.
    probability : float
        Of the ellipse, above 0 and below 1.

    Returns
    -------
    float
        m; 0 where the ellipses of the fixes alone hold as many or more.

    Raises
    ------
    ValueError
        No fix has a report, or `probability` is none.
    """
    if not 0.0 < probability < 1.0:
        raise ValueError(f"probability is {probability}; it must lie between 0 and 1")
    limit = float(chdtri(2.0, 1.0 - probability))
    known = np.isfinite(report_squares(fixes, lat, lon))
    if not known.any():
        raise ValueError("no fix has a reported position to compare with")

    def share(sigma_m: float) -> float:
        return float(np.mean(report_squares(fixes, lat, lon, sigma_m)[known] <= limit))

    low, high = 0.0, WIDEST_REPORT_M
    if share(low) >= probability:
        return 0.0
    while high - low > 0.1:
        middle = 0.5 * (low + high)
        low, high = (low, middle) if share(middle) >= probability else (middle, high)
    return high
