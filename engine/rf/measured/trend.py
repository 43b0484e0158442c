"""The fitted field: log-distance law, offsets, and smooth clutter, seen through each receiver's noise floor.

The expected signal at a place is ``offset - 10 n log10(distance) + clutter``. The clutter, of the place
and the same for all receivers, is a sum of broad bumps on a lattice with penalised heights (process
convolution, Higdon 1998), the penalty estimated with them. What is a receiver's own is left to kriging.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from engine.rf.measured.floor import fit_floor, signal_sites
from engine.rf.measured.log_distance import LogDistanceFit, fit_law
from engine.rf.measured.records import Array, Records

BUMP_SPACING_M = 250.0
"""Spacing and width of the bumps, m."""

MAX_BUMPS = 400
"""Most bumps; a larger campaign gets a wider lattice."""

DECLUSTER_M = 100.0
"""Records of a receiver within one cell of this size count as one piece of shadowing, m."""

SHARED_PART = 0.65
"""First guess of the share of the residual variance that near neighbours have in common."""

ROUNDS = 5

FLOOR_QUANTILE = 0.05
NEAR_FLOOR_DB = 3.0
MIN_STRONG = 10
"""For the start alone: reports under this quantile of their chain and 3 dB more are taken as at the floor, and
receivers with fewer than ten above it as knowing nothing."""


@dataclass(frozen=True, eq=False)
class Trend:
    """Expected signal of every chain at every place, with floors.

    Attributes
    ----------
    law : LogDistanceFit
        Plain fit that this began from.
    exponent : float
        Path-loss exponent of the fitted field.
    offset_db : ndarray, shape (chains,)
        By chain, dB.
    floor_db, error_db : ndarray, shape (chains,)
        Noise floor and standard deviation of a report's own error, dB.
    bumps_m : ndarray, shape (k, 2)
        East and north of the bumps' middles, m.
    width_m : float
    clutter_db : ndarray, shape (k,)
        Heights of the bumps, dB.
    variance_db2 : float
        Variance of the signal around the fitted field, dB².
    """

    law: LogDistanceFit
    exponent: float
    offset_db: Array
    floor_db: Array
    error_db: Array
    bumps_m: Array
    width_m: float
    clutter_db: Array
    variance_db2: float

    def signal_db(self, chain: NDArray[np.int64] | int, east_m: Array, north_m: Array, distance_m: Array) -> Array:
        """Expected signal of senders at places as heard by a chain, dB on its scale, noise floor not included."""
        clutter = bump_values(self.bumps_m, self.width_m, east_m, north_m) @ self.clutter_db
        return np.asarray(self.offset_db[chain] - 10.0 * self.exponent * np.log10(distance_m) + clutter)

    def of_records(self, records: Records) -> Array:
        """Expected signal of each record, dB."""
        values, place = _design(records, self.bumps_m, self.width_m)
        law = self.offset_db[records.chain] - 10.0 * self.exponent * np.log10(records.distance_m)
        return np.asarray(law + (values @ self.clutter_db)[place])

    def sites(self, records: Records, mean_db: Array, variance_db2: float) -> tuple[Array, Array]:
        """Level (dB) and variance (dB²) of the signal that each report amounts to, given what was expected."""
        variance = np.full(records.size, variance_db2)
        level, noise = np.empty(records.size), np.empty(records.size)
        chain = records.chain
        signal_sites(
            records.rssi_db, records.heard, self.floor_db[chain], self.error_db[chain], mean_db, variance, level, noise
        )
        return level, noise


def bump_values(bumps_m: Array, width_m: float, east_m: Array, north_m: Array) -> Array:
    """Height of each unit bump at each place, shape (places, bumps)."""
    squared = (east_m[:, None] - bumps_m[:, 0]) ** 2 + (north_m[:, None] - bumps_m[:, 1]) ** 2
    return np.asarray(np.exp(-0.5 * squared / width_m**2))


def fit_trend(records: Records) -> Trend:
    """Fit the field to records; noise floors, offsets, exponent, clutter and their penalties together.

    Raises
    ------
    ValueError
        As `fit_law`.
    """
    law, start = fit_law(records), _law_above_floor(records)
    n_chains = len(records.chains)
    bumps, width = _lattice(records)
    known = np.array([start.offset_db.get(name, np.nan) for name in records.receivers])
    offset = np.nan_to_num(known, nan=float(np.nanmean(known)))[records.chain_receiver]
    trend = Trend(
        law, start.exponent, offset, np.full(n_chains, -np.inf), np.ones(n_chains), bumps, width,
        np.zeros(len(bumps)), max(start.sigma_db**2, 0.01),
    )  # fmt: skip
    penalties = np.array([9.0, 9.0])
    crowd, design = _crowd(records), _design(records, bumps, width)
    mean = trend.of_records(records)
    for round_ in range(ROUNDS):
        if round_ in (0, ROUNDS - 1):
            variance = np.full(records.size, trend.variance_db2)
            floor, error = fit_floor(records.rssi_db, records.heard, mean, variance, records.chain, n_chains)
            trend = replace(trend, floor_db=floor, error_db=error)
        level, noise = trend.sites(records, mean, trend.variance_db2)
        trend, penalties, mean = _solve(trend, records, design, level, noise, crowd, penalties)
    return trend


def _law_above_floor(records: Records) -> LogDistanceFit:
    """The law with what is near a chain's weakest reports taken as censored: a start the floor does not bend."""
    limit = np.full(len(records.chains), -np.inf)
    for chain in np.unique(records.chain):
        limit[chain] = np.quantile(records.rssi_db[records.chain == chain], FLOOR_QUANTILE) + NEAR_FLOOR_DB
    limit = limit[records.chain]
    heard = records.heard & (records.rssi_db > limit)
    strong = np.bincount(records.receiver, heard, len(records.receivers)) >= MIN_STRONG
    keep = strong[records.receiver]
    if not keep.any():
        return fit_law(records)
    cut = replace(records, heard=heard, rssi_db=np.where(heard | ~records.heard, records.rssi_db, limit))
    return fit_law(cut.subset(keep))


def _lattice(records: Records) -> tuple[Array, float]:
    """Middles of bumps near records, and their spacing, which is their width."""
    at = np.column_stack([records.east_m, records.north_m])
    spacing = BUMP_SPACING_M
    while True:
        cells = np.unique(np.round(at / spacing).astype(np.int64), axis=0)
        if len(cells) <= MAX_BUMPS:
            return cells.astype(np.float64) * spacing, spacing
        spacing *= 1.25


def _design(records: Records, bumps: Array, width: float) -> tuple[Array, np.ndarray]:
    """Bump values at each distinct place, and the place of each record: one place is heard by many receivers."""
    places, where = np.unique(np.column_stack([records.east_m, records.north_m]), axis=0, return_inverse=True)
    return bump_values(bumps, width, places[:, 0], places[:, 1]), where.ravel()


def _crowd(records: Records) -> Array:
    """Records of the same receiver in the same cell, for each record."""
    cell = np.floor(np.column_stack([records.east_m, records.north_m]) / DECLUSTER_M).astype(np.int64)
    _, where, count = np.unique(
        np.column_stack([records.receiver, cell]), axis=0, return_inverse=True, return_counts=True
    )
    return np.asarray(count[where.ravel()], dtype=np.float64)


def _solve(
    trend: Trend,
    records: Records,
    design: tuple[Array, np.ndarray],
    level: Array,
    noise: Array,
    crowd: Array,
    penalties: Array,
) -> tuple[Trend, Array, Array]:
    """Penalised least squares, offsets eliminated; then one step of EM on penalties and variance.

    Shared unknowns: exponent, heights of bumps. Own: offset of each receiver, deviations of its chains.
    Also returned are the new penalties (variance of heights and of chains) and the signal expected of
    each record.
    """
    bumps = len(trend.bumps_m)
    shared_matrix = np.diag(np.append(1e-6, np.full(bumps, 1.0 / penalties[0])))
    shared_right = np.zeros(1 + bumps)
    weight = 1.0 / (trend.variance_db2 * (SHARED_PART * crowd + 1.0 - SHARED_PART) + noise)
    blocks = []
    for r in np.unique(records.receiver):
        mine = records.receiver == r
        chains = np.flatnonzero(records.chain_receiver == r)
        w = weight[mine]
        shared = np.column_stack([-10.0 * np.log10(records.distance_m[mine]), design[0][design[1][mine]]])
        own = np.column_stack([np.ones(w.size), records.chain[mine][:, None] == chains])
        weighted = own * w[:, None]
        inverse = np.linalg.inv(weighted.T @ own + np.diag(np.append(1e-6, np.full(chains.size, 1.0 / penalties[1]))))
        cross, right = weighted.T @ shared, weighted.T @ level[mine]
        shared_matrix += (shared * w[:, None]).T @ shared - cross.T @ inverse @ cross
        shared_right += (shared * w[:, None]).T @ level[mine] - cross.T @ inverse @ right
        blocks.append((chains, inverse, cross, right))
    covariance = np.linalg.inv(shared_matrix)
    solution = covariance @ shared_right
    offset, chain_squares = trend.offset_db.copy(), []
    for chains, inverse, cross, right in blocks:
        values = inverse @ (right - cross @ solution)
        gain = inverse @ cross
        spread = np.diag(inverse) + np.sum((gain @ covariance) * gain, axis=1)
        offset[chains] = values[0] + values[1:]
        chain_squares.append(values[1:] ** 2 + spread[1:])
    bump_squares = solution[1:] ** 2 + np.diag(covariance)[1:]
    penalties = np.maximum([np.mean(bump_squares), np.mean(np.concatenate(chain_squares))], 1e-4)
    mean = offset[records.chain] - 10.0 * float(solution[0]) * np.log10(records.distance_m)
    mean += (design[0] @ solution[1:])[design[1]]
    # expected square given each report: what a weak one leaves open counts with the variance so far
    left = 1.0 / (1.0 / trend.variance_db2 + 1.0 / noise)
    variance = float(np.mean((left / noise * (level - mean)) ** 2 + left))
    fitted = replace(
        trend, exponent=float(solution[0]), offset_db=offset, clutter_db=solution[1:], variance_db2=max(variance, 0.01)
    )
    return fitted, penalties, mean
