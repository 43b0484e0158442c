"""Phantom exchange point (C7): a place where paths of three or more clusters cross and no exchange point is known.

A path is the great circle between the two positions of an event. Paths cross somewhere by chance; what counts is that
more of them pass one small place than that chance allows. The list of known points is given.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from scipy.special import bdtrc

from engine.drift.batch import EventBatch
from engine.drift.clusters import ClusterMonitor
from engine.drift.exchange import ExchangePoints
from engine.drift.metric import Limit, Transition
from engine.drift.sphere import EARTH_RADIUS_KM, distance_km, lat_lon, unit_vectors

STEP_S = 7.5
WINDOW_S = 300.0

MAX_PATHS = 120
"""Different paths looked at; of more the latest. Their pairs bound the time of a look."""

RADIUS_KM = 12.0
"""Paths that pass within this of a place meet there, km."""

KNOWN_KM = 60.0
"""No known exchange point may lie within this, km; positions of the list are those of cities."""

MIN_CLUSTERS = 3
"""Clusters whose paths must meet (asked for)."""

APART = 8.0
"""Places nearer to each other than this many radii are one: beside a place where paths meet they are still dense."""

MOST_OF_ONE = 4
"""Different paths of one cluster that count at one place, so that none makes a place alone."""

_PLACES = 24  # crowded places that are looked at closely
_SAMPLES = 12  # points along each path from which the chance of a passing path is taken


@dataclass(frozen=True, slots=True)
class Convergence:
    """A place where paths meet.

    Attributes
    ----------
    lat, lon : float
        The point nearest to all of them in the sense of least squares, degrees.
    surprise : float
        −log10 of the expected number of such places by chance.
    clusters : tuple of (str, int)
        Whose paths, and how many different ones of each, most first.
    paths : int
        Different paths in the window.
    spread_km : float
        Root mean square distance of the paths from the place, km.
    """

    lat: float
    lon: float
    surprise: float
    clusters: tuple[tuple[str, int], ...]
    paths: int
    spread_km: float


def convergences(
    start: np.ndarray, end: np.ndarray, cluster: list[str], radius_km: float = RADIUS_KM,
    min_clusters: int = MIN_CLUSTERS,
) -> list[Convergence]:  # fmt: skip
    """Places where paths of several clusters meet, the most surprising first, none within `APART` radii of another.

    Paths of one cluster that run along the same great circle count as one. A path that begins or ends at the place
    does not pass it: where all go to one host is a service, no exchange.

    Parameters
    ----------
    start, end : ndarray of float64, (n, 3)
        Unit vectors of both ends of each path.
    cluster : list of n str
    radius_km : float
    min_clusters : int

    Returns
    -------
    list of Convergence

    References
    ----------
    The point x nearest to great circles with poles p is the eigenvector of Σ p pᵀ with the least eigenvalue: Watson,
    Equatorial distributions on a sphere, Biometrika 52, 1965.
    """
    poles = np.cross(start, end)
    length = np.linalg.norm(poles, axis=1)
    usable = np.flatnonzero((length > 1e-6) & (distance_km(start, end) > 4.0 * radius_km))
    poles = poles[usable] / length[usable, None]
    names, code = np.unique(np.array(cluster, dtype=object)[usable].astype(str), return_inverse=True)
    rows = _different(poles, code, radius_km / EARTH_RADIUS_KM)
    keep = usable[rows]
    poles, a, b, code = poles[rows], start[keep], end[keep], code[rows]
    if len(np.unique(code)) < min_clusters:
        return []
    spots = _crossings(poles, a, b, code, radius_km)
    if not len(spots):
        return []
    chance = _chance(poles, a, b, spots[0], radius_km)
    found: list[Convergence] = []
    for point, near in _settled(spots, poles, a, b, radius_km):
        counts = {int(c): int(k) for c, k in zip(*np.unique(code[near], return_counts=True), strict=True)}
        if len(counts) < min_clusters:
            continue
        surprise = _surprise(counts, code, chance)
        spread = float(np.sqrt(np.mean((poles[near] @ point) ** 2)) * EARTH_RADIUS_KM)
        lat, lon = lat_lon(point[None, :])
        who = sorted(((str(names[c]), int(k)) for c, k in counts.items()), key=lambda pair: (-pair[1], pair[0]))
        found.append(Convergence(float(lat[0]), float(lon[0]), surprise, tuple(who), len(poles), spread))
    found.sort(key=lambda c: -c.surprise)
    out: list[Convergence] = []
    for candidate in found:
        here = unit_vectors(candidate.lat, candidate.lon)[0]
        if all(distance_km(here, unit_vectors(o.lat, o.lon)[0]) > APART * radius_km for o in out):
            out.append(candidate)
    return out


def _different(poles: np.ndarray, cluster: np.ndarray, angle: float) -> np.ndarray:
    """Rows of the newest path along each great circle of each cluster; of too many the newest."""
    # A great circle has two poles; the one on a fixed side stands for both. Circles whose poles fall into one cell of
    # the width `angle` are the same.
    side = np.sign(poles @ np.array([0.3, 0.5, 0.8]))
    cell = np.floor(poles * np.where(side < 0.0, -1.0, 1.0)[:, None] / angle).astype(np.int64)
    keys = np.column_stack([cluster, cell])[::-1]
    _, newest = np.unique(keys, axis=0, return_index=True)
    return np.sort(len(poles) - 1 - newest)[-MAX_PATHS:]


def _within(points: np.ndarray, a: np.ndarray, b: np.ndarray, end_km: float) -> np.ndarray:
    """Whether each point lies between the ends of each path, and away from both: (points, paths)."""
    # By cosines: near is great, far is small.
    whole, end = (a * b).sum(axis=1), math.cos(end_km / EARTH_RADIUS_KM)
    to_a, to_b = points @ a.T, points @ b.T
    return (to_a < end) & (to_b < end) & (to_a > whole) & (to_b > whole)


def _crossings(poles: np.ndarray, a: np.ndarray, b: np.ndarray, code: np.ndarray, radius_km: float) -> np.ndarray:
    """Centres of the most crowded places of crossings of paths of different clusters, (k, 3)."""
    i, j = np.triu_indices(len(poles), 1)
    other = code[i] != code[j]
    i, j = i[other], j[other]
    cross = np.cross(poles[i], poles[j])
    length = np.linalg.norm(cross, axis=1)
    told = length > 1e-3  # nearly the same circle crosses nowhere in particular
    i, j, point = i[told], j[told], cross[told] / length[told, None]
    middle = a[i] + b[i]
    point = point * np.where((point * middle).sum(axis=1) < 0.0, -1.0, 1.0)[:, None]
    inside, whole, end = np.ones(len(point), bool), (a * b).sum(axis=1), math.cos(2.0 * radius_km / EARTH_RADIUS_KM)
    for row in (i, j):
        to_a, to_b = ((point * ends[row]).sum(axis=1) for ends in (a, b))
        inside &= (to_a < end) & (to_b < end) & (to_a > whole[row]) & (to_b > whole[row])
    point = point[inside]
    if not len(point):
        return point
    # Two lattices, the second shifted by half a cell: no place is cut in all of them.
    spots = []
    for shift in (0.0, 0.5):
        cell = np.floor(point * (0.5 * EARTH_RADIUS_KM / radius_km) + shift).astype(np.int64)
        _, first, inverse, count = np.unique(cell, axis=0, return_index=True, return_inverse=True, return_counts=True)
        del first
        best = np.argsort(-count, kind="stable")[: _PLACES // 2]
        sums = np.zeros((len(count), 3))
        np.add.at(sums, inverse.ravel(), point)
        spots.append(sums[best] / np.linalg.norm(sums[best], axis=1)[:, None])
    return np.concatenate(spots)


def _chance(poles: np.ndarray, a: np.ndarray, b: np.ndarray, spot: np.ndarray, radius_km: float) -> float:
    """Chance that a path passes a place on another path by chance, from points along all paths."""
    steps = np.linspace(0.15, 0.85, _SAMPLES)
    points = (a[:, None, :] * (1.0 - steps)[None, :, None] + b[:, None, :] * steps[None, :, None]).reshape(-1, 3)
    points = points / np.linalg.norm(points, axis=1)[:, None]
    owner = np.repeat(np.arange(len(poles)), _SAMPLES)
    away = distance_km(points, spot) > 4.0 * radius_km  # where many meet is not what chance is taken from
    points, owner = points[away], owner[away]
    if not len(points):
        return 1.0
    if len(points) > 300:
        pick = np.linspace(0, len(points) - 1, 300).astype(np.int64)
        points, owner = points[pick], owner[pick]
    near = np.abs(points @ poles.T) < math.sin(radius_km / EARTH_RADIUS_KM)
    near &= _within(points, a, b, 2.0 * radius_km)
    near[np.arange(len(points)), owner] = False
    return float((near.sum() + 1.0) / (near.size + 1.0))


def _settled(
    spots: np.ndarray, poles: np.ndarray, a: np.ndarray, b: np.ndarray, radius_km: float
) -> list[tuple[np.ndarray, np.ndarray]]:
    """The place near each spot that is nearest to the paths there, and the rows of these; lone spots are left out."""
    points, near = spots, np.empty((len(spots), 0), bool)
    for _ in range(4):
        off = np.abs(points @ poles.T) * (EARTH_RADIUS_KM / radius_km)
        near = (off < 1.0) & _within(points, a, b, 2.0 * radius_km)
        crowded = near.sum(axis=1) >= 2
        points, near, off = points[crowded], near[crowded], off[crowded]
        weight = np.where(near, (1.0 - off**2) ** 2, 0.0)  # Tukey's: a path that passes far off pulls little
        moments = np.einsum("kn,ni,nj->kij", weight, poles, poles)
        moved = np.linalg.eigh(moments)[1][:, :, 0]
        points = np.where((moved * points).sum(axis=1) > 0.0, 1.0, -1.0)[:, None] * moved
    return [(point, np.flatnonzero(row)) for point, row in zip(points, near, strict=True)]


def _surprise(counts: dict[int, int], code: np.ndarray, chance: float) -> float:
    """−log10 of the expected number of places with so many paths, by cluster, where each passes with `chance`."""
    hits = sum(min(k, MOST_OF_ONE) for k in counts.values())
    trials = len(code)
    # Two of the paths make the place; the others pass it by chance. Pairs of paths are the places looked at.
    places = max(trials * (trials - 1) / 2.0 * chance, 1.0)
    p = float(bdtrc(hits - 3, max(trials - 2, 1), chance)) if hits > 2 else 1.0
    return min(max(-math.log10(max(p * places, 1e-300)), 0.0), 300.0)


class PhantomMonitor(ClusterMonitor):
    """Places where paths of several clusters meet and no exchange point is known, over the last five minutes.

    A path is an event with a position and ``dest_lat``, ``dest_lon`` in its payload. The number is the surprise of the
    place; an alarm is about the place, named by its position.

    Parameters
    ----------
    points : ExchangePoints, optional
        Known ones.
    known_km, radius_km : float
    limit : Limit, optional

    Attributes
    ----------
    places : dict of str to Convergence
        What was found at the last look, known points left out.
    """

    name: ClassVar[str] = "phantom"
    default_limit: ClassVar[Limit] = Limit(5.0, 3.0, min_n=6, raise_after=2, clear_after=4)

    def __init__(
        self, points: ExchangePoints | None = None, known_km: float = KNOWN_KM, radius_km: float = RADIUS_KM,
        limit: Limit | None = None,
    ) -> None:  # fmt: skip
        super().__init__(STEP_S, WINDOW_S, limit, 64)
        self.points = ExchangePoints([], [], []) if points is None else points
        self.known_km, self.radius_km = known_km, radius_km
        self.places: dict[str, Convergence] = {}
        self._paths: deque[tuple[float, str, np.ndarray, np.ndarray]] = deque(maxlen=8 * MAX_PATHS)

    def _columns(self, events: EventBatch) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        codes, self._cluster_names = events.clusters()
        lat, lon = (events.table[name].to_numpy().astype(np.float64) for name in ("lat", "lon"))
        placed = np.flatnonzero(np.isfinite(lat) & np.isfinite(lon))
        payload = events.payload({"dest_lat": float, "dest_lon": float}, placed) if len(placed) else {}
        if not payload:
            return placed, {"cluster": codes[placed], "start": np.empty((0, 3)), "end": np.empty((0, 3))}
        good = (np.abs(payload["dest_lat"]) <= 90.0) & (np.abs(payload["dest_lon"]) <= 180.0)
        rows = placed[good]
        return rows, {
            "cluster": codes[rows],
            "start": unit_vectors(lat[rows], lon[rows]),
            "end": unit_vectors(payload["dest_lat"][good], payload["dest_lon"][good]),
        }

    def _fold(self, time_s: np.ndarray, columns: dict[str, np.ndarray]) -> None:
        names = self._cluster_names
        rows = range(max(len(time_s) - (self._paths.maxlen or 0), 0), len(time_s))
        for row in rows:
            path = columns["start"][row], columns["end"][row]
            self._paths.append((float(time_s[row]), names[columns["cluster"][row]], *path))

    def _look(self, at_s: float) -> list[Transition]:
        held = [path for path in self._paths if at_s - WINDOW_S <= path[0] < at_s]
        found: list[Convergence] = []
        if len(held) >= self.limit.min_n:
            start, end = np.array([path[2] for path in held]), np.array([path[3] for path in held])
            found = convergences(start, end, [path[1] for path in held], self.radius_km)
            near = self.points.nearest([c.lat for c in found], [c.lon for c in found], self.known_km)
            # What chance makes every time is not worth a name.
            found = [c for c, row in zip(found, near.tolist(), strict=True) if row < 0 and c.surprise >= 1.0][:16]
        before, self.places = self.places, {}
        out: list[Transition] = []
        for place in found:
            name = self._name_of(place, before)
            if name in self.places:
                continue
            self.places[name] = place
            slot = self._slot_of(name)
            self._heard_s[slot] = at_s
            whole = sum(count for _, count in place.clusters)
            shares = tuple((cluster, count / whole) for cluster, count in place.clusters[:8])
            out += self._judge(
                slot, at_s, place.surprise, place.paths, responsible=shares, parts=shares, place=(place.lat, place.lon),
                label=f"{len(place.clusters)} clusters within {place.spread_km:.0f} km",
            )  # fmt: skip
        for name in [name for name in self._slots if name not in self.places]:
            slot = self._slots[name]
            out += self._judge(slot, at_s, 0.0, len(held))
            if not self._alarms[slot].raised:
                self._give_up(slot)
                self._free.append(slot)
            elif name in before:
                self.places[name] = before[name]  # still standing: a place that comes back is the same one
        return out

    def _name_of(self, place: Convergence, before: dict[str, Convergence]) -> str:
        here, near_km = unit_vectors(place.lat, place.lon)[0], 0.5 * APART * self.radius_km
        for name, other in before.items():
            if name in self._slots and distance_km(here, unit_vectors(other.lat, other.lon)[0]) < near_km:
                return name
        return f"place {place.lat:.2f} {place.lon:.2f}"

    def _forget_prefix(self, prefix: str) -> list[Transition]:
        self._paths = deque((p for p in self._paths if not p[1].startswith(prefix)), maxlen=self._paths.maxlen)
        out: list[Transition] = []
        for name, place in list(self.places.items()):
            if name in self._slots and any(cluster.startswith(prefix) for cluster, _ in place.clusters):
                slot = self._slots[name]
                metric, alarm = self._metrics.get(slot), self._alarms.get(slot)
                if metric is not None and alarm is not None and alarm.raised:
                    out.append(Transition(self.name, metric, self.clock_s, False, name))
                self._give_up(slot)
                self._free.append(slot)
                del self.places[name]
        return out

    def _forget_slot(self, slot: int) -> None:
        pass
