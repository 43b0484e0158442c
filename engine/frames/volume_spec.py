"""What a volume and the planes through it show, where and when: small hashable values, as `FieldSpec` is for a map.

Equal wishes are equal specs, and that is the whole mechanism of "compute once, show many".
"""

from __future__ import annotations

from dataclasses import dataclass

from engine.frames.spec import Horizon, snap_view
from engine.geo import inverse_web_mercator

DETAILS = {"16": (16, 16), "32": (32, 32), "64x16": (64, 16), "64": (64, 64), "128x32": (128, 32)}
"""Cells each way and levels of every level of detail (systems A5, A6), by name."""

SLICE_CELLS = 160
"""Cells each way of an altitude slice."""

SECTION_SHAPE = (41, 128)
"""Heights and points along the line of a vertical section."""

Line = tuple[float, float, float, float]
"""Latitude and longitude of where a line begins and of where it ends, degrees."""


@dataclass(frozen=True, slots=True)
class VolumeSpec:
    """Everything that determines a volume, besides the events.

    Attributes
    ----------
    west, south, east, north : float
        Outer edges, degrees.
    detail : str
        One of `DETAILS`.
    model : str
        Propagation model, see `engine.rf.MODELS`.
    horizon : bool or "diffraction"
        As in `FieldSpec`.
    forecast_s : float
        How far ahead the predicted volume looks, s.
    low_dbm, high_dbm : float
        Limits between which both volumes are quantised, dBm.
    moment_s : float or None
        The moment shown, epoch seconds; None is live.
    """

    west: float
    south: float
    east: float
    north: float
    detail: str = "64x16"
    model: str = "free_space"
    horizon: Horizon = True
    forecast_s: float = 60.0
    low_dbm: float = -80.0
    high_dbm: float = -45.0
    moment_s: float | None = None

    def __post_init__(self) -> None:
        if self.detail not in DETAILS:
            raise ValueError(f"detail is {self.detail!r}; one of {', '.join(DETAILS)} is needed")


@dataclass(frozen=True, slots=True)
class PlanesSpec:
    """An altitude slice and a vertical section of the same fields.

    Attributes
    ----------
    volume : VolumeSpec
        Place, model, limits and moment; its detail does not matter and is the usual one, so that viewers share.
    alt_m : float
        Height of the slice, m.
    line : Line
        The line of the section.
    """

    volume: VolumeSpec
    alt_m: float
    line: Line

    @property
    def moment_s(self) -> float | None:
        """The moment shown, epoch seconds; None is live."""
        return self.volume.moment_s


def snap_region(west_m: float, south_m: float, east_m: float, north_m: float) -> tuple[float, float, float, float]:
    """West, south, east and north in degrees of the region for a view in Web Mercator metres.

    At least the view, on a lattice, so that nearly equal windows want the same volume. Raises ValueError as
    `snap_view` does.

    Examples
    --------
    >>> snap_region(0.0, 0.0, 400e3, 300e3) == snap_region(900.0, 500.0, 400.5e3, 300.2e3)
    True
    """
    west, south, east, north, _, _ = snap_view(west_m, south_m, east_m, north_m)
    low, high = inverse_web_mercator(west, south), inverse_web_mercator(east, north)
    return float(low[1]), float(low[0]), float(high[1]), float(high[0])
