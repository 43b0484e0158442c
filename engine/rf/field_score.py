"""The product's own measure of a forecast: the predicted field against the field at the true positions.

How many dB the field is off, and in how many cells the strongest emitter is the one foretold. The
predicted field is an expectation over the claimed covariance. It must not know how positions were
predicted, nor where the truth comes from.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from engine.geo import offset_position, wrap_longitude
from engine.rf.dominance import strongest
from engine.rf.field import power_field
from engine.rf.grid import Grid

Array = NDArray[np.float64]

CELLS = 48
"""Cells each way of the grid on which fields are compared."""

MARGIN = 0.1
"""Share of the emitters' extent that the grid reaches beyond them."""

LEAST_EXTENT_DEG = 0.2
"""Least width of that grid: a lone emitter has a field too."""

_SIGMA_POINTS = ((1 / 3, 0.0, 0.0), *((1 / 6, a, b) for a, b in ((1, 0), (-1, 0), (0, 1), (0, -1))))


class FieldScore(NamedTuple):
    """How a predicted field compares with the true one.

    Parameters
    ----------
    rms_db, median_db : float
        Root mean square and median absolute difference over the cells, dB.
    agreement : float
        Share of the cells whose strongest emitter is the one foretold, 0 to 1.
    cells : int
        Cells compared: those that receive something in truth and in the forecast.
    """

    rms_db: float
    median_db: float
    agreement: float
    cells: int


def expected_emitters(
    emitters: pd.DataFrame, var_east_m2: Array, var_north_m2: Array, cov_east_north_m2: Array
) -> tuple[pd.DataFrame, Array]:
    """Emitters spread over their covariance: five weighted points each, whose summed field is the expectation.

    Parameters
    ----------
    emitters : DataFrame
        As for `power_field`, at the predicted positions.
    var_east_m2, var_north_m2, cov_east_north_m2 : ndarray of float64, shape (n,)

    Returns
    -------
    DataFrame
        Five rows per emitter.
    ndarray of float64, shape (5 n,)
        Weights of the rows, that sum to 1 per emitter; for the `weights` of `power_field`.

    Examples
    --------
    >>> one = pd.DataFrame({"lat": [0.0], "lon": [0.0]})
    >>> spread, weights = expected_emitters(one, np.array([1e6]), np.array([4e6]), np.array([0.0]))
    >>> len(spread), round(float(weights.sum()), 6)
    (5, 1.0)

    References
    ----------
    Julier, Uhlmann, Unscented filtering and nonlinear estimation, Proc. IEEE 92 (2004): two dimensions, kappa = 1.
    """
    covariance = np.empty((len(emitters), 2, 2))
    covariance[:, 0, 0], covariance[:, 1, 1] = var_east_m2, var_north_m2
    covariance[:, 0, 1] = covariance[:, 1, 0] = cov_east_north_m2
    values, vectors = np.linalg.eigh(covariance)
    axes = vectors * np.sqrt(3.0 * np.maximum(values, 0.0))[:, None, :]
    lat, lon = emitters["lat"].to_numpy(np.float64), emitters["lon"].to_numpy(np.float64)
    parts, weights = [], []
    for weight, a, b in _SIGMA_POINTS:
        moved = offset_position(lat, lon, a * axes[:, 0, 0] + b * axes[:, 0, 1], a * axes[:, 1, 0] + b * axes[:, 1, 1])
        parts.append(emitters.assign(lat=moved[0], lon=moved[1]))
        weights.append(np.full(len(emitters), weight))
    return pd.concat(parts, ignore_index=True), np.concatenate(weights)


def comparison_grid(lat: Array, lon: Array, cells: int = CELLS) -> Grid:
    """A coarse grid over some positions, degrees, across the antimeridian where they are.

    Examples
    --------
    >>> comparison_grid(np.array([46.0, 47.0]), np.array([7.0, 9.0])).array_shape
    (48, 48)
    """
    middle = float(lon[len(lon) // 2])
    apart = np.asarray(wrap_longitude(lon - middle))
    low, high = np.quantile(lat, [0.02, 0.98])
    left, right = np.quantile(apart, [0.02, 0.98])
    tall, wide = max(high - low, LEAST_EXTENT_DEG), max(right - left, LEAST_EXTENT_DEG)
    wide = min(wide, 300.0)
    centre, across = 0.5 * (low + high), middle + 0.5 * (left + right)
    half_tall, half_wide = (0.5 + MARGIN) * tall, (0.5 + MARGIN) * wide
    west, east = (float(np.asarray(wrap_longitude(across + d))) for d in (-half_wide, half_wide))
    south, north = max(centre - half_tall, -85.0), min(centre + half_tall, 85.0)
    return Grid.from_bounds(west, south, east, north, shape=(cells, cells))


def field_score(
    said: pd.DataFrame, covariance: tuple[Array, Array, Array], true: pd.DataFrame, grid: Grid, **options: Any
) -> FieldScore:
    """Compare the field expected of a forecast with the field at the true positions.

    Parameters
    ----------
    said, true : DataFrame
        The same emitters row by row, as for `power_field`, where they were foretold and where they were.
    covariance : three ndarrays of float64, shape (n,)
        Claimed east and north variance and covariance, m².
    grid : Grid
    **options
        Those of `power_field`: `model`, `horizon` and the rest.

    Returns
    -------
    FieldScore
        NaN and 0 cells where nothing is received.

    Raises
    ------
    ValueError
        Where the two tables differ in length.

    Examples
    --------
    >>> mast = pd.DataFrame({"lat": [47.0], "lon": [8.0], "alt_m": [600.0], "eirp_dbm": [30.0], "freq_hz": [1e9]})
    >>> exact = np.zeros(1)
    >>> score = field_score(mast, (exact, exact, exact), mast, Grid.from_bounds(7.9, 46.9, 8.1, 47.1, shape=(8, 8)))
    >>> round(score.rms_db, 3), score.agreement
    (0.0, 1.0)
    """
    if len(said) != len(true):
        raise ValueError(f"said has {len(said)} rows and true {len(true)}; they should be the same emitters")
    spread, weights = expected_emitters(said, *covariance)
    expected = power_field(spread, grid, weights=weights, **options)
    variable = next(iter(expected.data_vars))
    there = power_field(true, grid, **options)[variable].to_numpy()
    off = expected[variable].to_numpy() - there
    known = np.isfinite(off)
    if not known.any():
        return FieldScore(np.nan, np.nan, np.nan, 0)
    best = [strongest(table, grid, total=False, **options).emitter.to_numpy() for table in (said, true)]
    return FieldScore(
        float(np.sqrt(np.mean(off[known] ** 2))), float(np.median(np.abs(off[known]))),
        float(np.mean(best[0][known] == best[1][known])), int(known.sum()),
    )  # fmt: skip


def warm() -> None:
    """Compile (or load from the cache) what a comparison needs.

    Examples
    --------
    >>> warm()
    """
    mast = pd.DataFrame({"lat": [47.0], "lon": [8.0], "alt_m": [600.0], "eirp_dbm": [30.0], "freq_hz": [1e9]})
    none = np.zeros(1)
    field_score(mast, (none, none, none), mast, comparison_grid(np.array([47.0]), np.array([8.0]), cells=4))
