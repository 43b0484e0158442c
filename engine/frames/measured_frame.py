"""What a view of measurements shows: points, law with intervals, fields on a grid, predictions with squares held out.

Computed in stages that can be shown one by one and stopped between; it opens nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import xarray as xr

from engine.frames.measured_physical import PHYSICAL, offset_and_sigma, predict_physical, shape_db
from engine.geo import inverse_web_mercator, local_offset_m, web_mercator
from engine.rf.grid import Grid
from engine.rf.measured import (
    LogDistanceFit,
    fit_log_distance,
    fit_measured,
    law_intervals,
    measured_field,
    predict_blocks,
    score_predictions,
)

FITTED = {"kriged": "rssi_db", "fitted": "fitted_db", "log_distance": "model_db"}
"""Models fitted to measurements, and their variable of `engine.rf.measured.measured_field`."""

MODELS = (*FITTED, *PHYSICAL)
"""All models that can be shown."""

FOLDS = 5
"""Parts that the squares are dealt into."""

MARGIN = 0.06
"""Room around the measurements, share of their extent."""

Told = Callable[[float, str], None]


@dataclass(frozen=True, slots=True)
class MeasuredSpec:
    """Which measurements, and how they are looked at; equal wishes are equal.

    Attributes
    ----------
    campaign, transmitter, receiver : str
    version : int
        Of the campaign: it grows as measurements come in.
    block_m : float
        Side of the squares that are held out, m.
    cells : int
        Cells of the fields along their longer side.
    """

    campaign: str
    transmitter: str
    receiver: str
    version: int
    block_m: float = 200.0
    cells: int = 96


@dataclass(frozen=True, eq=False)
class MeasuredFrame:
    """One selection of measurements, with what has been computed of it so far.

    Attributes
    ----------
    spec : MeasuredSpec
    points : pandas.DataFrame
        Measurements in order of time, with `distance_m` between the two ends.
    grid : Grid
    law : LogDistanceFit
    intervals : dict of str to (float, float)
        90 % intervals of `exponent` and `sigma_db`; empty where there are too few squares.
    field : xarray.Dataset or None
        As `engine.rf.measured.measured_field` gives it.
    predictions : pandas.DataFrame or None
        As `engine.rf.measured.predict_blocks` gives it.
    left_out : str
        Why there are no predictions, where they cannot be made.
    """

    spec: MeasuredSpec
    points: pd.DataFrame
    grid: Grid
    law: LogDistanceFit
    intervals: dict[str, tuple[float, float]]
    field: xr.Dataset | None = None
    predictions: pd.DataFrame | None = None
    left_out: str = ""

    @property
    def fixed(self) -> tuple[float, float]:
        """Latitude and longitude of the end that stayed, degrees."""
        return float(self.points["fixed_lat"].iloc[0]), float(self.points["fixed_lon"].iloc[0])

    @property
    def freq_hz(self) -> float | None:
        """Frequency, where it was told, Hz."""
        told = self.points["freq_hz"].dropna()
        return float(told.median()) if len(told) else None

    def limits_db(self) -> tuple[float, float]:
        """The scale of powers: 2nd to 98th percentile of what was measured, in whole steps of 5 dB."""
        low, high = np.quantile(self.points["rssi_db"], [0.02, 0.98])
        low = 5.0 * np.floor(low / 5.0)
        return float(low), float(max(5.0 * np.ceil(high / 5.0), low + 10.0))

    def physical(self, carried_m: float, fixed_m: float) -> pd.DataFrame | None:
        """Predictions with those of the physical models, antennas at these heights, m; None before there are any."""
        out, freq = self.predictions, self.freq_hz
        if out is None or freq is None:
            return out
        distance = self.points["distance_m"].to_numpy(float)[out["row"].to_numpy()]
        for model in PHYSICAL:
            out = predict_physical(out, model, shape_db(model, distance, freq, carried_m, fixed_m))
        return out

    def modelled(self, model: str, carried_m: float, fixed_m: float) -> np.ndarray | None:
        """A model on the grid, float32, dB; None where it is not there (yet).

        Raises
        ------
        ValueError
            A model that is not one of `MODELS`.
        """
        if model in FITTED:
            return None if self.field is None else self.field[FITTED[model]].to_numpy()
        freq = self.freq_hz
        if freq is None:
            return None
        lat, lon = (axis.ravel() for axis in np.meshgrid(self.grid.lat, self.grid.lon, indexing="ij"))
        distance = np.hypot(*local_offset_m(*self.fixed, lat, lon))
        at_points = shape_db(model, self.points["distance_m"], freq, carried_m, fixed_m)
        offset, _ = offset_and_sigma(self.points["rssi_db"].to_numpy(float), at_points)
        on_grid = offset + shape_db(model, distance, freq, carried_m, fixed_m)
        return np.asarray(on_grid.reshape(self.grid.shape), dtype=np.float32)

    def scores(self, carried_m: float, fixed_m: float) -> pd.DataFrame | None:
        """Figures of all models on squares held out, as `engine.rf.measured.score_predictions` gives them."""
        predictions = self.physical(carried_m, fixed_m)
        if predictions is None:
            return None
        return score_predictions(predictions, [name for name in MODELS if name in predictions])

    def table(self, model: str, carried_m: float, fixed_m: float) -> pd.DataFrame:
        """Points with what a model says of each, its square held out: `modelled_db`, `sigma_db`, `residual_db`, dB.

        NaN before predictions are there, and for points that could not be scored.
        """
        out = self.points.assign(modelled_db=np.nan, sigma_db=np.nan, fold=-1)
        found = self.physical(carried_m, fixed_m)
        if found is not None and model in found:
            rows = found["row"].to_numpy()
            for column, name in (("modelled_db", model), ("sigma_db", f"{model}_sigma"), ("fold", "fold")):
                values = out[column].to_numpy(copy=True)
                values[rows] = found[name].to_numpy()
                out[column] = values
        return out.assign(residual_db=out["rssi_db"] - out["modelled_db"])


def compute_measured(
    spec: MeasuredSpec, rows: pd.DataFrame, told: Told = lambda share, text: None,
    show: Callable[[MeasuredFrame], None] = lambda frame: None,
) -> MeasuredFrame:  # fmt: skip
    """Compute a frame in stages.

    Parameters
    ----------
    spec : MeasuredSpec
    rows : pandas.DataFrame
        Measurements of its transmitter by its receiver (`engine.frames.measured_fold.MeasurementFold.rows`).
    told : callable (share, text)
        Told before each stage how much is done, 0 to 1, and what comes; what it raises ends the work.
    show : callable (frame)
        Given the frame after each stage but the last.

    Raises
    ------
    ValueError
        Measurements that determine no field: fewer than ten, all at one distance, a fixed end that moves.
    """
    told(0.0, "fitting the law")
    links = rows.rename(columns={"fixed_lat": "receiver_lat", "fixed_lon": "receiver_lon"})
    law = fit_log_distance(links)
    try:
        intervals = law_intervals(links, block_m=spec.block_m)
    except ValueError:
        intervals = {}
    east, north = local_offset_m(
        float(rows["fixed_lat"].iloc[0]), float(rows["fixed_lon"].iloc[0]), rows["lat"], rows["lon"]
    )
    frame = MeasuredFrame(
        spec, rows.assign(distance_m=np.hypot(east, north)), grid_of(rows, spec.cells), law, intervals
    )
    show(frame)
    told(0.08, "fitting field and covariance")
    model = fit_measured(links)
    told(0.25, "kriging the field")
    frame = replace(frame, field=measured_field(model, frame.grid, receiver=spec.receiver))
    show(frame)

    def fold(k: int) -> None:
        told(0.4 + 0.6 * k / FOLDS, f"holding out part {k + 1} of {FOLDS}")

    try:
        predictions = predict_blocks(links, block_m=spec.block_m, folds=FOLDS, told=fold)
    except ValueError as error:
        return replace(frame, left_out=str(error))
    return replace(frame, predictions=predictions)


def grid_of(rows: pd.DataFrame, cells: int) -> Grid:
    """Grid of square cells around measurements, and around the fixed end unless it is far off."""
    x, y = web_mercator(rows["lat"].to_numpy(float), rows["lon"].to_numpy(float))
    west, east, south, north = float(x.min()), float(x.max()), float(y.min()), float(y.max())
    fx, fy = (float(v) for v in web_mercator(float(rows["fixed_lat"].iloc[0]), float(rows["fixed_lon"].iloc[0])))
    extent = max(east - west, north - south, 1.0)
    if max(west - fx, fx - east, south - fy, fy - north) < 0.5 * extent:
        west, east, south, north = min(west, fx), max(east, fx), min(south, fy), max(north, fy)
    room = MARGIN * max(east - west, north - south, 1.0)
    west, east, south, north = west - room, east + room, south - room, north + room
    cell = max(east - west, north - south) / cells
    shape = (max(round((north - south) / cell), 1), max(round((east - west) / cell), 1))
    return _mercator_grid(west, south, west + shape[1] * cell, south + shape[0] * cell, shape)


def _mercator_grid(west: float, south: float, east: float, north: float, shape: tuple[int, int]) -> Grid:
    lat, lon = inverse_web_mercator(np.array([west, east]), np.array([south, north]))
    return Grid.web_mercator(float(lon[0]), float(lat[0]), float(lon[1]), float(lat[1]), shape=shape)
