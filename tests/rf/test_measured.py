"""Measured fields against scikit-learn, SciPy, dense algebra and campaigns of known exponent and shadowing."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.integrate import quad
from scipy.optimize import minimize
from scipy.stats import norm
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern
from sklearn.linear_model import LinearRegression

from engine.geo import local_offset_m, offset_position
from engine.rf import Grid
from engine.rf.measured import fit_log_distance, fit_measured, measured_field, score_blocks
from engine.rf.measured.blocks import assign_folds
from engine.rf.measured.floor import moments, reports
from engine.rf.measured.kriging import Covariance, fit_covariance, krige, neighbours_by_octant
from engine.rf.measured.records import checked_records

HERE = (40.765, -111.84)
RECEIVERS = {"a": (-400.0, 300.0, -20.0), "b": (500.0, -200.0, -31.0), "c": (0.0, 600.0, -12.0)}


def campaign(
    n: int = 600, exponent: float = 3.1, sigma_db: float = 6.0, seed: int = 0, floor_db: float | None = None
) -> pd.DataFrame:
    """Walks over 2 km with independent log-normal shadowing."""
    rng = np.random.default_rng(seed)
    east, north = rng.uniform(-1000.0, 1000.0, (2, n))
    lat, lon = offset_position(*HERE, east, north)
    parts = []
    for name, (x, y, offset) in RECEIVERS.items():
        at = offset_position(*HERE, x, y)
        distance = np.maximum(np.hypot(*local_offset_m(*HERE, lat, lon) - np.array([[x], [y]])), 1.0)
        power = offset - 10.0 * exponent * np.log10(distance) + rng.normal(0.0, sigma_db, n)
        if floor_db is not None:
            power = 10.0 * np.log10(10.0 ** (power / 10) + 10.0 ** (floor_db / 10)) + rng.normal(0.0, 0.7, n)
        parts.append(
            pd.DataFrame(
                {"receiver": name, "lat": lat, "lon": lon, "receiver_lat": float(at[0]), "receiver_lon": float(at[1]),
                 "rssi_db": power}
            )
        )  # fmt: skip
    return pd.concat(parts, ignore_index=True)


def test_exponent_shadowing_and_offsets_of_a_known_campaign_are_found() -> None:
    fit = fit_log_distance(campaign(4000))
    assert abs(fit.exponent - 3.1) < 4.0 * fit.exponent_se < 0.2
    assert fit.sigma_db == pytest.approx(6.0, abs=0.15)
    assert fit.offset_db["a"] - fit.offset_db["b"] == pytest.approx(11.0, abs=0.6)


def test_the_law_is_scikit_learns_least_squares() -> None:
    table = campaign(200)
    records = checked_records(table)
    design = np.column_stack([np.eye(3)[records.receiver], -10.0 * np.log10(records.distance_m)])
    peer = LinearRegression(fit_intercept=False).fit(design, table.rssi_db)
    fit = fit_log_distance(table)
    np.testing.assert_allclose([*fit.offset_db.values(), fit.exponent], peer.coef_, rtol=1e-9)
    assert fit.sigma_db == pytest.approx(np.std(table.rssi_db - peer.predict(design)), rel=1e-9)


def test_not_heard_is_censored_and_not_left_out_nor_taken_at_its_limit() -> None:
    table = campaign(3000)
    weak = table.rssi_db < -108.0
    censored = table.assign(heard=~weak, rssi_db=table.rssi_db.clip(lower=-108.0))
    fit = fit_log_distance(censored)
    assert 0.2 < weak.mean() < 0.8
    assert abs(fit.exponent - 3.1) < 4.0 * fit.exponent_se and fit.sigma_db == pytest.approx(6.0, abs=0.25)
    for wrong in (fit_log_distance(table[~weak]), fit_log_distance(censored.drop(columns="heard"))):
        assert abs(wrong.exponent - 3.1) > 10.0 * fit.exponent_se


def test_the_censored_fit_is_the_maximum_that_scipy_finds() -> None:
    table = campaign(60)
    weak = (table.rssi_db < -105.0).to_numpy()
    censored = table.assign(heard=~weak, rssi_db=table.rssi_db.clip(lower=-105.0))
    records = checked_records(censored)
    design = np.column_stack([np.eye(3)[records.receiver], -10.0 * np.log10(records.distance_m)])

    def negative(p: np.ndarray) -> float:
        mean, sigma = design @ p[:4], np.exp(p[4])
        logs = np.where(weak, norm.logcdf(-105.0, mean, sigma), norm.logpdf(records.rssi_db, mean, sigma))
        return -float(logs.sum())

    fit = fit_log_distance(censored)
    ours = np.array([*fit.offset_db.values(), fit.exponent, np.log(fit.sigma_db)])
    found = minimize(negative, ours + 0.05, method="BFGS", options={"gtol": 1e-6})
    assert negative(ours) <= found.fun + 1e-6
    np.testing.assert_allclose(ours, found.x, atol=2e-3)


@pytest.mark.parametrize("smoothness", [0.5, 1.5])
def test_simple_kriging_is_scikit_learns_gaussian_process(smoothness: float) -> None:
    rng = np.random.default_rng(3)
    at, values, noise = rng.uniform(0, 500, (40, 2)), rng.normal(0, 5, 40), rng.uniform(0.5, 60.0, 40)
    covariance = Covariance(31.0, 90.0, 12.0, smoothness)
    kernel = ConstantKernel(31.0, "fixed") * Matern(90.0, "fixed", nu=smoothness)
    peer = GaussianProcessRegressor(kernel, alpha=12.0 + noise, optimizer=None).fit(at, values)
    targets = rng.uniform(-50, 550, (25, 2))
    everyone = np.tile(np.arange(40), (25, 1))
    mean, variance = krige(covariance, (at[:, 0], at[:, 1]), values, noise, (targets[:, 0], targets[:, 1]),
                           mean="zero", neighbours=everyone)  # fmt: skip
    want_mean, want_sd = peer.predict(targets, return_std=True)
    np.testing.assert_allclose(mean, want_mean, atol=1e-6)
    np.testing.assert_allclose(np.sqrt(variance), want_sd, atol=1e-6)


def test_ordinary_kriging_solves_the_system_with_the_lagrange_multiplier() -> None:
    rng = np.random.default_rng(4)
    at, values = rng.uniform(0, 300, (20, 2)), rng.normal(4, 5, 20)
    covariance = Covariance(25.0, 80.0, 6.0)

    def shared(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return 25.0 * np.exp(-np.hypot(a[:, None, 0] - b[:, 0], a[:, None, 1] - b[:, 1]) / 80.0)

    system = np.block([[shared(at, at) + 6.0 * np.eye(20), np.ones((20, 1))], [np.ones((1, 20)), np.zeros((1, 1))]])
    target = np.array([[140.0, 500.0]])
    right = np.append(shared(at, target)[:, 0], 1.0)
    solution = np.linalg.solve(system, right)
    mean, variance = krige(covariance, (at[:, 0], at[:, 1]), values, np.zeros(20), (target[:, 0], target[:, 1]),
                           neighbours=np.arange(20)[None])  # fmt: skip
    assert mean[0] == pytest.approx(solution[:20] @ values, abs=1e-9)
    assert variance[0] == pytest.approx(25.0 - solution @ right, abs=1e-9)


def test_local_neighbourhoods_come_close_to_all_values_and_none_gives_the_prior() -> None:
    rng = np.random.default_rng(5)
    at = rng.uniform(0, 1000, (900, 2))
    east, north = at.T.copy()
    values, noise = rng.normal(0, 5, 900), np.zeros(900)
    covariance = Covariance(25.0, 100.0, 8.0)
    x, y = rng.uniform(100, 900, (2, 40))
    kernel = ConstantKernel(25.0, "fixed") * Matern(100.0, "fixed", nu=0.5)
    peer = GaussianProcessRegressor(kernel, alpha=8.0, optimizer=None).fit(at, values)
    want, sd = peer.predict(np.column_stack([x, y]), return_std=True)
    mean, variance = krige(covariance, (east, north), values, noise, (x, y), mean="zero")
    assert np.abs(mean - want).max() < 0.3 and np.abs(np.sqrt(variance) - sd).max() < 0.05
    empty = np.empty(0)
    mean, variance = krige(covariance, (empty, empty), empty, empty, (x, y))
    assert (mean == 0.0).all() and (variance == 25.0).all()


def test_neighbours_come_from_all_sides() -> None:
    rng = np.random.default_rng(6)
    # a hundred close by in the east, a few farther off elsewhere
    east = np.concatenate([rng.uniform(10, 20, 100), [-50.0, 0.0, 0.0]])
    north = np.concatenate([rng.uniform(-2, 2, 100), [0.0, 60.0, -60.0]])
    rows = neighbours_by_octant(east, north, np.zeros(1), np.zeros(1), per_octant=3)[0]
    assert {100, 101, 102} <= set(rows) and (rows[rows >= 0] < 100).sum() == 6


def test_the_covariance_of_a_drawn_field_is_found() -> None:
    rng = np.random.default_rng(7)
    draws = []
    at = rng.uniform(0, 1500, (300, 2))
    distance = np.hypot(at[:, None, 0] - at[:, 0], at[:, None, 1] - at[:, 1])
    root = np.linalg.cholesky(30.0 * np.exp(-distance / 120.0) + 10.0 * np.eye(300))
    for _ in range(12):
        draws.append(root @ rng.normal(size=300))
    got = fit_covariance(np.tile(at[:, 0], 12), np.tile(at[:, 1], 12), np.concatenate(draws), np.zeros(3600),
                         np.repeat(np.arange(12), 300))  # fmt: skip
    assert got.smoothness == 0.5
    assert got.sill_db2 == pytest.approx(30.0, rel=0.2) and got.nugget_db2 == pytest.approx(10.0, rel=0.35)
    assert got.range_m == pytest.approx(120.0, rel=0.35)


@pytest.mark.parametrize("report", [-80.0, -93.0, -95.5])
@pytest.mark.parametrize("heard", [True, False])
def test_what_a_report_tells_of_the_signal_is_the_integral(report: float, heard: bool) -> None:
    floor, error, mean, variance = -94.0, 0.9, -90.0, 49.0

    def weight(s: float) -> float:
        told = 10.0 * np.log10(10.0 ** (s / 10) + 10.0 ** (floor / 10))
        seen = norm.pdf(report, told, error) if heard else norm.cdf(report, told, error)
        return float(seen * norm.pdf(s, mean, np.sqrt(variance)))

    total, first, second = (
        quad(lambda s, k=k: weight(s) * s**k, -140, -40, limit=400, points=[-94, -80])[0] for k in range(3)
    )
    evidence, got, spread = moments(report, heard, floor, error, mean, variance)
    assert evidence == pytest.approx(np.log(total), abs=2e-3)
    assert got == pytest.approx(first / total, abs=0.02)
    assert spread == pytest.approx(second / total - (first / total) ** 2, rel=0.02, abs=0.02)


def test_reports_of_a_signal_near_the_floor_are_distributed_as_drawn() -> None:
    rng = np.random.default_rng(8)
    signal = rng.normal(-92.0, 7.0, 400_000)
    drawn = 10.0 * np.log10(10.0 ** (signal / 10) + 10.0**-9.4) + rng.normal(0, 0.8, signal.size)
    out = np.empty((1, 4))
    reports(np.array([-92.0]), np.array([49.0]), np.array([-94.0]), np.array([0.8]), 0.05, out)
    want = [drawn.mean(), drawn.std(), *np.quantile(drawn, [0.05, 0.95])]
    np.testing.assert_allclose(out[0], want, atol=0.06)


def shadowed(n: int = 400, floor_db: float = -112.0) -> pd.DataFrame:
    """A campaign whose shadowing is drawn with covariance 36 exp(-h / 250 m) + 4 dB², above a noise floor."""
    rng = np.random.default_rng(9)
    table = campaign(n, sigma_db=1e-9, seed=9)
    records = checked_records(table)
    for number in range(len(RECEIVERS)):
        mine = records.receiver == number
        east, north = records.east_m[mine], records.north_m[mine]
        distance = np.hypot(east[:, None] - east, north[:, None] - north)
        root = np.linalg.cholesky(36.0 * np.exp(-distance / 250.0) + 4.0 * np.eye(n))
        table.loc[mine, "rssi_db"] += root @ rng.normal(size=n)
    sums = 10.0 ** (table.rssi_db / 10) + 10.0 ** (floor_db / 10)
    return table.assign(rssi_db=10.0 * np.log10(sums) + rng.normal(0.0, 0.7, len(table)))


def test_a_field_that_was_drawn_is_found_with_its_band_and_its_floor() -> None:
    table = shadowed()
    scores = score_blocks(table, block_m=200.0, folds=3).set_index(["method", "records"])
    plain, kriged = (scores.loc[(name, "all")] for name in ("log_distance", "kriged"))
    assert kriged.rmse_db < 0.85 * plain.rmse_db and 0.85 <= kriged.inside_90 <= 0.95
    assert kriged.band_db < plain.band_db
    model = fit_measured(table)
    np.testing.assert_allclose(model.trend.floor_db, -112.0, atol=1.5)
    field = measured_field(model, Grid.from_bounds(-111.85, 40.76, -111.83, 40.77, shape=(6, 8)), receiver="a")
    assert set(field.data_vars) >= {"rssi_db", "sigma_db", "low_db", "high_db", "model_db", "residual_db"}
    assert all(field[name].attrs["units"] in ("dB", "m") for name in field) and field.rssi_db.dims == ("lat", "lon")
    assert bool((field.low_db < field.rssi_db).all()) and bool((field.rssi_db < field.high_db).all())
    # at a measured place the field is surer than far from all of them
    near, far = int(np.argmin(field.nearest_m.values)), int(np.argmax(field.nearest_m.values))
    assert field.signal_sigma_db.values.ravel()[near] < field.signal_sigma_db.values.ravel()[far]


def test_folds_are_whole_squares() -> None:
    records = checked_records(campaign(400))
    fold = assign_folds(records, 200.0, 5, 0)
    cell = np.floor(np.column_stack([records.east_m, records.north_m]) / 200.0)
    assert pd.DataFrame(cell).assign(fold=fold).groupby([0, 1]).fold.nunique().max() == 1
    assert set(fold) == set(range(5))


def bad(**change: object) -> pd.DataFrame:
    return campaign(20).assign(**change)


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda: fit_log_distance(bad().drop(columns="lat")), r"lack the columns \['lat'\]"),
        (lambda: fit_log_distance(bad().iloc[:0]), "no rows"),
        (lambda: fit_log_distance(bad(rssi_db=np.nan)), "rssi_db is not a finite number in 60 of 60"),
        (lambda: fit_log_distance(bad(lat=91.0)), "lat reaches 91"),
        (lambda: fit_log_distance(bad(receiver_lon=-100.0)), "m from the middle"),
        (lambda: fit_log_distance(bad(heard=False)), "'a' never heard"),
        (lambda: fit_log_distance(bad(lat=40.0, lon=-111.0)), "do not determine the path-loss exponent"),
        (lambda: fit_log_distance(bad()).power_db("z", 10.0), "'z' was not measured; known are a, b, c"),
        (lambda: score_blocks(bad(), block_m=1e6), "squares of 1e\\+06 m"),
        (lambda: score_blocks(bad(), folds=1), "folds 1"),
        (lambda: Covariance(1.0, 10.0, 1.0, 2.5), "smoothness is 2.5"),
        (lambda: Covariance(1.0, 0.0, 1.0), "range 0.0 m"),
    ],
)
def test_bad_input_is_named(call: object, match: str) -> None:
    with pytest.raises(ValueError, match=match):
        call()  # type: ignore[operator]


def test_a_moving_receiver_and_an_unknown_session_have_no_field() -> None:
    table = campaign(40).assign(session="monday")
    model = fit_measured(table)
    grid = Grid.from_bounds(-111.85, 40.76, -111.84, 40.77, shape=(2, 2))
    with pytest.raises(ValueError, match="no session 'friday'; it has monday"):
        measured_field(model, grid, receiver="a", session="friday")
    with pytest.raises(ValueError, match="2-D grid only"):
        measured_field(model, Grid.from_bounds(0, 0, 1, 1, shape=(2, 2), alt_m=[0.0, 1.0]), receiver="a")
    moving = table.assign(receiver_lat=table.receiver_lat + np.linspace(0, 0.01, len(table)))
    with pytest.raises(ValueError, match="'a' moves over"):
        measured_field(fit_measured(moving), grid, receiver="a")
