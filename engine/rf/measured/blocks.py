"""How good a measured field is: scored where nothing was measured, by spatial blocks.

Neighbouring measurements share their shadowing, so a score on records held out at random says how
well one interpolates between footsteps. Here whole squares are held out, of all receivers at once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

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
"""What is scored: the plain law, law and smooth clutter above a noise floor, and that with kriged residuals."""

MIN_SQUARES = 5
"""Squares that an interval needs at least."""


def predict_blocks(
    measurements: pd.DataFrame,
    *,
    block_m: float = 200.0,
    folds: int = 5,
    seed: int = 0,
    told: Callable[[int], object] | None = None,
) -> pd.DataFrame:
    """What log-distance law, fitted field and kriged field say of each record from which its square was held back.

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
    told : callable (int) -> object, optional
        Told before each fold how many are done; what it raises ends the work.

    Returns
    -------
    pandas.DataFrame
        One row per record that was scored, in the order of the table: `row` (its number there), `fold`, `truth`
        (the report, dB), `above_floor`, `receiver`, and for each of `METHODS` the expected report, its standard
        deviation (``…_sigma``) and the ends of the 90 % band (``…_low``, ``…_high``), dB. A record of a receiver or
        session that the other parts do not have is not scored; ``attrs["n_unscored"]`` counts them.

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
        if told is not None:
            told(k)
        held = fold == k
        train = records.subset(~held)
        known = np.isin(records.chain, train.chain) & records.heard
        unscored += int((held & ~known).sum())
        scored = held & known
        tables.append(_predictions(train, records.subset(scored)).assign(fold=k, row=np.flatnonzero(scored)))
    out = pd.concat(tables).sort_values("row", kind="stable", ignore_index=True)
    out.attrs |= {"n_unscored": unscored, "block_m": block_m, "folds": folds}
    return out


def score_predictions(predictions: pd.DataFrame, methods: Sequence[str] = METHODS) -> pd.DataFrame:
    """Figures of predictions as `predict_blocks` gives them.

    Parameters
    ----------
    predictions : pandas.DataFrame
    methods : sequence of str
        Which columns are predictions; each needs its ``…_low`` and ``…_high``.

    Returns
    -------
    pandas.DataFrame
        One row per `method` and `records` ("all", or "above floor": reports at least 6 dB above the
        noise floor of their chain): `n`, `rmse_db`, `mae_db`, `bias_db`, `inside_90` (share within the
        claimed 90 % band), `band_db` (its mean width), `rmse_low_db`, `rmse_high_db` (over folds), and
        the same block size and folds in each.
    """
    rows = []
    for method in methods:
        for name, part in (("all", predictions), ("above floor", predictions[predictions["above_floor"]])):
            if len(part):
                rows.append({"method": method, "records": name, **_figures(part, method)})
    attrs = predictions.attrs
    out = pd.DataFrame(rows).assign(block_m=attrs["block_m"], folds=attrs["folds"])
    out.attrs |= {"n_unscored": attrs["n_unscored"], "band": BAND}
    return out


def score_blocks(measurements: pd.DataFrame, *, block_m: float = 200.0, folds: int = 5, seed: int = 0) -> pd.DataFrame:
    """Score log-distance law, fitted field and kriged field on held-out squares.

    Parameters as of `predict_blocks`, result as of `score_predictions`.
    """
    return score_predictions(predict_blocks(measurements, block_m=block_m, folds=folds, seed=seed))


def law_intervals(
    measurements: pd.DataFrame, *, block_m: float = 200.0, draws: int = 200, level: float = 0.90, seed: int = 0
) -> dict[str, tuple[float, float]]:
    """Intervals of the log-distance law's exponent and sigma, by a bootstrap over whole squares.

    Squares, not records, are drawn with replacement: neighbours share their shadowing, and an interval that takes
    them as independent is far too narrow.

    Parameters
    ----------
    measurements : pandas.DataFrame
        As `fit_log_distance` takes it.
    block_m : float
        Side of the squares, m.
    draws : int
    level : float
        Share of the draws that each interval holds.
    seed : int

    Returns
    -------
    dict
        ``exponent`` and ``sigma_db``: lower and upper end.

    Raises
    ------
    ValueError
        As `fit_log_distance`; fewer than five squares.

    References
    ----------
    Davison & Hinkley 1997, Bootstrap Methods and their Application, sections 5.2.1 (percentiles) and 8.3 (blocks).
    """
    records = checked_records(measurements)
    cell = np.floor(np.column_stack([records.east_m, records.north_m]) / block_m).astype(np.int64)
    _, square = np.unique(cell, axis=0, return_inverse=True)
    square = square.ravel()
    n = int(square.max()) + 1
    if n < MIN_SQUARES:
        raise ValueError(f"the records lie in {n} squares of {block_m:g} m; {MIN_SQUARES} are needed for an interval")
    order = np.argsort(square, kind="stable")
    start = np.concatenate([[0], np.cumsum(np.bincount(square))])
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(draws):
        rows = np.concatenate([order[start[k] : start[k + 1]] for k in rng.integers(0, n, n)])
        try:
            law = fit_law(records.at(rows))
        except ValueError:  # a draw without distances that differ tells nothing
            continue
        found.append((law.exponent, law.sigma_db))
    ends = np.quantile(np.array(found), [(1.0 - level) / 2.0, (1.0 + level) / 2.0], axis=0)
    return {name: (float(ends[0, k]), float(ends[1, k])) for k, name in enumerate(("exponent", "sigma_db"))}


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
    out["log_distance_sigma"] = np.full(test.size, law.sigma_db)
    trend, kriged, variance = (np.empty(test.size) for _ in range(3))
    for r in np.unique(test.receiver):
        mine = test.receiver == r
        trend[mine], kriged[mine], variance[mine] = model.signal(
            int(r), test.chain[mine], test.east_m[mine], test.north_m[mine], test.distance_m[mine]
        )
    fitted = model.reports(trend, np.full(test.size, model.trend.variance_db2), test.chain)
    full = model.reports(trend + kriged, variance, test.chain)
    for name, told in (("fitted", fitted), ("kriged", full)):
        out |= {name: told[:, 0], f"{name}_sigma": told[:, 1], f"{name}_low": told[:, 2], f"{name}_high": told[:, 3]}
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
