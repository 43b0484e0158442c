"""Arrival times through a whole station: heard, logged, located; the past by the same fold; bounds of what is kept."""

import time

import numpy as np
import pytest

from engine.frames.locate_frame import LocateSpec, field_bounds, to_levels
from engine.geo import geodetic_to_ecef, web_mercator
from engine.locate_desk import FIELDS_KEPT, LocateDesk
from engine.rf import gdop_field
from engine.rf.arrival_fixes import FixSettings
from engine.rf.tdoa import SPEED_IN_AIR_M_S
from engine.station import Station
from tests.browser.driver import wait_for

(WEST, EAST), (SOUTH, NORTH) = web_mercator([46.0, 50.0], [6.0, 13.0])
BOUNDS = field_bounds((float(WEST), float(SOUTH), float(EAST), float(NORTH)))


@pytest.fixture(scope="module")
def station(real_data):
    real_data("tdoa/sensors.csv")
    with Station(data_dir=":memory:", feed="tdoa") as station:
        wait_for(lambda: len(station.desk(LocateDesk).arrivals()) > 200, "the recorded past to be taken in")
        yield station


@pytest.fixture(scope="module")
def desk(station):
    return station.desk(LocateDesk)


def test_what_is_heard_now_was_heard_then_by_the_same_fold(station, desk):
    moment_s = time.time() - 60.0
    window_s = 600.0
    live = desk.fold.snapshot(moment_s, window_s)
    past = desk.arrivals(moment_s, window_s)
    assert len(live) > 50
    assert past.messages.equals(live.messages) and past.sensors.equals(live.sensors)
    assert np.array_equal(past.toa_s, live.toa_s, equal_nan=True)


def test_a_desk_that_is_opened_late_knows_what_was_heard_before(station, desk):
    late = LocateDesk(station)
    try:
        moment_s = time.time() - 30.0
        assert late.fold.snapshot(moment_s).messages.equals(desk.fold.snapshot(moment_s).messages)
    finally:
        late.stop()


def distance_m(line, point):
    """From a point to the nearest piece of a line of corners (n, 3)."""
    start, along = line[:-1], np.diff(line, axis=0)
    share = np.clip(((point - start) * along).sum(1) / (along**2).sum(1), 0.0, 1.0)
    return np.linalg.norm(start + share[:, None] * along - point, axis=1).min()


def test_a_frame_holds_fixes_sensors_lines_and_field(desk):
    moment_s = time.time() - 30.0
    first = desk.board.frame(LocateSpec(*BOUNDS, moment_s=moment_s))
    assert first.row == -1 and first.lines == () and first.score["ok"] > 0.9
    entity = str(first.newest["entity"].iloc[-1])
    frame = desk.board.frame(LocateSpec(*BOUNDS, moment_s=moment_s, selected=entity))
    one = frame.fixes.table.iloc[frame.row]
    assert one["entity"] == entity and one["time_s"] == frame.fixes.table.query("entity == @entity")["time_s"].max()
    # Each measured line has the difference of its pair, and passes the fix as closely as the residuals say.
    stand = frame.sensors.set_index("sensor")
    fix = np.array(geodetic_to_ecef(one["lat"], one["lon"], one["alt_m"]))
    assert len(frame.lines) == one["n_sensors"] - 1
    for line in frame.lines:
        pair = [np.array(geodetic_to_ecef(*stand.loc[name, ["lat", "lon", "alt_m"]].astype(float)))
                for name in (line.reference, line.sensor)]  # fmt: skip
        points = np.stack(geodetic_to_ecef(line.line[:, 0], line.line[:, 1], one["alt_m"]), axis=-1)
        known = points[np.isfinite(points[:, 0])]
        later_m = np.linalg.norm(known - pair[1], axis=1) - np.linalg.norm(known - pair[0], axis=1)
        assert np.abs(later_m - SPEED_IN_AIR_M_S * line.tdoa_s).max() < 1e-6
        assert distance_m(known, fix) < 500.0
    # The field is that of the engine, in metres for the arrival's sigma.
    sensors = np.stack(geodetic_to_ecef(stand["lat"], stand["lon"], stand["alt_m"]), axis=-1)
    field = gdop_field(sensors, frame.spec.grid, reach_m=400e3, horizon=True)["hdop_known_alt"].to_numpy()
    assert np.allclose(frame.values, field * SPEED_IN_AIR_M_S * 100e-9, rtol=1e-6)
    levels = to_levels(frame.values, (10.0, 1000.0))
    assert np.array_equal(frame.levels, levels) and (levels > 0).any()
    dataset = frame.to_dataset()
    assert dataset["residual_s"].attrs["units"] == "s" and dataset["dilution"].attrs["units"] == "m"
    residual = dataset["residual_s"].to_numpy()
    assert np.isfinite(residual).sum() == np.isfinite(frame.fixes.residual_s).sum() > 200


def test_a_sensor_switched_off_changes_fixes_and_field(desk):
    moment_s = time.time() - 30.0
    all_on = desk.board.frame(LocateSpec(*BOUNDS, moment_s=moment_s))
    busiest = str(all_on.sensors.sort_values("heard")["sensor"].iloc[-1])
    less = desk.board.frame(LocateSpec(*BOUNDS, moment_s=moment_s, settings=FixSettings(off=(busiest,))))
    assert not less.sensors.set_index("sensor").loc[busiest, "on"]
    assert less.fixes.table["n_sensors"].sum() < all_on.fixes.table["n_sensors"].sum()
    both = np.isfinite(all_on.values) & np.isfinite(less.values)
    assert (less.values[both] >= all_on.values[both] * (1 - 1e-5)).all() and (less.values > 1.01 * all_on.values).any()
    none = desk.board.frame(LocateSpec(*BOUNDS, moment_s=moment_s, dilution="none"))
    assert none.levels is None


def test_what_is_kept_of_fields_is_bounded(desk):
    moment_s = time.time() - 30.0
    for k in range(FIELDS_KEPT + 3):
        spec = LocateSpec(*field_bounds((WEST, SOUTH, EAST, NORTH))[:4], 16, 16, field_alt_m=1000.0 + k,
                          moment_s=moment_s)  # fmt: skip
        desk.board.frame(spec)
    assert len(desk._fields) <= FIELDS_KEPT
