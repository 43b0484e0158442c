"""How good a measured field is: scored where nothing was measured, by spatial blocks.

Neighbouring measurements share their shadowing, so a score on records held out at random says how
well one interpolates between footsteps. Here whole squares are held out, of all receivers at once.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from engine.rf.measured.field import BAND, fit_records
from engine.rf.measured.log_distance import fit_law
from engine.rf.measured.records import Array, Records, checked_records

Z_BAND = 1.6448536269514722
"""95 % quantile of the normal distribution: half the width of the 90 % band."""

ABOVE_FLOOR_DB = 6.0
"""Reports this far above their chain's noise floor count as signal."""

METHODS = ("log_distance", "fitted", "kriged")


def score_blocks(measurements: pd.DataFrame, *, block_m: float = 200.0, folds: int = 5, seed: int = 0) -> pd.DataFrame:
    """Score log-distance law, fitted field and kriged field on held-out squares.

    Parameters
    ----------
    measurements : pandas.DataFrame
        As `fit_measured` takes it.
    block_m : float
        Side of the squares, m.
    folds : int
        Parts the squares are dealt into; each part is held out once, and everything (floors, penalties
        and covariance too) fitted to the others.
    seed : int
        Of the dealing.

    Returns
    -------
    pandas.DataFrame
        One row per `method` and `records` ("all", or "above floor": reports at least 6 dB above the
        noise floor of their chain): `n`, `rmse_db`, `mae_db`, `bias_db`, `inside_90` (share within the
        claimed 90 % band), `band_db` (its mean width), `rmse_low_db`, `rmse_high_db` (over folds), and
        the same block size and folds in each. A record of a receiver or session that the other parts
        do not have is not scored; ``attrs["n_unscored"]`` counts them.

    Raises
    ------
    ValueError
        As `fit_measured`; fewer squares than folds.
    """
    records = checked_records(measurements)
    if block_m <= 0 or folds < 2:
        raise ValueError(f"block_m is {block_m} and folds {folds}; a positive length and at least 2 are needed")
    fold = assign_folds(records, block_m, folds, seed)
    tables, unscored = [], 0
    for k in range(folds):
        held = fold == k
        train = records.subset(~held)
        known = np.isin(records.chain, train.chain) & records.heard
        unscored += int((held & ~known).sum())
        tables.append(_predictions(train, records.subset(held & known)).assign(fold=k))
    scored = pd.concat(tables, ignore_index=True)
    rows = []
    for method in METHODS:
        for name, part in (("all", scored), ("above floor", scored[scored["above_floor"]])):
            rows.append({"method": method, "records": name, **_figures(part, method)})
    out = pd.DataFrame(rows).assign(block_m=block_m, folds=folds)
    out.attrs |= {"n_unscored": unscored, "band": BAND}
    return out


def assign_folds(records: Records, block_m: float, folds: int, seed: int) -> np.ndarray:
    """Fold of each record: squares shuffled and dealt out in turn."""
    cell = np.floor(np.column_stack([records.east_m, records.north_m]) / block_m).astype(np.int64)
    squares, where = np.unique(cell, axis=0, return_inverse=True)
    if len(squares) < folds:
        raise ValueError(f"the records lie in {len(squares)} squares of {block_m:g} m; {folds} folds need as many")
    dealt = np.random.default_rng(seed).permutation(len(squares)) % folds
    return np.asarray(dealt[where.ravel()])


def _predictions(train: Records, test: Records) -> pd.DataFrame:
    """Truth and, for each method, expected report and band of each held-out record."""
    law = fit_law(train)
    model = fit_records(train)
    out: dict[str, Array] = {"truth": test.rssi_db}
    offset = np.array([law.offset_db.get(name, np.nan) for name in train.receivers])
    mean = offset[test.receiver] - 10.0 * law.exponent * np.log10(test.distance_m)
    half = Z_BAND * law.sigma_db
    out |= {"log_distance": mean, "log_distance_low": mean - half, "log_distance_high": mean + half}
    trend, kriged, variance = (np.empty(test.size) for _ in range(3))
    for r in np.unique(test.receiver):
        mine = test.receiver == r
        trend[mine], kriged[mine], variance[mine] = model.signal(
            int(r), test.chain[mine], test.east_m[mine], test.north_m[mine], test.distance_m[mine]
        )
    fitted = model.reports(trend, np.full(test.size, model.trend.variance_db2), test.chain)
    full = model.reports(trend + kriged, variance, test.chain)
    for name, told in (("fitted", fitted), ("kriged", full)):
        out |= {name: told[:, 0], f"{name}_low": told[:, 2], f"{name}_high": told[:, 3]}
    above = test.rssi_db >= model.trend.floor_db[test.chain] + ABOVE_FLOOR_DB
    return pd.DataFrame(out).assign(above_floor=above, receiver=test.receiver)


def _figures(part: pd.DataFrame, method: str) -> dict[str, float]:
    error = part[method] - part["truth"]
    inside = (part["truth"] >= part[f"{method}_low"]) & (part["truth"] <= part[f"{method}_high"])
    by_fold = np.sqrt((error**2).groupby(part["fold"]).mean())
    return {
        "n": len(part),
        "rmse_db": float(np.sqrt(np.mean(error**2))),
        "mae_db": float(error.abs().mean()),
        "bias_db": float(error.mean()),
        "inside_90": float(inside.mean()),
        "band_db": float((part[f"{method}_high"] - part[f"{method}_low"]).mean()),
        "rmse_low_db": float(by_fold.min()),
        "rmse_high_db": float(by_fold.max()),
    }
