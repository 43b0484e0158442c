"""Exchange-point heat (C6): load near known internet exchange points, and where it is more than chance allows.

The list of exchange points is given; this module reads no file. A load is an event with a position, with its bytes
where the payload tells.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import pandas as pd
import pyarrow.compute as pc
import xarray as xr
from numpy.typing import ArrayLike
from scipy.spatial import cKDTree
from scipy.stats import nbinom

from engine.drift.batch import EventBatch
from engine.drift.clusters import ClusterMonitor
from engine.drift.metric import Limit, Transition
from engine.drift.sphere import EARTH_RADIUS_KM, kernel_field, unit_vectors

STEP_S = 60.0
MINUTES = 60
"""Minutes before that a minute is held against."""

RADIUS_KM = 50.0
"""How near is near, km: positions of the list are those of cities."""


LEDGER = 8_192
"""Loads remembered with the cluster that caused them, for those that begin with `MARKED`."""

MARKED = "drill:"


class ExchangePoints:
    """Known exchange points, to be asked which one is near.

    Parameters
    ----------
    names : sequence of str
    lat, lon : array_like of float64, (n,)
        Degrees.

    Examples
    --------
    >>> points = ExchangePoints(["DE-CIX"], [50.11], [8.68])
    >>> points.nearest([50.0, 0.0], [8.7, 0.0], within_km=50.0).tolist()
    [0, -1]
    """

    def __init__(self, names: Sequence[str], lat: ArrayLike, lon: ArrayLike) -> None:
        self.names = list(names)
        self.lat, self.lon = np.asarray(lat, np.float64).ravel(), np.asarray(lon, np.float64).ravel()
        if not len(self.names) == len(self.lat) == len(self.lon):
            raise ValueError(
                f"{len(self.names)} names, {len(self.lat)} latitudes, {len(self.lon)} longitudes of points"
            )
        bad = ~((np.abs(self.lat) <= 90.0) & (np.abs(self.lon) <= 180.0))
        if bad.any():
            row = int(np.argmax(bad))
            raise ValueError(f"exchange point {self.names[row]!r} is at {self.lat[row]}, {self.lon[row]}: no position")
        self._tree = cKDTree(unit_vectors(self.lat, self.lon)) if self.names else None

    def nearest(self, lat: ArrayLike, lon: ArrayLike, within_km: float) -> np.ndarray:
        """Row of the nearest point of each position (n,), -1 where none is within reach or there is no position."""
        at, on = np.asarray(lat, np.float64).ravel(), np.asarray(lon, np.float64).ravel()
        out = np.full(len(at), -1, np.int64)
        told = np.flatnonzero(np.isfinite(at) & np.isfinite(on))
        if self._tree is None or not len(told):
            return out
        chord = 2.0 * math.sin(min(0.5 * within_km / EARTH_RADIUS_KM, 0.5 * math.pi))
        _, row = self._tree.query(unit_vectors(at[told], on[told]), distance_upper_bound=chord)
        out[told] = np.where(row < len(self.names), row, -1)
        return out


def heat_surprise(load: float, past: ArrayLike) -> float:
    """−log10 of the chance of as many events in a minute, after those of the minutes before.

    The predictive distribution of a Poisson count whose rate is known from `past` alone (Jeffreys' prior) is negative
    binomial; real traffic is burstier, which the past's own spread takes into account: its variance over its mean
    divides the counts.

    Parameters
    ----------
    load : float
        Events in the minute.
    past : array_like of float, (m,)
        Events in each of the minutes before.

    Returns
    -------
    float
        At least 0, at most 300.

    Examples
    --------
    >>> heat_surprise(10, [10] * 30) < 1, heat_surprise(60, [10] * 30) > 6
    (True, True)

    References
    ----------
    Aitchison and Dunsmore, Statistical prediction analysis, 1975, table 2.1.
    """
    before = np.asarray(past, np.float64).ravel()
    if not len(before):
        return 0.0
    mean = float(before.mean())
    spread = max(float(before.var(ddof=1)) / mean, 1.0) if len(before) > 1 and mean > 0.0 else 1.0
    shape = float(before.sum()) / spread + 0.5
    p = float(nbinom.sf(math.ceil(load / spread) - 1, shape, len(before) / (len(before) + 1.0)))
    return min(max(-math.log10(max(p, 1e-300)), 0.0), 300.0)


class ExchangeMonitor(ClusterMonitor):
    """Load near every known exchange point, minute by minute, over the last hour.

    A network event (``net.…``) counts for the nearest point within `radius_km` of its own position, and of its
    destination's where the payload has ``dest_lat`` and ``dest_lon``. The number held against the limit is
    `heat_surprise` of the last minute.

    Parameters
    ----------
    points : ExchangePoints, optional
        Without any, nothing is near anything.
    radius_km : float
    limit : Limit, optional
    """

    name: ClassVar[str] = "exchange"
    default_limit: ClassVar[Limit] = Limit(7.0, 3.0, min_n=10, raise_after=1, clear_after=3)

    def __init__(
        self, points: ExchangePoints | None = None, radius_km: float = RADIUS_KM, limit: Limit | None = None
    ) -> None:
        self.points = ExchangePoints([], [], []) if points is None else points
        super().__init__(STEP_S, STEP_S * (MINUTES + 1), limit, max(len(self.points.names), 1))
        self.radius_km = radius_km
        self._loads = np.zeros((self.max_clusters, MINUTES + 1))
        self._bytes = np.zeros((self.max_clusters, MINUTES + 1))
        # Of the clusters of drills, so that what they brought can be taken away again.
        self._ledger: deque[tuple[str, int, int, float]] = deque(maxlen=LEDGER)
        self._minute: int | None = None
        self._first: int | None = None
        for name in self.points.names:
            self._slot_of(name)

    def heat(self) -> pd.DataFrame:
        """Load of every point: name, lat, lon, events and bytes of the last whole minute, surprise, state."""
        last = -1 if self._minute is None else (self._minute - 1) % (MINUTES + 1)
        rows = []
        for i, name in enumerate(self.points.names):
            metric = self._metrics.get(self._slots.get(name, -1))
            rows.append(
                {
                    "name": name, "lat": self.points.lat[i], "lon": self.points.lon[i],
                    "events_per_min": self._loads[i, last] if last >= 0 else 0.0,
                    "bytes_per_min": self._bytes[i, last] if last >= 0 else 0.0,
                    "surprise": metric.value if metric else 0.0, "state": metric.state if metric else "insufficient",
                }
            )  # fmt: skip
        return pd.DataFrame(
            rows, columns=["name", "lat", "lon", "events_per_min", "bytes_per_min", "surprise", "state"]
        )

    def field(self, grid_lat: ArrayLike, grid_lon: ArrayLike) -> xr.DataArray:
        """The heat over the map: each point's share of the greatest load, spread by `radius_km`; unit 1."""
        heat = self.heat()
        share = heat["events_per_min"] / max(float(heat["events_per_min"].max()) if len(heat) else 0.0, 1.0)
        values = kernel_field(grid_lat, grid_lon, heat["lat"], heat["lon"], share, 0.5 * self.radius_km)
        attrs = {
            "units": "1", "long_name": "exchange-point heat",
            "definition": "1 - prod(1 - share exp(-d^2 / 2 r^2)); share: events of the last minute over the greatest",
        }  # fmt: skip
        rows, columns = np.asarray(grid_lat, np.float64).ravel(), np.asarray(grid_lon, np.float64).ravel()
        return xr.DataArray(values, {"lat": rows, "lon": columns}, ("lat", "lon"), "exchange_heat", attrs)

    def _columns(self, events: EventBatch) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        lat, lon = (events.table[name].to_numpy().astype(np.float64) for name in ("lat", "lon"))
        fields = {"dest_lat": float, "dest_lon": float, "bytes_to_server": float, "bytes_to_client": float}
        network = pc.starts_with(events.table["kind"], "net.").to_numpy(zero_copy_only=False)
        placed = np.flatnonzero(network & np.isfinite(lat) if not events.has(fields) else network)
        if not self.points.names or not len(placed):
            return np.empty(0, np.int64), dict.fromkeys(("point", "bytes", "cluster"), np.empty(0, np.int64))
        payload = events.payload(fields, placed)
        codes, self._cluster_names = events.clusters()
        start = self.points.nearest(lat[placed], lon[placed], self.radius_km)
        end = self.points.nearest(payload["dest_lat"], payload["dest_lon"], self.radius_km)
        size = np.nan_to_num(payload["bytes_to_server"]) + np.nan_to_num(payload["bytes_to_client"])
        end = np.where(end == start, -1, end)  # a lane within one place loads it once
        rows = np.concatenate([placed, placed])
        point, amount = np.concatenate([start, end]), np.concatenate([size, size])
        order = np.argsort(rows, kind="stable")
        order = order[point[order] >= 0]
        return rows[order], {"point": point[order], "bytes": amount[order], "cluster": codes[rows[order]]}

    def _fold(self, time_s: np.ndarray, columns: dict[str, np.ndarray]) -> None:
        minute = np.floor(time_s / STEP_S).astype(np.int64)
        self._advance(int(minute.max()))
        assert self._minute is not None
        held = minute > self._minute - MINUTES - 1
        place = columns["point"][held], minute[held] % (MINUTES + 1)
        np.add.at(self._loads, place, 1.0)
        np.add.at(self._bytes, place, columns["bytes"][held])
        marked = [i for i, name in enumerate(self._cluster_names) if name.startswith(MARKED)]
        for row in np.flatnonzero(held & np.isin(columns["cluster"], marked)).tolist() if marked else ():
            name, size = self._cluster_names[columns["cluster"][row]], float(columns["bytes"][row])
            self._ledger.append((name, int(columns["point"][row]), int(minute[row]), size))

    def _look(self, at_s: float) -> list[Transition]:
        now = round(at_s / STEP_S)
        self._advance(now)
        assert self._first is not None
        found: list[Transition] = []
        past = min(now - 1 - self._first, MINUTES - 1)
        if past < 1:
            return found
        columns = np.arange(now - 1 - past, now - 1) % (MINUTES + 1)
        loads, before = self._loads[:, (now - 1) % (MINUTES + 1)], self._loads[:, columns]
        busy = np.flatnonzero((loads > 0.0) | (before.sum(axis=1) > 0.0))
        for slot in sorted({*busy.tolist(), *self._metrics}):
            n = int(loads[slot] + before[slot].sum())
            value = heat_surprise(float(loads[slot]), before[slot]) if past >= 10 else 0.0
            place = (float(self.points.lat[slot]), float(self.points.lon[slot]))
            found += self._judge(slot, at_s, value, n if past >= 10 else 0, place=place)
        return found

    def _advance(self, minute: int) -> None:
        if self._minute is None:
            self._minute = self._first = minute
        elif minute > self._minute:
            gone = np.arange(self._minute + 1, min(minute, self._minute + MINUTES + 1) + 1) % (MINUTES + 1)
            self._loads[:, gone] = self._bytes[:, gone] = 0.0
            self._minute = minute

    def _forget_slot(self, slot: int) -> None:
        self._loads[slot] = self._bytes[slot] = 0.0

    def _forget_prefix(self, prefix: str) -> list[Transition]:
        oldest = -math.inf if self._minute is None else self._minute - MINUTES
        for entry in [entry for entry in self._ledger if entry[0].startswith(prefix)]:
            _, point, minute, size = entry
            if minute >= oldest:
                self._loads[point, minute % (MINUTES + 1)] -= 1.0
                self._bytes[point, minute % (MINUTES + 1)] -= size
            self._ledger.remove(entry)
        return []
