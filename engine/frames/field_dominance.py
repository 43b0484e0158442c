"""Who controls which cell of a field frame: dominance of A over B, best server of many groups, arbitration score (A7).

From the emitters of a scene and the words of a spec to bytes for the browser and to shares of area. It knows nothing
of colours.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from engine.rf.dominance import NOBODY, arbitration_score
from engine.rf.grid import Grid

GROUPINGS = ("kind", "cluster", "frequency", "source", "ab")
"""What makes a group: a column of the emitters, or two searches A and B."""

CONTESTS = ("none", "ab", "server", "margin", "score")
"""What is drawn of it."""

MAX_GROUPS = 7
"""Groups with a name and a colour of their own, the largest; the others are one more."""

SPAN_DB = 30.0
"""Dominance is drawn from -30 to +30 dB, the margin of the strongest from 0 to 30 dB."""

EARTH_KM = 6371.0088
"""Mean radius of the earth, km (IUGG)."""


@dataclass(frozen=True, slots=True, eq=False)
class Dominance:
    """Who is strongest in the cells of a frame.

    Attributes
    ----------
    names : tuple of str
        Groups, in the order of `members`.
    members : tuple of int
        Emitters of each.
    share, area_km2 : ndarray of float64, (groups,)
        Of the frame's area: where the group is strongest by at least the contested margin.
    contested_share, contested_km2, nobody_share : float
        Where the lead is smaller; where nothing is received.
    levels : ndarray of uint8, (ny, nx)
        ``ab``: 0 nobody, 1 … 255 for -30 … +30 dB. ``server``: 0 nobody, 1 + group, 255 contested. ``margin``:
        0 nobody, 1 … 255 for 0 … 30 dB. ``score``: 0 … 255 for 0 … 1.
    power_dbm : ndarray of float32, (groups, ny, nx)
        Field of each group; -inf is none.
    """

    names: tuple[str, ...]
    members: tuple[int, ...]
    share: np.ndarray
    area_km2: np.ndarray
    contested_share: float
    contested_km2: float
    nobody_share: float
    levels: np.ndarray = field(repr=False)
    power_dbm: np.ndarray = field(repr=False)


def groups_of(table: pd.DataFrame, by: str, a: str = "", b: str = "") -> dict[str, np.ndarray]:
    """Rows of the emitters of each group, the largest group first.

    Parameters
    ----------
    table : DataFrame
        ``id``, ``callsign``, ``emitter_kind``, ``cluster``, ``source``, ``freq_hz``.
    by : str
        One of `GROUPINGS`. With ``ab`` an emitter belongs to A or to B if one of the words of that search (separated
        by spaces or commas; `*` stands for any text) is in its identity, call sign, kind, cluster or source; who is in
        both is in A, and an empty B is everybody else.
    a, b : str

    Raises
    ------
    ValueError
        An unknown grouping.

    Examples
    --------
    >>> table = pd.DataFrame({"id": ["x1", "y1"], "callsign": "", "emitter_kind": "ship", "cluster": "", "source": "s",
    ...                       "freq_hz": 1e9})
    >>> {name: rows.tolist() for name, rows in groups_of(table, "ab", "x").items()}
    {'A: x': [0], 'B: all others': [1]}
    """
    if by not in GROUPINGS:
        raise ValueError(f"groups are by {by!r}; one of {', '.join(GROUPINGS)} is needed")
    if by == "ab":
        columns = ("id", "callsign", "emitter_kind", "cluster", "source")
        text = ["\n".join(str(v) for v in row).lower() for row in zip(*(table[c] for c in columns), strict=True)]
        in_a = _matching(text, a)
        in_b = ~in_a if not b.strip() else _matching(text, b) & ~in_a
        return {f"A: {a.strip() or 'nobody'}": np.flatnonzero(in_a),
                f"B: {b.strip() or 'all others'}": np.flatnonzero(in_b)}  # fmt: skip
    if by == "frequency":
        keys = np.array([f"{f / 1e6:.6g} MHz" for f in table["freq_hz"].to_numpy(dtype=float)], dtype=object)
    else:
        column = table["emitter_kind" if by == "kind" else by]
        keys = np.array([str(v) if isinstance(v, str) and v else f"no {by}" for v in column], dtype=object)
    names, counts = np.unique(keys.astype(str), return_counts=True)
    order = np.lexsort((names, -counts))
    kept = names[order] if len(names) <= MAX_GROUPS + 1 else names[order][:MAX_GROUPS]
    out = {str(name): np.flatnonzero(keys == name) for name in kept}
    if len(names) > len(kept):
        out[f"{len(names) - len(kept)} others"] = np.flatnonzero(~np.isin(keys.astype(str), kept))
    return out


def _matching(texts: list[str], search: str) -> np.ndarray:
    words = [re.escape(word).replace(r"\*", ".*") for word in re.split(r"[\s,]+", search.strip().lower()) if word]
    if not words:
        return np.zeros(len(texts), dtype=bool)
    any_word = re.compile("|".join(words))
    return np.array([any_word.search(text) is not None for text in texts], dtype=bool)


def cell_areas_km2(grid: Grid) -> np.ndarray:
    """Area of the cells of each row on the mean sphere, km², (ny,)."""
    edges = np.radians(grid.lat_at(np.arange(grid.shape[0] + 1.0, dtype=np.float64) - 0.5))
    across = np.radians((grid.east - grid.west) / grid.shape[1])
    return np.asarray(EARTH_KM**2 * across * np.abs(np.diff(np.sin(edges))))


def dominance_of(
    names: list[str],
    members: list[int],
    power_dbm: np.ndarray,
    areas_km2: np.ndarray,
    contest: str,
    contested_db: float,
    weights: tuple[float, float, float],
) -> Dominance:
    """Strongest group, shares of area and bytes, from the groups' fields (groups, ny, nx), dBm, -inf for none."""
    best = power_dbm.argmax(axis=0)
    top = power_dbm.max(axis=0)
    nobody = np.isneginf(top)
    second = np.partition(power_dbm, -2, axis=0)[-2] if len(power_dbm) > 1 else np.full_like(top, -np.inf)
    with np.errstate(invalid="ignore"):
        contested = (top - second < contested_db) & ~nobody
        best = np.where(nobody, NOBODY, best)
        if contest == "ab" and len(power_dbm) == 2:
            signed = np.clip(np.nan_to_num(power_dbm[0] - power_dbm[1], nan=0.0), -SPAN_DB, SPAN_DB)
            levels = np.where(nobody, 0, 1 + np.rint((signed + SPAN_DB) / (2 * SPAN_DB) * 254))
        elif contest == "margin":
            lead = np.clip(np.nan_to_num(top - second, nan=0.0), 0.0, SPAN_DB)
            levels = np.where(nobody, 0, 1 + np.rint(lead / SPAN_DB * 254))
        elif contest == "score":
            known = np.where(np.isneginf(power_dbm), np.nan, power_dbm)
            levels = np.rint(255 * arbitration_score(known, weights=weights))
        else:
            levels = np.where(nobody, 0, np.where(contested, 255, best + 1))
    area = np.broadcast_to(areas_km2[:, None], top.shape)
    whole = float(area.sum())
    own = np.array([area[(best == k) & ~contested].sum() for k in range(len(names))])
    disputed = float(area[contested].sum())
    return Dominance(
        tuple(names), tuple(members), own / whole, own, disputed / whole, disputed, float(area[nobody].sum()) / whole,
        levels.astype(np.uint8), power_dbm.astype(np.float32),
    )  # fmt: skip
