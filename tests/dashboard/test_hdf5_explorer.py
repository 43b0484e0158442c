"""The explorer without a browser: every real file walked through its rows, and what follows a click."""

from __future__ import annotations

import base64

import h5py
import numpy as np
import pytest
from bokeh.document import Document

from dashboard.components.hdf5_explorer import Hdf5Explorer
from dashboard.components.hdf5_tree import checked_action
from dashboard.components.line_view import LineSource, LineView
from data.registry import known
from engine.hdf5 import open_hdf5


@pytest.fixture
def folder(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w", libver="latest") as file:
        file.create_dataset("grid", data=np.arange(1200.0).reshape(30, 40), chunks=(10, 10), maxshape=(None, 40))
        file["deep/er/cube"] = np.arange(24.0).reshape(2, 3, 4)
        file["z"] = np.exp(1j * np.arange(20.0)).reshape(4, 5)
        file["line"] = np.arange(50.0)
        file["text"] = ["<b>bold</b>", "plain"]
        file["grid"].attrs["<script>"] = "<img src=x>"
        for n in range(450):
            file[f"many/{n:03d}"] = n
    with h5py.File(tmp_path / "b.h5", "w") as file:
        file["grid"] = np.ones((30, 40))
    return tmp_path


@pytest.fixture
def explorer(folder, tmp_path):
    made = Hdf5Explorer([folder], tmp_path / "in", max_upload_bytes=4096)
    made.open(folder / "a.h5")
    yield made
    made.close()


def click(explorer, path):
    explorer._act({"do": "choose", "path": path})


def names(explorer):
    return [row["name"] for row in explorer.rows.rows]


def test_a_click_shows_a_picture_a_line_or_a_table(explorer):
    click(explorer, "/grid")
    assert (explorer._heat.visible, explorer._line.visible, explorer._pages.visible) == (True, False, False)
    np.testing.assert_array_equal(explorer.view.picture.values, np.arange(1200.0).reshape(30, 40))
    click(explorer, "/line")
    assert explorer._line.visible
    np.testing.assert_array_equal(explorer.line.data.data["mean"], np.arange(50.0))
    click(explorer, "/text")
    assert explorer._pages.visible
    assert "&lt;b&gt;bold&lt;/b&gt;" in explorer.table.object
    click(explorer, "/grid")
    assert "&lt;script&gt;" in explorer.facts.object
    assert "<img" not in explorer.facts.object
    explorer.kind.value = "Table"
    assert "<td>0</td>" in explorer.table.object


def test_groups_open_close_and_come_page_by_page(explorer):
    click(explorer, "/deep")
    explorer._act({"do": "toggle", "path": "/deep"})
    assert "er" in names(explorer)
    explorer._act({"do": "toggle", "path": "/deep"})
    assert "er" not in names(explorer)
    explorer._act({"do": "toggle", "path": "/many"})
    assert "250 more …" in names(explorer)
    explorer._act({"do": "more", "path": "/many"})
    explorer._act({"do": "more", "path": "/many"})
    assert "449" in names(explorer)
    assert not any("more" in name for name in names(explorer))


def test_sliders_choose_the_cut_through_many_dimensions(explorer):
    click(explorer, "/deep/er/cube")
    slices, cube = explorer.slices, np.arange(24.0).reshape(2, 3, 4)
    assert slices.axes == (1, 2)
    slices.places[0].value = 1
    np.testing.assert_array_equal(explorer.view.picture.values, cube[1])
    slices.rows.value = 0
    assert set(slices.places) == {1}
    slices.places[1].value = 2
    np.testing.assert_array_equal(explorer.view.picture.values, cube[:, 2])
    slices.rows.value = None
    assert explorer._line.visible
    slices.places[1].value = 1
    np.testing.assert_array_equal(explorer.line.data.data["mean"], cube[0, 1])


def test_parts_of_complex_numbers_are_chosen_and_phases_have_their_own_colours(explorer):
    click(explorer, "/z")
    assert explorer.view.drawn_with.cyclic is False
    explorer.slices.part.value = "phase"
    np.testing.assert_allclose(explorer.view.picture.values, np.angle(np.exp(1j * np.arange(20.0))).reshape(4, 5))
    assert explorer.view.drawn_with.cyclic


def test_the_same_place_and_view_stay_from_file_to_file(explorer, folder):
    click(explorer, "/grid")
    explorer.view.ranges.viewport.data = {"v": [3, 3, 9, 9, 300, 300]}
    explorer.view.scale = "equalised"
    explorer.open(folder / "b.h5")
    assert explorer.path == "/grid"
    assert explorer.view.ranges.view == (3, 3, 9, 9)
    assert explorer.view.scale == "equalised"
    assert (explorer.view.picture.values == 1).all()


def test_a_file_that_grows_is_followed_in_the_same_view(explorer, folder):
    click(explorer, "/grid")
    explorer.view.ranges.viewport.data = {"v": [3, 3, 9, 9, 300, 300]}
    with h5py.File(folder / "a.h5", "r+", locking=True) as file:
        file["grid"].resize((50, 40))
        file["grid"][:10] = -5.0
    explorer.look_again()
    assert explorer.view.source.bounds[3] == 49.5
    assert explorer.view.ranges.view == (3, 3, 9, 9)
    assert (explorer.view.picture.sel(y=slice(0, 9)).values == -5).all()


def test_what_cannot_be_opened_says_so_and_nothing_outside_is_opened(explorer, folder, tmp_path_factory):
    (folder / "no.h5").write_text("<b>no</b>")
    explorer.open(folder / "no.h5")
    assert "is no HDF5 file" in explorer.error
    assert "<b>" not in explorer.said.object
    outside = tmp_path_factory.mktemp("outside") / "secret.h5"
    with h5py.File(outside, "w") as file:
        file["a"] = 1
    explorer.open(outside)
    assert "outside the allowed folders" in explorer.error
    explorer.open(folder / "a.h5")
    assert explorer.error == ""


def test_a_file_is_handed_in_piece_by_piece_and_one_that_is_too_large_is_refused(explorer, folder):
    content = (folder / "b.h5").read_bytes()[:3000]
    for at in range(0, len(content), 1000):
        message = {"do": "piece", "name": "../mine.h5", "at": at, "size": len(content),
                   "content": base64.b64encode(content[at : at + 1000]).decode()}  # fmt: skip
        explorer._act(checked_action(message))
    assert explorer.file == str(explorer.inbox.folder / "mine.h5")
    assert explorer.rows.received == 3000
    explorer._act(
        checked_action(message | {"name": "big.h5", "at": 0, "content": base64.b64encode(bytes(5000)).decode()})
    )
    assert "too large" in explorer.rows.note
    assert explorer.rows.received < 0


@pytest.mark.parametrize("message", [None, 3, {}, {"do": "open"}, {"do": "choose", "path": 3}, {"do": "piece"},
                                     {"do": "piece", "name": "a", "at": -1, "size": 1, "content": ""},
                                     {"do": "piece", "name": "a", "at": 0, "size": 1, "content": "!"}])  # fmt: skip
def test_messages_that_make_no_sense_are_dropped(message):
    assert checked_action(message) is None


def test_a_long_line_has_a_band_and_single_cells_have_dots(tmp_path):
    values = np.random.default_rng(0).normal(size=100_000)
    with h5py.File(tmp_path / "line.h5", "w") as file:
        file["a"] = values
    view = LineView(LineSource(open_hdf5(tmp_path / "line.h5")["a"]))
    data = view.data.data
    assert "band" in view.status
    assert data["min"].min() == pytest.approx(values.min(), rel=1e-6)
    assert data["max"].max() == pytest.approx(values.max(), rel=1e-6)
    view.ranges.viewport.data = {"v": [100.5, -3, 130.5, 3, 500, 300]}
    np.testing.assert_array_equal(view.data.data["mean"], values[101:131])
    assert view._dots.visible


def test_names_of_an_enum_are_told_with_its_picture(real_data, tmp_path):
    path = real_data("hdf5/test_enum_datasets_earliest.hdf5")
    explorer = Hdf5Explorer([path.parent], tmp_path)
    explorer.open(path, "/2d_enum_uint8_data")
    for said in ("0 = RED", "1 = GREEN", "2 = BLUE", "3 = YELLOW"):
        assert said in explorer.view.status
    explorer.close()


def test_every_object_of_every_real_file_can_be_clicked(real_data, tmp_path):
    paths = [real_data(name) for name in sorted(known()) if name.startswith("hdf5/")]
    explorer = Hdf5Explorer([paths[0].parent], tmp_path)
    clicked = 0
    for path in paths:
        explorer.open(path)
        assert explorer.error == ""
        for row in list(explorer.rows.rows)[1:6]:
            click(explorer, row["path"])
            clicked += 1
            assert explorer.view.error == explorer.line.error == ""
            assert not explorer.error or row["kind"] == "problem"
    assert clicked > 100
    document = Document()
    document.add_root(explorer.__panel__().get_root(document))
    explorer.close()


def test_a_file_that_is_away_for_a_moment_keeps_its_picture_and_comes_back(explorer, folder):
    click(explorer, "/grid")
    content = (folder / "a.h5").read_bytes()
    (folder / "a.h5").write_bytes(b"in the middle of a write")
    explorer.look_again()
    assert "tried again" in explorer.error
    assert explorer._heat.visible
    explorer.look_again()
    (folder / "a.h5").write_bytes(content)
    explorer.look_again()
    assert explorer.error == ""
    np.testing.assert_array_equal(explorer.view.picture.values, np.arange(1200.0).reshape(30, 40))
