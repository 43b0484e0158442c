"""Density: points or segments of any number as a raster, aggregated from all of them at every zoom (B4).

Computes with Datashader and gives numbers with labels; it must not know colours, pages or ids.
"""

from __future__ import annotations

from typing import Any, Literal, get_args

import datashader
import numpy as np
import pandas as pd
import xarray as xr

By = Literal["count", "weight", "recency", "kind"]

NEEDS = {"count": (), "weight": ("weight",), "recency": ("last_seen_s",), "kind": ("kind",)}
UNITS = {"count": "1", "weight": "1", "recency": "s since 1970-01-01T00:00:00Z", "kind": "1"}
TYPES = {"count": np.uint32, "weight": np.float32, "recency": np.float64, "kind": np.uint32}
MAX_CELLS = 2**27
"""Values of a raster by kind at most: 512 MiB."""
MAX_SIDE = 8192
"""Cells along one side of a raster at most."""


def density(
    nodes_or_segments: pd.DataFrame,
    bounds: tuple[float, float, float, float],
    shape: tuple[int, int],
    by: By = "count",
) -> xr.DataArray:
    """Raster of nodes (points) or of incidences (line segments) inside bounds.

    Parameters
    ----------
    nodes_or_segments : pandas.DataFrame, n rows
        Points: `lon`, `lat` in degrees, or `x`, `y` in units of a layout or a projection. Segments:
        `lon0`, `lat0`, `lon1`, `lat1`, or `x0`, `y0`, `x1`, `y1`. A row without position (NaN) is
        nowhere. Further columns as `by` needs them.
    bounds : west, south, east, north
        In the same units, edges included. Degrees may run beyond 180, or west be greater than east,
        to cross the antimeridian; points then appear on the side where they are in view.
    shape : (ny, nx)
        Cells.
    by : {"count", "weight", "recency", "kind"}
        What is told of each cell:

        - ``count``: how many rows touch it (uint32; 0 for none).
        - ``weight``: the sum of column `weight` (float32; NaN where no row is, 0 where weights are 0).
        - ``recency``: the latest `last_seen_s` (float64, s since 1970; NaN where no row is).
        - ``kind``: how many rows of each kind (uint32, one layer per category of the categorical column
          `kind`, in their order); a row without kind is in none.

    Returns
    -------
    xarray.DataArray
        Dims (`lat`, `lon`) or (`y`, `x`), with `kind` first for ``kind``; coordinates are cell centres,
        ascending: row 0 is south.

    Raises
    ------
    ValueError
        A column is missing, bounds are empty, the shape is none.

    Examples
    --------
    >>> nodes = pd.DataFrame({"lon": [8.1, 8.2, 8.9], "lat": [47.1, 47.1, 47.9]})
    >>> density(nodes, (8.0, 47.0, 9.0, 48.0), shape=(2, 2)).values.tolist()
    [[2, 0], [0, 1]]

    References
    ----------
    Cottam, Lumsdaine & Wang, Abstract rendering, VDA 2013; https://datashader.org.
    """
    if by not in get_args(By):
        raise ValueError(f"by is {by!r}; it must be one of {', '.join(get_args(By))}")
    names, kinds = _geometry(nodes_or_segments), None
    missing = [name for name in NEEDS[by] if name not in nodes_or_segments]
    if missing:
        raise ValueError(f"by={by!r} needs the columns {missing}; there are {list(nodes_or_segments.columns)}")
    degrees = names[0].startswith("lon")
    west, south, east, north = density_bounds(bounds, degrees)
    ny, nx = density_shape(shape)
    table = nodes_or_segments
    if by == "kind":
        kinds = _kinds(table)
        if len(kinds) * ny * nx > MAX_CELLS:
            raise ValueError(f"{len(kinds)} kinds on {ny} x {nx} cells are more than {MAX_CELLS} values; merge some")
        table = table[table["kind"].notna()] if table["kind"].isna().any() else table
    if degrees and len(table):
        table = _unrolled(table, names, west, east)
    canvas = datashader.Canvas(plot_width=nx, plot_height=ny, x_range=(west, east), y_range=(south, north))
    if not len(table):
        values = _nothing(by, kinds, (ny, nx))
    elif len(names) == 2:
        values = canvas.points(table, *names, agg=_aggregate(by)).values
    else:
        values = canvas.line(table, list(names[::2]), list(names[1::2]), agg=_aggregate(by), axis=1).values
    if by == "kind":
        values = np.moveaxis(values, -1, 0)
    return labelled(values.astype(TYPES[by]), by, kinds, (west, south, east, north), degrees)


def _geometry(table: pd.DataFrame) -> tuple[str, ...]:
    """Names of the columns that say where, x before y."""
    for names in (("lon0", "lat0", "lon1", "lat1"), ("x0", "y0", "x1", "y1"), ("lon", "lat"), ("x", "y")):
        if all(name in table for name in names):
            return names
    raise ValueError(f"columns are {list(table.columns)}; 'lon' and 'lat', 'x' and 'y', or both of two ends are needed")


def segment_columns(table: pd.DataFrame) -> tuple[tuple[str, ...], bool]:
    """Names of the columns of both ends, x before y, and whether they are degrees; ValueError where there are none."""
    for names in (("lon0", "lat0", "lon1", "lat1"), ("x0", "y0", "x1", "y1")):
        if all(name in table for name in names):
            return names, names[0] == "lon0"
    raise ValueError(f"columns are {list(table.columns)}; 'lon0', 'lat0', 'lon1', 'lat1' or 'x0' … are needed")


def density_bounds(bounds: tuple[float, float, float, float], degrees: bool) -> tuple[float, float, float, float]:
    """West, south, east, north as numbers that enclose something; west > east crosses the antimeridian."""
    west, south, east, north = (float(v) for v in bounds)
    if degrees and east < west:
        east += 360.0
    if not (np.isfinite([west, south, east, north]).all() and west < east and south < north):
        raise ValueError(f"bounds are {bounds}; west, south, east, north must be finite and enclose something")
    return west, south, east, north


def density_shape(shape: tuple[int, int]) -> tuple[int, int]:
    """Rows and columns, or a ValueError."""
    ny, nx = shape
    if not (1 <= ny <= MAX_SIDE and 1 <= nx <= MAX_SIDE):
        raise ValueError(f"shape is {shape}; it must be (rows, columns), each from 1 to {MAX_SIDE}")
    return int(ny), int(nx)


def _unrolled(table: pd.DataFrame, names: tuple[str, ...], west: float, east: float) -> pd.DataFrame:
    """Longitudes as the view counts them; what is in view twice is there twice."""
    columns = [table[name].to_numpy(np.float64, na_value=np.nan) for name in names[::2]]
    least, most = min(np.fmin.reduce(c) for c in columns), max(np.fmax.reduce(c) for c in columns)
    if np.isnan(least):
        return table
    turns = range(int(np.ceil((west - most) / 360.0)), int(np.floor((east - least) / 360.0)) + 1)
    if turns == range(1):
        return table
    # In a view of the whole world both edges are one meridian, and a point on it is one point.
    whole = len(names) == 2 and east - west == 360.0
    copies = []
    for turn in turns:
        first, last = np.minimum.reduce(columns) + 360.0 * turn, np.maximum.reduce(columns) + 360.0 * turn
        seen = table[(last >= west) & (first < east if whole else first <= east)]
        copies.append(seen.assign(**{name: seen[name] + 360.0 * turn for name in names[::2]}))
    return pd.concat(copies, ignore_index=True) if copies else table.iloc[:0]


def _aggregate(by: By) -> Any:
    if by == "weight":
        return datashader.sum("weight")
    if by == "recency":
        return datashader.max("last_seen_s")
    if by == "kind":
        return datashader.by("kind", datashader.count())
    return datashader.count()


def _kinds(table: pd.DataFrame) -> pd.Index:
    if not isinstance(table["kind"].dtype, pd.CategoricalDtype):
        raise ValueError(f"column 'kind' is {table['kind'].dtype}; it must be categorical")
    return table["kind"].cat.categories


def _nothing(by: By, kinds: pd.Index | None, shape: tuple[int, int]) -> np.ndarray:
    if kinds is not None:
        return np.zeros((*shape, len(kinds)))
    return np.full(shape, 0.0 if by == "count" else np.nan)


def labelled(
    values: np.ndarray, by: By, kinds: pd.Index | None, bounds: tuple[float, ...], degrees: bool
) -> xr.DataArray:
    """A raster with the centres of its cells as coordinates."""
    west, south, east, north = bounds
    ny, nx = values.shape[-2:]
    centres_x = west + (np.arange(nx) + 0.5) * ((east - west) / nx)
    centres_y = south + (np.arange(ny) + 0.5) * ((north - south) / ny)
    names = ("lat", "lon") if degrees else ("y", "x")
    units = ({"units": "degrees_north"}, {"units": "degrees_east"}) if degrees else ({}, {})
    coords: dict[str, Any] = {
        names[0]: (names[0], centres_y, units[0]),
        names[1]: (names[1], centres_x, units[1]),
    }
    if kinds is not None:
        coords["kind"] = ("kind", np.asarray(kinds, dtype=object))
    dims = ("kind", *names) if kinds is not None else names
    return xr.DataArray(values, coords, dims, name="density", attrs={"by": by, "units": UNITS[by]})
