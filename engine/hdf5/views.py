"""From slices to a box of cells, and from what a reader found there to a DataArray with axes and units."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from engine.hdf5.errors import Hdf5Error, Unreadable
from engine.hdf5.reduce import step_for

if TYPE_CHECKING:
    from engine.hdf5.overview import Overview
    from engine.hdf5.tree import Dataset, Slices

EVEN = 1e-3
"""An axis is even if no coordinate is off a straight line by more than this share of a step."""


@dataclass(frozen=True, slots=True)
class View:
    """A box of cells and the dimensions that make its picture, rows first."""

    box: tuple[tuple[int, int], ...]
    axes: tuple[int, ...]


def box_of(dataset: Dataset, slices: Slices, axes: tuple[int, ...] | None) -> View:
    """The box that slices mean.

    Raises
    ------
    ValueError
        Naming the dimension and what would be right.
    """
    shape = dataset.shape
    if not shape:
        raise Unreadable(f"{dataset.path} has {'no values (null space)' if shape is None else 'one value, no axes'}; "
                         "ask for its table")  # fmt: skip
    if 0 in shape:
        raise Unreadable(f"{dataset.path} has the shape {shape} and so no values")
    given = _spread(list(slices), len(shape))
    ranges = [axis for axis, wish in enumerate(given) if not isinstance(wish, (int, np.integer))]
    if axes is None:
        axes = tuple((ranges or [len(shape) - 1])[-2:])
    axes = tuple(int(axis) for axis in axes)
    if not 1 <= len(axes) <= 2 or len(set(axes)) != len(axes) or not all(0 <= axis < len(shape) for axis in axes):
        raise ValueError(f"axes are {axes}; one or two different dimensions of 0 to {len(shape) - 1} make a picture")
    box = []
    for axis, (wish, size) in enumerate(zip(given, shape, strict=True)):
        low, high = _range(wish, size, axis)
        if axis not in axes:
            high = low + 1
        box.append((low, high))
    return View(tuple(box), axes)


def _spread(given: list[Any], dims: int) -> list[Any]:
    if any(wish is Ellipsis for wish in given):
        at = next(i for i, wish in enumerate(given) if wish is Ellipsis)
        given = given[:at] + [slice(None)] * (dims - len(given) + 1) + given[at + 1 :]
    if len(given) > dims:
        raise ValueError(f"{len(given)} slices were given; the dataset has {dims} dimensions")
    return given + [slice(None)] * (dims - len(given))


def _range(wish: Any, size: int, axis: int) -> tuple[int, int]:
    if isinstance(wish, (int, np.integer)):
        index = int(wish) + (size if wish < 0 else 0)
        if not 0 <= index < size:
            raise ValueError(f"index {int(wish)} of dimension {axis}; it must be from {-size} to {size - 1}")
        return index, index + 1
    if isinstance(wish, slice):
        if wish.step not in (None, 1):
            raise ValueError(f"a step of {wish.step} in dimension {axis}; how finely it is read follows from `shape`")
        low, high, _ = wish.indices(size)
    else:
        low, high = (min(max(int(place), 0), size) for place in wish)
    if high <= low:
        raise ValueError(f"the range {wish} of dimension {axis} is empty; it must lie within 0 to {size}")
    return low, high


def data_array(
    dataset: Dataset, view: View, shape: tuple[int, int], part: str, member: str, budget_s: float,
    overview: Overview | None = None,
) -> xr.DataArray:  # fmt: skip
    """The picture of a view, see `Dataset.view`."""
    said = dataset.conventions
    kind = dataset.type_class
    if member:
        kind = next((f["class"] for f in dataset.info["fields"] if f["name"] == member), kind)
    elif kind == "compound":
        member = next((f["name"] for f in dataset.info["fields"] if f["class"] in ("integer", "float", "complex")), "")
        kind = next((f["class"] for f in dataset.info["fields"] if f["name"] == member), kind)
    # Names and angles have no mean.
    average = kind not in ("enum", "bitfield") and part != "phase"
    coarse = None
    if overview is not None:
        sides = [view.box[axis] for axis in view.axes]
        y, x = ([(0, 1)] * (2 - len(sides)) + sides)[-2:]
        wanted = [step_for(side, pixels) for side, pixels in zip((y, x), (shape[0], shape[1]), strict=True)]
        coarse = overview.picture(y, x, (wanted[0], wanted[1]))
    if coarse is not None:
        return _labelled(dataset, view, coarse, part, member, kind)
    patience = {"timeout_s": 20.0 + 6.0 * budget_s} if budget_s > 1.0 else {}
    found = dataset.tree.ask(
        "view", **patience, path=dataset.path, box=[list(side) for side in view.box], axes=list(view.axes),
        shape=[max(int(shape[0]), 1), max(int(shape[1]), 2)], budget_s=budget_s, average=average, part=part,
        member=member, fill=said.get("fill", []) if not member else [], scale=said.get("scale", 1.0),
        offset=said.get("offset", 0.0)
    )  # fmt: skip
    return _labelled(dataset, view, found, part, member, kind)


def _labelled(dataset: Dataset, view: View, found: dict[str, Any], part: str, member: str, kind: str) -> xr.DataArray:
    values, said = found["values"], dataset.conventions
    sides = list(zip(found["box"], found["steps"], strict=True))[-len(view.axes) :]
    dims: list[str] = []
    coords: dict[str, Any] = {}
    for axis, (side, step) in zip(view.axes, sides, strict=True):
        name, coordinate = axis_coordinate(dataset, axis, side, step)
        name = name if name not in dims else f"{name}_{axis}"
        dims.append(name)
        coords[name] = (name, coordinate.values, coordinate.attrs)
    if len(view.axes) == 1:
        if "min" in found:
            values = np.stack([found["values"][0], found["min"][0], found["max"][0]])
            dims, coords = ["stat", *dims], {"stat": ["mean", "min", "max"], **coords}
        else:
            values = values[0]
    units = "rad" if part == "phase" else said.get("units", "")
    name = dataset.path.rpartition("/")[2] + (f".{member}" if member else "")
    label = said.get("long_name") or name
    if kind == "complex":
        label = f"{'magnitude' if part == 'value' else part} of {label}"
    keep = ("how", "steps", "box", "nan", "inf", "damaged", "damage", "share")
    attrs: dict[str, Any] = {"units": units, "long_name": label} | {key: found[key] for key in keep}
    if len(view.axes) == 1:
        attrs |= {"box": found["box"][1:], "steps": found["steps"][1:]}
    attrs |= {"kind": kind, "part": part, "axes": view.axes, "notes": found["notes"]}
    if dataset.info["enum"]:
        attrs["enum"] = dataset.info["enum"]
    return xr.DataArray(values, coords, dims, name=name, attrs=attrs)


def axis_coordinate(dataset: Dataset, axis: int, side: list[int], step: int) -> tuple[str, xr.Variable]:
    """Name of an axis, and the coordinates of the middles of its blocks of cells.

    Returns
    -------
    name : str
    coordinate : xarray.Variable
        ``units``; ``even``: whether the cells have one width; of an even axis ``first`` and ``width``: coordinate of
        cell 0 and of one cell.
    """
    low, high = side
    starts = np.arange(low, high, step)
    middles = 0.5 * (starts + np.minimum(starts + step, high) - 1)
    axes = dataset.conventions.get("axes") or []
    entry: dict[str, Any] = axes[axis] if axis < len(axes) else {"name": f"dim_{axis}", "units": ""}
    name, attrs = entry["name"] or f"dim_{axis}", {"units": entry.get("units", ""), "even": True}
    linear: Any = entry.get("linear") or (0.0, 1.0)
    first, width = float(linear[0]), float(linear[1])
    if "path" in entry:
        try:
            got = dataset.tree.ask("axis", path=entry["path"], start=0, stop=(dataset.shape or (0,))[axis])
        except Hdf5Error:
            return name, xr.Variable(name, middles, attrs | {"units": "", "first": 0.0, "width": 1.0})
        places, values = got["places"], got["values"]
        first, width, even = _line(places, values)
        if not even:
            at = np.interp(middles, places, values) if np.isfinite(values).all() else middles
            return name, xr.Variable(name, at, attrs | {"even": False})
    return name, xr.Variable(name, first + width * middles, attrs | {"first": float(first), "width": float(width)})


def _line(places: np.ndarray, values: np.ndarray) -> tuple[float, float, bool]:
    if len(values) < 2:
        return (float(values[0]) if len(values) and np.isfinite(values[0]) else 0.0), 1.0, True
    width = float((values[-1] - values[0]) / (places[-1] - places[0]))
    line = values[0] + width * (places - places[0])
    even = bool(np.isfinite(values).all() and width != 0 and np.abs(values - line).max() <= EVEN * abs(width))
    return float(values[0] - width * places[0]), width, even
