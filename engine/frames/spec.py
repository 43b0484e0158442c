"""What a field frame shows, where and when: one small hashable value.

Two sessions that want the same thing have equal specs, and that equality is the whole mechanism of
"compute once, show many". Views are snapped to a coarse lattice for the same reason: browsers whose
windows differ by a few pixels still share one frame.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from engine.geo import inverse_web_mercator

LAYERS = ("field", "forecast", "trails")
"""Layers that a frame can hold."""

DEFAULT_CELLS = 90_000
"""Cells of a frame's grid at most (300 squared): layers and trails at 1 Hz stay well under 300 KiB/s a viewer."""

MAX_CELLS = 2048 * 2048
"""The largest grid that the engine computes (A2)."""

WORLD_M = math.pi * 6_378_137.0
"""Half the side of the Web Mercator square, m."""

_SNAP_CELLS = 16
_FINEST_CELL_M = 1.0


Horizon = bool | Literal["diffraction"]
"""What becomes of power beyond the radio horizon."""


def hundredths(moment_s: float | None) -> float | None:
    """A moment of the past as specs have it: hundredths of a second, downwards.

    A link says milliseconds, downwards, and a caption whole seconds, downwards: rounded to the nearest, one moment in
    two hundred would be under the caption of the next second, and one in twenty would not be that of its own link.

    Examples
    --------
    >>> hundredths(1000.9968), hundredths(1000.996), hundredths(None)
    (1000.99, 1000.99, None)
    """
    return None if moment_s is None else round(1e6 * moment_s) // 10_000 / 100


@dataclass(frozen=True, slots=True)
class FieldSpec:
    """Everything that determines a field frame, besides the events.

    Attributes
    ----------
    west_m, south_m, east_m, north_m : float
        Bounds in Web Mercator metres.
    nx, ny : int
        Cells across and up.
    model : str
        Propagation model, see `engine.rf.MODELS`.
    height_m : float
        Height above the ellipsoid at which the field is received, m.
    horizon : bool or "diffraction"
        Emitters beyond the 4/3-earth radio horizon give no power; with "diffraction" that of ITU-R P.528.
    forecast_s : float
        How far ahead the forecast layer looks, s.
    low_dbm, high_dbm : float
        Colour limits, dBm; the 8-bit picture is quantised between them.
    trail_s : float
        Length of the trails, s.
    layers : tuple of str
        Which of `LAYERS` to compute.
    moment_s : float or None
        The moment shown, epoch seconds; None is live.
    contest : str
        What is drawn of dominance: one of `engine.frames.field_dominance.CONTESTS`.
    group_by, group_a, group_b : str
        What makes a group, see `engine.frames.field_dominance.groups_of`.
    contested_db : float
        Lead below which a cell is nobody's, dB.
    score_weights : (float, float, float)
        Of signal, coherence and likeness in the arbitration score.
    """

    west_m: float
    south_m: float
    east_m: float
    north_m: float
    nx: int
    ny: int
    model: str = "free_space"
    height_m: float = 10.0
    horizon: Horizon = True
    forecast_s: float = 60.0
    low_dbm: float = -80.0
    high_dbm: float = -55.0
    trail_s: float = 900.0
    layers: tuple[str, ...] = LAYERS
    moment_s: float | None = None
    contest: str = "none"
    group_by: str = "kind"
    group_a: str = ""
    group_b: str = ""
    contested_db: float = 3.0
    score_weights: tuple[float, float, float] = (0.6, 0.3, 0.1)

    @property
    def place(self) -> tuple[float, float, float, float]:
        """West, south, east and north, Web Mercator metres."""
        return self.west_m, self.south_m, self.east_m, self.north_m

    @property
    def bounds_deg(self) -> tuple[float, float, float, float]:
        """West, south, east and north, degrees."""
        south, west = inverse_web_mercator(self.west_m, self.south_m)
        north, east = inverse_web_mercator(self.east_m, self.north_m)
        return float(west), float(south), float(east), float(north)


def snap_view(
    west_m: float, south_m: float, east_m: float, north_m: float, max_cells: int = DEFAULT_CELLS
) -> tuple[float, float, float, float, int, int]:
    """Bounds and shape of the grid for a view: at least the view, square cells, few distinct answers.

    The cell side is a power of the square root of two and the bounds are multiples of 16 cells, so
    that nearly equal views get the same grid.

    Parameters
    ----------
    west_m, south_m, east_m, north_m : float
        The view in Web Mercator metres; anything beyond the world square is cut off.
    max_cells : int
        Cells at most.

    Returns
    -------
    west_m, south_m, east_m, north_m, nx, ny : float and int

    Raises
    ------
    ValueError
        When the view is not finite or has no area.

    Examples
    --------
    >>> a = snap_view(0.0, 0.0, 400e3, 300e3)
    >>> a == snap_view(900.0, 500.0, 400.5e3, 300.2e3)
    True
    """
    view = (west_m, south_m, east_m, north_m)
    if not all(math.isfinite(v) for v in view) or east_m <= west_m or north_m <= south_m:
        raise ValueError(f"the view {view} has no area; west < east and south < north in metres are needed")
    west, east = max(west_m, -WORLD_M), min(east_m, WORLD_M)
    south, north = max(south_m, -WORLD_M), min(north_m, WORLD_M)
    if east <= west or north <= south:
        raise ValueError(f"the view {view} lies outside the Web Mercator square of ±{WORLD_M:.0f} m")
    area = (east - west) * (north - south)
    step = math.ceil(2.0 * math.log2(max(math.sqrt(area / max_cells), _FINEST_CELL_M)))
    while True:
        cell = 2.0 ** (step / 2.0)
        block = cell * _SNAP_CELLS
        low_x, high_x = math.floor(west / block), math.ceil(east / block)
        low_y, high_y = math.floor(south / block), math.ceil(north / block)
        nx, ny = (high_x - low_x) * _SNAP_CELLS, (high_y - low_y) * _SNAP_CELLS
        if nx * ny <= max_cells:
            return low_x * block, low_y * block, high_x * block, high_y * block, nx, ny
        step += 1
