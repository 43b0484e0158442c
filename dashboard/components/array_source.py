"""Where an `ArrayView` gets its pictures: anything with `bounds` and `view(bounds, shape)`.

An array in memory and a dataset of a file of any size, seen alike. Sources know nothing of pixels or colours.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any, Protocol

import numpy as np
import xarray as xr

from engine.hdf5 import Dataset, Overview, Overviews
from engine.hdf5.reduce import block_reduce, step_for
from engine.hdf5.views import View, axis_coordinate

Bounds = tuple[float, float, float, float]
"""Left, bottom, right, top in the units of the axes."""

SWIFT_S, THOROUGH_S, PATIENT_S = 0.15, 2.0, 15.0
"""Time for a first look, for a second one, and for a last where no coarse levels are being made, s."""


class Source(Protocol):
    """What an `ArrayView` shows.

    Attributes
    ----------
    bounds : (left, bottom, right, top)
        Edges of the whole picture, in the units of its axes.
    key : hashable
        Equal for equal content.
    """

    bounds: Bounds
    key: Hashable

    def view(self, bounds: Bounds, shape: tuple[int, int], budget_s: float = SWIFT_S) -> xr.DataArray:
        """What is within the bounds, in at most ``shape`` rows and columns; row 0 is the lowest.

        The attributes ``bounds`` (edges of what is returned), ``how`` ("exact", "averaged", "sampled"), ``steps``,
        ``cells`` (first cell of rows and columns), ``units``, ``nan``, ``inf`` and ``damaged`` are told with it.
        """
        ...


class ArraySource:
    """A two-dimensional array in memory.

    Parameters
    ----------
    data : xarray.DataArray or ndarray, (ny, nx)
        Evenly spaced coordinates are the middles of cells; without coordinates, cell numbers are. Units come from the
        attributes.
    key : hashable, optional
        Equal for equal content; the identity of the array by default.

    Examples
    --------
    >>> source = ArraySource(np.arange(6.0).reshape(2, 3))
    >>> source.bounds
    (-0.5, -0.5, 2.5, 1.5)
    >>> source.view((0.6, -0.5, 2.5, 1.5), (9, 9)).values.tolist()
    [[1.0, 2.0], [4.0, 5.0]]
    """

    def __init__(self, data: xr.DataArray | np.ndarray, key: Hashable = None) -> None:
        array = data if isinstance(data, xr.DataArray) else xr.DataArray(data, dims=("y", "x"))
        if array.ndim != 2 or 0 in array.shape:
            raise ValueError(f"an array of shape {array.shape}; a picture needs two dimensions with cells in them")
        self.data = array
        self._values = np.asarray(array.values)
        self._held = data  # while this lives, no other array has its identity
        self.key = ("array", id(data)) if key is None else key
        self._axes = [_even(array, dim) for dim in array.dims]
        (self.y0, self.dy), (self.x0, self.dx) = self._axes
        ny, nx = array.shape
        ys = sorted((self.y0 - 0.5 * self.dy, self.y0 + (ny - 0.5) * self.dy))
        xs = sorted((self.x0 - 0.5 * self.dx, self.x0 + (nx - 0.5) * self.dx))
        self.bounds: Bounds = (xs[0], ys[0], xs[1], ys[1])

    def view(self, bounds: Bounds, shape: tuple[int, int], budget_s: float = SWIFT_S) -> xr.DataArray:
        """What is within the bounds, averaged in blocks of a power of two."""
        ny, nx = self._values.shape
        y = _cells(bounds[1], bounds[3], self.y0, self.dy, ny)
        x = _cells(bounds[0], bounds[2], self.x0, self.dx, nx)
        steps = (step_for(y, shape[0]), step_for(x, shape[1]))
        y, x = (
            (low - low % s, min(-(-high // s) * s, n)) for (low, high), s, n in ((y, steps[0], ny), (x, steps[1], nx))
        )
        block = self._values[y[0] : y[1], x[0] : x[1]]
        counts = {"nan": 0, "inf": 0}
        if block.dtype.kind == "f":
            counts = {"nan": int(np.isnan(block).sum()), "inf": int(np.isinf(block).sum())}
        values = block if steps == (1, 1) else block_reduce(block, steps)["mean"]
        attrs = {
            "units": self.data.attrs.get("units", ""), "long_name": _label(self.data), "kind": "float",
            "how": "exact" if steps == (1, 1) else "averaged", "steps": list(steps), "damaged": 0, **counts,
        }  # fmt: skip
        names = [str(dim) for dim in self.data.dims]
        units = [str(self.data[name].attrs.get("units", "")) if name in self.data.coords else "" for name in names]
        return laid_out(values, attrs, (y, x), self._axes, names, units)


class DatasetSource:
    """A two-dimensional cut through a dataset of a file, see `engine.hdf5`.

    Parameters
    ----------
    dataset : Dataset
    slices : sequence
        An index for each dimension that is no axis of the picture; what stands at the axes is not looked at.
    axes : (int, int)
        Dimensions of the rows and the columns.
    part : {"value", "magnitude", "phase", "real", "imaginary"}
    member : str
        Of a compound type.
    overviews : Overviews, optional
        Where coarse levels are kept, and made if the dataset turns out to be too large to be read at once.
    """

    def __init__(self, dataset: Dataset, slices: Any = (), axes: tuple[int, int] | None = None, part: str = "value",
                 member: str = "", overviews: Overviews | None = None) -> None:  # fmt: skip
        shape = dataset.shape or ()
        if len(shape) < 2:
            raise ValueError(f"{dataset.path} has the shape {shape}; a picture needs two dimensions")
        self.dataset, self.part, self.member = dataset, part, member
        self._overviews = overviews
        self.overview: Overview | None = None
        self.axes = axes or (len(shape) - 2, len(shape) - 1)
        given = list(slices) + [0] * (len(shape) - len(slices))
        self.slices = [int(at) if isinstance(at, (int, np.integer)) else 0 for at in given]
        self.key: Hashable = (str(dataset.tree.path), dataset.tree.identity, dataset.path, self.axes, part, member,
                              tuple(at for axis, at in enumerate(self.slices) if axis not in self.axes))  # fmt: skip
        self._axes, self._names, self._units = [], [], []
        for axis in self.axes:
            name, coordinate = axis_coordinate(dataset, axis, [0, min(shape[axis], 2)], 1)
            even = coordinate.attrs["even"]
            self._axes.append((coordinate.attrs["first"], coordinate.attrs["width"]) if even else (0.0, 1.0))
            self._names.append(name if even else f"{name}: cell number, its steps differ")
            self._units.append(coordinate.attrs["units"] if even else "")
        sides = []
        for axis, (first, width) in zip(self.axes, self._axes, strict=True):
            sides.append(sorted((first - 0.5 * width, first + (shape[axis] - 0.5) * width)))
        self.bounds: Bounds = (sides[1][0], sides[0][0], sides[1][1], sides[0][1])

    def view(self, bounds: Bounds, shape: tuple[int, int], budget_s: float = SWIFT_S) -> xr.DataArray:
        """What is within the bounds, read as finely as the time allows."""
        size = self.dataset.shape or ()
        wish: list[Any] = list(self.slices)
        for axis, low, high, (first, width) in zip(self.axes, bounds[1::-1], bounds[3:1:-1], self._axes, strict=True):
            wish[axis] = _cells(low, high, first, width, size[axis])
        if self._overviews is not None and self.overview is None:
            self.overview = self._overviews.find(self.dataset, self._cut(), self.part, self.member)
        found = self.dataset.view(wish, shape, self.axes, self.part, self.member, budget_s, self.overview)
        late = found.attrs["how"] == "sampled" and budget_s >= THOROUGH_S
        if late and self._overviews is not None and (self.overview is None or self.overview.state == "failed"):
            self.overview = self._overviews.find(self.dataset, self._cut(), self.part, self.member, build=True)
        return laid_out(found.values, dict(found.attrs), found.attrs["box"], self._axes, self._names, self._units)

    @property
    def progress(self) -> float | None:
        """How far the coarse levels are made, 0 to 1; None while none are being made."""
        return _progress(self.overview)

    def _cut(self) -> View:
        return View(tuple((at, at + 1) for at in self.slices), self.axes)


def _progress(overview: Overview | None) -> float | None:
    return overview.progress if overview is not None and overview.state == "building" else None


def laid_out(values: np.ndarray, attrs: dict[str, Any], box: Any, axes: Any, names: list[str], units: list[str]
             ) -> xr.DataArray:  # fmt: skip
    """A picture with row 0 at the bottom and column 0 at the left, whichever way its axes run."""
    edges, coords = [], {}
    for index, ((low, _), (first, width)) in enumerate(zip(box, axes, strict=True)):
        # The last block may be cut short; it is drawn as wide as the others, less than a pixel too far.
        step, count = attrs["steps"][index], values.shape[index]
        ends = (first + (low - 0.5) * width, first + (low + count * step - 0.5) * width)
        middles = first + width * (low + step * np.arange(count) + 0.5 * (step - 1))
        if width < 0:
            values, middles = np.flip(values, index), middles[::-1]
        edges.append(sorted(ends))
        coords[("y", "x")[index]] = (("y", "x")[index], middles, {"long_name": names[index], "units": units[index]})
    attrs |= {"bounds": (edges[1][0], edges[0][0], edges[1][1], edges[0][1]), "cells": [side[0] for side in box],
              "axes": [list(axis) for axis in axes]}  # fmt: skip
    return xr.DataArray(values, coords, ("y", "x"), attrs=attrs)


def _cells(low: float, high: float, first: float, width: float, size: int) -> tuple[int, int]:
    ends = sorted(((low - first) / width + 0.5, (high - first) / width + 0.5))
    start = int(np.clip(np.floor(ends[0] + 1e-9), 0, size - 1))
    return start, int(np.clip(np.ceil(ends[1] - 1e-9), start + 1, size))


def _widened(side: tuple[int, int], step: int, size: int) -> tuple[int, int]:
    return side[0] - side[0] % step, min(-(-side[1] // step) * step, size)


def _even(array: xr.DataArray, dim: Hashable) -> tuple[float, float]:
    if dim not in array.coords or array.coords[dim].dtype.kind not in "iuf" or array.sizes[dim] < 2:
        return 0.0, 1.0
    at = array.coords[dim].to_numpy().astype("f8")
    width = (at[-1] - at[0]) / (len(at) - 1)
    even = np.isfinite(at).all() and width != 0 and np.abs(np.diff(at) - width).max() <= 1e-3 * abs(width)
    return (float(at[0]), float(width)) if even else (0.0, 1.0)


def _label(array: xr.DataArray) -> str:
    return str(array.attrs.get("long_name") or array.name or "")
