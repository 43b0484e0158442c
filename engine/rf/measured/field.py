"""A field from measurements: fitted, kriged, with its uncertainty, on a grid.

`fit_measured` does the work that does not depend on where one looks; `measured_field` puts the result
on a grid for one receiver.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from engine.geo import local_offset_m
from engine.rf.grid import Grid
from engine.rf.measured.floor import reports
from engine.rf.measured.kriging import Covariance, fit_covariance, krige
from engine.rf.measured.records import MIN_DISTANCE_M, Array, Records, checked_records
from engine.rf.measured.trend import Trend, fit_trend

BAND = 0.90
"""Share of new measurements that the claimed band holds."""


@dataclass(frozen=True)
class MeasuredModel:
    """What a campaign taught: trend, covariance of what is left, and the records it rests on.

    Attributes
    ----------
    records : Records
    trend : Trend
    covariance : Covariance
        Of the signal around the trend, by receiver.
    """

    records: Records
    trend: Trend
    covariance: Covariance

    @cached_property
    def residuals(self) -> tuple[Array, Array]:
        """What each record says of the signal around the trend: value and noise variance, dB and dB²."""
        mean = self.trend.of_records(self.records)
        level, noise = self.trend.sites(self.records, mean, self.covariance.total_db2)
        return level - mean, noise

    def receiver_number(self, receiver: str) -> int:
        """Index of a receiver.

        Raises
        ------
        ValueError
            If it was not measured.
        """
        if receiver not in self.records.receivers:
            raise ValueError(f"receiver {receiver!r} was not measured; known are {', '.join(self.records.receivers)}")
        return self.records.receivers.index(receiver)

    def chain_number(self, receiver: int, session: str | None) -> int:
        """Index of a receiver's chain in a session; by default the session with most of its records."""
        chains = np.flatnonzero(self.records.chain_receiver == receiver)
        names = [self.records.chains[c][1] for c in chains]
        if session is None:
            count = np.bincount(self.records.chain, minlength=len(self.records.chains))
            return int(chains[np.argmax(count[chains])])
        if session not in names:
            raise ValueError(
                f"receiver {self.records.receivers[receiver]!r} has no session {session!r}; it has {', '.join(names)}"
            )
        return int(chains[names.index(session)])

    def signal(
        self, receiver: int, chain: NDArray[np.int64] | int, east_m: Array, north_m: Array, distance_m: Array
    ) -> tuple[Array, Array, Array]:
        """Trend, kriged residual and variance of the signal of a new record at places, dB, dB, dB²."""
        mine = self.records.receiver == receiver
        residual, noise = self.residuals
        at = self.records.east_m[mine], self.records.north_m[mine]
        kriged, variance = krige(self.covariance, at, residual[mine], noise[mine], (east_m, north_m))
        trend = self.trend.signal_db(chain, east_m, north_m, distance_m)
        return trend, kriged, variance + self.covariance.nugget_db2

    def reports(self, signal_db: Array, variance_db2: Array, chain: NDArray[np.int64]) -> Array:
        """Mean, standard deviation and ends of the 90 % band of reports, shape (n, 4), dB."""
        out = np.empty((signal_db.size, 4))
        floor, error = self.trend.floor_db[chain], self.trend.error_db[chain]
        reports(signal_db, variance_db2, floor, error, (1.0 - BAND) / 2.0, out)
        return out


def fit_measured(measurements: pd.DataFrame) -> MeasuredModel:
    """Fit the field of a campaign.

    Parameters
    ----------
    measurements : pandas.DataFrame
        As `fit_log_distance` takes it; a column `session` (text) says within which rows a receiver's
        gain and noise floor stay as they are.

    Returns
    -------
    MeasuredModel

    Raises
    ------
    ValueError
        As `fit_log_distance`; fewer than ten records.
    """
    return fit_records(checked_records(measurements))


def fit_records(records: Records) -> MeasuredModel:
    """`fit_measured` of checked records."""
    trend = fit_trend(records)
    mean = trend.of_records(records)
    level, noise = trend.sites(records, mean, trend.variance_db2)
    covariance = fit_covariance(records.east_m, records.north_m, level - mean, noise, records.receiver)
    return MeasuredModel(records, trend, covariance)


def measured_field(
    measurements: pd.DataFrame | MeasuredModel, grid: Grid, *, receiver: str, session: str | None = None
) -> xr.Dataset:
    """The field of one receiver on a grid, from measurements: what it would report of a sender in each cell.

    Parameters
    ----------
    measurements : pandas.DataFrame or MeasuredModel
        A table as `fit_measured` takes it, or its result, which is much faster the second time.
    grid : Grid
        Two-dimensional.
    receiver : str
        A receiver that does not move.
    session : str, optional
        Whose gain and noise floor; by default the session with most records of the receiver.

    Returns
    -------
    xarray.Dataset
        On ``(lat, lon)``, float32, dB on the receiver's own scale: `rssi_db` (expected report),
        `sigma_db` (standard deviation of a new report), `low_db` and `high_db` (90 % band),
        `model_db` (expected report by the log-distance law alone), `fitted_db` (expected report by the
        fitted field, nothing kriged), `residual_db` (kriged residual of
        the signal around the fitted field, noise floor apart), `signal_db` (expected signal without
        noise floor), `signal_sigma_db`, and `nearest_m` (distance to the nearest record, m).
        Attributes say method and parameters.

    Raises
    ------
    ValueError
        As `fit_measured`; unknown receiver or session; a receiver that moves; a 3-D grid.
    """
    if grid.is_3d:
        raise ValueError("the grid has levels; measurements on the ground give a field on a 2-D grid only")
    model = measurements if isinstance(measurements, MeasuredModel) else fit_measured(measurements)
    number = model.receiver_number(receiver)
    chain = model.chain_number(number, session)
    at = model.records.fixed_position(number)
    lat, lon = (axis.ravel() for axis in np.meshgrid(grid.lat, grid.lon, indexing="ij"))
    east, north = local_offset_m(*model.records.origin, lat, lon)
    distance = np.maximum(np.hypot(east - at[0], north - at[1]), MIN_DISTANCE_M)
    trend, kriged, variance = model.signal(number, chain, east, north, distance)
    told = model.reports(trend + kriged, variance, np.full(east.size, chain))
    fitted = model.reports(trend, np.full(east.size, model.trend.variance_db2), np.full(east.size, chain))
    mine = model.records.receiver == number
    nearest = _nearest_m(model.records.east_m[mine], model.records.north_m[mine], east, north)
    fields = {
        "rssi_db": (told[:, 0], "dB", "expected report"),
        "sigma_db": (told[:, 1], "dB", "standard deviation of a new report"),
        "low_db": (told[:, 2], "dB", "lower end of the 90 % band"),
        "high_db": (told[:, 3], "dB", "upper end of the 90 % band"),
        "model_db": (model.trend.law.power_db(receiver, distance), "dB", "log-distance law"),
        "fitted_db": (fitted[:, 0], "dB", "expected report by the fitted field"),
        "residual_db": (kriged, "dB", "kriged residual of the signal around the fitted field"),
        "signal_db": (trend + kriged, "dB", "expected signal without noise floor"),
        "signal_sigma_db": (np.sqrt(variance), "dB", "standard deviation of the signal of a new record"),
        "nearest_m": (nearest, "m", "distance to the nearest record"),
    }
    variables = {
        name: (grid.dims, values.reshape(grid.array_shape).astype(np.float32), {"units": units, "long_name": text})
        for name, (values, units, text) in fields.items()
    }
    coords = {"lat": ("lat", grid.lat), "lon": ("lon", grid.lon), "alt": ((), grid.alt_m)}
    return xr.Dataset(variables, coords, _attributes(model, number, chain, grid))


def _nearest_m(east: Array, north: Array, x: Array, y: Array) -> Array:
    return np.asarray(cKDTree(np.column_stack([east, north])).query(np.column_stack([x, y]))[0])


def _attributes(model: MeasuredModel, receiver: int, chain: int, grid: Grid) -> dict[str, object]:
    trend, covariance = model.trend, model.covariance
    return {
        "method": "log-distance law, offsets, smooth clutter; ordinary kriging of the residual; noise floor",
        "receiver": model.records.receivers[receiver],
        "session": model.records.chains[chain][1],
        "n_records": int((model.records.receiver == receiver).sum()),
        "path_loss_exponent": trend.law.exponent,
        "shadowing_sigma_db": trend.law.sigma_db,
        "floor_db": float(trend.floor_db[chain]),
        "covariance": "exponential" if covariance.smoothness == 0.5 else "Matérn 3/2",
        "sill_db2": covariance.sill_db2,
        "range_m": covariance.range_m,
        "nugget_db2": covariance.nugget_db2,
        "bounds": list(grid.bounds),
        "projection": grid.projection,
    }


def warm() -> None:
    """Compile every kernel that fitting, kriging and scoring use, on a few records."""
    rng = np.random.default_rng(0)
    n = 60
    places = pd.DataFrame(
        {"receiver": "w", "receiver_lat": 0.0, "receiver_lon": 0.0,
         "lat": rng.uniform(0.001, 0.02, n), "lon": rng.uniform(0.001, 0.02, n)}
    )  # fmt: skip
    measurements = places.assign(rssi_db=-40.0 - 30.0 * np.log10(np.hypot(places.lat, places.lon)))
    model = fit_measured(measurements.assign(rssi_db=measurements.rssi_db + rng.normal(0.0, 4.0, n)))
    measured_field(model, Grid.from_bounds(0.0, 0.0, 0.02, 0.02, shape=(6, 6)), receiver="w")
