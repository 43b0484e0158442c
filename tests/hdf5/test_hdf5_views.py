"""What is in view: exact, averaged or sampled, and always said which; damaged and odd values counted."""

from __future__ import annotations

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.hdf5 import Unreadable
from engine.hdf5.reduce import block_reduce, combine
from engine.hdf5.views import box_of


@pytest.fixture(scope="module")
def field() -> np.ndarray:
    return np.random.default_rng(3).normal(size=(700, 900))


@pytest.fixture(scope="module")
def stored(tmp_path_factory, field):
    path = tmp_path_factory.mktemp("views") / "field.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("chunked", data=field, chunks=(64, 50), compression="gzip")
        file.create_dataset("plain", data=field)
        file.create_dataset("cube", data=field.reshape(7, 100, 900), chunks=(1, 100, 90))
        file.create_dataset("z", data=field * np.exp(1j * np.arange(900)))
        file.create_dataset("long", data=field.ravel(), chunks=(1000,))
        file.create_dataset("whole", data=np.arange(24, dtype="i8").reshape(4, 6) + 2**60)
        file.create_dataset("packed", data=(100 * field).astype("i2")).attrs.update(scale_factor=0.01, add_offset=2.0)
    return path


def slow_mean(values: np.ndarray, sy: int, sx: int) -> np.ndarray:
    out = np.full((-(-values.shape[0] // sy), -(-values.shape[1] // sx)), np.nan)
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            block = values[i * sy : (i + 1) * sy, j * sx : (j + 1) * sx].astype("f8")
            if np.isfinite(block).any():
                out[i, j] = block[np.isfinite(block)].mean()
    return out


@pytest.mark.parametrize("name", ["chunked", "plain"])
def test_a_view_that_fits_is_exact_and_bit_for_bit_the_cells(opened, stored, field, name):
    view = opened(stored)[name].view([(101, 300), (7, 402)], shape=(512, 512))
    assert view.attrs["how"] == "exact"
    np.testing.assert_array_equal(view.values, field[101:300, 7:402])
    np.testing.assert_array_equal(view.coords["dim_0"], np.arange(101, 300))


@pytest.mark.parametrize("name", ["chunked", "plain"])
def test_a_view_that_does_not_fit_is_the_mean_of_blocks_counted_from_cell_0(opened, stored, field, name):
    view = opened(stored)[name].view([(101, 699), (7, 851)], shape=(100, 200), budget_s=60)
    assert view.attrs["how"] == "averaged"
    assert view.shape[0] <= 100
    assert view.shape[1] <= 200
    (sy, sx), ((y0, y1), (x0, x1)) = view.attrs["steps"], view.attrs["box"]
    assert y0 % sy == 0
    assert x0 % sx == 0
    assert y0 <= 101 < 699 <= y1
    np.testing.assert_allclose(view.values, slow_mean(field[y0:y1, x0:x1], sy, sx), rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(view.coords["dim_1"][0], x0 + (sx - 1) / 2)


@pytest.mark.parametrize("name", ["chunked", "plain", "cube"])
def test_without_time_single_cells_are_shown_and_how_many_chunks_were_read_is_said(opened, stored, field, name):
    view = opened(stored)[name].view(shape=(32, 32), budget_s=1e-4)
    assert view.attrs["how"] == "sampled"
    assert 0 < view.attrs["share"] <= 1
    values = field.reshape(7, 100, 900)[0] if name == "cube" else field
    if view.attrs["share"] == 1:
        assert np.isin(view.values, values).all()
    assert values.min() <= np.nanmin(view.values) <= np.nanmax(view.values) <= values.max()


def test_any_two_dimensions_make_the_picture_in_either_order(opened, stored, field):
    cube, dataset = field.reshape(7, 100, 900), opened(stored)["cube"]
    np.testing.assert_array_equal(dataset.view([3]).values[:, :5], dataset.view([3, ..., (0, 900)]).values[:, :5])
    np.testing.assert_array_equal(dataset.view([..., 17], shape=(200, 200)).values, cube[:, :, 17])
    turned = dataset.view([2, (0, 50), (0, 60)], axes=(2, 1))
    np.testing.assert_array_equal(turned.values, cube[2, :50, :60].T)
    assert turned.dims == ("dim_2", "dim_1")
    np.testing.assert_array_equal(dataset.view([5, 6], shape=(1, 1000), axes=(2,)).values, cube[5, 6])


def test_a_line_that_does_not_fit_has_mean_least_and_greatest_of_each_stretch(opened, stored, field):
    line = opened(stored)["long"].view(shape=(1, 500), budget_s=60)
    (step,), ((low, high),) = line.attrs["steps"], line.attrs["box"]
    assert line.dims == ("stat", "dim_0")
    parts = [field.ravel()[at : min(at + step, high)] for at in range(low, high, step)]
    for name, rule in (("mean", np.mean), ("min", np.min), ("max", np.max)):
        np.testing.assert_allclose(line.sel(stat=name), [rule(part) for part in parts], rtol=1e-5, atol=1e-7)


def test_parts_of_complex_numbers(opened, stored, field):
    z = field * np.exp(1j * np.arange(900))
    dataset = opened(stored)["z"]
    wish = [(0, 200), (0, 300)]
    for part, rule in (("value", np.abs), ("magnitude", np.abs), ("phase", np.angle), ("real", np.real),
                       ("imaginary", np.imag)):  # fmt: skip
        np.testing.assert_array_equal(dataset.view(wish, part=part).values, rule(z[:200, :300]))
    assert dataset.view(wish, part="phase").attrs["units"] == "rad"
    coarse = dataset.view(shape=(50, 50), part="phase", budget_s=60)
    assert coarse.attrs["how"] == "sampled", "angles have no mean"
    assert np.isin(coarse.values, np.angle(z)).all()


def test_whole_numbers_stay_whole_and_packed_ones_are_unpacked(opened, stored, field):
    whole = opened(stored)["whole"].view()
    assert whole.dtype == np.int64
    np.testing.assert_array_equal(whole.values, np.arange(24).reshape(4, 6) + 2**60)
    packed = opened(stored)["packed"].view([(0, 100), (0, 100)])
    np.testing.assert_allclose(packed.values, 0.01 * (100 * field).astype("i2")[:100, :100] + 2.0, rtol=1e-6)


def test_a_picture_does_not_shimmer_when_it_is_moved(opened, stored):
    dataset = opened(stored)["chunked"]
    one = dataset.view([(0, 640), (0, 640)], shape=(100, 100), budget_s=60)
    other = dataset.view([(11, 651), (37, 677)], shape=(100, 100), budget_s=60)
    shared = {dim: sorted(set(one[dim].values) & set(other[dim].values)) for dim in one.dims}
    assert min(map(len, shared.values())) > 30
    np.testing.assert_array_equal(one.sel(shared).values, other.sel(shared).values)


def test_damaged_chunks_are_nan_and_counted_and_the_rest_is_shown(opened, tmp_path, field):
    path = tmp_path / "damaged.h5"
    with h5py.File(path, "w") as file:
        dataset = file.create_dataset("a", data=field, chunks=(100, 100), fletcher32=True)
        places = [dataset.id.get_chunk_info_by_coord(at).byte_offset for at in ((0, 0), (200, 300))]
    with open(path, "r+b") as raw:
        for place in places:
            raw.seek(place + 1000)
            raw.write(b"\xff\x00\xff")
    view = opened(path)["a"].view([(0, 400), (0, 500)])
    assert view.attrs["damaged"] == 2
    assert "filter returned failure" in view.attrs["damage"]
    assert view.attrs["nan"] == 2 * 100 * 100
    expected = field[:400, :500].copy()
    expected[:100, :100] = expected[200:300, 300:400] = np.nan
    np.testing.assert_array_equal(view.values, expected.astype(view.dtype))
    assert opened(path)["a"].view(shape=(70, 70), budget_s=60).attrs["damaged"] == 2


def test_nan_and_infinite_cells_are_counted_and_left_out_of_means(opened, tmp_path):
    values = np.ones((64, 64), "f4")
    values[3, :5], values[40, 40], values[41, 41] = np.nan, np.inf, -np.inf
    with h5py.File(tmp_path / "odd.h5", "w") as file:
        file["a"] = values
    exact = opened(tmp_path / "odd.h5")["a"].view()
    assert (exact.attrs["nan"], exact.attrs["inf"]) == (5, 2)
    averaged = opened(tmp_path / "odd.h5")["a"].view(shape=(16, 16), budget_s=60)
    assert (averaged.attrs["nan"], averaged.attrs["inf"]) == (5, 2)
    assert (averaged.values[np.isfinite(averaged.values)] == 1).all()


@pytest.mark.parametrize(
    ("slices", "axes", "words"),
    [
        ([7, 0, 0], None, "index 7 of dimension 0; it must be from -7 to 6"),
        ([0, (90, 90)], None, "is empty"),
        ([0, slice(0, 9, 2)], None, "a step of 2"),
        ([0, 0, 0, 0], None, "the dataset has 3 dimensions"),
        ([], (0, 0), "one or two different dimensions"),
    ],
)
def test_what_does_not_fit_is_named(opened, stored, slices, axes, words):
    with pytest.raises(ValueError, match=words):
        box_of(opened(stored)["cube"], slices, axes)


def test_what_has_no_picture_says_so(opened, stored, tmp_path):
    with h5py.File(tmp_path / "none.h5", "w") as file:
        file["scalar"] = 3.0
        file["null"] = h5py.Empty("f8")
        file["none"] = np.zeros((0, 5))
        file["text"] = ["a", "b"]
    tree = opened(tmp_path / "none.h5")
    for name, words in (("scalar", "one value"), ("null", "null space"), ("none", "no values"), ("text", "no number")):
        with pytest.raises(Unreadable, match=words):
            tree[name].view()
    assert tree["scalar"].table()["value"].tolist() == [3.0]
    assert tree["null"].table().empty
    with pytest.raises(Unreadable, match="'phase' cannot be shown"):
        opened(stored)["plain"].view(part="phase")


@settings(max_examples=60)
@given(
    st.integers(1, 40), st.integers(1, 40), st.integers(0, 4), st.integers(0, 4), st.integers(0, 2), st.integers(0, 99)
)
def test_levels_from_levels_are_the_levels_of_the_cells(ny, nx, ky, kx, more, seed):
    rng = np.random.default_rng(seed)
    cells = rng.normal(size=(ny, nx))
    cells[rng.random((ny, nx)) < 0.2] = np.nan
    cells[rng.random((ny, nx)) < 0.05] = np.inf
    steps, factor = (2**ky, 2**kx), 2**more
    fine = block_reduce(cells, steps, extremes=True)
    np.testing.assert_allclose(fine["mean"], slow_mean(cells, *steps), rtol=1e-9, atol=1e-12)
    weights = block_reduce(np.ones((ny, nx)), steps)["mean"]
    sizes = [np.minimum(np.arange(0, n, s) + s, n) - np.arange(0, n, s) for n, s in zip((ny, nx), steps, strict=True)]
    assert weights.shape == (len(sizes[0]), len(sizes[1]))
    coarse = combine(fine, np.multiply.outer(*sizes), (factor, factor))
    direct = block_reduce(cells, (steps[0] * factor, steps[1] * factor), extremes=True)
    for name in ("mean", "min", "max", "nan", "inf"):
        if name in direct:
            np.testing.assert_allclose(coarse[name], direct[name], rtol=1e-9, atol=1e-12)
