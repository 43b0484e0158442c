"""The parts of the Locate page: link, lists, inspector as text only, and files that say what is on the screen."""

import contextlib
import dataclasses
import io
from urllib.parse import parse_qsl

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from dashboard.components.locate_columns import EMPTY, ellipse_columns, line_columns, sensor_columns
from dashboard.components.locate_controls import LocateControls
from dashboard.components.locate_inspector import LocateInspector, fix_html, sensor_html
from dashboard.components.locate_map import SENSOR, LocateMap
from dashboard.components.locate_plot import locate_plot
from dashboard.components.locate_rows import fix_rows, listed, sensor_rows
from dashboard.components.locate_state import LocateState
from dashboard.components.locate_take_along import csv_bytes, html_bytes, netcdf_bytes, parquet_bytes, python_lines
from dashboard.components.locate_words import DILUTIONS, REASONS
from dashboard.share import from_query, to_query
from engine.events.schema import ARRIVAL, event_table
from engine.events.schema import SENSOR as STANDS
from engine.frames.locate_frame import LocateSpec, compute_locate_frame, dilution_of, field_bounds
from engine.geo import geodetic_to_ecef, inverse_web_mercator, slant_range_m, web_mercator
from engine.rf.arrival_fixes import FixSettings, locate_arrivals
from engine.rf.arrival_fold import ArrivalFold
from engine.rf.tdoa import REASONS as ENGINE_REASONS
from engine.rf.tdoa import SPEED_IN_AIR_M_S

NASTY = "<img src=x onerror=alert(1)>"
MOMENT_S = 1_800_000_100.0
(X, Y) = web_mercator([45.5, 48.5], [6.5, 9.8])
VIEW = (float(X[0]), float(Y[0]), float(X[1]), float(Y[1]))


@pytest.fixture(scope="module")
def frame():
    """Six sensors, two emitters, one of them with a name that is a page; the second is heard by two alone."""
    lat, lon = np.array([46.0, 46.1, 47.9, 48.0, 47.0, 46.2]), np.array([7.0, 9.2, 7.1, 9.0, 8.1, 8.0])
    names = ["a", "b, c", NASTY, "d", "e", "f"]
    fold = ArrivalFold()
    n = len(names)
    fold.apply(event_table([0] * n, STANDS, names, "t", lat=lat, lon=lon, alt_m=np.full(n, 500.0)))
    rng = np.random.default_rng(1)
    for k, (entity, heard) in enumerate([(NASTY, n), ("quiet", 2), (NASTY, n)]):
        place = (47.1 + 0.1 * k, 8.3, 9_000.0)
        at = np.array(geodetic_to_ecef(*place))
        for i in range(heard):
            away = np.linalg.norm(at - np.array(geodetic_to_ecef(lat[i], lon[i], 500.0)))
            toa_ns = round(1e9 * away / SPEED_IN_AIR_M_S + rng.normal(0.0, 30.0))
            payload = pd.Series({"message": f"m{k}", "sensor": names[i], "toa_ns": toa_ns}).to_json()
            time_us = round((MOMENT_S - 60.0 + 20.0 * k) * 1e6)
            fold.apply(event_table([time_us], ARRIVAL, [entity], "t", lat=[place[0]], lon=[place[1]],
                                   alt_m=[place[2]], payload=[payload]))  # fmt: skip
    spec = LocateSpec(*field_bounds(VIEW), selected=NASTY, moment_s=MOMENT_S)
    fixes = locate_arrivals(fold.snapshot(MOMENT_S), FixSettings())
    return compute_locate_frame(spec, MOMENT_S, fixes, dilution_of(fixes, spec))


def test_a_link_says_everything_and_refuses_what_makes_no_sense():
    state = LocateState(off=("10", "b, c"), sigma_ns=50.0, tie=False, dilution="gdop", listed="sensors",
                        selected=f"{SENSOR}10", method="rssi", show_trails=False)  # fmt: skip
    query = dict(parse_qsl(to_query(state)))
    again = LocateState()
    assert from_query(query, again) == []
    assert to_query(again) == to_query(state) and again.off == ("10", "b, c") and query["mode"] == "rssi"
    refused = from_query({"sigma": "0", "off": ",", "dop": "best", "mode": "x"}, LocateState())
    assert len(refused) == 4 and any("names of sensors" in text for text in refused)


def test_every_reason_and_field_has_its_words():
    assert set(REASONS) == set(ENGINE_REASONS.values())
    assert set(DILUTIONS) >= {"error_m", "hdop_known_alt", "hdop", "gdop", "none"}


def test_names_are_text_and_only_text(frame):
    for html in (fix_html(frame, NASTY), sensor_html(frame, NASTY), fix_html(frame, "<b>gone</b>")):
        assert "<img" not in html and "<b>" not in html
    inspector = LocateInspector(LocateState(selected=NASTY))
    inspector.describe(frame)
    assert "&lt;img" in inspector.text.object and "ok" in inspector.text.object


def test_lists_say_what_there_is_and_why_there_is_none(frame):
    assert [row["state"] for row in fix_rows(listed(frame, "failed"))] == ["too few sensors"]
    assert len(fix_rows(listed(frame, "fixes"))) == 3
    newest = fix_rows(listed(frame, "newest"))
    assert [row["entity"] for row in newest] == [NASTY] and newest[0]["time_s"] == MOMENT_S - 20.0
    sensors = {row["sensor"]: row for row in sensor_rows(frame)}
    assert sensors["a"]["heard"] == 3 and sensors["f"]["heard"] == 2


def test_an_ellipse_is_drawn_where_the_fix_is_as_large_as_it_claims(frame):
    one = frame.fixes.table.iloc[frame.row]
    columns = ellipse_columns(frame)
    lat, lon = inverse_web_mercator(columns["xs"][0], columns["ys"][0])
    away = slant_range_m(one["lat"], one["lon"], 0.0, lat, lon, 0.0)
    assert away.max() == pytest.approx(one["ellipse_major_m"], rel=0.01)
    assert away.min() == pytest.approx(one["ellipse_minor_m"], rel=0.01)
    assert len(line_columns(frame)["xs"]) == one["n_sensors"] - 1


def test_a_sensor_is_switched_by_its_box_and_by_the_inspector(frame):
    state = LocateState(selected=f"{SENSOR}b, c")
    controls, inspector = LocateControls(state), LocateInspector(state)
    controls.offer(frame.sensors["sensor"].tolist())
    assert set(controls.sensors.value) == set(frame.sensors["sensor"])
    controls.sensors.value = [name for name in controls.sensors.value if name != "a"]
    assert state.off == ("a",)
    inspector.describe(frame)
    inspector.switch.clicks += 1
    assert state.off == ("a", "b, c")
    controls.offer(frame.sensors["sensor"].tolist())
    assert set(controls.sensors.value) == set(frame.sensors["sensor"]) - {"a", "b, c"}


def test_a_map_sends_only_what_changed_and_marks_what_is_selected(frame):
    state = LocateState(selected=NASTY)
    chart = LocateMap(state)
    chart.draw(frame)
    sent = {name: source.data for name, source in chart.sources.items()}
    chart.draw(frame)
    assert all(chart.sources[name].data is data for name, data in sent.items())
    assert set(sent["fixes"]) == set(EMPTY["fixes"]) and chart.sources["fixes"].selected.indices == [0]
    assert set(sensor_columns(frame, "dark")) == set(EMPTY["sensors"])
    chart.sources["sensors"].selected.indices = [1]
    assert state.selected == f"{SENSOR}{sent['sensors']['sensor'][1]}"


def test_a_past_frame_that_is_computed_once_more_is_drawn(frame):
    # Who stays at a past moment for half a minute and then pans: its fixes have made room and are made anew.
    locate_map = LocateMap(LocateState(selected=NASTY))
    locate_map.draw(frame)
    fixes = locate_arrivals(frame.fixes.arrivals, FixSettings())
    again = dataclasses.replace(
        fixes, arrivals=dataclasses.replace(fixes.arrivals, sensors=fixes.arrivals.sensors.copy())
    )
    locate_map.draw(compute_locate_frame(frame.spec, MOMENT_S, again, dilution_of(again, frame.spec)))
    assert len(locate_map.sources["sensors"].data["sensor"]) == 6


def test_files_say_what_is_on_the_screen(frame):
    table = pd.read_csv(io.BytesIO(csv_bytes(frame)))
    assert len(table) == 3 and table["reason"].tolist() == frame.fixes.table["reason"].tolist()
    kept = pd.read_parquet(io.BytesIO(parquet_bytes(frame)))
    assert np.allclose(kept["lat"], frame.fixes.table["lat"], equal_nan=True) and str(kept["time"].dt.tz) == "UTC"
    with xr.open_dataset(io.BytesIO(netcdf_bytes(frame)), engine="h5netcdf") as read:
        assert np.allclose(read["lat"], frame.fixes.table["lat"], equal_nan=True)
        assert read["ellipse_major_m"].attrs["units"] == "m" and read.attrs["sigma_ns"] == 100.0
    page = html_bytes(frame, VIEW, "dark").decode()
    assert "<img src=x" not in page and "cdn" not in page.split("</script>")[-2]
    assert len(locate_plot(frame, VIEW).renderers) > 8


def test_the_lines_find_the_same_position_again(frame):
    lines = python_lines(frame)
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        exec(compile(lines, "locate.py", "exec"), {})
    one = frame.fixes.table.iloc[frame.row]
    key, reason, lat, lon, alt_m = said.getvalue().strip().rsplit(", ", 4)
    assert (key, reason) == (one["key"], "ok")
    assert float(lat) == pytest.approx(one["lat"], abs=1e-8) and float(lon) == pytest.approx(one["lon"], abs=1e-8)
    assert float(alt_m) == pytest.approx(one["alt_m"], abs=1e-3)
