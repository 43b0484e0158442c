"""Cells that are known already: whoever pans over one moment pays for the cells that came into view.

A cell of a field depends on where it is and on the emitters, not on the view around it. Views of one zoom share their
lattice (`engine.frames.spec.snap_view`), so a moved view finds most of its cells in a raster that is there. A copied
cell is a computed one: nothing adds up over many steps. It knows nothing of emitters.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from dataclasses import replace

import numpy as np

from engine.frames.spec import FieldSpec

RASTERS_KEPT = 4
"""Rasters remembered of each layer; the oldest goes first."""

LEAST_SHARE = 0.25
"""Share of the cells that must be known for copying to be worth its while."""

Rectangle = tuple[int, int, int, int]
"""Columns and rows of a raster: first and last + 1 of each."""


class KnownCells:
    """Rasters of one moment, by what was computed.

    Parameters
    ----------
    kept : int
        Rasters remembered of each layer.

    Examples
    --------
    >>> known = KnownCells()
    >>> asked = []
    >>> def ones(part):
    ...     asked.append((part.nx, part.ny))
    ...     return np.ones((part.ny, part.nx))
    >>> a = known.raster("now", FieldSpec(0.0, 0.0, 320.0, 320.0, 32, 32), ones)
    >>> b = known.raster("now", FieldSpec(160.0, 0.0, 480.0, 320.0, 32, 32), ones)
    >>> asked
    [(32, 32), (16, 32)]
    """

    def __init__(self, kept: int = RASTERS_KEPT) -> None:
        self._kept = kept
        self._lock = threading.Lock()
        self._rasters: dict[Hashable, list[tuple[FieldSpec, np.ndarray]]] = {}

    def raster(self, layer: Hashable, spec: FieldSpec, compute: Callable[[FieldSpec], np.ndarray]) -> np.ndarray:
        """The raster of a view, as much of it as can be from what is there; not to be written to.

        Parameters
        ----------
        layer : hashable
            What the values depend on besides place and cell: rasters of equal layers are mixed.
        spec : FieldSpec
            The view; only its place and shape matter here.
        compute : callable (FieldSpec) -> ndarray, (ny, nx)
            Values of a part of the view.
        """
        with self._lock:
            held = list(self._rasters.get(layer, ()))
        shared = [(part, at, values) for old, values in held for part, at in _common(spec, old)]
        if shared:
            part, at, values = max(shared, key=lambda one: _cells(one[0]))
        if not shared or _cells(part) < LEAST_SHARE * spec.nx * spec.ny:
            out = compute(spec)
        elif _cells(part) == spec.nx * spec.ny and values.shape == (spec.ny, spec.nx):
            return values
        else:
            out = np.empty((spec.ny, spec.nx), dtype=values.dtype)
            west, east, south, north = part
            out[south:north, west:east] = values[at[1] : at[1] + north - south, at[0] : at[0] + east - west]
            for i0, i1, j0, j1 in _around(part, spec.nx, spec.ny):
                out[j0:j1, i0:i1] = compute(_part_of(spec, (i0, i1, j0, j1)))
        out.setflags(write=False)
        with self._lock:
            self._rasters[layer] = [*self._rasters.get(layer, ())[1 - self._kept :], (spec, out)]
        return out


def _cell_m(spec: FieldSpec) -> tuple[float, float]:
    return (spec.east_m - spec.west_m) / spec.nx, (spec.north_m - spec.south_m) / spec.ny


def _common(spec: FieldSpec, old: FieldSpec) -> list[tuple[Rectangle, tuple[int, int]]]:
    """The rectangle of `spec` that lies in `old`, and where it begins there; empty unless they share a lattice."""
    (dx, dy), (old_dx, old_dy) = _cell_m(spec), _cell_m(old)
    right, up = (spec.west_m - old.west_m) / dx, (spec.south_m - old.south_m) / dy
    far = max(spec.nx + old.nx, spec.ny + old.ny, abs(right), abs(up))
    on_lattice = abs(right - round(right)) < 1e-6 and abs(up - round(up)) < 1e-6
    if not on_lattice or max(abs(dx / old_dx - 1.0), abs(dy / old_dy - 1.0)) * far > 1e-6:
        return []
    i, j = round(right), round(up)
    west, east = max(0, -i), min(spec.nx, old.nx - i)
    south, north = max(0, -j), min(spec.ny, old.ny - j)
    return [((west, east, south, north), (west + i, south + j))] if west < east and south < north else []


def _cells(part: Rectangle) -> int:
    return (part[1] - part[0]) * (part[3] - part[2])


def _around(part: Rectangle, nx: int, ny: int) -> list[Rectangle]:
    """What is left of a raster without a rectangle of it: rows under and over it, then what is beside it."""
    west, east, south, north = part
    pieces = [(0, nx, 0, south), (0, nx, north, ny), (0, west, south, north), (east, nx, south, north)]
    return [piece for piece in pieces if _cells(piece) > 0]


def _part_of(spec: FieldSpec, part: Rectangle) -> FieldSpec:
    dx, dy = _cell_m(spec)
    i0, i1, j0, j1 = part
    return replace(
        spec, west_m=spec.west_m + i0 * dx, east_m=spec.west_m + i1 * dx, south_m=spec.south_m + j0 * dy,
        north_m=spec.south_m + j1 * dy, nx=i1 - i0, ny=j1 - j0,
    )  # fmt: skip
