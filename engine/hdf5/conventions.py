"""Axes, units and the default picture as NetCDF-4, NeXus, openPMD and our own runs write them; in a reader process.

References
----------
NetCDF-4 dimension scales: HDF5 High-Level Dimension Scale Specification; attributes: CF Conventions 1.11, 2.5 and 8.1.
NeXus: NXdata base class (`signal`, `axes`, `AXISNAME_indices`), and the older `signal`/`axes` on datasets.
openPMD 1.1.0: `axisLabels`, `gridSpacing`, `gridGlobalOffset`, `gridUnitSI`, `unitSI`.
"""

from __future__ import annotations

import contextlib
import re
from typing import Any

import h5py
import numpy as np

from engine.hdf5.datatypes import text
from engine.hdf5.errors import Hdf5Error
from engine.hdf5.resolve import Session

MAX_AXIS = 1 << 20
"""Coordinates of an axis that are read; a longer axis is taken for even if its ends and middle say so."""

_NO_VARIABLE = "This is a netCDF dimension but not a netCDF variable"


def conventions_of(session: Session, dataset: h5py.Dataset, path: str) -> dict[str, Any]:
    """What a dataset says of its meaning.

    Returns
    -------
    dict
        ``units``, ``long_name``; ``fill`` (values that mean "none"), ``scale``, ``offset`` (physical = stored · scale +
        offset); ``axes``: for each dimension ``name``, ``units``, and ``path`` of its coordinates or ``linear`` as
        (first, step), where known; ``errors``: path of the standard deviations.
    """
    said: dict[str, Any] = {
        "units": _text(dataset, "units", "unit"), "long_name": _text(dataset, "long_name", "standard_name", "title"),
        "fill": _numbers(dataset, "_FillValue", "missing_value"), "scale": 1.0, "offset": 0.0,
    }  # fmt: skip
    for name, key in (("scale_factor", "scale"), ("add_offset", "offset"), ("unitSI", "scale")):
        found = _numbers(dataset, name)
        if len(found) == 1 and np.isfinite(found[0]) and (found[0] != 0 or key == "offset"):
            said[key] = found[0]
    parent, name = path.rstrip("/").rpartition("/")[::2]
    group = session.find(parent or "/")[0]
    axes: list[dict[str, Any]] = [{"name": f"dim_{axis}", "units": ""} for axis in range(dataset.ndim)]
    for reading in (_dimension_scales, _openpmd, _plain_axes, _nexus):
        with contextlib.suppress(Hdf5Error, KeyError, OSError, RuntimeError, ValueError, TypeError):
            for axis, entry in reading(session, group, dataset, name, parent).items():
                if 0 <= axis < dataset.ndim:
                    axes[axis] |= entry
    said["axes"] = axes
    return said


def default_of(session: Session) -> str:
    """Path of the picture that a file wants to be opened with, empty if it names none (NeXus `default`, `signal`)."""
    path, group = "", session.root
    for _ in range(8):
        chosen = _text(group, "default")
        signal = _text(group, "signal")
        if not chosen and signal:
            return f"{path}/{signal}"
        if not chosen:
            break
        path = f"{path}/{chosen}"
        group = session.find(path)[0]
        if isinstance(group, h5py.Dataset):
            return path
    return ""


def _dimension_scales(session: Session, group: Any, dataset: h5py.Dataset, name: str, parent: str) -> dict[int, Any]:
    if dataset.attrs.get("CLASS") == b"DIMENSION_SCALE" and dataset.ndim == 1 and \
            not text(dataset.attrs.get("NAME", b"")).startswith(_NO_VARIABLE):  # fmt: skip
        return {0: {"name": name}}
    found: dict[int, Any] = {}
    labels = dataset.attrs.get("DIMENSION_LABELS", [])
    for axis, label in enumerate(labels):
        if label:
            found[axis] = {"name": text(label)}
    if "DIMENSION_LIST" not in dataset.attrs:
        return found
    for axis, references in enumerate(dataset.attrs["DIMENSION_LIST"]):
        if not len(references) or not references[0]:
            continue
        place = text(h5py.h5r.get_name(references[0], dataset.file.id) or b"")
        if not place:
            continue
        scale = session.find(place)[0]
        entry = {"name": place.rpartition("/")[2]}
        empty = text(scale.attrs.get("NAME", b"")).startswith(_NO_VARIABLE)
        found[axis] = entry | ({} if empty else _coordinate(scale, place, dataset.shape[axis]))
    return found


def _nexus(session: Session, group: Any, dataset: h5py.Dataset, name: str, parent: str) -> dict[int, Any]:
    """Axes of the group if the dataset is its signal (or lies beside it with the same shape)."""
    names = _texts(group, "axes")
    if not names:
        return {}
    signal = _text(group, "signal")
    if signal and signal != name:
        beside = group.get(signal) if signal in group else None
        if not isinstance(beside, h5py.Dataset) or beside.shape != dataset.shape:
            return {}
    found = {}
    for place, axis_name in enumerate(names):
        if axis_name in (".", ""):
            continue
        indices = _numbers(group, f"{axis_name}_indices")
        axis = int(indices[0]) if len(indices) == 1 else place
        found[axis] = _sibling(session, group, parent, axis_name, dataset, axis)
    return found


def _plain_axes(session: Session, group: Any, dataset: h5py.Dataset, name: str, parent: str) -> dict[int, Any]:
    """`axes` on the dataset itself: "y x", "y:x" or "[y,x]"."""
    names = [part for part in re.split(r"[\s:,\[\]]+", " ".join(_texts(dataset, "axes"))) if part]
    if len(names) != dataset.ndim:
        return {}
    return {axis: _sibling(session, group, parent, entry, dataset, axis) for axis, entry in enumerate(names)}


def _openpmd(session: Session, group: Any, dataset: h5py.Dataset, name: str, parent: str) -> dict[int, Any]:
    """Axes of a mesh record: on the group of a vector's components, or on a scalar dataset itself."""
    holder = next((place for place in (dataset, group) if "axisLabels" in place.attrs), None)
    if holder is None:
        return {}
    labels, spacing = _texts(holder, "axisLabels"), _numbers(holder, "gridSpacing")
    start, unit = _numbers(holder, "gridGlobalOffset"), (_numbers(holder, "gridUnitSI") or [1.0])[0]
    first = dataset.ndim - len(labels)  # the modes of thetaMode stand before
    inside = (_numbers(dataset, "position") or [0.0] * len(labels))[-len(labels) :]
    found = {}
    for axis, label in enumerate(labels):
        entry: dict[str, Any] = {"name": label, "units": "m"}
        if len(spacing) == len(labels) == len(start) == len(inside):
            entry["linear"] = [unit * (start[axis] + inside[axis] * spacing[axis]), unit * spacing[axis]]
        found[first + axis] = entry
    return found


def _sibling(session: Session, group: Any, parent: str, name: str, dataset: h5py.Dataset, axis: int) -> dict[str, Any]:
    place = f"{parent}/{name}"
    try:
        scale = session.find(place)[0]
    except Hdf5Error:
        return {"name": name}
    length = dataset.shape[axis] if 0 <= axis < dataset.ndim else -1
    return {"name": name} | (_coordinate(scale, place, length) if isinstance(scale, h5py.Dataset) else {})


def _coordinate(scale: h5py.Dataset, place: str, length: int) -> dict[str, Any]:
    if scale.ndim != 1 or scale.shape[0] != length or scale.dtype.kind not in "iuf":
        return {}
    return {"path": place, "units": _text(scale, "units", "unit"), "long_name": _text(scale, "long_name")}


def _texts(found: Any, name: str) -> list[str]:
    if name not in found.attrs:
        return []
    value = found.attrs[name]
    values = np.atleast_1d(value) if isinstance(value, np.ndarray) else [value]
    return [text(entry) for entry in values if isinstance(entry, (str, bytes))]


def _text(found: Any, *names: str) -> str:
    for name in names:
        with contextlib.suppress(Exception):
            said = _texts(found, name)
            if said and said[0].strip():
                return said[0].strip()[:200]
    return ""


def _numbers(found: Any, *names: str) -> list[float]:
    for name in names:
        with contextlib.suppress(Exception):
            if name in found.attrs:
                value = np.atleast_1d(found.attrs[name])
                if value.dtype.kind in "iuf" and value.ndim == 1 and len(value) <= 64:
                    return [float(entry) for entry in value]
    return []
