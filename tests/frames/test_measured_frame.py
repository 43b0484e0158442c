"""Frames of measurements: the fold is bounded; each number is the engine's, or that of a formula done by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from engine.events.schema import FIX, MEASUREMENT, event_table
from engine.frames.measured_fold import MeasurementFold
from engine.frames.measured_frame import FOLDS, MeasuredFrame, MeasuredSpec, compute_measured
from engine.frames.measured_physical import shape_db
from engine.ingest.rssi_events import measurement_events
from engine.rf.measured import fit_log_distance, fit_measured, measured_field, score_blocks

FIXED = (40.765, -111.845)


def rows(n: int = 200, campaign: str = "walk", receiver: str = "roof", seed: int = 0) -> pd.DataFrame:
    """A walk of n places around a receiver: exponent 3.2, 5 dB of shadowing."""
    rng = np.random.default_rng(seed)
    lat, lon = FIXED[0] + rng.uniform(-0.006, 0.006, n), FIXED[1] + rng.uniform(-0.008, 0.008, n)
    metres = np.hypot((lat - FIXED[0]) * 111_050.0, (lon - FIXED[1]) * 84_420.0)
    return pd.DataFrame(
        {
            "campaign": campaign, "transmitter": "van", "receiver": receiver, "session": "one",
            "time": pd.Timestamp("2022-04-25", tz="UTC") + pd.to_timedelta(np.arange(n), unit="s"),
            "lat": lat, "lon": lon, "rssi_db": 20.0 - 32.0 * np.log10(metres) + rng.normal(0.0, 5.0, n),
            "fixed_lat": FIXED[0], "fixed_lon": FIXED[1], "freq_hz": 462.7e6,
        }
    )  # fmt: skip


@pytest.fixture(scope="module")
def work() -> tuple[list[MeasuredFrame], list[float]]:
    """The frame after each stage, and how much was told to be done."""
    shown, shares = list[MeasuredFrame](), list[float]()
    spec = MeasuredSpec("walk", "van", "roof", 1, cells=24)
    whole = compute_measured(spec, rows(), lambda share, _: shares.append(share), shown.append)
    return [*shown, whole], shares


@pytest.fixture(scope="module")
def parts(work: tuple[list[MeasuredFrame], list[float]]) -> list[MeasuredFrame]:
    return work[0]


def test_stages_come_one_after_the_other(work: tuple[list[MeasuredFrame], list[float]]) -> None:
    parts, shares = work
    assert [(p.field is not None, p.predictions is not None) for p in parts] == [
        (False, False), (True, False), (True, True)
    ]  # fmt: skip
    assert shares == sorted(shares) and len(shares) == 3 + FOLDS


def test_numbers_are_those_of_the_engine(parts: list[MeasuredFrame]) -> None:
    frame = parts[-1]
    links = rows().rename(columns={"fixed_lat": "receiver_lat", "fixed_lon": "receiver_lon"})
    law = fit_log_distance(links)
    assert frame.law == law and abs(law.exponent - 3.2) < 0.25
    low, high = frame.intervals["exponent"]
    assert low < law.exponent < high and high - low > 2 * 1.645 * law.exponent_se * 0.7
    field = measured_field(fit_measured(links), frame.grid, receiver="roof")
    assert frame.field is not None and frame.field.identical(field)
    np.testing.assert_array_equal(frame.modelled("kriged", 1.5, 15.0), field["rssi_db"])
    scores, want = frame.scores(1.5, 15.0), score_blocks(links, block_m=200.0, folds=FOLDS)
    assert scores is not None
    pd.testing.assert_frame_equal(scores[scores["method"].isin(want["method"])].reset_index(drop=True),
                                  want.set_index("method").loc[["kriged", "fitted", "log_distance"]].reset_index()[want.columns])  # fmt: skip  # noqa: E501
    # the residuals on the map are the errors that the score is made of
    table = frame.table("kriged", 1.5, 15.0)
    rmse = float(scores[(scores["method"] == "kriged") & (scores["records"] == "all")]["rmse_db"].iloc[0])
    assert np.sqrt(np.mean(table["residual_db"] ** 2)) == pytest.approx(rmse, rel=1e-12)


def test_free_space_is_held_against_other_squares_by_hand(parts: list[MeasuredFrame]) -> None:
    frame = parts[-1]
    table = frame.table("free_space", 1.5, 15.0)
    km = np.hypot(table["distance_m"], 13.5) / 1e3
    gain = -(32.4478 + 20.0 * np.log10(462.7) + 20.0 * np.log10(km))  # ITU-R P.525
    one = table["fold"] == 2
    offset = (table["rssi_db"] - gain)[~one].mean()
    np.testing.assert_allclose(table.loc[one, "modelled_db"], (offset + gain)[one], atol=1e-3)
    on_grid = frame.modelled("free_space", 1.5, 15.0)
    assert on_grid is not None
    near = np.unravel_index(np.argmax(on_grid), on_grid.shape)
    assert abs(frame.grid.lat[near[0]] - FIXED[0]) < 1e-3 and abs(frame.grid.lon[near[1]] - FIXED[1]) < 1e-3


def test_two_rays_fall_with_the_product_of_the_heights() -> None:
    # far away the power is (h1 h2 / d²)², whatever the frequency (Rappaport, eq. 4.52)
    d, h1, h2 = 40_000.0, 1.5, 15.0
    got = shape_db("two_ray", [d], 462.7e6, h1, h2)[0]
    assert got == pytest.approx(20.0 * np.log10(h1 * h2 / d**2), abs=0.05)
    with pytest.raises(ValueError, match="model is 'magic'"):
        shape_db("magic", [d], 1e9, h1, h2)


def test_without_a_frequency_there_are_no_physical_models(parts: list[MeasuredFrame]) -> None:
    frame = replace(parts[-1], points=parts[-1].points.assign(freq_hz=np.nan))
    assert frame.modelled("two_ray", 1.5, 15.0) is None
    assert frame.table("two_ray", 1.5, 15.0)["modelled_db"].isna().all()


def test_the_grid_has_square_cells_around_all_that_was_measured(parts: list[MeasuredFrame]) -> None:
    frame = parts[0]
    west, south, east, north = frame.grid.mercator_bounds
    ny, nx = frame.grid.shape
    assert (east - west) / nx == pytest.approx((north - south) / ny, rel=1e-6) and max(ny, nx) == 24
    assert frame.grid.bounds[0] < frame.points["lon"].min() and frame.grid.bounds[2] > frame.points["lon"].max()


def test_too_few_squares_leave_the_field_without_a_score() -> None:
    spec = MeasuredSpec("walk", "van", "roof", 1, block_m=1e5, cells=4)
    frame = compute_measured(spec, rows(60))
    assert frame.predictions is None and "5 folds need as many" in frame.left_out and frame.field is not None
    assert frame.intervals == {}
    with pytest.raises(ValueError, match="at least 10"):
        compute_measured(spec, rows(6))


def test_work_ends_where_it_is_told_to() -> None:
    class Stop(Exception):
        pass

    def told(share: float, text: str) -> None:
        if share > 0.1:
            raise Stop

    with pytest.raises(Stop):
        compute_measured(MeasuredSpec("walk", "van", "roof", 1, cells=4), rows(60), told)


def test_the_fold_keeps_what_was_measured_once_and_forgets_the_oldest_campaign() -> None:
    fold = MeasurementFold(max_records=70)
    fold.apply(measurement_events(rows(40, "a"), "s"))
    fold.apply(measurement_events(rows(20, "a", "mast"), "s"))
    campaign = fold.campaign("a")
    assert campaign is not None and campaign.receivers("van") == {"roof": 40, "mast": 20} and campaign.n == 60
    back = fold.rows("a", "van", "roof")
    want = rows(40, "a")
    np.testing.assert_array_equal(back["rssi_db"], want["rssi_db"])
    assert (back["time"] == want["time"]).all() and back["freq_hz"].eq(462.7e6).all()
    fold.apply(measurement_events(rows(20, "a", "mast"), "s"))  # the same once more
    assert len(fold.rows("a", "van", "mast")) == 20
    fold.apply(measurement_events(rows(30, "b"), "s"))
    assert [c.name for c in fold.campaigns()] == ["b"] and fold.forgotten == 80
    fold.apply(measurement_events(rows(60, "b", seed=1), "s"))
    assert fold.campaigns()[0].n == 70 and fold.campaigns()[0].version == 90
    with pytest.raises(ValueError, match="nothing is known of receiver 'gone'"):
        fold.rows("b", "van", "gone")


def test_events_that_are_no_measurement_change_nothing() -> None:
    fold = MeasurementFold()
    fold.apply(event_table([0], FIX, ["x"], "s", lat=[1.0], lon=[1.0]))
    fold.apply(event_table([0, 1, 2], MEASUREMENT, ["x"] * 3, "s", lat=[1.0] * 3, lon=[1.0] * 3,
                           payload=[None, "[1]", '{"campaign": 1, "receiver": "<b>"}']))  # fmt: skip
    assert fold.campaigns() == [] and fold.ignored == 3
