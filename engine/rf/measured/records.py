"""Measurements of received power as plain arrays in local metres: checked once, where they enter.

One end of every link is fixed (called the receiver, whichever way the power went), the other one was
carried about. This module must not know models of the field.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from engine.geo import local_offset_m

Array = NDArray[np.float64]

NEEDED = ("receiver", "lat", "lon", "receiver_lat", "receiver_lon", "rssi_db")
"""Columns a table of measurements must have."""

MIN_DISTANCE_M = 1.0
"""Floor under distances, m: the reference distance of the log-distance law."""

MAX_EXTENT_M = 100_000.0
"""Widest campaign that one tangent plane serves, m."""


@dataclass(frozen=True, eq=False)
class Records:
    """Measurements in the plane tangent at their middle.

    Attributes
    ----------
    origin : (float, float)
        Latitude and longitude of the plane's origin, degrees.
    east_m, north_m : ndarray, shape (n,)
        Carried end of each link, m.
    rssi_db : ndarray, shape (n,)
        Received power on each receiver's own scale, dB; the limit where not heard.
    heard : ndarray of bool, shape (n,)
        False: the power was below `rssi_db`, how far is not known.
    distance_m : ndarray, shape (n,)
        Horizontal distance between the two ends, m, at least `MIN_DISTANCE_M`.
    receiver : ndarray of int, shape (n,)
        Index into `receivers`.
    chain : ndarray of int, shape (n,)
        Index into `chains`.
    receivers : list of str
    chains : list of (str, str)
        Receiver and session: within one, gain and noise floor are taken as constant.
    """

    origin: tuple[float, float]
    east_m: Array
    north_m: Array
    rssi_db: Array
    heard: NDArray[np.bool_]
    distance_m: Array
    receiver: NDArray[np.int64]
    chain: NDArray[np.int64]
    receivers: list[str]
    chains: list[tuple[str, str]]
    receiver_east_m: Array
    receiver_north_m: Array

    @property
    def size(self) -> int:
        """Number of records."""
        return int(self.rssi_db.size)

    @cached_property
    def chain_receiver(self) -> NDArray[np.int64]:
        """Receiver of each chain."""
        return np.array([self.receivers.index(name) for name, _ in self.chains], dtype=np.int64)

    def subset(self, keep: NDArray[np.bool_]) -> Records:
        """Those of the records that are kept; receivers and chains keep their numbers."""
        return self.at(np.flatnonzero(keep))

    def at(self, keep: NDArray[np.int64]) -> Records:
        """Some of the records by number, also more than once; receivers and chains keep their numbers."""
        per_record = {
            name: getattr(self, name)[keep]
            for name in ("east_m", "north_m", "rssi_db", "heard", "distance_m", "receiver", "chain",
                         "receiver_east_m", "receiver_north_m")
        }  # fmt: skip
        return Records(self.origin, receivers=self.receivers, chains=self.chains, **per_record)

    def fixed_position(self, receiver: int) -> tuple[float, float]:
        """Position of a receiver that does not move, m in the plane.

        Raises
        ------
        ValueError
            If it moves: then there is no one field of it.
        """
        mine = self.receiver == receiver
        east, north = self.receiver_east_m[mine], self.receiver_north_m[mine]
        if np.ptp(east) > 1.0 or np.ptp(north) > 1.0:
            raise ValueError(
                f"receiver {self.receivers[receiver]!r} moves over {np.hypot(np.ptp(east), np.ptp(north)):.0f} m; "
                "a field is measured against a fixed receiver"
            )
        return float(east[0]), float(north[0])


def checked_records(measurements: pd.DataFrame) -> Records:
    """Plain arrays of a table of measurements.

    Parameters
    ----------
    measurements : pandas.DataFrame
        Columns `receiver`, `lat`, `lon`, `receiver_lat`, `receiver_lon` (degrees), `rssi_db`; optionally
        `heard` (bool) and `session` (text).

    Raises
    ------
    ValueError
        Missing columns, no rows, values that are not finite or out of range, a campaign wider than
        `MAX_EXTENT_M`.
    """
    missing = [name for name in NEEDED if name not in measurements]
    if missing:
        raise ValueError(f"measurements lack the columns {missing}; needed are {list(NEEDED)}")
    if measurements.empty:
        raise ValueError("measurements have no rows; at least two heard records are needed")
    values = {name: _finite(measurements, name) for name in NEEDED[1:]}
    for name, limit in (("lat", 90.0), ("receiver_lat", 90.0), ("lon", 360.0), ("receiver_lon", 360.0)):
        if (worst := np.abs(values[name]).max()) > limit:
            raise ValueError(f"{name} reaches {worst} degrees; it must lie within ±{limit:g}")
    heard = measurements["heard"].to_numpy(dtype=bool) if "heard" in measurements else np.ones(len(measurements), bool)
    origin = float(np.median(values["lat"])), float(np.median(values["lon"]))
    east, north = local_offset_m(*origin, values["lat"], values["lon"])
    receiver_east, receiver_north = local_offset_m(*origin, values["receiver_lat"], values["receiver_lon"])
    if (extent := max(np.abs(part).max() for part in (east, north, receiver_east, receiver_north))) > MAX_EXTENT_M:
        raise ValueError(f"a position lies {extent:.0f} m from the middle; one plane serves {MAX_EXTENT_M:.0f} m")
    distance = np.maximum(np.hypot(east - receiver_east, north - receiver_north), MIN_DISTANCE_M)
    names = measurements["receiver"].astype(str)
    sessions = measurements["session"].astype(str) if "session" in measurements else pd.Series("", names.index)
    receiver, receivers = pd.factorize(names, sort=True)
    chain, chains = pd.factorize(pd.MultiIndex.from_arrays([names, sessions]), sort=True)
    return Records(
        origin, east, north, values["rssi_db"], heard, distance, receiver.astype(np.int64), chain.astype(np.int64),
        [str(name) for name in receivers], [(str(a), str(b)) for a, b in chains], receiver_east, receiver_north,
    )  # fmt: skip


def _finite(table: pd.DataFrame, name: str) -> Array:
    values = table[name].to_numpy(dtype=np.float64, na_value=np.nan)
    bad = ~np.isfinite(values)
    if bad.any():
        raise ValueError(
            f"{name} is not a finite number in {bad.sum()} of {len(values)} rows, first in row {bad.argmax()}"
        )
    return values
