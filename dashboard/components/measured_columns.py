"""Columns of the pictures of measured fields: points, images and limits of a frame. Pure functions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from engine.frames.measured_frame import MeasuredFrame
from engine.geo import web_mercator
from engine.rf.grid import Grid

NO_POINTS: dict[str, Any] = {name: [] for name in ("x", "y", "measured", "modelled", "residual", "distance", "time")}
NO_IMAGE: dict[str, Any] = {"image": [], "x": [], "y": [], "dw": [], "dh": []}

LEAST_RESIDUAL_DB, STEP_DB = 5.0, 5.0


def point_columns(table: pd.DataFrame) -> dict[str, Any]:
    """Columns of the points of `engine.frames.measured_frame.MeasuredFrame.table`."""
    x, y = web_mercator(table["lat"].to_numpy(float), table["lon"].to_numpy(float))
    columns = {
        name: table[column].to_numpy(np.float32)
        for name, column in (
            ("measured", "rssi_db"), ("modelled", "modelled_db"), ("residual", "residual_db"),
            ("distance", "distance_m"),
        )
    }  # fmt: skip
    # Web Mercator metres need more than 24 bits where cells are metres wide.
    return {
        "x": np.asarray(x, np.float64),
        "y": np.asarray(y, np.float64),
        **columns,
        "time": table["time"].dt.strftime("%Y-%m-%d %H:%M:%S UTC").tolist(),
    }


def image_columns(values: np.ndarray | None, grid: Grid) -> dict[str, Any]:
    """An image of values on a grid in Web Mercator; nothing where there are none."""
    if values is None:
        return dict(NO_IMAGE)
    west, south, east, north = grid.mercator_bounds
    return {
        "image": [np.ascontiguousarray(values, np.float32)], "x": [west], "y": [south],
        "dw": [east - west], "dh": [north - south],
    }  # fmt: skip


def residual_limit(table: pd.DataFrame) -> float:
    """Half the width of the residuals' scale: their 98th percentile in size, in whole steps of 5 dB."""
    size = np.abs(table["residual_db"].dropna().to_numpy(float))
    if not size.size:
        return LEAST_RESIDUAL_DB
    return float(max(STEP_DB * np.ceil(np.quantile(size, 0.98) / STEP_DB), LEAST_RESIDUAL_DB))


def sigma_limits(frame: MeasuredFrame) -> tuple[float, float]:
    """Limits of the uncertainty's scale, in whole dB."""
    if frame.field is None:
        return 0.0, 1.0
    sigma = frame.field["sigma_db"].to_numpy()
    low, high = float(np.floor(np.nanmin(sigma))), float(np.ceil(np.nanmax(sigma)))
    return low, max(high, low + 1.0)
