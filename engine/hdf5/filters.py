"""Compression filters by name, and whether they are installed; runs in a reader process."""

from __future__ import annotations

import contextlib
from typing import Any

import h5py

with contextlib.suppress(ImportError):
    import hdf5plugin  # noqa: F401 - registers its filters

from engine.hdf5.datatypes import text

NAMES = {
    1: "gzip", 2: "shuffle", 3: "Fletcher-32 checksum", 4: "szip", 5: "n-bit", 6: "scale-offset", 305: "LZO",
    307: "bzip2", 32000: "LZF", 32001: "Blosc", 32002: "MAFISC", 32003: "Snappy", 32004: "LZ4", 32005: "APAX",
    32006: "CBF", 32007: "JPEG-XR", 32008: "bitshuffle", 32009: "SPDP", 32010: "LPC-Rice", 32011: "CCSDS-123",
    32012: "JPEG-LS", 32013: "ZFP", 32014: "FPZIP", 32015: "Zstandard", 32016: "B³D", 32017: "SZ", 32018: "FCIDECOMP",
    32019: "JPEG", 32020: "VBZ", 32021: "FAPEC", 32022: "BitGroom", 32023: "Granular BitRound", 32024: "SZ3",
    32025: "Delta-Rice", 32026: "Blosc2", 32027: "FLAC", 32028: "H5Z-SPERR", 32030: "FFMPEG", 32031: "J2K HTJ2K",
}  # fmt: skip
"""Registered HDF5 filters (The HDF Group, Registered Filter Plugins)."""


def filters_of(dataset: h5py.Dataset) -> list[dict[str, Any]]:
    """The filters of a dataset in the order they were applied: id, name, options, and whether they can be undone."""
    plist = dataset.id.get_create_plist()
    found = []
    for index in range(plist.get_nfilters()):
        code, _, options, said = plist.get_filter(index)
        name = NAMES.get(code) or text(said) or f"filter {code}"
        found.append({"id": code, "name": name, "options": list(options)[:16],
                      "installed": bool(h5py.h5z.filter_avail(code))})  # fmt: skip
    return found


def missing(filters: list[dict[str, Any]]) -> str:
    """What to say of filters that are not installed; empty if all are."""
    absent = [f"{entry['name']} (filter id {entry['id']})" for entry in filters if not entry["installed"]]
    if not absent:
        return ""
    return f"its values are compressed with {' and '.join(absent)}, which is not installed here, so they cannot be read"
