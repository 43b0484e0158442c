"""Overview levels say what reading everything says, are kept, bounded, and made anew when the file changes."""

from __future__ import annotations

import time

import h5py
import numpy as np
import pytest

from engine.hdf5 import Overviews
from engine.hdf5.folders import Inbox, files_in
from engine.hdf5.views import box_of


@pytest.fixture(scope="module")
def big(tmp_path_factory):
    values = np.random.default_rng(8).normal(size=(2100, 3333)).astype("f4")
    values[50:60, 70:100], values[2000, 3000] = np.nan, np.inf
    path = tmp_path_factory.mktemp("big") / "big.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("a", data=values, chunks=(100, 77), compression="lzf")
        file.create_dataset("line", data=values.ravel(), chunks=(5000,))
        file.create_dataset("cube", data=np.stack([values[:, :2600], values[:, :2600] + 1]), chunks=(1, 512, 512))
    return path


@pytest.fixture
def overviews(tmp_path):
    made = Overviews(tmp_path / "kept")
    yield made
    made.close()


def built(overviews, dataset, slices=()):
    overview = overviews.find(dataset, box_of(dataset, slices, None), build=True)
    end = time.monotonic() + 60
    while overview.state == "building" and time.monotonic() < end:
        time.sleep(0.01)
    assert overview.state == "ready", overview.problem
    return overview


@pytest.mark.parametrize(("name", "slices"), [("a", ()), ("line", ()), ("cube", (1,))])
def test_levels_say_what_reading_everything_says(opened, overviews, big, name, slices):
    dataset = opened(big)[name]
    overview = built(overviews, dataset, slices)
    for shape in ((260, 420), (100, 150), (30, 40)):
        quick = dataset.view(slices, shape, budget_s=0.0, overview=overview)
        slow = dataset.view(slices, shape, budget_s=60)
        assert (quick.attrs["how"], slow.attrs["how"]) == ("averaged", "averaged")
        assert quick.attrs["steps"] == slow.attrs["steps"]
        for key in ("nan", "inf", "box"):
            assert quick.attrs[key] == slow.attrs[key]
        np.testing.assert_allclose(quick.values, slow.values, rtol=1e-4, atol=1e-6)
        np.testing.assert_array_equal(quick[quick.dims[-1]], slow[slow.dims[-1]])


def test_a_finer_view_than_the_finest_level_is_read_from_the_file(opened, overviews, big):
    dataset = opened(big)["a"]
    overview = built(overviews, dataset)
    near = dataset.view([(0, 200), (0, 200)], shape=(256, 256), overview=overview)
    assert near.attrs["how"] == "exact"


def test_they_are_kept_and_a_changed_file_gets_new_ones(opened, overviews, big, tmp_path):
    path = tmp_path / "copy.h5"
    path.write_bytes(big.read_bytes())
    dataset = opened(path)["a"]
    built(overviews, dataset)
    again = Overviews(tmp_path / "kept")
    found = again.find(dataset, box_of(dataset, (), None))
    assert found is not None
    assert found.state == "ready"
    with h5py.File(path, "r+") as file:
        file["a"][0, 0] = 5.0
    changed = opened(path)["a"]
    assert again.find(changed, box_of(changed, (), None)) is None
    again.close()


def test_what_was_used_longest_ago_makes_room(opened, big, tmp_path):
    overviews = Overviews(tmp_path / "kept", max_bytes=1)
    tree = opened(big)
    first, second = built(overviews, tree["a"]), built(overviews, tree["cube"])
    assert not first.folder.exists()
    assert second.folder.exists()
    view = tree["a"].view(shape=(30, 40), budget_s=60, overview=first)
    assert view.attrs["how"] == "averaged", "without its level it is read from the file"
    overviews.close()


def test_small_datasets_and_angles_have_none(opened, overviews, tmp_path):
    with h5py.File(tmp_path / "small.h5", "w") as file:
        file["a"] = np.zeros((100, 100))
        file["z"] = np.zeros((10, 4000), complex)
    tree = opened(tmp_path / "small.h5")
    assert overviews.find(tree["a"], box_of(tree["a"], (), None), build=True) is None
    assert overviews.find(tree["z"], box_of(tree["z"], (), None), part="phase", build=True) is None


def test_files_are_found_by_ending_or_first_bytes_and_those_handed_in_are_bounded(tmp_path):
    with h5py.File(tmp_path / "odd name", "w"):
        pass
    (tmp_path / "text.txt").write_text("no")
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "x.NC").write_bytes(b"CDF")
    (tmp_path / ".hidden.h5").write_bytes(b"")
    assert {entry.name for entry in files_in([tmp_path])} == {"odd name", "below/x.NC"}
    assert [entry.name for entry in files_in([tmp_path], contains="x.n")] == ["below/x.NC"]
    inbox = Inbox(tmp_path / "in", max_bytes=10)
    path = inbox.write("../../a.h5", 0, b"12345")
    assert path.parent == inbox.folder
    assert inbox.write("../../a.h5", 5, b"678").read_bytes() == b"12345678"
    with pytest.raises(ValueError, match="begins at byte 3; 8 are there"):
        inbox.write("a.h5", 3, b"x")
    with pytest.raises(ValueError, match="too large"):
        inbox.write("b.h5", 0, b"xyz")
    inbox.close()
    assert not inbox.folder.exists()
