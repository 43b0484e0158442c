"""From events to fixes: order does not matter, sensors can be switched off, claims hold on real arrival times."""

import json

import numpy as np
import pyarrow as pa
import pytest
from scipy.stats import chi2

from engine.events.schema import ARRIVAL, SENSOR, event_table
from engine.geo import geodetic_to_ecef, radio_horizon_m
from engine.ingest.arrivals_read import read_arrivals, read_sensors
from engine.rf import Grid, gdop_field, locate_tdoa
from engine.rf.arrival_fixes import ELLIPSE_90, FixSettings, locate_arrivals, sensors_ecef_m
from engine.rf.arrival_fold import MAX_HEARD, ArrivalFold
from engine.rf.hyperbola import hyperbola
from engine.rf.report_age import report_sigma_m, report_squares, timing_sigma_s
from engine.rf.tdoa import SPEED_IN_AIR_M_S

HOUR_S = 3600.0
SETS = range(1, 6)


@pytest.fixture(scope="module")
def recorded(real_data):
    """All events of the five sets."""
    sensors, _ = read_sensors(real_data("tdoa/sensors.csv"))
    return pa.concat_tables([sensors, *(read_arrivals(real_data(f"tdoa/set_{k}.csv"))[0] for k in SETS)])


@pytest.fixture(scope="module")
def arrivals(recorded):
    fold = ArrivalFold()
    fold.apply(recorded)
    return fold.snapshot(HOUR_S, HOUR_S)


@pytest.fixture(scope="module")
def fixes(arrivals):
    return locate_arrivals(arrivals)


def sensor_events(names=("a", "b", "c", "d")):
    n = len(names)
    return event_table([0] * n, SENSOR, list(names), "t", lat=np.linspace(46, 48, n), lon=np.linspace(7, 9, n) ** 1.1,
                       alt_m=[400.0] * n)  # fmt: skip


def arrival_event(message, sensor, toa_ns, time_us=1_000_000):
    payload = json.dumps({"message": message, "sensor": sensor, "toa_ns": toa_ns})
    return event_table([time_us], ARRIVAL, ["x"], "t", lat=[47.0], lon=[8.0], alt_m=[9000.0], payload=[payload])


def test_the_order_of_events_and_the_cuts_between_batches_do_not_matter(recorded, arrivals):
    shuffled = recorded.take(np.random.default_rng(3).permutation(recorded.num_rows))
    fold = ArrivalFold()
    for start in range(0, shuffled.num_rows, 997):
        fold.apply(shuffled.slice(start, 997))
    again = fold.snapshot(HOUR_S, HOUR_S)
    assert again.messages.equals(arrivals.messages) and again.sensors.equals(arrivals.sensors)
    assert np.array_equal(again.sensor_index, arrivals.sensor_index)
    assert np.array_equal(again.toa_s, arrivals.toa_s, equal_nan=True)


def test_a_fold_is_bounded_and_counts_what_it_cannot_use():
    fold = ArrivalFold(max_messages=5)
    fold.apply(sensor_events())
    for k in range(9):
        fold.apply(arrival_event(f"m{k}", "a", 5, time_us=1_000_000 * (k + 1)))
    assert fold.snapshot(100.0).messages["message"].tolist() == [f"m{k}" for k in range(4, 9)]
    for k in range(MAX_HEARD + 3):
        fold.apply(arrival_event("m8", f"s{k}", 5, time_us=9_000_000))
    fold.apply(event_table([0], ARRIVAL, ["x"], "t", payload=["{oops"]))
    fold.apply(event_table([0], ARRIVAL, ["x"], "t", payload=['{"message": "m", "sensor": "a"}']))
    counts = fold.snapshot(100.0).counts
    assert counts["too many"] == 4 and counts["malformed"] == 1 and counts["incomplete"] == 2
    assert counts["unknown sensor"] == MAX_HEARD - 1


def test_one_batch_gives_what_each_message_alone_gives(arrivals, fixes):
    stand = sensors_ecef_m(arrivals.sensors)
    for row in range(0, len(arrivals), 151):
        heard = arrivals.sensor_index[row] >= 0
        toa = arrivals.toa_s[row, heard]
        one = locate_tdoa(stand[arrivals.sensor_index[row, heard]], toa[1:] - toa[0], 100e-9,
                          alt_m=arrivals.messages["alt_m"][row], alt_sigma_m=100.0, alt_range_m=(-1e3, 3e4),
                          reach_m=7e5, speed_m_s=SPEED_IN_AIR_M_S)  # fmt: skip
        assert one.reason.item() == fixes.table["reason"][row]
        if one.ok.item():
            assert fixes.table["lat"][row] == pytest.approx(one.lat.item(), abs=1e-9)
            assert fixes.table["ellipse_major_m"][row] == pytest.approx(ELLIPSE_90 * one.ellipse_major_m.item())
            assert np.allclose(fixes.residual_s[row, heard], one.residual_s.values[0], atol=1e-13)


def test_the_claim_holds_on_every_set_when_it_is_learnt_from_the_others(arrivals):
    """Leave one set out: 100 ns for arrivals, the age of reports learnt from four sets, 90 % of the fifth inside."""
    reported = arrivals.messages
    of_set = reported["entity"].str.split("/").str[0].to_numpy()
    heard = np.where(arrivals.sensor_index >= 0, arrivals.sensor_index, 0)
    found = locate_tdoa(
        sensors_ecef_m(arrivals.sensors)[heard], arrivals.toa_s[:, 1:] - arrivals.toa_s[:, :1], 100e-9,
        alt_m=reported["alt_m"], alt_sigma_m=100.0, speed_m_s=SPEED_IN_AIR_M_S,
    )  # fmt: skip
    limit = chi2.ppf(0.9, 2)
    learnt = []
    for k in SETS:
        train, test = (np.flatnonzero((of_set == f"set_{k}") == held) for held in (False, True))
        lat, lon = reported["lat"].to_numpy(), reported["lon"].to_numpy()
        learnt.append(report_sigma_m(found.isel(fix=train), lat[train], lon[train]))
        square = report_squares(found.isel(fix=test), lat[test], lon[test], learnt[-1])
        assert 0.85 <= np.mean(square[np.isfinite(square)] <= limit) <= 0.95
    # What every viewer begins with is what the data say.
    assert min(learnt) - 5.0 <= FixSettings().report_sigma_m <= max(learnt) + 5.0


def test_residuals_tell_the_noise_they_were_made_with():
    rng = np.random.default_rng(5)
    sensors = rng.uniform(-5e4, 5e4, (8, 3)) + np.array([4.2e6, 6e5, 4.8e6])
    emitters = rng.uniform(-5e4, 5e4, (2000, 3)) + np.array([4.2e6, 6e5, 4.8e6])
    range_m = np.linalg.norm(emitters[:, None] - sensors, axis=2)
    toa = range_m / 299_792_458.0 + rng.normal(0.0, 35e-9, range_m.shape)
    found = locate_tdoa(sensors, toa[:, 1:] - toa[:, :1], 300e-9)
    assert timing_sigma_s(found, 300e-9) == pytest.approx(35e-9, rel=0.05)


def test_fixes_are_near_the_reports_and_a_sensor_that_is_off_takes_no_part(arrivals, fixes):
    assert fixes.table["ok"].mean() > 0.97 and fixes.table["error_m"].median() < 60.0
    busiest = arrivals.sensors["sensor"].iloc[np.bincount(arrivals.sensor_index[fixes.used]).argmax()]
    less = locate_arrivals(arrivals, FixSettings(off=(busiest,)))
    took_part = (arrivals.sensors["sensor"].to_numpy()[arrivals.sensor_index] == busiest) & fixes.used
    assert took_part.any() and not less.used[took_part].any()
    assert np.isnan(less.residual_s[took_part]).all()
    affected = took_part.any(axis=1)
    assert (less.table["n_sensors"][affected] == fixes.table["n_sensors"][affected] - 1).all()
    same = less.table[~affected & fixes.table["ok"]]
    assert np.allclose(same["lat"], fixes.table["lat"][same.index], atol=1e-12)
    both = affected & less.table["ok"] & fixes.table["ok"]
    ratio = less.table["ellipse_major_m"][both] / fixes.table["ellipse_major_m"][both]
    assert ratio.min() > 0.99 and ratio.median() > 1.05
    nobody = locate_arrivals(arrivals, FixSettings(off=tuple(sorted(arrivals.sensors["sensor"]))))
    assert set(nobody.table["reason"]) == {"too few sensors"}


@pytest.mark.parametrize("tdoa_s", [0.0, 2e-4, -2e-4, 6.4e-4])
def test_on_a_hyperbola_the_difference_of_arrival_times_is_as_measured(tdoa_s):
    pair = np.array([[47.0, 8.0, 400.0], [48.2, 10.1, 700.0]])
    line = hyperbola(pair, tdoa_s, 10_000.0)
    known = line[np.isfinite(line[:, 0])]
    assert len(known) > 100
    points = np.stack(geodetic_to_ecef(known[:, 0], known[:, 1], 10_000.0), axis=-1)
    first, second = (np.linalg.norm(points - np.array(geodetic_to_ecef(*place)), axis=1) for place in pair)
    assert np.abs((second - first) / 299_792_458.0 - tdoa_s).max() < 1e-15


def test_a_hyperbola_passes_through_where_it_was_heard_from():
    pair, place = np.array([[47.0, 8.0, 400.0], [48.2, 10.1, 700.0]]), (47.9, 8.4)
    at = np.array(geodetic_to_ecef(*place, 9_000.0))
    first, second = (float(np.linalg.norm(at - np.array(geodetic_to_ecef(*p)))) for p in pair)
    line = hyperbola(pair, (second - first) / 299_792_458.0, 9_000.0, through=place)
    points = np.stack(geodetic_to_ecef(line[:, 0], line[:, 1], 9_000.0), axis=-1)
    assert np.nanmin(np.linalg.norm(points - at, axis=1)) < 1.0
    # And there is none where light cannot make such a difference.
    assert len(hyperbola(pair, 1e-3, 9_000.0)) == 0


def test_dilution_counts_only_the_sensors_that_hear_a_cell():
    lat, lon, alt = np.array([46.0, 46.0, 48.0, 48.0]), np.array([7.0, 9.0, 7.0, 9.0]), np.full(4, 500.0)
    sensors = np.stack(geodetic_to_ecef(lat, lon, alt), axis=-1)
    grid = Grid.from_bounds(2, 42, 14, 52, shape=(31, 37), alt_m=3_000.0)
    free, near = gdop_field(sensors, grid), gdop_field(sensors, grid, reach_m=150e3, horizon=True)
    cells = np.stack([axis.ravel() for axis in grid.ecef_m()], axis=-1)
    away_m = np.linalg.norm(cells[:, None] - sensors, axis=2)
    hears = (away_m <= min(150e3, float(radio_horizon_m(3_000.0, 500.0)))).sum(axis=1).reshape(31, 37)
    assert np.array_equal(near.n_hear.values, hears) and (free.n_hear.values == 4).all()
    everyone = hears == 4
    assert everyone.any() and np.array_equal(near.hdop_known_alt.values[everyone], free.hdop_known_alt.values[everyone])
    assert (
        np.isinf(near.hdop_known_alt.values[hears < 3]).all()
        and np.isfinite(near.hdop_known_alt.values[hears == 3]).all()
    )
    assert np.isinf(near.gdop.values[hears < 4]).all()
    with pytest.raises(ValueError, match="reach_m is 0"):
        gdop_field(sensors, grid, reach_m=0)
