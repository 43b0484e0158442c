"""The Volume page's parts: its links, what it sends to the browser, what it offers to take along."""

import io
import json
import math
import re
import zlib
from urllib.parse import parse_qsl

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard.components.volume_canvas import VolumeCanvas, checked_camera, place_of, points_of, shown_ids
from dashboard.components.volume_inspector import emitter_html, point_html
from dashboard.components.volume_state import VolumeState
from dashboard.components.volume_take_along import html_bytes, netcdf_bytes, python_lines
from dashboard.components.volume_view import planes_spec, volume_spec
from dashboard.share import from_query, to_query
from engine.frames.volume_frame import compute_volume_frame
from engine.frames.volume_planes import compute_planes_frame
from engine.frames.volume_spec import DETAILS
from tests.dashboard.conftest import START_S


@pytest.fixture(scope="module")
def frames(picture):
    """A volume and planes of the state, from the tracks of a field frame a few seconds apart."""

    def build(state, later_s=0.0, **picture_options):
        seen = picture(12, moment_s=START_S + 50.0 + later_s, cells=1_024, **picture_options)
        tracks, moment_s = seen.tracks, seen.moment_s
        return (
            compute_volume_frame(volume_spec(state, None), moment_s, tracks),
            compute_planes_frame(planes_spec(state, None), moment_s, tracks),
        )

    return build


def inflated(message):
    return np.frombuffer(zlib.decompress(message["data"]), np.uint8)


def test_a_link_says_camera_cut_line_point_and_detail():
    mine = VolumeState(
        camera=(33.5, 41.0, 2.2, 0.4, 0.6, 0.1), alt_m=11_250.0,
        line=(46.1, 6.5, 47.3, 9.25), probe=(46.5, 7.5, 8_000.0), detail="32", exaggeration=14.0,
        opacity=0.35, shown="section", show_forecast=False, theme="dark",
    )  # fmt: skip
    yours = VolumeState()
    query = dict(pair.split("=") for pair in to_query(mine).split("&"))
    assert from_query(query, yours) == []
    for name in (
        "camera",
        "alt_m",
        "line",
        "probe",
        "detail",
        "exaggeration",
        "opacity",
        "shown",
        "theme",
        "show_forecast",
    ):
        assert getattr(yours, name) == getattr(mine, name), name
    assert to_query(yours) == to_query(mine)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("camera", "0,0,1"), ("camera", "0,0,99,0,0,0"), ("line", "46,7,46,7"), ("line", "96,7,46,8"),
        ("probe", "46,7"), ("probe", "46,197,3"), ("detail", "512"), ("slice", "-5"), ("heights", "nan"),
    ],
)  # fmt: skip
def test_what_a_link_says_wrong_is_refused_by_name_and_the_rest_stays(name, text):
    state = VolumeState()
    before = to_query(state)
    (sentence,) = from_query({name: text}, state)
    assert name in sentence and to_query(state) == before


@given(st.integers(150_000_000_000, 400_000_000_000), st.integers(-6_000, 6_000))
def test_the_picture_of_a_link_is_that_of_the_moment_it_was_copied_at(hundredths, microseconds):
    moment_s = (10_000 * hundredths + microseconds) / 1e6
    mine, yours = VolumeState(mode="paused", moment_s=moment_s), VolumeState()
    assert from_query(dict(parse_qsl(to_query(mine))), yours) == []
    wanted = volume_spec(mine, mine.moment_s)
    assert volume_spec(yours, yours.moment_s) == wanted
    # Its caption says the second that the strip says.
    assert math.floor(wanted.moment_s) == math.floor(moment_s + 1e-6)
    assert 0.0 <= moment_s + 1e-6 - wanted.moment_s < 0.011


def test_the_automatic_detail_is_coarser_while_a_replay_runs():
    assert volume_spec(VolumeState(), None).detail == "64x16"
    assert volume_spec(VolumeState(mode="replaying"), 100.0).detail == "32"
    assert volume_spec(VolumeState(mode="replaying", detail="128x32"), 100.0).detail == "128x32"
    assert {volume_spec(VolumeState(detail=d), None).detail for d in DETAILS} == set(DETAILS)


def test_only_what_changed_is_sent_and_the_camera_is_left_alone(frames):
    state = VolumeState(detail="16")
    (first, _), (second, _) = frames(state), frames(state, 5.0)
    canvas = VolumeCanvas(camera=[1.0, 2.0, 3.0, 0.5, 0.5, 0.5])
    canvas.draw(first, "")
    whole = inflated(canvas.volume)
    assert canvas.volume["base"] == 0 and np.array_equal(whole, first.levels.ravel())
    place = canvas.place
    canvas.draw(second, "")
    assert canvas.volume["base"] == first.version
    assert np.array_equal(whole ^ inflated(canvas.volume), second.levels.ravel())
    assert canvas.place is place and canvas.camera == [1.0, 2.0, 3.0, 0.5, 0.5, 0.5]
    sent = canvas.volume
    canvas.draw(second, "")
    assert canvas.volume is sent
    # A browser that lost a step asks for all of it.
    canvas._handle_msg({"do": "again"})
    assert canvas.volume["base"] == 0 and np.array_equal(inflated(canvas.volume), second.levels.ravel())


def test_emitters_are_points_inside_the_box_and_the_selected_one_is_known(frames):
    frame, _ = frames(VolumeState(detail="16"))
    ids = shown_ids(frame)
    points = points_of(frame, ids[3])
    now = np.frombuffer(points["now"], np.float32).reshape(-1, 3)
    assert len(now) == len(ids) == 12 and points["selected"] == 3
    assert (now >= 0).all() and (now <= 1).all()
    row = list(frame.tracks.table["id"]).index(ids[3])
    assert now[3, 2] == pytest.approx(frame.now.alt_m[row] / 20_000, rel=1e-5)
    place = place_of(frame)
    assert 300 < place["width_km"] < 700 and np.nanmax(np.frombuffer(place["borders"], np.float32)) <= 1.0


@pytest.mark.parametrize("camera", [None, [1], [0, 0, 1, 0, 0, float("nan")], ["a"] * 6, [1e9] * 6])
def test_a_camera_that_is_none_is_not_taken(camera):
    told = []
    canvas = VolumeCanvas()
    canvas.on_action = told.append
    canvas._handle_msg({"do": "camera", "camera": camera})
    assert checked_camera(camera) is None and told == []


def test_text_from_data_is_text(frames):
    frame, planes = frames(VolumeState(detail="16"), ids=["<b>a</b>", "b"], payload={"callsign": "<i>x</i>"})
    html = emitter_html(frame, "<b>a</b>")
    assert "<b>a" not in html and "<i>x" not in html and "&lt;b&gt;" in html
    assert "dBm" in point_html(planes, (46.8, 8.0, 9_000.0), "dBm")


def test_the_file_holds_half_floats_compressed_with_their_error(frames, tmp_path):
    frame, _ = frames(VolumeState(detail="32"))
    with h5py.File(io.BytesIO(netcdf_bytes(frame))) as file:
        stored = file["power_dbm"]
        assert stored.dtype == np.float16 and stored.compression == "gzip" and stored.shape == (32, 32, 32)
        error = float(np.ravel(stored.attrs["error_db"])[0])
        exact = frame.to_dataset().power_dbm.to_numpy()
        assert np.nanmax(np.abs(stored[:].astype("f8") - exact)) <= error < 0.07


def test_the_page_to_take_along_names_no_other_place_and_holds_the_volume(frames):
    state = VolumeState(detail="16")
    frame, _ = frames(state)
    text = html_bytes(frame, state, "dBm").decode()
    own = text.split("</script></head>")[1]
    assert not re.search(r"https?://|src=", own)
    data = re.search(r'JSON\.parse\((".*?[^\\]")\, \(key', own)
    assert json.loads(json.loads(data[1]))["volume"]["nx"] == 16


def test_the_python_lines_compute_the_same_again(frames):
    state = VolumeState(detail="16", horizon=False)
    frame, planes = frames(state)
    told = {}
    exec(compile(python_lines(frame, planes), "volume.py", "exec"), told)
    np.testing.assert_allclose(told["volume"].power_dbm, frame.to_dataset().power_dbm, atol=2e-4)
    np.testing.assert_allclose(told["section"].power_dbm, planes.section_dataset().power_dbm, atol=2e-4)
    assert told["slice_"].power_dbm.shape == planes.slice.shape[1:]
