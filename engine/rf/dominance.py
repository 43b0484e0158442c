"""Who is received most strongly where: between groups of emitters, and between single emitters.

`dominance` compares the fields of groups, `strongest` the emitters themselves; `arbitration_score`
weighs what a cell offers. Computation only: what the colours are is for a page.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from engine.rf._field_sum import choose, strongest_sources, sum_sources
from engine.rf._sources import prepare
from engine.rf.field import field_attrs, grid_coords, power_field
from engine.rf.grid import Grid

CONTESTED_DB = 3.0
"""Margin below which a cell is nobody's, dB (system A7)."""

ARBITRATION_WEIGHTS = (0.6, 0.3, 0.1)
"""Weights of signal, coherence and likeness in the arbitration score (system A7)."""

SIGNAL_LIMITS_DBM = (-120.0, -40.0)
"""Powers that count as no signal and as full signal: from below a receiver's floor to a strong one."""

NOBODY = -1
"""Index where nothing is received from anyone."""


def dominance(
    groups: Mapping[str, pd.DataFrame],
    grid: Grid,
    model: str = "free_space",
    *,
    contested_db: float = CONTESTED_DB,
    powers: bool = False,
    **options: Any,
) -> xr.Dataset:
    """Which group's field is strongest in each cell, and by how much.

    A group's field is the sum of its emitters in linear units. The margin is the strongest group's
    field less the second strongest's, dB; a cell is *contested* where it is below `contested_db`. Of
    exactly two groups A and B there is also the signed dominance ``A - B``, dB.

    Parameters
    ----------
    groups : mapping of str to pandas.DataFrame
        Emitters of each group, as for `power_field`; at least one group. A group may have none.
    grid : Grid
    model : str
        A name in `engine.rf.MODELS`.
    contested_db : float
        dB, not negative.
    powers : bool
        Whether the groups' fields are in the result.
    **options
        Those of `power_field`: `horizon`, `floor_m`, `method` and the rest.

    Returns
    -------
    xarray.Dataset
        On ``grid.dims``: `best`, int16, place of the group in the coordinate `group`, -1 where
        nobody is received; `margin_db`, float32, +inf without a rival, NaN where nobody is;
        `contested`, uint8, 1 or 0. Of two groups `dominance_db`, float32, ±inf where only one is
        received. With `powers` the fields, with the leading dimension `group`.

    Raises
    ------
    ValueError
        No group, a negative or NaN `contested_db`, or what `power_field` raises, with the group's name.

    Examples
    --------
    >>> def mast(lon):
    ...     return pd.DataFrame({"lat": [47.0], "lon": [lon], "alt_m": [600.0], "eirp_dbm": [30.0], "freq_hz": [1e9]})
    >>> row = Grid.from_bounds(7.9, 46.99, 8.2, 47.01, shape=(1, 3))
    >>> dominance({"west": mast(7.95), "east": mast(8.15)}, row).best.values.tolist()
    [[0, 0, 1]]

    References
    ----------
    System A7.
    """
    if not groups:
        raise ValueError("groups is empty; at least one group of emitters is needed")
    if not contested_db >= 0.0:
        raise ValueError(f"contested_db is {contested_db}; it must be 0 dB or more")
    fields = [_group_field(name, table, grid, model, options) for name, table in groups.items()]
    variable = next(iter(fields[0].data_vars))
    with np.errstate(divide="ignore"):
        level_db = np.stack([_decibels(field[variable]) for field in fields])
    best, margin_db = _first_two(level_db)
    out: dict[str, Any] = {
        "best": (grid.dims, best, {"long_name": "strongest group", "units": "1", "nobody": NOBODY}),
        "margin_db": (grid.dims, margin_db, {"long_name": "lead over the second strongest group", "units": "dB"}),
        "contested": (
            grid.dims, (margin_db < contested_db).astype(np.uint8),
            {"long_name": f"lead below {contested_db:g} dB", "units": "1"},
        ),
    }  # fmt: skip
    if len(fields) == 2:
        with np.errstate(invalid="ignore"):
            signed = (level_db[0] - level_db[1]).astype(np.float32)
        names = list(groups)
        out["dominance_db"] = (grid.dims, signed, {"long_name": f"{names[0]} less {names[1]}", "units": "dB"})
    if powers:
        stacked = np.stack([field[variable].to_numpy() for field in fields])
        out[str(variable)] = (("group", *grid.dims), stacked, fields[0][variable].attrs)
    attrs = {k: v for k, v in fields[0].attrs.items() if k != "summation"} | {
        "n_emitters": int(sum(field.attrs["n_emitters"] for field in fields)),
        "contested_db": float(contested_db),
        "summation": [field.attrs["summation"] for field in fields],
    }
    return xr.Dataset(out, grid_coords(grid) | {"group": ("group", list(groups))}, attrs)


def strongest(
    emitters: pd.DataFrame, grid: Grid, model: str = "free_space", *, total: bool = True, **options: Any
) -> xr.Dataset:
    """The strongest single emitter in each cell, how strong it is, and its lead over the second strongest.

    Exact: an emitter is passed over for a block of cells only when at least two others are stronger
    in all of them, by bounds on distance; the rest are compared cell by cell in float64. Of equals
    the earlier row is first.

    Parameters
    ----------
    emitters, grid, model
        As in `power_field`.
    total : bool
        Whether the sum over all emitters is in the result too.
    **options
        Those of `power_field`, without `dtype`.

    Returns
    -------
    xarray.Dataset
        On ``grid.dims``: `emitter`, int32, row of the strongest, -1 where nothing is received;
        `strongest_dbm` and `second_dbm`, float32, NaN where there is none (``_level`` and no unit for
        the inverse square); with `total` also the field.

    Examples
    --------
    >>> table = pd.DataFrame({"lat": [47.0, 47.0], "lon": [7.95, 8.15], "alt_m": 600.0, "eirp_dbm": 30.0,
    ...                       "freq_hz": 1e9})
    >>> strongest(table, Grid.from_bounds(7.9, 46.99, 8.2, 47.01, shape=(1, 3))).emitter.values.tolist()
    [[0, 0, 1]]
    """
    method = options.pop("method", "auto")
    ready = prepare(emitters, model, default_floor_m=grid.floor_m, **options)
    first, second, index, scale = strongest_sources(ready.sources, grid)
    unit = "dbm" if ready.top_dbm is not None else "level"
    labels = {"units": ready.model.units}
    shape = grid.array_shape

    def labelled(linear: NDArray[np.float64], name: str) -> tuple[Any, ...]:
        values = ready.values(linear, scale).astype(np.float32, copy=False)
        return grid.dims, values.reshape(shape), labels | {"long_name": name}

    out: dict[str, Any] = {
        "emitter": (grid.dims, index.reshape(shape), {"long_name": "row of the strongest emitter", "units": "1"}),
        f"strongest_{unit}": labelled(first, "strongest emitter"),
        f"second_{unit}": labelled(second, "second strongest emitter"),
    }
    attrs = field_attrs(ready, grid)
    if total:
        way = choose(method, ready.n, grid, ready.sources.law is None, False)
        linear, _ = sum_sources(ready.sources, grid, way)
        out[ready.model.variable] = labelled(linear, ready.model.long_name)
        attrs["summation"] = way
    return xr.Dataset(out, grid_coords(grid), attrs)


def arbitration_score(
    power_dbm: ArrayLike,
    coherence: ArrayLike | None = None,
    *,
    signal_limits_dbm: tuple[float, float] = SIGNAL_LIMITS_DBM,
    weights: tuple[float, float, float] = ARBITRATION_WEIGHTS,
) -> NDArray[np.float64]:
    """Score of each cell, 0 to 1: ``0.6 signal + 0.3 coherence + 0.1 (1 - diversity)``.

    *Signal* is the total power in dBm, 0 to 1 between the limits. *Coherence* is, unless given, the
    strongest group's share of the total. *Diversity* is the Shannon entropy of the groups' shares over
    its largest possible value (Pielou's evenness); of one group it is 0. A cell of no power scores 0.

    Parameters
    ----------
    power_dbm : array_like of float, shape (groups, ...)
        Fields of the groups, dBm; NaN is no power.
    coherence : array_like of float, shape (...) or scalar, optional
        Used instead of the share, 0 to 1.
    signal_limits_dbm : (float, float)
        dBm, increasing.
    weights : (float, float, float)
        Not negative, with a positive sum; the score is divided by it.

    Returns
    -------
    ndarray of float64, shape (...)

    Raises
    ------
    ValueError
        Limits that do not increase, negative weights or coherence outside 0 to 1.

    Examples
    --------
    >>> float(arbitration_score([[-40.0], [np.nan]])[0])
    1.0

    References
    ----------
    System A7; Pielou (1966), J. Theor. Biol. 13, for evenness.
    """
    low, high = signal_limits_dbm
    share_of = np.asarray(weights, dtype=np.float64)
    if not low < high:
        raise ValueError(f"signal_limits_dbm are {signal_limits_dbm}; the first must be below the second")
    if share_of.shape != (3,) or not (share_of >= 0.0).all() or not share_of.sum() > 0.0:
        raise ValueError(f"weights are {weights}; three numbers, none negative and not all 0, are needed")
    linear = 10.0 ** (np.asarray(power_dbm, dtype=np.float64) / 10.0)
    linear = np.where(np.isfinite(linear), linear, 0.0)
    total = linear.sum(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.where(total > 0.0, linear / total, 0.0)
        signal = np.clip((10.0 * np.log10(total) - low) / (high - low), 0.0, 1.0)
        entropy = -np.where(share > 0.0, share * np.log(share), 0.0).sum(axis=0)
    diversity = entropy / np.log(len(linear)) if len(linear) > 1 else np.zeros_like(total)
    given = share.max(axis=0) if coherence is None else np.asarray(coherence, dtype=np.float64)
    if not ((given >= 0.0) & (given <= 1.0)).all():
        raise ValueError(f"coherence runs from {np.min(given)} to {np.max(given)}; it must lie within 0 and 1")
    score = share_of[0] * signal + share_of[1] * given + share_of[2] * (1.0 - diversity)
    return np.where(total > 0.0, score / share_of.sum(), 0.0)


def _group_field(name: str, table: pd.DataFrame, grid: Grid, model: str, options: dict[str, Any]) -> xr.Dataset:
    try:
        return power_field(table, grid, model, **options)
    except ValueError as error:
        raise ValueError(f"group {name!r}: {error}") from error


def _decibels(values: xr.DataArray) -> NDArray[np.float64]:
    """Values in dB, -inf for none."""
    if values.attrs["units"] == "dBm":
        level = values.to_numpy().astype(np.float64)
        return np.where(np.isnan(level), -np.inf, level)
    return 10.0 * np.log10(values.to_numpy().astype(np.float64))


def _first_two(level_db: NDArray[np.float64]) -> tuple[NDArray[np.int16], NDArray[np.float32]]:
    """Place of the largest along the first axis, and by how much it leads."""
    best = level_db.argmax(axis=0).astype(np.int16)
    top = level_db.max(axis=0)
    best[np.isneginf(top)] = NOBODY
    if len(level_db) == 1:
        lead = np.where(np.isneginf(top), np.nan, np.inf)
    else:
        with np.errstate(invalid="ignore"):
            lead = top - np.partition(level_db, -2, axis=0)[-2]
    return best, lead.astype(np.float32)
