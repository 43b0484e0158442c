"""From a table of emitters and a model to what the kernels sum: positions, gains, floors, reaches and a law.

Every product of the room, be it a field, a volume, dominance or a sample, begins here, so that options mean
the same everywhere. It must not know grids' labels or how a sum is done.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from engine.geo import geodetic_to_ecef
from engine.rf._emitter_table import emitter_columns
from engine.rf._field_sum import Law, Sources, decibels
from engine.rf.attenuation import scale_height_factor
from engine.rf.clutter import Clutter
from engine.rf.excess import Air, TabledLoss, TwoRay
from engine.rf.propagation import MIN_HORIZON_M, MODELS, Model, horizon_m, unit_loss_distance_m

Array = NDArray[np.float64]

Horizon = bool | Literal["diffraction"]
"""Whether cells beyond the horizon are hidden, or receive what is bent and scattered there."""

MAX_RAIN_MM_H = 300.0
"""Rain beyond this is a mistake, mm/h (P.837: 0.01 % of the year in the wettest tropics is 150)."""

MAX_FLOOR_M = 1e7
"""A floor under the distance beyond this, m, is a mistake (and would leave the range of float32)."""


@dataclass(frozen=True)
class Prepared:
    """Emitters ready to be summed.

    Attributes
    ----------
    model : Model
        Whose field it will be.
    sources : Sources
        For the kernels.
    top_dbm : float or None
        What gains are relative to, dBm; None for a field without unit of power.
    parameters : dict
        Options as they took effect, for the attributes of a frame.
    """

    model: Model
    sources: Sources
    top_dbm: float | None
    parameters: dict[str, Any]

    @property
    def n(self) -> int:
        """Number of emitters."""
        return int(self.sources.gain.size)

    def values(self, total: Array, scale: float, exact: bool = False) -> NDArray[Any]:
        """Sums of the kernels in dBm, NaN where there is no power; or as intensity."""
        if self.top_dbm is None:
            return total * scale
        return in_dbm(total, scale, self.top_dbm, exact)


def prepare(
    emitters: pd.DataFrame,
    model: str,
    *,
    horizon: Horizon = True,
    floor_m: float | None = None,
    default_floor_m: float = 0.0,
    min_horizon_m: float = MIN_HORIZON_M,
    weights: ArrayLike | None = None,
    rain_mm_h: float = 0.0,
    clutter: Clutter | None = None,
) -> Prepared:
    """Check emitters and options; `default_floor_m` is the floor of the inverse square if none is given.

    Parameters and errors are those of `engine.rf.field.power_field`.
    """
    if model not in MODELS:
        raise ValueError(f"model is {model!r}; it must be one of {', '.join(sorted(MODELS))}")
    chosen = MODELS[model]
    table = emitter_columns(emitters, chosen.columns, weights)
    floor = None if floor_m is None else _floor(floor_m)
    least_reach = _least_reach(min_horizon_m)
    if not chosen.direct_path:
        floor = default_floor_m if floor is None else floor
        sources = Sources(_positions(table), table["weight"], eps_m2=floor**2)
        return Prepared(chosen, sources, None, {"horizon": False, "min_horizon_m": None, "floor_m": floor})
    masked = check_horizon(horizon, model)
    if not 0.0 <= rain_mm_h <= MAX_RAIN_MM_H:
        raise ValueError(f"rain_mm_h is {rain_mm_h}; it must be 0 to {MAX_RAIN_MM_H:g} mm/h")
    law = law_of(model, table["alt_m"], table["freq_hz"], horizon, rain_mm_h)
    parameters: dict[str, Any] = {
        "horizon": horizon if isinstance(horizon, str) else masked,
        "min_horizon_m": min_horizon_m if masked else None,
        "floor_m": floor,
    }
    if model == "atmospheric":
        parameters["rain_mm_h"] = float(rain_mm_h)
    if clutter is not None:
        parameters["clutter"] = clutter.surroundings
        loss_db = clutter.loss_db(table["freq_hz"], table["alt_m"])
        table["eirp_dbm"] = table["eirp_dbm"] - (loss_db if clutter.at_emitters else 0.0)
    sources, top_dbm = free_space_sources(table, masked, floor, least_reach, law)
    return Prepared(chosen, replace(sources, level_gain=level_gain_of(model)), top_dbm, parameters)


def check_horizon(horizon: Horizon, model: str) -> bool:
    """Whether cells beyond the horizon are hidden; an error for a horizon that the model does not know."""
    if horizon == "diffraction":
        if model in ("free_space", "atmospheric"):
            return False
        raise ValueError(f"model {model!r} has no loss beyond the horizon; horizon must be True or False")
    if isinstance(horizon, str):
        raise ValueError(f"horizon is {horizon!r}; it must be True, False or 'diffraction'")
    return bool(horizon)


def law_of(model: str, alt_m: Array, freq_hz: Array, horizon: Horizon, rain_mm_h: float = 0.0) -> Law | None:
    """The law of a model, None for the plain one."""
    if model == "two_ray":
        return TwoRay(alt_m, freq_hz)
    bulge = horizon == "diffraction"
    if model == "atmospheric":
        return TabledLoss(alt_m, freq_hz, Air(gas=True, bulge=bulge, rain_mm_h=float(rain_mm_h)))
    return TabledLoss(alt_m, freq_hz, Air(bulge=True)) if bulge else None


def level_gain_of(model: str) -> Callable[[float], float] | None:
    """What a model makes of a level's altitude alone."""
    return (lambda alt_m: float(scale_height_factor(alt_m))) if model == "scale_height" else None


def free_space_sources(
    table: dict[str, Array], horizon: bool, floor_m: float | None, least_reach_m: float, law: Law | None = None
) -> tuple[Sources, float]:
    """Checked emitters as sources, gains relative to the strongest, and the strongest's EIRP with its unit loss, dBm.

    Relative, so that no EIRP is too large or too small for linear units; the strongest is -inf where there is none.
    """
    unit_m = unit_loss_distance_m(table["freq_hz"])
    with np.errstate(divide="ignore"):
        gain_db = table["eirp_dbm"] + 10.0 * np.log10(table["weight"]) + 20.0 * np.log10(unit_m)
    top_dbm = float(gain_db.max(initial=-np.inf))
    gain = 10.0 ** ((gain_db - top_dbm) / 10.0) if np.isfinite(top_dbm) else np.zeros(gain_db.size)
    reach = height_reach(table["alt_m"], horizon)
    floor = unit_m if floor_m is None else floor_m
    return Sources(_positions(table), gain, floor, reach, least_reach_m, law=law), top_dbm


def height_reach(alt_m: Array, horizon: bool) -> ArrayLike:
    """What an emitter's height gives to its radio horizon, m; the receiver's height is added level by level."""
    return horizon_m(alt_m, 0.0, 0.0) if horizon else np.inf


def in_dbm(total: Array, scale: float, top_dbm: float, exact: bool = False) -> NDArray[Any]:
    """Sums in dBm, NaN where there is no power; float32 by series, or exact."""
    if scale == 0.0:
        return np.full(total.shape, np.nan)
    offset = 10.0 * np.log10(scale) + top_dbm
    if exact:
        return 10.0 * np.log10(np.where(total > 0.0, total, np.nan)) + offset
    out = np.empty(total.shape, np.float32)
    decibels(total.reshape(-1), offset, out.reshape(-1))
    return out


def _positions(table: dict[str, Array]) -> Array:
    """ECEF positions, m, of shape (3, n)."""
    return np.stack([np.atleast_1d(v) for v in geodetic_to_ecef(table["lat"], table["lon"], table["alt_m"])])


def _least_reach(min_horizon_m: float) -> float:
    if not np.isfinite(min_horizon_m) or min_horizon_m < 0:
        raise ValueError(f"min_horizon_m is {min_horizon_m}; it must be a finite distance in metres, 0 or more")
    return float(min_horizon_m)


def _floor(floor_m: float) -> float:
    if not 0.0 < floor_m <= MAX_FLOOR_M:
        raise ValueError(f"floor_m is {floor_m}; it must be above 0 and at most {MAX_FLOOR_M:g} m")
    return float(floor_m)
