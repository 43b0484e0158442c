"""Measured fields: what a link says, what is taken along, and what the inspector calls by name."""

from __future__ import annotations

import contextlib
import io
import os
import re

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from dashboard.components.measured_columns import residual_limit
from dashboard.components.measured_inspector import MeasuredInspector
from dashboard.components.measured_map import MeasuredMap, colours_of
from dashboard.components.measured_state import MeasuredState
from dashboard.components.measured_take_along import html_bytes, netcdf_bytes, python_lines
from dashboard.exports_measured import csv_bytes
from dashboard.share import from_query, to_query
from engine.frames.measured_fold import MeasurementFold
from engine.frames.measured_frame import MeasuredFrame, MeasuredSpec, compute_measured
from engine.ingest import read_rssi

NAME = "<img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def frame() -> MeasuredFrame:
    rng = np.random.default_rng(3)
    n = 90
    lat, lon = 40.765 + rng.uniform(-0.006, 0.006, n), -111.845 + rng.uniform(-0.008, 0.008, n)
    metres = np.hypot((lat - 40.765) * 111_050.0, (lon + 111.845) * 84_420.0)
    table = pd.DataFrame(
        {
            "time": pd.date_range("2022-04-25", periods=n, freq="s", tz="UTC"), "lat": lat, "lon": lon,
            "rssi_db": 10.0 - 30.0 * np.log10(metres) + rng.normal(0.0, 4.0, n), "receiver": NAME,
            "receiver_lat": 40.765, "receiver_lon": -111.845, "transmitter": "van", "freq_hz": 462.7e6,
        }
    )  # fmt: skip
    fold = MeasurementFold()
    fold.apply(read_rssi(table.to_csv(index=False).encode(), "walk")[0])
    spec = MeasuredSpec("walk", "van", NAME, 1, cells=16)
    return compute_measured(spec, fold.rows("walk", "van", NAME))


def test_a_link_says_all_of_it_and_refuses_what_makes_no_sense() -> None:
    state = MeasuredState(receiver=NAME, layer="residual", law="two_ray", block_m=400.0, carried_m=2.0, fixed_m=30.0,
                          grid_cells=160, area=(-111.86, 40.75, -111.82, 40.78), selected="measurement:3")  # fmt: skip
    pairs = dict(part.split("=", 1) for part in to_query(state).split("&"))
    from urllib.parse import unquote

    again = MeasuredState()
    assert from_query({name: unquote(value) for name, value in pairs.items()}, again) == []
    assert to_query(again) == to_query(state) and again.receiver == NAME
    refused = from_query({"area": "1,2,0,3", "law": "magic", "fixed": "-1", "block": "7"}, MeasuredState())
    assert len(refused) == 4 and refused[0].startswith("law is 'magic'; one of kriged")


def test_what_is_taken_along_is_what_is_on_the_screen(frame: MeasuredFrame, tmp_path) -> None:
    state = MeasuredState(law="log_distance", theme="dark")
    table = frame.table("log_distance", 1.5, 15.0)
    points = pd.read_csv(io.BytesIO(csv_bytes(frame, state)))
    np.testing.assert_allclose(points["residual_db"], table["residual_db"])
    path = tmp_path / "measured.nc"
    path.write_bytes(netcdf_bytes(frame, state))
    with xr.open_dataset(path, engine="h5netcdf") as fields:
        np.testing.assert_array_equal(fields["modelled_db"], frame.field["model_db"])
        assert {fields[name].attrs["units"] for name in ("modelled_db", "sigma_db", "point_residual_db")} == {"dB"}
        assert fields["point_time"].dtype.kind == "M" and fields.attrs["exponent"] == frame.law.exponent
    page = html_bytes(frame, state).decode()
    assert page.count("<script") >= 2 and not re.search(r"<(?:script|link)[^>]+(?:src|href)=", page)


def test_points_taken_along_can_be_handed_in_again(frame: MeasuredFrame) -> None:
    fold = MeasurementFold()
    fold.apply(read_rssi(csv_bytes(frame, MeasuredState()), "again")[0])
    back = fold.rows("walk", "van", NAME)
    for name in ("lat", "lon", "rssi_db", "fixed_lat", "fixed_lon", "freq_hz"):
        np.testing.assert_allclose(back[name], frame.points[name], rtol=1e-12)
    assert (back["time"] == frame.points["time"]).all()


def test_the_lines_make_the_same_numbers_again(frame: MeasuredFrame, tmp_path) -> None:
    (tmp_path / "measured.csv").write_bytes(csv_bytes(frame, MeasuredState()))
    here, names = os.getcwd(), {}
    os.chdir(tmp_path)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            exec(compile(python_lines(frame), "measured.py", "exec"), names)
    finally:
        os.chdir(here)
    np.testing.assert_allclose(names["field"]["rssi_db"], frame.field["rssi_db"], atol=1e-4)
    scores, want = names["scores"].set_index(["method", "records"]), frame.scores(1.5, 15.0)
    for row in want[want["method"].isin(["kriged", "fitted", "log_distance"])].itertuples():
        assert scores.loc[(row.method, row.records), "rmse_db"] == pytest.approx(row.rmse_db, rel=1e-6)


def test_names_are_text_and_a_model_without_a_value_says_so(frame: MeasuredFrame) -> None:
    state = MeasuredState(selected="measurement:4")
    inspector = MeasuredInspector(state)
    inspector.describe(frame)
    html = inspector.text.object
    assert "<img" not in html and "&lt;img src=x onerror=alert(1)&gt;" in html
    inspector.describe(None)
    assert "Waiting" in inspector.text.object
    from dataclasses import replace

    inspector.describe(replace(frame, predictions=None, left_out="too <few>"))
    assert "not known" in inspector.text.object and "too &lt;few&gt;" in inspector.text.object


def test_scales_are_shared_zero_centred_and_readable_without_colour(frame: MeasuredFrame) -> None:
    maps = MeasuredMap(MeasuredState())
    maps.draw(frame)
    ends = {name: (bar.color_mapper.low, bar.color_mapper.high) for name, bar in maps._bars.items()}
    assert ends["measured"] == ends["modelled"] == frame.limits_db()
    half = residual_limit(frame.table("kriged", 1.5, 15.0))
    assert ends["residual"] == (-half, half) and half % 5 == 0
    for theme in ("light", "dark"):
        for panel in ("measured", "uncertainty"):
            # relative luminance runs one way (WCAG 2.1), so that grey tells the order
            rgb = np.array([[int(c[i : i + 2], 16) for i in (1, 3, 5)] for c in colours_of(panel, theme)]) / 255.0
            linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
            light = linear @ [0.2126, 0.7152, 0.0722]
            assert (np.sign(np.diff(light[::8])) == np.sign(light[-1] - light[0])).all()
