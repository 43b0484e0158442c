"""Coastlines and country borders for maps that work without a network.

Reads the small files that `data.build_land` made from Natural Earth (public domain) and cuts them to a window.
It returns plain longitude and latitude arrays and knows nothing of projections or of what draws them.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["RESOLUTIONS", "Polylines", "lines"]

RESOLUTIONS = ("110m", "50m", "10m")
"""Natural Earth scales shipped: 1:110 million (whole world), 1:50 million (continent), 1:10 million (country)."""


class Polylines(NamedTuple):
    """Many polylines as flat arrays, Arrow style: polyline i is ``lon[offsets[i]:offsets[i + 1]]``.

    Attributes
    ----------
    lon, lat : ndarray of float64, shape (points,)
        Degrees, WGS-84. No polyline crosses the antimeridian.
    offsets : ndarray of int64, shape (polylines + 1,)
        Start of each polyline, and the total at the end.

    Examples
    --------
    >>> coast = lines("110m")["coastline"]
    >>> len(coast.offsets) - 1 == len(coast.split()[0])
    True
    """

    lon: NDArray[np.float64]
    lat: NDArray[np.float64]
    offsets: NDArray[np.int64]

    def split(self) -> tuple[list[NDArray[np.float64]], list[NDArray[np.float64]]]:
        """One longitude and one latitude array per polyline, as Bokeh's ``multi_line`` takes them."""
        cuts = self.offsets[1:-1]
        if len(self.offsets) < 2:
            return [], []
        return np.split(self.lon, cuts), np.split(self.lat, cuts)


def lines(resolution: str = "50m", bounds: tuple[float, float, float, float] | None = None) -> dict[str, Polylines]:
    """Coastlines and country borders, whole or those that touch a window.

    Parameters
    ----------
    resolution : {"110m", "50m", "10m"}
        Natural Earth scale. Coordinates lie on a grid of 0.0036° by 0.0017°, some 280 m at 45° north.
    bounds : tuple of float, optional
        West, south, east, north in degrees. West greater than east means a window over the antimeridian.
        Polylines of at most 128 points whose bounding box touches the window are kept whole.

    Returns
    -------
    dict of str to Polylines
        Keys ``"coastline"`` and ``"borders"``.

    Raises
    ------
    ValueError
        If the resolution is not shipped, or south is greater than north.

    Examples
    --------
    >>> alps = lines("50m", bounds=(5.5, 45.5, 11.0, 48.0))
    >>> bool(len(alps["borders"].lon)), len(alps["coastline"].lon)
    (True, 0)

    References
    ----------
    Natural Earth, naturalearthdata.com, public domain; quantised by the npm package world-atlas 2.0.2.
    """
    if resolution not in RESOLUTIONS:
        raise ValueError(f"resolution {resolution!r} is not shipped; choose one of {', '.join(RESOLUTIONS)}")
    found = _read(resolution)
    if bounds is None:
        return dict(found)
    if bounds[1] > bounds[3]:
        raise ValueError(f"bounds {bounds} have south above north; the order is west, south, east, north")
    return {kind: _touching(polylines, bounds) for kind, polylines in found.items()}


@cache
def _read(resolution: str) -> dict[str, Polylines]:
    """Unpacks one file; arrays are read-only because every caller shares them."""
    result: dict[str, Polylines] = {}
    with (files(__package__) / f"lines_{resolution}.npz").open("rb") as stream, np.load(stream) as packed:
        for kind in ("coastline", "borders"):
            scale_x, scale_y, west, south = packed[f"{kind}_grid"]
            # The sums stay integer, so no rounding error builds up along the file.
            lon = np.cumsum(packed[f"{kind}_dx"], dtype=np.int64) * scale_x + west
            lat = np.cumsum(packed[f"{kind}_dy"], dtype=np.int64) * scale_y + south
            offsets = np.concatenate([[0], np.cumsum(packed[f"{kind}_points"], dtype=np.int64)])
            for array in (lon, lat, offsets):
                array.flags.writeable = False
            result[kind] = Polylines(lon, lat, offsets)
    return result


def _touching(polylines: Polylines, bounds: tuple[float, float, float, float]) -> Polylines:
    """Polylines whose bounding box overlaps the window."""
    west, south, east, north = bounds
    lon, lat, offsets = polylines
    starts = offsets[:-1]
    low_lon, high_lon = np.minimum.reduceat(lon, starts), np.maximum.reduceat(lon, starts)
    low_lat, high_lat = np.minimum.reduceat(lat, starts), np.maximum.reduceat(lat, starts)
    beyond_west, before_east = high_lon >= west, low_lon <= east
    across = beyond_west & before_east if west <= east else beyond_west | before_east
    keep = across & (high_lat >= south) & (low_lat <= north)
    counts = np.diff(offsets)
    points = np.repeat(keep, counts)
    return Polylines(lon[points], lat[points], np.concatenate([[0], np.cumsum(counts[keep], dtype=np.int64)]))
