"""Files as they come: links that lead away, cycles, killed writers, missing ends, missing filters, hostile bytes."""

from __future__ import annotations

import os
import struct
import subprocess
import sys

import h5py
import numpy as np
import pytest

from engine.hdf5 import NotAllowed, NotThere, Readers, ReaderTimeout, Unreadable, open_hdf5
from engine.hdf5.superblock import lookup3, read_superblock
from tests.hdf5.fuzz import fuzz

WRITER = """
import h5py, os, signal, sys, numpy as np
with h5py.File(sys.argv[1], "w", libver=sys.argv[2]) as file:
    data = file.create_dataset("a", data=np.arange(6000.0), chunks=(1000,), maxshape=(None,))
    if sys.argv[3] == "swmr":
        file.swmr_mode = True
    data.resize((9000,)); data[6000:] = 7.0
    file.flush()
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def linked(tmp_path):
    """A file in an allowed folder that points to others: beside it, and outside."""
    inside, outside = tmp_path / "inside", tmp_path / "outside"
    inside.mkdir()
    outside.mkdir()
    with h5py.File(outside / "secret.h5", "w") as file:
        file["a"] = np.full((4, 4), 42.0)
    (outside / "raw").write_bytes(np.full(16, 42.0).tobytes())
    with h5py.File(inside / "other.h5", "w") as file:
        file["a"] = np.arange(16.0).reshape(4, 4)
        file["away"] = h5py.ExternalLink("../outside/secret.h5", "/a")
    with h5py.File(inside / "main.h5", "w") as file:
        file["beside"] = h5py.ExternalLink("other.h5", "/a")
        file["away"] = h5py.ExternalLink("../outside/secret.h5", "/a")
        file["absolute"] = h5py.ExternalLink(str(outside / "secret.h5"), "/a")
        file["twice"] = h5py.ExternalLink("other.h5", "/away")
        file["soft"] = h5py.SoftLink("/beside")
        file["broken"] = h5py.SoftLink("/nothing/here")
        file["circle"] = h5py.SoftLink("/circle")
        file.create_dataset("stored_away", (4, 4), "f8", external=[(str(outside / "raw"), 0, 128)])
        for name, source in (("virtual_away", "../outside/secret.h5"), ("virtual_beside", "other.h5")):
            layout = h5py.VirtualLayout((4, 4), "f8")
            layout[:] = h5py.VirtualSource(source, "a", (4, 4))
            file.create_virtual_dataset(name, layout)
        layout = h5py.VirtualLayout((4, 4), "f8")
        layout[:] = h5py.VirtualSource("other.h5", "away", (4, 4))
        file.create_virtual_dataset("virtual_twice", layout)
    (inside / "symlink.h5").symlink_to(outside / "secret.h5")
    return inside


def test_links_within_the_folder_are_followed(opened, linked):
    tree = opened(linked / "main.h5")
    for name in ("beside", "soft", "virtual_beside"):
        np.testing.assert_array_equal(tree[name].view().values, np.arange(16.0).reshape(4, 4))
    assert tree["beside"].info["file"].endswith("other.h5")


@pytest.mark.parametrize("name", ["away", "absolute", "twice", "stored_away", "virtual_away", "virtual_twice"])
def test_nothing_outside_the_allowed_folder_is_read(opened, linked, name):
    tree = opened(linked / "main.h5")
    try:
        node = tree[name]
    except NotAllowed as error:
        assert "outside the allowed folders" in str(error)
    else:
        assert "outside the allowed folders" in node.problem
        with pytest.raises(Unreadable, match="outside the allowed folders"):
            node.view()
        box = {"box": [[0, 4], [0, 4]], "axes": [0, 1], "shape": [9, 9], "budget_s": 1.0, "average": True}
        with pytest.raises(NotAllowed):
            tree.ask("view", path=f"/{name}", **box)
    both = opened(linked / "main.h5", [linked, linked.parent / "outside"])
    assert (both[name].view().values == 42).all(), "the link itself is sound"


def test_a_file_outside_is_not_opened_by_another_name(opened, linked):
    with pytest.raises(NotAllowed):
        opened(linked / "symlink.h5", [linked])
    with pytest.raises(NotAllowed):
        opened(linked / ".." / "outside" / "secret.h5", [linked])


def test_broken_and_circular_links_are_explained(opened, linked):
    tree = opened(linked / "main.h5")
    with pytest.raises(NotThere, match=r"soft link to /nothing/here: there is no /nothing"):
        tree["broken"]
    with pytest.raises(NotThere, match="in a circle"):
        tree["circle"]
    listed = {member.name: member for member in tree.members()[1]}
    assert listed["broken"].link == "soft"
    assert "no /nothing" in listed["broken"].problem
    with pytest.raises(KeyError):
        tree["soft/further"]


def test_a_group_that_lies_in_itself_ends_the_walk(opened, tmp_path):
    with h5py.File(tmp_path / "cycle.h5", "w") as file:
        group = file.create_group("a/b")
        group["up"] = file["a"]
        file["a/data"] = [1, 2]
    places = [place for place, _ in opened(tmp_path / "cycle.h5").walk()]
    assert places == ["/a", "/a/b", "/a/b/up", "/a/data"]


def test_a_hundred_thousand_members_come_page_by_page(opened, tmp_path):
    path = tmp_path / "many.h5"
    with h5py.File(path, "w", libver="latest") as file:
        for name in range(100_000):
            file.id.links.create_soft(b"%06d" % name, b"/000000")
    tree = opened(path)
    total, page = tree.members("/", 70_000, 50)
    assert total == 100_000
    assert [member.name for member in page] == [f"{n:06d}" for n in range(70_000, 70_050)]


@pytest.mark.parametrize(
    ("version", "mode"),
    [("earliest", "plain"), ("v110", "plain"), ("latest", "plain"), ("v110", "swmr"), ("latest", "swmr")],
)
def test_a_file_whose_writer_was_killed_is_read_and_explained(opened, tmp_path, version, mode):
    path = tmp_path / "killed.h5"
    subprocess.run([sys.executable, "-c", WRITER, str(path), version, mode], check=False)
    before = path.read_bytes()
    tree = opened(path)
    line = tree["a"].view([(0, 9000)], shape=(1, 20_000))
    np.testing.assert_array_equal(line.values, np.concatenate([np.arange(6000.0), np.full(3000, 7.0)]))
    if version != "earliest":
        assert any("marked as" in note for note in tree.notes)
    assert path.read_bytes() == before, "it is never written to"


def test_a_file_being_written_is_followed_and_its_writer_is_never_held_up(opened, tmp_path):
    path = tmp_path / "live.h5"
    with h5py.File(path, "w", libver="latest") as file:
        data = file.create_dataset("a", data=np.zeros((10, 8)), chunks=(1, 8), maxshape=(None, 8))
        file.swmr_mode = True
        tree = opened(path)
        assert tree.info["swmr"]
        assert tree["a"].shape == (10, 8)
        data.resize((12, 8))
        data[10:] = 5.0
        file.flush()
        assert tree.refresh()
        assert not tree.refresh()
        assert tree["a"].shape == (12, 8)
        assert (tree["a"].view([(10, 12)]).values == 5).all()
    # Our readers hold nothing: the file can be opened for writing with locks at once.
    with h5py.File(path, "r+", locking=True) as file:
        file["a"][0] = 9.0
    os.replace(path, tmp_path / "moved.h5")


def test_of_a_truncated_file_what_is_there_is_shown(opened, tmp_path):
    values = np.random.default_rng(0).normal(size=(100, 100))
    with h5py.File(tmp_path / "whole.h5", "w", libver="latest") as file:
        file.create_dataset("chunked", data=values, chunks=(10, 100), fletcher32=True)
        file.create_dataset("plain", data=values)
        end_of_chunks = max(file["chunked"].id.get_chunk_info(i).byte_offset for i in range(10))
        plain_at = file["plain"].id.get_offset()
    content = (tmp_path / "whole.h5").read_bytes()
    assert plain_at > end_of_chunks
    (tmp_path / "cut.h5").write_bytes(content[: plain_at + 40_000])
    tree = opened(tmp_path / "cut.h5")
    assert tree.info["truncated"]
    assert f"{plain_at + 40_000} of {len(content)} bytes" in tree.notes[0]
    np.testing.assert_array_equal(tree["chunked"].view().values, values)
    plain = tree["plain"].view()
    assert plain.attrs["damaged"] == 1
    assert "truncated" in plain.attrs["damage"]
    np.testing.assert_array_equal(plain.values[:49], values[:49])
    assert np.isnan(plain.values[50:]).all()
    (tmp_path / "stub.h5").write_bytes(content[:60])
    stub = opened(tmp_path / "stub.h5")
    assert "60 of" in stub.notes[0]
    with pytest.raises(Unreadable):
        stub.members()


def test_a_filter_that_is_not_installed_is_named_with_its_number(opened, tmp_path):
    path = tmp_path / "filter.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("a", data=np.arange(100.0), chunks=(50,), compression="gzip")
    content = bytearray(path.read_bytes())
    # The filter pipeline message: version 1, one filter, gzip (1); 32011 is registered and not installed here.
    at = content.index(struct.pack("<BB6xHHHH", 1, 1, 1, 8, 1, 1)) + 8
    content[at : at + 2] = struct.pack("<H", 32011)
    path.write_bytes(content)
    node = opened(path)["a"]
    assert "CCSDS-123 (filter id 32011), which is not installed" in node.problem
    with pytest.raises(Unreadable, match="32011"):
        node.view()


def test_what_is_no_hdf5_file_is_said_to_be_none(opened, tmp_path):
    (tmp_path / "a.h5").write_text("x,y\n1,2\n")
    (tmp_path / "empty.h5").write_bytes(b"")
    for name, words in (("a.h5", "has 8 bytes, begins with"), ("empty.h5", "has 0 bytes")):
        with pytest.raises(Unreadable, match=words):
            opened(tmp_path / name)
    for name in ("missing.h5", "."):
        with pytest.raises(NotThere):
            opened(tmp_path / name, [tmp_path])


def test_references_say_what_they_lead_to(opened, tmp_path):
    with h5py.File(tmp_path / "refs.h5", "w") as file:
        file["data"] = np.arange(100.0).reshape(10, 10)
        file["refs"] = np.array([file["data"].ref, h5py.Reference()], h5py.ref_dtype)
        region = file["data"].regionref[2:4, 5:9]
        file.create_dataset("regions", data=np.array([region], h5py.regionref_dtype), dtype=h5py.regionref_dtype)
    tree = opened(tmp_path / "refs.h5")
    assert tree["refs"].table()["value"].tolist() == ["→ /data", "→ nothing"]
    assert tree["regions"].table()["value"].tolist() == ["→ /data [2:4, 5:9], 8 elements"]


def test_names_that_are_no_utf8_and_values_that_are_no_text_can_be_walked(opened, tmp_path):
    with h5py.File(tmp_path / "names.h5", "w") as file:
        file.create_dataset(b"caf\xe9", data=[1.0, 2.0])
        file["raw"] = np.void(b"\x00\xffabc")
        file.attrs["x"] = np.bytes_(b"\xff\xfe")
    tree = opened(tmp_path / "names.h5")
    names = [member.name for member in tree.members()[1]]
    assert len(names) == 2
    assert tree[names[0]].view().values.tolist() == [1.0, 2.0]
    assert tree["raw"].table()["value"].tolist() == ["0x00ff616263"]
    assert tree["/"].attrs["x"] == "\\xff\\xfe"


def test_a_reader_that_dies_or_hangs_costs_one_request(tmp_path):
    readers = Readers(1)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["a"] = np.arange(4.0)
    try:
        tree = open_hdf5(tmp_path / "a.h5", readers=readers)
        with pytest.raises(ReaderTimeout, match="did not answer within 1e-09 s"):
            readers.call("ping", timeout_s=1e-9)
        assert tree["a"].view().values.tolist() == [0, 1, 2, 3]
        reader = readers._idle.get()
        assert reader is not None
        reader._process.kill()
        reader._process.wait()
        readers._idle.put(reader)
        assert tree["a"].view().values.tolist() == [0, 1, 2, 3], "a dead reader is replaced"
        assert readers.crashes == 1
    finally:
        readers.close()


def test_damaged_files_never_do_worse_than_to_be_explained(real_data, tmp_path):
    names = (
        "test_file", "compound_datasets_latest", "test_vlen_datasets_latest", "fletcher32_datasets_latest",
        "test_string_datasets_latest", "test_attribute_earliest", "test_compressed_chunked_datasets_earliest",
    )  # fmt: skip
    sources = [real_data(f"hdf5/{name}.hdf5") for name in names]
    readers = Readers(1, timeout_s=10.0)
    try:
        total = fuzz(sources, 60, 11, readers, tmp_path)
    finally:
        readers.close()
    assert total["shown"] > 100
    assert sum(total.values()) > total["shown"], "some damage was noticed"


def test_the_checksum_is_jenkins_lookup3():
    # Published with lookup3.c (driver5).
    text = b"Four score and seven years ago"
    assert [lookup3(b"", 0), lookup3(b"", 0xDEADBEEF), lookup3(text, 0), lookup3(text, 1)] == [
        0xDEADBEEF, 0xBD5B7DDE, 0x17770551, 0xCD628161,
    ]  # fmt: skip


def test_the_superblock_is_where_h5py_puts_it(tmp_path):
    for libver in ("earliest", "latest"):
        path = tmp_path / f"{libver}.h5"
        with h5py.File(path, "w", libver=libver, userblock_size=2048) as file:
            file["a"] = np.arange(10)
        with open(path, "rb") as raw:
            block = read_superblock(raw)
        assert block is not None
        assert (block.offset, block.end, block.truncated, block.writing) == (2048, path.stat().st_size, False, False)
        if block.version >= 2:
            assert lookup3(block.raw[:-4]) == struct.unpack("<I", block.raw[-4:])[0]
