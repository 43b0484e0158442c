"""Every real file opens or is explained, and says what h5py says of it."""

from __future__ import annotations

from pathlib import Path

import h5py
import hdf5plugin  # noqa: F401 - h5py decompresses with it
import numpy as np
import pytest

from data.registry import known
from engine.hdf5 import Dataset, Hdf5Error

NAMES = sorted(name for name in known() if name.startswith("hdf5/"))

# What h5py itself does not open; and what is in it, from the program that wrote it (jHDF: rows of 0, 1, 2 …).
MARKED = "hdf5/test_byteshuffle_compressed_datasets_latest.hdf5"

# Objects that cannot be shown, and a word of why.
EXPLAINED = {
    "hdf5/test_file.hdf5": {
        "/links_group/broken_soft_link": "soft link to /datasets_group/int/missing_dataset",
        "/links_group/external_link_to_missing_file": "external link to /external_dataset in missing_file.hdf5",
    },
}


def members_by_h5py(path: Path) -> dict[str, h5py.Dataset | h5py.Group]:
    found: dict[str, object] = {}

    def walk(group: h5py.Group, place: str, above: tuple[object, ...]) -> None:
        for name in group:
            link = group.get(name, getlink=True)
            inner = f"{place}/{name}"
            found[inner] = None
            if not isinstance(link, h5py.HardLink):
                continue
            found[inner] = member = group[name]
            if isinstance(member, h5py.Group) and member.id not in above:
                walk(member, inner, (*above, member.id))

    walk(h5py.File(path, "r", locking=False), "", ())
    return found  # type: ignore[return-value]


def test_there_are_forty_four_of_them():
    assert len(NAMES) == 44


@pytest.mark.parametrize("name", [name for name in NAMES if name != MARKED])
def test_members_shapes_types_and_values_are_those_of_h5py(name, real_data, opened):
    path = real_data(name)
    expected = members_by_h5py(path)
    tree = opened(path)
    walked = dict(tree.walk())
    assert set(walked) == set(expected)
    compared = 0
    for place, theirs in expected.items():
        why = EXPLAINED.get(name, {}).get(place)
        if why:
            with pytest.raises(Hdf5Error, match=why):
                tree[place]
            assert why in walked[place].problem
            continue
        if theirs is None or compared >= 40:
            continue
        node = tree[place]
        assert len(node.attributes) == len(theirs.attrs) if not isinstance(theirs, h5py.Datatype) else True
        assert [a for a in node.attributes if a.problem] == []
        if isinstance(theirs, h5py.Dataset):
            compared += 1
            assert node.shape == theirs.shape
            assert node.chunks == theirs.chunks
            assert node.problem == ""
            compare_values(node, theirs)


def compare_values(node: Dataset, theirs: h5py.Dataset) -> None:
    """All values of small datasets, a corner and a far row of large ones."""
    if not node.pictured:
        rows = node.table(0, 10_000)
        assert rows.attrs["total"] == (0 if theirs.shape is None else theirs.shape[-1] if theirs.shape else 1)
        return
    member = "" if theirs.dtype.names is None else next(f["name"] for f in node.info["fields"] if f["class"] in
                                                       ("integer", "float", "complex"))  # fmt: skip
    dims = len(theirs.shape)
    ends = [(0, min(n, 400)) for n in theirs.shape[-2:]]
    for fixed in {(0,) * (dims - 2), tuple(n - 1 for n in theirs.shape[:-2])} if dims > 2 else {()}:
        raw = (theirs.fields(member) if member else theirs)[(*fixed, *(slice(*end) for end in ends))]
        raw = np.abs(raw) if raw.dtype.kind == "c" else raw
        view = node.view([*fixed, *ends], shape=(400, 400), member=member)
        assert view.attrs["how"] == "exact"
        np.testing.assert_array_equal(view.values, raw)


def test_a_file_that_is_marked_as_open_for_writing_is_read_and_says_so(real_data, opened):
    path = real_data(MARKED)
    with pytest.raises(OSError, match="already open for write"):
        h5py.File(path, "r", locking=False)
    tree = opened(path)
    assert tree.info["writing"]
    assert "killed" in tree.notes[0]
    for place in ("/float/float32", "/float/float64", "/int/int16", "/int/int8"):
        node = tree[place]
        assert [entry["name"] for entry in node.filters] == ["shuffle", "gzip"]
        np.testing.assert_array_equal(node.view().values, np.arange(35).reshape(7, 5))


def test_words_of_types_say_what_h5dump_would(real_data, opened):
    def words(name: str, place: str) -> str:
        return opened(real_data(f"hdf5/{name}"))[place].type

    assert words("bigendian.h5", "dataset0") == "int32, big-endian"
    assert words("vlen_string_s390x.h5", "DSBEfloat") == "float64, big-endian"
    assert words("compound-dtype-complex.h5", ">c16") == "complex128, big-endian"
    assert "RED = 0" in words("test_enum_datasets_earliest.hdf5", "enum_uint8_data")
    assert words("test_string_datasets_latest.hdf5", "fixed_length_ascii") == "text, ASCII, 20 bytes"
    assert words("test_vlen_datasets_latest.hdf5", "vlen_int16_data") == "variable-length list of int16"
    compound = words("compound_datasets_latest.hdf5", "contiguous_compound")
    assert compound.startswith("compound (firstName: text, UTF-8, variable length, surname: text, ASCII, 20 bytes")


def test_tables_give_names_of_enums_and_members_of_compounds(real_data, opened):
    people = opened(real_data("hdf5/compound_datasets_latest.hdf5"))["contiguous_compound"].table()
    assert people["firstName"].tolist() == ["Bob", "Peter", "James", "Ellie"]
    assert people["gender"].tolist() == ["MALE", "MALE", "MALE", "FEMALE"]
    lists = opened(real_data("hdf5/test_vlen_datasets_latest.hdf5"))["vlen_int16_data"].table()
    assert lists["value"].tolist() == [[0], [1, 2], [3, 4, 5]]
    text = opened(real_data("hdf5/vlen_string_dset_utc.h5"))["ds1"].table(2290, 100)
    assert text.index.tolist() == [2290, 2291, 2292]
    assert text["value"].iloc[0].startswith("2")


def test_a_field_of_openpmd_has_its_axes_in_metres(real_data, opened):
    path = real_data("hdf5/openpmd_example-femm-3d.h5")
    with h5py.File(path, "r", locking=False) as file:
        mesh = file["data/1/meshes/B"].attrs
        first, step = mesh["gridGlobalOffset"], mesh["gridSpacing"]
        labels, unit = [label.decode() for label in mesh["axisLabels"]], mesh["gridUnitSI"]
        inside = file["data/1/meshes/B/x"].attrs["position"]
        scale = file["data/1/meshes/B/x"].attrs["unitSI"]
        raw = file["data/1/meshes/B/x"][20]
    view = opened(path)["data/1/meshes/B/x"].view([20])
    assert list(view.dims) == labels[1:]
    for axis in (1, 2):
        at = view.coords[labels[axis]]
        assert at.attrs["units"] == "m"
        np.testing.assert_allclose(
            at, unit * (first[axis] + (np.arange(47) + inside[axis]) * step[axis]), rtol=1e-6, atol=1e-12
        )
    np.testing.assert_allclose(view.values, raw * scale)
