"""HDF5 files in the allowed folders, and a place for files that are handed in."""

from __future__ import annotations

import os
import re
import secrets
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from engine.hdf5.superblock import SIGNATURE

SUFFIXES = frozenset({
    ".h5", ".hdf5", ".hdf", ".he5", ".h5ad", ".nc", ".nc4", ".netcdf", ".nxs", ".nexus", ".nx5", ".cxi", ".mat",
    ".loom", ".keras", ".emd", ".dm5", ".hdf5bad",
})  # fmt: skip
_READ = 4_096
"""Files without a known ending whose first bytes are looked at, at most."""


@dataclass(frozen=True, slots=True)
class Found:
    """A file in an allowed folder: path, name to show (relative to the folder), size in bytes, time of change."""

    path: Path
    name: str
    size: int
    changed_s: float


def files_in(folders: Iterable[str | os.PathLike[str]], limit: int = 2_000, contains: str = "") -> list[Found]:
    """HDF5 files in and below folders, by ending or by their first bytes; the newest first.

    Parameters
    ----------
    folders : iterable of path
    limit : int
        At most so many.
    contains : str
        Only names with this in them, whatever the case.
    """
    found: list[Found] = []
    looked_at = 0
    for folder in folders:
        root = Path(os.path.realpath(folder))
        for place, below, names in os.walk(root):
            below[:] = sorted(name for name in below if not name.startswith("."))
            for name in names:
                path = Path(place, name)
                shown = str(path.relative_to(root))
                if name.startswith(".") or contains.lower() not in shown.lower():
                    continue
                if path.suffix.lower() not in SUFFIXES:
                    looked_at += 1
                    if looked_at > _READ or not _begins_well(path):
                        continue
                try:
                    status = path.stat()
                except OSError:
                    continue
                found.append(Found(path, shown, status.st_size, status.st_mtime))
    found.sort(key=lambda entry: -entry.changed_s)
    return found[:limit]


def _begins_well(path: Path) -> bool:
    try:
        with open(path, "rb") as file:
            return file.read(8) == SIGNATURE
    except OSError:
        return False


class Inbox:
    """Files that one viewer hands in, piece by piece, in a folder that goes when the viewer goes.

    Parameters
    ----------
    folder : path
        Holds a folder for each viewer.
    max_bytes : int
        Of one viewer's files together.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as place:
    ...     inbox = Inbox(place, max_bytes=100)
    ...     path = inbox.write("../a b.h5", 0, b"content")
    ...     path.name, path.read_bytes()
    ('a b.h5', b'content')
    """

    def __init__(self, folder: str | os.PathLike[str], max_bytes: int = 512 << 20) -> None:
        self.folder = Path(folder) / secrets.token_hex(8)
        self.max_bytes = max_bytes

    def write(self, name: str, at: int, content: bytes) -> Path:
        """Write a piece of a file; pieces come in order.

        Raises
        ------
        ValueError
            Too much, or a piece out of order.
        """
        safe = re.sub(r"[^\w .()+-]", "_", name.replace("\\", "/").rpartition("/")[2]).strip(". ")[:120] or "file"
        path = self.folder / safe
        self.folder.mkdir(parents=True, exist_ok=True)
        size = path.stat().st_size if path.exists() else 0
        if at and at != size:
            raise ValueError(f"a piece of {safe} begins at byte {at}; {size} are there, so it must begin there")
        others = sum(entry.stat().st_size for entry in self.folder.iterdir() if entry != path)
        if others + at + len(content) > self.max_bytes:
            path.unlink(missing_ok=True)
            raise ValueError(f"{safe} is too large: at most {self.max_bytes >> 20} MiB are taken")
        with open(path, "ab" if at else "wb") as file:
            file.write(content)
        return path

    def close(self) -> None:
        """Delete what was handed in."""
        shutil.rmtree(self.folder, ignore_errors=True)
